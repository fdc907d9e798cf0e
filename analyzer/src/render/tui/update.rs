//! What keys mean, and what they make of the state.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Only, Tui, View};

/// So many rows are a page.
const PAGE: usize = 10;

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Another view.
    Show(View),
    /// The view after this one.
    NextView,
    /// So many rows down, or up.
    Move(isize),
    /// The first row.
    First,
    /// The last row.
    Last,
    /// So many lines of the detail down, or up.
    Scroll(isize),
    /// The dump before.
    Earlier,
    /// The dump after.
    Later,
    /// Another process.
    NextProcess,
    /// The threads of the chosen finding or cluster.
    Open,
    /// Begins a search.
    Search,
    /// One more character of the search.
    Type(char),
    /// One character less.
    Erase,
    /// Ends the search, and keeps what it found.
    Keep,
    /// Everyone again.
    Everyone,
    /// The end.
    Quit,
}

/// What a key asks for; while a search is typed, letters are letters.
pub fn message(key: KeyEvent, typing: bool) -> Option<Message> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Message::Quit);
    }
    let typed = match key.code {
        KeyCode::Char(letter) => Some(Message::Type(letter)),
        KeyCode::Backspace => Some(Message::Erase),
        KeyCode::Enter => Some(Message::Keep),
        _ => None,
    };
    match key.code {
        _ if typing && typed.is_some() => typed,
        KeyCode::Char(number @ '1'..='4') => {
            Some(Message::Show(View::ALL[number as usize - '1' as usize]))
        }
        KeyCode::Char('q') => Some(Message::Quit),
        KeyCode::Tab => Some(Message::NextView),
        KeyCode::Down | KeyCode::Char('j') => Some(Message::Move(1)),
        KeyCode::Up | KeyCode::Char('k') => Some(Message::Move(-1)),
        KeyCode::PageDown => Some(Message::Move(PAGE as isize)),
        KeyCode::PageUp => Some(Message::Move(-(PAGE as isize))),
        KeyCode::Home | KeyCode::Char('g') => Some(Message::First),
        KeyCode::End | KeyCode::Char('G') => Some(Message::Last),
        KeyCode::Char('J') => Some(Message::Scroll(1)),
        KeyCode::Char('K') => Some(Message::Scroll(-1)),
        KeyCode::Left | KeyCode::Char('h') => Some(Message::Earlier),
        KeyCode::Right | KeyCode::Char('l') => Some(Message::Later),
        KeyCode::Char('p') => Some(Message::NextProcess),
        KeyCode::Enter => Some(Message::Open),
        KeyCode::Char('/') => Some(Message::Search),
        KeyCode::Esc => Some(Message::Everyone),
        _ => None,
    }
}

impl Tui<'_> {
    /// Does what is asked for; what is not possible changes nothing.
    pub fn update(&mut self, message: Message) {
        match message {
            Message::Show(view) => self.show(view),
            Message::NextView => self.show(View::ALL[(self.view as usize + 1) % View::ALL.len()]),
            Message::Move(rows) => self.go(self.cursor().saturating_add_signed(rows)),
            Message::First => self.go(0),
            Message::Last => self.go(usize::MAX),
            Message::Scroll(lines) => self.scroll = self.scroll.saturating_add_signed(lines),
            Message::Earlier => self.dump = self.dump.saturating_sub(1),
            Message::Later if self.dump + 1 < self.dumps() => self.dump += 1,
            Message::Later => {}
            Message::NextProcess => {
                self.enter((self.process + 1) % self.report.processes.len().max(1));
            }
            Message::Open => self.open(),
            Message::Search => {
                self.show(View::Threads);
                self.typing = true;
            }
            Message::Type(letter) => {
                self.search.push(letter);
                self.choose();
            }
            Message::Erase => {
                self.search.pop();
                self.choose();
            }
            Message::Keep => self.typing = false,
            Message::Everyone => {
                self.typing = false;
                self.only = Only::Everyone;
                self.search.clear();
                self.choose();
            }
            Message::Quit => self.ended = true,
        }
    }

    fn show(&mut self, view: View) {
        self.view = view;
        self.scroll = 0;
    }

    fn go(&mut self, row: usize) {
        self.cursors[self.view as usize] = row.min(self.rows().saturating_sub(1));
        self.scroll = 0;
    }

    fn open(&mut self) {
        let only = match self.view {
            View::Findings => {
                let Some(link) = self.links.get(self.cursor()) else { return };
                let finding = link.finding;
                let processes = &self.report.processes;
                let at = processes.iter().position(|process| process.id == finding.process);
                if let Some(process) = at.filter(|&process| process != self.process) {
                    self.enter(process);
                }
                Only::Finding(&finding.id)
            }
            View::Clusters => match self.cluster(self.cursor()) {
                Some((number, _)) => Only::Cluster(number),
                None => return,
            },
            View::Threads | View::Waits => return,
        };
        self.only = only;
        self.search.clear();
        self.show(View::Threads);
        self.choose();
    }
}
