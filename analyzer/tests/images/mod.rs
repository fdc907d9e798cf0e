//! The pictures of the README, and how soon the largest report can be worked with. Both are for
//! people, and asked for by name:
//!
//! ```text
//! cargo test --release -p sigquit-analyzer --test html -- --ignored --nocapture
//! ```

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::browser::Browser;
use crate::crowd::goroutines;
use crate::written::Report;

/// Three dumps of a hundred thousand goroutines.
fn crowd() -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let dump = goroutines(100_000);
    for moment in 0..3 {
        fs::write(folder.path().join(format!("t{moment}.txt")), &dump).expect("a file");
    }
    let begun = Instant::now();
    let report = Report::of(folder.path());
    let size = fs::metadata(&report.path).expect("a file").len();
    let read = dump.len() * 3 / 1_000_000;
    println!("{read} MB read and written as {size} bytes of HTML in {:.1?}", begun.elapsed());
    report
}

fn keep(browser: &mut Browser, name: &str) {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    fs::write(images.join(name), browser.picture()).expect("a file");
}

#[test]
#[ignore = "writes images/"]
fn of_the_readme() {
    let Some(mut browser) = Browser::blank() else { return };
    browser.look(1200, 860, "light");
    let incident = Report::of_fixture("sigquit/order-service");
    browser.go_to(&incident.path);
    keep(&mut browser, "incident.png");

    browser.look(1200, 1060, "dark");
    let healthy = Report::of_fixture("sigquit/healthy");
    browser.go_to(&healthy.path);
    browser.evaluate("document.querySelector('#row-2').click()");
    keep(&mut browser, "healthy.png");

    browser.look(1200, 900, "light");
    let crowd = crowd();
    browser.go_to(&crowd.path);
    browser.evaluate(
        "document.querySelector('#threads').scrollIntoView({ behavior: 'instant' }); \
         document.querySelector('#row-4').click()",
    );
    keep(&mut browser, "goroutines.png");
}

#[test]
#[ignore = "measures"]
fn how_soon_a_hundred_thousand_goroutines_can_be_worked_with() {
    let report = crowd();
    let Some(mut browser) = Browser::blank() else { return };
    for _ in 0..5 {
        browser.go_to(&report.path);
        let opened = browser.evaluate("performance.getEntriesByType('navigation')[0].duration");
        let mut took = |what: &str| browser.evaluate(&format!("(() => {{ {TOOK} {what} }})()"));
        let told = json!({
            "opened": opened,
            "search": took("return took('#text', 'Price', 'input');"),
            "filter": took("return took('#activity', '4', 'change');"),
            "all": took("return took('#filter', '', 'reset');"),
            "last row": took("return took('#rows', '', 'keydown', { key: 'End' });"),
        });
        println!("milliseconds: {told}");
    }
}

/// How long the page takes for what its reader does, until it is drawn.
const TOOK: &str = "const took = (selector, value, kind, more) => { \
                        const part = document.querySelector(selector); \
                        part.value = value; \
                        const begun = performance.now(); \
                        part.dispatchEvent(new KeyboardEvent(kind, { bubbles: true, ...more })); \
                        document.body.getBoundingClientRect(); \
                        return Math.round(performance.now() - begun); };";
