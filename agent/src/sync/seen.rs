//! What a dump takes of the ledgers: what was so throughout the capture.
//!
//! The threads answer one after another, and their stacks show where each was when it did. So the
//! ledgers are read before and after, and what both readings show was so in between, whenever the
//! thread answered. Of two threads no two such holds of one mutex can overlap. What changes all the
//! time is left out: such a thread is not stuck.

use std::collections::HashMap;

use super::ledger::{Claim, Numbered, Seen};
use super::ledgers;

/// What all threads hold and wait for at one moment.
pub(crate) struct Moment(HashMap<u32, Seen>);

/// What one thread held and waited for all the time.
#[derive(Debug)]
pub(crate) struct Lasting {
    /// The thread, by tid.
    pub thread: u32,
    pub holds: Vec<Claim>,
    pub wait: Option<Wait>,
    /// How many locks it holds beyond what a ledger has room for.
    pub beyond: u32,
}

/// A lock that a thread waits for.
#[derive(Debug)]
pub(crate) struct Wait {
    pub claim: Claim,
    /// How often somebody waited for the lock before.
    pub waits_before: u64,
    /// How long those waits took in all, in the units of the clock.
    pub waited_before: u64,
}

/// Looks at all ledgers.
pub(crate) fn look() -> Moment {
    let all = ledgers::all().into_iter();
    Moment(all.filter_map(|(thread, seen)| Some((thread, seen?))).collect())
}

impl Moment {
    /// What has been so since, by tid.
    pub fn lasting(&self) -> Vec<Lasting> {
        let Moment(now) = look();
        let lasting = now.into_iter().filter_map(|(thread, now)| {
            let lasting = lasting(thread, self.0.get(&thread)?, &now);
            (!lasting.holds.is_empty() || lasting.wait.is_some()).then_some(lasting)
        });
        let mut lasting: Vec<Lasting> = lasting.collect();
        lasting.sort_unstable_by_key(|one| one.thread);
        lasting
    }
}

fn lasting(thread: u32, before: &Seen, now: &Seen) -> Lasting {
    let stayed = |hold: &&Numbered| before.holds.contains(hold);
    let wait = now.wait.filter(|wait| before.wait.as_ref() == Some(wait));
    Lasting {
        thread,
        holds: now.holds.iter().filter(stayed).map(|hold| hold.claim).collect(),
        wait: wait.map(|wait| Wait {
            claim: wait.claim,
            waits_before: now.waits_before,
            waited_before: now.waited_before,
        }),
        beyond: now.beyond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(number: u64, lock: u64) -> Numbered {
        Numbered { number, claim: Claim { lock, made: None, taken: None, since: 0, how: 0 } }
    }

    #[test]
    fn what_was_given_back_and_taken_again_did_not_last() {
        let seen = |holds: &[Numbered], wait: Numbered| Seen {
            holds: holds.to_vec(),
            wait: Some(wait),
            ..Seen::default()
        };
        let before = seen(&[claim(2, 10), claim(4, 20)], claim(6, 30));
        let now = seen(&[claim(2, 10), claim(8, 20)], claim(6, 30));
        let lasted = lasting(7, &before, &now);
        assert_eq!(lasted.holds.iter().map(|hold| hold.lock).collect::<Vec<_>>(), [10]);
        assert_eq!(lasted.wait.map(|wait| wait.claim.lock), Some(30));
        let waits_anew = seen(&[], claim(10, 30));
        assert!(lasting(7, &before, &waits_anew).wait.is_none());
    }

    #[test]
    fn no_mutex_is_ever_seen_with_two_owners() {
        use std::sync::atomic::AtomicBool;
        use std::sync::atomic::Ordering::Relaxed;

        use crate::sync::Mutex;

        let (ended, mutexes) = (AtomicBool::new(false), [const { Mutex::new(0_u64) }; 3]);
        let ours: Vec<u64> =
            mutexes.iter().map(|one| std::ptr::from_ref(one).addr() as u64).collect();
        let is_ours = |lock: u64| ours.iter().any(|&at| (at..at + 64).contains(&lock));
        let work = |first: usize| {
            while !ended.load(Relaxed) {
                for at in first..first + 3 {
                    *mutexes[at % 3].lock().unwrap() += 1;
                }
            }
        };
        std::thread::scope(|scope| {
            (0..3).for_each(|first| drop(scope.spawn(move || work(first))));
            for _ in 0..2_000 {
                let before = look();
                std::hint::black_box(vec![0_u8; 100]);
                let lasting = before.lasting();
                let holds = lasting.iter().flat_map(|one| &one.holds).map(|hold| hold.lock);
                let mut held: Vec<u64> = holds.filter(|&lock| is_ours(lock)).collect();
                held.sort_unstable();
                assert!(held.windows(2).all(|pair| pair[0] != pair[1]), "{held:?}");
            }
            ended.store(true, Relaxed);
        });
    }
}
