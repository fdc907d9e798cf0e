//! JSON that ends early, or is damaged somewhere: what stands before that is understood as if the text ended
//! there and everything open were closed.

use serde::de::DeserializeOwned;
use sigquit_dump::Warning;

use super::Text;

/// What a text that is one JSON value holds, and what is wrong with the text. Of one that is cut, the
/// fields that it does not reach have their defaults, and lists end early.
///
/// # Errors
/// What is wrong with it, when nothing can be understood.
pub(super) fn json<T: DeserializeOwned>(text: &Text) -> Result<(T, Option<Warning>), Warning> {
    let text = text.as_str();
    let why = match serde_json::from_str(text) {
        Ok(value) => return Ok((value, None)),
        Err(why) => why,
    };
    let end = match why.is_eof() {
        true => text.len(),
        false => place(text, why.line(), why.column()),
    };
    let warning = |what: &str| {
        let message = format!("the JSON ends, or is damaged, here ({why}): {what}");
        Warning { line: why.line() as u64, message }
    };
    match serde_json::from_str(&closed(&text[..end])) {
        Ok(value) => Ok((value, Some(warning("what stands before is kept")))),
        Err(_) => Err(warning("nothing before can be used")),
    }
}

/// Where a column of a line begins, both counted from 1; columns count bytes.
fn place(text: &str, line: usize, column: usize) -> usize {
    let mut ends = memchr::memchr_iter(b'\n', text.as_bytes());
    let begin = match line.checked_sub(2) {
        Some(before) => ends.nth(before).map_or(text.len(), |end| end + 1),
        None => 0,
    };
    let end = begin.saturating_add(column.saturating_sub(1)).min(text.len());
    (0..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

/// A text that began as JSON, up to its last whole value, with what is open there closed.
///
/// `{"a": [1, {"b": 22` -> `{"a": [1, {}]}`
fn closed(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    // How much of the text is whole, and how many of the open brackets are in that.
    let mut whole = (0, 0);
    let mut awaits_key = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let begin = at;
        at += 1;
        match byte {
            b'{' | b'[' => {
                open.push(if byte == b'{' { b'}' } else { b']' });
                awaits_key = byte == b'{';
                whole = (at, open.len());
            }
            b'}' | b']' => {
                open.pop();
                awaits_key = false;
                whole = (at, open.len());
            }
            b',' => awaits_key = open.last() == Some(&b'}'),
            b':' => awaits_key = false,
            b'"' => match end_of_string(bytes, at) {
                Some(end) => {
                    at = end;
                    if !awaits_key {
                        whole = (at, open.len());
                    }
                }
                None => break,
            },
            _ if byte.is_ascii_whitespace() => {}
            _ => {
                let word = bytes[begin..].iter().position(|byte| b",]} \t\r\n".contains(byte));
                let Some(length) = word else { break };
                at = begin + length;
                whole = (at, open.len());
            }
        }
    }
    let mut closed = text[..whole.0].to_owned();
    closed.extend(open[..whole.1].iter().rev().map(|&byte| char::from(byte)));
    closed
}

/// Where a string ends that goes on at a place: behind its closing quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_is_whole_is_kept_and_closed() {
        for (cut, whole) in [
            (r#"{"a": [1, {"b": 22"#, r#"{"a": [1, {}]}"#),
            (r#"{"a": [1, 2"#, r#"{"a": [1]}"#),
            (r#"{"a": "x\"y", "b": "c"#, r#"{"a": "x\"y"}"#),
            (r#"{"a": true, "b""#, r#"{"a": true}"#),
            (r#"{"a": tr"#, "{}"),
            (r#"["a", "b\"#, r#"["a"]"#),
            (r#"[[1], [2]"#, "[[1], [2]]"),
        ] {
            assert_eq!(closed(cut), whole);
            assert!(serde_json::from_str::<Value>(whole).is_ok());
        }
    }

    #[test]
    fn every_cut_of_a_text_can_be_read() {
        let text = "{\"é\": [1.5e3, null, {\"b\": \"\\u00e9\\\\\"}, []], \"c\": {}, \"d\": -7}";
        for (end, _) in text.char_indices().skip(1) {
            let cut = Text::from_bytes(&text.as_bytes()[..end]);
            let read = json::<Value>(&cut);
            let (_, warning) = read.unwrap_or_else(|why| panic!("{}: {why:?}", &text[..end]));
            assert_eq!(warning.expect("it is cut").line, 1);
        }
    }

    #[test]
    fn damage_in_the_middle_ends_what_is_kept() {
        let text = Text::from_bytes(b"{\"a\": 1,\n \"b\": [2, ;, 3],\n \"c\": 4}");
        let (value, warning) = json::<Value>(&text).expect("its beginning can be read");
        assert_eq!(value.to_string(), r#"{"a":1,"b":[2]}"#);
        assert_eq!(warning.expect("it is damaged").line, 2);
        assert!(json::<Value>(&Text::from_bytes(b"no JSON")).is_err());
    }
}
