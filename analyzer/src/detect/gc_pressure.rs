//! The garbage collector takes the time.

use sigquit_dump::{Heap, Nanos};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Activity, Cpu, Incident, MemberId};

pub(super) const DETECTOR: Detector =
    Detector { name: "gc-pressure", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# gc-pressure

The garbage collector uses the time that the program needs, because the heap is nearly full or because
very much is allocated.

## Evidence

- What the collector's threads used between the dumps: half of all CPU time of the process, and a
  fifth of one CPU at least. From JDK 11 on a thread dump counts it.
- How full the heap is, where SIGQUIT made the JVM print it.
- Go: three goroutines at least, and half of those that run, that have to help the collector before
  they may allocate, in every dump.

High where the collector used four fifths, or half and the heap is nine tenths full; medium for half,
and for a heap that is 98 % full in every dump; low in one dump.

## Limits

- `jstack` prints no heap, and JDK 8 counts no CPU time; both together show nothing.
- A heap that is full holds garbage too: a full one alone may be emptied by the next collection.
- Programs that allocate for a living collect much and are well. Then this names what it costs.

## What to do

Take a heap histogram (`jcmd PID GC.class_histogram`, `/debug/pprof/heap`) twice, a minute apart, and
see what becomes more. What grows without end is a leak; otherwise give the heap more room, or allocate
less in the functions that are named here.
";

/// Share of the process's CPU time from which on the collector is in the way.
const MUCH: f64 = 0.5;
/// Share from which on little else is done.
const MOST: f64 = 0.8;
/// Share of one CPU: less is no matter, however idle the rest is.
const LEAST: f64 = 0.2;
/// Share of the heap from which on it counts as nearly full.
const NEARLY_FULL: f64 = 0.9;
/// Share from which on it counts as full.
const FULL: f64 = 0.98;
/// Fewer who have to help the collector are everyday life.
const ASSISTS: usize = 3;

fn detect(incident: &Incident) -> Vec<Finding> {
    let found = by_cpu(incident).or_else(|| by_heap(incident)).or_else(|| by_assists(incident));
    found.into_iter().collect()
}

// --- What the collector used --------------------------------------------------------------------

fn by_cpu(incident: &Incident) -> Option<Finding> {
    let collectors = incident.collectors();
    let (used, over) = incident.cpu_of(&collectors)?;
    let all = Cpu::of(incident).of_process()?;
    let (share, cpus) = (ratio(used, all), ratio(used, over));
    if share < MUCH || cpus < LEAST {
        return None;
    }
    let newest = incident.dumps.len() - 1;
    let heap = incident.dumps[newest].process.heap;
    let full = heap.map_or(0.0, fullness);
    let severe = share >= MOST || full >= NEARLY_FULL;
    let mut evidence = vec![Evidence {
        text: format!(
            "the collector's threads used {} of CPU in {}, all threads together {}",
            phrase::duration(used),
            phrase::duration(over),
            phrase::duration(all)
        ),
        dump: Some(newest),
        member: None,
        value: Some(share),
    }];
    evidence.extend(heap.map(|heap| heap_fact(heap, newest)));
    let and_heap = match heap {
        Some(_) => format!("; the heap is {} full", percent(full)),
        None => String::new(),
    };
    Some(Finding {
        severity: if severe { Severity::High } else { Severity::Medium },
        grade: Grade::Counter,
        confidence: 0.9,
        headline: format!(
            "the garbage collector uses {} of the CPU time{and_heap}",
            percent(share)
        ),
        evidence,
        ..common(incident, collectors)
    })
}

// --- How full the heap is -----------------------------------------------------------------------

fn by_heap(incident: &Incident) -> Option<Finding> {
    let heaps: Vec<(usize, Heap)> = incident
        .dumps
        .iter()
        .enumerate()
        .filter_map(|(dump, shown)| Some((dump, shown.process.heap?)))
        .collect();
    let (_, newest) = heaps.last()?;
    if !heaps.iter().all(|&(_, heap)| fullness(heap) >= FULL) {
        return None;
    }
    let several = heaps.len() > 1;
    Some(Finding {
        severity: if several { Severity::Medium } else { Severity::Low },
        grade: if several { Grade::Repeat } else { Grade::Pattern },
        confidence: if several { 0.7 } else { 0.4 },
        headline: format!("the heap is {} full", percent(fullness(*newest))),
        evidence: heaps.iter().map(|&(dump, heap)| heap_fact(heap, dump)).collect(),
        ..common(incident, incident.collectors())
    })
}

fn fullness(heap: Heap) -> f64 {
    if heap.limit == 0 { 0.0 } else { heap.used as f64 / heap.limit as f64 }
}

fn heap_fact(heap: Heap, dump: usize) -> Evidence {
    Evidence {
        text: format!("{} MiB of {} MiB of the heap are in use", heap.used >> 20, heap.limit >> 20),
        dump: Some(dump),
        member: None,
        value: Some(fullness(heap)),
    }
}

// --- Who has to help ----------------------------------------------------------------------------

fn by_assists(incident: &Incident) -> Option<Finding> {
    let helping: Vec<Vec<MemberId>> =
        (0..incident.dumps.len()).map(|dump| incident.assists(dump)).collect();
    let much = |(dump, helping): (usize, &Vec<MemberId>)| {
        if helping.len() < ASSISTS {
            return false;
        }
        let runs = |id: &MemberId| incident.activity(*id, dump) == Activity::Computing;
        let running = incident.shown(dump).filter(runs).filter(|id| !helping.contains(id)).count();
        helping.len() >= running
    };
    if helping.is_empty() || !helping.iter().enumerate().all(much) {
        return None;
    }
    let several = helping.len() > 1;
    let members = helping.last()?.clone();
    let fact = |(dump, helping): (usize, &Vec<MemberId>)| Evidence {
        text: format!("{} have to help the collector", phrase::count(incident, helping)),
        dump: Some(dump),
        member: None,
        value: Some(helping.len() as f64),
    };
    Some(Finding {
        severity: if several { Severity::Medium } else { Severity::Low },
        grade: if several { Grade::Repeat } else { Grade::Pattern },
        confidence: if several { 0.7 } else { 0.4 },
        headline: format!(
            "{} have to collect garbage before they may allocate",
            phrase::count(incident, &members)
        ),
        evidence: helping.iter().enumerate().map(fact).collect(),
        ..common(incident, members)
    })
}

// --- What all have in common --------------------------------------------------------------------

fn common(incident: &Incident, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let at_work = |id: &MemberId| {
        let helper = incident.thread(*id, newest).is_some_and(|thread| thread.runtime_helper);
        !helper && incident.activity(*id, newest) == Activity::Computing
    };
    let mut places: Vec<String> = incident
        .shown(newest)
        .filter(at_work)
        .filter_map(|id| phrase::place(incident, id, newest))
        .collect();
    places.sort_unstable();
    places.dedup();
    places.truncate(TOLD);
    Finding {
        detector: DETECTOR.name,
        detail: match places.is_empty() {
            true => "Nobody else runs in the newest dump.".into(),
            false => format!("At work meanwhile: {}.", phrase::list(&places)),
        },
        next_step:
            "Take a heap histogram twice, a minute apart: what becomes more without end is a \
                    leak. Until then more heap, or a restart, buys time."
                .into(),
        members,
        ..Finding::default()
    }
}

/// So many places are told.
const TOLD: usize = 3;

fn ratio(part: Nanos, whole: Nanos) -> f64 {
    if whole.0 == 0 { 0.0 } else { part.0 as f64 / whole.0 as f64 }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Kind, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    /// The collector and the program use so many milliseconds a second; the heap is so full.
    fn jvm(collector: u64, program: u64, full: Option<u64>, dumps: u64) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| {
                let gc = dump.thread("GC Thread#0", &[]);
                gc.runtime_helper = true;
                gc.cpu = Some(Nanos::from_millis(collector * second));
                dump.thread("main", &["shop.Cache.put:9"]).cpu =
                    Some(Nanos::from_millis(program * second));
                dump.dump.process.heap = full.map(|used| Heap { used, limit: 100 });
            });
        }
        detect(&scene.incident())
    }

    fn severity(findings: &[Finding]) -> Option<Severity> {
        findings.first().map(|finding| finding.severity)
    }

    #[test]
    fn a_collector_that_uses_most_of_the_cpu() {
        let findings = jvm(1500, 100, Some(97), 3);
        assert_eq!(
            (severity(&findings), findings[0].grade),
            (Some(Severity::High), Grade::Counter)
        );
        assert_eq!(
            findings[0].headline,
            "the garbage collector uses 94 % of the CPU time; the heap is 97 % full"
        );
        assert_eq!(severity(&jvm(600, 400, None, 3)), Some(Severity::Medium));
    }

    #[test]
    fn a_collector_at_its_everyday_work_is_none() {
        assert_eq!(jvm(300, 900, Some(90), 3), [], "the program works more");
        assert_eq!(jvm(60, 2, Some(50), 3), [], "a twentieth of a CPU is no matter");
        assert_eq!(jvm(900, 100, Some(50), 1), [], "one dump counts nothing");
    }

    #[test]
    fn a_heap_that_stays_full() {
        assert_eq!(severity(&jvm(10, 900, Some(99), 3)), Some(Severity::Medium));
        assert_eq!(severity(&jvm(10, 900, Some(99), 1)), Some(Severity::Low));
        assert_eq!(jvm(10, 900, Some(95), 3), []);
    }

    #[test]
    fn goroutines_that_have_to_help() {
        let go = |helping: u64, at_work: u64, dumps: u64| {
            let mut scene = Scene::of(Runtime::Go);
            for second in 0..dumps {
                scene = scene.dump(second, |dump| {
                    for number in 0..helping + at_work {
                        let thread = dump.thread("", &["runtime.mallocgc", "main.fill:3"]);
                        (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
                        if number < helping {
                            thread.is(ThreadState::Waiting).state_text = "GC assist wait".into();
                        }
                    }
                });
            }
            detect(&scene.incident())
        };
        assert_eq!(severity(&go(8, 2, 3)), Some(Severity::Medium));
        assert_eq!(severity(&go(8, 2, 1)), Some(Severity::Low));
        assert_eq!(go(2, 0, 3), []);
        assert_eq!(go(3, 9, 3), []);
    }
}
