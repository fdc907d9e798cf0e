//! What healthy dumps of the same program show too is no news.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Grade, detect};
use crate::cluster::{Cluster, cluster};
use crate::model::{Incident, MemberId};

/// More than this share of what the baseline shows is news again.
const NO_MORE: f64 = 1.25;
/// The share of a finding's members that has to be where the baseline shows members.
const NEARLY_ALL: f64 = 0.8;

/// What healthy dumps show.
#[derive(Debug, Default)]
pub struct Baseline {
    /// What the detectors find in them: detector and functions, with the most members.
    findings: BTreeMap<(&'static str, Vec<String>), usize>,
    /// Where members are, with the most that one dump shows there.
    places: BTreeMap<Vec<String>, usize>,
}

impl Baseline {
    /// Learns from healthy dumps.
    pub fn of(incidents: &[Incident]) -> Baseline {
        let mut baseline = Baseline::default();
        for incident in incidents {
            for finding in detect(incident) {
                let count = concerned(&finding).len();
                let known = baseline.findings.entry((finding.detector, finding.frames));
                let most = known.or_default();
                *most = count.max(*most);
            }
            for cluster in cluster(incident) {
                let most = cluster.per_dump.iter().copied().max().unwrap_or(0);
                let known = baseline.places.entry(cluster.frames).or_default();
                *known = most.max(*known);
            }
        }
        baseline
    }

    /// Whether the baseline shows a finding too. A proof is always news.
    ///
    /// Either its detectors find the same there, with about as many members; or the finding rests on
    /// nothing but where its members are, and about as many are there in healthy dumps. `clusters` are
    /// those of the finding's incident.
    pub fn knows(&self, clusters: &[Cluster], finding: &Finding) -> bool {
        if finding.grade == Grade::Proof {
            return false;
        }
        let known = self.findings.get(&(finding.detector, finding.frames.clone()));
        let members = concerned(finding);
        let found = known.is_some_and(|&count| is_no_more(members.len(), count));
        let by_place = matches!(finding.grade, Grade::Pattern | Grade::Repeat) && waits(finding);
        found || by_place && self.knows_places(clusters, &members)
    }

    fn knows_places(&self, clusters: &[Cluster], members: &BTreeSet<MemberId>) -> bool {
        let mut known = 0;
        for cluster in clusters {
            let Some(&before) = self.places.get(&cluster.frames) else { continue };
            let here = cluster.members.iter().filter(|id| members.contains(id)).count();
            if is_no_more(here, before) {
                known += here;
            }
        }
        known > 0 && known as f64 >= NEARLY_ALL * members.len() as f64
    }
}

/// Everyone in a finding, and everyone who suffers from it.
fn concerned(finding: &Finding) -> BTreeSet<MemberId> {
    finding.members.iter().chain(&finding.victims).copied().collect()
}

fn is_no_more(now: usize, before: usize) -> bool {
    now as f64 <= NO_MORE * before as f64
}

/// Whether a finding is about members that wait. Where those are who run says nothing of whether
/// they get on.
fn waits(finding: &Finding) -> bool {
    const RUN: &[&str] =
        &["map-corruption", "spin-loop", "busy-wait", "runaway-recursion", "cpu-hot", "avalanche"];
    !RUN.contains(&finding.detector)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    /// So many that wait for a lock whose owner reads from a peer, in two dumps.
    fn queue(waiting: u32) -> Incident {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..2 {
            scene = scene.dump(second, |dump| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                let asking = ["sun.nio.ch.SocketDispatcher.read0", "shop.Book.write:3"];
                dump.thread("owner", &asking).holds(lock);
                for number in 0..waiting {
                    dump.thread(&format!("r-{number}"), &["shop.Book.read:7"])
                        .waits(lock, WaitFor::Exclusive);
                }
            });
        }
        scene.incident()
    }

    /// How many findings are news, and how many there are.
    fn news(incident: &Incident, healthy: Incident) -> (usize, usize) {
        let baseline = Baseline::of(&[healthy]);
        let findings = detect(incident);
        let clusters = cluster(incident);
        let new = findings.iter().filter(|finding| !baseline.knows(&clusters, finding)).count();
        (new, findings.len())
    }

    #[test]
    fn the_same_queue_in_healthy_dumps_is_no_news() {
        let (new, all) = news(&queue(12), queue(12));
        assert!(new == 0 && all > 0, "{new} of {all}");
    }

    #[test]
    fn a_longer_queue_is() {
        let (new, all) = news(&queue(12), queue(4));
        assert!(new == all && all > 0, "{new} of {all}");
    }

    #[test]
    fn a_deadlock_is_always_news() {
        let circle = || {
            let scene = Scene::of(Runtime::Jvm).dump(0, |dump| {
                let (one, other) =
                    (dump.lock(LockKind::Monitor, 1), dump.lock(LockKind::Monitor, 2));
                dump.thread("a", &["shop.A.b"]).holds(one).waits(other, WaitFor::Exclusive);
                dump.thread("b", &["shop.B.a"]).holds(other).waits(one, WaitFor::Exclusive);
            });
            scene.incident()
        };
        assert_eq!(news(&circle(), circle()), (1, 1));
    }
}
