//! Takes out what tells of people, machines and data, so that a report can be shared: names of
//! threads, hosts, programs and inputs, arguments, labels, messages of panics, addresses, folders.
//! The same text has the same stand-in everywhere in one run.
//!
//! Names of functions, types and files stay: they are what a report is about. So do the names that
//! every program of a runtime has, and the numbers of threads and processes.

mod dump;
mod report;
mod text;

use std::collections::{BTreeSet, HashMap};

use crate::explain::Report;
use crate::read::{Input, ReadError};

/// What stands for what.
#[derive(Debug, Default)]
pub struct Redaction {
    /// For each sort of text: what was met, with its number from 0.
    known: HashMap<&'static str, HashMap<String, usize>>,
    /// Folders with spaces in them, as the dumps show them; each ends with a slash.
    spaced_folders: BTreeSet<String>,
}

impl Redaction {
    /// Takes names out of what was read, before it is analysed: so all that is said of them later
    /// has their stand-ins.
    pub fn redact_inputs(&mut self, inputs: &mut [Input], errors: &mut [ReadError]) {
        inputs.iter_mut().for_each(|input| self.redact_input(input));
        for error in errors {
            error.path = self.stand_in("input", &error.path);
            let message = text::without_quotes(&error.message);
            error.message = self.redact_text(&message);
        }
    }

    /// Puts the stand-in of an input in the place of a path.
    pub fn redact_path(&mut self, path: &mut String) {
        *path = self.stand_in("input", path);
    }

    /// Takes addresses and folders out of what is said.
    pub fn redact_report(&mut self, report: &mut Report) {
        report::texts(report, &mut |text| *text = self.redact_text(text));
    }

    /// `host-a` for the first host, `host-b` for the next.
    fn stand_in(&mut self, sort: &'static str, text: &str) -> String {
        format!("{sort}-{}", letters(self.number(sort, text)))
    }

    fn number(&mut self, sort: &'static str, text: &str) -> usize {
        let known = self.known.entry(sort).or_default();
        let next = known.len();
        *known.entry(text.to_owned()).or_insert(next)
    }
}

/// 0 is `a`, 25 is `z`, 26 is `aa`. No digits: these tell the workers of one pool apart.
fn letters(mut number: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'a' + (number % 26) as u8);
        match number / 26 {
            0 => break,
            more => number = more - 1,
        }
    }
    letters.iter().rev().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_consistent_and_have_no_digits() {
        let mut redaction = Redaction::default();
        assert_eq!(redaction.stand_in("host", "shop-1"), "host-a");
        assert_eq!(redaction.stand_in("host", "shop-2"), "host-b");
        assert_eq!(redaction.stand_in("host", "shop-1"), "host-a");
        assert_eq!([0, 25, 26, 27, 701, 702].map(letters), ["a", "z", "aa", "ab", "zz", "aaa"]);
    }
}
