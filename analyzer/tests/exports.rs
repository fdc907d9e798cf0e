//! What is exported, read by the tools that it is for. A tool that is not installed is left out, and that is said:
//! `tests/set-up` installs them.

mod program;
mod schema;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use program::installed;
use sigquit_analyzer::cli;

/// The published schema, under the MIT licence that lies beside it.
const SPEEDSCOPE: &str = include_str!("schema/speedscope.schema.json");

/// Profiles of every reader.
const PROFILES: [&str; 6] = [
    "firefox/busy-progressing",
    "folded/busy-progressing",
    "perf-script/busy-progressing",
    "pprof/cpu",
    "pprof/mutex",
    "speedscope/busy-progressing",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// What the command prints; panics when it fails.
fn sigquit<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = arguments.into_iter().map(Into::into);
    let status = cli::run(std::iter::once("sigquit".into()).chain(arguments), &mut out, &mut err);
    assert_eq!(status, 0, "{}", String::from_utf8_lossy(&err));
    out
}

fn convert(to: &str, input: &Path) -> Vec<u8> {
    sigquit([OsString::from("convert"), "--to".into(), to.into(), input.into()])
}

/// What a tool says on both streams of a file with these bytes; panics when it fails.
fn told(tool: &Path, arguments: &[&str], name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    fs::write(&file, bytes).expect("a file");
    let output = Command::new(tool)
        .args(arguments)
        .arg(&file)
        .current_dir(folder.path())
        .output()
        .expect("the tool starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{}: {said}", tool.display());
    said
}

/// Samples of which everything is known.
fn samples() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let stacks = "main;work;step 40\nmain;<Range<usize> as Iterator>::fold 8\nmain;idle 2\n";
    fs::write(&file, stacks).expect("a file");
    file
}

#[test]
fn speedscope_files_keep_its_published_schema() {
    for profile in PROFILES {
        let file = serde_json::from_slice(&convert("speedscope", &fixture(profile)));
        let file = file.expect("JSON");
        assert_eq!(schema::violations_of(SPEEDSCOPE, &file), Vec::<String>::new(), "{profile}");
    }
}

#[test]
fn the_report_of_a_profile_keeps_the_published_schema() {
    for profile in PROFILES {
        let arguments =
            ["analyze".into(), "--output=json".into(), fixture(profile).into_os_string()];
        let report = serde_json::from_slice(&sigquit(arguments)).expect("JSON");
        assert_eq!(schema::violations(&report), Vec::<String>::new(), "{profile}");
    }
}

#[test]
fn inferno_draws_what_is_folded() {
    for profile in PROFILES {
        let folded = String::from_utf8(convert("folded", &fixture(profile))).expect("text");
        let mut svg = Vec::new();
        let mut options = inferno::flamegraph::Options::default();
        inferno::flamegraph::from_lines(&mut options, folded.lines(), &mut svg).expect(profile);
        let sum: u64 =
            folded.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
        let svg = String::from_utf8(svg).expect("text");
        assert!(svg.contains(&format!("total_samples=\"{sum}\"")), "{profile}: all are understood");
    }
}

#[test]
fn go_tool_pprof_reads_what_is_exported() {
    let Some(go) = installed(&["go"]) else { return };
    let top =
        |input: &Path| told(&go, &["tool", "pprof", "-top"], "p.pb", &convert("pprof", input));
    let samples = samples();
    let said = top(samples.path());
    assert!(said.contains("Showing nodes accounting for 50, 100% of 50 total"), "{said}");
    let line = |name: &str| {
        let line = said.lines().find(|line| line.ends_with(&format!(" {name}")));
        line.unwrap_or_else(|| panic!("{name} is missing: {said}")).split_whitespace().next()
    };
    assert_eq!(line("step"), Some("40"));
    assert_eq!(line("<Range<usize> as Iterator>::fold"), Some("8"));
    for profile in PROFILES {
        let said = top(&fixture(profile));
        assert!(said.contains("Showing nodes accounting for"), "{profile}: {said}");
    }
}

/// The functions of a profile's first thread, as the Firefox Profiler's own command tells them. It has a
/// process of its own in the background, which is asked until it answers.
fn in_the_firefox_profiler(profiler: &Path, profile: &[u8]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("profile.json");
    fs::write(&file, profile).expect("a file");
    let ask = |arguments: &[&str]| {
        let asked = Command::new(profiler).args(arguments).env("HOME", home.path()).output();
        let output = asked.expect("the tool starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (_, loading) = ask(&["load", &file.to_string_lossy()]);
    let functions = (0..50).find_map(|_| {
        let (tells, functions) = ask(&["thread", "functions", "--thread", "t-0"]);
        if !tells {
            std::thread::sleep(Duration::from_millis(200));
        }
        tells.then_some(functions)
    });
    ask(&["stop"]);
    functions.unwrap_or_else(|| panic!("{loading}"))
}

#[test]
fn the_firefox_profiler_reads_what_is_exported() {
    let Some(profiler) = installed(&["profiler-cli"]) else { return };
    let functions = |input: &Path| in_the_firefox_profiler(&profiler, &convert("firefox", input));
    let told = functions(samples().path());
    assert!(told.contains("step - self: 40 (80.0%)"), "{told}");
    assert!(told.contains("<Range<usize> as Iterator>::fold - self: 8 (16.0%)"), "{told}");
    for profile in PROFILES {
        let told = functions(&fixture(profile));
        assert!(told.contains(" - self: "), "{profile}: {told}");
    }
}

#[test]
fn sarif_passes_a_validator_that_has_the_published_schema() {
    let Some(validator) = installed(&["sarif-multitool"]) else { return };
    for case in ["sigquit/order-service", "sigquit/healthy", "go/slow-owner", "gdb/slow-owner"] {
        let arguments = ["analyze".into(), "--output=sarif".into(), fixture(case).into_os_string()];
        let sarif = sigquit(arguments);
        let said = told(&validator, &["validate"], "report.sarif", &sarif);
        assert!(!said.contains("error"), "{case}: {said}");
    }
}
