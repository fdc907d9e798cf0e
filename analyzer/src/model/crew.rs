//! Crews: members that a program named alike, as it names the workers of one pool.

use std::collections::BTreeMap;

use sigquit_dump::{LockKind, Thread, ThreadState};

use super::activity::Activity;
use super::call::{Call, Origin};
use super::idle;
use super::incident::{Incident, MemberId};
use super::name::{FunctionName, is_within, words};
use super::pool;

/// Whether what a lock of that kind guards is made once, and then there.
pub(crate) fn is_made_once(kind: LockKind) -> bool {
    matches!(kind, LockKind::Once | LockKind::ClassInitialisation)
}

/// What one dump shows of one queue of work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueUse {
    /// Who waits until there is room.
    pub submitters: Vec<MemberId>,
    /// Somebody waits for work from it: it is not stuck.
    pub has_taker: bool,
    /// The functions that hand work to it belong to these types or modules.
    users: Vec<String>,
}

impl Incident {
    /// The members whom one dump shows, by the name that they share but for its number. Loners
    /// are no crew.
    pub fn crews(&self, dump: usize) -> BTreeMap<String, Vec<MemberId>> {
        let mut crews = self.numbered(dump);
        crews.retain(|_, members| members.len() > 1);
        crews
    }

    /// The same with those who are alone: a pool may have one worker.
    pub fn numbered(&self, dump: usize) -> BTreeMap<String, Vec<MemberId>> {
        let mut crews: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
        for member in self.shown(dump) {
            let stem = stem(&self.member(member).name);
            if !stem.is_empty() {
                crews.entry(stem.to_owned()).or_default().push(member);
            }
        }
        crews
    }

    /// Whether a member is a pool's worker inside of a task.
    pub fn runs_task(&self, member: MemberId, dump: usize) -> bool {
        self.marks(member, dump).any(|marks| marks.runs_task)
    }

    /// Whether a member waits for what another member has: a lock, a pooled resource, the result
    /// of a task.
    pub fn waits_for_others(&self, member: MemberId, dump: usize) -> bool {
        match self.activity(member, dump) {
            Activity::Lock => true,
            Activity::Event => {
                idle::borrows(self.marks(member, dump)).is_some()
                    || self.awaits_result(member, dump)
            }
            _ => false,
        }
    }

    /// Whether a member waits for what is made once, and its maker computes: that takes as long as it takes, as when a
    /// process begins.
    pub fn awaits_what_is_made(&self, member: MemberId, dump: usize) -> bool {
        let Some(wait) = self.thread(member, dump).and_then(|thread| thread.wait.as_ref()) else {
            return false;
        };
        let kind = self.dumps[dump].lock(wait.lock).kind;
        let graph = self.wait_for(dump);
        let owners = graph.owners(wait.lock).iter();
        let mut makers = owners.filter_map(|owner| self.member_of(dump, owner.thread as usize));
        is_made_once(kind) && makers.any(|maker| self.activity(maker, dump) == Activity::Computing)
    }

    /// The pool that a member belongs to, by its name: without the worker's own number.
    pub fn pool_of(&self, member: MemberId) -> Option<&str> {
        Some(stem(&self.member(member).name)).filter(|stem| !stem.is_empty())
    }

    /// Whether a member sleeps before it tries something again, by the names of functions.
    pub fn tries_again(&self, member: MemberId, dump: usize) -> bool {
        const AGAIN: &[&str] = &["retry", "retries", "retrying", "backoff", "reattempt"];
        let says_so = |call: &Call| {
            let words = words(&call.function);
            let backs_off = words.windows(2).any(|pair| pair[0] == "back" && pair[1] == "off");
            backs_off || words.iter().any(|word| AGAIN.contains(&word.as_str()))
        };
        self.activity(member, dump) == Activity::Sleeping && self.calls(member, dump).any(says_so)
    }

    /// Whether a member sleeps in a function of the program's own that says by its name that it waits before
    /// something is tried again. One that has such a name further out may sleep for another reason.
    pub fn backs_off(&self, member: MemberId, dump: usize) -> bool {
        const PAUSES: &[&str] = &["delay", "pause", "sleep", "wait"];
        let Some(own) = self.application_calls(member, dump).next() else { return false };
        let words = words(FunctionName::of(&own.function).method);
        let has = |word: &str| words.iter().any(|one| one == word);
        let backs_off = words.windows(2).any(|pair| pair[0] == "back" && pair[1] == "off");
        let pauses = has("retry") && PAUSES.iter().any(|&word| has(word));
        self.activity(member, dump) == Activity::Sleeping && (backs_off || pauses || has("backoff"))
    }

    /// Whether a member waits for one of a semaphore's permits: it may be a limit, or a signal that there is work.
    pub fn waits_for_permit(&self, member: MemberId, dump: usize) -> bool {
        self.activity(member, dump) == Activity::Event
            && self.marks(member, dump).any(|marks| marks.waits_for_permit)
    }

    /// Whether a member waits, for as long as it takes, for a word of others, be it more work or what its work needs: of
    /// that the dump does not tell.
    pub fn waits_for_word(&self, member: MemberId, dump: usize) -> bool {
        let timed = |thread: &Thread| thread.state == ThreadState::TimedWaiting;
        self.activity(member, dump) == Activity::Event
            && !self.thread(member, dump).is_none_or(timed)
    }

    /// Whether a member is in a function that waits for the result of work that others do.
    pub fn awaits_result(&self, member: MemberId, dump: usize) -> bool {
        self.marks(member, dump).any(|marks| marks.awaits_result)
    }

    /// The same as [`Incident::waits_for_others`], and for room in a queue of work.
    pub fn queues(&self, member: MemberId, dump: usize) -> bool {
        self.waits_for_others(member, dump) || self.submits(member, dump).is_some()
    }

    /// Whether a member waits for room in a queue of work, for as long as it takes.
    pub fn awaits_room(&self, member: MemberId, dump: usize) -> bool {
        let timed = |thread: &Thread| thread.state == ThreadState::TimedWaiting;
        self.submits(member, dump).is_some() && !self.thread(member, dump).is_some_and(timed)
    }

    /// How a member came to be: the function that created it, or else the outermost of the
    /// program's own that it runs.
    pub fn made_by(&self, member: MemberId, dump: usize) -> Option<String> {
        let creator = self.thread(member, dump).and_then(|thread| thread.created_by);
        let created = creator.and_then(|stack| self.calls_of_stack(dump, stack).first());
        let by = created.map(|&(call, _)| self.call(call));
        let by = by.or_else(|| self.application_calls(member, dump).last());
        by.map(|call| call.function.clone())
    }

    /// Whether a member waits for a task that only a worker can do.
    pub fn waits_for_task(&self, member: MemberId, dump: usize) -> bool {
        self.activity(member, dump) == Activity::Event
            && self.marks(member, dump).any(|marks| marks.awaits_task)
            && !self.waits_until_due(member, dump)
    }

    /// Whether a member waits for a task that is due at some time, by the type of what it is parked for.
    pub fn waits_until_due(&self, member: MemberId, dump: usize) -> bool {
        const DUE: &str = "ScheduledFutureTask";
        let wait = self.thread(member, dump).and_then(|thread| thread.wait.as_ref());
        let lock = wait.map(|wait| self.dumps[dump].lock(wait.lock));
        let name = lock.and_then(|lock| lock.type_name.as_deref());
        name.is_some_and(|name| name.ends_with(DUE))
    }

    /// The queues for whose room somebody waits, by name, each with what every dump shows of it.
    pub fn full_queues(&self) -> Vec<(String, Vec<QueueUse>)> {
        let mut queues: BTreeMap<String, Vec<QueueUse>> = BTreeMap::new();
        for dump in 0..self.dumps.len() {
            for (member, (queue, user)) in self.found(dump, |member| self.submits(member, dump)) {
                let uses = || vec![QueueUse::default(); self.dumps.len()];
                let sight = &mut queues.entry(queue.to_owned()).or_insert_with(uses)[dump];
                sight.submitters.push(member);
                sight.users.extend(user.map(str::to_owned));
            }
        }
        for (queue, sights) in &mut queues {
            for (dump, sight) in sights.iter_mut().enumerate() {
                sight.has_taker = self.has_taker(queue, dump);
            }
        }
        queues.into_iter().collect()
    }

    /// The queue for whose room a member waits, and whose code handed the work over.
    pub fn submits(&self, member: MemberId, dump: usize) -> Option<(&str, Option<&str>)> {
        if !self.activity(member, dump).is_wait_for_event() {
            return None;
        }
        let calls = self.calls(member, dump).zip(self.marks(member, dump));
        let mut calls =
            calls.skip_while(|(call, marks)| !marks.submits && call.origin != Origin::Application);
        let (submit, _) = calls.next().filter(|(_, marks)| marks.submits)?;
        let queue = FunctionName::of(&submit.function).owner;
        let mut users = calls.map(|(call, _)| FunctionName::of(&call.function).owner);
        let user = users.find(|owner| *owner != queue);
        Some((queue, user))
    }

    fn has_taker(&self, queue: &str, dump: usize) -> bool {
        let takes = |member: MemberId| {
            self.calls(member, dump).any(|call| {
                let name = FunctionName::of(&call.function);
                pool::is_take(name) && name.owner == queue
            })
        };
        self.shown(dump).any(takes)
    }

    /// The crew that was to take the work: all busy, handing nothing over itself, and begun in
    /// the code that uses the queue or else inside of it, or else the only crew that is all busy.
    pub fn takers(&self, sight: &QueueUse, dump: usize) -> Vec<MemberId> {
        let busy = |members: &Vec<MemberId>| {
            members.iter().all(|&member| {
                self.idle(member, dump).is_none() && !sight.submitters.contains(&member)
            })
        };
        let crews: Vec<Vec<MemberId>> = self.crews(dump).into_values().filter(busy).collect();
        let uses = |call: &Call| {
            let owner = FunctionName::of(&call.function).owner;
            sight.users.iter().any(|user| is_within(owner, user))
        };
        // What starts threads for the whole program is often one function of its own, and says
        // nothing of whose threads they are: what else is on the stack then does.
        let begun =
            |&member: &MemberId| self.application_calls(member, dump).last().is_some_and(uses);
        let inside = |&member: &MemberId| self.application_calls(member, dump).any(uses);
        let begun_near: Vec<_> = crews.iter().filter(|crew| crew.iter().any(begun)).collect();
        let inside_near: Vec<_> = crews.iter().filter(|crew| crew.iter().any(inside)).collect();
        let nearest = if begun_near.is_empty() { inside_near } else { begun_near };
        let alone = || self.only_taker(sight, dump, uses);
        match (&nearest[..], &crews[..]) {
            ([one], _) => (*one).clone(),
            ([], _) if let Some(one) = alone() => vec![one],
            ([], [one]) => one.clone(),
            _ => Vec::new(),
        }
    }

    /// The one that is busy in the code that uses a queue, where no other is but those who hand work over: a library's own
    /// thread has no crew (`AsyncAppenderBase$Worker.run`). One that is merely slow goes on from dump to dump.
    fn only_taker(
        &self,
        sight: &QueueUse,
        dump: usize,
        uses: impl Fn(&Call) -> bool,
    ) -> Option<MemberId> {
        let takes = |id: MemberId| {
            let busy = self.idle(id, dump).is_none() && self.submits(id, dump).is_none();
            (busy && self.calls(id, dump).any(&uses)).then_some(())
        };
        let mut takers = self.found(dump, takes).map(|(id, ())| id);
        let only = takers.next().filter(|_| takers.next().is_none())?;
        let stays = self.dumps.len() > 1
            && self.activity(only, dump) != Activity::Sleeping
            && !self.ran(only)
            && self.same_activation(only).is_some_and(|activation| activation.whole);
        (stays && !sight.submitters.contains(&only)).then_some(only)
    }
}

/// A name without the number at its end: `XNIO-1 task-12` -> `XNIO-1 task`.
pub(super) fn stem(name: &str) -> &str {
    let stem = name.trim_end().trim_end_matches(|letter: char| letter.is_ascii_digit());
    let numbered = stem.len() < name.trim_end().len();
    if numbered { stem.trim_end_matches(['-', '_', '#', ' ', ':']) } else { "" }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn crews_share_a_name_but_for_its_number() {
        for (name, expected) in [
            ("XNIO-1 task-12", "XNIO-1 task"),
            ("request_3", "request"),
            ("main", ""),
            ("7", ""),
            ("", ""),
        ] {
            assert_eq!(stem(name), expected);
        }
    }
}
