//! What a profile shows of known shares, and what it costs: `cargo bench -p sigquit --bench profile`.
//!
//! What of four threads' known shares each engine finds, at two rates: the samples that were
//! delivered of those to be expected, by weight; the largest error among the shares, in points and in
//! standard errors; samples that were lost; and by how much the most memory that the process has had
//! grew.
//!
//! A second table shows how much more CPU time a piece of work under forty frames takes while its thread is
//! sampled, and what is used beside it, the sampler's start included: both in hundredths of the
//! CPU time that was sampled. The first is as noisy as the machine.

mod shares;

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use shares::{SHARES, Workers, resident, thread_cpu};

use sigquit::Engine;
use sigquit::dump::Profile;

const LENGTH: Duration = Duration::from_secs(8);
const ENGINES: [(&str, Engine); 3] = [
    ("perf", Engine::Perf),
    ("thread-timers", Engine::ThreadTimers),
    ("process-timer", Engine::ProcessTimer),
];
/// For how long a thread works while it is sampled, and as long while it is not.
const SAMPLED: Duration = Duration::from_secs(4);
const DEPTH: u32 = 40;

fn main() -> Result<(), Box<dyn Error>> {
    println!("engine         rate  delivered/expected          lost  error          memory");
    for rate in [99, 999] {
        for (name, engine) in ENGINES {
            match shares(engine, rate) {
                Ok(row) => println!("{name:<13} {rate:>5}  {row}"),
                Err(error) => println!("{name:<13} {rate:>5}  {error}"),
            }
        }
    }
    println!("\nengine         rate  cost on {DEPTH} frames, of the sampled CPU time");
    for rate in [99, 999] {
        for (name, engine) in ENGINES {
            println!("{name:<13} {rate:>5}  {}", cost(engine, rate)?);
        }
    }
    Ok(())
}

fn shares(engine: Engine, rate: u32) -> Result<String, Box<dyn Error>> {
    let workers = Workers::start()?;
    let (memory, before) = (resident(), workers.used());
    let profile = sigquit::profiler().rate(rate).engine(engine).names(false).run(LENGTH);
    let (grown, after) = (resident().saturating_sub(memory), workers.used());
    workers.stop();
    let profile = profile.map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })?;
    let used = std::array::from_fn(|at| after[at] - before[at]);
    Ok(row(&profile, used, grown))
}

/// The error of the shares, against the CPU times of the threads themselves.
fn row(profile: &Profile, used: [f64; 4], grown: u64) -> String {
    let weights = profile.weights();
    let weight = |name: &str| {
        let threads = profile.threads.iter().zip(&weights);
        threads.filter(|(thread, _)| thread.name == name).map(|(_, &weight)| weight as f64).sum()
    };
    let found = SHARES.map(|(name, _)| weight(name));
    let delivery = &profile.delivery;
    let worst = shares::error(used, found, delivery.taken);
    format!(
        "{:>6}/{:<8.0} {:>5.3} (raw {:>5})  {:>4}  {:.2} / {:.1} SE  {:>4.1} MB",
        delivery.weight,
        delivery.expected.unwrap_or(0.0),
        delivery.share().unwrap_or(0.0),
        delivery.taken,
        delivery.lost,
        worst.0,
        worst.1,
        grown as f64 / 1e6,
    )
}

/// What a piece of work costs more in CPU time when its thread is sampled; and what is used beside.
fn cost(engine: Engine, rate: u32) -> Result<String, Box<dyn Error>> {
    let (mut slower, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let plain = pieces(|| {
            thread::sleep(SAMPLED);
            Ok(())
        })?;
        let before = process_cpu();
        let sampled = pieces(|| {
            let profiler = sigquit::profiler().rate(rate).engine(engine).names(false);
            profiler.run(SAMPLED).map(drop)
        })?;
        let all = process_cpu() - before;
        slower.push(sampled.each() / plain.each() - 1.0);
        beside.push((all - sampled.cpu) / sampled.cpu);
    }
    slower.sort_by(f64::total_cmp);
    beside.sort_by(f64::total_cmp);
    let (slower, beside) = (slower[1] * 100.0, beside[1] * 100.0);
    Ok(format!("{slower:+.2} % on the thread, {beside:.2} % beside it"))
}

/// Pieces of work, and the CPU time that they took.
struct Pieces {
    done: u64,
    cpu: f64,
}

impl Pieces {
    fn each(&self) -> f64 {
        self.cpu / self.done.max(1) as f64
    }
}

/// Works on a thread of its own, under forty frames, until something else is done.
fn pieces(
    meanwhile: impl FnOnce() -> Result<(), sigquit::Error>,
) -> Result<Pieces, Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let worker = thread::spawn(move || descend(DEPTH, &stopped));
    let done = meanwhile();
    stop.store(true, Relaxed);
    let pieces = worker.join().map_err(|_| "a panic")?;
    done?;
    Ok(pieces)
}

#[inline(never)]
fn descend(depth: u32, stop: &AtomicBool) -> Pieces {
    if depth > 0 {
        return black_box(descend(black_box(depth - 1), stop));
    }
    let begun = thread_cpu();
    let mut done = 0_u64;
    while !stop.load(Relaxed) {
        black_box((0..20_000_u64).fold(done, |sum, n| sum.wrapping_mul(31) ^ n));
        done += 1;
    }
    Pieces { done, cpu: thread_cpu() - begun }
}

/// The CPU time of the process, in seconds.
fn process_cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
