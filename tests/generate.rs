use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use sigquit_dump::{
    AsyncRuntime, BuildId, Capture, CpuLimit, Dump, Frame, FrameId, Heap, Hold, Kind, Location,
    Lock, LockId, LockKind, Memory, Module, ModuleId, Nanos, Notice, NoticeKind, Owner,
    OwnerSource, Pressure, Process, Reason, RegisterSamples, Runtime, Series, Socket, Spawn,
    SpawnId, Stack, StackId, Symbol, Syscall, Task, TaskCapture, Thread, ThreadState, Throttling,
    Trace, Trigger, Truncation, Trust, Unanswered, UnansweredReason, Wait, WaitFor, Worker,
};

/// Numbers that look random and are the same every time (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall as they did for that seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Any number; often a small one, sometimes the largest.
    pub fn number(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX,
            1..=4 => self.roll() >> 52,
            _ => self.roll(),
        }
    }

    /// A number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Dice) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn nanos(&mut self) -> Nanos {
        Nanos(self.number())
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 12] = [
            "order::checkout",
            "<T as core::fmt::Debug>::fmt",
            "request-7",
            "\"",
            "\\",
            "\n",
            "\u{0}",
            "\u{1F980}",
            "{\"sigquit\":{\"version\":1}}",
            " ",
            "é",
            "\u{2028}",
        ];
        self.some(4, |dice| dice.one_of(&PIECES)).concat()
    }
}

/// How many of each numbered thing a dump has: references stay within.
struct Counts {
    modules: usize,
    frames: usize,
    stacks: usize,
    locks: usize,
    spawns: usize,
    async_runtimes: usize,
    threads: usize,
}

/// A dump that no process ever was in, and that the format must carry all the same.
pub fn dump(dice: &mut Dice) -> Dump {
    let counts = Counts {
        modules: 1 + dice.below(3),
        frames: 1 + dice.below(8),
        stacks: 1 + dice.below(4),
        locks: 1 + dice.below(4),
        spawns: 1 + dice.below(2),
        async_runtimes: 1 + dice.below(2),
        threads: dice.below(6),
    };
    Dump {
        time: dice.maybe(Dice::nanos),
        monotonic: dice.maybe(Dice::nanos),
        process: process(dice),
        series: dice.maybe(series),
        capture: dice.maybe(capture),
        task_capture: dice.maybe(task_capture),
        modules: (0..counts.modules).map(|_| module(dice)).collect(),
        frames: (0..counts.frames).map(|_| frame(dice, &counts)).collect(),
        stacks: (0..counts.stacks).map(|_| stack(dice, &counts)).collect(),
        locks: (0..counts.locks).map(|_| lock(dice, &counts)).collect(),
        spawns: (0..counts.spawns).map(|_| spawn(dice)).collect(),
        async_runtimes: (0..counts.async_runtimes).map(|_| async_runtime(dice)).collect(),
        threads: (0..counts.threads).map(|_| thread(dice, &counts)).collect(),
        notices: dice.some(2, |dice| notice(dice, &counts)),
        truncated: dice.coin(),
    }
}

fn process(dice: &mut Dice) -> Process {
    Process {
        runtime: dice.one_of(&[Runtime::Unknown, Runtime::Rust, Runtime::Jvm, Runtime::Go]),
        runtime_version: dice.maybe(Dice::text),
        pid: dice.maybe(Dice::number),
        host: dice.maybe(Dice::text),
        executable: dice.maybe(Dice::text),
        arguments: dice.maybe(|dice| dice.some(3, Dice::text)),
        started: dice.maybe(Dice::nanos),
        cpu: dice.maybe(Dice::nanos),
        cpus: dice.maybe(|dice| dice.number() as u32),
        cpu_limit: dice.maybe(|dice| CpuLimit { quota: dice.nanos(), period: dice.nanos() }),
        throttling: dice.maybe(|dice| Throttling {
            periods: dice.number(),
            throttled: dice.number(),
            time: dice.nanos(),
        }),
        load: dice.maybe(|dice| [fraction(dice), fraction(dice), fraction(dice)]),
        pressure: dice.maybe(|dice| Pressure {
            cpu: fraction(dice),
            memory: fraction(dice),
            io: fraction(dice),
        }),
        memory: dice.maybe(|dice| Memory {
            resident: dice.number(),
            mapped: dice.number(),
            limit: dice.maybe(Dice::number),
        }),
        heap: dice.maybe(|dice| Heap { used: dice.number(), limit: dice.number() }),
        sockets: dice.some(3, socket),
    }
}

fn socket(dice: &mut Dice) -> Socket {
    let mut address = |v6: bool| -> SocketAddr {
        let port = dice.number() as u16;
        match v6 {
            false => (Ipv4Addr::from_bits(dice.number() as u32), port).into(),
            true => (Ipv6Addr::from_bits(u128::from(dice.number())), port).into(),
        }
    };
    let (local, peer) = (address(false), address(true));
    Socket { fd: dice.number(), local, peer: dice.maybe(|_| peer), listens: dice.coin() }
}

fn fraction(dice: &mut Dice) -> f64 {
    dice.number() as f64 / 1000.0
}

fn series(dice: &mut Dice) -> Series {
    Series {
        incident: dice.text(),
        index: dice.number() as u32,
        of: dice.number() as u32,
        trigger: dice.one_of(&[Trigger::Signal, Trigger::Call, Trigger::Panic]),
        requests_during: dice.number() as u32,
    }
}

fn capture(dice: &mut Dice) -> Capture {
    Capture {
        wall: dice.nanos(),
        answered: dice.number() as u32,
        unanswered: dice.number() as u32,
        deadline: dice.nanos(),
        handler_p50: dice.maybe(Dice::nanos),
        ..Capture::default()
    }
}

fn task_capture(dice: &mut Dice) -> TaskCapture {
    TaskCapture {
        tracked: dice.number() as u32,
        asked: dice.number() as u32,
        served: dice.number() as u32,
        cut: dice.number() as u32,
        deadline: dice.maybe(Dice::nanos),
        ..TaskCapture::default()
    }
}

fn spawn(dice: &mut Dice) -> Spawn {
    Spawn { type_name: dice.text(), location: dice.maybe(location) }
}

fn async_runtime(dice: &mut Dice) -> AsyncRuntime {
    AsyncRuntime {
        name: dice.text(),
        id: dice.number(),
        alive_tasks: dice.maybe(Dice::number),
        global_queue_depth: dice.maybe(Dice::number),
        workers: dice.some(2, |dice| Worker {
            os_id: dice.maybe(Dice::number),
            parks: dice.number(),
            parks_and_unparks: dice.maybe(Dice::number),
            busy: dice.nanos(),
        }),
    }
}

fn task(dice: &mut Dice, counts: &Counts) -> Task {
    Task {
        spawn: dice.maybe(|dice| SpawnId(dice.below(counts.spawns) as u32)),
        polls: dice.number(),
        since_poll: dice.maybe(Dice::nanos),
        polled_by: dice.maybe(Dice::number),
        trace: dice.one_of(&[
            Trace::NotAsked,
            Trace::Pending,
            Trace::NoWaker,
            Trace::Unfinished,
            Trace::NotServed,
        ]),
        branches: dice.some(2, |dice| StackId(dice.below(counts.stacks) as u32)),
        runtime: dice.maybe(|dice| dice.below(counts.async_runtimes) as u32),
        runtime_id: dice.maybe(Dice::number),
    }
}

fn module(dice: &mut Dice) -> Module {
    Module {
        path: dice.text(),
        start: dice.number(),
        end: dice.number(),
        bias: dice.number(),
        build_id: dice.maybe(|dice| BuildId::from_bytes(&dice.number().to_le_bytes())),
    }
}

fn frame(dice: &mut Dice, counts: &Counts) -> Frame {
    Frame {
        address: dice.maybe(Dice::number),
        module: dice.maybe(|dice| ModuleId(dice.below(counts.modules) as u32)),
        offset: dice.maybe(Dice::number),
        trust: dice.one_of(&[Trust::Runtime, Trust::Registers, Trust::Cfi, Trust::Scan]),
        symbols: dice.some(3, symbol),
        reason: dice.maybe(|dice| dice.one_of(&[Reason::Stripped, Reason::NoFile])),
    }
}

fn symbol(dice: &mut Dice) -> Symbol {
    Symbol { function: dice.text(), location: dice.maybe(location), inlined: dice.coin() }
}

fn location(dice: &mut Dice) -> Location {
    Location {
        file: dice.text(),
        line: dice.maybe(|dice| dice.number() as u32),
        column: dice.maybe(|dice| dice.number() as u32),
    }
}

fn stack(dice: &mut Dice, counts: &Counts) -> Stack {
    Stack {
        frames: dice.some(6, |dice| FrameId(dice.below(counts.frames) as u32)),
        frame_offsets: dice.some(6, |dice| dice.number() as u32),
        truncated: dice
            .maybe(|dice| dice.one_of(&[Truncation::TooDeep, Truncation::InsideUnwinder])),
    }
}

fn lock(dice: &mut Dice, counts: &Counts) -> Lock {
    let owner = |dice: &mut Dice| Owner {
        thread: dice.below(counts.threads) as u32,
        source: dice.one_of(&[OwnerSource::Runtime, OwnerSource::Inferred]),
    };
    Lock {
        address: dice.maybe(Dice::number),
        number: dice.maybe(Dice::number),
        kind: dice.one_of(&[LockKind::Futex, LockKind::Mutex, LockKind::Monitor]),
        type_name: dice.maybe(Dice::text),
        made_at: dice.maybe(location),
        words: dice.maybe(|dice| [0; 4].map(|_| dice.number() as u32)),
        parking_key: dice.maybe(Dice::number),
        name: dice.maybe(Dice::text),
        capacity: dice.maybe(Dice::number),
        in_use: dice.maybe(Dice::number),
        waiters: match counts.threads {
            0 => Vec::new(),
            threads => dice.some(2, |dice| dice.below(threads) as u32),
        },
        waits: dice.maybe(Dice::number),
        waited: dice.maybe(Dice::nanos),
        owners: if counts.threads == 0 { Vec::new() } else { dice.some(2, owner) },
    }
}

fn thread(dice: &mut Dice, counts: &Counts) -> Thread {
    let lock = |dice: &mut Dice| LockId(dice.below(counts.locks) as u32);
    let stack = |dice: &mut Dice| StackId(dice.below(counts.stacks) as u32);
    Thread {
        kind: dice.one_of(&[Kind::Thread, Kind::VirtualThread, Kind::Goroutine, Kind::Task]),
        name: dice.text(),
        number: dice.maybe(Dice::number),
        os_id: dice.maybe(Dice::number),
        state: dice.one_of(&[ThreadState::Running, ThreadState::Blocked, ThreadState::Ended]),
        state_text: dice.text(),
        stack: dice.maybe(stack),
        stack_pointer: dice.maybe(Dice::number),
        wait: dice.maybe(|dice| Wait {
            lock: lock(dice),
            wait_for: dice.one_of(&[WaitFor::Exclusive, WaitFor::Unknown]),
        }),
        holds: dice.some(2, |dice| Hold {
            lock: lock(dice),
            frame: dice.maybe(|dice| dice.number() as u32),
            taken_at: dice.maybe(location),
            held: dice.maybe(Dice::nanos),
            source: OwnerSource::Tracked,
        }),
        cpu: dice.maybe(Dice::nanos),
        run_delay: dice.maybe(Dice::nanos),
        syscall: dice
            .maybe(|dice| Syscall { number: dice.number(), arguments: dice.some(6, Dice::number) }),
        will_release: dice.some(2, lock),
        registers: dice.maybe(|dice| RegisterSamples {
            samples: dice.number() as u32,
            over: dice.nanos(),
            ..RegisterSamples::default()
        }),
        unanswered: dice.maybe(|dice| Unanswered {
            reason: dice.one_of(&[UnansweredReason::SignalBlocked, UnansweredReason::Unknown]),
            kernel_state: dice.maybe(|dice| dice.one_of(&['S', 'D', '\u{1F980}'])),
        }),
        created_by: dice.maybe(stack),
        labels: dice.some(2, |dice| (dice.text(), dice.text())),
        daemon: dice.coin(),
        task: dice.maybe(|dice| Box::new(task(dice, counts))),
        line: dice.maybe(Dice::number),
        ..Thread::default()
    }
}

fn notice(dice: &mut Dice, counts: &Counts) -> Notice {
    let threads = if counts.threads == 0 { 0 } else { 2 };
    Notice {
        kind: dice.one_of(&[NoticeKind::Deadlock, NoticeKind::Fatal, NoticeKind::Panic]),
        message: dice.text(),
        threads: dice.some(threads, |dice| dice.below(counts.threads) as u32),
        location: dice.maybe(location),
        stacks: dice.some(2, |dice| StackId(dice.below(counts.stacks) as u32)),
        line: dice.maybe(Dice::number),
    }
}
