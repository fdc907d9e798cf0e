//! The machine code of the loop that a place lies in.

use std::collections::{HashMap, HashSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory};

use super::Process;
use super::cells::{Words, uses};

/// The most instructions that are looked at, to find a loop in them or what it calls.
const MOST: usize = 2000;

/// How many bytes are read at a time.
const PIECE: usize = 256;

/// A loop: every instruction of it can come after every other.
pub(super) struct Body {
    pub instructions: Vec<Instruction>,
    /// Which of the instructions may come after each.
    pub next: Vec<Vec<usize>>,
    /// It calls other functions.
    pub has_calls: bool,
    /// The instructions of the functions that it calls, and that those call.
    called: Vec<Instruction>,
}

impl Body {
    /// The loop that a place lies in: nothing when no way leads back to it, or when what is called is
    /// not known.
    pub fn around(pc: u64, code: &mut Code<impl Process>) -> Option<Body> {
        let reached = code.reach(&[pc])?;
        let mut before: HashMap<u64, Vec<u64>> = HashMap::new();
        for &from in &reached {
            for to in followers(&code.known[&from]) {
                before.entry(to).or_default().push(from);
            }
        }
        let mut within = HashSet::new();
        let mut ahead = before.get(&pc).cloned().unwrap_or_default();
        while let Some(at) = ahead.pop() {
            if within.insert(at) {
                ahead.extend(before.get(&at).into_iter().flatten());
            }
        }
        if !within.contains(&pc) {
            return None;
        }
        let mut places: Vec<u64> = within.into_iter().collect();
        places.sort_unstable();
        let instructions: Vec<Instruction> = places.iter().map(|at| code.known[at]).collect();
        let places: HashMap<u64, usize> =
            instructions.iter().enumerate().map(|(at, one)| (one.ip(), at)).collect();
        let next = instructions.iter().map(|one| {
            followers(one).into_iter().filter_map(|to| places.get(&to).copied()).collect()
        });
        let next = next.collect();
        let has_calls = instructions.iter().any(is_call);
        let called = code.called(&instructions)?;
        Some(Body { next, has_calls, called, instructions })
    }

    /// Whether it, or what it calls, has an instruction at this place.
    pub fn contains(&self, pc: u64) -> bool {
        let mut all = self.instructions.iter().chain(&self.called);
        all.any(|instruction| instruction.ip() == pc)
    }

    /// Where it, or what it calls, reads memory outside of the frames; nothing for an address that is
    /// in registers.
    pub fn loads(&self) -> impl Iterator<Item = Option<u64>> {
        let mut factory = InstructionInfoFactory::new();
        let all = self.instructions.iter().chain(&self.called);
        all.filter_map(move |one| match uses(one, &mut factory, &mut Words::default()) {
            // Taking the return address is no load of the program's.
            _ if one.flow_control() == FlowControl::Return => None,
            Some(uses) => uses.loads,
            None => Some(None),
        })
    }
}

/// Instructions by their addresses, decoded as they are needed. Many threads may be in the same loop.
pub(crate) struct Code<'a, P> {
    process: &'a P,
    known: HashMap<u64, Instruction>,
}

impl<'a, P: Process> Code<'a, P> {
    pub fn of(process: &'a P) -> Code<'a, P> {
        Code { process, known: HashMap::new() }
    }

    /// Whether what lies at an address may change.
    pub(super) fn is_writable(&self, address: u64) -> bool {
        self.process.is_writable(address)
    }

    /// The addresses of what can be reached within functions, calls taken to come back. Nothing
    /// when there is too much of it.
    fn reach(&mut self, from: &[u64]) -> Option<HashSet<u64>> {
        let (mut ahead, mut reached) = (from.to_vec(), HashSet::new());
        while let Some(pc) = ahead.pop() {
            if reached.contains(&pc) || !self.decode(pc) {
                continue;
            }
            reached.insert(pc);
            ahead.extend(followers(&self.known[&pc]));
            if reached.len() > MOST {
                return None;
            }
        }
        Some(reached)
    }

    /// Whether there is an instruction.
    fn decode(&mut self, pc: u64) -> bool {
        if self.known.contains_key(&pc) {
            return true;
        }
        let mut bytes = [0; PIECE];
        let length = self.process.read(pc, &mut bytes);
        let mut decoder = Decoder::with_ip(64, &bytes[..length], pc, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() || self.known.contains_key(&instruction.ip()) {
                break;
            }
            let goes_through = instruction.flow_control() == FlowControl::Next;
            self.known.insert(instruction.ip(), instruction);
            if !goes_through {
                break;
            }
        }
        self.known.contains_key(&pc)
    }

    /// What the instructions call, and what that calls; nothing when that is not known.
    fn called(&mut self, instructions: &[Instruction]) -> Option<Vec<Instruction>> {
        let mut callers = instructions.to_vec();
        let mut called = HashSet::new();
        while let Some(caller) = callers.pop() {
            let entry = match caller.flow_control() {
                FlowControl::Call if caller.is_call_near() => caller.near_branch_target(),
                FlowControl::Call | FlowControl::IndirectCall | FlowControl::IndirectBranch => {
                    return None;
                }
                _ => continue,
            };
            for at in self.reach(&[entry])? {
                if called.insert(at) {
                    callers.push(self.known[&at]);
                }
            }
            if called.len() > MOST {
                return None;
            }
        }
        Some(called.into_iter().map(|at| self.known[&at]).collect())
    }
}

fn is_call(instruction: &Instruction) -> bool {
    matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
}

/// Where an instruction of a function goes on in that function.
fn followers(instruction: &Instruction) -> Vec<u64> {
    match instruction.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
            vec![instruction.next_ip()]
        }
        FlowControl::ConditionalBranch => {
            vec![instruction.next_ip(), instruction.near_branch_target()]
        }
        FlowControl::UnconditionalBranch => vec![instruction.near_branch_target()],
        _ => Vec::new(),
    }
}
