//! What a path wrote to memory.

use std::rc::Rc;

use super::value::Value;

/// Words, by their aligned addresses. Paths share what they have in common until one of them writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Written(Rc<Vec<(u64, Value)>>);

/// An address, what one has written there, and what another has.
type Difference = (u64, Option<Value>, Option<Value>);

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

    /// The addresses at which another has something else than this, or only one has something, with
    /// what each has.
    pub fn differences(&self, other: &Written) -> Vec<Difference> {
        let mut differences = Vec::new();
        if Rc::ptr_eq(&self.0, &other.0) {
            return differences;
        }
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let Some(at) = mine.peek().into_iter().chain(theirs.peek()).map(|&&(at, _)| at).min()
        {
            let here = mine.next_if(|word| word.0 == at).map(|word| word.1);
            let there = theirs.next_if(|word| word.0 == at).map(|word| word.1);
            if here != there {
                differences.push((at, here, there));
            }
        }
        differences
    }

    fn index(&self, address: u64) -> usize {
        self.0.partition_point(|&(at, _)| at < address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(words: &[(u64, u64)]) -> Written {
        let mut written = Written::default();
        words.iter().for_each(|&(at, word)| written.set(at, Value::known(word)));
        written
    }

    #[test]
    fn a_difference_is_where_one_has_what_the_other_has_not() {
        let (mine, theirs) =
            (written(&[(8, 1), (16, 2), (24, 3)]), written(&[(16, 2), (24, 4), (32, 5)]));
        let known = |word| Some(Value::known(word));
        let expected = [(8, known(1), None), (24, known(3), known(4)), (32, None, known(5))];
        assert_eq!(mine.differences(&theirs), expected);
    }

    #[test]
    fn a_copy_has_no_differences() {
        let mine = written(&[(8, 1)]);
        assert_eq!(mine.differences(&mine.clone()), []);
        assert_eq!(mine.differences(&written(&[(8, 1)])), []);
    }
}
