//! Threads of this very process, each of which knows its own chain of functions, captured and
//! unwound for real.

use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use sigquit_dump::{Truncation, Trust, UnansweredReason};

use super::{Unwinder, Unwound};
use crate::capture::{Captured, Capturer, Maps, Options, install, recurrence};

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
            unwinder.rule(frame.lookup_address).as_ref().map_or(0, |rule| rule.function.start)
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
            let queued = queued_signals();
            let once = |signal| queued.iter().filter(|&other| other == signal).count() == 1;
            assert!(!queued.is_empty() && queued.iter().all(once), "{queued:?}");
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
    thread.end();
}

/// Takes all signals that are queued for this thread, which blocks them. (What `SigQ` in the
/// process's status counts is of all the user's processes, and their timers are counted with it.)
fn queued_signals() -> Vec<i32> {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set is filled by the call before it is used; the times outlive the calls.
    let next = || unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigtimedwait(&all, std::ptr::null_mut(), &at_once)
    };
    std::iter::repeat_with(next).take_while(|&signal| signal > 0).collect()
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

#[test]
fn the_main_thread() {
    let seen = capture();
    // SAFETY: getpid takes nothing.
    let (_, unwound, _) = seen.thread(unsafe { libc::getpid() });
    assert_eq!(unwound.truncated, None, "{:#x?}", unwound.frames);
    assert!(unwound.frames.len() > 3);
}

// Fills the callee-saved registers with marks, and calls the function that it is given.
std::arch::global_asm!(
    ".globl sigquit_test_marks_registers",
    "sigquit_test_marks_registers:",
    ".cfi_startproc",
    "push rbx",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rbx, -16",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rbp, -24",
    "push r12",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset r12, -32",
    "push r13",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset r13, -40",
    "push r14",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset r14, -48",
    "push r15",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset r15, -56",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "mov ebx, 0x1003",
    "mov ebp, 0x1006",
    "mov r12d, 0x1012",
    "mov r13d, 0x1013",
    "mov r14d, 0x1014",
    "mov r15d, 0x1015",
    "call rdi",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "pop r15",
    ".cfi_adjust_cfa_offset -8",
    "pop r14",
    ".cfi_adjust_cfa_offset -8",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    "pop rbp",
    ".cfi_adjust_cfa_offset -8",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".cfi_endproc",
);

unsafe extern "C" {
    fn sigquit_test_marks_registers(call: extern "C" fn());
}

#[test]
fn the_registers_that_callees_saved_are_those_of_the_frame() {
    static TID: AtomicI32 = AtomicI32::new(0);
    static GATE: Mutex<()> = Mutex::new(());
    extern "C" fn wait() {
        second(&TID, &|| drop(GATE.lock()));
    }
    let guard = GATE.lock().expect("not poisoned");
    let thread = blocked(
        |tid| {
            tid.store(my_tid(), SeqCst);
            // SAFETY: the function keeps the calling convention.
            unsafe { sigquit_test_marks_registers(wait) };
        },
        || {},
    );
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let seen = capture();
    let (_, unwound, functions) = seen.thread(thread.tid);
    let marks = sigquit_test_marks_registers as *const () as u64;
    let at = functions.iter().position(|&function| function == marks).expect("its frame");
    for (number, mark) in
        [(3, 0x1003), (6, 0x1006), (12, 0x1012), (13, 0x1013), (14, 0x1014), (15, 0x1015)]
    {
        assert_eq!(unwound.frames[at].registers.get(number), Some(mark), "register {number}");
    }
    assert_eq!(unwound.frames[at].registers.get(0), None, "rax belongs to whoever was called");
    drop(guard);
    thread.end();
}

#[test]
fn a_thread_inside_a_handler_of_the_program_s_own() {
    static TID: AtomicI32 = AtomicI32::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    static INSIDE: AtomicBool = AtomicBool::new(false);
    extern "C" fn handle(_: i32) {
        INSIDE.store(true, SeqCst);
        while !STOP.load(SeqCst) {
            std::hint::spin_loop();
        }
    }
    #[inline(never)]
    fn interrupted() {
        TID.store(my_tid(), SeqCst);
        while !STOP.load(SeqCst) {
            std::hint::spin_loop();
        }
    }
    // SAFETY: a handler that only reads and writes atomics, on the interrupted stack.
    unsafe { libc::signal(libc::SIGUSR1, handle as *const () as libc::sighandler_t) };
    let thread = std::thread::spawn(interrupted);
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    // SAFETY: tgkill takes numbers.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), TID.load(SeqCst), libc::SIGUSR1);
    }
    while !INSIDE.load(SeqCst) {
        std::thread::yield_now();
    }
    let seen = capture();
    let (_, unwound, functions) = seen.thread(TID.load(SeqCst));
    assert_eq!(unwound.truncated, None, "{:#x?}", unwound.frames);
    let at = |function: u64| functions.iter().position(|&found| found == function);
    let (inner, outer) = (at(handle as *const () as u64), at(interrupted as *const () as u64));
    assert!(inner.is_some() && inner < outer, "{functions:#x?}");
    let outer = &unwound.frames[outer.unwrap_or_default()];
    assert_eq!(outer.lookup_address, outer.pc, "it was interrupted, it has not called");
    STOP.store(true, SeqCst);
    assert!(thread.join().is_ok());
}

#[test]
fn threads_that_panic_all_the_time() {
    let stop = Arc::new(AtomicBool::new(false));
    let catches = Arc::new(AtomicU32::new(0));
    #[inline(never)]
    fn deep(depth: u32) -> u32 {
        match depth {
            0 => std::panic::resume_unwind(Box::new(7_u32)),
            _ => black_box(deep(depth - 1)) + 1,
        }
    }
    let tid = Arc::new(AtomicI32::new(0));
    let thread = std::thread::spawn({
        let (stop, catches, tid) = (stop.clone(), catches.clone(), tid.clone());
        move || {
            tid.store(my_tid(), SeqCst);
            while !stop.load(SeqCst) {
                assert!(std::panic::catch_unwind(|| deep(black_box(10))).is_err());
                catches.fetch_add(1, SeqCst);
            }
        }
    });
    while catches.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let mut unwinder = Unwinder::default();
    for _ in 0..200 {
        let seen = capture_with(&mut unwinder);
        let (_, unwound, _) = seen.thread(tid.load(SeqCst));
        let why = unwound.truncated;
        assert!(matches!(why, None | Some(Truncation::InsideUnwinder)), "{why:?}: {unwound:#x?}");
    }
    stop.store(true, SeqCst);
    assert!(thread.join().is_ok());
}

/// Memory of its own for a stack: `size` bytes between two guard pages.
fn foreign_stack(size: usize) -> *mut u8 {
    // SAFETY: a new mapping, of which the first and last page are closed.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let base = libc::mmap(std::ptr::null_mut(), size + 8192, rights, flags, -1, 0);
        assert_ne!(base, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(base, 4096, libc::PROT_NONE), 0);
        assert_eq!(libc::mprotect(base.byte_add(4096 + size), 4096, libc::PROT_NONE), 0);
        base.cast::<u8>().add(4096)
    }
}

#[test]
fn a_thread_on_a_coroutine_s_stack() {
    static TID: AtomicI32 = AtomicI32::new(0);
    static GATE: Mutex<()> = Mutex::new(());
    static CONTEXTS: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    extern "C" fn coroutine() {
        second(&TID, &|| drop(GATE.lock()));
    }
    let guard = GATE.lock().expect("not poisoned");
    let thread = std::thread::spawn(|| {
        let stack = foreign_stack(32 * 1024);
        // SAFETY: the two contexts and the stack outlive the coroutine, which ends by returning
        // to the first context.
        unsafe {
            let mut back: libc::ucontext_t = std::mem::zeroed();
            let mut context: libc::ucontext_t = std::mem::zeroed();
            libc::getcontext(&mut context);
            context.uc_stack.ss_sp = stack.cast();
            context.uc_stack.ss_size = 32 * 1024;
            context.uc_link = &mut back;
            libc::makecontext(&mut context, coroutine, 0);
            CONTEXTS.lock().expect("not poisoned").push(stack as usize);
            libc::swapcontext(&mut back, &context);
        }
    });
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    for _ in 0..50 {
        let seen = capture();
        let (_, unwound, functions) = seen.thread(TID.load(SeqCst));
        let chain = [FIRST as usize as u64, SECOND as usize as u64];
        if functions.windows(2).any(|window| window == chain) {
            assert!(functions.contains(&(coroutine as *const () as u64)));
            let stack = CONTEXTS.lock().expect("not poisoned")[0] as u64;
            assert!(unwound.frames.iter().all(|frame| frame.cfa <= stack + 32 * 1024));
            drop(guard);
            assert!(thread.join().is_ok());
            return;
        }
    }
    panic!("the coroutine's frames were never seen");
}

#[test]
fn a_thread_at_the_end_of_its_stack() {
    static TID: AtomicI32 = AtomicI32::new(0);
    static GATE: Mutex<()> = Mutex::new(());
    /// Goes down until less than 3 KiB are left above the guard page.
    #[inline(never)]
    fn descend(end: usize) -> u8 {
        let local = black_box([0_u8; 64]);
        if local.as_ptr() as usize > end + 3 * 1024 {
            return black_box(descend(end)) | local[0];
        }
        TID.store(my_tid(), SeqCst);
        drop(GATE.lock());
        local[0]
    }
    let guard = GATE.lock().expect("not poisoned");
    let thread = std::thread::spawn(|| {
        // SAFETY: asks for this thread's own attributes, and frees them.
        let end = unsafe {
            let mut attributes = std::mem::zeroed();
            assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), &mut attributes), 0);
            let (mut start, mut size) = (std::ptr::null_mut(), 0);
            libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
            libc::pthread_attr_destroy(&mut attributes);
            start as usize
        };
        descend(end)
    });
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    for _ in 0..20 {
        let seen = capture();
        let (_, unwound, functions) = seen.thread(TID.load(SeqCst));
        assert_eq!(unwound.truncated, Some(Truncation::StackCopyEnded));
        assert!(functions.contains(&(descend as *const () as u64)));
    }
    drop(guard);
    assert!(thread.join().is_ok());
}

#[repr(C)]
struct Node {
    next: *const Node,
}

#[test]
fn a_walk_around_a_cyclic_list_comes_by_in_the_same_states() {
    static TID: AtomicI32 = AtomicI32::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    #[inline(never)]
    fn walk(mut node: *const Node) {
        while !STOP.load(std::sync::atomic::Ordering::Relaxed) {
            // SAFETY: every node of the cycle points to a node of the cycle.
            node = unsafe { (*node).next };
        }
        black_box(node);
    }
    let thread = std::thread::spawn(|| {
        let mut nodes: Vec<Node> = (0..5).map(|_| Node { next: std::ptr::null() }).collect();
        let base = nodes.as_mut_ptr();
        for (at, node) in nodes.iter_mut().enumerate() {
            node.next = base.wrapping_add((at + 1) % 5);
        }
        TID.store(my_tid(), SeqCst);
        walk(base);
    });
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let samples = capturer()
        .sample_registers(&[TID.load(SeqCst)], 64, Duration::from_secs(20))
        .expect("samples");
    STOP.store(true, SeqCst);
    assert!(thread.join().is_ok());
    let maps = Maps::read();
    let found = recurrence(&samples[0].samples, |address| maps.is_mapped(address));
    assert_eq!(found.samples, 64);
    assert!(found.recurring > 32, "{found:?}");
}

#[test]
fn a_long_count_comes_by_in_new_states() {
    static TID: AtomicI32 = AtomicI32::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let thread = std::thread::spawn(|| {
        TID.store(my_tid(), SeqCst);
        let mut count = 0_u64;
        while !STOP.load(std::sync::atomic::Ordering::Relaxed) {
            count = black_box(count) + 3;
        }
        black_box(count)
    });
    while TID.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let samples = capturer()
        .sample_registers(&[TID.load(SeqCst)], 64, Duration::from_secs(20))
        .expect("samples");
    STOP.store(true, SeqCst);
    assert!(thread.join().is_ok());
    let found = recurrence(&samples[0].samples, |_| false);
    assert_eq!(found.samples, 64);
    assert!(found.recurring < 16, "{found:?}");
}

#[test]
fn the_handler_uses_little_of_its_stack() {
    const SIZE: usize = 64 * 1024;
    const UNTOUCHED: u8 = 0xa5;
    let alternate: &'static mut [u8] = Box::leak(vec![UNTOUCHED; SIZE].into());
    let place = alternate.as_mut_ptr() as usize;
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let thread = blocked(
        move |tid| {
            let stack =
                libc::stack_t { ss_sp: place as *mut libc::c_void, ss_flags: 0, ss_size: SIZE };
            let mut before: libc::stack_t;
            // SAFETY: the new stack is leaked; the thread's own is put back before it ends.
            unsafe {
                before = std::mem::zeroed();
                assert_eq!(libc::sigaltstack(&stack, &mut before), 0);
            }
            second(tid, &|| assert!(gate.lock().expect("not poisoned").recv().is_err()));
            // SAFETY: the same.
            unsafe { libc::sigaltstack(&before, std::ptr::null_mut()) };
        },
        move || drop(release),
    );
    let seen = capture();
    seen.thread(thread.tid);
    thread.end();
    let untouched = alternate.iter().take_while(|&&byte| byte == UNTOUCHED).count();
    // SAFETY: getauxval takes a number and looks it up.
    let kernel = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    let ours = (SIZE - untouched).saturating_sub(kernel);
    assert!(untouched < SIZE, "the handler was here");
    let limit = if cfg!(debug_assertions) { 3072 } else { 1024 };
    assert!(ours < limit, "{ours} bytes beside the kernel's {kernel}");
    println!("{ours} bytes beside the kernel's {kernel}");
}
