//! A service drawn dump by dump: its threads, with stacks that differ as those of real ones do.

use std::collections::BTreeMap;

use sigquit_dump::{
    Dump, Frame, Hold, Kind, Location, Lock, LockId, LockKind, Nanos, OwnerSource, Runtime, Spawn,
    Stack, Symbol, Task, Thread, ThreadState, Trace, Wait, WaitFor,
};

/// Numbers that look random and are the same in every run: Marsaglia's xorshift (2003).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// The words of a runtime for what threads of every program do.
pub struct Words {
    pub runtime: Runtime,
    /// Waits for work.
    pub idle: &'static [&'static str],
    /// Waits for connections.
    pub listens: &'static [&'static str],
    /// Waits for a lock.
    pub locks: &'static [&'static str],
    /// Reads from a connection.
    pub reads: &'static [&'static str],
    /// Waits for another thread.
    pub awaits: &'static [&'static str],
    /// Waits for a disk.
    pub syncs: &'static [&'static str],
    /// Between a type and a method.
    pub separator: &'static str,
    /// Before a type.
    pub module: &'static str,
}

pub const RUST: Words = Words {
    runtime: Runtime::Rust,
    idle: &["syscall", "std::sys::sync::condvar::futex::Condvar::wait", "shop::Queue::pop"],
    listens: &["accept4", "std::net::tcp::TcpListener::accept"],
    locks: &["syscall", "std::sys::sync::mutex::futex::Mutex::lock_contended"],
    reads: &["recv", "std::net::tcp::TcpStream::read"],
    awaits: &["syscall", "std::thread::park", "std::sync::mpsc::Receiver::recv"],
    syncs: &["fsync", "std::fs::File::sync_all"],
    separator: "::",
    module: "shop::",
};

pub const JVM: Words = Words {
    runtime: Runtime::Jvm,
    idle: &[
        "jdk.internal.misc.Unsafe.park",
        "java.util.concurrent.LinkedBlockingQueue.take",
        "java.util.concurrent.ThreadPoolExecutor.getTask",
        "java.lang.Thread.run",
    ],
    listens: &["sun.nio.ch.Net.accept", "java.net.ServerSocket.accept"],
    locks: &[],
    reads: &["sun.nio.ch.SocketDispatcher.read0", "java.net.Socket$SocketInputStream.read"],
    awaits: &["jdk.internal.misc.Unsafe.park", "java.util.concurrent.CountDownLatch.await"],
    syncs: &["sun.nio.ch.FileDispatcherImpl.force0", "sun.nio.ch.FileChannelImpl.force"],
    separator: ".",
    module: "com.acme.shop.",
};

pub const GO: Words = Words {
    runtime: Runtime::Go,
    idle: &["runtime.gopark", "runtime.chanrecv1", "main.worker"],
    listens: &["internal/poll.runtime_pollWait", "internal/poll.(*FD).Accept", "main.listen"],
    locks: &["runtime.gopark", "sync.runtime_SemacquireMutex", "sync.(*Mutex).Lock"],
    reads: &["internal/poll.runtime_pollWait", "net.(*conn).Read"],
    awaits: &["runtime.gopark", "runtime.chansend1"],
    syncs: &["syscall.Fsync", "os.(*File).Sync"],
    separator: ".",
    module: "main.",
};

/// Where a member is: the runtime's functions at its leaf, the program's own beneath.
pub struct Where<'a> {
    pub leaf: &'a [&'a str],
    pub own: &'a [&'a str],
    /// Stands at the same lines in every dump; otherwise it is met here and there.
    pub stays: bool,
    pub state: ThreadState,
}

/// Dumps of one program.
pub struct Drawing<'w> {
    pub words: &'w Words,
    pub dumps: Vec<Dump>,
    pub chance: Chance,
    numbers: BTreeMap<String, u64>,
}

impl Drawing<'_> {
    pub fn new(words: &Words, dumps: u64, seed: u64) -> Drawing<'_> {
        let dump = |second: u64| {
            let clock = Some(Nanos::from_millis(1500 * second));
            let mut dump = Dump { monotonic: clock, time: clock, ..Dump::default() };
            dump.process.runtime = words.runtime;
            dump.process.pid = Some(4711);
            dump.process.cpus = Some(4);
            dump
        };
        Drawing {
            words,
            dumps: (0..dumps).map(dump).collect(),
            chance: Chance::new(seed),
            numbers: BTreeMap::new(),
        }
    }

    /// `Book.read` in the runtime's spelling.
    pub fn own(&self, name: &str) -> String {
        format!("{}{}", self.words.module, name.replace('.', self.words.separator))
    }

    /// Adds a member to a dump.
    pub fn member(&mut self, dump: usize, name: &str, place: &Where) -> &mut Thread {
        let next = self.numbers.len() as u64 + 1;
        let number = *self.numbers.entry(name.to_owned()).or_insert(next);
        let line = |at: usize, chance: &mut Chance| match place.stays {
            true => 10 + at as u32,
            false => 10 + at as u32 + chance.below(7) as u32,
        };
        let mut frames: Vec<Frame> =
            place.leaf.iter().map(|name| Frame::named(Symbol::function(*name))).collect();
        for (at, name) in place.own.iter().enumerate() {
            let mut symbol = Symbol::function(self.own(name));
            let line = line(at, &mut self.chance);
            let file = format!("{}.src", name.split('.').next().unwrap_or(name));
            symbol.location = Some(Location { file, line: Some(line), column: None });
            frames.push(Frame::named(symbol));
        }
        let shown = &mut self.dumps[dump];
        let frames = frames.into_iter().map(|frame| shown.intern_frame(frame)).collect();
        let stack = shown.intern_stack(Stack { frames, ..Stack::default() });
        let goroutine = self.words.runtime == Runtime::Go;
        shown.threads.push(Thread {
            kind: if goroutine { Kind::Goroutine } else { Kind::Thread },
            name: if goroutine { String::new() } else { name.to_owned() },
            number: Some(number),
            os_id: (!goroutine).then_some(1000 + number),
            stack: Some(stack),
            state: place.state,
            ..Thread::default()
        });
        shown.threads.last_mut().expect("it was just added")
    }

    /// Adds a suspended task of a kind, polled once, a minute ago.
    pub fn task(&mut self, dump: usize, name: &str, kind: &str, place: &Where) -> &mut Thread {
        let spawn = Spawn { type_name: self.own(kind), location: None };
        let spawn = Some(self.dumps[dump].add_spawn(spawn));
        let thread = self.member(dump, name, place);
        (thread.kind, thread.os_id) = (Kind::Task, None);
        thread.task = Some(Box::new(Task {
            spawn,
            polls: 1,
            since_poll: Some(Nanos::from_millis(60_000)),
            trace: Trace::Pending,
            ..Task::default()
        }));
        thread
    }

    pub fn lock(&mut self, dump: usize, address: u64) -> LockId {
        let kind = match self.words.runtime {
            Runtime::Jvm => LockKind::Monitor,
            _ => LockKind::Mutex,
        };
        self.dumps[dump].add_lock(Lock { kind, address: Some(address), ..Lock::default() })
    }

    /// What every service has: idle workers, a listener, and under load some at work.
    pub fn service(&mut self, load: bool) {
        let (idle, listens) = (self.words.idle, self.words.listens);
        let workers = 4 + self.chance.below(40);
        let busy = if load { 3 + self.chance.below(8) } else { 0 };
        for dump in 0..self.dumps.len() {
            for number in 0..workers {
                let place =
                    Where { leaf: idle, own: &[], stays: true, state: ThreadState::Waiting };
                self.member(dump, &format!("pool-worker-{number}"), &place);
            }
            let place = Where {
                leaf: listens,
                own: &["Server.listen"],
                stays: true,
                state: ThreadState::Waiting,
            };
            self.member(dump, "listener", &place);
            for number in 0..busy {
                let works: [&[&str]; 3] = [
                    &["Price.sum", "Cart.total", "Cart.show", "Page.render"],
                    &["Tax.of", "Price.sum", "Cart.total", "Page.render"],
                    &["Json.write", "Page.answer", "Page.render"],
                ];
                let own = works[self.chance.below(3) as usize];
                let place = Where { leaf: &[], own, stays: false, state: ThreadState::Runnable };
                let used = Nanos::from_millis(400 * dump as u64 + self.chance.below(90));
                self.member(dump, &format!("page-{number}"), &place).cpu = Some(used);
            }
        }
    }
}

/// A member waits for a lock, and one owns it.
pub fn waits(thread: &mut Thread, lock: LockId) {
    thread.wait = Some(Wait { lock, wait_for: WaitFor::Exclusive });
    thread.state = ThreadState::Blocked;
}

pub fn owns(thread: &mut Thread, lock: LockId) {
    thread.holds.push(Hold::new(lock, None, OwnerSource::Runtime));
}
