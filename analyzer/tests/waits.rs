//! Who waits for whom in real dumps, compared with what the programs themselves knew.

mod truth;

use serde_json::Value;
use sigquit_analyzer::detect::{Grade, Severity};
use sigquit_analyzer::explain::{RankedFinding, Report, Role};
use truth::{report, sample, truth};

fn finding<'a>(report: &'a Report, detector: &str) -> &'a RankedFinding {
    let found = report.findings.iter().find(|finding| finding.detector == detector);
    found.unwrap_or_else(|| panic!("no {detector} in: {}", report.verdict.headline))
}

fn members(finding: &RankedFinding) -> Vec<String> {
    let mut ids: Vec<String> = finding.members.iter().map(|member| member.id.clone()).collect();
    ids.sort_unstable();
    ids
}

fn listed(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    let mut texts: Vec<String> =
        items.map(|item| item.as_str().expect("a text").to_owned()).collect();
    texts.sort_unstable();
    texts
}

fn assert_silent(report: &Report, what: &str) {
    let worst = report.findings.iter().find(|finding| finding.severity > Severity::Low);
    assert!(worst.is_none(), "{what}: {}", worst.map_or("", |finding| &finding.headline));
}

#[test]
fn deadlocks_are_exactly_the_circle() {
    for (name, files) in [
        ("jvm/deadlock-2cycle-monitor-jdk8", &["dump-1.txt", "dump-2.txt"][..]),
        ("jvm/deadlock-2cycle-monitor-jdk8", &["dump-1.txt"]),
        ("jvm/deadlock-mixed-monitor-reentrantlock-jdk17", &["dump-1.txt"]),
    ] {
        let Some(folder) = sample(name) else { return };
        let report = report(&folder, files);
        let found = finding(&report, "deadlock");
        assert_eq!(members(found), listed(&truth(&folder)["app_ground_truth"]["cycle"]), "{name}");
        assert_eq!((found.role, found.confidence), (Role::Root, 0.99), "{name}");
        assert_eq!(report.findings.len(), 1, "{name}: one finding for one circle");
    }
}

#[test]
fn convoys_are_found_with_their_owner_and_what_it_does() {
    let Some(folder) = sample("jvm/convoy-monitor-200-jdk17") else { return };
    let truth = &truth(&folder)["app_ground_truth"];
    let files = ["dump-1.txt", "dump-2.txt", "dump-3.txt"];
    for files in [&files[..1], &files[..]] {
        let report = report(&folder, files);
        let found = finding(&report, "lock-contention");
        assert_eq!(Value::from(found.members.len()), truth["expected_waiters"]);
        let lock = found.lock.as_ref().expect("the lock is known");
        assert_eq!(lock.type_name.as_deref(), truth["lock_class"].as_str());
        assert!(found.owner.is_some() && found.headline.contains("network I/O"));
        assert!(report.findings.iter().all(|finding| finding.detector != "deadlock"));
    }
}

#[test]
fn the_owner_of_a_goroutines_mutex_is_inferred_from_where_it_stands() {
    let Some(folder) = sample("go/mutex_convoy_1.27.3") else { return };
    let expected = &truth(&folder)["expect"][0];
    for files in [&["debug2.txt"][..], &["sigquit.txt"], &["debug2.txt", "sigquit.txt"]] {
        let report = report(&folder, files);
        let found = finding(&report, "lock-contention");
        assert_eq!(Value::from(found.members.len()), expected["waiters"]);
        let owner = found.owner.as_ref().map(|owner| owner.id.clone());
        assert_eq!(owner, Some(expected["holder"].to_string()));
        assert_eq!(found.owner_source, Some(sigquit_dump::OwnerSource::Inferred));
        assert_eq!(found.lock.as_ref().map(|lock| lock.id.as_str()), expected["lock"].as_str());
        for frame in ["main.(*Ledger).flush", "main.(*Ledger).Append"] {
            assert!(found.frames.iter().any(|known| known == frame), "{frame}");
        }
        assert!(report.findings.iter().all(|finding| finding.detector != "deadlock"));
    }
}

#[test]
fn a_lock_upgrade_is_told_from_the_queue_behind_it() {
    let Some(folder) = sample("go/rwlock_upgrade_1.19.8") else { return };
    let expected = &truth(&folder)["expect"][0];
    for files in [&["debug2.txt"][..], &["sigquit.txt"], &["debug2.txt", "sigquit.txt"]] {
        let report = report(&folder, files);
        let found = finding(&report, "lock-upgrade");
        assert_eq!(members(found), [expected["goroutine"].to_string()]);
        assert_eq!(found.lock.as_ref().map(|lock| lock.id.as_str()), expected["lock"].as_str());
        assert!(found.headline.contains("47 goroutines can never go on"), "{}", found.headline);
        assert_eq!(report.findings.len(), 1);
    }
}

#[test]
fn an_empty_pool_is_found_with_its_holders() {
    let Some(folder) = sample("jvm/pool-hikari-slow-downstream-jdk17") else { return };
    let truth = &truth(&folder)["app_ground_truth"];
    let report = report(&folder, &["dump-1.txt", "dump-2.txt"]);
    let found = finding(&report, "connection-pool-exhaustion");
    assert_eq!(
        (found.role, Value::from(found.members.len())),
        (Role::Root, truth["waiting"].clone())
    );
    let holders = format!("{} holders in sight are in network I/O", truth["active"]);
    assert!(found.headline.contains(&holders), "{}", found.headline);
    assert_eq!(finding(&report, "thread-pool-exhaustion").role, Role::Symptom);
}

#[test]
fn maps_used_by_two_at_once_are_found_with_who_noticed() {
    for (name, message, method) in [
        ("maprace_read_1.21.13", "concurrent map read and map write", "Get"),
        ("maprace_read_1.27.3_GOTRACEBACK=all", "concurrent map read and map write", "Get"),
        ("maprace_iter_1.27.3", "concurrent map iteration and map write", "Total"),
    ] {
        let Some(folder) = sample(&format!("go/{name}")) else { return };
        let report = report(&folder, &["dump.txt"]);
        let found = finding(&report, "concurrent-map-access");
        assert_eq!((found.severity, found.confidence), (Severity::Critical, 0.99), "{name}");
        assert!(found.headline.contains(message), "{name}: {}", found.headline);
        let frame = format!("main.(*SessionCache).{method}");
        assert!(found.frames.contains(&frame), "{name}: {:?}", found.frames);
        assert_eq!(report.findings.len(), 1, "{name}");
    }
}

#[test]
fn panics_are_found_at_their_root_frame() {
    let Some(folder) = sample("go/panics_1.27.3") else { return };
    for expected in truth(&folder)["expect"].as_array().expect("a list") {
        let file = expected["file"].as_str().expect("a name");
        let report = report(&folder, &[file]);
        if expected["kind"] == "logged_stack_not_a_crash" {
            assert_silent(&report, file);
            continue;
        }
        let found = finding(&report, "panic");
        if let Some(frame) = expected["root_frame"].as_str() {
            assert_eq!(found.frames.first().map(String::as_str), Some(frame), "{file}");
        }
        if let Some(message) = expected["message"].as_str() {
            assert!(found.headline.contains(message), "{file}: {}", found.headline);
        }
        let overflow = expected["kind"] == "stack_overflow";
        if overflow {
            assert_eq!(finding(&report, "runaway-recursion").role, Role::Root, "{file}");
        }
        assert_eq!(report.findings.len(), 1 + usize::from(overflow), "{file}");
    }
}

#[test]
fn a_leak_that_the_runtime_proved_is_told_as_such() {
    let Some(folder) = sample("go/goroutine_leak_chan_send") else { return };
    let truth = &truth(&folder)["expect"][0];
    let report = report(&folder, &["t1_goroutineleak_debug2.txt"]);
    let found = finding(&report, "thread-leak");
    assert_eq!(Value::from(found.members.len()), truth["count_t1"]);
    assert!(found.frames.iter().any(|frame| truth["culprit_frames"][0] == frame.as_str()));
    let report = self::report(&folder, &["t0_debug2.txt", "t1_debug2.txt"]);
    let found = finding(&report, "thread-leak");
    assert_eq!((found.severity, found.grade), (Severity::Medium, Grade::Repeat));
    assert_eq!(Value::from(found.members.len()), truth["count_t1"]);
    assert!(!found.headline.contains("more come"), "two dumps show no growth");
}

#[test]
fn the_healthy_are_left_alone() {
    let jvm = ["dump-1.txt", "dump-2.txt", "dump-3.txt"];
    for (name, files) in [
        ("jvm/healthy-idle-jdk17", &jvm[..]),
        ("jvm/cpu-progressing-jdk17", &jvm[..]),
        ("go/healthy_idle_1.19.8", &["debug2.txt", "sigquit.txt"]),
        ("go/healthy_idle_1.27.3", &["debug2.txt", "sigquit.txt", "sigquit_GOTRACEBACK=crash.txt"]),
    ] {
        let Some(folder) = sample(name) else { return };
        assert_silent(&report(&folder, files), name);
        let idle = report(&folder, &files[..1]);
        let busy = idle.clusters.iter().filter(|cluster| !cluster.idle);
        let busy: usize = busy.map(|cluster| cluster.count).sum();
        assert!(name.contains("progressing") || busy <= 2, "{name}: {busy} not idle");
    }
}

#[test]
fn odd_annotations_are_no_findings() {
    for name in ["jdk8", "jdk17", "jdk25"] {
        let Some(folder) = sample(&format!("jvm/edge-annotations-{name}")) else { return };
        let report = report(&folder, &["dump-1.txt"]);
        assert_eq!(report.findings.len(), 0, "{name}: {}", report.verdict.headline);
    }
}

#[test]
fn different_tools_show_one_process() {
    let Some(folder) = sample("jvm/formats-all-jdk17") else { return };
    let files = ["jstack.txt", "jstack-l.txt", "jcmd-thread-print.txt", "jhsdb-jstack.txt"];
    let report = report(&folder, &files);
    assert_eq!(report.processes.len(), 1);
    let waiters = &truth(&folder)["app_ground_truth"]["waiters"];
    assert_eq!(Value::from(finding(&report, "lock-contention").members.len()), *waiters);
}
