//! Who makes what is made once, where no source says so: the one that is left.
//!
//! Whoever waits for a one-time initialisation waits for the thread that is in it, and that thread stands in the
//! function that runs initialisers, of which the source names every one. When one thread alone does, it is in all that
//! is waited for. When two do, and each waits for another one, each is in the other's: were each in its own, both
//! would wait for ever as well.
//!
//! ```text
//! waiter   futex_wait < Once::call < app::settings
//! maker    futex_wait < Once::call < app::settings < app::defaults < Once::call < app::settings
//!                                                                    ^ here it was begun
//! ```
//!
//! Nothing is said where anybody's stack is missing or cut, as the maker may be there; nor where it does not last: that
//! others wait for what one of them makes is how this is meant, and soon over.

use std::collections::BTreeSet;

use sigquit_dump::{Dump, Kind, LockId, LockKind, Thread, ThreadState, WaitFor};

use super::call::CallId;
use super::contention::ASKED;
use super::incident::{Incident, MemberId};
use super::owner;
use super::pattern::matches_any;

/// Functions that run an initialiser, or wait for the one who does.
const RUNS: &[&str] = &[
    "std::sys::*once::futex::Once::call",
    "parking_lot::once::Once::call_once_slow",
    "sync.(*Once).doSlow",
    "*pthread_once*",
];

/// Who makes what, by its place. One whose place no source tells is known by being the only such one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    address: Option<u64>,
    maker: MemberId,
}

/// A thread that is in some initialisers.
struct Maker {
    thread: usize,
    /// How many.
    makes: usize,
}

/// Adds the owners that can be inferred, and are the same in every dump. Who waits for them waits for them to leave.
pub(super) fn infer(incident: &mut Incident) {
    incident.dumps.iter_mut().for_each(wait_for_known_makers);
    if incident.dumps.len() < 2 || wanted(&incident.dumps[0]).is_empty() {
        return;
    }
    let runs: Vec<bool> =
        incident.calls.iter().map(|call| matches_any(RUNS, &call.function)).collect();
    let dumps = 0..incident.dumps.len();
    let in_each = dumps.clone().map(|dump| made(incident, dump, &runs));
    let mut lasting = in_each.reduce(|one, other| &one & &other).unwrap_or_default();
    lasting.retain(|made| !was_woken(incident, made.address));
    for dump in dumps {
        for &Made { address, maker } in &lasting {
            if let Some(thread) = incident.member(maker).seen[dump] {
                let frame = frames(incident, dump, thread, &runs).last().copied();
                own(&mut incident.dumps[dump], address, thread, frame);
            }
        }
    }
}

/// Whether one who waited for it in the first dump was woken since, more often than the dumps are to blame for: then it
/// was made, and what lies there now is another.
fn was_woken(incident: &Incident, address: Option<u64>) -> bool {
    let (first, last) = (&incident.dumps[0], incident.dumps.len() - 1);
    let waits = |&thread: &usize| {
        let lock = waits_for(first, &first.threads[thread]);
        lock.is_some_and(|lock| first.lock(lock).address == address)
    };
    let mut waiters = (0..first.threads.len()).filter(waits);
    waiters.any(|thread| {
        let member = incident.member_of(0, thread);
        let slept = member.and_then(|member| incident.slept(member, 0, last));
        slept.is_some_and(|times| times > ASKED * last as u64)
    })
}

/// Where the source itself tells who makes something, that is whom the others wait for.
fn wait_for_known_makers(dump: &mut Dump) {
    let is_known = |lock: LockId| {
        let lock = dump.locks.get(lock.0 as usize);
        lock.is_some_and(|lock| lock.kind == LockKind::Once && !lock.owners.is_empty())
    };
    let known: BTreeSet<LockId> =
        (0..dump.locks.len() as u32).map(LockId).filter(|&lock| is_known(lock)).collect();
    if !known.is_empty() {
        wait_for_maker(dump, |lock| known.contains(&lock));
    }
}

/// Who waits for what is made once waits for its maker to leave.
pub(super) fn wait_for_maker(dump: &mut Dump, is_made: impl Fn(LockId) -> bool) {
    for waiter in &mut dump.threads {
        if let Some(wait) = waiter.wait.as_mut().filter(|wait| is_made(wait.lock)) {
            wait.wait_for = WaitFor::Exclusive;
            waiter.state = ThreadState::Blocked;
        }
    }
}

fn own(dump: &mut Dump, address: Option<u64>, maker: usize, frame: Option<u32>) {
    let is_it = |id: &LockId| dump.lock(*id).address == address;
    let Some(lock) = wanted(dump).into_iter().find(is_it) else { return };
    owner::own(dump, lock, maker, frame);
    wait_for_maker(dump, |waited| waited == lock);
}

/// Who makes what others wait for in one dump, as far as everyone in sight tells.
fn made(incident: &Incident, at: usize, runs: &[bool]) -> BTreeSet<Made> {
    let dump = &incident.dumps[at];
    let wanted = wanted(dump);
    if wanted.is_empty() || !is_everyone_in_sight(dump) {
        return BTreeSet::new();
    }
    let makers = makers(incident, at, runs);
    let waits_for = |maker: &Maker| waits_for(dump, &dump.threads[maker.thread]);
    let owned: Vec<(LockId, usize)> = match &makers[..] {
        [only] if wanted.len() <= only.makes => {
            wanted.into_iter().map(|lock| (lock, only.thread)).collect()
        }
        [one, other] if one.makes + other.makes == 2 && wanted.len() == 2 => {
            match (waits_for(one), waits_for(other)) {
                (Some(first), Some(second)) if first != second => {
                    vec![(first, other.thread), (second, one.thread)]
                }
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    };
    let made = |(lock, thread): (LockId, usize)| {
        let address = dump.lock(lock).address;
        Some(Made { address, maker: incident.member_of(at, thread)? })
    };
    owned.into_iter().filter_map(made).collect()
}

/// The initialisations for which somebody waits, and of which nothing else tells who is in them.
fn wanted(dump: &Dump) -> BTreeSet<LockId> {
    let waits = dump.threads.iter().filter_map(|thread| waits_for(dump, thread));
    let mut wanted: BTreeSet<LockId> = waits.collect();
    wanted.retain(|lock| dump.lock(*lock).owners.is_empty());
    if wanted.iter().filter(|lock| dump.lock(**lock).address.is_none()).count() > 1 {
        wanted.retain(|lock| dump.lock(*lock).address.is_some());
    }
    if !wanted.is_empty() {
        let holds = dump.threads.iter().flat_map(|thread| &thread.holds);
        holds.for_each(|hold| _ = wanted.remove(&hold.lock));
    }
    wanted
}

/// The initialisation for which a thread waits.
fn waits_for(dump: &Dump, thread: &Thread) -> Option<LockId> {
    let id = thread.wait.as_ref()?.lock;
    let lock = dump.locks.get(id.0 as usize)?;
    (lock.kind == LockKind::Once).then_some(id)
}

/// Whether the whole stack of everyone is known that may be in an initialiser: an async task is in none while
/// it is not polled, and then its stack is a thread's.
fn is_everyone_in_sight(dump: &Dump) -> bool {
    let whole = |thread: &Thread| dump.stack(thread).is_some_and(|stack| stack.truncated.is_none());
    let is_in_sight =
        |thread: &Thread| thread.runtime_helper || thread.kind == Kind::Task || whole(thread);
    !dump.truncated && dump.threads.iter().all(is_in_sight)
}

fn makers(incident: &Incident, at: usize, runs: &[bool]) -> Vec<Maker> {
    let dump = &incident.dumps[at];
    let maker = |thread: usize| {
        // The innermost of one who waits is the wait.
        let is_wait = usize::from(waits_for(dump, &dump.threads[thread]).is_some());
        let makes = frames(incident, at, thread, runs).len().saturating_sub(is_wait);
        (makes > 0).then_some(Maker { thread, makes })
    };
    (0..dump.threads.len()).filter_map(maker).collect()
}

/// The frames of a thread from which an initialiser was begun or is waited for, innermost first.
fn frames(incident: &Incident, at: usize, thread: usize, runs: &[bool]) -> Vec<u32> {
    let stack = incident.dumps[at].threads[thread].stack;
    let calls = stack.map_or(&[][..], |stack| incident.calls_of_stack(at, stack));
    let runs = |&(call, _): &(CallId, u32)| runs[call.0 as usize];
    // One such function may call another to do it.
    let begun = calls.chunk_by(|one, other| runs(one) && runs(other));
    begun
        .filter_map(|chunk| chunk.last().filter(|call| runs(call)))
        .map(|&(_, frame)| frame)
        .collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{OwnerSource, Runtime, Truncation};

    use super::super::Incident;
    use super::super::scene::{Draw, Moment, Scene};
    use super::*;

    const WAITS: [&str; 3] =
        ["syscall", "std::sys::sync::once::futex::Once::call", "std::sync::once::Once::call_once"];
    const BEGUN: [&str; 3] = [
        "core::ops::function::FnOnce::call_once",
        "std::sys::sync::once::futex::Once::call",
        "app::settings:3",
    ];

    fn once(dump: &mut Moment, address: u64) -> LockId {
        dump.lock(LockKind::Futex, address)
    }

    /// A thread that stands in all these calls.
    fn stands(dump: &mut Moment, name: &str, calls: &[&[&str]], waits: Option<LockId>) {
        let thread = dump.thread(name, &calls.concat());
        if let Some(lock) = waits {
            thread.waits(lock, WaitFor::Unknown);
        }
    }

    fn incident(draw: impl Fn(&mut Moment)) -> Incident {
        Scene::of(Runtime::Rust).dump(0, &draw).dump(1, &draw).incident()
    }

    /// Who owns what a member waits for.
    fn owners<'i>(incident: &'i Incident, waiter: &str) -> Vec<&'i str> {
        let thread = incident.thread(incident.named(waiter), 0).expect("it is there");
        let lock = thread.wait.as_ref().expect("it waits").lock;
        let owners = incident.wait_for(0).owners(lock).iter();
        let owners = owners.filter_map(|one| incident.member_of(0, one.thread as usize));
        incident.names(&owners.collect::<Vec<_>>())
    }

    #[test]
    fn the_only_one_in_an_initialiser_makes_what_others_wait_for() {
        let incident = incident(|dump| {
            let lock = once(dump, 0x10);
            stands(dump, "maker", &[&["read", "app::load:9"], &BEGUN], None);
            stands(dump, "w", &[&WAITS, &["app::settings:3"]], Some(lock));
            stands(dump, "idle", &[&["epoll_wait", "app::serve"]], None);
        });
        assert_eq!(owners(&incident, "w"), ["maker"]);
        let thread = incident.thread(incident.named("maker"), 0).expect("it is there");
        assert_eq!(
            (thread.holds[0].frame, thread.holds[0].source),
            (Some(3), OwnerSource::Inferred)
        );
    }

    #[test]
    fn who_waits_in_its_own_initialiser_waits_for_itself() {
        let draw = |dump: &mut Moment| {
            let lock = once(dump, 0x10);
            stands(dump, "maker", &[&WAITS, &["app::defaults:9"], &BEGUN], Some(lock));
            stands(dump, "w", &[&WAITS, &["app::settings:3"]], Some(lock));
        };
        assert_eq!(owners(&incident(draw), "w"), ["maker"]);
        assert_eq!(owners(&incident(draw), "maker"), ["maker"]);
        assert_eq!(incident(draw).wait_for(0).cycles().len(), 1);
    }

    #[test]
    fn that_one_makes_what_others_wait_for_a_moment_is_how_it_is_meant() {
        let draw = |maker: &'static str, address: u64| {
            move |dump: &mut Moment| {
                let lock = once(dump, address);
                stands(dump, maker, &[&["read", "app::load:9"], &BEGUN], None);
                stands(dump, "w", &[&WAITS, &["app::settings:3"]], Some(lock));
            }
        };
        let owners = |address, maker| {
            let scene = Scene::of(Runtime::Rust).dump(0, draw("maker", 0x10));
            owners(&scene.dump(1, draw(maker, address)).incident(), "w").len()
        };
        let woken = |dump: &mut Moment| {
            draw("maker", 0x10)(dump);
            let is_last = dump.dump.monotonic > Some(sigquit_dump::Nanos(0));
            dump.dump.threads[1].voluntary_switches = Some(if is_last { 40 } else { 10 });
        };
        assert!(super::tests::owners(&incident(woken), "w").is_empty(), "at the same address");
        assert_eq!(owners(0x10, "maker"), 1);
        assert_eq!(owners(0x20, "maker"), 0, "it makes the next");
        assert_eq!(owners(0x10, "other"), 0);
        let once = Scene::of(Runtime::Rust).dump(0, draw("maker", 0x10)).incident();
        assert!(super::tests::owners(&once, "w").is_empty(), "one dump says nothing");
    }

    #[test]
    fn two_that_each_wait_for_another_one_are_in_each_others() {
        let draw = |second: u64| {
            move |dump: &mut Moment| {
                let (one, other) = (once(dump, 0x10), once(dump, second));
                stands(dump, "a", &[&WAITS, &["app::rates:9"], &BEGUN], Some(one));
                stands(dump, "b", &[&WAITS, &["app::taxes:7"], &BEGUN], Some(other));
            }
        };
        let crossed = incident(draw(0x20));
        assert_eq!((owners(&crossed, "a"), owners(&crossed, "b")), (vec!["b"], vec!["a"]));
        assert!(owners(&incident(draw(0x10)), "a").is_empty(), "one of them, and which?");
    }

    #[test]
    fn nobody_is_named_where_another_may_be_the_one() {
        let with = |more: fn(&mut Moment)| {
            let incident = incident(|dump| {
                let lock = once(dump, 0x10);
                stands(dump, "maker", &[&["read", "app::load:9"], &BEGUN], None);
                stands(dump, "w", &[&WAITS, &["app::settings:3"]], Some(lock));
                more(dump);
            });
            let wait = incident.thread(incident.named("w"), 0).and_then(|one| one.wait.as_ref());
            let is_told = wait.is_some_and(|wait| wait.wait_for != WaitFor::Notification);
            (owners(&incident, "w").len(), is_told)
        };
        assert_eq!(with(|_| {}), (1, true));
        let another = |dump: &mut Moment| stands(dump, "b", &[&["read"], &BEGUN], None);
        assert_eq!(with(another), (0, false), "another is in one");
        assert_eq!(with(|dump| _ = dump.thread("b", &[])), (0, false), "it did not answer");
        let cut = |dump: &mut Moment| {
            stands(dump, "b", &[&["read"]], None);
            let stack = dump.dump.stacks.last_mut().expect("it has one");
            stack.truncated = Some(Truncation::TooDeep);
        };
        assert_eq!(with(cut), (0, false), "where it began is not known");
        let second = |dump: &mut Moment| {
            let lock = once(dump, 0x20);
            stands(dump, "v", &[&WAITS, &["app::rates:3"]], Some(lock));
        };
        assert_eq!(with(second), (0, false), "it cannot be in both");
    }

    #[test]
    fn functions_that_call_each_other_to_run_one_are_one() {
        let incident = incident(|dump| {
            let lock = once(dump, 0x10);
            let run = ["__pthread_once_slow", "___pthread_once"];
            stands(dump, "maker", &[&["read", "app::load:9"], &run], None);
            stands(dump, "w", &[&["futex_wait"], &run, &["app::settings:3"]], Some(lock));
        });
        assert_eq!(owners(&incident, "w"), ["maker"]);
    }
}
