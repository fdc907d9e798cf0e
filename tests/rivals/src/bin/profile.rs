//! Known shares of CPU time as the crate `pprof` and sigquit's own engines find them, in one run:
//! `cargo run --release --manifest-path tests/rivals/Cargo.toml --bin profile`.
//!
//! The workload is that of sigquit's bench of the same name. `pprof` counts no losses; so here the
//! samples to be expected are for all the CPU time that the threads used, times the rate.

#[path = "../../../../agent/benches/shares/mod.rs"]
mod shares;

use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::Duration;

use shares::{SHARES, Workers, resident};
use sigquit::Engine;

const PPROF: &str = "pprof 0.15";
const LENGTH: Duration = Duration::from_secs(8);

/// What was found: the weight of each thread, the samples, the memory that it took.
type Found = ([f64; 4], u64, u64);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, rate] = &arguments[..] {
        return row(name, rate.parse()?);
    }
    println!("engine         rate  delivered/expected  error            memory");
    for rate in ["99", "999"] {
        for name in ["perf", "thread-timers", "process-timer", PPROF] {
            // A process of its own: what memory one has used another does not find.
            Command::new(std::env::current_exe()?).args([name, rate]).status()?;
        }
    }
    Ok(())
}

fn row(name: &str, rate: u32) -> Result<(), Box<dyn Error>> {
    let workers = Workers::start()?;
    let (memory, before) = (resident(), workers.used());
    let found = match name {
        "perf" => ours(Engine::Perf, rate),
        "thread-timers" => ours(Engine::ThreadTimers, rate),
        "process-timer" => ours(Engine::ProcessTimer, rate),
        PPROF => pprof(rate),
        other => Err(format!("{other} is no engine").into()),
    };
    let (grown, after) = (resident().saturating_sub(memory), workers.used());
    workers.stop();
    let (weights, samples, others) = found?;
    let used: [f64; 4] = std::array::from_fn(|at| after[at] - before[at]);
    let expected = used.iter().sum::<f64>() * f64::from(rate);
    let delivered: f64 = weights.iter().sum();
    let (points, standard) = shares::error(used, weights, samples);
    println!(
        "{name:<13} {rate:>5}  {delivered:>6.0}/{expected:<6.0} {:.3}  {points:.2} / {standard:.1} SE  \
         {:.1} MB, {others} samples of other threads",
        delivered / expected,
        grown as f64 / 1e6
    );
    Ok(())
}

fn ours(engine: Engine, rate: u32) -> Result<Found, Box<dyn Error>> {
    let profile = sigquit::profiler().rate(rate).engine(engine).names(false).run(LENGTH)?;
    let weights = profile.weights();
    let weight = |name: &str| {
        let threads = profile.threads.iter().zip(&weights);
        threads.filter(|(thread, _)| thread.name == name).map(|(_, &weight)| weight as f64).sum()
    };
    let found = SHARES.map(|(name, _)| weight(name));
    let others = profile.delivery.weight - found.iter().sum::<f64>() as u64;
    Ok((found, profile.delivery.taken, others))
}

fn pprof(rate: u32) -> Result<Found, Box<dyn Error>> {
    let guard = pprof::ProfilerGuard::new(rate as i32)?;
    thread::sleep(LENGTH);
    let report = guard.report().build()?;
    let of = |name: &str| {
        let threads = report.data.iter().filter(|(frames, _)| frames.thread_name == name);
        threads.map(|(_, &count)| count as f64).sum()
    };
    let (found, all) = (SHARES.map(|(name, _)| of(name)), report.data.values().sum::<isize>());
    Ok((found, all as u64, all as u64 - found.iter().sum::<f64>() as u64))
}
