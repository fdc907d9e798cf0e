//! One call as a debugger shows it.

use std::borrow::Cow;

use sigquit_dump::{Frame, Location, ModuleId, Symbol, Trust};

/// A frame of machine code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::read) struct NativeFrame<'t> {
    /// The pc as printed; frames that were inlined into the next have none.
    pub address: Option<u64>,
    /// Empty where the debugger knows no name.
    pub function: Cow<'t, str>,
    /// `mutex=0x55b6743ee3c0 <east+32>, private=0`; empty where it knows none.
    pub arguments: Cow<'t, str>,
    /// File and line, as `file:line` or `file:line:column`.
    pub place: Cow<'t, str>,
    /// The path of the shared object, where it is named.
    pub module: Option<&'t str>,
    /// Inlined into the next frame.
    pub inlined: bool,
}

/// What makes two frames one.
pub(super) type Key<'t> = (Option<u64>, Cow<'t, str>, Cow<'t, str>, Option<ModuleId>, bool);

impl<'t> NativeFrame<'t> {
    pub(super) fn key(&self, module: Option<ModuleId>) -> Key<'t> {
        (self.address, self.function.clone(), self.place.clone(), module, self.inlined)
    }

    /// Reads it as a frame of a dump. `is_leaf`: the thread's innermost, whose pc is its own and
    /// not a return address.
    pub(super) fn read(&self, module: Option<ModuleId>, is_leaf: bool) -> Frame {
        let location = location(&self.place);
        let symbol = |function: String| Symbol { function, location, inlined: self.inlined };
        let named = (!self.function.is_empty()).then(|| symbol(self.function.clone().into_owned()));
        Frame {
            address: self.address.map(|pc| if is_leaf { pc } else { pc.saturating_sub(1) }),
            module,
            trust: Trust::Runtime,
            symbols: named.into_iter().collect(),
            ..Frame::default()
        }
    }

    /// The value of an argument, when it is a number.
    pub fn argument(&self, name: &str) -> Option<u64> {
        self.named_arguments().find(|(known, _)| *known == name).and_then(|(_, value)| value)
    }

    /// Every argument that is a number, by name.
    ///
    /// `futex_word=futex_word@entry=0x7ff8, private=0` -> `futex_word` 0x7ff8, `private` 0
    pub fn named_arguments(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        self.arguments.split(", ").filter_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            let value = match value.split_once("@entry=") {
                Some((again, value)) if again == name => value,
                _ => value,
            };
            Some((name.trim(), number(value)))
        })
    }
}

/// `0x55b6743ee3c0 <east+32>`, `@0x55b6743ee3c0: {...}`, `14816` -> the number
pub(super) fn number(value: &str) -> Option<u64> {
    let value = value.trim_start_matches('@');
    let (digits, radix) = match value.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (value, 10),
    };
    let end = digits.find(|letter: char| !letter.is_digit(radix)).unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], radix).ok()
}

/// A C++ function's name without the type that it returns, which is a part of the names of
/// templates' instances: `void std::condition_variable::wait<F>(F)` -> `std::condition_...`.
pub(in crate::read) fn without_return_type(function: &str) -> &str {
    let mut depth = 0_i32;
    let mut begin = 0;
    for (at, byte) in function.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'{' | b'[' => depth += 1,
            b'>' if function[..at].ends_with(['-', '=']) => {}
            b'>' | b')' | b'}' | b']' => depth -= 1,
            b' ' if depth == 0 && !is_within_name(&function[..at], &function[at + 1..]) => {
                begin = at + 1;
            }
            _ => {}
        }
    }
    if depth == 0 && begin < function.len() { &function[begin..] } else { function }
}

/// Whether a blank is a part of a name: `operator new`, `Till::total() const`.
fn is_within_name(before: &str, after: &str) -> bool {
    let word = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
    before.ends_with("operator")
        || after.starts_with(['&', '['])
        || matches!(word, Some("const" | "volatile"))
}

/// `night.cpp:41`, `./nptl/futex-internal.c:57:12`
fn location(place: &str) -> Option<Location> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let split = |place| str::rsplit_once(place, ':').filter(|(_, number)| is_number(number));
    let (file, numbers) = match (split(place), split(place).and_then(|(rest, _)| split(rest))) {
        (Some((_, column)), Some((file, line))) => (file, (line.parse().ok(), column.parse().ok())),
        (Some((file, line)), None) => (file, (line.parse().ok(), None)),
        _ => (place, (None, None)),
    };
    let (line, column) = numbers;
    (!file.is_empty()).then(|| Location { file: file.to_owned(), line, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let frame = NativeFrame {
            arguments: "futex_word=futex_word@entry=0x7f10 <east+32>, expected=14816, \
                cents=<optimized out>, other=@0x7f20: {lock = 1}"
                .into(),
            ..NativeFrame::default()
        };
        assert_eq!(frame.argument("futex_word"), Some(0x7f10));
        assert_eq!(frame.argument("expected"), Some(14816));
        assert_eq!(frame.argument("cents"), None);
        assert_eq!(frame.argument("other"), Some(0x7f20));
        assert_eq!(frame.argument("mutex"), None);
    }

    #[test]
    fn return_types() {
        for (printed, name) in [
            ("void std::wait<F<int>>(F<int>)", "std::wait<F<int>>(F<int>)"),
            ("transfer(Account*, long)", "transfer(Account*, long)"),
            ("operator new(unsigned long)", "operator new(unsigned long)"),
            ("<a::B as c::D>::e", "<a::B as c::D>::e"),
            ("Till::total() const", "Till::total() const"),
            ("char const* till::name(int) const &", "till::name(int) const &"),
            ("int constants()", "constants()"),
            ("f() [clone .cold]", "f() [clone .cold]"),
            ("(anonymous namespace)::f()", "(anonymous namespace)::f()"),
            ("", ""),
        ] {
            assert_eq!(without_return_type(printed), name);
        }
    }

    #[test]
    fn places() {
        let at = |place| location(place).map(|at| (at.file, at.line, at.column));
        assert_eq!(at("night.cpp:41"), Some(("night.cpp".into(), Some(41), None)));
        assert_eq!(at("./a/b.c:57:12"), Some(("./a/b.c".into(), Some(57), Some(12))));
        assert_eq!(at("C:\\a.c"), Some(("C:\\a.c".into(), None, None)));
        assert_eq!(at(""), None);
    }
}
