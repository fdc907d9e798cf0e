//! The paths that a frame can take from where it goes on, to its return.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use super::address_map::{AddressHasher, AddressSet};
use super::balance::Balance;
use super::code::Code;
use super::memory::Memory;
use super::state::{Question, Sight, State};
use super::value::Value;
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

/// How far above what a function is given a lock may lie for the function to be followed.
const FIELD_REACH: u64 = 256;

/// How much further all paths through a called function are followed than one.
const CALL_PATHS: u32 = 3;

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
    /// How many more of its instructions are followed on this path.
    left: u32,
    /// How many on all paths that began with this call.
    shared: Rc<Cell<u32>>,
    /// The function can take a lock.
    exchanges: bool,
}

#[derive(Clone, Debug)]
struct Path {
    pc: u64,
    state: State,
    calls: Vec<Call>,
    /// Other paths may come to where it is.
    meets: bool,
    /// How many paths had come by when it last was where others may come.
    rank: u32,
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

/// The places to which the calls that a path is in return, innermost first.
type Returns = [Option<u64>; CALL_DEPTH];

/// The paths from one frame's pc.
struct Exploration<'a, 'b, M> {
    sight: &'a mut Sight<'b, M>,
    code: &'a mut Code,
    /// The frame's own function, when its extent is known.
    function: Option<std::ops::Range<u64>>,
    /// Those that are to be followed, by rank: what is new comes first.
    ahead: [VecDeque<Box<Path>>; VISITS as usize + 1],
    /// By place, by the places to which the calls return, and by the dealings with locks.
    visits: HashMap<(u64, Returns, Balance), Visits, BuildHasherDefault<AddressHasher>>,
    /// Where calls return that were not followed to their end: they are not entered again.
    spent: AddressSet,
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
        ahead: Default::default(),
        visits: HashMap::default(),
        spent: AddressSet::default(),
        returned: None,
        abandoned: None,
    };
    exploration.put_off(Box::new(Path { pc, state, calls: Vec::new(), meets: false, rank: 0 }));
    while let Some(path) = exploration.ahead.iter_mut().find_map(VecDeque::pop_front) {
        if exploration.sight.is_done() {
            return before;
        }
        if budget.instructions == 0 {
            join(&mut exploration.abandoned, &path.state.balance);
        } else {
            exploration.follow(path, budget);
        }
    }
    exploration.returned.or(exploration.abandoned).unwrap_or(before)
}

impl<M: Memory> Exploration<'_, '_, M> {
    fn put_off(&mut self, path: Box<Path>) {
        if let Some(ahead) = self.ahead.get_mut(path.rank as usize) {
            ahead.push_back(path);
        }
    }

    /// Follows a path to where it ends or parts.
    fn follow(&mut self, path: Box<Path>, budget: &mut Budget) {
        let mut next = Some(path);
        while let Some(mut path) = next.take() {
            if budget.instructions == 0 {
                return self.put_off(path);
            }
            let meets = path.meets || self.code.is_target(path.pc);
            match if meets { self.news(&mut path) } else { News::New } {
                News::Known => return join(&mut self.abandoned, &path.state.balance),
                News::TooMany => next = self.give_up(path),
                News::New => next = self.follow_block(path, budget),
            }
        }
    }

    /// Follows a path to the end of its block.
    fn follow_block(&mut self, mut path: Box<Path>, budget: &mut Budget) -> Option<Box<Path>> {
        path.meets = false;
        let block = self.code.block(path.pc, self.sight.memory);
        for instruction in block.iter() {
            budget.instructions = budget.instructions.saturating_sub(1);
            if let Some(spent) = path.step_into_call() {
                return self.skip_call(path, spent);
            }
            let next = arch::step(instruction, &mut path.state, self.sight);
            path.pc = instruction.end();
            if !matches!(next, Next::Through) {
                return self.lead(path, next);
            }
        }
        // The block was cut for its length, or there is no code.
        if block.is_empty() { self.give_up(path) } else { Some(path) }
    }

    /// Whether a path brings news to where it is. From the third visit on, it goes on with what
    /// is common to all that came by with the same dealings with locks: so loops come to an end.
    fn news(&mut self, path: &mut Path) -> News {
        let mut returns = path.calls.iter().rev().map(|call| call.resume);
        let returns = std::array::from_fn(|_| returns.next().flatten());
        let key = (path.pc, returns, path.state.balance.clone());
        let most = if path.calls.is_empty() { SEPARATE } else { SEPARATE_IN_CALLS };
        let visits = self.visits.entry(key).or_default();
        if visits.states.contains(&path.state) {
            return News::Known;
        }
        visits.count += 1;
        if visits.count > VISITS {
            return News::TooMany;
        }
        path.rank = visits.count;
        if visits.states.len() < most {
            // Most places see one path only.
            visits.states.reserve_exact(1);
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
    fn give_up(&mut self, path: Box<Path>) -> Option<Box<Path>> {
        match path.calls.len().checked_sub(1) {
            Some(innermost) => self.skip_call(path, innermost),
            None => {
                join(&mut self.abandoned, &path.state.balance);
                None
            }
        }
    }

    /// Leads a path from the end of its block to where it goes on, if it does.
    fn lead(&mut self, mut path: Box<Path>, next: Next) -> Option<Box<Path>> {
        match next {
            Next::Through => Some(path),
            Next::Branch { target, taken, asked } => self.branch(path, target, taken, asked),
            Next::Jump(Some(target)) => self.jump(path, target),
            Next::Jump(None) => self.give_up(path),
            Next::Call(target) => self.call(path, target),
            Next::Return => match path.calls.pop() {
                Some(call) => self.leave(path, call),
                None => {
                    join(&mut self.returned, &path.state.balance);
                    None
                }
            },
            Next::Stop => None,
        }
    }

    fn branch(
        &mut self,
        mut path: Box<Path>,
        target: u64,
        taken: Option<bool>,
        asked: Option<Asked>,
    ) -> Option<Box<Path>> {
        match taken {
            Some(true) => return self.jump(path, target),
            Some(false) => return Some(path),
            None => {}
        }
        let mut other = path.clone();
        if let Some(Asked { question, taken_if_equal }) = asked {
            path.state.assume(self.sight, question, !taken_if_equal);
            other.state.assume(self.sight, question, taken_if_equal);
        }
        self.put_off(path);
        if let Some(other) = self.jump(other, target) {
            self.put_off(other);
        }
        None
    }

    /// A jump out of the function is a call after which the frame has returned.
    fn jump(&mut self, mut path: Box<Path>, target: u64) -> Option<Box<Path>> {
        let leaves = self.function.as_ref().is_some_and(|function| !function.contains(&target));
        if !leaves || !path.calls.is_empty() {
            (path.pc, path.meets) = (target, true);
            return Some(path);
        }
        let exchanges = self.code.survey(target, self.sight.memory).exchanges;
        self.enter(path, target, None, exchanges)
    }

    fn call(&mut self, path: Box<Path>, target: Option<u64>) -> Option<Box<Path>> {
        let survey = target.map(|target| self.code.survey(target, self.sight.memory));
        if survey.is_some_and(|survey| !survey.returns) {
            return None;
        }
        let exchanges = survey.is_none_or(|survey| survey.exchanges);
        let resume = path.pc;
        let is_open = path.calls.len() < CALL_DEPTH && !self.spent.contains(&resume);
        let Some(target) = target.filter(|_| is_open) else {
            return self.pass_by(path, Some(resume));
        };
        self.enter(path, target, Some(resume), exchanges)
    }

    /// Enters a function that is given what leads to a lock, and passes by any other.
    fn enter(
        &mut self,
        mut path: Box<Path>,
        target: u64,
        resume: Option<u64>,
        exchanges: bool,
    ) -> Option<Box<Path>> {
        let left = self.call_reach(&path.state);
        if left == 0 {
            return self.pass_by(path, resume);
        }
        path.enter(resume, left, exchanges);
        if let Some(resume) = resume {
            arch::enter(&mut path.state, self.sight, resume);
        }
        path.pc = target;
        Some(path)
    }

    /// How far a function that is called now is followed: not at all where it is given nothing that
    /// leads to a lock.
    fn call_reach(&mut self, state: &State) -> u32 {
        let arguments = arch::ARGUMENTS.map(|number| state.register(number).get(8));
        // What does the rest of a release takes no lock, whatever it looks like.
        if state.unfinished.is_some() && arguments.contains(&state.unfinished) {
            return 0;
        }
        let reaches = arguments.into_iter().flatten().map(|argument| self.reach(state, argument));
        reaches.max().unwrap_or(0)
    }

    /// How far a function is followed that is given this.
    fn reach(&mut self, state: &State, argument: u64) -> u32 {
        let sought = self.sight.sought;
        let is_guard = |word: u64| sought.at(word).is_some();
        if is_guard(argument) {
            return LOCK_CALL_REACH;
        }
        let mut leads = sought.any_from(argument, FIELD_REACH);
        for word in words(state.object(self.sight, argument)) {
            if is_guard(word) || words(state.object(self.sight, word)).any(is_guard) {
                return LOCK_CALL_REACH;
            }
            leads |= sought.any_from(word, FIELD_REACH);
        }
        if leads { CALL_REACH } else { 0 }
    }

    /// Leaves an entered call by its return. One that takes locks may have been handed the lock by
    /// another thread while it slept, with nothing to be seen in its code.
    fn leave(&mut self, mut path: Box<Path>, call: Call) -> Option<Box<Path>> {
        if call.exchanges {
            self.suspect(&mut path.state, &call.before);
        }
        path.state.take_registers(&call.before, &arch::KEPT);
        path.meets = true;
        self.go_on(path, call.resume)
    }

    /// Leaves the entered call at this depth and all within it as if they had not been read.
    fn skip_call(&mut self, mut path: Box<Path>, depth: usize) -> Option<Box<Path>> {
        let skipped: Vec<Call> = path.calls.drain(depth..).collect();
        for call in &skipped {
            self.suspect(&mut path.state, &call.before);
        }
        let call = skipped.into_iter().next()?;
        if let Some(resume) = call.resume.filter(|_| call.shared.get() == 0) {
            self.spent.insert(resume);
        }
        // What it did to the locks as far as it was read counts.
        let mut state = State::clone(&call.before);
        state.balance = path.state.balance;
        path.state = state;
        path.meets = true;
        self.pass_by(path, call.resume)
    }

    /// Counts the locks that a function was given as acquired.
    fn suspect(&mut self, state: &mut State, before: &State) {
        state.unfinished = before.unfinished;
        for number in arch::ARGUMENTS {
            if let Some(address) = before.register(number).get(8) {
                state.suspect(self.sight, address);
            }
        }
    }

    /// Passes by a call that is not read: what it may have changed is not known any more, and the locks
    /// that it is given count as acquired.
    fn pass_by(&mut self, mut path: Box<Path>, resume: Option<u64>) -> Option<Box<Path>> {
        for number in arch::ARGUMENTS {
            if let Some(address) = path.state.register(number).get(8) {
                path.state.hand_over(self.sight, address);
            }
        }
        path.state.keep_registers(&arch::KEPT);
        self.go_on(path, resume)
    }

    /// Goes on behind a call; a call in the place of a return ends the frame.
    fn go_on(&mut self, mut path: Box<Path>, resume: Option<u64>) -> Option<Box<Path>> {
        path.state.unfinished = None;
        let Some(resume) = resume else {
            join(&mut self.returned, &path.state.balance);
            return None;
        };
        let stack_pointer = arch::stack_pointer(&path.state);
        path.state.forget_below(self.sight, stack_pointer);
        path.pc = resume;
        Some(path)
    }
}

/// What is known of an object's words.
fn words(object: impl Iterator<Item = (u64, Value)>) -> impl Iterator<Item = u64> {
    object.filter_map(|(_, word)| word.get(8))
}

impl Path {
    /// Begins a call of which so much is followed.
    fn enter(&mut self, resume: Option<u64>, left: u32, exchanges: bool) {
        let before = Rc::new(self.state.clone());
        let shared = Rc::new(Cell::new(left * CALL_PATHS));
        self.calls.push(Call { resume, before, left, shared, exchanges });
    }

    /// Counts one instruction for the calls that the path is in. Returns the depth of the
    /// outermost that has used up its share.
    fn step_into_call(&mut self) -> Option<usize> {
        for (depth, call) in self.calls.iter_mut().enumerate() {
            let shared = call.shared.get().saturating_sub(1);
            call.shared.set(shared);
            match call.left.checked_sub(1) {
                Some(left) if shared > 0 => call.left = left,
                _ => return Some(depth),
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
