//! Dumps that went through HTML: `&lt;0x0000000742762398&gt;`.

use super::{Text, Unwrapped};

/// Whether a line of a dump is escaped.
pub(super) fn is_escaped(line: &str) -> bool {
    (line.contains("&quot; ") && line.contains(" tid=0x"))
        || line.contains("- locked &lt;")
        || (line.contains("- ") && line.contains(" &lt;0x"))
}

/// Whether a line names an object as dumps do, not escaped.
pub(super) fn names_object(line: &str) -> bool {
    line.contains(" <0x") && line.contains("- ")
}

/// Turns the escapes back.
pub(super) fn unwrap(text: &Text, unwrapped: &mut Unwrapped) {
    const ESCAPES: [(&str, &str); 7] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    for line in text.lines() {
        if !line.text.contains('&') {
            unwrapped.push_line(line.number, line.text);
            continue;
        }
        let unescape = |line: String, (escape, char): &(&str, &str)| line.replace(escape, char);
        let plain = ESCAPES.iter().fold(line.text.to_owned(), unescape);
        unwrapped.push_line(line.number, &plain);
    }
}
