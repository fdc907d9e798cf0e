//! tokio-console's layer beside ours: `cd tests/unstable && cargo test --features console`.

#![cfg(feature = "console")]

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use sigquit::dump::Kind;
use tracing_subscriber::prelude::*;

#[test]
fn the_console_listens_on_the_loopback_alone_and_dumps_show_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let port = 16_669;
    // SAFETY: no other thread of this program runs yet that reads the environment.
    unsafe { std::env::set_var("TOKIO_CONSOLE_BIND", format!("127.0.0.1:{port}")) };
    tracing_subscriber::registry().with(sigquit::spans::console()).init();
    sigquit::builder().directory(folder.path()).install().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let sleeper = async { tokio::time::sleep(Duration::from_secs(1000)).await };
    tokio::task::Builder::new().name("sleeper").spawn_on(sleeper, runtime.handle()).unwrap();
    let connects = || {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    };
    assert!((0..200).any(|_| connects()), "nobody listens");
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    assert!(TcpListener::bind((elsewhere, port)).is_ok(), "it listens on every address");
    let file = sigquit::dump_now().unwrap();
    let (dumps, _) = sigquit::dump::read(&std::fs::read(file).unwrap()).unwrap();
    let sleeper = dumps[0].threads.iter().find(|thread| thread.name == "sleeper").unwrap();
    assert_eq!(sleeper.kind, Kind::Task);
    assert!(sleeper.state_text.starts_with("Sleep"), "{}", sleeper.state_text);
}
