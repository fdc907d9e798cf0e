//! What the agent does inside a signal handler hurts nobody: two hundred dumps of a process whose
//! threads do all that is difficult, under an allocator that aborts when a handler enters it.
//!
//! A test binary of its own, because of that allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::hint::black_box;
use std::mem::zeroed;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sigquit::dump::{Dump, Thread, UnansweredReason};

/// How many dumps are taken.
const DUMPS: u32 = 200;
/// A dump that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The system's allocator, closed to handlers: they run on the alternate stack that Rust gives
/// every thread, and nothing else does.
struct Trap;

#[global_allocator]
static TRAP: Trap = Trap;

// SAFETY: the system's allocator, or the end.
unsafe impl GlobalAlloc for Trap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        refuse_handlers();
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        refuse_handlers();
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn refuse_handlers() {
    const MESSAGE: &[u8] = b"the allocator was entered inside a signal handler\n";
    // SAFETY: asks for the alternate stack's state, writes a constant, ends.
    unsafe {
        let mut stack: libc::stack_t = zeroed();
        libc::sigaltstack(null_mut(), &mut stack);
        if stack.ss_flags & libc::SS_ONSTACK != 0 {
            libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
            libc::abort();
        }
    }
}

/// The trap itself is tried: a child whose handler allocates must die of it.
#[test]
fn a_handler_that_allocates_is_caught() {
    extern "C" fn allocate(_: i32) {
        black_box(Box::new(black_box(1)));
    }
    // SAFETY: the child does nothing but raise a signal whose handler aborts it, or exit.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = allocate as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(libc::SIGUSR2, &action, null_mut());
            libc::raise(libc::SIGUSR2);
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT);
    }
}

#[test]
fn two_hundred_dumps_of_a_process_that_makes_it_difficult() {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = sigquit::builder().directory(folder.path()).dumps(DUMPS);
    builder.interval(Duration::from_millis(20)).install().expect("the agent installs");
    let stage = Stage::default();
    let crew = Crew::start(&stage);
    let watch = watch(&stage);
    // SAFETY: the agent receives it; getpid takes nothing.
    unsafe { libc::kill(libc::getpid(), libc::SIGQUIT) };
    let series = wait_for_series(folder.path(), &stage);
    assert_eq!(series.len(), DUMPS as usize);
    let blocked: u32 = series.iter().map(|dump| crew.check(dump)).sum();
    assert_eq!(blocked, DUMPS, "the thread that blocks all signals is explained in each");
    stage.stop.store(true, SeqCst);
    crew.join();
    watch.join().expect("the watch ends");
}

/// Waits until every dump has been written and its frames named, and reads them.
fn wait_for_series(folder: &Path, stage: &Stage) -> Vec<Dump> {
    let mut dumps = Vec::new();
    while dumps.len() < DUMPS as usize {
        thread::sleep(Duration::from_millis(20));
        let Some(incident) = std::fs::read_dir(folder).expect("the folder").next() else {
            continue;
        };
        let incident = incident.expect("an entry").path();
        let written = std::fs::read_dir(&incident).map_or(0, Iterator::count);
        stage.progress.store(written + dumps.len(), SeqCst);
        dumps.extend(named_dump(&incident.join(format!("dump-{}.sigquit", dumps.len() + 1))));
    }
    dumps
}

/// The dump of a file that is complete, with its names.
fn named_dump(path: &Path) -> Option<Dump> {
    let bytes = std::fs::read(path).ok()?;
    let last = bytes.trim_ascii_end().rsplit(|&byte| byte == b'\n').next()?;
    if !last.starts_with(b"{\"named\"") || !bytes.ends_with(b"\n") {
        return None;
    }
    let (dumps, warnings) = sigquit::dump::read(&bytes).expect("a dump");
    assert!(warnings.is_empty(), "{warnings:?}");
    dumps.into_iter().next()
}

/// What the threads share.
#[derive(Clone, Default)]
struct Stage {
    stop: Arc<AtomicBool>,
    /// Grows with every dump.
    progress: Arc<AtomicUsize>,
}

impl Stage {
    fn is_over(&self) -> bool {
        // Leaves some of the machine to the agent: it works on a thread like any other.
        thread::sleep(Duration::from_millis(1));
        self.stop.load(SeqCst)
    }
}

/// Ends the process with a word when the dumps do not advance: a test that hangs says nothing.
fn watch(stage: &Stage) -> JoinHandle<()> {
    let stage = stage.clone();
    thread::spawn(move || {
        let mut seen = (0, Instant::now());
        while !stage.is_over() {
            thread::sleep(Duration::from_millis(100));
            let progress = stage.progress.load(SeqCst);
            if progress != seen.0 {
                seen = (progress, Instant::now());
            }
            if seen.1.elapsed() > PATIENCE {
                eprintln!("no dump for {PATIENCE:?} after {progress} files and dumps");
                std::process::abort();
            }
        }
    })
}

/// What a thread does, and the word for it.
type Part = (&'static str, fn(&Stage));

/// The threads, each with its part.
struct Crew {
    members: Vec<Member>,
}

struct Member {
    part: &'static str,
    tid: i32,
    thread: JoinHandle<()>,
}

impl Crew {
    fn start(stage: &Stage) -> Crew {
        let parts: [Part; 10] = [
            ("panics", panic_and_catch),
            ("panics too", panic_and_catch),
            ("allocates", allocate),
            ("allocates too", allocate),
            ("loads", load_libraries),
            ("spawns", spawn_short_lives),
            ("blocks", block_every_signal),
            ("descends", descend_to_the_guard_page),
            ("switches", switch_stacks),
            ("watches errno", watch_errno),
        ];
        let members = parts.into_iter().map(|(part, play)| member(part, play, stage.clone()));
        Crew { members: members.collect() }
    }

    /// Asserts that a dump shows every member, with a stack or with the reason why it has none;
    /// how many of them blocked the signal.
    fn check(&self, dump: &Dump) -> u32 {
        let threads: HashMap<u64, &Thread> =
            dump.threads.iter().filter_map(|thread| Some((thread.os_id?, thread))).collect();
        for thread in threads.values().filter(|thread| !thread.runtime_helper) {
            let explained = thread.stack.is_some() || thread.unanswered.is_some();
            assert!(explained, "neither stack nor reason: {thread:?}");
        }
        let shown = |member: &Member| threads.get(&(member.tid as u64)).copied();
        for member in &self.members {
            assert!(shown(member).is_some(), "{} is lost", member.part);
        }
        let reasons = self.members.iter().filter_map(|member| shown(member)?.unanswered.as_ref());
        reasons.filter(|why| why.reason == UnansweredReason::SignalBlocked).count() as u32
    }

    fn join(self) {
        for member in self.members {
            assert!(member.thread.join().is_ok(), "{} has failed", member.part);
        }
    }
}

/// Starts a thread, and waits until its number is known.
fn member(part: &'static str, play: fn(&Stage), stage: Stage) -> Member {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        // SAFETY: gettid takes nothing.
        tell.send(unsafe { libc::gettid() }).expect("somebody listens");
        play(&stage);
    });
    Member { part, tid: told.recv().expect("a number"), thread }
}

fn panic_and_catch(stage: &Stage) {
    #[inline(never)]
    fn deep(depth: u32) -> u32 {
        match depth {
            0 => std::panic::resume_unwind(Box::new(black_box(7_u32))),
            _ => black_box(deep(depth - 1)) + 1,
        }
    }
    while !stage.is_over() {
        assert!(std::panic::catch_unwind(|| deep(black_box(20))).is_err());
    }
}

fn allocate(stage: &Stage) {
    while !stage.is_over() {
        for size in [16, 1000, 40_000, 1 << 20] {
            black_box(vec![1_u8; size]);
        }
    }
}

fn load_libraries(stage: &Stage) {
    while !stage.is_over() {
        for name in [c"libutil.so.1", c"libresolv.so.2", c"libnss_files.so.2"] {
            // SAFETY: libraries of the system without initialisers that matter.
            unsafe {
                let library = libc::dlopen(name.as_ptr(), libc::RTLD_NOW);
                if !library.is_null() {
                    libc::dlclose(library);
                }
            }
        }
    }
}

fn spawn_short_lives(stage: &Stage) {
    while !stage.is_over() {
        let children: Vec<_> = (0..4).map(|n| thread::spawn(move || black_box(n))).collect();
        assert!(children.into_iter().all(|child| child.join().is_ok()));
    }
}

fn block_every_signal(stage: &Stage) {
    // SAFETY: blocks this thread's signals, in a set that the call fills.
    unsafe {
        let mut all = zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, null_mut());
    }
    while !stage.is_over() {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Recurses until little is left above the guard page, waits there, and comes back.
fn descend_to_the_guard_page(stage: &Stage) {
    const LEFT: usize = 3 * 1024;
    #[inline(never)]
    fn descend(end: usize) -> u8 {
        let local = black_box([0_u8; 64]);
        if local.as_ptr() as usize > end + LEFT {
            return black_box(descend(end)) | local[0];
        }
        for _ in 0..100_000 {
            std::hint::spin_loop();
        }
        local[0]
    }
    // SAFETY: asks for this thread's own attributes, and frees them.
    let end = unsafe {
        let mut attributes = zeroed();
        assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), &mut attributes), 0);
        let (mut start, mut size) = (null_mut(), 0);
        libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
        start as usize
    };
    while !stage.is_over() {
        black_box(descend(end));
    }
}

/// Runs a coroutine on a small stack that lies between two holes, is left and entered all the
/// time, and is unmapped and mapped anew now and then.
fn switch_stacks(stage: &Stage) {
    while !stage.is_over() {
        let coroutine = Coroutine::new();
        for _ in 0..1000 {
            coroutine.resume();
        }
    }
}

struct Coroutine {
    mapping: *mut libc::c_void,
    /// Outside's and its own, in one box: written by whoever switches.
    contexts: *mut [libc::ucontext_t; 2],
}

impl Coroutine {
    const STACK: usize = 32 * 1024;
    const GUARD: usize = 4096;
    const WHOLE: usize = Self::STACK + 2 * Self::GUARD;

    fn new() -> Coroutine {
        // SAFETY: a fresh mapping whose first and last page are closed; the contexts are boxed,
        // so that what points to them stays right.
        unsafe {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let mapping = libc::mmap(null_mut(), Self::WHOLE, rights, flags, -1, 0);
            assert_ne!(mapping, libc::MAP_FAILED);
            let stack = mapping.byte_add(Self::GUARD);
            libc::mprotect(mapping, Self::GUARD, libc::PROT_NONE);
            libc::mprotect(stack.byte_add(Self::STACK), Self::GUARD, libc::PROT_NONE);
            let contexts: *mut [libc::ucontext_t; 2] = Box::into_raw(Box::new(zeroed()));
            let (outside, inside) = (&raw mut (*contexts)[0], &raw mut (*contexts)[1]);
            libc::getcontext(inside);
            (*inside).uc_stack.ss_sp = stack;
            (*inside).uc_stack.ss_size = Self::STACK;
            (*inside).uc_link = outside;
            // makecontext hands over whole ints only: a pointer goes as two halves.
            let (high, low) = ((outside as usize >> 32) as u32, outside as usize as u32);
            let entry: extern "C" fn(u32, u32) = swing;
            libc::makecontext(
                inside,
                std::mem::transmute::<extern "C" fn(u32, u32), extern "C" fn()>(entry),
                2,
                high,
                low,
            );
            Coroutine { mapping, contexts }
        }
    }

    /// Goes into the coroutine, until it comes back.
    fn resume(&self) {
        let contexts = self.contexts;
        // SAFETY: both contexts are alive, and the coroutine never ends.
        unsafe { libc::swapcontext(&raw mut (*contexts)[0], &raw const (*contexts)[1]) };
    }
}

impl Drop for Coroutine {
    fn drop(&mut self) {
        // SAFETY: mapping and box are ours, and nothing runs on them any more.
        unsafe {
            libc::munmap(self.mapping, Self::WHOLE);
            drop(Box::from_raw(self.contexts));
        }
    }
}

/// The coroutine: works a little, goes back, for ever.
extern "C" fn swing(high: u32, low: u32) {
    let contexts =
        (usize::try_from(high).unwrap_or(0) << 32 | low as usize) as *mut [libc::ucontext_t; 2];
    loop {
        for _ in 0..100 {
            std::hint::spin_loop();
        }
        // SAFETY: the first of the two contexts is outside's, the second our own.
        unsafe { libc::swapcontext(&raw mut (*contexts)[1], &raw const (*contexts)[0]) };
    }
}

/// A signal between a system call and the look at `errno` must not change it.
fn watch_errno(stage: &Stage) {
    const MARK: i32 = 4711;
    while !stage.is_over() {
        // SAFETY: the address is this thread's own.
        unsafe {
            *libc::__errno_location() = MARK;
            for _ in 0..10_000 {
                std::hint::spin_loop();
            }
            assert_eq!(*libc::__errno_location(), MARK);
        }
    }
}
