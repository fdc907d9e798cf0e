//! The paths that a frame can take from where it goes on, to its return.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::balance::Balance;
use super::code::Code;
use super::memory::{Memory, SMALLEST_ADDRESS};
use super::state::{Question, Sight, State};
use super::x86_64 as arch;

/// How many paths are followed from the same place with what each knows by itself, before what
/// they know is joined.
const SEPARATE: usize = 3;

/// The same within the functions that are called.
const SEPARATE_IN_CALLS: usize = 1;

/// How often paths may come by the same place.
const VISITS: u32 = 16;

/// How many instructions of a called function are followed before it counts as not read, when
/// it is given something from which a wanted lock can be reached.
const CALL_REACH: u32 = 24;

/// The same for a function that is given a wanted lock itself, or what may be a guard of one.
const LOCK_CALL_REACH: u32 = 200;

/// How much of an object that a function is given is searched for a lock.
const OBJECT_REACH: u64 = 64;

/// How far above what a function is given a lock may lie for the function to be followed.
const FIELD_REACH: u64 = 256;

/// How many calls are followed within each other.
const CALL_DEPTH: usize = 3;

/// How many instructions may still be followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub instructions: u32,
}

/// Where an instruction leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// To the next.
    Through,
    /// To the target, the next, or, when that is not known, both.
    Branch { target: u64, taken: Option<bool>, asked: Option<Asked> },
    /// To the target, when it is known.
    Jump(Option<u64>),
    /// Into a function and back.
    Call(Option<u64>),
    /// Back to the caller.
    Return,
    /// Nowhere.
    Stop,
}

/// A question on which a branch depends, and the answer on which it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub question: Question,
    pub taken_if_equal: bool,
}

/// A call that a path has entered.
#[derive(Clone, Debug)]
struct Call {
    /// Where the path goes on after it; nowhere in the frame after a tail call.
    resume: Option<u64>,
    /// What was known before it.
    before: Rc<State>,
    /// How many more of its instructions are followed.
    left: u32,
    /// The function can take a lock.
    exchanges: bool,
}

#[derive(Clone, Debug)]
struct Path {
    pc: u64,
    state: State,
    calls: Vec<Call>,
}

/// Whether it is worth following a path from where it is.
enum News {
    New,
    /// A path with the same knowledge was there before.
    Known,
    /// Enough paths were there.
    TooMany,
}

/// The paths that came by one place.
#[derive(Default)]
struct Visits {
    count: u32,
    /// What they knew; the last is what all the later ones have in common with it.
    states: Vec<State>,
}

/// The paths from one frame's pc.
struct Exploration<'a, 'b, M> {
    sight: &'a mut Sight<'b, M>,
    code: &'a mut Code,
    /// The frame's own function, when its extent is known.
    function: Option<std::ops::Range<u64>>,
    ahead: VecDeque<Path>,
    /// By place, by the places to which the calls return, and by the dealings with locks.
    visits: HashMap<(u64, Vec<Option<u64>>, Balance), Visits>,
    /// What the paths that returned did to the locks.
    returned: Option<Balance>,
    /// What those did that were given up.
    abandoned: Option<Balance>,
}

/// Follows the paths from `pc` and says what they may have done to the wanted locks when the
/// frame returns. What they released first is noted in `sight`.
pub(super) fn explore<M: Memory>(
    pc: u64,
    state: State,
    sight: &mut Sight<M>,
    code: &mut Code,
    budget: &mut Budget,
) -> Balance {
    let before = state.balance.clone();
    let function = sight.memory.function(pc.wrapping_sub(1));
    let mut exploration = Exploration {
        sight,
        code,
        function,
        ahead: VecDeque::from([Path { pc, state, calls: Vec::new() }]),
        visits: HashMap::new(),
        returned: None,
        abandoned: None,
    };
    while let Some(path) = exploration.ahead.pop_front() {
        if budget.instructions == 0 {
            join(&mut exploration.abandoned, &path.state.balance);
        } else {
            exploration.follow(path, budget);
        }
    }
    exploration.returned.or(exploration.abandoned).unwrap_or(before)
}

impl<M: Memory> Exploration<'_, '_, M> {
    /// Follows a path to the end of its block.
    fn follow(&mut self, mut path: Path, budget: &mut Budget) {
        match self.news(&mut path) {
            News::Known => return join(&mut self.abandoned, &path.state.balance),
            News::TooMany => return self.give_up(path),
            News::New => {}
        }
        let block = self.code.block(path.pc, self.sight.memory);
        for instruction in block.iter() {
            budget.instructions = budget.instructions.saturating_sub(1);
            if let Some(spent) = path.step_into_call() {
                return self.skip_call(path, spent);
            }
            let next = arch::step(instruction, &mut path.state, self.sight);
            path.pc = arch::end(instruction);
            if !matches!(next, Next::Through) {
                return self.lead(path, next);
            }
        }
        if block.is_empty() {
            self.give_up(path);
        } else {
            // The block was cut for its length.
            self.ahead.push_back(path);
        }
    }

    /// Whether a path brings news to where it is. From the third visit on, it goes on with what
    /// is common to all that came by with the same dealings with locks: so loops come to an end.
    fn news(&mut self, path: &mut Path) -> News {
        let from = path.calls.iter().map(|call| call.resume).collect();
        let key = (path.pc, from, path.state.balance.clone());
        let most = if path.calls.is_empty() { SEPARATE } else { SEPARATE_IN_CALLS };
        let visits = self.visits.entry(key).or_default();
        if visits.states.contains(&path.state) {
            return News::Known;
        }
        visits.count += 1;
        if visits.count > VISITS {
            return News::TooMany;
        }
        if visits.states.len() < most {
            visits.states.push(path.state.clone());
            return News::New;
        }
        let Some(common) = visits.states.last_mut() else { return News::TooMany };
        path.state.join(common, self.sight);
        if path.state == *common {
            return News::Known;
        }
        common.clone_from(&path.state);
        News::New
    }

    /// Follows a path no further. Within a call it goes on behind the call.
    fn give_up(&mut self, path: Path) {
        match path.calls.len().checked_sub(1) {
            Some(innermost) => self.skip_call(path, innermost),
            None => join(&mut self.abandoned, &path.state.balance),
        }
    }

    fn lead(&mut self, mut path: Path, next: Next) {
        match next {
            Next::Through => self.ahead.push_back(path),
            Next::Branch { target, taken, asked } => self.branch(path, target, taken, asked),
            Next::Jump(Some(target)) => self.jump(path, target),
            Next::Jump(None) => self.give_up(path),
            Next::Call(target) => self.call(path, target),
            Next::Return => match path.calls.pop() {
                Some(call) => self.leave(path, call),
                None => join(&mut self.returned, &path.state.balance),
            },
            Next::Stop => {}
        }
    }

    fn branch(&mut self, path: Path, target: u64, taken: Option<bool>, asked: Option<Asked>) {
        for side in [false, true] {
            if taken.is_some_and(|taken| taken != side) {
                continue;
            }
            let mut path = path.clone();
            if let Some(Asked { question, taken_if_equal }) = asked {
                path.state.assume(self.sight, question, taken_if_equal == side);
            }
            if side {
                self.jump(path, target);
            } else {
                self.ahead.push_back(path);
            }
        }
    }

    /// A jump out of the function is a call after which the frame has returned.
    fn jump(&mut self, mut path: Path, target: u64) {
        let leaves = self.function.as_ref().is_some_and(|function| !function.contains(&target));
        if !leaves || !path.calls.is_empty() {
            path.pc = target;
            self.ahead.push_back(path);
            return;
        }
        let exchanges = self.code.survey(target, self.sight.memory).exchanges;
        let call = self.begin_call(&path, None, exchanges);
        if call.left == 0 {
            self.resume(path, call);
        } else {
            path.calls.push(call);
            path.pc = target;
            self.ahead.push_back(path);
        }
    }

    fn call(&mut self, mut path: Path, target: Option<u64>) {
        let survey = target.map(|target| self.code.survey(target, self.sight.memory));
        if survey.is_some_and(|survey| !survey.returns) {
            return;
        }
        let exchanges = survey.is_none_or(|survey| survey.exchanges);
        let call = self.begin_call(&path, Some(path.pc), exchanges);
        match target.filter(|_| call.left > 0 && path.calls.len() < CALL_DEPTH) {
            Some(target) => {
                arch::enter(&mut path.state, self.sight, path.pc);
                path.calls.push(call);
                path.pc = target;
                self.ahead.push_back(path);
            }
            None => self.resume(path, call),
        }
    }

    fn begin_call(&mut self, path: &Path, resume: Option<u64>, exchanges: bool) -> Call {
        let arguments =
            arch::ARGUMENTS.iter().filter_map(|&number| path.state.register(number).get(8));
        let arguments: Vec<u64> = arguments.collect();
        // What does the rest of a release takes no lock, whatever it looks like.
        let is_rest = arguments.iter().any(|&word| path.state.unfinished == Some(word));
        let left = arguments.into_iter().filter(|_| !is_rest);
        let left = left.map(|argument| self.reach(&path.state, argument)).max();
        Call { resume, before: Rc::new(path.state.clone()), left: left.unwrap_or(0), exchanges }
    }

    /// How far a function is followed that is given this.
    fn reach(&mut self, state: &State, argument: u64) -> u32 {
        let wanted = self.sight.wanted;
        if wanted.at(argument).is_some() {
            return LOCK_CALL_REACH;
        }
        let words = self.object(state, argument);
        let is_guard = |word: &u64| wanted.at(*word).is_some();
        if words.iter().any(is_guard)
            || words.iter().any(|&word| self.object(state, word).iter().any(is_guard))
        {
            return LOCK_CALL_REACH;
        }
        let leads = |&word: &u64| wanted.any_from(word, FIELD_REACH);
        if leads(&argument) || words.iter().any(leads) { CALL_REACH } else { 0 }
    }

    /// The words that are known of an object.
    fn object(&mut self, state: &State, address: u64) -> Vec<u64> {
        if address < SMALLEST_ADDRESS {
            return Vec::new();
        }
        let words = (0..OBJECT_REACH).step_by(8).filter_map(|at| address.checked_add(at));
        words.filter_map(|at| state.peek(self.sight, at, 8).get(8)).collect()
    }

    /// Leaves an entered call by its return. One that takes locks may have been handed the lock by
    /// another thread while it slept, with nothing to be seen in its code.
    fn leave(&mut self, mut path: Path, call: Call) {
        if call.exchanges {
            self.suspect(&mut path.state, &call);
        }
        path.state.unfinished = None;
        match call.resume {
            Some(resume) => {
                path.state.take_registers(&call.before, &arch::KEPT);
                let stack_pointer = arch::stack_pointer(&path.state);
                path.state.forget_below(self.sight, stack_pointer);
                path.pc = resume;
                self.ahead.push_back(path);
            }
            None => join(&mut self.returned, &path.state.balance),
        }
    }

    /// Leaves the entered call at this depth and all within it as if they had not been read.
    fn skip_call(&mut self, mut path: Path, depth: usize) {
        let skipped: Vec<Call> = path.calls.drain(depth..).collect();
        for call in &skipped {
            self.suspect(&mut path.state, call);
        }
        if let Some(call) = skipped.into_iter().next() {
            self.resume(path, call);
        }
    }

    /// Counts the locks that a function was given as acquired.
    fn suspect(&mut self, state: &mut State, call: &Call) {
        state.unfinished = call.before.unfinished;
        for number in arch::ARGUMENTS {
            if let Some(address) = call.before.register(number).get(8) {
                state.suspect(self.sight, address);
            }
        }
    }

    /// Goes on after a call that was not read: what it may have changed is not known any more.
    /// What it did to the locks as far as it was read counts.
    fn resume(&mut self, mut path: Path, call: Call) {
        let mut state = State::clone(&call.before);
        state.balance = path.state.balance;
        for number in arch::ARGUMENTS {
            if let Some(address) = state.register(number).get(8) {
                state.hand_over(self.sight, address);
            }
        }
        state.keep_registers(&arch::KEPT);
        path.state = state;
        self.leave(path, Call { exchanges: true, ..call });
    }
}

impl Path {
    /// Counts one instruction for the calls that the path is in. Returns the depth of the
    /// outermost that has used up its share.
    fn step_into_call(&mut self) -> Option<usize> {
        for (depth, call) in self.calls.iter_mut().enumerate() {
            match call.left.checked_sub(1) {
                Some(left) => call.left = left,
                None => return Some(depth),
            }
        }
        None
    }
}

fn join(sum: &mut Option<Balance>, balance: &Balance) {
    match sum {
        Some(sum) => sum.join(balance),
        None => *sum = Some(balance.clone()),
    }
}
