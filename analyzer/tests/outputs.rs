//! What other tools read: JUnit, OpenMetrics, DOT, Mermaid, completions, manual pages; and reports
//! that can be shared.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sigquit_analyzer::cli;
use sigquit_dump::{
    Dump, Frame, Location, Lock, LockKind, Notice, NoticeKind, Owner, OwnerSource, Process,
    Runtime, Symbol, Thread, ThreadState, Wait, WaitFor,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// What the command prints; panics when it fails.
fn sigquit<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = arguments.into_iter().map(Into::into);
    let status = cli::run(std::iter::once("sigquit".into()).chain(arguments), &mut out, &mut err);
    assert_eq!(status, 0, "{}", String::from_utf8_lossy(&err));
    String::from_utf8(out).expect("text")
}

fn analyze(output: &str, path: &Path) -> String {
    sigquit([OsString::from("analyze"), "--output".into(), output.into(), path.into()])
}

#[test]
fn a_detector_is_a_test_that_fails_when_it_finds() {
    let junit = analyze("junit", &fixture("sigquit/order-service"));
    let detectors = sigquit_analyzer::detect::all().len();
    assert_eq!(junit.matches("<testcase ").count(), detectors);
    assert_eq!(junit.matches("<failure ").count(), 3);
    assert!(junit.contains(&format!("tests=\"{detectors}\" failures=\"3\"")));
    assert!(junit.contains("<failure type=\"critical\" message=\"11 threads spin in ChainedMap"));
    let healthy = analyze("junit", &fixture("sigquit/healthy"));
    assert!(!healthy.contains("<failure"));
}

#[test]
fn metrics_are_told_once_each() {
    let metrics = analyze("openmetrics", &fixture("sigquit/order-service"));
    assert!(metrics.ends_with("# EOF\n"));
    assert!(metrics.contains("sigquit_verdict{sigquit_verdict=\"incident\"} 1\n"));
    assert!(metrics.contains("sigquit_threads{process=\"p1\",dump=\"p1.3\"} 37\n"));
    let samples: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let names = samples.iter().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name);
    assert_eq!(names.collect::<BTreeSet<_>>().len(), samples.len());
}

#[test]
fn a_deadlock_is_a_circle_in_the_graph() {
    let dot = analyze("dot", &fixture("hotspot/deadlock-monitors"));
    let edges: Vec<(&str, &str)> = dot
        .lines()
        .filter_map(|line| line.trim().split_once(" -> "))
        .map(|(from, to)| (from, to.split_once(' ').expect("a label").0))
        .collect();
    let leads_on = |&(_, to): &(&str, &str)| edges.iter().any(|&(from, _)| from == to);
    assert!(edges.len() >= 2 && edges.iter().all(leads_on), "{dot}");
    let mermaid = analyze("mermaid", &fixture("hotspot/deadlock-monitors"));
    assert!(mermaid.starts_with("flowchart LR\n"));
    assert_eq!(mermaid.matches("-->").count(), edges.len());
}

#[test]
fn shells_and_man_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sigquit(["completions", shell]);
        assert!(script.contains("analyze") && script.contains("redact"), "{shell}");
    }
    assert!(sigquit(["man"]).contains(".TH sigquit 1"));
    assert!(sigquit(["man", "analyze"]).contains("fail\\-on"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = cli::run(["sigquit", "man", "nothing"].map(Into::into), &mut out, &mut err);
    assert_eq!((status, out.len()), (2, 0));
}

/// A dump in which everything that is to go has this mark.
fn secret_dump() -> Vec<u8> {
    let process = Process {
        runtime: Runtime::Rust,
        pid: Some(4711),
        host: Some("SECRET-host".into()),
        executable: Some("/home/SECRET/SECRET-program".into()),
        arguments: Some(vec!["--password=SECRET".into()]),
        ..Process::default()
    };
    let mut dump = Dump { process, ..Dump::default() };
    dump.notices.push(Notice {
        kind: NoticeKind::Panic,
        message: "no such user: SECRET".into(),
        threads: vec![2],
        ..Notice::default()
    });
    let location =
        Location { file: "/home/SECRET/src/bank.rs".into(), line: Some(7), column: None };
    let symbol = Symbol { location: Some(location), ..Symbol::function("bank::transfer") };
    let frame = dump.intern_frame(Frame::named(symbol));
    let nameless = dump.intern_frame(Frame { address: Some(0x5ec2_e700), ..Frame::default() });
    let stack = dump.intern_stack(vec![nameless, frame].into());
    for thread in 0..3 {
        let owners = vec![Owner { thread: 1 - thread % 2, source: OwnerSource::Runtime }];
        let address = Some(0x7f00_5ec2_e700 + u64::from(thread));
        let lock =
            dump.add_lock(Lock { address, kind: LockKind::Mutex, owners, ..Lock::default() });
        dump.threads.push(Thread {
            name: format!("SECRET-{thread}"),
            os_id: Some(u64::from(thread) + 4712),
            state: ThreadState::Blocked,
            stack: Some(stack),
            wait: Some(Wait { lock, wait_for: WaitFor::Exclusive }),
            labels: vec![("user".into(), "SECRET".into())],
            ..Thread::default()
        });
    }
    let mut bytes = Vec::new();
    sigquit_dump::write(&dump, &mut bytes).expect("a buffer");
    bytes
}

#[test]
fn what_is_redacted_is_in_no_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("SECRET-incident");
    fs::write(&path, secret_dump()).expect("a file");
    assert!(analyze("json", &path).contains("SECRET"));
    let outputs =
        ["text", "json", "html", "markdown", "sarif", "junit", "openmetrics", "dot", "mermaid"];
    for output in outputs {
        let told = sigquit([
            OsString::from("analyze"),
            "--redact".into(),
            "--output".into(),
            output.into(),
            path.clone().into(),
        ]);
        for secret in ["SECRET", "5ec2e7"] {
            assert!(!told.contains(secret), "{secret} is in {output}:\n{told}");
        }
    }
}

#[test]
fn what_is_redacted_is_not_on_standard_error_either() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [("dump", secret_dump()), ("SECRET-notes", b"no dump".to_vec())] {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let symbols = folder.path().join("SECRET-builds");
    fs::create_dir(&symbols).expect("a folder");
    let inputs = ["dump", "SECRET-notes", "SECRET-missing"].map(|name| folder.path().join(name));
    let told = |redact: &[&str]| {
        let mut arguments: Vec<OsString> = vec!["sigquit".into(), "analyze".into()];
        arguments.extend(["--symbols".into(), symbols.clone().into()]);
        arguments.extend(redact.iter().map(Into::into));
        arguments.extend(inputs.iter().map(Into::into));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(cli::run(arguments, &mut out, &mut err), 0);
        String::from_utf8(err).expect("text")
    };
    let whole = told(&[]);
    assert_eq!(whole.matches("SECRET-").count(), 3);
    assert!(whole.contains("SECRET-builds: holds none of the builds"), "{whole}");
    let redacted = told(&["--redact"]);
    assert_eq!(redacted.lines().count(), 3, "{redacted}");
    assert!(redacted.contains(": holds none of the builds"), "{redacted}");
    assert!(!redacted.contains("SECRET") && !redacted.contains('/'), "{redacted}");
}

#[test]
fn redaction_changes_no_finding() {
    for case in
        ["sigquit/order-service", "hotspot/pool-slow-peer", "go/slow-owner", "gdb/slow-owner"]
    {
        let findings = |redact: &[&str]| {
            let mut arguments: Vec<OsString> = vec!["analyze".into(), "--output=json".into()];
            arguments.extend(redact.iter().map(Into::into));
            arguments.push(fixture(case).into());
            let report: Value = serde_json::from_str(&sigquit(arguments)).expect("JSON");
            let findings = report["findings"].as_array().expect("findings").clone();
            let told = |finding: &Value| {
                ["detector", "severity", "score", "role", "caused_by"]
                    .map(|field| finding[field].to_string())
            };
            (report["verdict"]["status"].clone(), findings.iter().map(told).collect::<Vec<_>>())
        };
        assert_eq!(findings(&["--redact"]), findings(&[]), "{case}");
    }
}
