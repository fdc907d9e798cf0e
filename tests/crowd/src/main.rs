//! How often owners of locks are found, whether anybody else is named, and what it costs: `tests/crowd/run`.
//!
//! In a crowd, two hundred threads deal with twenty locks of one kind: each lock has an owner, three
//! bystanders that had it, will take it, or just know it, and six waiters. A quarter of the owners
//! that sleep wait for another of the twenty. Guards are in boxes, vectors, closures, options and what else the
//! scenes of `tests/owner/scenes.rs` put them in; owners of which it is known that they cannot be found
//! have their own test, and no part in this. One dump is taken of each crowd, as the agent takes it by
//! default. Every thread knows what it is, and what the dump says is held against that.
//!
//! `sigquit-crowd CROWDS MILLISECONDS` gives the search more CPU time than is the default: what is unknown then,
//! the code does not tell.
//!
//! The first dump also reads the unwind tables, and is the one that costs most.

#[path = "../../owner/gate.rs"]
mod gate;
#[path = "../../owner/locks.rs"]
mod locks;
#[path = "../../owner/scenes.rs"]
#[allow(dead_code, reason = "the test beside it plays some that this does not")]
mod scenes;
#[path = "../../owner/stage.rs"]
#[allow(dead_code, reason = "as above")]
mod stage;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use gate::Door;
use locks::{Lock, ParkingMutex, ParkingReader, ParkingWriter, StdMutex, StdReader, StdWriter};
use scenes::Place;
use sigquit::dump::{self, Capture, NoticeKind};
use stage::{OfKind, Role, Stage, Tally};

const LOCKS: usize = 20;
const WAITERS: usize = 6;

/// How many crowds there are of each kind of lock, when nothing is said.
const CROWDS: u64 = 34;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let crowds = arguments.next().map_or(Ok(CROWDS), |said| said.parse())?;
    let folder = tempfile::tempdir()?;
    let mut builder = sigquit::builder().directory(folder.path());
    if let Some(milliseconds) = arguments.next() {
        builder = builder.owner_search(Duration::from_millis(milliseconds.parse()?));
    }
    builder.install()?;
    println!("{HEADING}");
    let mut tally = Tally::default();
    measure::<StdMutex>("std mutex", crowds, &mut tally)?;
    measure::<StdWriter>("std rwlock, a writer", crowds, &mut tally)?;
    measure::<StdReader>("std rwlock, a reader", crowds, &mut tally)?;
    measure::<ParkingMutex>("parking_lot mutex", crowds, &mut tally)?;
    measure::<ParkingWriter>("parking_lot rwlock, a writer", crowds, &mut tally)?;
    measure::<ParkingReader>("parking_lot rwlock, a reader", crowds, &mut tally)?;
    let (found, owners) = (tally.found(), tally.owners());
    println!("found {found} of {owners}: {:.2} %", found as f64 / owners as f64 * 100.0);
    tally.missed.iter().for_each(|(scene, times)| println!("unknown {times:>4}  {scene}"));
    tally.wrong.iter().for_each(|(scene, times)| println!("WRONG   {times:>4}  {scene}"));
    Ok(if tally.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes dumps of crowds around one kind of lock, and prints what they said and cost.
fn measure<L: Lock>(kind: &str, crowds: u64, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
    let (mut costs, mut cut) = (Vec::new(), 0);
    for seed in 1..=crowds {
        costs.push(crowd::<L>(kind, seed, tally, &mut cut)?);
    }
    let OfKind { found, unknown, wrong } = tally.kinds.get(kind).copied().unwrap_or_default();
    let (search, search_most) = median_and_most(costs.iter().map(|cost| cost.search));
    let (whole, whole_most) = median_and_most(costs.iter().map(|cost| cost.whole));
    println!(
        "{kind:<28}  {:>5}  {found:>5}  {unknown:>7}  {wrong:>5}  {search:>9.1}  {search_most:>5.1}  \
         {whole:>7.1}  {whole_most:>5.1}  {cut:>3} of {crowds}",
        found + unknown,
    );
    Ok(())
}

const HEADING: &str = "\
                                                       CPU in milliseconds
lock                          locks  found  unknown  wrong     search   most     dump   most  cut short";

/// The agent's CPU time.
struct Cost {
    /// For the search for owners.
    search: Duration,
    /// For all of the dump: asking threads, unwinding, this search, writing. Names come later.
    whole: Duration,
}

fn crowd<L: Lock>(
    kind: &str,
    seed: u64,
    tally: &mut Tally,
    cut: &mut usize,
) -> Result<Cost, Box<dyn Error>> {
    let mut stage = Stage::new(seed);
    let mut places: Vec<&'static Place<L>> = Vec::new();
    for _ in 0..LOCKS {
        let place: &'static Place<L> = Box::leak(Box::default());
        // Nobody waits for a later lock: so there is no circle.
        let door: &dyn Door = match stage.below(places.len() + 1) {
            0 => stage.closed(),
            nth => places[nth - 1],
        };
        stage.play(place, kind, Role::Owner, door, WAITERS);
        places.push(place);
    }
    let before = agent_cpu()?;
    let path = sigquit::dump_now()?;
    let whole = agent_cpu()? - before;
    let (dumps, _) = dump::read(&fs::read(path)?)?;
    let dump = dumps.into_iter().next().ok_or("no dump in the file")?;
    *cut += usize::from(dump.notices.iter().any(|notice| notice.kind == NoticeKind::Failure));
    stage.judge(&dump, tally);
    for thread in stage.end() {
        thread.join().map_err(|_| "a thread panicked")?;
    }
    let Capture { owner_search, .. } = dump.capture.ok_or("a dump without its capture")?;
    let search = Duration::from_nanos(owner_search.ok_or("nobody waits")?.0);
    Ok(Cost { search, whole })
}

/// What the agent's own thread has had of the CPU so far.
fn agent_cpu() -> Result<Duration, Box<dyn Error>> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "sigquit-agent" {
            let times = fs::read_to_string(task.join("schedstat"))?;
            let on_cpu = times.split_whitespace().next().ok_or("an empty schedstat")?;
            return Ok(Duration::from_nanos(on_cpu.parse()?));
        }
    }
    Err("there is no agent".into())
}

/// In milliseconds.
fn median_and_most(times: impl Iterator<Item = Duration>) -> (f64, f64) {
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |at: usize| times.get(at).copied().unwrap_or_default();
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}
