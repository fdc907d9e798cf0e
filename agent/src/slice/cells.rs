//! Where values lie: registers, flags, words of the frame; and which of them an instruction uses.

use iced_x86::{
    Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, RflagsBits,
    UsedMemory,
};

use crate::unwind::Registers;

/// A set of places: a bit each.
///
/// ```text
/// 0..16 general registers, by their DWARF numbers   16..32 flags   32..64 vector registers
/// 64..128 words of the frame, as [`Words`] numbers them
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells(u128);

const GENERAL: u32 = 16;
const FLAGS: u32 = 16;
const VECTORS: u32 = 32;
const WORDS: u32 = 64;
/// What has no place of its own: the x87's registers, masks, segments.
const OTHER: u32 = 31;

impl Cells {
    pub const NONE: Cells = Cells(0);
    pub const STACK_POINTER: Cells = Cells(1 << Registers::SP);

    fn one(bit: u32) -> Cells {
        Cells(1 << bit)
    }

    fn flags(bits: u32) -> Cells {
        const NAMED: [u32; 6] = [
            RflagsBits::OF,
            RflagsBits::SF,
            RflagsBits::ZF,
            RflagsBits::AF,
            RflagsBits::CF,
            RflagsBits::PF,
        ];
        let named = (FLAGS..).zip(NAMED).filter(|&(_, flag)| bits & flag != 0);
        let mut cells = named.fold(Cells::NONE, |cells, (bit, _)| cells.with(Cells::one(bit)));
        if bits & !NAMED.iter().fold(0, |all, flag| all | flag) != 0 {
            cells = cells.with(Cells::one(OTHER));
        }
        cells
    }

    fn register(register: Register) -> Cells {
        match register {
            Register::None | Register::RIP | Register::EIP => Cells::NONE,
            _ if register.is_gpr() => {
                let code = register.full_register().number();
                Registers::BY_CODE.get(code).map_or(Cells::one(OTHER), |&at| Cells::one(at.into()))
            }
            _ if register.is_vector_register() => Cells::one(VECTORS + register.number() as u32),
            _ => Cells::one(OTHER),
        }
    }

    pub fn with(self, other: Cells) -> Cells {
        Cells(self.0 | other.0)
    }

    pub fn without(self, other: Cells) -> Cells {
        Cells(self.0 & !other.0)
    }

    pub fn meets(self, other: Cells) -> bool {
        self.0 & other.0 != 0
    }

    /// Of a set of one, which it is.
    pub fn number(self) -> u32 {
        self.0.trailing_zeros()
    }

    pub fn each(self) -> impl Iterator<Item = Cells> {
        (0..u128::BITS).map(Cells::one).filter(move |&one| self.meets(one))
    }

    /// Whether the general register of that DWARF number is in it.
    pub fn holds_general(self, number: u16) -> bool {
        self.0 >> number & 1 == 1
    }

    /// Whether all of it is general registers.
    pub fn are_general(self) -> bool {
        self.0 >> GENERAL == 0
    }
}

/// The words of the frame that a loop uses, each with its distance from the stack pointer and its
/// size in bytes.
#[derive(Default)]
pub(super) struct Words(Vec<(i64, u64)>);

impl Words {
    /// The cell of a word; nothing when it overlaps another, or there are too many.
    fn cell(&mut self, at: i64, size: u64) -> Option<Cells> {
        let overlaps = |&&(other, length): &&(i64, u64)| {
            at < other.saturating_add_unsigned(length) && other < at.saturating_add_unsigned(size)
        };
        let number = match self.0.iter().position(|&word| word == (at, size)) {
            Some(number) => number,
            None if size == 0 || self.0.iter().find(overlaps).is_some() => return None,
            None => {
                self.0.push((at, size));
                self.0.len() - 1
            }
        };
        (number < 64).then(|| Cells::one(WORDS + number as u32))
    }
}

/// What an instruction uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// What it reads, addresses included.
    pub reads: Cells,
    /// Of that, what says where its operand in memory lies.
    pub addresses: Cells,
    /// And what goes into the values that it writes.
    pub data: Cells,
    /// What it may write.
    pub writes: Cells,
    /// Of that, what it writes as a whole and in any case.
    pub replaces: Cells,
    /// Whether it reads memory outside of the frame; where, when that does not depend on registers.
    pub loads: Option<Option<u64>>,
    /// It writes memory outside of the frame.
    pub stores: bool,
    /// What it writes is what it reads, moved.
    pub is_copy: bool,
}

/// What an instruction uses; nothing when it uses the frame in a way that is not followed.
pub(super) fn uses(
    instruction: &Instruction,
    factory: &mut InstructionInfoFactory,
    words: &mut Words,
) -> Option<Uses> {
    let info = factory.info(instruction);
    let mut uses = Uses { is_copy: is_copy(instruction.mnemonic()), ..Uses::default() };
    for used in info.used_registers() {
        let cell = Cells::register(used.register());
        let (reads, writes) = directions(used.access());
        // A write of four bytes clears the other four; one of fewer leaves the rest.
        let is_whole = !used.register().is_gpr() || used.register().size() >= 4;
        uses.reads = if reads { uses.reads.with(cell) } else { uses.reads };
        uses.writes = if writes { uses.writes.with(cell) } else { uses.writes };
        if writes && is_whole && !is_conditional(used.access()) {
            uses.replaces = uses.replaces.with(cell);
        }
    }
    uses.addresses = addresses(instruction);
    uses.data = uses.reads.without(uses.addresses);
    let explicit = (0..instruction.op_count()).filter(|&at| {
        instruction.op_kind(at) == OpKind::Register && directions(info.op_access(at)).0
    });
    let explicit = explicit.map(|at| Cells::register(instruction.op_register(at)));
    uses.data = explicit.fold(uses.data, Cells::with);
    for memory in info.used_memory() {
        let (reads, writes) = directions(memory.access());
        if !is_in_frame(memory) {
            if reads {
                uses.loads = Some(fixed_address(memory));
            }
            uses.stores |= writes;
            continue;
        }
        let cell = words.cell(memory.displacement() as i64, memory.memory_size().size() as u64)?;
        if reads {
            uses.reads = uses.reads.with(cell);
            uses.data = uses.data.with(cell);
        }
        if writes {
            uses.writes = uses.writes.with(cell);
            if !is_conditional(memory.access()) {
                uses.replaces = uses.replaces.with(cell);
            }
        }
    }
    let read = Cells::flags(instruction.rflags_read());
    uses.reads = uses.reads.with(read);
    uses.data = uses.data.with(read);
    let written = Cells::flags(instruction.rflags_modified());
    uses.writes = uses.writes.with(written);
    uses.replaces = uses.replaces.with(written);
    Some(uses)
}

/// The registers from which the address of its operand in memory is computed.
fn addresses(instruction: &Instruction) -> Cells {
    if instruction.mnemonic() == Mnemonic::Lea {
        return Cells::NONE;
    }
    Cells::register(instruction.memory_base()).with(Cells::register(instruction.memory_index()))
}

fn is_in_frame(memory: &UsedMemory) -> bool {
    memory.base() == Register::RSP
        && memory.index() == Register::None
        && !matches!(memory.segment(), Register::FS | Register::GS)
}

fn fixed_address(memory: &UsedMemory) -> Option<u64> {
    let is_fixed = matches!(memory.base(), Register::None | Register::RIP)
        && memory.index() == Register::None
        && !matches!(memory.segment(), Register::FS | Register::GS);
    is_fixed.then(|| memory.displacement())
}

/// Whether it reads, and whether it writes.
fn directions(access: OpAccess) -> (bool, bool) {
    match access {
        OpAccess::Read | OpAccess::CondRead => (true, false),
        OpAccess::Write | OpAccess::CondWrite => (false, true),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
        OpAccess::None | OpAccess::NoMemAccess => (false, false),
    }
}

fn is_conditional(access: OpAccess) -> bool {
    matches!(access, OpAccess::CondWrite | OpAccess::ReadCondWrite)
}

fn is_copy(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Mov
            | Mnemonic::Movzx
            | Mnemonic::Movsx
            | Mnemonic::Movsxd
            | Mnemonic::Movaps
            | Mnemonic::Movups
            | Mnemonic::Movapd
            | Mnemonic::Movupd
            | Mnemonic::Movdqa
            | Mnemonic::Movdqu
            | Mnemonic::Movsd
            | Mnemonic::Movss
            | Mnemonic::Movq
            | Mnemonic::Movd
    )
}
