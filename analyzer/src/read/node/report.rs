//! The JSON of a report, and what can be found in one that ends early.

use serde::Deserialize;
use sigquit_dump::Nanos;

/// Every field can be missing, as versions differ and files are cut.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Report {
    pub header: Option<Header>,
    pub javascript_stack: Option<JavascriptStack>,
    pub javascript_heap: Option<JavascriptHeap>,
    pub native_stack: Option<Vec<NativeFrame>>,
    pub resource_usage: Option<ResourceUsage>,
    pub uvthread_resource_usage: Option<ResourceUsage>,
    pub workers: Option<Vec<Report>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Header {
    pub event: Option<String>,
    pub trigger: Option<String>,
    pub dump_event_time_stamp: Option<String>,
    pub process_id: Option<u64>,
    pub thread_id: Option<u64>,
    pub thread_name: Option<String>,
    pub command_line: Option<Vec<String>>,
    pub nodejs_version: Option<String>,
    pub host: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct JavascriptStack {
    pub message: Option<String>,
    pub stack: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JavascriptHeap {
    pub used_memory: Option<u64>,
    pub memory_limit: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NativeFrame {
    pub symbol: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceUsage {
    pub user_cpu_seconds: Option<f64>,
    pub kernel_cpu_seconds: Option<f64>,
}

impl ResourceUsage {
    pub fn cpu(&self) -> Option<Nanos> {
        let seconds = self.user_cpu_seconds? + self.kernel_cpu_seconds?;
        (0.0..1e9).contains(&seconds).then_some(Nanos((seconds * 1e9) as u64))
    }
}

impl Header {
    /// Milliseconds since 1970.
    pub fn time(&self) -> Option<Nanos> {
        let millis: u64 = self.dump_event_time_stamp.as_ref()?.parse().ok()?;
        millis.checked_mul(1_000_000).map(Nanos)
    }
}

impl Report {
    /// What can be found in one that ends early.
    pub fn of_damaged(text: &str) -> Report {
        Report {
            header: value(text, "header").or_else(|| Some(Header::of_damaged(text))),
            javascript_stack: value(text, "javascriptStack"),
            javascript_heap: value(text, "javascriptHeap"),
            native_stack: value(text, "nativeStack"),
            resource_usage: value(text, "resourceUsage"),
            uvthread_resource_usage: value(text, "uvthreadResourceUsage"),
            workers: Some(workers(text)),
        }
    }
}

impl Header {
    fn of_damaged(text: &str) -> Header {
        Header {
            event: value(text, "event"),
            trigger: value(text, "trigger"),
            dump_event_time_stamp: value(text, "dumpEventTimeStamp"),
            process_id: value(text, "processId"),
            thread_id: value(text, "threadId"),
            thread_name: None,
            command_line: value(text, "commandLine"),
            nodejs_version: value(text, "nodejsVersion"),
            host: value(text, "host"),
        }
    }
}

/// Of a report that ends early: the workers that are whole.
fn workers(text: &str) -> Vec<Report> {
    let rest = text.rsplit_once("\"workers\": [").map_or("", |(_, rest)| rest);
    let (mut workers, mut at) = (Vec::new(), 0);
    while let Some(begin) = rest[at..].find('{') {
        let mut values =
            serde_json::Deserializer::from_str(&rest[at + begin..]).into_iter::<Report>();
        let Some(Ok(worker)) = values.next() else { break };
        workers.push(worker);
        at += begin + values.byte_offset();
    }
    workers
}

/// The value of the first field of that name.
fn value<T: for<'t> Deserialize<'t>>(text: &str, name: &str) -> Option<T> {
    let rest = text.split_once(&format!("\"{name}\""))?.1.trim_start().strip_prefix(':')?;
    serde_json::Deserializer::from_str(rest).into_iter::<T>().next()?.ok()
}
