//! The report as OpenMetrics text (the Prometheus project's standard, version 1.0), for what
//! collects metrics from files.

use std::io::{self, Write};

use super::phrase::{role_name, severity_name, status_name};
use super::plain::plain;
use crate::explain::{Report, Status};

/// The largest clusters that are told.
const MOST_CLUSTERS: usize = 50;

/// Writes the report as OpenMetrics text.
///
/// # Errors
/// Those of the writer.
pub fn openmetrics(report: &Report, mut out: impl Write) -> io::Result<()> {
    family(&mut out, "sigquit_verdict", "stateset", "The answer.")?;
    for status in [Status::Healthy, Status::Suspect, Status::Incident] {
        let is_it = u32::from(report.verdict.status == status);
        sample(&mut out, "sigquit_verdict", &[("sigquit_verdict", status_name(status))], is_it)?;
    }
    family(&mut out, "sigquit_finding_score", "gauge", "How much a finding matters, to 100.")?;
    for finding in &report.findings {
        let labels = [
            ("id", finding.id.as_str()),
            ("process", &finding.process),
            ("detector", finding.detector),
            ("severity", severity_name(finding.severity)),
            ("role", role_name(finding.role)),
        ];
        sample(&mut out, "sigquit_finding_score", &labels, finding.score)?;
    }
    family(&mut out, "sigquit_finding_members", "gauge", "Threads and tasks in a finding.")?;
    for finding in &report.findings {
        let labels = [("id", finding.id.as_str()), ("detector", finding.detector)];
        sample(&mut out, "sigquit_finding_members", &labels, finding.members.len())?;
    }
    for (name, help) in [("sigquit_threads", "Threads."), ("sigquit_tasks", "Tasks.")] {
        family(&mut out, name, "gauge", help)?;
        for process in &report.processes {
            for dump in &process.dumps {
                let count = if name == "sigquit_threads" { dump.threads } else { dump.tasks };
                let labels = [("process", process.id.as_str()), ("dump", &dump.id)];
                sample(&mut out, name, &labels, count)?;
            }
        }
    }
    family(&mut out, "sigquit_cluster_members", "gauge", "Where threads and tasks are.")?;
    for cluster in report.clusters.iter().take(MOST_CLUSTERS) {
        let idle = if cluster.idle { "true" } else { "false" };
        let labels = [
            ("cluster", cluster.id.as_str()),
            ("process", &cluster.process),
            ("idle", idle),
            ("signature", &cluster.signature),
        ];
        sample(&mut out, "sigquit_cluster_members", &labels, cluster.count)?;
    }
    writeln!(out, "# EOF")
}

fn family(out: &mut impl Write, name: &str, kind: &str, help: &str) -> io::Result<()> {
    writeln!(out, "# TYPE {name} {kind}")?;
    writeln!(out, "# HELP {name} {help}")
}

fn sample(
    out: &mut impl Write,
    name: &str,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) -> io::Result<()> {
    let labels = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text)));
    writeln!(out, "{name}{{{}}} {value}", labels.collect::<Vec<_>>().join(","))
}

fn escaped(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_where_it_ends() {
        let mut out = Vec::new();
        sample(&mut out, "m", &[("a", "x\"} 1\ny\\")], 7).expect("a buffer");
        assert_eq!(String::from_utf8(out).expect("text"), "m{a=\"x\\\"} 1\\\\ny\\\\\"} 7\n");
    }
}
