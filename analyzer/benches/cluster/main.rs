//! What clustering costs: `cargo bench -p sigquit-analyzer --bench cluster`.
//!
//! A dump of a million threads on twenty thousand distinct stacks, which share their roots as those of
//! programs do, is made an incident and clustered at each of the four levels. For each step the table
//! shows the CPU time that it used, user and system, and the memory that the process has
//! afterwards and had at most. The dump itself is made first, and is the first line.

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use sigquit_analyzer::cluster::{cluster, families, tree};
use sigquit_analyzer::model::incidents;
use sigquit_analyzer::read::Input;
use sigquit_dump::{Dump, Frame, FrameId, Kind, Runtime, StackId, Symbol, Thread, ThreadState};

const THREADS: u64 = 1_000_000;
const STACKS: u64 = 20_000;
const FUNCTIONS: u64 = 30_000;
/// So many stacks are alike: one way with other functions in its middle.
const KIN: u64 = 4;

fn main() {
    println!("{:44} {:>8} {:>9} {:>9}", "", "CPU s", "MB after", "peak MB");
    let input = step("the dump", || Input { dumps: vec![dump()], ..Input::default() });
    let incidents = step("an incident of it", || incidents(vec![input]));
    let clusters = step("exact clusters, and signatures", || cluster(&incidents[0]));
    let families = step("families", || families(&clusters));
    let tree = step("the tree", || tree(&clusters));
    let all = clusters.iter().map(|cluster| cluster.members.len()).sum::<usize>();
    let most = families.iter().max().map_or(0, |last| last + 1);
    println!(
        "{all} members, {} clusters, {most} families, {} nodes",
        clusters.len(),
        tree.nodes.len()
    );
    black_box((incidents, clusters, families, tree));
}

/// Does something, and prints what it cost.
fn step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = cpu();
    let done = work();
    let used = cpu() - before;
    let megabytes = |field| memory(field) as f64 / 1e3;
    println!(
        "{what:44} {:>8.3} {:>9.1} {:>9.1}",
        used.as_secs_f64(),
        megabytes("VmRSS:"),
        megabytes("VmHWM:")
    );
    done
}

/// CPU time of this process.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live variable of the type that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A figure of the process's memory, in kilobytes; 0 where the system does not tell.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

fn dump() -> Dump {
    let mut dump = Dump::default();
    dump.process.runtime = Runtime::Go;
    let mut dice = Dice(3);
    for function in 0..FUNCTIONS {
        let (package, kind) = (function % 300, function % 7);
        let name = format!("example.com/shop/part{package}.(*Service{kind}).Handle{function}");
        dump.intern_frame(Frame::named(Symbol::function(name)));
    }
    for _ in 0..STACKS / KIN {
        let stack = stack(&mut dice);
        for _ in 0..KIN {
            let kin = changed(&stack, &mut dice);
            dump.intern_stack(kin.into());
        }
    }
    for number in 1..=THREADS {
        // Few places have many: a pool's workers, a queue.
        let crowd = if dice.below(3) == 0 { 50 } else { STACKS };
        dump.threads.push(Thread {
            kind: Kind::Goroutine,
            number: Some(number),
            state: ThreadState::Waiting,
            state_text: "select".into(),
            stack: Some(StackId(dice.below(crowd) as u32)),
            ..Thread::default()
        });
    }
    dump
}

/// From twenty to forty-five functions: few roots, and ever more ways from there.
fn stack(dice: &mut Dice) -> Vec<FrameId> {
    let depth = 20 + dice.below(26);
    let mut frames = Vec::new();
    let mut at = dice.below(20);
    for level in 0..depth {
        let ways = if level < 6 { 2 } else { 3 };
        at = (at * 31 + level * 7919 + dice.below(ways)) % FUNCTIONS;
        frames.push(FrameId(at as u32));
    }
    frames.reverse();
    frames
}

/// The same stack by another way: one or two functions in its middle are others.
fn changed(stack: &[FrameId], dice: &mut Dice) -> Vec<FrameId> {
    let mut stack = stack.to_vec();
    for _ in 0..=dice.below(2) {
        let at = 2 + dice.below(stack.len() as u64 - 4);
        stack[at as usize] = FrameId(dice.below(FUNCTIONS) as u32);
    }
    stack
}

/// Numbers that look random and are the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
