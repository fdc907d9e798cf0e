//! The wait-for graph in the languages of Graphviz (DOT) and Mermaid.
//!
//! An edge leads from who waits to who owns; it is dashed where the owner is inferred or not known.
//! Those who wait for a lock and own nothing that others wait for are one node.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use sigquit_dump::OwnerSource;

use super::fold::{called, fold};
use super::plain::{plain, short};
use crate::explain::{MemberReport, Picture, Report, WantedLock};

/// How many groups of names a node lists.
const NAMES: usize = 4;
/// The longest name of a thread, in columns.
const NAME: usize = 60;
/// The most locks of a process that are drawn; the rest is counted.
const MOST_LOCKS: usize = 500;

/// Writes the wait-for graphs of the newest dumps as DOT.
///
/// # Errors
/// Those of the writer.
pub fn dot(report: &Report, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "digraph waits {{\n  node [shape=box];")?;
    for (number, picture) in report.pictures.iter().enumerate() {
        let graph = Graph::of(picture);
        writeln!(out, "  subgraph cluster_{number} {{\n    label={};", quoted(&picture.process))?;
        for (node, label) in graph.nodes.iter().enumerate() {
            writeln!(out, "    p{number}n{node} [label={}];", quoted(label))?;
        }
        for Edge { from, to, label, dashed } in &graph.edges {
            let style = if *dashed { ", style=dashed" } else { "" };
            let label = quoted(label);
            writeln!(out, "    p{number}n{from} -> p{number}n{to} [label={label}{style}];")?;
        }
        writeln!(out, "  }}")?;
    }
    writeln!(out, "}}")
}

/// Writes the wait-for graphs of the newest dumps as a Mermaid flowchart.
///
/// # Errors
/// Those of the writer.
pub fn mermaid(report: &Report, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    for (number, picture) in report.pictures.iter().enumerate() {
        let graph = Graph::of(picture);
        for (node, label) in graph.nodes.iter().enumerate() {
            writeln!(out, "  p{number}n{node}[\"{}\"]", entities(label))?;
        }
        for Edge { from, to, label, dashed } in &graph.edges {
            let arrow = if *dashed { "-.->" } else { "-->" };
            let label = entities(label);
            writeln!(out, "  p{number}n{from} {arrow}|\"{label}\"| p{number}n{to}")?;
        }
    }
    Ok(())
}

/// A text as a string of DOT, in which a backslash is one.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text as a label of Mermaid: all but letters, digits and a few marks by number.
fn entities(text: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || " .,:()/_-+".contains(c);
    let entity = |c: char| match harmless(c) {
        true => c.to_string(),
        false => format!("#{};", u32::from(c)),
    };
    text.chars().map(entity).collect()
}

#[derive(Default)]
struct Graph {
    /// Labels, made safe.
    nodes: Vec<String>,
    edges: Vec<Edge>,
}

struct Edge {
    from: usize,
    to: usize,
    label: String,
    dashed: bool,
}

impl Graph {
    fn of(picture: &Picture) -> Graph {
        let mut graph = Graph::default();
        let mut known = HashMap::new();
        let blockers: HashSet<u32> =
            picture.locks.iter().flat_map(|lock| &lock.owners).map(|&(owner, _)| owner).collect();
        for lock in picture.locks.iter().take(MOST_LOCKS) {
            let owners = graph.owners(picture, lock, &mut known);
            for waiters in graph.waiters(picture, lock, &blockers, &mut known) {
                for &(to, dashed) in &owners {
                    let label = plain(&lock.name);
                    graph.edges.push(Edge { from: waiters, to, label, dashed });
                }
            }
        }
        if let Some(left) = picture.locks.len().checked_sub(MOST_LOCKS + 1) {
            graph.node(format!("and {} locks more", left + 1));
        }
        graph
    }

    fn node(&mut self, label: String) -> usize {
        self.nodes.push(label);
        self.nodes.len() - 1
    }

    fn member(&mut self, picture: &Picture, at: u32, known: &mut HashMap<u32, usize>) -> usize {
        let label = || short(&called(&picture.members[at as usize].member), NAME);
        *known.entry(at).or_insert_with(|| self.node(label()))
    }

    /// The nodes of a lock's owners, each with whether it is not certain.
    fn owners(
        &mut self,
        picture: &Picture,
        lock: &WantedLock,
        known: &mut HashMap<u32, usize>,
    ) -> Vec<(usize, bool)> {
        if lock.owners.is_empty() {
            return vec![(self.node("owner unknown".into()), true)];
        }
        let owners = lock.owners.iter();
        owners
            .map(|&(owner, source)| {
                (self.member(picture, owner, known), source == OwnerSource::Inferred)
            })
            .collect()
    }

    /// The nodes of those who wait for a lock.
    fn waiters(
        &mut self,
        picture: &Picture,
        lock: &WantedLock,
        blockers: &HashSet<u32>,
        known: &mut HashMap<u32, usize>,
    ) -> Vec<usize> {
        let (owners, leaves): (Vec<u32>, Vec<u32>) =
            lock.waiters.iter().partition(|waiter| blockers.contains(waiter));
        let mut nodes: Vec<usize> =
            owners.into_iter().map(|owner| self.member(picture, owner, known)).collect();
        let leaves: Vec<MemberReport> =
            leaves.into_iter().map(|at| picture.members[at as usize].member.clone()).collect();
        if !leaves.is_empty() {
            nodes.push(self.node(fold(&leaves, NAMES)));
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_labels() {
        assert_eq!(quoted(r#"a"]; b\"#), r#""a\"]; b\\""#);
        assert_eq!(entities("a\"]<b>"), "a#34;#93;#60;b#62;");
    }
}
