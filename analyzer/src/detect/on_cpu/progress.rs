//! Whether what a member does advances, as far as looks at its registers tell.

use sigquit_dump::{LoopControl, RegisterSamples};

use crate::model::{Incident, MemberId};

use super::thresholds::{
    LEAST_SAMPLES, LEAST_SAMPLES_EACH, LEAST_TO_MOVE, MOVES, RECURS, TIGHT_LOOP,
};

/// What the looks at a member's registers showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Progress {
    /// It comes back to the same states, or its pointers go round, or what decides whether its loop goes
    /// on comes back to the same.
    Recurs(Looks),
    /// It comes by in ever new states.
    Moves(Looks),
    /// Nobody looked, or what was seen allows no conclusion.
    Unknown,
}

/// All looks at one member's registers, over the dumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::detect) struct Looks {
    /// How many.
    pub samples: u32,
    /// How many showed a state that came back.
    pub recurring: u32,
    /// Dumps beside which the registers were looked at; the profile counts as one.
    pub dumps: u32,
    /// In so many of these, a pointer went round in a tight loop.
    pub going_round: u32,
    /// In so many, each place in the code had one state only: nothing changes at all.
    pub constant: u32,
    /// The most places in the code that it was met at beside one dump.
    pub most_places: u32,
    /// What its loop's machine code says, beside the dumps at which that was understood.
    pub code: CodeSaid,
}

/// What the machine code of a loop says, over the dumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::detect) struct CodeSaid {
    /// Dumps beside which it was understood.
    pub dumps: u32,
    /// How many samples could be compared by what decides whether the loop goes on.
    pub samples: u32,
    /// How many of these came back to the same.
    pub recurring: u32,
    /// In so many dumps that comes back, while something else was never begun anew.
    goes_on: u32,
    /// In so many there were too few samples to see that.
    too_few: u32,
    /// In so many it is one word of memory, or a few, that others can change.
    asks: u32,
    /// In so many it is nothing that others can change.
    asks_nobody: u32,
    /// In so many it follows links or indices.
    follows: u32,
}

impl CodeSaid {
    fn add(&mut self, said: &LoopControl) {
        let decided = said.samples >= LEAST_SAMPLES_EACH && !said.steps;
        let recurs = decided && f64::from(said.recurring) >= RECURS * f64::from(said.samples);
        let stays = decided && said.distinct_states == 1 && !said.follows;
        self.dumps += 1;
        self.samples = self.samples.saturating_add(said.samples);
        self.recurring = self.recurring.saturating_add(said.recurring);
        let goes_on = recurs && said.advancing > 0;
        self.goes_on += u32::from(goes_on);
        self.too_few += u32::from(decided && !goes_on && said.samples < LEAST_TO_MOVE);
        self.asks += u32::from(stays && said.loads > 0);
        self.asks_nobody += u32::from(said.loads == 0);
        self.follows += u32::from(said.follows);
    }

    fn is_mostly(&self, dumps: u32) -> bool {
        dumps * 2 > self.dumps
    }

    /// The loop reads no memory that changes, in most dumps: it waits for nobody.
    pub fn asks_nobody(&self) -> bool {
        self.is_mostly(self.asks_nobody)
    }
}

impl Looks {
    /// Share of the looks whose state came back.
    pub fn recurrence(&self) -> f64 {
        f64::from(self.recurring) / f64::from(self.samples.max(1))
    }

    /// A pointer goes round, in most dumps.
    pub fn goes_round(&self) -> bool {
        self.going_round * 2 > self.dumps
    }

    /// What decides whether its loop goes on comes back to the same, in every dump with samples enough,
    /// while it counts something that was never set anew.
    pub fn goes_on(&self) -> bool {
        let code = self.code;
        code.goes_on > 0
            && code.goes_on + code.too_few == self.dumps
            && code.samples >= LEAST_TO_MOVE
    }

    /// Nothing but the place in the code changes, or nothing on which it depends whether the loop goes
    /// on: what a wait for a word in memory looks like. A loop that reads none, or that goes where what
    /// it reads leads, is no wait.
    pub fn is_constant(&self) -> bool {
        let is_no_wait = self.code.asks_nobody() || self.code.is_mostly(self.code.follows);
        !is_no_wait && (self.constant * 2 > self.dumps || self.code.asks * 2 > self.dumps)
    }

    fn add(&mut self, seen: &RegisterSamples) {
        self.samples = self.samples.saturating_add(seen.samples);
        self.recurring = self.recurring.saturating_add(seen.recurring);
        self.dumps += 1;
        self.most_places = self.most_places.max(seen.distinct_pcs);
        // A loop that steps through one buffer after the other has the same few pointers in turn.
        let leads_on = |said: &LoopControl| said.calls || said.follows;
        let pointer = seen.cycling_pointers > 0
            && seen.distinct_pcs <= TIGHT_LOOP
            && seen.control.as_ref().is_none_or(leads_on);
        self.going_round += u32::from(pointer);
        let one_state_each = seen.distinct_states <= seen.distinct_pcs;
        self.constant += u32::from(seen.cycling_pointers == 0 && one_state_each);
        seen.control.iter().for_each(|said| self.code.add(said));
    }
}

/// What the looks at a member's registers say.
pub(super) fn progress(incident: &Incident, member: MemberId) -> Progress {
    let mut looks = Looks::default();
    for dump in 0..incident.dumps.len() {
        let Some(thread) = incident.thread(member, dump) else { continue };
        let seen = thread.registers.as_ref().filter(|seen| seen.samples >= LEAST_SAMPLES_EACH);
        seen.into_iter().for_each(|seen| looks.add(seen));
    }
    let sampled = incident.sampled(member).and_then(|(_, thread)| thread.registers.as_ref());
    let sampled = sampled.filter(|seen| seen.samples >= LEAST_SAMPLES_EACH);
    sampled.into_iter().for_each(|seen| looks.add(seen));
    let recurrence = looks.recurrence();
    if looks.samples < LEAST_SAMPLES {
        Progress::Unknown
    } else if recurrence >= RECURS && !is_in_system_calls(incident, member)
        || looks.goes_round()
        || looks.goes_on()
    {
        Progress::Recurs(looks)
    } else if recurrence < MOVES && looks.going_round == 0 && looks.samples >= LEAST_TO_MOVE {
        Progress::Moves(looks)
    } else {
        Progress::Unknown
    }
}

/// A thread that makes the same system call again and again is mostly met at its end, with the
/// same registers each time: that is no loop without progress. A yield is.
fn is_in_system_calls(incident: &Incident, member: MemberId) -> bool {
    (0..incident.dumps.len()).any(|dump| {
        let leaf = incident.calls(member, dump).next();
        incident.activity(member, dump).is_wait()
            && leaf.is_some_and(|leaf| !super::wait_loop::is_yield(&leaf.function))
    })
}
