//! Work of well-known crates.

use std::hint::black_box;
use std::io::Write;
use std::sync::OnceLock;

use crate::Program;

pub const ALL: &[Program] = &[
    ("regex", regex),
    ("serde_json", serde_json),
    ("sha2", sha2),
    ("flate2", flate2),
    ("lz4_flex", lz4_flex),
    ("base64", base64),
    ("csv", csv),
    ("num-bigint", num_bigint),
    ("petgraph", petgraph),
    ("pulldown-cmark", pulldown_cmark),
    ("rayon", rayon),
];

/// Some megabytes of words, numbers and lines.
fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let words = ["order", "stock", "*late*", "`refund`", "a@b.example", "warehouse", "17:20"];
        let line = |n: u32| {
            let word = |k: u32| words[(n.wrapping_mul(2_654_435_761) >> (k * 5)) as usize % 7];
            format!("{n} {}, {} {} {}\n", word(0), word(1), word(2), word(3))
        };
        (0..100_000).map(line).collect()
    })
}

fn regex() {
    let pattern = regex::Regex::new(r"(\d+) (\w+), [^ ]*@[a-z.]+ (?:re.*nd|\*\w+\*)").unwrap();
    black_box(pattern.captures_iter(text()).count());
}

fn serde_json() {
    let lines: Vec<Vec<&str>> = text().lines().map(|line| line.split(' ').collect()).collect();
    let written = serde_json::to_string(&lines).unwrap();
    black_box(serde_json::from_str::<serde_json::Value>(&written).unwrap());
}

fn sha2() {
    use sha2::Digest;
    black_box(sha2::Sha256::digest(text()));
}

fn flate2() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text().as_bytes()).unwrap();
    black_box(encoder.finish().unwrap());
}

fn lz4_flex() {
    let packed = lz4_flex::block::compress_prepend_size(text().as_bytes());
    black_box(lz4_flex::block::decompress_size_prepended(&packed).unwrap());
}

fn base64() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    black_box(engine.decode(engine.encode(text())).unwrap());
}

fn csv() {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text().as_bytes());
    black_box(reader.records().filter_map(Result::ok).map(|record| record.len()).sum::<usize>());
}

fn num_bigint() {
    let factorial = |n: u32| (1..=n).fold(num_bigint::BigUint::from(1_u32), |all, n| all * n);
    black_box(factorial(8000).to_string());
}

fn petgraph() {
    let edges = (0..200_000_u32).map(|n| (n, n.wrapping_mul(2_654_435_761) % 200_000, n % 97));
    let graph = petgraph::graph::UnGraph::<(), u32>::from_edges(edges);
    let from = petgraph::graph::NodeIndex::new(0);
    black_box(petgraph::algo::dijkstra(&graph, from, None, |edge| *edge.weight()));
}

fn pulldown_cmark() {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(text()));
    black_box(html);
}

fn rayon() {
    use rayon::prelude::*;
    let mut lines: Vec<String> = text().lines().map(|line| line.chars().rev().collect()).collect();
    lines.par_sort();
    black_box(lines);
}
