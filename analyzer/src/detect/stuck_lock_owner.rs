//! The owner of a lock that does not come back while others wait.

mod not_given_back;

use sigquit_dump::{LockKind, OwnerSource, ThreadState, WaitFor};

use super::deadlock::async_circle;
use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{
    A_BREATH, Activation, Activity, CallId, Contention, Incident, MemberId, Origin, Sight,
    is_made_once,
};

pub(super) const DETECTOR: Detector =
    Detector { name: "stuck-lock-owner", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# stuck-lock-owner

The same owner of a lock, in the same call, in every dump, while others wait for the lock.

Where `lock-contention` is a queue that moves, this is a door that stays shut: the owner entered
something under the lock and has not come out between the first dump and the last.

## Evidence

- Someone waits for the lock in every dump, of which there are two at least.
- Every dump shows the same owner.
- The owner is in the same activation: the same frames at the same addresses in memory, or, where
  the source prints no addresses, the same functions at the same lines. An owner that waits there
  and has used no CPU time in between cannot have left. One that has used some did leave, and is not
  reported, where there are no addresses; and where there are, when those who wait were woken in between,
  as happens when the lock is free.
- Where equal lines do not tell (an owner that sleeps, or waits again and again), those who wait do: all who wait in one
  dump still wait in the next, none of them ran, and they are so many that one of them would own the lock by now if it
  had been handed on: four in three dumps, two in four.
- Where the owner is unknown: that the lock is not given back, by those who wait. Go counts for how long they have
  waited, ten seconds at least for each of them; elsewhere all who wait in the first dump wait in the last, and none of them
  used CPU time, as one does that is woken. Then it is said who else is in the code that uses the lock, and nobody is
  accused. One dump of Go is enough for that; there an owner that is inferred is named as such.

Low where what is made once is being made by one who computes: that may take its time, as when a process begins.

## Limits

- Without frame addresses and CPU times, an owner that left and came back to the same line looks
  the same; and so does one that takes the lock back before any of those who wait gets it, which is as bad for them.
- An owner that waits for another lock is not stuck in itself: the finding is about the owner at
  the end of the chain. A circle is a `deadlock`, and so is one that is inferred to lead through an async lock.
- Nothing is said from one dump in which nobody counts how long the others wait; but for a hint where the owner waits to
  be notified at another monitor, which gives back that one only.

## What to do

Look at what the owner is stuck in. For I/O: is the peer alive, and is there a timeout? Give it one,
and do not hold the lock across it. For a wait for another thread: does that thread need this lock?
For computation: see whether it ends.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let contentions = incident.contentions();
    // Who is told to wait in a circle is not told again.
    let circle = async_circle::finding(incident).filter(|found| found.severity >= Severity::Medium);
    let in_circle = |one: &&Contention| {
        let owner = one.only_owner().map(|(owner, _)| owner);
        circle.as_ref().is_some_and(|found| found.owner == owner)
    };
    let open = contentions.iter().filter(|one| !in_circle(one));
    let known = open.filter_map(|contention| finding(incident, contention));
    let known = known.chain(contentions.iter().filter_map(|one| awaits_notice(incident, one)));
    known.chain(not_given_back::findings(incident, &contentions)).collect()
}

fn finding(incident: &Incident, contention: &Contention) -> Option<Finding> {
    let (owner, source) = contention.only_owner()?;
    let activation = stuck(incident, contention, owner)?;
    let dump = contention.last().dump;
    let victims = victims(incident, dump, owner);
    let (grade, confidence) = sureness(incident, &activation, source);
    Some(Finding {
        detector: DETECTOR.name,
        severity: match is_at_work(incident, contention) {
            true => Severity::Low,
            false => severity(incident, dump, victims.len(), incident.dumps.len() > 2),
        },
        grade,
        confidence,
        headline: headline(incident, contention, &activation, &victims),
        detail: detail(incident, contention, owner, source, &activation),
        next_step: next_step(incident, contention, owner),
        members: vec![owner],
        victims,
        holders: Vec::new(),
        lock: Some(phrase::lock_of(contention.lock(incident))),
        owner: Some(owner),
        owner_source: Some(source),
        frames: phrase::telling_frames(incident, owner, dump),
        evidence: evidence(incident, contention, owner, &activation),
    })
}

/// What one dump shows of it: the owner waits to be notified, for as long as it takes, and keeps the lock meanwhile, as
/// waiting gives back only the monitor at which one waits. Whoever is to notify it may be among those who wait.
fn awaits_notice(incident: &Incident, contention: &Contention) -> Option<Finding> {
    let (owner, source) = contention.only_owner().filter(|_| incident.dumps.len() == 1)?;
    let thread = incident.thread(owner, 0)?;
    let wait = thread.wait.as_ref().filter(|_| thread.state == ThreadState::Waiting)?;
    let notified = wait.wait_for == WaitFor::Notification && source != OwnerSource::Inferred;
    // Who takes turns at a queue waits in it where the others wait for their turn.
    let inner = |id| {
        incident.calls(id, 0).find(|call| call.origin != Origin::Runtime).map(|call| &call.function)
    };
    if !notified || contention.last().waiters.iter().any(|&id| inner(id) == inner(owner)) {
        return None;
    }
    let victims = victims(incident, 0, owner);
    let (lock, at) = (contention.lock(incident), incident.dumps[0].lock(wait.lock));
    let who = phrase::who(incident, owner);
    let place = phrase::place(incident, owner, 0).unwrap_or_else(|| "its innermost call".into());
    Some(Finding {
        detector: DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Pattern,
        confidence: Grade::Pattern.cap(),
        headline: format!(
            "{who} waits to be notified with {} in its hand, for which {} wait{}",
            phrase::the_lock(lock),
            phrase::count(incident, &victims),
            if victims.len() == 1 { "s" } else { "" },
        ),
        detail: format!(
            "It waits at {} in {place}. To wait gives back that one only: whoever comes to notify it must not need \
             the other. One dump shows it, and may have met a moment.",
            phrase::the_lock(at),
        ),
        next_step: format!(
            "Take two more dumps: if it is still there, restart the process. Look whether the one who notifies {place} \
             needs the lock that it keeps; do not wait at one lock with another in hand."
        ),
        members: vec![owner],
        victims,
        lock: Some(phrase::lock_of(lock)),
        owner: Some(owner),
        owner_source: Some(source),
        frames: phrase::telling_frames(incident, owner, 0),
        evidence: vec![Evidence {
            text: format!(
                "{who} waits at {}, and owns {}",
                phrase::the_lock(at),
                phrase::the_lock(lock)
            ),
            dump: Some(0),
            member: Some(owner),
            value: None,
        }],
        ..Finding::default()
    })
}

/// The activation in which the owner stayed through all dumps, each of which shows a waiter.
fn stuck(incident: &Incident, contention: &Contention, owner: MemberId) -> Option<Activation> {
    let throughout = incident.dumps.len() > 1 && contention.sights.len() == incident.dumps.len();
    let at_the_end =
        (0..incident.dumps.len()).all(|dump| incident.activity(owner, dump) != Activity::Lock);
    if !throughout || !at_the_end || contention.is_turn_taking(incident) {
        return None;
    }
    let activation = incident.same_activation(owner)?;
    let sleeps = incident.activity(owner, contention.last().dump) == Activity::Sleeping;
    if sleeps && !is_one_call(incident, &activation) && !contention.is_kept(incident) {
        // Sleeping at one line is what a loop with a pause looks like, which may unlock meanwhile.
        return None;
    }
    let throughout = activation.above.len() == incident.dumps.len();
    (throughout
        && !has_left(incident, contention, owner, &activation)
        && is_under_the_lock(incident, contention, owner, &activation))
    .then_some(activation)
}

/// Whether the owner ran meanwhile, and left the call to come back to the same line: a loop calls the same
/// function at the same address. That the lock was free in between tells; where there are no addresses,
/// it is enough that the owner waits in every dump, unless those who wait show that nobody else got the lock.
fn has_left(
    incident: &Incident,
    contention: &Contention,
    owner: MemberId,
    activation: &Activation,
) -> bool {
    let ran = incident.cpu_used(owner).is_some_and(|(used, _)| used > A_BREATH);
    let waits = || (0..incident.dumps.len()).all(|dump| incident.activity(owner, dump).is_wait());
    let came_back = || !activation.by_address && waits() && !contention.is_kept(incident);
    ran && (contention.was_free(incident) || came_back())
}

/// Whether it is known to be one call, and not only a call at the same line.
fn is_one_call(incident: &Incident, activation: &Activation) -> bool {
    activation.by_address || stood_still(incident, activation.member)
}

/// Whether the owner did not run at all: it cannot have left the call.
fn stood_still(incident: &Incident, owner: MemberId) -> bool {
    incident.cpu_used(owner).is_some_and(|(used, _)| used <= A_BREATH)
}

/// Whether the calls that stayed the same reach into what the owner does under the lock: they
/// are the whole stack, or by their addresses they include the frame that took the lock, or the
/// program's innermost one where that frame is not known.
fn is_under_the_lock(
    incident: &Incident,
    contention: &Contention,
    owner: MemberId,
    activation: &Activation,
) -> bool {
    if activation.whole {
        return true;
    }
    let last = contention.last();
    let Some(thread) = incident.thread(owner, last.dump) else { return false };
    let hold = thread.holds.iter().find(|hold| hold.lock == last.lock);
    let above = activation.above.last().map_or(0, |&(_, above)| above);
    let calls = incident.call_ids(owner, last.dump);
    match hold.and_then(|hold| hold.frame) {
        // The frame that took the lock is called on: its callee stayed as well.
        Some(frame) => calls.get(above).is_some_and(|&(_, depth)| depth < frame),
        None => {
            let own =
                |&(call, _): &(CallId, u32)| incident.call(call).origin == Origin::Application;
            activation.by_address && calls.iter().position(own).is_some_and(|own| above <= own)
        }
    }
}

fn sureness(incident: &Incident, activation: &Activation, source: OwnerSource) -> (Grade, f64) {
    let (grade, confidence): (Grade, f64) = if activation.by_address {
        (Grade::Counter, 0.9)
    } else if stood_still(incident, activation.member) {
        (Grade::Counter, 0.85)
    } else if incident.dumps.len() > 2 {
        (Grade::Repeat, 0.8)
    } else {
        (Grade::Repeat, 0.65)
    };
    let inferred = source == OwnerSource::Inferred;
    (grade, if inferred { confidence - 0.1 } else { confidence })
}

/// Everyone who cannot go on before the owner does.
fn victims(incident: &Incident, dump: usize, owner: MemberId) -> Vec<MemberId> {
    let Some(thread) = incident.member(owner).seen.get(dump).copied().flatten() else {
        return Vec::new();
    };
    let blocked = incident.wait_for(dump).blocked_by(thread as u32);
    blocked.iter().filter_map(|&thread| incident.member_of(dump, thread as usize)).collect()
}

/// So many behind one owner are bad whatever else goes on.
const MANY: usize = 10;

/// How bad it is that so many cannot go on, by how long that was seen to last.
pub(super) fn severity(incident: &Incident, dump: usize, victims: usize, lasts: bool) -> Severity {
    let busy = incident.busy(dump).max(1);
    if victims >= MANY && victims * 2 > busy {
        Severity::Critical
    } else if victims >= MANY || victims >= 3 && victims * 4 > busy {
        Severity::High
    } else if victims > 1 || lasts {
        Severity::Medium
    } else {
        // One waiter behind one I/O, caught twice, happens to the healthiest.
        Severity::Low
    }
}

fn headline(
    incident: &Incident,
    contention: &Contention,
    activation: &Activation,
    victims: &[MemberId],
) -> String {
    let does = incident.activity(activation.member, contention.last().dump);
    let stays = match is_one_call(incident, activation) {
        true => "in one and the same call",
        false => "at the same place in every dump",
    };
    format!(
        "{} {does} {stays} and {} {}, for which {} wait{}",
        phrase::who(incident, activation.member),
        if is_once(incident, contention) { "runs" } else { "owns" },
        phrase::the_lock(contention.lock(incident)),
        phrase::count(incident, victims),
        if victims.len() == 1 { "s" } else { "" },
    )
}

fn detail(
    incident: &Incident,
    contention: &Contention,
    owner: MemberId,
    source: OwnerSource,
    activation: &Activation,
) -> String {
    let waiters = contention.waiters_per_dump(incident);
    let frames = phrase::telling_frames(incident, owner, contention.last().dump);
    let mut detail = vec![format!(
        "In all {} it stands in {}, and {} wait.",
        phrase::number(incident.dumps.len(), "dump"),
        frames.join(" < "),
        phrase::figures(&waiters),
    )];
    let last = contention.last();
    let taken = phrase::taken(incident, owner, last.dump, last.lock);
    detail.extend(taken.map(|taken| format!("The lock was {taken}.")));
    if let Some(time) = activation.duration {
        detail.push(format!("That is {} at least.", phrase::duration(time)));
    }
    if stood_still(incident, owner) {
        detail.push("It has used no CPU time since, so it has not left that call.".into());
    } else if !activation.by_address && contention.is_kept(incident) {
        detail.push(
            "The source prints no frame addresses: that it kept the lock is read from equal lines, and from those \
             who wait, of whom none got it in between."
                .into(),
        );
    } else if !activation.by_address {
        detail.push(
            "The source prints no frame addresses: that it is one call is read from equal lines."
                .into(),
        );
    }
    if source == OwnerSource::Inferred {
        detail.push(match is_once(incident, contention) {
            true => {
                "That it makes it is inferred: nobody else in sight is in an initialiser.".into()
            }
            false => "That it owns the lock is inferred.".into(),
        });
    }
    detail.join(" ")
}

/// Whether what is waited for is being made, by one who computes: it may take its time, as when a process begins.
pub(super) fn is_at_work(incident: &Incident, contention: &Contention) -> bool {
    let computes = |dump: usize, owner| incident.activity(owner, dump) == Activity::Computing;
    let owner = contention.newest_owner();
    let kind = contention.lock(incident).kind;
    is_made_once(kind) && owner.is_some_and(|(dump, owner, _)| computes(dump, owner))
}

/// Whether it is not a lock but something that is made once.
fn is_once(incident: &Incident, contention: &Contention) -> bool {
    contention.lock(incident).kind == LockKind::Once
}

fn next_step(incident: &Incident, contention: &Contention, owner: MemberId) -> String {
    let dump = contention.last().dump;
    let place = phrase::place(incident, owner, dump).unwrap_or_else(|| "its innermost call".into());
    let look = match incident.activity(owner, dump) {
        Activity::Network => format!(
            "Look at the peer that {place} talks to, and whether that call has a timeout; give it \
             one"
        ),
        Activity::File => format!("Look at the disk that {place} writes to or reads from"),
        Activity::ChildProcess => format!("Look at the child process for which {place} waits"),
        Activity::Sleeping if is_once(incident, contention) => {
            format!("{place} sleeps while all others wait for what it makes")
        }
        Activity::Sleeping => format!("{place} sleeps while it owns the lock: let it unlock first"),
        Activity::Event => format!(
            "Look at who was to wake it in {place}, and whether that one needs this lock itself"
        ),
        Activity::Computing => format!("See whether the work in {place} advances at all"),
        Activity::SystemCall | Activity::Lock | Activity::Unknown => {
            format!("Look at what keeps it in {place}")
        }
    };
    match is_once(incident, contention) {
        true => {
            format!("{look}. In the code, make it before others ask for it, or without that call.")
        }
        false => format!("{look}. In the code, do not hold the lock across that call."),
    }
}

fn evidence(
    incident: &Incident,
    contention: &Contention,
    owner: MemberId,
    activation: &Activation,
) -> Vec<Evidence> {
    let sight = |sight: &Sight| Evidence {
        text: format!(
            "{} {} and {}; {} for it",
            phrase::who(incident, owner),
            if is_once(incident, contention) { "makes it" } else { "owns the lock" },
            incident.activity(owner, sight.dump),
            match &sight.waiters[..] {
                [_] => "1 waits".to_owned(),
                waiters => format!("{} wait", waiters.len()),
            },
        ),
        dump: Some(sight.dump),
        member: Some(owner),
        value: Some(sight.waiters.len() as f64),
    };
    let mut evidence: Vec<Evidence> = contention.sights.iter().map(sight).collect();
    if !is_one_call(incident, activation) && contention.is_kept(incident) {
        let stayed = contention.sights[0].waiters.len();
        evidence.push(Evidence {
            value: Some(stayed as f64),
            ..Evidence::text(match stayed {
                1 => "the one who waits in the first dump waits in every other".to_owned(),
                _ => format!("all {stayed} who wait in the first dump wait in every other"),
            })
        });
    }
    let how = if activation.by_address { "at the same addresses" } else { "at the same lines" };
    evidence.push(Evidence {
        text: format!(
            "the same {} {how} in every dump",
            phrase::number(activation.calls.len(), "call")
        ),
        dump: None,
        member: Some(owner),
        value: activation.duration.map(|time| time.as_secs_f64()),
    });
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockId, Nanos, Runtime};

    const FSYNC: [&str; 3] =
        ["fsync pc=10 cfa=10", "journal::append:9 pc=20 cfa=40", "journal::writer:3 pc=30 cfa=90"];

    fn door(dump: &mut Moment, stack: &[&str], waiters: usize) {
        let lock = dump.lock(LockKind::Mutex, 0x10);
        dump.thread("owner", stack).seems_to_hold(lock);
        for number in 0..waiters {
            dump.thread(&format!("waiter-{number}"), &["journal::append:8"])
                .waits(lock, WaitFor::Exclusive);
        }
    }

    fn scene(first: &[&str], second: &[&str], waiters: [usize; 2]) -> Incident {
        Scene::of(Runtime::Rust)
            .dump(0, |dump| door(dump, first, waiters[0]))
            .dump(1, |dump| door(dump, second, waiters[1]))
            .incident()
    }

    #[test]
    fn an_owner_that_does_not_come_back_is_found_with_what_it_is_in() {
        let incident = scene(&FSYNC, &FSYNC, [12, 12]);
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!(found.owner, Some(incident.named("owner")));
        assert_eq!((found.victims.len(), found.grade), (12, Grade::Counter));
        assert_eq!(found.severity, Severity::Critical);
        assert!(found.headline.contains("is in file I/O"), "{}", found.headline);
        assert!(found.next_step.contains("Look at the disk"), "{}", found.next_step);
    }

    #[test]
    fn an_owner_that_came_back_in_between_is_not_stuck() {
        let anew = [
            "fsync pc=10 cfa=10",
            "journal::append:9 pc=20 cfa=48",
            "journal::writer:3 pc=30 cfa=90",
        ];
        assert!(detect(&scene(&FSYNC, &anew, [12, 12])).is_empty());
    }

    #[test]
    fn without_a_waiter_in_every_dump_or_with_one_dump_nothing_is_said() {
        assert!(detect(&scene(&FSYNC, &FSYNC, [12, 0])).is_empty());
        let once = Scene::of(Runtime::Rust).dump(0, |dump| door(dump, &FSYNC, 12)).incident();
        assert!(detect(&once).is_empty());
    }

    /// One dump of an index: who commits waits for the merge, which needs the lock of the commit.
    fn nested(state: ThreadState, keeps: bool) -> Vec<Finding> {
        let draw = |dump: &mut Moment| {
            let (commit, merges) =
                (dump.lock(LockKind::Monitor, 0xa), dump.lock(LockKind::Monitor, 0xb));
            let commits = [
                "java.lang.Object.wait",
                "find.Merges.await:9",
                "find.Index.flush:7",
                "find.Index.commit:4",
            ];
            let committer = dump.thread("committer", &commits);
            committer.waits(merges, WaitFor::Notification).is(state);
            if keeps {
                committer.holds(commit);
            }
            let merger = dump.thread("merger", &["find.Index.commit:3", "find.Merges.run:2"]);
            merger.waits(commit, WaitFor::Exclusive);
        };
        detect(&Scene::of(Runtime::Jvm).dump(0, draw).incident())
    }

    #[test]
    fn who_waits_to_be_notified_with_another_lock_in_hand_is_hinted_at_from_one_dump() {
        let found = nested(ThreadState::Waiting, true);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].grade), (Severity::Low, Grade::Pattern));
        assert!(nested(ThreadState::TimedWaiting, true).is_empty(), "it comes back by itself");
        assert!(nested(ThreadState::Waiting, false).is_empty());
    }

    #[test]
    fn an_owner_that_waits_for_another_lock_is_not_the_end_of_the_chain() {
        let draw = |dump: &mut Moment| {
            let (near, far) =
                (dump.lock(LockKind::Monitor, 0xa), dump.lock(LockKind::Monitor, 0xb));
            dump.thread("last", &["sun.nio.ch.SocketDispatcher.read0", "shop.Wire.call:3"])
                .holds(far);
            dump.thread("middle", &["shop.Cart.add:2"]).waits(far, WaitFor::Exclusive).holds(near);
            dump.thread("first", &["shop.Cart.sum:7"]).waits(near, WaitFor::Exclusive);
        };
        let incident = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident();
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].owner, Some(incident.named("last")));
        assert_eq!(incident.names(&findings[0].victims), ["first", "middle"]);
    }

    /// A JVM's owner that sleeps at the same line in both dumps, with its CPU time.
    fn sleeper(before: u64, after: u64) -> Incident {
        let draw = |cpu: u64| {
            move |dump: &mut Moment| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                let owner = dump.thread("owner", &["java.lang.Thread.sleep", "bus.Client.run:8"]);
                owner.holds(lock).is(ThreadState::TimedWaiting).cpu = Some(Nanos(cpu));
                for number in 0..5 {
                    dump.thread(&number.to_string(), &["bus.Client.run:7"])
                        .waits(lock, WaitFor::Exclusive);
                }
            }
        };
        Scene::of(Runtime::Jvm).dump(0, draw(before)).dump(3, draw(after)).incident()
    }

    /// So many dumps of an owner that sleeps while some wait, who may have run in between. Nobody's
    /// frame addresses are known.
    fn asleep(dumps: u64, waiters: usize, draw: impl Fn(u64, &mut Moment)) -> Vec<Finding> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Go), |scene, second| {
            scene.dump(second, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                let owner = dump.thread("owner", &["time.Sleep:368", "main.(*tokens).get:56"]);
                owner.seems_to_hold(lock).is(ThreadState::TimedWaiting);
                for number in 0..waiters {
                    dump.thread(&number.to_string(), &["main.(*tokens).get:53"])
                        .waits(lock, WaitFor::Exclusive);
                }
                draw(second, dump);
            })
        });
        detect(&scene.incident())
    }

    #[test]
    fn a_sleeper_from_whom_nobody_gets_the_lock_is_known_by_those_who_wait() {
        let found = asleep(3, 4, |_, _| {});
        assert_eq!((found.len(), found[0].grade), (1, Grade::Repeat));
        assert!(found[0].confidence < 0.75, "its owner is inferred");
        assert!(found[0].headline.contains("sleeps at the same place"), "{}", found[0].headline);
        let stay = |evidence: &Evidence| evidence.text.starts_with("all 4 who wait in the first");
        assert!(found[0].evidence.iter().any(stay));
        assert!(asleep(3, 3, |_, _| {}).is_empty(), "which may be chance");
        assert_eq!(asleep(4, 2, |_, _| {}).len(), 1);
    }

    #[test]
    fn a_sleeper_is_not_stuck_when_one_of_those_who_wait_came_through() {
        let gone = |second: u64, dump: &mut Moment| {
            let waiter = dump.dump.threads.pop().expect("it waits");
            let came_back = second != 1;
            dump.dump.threads.extend(Some(waiter).filter(|_| came_back));
        };
        assert!(asleep(3, 5, gone).is_empty());
        let ran = |second: u64, dump: &mut Moment| {
            for thread in &mut dump.dump.threads {
                thread.cpu = Some(Nanos(1_000_000 * second));
            }
        };
        assert!(asleep(3, 5, ran).is_empty());
        let more_come = |second: u64, dump: &mut Moment| {
            for number in 0..second {
                dump.thread(&format!("late-{number}"), &["main.(*tokens).get:53"])
                    .waits(LockId(0), WaitFor::Exclusive);
            }
        };
        assert_eq!(asleep(3, 4, more_come).len(), 1);
    }

    #[test]
    fn an_owner_that_runs_now_and_then_is_stuck_where_those_who_wait_never_do() {
        let found = |waiters: usize, each: u64| {
            let scene = (0..3).fold(Scene::of(Runtime::Jvm), |scene, second| {
                scene.dump(second, |dump| {
                    let lock = dump.lock(LockKind::Monitor, 0x10);
                    let reads = ["sun.nio.ch.SocketDispatcher.read0", "shop.Report.next:8"];
                    dump.thread("owner", &reads).holds(lock).cpu = Some(Nanos(second * 900_000));
                    for number in 0..waiters {
                        let waiter = dump.thread(&number.to_string(), &["shop.Report.sum:3"]);
                        waiter.waits(lock, WaitFor::Exclusive).cpu = Some(Nanos(second * each));
                    }
                })
            });
            detect(&scene.incident()).len()
        };
        assert_eq!(found(5, 0), 1);
        assert_eq!(found(5, 70_000), 0, "they had the lock in between");
        assert_eq!(found(2, 0), 0, "which may be chance");
    }

    #[test]
    fn who_makes_what_others_wait_for_and_does_not_come_back_is_stuck() {
        const CALL: &str = "std::sys::sync::once::futex::Once::call";
        let draw = |dump: &mut Moment| {
            let once = dump.lock(LockKind::Futex, 0x10);
            let makes = ["recv pc=10 cfa=10", "app::load:9 pc=20 cfa=40"];
            let call = format!("{CALL} pc=30 cfa=90");
            dump.thread("maker", &[makes[0], makes[1], &call, "app::settings:3 pc=40 cfa=120"]);
            for number in 0..5 {
                let waiter =
                    dump.thread(&number.to_string(), &["syscall", CALL, "app::settings:3"]);
                waiter.waits(once, WaitFor::Unknown);
            }
        };
        let found = detect(&Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident());
        assert_eq!((found.len(), found[0].victims.len()), (1, 5));
        assert!(found[0].headline.contains("and runs the one-time"), "{}", found[0].headline);
        assert!(found[0].next_step.contains("before others ask"), "{}", found[0].next_step);
        assert_eq!(found[0].owner_source, Some(OwnerSource::Inferred));
    }

    #[test]
    fn cpu_time_tells_whether_an_owner_without_addresses_left_the_call() {
        assert!(detect(&sleeper(1_000_000, 1_200_000)).is_empty());
        assert_eq!(detect(&sleeper(1_000_000, 1_000_000))[0].grade, Grade::Counter);
    }

    #[test]
    fn an_owner_that_ran_while_a_waiter_was_woken_had_given_the_lock_back() {
        let draw = |cpu: u64, sleeps: u64| {
            move |dump: &mut Moment| {
                door(dump, &FSYNC, 12);
                let [owner, waiter, ..] = &mut dump.dump.threads[..] else { unreachable!() };
                owner.cpu = Some(Nanos(cpu));
                waiter.voluntary_switches = Some(sleeps);
            }
        };
        let scene = |cpu: u64, sleeps: u64| {
            let scene = Scene::of(Runtime::Rust).dump(0, draw(1_000_000, 40));
            scene.dump(1, draw(1_000_000 + cpu, 40 + sleeps)).incident()
        };
        assert!(detect(&scene(900_000, 80)).is_empty());
        assert_eq!(detect(&scene(900_000, 1)).len(), 1, "asked for its stack");
        assert_eq!(detect(&scene(900, 80)).len(), 1, "it waits with a time limit");
    }

    #[test]
    fn one_waiter_caught_twice_is_worth_a_look_at_most() {
        assert_eq!(detect(&scene(&FSYNC, &FSYNC, [1, 1]))[0].severity, Severity::Low);
    }
}
