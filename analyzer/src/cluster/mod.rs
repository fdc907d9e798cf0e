//! Alike stacks together.
//!
//! A cluster is exact: the same normalized functions in the same order, and the same kind of
//! state. Lines are left out, so that it outlives a rebuild; what only one way of printing a
//! stack shows (see `hidden`) is left out too, so that dumps of different tools agree.
//!
//! Three more levels stand beside that one: the signature, by which a place is found again in other
//! builds; the tree of all stacks, merged from their roots; and the family: clusters that are probably
//! one problem.

mod family;
mod hidden;
mod level;
mod signature;
mod tree;

pub use family::families;
pub use level::{AtLevel, Clustered, Group, Level};
pub use tree::{Node, Tree, tree};

use std::collections::HashMap;

use foldhash::fast::RandomState;
use sigquit_dump::{Kind, StackId, ThreadState};

use crate::model::{CallId, Incident, MemberId, Origin, Shown};

/// Members that are in the same place: the same normalized stack and state.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The normalized stack's short name: stable across builds, what one searches for.
    pub signature: String,
    /// Normalized functions, innermost first.
    pub frames: Vec<String>,
    /// For each dump, how many members it shows here.
    pub per_dump: Vec<usize>,
    /// Members by state, in the source's words.
    pub states: Vec<(String, usize)>,
    /// Everyone in it is idle: parked, or a helper of the runtime.
    pub idle: bool,
    /// Who was here in the newest dump that shows anyone.
    pub members: Vec<MemberId>,
    /// For each dump that shows anyone, in time order: the dump, and who was here.
    pub seen: Vec<(usize, Vec<MemberId>)>,
}

/// Groups an incident's members by where they are, the largest group first.
pub fn cluster(incident: &Incident) -> Vec<Cluster> {
    let mut functions = Functions::default();
    let mut gathered: Gathered = Gathered::default();
    for dump in 0..incident.dumps.len() {
        gathered.add(incident, dump, &mut functions);
    }
    let mut clusters: Vec<Cluster> = gathered.into_clusters(&functions);
    clusters.sort_by(|a, b| b.most().cmp(&a.most()).then_with(|| a.signature.cmp(&b.signature)));
    clusters
}

impl Cluster {
    /// The most members that one dump shows here.
    pub fn most(&self) -> usize {
        self.per_dump.iter().copied().max().unwrap_or(0)
    }
}

/// Normalized functions by number, whatever line the call was at.
#[derive(Default)]
struct Functions {
    of_call: HashMap<CallId, u32, RandomState>,
    known: HashMap<String, u32, RandomState>,
    names: Vec<String>,
    /// Whether it is the program's own.
    own: Vec<bool>,
}

impl Functions {
    fn of_stack(
        &mut self,
        incident: &Incident,
        calls: impl Iterator<Item = CallId> + Clone,
    ) -> Vec<u32> {
        let all: Vec<u32> =
            shown(incident, calls).map(|call| self.of_call(incident, call)).collect();
        hidden::strip(&all, |function| &self.names[function as usize]).to_vec()
    }

    fn of_call(&mut self, incident: &Incident, call: CallId) -> u32 {
        if let Some(&known) = self.of_call.get(&call) {
            return known;
        }
        let name = &incident.call(call).function;
        let function = match self.known.get(name) {
            Some(&known) => known,
            None => self.add(incident, call),
        };
        self.of_call.insert(call, function);
        function
    }

    fn add(&mut self, incident: &Incident, call: CallId) -> u32 {
        let number = self.names.len() as u32;
        let name = incident.call(call).function.clone();
        self.known.insert(name.clone(), number);
        self.names.push(name);
        self.own.push(incident.call(call).origin == Origin::Application);
        number
    }
}

/// Calls without those that rules leave out: some themselves, and those within a call that is folded.
fn shown(
    incident: &Incident,
    calls: impl Iterator<Item = CallId> + Clone,
) -> impl Iterator<Item = CallId> {
    let shown = |call: CallId| incident.call(call).ruled.shown;
    let folded = calls.clone().enumerate().filter(|&(_, call)| shown(call) == Shown::Folded);
    let from = folded.last().map_or(0, |(at, _)| at);
    calls.skip(from).filter(move |&call| shown(call) != Shown::No)
}

/// Where a thread is, as far as clusters tell places apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    /// The number of the stack among the distinct ones.
    stack: usize,
    state: StateClass,
    kind: Kind,
}

/// States that differ only by the scheduler's chance are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum StateClass {
    OnCpu,
    Other(ThreadState),
}

impl StateClass {
    fn of(state: ThreadState) -> StateClass {
        match state {
            ThreadState::Running | ThreadState::Runnable => StateClass::OnCpu,
            other => StateClass::Other(other),
        }
    }
}

#[derive(Default)]
struct Gathered {
    stacks: HashMap<Vec<u32>, usize, RandomState>,
    places: HashMap<Place, usize, RandomState>,
    groups: Vec<Gathering>,
}

struct Gathering {
    stack: usize,
    /// For each dump that shows anyone here, in time order.
    members: Vec<(usize, Vec<MemberId>)>,
    states: Vec<(String, usize)>,
    idle: bool,
    dumps: usize,
}

impl Gathered {
    fn stack(&mut self, functions: Vec<u32>) -> usize {
        let next = self.stacks.len();
        *self.stacks.entry(functions).or_insert(next)
    }

    /// Adds everyone whom a dump shows. All of a sort are in one place.
    fn add(&mut self, incident: &Incident, dump: usize, functions: &mut Functions) {
        let sorts = incident.sorts(dump);
        let threads = &incident.dumps[dump].threads;
        let mut stacks: HashMap<Option<StackId>, usize, RandomState> = HashMap::default();
        let group = |&first: &u32| {
            let thread = &threads[first as usize];
            let stack = *stacks.entry(thread.stack).or_insert_with(|| {
                let calls =
                    thread.stack.map_or(&[][..], |stack| incident.calls_of_stack(dump, stack));
                self.stack(functions.of_stack(incident, calls.iter().map(|&(call, _)| call)))
            });
            let place = Place { stack, state: StateClass::of(thread.state), kind: thread.kind };
            self.group(place, incident.dumps.len())
        };
        let groups: Vec<usize> = sorts.firsts.iter().map(group).collect();
        let mut counts = vec![0; sorts.firsts.len()];
        let idle = incident.idle_threads(dump);
        for ((index, &sort), idle) in sorts.of_thread.iter().enumerate().zip(idle) {
            let Some(member) = incident.member_of(dump, index) else { continue };
            counts[sort as usize] += 1;
            self.groups[groups[sort as usize]].add(dump, member, idle.is_some());
        }
        for ((&first, &group), count) in sorts.firsts.iter().zip(&groups).zip(counts) {
            self.groups[group].count(&threads[first as usize].state_text, count);
        }
    }

    fn group(&mut self, place: Place, dumps: usize) -> usize {
        let next = self.groups.len();
        let group = *self.places.entry(place).or_insert(next);
        if group == next {
            let (members, states) = (Vec::new(), Vec::new());
            self.groups.push(Gathering { stack: place.stack, members, states, idle: true, dumps });
        }
        group
    }

    fn into_clusters(self, functions: &Functions) -> Vec<Cluster> {
        let mut stacks = vec![Vec::new(); self.stacks.len()];
        for (stack, number) in self.stacks {
            stacks[number] = stack;
        }
        let cluster = |group: Gathering| {
            let stack: &[u32] = &stacks[group.stack];
            group.into_cluster(stack, functions)
        };
        self.groups.into_iter().map(cluster).collect()
    }
}

impl Gathering {
    fn add(&mut self, dump: usize, member: MemberId, idle: bool) {
        match self.members.last_mut() {
            Some((last, members)) if *last == dump => members.push(member),
            _ => self.members.push((dump, vec![member])),
        }
        self.idle &= idle;
    }

    /// So many are in a state of those words.
    fn count(&mut self, words: &str, more: usize) {
        match self.states.iter_mut().find(|(known, _)| known == words) {
            Some((_, count)) => *count += more,
            None => self.states.push((words.to_owned(), more)),
        }
    }

    fn into_cluster(mut self, stack: &[u32], functions: &Functions) -> Cluster {
        let mut per_dump = vec![0; self.dumps];
        for (dump, members) in &self.members {
            per_dump[*dump] = members.len();
        }
        self.states.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
        let name = |&function: &u32| functions.names[function as usize].clone();
        let named = stack.iter().map(|&function| {
            let at = function as usize;
            (functions.names[at].as_str(), functions.own[at])
        });
        Cluster {
            signature: signature::signature(named),
            frames: stack.iter().map(name).collect(),
            per_dump,
            states: self.states,
            idle: self.idle,
            members: self.members.last().map_or(Vec::new(), |(_, members)| members.clone()),
            seen: self.members,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Scene};
    use sigquit_dump::Runtime;

    const WORKER: [&str; 3] = [
        "jdk.internal.misc.Unsafe.park",
        "java.util.concurrent.ThreadPoolExecutor.getTask",
        "java.lang.Thread.run",
    ];

    #[test]
    fn members_in_the_same_place_are_one_cluster_over_all_dumps() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("a", &["shop.Cart.total:7", "shop.Main.run:3"]);
                dump.thread("b", &WORKER).is(ThreadState::Waiting);
                dump.thread("c", &WORKER).is(ThreadState::Waiting);
            })
            .dump(1, |dump| {
                dump.thread("a", &["shop.Cart.total:8", "shop.Main.run:3"]);
                dump.thread("b", &WORKER).is(ThreadState::Waiting);
                dump.thread("c", &["shop.Cart.total:7", "shop.Main.run:3"]);
            })
            .incident();
        let clusters = cluster(&incident);
        let told: Vec<_> =
            clusters.iter().map(|one| (one.signature.as_str(), one.per_dump.as_slice())).collect();
        let total = ("shop.Cart.total < shop.Main.run", &[1, 2][..]);
        let workers =
            ("java.util.concurrent.ThreadPoolExecutor.getTask < java.lang.Thread.run", &[2, 1][..]);
        assert_eq!(told, [workers, total]);
        assert_eq!(incident.names(&clusters[1].members), ["a", "c"]);
        assert_eq!(clusters.iter().map(|one| one.idle).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn one_place_in_two_states_is_two_clusters_but_not_by_the_schedulers_chance() {
        let incident = Scene::of(Runtime::Go)
            .dump(0, |dump| {
                dump.thread("1", &["main.work"]).is(ThreadState::Running);
                dump.thread("2", &["main.work"]).is(ThreadState::Runnable);
                dump.thread("3", &["main.work"]).is(ThreadState::Waiting);
            })
            .incident();
        assert_eq!(
            cluster(&incident).iter().map(|one| one.per_dump[0]).collect::<Vec<_>>(),
            [2, 1]
        );
    }

    #[test]
    fn a_hundred_thousand_threads_are_no_matter() {
        let incident = Scene::of(Runtime::Go)
            .dump(0, |dump| {
                dump.thread("first", &["main.work", "main.serve"]);
                let stack = dump.dump.threads[0].stack;
                for number in 1..100_000_u64 {
                    dump.thread("", &[]).number = Some(number);
                    dump.dump.threads[number as usize].stack = stack;
                }
            })
            .incident();
        assert_eq!(cluster(&incident)[0].per_dump, [100_000]);
    }
}
