use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use sigquit_dump::{Dump, read};

use crate::record::record;
use crate::report::{Report, analyze};
use crate::running::{Running, files};

/// Enough dumps for what needs repetition, as far apart as is the default: from the first, which may
/// be late, to the last there is then more than the second that no turn-taking lasts.
pub const SERIES: [(&str, &str); 2] = [("SIGQUIT_DUMPS", "3"), ("SIGQUIT_INTERVAL", "1")];
/// Growth is not claimed on fewer dumps.
const GROWTH: (&str, &str) = ("SIGQUIT_DUMPS", "5");
/// For fixtures: as many idle connections as one still reads.
const FEW: (&str, &str) = ("VICTIM_CONNECTIONS", "200");
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A victim that was dumped.
pub struct Incident {
    /// It runs on.
    pub running: Running,
    /// What it knew of itself when it had come into its condition.
    pub before: Value,
    /// The analyzer's report.
    pub report: Report,
    folder: tempfile::TempDir,
}

/// Brings a victim into its condition and asks for one incident.
pub fn incident(victim: &str, word: &str, ask: impl FnOnce(&Running)) -> Incident {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_victim");
    let recorded = env::var_os("RECORD").is_some();
    let grows: &[_] = if victim == "task-leak" { &[GROWTH] } else { &[] };
    let environment = [&SERIES[..], grows, if recorded { &[FEW] } else { &[] }].concat();
    let mut running = Running::start(program, victim, folder.path(), &environment).unwrap();
    running.wait_for(word).unwrap();
    let before = running.truth().unwrap();
    ask(&running);
    running.wait_for_incidents(1).unwrap();
    if recorded {
        record(&running.dumps(), &Path::new("../fixtures/sigquit").join(victim));
    }
    let report = analyze(&running.dumps());
    Incident { running, before, report, folder }
}

impl Incident {
    /// The dumps, in their order.
    pub fn dumps(&self) -> Vec<Dump> {
        let dumps = |file| read(&fs::read(file).unwrap()).map_or(Vec::new(), |(dumps, _)| dumps);
        let mut dumps: Vec<Dump> =
            files(&self.folder.path().join("dumps")).into_iter().flat_map(dumps).collect();
        dumps.sort_by_key(|dump| dump.monotonic);
        dumps
    }

    /// What the victim knows of itself after the dumps: what was in work when they were complete
    /// is passed over.
    pub fn truth(&self) -> Value {
        let heartbeat = |truth: &Value| truth["heartbeat"].as_u64().unwrap();
        let look = || self.running.truth().unwrap();
        let in_work = heartbeat(&look()) + 1;
        loop {
            let truth = look();
            if heartbeat(&truth) > in_work {
                return truth;
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }
}
