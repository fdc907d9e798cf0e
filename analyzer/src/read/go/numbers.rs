//! The numbers of the goroutines that were shown.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use sigquit_dump::Thread;

/// A set of numbers, sixty-four neighbours in a word: numbers are given one after the other, and
/// the set of a hundred thousand stays in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    words: HashMap<u64, u64, RandomState>,
    /// For each number its thread, as far as they were looked for.
    threads: HashMap<u64, u32, RandomState>,
    /// How many threads that are.
    known: usize,
}

impl Numbers {
    pub fn insert(&mut self, number: u64) {
        *self.words.entry(number >> 6).or_default() |= 1 << (number & 63);
    }

    pub fn contains(&self, number: u64) -> bool {
        self.words.get(&(number >> 6)).is_some_and(|word| word & 1 << (number & 63) != 0)
    }

    /// Which of the threads has the number, if one has.
    pub fn find(&mut self, number: u64, threads: &[Thread]) -> Option<u32> {
        if !self.contains(number) {
            return None;
        }
        let new = (self.known as u32..).zip(&threads[self.known..]);
        self.threads.extend(new.filter_map(|(index, thread)| Some((thread.number?, index))));
        self.known = threads.len();
        self.threads.get(&number).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_found_once_it_was_shown() {
        let mut numbers = Numbers::default();
        let mut threads: Vec<Thread> = Vec::new();
        for number in [7, 8, 71, 1 << 40] {
            assert!(!numbers.contains(number));
            assert_eq!(numbers.find(number, &threads), None);
            numbers.insert(number);
            threads.push(Thread { number: Some(number), ..Thread::default() });
            assert_eq!(numbers.find(number, &threads), Some(threads.len() as u32 - 1));
        }
        assert!(!numbers.contains(8 + 64));
    }
}
