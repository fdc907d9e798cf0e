//! What readers have in common that go through a text line by line: threads one after the other
//! make a dump, dumps one after the other an input.

use sigquit_dump::{Dump, Warning};

use super::foreign::NotUnderstood;
use super::{Line, Lines, Text, too_many_threads};

/// A reader of one format.
pub(super) trait ByLine<'t>: Default {
    /// What a dump is while its threads are read.
    type Building: Build;

    /// Reads a line, and of those that follow as many as belong to it.
    fn line(&mut self, line: Line<'t>, following: &mut Lines<'t>);

    /// What was read so far.
    fn dumps(&mut self) -> &mut Dumps<Self::Building>;

    /// Ends the dump that is being read.
    fn end_dump(&mut self) {
        self.dumps().end();
    }

    /// The input ends here.
    fn end(&mut self, _: &Text) {
        self.end_dump();
    }
}

/// A dump while its threads are read.
pub(super) trait Build: Default {
    /// A thread while its lines are read.
    type Open;

    /// Adds a thread that was read.
    fn add(&mut self, open: Self::Open);

    /// The whole dump.
    fn finish(self) -> Dump;
}

/// The dumps that were read, and the one that is being read.
#[derive(Debug)]
pub(super) struct Dumps<B: Build> {
    /// The dump that is being read.
    pub building: B,
    /// The thread that is being read.
    pub open: Option<B::Open>,
    pub not_understood: NotUnderstood,
    pub warnings: Vec<Warning>,
    done: Vec<Dump>,
    /// Threads in all dumps.
    threads: usize,
}

impl<B: Build> Default for Dumps<B> {
    fn default() -> Dumps<B> {
        Dumps {
            building: B::default(),
            open: None,
            not_understood: NotUnderstood::default(),
            warnings: Vec::new(),
            done: Vec::new(),
            threads: 0,
        }
    }
}

impl<B: Build> Dumps<B> {
    /// Ends the thread that is being read, and begins another.
    pub fn open(&mut self, open: B::Open) {
        self.close();
        self.open = Some(open);
    }

    /// Ends the thread that is being read.
    pub fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.threads += 1;
            self.building.add(open);
        }
    }

    /// Ends the dump that is being read, and gives it; one without threads is none.
    pub fn end(&mut self) -> Option<&mut Dump> {
        self.close();
        let dump = std::mem::take(&mut self.building).finish();
        if dump.threads.is_empty() {
            return None;
        }
        self.warnings.extend(std::mem::take(&mut self.not_understood).warning());
        self.done.push(dump);
        self.done.last_mut()
    }
}

/// Reads a text with the reader of its format.
pub(super) fn read<'t, R: ByLine<'t>>(text: &'t Text) -> (Vec<Dump>, Vec<Warning>) {
    let most = text.limits().threads;
    let mut reader = R::default();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        reader.line(line, &mut lines);
        let dumps = reader.dumps();
        if dumps.threads >= most {
            dumps.warnings.push(too_many_threads(line.number, most));
            break;
        }
    }
    reader.end(text);
    let Dumps { done, warnings, .. } = std::mem::take(reader.dumps());
    (done, warnings)
}
