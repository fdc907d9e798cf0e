//! Real dumps and what their programs knew: the readers against `shared/samples`, where that
//! folder is at hand. `SIGQUIT_SAMPLES` names it elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sigquit_analyzer::read::{Input, read, read_paths};
use sigquit_dump::{Dump, Kind, Lock, NoticeKind, Thread, ThreadState, Truncation, WaitFor};

/// The folder of samples, or a printed notice.
fn samples() -> Option<PathBuf> {
    let named = std::env::var_os("SIGQUIT_SAMPLES").map(PathBuf::from);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = named
        .or_else(|| here.ancestors().map(|up| up.join("shared/samples")).find(|at| at.is_dir()));
    if found.is_none() {
        println!(
            "skipped: no shared/samples beside the repository, and SIGQUIT_SAMPLES is not set"
        );
    }
    found
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files.sort();
    files
}

fn input(path: &Path) -> Input {
    let (mut inputs, errors) = read_paths(&[path.to_owned()], None);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(inputs.len(), 1, "{}", path.display());
    inputs.remove(0)
}

/// The dump of a file that holds one.
fn dump(path: &Path) -> Dump {
    let dumps = input(path).dumps;
    assert_eq!(dumps.len(), 1, "{}", path.display());
    dumps.into_iter().next().expect("one dump")
}

fn truth(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("truth.json")).expect("a truth");
    serde_json::from_str(&text).expect("JSON")
}

/// Every folder below one of the two runtimes' that tells the truth.
fn told(runtime: &str) -> Vec<(PathBuf, Value)> {
    let Some(samples) = samples() else { return Vec::new() };
    let folders = files(&samples.join(runtime)).into_iter();
    let truths = folders.filter(|path| path.ends_with("truth.json"));
    truths
        .filter_map(|path| path.parent().map(Path::to_owned))
        .map(|folder| (folder.clone(), truth(&folder)))
        .collect()
}

/// The words for states, and how many goroutines are in each.
fn states(dump: &Dump) -> BTreeMap<String, u64> {
    let mut states = BTreeMap::new();
    for thread in &dump.threads {
        *states.entry(thread.state_text.clone()).or_default() += 1;
    }
    states
}

fn told_states(truth: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(truth.clone()).unwrap_or_default()
}

/// What a dump says, without where it stood: equal for a dump and for the same in a log.
fn facts(dump: &Dump) -> (Vec<String>, Vec<String>) {
    let lock = |lock: &Lock| format!("{:?} {:x?} {:?}", lock.kind, lock.address, lock.type_name);
    let thread = |thread: &Thread| {
        let calls: Vec<String> = dump
            .calls(thread)
            .map(|(_, _, symbol)| format!("{} {:?}", symbol.function, symbol.location))
            .collect();
        let wait = thread.wait.as_ref().map(|wait| (lock(dump.lock(wait.lock)), wait.wait_for));
        let holds: Vec<_> =
            thread.holds.iter().map(|hold| (lock(dump.lock(hold.lock)), hold.frame)).collect();
        let named = (&thread.name, thread.number, thread.os_id, &thread.state_text, thread.state);
        let told =
            (thread.cpu, thread.elapsed, thread.parent, thread.waiting_since, &thread.labels);
        format!("{named:?} {told:?} {calls:?} {wait:?} {holds:?}")
    };
    let notices = dump
        .notices
        .iter()
        .map(|notice| format!("{:?} {} {:?}", notice.kind, notice.message, notice.threads));
    (dump.threads.iter().map(thread).collect(), notices.collect())
}

fn names(dump: &Dump, threads: &[u32]) -> Vec<String> {
    threads.iter().map(|&index| dump.threads[index as usize].name.clone()).collect()
}

fn thread<'d>(dump: &'d Dump, name: &str) -> &'d Thread {
    let found = dump.threads.iter().find(|thread| thread.name == name);
    found.unwrap_or_else(|| panic!("no thread {name:?}"))
}

/// For a lock: how many wait for it, and the names of its owners.
fn crowd(dump: &Dump, lock: usize, wait_for: WaitFor) -> (usize, Vec<String>) {
    let waits = |thread: &&Thread| {
        let wait = thread.wait.as_ref();
        wait.is_some_and(|wait| wait.lock.0 as usize == lock && wait.wait_for == wait_for)
    };
    let owners: Vec<u32> = dump.locks[lock].owners.iter().map(|owner| owner.thread).collect();
    (dump.threads.iter().filter(waits).count(), names(dump, &owners))
}

/// The lock for which most wait.
fn most_wanted(dump: &Dump) -> (usize, Vec<String>) {
    let crowds = (0..dump.locks.len()).map(|lock| crowd(dump, lock, WaitFor::Exclusive));
    crowds.max_by_key(|(waiters, _)| *waiters).unwrap_or_default()
}

#[test]
fn no_warning_that_should_not_be_there() {
    let Some(samples) = samples() else { return };
    let mut read_files = 0;
    for path in files(&samples) {
        let bytes = fs::read(&path).expect("a sample");
        let Ok(input) = read(&path.to_string_lossy(), &bytes, None) else { continue };
        read_files += 1;
        let cut = path.to_string_lossy().contains("truncated");
        assert_eq!(!input.warnings.is_empty(), cut, "{}: {:?}", input.path, input.warnings);
        assert_eq!(input.dumps.iter().any(|dump| dump.truncated), cut, "{}", input.path);
    }
    assert!(read_files > 80, "{read_files} files were read");
}

#[test]
fn what_is_no_dump_is_an_error() {
    let Some(samples) = samples() else { return };
    let other = [
        "progress.jsonl",
        "truth.json",
        "class-histogram",
        "heap-info",
        "allocs",
        "/heap",
        "threadcreate",
        "mutex_debug1",
        "block_debug1",
    ];
    for path in files(&samples) {
        let name = path.to_string_lossy().into_owned();
        if other.iter().any(|other| name.contains(other)) {
            let bytes = fs::read(&path).expect("a sample");
            assert!(read(&name, &bytes, None).is_err(), "{name}");
        }
    }
}

#[test]
fn a_table_of_top_is_read_and_is_no_dump() {
    let Some(samples) = samples() else { return };
    for path in files(&samples) {
        let name = path.to_string_lossy().into_owned();
        if name.contains("top-H") {
            let bytes = fs::read(&path).expect("a sample");
            let input = read(&name, &bytes, None).expect("a table");
            assert!(input.dumps.is_empty() && !input.usages.is_empty(), "{name}");
        }
    }
}

#[test]
fn profiles_count_goroutines() {
    let Some(samples) = samples() else { return };
    let folder = samples.join("go/profiles_same_process_1.27.3");
    let truth = truth(&folder);
    let told = truth["goroutines"].as_u64();
    let leaked = truth["program_truth"][0]["leaked_chan_send"].as_u64();
    for file in ["goroutine.pb.gz", "goroutine_debug1.txt", "goroutine_debug2.txt"] {
        let dump = dump(&folder.join(file));
        let in_leaker = |thread: &&Thread| {
            dump.calls(thread).any(|(_, _, symbol)| symbol.function == "main.leaker.func1")
        };
        let leaking = dump.threads.iter().filter(in_leaker).count() as u64;
        assert_eq!((Some(dump.threads.len() as u64), Some(leaking)), (told, leaked), "{file}");
    }
    for file in ["mutex.pb.gz", "block.pb.gz"] {
        assert_eq!(input(&folder.join(file)).profiles.len(), 1, "{file}");
    }
}

#[test]
fn goroutines_and_their_states() {
    for (folder, truth) in told("go") {
        match (&truth["goroutines"], &truth["states"]) {
            (Value::Number(count), states) => one_file_shows(&folder, count.as_u64(), states),
            (Value::Object(_), Value::Object(states)) => {
                for (name, states) in states {
                    let file = [format!("{name}_debug2.txt"), format!("{name}.txt")]
                        .map(|file| folder.join(file));
                    let file = file.iter().find(|file| file.is_file()).expect("a file");
                    assert_eq!(self::states(&dump(file)), told_states(states), "{name}");
                }
            }
            (Value::Array(_), Value::Array(states)) => {
                let files = ["t0.txt", "t1.txt", "t2.txt", "sigquit.txt"];
                for (file, states) in files.iter().zip(states) {
                    assert_eq!(self::states(&dump(&folder.join(file))), told_states(states));
                }
            }
            _ => {}
        }
    }
}

/// The truth does not say which of the files it was counted in.
fn one_file_shows(folder: &Path, count: Option<u64>, states: &Value) {
    let text = files(folder).into_iter().filter(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".txt") && !name.contains("debug1")
    });
    let shows = |path: &PathBuf| {
        let dump = dump(path);
        Some(dump.threads.len() as u64) == count && self::states(&dump) == told_states(states)
    };
    assert!(text.into_iter().any(|path| shows(&path)), "{}", folder.display());
}

#[test]
fn goroutines_shown_by_thread_are_counted_once() {
    let Some(samples) = samples() else { return };
    let folder = samples.join("go/cgo_sigquit_1.27.3");
    let plain = states(&dump(&folder.join("sigquit.txt")));
    assert_eq!(states(&dump(&folder.join("sigquit_GOTRACEBACK=crash.txt"))), plain);
}

#[test]
fn logs_that_carry_goroutines() {
    let Some(samples) = samples() else { return };
    let go = samples.join("go");
    let convoy = facts(&dump(&go.join("mutex_convoy_1.27.3/debug2.txt")));
    let race = facts(&dump(&go.join("log_wrapped/maprace_tabs_to_spaces.txt")));
    for path in files(&go.join("log_wrapped")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = if name.starts_with("convoy_") { &convoy } else { &race };
        if name != "truth.json" {
            assert_eq!(&facts(&dump(&path)), source, "{name}");
        }
    }
    assert_eq!(race.1, ["Fatal concurrent map read and map write [0]"]);
}

#[test]
fn panics_say_what_their_programs_know() {
    let Some(samples) = samples() else { return };
    let folder = samples.join("go/panics_1.27.3");
    for expected in truth(&folder)["expect"].as_array().expect("a list") {
        let file = expected["file"].as_str().expect("a name");
        let dump = dump(&folder.join(file));
        let kind = dump.notices.first().map(|notice| notice.kind);
        let (wanted, culprit) = match expected["kind"].as_str() {
            Some("logged_stack_not_a_crash") => (None, None),
            Some("fatal" | "stack_overflow") => (Some(NoticeKind::Fatal), Some(0)),
            _ => (Some(NoticeKind::Panic), Some(0)),
        };
        assert_eq!(kind, wanted, "{file}");
        assert_eq!(
            dump.notices.first().and_then(|notice| notice.threads.first().copied()),
            culprit
        );
        if let Some(message) = expected["message"].as_str() {
            assert_eq!(dump.notices[0].message, message);
        }
        if let Some(frame) = expected["root_frame"].as_str() {
            let mut calls = dump.calls(&dump.threads[0]);
            assert!(calls.any(|(_, _, symbol)| symbol.function == frame), "{file}: {frame}");
        }
        if expected["elided"] == true || expected["frames_elided"] == true {
            let stack = dump.stack(&dump.threads[0]).expect("a stack");
            assert_eq!(stack.truncated, Some(Truncation::Elided), "{file}");
        }
    }
    let numbers = |file: &str| dump(&folder.join(file)).threads.len();
    assert_eq!((numbers("multiline.txt"), numbers("nilptr_GOTRACEBACK=all.txt")), (1, 2));
}

#[test]
fn go_locks_by_address_and_their_likely_owner() {
    for (folder, truth) in told("go") {
        for fact in truth["program_truth"].as_array().into_iter().flatten() {
            let (Some(lock), Some(role)) = (fact["lock"].as_str(), fact["role"].as_str()) else {
                continue;
            };
            let address = u64::from_str_radix(lock.trim_start_matches("0x"), 16).ok();
            for file in ["debug2.txt", "sigquit.txt"] {
                let dump = dump(&folder.join(file));
                let lock = dump.locks.iter().position(|lock| lock.address == address);
                let lock = lock.expect("the lock");
                let goid = fact["goid"].as_u64();
                if role == "holder" {
                    let owners = &dump.locks[lock].owners;
                    let owners =
                        owners.iter().map(|owner| dump.threads[owner.thread as usize].number);
                    assert_eq!(owners.collect::<Vec<_>>(), [goid]);
                    assert_eq!(crowd(&dump, lock, WaitFor::Exclusive).0, 300);
                } else {
                    assert_eq!(crowd(&dump, lock, WaitFor::Shared).0, 40);
                    assert_eq!(crowd(&dump, lock, WaitFor::Exclusive).0, 7 + 1);
                    let upgrader = dump.threads.iter().find(|thread| thread.number == goid);
                    assert_eq!(upgrader.map(|thread| thread.state), Some(ThreadState::Blocked));
                }
            }
        }
    }
}

#[test]
fn a_race_detectors_report() {
    let Some(samples) = samples() else { return };
    let folder = samples.join("go/race_report_1.27.3");
    let dump = dump(&folder.join("report.txt"));
    let reports = dump.notices.iter().filter(|notice| notice.kind == NoticeKind::DataRace);
    assert_eq!(Some(reports.count() as u64), truth(&folder)["reports"].as_u64());
    assert!(dump.notices.iter().all(|notice| notice.stacks.len() == 2));
}

#[test]
fn deadlocks_that_the_jvm_found() {
    for (folder, truth) in told("jvm") {
        let Some(cycle) = truth["app_ground_truth"]["cycle"].as_array() else { continue };
        let mut cycle: Vec<&str> = cycle.iter().filter_map(Value::as_str).collect();
        cycle.sort();
        for path in files(&folder).iter().filter(|path| path.to_string_lossy().contains("dump-")) {
            let dump = dump(path);
            let notice = dump.notices.first().expect("a deadlock");
            assert_eq!(notice.kind, NoticeKind::Deadlock);
            for (place, &waiter) in notice.threads.iter().enumerate() {
                let next = notice.threads[(place + 1) % notice.threads.len()];
                let wait = dump.threads[waiter as usize].wait.as_ref().expect("a wait");
                assert!(dump.lock(wait.lock).owners.iter().any(|owner| owner.thread == next));
            }
            let mut found = names(&dump, &notice.threads);
            found.sort();
            assert_eq!(found, cycle);
        }
    }
}

#[test]
fn convoys_of_the_jvm() {
    for (folder, truth) in told("jvm") {
        let told = &truth["app_ground_truth"];
        let waiters = told["expected_waiters"].as_u64().or(told["waiters"].as_u64());
        let Some(waiters) = waiters else { continue };
        for path in files(&folder) {
            let bytes = fs::read(&path).expect("a sample");
            let Ok(input) = read(&path.to_string_lossy(), &bytes, None) else { continue };
            // The native stacks of `--mixed` have no locks; a safepoint may fall between two
            // owners, and then one more waits.
            for dump in input.dumps.iter().filter(|_| !input.path.contains("mixed")) {
                let (waiting, owners) = most_wanted(dump);
                let free = owners.is_empty() && waiting as u64 == waiters + 1;
                let held = owners.len() == 1 && waiting as u64 == waiters;
                assert!(free || held, "{}: {waiting} wait for {owners:?}", input.path);
            }
        }
    }
}

#[test]
fn annotations_that_are_no_ownership() {
    for (folder, truth) in told("jvm") {
        let told = &truth["app_ground_truth"];
        let Some(relock) = told["relock_threads"].as_u64() else { continue };
        let dump = dump(&folder.join("dump-1.txt"));
        let crowds = (0..dump.locks.len()).map(|lock| crowd(&dump, lock, WaitFor::Reacquire));
        let (waiting, owners) = crowds.max_by_key(|(waiting, _)| *waiting).expect("a lock");
        assert_eq!((waiting as u64, owners), (relock, vec!["main".to_owned()]));
        assert!(dump.locks.iter().all(|lock| lock.owners.len() <= 1));
        odd_names(&dump, told);
        let deep = dump.stack(thread(&dump, "deep-3000")).expect("a stack");
        assert_eq!((deep.frames.len(), deep.truncated), (1024, Some(Truncation::PrintLimit)));
        assert_eq!(thread(&dump, "nested-owner").holds.len(), 3);
    }
}

/// The tool itself replaces what is outside the basic plane.
fn odd_names(dump: &Dump, told: &Value) {
    let odd = told["odd_names"].as_array().expect("names").iter().filter_map(Value::as_str);
    for name in odd.filter(|name| name.chars().all(|char| u32::from(char) <= 0xFFFF)) {
        assert!(!thread(dump, name).runtime_helper);
    }
    let longest = dump.threads.iter().map(|thread| thread.name.len() as u64).max();
    assert_eq!(longest, told["long_name_len"].as_u64());
}

#[test]
fn threads_that_their_programs_name() {
    for (folder, truth) in told("jvm") {
        let told = &truth["app_ground_truth"];
        let stuck = told["stuck_top_frame"].as_object().into_iter().flatten();
        for (name, top) in stuck {
            let (function, _) = top.as_str().and_then(|top| top.rsplit_once(':')).expect("a frame");
            for path in
                files(&folder).iter().filter(|path| path.to_string_lossy().contains("dump-"))
            {
                let dump = dump(path);
                let mut calls = dump.calls(thread(&dump, name));
                let leaf = calls.next().map(|(_, _, symbol)| symbol.function.clone());
                let class =
                    |function: &str| function.rsplit_once('.').map(|(class, _)| class.to_owned());
                assert_eq!(leaf.as_deref().and_then(class), class(function), "{name}");
            }
        }
    }
}

#[test]
fn dumps_of_a_running_log() {
    let Some(samples) = samples() else { return };
    let input = input(&samples.join("jvm/sigquit-interleaved-jdk8/app.log"));
    let counts: Vec<usize> = input.dumps.iter().map(|dump| dump.threads.len()).collect();
    assert_eq!(counts, [21, 21, 21]);
    let times: Vec<_> = input.dumps.iter().map(|dump| dump.time).collect();
    assert!(times.is_sorted() && times.iter().all(Option::is_some));
}

#[test]
fn logs_that_carry_threads() {
    let Some(samples) = samples() else { return };
    let jvm = samples.join("jvm");
    let source =
        |number: u32| dump(&jvm.join(format!("convoy-monitor-200-jdk17/dump-{number}.txt")));
    assert_eq!(facts(&dump(&jvm.join("derived-crlf/dump.txt"))), facts(&source(1)));
    let three = input(&jvm.join("derived-three-dumps-one-file/all.txt")).dumps;
    assert_eq!(three.len(), 3);
    for (number, dump) in (1..).zip(&three) {
        assert_eq!(facts(dump), facts(&source(number)));
    }
    let docker = dump(&jvm.join("derived-docker-json/container-json.log"));
    assert_eq!(most_wanted(&docker), (5, vec!["bus-client-0".to_owned()]));

    let cut = dump(&jvm.join("derived-truncated-tail/dump.txt"));
    let before_cut = cut.threads.len() - 1;
    assert_eq!(facts(&cut).0[..before_cut], facts(&source(1)).0[..before_cut]);
}

#[test]
fn virtual_threads_and_their_carriers() {
    let Some(samples) = samples() else { return };
    for file in ["jstack-l.txt", "jcmd-print-e.txt"] {
        let dump = dump(&samples.join("jvm/vthreads-jdk25").join(file));
        let carrier =
            dump.threads.iter().find(|thread| thread.carries.is_some()).expect("a carrier");
        let mounted = dump.threads.iter().find(|thread| thread.kind == Kind::VirtualThread);
        let mounted = mounted.expect("a virtual thread");
        assert_eq!((carrier.carries, carrier.os_id), (mounted.number, Some(15494)));
        let leaf = dump.calls(mounted).next().map(|(_, _, symbol)| symbol.function.clone());
        assert_eq!(leaf.as_deref(), Some("vt.curlew.FanoutService.spin"));
    }
}

#[test]
fn all_tools_show_the_same_threads() {
    let Some(samples) = samples() else { return };
    for folder in ["formats-all-jdk17", "formats-all-jdk25", "formats-all-jdk8"] {
        for path in files(&samples.join("jvm").join(folder)) {
            let bytes = fs::read(&path).expect("a sample");
            let Ok(input) = read(&path.to_string_lossy(), &bytes, None) else { continue };
            for dump in &input.dumps {
                let clients =
                    dump.threads.iter().filter(|thread| thread.name.starts_with("bus-client-"));
                assert_eq!(clients.count(), 6, "{}", input.path);
                let own = |name| thread(dump, name).runtime_helper;
                assert!(own("Finalizer") && !own("main") && !own("tick-0"), "{}", input.path);
            }
        }
    }
}

#[test]
fn a_tool_that_could_not_attach() {
    let Some(samples) = samples() else { return };
    let dump = dump(&samples.join("jvm/jstack-failed-attach/jstack-stderr.txt"));
    assert_eq!((dump.threads.len(), dump.process.pid), (0, Some(17327)));
    assert_eq!(dump.notices[0].kind, NoticeKind::Failure);
    assert!(dump.notices[0].message.contains("kill -3"));
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[test]
fn damaged_dumps_do_no_harm() {
    const LARGEST: usize = 20_000;
    let Some(samples) = samples() else { return };
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for path in files(&samples) {
        let bytes = fs::read(&path).expect("a sample");
        let bytes = &bytes[..bytes.len().min(LARGEST)];
        for _ in 0..6 {
            harmless(&bytes[..dice.below(bytes.len())]);
            harmless(&bytes[dice.below(bytes.len())..]);
        }
        for _ in 0..3 {
            let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
            for place in (1..lines.len()).rev() {
                lines.swap(place, dice.below(place + 1));
            }
            harmless(&lines.concat());
        }
        let mut damaged = bytes.to_vec();
        for _ in 0..damaged.len() / 50 {
            let place = dice.below(damaged.len());
            damaged[place] = dice.below(256) as u8;
        }
        harmless(&damaged);
    }
}

/// Reads, by every format: no panic, and every reference leads somewhere.
fn harmless(bytes: &[u8]) {
    for format in [None, Some("hotspot"), Some("go"), Some("sigquit")] {
        let Ok(input) = read("damaged", bytes, format) else { continue };
        for dump in &input.dumps {
            facts(dump);
            for notice in &dump.notices {
                names(dump, &notice.threads);
            }
            for lock in &dump.locks {
                names(dump, &lock.owners.iter().map(|owner| owner.thread).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_threads() {
    const THREADS: u64 = 100_000;
    let jvm: String = (0..THREADS)
        .map(|number| {
            format!(
                "\"worker-{number}\" #{number} prio=5 os_prio=0 tid=0x{number:x} nid=0x{number:x} \
                 waiting for monitor entry [0x1]\n   java.lang.Thread.State: BLOCKED (on object \
                 monitor)\n\tat a.B.c(B.java:1)\n\t- waiting to lock <0x{number:x}> (a C)\n\n"
            )
        })
        .collect();
    let title = "Full thread dump OpenJDK 64-Bit Server VM (17 mixed mode):\n\n";
    let go: String = (1..=THREADS)
        .map(|number| {
            format!(
                "goroutine {number} [sync.Mutex.Lock]:\nsync.(*Mutex).lockSlow(0x{number:x})\n\
                 \t/go/mutex.go:1 +0x1\nmain.f(0x{number:x})\n\t/srv/main.go:{number} +0x1\n\n"
            )
        })
        .collect();
    for text in [format!("{title}{jvm}JNI global refs: 1, weak refs: 0\n"), go] {
        let input = read("many", text.as_bytes(), None).expect("a dump");
        let (threads, locks) = (&input.dumps[0].threads, &input.dumps[0].locks);
        assert_eq!((threads.len() as u64, locks.len() as u64), (THREADS, THREADS));
        assert_eq!((input.dumps.len(), input.warnings.len()), (1, 0));
    }
}
