//! What `eu-stack` of elfutils prints: `-p PID` or `--core`, with `-m` and `-s` more.
//!
//! ```text
//! PID 14814 - process
//! TID 14816:
//! #0  0x00007ff8270a412b __GI___lll_lock_wait - /usr/lib/x86_64-linux-gnu/libc.so.6
//!     ../sysdeps/nptl/futex-internal.h:146:13
//! #1  0x00007ff8270aa482 __pthread_mutex_lock@GLIBC_2.2.5
//! #4  0x00007ff8272d44a3
//! ```

use std::borrow::Cow;

use sigquit_dump::{Dump, Thread, Truncation, Warning};

use super::by_line::{self, ByLine, Dumps};
use super::foreign::is_log_line;
use super::native::{Building, NativeFrame, Open, without_return_type};
use super::{Format, Line, Lines, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "eu-stack",
    looks_like: "a line `TID 345:` of eu-stack",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let mut lines = text.lines();
    let is_thread = |line: Line| number(line.text, "TID ", ":").is_some();
    match lines.find(|line| is_thread(*line)).and_then(|_| lines.next()) {
        Some(next) if frame(next.text).is_some() => Recognition::Yes,
        Some(_) => Recognition::Perhaps,
        None => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader<'t> {
    dumps: Dumps<Building<'t>>,
}

impl<'t> ByLine<'t> for Reader<'t> {
    type Building = Building<'t>;

    fn dumps(&mut self) -> &mut Dumps<Building<'t>> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let text = line.text.trim_end();
        let dumps = &mut self.dumps;
        if let Some(pid) = number(text, "PID ", " - ") {
            dumps.end();
            dumps.building.dump.process.pid = Some(pid);
        } else if let Some(tid) = number(text, "TID ", ":") {
            let thread = Thread { os_id: Some(tid), line: Some(line.number), ..Thread::default() };
            dumps.open(Open { thread, ..Open::default() });
        } else if let Some(open) = &mut dumps.open {
            match (frame(text), open.frames.last_mut(), text.strip_prefix("    ")) {
                (Some(frame), ..) => open.frames.push(frame),
                (_, Some(last), Some(place)) => last.place = place.into(),
                _ if text.contains("tid ") && text.contains(": ") => {
                    open.truncated = Some(Truncation::NoUnwindTable);
                }
                _ if text.is_empty() || is_log_line(text) => {}
                _ => dumps.not_understood.note(line.number),
            }
        }
    }
}

/// `TID 14816:` -> 14816
fn number(text: &str, before: &str, after: &str) -> Option<u64> {
    let (number, _) = text.strip_prefix(before)?.split_once(after)?;
    number.parse().ok()
}

/// `#2  0x000055b6743e8483 transfer(Account*, Account*, long) - /usr/bin/night`
///
/// `- 1` after an address says that it is a return address.
fn frame(text: &str) -> Option<NativeFrame<'_>> {
    let (depth, rest) = text.strip_prefix('#')?.split_once(' ')?;
    depth.parse::<u32>().ok()?;
    let rest = rest.trim_start().strip_prefix("0x")?;
    let (address, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let address = u64::from_str_radix(address, 16).ok()?;
    let rest = rest.trim().strip_prefix("- 1").unwrap_or(rest.trim()).trim_start();
    let (function, module) = match rest.rsplit_once("- /") {
        Some((function, _)) => (function.trim_end(), rest.get(function.len() + 2..)),
        None => (rest, None),
    };
    Some(NativeFrame {
        address: Some(address),
        function: named(function),
        module,
        ..NativeFrame::default()
    })
}

/// eu-stack leaves Rust's newer mangling as it is, and some of the older.
fn named(function: &str) -> Cow<'_, str> {
    match function.starts_with("_R") || function.starts_with("_ZN") {
        true => sigquit_symbolize::demangle(function).into(),
        false => without_return_type(function).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mangled_names_are_told_as_their_source_gives_them() {
        let read = |text| frame(text).expect("a frame").function.into_owned();
        assert_eq!(
            read("#1  0x55 _RNvNtNtCsjrHSEGnQ3l9_3std6thread9functions5sleep"),
            "std::thread::functions::sleep"
        );
        assert_eq!(
            read("#1  0x55 _ZN3std2rt10lang_start17hdc6c529cba432669E"),
            "std::rt::lang_start"
        );
        assert_eq!(read("#1  0x55 _Rest"), "_Rest");
    }

    #[test]
    fn frames_with_and_without_their_modules() {
        let read = |text| {
            frame(text).map(|frame| (frame.address, frame.function.into_owned(), frame.module))
        };
        assert_eq!(
            read("#2  0x55b0 transfer(Account*, long) - /usr/bin/night"),
            Some((Some(0x55b0), "transfer(Account*, long)".into(), Some("/usr/bin/night")))
        );
        assert_eq!(read("#4  0x55b0"), Some((Some(0x55b0), String::new(), None)));
        assert_eq!(read("#4  0x55b0 - 1  main"), Some((Some(0x55b0), "main".into(), None)));
        assert_eq!(
            read("#4  0x55b0 - /lib/a.so"),
            Some((Some(0x55b0), String::new(), Some("/lib/a.so")))
        );
        for text in ["#4", "#x  0x55b0", "#4  main", ""] {
            assert_eq!(read(text), None);
        }
    }

    #[test]
    fn places_belong_to_the_frame_above() {
        let text = "PID 7 - process\nTID 7:\n#0  0x1 f - /a\n    a.c:3:5\n#1  0x2 main\nTID 8:\n#0  0x1 f\n";
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), dumps[0].threads.len(), dumps[0].process.pid), (1, 2, Some(7)));
        let location = dumps[0].frames[0].symbols[0].location.clone().expect("a place");
        assert_eq!((location.file.as_str(), location.line), ("a.c", Some(3)));
        assert_eq!(warnings, []);
    }
}
