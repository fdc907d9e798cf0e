//! Threads of this very process, each of which knows its own chain of functions, captured and
//! unwound for real.

use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use sigquit_dump::{Truncation, Trust, UnansweredReason};

use super::{Unwinder, Unwound};
use crate::capture::{Captured, Capturer, Maps, Options, install};

/// The process's one capturer, taken in turn by the tests.
fn capturer() -> MutexGuard<'static, Capturer> {
    static CAPTURER: std::sync::OnceLock<Mutex<Capturer>> = std::sync::OnceLock::new();
    let capturer = CAPTURER.get_or_init(|| Mutex::new(install().expect("a free signal")));
    capturer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// One capture: every thread's frames, each with the function that it is in.
struct Seen {
    captured: Captured,
    threads: Vec<(i32, Unwound, Vec<u64>)>,
}

fn capture() -> Seen {
    capture_with(&mut Unwinder::default())
}

fn capture_with(unwinder: &mut Unwinder) -> Seen {
    let maps = Maps::read();
    unwinder.refresh(&maps);
    let mut threads = Vec::new();
    let options = Options { deadline: Duration::from_secs(20), ..Options::default() };
    let captured = capturer().capture(&options, &maps, &mut |answer| {
        let unwound = unwinder.unwind(answer.registers, answer.stack);
        let functions = unwound.frames.iter().map(|frame| {
            unwinder.rule(frame.lookup_address).as_ref().map_or(0, |rule| rule.function)
        });
        let functions = functions.collect();
        threads.push((answer.tid, unwound, functions));
    });
    Seen { captured: captured.expect("a capture"), threads }
}

impl Seen {
    fn thread(&self, tid: i32) -> &(i32, Unwound, Vec<u64>) {
        self.threads.iter().find(|thread| thread.0 == tid).expect("the thread has answered")
    }

    /// Asserts that a thread was followed to its root, through these functions, innermost
    /// first, one right above the other.
    fn assert_chain(&self, tid: i32, chain: &[u64]) {
        let (_, unwound, functions) = self.thread(tid);
        assert_eq!(unwound.truncated, None, "{:#x?}", unwound.frames);
        let found = functions.windows(chain.len()).any(|window| window == chain);
        assert!(found, "{chain:#x?} is not in {functions:#x?}");
        let cfas = unwound.frames.windows(2);
        assert!(cfas.clone().all(|pair| pair[0].cfa <= pair[1].cfa), "frames lie in order");
        assert!(unwound.frames.iter().skip(1).all(|frame| frame.trust == Trust::Cfi));
    }
}

/// A thread that blocks in some way until it is let go.
struct Blocked {
    tid: i32,
    release: Box<dyn FnOnce()>,
    thread: std::thread::JoinHandle<()>,
}

impl Blocked {
    fn end(self) {
        (self.release)();
        self.thread.join().expect("the thread ends well");
    }
}

fn my_tid() -> i32 {
    // SAFETY: gettid takes nothing.
    unsafe { libc::gettid() }
}

/// Starts a thread, and waits until it sleeps in the kernel.
fn blocked(
    run: impl FnOnce(&AtomicI32) + Send + 'static,
    release: impl FnOnce() + 'static,
) -> Blocked {
    let tid = Arc::new(AtomicI32::new(0));
    let thread = std::thread::spawn({
        let tid = tid.clone();
        move || run(&tid)
    });
    let sleeps = |tid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat"));
        stat.is_ok_and(|stat| stat.contains(") S "))
    };
    while tid.load(SeqCst) == 0 || !sleeps(tid.load(SeqCst)) {
        std::thread::yield_now();
    }
    Blocked { tid: tid.load(SeqCst), release: Box::new(release), thread }
}

/// `second` calls `first`, which blocks.
#[inline(never)]
fn first(tid: &AtomicI32, block: &dyn Fn()) -> u32 {
    tid.store(my_tid(), SeqCst);
    block();
    black_box(1)
}

#[inline(never)]
fn second(tid: &AtomicI32, block: &dyn Fn()) -> u32 {
    black_box(first(black_box(tid), block)) + 1
}

#[inline(never)]
fn recursion(depth: u32, tid: &AtomicI32, block: &dyn Fn()) -> u32 {
    let locals = black_box([depth; 16]);
    let deeper = match depth {
        0 => first(tid, block),
        _ => recursion(depth - 1, tid, block) + 1,
    };
    black_box(deeper) + black_box(&locals).len() as u32
}

const FIRST: fn(&AtomicI32, &dyn Fn()) -> u32 = first;
const SECOND: fn(&AtomicI32, &dyn Fn()) -> u32 = second;
const RECURSION: fn(u32, &AtomicI32, &dyn Fn()) -> u32 = recursion;

#[test]
fn a_thread_that_waits_for_a_mutex() {
    let mutex = Arc::new(Mutex::new(()));
    let guard: MutexGuard<'static, ()> = {
        // SAFETY: the mutex is leaked below, so the guard may live for ever.
        unsafe { std::mem::transmute(mutex.lock().expect("not poisoned")) }
    };
    let kept = mutex.clone();
    let thread = blocked(
        move |tid| {
            second(tid, &|| drop(mutex.lock()));
        },
        move || drop(guard),
    );
    capture().assert_chain(thread.tid, &[FIRST as usize as u64, SECOND as usize as u64]);
    thread.end();
    std::mem::forget(kept);
}

#[test]
fn a_thread_that_waits_for_a_condition() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = pair.clone();
    let wait = move || {
        let mut done = theirs.0.lock().expect("not poisoned");
        while !*done {
            done = theirs.1.wait(done).expect("not poisoned");
        }
    };
    let thread = blocked(
        move |tid| {
            recursion(30, tid, &wait);
        },
        move || {
            *pair.0.lock().expect("not poisoned") = true;
            pair.1.notify_all();
        },
    );
    let mut chain = vec![FIRST as usize as u64];
    chain.extend([RECURSION as usize as u64; 31]);
    capture().assert_chain(thread.tid, &chain);
    thread.end();
}

#[test]
fn a_thread_that_sleeps_keeps_its_sleep() {
    let thread = blocked(
        |tid| {
            let begun = std::time::Instant::now();
            second(tid, &|| std::thread::sleep(Duration::from_millis(300)));
            assert!(begun.elapsed() >= Duration::from_millis(300), "std goes on sleeping");
        },
        || {},
    );
    capture().assert_chain(thread.tid, &[FIRST as usize as u64, SECOND as usize as u64]);
    thread.end();
}

#[test]
fn a_thread_deep_in_recursion_says_that_the_copy_ended() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let thread = blocked(
        move |tid| {
            recursion(3000, tid, &|| assert!(gate.lock().expect("not poisoned").recv().is_err()));
        },
        move || drop(release),
    );
    let seen = capture();
    let (_, unwound, _) = seen.thread(thread.tid);
    assert_eq!(unwound.truncated, Some(Truncation::StackCopyEnded));
    assert!(unwound.frames.len() > 100);
    thread.end();
}

#[test]
fn a_thread_that_blocks_every_signal_is_explained_and_not_sent_a_second() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let thread = blocked(
        move |tid| {
            // SAFETY: blocks this thread's signals, in a set that the call fills.
            unsafe {
                let mut all = std::mem::zeroed();
                libc::sigfillset(&mut all);
                libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            }
            second(tid, &|| assert!(gate.lock().expect("not poisoned").recv().is_err()));
        },
        move || drop(release),
    );
    for _ in 0..3 {
        let seen = capture();
        let (_, why) =
            seen.captured.unanswered.iter().find(|(tid, _)| *tid == thread.tid).expect("silent");
        assert_eq!(why.reason, UnansweredReason::SignalBlocked);
        assert_eq!(why.kernel_state, Some('S'));
    }
    let queued = std::fs::read_to_string("/proc/self/status").expect("a status");
    let queued = queued.lines().find_map(|line| line.strip_prefix("SigQ:")).expect("a field");
    let count: u32 = queued.split('/').next().and_then(|n| n.trim().parse().ok()).expect("n/m");
    assert!(count < 10, "signals pile up: {queued}");
    thread.end();
}

#[test]
fn a_thread_inside_malloc_and_free() {
    static STOP: AtomicBool = AtomicBool::new(false);
    static TID: AtomicI32 = AtomicI32::new(0);
    #[inline(never)]
    fn allocate() -> usize {
        let mut sum = 0;
        while !STOP.load(SeqCst) {
            let sizes = [24_usize, 4000, 70_000, 1 << 20];
            sum += sizes.iter().map(|&size| black_box(vec![1_u8; size]).len()).sum::<usize>();
        }
        sum
    }
    let thread = std::thread::spawn(|| {
        TID.store(my_tid(), SeqCst);
        allocate()
    });
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let mut unwinder = Unwinder::default();
    for _ in 0..100 {
        let seen = capture_with(&mut unwinder);
        let (_, unwound, functions) = seen.thread(TID.load(SeqCst));
        assert_eq!(unwound.truncated, None, "{:#x?}", unwound.frames);
        assert!(functions.contains(&(allocate as *const () as u64)), "{functions:#x?}");
    }
    STOP.store(true, SeqCst);
    assert!(thread.join().is_ok());
}

#[test]
fn threads_that_come_and_go() {
    let stop = Arc::new(AtomicBool::new(false));
    let born = Arc::new(AtomicU32::new(0));
    let spawner = std::thread::spawn({
        let (stop, born) = (stop.clone(), born.clone());
        move || {
            while !stop.load(SeqCst) {
                let child = std::thread::spawn(|| black_box(1));
                born.fetch_add(1, SeqCst);
                assert!(child.join().is_ok());
            }
        }
    });
    let mut unwinder = Unwinder::default();
    while born.load(SeqCst) < 100 {
        let seen = capture_with(&mut unwinder);
        for (tid, why) in &seen.captured.unanswered {
            assert_eq!(why.reason, UnansweredReason::SignalBlocked, "thread {tid}: {why:?}");
        }
    }
    stop.store(true, SeqCst);
    assert!(spawner.join().is_ok());
}

#[test]
fn libraries_that_come_and_go() {
    let stop = Arc::new(AtomicBool::new(false));
    let loads = Arc::new(AtomicU32::new(0));
    let loader = std::thread::spawn({
        let (stop, loads) = (stop.clone(), loads.clone());
        move || {
            while !stop.load(SeqCst) {
                // SAFETY: a library without initialisers that matter, opened and closed.
                unsafe {
                    let library = libc::dlopen(c"libutil.so.1".as_ptr(), libc::RTLD_NOW);
                    if !library.is_null() {
                        libc::dlclose(library);
                    }
                }
                loads.fetch_add(1, SeqCst);
            }
        }
    });
    let mut unwinder = Unwinder::default();
    for _ in 0..50 {
        let seen = capture_with(&mut unwinder);
        assert!(seen.captured.capture.answered > 0);
    }
    stop.store(true, SeqCst);
    assert!(loader.join().is_ok());
    assert!(loads.load(SeqCst) > 0);
}
