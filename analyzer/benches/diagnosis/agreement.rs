//! How well clusters agree with what threads were made to do: BCubed precision and recall (Bagga
//! and Baldwin, 1998), of each thread the share of those in its cluster that do the same, and of
//! those that do the same the share that is in its cluster.
//!
//! The threads are drawn: each role has a stack of its own, and is met with other lines, other
//! functions at the leaf, and one or another helper function on the way. Beside the analyzer's
//! exact clusters, signatures and families stand the hash of the printed stack, and prefix match: stacks that
//! agree from the leaf in six tenths of the longer one.

use std::collections::BTreeMap;

use sigquit_analyzer::cluster::{cluster, families};
use sigquit_analyzer::model::{Incident, incidents};
use sigquit_analyzer::read::Input;
use sigquit_dump::ThreadState;

use crate::draw::{Drawing, JVM, Where};

/// Roles, and members of each.
const ROLES: usize = 40;
const MEMBERS: usize = 25;
/// Share of the longer stack that prefix match asks for.
const PREFIX: f64 = 0.6;

pub fn print() {
    let incident = drawn();
    let role = |name: &str| name.rsplit_once('-').map_or(name, |(role, _)| role).to_owned();
    let truth: Vec<String> = incident.members.iter().map(|member| role(&member.name)).collect();
    println!("clusters of {} threads in {ROLES} roles", truth.len());
    println!("  {:28} {:>9} {:>7} {:>10}", "", "precision", "recall", "over-merge");
    for (name, found) in [
        ("hash of the printed stack", by_hash(&incident)),
        ("prefix match", by_prefix(&incident)),
        ("exact clusters", by_cluster(&incident, |cluster| cluster.frames.join("\n"))),
        ("signatures", by_cluster(&incident, |cluster| cluster.signature.clone())),
        ("families", by_family(&incident)),
    ] {
        let (precision, recall) = bcubed(&truth, &found);
        println!("  {name:28} {precision:>9.3} {recall:>7.3} {:>10.3}", 1.0 - precision);
    }
}

fn drawn() -> Incident {
    let mut drawing = Drawing::new(&JVM, 1, 7);
    let helpers = ["Clock.now", "Log.trace", "Metrics.count"];
    let names: Vec<[String; 3]> = (0..ROLES)
        .map(|role| {
            [format!("Step{role}.run"), format!("Flow{}.next", role / 2), "Server.answer".into()]
        })
        .collect();
    for (role, own) in names.iter().enumerate() {
        for member in 0..MEMBERS {
            let mut stack: Vec<&str> = own.iter().map(String::as_str).collect();
            if drawing.chance.below(4) == 0 {
                stack.insert(0, helpers[drawing.chance.below(3) as usize]);
            }
            let leaf: &[&str] = match drawing.chance.below(3) {
                0 => &["java.util.HashMap.hash", "java.util.HashMap.get"],
                1 => &["java.util.HashMap.getNode", "java.util.HashMap.get"],
                _ => &["java.lang.String.equals"],
            };
            let leaf = if role % 2 == 0 { leaf } else { drawing.words.awaits };
            let state = if role % 2 == 0 { ThreadState::Runnable } else { ThreadState::Waiting };
            let place = Where { leaf, own: &stack, stays: false, state };
            drawing.member(0, &format!("role{role}-{member}"), &place);
        }
    }
    let input = Input { dumps: drawing.dumps, ..Input::default() };
    incidents(vec![input]).remove(0)
}

/// For each member, the cluster that it is in.
type Clusters = Vec<String>;

fn by_hash(incident: &Incident) -> Clusters {
    let printed = |id| {
        let call =
            |call: &sigquit_analyzer::model::Call| format!("{}:{:?}", call.printed, call.line());
        incident.calls(id, 0).map(call).collect::<Vec<_>>().join("\n")
    };
    incident.ids().map(printed).collect()
}

fn by_prefix(incident: &Incident) -> Clusters {
    let mut heads: Vec<Vec<&str>> = Vec::new();
    let mut clusters = Vec::new();
    for id in incident.ids() {
        let stack: Vec<&str> = incident.calls(id, 0).map(|call| call.function.as_str()).collect();
        let alike = |head: &Vec<&str>| {
            let common = head.iter().zip(&stack).take_while(|(here, there)| here == there).count();
            common as f64 >= PREFIX * head.len().max(stack.len()) as f64
        };
        let at = heads.iter().position(alike).unwrap_or_else(|| {
            heads.push(stack.clone());
            heads.len() - 1
        });
        clusters.push(at.to_string());
    }
    clusters
}

fn by_cluster(
    incident: &Incident,
    key: fn(&sigquit_analyzer::cluster::Cluster) -> String,
) -> Clusters {
    let mut of = vec![String::new(); incident.members.len()];
    for cluster in cluster(incident) {
        for member in &cluster.members {
            of[member.0 as usize] = key(&cluster);
        }
    }
    of
}

fn by_family(incident: &Incident) -> Clusters {
    let clusters = cluster(incident);
    let mut of = vec![String::new(); incident.members.len()];
    for (cluster, family) in clusters.iter().zip(families(&clusters)) {
        for member in &cluster.members {
            of[member.0 as usize] = family.to_string();
        }
    }
    of
}

fn bcubed(truth: &[String], found: &[String]) -> (f64, f64) {
    let count = |keys: &mut dyn Iterator<Item = (String, String)>| {
        let mut counts: BTreeMap<(String, String), f64> = BTreeMap::new();
        keys.for_each(|key| *counts.entry(key).or_default() += 1.0);
        counts
    };
    let both = count(&mut truth.iter().cloned().zip(found.iter().cloned()));
    let roles = count(&mut truth.iter().map(|role| (role.clone(), String::new())));
    let clusters = count(&mut found.iter().map(|one| (one.clone(), String::new())));
    let (mut precision, mut recall) = (0.0, 0.0);
    for ((role, cluster), together) in &both {
        precision += together * together / clusters[&(cluster.clone(), String::new())];
        recall += together * together / roles[&(role.clone(), String::new())];
    }
    (precision / truth.len() as f64, recall / truth.len() as f64)
}
