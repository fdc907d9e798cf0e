//! Lines of a limited width, and how they share a screen.

use std::fmt::Display;

use anstyle::Style;

use super::plain::{clip, plain};
use super::together::together;

/// Says that something was left out.
const MORE: &str = " ...";
/// Holds two words together.
pub(super) const NO_BREAK: char = '\u{a0}';
/// A line that is cut ends with a whole word where that leaves one part in so many of it.
const LEAST_KEPT: usize = 2;

/// How a page is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Columns.
    pub width: usize,
    /// Whether escape sequences may be used for colour.
    pub color: bool,
}

impl Page {
    /// A text, made safe, as lines; the first begins with `label`, the others as far to the right.
    /// A no-break space becomes a space on whose place no line ends; so does a space within a name,
    /// or between a number and what it counts.
    pub(super) fn wrap(self, label: &str, text: &str) -> Vec<String> {
        self.wrap_at_most(usize::MAX, label, text)
    }

    /// The same, on at most so many lines; what is left out is marked.
    pub(super) fn wrap_at_most(self, lines: usize, label: &str, text: &str) -> Vec<String> {
        let indent = textwrap::core::display_width(label);
        let hang = " ".repeat(indent);
        let options = textwrap::Options::new(self.width)
            .initial_indent(label)
            .subsequent_indent(&hang)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let text = self.pieces(indent, text);
        let mut wrapped = textwrap::wrap(&text, options);
        if wrapped.len() > lines {
            wrapped.truncate(lines);
            if let Some(last) = wrapped.last_mut() {
                *last = self.marked(last).into();
            }
        }
        wrapped.into_iter().map(|line| line.replace(NO_BREAK, " ")).collect()
    }

    /// A text, made safe, on one line; what is left out is marked.
    pub(super) fn line(self, label: &str, text: &str) -> String {
        let indent = textwrap::core::display_width(label);
        let line = format!("{label}{}", self.pieces(indent, text));
        self.shorten(&line, &line).replace(NO_BREAK, " ")
    }

    /// A name, parted by no end of a line unless it takes more than half of one.
    pub(super) fn piece(self, name: String) -> String {
        match textwrap::core::display_width(&name) <= self.width / 2 {
            true => name.replace(' ', &NO_BREAK.to_string()),
            false => name,
        }
    }

    /// A text, made safe, of pieces that are never wider than half of a line.
    fn pieces(self, indent: usize, text: &str) -> String {
        together(&plain(text), self.width.saturating_sub(indent) / 2)
    }

    /// A line with the mark, shortened where the two do not fit.
    fn marked(self, line: &str) -> String {
        self.shorten(&format!("{line}{MORE}"), line)
    }

    /// `line`, if it fits; otherwise as much of `rest` as fits with the mark, to the end of a
    /// word where much is left.
    fn shorten(self, line: &str, rest: &str) -> String {
        if textwrap::core::display_width(line) <= self.width {
            return line.to_owned();
        }
        let kept = clip(rest, self.width.saturating_sub(MORE.len()));
        let next_is_word = rest[kept.len()..].starts_with(' ');
        let at_word = kept.rfind(' ').filter(|&space| space * LEAST_KEPT > kept.len());
        let kept = match kept.len() == rest.len() || next_is_word {
            true => kept,
            false => &kept[..at_word.unwrap_or(kept.len())],
        };
        format!("{}{MORE}", kept.trim_end())
    }

    /// Text in a style, when colours are wanted.
    pub(super) fn paint(self, style: Style, text: impl Display) -> String {
        match self.color {
            true => format!("{style}{text}{style:#}"),
            false => text.to_string(),
        }
    }
}

/// Parts of a page that share what lines there are: each a list of items, each item its lines.
pub(super) type Part = Vec<Vec<String>>;

impl Page {
    /// Cuts parts to so many lines in all. Every part keeps what it can of its items, whole, from
    /// the first on; what is left out is told with its number.
    pub(super) fn fit(self, parts: Vec<Part>, room: usize, indent: usize) -> Vec<String> {
        let needs = parts.iter().map(Need::of).collect::<Vec<_>>();
        let rooms = share(&needs, room);
        let cut = |(part, room): (Part, usize)| self.cut(part, room, indent);
        parts.into_iter().zip(rooms).flat_map(cut).collect()
    }

    fn cut(self, part: Part, room: usize, indent: usize) -> Vec<String> {
        let count = part.len();
        let all: usize = part.iter().map(Vec::len).sum();
        let mut lines = Vec::new();
        for (index, mut item) in part.into_iter().enumerate() {
            let for_the_rest = usize::from(all > room && index + 1 < count);
            if index == 0 && item.len() + for_the_rest > room {
                item.truncate(room.saturating_sub(for_the_rest).max(1));
                item.last_mut().into_iter().for_each(|line| *line = self.marked(line));
            } else if lines.len() + item.len() + for_the_rest > room {
                lines.push(format!("{:indent$}and {} more", "", count - index));
                break;
            }
            lines.extend(item);
        }
        lines.truncate(room);
        lines
    }
}

/// What lines a part needs: to tell its first item, and to tell all.
struct Need {
    first: usize,
    all: usize,
}

impl Need {
    fn of(part: &Part) -> Need {
        let first = part.first().map_or(0, Vec::len) + usize::from(part.len() > 1);
        let all = part.iter().map(Vec::len).sum();
        Need { first: first.min(all), all }
    }
}

/// Deals lines out: first what each needs to tell its first item, then one a turn to each that
/// needs more.
fn share(needs: &[Need], mut room: usize) -> Vec<usize> {
    let mut dealt = vec![0; needs.len()];
    for (has, need) in dealt.iter_mut().zip(needs) {
        *has = need.first.min(room);
        room -= *has;
    }
    while room > 0 && dealt.iter().zip(needs).any(|(has, need)| *has < need.all) {
        for (has, need) in dealt.iter_mut().zip(needs) {
            if *has < need.all && room > 0 {
                *has += 1;
                room -= 1;
            }
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page { width: 20, color: false };

    #[test]
    fn later_lines_stand_under_the_text() {
        assert_eq!(PAGE.wrap("who  ", "one two three four"), ["who  one two three", "     four"]);
    }

    #[test]
    fn a_word_longer_than_the_line_goes_on_in_the_next() {
        let lines = PAGE.wrap("at ", &"x".repeat(40));
        assert!(lines.iter().all(|line| line.len() <= 20), "{lines:?}");
        assert_eq!(lines.concat().matches('x').count(), 40);
    }

    #[test]
    fn what_is_left_out_is_marked() {
        assert_eq!(PAGE.wrap_at_most(1, "", "one two three four five"), ["one two three ..."]);
        assert_eq!(PAGE.line("", "one two three four five"), "one two three ...");
        assert_eq!(PAGE.line("7 ", &"x".repeat(30)), "7 xxxxxxxxxxxxxx ...");
        assert_eq!(PAGE.line("", "one two three four 5"), "one two three four 5");
    }

    #[test]
    fn parts_share_the_room_and_tell_what_is_left() {
        let part = |name: &str, items: usize| -> Part {
            (0..items).map(|item| vec![format!("{name}{item}")]).collect()
        };
        let lines = PAGE.fit(vec![part("a", 5), part("b", 1)], 4, 2);
        assert_eq!(lines, ["a0", "a1", "  and 3 more", "b0"]);
        let long = vec![vec!["a line of the width ".to_owned(), "more".to_owned()]];
        assert_eq!(PAGE.fit(vec![long], 1, 2), ["a line of the ..."]);
    }
}
