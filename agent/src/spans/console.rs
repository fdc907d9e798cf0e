//! tokio-console beside the dumps.

use std::time::Duration;

use console_subscriber::ConsoleLayer;
use tracing_core::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// For how long what has ended is remembered; the console's own default is an hour.
const RETENTION: Duration = Duration::from_secs(10);
/// Events that wait for the console's thread; its own default is 102,400.
const EVENTS: usize = 10_240;
/// Updates that wait for one client; its own default is 4,096.
const UPDATES: usize = 64;

/// [`layer`](super::layer), and the layer of `console-subscriber`, to which `tokio-console` attaches:
/// what happens is seen live, and what is wrong stands in the dumps.
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry().with(sigquit::spans::console()).init();
/// ```
///
/// The console has a thread of its own, which listens on `127.0.0.1:6669`, and nowhere else unless
/// the variable `TOKIO_CONSOLE_BIND` says so. Nobody who can reach that port has to say who they are.
/// If the port is taken, that thread panics, with the reason on standard error, and all else goes on.
///
/// # What it costs
///
/// More than all else here: see [the bench](super#what-it-costs). It takes in every task, lock and
/// call, and forgets what has ended after a while, whether somebody looks or not. With its own
/// defaults that is an hour; here it is 10 seconds. So memory grows with what lives and what has ended
/// in the last 10 seconds, and is **not bounded within them**: each task takes tens of kilobytes, most
/// of it for two histograms, and the bench's 11,000 tasks and 110,000 locks, all within a few seconds,
/// take hundreds of megabytes with these defaults as with its own. A console that is attached sees no
/// further back. When more than 10,240 events wait for the thread, further ones are dropped, and the
/// console says how many. `TOKIO_CONSOLE_RETENTION`, `TOKIO_CONSOLE_BUFFER_CAPACITY` and the other
/// variables of `console-subscriber` override this. Where that is too much, [`layer`](super::layer)
/// alone is bounded by number.
///
/// # Panics
/// When a thread cannot be started, or one of those variables makes no sense.
pub fn console<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let console = ConsoleLayer::builder()
        .retention(RETENTION)
        .event_buffer_capacity(EVENTS)
        .client_buffer_capacity(UPDATES)
        .with_default_env();
    console.spawn().and_then(super::layer())
}
