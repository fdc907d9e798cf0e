//! The JSON of Spring Boot's `/actuator/threaddump`: the beans of `java.lang.management.ThreadInfo`,
//! with whole stacks.
//!
//! ```text
//! {"threads": [{"threadName": "clerk", "threadId": 13, "threadState": "BLOCKED", "daemon": true,
//!   "lockInfo": {"className": "java.lang.Object", "identityHashCode": 1175962212}, "lockOwnerId": 12,
//!   "stackTrace": [{"className": "shop.Clerk", "methodName": "run", "fileName": "Clerk.java",
//!     "lineNumber": 15, "nativeMethod": false, "moduleName": null, ...}],
//!   "lockedMonitors": [{"className": ..., "identityHashCode": ..., "lockedStackDepth": 6}],
//!   "lockedSynchronizers": [...]}, ...
//! ```
//!
//! The file is read thread by thread, so that one that was cut gives what it holds.

use serde::Deserialize;
use sigquit_dump::{Dump, Thread, Warning};

use super::super::by_line::Build;
use super::super::{Format, Read, Recognition, Text, too_many_threads};
use super::json::items;
use super::managed::{Managed, Open};
use super::mark::{Mark, Object};

pub(in crate::read) const FORMAT: Format = Format {
    name: "actuator",
    looks_like: "an object {\"threads\": [{\"threadName\": ...}]} of Spring Boot's actuator",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    match begin(text.as_str()) {
        Some(at) if text.as_str()[at..].contains("\"stackTrace\"") => Recognition::Yes,
        Some(_) => Recognition::Perhaps,
        None => Recognition::No,
    }
}

/// Where the first thread begins. A browser's or a client's lines may stand before the object.
fn begin(text: &str) -> Option<usize> {
    let at = text.find("\"threads\"")?;
    let rest = text[at + "\"threads\"".len()..].trim_start().strip_prefix(':')?;
    let rest = rest.trim_start().strip_prefix('[')?;
    let is_thread = rest.trim_start().starts_with('{') && rest.contains("\"threadName\"");
    is_thread.then(|| text.len() - rest.len())
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    let (whole, most) = (text.as_str(), text.limits().threads);
    let Some(begin) = begin(whole) else { return (Vec::new(), Vec::new()) };
    let (threads, end, is_whole) = items::<ThreadOfJson>(whole, begin);
    let stacks: Vec<Vec<String>> = threads.iter().map(ThreadOfJson::frames).collect();
    let mut managed = Managed::default();
    for (thread, frames) in threads.iter().zip(&stacks).take(most) {
        managed.add(thread.open(frames));
    }
    let line = |at: usize| whole[..at].bytes().filter(|&byte| byte == b'\n').count() as u64 + 1;
    let mut warnings = Vec::new();
    if threads.len() > most {
        warnings.push(too_many_threads(line(begin), most));
    }
    if !is_whole {
        managed.dump.truncated = true;
        let count = threads.len();
        let message = format!(
            "the JSON ends, or is damaged, within the threads: {count} threads, a lower bound"
        );
        warnings.push(Warning { line: line(end), message });
    }
    let dump = managed.finish();
    ((!dump.threads.is_empty()).then_some(dump).into_iter().collect(), warnings)
}

/// Every field can be missing or null, as versions differ.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadOfJson {
    thread_name: Option<String>,
    thread_id: Option<u64>,
    thread_state: Option<String>,
    daemon: Option<bool>,
    lock_info: Option<ObjectOfJson>,
    lock_owner_id: Option<i64>,
    stack_trace: Option<Vec<FrameOfJson>>,
    locked_monitors: Option<Vec<ObjectOfJson>>,
    locked_synchronizers: Option<Vec<ObjectOfJson>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectOfJson {
    class_name: Option<String>,
    identity_hash_code: Option<i64>,
    /// Of a monitor: the frame that entered it.
    locked_stack_depth: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameOfJson {
    class_name: Option<String>,
    method_name: Option<String>,
    file_name: Option<String>,
    line_number: Option<i64>,
    native_method: Option<bool>,
    module_name: Option<String>,
}

impl ThreadOfJson {
    fn frames(&self) -> Vec<String> {
        self.stack_trace.iter().flatten().map(FrameOfJson::text).collect()
    }

    fn open<'t>(&'t self, frames: &'t [String]) -> Open<'t> {
        let thread = Thread {
            name: self.thread_name.clone().unwrap_or_default(),
            number: self.thread_id,
            daemon: self.daemon.unwrap_or_default(),
            ..Thread::default()
        };
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let marks = self.marks(&frames);
        let owner = self.lock_owner_id.and_then(|owner| u64::try_from(owner).ok());
        let mut open = Open { thread, frames, marks, owner, ..Open::default() };
        open.state(self.thread_state.as_deref().unwrap_or_default());
        open
    }

    /// What it waits for stands before what it holds, as in the text. The leaf frame tells whether
    /// it waits for a monitor or is parked.
    fn marks(&self, frames: &[&str]) -> Vec<(u32, Mark<'_>)> {
        let is_parked = frames.first().is_some_and(|leaf| leaf.contains(".park"));
        let is_blocked = self.thread_state.as_deref() == Some("BLOCKED");
        let wanted = self.lock_info.as_ref().and_then(ObjectOfJson::object);
        let wanted = wanted.map(|object| match (is_blocked, is_parked) {
            (true, _) => Mark::WaitingToLock(object),
            (_, true) => Mark::Parking(object),
            _ => Mark::WaitingOn(Some(object)),
        });
        let monitor =
            |of: &ObjectOfJson| of.locked_stack_depth.and_then(|at| u32::try_from(at).ok());
        let entered = self.locked_monitors.iter().flatten();
        let entered = entered.filter_map(|of| Some((monitor(of)?, Mark::Locked(of.object()?))));
        let owned = self.locked_synchronizers.iter().flatten();
        let owned = owned.filter_map(|of| Some((0, Mark::Synchronizer(of.object()?))));
        wanted.map(|mark| (0, mark)).into_iter().chain(entered).chain(owned).collect()
    }
}

impl ObjectOfJson {
    fn object(&self) -> Option<Object<'_>> {
        let address = u64::try_from(self.identity_hash_code?).ok()?;
        Some(Object { address, class: self.class_name.as_deref()? })
    }
}

impl FrameOfJson {
    /// The frame as the JVM prints it: `java.base/java.lang.Thread.run(Thread.java:840)`.
    fn text(&self) -> String {
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        let module = self.module_name.as_ref().map_or(String::new(), |module| format!("{module}/"));
        let place = match (&self.file_name, self.line_number) {
            _ if self.native_method == Some(true) => "Native Method".to_owned(),
            (Some(file), Some(line)) if line >= 0 => format!("{file}:{line}"),
            (Some(file), _) => file.clone(),
            (None, _) => "Unknown Source".to_owned(),
        };
        let (class, method) = (or_nothing(&self.class_name), or_nothing(&self.method_name));
        format!("{module}{class}.{method}({place})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"{"threads": [
 {"threadName": "teller", "threadId": 12, "threadState": "WAITING", "lockOwnerId": 13,
  "lockInfo": {"className": "java.util.concurrent.locks.ReentrantLock$NonfairSync", "identityHashCode": 7},
  "stackTrace": [{"className": "jdk.internal.misc.Unsafe", "methodName": "park", "nativeMethod": true, "moduleName": "java.base"},
                 {"className": "shop.Till", "methodName": "take", "fileName": "Till.java", "lineNumber": 14}],
  "lockedMonitors": [{"className": "java.lang.Object", "identityHashCode": 9, "lockedStackDepth": 1}]},
 {"threadName": "clerk", "threadId": 13, "threadState": "BLOCKED", "lockOwnerId": 12, "daemon": true,
  "lockInfo": {"className": "java.lang.Object", "identityHashCode": 9},
  "stackTrace": [{"className": "shop.Till", "methodName": "give", "fileName": "Till.java", "lineNumber": 15}],
  "lockedSynchronizers": [{"className": "java.util.concurrent.locks.ReentrantLock$NonfairSync", "identityHashCode": 7}]}
]}"#;

    #[test]
    fn who_waits_for_whom() {
        let text = Text::from_bytes(DUMP.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let dump = &dumps[0];
        for (waiter, owner) in [(0, 1), (1, 0)] {
            let wait = dump.threads[waiter].wait.as_ref().expect("a wait");
            assert_eq!(dump.lock(wait.lock).owners[0].thread, owner);
        }
        assert!(dump.threads[1].daemon && !dump.threads[0].daemon);
        let leaf = &dump.frames[0].symbols[0];
        assert_eq!(leaf.function, "java.base/jdk.internal.misc.Unsafe.park");
    }

    #[test]
    fn a_cut_leaves_the_threads_before_it() {
        let cut = &DUMP[..DUMP.len() - 100];
        let (dumps, warnings) = read(&Text::from_bytes(cut.as_bytes()));
        assert_eq!((dumps[0].threads.len(), warnings.len()), (1, 1));
        assert!(dumps[0].truncated);
    }

    #[test]
    fn other_json_is_none() {
        for text in ["{\"threads\": [1, 2]}", "{\"threads\": 4}", "{}", ""] {
            assert_eq!(recognize(&Text::from_bytes(text.as_bytes())), Recognition::No, "{text}");
        }
    }
}
