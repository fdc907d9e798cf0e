//! Threads of a JVM that wait for room in a pipe from which nobody is seen to read: what `self-deadlock` says of piped
//! streams. Who writes into one and reads from it afterwards waits for itself as soon as it is full
//! (<https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/io/PipedOutputStream.html>: not to be used from
//! one thread).
//!
//! ```text
//! Object.wait < PipedInputStream.awaitSpace < PipedOutputStream.write < shop.Letters.write
//! ```
//!
//! A reader that has died is noticed by the pipe, and one that waits for something to read would get it. One that is at
//! something else may come back to it.

use sigquit_dump::Nanos;

use super::DETECTOR;
use crate::detect::{Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Incident, MemberId};

const WAITS: &str = "java.io.PipedInputStream.awaitSpace";
const READS: &str = "java.io.PipedInputStream.read";
/// Dumps in which nobody may have read.
const STANDS: usize = 3;
/// The most CPU time for one look at a pipe.
const A_LOOK: Nanos = Nanos(200_000);
/// That nobody else is to read is concluded from who is in sight.
const SUSPECTED: f64 = 0.6;

/// One finding for all of them: they mostly are in the same code.
pub(super) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < STANDS {
        return None;
    }
    let is_in = |function| move |id| incident.is_inside(id, newest, function).then_some(());
    let full: Vec<MemberId> = incident.found(newest, is_in(WAITS)).map(|(id, ())| id).collect();
    let read = |dump| {
        let reads = |id| incident.is_inside(id, dump, READS).then_some(());
        incident.found(dump, reads).next().is_some()
    };
    if full.is_empty() || !full.iter().all(|&id| stands(incident, id)) || (0..=newest).any(read) {
        return None;
    }
    let may_read = |id: MemberId| {
        full.binary_search(&id).is_err()
            && incident.idle(id, newest).is_none()
            && incident.application_calls(id, newest).next().is_some()
            && !incident.waits_for_others(id, newest)
    };
    let others = incident.shown(newest).any(may_read);
    let who = phrase::count(incident, &full);
    let (waits, it) = if full.len() == 1 { ("waits", "it") } else { ("wait", "they") };
    let place = phrase::place(incident, full[0], newest).unwrap_or_else(|| "its code".into());
    let dumps = phrase::number(newest + 1, "dump");
    Some(Finding {
        detector: DETECTOR.name,
        severity: if others { Severity::Low } else { Severity::Medium },
        grade: Grade::Repeat,
        confidence: SUSPECTED,
        headline: format!(
            "{who} {waits} in {place} for room in a pipe, and nobody is seen to read from one: {it} may be the one to read"
        ),
        detail: format!(
            "In the same call in all of {dumps}, in none of which a thread is in `PipedInputStream.read`. Who is to read is \
             not in a dump.{}",
            if others { " Others are at work, one of whom may be to read." } else { "" },
        ),
        next_step: format!(
            "Restart the process if nothing goes on. In the code, see who reads what {place} writes: it has to be another \
             thread, and at it meanwhile. Within one thread collect what is written in a `ByteArrayOutputStream`."
        ),
        frames: phrase::telling_frames(incident, full[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(full.len() as f64),
            ..Evidence::text(format!("{who} in `PipedInputStream.awaitSpace` in all of {dumps}"))
        }],
        members: full,
        ..Finding::default()
    })
}

/// Whether it is in one and the same wait in every dump. The pipe wakes it once a second to look for the reader.
fn stands(incident: &Incident, id: MemberId) -> bool {
    let looks = |(used, over): (Nanos, Nanos)| used.0 <= A_LOOK.0 * (1 + over.0 / 1_000_000_000);
    incident.in_all_dumps(id)
        && incident.same_activation(id).is_some_and(|activation| activation.whole)
        && incident.cpu_used(id).is_none_or(looks)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    const WRITES: &[&str] = &[
        "java.lang.Object.wait",
        WAITS,
        "java.io.PipedOutputStream.write",
        "shop.Letters.write:8",
    ];

    fn severity(other: &[&str]) -> Option<Severity> {
        let scene = (0..3).fold(Scene::of(Runtime::Jvm), |scene, second| {
            scene.dump(second, |dump| {
                dump.thread("clerk-1", WRITES).is(ThreadState::TimedWaiting);
                if !other.is_empty() {
                    dump.thread("other", other).is(ThreadState::Waiting);
                }
            })
        });
        finding(&scene.incident()).map(|finding| finding.severity)
    }

    #[test]
    fn who_fills_a_pipe_from_which_nobody_reads() {
        assert_eq!(severity(&[]), Some(Severity::Medium));
        assert_eq!(severity(&["shop.Press.print:3"]), Some(Severity::Low), "it may be to read");
    }

    #[test]
    fn a_pipe_from_which_somebody_reads_is_emptied() {
        assert_eq!(severity(&["java.lang.Object.wait", READS, "shop.Press.print:3"]), None);
    }
}
