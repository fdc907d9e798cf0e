//! The victim lives on, however often it is asked. A binary of its own: the service keeps every CPU
//! busy for a minute.

#[path = "../fixtures/programs/running.rs"]
mod running;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use serde_json::Value;

use running::Running;

const SERIES: usize = 100;

/// One line of JSON from the service's health check.
fn ask(address: &str) -> Value {
    let caller = TcpStream::connect(address).expect("the health check listens");
    let mut line = String::new();
    BufReader::new(caller).read_line(&mut line).expect("it answers");
    serde_json::from_str(&line).expect("it answers with JSON")
}

#[test]
fn the_order_service_answers_after_a_hundred_series() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("SIGQUIT_DUMPS", "1")];
    let victim = env!("CARGO_BIN_EXE_victim");
    let mut service = Running::start(victim, "order-service", folder.path(), &environment).unwrap();
    service.wait_for("stuck").unwrap();
    let address = service.truth().unwrap()["health"].as_str().unwrap().to_owned();
    let before = ask(&address);

    for series in 1..=SERIES {
        service.quit().unwrap();
        service.wait_for_incidents(series).unwrap();
    }

    let after = ask(&address);
    let (threads, calls) = (&before["spinning"], &before["map_calls_returned"]);
    assert_eq!((threads, calls), (&after["spinning"], &after["map_calls_returned"]));
    assert!(after["resent"].as_u64() > before["resent"].as_u64(), "the clients go on");
}
