//! Clusters for people: one group a line, or the tree of all stacks.

use std::io::{self, Write};

use sigquit_dump::Kind;

use super::in_order;
use crate::cluster::{AtLevel, Clustered, Group, Node, Tree};
use crate::model::Incident;
use crate::render::plain::plain;

/// A stack of more branches than this is drawn no further to the right.
const DEEPEST: usize = 60;

/// Writes the clusters of each process; what has fewer than `least` members in every dump is left
/// out, and that is said.
///
/// # Errors
/// Those of the writer.
pub fn clusters(shown: &[Clustered], least: usize, mut out: impl Write) -> io::Result<()> {
    let mut gap = "";
    for one in shown {
        writeln!(out, "{gap}{}: {}", one.incident.id, heading(one.incident))?;
        gap = "\n";
        match &one.at {
            AtLevel::Groups(groups) => write_groups(one, groups, least, &mut out)?,
            AtLevel::Tree(tree) => write_tree(tree, least, &mut out)?,
        }
    }
    Ok(())
}

/// `200 goroutines, 3 dumps`
fn heading(incident: &Incident) -> String {
    let dumps = incident.dumps.len();
    let kind = incident.members.first().map_or(Kind::Thread, |member| member.kind);
    let is_one = incident.members.iter().all(|member| member.kind == kind);
    let noun = if is_one { kind.noun() } else { "thread or task" };
    let count = incident.members.len();
    let noun = match (count, is_one) {
        (1, _) => noun.to_owned(),
        (_, true) => format!("{noun}s"),
        (_, false) => "threads and tasks".to_owned(),
    };
    format!("{count} {noun}, {dumps} dump{}", if dumps == 1 { "" } else { "s" })
}

fn write_groups(
    one: &Clustered,
    groups: &[Group],
    least: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let widths = widths(groups.iter().map(|group| &group.per_dump[..]));
    let few = groups.iter().filter(|group| group.most() < least).count();
    for group in groups.iter().filter(|group| group.most() >= least) {
        let mark = if group.idle { "idle" } else { "" };
        let counts = counts(&group.per_dump, &widths);
        writeln!(out, "{counts}  {mark:4}  {}", plain(&group.signature))?;
        let mut told = vec![group.signature.as_str()];
        for &cluster in &group.clusters {
            let other = one.clusters[cluster].signature.as_str();
            if !told.contains(&other) {
                writeln!(out, "{:width$}  also  {}", "", plain(other), width = counts.len())?;
                told.push(other);
            }
        }
    }
    say_left_out(few, least, out)
}

fn write_tree(tree: &Tree, least: usize, out: &mut impl Write) -> io::Result<()> {
    let widths = widths(tree.nodes.iter().map(|node| &node.per_dump[..]));
    let mut line = Vec::new();
    let placed = in_order(tree, least);
    for place in &placed {
        let node = &tree.nodes[place.node];
        if place.depth == 0 {
            write_root(node, &widths, out)?;
            continue;
        }
        line.truncate(place.depth - 1);
        let lead = lead(&line);
        let (first, other) = if place.last { ("└ ", "  ") } else { ("├ ", "│ ") };
        let counts = counts(&node.per_dump, &widths);
        let mut functions = node.functions.iter().map(|function| plain(function));
        let innermost = functions.next().unwrap_or_default();
        writeln!(out, "{counts}  {lead}{first}{innermost}{}", remark(node))?;
        for function in functions {
            writeln!(out, "{:width$}  {lead}{other}{function}", "", width = counts.len())?;
        }
        line.push(other);
    }
    say_left_out(tree.nodes.len() - placed.len(), least, out)
}

fn write_root(node: &Node, widths: &[usize], out: &mut impl Write) -> io::Result<()> {
    let ends = node.ends.iter().copied().max().unwrap_or(0);
    let without =
        if ends > 0 { format!(", {ends} of them without a stack") } else { String::new() };
    writeln!(out, "{}  all{without}", counts(&node.per_dump, widths))
}

/// Who among those here goes no further, and that nobody here is at work.
fn remark(node: &Node) -> String {
    let ends = node.ends.iter().copied().max().unwrap_or(0);
    let idle = if node.idle { "  (idle)" } else { "" };
    match (node.children.is_empty(), ends) {
        (true, _) | (_, 0) => idle.to_owned(),
        (false, ends) => format!("{idle}  ({ends} here)"),
    }
}

/// The lines that lead past a branch to what stands beneath.
fn lead(line: &[&str]) -> String {
    match line.len().checked_sub(DEEPEST) {
        None | Some(0) => line.concat(),
        Some(more) => format!("{}[+{more}] ", line[..DEEPEST].concat()),
    }
}

/// For each dump, the columns that its largest count takes.
fn widths<'a>(all: impl Iterator<Item = &'a [usize]>) -> Vec<usize> {
    let mut widths = Vec::new();
    for counts in all {
        widths.resize(widths.len().max(counts.len()), 1);
        for (width, count) in widths.iter_mut().zip(counts) {
            *width = (*width).max(count.checked_ilog10().unwrap_or(0) as usize + 1);
        }
    }
    widths
}

fn counts(per_dump: &[usize], widths: &[usize]) -> String {
    let counts = widths.iter().enumerate().map(|(dump, &width)| {
        let count = per_dump.get(dump).copied().unwrap_or(0);
        format!("{count:>width$}")
    });
    counts.collect::<Vec<_>>().join(" ")
}

fn say_left_out(places: usize, least: usize, out: &mut impl Write) -> io::Result<()> {
    match places {
        0 => Ok(()),
        1 => writeln!(out, "1 more place with fewer than {least}"),
        _ => writeln!(out, "{places} more places with fewer than {least} each"),
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::cluster::Level;
    use crate::model::scene::Scene;

    fn shown(level: Level, least: usize) -> String {
        let scene = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("a", &["shop.Map.get", "shop.Page.show", "shop.Server.run"]);
                dump.thread("b", &["shop.Map.put", "shop.Page.show", "shop.Server.run"]);
                dump.thread("c", &["shop.Page.show", "shop.Server.run"]);
            })
            .dump(1, |dump| {
                for name in ["a", "b", "d"] {
                    dump.thread(name, &["shop.Map.get", "shop.Page.show", "shop.Server.run"]);
                }
                dump.thread("e", &["java.net.ServerSocket.accept", "shop.Server.run"]);
                dump.thread("f", &[]);
            });
        let incident = scene.incident();
        let mut out = Vec::new();
        clusters(&[Clustered::of(&incident, level)], least, &mut out).expect("a buffer");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_tree_counts_who_passes_through_in_each_dump() {
        let expected = "\
p1: 6 threads, 2 dumps
3 5  all, 1 of them without a stack
3 4  └ shop.Server.run
3 3    ├ shop.Page.show  (1 here)
1 3    │ ├ shop.Map.get
1 0    │ └ shop.Map.put
0 1    └ java.net.ServerSocket.accept  (idle)
";
        assert_eq!(shown(Level::Tree, 1), expected);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let told = shown(Level::Tree, 2);
        assert!(
            told.ends_with("1 3      └ shop.Map.get\n2 more places with fewer than 2 each\n"),
            "{told}"
        );
        let told = shown(Level::Exact, 2);
        assert!(told.ends_with("4 more places with fewer than 2 each\n"), "{told}");
    }

    #[test]
    fn a_group_is_a_line() {
        let told = shown(Level::Signature, 1);
        assert!(
            told.contains("1 3        shop.Map.get < shop.Page.show < shop.Server.run\n"),
            "{told}"
        );
        assert!(told.contains("0 1  idle  shop.Server.run\n"), "{told}");
    }
}
