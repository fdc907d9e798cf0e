//! Work that ends, and begins again with other numbers.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Program;

pub const ALL: &[Program] = &[
    ("linear-list", linear_list),
    ("sort", sort),
    ("hash-map", hash_map),
    ("matrix", matrix),
    ("format", format),
    ("sum", sum),
    ("sieve", sieve),
    ("tree-map", tree_map),
    ("heap", heap),
    ("breadth-first", breadth_first),
    ("collatz", collatz),
    ("mandelbrot", mandelbrot),
    ("edit-distance", edit_distance),
    ("copy", copy),
    ("life", life),
    ("fibonacci", fibonacci),
    ("buffers", buffers),
    ("lines", lines),
    ("chains", chains),
    ("integral", integral),
];

/// A number that was not there before, and follows no pattern.
fn fresh() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(88_172_645_463_325_252);
    let mut n = STATE.load(Ordering::Relaxed);
    n ^= n << 13;
    n ^= n >> 7;
    n ^= n << 17;
    STATE.store(n, Ordering::Relaxed);
    n
}

fn linear_list() {
    struct Node {
        key: u64,
        next: Option<Box<Node>>,
    }
    let mut list = None;
    for key in 0..5_000_000 {
        list = Some(Box::new(Node { key, next: list }));
    }
    let (mut at, mut sum) = (&list, 0_u64);
    while let Some(node) = at {
        sum = sum.wrapping_add(black_box(node.key));
        at = &node.next;
    }
    black_box(sum);
    // Without recursion.
    while let Some(mut node) = list {
        list = node.next.take();
    }
}

fn sort() {
    let mut numbers: Vec<u64> = (0..2_000_000).map(|_| fresh()).collect();
    numbers.sort_unstable();
    black_box(numbers);
}

fn hash_map() {
    let mut counts: HashMap<u64, u32> = HashMap::new();
    (0..500_000).for_each(|_| *counts.entry(fresh() % 100_000).or_default() += 1);
    black_box(counts);
}

fn matrix() {
    const SIDE: usize = 400;
    let one: Vec<f64> = (0..SIDE * SIDE).map(|_| fresh() as f64).collect();
    let mut product = vec![0.0; SIDE * SIDE];
    for row in 0..SIDE {
        for inner in 0..SIDE {
            for column in 0..SIDE {
                product[row * SIDE + column] +=
                    one[row * SIDE + inner] * one[inner * SIDE + column];
            }
        }
    }
    black_box(product);
}

fn format() {
    let mut text = String::new();
    for _ in 0..50_000 {
        let _ = write!(text, "{} {:x}; ", fresh(), fresh());
    }
    black_box(text);
}

fn sum() {
    black_box((0..black_box(3_000_000_000_u64)).fold(0, |sum: u64, n| sum ^ n.wrapping_mul(n)));
}

fn sieve() {
    let mut composite = vec![false; 5_000_000];
    for n in 2..composite.len() {
        if !composite[n] {
            (n * 2..composite.len()).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    black_box(composite);
}

fn tree_map() {
    let mut tree = BTreeMap::new();
    (0..300_000).for_each(|n| _ = tree.insert(fresh(), n));
    while tree.pop_first().is_some() {}
}

fn heap() {
    let mut heap: BinaryHeap<u64> = (0..300_000).map(|_| fresh()).collect();
    while let Some(largest) = heap.pop() {
        black_box(largest);
    }
}

fn breadth_first() {
    const NODES: usize = 200_000;
    let edges: Vec<[usize; 3]> =
        (0..NODES).map(|_| std::array::from_fn(|_| fresh() as usize % NODES)).collect();
    let (mut seen, mut open) = (vec![false; NODES], VecDeque::from([0]));
    while let Some(node) = open.pop_front() {
        for &next in &edges[node] {
            if !std::mem::replace(&mut seen[next], true) {
                open.push_back(next);
            }
        }
    }
    black_box(seen);
}

fn collatz() {
    let steps = |mut n: u64| {
        let mut steps = 0;
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        steps
    };
    black_box((1..1_000_000_u64).map(steps).max());
}

fn mandelbrot() {
    let mut inside = 0;
    for at in 0..1_000_000 {
        let (real, imaginary) =
            (f64::from(at % 1000) / 400.0 - 2.0, f64::from(at / 1000) / 500.0 - 1.0);
        let (mut x, mut y, mut left) = (0.0, 0.0, 200);
        while x * x + y * y < 4.0 && left > 0 {
            (x, y) = (x * x - y * y + real, 2.0 * x * y + imaginary);
            left -= 1;
        }
        inside += u32::from(left == 0);
    }
    black_box(inside);
}

fn edit_distance() {
    let word = || (0..3000).map(|_| fresh() % 4).collect::<Vec<_>>();
    let (one, other) = (word(), word());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, against) in other.iter().enumerate() {
            let change = diagonal + usize::from(letter != against);
            diagonal = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(diagonal + 1);
        }
    }
    black_box(row);
}

fn copy() {
    let from = vec![fresh() as u8; 64 << 20];
    let mut to = vec![0_u8; from.len()];
    for _ in 0..20 {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
}

fn life() {
    const SIDE: usize = 512;
    let mut cells: Vec<bool> = (0..SIDE * SIDE).map(|_| fresh() % 3 == 0).collect();
    for _ in 0..50 {
        let neighbours = |at: usize| {
            let around = [1, SIDE - 1, SIDE, SIDE + 1];
            let all = around.iter().flat_map(|d| [at + d, at + SIDE * SIDE - d]);
            all.filter(|at| cells[at % (SIDE * SIDE)]).count()
        };
        cells = (0..cells.len())
            .map(|at| matches!((neighbours(at), cells[at]), (3, _) | (2, true)))
            .collect();
    }
    black_box(cells);
}

fn fibonacci() {
    fn of(n: u32) -> u64 {
        if n < 2 { u64::from(n) } else { of(black_box(n - 1)) + of(n - 2) }
    }
    black_box(of(42));
}

/// Buffers that the allocator gives out again and again, each gone through many times.
fn buffers() {
    let picture = fresh();
    let mut points: Vec<u64> = (0..60_000).map(|at| at * (picture % 9) % 255).collect();
    for _ in 0..60 {
        for at in 1..points.len() {
            points[at] = (points[at - 1] * 3 + points[at]) / 4 + picture % 2;
        }
    }
    black_box(points);
}

/// One buffer, filled with something else each time, and one count over all of it.
fn lines() {
    let mut buffer = [0_u8; 128];
    let mut lines = 0;
    for _ in 0..200_000 {
        buffer.iter_mut().zip(0..).for_each(|(byte, at)| *byte = (fresh() >> (at % 8)) as u8);
        lines = newlines(&buffer, lines);
    }
    black_box(lines);
}

#[inline(never)]
fn newlines(text: &[u8], mut lines: u64) -> u64 {
    for &byte in text {
        if byte == black_box(b'\n') {
            lines += 1;
        }
    }
    lines
}

/// One chain after the other, always the same few, and one count over all of them.
fn chains() {
    let next: Vec<usize> = (1..=64).collect();
    let mut steps = 0;
    for _ in 0..3_000_000 {
        steps = black_box(length(&next, fresh() as usize % 4, steps));
    }
    black_box(steps);
}

#[inline(never)]
fn length(next: &[usize], mut at: usize, mut steps: u64) -> u64 {
    while let Some(&after) = next.get(at) {
        at = after;
        steps += 1;
    }
    steps
}

/// All of it is in registers for numbers with a point.
fn integral() {
    let (mut time, mut sum) = (0.0_f64, 0.0_f64);
    while time < black_box(1.0) {
        sum += (time * time + 1.0).sqrt();
        time += 1e-9;
    }
    black_box(sum);
}
