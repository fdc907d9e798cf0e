//! Rules of one line each: whose code a function is, who is idle, how names are made comparable, and
//! what clusters leave out. What is known of each runtime stands in `analyzer/rules/`, one list a
//! runtime; a user's own rules come after these, and override them.

mod syntax;

use std::sync::{LazyLock, OnceLock};

use sigquit_dump::{Runtime, Thread};

use super::call::Origin;
use super::idle::Idle;
use super::pattern;

pub use syntax::RuleError;

/// How rules are written, as `sigquit explain rules` prints it.
pub const DOCUMENTATION: &str = include_str!("../../../rules/README.md");

/// What is known of each runtime: the name of the list, and its text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("rules.jvm", include_str!("../../../rules/jvm.rules")),
    ("rules.go", include_str!("../../../rules/go.rules")),
    ("rules.native", include_str!("../../../rules/native.rules")),
    ("rules.dotnet", include_str!("../../../rules/dotnet.rules")),
];

/// The rules that a user adds to the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    own: List,
}

impl Rules {
    /// Adds the rules of a text, a line each, after those that are there.
    ///
    /// # Errors
    /// The first line that is no rule, with what was expected.
    pub fn add(&mut self, text: &str) -> Result<(), RuleError> {
        syntax::parse(text, &mut self.own)
    }

    /// The function's name after the user's own normalisation, when a rule gives it another.
    pub(super) fn renamed(&self, runtime: Runtime, frame: FrameOf) -> Option<String> {
        let (matcher, name) = self.own.last(&self.own.names, runtime, frame)?;
        Some(pattern::filled(matcher.function_glob()?, frame.function, name))
    }

    /// Whose code a function is, when one of the user's own rules says so.
    pub(super) fn own_origin(&self, runtime: Runtime, frame: FrameOf) -> Option<Origin> {
        self.own.last(&self.own.origins, runtime, frame).map(|(_, origin)| *origin)
    }

    /// What the rules say of a function beside that. What is known of a runtime makes no function of the
    /// program's own a place of the idle.
    pub(super) fn of_frame(&self, runtime: Runtime, frame: FrameOf, origin: Origin) -> Ruled {
        let (own, known) = (&self.own, built_in(runtime));
        let waits = if origin == Origin::Application { &List::default() } else { known };
        let idle = own.last(&own.idle, runtime, frame);
        let idle = idle.or_else(|| waits.last(&waits.idle, runtime, frame));
        let quiet = own.last(&own.quiet, runtime, frame);
        let quiet = quiet.or_else(|| waits.last(&waits.quiet, runtime, frame));
        let request = own.last(&own.requests, runtime, frame);
        let request = request.or_else(|| known.last(&known.requests, runtime, frame));
        Ruled {
            idle: idle.and_then(|(_, idle)| *idle),
            never_idle: idle.is_some_and(|(_, idle)| idle.is_none()),
            quiet: quiet.map(|(_, idle)| *idle),
            request: request.is_some(),
            shown: own.last(&own.shown, runtime, frame).map_or(Shown::Yes, |(_, shown)| *shown),
        }
    }

    /// What the rules say of a thread by its name and its state.
    pub(super) fn of_thread(&self, runtime: Runtime, thread: &Thread) -> Option<ThreadIs> {
        let known = built_in(runtime);
        self.own.of_thread(runtime, thread).or_else(|| known.of_thread(runtime, thread))
    }
}

/// Whose code a function is by the built-in rules.
pub(super) fn known_origin(runtime: Runtime, frame: FrameOf) -> Option<Origin> {
    let known = built_in(runtime);
    known.last(&known.origins, runtime, frame).map(|(_, origin)| *origin)
}

/// Whether every program of a runtime has threads of that name, which help the runtime.
pub(crate) fn is_helper_name(runtime: Runtime, name: &str) -> bool {
    let thread = Thread { name: name.to_owned(), ..Thread::default() };
    built_in(runtime).of_thread(runtime, &thread) == Some(ThreadIs::Idle(Idle::Helper))
}

fn built_in(runtime: Runtime) -> &'static List {
    static LISTS: [OnceLock<List>; 4] = [const { OnceLock::new() }; 4];
    let (at, texts) = match runtime {
        Runtime::Jvm => (0, 0..1),
        Runtime::Go => (1, 1..2),
        Runtime::Rust | Runtime::Native => (2, 2..3),
        // .NET among them, which the names of its functions tell.
        Runtime::Unknown => (3, 2..4),
    };
    LISTS[at].get_or_init(|| {
        let mut list = List::default();
        for (_, text) in &BUILT_IN[texts] {
            // That each is right is a test.
            let _ = syntax::parse(text, &mut list);
        }
        list
    })
}

/// A frame as rules see it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameOf<'a> {
    /// The function, normalized.
    pub function: &'a str,
    /// Its name before a user's rule gave it another.
    pub was: Option<&'a str>,
    /// The path of its binary.
    pub module: Option<&'a str>,
    /// Its source file.
    pub file: Option<&'a str>,
}

/// What the rules say of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ruled {
    /// Only the idle wait in it, and why they do.
    pub(super) idle: Option<Idle>,
    /// Whoever has it on the stack is never idle.
    pub(super) never_idle: bool,
    /// Who waits in it in a loop of its own is idle.
    pub(super) quiet: Option<Idle>,
    /// Whoever has it on the stack acts for a request.
    pub(super) request: bool,
    /// Whether clusters show it.
    pub shown: Shown,
}

/// Whether clusters show a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shown {
    /// They do.
    #[default]
    Yes,
    /// They leave it out.
    No,
    /// They leave out what it calls.
    Folded,
}

/// What the rules say of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ThreadIs {
    /// Idle, whatever it does.
    Idle(Idle),
    /// Idle where it waits in a loop of its own.
    Quiet(Idle),
    /// Never idle.
    Busy,
}

/// Rules by what they say, each list in the order of its lines.
#[derive(Clone, Debug, Default)]
struct List {
    names: Vec<(FrameMatcher, String)>,
    origins: Vec<(FrameMatcher, Origin)>,
    /// None where a rule says that it is not idle.
    idle: Vec<(FrameMatcher, Option<Idle>)>,
    quiet: Vec<(FrameMatcher, Idle)>,
    requests: Vec<(FrameMatcher, ())>,
    shown: Vec<(FrameMatcher, Shown)>,
    threads: Vec<(ThreadMatcher, ThreadIs)>,
}

impl List {
    /// The last of such rules that fits.
    fn last<'a, T>(
        &self,
        rules: &'a [(FrameMatcher, T)],
        runtime: Runtime,
        frame: FrameOf,
    ) -> Option<(&'a FrameMatcher, &'a T)> {
        let mut rules = rules.iter().rev();
        let (matcher, said) = rules.find(|(matcher, _)| matcher.fits(runtime, frame))?;
        Some((matcher, said))
    }

    fn of_thread(&self, runtime: Runtime, thread: &Thread) -> Option<ThreadIs> {
        let mut rules = self.threads.iter().rev();
        rules.find(|(matcher, _)| matcher.fits(runtime, thread)).map(|&(_, is)| is)
    }
}

/// Which frames a rule is about.
#[derive(Clone, Debug, Default)]
struct FrameMatcher {
    runtime: Option<Runtime>,
    globs: Vec<Glob<FrameField>>,
    /// With what the function has to begin: there are hundreds of rules, and thousands of functions.
    initial: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameField {
    Function,
    Module,
    File,
}

/// Which threads a rule is about.
#[derive(Clone, Debug, Default)]
struct ThreadMatcher {
    runtime: Option<Runtime>,
    globs: Vec<Glob<ThreadField>>,
    /// With what the name has to begin: there may be a million threads.
    initial: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThreadField {
    Name,
    State,
}

/// A text that a field has to be like, or must not be like.
#[derive(Clone, Debug)]
struct Glob<F> {
    field: F,
    pattern: String,
    unlike: bool,
}

impl<F: PartialEq> Glob<F> {
    /// With what a field has to begin for all globs to fit, where they say so.
    fn initial(globs: &[Glob<F>], field: F) -> Option<u8> {
        let said = globs.iter().filter(|glob| glob.field == field && !glob.unlike);
        let mut letters = said.filter_map(|glob| glob.pattern.bytes().next());
        letters.find(|&letter| letter != b'*')
    }

    /// Whether one of these texts is like the pattern, or, where it has to be unlike, none.
    fn fits_any<const N: usize>(&self, texts: [Option<&str>; N]) -> bool {
        let mut texts = texts.into_iter().flatten();
        texts.any(|text| pattern::matches(&self.pattern, text)) != self.unlike
    }
}

impl FrameMatcher {
    fn new(runtime: Option<Runtime>, globs: Vec<Glob<FrameField>>) -> FrameMatcher {
        let initial = Glob::initial(&globs, FrameField::Function);
        FrameMatcher { runtime, globs, initial }
    }

    fn fits(&self, runtime: Runtime, frame: FrameOf) -> bool {
        let begins = |initial| {
            begins(frame.function, initial) || frame.was.is_some_and(|was| begins(was, initial))
        };
        self.initial.is_none_or(begins)
            && self.runtime.is_none_or(|wanted| wanted == runtime)
            && self.globs.iter().all(|glob| match glob.field {
                FrameField::Function => glob.fits_any([Some(frame.function), frame.was]),
                FrameField::File => glob.fits_any(path(frame.file)),
                FrameField::Module => glob.fits_any(path(frame.module)),
            })
    }

    /// What the function has to be like, where that is said.
    fn function_glob(&self) -> Option<&str> {
        let mut globs = self.globs.iter();
        let is_function = |glob: &&Glob<_>| glob.field == FrameField::Function && !glob.unlike;
        globs.find(is_function).map(|glob| glob.pattern.as_str())
    }
}

/// A path is known by its last part too.
fn path(path: Option<&str>) -> [Option<&str>; 2] {
    [path, path.and_then(|path| path.rsplit('/').next())]
}

fn begins(text: &str, initial: u8) -> bool {
    text.as_bytes().first() == Some(&initial)
}

impl ThreadMatcher {
    fn new(runtime: Option<Runtime>, globs: Vec<Glob<ThreadField>>) -> ThreadMatcher {
        let initial = Glob::initial(&globs, ThreadField::Name);
        ThreadMatcher { runtime, globs, initial }
    }

    fn fits(&self, runtime: Runtime, thread: &Thread) -> bool {
        self.initial.is_none_or(|initial| begins(&thread.name, initial))
            && self.runtime.is_none_or(|wanted| wanted == runtime)
            && self.globs.iter().all(|glob| match glob.field {
                ThreadField::Name => glob.fits_any([Some(&thread.name)]),
                ThreadField::State => glob.fits_any([Some(&thread.state_text)]),
            })
    }
}

/// No rules but the built-in ones.
pub(crate) fn none() -> &'static Rules {
    static NONE: LazyLock<Rules> = LazyLock::new(Rules::default);
    &NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        let mut rules = Rules::default();
        rules.add(text).expect("rules");
        rules
    }

    fn frame(function: &str) -> FrameOf<'_> {
        let (module, file) = (Some("/srv/bin/shop"), Some("src/cart.rs"));
        FrameOf { function, was: None, module, file }
    }

    #[test]
    fn what_is_known_of_each_runtime_is_written_in_rules() {
        for (name, text) in BUILT_IN {
            let mut list = List::default();
            assert_eq!(syntax::parse(text, &mut list).map_err(|e| e.to_string()), Ok(()), "{name}");
            assert!(!list.idle.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_asked() {
        let idle =
            |runtime, function| none().of_frame(runtime, frame(function), Origin::Runtime).idle;
        for (runtime, function, expected) in [
            (Runtime::Unknown, "System.Threading.LowLevelLifoSemaphore.Wait", Idle::Worker),
            (Runtime::Unknown, "__workq_kernreturn", Idle::Worker),
            (Runtime::Native, "__CFRunLoopServiceMachPort", Idle::Listener),
        ] {
            assert_eq!(idle(runtime, function), Some(expected), "{function}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let own = rules("function:shop::* -app\nfunction:shop::cart::* app\n");
        let origin = |function| own.own_origin(Runtime::Rust, frame(function));
        assert_eq!(origin("shop::cart::add"), Some(Origin::Application));
        assert_eq!(origin("shop::log::write"), Some(Origin::Library));
        assert_eq!(origin("other"), None);
    }

    #[test]
    fn all_that_a_rule_asks_for_has_to_fit() {
        let own = rules("function:shop::* module:shop !file:*log* runtime:rust -app");
        let origin = |runtime| own.own_origin(runtime, frame("shop::cart::add"));
        assert_eq!(origin(Runtime::Rust), Some(Origin::Library));
        assert_eq!(origin(Runtime::Go), None);
        let logs = FrameOf { file: Some("src/log.rs"), ..frame("shop::log::write") };
        assert_eq!(own.own_origin(Runtime::Rust, logs), None);
        let elsewhere = FrameOf { module: None, ..frame("shop::cart::add") };
        assert_eq!(own.own_origin(Runtime::Rust, elsewhere), None);
    }

    #[test]
    fn a_name_keeps_what_its_stars_stand_for() {
        let own = rules("function:shop.*_v*.run function=shop.*.run");
        let name = own.renamed(Runtime::Jvm, frame("shop.Cart_v12.run"));
        assert_eq!(name.as_deref(), Some("shop.Cart.run"));
        assert_eq!(own.renamed(Runtime::Jvm, frame("shop.Cart.run")), None);
    }

    #[test]
    fn a_thread_is_told_by_its_name_or_its_state() {
        let of = |rules: &Rules, name: &str, state: &str| {
            let (name, state_text) = (name.to_owned(), state.to_owned());
            rules.of_thread(Runtime::Native, &Thread { name, state_text, ..Thread::default() })
        };
        let own = rules("thread:\"metrics *\" idle=timer\nthread:*-\u{e9} -idle");
        assert_eq!(of(&own, "metrics 1", ""), Some(ThreadIs::Idle(Idle::Timer)));
        assert_eq!(of(&own, "a-\u{e9}", ""), Some(ThreadIs::Busy));
        let by_state = rules("!thread:a state:S idle=worker");
        assert_eq!(of(&by_state, "b", "S"), Some(ThreadIs::Idle(Idle::Worker)));
        assert_eq!(of(&by_state, "", "S"), Some(ThreadIs::Idle(Idle::Worker)));
        assert_eq!(of(&by_state, "a", "S"), None);
        assert_eq!(of(&Rules::default(), "iou-wrk-1", ""), Some(ThreadIs::Idle(Idle::Helper)));
        assert_eq!(of(&Rules::default(), "x", ""), None);
    }

    #[test]
    fn users_override_what_is_known() {
        let known =
            Rules::default().of_frame(Runtime::Go, frame("os/signal.loop"), Origin::Runtime);
        assert_eq!(known.idle, Some(Idle::Helper));
        let own = rules("function:os/signal.* -idle");
        let ruled = own.of_frame(Runtime::Go, frame("os/signal.loop"), Origin::Runtime);
        assert_eq!((ruled.idle, ruled.never_idle), (None, true));
    }
}
