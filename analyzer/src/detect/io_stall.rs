//! Threads that wait for a disk.

use sigquit_dump::{Nanos, ThreadState};

use super::memory_pressure::waits_for_memory;
use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Incident, MemberId};

pub(super) const DETECTOR: Detector =
    Detector { name: "io-stall", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# io-stall

Threads wait for a disk or a file system that does not answer, or not as fast as it is asked: a full
write-back queue, a network file system whose server is gone, a disk that dies.

## Evidence

- Threads that sleep uninterruptibly in the kernel, each in the same kernel function and the same call
  in every dump, and without CPU time in between. They did not come out once.
- Without the kernel's word: three threads at least that are in a call which only disks make wait
  (`fsync`, `msync`, `rename`, ...), in every dump, of which there are three at least, and without CPU
  time in between where it is counted.
- The kernel's pressure figure for I/O supports it and is told; alone it claims nothing.

High for three threads in the kernel's sleep, or half of all that are not idle; medium for fewer; low in
one dump.

## Limits

- Which disk or mount it is does not stand in a dump, apart from the kernel function (`nfs_...`).
- A thread that reads a pipe or a terminal waits for whoever writes; it is not counted.
- A log writer that does nothing but `fsync` is found there most of the time and is well: one alone, or
  two, are not reported without the kernel's word.

## What to do

Look at the disk: `iostat -x 1`, `dmesg`, the mounts of network file systems. Threads in the kernel's
uninterruptible sleep cannot be ended, not by SIGKILL either: the file system has to answer. Then keep
`fsync` out of locks and out of requests.
";

/// Fewer are no crowd.
const SOME: usize = 3;
/// Dumps in which a stack has to be the same where the kernel says nothing.
const DUMPS: usize = 3;
/// So much CPU time shows that a thread went on between the dumps. To answer a dump costs less.
const WENT_ON: Nanos = Nanos(5_000_000);

fn detect(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let asleep: Vec<MemberId> =
        incident.shown(newest).filter(|&id| sleeps_throughout(incident, id)).collect();
    if !asleep.is_empty() {
        return by_kernel(incident, asleep).into_iter().collect();
    }
    by_calls(incident).into_iter().collect()
}

// --- By the kernel's word -----------------------------------------------------------------------

/// Whether every dump that there is shows the thread in the same uninterruptible sleep.
fn sleeps_throughout(incident: &Incident, id: MemberId) -> bool {
    let sleeps = |dump: usize| {
        incident.thread(id, dump).is_some_and(|thread| {
            !thread.runtime_helper && thread.state == ThreadState::Uninterruptible
        }) && !is_for_memory(incident, id, dump)
    };
    let place = |dump: usize| incident.thread(id, dump).and_then(|thread| thread.wchan.as_deref());
    let dumps = incident.dumps.len();
    let same = (1..dumps).all(|dump| place(dump) == place(0));
    (0..dumps).all(sleeps) && same && !went_on(incident, id) && (dumps == 1 || stays(incident, id))
}

/// Whether all that is seen of its stack is the same; a thread that sleeps so cannot always show it.
fn stays(incident: &Incident, id: MemberId) -> bool {
    let shown = (0..incident.dumps.len()).filter(|&dump| !incident.call_ids(id, dump).is_empty());
    shown.count() < 2 || incident.same_activation(id).is_some_and(|activation| activation.whole)
}

/// Whether the kernel first has to take memory back for it: that is `memory-pressure`.
fn is_for_memory(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let place = incident.thread(id, dump).and_then(|thread| thread.wchan.as_deref());
    place.is_some_and(waits_for_memory)
}

fn went_on(incident: &Incident, id: MemberId) -> bool {
    incident.cpu_used(id).is_some_and(|(used, _)| used >= WENT_ON)
}

fn by_kernel(incident: &Incident, members: Vec<MemberId>) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let crowd = is_crowd(incident, &members);
    let severity = match newest {
        0 if members.len() >= SOME => Severity::Low,
        0 => return None,
        _ if crowd => Severity::High,
        _ => Severity::Medium,
    };
    let place = incident.thread(members[0], newest).and_then(|thread| thread.wchan.clone());
    let place = place.map_or(String::new(), |place| format!(" in {place}"));
    let who = phrase::count(incident, &members);
    let sleep = if members.len() == 1 { "sleeps" } else { "sleep" };
    let several = newest > 0;
    let grade = if several { Grade::Counter } else { Grade::Pattern };
    Some(Finding {
        severity,
        grade,
        confidence: if several { 0.9 } else { 0.5 },
        headline: format!("{who} {sleep} uninterruptibly{place}, waiting for I/O"),
        detail: "No signal reaches a thread in this state.".into(),
        ..common(incident, members, "in the kernel's uninterruptible sleep")
    })
}

// --- By the calls -------------------------------------------------------------------------------

fn by_calls(incident: &Incident) -> Option<Finding> {
    let dumps = incident.dumps.len();
    let throughout = |id: &MemberId| {
        let at_disk =
            |dump: usize| incident.waits_for_disk(*id, dump) && !is_for_memory(incident, *id, dump);
        (0..dumps).all(at_disk)
            && incident.same_activation(*id).is_some()
            && !went_on(incident, *id)
    };
    let members: Vec<MemberId> = match dumps {
        0..DUMPS => return None,
        _ => incident.shown(dumps - 1).filter(throughout).collect(),
    };
    if members.len() < SOME {
        return None;
    }
    let counted = members.iter().all(|&id| incident.cpu_used(id).is_some());
    let grade = if counted { Grade::Counter } else { Grade::Repeat };
    let place = phrase::place(incident, members[0], dumps - 1).unwrap_or_else(|| "a file".into());
    let who = phrase::count(incident, &members);
    Some(Finding {
        severity: if is_crowd(incident, &members) { Severity::High } else { Severity::Medium },
        grade,
        confidence: grade.cap() - 0.1,
        headline: format!("{who} wait for a disk in {place}"),
        detail: "Each of them was in the same call in every dump.".into(),
        ..common(incident, members, "waiting for a disk")
    })
}

// --- What both have in common -------------------------------------------------------------------

/// Whether they are most of those that are not idle, or several that the kernel keeps.
fn is_crowd(incident: &Incident, members: &[MemberId]) -> bool {
    let newest = incident.dumps.len() - 1;
    let kept = |&&id: &&MemberId| {
        incident.thread(id, newest).is_some_and(|one| one.state == ThreadState::Uninterruptible)
    };
    members.iter().filter(kept).count() >= SOME || members.len() * 2 >= incident.busy(newest)
}

fn common(incident: &Incident, members: Vec<MemberId>, what: &str) -> Finding {
    let newest = incident.dumps.len() - 1;
    let fact = |&id: &MemberId| {
        let place = phrase::place(incident, id, newest);
        let place = place.map_or(String::new(), |place| format!(", in {place}"));
        let dumps = phrase::number(newest + 1, "dump");
        Evidence {
            text: format!("{what} in {dumps}{place}"),
            dump: Some(newest),
            member: Some(id),
            value: None,
        }
    };
    let pressure = incident.dumps[newest].process.pressure.filter(|pressure| pressure.io >= 1.0);
    let pressure = pressure.map(|pressure| Evidence {
        text: format!(
            "some of the machine's work waited for I/O in {:.0} % of the time",
            pressure.io
        ),
        dump: Some(newest),
        member: None,
        value: Some(pressure.io),
    });
    Finding {
        detector: DETECTOR.name,
        next_step:
            "Look at the disk and the file system: iostat, dmesg, mounts of file servers that \
                    do not answer."
                .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: members.iter().take(TOLD).map(fact).chain(pressure).collect(),
        members,
        ..Finding::default()
    }
}

/// So many members are told of one by one.
const TOLD: usize = 5;

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::Scene;

    const WRITING: &[&str] = &["fsync", "shop::journal::append:8", "shop::orders::place:3"];

    /// So many threads in the kernel function of each dump.
    fn asleep(count: u64, places: &[&str], used: u64) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for (second, &place) in (0..).zip(places) {
            scene = scene.dump(second, |dump| {
                for number in 0..count {
                    let thread = dump.thread(&format!("w-{number}"), WRITING);
                    (thread.os_id, thread.state) = (Some(number), ThreadState::Uninterruptible);
                    thread.wchan = Some(place.into());
                    thread.cpu = Some(Nanos::from_millis(used * second));
                }
                (0..9).for_each(|number| _ = dump.thread(&format!("p-{number}"), &["shop::price"]));
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn threads_that_do_not_come_out_of_the_kernel() {
        let findings = asleep(1, &["nfs_wait"; 3], 0);
        assert_eq!((findings[0].severity, findings[0].grade), (Severity::Medium, Grade::Counter));
        assert_eq!(asleep(4, &["nfs_wait"; 2], 0)[0].severity, Severity::High);
        assert_eq!(asleep(4, &["nfs_wait"], 0)[0].severity, Severity::Low);
    }

    #[test]
    fn threads_that_come_out_and_go_in_again_are_at_work() {
        assert_eq!(asleep(1, &["nfs_wait", "jbd2_log_wait", "nfs_wait"], 0), []);
        assert_eq!(asleep(4, &["io_schedule"; 3], 20), []);
        assert_eq!(asleep(2, &["io_schedule"], 0), [], "one dump");
        assert_eq!(asleep(4, &["shrink_lruvec"; 3], 0), [], "it waits for memory");
    }

    /// So many threads that are in a call of the system in each dump.
    fn waiting(call: &'static str, count: u64, dumps: u64) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| {
                for number in 0..count {
                    let frames = [call, "shop::journal::append:8", "shop::orders::place:3"];
                    let thread = dump.thread(&format!("w-{number}"), &frames);
                    (thread.os_id, thread.state) = (Some(number), ThreadState::Syscall);
                }
                (0..9).for_each(|number| _ = dump.thread(&format!("p-{number}"), &["shop::price"]));
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn without_the_kernels_word_it_takes_several_threads_and_dumps() {
        let findings = waiting("fsync", 4, 3);
        assert_eq!((findings[0].severity, findings[0].grade), (Severity::Medium, Grade::Repeat));
        assert_eq!(waiting("fsync", 2, 5), [], "a log writer or two");
        assert_eq!(waiting("fsync", 4, 2), []);
        assert_eq!(waiting("read", 4, 5), [], "it may be a pipe");
    }
}
