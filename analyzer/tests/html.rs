//! The report as HTML in a browser: it opens without errors, asks for nothing, can be searched and
//! clicked through, and runs nothing that an input holds.

mod browser;

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use browser::Browser;
use sigquit_analyzer::cli;
use sigquit_dump::{
    Dump, Frame, Location, Lock, LockKind, Notice, Owner, OwnerSource, Process, Runtime, Symbol,
    Thread, ThreadState, Wait, WaitFor,
};

/// A report, and the folder that holds it.
struct Report {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Report {
    /// What the command writes of what lies under a path.
    fn of(input: &Path) -> Report {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.html");
        let arguments: [OsString; 6] = [
            "sigquit".into(),
            "analyze".into(),
            "--output=html".into(),
            "-o".into(),
            path.clone().into(),
            input.into(),
        ];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = cli::run(arguments, &mut out, &mut err);
        assert_eq!(status, 0, "{}", String::from_utf8_lossy(&err));
        Report { path, _folder: folder }
    }

    fn of_fixture(name: &str) -> Report {
        Report::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name))
    }

    fn of_bytes(bytes: &[u8]) -> Report {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("input");
        fs::write(&input, bytes).expect("a file");
        Report::of(&input)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("UTF-8")
    }
}

/// The page had nothing to complain of, and asked for nothing but itself.
fn is_quiet(browser: &Browser) {
    assert_eq!(browser.complaints, Vec::<String>::new());
    assert_eq!(browser.requests.len(), 1, "{:?}", browser.requests);
}

#[test]
fn findings_are_read_without_scripts() {
    let html = Report::of_fixture("sigquit/order-service").text();
    let (body, _) = html.split_once("<script").expect("scripts come last");
    for words in ["INCIDENT", "map-corruption", "Restart this process", "stack unchanged"] {
        assert!(body.contains(words), "{words}");
    }
    assert!(!body.contains(" style="), "the policy forbids styles in elements");
    assert!(!body.contains("<link"), "nothing is loaded");
}

#[test]
fn an_incident_can_be_searched_and_clicked_through() {
    let report = Report::of_fixture("sigquit/order-service");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert_eq!(browser.text(".word"), "INCIDENT");
    assert!(browser.text("#shown").starts_with("37 of 37"));
    assert!(browser.evaluate("document.querySelectorAll('.frame').length").as_u64() > Some(10));

    browser.evaluate("document.querySelector('[data-finding=f1]').click()");
    assert!(browser.text("#shown").starts_with("11 of 37"));
    assert!(browser.text("#thread").contains("ChainedMap::"));
    assert_eq!(browser.evaluate("document.querySelector('#thread a').hash"), "#f1");

    let chosen = "document.querySelector('[aria-selected=true]').id";
    assert_eq!(browser.evaluate(chosen), "row-0");
    browser.press("ArrowDown");
    assert_eq!(browser.evaluate(chosen), "row-1");

    browser.evaluate("document.querySelector('[type=reset]').click()");
    browser.evaluate(
        "const text = document.querySelector('#text'); text.value = 'REQUESTQUEUE::push'; \
         text.dispatchEvent(new Event('input'))",
    );
    assert!(browser.text("#shown").starts_with("12 of 37"));

    browser.evaluate("document.querySelector('[type=reset]').click()");
    browser.evaluate(
        "[...document.querySelectorAll('.frame')].find((frame) => \
         frame.title.includes('ChainedMap::insert')).click()",
    );
    assert!(browser.text("#shown").starts_with("5 of 37"), "{}", browser.text("#shown"));
    browser.evaluate("document.querySelector('#theme').click()");
    is_quiet(&browser);
}

#[test]
fn whatever_can_be_operated_has_a_name() {
    let report = Report::of_fixture("sigquit/order-service");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    let nameless = browser.evaluate(
        "[...document.querySelectorAll('button, select, input, a')].filter((part) => \
         !part.textContent.trim() && !part.ariaLabel && !part.labels?.length).length",
    );
    assert_eq!(nameless, 0);
    is_quiet(&browser);
}

#[test]
fn a_healthy_server_is_healthy() {
    let report = Report::of_fixture("sigquit/healthy");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert_eq!(browser.text(".word"), "HEALTHY");
    assert_eq!(browser.evaluate("document.querySelectorAll('.finding').length"), 0);
    is_quiet(&browser);
}

/// So many goroutines, in five places at a hundred depths.
fn goroutines(number: usize) -> String {
    let mut dump = String::new();
    for goroutine in 1..=number {
        let _ = writeln!(dump, "goroutine {goroutine} [chan receive, 7 minutes]:");
        let _ = write!(dump, "main.take{}(0xc0001)\n\t/srv/app/take.go:7 +0x1d\n", goroutine % 5);
        for depth in 0..goroutine % 100 / 10 {
            let _ = write!(dump, "main.layer{depth}(0x1)\n\t/srv/app/layer.go:{depth}1 +0x1d\n");
        }
        dump.push('\n');
    }
    dump
}

#[test]
fn a_hundred_thousand_goroutines_are_a_small_file_in_which_few_rows_exist() {
    let report = Report::of_bytes(goroutines(100_000).as_bytes());
    let size = fs::metadata(&report.path).expect("a file").len();
    assert!(size < 10_000_000, "{size} bytes");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert!(browser.text("#shown").starts_with("100000 of 100000"));
    assert!(browser.evaluate("document.querySelectorAll('*').length").as_u64() < Some(5_000));
    browser.evaluate("document.querySelector('#rows').focus()");
    browser.press("End");
    assert_eq!(browser.evaluate("document.querySelector('[aria-selected=true]').id"), "row-99999");
    is_quiet(&browser);
}

/// What would run in a page that took it for markup, a script, a style or an address.
const HOSTILE: [&str; 14] = [
    "<script>window.executed=1</script>",
    "</script><script>window.executed=1</script>",
    "</style><script>window.executed=1</script>",
    "<img src=x onerror=window.executed=1>",
    "\"><svg onload=window.executed=1>",
    "' onmouseover='window.executed=1' x='",
    "\" autofocus onfocus=\"window.executed=1",
    "--><iframe srcdoc=\"<script>parent.executed=1</script>\">",
    "javascript:window.executed=1",
    "{{constructor.constructor('window.executed=1')()}}",
    "{% include \"/etc/passwd\" %}",
    "\u{2028}window.executed=1\u{2029}",
    "\\u003cscript>window.executed=1\\u003c/script>",
    "&lt;script&gt;window.executed=1&lt;/script&gt;<a href=http://127.0.0.1/>x</a>",
];

/// A dump in which every text is hostile: two threads a text that wait for each other.
fn hostile_dump() -> Vec<u8> {
    let mut dump = Dump {
        process: Process {
            runtime: Runtime::Rust,
            pid: Some(1),
            host: Some(HOSTILE[0].into()),
            executable: Some(HOSTILE[3].into()),
            ..Process::default()
        },
        ..Dump::default()
    };
    for text in HOSTILE {
        dump.notices.push(Notice { message: text.into(), ..Notice::default() });
        let first = dump.threads.len() as u32;
        let locks = [first + 1, first].map(|thread| {
            dump.add_lock(Lock {
                kind: LockKind::Mutex,
                type_name: Some(text.into()),
                owners: vec![Owner { thread, source: OwnerSource::Runtime }],
                ..Lock::default()
            })
        });
        let location = Some(Location { file: text.into(), line: Some(7), column: None });
        let symbol = Symbol { location, ..Symbol::function(text) };
        let frame = dump.intern_frame(Frame::named(symbol));
        let stack = dump.intern_stack(vec![frame].into());
        for lock in locks {
            dump.threads.push(Thread {
                name: text.into(),
                os_id: Some(u64::from(lock.0) + 2),
                state: ThreadState::Blocked,
                state_text: text.into(),
                stack: Some(stack),
                wait: Some(Wait { lock, wait_for: WaitFor::Exclusive }),
                ..Thread::default()
            });
        }
    }
    let mut bytes = Vec::new();
    sigquit_dump::write(&dump, &mut bytes).expect("a buffer");
    bytes
}

#[test]
fn nothing_that_an_input_holds_is_run() {
    let report = Report::of_bytes(&hostile_dump());
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert_eq!(browser.text(".word"), "INCIDENT");
    browser.evaluate(
        "document.querySelectorAll('details').forEach((part) => { part.open = true; }); \
         document.querySelectorAll('[data-finding], [data-cluster]').forEach((one) => one.click())",
    );
    browser.evaluate("document.querySelector('[type=reset]').click()");
    browser.evaluate("document.querySelector('#rows').focus()");
    for _ in 0..HOSTILE.len() * 2 {
        browser.press("ArrowDown");
        browser.evaluate(
            "document.querySelectorAll('#thread .dumps button').forEach((b) => b.click())",
        );
    }
    browser.evaluate("document.querySelectorAll('.frame').forEach((frame) => frame.focus())");
    assert_eq!(browser.evaluate("typeof window.executed"), "undefined");
    assert_eq!(browser.evaluate("document.scripts.length"), 2);
    let brought = "document.querySelectorAll('img, iframe, object, embed, link, base').length";
    assert_eq!(browser.evaluate(brought), 0);
    let attributes = "[...document.querySelectorAll('*')].flatMap((part) => \
                      [...part.attributes]).filter((one) => one.name.startsWith('on')).length";
    assert_eq!(browser.evaluate(attributes), 0);
    let addresses = "[...document.querySelectorAll('a')].every((one) => \
                     one.getAttribute('href').startsWith('#'))";
    assert_eq!(browser.evaluate(addresses), true);
    is_quiet(&browser);
}

#[test]
fn what_the_policy_allows_is_what_is_in_the_page() {
    let report = Report::of_fixture("sigquit/healthy");
    let html = report.text().replace("</main>", "</main><script>window.executed = 1</script>");
    fs::write(&report.path, html).expect("a file");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert_eq!(browser.evaluate("typeof window.executed"), "undefined");
    assert_eq!(browser.complaints.len(), 1, "the browser tells that the policy forbids it");
}
