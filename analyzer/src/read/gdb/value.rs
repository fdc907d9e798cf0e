//! Values that say who holds a mutex.

use sigquit_dump::OwnerSource;

/// The mutex that a guard among the local variables holds. C++'s says itself whether it does;
/// Rust's variable can outlive its guard, so that is an inference.
///
/// ```text
///         mine = {_M_device = 0x55bbacd822e0 <day>, _M_owns = true}
///         guard = {m = 0x55bbacd822e0, is_locked = true}
///         from = std::sync::poison::mutex::MutexGuard<i64> {lock: 0x55d21bde0e80, poison: ...
/// ```
pub(super) fn guarded_mutex(text: &str) -> Option<(u64, OwnerSource)> {
    let (of_type, value) = text.strip_prefix("        ")?.split_once('{')?;
    let (device, owns) = value.split_once(", ")?;
    if of_type.trim_end().ends_with('=') {
        let device = device.strip_prefix("_M_device = ").or_else(|| device.strip_prefix("m = "))?;
        let owns = owns.strip_prefix("_M_owns = ").or_else(|| owns.strip_prefix("is_locked = "))?;
        return address(device).filter(|_| owns.starts_with("true")).map(tracked);
    }
    let guards = ["MutexGuard<", "RwLockWriteGuard<"];
    let device = device.strip_prefix("lock: 0x").or_else(|| device.strip_prefix("mutex: 0x"))?;
    let is_guard = guards.iter().any(|guard| of_type.contains(guard)) && of_type.contains(" = ");
    u64::from_str_radix(device, 16).ok().filter(|_| is_guard).map(inferred)
}

fn tracked(address: u64) -> (u64, OwnerSource) {
    (address, OwnerSource::Tracked)
}

fn inferred(address: u64) -> (u64, OwnerSource) {
    (address, OwnerSource::Inferred)
}

/// The owner that a printed pthread mutex names, and the object that holds the mutex where the
/// value says where that is.
///
/// ```text
/// $1 = {__data = {__lock = 2, __count = 0, __owner = 14817, __nusers = 1, ...
///         other = @0x55bbacd82340: {lock = {<std::__mutex_base> = {_M_mutex = {__data = {__lock = 2, __count = 0, __owner = 15036, ...
/// ```
pub(super) fn printed_owner(text: &str) -> Option<(Option<u64>, u64)> {
    let (before, owner) = text.split_once("__owner = ")?;
    let digits = owner.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(owner.len());
    let owner: u64 = owner[..digits].parse().ok().filter(|&owner| owner != 0)?;
    let object = before.rfind("@0x").and_then(|at| address(&before[at..]));
    Some((object, owner))
}

/// The first address in a text.
pub(super) fn address(text: &str) -> Option<u64> {
    let (_, digits) = text.split_once("0x")?;
    let end = digits.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards() {
        let held = "        mine = {_M_device = 0x55b0 <day>, _M_owns = true}";
        assert_eq!(guarded_mutex(held), Some((0x55b0, OwnerSource::Tracked)));
        let rust =
            "        from = std::sync::poison::mutex::MutexGuard<i64> {lock: 0x55d2, poison: x}";
        assert_eq!(guarded_mutex(rust), Some((0x55d2, OwnerSource::Inferred)));
        assert_eq!(guarded_mutex(&held.replace("true", "false")), None);
        assert_eq!(guarded_mutex("        mine = <optimized out>"), None);
        assert_eq!(guarded_mutex("        jmp = {prev = 0x0, cleanup = 0x0}"), None);
    }

    #[test]
    fn owners() {
        assert_eq!(printed_owner("$1 = {__data = {__lock = 2, __owner = 17, "), Some((None, 17)));
        assert_eq!(printed_owner("x = @0x55b0: {m = {__owner = 17}}"), Some((Some(0x55b0), 17)));
        assert_eq!(printed_owner("$1 = {__data = {__lock = 0, __owner = 0}"), None);
    }
}
