//! Machine code, decoded once.

use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;

use super::address_map::{AddressMap, AddressSet};
use super::memory::{Memory, Pages};
use super::x86_64::{self as arch, Flow, Instruction};

/// The most instructions in one piece; longer straight code is cut.
const BLOCK: usize = 64;

/// How many bytes of a function are decoded from end to end.
const LARGEST: u64 = 16 << 10;

/// How much of a function is surveyed.
const SURVEY: usize = 600;

/// How deep calls are followed for that.
const SURVEY_DEPTH: u32 = 4;

/// What can be said of a function without following what it computes. What is not known counts
/// as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// It can return. One that only panics or aborts cannot, and what stands behind a call to it
    /// is not where the caller goes on.
    pub returns: bool,
    /// It exchanges memory atomically, as every function does that takes a lock.
    pub exchanges: bool,
}

impl Survey {
    const ANYTHING: Survey = Survey { returns: true, exchanges: true };
}

/// What was decoded so far. It may be kept from one thread to the next.
#[derive(Default)]
pub(super) struct Code {
    blocks: AddressMap<Rc<[Instruction]>>,
    /// Where jumps lead.
    targets: AddressSet,
    surveys: AddressMap<Survey>,
    kept: AddressMap<Rc<[u64]>>,
}

impl Code {
    /// The instructions from `pc` to the next that may go elsewhere, that one included. Empty
    /// where there is no code.
    pub fn block<M: Memory>(&mut self, pc: u64, memory: &mut Pages<M>) -> Rc<[Instruction]> {
        if let Some(block) = self.blocks.get(&pc) {
            return Rc::clone(block);
        }
        let block: Rc<[Instruction]> = decode(pc, memory).into();
        if let Some(Flow::Branch(target) | Flow::Jump(Some(target))) =
            block.last().map(|last| last.flow)
        {
            self.targets.insert(target);
        }
        self.blocks.insert(pc, Rc::clone(&block));
        block
    }

    /// Whether a jump that was decoded leads here: paths may meet.
    pub fn is_target(&self, pc: u64) -> bool {
        self.targets.contains(&pc)
    }

    /// Where a function keeps whole registers in its frame, counted from the stack pointer.
    pub fn kept<M: Memory>(&mut self, function: &Range<u64>, memory: &mut Pages<M>) -> Rc<[u64]> {
        if let Some(kept) = self.kept.get(&function.start) {
            return Rc::clone(kept);
        }
        let length = function.end.saturating_sub(function.start).min(LARGEST);
        let mut bytes = vec![0; length as usize];
        let length = memory.copy(function.start, &mut bytes);
        let instructions = arch::decode(function.start, &bytes[..length]);
        let kept: Rc<[u64]> = instructions.filter_map(|one| one.kept_at()).collect();
        self.kept.insert(function.start, Rc::clone(&kept));
        kept
    }

    /// Surveys the function that begins here.
    pub fn survey<M: Memory>(&mut self, function: u64, memory: &mut Pages<M>) -> Survey {
        self.survey_within(function, memory, SURVEY_DEPTH)
    }

    fn survey_within<M: Memory>(
        &mut self,
        start: u64,
        memory: &mut Pages<M>,
        depth: u32,
    ) -> Survey {
        if let Some(&known) = self.surveys.get(&start) {
            return known;
        }
        let Some(function) = memory.function(start).filter(|_| depth > 0) else {
            return Survey::ANYTHING;
        };
        // A function that calls itself is taken to do anything while it is looked at.
        self.surveys.insert(start, Survey::ANYTHING);
        let survey = self.survey_blocks(start, &function, memory, depth);
        self.surveys.insert(start, survey);
        survey
    }

    fn survey_blocks<M: Memory>(
        &mut self,
        start: u64,
        function: &Range<u64>,
        memory: &mut Pages<M>,
        depth: u32,
    ) -> Survey {
        let mut survey = Survey { returns: false, exchanges: false };
        let (mut ahead, mut seen, mut surveyed) = (vec![start], HashSet::new(), 0);
        while let Some(pc) = ahead.pop() {
            if !function.contains(&pc) || !seen.insert(pc) {
                continue;
            }
            let block = self.block(pc, memory);
            surveyed += block.len();
            let Some(last) = block.last().filter(|_| surveyed < SURVEY) else {
                return Survey::ANYTHING;
            };
            survey.exchanges |= block.iter().any(Instruction::exchanges);
            let next = last.end();
            match last.flow {
                Flow::Through => ahead.push(next),
                Flow::Branch(target) => ahead.extend([next, target]),
                Flow::Jump(Some(target)) if function.contains(&target) => ahead.push(target),
                Flow::Jump(Some(target)) => {
                    survey.returns |= self.survey_within(target, memory, depth - 1).returns;
                }
                Flow::Call(Some(target))
                    if !self.survey_within(target, memory, depth - 1).returns => {}
                Flow::Call(_) => ahead.push(next),
                Flow::Return => survey.returns = true,
                Flow::Jump(None) => return Survey::ANYTHING,
                Flow::Stop => {}
            }
        }
        survey
    }
}

fn decode<M: Memory>(pc: u64, memory: &mut Pages<M>) -> Vec<Instruction> {
    let mut bytes = [0; BLOCK * 8];
    let length = memory.copy(pc, &mut bytes);
    let mut block = Vec::new();
    for instruction in arch::decode(pc, &bytes[..length]).take(BLOCK) {
        block.push(instruction);
        if !matches!(instruction.flow, Flow::Through) {
            break;
        }
    }
    block
}
