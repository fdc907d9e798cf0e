//! The text that Go prints of its goroutines: SIGQUIT, panics, fatal errors, `debug=2` of
//! net/http/pprof, `runtime.Stack`, and the race detector's reports; from 1.11 on.
//!
//! ```text
//! fatal error: concurrent map read and map write
//!
//! goroutine 20 [running]:
//! main.(*SessionCache).Get(...)
//!     /srv/app/main.go:18
//! main.reader(0xc000090038)
//!     /srv/app/main.go:29 +0xb3
//! created by main.main in goroutine 1
//!     /srv/app/main.go:58 +0x272
//!
//! goroutine 1 [select (no cases)]:
//! main.main()
//!     /srv/app/main.go:68 +0x245
//! ```

mod building;
mod creation;
mod digest;
mod form;
mod frame;
mod header;
mod locks;
mod number;
mod numbers;
mod objects;
mod race;
mod saying;
mod sieve;
mod wait;

use sigquit_dump::{Dump, Warning};

use self::building::Building;
use super::foreign::is_log_line;
use super::text::Lines;
use super::{Format, Piecewise, Read, Recognition, Text, too_many_threads};

pub(super) const FORMAT: Format = Format {
    name: "go",
    looks_like: "a line `goroutine 1 [running]:` of Go",
    recognize,
    read: Read::Pieces { marks: &["\ngoroutine "], reader: || Box::<Reader>::default() },
};

fn recognize(text: &Text) -> Recognition {
    let mut recognition = Recognition::No;
    for line in text.lines() {
        if header::read(line.text).is_some() || race::begins(line.text.trim()) {
            return Recognition::Yes;
        }
        if line.text.starts_with("panic: ") || line.text.starts_with("fatal error: ") {
            recognition = Recognition::Perhaps;
        }
    }
    recognition
}

/// Whether a line is the first of a goroutine.
pub(super) fn is_header(text: &str) -> bool {
    header::read(text).is_some()
}

/// `net/http/pprof` cuts what it prints at this length and says nothing of it.
const PPROF_LIMIT: usize = 64 << 20;

#[derive(Default)]
struct Reader {
    dumps: Vec<Dump>,
    warnings: Vec<Warning>,
    building: Building<'static>,
    /// The last line that was read.
    last: u64,
    threads: usize,
    bytes: usize,
    /// More threads were claimed than are read.
    full: bool,
}

impl Piecewise for Reader {
    fn piece(&mut self, text: &Text) {
        let building = std::mem::take(&mut self.building);
        self.building = self.lines(text, building).between_pieces();
    }

    fn finish(mut self: Box<Self>, last: &Text) -> (Vec<Dump>, Vec<Warning>) {
        let building = std::mem::take(&mut self.building);
        let mut building = self.lines(last, building);
        if self.bytes == PPROF_LIMIT {
            building.is_cut();
        }
        self.dumps.push(building.finish(self.last, true, &mut self.warnings));
        self.dumps.retain(|dump| !dump.threads.is_empty() || !dump.notices.is_empty());
        (self.dumps, self.warnings)
    }
}

impl Reader {
    fn lines<'t>(&mut self, text: &'t Text, mut building: Building<'t>) -> Building<'t> {
        self.bytes += text.as_str().len();
        let mut lines = text.lines();
        while !self.full {
            let (known, length) = building.guessed_lines(lines.rest());
            if known > 0 {
                self.last = lines.pass(known, length);
            }
            let rest = lines.rest();
            let Some(line) = lines.next() else { break };
            if building.takes_known_frames() {
                let mut ahead = lines.clone();
                if let Some(second) = ahead.next()
                    && let length = rest.len() - ahead.rest().len()
                    && building.known_frame(rest, length, line.text, second.text)
                {
                    self.last = second.number;
                    lines = ahead;
                    continue;
                }
            }
            let printed = line.text.trim_end();
            let header = header::read(printed);
            if building.is_over(printed, header.as_ref()) {
                let over = std::mem::take(&mut building);
                self.dumps.push(over.finish(self.last, false, &mut self.warnings));
            }
            self.last = line.number;
            match header {
                Some(header) if !building.is_saying() || has_frames(&lines) => {
                    self.threads += 1;
                    self.full = self.threads > text.limits().threads;
                    if self.full {
                        self.warnings.push(too_many_threads(self.last, text.limits().threads));
                        break;
                    }
                    building.goroutine(line.number, header, lines.rest());
                }
                _ if building.say(printed) => {}
                _ => building.line(line, printed.trim_start()),
            }
        }
        building
    }
}

/// Whether frames follow. The value of a panic can have a line that looks like a goroutine's
/// header, which versions before 1.23 print as it is.
fn has_frames(following: &Lines) -> bool {
    const REACH: usize = 6;
    for line in following.clone().take(REACH) {
        let body = line.text.trim();
        if frame::place(body).is_some() || body.starts_with("goroutine running on") {
            return true;
        }
        if (body.is_empty() || header::read(body).is_some()) && !is_log_line(body) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
        Box::<Reader>::default().finish(text)
    }

    fn dumps(text: &str) -> Vec<Dump> {
        read(&Text::from_bytes(text.as_bytes())).0
    }

    fn numbers(dump: &Dump) -> Vec<u64> {
        dump.threads.iter().filter_map(|thread| thread.number).collect()
    }

    #[test]
    fn a_panic_value_that_looks_like_a_goroutine() {
        let text = "panic: line one
goroutine 7 [running]:
fake

goroutine 1 [running]:
main.main()
\t/srv/main.go:85 +0x45a
exit status 2
";
        let dumps = dumps(text);
        assert_eq!(dumps.len(), 1);
        assert_eq!(numbers(&dumps[0]), [1]);
        assert_eq!(dumps[0].notices[0].message, "line one\ngoroutine 7 [running]:\nfake");
        assert_eq!(dumps[0].notices[0].threads, [0]);
    }

    #[test]
    fn goroutines_that_are_shown_again_by_thread() {
        let text = "SIGQUIT: quit
PC=0x4b7145 m=0 sigcode=0

goroutine 21 gp=0x1 m=3 mp=0x5b4720 [running]:
\tgoroutine running on other thread; stack unavailable

-----

SIGQUIT: quit
PC=0x4832a3 m=2 sigcode=0

goroutine 0 gp=0x2 m=2 mp=0x3 [idle]:
runtime.futex()
\t/go/runtime/sys.s:1 +0x1

goroutine 21 gp=0x1 m=3 mp=0x5b4720 [running]:
main.spin()
\t/srv/main.go:1 +0x1
";
        let dumps = dumps(text);
        assert_eq!(dumps.len(), 1);
        assert_eq!(numbers(&dumps[0]), [21]);
        assert!(dumps[0].threads[0].stack.is_some());
    }

    #[test]
    fn the_same_goroutine_again_is_another_dump() {
        let dump = "goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:85 +0x45a\n\n";
        assert_eq!(dumps(&dump.repeat(3)).len(), 3);
    }

    #[test]
    fn a_cut_end_is_said() {
        let text =
            "goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:85 +0x45a\nmain.a()\n\t/srv/ma";
        let (dumps, warnings) = read(&Text::from_bytes(text.as_bytes()));
        assert!(dumps[0].truncated);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn a_mutex_and_who_seems_to_hold_it() {
        let waiter = |number: u64| {
            format!(
                "goroutine {number} [sync.Mutex.Lock]:
internal/sync.(*Mutex).lockSlow(0x70)
\t/go/mutex.go:149 +0x15a
sync.(*Mutex).Lock(...)
\t/go/mutex.go:46
main.(*Ledger).Append(0x80?, 0x7)
\t/srv/main.go:24 +0x5c

"
            )
        };
        let holder = "goroutine 12 [IO wait]:
main.(*Ledger).flush(0x70, 0x7)
\t/srv/main.go:34 +0x19e
main.(*Ledger).Append(0x80?, 0x7)
\t/srv/main.go:27 +0x97
";
        let dumps = dumps(&(waiter(1) + &waiter(2) + holder));
        let [lock] = &dumps[0].locks[..] else { panic!("{:?}", dumps[0].locks) };
        assert_eq!(lock.address, Some(0x70));
        assert_eq!(lock.owners.iter().map(|owner| owner.thread).collect::<Vec<_>>(), [2]);
        assert_eq!(dumps[0].threads[2].holds[0].frame, Some(1));
    }

    #[test]
    fn a_race_report() {
        let text = "==================
WARNING: DATA RACE
Read at 0x00c000092100 by goroutine 8:
  main.main.func2()
      /srv/app/main.go:25 +0x9d

Previous write at 0x00c000092100 by goroutine 7:
  main.(*Stats).Touch()
      /srv/app/main.go:16 +0xa4

Goroutine 8 (running) created at:
  main.main()
      /srv/app/main.go:25 +0x244
==================
";
        let dumps = dumps(text);
        let notice = &dumps[0].notices[0];
        assert_eq!(notice.stacks.len(), 2);
        assert!(notice.message.starts_with("Read at 0x00c000092100 by goroutine 8\n"));
    }
}
