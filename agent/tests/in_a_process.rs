//! The agent in processes of its own: it can be installed only once in each.
//!
//! A program is an ignored test; a test runs it as a process, in a folder of its own, and looks
//! at what it left there and what it said.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use sigquit::OnPanic;
use sigquit::dump::{Dump, LockKind, NoticeKind, Profile, Thread, Trigger, Truncation};

const FOLDER: &str = "FOLDER_OF_THE_TEST";

fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env("SIGQUIT_DIR", folder.join("dumps"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a program left and said.
struct Outcome {
    dumps: Vec<Dump>,
    stdout: String,
    stderr: String,
}

fn outcome(mut command: Command, folder: &Path) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    Outcome { dumps: dumps_below(folder), stdout, stderr }
}

fn run(name: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    outcome(program(name, folder.path()), folder.path())
}

/// All dumps of all incidents, in the order of time, each read without a warning.
fn dumps_below(folder: &Path) -> Vec<Dump> {
    let below = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let files = below(&folder.join("dumps")).into_iter().flat_map(|incident| below(&incident));
    let is_dump = |file: &PathBuf| file.to_string_lossy().contains("/dump-");
    let mut dumps: Vec<Dump> = files
        .filter(is_dump)
        .flat_map(|file| {
            let (dumps, warnings) = sigquit::dump::read(&fs::read(&file).unwrap()).unwrap();
            assert_eq!(warnings, [], "{}", file.display());
            dumps
        })
        .collect();
    dumps.sort_by_key(|dump| dump.monotonic);
    dumps
}

fn thread<'a>(dump: &'a Dump, name: &str) -> &'a Thread {
    let names: Vec<&str> = dump.threads.iter().map(|thread| &*thread.name).collect();
    dump.threads.iter().find(|thread| thread.name == name).unwrap_or_else(|| panic!("{names:?}"))
}

fn calls(dump: &Dump, thread: &Thread, function: &str) -> bool {
    dump.calls(thread).any(|(_, _, symbol)| symbol.function.ends_with(function))
}

/// A number that the program said: `name=0x1234`.
fn said(outcome: &Outcome, name: &str) -> u64 {
    let line = outcome.stdout.lines().find_map(|line| line.split_once(&format!("{name}=0x")));
    u64::from_str_radix(line.expect(name).1, 16).unwrap()
}

// A dump on call, of threads that wait for one another.

#[test]
#[ignore = "a program for the test below"]
fn asks_for_a_dump() {
    sigquit::builder().arguments(true).install().unwrap();
    let lock: &Mutex<u32> = Box::leak(Box::new(Mutex::new(0)));
    println!("\nlock=0x{:x}", &raw const *lock as u64);
    let guard = lock.lock().unwrap();
    for name in ["waiter-1", "waiter-2"] {
        let waits = move || drop(waits_for(lock));
        thread::Builder::new().name(name.into()).spawn(waits).unwrap();
    }
    while asleep() < 2 {
        thread::yield_now();
    }
    println!("\nfile={}", holds_and_asks().display());
    drop(guard);
}

#[inline(never)]
fn waits_for(lock: &Mutex<u32>) -> std::sync::MutexGuard<'_, u32> {
    std::hint::black_box(lock).lock().unwrap()
}

#[inline(never)]
fn holds_and_asks() -> PathBuf {
    std::hint::black_box(sigquit::dump_now().unwrap())
}

/// How many of the process's threads called `waiter-...` sleep on a futex.
fn asleep() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let waits = |task: &PathBuf| {
        read(task.join("comm")).starts_with("waiter-")
            && read(task.join("syscall")).starts_with("202 ")
    };
    tasks.filter(waits).count()
}

#[test]
fn a_dump_on_call_shows_who_waits_where_and_for_what() {
    let outcome = run("asks_for_a_dump");
    let [dump] = &*outcome.dumps else { panic!("{} dumps", outcome.dumps.len()) };
    let series = dump.series.as_ref().unwrap();
    assert_eq!((series.trigger, series.index, series.of), (Trigger::Call, 1, 1));
    assert!(outcome.stdout.contains(&series.incident));

    let asker = thread(dump, "asks_for_a_dump");
    assert!(calls(dump, asker, "::holds_and_asks") && calls(dump, asker, "::dump_now"));
    let waiters = ["waiter-1", "waiter-2"].map(|name| thread(dump, name));
    for waiter in waiters {
        assert!(calls(dump, waiter, "::waits_for"));
        let lock = dump.lock(waiter.wait.as_ref().unwrap().lock);
        assert_eq!(lock.address, Some(said(&outcome, "lock")));
        assert_eq!(lock.kind, LockKind::Futex);
        assert_eq!(lock.words.unwrap()[0], 2, "std's word for: locked, and somebody waits");
        assert!(waiter.cpu.is_some() && waiter.syscall.is_some());
    }
    assert_eq!(waiters[0].wait, waiters[1].wait);
    assert_eq!(waiters[0].stack, waiters[1].stack, "equal stacks are written once");

    let agent = thread(dump, "sigquit-agent");
    assert!(agent.runtime_helper && agent.stack.is_none());
    let capture = dump.capture.as_ref().unwrap();
    assert_eq!(capture.answered as usize, dump.threads.len() - 1);
    let process = &dump.process;
    assert!(process.executable.is_some() && process.memory.is_some());
    assert!(process.arguments.as_ref().unwrap().contains(&"asks_for_a_dump".to_owned()));
}

#[test]
fn the_operator_can_have_it_as_text_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("asks_for_a_dump", folder.path());
    command.env("SIGQUIT_STDERR", "1");
    let outcome = outcome(command, folder.path());
    assert_eq!(outcome.dumps.len(), 1);
    let text = outcome.stderr;
    let heading = |name: &str| text.lines().position(|line| line.starts_with(name)).expect(name);
    assert_eq!(heading("\"waiter-1\"").abs_diff(heading("\"waiter-2\"")), 1, "{text}");
    assert!(text.contains("    at in_a_process::waits_for ("), "{text}");
}

// Installing.

#[test]
#[ignore = "a program for the test below"]
fn installs_badly_and_well() {
    assert!(sigquit::dump_now().unwrap_err().to_string().contains("not installed"));
    for bad in [libc::SIGKILL, libc::SIGSEGV, 0, -1, 4711] {
        let error = sigquit::builder().signal(bad).install().unwrap_err();
        assert!(error.to_string().contains(&bad.to_string()), "{error}");
    }
    assert!(sigquit::builder().dumps(0).install().is_err());
    assert_eq!(fs::read_dir("/proc/self/task").unwrap().count(), 2, "the test and its thread");
    sigquit::install().unwrap();
    let error = sigquit::install().unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
    assert_eq!(fs::read_dir("/proc/self/task").unwrap().count(), 3);
}

#[test]
fn a_second_install_is_refused_and_a_failed_one_leaves_nothing() {
    let outcome = run("installs_badly_and_well");
    assert!(outcome.dumps.is_empty() && outcome.stderr.is_empty(), "{}", outcome.stderr);
}

#[test]
#[ignore = "a program for the test below"]
fn installs_what_is_off() {
    sigquit::install().unwrap();
    assert!(sigquit::dump_now().is_err());
    assert_eq!(fs::read_dir("/proc/self/task").unwrap().count(), 2);
}

#[test]
fn the_operator_can_switch_it_off_and_hears_of_bad_values() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("installs_what_is_off", folder.path());
    command.env("SIGQUIT_OFF", "1").env("SIGQUIT_DUMPS", "many");
    let outcome = outcome(command, folder.path());
    assert!(outcome.stderr.contains("SIGQUIT_DUMPS=many"), "{}", outcome.stderr);
}

// Series.

#[test]
#[ignore = "a program for the test below"]
fn lives_until_its_input_ends() {
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(libc::SIGQUIT, Arc::clone(&seen)).unwrap();
    sigquit::builder().dumps(3).interval(Duration::from_millis(100)).install().unwrap();
    println!("\nready");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
    println!("\nother handler={}", seen.load(SeqCst));
}

/// A program that is running, with its standard error line by line.
struct Running {
    child: Child,
    stderr: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line != "ready\n" {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the program has ended");
        }
        child.stdout = Some(stdout.into_inner());
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, stderr }
    }

    fn quit(&self) {
        // SAFETY: the child has not been waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGQUIT) }, 0);
    }

    /// Waits for a line on standard error, and gives it.
    fn await_line(&mut self, part: &str) -> String {
        let found = self.stderr.by_ref().map(Result::unwrap).find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("it ended without {part:?}"))
    }

    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn a_signal_brings_a_series_and_another_one_meanwhile_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(program("lives_until_its_input_ends", folder.path()));
    running.quit();
    running.await_line("dump 1 of 3");
    running.quit();
    running.await_line("complete");
    assert!(running.end().contains("other handler=true"));

    let dumps = dumps_below(folder.path());
    let series: Vec<_> = dumps.iter().map(|dump| dump.series.as_ref().unwrap()).collect();
    assert_eq!(series.iter().map(|series| series.index).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(series.iter().all(|one| one.incident == series[0].incident && one.of == 3));
    assert_eq!(series.iter().map(|one| one.requests_during).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn a_signal_after_the_series_brings_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("lives_until_its_input_ends", folder.path());
    command.env("SIGQUIT_DUMPS", "1");
    let mut running = Running::start(command);
    for _ in 0..2 {
        running.quit();
        running.await_line("complete");
    }
    running.end();
    let dumps = dumps_below(folder.path());
    let incidents = dumps.iter().map(|dump| &dump.series.as_ref().unwrap().incident);
    let mut incidents: Vec<_> = incidents.collect();
    incidents.dedup();
    assert_eq!((dumps.len(), incidents.len()), (2, 2));
}

#[test]
fn what_cannot_be_written_goes_to_standard_error_and_the_program_lives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mut command = program("lives_until_its_input_ends", folder.path());
    command.env("SIGQUIT_DIR", file.join("below")).env("SIGQUIT_DUMPS", "1");
    let mut running = Running::start(command);
    running.quit();
    running.await_line("no folder for the dumps can be made");
    running.await_line("\"lives_until_its");
    running.await_line("at in_a_process::lives_until_its_input_ends");
    running.end();
}

#[test]
#[ignore = "a program for the test below"]
fn spins_in_a_series() {
    sigquit::builder().dumps(2).interval(Duration::from_millis(400)).install().unwrap();
    let started = Arc::new(Barrier::new(2));
    let here = Arc::clone(&started);
    let spin = move || {
        started.wait();
        loop {
            std::hint::spin_loop();
        }
    };
    thread::Builder::new().name("spinner".into()).spawn(spin).unwrap();
    here.wait();
    println!("\nready");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn registers_of_a_busy_thread_are_looked_at_between_two_dumps() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(program("spins_in_a_series", folder.path()));
    running.quit();
    running.await_line("complete");
    running.end();
    let dumps = dumps_below(folder.path());
    assert_eq!(thread(&dumps[0], "spinner").registers, None);
    let samples = thread(&dumps[1], "spinner").registers.as_ref().unwrap();
    assert!(samples.samples > 0 && samples.distinct_states <= samples.samples);
    assert!(dumps[1].threads.iter().filter(|thread| thread.registers.is_some()).count() == 1);
}

#[test]
fn a_series_is_accompanied_by_a_profile_of_the_same_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(program("spins_in_a_series", folder.path()));
    running.quit();
    let path = running.await_line("profile: ");
    running.await_line("complete");
    running.end();
    let path = path.split_once("profile: ").unwrap().1.trim();
    let (profiles, warnings) = sigquit::dump::read_profiles(&fs::read(path).unwrap()).unwrap();
    let (profile, weights) = (&profiles[0], profiles[0].weights());
    assert_eq!(warnings, []);
    let dumps = dumps_below(folder.path());
    assert_eq!(profile.incident, Some(dumps[0].series.as_ref().unwrap().incident.clone()));
    let unanswered = |dump: &Dump| dump.threads.iter().any(|thread| thread.unanswered.is_some());
    assert!(!dumps.iter().any(unanswered), "the sampler is not asked");
    let spinner = profile.threads.iter().position(|thread| thread.name == "spinner").unwrap();
    assert!(weights[spinner] * 2 > weights.iter().sum(), "{}", profile.summary());
    assert!(profile.folded().iter().any(|line| line.contains("in_a_process::spins_in_a_series")));
}

#[test]
#[ignore = "a program for the test below"]
fn does_something_else_when_it_is_asked() {
    sigquit::builder()
        .dumps(2)
        .interval(Duration::from_millis(400))
        .flight_recorder()
        .install()
        .unwrap();
    let (changed, change) = std::sync::mpsc::channel();
    let work = move || {
        works_before();
        changed.send(()).unwrap();
        loop {
            works_during();
        }
    };
    thread::Builder::new().name("worker".into()).spawn(work).unwrap();
    change.recv().unwrap();
    println!("\nready");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
}

/// Works until its thread has used a second.
#[inline(never)]
fn works_before() {
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    while used.tv_sec < 1 {
        std::hint::black_box((0..100_000_u64).fold(1, |sum: u64, n| sum.wrapping_mul(31) ^ n));
        // SAFETY: writes one timespec, which is ours.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut used) };
    }
}

#[inline(never)]
fn works_during() {
    std::hint::black_box((0..100_000_u64).fold(7, |sum: u64, n| sum.wrapping_mul(37) ^ n));
}

#[test]
fn the_flight_recorder_shows_what_was_before_the_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut running =
        Running::start(program("does_something_else_when_it_is_asked", folder.path()));
    running.quit();
    let before = running.await_line("the minute before: ");
    let during = running.await_line("profile: ");
    let said = running.await_line("complete");
    running.end();
    let read = |said: &str| {
        let path = said.split_once(": /").map(|(_, path)| format!("/{}", path.trim())).unwrap();
        let (mut profiles, warnings) =
            sigquit::dump::read_profiles(&fs::read(path).unwrap()).unwrap();
        assert_eq!(warnings, []);
        profiles.remove(0)
    };
    let (before, during) = (read(&before), read(&during));
    assert!(before.before && !during.before && before.incident == during.incident, "{said}");
    let weight = |profile: &Profile, function: &str| -> u64 {
        let folded = profile.folded();
        let of = folded.iter().filter(|line| line.contains(function));
        of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    };
    let all: u64 = before.weights().iter().sum();
    assert!(weight(&before, "::works_before") * 4 > all * 3, "{:#?}", before.folded());
    assert!(before.delivery.share().unwrap() > 0.5, "{}", before.summary());
    assert_eq!(weight(&during, "::works_before"), 0, "{:#?}", during.folded());
    assert!(weight(&during, "::works_during") > 0, "{}", during.summary());
    let dumps = dumps_below(folder.path());
    let unanswered = |dump: &Dump| dump.threads.iter().any(|thread| thread.unanswered.is_some());
    assert!(!dumps.iter().any(unanswered), "the recorder is not asked");
}

#[test]
fn an_operator_who_wants_no_profile_gets_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("spins_in_a_series", folder.path());
    command.env("SIGQUIT_PROFILE", "0");
    let mut running = Running::start(command);
    running.quit();
    let said = running.await_line("complete");
    let incident = Path::new(said.split_once("complete: ").unwrap().1.trim());
    assert!(!incident.join("profile.sigquit").exists());
    running.end();
}

// Limits.

#[test]
#[ignore = "a program for the test below"]
fn asks_when_files_must_be_short() {
    let short = libc::rlimit { rlim_cur: 1000, rlim_max: 1000 };
    // SAFETY: the record is whole, and the kernel only reads it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &short) }, 0);
    sigquit::install().unwrap();
    let error = sigquit::dump_now().unwrap_err();
    println!("\n{error}");
}

#[test]
fn a_file_that_cannot_be_whole_is_not_there_and_its_text_is_on_standard_error() {
    let outcome = run("asks_when_files_must_be_short");
    assert!(outcome.dumps.is_empty());
    assert!(outcome.stdout.contains("could not be written"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("a dump cannot be written"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("::dump_now"), "{}", outcome.stderr);
}

#[test]
#[ignore = "a program for the test below"]
fn asks_often() {
    sigquit::builder().prefix("often").retention(2).install().unwrap();
    (0..4).for_each(|_| drop(sigquit::dump_now().unwrap()));
}

#[test]
fn old_incidents_make_room() {
    let outcome = run("asks_often");
    assert_eq!(outcome.dumps.len(), 2);
    let incidents = outcome.dumps.iter().map(|dump| &dump.series.as_ref().unwrap().incident);
    assert!(incidents.clone().all(|incident| incident.starts_with("often-")));
}

#[test]
#[ignore = "a program for the test below"]
fn asks_in_the_usual_place() {
    sigquit::install().unwrap();
    println!("\nfile={}", sigquit::dump_now().unwrap().display());
}

#[test]
fn without_a_folder_it_is_one_of_the_program_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("asks_in_the_usual_place", folder.path());
    command.env_remove("SIGQUIT_DIR").env("TMPDIR", folder.path());
    let outcome = outcome(command, folder.path());
    let own = folder.path().join(std::env::current_exe().unwrap().file_name().unwrap());
    assert!(outcome.stdout.contains(&format!("file={}/", own.display())), "{}", outcome.stdout);
}

#[test]
#[ignore = "a program for the test below"]
fn sleeps() {
    let before = anonymous_memory();
    sigquit::install().unwrap();
    println!("\nidle=0x{:x}", anonymous_memory() - before);
    for _ in 0..2 {
        sigquit::dump_now().unwrap();
    }
    println!("\nlater=0x{:x}", anonymous_memory() - before);
}

/// Resident memory of the process that no file backs, in KiB.
fn anonymous_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn it_costs_little_when_it_sleeps_before_a_dump_and_after() {
    let outcome = run("sleeps");
    let (idle, later) = (said(&outcome, "idle"), said(&outcome, "later"));
    println!("{idle} KiB when installed, {later} KiB after two dumps");
    assert!(idle < 2048 && later < 2048, "{idle} KiB, {later} KiB");
}

#[test]
#[ignore = "a program for the test below"]
fn forks() {
    sigquit::builder().on_panic(OnPanic::Dump).install().unwrap();
    // SAFETY: the child only calls what it is to test, and ends without running anything else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = sigquit::dump_now().is_err();
        let contained = std::panic::catch_unwind(|| unlucky(0)).is_err();
        // SAFETY: ends the process.
        unsafe { libc::_exit(if refused && contained { 7 } else { 8 }) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the kernel writes to a place of ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 7);
    sigquit::dump_now().unwrap();
}

#[test]
fn a_child_that_was_forked_off_has_no_agent_and_does_not_wait_for_it() {
    let outcome = run("forks");
    let [dump] = &*outcome.dumps else { panic!("{} dumps", outcome.dumps.len()) };
    assert!(dump.notices.is_empty(), "the child's panic is not the parent's");
}

// Who holds the lock of standard error must not stop the agent.

#[test]
#[ignore = "a program for the test below"]
fn asks_while_standard_error_is_locked() {
    sigquit::install().unwrap();
    let _locked = std::io::stderr().lock();
    let ask = || sigquit::dump_now().unwrap();
    println!("\nfile={}", thread::spawn(ask).join().unwrap().display());
}

#[test]
fn a_locked_standard_error_stops_nothing() {
    assert_eq!(run("asks_while_standard_error_is_locked").dumps.len(), 1);
}

// Panics.

static HOOKS: AtomicU32 = AtomicU32::new(0);

/// Panics in a thread called `unlucky`, and says whether the program's own hook was called.
fn panic_in_a_thread(times: u32) {
    let panic = |number| drop(std::panic::catch_unwind(|| unlucky(number)));
    let body = move || (0..times).for_each(panic);
    thread::Builder::new().name("unlucky".into()).spawn(body).unwrap().join().unwrap();
    assert_eq!(HOOKS.load(SeqCst), times, "the program's hook is called each time");
}

#[inline(never)]
fn unlucky(number: u32) {
    panic!("unlucky number {number}");
}

fn install_with_hook(on_panic: OnPanic) {
    std::panic::set_hook(Box::new(|_| {
        HOOKS.fetch_add(1, SeqCst);
    }));
    sigquit::builder().on_panic(on_panic).install().unwrap();
}

#[test]
#[ignore = "a program for the test below"]
fn notes_panics() {
    install_with_hook(OnPanic::Note);
    panic_in_a_thread(3);
    sigquit::dump_now().unwrap();
}

#[test]
fn a_noted_panic_stands_in_later_dumps() {
    let outcome = run("notes_panics");
    let [dump] = &*outcome.dumps else { panic!("{} dumps", outcome.dumps.len()) };
    let [notice] = &*dump.notices else { panic!("{:?}", dump.notices) };
    assert_eq!(notice.kind, NoticeKind::Panic);
    assert_eq!(notice.message, "unlucky number 0 (3 panics at this place)");
    assert!(notice.location.as_ref().unwrap().file.ends_with("in_a_process.rs"));
    assert_eq!(notice.threads, [0; 0], "its thread has ended");
    let ghost = Thread { stack: Some(notice.stacks[0]), ..Thread::default() };
    assert!(calls(dump, &ghost, "::unlucky"));
}

#[test]
#[ignore = "a program for the test below"]
fn dumps_panics() {
    install_with_hook(OnPanic::Dump);
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let bystands = || {
            barrier.wait();
            barrier.wait();
        };
        let bystander = thread::Builder::new().name("bystander".into());
        bystander.spawn_scoped(scope, bystands).unwrap();
        barrier.wait();
        panic_in_a_thread(50);
        barrier.wait();
    });
}

#[test]
fn a_storm_of_panics_brings_one_dump_of_all_threads() {
    let outcome = run("dumps_panics");
    let [dump] = &*outcome.dumps else { panic!("{} dumps", outcome.dumps.len()) };
    assert_eq!(dump.series.as_ref().unwrap().trigger, Trigger::Panic);
    let [notice] = &*dump.notices else { panic!("{:?}", dump.notices) };
    assert_eq!(notice.message, "unlucky number 0");
    let [index] = *notice.threads else { panic!("{:?}", notice.threads) };
    let unlucky = &dump.threads[index as usize];
    assert_eq!(unlucky.name, "unlucky");
    assert!(calls(dump, unlucky, "::unlucky"));
    assert!(thread(dump, "bystander").stack.is_some());
}

#[test]
#[ignore = "a program for the test below"]
fn aborts_on_panic() {
    std::panic::set_hook(Box::new(|_| std::process::exit(0)));
    sigquit::builder().on_panic(OnPanic::Dump).install().unwrap();
    unlucky(13);
}

#[test]
fn a_process_that_ends_with_the_panic_leaves_its_dump() {
    let outcome = run("aborts_on_panic");
    let [dump] = &*outcome.dumps else { panic!("{} dumps", outcome.dumps.len()) };
    let index = dump.notices[0].threads[0];
    assert!(calls(dump, &dump.threads[index as usize], "::unlucky"));
    assert!(dump.stacks.iter().all(|stack| stack.truncated != Some(Truncation::UnknownModule)));
}
