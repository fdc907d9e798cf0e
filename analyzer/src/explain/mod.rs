//! Findings -> a ranked story: the cause first, what it causes after it.
//!
//! Five questions, one file each: which finding follows from which (`cause`), also in another process
//! (`across`), who waits and is
//! in none (`bystander`), which matters most (`rank`), and what the answer is in one sentence
//! (`verdict`). The rest translates the numbers of the model into the names of a report.

mod across;
mod bystander;
mod cause;
mod cluster;
mod finding;
mod flame;
mod member;
mod picture;
mod process;
mod rank;
mod report;
mod verdict;

pub use flame::{Compared, Flame, Stacked, flames};
pub use picture::{
    CpuShare, Node, Picture, PictureFinding, PictureMember, Seen, Sight, WantedLock,
};
pub use report::{
    ClusterReport, DumpReport, EvidenceReport, InputReport, MemberReport, PlaceReport,
    ProcessReport, RankedFinding, Report, Role, Status, Verdict,
};

use cause::Causes;

use crate::cluster::Cluster;
use crate::detect::Finding;
use crate::model::Incident;

/// What was found out about one incident.
pub struct Diagnosis<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// Its clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// What the detectors found, in the order of the detectors.
    pub findings: Vec<Finding>,
    /// What healthy dumps of the program show too: counted, and otherwise left out.
    pub known: Vec<Finding>,
}

/// How much a report is to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What is to be read.
    #[default]
    Story,
    /// What pictures are drawn from, too: everyone in every dump.
    Pictures,
}

/// Ranks the findings of all incidents, tells causes from symptoms, and draws the verdict.
pub fn explain(inputs: Vec<InputReport>, diagnoses: Vec<Diagnosis>, detail: Detail) -> Report {
    let mut causes: Vec<Causes> = diagnoses.iter().map(Causes::of).collect();
    across::tie(&diagnoses, &mut causes);
    let ranking = rank::rank(&diagnoses, &causes);
    Report {
        verdict: verdict::verdict(&inputs, &diagnoses, &causes, &ranking),
        findings: finding::findings(&diagnoses, &causes, &ranking),
        processes: diagnoses.iter().map(|diagnosis| process::report(diagnosis.incident)).collect(),
        clusters: cluster::clusters(&diagnoses),
        pictures: match detail {
            Detail::Story => Vec::new(),
            Detail::Pictures => picture::pictures(&diagnoses, &ranking),
        },
        flames: Vec::new(),
        inputs,
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{
        Hold, Notice, NoticeKind, OwnerSource, Runtime, ThreadState, Wait, WaitFor,
    };

    use super::*;
    use crate::detect::{Grade, Severity};
    use crate::model::MemberId;
    use crate::model::scene::Scene;

    /// Threads `t0` to `t9` over so many dumps.
    fn ten_threads(dumps: u64) -> Incident {
        let scene = (0..dumps).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |moment| {
                for number in 0..10 {
                    moment.thread(&format!("t{number}"), &["work"]);
                }
            })
        });
        scene.incident()
    }

    fn finding(detector: &'static str, members: impl IntoIterator<Item = u32>) -> Finding {
        Finding {
            detector,
            severity: Severity::High,
            grade: Grade::Counter,
            confidence: 0.9,
            headline: format!("It is {detector}."),
            detail: String::new(),
            next_step: String::new(),
            members: ids(members),
            victims: Vec::new(),
            holders: Vec::new(),
            lock: None,
            owner: None,
            owner_source: None,
            frames: Vec::new(),
            evidence: Vec::new(),
        }
    }

    fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<MemberId> {
        numbers.into_iter().map(MemberId).collect()
    }

    fn owned_by(finding: Finding, owner: u32) -> Finding {
        Finding { owner: Some(MemberId(owner)), ..finding }
    }

    fn held_by(finding: Finding, holders: impl IntoIterator<Item = u32>) -> Finding {
        Finding { holders: ids(holders), ..finding }
    }

    fn weighing(finding: Finding, severity: Severity) -> Finding {
        Finding { severity, ..finding }
    }

    fn report(incident: &Incident, findings: Vec<Finding>) -> Report {
        let diagnosis = Diagnosis { incident, clusters: Vec::new(), findings, known: Vec::new() };
        explain(Vec::new(), vec![diagnosis], Detail::Story)
    }

    /// The story as `root`, `symptom<-cause` and `beside=contributing`, in rank order.
    fn story(findings: Vec<Finding>) -> String {
        let report = report(&ten_threads(3), findings);
        let detector = |id: &String| {
            report.findings.iter().find(|finding| finding.id == *id).map_or("?", |f| f.detector)
        };
        let word = |finding: &RankedFinding| match finding.role {
            Role::Root => finding.detector.to_owned(),
            Role::Contributing => format!("{}=contributing", finding.detector),
            Role::Symptom => {
                let causes: Vec<&str> = finding.caused_by.iter().map(detector).collect();
                format!("{}<-{}", finding.detector, causes.join("+"))
            }
        };
        report.findings.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_pool_is_the_symptom_of_those_who_hold_its_slots() {
        let spin = finding("spin-loop", 0..4);
        let pool = held_by(finding("connection-pool-exhaustion", 4..10), 0..4);
        assert_eq!(story(vec![pool, spin]), "spin-loop connection-pool-exhaustion<-spin-loop");
    }

    #[test]
    fn a_pool_whose_holders_are_not_known_has_no_cause() {
        let spin = finding("spin-loop", 0..4);
        let pool = finding("connection-pool-exhaustion", 4..10);
        assert_eq!(story(vec![pool, spin]), "spin-loop connection-pool-exhaustion");
    }

    #[test]
    fn one_stuck_holder_of_many_does_not_explain_a_pool() {
        let spin = finding("spin-loop", 0..1);
        let pool = held_by(finding("connection-pool-exhaustion", 4..10), 0..4);
        assert_eq!(story(vec![pool, spin]), "spin-loop connection-pool-exhaustion");
    }

    #[test]
    fn a_chain_names_the_nearest_cause() {
        let spin = finding("map-corruption", [0]);
        let lock = owned_by(finding("stuck-lock-owner", 1..4), 0);
        let pool = held_by(finding("connection-pool-exhaustion", 4..10), 1..4);
        assert_eq!(
            story(vec![pool, lock, spin]),
            "map-corruption stuck-lock-owner<-map-corruption \
             connection-pool-exhaustion<-stuck-lock-owner"
        );
    }

    #[test]
    fn a_spin_drains_the_pool_and_that_fills_the_queue() {
        let spin = finding("map-corruption", 0..2);
        let pool = held_by(finding("connection-pool-exhaustion", 2..6), 0..2);
        let queue = held_by(finding("thread-pool-exhaustion", 6..10), 0..6);
        assert_eq!(
            story(vec![queue, pool, spin]),
            "map-corruption connection-pool-exhaustion<-map-corruption \
             thread-pool-exhaustion<-connection-pool-exhaustion"
        );
    }

    #[test]
    fn one_lock_seen_twice_is_one_story() {
        let stuck = owned_by(finding("stuck-lock-owner", 1..4), 0);
        let busy = owned_by(finding("lock-contention", 1..4), 0);
        assert_eq!(story(vec![busy, stuck]), "stuck-lock-owner lock-contention<-stuck-lock-owner");
    }

    #[test]
    fn the_same_threads_seen_twice_are_one_story() {
        let map = finding("map-corruption", 0..4);
        let spin = finding("spin-loop", 0..4);
        let hot = weighing(finding("cpu-hot", 0..2), Severity::Low);
        assert_eq!(
            story(vec![hot, spin, map]),
            "map-corruption spin-loop<-map-corruption cpu-hot<-spin-loop"
        );
    }

    #[test]
    fn who_waits_for_a_deadlocked_owner_follows_from_the_deadlock() {
        let cycle = Finding { victims: ids(2..6), ..finding("deadlock", 0..2) };
        let lock = owned_by(finding("lock-contention", 2..6), 1);
        assert_eq!(story(vec![lock, cycle]), "deadlock lock-contention<-deadlock");
    }

    #[test]
    fn who_waits_for_the_lock_of_a_spinner_follows_from_the_spin() {
        let scene = Scene::of(Runtime::Rust).dump(0, |moment| {
            let lock = moment.lock(sigquit_dump::LockKind::Mutex, 0x70);
            moment.thread("spinner", &["spin"]).holds =
                vec![Hold::new(lock, None, OwnerSource::Tracked)];
            for name in ["w1", "w2"] {
                moment.thread(name, &["wait"]).wait =
                    Some(Wait { lock, wait_for: WaitFor::Exclusive });
            }
        });
        let incident = scene.incident();
        let report = report(&incident, vec![finding("spin-loop", [0]), finding("avalanche", 1..3)]);
        assert_eq!(report.findings[1].caused_by, ["f1"]);
        assert_eq!(report.findings[1].evidence[0].text, "2 of 2 wait behind f1");
        assert!(report.verdict.headline.contains("behind it 2 threads"));
    }

    #[test]
    fn spinning_for_a_lock_follows_from_its_owner() {
        let wait = finding("busy-wait", 1..4);
        let stuck = Finding { victims: ids(1..4), ..owned_by(finding("stuck-lock-owner", []), 0) };
        assert_eq!(story(vec![wait, stuck]), "stuck-lock-owner busy-wait<-stuck-lock-owner");
    }

    #[test]
    fn two_locks_of_one_owner_do_not_cause_each_other() {
        let one = owned_by(finding("lock-contention", 1..4), 0);
        let other = owned_by(finding("lock-contention", 4..8), 0);
        assert_eq!(story(vec![one, other]), "lock-contention lock-contention");
    }

    #[test]
    fn what_is_not_tied_stays_apart() {
        let deadlock = finding("deadlock", 0..2);
        let spin = finding("spin-loop", 2..4);
        let hot = weighing(finding("cpu-hot", 8..9), Severity::Low);
        assert_eq!(story(vec![hot, deadlock, spin]), "spin-loop deadlock cpu-hot=contributing");
    }

    #[test]
    fn who_takes_the_cpu_starves_the_others() {
        let scene = (0..2u64).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |moment| {
                for (name, share) in [("spinner", 90), ("starving", 10)] {
                    let used = sigquit_dump::Nanos::from_millis(second * share * 10);
                    moment.thread(name, &["work"]).cpu = Some(used);
                }
            })
        });
        let starved = || finding("cpu-starvation", [1]);
        let incident = scene.incident();
        let spins = report(&incident, vec![starved(), finding("spin-loop", [0])]);
        assert_eq!(spins.findings[1].caused_by, ["f1"]);
        assert_eq!(
            spins.findings[1].evidence[0].text,
            "90 % of the CPU time went to the members of f1"
        );
        let idles = report(&incident, vec![starved(), finding("spin-loop", [1])]);
        assert!(idles.findings.iter().all(|finding| finding.caused_by.is_empty()));
    }

    #[test]
    fn an_avalanche_follows_from_what_its_waiters_want_and_the_verdict_says_that_it_grows() {
        let map = finding("map-corruption", 0..2);
        let pool = held_by(finding("connection-pool-exhaustion", 2..6), 0..2);
        let pile = || held_by(finding("avalanche", 2..9), 0..2);
        assert_eq!(
            story(vec![pile(), pool.clone(), map.clone()]),
            "map-corruption connection-pool-exhaustion<-map-corruption \
             avalanche<-connection-pool-exhaustion"
        );
        let report = report(&ten_threads(5), vec![pile(), pool, map]);
        assert_eq!(
            report.verdict.headline,
            "It is map-corruption; behind it 4 threads wait for a pooled connection, 3 threads \
             wait, and more come"
        );
    }

    #[test]
    fn a_silent_peer_empties_the_pool_whose_connections_wait_for_it() {
        let peer = finding("downstream-stall", 0..4);
        let pool = held_by(finding("connection-pool-exhaustion", 4..10), 0..4);
        assert_eq!(
            story(vec![pool, peer]),
            "downstream-stall connection-pool-exhaustion<-downstream-stall"
        );
    }

    #[test]
    fn a_slight_finding_does_not_hide_a_weighty_one() {
        let slow = weighing(finding("cpu-starvation", 0..1), Severity::Low);
        let lock = owned_by(finding("lock-contention", 1..6), 0);
        assert_eq!(story(vec![slow, lock]), "lock-contention cpu-starvation=contributing");
    }

    #[test]
    fn what_ran_out_is_told_before_the_end_that_it_made() {
        let proof = |name| Finding { grade: Grade::Proof, ..finding(name, 0..1) };
        assert_eq!(
            story(vec![proof("panic"), proof("memory-pressure")]),
            "memory-pressure panic<-memory-pressure"
        );
        assert_eq!(
            story(vec![proof("panic"), proof("runaway-recursion")]),
            "runaway-recursion panic<-runaway-recursion"
        );
    }

    #[test]
    fn the_verdict_says_the_cause_and_then_who_suffers() {
        let spin = finding("spin-loop", 0..2);
        let pool = held_by(finding("connection-pool-exhaustion", 4..10), 0..2);
        let report = report(&ten_threads(3), vec![pool, spin]);
        assert_eq!(report.verdict.status, Status::Incident);
        assert_eq!(
            report.verdict.headline,
            "It is spin-loop; behind it 6 threads wait for a pooled connection"
        );
        assert_eq!(
            report.findings[1].evidence[0].text,
            "2 of 2 who hold what is waited for here are in f1 or wait behind it"
        );
    }

    #[test]
    fn who_waits_and_is_in_no_finding_is_told_of_but_not_blamed_on_it() {
        let scene = Scene::of(Runtime::Jvm).dump(0, |moment| {
            moment.thread("spinner", &["shop.Cache.get"]);
            for client in ["c1", "c2", "c3"] {
                let frames = [
                    "java.lang.Object.wait",
                    "shop.Orders.put",
                    "shop.Client.call",
                    "shop.Page.render",
                    "shop.Server.answer",
                ];
                moment.thread(client, &frames).state = ThreadState::Waiting;
            }
        });
        let incident = scene.incident();
        let clusters = crate::cluster::cluster(&incident);
        let findings = vec![finding("spin-loop", [0])];
        let report = explain(
            Vec::new(),
            vec![Diagnosis { incident: &incident, clusters, findings, known: Vec::new() }],
            Detail::Story,
        );
        assert_eq!(
            report.verdict.headline,
            "It is spin-loop; meanwhile 3 threads wait in Orders.put"
        );
        let last = report.findings[0].evidence.last().expect("a fact");
        assert_eq!(last.text, "meanwhile 3 threads in no finding wait in shop.Orders.put");
    }

    #[test]
    fn one_who_suffers_is_one() {
        let pool = held_by(finding("connection-pool-exhaustion", 4..5), 0..2);
        let report = report(&ten_threads(3), vec![pool, finding("spin-loop", 0..2)]);
        assert!(
            report.verdict.headline.ends_with("behind it 1 thread waits for a pooled connection")
        );
    }

    #[test]
    fn what_the_baseline_shows_too_is_counted() {
        let incident = ten_threads(3);
        let known = vec![finding("lock-contention", 0..3)];
        let diagnosis =
            Diagnosis { incident: &incident, clusters: Vec::new(), findings: Vec::new(), known };
        let verdict = explain(Vec::new(), vec![diagnosis], Detail::Story).verdict;
        assert_eq!(verdict.status, Status::Healthy);
        assert!(verdict.headline.ends_with("; the baseline shows 1 more finding too"));
    }

    #[test]
    fn of_processes_that_nothing_ties_none_is_said_to_be_the_first() {
        let incidents = [ten_threads(3), ten_threads(3)];
        let names = ["deadlock", "spin-loop"];
        let diagnoses = incidents.iter().zip(names).map(|(incident, name)| Diagnosis {
            incident,
            clusters: Vec::new(),
            findings: vec![finding(name, 0..2)],
            known: Vec::new(),
        });
        let report = explain(Vec::new(), diagnoses.collect(), Detail::Story);
        assert_eq!(
            report.verdict.headline,
            "p1: It is spin-loop; and, apart from that, in p1, It is deadlock; which process was first \
             the dumps do not tell"
        );
    }

    #[test]
    fn threads_at_work_are_not_why_a_pool_is_short() {
        let hot = weighing(finding("cpu-hot", 0..6), Severity::Low);
        let pool = held_by(finding("thread-pool-exhaustion", 6..10), 0..4);
        assert_eq!(story(vec![hot, pool]), "thread-pool-exhaustion cpu-hot=contributing");
    }

    #[test]
    fn severe_but_unsure_is_suspect() {
        let unsure = Finding { confidence: 0.4, ..finding("spin-loop", 0..2) };
        assert_eq!(report(&ten_threads(3), vec![unsure]).verdict.status, Status::Suspect);
    }

    #[test]
    fn slight_findings_leave_a_process_healthy() {
        let hot = weighing(finding("cpu-hot", 0..1), Severity::Low);
        let report = report(&ten_threads(3), vec![hot]);
        assert_eq!(report.verdict.status, Status::Healthy);
        assert_eq!(
            report.verdict.headline,
            "nothing of weight seen in 3 dumps of 10 threads; It is cpu-hot"
        );
        assert_eq!(report.findings[0].role, Role::Root);
    }

    #[test]
    fn one_dump_says_what_it_cannot_show() {
        let headline = report(&ten_threads(1), Vec::new()).verdict.headline;
        assert_eq!(
            headline,
            "nothing wrong seen in 1 dump of 10 threads; one dump cannot show who spins or is stuck"
        );
    }

    #[test]
    fn a_dump_that_failed_is_not_healthy() {
        let failed = Scene::of(Runtime::Jvm).dump(0, |moment| {
            moment.dump.notices.push(Notice {
                kind: NoticeKind::Failure,
                message: "Unable to open socket file".into(),
                ..Notice::default()
            });
        });
        let verdict = report(&failed.incident(), Vec::new()).verdict;
        assert_eq!(verdict.status, Status::Suspect);
        assert!(verdict.headline.contains("Unable to open socket file; try kill -3"));
    }

    #[test]
    fn a_dump_that_says_what_it_left_out_has_not_failed() {
        let complete = Scene::of(Runtime::Rust).dump(0, |moment| {
            moment.thread("main", &["shop::main"]);
            moment.dump.notices.push(Notice {
                kind: NoticeKind::Failure,
                message: "1 threads were not searched for locks to the end".into(),
                ..Notice::default()
            });
        });
        assert_eq!(report(&complete.incident(), Vec::new()).verdict.status, Status::Healthy);
    }

    #[test]
    fn what_the_runtime_said_is_never_healthy() {
        let fatal = Scene::of(Runtime::Go).dump(0, |moment| {
            moment.thread("main", &["main.main"]);
            moment.dump.notices.push(Notice { message: "out of luck".into(), ..Notice::default() });
        });
        let verdict = report(&fatal.incident(), Vec::new()).verdict;
        assert_eq!(verdict.status, Status::Suspect);
        assert!(verdict.headline.starts_with("the runtime said: out of luck; apart from that, "));
    }

    #[test]
    fn scores_stay_within_bounds_and_follow_severity() {
        let score = |severity| {
            let one = weighing(finding("spin-loop", 0..2), severity);
            report(&ten_threads(3), vec![one]).findings[0].score
        };
        let scores =
            [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
                .map(score);
        assert!(scores.is_sorted() && scores[4] <= 100, "{scores:?}");
        let absurd = Finding { confidence: f64::NAN, ..finding("spin-loop", 0..2) };
        assert_eq!(report(&ten_threads(3), vec![absurd]).findings[0].confidence, 0.0);
    }
}
