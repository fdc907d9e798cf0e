//! Whether anything in a process moves from dump to dump, and who waits meanwhile for others of
//! the program to come or to be done.
//!
//! A latch, a barrier, a future or a wait group has no owner, so no chain of waits leads to who is
//! late. What can be seen is whether anybody is at work: where two dumps or more show everyone
//! idle or in one and the same wait, nobody of the program is on the way to end it, and only what
//! comes from outside still can.

use sigquit_dump::{Kind, LockKind, Runtime, ThreadState};

use super::activity::Activity;
use super::call::{Call, Origin};
use super::idle::{self, Idle};
use super::incident::{Incident, MemberId};
use super::pattern::matches_any;

/// Waiting for others to arrive, to be done, or to hand over a result.
const MEETINGS: &[&str] = &[
    "java.util.concurrent.CountDownLatch.await",
    "java.util.concurrent.CyclicBarrier.*await",
    "java.util.concurrent.Phaser.arriveAndAwaitAdvance",
    "java.util.concurrent.Phaser.await*",
    "java.util.concurrent.Exchanger.exchange",
    "sync.(*WaitGroup).Wait",
    "golang.org/x/sync/errgroup.(*Group).Wait",
    "std::sync::*arrier::wait",
];

/// Waiting for a thread to end.
const JOINS: &[&str] = &[
    "java.lang.Thread.join*",
    "std::thread::*JoinHandle::join*",
    "std::thread::*JoinInner::join*",
    "std::thread::join*",
    "*pthread_*join*",
    "std::thread::scoped::scope*",
];

/// Whether a normalized function waits for others to arrive or to be done.
pub(super) fn is_meeting(function: &str) -> bool {
    matches_any(MEETINGS, function)
}

impl Incident {
    /// Whether two dumps or more show everyone either idle or waiting in one and the same call,
    /// and nobody asleep for a time that then ends.
    pub fn stands_still(&self) -> bool {
        let still = || self.dumps.len() > 1 && self.ids().all(|id| self.rests(id));
        *self.still.get_or_init(still)
    }

    fn rests(&self, id: MemberId) -> bool {
        let mut shown = (0..self.dumps.len()).filter(|&dump| self.thread(id, dump).is_some());
        let idle = |dump| match self.idle(id, dump) {
            Some(Idle::Helper) => true,
            Some(_) => self.activity(id, dump) != Activity::Sleeping,
            None => self.joins(id, dump),
        };
        shown.all(idle) || self.waits_throughout(id)
    }

    /// Whether every dump shows a member waiting in one and the same call for what others give.
    pub fn waits_throughout(&self, id: MemberId) -> bool {
        let waits = |dump| {
            let activity = self.activity(id, dump);
            matches!(activity, Activity::Lock | Activity::Event | Activity::Network)
        };
        self.in_all_dumps(id)
            && (0..self.dumps.len()).all(waits)
            && self.same_activation(id).is_some_and(|activation| activation.whole)
    }

    /// Whether a member waits, for as long as it takes, for others of the program to arrive, to be
    /// done or to hand over a result. Who borrows from a pool waits for what comes back to it.
    pub fn meets(&self, id: MemberId, dump: usize) -> bool {
        let timed = |state| state == ThreadState::TimedWaiting;
        let calls = self.calls(id, dump).zip(self.marks(id, dump));
        let mut inner = calls.take_while(|(call, _)| call.origin != Origin::Application);
        self.activity(id, dump) == Activity::Event
            && self.thread(id, dump).is_some_and(|thread| !timed(thread.state))
            && inner.any(|(_, marks)| marks.meets || marks.awaits_result)
            && idle::borrows(self.marks(id, dump)).is_none()
    }

    /// Whether a goroutine waits for others and none is there that any function on its stack has
    /// made: whom it waits for has ended without a word.
    pub fn meets_nobody(&self, id: MemberId, dump: usize) -> bool {
        let is_maker = |maker: &str| self.calls(id, dump).any(|call| call.function == maker);
        self.process.runtime == Runtime::Go
            && self.meets(id, dump)
            && !self.shown(dump).any(|other| {
                other != id
                    && self.creator(other, dump).is_some_and(|call| is_maker(&call.function))
            })
    }

    /// Whether somebody waits for what comes from outside, which may wake others.
    pub fn listens(&self, dump: usize) -> bool {
        self.shown(dump).any(|id| self.idle(id, dump) == Some(Idle::Listener))
    }

    /// Those who wait for locks whose owners nobody knows, where one dump shows nobody but them,
    /// those who wait for a thread's end, and the runtime's helpers. Then the owners are among
    /// them, or gone.
    pub fn only_waiters(&self, dump: usize) -> Option<Vec<MemberId>> {
        let mut waiters = Vec::new();
        for id in self.shown(dump) {
            let thread = self.thread(id, dump)?;
            if thread.runtime_helper || self.idle(id, dump) == Some(Idle::Helper) {
                continue;
            }
            let wait = thread.wait.as_ref().filter(|wait| wait.wait_for.needs_owner_to_leave());
            let lock = wait.map(|wait| self.dumps[dump].lock(wait.lock));
            match lock {
                _ if thread.kind == Kind::Task => return None,
                Some(lock) if lock.kind == LockKind::Unknown => {}
                Some(lock) if lock.owners.is_empty() => waiters.push(id),
                _ if self.joins(id, dump) => {}
                _ => return None,
            }
        }
        Some(waiters)
    }

    fn joins(&self, id: MemberId, dump: usize) -> bool {
        let own = |call: &Call| call.origin == Origin::Application && !call.is_nameless();
        let mut inner = self.calls(id, dump).take_while(|&call| !own(call));
        inner.any(|call| matches_any(JOINS, &call.function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const LATCH: &[&str] = &[
        "jdk.internal.misc.Unsafe.park",
        "java.util.concurrent.CountDownLatch.await",
        "shop.Start.await:9",
        "shop.Web.answer:3",
    ];

    fn still(runtime: Runtime, draw: impl Fn(&mut Moment, u64)) -> bool {
        let scene = Scene::of(runtime);
        scene.dump(0, |dump| draw(dump, 0)).dump(1, |dump| draw(dump, 1)).incident().stands_still()
    }

    fn waits(dump: &mut Moment) {
        dump.thread("request-1", LATCH).is(ThreadState::Waiting);
        dump.thread("accept", &["sun.nio.ch.Net.accept", "shop.Web.run"]);
    }

    #[test]
    fn nothing_moves_where_all_wait_in_one_call_or_are_idle() {
        assert!(still(Runtime::Jvm, |dump, _| waits(dump)));
    }

    #[test]
    fn who_computes_sleeps_or_goes_on_moves() {
        assert!(!still(Runtime::Jvm, |dump, _| {
            waits(dump);
            dump.thread("warm-up", &["shop.Cache.load:4"]);
        }));
        assert!(!still(Runtime::Jvm, |dump, _| {
            waits(dump);
            let state = dump.thread("again", &["java.lang.Thread.sleep", "shop.Retry.run:4"]);
            state.is(ThreadState::TimedWaiting);
        }));
        assert!(!still(Runtime::Jvm, |dump, second| {
            waits(dump);
            let line = ["shop.Step.two:1", "shop.Step.two:2"][second as usize];
            let task = "java.util.concurrent.FutureTask.run";
            dump.thread("steps", &[LATCH[0], LATCH[1], line, task]).is(ThreadState::Waiting);
        }));
    }

    #[test]
    fn one_dump_shows_no_standstill() {
        assert!(!Scene::of(Runtime::Jvm).dump(0, waits).incident().stands_still());
    }

    #[test]
    fn a_wait_that_ends_by_itself_is_no_meeting() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("for-ever", LATCH).is(ThreadState::Waiting);
                dump.thread("a-minute", LATCH).is(ThreadState::TimedWaiting);
            })
            .incident();
        let meets: Vec<bool> = incident.ids().map(|id| incident.meets(id, 0)).collect();
        assert_eq!(meets, [true, false]);
    }

    #[test]
    fn a_goroutine_whose_goroutines_have_ended_meets_nobody() {
        const WAIT: &[&str] = &["sync.(*WaitGroup).Wait", "main.answer:7"];
        let draw = |children: bool| {
            let scene = Scene::of(Runtime::Go).dump(0, |dump| {
                dump.thread("a", WAIT).is(ThreadState::Waiting);
                if children {
                    let maker = dump.thread("", &["main.answer:5"]).stack;
                    dump.dump.threads.pop();
                    dump.thread("b", &["main.load:3"]).created_by = maker;
                }
            });
            let incident = scene.incident();
            incident.meets_nobody(incident.named("a"), 0)
        };
        assert!(draw(false));
        assert!(!draw(true));
    }
}
