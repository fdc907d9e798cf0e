//! Wall time: every thread is sampled, whether it runs or waits.
//!
//! In each round every thread is asked by a signal, as for a dump. But a thread that has used no
//! CPU since it was asked is where it was, and is left alone:
//!
//! ```text
//! moving   it has used CPU since the round before              asked
//! asked    it slept through a round, and was asked then        has it run once since? then it is still
//! still    it slept when it was asked, ran the handler only,   left alone, until it has used CPU
//!          and sleeps again
//! ```
//!
//! So a thread that waits is disturbed twice, as often as by two dumps. How often it was put on a
//! CPU the kernel tells in `schedstat`; where it does not, every thread is asked in every round.

use std::collections::HashMap;
use std::{fs, io};

use super::engine::{Engine, Seen, Taken};
use super::ring::RING;
use super::{signal, threads};

/// Rounds of asking all threads.
pub(super) struct Wall {
    signal: i32,
    period: u64,
    next: u64,
    threads: HashMap<i32, Thread>,
    due: u64,
}

struct Thread {
    state: State,
    /// Its CPU time in the round before.
    cpu: Option<u64>,
    /// It was asked and has not answered; it is not asked twice.
    is_pending: bool,
    /// What its next sample weighs: the periods of the round in which it was asked.
    weight: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Moving,
    /// It had been put on a CPU so many times.
    Asked(u64),
    Still,
}

/// What a round does with a thread.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Ask,
    IsWhereItWas,
}

impl State {
    /// The next state. Whether it `slept` since the round before; how often it was put on a CPU.
    fn next(self, slept: bool, runs: Option<u64>) -> (State, Turn) {
        match (self, slept, runs) {
            (State::Still, true, _) => (State::Still, Turn::IsWhereItWas),
            (State::Asked(before), _, Some(now)) if now == before + 1 => {
                (State::Still, Turn::IsWhereItWas)
            }
            (State::Moving, true, Some(now)) => (State::Asked(now), Turn::Ask),
            _ => (State::Moving, Turn::Ask),
        }
    }
}

impl Wall {
    pub const NAME: &'static str = "rounds";

    pub fn open(rate: u32) -> io::Result<Wall> {
        let signal = signal::own()?;
        RING.open();
        let period = 1_000_000_000 / u64::from(rate.max(1));
        let next = threads::monotonic();
        Ok(Wall { signal, period, next, threads: HashMap::new(), due: 0 })
    }

    fn round(&mut self, now: u64, take: &mut dyn FnMut(Taken<'_>)) {
        let weight = 1 + (now - self.next) / self.period;
        self.next += weight * self.period;
        self.due += weight * self.threads.len() as u64;
        for (&tid, thread) in self.threads.iter_mut().filter(|(_, thread)| !thread.is_pending) {
            let cpu = threads::cpu(tid);
            let slept = cpu.is_some() && cpu == thread.cpu;
            let runs = if thread.state == State::Still { None } else { times_run(tid) };
            // Asleep while that was read, too.
            let slept = slept && threads::cpu(tid) == cpu;
            let (state, turn) = thread.state.next(slept, runs);
            (thread.state, thread.cpu) = (state, cpu);
            match turn {
                Turn::IsWhereItWas => {
                    take(Taken { tid, time: now, weight, vectors: 0, seen: Seen::Again })
                }
                Turn::Ask => {
                    thread.weight = weight;
                    thread.is_pending = ask(tid, self.signal);
                }
            }
        }
    }
}

/// Sends the signal to a thread; whether there is one.
fn ask(tid: i32, signal: i32) -> bool {
    // SAFETY: sends a signal that has a handler of ours, to a thread of this process or to nobody.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) == 0 }
}

/// How often a thread was put on a CPU: the third number of its `schedstat`.
fn times_run(tid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(2)?.parse().ok()
}

impl Engine for Wall {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn user_mode_only(&self) -> bool {
        false
    }

    fn add(&mut self, tid: i32) -> io::Result<()> {
        let thread = Thread { state: State::Moving, cpu: None, is_pending: false, weight: 1 };
        self.threads.insert(tid, thread);
        Ok(())
    }

    fn remove(&mut self, tid: i32) {
        self.threads.remove(&tid);
    }

    fn stop(&mut self) {
        self.next = u64::MAX;
    }

    fn drain(&mut self, take: &mut dyn FnMut(Taken<'_>)) {
        let threads = &mut self.threads;
        RING.drain(&mut |mut taken| {
            if let Some(thread) = threads.get_mut(&taken.tid) {
                thread.is_pending = false;
                taken.weight = thread.weight;
                take(taken);
            }
        });
        let now = threads::monotonic();
        if now >= self.next {
            self.round(now, take);
        }
    }

    fn lost(&self) -> u64 {
        RING.lost()
    }

    fn due(&self) -> Option<u64> {
        Some(self.due)
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        RING.close();
        RING.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sleeps_is_asked_until_it_has_run_the_handler_alone() {
        let (asked, turn) = State::Moving.next(true, Some(7));
        assert_eq!((asked, turn), (State::Asked(7), Turn::Ask));
        let (still, turn) = asked.next(false, Some(8));
        assert_eq!((still, turn), (State::Still, Turn::IsWhereItWas));
        assert_eq!(still.next(true, None), (State::Still, Turn::IsWhereItWas));
        assert_eq!(still.next(false, None), (State::Moving, Turn::Ask));
    }

    #[test]
    fn who_has_run_for_itself_is_asked_again() {
        for runs in [Some(7), Some(9), None] {
            assert_eq!(State::Asked(7).next(false, runs), (State::Moving, Turn::Ask), "{runs:?}");
        }
        assert_eq!(State::Moving.next(false, Some(7)), (State::Moving, Turn::Ask));
        assert_eq!(State::Moving.next(true, None), (State::Moving, Turn::Ask), "nothing is known");
    }
}
