//! Machine code -> instructions, with what paths ask of them again and again looked up once.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Mnemonic, OpKind, Register};

use super::super::state::State;
use crate::unwind::Registers;

/// How an instruction ends or does not end a piece of straight code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::owner) enum Flow {
    Through,
    Branch(u64),
    Jump(Option<u64>),
    Call(Option<u64>),
    Return,
    Stop,
}

/// One instruction.
#[derive(Clone, Copy, Debug)]
pub(in crate::owner) struct Instruction {
    /// As it was decoded.
    pub whole: iced_x86::Instruction,
    pub mnemonic: Mnemonic,
    pub flow: Flow,
    /// The first three operands; instructions with more are not modelled.
    pub operands: [Operand; 3],
    /// Where its operand in memory lies, if it has one and that can be computed.
    pub address: Option<Address>,
}

/// What an instruction works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::owner) enum Operand {
    /// The low bytes of a general register, by its DWARF number.
    Register { number: u16, width: u32 },
    /// Its second byte.
    HighByte { number: u16 },
    /// A vector register.
    Vector { number: u16, width: u32 },
    /// So many bytes of memory.
    Memory { width: u32 },
    /// A number.
    Number(u64),
    /// None, or nothing that is followed.
    #[default]
    Other,
}

impl Operand {
    /// Its size in bytes.
    pub fn width(self) -> u32 {
        match self {
            Operand::Register { width, .. }
            | Operand::Vector { width, .. }
            | Operand::Memory { width } => width,
            Operand::HighByte { .. } => 1,
            Operand::Number(_) | Operand::Other => 8,
        }
    }

    pub fn is_memory(self) -> bool {
        matches!(self, Operand::Memory { .. })
    }
}

/// The sum that an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::owner) struct Address {
    /// Registers, by their DWARF numbers.
    base: Option<u16>,
    index: Option<u16>,
    scale: u64,
    displacement: u64,
}

impl Address {
    /// The address in this state, when all of it is known.
    pub fn of(&self, state: &State) -> Option<u64> {
        let value = |register: Option<u16>| match register {
            Some(number) => state.register(number).get(8),
            None => Some(0),
        };
        let (base, index) = (value(self.base)?, value(self.index)?);
        Some(base.wrapping_add(index.wrapping_mul(self.scale)).wrapping_add(self.displacement))
    }
}

impl Instruction {
    pub fn new(whole: iced_x86::Instruction) -> Instruction {
        Instruction {
            whole,
            mnemonic: whole.mnemonic(),
            flow: flow(&whole),
            operands: [0, 1, 2].map(|at| operand(&whole, at)),
            address: address(&whole),
        }
    }

    /// Where it lies.
    pub fn pc(&self) -> u64 {
        self.whole.ip()
    }

    /// The address behind it.
    pub fn end(&self) -> u64 {
        self.whole.next_ip()
    }

    /// Where it puts a whole register into the frame, counted from the stack pointer.
    pub fn kept_at(&self) -> Option<u64> {
        let keeps = self.mnemonic == Mnemonic::Mov
            && self.operands[0].is_memory()
            && matches!(self.operands[1], Operand::Register { width: 8, .. })
            && self.whole.memory_base() == Register::RSP
            && self.whole.memory_index() == Register::None;
        keeps.then(|| self.whole.memory_displacement64())
    }

    /// Whether it can take a lock.
    pub fn exchanges(&self) -> bool {
        match self.mnemonic {
            Mnemonic::Cmpxchg => self.operands[0].is_memory(),
            Mnemonic::Xchg => self.operands.iter().any(|operand| operand.is_memory()),
            _ => false,
        }
    }

    /// Whether both operands are the same register.
    pub fn is_same_register(&self) -> bool {
        let both = (self.whole.op0_kind(), self.whole.op1_kind());
        both == (OpKind::Register, OpKind::Register)
            && self.whole.op0_register() == self.whole.op1_register()
    }
}

/// The instructions in these bytes, up to the first that is none.
pub(in crate::owner) fn decode(pc: u64, bytes: &[u8]) -> impl Iterator<Item = Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE);
    std::iter::from_fn(move || {
        let whole = decoder.can_decode().then(|| decoder.decode())?;
        (!whole.is_invalid()).then(|| Instruction::new(whole))
    })
}

/// Where an instruction leads, as far as it says so itself.
fn flow(whole: &iced_x86::Instruction) -> Flow {
    match whole.flow_control() {
        FlowControl::Next | FlowControl::XbeginXabortXend => Flow::Through,
        FlowControl::Call if whole.code() == Code::Syscall => Flow::Through,
        FlowControl::UnconditionalBranch => Flow::Jump(Some(whole.near_branch_target())),
        FlowControl::IndirectBranch => Flow::Jump(None),
        FlowControl::ConditionalBranch => Flow::Branch(whole.near_branch_target()),
        FlowControl::Return => Flow::Return,
        FlowControl::Call => Flow::Call(Some(whole.near_branch_target())),
        FlowControl::IndirectCall => Flow::Call(None),
        FlowControl::Interrupt | FlowControl::Exception => Flow::Stop,
    }
}

fn operand(whole: &iced_x86::Instruction, at: u32) -> Operand {
    if at >= whole.op_count() {
        return Operand::Other;
    }
    match whole.op_kind(at) {
        OpKind::Register => {
            let register = whole.op_register(at);
            let width = register.size() as u32;
            match number(register) {
                Some(number) if is_high_byte(register) => Operand::HighByte { number },
                Some(number) => Operand::Register { number, width },
                None if register.is_vector_register() => {
                    Operand::Vector { number: register.number() as u16, width }
                }
                None => Operand::Other,
            }
        }
        OpKind::Memory => Operand::Memory { width: whole.memory_size().size() as u32 },
        _ => whole.try_immediate(at).map_or(Operand::Other, Operand::Number),
    }
}

/// Thread-local storage lies at an address that is not known here; every other segment starts at zero.
fn address(whole: &iced_x86::Instruction) -> Option<Address> {
    let has_memory = (0..whole.op_count()).any(|at| whole.op_kind(at) == OpKind::Memory);
    let is_local = matches!(whole.memory_segment(), Register::FS | Register::GS);
    if !has_memory || is_local {
        return None;
    }
    let part = |register: Register| match register {
        // The displacement is the whole address then.
        Register::None | Register::RIP => Some(None),
        register => Some(Some(number(register).filter(|_| register.is_gpr64())?)),
    };
    Some(Address {
        base: part(whole.memory_base())?,
        index: part(whole.memory_index())?,
        scale: whole.memory_index_scale().into(),
        displacement: whole.memory_displacement64(),
    })
}

/// The DWARF number of a general register.
pub(super) fn number(register: Register) -> Option<u16> {
    let full = register.is_gpr().then(|| register.full_register().number())?;
    Registers::BY_CODE.get(full).copied()
}

fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::balance::Balance;
    use crate::owner::value::Value;

    const PC: u64 = 0x1000;
    const RBX: u16 = 3;
    const R12: u16 = 12;

    fn one(bytes: &[u8]) -> Instruction {
        decode(PC, bytes).next().expect("an instruction")
    }

    fn state() -> State {
        let mut state = State::new(Balance::default());
        state.set_register(RBX, Value::known(0x100));
        state.set_register(R12, Value::known(3));
        state
    }

    #[test]
    fn an_address_is_base_and_index_and_displacement() {
        // mov eax, [rbx + r12 * 4 + 16]
        let load = one(&[0x42, 0x8b, 0x44, 0xa3, 0x10]);
        assert_eq!(load.operands[0], Operand::Register { number: 0, width: 4 });
        assert_eq!(load.operands[1], Operand::Memory { width: 4 });
        assert_eq!(load.address.and_then(|address| address.of(&state())), Some(0x11c));
    }

    #[test]
    fn an_address_counted_from_the_instruction_is_known() {
        // mov rax, [rip + 0x20], seven bytes long
        let load = one(&[0x48, 0x8b, 0x05, 0x20, 0, 0, 0]);
        assert_eq!(load.address.and_then(|address| address.of(&state())), Some(PC + 7 + 0x20));
    }

    #[test]
    fn where_thread_local_storage_lies_is_not_known() {
        // mov rax, fs:[0]
        assert_eq!(one(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]).address, None);
    }

    #[test]
    fn the_second_byte_of_a_register_is_not_its_first() {
        // mov ah, 1
        let mov = one(&[0xb4, 0x01]);
        assert_eq!(mov.operands[..2], [Operand::HighByte { number: 0 }, Operand::Number(1)]);
    }

    #[test]
    fn what_exchanges_memory_can_take_a_lock() {
        // lock cmpxchg [rbx], ecx; xchg eax, ecx
        assert!(one(&[0xf0, 0x0f, 0xb1, 0x0b]).exchanges());
        assert!(!one(&[0x87, 0xc8]).exchanges());
    }
}
