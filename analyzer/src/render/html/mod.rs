//! The report as one HTML file that asks for nothing: no request leaves it, and its findings are
//! read without scripts. Pictures of threads and stacks are drawn by its script from `data`; flame graphs are in
//! the page as they are, and the script walks through them.
//!
//! Names and messages of an input are hostile. Here every text is made `plain`, and the template
//! escapes it; the script sets texts, never markup. A content security policy allows the one script
//! and the one style by their hashes, and nothing else.

mod data;
mod flame;
mod view;

use std::io::{self, Write};

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::plain::plain;
use crate::explain::Report;
use flame::FlameView;
use view::{ClusterView, FindingView, LinkView, WaitsView};

const STYLE: &str = include_str!("../../../templates/report/style.css");
const SCRIPT: &str = concat!(
    include_str!("../../../templates/report/data.js"),
    include_str!("../../../templates/report/filter.js"),
    include_str!("../../../templates/report/threads.js"),
    include_str!("../../../templates/report/thread.js"),
    include_str!("../../../templates/report/icicle.js"),
    include_str!("../../../templates/report/flame.js"),
    include_str!("../../../templates/report/start.js"),
);

/// So many clusters and warnings are listed; the rest is counted.
const MOST_CLUSTERS: usize = 200;
const MOST_WARNINGS: usize = 50;

/// Writes the report as HTML. The pictures are those that it holds: see `explain::Detail`.
///
/// # Errors
/// Those of the writer.
pub fn html(report: &Report, mut out: impl Write) -> io::Result<()> {
    let page = Page::of(report)?;
    page.write_into(&mut out)
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page {
    policy: String,
    version: &'static str,
    style: &'static str,
    script: &'static str,
    /// The JSON from which pictures are drawn.
    data: String,
    has_pictures: bool,
    word: &'static str,
    headline: String,
    processes: Vec<String>,
    chain: Vec<LinkView>,
    /// One finding follows from another.
    has_causes: bool,
    findings: Vec<FindingView>,
    flames: Vec<FlameView>,
    waits: Vec<WaitsView>,
    /// Nobody is seen: there are profiles only.
    is_only_profiled: bool,
    clusters: Vec<ClusterView>,
    more_clusters: usize,
    inputs: Vec<String>,
    warnings: Vec<String>,
    more_warnings: usize,
}

impl Page {
    fn of(report: &Report) -> io::Result<Page> {
        let clusters = view::clusters(report);
        let warnings = super::phrase::warnings(report);
        let warnings = warnings.map(|(input, warning)| {
            plain(&format!("{}:{}: {}", input.path, warning.line, warning.message))
        });
        let warnings: Vec<String> = warnings.collect();
        Ok(Page {
            policy: policy(),
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            script: SCRIPT,
            data: data::json(report)?,
            has_pictures: !report.pictures.is_empty(),
            word: super::phrase::status_word(report.verdict.status),
            headline: plain(&report.verdict.headline),
            processes: view::processes(report),
            chain: view::chain(report),
            has_causes: report.findings.iter().any(|finding| !finding.caused_by.is_empty()),
            findings: report.findings.iter().map(|f| FindingView::of(report, f)).collect(),
            flames: flame::flames(&report.flames)?,
            waits: view::waits(report),
            is_only_profiled: report.processes.iter().all(|process| process.is_profile),
            more_clusters: clusters.len().saturating_sub(MOST_CLUSTERS),
            clusters: clusters.into_iter().take(MOST_CLUSTERS).collect(),
            inputs: report.inputs.iter().map(view::input).collect(),
            more_warnings: warnings.len().saturating_sub(MOST_WARNINGS),
            warnings: warnings.into_iter().take(MOST_WARNINGS).collect(),
        })
    }
}

/// Nothing may be loaded, sent or run but the script and the style that stand in the file.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}
