use std::collections::BTreeSet;

use serde_json::Value;

use crate::incident::incident;
use crate::report::{Report, ids, members, tid, tids};
use crate::running::Running;

/// Brings a victim into its condition, has it dumped once, and returns what it says of itself
/// afterwards, and what the analyzer says of it.
fn diagnose(victim: &str, word: &str) -> (Value, Report) {
    diagnose_with(victim, word, |running| running.quit().unwrap())
}

fn diagnose_with(victim: &str, word: &str, ask: impl FnOnce(&Running)) -> (Value, Report) {
    let incident = incident(victim, word, ask);
    (incident.running.truth().unwrap(), incident.report)
}

pub fn assert_healthy(report: &Report) {
    let verdict = &report.0["verdict"];
    assert_eq!(verdict["status"], "healthy", "{verdict:#} {report}");
    let quiet = |finding: &Value| finding["severity"] == "low" || finding["severity"] == "info";
    assert!(report.all_findings().iter().all(quiet), "{report}");
}

fn mentions(finding: &Value, field: &str, what: &str) -> bool {
    finding[field].to_string().contains(what)
}

#[test]
fn order_service_names_the_map_first_and_the_pool_after_it() {
    let (truth, report) = diagnose("order-service", "stuck");

    let root = *report.roots().first().expect("there is a cause");
    assert!(
        ["map-corruption", "spin-loop"].map(Value::from).contains(&root["detector"]),
        "{report}"
    );
    let spinning: BTreeSet<String> = report
        .findings("map-corruption")
        .into_iter()
        .chain(report.findings("spin-loop"))
        .flat_map(members)
        .collect();
    assert_eq!(spinning, tids(&truth["spinning"]), "{report}");
    assert!(mentions(root, "frames", "ChainedMap"), "{report}");
    assert!(mentions(root, "frames", "::get"), "{report}");

    let pool = report.finding("connection-pool-exhaustion");
    assert_eq!(pool["role"], "symptom", "{report}");
    assert!(report.is_caused_by(pool, root), "{report}");
    assert!(members(pool).is_disjoint(&spinning), "{report}");

    let queue = report.finding("thread-pool-exhaustion");
    assert_eq!(queue["role"], "symptom", "{report}");
    assert!(report.is_caused_by(queue, root), "{report}");
    assert!(queue.to_string().contains("RequestQueue"), "{report}");
}

#[test]
fn lock_convoy_is_contention_and_its_waiters_are_workers() {
    let (truth, report) = diagnose("lock-convoy", "ready");
    let contention = report.finding("lock-contention");
    let waiters = members(contention);
    assert!(!waiters.is_empty() && waiters.is_subset(&tids(&truth["workers"])), "{report}");
    assert_eq!(contention["role"], "root", "{report}");
    assert!(report.findings("stuck-lock-owner").is_empty(), "{report}");
    assert!(report.findings("deadlock").is_empty(), "{report}");
}

#[test]
fn deadlock_is_the_circle_and_those_behind_it_are_its_victims() {
    let (truth, report) = diagnose("deadlock", "ready");
    let deadlock = report.finding("deadlock");
    assert_eq!(members(deadlock), tids(&truth["cycle"]), "{report}");
    assert_eq!(ids(&deadlock["victims"]), tids(&truth["bystanders"]), "{report}");
    assert_eq!(deadlock["owner_source"], "inferred", "{report}");
    assert_eq!(deadlock["role"], "root", "{report}");
    let idle = tids(&truth["idle"]);
    assert!(report.all_findings().iter().all(|finding| members(finding).is_disjoint(&idle)));
}

#[test]
fn stuck_owner_is_named_and_so_are_those_who_wait_for_it() {
    let (truth, report) = diagnose("stuck-owner", "ready");
    let stuck = report.finding("stuck-lock-owner");
    assert_eq!(members(stuck), BTreeSet::from([tid(&truth["owner"])]), "{report}");
    assert_eq!(stuck["owner_source"], "inferred", "{report}");
    let contention = report.finding("lock-contention");
    assert_eq!(members(contention), tids(&truth["waiters"]), "{report}");
    assert!(report.is_caused_by(contention, stuck), "{report}");
}

#[test]
fn self_deadlock_is_the_thread_that_waits_for_itself() {
    let (truth, report) = diagnose("self-deadlock", "ready");
    let waits = report.finding("self-deadlock");
    assert_eq!(members(waits), BTreeSet::from([tid(&truth["member"])]), "{report}");
    assert!(report.findings("deadlock").is_empty(), "{report}");
}

#[test]
fn healthy_is_healthy() {
    let (_, report) = diagnose("healthy", "ready");
    assert_healthy(&report);
}

#[test]
fn busy_and_progressing_is_healthy() {
    let (truth, report) = diagnose("busy-progressing", "ready");
    let finished = |thread: &Value| thread["finished"].as_u64() > Some(0);
    assert!(truth["threads"].as_array().unwrap().iter().all(finished));
    assert_healthy(&report);
}

#[test]
fn pool_leak_has_no_holder_in_sight() {
    let (truth, report) = diagnose("pool-leak", "ready");
    let exhausted = report.finding("connection-pool-exhaustion");
    assert_eq!(members(exhausted), tids(&truth["waiters"]), "{report}");
    assert_eq!(exhausted["role"], "root", "{report}");
    assert!(exhausted["owner"].is_null(), "{report}");
    let said = ["headline", "detail", "evidence"];
    assert!(said.iter().any(|field| mentions(exhausted, field, "no holder")), "{report}");
}

#[test]
fn busy_wait_is_those_who_spin() {
    let (truth, report) = diagnose("busy-wait", "ready");
    let waiting: BTreeSet<String> =
        report.findings("busy-wait").into_iter().flat_map(members).collect();
    assert_eq!(waiting, tids(&truth["spinning"]), "{report}");
}

#[test]
fn panic_is_who_and_what_and_who_waits() {
    let (truth, report) = diagnose_with("panic", "ready", |_| {});
    let panic = report.finding("panic");
    assert!(members(panic).contains(&tid(&truth["panicked"])), "{report}");
    assert_eq!(panic["frames"][0], "victim::panic::balance", "{report}");
    let message = truth["message"].as_str().unwrap();
    assert!(mentions(&report.0, "findings", message), "{report}");
}
