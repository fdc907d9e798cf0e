//! Threads that want a CPU and do not get one.

use std::collections::BTreeSet;

use sigquit_dump::{Nanos, Throttling};

use super::busy_wait::async_asking;
use super::on_cpu;
use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Cpu, CpuUse, Incident, MemberId};

pub(super) const DETECTOR: Detector =
    Detector { name: "cpu-starvation", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# cpu-starvation

Threads are ready to run and get no CPU: the machine has too few for all that runs on it, the control
group's limit is used up, or others in the process take them.

## Evidence

- Time in the run queue between the first dump and the last: a thread counts as starved when it stood
  there for three tenths of the time, and at least as long as it ran. Threads that spin are not
  counted; they have no use for a CPU.
- The control group: in what share of its periods it was held back.

Medium when threads that do not compute without pause got less than a fifth of the CPU time that they
wanted, three at least and a quarter of those that are not idle, or when one starves where the process
was held back in half of the periods: whoever asks them for something waits. Low otherwise: on a machine
that is shared, work goes on more slowly, and so it does where it only computes.

## Limits

- Only the agent's dumps count time in the run queue.
- The kernel counts a wait in the queue when it is over, so long waits can be missed.
- Who on the machine has the CPU instead does not stand in a dump.

## What to do

If a finding about this process's own threads says who takes the CPU, begin there. Otherwise lift the
limit, or move something off the machine: `top`, and `/proc/pressure/cpu`.
";

/// Share of the time in the run queue from which on a thread starves.
const QUEUED: f64 = 0.3;
/// From this share of the time on that it wants a CPU, a thread only computes.
const COMPUTES: f64 = 0.7;
/// So many times slower is more than a shared machine that is busy makes a process that is well. With as many who want
/// a CPU as there are twice, each still gets half.
const SLOWED: u64 = 5;
/// Fewer who starve are no matter.
const SOME: usize = 3;
/// Shares of the periods in which the control group was held back.
const HELD_BACK: f64 = 0.1;
const HELD_BACK_MOSTLY: f64 = 0.5;
/// Fewer periods make no share.
const PERIODS: u64 = 5;

fn detect(incident: &Incident) -> Vec<Finding> {
    let starved = starved(incident);
    let throttled = throttled(incident);
    let serve = starved.iter().map(|(_, used)| used).filter(|used| used.wanted() < Some(COMPUTES));
    let late = serve.clone().filter(|used| is_slowed(used)).count();
    let newest = incident.dumps.len() - 1;
    let held_back = throttled.map_or(0.0, |(share, _)| share);
    let hurts = late >= SOME && late * 4 >= incident.busy(newest);
    let severity = match (held_back >= HELD_BACK_MOSTLY && serve.count() > 0, hurts) {
        (true, _) | (_, true) => Severity::Medium,
        _ if held_back >= HELD_BACK || starved.len() >= SOME => Severity::Low,
        _ => return Vec::new(),
    };
    vec![finding(incident, severity, &starved, throttled)]
}

/// Whether what it does takes so much longer that others notice.
fn is_slowed(used: &CpuUse) -> bool {
    let wanted = used.used.0.saturating_add(used.delayed.unwrap_or_default().0);
    wanted > used.used.0.saturating_mul(SLOWED)
}

/// Who starves, and what each used.
fn starved(incident: &Incident) -> Vec<(MemberId, CpuUse)> {
    let cpu = Cpu::of(incident);
    let newest = incident.dumps.len() - 1;
    let starves = |id: MemberId| {
        let helper = incident.thread(id, newest)?.runtime_helper || incident.always_idle(id);
        let used = cpu.whole_use(id).filter(|_| !helper)?;
        let queued = used.delayed?;
        let long = queued.as_secs_f64() >= QUEUED * used.over.as_secs_f64();
        (long && queued >= used.used && used.over.0 > 0).then_some((id, used))
    };
    let starved: Vec<_> = incident.shown(newest).filter_map(starves).collect();
    if starved.is_empty() {
        return starved;
    }
    let spinning = spinning(incident);
    starved.into_iter().filter(|(id, _)| !spinning.contains(id)).collect()
}

fn spinning(incident: &Incident) -> BTreeSet<MemberId> {
    let on_cpu = on_cpu::classify(incident);
    let in_maps = on_cpu.maps.iter().flat_map(|map| &map.members);
    let loops = on_cpu.spins.iter().chain(&on_cpu.waits).flatten();
    let in_loops = in_maps.chain(loops).map(|&at| on_cpu.all[at].member);
    in_loops.chain(async_asking::workers(incident)).collect()
}

/// In what share of its periods the control group was held back between the first dump and the
/// last, and for how long.
fn throttled(incident: &Incident) -> Option<(f64, Nanos)> {
    let told = |at: usize| -> Option<Throttling> { incident.dumps.get(at)?.process.throttling };
    let (first, last) = (told(0)?, told(incident.dumps.len() - 1)?);
    let periods = last.periods.checked_sub(first.periods).filter(|&count| count >= PERIODS)?;
    let throttled = last.throttled.checked_sub(first.throttled)?;
    let share = (throttled as f64 / periods as f64).min(1.0);
    (share >= HELD_BACK).then(|| (share, last.time.since(first.time)))
}

fn finding(
    incident: &Incident,
    severity: Severity,
    starved: &[(MemberId, CpuUse)],
    throttled: Option<(f64, Nanos)>,
) -> Finding {
    let members: Vec<MemberId> = starved.iter().map(|&(id, _)| id).collect();
    let newest = incident.dumps.len() - 1;
    Finding {
        detector: DETECTOR.name,
        severity,
        grade: Grade::Counter,
        confidence: 0.9,
        headline: headline(incident, &members, starved, throttled),
        detail: detail(incident),
        next_step: match throttled {
            Some(_) => "Lift the control group's CPU limit, or run fewer threads under it.".into(),
            None => "See who has the CPUs, in this process or beside it, and move or end one of \
                     them."
                .to_owned(),
        },
        frames: members
            .first()
            .map_or(Vec::new(), |&id| phrase::telling_frames(incident, id, newest)),
        evidence: evidence(incident, starved, throttled),
        members,
        ..Finding::default()
    }
}

fn headline(
    incident: &Incident,
    members: &[MemberId],
    starved: &[(MemberId, CpuUse)],
    throttled: Option<(f64, Nanos)>,
) -> String {
    let sum = |of: fn(&CpuUse) -> f64| starved.iter().map(|(_, used)| of(used)).sum::<f64>();
    let got = sum(|used| used.used.as_secs_f64());
    let queued = sum(|used| used.delayed.map_or(0.0, Nanos::as_secs_f64));
    let share = 100.0 * got / (got + queued).max(f64::MIN_POSITIVE);
    let who = phrase::count(incident, members);
    match (throttled, members.is_empty()) {
        (Some((periods, _)), true) => {
            format!(
                "the CPU limit held the process back in {:.0} % of its periods",
                periods * 100.0
            )
        }
        (Some((periods, _)), false) => format!(
            "the CPU limit held the process back in {:.0} % of its periods; {who} got {share:.0} % \
             of the CPU time that they wanted",
            periods * 100.0
        ),
        (None, _) => format!("{who} got {share:.0} % of the CPU time that they wanted"),
    }
}

/// Whether the process itself has the CPUs that it may use, or others have them.
fn detail(incident: &Incident) -> String {
    let cpu = Cpu::of(incident);
    let over = incident.dumps.first().zip(incident.dumps.last()).and_then(|(first, last)| {
        Some(last.monotonic?.since(first.monotonic?).as_secs_f64()).filter(|&over| over > 0.0)
    });
    let (Some(used), Some(allowed), Some(over)) = (cpu.of_process(), cpu.allowed(), over) else {
        return String::new();
    };
    let cpus = used.as_secs_f64() / over;
    let of_others = match cpus < allowed / 2.0 {
        true => "; others on the machine have the rest",
        false => "",
    };
    format!("The process used {cpus:.1} of the {allowed:.1} CPUs that it may{of_others}.")
}

/// So many members are told of one by one.
const TOLD: usize = 5;

fn evidence(
    incident: &Incident,
    starved: &[(MemberId, CpuUse)],
    throttled: Option<(f64, Nanos)>,
) -> Vec<Evidence> {
    let limit = throttled.map(|(share, time)| Evidence {
        text: format!(
            "held back in {:.0} % of the periods, for {}",
            share * 100.0,
            phrase::duration(time)
        ),
        dump: incident.dumps.len().checked_sub(1),
        member: None,
        value: Some(share),
    });
    let queued = starved.iter().take(TOLD).map(|&(id, used)| Evidence {
        text: format!(
            "{}: ran {} and queued {} of {}",
            phrase::who(incident, id),
            phrase::duration(used.used),
            phrase::duration(used.delayed.unwrap_or_default()),
            phrase::duration(used.over)
        ),
        dump: Some(used.to),
        member: Some(id),
        value: used.delayed.map(Nanos::as_secs_f64),
    });
    limit.into_iter().chain(queued).collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::{Scene, progressing, recurring};

    /// So many threads that ran and queued so many milliseconds of each second, over three dumps.
    fn found(count: u32, ran: u64, queued: u64, spins: bool) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..3 {
            scene = scene.dump(second, |dump| {
                for number in 0..count {
                    let name = format!("request-{number}");
                    let thread = dump.thread(&name, &["shop::price:4 pc=10 cfa=100"]);
                    thread.os_id = Some(100 + u64::from(number));
                    thread.cpu = Some(Nanos::from_millis(ran * second));
                    thread.run_delay = Some(Nanos::from_millis(queued * second));
                    thread.registers = Some(if spins { recurring(0) } else { progressing() });
                }
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn threads_that_serve_and_stand_in_the_queue() {
        let findings = found(4, 60, 400, false);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::Medium, Grade::Counter));
        assert_eq!(finding.headline, "4 threads got 13 % of the CPU time that they wanted");
    }

    #[test]
    fn a_shared_machine_that_is_busy_is_no_fault_of_who_gets_on() {
        let half = found(4, 240, 330, false);
        assert_eq!(half[0].severity, Severity::Low, "42 % of what they wanted");
        assert_eq!(found(4, 120, 460, false)[0].severity, Severity::Low, "21 %");
        assert_eq!(found(4, 110, 460, false)[0].severity, Severity::Medium, "19 %");
    }

    #[test]
    fn work_that_only_computes_becomes_slower() {
        assert_eq!(found(4, 120, 870, false)[0].severity, Severity::Low);
    }

    #[test]
    fn spinners_do_not_starve_and_neither_do_two_threads() {
        assert_eq!(found(4, 120, 870, true), []);
        assert_eq!(found(2, 60, 400, false), []);
        assert_eq!(found(4, 400, 100, false), []);
    }

    #[test]
    fn a_limit_that_holds_the_process_back() {
        let throttled = |share: u64, serves: bool| {
            let mut scene = Scene::of(Runtime::Rust);
            for second in 0..3 {
                scene = scene.dump(second, |dump| {
                    let thread = dump.thread("request", &["shop::price"]);
                    thread.cpu = Some(Nanos::from_millis(200 * second));
                    let queued = if serves { 400 } else { 0 };
                    thread.run_delay = Some(Nanos::from_millis(queued * second));
                    let time = Nanos::from_millis(500 * second);
                    let (periods, throttled) = (10 * second, share * second);
                    dump.dump.process.throttling = Some(Throttling { periods, throttled, time });
                });
            }
            detect(&scene.incident())
        };
        assert_eq!(throttled(8, true)[0].severity, Severity::Medium);
        assert_eq!(throttled(8, false)[0].severity, Severity::Low);
        assert_eq!(throttled(2, true)[0].severity, Severity::Low);
        assert_eq!(throttled(0, false), []);
    }
}
