//! Node's diagnostic report: `node --report-on-signal`, `--report-uncaught-exception`,
//! `process.report.writeReport()`.
//!
//! ```text
//! {"header": {"reportVersion": 4, "event": "SIGUSR2", "trigger": "Signal", "processId": 30355, "threadId": 0,
//!     "dumpEventTimeStamp": "1795721112684", "nodejsVersion": "v20.20.2", "host": "shop-1", ...},
//!  "javascriptStack": {"message": "...", "stack": ["at loop (/srv/night.js:22:37)", ...]},
//!  "javascriptHeap": {"usedMemory": 4445344, "memoryLimit": 4345298944, ...},
//!  "nativeStack": [{"pc": "0x0000000000d5c4fa", "symbol": "node::report::WriteReport(...) [node]"}, ...],
//!  "resourceUsage": {"userCpuSeconds": 0.091706, "kernelCpuSeconds": 0.007974, ...},
//!  "uvthreadResourceUsage": {...}, "libuv": [...], "workers": [ the same of each worker thread ]}
//! ```
//!
//! A report shows the main thread and the workers, not the threads behind them. Who has JavaScript on
//! its stack runs. A signal is served by the event loop: a main thread that is caught in a function
//! writes no report at all.

mod call;
mod report;

use sigquit_dump::{
    Dump, Frame, Heap, Notice, NoticeKind, Process, Runtime, Stack, StackId, Symbol, Thread,
    ThreadState, Warning,
};

use self::call::{javascript_call, native_call};
use self::report::{Report, ResourceUsage};

use super::intern::Interned;
use super::{Format, Read, Recognition, Text, too_many_threads};

pub(super) const FORMAT: Format = Format {
    name: "node",
    looks_like: "an object {\"header\": {\"reportVersion\": ...}} of Node's diagnostic reports",
    recognize,
    read: Read::Whole(read),
};

const BEGINS: &str = "\"reportVersion\"";

fn recognize(text: &Text) -> Recognition {
    let has = |name: &str| text.as_str().contains(name);
    match (has(BEGINS), has("\"javascriptStack\"")) {
        (true, true) => Recognition::Yes,
        (true, false) if has("\"nodejsVersion\"") => Recognition::Perhaps,
        _ => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    let whole = text.as_str();
    let (mut dumps, mut warnings) = (Vec::new(), Vec::new());
    let (mut at, mut counted, mut line) = (0, 0, 1);
    while let Some(begin) = begin_of_report(whole, at) {
        line += memchr::memchr_iter(b'\n', &whole.as_bytes()[counted..begin]).count() as u64;
        counted = begin;
        let mut values = serde_json::Deserializer::from_str(&whole[begin..]).into_iter::<Report>();
        let (report, is_whole) = match values.next() {
            Some(Ok(report)) => (report, true),
            _ => (Report::of_damaged(&whole[begin..]), false),
        };
        at = if is_whole { begin + values.byte_offset() } else { whole.len() };
        if !is_whole {
            let message = "the JSON ends, or is damaged, within the report: the threads are a lower \
                bound";
            warnings.push(Warning { line, message: message.into() });
        }
        let threads = 1 + report.workers.iter().flatten().count();
        let most = text.limits().threads;
        if threads > most {
            warnings.push(too_many_threads(line, most));
        }
        dumps.extend(dump(report, !is_whole, (line, most)));
    }
    (dumps, warnings)
}

/// Where the object begins that has the next version in it: at the brace before `"header"`.
fn begin_of_report(text: &str, from: usize) -> Option<usize> {
    let version = from + text.get(from..)?.find(BEGINS)?;
    let header = text[from..version].rfind("\"header\"").map_or(version, |at| from + at);
    let brace = text[from..header].rfind('{').map_or(header, |at| from + at);
    Some(brace)
}

fn dump(report: Report, truncated: bool, (line, most): (u64, usize)) -> Option<Dump> {
    let header = report.header.as_ref()?;
    let resources = report.resource_usage.as_ref();
    let heap = report.javascript_heap.as_ref();
    let heap =
        heap.and_then(|heap| Some(Heap { used: heap.used_memory?, limit: heap.memory_limit? }));
    let process = Process {
        runtime: Runtime::Unknown,
        runtime_version: header.nodejs_version.as_ref().map(|version| format!("Node.js {version}")),
        pid: header.process_id,
        host: header.host.clone().filter(|host| !host.is_empty()),
        executable: header.command_line.iter().flatten().next().cloned(),
        cpu: resources.and_then(ResourceUsage::cpu),
        heap,
        ..Process::default()
    };
    let mut building = Building {
        dump: Dump { process, truncated, time: header.time(), ..Dump::default() },
        interned: Interned::default(),
    };
    for (place, one) in std::iter::once(&report).chain(report.workers.iter().flatten()).enumerate()
    {
        if place < most {
            building.add(one, place, line);
        }
    }
    Some(building.dump)
}

struct Building {
    dump: Dump,
    interned: Interned<String>,
}

impl Building {
    fn add(&mut self, report: &Report, place: usize, line: u64) {
        let header = report.header.as_ref();
        let javascript =
            report.javascript_stack.iter().flat_map(|stack| stack.stack.iter().flatten());
        let javascript: Vec<&String> =
            javascript.filter(|call| javascript_call(call).is_some()).collect();
        let native = report.native_stack.iter().flatten().filter_map(|frame| frame.symbol.as_ref());
        let trigger = header.and_then(|header| header.trigger.as_deref());
        let (stack, state) = match trigger {
            _ if !javascript.is_empty() => {
                (self.stack(javascript.into_iter(), javascript_call), ThreadState::Runnable)
            }
            // The event loop takes the signal: the native stack is that of writing the report.
            Some("Signal") => (None, ThreadState::Waiting),
            _ => (self.stack(native, native_call), ThreadState::Waiting),
        };
        let number = header.and_then(|header| header.thread_id);
        let name = header.and_then(|header| header.thread_name.clone());
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| match (place, number) {
            (0, _) => "main".to_owned(),
            (_, Some(number)) => format!("worker-{number}"),
            (_, None) => "worker".to_owned(),
        });
        let thread = Thread {
            name,
            number,
            os_id: header.and_then(|header| header.process_id).filter(|_| place == 0),
            state,
            state_text: if stack.is_none() { "event loop".into() } else { String::new() },
            cpu: report.uvthread_resource_usage.as_ref().and_then(ResourceUsage::cpu),
            stack,
            line: Some(line),
            ..Thread::default()
        };
        let index = self.dump.threads.len() as u32;
        self.dump.threads.push(thread);
        self.dump.notices.extend(notice(report, index, line));
    }

    fn stack<'r>(
        &mut self,
        calls: impl Iterator<Item = &'r String>,
        read: fn(&str) -> Option<Symbol>,
    ) -> Option<StackId> {
        let mut frames = Vec::new();
        for text in calls {
            if let Some(symbol) = read(text) {
                let frame = || Frame::named(symbol);
                frames.push(self.interned.frame(&mut self.dump, text.clone(), frame));
            }
        }
        (!frames.is_empty()).then(|| self.interned.stack(&mut self.dump, Stack::from(frames)))
    }
}

/// What ended the program, when something did.
fn notice(report: &Report, thread: u32, line: u64) -> Option<Notice> {
    let header = report.header.as_ref()?;
    let event = header.event.as_deref().unwrap_or_default();
    let said = report.javascript_stack.as_ref().and_then(|stack| stack.message.as_deref());
    let (kind, message) = match header.trigger.as_deref()? {
        "Exception" => (NoticeKind::Panic, said.filter(|said| !said.is_empty()).unwrap_or(event)),
        "FatalError" | "OOMError" => (NoticeKind::Fatal, event),
        _ => return None,
    };
    let message = message.lines().next().unwrap_or_default().to_owned();
    Some(Notice { kind, message, threads: vec![thread], line: Some(line), ..Notice::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::Nanos;

    const REPORT: &str = r#"
{"header": {"reportVersion": 4, "event": "Exception", "trigger": "Exception", "processId": 30413, "threadId": 0,
   "dumpEventTimeStamp": "1795721114632", "commandLine": ["node", "night.js"], "nodejsVersion": "v20.20.2", "host": "shop-1"},
 "javascriptStack": {"message": "Error: three entries", "stack": ["at Ledger.post (/srv/night.js:29:37)",
   "at Module._compile (node:internal/modules/cjs/loader:1521:14)", "at file:///srv/n.mjs:4:1", "(no position)"]},
 "nativeStack": [{"pc": "0x0d", "symbol": " [node]"}],
 "javascriptHeap": {"usedMemory": 4, "memoryLimit": 9},
 "uvthreadResourceUsage": {"userCpuSeconds": 0.5, "kernelCpuSeconds": 0.25},
 "workers": [{"header": {"reportVersion": 4, "threadId": 1}, "javascriptStack": {"message": "No stack."},
   "nativeStack": [{"pc": "0x0d", "symbol": "epoll_pwait [/lib/libc.so.6]"}, {"symbol": "uv_run(a, b) [node]"}]}],
 "environmentVariables": {"TOKEN": "secret"}}
"#;

    fn read_text(text: &str) -> (Vec<Dump>, Vec<Warning>) {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn the_main_thread_and_the_workers() {
        let (dumps, warnings) = read_text(REPORT);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let dump = &dumps[0];
        let [main, worker] = &dump.threads[..] else { panic!("{:?}", dump.threads) };
        assert_eq!(
            (main.name.as_str(), main.os_id, main.state),
            ("main", Some(30413), ThreadState::Runnable)
        );
        assert_eq!(main.cpu, Some(Nanos(750_000_000)));
        assert_eq!((worker.name.as_str(), worker.state), ("worker-1", ThreadState::Waiting));
        let functions = |thread| dump.calls(thread).map(|(.., symbol)| symbol.function.as_str());
        assert_eq!(
            functions(main).collect::<Vec<_>>(),
            ["Ledger.post", "node:internal/modules/cjs/loader.Module._compile", "anonymous"]
        );
        assert_eq!(functions(worker).collect::<Vec<_>>(), ["epoll_pwait", "uv_run"]);
        assert_eq!(
            (dump.notices[0].kind, dump.notices[0].message.as_str()),
            (NoticeKind::Panic, "Error: three entries")
        );
        assert_eq!(dump.process.heap, Some(Heap { used: 4, limit: 9 }));
    }

    #[test]
    fn a_cut_leaves_what_stands_before_it() {
        for cut in ["\"uvthread", "\"workers", "\"environment"] {
            let text = &REPORT[..REPORT.find(cut).expect("it is there")];
            let (dumps, warnings) = read_text(text);
            assert_eq!((dumps.len(), warnings.len(), dumps[0].truncated), (1, 1, true), "{cut}");
            assert_eq!(dumps[0].process.pid, Some(30413));
            assert_eq!(dumps[0].stacks[0].frames.len(), 3);
        }
    }

    #[test]
    fn several_reports_in_one_file() {
        let (dumps, warnings) = read_text(&REPORT.repeat(3));
        assert_eq!((dumps.len(), warnings.len()), (3, 0));
    }
}
