//! The report as Markdown, for tickets and chat: CommonMark with nothing but headings, lists and
//! code, which every reader of Markdown shows.
//!
//! What comes from an input is hostile. Names of functions, threads and locks stand in code;
//! sentences are escaped, so that they neither style, link, mention nor begin a block.

use std::io::{self, Write};

use super::chain::{Link, chain};
use super::fold::fold;
use super::phrase::{
    self, evidence, grade_words, process_sentence, severity_name, status_word, whereabouts,
};
use super::plain::plain;
use crate::explain::{ClusterReport, MemberReport, RankedFinding, Report, Role};

/// How many groups of names are listed of each kind.
const NAMES: usize = 12;
/// Facts of a finding, warnings, clusters: so many are told, the rest is counted.
const MOST: usize = 20;

/// Writes the report as Markdown: the verdict, the chain, and the first `top` findings whole (all,
/// when nothing is said).
///
/// # Errors
/// Those of the writer.
pub fn markdown(report: &Report, top: Option<usize>, mut out: impl Write) -> io::Result<()> {
    let word = status_word(report.verdict.status);
    writeln!(out, "## {word}: {}", prose(&report.verdict.headline))?;
    if !report.findings.is_empty() {
        writeln!(out)?;
    }
    for link in chain(report) {
        writeln!(out, "{}", link_line(report, &link))?;
    }
    for finding in report.findings.iter().take(top.unwrap_or(usize::MAX)) {
        write_finding(finding, &mut out)?;
    }
    write_clusters(report, &mut out)?;
    write_inputs(report, &mut out)
}

fn link_line(report: &Report, link: &Link) -> String {
    let Link { finding, depth } = *link;
    let beside = if finding.role == Role::Contributing { "beside it " } else { "" };
    let process = match report.processes.len() {
        0 | 1 => String::new(),
        _ => format!(" in {}", finding.process),
    };
    format!(
        "{}- {beside}**{} {}**{process}, {} {}, {} {:.2}: {}",
        "  ".repeat(depth),
        finding.id,
        finding.detector,
        severity_name(finding.severity),
        finding.score,
        grade_words(finding.grade),
        finding.confidence,
        prose(&finding.headline),
    )
}

fn write_finding(finding: &RankedFinding, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n### {} {}: {}\n", finding.id, finding.detector, prose(&finding.headline))?;
    if !finding.detail.is_empty() {
        writeln!(out, "{}\n", prose(&finding.detail))?;
    }
    let names = |members: &[MemberReport]| fold(members, NAMES);
    let labelled = [
        ("who", names(&finding.members)),
        ("victims", names(&finding.victims)),
        ("holders", names(&finding.holders)),
        ("lock", phrase::lock(finding)),
    ];
    for (label, text) in labelled.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(out, "- **{label}** {}", code(text))?;
    }
    write_list("where", finding.frames.iter().map(|frame| code(frame)), out)?;
    write_list("why", finding.evidence.iter().map(|fact| prose(&evidence(fact))), out)?;
    if !finding.next_step.is_empty() {
        writeln!(out, "- **now** {}", prose(&finding.next_step))?;
    }
    Ok(())
}

fn write_list(
    label: &str,
    items: impl ExactSizeIterator<Item = String>,
    out: &mut impl Write,
) -> io::Result<()> {
    let left = items.len().saturating_sub(MOST);
    if items.len() > 0 {
        writeln!(out, "- **{label}**")?;
    }
    for item in items.take(MOST) {
        writeln!(out, "  - {item}")?;
    }
    match left {
        0 => Ok(()),
        left => writeln!(out, "  - and {left} more"),
    }
}

/// Where everyone is, when there is no finding to tell of.
fn write_clusters(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let busy = |cluster: &&ClusterReport| !cluster.idle && cluster.count > 0;
    let busy: Vec<_> = report.clusters.iter().filter(busy).collect();
    if !report.findings.is_empty() || busy.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for cluster in busy.iter().take(MOST) {
        writeln!(out, "- {} in {}", cluster.count, code(&whereabouts(cluster)))?;
    }
    match busy.len().saturating_sub(MOST) {
        0 => Ok(()),
        left => writeln!(out, "- and {left} places more"),
    }
}

/// What was read, and what was not understood.
fn write_inputs(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for process in &report.processes {
        writeln!(out, "\n{}: {}", process.id, prose(&process_sentence(process)))?;
    }
    let warnings = phrase::warnings(report);
    let warnings: Vec<String> = warnings
        .map(|(input, warning)| {
            let place = format!("{}:{}", input.path, warning.line);
            format!("{} {}", code(&place), prose(&warning.message))
        })
        .collect();
    if !warnings.is_empty() {
        writeln!(out)?;
    }
    write_list("warnings", warnings.into_iter(), out)
}

/// A text as a code span: nothing in it is styled, whatever it holds.
fn code(text: &str) -> String {
    let text = plain(text);
    let ticks = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(ticks + 1);
    let gap = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

/// A text as a sentence: what would style, link, mention or begin something is escaped. Always
/// stands after a word of ours, so that it begins no line.
fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for character in plain(text).chars() {
        match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '#' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '_' if !before.is_alphanumeric() => escaped.push_str("\\_"),
            '@' => escaped.push_str("&#64;"),
            '/' if before == ':' => escaped.push_str("\\/"),
            harmless => escaped.push(harmless),
        }
        before = character;
    }
    escaped.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_holds_any_text() {
        assert_eq!(code("a::b<T>"), "`a::b<T>`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``"), "``` `` ```");
        assert_eq!(code("two\nlines"), "`two\\nlines`");
    }

    #[test]
    fn a_sentence_neither_styles_nor_links_nor_mentions() {
        assert_eq!(prose("<b>*x*</b> [y](javascript:z)"), r"\<b\>\*x\*\</b\> \[y\](javascript:z)");
        assert_eq!(prose("_a_ and request_queue"), r"\_a_ and request_queue");
        assert_eq!(prose("ask @all at http://evil"), r"ask &#64;all at http:\//evil");
    }
}
