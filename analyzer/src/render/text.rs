//! The report as text, for whoever is on call: the cause, what it causes, who, where, why, and
//! what to do now, on one screen that needs no colour.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::chain::chain;
use super::fold::folded;
use super::page::{Page, Part};
use super::phrase::{
    self, evidence, grade_words, lock, process_sentence, severity_name, status_word, whereabouts,
};
use super::plain::plain;
use crate::detect::Severity;
use crate::explain::{ClusterReport, MemberReport, RankedFinding, Report, Role, Status};

/// The lines of the first screen, at most.
const SCREEN: usize = 25;
/// The longest verdict, chain and next step on the first screen, in lines.
const VERDICT_LINES: usize = 4;
const CHAIN_LINES: usize = 6;
const NEXT_STEP_LINES: usize = 4;
/// Functions on the first screen, at most: evidence needs the room.
const FRAMES: usize = 5;
/// The narrowest page, and the widest: longer lines are hard to read.
const NARROWEST: usize = 40;
const WIDEST: usize = 120;
/// How far a label's text stands to the right.
const INDENT: usize = 11;

/// How the text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Columns.
    pub width: usize,
    /// Whether to use colours.
    pub color: bool,
    /// How many findings to tell whole. Without it: the first, as far as one screen goes.
    pub top: Option<usize>,
}

/// Writes the report as text.
///
/// # Errors
/// Those of the writer.
pub fn text(report: &Report, options: TextOptions, mut out: impl Write) -> io::Result<()> {
    let page = Page { width: options.width.clamp(NARROWEST, WIDEST), color: options.color };
    let lines = match options.top {
        None => first_screen(report, page),
        Some(top) => whole(report, page, top),
    };
    for line in lines {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn first_screen(report: &Report, page: Page) -> Vec<String> {
    let mut lines = verdict(report, page, VERDICT_LINES);
    lines.extend(section(page.fit(vec![told_chain(report, page)], CHAIN_LINES, 4)));
    let footer = section(footer(report, page));
    let room = SCREEN.saturating_sub(lines.len() + footer.len() + 1);
    lines.extend(section(match report.findings.first() {
        Some(finding) => {
            let finding = &with_few_frames(finding);
            let lines = NEXT_STEP_LINES.min(room);
            let now = page.wrap_at_most(lines, &label("now"), &finding.next_step);
            let room = room.saturating_sub(now.len());
            let mut detail = page.fit(parts(finding, page, 2), room, INDENT);
            detail.extend(now.into_iter().filter(|_| !finding.next_step.is_empty()));
            detail
        }
        None => page.fit(vec![clusters(report, page)], room, INDENT),
    }));
    lines.extend(footer);
    lines
}

fn with_few_frames(finding: &RankedFinding) -> RankedFinding {
    let mut finding = finding.clone();
    let left = finding.frames.len().saturating_sub(FRAMES - 1);
    if left > 1 {
        finding.frames.truncate(FRAMES - 1);
        finding.frames.push(format!("and {left} more"));
    }
    finding
}

fn whole(report: &Report, page: Page, top: usize) -> Vec<String> {
    let mut lines = verdict(report, page, usize::MAX);
    lines.extend(section(flat(told_chain(report, page))));
    for finding in report.findings.iter().take(top) {
        lines.extend(section(whole_finding(finding, page)));
    }
    lines.extend(section(flat(clusters(report, page))));
    lines.extend(section(footer(report, page)));
    lines
}

/// A finding with all that is known of it.
pub(super) fn whole_finding(finding: &RankedFinding, page: Page) -> Vec<String> {
    let mut lines = page.wrap("", &format!("{}: {}", finding.id, finding.headline));
    if !finding.detail.is_empty() {
        lines.extend(page.wrap(&label("what"), &finding.detail));
    }
    lines.extend(parts(finding, page, usize::MAX).into_iter().flat_map(flat));
    if !finding.next_step.is_empty() {
        lines.extend(page.wrap(&label("now"), &finding.next_step));
    }
    lines
}

/// Lines with an empty one before them, when there are any.
fn section(lines: Vec<String>) -> Vec<String> {
    let gap = (!lines.is_empty()).then(String::new);
    gap.into_iter().chain(lines).collect()
}

fn flat(part: Part) -> Vec<String> {
    part.into_iter().flatten().collect()
}

fn label(word: &str) -> String {
    format!("  {word:<width$}", width = INDENT - 2)
}

fn verdict(report: &Report, page: Page, most: usize) -> Vec<String> {
    let word = status_word(report.verdict.status);
    let color = match report.verdict.status {
        Status::Healthy => AnsiColor::Green,
        Status::Suspect => AnsiColor::Yellow,
        Status::Incident => AnsiColor::Red,
    };
    let mut lines = page.wrap_at_most(most, &format!("{word}  "), &report.verdict.headline);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(word, &page.paint(color.on_default().bold(), word), 1);
    }
    lines
}

/// Every finding in a line or two, under the one that it follows from.
fn told_chain(report: &Report, page: Page) -> Part {
    let links = chain(report).into_iter();
    links.map(|link| link_lines(report, page, link.finding, link.depth)).collect()
}

fn link_lines(report: &Report, page: Page, finding: &RankedFinding, depth: usize) -> Vec<String> {
    let arrow = match (finding.role, depth) {
        (Role::Contributing, 0) => "beside it ".to_owned(),
        (_, 0) => String::new(),
        (_, depth) => format!("{}-> ", "   ".repeat(depth.min(5) - 1)),
    };
    let process = match report.processes.len() {
        0 | 1 => String::new(),
        _ => format!(" in {}", finding.process),
    };
    let severity = severity_name(finding.severity);
    let (grade, sure) = (grade_words(finding.grade), finding.confidence);
    let mut text =
        format!("{}{process}, {severity} {}, {grade} {sure:.2}", finding.detector, finding.score);
    let headline = finding.headline.trim_end_matches('.');
    if !report.verdict.headline.contains(headline) {
        text = format!("{text}: {headline}");
    }
    let mut lines = page.wrap_at_most(2, &format!("{arrow}{} ", finding.id), &text);
    if let Some(line) = lines.first_mut() {
        let painted = page.paint(severity_style(finding.severity), severity);
        *line = line.replacen(&format!(", {severity} "), &format!(", {painted} "), 1);
    }
    lines
}

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Critical | Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low | Severity::Info => Style::new(),
    }
}

/// Who, for what, where and why; items of at most so many lines.
fn parts(finding: &RankedFinding, page: Page, most: usize) -> Vec<Part> {
    let one = |word: &str, text: String| match text.is_empty() {
        true => Vec::new(),
        false => vec![page.wrap_at_most(most, &label(word), &text)],
    };
    let names = |members: &[MemberReport], groups: usize| {
        let names = folded(members, most.saturating_mul(groups)).into_iter();
        names.map(|name| page.piece(name)).collect::<Vec<_>>().join(", ")
    };
    vec![
        one("who", names(&finding.members, 3)),
        one("victims", names(&finding.victims, 2)),
        one("holders", names(&finding.holders, 2)),
        one("lock", lock(finding)),
        labelled("where", finding.frames.iter().map(|frame| frame.as_str().into()), page, most),
        labelled("why", finding.evidence.iter().map(evidence), page, most),
    ]
}

/// Items under one label.
fn labelled(word: &str, items: impl IntoIterator<Item = String>, page: Page, most: usize) -> Part {
    let mut word = word;
    let mut lines = Vec::new();
    for item in items {
        lines.push(page.wrap_at_most(most, &label(word), &item));
        word = "";
    }
    lines
}

/// Where everyone is who is not idle, and how many are.
fn clusters(report: &Report, page: Page) -> Part {
    let now = |cluster: &ClusterReport| cluster.per_dump.last().copied().unwrap_or(cluster.count);
    let present = || report.clusters.iter().filter(|&cluster| now(cluster) > 0);
    let busy = present().filter(|cluster| !cluster.idle);
    let mut items: Part =
        busy.map(|cluster| vec![page.line(&tally(now(cluster)), &whereabouts(cluster))]).collect();
    let idle: usize = present().filter(|cluster| cluster.idle).map(now).sum();
    if idle > 0 {
        items.push(vec![format!("{}idle", tally(idle))]);
    }
    items
}

fn tally(count: usize) -> String {
    format!("{count:>7}  ")
}

/// What was read, what was not understood, and where to read on.
fn footer(report: &Report, page: Page) -> Vec<String> {
    let mut lines = Vec::new();
    for process in report.processes.iter().take(2) {
        let sentence = process_sentence(process);
        match report.processes.len() {
            1 => lines.extend(page.wrap_at_most(2, "", &sentence)),
            _ => lines.push(page.line(&format!("{}: ", process.id), &sentence)),
        }
    }
    if let Some(left) = report.processes.len().checked_sub(3) {
        lines.push(format!("and {} processes more", left + 1));
    }
    lines.extend(warnings(report, page));
    lines.extend(page.wrap_at_most(2, "More: ", &more(report)));
    lines
}

fn warnings(report: &Report, page: Page) -> Vec<String> {
    let mut warnings = phrase::warnings(report);
    let Some((input, first)) = warnings.next() else { return Vec::new() };
    let sentence = format!("{}:{}: {}", input.path, first.line, first.message);
    let label = match warnings.count() {
        0 => "1 warning: ".to_owned(),
        others => format!("{} warnings, the first: ", others + 1),
    };
    page.wrap_at_most(2, &label, &sentence)
}

fn more(report: &Report) -> String {
    let path = match report.inputs.as_slice() {
        [one] if one.path.len() <= 20 && one.path != "-" => plain(&one.path),
        _ => "PATH".to_owned(),
    };
    let show = format!("sigquit show {path}");
    match report.findings.first() {
        None => show,
        Some(first) => {
            format!("{show} | sigquit explain {} | --top {}", first.detector, report.findings.len())
        }
    }
}
