//! Registers and a piece of stack -> frames.
//!
//! Call frame information first; the frame pointer where a binary has none; and when neither
//! leads on, the stack ends with the reason. All of this runs on the agent's own thread over
//! copies, so it may allocate and take its time; it never touches the threads' memory, and a
//! damaged table or stack costs frames, not the process.

#[cfg_attr(
    not(target_arch = "aarch64"),
    expect(dead_code, reason = "tested over recorded stacks, used on such a machine only")
)]
mod aarch64;
mod cfi;
mod frame_pointer;
mod machine;
mod modules;
mod raise;
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::Registers;
pub(crate) use machine::{Machine, RegisterFile};
pub(crate) use modules::Modules;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::Registers;

use std::collections::HashMap;
use std::ops::Range;

use sigquit_dump::{Truncation, Trust};

use crate::capture::{self, Maps};
use cfi::Rule;

/// Frames of one stack, at most. A recursion that is deeper says so after a few hundred.
const DEPTH: usize = 2048;
/// Compiled rules that are kept: far more than a program has places in which threads wait.
const RULES: usize = 1 << 14;
/// How often in one dump an address outside every module makes us read the map again.
const REREADS: u32 = 3;

/// A copied piece of a thread's stack: the bytes that lay from `start` upwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackCopy<'a> {
    /// The address of the first byte, at or below the stack pointer of the leaf frame.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl StackCopy<'_> {
    /// The bytes from an address of the copied stack on.
    pub fn bytes_from(&self, address: u64) -> Option<&[u8]> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(at..).filter(|bytes| !bytes.is_empty())
    }

    /// The word at an address of the copied stack, when it lies wholly within the copy.
    pub fn word(&self, address: u64) -> Option<u64> {
        self.bytes_from(address)?.first_chunk().map(|&word| u64::from_le_bytes(word))
    }

    /// The same, or why unwinding cannot go on.
    fn require(&self, address: u64) -> Result<u64, Truncation> {
        let missing = if self.bytes.is_empty() {
            Truncation::ForeignStack
        } else {
            Truncation::StackCopyEnded
        };
        self.word(address).ok_or(missing)
    }

    /// Whether a stack pointer lies in the copy, or just past its end.
    fn holds(&self, sp: u64) -> bool {
        sp.checked_sub(self.start).is_some_and(|at| at <= self.bytes.len() as u64)
    }
}

/// One frame of a thread, with the registers as they are in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnwoundFrame<const N: usize = { Registers::COUNT }> {
    /// What to look symbols and unwind rules up by: the pc itself for the leaf frame and for a
    /// frame that a signal interrupted, the return address minus one for every other.
    pub lookup_address: u64,
    /// Where the frame goes on when it is returned to.
    pub pc: u64,
    /// The canonical frame address: the value of the stack pointer before the call. Where no
    /// rule says it, the stack pointer.
    pub cfa: u64,
    /// How the frame was found.
    pub trust: Trust,
    /// The registers as they are in this frame; those that its callees did not save are unknown.
    pub registers: RegisterFile<N>,
}

/// The frames of one thread, innermost first, and why there are no more.
#[derive(Clone, Debug)]
pub(crate) struct Unwound<const N: usize = { Registers::COUNT }> {
    /// The frames, innermost first.
    pub frames: Vec<UnwoundFrame<N>>,
    /// Why the root frame was not reached, when it was not.
    pub truncated: Option<Truncation>,
    /// Every frame's size followed from its pc alone, and every return address lay where the frame
    /// ends.
    pub fixed: bool,
}

/// Who called a frame.
enum Caller<const N: usize> {
    /// Nobody: it is the root frame.
    None,
    /// The frame with these registers.
    At(RegisterFile<N>),
}

/// What is kept from stack to stack, and from dump to dump.
#[derive(Debug, Default)]
pub(crate) struct Unwinder {
    modules: Modules,
    /// The rule for each lookup address, or why there is none.
    rules: HashMap<u64, Result<Rule, Truncation>>,
    context: cfi::Context,
    rereads: u32,
}

impl Unwinder {
    /// Begins a dump: reads which modules are mapped.
    pub fn refresh(&mut self, maps: &Maps) {
        if self.modules.refresh(maps) || self.rules.len() > RULES {
            self.rules.clear();
        }
        self.rereads = 0;
    }

    /// The modules to which frames belong. Unwinding can add some; numbers stay the same until
    /// the next refresh.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// The addresses of the function that holds this one, when an unwind table tells.
    pub fn function(&mut self, address: u64) -> Option<Range<u64>> {
        self.known_rule(address).map(|rule| rule.function.clone())
    }

    /// The registers that the function at this address has put aside there to use them itself, and where,
    /// counted from the canonical frame address.
    pub fn put_aside(&mut self, address: u64) -> Option<Vec<(u16, Option<i64>)>> {
        self.known_rule(address).map(|rule| rule.put_aside().collect())
    }

    /// The rule for an address of a module that is known already.
    fn known_rule(&mut self, address: u64) -> Option<&Rule> {
        self.modules.at(address)?;
        self.rule(address).as_ref().ok()
    }

    /// Follows a stack to its root, as far as it goes.
    pub fn unwind<const N: usize>(
        &mut self,
        registers: RegisterFile<N>,
        stack: StackCopy<'_>,
    ) -> Unwound<N>
    where
        RegisterFile<N>: Machine,
    {
        let mut walk = Walk { frames: Vec::with_capacity(48), in_raise: false, fixed: true };
        let truncated = self.walk(registers, stack, &mut walk).err();
        // While an exception is raised, the saved registers of its raiser are overwritten by
        // those of the frame that catches it: what was found beyond is not a surprise.
        let in_raise = walk.in_raise;
        let truncated =
            truncated.map(|why| if in_raise { Truncation::InsideUnwinder } else { why });
        Unwound { frames: walk.frames, truncated, fixed: walk.fixed }
    }

    fn walk<const N: usize>(
        &mut self,
        mut registers: RegisterFile<N>,
        stack: StackCopy<'_>,
        walk: &mut Walk<N>,
    ) -> Result<(), Truncation>
    where
        RegisterFile<N>: Machine,
    {
        let (mut trust, mut is_call) = (Trust::Registers, false);
        while walk.frames.len() < DEPTH {
            let pc = registers.get(RegisterFile::<N>::PC).ok_or(Truncation::BadUnwindTable)?;
            let lookup_address = if is_call { pc.wrapping_sub(1) } else { pc };
            let sp = registers.get(RegisterFile::<N>::SP).unwrap_or(0);
            let was_interrupted = !is_call && !walk.frames.is_empty();
            walk.frames.push(UnwoundFrame { lookup_address, pc, cfa: sp, trust, registers });
            if was_interrupted && !stack.holds(sp) {
                // The handler ran on an alternate stack, and that is the one that was copied.
                return Err(Truncation::ForeignStack);
            }
            let step = self.step(lookup_address, is_call, &registers, &stack, walk)?;
            let Some(step) = step else { return Ok(()) };
            if !step.is_signal_frame && !advances(&registers, &step.registers, is_call) {
                return Err(Truncation::DidNotAdvance);
            }
            registers = step.registers;
            trust = step.trust;
            is_call = !step.is_signal_frame;
        }
        Err(Truncation::TooDeep)
    }

    /// From the last frame of the walk to its caller; nothing when it is the root.
    fn step<const N: usize>(
        &mut self,
        lookup_address: u64,
        is_call: bool,
        registers: &RegisterFile<N>,
        stack: &StackCopy<'_>,
        walk: &mut Walk<N>,
    ) -> Result<Option<Step<N>>, Truncation>
    where
        RegisterFile<N>: Machine,
    {
        let why = match self.rule(lookup_address) {
            Ok(rule) => {
                walk.in_raise |= raise::is_entry(rule.function.start);
                walk.fixed &= rule.is_fixed(RegisterFile::<N>::SP);
                let cfa = rule.cfa(registers, stack)?;
                walk.set_cfa(cfa);
                let is_signal_frame = rule.is_signal_frame;
                return Ok(match rule.caller(registers, stack, cfa)? {
                    Caller::None => None,
                    Caller::At(registers) => {
                        Some(Step { registers, trust: Trust::Cfi, is_signal_frame })
                    }
                });
            }
            Err(why) => *why,
        };
        walk.fixed = false;
        let stub = if is_call { None } else { self.stub(lookup_address, registers, stack) };
        let (registers, trust) = match stub {
            Some(caller) => (caller, Trust::Cfi),
            None => (self.by_frame_pointer(registers, stack).ok_or(why)?, Trust::FramePointer),
        };
        walk.set_cfa(registers.get(RegisterFile::<N>::SP).unwrap_or(0));
        Ok(Some(Step { registers, trust, is_signal_frame: false }))
    }

    /// The rule for an address, compiled when it is first asked for.
    fn rule(&mut self, address: u64) -> &Result<Rule, Truncation> {
        if !self.rules.contains_key(&address) {
            let rule = self.compile(address);
            self.rules.insert(address, rule);
        }
        self.rules.get(&address).unwrap_or(&Err(Truncation::UnknownModule))
    }

    fn compile(&mut self, address: u64) -> Result<Rule, Truncation> {
        if self.modules.at(address).is_none() && self.rereads < REREADS {
            // Perhaps a library was loaded since the map was read.
            self.rereads += 1;
            if self.modules.add_new(&Maps::read()) {
                self.rules.retain(|_, rule| rule.is_ok());
            }
        }
        let (_, mapped) = self.modules.at(address).ok_or(Truncation::UnknownModule)?;
        mapped.table.rule(&mut self.context, address)
    }

    /// The caller of a linker's stub, of which tables often say nothing.
    fn stub<const N: usize>(
        &self,
        pc: u64,
        registers: &RegisterFile<N>,
        stack: &StackCopy<'_>,
    ) -> Option<RegisterFile<N>>
    where
        RegisterFile<N>: Machine,
    {
        self.modules.at(pc)?;
        let mut code = [0; 16];
        let length = capture::read(pc, &mut code);
        let size = RegisterFile::<N>::stub(code.get(..length)?)?;
        let cfa = registers.get(RegisterFile::<N>::SP)?.checked_add(size)?;
        let return_address = match RegisterFile::<N>::LINK {
            Some(link) => registers.get(link)?,
            None => stack.word(cfa.checked_sub(8)?)?,
        };
        let mut caller = registers.only(RegisterFile::<N>::CALLEE_SAVED);
        caller.set(RegisterFile::<N>::SP, cfa);
        caller.set(RegisterFile::<N>::PC, RegisterFile::<N>::code_address(return_address));
        Some(caller)
    }

    fn by_frame_pointer<const N: usize>(
        &self,
        registers: &RegisterFile<N>,
        stack: &StackCopy<'_>,
    ) -> Option<RegisterFile<N>>
    where
        RegisterFile<N>: Machine,
    {
        let (caller, _) = frame_pointer::caller(registers, stack)?;
        let pc = caller.get(RegisterFile::<N>::PC)?;
        self.modules.at(pc.wrapping_sub(1)).map(|_| caller)
    }
}

/// A walk up one stack.
struct Walk<const N: usize> {
    frames: Vec<UnwoundFrame<N>>,
    /// One of the frames raises an exception.
    in_raise: bool,
    /// See [`Unwound::fixed`].
    fixed: bool,
}

impl<const N: usize> Walk<N> {
    fn set_cfa(&mut self, cfa: u64) {
        if let Some(frame) = self.frames.last_mut() {
            frame.cfa = cfa;
        }
    }
}

/// The caller of a frame, and how it was found.
struct Step<const N: usize> {
    registers: RegisterFile<N>,
    trust: Trust,
    is_signal_frame: bool,
}

/// Whether a caller lies above its callee. A leaf function that keeps its return address in a
/// register need not have touched the stack.
fn advances<const N: usize>(
    callee: &RegisterFile<N>,
    caller: &RegisterFile<N>,
    callee_has_called: bool,
) -> bool
where
    RegisterFile<N>: Machine,
{
    let sp = RegisterFile::<N>::SP;
    let (below, above) = (callee.get(sp), caller.get(sp));
    let may_stay = RegisterFile::<N>::LINK.is_some() && !callee_has_called;
    above > below || (may_stay && above == below)
}

#[cfg(test)]
mod live_threads;
#[cfg(test)]
mod toy_stacks;
