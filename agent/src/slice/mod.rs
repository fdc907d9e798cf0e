//! A busy thread's samples and its machine code -> what decides whether its loop goes on.
//!
//! A loop that counts its rounds never comes back to a state, however long it goes round. But most of
//! what changes in it does not matter to whether it ends. What does is its *slice*: the values from
//! which the conditions of its jumps are computed, directly or through others. When those come back
//! to what they were, and nobody else changes the memory that they are read from, the loop takes the
//! same way again.
//!
//! Method: a backward slice (Weiser, ICSE 1981) of the conditions, over the machine code of the loop
//! that the samples lie in; then the recurrence of states (Jolt: Carbin et al., ECOOP 2011), of the
//! slice in the place of the whole.
//!
//! ```text
//! samples' pcs --body--> the loop's instructions --relevance--> what matters before each of them
//!                                                                |
//!                samples at a place where all of that is in general registers --> LoopControl
//! ```
//!
//! It errs on the side of silence. Nothing is said of a loop in which a sample does not lie, of one
//! whose code cannot be read, or which is too long. Of a loop with calls only the memory that it reads is
//! told. Where it writes memory that it may read again, where the stack moves, or where what matters
//! lies in vector registers or in the frame, its states are not compared. What memory a loop reads through
//! pointers may be changed by other threads: a slice that stays the same because of a flag that
//! another thread will set is a wait, not an endless loop, and the analyzer tells the two apart.

mod body;
mod cells;
mod relevance;
#[cfg(test)]
mod toys;

use std::collections::HashMap;

use sigquit_dump::{LoopControl, Nanos, RegisterSamples};

use crate::capture::{self, Maps, Sample};
use crate::unwind::Registers;

use body::Body;
pub(crate) use body::Code;
use cells::Cells;
use relevance::Relevance;

/// So many of the places at which a thread was met are tried as places of its loop.
const TRIES: usize = 4;

/// Who is met at more places than this is in no loop that is understood: nobody looks further.
const PLACES: usize = 64;

/// What lies so near to the stack pointer may be a word of the frame.
const FRAME: u64 = 1 << 16;

/// What of the process is to be looked at.
pub(crate) trait Process {
    /// Fills `into` with the bytes from `address` on, as many as can be read; how many.
    fn read(&self, address: u64, into: &mut [u8]) -> usize;

    /// Whether what lies at an address may change.
    fn is_writable(&self, address: u64) -> bool;
}

impl Process for Maps {
    fn read(&self, address: u64, into: &mut [u8]) -> usize {
        capture::read(address, into)
    }

    fn is_writable(&self, address: u64) -> bool {
        self.find(address).is_none_or(|mapping| mapping.writable)
    }
}

/// What the samples of one thread show, taken over so long a time.
pub(crate) fn condense(
    samples: &[Sample],
    over: Nanos,
    maps: &Maps,
    code: &mut Code<Maps>,
) -> RegisterSamples {
    let seen = capture::recurrence(samples, |address| maps.is_mapped(address));
    RegisterSamples { over, control: control(samples, code), ..seen }
}

/// How the loop that all samples lie in decides whether to go on; nothing when there is none, or it
/// is not understood.
fn control(samples: &[Sample], code: &mut Code<impl Process>) -> Option<LoopControl> {
    let mut met: HashMap<u64, u32> = HashMap::new();
    for sample in samples {
        *met.entry(sample.registers.get(Registers::PC)?).or_default() += 1;
    }
    let mut pcs: Vec<(u64, u32)> = met.into_iter().collect();
    if pcs.len() > PLACES {
        return None;
    }
    // The most frequent first; the lower among equals, so that the answer is the same each time.
    pcs.sort_unstable_by_key(|&(pc, times)| (std::cmp::Reverse(times), pc));
    let holds_all = |body: &Body| pcs.iter().all(|&(pc, _)| body.contains(pc));
    let mut bodies = pcs.iter().take(TRIES).filter_map(|&(pc, _)| Body::around(pc, code));
    let body = bodies.find(holds_all)?;
    let loads = |reads: &mut dyn Iterator<Item = Option<u64>>| {
        reads.filter(|at| at.is_none_or(|at| code.is_writable(at))).count() as u32
    };
    let mut told = LoopControl {
        instructions: body.instructions.len() as u32,
        calls: body.has_calls,
        ..LoopControl::default()
    };
    let Some(relevance) = Relevance::of(&body) else {
        told.loads = loads(&mut body.loads());
        return Some(told);
    };
    told.loads = loads(&mut relevance.loads());
    told.steps = relevance.steps();
    told.follows = relevance.follows();
    let may_change_what_it_reads = told.loads > 0 && relevance.writes_memory();
    let place = pcs.iter().find_map(|&(pc, _)| Some((pc, relevance.registers_before(pc)?)));
    if let Some((pc, matters)) = place.filter(|_| !may_change_what_it_reads) {
        let here = samples.iter().map(|sample| &sample.registers);
        let here: Vec<_> = here.filter(|found| found.get(Registers::PC) == Some(pc)).collect();
        if told.loads == 0 || !points_into_frame(&here, matters) {
            compare(&here, matters, &mut told);
        }
    }
    Some(told)
}

/// Whether something that matters may be the address of a word of the frame.
fn points_into_frame(looks: &[&Registers], matters: Cells) -> bool {
    looks.iter().any(|registers| {
        let sp = registers.get(Registers::SP).unwrap_or_default();
        let general = Registers::GENERAL.iter().filter(|&&number| matters.holds_general(number));
        let mut values = general.filter_map(|&number| registers.get(number));
        values.any(|value| value.wrapping_sub(sp.wrapping_sub(FRAME)) < 2 * FRAME)
    })
}

/// Compares what matters, from look to look.
fn compare(looks: &[&Registers], matters: Cells, told: &mut LoopControl) {
    let (mattering, other): (Vec<u16>, Vec<u16>) =
        Registers::GENERAL.iter().partition(|&&number| matters.holds_general(number));
    let mut states: HashMap<Vec<Option<u64>>, u32> = HashMap::new();
    for look in looks {
        let state = mattering.iter().map(|&number| look.get(number)).collect();
        *states.entry(state).or_default() += 1;
    }
    told.samples = looks.len() as u32;
    told.distinct_states = states.len() as u32;
    told.recurring = states.values().filter(|&&times| times > 1).sum();
    told.advancing = other.iter().filter(|&&number| advances(looks, number)).count() as u32;
}

/// Whether a register grows, or shrinks, from each look to the next: it was not set anew.
fn advances(looks: &[&Registers], number: u16) -> bool {
    let values = || looks.iter().map(|look| look.get(number));
    let mut pairs = values().zip(values().skip(1));
    let grows = |(one, next): (Option<u64>, Option<u64>)| one < next;
    looks.len() > 1 && (pairs.clone().all(grows) || pairs.all(|(one, next)| grows((next, one))))
}

#[cfg(test)]
mod tests {
    use super::toys::{self, Toy};
    use super::*;

    const NODES: u64 = 0x5000_0000;
    const STACK: u64 = 0x7000_0000;

    /// Sixty-four looks at a place of a toy, the n-th with these values of its registers.
    fn looks(at: u64, state: impl Fn(u64) -> Vec<(u16, u64)>) -> Vec<Sample> {
        let look = |n| {
            let mut registers = Registers::default();
            registers.set(Registers::PC, at);
            registers.set(Registers::SP, STACK);
            state(n).into_iter().for_each(|(number, value)| registers.set(number, value));
            Sample { registers, rest: 0 }
        };
        (0..64).map(look).collect()
    }

    const RAX: u16 = 0;
    const RCX: u16 = 2;
    const RDX: u16 = 1;
    const RSI: u16 = 4;
    const RDI: u16 = 5;

    #[test]
    fn a_walk_along_indices_that_lead_in_a_circle_recurs_whatever_it_counts() {
        let walk = toys::walk();
        let seen = looks(walk.place, |n| {
            vec![(RAX, 3 + n * 7 % 9), (RCX, n * 999), (RDI, NODES), (RSI, 12)]
        });
        let told = control(&seen, &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.calls, told.steps, told.loads), (false, false, 1), "{told:?}");
        assert!(told.follows);
        assert_eq!((told.samples, told.distinct_states, told.recurring), (64, 9, 64));
        assert_eq!(told.advancing, 1, "the counter was never set anew");
    }

    #[test]
    fn a_count_up_to_an_end_steps_and_does_not_recur() {
        let count = toys::count();
        let seen = looks(count.place, |n| vec![(RAX, n * 31), (RCX, n), (RDI, NODES), (RSI, 9999)]);
        let told = control(&seen, &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.steps, told.recurring, told.distinct_states), (true, 0, 64), "{told:?}");
    }

    #[test]
    fn a_wait_for_a_flag_that_counts_depends_on_one_word_and_nothing_that_changes() {
        let wait = toys::wait();
        let seen = looks(wait.place, |n| vec![(RCX, n), (RDI, NODES)]);
        let told = control(&seen, &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.loads, told.steps, told.distinct_states), (1, false, 1), "{told:?}");
        assert!(!told.follows, "it reads the same place each time");
    }

    #[test]
    fn a_wait_that_gives_up_some_time_steps() {
        let wait = toys::wait_for_a_while();
        let seen = looks(wait.place, |n| vec![(RCX, n), (RDI, NODES)]);
        let told = control(&seen, &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.steps, told.distinct_states), (true, 64), "{told:?}");
    }

    #[test]
    fn a_loop_of_floats_reads_no_memory_and_its_states_are_not_compared() {
        let halve = toys::halve();
        let told = control(&looks(halve.place, |_| vec![]), &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.loads, told.samples), (0, 0), "{told:?}");
    }

    #[test]
    fn a_loop_that_calls_tells_what_it_reads_and_what_those_read_that_it_calls() {
        let calling = toys::calling();
        let told = control(&looks(calling.place, |_| vec![]), &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.calls, told.loads, told.samples), (true, 1, 0), "{told:?}");
    }

    #[test]
    fn what_it_writes_it_may_read_again() {
        let writing = toys::writing();
        let seen = looks(writing.place, |n| vec![(RAX, NODES + n % 4), (RDX, NODES)]);
        let told = control(&seen, &mut Code::of(&Toy)).expect("a loop");
        assert_eq!((told.loads, told.samples), (1, 0), "{told:?}");
    }

    #[test]
    fn what_matters_and_points_into_the_frame_may_be_what_it_writes_there() {
        let walk = toys::walk();
        let seen = looks(walk.place, |n| vec![(RAX, n % 4), (RDI, STACK + 64), (RSI, 12)]);
        assert_eq!(control(&seen, &mut Code::of(&Toy)).expect("a loop").samples, 0);
    }

    #[test]
    fn a_sample_outside_of_the_loop_says_that_it_is_left() {
        let (walk, count) = (toys::walk(), toys::count());
        let mut seen = looks(walk.place, |_| vec![]);
        seen.extend(looks(count.place, |_| vec![]).into_iter().take(1));
        assert_eq!(control(&seen, &mut Code::of(&Toy)), None);
    }

    #[test]
    fn what_is_no_code_is_no_loop() {
        assert_eq!(control(&looks(8, |_| vec![]), &mut Code::of(&Toy)), None);
        assert_eq!(control(&[], &mut Code::of(&Toy)), None);
    }
}
