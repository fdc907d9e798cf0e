//! What `top -H -b` and `ps -L` print of threads: CPU time and the share of a CPU, and no stacks.
//! Beside a dump of the same process they say which of its threads use the CPU.
//!
//! ```text
//! top - 19:12:32 up 41 min,  0 user,  load average: 5.74, 2.82, 1.32
//! Threads:  23 total,   1 running,  22 sleeping,   0 stopped,   0 zombie
//!
//!   PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
//! 15107 app       20   0 8263724  41496  25084 R  99.9   0.2   0:07.15 report
//! ```
//!
//! A table may stand in a file of its own, or in one with the dump. In any other format's file it is
//! looked for too.

use std::collections::HashMap;

use memchr::memmem;
use sigquit_dump::Nanos;

use super::{Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "top",
    looks_like: "a line `PID USER ... %CPU ... TIME+ COMMAND` of `top -H -b`",
    recognize,
    read: Read::Usages(usages),
};

/// What a table says of the threads of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Line of the input at which the table begins.
    pub line: u64,
    /// Since midnight, by the machine's clock, when it says so.
    pub clock: Option<Nanos>,
    /// What it says of each thread.
    pub threads: Vec<ThreadUsage>,
}

/// What a table says of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadUsage {
    /// The number by which the operating system knows it.
    pub os_id: u64,
    /// CPU time since it started.
    pub cpu: Option<Nanos>,
    /// The share of one CPU that it used just before: 1 is all of it.
    pub share: Option<f64>,
}

/// Never sure: what else is in the file says more.
fn recognize(text: &Text) -> Recognition {
    match may_hold(text) && !usages(text).is_empty() {
        true => Recognition::Perhaps,
        false => Recognition::No,
    }
}

/// Every table of threads in a text.
pub(super) fn usages(text: &Text) -> Vec<Usage> {
    let mut reader = Reader::default();
    if may_hold(text) {
        text.lines().for_each(|line| reader.line(line.number, line.text));
    }
    reader.end();
    reader.done
}

/// A quick look, as most texts hold none.
fn may_hold(text: &Text) -> bool {
    let bytes = text.as_str().as_bytes();
    [&b" COMMAND"[..], b" CMD"].iter().any(|word| memmem::find(bytes, word).is_some())
}

#[derive(Default)]
struct Reader {
    done: Vec<Usage>,
    open: Option<(Columns, Usage)>,
    /// What `top` says above the table.
    clock: Option<Nanos>,
    /// The rows are processes.
    is_of_processes: bool,
}

impl Reader {
    fn line(&mut self, number: u64, text: &str) {
        let text = text.trim_end();
        if let Some(clock) = clock(text) {
            self.end();
            (self.clock, self.is_of_processes) = (Some(clock), false);
        } else if text.starts_with("Tasks:") {
            self.is_of_processes = true;
        } else if let Some(columns) = Columns::of(text) {
            self.end();
            let usage = Usage { line: number, clock: self.clock, threads: Vec::new() };
            if columns.names_threads || !self.is_of_processes {
                self.open = Some((columns, usage));
            }
        } else if let Some((columns, usage)) = &mut self.open {
            match columns.row(text) {
                Some(thread) => usage.threads.push(thread),
                // A row with a name that is no text is passed over; anything else ends the table.
                None if text.starts_with([' ', '\t']) && !text.trim().is_empty() => {}
                None => self.end(),
            }
        }
    }

    fn end(&mut self) {
        if let Some((_, usage)) = self.open.take()
            && !usage.threads.is_empty()
        {
            self.done.push(usage);
        }
    }
}

/// `top - 19:12:32 up 41 min,  0 user,  load average: 5.74, 2.82, 1.32`
fn clock(text: &str) -> Option<Nanos> {
    let (time, rest) = text.strip_prefix("top - ")?.split_once(' ')?;
    rest.starts_with("up ").then_some(())?;
    since(time).filter(|clock| clock.0 < 24 * 3600 * 1_000_000_000)
}

/// In which columns of a table that stands which we read.
///
/// ```text
///   PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND     top -H
///   PID   LWP TTY          TIME CMD                                                ps -L
///   PID   TID %CPU     TIME STAT COMMAND                                           ps -L -o ...
/// UID        PID  PPID   LWP  C NLWP STIME TTY          TIME CMD                   ps -Lf
/// ```
struct Columns {
    thread: usize,
    names_threads: bool,
    time: Option<usize>,
    /// Of a short time: that of `ps` is of the thread's whole life.
    share: Option<usize>,
    /// All but the last have no blanks.
    count: usize,
}

impl Columns {
    fn of(text: &str) -> Option<Columns> {
        let names: Vec<&str> = text.split_whitespace().collect();
        let place: HashMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        let any = |known: &[&str]| known.iter().find_map(|name| place.get(name).copied());
        if !matches!(names.last(), Some(&("COMMAND" | "CMD"))) {
            return None;
        }
        let thread = any(&["TID", "LWP", "SPID"]);
        let of_top = place.get("TIME+").copied();
        let time = of_top.or_else(|| any(&["TIME", "CPUTIME"]));
        let share = of_top.and_then(|_| any(&["%CPU"]));
        (time.is_some() && (thread.is_some() || of_top.is_some())).then_some(())?;
        Some(Columns {
            names_threads: thread.is_some(),
            thread: thread.or_else(|| any(&["PID"]))?,
            time,
            share,
            count: names.len(),
        })
    }

    /// `15107 app       20   0 8263724  41496  25084 R  99.9   0.2   0:07.15 report`
    fn row(&self, text: &str) -> Option<ThreadUsage> {
        let cells: Vec<&str> = text.split_whitespace().take(self.count).collect();
        let cell = |at: Option<usize>| at.and_then(|at| cells.get(at).copied());
        let os_id = cell(Some(self.thread))?.parse().ok()?;
        let cpu = cell(self.time).and_then(since);
        let share = cell(self.share).and_then(percent);
        (cpu.is_some() || share.is_some()).then_some(ThreadUsage { os_id, cpu, share })
    }
}

/// `99.9`; some languages write `99,9`.
fn percent(text: &str) -> Option<f64> {
    let percent: f64 = text.replace(',', ".").parse().ok()?;
    (percent.is_finite() && percent >= 0.0).then_some(percent / 100.0)
}

/// `0:07.15` and `131:02.40` of `top`, `00:00:07` and `2-01:00:09` of `ps`, `19:12:32` of a clock.
fn since(text: &str) -> Option<Nanos> {
    let (days, text) = match text.split_once('-') {
        Some((days, text)) => (days.parse::<u64>().ok()?, text),
        None => (0, text),
    };
    let text = text.replace(',', ".");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut seconds = 0_u64;
    let mut parts = 0;
    for part in whole.split(':') {
        let part: u64 = part.parse().ok()?;
        seconds = seconds.checked_mul(60)?.checked_add(part)?;
        parts += 1;
    }
    let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|letter| letter.is_ascii_digit());
    if !(2..=3).contains(&parts) || !is_fraction {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = days.checked_mul(24 * 3600)?.checked_add(seconds)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction).map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "\
top - 19:12:32 up 41 min,  0 user,  load average: 5.74, 2.82, 1.32
Threads:   2 total,   1 running,   1 sleeping,   0 stopped,   0 zombie
%Cpu(s):100.0 us,  0.0 sy,  0.0 ni,  0.0 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st\x20
MiB Mem :  24152.1 total,  20305.0 free,   1225.6 used,   2906.1 buff/cache\x20

  PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
15107 app       20   0 8263724  41496  25084 R  99,9   0.2 131:02.40 my report 7
15108 app       20   0 8263724  41496  25084 S   0.0   0.2   0:00.01 java
";

    fn read(text: &str) -> Vec<Usage> {
        usages(&Text::from_bytes(text.as_bytes()))
    }

    #[test]
    fn tables_of_top() {
        let tables = read(&TOP.repeat(2));
        assert_eq!(tables.len(), 2);
        let Usage { line, clock, threads } = &tables[0];
        assert_eq!((*line, *clock), (6, Some(Nanos(69_152_000_000_000))));
        let busy = ThreadUsage {
            os_id: 15107,
            cpu: Some(Nanos(7_862_400_000_000)),
            share: Some(99.9 / 100.0),
        };
        assert_eq!((threads.len(), threads[0]), (2, busy));
        assert_eq!(recognize(&Text::from_bytes(TOP.as_bytes())), Recognition::Perhaps);
    }

    #[test]
    fn tables_of_processes_are_none() {
        assert_eq!(read(&TOP.replace("Threads:", "Tasks:")), []);
        assert_eq!(read("  PID TTY          TIME CMD\n   17 ?        00:00:07 java\n"), []);
    }

    #[test]
    fn tables_of_ps() {
        for table in [
            "  PID   LWP TTY          TIME CMD\n15089 15090 ?        00:00:07 sleep\n",
            "  PID   TID %CPU     TIME STAT COMMAND\n15089 15090  7.0 00:00:07 S    sleep\n",
            "UID        PID  PPID   LWP  C NLWP STIME TTY          TIME CMD\n\
             root     15089 15085 15090  0    1 19:12 ?        00:00:07 sleep 1000\n",
        ] {
            let expected =
                ThreadUsage { os_id: 15090, cpu: Some(Nanos(7_000_000_000)), share: None };
            assert_eq!(
                read(table).first().map(|table| table.threads[0]),
                Some(expected),
                "{table}"
            );
        }
    }

    #[test]
    fn times() {
        let seconds = |text| since(text).map(|time| time.0 as f64 / 1e9);
        assert_eq!(seconds("2-01:00:09"), Some(176_409.0));
        assert_eq!(seconds("0:07.15"), Some(7.15));
        for text in ["", "7", "1:2:3:4", "x:1", "1:2.x", "99999999999-00:00", "1.5:2"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_table_ends_where_a_dump_begins() {
        let text = format!("{TOP}\n2026-11-22 20:59:30\nFull thread dump\n15 of 7:11 x\n");
        assert_eq!(read(&text)[0].threads.len(), 2);
    }
}
