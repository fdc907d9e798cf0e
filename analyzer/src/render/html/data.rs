//! The JSON from which the page's script draws: columns and numbers, so that a hundred thousand
//! threads stay small.

use std::io;

use serde::Serialize;
use sigquit_dump::Kind;

use crate::explain::{CpuShare, Picture, PictureFinding, PictureMember, Report};
use crate::model::Activity;
use crate::render::frame::short_path;
use crate::render::plain::plain;

/// Activities as the page orders them: class, words.
const ACTIVITIES: [(Activity, &str, &str); 9] = [
    (Activity::Computing, "running", "running, or ready to"),
    (Activity::Lock, "lock", "waits for a lock"),
    (Activity::Event, "event", "waits for another thread"),
    (Activity::Sleeping, "sleeping", "sleeps"),
    (Activity::Network, "network", "in network I/O"),
    (Activity::File, "file", "in file I/O"),
    (Activity::ChildProcess, "child", "waits for a child process"),
    (Activity::SystemCall, "call", "in a system call"),
    (Activity::Unknown, "unknown", "not told"),
];
/// What comes after them: the idle, whatever they do.
const IDLE: (&str, &str) = ("idle", "idle");

/// So many clusters have their signature in the page; others are shown by their innermost function.
const SIGNATURES: usize = 2_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    activities: Vec<(&'static str, &'static str)>,
    /// The number of the idle among the activities.
    idle: usize,
    kinds: [&'static str; 4],
    /// The clusters' signatures.
    signatures: Vec<String>,
    processes: Vec<ProcessData>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessData {
    id: String,
    title: String,
    /// The dumps' ids and times.
    dumps: Vec<String>,
    functions: Vec<String>,
    /// Functions of the runtime.
    runtime: Vec<u32>,
    /// Function, place.
    calls: Vec<(u32, String)>,
    /// For each node its caller's, or -1.
    callers: Vec<i64>,
    node_calls: Vec<u32>,
    /// The source's words for states.
    states: Vec<String>,
    /// Activity, state, node or -1, cluster or -1.
    sights: Vec<(usize, usize, i64, i64)>,
    names: Vec<String>,
    ids: Vec<String>,
    kinds: Vec<u8>,
    pool_names: Vec<String>,
    /// For each member its pool, or -1.
    pools: Vec<i64>,
    /// For each dump and member twice the sight's number, one more for the same activation; -1
    /// where it is not there.
    seen: Vec<Vec<i64>>,
    /// For each dump a letter for each member: the tenths of a CPU that it used since the dump
    /// before from `0` to `9`, or since it began from `a` to `j`; `-` where neither is told. Empty
    /// where nobody's is.
    cpu: Vec<String>,
    left_out: usize,
    stacks_left_out: usize,
    findings: Vec<FindingData>,
}

#[derive(Serialize)]
struct FindingData {
    id: String,
    members: Vec<u32>,
    victims: Vec<u32>,
    holders: Vec<u32>,
}

/// The data as JSON that may stand in a `script` element: without `<`, `>` and `&`.
pub(super) fn json(report: &Report) -> io::Result<String> {
    let mut activities: Vec<_> =
        ACTIVITIES.iter().map(|&(_, class, words)| (class, words)).collect();
    activities.push(IDLE);
    let data = Data {
        activities,
        idle: ACTIVITIES.len(),
        kinds: [Kind::Thread, Kind::VirtualThread, Kind::Goroutine, Kind::Task].map(Kind::noun),
        signatures: report.clusters.iter().take(SIGNATURES).map(|c| plain(&c.signature)).collect(),
        processes: report.pictures.iter().map(|picture| process(report, picture)).collect(),
    };
    let json = serde_json::to_string(&data)?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

fn process(report: &Report, picture: &Picture) -> ProcessData {
    let process = report.processes.iter().find(|process| process.id == picture.process);
    let dumps = process.map_or(&[][..], |process| &process.dumps);
    let title =
        process.map_or(String::new(), |process| format!("{} {}", process.id, process.title));
    let states = distinct(picture.sights.iter().map(|sight| sight.state.as_str()));
    let pool_names = pool_names(picture);
    let of_pool = |member: &PictureMember| {
        pool_names.binary_search(&member.pool.as_str()).map_or(-1, |at| at as i64)
    };
    ProcessData {
        id: picture.process.clone(),
        title: plain(title.trim()),
        dumps: dumps
            .iter()
            .map(|dump| format!("{} {}", dump.id, dump.time.as_deref().unwrap_or_default()))
            .collect(),
        functions: picture.functions.iter().map(|name| plain(name)).collect(),
        runtime: picture.runtime.clone(),
        calls: picture
            .calls
            .iter()
            .map(|(name, place)| (*name, plain(short_path(place))))
            .collect(),
        callers: picture.nodes.iter().map(|node| or_minus_one(node.caller)).collect(),
        node_calls: picture.nodes.iter().map(|node| node.call).collect(),
        sights: picture
            .sights
            .iter()
            .map(|sight| {
                let activity = ACTIVITIES.iter().position(|(known, ..)| *known == sight.activity);
                let activity = activity.filter(|_| !sight.idle).unwrap_or(ACTIVITIES.len());
                let state = states.binary_search(&sight.state.as_str()).unwrap_or_default();
                (activity, state, or_minus_one(sight.stack), or_minus_one(sight.cluster))
            })
            .collect(),
        states: states.iter().map(|state| plain(state)).collect(),
        names: picture.members.iter().map(|member| plain(&member.member.name)).collect(),
        ids: picture.members.iter().map(id).collect(),
        kinds: picture.members.iter().map(|member| kind(member.member.kind)).collect(),
        pools: picture.members.iter().map(of_pool).collect(),
        pool_names: pool_names.iter().map(|name| plain(name)).collect(),
        seen: (0..dumps.len()).map(|dump| seen(picture, dump)).collect(),
        cpu: (0..dumps.len()).map(|dump| cpu(picture, dump)).collect(),
        left_out: picture.left_out,
        stacks_left_out: picture.stacks_left_out,
        findings: picture.findings.iter().map(FindingData::from).collect(),
    }
}

fn pool_names(picture: &Picture) -> Vec<&str> {
    let pools = picture.members.iter().map(|member| member.pool.as_str());
    distinct(pools.filter(|pool| !pool.is_empty()))
}

/// Each text once, in order.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<&str> = texts.collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// A member's id, where its name does not say the same.
fn id(member: &PictureMember) -> String {
    match member.member.id == member.member.name {
        true => String::new(),
        false => plain(&member.member.id),
    }
}

fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Thread => 0,
        Kind::VirtualThread => 1,
        Kind::Goroutine => 2,
        Kind::Task => 3,
    }
}

fn seen(picture: &Picture, dump: usize) -> Vec<i64> {
    let seen = picture.members.iter().map(|member| member.seen[dump]);
    seen.map(|seen| seen.map_or(-1, |seen| i64::from(seen.sight) * 2 + i64::from(seen.same)))
        .collect()
}

fn cpu(picture: &Picture, dump: usize) -> String {
    let told = picture.members.iter().map(|member| member.seen[dump]?.cpu);
    let letter = |cpu: CpuShare| {
        let none = if cpu.of_life { b'a' } else { b'0' };
        char::from(none + (cpu.percent / 10).min(9))
    };
    match told.clone().any(|cpu| cpu.is_some()) {
        true => told.map(|cpu| cpu.map_or('-', letter)).collect(),
        false => String::new(),
    }
}

fn or_minus_one(number: Option<u32>) -> i64 {
    number.map_or(-1, i64::from)
}

impl From<&PictureFinding> for FindingData {
    fn from(finding: &PictureFinding) -> FindingData {
        FindingData {
            id: finding.id.clone(),
            members: finding.members.clone(),
            victims: finding.victims.clone(),
            holders: finding.holders.clone(),
        }
    }
}
