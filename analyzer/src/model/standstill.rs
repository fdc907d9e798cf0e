//! Whether anything in a process moves from dump to dump, and who waits meanwhile for others of
//! the program to come or to be done.
//!
//! A latch, a barrier, a future or a wait group has no owner, so no chain of waits leads to who is
//! late. What can be seen is whether anybody is at work: where two dumps or more show everyone
//! idle or in one and the same wait, and counters of CPU time do not speak against it, nobody of the program is on the
//! way to end it. What comes from outside still can, and a timer.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_dump::{Kind, LockId, LockKind, Nanos, Runtime, ThreadState, WaitFor};

use super::activity::Activity;
use super::call::{Call, Origin};
use super::contention::A_BREATH;
use super::idle::{self, Idle, Marks};
use super::incident::{Incident, MemberId};
use super::pattern::matches_any;

/// The same for each second in the queue for a monitor, whose first looks at it by itself once a second.
const A_LOOK: Nanos = Nanos(100_000);
/// The same for each dump that the thread itself had to answer.
const AN_ANSWER: Nanos = Nanos(5_000_000);

/// Waiting for others to arrive, to be done, or to give something back.
const MEETINGS: &[&str] = &[
    "java.util.concurrent.Semaphore.acquire*",
    "java.util.concurrent.CountDownLatch.await",
    "java.util.concurrent.CyclicBarrier.*await",
    "java.util.concurrent.Phaser.arriveAndAwaitAdvance",
    "java.util.concurrent.Phaser.await*",
    "java.util.concurrent.Exchanger.exchange",
    "sync.(*WaitGroup).Wait",
    "golang.org/x/sync/errgroup.(*Group).Wait",
    "std::sync::*arrier::wait",
];

/// How Go says that a goroutine waits for a receiver.
const SENDS: &str = "chan send";

/// Those of them at which whoever comes waits for the others.
const BARRIERS: &[&str] = &[
    "java.util.concurrent.CyclicBarrier.*await",
    "java.util.concurrent.Phaser.arriveAndAwaitAdvance",
    "std::sync::*arrier::wait",
];

/// Those of them that count who has begun and is to be done.
const GROUPS: &[&str] = &["sync.(*WaitGroup).Wait", "golang.org/x/sync/errgroup.(*Group).Wait"];

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
    /// nobody asleep for a time that then ends, nobody who came, went or used CPU time in between.
    /// Timers may be pending: see [`Incident::awaits_time`].
    pub fn stands_still(&self) -> bool {
        let still = || self.dumps.len() > 1 && self.ids().all(|id| self.rests(id));
        *self.still.get_or_init(still)
    }

    /// Connections come and go with whoever asks for the dumps; a pool's workers do not.
    fn rests(&self, id: MemberId) -> bool {
        let shown = || (0..self.dumps.len()).filter(|&dump| self.thread(id, dump).is_some());
        let is = |dump, idle: Idle| self.idle(id, dump) == Some(idle);
        if shown().all(|dump| is(dump, Idle::Helper) || is(dump, Idle::Listener)) {
            return true;
        }
        let idle = |dump| match self.idle(id, dump) {
            Some(_) => self.activity(id, dump) != Activity::Sleeping,
            None => self.joins(id, dump),
        };
        let timer = || shown().all(|dump| is(dump, Idle::Timer));
        // A library's timer sleeps until what is due next; whether something is, `awaits_time` says.
        let of_library = |dump| self.marks(id, dump).any(Marks::is_timer);
        if timer() && shown().all(of_library) {
            return true;
        }
        self.in_all_dumps(id) && shown().all(idle) && (timer() || !self.ran(id))
            || self.waits_throughout(id)
    }

    /// Whether a timer of the program, or a worker of a pool with tasks that are due later, waits for a time that will
    /// come: then it may wake others.
    pub fn awaits_time(&self) -> bool {
        let newest = self.dumps.len() - 1;
        let timed = |id| {
            let thread = self.thread(id, newest);
            thread.is_some_and(|thread| thread.state == ThreadState::TimedWaiting)
        };
        let timer = |id| match self.idle(id, newest) {
            Some(Idle::Timer) => true,
            Some(Idle::Worker) => self.marks(id, newest).any(Marks::is_timer),
            _ => false,
        };
        self.shown(newest).any(|id| timed(id) && timer(id))
    }

    /// Whether counters show that a member did something between the dumps.
    pub fn ran(&self, id: MemberId) -> bool {
        let answers =
            |dump| self.thread(id, dump).is_some_and(|thread| thread.stack_pointer.is_some());
        let between = self.dumps.len().saturating_sub(1) as u64;
        let for_nothing = match (0..self.dumps.len()).any(answers) {
            true => Nanos(AN_ANSWER.0 * between),
            false => self.breath(id, 0, self.dumps.len() - 1),
        };
        self.cpu_used(id).is_some_and(|(used, _)| used > for_nothing)
    }

    /// The most CPU time that a thread needs between two dumps to stay in a wait.
    pub(super) fn breath(&self, id: MemberId, from: usize, to: usize) -> Nanos {
        let blocked =
            |dump| self.thread(id, dump).is_some_and(|thread| thread.state == ThreadState::Blocked);
        let looks = self.process.runtime == Runtime::Jvm && (from..=to).all(blocked);
        let seconds = self.between(from, to, id).map_or(0, |time| time.0.div_ceil(1_000_000_000));
        Nanos(A_BREATH.0 + if looks { A_LOOK.0.saturating_mul(seconds) } else { 0 })
    }

    /// Whether it is counted that a member did nothing between the dumps, or in the last minute, and not only
    /// read from its stacks.
    pub fn is_known_to_stand(&self, id: MemberId) -> bool {
        let newest = self.dumps.len() - 1;
        let waited = self.thread(id, newest).and_then(|thread| thread.waiting_since);
        !self.ran(id) && (self.cpu_used(id).is_some() || waited > Some(Nanos(0)))
    }

    /// Whether every dump shows a member waiting in one and the same call for what others give, in the process or
    /// outside of it, without CPU time used in between.
    pub fn waits_throughout(&self, id: MemberId) -> bool {
        let waits = |dump| {
            let activity = self.activity(id, dump);
            use Activity::{ChildProcess, Event, Lock, Network};
            matches!(activity, Lock | Event | Network | ChildProcess)
        };
        self.in_all_dumps(id)
            && (0..self.dumps.len()).all(waits)
            && !self.ran(id)
            && self.same_activation(id).is_some_and(|activation| activation.whole)
    }

    /// Whether a member waits throughout, and is known not to have gone on: by counters, or by the values on its stack.
    pub fn is_seen_to_stand(&self, id: MemberId) -> bool {
        self.waits_throughout(id) && (self.is_known_to_stand(id) || self.stays(id))
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

    /// Whether a member waits, for as long as it takes, where all that are to meet wait for each other.
    pub fn is_at_barrier(&self, id: MemberId, dump: usize) -> bool {
        let mut inner = self.calls(id, dump).take_while(|call| call.origin != Origin::Application);
        self.meets(id, dump) && inner.any(|call| matches_any(BARRIERS, &call.function))
    }

    /// Whether a goroutine waits for others and none is there whom it or its own maker has made, but for those that
    /// wait in the same place: whom it waits for has ended without a word.
    pub fn meets_nobody(&self, id: MemberId, dump: usize) -> bool {
        let place = |id| self.application_calls(id, dump).next().map(|call| &call.function);
        let may_come = |other| {
            let idle = self.idle(other, dump);
            !matches!(idle, Some(Idle::Listener | Idle::Helper))
                && place(other) != place(id)
                && self.are_near(id, other, dump)
        };
        self.process.runtime == Runtime::Go
            && self.meets(id, dump)
            && !self.shown(dump).any(|other| other != id && may_come(other))
    }

    /// The only one who is in a function that is not the runtime's, if it waits for others of the program, as a part of
    /// what its main function does: those for whom it waits have ended, or never begun. A wait in the main function
    /// itself may be there to keep the process alive; and so may any latch where somebody listens to what is outside,
    /// but not a group of those who are to be done.
    pub fn left_alone(&self, dump: usize) -> Option<MemberId> {
        let acts = |&id: &MemberId| {
            self.idle(id, dump) != Some(Idle::Helper)
                && self.calls(id, dump).any(|call| call.origin != Origin::Runtime)
        };
        let mut acting = self.shown(dump).filter(acts);
        let only = acting.next().filter(|_| acting.next().is_none())?;
        let inner = self.application_calls(only, dump).count() > 1;
        let counts = self.calls(only, dump).any(|call| matches_any(GROUPS, &call.function));
        let waits = self.meets(only, dump) && !self.runs_task(only, dump);
        (inner && waits && (counts || !self.listens(dump))).then_some(only)
    }

    /// At which lock a member waits, for as long as it takes, to be notified.
    pub fn awaits_notice(&self, id: MemberId, dump: usize) -> Option<LockId> {
        let thread = self.thread(id, dump)?;
        let wait = thread.wait.as_ref()?;
        let untimed = thread.state != ThreadState::TimedWaiting;
        (untimed && wait.wait_for == WaitFor::Notification).then_some(wait.lock)
    }

    /// Those who wait, for as long as it takes, to be notified at a monitor or a condition at which others wait in
    /// another function: each for what the other was to bring about. Alone, one of them would be a worker without work.
    pub fn wait_for_each_others_notice(&self, dump: usize) -> BTreeSet<MemberId> {
        let mut places: BTreeMap<LockId, BTreeMap<&str, Vec<MemberId>>> = BTreeMap::new();
        let may_wait = |&id: &MemberId| matches!(self.idle(id, dump), None | Some(Idle::Consumer));
        for id in self.shown(dump).filter(may_wait) {
            let place = self.application_calls(id, dump).next();
            if let Some((lock, place)) = self.awaits_notice(id, dump).zip(place) {
                let at = places.entry(lock).or_default();
                at.entry(&place.function).or_default().push(id);
            }
        }
        let crosswise = places.into_values().filter(|at| at.len() > 1);
        crosswise.flat_map(BTreeMap::into_values).flatten().collect()
    }

    /// Whether one goroutine has made the other, or the same one has made both. Older dumps name the
    /// function that made a goroutine only.
    fn are_near(&self, id: MemberId, other: MemberId, dump: usize) -> bool {
        let Some((this, that)) = self.thread(id, dump).zip(self.thread(other, dump)) else {
            return false;
        };
        if that.parent.is_some() {
            return that.parent == this.number || that.parent == this.parent;
        }
        self.creator(other, dump).is_some_and(|maker| {
            self.calls(id, dump)
                .chain(self.creator(id, dump))
                .any(|call| call.function == maker.function)
        })
    }

    /// Whether a goroutine waits for a receiver of what it sends.
    pub fn sends(&self, id: MemberId, dump: usize) -> bool {
        self.thread(id, dump).is_some_and(|thread| thread.state_text.starts_with(SENDS))
    }

    /// Whether a goroutine may take what another one sends: it waits in a channel of which nothing is known.
    pub fn may_receive(&self, id: MemberId, dump: usize) -> bool {
        let waits = |state: &str| {
            (state.starts_with("chan receive") || state.starts_with("select"))
                && !state.contains("nil chan")
                && !state.contains("no cases")
        };
        !matches!(self.idle(id, dump), Some(Idle::Listener | Idle::Helper))
            && self.thread(id, dump).is_some_and(|thread| waits(&thread.state_text))
    }

    /// Whether somebody waits for what comes from outside, which may wake others: connections, the answer of a peer,
    /// the end of a child process.
    pub fn listens(&self, dump: usize) -> bool {
        let outside =
            |id| matches!(self.activity(id, dump), Activity::Network | Activity::ChildProcess);
        self.shown(dump).any(|id| match self.idle(id, dump) {
            Some(idle) => idle == Idle::Listener,
            None => outside(id),
        })
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
    fn what_a_library_sleeps_for_is_no_work_of_the_programs() {
        let sleeps = |function: &str| {
            still(Runtime::Jvm, |dump, second| {
                waits(dump);
                let thread = dump.thread("sleeper", &["java.lang.Thread.sleep", function]);
                thread.is(ThreadState::TimedWaiting).cpu = Some(Nanos(5_000_000 * second));
            })
        };
        assert!(sleeps("org.apache.catalina.core.StandardServer.await"));
        assert!(sleeps("io.netty.util.HashedWheelTimer$Worker.run"));
        assert!(!sleeps("shop.Refresh.run"), "it will do something");
    }

    #[test]
    fn who_is_first_in_the_queue_for_a_monitor_looks_at_it_now_and_then() {
        let used = |micros: u64| {
            still(Runtime::Jvm, move |dump, second| {
                let thread = dump.thread("request-1", &["shop.Stock.take:4"]);
                thread.is(ThreadState::Blocked).cpu = Some(Nanos(900_000 + 1000 * micros * second));
            })
        };
        assert!(used(90));
        assert!(!used(300), "it got it and came again");
    }

    #[test]
    fn who_used_cpu_time_or_has_come_moves() {
        let used = |micros: u64| {
            still(Runtime::Jvm, move |dump, second| {
                let thread = dump.thread("request-1", LATCH).is(ThreadState::Waiting);
                thread.cpu = Some(Nanos(900_000 + 1000 * micros * second));
            })
        };
        assert!(used(0));
        assert!(!used(60), "it waits at that line again");
        assert!(!still(Runtime::Jvm, |dump, second| {
            waits(dump);
            const IDLE: &[&str] = &["java.util.concurrent.ThreadPoolExecutor.getTask"];
            dump.thread(["pool-1", "pool-2"][second as usize], IDLE).is(ThreadState::Waiting);
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

    fn alone_beside(own: &[&str], other: &[&str]) -> bool {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("main", own).is(ThreadState::Waiting);
                dump.thread("other", other);
            })
            .incident();
        incident.left_alone(0).is_some()
    }

    #[test]
    fn who_waits_where_nobody_else_is_in_the_programs_code_is_left_alone() {
        const SERVED: &[&str] = &["sun.nio.ch.Net.accept", "java.lang.Thread.run"];
        let loads = [LATCH[0], LATCH[1], "shop.Parts.load:9", "shop.Main.main:3"];
        assert!(alone_beside(&loads, &["java.lang.ref.Reference.waitForReferencePendingList"]));
        assert!(!alone_beside(&loads, SERVED), "the server's end may be what it waits for");
        assert!(!alone_beside(&loads, &["shop.Web.run:4"]));
        assert!(!alone_beside(&loads, &["sun.nio.ch.Net.accept", "org.eclipse.jetty.run"]));
        assert!(!alone_beside(&[LATCH[0], LATCH[1], "shop.Main.main:3"], &[]));
    }

    #[test]
    fn givers_and_takers_at_one_monitor_wait_for_each_other() {
        let waiting = |takes: &str, state: ThreadState| {
            let draw = |dump: &mut Moment| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                for (name, place) in [("a", "shop.Belt.put:4"), ("b", takes)] {
                    let thread = dump.thread(name, &["java.lang.Object.wait", place]);
                    thread.waits(lock, WaitFor::Notification).is(state);
                }
            };
            let incident = Scene::of(Runtime::Jvm).dump(0, draw).incident();
            incident.wait_for_each_others_notice(0).len()
        };
        assert_eq!(waiting("shop.Belt.take:7", ThreadState::Waiting), 2);
        assert_eq!(waiting("shop.Belt.put:4", ThreadState::Waiting), 0, "workers without work");
        assert_eq!(waiting("shop.Belt.take:7", ThreadState::TimedWaiting), 0);
    }

    /// A goroutine that waits for others, beside one of which is known by whom it was made.
    fn meets_nobody_beside(parent: Option<u64>, maker: &str, stack: &[&str]) -> bool {
        const WAIT: &[&str] = &["sync.(*WaitGroup).Wait", "main.answer:7"];
        let goroutine = |dump: &mut Moment, number: u64, parent: Option<u64>, maker, stack| {
            let made = dump.thread("", &[maker]).stack;
            dump.dump.threads.pop();
            let thread = dump.thread("", stack).is(ThreadState::Waiting);
            (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
            (thread.created_by, thread.parent) = (made, parent);
        };
        let scene = Scene::of(Runtime::Go).dump(0, |dump| {
            goroutine(dump, 9, parent.map(|_| 1), "main.main:30", WAIT);
            goroutine(dump, 12, parent, maker, stack);
        });
        let incident = scene.incident();
        let waits = incident.ids().find(|&id| incident.member(id).id == "9").expect("it is there");
        incident.meets_nobody(waits, 0)
    }

    #[test]
    fn a_goroutine_whose_goroutines_have_ended_meets_nobody() {
        const LOADS: &[&str] = &["main.load:3"];
        assert!(meets_nobody_beside(Some(4), "main.other:5", LOADS), "no kin of it");
        assert!(meets_nobody_beside(None, "main.other:5", LOADS));
        assert!(meets_nobody_beside(Some(1), "main.main:30", &["main.answer:7"]), "one like it");
        let accepts = &["internal/poll.runtime_pollWait", "internal/poll.(*FD).Accept"];
        assert!(meets_nobody_beside(Some(1), "main.main:30", accepts));
        assert!(!meets_nobody_beside(Some(9), "sync.(*WaitGroup).Go:5", LOADS), "it made that one");
        assert!(!meets_nobody_beside(Some(1), "main.main:31", LOADS), "both were made by one");
        assert!(!meets_nobody_beside(None, "main.answer:5", LOADS));
    }
}
