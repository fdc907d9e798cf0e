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
//! All threads are followed a little way first, for most owners release their lock soon; then those
//! that go on beyond, for the locks whose owner is not known by then. Where time ends before, the dump
//! says so. How often owners are found, and what it costs, `tests/crowd` measures.
//!
//! What is not found, and then nothing is said: locks of code that was built without
//! optimisation, for there dropping a guard is a chain of calls; a release behind a loop that
//! has no exit, behind a jump table, or in the code that unwinds a panic; guards that lie in
//! memory which is reached from the frame through more than one pointer, in a map, or in an async task
//! that no thread is about to poll.

mod answers;
mod balance;
mod code;
mod explore;
mod memory;
mod patience;
mod state;
mod value;
mod wanted;
mod x86_64;

pub(crate) use answers::Answers;
pub(crate) use wanted::Awaited;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use balance::Balance;
use code::Code;
use explore::{Budget, explore};
use memory::{Memory, Pages};
use patience::Patience;
use state::{Sight, State};
use wanted::Wanted;

use crate::unwind::{Registers, StackCopy, UnwoundFrame};

/// How far above an address that a frame holds a lock may lie to be reached from it: locks are
/// fields, and code keeps the address of the whole.
const FIELD_REACH: u64 = 4096;

/// How many bytes of what a frame points to are searched for the address of a lock.
const POINTEE_REACH: u64 = 128;

/// One thread whose code is to be followed.
struct Held<'a> {
    /// Its frames, innermost first.
    frames: &'a [UnwoundFrame],
    /// Its stack.
    stack: StackCopy<'a>,
    /// The futex on which it waits.
    awaits: Option<u64>,
}

/// How far code is followed.
#[derive(Clone, Copy, Debug)]
struct Depth {
    /// How many instructions for one frame.
    frame: u32,
    /// How many for one thread.
    thread: u32,
    /// Whether outer frames are followed when an inner one was not followed to its end.
    goes_on: bool,
}

impl Depth {
    /// At first. Most owners release their lock soon.
    const QUICK: Depth = Depth { frame: 800, thread: 3_000, goes_on: false };
    /// For those that were not followed to their end, while there are locks without an owner.
    const THOROUGH: Depth = Depth { frame: 6_000, thread: 40_000, goes_on: true };
}

/// A place where so many threads were followed as far as was allowed, and came by no wanted lock, is
/// not followed again.
const FRUITLESS: u32 = 8;

/// What a thread's inner frames will have written before an outer one goes on.
#[derive(Default)]
struct Inner {
    words: BTreeSet<u64>,
    /// Words of which they write a single byte.
    flags: BTreeSet<u64>,
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
    /// Adds what was found when the thread was followed again.
    fn add(&mut self, again: Found) {
        self.futexes.extend(again.futexes);
        self.futexes.sort_unstable();
        self.futexes.dedup();
        (self.cut, self.unfinished) = (again.cut, again.unfinished);
    }
}

/// The search for owners in one dump.
struct Search<M> {
    memory: Pages<M>,
    code: Code,
    wanted: Wanted,
    /// Whether a word outside the stacks leads to a wanted lock.
    leads: HashMap<u64, bool>,
    /// How many threads were followed from a place as far as was allowed, and came by no wanted lock.
    fruitless: HashMap<u64, u32>,
    patience: Patience,
}

impl<M: Memory> Search<M> {
    /// A search for the owners of what these futexes stand for. Its time begins now; it may use so
    /// much CPU.
    fn new(awaited: &[Awaited], memory: M, work: Duration) -> Search<M> {
        let mut memory = Pages::new(memory);
        let wanted = Wanted::new(awaited, &mut memory);
        let (code, leads) = (Code::default(), HashMap::new());
        let fruitless = HashMap::new();
        Search { memory, code, wanted, leads, fruitless, patience: Patience::new(work) }
    }

    /// Whether nothing can be found.
    fn is_over(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Looks no more for the owners of what these futexes stand for.
    fn settle(&mut self, futexes: &[u64]) {
        self.wanted.settle(futexes);
        self.leads.clear();
    }

    fn memory(&mut self) -> &mut M {
        self.memory.source()
    }

    /// The futexes on which threads wait for this one to release a lock.
    fn will_release(&mut self, thread: &Held, depth: Depth) -> Found {
        let mut found = Found::default();
        if self.wanted.is_empty() {
            return found;
        }
        let own: Vec<u64> = match thread.awaits {
            Some(futex) => self.wanted.words_of(futex).collect(),
            None => Vec::new(),
        };
        let mut balance = Balance::waiting_for(own.iter().copied());
        let mut released = Vec::new();
        let mut inner = Inner::default();
        let mut left = depth.thread;
        for (at, frame) in thread.frames.iter().enumerate() {
            let is_fruitless =
                self.fruitless.get(&frame.pc).is_some_and(|&times| times >= FRUITLESS);
            if is_fruitless
                || !self.concerns(frame, thread.stack)
                || !self.returns_to(thread.frames, at)
            {
                continue;
            }
            found.cut = self.patience.is_over();
            if found.cut || left == 0 {
                found.unfinished = true;
                break;
            }
            let mut budget = Budget { instructions: left.min(depth.frame) };
            let before = (budget.instructions, balance.clone(), released.len());
            let obtained;
            (balance, obtained) =
                self.follow(frame, thread.stack, balance, &mut inner, &mut released, &mut budget);
            if obtained {
                balance.obtain(own.iter().copied());
            }
            left -= before.0 - budget.instructions;
            if budget.instructions == 0 {
                if balance == before.1 && released.len() == before.2 {
                    *self.fruitless.entry(frame.pc).or_default() += 1;
                }
                found.unfinished = true;
                if !depth.goes_on {
                    break;
                }
            }
        }
        found.futexes = self.futexes(&released);
        found
    }

    /// Follows one frame. Returns what it may have done to the locks when it returns, and whether
    /// it is the one that gets what the thread waits for.
    fn follow(
        &mut self,
        frame: &UnwoundFrame,
        stack: StackCopy,
        balance: Balance,
        inner: &mut Inner,
        released: &mut Vec<u64>,
        budget: &mut Budget,
    ) -> (Balance, bool) {
        let mut state = State::new(balance);
        x86_64::restore(&mut state, &frame.registers);
        let kept = self.kept(frame);
        let memory = &mut self.memory;
        let mut sight = Sight {
            stack,
            memory,
            wanted: &self.wanted,
            kept,
            overwritten: &inner.words,
            flagged: &inner.flags,
            writes: BTreeSet::new(),
            flags: BTreeSet::new(),
            obtained: false,
            released,
        };
        let balance = explore(frame.pc, state, &mut sight, &mut self.code, budget);
        let obtained = sight.obtained;
        let outlives = |&at: &u64| at >= frame.cfa || !sight.is_stack(at);
        let words: Vec<u64> = sight.writes.iter().copied().filter(outlives).collect();
        let flags: Vec<u64> = sight.flags.iter().copied().filter(outlives).collect();
        inner.words.extend(words);
        inner.flags.extend(flags);
        (balance, obtained)
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

    /// Whether the address of a wanted lock can be computed from what a frame holds: its
    /// registers and its piece of the stack, and what these point to.
    fn concerns(&mut self, frame: &UnwoundFrame, stack: StackCopy) -> bool {
        let registers = (0..Registers::PC).filter_map(|number| frame.registers.get(number));
        let bottom = frame.registers.get(Registers::SP).unwrap_or(frame.cfa);
        let words = (bottom & !7..frame.cfa).step_by(8).filter_map(|at| stack.word(at));
        registers.chain(words).any(|word| self.leads_to_lock(word, stack))
    }

    fn leads_to_lock(&mut self, word: u64, stack: StackCopy) -> bool {
        if word < memory::SMALLEST_ADDRESS {
            return false;
        }
        if self.wanted.any_from(word, FIELD_REACH) {
            return true;
        }
        if stack.word(word).is_some() {
            let mut words = (0..POINTEE_REACH).step_by(8).filter_map(|at| stack.word(word + at));
            return words.any(|word| self.wanted.any_from(word, FIELD_REACH));
        }
        let (memory, wanted) = (&mut self.memory, &self.wanted);
        *self.leads.entry(word).or_insert_with(|| {
            let mut bytes = [0; POINTEE_REACH as usize];
            let length = memory.copy(word, &mut bytes);
            let words = bytes[..length].as_chunks().0;
            words.iter().any(|&word| wanted.any_from(u64::from_le_bytes(word), FIELD_REACH))
        })
    }

    fn futexes(&self, released: &[u64]) -> Vec<u64> {
        let watched = released.iter().filter_map(|&word| self.wanted.at(word));
        let mut futexes: Vec<u64> = watched.flat_map(|word| word.futexes.clone()).collect();
        futexes.sort_unstable();
        futexes.dedup();
        futexes
    }
}
