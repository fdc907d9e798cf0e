use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

/// A report as `sigquit analyze --output json` prints it.
pub struct Report(pub Value);

/// What `sigquit` prints for these arguments. Panics when it fails.
pub fn sigquit(arguments: &[OsString]) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let all = std::iter::once("sigquit".into()).chain(arguments.iter().cloned());
    let status = sigquit_analyzer::cli::run(all, &mut out, &mut err);
    assert_eq!(status, 0, "{arguments:?}: {}", String::from_utf8_lossy(&err));
    String::from_utf8(out).expect("reports are UTF-8")
}

/// The report on what lies under the path.
pub fn analyze(path: &Path) -> Report {
    let arguments = ["analyze".into(), "--output".into(), "json".into(), path.into()];
    Report(serde_json::from_str(&sigquit(&arguments)).expect("the report is JSON"))
}

impl Report {
    /// The findings of a detector.
    pub fn findings(&self, detector: &str) -> Vec<&Value> {
        let is_it = |finding: &&Value| finding["detector"] == *detector;
        self.all_findings().iter().filter(is_it).collect()
    }

    /// The one finding of a detector. Panics when there is none, or more.
    pub fn finding(&self, detector: &str) -> &Value {
        match self.findings(detector)[..] {
            [finding] => finding,
            ref found => panic!("{} findings of {detector}:\n{self}", found.len()),
        }
    }

    /// All of them, roots first.
    pub fn all_findings(&self) -> &[Value] {
        self.0["findings"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The findings that nothing else explains.
    pub fn roots(&self) -> Vec<&Value> {
        self.all_findings().iter().filter(|finding| finding["role"] == "root").collect()
    }

    /// Whether the finding follows, through however many others, from the cause.
    pub fn is_caused_by(&self, finding: &Value, cause: &Value) -> bool {
        let causes = finding["caused_by"].as_array().map_or(&[][..], Vec::as_slice);
        causes.iter().any(|id| {
            *id == cause["id"]
                || (self.all_findings().iter())
                    .any(|other| other["id"] == *id && self.is_caused_by(other, cause))
        })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0["findings"])
    }
}

/// The ids of a finding's members.
pub fn members(finding: &Value) -> BTreeSet<String> {
    ids(&finding["members"])
}

/// The ids of a list of members.
pub fn ids(members: &Value) -> BTreeSet<String> {
    let members = members.as_array().map_or(&[][..], Vec::as_slice);
    members.iter().filter_map(|member| member["id"].as_str()).map(str::to_owned).collect()
}

/// The tids of the threads that the truth lists, as a report would print them.
pub fn tids(threads: &Value) -> BTreeSet<String> {
    let threads = threads.as_array().map_or(&[][..], Vec::as_slice);
    threads.iter().map(tid).collect()
}

/// The tid of a thread that the truth names, as a report would print it.
pub fn tid(thread: &Value) -> String {
    thread["tid"].to_string()
}
