//! What it costs to look at tokio's spans: in `tests/unstable`,
//! `cargo run --release --bin spans`, with `--features console` for tokio-console's layer, and
//! with `RUSTFLAGS=` before it for tokio as most programs are built.
//!
//! Each row is a process of its own. Times are of the CPU, on the one thread that works: what the
//! console's own thread does is left out. Medians over the rounds; memory is what the process holds at
//! the end.

use std::hint::black_box;
use std::process::Command;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

const ROUNDS: usize = 11;
const LOCKS: u32 = 10_000;
const SPAWNS: u32 = 1_000;

/// What looks at the spans, and how that is set up.
type Watcher = (&'static str, fn());

const WATCHERS: &[Watcher] = &[
    ("nobody", || ()),
    ("a registry, and a layer that does nothing", idle),
    ("sigquit::spans::layer", || {
        tracing_subscriber::registry().with(sigquit::spans::layer()).init()
    }),
    #[cfg(feature = "console")]
    ("sigquit::spans::console", || {
        tracing_subscriber::registry().with(sigquit::spans::console()).init();
    }),
    #[cfg(feature = "console")]
    ("console-subscriber alone", || {
        tracing_subscriber::registry().with(console_subscriber::spawn()).init();
    }),
];

/// Wants the same spans, internal ones left out.
fn idle() {
    struct Idle;
    impl<S: tracing::Subscriber> Layer<S> for Idle {}
    let wanted = filter_fn(|metadata| {
        let internal = metadata.file().is_some_and(|file| file.ends_with("batch_semaphore.rs"));
        let name = metadata.name();
        let is_op = metadata.target() == "runtime::resource::poll_op";
        let is_span = name.starts_with("runtime.") && name != "runtime.resource.async_op.poll";
        !internal && (is_op || is_span)
    });
    tracing_subscriber::registry().with(Idle.with_filter(wanted)).init();
}

fn main() {
    let chosen = std::env::args().nth(1);
    if let Some(name) = chosen {
        let watcher = WATCHERS.iter().find(|(known, _)| *known == name).expect("a known name");
        watcher.1();
        return measure(watcher.0);
    }
    let build = if cfg!(tokio_unstable) { "tokio_unstable" } else { "plain tokio" };
    println!("{:44} {:>9} {:>11} {:>9}", build, "ns/lock", "ns/spawn", "MB held");
    for (name, _) in WATCHERS {
        let own = std::env::current_exe().expect("this program has a file");
        let status = Command::new(own).arg(name).status().expect("it can be started again");
        assert!(status.success(), "{name}: {status}");
        if !cfg!(tokio_unstable) {
            break;
        }
    }
}

fn measure(name: &str) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let lock = median(|| per(LOCKS, || locks(&runtime)));
    let spawn = median(|| per(SPAWNS, || spawns(&runtime)));
    println!("{name:44} {lock:>9.0} {spawn:>11.0} {:>9.1}", held());
}

fn locks(runtime: &Runtime) {
    runtime.block_on(async {
        let mutex = Mutex::new(0);
        for _ in 0..LOCKS {
            *black_box(&mutex).lock().await += 1;
        }
    });
}

fn spawns(runtime: &Runtime) {
    runtime.block_on(async {
        for number in 0..SPAWNS {
            black_box(tokio::spawn(async move { black_box(number) }).await).expect("no panic");
        }
    });
}

fn per(times: u32, work: impl FnOnce()) -> f64 {
    let begun = cpu();
    work();
    (cpu() - begun) / f64::from(times)
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    figures.sort_by(f64::total_cmp);
    figures[ROUNDS / 2]
}

/// CPU time of this thread, in nanoseconds.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Memory of this process that is resident, in megabytes.
fn held() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}
