//! What a log writes before every line.

use super::{Text, Unwrapped};

/// A prefix, word by word. Times differ from line to line; everything else is the same in all
/// lines of one source.
///
/// ```text
/// Nov 22 20:59:30 node-7 shop[4121]:
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A date, a time, a plain number: any other of that shape.
    Time,
    /// Any word with a number in it.
    Numbered,
    Same(String),
    /// Spaces; how many depends on the width of a number before or after them.
    Spaces,
    /// The blanks after which the line inside begins, which may begin with blanks itself.
    End(String),
}

impl Prefix {
    /// The prefix of that text.
    pub fn new(text: &str) -> Prefix {
        Prefix::of(text, Part::Time, is_time)
    }

    /// The same, with every word in which there is a number taken for one that differs from line
    /// to line.
    pub fn loose(text: &str) -> Prefix {
        Prefix::of(text, Part::Numbered, is_numbered)
    }

    fn of(text: &str, differs: Part, differing: fn(&str) -> bool) -> Prefix {
        let words = text.trim_end_matches([' ', '\t']);
        let mut parts = Vec::new();
        for (place, word) in words.split(' ').enumerate() {
            if place > 0 && parts.last() != Some(&Part::Spaces) {
                parts.push(Part::Spaces);
            }
            if word.is_empty() {
                continue;
            }
            let same = || Part::Same(word.to_owned());
            parts.push(if differing(word) { differs.clone() } else { same() });
        }
        parts.push(Part::End(text[words.len()..].to_owned()));
        Prefix { parts }
    }

    /// What stands after the prefix, on a line that has it. An empty line inside may have lost
    /// the prefix's last blanks.
    pub fn strip<'l>(&self, line: &'l str) -> Option<&'l str> {
        let mut rest = line;
        for part in &self.parts {
            rest = match part {
                Part::Time => after_word(rest, is_time)?,
                Part::Numbered => after_word(rest, is_numbered)?,
                Part::Same(word) => rest.strip_prefix(word.as_str())?,
                Part::Spaces => {
                    let trimmed = rest.trim_start_matches(' ');
                    (trimmed.len() < rest.len()).then_some(trimmed)?
                }
                Part::End(_) if rest.is_empty() => rest,
                Part::End(blanks) => rest.strip_prefix(blanks.as_str())?,
            };
        }
        Some(rest)
    }
}

fn after_word(text: &str, is_such: fn(&str) -> bool) -> Option<&str> {
    let word = text.split(' ').next().filter(|word| is_such(word))?;
    Some(&text[word.len()..])
}

fn is_numbered(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// `2026-11-22T20:59:30.000456789Z`, `20:59:30,123`, `[2026-11-22]`, `time=2026-11-22`, `22`:
/// a word of numbers, or one that has a date or a time in it.
fn is_time(word: &str) -> bool {
    let bytes = word.as_bytes();
    let between_digits = |separator: fn(&u8) -> bool| {
        let separates = |part: &&[u8]| {
            part[0].is_ascii_digit() && separator(&part[1]) && part[2].is_ascii_digit()
        };
        bytes.windows(3).filter(separates).count() >= 2
    };
    is_numbered(word)
        && (!bytes.iter().any(u8::is_ascii_alphabetic)
            || between_digits(|&byte| byte == b':')
            || between_digits(|&byte| byte == b'-' || byte == b'/'))
}

/// Takes the prefixes off. With one source, lines of others stay where they are; with several,
/// the lines of each are put together and those of nobody are left out.
pub(super) fn unwrap(prefixes: &[Prefix], text: &Text, unwrapped: &mut Unwrapped) {
    let alone = prefixes.len() == 1;
    for prefix in prefixes {
        for line in text.lines() {
            match prefix.strip(line.text) {
                Some(inside) => unwrapped.push_line(line.number, inside),
                None if alone => unwrapped.push_line(line.number, line.text),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip<'l>(prefix: &str, line: &'l str) -> Option<&'l str> {
        Prefix::new(prefix).strip(line)
    }

    #[test]
    fn times_differ_and_words_do_not() {
        let journal = "Nov  2 20:59:30 node-7 shop[4121]: ";
        assert_eq!(strip(journal, "Nov 12 21:00:01 node-7 shop[4121]:   x"), Some("  x"));
        assert_eq!(strip(journal, "Nov 12 21:00:01 node-8 shop[4121]: x"), None);
        assert_eq!(strip(journal, "Nov 12 21:00:01 node-7 shop[4121]:"), Some(""));
        let wrapper = "INFO   | jvm 1    | 2026/11/22 21:03:15 | ";
        assert_eq!(
            strip(wrapper, "INFO   | jvm 1    | 2026/11/22 21:03:16 | \tat a"),
            Some("\tat a")
        );
        assert_eq!(strip("    ", "        x"), Some("    x"));
    }

    #[test]
    fn words_with_times() {
        for word in ["2026-11-22T20:59:30.0Z", "20:59:30,123", "[22]", "time=2026-11-22", "7"] {
            assert!(is_time(word), "{word}");
        }
        for word in ["node-7", "shop[4121]:", "[pod/web-0/app]", "|", "F", ""] {
            assert!(!is_time(word), "{word}");
        }
    }
}
