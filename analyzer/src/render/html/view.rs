//! What the template shows: texts made safe, figures in words, bars in pixels.

use std::cmp::Ordering;

use crate::explain::{
    ClusterReport, InputReport, MemberReport, Picture, RankedFinding, Report, Role,
};
use crate::render::chain;
use crate::render::fold::fold;
use crate::render::frame::short_path;
use crate::render::phrase::{
    self, evidence, grade_words, plural, process_sentence, role_name, severity_name,
};
use crate::render::plain::plain;
use crate::render::waits::{Tree, trees};

/// How many groups of names are listed.
const NAMES: usize = 12;
/// Facts of a finding that are shown at once; the rest is unfolded.
const FACTS: usize = 6;
/// The deepest place in the chain for which there is a style.
const DEEPEST: usize = 8;
/// States of a cluster's members, at most.
const STATES: usize = 4;
/// Functions of a cluster's stack, at most.
const FRAMES: usize = 64;
/// A bar's width and the tallest bar, in pixels.
const BAR: usize = 7;
const TALLEST: usize = 22;

/// A finding in the chain.
pub(super) struct LinkView {
    pub id: String,
    pub depth: usize,
    pub detector: &'static str,
    pub severity: &'static str,
    pub score: u32,
    pub sure: String,
    pub headline: String,
}

/// The findings in the order of the story.
pub(super) fn chain(report: &Report) -> Vec<LinkView> {
    let links = chain::chain(report).into_iter();
    links
        .map(|link| LinkView {
            id: link.finding.id.clone(),
            depth: link.depth.min(DEEPEST),
            detector: link.finding.detector,
            severity: severity_name(link.finding.severity),
            score: link.finding.score,
            sure: sure(link.finding),
            headline: plain(&link.finding.headline),
        })
        .collect()
}

/// What a claim rests on, and how sure it is.
fn sure(finding: &RankedFinding) -> String {
    format!("{} {:.2}", grade_words(finding.grade), finding.confidence)
}

/// A finding, whole.
pub(super) struct FindingView {
    pub id: String,
    pub detector: &'static str,
    /// ` in p1`, where there are several processes.
    pub process: String,
    pub role: &'static str,
    pub severity: &'static str,
    pub score: u32,
    pub sure: String,
    pub headline: String,
    pub detail: String,
    pub next_step: String,
    /// Labels and names: who, victims, holders.
    pub people: Vec<(&'static str, String)>,
    pub lock: String,
    /// Functions, each with its place.
    pub frames: Vec<(String, String)>,
    pub evidence: Vec<String>,
    pub more_evidence: Vec<String>,
    pub caused_by: Vec<String>,
    /// Whether a picture shows who is in it.
    pub is_pictured: bool,
}

impl FindingView {
    pub(super) fn of(report: &Report, finding: &RankedFinding) -> FindingView {
        let mut facts: Vec<String> =
            finding.evidence.iter().map(|fact| plain(&evidence(fact))).collect();
        let more_evidence = facts.split_off(facts.len().min(FACTS));
        let process = match report.processes.len() {
            0 | 1 => String::new(),
            _ => format!(" in {}", finding.process),
        };
        FindingView {
            id: finding.id.clone(),
            detector: finding.detector,
            process,
            role: role_words(finding.role),
            severity: severity_name(finding.severity),
            score: finding.score,
            sure: sure(finding),
            headline: plain(&finding.headline),
            detail: plain(&finding.detail),
            next_step: plain(&finding.next_step),
            people: people(finding),
            lock: plain(&phrase::lock(finding)),
            frames: finding
                .frames
                .iter()
                .map(|frame| (plain(frame), place(finding, frame)))
                .collect(),
            evidence: facts,
            more_evidence,
            caused_by: finding.caused_by.clone(),
            is_pictured: picture_of(report, &finding.process).is_some(),
        }
    }
}

/// The picture of a process; a profile has none.
fn picture_of<'a>(report: &'a Report, process: &str) -> Option<&'a Picture> {
    report.pictures.iter().find(|picture| picture.process == process)
}

fn role_words(role: Role) -> &'static str {
    match role {
        Role::Root => "a cause",
        Role::Symptom | Role::Contributing => role_name(role),
    }
}

fn people(finding: &RankedFinding) -> Vec<(&'static str, String)> {
    let named = |label, members: &[MemberReport]| (label, fold(members, NAMES));
    let people = [
        named("who", &finding.members),
        named("victims", &finding.victims),
        named("holders", &finding.holders),
    ];
    people.into_iter().filter(|(_, names)| !names.is_empty()).collect()
}

fn place(finding: &RankedFinding, function: &str) -> String {
    let place = finding.places.iter().find(|place| place.function == function);
    place.map_or(String::new(), |place| match place.line {
        Some(line) => plain(&format!("{}:{line}", short_path(&place.file))),
        None => plain(short_path(&place.file)),
    })
}

/// Each process in a sentence, with its id where there are several.
pub(super) fn processes(report: &Report) -> Vec<String> {
    let sentence = |process| plain(&process_sentence(process));
    match report.processes.as_slice() {
        [one] => vec![sentence(one)],
        several => several.iter().map(|one| format!("{}: {}", one.id, sentence(one))).collect(),
    }
}

/// An input in a sentence.
pub(super) fn input(input: &InputReport) -> String {
    let InputReport { path, format, dumps, threads, tasks, profiles, .. } = input;
    let held = [(dumps, "dump"), (threads, "thread"), (tasks, "task"), (profiles, "profile")];
    let held = held.into_iter().filter(|(count, _)| **count > 0);
    let held: Vec<String> = held.map(|(&count, noun)| plural(count, noun)).collect();
    let held = if held.is_empty() { "nothing".to_owned() } else { held.join(", ") };
    let cut = if input.truncated { "; it ends early" } else { "" };
    plain(&format!("{path}: {format}; {held}{cut}"))
}

/// A tree of the wait-for graph.
pub(super) struct WaitsView {
    pub lines: Vec<WaitView>,
    /// What ends after the last line, as markup.
    pub end: String,
}

/// A line of it.
pub(super) struct WaitView {
    /// What ends before it and begins with it, as markup: lists within lists.
    pub lead: String,
    pub kind: &'static str,
    pub text: String,
}

/// Who waits for whom, as trees; in which process, where there are several.
pub(super) fn waits(report: &Report) -> Vec<WaitsView> {
    let mut all = Vec::new();
    for picture in &report.pictures {
        let process = match report.processes.len() {
            0 | 1 => String::new(),
            _ => format!("{}: ", picture.process),
        };
        all.extend(trees(picture).into_iter().map(|tree| waits_view(tree, &process)));
    }
    all
}

fn waits_view(tree: Tree, process: &str) -> WaitsView {
    let mut before = None;
    let lines = tree.lines.into_iter().map(|line| {
        let lead = lead(before, line.depth);
        let process = if before.is_none() { process } else { "" };
        before = Some(line.depth);
        WaitView { lead, kind: line.kind, text: format!("{process}{}", line.text) }
    });
    let lines = lines.collect();
    WaitsView { lines, end: before.map_or(String::new(), |before| lead(Some(before), 0)) }
}

/// From a line in a tree to the next, by how deep they are; a line is one deeper at most.
fn lead(before: Option<usize>, depth: usize) -> String {
    match before {
        None => String::new(),
        Some(before) if depth > before => "<ul>".to_owned(),
        Some(before) => format!("</li>{}", "</ul></li>".repeat(before - depth)),
    }
}

/// Where some members are, and how many over the dumps.
pub(super) struct ClusterView {
    /// Its place in the report.
    pub index: usize,
    pub process: String,
    pub idle: bool,
    /// In the newest dump.
    pub now: usize,
    /// For each dump, in words.
    pub figures: String,
    /// `+4` since the first dump.
    pub growth: String,
    pub width: usize,
    pub bars: Vec<Bar>,
    pub signature: String,
    pub states: String,
    pub frames: Vec<String>,
    pub members: String,
    /// Whether a picture shows who is in it.
    pub is_pictured: bool,
}

/// A bar, in pixels.
pub(super) struct Bar {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The clusters: those that are busy first, in each half the largest first.
pub(super) fn clusters(report: &Report) -> Vec<ClusterView> {
    let (idle, busy): (Vec<_>, Vec<_>) =
        report.clusters.iter().enumerate().partition(|(_, cluster)| cluster.idle);
    busy.into_iter()
        .chain(idle)
        .map(|(index, cluster)| cluster_view(report, index, cluster))
        .collect()
}

fn cluster_view(report: &Report, index: usize, cluster: &ClusterReport) -> ClusterView {
    let figures: Vec<String> = cluster.per_dump.iter().map(usize::to_string).collect();
    ClusterView {
        index,
        process: cluster.process.clone(),
        idle: cluster.idle,
        now: cluster.per_dump.last().copied().unwrap_or(cluster.count),
        figures: format!("by dump: {}", figures.join(", ")),
        growth: growth(&cluster.per_dump),
        width: cluster.per_dump.len() * BAR,
        bars: bars(&cluster.per_dump),
        signature: plain(&cluster.signature),
        states: states(cluster),
        frames: cluster.frames.iter().take(FRAMES).map(|frame| plain(frame)).collect(),
        members: fold(&cluster.members, NAMES),
        is_pictured: picture_of(report, &cluster.process).is_some(),
    }
}

/// The states of a cluster's members over all dumps, and how often each was seen where it is not
/// the only one.
fn states(cluster: &ClusterReport) -> String {
    let told: Vec<_> = cluster.states.iter().filter(|(state, _)| !state.is_empty()).collect();
    let words = |(state, count): &&(String, usize)| match told.len() {
        1 => plain(state),
        _ => format!("{} {}", plain(state), plural(*count, "time")),
    };
    told.iter().take(STATES).map(words).collect::<Vec<_>>().join(", ")
}

/// How many more or fewer there are than at first.
fn growth(counts: &[usize]) -> String {
    let (Some(&first), Some(&last)) = (counts.first(), counts.last()) else { return String::new() };
    match last.cmp(&first) {
        Ordering::Greater => format!("+{}", last - first),
        Ordering::Less => format!("\u{2212}{}", first - last),
        Ordering::Equal => String::new(),
    }
}

/// Bars as tall as the counts, on the ground; whoever is there at all is seen.
fn bars(counts: &[usize]) -> Vec<Bar> {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |(at, &count): (usize, &usize)| {
        let height = (count * TALLEST).div_ceil(most);
        Bar { x: at * BAR, y: TALLEST + 2 - height, width: BAR - 2, height }
    };
    counts.iter().enumerate().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_where_the_next_line_is_less_deep() {
        let leads = [(None, 0), (Some(0), 1), (Some(1), 1), (Some(3), 1)];
        let leads = leads.map(|(before, depth)| lead(before, depth));
        assert_eq!(leads, ["", "<ul>", "</li>", "</li></ul></li></ul></li>"]);
    }

    #[test]
    fn growth_is_told_with_its_sign() {
        let told = [&[8, 12, 12][..], &[4, 0], &[3, 5, 3], &[]].map(growth);
        assert_eq!(told, ["+4", "\u{2212}4", "", ""]);
    }

    #[test]
    fn bars_stand_on_the_ground_and_the_largest_is_the_tallest() {
        let bars: Vec<(usize, usize)> =
            bars(&[0, 1, 100]).iter().map(|bar| (bar.y, bar.height)).collect();
        assert_eq!(bars, [(24, 0), (23, 1), (2, 22)]);
    }
}
