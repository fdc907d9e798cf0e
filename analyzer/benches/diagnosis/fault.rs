//! Faults, and healthy behaviour that looks like them, put into a drawn service.

use sigquit_analyzer::read::Input;
use sigquit_dump::{
    AsyncRuntime, Dump, Heap, Lock, LockKind, Memory, Nanos, Notice, NoticeKind, Pressure,
    RegisterSamples, Runtime, ThreadState, Throttling, Trace, Wait, WaitFor, Worker,
};

use crate::draw::{Drawing, GO, JVM, RUST, Where, Words, owns, waits};
use crate::{Case, Truth};

/// Something that a program does.
struct Kind {
    name: &'static str,
    /// What is wrong, in the words of the detectors; nothing for what is healthy.
    root: &'static [&'static str],
    /// What may follow from it; with `!` what has to.
    also: &'static [&'static str],
    /// Runtimes whose dumps can show it.
    runtimes: &'static [Runtime],
    /// One dump can show it too.
    in_one: bool,
    draw: fn(&mut Drawing),
}

const EVERY: &[Runtime] = &[Runtime::Rust, Runtime::Jvm, Runtime::Go];

/// So many programs of each kind, with other numbers of idle and busy threads.
const ROUNDS: usize = 3;

/// Every kind in every runtime, with load and without, as one dump where that can show it and as a
/// series.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS {
        for words in [&RUST, &JVM, &GO] {
            if !kind.runtimes.contains(&words.runtime) {
                continue;
            }
            for (load, dumps) in [(false, 5), (true, 5), (false, 1), (true, 1)] {
                if dumps == 5 || kind.in_one || kind.root.is_empty() {
                    for _ in 0..ROUNDS {
                        cases.push(case(kind, words, load, dumps, cases.len() as u64));
                    }
                }
            }
        }
    }
    cases
}

fn case(kind: &Kind, words: &Words, load: bool, dumps: u64, seed: u64) -> Case {
    let mut drawing = Drawing::new(words, dumps, seed + 1);
    drawing.service(load);
    (kind.draw)(&mut drawing);
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Case {
        name: format!(
            "{:?}, {}{}, {dumps} dumps",
            words.runtime,
            kind.name,
            if load { " under load" } else { "" }
        ),
        kind: kind.name.into(),
        load: Some(load),
        inputs: vec![Input { dumps: drawing.dumps, ..Input::default() }],
        dumps: dumps as usize,
        truth: Truth::of(owned(kind.root), owned(kind.also)),
    }
}

const KINDS: &[Kind] = &[
    // --- Locks -------------------------------------------------------------------------------
    fault("two in a circle", &["deadlock"], &[], EVERY, true, |d| circle(d, 2)),
    fault("three in a circle", &["deadlock"], &[], EVERY, true, |d| circle(d, 3)),
    fault("waits for itself", &["self-deadlock"], &[], EVERY, true, |d| circle(d, 1)),
    fault("a queue that moves", &["lock-contention"], &["avalanche"], EVERY, true, |d| {
        queue(d, true, |_| 14);
    }),
    fault("an owner that stays", &["stuck-lock-owner"], &["lock-contention"], EVERY, false, |d| {
        queue(d, false, |_| 14);
    }),
    fault("reads, and wants to write", &["lock-upgrade"], &[], &[Runtime::Go], true, upgrade),
    fault(
        "an owner that stays and a pile that grows",
        &["stuck-lock-owner"],
        &["lock-contention", "!avalanche"],
        EVERY,
        false,
        |d| queue(d, false, |dump| 12 + 8 * dump),
    ),
    // --- CPU ---------------------------------------------------------------------------------
    fault("a loop without an end", &["spin-loop"], &[], &[Runtime::Rust], false, spin),
    fault("a loop that asks a flag", &["busy-wait"], &[], &[Runtime::Rust], false, |d| {
        on_cpu(d, "spinner", &["SpinLock.wait_until", "Cache.load"], true, Some(recurs(0)));
    }),
    fault("a map that two changed", &["map-corruption"], &[], &[Runtime::Jvm], false, broken_map),
    fault("others take the CPU", &["cpu-starvation"], &[], &[Runtime::Rust], false, starved),
    fault("a limit holds it back", &["cpu-starvation"], &[], &[Runtime::Rust], false, throttled),
    fault(
        "a stack that grows",
        &["runaway-recursion"],
        &["spin-loop", "cpu-hot"],
        EVERY,
        false,
        |d| recursion(d, |dump| 600 + 300 * dump),
    ),
    // --- What the runtime says ---------------------------------------------------------------
    fault("a panic", &["panic"], &[], &[Runtime::Go], true, |d| {
        says(d, NoticeKind::Panic, "index out of range [7] with length 3");
    }),
    fault("two in one map", &["concurrent-map-access"], &[], &[Runtime::Go], true, |d| {
        says(d, NoticeKind::Fatal, "concurrent map writes");
    }),
    fault("a stack overflowed", &["runaway-recursion"], &["panic"], &[Runtime::Go], true, |d| {
        says(d, NoticeKind::Fatal, "stack overflow");
    }),
    fault("no memory is left", &["memory-pressure"], &["panic"], &[Runtime::Go], true, |d| {
        says(d, NoticeKind::Fatal, "runtime: out of memory");
    }),
    // --- Pools and peers ---------------------------------------------------------------------
    fault(
        "a pool whose connections are gone",
        &["connection-pool-exhaustion"],
        &["avalanche"],
        EVERY,
        true,
        |d| pool(d, 0),
    ),
    fault(
        "a pool whose connections wait for a peer",
        &["connection-pool-exhaustion", "downstream-stall"],
        &["connection-pool-exhaustion", "avalanche"],
        EVERY,
        true,
        |d| pool(d, 6),
    ),
    fault("a full queue", &["thread-pool-exhaustion"], &[], EVERY, true, full_queue),
    fault("a peer that is silent", &["downstream-stall"], &[], EVERY, false, |d| {
        ask(d, 14, true);
    }),
    fault(
        "a peer that is silent while more ask",
        &["downstream-stall"],
        &["!avalanche"],
        EVERY,
        false,
        growing_peer,
    ),
    // --- Resources ---------------------------------------------------------------------------
    fault("a disk that is gone", &["io-stall"], &[], &[Runtime::Rust], false, disk),
    fault("a disk that is slow", &["io-stall"], &[], EVERY, false, |d| sync(d, 6)),
    fault("a heap that is full", &["gc-pressure"], &[], &[Runtime::Jvm], false, |d| {
        collector(d, 1300, 98);
    }),
    fault(
        "goroutines that help the collector",
        &["gc-pressure"],
        &[],
        &[Runtime::Go],
        false,
        |d| {
            assists(d, 12);
        },
    ),
    fault("a machine without memory", &["memory-pressure"], &[], &[Runtime::Rust], false, |d| {
        process(d, |dump, _| {
            dump.process.pressure = pressure(45.0);
            dump.threads[0].state = ThreadState::Uninterruptible;
            dump.threads[0].wchan = Some("shrink_lruvec".into());
        });
    }),
    fault("growth to the limit", &["memory-pressure"], &[], &[Runtime::Rust], false, |d| {
        process(d, |dump, at| dump.process.memory = memory(700 + 60 * at));
    }),
    fault("threads that never end", &["thread-leak"], &[], EVERY, false, |d| {
        leak(d, |dump| 60 + 12 * dump, 0);
    }),
    // --- Tasks -------------------------------------------------------------------------------
    fault("a task that nobody wakes", &["lost-waker"], &[], &[Runtime::Rust], false, |d| {
        tasks(d, |_| 40, PEER);
        forgotten(d);
    }),
    fault("tasks that never end", &["task-leak"], &[], &[Runtime::Rust], false, |d| {
        tasks(d, |dump| 110 + 9 * dump, MESSAGE);
    }),
    fault(
        "workers of a runtime in blocking calls",
        &["runtime-blocked"],
        &[],
        &[Runtime::Rust],
        true,
        blocked_workers,
    ),
    // --- Healthy -----------------------------------------------------------------------------
    healthy("nothing", EVERY, |_| ()),
    healthy("work that gets on", &[Runtime::Rust], |d| {
        on_cpu(d, "sorter", &["Sort.merge", "Index.build"], false, Some(moves()));
    }),
    healthy("work of which nothing is known", &[Runtime::Jvm, Runtime::Go], |d| {
        on_cpu(d, "sorter", &["Sort.merge", "Index.build"], false, None);
    }),
    healthy("one waiter now and then", EVERY, |d| queue(d, true, |dump| dump % 2)),
    healthy("deep, and it ends", EVERY, |d| recursion(d, |dump| 700 - 40 * (dump % 3))),
    healthy("one slow call", EVERY, |d| ask(d, 1, true)),
    healthy("a peer that answers", &[Runtime::Rust, Runtime::Jvm], |d| ask(d, 14, false)),
    healthy("a server whose clients are quiet", EVERY, quiet_clients),
    healthy("a log writer", EVERY, |d| sync(d, 1)),
    healthy("a collector at its work", &[Runtime::Jvm], |d| collector(d, 90, 60)),
    healthy("a goroutine that helps the collector", &[Runtime::Go], |d| assists(d, 1)),
    healthy("connections that arrive", EVERY, |d| leak(d, |dump| 60 + 12 * dump, 12)),
    healthy("threads that come and go", EVERY, come_and_go),
    healthy("memory that comes and goes", &[Runtime::Rust], |d| {
        process(d, |dump, at| dump.process.memory = memory(820 - 30 * (at % 2)));
    }),
    healthy("tasks that wait for their peers", &[Runtime::Rust], |d| {
        tasks(d, |dump| 2000 + 30 * dump, PEER);
    }),
    healthy("a pool at work", EVERY, |d| borrowers(d, |dump| dump % 2)),
    healthy("a process on a loaded machine", &[Runtime::Rust], |d| {
        process(d, |dump, _| {
            dump.process.pressure = Some(Pressure { cpu: 80.0, memory: 25.0, io: 30.0 });
        });
    }),
];

const fn fault(
    name: &'static str,
    root: &'static [&'static str],
    also: &'static [&'static str],
    runtimes: &'static [Runtime],
    in_one: bool,
    draw: fn(&mut Drawing),
) -> Kind {
    Kind { name, root, also, runtimes, in_one, draw }
}

const fn healthy(name: &'static str, runtimes: &'static [Runtime], draw: fn(&mut Drawing)) -> Kind {
    Kind { name, root: &[], also: &[], runtimes, in_one: true, draw }
}

// --- Locks ---------------------------------------------------------------------------------------

fn stays<'a>(leaf: &'a [&'a str], own: &'a [&'a str], state: ThreadState) -> Where<'a> {
    Where { leaf, own, stays: true, state }
}

fn circle(drawing: &mut Drawing, length: u64) {
    let leaf = drawing.words.locks;
    for dump in 0..drawing.dumps.len() {
        let locks: Vec<_> = (0..length).map(|at| drawing.lock(dump, 0x1000 + 64 * at)).collect();
        for at in 0..length as usize {
            let own = ["Account.move", "Desk.transfer"];
            let place = stays(leaf, &own, ThreadState::Blocked);
            let thread = drawing.member(dump, &format!("teller-{at}"), &place);
            owns(thread, locks[at]);
            waits(thread, locks[(at + 1) % locks.len()]);
        }
    }
}

/// So many wait in each dump for a lock whose owner moves, or stays.
fn queue(drawing: &mut Drawing, moves: bool, count: fn(usize) -> usize) {
    let (leaf, reads) = (drawing.words.locks, drawing.words.reads);
    for dump in 0..drawing.dumps.len() {
        let lock = drawing.lock(dump, 0x2000);
        let owner = if moves { dump } else { 0 };
        let (inside, own): (&[&str], &[&str]) = match moves {
            true => (&[], &["Book.sum", "Book.write", "Desk.close"]),
            false => (reads, &["Backup.readReply", "Book.write", "Desk.close"]),
        };
        let place = match moves {
            true => stays(inside, own, ThreadState::Runnable),
            false => stays(inside, own, ThreadState::Waiting),
        };
        let thread = drawing.member(dump, &format!("clerk-{owner}"), &place);
        thread.cpu = Some(Nanos::from_millis(if moves { 200 * dump as u64 } else { 3 }));
        owns(thread, lock);
        for number in 0..count(dump) {
            let own = ["Book.read", "Desk.show", "Page.render"];
            let place = stays(leaf, &own, ThreadState::Blocked);
            waits(drawing.member(dump, &format!("reader-{number}"), &place), lock);
        }
    }
}

/// One has a read-write lock for reading and wants it for writing; others want to read.
fn upgrade(drawing: &mut Drawing) {
    for dump in 0..drawing.dumps.len() {
        let lock = drawing.dumps[dump].add_lock(Lock {
            kind: LockKind::RwLock,
            address: Some(0x3000),
            ..Lock::default()
        });
        let leaf = ["sync.runtime_SemacquireRWMutex", "sync.(*RWMutex).Lock"];
        let place = stays(&leaf, &["(*Prices).load", "(*Prices).find"], ThreadState::Blocked);
        waits(drawing.member(dump, "upgrader", &place), lock);
        for number in 0..5 {
            let leaf = ["sync.runtime_SemacquireRWMutexR", "sync.(*RWMutex).RLock"];
            let place = stays(&leaf, &["(*Prices).find", "Page.render"], ThreadState::Blocked);
            let thread = drawing.member(dump, &format!("reader-{number}"), &place);
            thread.wait = Some(Wait { lock, wait_for: WaitFor::Shared });
        }
    }
}

// --- CPU -----------------------------------------------------------------------------------------

fn recurs(cycling_pointers: u32) -> RegisterSamples {
    RegisterSamples {
        samples: 400,
        distinct_pcs: 3,
        distinct_states: 9,
        recurring: 396,
        cycling_pointers,
        at_modal_pc: 200,
        over: Nanos::from_millis(400),
        control: None,
    }
}

fn moves() -> RegisterSamples {
    RegisterSamples {
        samples: 400,
        distinct_pcs: 80,
        distinct_states: 400,
        recurring: 0,
        cycling_pointers: 0,
        at_modal_pc: 20,
        over: Nanos::from_millis(400),
        control: None,
    }
}

/// Two that are on a CPU throughout.
fn on_cpu(
    drawing: &mut Drawing,
    name: &str,
    own: &[&str],
    stays: bool,
    registers: Option<RegisterSamples>,
) {
    for dump in 0..drawing.dumps.len() {
        for number in 0..2 {
            let place = Where { leaf: &[], own, stays, state: ThreadState::Runnable };
            let thread = drawing.member(dump, &format!("{name}-{number}"), &place);
            thread.cpu = Some(Nanos::from_millis(1480 * dump as u64));
            if registers.is_some() {
                thread.run_delay = Some(Nanos::from_millis(10 * dump as u64));
                thread.registers.clone_from(&registers);
            }
        }
    }
}

fn spin(drawing: &mut Drawing) {
    on_cpu(drawing, "indexer", &["Graph.follow", "Index.build"], true, Some(recurs(1)));
}

fn broken_map(drawing: &mut Drawing) {
    for dump in 0..drawing.dumps.len() {
        for number in 0..4 {
            let place = Where {
                leaf: &[
                    "java.util.HashMap$TreeNode.find",
                    "java.util.HashMap.getNode",
                    "java.util.HashMap.get",
                ],
                own: &["Cache.load", "Page.render"],
                stays: true,
                state: ThreadState::Runnable,
            };
            let thread = drawing.member(dump, &format!("request-{number}"), &place);
            thread.cpu = Some(Nanos::from_millis(1450 * dump as u64));
        }
    }
}

fn starved(drawing: &mut Drawing) {
    for dump in 0..drawing.dumps.len() {
        for number in 0..6 {
            let own = ["Price.of", "Page.render"];
            let place = Where { leaf: &[], own: &own, stays: false, state: ThreadState::Runnable };
            let thread = drawing.member(dump, &format!("request-{number}"), &place);
            thread.cpu = Some(Nanos::from_millis(60 * dump as u64));
            thread.run_delay = Some(Nanos::from_millis(800 * dump as u64));
            thread.voluntary_switches = Some(30 * dump as u64);
        }
    }
}

fn throttled(drawing: &mut Drawing) {
    process(drawing, |dump, at| {
        let time = Nanos::from_millis(900 * at);
        let (periods, throttled) = (15 * at, 12 * at);
        dump.process.throttling = Some(Throttling { periods, throttled, time });
    });
}

fn recursion(drawing: &mut Drawing, depth: fn(usize) -> usize) {
    for dump in 0..drawing.dumps.len() {
        let own: Vec<&str> =
            ["Tree.visit", "Tree.children"].into_iter().cycle().take(depth(dump)).collect();
        let place = Where { leaf: &[], own: &own, stays: true, state: ThreadState::Runnable };
        drawing.member(dump, "walker", &place);
    }
}

// --- What the runtime says -----------------------------------------------------------------------

fn says(drawing: &mut Drawing, kind: NoticeKind, message: &str) {
    let own = ["Cart.add", "Page.render"];
    drawing.member(0, "request-1", &stays(&[], &own, ThreadState::Running));
    let thread = drawing.dumps[0].threads.len() as u32 - 1;
    let notice =
        Notice { kind, message: message.into(), threads: vec![thread], ..Notice::default() };
    drawing.dumps[0].notices.push(notice);
}

// --- Pools and peers -----------------------------------------------------------------------------

fn borrowers(drawing: &mut Drawing, count: fn(usize) -> usize) {
    let leaf = drawing.words.awaits;
    for dump in 0..drawing.dumps.len() {
        for number in 0..count(dump) {
            let own = ["ConnectionPool.acquire", "Orders.place", "Page.render", "Server.answer"];
            let place = stays(leaf, &own, ThreadState::Waiting);
            drawing.member(dump, &format!("request-{number}"), &place);
        }
    }
}

/// Twelve wait for a connection; so many have one and wait for the peer.
fn pool(drawing: &mut Drawing, holders: usize) {
    borrowers(drawing, |_| 12);
    let leaf = drawing.words.reads;
    for dump in 0..drawing.dumps.len() {
        for number in 0..holders {
            let own = ["Wire.readReply", "Orders.place", "Page.render", "Server.answer"];
            let place = stays(leaf, &own, ThreadState::Waiting);
            let thread = drawing.member(dump, &format!("holder-{number}"), &place);
            // It stands behind the line at which the others wait.
            let stack = thread.stack.expect("it has one");
            let frame = drawing.dumps[dump].stacks[stack.0 as usize].frames[leaf.len() + 1];
            let symbol = &mut drawing.dumps[dump].frames[frame.0 as usize].symbols[0];
            if let Some(place) = &mut symbol.location {
                place.line = Some(90);
            }
        }
    }
}

fn full_queue(drawing: &mut Drawing) {
    let leaf = drawing.words.awaits;
    for dump in 0..drawing.dumps.len() {
        for number in 0..12 {
            let own = ["RequestQueue.push", "Front.submit", "Front.serve", "Front.run"];
            let place = stays(leaf, &own, ThreadState::Waiting);
            drawing.member(dump, &format!("client-{number}"), &place);
        }
        for number in 0..4 {
            let own = ["Report.sum", "Report.build", "Front.work"];
            let place = Where { leaf: &[], own: &own, stays: false, state: ThreadState::Runnable };
            drawing.member(dump, &format!("taker-{number}"), &place);
        }
    }
}

/// So many ask a peer that is silent, or answers each time.
fn ask(drawing: &mut Drawing, count: usize, silent: bool) {
    let leaf = drawing.words.reads;
    for dump in 0..drawing.dumps.len() {
        for number in 0..count {
            let own = ["Stock.request", "Orders.place", "Page.render"];
            let place = stays(leaf, &own, ThreadState::Waiting);
            let used = if silent { 0 } else { 30 * dump as u64 };
            let counted = drawing.words.runtime != Runtime::Go;
            let thread = drawing.member(dump, &format!("caller-{number}"), &place);
            thread.cpu = counted.then(|| Nanos::from_millis(used));
        }
    }
}

fn growing_peer(drawing: &mut Drawing) {
    let leaf = drawing.words.reads;
    for dump in 0..drawing.dumps.len() {
        for number in 0..14 + 8 * dump {
            let own = ["Stock.request", "Orders.place", "Page.render"];
            let place = stays(leaf, &own, ThreadState::Waiting);
            drawing.member(dump, &format!("caller-{number}"), &place);
        }
    }
}

fn quiet_clients(drawing: &mut Drawing) {
    let leaf = drawing.words.reads;
    for dump in 0..drawing.dumps.len() {
        for number in 0..40 {
            let own = ["Server.readRequest", "Server.serve"];
            let place = stays(leaf, &own, ThreadState::Waiting);
            drawing.member(dump, &format!("connection-{number}"), &place);
        }
    }
}

// --- Resources -----------------------------------------------------------------------------------

fn disk(drawing: &mut Drawing) {
    for dump in 0..drawing.dumps.len() {
        for number in 0..3 {
            let own = ["Journal.append", "Orders.place"];
            let place = stays(&["write"], &own, ThreadState::Uninterruptible);
            let thread = drawing.member(dump, &format!("writer-{number}"), &place);
            thread.wchan = Some("nfs_wait_on_request".into());
            thread.cpu = Some(Nanos::from_millis(7));
        }
    }
}

fn sync(drawing: &mut Drawing, count: usize) {
    let leaf = drawing.words.syncs;
    for dump in 0..drawing.dumps.len() {
        for number in 0..count {
            let own = ["Journal.append", "Orders.place", "Page.render"];
            let place = stays(leaf, &own, ThreadState::Syscall);
            drawing.member(dump, &format!("writer-{number}"), &place);
        }
    }
}

/// The collector uses so many milliseconds from dump to dump; the heap is so full.
fn collector(drawing: &mut Drawing, millis: u64, full: u64) {
    for dump in 0..drawing.dumps.len() {
        let nowhere = stays(&[], &[], ThreadState::Runnable);
        let thread = drawing.member(dump, "GC Thread#0", &nowhere);
        thread.runtime_helper = true;
        thread.stack = None;
        thread.cpu = Some(Nanos::from_millis(millis * dump as u64));
        let own = ["Import.rows", "Import.run"];
        let place = Where { leaf: &[], own: &own, stays: false, state: ThreadState::Runnable };
        drawing.member(dump, "importer", &place).cpu = Some(Nanos::from_millis(150 * dump as u64));
        drawing.dumps[dump].process.heap = Some(Heap { used: full << 20, limit: 100 << 20 });
    }
}

fn assists(drawing: &mut Drawing, count: usize) {
    for dump in 0..drawing.dumps.len() {
        for number in 0..count {
            let own = ["Import.rows", "Import.run"];
            let leaf = [
                "runtime.gopark",
                "runtime.gcParkAssist",
                "runtime.gcAssistAlloc",
                "runtime.mallocgc",
            ];
            let place = stays(&leaf, &own, ThreadState::Waiting);
            drawing.member(dump, &format!("importer-{number}"), &place).state_text =
                "GC assist wait".into();
        }
    }
}

fn process(drawing: &mut Drawing, change: fn(&mut Dump, u64)) {
    for (at, dump) in (0..).zip(&mut drawing.dumps) {
        change(dump, at);
    }
}

fn pressure(memory: f64) -> Option<Pressure> {
    Some(Pressure { cpu: 20.0, memory, io: 5.0 })
}

fn memory(resident: u64) -> Option<Memory> {
    Some(Memory { resident: resident << 20, mapped: 2000 << 20, limit: Some(1000 << 20) })
}

/// So many that wait for what does not come; with connections, as many as come along.
fn leak(drawing: &mut Drawing, count: fn(usize) -> usize, connections: usize) {
    let (leaf, reads) = (drawing.words.awaits, drawing.words.reads);
    for dump in 0..drawing.dumps.len() {
        for number in 0..count(dump) {
            let place = stays(leaf, &["Reply.wait_for", "Order.run"], ThreadState::Waiting);
            drawing.member(dump, &format!("order-{number}"), &place);
        }
        for number in 0..connections * dump {
            let place = stays(reads, &["Server.readRequest", "Server.serve"], ThreadState::Waiting);
            drawing.member(dump, &format!("connection-{number}"), &place);
        }
    }
}

fn come_and_go(drawing: &mut Drawing) {
    let leaf = drawing.words.awaits;
    for dump in 0..drawing.dumps.len() {
        for number in 20 * dump..20 * dump + 60 + 8 * dump {
            let place = stays(leaf, &["Reply.wait_for", "Order.run"], ThreadState::Waiting);
            drawing.member(dump, &format!("order-{number}"), &place);
        }
    }
}

// --- Tasks ---------------------------------------------------------------------------------------

const PEER: &[&str] = &["tokio::net::tcp::stream::TcpStream::poll_read"];
const MESSAGE: &[&str] = &["tokio::sync::oneshot::Receiver::poll"];

fn tasks(drawing: &mut Drawing, count: fn(usize) -> usize, leaf: &[&str]) {
    for dump in 0..drawing.dumps.len() {
        for number in 0..count(dump) {
            let place = stays(leaf, &["order.answer"], ThreadState::Waiting);
            drawing.task(dump, &format!("order-{number}"), "order.answer", &place);
        }
    }
}

fn forgotten(drawing: &mut Drawing) {
    for dump in 0..drawing.dumps.len() {
        let place = stays(&[], &["signal.poll"], ThreadState::Waiting);
        let thread = drawing.task(dump, "signal", "signal.wait", &place);
        thread.task.as_mut().expect("it is a task").trace = Trace::NoWaker;
    }
}

/// Two workers sleep, each in a poll, and nobody polls the others.
fn blocked_workers(drawing: &mut Drawing) {
    tasks(drawing, |_| 60, PEER);
    for dump in &mut drawing.dumps {
        let workers = [8001, 8002].map(|tid| Worker { os_id: Some(tid), ..Worker::default() });
        let runtime = AsyncRuntime { workers: workers.to_vec(), ..AsyncRuntime::default() };
        dump.async_runtimes.push(runtime);
        for task in dump.threads.iter_mut().filter_map(|thread| thread.task.as_mut()) {
            task.trace = Trace::NotServed;
        }
    }
    for dump in 0..drawing.dumps.len() {
        for tid in [8001, 8002] {
            let place = stays(&[], &[], ThreadState::Running);
            let task = drawing.task(dump, &format!("load-{tid}"), "load.all", &place);
            let (number, running) = (task.number, task.task.as_mut().expect("it is a task"));
            (running.trace, running.since_poll) = (Trace::NotAsked, None);
            let place = stays(&["std::thread::sleep"], &["load.all"], ThreadState::Waiting);
            let worker = drawing.member(dump, &format!("tokio-worker-{tid}"), &place);
            (worker.os_id, worker.carries) = (Some(tid), number);
        }
    }
}
