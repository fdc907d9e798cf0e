//! One call as gdb prints it.

use std::borrow::Cow;

use super::super::native::NativeFrame;

/// Reads a frame, wrapped lines already joined, and its number.
///
/// ```text
/// #0  futex_wait (private=0, expected=2, futex_word=0x55b6743ee3c0 <east+32>) at ../sysdeps/nptl/futex-internal.h:146
/// #4  0x000055b6743e8483 in transfer (from=0x55b6743ee3a0 <west>, cents=100) at night.cpp:32
/// #11 0x00007ff8272d44a3 in ?? () from /lib/x86_64-linux-gnu/libstdc++.so.6
/// #3  <signal handler called>
/// ```
pub(super) fn read(line: Cow<'_, str>) -> Option<(u32, NativeFrame<'_>)> {
    match line {
        Cow::Borrowed(line) => borrowed(line),
        Cow::Owned(line) => borrowed(&line).map(|(number, frame)| (number, owned(frame))),
    }
}

/// Whether a line begins a frame.
pub(super) fn begins(text: &str) -> bool {
    number(text).is_some()
}

fn borrowed(line: &str) -> Option<(u32, NativeFrame<'_>)> {
    let (number, rest) = number(line)?;
    if rest.starts_with("<signal handler called>") {
        let function = "<signal handler called>".into();
        return Some((number, NativeFrame { function, ..NativeFrame::default() }));
    }
    let (address, rest) = address(rest);
    let (function, arguments, after) = call(rest)?;
    let (place, module) = place(after);
    let function = if function == "??" { "" } else { function };
    let frame = NativeFrame {
        address,
        function: function.into(),
        arguments: arguments.into(),
        place: place.into(),
        module,
        inlined: false,
    };
    Some((number, frame))
}

/// The module is the one part that must outlive the joined line; wrapped lines lose it.
fn owned(frame: NativeFrame<'_>) -> NativeFrame<'static> {
    NativeFrame {
        address: frame.address,
        function: frame.function.into_owned().into(),
        arguments: frame.arguments.into_owned().into(),
        place: frame.place.into_owned().into(),
        module: None,
        inlined: frame.inlined,
    }
}

/// `#4  0x...` -> 4 and the rest. gdb sets the text at the fifth column, other tools do not.
fn number(text: &str) -> Option<(u32, &str)> {
    let rest = text.strip_prefix('#')?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, rest) = rest.split_at(digits);
    let body = rest.trim_start_matches(' ');
    let column = 1 + digits + rest.len() - body.len();
    (column >= 4 && rest.len() > body.len()).then_some(())?;
    Some((number.parse().ok()?, body))
}

/// `0x000055b6743e8483 in transfer (...` -> the address and the rest
fn address(rest: &str) -> (Option<u64>, &str) {
    let split = rest.strip_prefix("0x").and_then(|rest| rest.split_once(" in "));
    let read = split.and_then(|(digits, call)| Some((u64::from_str_radix(digits, 16).ok()?, call)));
    read.map_or((None, rest), |(address, call)| (Some(address), call))
}

/// Splits function, arguments and what follows. The arguments begin at the first ` (` outside of
/// all brackets: a C++ function's name has some of its own.
///
/// `std::function<void (int)>::operator() (this=0x1, x=")") at a.cpp:3`
fn call(rest: &str) -> Option<(&str, &str, &str)> {
    let open = arguments_begin(rest)?;
    let (function, rest) = (&rest[..open], &rest[open + 2..]);
    let close = closing(rest).unwrap_or(rest.len());
    Some((function, &rest[..close], rest.get(close + 1..).unwrap_or("")))
}

fn arguments_begin(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_i32;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b' ' if depth == 0 && at > 0 && bytes.get(at + 1) == Some(&b'(') => return Some(at),
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth -= 1,
            b'<' if !text[..at].ends_with("operator") => depth += 1,
            b'>' if !text[..at].ends_with(['-', '=']) => depth -= 1,
            _ => {}
        }
    }
    // Brackets that do not match, as those of `operator<<`: the first that can be it.
    text.find(" (").filter(|&at| at > 0)
}

/// The end of the arguments, whose values can hold text with brackets.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quoted = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quoted, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(quote), _) if byte == quote => quoted = None,
            (Some(_), _) => {}
            (None, b'"') => quoted = Some(b'"'),
            (None, b'(') => depth += 1,
            (None, b')') if depth == 0 => return Some(at),
            (None, b')') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// ` at night.cpp:41`, ` from /lib/x86_64-linux-gnu/libc.so.6`
fn place(after: &str) -> (&str, Option<&str>) {
    let after = after.trim();
    match (after.strip_prefix("at "), after.strip_prefix("from ")) {
        (Some(place), _) => (place.trim(), None),
        (_, Some(module)) => ("", Some(module.trim())),
        _ => ("", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(line: &'static str) -> NativeFrame<'static> {
        read(line.into()).unwrap_or_else(|| panic!("no frame: {line}")).1
    }

    #[test]
    fn frames_with_all_that_gdb_knows() {
        let read = frame(
            "#4  0x000055b6743e8483 in transfer (from=from@entry=0x7f10 <abba()::west>, cents=100) \
             at night.cpp:32",
        );
        assert_eq!((read.address, &*read.function), (Some(0x55b6743e8483), "transfer"));
        assert_eq!((read.argument("from"), &*read.place), (Some(0x7f10), "night.cpp:32"));
    }

    #[test]
    fn frames_of_which_less_is_known() {
        let nameless = frame("#11 0x00007ff8272d44a3 in ?? () from /lib/libstdc++.so.6");
        assert_eq!((&*nameless.function, nameless.module), ("", Some("/lib/libstdc++.so.6")));
        assert_eq!(frame("#3  <signal handler called>").function, "<signal handler called>");
        assert_eq!(frame("#1  main () at a.c:3").address, None);
    }

    #[test]
    fn names_with_brackets_of_their_own() {
        for (line, function) in [
            (
                "#6  std::__invoke_impl<void, abba()::<lambda()> > (__f=...) at a.h:61",
                "std::__invoke_impl<void, abba()::<lambda()> >",
            ),
            (
                "#1  std::function<void (int)>::operator() (this=0x1) at a.h:1",
                "std::function<void (int)>::operator()",
            ),
            (
                "#1  (anonymous namespace)::serve (x=\") at b:1\") at a.cpp:1",
                "(anonymous namespace)::serve",
            ),
            ("#1  operator<< (out=..., x=1) at a.cpp:1", "operator<<"),
            (
                "#1  0x1 in transfer(Account*, Account*, long) ()",
                "transfer(Account*, Account*, long)",
            ),
            (
                "#1  core::ops::function::FnOnce::call_once<fn() -> u8, ()> () at a.rs:1",
                "core::ops::function::FnOnce::call_once<fn() -> u8, ()>",
            ),
        ] {
            assert_eq!(frame(line).function, function);
        }
        assert_eq!(frame("#1  f (x=\") at b:1\") at a.cpp:1").place, "a.cpp:1");
    }

    #[test]
    fn what_is_no_frame() {
        for line in ["#", "#1", "#x  f ()", "# a comment (really)", "#0 0x1 in f", "#1  ", ""] {
            assert!(read(line.into()).is_none(), "{line}");
        }
    }
}
