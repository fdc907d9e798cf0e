//! What a dump of async tasks costs: `cargo bench -p sigquit --features tokio --bench task`.
//!
//! Tasks that sleep, wait for a lock, or for a message, four async functions deep, on two workers
//! of a tokio runtime, are dumped several times; the table shows the dump whose trace took the
//! median time. `trace` is from the first task woken to the last answer; `dump_now` is the whole
//! call, with writing the file and naming the frames.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sigquit::dump::{Dump, TaskCapture};
use tokio::sync::{Mutex, mpsc};

/// Dumps of each size.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    sigquit::builder().directory(folder.path()).install()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let lock = Arc::new(Mutex::new(()));
    let _held = runtime.block_on(lock.clone().lock_owned());
    println!("{HEADING}");
    let mut tasks = 0;
    for size in [100, 1_000, 10_000, 100_000, 1_000_000] {
        runtime.block_on(async {
            for number in tasks..size {
                sigquit::task::spawn(handle(number, lock.clone()));
            }
        });
        tasks = size;
        wait_until_suspended(folder.path(), size)?;
        let rows: Result<Vec<Row>, _> = (0..ROUNDS).map(|_| measure(folder.path())).collect();
        let mut rows = rows?;
        rows.sort_by_key(|row| row.capture.wall);
        rows[ROUNDS / 2].print();
    }
    // A million sleepers need not be woken one by one.
    std::process::exit(0);
}

async fn handle(number: usize, lock: Arc<Mutex<()>>) {
    answer(number, lock).await;
}

async fn answer(number: usize, lock: Arc<Mutex<()>>) {
    match number % 3 {
        0 => drop(lock.lock().await),
        1 => tokio::time::sleep(Duration::from_secs(1_000_000)).await,
        _ => receive().await,
    }
}

async fn receive() {
    let (_sender, mut receiver) = mpsc::channel::<()>(1);
    receiver.recv().await;
}

fn wait_until_suspended(folder: &Path, size: usize) -> Result<(), Box<dyn Error>> {
    loop {
        let row = measure(folder)?;
        if row.capture.served as usize == size {
            return Ok(());
        }
    }
}

/// One dump.
struct Row {
    capture: TaskCapture,
    stacks: usize,
    whole: Duration,
    size: usize,
}

const HEADING: &str = "  tasks    served  stacks       trace  a task    dump_now      file";

impl Row {
    fn print(&self) {
        let trace = self.capture.wall.as_secs_f64();
        println!(
            "{:>7}  {:>8}  {:>6}  {:>7.1} ms  {:>3.2} us  {:>7.1} ms  {:>5.1} MB",
            self.capture.tracked,
            self.capture.served,
            self.stacks,
            trace * 1e3,
            trace * 1e6 / f64::from(self.capture.tracked),
            self.whole.as_secs_f64() * 1e3,
            self.size as f64 / 1e6,
        );
    }
}

fn measure(folder: &Path) -> Result<Row, Box<dyn Error>> {
    let begun = Instant::now();
    let file = sigquit::dump_now()?;
    let whole = begun.elapsed();
    let bytes = fs::read(&file)?;
    fs::remove_dir_all(file.parent().unwrap_or(folder))?;
    let (dumps, _) = sigquit::dump::read(&bytes)?;
    let dump: Dump = dumps.into_iter().next().ok_or("no dump in the file")?;
    Ok(Row {
        capture: dump.task_capture.clone().ok_or("a dump without tasks")?,
        stacks: dump.stacks.len(),
        whole,
        size: bytes.len(),
    })
}
