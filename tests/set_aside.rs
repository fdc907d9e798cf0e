//! Programs that are set aside: dumped and kept, and not looked at.

use std::path::Path;

use crate::incident::SERIES;
use crate::record::record;
use crate::running::Running;

const MIDNIGHT: [&str; 11] = [
    "locks-in-a-ring",
    "replies-silent",
    "write-sleeps",
    "list-in-circle",
    "once-within",
    "receiver-busy-elsewhere",
    "thread-each-request",
    "h-jobs",
    "h-scopes",
    "h-read-often",
    "h-quiet-streams",
];
const WINTER: [&str; 13] = [
    "stock-and-ledger",
    "commit-awaits-flush",
    "members-and-queue",
    "ring-without-reader",
    "handlers-read",
    "account-in-hand",
    "permits-forgotten",
    "task-each-export",
    "h-sockets-and-clocks",
    "h-in-turn",
    "h-word-index",
    "h-backlog",
    "h-thumbnails",
];
const SPRING: [&str; 15] = [
    "pages-of-parts",
    "orders-and-billing",
    "translations",
    "floor-plans",
    "couriers",
    "region-and-language",
    "albums",
    "scanners",
    "letters",
    "h-auctions",
    "h-landscapes",
    "h-desks",
    "h-tides",
    "h-family-trees",
    "h-scores",
];
const AUTUMN: [&str; 13] = [
    "granary",
    "orchard",
    "weighbridge",
    "mill",
    "lanterns",
    "barges",
    "gauges",
    "beehive",
    "h-lockkeepers",
    "h-sieves",
    "h-market",
    "h-grammar",
    "h-atlas",
];
const SUMMER: [&str; 15] = [
    "sluices",
    "buoys",
    "uplinks",
    "postcards",
    "recipes",
    "hotels",
    "marinas",
    "censuses",
    "apothecary",
    "h-kilns",
    "h-quarries",
    "h-tugboats",
    "h-observatories",
    "h-photo-lab",
    "h-aqueducts",
];
const AFTERNOON: [&str; 8] = [
    "customs-forms",
    "tram-depot",
    "harbour-office",
    "freight-quotes",
    "ferry-slip",
    "h-relay-riders",
    "h-pilot-charts",
    "h-regatta",
];
const DAWN: [&str; 10] = [
    "exchange-office",
    "film-restoration",
    "passport-photos",
    "chess-clocks",
    "irrigation",
    "gazette",
    "h-travel-offers",
    "h-pneumatic-post",
    "h-guest-books",
    "h-comets",
];
const HOLIDAY: [&str; 10] = [
    "greenhouse",
    "tailors",
    "cable-cars",
    "beacons",
    "seed-vault",
    "dovecotes",
    "h-jigsaws",
    "h-bookbinders",
    "h-fireworks",
    "h-weavers",
];
/// Those that leave more and more behind.
const GROWING: [&str; 5] = ["letters", "postcards", "freight-quotes", "chess-clocks", "beacons"];
/// Growth is not claimed on fewer dumps.
const GROWTH: (&str, &str) = ("SIGQUIT_DUMPS", "5");

#[test]
#[ignore = "makes fixtures again"]
fn midnight_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_midnight"), &MIDNIGHT);
}

#[test]
#[ignore = "makes fixtures again"]
fn winter_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_winter"), &WINTER);
}

#[test]
#[ignore = "makes fixtures again"]
fn spring_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_spring"), &SPRING);
}

#[test]
#[ignore = "makes fixtures again"]
fn autumn_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_autumn"), &AUTUMN);
}

#[test]
#[ignore = "makes fixtures again"]
fn summer_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_summer"), &SUMMER);
}

#[test]
#[ignore = "makes fixtures again"]
fn afternoon_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_afternoon"), &AFTERNOON);
}

#[test]
#[ignore = "makes fixtures again"]
fn dawn_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_dawn"), &DAWN);
}

#[test]
#[ignore = "makes fixtures again"]
fn holiday_is_recorded() {
    record_all(env!("CARGO_BIN_EXE_holiday"), &HOLIDAY);
}

fn record_all(program: &str, behaviours: &[&str]) {
    for behaviour in behaviours {
        let folder = tempfile::tempdir().unwrap();
        let grows = behaviour.contains("-each-") || GROWING.contains(behaviour);
        let grows: &[_] = if grows { &[GROWTH] } else { &[] };
        let environment = [&SERIES[..], grows].concat();
        let mut running = Running::start(program, behaviour, folder.path(), &environment).unwrap();
        running.wait_for("ready").unwrap();
        running.quit().unwrap();
        running.wait_for_incidents(1).unwrap();
        let name = behaviour.trim_start_matches("h-");
        record(&running.dumps(), &Path::new("../fixtures/sigquit").join(name));
    }
}
