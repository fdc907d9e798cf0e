//! Who holds a lock, from what tokio says when a lock is taken and left.
//!
//! A task takes a lock when its operation becomes ready, and tokio says so within the poll of that
//! task. It says that a lock is left after it has been: another task may have taken it by then. So
//! there can be two holders for a moment, and who leaves takes only its own name off the list.
//!
//! A guard can be given away. Where that is what the guard is made for (`lock_owned`), nobody is
//! written down; where somebody leaves who is not on the list, the one who is longest on it has
//! given its guard away and is struck off. Either errs on the side of silence.

/// Readers of one lock that are remembered.
const MOST: usize = 8;

/// The tasks that hold a lock, by their spans, in the order in which they took it.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders(Vec<Holder>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    task: u64,
    shared: bool,
}

impl Holders {
    /// A task has taken the lock.
    pub fn take(&mut self, task: u64, shared: bool) {
        if self.0.len() < MOST {
            self.0.push(Holder { task, shared });
        }
    }

    /// A task, or a thread outside of any task, has left it.
    pub fn leave(&mut self, task: Option<u64>, shared: bool) {
        let is_it = |holder: &Holder| Some(holder.task) == task && holder.shared == shared;
        let own = self.0.iter().position(is_it);
        let at = own.or_else(|| self.0.iter().position(|holder| holder.shared == shared));
        if let Some(at) = at {
            self.0.remove(at);
        }
    }

    /// Who holds it, as far as can be told.
    pub fn tasks(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().map(|holder| holder.task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(holders: &Holders) -> Vec<u64> {
        holders.tasks().collect()
    }

    #[test]
    fn who_takes_it_before_the_other_says_that_it_has_left_stays() {
        let mut holders = Holders::default();
        holders.take(1, false);
        holders.take(2, false);
        holders.leave(Some(1), false);
        assert_eq!(holding(&holders), [2]);
    }

    #[test]
    fn a_guard_that_was_given_away_leaves_nobody_accused() {
        let mut holders = Holders::default();
        holders.take(1, false);
        holders.leave(Some(9), false);
        assert_eq!(holding(&holders), [0u64; 0]);
        holders.leave(None, false);
        holders.take(2, false);
        assert_eq!(holding(&holders), [2]);
    }

    #[test]
    fn readers_leave_one_by_one() {
        let mut holders = Holders::default();
        (1..=3).for_each(|task| holders.take(task, true));
        holders.leave(Some(2), true);
        assert_eq!(holding(&holders), [1, 3]);
        holders.leave(Some(3), false);
        assert_eq!(holding(&holders), [1, 3], "no writer was there");
    }
}
