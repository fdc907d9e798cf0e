//! The kernel's own sampler: `perf_event_open`, task clock, registers and stack copied by the kernel.
//!
//! No signal is sent and no code of ours runs on the sampled threads. Every thread gets one event on each
//! CPU, and all events of a CPU write into one ring: no more can come from a CPU than its one
//! running thread, however many threads there are.
//!
//! The event counts all CPU time of its thread and samples only user mode. Each sample bears the count: it
//! stands for all that was counted since the one before, and so time in the kernel counts for the code
//! that runs next.

mod event;
mod ring;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::engine::{Engine, Taken};
use ring::Ring;

/// With more CPUs the rings would take more than 8 MB.
pub(super) const MOST_CPUS: usize = 16;

pub(super) struct Perf {
    rate: u32,
    rings: Vec<CpuRing>,
    /// The events of each thread, one a CPU.
    events: HashMap<i32, Vec<OwnedFd>>,
    /// How many samples each event has stood for so far, by thread and CPU.
    weighed: HashMap<(i32, i32), u64>,
    /// Threads whose last samples may still be in the rings.
    gone: Vec<i32>,
    /// How many more descriptors may be taken.
    descriptors: usize,
    lost: u64,
}

/// The ring of a CPU, and the event to which it belongs: of the thread that opened it, which is the
/// sampler's own and never enabled.
struct CpuRing {
    cpu: i32,
    holder: OwnedFd,
    ring: Ring,
}

impl Perf {
    pub const NAME: &'static str = "perf";

    pub fn open(rate: u32, threads: usize) -> io::Result<Perf> {
        let cpus = online_cpus()?;
        if cpus.len() > MOST_CPUS {
            return Err(io::Error::other(format!(
                "{} CPUs, and rings for {MOST_CPUS} at most",
                cpus.len()
            )));
        }
        let descriptors = descriptors()?;
        if (threads + 1) * cpus.len() > descriptors {
            return Err(io::Error::other(format!(
                "{threads} threads on {} CPUs take more than {descriptors} file descriptors",
                cpus.len()
            )));
        }
        let rings = cpus.iter().map(|&cpu| {
            let holder = event::open(0, cpu, rate, false)?;
            let ring = Ring::map(&holder)?;
            Ok(CpuRing { cpu, holder, ring })
        });
        let rings: Vec<CpuRing> = rings.collect::<io::Result<_>>()?;
        let descriptors = descriptors - rings.len();
        Ok(Perf {
            rate,
            rings,
            events: HashMap::new(),
            weighed: HashMap::new(),
            gone: Vec::new(),
            descriptors,
            lost: 0,
        })
    }

    fn open_all(&self, tid: i32) -> io::Result<Vec<OwnedFd>> {
        let open = |ring: &CpuRing| {
            let event = event::open(tid, ring.cpu, self.rate, true)?;
            event::write_to(&event, ring.holder.as_raw_fd())?;
            event::enable(&event)?;
            Ok(event)
        };
        self.rings.iter().map(open).collect()
    }
}

impl Engine for Perf {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn user_mode_only(&self) -> bool {
        true
    }

    fn add(&mut self, tid: i32) -> io::Result<()> {
        if self.descriptors < self.rings.len() {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let events = self.open_all(tid)?;
        self.descriptors -= events.len();
        self.events.insert(tid, events);
        Ok(())
    }

    fn remove(&mut self, tid: i32) {
        if let Some(events) = self.events.remove(&tid) {
            self.descriptors += events.len();
            self.gone.push(tid);
        }
    }

    fn stop(&mut self) {
        let events = self.events.drain().flat_map(|(_, events)| events);
        self.descriptors += events.map(|event| event::disable(&event)).count();
    }

    fn drain(&mut self, take: &mut dyn FnMut(Taken<'_>)) {
        let Perf { rings, weighed, rate, lost, gone, .. } = self;
        for CpuRing { cpu, ring, .. } in &mut *rings {
            *lost += ring.drain(&mut |taken, counted| {
                let weighed = weighed.entry((taken.tid, *cpu)).or_default();
                take(Taken { weight: weigh(weighed, counted, *rate), ..taken });
            });
        }
        for tid in gone.drain(..) {
            for ring in &*rings {
                weighed.remove(&(tid, ring.cpu));
            }
        }
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

/// How many samples one stands for, of an event that has counted so many nanoseconds. A timer may be
/// early by a little.
fn weigh(weighed: &mut u64, counted: u64, rate: u32) -> u64 {
    const EARLY: f64 = 0.1;
    let due = counted as f64 * f64::from(rate) / 1e9 + EARLY;
    let weight = (due as u64).saturating_sub(*weighed).max(1);
    *weighed += weight;
    weight
}

/// The CPUs that are online: `0-3,6`.
fn online_cpus() -> io::Result<Vec<i32>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<i32>().ok()?..=last.parse::<i32>().ok()?)
    };
    Ok(text.trim().split(',').filter_map(range).flatten().collect())
}

/// How many file descriptors may be taken: a quarter of what the process may have.
fn descriptors() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit, which is ours.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok((limit.rlim_cur / 4).min(1 << 16) as usize),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stands_for_what_was_counted_since_the_one_before() {
        let mut weighed = 0;
        // One in time, one early, one after three that were missed in the kernel, one late, one in time.
        let counted = [10_000_000, 19_999_000, 60_000_100, 78_000_000, 80_000_000];
        assert_eq!(counted.map(|counted| weigh(&mut weighed, counted, 100)), [1, 1, 4, 1, 1]);
        assert_eq!(weighed, 8);
    }
}
