//! The first line of a thread.

/// What gdb says of a thread.
///
/// ```text
/// Thread 4 (Thread 0x7ff82601b6c0 (LWP 14818) "auditor"):
/// Thread 2 (LWP 14816):
/// Thread 1 (Thread 0x7ff8274c5740 (LWP 14814)):
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'t> {
    /// gdb's own number of the thread.
    pub number: u64,
    pub os_id: Option<u64>,
    pub name: &'t str,
}

pub(super) fn read(text: &str) -> Option<Header<'_>> {
    let (number, rest) = text.strip_prefix("Thread ")?.split_once(" (")?;
    let number = number.rsplit('.').next()?.parse().ok()?;
    let rest = rest.trim_end().strip_suffix(':')?.strip_suffix(')')?;
    let lwp = rest.rfind("LWP ").map(|at| &rest[at + 4..]);
    let digits =
        |text: &str| text.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok();
    let name = rest.split_once('"').map_or("", |(_, name)| name.strip_suffix('"').unwrap_or(name));
    let is_target = lwp.is_some() || rest.starts_with("Thread ") || rest.starts_with("process ");
    is_target.then_some(Header { number, os_id: lwp.and_then(digits), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let named = read("Thread 4 (Thread 0x7ff82601b6c0 (LWP 14818) \"audi)tor\"):");
        assert_eq!(named, Some(Header { number: 4, os_id: Some(14818), name: "audi)tor" }));
        let core = read("Thread 2 (LWP 14816):");
        assert_eq!(core, Some(Header { number: 2, os_id: Some(14816), name: "" }));
        assert_eq!(read("Thread 1.3 (Thread 0x7f (LWP 7)):").map(|header| header.number), Some(3));
        for line in ["Thread 1 is running", "Thread 4 (of many):", "Thread x (LWP 1):", ""] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
