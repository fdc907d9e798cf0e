//! Phrases that findings share: members, locks and counts in words.

use sigquit_dump::{Hold, Kind, Lock, LockId, Nanos};

use super::LockOf;
use crate::model::{Incident, MemberId, Origin};

/// So many members are named; the rest is counted.
const NAMED: usize = 4;

/// So many of the program's own functions are told of one stack.
const OWN_FRAMES: usize = 5;
/// So many of the libraries' functions say what was called, beside the leaf.
const LIBRARY_FRAMES: usize = 2;

/// `3 threads`, `1 goroutine`: members by the word for their kind.
pub(super) fn count(incident: &Incident, members: &[MemberId]) -> String {
    let noun = members.first().map_or("thread", |&first| incident.member(first).kind.noun());
    number(members.len(), noun)
}

/// `1 dump`, `3 dumps`.
pub(super) fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// One member: `request-1 (4711)`, `goroutine 12`, or the name alone where that is its id; a thread
/// that was in one task all the time with that task.
pub(super) fn who(incident: &Incident, id: MemberId) -> String {
    match incident.always_carried(id) {
        Some(task) => format!("{} in {}", named(incident, id), named(incident, task)),
        None => named(incident, id),
    }
}

fn named(incident: &Incident, id: MemberId) -> String {
    let member = incident.member(id);
    match (member.name.trim(), member.kind) {
        ("", kind) if member.id.is_empty() => format!("a {}", kind.noun()),
        ("", kind) => format!("{} {}", kind.noun(), member.id),
        (name, _) if name == member.id.trim() => format!("\"{name}\""),
        (name, Kind::Thread) => format!("\"{name}\" ({})", member.id),
        (name, kind) => format!("\"{name}\" ({} {})", kind.noun(), member.id),
    }
}

/// The first few members by name, and how many more there are.
pub(super) fn those(incident: &Incident, members: &[MemberId]) -> String {
    let named: Vec<String> = members.iter().take(NAMED).map(|&id| who(incident, id)).collect();
    match members.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", named.join(", ")),
        _ => list(&named),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// A lock in a sentence: `the monitor 0x7f10 (io.banyan.JournalWriter)`.
pub(super) fn the_lock(lock: &Lock) -> String {
    let place = lock.address.map_or(String::new(), |address| format!(" {address:#x}"));
    let of_type = lock.type_name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
    format!("the {}{place}{of_type}", lock.kind.noun())
}

/// `taken at src/orders.rs:12 and held for 3.2 s`: what a lock that keeps records says of its
/// owner.
pub(super) fn taken(
    incident: &Incident,
    owner: MemberId,
    dump: usize,
    lock: LockId,
) -> Option<String> {
    let thread = incident.thread(owner, dump)?;
    thread.holds.iter().filter(|hold| hold.lock == lock).find_map(taking)
}

fn taking(hold: &Hold) -> Option<String> {
    let at = hold.taken_at.as_ref()?;
    let line = at.line.map_or(String::new(), |line| format!(":{line}"));
    let held = hold.held.map_or(String::new(), |held| format!(" and held for {}", duration(held)));
    Some(format!("taken at {}{line}{held}", at.file))
}

/// A lock as a finding names it.
pub(super) fn lock_of(lock: &Lock) -> LockOf {
    LockOf {
        id: lock
            .address
            .map_or_else(|| "address unknown".into(), |address| format!("{address:#x}")),
        kind: lock.kind.noun().into(),
        type_name: lock.type_name.clone(),
    }
}

/// The functions that tell where a member is: the leaf, the outermost few of the libraries' functions that it is in, by
/// which the program called them, and the innermost few of the program's own. Innermost first. Of a task the leaf is
/// where its waker was copied, and tells nothing.
pub(super) fn telling_frames(incident: &Incident, member: MemberId, dump: usize) -> Vec<String> {
    let mut frames: Vec<String> = Vec::new();
    let mut own = 0;
    for (depth, call) in incident.calls(member, dump).enumerate() {
        let tells = match call.origin {
            Origin::Application => own < OWN_FRAMES,
            Origin::Library => own == 0,
            Origin::Runtime => depth == 0,
        };
        if own == 0 && call.origin == Origin::Application {
            leave_plumbing_out(&mut frames, incident.member(member).kind == Kind::Task);
        }
        if tells && frames.last() != Some(&call.function) {
            frames.push(call.function.clone());
            own += usize::from(call.origin == Origin::Application);
        }
    }
    frames
}

/// Keeps the leaf, but of a task, and the last few.
fn leave_plumbing_out(frames: &mut Vec<String>, is_task: bool) {
    let leaf = usize::from(!is_task);
    if frames.len() > leaf + LIBRARY_FRAMES {
        frames.drain(leaf..frames.len() - LIBRARY_FRAMES);
    }
}

/// The innermost function of the program itself, or whatever is innermost.
pub(super) fn place(incident: &Incident, member: MemberId, dump: usize) -> Option<String> {
    let own = incident.application_calls(member, dump).next();
    let call = own.or_else(|| incident.calls(member, dump).next())?;
    Some(match call.line() {
        Some(line) => format!("{} (line {line})", call.function),
        None => call.function.clone(),
    })
}

/// `3.2 s`, `140 ms`.
pub(super) fn duration(time: Nanos) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

/// Figures in the order of the dumps: `3, 0 and 7`.
pub(super) fn figures(counts: &[usize]) -> String {
    list(&counts.iter().map(usize::to_string).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Location, LockKind, OwnerSource};

    use super::*;

    #[test]
    fn a_taking_is_told_as_far_as_it_is_known() {
        let hold = Hold::new(LockId(0), None, OwnerSource::Tracked);
        assert_eq!(taking(&hold), None);
        let at = Location { file: "a.rs".into(), line: Some(7), column: None };
        let taken = Hold { taken_at: Some(at), ..hold };
        assert_eq!(taking(&taken).as_deref(), Some("taken at a.rs:7"));
        let held = Hold { held: Some(Nanos::from_millis(3200)), ..taken };
        assert_eq!(taking(&held).as_deref(), Some("taken at a.rs:7 and held for 3.2 s"));
    }

    #[test]
    fn lists_read_as_english() {
        assert_eq!(figures(&[]), "");
        assert_eq!(figures(&[3]), "3");
        assert_eq!(figures(&[3, 0, 7]), "3, 0 and 7");
        assert_eq!(number(1, "dump"), "1 dump");
        assert_eq!(number(0, "dump"), "0 dumps");
        assert_eq!(duration(Nanos::from_millis(140)), "140 ms");
        assert_eq!(duration(Nanos::from_millis(3210)), "3.2 s");
    }

    #[test]
    fn a_lock_is_named_with_what_is_known_of_it() {
        let lock = Lock {
            kind: LockKind::Monitor,
            address: Some(0x7f10),
            type_name: Some("shop.Cart".into()),
            ..Lock::default()
        };
        assert_eq!(the_lock(&lock), "the monitor 0x7f10 (shop.Cart)");
        assert_eq!(the_lock(&Lock { kind: LockKind::Mutex, ..Lock::default() }), "the mutex");
    }
}
