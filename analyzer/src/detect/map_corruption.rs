//! `map-corruption`: threads caught in a map that several threads changed at once.

use super::on_cpu::{self, BrokenMap, Candidate, OnCpu};
use super::{Detector, Finding, Grade, Severity};
use crate::model::{Incident, MemberId};

pub(super) const DETECTOR: Detector = Detector {
    name: "map-corruption",
    documentation: "\
# map-corruption

Threads are caught in the code of a hash map or tree map that is not made for many threads. Two
of them changed it at the same time; a resize linked the entries of a bucket into a circle, or the
nodes of a tree into a loop. From then on whoever looks for a key in that bucket walks for ever and
takes a whole CPU: readers in `get`, writers in `put`, `transfer`, `split`.

## Evidence

- The member wants a CPU in every interval between dumps: by its CPU time and its time in the run
  queue where these are counted; otherwise by what it used beside the busiest thread; otherwise by
  being runnable in every dump.
- In every dump it is in the same activation of a function of the map: the JDK's `HashMap`,
  `HashSet`, `LinkedHashMap`, `WeakHashMap`, `TreeMap` and copies of them in other packages, Rust's
  `HashMap`, and types whose name says that they are maps.
- Looks at the registers show that it comes back to the same states. Where nobody looked (a JVM's
  or Go's dumps): the whole stack is the same to the line in every dump, and a thread stays in code
  that only rearranges chains or trees, or several threads came to the map from different functions.

## Limits

Needs two dumps. Threads that do nothing but look things up in a healthy map show the same stack in
every dump too; without looks at the registers they are reported as `cpu-hot`, never as this. So
are threads caught in a plain `get` that all came from the same function. Maps for many threads
(`ConcurrentHashMap`, `DashMap`, synchronized wrappers) are never reported.

## What to do

Restart the process: nothing that is caught comes out again. Then guard the map (`RwLock`, `Mutex`)
or take one for many threads (`ConcurrentHashMap`, `DashMap`, `sync.Map`). Beware of check-then-act:
`if !map.contains(k) { map.insert(k, v) }` is a race on any map; use `computeIfAbsent` or `entry`.
",
    detect,
};

fn detect(incident: &Incident) -> Vec<Finding> {
    let on_cpu = on_cpu::classify(incident);
    on_cpu.maps.iter().map(|map| finding(incident, &on_cpu, map)).collect()
}

fn finding(incident: &Incident, on_cpu: &OnCpu, map: &BrokenMap) -> Finding {
    let caught = on_cpu.these(&map.members);
    let members: Vec<MemberId> = caught.iter().map(|candidate| candidate.member).collect();
    let counted = caught.iter().any(|candidate| candidate.hot.is_counted());
    let grade = if counted { Grade::Counter } else { Grade::Repeat };
    let types = types(&caught);
    let who = on_cpu::threads(incident, &members);
    let spin = on_cpu::verb(&members, "spins", "spin");
    Finding {
        detector: DETECTOR.name,
        severity: severity(members.len(), map.confidence),
        grade,
        confidence: map.confidence.min(grade.cap()),
        headline: format!("{who} {spin} in {types}, which several threads changed at once"),
        detail: format!(
            "{}{}{} That is what is left of a map that several threads changed without a lock: a \
             resize linked a bucket's entries into a circle, or a tree's nodes into a loop, and \
             get and put walk it for ever. Only a restart of the process ends it.",
            on_cpu::behaviour(&caught),
            entries(&caught),
            occupied(&caught),
        ),
        next_step: format!(
            "Restart this process: nothing else ends it. Then make {types} fit for many threads \
             (ConcurrentHashMap, DashMap, RwLock<HashMap>, sync.Map), with computeIfAbsent or \
             entry() where the code checks first and inserts after."
        ),
        frames: on_cpu::frames(incident, &caught),
        evidence: on_cpu::evidence(incident, &caught),
        members,
        ..Finding::default()
    }
}

/// Several threads that take CPUs and never come back are an outage; one may be an accident.
fn severity(members: usize, confidence: f64) -> Severity {
    match members {
        1 if confidence < 0.8 => Severity::Medium,
        1 => Severity::High,
        _ if confidence < 0.7 => Severity::High,
        _ => Severity::Critical,
    }
}

/// The map's types, the most seen first.
fn types(caught: &[&Candidate]) -> String {
    let mut types: Vec<(&str, usize)> = Vec::new();
    for map in caught.iter().filter_map(|candidate| candidate.in_map.as_ref()) {
        match types.iter_mut().find(|(known, _)| *known == map.type_path) {
            Some((_, count)) => *count += 1,
            None => types.push((&map.type_path, 1)),
        }
    }
    types.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    types.first().map_or("a map", |&(name, _)| name).to_owned()
}

/// From where they came to the map.
fn entries(caught: &[&Candidate]) -> String {
    let maps = caught.iter().filter_map(|candidate| candidate.in_map.as_ref());
    let mut entries: Vec<&str> = maps.filter_map(|map| map.entry.as_deref()).collect();
    entries.sort_unstable();
    entries.dedup();
    match entries.as_slice() {
        [] => String::new(),
        [one] => format!(" All came to it from {one}."),
        many => format!(" They came to it from {}.", many.join(", ")),
    }
}

fn occupied(caught: &[&Candidate]) -> String {
    let used = caught.iter().filter_map(|candidate| candidate.hot.used());
    let used: Vec<f64> = used.map(|used| used.used.as_secs_f64()).collect();
    match used.is_empty() {
        true => String::new(),
        false => format!(" They used {} of CPU meanwhile.", on_cpu::seconds(used.iter().sum())),
    }
}
