use std::process::{Command, Stdio};

use serde_json::Value;

use crate::incident::SERIES;
use crate::running::{Running, files};

/// `sigquit dump` of a process: its exit status, and what it said on both streams.
fn dump(pid: u32) -> (u8, Vec<u8>, String) {
    dump_with(pid, &[])
}

/// The same with more arguments.
fn dump_with(pid: u32, more: &[&str]) -> (u8, Vec<u8>, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let pid = pid.to_string();
    let arguments = ["sigquit", "dump", &pid, "--output", "json"];
    let arguments = arguments.iter().chain(more).map(Into::into);
    let status = sigquit_analyzer::cli::run(arguments, &mut out, &mut err);
    (status, out, String::from_utf8(err).unwrap())
}

#[test]
fn a_process_that_has_the_agent_is_asked_and_its_verdict_shown() {
    let folder = tempfile::tempdir().unwrap();
    let victim = env!("CARGO_BIN_EXE_victim");
    let mut running = Running::start(victim, "deadlock", folder.path(), &SERIES).unwrap();
    running.wait_for("ready").unwrap();

    let (status, out, err) = dump(running.pid());

    assert_eq!(status, 0, "{err}");
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(report["findings"][0]["detector"], "deadlock", "{report}");
    assert_eq!(report["processes"][0]["dumps"].as_array().unwrap().len(), 3);
    assert!(err.contains(&*running.dumps().to_string_lossy()), "{err}");
    // Once more: the incident before is another one.
    assert_eq!(dump(running.pid()).0, 0);
    assert_eq!(running.dumps().read_dir().unwrap().count(), 2);
}

#[test]
fn what_is_redacted_is_in_neither_stream() {
    let folder = tempfile::tempdir().unwrap();
    let victim = env!("CARGO_BIN_EXE_victim");
    let mut running = Running::start(victim, "deadlock", folder.path(), &SERIES).unwrap();
    running.wait_for("ready").unwrap();

    let (status, out, err) = dump_with(running.pid(), &["--redact"]);

    assert_eq!(status, 0, "{err}");
    let report = String::from_utf8(out).unwrap();
    assert!(report.contains("\"deadlock\""), "{report}");
    let folder = running.dumps().to_string_lossy().into_owned();
    for secret in [&*folder, "transfer-in", "statement-1", victim] {
        assert!(!report.contains(secret) && !err.contains(secret), "{secret}: {err}{report}");
    }
}

#[test]
fn who_asks_during_a_series_gets_that_series() {
    let folder = tempfile::tempdir().unwrap();
    let victim = env!("CARGO_BIN_EXE_victim");
    let mut running = Running::start(victim, "deadlock", folder.path(), &SERIES).unwrap();
    running.wait_for("ready").unwrap();
    running.quit().unwrap();
    while files(&running.dumps()).is_empty() {
        std::thread::yield_now();
    }

    let (status, out, err) = dump(running.pid());

    assert_eq!(status, 0, "{err}");
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(report["processes"][0]["dumps"].as_array().unwrap().len(), 3);
    assert_eq!(running.dumps().read_dir().unwrap().count(), 1);
}

#[test]
fn a_process_without_the_agent_is_sent_nothing() {
    let mut sleeping = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    let (status, out, err) = dump(sleeping.id());
    assert_eq!((status, out), (2, Vec::new()));
    assert!(err.contains("has no agent"), "{err}");
    assert_eq!(sleeping.try_wait().unwrap(), None, "it lives");
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();

    let (status, _, err) = dump(sleeping.id());
    assert_eq!(status, 2);
    assert!(err.contains("No such process"), "{err}");
}
