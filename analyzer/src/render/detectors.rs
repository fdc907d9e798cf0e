//! The list of detectors, one line each.

use std::io::{self, Write};

use super::page::Page;
use crate::detect::Detector;

/// Columns for a name, with the gap after it.
const NAME: usize = 28;

/// Writes each detector's name and the first sentence of its documentation.
///
/// # Errors
/// Those of the writer.
pub fn detectors(detectors: &[Detector], width: usize, mut out: impl Write) -> io::Result<()> {
    let page = Page { width, color: false };
    detectors.iter().try_for_each(|detector| {
        let name = format!("{:<NAME$}", detector.name);
        writeln!(out, "{}", page.line(&name, &first_sentence(detector.documentation)))
    })
}

/// The first sentence of a documentation, without its title.
pub(super) fn first_sentence(documentation: &str) -> String {
    let lines = documentation.lines().map(str::trim);
    let paragraph = lines
        .skip_while(|line| line.is_empty() || line.starts_with('#'))
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => sentence.to_owned(),
        None => paragraph.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_is_one_line() {
        let documentation = "# spin\n\nA thread runs and\nruns. It never ends.\n\n## Evidence\n";
        let spin = Detector { name: "spin", documentation, detect: |_| Vec::new() };
        let mut out = Vec::new();
        detectors(&[spin], 80, &mut out).expect("a buffer");
        let expected = format!("{:<NAME$}A thread runs and runs\n", "spin");
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
