//! The first line of a goroutine.

use sigquit_dump::{Nanos, ThreadState};

use super::super::text::split_once;

/// What a goroutine's first line says.
///
/// ```text
/// 1.11  goroutine 35 [semacquire, 3 minutes, locked to thread]:
/// 1.22  goroutine 19 gp=0xf2d6f3065a0 m=4 mp=0xf2d6f277808 [syscall]:
/// 1.25  goroutine 7 [chan receive (durable), synctest bubble 1]:
/// 1.26  goroutine 7 [chan send labels:{"op": "produce item", "tenant": "acme"}]:
/// 1.27  goroutine 7 [chan send] {op: "produce item", tenant: acme}:
/// 1.27  goroutine 7 [chan send (leaked)]:
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'t> {
    pub number: u64,
    /// `chan send (leaked)`: with what is said of it in parentheses.
    pub state: &'t str,
    /// `3 minutes`.
    pub waiting_since: Option<Nanos>,
    pub labels: Vec<(String, String)>,
}

/// Reads a header.
pub(super) fn read(text: &str) -> Option<Header<'_>> {
    let rest = text.strip_prefix("goroutine ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..digits].parse().ok()?;
    let inside = rest[digits..].trim_end().strip_suffix(':')?;
    let (threads, inside) = split_once(inside, b'[')?;
    if !threads.starts_with(' ') {
        return None;
    }
    let (said, labels) = split_labels(inside)?;
    let (state, more) = split_once(said, b',').unwrap_or((said, ""));
    let waiting_since = match more {
        "" => None,
        more => more.split(',').find_map(|said| minutes(said.trim_start())),
    };
    Some(Header { number, state, waiting_since, labels: self::labels(labels) })
}

/// `chan send] {op: x}`, `chan send labels:{"op": "x"}]` -> what is said of the state, and the
/// text of the labels.
fn split_labels(inside: &str) -> Option<(&str, &str)> {
    let has_brace = memchr::memchr(b'{', inside.as_bytes()).is_some();
    if let Some((said, labels)) = has_brace.then(|| inside.split_once(" labels:{")).flatten() {
        return Some((said, labels.strip_suffix("}]")?));
    }
    let (said, after) = split_once(inside, b']')?;
    match after {
        "" => Some((said, "")),
        _ => Some((said, after.strip_prefix(" {")?.strip_suffix('}')?)),
    }
}

fn minutes(said: &str) -> Option<Nanos> {
    let minutes: u64 = said.strip_suffix(" minutes")?.parse().ok()?;
    Some(Nanos(minutes.saturating_mul(60_000_000_000)))
}

/// `op: "produce item", tenant: acme`
fn labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (key, rest) = word(text, ": ");
        let (value, rest) = word(rest, ", ");
        labels.push((key, value));
        text = rest;
    }
    labels
}

/// A word, quoted as Go quotes strings when it has to be, up to a separator.
fn word<'t>(text: &'t str, separator: &str) -> (String, &'t str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_once(separator).unwrap_or((text, ""));
        return (word.to_owned(), rest);
    };
    let mut word = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let rest = &quoted[at + 1..];
                return (word, rest.strip_prefix(separator).unwrap_or(rest.trim_start()));
            }
            '\\' => word.extend(chars.next().map(|(_, escaped)| unescape(escaped))),
            _ => word.push(char),
        }
    }
    (word, "")
}

fn unescape(char: char) -> char {
    match char {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        _ => char,
    }
}

/// A goroutine's state in our words. What is said in parentheses of `(scan)`, `(leaked)`,
/// `(durable)` changes nothing.
pub(super) fn state(said: &str) -> ThreadState {
    let plain = [" (scan)", " (leaked)", " (durable)"]
        .iter()
        .fold(said, |said, suffix| said.strip_suffix(suffix).unwrap_or(said));
    match plain {
        "running" | "copystack" => ThreadState::Running,
        "runnable" | "preempted" => ThreadState::Runnable,
        "syscall" => ThreadState::Syscall,
        "sleep" => ThreadState::TimedWaiting,
        "sync.Mutex.Lock" | "sync.RWMutex.Lock" | "sync.RWMutex.RLock" => ThreadState::Blocked,
        "dead" => ThreadState::Ended,
        "" | "???" => ThreadState::Unknown,
        _ => ThreadState::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Header<'_> {
        read(text).unwrap_or_else(|| panic!("no header: {text}"))
    }

    #[test]
    fn the_headers_of_all_versions() {
        let old = header("goroutine 35 [semacquire, 3 minutes, locked to thread]:");
        assert_eq!((old.number, old.state), (35, "semacquire"));
        assert_eq!(old.waiting_since, Some(Nanos(180_000_000_000)));

        let thread = header("goroutine 19 gp=0xf2d6f3065a0 m=4 mp=0xf2d6f277808 [syscall]:");
        assert_eq!((thread.number, thread.state), (19, "syscall"));
        assert_eq!(
            header("goroutine 1 gp=0x1 m=nil [select (no cases)]:").state,
            "select (no cases)"
        );

        let leaked = header("goroutine 7 [chan send (leaked), synctest bubble 1]:");
        assert_eq!(
            (leaked.state, state(leaked.state)),
            ("chan send (leaked)", ThreadState::Waiting)
        );
    }

    #[test]
    fn labels_in_both_places() {
        let expected = [("op", "produce \"item\""), ("tenant", "acme")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let inside =
            r#"goroutine 7 [chan send labels:{"op": "produce \"item\"", "tenant": "acme"}]:"#;
        assert_eq!(header(inside).labels, expected);
        let after = r#"goroutine 7 [chan send, 2 minutes] {op: "produce \"item\"", tenant: acme}:"#;
        assert_eq!(header(after).labels, expected);
        assert_eq!(header(after).state, "chan send");
        let odd = header(r#"goroutine 7 [chan send] {"a]b": "{c}, d: e"}:"#);
        assert_eq!(odd.labels, [("a]b".to_owned(), "{c}, d: e".to_owned())]);
    }

    #[test]
    fn what_is_no_header() {
        for text in [
            "goroutine profile: total 32",
            "goroutine 7",
            "goroutine x [running]:",
            "goroutine 1 [running]",
            "goroutine 99999999999999999999 [running]:",
            "\tgoroutine 7 [running]:",
            "goroutine running on other thread; stack unavailable",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
