//! Call frame information: what a binary's `.eh_frame` says of an address, compiled into a
//! [`Rule`] that is applied to registers and stack many times.

use std::borrow::Cow;
use std::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, Encoding, EndianSlice, Evaluation,
    EvaluationResult, Expression, Format, LittleEndian, Location, Pointer, RegisterRule,
    UnwindContext, UnwindExpression, UnwindSection, Value,
};
use sigquit_dump::Truncation;

use super::machine::{Machine, RegisterFile};
use super::{Caller, StackCopy};

/// Operations of one expression, at most: those of real tables need a dozen.
const OPERATIONS: u32 = 1000;

/// A binary's unwind table, as it lies in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct UnwindTable {
    /// `.eh_frame_hdr`, the index by address, and where it lies.
    pub index: Cow<'static, [u8]>,
    pub index_address: u64,
    /// `.eh_frame` and perhaps what follows it, and where it lies.
    pub frames: Cow<'static, [u8]>,
    pub frames_address: u64,
}

/// Where the index says that the frames are.
pub(super) fn frames_address(index: &[u8], index_address: u64) -> Option<u64> {
    let bases = BaseAddresses::default().set_eh_frame_hdr(index_address);
    let index = EhFrameHdr::new(index, LittleEndian).parse(&bases, 8).ok()?;
    match index.eh_frame_ptr() {
        Pointer::Direct(address) => Some(address),
        Pointer::Indirect(_) => None,
    }
}

impl UnwindTable {
    /// Compiles the rule for an address.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn rule(&self, context: &mut Context, address: u64) -> Result<Rule, Truncation> {
        if self.index.is_empty() {
            return Err(Truncation::NoUnwindTable);
        }
        self.compile(context, address).map_err(|error| match error {
            gimli::Error::NoUnwindInfoForAddress => Truncation::NoUnwindTable,
            _ => Truncation::BadUnwindTable,
        })
    }

    fn compile(&self, context: &mut Context, address: u64) -> gimli::Result<Rule> {
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(self.index_address)
            .set_eh_frame(self.frames_address);
        let index = EhFrameHdr::new(&self.index, LittleEndian).parse(&bases, 8)?;
        let table = index.table().ok_or(gimli::Error::NoUnwindInfoForAddress)?;
        let mut frames = EhFrame::new(&self.frames, LittleEndian);
        frames.set_address_size(8);
        // The one vendor whose operations have another meaning than elsewhere; x86 has none.
        frames.set_vendor(gimli::Vendor::AArch64);
        let entry = table.fde_for_address(&frames, &bases, address, EhFrame::cie_from_offset)?;
        let row = entry.unwind_info_for_address(&frames, &bases, context, address)?;
        let saved = row
            .registers()
            .map(|(register, rule)| Ok((register.0, Saved::from_rule(rule, &frames)?)));
        Ok(Rule {
            function: entry.initial_address()..entry.end_address(),
            is_signal_frame: entry.is_signal_trampoline(),
            return_address: entry.cie().return_address_register().0,
            cfa: Base::from_rule(row.cfa(), &frames)?,
            saved: saved.collect::<gimli::Result<_>>()?,
        })
    }
}

/// What compiling a rule needs room for.
pub(super) type Context = UnwindContext<usize>;

type Frames<'a> = EhFrame<EndianSlice<'a, LittleEndian>>;

/// How to get from one frame to its caller's.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The function's addresses.
    pub function: Range<u64>,
    /// The frame was made by the kernel when a signal interrupted its caller.
    pub is_signal_frame: bool,
    /// The register whose value in the caller is the pc.
    return_address: u16,
    cfa: Base,
    saved: Box<[(u16, Saved)]>,
}

/// How the canonical frame address is found.
#[derive(Clone, Debug)]
enum Base {
    /// register + offset
    Register(u16, i64),
    Expression(Box<[u8]>),
}

/// How a register's value in the caller is found.
#[derive(Clone, Debug)]
enum Saved {
    /// It is lost.
    Lost,
    /// register
    Same,
    /// *(CFA + offset)
    At(i64),
    /// CFA + offset
    Is(i64),
    /// another register
    In(u16),
    /// *(expression)
    AtExpression(Box<[u8]>),
    /// expression
    IsExpression(Box<[u8]>),
    /// the number itself
    Constant(u64),
}

impl Base {
    fn from_rule(rule: &CfaRule<usize>, frames: &Frames) -> gimli::Result<Base> {
        Ok(match rule {
            CfaRule::RegisterAndOffset { register, offset } => Base::Register(register.0, *offset),
            CfaRule::Expression(expression) => Base::Expression(bytes(expression, frames)?),
        })
    }
}

impl Saved {
    fn from_rule(rule: &RegisterRule<usize>, frames: &Frames) -> gimli::Result<Saved> {
        Ok(match rule {
            RegisterRule::Undefined | RegisterRule::Architectural => Saved::Lost,
            RegisterRule::SameValue => Saved::Same,
            RegisterRule::Offset(offset) => Saved::At(*offset),
            RegisterRule::ValOffset(offset) => Saved::Is(*offset),
            RegisterRule::Register(register) => Saved::In(register.0),
            RegisterRule::Expression(expression) => Saved::AtExpression(bytes(expression, frames)?),
            RegisterRule::ValExpression(expression) => {
                Saved::IsExpression(bytes(expression, frames)?)
            }
            RegisterRule::Constant(value) => Saved::Constant(*value),
        })
    }
}

fn bytes(expression: &UnwindExpression<usize>, frames: &Frames) -> gimli::Result<Box<[u8]>> {
    Ok(expression.get(frames)?.0.slice().into())
}

impl Rule {
    /// Whether the frame's size follows from the pc alone, and its return address lies at its end.
    pub fn is_fixed(&self, sp: u16) -> bool {
        let is_at_the_end = |saved: &(u16, Saved)| {
            saved.0 == self.return_address && matches!(saved.1, Saved::At(-8))
        };
        matches!(self.cfa, Base::Register(register, _) if register == sp)
            && !self.is_signal_frame
            && self.saved.iter().any(is_at_the_end)
    }

    /// The registers that the function has put aside to use them itself, and where it did, counted
    /// from the canonical frame address, when that is so simple.
    pub fn put_aside(&self) -> impl Iterator<Item = (u16, Option<i64>)> {
        self.saved.iter().filter_map(|(number, saved)| match saved {
            Saved::Same => None,
            Saved::At(offset) => Some((*number, Some(*offset))),
            _ => Some((*number, None)),
        })
    }

    /// The canonical frame address of a frame.
    pub fn cfa<const N: usize>(
        &self,
        registers: &RegisterFile<N>,
        stack: &StackCopy<'_>,
    ) -> Result<u64, Truncation> {
        match &self.cfa {
            Base::Register(number, offset) => {
                let base = registers.get(*number).ok_or(Truncation::BadUnwindTable)?;
                Ok(base.wrapping_add_signed(*offset))
            }
            Base::Expression(bytes) => evaluate(bytes, None, registers, stack),
        }
    }

    /// The registers as they are in the caller.
    pub fn caller<const N: usize>(
        &self,
        registers: &RegisterFile<N>,
        stack: &StackCopy<'_>,
        cfa: u64,
    ) -> Result<Caller<N>, Truncation>
    where
        RegisterFile<N>: Machine,
    {
        let mut caller = registers.only(RegisterFile::<N>::CALLEE_SAVED);
        caller.set(RegisterFile::<N>::SP, cfa);
        let mut pc = registers.get(self.return_address).ok_or(Truncation::BadUnwindTable);
        for (number, saved) in &self.saved {
            let value = saved.value(*number, registers, stack, cfa);
            if *number == self.return_address {
                if matches!(saved, Saved::Lost) {
                    return Ok(Caller::None);
                }
                pc = value;
            } else {
                match value {
                    Ok(value) => caller.set(*number, value),
                    Err(_) => caller.forget(*number),
                }
            }
        }
        match RegisterFile::<N>::code_address(pc?) {
            0 => Ok(Caller::None),
            pc => {
                caller.set(RegisterFile::<N>::PC, pc);
                Ok(Caller::At(caller))
            }
        }
    }
}

impl Saved {
    fn value<const N: usize>(
        &self,
        number: u16,
        registers: &RegisterFile<N>,
        stack: &StackCopy<'_>,
        cfa: u64,
    ) -> Result<u64, Truncation>
    where
        RegisterFile<N>: Machine,
    {
        let register = |number| registers.get(number).ok_or(Truncation::BadUnwindTable);
        let sp = registers.get(RegisterFile::<N>::SP).unwrap_or(0);
        match self {
            Saved::Lost => Err(Truncation::BadUnwindTable),
            Saved::Same => register(number),
            Saved::At(offset) => match cfa.wrapping_add_signed(*offset) {
                // The function is on its way out and has popped the register already.
                slot if slot < sp => register(number),
                slot => stack.require(slot),
            },
            Saved::Is(offset) => Ok(cfa.wrapping_add_signed(*offset)),
            Saved::In(other) => register(*other),
            Saved::AtExpression(bytes) => {
                stack.require(evaluate(bytes, Some(cfa), registers, stack)?)
            }
            Saved::IsExpression(bytes) => evaluate(bytes, Some(cfa), registers, stack),
            Saved::Constant(value) => Ok(*value),
        }
    }
}

/// Runs a DWARF expression; those for registers begin with the CFA on their stack.
fn evaluate<const N: usize>(
    bytes: &[u8],
    cfa: Option<u64>,
    registers: &RegisterFile<N>,
    stack: &StackCopy<'_>,
) -> Result<u64, Truncation> {
    let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
    let expression = Expression(EndianSlice::new(bytes, LittleEndian));
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(OPERATIONS);
    if let Some(cfa) = cfa {
        evaluation.set_initial_value(cfa);
    }
    run(&mut evaluation, registers, stack)?;
    match evaluation.result().first().map(|piece| piece.location) {
        Some(Location::Address { address }) => Ok(address),
        _ => Err(Truncation::BadUnwindTable),
    }
}

fn run<const N: usize>(
    evaluation: &mut Evaluation<EndianSlice<'_, LittleEndian>>,
    registers: &RegisterFile<N>,
    stack: &StackCopy<'_>,
) -> Result<(), Truncation> {
    let bad = |_| Truncation::BadUnwindTable;
    let mut state = evaluation.evaluate().map_err(bad)?;
    loop {
        state = match state {
            EvaluationResult::Complete => return Ok(()),
            EvaluationResult::RequiresMemory { address, size: 8, space: None, .. } => {
                let word = stack.require(address)?;
                evaluation.resume_with_memory(Value::Generic(word)).map_err(bad)?
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = registers.get(register.0).ok_or(Truncation::BadUnwindTable)?;
                evaluation.resume_with_register(Value::Generic(value)).map_err(bad)?
            }
            _ => return Err(Truncation::BadUnwindTable),
        }
    }
}
