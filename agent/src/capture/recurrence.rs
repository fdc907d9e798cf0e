//! What many looks at one thread show: does it come by in new states, or in the same?

use std::collections::HashMap;
use std::hash::Hash;

use sigquit_dump::RegisterSamples;

use super::Sample;
use crate::unwind::Registers;

/// Condenses samples of one thread; `is_mapped` says whether an address is one of memory that
/// data can lie in.
pub(crate) fn recurrence(samples: &[Sample], is_mapped: impl Fn(u64) -> bool) -> RegisterSamples {
    let pcs = count(samples.iter().filter_map(pc));
    let states = count(samples.iter().copied());
    // The lower address among equally frequent ones, so that the answer is the same each time.
    let modal = pcs.iter().max_by_key(|&(&pc, &times)| (times, std::cmp::Reverse(pc)));
    let modal = modal.map(|(&pc, _)| pc);
    let at_modal = samples.iter().filter(|sample| pc(sample) == modal);
    let at_modal: Vec<&Registers> = at_modal.map(|sample| &sample.registers).collect();
    RegisterSamples {
        samples: samples.len() as u32,
        distinct_pcs: pcs.len() as u32,
        distinct_states: states.len() as u32,
        recurring: states.values().filter(|&&times| times > 1).sum(),
        cycling_pointers: cycling_pointers(&at_modal, is_mapped),
        at_modal_pc: at_modal.len() as u32,
        ..RegisterSamples::default()
    }
}

fn pc(sample: &Sample) -> Option<u64> {
    sample.registers.get(Registers::PC)
}

/// One look in so many, at least, finds a pointer elsewhere than the one before: in a circle it goes
/// on all the time. One that stays for many looks is the begin of a buffer, of which there are a few.
const GOES_ON: usize = 4;

/// Registers that go round among a few addresses, unless two others advance: then it is a loop
/// with a place of its own to return to.
fn cycling_pointers(samples: &[&Registers], is_mapped: impl Fn(u64) -> bool) -> u32 {
    let (mut cycling, mut advancing) = (0, 0);
    for number in Registers::GENERAL {
        let values = count(samples.iter().filter_map(|sample| sample.get(number)));
        let seen: u32 = values.values().sum();
        if seen < 2 {
            continue;
        }
        let few = values.len() > 1 && values.len() <= samples.len() / 4;
        let again = values.values().all(|&times| times > 1);
        let moves = samples.windows(2).filter(|pair| pair[0].get(number) != pair[1].get(number));
        let goes_on = moves.count() >= samples.len() / GOES_ON;
        if few && again && goes_on && values.keys().all(|&value| is_mapped(value)) {
            cycling += 1;
        } else if values.len() as u32 == seen {
            advancing += 1;
        }
    }
    if advancing > 1 { 0 } else { cycling }
}

fn count<T: Eq + Hash>(values: impl Iterator<Item = T>) -> HashMap<T, u32> {
    let mut counts = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the toy programs keep their data.
    fn in_heap(address: u64) -> bool {
        (0x5000_0000..0x6000_0000).contains(&address)
    }

    /// Sixty-four samples of a loop whose state is given by the number of the sample.
    fn samples(state: impl Fn(u64) -> [(u16, u64); 3]) -> Vec<Sample> {
        let sample = |n| {
            let mut registers = Registers::default();
            state(n).into_iter().for_each(|(number, value)| registers.set(number, value));
            Sample { registers, rest: 0 }
        };
        (0..64).map(sample).collect()
    }

    /// Strides over the turns of a loop as samples do: far apart, and not evenly.
    fn turn(n: u64) -> u64 {
        n * 7919 + n * n % 13
    }

    #[test]
    fn a_walk_along_a_cyclic_list_recurs_and_its_pointer_cycles() {
        let walk = samples(|n| {
            let node = 0x5000_0000 + turn(n) % 5 * 0x40;
            [(Registers::PC, 0x40_1000), (0, node), (3, 9)]
        });
        let found = recurrence(&walk, in_heap);
        assert_eq!((found.samples, found.recurring, found.distinct_states), (64, 64, 5));
        assert_eq!((found.cycling_pointers, found.at_modal_pc), (1, 64));
    }

    #[test]
    fn a_counter_hides_the_recurrence_and_not_the_cycle() {
        let walk = samples(|n| {
            let node = 0x5000_0000 + turn(n) % 5 * 0x40;
            [(Registers::PC, 0x40_1000), (0, node), (1, turn(n))]
        });
        let found = recurrence(&walk, in_heap);
        assert_eq!((found.recurring, found.distinct_states), (0, 64));
        assert_eq!(found.cycling_pointers, 1);
    }

    #[test]
    fn a_walk_along_a_straight_list_shows_neither() {
        let walk =
            samples(|n| [(Registers::PC, 0x40_1000), (0, 0x5000_0000 + turn(n) * 0x20), (3, 9)]);
        let found = recurrence(&walk, in_heap);
        assert_eq!((found.recurring, found.cycling_pointers), (0, 0));
    }

    #[test]
    fn a_counter_alone_shows_neither() {
        let counting = samples(|n| [(Registers::PC, 0x40_1000 + n % 4), (0, turn(n)), (3, 9)]);
        let found = recurrence(&counting, in_heap);
        assert_eq!((found.recurring, found.cycling_pointers, found.distinct_pcs), (0, 0, 4));
        assert_eq!(found.at_modal_pc, 16);
    }

    #[test]
    fn a_pointer_that_returns_while_two_registers_advance_is_work() {
        let mut rows = samples(|n| {
            let row = 0x5000_0000 + turn(n) % 5 * 0x40;
            [(Registers::PC, 0x40_1000), (0, row), (1, turn(n))]
        });
        (0..).zip(&mut rows).for_each(|(n, sample)| sample.registers.set(2, turn(n) * 8));
        assert_eq!(recurrence(&rows, in_heap).cycling_pointers, 0);
    }

    #[test]
    fn a_pointer_that_stays_for_long_is_a_buffer_that_comes_again() {
        let scan = samples(|n| {
            let buffer = 0x5000_0000 + n / 16 % 2 * 0x1000;
            [(Registers::PC, 0x40_1000), (0, buffer), (1, turn(n))]
        });
        assert_eq!(recurrence(&scan, in_heap).cycling_pointers, 0);
    }

    #[test]
    fn a_spinning_wait_recurs_and_nothing_cycles() {
        let spin = samples(|_| [(Registers::PC, 0x40_1000), (0, 0x5000_0000), (3, 9)]);
        let found = recurrence(&spin, in_heap);
        assert_eq!((found.recurring, found.distinct_states, found.cycling_pointers), (64, 1, 0));
    }

    #[test]
    fn a_counter_on_the_stack_is_part_of_the_state() {
        let mut spin = samples(|_| [(Registers::PC, 0x40_1000), (0, 0x5000_0000), (3, 9)]);
        (0..).zip(&mut spin).for_each(|(n, sample)| sample.rest = n);
        assert_eq!(recurrence(&spin, in_heap).recurring, 0);
    }

    #[test]
    fn no_samples_say_nothing() {
        assert_eq!(recurrence(&[], in_heap), RegisterSamples::default());
    }
}
