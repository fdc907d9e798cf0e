//! `tui`: the report on the whole terminal, until the user has seen enough.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

use super::arguments::Browse;
use super::progress::Progress;
use super::reading::{read_all, read_these, rules};
use super::surroundings::Surroundings;
use super::{DONE, WRONG, say};
use crate::analyze_with;
use crate::explain::{Detail, Report};
use crate::render::{self, Tui};

/// Signals that ask to end. In a terminal that is read key by key none of these comes from a key.
const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];
/// How long such a signal may go unseen.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

pub(super) fn run_tui(browse: &Browse, surroundings: &Surroundings, err: &mut dyn Write) -> u8 {
    if !surroundings.stdout_is_terminal {
        say(err, "tui needs a terminal; analyze and show print the same anywhere");
        return WRONG;
    }
    let Some(rules) = rules(&browse.rules, err) else { return WRONG };
    let progress = Progress::start(surroundings.stderr_is_terminal, "reading");
    let read = read_all(&browse.reading, &progress);
    let healthy = read_these(&browse.baseline, &browse.reading, &progress);
    let understood = read.holds_a_dump() && (browse.baseline.is_empty() || healthy.holds_a_dump());
    progress.say("analysing");
    let sentences: Vec<String> = read.sentences().chain(healthy.sentences()).collect();
    let report = analyze_with(read.inputs, &read.errors, healthy.inputs, &rules, Detail::Pictures);
    drop(progress);
    sentences.iter().for_each(|sentence| say(err, sentence));
    if !understood {
        return WRONG;
    }
    match on_terminal(&report, surroundings.wants_color) {
        Ok(Ending::User) => DONE,
        Ok(Ending::Signal(signal)) => {
            // Ends the process as if the signal had never been waited for.
            let _ = emulate_default_handler(signal);
            WRONG
        }
        Err(error) => {
            say(err, &format!("the terminal does not work: {error}"));
            WRONG
        }
    }
}

/// Who ended it.
enum Ending {
    User,
    Signal(i32),
}

/// Takes the terminal, and gives it back as it was: also after an error or a signal, and before a
/// panic says what it is.
fn on_terminal(report: &Report, color: bool) -> io::Result<Ending> {
    let asked = Arc::new(AtomicUsize::new(0));
    for signal in ENDING {
        flag::register_usize(signal, Arc::clone(&asked), signal as usize)?;
    }
    let ended = ratatui::try_init().and_then(|terminal| browse(report, color, terminal, &asked));
    let restored = ratatui::try_restore();
    match asked.load(Ordering::Relaxed) {
        0 => restored.and(ended).map(|()| Ending::User),
        // A terminal that is gone cannot be given back.
        signal => Ok(Ending::Signal(signal as i32)),
    }
}

fn browse(
    report: &Report,
    color: bool,
    mut terminal: DefaultTerminal,
    asked: &AtomicUsize,
) -> io::Result<()> {
    let mut tui = Tui::new(report, color);
    while !tui.has_ended() {
        terminal.draw(|frame| render::view(&mut tui, frame))?;
        while !event::poll(BETWEEN_LOOKS)? {
            if asked.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
        }
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && let Some(message) = render::message(key, tui.is_typing())
        {
            tui.update(message);
        }
    }
    Ok(())
}
