//! Memory runs short.

use sigquit_dump::{Dump, Memory, Nanos, Thread, ThreadState};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::pattern::matches_any;
use crate::model::{Incident, MemberId, Statement};

pub(super) const DETECTOR: Detector =
    Detector { name: "memory-pressure", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# memory-pressure

Memory runs short: the runtime could not get any, the machine's work waits for it, or the process
grows towards its limit.

## Evidence

- The runtime's own statement that it is out of memory: proof.
- The kernel's pressure figure for memory: some of the machine's work waited for it in at least a tenth
  of the ten seconds before each dump. Low, unless this process waits for it too: a thread asleep in the
  kernel's functions that take memory back, or nine tenths of the control group's limit in use.
- The resident memory beside the control group's limit: more in each of five dumps than in the one
  before, three quarters of the limit are used, and at this pace the rest lasts less than five minutes.

## Limits

- The pressure is the machine's: another process may need the memory.
- Resident memory contains mapped files, which the kernel can drop.
- A program that fills its caches grows as well, and stops. Nothing is said below three quarters.

## What to do

See what grows: a heap profile, a class histogram, the list of the largest collections. If this process
is the one: a restart buys time. If it is another: move one of them, or lift the limit.
";

/// Percent of the time in which some work waited for memory.
const PRESSED: f64 = 10.0;
const PRESSED_HARD: f64 = 40.0;
/// Share of the limit at which the kernel begins to take memory back.
const AT_LIMIT: f64 = 0.9;
/// Kernel functions in which threads wait until memory has been taken back.
const RECLAIM: &[&str] =
    &["*balance_pgdat*", "*compact*", "*mem_cgroup*", "*reclaim*", "*shrink_*", "*swap*"];
/// Those in which they wait for a page: one that was swapped out, or any other of a file.
const PAGES: &[&str] = &["*folio_wait*", "*wait_on_page*"];
/// Growth is claimed on no fewer dumps.
const DUMPS: usize = 5;
/// Share of the limit from which on growth towards it is told.
const NEAR: f64 = 0.75;
/// So soon it is reached.
const SOON: Nanos = Nanos(300_000_000_000);

fn detect(incident: &Incident) -> Vec<Finding> {
    let said = by_statement(incident);
    let found = said.or_else(|| by_pressure(incident)).or_else(|| by_growth(incident));
    found.into_iter().collect()
}

fn by_statement(incident: &Incident) -> Option<Finding> {
    let all = incident.dumps.iter().enumerate();
    let mut notices =
        all.flat_map(|(dump, shown)| shown.notices.iter().map(move |notice| (dump, notice)));
    let (dump, notice) = notices.find(|(_, notice)| Statement::is_out_of_memory(notice))?;
    let failed: Option<MemberId> =
        notice.threads.iter().find_map(|&at| incident.member_of(dump, at as usize));
    let said = notice.message.lines().next().unwrap_or_default();
    let who = failed.map_or(String::new(), |one| format!(" for {}", phrase::who(incident, one)));
    Some(Finding {
        severity: Severity::Critical,
        grade: Grade::Proof,
        confidence: Grade::Proof.cap(),
        headline: format!("there was no memory left{who}"),
        detail: "Who asked last is not who used the memory.".into(),
        frames: failed.map_or(Vec::new(), |one| phrase::telling_frames(incident, one, dump)),
        evidence: vec![Evidence {
            text: format!("the runtime said: {said}"),
            dump: Some(dump),
            member: failed,
            value: None,
        }],
        members: failed.into_iter().collect(),
        ..common()
    })
}

fn by_pressure(incident: &Incident) -> Option<Finding> {
    let figures: Vec<f64> =
        incident.dumps.iter().filter_map(|dump| Some(dump.process.pressure?.memory)).collect();
    let least = figures.iter().copied().reduce(f64::min)?;
    if figures.len() < incident.dumps.len() || least < PRESSED {
        return None;
    }
    let several = figures.len() > 1;
    let fact = |(dump, &figure): (usize, &f64)| Evidence {
        text: format!("some of the machine's work waited for memory in {figure:.0} % of the time"),
        dump: Some(dump),
        member: None,
        value: Some(figure),
    };
    let hit = incident.dumps.iter().filter(|dump| is_hit(dump)).count();
    let suffers = several && hit * 2 > figures.len();
    Some(Finding {
        severity: match suffers {
            true if least >= PRESSED_HARD => Severity::High,
            true => Severity::Medium,
            false => Severity::Low,
        },
        grade: if several { Grade::Counter } else { Grade::Pattern },
        confidence: if several { 0.85 } else { 0.5 },
        headline: format!(
            "the machine is short of memory: work waited for it in {least:.0} % of the time"
        ),
        detail: match suffers {
            true => "This process is among those that wait.".into(),
            false => "Nothing in the dumps says that this process waits for it.".to_owned(),
        },
        evidence: figures.iter().enumerate().map(fact).collect(),
        ..common()
    })
}

/// Whether a kernel function waits for memory, and for no disk of the program's own choice.
pub(super) fn waits_for_memory(place: &str) -> bool {
    matches_any(RECLAIM, place)
}

/// Whether a process itself waits for memory, or has nearly all that it may have.
fn is_hit(dump: &Dump) -> bool {
    let at_limit = |memory: Memory| {
        memory.limit.is_some_and(|limit| memory.resident as f64 >= AT_LIMIT * limit as f64)
    };
    let waits = |thread: &Thread| {
        thread.state == ThreadState::Uninterruptible
            && thread
                .wchan
                .as_ref()
                .is_some_and(|place| waits_for_memory(place) || matches_any(PAGES, place))
    };
    dump.process.memory.is_some_and(at_limit) || dump.threads.iter().any(waits)
}

fn by_growth(incident: &Incident) -> Option<Finding> {
    let sizes: Vec<Memory> = incident.dumps.iter().filter_map(|dump| dump.process.memory).collect();
    let clock: Vec<Nanos> = incident.dumps.iter().filter_map(|dump| dump.monotonic).collect();
    let (first, last) = (sizes.first()?, sizes.last()?);
    let limit = last.limit?;
    let grows = sizes.windows(2).all(|pair| pair[0].resident < pair[1].resident);
    let all = sizes.len() == incident.dumps.len() && clock.len() == sizes.len();
    let near = last.resident as f64 >= NEAR * limit as f64;
    if !all || sizes.len() < DUMPS || !grows || !near {
        return None;
    }
    let over = clock.last()?.since(*clock.first()?).as_secs_f64();
    let left = limit.saturating_sub(last.resident) as f64;
    let lasts = left * over / (last.resident - first.resident) as f64;
    if lasts > SOON.as_secs_f64() {
        return None;
    }
    let fact = |(dump, size): (usize, &Memory)| Evidence {
        text: format!("{} MiB of {} MiB are resident", size.resident >> 20, limit >> 20),
        dump: Some(dump),
        member: None,
        value: Some(size.resident as f64),
    };
    Some(Finding {
        severity: Severity::Medium,
        grade: Grade::Counter,
        confidence: 0.8,
        headline: format!(
            "memory grows towards its limit of {} MiB, and reaches it in {} at this pace",
            limit >> 20,
            phrase::duration(Nanos::from_secs_f64(lasts))
        ),
        detail: "The kernel ends the process there.".into(),
        evidence: sizes.iter().enumerate().map(fact).collect(),
        ..common()
    })
}

fn common() -> Finding {
    Finding {
        detector: DETECTOR.name,
        next_step: "See what grows, with a heap profile or a histogram taken twice. A restart buys \
                    time when it is this process; otherwise move one of those that share the memory."
            .into(),
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{NoticeKind, Pressure, Runtime};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    fn pressed(figures: &[f64], place: &str) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for (second, &memory) in (0..).zip(figures) {
            scene = scene.dump(second, |dump| {
                let thread = dump.thread("main", &["shop::main"]);
                thread.is(ThreadState::Uninterruptible).wchan = Some(place.into());
                dump.dump.process.pressure = Some(Pressure { cpu: 90.0, memory, io: 0.0 });
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn pressure_in_every_dump() {
        const SWAPPING: &str = "folio_wait_bit_common";
        let severity = |figures: &[f64], place| pressed(figures, place)[0].severity;
        assert_eq!(severity(&[12.0, 15.0, 30.0], SWAPPING), Severity::Medium);
        assert_eq!(severity(&[62.0, 55.0], SWAPPING), Severity::High);
        assert_eq!(severity(&[62.0, 55.0], "futex_wait_queue"), Severity::Low, "others wait");
        assert_eq!(severity(&[62.0], SWAPPING), Severity::Low, "one dump");
        assert_eq!(pressed(&[62.0, 2.0], SWAPPING), []);
        assert_eq!(pressed(&[0.0; 5], SWAPPING), []);
    }

    /// So many MiB in each dump, of a thousand.
    fn grown(sizes: &[u64]) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for (second, &size) in (0..).zip(sizes) {
            scene = scene.dump(second, |dump| {
                dump.thread("main", &["shop::main"]);
                let limit = Some(1000 << 20);
                let memory = Memory { resident: size << 20, mapped: 0, limit };
                dump.dump.process.memory = Some(memory);
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn growth_towards_the_limit() {
        let findings = grown(&[700, 730, 760, 790, 820]);
        assert_eq!(findings[0].severity, Severity::Medium);
        assert!(findings[0].headline.ends_with("reaches it in 6.0 s at this pace"));
        assert_eq!(grown(&[700, 730, 760, 790]), [], "four dumps are too few");
        assert_eq!(grown(&[100, 130, 160, 190, 220]), [], "far from the limit");
        assert_eq!(grown(&[900, 899, 901, 902, 903]), [], "it comes and goes");
    }

    #[test]
    fn the_runtimes_own_word_is_proof() {
        let scene = Scene::of(Runtime::Go).dump(0, |dump| {
            dump.thread("1", &["main.fill"]);
            dump.notice(NoticeKind::Fatal, "runtime: out of memory", &["1"]);
            dump.notice(NoticeKind::Panic, "we are out of memory, says the shop", &["1"]);
        });
        let findings = detect(&scene.incident());
        assert_eq!((findings.len(), findings[0].grade), (1, Grade::Proof));
    }
}
