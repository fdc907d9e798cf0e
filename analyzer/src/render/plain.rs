//! Text from an input made safe for a terminal.
//!
//! Thread names, messages and paths come from the process that was dumped, or from whoever could
//! name its threads. On a terminal they must not move the cursor, change colours, break lines
//! or turn the direction of writing.

use std::fmt::Write;

/// The text with control characters and direction marks shown as escapes (`\n`, `\u{1b}`).
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => plain.push_str("\\n"),
            '\t' => plain.push_str("\\t"),
            '\r' => plain.push_str("\\r"),
            hostile if hostile.is_control() || is_invisible(hostile) => {
                let _ = write!(plain, "\\u{{{:x}}}", u32::from(hostile));
            }
            harmless => plain.push(harmless),
        }
    }
    plain
}

/// Characters that take no room and change how others are shown.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The text made safe, and shortened to so many columns where it is longer, with its length told.
pub(super) fn short(text: &str, columns: usize) -> String {
    let text = plain(text);
    if textwrap::core::display_width(&text) <= columns {
        return text;
    }
    let mark = format!("...[{} characters]", text.chars().count());
    let mut kept = clip(&text, columns.saturating_sub(mark.len())).to_owned();
    kept.push_str(&mark);
    kept
}

/// The longest beginning of a text that fits so many columns.
pub(super) fn clip(text: &str, columns: usize) -> &str {
    let mut width = 0;
    for (at, character) in text.char_indices() {
        width += textwrap::core::display_width(character.encode_utf8(&mut [0; 4]));
        if width > columns {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(plain("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(plain("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(plain("\u{202e}evil\u{9b}2J"), "\\u{202e}evil\\u{9b}2J");
        assert_eq!(plain("שלום \"quoted\" 世界"), "שלום \"quoted\" 世界");
    }

    #[test]
    fn what_is_left_out_is_told() {
        let name = "x".repeat(1500);
        let short = short(&name, 40);
        assert_eq!(short.chars().count(), 40);
        assert!(short.ends_with("...[1500 characters]"), "{short}");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(clip("世界世界", 5), "世界");
        assert_eq!(clip("abc", 5), "abc");
    }
}
