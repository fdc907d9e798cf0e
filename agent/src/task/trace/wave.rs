//! One wave of tasks: woken together, served one by one, read as they are served.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use sigquit_dump::Trace;

use super::super::entry::Entry;
use super::log::{Log, Look, WAVE};
use super::{Looked, Visit};

/// A wave that has stood still for so long is not waited for before the next one.
const STALL: Duration = Duration::from_millis(20);
/// How long a writer may take to leave a log that was closed.
const LEAVING: Duration = Duration::from_millis(10);

/// What the waking thread gets.
pub(super) struct Call {
    number: u32,
    tasks: Vec<Arc<Entry>>,
    /// Tasks that could not be woken: they have ended, or are at it.
    refused: Arc<AtomicU32>,
}

impl Call {
    /// Wakes all tasks of the wave, those that one waker wakes by one call: so they are polled
    /// together, and once.
    pub fn wake(&self) {
        let word = |slot| Visit { wave: self.number, slot }.to_word();
        for (slot, task) in (0..).zip(&self.tasks) {
            task.visit.store(word(slot), Release);
        }
        let mut last: Option<Waker> = None;
        for (slot, task) in (0..).zip(&self.tasks) {
            match task.waker.copy() {
                Some(waker) => {
                    if !last.as_ref().is_some_and(|last| last.will_wake(&waker)) {
                        waker.wake_by_ref();
                    }
                    last = Some(waker);
                }
                None if take_back(task, word(slot)) => _ = self.refused.fetch_add(1, Release),
                None => {}
            }
        }
    }
}

/// Ends a visit that nobody has taken. Whether nobody had.
fn take_back(task: &Entry, word: u64) -> bool {
    task.visit.compare_exchange(word, 0, AcqRel, Relaxed).is_ok()
}

/// How many of these tasks, from the first on, make up the next wave: as many as fit, but none of
/// those that are polled together without the others.
pub(super) fn length(tasks: &[Arc<Entry>]) -> usize {
    let together = |a: &Arc<Entry>, b: &Arc<Entry>| a.wakes.load(Relaxed) == b.wakes.load(Relaxed);
    let mut length = 0;
    for group in tasks.chunk_by(together) {
        if length + group.len() > WAVE {
            break;
        }
        length += group.len();
    }
    // More than a wave of tasks in one: they are polled several times.
    if length == 0 { tasks.len().min(WAVE) } else { length }
}

/// A wave under way, as the agent sees it.
pub(super) struct Wave<'a, T> {
    number: u32,
    log: &'static Log,
    tasks: &'a [Arc<Entry>],
    looked: &'a mut [Looked<T>],
    refused: Arc<AtomicU32>,
    /// Looks that have been read, and the first that may not have been.
    read: Vec<bool>,
    first: usize,
    served: u32,
    moved: Instant,
}

impl<'a, T: Copy> Wave<'a, T> {
    /// A wave of these tasks, and what the waking thread is to do.
    pub fn new(
        number: u32,
        log: &'static Log,
        tasks: &'a [Arc<Entry>],
        looked: &'a mut [Looked<T>],
    ) -> (Wave<'a, T>, Call) {
        let refused = Arc::new(AtomicU32::new(0));
        let call = Call { number, tasks: tasks.to_vec(), refused: refused.clone() };
        let (read, moved) = (Vec::new(), Instant::now());
        let wave = Wave { number, log, tasks, looked, refused, read, first: 0, served: 0, moved };
        (wave, call)
    }

    /// Whether every task has been served or cannot be.
    pub fn is_over(&self) -> bool {
        self.served + self.refused.load(Acquire) >= self.tasks.len() as u32
    }

    /// Whether tasks have been served of late.
    pub fn moves(&self) -> bool {
        self.moved.elapsed() < STALL
    }

    /// Reads what has come. Whether anything has.
    pub fn advance(&mut self, stack_of: &mut dyn FnMut(&Look<'_>) -> T) -> bool {
        let served = self.log.served();
        let read = self.read_looks(stack_of);
        let moved = read || served != self.served;
        self.served = served;
        if moved {
            self.moved = Instant::now();
        }
        moved
    }

    fn read_looks(&mut self, stack_of: &mut dyn FnMut(&Look<'_>) -> T) -> bool {
        let mut any = false;
        self.read.resize(self.log.looks(), false);
        for number in self.first..self.read.len() {
            let Some(look) = self.log.look(number).filter(|_| !self.read[number]) else { continue };
            self.read[number] = true;
            any = true;
            if let Some(looked) = self.looked.get_mut(look.slot as usize) {
                looked.add(stack_of(&look));
            }
        }
        self.first += self.read[self.first..].iter().take_while(|&&read| read).count();
        any
    }

    /// Ends the wave: nobody is served any more. How many were, and how many looks were cut.
    pub fn close(mut self, stack_of: &mut dyn FnMut(&Look<'_>) -> T) -> (u32, u32) {
        let deadline = Instant::now() + LEAVING;
        while !self.log.close() && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(50));
        }
        self.read_looks(stack_of);
        let mut served = 0;
        for (slot, (task, looked)) in self.tasks.iter().zip(&mut *self.looked).enumerate() {
            let visit = Visit { wave: self.number, slot: slot as u32 };
            let waits_still = take_back(task, visit.to_word());
            looked.trace = match self.log.outcome(slot) {
                Some(outcome) => outcome,
                None if waits_still => Trace::NotServed,
                None => looked.trace,
            };
            served += u32::from(self.log.outcome(slot).is_some());
        }
        (served, self.log.cut())
    }
}
