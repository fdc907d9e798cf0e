//! All stacks of all dumps merged from their roots: the prefix level. Nothing is lost by it, and nothing
//! merged that is not the same.
//!
//! Functions that the same members pass through, one calling the other, are one node: an
//! equivalence class. A node keeps how many are there in each dump and one who is, not everyone; so the tree is as
//! large as there are distinct stacks.
//!
//! Method: the merged trace of STAT over space and time (Arnold et al., IPDPS 2007), whose edges
//! carry a count and a representative since 208,000 processes (Lee et al., SC 2008).

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Cluster;
use crate::model::MemberId;

/// The merged stacks of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The nodes; the first is the root, which everyone passes through and which has no function.
    pub nodes: Vec<Node>,
}

/// Functions that the same members pass through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The functions, the outermost first.
    pub functions: Vec<String>,
    /// For each dump, how many members pass through here.
    pub per_dump: Vec<usize>,
    /// For each dump, how many of them call nothing further.
    pub ends: Vec<usize>,
    /// Nobody passes through but the idle.
    pub idle: bool,
    /// One of those who pass through, to look at.
    pub example: Option<MemberId>,
    /// The clusters whose stacks end here, by their place among the clusters.
    pub clusters: Vec<usize>,
    /// The nodes that are called from here, the largest first.
    pub children: Vec<usize>,
}

impl Node {
    /// The most members that one dump shows here.
    pub fn most(&self) -> usize {
        self.per_dump.iter().copied().max().unwrap_or(0)
    }
}

/// Merges the stacks of one process's clusters.
pub fn tree(clusters: &[Cluster]) -> Tree {
    let stacks = sorted(clusters);
    let mut tree = Tree::default();
    tree.add(clusters, &stacks, 0, 0);
    let mut next = vec![Branch { node: 0, from: 0, until: stacks.len(), depth: 0 }];
    while let Some(branch) = next.pop() {
        let stacks_here = &stacks[branch.from..branch.until];
        let mut children = Vec::new();
        for (from, until) in runs(stacks_here, branch.depth) {
            let (first, last) = (&stacks_here[from], &stacks_here[until - 1]);
            let depth = common(&first.functions, &last.functions);
            let node = tree.add(clusters, &stacks_here[from..until], branch.depth, depth);
            children.push(node);
            let (from, until) = (branch.from + from, branch.from + until);
            next.push(Branch { node, from, until, depth });
        }
        children.sort_by(|&one, &other| {
            let (one, other) = (&tree.nodes[one], &tree.nodes[other]);
            other.most().cmp(&one.most()).then_with(|| one.functions.cmp(&other.functions))
        });
        tree.nodes[branch.node].children = children;
    }
    tree
}

/// Stacks, neighbours in their order, that agree to such a depth; they pass through a node.
struct Branch {
    node: usize,
    from: usize,
    until: usize,
    depth: usize,
}

/// The stack of one cluster.
struct Rooted {
    /// Functions by number, the outermost first.
    functions: Vec<u32>,
    cluster: usize,
}

/// The stacks in an order in which those that begin alike are neighbours.
fn sorted(clusters: &[Cluster]) -> Vec<Rooted> {
    let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
    let mut number = |name| {
        let next = numbers.len() as u32;
        *numbers.entry(name).or_insert(next)
    };
    let mut stacks: Vec<Rooted> = (0..)
        .zip(clusters)
        .map(|(cluster, one)| {
            let functions = one.frames.iter().rev().map(|name| number(name.as_str())).collect();
            Rooted { functions, cluster }
        })
        .collect();
    stacks.sort_by(|a, b| a.functions.cmp(&b.functions).then(a.cluster.cmp(&b.cluster)));
    stacks
}

/// Neighbours that have the same function at that depth. Those that end before it are in none; they
/// come first.
fn runs(stacks: &[Rooted], depth: usize) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut from = stacks.partition_point(|stack| stack.functions.len() <= depth);
    while let Some(first) = stacks.get(from) {
        let is_same = |stack: &Rooted| stack.functions[depth] == first.functions[depth];
        let until = from + stacks[from..].partition_point(is_same);
        runs.push((from, until));
        from = until;
    }
    runs
}

/// So many functions two stacks have in common, from their roots.
fn common(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(here, there)| here == there).count()
}

impl Tree {
    /// Adds a node for stacks that agree from one depth to another; returns its number.
    fn add(&mut self, clusters: &[Cluster], stacks: &[Rooted], from: usize, until: usize) -> usize {
        let here = || stacks.iter().map(|stack| (stack, &clusters[stack.cluster]));
        let ending = || here().filter(|(stack, _)| stack.functions.len() == until);
        let largest = here().map(|(_, cluster)| cluster).max_by_key(|cluster| cluster.most());
        let functions = here().next().map(|(_, cluster)| {
            cluster.frames.iter().rev().take(until).skip(from).cloned().collect()
        });
        self.nodes.push(Node {
            functions: functions.unwrap_or_default(),
            per_dump: sum(here().map(|(_, cluster)| cluster)),
            ends: sum(ending().map(|(_, cluster)| cluster)),
            idle: here().all(|(_, cluster)| cluster.idle),
            example: largest.and_then(|cluster| cluster.members.first().copied()),
            clusters: ending().map(|(stack, _)| stack.cluster).collect(),
            children: Vec::new(),
        });
        self.nodes.len() - 1
    }
}

/// For each dump, how many are in any of these.
fn sum<'a>(clusters: impl Iterator<Item = &'a Cluster>) -> Vec<usize> {
    let mut sum: Vec<usize> = Vec::new();
    for cluster in clusters {
        sum.resize(sum.len().max(cluster.per_dump.len()), 0);
        sum.iter_mut().zip(&cluster.per_dump).for_each(|(sum, count)| *sum += count);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::cluster;
    use crate::model::scene::Scene;
    use sigquit_dump::Runtime;

    /// The tree in brackets: `run 3 > [get 1, put 2]`, of one dump.
    fn told(tree: &Tree, node: usize) -> String {
        let node = &tree.nodes[node];
        let own = format!("{} {}", node.functions.join("."), node.per_dump[0]);
        let children: Vec<String> = node.children.iter().map(|&one| told(tree, one)).collect();
        if children.is_empty() { own } else { format!("{own} [{}]", children.join(", ")) }
    }

    fn drawn(stacks: &[&[&str]]) -> Tree {
        let scene = Scene::of(Runtime::Rust).dump(0, |dump| {
            for (number, stack) in stacks.iter().enumerate() {
                dump.thread(&number.to_string(), stack);
            }
        });
        tree(&cluster(&scene.incident()))
    }

    #[test]
    fn stacks_meet_at_their_roots_and_part_where_they_differ() {
        let tree = drawn(&[
            &["hash", "get", "serve", "run"],
            &["get", "serve", "run"],
            &["put", "serve", "run"],
            &["put", "serve", "run"],
            &["listen", "run"],
        ]);
        assert_eq!(told(&tree, 0), " 5 [run 5 [serve 4 [get 2 [hash 1], put 2], listen 1]]");
        let get = tree.nodes.iter().find(|node| node.functions == ["get"]).expect("a node");
        assert_eq!((get.ends[0], get.clusters.len()), (1, 1));
    }

    #[test]
    fn what_the_same_members_pass_through_is_one_node() {
        let tree = drawn(&[&["c", "b", "a"], &["c", "b", "a"]]);
        assert_eq!(told(&tree, 0), " 2 [a.b.c 2]");
    }

    #[test]
    fn a_stack_that_calls_itself_ever_deeper_is_no_matter() {
        let deep = vec!["again"; 5000];
        let stacks: Vec<&[&str]> = (1..40).map(|part| &deep[..part * 125]).collect();
        let tree = drawn(&stacks);
        assert_eq!(tree.nodes.len(), 40);
        assert_eq!(tree.nodes.iter().map(|node| node.functions.len()).sum::<usize>(), 39 * 125);
    }

    #[test]
    fn nobody_and_who_shows_no_stack_are_at_the_root() {
        assert_eq!(told(&drawn(&[&[], &["a"]]), 0), " 2 [a 1]");
        assert_eq!(tree(&[]).nodes, [Node { idle: true, ..Node::default() }]);
    }
}
