//! Which threads are worth many looks at their registers: those that use a CPU, or would if they
//! got one.

use std::collections::HashMap;

use sigquit_dump::{Dump, Nanos, Thread};

use crate::facts::{self, Tasks};

/// Looking at more would take too long.
const MOST: usize = 16;
/// The part of the time for which a thread ran or was ready to run, from which on it counts.
const SHARE: f64 = 0.2;

/// CPU time and run-queue delay of each thread at one moment.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    at: Nanos,
    threads: HashMap<i32, (Nanos, Nanos)>,
}

impl Usage {
    /// Of all threads, now.
    pub fn read() -> Usage {
        let at = facts::monotonic();
        let Ok(mut tasks) = Tasks::open() else { return Usage::default() };
        let threads = Tasks::ids().into_iter().filter_map(|tid| Some((tid, tasks.cpu(tid)?)));
        Usage { at, threads: threads.collect() }
    }

    /// Of all threads, when a dump was taken.
    pub fn of(dump: &Dump) -> Usage {
        let usage = |thread: &Thread| {
            Some((i32::try_from(thread.os_id?).ok()?, (thread.cpu?, thread.run_delay?)))
        };
        let threads = dump.threads.iter().filter_map(usage).collect();
        Usage { at: dump.monotonic.unwrap_or_default(), threads }
    }

    /// The threads that were busy since an earlier moment, those that wanted the most CPU first.
    /// On an overloaded machine a spinning thread gets little; what it waited for counts too.
    pub fn busy_since(&self, earlier: &Usage) -> Vec<i32> {
        let enough = self.at.since(earlier.at).0 as f64 * SHARE;
        let mut busy: Vec<(u64, i32)> = Vec::new();
        for (&tid, &(cpu, delay)) in &self.threads {
            let Some(&(cpu_before, delay_before)) = earlier.threads.get(&tid) else { continue };
            let ran = cpu.since(cpu_before).0;
            let wanted = ran + delay.since(delay_before).0;
            if ran > 0 && wanted as f64 >= enough {
                busy.push((wanted, tid));
            }
        }
        busy.sort_unstable_by(|a, b| b.cmp(a));
        busy.into_iter().take(MOST).map(|(_, tid)| tid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(at: u64, threads: &[(i32, u64, u64)]) -> Usage {
        let threads = threads.iter().map(|&(tid, cpu, delay)| (tid, (Nanos(cpu), Nanos(delay))));
        Usage { at: Nanos(at), threads: threads.collect() }
    }

    #[test]
    fn a_share_of_the_time_or_of_what_was_to_be_had() {
        let before = usage(0, &[(1, 0, 0), (2, 0, 0), (3, 500, 0), (4, 0, 0)]);
        let now = usage(1000, &[(1, 900, 0), (2, 30, 400), (3, 600, 0), (4, 0, 990), (5, 999, 0)]);
        // Thread 3 did little, 4 never ran, and of 5 nothing is known before.
        assert_eq!(now.busy_since(&before), [1, 2]);
    }

    #[test]
    fn of_many_the_busiest() {
        let threads = |cpu: u64| (1..=40).map(|tid| (tid, cpu * tid as u64, 0)).collect::<Vec<_>>();
        let busy = usage(100, &threads(10)).busy_since(&usage(0, &threads(0)));
        assert_eq!(busy, (25..=40).rev().collect::<Vec<_>>());
    }
}
