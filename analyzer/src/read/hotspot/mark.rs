//! What stands between frames: the locks of the frame above.

use super::super::text::split_once;

/// One annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::read) enum Mark<'t> {
    /// The frame entered the monitor. Not always ownership: see
    /// [`settle`](super::locks::Locks::settle).
    Locked(Object<'t>),
    /// It waits to enter.
    WaitingToLock(Object<'t>),
    /// It waits to be notified; the compiled code may not know of what.
    WaitingOn(Option<Object<'t>>),
    /// It was notified and waits to enter again.
    WaitingToRelock(Object<'t>),
    /// It is parked; the object is what the program named as the reason.
    Parking(Object<'t>),
    /// It waits until another thread has initialised the class.
    ClassInitialisation(&'t str),
    /// In the list at the end of a thread: it owns the synchronizer.
    Synchronizer(Object<'t>),
    /// Says nothing of who holds what: an elided lock, an empty list.
    Nothing,
}

/// `<0x0000000742762398> (a bank.kestrel.TransferDesk$Account)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::read) struct Object<'t> {
    pub address: u64,
    pub class: &'t str,
}

/// Reads an annotation, and returns what of the line comes after it: 8 and older print one of
/// them without a line end.
///
/// ```text
///     - locked <0x00000007427623e0> (a bank.kestrel.TransferDesk$Account)
///     - waiting to lock <0x0000000742762398> (a bank.kestrel.TransferDesk$Account)
///     - waiting on <0x0000000742708ed0> (a java.lang.ref.ReferenceQueue$Lock)
///     - waiting on <no object reference available>
///     - waiting to re-lock in wait() <0x00000000ffd19868> (a java.lang.Object)
///     - parking to wait for  <0x00000000fda0cd98> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)
///     - waiting on the Class initialization monitor for edge.kite.Slow
///     - eliminated <owner is scalar replaced> (a java.lang.StringBuffer)    at a.B.c(B.java:1)
///     - <0x000000069ec1a368> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)
///     - None
/// ```
pub(in crate::read) fn read(body: &str) -> Option<(Mark<'_>, &str)> {
    let body = body.strip_prefix("- ")?.trim_start();
    if let Some(class) = body.strip_prefix("waiting on the Class initialization monitor for ") {
        return Some((Mark::ClassInitialisation(class.trim()), ""));
    }
    if body == "None" {
        return Some((Mark::Nothing, ""));
    }
    let (verb, object) = body.split_at(memchr::memchr(b'<', body.as_bytes())?);
    let (object, rest) = self::object(object)?;
    let mark = match (verb.trim_end(), object) {
        ("waiting on", object) => Mark::WaitingOn(object),
        ("eliminated", _) | (_, None) => Mark::Nothing,
        ("locked", Some(object)) => Mark::Locked(object),
        ("waiting to lock", Some(object)) => Mark::WaitingToLock(object),
        ("waiting to re-lock in wait()" | "waiting to relock", Some(object)) => {
            Mark::WaitingToRelock(object)
        }
        ("parking to wait for", Some(object)) => Mark::Parking(object),
        ("", Some(object)) => Mark::Synchronizer(object),
        _ => return None,
    };
    Some((mark, rest))
}

/// `<0x0000000742762398> (a java.lang.Object)` and what follows; no object where the JVM does
/// not know it.
fn object(text: &str) -> Option<(Option<Object<'_>>, &str)> {
    let (address, rest) = split_once(text.strip_prefix('<')?, b'>')?;
    let class = rest.trim_start().strip_prefix("(a ").and_then(|class| split_once(class, b')'));
    let (class, rest) = class.unwrap_or(("", rest));
    let object = self::address(address).map(|address| Object { address, class });
    Some((object, rest))
}

/// `0x0000000742762398`, or `182ef000` in 1.4.
pub(in crate::read) fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_annotation() {
        let object = Object { address: 0x7427, class: "a.B$C" };
        let whole = |mark| Some((mark, ""));
        assert_eq!(read("- locked <0x7427> (a a.B$C)"), whole(Mark::Locked(object)));
        assert_eq!(
            read("- waiting to lock <0x0000000000007427> (a a.B$C)"),
            whole(Mark::WaitingToLock(object))
        );
        assert_eq!(read("- waiting on <0x7427> (a a.B$C)"), whole(Mark::WaitingOn(Some(object))));
        assert_eq!(
            read("- waiting on <no object reference available>"),
            whole(Mark::WaitingOn(None))
        );
        assert_eq!(
            read("- waiting to re-lock in wait() <0x7427> (a a.B$C)"),
            whole(Mark::WaitingToRelock(object))
        );
        assert_eq!(read("- parking to wait for  <0x7427> (a a.B$C)"), whole(Mark::Parking(object)));
        assert_eq!(
            read("- waiting on the Class initialization monitor for a.B"),
            whole(Mark::ClassInitialisation("a.B"))
        );
        assert_eq!(read("- <0x7427> (a a.B$C)"), whole(Mark::Synchronizer(object)));
        assert_eq!(read("- None"), whole(Mark::Nothing));
        assert_eq!(
            read("- eliminated <owner is scalar replaced> (a a.B)\tat a.B.c(B.java:1)"),
            Some((Mark::Nothing, "\tat a.B.c(B.java:1)"))
        );
    }

    #[test]
    fn what_is_no_annotation() {
        for body in ["- locked", "-  blocked on java.lang.Object@4617c264", "- a <b", "", "- "] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
