//! What a function's name says that it waits for: an answer, what is brought about once, or room for what it sends. The
//! same waits without such a name are those of workers that have nothing to do.
//!
//! ```text
//! orders.Desk.awaitReply          Object.wait: for an answer
//! main.waitForConfig              chan receive: for what is there once, and then for ever
//! main.(*session).send            select: for a receiver, or for the end
//! ```

use sigquit_dump::{Runtime, ThreadState};

use super::activity::Activity;
use super::incident::{Incident, MemberId};
use super::name::{FunctionName, words};

/// What others answer.
const ANSWERS: &[&str] = &[
    "ack",
    "acknowledgement",
    "acknowledgment",
    "answer",
    "completion",
    "confirmation",
    "reply",
    "replies",
    "response",
    "responses",
    "result",
    "results",
];
/// What is brought about once, as a rule soon after the start.
const ONCE: &[&str] = &[
    "config",
    "configuration",
    "init",
    "initialization",
    "initialized",
    "loaded",
    "readiness",
    "ready",
    "settings",
    "started",
    "startup",
    "warmup",
];
/// First words of what hands something on.
const SENDS: &[&str] = &[
    "broadcast",
    "emit",
    "enqueue",
    "notify",
    "offer",
    "publish",
    "push",
    "put",
    "send",
    "submit",
];
/// A loop that is named so waits for what it is to hand on.
const LOOPS: &[&str] = &["all", "forever", "loop", "pump", "routine", "worker"];

/// Whether a method says that it waits for an answer, or for what is brought about once.
fn awaits(method: &str) -> bool {
    let words = words(method);
    let what = match &words.iter().map(String::as_str).collect::<Vec<&str>>()[..] {
        ["await", what @ ..] | ["wait", "for" | "until", what @ ..] => what.to_vec(),
        _ => return false,
    };
    what.iter().any(|word| ANSWERS.contains(word) || ONCE.contains(word))
}

/// Whether a method says that it hands something on, once.
fn sends(method: &str) -> bool {
    let words = words(method);
    words.first().is_some_and(|first| SENDS.contains(&first.as_str()))
        && !words.iter().any(|word| LOOPS.contains(&word.as_str()))
}

impl Incident {
    /// Whether a member waits, for as long as it takes, in a function that says by its name that others of the program are to
    /// bring something about. In Go also who hands something on in a `select`, called by another function.
    pub fn says_what_it_awaits(&self, id: MemberId, dump: usize) -> bool {
        let Some(thread) = self.thread(id, dump) else { return false };
        if self.activity(id, dump) != Activity::Event || thread.state == ThreadState::TimedWaiting {
            return false;
        }
        let mut own =
            self.application_calls(id, dump).map(|call| FunctionName::of(&call.function).method);
        let Some(method) = own.next() else { return false };
        let selects =
            || self.process.runtime == Runtime::Go && thread.state_text.starts_with("select");
        awaits(method) || selects() && own.next().is_some() && sends(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Scene};

    #[test]
    fn names_say_what_is_awaited() {
        for method in ["awaitReply", "wait_for_response", "awaitConfig", "WaitUntilReady"] {
            assert!(awaits(method), "{method}");
        }
        for method in ["awaitNews", "waitForShutdown", "await", "take", "replyLoop", "waitForWork"]
        {
            assert!(!awaits(method), "{method}");
        }
        assert!(sends("send") && sends("publishOrder"));
        assert!(!sends("sendLoop") && !sends("pushWorker") && !sends("next"));
    }

    #[test]
    fn who_sends_in_a_select_was_called_to_do_so() {
        let says = |state: &str, stack: &[&str]| {
            let incident = Scene::of(Runtime::Go)
                .dump(0, |dump| {
                    dump.thread("", stack).is(ThreadState::Waiting).state_text = state.into();
                })
                .incident();
            let member = incident.ids().next().expect("one member");
            incident.says_what_it_awaits(member, 0)
        };
        assert!(says("select", &["main.(*session).send:3", "main.talk:9"]));
        assert!(!says("select", &["main.(*session).send:3"]), "its own loop");
        assert!(!says("select", &["main.(*session).next:3", "main.talk:9"]));
        assert!(says("chan receive", &["main.awaitConfig:3"]));
        assert!(!says("sleep", &["time.Sleep", "main.awaitConfig:3"]));
    }
}
