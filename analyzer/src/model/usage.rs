//! Tables of threads' CPU time, as `top -H` prints them, joined with the dumps beside them: by the
//! number that the operating system gives a thread.

use std::collections::{HashMap, HashSet};

use sigquit_dump::{Dump, Nanos};

use super::incident::{Incident, MemberId};
use crate::read::{Input, ThreadUsage, Usage};

/// A table and the input that holds it.
pub(super) type Placed = (usize, Usage);

/// The shares of a CPU that threads of one dump used just before, by their index.
pub(super) type Shares = HashMap<usize, f64>;

/// A table belongs to a dump of the same minute, where both say when they were taken.
const NEAR: u64 = 60 * 1_000_000_000;

const DAY: u64 = 24 * 3600 * 1_000_000_000;

impl Incident {
    /// The share of a CPU that a member used just before a dump, where a table beside it tells.
    pub fn cpu_share(&self, id: MemberId, dump: usize) -> Option<f64> {
        let thread = (*self.member(id).seen.get(dump)?)?;
        self.shares.get(dump)?.get(&thread).copied()
    }
}

/// Where the tables in inputs begin that show no thread of any dump.
pub(crate) fn without_dump(inputs: &[Input]) -> Vec<(usize, u64)> {
    let dumps = || inputs.iter().flat_map(|input| &input.dumps);
    let placed = inputs.iter().enumerate();
    let tables = placed.flat_map(|(at, input)| input.usages.iter().map(move |usage| (at, usage)));
    let alone = tables.filter(|(_, usage)| !dumps().any(|dump| is_of(usage, dump)));
    alone.map(|(at, usage)| (at, usage.line)).collect()
}

/// Gives the dumps of incidents what the tables beside them tell.
pub(super) fn join(incidents: &mut [Incident], usages: &[Placed]) {
    for incident in incidents.iter_mut().filter(|_| !usages.is_empty()) {
        for (dump, usage) in pairs(incident, usages) {
            incident.shares[dump] = give(&mut incident.dumps[dump], usage);
        }
    }
}

/// Whether a table shows a dump's threads. A number that two processes happen to share, or a table
/// of processes, is not enough.
fn is_of(usage: &Usage, dump: &Dump) -> bool {
    let told: HashSet<u64> = usage.threads.iter().map(|thread| thread.os_id).collect();
    let numbered = dump.threads.iter().filter_map(|thread| thread.os_id);
    let shown = numbered.clone().filter(|os_id| told.contains(os_id)).count();
    shown >= 2 || shown == 1 && numbered.count() == 1
}

/// For each dump of an incident that has one, the table that was taken with it.
fn pairs<'u>(incident: &Incident, usages: &'u [Placed]) -> Vec<(usize, &'u Usage)> {
    let is_any = |usage: &Usage| incident.dumps.iter().any(|dump| is_of(usage, dump));
    let usages: Vec<&Placed> = usages.iter().filter(|(_, usage)| is_any(usage)).collect();
    let dumps: Vec<usize> = (0..incident.dumps.len())
        .filter(|&dump| usages.iter().any(|(_, usage)| is_of(usage, &incident.dumps[dump])))
        .collect();
    let mut pairs = Vec::new();
    for (place, &at) in dumps.iter().enumerate() {
        let (dump, input) = (&incident.dumps[at], incident.inputs[at]);
        let line = dump.threads.first().and_then(|thread| thread.line).unwrap_or_default();
        let of_dump = usages.iter().filter(|(_, usage)| is_of(usage, dump));
        let best = of_dump.min_by_key(|(of, usage)| {
            let in_file = if *of == input { usage.line.abs_diff(line) } else { u64::MAX };
            (distance(dump, usage).unwrap_or(u64::MAX), in_file)
        });
        let Some((of, usage)) = best else { continue };
        // Without a time and a common file, the order in which they came tells.
        let usage = match distance(dump, usage) {
            Some(distance) if distance > NEAR => continue,
            None if *of != input => match usages.len() {
                count if count == dumps.len() => &usages[place].1,
                _ if dumps.len() == 1 => &usages[usages.len() - 1].1,
                _ => continue,
            },
            _ => usage,
        };
        pairs.push((at, usage));
    }
    pairs
}

/// How far apart a dump and a table were taken. A table knows the time of the day only.
fn distance(dump: &Dump, usage: &Usage) -> Option<u64> {
    let apart = (dump.time?.0 % DAY).abs_diff(usage.clock?.0);
    Some(apart.min(DAY - apart))
}

/// What a dump says itself of CPU time it knows better.
fn give(dump: &mut Dump, usage: &Usage) -> Shares {
    let told: HashMap<u64, &ThreadUsage> =
        usage.threads.iter().map(|thread| (thread.os_id, thread)).collect();
    let mut shares = Shares::new();
    for (index, thread) in dump.threads.iter_mut().enumerate() {
        let Some(told) = thread.os_id.and_then(|os_id| told.get(&os_id)) else { continue };
        let cpu: Option<Nanos> = told.cpu;
        thread.cpu = thread.cpu.or(cpu);
        shares.extend(told.share.map(|share| (index, share)));
    }
    shares
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::incidents;
    use crate::model::scene::Scene;

    /// A JVM's dumps, so many seconds after midnight, without CPU time.
    fn dumps(seconds: &[u64]) -> Vec<Dump> {
        let mut scene = Scene::of(Runtime::Jvm);
        for &second in seconds {
            scene = scene.dump(second, |dump| {
                for (name, os_id) in [("report", 11), ("poller", 12)] {
                    dump.thread(name, &["shop.Main.run:1"]).os_id = Some(os_id);
                }
            });
        }
        let mut dumps = scene.incident().dumps;
        for (dump, second) in dumps.iter_mut().zip(seconds) {
            dump.monotonic = None;
            dump.time = Some(Nanos::from_millis(1000 * (20_000 * 86_400 + second)));
        }
        dumps
    }

    fn usage(second: Option<u64>, cpu: u64) -> Usage {
        let clock = second.map(|second| Nanos::from_millis(1000 * second));
        let busy =
            ThreadUsage { os_id: 11, cpu: Some(Nanos::from_millis(1000 * cpu)), share: Some(0.9) };
        let idle = ThreadUsage { os_id: 12, cpu: Some(Nanos(0)), share: Some(0.0) };
        Usage { line: 1, clock, threads: vec![busy, idle] }
    }

    fn used(dumps: Vec<Dump>, usages: Vec<Usage>) -> Vec<Option<u64>> {
        let of_dumps = Input { dumps, ..Input::default() };
        let of_usages = Input { usages, ..Input::default() };
        let incident = incidents(vec![of_usages, of_dumps]).remove(0);
        let cpu = |dump: &Dump| Some(dump.threads[0].cpu?.0 / 1_000_000_000);
        incident.dumps.iter().map(cpu).collect()
    }

    #[test]
    fn tables_go_to_the_dumps_of_their_moments() {
        let tables = || vec![usage(Some(12), 7), usage(Some(22), 17), usage(Some(3000), 99)];
        assert_eq!(used(dumps(&[10, 20]), tables()), [Some(7), Some(17)]);
        assert_eq!(used(dumps(&[50, 200]), tables()), [Some(17), None]);
    }

    #[test]
    fn without_times_the_order_tells() {
        let tables = || vec![usage(None, 7), usage(None, 17)];
        assert_eq!(used(dumps(&[10, 20]), tables()), [Some(7), Some(17)]);
        assert_eq!(used(dumps(&[10]), tables()), [Some(17)]);
        assert_eq!(used(dumps(&[10, 20, 30]), tables()), [None; 3]);
    }

    #[test]
    fn numbers_of_another_process_tell_nothing() {
        let mut other = usage(None, 7);
        other.threads[1].os_id = 99;
        let inputs = [Input { usages: vec![other.clone()], ..Input::default() }];
        assert_eq!(without_dump(&inputs), [(0, 1)]);
        assert_eq!(used(dumps(&[10]), vec![other]), [None]);
    }
}
