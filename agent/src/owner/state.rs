//! What a thread's registers and memory will be along one path, as far as that is known.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::address_map::is_near;
use super::balance::{Balance, Change, Meaning, Standing, meaning};
use super::memory::{LARGEST_ADDRESS, Memory, Pages, SMALLEST_ADDRESS};
use super::value::Value;
use super::wanted::Wanted;
use super::written::Written;
use super::x86_64::Scratch;
use crate::unwind::{Registers, StackCopy};

/// How many general registers are followed.
const REGISTERS: usize = Registers::PC as usize;

/// How far from the copied piece of a stack memory still counts as stack: it has changed since,
/// and what it holds now says nothing.
const STACK_REACH: u64 = 64 << 10;

/// How many words of an object that is passed on are looked at: a guard may be among them.
const OBJECT_WORDS: usize = 8;

/// How far behind it a flag may lie.
const FLAG_REACH: u64 = 16;

/// How far from a guard the flag may lie that says whether it is one: a task's state says so of all
/// that the task keeps.
const FLAGGED: u64 = 1024;

/// Where paths look: the stack as it was copied, the rest of memory as it is now.
pub(super) struct Sight<'a, M> {
    pub stack: StackCopy<'a>,
    pub memory: &'a mut Pages<M>,
    /// The addresses of all locks that threads wait for, sorted. What is in them is not known: others
    /// change it.
    pub locks: &'a [u64],
    /// The locks whose release is looked for.
    pub sought: &'a Wanted,
    /// Where the frame's function keeps registers.
    pub kept: Vec<u64>,
    /// Where it has put its caller's registers aside: no part of what it passes on.
    pub aside: Vec<u64>,
    /// The words that the inner frames will have written before this one goes on.
    pub overwritten: &'a BTreeSet<u64>,
    /// Those of which a single byte is written, as are flags that say what lies beside them.
    pub flagged: &'a BTreeSet<u64>,
    /// The words that paths of this frame write.
    pub writes: BTreeSet<u64>,
    /// Those of which a single byte is written.
    pub flags: BTreeSet<u64>,
    /// Some path has got what the thread waits for.
    pub obtained: bool,
    /// The words that some path released before it acquired them.
    pub released: &'a mut Vec<u64>,
    /// What reading instructions needs.
    pub scratch: &'a mut Option<Scratch>,
}

impl<M: Memory> Sight<'_, M> {
    /// The aligned word at an address, as it is before any path writes there.
    pub fn word(&mut self, address: u64) -> Value {
        let word = match self.stack.word(address) {
            Some(word) => Some(word),
            None if self.is_stack(address) => None,
            None => self.memory.number(address, 8),
        };
        self.as_known(address, word)
    }

    /// Several words from an aligned address on.
    pub fn words<const COUNT: usize>(&mut self, address: u64) -> [Value; COUNT] {
        let word_at = |at: usize| address.wrapping_add(at as u64 * 8);
        let mut bytes = [[0; 8]; COUNT];
        let length = match self.stack.bytes_from(address) {
            Some(copy) => {
                let length = copy.len().min(COUNT * 8);
                bytes.as_flattened_mut()[..length].copy_from_slice(&copy[..length]);
                length
            }
            // The copy may begin further on.
            None if self.is_stack(address) => {
                return std::array::from_fn(|at| self.word(word_at(at)));
            }
            None => self.memory.copy(address, bytes.as_flattened_mut()),
        };
        let is_plain = self.overwritten.is_empty()
            && self.flagged.is_empty()
            && !self.has_lock(address, COUNT as u64 * 8);
        std::array::from_fn(|at| {
            let word = (length >= at * 8 + 8).then(|| u64::from_le_bytes(bytes[at]));
            match word {
                Some(word) if is_plain => Value::known(word),
                word => self.as_known(word_at(at), word),
            }
        })
    }

    fn as_known(&self, address: u64, word: Option<u64>) -> Value {
        let word = word.filter(|&word| {
            !self.is_lock(address)
                && !self.overwritten.contains(&address)
                && !self.is_past(address, word)
        });
        word.map_or(Value::UNKNOWN, Value::known)
    }

    /// Whether a lock lies in the word at this address.
    pub fn is_lock(&self, address: u64) -> bool {
        self.has_lock(address, 8)
    }

    /// Whether one lies in so many bytes from an address on.
    fn has_lock(&self, address: u64, length: u64) -> bool {
        let ends = self.locks.first().copied().zip(self.locks.last().copied());
        if !is_near(ends, address, length) {
            return false;
        }
        let at = self.locks.partition_point(|&lock| lock < address);
        self.locks.get(at).is_some_and(|lock| lock - address < length)
    }

    /// Whether what looks like a guard may be one no more when the inner frames have returned: these
    /// write a flag beside it.
    fn is_past(&self, address: u64, word: u64) -> bool {
        let beside = || {
            let around = address.saturating_sub(FLAGGED)..address.saturating_add(FLAGGED);
            self.flagged.range(around).next().is_some()
        };
        !self.flagged.is_empty() && self.sought.at(word).is_some() && beside()
    }

    /// Whether nothing is left to be found.
    pub fn is_done(&self) -> bool {
        self.sought.words().all(|word| self.released.contains(&word))
    }

    /// Whether an address belongs to the thread's stack, copied or not.
    pub fn is_stack(&self, address: u64) -> bool {
        let end = self.stack.start.saturating_add(self.stack.bytes.len() as u64);
        let low = self.stack.start.saturating_sub(STACK_REACH);
        (low..end.saturating_add(STACK_REACH)).contains(&address)
    }
}

/// A place that holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Register(u16),
    Memory(u64),
    /// The lock's word at this address, which was to be exchanged for the release of the lock,
    /// and is what was expected there or not.
    Released(u64),
}

/// A question that a conditional branch asks: does the low part of a place equal a number?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub place: Place,
    pub width: u32,
    pub number: u64,
}

/// What is known of the processor's flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Flags {
    /// Nothing.
    #[default]
    Unknown,
    /// All that conditions ask for.
    Known { zero: bool, sign: bool, carry: bool, overflow: bool },
    /// Only whether they say "equal".
    Equal(bool),
    /// Not even that, but what was asked.
    Asked(Question),
}

/// One path's view of the thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    registers: [Value; REGISTERS],
    /// Vector registers that hold copies of memory, for that is how structures are moved.
    vectors: Rc<BTreeMap<u16, [Value; 4]>>,
    /// What the path wrote.
    written: Written,
    pub flags: Flags,
    /// Answers "not equal" that the path was built on.
    unequal: Rc<Vec<Question>>,
    /// Loads from shared memory that the path has made, by their pc: made again, they may give
    /// something else.
    shared_loads: Rc<Vec<u64>>,
    /// The lock that the path could not release at once, because others are parked: the next
    /// function that gets it does the rest.
    pub unfinished: Option<u64>,
    /// What the path did to the wanted locks.
    pub balance: Balance,
}

impl State {
    /// Nothing is known but how the path stands to the locks.
    pub fn new(balance: Balance) -> State {
        State { balance, ..State::default() }
    }

    pub fn register(&self, number: u16) -> Value {
        self.registers.get(usize::from(number)).copied().unwrap_or_default()
    }

    pub fn set_register(&mut self, number: u16, value: Value) {
        if let Some(place) = self.registers.get_mut(usize::from(number)) {
            *place = value;
        }
        self.forget_answers(Place::Register(number));
    }

    /// Keeps what is also known in another state of the same place in the code.
    pub fn join<M: Memory>(&mut self, other: &State, sight: &mut Sight<M>) {
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers) {
            *mine = mine.join(theirs);
        }
        for (at, mine, theirs) in self.written.differences(&other.written) {
            let as_before = sight.word(at);
            let joined = mine.unwrap_or(as_before).join(theirs.unwrap_or(as_before));
            self.written.set(at, joined);
        }
        if self.vectors != other.vectors {
            let is_common = |number: &u16, value: &mut _| other.vectors.get(number) == Some(value);
            Rc::make_mut(&mut self.vectors).retain(is_common);
        }
        retain(&mut self.unequal, |question| other.unequal.contains(question));
        for &pc in other.shared_loads.iter() {
            self.is_first_load(pc);
        }
        if self.flags != other.flags {
            self.flags = Flags::Unknown;
        }
        if self.unfinished != other.unfinished {
            self.unfinished = None;
        }
        self.balance.join(&other.balance);
    }

    /// Forgets all registers and flags but these registers.
    pub fn keep_registers(&mut self, kept: &[u16]) {
        let old = std::mem::take(&mut self.registers);
        for &number in kept {
            if let (Some(to), Some(&from)) =
                (self.registers.get_mut(usize::from(number)), old.get(usize::from(number)))
            {
                *to = from;
            }
        }
        let is_kept = |question: &Question| match question.place {
            Place::Register(number) => kept.contains(&number),
            Place::Memory(_) | Place::Released(_) => true,
        };
        retain(&mut self.unequal, is_kept);
        self.vectors = Rc::default();
        self.flags = Flags::Unknown;
    }

    /// Takes over these registers as they are in another state.
    pub fn take_registers(&mut self, from: &State, numbers: &[u16]) {
        for &number in numbers {
            if self.register(number) != from.register(number) {
                self.set_register(number, from.register(number));
            }
        }
    }

    /// Forgets what lies in the part of the stack that is not in use.
    pub fn forget_below<M: Memory>(&mut self, sight: &Sight<M>, stack_pointer: Option<u64>) {
        let Some(stack_pointer) = stack_pointer else { return };
        let is_kept = |at: u64| at >= stack_pointer || !sight.is_stack(at);
        self.written.retain(is_kept);
        retain(&mut self.unequal, |question| match question.place {
            Place::Register(_) | Place::Released(_) => true,
            Place::Memory(at) => at >= stack_pointer || !sight.is_stack(at),
        });
    }

    pub fn vector(&self, number: u16) -> [Value; 4] {
        self.vectors.get(&number).copied().unwrap_or_default()
    }

    pub fn set_vector(&mut self, number: u16, value: [Value; 4]) {
        if value != [Value::UNKNOWN; 4] {
            Rc::make_mut(&mut self.vectors).insert(number, value);
        } else if self.vectors.contains_key(&number) {
            Rc::make_mut(&mut self.vectors).remove(&number);
        }
    }

    /// Up to eight bytes of memory. `pc` is that of the instruction that asks.
    pub fn load<M: Memory>(
        &mut self,
        sight: &mut Sight<M>,
        pc: u64,
        address: u64,
        width: u32,
    ) -> Value {
        if !sight.is_stack(address) && !self.is_first_load(pc) {
            return self.overwritten(address, width);
        }
        self.peek(sight, address, width)
    }

    /// The same without the suspicion against memory that others write, too.
    pub fn peek<M: Memory>(&self, sight: &mut Sight<M>, address: u64, width: u32) -> Value {
        let (aligned, shift) = (address & !7, (address & 7) as u32);
        let mut word = |at: u64| self.written.get(at).unwrap_or_else(|| sight.word(at));
        let low = word(aligned).shifted_down(shift);
        if shift + width <= 8 {
            return low;
        }
        let high = word(aligned.wrapping_add(8)).shifted_up(8 - shift);
        high.with_low(low, 8 - shift)
    }

    /// What the path itself wrote there.
    fn overwritten(&self, address: u64, width: u32) -> Value {
        let whole = address & 7 == 0 || (address & 7) as u32 + width <= 8;
        let word = self.written.get(address & !7).filter(|_| whole);
        word.map_or(Value::UNKNOWN, |word| word.shifted_down((address & 7) as u32))
    }

    fn is_first_load(&mut self, pc: u64) -> bool {
        let fresh = !self.shared_loads.contains(&pc);
        if fresh {
            Rc::make_mut(&mut self.shared_loads).push(pc);
        }
        fresh
    }

    /// Writes the low `width` bytes of a value.
    pub fn store<M: Memory>(
        &mut self,
        sight: &mut Sight<M>,
        address: u64,
        value: Value,
        width: u32,
    ) {
        let (aligned, shift) = (address & !7, (address & 7) as u32);
        let here = width.min(8 - shift);
        self.store_within(sight, aligned, shift, value, here);
        if here < width {
            let rest = value.shifted_down(here);
            self.store_within(sight, aligned.wrapping_add(8), 0, rest, width - here);
        }
        if width == 1 {
            sight.flags.insert(aligned);
        }
        self.forget_answers(Place::Memory(address));
    }

    fn store_within<M: Memory>(
        &mut self,
        sight: &mut Sight<M>,
        aligned: u64,
        shift: u32,
        value: Value,
        width: u32,
    ) {
        let old = self.peek(sight, aligned, 8);
        let upper = old.shifted_down(shift).with_low(value, width).shifted_up(shift);
        let word = upper.with_low(old, shift);
        sight.writes.insert(aligned);
        self.written.set(aligned, word);
    }

    /// Takes note of a change of memory that other threads may wait for, and says what it means.
    pub fn change<M>(
        &mut self,
        sight: &mut Sight<M>,
        address: u64,
        width: u32,
        change: Change,
    ) -> Option<Meaning> {
        let watched = sight.sought.at(address).filter(|lock| lock.kind.width() == width)?;
        let meaning = meaning(watched.kind, change);
        let waited = self.balance.of(address) == Standing::Waiting;
        let released = self.balance.note(address, meaning);
        sight.obtained |= waited && self.balance.of(address) != Standing::Waiting;
        if released && !sight.released.contains(&address) {
            sight.released.push(address);
        }
        Some(meaning)
    }

    /// Counts a lock as acquired that a function was given which was not read to its end, unless
    /// the function does the rest of a release.
    pub fn suspect<M>(&mut self, sight: &Sight<M>, address: u64) {
        if sight.sought.at(address).is_some() && self.unfinished != Some(address) {
            self.balance.suspect(address);
        }
    }

    /// Forgets what a function that was given this address may have changed, and counts a lock
    /// that it was given as acquired.
    pub fn hand_over<M: Memory>(&mut self, sight: &mut Sight<M>, address: u64) {
        self.suspect(sight, address);
        for word in self.surrender(sight, address) {
            self.surrender(sight, word);
        }
    }

    /// Forgets, in the words from an address on, guards of wanted locks and the small numbers
    /// beside them that may say whether there is one. Returns the stack addresses found there,
    /// through which a callee can write as well.
    ///
    /// An object's size is not known here. What else lies near it is left alone, above all what
    /// the function has put there itself.
    fn surrender<M: Memory>(&mut self, sight: &mut Sight<M>, address: u64) -> Vec<u64> {
        let mut further = Vec::new();
        for (at, word) in self.object(sight, address) {
            if sight.aside.contains(&at) {
                continue;
            }
            let word = word.get(8);
            let is_small = word.is_none_or(|word| word < SMALLEST_ADDRESS);
            let is_lock = word.is_some_and(|word| sight.sought.at(word).is_some());
            if is_lock && !sight.kept.contains(&at)
                || is_small && at < address.saturating_add(FLAG_REACH) && sight.is_stack(at)
            {
                self.store(sight, at, Value::UNKNOWN, 8);
            }
            further.extend(word.filter(|&word| sight.is_stack(word)));
        }
        further
    }

    /// The words of an object, with their addresses; none where there can be no object.
    pub fn object<M: Memory>(
        &self,
        sight: &mut Sight<M>,
        address: u64,
    ) -> impl Iterator<Item = (u64, Value)> + use<M> {
        let is_address = (SMALLEST_ADDRESS..LARGEST_ADDRESS).contains(&address);
        let start = address & !7;
        let mut words = [Value::UNKNOWN; OBJECT_WORDS];
        if is_address {
            words = sight.words(start);
            self.written.lay_over(start, &mut words);
        }
        let words = (start..).step_by(8).zip(words);
        words.take(if is_address { OBJECT_WORDS } else { 0 })
    }

    /// The answer to a question, when the path has already been built on one.
    pub fn answer(&self, question: Question) -> Option<bool> {
        self.unequal.contains(&question).then_some(false)
    }

    /// Goes on as if the question had been answered so.
    pub fn assume<M: Memory>(&mut self, sight: &mut Sight<M>, question: Question, equal: bool) {
        let number = Value::of_width(question.number, question.width);
        match question.place {
            Place::Released(address) => self.unfinished = (!equal).then_some(address),
            _ if !equal => {
                if !self.unequal.contains(&question) {
                    Rc::make_mut(&mut self.unequal).push(question);
                }
            }
            Place::Register(register) => {
                let value = self.register(register).with_low(number, question.width);
                self.set_register(register, value);
            }
            Place::Memory(address) => self.store(sight, address, number, question.width),
        }
    }

    fn forget_answers(&mut self, place: Place) {
        let overlaps = |question: &Question| match (question.place, place) {
            (Place::Memory(asked), Place::Memory(written)) => asked.abs_diff(written) < 8,
            (asked, written) => asked == written,
        };
        retain(&mut self.unequal, |question| !overlaps(question));
        if matches!(self.flags, Flags::Asked(question) if overlaps(&question)) {
            self.flags = Flags::Unknown;
        }
    }
}

/// Keeps some of what paths have in common, and copies it only where something goes.
fn retain<T: Clone>(shared: &mut Rc<Vec<T>>, is_kept: impl Fn(&T) -> bool) {
    if !shared.iter().all(&is_kept) {
        Rc::make_mut(shared).retain(is_kept);
    }
}
