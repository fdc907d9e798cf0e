//! The wait-for graph of one dump: who waits for which lock, and who owns it.
//!
//! ```text
//! thread -> lock -> owner, which is a thread, -> lock -> ...
//! ```
//!
//! Waiters and owners are kept with their lock, not with each other. A waiter waits for *every*
//! owner of its lock to leave, so a cycle through any of them is a deadlock.

use std::collections::{HashMap, VecDeque};
use std::sync::OnceLock;

use sigquit_dump::{Dump, LockId, Owner, OwnerSource, Thread};
use smallvec::SmallVec;

/// Who waits for whom, in one dump. Threads are indexes into its `threads`.
#[derive(Clone, Debug, Default)]
pub struct WaitForGraph {
    /// For each thread: the lock whose owners have to leave before it can go on.
    wants: Vec<Option<LockId>>,
    /// For each lock: who waits for its owners to leave.
    waiters: Vec<Vec<u32>>,
    /// For each lock: who owns it. One does, as a rule.
    owners: Vec<SmallVec<[Owner; 1]>>,
    /// For each thread: the locks that it owns. Few, as a rule.
    owned: Vec<SmallVec<[LockId; 2]>>,
    /// Its cycles; several detectors ask.
    cycles: OnceLock<Vec<Cycle>>,
}

/// A cycle: everyone in it waits for the next, the last for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Its edges in order.
    pub edges: Vec<Edge>,
}

/// One thread waits for another to leave a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub waiter: u32,
    /// For which lock.
    pub lock: LockId,
    /// Who owns it.
    pub owner: u32,
    /// How the owner is known.
    pub source: OwnerSource,
}

impl Cycle {
    /// How its least certain owner is known.
    pub fn source(&self) -> OwnerSource {
        let sources = self.edges.iter().map(|edge| edge.source);
        sources.max().unwrap_or(OwnerSource::Inferred)
    }
}

impl WaitForGraph {
    /// The graph of a dump.
    pub fn new(dump: &Dump) -> WaitForGraph {
        let mut graph = WaitForGraph {
            wants: vec![None; dump.threads.len()],
            waiters: vec![Vec::new(); dump.locks.len()],
            owners: vec![SmallVec::new(); dump.locks.len()],
            owned: vec![SmallVec::new(); dump.threads.len()],
            cycles: OnceLock::new(),
        };
        for (id, lock) in (0..).map(LockId).zip(&dump.locks) {
            lock.owners.iter().for_each(|owner| graph.add_owner(id, owner.clone()));
        }
        for (index, thread) in (0..).zip(&dump.threads) {
            graph.add_thread(index, thread);
        }
        graph
    }

    /// The lock that a thread waits for, when its owners have to leave first.
    pub fn wants(&self, thread: u32) -> Option<LockId> {
        self.wants.get(thread as usize).copied().flatten()
    }

    /// Who waits for a lock's owners to leave.
    pub fn waiters(&self, lock: LockId) -> &[u32] {
        &self.waiters[lock.0 as usize]
    }

    /// Who owns a lock.
    pub fn owners(&self, lock: LockId) -> &[Owner] {
        &self.owners[lock.0 as usize]
    }

    /// The locks that somebody waits for.
    pub fn wanted(&self) -> impl Iterator<Item = LockId> {
        (0..)
            .zip(&self.waiters)
            .filter(|(_, waiters)| !waiters.is_empty())
            .map(|(id, _)| LockId(id))
    }

    /// Whether somebody waits for a lock that a thread owns.
    pub fn blocks(&self, thread: u32) -> bool {
        self.owned[thread as usize].iter().any(|&lock| !self.waiters(lock).is_empty())
    }

    /// Everyone who cannot go on before this thread does: its locks' waiters, theirs, and so on.
    /// In a cycle a thread blocks itself; it is not listed.
    pub fn blocked_by(&self, thread: u32) -> Vec<u32> {
        self.blocked_by_all(&[thread])
    }

    /// Everyone else who cannot go on before these threads do.
    pub fn blocked_by_all(&self, threads: &[u32]) -> Vec<u32> {
        let mut seen = vec![false; self.wants.len()];
        let mut reached: Vec<u32> = threads.to_vec();
        threads.iter().for_each(|&thread| seen[thread as usize] = true);
        let mut next = 0;
        while let Some(&thread) = reached.get(next) {
            next += 1;
            for &waiter in self.owned[thread as usize].iter().flat_map(|&lock| self.waiters(lock)) {
                if !std::mem::replace(&mut seen[waiter as usize], true) {
                    reached.push(waiter);
                }
            }
        }
        reached.split_off(threads.len())
    }

    /// The ends of the wait chains: who owns what others wait for, and waits for no lock itself.
    pub fn root_blockers(&self) -> impl Iterator<Item = u32> {
        (0..self.wants.len() as u32)
            .filter(|&thread| self.wants(thread).is_none() && self.blocks(thread))
    }

    /// Every cycle, each once. A thread that waits for what it owns is a cycle of one.
    pub fn cycles(&self) -> &[Cycle] {
        let cycle_in = |members: &Vec<u32>| self.cycle_through(members[0], members);
        let find = || self.components().iter().filter_map(cycle_in).collect();
        self.cycles.get_or_init(find)
    }

    fn add_thread(&mut self, index: u32, thread: &Thread) {
        for hold in &thread.holds {
            self.add_owner(hold.lock, Owner { thread: index, source: hold.source });
        }
        let wait = thread.wait.as_ref().filter(|wait| wait.wait_for.needs_owner_to_leave());
        if let Some(wait) = wait
            && let Some(waiters) = self.waiters.get_mut(wait.lock.0 as usize)
        {
            waiters.push(index);
            self.wants[index as usize] = Some(wait.lock);
        }
    }

    /// Sources say it twice, at the lock and at the thread; the more certain word counts.
    fn add_owner(&mut self, lock: LockId, owner: Owner) {
        let known = self.owned.get(owner.thread as usize).map(|owned| owned.contains(&lock));
        let (Some(owners), Some(known)) = (self.owners.get_mut(lock.0 as usize), known) else {
            return;
        };
        match owners.iter_mut().find(|other| known && other.thread == owner.thread) {
            Some(other) => other.source = other.source.min(owner.source),
            None => {
                self.owned[owner.thread as usize].push(lock);
                owners.push(owner);
            }
        }
    }

    /// The threads of each strongly connected component that holds a cycle.
    ///
    /// Tarjan's algorithm, with its recursion on a stack of its own.
    fn components(&self) -> Vec<Vec<u32>> {
        let mut search = Search::new(self.wants.len());
        for thread in 0..self.wants.len() as u32 {
            if self.wants(thread).is_some() && search.order[thread as usize] == UNSEEN {
                search.visit(self, thread);
            }
        }
        search.found
    }

    /// The shortest way from a thread back to itself among the given ones.
    fn cycle_through(&self, start: u32, members: &[u32]) -> Option<Cycle> {
        let mut came_by: HashMap<u32, Edge> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(waiter) = queue.pop_front() {
            let lock = self.wants(waiter)?;
            for owner in self.owners(lock) {
                let edge = Edge { waiter, lock, owner: owner.thread, source: owner.source };
                if owner.thread == start {
                    return Some(Cycle { edges: walk_back(edge, start, &came_by) });
                }
                if members.binary_search(&owner.thread).is_ok()
                    && !came_by.contains_key(&owner.thread)
                {
                    came_by.insert(owner.thread, edge);
                    queue.push_back(owner.thread);
                }
            }
        }
        None
    }
}

fn walk_back(last: Edge, start: u32, came_by: &HashMap<u32, Edge>) -> Vec<Edge> {
    let mut edges = vec![last];
    let mut at = last.waiter;
    while at != start {
        let Some(&edge) = came_by.get(&at) else { break };
        edges.push(edge);
        at = edge.waiter;
    }
    edges.reverse();
    edges
}

const UNSEEN: u32 = u32::MAX;

/// The state of one run of Tarjan's algorithm over the threads; a lock's owners stand for it.
struct Search {
    /// When each thread was first reached.
    order: Vec<u32>,
    /// The earliest thread that each one leads back to.
    low: Vec<u32>,
    on_path: Vec<bool>,
    path: Vec<u32>,
    reached: u32,
    found: Vec<Vec<u32>>,
}

impl Search {
    fn new(threads: usize) -> Search {
        Search {
            order: vec![UNSEEN; threads],
            low: vec![0; threads],
            on_path: vec![false; threads],
            path: Vec::new(),
            reached: 0,
            found: Vec::new(),
        }
    }

    fn visit(&mut self, graph: &WaitForGraph, start: u32) {
        let mut calls = vec![(start, 0_usize)];
        self.enter(start);
        while let Some((thread, next_owner)) = calls.last_mut() {
            let thread = *thread;
            let owners = graph.wants(thread).map_or(&[][..], |lock| graph.owners(lock));
            match owners.get(*next_owner) {
                Some(owner) => {
                    *next_owner += 1;
                    if self.order[owner.thread as usize] == UNSEEN {
                        self.enter(owner.thread);
                        calls.push((owner.thread, 0));
                    } else if self.on_path[owner.thread as usize] {
                        self.lower(thread, self.order[owner.thread as usize]);
                    }
                }
                None => {
                    calls.pop();
                    self.leave(graph, thread);
                    if let Some(&(caller, _)) = calls.last() {
                        self.lower(caller, self.low[thread as usize]);
                    }
                }
            }
        }
    }

    fn enter(&mut self, thread: u32) {
        self.order[thread as usize] = self.reached;
        self.low[thread as usize] = self.reached;
        self.reached += 1;
        self.on_path[thread as usize] = true;
        self.path.push(thread);
    }

    fn lower(&mut self, thread: u32, to: u32) {
        let low = &mut self.low[thread as usize];
        *low = (*low).min(to);
    }

    /// The first of a component to be entered is the last to be left: then it is complete.
    fn leave(&mut self, graph: &WaitForGraph, thread: u32) {
        if self.low[thread as usize] != self.order[thread as usize] {
            return;
        }
        let start = self.path.iter().rposition(|&other| other == thread).unwrap_or(0);
        let mut members = self.path.split_off(start);
        members.iter().for_each(|&member| self.on_path[member as usize] = false);
        let waits_for_itself = || {
            let lock = graph.wants(thread);
            lock.is_some_and(|lock| graph.owners(lock).iter().any(|owner| owner.thread == thread))
        };
        if members.len() > 1 || waits_for_itself() {
            members.sort_unstable();
            self.found.push(members);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::{Lock, LockKind, Thread, Wait, WaitFor};

    /// Threads that want (or not) a lock, and the owners of each lock.
    fn graph(wants: &[Option<u32>], owners: &[&[u32]]) -> WaitForGraph {
        let owner = |&thread: &u32| Owner { thread, source: OwnerSource::Runtime };
        let lock = |owners: &&[u32]| Lock {
            kind: LockKind::Mutex,
            owners: owners.iter().map(owner).collect(),
            ..Lock::default()
        };
        let wait = |lock: u32| Wait { lock: LockId(lock), wait_for: WaitFor::Exclusive };
        let thread = |lock: &Option<u32>| Thread { wait: lock.map(wait), ..Thread::default() };
        WaitForGraph::new(&Dump {
            locks: owners.iter().map(lock).collect(),
            threads: wants.iter().map(thread).collect(),
            ..Dump::default()
        })
    }

    fn members(cycle: &Cycle) -> Vec<u32> {
        cycle.edges.iter().map(|edge| edge.waiter).collect()
    }

    #[test]
    fn two_threads_that_wait_for_each_other_are_a_cycle_and_a_third_is_its_victim() {
        let graph = graph(&[Some(1), Some(0), Some(0)], &[&[0], &[1]]);
        let cycles = graph.cycles();
        assert_eq!(cycles.len(), 1);
        assert_eq!(members(&cycles[0]), [0, 1]);
        assert_eq!(graph.blocked_by_all(&[0, 1]), [2]);
        assert_eq!(graph.root_blockers().count(), 0);
    }

    #[test]
    fn a_thread_that_waits_for_its_own_lock_is_a_cycle_of_one() {
        let graph = graph(&[Some(0), Some(0)], &[&[0]]);
        assert_eq!(graph.cycles().iter().map(members).collect::<Vec<_>>(), [[0]]);
    }

    #[test]
    fn a_chain_has_no_cycle_and_one_root_blocker() {
        let graph = graph(&[Some(0), Some(1), None], &[&[1], &[2]]);
        assert!(graph.cycles().is_empty());
        assert_eq!(graph.root_blockers().collect::<Vec<_>>(), [2]);
        assert_eq!(graph.blocked_by(2), [1, 0]);
        assert_eq!(graph.blocked_by(1), [0]);
    }

    #[test]
    fn a_writer_that_waits_for_a_reader_in_the_cycle_is_in_it() {
        // 0 wants the read-write lock, which 1 and 2 share; 2 wants what 0 owns.
        let graph = graph(&[Some(0), None, Some(1)], &[&[1, 2], &[0]]);
        assert_eq!(graph.cycles().iter().map(members).collect::<Vec<_>>(), [[0, 2]]);
    }

    #[test]
    fn two_cycles_are_two() {
        let graph = graph(&[Some(1), Some(0), Some(3), Some(2)], &[&[0], &[1], &[2], &[3]]);
        assert_eq!(graph.cycles().len(), 2);
    }

    #[test]
    fn a_long_chain_overflows_no_stack_and_takes_linear_time() {
        let threads = 200_000_u32;
        let wants: Vec<Option<u32>> = (0..threads).map(|thread| thread.checked_sub(1)).collect();
        let owners: Vec<Vec<u32>> = (0..threads).map(|thread| vec![thread]).collect();
        let owners: Vec<&[u32]> = owners.iter().map(Vec::as_slice).collect();
        let graph = graph(&wants, &owners);
        assert!(graph.cycles().is_empty());
        assert_eq!(graph.blocked_by(0).len(), threads as usize - 1);
    }

    #[test]
    fn numbers_that_name_nothing_are_passed_over() {
        let graph = graph(&[Some(9)], &[&[7]]);
        assert!(graph.cycles().is_empty());
        assert_eq!(graph.wanted().count(), 0);
    }
}
