//! tokio-console beside the dumps.

use std::time::Duration;

use console_subscriber::ConsoleLayer;
use tracing_core::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::allowance::Allowance;

/// For how long what has ended is remembered; the console's own default is an hour.
const RETENTION: Duration = Duration::from_secs(10);
/// Events that wait for the console's thread; its own default is 102,400.
const EVENTS: usize = 10_240;
/// Updates that wait for one client; its own default is 4,096.
const UPDATES: usize = 64;
/// Tasks that it is shown while they live, and new ones in each [`RETENTION`].
const TASKS: usize = 1_000;
/// The same of locks, timers and channels, and of calls that wait for them: a hundred times smaller.
const RESOURCES: usize = 10_000;
const OPS: usize = 10_000;

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
/// call that it is shown, and forgets what has ended after a while, whether somebody looks or not: with
/// its own defaults after an hour, here after 10 seconds. It has no bound of its own, and each task takes
/// tens of kilobytes, most of it for two histograms. So it is shown no more than 1,000 tasks at a
/// time and 1,000 new ones in 10 seconds, and 10,000 locks, timers and channels, and as many calls that
/// wait for them; what is beyond is in the dumps alone. The bench's 11,000 tasks and 110,000 calls, all
/// within a few seconds, then take some 60 MB, and with the console's own defaults ten times that.
///
/// A console that is attached sees no further back. When more than 10,240 events wait for the thread,
/// further ones are dropped, and the console says how many. `TOKIO_CONSOLE_RETENTION`,
/// `TOKIO_CONSOLE_BUFFER_CAPACITY` and the other variables of `console-subscriber` override its own
/// options.
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
    let allowance = Allowance::new(TASKS, RESOURCES, OPS, RETENTION);
    console.spawn().with_filter(allowance).and_then(super::layer())
}
