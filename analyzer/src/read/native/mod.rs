//! What the readers of debuggers' output share: threads of machine code, the futexes on which
//! they wait, and what they have in hand.
//!
//! A debugger names no locks. It shows functions and, where there is debug information, their
//! arguments: a thread inside of the C library's lock functions waits on the word at that
//! address. What is built on the word is the model's to tell, as it is for the agent's dumps.

mod darwin;
mod frame;
mod hold;

use std::collections::HashMap;

use sigquit_dump::{
    Dump, Lock, LockId, LockKind, Module, ModuleId, OwnerSource, Process, Runtime, Stack, StackId,
    Thread, ThreadState, Truncation, Wait, WaitFor,
};

pub(super) use self::darwin::Waits;
use self::frame::Key;
pub(super) use self::frame::{NativeFrame, without_return_type};
use self::hold::Hands;
use super::by_line::Build;
use super::intern::Interned;

/// A dump of threads of machine code while its lines are read.
#[derive(Debug)]
pub(super) struct Building<'t> {
    pub dump: Dump,
    interned: Interned<Key<'t>>,
    modules: HashMap<&'t str, ModuleId>,
    futexes: HashMap<u64, LockId>,
    hands: Hands,
}

/// A thread that is being read.
#[derive(Debug, Default)]
pub(super) struct Open<'t> {
    /// All that its first line says.
    pub thread: Thread,
    /// Innermost first.
    pub frames: Vec<NativeFrame<'t>>,
    /// Guards of mutexes among its local variables.
    pub guards: Vec<Guard>,
    /// Why the stack ends early, when the debugger says so.
    pub truncated: Option<Truncation>,
}

/// A variable that holds a mutex while it lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    /// Where the mutex is, or the object of which it is a part.
    pub mutex: u64,
    /// The frame of the variable, counted from the leaf.
    pub frame: u32,
    /// How sure it is that it holds the mutex.
    pub source: OwnerSource,
}

impl Default for Building<'_> {
    fn default() -> Self {
        let process = Process { runtime: Runtime::Native, ..Process::default() };
        Building {
            dump: Dump { process, ..Dump::default() },
            interned: Interned::default(),
            modules: HashMap::new(),
            futexes: HashMap::new(),
            hands: Hands::default(),
        }
    }
}

impl<'t> Build for Building<'t> {
    type Open = Open<'t>;

    fn add(&mut self, open: Open<'t>) {
        let mut thread = open.thread;
        thread.stack = self.stack(&open.frames, open.truncated);
        if let Some(wait) = futex_wait(&open.frames) {
            let lock = self.futex(&wait);
            thread.wait = Some(Wait { lock, wait_for: WaitFor::Unknown });
            thread.state = ThreadState::Waiting;
        } else if runs(&open.frames) {
            thread.state = ThreadState::Runnable;
        }
        self.dump.threads.push(thread);
        self.hands.note(&open.frames, open.guards);
    }

    fn finish(mut self) -> Dump {
        self.hands.resolve(&mut self.dump);
        self.dump
    }
}

impl<'t> Building<'t> {
    /// A printed value of a mutex told its owner.
    pub fn printed_owner(&mut self, address: u64, tid: u64) {
        self.hands.printed_owner(address, tid);
    }

    fn stack(
        &mut self,
        frames: &[NativeFrame<'t>],
        truncated: Option<Truncation>,
    ) -> Option<StackId> {
        let mut ids = Vec::with_capacity(frames.len());
        for (depth, frame) in frames.iter().enumerate() {
            let module = frame.module.map(|path| self.module(path));
            let read = || frame.read(module, depth == 0);
            ids.push(self.interned.frame(&mut self.dump, frame.key(module), read));
        }
        let stack = Stack { truncated, ..Stack::from(ids) };
        (!frames.is_empty()).then(|| self.interned.stack(&mut self.dump, stack))
    }

    fn module(&mut self, path: &'t str) -> ModuleId {
        let modules = &mut self.dump.modules;
        *self.modules.entry(path).or_insert_with(|| {
            modules.push(Module { path: path.to_owned(), ..Module::default() });
            ModuleId(modules.len() as u32 - 1)
        })
    }

    fn futex(&mut self, wait: &FutexWait) -> LockId {
        let Some(address) = wait.address else {
            return self.dump.add_lock(Lock { kind: LockKind::Futex, ..Lock::default() });
        };
        let dump = &mut self.dump;
        *self.futexes.entry(address).or_insert_with(|| {
            dump.add_lock(Lock {
                address: Some(address),
                kind: LockKind::Futex,
                words: wait.expected.map(|expected| [expected, 0, 0, 0]),
                parking_key: wait.parking_key,
                ..Lock::default()
            })
        })
    }
}

/// Enters who has a lock, where the kernel says it.
pub(super) fn own(dump: &mut Dump, lock: LockId, thread: u32) {
    hold::own(dump, lock, thread, None, OwnerSource::Runtime);
}

/// A wait on a futex as frames show it.
struct FutexWait {
    /// Unknown without debug information of the C library.
    address: Option<u64>,
    /// What the word held: of the end of a thread, its tid.
    expected: Option<u32>,
    /// The lock for which parking_lot parks the thread.
    parking_key: Option<u64>,
}

/// The calls nearest the leaf among which the lock functions are.
const NEAREST: usize = 16;

/// The futex on which a thread waits, when it does.
///
/// ```text
/// #0  futex_wait (private=0, expected=2, futex_word=0x55b6743ee3c0 <east+32>) at ...
/// #1  __GI___lll_lock_wait (futex=futex@entry=0x55b6743ee3c0 <east+32>, private=0) at ...
/// #2  ___pthread_mutex_lock (mutex=0x55b6743ee3c0 <east+32>) at ./nptl/pthread_mutex_lock.c:93
/// ```
fn futex_wait(frames: &[NativeFrame]) -> Option<FutexWait> {
    let near = &frames[..frames.len().min(NEAREST)];
    let leaf = near.first()?;
    let is_lock_code = |frame: &NativeFrame| is_lock_function(&frame.function);
    let in_kernel = leaf.function.is_empty() || leaf.function == "syscall";
    let waits = ["futex", "lll_lock_wait"].iter().any(|word| leaf.function.contains(word));
    if !(waits || in_kernel && near.iter().take(5).any(is_lock_code)) {
        return None;
    }
    let argument = |names: &[&str]| {
        let of_frame = |frame: &NativeFrame| names.iter().find_map(|name| frame.argument(name));
        near.iter()
            .take_while(|frame| frame.function.is_empty() || is_plumbing(frame))
            .find_map(of_frame)
    };
    let inside = || near.iter().find_map(std_lock);
    let parked = near.iter().find(|frame| frame.function.starts_with("parking_lot::raw_"));
    Some(FutexWait {
        address: argument(&["futex_word", "futex", "mutex"])
            .or_else(inside)
            .filter(|&address| address != 0),
        expected: argument(&["expected"]).and_then(|expected| u32::try_from(expected).ok()),
        parking_key: parked.and_then(|frame| frame.argument("self")),
    })
}

/// The futex of a lock of Rust's standard library, by the method that waits on it.
///
/// `std::sys::sync::mutex::futex::Mutex::lock (self=0x55d21bde7a30) at ...`
fn std_lock(frame: &NativeFrame) -> Option<u64> {
    const WRITER_WAITS_BEHIND_THE_STATE: u64 = 4;
    let (_, method) = frame.function.strip_prefix("std::sys::")?.split_once("::futex::")?;
    let lock = frame.argument("self")?;
    match method {
        "Mutex::lock" | "RwLock::read" => Some(lock),
        "RwLock::write" => lock.checked_add(WRITER_WAITS_BEHIND_THE_STATE),
        _ => None,
    }
}

fn is_lock_function(function: &str) -> bool {
    const WORDS: [&str; 7] =
        ["futex", "pthread_mutex_", "pthread_rwlock_", "pthread_cond_", "pthread_", "sem_", "lll_"];
    WORDS.iter().any(|word| function.contains(word))
}

/// Whether a frame is between the program and the kernel.
fn is_plumbing(frame: &NativeFrame) -> bool {
    const LIBRARIES: [&str; 5] = ["syscall", "std::", "core::", "parking_lot", "lock_api::"];
    is_lock_function(&frame.function)
        || LIBRARIES.iter().any(|library| frame.function.starts_with(library))
        || frame.function.starts_with("__")
}

/// Whether a thread was executing when it was stopped: its leaf is in code that has a place in
/// a source other than the C library's, and so in no system call.
fn runs(frames: &[NativeFrame]) -> bool {
    frames.first().is_some_and(|leaf| {
        let of_libc = leaf.place.starts_with('.') || leaf.function.starts_with("__");
        !leaf.place.is_empty() && !of_libc && leaf.module.is_none() && leaf.function != "syscall"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &'static str, arguments: &'static str) -> NativeFrame<'static> {
        NativeFrame {
            function: function.into(),
            arguments: arguments.into(),
            ..NativeFrame::default()
        }
    }

    #[test]
    fn a_wait_on_a_futex_with_and_without_its_address() {
        let known = [
            frame("futex_wait", "private=0, expected=2, futex_word=0x7f10 <east+32>"),
            frame("__GI___lll_lock_wait", "futex=futex@entry=0x7f10 <east+32>, private=0"),
            frame("___pthread_mutex_lock", "mutex=0x7f10 <east+32>"),
        ];
        let wait = futex_wait(&known).expect("it waits");
        assert_eq!((wait.address, wait.expected), (Some(0x7f10), Some(2)));
        let stripped = [frame("", ""), frame("pthread_mutex_lock", ""), frame("append", "")];
        assert_eq!(futex_wait(&stripped).expect("it waits").address, None);
    }

    #[test]
    fn who_enters_a_lock_function_does_not_wait_yet() {
        assert!(futex_wait(&[frame("pthread_mutex_lock", "mutex=0x7f10")]).is_none());
        assert!(futex_wait(&[frame("", ""), frame("read_all", "")]).is_none());
        assert!(futex_wait(&[]).is_none());
    }

    #[test]
    fn who_executes_the_programs_code_runs() {
        let at = |function: &'static str, place: &'static str| NativeFrame {
            place: place.into(),
            ..frame(function, "")
        };
        assert!(runs(&[at("sum", "night.cpp:4")]));
        assert!(!runs(&[at("__libc_recv", "../sysdeps/unix/sysv/linux/recv.c:28")]));
        assert!(!runs(&[at("read", "")]));
    }
}
