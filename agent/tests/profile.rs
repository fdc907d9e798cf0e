//! Profiles of this very process, by each engine: one at a time, there is one in a process.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod burning;

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use burning::{ONE_AT_A_TIME, burns_in_here, finds_who_burns, profile, weight};
use sigquit::Engine;
use sigquit::dump::Clock;

#[test]
fn perf_finds_who_burns_and_where() {
    finds_who_burns(Engine::Perf, "perf", 499);
}

#[test]
fn thread_timers_find_who_burns_and_where() {
    finds_who_burns(Engine::ThreadTimers, "thread-timers", 499);
}

#[test]
fn the_process_timer_finds_who_burns_and_where() {
    finds_who_burns(Engine::ProcessTimer, "process-timer", 499);
}

#[test]
fn in_wall_time_who_waits_is_seen_as_long_as_who_works() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|lock| lock.into_inner());
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let waiter = thread::Builder::new().name("waiter".into());
    let waiter = waiter.spawn(move || assert!(gate.recv().is_err())).unwrap();
    let profile = sigquit::profiler().wall_clock().rate(20).run(Duration::from_secs(2)).unwrap();
    drop(release);
    waiter.join().unwrap();
    let (expected, share) = (profile.delivery.expected.unwrap(), profile.delivery.share().unwrap());
    assert_eq!((profile.clock, profile.engine.as_str()), (Clock::Wall, "rounds"));
    assert!(share > 0.5 && expected > 0.0, "{}", profile.summary());
    let seen = weight(&profile, "waiter");
    assert!(seen >= 10, "{seen} in {}", profile.summary());
    let folded = profile.folded();
    let waits = |line: &&String| line.starts_with("waiter;") && line.contains("recv");
    let waiting = folded.iter().filter(waits).filter_map(|line| line.rsplit_once(' '));
    let waiting: u64 = waiting.filter_map(|(_, count)| count.parse::<u64>().ok()).sum();
    assert_eq!(waiting, seen, "{folded:#?}");
    assert!(profile.threads.iter().all(|thread| thread.registers.is_none()));
}

#[test]
fn rates_that_make_no_sense_are_refused() {
    for rate in [0, 1_000_000] {
        assert!(sigquit::profiler().rate(rate).run(Duration::ZERO).is_err());
    }
    let both = sigquit::profiler().wall_clock().engine(Engine::Perf);
    assert!(both.run(Duration::ZERO).is_err());
}

// What has crashed other samplers: all at once, at a high rate. For longer:
// STORM_SECONDS=600 cargo test -p sigquit --release --test profile storm

fn panics() {
    fn deep(depth: u32) -> u32 {
        if depth == 0 { panic!("{}", black_box(depth)) } else { black_box(deep(depth - 1)) + 1 }
    }
    assert!(std::panic::catch_unwind(|| deep(30)).is_err());
}

fn takes_backtraces() {
    drop(black_box(std::backtrace::Backtrace::force_capture()));
}

fn allocates() {
    black_box((1..200_usize).map(|n| vec![0_u8; n * 37]).collect::<Vec<_>>());
}

fn starts_threads() {
    thread::spawn(burns_in_here).join().unwrap();
}

fn loads_and_unloads() {
    // SAFETY: a library of the system that does nothing when it is loaded.
    unsafe {
        let library = libc::dlopen(c"libutil.so.1".as_ptr(), libc::RTLD_NOW);
        if !library.is_null() {
            libc::dlclose(library);
        }
    }
}

#[test]
fn a_storm_ends_with_no_crash_and_no_hang() {
    let seconds = std::env::var("STORM_SECONDS").map_or(2, |text| text.parse().unwrap());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for engine in [Engine::ThreadTimers, Engine::Perf, Engine::ProcessTimer] {
        let storm: [(&str, fn()); 6] = [
            ("panics", panics),
            ("backtraces", takes_backtraces),
            ("allocates", allocates),
            ("threads", starts_threads),
            ("loads", loads_and_unloads),
            ("burner", burns_in_here),
        ];
        let Some(profile) = profile(engine, 999, seconds, &storm) else { continue };
        println!("{}", profile.summary());
        assert!(storm.iter().any(|(name, _)| weight(&profile, name) > 0));
    }
    std::panic::set_hook(hook);
}
