//! What is said of the chosen row, as lines.

use super::state::{Tui, View};
use crate::explain::{ClusterReport, Picture, PictureMember};
use crate::render::fold::{called, fold};
use crate::render::frame::short_path;
use crate::render::page::Page;
use crate::render::phrase::kind_name;
use crate::render::text::whole_finding;

/// How many groups of names are listed.
const NAMES: usize = 12;

/// What is said of the chosen row, in lines of so many columns.
pub(super) fn detail(tui: &Tui, width: usize) -> Vec<String> {
    let page = Page { width, color: false };
    let told = match tui.view {
        View::Findings => tui.links.get(tui.cursor()).map(|link| whole_finding(link.finding, page)),
        View::Clusters => tui.cluster(tui.cursor()).map(|(_, cluster)| of_cluster(cluster, page)),
        View::Threads => tui.member(tui.cursor()).and_then(|member| of_member(tui, member, page)),
        View::Waits => None,
    };
    told.unwrap_or_default()
}

fn of_cluster(cluster: &ClusterReport, page: Page) -> Vec<String> {
    let counts: Vec<String> = cluster.per_dump.iter().map(usize::to_string).collect();
    let states: Vec<String> =
        cluster.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let mut lines = page.wrap("dumps   ", &counts.join(", "));
    lines.extend(page.wrap("states  ", states.join(", ").trim()));
    lines.extend(page.wrap("who     ", &fold(&cluster.members, NAMES)));
    lines.push(String::new());
    lines.extend(cluster.frames.iter().flat_map(|frame| page.wrap("at ", frame)));
    lines
}

fn of_member(tui: &Tui, member: &PictureMember, page: Page) -> Option<Vec<String>> {
    let picture = tui.picture()?;
    let dump = tui.process()?.dumps.get(tui.dump)?;
    let name = called(&member.member);
    let number = format!("{} {}", kind_name(member.member.kind), member.member.id);
    let mut lines = page.wrap("", &name);
    if member.member.id != member.member.name {
        lines.extend(page.wrap("", &number));
    }
    lines.extend(roles(tui, picture).iter().flat_map(|role| page.wrap("", role)));
    let Some(seen) = member.seen.get(tui.dump).copied().flatten() else {
        lines.push(format!("It is not in {}.", dump.id));
        return Some(lines);
    };
    let sight = picture.sights.get(seen.sight as usize)?;
    let idle = if sight.idle { ", idle" } else { "" };
    let same = if seen.same { "; the same activation as in the dump before" } else { "" };
    let word = match sight.state.as_str() {
        "" => String::new(),
        word => format!(" ({word})"),
    };
    let state = format!("{}: it {}{word}{idle}{same}", dump.id, sight.activity);
    lines.extend(page.wrap("", &state));
    lines.push(String::new());
    lines.extend(stack(picture, sight.stack).iter().flat_map(|frame| page.wrap("at ", frame)));
    Some(lines)
}

/// The findings that the chosen member is in.
fn roles(tui: &Tui, picture: &Picture) -> Vec<String> {
    let Some(number) = tui.threads.get(tui.cursor()) else { return Vec::new() };
    let roles = picture.findings.iter().flat_map(|finding| {
        [
            (&finding.members, "in"),
            (&finding.victims, "suffers from"),
            (&finding.holders, "holds what is waited for in"),
        ]
        .map(|(list, words)| (list.contains(number), format!("{words} {}", finding.id)))
    });
    roles.filter(|(is_in, _)| *is_in).map(|(_, words)| words).collect()
}

/// The functions of a stack, innermost first, each with its place.
fn stack(picture: &Picture, innermost: Option<u32>) -> Vec<String> {
    let node = |at: u32| picture.nodes.get(at as usize);
    let nodes = std::iter::successors(innermost.and_then(node), |last| last.caller.and_then(node));
    let frames = nodes.map(|node| {
        let (function, place) = &picture.calls[node.call as usize];
        let function = &picture.functions[*function as usize];
        match place.as_str() {
            "" => function.clone(),
            place => format!("{function} ({})", short_path(place)),
        }
    });
    frames.collect()
}
