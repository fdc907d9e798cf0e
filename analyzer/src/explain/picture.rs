//! Everyone of a process in every dump: what a report's pictures are drawn from.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use sigquit_dump::{LockId, OwnerSource};

use super::member::member_report;
use super::rank::Ranked;
use super::{Diagnosis, MemberReport};
use crate::model::{Activity, Call, CallId, Cpu, Incident, MemberId, Origin};

/// A picture shows so many members at most; those in findings before others.
const MOST_MEMBERS: usize = 100_000;
/// And so many sights of members in dumps.
const MOST_SEEN: usize = 1_000_000;
/// And so many calls on stacks; a stack that would need more is left out whole.
const MOST_NODES: usize = 400_000;

/// Everyone of one process in every dump. Things are referred to by their numbers in the lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// The process's id.
    pub process: String,
    /// The functions that are on stacks, normalized.
    pub functions: Vec<String>,
    /// Those of them that are the runtime's own.
    pub runtime: Vec<u32>,
    /// Calls: a function, and its place in the source as `file:line`; empty when not known.
    pub calls: Vec<(u32, String)>,
    /// All stacks as a tree: a node is a call beneath its caller's node, which comes before it.
    /// A stack is the node of its innermost call.
    pub nodes: Vec<Node>,
    /// What members look like in dumps, each once.
    pub sights: Vec<Sight>,
    /// The members.
    pub members: Vec<PictureMember>,
    /// How many more members there are, who are in no finding unless these are too many.
    pub left_out: usize,
    /// How many sights lack their stacks, because there are too many different ones.
    pub stacks_left_out: usize,
    /// Who is in the findings, those that come first first.
    pub findings: Vec<PictureFinding>,
    /// The locks that somebody waits for in the newest dump, those of root blockers first.
    pub locks: Vec<WantedLock>,
}

/// A call on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The caller's node; none for a root frame.
    pub caller: Option<u32>,
    /// The call.
    pub call: u32,
}

/// What a member looks like in a dump.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    /// What it does.
    pub activity: Activity,
    /// It does so for want of work, or is a helper of the runtime.
    pub idle: bool,
    /// Its state in the source's words.
    pub state: String,
    /// The node of its innermost call.
    pub stack: Option<u32>,
    /// Its cluster, by the number in the report.
    pub cluster: Option<u32>,
}

/// A member over the dumps.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureMember {
    /// Who.
    pub member: MemberReport,
    /// What its name has in common with those of its pool; empty when it is in none.
    pub pool: String,
    /// For each dump that shows it: what it looks like.
    pub seen: Vec<Option<Seen>>,
}

/// What a member looks like in one dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The sight.
    pub sight: u32,
    /// The whole stack is the same activation as in the dump before.
    pub same: bool,
    /// What it used of a CPU, where that is told.
    pub cpu: Option<CpuShare>,
}

/// A share of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuShare {
    /// In percent.
    pub percent: u8,
    /// It is that since the member began: of the time since the dump before nothing is told.
    pub of_life: bool,
}

impl CpuShare {
    fn of(share: f64, of_life: bool) -> CpuShare {
        CpuShare { percent: (share * 100.0).round().min(100.0) as u8, of_life }
    }
}

/// Who is in a finding, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFinding {
    /// The finding's id.
    pub id: String,
    /// Who is in its condition.
    pub members: Vec<u32>,
    /// Who suffers from it.
    pub victims: Vec<u32>,
    /// Who holds what is waited for, the lock's owner included.
    pub holders: Vec<u32>,
}

/// A lock that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLock {
    /// `mutex 0x7f10 (Journal)`.
    pub name: String,
    /// Who owns it, and how that is known; empty when that is not known.
    pub owners: Vec<(u32, OwnerSource)>,
    /// Who waits for it.
    pub waiters: Vec<u32>,
}

/// The pictures of all incidents that show somebody.
pub(super) fn pictures(diagnoses: &[Diagnosis], ranking: &[Ranked]) -> Vec<Picture> {
    let mut first_cluster = 0;
    let mut pictures = Vec::new();
    for (index, diagnosis) in diagnoses.iter().enumerate() {
        if !diagnosis.incident.members.is_empty() {
            pictures.push(Drawing::of(diagnosis, index, ranking).draw(first_cluster));
        }
        first_cluster += diagnosis.clusters.len() as u32;
    }
    pictures
}

/// A picture that is being made.
struct Drawing<'a> {
    diagnosis: &'a Diagnosis<'a>,
    incident: &'a Incident,
    /// The members in their order in the picture.
    order: Vec<MemberId>,
    place: HashMap<MemberId, u32, RandomState>,
    functions: HashMap<&'a str, u32, RandomState>,
    calls: HashMap<CallId, u32, RandomState>,
    nodes: HashMap<Node, u32, RandomState>,
    sights: HashMap<Sight, u32, RandomState>,
    picture: Picture,
}

impl<'a> Drawing<'a> {
    fn of(diagnosis: &'a Diagnosis<'a>, index: usize, ranking: &[Ranked]) -> Drawing<'a> {
        let incident = diagnosis.incident;
        let most = MOST_MEMBERS.min(MOST_SEEN / incident.dumps.len().max(1));
        let mut drawing = Drawing {
            diagnosis,
            incident,
            order: Vec::new(),
            place: HashMap::default(),
            functions: HashMap::default(),
            calls: HashMap::default(),
            nodes: HashMap::default(),
            sights: HashMap::default(),
            picture: Picture { process: incident.id.clone(), ..Picture::default() },
        };
        let mut findings = Vec::new();
        for (rank, ranked) in (1..).zip(ranking).filter(|(_, ranked)| ranked.diagnosis == index) {
            let finding = &diagnosis.findings[ranked.finding];
            findings.push((format!("f{rank}"), finding));
            let told = finding.members.iter().chain(&finding.owner);
            told.chain(&finding.holders).chain(&finding.victims).for_each(|&id| {
                drawing.place(id, most);
            });
        }
        incident.ids().for_each(|id| drawing.place(id, most));
        drawing.picture.left_out = incident.members.len() - drawing.order.len();
        for (id, finding) in findings {
            let holders = finding.holders.iter().chain(&finding.owner);
            let finding = PictureFinding {
                id,
                members: drawing.places(&finding.members),
                victims: drawing.places(&finding.victims),
                holders: drawing.places(holders),
            };
            drawing.picture.findings.push(finding);
        }
        drawing
    }

    fn place(&mut self, id: MemberId, most: usize) {
        if self.order.len() < most && !self.place.contains_key(&id) {
            self.place.insert(id, self.order.len() as u32);
            self.order.push(id);
        }
    }

    /// The members' numbers in the picture.
    fn places<'m>(&self, members: impl IntoIterator<Item = &'m MemberId>) -> Vec<u32> {
        members.into_iter().filter_map(|id| self.place.get(id).copied()).collect()
    }

    fn draw(mut self, first_cluster: u32) -> Picture {
        let clusters = self.clusters(first_cluster);
        let pools = self.pools();
        let cpu = (self.incident.dumps.len() > 1).then(|| Cpu::of(self.incident));
        for id in std::mem::take(&mut self.order) {
            let dumps = 0..self.incident.dumps.len();
            let mut seen: Vec<_> = dumps.map(|dump| self.see(id, dump, &clusters)).collect();
            for used in cpu.iter().flat_map(|cpu| cpu.uses(id)) {
                if let Some(seen) = &mut seen[used.to] {
                    seen.cpu = Some(CpuShare::of(used.share(), false));
                }
            }
            self.picture.members.push(PictureMember {
                member: member_report(self.incident, id),
                pool: pools.get(&id).cloned().unwrap_or_default(),
                seen,
            });
        }
        self.picture.locks = self.locks();
        self.picture
    }

    /// In which cluster each member is in each dump.
    fn clusters(&self, first: u32) -> HashMap<(MemberId, usize), u32, RandomState> {
        let mut clusters = HashMap::default();
        for (number, cluster) in (first..).zip(&self.diagnosis.clusters) {
            for (dump, members) in &cluster.seen {
                clusters.extend(members.iter().map(|&member| ((member, *dump), number)));
            }
        }
        clusters
    }

    fn pools(&self) -> HashMap<MemberId, String, RandomState> {
        let mut pools = HashMap::default();
        for dump in 0..self.incident.dumps.len() {
            for (pool, members) in self.incident.crews(dump) {
                pools.extend(members.into_iter().map(|member| (member, pool.clone())));
            }
        }
        pools
    }

    fn see(
        &mut self,
        id: MemberId,
        dump: usize,
        clusters: &HashMap<(MemberId, usize), u32, RandomState>,
    ) -> Option<Seen> {
        let thread = self.incident.thread(id, dump)?;
        let sight = Sight {
            activity: self.incident.activity(id, dump),
            idle: self.incident.idle(id, dump).is_some(),
            state: thread.state_text.clone(),
            stack: self.stack(id, dump),
            cluster: clusters.get(&(id, dump)).copied(),
        };
        let known = self.sights.get(&sight).copied();
        let sight = known.unwrap_or_else(|| {
            let number = self.picture.sights.len() as u32;
            self.picture.sights.push(sight.clone());
            self.sights.insert(sight, number);
            number
        });
        Some(Seen { sight, same: self.is_same(id, dump), cpu: self.cpu_until(id, dump) })
    }

    /// What a member used before a dump, by that dump alone: just before it, or since it began.
    fn cpu_until(&self, id: MemberId, dump: usize) -> Option<CpuShare> {
        if let Some(share) = self.incident.cpu_share(id, dump) {
            return Some(CpuShare::of(share, false));
        }
        let thread = self.incident.thread(id, dump)?;
        let elapsed = thread.elapsed.filter(|elapsed| elapsed.0 > 0)?;
        Some(CpuShare::of(thread.cpu?.0 as f64 / elapsed.0 as f64, true))
    }

    fn is_same(&self, id: MemberId, dump: usize) -> bool {
        let before = dump.checked_sub(1);
        let both = before.map(|before| self.incident.same_activation_in(id, &[before, dump]));
        both.flatten().is_some_and(|activation| activation.whole)
    }

    /// The node of a member's stack.
    fn stack(&mut self, id: MemberId, dump: usize) -> Option<u32> {
        let incident = self.incident;
        if self.picture.nodes.len() >= MOST_NODES {
            self.picture.stacks_left_out += 1;
            return None;
        }
        let mut caller = None;
        for &(call, _) in incident.call_ids(id, dump).iter().rev() {
            let node = Node { caller, call: self.call(call) };
            let next = self.picture.nodes.len() as u32;
            let number = *self.nodes.entry(node).or_insert(next);
            if number == next {
                self.picture.nodes.push(node);
            }
            caller = Some(number);
        }
        caller
    }

    fn call(&mut self, id: CallId) -> u32 {
        if let Some(&known) = self.calls.get(&id) {
            return known;
        }
        let call = self.incident.call(id);
        let next = self.functions.len() as u32;
        let function = *self.functions.entry(&call.function).or_insert(next);
        if function == next {
            self.picture.functions.push(call.function.clone());
            if call.origin == Origin::Runtime {
                self.picture.runtime.push(function);
            }
        }
        let number = self.picture.calls.len() as u32;
        self.picture.calls.push((function, place(call)));
        self.calls.insert(id, number);
        number
    }

    fn locks(&self) -> Vec<WantedLock> {
        let Some(newest) = self.incident.dumps.len().checked_sub(1) else { return Vec::new() };
        let (dump, graph) = (&self.incident.dumps[newest], self.incident.wait_for(newest));
        let number = |thread: u32| {
            let member = self.incident.member_of(newest, thread as usize)?;
            self.place.get(&member).copied()
        };
        let roots: Vec<u32> = graph.root_blockers().collect();
        let is_of_root = |lock: &LockId| {
            graph.owners(*lock).iter().any(|owner| roots.binary_search(&owner.thread).is_ok())
        };
        let (first, then): (Vec<LockId>, Vec<LockId>) = graph.wanted().partition(is_of_root);
        let wanted = |id: LockId| {
            let lock = dump.lock(id);
            let owners = graph.owners(id).iter();
            WantedLock {
                name: lock_name(lock),
                owners: owners
                    .filter_map(|owner| Some((number(owner.thread)?, owner.source)))
                    .collect(),
                waiters: graph.waiters(id).iter().filter_map(|&waiter| number(waiter)).collect(),
            }
        };
        first.into_iter().chain(then).map(wanted).collect()
    }
}

fn place(call: &Call) -> String {
    let Some(location) = &call.location else { return String::new() };
    match location.line {
        Some(line) => format!("{}:{line}", location.file),
        None => location.file.clone(),
    }
}

fn lock_name(lock: &sigquit_dump::Lock) -> String {
    let mut name = lock.kind.noun().to_owned();
    if let Some(address) = lock.address {
        name += &format!(" {address:#x}");
    }
    if let Some(of_type) = &lock.type_name {
        name += &format!(" ({of_type})");
    }
    name
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Hold, LockKind, Runtime, ThreadState, Wait, WaitFor};

    use super::*;
    use crate::model::scene::Scene;

    fn picture(incident: &Incident) -> Picture {
        let clusters = crate::cluster::cluster(incident);
        let diagnosis = Diagnosis { incident, clusters, findings: Vec::new(), known: Vec::new() };
        pictures(&[diagnosis], &[]).remove(0)
    }

    #[test]
    fn stacks_are_a_tree_and_equal_sights_are_one() {
        let incident = (0..2u64)
            .fold(Scene::of(Runtime::Jvm), |scene, second| {
                scene.dump(second, |moment| {
                    for name in ["worker-1", "worker-2"] {
                        moment.thread(name, &["shop.Map.get:8", "shop.Main.run:2"]);
                    }
                    let line = format!("shop.Map.put:{second}");
                    moment.thread("lone", &[&line, "shop.Main.run:2"]);
                })
            })
            .incident();
        let picture = picture(&incident);
        assert_eq!(picture.functions, ["shop.Main.run", "shop.Map.get", "shop.Map.put"]);
        let callers: Vec<_> = picture.nodes.iter().map(|node| node.caller).collect();
        assert_eq!(callers, [None, Some(0), Some(0), Some(0)]);
        assert_eq!(picture.sights.len(), 3);
        let pools: Vec<&str> = picture.members.iter().map(|member| &*member.pool).collect();
        assert_eq!(pools, ["worker", "worker", ""]);
        let same = |member: usize| picture.members[member].seen[1].expect("in both").same;
        assert_eq!([same(0), same(2)], [true, false]);
    }

    #[test]
    fn locks_of_root_blockers_come_first() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |moment| {
                let locks = [0x10, 0x20].map(|address| moment.lock(LockKind::Mutex, address));
                let hold = |lock| Hold::new(lock, None, OwnerSource::Inferred);
                let wait = |lock| Some(Wait { lock, wait_for: WaitFor::Exclusive });
                let middle = moment.thread("middle", &["wait"]);
                (middle.state, middle.wait) = (ThreadState::Blocked, wait(locks[1]));
                middle.holds = vec![hold(locks[0])];
                moment.thread("root", &["work"]).holds = vec![hold(locks[1])];
                moment.thread("leaf", &["wait"]).wait = wait(locks[0]);
            })
            .incident();
        let locks = picture(&incident).locks;
        assert_eq!(locks[0].name, "mutex 0x20");
        assert_eq!(locks[0].owners, [(1, OwnerSource::Inferred)]);
        assert_eq!((&*locks[0].waiters, &*locks[1].waiters), (&[0][..], &[2][..]));
    }
}
