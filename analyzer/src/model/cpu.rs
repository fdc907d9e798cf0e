//! CPU time: what each member used between two dumps, beside what was to be had.
//!
//! On a machine with enough CPUs a thread that never waits uses one of them. On an overloaded
//! one it uses what it is given, a few percent perhaps, and only the comparison tells: with the
//! time that it stood in the run queue, or with what the busiest thread of the process got.

use std::collections::HashMap;

use sigquit_dump::{Kind, Nanos, Thread};

use super::incident::{Incident, MemberId};

/// What one member used from one dump to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuUse {
    /// The earlier dump.
    pub from: usize,
    /// The later dump.
    pub to: usize,
    /// CPU time used.
    pub used: Nanos,
    /// Time in the run queue: ready, and without a CPU. Absent when the source does not say.
    pub delayed: Option<Nanos>,
    /// How often it gave the CPU away of itself, to wait for something.
    pub waits: Option<u64>,
    /// The time between the dumps.
    pub over: Nanos,
    /// The most that any member used meanwhile, the runtime's helpers left out.
    pub most: Nanos,
}

impl CpuUse {
    /// Share of the time that it was on a CPU.
    pub fn share(&self) -> f64 {
        ratio(self.used, self.over)
    }

    /// Share of the time that it was on a CPU or would have been, had there been one for it.
    pub fn wanted(&self) -> Option<f64> {
        let delayed = self.delayed?;
        Some(ratio(Nanos(self.used.0.saturating_add(delayed.0)), self.over))
    }

    /// What it used as a share of what the busiest member used.
    pub fn beside_most(&self) -> f64 {
        ratio(self.used, self.most)
    }
}

fn ratio(part: Nanos, whole: Nanos) -> f64 {
    if whole.0 == 0 { 0.0 } else { part.0 as f64 / whole.0 as f64 }
}

/// The CPU counters of an incident, laid out so that members can be compared.
pub struct Cpu<'a> {
    incident: &'a Incident,
    /// For each member, and for each dump of it, what the source says. Nothing is compared with one
    /// dump alone, and nothing told.
    told: Vec<Option<Counters>>,
    /// For each dump, the threads that carry a virtual one, by its number.
    carriers: Vec<HashMap<u64, usize>>,
    /// For each dump but the last: the most that any member used until the next one.
    most: Vec<Nanos>,
}

#[derive(Clone, Copy)]
struct Counters {
    used: Nanos,
    delayed: Option<Nanos>,
    waits: Option<u64>,
    /// Whose counters these are, where it is not the member itself that the system counts.
    carrier: Option<MemberId>,
}

impl<'a> Cpu<'a> {
    /// Reads the counters of all members.
    pub fn of(incident: &'a Incident) -> Cpu<'a> {
        let mut cpu = Cpu { incident, told: Vec::new(), carriers: Vec::new(), most: Vec::new() };
        let dumps = || 0..incident.dumps.len();
        if dumps().len() < 2 {
            return cpu;
        }
        cpu.carriers = dumps().map(|dump| carriers(incident, dump)).collect();
        let each = incident.ids().flat_map(|id| dumps().map(move |dump| (id, dump)));
        let mut told = Vec::with_capacity(incident.members.len() * dumps().len());
        told.extend(each.map(|(id, dump)| cpu.counters(id, dump)));
        cpu.told = told;
        cpu.most = (1..incident.dumps.len()).map(|to| cpu.most(to - 1, to)).collect();
        cpu
    }

    /// What a member used from each dump that gives its counters to the next that does.
    pub fn uses(&self, member: MemberId) -> Vec<CpuUse> {
        let told: Vec<usize> = (0..self.incident.dumps.len())
            .filter(|&dump| self.told(member, dump).is_some())
            .collect();
        told.windows(2).filter_map(|pair| self.used(member, pair[0], pair[1])).collect()
    }

    /// What a member used from the first dump that gives its counters to the last.
    pub fn whole_use(&self, member: MemberId) -> Option<CpuUse> {
        let mut told =
            (0..self.incident.dumps.len()).filter(|&dump| self.told(member, dump).is_some());
        let first = told.next()?;
        self.used(member, first, told.next_back()?)
    }

    /// Whether the thread is seen through the virtual thread that it carries, and so is not to
    /// be counted a second time.
    pub fn carries_another(&self, member: MemberId) -> bool {
        (0..self.incident.dumps.len()).any(|dump| {
            let carried = self.incident.thread(member, dump).and_then(|thread| thread.carries);
            carried.is_some_and(|number| {
                self.incident.dumps[dump].threads.iter().any(|thread| is_carried(thread, number))
            })
        })
    }

    /// CPUs that the process may use at once, by its mask and its control group's limit.
    pub fn allowed(&self) -> Option<f64> {
        let process = &self.incident.process;
        let limit = process.cpu_limit.filter(|limit| limit.period.0 > 0);
        let limit = limit.map(|limit| ratio(limit.quota, limit.period));
        let cpus = process.cpus.map(f64::from);
        match (cpus, limit) {
            (Some(cpus), Some(limit)) => Some(cpus.min(limit)),
            (cpus, limit) => cpus.or(limit),
        }
    }

    /// What all members used from the first dump to the last, as far as told.
    pub fn of_process(&self) -> Option<Nanos> {
        let dumps = &self.incident.dumps;
        let (first, last) = (dumps.first()?, dumps.last()?);
        if let Some((before, after)) = first.process.cpu.zip(last.process.cpu) {
            return Some(after.since(before));
        }
        let used = self.incident.ids().filter_map(|id| self.whole_use(id)).map(|used| used.used.0);
        used.reduce(u64::saturating_add).map(Nanos)
    }

    fn told(&self, member: MemberId, dump: usize) -> Option<Counters> {
        *self.told.get(member.0 as usize * self.incident.dumps.len() + dump)?
    }

    fn counters(&self, member: MemberId, dump: usize) -> Option<Counters> {
        let thread = self.incident.thread(member, dump)?;
        let (counted, carrier) = match (thread.cpu, thread.kind, thread.number) {
            (None, Kind::VirtualThread, Some(number)) => {
                let carrier = *self.carriers[dump].get(&number)?;
                let carrier_id = self.incident.member_of(dump, carrier);
                (self.incident.dumps[dump].threads.get(carrier)?, carrier_id)
            }
            _ => (thread, None),
        };
        Some(Counters {
            used: counted.cpu?,
            delayed: counted.run_delay,
            waits: counted.voluntary_switches,
            carrier,
        })
    }

    fn used(&self, member: MemberId, from: usize, to: usize) -> Option<CpuUse> {
        let (before, after) = (self.told(member, from)?, self.told(member, to)?);
        if before.carrier != after.carrier {
            return None;
        }
        let over = self.incident.between(from, to, before.carrier.unwrap_or(member))?;
        Some(CpuUse {
            from,
            to,
            used: after.used.since(before.used),
            delayed: before.delayed.zip(after.delayed).map(|(before, after)| after.since(before)),
            waits: before
                .waits
                .zip(after.waits)
                .map(|(before, after)| after.saturating_sub(before)),
            over,
            most: match self.most.get(from) {
                Some(&most) if to == from + 1 => most,
                _ => self.most(from, to),
            },
        })
    }

    /// The most that any member but the runtime's helpers used from one dump to another.
    fn most(&self, from: usize, to: usize) -> Nanos {
        let used = self.incident.ids().filter_map(|id| {
            let helper = self.incident.thread(id, to)?.runtime_helper;
            let used = self.told(id, to)?.used.since(self.told(id, from)?.used);
            (!helper).then_some(used)
        });
        used.max().unwrap_or_default()
    }
}

fn carriers(incident: &Incident, dump: usize) -> HashMap<u64, usize> {
    let threads = incident.dumps[dump].threads.iter().enumerate();
    threads.filter_map(|(index, thread)| Some((thread.carries?, index))).collect()
}

/// Whether the thread is the virtual one of that number, shown with its own stack.
fn is_carried(thread: &Thread, number: u64) -> bool {
    thread.kind == Kind::VirtualThread && thread.number == Some(number) && thread.stack.is_some()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{CpuLimit, Runtime};

    use super::super::scene::Scene;
    use super::*;

    fn close(here: f64, there: f64) -> bool {
        (here - there).abs() < 1e-9
    }

    #[test]
    fn time_in_the_run_queue_counts_as_wanted() {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..3 {
            scene = scene.dump(second, |dump| {
                let thread = dump.thread("w", &["order::get"]);
                thread.cpu = Some(Nanos::from_millis(100 * second));
                thread.run_delay = Some(Nanos::from_millis(880 * second));
            });
        }
        let incident = scene.incident();
        let cpu = Cpu::of(&incident);
        let uses = cpu.uses(incident.named("w"));
        assert_eq!(uses.len(), 2);
        assert!(close(uses[0].share(), 0.1) && close(uses[0].wanted().unwrap_or(0.0), 0.98));
        let whole = cpu.whole_use(incident.named("w")).expect("it is counted");
        assert_eq!((whole.from, whole.to, whole.used), (0, 2, Nanos::from_millis(200)));
    }

    #[test]
    fn helpers_of_the_runtime_are_no_measure_for_the_others() {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..2 {
            scene = scene.dump(second, |dump| {
                dump.thread("w-1", &["a.A.run:1"]).cpu = Some(Nanos::from_millis(10 * second));
                dump.thread("w-2", &["a.A.run:1"]).cpu = Some(Nanos::from_millis(20 * second));
                let jit = dump.thread("C2", &[]);
                jit.cpu = Some(Nanos::from_millis(900 * second));
                jit.runtime_helper = true;
            });
        }
        let incident = scene.incident();
        let cpu = Cpu::of(&incident);
        let used = cpu.whole_use(incident.named("w-1")).expect("it is counted");
        assert!(close(used.beside_most(), 0.5) && used.wanted().is_none());
        assert_eq!(cpu.of_process(), Some(Nanos::from_millis(930)));
    }

    #[test]
    fn a_virtual_thread_uses_what_its_carrier_uses() {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..2 {
            scene = scene.dump(second, |dump| {
                let carrier = dump.thread("carrier", &["jdk.Continuation.run:1"]);
                carrier.carries = Some(7);
                carrier.cpu = Some(Nanos::from_millis(500 * second));
                let carried = dump.thread("v", &["a.A.spin:9"]);
                (carried.kind, carried.number) = (Kind::VirtualThread, Some(7));
            });
        }
        let incident = scene.incident();
        let cpu = Cpu::of(&incident);
        let used = cpu.whole_use(incident.named("v")).expect("its carrier is counted");
        assert!(close(used.share(), 0.5));
        assert!(cpu.carries_another(incident.named("carrier")));
        assert!(!cpu.carries_another(incident.named("v")));
    }

    #[test]
    fn the_smaller_of_mask_and_limit_is_what_is_allowed() {
        let mut incident = Scene::of(Runtime::Rust).dump(0, |_| ()).incident();
        assert_eq!(Cpu::of(&incident).allowed(), Some(2.0));
        let limit = CpuLimit { quota: Nanos::from_millis(50), period: Nanos::from_millis(100) };
        incident.process.cpu_limit = Some(limit);
        assert_eq!(Cpu::of(&incident).allowed(), Some(0.5));
    }
}
