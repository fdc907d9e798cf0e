//! Cycles of waits over the dumps: what `deadlock`, `self-deadlock` and `lock-upgrade` rest on.

use std::collections::BTreeMap;

use sigquit_dump::{LockKind, NoticeKind, OwnerSource};

use super::{Evidence, Grade, Severity, phrase};
use crate::model::{Cycle, Incident, MemberId};

/// One cycle, with the dumps that show it.
pub(super) struct SeenCycle {
    /// Who is in it, in the order of the waiting.
    pub members: Vec<MemberId>,
    /// The dumps that show it, in time order.
    pub dumps: Vec<usize>,
    /// Its edges as the newest of these dumps shows them; none where only the runtime told.
    pub cycle: Option<Cycle>,
    /// The runtime itself reports it.
    pub reported: bool,
}

impl SeenCycle {
    /// The newest dump that shows it.
    pub fn dump(&self) -> usize {
        self.dumps.last().copied().unwrap_or(0)
    }

    /// How its least certain owner is known.
    pub fn source(&self) -> OwnerSource {
        match &self.cycle {
            _ if self.reported => OwnerSource::Runtime,
            Some(cycle) => cycle.source(),
            None => OwnerSource::Inferred,
        }
    }

    /// Whether nobody in it waits for a lock, but each for something that is made once.
    pub fn is_of_initialisers(&self, incident: &Incident) -> bool {
        let dump = &incident.dumps[self.dump()];
        let is_once = |cycle: &Cycle| {
            cycle.edges.iter().all(|edge| dump.lock(edge.lock).kind == LockKind::Once)
        };
        self.cycle.as_ref().is_some_and(is_once)
    }

    /// Owners that are known prove it. Inferred ones have to be seen again.
    pub fn grade(&self) -> Grade {
        match self.source() {
            OwnerSource::Runtime | OwnerSource::Tracked => Grade::Proof,
            OwnerSource::Inferred if self.dumps.len() > 1 => Grade::Repeat,
            OwnerSource::Inferred => Grade::Pattern,
        }
    }

    /// Everyone else who cannot go on before the cycle does.
    pub fn victims(&self, incident: &Incident) -> Vec<MemberId> {
        let dump = self.dump();
        let thread = |&id: &MemberId| incident.member(id).seen.get(dump).copied().flatten();
        let threads: Vec<u32> =
            self.members.iter().filter_map(thread).map(|thread| thread as u32).collect();
        let behind = incident.wait_for(dump).blocked_by_all(&threads);
        behind.iter().filter_map(|&thread| incident.member_of(dump, thread as usize)).collect()
    }

    /// How bad: everyone who waits behind it is lost as well.
    pub fn severity(&self, incident: &Incident, victims: &[MemberId]) -> Severity {
        let dump = self.dump();
        let is_helper =
            |&id: &MemberId| incident.thread(id, dump).is_some_and(|thread| thread.runtime_helper);
        let lost = self.members.len() + victims.len();
        if victims.is_empty() && self.members.iter().all(is_helper) {
            Severity::Medium
        } else if victims.len() >= MANY || lost * 4 >= incident.busy(dump) && lost > 4 {
            Severity::Critical
        } else {
            Severity::High
        }
    }

    /// The edges, each as a fact.
    pub fn evidence(&self, incident: &Incident) -> Vec<Evidence> {
        let dump = self.dump();
        let mut evidence: Vec<Evidence> = Vec::new();
        if self.reported {
            let text = "the runtime itself reports this deadlock";
            evidence.push(Evidence { dump: Some(dump), ..Evidence::text(text) });
        }
        for edge in self.cycle.iter().flat_map(|cycle| &cycle.edges) {
            let member = |thread: u32| incident.member_of(dump, thread as usize);
            let (Some(waiter), Some(owner)) = (member(edge.waiter), member(edge.owner)) else {
                continue;
            };
            let place = phrase::place(incident, waiter, dump);
            let taken = phrase::taken(incident, owner, dump, edge.lock);
            let lock = incident.dumps[dump].lock(edge.lock);
            let text = format!(
                "{} waits for {}, which {} {}{}{}{}",
                phrase::who(incident, waiter),
                phrase::the_lock(lock),
                if owner == waiter { "it".into() } else { phrase::who(incident, owner) },
                if lock.kind == LockKind::Once { "runs" } else { "holds" },
                if owner == waiter { " itself" } else { "" },
                taken.map_or(String::new(), |taken| format!(" ({taken})")),
                place.map_or(String::new(), |place| format!(", in {place}")),
            );
            let source = match edge.source {
                OwnerSource::Inferred => " (inferred)",
                _ => "",
            };
            let text = format!("{text}{source}");
            evidence.push(Evidence { text, dump: Some(dump), member: Some(waiter), value: None });
        }
        let seen = self.dumps.len();
        if seen > 1 {
            let text = format!(
                "the same cycle in {} of {}",
                seen,
                phrase::number(incident.dumps.len(), "dump")
            );
            evidence.push(Evidence { value: Some(seen as f64), ..Evidence::text(text) });
        }
        evidence
    }

    /// Where the members are: the innermost functions of each.
    pub fn frames(&self, incident: &Incident) -> Vec<String> {
        let mut frames: Vec<String> = Vec::new();
        for &member in self.members.iter().take(FRAMES_OF) {
            for frame in phrase::telling_frames(incident, member, self.dump()) {
                if !frames.contains(&frame) {
                    frames.push(frame);
                }
            }
        }
        frames
    }
}

/// So many bystanders are critical, whatever else the process does.
const MANY: usize = 10;

/// The frames of so many members tell a cycle.
const FRAMES_OF: usize = 4;

/// Every cycle that still stands, each once, however many dumps show it.
///
/// A cycle that a later dump shows dissolved was none: the threads of a dump are not caught at
/// one moment. What the runtime reports stands.
pub(super) fn cycles(incident: &Incident) -> Vec<SeenCycle> {
    let mut found: BTreeMap<Vec<MemberId>, SeenCycle> = BTreeMap::new();
    for dump in 0..incident.dumps.len() {
        let member = |&thread: &u32| incident.member_of(dump, thread as usize);
        for cycle in incident.wait_for(dump).cycles() {
            let threads: Vec<u32> = cycle.edges.iter().map(|edge| edge.waiter).collect();
            let members: Vec<MemberId> = threads.iter().filter_map(member).collect();
            see(&mut found, dump, members, Some(cycle.clone()), false);
        }
        for notice in &incident.dumps[dump].notices {
            let members: Vec<MemberId> = notice.threads.iter().filter_map(member).collect();
            if notice.kind == NoticeKind::Deadlock && !members.is_empty() {
                see(&mut found, dump, members, None, true);
            }
        }
    }
    found.into_values().filter(|cycle| cycle.reported || !is_dissolved(incident, cycle)).collect()
}

fn see(
    found: &mut BTreeMap<Vec<MemberId>, SeenCycle>,
    dump: usize,
    members: Vec<MemberId>,
    cycle: Option<Cycle>,
    reported: bool,
) {
    let mut key = members.clone();
    key.sort_unstable();
    let seen = found.entry(key).or_insert_with(|| SeenCycle {
        members,
        dumps: Vec::new(),
        cycle: None,
        reported: false,
    });
    if seen.dumps.last() != Some(&dump) {
        seen.dumps.push(dump);
    }
    seen.cycle = cycle.or(seen.cycle.take());
    seen.reported |= reported;
}

fn is_dissolved(incident: &Incident, seen: &SeenCycle) -> bool {
    let shown = |dump: &usize| seen.members.iter().all(|&id| incident.thread(id, *dump).is_some());
    (seen.dump() + 1..incident.dumps.len()).any(|dump| shown(&dump))
}
