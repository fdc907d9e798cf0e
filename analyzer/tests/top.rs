//! `top -H` beside one dump says whose stack to look at.

use std::fs;
use std::path::Path;

use sigquit_analyzer::explain::Report;
use sigquit_analyzer::{analyze, read};

/// A fixture's table and the first dump beside it.
fn fixture(case: &str) -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/top").join(case);
    let text = |name: &str| fs::read_to_string(folder.join(name)).expect("the fixture is there");
    let log = text("jvm.log");
    let second = log.rfind("\nFull thread dump").expect("several dumps");
    let dumps = &log[..second];
    let tail = dumps.find("JNI global references").expect("the end of the first dump");
    let end = dumps[tail..].find('\n').map_or(dumps.len(), |end| tail + end + 1);
    (text("top.1.txt"), dumps[..end].to_owned())
}

fn report(texts: &[&str]) -> Report {
    let input = |text: &&str| read::read("x", text.as_bytes(), None).expect("it is read");
    analyze(texts.iter().map(input).collect())
}

fn hot(report: &Report) -> Vec<String> {
    let hot = report.findings.iter().filter(|finding| finding.detector == "cpu-hot");
    hot.map(|finding| format!("{finding:?}")).collect()
}

#[test]
fn the_thread_that_burns_is_named_with_one_dump() {
    let (table, dump) = fixture("endless-loop");
    for texts in
        [&[&*table, &*dump][..], &[&format!("{table}{dump}")], &[&format!("{dump}\n{table}")]]
    {
        let report = report(texts);
        let hot = hot(&report);
        assert!(hot.len() == 1 && hot[0].contains("report-gen"), "{hot:?}");
        assert!(report.inputs.iter().all(|input| input.warnings.is_empty()), "{:?}", report.inputs);
    }
    assert_eq!(hot(&report(&[&dump])), Vec::<String>::new());
}

#[test]
fn the_idle_are_not() {
    let (table, dump) = fixture("healthy-idle");
    assert_eq!(hot(&report(&[&table, &dump])), Vec::<String>::new());
}

#[test]
fn a_table_of_another_process_is_said_to_be_left_out() {
    let (table, _) = fixture("healthy-idle");
    let (_, dump) = fixture("endless-loop");
    let report = report(&[&table, &dump]);
    assert_eq!(hot(&report), Vec::<String>::new());
    assert_eq!(report.inputs[0].warnings.len(), 1);
}

#[test]
fn names_in_other_encodings_are_kept() {
    let dump = b"Full thread dump OpenJDK 64-Bit Server VM (17.0.15 mixed mode):\n\n\
        \"pr\xE9paration-1\" #7 prio=5 os_prio=0 tid=0x00007f21 nid=0x5b16 runnable [0x00007f25]\n   \
        java.lang.Thread.State: RUNNABLE\n\tat shop.Main.run(Main.java:5)\n\n";
    let input = read::read("x", dump, None).expect("it is read");
    assert_eq!(input.dumps[0].threads[0].name, "pr\u{e9}paration-1");
    let said: Vec<&String> = input.warnings.iter().map(|warning| &warning.message).collect();
    assert!(said.iter().any(|said| said.contains("Latin-1")), "{said:?}");
}
