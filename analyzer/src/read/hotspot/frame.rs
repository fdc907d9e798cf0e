//! One call on a stack.

use sigquit_dump::{Frame, Location, Symbol};

/// The text of a frame, without what marks it as one; the same text is the same frame.
///
/// ```text
///     at java.lang.Thread.sleep(java.base@17.0.15/Native Method)
///  - ops.dipper.TickerApp.main(java.lang.String[]) @bci=116, line=8 (Interpreted frame)
/// 0x00007f3aa986e72f    __GI_accept + 0x4f
/// ```
pub(super) fn text(body: &str) -> Option<&str> {
    if let Some(call) = body.strip_prefix("at ") {
        return (call.contains('(') && call.ends_with(')')).then_some(call);
    }
    if let Some(call) = body.strip_prefix("- ") {
        let may_be = memchr::memchr(b'@', call.as_bytes()).is_some();
        return (may_be && call.contains(" @bci=")).then_some(call);
    }
    native(body).map(|_| body)
}

/// Reads the text of a frame.
pub(super) fn read(text: &str) -> Frame {
    if let Some((function, rest)) = text.split_once(" @bci=") {
        return Frame::named(debugger_symbol(function, rest));
    }
    if let Some((address, function)) = native(text) {
        return Frame { address: Some(address), ..Frame::named(Symbol::function(function)) };
    }
    let (function, place) = text.split_once('(').unwrap_or((text, ""));
    let location = location(place.strip_suffix(')').unwrap_or(place));
    Frame::named(Symbol { function: function.to_owned(), location, inlined: false })
}

/// `java.base@17.0.15/Thread.java:840`, `TickerApp.java:5`, `Native Method`, `Unknown Source`
fn location(place: &str) -> Option<Location> {
    let place = place.rsplit_once('/').map_or(place, |(_module, place)| place);
    if place.is_empty() || place == "Unknown Source" {
        return None;
    }
    let (file, line) = match place.rsplit_once(':') {
        Some((file, line)) => (file, line.parse().ok()),
        None => (place, None),
    };
    Some(Location { file: file.to_owned(), line, column: None })
}

/// `ops.dipper.TickerApp.main(java.lang.String[])` and `116, line=8 (Interpreted frame)`. The
/// source file is not said.
fn debugger_symbol(function: &str, rest: &str) -> Symbol {
    let function = function.split('(').next().unwrap_or(function).to_owned();
    let line = rest
        .split_once("line=")
        .and_then(|(_, line)| line.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok());
    let location = line.map(|line| Location { line: Some(line), ..Location::default() });
    Symbol { function, location, inlined: false }
}

/// `0x00007f3aa986e72f    __GI_accept + 0x4f`, `0x00007f78e5013a52    * java.lang.Thread.sleep(long) bci:0`
fn native(body: &str) -> Option<(u64, &str)> {
    let (address, call) = body.strip_prefix("0x")?.split_once('\t')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let call = call.trim_start_matches(['*', ' ']);
    let end = call.rfind(" + 0x").or_else(|| call.find(" bci:")).unwrap_or(call.len());
    let call = &call[..end];
    (!call.is_empty()).then_some((address, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(body: &str) -> (String, Option<String>, Option<u32>) {
        let frame = read(text(body).unwrap_or_else(|| panic!("no frame: {body}")));
        let symbol = frame.symbols.into_iter().next().unwrap();
        let location = symbol.location;
        (
            symbol.function,
            location.as_ref().map(|location| location.file.clone()),
            location.and_then(|location| location.line),
        )
    }

    #[test]
    fn frames_of_all_tools() {
        let named = |function: &str, file: Option<&str>, line| {
            (function.to_owned(), file.map(str::to_owned), line)
        };
        assert_eq!(
            symbol("at java.lang.Thread.run(java.base@17.0.15/Thread.java:840)"),
            named("java.lang.Thread.run", Some("Thread.java"), Some(840))
        );
        assert_eq!(
            symbol("at java.lang.Thread.sleep(java.base@17.0.15/Native Method)"),
            named("java.lang.Thread.sleep", Some("Native Method"), None)
        );
        assert_eq!(
            symbol("at edge.kite.EdgeLocks$$Lambda$1/471910020.run(Unknown Source)"),
            named("edge.kite.EdgeLocks$$Lambda$1/471910020.run", None, None)
        );
        assert_eq!(
            symbol("- ops.T.main(java.lang.String[]) @bci=116, line=8 (Interpreted frame)"),
            named("ops.T.main", Some(""), Some(8))
        );
        assert_eq!(
            symbol(
                "- java.lang.Thread.sleep(long) @bci=0 (Compiled frame; information may be imprecise)"
            ),
            named("java.lang.Thread.sleep", None, None)
        );
        assert_eq!(symbol("0x00007f3aa986e72f\t__GI_accept + 0x4f").0, "__GI_accept");
    }

    #[test]
    fn a_frame_that_was_cut_is_none() {
        for body in ["at io.", "at ", "- locked <0x1> (a C)", "0x1", "0xzz\tmain + 0x1"] {
            assert_eq!(text(body), None, "{body}");
        }
    }
}
