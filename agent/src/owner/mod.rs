//! Frames -> the locks that their thread will release, and so holds.
//!
//! A Rust mutex does not know its owner. But the owner's code does: somewhere after the place
//! where a frame goes on stands the instruction that gives the lock back, and the registers and
//! the stack of that frame hold what it needs to compute the lock's address. So the code is
//! followed, from the frame's pc, with the registers that the unwinder restored and the stack
//! as it was copied, on both sides of every branch whose condition is not known. A path that
//! gives back a lock which it has not taken shows that the thread has held it all along.
//!
//! That is an inference. It errs on the side of silence:
//!
//! - A release counts only when its instruction, its width and its operands are those of the
//!   library whose lock this is ([`balance`]), at an address that is known for certain.
//! - Frames are followed from the innermost on, and each begins with what the inner ones may
//!   have acquired: a thread in `Condvar::wait` will release its mutex, but not before it has
//!   acquired it again.
//! - What the inner frames write is not known to the outer ones, and a guard beside a flag that they
//!   write may be one no more: a task that is polled keeps in memory what it had when it was polled
//!   before, and says last what of that is still there.
//! - Code that is not followed (long functions, indirect calls) is taken to acquire every lock
//!   that it is given, and to change every guard whose address it gets.
//! - A thread that waits for a lock is named as its owner only when it will release it twice.
//!
//! Threads that have the address of a lock, as owners mostly do, are followed a little way first, for most
//! release it soon; then, in [`rounds`], further, and last those that have the address of something that leads
//! to it, each time only for the locks whose holders are not all known by then: a lock's own word says how
//! many there are. A place from which threads were followed in vain is given up ([`fruitless`]), unless they
//! write there what outer frames read. Where time ends before, the dump says so. How often owners are found,
//! and what it costs, `tests/crowd` measures.
//!
//! What is not found, and then nothing is said: most locks of code that was built without
//! optimisation, for there dropping a guard is a chain of calls (of the standard library's more are found than
//! not, of parking_lot's none); a release behind a loop that
//! has no exit, behind a jump table, or in the code that unwinds a panic; guards that lie in
//! memory which is reached from the frame through more than one pointer, in a map, or in an async task
//! that no thread is about to poll.

mod address_map;
mod answers;
mod balance;
mod code;
mod explore;
mod fruitless;
mod leads;
mod memory;
mod patience;
mod rounds;
mod state;
mod value;
mod wanted;
mod written;
mod x86_64;

pub(crate) use answers::Answers;
pub(crate) use wanted::Awaited;

use std::collections::BTreeSet;
use std::time::Duration;

use balance::Balance;
use code::Code;
use explore::{Budget, explore};
use fruitless::{Fruitless, Site};
use leads::{Lead, Leads, Reach};
use memory::{Memory, Pages};
use patience::Patience;
use rounds::{For, Round};
use state::{Sight, State};
use wanted::Wanted;
use x86_64::Scratch;

use crate::unwind::{Registers, StackCopy, UnwoundFrame};

/// One thread whose code is to be followed.
struct Held<'a> {
    /// Its frames, innermost first.
    frames: &'a [UnwoundFrame],
    /// Its stack.
    stack: StackCopy<'a>,
    /// The futex on which it waits.
    awaits: Option<u64>,
}

/// What a thread's inner frames will have written before an outer one goes on.
#[derive(Default)]
struct Inner {
    words: BTreeSet<u64>,
    /// Words of which they write a single byte.
    flags: BTreeSet<u64>,
}

impl Inner {
    /// Forgets what lies in the part of the stack that is not in use any more where a frame begins.
    fn forget_below(&mut self, bottom: u64, stack: StackCopy) {
        let is_gone = |at: u64| at < bottom && at >= stack.start;
        self.words.retain(|&at| !is_gone(at));
        self.flags.retain(|&at| !is_gone(at));
    }
}

/// How one thread is followed, frame by frame.
struct Pursuit<'a> {
    thread: &'a Held<'a>,
    /// The words for whose change it waits itself.
    own: Vec<u64>,
    /// What it may hold.
    sought: Wanted,
    /// What its inner frames may have done to the locks.
    balance: Balance,
    inner: Inner,
    /// The words that it releases before it acquires them.
    released: Vec<u64>,
}

impl Pursuit<'_> {
    /// Whether a frame may lead to a lock that was not found yet.
    fn concerns(&self, reach: &Reach) -> bool {
        let is_open = |lock: u64| self.sought.at(lock).is_some() && !self.released.contains(&lock);
        reach.leads.iter().any(|lead| is_open(lead.lock))
    }
}

/// What came of following one frame.
struct Outcome {
    /// How many more instructions might have been followed.
    unread: u32,
    /// It came by no wanted lock.
    in_vain: bool,
    /// It writes what outer frames may read.
    writes: bool,
}

/// What was found out about one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// The futexes on which others wait for this thread, sorted.
    futexes: Vec<u64>,
    /// Not all of it was followed: time ran out.
    cut: bool,
    /// Not all of it was followed, for this or for how far code is followed.
    unfinished: bool,
}

impl Found {
    /// A thread for which there is no time.
    fn late() -> Found {
        Found { cut: true, unfinished: true, ..Found::default() }
    }

    /// Adds what was found when the thread was followed again.
    fn add(&mut self, again: Found) {
        self.futexes.extend(again.futexes);
        self.futexes.sort_unstable();
        self.futexes.dedup();
        self.cut |= again.cut;
        self.unfinished = again.unfinished;
    }
}

/// The search for owners in one dump.
struct Search<M> {
    memory: Pages<M>,
    code: Code,
    /// The addresses of all locks that threads wait for, sorted.
    locks: Vec<u64>,
    /// Those whose owners are not known yet.
    wanted: Wanted,
    leads: Leads,
    fruitless: Fruitless,
    patience: Patience,
    scratch: Option<Scratch>,
}

impl<M: Memory> Search<M> {
    /// A search for the owners of what these futexes stand for. Its time begins now; it may use so
    /// much CPU, and somewhat more for the thread that it is at.
    fn new(awaited: &[Awaited], memory: M, work: Duration) -> Search<M> {
        let mut memory = Pages::new(memory);
        let wanted = Wanted::new(awaited, &mut memory);
        Search {
            memory,
            code: Code::default(),
            locks: wanted.words().collect(),
            wanted,
            leads: Leads::default(),
            fruitless: Fruitless::default(),
            patience: Patience::new(work),
            scratch: None,
        }
    }

    fn begin_round(&mut self, round: &Round) {
        self.fruitless.begin_round(round.continues);
    }

    /// Whether nothing can be found.
    fn is_over(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether the time for it is over.
    fn is_late(&self) -> bool {
        self.patience.instructions() == 0
    }

    fn memory(&mut self) -> &mut M {
        self.memory.source()
    }

    /// The futexes on which threads wait for this one to release a lock.
    fn will_release(&mut self, thread: &Held, round: &Round) -> Found {
        let mut found = Found::default();
        let own: Vec<u64> = match thread.awaits {
            Some(futex) => self.wanted.words_of(futex).collect(),
            None => Vec::new(),
        };
        if self.wanted.is_empty() || round.whom == For::Itself && own.is_empty() {
            return found;
        }
        let reaches = self.reaches(thread);
        let is_sought = |lead: &&Lead| {
            lead.way <= round.way && own.contains(&lead.lock) == (round.whom == For::Itself)
        };
        let leads = reaches.iter().flat_map(|reach| &reach.leads);
        let sought = leads.filter(is_sought).map(|lead| lead.lock);
        let sought = self.wanted.only(sought);
        let balance = Balance::waiting_for(sought.words().filter(|word| own.contains(word)));
        let (inner, released) = (Inner::default(), Vec::new());
        let mut pursuit = Pursuit { thread, own, sought, balance, inner, released };
        let mut left = round.thread;
        for (at, (frame, reach)) in thread.frames.iter().zip(&reaches).enumerate() {
            let site = Site { pc: frame.pc, shape: reach.shape };
            let has_outer = || reaches[at + 1..].iter().any(|outer| pursuit.concerns(outer));
            if !pursuit.concerns(reach)
                || self.fruitless.is_given_up(site, has_outer)
                || !self.returns_to(thread.frames, at)
            {
                continue;
            }
            let affordable = self.patience.instructions();
            found.cut = affordable == 0;
            if found.cut || left == 0 {
                found.unfinished = true;
                break;
            }
            let most = left.min(round.frame).min(affordable);
            let known = pursuit.released.len();
            let outcome = self.follow(&mut pursuit, frame, most);
            let unread = outcome.unread;
            left -= most - unread;
            if outcome.in_vain && unread == 0 {
                self.fruitless.note_cut(site);
            } else if outcome.in_vain {
                self.fruitless.note_whole(site, outcome.writes);
            }
            for &word in pursuit.released.iter().skip(known) {
                found.futexes.extend(self.wanted.at(word).iter().flat_map(|word| &word.futexes));
                self.wanted.found(word);
            }
            if unread == 0 {
                found.unfinished = true;
                if !round.goes_on {
                    break;
                }
            }
        }
        found
    }

    /// What the thread's frames may reach.
    fn reaches(&mut self, thread: &Held) -> Vec<Reach> {
        let (leads, wanted, memory) = (&mut self.leads, &self.wanted, &mut self.memory);
        let of = |frame| leads.of(frame, thread.stack, wanted, memory);
        thread.frames.iter().map(of).collect()
    }

    /// Follows one frame for at most so many instructions.
    fn follow(&mut self, pursuit: &mut Pursuit, frame: &UnwoundFrame, most: u32) -> Outcome {
        let before = (pursuit.balance.clone(), pursuit.released.len());
        let mut state = State::new(pursuit.balance.clone());
        x86_64::restore(&mut state, &frame.registers);
        let kept = self.kept(frame);
        let aside = self.leads.put_aside(frame, &mut self.memory);
        let bottom = frame.registers.get(Registers::SP).unwrap_or(frame.cfa);
        pursuit.inner.forget_below(bottom, pursuit.thread.stack);
        let mut sight = Sight {
            stack: pursuit.thread.stack,
            memory: &mut self.memory,
            locks: &self.locks,
            sought: &pursuit.sought,
            kept,
            aside,
            overwritten: &pursuit.inner.words,
            flagged: &pursuit.inner.flags,
            writes: BTreeSet::new(),
            flags: BTreeSet::new(),
            obtained: false,
            released: &mut pursuit.released,
            scratch: &mut self.scratch,
        };
        let mut budget = Budget { instructions: most };
        pursuit.balance = explore(frame.pc, state, &mut sight, &mut self.code, &mut budget);
        // It is the frame that gets what the thread waits for.
        if sight.obtained {
            pursuit.balance.obtain(pursuit.own.iter().copied());
        }
        // What is in a lock's word is not known anyway.
        let outlives = |&at: &u64| (at >= frame.cfa || !sight.is_stack(at)) && !sight.is_lock(at);
        let words: Vec<u64> = sight.writes.iter().copied().filter(outlives).collect();
        let flags: Vec<u64> = sight.flags.iter().copied().filter(outlives).collect();
        let in_vain = before == (pursuit.balance.clone(), pursuit.released.len());
        let writes = !words.is_empty();
        pursuit.inner.words.extend(words);
        pursuit.inner.flags.extend(flags);
        Outcome { unread: budget.instructions, in_vain, writes }
    }

    /// The addresses at which the frame's function keeps registers.
    fn kept(&mut self, frame: &UnwoundFrame) -> Vec<u64> {
        let function = self.memory.function(frame.lookup_address);
        let Some((function, sp)) = function.zip(frame.registers.get(Registers::SP)) else {
            return Vec::new();
        };
        let kept = self.code.kept(&function, &mut self.memory);
        kept.iter().map(|at| sp.wrapping_add(*at)).collect()
    }

    /// Whether the frame goes on at its pc: a call that does not return leads nowhere, and the
    /// address behind it may be any other code.
    fn returns_to(&mut self, frames: &[UnwoundFrame], at: usize) -> bool {
        let Some(callee) = at.checked_sub(1).and_then(|callee| frames.get(callee)) else {
            return true;
        };
        match self.memory.function(callee.lookup_address) {
            Some(function) => self.code.survey(function.start, &mut self.memory).returns,
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_time_cut_is_not_whole_for_what_a_later_round_leaves_out() {
        let mut found = Found { cut: true, unfinished: true, ..Found::default() };
        found.add(Found::default());
        assert!(found.cut);
    }
}
