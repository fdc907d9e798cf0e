//! Threads that serve many connections by turns, and are kept by one wait: what `runtime-blocked` says of the event
//! loops of a JVM's libraries.
//!
//! Such a thread is meant to wait for nothing but events. The loop's own wait is known and is idle; whoever stands in
//! another one, in the same call in every dump, serves nobody meanwhile:
//!
//! ```text
//! SocketDispatcher.read0 < PgStatement.executeQuery < Orders.find < ... < NioEventLoop.run
//! ```

use sigquit_dump::Runtime;

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, runtime_blocked};
use crate::model::pattern::matches_any;
use crate::model::{Incident, MemberId};

/// Where such a thread's loop is. Executors for tasks that may wait are not among them.
const LOOPS: &[&str] = &[
    "io.netty.channel.nio.NioEventLoop.run",
    "io.netty.channel.epoll.EpollEventLoop.run",
    "io.netty.channel.kqueue.KQueueEventLoop.run",
    "io.netty.channel.SingleThreadIoEventLoop.run",
    "io.netty.incubator.channel.uring.IOUringEventLoop.run",
    "org.xnio.nio.WorkerThread.run",
    "java.awt.EventDispatchThread.run",
    "javafx.application.Platform.run*",
    "android.os.Looper.loop",
];

/// What waits in a loop, one finding for all.
pub(super) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest == 0 || incident.process.runtime != Runtime::Jvm {
        return None;
    }
    let is_loop = |id: MemberId| {
        let mut calls = incident.calls(id, newest);
        calls.any(|call| matches_any(LOOPS, &call.function)).then_some(())
    };
    let loops: Vec<MemberId> = incident.found(newest, is_loop).map(|(id, ())| id).collect();
    let is_kept = |&id: &MemberId| {
        (0..=newest).all(|dump| incident.idle(id, dump).is_none()) && incident.waits_throughout(id)
    };
    let kept: Vec<MemberId> = loops.iter().copied().filter(is_kept).collect();
    let &first = kept.first()?;
    let all = kept.len() == loops.len();
    let place = phrase::place(incident, first, newest).unwrap_or_else(|| "a call".into());
    let who = phrase::those(incident, &kept);
    let of = if all { "all event loops there are" } else { "one or more of the event loops" };
    Some(Finding {
        detector: runtime_blocked::DETECTOR.name,
        severity: if all { Severity::High } else { Severity::Medium },
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.05,
        headline: format!(
            "{who}, {of}, {} in {place}, and {} no connection meanwhile",
            match kept.len() {
                1 => incident.activity(first, newest).to_string(),
                _ => incident.activity(first, newest).of_several().to_owned(),
            },
            if kept.len() == 1 { "serves" } else { "serve" },
        ),
        detail: format!(
            "Each is in the same call in all of {}, and not in the loop's own wait for events: {} of {}.",
            phrase::number(newest + 1, "dump"),
            kept.len(),
            phrase::number(loops.len(), "event loop"),
        ),
        next_step: format!(
            "Do not wait in an event loop: hand {place} to an executor for calls that wait, or use what does not \
             block. A future that the same loop is to complete never comes while the loop waits for it."
        ),
        frames: phrase::telling_frames(incident, first, newest),
        evidence: vec![Evidence {
            text: format!("{} of {} in one wait throughout", kept.len(), loops.len()),
            dump: Some(newest),
            member: Some(first),
            value: Some(kept.len() as f64),
        }],
        members: kept,
        ..Finding::default()
    })
}

#[cfg(test)]
mod tests {
    use sigquit_dump::ThreadState;

    use super::*;
    use crate::model::scene::{Draw, Scene};

    const LOOP: &str = "io.netty.channel.nio.NioEventLoop.run";
    const WAITS: &[&str] = &[
        "java.lang.Object.wait",
        "io.netty.util.concurrent.DefaultPromise.await",
        "shop.Proxy.forward:9",
        "io.netty.channel.AbstractChannelHandlerContext.invokeChannelRead",
        LOOP,
    ];
    const SELECTS: &[&str] = &["sun.nio.ch.EPoll.wait", "sun.nio.ch.SelectorImpl.select", LOOP];

    fn found(threads: &[&[&[&str]]]) -> Option<(usize, Severity)> {
        let dumps = threads[0].len();
        let scene = (0..dumps).fold(Scene::of(Runtime::Jvm), |scene, at| {
            scene.dump(at as u64, |dump| {
                for (number, stacks) in threads.iter().enumerate() {
                    let state = match stacks[at][0].contains("wait") {
                        true => ThreadState::Waiting,
                        false => ThreadState::Runnable,
                    };
                    dump.thread(&format!("loop-{number}"), stacks[at]).is(state);
                }
            })
        });
        finding(&scene.incident()).map(|found| (found.members.len(), found.severity))
    }

    #[test]
    fn a_loop_that_waits_in_a_handler_serves_nobody() {
        assert_eq!(found(&[&[WAITS; 2], &[WAITS; 2]]), Some((2, Severity::High)));
        assert_eq!(found(&[&[WAITS; 2], &[SELECTS; 2]]), Some((1, Severity::Medium)));
    }

    #[test]
    fn a_loop_that_waits_for_events_or_goes_on_is_well() {
        assert_eq!(found(&[&[SELECTS; 3], &[SELECTS; 3]]), None);
        assert_eq!(found(&[&[WAITS, SELECTS], &[SELECTS, WAITS]]), None);
        assert_eq!(found(&[&[WAITS]]), None, "one dump says nothing of how long");
    }

    #[test]
    fn an_executor_for_tasks_that_may_wait_is_no_loop() {
        let executor = &[
            "java.lang.Object.wait",
            "shop.Proxy.forward:9",
            "io.netty.util.concurrent.DefaultEventExecutor.run",
        ][..];
        assert_eq!(found(&[&[executor; 2]]), None);
    }
}
