//! Clusters that are probably one problem, met in different places: the fuzzy level.
//!
//! To merge what is not alike is the worse error, so each two members of a family are alike, not only
//! each with some other (complete linkage); and the clusters stay as they are beside it.
//!
//! Method: the similarity is FaST's (Rodrigues, Aloise, Fernandes, MSR 2022), which is linear in the
//! length of the stacks; whom to compare is found by MinHash and banding (Broder 1997; Indyk and Motwani
//! 1998), as comparing all with all is not.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::Cluster;

/// How fast a function's weight falls with its distance from the leaf.
const BY_PLACE: f64 = 0.4;
/// How fast it falls with the share of stacks that it is on.
const BY_SHARE: f64 = 3.0;
/// How fast a match loses worth when the two stand at other distances from the leaf.
const BY_SHIFT: f64 = 0.1;
/// So alike two clusters of one family are at least, where 1 is equal and -1 is nothing in common.
const ALIKE: f64 = 0.5;

/// Bands of so many rows: two stacks that share nine tenths of their features meet nearly always, two
/// that share a tenth seldom.
const BANDS: usize = 16;
const ROWS: usize = 2;
/// Functions near the leaf that features are made of.
const NEAR_LEAF: usize = 12;
/// A function on more than this share of stacks tells nothing of a problem.
const COMMON: f64 = 0.2;
/// Shares of fewer stacks than this are taken of this many: of three, each is a third.
const FEW: f64 = 50.0;
/// So many members of a family are compared with a new one; the first few speak for the rest.
const SPEAKERS: usize = 32;
/// Comparisons of one stack within one band: a crowd of equal features is not compared all with all.
const COMPARED: usize = 64;

/// For each cluster the number of its family, from 0, in the order of the clusters; a family of one for
/// a cluster that is like no other. The idle are no problem, and are not like the others.
pub fn families(clusters: &[Cluster]) -> Vec<usize> {
    let stacks = Stacks::of(clusters);
    let mut pairs: Vec<(f64, usize, usize)> = stacks
        .candidates()
        .into_iter()
        .filter(|&(a, b)| clusters[a].idle == clusters[b].idle)
        .map(|(a, b)| (stacks.similarity(a, b), a, b))
        .filter(|&(similarity, ..)| similarity >= ALIKE)
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let mut family: Vec<usize> = (0..clusters.len()).collect();
    let mut members: Vec<Vec<usize>> = family.iter().map(|&one| vec![one]).collect();
    for (_, a, b) in pairs {
        let (a, b) = (family[a].min(family[b]), family[a].max(family[b]));
        let speak = |family: usize| members[family].iter().take(SPEAKERS);
        let all_alike = || {
            let mut cross = speak(a).flat_map(|&x| speak(b).map(move |&y| (x, y)));
            cross.all(|(x, y)| stacks.similarity(x, y) >= ALIKE)
        };
        if a != b && all_alike() {
            let moved = std::mem::take(&mut members[b]);
            moved.iter().for_each(|&one| family[one] = a);
            members[a].extend(moved);
        }
    }
    numbered(family)
}

/// Families numbered in the order in which they are met.
fn numbered(family: Vec<usize>) -> Vec<usize> {
    let mut known: HashMap<usize, usize, RandomState> = HashMap::default();
    let number = |one: usize| {
        let next = known.len();
        *known.entry(one).or_insert(next)
    };
    family.into_iter().map(number).collect()
}

/// One function on a stack.
#[derive(Clone, Copy)]
struct Token {
    function: u32,
    /// From the leaf, beginning with 1.
    place: f64,
    weight: f64,
}

struct Stacks {
    /// For each cluster its functions, in the order of their numbers and then of their places.
    tokens: Vec<Vec<Token>>,
    /// For each cluster the hashes of its features.
    features: Vec<Vec<u64>>,
}

impl Stacks {
    fn of(clusters: &[Cluster]) -> Stacks {
        let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
        let mut functions: Vec<Vec<u32>> = Vec::with_capacity(clusters.len());
        for cluster in clusters {
            let numbered = cluster.frames.iter().map(|name| {
                let next = numbers.len() as u32;
                *numbers.entry(name.as_str()).or_insert(next)
            });
            functions.push(numbered.collect());
        }
        let mut on = vec![0.0; numbers.len()];
        for stack in &functions {
            let distinct: BTreeSet<u32> = stack.iter().copied().collect();
            distinct.into_iter().for_each(|function| on[function as usize] += 1.0);
        }
        let of = FEW.max(clusters.len() as f64);
        let share = |function: u32| on[function as usize] / of;
        Stacks {
            tokens: functions.iter().map(|stack| tokens(stack, share)).collect(),
            features: functions.iter().map(|stack| features(stack, share)).collect(),
        }
    }

    /// How alike two stacks are, from -1 to 1: what they have in common, without what only one has.
    fn similarity(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (&self.tokens[a], &self.tokens[b]);
        let (mut here, mut there) = (a.iter().peekable(), b.iter().peekable());
        let (mut common, mut apart) = (0.0, 0.0);
        loop {
            match (here.peek(), there.peek()) {
                (Some(x), Some(y)) if x.function == y.function => {
                    common += (x.weight + y.weight) * (-BY_SHIFT * (x.place - y.place).abs()).exp();
                    here.next();
                    there.next();
                }
                (Some(x), Some(y)) if x.function > y.function => {
                    apart += y.weight;
                    there.next();
                }
                (Some(x), _) => {
                    apart += x.weight;
                    here.next();
                }
                (None, Some(y)) => {
                    apart += y.weight;
                    there.next();
                }
                (None, None) => break,
            }
        }
        let all: f64 = a.iter().chain(b).map(|token| token.weight).sum();
        if all > 0.0 { (common - apart) / all } else { -1.0 }
    }

    /// Pairs that share a band of their features' smallest hashes, each once, in their order.
    fn candidates(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for band in 0..BANDS as u64 {
            let mut buckets: HashMap<[u64; ROWS], Vec<usize>, RandomState> = HashMap::default();
            for (stack, features) in self.features.iter().enumerate() {
                let row = |row: usize| {
                    let seed = band * ROWS as u64 + row as u64;
                    features.iter().map(|&feature| mix(feature ^ mix(seed + 1))).min()
                };
                let rows: [Option<u64>; ROWS] = std::array::from_fn(row);
                let [Some(first), Some(second)] = rows else { continue };
                let bucket = buckets.entry([first, second]).or_default();
                pairs.extend(bucket.iter().rev().take(COMPARED).map(|&other| (other, stack)));
                bucket.push(stack);
            }
            pairs.sort_unstable();
            pairs.dedup();
        }
        pairs
    }
}

fn tokens(stack: &[u32], share: impl Fn(u32) -> f64) -> Vec<Token> {
    let token = |(at, &function): (usize, &u32)| {
        let place = at as f64 + 1.0;
        let weight = place.powf(-BY_PLACE) * (-BY_SHARE * share(function)).exp();
        Token { function, place, weight }
    };
    let mut tokens: Vec<Token> = stack.iter().enumerate().map(token).collect();
    tokens.sort_by(|a, b| a.function.cmp(&b.function).then_with(|| a.place.total_cmp(&b.place)));
    tokens
}

/// The functions near the leaf that tell something, and each two that call one another of which one
/// does.
fn features(stack: &[u32], share: impl Fn(u32) -> f64) -> Vec<u64> {
    let near = &stack[..stack.len().min(NEAR_LEAF)];
    let tells = |function: u32| share(function) <= COMMON;
    let single = near.iter().filter(|&&function| tells(function));
    let single = single.map(|&function| mix(u64::from(function)));
    let pairs = near.windows(2).filter(|pair| tells(pair[0]) || tells(pair[1]));
    let pairs = pairs.map(|pair| mix(mix(u64::from(pair[0])) ^ u64::from(pair[1])));
    single.chain(pairs).collect()
}

/// Spreads the bits of a number: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(frames: &[&str], idle: bool) -> Cluster {
        Cluster {
            signature: String::new(),
            frames: frames.iter().map(|&name| name.to_owned()).collect(),
            per_dump: vec![1],
            states: Vec::new(),
            idle,
            members: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Places of other work, so that the functions of interest are rare among all.
    fn among_others(mut clusters: Vec<Cluster>) -> Vec<usize> {
        let count = clusters.len();
        for number in 0..30 {
            let names = [format!("a{number}"), format!("b{number}"), "serve".into(), "run".into()];
            clusters.push(cluster(&names.each_ref().map(String::as_str), false));
        }
        families(&clusters)[..count].to_vec()
    }

    #[test]
    fn one_problem_met_at_other_leaves_is_one_family() {
        let found = among_others(vec![
            cluster(&["Map.find", "Map.get", "Cache.load", "Page.show", "serve", "run"], false),
            cluster(&["Map.get", "Cache.load", "Page.show", "serve", "run"], false),
            cluster(&["Log.write", "Log.flush", "Page.close", "serve", "run"], false),
        ]);
        assert_eq!(found, [0, 0, 1]);
    }

    #[test]
    fn what_shares_only_its_roots_is_not() {
        let found = among_others(vec![
            cluster(&["Tax.of", "Cart.sum", "serve", "run"], false),
            cluster(&["Json.parse", "Order.read", "serve", "run"], false),
        ]);
        assert_eq!(found, [0, 1]);
    }

    #[test]
    fn the_idle_are_not_like_the_others() {
        let frames = ["Queue.take", "Worker.next", "Worker.run"];
        assert_eq!(among_others(vec![cluster(&frames, true), cluster(&frames, false)]), [0, 1]);
    }

    #[test]
    fn nothing_has_no_families() {
        assert_eq!(families(&[]), [0_usize; 0]);
        assert_eq!(families(&[cluster(&[], false), cluster(&[], false)]), [0, 1]);
    }
}
