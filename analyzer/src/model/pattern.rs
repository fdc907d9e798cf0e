//! Patterns of function names: `*` stands for any text. All rule lists of the model are written
//! in them.

use memchr::memmem;

/// Whether a name is what a pattern describes.
///
/// `java.*` is a prefix, `*::lock_contended` a suffix, `*Pool.get*` a word in the middle.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    // Most patterns fail at their first letter, and there are thousands to try.
    let first = pattern.as_bytes().first();
    if first != Some(&b'*') && first != name.as_bytes().first() {
        return false;
    }
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            name.strip_prefix(start).is_some_and(|name| matches_after_star(rest, name))
        }
    }
}

fn matches_after_star(rest: &str, name: &str) -> bool {
    match rest.split_once('*') {
        None => name.ends_with(rest),
        Some((piece, rest)) => {
            let at = memmem::find(name.as_bytes(), piece.as_bytes());
            at.is_some_and(|at| matches_after_star(rest, &name[at + piece.len()..]))
        }
    }
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
