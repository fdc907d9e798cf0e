//! Servers under load, in whose threads a logger is what they wait for.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::Program;
use crate::stage::{Random, belong, inside, using};

pub const ALL: &[Program] = &[
    Program {
        name: "axum, tower-http, tracing",
        lock: "tracing-subscriber's writer, std",
        around: false,
        start: axum,
    },
    Program {
        name: "tiny_http, log",
        lock: "env_logger's pipe, std",
        around: false,
        start: tiny_http,
    },
];

/// Whoever writes to it holds the logger's lock.
struct SlowDisk;

impl Write for SlowDisk {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        inside();
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Each request is logged by tower-http, in the threads of tokio.
fn axum() {
    use axum::Router;
    use axum::routing::get;
    use tower_http::trace::TraceLayer;

    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(Mutex::new(SlowDisk))
        .init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(8).enable_all().on_thread_start(|| belong(1));
    let runtime = runtime.build().expect("a runtime");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its number");
    listener.set_nonblocking(true).expect("what tokio needs");
    let service = Router::new()
        .route("/", get(async || "here"))
        .route("/stock", get(async || "3 are left"))
        .layer(TraceLayer::new_for_http());
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, service).await
        })
    });
    load(address);
}

/// Each request is logged by the thread that serves it.
fn tiny_http() {
    use log::Log;

    let mut logger = env_logger::Builder::new();
    logger.filter_level(log::LevelFilter::Info);
    let logger = Arc::new(logger.target(env_logger::Target::Pipe(Box::new(SlowDisk))).build());
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a server"));
    let address = server.server_addr().to_ip().expect("its number");
    for seed in 0..12 {
        let (server, logger) = (server.clone(), logger.clone());
        thread::spawn(move || {
            let mut random = Random(seed);
            while let Ok(request) = server.recv() {
                using(1, &mut random, || {
                    let mut record = log::Record::builder();
                    record.level(log::Level::Info).target("served");
                    logger.log(&record.args(format_args!("{}", request.url())).build());
                });
                drop(request.respond(tiny_http::Response::from_string("here")));
            }
        });
    }
    load(address);
}

/// Sixteen clients that ask without end.
fn load(server: SocketAddr) {
    for client in 0..16 {
        thread::spawn(move || {
            let mut connection = TcpStream::connect(server).expect("a connection");
            let path = if client % 3 == 0 { "/stock" } else { "/" };
            let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
            let mut answer = [0; 1024];
            while connection.write_all(request.as_bytes()).is_ok()
                && connection.read(&mut answer).is_ok_and(|length| length > 0)
            {}
        });
    }
}
