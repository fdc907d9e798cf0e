//! The two lines that tell who created a goroutine, as they came after a frame that was met before.

use sigquit_dump::FrameId;

/// Who created goroutines whose root is one frame, and how that was printed last.
///
/// ```text
/// created by net/http.(*Server).Serve in goroutine 1
///     /usr/local/go/src/net/http/server.go:3285 +0x4b4
/// ```
#[derive(Debug)]
pub(super) struct Creation {
    pub creator: FrameId,
    /// What stands before the number of the goroutine that created it; without one, the first line.
    before: Box<str>,
    has_parent: bool,
    /// What stands after that, with the end of the second line.
    after: Box<str>,
}

impl Creation {
    /// The creator as two lines without their ends tell of it.
    pub fn new(first: &str, second: &str, parent: Option<u64>, creator: FrameId) -> Creation {
        let has_parent = parent.is_some();
        let before = match has_parent {
            true => first.trim_end_matches(|letter: char| letter.is_ascii_digit()),
            false => first,
        };
        let after = ["\n", second, "\n"].concat();
        Creation { creator, before: before.into(), has_parent, after: after.into() }
    }

    /// Whether a text begins with the same lines, but for the parent's number; then that, and
    /// how long they are.
    pub fn begins(&self, text: &str) -> Option<(Option<u64>, usize)> {
        let rest = text.strip_prefix(&*self.before)?;
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() && self.has_parent);
        let (parent, rest) = rest.split_at(digits.count());
        let parent = self.has_parent.then(|| parent.parse()).transpose().ok()?;
        let next = rest.strip_prefix(&*self.after)?;
        Some((parent, text.len() - next.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "\t/go/server.go:3285 +0x4b4";

    #[test]
    fn only_the_number_of_the_parent_may_differ() {
        let first = "created by net/http.(*Server).Serve in goroutine ";
        let creation = Creation::new(&format!("{first}1"), PLACE, Some(1), FrameId(0));
        let is = |first: &str| creation.begins(&format!("{first}\n{PLACE}\n\n"));
        let length = first.len() + 1 + 1 + PLACE.len() + 1;
        assert_eq!(is(&format!("{first}7")), Some((Some(7), length)));
        for other in ["", "x", "7x", "99999999999999999999"] {
            assert_eq!(is(&format!("{first}{other}")), None, "{other}");
        }
        assert_eq!(creation.begins(&format!("{first}1\n{PLACE} fp=0x1\n")), None);
    }

    #[test]
    fn before_1_21_there_is_no_parent() {
        let creation = Creation::new("created by main.main", PLACE, None, FrameId(0));
        let text = |first: &str| format!("{first}\n{PLACE}\n");
        let length = text("created by main.main").len();
        assert_eq!(creation.begins(&text("created by main.main")), Some((None, length)));
        assert_eq!(creation.begins(&text("created by main.main in goroutine 1")), None);
    }
}
