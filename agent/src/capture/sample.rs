//! The state of a few busy threads, many times in a short while.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use sigquit_dump::Nanos;

use super::rendezvous::Rendezvous;
use super::{Capturer, Error, Maps};
use crate::unwind::Registers;

/// CPU time that a thread must have had since its last sample for the next to say something
/// new. A signal that was queued while the handler ran is delivered before the thread executes
/// another instruction: its registers are the same, and it does not follow that it goes round.
const ADVANCE: u64 = 20_000;
/// Between the answer of a thread and the next question.
const PAUSE: Duration = Duration::from_micros(100);

/// One look at a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sample {
    /// Its registers.
    pub registers: Registers,
    /// Equal for equal words at the top of the stack and in the vector registers.
    pub rest: u64,
}

pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// What one thread's states were, in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    /// The thread.
    pub tid: i32,
    /// Its states.
    pub samples: Vec<Sample>,
    /// The wall time from the first to the last.
    pub over: Nanos,
    /// The CPU time at the last sample.
    cpu: u64,
    first: Option<Instant>,
}

impl Capturer {
    /// Takes up to `count` samples of each thread's registers, as fast as they run and answer,
    /// until the budget is used up. A thread that does not run gives few, or none.
    ///
    /// # Errors
    /// When the handler was replaced: then nobody was asked.
    pub fn sample_registers(
        &mut self,
        tids: &[i32],
        count: usize,
        budget: Duration,
    ) -> Result<Vec<Samples>, Error> {
        self.check_handler()?;
        let mut samples: Vec<Samples> = tids.iter().map(|&tid| Samples::of(tid)).collect();
        let mut rendezvous = Rendezvous::new(self, budget, &Maps::default());
        let end = Instant::now() + budget;
        while Instant::now() < end && samples.iter().any(|one| one.samples.len() < count) {
            let wanted = samples.iter().filter(|one| one.samples.len() < count);
            let wanted: Vec<i32> = wanted.map(|one| one.tid).collect();
            if !ask_again(&mut rendezvous, &wanted) {
                break;
            }
            rendezvous.wait(1);
            for (tid, sample, cpu) in rendezvous.drain_samples() {
                samples.iter_mut().filter(|one| one.tid == tid).for_each(|one| {
                    one.add(sample, cpu);
                });
            }
            std::thread::sleep(PAUSE);
        }
        rendezvous.abandon();
        Ok(samples)
    }
}

/// Asks those of whom no answer is awaited; whether anybody is.
fn ask_again(rendezvous: &mut Rendezvous<'_>, tids: &[i32]) -> bool {
    for &tid in tids {
        if !rendezvous.awaits(tid) {
            // A thread that cannot be asked gives no more samples.
            let _ = rendezvous.ask(tid, false);
        }
    }
    tids.iter().any(|&tid| rendezvous.awaits(tid))
}

impl Samples {
    fn of(tid: i32) -> Samples {
        Samples { tid, samples: Vec::new(), over: Nanos(0), cpu: 0, first: None }
    }

    fn add(&mut self, sample: Sample, cpu: u64) {
        if self.first.is_some() && cpu.saturating_sub(self.cpu) < ADVANCE {
            return;
        }
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        self.over = Nanos((now - first).as_nanos() as u64);
        self.cpu = cpu;
        self.samples.push(sample);
    }
}
