//! Loops that never end, in the ways in which programs come by them.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use crate::Program;

pub const ALL: &[Program] = &[
    ("cyclic-list", cyclic_list),
    ("cyclic-list-counted", cyclic_list_counted),
    ("indices-counted", indices_counted),
    ("flag-counted", flag_counted),
    ("halving", halving),
    ("bucket-chain", bucket_chain),
    ("flag", flag),
    ("flag-yielding", flag_yielding),
    ("compare-exchange", compare_exchange),
    ("binary-search", binary_search),
    ("union-find", union_find),
    ("parent-chain", parent_chain),
    ("parser-at-end", parser_at_end),
    ("state-machine", state_machine),
    ("retry-at-once", retry_at_once),
    ("graph-visit", graph_visit),
    ("counter", counter),
];

/// Five nodes, the last of which leads to the second.
fn links(length: usize, back_to: usize) -> Vec<Box<Node>> {
    let mut nodes: Vec<Box<Node>> =
        (0..length as u64).map(|key| Box::new(Node { key, next: std::ptr::null() })).collect();
    for at in 0..length {
        let next: *const Node = &*nodes[if at + 1 < length { at + 1 } else { back_to }];
        nodes[at].next = next;
    }
    nodes
}

struct Node {
    key: u64,
    next: *const Node,
}

fn cyclic_list() {
    let nodes = links(5, 1);
    let mut at: *const Node = &*nodes[0];
    while !at.is_null() {
        // SAFETY: every link leads to a node of the list, which lives.
        let node = unsafe { &*at };
        if black_box(node.key) == u64::MAX {
            return;
        }
        at = node.next;
    }
}

fn cyclic_list_counted() {
    let nodes = links(5, 1);
    let (mut at, mut length): (*const Node, u64) = (&*nodes[0], 0);
    while !at.is_null() {
        length += 1;
        black_box(length);
        // SAFETY: as above.
        at = unsafe { (*at).next };
    }
}

/// Twelve places, the last of which leads to the fourth.
fn indices_counted() {
    let next: Vec<usize> = (1..12).chain([3]).collect();
    let (mut at, mut length) = (0, 0_u64);
    while let Some(&after) = next.get(at) {
        at = after;
        length += 1;
    }
    black_box(length);
}

/// Nobody sets the flag.
fn flag_counted() {
    static IS_READY: AtomicBool = AtomicBool::new(false);
    let mut turns = 0_u64;
    let is_ready = black_box(&IS_READY);
    while !is_ready.load(Ordering::Relaxed) {
        turns += 1;
    }
    black_box(turns);
}

/// Numbers of this size are further apart than that.
fn halving() {
    let wanted = black_box(3e12_f64);
    let (mut low, mut high) = (0.0, 2.0 * wanted);
    while high - low > 1e-6 {
        let middle = f64::midpoint(low, high);
        if middle < wanted { low = middle } else { high = middle }
    }
    black_box(low);
}

/// Three colliding keys by index; a lost update has closed their chain.
fn bucket_chain() {
    struct Entry {
        key: String,
        next: Option<usize>,
    }
    let entry = |key: &str, next| Entry { key: key.to_owned(), next: Some(next) };
    let entries = [entry("stock/17", 1), entry("stock/34", 2), entry("stock/51", 0)];
    let (wanted, mut at) = (black_box("stock/68".to_owned()), Some(0));
    while let Some(entry) = at.map(|at| &entries[at]) {
        if black_box(&entry.key) == &wanted {
            return;
        }
        at = entry.next;
    }
}

fn flag() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let done = black_box(&DONE);
    while !done.load(Ordering::Acquire) {
        spin_loop();
    }
}

fn flag_yielding() {
    static DONE: AtomicBool = AtomicBool::new(false);
    while !DONE.load(Ordering::Acquire) {
        thread::yield_now();
    }
}

/// A spin lock whose holder has died.
fn compare_exchange() {
    static LOCK: AtomicU32 = AtomicU32::new(1);
    while LOCK.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        for _ in 0..8 {
            spin_loop();
        }
    }
}

/// `low` is not moved past the middle.
fn binary_search() {
    let sorted: Vec<u64> = (0..1000).map(|n| n * 2).collect();
    let (mut low, mut high) = (0, sorted.len() - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if black_box(sorted[middle]) < black_box(1501) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Two roots, each the other's parent.
fn union_find() {
    let parents: Vec<usize> = black_box(vec![1, 2, 3, 2]);
    let mut at = 0;
    while parents[at] != at {
        at = black_box(parents[at]);
    }
}

/// Categories that are each other's ancestors.
fn parent_chain() {
    let parents: std::collections::BTreeMap<u32, u32> =
        [(7, 12), (12, 31), (31, 44), (44, 12)].into();
    let mut at = 7;
    while let Some(&parent) = parents.get(&black_box(at)) {
        at = parent;
    }
}

/// Nothing is taken at the end of the input, and the loop asks for the end of a line.
fn parser_at_end() {
    let text = black_box(b"name = value".as_slice());
    let mut at = 0;
    while text.get(at) != Some(&b'\n') {
        let rest = &text[at..];
        at += black_box(rest).iter().take_while(|byte| **byte != b'\n').count();
    }
}

fn state_machine() {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Idle,
        Connecting,
        Refused,
        Done,
    }
    let mut state = State::Idle;
    while state != State::Done {
        state = match black_box(state) {
            State::Idle => State::Connecting,
            State::Connecting => State::Refused,
            State::Refused => State::Idle,
            State::Done => return,
        };
    }
}

/// A number that never parses, tried again.
fn retry_at_once() {
    while black_box("12x").parse::<u32>().is_err() {}
}

/// Depth first, without marking who was visited: the work list never gets empty.
fn graph_visit() {
    let edges: [&[usize]; 4] = [&[1], &[2], &[3], &[0]];
    let mut open = vec![0];
    while let Some(node) = open.pop() {
        open.extend_from_slice(black_box(edges[node]));
    }
}

/// No state ever comes back: not to be told from work.
fn counter() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    while COUNT.load(Ordering::Relaxed) != usize::MAX {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}
