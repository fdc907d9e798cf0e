//! `map-corruption`: threads caught in a map that several threads changed at once.

use sigquit_dump::Runtime;

use super::on_cpu::{self, BrokenMap, Candidate, OnCpu};
use super::{Detector, Finding, Grade, Severity, phrase};
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
- Low: several stay in a walk through all entries by their links (`LinkedHashMap.containsValue`) over three dumps. A
  circle does not end it; but a large map that is looked through again and again looks the same.

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
    let is_seen = on_cpu::belief(&caught).is_seen;
    let who = match &members[..] {
        [one] => phrase::who(incident, *one),
        _ => phrase::count(incident, &members),
    };
    let origin = match members.len() == 1 && !is_seen {
        true => "; that happens when several threads change one at once",
        false => ", which several threads changed at once",
    };
    let spin = match is_seen {
        true => on_cpu::verb(&members, "spins", "spin"),
        false => on_cpu::verb(&members, "is caught", "are caught"),
    };
    if map.may_be_large {
        return walk(incident, &caught, members, grade, map.confidence);
    }
    Finding {
        detector: DETECTOR.name,
        severity: severity(members.len(), map.confidence),
        grade,
        confidence: map.confidence.min(grade.cap()),
        headline: format!(
            "{who} {spin} in {}{origin}",
            types.rsplit([':', '.']).next().unwrap_or(&types)
        ),
        detail: format!(
            "{}{}{} That is what becomes of a map that several threads change without a lock: a \
             resize links a bucket's entries into a circle, or a tree's nodes into a loop, and \
             get and put walk it for ever. Only a restart of the process ends it.",
            on_cpu::behaviour(&caught),
            entries(&caught),
            occupied(&caught),
        ),
        next_step: format!(
            "Restart this process: nothing else ends it. Then put {} in the place of {types}, \
             also where the code checks first and inserts after: two calls are a race on any map.",
            replacement(incident.process.runtime)
        ),
        frames: on_cpu::frames(incident, &caught),
        evidence: on_cpu::evidence(incident, &caught),
        members,
        ..Finding::default()
    }
}

/// Several that never leave a walk through all entries.
fn walk(
    incident: &Incident,
    caught: &[&Candidate],
    members: Vec<MemberId>,
    grade: Grade,
    confidence: f64,
) -> Finding {
    let types = types(caught);
    Finding {
        detector: DETECTOR.name,
        severity: Severity::Low,
        grade,
        confidence,
        headline: format!(
            "{} go through the entries of a {} in every dump: these are linked in a circle, or very many",
            phrase::count(incident, &members),
            types.rsplit([':', '.']).next().unwrap_or(&types)
        ),
        detail: format!(
            "{}{}{} When several threads change one without a lock its entries become linked in a circle, and a walk \
             through them never ends. In one that keeps the order of access, `get` changes it too. A large one \
             that is looked through again and again looks the same.",
            on_cpu::behaviour(caught),
            entries(caught),
            occupied(caught),
        ),
        next_step: format!(
            "See by a heap dump how many entries it has. If they are few, restart this process: nothing else ends the \
             walk. Then guard {types} by a lock that one thread has at a time, also for `get`. If they are many, keep \
             a second map by what is looked for."
        ),
        frames: on_cpu::frames(incident, caught),
        evidence: on_cpu::evidence(incident, caught),
        members,
        ..Finding::default()
    }
}

/// A map for many threads, and its way to check and insert in one step.
fn replacement(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Jvm => "a ConcurrentHashMap with computeIfAbsent",
        Runtime::Go => "a map behind a sync.Mutex, or a sync.Map with LoadOrStore,",
        Runtime::Rust => "an RwLock<HashMap> or a DashMap with entry()",
        Runtime::Native | Runtime::Unknown => "a map behind a lock",
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
        many => {
            let many: Vec<String> = many.iter().map(|&entry| entry.to_owned()).collect();
            format!(" They came to it from {}.", phrase::list(&many))
        }
    }
}

fn occupied(caught: &[&Candidate]) -> String {
    let used = on_cpu::cpu_used(caught).map(phrase::duration);
    used.map_or_else(String::new, |used| format!(" They used {used} of CPU meanwhile."))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Nanos, RegisterSamples};

    use super::*;
    use crate::model::scene::{Scene, progressing, recurring};

    /// Java threads that use all the CPU that there is, each with the stack of every dump.
    fn java(threads: &[(&str, &[&[&str]])]) -> Incident {
        let dumps = threads[0].1.len();
        (0..dumps)
            .fold(Scene::of(Runtime::Jvm), |scene, at| {
                scene.dump(10 * at as u64, |dump| {
                    for (name, stacks) in threads {
                        let used = Nanos::from_millis(200 * at as u64);
                        dump.thread(name, stacks[at]).cpu = Some(used);
                    }
                })
            })
            .incident()
    }

    fn found(incident: &Incident) -> Option<(Vec<&str>, Severity)> {
        let findings = detect(incident);
        assert!(findings.len() < 2, "one map, one finding");
        findings.first().map(|finding| (incident.names(&finding.members), finding.severity))
    }

    const SPLIT: &[&str] = &[
        "java.util.HashMap$TreeNode.split:2295",
        "java.util.HashMap.resize:712",
        "java.util.HashMap.putVal:661",
        "java.util.HashMap.put:610",
        "shop.Rates.publish:9",
        "java.lang.Thread.run:840",
    ];
    const FIND: &[&str] = &[
        "java.util.HashMap$TreeNode.find:2032",
        "java.util.HashMap$TreeNode.find:2028",
        "java.util.HashMap.getNode:575",
        "java.util.HashMap.get:556",
        "shop.Rates.quote:14",
        "java.lang.Thread.run:840",
    ];
    const GET: &[&str] =
        &["java.util.HashMap.getNode:570", "java.util.HashMap.get:556", "shop.Index.look:5"];
    const PUT: &[&str] =
        &["java.util.HashMap.putVal:640", "java.util.HashMap.put:610", "shop.Index.fill:8"];
    const RESIZE: &[&str] =
        &["java.util.HashMap.resize:733", "java.util.HashMap.merge:1363", "shop.Index.count:5"];

    #[test]
    fn readers_and_the_writer_that_broke_the_tree_are_one_finding() {
        let incident = java(&[("w", &[SPLIT; 3]), ("r-1", &[FIND; 3]), ("r-2", &[FIND; 3])]);
        assert_eq!(found(&incident), Some((vec!["r-1", "r-2", "w"], Severity::Critical)));
        let finding = &detect(&incident)[0];
        assert!(
            finding.headline.contains("3 threads")
                && finding.next_step.contains("java.util.HashMap")
        );
        assert!(finding.frames.iter().any(|frame| frame.ends_with("TreeNode.split")));
        assert_eq!(finding.grade, Grade::Counter);
    }

    #[test]
    fn two_dumps_say_less() {
        let incident = java(&[("w", &[SPLIT; 2]), ("r", &[FIND; 2])]);
        assert_eq!(found(&incident), Some((vec!["r", "w"], Severity::High)));
    }

    #[test]
    fn one_dump_says_nothing() {
        let incident = java(&[("w", &[SPLIT]), ("r", &[FIND])]);
        assert_eq!(found(&incident), None);
    }

    #[test]
    fn readers_and_writers_that_stay_in_a_plain_chain_are_caught() {
        let incident = java(&[("w", &[PUT; 3]), ("r", &[GET; 3])]);
        assert_eq!(found(&incident), Some((vec!["r", "w"], Severity::Critical)));
    }

    #[test]
    fn many_readers_of_a_healthy_map_are_not() {
        let incident = java(&[("r-1", &[GET; 3]), ("r-2", &[GET; 3]), ("r-3", &[GET; 3])]);
        assert_eq!(found(&incident), None);
    }

    #[test]
    fn a_walk_by_links_that_several_never_leave_is_a_hint() {
        let linked: &[&str] = &["java.util.LinkedHashMap.containsValue:416", "shop.Recent.holds:5"];
        let plain: &[&str] = &["java.util.HashMap.containsValue:923", "shop.Recent.holds:5"];
        let incident = java(&[("a", &[linked; 3]), ("b", &[linked; 3])]);
        assert_eq!(found(&incident), Some((vec!["a", "b"], Severity::Low)));
        assert!(detect(&incident)[0].headline.contains("or very many"));
        let one = java(&[("a", &[linked; 3])]);
        assert_eq!(found(&one), None, "one looks through its own");
        assert_eq!(found(&java(&[("a", &[plain; 3]), ("b", &[plain; 3])])), None);
        let elsewhere: &[&str] = &["shop.Recent.sum:9"];
        let moves: [&[&str]; 3] = [linked, elsewhere, linked];
        assert_eq!(found(&java(&[("a", &moves), ("b", &moves)])), None, "it comes out");
    }

    #[test]
    fn work_on_private_maps_is_not() {
        let incident = java(&[
            ("b-0", &[GET, RESIZE, RESIZE]),
            ("b-1", &[&["shop.Index.count:5"], PUT, RESIZE]),
            ("b-2", &[RESIZE, &["java.util.HashMap.merge:1376", "shop.Index.count:5"], RESIZE]),
        ]);
        assert_eq!(found(&incident), None);
        let newest = java(&[("b-0", &[RESIZE, RESIZE]), ("b-1", &[PUT, RESIZE])]);
        assert_eq!(found(&newest), None);
    }

    #[test]
    fn a_map_for_many_threads_is_not() {
        let put: &[&str] = &["java.util.concurrent.ConcurrentHashMap.putVal:1017", "shop.A.put:1"];
        let get: &[&str] = &["java.util.concurrent.ConcurrentHashMap.get:936", "shop.A.get:2"];
        assert_eq!(found(&java(&[("w", &[put; 3]), ("r", &[get; 3])])), None);
        let guarded: &[&str] = &[
            "java.util.HashMap$TreeNode.split:2295",
            "java.util.HashMap.put:610",
            "java.util.Collections$SynchronizedMap.put:2599",
            "shop.A.put:1",
        ];
        assert_eq!(found(&java(&[("w", &[guarded; 3])])), None);
    }

    #[test]
    fn a_function_that_the_map_calls_is_not_the_map() {
        let stack: &[&str] = &[
            "shop.Rates.lambda$load$0:40",
            "java.util.HashMap.computeIfAbsent:1220",
            "shop.Rates.load:38",
        ];
        assert_eq!(found(&java(&[("w-1", &[stack; 3]), ("w-2", &[stack; 3])])), None);
    }

    /// Threads in `get` of a Rust map, with what looks at their registers showed.
    fn rust(dumps: u64, threads: &[Option<RegisterSamples>]) -> Incident {
        (0..dumps)
            .fold(Scene::of(Runtime::Rust), |scene, second| {
                scene.dump(second, |dump| {
                    for (number, looks) in threads.iter().enumerate() {
                        let stack = [
                            "order::ChainedMap::get:70 pc=10 cfa=100",
                            "order::price:30 pc=20 cfa=200",
                            "order::serve:9 pc=30 cfa=300",
                        ];
                        let thread = dump.thread(&format!("r-{number}"), &stack);
                        thread.cpu = Some(Nanos::from_millis(500 * second));
                        thread.run_delay = Some(Nanos::from_millis(490 * second));
                        thread.registers = looks.clone();
                    }
                })
            })
            .incident()
    }

    #[test]
    fn registers_that_come_back_decide_for_all_who_are_in_the_map() {
        let incident = rust(3, &[Some(recurring(1)), None]);
        assert_eq!(found(&incident), Some((vec!["r-0", "r-1"], Severity::Critical)));
        assert!(detect(&incident)[0].confidence > 0.9);
    }

    #[test]
    fn registers_that_move_decide_too() {
        let incident = rust(3, &[Some(recurring(1)), Some(progressing())]);
        assert_eq!(found(&incident), Some((vec!["r-0"], Severity::High)));
        assert_eq!(found(&rust(3, &[Some(progressing()), Some(progressing())])), None);
    }

    #[test]
    fn without_looks_the_same_get_from_the_same_function_proves_nothing() {
        assert_eq!(found(&rust(3, &[None, None])), None);
    }

    #[test]
    fn in_machine_code_many_sights_of_it_do() {
        let names = vec!["r-0", "r-1", "r-2", "r-3"];
        let incident = rust(5, &[None, None, None, None]);
        assert_eq!(found(&incident), Some((names, Severity::Critical)));
        assert!(detect(&incident)[0].confidence < 0.8);
    }
}
