//! A sign of life on a terminal's standard error, while something takes long.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the command stays silent, and how often it speaks then.
const BEAT: Duration = Duration::from_millis(500);

/// Says on standard error what is being done and for how long, from the second beat on. Ends,
/// and wipes its line, when dropped.
pub(super) struct Progress {
    work: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins, if anyone watches.
    pub(super) fn start(watched: bool, doing: &str) -> Progress {
        let work = watched.then(|| {
            let (say, heard) = mpsc::channel();
            let doing = doing.to_owned();
            (say, thread::spawn(move || beat(doing, &heard)))
        });
        Progress { work }
    }

    /// Says what is done from now on.
    pub(super) fn say(&self, doing: &str) {
        if let Some((say, _)) = &self.work {
            let _ = say.send(doing.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((say, work)) = self.work.take() {
            drop(say);
            let _ = work.join();
        }
    }
}

fn beat(mut doing: String, heard: &mpsc::Receiver<String>) {
    let start = Instant::now();
    let mut spoken = false;
    loop {
        match heard.recv_timeout(BEAT) {
            Ok(next) => doing = next,
            Err(RecvTimeoutError::Timeout) => {
                spoken = true;
                line(&format!("sigquit: {doing}, {} s", start.elapsed().as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if spoken {
        line("");
    }
}

/// Writes over the line; a terminal that is gone changes nothing.
fn line(text: &str) {
    let mut err = io::stderr();
    let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
}
