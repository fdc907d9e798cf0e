//! What x86_64 instructions do to a path's state.
//!
//! Only what carries lock addresses, flags of guards and the changes of lock words is modelled:
//! moves, addresses, simple arithmetic, comparisons, atomics. Of every other instruction it is
//! enough to know what it writes, for that is unknown from then on.

mod instruction;

use iced_x86::{ConditionCode, InstructionInfoFactory, Mnemonic, OpAccess, Register};

use super::balance::{Change, Meaning};
use super::explore::{Asked, Next};
use super::memory::Memory;
use super::state::{Flags, Place, Question, Sight, State};
use super::value::{Value, mask, sign_extend};
use crate::unwind::Registers;

pub(super) use instruction::{Flow, Instruction, decode};
use instruction::{Operand, number};

/// Says what instructions use; kept because it allocates.
pub(super) type Scratch = InstructionInfoFactory;

/// The registers in which the first six arguments are passed, by their DWARF numbers.
pub(super) const ARGUMENTS: [u16; 6] = [5, 4, 1, 2, 8, 9];

/// The registers that a function gives back as it found them: rbx, rbp, rsp, r12 to r15.
pub(super) const KEPT: [u16; 7] = [3, 6, SP, 12, 13, 14, 15];

/// The registers that a system call changes: rax, rcx, r11.
const SYSCALL_RESULTS: [u16; 3] = [RAX, 2, 11];

const RAX: u16 = 0;
const SP: u16 = Registers::SP;

/// The state of a frame as the unwinder found it.
pub(super) fn restore(state: &mut State, registers: &Registers) {
    for number in 0..Registers::PC {
        state.set_register(number, registers.get(number).map_or(Value::UNKNOWN, Value::known));
    }
}

/// Where the part of the stack begins that is in use.
pub(super) fn stack_pointer(state: &State) -> Option<u64> {
    state.register(SP).get(8)
}

/// Does what a call does beside jumping.
pub(super) fn enter<M: Memory>(state: &mut State, sight: &mut Sight<M>, resume: u64) {
    push(state, sight, Value::known(resume));
}

/// Does one instruction.
pub(super) fn step<M: Memory>(
    instruction: &Instruction,
    state: &mut State,
    sight: &mut Sight<M>,
) -> Next {
    let mut step = Step { instruction, state, sight };
    match instruction.flow {
        Flow::Through => {
            step.compute();
            Next::Through
        }
        Flow::Branch(target) => step.branch(target),
        Flow::Jump(None) => Next::Jump(step.indirect_target()),
        Flow::Jump(target) => Next::Jump(target),
        Flow::Call(None) => Next::Call(step.indirect_target()),
        Flow::Call(target) => Next::Call(target),
        Flow::Return => {
            let sp = step.state.register(SP).get(8).map(|sp| sp.wrapping_add(8));
            step.state.set_register(SP, sp.map_or(Value::UNKNOWN, Value::known));
            Next::Return
        }
        Flow::Stop => Next::Stop,
    }
}

fn push<M: Memory>(state: &mut State, sight: &mut Sight<M>, value: Value) {
    let Some(sp) = state.register(SP).get(8).map(|sp| sp.wrapping_sub(8)) else { return };
    state.set_register(SP, Value::known(sp));
    state.store(sight, sp, value, 8);
}

/// One instruction at work.
struct Step<'a, 'b, M> {
    instruction: &'a Instruction,
    state: &'a mut State,
    sight: &'a mut Sight<'b, M>,
}

impl<M: Memory> Step<'_, '_, M> {
    fn compute(&mut self) {
        match self.instruction.mnemonic {
            Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Pause | Mnemonic::Cld => {}
            Mnemonic::Mov => self.mov(),
            Mnemonic::Movzx => {
                let value = self.read(1).zero_extended(self.width(1));
                self.write(0, value);
            }
            Mnemonic::Movsx | Mnemonic::Movsxd => {
                let value = self.read(1).sign_extended(self.width(1));
                self.write(0, value);
            }
            Mnemonic::Lea => {
                let address = self.address().map_or(Value::UNKNOWN, Value::known);
                self.write(0, address);
            }
            Mnemonic::Push => {
                let value = self.read(0);
                push(self.state, self.sight, value);
            }
            Mnemonic::Pop => self.pop(),
            Mnemonic::Syscall => self.syscall(),
            Mnemonic::Leave => self.leave(),
            Mnemonic::Xchg => self.xchg(),
            Mnemonic::Cmpxchg => self.cmpxchg(),
            Mnemonic::Xadd => self.xadd(),
            Mnemonic::Cmp | Mnemonic::Test => self.compare(),
            Mnemonic::Add | Mnemonic::Sub | Mnemonic::Inc | Mnemonic::Dec => self.arithmetic(),
            Mnemonic::And | Mnemonic::Or | Mnemonic::Xor | Mnemonic::Not | Mnemonic::Neg => {
                self.bitwise();
            }
            Mnemonic::Shl | Mnemonic::Shr | Mnemonic::Sar => self.shift(),
            _ if is_vector_move(self.instruction.mnemonic) => self.vector_move(),
            mnemonic if is_vector_shuffle(mnemonic) => self.vector_shuffle(),
            _ => self.conditional(),
        }
    }

    fn mov(&mut self) {
        let value = self.read(1);
        self.write(0, value);
        self.note_store(Change::Other);
    }

    fn syscall(&mut self) {
        for number in SYSCALL_RESULTS {
            self.state.set_register(number, Value::UNKNOWN);
        }
    }

    fn pop(&mut self) {
        let Some(sp) = self.state.register(SP).get(8) else { return self.forget() };
        let value = self.state.peek(self.sight, sp, 8);
        self.state.set_register(SP, Value::known(sp.wrapping_add(8)));
        self.write(0, value);
    }

    fn leave(&mut self) {
        let frame = self.state.register(Registers::FP);
        let Some(sp) = frame.get(8) else { return self.forget() };
        let value = self.state.peek(self.sight, sp, 8);
        self.state.set_register(Registers::FP, value);
        self.state.set_register(SP, Value::known(sp.wrapping_add(8)));
    }

    fn xchg(&mut self) {
        let (left, right) = (self.read(0), self.read(1));
        for (operand, new) in [(0, right), (1, left)] {
            if self.is_memory(operand) {
                self.note(operand, Change::Swap(new));
            }
        }
        // What lay in memory that is worth an atomic exchange, others may have changed.
        let is_memory = self.is_memory(0) || self.is_memory(1);
        let (left, right) = if is_memory { Default::default() } else { (left, right) };
        self.write(0, right);
        self.write(1, left);
    }

    /// It may fail: then the memory is as it was and the accumulator is what it held.
    fn cmpxchg(&mut self) {
        let (expected, new) = (self.state.register(RAX), self.read(1));
        let address = self.address().filter(|_| self.is_memory(0));
        let meaning = self.note_store(Change::Exchange { expected, new });
        self.write(0, Value::UNKNOWN);
        self.set(RAX, Value::UNKNOWN, self.width(0));
        self.state.flags = match address {
            Some(address) if meaning == Some(Meaning::Releases) => {
                Flags::Asked(Question { place: Place::Released(address), width: 0, number: 0 })
            }
            _ => Flags::Unknown,
        };
    }

    fn xadd(&mut self) {
        let by = self.read(1);
        self.note_store(Change::Add(by));
        self.write(0, Value::UNKNOWN);
        self.write(1, Value::UNKNOWN);
        self.state.flags = Flags::Unknown;
    }

    fn arithmetic(&mut self) {
        let width = self.width(0);
        let adds = matches!(self.instruction.mnemonic, Mnemonic::Add | Mnemonic::Inc);
        let right =
            if self.instruction.whole.op_count() == 2 { self.read(1) } else { Value::known(1) };
        let left = self.read(0);
        self.note_store(Change::Add(if adds { right } else { negated(right, width) }));
        match (left.get(width), right.get(width)) {
            (Some(left), Some(right)) if adds => {
                let sum = left.wrapping_add(right) & mask(width);
                self.state.flags = sum_flags(left, right, sum, width);
                self.write(0, Value::known(sum));
            }
            (Some(left), Some(right)) => {
                self.state.flags = difference_flags(left, right, width);
                self.write(0, Value::of_width(left.wrapping_sub(right), width));
            }
            _ => {
                self.write(0, Value::UNKNOWN);
                self.ask_zero();
            }
        }
        self.doubt_atomic_result();
    }

    fn bitwise(&mut self) {
        self.note_store(Change::Other);
        let width = self.width(0);
        let left = self.read(0);
        let result = match self.instruction.mnemonic {
            Mnemonic::And => left.and(self.read(1)),
            Mnemonic::Or => left.or(self.read(1)),
            Mnemonic::Xor if self.instruction.is_same_register() => Value::known(0),
            Mnemonic::Xor => left.xor(self.read(1)),
            Mnemonic::Not => left.xor(Value::known(u64::MAX)),
            _ => negated(left, width),
        };
        self.write(0, result);
        match (self.instruction.mnemonic, result.get(width)) {
            (Mnemonic::Not, _) => {}
            (Mnemonic::Neg, Some(_)) => {
                self.state.flags = difference_flags(0, left.get(width).unwrap_or(0), width);
            }
            (_, Some(result)) => self.state.flags = logic_flags(result, width),
            (_, None) => self.ask_zero(),
        }
        self.doubt_atomic_result();
    }

    fn shift(&mut self) {
        let width = self.width(0);
        let (value, count) = (self.read(0).get(width), self.read(1).get(1));
        let (Some(value), Some(count)) = (value, count) else { return self.forget() };
        let count = count as u32 & if width == 8 { 63 } else { 31 };
        let result = match self.instruction.mnemonic {
            Mnemonic::Shl => value.checked_shl(count).unwrap_or(0),
            Mnemonic::Shr => value.checked_shr(count).unwrap_or(0),
            _ => (sign_extend(value, width) as i64 >> count) as u64,
        } & mask(width);
        self.write(0, Value::known(result));
        if count != 0 {
            self.state.flags = Flags::Equal(result == 0);
        }
    }

    fn compare(&mut self) {
        let width = self.width(0);
        let (left, right) = (self.read(0), self.read(1));
        let tests = self.instruction.mnemonic == Mnemonic::Test;
        self.state.flags = match (left.get(width), right.get(width)) {
            _ if tests && left.and(right).get(width).is_some() => {
                logic_flags(left.and(right).get(width).unwrap_or(0), width)
            }
            (Some(left), Some(right)) if !tests => difference_flags(left, right, width),
            (None, _) if tests && self.instruction.is_same_register() => self.ask(0),
            (None, Some(number)) if !tests => self.ask(number),
            _ => Flags::Unknown,
        };
    }

    /// The flags after a question about the first operand: the answer when the path has given
    /// it before.
    fn ask(&mut self, number: u64) -> Flags {
        let Some(place) = self.place() else { return Flags::Unknown };
        let question = Question { place, width: self.width(0), number };
        self.state.answer(question).map_or(Flags::Asked(question), Flags::Equal)
    }

    /// The flags after a computation with an unknown result.
    fn ask_zero(&mut self) {
        self.state.flags = self.ask(0);
    }

    /// What an atomic operation leaves in memory may be changed by others at once.
    fn doubt_atomic_result(&mut self) {
        if self.instruction.whole.has_lock_prefix() {
            self.write(0, Value::UNKNOWN);
            self.state.flags = Flags::Unknown;
        }
    }

    /// `setcc` and `cmovcc`, and what is not modelled at all.
    fn conditional(&mut self) {
        let condition = self.instruction.whole.condition_code();
        let holds = holds(condition, self.state.flags);
        match (condition, self.instruction.whole.op_count()) {
            (ConditionCode::None, _) => self.forget(),
            (_, 1) => {
                let value = holds.map_or(Value::UNKNOWN, |holds| Value::known(holds.into()));
                self.write(0, value);
            }
            (_, 2) => {
                let (old, new) = (self.read(0), self.read(1));
                let value = match holds {
                    Some(holds) => {
                        if holds {
                            new
                        } else {
                            old
                        }
                    }
                    None if old == new => old,
                    None => Value::UNKNOWN,
                };
                self.write(0, value);
            }
            _ => self.forget(),
        }
    }

    fn branch(&mut self, target: u64) -> Next {
        let condition = self.instruction.whole.condition_code();
        let taken = holds(condition, self.state.flags);
        let asked = match (self.state.flags, condition) {
            (Flags::Asked(question), ConditionCode::e) => {
                Some(Asked { question, taken_if_equal: true })
            }
            (Flags::Asked(question), ConditionCode::ne) => {
                Some(Asked { question, taken_if_equal: false })
            }
            _ => None,
        };
        Next::Branch { target, taken, asked }
    }

    /// A copy of sixteen or thirty-two bytes, or of eight through a vector register.
    fn vector_move(&mut self) {
        let width = self.width(0).min(self.width(1));
        let words = self.read_words(1, width);
        match self.instruction.operands[0] {
            Operand::Vector { number, .. } => self.state.set_vector(number, words),
            Operand::Memory { .. } => self.write_words(words, width),
            _ => self.write(0, words[0]),
        }
    }

    /// Puts the halves of sixteen bytes elsewhere: so a structure's second word is taken out of a copy.
    fn vector_shuffle(&mut self) {
        let Operand::Vector { number: to, width: 16 } = self.instruction.operands[0] else {
            return self.forget();
        };
        let last = self.instruction.whole.op_count() - 1;
        let (low, high) = match self.instruction.mnemonic {
            Mnemonic::Pshufd | Mnemonic::Vpshufd => {
                let from = self.read_words(1, 16);
                let order = self.instruction.whole.immediate8();
                (shuffled(from, order & 0xf), shuffled(from, order >> 4))
            }
            Mnemonic::Punpcklqdq | Mnemonic::Vpunpcklqdq | Mnemonic::Movlhps => {
                (self.read_words(last - 1, 16)[0], self.read_words(last, 16)[0])
            }
            Mnemonic::Punpckhqdq | Mnemonic::Vpunpckhqdq | Mnemonic::Unpckhpd => {
                (self.read_words(last - 1, 16)[1], self.read_words(last, 16)[1])
            }
            Mnemonic::Movhlps => (self.read_words(1, 16)[1], self.read_words(0, 16)[1]),
            // A register's difference from itself.
            _ if self.instruction.is_same_register() => (Value::known(0), Value::known(0)),
            _ => return self.forget(),
        };
        let words = [low, high, Value::UNKNOWN, Value::UNKNOWN];
        self.state.set_vector(to, words);
    }

    fn read_words(&mut self, operand: u32, width: u32) -> [Value; 4] {
        if let Operand::Vector { number, .. } = self.operand(operand) {
            return self.state.vector(number);
        }
        let mut words = [Value::known(0); 4];
        for (at, word) in (0..width).step_by(8).zip(&mut words) {
            let part = (width - at).min(8);
            *word = match self.address().filter(|_| self.is_memory(operand)) {
                Some(address) => {
                    let address = address.wrapping_add(at.into());
                    self.state.peek(self.sight, address, part).zero_extended(part)
                }
                None if self.is_memory(operand) => Value::UNKNOWN,
                None => self.read(operand).zero_extended(part),
            };
        }
        words
    }

    fn write_words(&mut self, words: [Value; 4], width: u32) {
        let Some(address) = self.address() else { return };
        for (at, word) in (0..width).step_by(8).zip(words) {
            let address = address.wrapping_add(at.into());
            self.state.store(self.sight, address, word, (width - at).min(8));
        }
    }

    /// Forgets everything that the instruction writes.
    fn forget(&mut self) {
        let mut scratch = self.sight.scratch.take().unwrap_or_else(InstructionInfoFactory::new);
        let used = scratch.info(&self.instruction.whole);
        for register in used.used_registers().iter().filter(|used| writes(used.access())) {
            let register = register.register();
            match number(register) {
                Some(number) => self.set(number, Value::UNKNOWN, 8),
                None => self.state.set_vector(register.number() as u16, [Value::UNKNOWN; 4]),
            }
        }
        for memory in used.used_memory().iter().filter(|used| writes(used.access())) {
            let registers = |register, _, _| register_value(self.state, register);
            if let Some(address) = memory.virtual_address(0, registers) {
                let width = memory.memory_size().size() as u32;
                for at in (0..width).step_by(8) {
                    let address = address.wrapping_add(at.into());
                    let part = (width - at).min(8);
                    self.state.store(self.sight, address, Value::UNKNOWN, part);
                }
                self.state.change(self.sight, address, width, Change::Other);
            }
        }
        *self.sight.scratch = Some(scratch);
        if self.instruction.whole.rflags_modified() != 0 {
            self.state.flags = Flags::Unknown;
        }
    }

    /// The value of an operand of at most eight bytes.
    fn read(&mut self, operand: u32) -> Value {
        match self.operand(operand) {
            Operand::Register { number, .. } => self.state.register(number),
            Operand::Memory { width } => {
                let pc = self.instruction.pc();
                self.address().map_or(Value::UNKNOWN, |address| {
                    self.state.load(self.sight, pc, address, width)
                })
            }
            Operand::Number(number) => Value::known(number),
            Operand::HighByte { .. } | Operand::Vector { .. } | Operand::Other => Value::UNKNOWN,
        }
    }

    fn write(&mut self, operand: u32, value: Value) {
        match self.operand(operand) {
            Operand::Register { number, width } => self.set(number, value, width),
            Operand::HighByte { number } => self.set(number, Value::UNKNOWN, 8),
            Operand::Memory { width } => {
                if let Some(address) = self.address() {
                    self.state.store(self.sight, address, value, width);
                }
            }
            Operand::Vector { .. } | Operand::Number(_) | Operand::Other => {}
        }
    }

    /// Writing 32 bits of a register clears the others; writing fewer leaves them.
    fn set(&mut self, number: u16, value: Value, width: u32) {
        let value = match width {
            4 => value.zero_extended(4),
            _ => self.state.register(number).with_low(value, width),
        };
        self.state.set_register(number, value);
    }

    /// Takes note of what happens to the first operand.
    fn note_store(&mut self, change: Change) -> Option<Meaning> {
        if self.is_memory(0) { self.note(0, change) } else { None }
    }

    fn note(&mut self, operand: u32, change: Change) -> Option<Meaning> {
        let (address, width) = (self.address()?, self.width(operand));
        self.state.change(self.sight, address, width, change)
    }

    fn indirect_target(&mut self) -> Option<u64> {
        match self.instruction.operands[0] {
            Operand::Memory { .. } => {
                self.address().and_then(|at| self.state.peek(self.sight, at, 8).get(8))
            }
            _ => self.read(0).get(8),
        }
    }

    fn address(&self) -> Option<u64> {
        self.instruction.address?.of(self.state)
    }

    fn place(&self) -> Option<Place> {
        match self.instruction.operands[0] {
            Operand::Register { number, .. } => Some(Place::Register(number)),
            Operand::Memory { .. } => {
                self.address().filter(|&address| self.sight.is_stack(address)).map(Place::Memory)
            }
            _ => None,
        }
    }

    fn operand(&self, at: u32) -> Operand {
        self.instruction.operands.get(at as usize).copied().unwrap_or_default()
    }

    fn is_memory(&self, operand: u32) -> bool {
        self.operand(operand).is_memory()
    }

    /// The size of an operand in bytes.
    fn width(&self, operand: u32) -> u32 {
        self.operand(operand).width()
    }
}

/// Moves that copy whole words, aligned or not, with and without AVX.
fn is_vector_move(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Movaps
            | Movups
            | Movapd
            | Movupd
            | Movdqa
            | Movdqu
            | Movq
            | Movd
            | Vmovaps
            | Vmovups
            | Vmovapd
            | Vmovupd
            | Vmovdqa
            | Vmovdqu
            | Vmovq
            | Vmovd
            | Vmovdqu8
            | Vmovdqu64
            | Vmovdqa64
    )
}

/// What moves halves of sixteen bytes about, or clears them.
fn is_vector_shuffle(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Pshufd
            | Vpshufd
            | Punpcklqdq
            | Vpunpcklqdq
            | Punpckhqdq
            | Vpunpckhqdq
            | Unpckhpd
            | Movlhps
            | Movhlps
            | Pxor
            | Xorps
            | Xorpd
    )
}

/// The eight bytes that two numbers of two bits choose from four times four: known where they lie together.
fn shuffled(from: [Value; 4], order: u8) -> Value {
    match order {
        0b01_00 => from[0],
        0b11_10 => from[1],
        _ => Value::UNKNOWN,
    }
}

fn writes(access: OpAccess) -> bool {
    use OpAccess::{CondWrite, ReadCondWrite, ReadWrite, Write};
    matches!(access, Write | CondWrite | ReadWrite | ReadCondWrite)
}

/// A register as a part of an address. Thread-local storage lies at an address that is not
/// known here; every other segment starts at zero.
fn register_value(state: &State, register: Register) -> Option<u64> {
    match register {
        Register::FS | Register::GS => None,
        Register::ES | Register::CS | Register::SS | Register::DS => Some(0),
        register => state.register(number(register)?).get(register.size() as u32),
    }
}

fn negated(value: Value, width: u32) -> Value {
    let negated = |bits: u64| Value::of_width(bits.wrapping_neg(), width);
    value.get(width).map_or(Value::UNKNOWN, negated)
}

fn is_negative(bits: u64, width: u32) -> bool {
    (sign_extend(bits, width) as i64) < 0
}

fn logic_flags(result: u64, width: u32) -> Flags {
    let sign = is_negative(result, width);
    Flags::Known { zero: result & mask(width) == 0, sign, carry: false, overflow: false }
}

fn sum_flags(left: u64, right: u64, sum: u64, width: u32) -> Flags {
    let sign = is_negative(sum, width);
    let (left_sign, right_sign) = (is_negative(left, width), is_negative(right, width));
    let overflow = left_sign == right_sign && sign != left_sign;
    Flags::Known { zero: sum == 0, sign, carry: sum < left, overflow }
}

fn difference_flags(left: u64, right: u64, width: u32) -> Flags {
    let difference = left.wrapping_sub(right) & mask(width);
    let sign = is_negative(difference, width);
    let (left_sign, right_sign) = (is_negative(left, width), is_negative(right, width));
    let overflow = left_sign != right_sign && sign != left_sign;
    Flags::Known { zero: difference == 0, sign, carry: left < right, overflow }
}

/// Whether a condition holds, when the flags say so.
fn holds(condition: ConditionCode, flags: Flags) -> Option<bool> {
    if let Flags::Equal(equal) = flags {
        return match condition {
            ConditionCode::e => Some(equal),
            ConditionCode::ne => Some(!equal),
            _ => None,
        };
    }
    let Flags::Known { zero, sign, carry, overflow } = flags else { return None };
    Some(match condition {
        ConditionCode::o => overflow,
        ConditionCode::no => !overflow,
        ConditionCode::b => carry,
        ConditionCode::ae => !carry,
        ConditionCode::e => zero,
        ConditionCode::ne => !zero,
        ConditionCode::be => carry || zero,
        ConditionCode::a => !carry && !zero,
        ConditionCode::s => sign,
        ConditionCode::ns => !sign,
        ConditionCode::l => sign != overflow,
        ConditionCode::ge => sign == overflow,
        ConditionCode::le => zero || sign != overflow,
        ConditionCode::g => !zero && sign == overflow,
        ConditionCode::p | ConditionCode::np | ConditionCode::None => return None,
    })
}
