//! Who initialises a class whose initialiser is on nobody's stack: one who initialises its superclass first.
//!
//! A JVM marks a class as being initialised, then initialises its superclass, and only then runs the class's own
//! initialiser. So whoever has a class that others wait for, and is not in its `<clinit>`, waits for another class or
//! is in that one's `<clinit>`:
//!
//! ```text
//! waits for Euro     Spring$Money.prepared < Spring$Money.<clinit>   has Money
//! waits for Money    shop.Report.run                                 has Euro, whose superclass is Money
//! ```
//!
//! Who waits for the class itself does not have it: a thread goes on with a class that it has begun. Between the mark
//! and the superclass lies a moment, which a series rules out.

use std::collections::BTreeSet;

use sigquit_dump::{Dump, LockId, LockKind, Runtime, Thread};

use super::call::CallId;
use super::incident::{Incident, MemberId};
use super::owner;

/// What the JVM calls the initialiser of a class.
const INITIALISER: &str = ".<clinit>";

/// Of more classes at once it is not asked who has them: no program has so many, and each asks all who wait.
const MOST_CLASSES: usize = 16;

/// Adds the owners that can be inferred: one thread alone may be the one, and the same in every dump.
pub(super) fn infer(incident: &mut Incident) {
    let first = incident.dumps.first();
    if incident.dumps.len() < 2 || first.is_none_or(|first| unowned(first).is_empty()) {
        return;
    }
    let in_each = (0..incident.dumps.len()).map(|dump| only_ones(incident, dump));
    let lasting = in_each.reduce(|one, other| &one & &other).unwrap_or_default();
    for dump in 0..incident.dumps.len() {
        for (class, member) in &lasting {
            if let Some(thread) = incident.member(*member).seen[dump] {
                own(&mut incident.dumps[dump], class, thread);
            }
        }
    }
}

impl Incident {
    /// The classes in whose initialisation nobody is seen and for which somebody waits, each with those who may be in it,
    /// in ascending order.
    pub fn initialised_unseen(&self, dump: usize) -> Vec<(LockId, Vec<MemberId>)> {
        let shown = &self.dumps[dump];
        let unowned = unowned(shown);
        let too_many = unowned.len() > MOST_CLASSES;
        if unowned.is_empty() || too_many || !is_everyone_in_sight(shown) {
            return Vec::new();
        }
        let initialisers = self.initialisers();
        let is_in_one = |&thread: &usize| {
            waits_for_class(shown, &shown.threads[thread]).is_some()
                || self.is_in(dump, thread, &initialisers)
        };
        let candidates: Vec<usize> = (0..shown.threads.len()).filter(is_in_one).collect();
        let of = |lock: LockId| {
            let may_have = |&&at: &&usize| waits_for_class(shown, &shown.threads[at]) != Some(lock);
            let members = candidates.iter().filter(may_have);
            let members = members.filter_map(|&at| self.member_of(dump, at));
            (lock, members.collect::<BTreeSet<MemberId>>().into_iter().collect())
        };
        unowned.into_iter().map(of).collect()
    }

    /// For each call whether it is the initialiser of a class.
    fn initialisers(&self) -> Vec<bool> {
        self.all_calls().iter().map(|call| call.function.ends_with(INITIALISER)).collect()
    }

    fn is_in(&self, dump: usize, thread: usize, is_one: &[bool]) -> bool {
        let stack = self.dumps[dump].threads[thread].stack;
        let calls = stack.map_or(&[][..], |stack| self.calls_of_stack(dump, stack));
        calls.iter().any(|&(CallId(call), _)| is_one[call as usize])
    }
}

/// The classes of which one thread alone may be in the initialisation.
fn only_ones(incident: &Incident, dump: usize) -> BTreeSet<(String, MemberId)> {
    let only = |(lock, members): (LockId, Vec<MemberId>)| {
        let name = incident.dumps[dump].lock(lock).type_name.clone();
        let [only] = members[..] else { return None };
        Some((name.unwrap_or_default(), only))
    };
    incident.initialised_unseen(dump).into_iter().filter_map(only).collect()
}

fn own(dump: &mut Dump, class: &str, thread: usize) {
    let is_it = |lock: &LockId| dump.lock(*lock).type_name.as_deref().unwrap_or_default() == class;
    let Some(lock) = unowned(dump).into_iter().find(is_it) else { return };
    owner::own(dump, lock, thread, None);
}

/// The classes for which somebody waits, and in whose initialiser nobody is.
fn unowned(dump: &Dump) -> BTreeSet<LockId> {
    if dump.process.runtime != Runtime::Jvm {
        return BTreeSet::new();
    }
    let waits = dump.threads.iter().filter_map(|thread| waits_for_class(dump, thread));
    waits.filter(|&lock| dump.lock(lock).owners.is_empty()).collect()
}

/// The class for whose initialisation a thread waits.
fn waits_for_class(dump: &Dump, thread: &Thread) -> Option<LockId> {
    let id = thread.wait.as_ref()?.lock;
    let lock = dump.locks.get(id.0 as usize)?;
    (lock.kind == LockKind::ClassInitialisation).then_some(id)
}

/// Whether nobody's stack is cut: an initialiser may stand behind the cut.
fn is_everyone_in_sight(dump: &Dump) -> bool {
    let is_cut =
        |thread: &Thread| dump.stack(thread).is_some_and(|stack| stack.truncated.is_some());
    !dump.truncated && !dump.threads.iter().any(is_cut)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Owner, OwnerSource, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    fn class(dump: &mut Moment, name: &str) -> LockId {
        let known = dump.dump.locks.iter().position(|lock| lock.type_name.as_deref() == Some(name));
        known.map_or_else(
            || {
                let lock = dump.lock(LockKind::ClassInitialisation, 0);
                dump.dump.locks[lock.0 as usize].address = None;
                dump.dump.locks[lock.0 as usize].type_name = Some(name.into());
                lock
            },
            |at| LockId(at as u32),
        )
    }

    /// One in an initialiser, which computes or waits for another class, and some that wait.
    fn draw(dump: &mut Moment, needs: Option<&str>, waiters: &[(&str, &str)]) {
        let money = class(dump, "shop.Money");
        let needs = needs.map(|needs| class(dump, needs));
        let first = dump.thread("first", &["shop.Money.<clinit>:3", "shop.Report.run:9"]);
        first.seems_to_hold(money);
        first.state = sigquit_dump::ThreadState::Runnable;
        if let Some(needs) = needs {
            first.waits(needs, WaitFor::Exclusive);
        }
        dump.dump.locks[money.0 as usize]
            .owners
            .push(Owner { thread: 0, source: OwnerSource::Inferred });
        for (name, wants) in waiters {
            let wants = class(dump, wants);
            dump.thread(name, &["shop.Report.run:9"]).waits(wants, WaitFor::Exclusive);
        }
    }

    fn owners(needs: Option<&str>, waiters: &[(&str, &str)], of: &str) -> Vec<String> {
        let scene = |scene: Scene, at| scene.dump(at, |dump| draw(dump, needs, waiters));
        let incident = (0..2).fold(Scene::of(Runtime::Jvm), scene).incident();
        let thread = incident.thread(incident.named(of), 0).expect("it is there");
        let lock = thread.wait.as_ref().expect("it waits").lock;
        let owners = incident.wait_for(0).owners(lock).iter();
        let owners = owners.filter_map(|owner| incident.member_of(0, owner.thread as usize));
        let owners: Vec<MemberId> = owners.collect();
        incident.names(&owners).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_only_one_who_waits_for_another_class_has_it() {
        let waiters = [("a", "shop.Money"), ("b", "shop.Euro")];
        assert_eq!(owners(Some("shop.Euro"), &waiters, "first"), ["a"]);
        assert_eq!(owners(Some("shop.Euro"), &waiters, "b"), ["a"]);
    }

    #[test]
    fn who_runs_the_initialiser_of_the_superclass_has_the_class() {
        assert_eq!(owners(None, &[("b", "shop.Euro")], "b"), ["first"]);
    }

    #[test]
    fn one_of_two_is_not_named() {
        let waiters = [("a", "shop.Money"), ("c", "shop.Money"), ("b", "shop.Euro")];
        assert!(owners(Some("shop.Euro"), &waiters, "b").is_empty());
        let waiters = [("a", "shop.Money"), ("b", "shop.Euro")];
        assert!(owners(None, &waiters, "b").is_empty(), "a waits, or first is in both");
    }

    #[test]
    fn one_dump_may_have_met_a_moment() {
        let once = Scene::of(Runtime::Jvm)
            .dump(0, |dump| draw(dump, None, &[("b", "shop.Euro")]))
            .incident();
        let of_euro = once.thread(once.named("b"), 0).and_then(|b| b.wait.as_ref()).map(|w| w.lock);
        assert!(once.wait_for(0).owners(of_euro.expect("it waits")).is_empty());
    }
}
