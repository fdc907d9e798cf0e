//! Frames and locks as lines of a stack.

use sigquit_dump::{
    Dump, Frame, Hold, Location, Lock, OwnerSource, Reason, Symbol, Truncation, Trust, Wait,
    WaitFor,
};

use super::plain::plain;

/// A frame's functions, innermost first; without a name its place in its module, and why.
pub(super) fn frame_lines(dump: &Dump, frame: &Frame) -> Vec<String> {
    let scanned = if frame.trust == Trust::Scan { " [found by search: may be stale]" } else { "" };
    match frame.symbols.as_slice() {
        [] => vec![format!("at {}{scanned}", nameless(dump, frame))],
        symbols => {
            symbols.iter().map(|symbol| format!("{}{scanned}", symbol_line(symbol))).collect()
        }
    }
}

fn symbol_line(symbol: &Symbol) -> String {
    let at = symbol.location.as_ref().map(|location| format!(" ({})", place(location)));
    let inlined = if symbol.inlined { " [inlined]" } else { "" };
    format!("at {}{}{inlined}", plain(&symbol.function), at.unwrap_or_default())
}

/// A place in a source file.
pub(super) fn place(location: &Location) -> String {
    let file = plain(short_path(&location.file));
    match location.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}

/// A path without what says only where the standard library or the registry's crates lay when
/// they were built: `std/src/thread/mod.rs`, `serde-1.0.200/src/lib.rs`.
pub(super) fn short_path(path: &str) -> &str {
    let after = |mark: &str| {
        let (_, rest) = path.split_once(mark)?;
        rest.split_once('/').map(|(_, rest)| rest)
    };
    match path.starts_with("/rustc/") {
        true => path.split_once("/library/").map_or(path, |(_, rest)| rest),
        false => after("/registry/src/").unwrap_or(path),
    }
}

/// Whether the frames outside this one only start a thread: the mark that std itself uses to
/// shorten its backtraces.
pub(super) fn starts_the_program(frame: &Frame) -> bool {
    let mark = "__rust_begin_short_backtrace";
    frame.symbols.iter().any(|symbol| symbol.function.contains(mark))
}

fn nameless(dump: &Dump, frame: &Frame) -> String {
    let module = frame.module.and_then(|id| dump.modules.get(id.0 as usize));
    let address = match (module, frame.offset, frame.address) {
        (Some(module), Some(offset), _) => format!("{}+{offset:#x}", plain(&module.path)),
        (_, _, Some(address)) => format!("{address:#x}"),
        _ => "?".into(),
    };
    let why = frame.reason.map_or("no name", reason);
    let build = module.and_then(|module| module.build_id.as_ref());
    let build = build.map(|id| format!(", build id {}", plain(&id.0))).unwrap_or_default();
    format!("{address} ({why}{build})")
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Unmapped => "no name: in no mapped binary",
        Reason::Stripped => "no name: the binary is stripped",
        Reason::UnknownAddress => "no name: no symbol covers it",
        Reason::NoFile => "no name: the binary's file is gone or another build",
        Reason::BadDebugInformation => "no name: the debug information is damaged",
    }
}

/// Why a stack ends before its root frame.
pub(super) fn truncation_sentence(why: Truncation) -> String {
    let why = match why {
        Truncation::TooDeep => "more frames than the limit",
        Truncation::StackCopyEnded => "the copy of the stack ended",
        Truncation::UnknownModule => "the return address is in no mapped binary",
        Truncation::NoUnwindTable => "the binary does not say how to unwind this address",
        Truncation::BadUnwindTable => "the unwind table is damaged or not supported",
        Truncation::DidNotAdvance => "the next frame would not lie above this one",
        Truncation::InsideUnwinder => "the thread was inside the unwinder",
        Truncation::ForeignStack => "the thread was not on its own stack",
        Truncation::Elided => "the source left frames out",
        Truncation::PrintLimit => "the source prints no more frames",
        Truncation::InputEnded => "the input ended",
    };
    format!("... cut here: {why}")
}

/// What a thread waits for, and who is in the way.
pub(super) fn wait_sentence(dump: &Dump, wait: &Wait) -> String {
    let lock = dump.lock(wait.lock);
    let to = match wait.wait_for {
        WaitFor::Exclusive => "waits to own",
        WaitFor::Shared => "waits to share",
        WaitFor::Notification => "waits to be notified at",
        WaitFor::Reacquire => "waits to own again",
        WaitFor::Unknown => "waits at",
    };
    let owners = lock.owners.iter().map(|owner| {
        let name = dump.threads.get(owner.thread as usize).map_or("?", |thread| &thread.name);
        format!("{} ({})", plain(name), source(owner.source))
    });
    let owners = owners.collect::<Vec<_>>().join(", ");
    match (owners.is_empty(), wait.wait_for.needs_owner_to_leave()) {
        (true, true) => format!("- {to} {}, owner unknown", lock_words(lock)),
        (true, false) => format!("- {to} {}", lock_words(lock)),
        (false, _) => format!("- {to} {}, owned by {owners}", lock_words(lock)),
    }
}

/// What a thread owns, and how that is known.
pub(super) fn hold_sentence(dump: &Dump, hold: &Hold) -> String {
    let mut known = source(hold.source).to_owned();
    if let Some(at) = &hold.taken_at {
        known += &format!(", taken at {}", place(at));
    }
    if let Some(held) = hold.held {
        known += &format!(", for {:.3} s", held.as_secs_f64());
    }
    format!("- owns {} ({known})", lock_words(dump.lock(hold.lock)))
}

fn source(source: OwnerSource) -> &'static str {
    super::phrase::owner_source_name(source)
}

fn lock_words(lock: &Lock) -> String {
    let mut words = lock.kind.noun().to_owned();
    if let Some(address) = lock.address {
        words += &format!(" {address:#x}");
    }
    if let Some(name) = &lock.type_name {
        words += &format!(" ({})", plain(name));
    }
    if let Some(at) = &lock.made_at {
        words += &format!(" made at {}", place(at));
    }
    words
}
