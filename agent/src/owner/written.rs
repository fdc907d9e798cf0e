//! What a path wrote to memory.

use std::rc::Rc;

use super::value::Value;

/// Words, by their aligned addresses. Paths share what they have in common until one of them writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Written(Rc<Vec<(u64, Value)>>);

impl Written {
    pub fn get(&self, address: u64) -> Option<Value> {
        let &(at, value) = self.0.get(self.index(address))?;
        (at == address).then_some(value)
    }

    pub fn set(&mut self, address: u64, value: Value) {
        let at = self.index(address);
        match self.0.get(at) {
            Some(&(old, had)) if old == address => {
                if had != value {
                    Rc::make_mut(&mut self.0)[at].1 = value;
                }
            }
            _ => Rc::make_mut(&mut self.0).insert(at, (address, value)),
        }
    }

    /// Puts what is written from an aligned address on in the place of what was there.
    pub fn lay_over(&self, start: u64, words: &mut [Value]) {
        for &(at, value) in &self.0[self.index(start)..] {
            let Some(word) = words.get_mut(((at - start) / 8) as usize) else { break };
            *word = value;
        }
    }

    /// Forgets what lies elsewhere.
    pub fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        if self.0.iter().any(|&(at, _)| !is_kept(at)) {
            Rc::make_mut(&mut self.0).retain(|&(at, _)| is_kept(at));
        }
    }

    /// The addresses at which another has something else than this, or only one has something.
    pub fn differences(&self, other: &Written) -> Vec<u64> {
        if Rc::ptr_eq(&self.0, &other.0) {
            return Vec::new();
        }
        let differing = self.0.iter().filter(|&&(at, value)| other.get(at) != Some(value));
        let missing = other.0.iter().filter(|&&(at, _)| self.get(at).is_none());
        differing.chain(missing).map(|&(at, _)| at).collect()
    }

    fn index(&self, address: u64) -> usize {
        self.0.partition_point(|&(at, _)| at < address)
    }
}
