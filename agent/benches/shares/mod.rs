//! Four threads of which it is known what they use: 40, 30, 20 and 10 % of the CPU time of all.
//!
//! Each works in bursts of 2 to 8 ms, until its CPU time has reached its share, and sleeps in between. What
//! it really used, by the kernel's clock of the thread, is what a profile is compared with.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The threads by name, each with its share.
pub const SHARES: [(&str, f64); 4] =
    [("share-40", 0.4), ("share-30", 0.3), ("share-20", 0.2), ("share-10", 0.1)];

/// CPU time that all use together, of one CPU.
const LOAD: f64 = 1.3;

/// The threads, at work.
pub struct Workers {
    stop: Arc<AtomicBool>,
    used: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts them.
    pub fn start() -> std::io::Result<Workers> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut used, mut threads) = (Vec::new(), Vec::new());
        for (name, share) in SHARES {
            let (stop, own) = (Arc::clone(&stop), Arc::new(AtomicU64::new(0)));
            used.push(Arc::clone(&own));
            let thread = thread::Builder::new().name(name.into());
            threads.push(thread.spawn(move || work(share, &stop, &own))?);
        }
        thread::sleep(Duration::from_millis(100));
        Ok(Workers { stop, used, threads })
    }

    /// What each has used up to now, in seconds, as exact as a millisecond.
    pub fn used(&self) -> [f64; 4] {
        std::array::from_fn(|at| self.used[at].load(Relaxed) as f64 / 1e9)
    }

    /// Ends them.
    pub fn stop(self) {
        self.stop.store(true, Relaxed);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn work(share: f64, stop: &AtomicBool, used: &AtomicU64) {
    let begun = Instant::now();
    let mut burst = 0_u64;
    while !stop.load(Relaxed) {
        if thread_cpu() < begun.elapsed().as_secs_f64() * share * LOAD {
            let end = thread_cpu() + 0.002 + 0.001 * (burst * 5 % 7) as f64;
            burst += 1;
            while thread_cpu() < end {
                black_box((0..2_000_u64).fold(burst, |sum, n| sum.wrapping_mul(31) ^ n));
            }
            used.store((thread_cpu() * 1e9) as u64, Relaxed);
        } else {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The largest error of the shares of a profile: in points, and in standard errors of a share of so
/// many independent samples.
pub fn error(used: [f64; 4], weights: [f64; 4], samples: u64) -> (f64, f64) {
    let (cpu, weight): (f64, f64) = (used.iter().sum(), weights.iter().sum());
    let errors = used.iter().zip(weights).map(|(used, found)| {
        let (truth, found) = (used / cpu, found / weight.max(1.0));
        let standard = (truth * (1.0 - truth) / samples.max(1) as f64).sqrt();
        (100.0 * (found - truth).abs(), (found - truth).abs() / standard)
    });
    errors.fold((0.0, 0.0), |one: (f64, f64), other| (one.0.max(other.0), one.1.max(other.1)))
}

/// The CPU time of the calling thread, in seconds.
pub fn thread_cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that the process has had, in bytes.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0)
        * 1024
}
