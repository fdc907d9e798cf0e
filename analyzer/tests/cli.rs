//! The command as scripts and shells meet it: exit status, streams, closed pipes, rubbish.

mod schema;

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sigquit_analyzer::cli;
use sigquit_dump::{
    Dump, Frame, Lock, LockKind, Nanos, Owner, OwnerSource, Process, Profile, ProfileBuilder,
    Runtime, Sample, Stack, Symbol, Thread, ThreadState, Wait, WaitFor,
};

/// What a run of the command left.
struct Run {
    status: u8,
    out: String,
    err: String,
}

/// Runs the command in this process.
fn run<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = arguments.into_iter().map(Into::into);
    let status = cli::run(std::iter::once("sigquit".into()).chain(arguments), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Run { status, out: text(out), err: text(err) }
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sigquit"))
}

/// A dump with one thread of that name, as the agent writes it.
fn dump_of(thread: &str) -> Vec<u8> {
    let mut dump = Dump {
        time: Some(Nanos::from_millis(1_795_382_617_834)),
        process: Process { runtime: Runtime::Rust, pid: Some(4711), ..Process::default() },
        ..Dump::default()
    };
    let frame = dump.intern_frame(Frame::named(Symbol::function("order::checkout")));
    let stack = dump.intern_stack(vec![frame].into());
    dump.threads.push(Thread {
        name: thread.into(),
        os_id: Some(4712),
        stack: Some(stack),
        ..Thread::default()
    });
    let mut bytes = Vec::new();
    sigquit_dump::write(&dump, &mut bytes).expect("a buffer");
    bytes
}

/// Two threads, each waiting for the mutex that the other owns.
fn deadlock() -> Vec<u8> {
    let mut dump = Dump {
        process: Process { runtime: Runtime::Rust, pid: Some(4711), ..Process::default() },
        ..Dump::default()
    };
    let locks = [1u32, 0].map(|thread| {
        let owners = vec![Owner { thread, source: OwnerSource::Runtime }];
        let address = Some(0x7000 + u64::from(thread));
        dump.add_lock(Lock { address, kind: LockKind::Mutex, owners, ..Lock::default() })
    });
    for (lock, function) in locks.into_iter().zip(["bank::debit", "bank::credit"]) {
        let frame = dump.intern_frame(Frame::named(Symbol::function(function)));
        let stack = dump.intern_stack(vec![frame].into());
        dump.threads.push(Thread {
            name: function.into(),
            os_id: Some(u64::from(lock.0) + 4712),
            state: ThreadState::Blocked,
            stack: Some(stack),
            wait: Some(Wait { lock, wait_for: WaitFor::Exclusive }),
            ..Thread::default()
        });
    }
    let mut bytes = Vec::new();
    sigquit_dump::write(&dump, &mut bytes).expect("a buffer");
    bytes
}

/// A folder with files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[test]
fn a_dump_is_analyzed() {
    let folder = folder(&[("dump", &dump_of("request-1"))]);
    let text = run([OsString::from("analyze"), path(&folder, "dump").into()]);
    assert_eq!((text.status, text.err.as_str()), (0, ""));
    assert!(text.out.contains("pid 4711"), "{}", text.out);

    let json =
        run(["analyze".into(), "--output=json".into(), path(&folder, "dump").into_os_string()]);
    assert_eq!((json.status, json.err.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(schema::violations(&report), Vec::<String>::new());
    assert_eq!(report["inputs"][0]["format"], "sigquit");
    assert_eq!(report["processes"][0]["dumps"][0]["time"], "2026-11-22T21:23:37.834Z");
}

#[test]
fn fail_on_is_a_gate() {
    let folder = folder(&[("stuck", &deadlock()), ("well", &dump_of("request-1"))]);
    let status = |severity: &str, name: &str| {
        let gate = OsString::from(format!("--fail-on={severity}"));
        run(["analyze".into(), gate, path(&folder, name).into_os_string()]).status
    };
    let report =
        run(["analyze".into(), "--output=json".into(), path(&folder, "stuck").into_os_string()]);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    assert_eq!(schema::violations(&report), Vec::<String>::new());
    assert_eq!(report["verdict"]["status"], "incident");
    assert_eq!(report["findings"][0]["detector"], "deadlock");
    let gates = ["never", "critical", "high", "medium", "low"];
    let severity = report["findings"][0]["severity"].as_str().expect("a severity");
    let at = gates.iter().position(|&gate| gate == severity).expect("one of the gates");
    for (index, gate) in gates.into_iter().enumerate() {
        assert_eq!(status(gate, "stuck"), u8::from(index >= at), "{gate}, found {severity}");
        assert_eq!(status(gate, "well"), 0, "{gate}");
    }
}

#[test]
fn what_nobody_can_understand_is_status_2() {
    let noise: Vec<u8> =
        (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let folder = folder(&[("noise", &noise), ("empty", b""), ("prose", b"All is well.\n")]);
    fs::create_dir(path(&folder, "hollow")).expect("a folder");
    for name in ["noise", "empty", "prose", "hollow", "missing"] {
        for command in ["analyze", "show"] {
            let run = run([OsString::from(command), path(&folder, name).into()]);
            assert_eq!((run.status, run.out.as_str()), (2, ""), "{command} {name}: {}", run.err);
            assert!(run.err.starts_with("sigquit: "), "{command} {name}: {}", run.err);
            assert_eq!(run.err.lines().count(), 1, "{command} {name}: {}", run.err);
        }
    }
}

#[test]
fn a_path_where_a_command_should_stand_is_told_how_to_be_read() {
    let folder = folder(&[("good", &dump_of("request-1"))]);
    let path = folder.path().join("good");
    let forgot = run([path.as_os_str()]);
    assert_eq!(forgot.status, 2);
    assert!(forgot.err.contains(&format!("sigquit analyze {}", path.display())), "{}", forgot.err);
    assert!(!run(["analyse"]).err.contains("to read it"));
}

#[test]
fn good_and_unreadable_inputs_are_both_reported() {
    let folder = folder(&[("good", &dump_of("request-1")), ("bad", b"rubbish")]);
    let paths = ["good", "bad", "missing"].map(|name| path(&folder, name).into_os_string());
    let run = run(["analyze".into(), "--output=json".into()].into_iter().chain(paths));
    assert_eq!(run.status, 0);
    assert_eq!(run.err.lines().count(), 2, "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(schema::violations(&report), Vec::<String>::new());
    let inputs = report["inputs"].as_array().expect("an array");
    let dumps: Vec<&Value> = inputs.iter().map(|input| &input["dumps"]).collect();
    assert_eq!(dumps, [1, 0, 0]);
    assert!(inputs[1..].iter().all(|input| !input["warnings"].as_array().unwrap().is_empty()));
}

#[test]
fn wrong_arguments_are_status_2() {
    let wrong: &[&[&str]] = &[
        &[],
        &["analyze"],
        &["show"],
        &["analyse", "x"],
        &["analyze", "x", "--output", "yaml"],
        &["analyze", "x", "--fail-on", "sometimes"],
        &["analyze", "x", "--format", "no-such-format"],
        &["analyze", "x", "--top", "many"],
        &["analyze", "x", "--color", "pink"],
        &["explain", "no-such-detector"],
    ];
    for &arguments in wrong {
        let run = run(arguments.iter().copied());
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!run.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_is_no_mistake() {
    for arguments in [&["--help"][..], &["analyze", "--help"], &["--version"]] {
        let run = run(arguments.iter().copied());
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{arguments:?}");
        assert!(run.out.contains("sigquit"));
    }
}

#[test]
fn a_report_in_a_file_is_whole_or_not_there() {
    let folder = folder(&[("dump", &dump_of("request-1")), ("report", b"an older report")]);
    let into = |name: &str| {
        run([
            "analyze".into(),
            "-o".into(),
            path(&folder, name).into_os_string(),
            path(&folder, "dump").into(),
        ])
    };
    let kept = into("report");
    assert_eq!((kept.status, kept.out.as_str(), kept.err.as_str()), (0, "", ""));
    assert!(fs::read_to_string(path(&folder, "report")).expect("a file").contains("pid 4711"));

    let nowhere = into("no-such-folder/report");
    assert_eq!(nowhere.status, 2);
    assert!(nowhere.err.starts_with("sigquit: "), "{}", nowhere.err);
    assert_eq!(into("/dev/null").status, 0);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 2, "nothing else is left: {left:?}");
}

#[test]
fn a_baseline_has_to_hold_a_dump() {
    let folder = folder(&[("dump", &dump_of("request-1")), ("nothing", b"no dump at all")]);
    let beside = |name: &str| {
        run([
            "analyze".into(),
            path(&folder, "dump").into_os_string(),
            "--baseline".into(),
            path(&folder, name).into(),
        ])
    };
    assert_eq!(beside("dump").status, 0);
    let wrong = beside("nothing");
    assert_eq!((wrong.status, wrong.out.as_str()), (2, ""));
    assert!(wrong.err.contains("nothing"), "{}", wrong.err);
}

#[test]
fn explain_knows_every_detector() {
    let list = run(["explain"]);
    assert_eq!((list.status, list.err.as_str()), (0, ""));
    for detector in sigquit_analyzer::detect::all() {
        let told = run(["explain", detector.name]);
        assert_eq!((told.status, told.err.as_str()), (0, ""), "{}", detector.name);
        assert_eq!(told.out.trim(), detector.documentation.trim());
        assert!(
            told.out.trim().starts_with(&format!("# {}\n", detector.name)),
            "{}",
            detector.name
        );
        for section in ["\n## Evidence\n", "\n## Limits\n", "\n## What to do\n"] {
            assert!(told.out.contains(section), "{} lacks {section:?}", detector.name);
        }
        let listed =
            list.out.lines().find(|line| line.split_whitespace().next() == Some(detector.name));
        let sentence = listed.and_then(|line| line.split_once(char::is_whitespace));
        assert!(sentence.is_some_and(|(_, text)| !text.trim().is_empty()), "{}", detector.name);
    }
    assert_eq!(list.out.lines().count(), sigquit_analyzer::detect::all().len());
}

#[test]
fn show_folds_equal_stacks_and_unfolds_them_when_asked() {
    let mut both = dump_of("request-1");
    both = String::from_utf8(both).expect("text").into_bytes();
    let (mut dumps, _) = sigquit_dump::read(&both).expect("a dump");
    let mut second = dumps[0].threads[0].clone();
    second.name = "request-2".into();
    second.os_id = Some(4713);
    dumps[0].threads.push(second);
    let mut bytes = Vec::new();
    sigquit_dump::write(&dumps[0], &mut bytes).expect("a buffer");
    let folder = folder(&[("dump", &bytes)]);

    let folded = run([OsString::from("show"), path(&folder, "dump").into()]);
    assert_eq!((folded.status, folded.err.as_str()), (0, ""));
    assert_eq!(folded.out.matches("at order::checkout").count(), 1, "{}", folded.out);
    assert!(folded.out.contains("request-1, request-2"), "{}", folded.out);

    let unfolded = run(["show".into(), "--all".into(), path(&folder, "dump").into_os_string()]);
    assert_eq!(unfolded.out.matches("at order::checkout").count(), 2, "{}", unfolded.out);
    assert!(unfolded.out.contains("request-2 tid 4713"), "{}", unfolded.out);
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let folder = folder(&[("dump", &dump_of("\u{1b}[2J\nall is well\u{202e}"))]);
    for command in ["analyze", "show"] {
        let run = run([OsString::from(command), path(&folder, "dump").into()]);
        assert_eq!(run.status, 0);
        let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!run.out.contains(hostile), "{}", run.out);
    }
}

#[test]
fn standard_input_is_a_path() {
    let mut child = binary()
        .args(["analyze", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&dump_of("request-1")).expect("the command reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the command ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("pid 4711"));
}

#[test]
fn an_empty_standard_input_is_status_2() {
    let output =
        binary().args(["analyze", "-"]).stdin(Stdio::null()).output().expect("the command");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("sigquit: -: "));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut dump = Dump::default();
    for number in 0..5_000u64 {
        let frame = dump.intern_frame(Frame::named(Symbol::function(format!("f{number}"))));
        let stack = dump.intern_stack(vec![frame].into());
        dump.threads.push(Thread { os_id: Some(number), stack: Some(stack), ..Thread::default() });
    }
    let mut bytes = Vec::new();
    sigquit_dump::write(&dump, &mut bytes).expect("a buffer");
    let folder = folder(&[("dump", &bytes)]);
    let mut child = binary()
        .arg("show")
        .arg(path(&folder, "dump"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    let mut first = [0; 16];
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut first).expect("some output");
    drop(stdout);
    let output = child.wait_with_output().expect("the command ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_full_disk_is_an_error() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: this system has no /dev/full");
        return;
    }
    let folder = folder(&[("dump", &dump_of("request-1"))]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = binary().arg("analyze").arg(path(&folder, "dump")).stdout(full).output();
    let output = output.expect("the command");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not be written"));
}

#[test]
fn pipes_get_neither_colours_nor_progress() {
    let folder = folder(&[("dump", &dump_of("request-1"))]);
    let output = binary().arg("analyze").arg(path(&folder, "dump")).output().expect("the command");
    assert!(!output.stdout.contains(&0x1b));
    assert!(output.stderr.is_empty());
    let always = binary().args(["analyze", "--color=always"]).arg(path(&folder, "dump")).output();
    assert!(always.expect("the command").stdout.contains(&0x1b));
}

const BEFORE: &str = "w;shop::main;shop::price 60\nw;shop::main;shop::idle 40\n";
const AFTER: &str = "w;shop::main;shop::price 90\nw;shop::main;shop::idle 10\n";

#[test]
fn samples_of_any_tool_are_drawn_and_compared() {
    let folder = folder(&[("before", BEFORE.as_bytes()), ("after", AFTER.as_bytes())]);
    let drawn = run([OsString::from("flamegraph"), path(&folder, "after").into()]);
    assert_eq!((drawn.status, drawn.err.as_str()), (0, ""));
    assert!(drawn.out.contains("shop::price (90 samples, 90.00%)"), "{}", drawn.out);
    assert!(drawn.out.contains("unknown time by folded, 100 samples"));
    let against = ["flamegraph", "--reverse", "--diff"].map(OsString::from).into_iter();
    let files = [path(&folder, "before"), path(&folder, "after")].map(OsString::from);
    let compared = run(against.chain(files));
    assert!(compared.out.contains("+30.00%"), "{}", compared.out);
}

#[test]
fn what_was_before_an_incident_is_compared_with_but_not_mixed_into_it() {
    let profile = |folded: &str, before| {
        let mut building = ProfileBuilder::new(Profile { before, ..Profile::default() });
        for line in folded.lines() {
            let (function, weight) = line.split_once(' ').unwrap();
            let symbols = vec![Symbol { function: function.into(), ..Symbol::default() }];
            let frames = vec![building.frame(Frame { symbols, ..Frame::default() })];
            let stack = building.stack(Stack::from(frames));
            let (thread, weight) = (building.thread(Some(1), "w"), weight.parse().unwrap());
            building.sample(Sample { thread, task: None, stack, weight, time: Nanos(0) });
        }
        let mut bytes = Vec::new();
        sigquit_dump::write_profile(&building.profile, &mut bytes).unwrap();
        bytes
    };
    let (before, during) = (profile("price 60\nidle 40", true), profile("price 9\nidle 1", false));
    let folder = folder(&[("before.sigquit", &before), ("profile.sigquit", &during)]);
    let whole = OsString::from(folder.path());
    let drawn = run([OsString::from("flamegraph"), whole.clone()]);
    assert!(drawn.out.contains("price (9 samples, 90.00%)"), "{}", drawn.out);
    let before = path(&folder, "before.sigquit").into();
    let compared = run(["flamegraph".into(), whole, "--diff".into(), before]);
    assert!(compared.out.contains("+30.00%"), "{}", compared.out);
    assert!(compared.out.contains("before the incident"), "{}", compared.out);
}

#[test]
fn the_stacks_of_dumps_are_drawn_as_threads_and_chosen_by_name() {
    let folder = folder(&[("1", &dump_of("order-1")), ("2", &dump_of("order-1"))]);
    let whole = OsString::from(folder.path());
    let drawn = run([OsString::from("flamegraph"), whole.clone()]);
    assert!(drawn.out.contains("order::checkout (2 threads and tasks, 100.00%)"), "{}", drawn.out);
    let of = |name| {
        run(["flamegraph", "--thread", name].map(OsString::from).into_iter().chain([whole.clone()]))
    };
    assert_eq!((of("order-1").status, of("4712").status, of("nobody").status), (0, 0, 2));
}

#[test]
fn samples_are_converted_to_what_other_tools_read() {
    let folder = folder(&[("before", BEFORE.as_bytes())]);
    let to = |format| {
        run(["convert", "--to", format]
            .map(OsString::from)
            .into_iter()
            .chain([path(&folder, "before").into()]))
    };
    let sorted = "w;shop::main;shop::idle 40\nw;shop::main;shop::price 60\n";
    assert_eq!(to("folded").out, sorted);
    for (format, field) in [("speedscope", "$schema"), ("firefox", "meta")] {
        let file: Value = serde_json::from_str(&to(format).out).expect("JSON");
        assert!(!file[field].is_null(), "{format}");
    }
    fs::write(path(&folder, "before"), to("json").out).unwrap();
    assert_eq!(to("folded").out, sorted, "what is written is read again");
    assert_eq!(to("xml").status, 2);
}

#[test]
fn walking_through_a_report_needs_a_terminal() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["sigquit", "tui", "no-such-file"].map(Into::into);
    assert_eq!(cli::run(arguments, &mut out, &mut err), 2);
    assert!(String::from_utf8(err).unwrap().contains("needs a terminal"));
}

/// A JVM's dump in which a thread of the program's own framework waits for work.
const FRAMEWORK: &str = r#"Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):

"fetcher" #12 prio=5 os_prio=0 tid=0x00007f0000001000 nid=0x1001 waiting on condition [0x00007f0000002000]
   java.lang.Thread.State: WAITING (parking)
	at jdk.internal.misc.Unsafe.park(java.base@17.0.15/Native Method)
	at acme.flow.Mailbox$$Gen7.next(Mailbox.java:40)
	at acme.flow.Stage.run(Stage.java:71)
	at acme.flow.Stage.step(Stage.java:60)
	at acme.flow.Graph.run(Graph.java:12)
	at shop.Main.run(Main.java:9)

"#;

#[test]
fn rules_of_ones_own_say_who_is_idle_and_what_clusters_show() {
    let rules = "# The framework of the house.\n\
                 function:acme.flow.*  -app\n\
                 function:*$$Gen*.next  function=*.next idle=listener\n\
                 function:acme.flow.Stage.step  ignore\n";
    let folder = folder(&[("dump", FRAMEWORK.as_bytes()), ("rules", rules.as_bytes())]);
    let clusters = |rules: &[&str]| {
        let mut arguments = vec![OsString::from("clusters"), "--level=exact".into()];
        arguments.extend(
            rules
                .iter()
                .map(|rule| path(&folder, rule))
                .flat_map(|path| [OsString::from("--rules"), path.into()]),
        );
        arguments.push(path(&folder, "dump").into());
        run(arguments).out
    };
    let without = clusters(&[]);
    assert!(
        without.contains("1        acme.flow.Mailbox$$Gen7.next < acme.flow.Stage.run"),
        "{without}"
    );
    let with = clusters(&["rules"]);
    assert!(with.contains("1  idle  shop.Main.run"), "{with}");
    let output = ["clusters", "--output=json", "--level=exact", "--rules"].map(OsString::from);
    let files = [path(&folder, "rules"), path(&folder, "dump")].map(OsString::from);
    let json: Value =
        serde_json::from_str(&run(output.into_iter().chain(files)).out).expect("JSON");
    let frames = &json["processes"][0]["groups"][0]["frames"];
    assert_eq!(frames[1], "acme.flow.Mailbox.next");
    assert!(!frames.to_string().contains("Stage.step"), "{frames}");
}

#[test]
fn a_mistake_in_rules_is_told_with_its_file_and_line() {
    let rules = b"function:shop.* app\nfunction:shop.Poll idle=bored\n";
    let folder = folder(&[("dump", FRAMEWORK.as_bytes()), ("my.rules", rules)]);
    let analyze = ["analyze", "--rules"].map(OsString::from).into_iter();
    let files = [path(&folder, "my.rules"), path(&folder, "dump")].map(OsString::from);
    let told = run(analyze.chain(files));
    assert_eq!((told.status, told.out.as_str()), (2, ""));
    assert!(
        told.err.contains("my.rules:2: a rule: bored is no way to be idle: expected worker"),
        "{}",
        told.err
    );
    let missing = run(["analyze", "--rules", "/nowhere/rules", "-"].map(OsString::from));
    assert_eq!(missing.status, 2);
    assert!(missing.err.contains("/nowhere/rules: "), "{}", missing.err);
}

#[test]
fn rules_are_explained_and_those_that_are_known_shown() {
    let explained = run(["explain", "rules"].map(OsString::from));
    assert!(explained.out.contains("# rules") && explained.out.contains("--rules FILE"));
    let known = run(["explain", "rules.go"].map(OsString::from));
    assert!(known.out.contains("function:os/signal.loop"), "{}", known.out);
    // What is known is written as it may be written.
    let folder = folder(&[("dump", FRAMEWORK.as_bytes()), ("go", known.out.as_bytes())]);
    let analyze = ["analyze", "--rules"].map(OsString::from).into_iter();
    let files = [path(&folder, "go"), path(&folder, "dump")].map(OsString::from);
    assert_eq!(run(analyze.chain(files)).status, 0);
}

#[test]
fn clusters_are_shown_at_each_level() {
    let folder = folder(&[("dump", FRAMEWORK.as_bytes())]);
    for level in ["exact", "signature", "tree", "family"] {
        let asked = [OsString::from("clusters"), format!("--level={level}").into()];
        let text = run(asked.clone().into_iter().chain([path(&folder, "dump").into()]));
        assert!(text.status == 0 && text.out.contains("shop.Main.run"), "{level}: {}", text.out);
        let json = asked.into_iter().chain(["--output=json".into(), path(&folder, "dump").into()]);
        let json: Value = serde_json::from_str(&run(json).out).expect("JSON");
        let clusters = include_str!("../schema/clusters-1.schema.json");
        assert_eq!(schema::violations_of(clusters, &json), Vec::<String>::new());
        assert_eq!(
            (&json["schema"], &json["level"]),
            (&"sigquit.clusters/1".into(), &level.into())
        );
    }
}
