//! Reports made by hand, rendered: the first screen to the letter, JSON against the schema, and
//! names that mean harm.

mod schema;

use serde_json::Value;
use sigquit_analyzer::detect::{Grade, LockOf, Severity};
use sigquit_analyzer::explain::{
    ClusterReport, DumpReport, EvidenceReport, InputReport, MemberReport, ProcessReport,
    RankedFinding, Report, Role, Status, Verdict,
};
use sigquit_analyzer::read::Warning;
use sigquit_analyzer::render::{self, TextOptions};
use sigquit_dump::{Kind, OwnerSource};

fn threads(prefix: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<MemberReport> {
    let thread = |number: u32| MemberReport {
        kind: Kind::Thread,
        id: (4000 + number).to_string(),
        name: format!("{prefix}{number}"),
    };
    numbers.map(thread).collect()
}

fn fact(text: &str, dump: Option<&str>) -> EvidenceReport {
    EvidenceReport { text: text.into(), dump: dump.map(str::to_owned), member: None, value: None }
}

fn finding(id: &str, detector: &'static str, headline: &str) -> RankedFinding {
    RankedFinding {
        id: id.into(),
        detector,
        process: "p1".into(),
        signature: detector.into(),
        role: Role::Root,
        severity: Severity::Critical,
        score: 90,
        grade: Grade::Counter,
        confidence: 0.95,
        headline: headline.into(),
        detail: String::new(),
        next_step: String::new(),
        members: Vec::new(),
        victims: Vec::new(),
        holders: Vec::new(),
        lock: None,
        owner: None,
        owner_source: None,
        frames: Vec::new(),
        places: Vec::new(),
        caused_by: Vec::new(),
        evidence: Vec::new(),
    }
}

fn corrupted_map() -> RankedFinding {
    RankedFinding {
        score: 98,
        detail: "A chain of the map leads back into itself: who walks it walks for ever.".into(),
        next_step: "Restart the process: the map stays corrupted. Then guard the map with a lock, \
                    or use one that is made for several threads."
            .into(),
        members: threads("warm-up-", 1..=10),
        victims: threads("request-", 1..=37),
        frames: vec![
            "order_service::rates::RateTable::get".into(),
            "order_service::warm_up::refresh".into(),
        ],
        evidence: vec![
            fact("10 of 10 are in the same activation of RateTable::get from p1.1 to p1.5", None),
            fact("they used 7.9 s of the 8.0 s of CPU that 2 CPUs had to give", Some("p1.5")),
            fact(
                "398 of 400 looks at warm-up-1's registers show a state seen before",
                Some("p1.3"),
            ),
        ],
        ..finding(
            "f1",
            "map-corruption",
            "10 threads spin for ever in a corrupted map (order_service::rates::RateTable::get).",
        )
    }
}

fn drained_pool() -> RankedFinding {
    RankedFinding {
        role: Role::Symptom,
        severity: Severity::High,
        score: 71,
        members: threads("request-", 5..=37),
        holders: threads("request-", 1..=4),
        lock: Some(LockOf {
            id: "0x7f10c0de".into(),
            kind: "semaphore".into(),
            type_name: Some("ConnectionPool".into()),
        }),
        owner: Some(threads("request-", 1..=1).remove(0)),
        owner_source: Some(OwnerSource::Inferred),
        caused_by: vec!["f1".into()],
        evidence: vec![fact("4 of 4 connections are held by threads of f1", None)],
        ..finding("f2", "connection-pool-exhaustion", "33 threads wait for one of 4 connections.")
    }
}

fn incident() -> Report {
    Report {
        verdict: Verdict {
            status: Status::Incident,
            headline: "10 threads spin for ever in a corrupted map \
                       (order_service::rates::RateTable::get); behind it 33 threads wait for a \
                       pooled connection, 4 more wait"
                .into(),
        },
        inputs: vec![InputReport {
            path: "/tmp/order-service/incident-1".into(),
            format: "sigquit",
            dumps: 5,
            threads: 405,
            tasks: 0,
            profiles: 0,
            truncated: false,
            warnings: vec![Warning { line: 33, message: "not a record; left out".into() }],
        }],
        processes: vec![ProcessReport {
            id: "p1".into(),
            runtime: "rust",
            pid: Some(4711),
            host: Some("shop-3".into()),
            title: "order-service".into(),
            dumps: (1..=5)
                .map(|number| DumpReport {
                    id: format!("p1.{number}"),
                    time: Some(format!("2026-11-22T21:23:3{number}.000Z")),
                    threads: 81,
                    tasks: 0,
                })
                .collect(),
            is_profile: false,
        }],
        findings: vec![
            corrupted_map(),
            drained_pool(),
            RankedFinding {
                role: Role::Contributing,
                severity: Severity::Low,
                score: 12,
                members: threads("report-", 1..=1),
                ..finding("f3", "cpu-hot", "report-1 used 0.9 CPUs.")
            },
        ],
        clusters: vec![ClusterReport {
            id: "c1".into(),
            process: "p1".into(),
            family: Some("k1".into()),
            signature: "ConnectionPool::borrow".into(),
            count: 33,
            per_dump: vec![30, 31, 32, 33, 33],
            kind: Kind::Thread,
            states: vec![("futex".into(), 30), ("futex".into(), 3)],
            idle: false,
            frames: vec!["ConnectionPool::borrow".into()],
            members: threads("request-", 5..=8),
        }],
        pictures: Vec::new(),
        flames: Vec::new(),
    }
}

fn text(report: &Report, width: usize, top: Option<usize>) -> String {
    let mut out = Vec::new();
    render::text(report, TextOptions { width, color: false, top }, &mut out).expect("a buffer");
    String::from_utf8(out).expect("text")
}

fn json(report: &Report) -> Value {
    let mut out = Vec::new();
    render::json(report, &mut out).expect("a buffer");
    serde_json::from_slice(&out).expect("JSON")
}

const AT_100: &str = "\
INCIDENT  10 threads spin for ever in a corrupted map (order_service::rates::RateTable::get); behind
          it 33 threads wait for a pooled connection, 4 more wait

f1 map-corruption, critical 98, by counters 0.95
-> f2 connection-pool-exhaustion, high 71, by counters 0.95: 33 threads wait for one of
      4 connections
beside it f3 cpu-hot, low 12, by counters 0.95: report-1 used 0.9 CPUs

  who      warm-up-1 .. warm-up-10 (10)
  victims  request-1 .. request-37 (37)
  where    order_service::rates::RateTable::get
           order_service::warm_up::refresh
  why      10 of 10 are in the same activation of RateTable::get from p1.1 to p1.5
           they used 7.9 s of the 8.0 s of CPU that 2 CPUs had to give [p1.5]
           398 of 400 looks at warm-up-1's registers show a state seen before [p1.3]
  now      Restart the process: the map stays corrupted. Then guard the map with a lock, or use one
           that is made for several threads.

rust order-service, pid 4711 on shop-3; 5 dumps, 2026-11-22 21:23:31 to 21:23:35; 81 threads
1 warning: /tmp/order-service/incident-1:33: not a record; left out
More: sigquit show PATH | sigquit explain map-corruption | --top 3
";

const AT_80: &str = "\
INCIDENT  10 threads spin for ever in a corrupted map
          (order_service::rates::RateTable::get); behind it 33 threads wait for
          a pooled connection, 4 more wait

f1 map-corruption, critical 98, by counters 0.95
-> f2 connection-pool-exhaustion, high 71, by counters 0.95: 33 threads wait for
      one of 4 connections
beside it f3 cpu-hot, low 12, by counters 0.95: report-1 used 0.9 CPUs

  who      warm-up-1 .. warm-up-10 (10)
  victims  request-1 .. request-37 (37)
  where    order_service::rates::RateTable::get
           order_service::warm_up::refresh
  why      10 of 10 are in the same activation of RateTable::get from p1.1 to
           p1.5
           they used 7.9 s of the 8.0 s of CPU that 2 CPUs had to give [p1.5]
           398 of 400 looks at warm-up-1's registers show a state seen before
           [p1.3]
  now      Restart the process: the map stays corrupted. Then guard the map with
           a lock, or use one that is made for several threads.

rust order-service, pid 4711 on shop-3; 5 dumps, 2026-11-22 21:23:31 to
21:23:35; 81 threads
1 warning: /tmp/order-service/incident-1:33: not a record; left out
More: sigquit show PATH | sigquit explain map-corruption | --top 3
";

#[test]
fn the_first_screen_at_100_columns() {
    assert_eq!(text(&incident(), 100, None), AT_100);
}

#[test]
fn the_first_screen_at_80_columns() {
    assert_eq!(text(&incident(), 80, None), AT_80);
}

/// A report in which everything is long and there is much of it.
fn crowded() -> Report {
    let mut report = incident();
    let many = |text: &str| text.repeat(40);
    report.verdict.headline = many("threads spin in it; ");
    let mut root = corrupted_map();
    root.next_step = many("Do this. ");
    root.frames =
        (0..90).map(|number| format!("module::function_{number}::{}", many("x"))).collect();
    root.evidence = (0..90).map(|_| fact(&many("one more fact "), Some("p1.2"))).collect();
    report.findings = vec![root];
    for number in 2..60 {
        let mut symptom = drained_pool();
        symptom.id = format!("f{number}");
        symptom.caused_by = vec![format!("f{}", number - 1)];
        report.findings.push(symptom);
    }
    report.processes = vec![report.processes[0].clone(); 9];
    report.inputs[0].path = many("/long");
    report
}

#[test]
fn the_first_screen_is_one_screen_whatever_there_is_to_say() {
    let nothing_found = Report { findings: Vec::new(), ..crowded() };
    let mut without_story = crowded();
    without_story.findings.iter_mut().for_each(|finding| finding.caused_by.clear());
    for report in [crowded(), incident(), nothing_found, without_story] {
        for width in [80, 100] {
            let text = text(&report, width, None);
            assert!(text.lines().count() <= 25, "{} lines:\n{text}", text.lines().count());
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{widest:?} columns:\n{text}");
        }
    }
}

#[test]
fn who_asks_for_more_gets_all() {
    let text = text(&incident(), 100, Some(3));
    for fact in ["f2: 33 threads", "A chain of the map", "398 of 400", "request-1 .. request-4 (4)"]
    {
        assert!(text.contains(fact), "{fact} is not in\n{text}");
    }
    assert!(text.contains("semaphore 0x7f10c0de (ConnectionPool), owner request-1 (inferred)"));
}

#[test]
fn several_processes_are_told_apart() {
    let mut report = incident();
    report.processes.push(ProcessReport { id: "p2".into(), ..report.processes[0].clone() });
    let text = text(&report, 100, None);
    assert!(text.contains("f1 map-corruption in p1, critical 98"), "{text}");
}

#[test]
fn colour_is_decoration() {
    let mut out = Vec::new();
    let options = TextOptions { width: 100, color: true, top: None };
    render::text(&incident(), options, &mut out).expect("a buffer");
    let colored = String::from_utf8(out).expect("text");
    assert!(colored.contains("\u{1b}["));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), AT_100);
}

#[test]
fn json_keeps_the_contract() {
    let json = json(&incident());
    assert_eq!(schema::violations(&json), Vec::<String>::new());
    assert_eq!(json["schema"], "sigquit.report/1");
    assert_eq!(json["verdict"]["status"], "incident");
    assert_eq!(json["findings"][1]["role"], "symptom");
    assert_eq!(json["findings"][1]["caused_by"][0], "f1");
    assert_eq!(json["findings"][1]["lock"]["type"], "ConnectionPool");
    assert_eq!(json["findings"][1]["owner"]["name"], "request-1");
    assert_eq!(json["findings"][1]["owner_source"], "inferred");
    assert_eq!(json["findings"][0]["lock"], Value::Null);
    assert_eq!(json["findings"][0]["evidence"][1]["dump"], "p1.5");
    assert_eq!(json["clusters"][0]["states"]["futex"], 33);
}

#[test]
fn the_order_of_the_keys_is_stable() {
    let mut out = Vec::new();
    render::json(&incident(), &mut out).expect("a buffer");
    let text = String::from_utf8(out).expect("text");
    let at = |key: &str| text.find(&format!("\n  \"{key}\"")).expect("the key is there");
    let keys = ["schema", "verdict", "inputs", "processes", "findings", "clusters"];
    assert!(keys.map(at).is_sorted());
    assert!(text.ends_with("}\n"));
}

#[test]
fn a_schema_that_is_broken_is_noticed() {
    let mut json = json(&incident());
    json["findings"][0]["role"] = "culprit".into();
    json["verdict"].as_object_mut().expect("an object").remove("headline");
    assert_eq!(schema::violations(&json).len(), 2);
}

/// Names that try to move the cursor, to end the line or the string, to run text backwards, or
/// to fill the screen.
fn hostile_names() -> Vec<String> {
    vec![
        "\u{1b}[2J\u{1b}[1;1Hall is well".into(),
        "two\nlines\r\nHEALTHY".into(),
        "\"quoted\", \\ and 'so'".into(),
        "\u{202e}desrever \u{2066}x".into(),
        "עובד-1".into(),
        "bell\u{7}\u{9b}31m\u{0}".into(),
        "x".repeat(1500),
        String::new(),
    ]
}

#[test]
fn hostile_names_stay_names() {
    for name in hostile_names() {
        let mut report = incident();
        report.verdict.headline = format!("{name} spins");
        report.findings[0].headline = format!("{name} spins");
        report.findings[0].frames = vec![name.clone()];
        report.findings[0].members[0].name = name.clone();
        report.findings[0].evidence[0].text = format!("{name} was seen");
        report.inputs[0].path = name.clone();
        report.processes[0].title = name.clone();
        report.clusters[0].signature = name.clone();
        report.clusters[0].states = vec![(name.clone(), 1)];
        for top in [None, Some(9)] {
            let text = text(&report, 80, top);
            let harmless = |c: char| {
                c == '\n'
                    || !(c.is_control()
                        || ('\u{202a}'..='\u{202e}').contains(&c)
                        || ('\u{2066}'..='\u{2069}').contains(&c))
            };
            assert!(text.chars().all(harmless), "{name:?} reached the terminal:\n{text}");
            assert!(text.starts_with("INCIDENT"));
        }
        let json = json(&report);
        assert_eq!(schema::violations(&json), Vec::<String>::new());
        assert_eq!(json["findings"][0]["members"][0]["name"], name.as_str());
    }
}
