use std::env;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use serde_json::Value;

use crate::incident::SERIES;
use crate::record::record;
use crate::report::{Report, analyze, members, tid, tids};
use crate::running::Running;

/// Two victims in folders of their own under one.
struct Two {
    folder: tempfile::TempDir,
    inventory: Running,
    gateway: Running,
}

fn start(folder: &Path, victim: &str, environment: &[(&str, &str)]) -> Running {
    let environment = [&SERIES[..], environment].concat();
    let program = env!("CARGO_BIN_EXE_victim");
    let mut running = Running::start(program, victim, &folder.join(victim), &environment).unwrap();
    running.wait_for("ready").unwrap();
    running
}

/// A gateway that asks whom the truth of the inventory names, or somebody else.
fn start_two(ask: impl FnOnce(&Value) -> String) -> Two {
    let folder = tempfile::tempdir().unwrap();
    let inventory = start(folder.path(), "inventory", &[]);
    let peer = ask(&inventory.truth().unwrap());
    let gateway = start(folder.path(), "gateway", &[("VICTIM_PEER", &peer)]);
    Two { folder, inventory, gateway }
}

impl Two {
    fn report(&mut self) -> Report {
        self.inventory.quit().unwrap();
        self.gateway.quit().unwrap();
        self.inventory.wait_for_incidents(1).unwrap();
        self.gateway.wait_for_incidents(1).unwrap();
        analyze(self.folder.path())
    }

    /// Keeps the dumps of both as a fixture, when that is asked for.
    fn record(&self) {
        let fixture = Path::new("../fixtures/sigquit/gateway-and-inventory");
        for one in [&self.gateway, &self.inventory].map(Running::dumps) {
            let victim = one.parent().and_then(Path::file_name).unwrap();
            if env::var_os("RECORD").is_some() {
                record(&one, &fixture.join(victim));
            }
        }
    }
}

/// The id of the process with that pid.
fn process(report: &Report, running: &Running) -> Value {
    let processes = report.0["processes"].as_array().unwrap();
    let of_pid = |process: &&Value| process["pid"] == running.pid();
    processes.iter().find(of_pid).expect("a process")["id"].clone()
}

#[test]
fn who_waits_for_an_answer_follows_from_who_owes_it() {
    let mut two = start_two(|truth| truth["address"].as_str().unwrap().to_owned());
    let report = two.report();
    two.record();
    let [owes, waits] = [&two.inventory, &two.gateway].map(|one| process(&report, one));

    let root = report.all_findings().first().expect("a cause");
    assert_eq!(root["process"], owes, "{report}");
    let spinner = tid(&two.inventory.truth().unwrap()["spinning"]);
    assert!(members(root).contains(&spinner), "{report}");

    let stall = report.finding("downstream-stall");
    assert_eq!((&stall["process"], &stall["role"]), (&waits, &Value::from("symptom")), "{report}");
    assert_eq!(members(stall), tids(&two.gateway.truth().unwrap()["waiting"]), "{report}");
    assert!(report.is_caused_by(stall, root), "{report}");
    assert_eq!(report.roots().len(), 1, "{report}");
    let headline = report.0["verdict"]["headline"].as_str().unwrap();
    assert!(
        headline.starts_with(&format!("look first at {}", owes.as_str().unwrap())),
        "{headline}"
    );
}

#[test]
fn two_sick_processes_that_do_not_talk_are_not_tied() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let accepted =
        thread::spawn(move || silent.incoming().take(12).flatten().collect::<Vec<TcpStream>>());
    let mut two = start_two(|_| address);
    let report = two.report();
    let stall = report.finding("downstream-stall");
    assert_eq!((&stall["role"], &stall["caused_by"]), (&"root".into(), &Value::Array(Vec::new())));
    let owes = process(&report, &two.inventory);
    assert!(report.roots().iter().any(|root| root["process"] == owes), "{report}");
    drop(accepted.join());
}
