//! Processes and their dumps as a report names them.

use std::time::{Duration, SystemTime};

use sigquit_dump::{Dump, Kind, Nanos, Process, Runtime};

use super::{DumpReport, ProcessReport};
use crate::model::Incident;

/// The process of an incident.
pub(super) fn report(incident: &Incident) -> ProcessReport {
    let process = &incident.process;
    ProcessReport {
        id: incident.id.clone(),
        runtime: runtime_name(process.runtime),
        pid: process.pid,
        host: process.host.clone(),
        title: title(process),
        dumps: (0..incident.dumps.len()).map(|dump| dump_report(incident, dump)).collect(),
        is_profile: incident.profile().is_some() && incident.members.is_empty(),
    }
}

/// How a report names a dump: its process and its place in time, from 1.
pub(super) fn dump_id(incident: &Incident, dump: usize) -> String {
    format!("{}.{}", incident.id, dump + 1)
}

fn dump_report(incident: &Incident, index: usize) -> DumpReport {
    let dump = &incident.dumps[index];
    let threads = platform_threads(dump);
    DumpReport {
        id: dump_id(incident, index),
        time: dump.time.and_then(rfc_3339),
        threads,
        tasks: dump.threads.len() - threads,
    }
}

/// OS and platform threads, without tasks, goroutines and virtual threads.
fn platform_threads(dump: &Dump) -> usize {
    dump.threads.iter().filter(|thread| thread.kind == Kind::Thread).count()
}

fn runtime_name(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Unknown => "unknown",
        Runtime::Rust => "rust",
        Runtime::Jvm => "jvm",
        Runtime::Go => "go",
        Runtime::Native => "native",
    }
}

/// The executable's file name, or the runtime's words on its version.
fn title(process: &Process) -> String {
    let file = process.executable.as_deref().and_then(|path| path.rsplit('/').next());
    file.or(process.runtime_version.as_deref()).unwrap_or_default().to_owned()
}

/// A moment as RFC 3339 in UTC; none for one beyond the calendar's end (the year 9999).
fn rfc_3339(time: Nanos) -> Option<String> {
    const END: Duration = Duration::from_secs(253_402_300_800);
    let since_epoch = Duration::from_nanos(time.0);
    (since_epoch < END)
        .then(|| humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since_epoch).to_string())
}
