//! What a dump costs: `cargo bench -p sigquit`.
//!
//! Threads that wait for a mutex, sleep, or are parked, under thirty-odd frames each, are dumped
//! several times; the table shows the dump whose capture took the median time. For comparison,
//! `eu-stack` and `gdb` look at the same process, where they are installed. Figures of a machine
//! that is busy otherwise mean little.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use sigquit::dump::{self, Capture, Dump, Nanos};
use sigquit_symbolize::Symbolizer;

/// Dumps of each size.
const ROUNDS: usize = 5;
/// Frames of the benchmark's own under each thread's wait.
const DEPTH: u32 = 30;
/// With more threads than this, other programs take minutes.
const OUTSIDE_LIMIT: usize = 1_000;

static MUTEX: Mutex<()> = Mutex::new(());
static STARTED: AtomicUsize = AtomicUsize::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    // What the agent says of its files would stand between the lines of the table.
    sigquit::builder().directory(folder.path()).install()?;
    let _held = MUTEX.lock();
    println!("{HEADING}");
    let mut threads = 0;
    for size in [10, 100, 1_000, 10_000] {
        while threads < size {
            spawn(threads)?;
            threads += 1;
        }
        wait_until_started(size);
        let rows: Result<Vec<Row>, _> = (0..ROUNDS).map(|_| measure(folder.path())).collect();
        let mut rows = rows?;
        rows.sort_by_key(|row| row.capture.wall);
        rows[ROUNDS / 2].print(size);
    }
    // Ten thousand sleepers need not be woken one by one.
    std::process::exit(0);
}

fn spawn(number: usize) -> std::io::Result<()> {
    let wait: fn() = match number % 3 {
        0 => || drop(MUTEX.lock()),
        1 => || std::thread::sleep(Duration::from_secs(1_000_000)),
        _ => std::thread::park,
    };
    let builder = std::thread::Builder::new().stack_size(128 * 1024);
    builder.spawn(move || descend(DEPTH, wait)).map(drop)
}

/// Calls itself, with some locals in each frame, and waits at the bottom.
#[inline(never)]
fn descend(depth: u32, wait: fn()) -> u32 {
    let locals = black_box([depth; 16]);
    if depth > 0 {
        return black_box(descend(depth - 1, wait)) + locals[0];
    }
    STARTED.fetch_add(1, SeqCst);
    wait();
    locals[0]
}

fn wait_until_started(size: usize) {
    while STARTED.load(SeqCst) < size {
        std::thread::sleep(Duration::from_millis(10));
    }
    // The last ones are a few instructions away from their wait.
    std::thread::sleep(Duration::from_millis(200));
}

/// One dump, and what each part of it cost.
struct Row {
    capture: Capture,
    whole: Duration,
    writing: Duration,
    symbolizing: Duration,
    size: u64,
}

fn measure(folder: &Path) -> Result<Row, Box<dyn Error>> {
    let (path, whole) = timed(sigquit::dump_now);
    let path = path?;
    let size = std::fs::metadata(&path)?.len();
    let (dumps, _) = dump::read(&std::fs::read(&path)?)?;
    let mut dump = dumps.into_iter().next().ok_or("no dump in the file")?;
    let capture = dump.capture.clone().ok_or("a dump without its capture")?;
    for frame in &mut dump.frames {
        frame.symbols.clear();
    }
    let (written, writing) = timed(|| write(&dump, &folder.join("again")));
    written?;
    let mut symbolizer = Symbolizer::new(|module| vec![module.path.clone().into()]);
    let (_, symbolizing) = timed(|| symbolizer.names(&dump));
    Ok(Row { capture, whole, writing, symbolizing, size })
}

/// As the agent writes: through to the disk.
fn write(dump: &Dump, path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    dump::write(dump, &mut out)?;
    out.flush()?;
    out.get_ref().sync_all()
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let value = run();
    (value, begun.elapsed())
}

const HEADING: &str = "\
threads  answered  handler p50      p99      max   capture  unwinding   writing    naming  \
dump_now     file  eu-stack       gdb";

impl Row {
    fn print(&self, size: usize) {
        let handler = |time: Option<Nanos>| {
            time.map_or("-".into(), |time| format!("{:.2} us", time.0 as f64 / 1e3))
        };
        let capture = &self.capture;
        let own = |time: Nanos| millis(Duration::from_nanos(time.0));
        println!(
            "{size:>7}  {:>8}  {:>11}  {:>7}  {:>7}  {:>8}  {:>9}  {:>8}  {:>8}  {:>8}  {:>7}  \
             {:>8}  {:>8}",
            capture.answered,
            handler(capture.handler_p50),
            handler(capture.handler_p99),
            handler(capture.handler_max),
            own(capture.wall),
            capture.unwinding.map_or("-".into(), own),
            millis(self.writing),
            millis(self.symbolizing),
            millis(self.whole),
            format!("{} KB", self.size / 1000),
            if size > OUTSIDE_LIMIT { "-".into() } else { eu_stack() },
            if size > OUTSIDE_LIMIT { "-".into() } else { gdb() },
        );
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn eu_stack() -> String {
    outside(Command::new("eu-stack").arg("-p").arg(std::process::id().to_string()))
}

fn gdb() -> String {
    let pid = std::process::id().to_string();
    outside(Command::new("gdb").args(["-batch", "-p", &pid, "-ex", "thread apply all bt"]))
}

/// How long another program takes to show this process's stacks; a dash when it cannot.
fn outside(command: &mut Command) -> String {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (ended, time) = timed(|| command.status());
    match ended {
        Ok(_) => millis(time),
        Err(_) => "-".into(),
    }
}
