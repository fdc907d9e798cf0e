//! Who is who from dump to dump: every thread of control once.

use std::collections::HashMap;
use std::hash::BuildHasher;

use compact_str::{CompactString, ToCompactString};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use sigquit_dump::{Dump, Kind, Runtime, Thread};
use smallvec::SmallVec;

use super::incident::{Incident, Member, MemberId};

/// Finds the members of an incident, and for each dump which thread is which.
pub(super) fn find_members(incident: &mut Incident) {
    let mut known = KnownMembers::default();
    for at in 0..incident.dumps.len() {
        let of_thread = known.find(&incident.dumps, at, &mut incident.members);
        incident.member_of.push(of_thread);
    }
}

/// The members that were met. There can be a million: what tells them apart is looked up where the
/// first dump that showed them has it.
#[derive(Default)]
struct KnownMembers {
    table: HashTable<MemberId>,
    /// For each member what tells it from others of its name and numbers.
    apart: Vec<Apart>,
    hasher: RandomState,
}

impl KnownMembers {
    /// For each thread of a dump the member that it is. New ones are added.
    fn find(&mut self, dumps: &[Dump], at: usize, members: &mut Vec<Member>) -> Vec<MemberId> {
        let dump = &dumps[at];
        let runtime = dump.process.runtime;
        // For those who are not alone with their name and numbers: how many there were.
        let mut alike: HashMap<Identity, u32, RandomState> = HashMap::default();
        let mut of_thread = Vec::with_capacity(dump.threads.len());
        if members.is_empty() {
            members.reserve_exact(dump.threads.len());
            self.apart.reserve_exact(dump.threads.len());
            self.table.reserve(dump.threads.len(), |_| 0);
        }
        for (index, thread) in dump.threads.iter().enumerate() {
            let mut identity = Identity::of(thread, Apart::default());
            identity.apart.only_in = identity.is_nameless().then_some(at as u32);
            let mut hash = self.hasher.hash_one(identity);
            let mut known = self.get(dumps, members, hash, &identity);
            if known.is_some_and(|id| members[id.0 as usize].seen[at].is_some()) {
                let namesakes = alike.entry(identity).or_default();
                *namesakes += 1;
                identity.apart.namesakes = *namesakes;
                hash = self.hasher.hash_one(identity);
                known = self.get(dumps, members, hash, &identity);
            }
            let id = known.unwrap_or_else(|| {
                let id = MemberId(members.len() as u32);
                members.push(Member {
                    kind: thread.kind,
                    id: member_id(runtime, thread),
                    name: CompactString::new(&thread.name),
                    seen: SmallVec::from_elem(None, dumps.len()),
                });
                self.apart.push(identity.apart);
                members[id.0 as usize].seen[at] = Some(index);
                let (hasher, apart) = (&self.hasher, &self.apart);
                let rehash =
                    |&id: &MemberId| hasher.hash_one(identity_of(dumps, members, apart, id));
                self.table.insert_unique(hash, id, rehash);
                id
            });
            members[id.0 as usize].seen[at] = Some(index);
            of_thread.push(id);
        }
        of_thread
    }

    fn get(
        &self,
        dumps: &[Dump],
        members: &[Member],
        hash: u64,
        identity: &Identity,
    ) -> Option<MemberId> {
        let is_it = |&id: &MemberId| identity_of(dumps, members, &self.apart, id) == *identity;
        self.table.find(hash, is_it).copied()
    }
}

/// What a member was known by when it was met first.
fn identity_of<'d>(
    dumps: &'d [Dump],
    members: &[Member],
    apart: &[Apart],
    id: MemberId,
) -> Identity<'d> {
    let seen = members[id.0 as usize].seen.iter().enumerate();
    let mut seen = seen.filter_map(|(dump, &thread)| dumps[dump].threads.get(thread?));
    let apart = apart[id.0 as usize];
    seen.next()
        .map_or(Identity { apart, ..Identity::default() }, |thread| Identity::of(thread, apart))
}

/// By what a thread is known again in another dump.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Identity<'d> {
    kind: Kind,
    number: Option<u64>,
    os_id: Option<u64>,
    name: &'d str,
    apart: Apart,
}

/// What tells a thread from others of its name and numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Apart {
    /// How many before it in the dump have the same name and numbers.
    namesakes: u32,
    /// A thread without a name and a number cannot be known again.
    only_in: Option<u32>,
}

impl<'d> Identity<'d> {
    fn of(thread: &'d Thread, apart: Apart) -> Identity<'d> {
        let Thread { kind, number, os_id, .. } = *thread;
        Identity { kind, number, os_id, name: &thread.name, apart }
    }

    fn is_nameless(&self) -> bool {
        self.number.is_none() && self.os_id.is_none() && self.name.is_empty()
    }
}

fn member_id(runtime: Runtime, thread: &Thread) -> CompactString {
    let number = match thread.kind {
        Kind::Thread if runtime == Runtime::Jvm => None,
        Kind::Thread => thread.os_id.or(thread.number),
        _ => thread.number,
    };
    number.map_or_else(|| CompactString::new(&thread.name), |number| number.to_compact_string())
}
