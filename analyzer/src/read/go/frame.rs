//! One call on a stack: a line for the function, a line for the place.

use sigquit_dump::{Frame, Location, Symbol};

use super::super::kept::Guess;

/// A call: its function and its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call<'t> {
    pub function: &'t str,
    /// `0xc0000644c0, {0x6ea7d1, 0x2}, 0x0?`; `...` for a call that was inlined.
    pub arguments: &'t str,
}

/// Reads the line of a function.
///
/// ```text
/// main.(*PriceBook).load(0xc0000644c0, {0x6ea7d1, 0x2})
/// main.(*Cart).At(...)
/// ```
pub(super) fn call(text: &str) -> Option<Call<'_>> {
    if text == "non-Go function" {
        return Some(Call { function: text, arguments: "" });
    }
    let (function, arguments) = text.strip_suffix(')')?.rsplit_once('(')?;
    let named = !function.contains([' ', '\t', '"']) && !function.starts_with(['{', '[', '(']);
    let qualified = function.contains('.') || function == "panic";
    (named && qualified).then_some(Call { function, arguments })
}

/// Splits what may be the line of a function; whether it is one, its being known says.
pub(super) fn split(text: &str) -> Option<Call<'_>> {
    let inside = text.strip_suffix(')')?;
    let open = memchr::memrchr(b'(', inside.as_bytes())?;
    Some(Call { function: &text[..open], arguments: &inside[open + 1..] })
}

/// Whether a text begins with the call that is guessed; then the call, and how long its two lines
/// are. `arguments` is given what follows the open bracket, and tells how much of it are arguments.
/// Nothing is looked for that can be compared: most of a large dump is such lines.
///
/// ```text
/// main.(*PriceBook).load(0xc0000644c0, {0x6ea7d1, 0x2})
///     /srv/app/main.go:39 +0xf1
/// ```
pub(super) fn begins<'t>(
    text: &'t str,
    guess: Guess,
    arguments: impl FnOnce(&str) -> usize,
) -> Option<(Call<'t>, usize)> {
    let after = text.strip_prefix(guess.first)?.strip_prefix('(')?;
    let (arguments, second) = after.split_at_checked(arguments(after))?;
    let second = second.strip_prefix(")\n\t")?;
    let next = match second.strip_prefix(guess.to_end) {
        Some(next) => next,
        None => {
            let more = second.strip_prefix(guess.second)?;
            more.get(end_of_place(more)?..)?
        }
    };
    let call = Call { function: &text[..guess.first.len()], arguments };
    (!guess.second.is_empty()).then_some((call, text.len() - next.len()))
}

/// What stands between a place and the next line, as far as it is the same for everyone who is
/// there.
///
/// ```text
///  +0xf1
/// ```
pub(super) fn after_place<'t>(line: &'t str, place: &str) -> &'t str {
    let after = line.trim_start().strip_prefix(place).unwrap_or_default();
    let digits = after.strip_prefix(" +0x").unwrap_or_default();
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_plain { after } else { "" }
}

/// How long the rest of a line is, with its end, of which the place was read.
///
/// ```text
///  +0xf1 fp=0xc00004da00 sp=0xc00004d9a8 pc=0x67bd71
/// ```
fn end_of_place(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    let plain = match bytes.strip_prefix(b" +0x") {
        Some(digits) => 4 + digits.iter().take_while(is_digit).count(),
        None => 0,
    };
    if bytes.get(plain) == Some(&b'\n') {
        return Some(plain + 1);
    }
    let end = memchr::memchr(b'\n', bytes)?;
    let more = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let ends = |mark: &&str| more.starts_with(mark.as_bytes());
    (more.is_empty() || PLACE_ENDS.iter().any(ends)).then_some(end + 1)
}

/// What can follow a place.
const PLACE_ENDS: [&str; 3] = [" +0x", " fp=0x", " pc=0x"];

/// The file and the line in what may be the line of a place.
pub(super) fn place_of_known(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\t' | b' ')).filter(|&at| at > 0)?;
    let colon = memchr::memrchr(b':', bytes)?;
    let digits = bytes[colon + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = colon + 1 + digits;
    let ends = matches!(bytes.get(end), None | Some(b' '));
    (ends && digits > 0 && begin < colon).then(|| &text[begin..end])
}

/// Reads the line of the goroutine's creator.
///
/// ```text
/// created by main.main in goroutine 1
/// created by net/http.(*Server).Serve
/// ```
pub(super) fn created_by(text: &str) -> Option<(&str, Option<u64>)> {
    let creator = text.strip_prefix("created by ")?;
    let in_goroutine = creator.rsplit_once(' ').and_then(|(creator, parent)| {
        Some((creator.strip_suffix(" in goroutine")?, parent.parse().ok()))
    });
    Some(in_goroutine.unwrap_or((creator, None)))
}

/// Finds the file and the line in the line of a place.
///
/// ```text
///     /srv/app/main.go:39 +0xf1 fp=0xc00004da00 sp=0xc00004d9a8 pc=0x67bd71
///     _cgo_gotypes.go:56 +0x3a
///     /srv/app/main.go:26
///     pc=0x7f166c4a9545
/// ```
pub(super) fn place(body: &str) -> Option<&str> {
    if body.starts_with("pc=0x") {
        return Some("");
    }
    let is_end = |&at: &usize| PLACE_ENDS.iter().any(|mark| body[at..].starts_with(mark));
    let end = memchr::memchr_iter(b' ', body.as_bytes()).find(is_end);
    let place = &body[..end.unwrap_or(body.len())];
    let (file, line) = place.rsplit_once(':')?;
    let is_line = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    (is_line && !file.is_empty()).then_some(place)
}

/// The frame of a call and its place.
pub(super) fn frame(function: &str, place: &str, inlined: bool) -> Frame {
    let location = place.rsplit_once(':').map(|(file, line)| Location {
        file: file.to_owned(),
        line: line.parse().ok(),
        column: None,
    });
    Frame::named(Symbol { function: function.to_owned(), location, inlined })
}

/// Whether the traceback says here that it left frames out.
///
/// ```text
/// ...202 frames elided...
/// ...additional frames elided...
/// ```
pub(super) fn is_elided(body: &str) -> bool {
    body.starts_with("...") && body.ends_with("frames elided...")
}

impl Call<'_> {
    /// The compiler merged it into its caller: no arguments are known.
    pub fn is_inlined(&self) -> bool {
        self.arguments == "..."
    }

    /// The first argument, of a method its receiver, when its value is certain: `0x1?` may be
    /// stale.
    pub fn first(&self) -> Option<u64> {
        hexadecimal(self.first_text()?)
    }

    /// The same, certain or not.
    pub fn first_even_if_stale(&self) -> Option<u64> {
        hexadecimal(self.first_text()?.trim_end_matches('?'))
    }

    fn first_text(&self) -> Option<&str> {
        Some(self.arguments.split([',', '}']).next()?.trim_start_matches('{'))
    }
}

/// Tells of the first argument, or part of one, and of every other that has so many digits at
/// least, when its value is certain; and whether it is the first. Returns where the arguments end.
///
/// ```text
/// 0xc0000644c0, {0x6ea7d1, 0x2}, 0x0?
/// ```
pub(super) fn certain(text: &str, least: usize, mut tell: impl FnMut(u64, bool)) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut is_first) = (0, true);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0' if bytes.get(at + 1) == Some(&b'x') => {
                let begin = at + 2;
                let digits = count_digits(&bytes[begin..]);
                at = begin + digits;
                let is_whole = matches!(bytes.get(at), None | Some(b',' | b'}' | b' ' | b')'));
                let least = if is_first { 1 } else { least };
                if is_whole && digits >= least && digits <= 16 {
                    tell(value(&bytes[begin..at]), is_first);
                }
                is_first = false;
            }
            b'(' | b')' | b'\n' => break,
            b'{' => at += 1,
            _ => (at, is_first) = (at + 1, false),
        }
    }
    at
}

/// How many hexadecimal digits bytes begin with. They are looked at eight at a time: a large dump
/// has more of them than of anything else.
fn count_digits(bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(eight) = bytes[count..].first_chunk() {
        let digits = digits_of_eight(u64::from_be_bytes(*eight));
        count += digits;
        if digits < 8 {
            return count;
        }
    }
    let is_digit = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    count + bytes[count..].iter().take_while(is_digit).count()
}

const EACH: u64 = 0x0101_0101_0101_0101;

/// With how many digits eight bytes begin, the first of which is the highest.
fn digits_of_eight(word: u64) -> usize {
    const HIGHEST: u64 = EACH << 7;
    /// What makes the highest bit of a byte when the byte is at least that letter.
    const fn at_least(letter: u8) -> u64 {
        EACH * (0x80 - letter) as u64
    }
    let low = word & !HIGHEST;
    let is_decimal = (low + at_least(b'0')) & !(low + at_least(b'9' + 1));
    let is_letter = (low + at_least(b'a')) & !(low + at_least(b'f' + 1));
    let is_none = (!(is_decimal | is_letter) | word) & HIGHEST;
    is_none.leading_zeros() as usize / 8
}

/// The value of sixteen hexadecimal digits at most.
fn value(digits: &[u8]) -> u64 {
    match (digits.first_chunk(), digits.last_chunk()) {
        // Where the two overlap they say the same.
        (Some(first), Some(last)) => {
            value_of_eight(*first) << (4 * (digits.len() - 8)) | value_of_eight(*last)
        }
        _ => digits.iter().fold(0, |value, &digit| value << 4 | value_of_digit(digit.into())),
    }
}

fn value_of_eight(digits: [u8; 8]) -> u64 {
    let word = u64::from_be_bytes(digits);
    let values = value_of_digit(word);
    let pairs = (values | values >> 4) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF;
    (fours | fours >> 16) & 0xFFFF_FFFF
}

/// In each byte the value of the digit there. `a` is 0x61: one, and nine for being a letter.
fn value_of_digit(word: u64) -> u64 {
    (word & (EACH * 0xF)) + ((word >> 6) & EACH) * 9
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::FrameId;

    use super::*;

    #[test]
    fn calls() {
        let load = call("main.(*PriceBook).load(0xc0000644c0, {0x6ea7d1, 0x2})").unwrap();
        assert_eq!((load.function, load.first()), ("main.(*PriceBook).load", Some(0xc0000644c0)));
        let inlined = call("main.(*Cart).At(...)").unwrap();
        assert_eq!((inlined.is_inlined(), inlined.first()), (true, None));
        let stale = call("sync.(*RWMutex).Lock(0x74b01b?)").unwrap();
        assert_eq!((stale.first(), stale.first_even_if_stale()), (None, Some(0x74b01b)));
        let generic = call("slices.SortFunc[...]({0xc0000644c0, 0x2?, 0x3})").unwrap();
        assert_eq!(generic.first(), Some(0xc0000644c0));
        assert_eq!(
            call("panic({0x9bbcb8?, 0x770ff3720f0?})").map(|call| call.function),
            Some("panic")
        );
        for text in ["{\"level\":\"info\"}", "retrying (3)", "see main.go (12)", "exit(1)", ")", ""]
        {
            assert_eq!(call(text), None, "{text}");
        }
    }

    #[test]
    fn a_guess_is_compared_with_the_whole_line() {
        let is = |first: &str, second: &str| {
            let text = format!("{first}\n{second}\nmain.b()");
            let to_end = "/m.go:1 +0x1c\n";
            let guess = Guess { id: FrameId(0), first: "main.a", second: "/m.go:1", to_end };
            let (call, length) = begins(&text, guess, |text| certain(text, 1, |_, _| {}))?;
            assert_eq!(&text[length..], "main.b()");
            Some(call.arguments.to_owned())
        };
        assert_eq!(is("main.a(0x1, {0x2})", "\t/m.go:1 +0x1c").as_deref(), Some("0x1, {0x2}"));
        assert_eq!(is("main.a(0x1, {0x2})", "\t/m.go:1 +0x1d").as_deref(), Some("0x1, {0x2}"));
        assert_eq!(is("main.a(...)", "\t/m.go:1").as_deref(), Some("..."));
        assert_eq!(is("main.a()", "\t/m.go:1 +0x1d fp=0x1\r").as_deref(), Some(""));
        assert_eq!(is("main.a()", "\t/m.go:1\r").as_deref(), Some(""));
        for (first, second) in [
            ("main.a.b()", "\t/m.go:1 +0x1d"),
            ("main.a(b).c()", "\t/m.go:1 +0x1d"),
            ("main.a()", "\t/m.go:12 +0x1d"),
            ("main.a()", "\t/m.go:1 b:2"),
            ("main.a(", "\t/m.go:1"),
        ] {
            assert_eq!(is(first, second), None, "{first}{second}");
        }
    }

    #[test]
    fn what_is_the_same_after_a_place() {
        let place = "/m.go:1";
        assert_eq!(after_place("\t/m.go:1 +0x1d", place), " +0x1d");
        for line in ["\t/m.go:1", "\t/m.go:1 +0x1d fp=0x1", "\t/m.go:1 +0x", "x"] {
            assert_eq!(after_place(line, place), "", "{line}");
        }
    }

    #[test]
    fn certain_arguments() {
        let all = |text| {
            let mut all = Vec::new();
            certain(text, 1, |value, is_first| all.push((value, is_first)));
            all
        };
        assert_eq!(
            all("0xc0000644c0, {0x6ea7d1, 0x2?}, 0x0"),
            [(0xc0000644c0, true), (0x6ea7d1, false), (0, false)]
        );
        assert_eq!(all("{0x7, ...}, 0x0?"), [(7, true)]);
        assert_eq!(all("0x7?, 0x8"), [(8, false)]);
        assert_eq!(all("...")[..], []);
        assert_eq!(all("x, {x}, 0x, 0x11112222333344445")[..], []);
        assert_eq!(all("0xfedcba9876543210, 0xABC")[..], [(0xfedcba9876543210, true)]);
        assert_eq!(certain("{0x1, 0xc0000644c0}, 0x2?)\n", 1, |_, _| {}), 25);
        assert_eq!(certain("0x1", 1, |_, _| {}), 3);
    }

    #[test]
    fn digits_end_where_something_else_stands() {
        for text in ["", "7", "7fffffff", "0123456789abcdef", "c000123456"] {
            for end in ["", ")", "g", "`", "/", ":", "A", "\u{e9}", "\u{b1}", "}, 0x12345678"] {
                let digits = count_digits(format!("{text}{end}").as_bytes());
                assert_eq!(digits, text.len(), "{text}{end}");
            }
            assert_eq!(value(text.as_bytes()), u64::from_str_radix(text, 16).unwrap_or(0));
        }
    }

    #[test]
    fn short_arguments_are_told_of_when_they_are_the_first() {
        let mut all = Vec::new();
        certain("{0x7, 0x12345}, 0x1234, 0x12345?", 5, |value, _| all.push(value));
        assert_eq!(all, [7, 0x12345]);
    }

    #[test]
    fn creators() {
        assert_eq!(created_by("created by main.main in goroutine 1"), Some(("main.main", Some(1))));
        assert_eq!(
            created_by("created by net/http.(*Server).Serve"),
            Some(("net/http.(*Server).Serve", None))
        );
        assert_eq!(created_by("main.main()"), None);
    }

    #[test]
    fn places() {
        assert_eq!(
            place("/a b/main.go:39 +0xf1 fp=0xc00004da00 sp=0xc00004d9a8 pc=0x67bd71"),
            Some("/a b/main.go:39")
        );
        assert_eq!(place("/srv/app/main.go:26"), Some("/srv/app/main.go:26"));
        assert_eq!(place("C:/app/main.go:26 +0x1"), Some("C:/app/main.go:26"));
        assert_eq!(place("<autogenerated>:1 +0x2d"), Some("<autogenerated>:1"));
        assert_eq!(place("pc=0x7f166c4a9545"), Some(""));
        for text in ["main.main()", "goroutine 1 [running]:", "a: b", ":1", ""] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    #[test]
    fn elided() {
        assert!(is_elided("...202 frames elided..."));
        assert!(is_elided("...additional frames elided..."));
        assert!(!is_elided("...and so on..."));
    }
}
