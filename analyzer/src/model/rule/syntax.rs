//! A rule is a line: which frames or threads it is about, and what it says of them.
//!
//! ```text
//! function:shop.Poller.await             idle=listener
//! function:com.acme.framework.*          -app
//! thread:"metrics reporter *"            idle
//! function:*$$Generated*.call            function=*.call
//! ```

use std::fmt;

use sigquit_dump::Runtime;

use super::{FrameField, FrameMatcher, Glob, List, Shown, ThreadField, ThreadIs, ThreadMatcher};
use crate::model::call::Origin;
use crate::model::idle::Idle;

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The line, from 1.
    pub line: u64,
    /// What was found, and what was expected.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for RuleError {}

const MATCHERS: &str = "runtime:, function:, module:, file:, thread: or state:";
const ACTIONS: &str =
    "app, -app, origin=, idle, idle=, -idle, quiet=, request, ignore, fold or function=";

/// Adds the rules of a text to a list.
pub(super) fn parse(text: &str, list: &mut List) -> Result<(), RuleError> {
    for (number, line) in (1..).zip(text.lines()) {
        parse_line(line, list).map_err(|message| RuleError { line: number, message })?;
    }
    Ok(())
}

fn parse_line(line: &str, list: &mut List) -> Result<(), String> {
    let words = words(line)?;
    if words.is_empty() {
        return Ok(());
    }
    let (mut rule, mut actions) = (About::default(), Vec::new());
    for word in &words {
        match action(word)? {
            Some(action) => actions.push(action),
            None => rule.matcher(word)?,
        }
    }
    if actions.is_empty() {
        return Err(format!("says nothing of what it matches: expected {ACTIONS}"));
    }
    actions.into_iter().try_for_each(|action| rule.says(action, list))
}

/// The words of a line, without quotes, up to a comment. Within quotes a word may hold spaces.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut letters = line.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        match letters.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let (mut word, mut quoted) = (String::new(), false);
        while let Some(letter) = letters.next_if(|letter| quoted || !letter.is_whitespace()) {
            match letter {
                '"' => quoted = !quoted,
                letter => word.push(letter),
            }
        }
        if quoted {
            return Err("has a quote that does not end: expected another \"".into());
        }
        words.push(word);
    }
}

/// What a rule says.
enum Action {
    Origin(Origin),
    Idle(Idle),
    NeverIdle,
    Quiet(Idle),
    Request,
    Shown(Shown),
    Name(String),
}

/// What a word says, when it is one that says something.
fn action(word: &str) -> Result<Option<Action>, String> {
    Ok(Some(match word {
        "app" | "+app" => Action::Origin(Origin::Application),
        "-app" => Action::Origin(Origin::Library),
        "idle" | "+idle" => Action::Idle(Idle::Consumer),
        "-idle" => Action::NeverIdle,
        "request" => Action::Request,
        "ignore" | "-group" => Action::Shown(Shown::No),
        "+group" => Action::Shown(Shown::Yes),
        "fold" => Action::Shown(Shown::Folded),
        // `=` stands in patterns too, but only after a colon.
        _ => match word.split_once('=').filter(|(key, _)| !key.contains(':')) {
            None => return Ok(None),
            Some(("origin", value)) => Action::Origin(origin(value)?),
            Some(("idle", value)) => Action::Idle(idle(value)?),
            Some(("quiet", value)) => Action::Quiet(idle(value)?),
            Some(("function", "")) => return Err("expected a name after function=".into()),
            Some(("function", value)) => Action::Name(value.to_owned()),
            Some((key, _)) => {
                return Err(format!("{key}= is not known: expected {ACTIONS}"));
            }
        },
    }))
}

fn origin(value: &str) -> Result<Origin, String> {
    match value {
        "app" => Ok(Origin::Application),
        "library" => Ok(Origin::Library),
        "runtime" => Ok(Origin::Runtime),
        _ => Err(format!("origin={value} is not known: expected app, library or runtime")),
    }
}

fn idle(value: &str) -> Result<Idle, String> {
    Ok(match value {
        "worker" => Idle::Worker,
        "listener" => Idle::Listener,
        "timer" => Idle::Timer,
        "consumer" => Idle::Consumer,
        "supervisor" => Idle::Supervisor,
        "helper" => Idle::Helper,
        _ => {
            return Err(format!(
                "{value} is no way to be idle: expected worker, listener, timer, consumer, \
                 supervisor or helper"
            ));
        }
    })
}

/// What a rule is about.
#[derive(Default)]
struct About {
    runtime: Option<Runtime>,
    frames: Vec<Glob<FrameField>>,
    threads: Vec<Glob<ThreadField>>,
}

impl About {
    fn matcher(&mut self, word: &str) -> Result<(), String> {
        let (unlike, rest) = match word.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let unknown = || format!("{word} is not known: expected {MATCHERS}, or {ACTIONS}");
        let (key, pattern) = rest.split_once(':').ok_or_else(unknown)?;
        if pattern.is_empty() {
            return Err(format!("expected a pattern after {key}:"));
        }
        let pattern = pattern.to_owned();
        let mut frame = |field| self.frames.push(Glob { field, pattern: pattern.clone(), unlike });
        let mut thread =
            |field| self.threads.push(Glob { field, pattern: pattern.clone(), unlike });
        match key.strip_prefix("stack.").unwrap_or(key) {
            "function" => frame(FrameField::Function),
            "module" | "package" => frame(FrameField::Module),
            "file" | "path" | "abs_path" => frame(FrameField::File),
            "thread" => thread(ThreadField::Name),
            "state" => thread(ThreadField::State),
            "runtime" if unlike => return Err("runtime: cannot be negated".into()),
            "runtime" => self.runtime = Some(runtime(&pattern)?),
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Adds what the rule says to the list where that is looked for.
    fn says(&self, action: Action, list: &mut List) -> Result<(), String> {
        match (self.frames.is_empty(), self.threads.is_empty()) {
            (true, true) => Err(format!("matches nothing: expected {MATCHERS}")),
            (false, false) => Err("is about frames and about threads: expected function:, \
                                   module: and file:, or thread: and state:"
                .into()),
            (false, true) => self.says_of_frames(action, list),
            (true, false) => self.says_of_threads(action, list),
        }
    }

    fn says_of_frames(&self, action: Action, list: &mut List) -> Result<(), String> {
        let matcher = FrameMatcher::new(self.runtime, self.frames.clone());
        match action {
            Action::Origin(origin) => list.origins.push((matcher, origin)),
            Action::Idle(idle) => list.idle.push((matcher, Some(idle))),
            Action::NeverIdle => list.idle.push((matcher, None)),
            Action::Quiet(idle) => list.quiet.push((matcher, idle)),
            Action::Request => list.requests.push((matcher, ())),
            Action::Shown(shown) => list.shown.push((matcher, shown)),
            Action::Name(_) if matcher.function_glob().is_none() => {
                return Err("gives a name and says not whom: expected function:".into());
            }
            Action::Name(name) => list.names.push((matcher, name)),
        }
        Ok(())
    }

    fn says_of_threads(&self, action: Action, list: &mut List) -> Result<(), String> {
        let is = match action {
            Action::Idle(idle) => ThreadIs::Idle(idle),
            Action::NeverIdle => ThreadIs::Busy,
            Action::Quiet(idle) => ThreadIs::Quiet(idle),
            _ => {
                return Err("says of threads what is said of frames: expected idle, idle=, \
                             -idle or quiet="
                    .into());
            }
        };
        let matcher = ThreadMatcher::new(self.runtime, self.threads.clone());
        list.threads.push((matcher, is));
        Ok(())
    }
}

fn runtime(value: &str) -> Result<Runtime, String> {
    match value {
        "rust" => Ok(Runtime::Rust),
        "jvm" => Ok(Runtime::Jvm),
        "go" => Ok(Runtime::Go),
        "native" => Ok(Runtime::Native),
        _ => Err(format!("runtime:{value} is not known: expected rust, jvm, go or native")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        parse(text, &mut List::default()).expect_err("no rule").to_string()
    }

    #[test]
    fn spaces_quotes_and_comments() {
        let told = words("  state:\"force gc (idle)\"  idle=helper # why").expect("words");
        assert_eq!(told, ["state:force gc (idle)", "idle=helper"]);
        assert_eq!(words("function:{closure#0} ignore").expect("words").len(), 2);
        assert_eq!(words("# nothing").expect("words"), [""; 0]);
    }

    #[test]
    fn sentrys_words_are_understood() {
        let mut list = List::default();
        let text = "stack.function:std::* -app\nstack.abs_path:**/vendor/** -group\n";
        assert_eq!(parse(text, &mut list), Ok(()));
        assert_eq!((list.origins.len(), list.shown.len()), (1, 1));
    }

    #[test]
    fn a_mistake_says_where_and_what_was_expected() {
        for (text, expected) in [
            ("\nfunction:a", "line 2: says nothing of what it matches: expected app, -app"),
            ("app", "line 1: matches nothing: expected runtime:, function:"),
            ("function:a idle=bored", "line 1: bored is no way to be idle: expected worker"),
            ("function: app", "line 1: expected a pattern after function:"),
            ("family:native app", "line 1: family:native is not known: expected runtime:"),
            ("function:a color=red", "line 1: color= is not known: expected app"),
            ("thread:a -app", "line 1: says of threads what is said of frames: expected idle"),
            ("thread:a function:b idle", "line 1: is about frames and about threads: expected"),
            ("thread:\"a idle", "line 1: has a quote that does not end"),
            ("runtime:php function:a app", "line 1: runtime:php is not known: expected rust"),
            ("module:a function=b", "line 1: gives a name and says not whom"),
        ] {
            assert!(mistake(text).starts_with(expected), "{text}: {}", mistake(text));
        }
    }
}
