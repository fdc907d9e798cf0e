//! Threads of one dump that are alike in all that decides where they are told, and whether they
//! are idle. A dump of a hundred thousand has a few hundred sorts: what is found of one of a sort
//! holds for all of it.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use sigquit_dump::{Dump, Kind, Runtime, StackId, Thread, ThreadState, WaitFor};

use super::rule::{Rules, ThreadIs};

/// The threads of a dump by their sort.
#[derive(Debug, Default)]
pub struct Sorts {
    /// For each thread the number of its sort.
    pub of_thread: Vec<u32>,
    /// For each sort the first thread of it.
    pub firsts: Vec<u32>,
}

/// What is the same of all of a sort.
#[derive(PartialEq, Eq, Hash)]
struct Traits<'d> {
    kind: Kind,
    stack: Option<StackId>,
    state: ThreadState,
    words: &'d str,
    waits: Option<WaitFor>,
    runtime_helper: bool,
    is_task: bool,
    /// What the rules say of its name.
    ruled: Option<ThreadIs>,
}

impl Sorts {
    /// Sorts the threads of a dump.
    pub(super) fn of(rules: &Rules, runtime: Runtime, dump: &Dump) -> Sorts {
        let hasher = RandomState::default();
        let mut table: HashTable<u32> = HashTable::new();
        let mut sorts =
            Sorts { of_thread: Vec::with_capacity(dump.threads.len()), firsts: Vec::new() };
        let mut traits_of_sort: Vec<Traits> = Vec::new();
        let mut ruled = RuledByWords::default();
        for (index, thread) in (0..).zip(&dump.threads) {
            let traits = Traits::of(thread, ruled.of(rules, runtime, thread));
            let hash = hasher.hash_one(&traits);
            let known = table.find(hash, |&sort| traits_of_sort[sort as usize] == traits);
            let sort = known.copied().unwrap_or_else(|| {
                let sort = sorts.firsts.len() as u32;
                sorts.firsts.push(index);
                traits_of_sort.push(traits);
                let rehash = |&sort: &u32| hasher.hash_one(&traits_of_sort[sort as usize]);
                table.insert_unique(hash, sort, rehash);
                sort
            });
            sorts.of_thread.push(sort);
        }
        sorts
    }
}

impl<'d> Traits<'d> {
    fn of(thread: &'d Thread, ruled: Option<ThreadIs>) -> Traits<'d> {
        Traits {
            kind: thread.kind,
            stack: thread.stack,
            state: thread.state,
            words: &thread.state_text,
            waits: thread.wait.as_ref().map(|wait| wait.wait_for),
            runtime_helper: thread.runtime_helper,
            is_task: thread.task.is_some(),
            ruled,
        }
    }
}

/// What the rules say of threads without a name: of a million goroutines, that depends on a few
/// words.
#[derive(Default)]
struct RuledByWords<'d>(HashMap<&'d str, Option<ThreadIs>, RandomState>);

impl<'d> RuledByWords<'d> {
    fn of(&mut self, rules: &Rules, runtime: Runtime, thread: &'d Thread) -> Option<ThreadIs> {
        let find = || rules.of_thread(runtime, thread);
        match thread.name.is_empty() {
            true => *self.0.entry(&thread.state_text).or_insert_with(find),
            false => find(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule;
    use crate::model::scene::{Draw, Scene};

    #[test]
    fn names_and_numbers_make_no_sort_but_what_rules_say_of_names_does() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("a", &["shop.Cart.total:7"]);
                dump.thread("b", &["shop.Cart.total:7"]).is(ThreadState::Waiting);
                dump.thread("c", &["shop.Cart.total:7"]);
                dump.thread("VM Thread", &["shop.Cart.total:7"]);
                let stack = dump.dump.threads[0].stack;
                dump.dump.threads.iter_mut().for_each(|thread| thread.stack = stack);
            })
            .incident();
        let sorts = Sorts::of(rule::none(), Runtime::Jvm, &incident.dumps[0]);
        assert_eq!((sorts.of_thread, sorts.firsts), (vec![0, 1, 0, 2], vec![0, 1, 3]));
    }
}
