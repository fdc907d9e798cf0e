//! What of a loop's values matters to the conditions of its jumps: a backward slice.

use std::collections::HashMap;

use iced_x86::{FlowControl, InstructionInfoFactory};

use super::body::Body;
use super::cells::{Cells, Uses, Words, uses};

/// What matters before each instruction of a loop.
pub(super) struct Relevance {
    places: HashMap<u64, usize>,
    uses: Vec<Uses>,
    /// Before each instruction.
    before: Vec<Cells>,
    /// Whether what an instruction writes, or where it jumps, matters.
    relevant: Vec<bool>,
}

impl Relevance {
    /// Nothing for a loop that calls, that moves the stack, or that uses its frame in a way which is
    /// not followed.
    pub fn of(body: &Body) -> Option<Relevance> {
        if body.has_calls {
            return None;
        }
        let (mut factory, mut words) = (InstructionInfoFactory::new(), Words::default());
        let uses = body.instructions.iter().map(|one| uses(one, &mut factory, &mut words));
        let uses: Vec<Uses> = uses.collect::<Option<_>>()?;
        if uses.iter().any(|uses| uses.writes.meets(Cells::STACK_POINTER)) {
            return None;
        }
        let places = body.instructions.iter().enumerate().map(|(at, one)| (one.ip(), at));
        let mut relevance = Relevance {
            places: places.collect(),
            before: vec![Cells::NONE; uses.len()],
            relevant: vec![false; uses.len()],
            uses,
        };
        while relevance.goes_on(body) {}
        Some(relevance)
    }

    /// Goes through the loop once, from its end to its begin; whether more was found to matter.
    fn goes_on(&mut self, body: &Body) -> bool {
        let mut more = false;
        for at in (0..self.uses.len()).rev() {
            let after = body.next[at].iter().map(|&next| self.before[next]);
            let after = after.fold(Cells::NONE, Cells::with);
            let uses = &self.uses[at];
            let decides = body.instructions[at].flow_control() == FlowControl::ConditionalBranch;
            let is_relevant = decides || after.meets(uses.writes);
            let before = match is_relevant {
                true => after.without(uses.replaces).with(uses.reads),
                false => after,
            };
            more |= before != self.before[at] || is_relevant != self.relevant[at];
            self.before[at] = before;
            self.relevant[at] = is_relevant;
        }
        more
    }

    /// What matters at a place, when all of it is in general registers.
    pub fn registers_before(&self, pc: u64) -> Option<Cells> {
        let before = self.before[*self.places.get(&pc)?];
        before.are_general().then_some(before)
    }

    fn relevant(&self) -> impl Iterator<Item = &Uses> {
        self.uses.iter().zip(&self.relevant).filter(|(_, is)| **is).map(|(uses, _)| uses)
    }

    /// Where memory outside of the frame is read that matters; nothing for an address that is in
    /// registers.
    pub fn loads(&self) -> impl Iterator<Item = Option<u64>> {
        self.relevant().filter_map(|uses| uses.loads)
    }

    /// Whether it writes memory outside of the frame.
    pub fn writes_memory(&self) -> bool {
        self.uses.iter().any(|uses| uses.stores)
    }

    /// Whether it reads, to decide, where something leads that it has itself found out before.
    pub fn follows(&self) -> bool {
        let written = self.relevant().fold(Cells::NONE, |all, uses| all.with(uses.writes));
        let mut loads = self.relevant().filter(|uses| uses.loads.is_some());
        loads.any(|uses| uses.addresses.meets(written))
    }

    /// Whether something that matters is computed, without a load in between, from what it was a
    /// round before: `at = at + 1`.
    pub fn steps(&self) -> bool {
        let matters = self.before.iter().fold(Cells::NONE, |all, &cells| all.with(cells));
        // From what each cell may be computed.
        let mut origins: HashMap<u32, Cells> = HashMap::new();
        let matter = |cells: Cells| cells.each().filter(move |&one| matters.meets(one));
        for uses in self.relevant() {
            for to in matter(uses.writes) {
                let from = origins.entry(to.number()).or_default();
                *from = matter(uses.data).fold(*from, Cells::with);
            }
        }
        let reaches = |from: Cells, wanted: Cells| {
            let (mut seen, mut ahead) = (Cells::NONE, from);
            while let Some(one) = ahead.without(seen).each().next() {
                seen = seen.with(one);
                ahead = ahead.with(origins.get(&one.number()).copied().unwrap_or_default());
            }
            seen.meets(wanted)
        };
        let mut computed = self.relevant().filter(|uses| !uses.is_copy);
        computed.any(|uses| matter(uses.writes).any(|to| reaches(uses.data, to)))
    }
}
