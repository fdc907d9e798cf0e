//! The process as a whole.

use std::fs;
use std::sync::LazyLock;

use sigquit_dump::{Memory, Nanos, Process, Runtime};

use super::{cgroup, clock, cpus, pressure, stat};

/// All that is known of the process; its arguments only when they are wanted.
pub(crate) fn process(arguments: bool) -> Process {
    let limits = cgroup::limits();
    Process {
        runtime: Runtime::Rust,
        pid: Some(u64::from(std::process::id())),
        host: read("/proc/sys/kernel/hostname").map(|text| text.trim().to_owned()),
        executable: executable(),
        arguments: arguments.then(command_line).flatten(),
        started: started(),
        cpu: Some(clock::process_cpu()),
        cpus: cpus_allowed(),
        cpu_limit: limits.cpu,
        throttling: limits.throttling,
        load: read("/proc/loadavg").and_then(|text| load(&text)),
        pressure: pressure::pressure(),
        memory: read("/proc/self/statm").and_then(|text| memory(&text, limits.memory)),
        ..Process::default()
    }
}

fn read(path: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

fn executable() -> Option<String> {
    Some(fs::read_link("/proc/self/exe").ok()?.to_string_lossy().into_owned())
}

fn command_line() -> Option<Vec<String>> {
    Some(read("/proc/self/cmdline")?.split_terminator('\0').map(str::to_owned).collect())
}

/// Computed once: it tells two processes apart, so it must be the same in every dump, and the
/// clocks from which it is computed are not read at the same instant.
fn started() -> Option<Nanos> {
    static STARTED: LazyLock<Option<Nanos>> = LazyLock::new(|| {
        let text = read("/proc/self/stat")?;
        let (_, started) = stat::parse(&text)?;
        let age = clock::since_boot().since(stat::ticks(started, clock::tick()));
        Some(clock::now().since(age))
    });
    *STARTED
}

fn cpus_allowed() -> Option<u32> {
    let text = read("/proc/self/status")?;
    cpus::count(text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// `0.52 0.58 0.59 2/813 12345`
fn load(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split(' ').map(|word| word.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// `2214 731 402 9 0 187 0`: pages mapped, pages resident.
fn memory(text: &str, limit: Option<u64>) -> Option<Memory> {
    let mut pages = text.split(' ').map(|word| word.parse::<u64>().ok());
    let size = page_size();
    let (mapped, resident) = (pages.next()??, pages.next()??);
    Some(Memory {
        mapped: mapped.saturating_mul(size),
        resident: resident.saturating_mul(size),
        limit,
    })
}

fn page_size() -> u64 {
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_numbers() {
        assert_eq!(load("0.52 0.58 0.59 2/813 12345\n"), Some([0.52, 0.58, 0.59]));
        assert_eq!(load("0.52 0.58"), None);
        let memory = memory("2214 731 402 9 0 187 0\n", Some(7)).unwrap();
        assert_eq!(memory.resident, 731 * page_size());
        assert_eq!((memory.mapped, memory.limit), (2214 * page_size(), Some(7)));
    }

    #[test]
    fn this_process_is_known() {
        let known = process(false);
        assert_eq!(known.pid, Some(u64::from(std::process::id())));
        assert!(known.started.unwrap() < clock::now());
        assert!(known.executable.is_some() && known.cpu.is_some() && known.arguments.is_none());
        assert!(process(true).arguments.is_some_and(|arguments| !arguments.is_empty()));
    }
}
