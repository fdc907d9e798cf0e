//! What a profile shows of known shares, and what it costs: `cargo bench -p sigquit --bench profile`.
//!
//! Four threads take turns by a clock of their own: each works until its CPU time has reached its
//! share (40, 30, 20 and 10 %) and sleeps in between. What they used is what the kernel's CPU clocks
//! of the threads say. For each engine and rate the table shows the samples that were delivered of
//! those to be expected, by weight; the largest error among the four shares, in points and in
//! standard errors of a share of so many samples; samples that were lost; and the sampler's own
//! CPU time in hundredths of the CPU time that was sampled, with what the threads themselves lost
//! to it not counted.
//!
//! A second table shows that: how much longer a fixed work under forty frames takes while it is
//! sampled, in CPU time of the working thread and of the sampler together.

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use sigquit::Engine;
use sigquit::dump::Profile;

const LENGTH: Duration = Duration::from_secs(8);
const SHARES: [(&str, f64); 4] =
    [("share-40", 0.4), ("share-30", 0.3), ("share-20", 0.2), ("share-10", 0.1)];
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
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = SHARES
        .into_iter()
        .map(|(name, share)| {
            let stop = Arc::clone(&stop);
            thread::Builder::new().name(name.into()).spawn(move || work(share, &stop))
        })
        .collect::<Result<_, _>>()?;
    thread::sleep(Duration::from_millis(100));
    let memory = resident();
    let profile = sigquit::profiler().rate(rate).engine(engine).names(false).run(LENGTH);
    let grown = resident().saturating_sub(memory);
    stop.store(true, Relaxed);
    workers.into_iter().try_for_each(|worker| worker.join().map(drop)).map_err(|_| "a panic")?;
    let profile = profile.map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })?;
    Ok(row(&profile, grown))
}

/// The error of the shares, against the CPU times of the threads themselves.
fn row(profile: &Profile, grown: u64) -> String {
    let weights = profile.weights();
    let of = |name: &str| {
        let found = profile.threads.iter().zip(&weights).find(|(thread, _)| thread.name == name);
        found.map_or((0.0, 0.0), |(thread, &weight)| {
            (thread.cpu.map_or(0.0, |cpu| cpu.as_secs_f64()), weight as f64)
        })
    };
    let seen: HashMap<&str, (f64, f64)> =
        SHARES.iter().map(|(name, _)| (*name, of(name))).collect();
    let cpu: f64 = seen.values().map(|(cpu, _)| cpu).sum();
    let weight: f64 = seen.values().map(|(_, weight)| weight).sum();
    let worst = seen.values().map(|(one, samples)| {
        let (truth, found) = (one / cpu, samples / weight);
        let standard = (truth * (1.0 - truth) / profile.delivery.taken as f64).sqrt();
        ((found - truth).abs() * 100.0, (found - truth).abs() / standard)
    });
    let worst = worst.fold((0.0, 0.0), |a: (f64, f64), b| (a.0.max(b.0), a.1.max(b.1)));
    let delivery = &profile.delivery;
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

/// Works in bursts of 2 to 8 ms, so that its CPU time is a share of two thirds of a CPU.
fn work(share: f64, stop: &AtomicBool) {
    let begun = Instant::now();
    let mut burst = 0_u64;
    while !stop.load(Relaxed) {
        let owed = begun.elapsed().as_secs_f64() * share * 1.3;
        if thread_cpu() < owed {
            let end = thread_cpu() + 0.002 + 0.001 * (burst * 7 % 7) as f64;
            burst += 1;
            while thread_cpu() < end {
                black_box((0..2_000_u64).fold(burst, |sum, n| sum.wrapping_mul(31) ^ n));
            }
        } else {
            thread::sleep(Duration::from_millis(1));
        }
    }
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

fn thread_cpu() -> f64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
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

/// The most memory that the process has had, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0)
        * 1024
}
