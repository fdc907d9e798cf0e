//! How fast dumps are read: `cargo bench -p sigquit-analyzer --bench read`.
//!
//! Texts that Go and HotSpot could have printed are read, and read and clustered, each in a
//! process of its own; the table shows the CPU time that it used, user and system, the bytes for
//! each second of it, and the most memory that it had. Each figure is the median of several
//! runs. For comparison, `pp` (panicparse) reads the same text, where it is installed.
//!
//! The last lines are of the command: a whole analysis, and its start on a dump of a megabyte.
//!
//! With `--large` there is a million goroutines too. Figures of a machine that is busy otherwise
//! mean little.

mod text;

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sigquit_analyzer::{cluster, model, read};

/// Runs of each measurement.
const ROUNDS: usize = 5;
/// Given as the first argument to the process that does the work.
const WORK: &str = "--work";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, work, path] = &arguments[..]
        && mode == WORK
    {
        return do_work(work, Path::new(path));
    }
    let folder = tempfile::tempdir()?;
    println!("{:44} {:>8} {:>8} {:>9} {:>9}", "", "MB", "CPU s", "MB/s", "peak MB");
    let mut texts = vec![
        Text::go(folder.path(), "10,000 goroutines", 10_000)?,
        Text::go(folder.path(), "100,000 goroutines", 100_000)?,
        Text::hotspot(folder.path(), "100,000 threads of HotSpot", 100_000)?,
    ];
    if arguments.iter().any(|argument| argument == "--large") {
        texts.push(Text::go(folder.path(), "1,000,000 goroutines", 1_000_000)?);
    }
    for text in &texts {
        text.measure("read", &mut worker("read", &text.path)?)?;
        text.measure("read and cluster", &mut worker("cluster", &text.path)?)?;
        text.measure("sigquit analyze", &mut analyze(&text.path))?;
    }
    rival(&texts[0])?;
    let small = Text::go(folder.path(), "600 goroutines", 600)?;
    small.measure("sigquit analyze", &mut analyze(&small.path))
}

/// What the other process does.
fn do_work(work: &str, path: &Path) -> Result<()> {
    let (inputs, errors) = read::read_paths(&[path.to_owned()], None);
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    if work == "cluster" {
        let incidents = model::incidents(inputs);
        let clusters: Vec<_> = incidents.iter().map(cluster::cluster).collect();
        black_box(&clusters);
        std::mem::forget((incidents, clusters));
    } else {
        black_box(&inputs);
        std::mem::forget(inputs);
    }
    Ok(())
}

fn worker(work: &str, path: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([WORK, work]).arg(path);
    Ok(command)
}

fn analyze(path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sigquit"));
    command.arg("analyze").arg(path);
    command
}

/// The same text, read by a program that clusters goroutines too.
fn rival(text: &Text) -> Result<()> {
    let mut pp = Command::new("pp");
    pp.args(["-aggressive"]).stdin(File::open(&text.path)?);
    if pp.stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("pp (panicparse) is not installed: left out");
        return Ok(());
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("pp -aggressive < '{}'", text.path.display()));
    text.measure("pp -aggressive", &mut command)
}

/// A file to read.
struct Text {
    what: &'static str,
    path: PathBuf,
    bytes: u64,
}

impl Text {
    fn go(folder: &Path, what: &'static str, goroutines: u64) -> Result<Text> {
        let path = folder.join(format!("go-{goroutines}"));
        text::go(goroutines, &mut BufWriter::new(File::create(&path)?))?;
        Text::of(what, path)
    }

    fn hotspot(folder: &Path, what: &'static str, threads: u64) -> Result<Text> {
        let path = folder.join(format!("hotspot-{threads}"));
        text::hotspot(threads, &mut BufWriter::new(File::create(&path)?))?;
        Text::of(what, path)
    }

    fn of(what: &'static str, path: PathBuf) -> Result<Text> {
        let bytes = fs::metadata(&path)?.len();
        Ok(Text { what, path, bytes })
    }

    /// Runs a command several times, and prints the run of the median CPU time.
    fn measure(&self, doing: &str, command: &mut Command) -> Result<()> {
        let runs: Result<Vec<Cost>> = (0..ROUNDS).map(|_| Cost::of(command)).collect();
        let mut runs = runs?;
        runs.sort_by_key(|run| run.cpu);
        let Cost { cpu, peak } = runs[ROUNDS / 2];
        let (megabytes, seconds) = (self.bytes as f64 / 1e6, cpu.as_secs_f64());
        println!(
            "{:44} {megabytes:>8.1} {seconds:>8.3} {:>9.0} {:>9.1}",
            format!("{}, {doing}", self.what),
            megabytes / seconds,
            peak as f64 / 1e6
        );
        Ok(())
    }
}

/// What a process used.
struct Cost {
    cpu: Duration,
    /// Bytes.
    peak: u64,
}

impl Cost {
    /// Runs a command to its end.
    fn of(command: &mut Command) -> Result<Cost> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::uninit());
        let pid = child.id() as libc::pid_t;
        // SAFETY: both pointers are to live variables of the types that the call fills.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if waited != pid || status != 0 {
            return Err(format!("{command:?} failed").into());
        }
        // SAFETY: the call has succeeded, so it has filled the structure.
        let usage = unsafe { usage.assume_init() };
        let time =
            |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        Ok(Cost { cpu, peak: usage.ru_maxrss as u64 * 1024 })
    }
}
