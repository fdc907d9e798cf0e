//! The report as HTML in a browser: it opens without errors, asks for nothing, can be searched and
//! clicked through, and runs nothing that an input holds.

mod browser;
mod crowd;
mod images;
mod program;
mod written;

use std::fs;

use browser::Browser;
use sigquit_dump::{
    Clock, Delivery, Dump, Frame, Location, Lock, LockKind, Nanos, Notice, Owner, OwnerSource,
    Process, Profile, ProfileBuilder, Runtime, Sample, Symbol, Thread, ThreadState, Wait, WaitFor,
};
use written::Report;

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
fn a_browser_that_runs_no_scripts_shows_the_findings() {
    let report = Report::of_fixture("sigquit/order-service");
    let Some(mut browser) = Browser::open_without_scripts(&report.path) else { return };
    let shown = browser.text("body");
    for words in ["INCIDENT", "map-corruption", "Restart this process", "Scripts are off"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("Threads over the dumps"), "{shown}");
}

#[test]
fn an_incident_is_walked_through_by_keys_alone() {
    let report = Report::of_fixture("sigquit/order-service");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    let focused = "document.activeElement.id || document.activeElement.textContent";
    browser.press("/");
    assert_eq!(browser.evaluate(focused), "text");
    browser.evaluate("document.activeElement.blur()");
    browser.evaluate("document.querySelector('[data-finding=f2]').focus()");
    browser.press("Enter");
    assert!(browser.text("#shown").contains(" of 37 "), "{}", browser.text("#shown"));
    assert_eq!(browser.evaluate(focused), "rows");
    for key in ["ArrowDown", "End", "Home", "PageDown"] {
        browser.press(key);
        let chosen = browser.evaluate("document.querySelectorAll('[aria-selected=true]').length");
        assert_eq!(chosen, 1, "{key}");
    }
    browser.evaluate("document.querySelector('.frame').focus()");
    let all = browser.text("#shown");
    for key in ["ArrowDown", "ArrowDown", "Enter"] {
        browser.press(key);
    }
    assert_ne!(browser.text("#shown"), all);
    assert!(browser.text("#shown").contains(" in "), "{}", browser.text("#shown"));
    is_quiet(&browser);
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
    browser.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }");
    browser.evaluate("document.querySelector('#thread > button').click()");
    let copied = browser.evaluate("window.copied").as_str().expect("a stack").to_owned();
    assert!(
        copied.starts_with("\"warm-up-1\" thread ") && copied.contains("\nvictim::"),
        "{copied}"
    );

    let chosen = "document.querySelector('[aria-selected=true]').id";
    assert_eq!(browser.evaluate(chosen), "row-0");
    browser.press("ArrowDown");
    assert_eq!(browser.evaluate(chosen), "row-1");

    browser.evaluate("document.querySelector('[type=reset]').click()");
    search(&mut browser, "REQUESTQUEUE::push");
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
    search(&mut browser, "WORKER");
    assert!(browser.text("#shown").starts_with("6 of 12"), "{}", browser.text("#shown"));
    browser.evaluate("document.querySelector('#row-0').click()");
    assert!(browser.text("#thread").contains("victim::healthy::serve"));
    is_quiet(&browser);
}

/// Puts a text into the field that searches for threads.
fn search(browser: &mut Browser, text: &str) {
    browser.evaluate(&format!(
        "{{ const field = document.querySelector('#text'); field.value = {text:?}; \
         field.dispatchEvent(new Event('input')); }}"
    ));
}

#[test]
fn a_hundred_thousand_goroutines_are_a_small_file_in_which_few_rows_exist() {
    let report = Report::of_bytes(crowd::goroutines(100_000).as_bytes());
    let size = fs::metadata(&report.path).expect("a file").len();
    assert!(size < 10_000_000, "{size} bytes");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert!(browser.text("#shown").starts_with("100000 of 100000"));
    assert!(browser.evaluate("document.querySelectorAll('*').length").as_u64() < Some(5_000));
    browser.evaluate("document.querySelector('#rows').focus()");
    browser.press("End");
    assert_eq!(browser.evaluate("document.querySelector('[aria-selected=true]').id"), "row-99999");
    search(&mut browser, "catalog).price");
    assert!(browser.text("#shown").starts_with("33333 of 100000"), "{}", browser.text("#shown"));
    browser.evaluate("document.querySelector('[data-finding=f1]').click()");
    assert!(browser.text("#thread").contains("goroutine "), "{}", browser.text("#thread"));
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

/// A log of a JVM that is asked for its threads, in which every text is hostile: names, frames,
/// locks, and the lines between.
fn hostile_log() -> String {
    let mut log = String::from(
        "2026-11-26 12:00:00\nFull thread dump OpenJDK 64-Bit Server VM (17.0.15+6):\n\n",
    );
    for (number, text) in (1..).zip(HOSTILE) {
        log += &format!(
            "\"{text}\" #{number} prio=5 cpu=1.00ms elapsed=9.00s tid=0x{number:016x} nid=0x{number:x} \
             waiting for monitor entry  [0x0000000000000007]\n   \
             java.lang.Thread.State: BLOCKED (on object monitor)\n\
             \tat {text}.run({text}.java:7)\n\
             \t- waiting to lock <0x000000069ec1a388> (a {text})\n\n\
             12:00:00 INFO {text}\n\"{text}\n\tat {text}\n\n"
        );
    }
    log
}

/// Goes through all of a page that can be gone through; nothing that its input holds was run, and
/// nothing of it is markup.
fn nothing_is_run(browser: &mut Browser, rows: usize) {
    browser.evaluate(
        "document.querySelectorAll('details').forEach((part) => { part.open = true; }); \
         document.querySelectorAll('[data-finding], [data-cluster]').forEach((one) => one.click())",
    );
    browser.evaluate("document.querySelector('[type=reset]').click()");
    browser.evaluate("document.querySelector('#rows').focus()");
    for _ in 0..rows {
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
    is_quiet(browser);
}

#[test]
fn nothing_that_an_input_holds_is_run() {
    let report = Report::of_bytes(&hostile_dump());
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert_eq!(browser.text(".word"), "INCIDENT");
    nothing_is_run(&mut browser, HOSTILE.len() * 2);
}

#[test]
fn nothing_that_a_log_holds_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = HOSTILE[3].replace('/', "");
    fs::write(folder.path().join(name), hostile_log()).expect("a file");
    let report = Report::of(folder.path());
    let html = report.text();
    assert!(html.contains("&#60;img src=x onerror="), "the file's name is in the page");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    nothing_is_run(&mut browser, HOSTILE.len());
}

/// A profile: of each line a thread, the functions on its stack from the root on, and a weight.
fn profile(lines: &[(&str, &[&str], u64)], rate: u32) -> Vec<u8> {
    let delivery = Delivery { rate: Some(rate), lost: 3, ..Delivery::default() };
    let (clock, engine) = (Clock::Cpu, "perf".to_owned());
    let mut building =
        ProfileBuilder::new(Profile { delivery, clock, engine, ..Profile::default() });
    building.profile.dump.process = Process { runtime: Runtime::Rust, ..Process::default() };
    for (number, (thread, functions, weight)) in (1..).zip(lines) {
        let frames = functions.iter().rev();
        let frames = frames.map(|name| building.frame(Frame::named(Symbol::function(*name))));
        let frames: Vec<_> = frames.collect();
        let (stack, thread) =
            (building.stack(frames.into()), building.thread(Some(number), thread));
        let (weight, time) = (*weight, Nanos(0));
        building.sample(Sample { thread, task: None, stack, weight, time });
    }
    let mut bytes = Vec::new();
    sigquit_dump::write_profile(&building.profile, &mut bytes).expect("a buffer");
    bytes
}

/// The report of a profile beside that of a healthy time.
fn compared(during: &[u8], healthy: &[u8], more: &[&str]) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let [input, baseline] = ["during", "healthy"].map(|name| folder.path().join(name));
    fs::write(&input, during).expect("a file");
    fs::write(&baseline, healthy).expect("a file");
    let mut arguments = vec!["--baseline".into(), baseline.into()];
    arguments.extend(more.iter().map(Into::into));
    Report::with(&input, &arguments)
}

#[test]
fn samples_are_drawn_and_compared_and_walked_through() {
    let stack = ["shop::main", "shop::serve", "shop::Map::get"];
    let during = profile(&[("serve-1", &stack, 60), ("serve-2", &stack[..2], 40)], 99);
    let healthy = profile(&[("serve-1", &stack, 1), ("serve-2", &stack[..2], 9)], 19);
    let report = compared(&during, &healthy, &[]);
    let html = report.text();
    for words in [
        "<h2>Where CPU time goes</h2>",
        "99 Hz of CPU time by perf, 100 samples, 3 lost",
        "<h2>Where CPU time goes, compared with the baseline</h2>",
        "the baseline: 19 Hz of CPU time by perf, 10 samples, 3 lost",
        "shop::Map::get\n60 samples, 60.00%; +50.00%",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert!(!html.contains("onload") && !html.contains("xlink"), "nothing of inferno's script");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    let frame = |name: &str| {
        format!(
            "[...document.querySelectorAll('.flame g')].find((one) => \
             one.querySelector('title').textContent.startsWith('{name}'))"
        )
    };
    let get = frame("shop::Map::get");
    assert_eq!(
        browser.evaluate(&format!("{get}.querySelector('rect').width.baseVal.valueAsString")),
        "60%"
    );
    browser.evaluate(&format!("{get}.dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))"));
    assert_eq!(
        browser.evaluate(&format!("{get}.querySelector('rect').width.baseVal.valueAsString")),
        "100%"
    );
    assert_eq!(browser.evaluate(&format!("document.activeElement === {get}")), true);
    browser.press("ArrowUp");
    assert!(browser.text(".pointed").starts_with("shop::serve: 100 samples"));
    browser.press("Escape");
    browser.press("Escape");
    assert_eq!(
        browser.evaluate(&format!("{get}.querySelector('rect').getAttribute('width')")),
        "60%"
    );
    browser.evaluate(
        "const text = document.querySelector('.flame input'); text.value = 'MAP'; \
         text.dispatchEvent(new Event('input', { bubbles: true }))",
    );
    assert_eq!(browser.text(".flame output"), "60.0% of all is in 1 frames");
    is_quiet(&browser);
}

#[test]
fn what_a_baseline_shows_and_now_is_gone_is_drawn_too() {
    let during = profile(&[("serve-1", &["shop::main", "shop::serve"], 100)], 99);
    let healthy = [&["shop::main", "shop::serve"][..], &["shop::main", "shop::cache", "shop::hit"]];
    let healthy = profile(&[("serve-1", healthy[0], 60), ("serve-2", healthy[1], 40)], 99);
    let html = compared(&during, &healthy, &[]).text();
    for words in [
        "<h2>Where CPU time goes: the baseline, compared with now</h2>",
        "Not seen any more: <code>shop::cache</code> 40.0%",
        "shop::hit\n40 samples, 40.00%; -40.00%",
    ] {
        assert!(html.contains(words), "{words}");
    }
    let same = compared(&during, &during, &[]).text();
    assert!(same.contains("compared with the baseline") && !same.contains("compared with now"));
}

#[test]
fn names_in_samples_are_neither_run_nor_told_when_redacted() {
    let stacks: Vec<[&str; 2]> = HOSTILE.iter().map(|text| ["shop::main", text]).collect();
    let lines: Vec<(&str, &[&str], u64)> =
        HOSTILE.iter().zip(&stacks).map(|(text, stack)| (*text, &stack[..], 5)).collect();
    let report = compared(&profile(&lines, 99), &profile(&lines[..3], 99), &[]);
    if let Some(mut browser) = Browser::open(&report.path) {
        browser.evaluate(
            "document.querySelectorAll('.flame g').forEach((one) => { one.focus(); \
             one.dispatchEvent(new MouseEvent('click', { bubbles: true })); })",
        );
        assert_eq!(browser.evaluate("typeof window.executed"), "undefined");
        assert!(
            browser.evaluate("document.querySelectorAll('.flame g').length").as_u64() > Some(30)
        );
        let brought = "document.querySelectorAll('img, iframe, a:not([href^=\"#\"])').length";
        assert_eq!(browser.evaluate(brought), 0);
        is_quiet(&browser);
    }
    let secret = profile(&[("alice", &["shop::main"], 1)], 99);
    assert!(compared(&secret, &secret, &[]).text().contains("alice"));
    assert!(!compared(&secret, &secret, &["--redact"]).text().contains("alice"));
}

#[test]
fn the_cause_stands_first_and_who_uses_a_cpu_is_strong_in_the_strip() {
    let report = Report::of_fixture("sigquit/order-service");
    let Some(mut browser) = Browser::open(&report.path) else { return };
    assert!(browser.text("#row-0").contains("ChainedMap"), "{}", browser.text("#row-0"));
    let words = "document.querySelector('#row-0').ariaLabel";
    let words = browser.evaluate(words).as_str().expect("text").to_owned();
    assert!(words.contains("running, or ready to, ") && words.contains("of a CPU"), "{words}");
    let strength =
        "document.querySelector('#row-0 .cell:last-child').style.getPropertyValue('--strength')";
    assert_ne!(browser.evaluate(strength), "50%");
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
