//! Clusters for programs: `sigquit.clusters/1`, published as `schema/clusters-1.schema.json`. Nodes of a tree stand in one list, each with the number of
//! its parent: a reader needs no depth.

use std::io::{self, Write};

use serde::Serialize;

use super::{Placed, in_order};
use crate::cluster::{AtLevel, Clustered, Group, Level, Tree};
use crate::render::phrase::kind_name;

/// The name of the shape.
const SCHEMA: &str = "sigquit.clusters/1";

/// Writes the clusters as one JSON object, and a line end. What has fewer than `least` members in
/// every dump is left out.
///
/// # Errors
/// Those of the writer.
pub fn clusters_json(
    shown: &[Clustered],
    level: Level,
    least: usize,
    mut out: impl Write,
) -> io::Result<()> {
    let mut before = 0;
    let mut processes = Vec::new();
    for one in shown {
        processes.push(process(one, before, least));
        before += one.clusters.len();
    }
    let json = Json { schema: SCHEMA, level: level_name(level), processes };
    serde_json::to_writer_pretty(&mut out, &json)?;
    out.write_all(b"\n")
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Exact => "exact",
        Level::Signature => "signature",
        Level::Tree => "tree",
        Level::Family => "family",
    }
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    level: &'static str,
    processes: Vec<JsonProcess<'a>>,
}

#[derive(Serialize)]
struct JsonProcess<'a> {
    id: &'a str,
    pid: Option<u64>,
    dumps: usize,
    groups: Vec<JsonGroup<'a>>,
    nodes: Vec<JsonNode<'a>>,
}

#[derive(Serialize)]
struct JsonGroup<'a> {
    signature: &'a str,
    count: usize,
    per_dump: &'a [usize],
    idle: bool,
    clusters: Vec<String>,
    frames: &'a [String],
}

#[derive(Serialize)]
struct JsonNode<'a> {
    id: usize,
    parent: Option<usize>,
    functions: &'a [String],
    per_dump: &'a [usize],
    ends: &'a [usize],
    idle: bool,
    example: Option<JsonMember<'a>>,
    clusters: Vec<String>,
}

#[derive(Serialize)]
struct JsonMember<'a> {
    kind: &'static str,
    id: &'a str,
    name: &'a str,
}

/// `before` clusters of other processes have their numbers before these.
fn process<'a>(one: &'a Clustered, before: usize, least: usize) -> JsonProcess<'a> {
    let (groups, nodes) = match &one.at {
        AtLevel::Groups(groups) => (
            groups
                .iter()
                .filter(|group| group.most() >= least)
                .map(|group| json_group(one, group, before))
                .collect(),
            Vec::new(),
        ),
        AtLevel::Tree(tree) => (Vec::new(), json_nodes(one, tree, before, least)),
    };
    JsonProcess {
        id: &one.incident.id,
        pid: one.incident.process.pid,
        dumps: one.incident.dumps.len(),
        groups,
        nodes,
    }
}

/// The ids that the report gives to these clusters.
fn ids(clusters: &[usize], before: usize) -> Vec<String> {
    clusters.iter().map(|cluster| format!("c{}", before + cluster + 1)).collect()
}

fn json_group<'a>(one: &'a Clustered, group: &'a Group, before: usize) -> JsonGroup<'a> {
    let largest = group.clusters.first().map(|&cluster| &one.clusters[cluster]);
    JsonGroup {
        signature: &group.signature,
        count: group.per_dump.iter().rev().copied().find(|&count| count > 0).unwrap_or(0),
        per_dump: &group.per_dump,
        idle: group.idle,
        clusters: ids(&group.clusters, before),
        frames: largest.map_or(&[], |cluster| &cluster.frames),
    }
}

fn json_nodes<'a>(
    one: &'a Clustered,
    tree: &'a Tree,
    before: usize,
    least: usize,
) -> Vec<JsonNode<'a>> {
    let json_node = |place: &Placed| {
        let node = &tree.nodes[place.node];
        let example = node.example.map(|id| {
            let member = one.incident.member(id);
            JsonMember { kind: kind_name(member.kind), id: &member.id, name: &member.name }
        });
        JsonNode {
            id: place.node,
            parent: place.parent,
            functions: &node.functions,
            per_dump: &node.per_dump,
            ends: &node.ends,
            idle: node.idle,
            example,
            clusters: ids(&node.clusters, before),
        }
    };
    in_order(tree, least).iter().map(json_node).collect()
}
