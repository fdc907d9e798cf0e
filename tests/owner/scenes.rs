//! What threads do with a lock that others wait for: those that hold it, those that only look
//! as if, and those that wait.

use std::collections::HashMap;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use super::gate::{Door, Gate};
use super::locks::Lock;

/// What one thread does with a lock. It passes the gate when it is where it is to be seen.
pub type Scene<L> = fn(&Place<L>, &Gate);

/// A lock among other things, as programs have them.
#[derive(Default)]
pub struct Place<L> {
    /// The lock.
    pub lock: L,
    /// For `Condvar`s and the like of the scene.
    pub after: u64,
}

impl<L: Lock> Door for Place<L> {
    #[inline(never)]
    fn pass(&self) {
        drop(self.lock.want());
    }
}

/// The scenes in which the thread holds the lock when it is at the gate.
pub fn owners<L: Lock>() -> Vec<(&'static str, Scene<L>)> {
    vec![
        ("plain", plain),
        ("plain, spinning", spinning),
        ("boxed", boxed),
        ("in a vector", vector),
        ("in a closure", closure),
        ("behind a drop flag", drop_flag),
        ("passed on by value", by_value),
        ("passed on by reference", by_reference),
        ("in a structure with methods", structure),
        ("taken again in a loop", relock),
        ("taken by an accessor", accessor),
        ("taken by an accessor in a structure", session),
        ("early return", early_return),
        ("work before the release", work_before),
        ("with another lock inside", two_locks),
        ("in an option", option),
        ("in a future", future),
        ("in a suspended future", suspended),
    ]
}

/// The scenes in which it holds the lock and cannot be found, by the limits of the method.
pub fn hidden_owners<L: Lock>() -> Vec<(&'static str, Scene<L>)> {
    vec![("in a map", map), ("for ever", for_ever)]
}

/// The scenes in which it does not hold it.
pub fn bystanders<L: Lock>() -> Vec<(&'static str, Scene<L>)> {
    vec![
        ("locked before", before),
        ("will lock later", later),
        ("locks in a loop", loops),
        ("will call an accessor", accessor_later),
        ("calls an accessor in a loop", accessor_loop),
        ("calls a long accessor in a loop", long_accessor_loop),
        ("gets a structure in a loop", session_loop),
        ("has an empty option that was full", emptied_option),
        ("has an empty box that was full", emptied_box),
        ("locks on a condition that does not hold", conditional),
        ("holds another lock", other),
        ("knows the place", knows),
        ("passed its guard away", gave_away),
        ("empties a vector", emptied_vector),
        ("has a future that will lock", future_later),
        ("has a future that locks in a loop", future_loop),
    ]
}

#[inline(never)]
fn plain<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = place.lock.take();
    guard.fetch_add(1, Relaxed);
    gate.wait();
    guard.fetch_add(1, Relaxed);
}

#[inline(never)]
fn spinning<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = place.lock.take();
    gate.arrive();
    let mut sum = 0_u64;
    while !gate.is_open() {
        sum = black_box(sum.wrapping_mul(31) + 7);
    }
    guard.fetch_add(sum, Relaxed);
}

#[inline(never)]
fn boxed<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut guard = black_box(Box::new(Some(place.lock.take())));
    gate.wait();
    guard.take();
    black_box(&guard);
}

#[inline(never)]
fn vector<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guards = vec![place.lock.take()];
    black_box(guards.as_ptr());
    gate.wait();
    drop(guards);
}

#[inline(never)]
fn closure<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = place.lock.take();
    let run: Box<dyn FnOnce() + '_> = Box::new(move || {
        gate.wait();
        guard.fetch_add(1, Relaxed);
    });
    black_box(run)();
}

#[inline(never)]
fn drop_flag<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = place.lock.take();
    gate.wait();
    if black_box(place.after) == 77 {
        drop(guard);
        black_box(1);
    } else {
        black_box(2);
        guard.fetch_add(1, Relaxed);
    }
    black_box(3);
}

#[inline(never)]
fn by_value<L: Lock>(place: &Place<L>, gate: &Gate) {
    #[inline(never)]
    fn callee<L: Lock>(guard: L::Guard<'_>, gate: &Gate) -> u64 {
        gate.wait();
        guard.fetch_add(1, Relaxed)
    }
    let guard = place.lock.take();
    black_box(callee::<L>(guard, gate));
}

#[inline(never)]
fn by_reference<L: Lock>(place: &Place<L>, gate: &Gate) {
    #[inline(never)]
    fn callee<L: Lock>(guard: &mut L::Guard<'_>, gate: &Gate) -> u64 {
        gate.wait();
        guard.fetch_add(1, Relaxed)
    }
    let mut guard = place.lock.take();
    black_box(callee::<L>(&mut guard, gate));
    guard.fetch_add(2, Relaxed);
    black_box(callee::<L>(&mut guard, gate));
}

struct Session<'a, L: Lock> {
    steps: [u64; 4],
    guard: L::Guard<'a>,
}

impl<'a, L: Lock> Session<'a, L> {
    #[inline(never)]
    fn open(place: &'a Place<L>) -> Session<'a, L> {
        Session { steps: [place.after; 4], guard: place.lock.take() }
    }

    #[inline(never)]
    fn step(&mut self, gate: &Gate) {
        self.steps[1] += self.guard.fetch_add(1, Relaxed);
        gate.wait();
        self.steps[2] += 1;
    }
}

#[inline(never)]
fn structure<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut session: Session<'_, L> = Session { steps: [1, 2, 3, 4], guard: place.lock.take() };
    session.step(gate);
    black_box(session.steps[0]);
}

#[inline(never)]
fn relock<L: Lock>(place: &Place<L>, gate: &Gate) {
    for round in 0..black_box(4_u64) {
        let guard = place.lock.take();
        guard.fetch_add(round, Relaxed);
        if round == 2 {
            gate.wait();
        }
    }
}

#[inline(never)]
fn guard_of<L: Lock>(place: &Place<L>) -> L::Guard<'_> {
    place.lock.take()
}

#[inline(never)]
fn accessor<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = guard_of(place);
    gate.wait();
    guard.fetch_add(1, Relaxed);
}

#[inline(never)]
fn session<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut session = Session::open(place);
    session.steps[3] += 1;
    gate.wait();
    session.guard.fetch_add(session.steps[3], Relaxed);
}

#[inline(never)]
fn early_return<L: Lock>(place: &Place<L>, gate: &Gate) {
    let run = || -> Option<u64> {
        let guard = place.lock.take();
        gate.wait();
        let text = black_box(guard.load(Relaxed)).to_string();
        let number: u64 = text.parse().ok()?;
        let rest = number.checked_sub(black_box(1))?;
        guard.store(rest, Relaxed);
        Some(rest)
    };
    black_box(run());
}

#[inline(never)]
fn work_before<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = place.lock.take();
    gate.wait();
    let mut text = String::new();
    for number in 0..black_box(3) {
        text += &format!("{number} of {}, ", guard.load(Relaxed));
    }
    black_box(text);
}

#[inline(never)]
fn two_locks<L: Lock>(place: &Place<L>, gate: &Gate) {
    let other = black_box(Box::new(L::default()));
    let outer = place.lock.take();
    for _ in 0..black_box(2) {
        let inner = other.take();
        inner.fetch_add(1, Relaxed);
        gate.wait();
    }
    outer.fetch_add(1, Relaxed);
}

#[inline(never)]
fn option<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut slot = None;
    if black_box(place.after) == 0 {
        slot = Some(place.lock.take());
    }
    gate.wait();
    if let Some(guard) = slot.take() {
        guard.fetch_add(1, Relaxed);
    }
    black_box(place.after);
}

/// Ready when it is polled again.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// Something to be polled, as executors keep it.
type Task<'a> = Pin<Box<dyn Future<Output = u64> + 'a>>;

fn poll(task: &mut Task<'_>) -> Poll<u64> {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The guard is kept across an await; the task is being polled.
#[inline(never)]
fn future<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut task: Task<'_> = black_box(Box::pin(async {
        let guard = place.lock.take();
        Yield(false).await;
        gate.wait();
        guard.fetch_add(1, Relaxed)
    }));
    while poll(&mut task).is_pending() {}
}

/// The guard is kept across an await; the task waits to be polled again.
#[inline(never)]
fn suspended<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut task: Task<'_> = black_box(Box::pin(async {
        let guard = place.lock.take();
        Yield(false).await;
        guard.fetch_add(1, Relaxed)
    }));
    assert!(poll(&mut task).is_pending());
    gate.wait();
    while poll(&mut task).is_pending() {}
}

#[inline(never)]
fn map<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut guards = HashMap::new();
    guards.insert(black_box(1_u64), place.lock.take());
    gate.wait();
    drop(guards);
}

/// No way leads from here to the release.
#[inline(never)]
fn for_ever<L: Lock>(place: &Place<L>, gate: &Gate) {
    let guard = place.lock.take();
    loop {
        gate.wait();
        std::thread::sleep(std::time::Duration::from_millis(5));
        guard.fetch_add(1, Relaxed);
    }
}

#[inline(never)]
fn before<L: Lock>(place: &Place<L>, gate: &Gate) {
    place.lock.take().fetch_add(1, Relaxed);
    gate.wait();
    black_box(place.after);
}

#[inline(never)]
fn later<L: Lock>(place: &Place<L>, gate: &Gate) {
    gate.wait();
    place.lock.take().fetch_add(1, Relaxed);
}

#[inline(never)]
fn loops<L: Lock>(place: &Place<L>, gate: &Gate) {
    for round in 0..black_box(3_u64) {
        place.lock.take().fetch_add(round, Relaxed);
        gate.wait();
    }
}

#[inline(never)]
fn accessor_later<L: Lock>(place: &Place<L>, gate: &Gate) {
    gate.wait();
    guard_of(place).fetch_add(1, Relaxed);
}

#[inline(never)]
fn accessor_loop<L: Lock>(place: &Place<L>, gate: &Gate) {
    for round in 0..black_box(3_u64) {
        guard_of(place).fetch_add(round, Relaxed);
        gate.wait();
    }
}

/// Too long to be followed when it is called.
#[inline(never)]
fn long_accessor<L: Lock>(lock: &L) -> L::Guard<'_> {
    black_box(format!("{} and {}", black_box(1), black_box(2)));
    black_box(format!("{:?} and {:?}", black_box("a"), black_box(2.0)));
    lock.take()
}

#[inline(never)]
fn long_accessor_loop<L: Lock>(place: &Place<L>, gate: &Gate) {
    for round in 0..black_box(3_u64) {
        long_accessor(&place.lock).fetch_add(round, Relaxed);
        gate.wait();
    }
}

#[inline(never)]
fn session_loop<L: Lock>(place: &Place<L>, gate: &Gate) {
    #[inline(never)]
    fn open<L: Lock>(place: &Place<L>) -> Session<'_, L> {
        let guard = long_accessor(&place.lock);
        Session { steps: [place.after; 4], guard }
    }
    for round in 0..black_box(3_u64) {
        let session = open(place);
        session.guard.fetch_add(round + session.steps[2], Relaxed);
        drop(session);
        gate.wait();
    }
}

#[inline(never)]
fn fill<'a, L: Lock>(slot: &mut Option<L::Guard<'a>>, place: &'a Place<L>) {
    *slot = Some(long_accessor(&place.lock));
}

#[inline(never)]
fn emptied_option<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut slot = None;
    for _ in 0..black_box(3) {
        fill(&mut slot, place);
        slot = None;
        gate.wait();
    }
    black_box(slot.is_some());
}

#[inline(never)]
fn emptied_box<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut slot = black_box(Box::new(None));
    for _ in 0..black_box(3) {
        fill(&mut slot, place);
        *slot = None;
        gate.wait();
    }
    black_box(slot.is_some());
}

#[inline(never)]
fn conditional<L: Lock>(place: &Place<L>, gate: &Gate) {
    let wanted = black_box(place.after) == 1;
    place.lock.take().fetch_add(1, Relaxed);
    gate.wait();
    let guard = wanted.then(|| place.lock.take());
    black_box(place.after);
    if let Some(guard) = guard {
        guard.fetch_add(1, Relaxed);
    }
}

#[inline(never)]
fn other<L: Lock>(place: &Place<L>, gate: &Gate) {
    drop(place.lock.take());
    let other = black_box(Box::new(L::default()));
    let guard = other.take();
    gate.wait();
    guard.fetch_add(1, Relaxed);
    drop(guard);
    drop(place.lock.take());
}

#[inline(never)]
fn knows<L: Lock>(place: &Place<L>, gate: &Gate) {
    let lock = black_box(&place.lock);
    gate.wait();
    black_box(lock);
}

#[inline(never)]
fn gave_away<L: Lock>(place: &Place<L>, gate: &Gate) {
    #[inline(never)]
    fn takes<L: Lock>(guard: L::Guard<'_>) -> u64 {
        guard.fetch_add(1, Relaxed)
    }
    for _ in 0..black_box(3) {
        let guard = place.lock.take();
        let done = takes::<L>(guard);
        gate.wait();
        black_box(done);
    }
}

#[inline(never)]
fn emptied_vector<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut guards: Vec<L::Guard<'_>> = Vec::with_capacity(2);
    for _ in 0..black_box(3) {
        guards.push(place.lock.take());
        black_box(guards.as_ptr());
        guards.clear();
        gate.wait();
    }
    black_box(guards.len());
}

/// Between two polls of a task that will lock when it is polled again.
#[inline(never)]
fn future_later<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut task: Task<'_> = black_box(Box::pin(async {
        Yield(false).await;
        let guard = place.lock.take();
        Yield(false).await;
        guard.fetch_add(1, Relaxed)
    }));
    assert!(poll(&mut task).is_pending());
    gate.wait();
    while poll(&mut task).is_pending() {}
}

/// In the poll of a task that had the lock across an await, and will have it again.
#[inline(never)]
fn future_loop<L: Lock>(place: &Place<L>, gate: &Gate) {
    let mut task: Task<'_> = black_box(Box::pin(async {
        let mut sum = 0;
        for _ in 0..black_box(2) {
            let guard = place.lock.take();
            Yield(false).await;
            sum += guard.fetch_add(1, Relaxed);
            drop(guard);
            gate.wait();
            Yield(false).await;
        }
        sum
    }));
    while poll(&mut task).is_pending() {}
}

/// The scenes in which it waits for the lock.
pub fn waiters<L: Lock>() -> Vec<(&'static str, Scene<L>)> {
    vec![
        ("waits", wait),
        ("waits in an accessor", wait_in_accessor),
        ("waits for a guard", wait_for_guard),
    ]
}

/// Waits for the lock at once.
#[inline(never)]
fn wait<L: Lock>(place: &Place<L>, _: &Gate) {
    drop(place.lock.want());
}

/// Waits in an accessor, several times in its life.
#[inline(never)]
fn wait_in_accessor<L: Lock>(place: &Place<L>, gate: &Gate) {
    for _ in 0..black_box(2) {
        want_of(place);
        black_box(gate);
    }
}

#[inline(never)]
fn want_of<L: Lock>(place: &Place<L>) {
    drop(place.lock.want());
}

/// Waits in an accessor that returns a guard.
#[inline(never)]
fn wait_for_guard<L: Lock>(place: &Place<L>, _: &Gate) {
    for round in 0..black_box(2_u64) {
        long_wanted(&place.lock).fetch_add(round, Relaxed);
    }
}

/// Too long to be followed when it is called.
#[inline(never)]
fn long_wanted<L: Lock>(lock: &L) -> L::Wanted<'_> {
    black_box(format!("{} and {}", black_box(1), black_box(2)));
    lock.want()
}

/// Holds the lock and wants it again.
#[inline(never)]
pub fn itself<L: Lock>(place: &Place<L>, _: &Gate) {
    let guard = place.lock.take();
    want_of(place);
    guard.fetch_add(1, Relaxed);
}
