//! Calls as a report writes them.

use sigquit_dump::{Location, Symbol};

/// A function of JavaScript.
///
/// ```text
/// at Ledger.post (/srv/night.js:29:37)
/// at async Server.serve (file:///srv/night.mjs:4:1)
/// at /srv/night.js:4:1
/// at Module._compile (node:internal/modules/cjs/loader:1521:14)
/// at new Promise (<anonymous>)
/// ```
///
/// Those of Node itself are called by their modules, as nothing else tells them from the program's.
pub(super) fn javascript_call(text: &str) -> Option<Symbol> {
    let call = text.trim().strip_prefix("at ")?;
    let call = call.strip_prefix("async ").unwrap_or(call);
    let (function, place) = match call.strip_suffix(')').and_then(|call| call.rsplit_once(" (")) {
        Some((function, place)) => (function, place),
        None => ("", call),
    };
    let function = function.replace("<anonymous>", "anonymous");
    let function = if function.trim().is_empty() { "anonymous" } else { &function };
    let location = location(place);
    let module = location.as_ref().filter(|at| at.file.starts_with("node:"));
    let function = match module {
        Some(at) => format!("{}.{function}", at.file),
        None => function.to_owned(),
    };
    Some(Symbol { function, location, inlined: false })
}

/// `/srv/night.js:29:37`
fn location(place: &str) -> Option<Location> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    let file = file.strip_prefix("file://").unwrap_or(file).to_owned();
    Some(Location { file, line: Some(line.parse().ok()?), column: column.parse().ok() })
}

/// `epoll_pwait [/lib/x86_64-linux-gnu/libc.so.6]`, `node::Start(int, char**) [node]`, ` [node]`
pub(super) fn native_call(text: &str) -> Option<Symbol> {
    let function = text.rsplit_once(" [").map_or(text, |(function, _)| function);
    let function = function.split('(').next().unwrap_or(function).trim();
    (!function.is_empty()).then(|| Symbol::function(function))
}
