//! `sigquit tui`: what keys make of a report, and how it looks; once through a real terminal.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sigquit_analyzer::explain::{Detail, Report};
use sigquit_analyzer::model::Rules;
use sigquit_analyzer::render::{Tui, message, view};
use sigquit_analyzer::{analyze, analyze_with, read};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn report(name: &str) -> Report {
    let (inputs, errors) = read::read_paths(&[fixture(name)], None);
    analyze_with(inputs, &errors, Vec::new(), &Rules::default(), Detail::Pictures)
}

fn press(tui: &mut Tui, key: KeyCode) {
    let key = KeyEvent::new(key, KeyModifiers::NONE);
    message(key, tui.is_typing()).into_iter().for_each(|message| tui.update(message));
}

fn write(tui: &mut Tui, text: &str) {
    text.chars().for_each(|letter| press(tui, KeyCode::Char(letter)));
}

/// The screen as lines.
fn screen(tui: &mut Tui, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| view(tui, frame)).expect("memory");
    terminal.backend().to_string()
}

#[track_caller]
fn shows(tui: &mut Tui, words: &[&str]) {
    for width in [80, 100, 140] {
        let screen = screen(tui, width, 30);
        for words in words {
            assert!(screen.contains(words), "{words}\n{screen}");
        }
    }
}

#[test]
fn the_verdict_the_chain_and_the_keys_are_there_first() {
    let report = report("sigquit/order-service");
    let mut tui = Tui::new(&report, true);
    shows(&mut tui, &["INCIDENT  11 threads spin", "f1 map-corruption critical", "-> f2 "]);
    shows(&mut tui, &["q quit", "1-4 view", "/ search", "Esc everyone", "Enter its threads"]);
    press(&mut tui, KeyCode::Char('j'));
    shows(&mut tui, &["f2: 10 threads wait to borrow"]);
}

#[test]
fn a_finding_leads_to_its_threads_and_these_to_their_stacks() {
    let report = report("sigquit/order-service");
    let mut tui = Tui::new(&report, true);
    press(&mut tui, KeyCode::Enter);
    shows(&mut tui, &["11 of 37 in f1", "RRR warm-up-1", "in f1", "ChainedMap::insert", "R runs"]);
    press(&mut tui, KeyCode::Esc);
    shows(&mut tui, &["37 of 37"]);
}

#[test]
fn a_search_looks_into_names_and_stacks() {
    let report = report("sigquit/order-service");
    let mut tui = Tui::new(&report, false);
    write(&mut tui, "/REQUESTQUEUE::push");
    shows(&mut tui, &["search: REQUESTQUEUE::push_", "12 of 37 with"]);
    press(&mut tui, KeyCode::Enter);
    write(&mut tui, "/");
    (0..19).for_each(|_| press(&mut tui, KeyCode::Backspace));
    write(&mut tui, "warm-up-1");
    shows(&mut tui, &["2 of 37 with warm-up-1", "warm-up-10"]);
}

#[test]
fn dumps_are_walked_through_to_either_end() {
    let report = report("sigquit/order-service");
    let mut tui = Tui::new(&report, true);
    shows(&mut tui, &["dump p1.3 of 3"]);
    press(&mut tui, KeyCode::Right);
    shows(&mut tui, &["dump p1.3 of 3"]);
    press(&mut tui, KeyCode::Left);
    shows(&mut tui, &["dump p1.2 of 3"]);
    (0..3).for_each(|_| press(&mut tui, KeyCode::Left));
    write(&mut tui, "2");
    shows(&mut tui, &["dump p1.1 of 3", "dumps   8, 12, 12", "      8  victim::order_service"]);
}

#[test]
fn a_circle_of_waits_closes() {
    let report = report("sigquit/deadlock");
    let mut tui = Tui::new(&report, true);
    write(&mut tui, "4");
    shows(&mut tui, &["a circle closes here", "\u{2514}"]);
}

#[test]
fn scrolling_stops_at_the_last_line() {
    let report = report("sigquit/order-service");
    let mut tui = Tui::new(&report, true);
    let first = screen(&mut tui, 80, 30);
    (0..500).for_each(|_| press(&mut tui, KeyCode::Char('J')));
    assert!(screen(&mut tui, 80, 30).contains("0 of "));
    press(&mut tui, KeyCode::Char('K'));
    assert!(screen(&mut tui, 80, 30).contains("J K: 1 of "));
    (0..500).for_each(|_| press(&mut tui, KeyCode::Char('K')));
    assert_eq!(screen(&mut tui, 80, 30), first);
}

#[test]
fn colours_are_only_an_addition() {
    let report = report("sigquit/order-service");
    let (mut plain, mut colored) = (Tui::new(&report, false), Tui::new(&report, true));
    assert_eq!(screen(&mut plain, 80, 30), screen(&mut colored, 80, 30));
}

#[test]
fn escape_sequences_of_an_input_stay_text() {
    let dump = b"goroutine 1 [running]:\nmain.\x1b[31mevil()\n\t/srv/\x1b]0;x\x07.go:12 +0x1d\n";
    let input = read::read("dump.txt", dump, None).expect("a dump");
    let report = analyze_with(vec![input], &[], Vec::new(), &Rules::default(), Detail::Pictures);
    let mut tui = Tui::new(&report, true);
    write(&mut tui, "3");
    let screen = screen(&mut tui, 80, 30);
    assert!(screen.contains("u{1b}[31mevil"), "{screen}");
    assert!(!screen.contains('\x1b') && !screen.contains('\x07'));
}

#[test]
fn no_key_and_no_size_is_too_much() {
    let (inputs, _) = read::read_paths(&[fixture("sigquit/order-service")], None);
    let without_pictures = analyze(inputs);
    for report in [report("sigquit/healthy"), report("folded"), without_pictures] {
        let mut tui = Tui::new(&report, true);
        let keys = "1jkGg\n2jG\n3hhhllllJK4jkG3/x\n2Gpphl1p";
        for key in keys.chars() {
            press(&mut tui, if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
            for (width, height) in [(1, 1), (10, 3), (300, 80)] {
                screen(&mut tui, width, height);
            }
        }
        assert!(!tui.has_ended());
        press(&mut tui, KeyCode::Char('q'));
        assert!(tui.has_ended());
    }
}

/// A terminal of its own.
struct Tmux(String);

impl Tmux {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.0, "-f", "/dev/null"]).args(arguments).output().expect("tmux")
    }

    fn screen(&self) -> String {
        String::from_utf8(self.run(&["capture-pane", "-p"]).stdout).expect("UTF-8")
    }

    /// Waits until the screen shows words; long, for a machine that is busy.
    #[track_caller]
    fn wait_for(&self, words: &str) -> String {
        for _ in 0..600 {
            let screen = self.screen();
            if screen.contains(words) {
                return screen;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{words} never came:\n{}", self.screen());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// A terminal in which the command shows the order service, and afterwards the terminal's settings
/// and the command's status; nothing without tmux.
fn started(name: &str) -> Option<Tmux> {
    if Command::new("tmux").arg("-V").output().is_err() {
        println!("skipped: tmux is not installed (Debian: apt install tmux)");
        return None;
    }
    let tmux = Tmux(format!("sigquit-{name}-{}", std::process::id()));
    let program = env!("CARGO_BIN_EXE_sigquit");
    let input = fixture("sigquit/order-service");
    let script = format!(
        "echo before; '{program}' tui '{}'; \
         echo status $?; stty -a; exec cat",
        input.display()
    );
    tmux.run(&["new-session", "-d", "-x", "80", "-y", "30", &script]);
    tmux.wait_for("map-corruption");
    Some(tmux)
}

/// The terminal shows what was there before, and takes lines.
#[track_caller]
fn is_given_back(screen: &str) {
    assert!(screen.contains("before") && !screen.contains("p1.2"), "{screen}");
    for word in [" icanon", " echo ", " isig"] {
        assert!(screen.replace('\n', " ").contains(word), "{word}: {screen}");
    }
}

#[test]
fn a_real_terminal_is_given_back_as_it_was() {
    let Some(tmux) = started("keys") else { return };
    tmux.run(&["send-keys", "Enter"]);
    tmux.wait_for("11 of 37 in f1");
    tmux.run(&["send-keys", "Left"]);
    tmux.wait_for("dump p1.2 of 3");
    tmux.run(&["send-keys", "C-c"]);
    tmux.wait_for("iexten");
    is_given_back(&tmux.wait_for("status 0"));
}

#[test]
fn a_signal_that_ends_it_gives_the_terminal_back_too() {
    for (signal, status) in [("TERM", "status 143"), ("HUP", "status 129"), ("INT", "status 130")] {
        let Some(tmux) = started(signal) else { return };
        let pane = tmux.run(&["list-panes", "-F", "#{pane_pid}"]).stdout;
        let pane = String::from_utf8(pane).expect("a number");
        let children = format!("/proc/{0}/task/{0}/children", pane.trim());
        let child = std::fs::read_to_string(children).expect("the command runs");
        let child = child.split_whitespace().next().expect("a number");
        assert!(Command::new("kill").args(["-s", signal, child]).status().expect("kill").success());
        tmux.wait_for("iexten");
        is_given_back(&tmux.wait_for(status));
    }
}
