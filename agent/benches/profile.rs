//! What a profile shows of known shares, and what it costs: `cargo bench -p sigquit --bench profile`.
//!
//! What of four threads' known shares each engine finds, at two rates: the samples that were
//! delivered of those to be expected, by weight; the largest error among the shares, in points and in
//! standard errors; samples that were lost; and by how much the most memory that the process has had
//! grew. `tests/rivals` puts other samplers into the same table.
//!
//! A second table shows how much longer a fixed work under forty frames takes while it is sampled, in
//! CPU time of the working thread, and what the sampler uses beside.

mod shares;

use std::error::Error;
use std::hint::black_box;
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

/// The CPU time that a fixed work costs more when it is sampled.
fn cost(engine: Engine, rate: u32) -> Result<String, Box<dyn Error>> {
    let mut ratios = Vec::new();
    let mut sampler = Vec::new();
    for _ in 0..5 {
        let plain = thread::spawn(|| descend(DEPTH)).join().map_err(|_| "a panic")?;
        let profiling = thread::spawn(move || {
            let before = process_cpu();
            let profile = sigquit::profiler()
                .rate(rate)
                .engine(engine)
                .names(false)
                .run(Duration::from_millis(1500));
            (profile, process_cpu() - before)
        });
        thread::sleep(Duration::from_millis(200));
        let sampled = thread::spawn(|| descend(DEPTH)).join().map_err(|_| "a panic")?;
        let (profile, all) = profiling.join().map_err(|_| "a panic")?;
        profile?;
        ratios.push(sampled / plain - 1.0);
        sampler.push((all - sampled) / sampled);
    }
    ratios.sort_by(f64::total_cmp);
    sampler.sort_by(f64::total_cmp);
    Ok(format!("{:+.2} % on the thread, {:.2} % on others", ratios[2] * 100.0, sampler[2] * 100.0))
}

#[inline(never)]
fn descend(depth: u32) -> f64 {
    let locals = black_box([depth; 16]);
    if depth > 0 {
        return black_box(descend(depth - 1)) + f64::from(locals[0]) * 0.0;
    }
    let before = thread_cpu();
    for round in 0..400_000_u64 {
        black_box((0..1_000_u64).fold(round, |sum, n| sum.wrapping_mul(31) ^ n));
    }
    thread_cpu() - before
}

fn process_cpu() -> f64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which is ours.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
