//! The report as JSON, for programs: `sigquit.report/1`.
//!
//! The shape is a public contract, published as `schema/report-1.schema.json`: fields may be
//! added, none changes. It is kept here, apart from the report, so that the report stays free
//! to change.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::phrase::{
    grade_name, kind_name, owner_source_name, role_name, severity_name, status_name,
};
use crate::detect::LockOf;
use crate::explain::{
    ClusterReport, DumpReport, EvidenceReport, InputReport, MemberReport, PlaceReport,
    ProcessReport, RankedFinding, Report,
};
use serde::Serialize;

/// The name of the shape.
const SCHEMA: &str = "sigquit.report/1";

/// Writes the report as one JSON object, and a line end.
///
/// # Errors
/// Those of the writer.
pub fn json(report: &Report, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, &Json::from(report))?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    verdict: JsonVerdict<'a>,
    inputs: Vec<JsonInput<'a>>,
    processes: Vec<JsonProcess<'a>>,
    findings: Vec<JsonFinding<'a>>,
    clusters: Vec<JsonCluster<'a>>,
}

#[derive(Serialize)]
struct JsonVerdict<'a> {
    status: &'static str,
    headline: &'a str,
}

#[derive(Serialize)]
struct JsonInput<'a> {
    path: &'a str,
    format: &'a str,
    dumps: usize,
    threads: usize,
    tasks: usize,
    truncated: bool,
    warnings: Vec<JsonWarning<'a>>,
}

#[derive(Serialize)]
struct JsonWarning<'a> {
    line: u64,
    message: &'a str,
}

#[derive(Serialize)]
struct JsonProcess<'a> {
    id: &'a str,
    runtime: &'a str,
    pid: Option<u64>,
    host: Option<&'a str>,
    title: &'a str,
    dumps: Vec<JsonDump<'a>>,
}

#[derive(Serialize)]
struct JsonDump<'a> {
    id: &'a str,
    time: Option<&'a str>,
    threads: usize,
    tasks: usize,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    id: &'a str,
    detector: &'a str,
    process: &'a str,
    signature: &'a str,
    role: &'static str,
    severity: &'static str,
    score: u32,
    grade: &'static str,
    confidence: f64,
    headline: &'a str,
    detail: &'a str,
    next_step: &'a str,
    members: Vec<JsonMember<'a>>,
    victims: Vec<JsonMember<'a>>,
    holders: Vec<JsonMember<'a>>,
    lock: Option<JsonLock<'a>>,
    owner: Option<JsonMember<'a>>,
    owner_source: Option<&'static str>,
    frames: &'a [String],
    places: Vec<JsonPlace<'a>>,
    caused_by: &'a [String],
    evidence: Vec<JsonEvidence<'a>>,
}

#[derive(Serialize)]
struct JsonMember<'a> {
    kind: &'static str,
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct JsonLock<'a> {
    id: &'a str,
    kind: &'a str,
    #[serde(rename = "type")]
    type_name: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    function: &'a str,
    file: &'a str,
    line: Option<u32>,
}

#[derive(Serialize)]
struct JsonEvidence<'a> {
    text: &'a str,
    dump: Option<&'a str>,
    member: Option<JsonMember<'a>>,
    value: Option<f64>,
}

#[derive(Serialize)]
struct JsonCluster<'a> {
    id: &'a str,
    process: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'a str>,
    signature: &'a str,
    count: usize,
    per_dump: &'a [usize],
    kind: &'static str,
    states: BTreeMap<&'a str, usize>,
    idle: bool,
    frames: &'a [String],
    members: Vec<JsonMember<'a>>,
}

impl<'a> From<&'a Report> for Json<'a> {
    fn from(report: &'a Report) -> Json<'a> {
        Json {
            schema: SCHEMA,
            verdict: JsonVerdict {
                status: status_name(report.verdict.status),
                headline: &report.verdict.headline,
            },
            inputs: report.inputs.iter().map(JsonInput::from).collect(),
            processes: report.processes.iter().map(JsonProcess::from).collect(),
            findings: report.findings.iter().map(JsonFinding::from).collect(),
            clusters: report.clusters.iter().map(JsonCluster::from).collect(),
        }
    }
}

impl<'a> From<&'a InputReport> for JsonInput<'a> {
    fn from(input: &'a InputReport) -> JsonInput<'a> {
        let warnings = input.warnings.iter();
        JsonInput {
            path: &input.path,
            format: input.format,
            dumps: input.dumps,
            threads: input.threads,
            tasks: input.tasks,
            truncated: input.truncated,
            warnings: warnings
                .map(|warning| JsonWarning { line: warning.line, message: &warning.message })
                .collect(),
        }
    }
}

impl<'a> From<&'a ProcessReport> for JsonProcess<'a> {
    fn from(process: &'a ProcessReport) -> JsonProcess<'a> {
        JsonProcess {
            id: &process.id,
            runtime: process.runtime,
            pid: process.pid,
            host: process.host.as_deref(),
            title: &process.title,
            dumps: process.dumps.iter().map(JsonDump::from).collect(),
        }
    }
}

impl<'a> From<&'a DumpReport> for JsonDump<'a> {
    fn from(dump: &'a DumpReport) -> JsonDump<'a> {
        JsonDump {
            id: &dump.id,
            time: dump.time.as_deref(),
            threads: dump.threads,
            tasks: dump.tasks,
        }
    }
}

impl<'a> From<&'a RankedFinding> for JsonFinding<'a> {
    fn from(finding: &'a RankedFinding) -> JsonFinding<'a> {
        JsonFinding {
            id: &finding.id,
            detector: finding.detector,
            process: &finding.process,
            signature: &finding.signature,
            role: role_name(finding.role),
            severity: severity_name(finding.severity),
            score: finding.score,
            grade: grade_name(finding.grade),
            confidence: finding.confidence,
            headline: &finding.headline,
            detail: &finding.detail,
            next_step: &finding.next_step,
            members: members(&finding.members),
            victims: members(&finding.victims),
            holders: members(&finding.holders),
            lock: finding.lock.as_ref().map(JsonLock::from),
            owner: finding.owner.as_ref().map(JsonMember::from),
            owner_source: finding.owner_source.map(owner_source_name),
            frames: &finding.frames,
            places: finding.places.iter().map(JsonPlace::from).collect(),
            caused_by: &finding.caused_by,
            evidence: finding.evidence.iter().map(JsonEvidence::from).collect(),
        }
    }
}

impl<'a> From<&'a MemberReport> for JsonMember<'a> {
    fn from(member: &'a MemberReport) -> JsonMember<'a> {
        JsonMember { kind: kind_name(member.kind), id: &member.id, name: &member.name }
    }
}

impl<'a> From<&'a LockOf> for JsonLock<'a> {
    fn from(lock: &'a LockOf) -> JsonLock<'a> {
        JsonLock { id: &lock.id, kind: &lock.kind, type_name: lock.type_name.as_deref() }
    }
}

impl<'a> From<&'a PlaceReport> for JsonPlace<'a> {
    fn from(place: &'a PlaceReport) -> JsonPlace<'a> {
        JsonPlace { function: &place.function, file: &place.file, line: place.line }
    }
}

impl<'a> From<&'a EvidenceReport> for JsonEvidence<'a> {
    fn from(evidence: &'a EvidenceReport) -> JsonEvidence<'a> {
        JsonEvidence {
            text: &evidence.text,
            dump: evidence.dump.as_deref(),
            member: evidence.member.as_ref().map(JsonMember::from),
            value: evidence.value,
        }
    }
}

impl<'a> From<&'a ClusterReport> for JsonCluster<'a> {
    fn from(cluster: &'a ClusterReport) -> JsonCluster<'a> {
        let mut states = BTreeMap::new();
        for (state, count) in &cluster.states {
            *states.entry(state.as_str()).or_default() += count;
        }
        JsonCluster {
            id: &cluster.id,
            process: &cluster.process,
            family: cluster.family.as_deref(),
            signature: &cluster.signature,
            count: cluster.count,
            per_dump: &cluster.per_dump,
            kind: kind_name(cluster.kind),
            states,
            idle: cluster.idle,
            frames: &cluster.frames,
            members: members(&cluster.members),
        }
    }
}

fn members(members: &[MemberReport]) -> Vec<JsonMember<'_>> {
    members.iter().map(JsonMember::from).collect()
}
