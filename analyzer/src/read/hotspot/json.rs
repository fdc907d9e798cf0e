//! The JSON of `jcmd PID Thread.dump_to_file -format=json`, with virtual threads and the
//! containers that they run in; JDK 21 and later.
//!
//! ```text
//! {"threadDump": {"processId": "15462", "time": "2026-11-22T21:04:00.19Z", "runtimeVersion": "25.0.3+9-LTS",
//!   "threadContainers": [{"container": "<root>", "parent": null, "owner": null, "threads": [
//!     {"tid": "566", "virtual": true, "name": "pinned-0", "state": "TIMED_WAITING",
//!      "stack": ["vt.curlew.FanoutService.pinned(FanoutService.java:7)", ...],
//!      "monitorsOwned": [{"depth": 4, "locks": ["java.lang.Object@7f2801c6"]}]}, ...
//! ```
//!
//! JDK 21 writes no states and no locks. The file is read thread by thread, so that one that was
//! cut gives what it holds.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sigquit_dump::{Dump, Kind, Thread, Warning};

use super::super::by_line::Build;
use super::super::{Format, Read, Recognition, Text, too_many_threads};
use super::managed::{self, Managed, Open};
use super::mark::{Mark, Object};

pub(in crate::read) const FORMAT: Format = Format {
    name: "hotspot-json",
    looks_like: "an object {\"threadDump\": ...} of HotSpot's Thread.dump_to_file",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    const NEAR: usize = 4096;
    let beginning = text.as_str().trim_start_matches(['\u{FEFF}', ' ', '\n', '\r', '\t']);
    let near = beginning.char_indices().nth(NEAR).map_or(beginning, |(end, _)| &beginning[..end]);
    match (
        near.starts_with('{') && near.contains("\"threadDump\""),
        near.contains("\"threadContainers\""),
    ) {
        (true, true) => Recognition::Yes,
        (false, false) => Recognition::No,
        _ => Recognition::Perhaps,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    let whole = text.as_str();
    let mut warnings = Vec::new();
    let mut dumps = Vec::new();
    let begins: Vec<usize> = whole.match_indices("\"threadDump\"").map(|(at, _)| at).collect();
    for (place, &begin) in begins.iter().enumerate() {
        let end = begins.get(place + 1).copied().unwrap_or(whole.len());
        let before = whole[..begin].lines().count() as u64;
        let most = text.limits().threads;
        dumps.extend(dump(&whole[begin..end], (before, most), &mut warnings));
    }
    (dumps, warnings)
}

/// One dump, from its beginning to that of the next. `before`: lines before it; `most`: threads
/// that are read.
fn dump(text: &str, (before, most): (u64, usize), warnings: &mut Vec<Warning>) -> Option<Dump> {
    let (containers, cut) = containers(text);
    let mut managed = Managed::default();
    let dump = &mut managed.dump;
    dump.process.pid = field(text, "processId").and_then(|pid| pid.parse().ok());
    dump.time = field(text, "time").and_then(managed::time);
    dump.process.runtime_version = field(text, "runtimeVersion").map(str::to_owned);
    let line =
        |at: usize| before.max(1) + text[..at].bytes().filter(|&byte| byte == b'\n').count() as u64;
    for Container { name, threads } in &containers {
        for thread in threads.iter() {
            if managed.dump.threads.len() >= most {
                warnings.push(too_many_threads(line(0), most));
                break;
            }
            managed.add(thread.open(name));
        }
    }
    if let Some(at) = cut {
        managed.dump.truncated = true;
        let count = managed.dump.threads.len();
        let message = format!(
            "the JSON ends, or is damaged, within the threads: {count} threads, a lower bound"
        );
        warnings.push(Warning { line: line(at), message });
    }
    let dump = managed.finish();
    (!dump.threads.is_empty()).then_some(dump)
}

/// The text of a field that stands before the containers.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let head = text.split("\"threadContainers\"").next()?;
    let (_, rest) = head.split_once(&format!("\"{name}\""))?;
    let (_, rest) = rest.split_once('"')?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Threads that share a container.
struct Container {
    name: String,
    threads: Vec<ThreadOfJson>,
}

/// Every container's threads, and where the text ended before they did.
fn containers(text: &str) -> (Vec<Container>, Option<usize>) {
    let mut containers = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("\"threads\"") {
        let name = container_name(&text[at..at + found]);
        let open = match text[at + found..].find('[') {
            Some(open) => at + found + open + 1,
            None => return (containers, Some(text.len())),
        };
        let (threads, end, whole) = items(text, open);
        containers.push(Container { name, threads });
        if !whole {
            return (containers, Some(end));
        }
        at = end;
    }
    (containers, None)
}

fn container_name(before: &str) -> String {
    let name = before.rfind("\"container\"").and_then(|at| {
        let (_, rest) = before[at + "\"container\"".len()..].split_once('"')?;
        rest.split_once('"').map(|(name, _)| name)
    });
    name.unwrap_or_default().replace("\\/", "/")
}

/// The items of an array from within it on, where reading ended, and whether that is the array's
/// end.
pub(super) fn items<T: DeserializeOwned>(text: &str, mut at: usize) -> (Vec<T>, usize, bool) {
    let mut items = Vec::new();
    loop {
        let rest = text[at..].trim_start_matches([' ', '\n', '\r', '\t', ',']);
        at = text.len() - rest.len();
        if rest.starts_with(']') {
            return (items, at + 1, true);
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        match values.next() {
            Some(Ok(item)) => items.push(item),
            _ => return (items, at, false),
        }
        at += values.byte_offset();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadOfJson {
    /// A number, which some versions write as text.
    tid: Option<Value>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    r#virtual: bool,
    #[serde(default)]
    state: String,
    #[serde(default)]
    stack: Vec<String>,
    park_blocker: Option<ParkBlocker>,
    blocked_on: Option<String>,
    waiting_on: Option<String>,
    #[serde(default)]
    monitors_owned: Vec<Monitors>,
}

#[derive(Deserialize)]
struct ParkBlocker {
    object: Option<String>,
    /// The thread that owns it, where it is a lock that knows.
    owner: Option<Value>,
}

#[derive(Deserialize)]
struct Monitors {
    depth: Value,
    #[serde(default)]
    locks: Vec<Option<String>>,
}

impl ThreadOfJson {
    fn open(&self, container: &str) -> Open<'_> {
        let kind = if self.r#virtual { Kind::VirtualThread } else { Kind::Thread };
        let in_container = !matches!(container, "" | "<root>");
        let labels = in_container.then(|| ("container".to_owned(), container.to_owned()));
        let thread = Thread {
            kind,
            name: self.name.clone(),
            number: self.tid.as_ref().and_then(number),
            labels: labels.into_iter().collect(),
            ..Thread::default()
        };
        let frames = self.stack.iter().map(String::as_str).collect();
        let mut open = Open { thread, frames, marks: self.marks(), ..Open::default() };
        open.state(&self.state);
        open.owner = self.park_blocker.as_ref().and_then(|parked| number(parked.owner.as_ref()?));
        open
    }

    /// What it waits for stands before what it holds, as in the text.
    fn marks(&self) -> Vec<(u32, Mark<'_>)> {
        let mut marks = Vec::new();
        if let Some(object) = object(&self.blocked_on) {
            marks.push((0, Mark::WaitingToLock(object)));
        }
        if let Some(object) = object(&self.waiting_on) {
            marks.push((0, Mark::WaitingOn(Some(object))));
        }
        let parked = self.park_blocker.as_ref();
        if let Some(object) = parked.and_then(|parked| object(&parked.object)) {
            marks.push((0, Mark::Parking(object)));
        }
        for monitors in &self.monitors_owned {
            let depth = number(&monitors.depth).and_then(|depth| u32::try_from(depth).ok());
            let held = monitors.locks.iter().flatten().filter_map(|text| managed::object(text));
            marks.extend(held.map(|object| (depth.unwrap_or(0), Mark::Locked(object))));
        }
        marks
    }
}

fn object(text: &Option<String>) -> Option<Object<'_>> {
    text.as_deref().and_then(managed::object)
}

/// `"566"` or `566`
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::WaitFor;

    const DUMP: &str = r#"{"threadDump": {"processId": "15462", "time": "2026-11-22T21:04:00.19Z",
 "runtimeVersion": "25.0.3+9-LTS", "threadContainers": [
 {"container": "<root>", "parent": null, "owner": null, "threads": [
  {"tid": "3", "name": "main", "state": "TIMED_WAITING", "stack": ["java.base\/java.lang.Thread.sleep(Thread.java:540)"]}
 ], "threadCount": "1"},
 {"container": "java.util.concurrent.ThreadPerTaskExecutor@2974", "parent": "<root>", "owner": null, "threads": [
  {"tid": 566, "virtual": true, "name": "owner", "state": "TIMED_WAITING",
   "stack": ["a.B.slow(B.java:7)", "a.B.run(B.java:9)"], "monitorsOwned": [{"depth": "1", "locks": ["a.B@7f2801c6", null]}]},
  {"tid": "567", "virtual": true, "name": "waiter", "state": "BLOCKED", "blockedOn": "a.B@7f2801c6", "stack": ["a.B.add(B.java:8)"]}
 ], "threadCount": "2"}]}}"#;

    #[test]
    fn containers_threads_and_locks() {
        let text = Text::from_bytes(DUMP.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let dump = &dumps[0];
        assert_eq!((dump.process.pid, dump.threads.len()), (Some(15462), 3));
        assert_eq!(dump.threads[1].holds[0].frame, Some(1));
        assert_eq!(dump.threads[1].labels[0].0, "container");
        let wait = dump.threads[2].wait.as_ref().expect("a wait");
        assert_eq!(wait.wait_for, WaitFor::Exclusive);
        assert_eq!(dump.lock(wait.lock).owners[0].thread, 1);
    }

    #[test]
    fn a_cut_leaves_the_threads_before_it() {
        let cut = &DUMP[..DUMP.find("\"waiter\"").expect("it is there")];
        let (dumps, warnings) = read(&Text::from_bytes(cut.as_bytes()));
        assert_eq!((dumps[0].threads.len(), dumps[0].truncated, warnings.len()), (2, true, 1));
        assert!(read(&Text::from_bytes(b"{\"threadDump\": {")).0.is_empty());
    }

    #[test]
    fn several_dumps_in_one_file() {
        let text = format!("{DUMP}\n{DUMP}");
        assert_eq!(read(&Text::from_bytes(text.as_bytes())).0.len(), 2);
    }
}
