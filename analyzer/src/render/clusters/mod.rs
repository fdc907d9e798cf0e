//! Clusters at one of their levels, to read and for programs.

mod json;
mod text;

pub use json::clusters_json;
pub use text::clusters;

use crate::cluster::Tree;

/// The nodes of a tree as they are written: each before those that it calls, the largest first.
/// Those with fewer members than `least` in every dump are left out. Each with its depth, and whether
/// it is the last that its caller calls.
fn in_order(tree: &Tree, least: usize) -> Vec<Placed> {
    let mut placed = Vec::new();
    let mut next = vec![Placed { node: 0, parent: None, depth: 0, last: true }];
    while let Some(place) = next.pop() {
        let node = &tree.nodes[place.node];
        let is_shown = |&&child: &&usize| tree.nodes[child].most() >= least;
        let children: Vec<usize> = node.children.iter().filter(is_shown).copied().collect();
        // The last to be written is put down first.
        for (at, &child) in children.iter().enumerate().rev() {
            let last = at + 1 == children.len();
            let parent = Some(place.node);
            next.push(Placed { node: child, parent, depth: place.depth + 1, last });
        }
        placed.push(place);
    }
    placed
}

/// Where a node stands in what is written.
struct Placed {
    node: usize,
    parent: Option<usize>,
    /// The root's is 0.
    depth: usize,
    last: bool,
}
