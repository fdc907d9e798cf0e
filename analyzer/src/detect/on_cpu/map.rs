//! Maps that are not made for many threads, known by their own functions, and what it looks
//! like when several threads broke one.
//!
//! A stack alone does not tell a healthy look-up from one that walks in a circle: a program that
//! does nothing but look up shows the same frames in every dump. So a look at the registers
//! decides, where there is one. Where there is none, as in a JVM's dumps, it takes
//! - a thread that stays in code which only rearranges chains or trees, or
//! - several threads that stay in the map and came to it from different functions, or
//! - several that stay in a walk through all entries by their links: a hint, as a large map is walked likewise,
//!
//! each with its whole stack the same to the line. In machine code, where a thread is met at any
//! instruction and not only where its runtime stops it, many sights of several threads that are
//! all in the map's own function will do too.

use std::collections::BTreeSet;

use crate::model::{Activation, Call, FunctionName, Incident, Origin, words};

use super::belief::belief;
use super::progress::Progress;
use super::thresholds::{MANY, MANY_SIGHTS, NEAR_LEAF, SAME_DUMPS};
use super::{Candidate, is_near_leaf};

/// Where in a map's code a member stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) struct InMap {
    /// The map's type as its functions name it: `java.util.HashMap`, `order::cache::Map`.
    pub type_path: String,
    /// What its functions have in common, whether methods of the type or functions beside it.
    family: String,
    part: Part,
    /// Place among the activation's calls of the outermost one that belongs to the map.
    pub outermost: usize,
    /// The function that called the map.
    pub entry: Option<String>,
}

/// What a function does in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Looks up, adds, removes, grows: what any user of the map is seen in.
    Use,
    /// Goes through all entries by their links, which a circle among them never ends.
    Walk,
    /// Walks a bucket that became a tree: rare in a healthy map.
    Tree,
    /// Rearranges chains or trees: soon over in a healthy map.
    Rearrange,
}

/// Where an activation is in a map's code, if it stays in it and calls nothing outside.
pub(super) fn in_map(incident: &Incident, activation: &Activation) -> Option<InMap> {
    let of_map_or_key = |name: &str| function(name).is_some() || is_key_function(name);
    if !is_near_leaf(incident, activation, of_map_or_key) {
        return None;
    }
    let calls: Vec<&Call> = activation.calls.iter().map(|&call| incident.call(call)).collect();
    let is_outside =
        |call: &&Call| call.origin == Origin::Application && !of_map_or_key(&call.function);
    let near = calls.iter().take(NEAR_LEAF + 1).take_while(|call| !is_outside(call));
    let innermost = near.clone().position(|call| function(&call.function).is_some())?;
    let of_map = calls[innermost..].iter().map_while(|call| function(&call.function));
    let outermost = innermost + of_map.clone().count() - 1;
    let entry = calls.get(outermost + 1).map(|call| call.function.clone());
    let is_guarded = entry.as_deref().is_some_and(is_synchronized);
    (!is_guarded).then_some(InMap {
        type_path: type_path(&calls[innermost].function),
        family: of_map.clone().next()?.0,
        part: of_map.map(|(_, part)| part).max()?,
        outermost,
        entry,
    })
}

/// What a map asks of its keys.
fn is_key_function(function: &str) -> bool {
    const ASKS: &[&str] = &["eq", "equals", "equal", "hash", "compare", "cmp", "partial"];
    let words = words(FunctionName::of(function).method);
    words.first().is_some_and(|word| ASKS.contains(&word.as_str()))
}

/// Types that are maps without a lock, in whatever package: programs carry copies of them.
const JAVA_MAPS: &[&str] = &[
    "HashMap",
    "HashSet",
    "LinkedHashMap",
    "LinkedHashSet",
    "WeakHashMap",
    "IdentityHashMap",
    "TreeMap",
    "TreeSet",
    "HashTable",
];
/// Words of a type or a module that make it a map.
const MAPS: &[&str] = &[
    "map",
    "maps",
    "hashmap",
    "table",
    "hashtable",
    "dict",
    "dictionary",
    "hash",
    "hashset",
    "hashbrown",
];
/// Words of a type that say that it is made for many threads.
const SAFE: &[&str] = &[
    "concurrent",
    "synchronized",
    "sync",
    "atomic",
    "dash",
    "dashmap",
    "sharded",
    "striped",
    "lockfree",
    "locked",
    "nonblocking",
    "mutex",
    "rwlock",
    "cow",
];
/// Words with which the functions of a map begin.
const USES: &[&str] = &[
    "get", "find", "lookup", "look", "search", "probe", "contains", "has", "insert", "put", "add",
    "set", "store", "upsert", "entry", "remove", "delete", "erase", "resize", "grow", "expand",
    "reserve", "rehash", "transfer", "split", "walk", "retrieve", "seek", "repack",
];
/// Functions that go through all entries.
const WALKS: &[&str] = &["containsValue"];
/// Maps that go through their entries by links, and not through a table.
const LINKED: &[&str] = &["LinkedHashMap", "LinkedHashSet", "TreeMap"];
/// Functions that rearrange chains or trees.
const REARRANGES: &[&str] = &[
    "transfer",
    "split",
    "treeify",
    "untreeify",
    "root",
    "replacementNode",
    "replacementTreeNode",
    "expungeStaleEntries",
    "removeTreeNode",
    "balanceInsertion",
    "balanceDeletion",
    "rotateLeft",
    "rotateRight",
    "moveRootToFront",
    "fixAfterInsertion",
    "fixAfterDeletion",
    "rotate_left",
    "rotate_right",
    "rebalance",
];

/// The map that a function belongs to, and what it does in it.
fn function(function: &str) -> Option<(String, Part)> {
    let name = FunctionName::of(function);
    let type_words = words(name.outer_type());
    let is_map_word = |word: &String| MAPS.contains(&word.as_str());
    let begins_like_use =
        || words(name.method).first().is_some_and(|word| USES.contains(&word.as_str()));
    let is_java = JAVA_MAPS.contains(&name.outer_type());
    let is_other =
        || type_words.iter().any(is_map_word) && (begins_like_use() || rearranges(&name));
    let is_safe = is_synchronized(name.owner) || name.owner.starts_with("core::");
    if is_safe || !(is_java || is_other()) {
        return None;
    }
    let part = if rearranges(&name) {
        Part::Rearrange
    } else if name.type_name.ends_with("$TreeNode") {
        Part::Tree
    } else if LINKED.contains(&name.outer_type()) && WALKS.contains(&name.method) {
        Part::Walk
    } else {
        Part::Use
    };
    Some((type_words.concat(), part))
}

fn rearranges(name: &FunctionName) -> bool {
    REARRANGES.contains(&name.method)
}

fn is_synchronized(path: &str) -> bool {
    words(path).iter().any(|word| SAFE.contains(&word.as_str()))
}

/// `java.util.HashMap$TreeNode.find` -> `java.util.HashMap`
fn type_path(function: &str) -> String {
    let owner = FunctionName::of(function).owner;
    owner.split('$').next().unwrap_or(owner).to_owned()
}

/// A map that is broken, and those who are caught in it.
pub(in crate::detect) struct BrokenMap {
    /// Places of its members among the candidates.
    pub members: Vec<usize>,
    /// How sure that is, from 0 to 1.
    pub confidence: f64,
    /// They may as well go through a large map again and again.
    pub may_be_large: bool,
}

/// The maps that are broken, as far as those who use a CPU show it.
pub(super) fn broken_maps(candidates: &[Candidate]) -> Vec<BrokenMap> {
    let family = |candidate: &Candidate| candidate.in_map.as_ref().map(|map| map.family.clone());
    let families: BTreeSet<String> = candidates.iter().filter_map(family).collect();
    let of_family = |name: &String| -> Vec<usize> {
        (0..candidates.len()).filter(|&at| family(&candidates[at]).as_ref() == Some(name)).collect()
    };
    families.iter().filter_map(|name| broken_map(candidates, &of_family(name))).collect()
}

fn broken_map(candidates: &[Candidate], of_family: &[usize]) -> Option<BrokenMap> {
    let stays = |candidate: &Candidate| {
        let whole = candidate.activation.as_ref().is_some_and(|activation| activation.whole);
        let near = candidate.activation.as_ref().is_some_and(|activation| activation.by_address);
        matches!(candidate.progress, Progress::Recurs(_)) || whole || near
    };
    let caught = |&at: &usize| {
        !matches!(candidates[at].progress, Progress::Moves(_)) && stays(&candidates[at])
    };
    let members: Vec<usize> = of_family.iter().copied().filter(caught).collect();
    let caught: Vec<&Candidate> = members.iter().map(|&at| &candidates[at]).collect();
    let belief = belief(&caught);
    let confidence = match belief.is_seen {
        true => belief.confidence,
        false => by_stacks(&caught, caught.len() == of_family.len())?,
    };
    let may_be_large = !belief.is_seen && confidence <= OR_LARGE;
    Some(BrokenMap { members, confidence, may_be_large })
}

/// That several never leave a walk through all entries is what a circle looks like, and a large map to whoever looks
/// through it again and again.
const OR_LARGE: f64 = 0.45;

/// How sure it is, by the stacks alone, that these are caught in a broken map; `all` says that
/// nobody else moves in a map of that type.
fn by_stacks(caught: &[&Candidate], all: bool) -> Option<f64> {
    let maps: Vec<&InMap> = caught.iter().filter_map(|one| one.in_map.as_ref()).collect();
    let entries: BTreeSet<&Option<String>> = maps.iter().map(|map| &map.entry).collect();
    let dumps = caught.iter().filter_map(|one| Some(one.activation.as_ref()?.above.len())).min()?;
    let several = caught.len() > 1;
    let in_tree = maps.iter().any(|map| map.part >= Part::Tree);
    let rearranging = maps.iter().any(|map| map.part == Part::Rearrange);
    let walking = maps.iter().all(|map| map.part == Part::Walk);
    let differ = entries.len() > 1;
    let in_leaf = |activation: &Activation| activation.by_address && activation.most_above() == 0;
    let in_leaf = caught.iter().all(|one| one.activation.as_ref().is_some_and(in_leaf));
    match dumps >= SAME_DUMPS {
        true if several && rearranging => Some(0.9),
        true if several && differ => Some(0.85),
        true if several && in_tree => Some(0.75),
        true if several && in_leaf && dumps * caught.len() >= MANY_SIGHTS => Some(0.75),
        true if rearranging => Some(0.7),
        true if several && walking => Some(OR_LARGE),
        false if several && in_tree && (rearranging || differ) => Some(0.65),
        false if caught.len() >= MANY && differ && all => Some(0.6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part_of(name: &str) -> Option<Part> {
        function(name).map(|(_, part)| part)
    }

    #[test]
    fn functions_of_maps_are_known() {
        for (function, expected) in [
            ("java.util.HashMap.getNode", Part::Use),
            ("java.util.HashMap.resize", Part::Use),
            ("java.util.HashMap.transfer", Part::Rearrange),
            ("java.util.LinkedHashMap.containsValue", Part::Walk),
            ("java.util.HashMap.containsValue", Part::Use),
            ("java.util.HashMap$TreeNode.find", Part::Tree),
            ("java.util.HashMap$TreeNode.split", Part::Rearrange),
            ("java.util.TreeMap.fixAfterInsertion", Part::Rearrange),
            ("java.util.WeakHashMap.expungeStaleEntries", Part::Rearrange),
            ("old.copy.HashMap.put", Part::Use),
            ("hashbrown::map::HashMap::insert", Part::Use),
            ("hashbrown::raw::RawTable::find", Part::Use),
            ("order::prices::ChainedMap::get", Part::Use),
            ("order::prices::chained_map::transfer", Part::Rearrange),
            ("main.(*SymbolTable).Lookup", Part::Use),
            ("it.unimi.dsi.fastutil.ints.Int2ObjectOpenHashMap.rehash", Part::Use),
            ("scala.collection.mutable.LongMap.seekEntry", Part::Use),
            ("org.apache.commons.collections4.map.AbstractHashedMap.getEntry", Part::Use),
            ("shop.PriceTable.findPrice", Part::Use),
        ] {
            assert_eq!(part_of(function), Some(expected), "{function}");
        }
    }

    #[test]
    fn other_functions_and_maps_for_many_threads_are_not() {
        for function in [
            "java.util.concurrent.ConcurrentHashMap.get",
            "java.util.Collections$SynchronizedMap.get",
            "dashmap::DashMap::get",
            "order::ShardedMap::get",
            "sync.(*Map).LoadOrStore",
            "core::iter::adapters::map::Map::find",
            "order::prices::price",
            "order::Map::render",
            "java.util.ArrayList.get",
            "order::bitmap::get",
        ] {
            assert_eq!(part_of(function), None, "{function}");
        }
    }
}
