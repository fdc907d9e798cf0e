//! The levels at which clusters are shown, from what is the same to what is probably one problem.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Cluster, Tree, cluster, families, tree};
use crate::model::Incident;

/// How much two stacks have to have in common to be told together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The same functions in the same order, and the same kind of state.
    Exact,
    /// The same short name, which outlives rebuilds.
    Signature,
    /// All stacks merged from their roots, as far as they are the same.
    Tree,
    /// Alike as a whole: probably one problem, met in different places.
    Family,
}

/// The clusters of one process at a level.
pub struct Clustered<'a> {
    /// The process.
    pub incident: &'a Incident,
    /// Its exact clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// The same, put together.
    pub at: AtLevel,
}

/// Clusters put together at a level.
pub enum AtLevel {
    /// Those that are one at this level, the largest first.
    Groups(Vec<Group>),
    /// All in one tree.
    Tree(Tree),
}

impl Clustered<'_> {
    /// Clusters a process, and puts its clusters together.
    pub fn of(incident: &Incident, level: Level) -> Clustered<'_> {
        let clusters = cluster(incident);
        let at = match level {
            Level::Exact => AtLevel::Groups(groups(&clusters, (0..clusters.len()).collect())),
            Level::Signature => AtLevel::Groups(groups(&clusters, by_signature(&clusters))),
            Level::Family => AtLevel::Groups(groups(&clusters, families(&clusters))),
            Level::Tree => AtLevel::Tree(tree(&clusters)),
        };
        Clustered { incident, clusters, at }
    }
}

/// Clusters that are one at some level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The signature of the largest of its clusters.
    pub signature: String,
    /// For each dump, how many members it shows here.
    pub per_dump: Vec<usize>,
    /// Everyone in it is idle.
    pub idle: bool,
    /// Its clusters by their places among all, the largest first.
    pub clusters: Vec<usize>,
}

impl Group {
    /// The most members that one dump shows here.
    pub fn most(&self) -> usize {
        self.per_dump.iter().copied().max().unwrap_or(0)
    }
}

/// Clusters put together by numbers, which count from 0 in the order in which they are met.
fn groups(clusters: &[Cluster], numbers: Vec<usize>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, (cluster, number)) in clusters.iter().zip(numbers).enumerate() {
        if number == groups.len() {
            groups.push(Group {
                signature: cluster.signature.clone(),
                per_dump: vec![0; cluster.per_dump.len()],
                idle: true,
                clusters: Vec::new(),
            });
        }
        let group = &mut groups[number];
        group.per_dump.iter_mut().zip(&cluster.per_dump).for_each(|(all, one)| *all += one);
        group.idle &= cluster.idle;
        group.clusters.push(place);
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.most()));
    groups
}

/// For each cluster the number of its signature, from 0, in the order in which they are met.
fn by_signature(clusters: &[Cluster]) -> Vec<usize> {
    let mut known: HashMap<&str, usize, RandomState> = HashMap::default();
    let mut number = |signature| {
        let next = known.len();
        *known.entry(signature).or_insert(next)
    };
    clusters.iter().map(|cluster| number(cluster.signature.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    #[test]
    fn each_level_puts_together_what_the_one_before_tells_apart() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("a", &["java.util.HashMap.hash", "shop.Cache.get", "shop.Page.show"]);
                dump.thread("b", &["java.util.HashMap.find", "shop.Cache.get", "shop.Page.show"]);
                dump.thread("c", &["shop.Cache.get", "shop.Page.show"]).is(ThreadState::Waiting);
                dump.thread("d", &["shop.Cache.sum", "shop.Cache.get", "shop.Page.show"]);
                dump.thread("e", &["shop.Log.write"]);
            })
            .incident();
        let sizes = |level| -> Vec<usize> {
            match Clustered::of(&incident, level).at {
                AtLevel::Groups(groups) => groups.iter().map(|group| group.per_dump[0]).collect(),
                AtLevel::Tree(tree) => tree.nodes[0].per_dump.clone(),
            }
        };
        assert_eq!(sizes(Level::Tree), [5]);
        assert_eq!(sizes(Level::Exact), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(Level::Signature), [3, 1, 1]);
        assert!(sizes(Level::Family).len() <= 5);
        assert_eq!(sizes(Level::Family).iter().sum::<usize>(), 5);
    }
}
