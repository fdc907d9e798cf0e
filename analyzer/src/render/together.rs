//! Words between which no line ends: a number and its unit, the parts of a name, a name and its number,
//! what stands in brackets.

use textwrap::core::display_width;

use super::page::NO_BREAK;

/// Words that a number follows.
const NUMBERED: [&str; 8] =
    ["line", "task", "goroutine", "thread", "pid", "tid", "dump", "version"];

/// A word so short joins a piece that would be wide enough without it.
const SHORT: usize = 6;

/// What is begun in quotes or brackets and does not end after so many words is no name.
const MOST_WORDS: usize = 16;

/// The text with no-break spaces where it must not be parted, as far as no piece gets wider than
/// so many columns.
pub(super) fn together(text: &str, widest: usize) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let enclosed = enclosed(&words, widest);
    let mut whole = String::with_capacity(text.len());
    let mut piece = 0;
    for (at, &word) in words.iter().enumerate() {
        let width = display_width(word);
        if at > 0 {
            let room = if width <= SHORT { widest + SHORT } else { widest };
            let joined = piece + 1 + width <= room && (enclosed[at] || belongs(&words[..at], word));
            whole.push(if joined { NO_BREAK } else { ' ' });
            piece = if joined { piece + 1 } else { 0 };
        }
        whole.push_str(word);
        piece += width;
    }
    whole
}

/// For each word whether it goes on what is begun in quotes or brackets, `"pool-1 worker 7"`, and
/// not too wide.
fn enclosed(words: &[&str], widest: usize) -> Vec<bool> {
    let mut within = vec![false; words.len()];
    let mut at = 0;
    while at < words.len() {
        let near = &words[at..words.len().min(at + MOST_WORDS)];
        let last = end_of(near).map(|more| at + more);
        let last = last.filter(|&last| display_width(&words[at..=last].join(" ")) <= widest);
        let last = last.unwrap_or(at);
        within[at..=last].iter_mut().skip(1).for_each(|one| *one = true);
        at = last + 1;
    }
    within
}

/// The word with which that ends which the first one begins.
fn end_of(words: &[&str]) -> Option<usize> {
    let (mut quoted, mut brackets) = (false, 0_i64);
    words.iter().position(|word| {
        quoted ^= word.matches('"').count() % 2 == 1;
        brackets += word.matches('(').count() as i64 - word.matches(')').count() as i64;
        !quoted && brackets <= 0
    })
}

/// Whether a word says little without the one before it.
fn belongs(words: &[&str], word: &str) -> bool {
    let [.., before] = *words else { return false };
    let is_ratio = matches!(*words, [.., count, "of"] if is_number(count)) && begins_a_number(word);
    let named = before.trim_start_matches(['(', '[', '"']);
    let is_counted =
        is_number(named) && word.starts_with(|c: char| c.is_alphanumeric() || c == '%');
    let is_listed = named.strip_suffix(',').is_some_and(is_number) && begins_a_number(word);
    let is_numbered = NUMBERED.contains(&named) && begins_a_number(word);
    let is_address = word.starts_with("0x") && named.chars().all(char::is_alphabetic);
    let in_brackets = word.strip_prefix('(');
    let is_count = |word: &str| begins_a_number(word) && word.contains(')');
    let is_whose =
        in_brackets.is_some_and(|word| word == "line" || before.ends_with('"') || is_count(word));
    let leads_on = matches!(before, ".." | "<") || word == "..";
    is_counted || is_ratio || is_listed || is_numbered || is_address || is_whose || leads_on
}

/// `7`, `6.0`, `2026-11-26`, `12:43:09`.
fn is_number(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':' | '-' | '+');
    word.ends_with(|c: char| c.is_ascii_digit()) && word.chars().all(is_part)
}

fn begins_a_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces, between which lines may end.
    fn check(text: &str, pieces: &[&str]) {
        let whole = together(text, 30);
        let parted: Vec<String> =
            whole.split(' ').map(|piece| piece.replace(NO_BREAK, " ")).collect();
        assert_eq!(parted, pieces);
    }

    #[test]
    fn numbers_stay_with_what_they_count() {
        check(
            "ran 128 ms of 6.0 s, 96 % of it",
            &["ran", "128 ms", "of", "6.0 s,", "96 %", "of", "it"],
        );
        check("in all 3 of 3 dumps", &["in", "all", "3 of 3 dumps"]);
        check("for one of 4 connections", &["for", "one", "of", "4 connections"]);
        check("wait (8, 8, 8 in the dumps)", &["wait", "(8, 8, 8 in the dumps)"]);
        check("2026-11-26 12:43:09 to", &["2026-11-26 12:43:09 to"]);
    }

    #[test]
    fn names_stay_whole_and_with_their_numbers() {
        check("holds \"pool-1 worker\" (27) now", &["holds", "\"pool-1 worker\" (27)", "now"]);
        check("the mutex 0x7f10 (Map) of", &["the", "mutex 0x7f10", "(Map)", "of"]);
        check("a-1 .. a-9, goroutine 7", &["a-1 .. a-9,", "goroutine 7"]);
        check("Map::get < main (S (sleeping))", &["Map::get", "< main", "(S (sleeping))"]);
        check("in Map::get (line 22) or", &["in", "Map::get (line 22)", "or"]);
    }

    #[test]
    fn what_is_too_wide_is_parted() {
        let said = "\"a message that is said at length\"";
        let words: Vec<&str> = said.split(' ').collect();
        check(said, &words);
        check(
            "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13",
            &["1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,", "12, 13"],
        );
    }
}
