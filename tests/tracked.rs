use std::collections::BTreeSet;

use serde_json::Value;

use crate::incident::{Incident, incident};
use crate::report::{ids, members, tid, tids};

fn dumped(victim: &str) -> (Incident, Value) {
    let incident = incident(victim, "ready", |running| running.quit().unwrap());
    let truth = incident.truth();
    (incident, truth)
}

fn one(thread: &Value) -> BTreeSet<String> {
    BTreeSet::from([tid(thread)])
}

/// Whether a finding names a line of a victim's source.
fn names(finding: &Value, file: &str, line: &Value) -> bool {
    let place = format!("{file}:{line}");
    finding["detail"].as_str().is_some_and(|detail| detail.contains(&place))
}

#[test]
fn a_deadlock_of_tracked_locks_is_proven_with_the_places_where_they_were_taken() {
    let (incident, truth) = dumped("tracked-deadlock");
    let report = &incident.report;
    let deadlock = report.finding("deadlock");
    assert_eq!(members(deadlock), tids(&truth["cycle"]), "{report}");
    assert_eq!(ids(&deadlock["victims"]), tids(&truth["bystanders"]), "{report}");
    assert_eq!(deadlock["owner_source"], "tracked", "{report}");
    assert_eq!(deadlock["grade"], "proof", "{report}");
    for line in truth["taken_at"].as_array().unwrap() {
        assert!(names(deadlock, "tracked_deadlock.rs", line), "{line}: {report}");
    }
}

#[test]
fn the_upgrade_of_a_tracked_lock_is_proven_with_the_thread_that_upgrades() {
    let (incident, truth) = dumped("tracked-deadlock");
    let report = &incident.report;
    let upgrade = report.finding("lock-upgrade");
    assert_eq!(members(upgrade), one(&truth["upgrader"]), "{report}");
    assert_eq!(upgrade["owner_source"], "tracked", "{report}");
    assert_eq!(upgrade["grade"], "proof", "{report}");
    assert!(names(upgrade, "tracked_deadlock.rs", &truth["read_at"]), "{report}");
}

#[test]
fn the_owner_of_a_tracked_lock_is_named_with_what_it_is_in_and_where_it_took_the_lock() {
    let (incident, truth) = dumped("tracked-owner");
    let report = &incident.report;
    let stuck = report.finding("stuck-lock-owner");
    assert_eq!(members(stuck), one(&truth["owner"]), "{report}");
    assert_eq!(stuck["owner_source"], "tracked", "{report}");
    assert!(names(stuck, "tracked_owner.rs", &truth["taken_at"]), "{report}");
    let contention = report.finding("lock-contention");
    assert_eq!(members(contention), tids(&truth["waiters"]), "{report}");
    assert!(report.is_caused_by(contention, stuck), "{report}");
    for dump in incident.dumps() {
        let lock = dump.locks.iter().find(|lock| !lock.owners.is_empty()).unwrap();
        let made = lock.made_at.as_ref().and_then(|at| at.line).unwrap();
        assert_eq!(Some(u64::from(made)), truth["made_at"].as_u64());
        assert_eq!(lock.waits, Some(8));
    }
}

#[test]
fn a_deadlock_of_tasks_is_proven_with_the_place_where_they_took_their_locks() {
    let (incident, truth) = dumped("tracked-tasks");
    let report = &incident.report;
    let deadlock = report.finding("deadlock");
    let names_of = |members: &Value| -> BTreeSet<String> {
        let members = members.as_array().unwrap().iter();
        members.map(|member| member["name"].as_str().unwrap().to_owned()).collect()
    };
    let truth_of = |names: &Value| -> BTreeSet<String> {
        let names = names.as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names_of(&deadlock["members"]), truth_of(&truth["cycle"]), "{report}");
    assert_eq!(names_of(&deadlock["victims"]), truth_of(&truth["bystanders"]), "{report}");
    assert_eq!(deadlock["owner_source"], "tracked", "{report}");
    assert_eq!(deadlock["grade"], "proof", "{report}");
    assert!(names(deadlock, "tracked_tasks.rs", &truth["taken_at"]), "{report}");
}

#[test]
fn a_pool_that_reports_names_who_has_borrowed_and_where() {
    let (incident, truth) = dumped("told-pool");
    let report = &incident.report;
    let exhausted = report.finding("connection-pool-exhaustion");
    assert_eq!(members(exhausted), tids(&truth["borrowers"]), "{report}");
    assert_eq!(exhausted["owner_source"], "tracked", "{report}");
    assert!(exhausted["headline"].as_str().unwrap().contains("ledger links"), "{report}");
    assert!(exhausted["detail"].as_str().unwrap().contains("4 of 4 are borrowed"), "{report}");
    assert!(names(exhausted, "told_pool.rs", &truth["borrowed_at"]), "{report}");
    for holder in truth["holders"].as_array().unwrap().iter().take(3) {
        assert!(exhausted["detail"].as_str().unwrap().contains(&tid(holder)), "{report}");
    }
}
