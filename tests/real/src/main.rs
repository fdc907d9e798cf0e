//! Owners of locks in well-known crates, inferred from machine code and held against the truth:
//! `cargo run --release --manifest-path tests/real/Cargo.toml`.
//!
//! Each program is a process of its own, whose threads use a library (two of them are servers under
//! load). Now and then a thread that the library calls back, while it holds a lock of its own, stays
//! inside; the others come up behind that lock. Then the program dumps itself. It knows who is inside, and
//! so who holds the lock; whom the analyzer names is held against that. Anybody else who is named is
//! wrong, and then this command fails.
//!
//! None of these locks is ours, nor is the code that takes and gives them back.

mod judge;
mod libraries;
mod servers;
mod stage;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use judge::{Tally, judge};
use sigquit_analyzer::{model, read};
use stage::Random;

/// A program.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    /// Whose lock it is, and of what kind.
    lock: &'static str,
    /// The library has a lock around all its things.
    around: bool,
    /// Starts the threads.
    start: fn(),
}

/// How often each is dumped, unless `SIGQUIT_TEST_DUMPS` says how often.
const DUMPS: u32 = 25;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(name) => run(&name),
        None => table(),
    }
}

fn programs() -> impl Iterator<Item = Program> {
    servers::ALL.iter().chain(libraries::ALL).copied()
}

fn table() -> Result<ExitCode, Box<dyn Error>> {
    println!(
        "{:<34} {:<31} {:>5} {:>13} {:>5}  {:>6} {:>8} {:>4} {:>7} {:>5}  others",
        "program",
        "lock",
        "dumps",
        "waits seen",
        "locks",
        "owners",
        "inferred",
        "said",
        "unknown",
        "wrong"
    );
    let mut right = true;
    for program in programs() {
        let ran = Command::new(std::env::current_exe()?).arg(program.name).output()?;
        print!("{}", String::from_utf8_lossy(&ran.stdout));
        // The agent says of each dump where it is.
        let said = String::from_utf8_lossy(&ran.stderr);
        said.lines()
            .filter(|line| !line.starts_with("sigquit: "))
            .for_each(|line| eprintln!("{line}"));
        right &= ran.status.success();
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one program, prints its line, and says on standard error what is wrong.
fn run(name: &str) -> Result<ExitCode, Box<dyn Error>> {
    let program = programs().find(|one| one.name == name).ok_or("no such program")?;
    let folder = tempfile::tempdir()?;
    sigquit::builder().directory(folder.path()).stderr(false).install()?;
    (program.start)();
    let said = std::env::var("SIGQUIT_TEST_DUMPS").ok();
    let dumps = said.and_then(|said| said.parse().ok()).unwrap_or(DUMPS);
    let (mut tally, mut random) = (Tally::default(), Random(dumps.into()));
    let mut tries = 0;
    while tally.dumps < dumps && tries < 2 * dumps {
        tries += 1;
        thread::sleep(Duration::from_millis(20 + random.below(20) as u64));
        let mistakes = stage::shut().map(|before| one_dump(program, &before, &mut tally));
        stage::open();
        mistakes.transpose()?.iter().flatten().for_each(|mistake| eprintln!("{name}: {mistake}"));
    }
    let Tally { queued, waiting, locks, owners, inferred, said, unknown, wrong, .. } = tally;
    println!(
        "{name:<34} {:<31} {:>5} {waiting:>6}/{queued:<6} {locks:>5}  {owners:>6} {inferred:>8} {said:>4} \
         {unknown:>7} {wrong:>5}  {}, {} owners",
        program.lock, tally.dumps, tally.other_locks, tally.other_owners
    );
    Ok(if wrong == 0 && tally.dumps == dumps { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Dumps the process and judges it, unless anybody has moved meanwhile.
fn one_dump(
    program: Program,
    before: &[stage::Standing],
    tally: &mut Tally,
) -> Result<Vec<String>, Box<dyn Error>> {
    let path = sigquit::dump_now()?;
    let is_still = stage::look().is_some_and(|(after, _)| after == before);
    let input = read::read(&path.display().to_string(), &std::fs::read(&path)?, None)?;
    if std::env::var_os("SIGQUIT_TEST_KEEP").is_some() {
        std::fs::copy(
            &path,
            format!("{}-{}.sigquit", program.name.replace(' ', "-"), tally.dumps),
        )?;
    }
    std::fs::remove_file(&path)?;
    let incidents = model::incidents(vec![input]);
    let incident = incidents.first().ok_or("an empty dump")?;
    Ok(if is_still { judge(incident, before, program.around, tally) } else { Vec::new() })
}
