//! Threads that burn CPU time in a place that is known, and what a profile must say of them.

use std::error::Error as _;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use sigquit::Engine;
use sigquit::dump::Profile;

pub static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs something on threads until the profile is taken. Nothing, where the kernel or a filter
/// forbids the engine: that is said on standard output.
pub fn profile(
    engine: Engine,
    rate: u32,
    seconds: u64,
    threads: &[(&str, fn())],
) -> Option<Profile> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|lock| lock.into_inner());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for (name, turn) in threads {
            let stop = &stop;
            let run = move || {
                while !stop.load(Relaxed) {
                    turn();
                }
            };
            thread::Builder::new().name((*name).into()).spawn_scoped(scope, run).unwrap();
        }
        let profiler = sigquit::profiler().engine(engine).rate(rate);
        let taken = profiler.run(Duration::from_secs(seconds));
        stop.store(true, Relaxed);
        match taken {
            Ok(profile) => Some(profile),
            Err(error) => {
                println!("{error}: {:?}", error.source());
                assert_eq!(engine, Engine::Perf, "the others need no permission");
                None
            }
        }
    })
}

#[inline(never)]
pub fn burns_in_here() {
    black_box((0..200_000_u64).fold(1, |sum: u64, n| black_box(sum.wrapping_mul(31) ^ n)));
}

fn sleeps() {
    thread::sleep(Duration::from_millis(5));
}

pub fn weight(profile: &Profile, name: &str) -> u64 {
    let threads = profile.threads.iter().zip(profile.weights());
    threads.filter(|(thread, _)| thread.name == name).map(|(_, weight)| weight).sum()
}

pub fn finds_who_burns(engine: Engine, name: &str, rate: u32) {
    let threads: [(&str, fn()); 2] = [("burner", burns_in_here), ("sleeper", sleeps)];
    let Some(profile) = profile(engine, rate, 1, &threads) else {
        return;
    };
    assert_eq!(profile.engine, name);
    let (burner, sleeper) = (weight(&profile, "burner"), weight(&profile, "sleeper"));
    assert!(burner > 20 * sleeper.max(1), "{burner} {sleeper}");
    let folded = profile.folded();
    let there: u64 = folded
        .iter()
        .filter(|line| line.starts_with("burner;") && line.contains("burning::burns_in_here"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum();
    assert!(there * 10 >= burner * 9, "{there} of {burner}: {folded:#?}");
    assert!(profile.delivery.share().unwrap() > 0.5, "{}", profile.summary());
}
