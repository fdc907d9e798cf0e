//! The report as text, for whoever is on call: the cause, what it causes, who, where, why, and
//! what to do now, on one screen that needs no colour.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::fold::{called, fold};
use super::json::{owner_source_name, severity_name};
use super::page::{NO_BREAK, Page, Part, fit};
use super::plain::{plain, short};
use crate::detect::{Grade, Severity};
use crate::explain::{
    ClusterReport, DumpReport, EvidenceReport, MemberReport, ProcessReport, RankedFinding, Report,
    Role, Status,
};

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
    lines.extend(section(fit(vec![chain(report, page)], CHAIN_LINES, 4)));
    let footer = section(footer(report, page));
    let room = SCREEN.saturating_sub(lines.len() + footer.len() + 1);
    lines.extend(section(match report.findings.first() {
        Some(finding) => {
            let finding = &with_few_frames(finding);
            let lines = NEXT_STEP_LINES.min(room);
            let now = page.wrap_at_most(lines, &label("now"), &finding.next_step);
            let room = room.saturating_sub(now.len());
            let mut detail = fit(parts(finding, page, 2), room, INDENT);
            detail.extend(now.into_iter().filter(|_| !finding.next_step.is_empty()));
            detail
        }
        None => fit(vec![clusters(report, page)], room, INDENT),
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
    lines.extend(section(flat(chain(report, page))));
    for finding in report.findings.iter().take(top) {
        lines.extend(section(whole_finding(finding, page)));
    }
    lines.extend(section(flat(clusters(report, page))));
    lines.extend(section(footer(report, page)));
    lines
}

fn whole_finding(finding: &RankedFinding, page: Page) -> Vec<String> {
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
    let (word, color) = match report.verdict.status {
        Status::Healthy => ("HEALTHY", AnsiColor::Green),
        Status::Suspect => ("SUSPECT", AnsiColor::Yellow),
        Status::Incident => ("INCIDENT", AnsiColor::Red),
    };
    let mut lines = page.wrap_at_most(most, &format!("{word}  "), &report.verdict.headline);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(word, &page.paint(color.on_default().bold(), word), 1);
    }
    lines
}

/// Every finding in a line or two, under the one that it follows from.
fn chain(report: &Report, page: Page) -> Part {
    let mut items = Vec::new();
    let mut told = Vec::new();
    for finding in &report.findings {
        if finding.caused_by.is_empty() {
            link(report, page, finding, 0, &mut told, &mut items);
        }
    }
    items
}

fn link<'a>(
    report: &'a Report,
    page: Page,
    finding: &'a RankedFinding,
    depth: usize,
    told: &mut Vec<&'a str>,
    items: &mut Part,
) {
    if told.contains(&finding.id.as_str()) {
        return;
    }
    told.push(&finding.id);
    items.push(link_lines(report, page, finding, depth));
    for symptom in &report.findings {
        if symptom.caused_by.contains(&finding.id) {
            link(report, page, symptom, depth + 1, told, items);
        }
    }
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
        fold(members, most.saturating_mul(groups)).replace(" (", &format!("{NO_BREAK}("))
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

fn lock(finding: &RankedFinding) -> String {
    let lock = finding.lock.as_ref().map(|lock| {
        let of_type = lock.type_name.as_ref().map(|name| format!(" ({name})"));
        format!("{} {}{}", lock.kind, lock.id, of_type.unwrap_or_default())
    });
    let owner = finding.owner.as_ref().map(|owner| {
        let source = finding.owner_source.map(owner_source_name);
        let known = source.map(|source| format!(" ({source})")).unwrap_or_default();
        format!("owner {}{known}", short(&called(owner), 60))
    });
    match (lock, owner) {
        (Some(lock), None) => format!("{lock}, owner unknown"),
        (lock, owner) => lock.into_iter().chain(owner).collect::<Vec<_>>().join(", "),
    }
}

/// What a claim rests on; its confidence follows.
fn grade_words(grade: Grade) -> &'static str {
    match grade {
        Grade::Proof => "proof",
        Grade::Counter => "by counters",
        Grade::Repeat => "by repetition",
        Grade::Pattern => "a hint",
    }
}

fn evidence(evidence: &EvidenceReport) -> String {
    match &evidence.dump {
        Some(dump) if !evidence.text.contains(dump.as_str()) => {
            format!("{} [{dump}]", evidence.text)
        }
        _ => evidence.text.clone(),
    }
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

/// Where a cluster's members are, and in what states.
fn whereabouts(cluster: &ClusterReport) -> String {
    let states = cluster.states.iter().map(|(state, _)| state.as_str()).filter(|s| !s.is_empty());
    let states = states.take(2).collect::<Vec<_>>().join(" or ");
    match states.is_empty() {
        true => cluster.signature.clone(),
        false => format!("{} ({states})", cluster.signature),
    }
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

fn process_sentence(process: &ProcessReport) -> String {
    let mut sentence = process.runtime.to_owned();
    if !process.title.is_empty() {
        sentence += &format!(" {}", short(&process.title, 60));
    }
    if let Some(pid) = process.pid {
        sentence += &format!(", pid {pid}");
    }
    if let Some(host) = &process.host {
        sentence += &format!(" on {}", short(host, 60));
    }
    if let (Some(first), Some(last)) = (process.dumps.first(), process.dumps.last()) {
        let dumps = process.dumps.len();
        sentence += &format!("; {dumps} dump{}", if dumps == 1 { "" } else { "s" });
        sentence += &when(first.time.as_deref(), last.time.as_deref());
        sentence += &format!("; {}", size(process, last));
    }
    sentence
}

/// The time of the first and of the last dump, to the second. No zone is told: not every source
/// says in which it prints.
fn when(first: Option<&str>, last: Option<&str>) -> String {
    let parts = |time: &'_ str| -> Option<(String, String)> {
        let (day, time) = time.split_once('T')?;
        Some((day.to_owned(), time.split(['.', 'Z']).next()?.to_owned()))
    };
    match (first.and_then(parts), last.and_then(parts)) {
        (Some(first), Some(last)) if first == last => format!(", {} {}", first.0, first.1),
        (Some(first), Some(last)) if first.0 == last.0 => {
            format!(", {} {} to {}", first.0, first.1, last.1)
        }
        (Some(first), Some(last)) => {
            format!(", {} {} to {} {}", first.0, first.1, last.0, last.1)
        }
        _ => String::new(),
    }
}

/// How many threads and tasks a process had, in the words of its runtime.
fn size(process: &ProcessReport, newest: &DumpReport) -> String {
    let task = match process.runtime {
        "go" => "goroutine",
        "jvm" => "virtual thread",
        _ => "task",
    };
    let plural =
        |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let threads = plural(newest.threads, "thread");
    let tasks = plural(newest.tasks, task);
    match (newest.threads, newest.tasks) {
        (_, 0) => threads,
        (0, _) => tasks,
        _ => format!("{threads}, {tasks}"),
    }
}

fn warnings(report: &Report, page: Page) -> Vec<String> {
    let mut warnings = report
        .inputs
        .iter()
        .flat_map(|input| input.warnings.iter().map(move |warning| (input, warning)));
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
