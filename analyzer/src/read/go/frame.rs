//! One call on a stack: a line for the function, a line for the place.

use sigquit_dump::{Frame, Location, Symbol};

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

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
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
