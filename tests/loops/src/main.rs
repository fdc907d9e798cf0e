//! Loops without an end and work, told apart by dumps alone:
//! `cargo run --release --manifest-path tests/loops/Cargo.toml`.
//!
//! Each program is a process of its own with one busy thread, of which it is known by construction
//! whether it ever ends. It is asked for three dumps, half a second apart, and the analyzer says what it
//! makes of them. A loop that is called one is found; work that is called a loop is a false alarm, and
//! then this command fails. Some loops have no state that comes back, such as one that only counts, and
//! nobody who looks at states tells them from work: that is why `seems to progress` is all that is said.
//!
//! A third of the work is that of crates that know nothing of this: `crates.rs`.

mod crates;
mod loops;
mod work;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use sigquit_analyzer::explain::Report;
use sigquit_analyzer::{analyze, read};

/// A program: its name, and what its busy thread does.
type Program = (&'static str, fn());

const DUMPS: u32 = 3;
const INTERVAL: Duration = Duration::from_millis(500);
/// What a program builds before its loop is there by then.
const WARM: Duration = Duration::from_millis(1500);
/// What the agent prints when names are on disk too.
const COMPLETE: &str = "all dumps are complete: ";

/// What the analyzer made of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Loop,
    Progresses,
    Unknown,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(name) => run(&name).map(|()| ExitCode::SUCCESS),
        None => table(),
    }
}

fn table() -> Result<ExitCode, Box<dyn Error>> {
    let mut alarms = 0;
    for (truth, programs) in
        [("loops", loops::ALL), ("works", work::ALL), ("works, a crate", crates::ALL)]
    {
        let mut counts = [0; 3];
        for (name, _) in programs {
            let (verdict, said) = verdict(&dumped(name)?);
            counts[verdict as usize] += 1;
            println!("{name:<24} {truth:<15} {said}");
        }
        let [looping, progressing, unknown] = counts;
        println!(
            "-- {truth}: {} programs; {looping} called a loop, {progressing} progressing, {unknown} not \
             known\n",
            programs.len()
        );
        alarms += if truth == "loops" { 0 } else { looping };
    }
    println!("work that was called a loop: {alarms}");
    Ok(if alarms == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a program until its dumps are there, and analyzes them.
fn dumped(name: &str) -> Result<Report, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut program = Command::new(std::env::current_exe()?)
        .arg(name)
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(program.stderr.take().ok_or("no stderr")?).lines();
    let complete = lines.map_while(Result::ok).find(|line| line.contains(COMPLETE));
    program.kill()?;
    program.wait()?;
    let line = complete.ok_or_else(|| format!("{name} ended without its dumps"))?;
    let incident = line.split_once(COMPLETE).ok_or("a line that was found")?.1;
    let mut inputs = Vec::new();
    for number in 1..=DUMPS {
        let path = format!("{incident}/dump-{number}.sigquit");
        inputs.push(read::read(&path, &std::fs::read(&path)?, None)?);
    }
    Ok(analyze(inputs))
}

/// What is said, as one of three, and in words.
fn verdict(report: &Report) -> (Verdict, String) {
    let named =
        |names: &[&str]| report.findings.iter().find(|finding| names.contains(&finding.detector));
    if let Some(found) = named(&["spin-loop", "map-corruption", "busy-wait", "runaway-recursion"]) {
        return (Verdict::Loop, format!("{}: {}", found.detector, found.headline));
    }
    match named(&["cpu-hot"]) {
        Some(hot) if hot.headline.contains("to progress") => {
            (Verdict::Progresses, hot.headline.clone())
        }
        Some(hot) => (Verdict::Unknown, hot.headline.clone()),
        None => (Verdict::Unknown, report.verdict.headline.clone()),
    }
}

fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let all = [loops::ALL, work::ALL, crates::ALL].concat();
    let (_, busy) = all.into_iter().find(|(known, _)| *known == name).ok_or("no such program")?;
    sigquit::builder().directory(".").dumps(DUMPS).interval(INTERVAL).install()?;
    thread::Builder::new().name("busy".into()).spawn(move || {
        loop {
            busy();
        }
    })?;
    thread::sleep(WARM);
    // SAFETY: sends a signal that the agent handles.
    unsafe { libc::raise(libc::SIGQUIT) };
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
