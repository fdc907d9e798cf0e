//! Who holds a lock, read from the threads' machine code: owners are named, and nobody else.
//!
//! Threads play scenes with locks of six kinds. Each lock has one owner, three bystanders that
//! had it, will take it, or just know it, and two waiters; all of them know what they are. A dump
//! is taken, and what it says in `will_release` is held against that.
//!
//! A test binary of its own, because it is the process that is looked at. How often owners are found
//! in builds of other kinds, and what it costs, measures `tests/crowd`.

#[path = "owner/gate.rs"]
mod gate;
#[path = "owner/locks.rs"]
mod locks;
#[path = "owner/scenes.rs"]
mod scenes;
#[path = "owner/stage.rs"]
mod stage;

use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use locks::{Lock, ParkingMutex, ParkingReader, ParkingWriter, StdMutex, StdReader, StdWriter};
use scenes::Place;
use sigquit::dump::{self, Dump, NoticeKind};
use stage::{OfKind, Role, Stage, Tally};

/// How many casts each test plays, unless `SIGQUIT_TEST_SEEDS` says how many.
const SEEDS: u64 = 12;

/// One test at a time: there is one process to look at, and a dump shows the threads of all. Tests begin
/// in the order of their names; those of the last stay.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|lock| lock.into_inner())
}

#[test]
fn a_lock_s_owners_are_named_and_nobody_else() {
    let _turn = turn();
    let mut tally = Tally::default();
    for seed in seeds() {
        let mut stage = Stage::new(seed);
        play_any(&mut stage, Role::Owner);
        play_any(&mut stage, Role::Owner);
        judge(stage, &mut tally);
    }
    print("owners", &tally);
    println!("missed: {:?}", tally.missed);
    assert!(tally.wrong.is_empty(), "these do not hold the lock: {:?}", tally.wrong);
    // How far code is followed has limits, and the compiler decides how long the way is. Of so few
    // owners, chance may draw several with a long way.
    assert!(tally.found() * 6 >= tally.owners() * 5, "these hold the lock: {:?}", tally.missed);
}

#[test]
fn an_owner_that_cannot_be_found_makes_nobody_else_one() {
    let _turn = turn();
    let mut tally = Tally::default();
    // Those who hold a lock for ever stay; so there are few.
    for seed in 1..=6 {
        let mut stage = Stage::new(seed);
        play_any(&mut stage, Role::Hidden);
        judge(stage, &mut tally);
    }
    print("hidden owners", &tally);
    assert!(tally.wrong.is_empty(), "these do not hold the lock: {:?}", tally.wrong);
}

#[test]
fn a_thread_that_waits_for_itself_is_its_owner() {
    let _turn = turn();
    let mut tally = Tally::default();
    let mut stage = Stage::new(1);
    stage.wait_for_itself(place::<StdMutex>(), "std mutex");
    stage.wait_for_itself(place::<ParkingMutex>(), "parking_lot mutex");
    judge(stage, &mut tally);
    print("self-deadlocks", &tally);
    assert!(tally.wrong.is_empty(), "these do not hold the lock: {:?}", tally.wrong);
    // Whether a wait in the standard library ended with the lock cannot be read from its code.
    assert!(tally.found() > 0, "these hold the lock: {:?}", tally.missed);
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    let said = std::env::var("SIGQUIT_TEST_SEEDS").ok();
    1..=said.and_then(|said| said.parse().ok()).unwrap_or(SEEDS)
}

/// Plays with a lock of any kind.
fn play_any(stage: &mut Stage, owner: Role) {
    match stage.below(6) {
        0 => play::<StdMutex>(stage, "std mutex", owner),
        1 => play::<StdWriter>(stage, "std writer", owner),
        2 => play::<StdReader>(stage, "std reader", owner),
        3 => play::<ParkingMutex>(stage, "parking_lot mutex", owner),
        4 => play::<ParkingWriter>(stage, "parking_lot writer", owner),
        _ => play::<ParkingReader>(stage, "parking_lot reader", owner),
    }
}

fn play<L: Lock>(stage: &mut Stage, kind: &str, owner: Role) {
    stage.play(place::<L>(), kind, owner, stage.closed(), 2);
}

fn place<L: Lock>() -> &'static Place<L> {
    Box::leak(Box::default())
}

/// Takes a dump and holds it against the truth, and lets all go.
fn judge(stage: Stage, tally: &mut Tally) {
    stage.judge(&whole_dump(), tally);
    stage.end();
}

fn print(what: &str, tally: &Tally) {
    let (found, owners) = (tally.found(), tally.owners());
    println!("{what}: {found} of {owners} found, {} wrong", tally.wrong.len());
    for (kind, OfKind { found, wrong, unknown }) in &tally.kinds {
        println!("{kind:<20}  found {found:>5}  wrong {wrong:>5}  unknown {unknown:>5}");
    }
}

/// A dump in which every thread was looked at to the end: on a machine that is very busy the
/// agent gives up earlier, and says so.
fn whole_dump() -> Dump {
    static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let builder = sigquit::builder().directory(directory.path()).stderr(false);
        let builder = builder.owner_search(Duration::from_secs(30));
        builder.deadline(Duration::from_secs(60)).install().expect("an agent");
        directory
    });
    LazyLock::force(&DIRECTORY);
    for _ in 0..30 {
        let path = sigquit::dump_now().expect("a dump");
        let bytes = std::fs::read(path).expect("the dump's file");
        let (dumps, warnings) = dump::read(&bytes).expect("a dump");
        assert!(warnings.is_empty(), "{warnings:?}");
        let dump = dumps.into_iter().next().expect("one dump");
        if dump.notices.iter().all(|notice| notice.kind != NoticeKind::Failure) {
            return dump;
        }
        println!("once more, for {:?}", dump.notices);
    }
    panic!("no whole dump in thirty");
}
