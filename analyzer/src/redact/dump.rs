//! Names in what was read.

use std::net::{Ipv6Addr, SocketAddr};

use sigquit_dump::{Dump, NoticeKind, Runtime};

use super::{Redaction, text};
use crate::model::is_helper_name;
use crate::read::Input;

impl Redaction {
    pub(super) fn redact_input(&mut self, input: &mut Input) {
        input.path = self.stand_in("input", &input.path);
        for warning in &mut input.warnings {
            warning.message = text::without_quotes(&warning.message);
        }
        for profile in &mut input.profiles {
            let runtime = profile.dump.process.runtime;
            for thread in &mut profile.threads {
                thread.name = self.redact_name(runtime, &thread.name);
            }
        }
        let profiled = input.profiles.iter_mut().map(|profile| &mut profile.dump);
        input.dumps.iter_mut().chain(profiled).for_each(|dump| self.redact_dump(dump));
    }

    fn redact_dump(&mut self, dump: &mut Dump) {
        let symbols = dump.frames.iter().flat_map(|frame| &frame.symbols);
        let files = symbols.filter_map(|symbol| Some(&symbol.location.as_ref()?.file));
        let modules = dump.modules.iter().map(|module| &module.path);
        files.chain(modules).for_each(|path| self.learn_folder(path));
        let process = &mut dump.process;
        if let Some(host) = &mut process.host {
            *host = self.stand_in("host", host);
        }
        if let Some(executable) = &mut process.executable {
            *executable = self.stand_in("program", executable);
        }
        for argument in process.arguments.iter_mut().flatten() {
            *argument = self.stand_in("argument", argument);
        }
        for socket in &mut process.sockets {
            socket.local = self.redact_address(socket.local);
            socket.peer = socket.peer.map(|peer| self.redact_address(peer));
        }
        let runtime = process.runtime;
        for thread in &mut dump.threads {
            thread.name = self.redact_name(runtime, &thread.name);
            for (_, value) in &mut thread.labels {
                *value = self.stand_in("label", value);
            }
        }
        for async_runtime in &mut dump.async_runtimes {
            async_runtime.name = self.redact_name(runtime, &async_runtime.name);
        }
        let panics = |kind: NoticeKind| kind == NoticeKind::Panic;
        for notice in dump.notices.iter_mut().filter(|notice| panics(notice.kind)) {
            let lines = notice.message.lines();
            let lines: Vec<String> = lines.map(|line| self.stand_in("message", line)).collect();
            notice.message = lines.join("\n");
        }
    }

    /// An address of the range for documentation, the same for the same machine. What every machine calls
    /// itself tells nothing.
    fn redact_address(&mut self, address: SocketAddr) -> SocketAddr {
        let ip = address.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            return address;
        }
        let number = self.number("machine", &ip.to_string()) + 1;
        let machine =
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, (number >> 16) as u16, number as u16);
        SocketAddr::new(machine.into(), address.port())
    }

    /// A thread's name, but for the number at its end, which tells it from others of its pool.
    fn redact_name(&mut self, runtime: Runtime, name: &str) -> String {
        if name.is_empty() || name == "main" || is_helper_name(runtime, name) {
            return name.to_owned();
        }
        let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        match &name[stem.len()..] {
            "" => self.stand_in("name", name),
            number => format!("{}-{number}", self.stand_in("name", stem)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_machine_has_one_stand_in() {
        let mut redaction = Redaction::default();
        let mut of =
            |text: &str| redaction.redact_address(text.parse().expect("an address")).to_string();
        assert_eq!(of("10.1.2.3:5432"), "[2001:db8::1]:5432");
        assert_eq!(of("10.1.2.4:80"), "[2001:db8::2]:80");
        assert_eq!(of("10.1.2.3:80"), "[2001:db8::1]:80");
        assert_eq!(of("127.0.0.1:80"), "127.0.0.1:80");
    }

    #[test]
    fn workers_of_a_pool_stay_workers_of_a_pool() {
        let mut redaction = Redaction::default();
        let mut name = |name| redaction.redact_name(Runtime::Jvm, name);
        assert_eq!(name("alice-12"), "name-a-12");
        assert_eq!(name("alice-13"), "name-a-13");
        assert_eq!(name("bob's timer"), "name-b");
        assert_eq!(name("main"), "main");
        assert_eq!(name("Signal Dispatcher"), "Signal Dispatcher");
    }
}
