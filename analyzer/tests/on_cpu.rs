//! Who is on a CPU in real dumps, compared with what the programs themselves knew.

mod truth;

use serde_json::Value;
use sigquit_analyzer::detect::Severity;
use sigquit_analyzer::explain::{RankedFinding, Report};
use truth::{report, sample, truth};

fn finding<'a>(report: &'a Report, detector: &str) -> Option<&'a RankedFinding> {
    report.findings.iter().find(|finding| finding.detector == detector)
}

fn members(finding: &RankedFinding) -> Vec<&str> {
    let mut ids: Vec<&str> = finding.members.iter().map(|member| member.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// The texts of some lists of a sample's truth, together.
fn listed(lists: &[&Value]) -> Vec<String> {
    let all = lists.iter().flat_map(|list| list.as_array().expect("a list"));
    let mut all: Vec<String> =
        all.map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
    all.sort_unstable();
    all
}

const CLAIMS: &[&str] = &["map-corruption", "spin-loop", "busy-wait"];

fn assert_no_claim(report: &Report, what: &str) {
    for finding in &report.findings {
        assert!(!CLAIMS.contains(&finding.detector), "{what}: {}", finding.headline);
        let hot = finding.detector == "cpu-hot";
        assert!(!hot || finding.severity <= Severity::Low, "{what}: {}", finding.headline);
    }
}

const THREE: &[&str] = &["dump-1.txt", "dump-2.txt", "dump-3.txt"];

#[test]
fn everyone_in_a_map_whose_tree_became_a_loop_is_named() {
    let Some(folder) = sample("jvm/hashmap-tree-jdk17") else { return };
    let stuck = listed(&[&truth(&folder)["app_ground_truth"]["stuck"]]);
    for dumps in [THREE, &THREE[..2], &THREE[1..]] {
        let report = report(&folder, dumps);
        let found = finding(&report, "map-corruption").expect("the map is broken");
        assert_eq!(members(found), stuck);
        assert!(found.frames.iter().any(|frame| frame.starts_with("java.util.HashMap")));
    }
    assert_no_claim(&report(&folder, &THREE[..1]), "one dump");
}

#[test]
fn readers_and_writers_of_a_chain_that_became_a_circle_are_named() {
    let Some(folder) = sample("jvm/hashmap-seed-emu-jdk7") else { return };
    let truth = &truth(&folder)["app_ground_truth"];
    let stuck = listed(&[&truth["stuck_writers"], &truth["stuck_readers"]]);
    let report = report(&folder, THREE);
    let found = finding(&report, "map-corruption").expect("the map is broken");
    assert_eq!(members(found), stuck);
}

#[test]
fn work_that_progresses_is_at_most_hot() {
    let Some(folder) = sample("jvm/cpu-progressing-jdk17") else { return };
    for dumps in [THREE, &THREE[..2], &THREE[1..], &["dump-1.txt", "dump-3.txt"]] {
        let report = report(&folder, dumps);
        assert_no_claim(&report, "progressing");
        assert_eq!(finding(&report, "cpu-hot").map(|hot| hot.members.len()), Some(9));
    }
}

#[test]
fn who_does_not_use_a_cpu_is_not_accused_of_it() {
    for name in ["jvm/healthy-idle-jdk17", "jvm/convoy-monitor-200-jdk17"] {
        let Some(folder) = sample(name) else { return };
        let report = report(&folder, THREE);
        assert_no_claim(&report, name);
        assert!(finding(&report, "cpu-hot").is_none(), "{name}");
    }
}

#[test]
fn goroutines_that_spin_for_a_lock_are_named() {
    let Some(folder) = sample("go/spin_loop_1.21.13") else { return };
    let truth = truth(&folder);
    let spinning = listed(&[&truth["expect"][0]["goroutines"]]);
    for dumps in
        [&["t0.txt", "t1.txt", "t2.txt"][..], &["sigquit.txt", "t0.txt", "t1.txt", "t2.txt"]]
    {
        let report = report(&folder, dumps);
        let found = finding(&report, "busy-wait").expect("they spin");
        assert_eq!(members(found), spinning);
        assert!(found.frames.iter().any(|frame| frame == "main.(*SpinLock).Lock"));
    }
    assert_no_claim(&report(&folder, &["t0.txt"]), "one dump");
}
