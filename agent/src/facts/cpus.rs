//! `Cpus_allowed_list` of `/proc/self/status`: on which CPUs the program may run.

/// How many a list such as `0-3,8` names.
pub(super) fn count(list: &str) -> Option<u32> {
    list.trim().split(',').map(range).try_fold(0_u32, |sum, count| sum.checked_add(count?))
}

fn range(text: &str) -> Option<u32> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_ones_add_up() {
        assert_eq!(count("0-1\n"), Some(2));
        assert_eq!(count("0-3,8,10-11"), Some(7));
        assert_eq!(count("5"), Some(1));
        assert_eq!(count(""), None);
        assert_eq!(count("3-1"), None);
    }
}
