//! What is looked at: a view, a process, a dump, a place in a list.

use std::collections::HashSet;

use crate::explain::{ClusterReport, Picture, PictureMember, ProcessReport, Report, Sight};
use crate::render::chain::{Link, chain};
use crate::render::waits::{Line, trees};

/// What the screen lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The findings in the order of the story.
    Findings,
    /// Where everyone is.
    Clusters,
    /// Everyone, and what each does in every dump.
    Threads,
    /// Who waits for whom.
    Waits,
}

impl View {
    /// All, in the order of their numbers.
    pub const ALL: [View; 4] = [View::Findings, View::Clusters, View::Threads, View::Waits];

    pub(super) fn name(self) -> &'static str {
        match self {
            View::Findings => "Findings",
            View::Clusters => "Clusters",
            View::Threads => "Threads",
            View::Waits => "Waits",
        }
    }
}

/// Which threads are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only<'a> {
    Everyone,
    /// Who is in the finding with this id, suffers from it, or holds what is waited for.
    Finding(&'a str),
    /// Who is in this cluster in any dump.
    Cluster(usize),
}

/// The state of the screen.
pub struct Tui<'a> {
    pub(super) report: &'a Report,
    pub(super) color: bool,
    pub(super) view: View,
    /// The process, by its number in the report.
    pub(super) process: usize,
    /// The dump of the process, from 0.
    pub(super) dump: usize,
    /// For each view the chosen row.
    pub(super) cursors: [usize; View::ALL.len()],
    /// So many lines of the detail are above its first that is shown.
    pub(super) scroll: usize,
    pub(super) only: Only<'a>,
    /// What the threads that are shown have in their names, numbers or stacks.
    pub(super) search: String,
    /// Keys write the search.
    pub(super) typing: bool,
    pub(super) ended: bool,
    pub(super) links: Vec<Link<'a>>,
    /// The process's clusters, by their numbers in the report.
    pub(super) clusters: Vec<usize>,
    /// The members of the picture that are shown.
    pub(super) threads: Vec<u32>,
    pub(super) waits: Vec<Line>,
}

impl<'a> Tui<'a> {
    /// Shows the findings of a report, or, when there are none, where everyone is. The report holds
    /// pictures: see `explain::Detail`.
    pub fn new(report: &'a Report, color: bool) -> Tui<'a> {
        let mut tui = Tui {
            report,
            color,
            view: if report.findings.is_empty() { View::Clusters } else { View::Findings },
            process: 0,
            dump: 0,
            cursors: [0; View::ALL.len()],
            scroll: 0,
            only: Only::Everyone,
            search: String::new(),
            typing: false,
            ended: false,
            links: chain(report),
            clusters: Vec::new(),
            threads: Vec::new(),
            waits: Vec::new(),
        };
        tui.enter(0);
        tui
    }

    /// Whether the user has seen enough.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether keys write a search.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Goes to the newest dump of a process.
    pub(super) fn enter(&mut self, process: usize) {
        self.process = process;
        self.dump = self.dumps().saturating_sub(1);
        self.only = Only::Everyone;
        self.cursors[1..].fill(0);
        let id = self.process().map(|process| &process.id);
        let clusters = self.report.clusters.iter().enumerate();
        let own = clusters.filter(|(_, cluster)| Some(&cluster.process) == id);
        self.clusters = own.map(|(number, _)| number).collect();
        let trees = self.picture().map(trees).unwrap_or_default();
        self.waits = trees.into_iter().flat_map(|tree| tree.lines).collect();
        self.choose();
    }

    /// Finds the threads that are wanted: the busy before the idle, those of a cluster together.
    pub(super) fn choose(&mut self) {
        self.cursors[View::Threads as usize] = 0;
        self.scroll = 0;
        let Some(picture) = self.picture() else {
            self.threads = Vec::new();
            return;
        };
        let found = matching_sights(picture, &self.search);
        let told = self.told_of(picture);
        let wanted = |&number: &u32| self.is_wanted(picture, number, &told, &found);
        let mut threads: Vec<u32> = (0..picture.members.len() as u32).filter(wanted).collect();
        threads.sort_by_key(|&number| {
            let sight = newest(picture, &picture.members[number as usize]);
            let cluster = sight.and_then(|sight| sight.cluster);
            (sight.is_none_or(|sight| sight.idle), cluster.unwrap_or(u32::MAX))
        });
        self.threads = threads;
    }

    /// Who is in the finding that is wanted.
    fn told_of(&self, picture: &Picture) -> HashSet<u32> {
        let Only::Finding(id) = self.only else { return HashSet::new() };
        let finding = picture.findings.iter().find(|finding| finding.id == id);
        let lists = finding.map(|told| [&told.members, &told.victims, &told.holders]);
        lists.into_iter().flatten().flatten().copied().collect()
    }

    fn is_wanted(
        &self,
        picture: &Picture,
        number: u32,
        told: &HashSet<u32>,
        found: &[bool],
    ) -> bool {
        let member = &picture.members[number as usize];
        let in_sight = |wanted: &dyn Fn(usize) -> bool| {
            member.seen.iter().flatten().any(|seen| wanted(seen.sight as usize))
        };
        let wanted = match self.only {
            Only::Everyone => true,
            Only::Cluster(cluster) => {
                in_sight(&|sight| picture.sights[sight].cluster == Some(cluster as u32))
            }
            Only::Finding(_) => told.contains(&number),
        };
        let named = || {
            let words = [&member.member.name, &member.member.id];
            words.iter().any(|word| holds(word, &self.search))
        };
        wanted && (self.search.is_empty() || named() || in_sight(&|sight| found[sight]))
    }

    pub(super) fn process(&self) -> Option<&'a ProcessReport> {
        self.report.processes.get(self.process)
    }

    /// How many dumps the process has.
    pub(super) fn dumps(&self) -> usize {
        self.process().map_or(0, |process| process.dumps.len())
    }

    pub(super) fn picture(&self) -> Option<&'a Picture> {
        let process = self.process()?;
        self.report.pictures.iter().find(|picture| picture.process == process.id)
    }

    pub(super) fn cluster(&self, row: usize) -> Option<(usize, &'a ClusterReport)> {
        let number = *self.clusters.get(row)?;
        Some((number, self.report.clusters.get(number)?))
    }

    pub(super) fn member(&self, row: usize) -> Option<&'a PictureMember> {
        let number = *self.threads.get(row)?;
        self.picture()?.members.get(number as usize)
    }

    /// How many rows the view has.
    pub(super) fn rows(&self) -> usize {
        match self.view {
            View::Findings => self.links.len(),
            View::Clusters => self.clusters.len(),
            View::Threads => self.threads.len(),
            View::Waits => self.waits.len(),
        }
    }

    /// The chosen row of the view.
    pub(super) fn cursor(&self) -> usize {
        self.cursors[self.view as usize]
    }
}

/// For each sight whether its stack has a function with these words.
fn matching_sights(picture: &Picture, words: &str) -> Vec<bool> {
    let functions: Vec<bool> = picture.functions.iter().map(|name| holds(name, words)).collect();
    let mut nodes: Vec<bool> = Vec::with_capacity(picture.nodes.len());
    for node in &picture.nodes {
        let (function, _) = picture.calls[node.call as usize];
        let above = node.caller.is_some_and(|caller| nodes[caller as usize]);
        nodes.push(above || functions[function as usize]);
    }
    let found = |sight: &Sight| sight.stack.is_some_and(|stack| nodes[stack as usize]);
    picture.sights.iter().map(found).collect()
}

/// Whether a text holds words, in capitals or not.
fn holds(text: &str, words: &str) -> bool {
    text.to_lowercase().contains(&words.to_lowercase())
}

/// What a member looks like in the newest dump that shows it.
fn newest<'a>(picture: &'a Picture, member: &PictureMember) -> Option<&'a Sight> {
    let seen = member.seen.iter().rev().flatten().next()?;
    picture.sights.get(seen.sight as usize)
}
