//! Patterns of function names: `*` stands for any text. All rule lists of the model are written
//! in them.

/// Whether a name is what a pattern describes.
///
/// `java.*` is a prefix, `*::lock_contended` a suffix, `*Pool.get*` a word in the middle.
#[inline]
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    // Most patterns fail at their first letter, and there are thousands to try.
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let first = pattern.first();
    (first == Some(&b'*') || first == name.first()) && matches_letters(pattern, name)
}

fn matches_letters(pattern: &[u8], name: &[u8]) -> bool {
    let is_same = |&(wanted, letter): &(&u8, &u8)| wanted == letter && *wanted != b'*';
    let same = pattern.iter().zip(name).take_while(is_same).count();
    match pattern.get(same) {
        None => name.len() == same,
        Some(b'*') => matches_after_star(&pattern[same + 1..], &name[same..]),
        Some(_) => false,
    }
}

fn matches_after_star(rest: &[u8], name: &[u8]) -> bool {
    match rest.iter().position(|&letter| letter == b'*') {
        None => name.ends_with(rest),
        Some(star) => {
            let after = after_first(name, &rest[..star]);
            after.is_some_and(|name| matches_after_star(&rest[star + 1..], name))
        }
    }
}

/// What follows a piece of a name where it stands first. Names are short: to prepare for the search
/// costs more than to look at each place where it may begin.
fn after_first<'n>(name: &'n [u8], piece: &[u8]) -> Option<&'n [u8]> {
    let Some(&first) = piece.first() else { return Some(name) };
    memchr::memchr_iter(first, name).find_map(|at| name[at..].strip_prefix(piece))
}

/// A text in which each `*` stands for what the same `*` of a pattern stands for in a name.
///
/// `*_v*.run` of `Cart_v12.run`, in `*.run`: `Cart.run`.
pub(crate) fn filled(pattern: &str, name: &str, text: &str) -> String {
    let mut pieces = pattern.split('*');
    let mut rest = name.strip_prefix(pieces.next().unwrap_or_default()).unwrap_or_default();
    let mut stands_for = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let at = if pieces.peek().is_none() {
            rest.len().checked_sub(piece.len())
        } else {
            rest.find(piece)
        };
        let at = at.filter(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        stands_for.push(&rest[..at]);
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    let mut stands_for = stands_for.into_iter();
    let mut filled = String::new();
    for (number, piece) in text.split('*').enumerate() {
        if number > 0 {
            filled.push_str(stands_for.next().unwrap_or_default());
        }
        filled.push_str(piece);
    }
    filled
}

/// Whether a name is what one of the patterns describes.
pub(crate) fn matches_any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("main", "main"),
            ("java.*", "java.lang.Thread.run"),
            ("*::lock_contended", "std::sys::sync::mutex::futex::Mutex::lock_contended"),
            ("*Pool.get*", "com.zaxxer.hikari.pool.HikariPool.getConnection"),
            ("std::*::park*", "std::thread::park_timeout"),
            ("*", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} should match {name}");
        }
    }

    #[test]
    fn what_stars_stand_for_is_put_in() {
        for (pattern, name, text, expected) in [
            ("*_v*.run", "Cart_v12.run", "*.run", "Cart.run"),
            ("shop.*", "shop.Cart.add", "*", "Cart.add"),
            ("main", "main", "start", "start"),
            ("a*", "a\u{20ac}", "*b", "\u{20ac}b"),
            ("*", "", "**", ""),
        ] {
            assert_eq!(filled(pattern, name, text), expected, "{pattern} of {name}");
        }
    }

    #[test]
    fn everything_else_is_literal() {
        for (pattern, name) in [
            ("main", "main.main"),
            ("java.*", "javax.sql.DataSource"),
            ("*.await", "Condition.awaitNanos"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, name), "{pattern} should not match {name}");
        }
    }
}
