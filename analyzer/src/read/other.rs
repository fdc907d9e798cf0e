//! What is no thread dump that we read, and is known all the same: so that an error can say what
//! the file is and what to take instead.

use super::Text;

/// What an input is, as a clause; none when nothing is known of it.
pub(super) fn describe(text: &Text) -> Option<&'static str> {
    no_text(text.bytes()).or_else(|| {
        const LOOKED_AT: usize = 2000;
        text.lines().take(LOOKED_AT).find_map(|line| by_line(line.text))
    })
}

fn no_text(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [] => Some("it is empty"),
        [0x7F, b'E', b'L', b'F', ..] => Some("it is a binary or a core file"),
        _ => None,
    }
}

fn by_line(line: &str) -> Option<&'static str> {
    const BEGINNINGS: &[(&str, &str)] = &[
        (
            "goroutine profile: total ",
            "it is a Go goroutine profile (debug=1), which has no states: take debug=2, or send \
             SIGQUIT",
        ),
        ("heap profile: ", "it is a Go heap profile"),
        ("threadcreate profile: ", "it is a Go profile of thread creation"),
        ("--- contention:", "it is a Go profile of contention"),
        ("--- mutex:", "it is a Go profile of mutexes"),
        (" num     #instances", "it is a JVM's class histogram"),
    ];
    let known = BEGINNINGS.iter().find(|(beginning, _)| line.starts_with(beginning));
    known.map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> &'static str {
        describe(&Text::from_bytes(bytes)).unwrap_or("")
    }

    #[test]
    fn what_is_not_read_is_named() {
        assert!(said(b"goroutine profile: total 32\n16 @ 0x48cb6a\n").contains("debug=2"));
        assert!(said(b"\x7FELF\x02").contains("core file"));
        assert!(said(b"").contains("empty"));
        assert_eq!(said(b"hello\n"), "");
    }
}
