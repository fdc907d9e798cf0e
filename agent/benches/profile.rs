//! What a profile shows of known shares, and what it costs: `cargo bench -p sigquit --bench profile`.
//!
//! What of four threads' known shares each engine finds, at two rates: the samples that were
//! delivered of those to be expected, by weight; the largest error among the shares, in points and in
//! standard errors; samples that were lost; and by how much the most memory that the process has had
//! grew.
//!
//! A second table shows how much more CPU time a piece of work under forty frames takes while its thread is
//! sampled, and what is used beside it, the sampler's start included: both in hundredths of the
//! CPU time that was sampled. The first is as noisy as the machine, and so has its standard error.
//!
//! A third shows the same for the flight recorder, which has been on for a while: in hundredths of
//! the one core that the work uses, process by process in turns with it and without. `in all` is the
//! CPU time of a process for each piece of work that it has done.
//!
//! Each row is a process of its own: what memory one has used another does not find.

mod shares;

use std::error::Error;
use std::hint::black_box;
use std::process::Command;
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
/// How often what is sampled is compared with what is not.
const ROUNDS: usize = 10;
/// How long the flight recorder has been on before it is measured, and for how long it is.
const SETTLED: Duration = Duration::from_secs(2);
const RECORDED: Duration = Duration::from_secs(8);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let row = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["shares", engine, rate] => shares(named(engine)?, rate.parse()?)?,
        ["cost", engine, rate] => cost(named(engine)?, rate.parse()?)?,
        ["recorded"] => recorded()?,
        _ => return tables(),
    };
    println!("{row}");
    Ok(())
}

fn named(name: &str) -> Result<Engine, String> {
    let engine = ENGINES.iter().find(|(known, _)| *known == name).map(|&(_, engine)| engine);
    engine.ok_or_else(|| format!("{name} is no engine"))
}

fn tables() -> Result<(), Box<dyn Error>> {
    println!("engine         rate  delivered/expected          lost  error          memory");
    rows("shares")?;
    println!("\nengine         rate  cost on {DEPTH} frames, of the sampled CPU time");
    rows("cost")?;
    println!("\nflight recorder, of one core");
    recorder()
}

fn rows(table: &str) -> Result<(), Box<dyn Error>> {
    for rate in ["99", "999"] {
        for (name, _) in ENGINES {
            println!("{name:<13} {rate:>5}  {}", in_a_process(&[table, name, rate], "0")?);
        }
    }
    Ok(())
}

/// The line that this program prints when it is run with these arguments, and a flight recorder
/// of that rate.
fn in_a_process(arguments: &[&str], recorder_rate: &str) -> Result<String, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(arguments).env("SIGQUIT_RECORDER", recorder_rate).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What the flight recorder costs, by processes in turns with it and without.
fn recorder() -> Result<(), Box<dyn Error>> {
    let [mut slower, mut in_all, mut beside, mut memory] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let (without, with) = (one_recorded("0")?, one_recorded("19")?);
        slower.push(100.0 * (with[0] / without[0] - 1.0));
        in_all.push(100.0 * (with[1] / without[1] - 1.0));
        beside.push(100.0 * (with[2] - without[2]));
        memory.push((with[3] - without[3]) / 1e6);
    }
    let error = spread(&slower);
    let [slower, in_all, beside, memory] = [slower, in_all, beside, memory].map(median);
    println!(
        "{:<13} {:>5}  {slower:+.2} ± {error:.2} % on the thread, {beside:.3} % beside it, {in_all:+.2} % in all, \
         {memory:.1} MB",
        "best", 19
    );
    Ok(())
}

fn one_recorded(rate: &str) -> Result<[f64; 4], Box<dyn Error>> {
    let line = in_a_process(&["recorded"], rate)?;
    let figures: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
    Ok(figures?.try_into().map_err(|_| "not four figures")?)
}

/// Works with the flight recorder that the environment asks for. CPU time of a piece of work, on its
/// thread and of the process, in seconds; what was used beside, of one core; and the most memory, in
/// bytes.
fn recorded() -> Result<String, Box<dyn Error>> {
    sigquit::install()?;
    let works = |length| {
        pieces(|| {
            thread::sleep(length);
            Ok(())
        })
    };
    works(SETTLED)?;
    let before = process_cpu();
    let pieces = works(RECORDED)?;
    let all = process_cpu() - before;
    let beside = (all - pieces.cpu) / RECORDED.as_secs_f64();
    Ok(format!("{} {} {beside} {}", pieces.each(), all / pieces.done.max(1) as f64, resident()))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
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
    let plain = || {
        pieces(|| {
            thread::sleep(SAMPLED);
            Ok(())
        })
    };
    let mut earlier = plain()?;
    for _ in 0..ROUNDS {
        let before = process_cpu();
        let sampled = pieces(|| {
            let profiler = sigquit::profiler().rate(rate).engine(engine).names(false);
            profiler.run(SAMPLED).map(drop)
        })?;
        let all = process_cpu() - before;
        let later = plain()?;
        slower.push(100.0 * (2.0 * sampled.each() / (earlier.each() + later.each()) - 1.0));
        beside.push(100.0 * (all - sampled.cpu) / sampled.cpu);
        earlier = later;
    }
    let (error, slower, beside) = (spread(&slower), median(slower), median(beside));
    Ok(format!("{slower:+.2} ± {error:.2} % on the thread, {beside:.2} % beside it"))
}

/// The standard error of a mean of these.
fn spread(figures: &[f64]) -> f64 {
    let count = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / count;
    let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
    (squares / (count - 1.0) / count).sqrt()
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
