//! `tui`: the report on the whole terminal, until the user has seen enough.

use std::io::{self, Write};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::arguments::Browse;
use super::progress::Progress;
use super::reading::{read_all, read_these, rules};
use super::surroundings::Surroundings;
use super::{DONE, WRONG, say};
use crate::analyze_with;
use crate::explain::{Detail, Report};
use crate::render::{self, Tui};

pub(super) fn run_tui(browse: &Browse, surroundings: &Surroundings, err: &mut dyn Write) -> u8 {
    if !surroundings.stdout_is_terminal {
        say(err, "tui needs a terminal; analyze and show print the same anywhere");
        return WRONG;
    }
    let rules = match rules(&browse.rules) {
        Ok(rules) => rules,
        Err(mistake) => {
            say(err, &mistake);
            return WRONG;
        }
    };
    let progress = Progress::start(surroundings.stderr_is_terminal, "reading");
    let read = read_all(&browse.reading, &progress);
    let healthy = read_these(&browse.baseline, &browse.reading, &progress);
    let understood = read.holds_a_dump() && (browse.baseline.is_empty() || healthy.holds_a_dump());
    progress.say("analysing");
    let report = analyze_with(read.inputs, &read.errors, healthy.inputs, &rules, Detail::Pictures);
    drop(progress);
    read.remarks.iter().chain(&healthy.remarks).for_each(|remark| say(err, remark));
    if !understood {
        return WRONG;
    }
    match on_terminal(&report, surroundings.wants_color) {
        Ok(()) => DONE,
        Err(error) => {
            say(err, &format!("the terminal does not work: {error}"));
            WRONG
        }
    }
}

/// Takes the terminal, and gives it back as it was: also after an error, and before a panic says
/// what it is.
fn on_terminal(report: &Report, color: bool) -> io::Result<()> {
    let ended = ratatui::try_init().and_then(|terminal| browse(report, color, terminal));
    ratatui::try_restore().and(ended)
}

fn browse(report: &Report, color: bool, mut terminal: DefaultTerminal) -> io::Result<()> {
    let mut tui = Tui::new(report, color);
    while !tui.has_ended() {
        terminal.draw(|frame| render::view(&mut tui, frame))?;
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && let Some(message) = render::message(key, tui.is_typing())
        {
            tui.update(message);
        }
    }
    Ok(())
}
