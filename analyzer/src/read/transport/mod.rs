//! Logs that carry dumps: every line of the dump stands behind a prefix, inside an envelope, or
//! escaped. Taken off only where a line of a dump is seen to stand so; a dump that begins its
//! own lines is left as it is.
//!
//! ```text
//! 2026-11-22T20:59:30.000456789Z stderr F goroutine 19 [running]:
//! [pod/shop-7c9d/app] 2026-11-22T20:59:30.000456789Z goroutine 19 [running]:
//! Nov 22 20:59:30 node-7 shop[4121]: goroutine 19 [running]:
//! shop-api-1  | goroutine 19 [running]:
//! {"log": "goroutine 19 [running]:\n", "stream": "stderr", "time": "2026-11-22T20:59:30Z"}
//!     "result": "2026-11-26 15:46:54\nFull thread dump OpenJDK 64-Bit Server VM (17.0.15 ...
//! {"level": "ERROR", "msg": "goroutine dump", "stack": "goroutine 19 [running]:\nmain.main()\n"}
//! &quot;main&quot; #1 prio=5 os_prio=0 tid=0x00007f434000a800 nid=0x5a96 runnable
//! ```

mod anchor;
mod envelope;
mod markup;
mod prefix;

use self::anchor::anchor;
use self::envelope::Envelope;
use self::prefix::Prefix;
use super::text::Text;

/// Takes a text out of what carries it, layer by layer.
pub(super) fn unwrap(mut text: Text<'_>) -> Text<'_> {
    const MOST_LAYERS: usize = 3;
    for _ in 0..MOST_LAYERS {
        match Carrier::of(&text) {
            Some(carrier) => text = carrier.unwrap(&text),
            None => break,
        }
    }
    text
}

/// Whether something carries the dumps in a text.
pub(super) fn carries(text: &Text) -> bool {
    Carrier::of(text).is_some()
}

/// What carries a dump.
#[derive(Debug, PartialEq)]
enum Carrier {
    /// One prefix for each source whose lines are mixed.
    Prefixes(Vec<Prefix>),
    Envelope(Envelope),
    Markup,
}

/// So many lines of dumps that stand for themselves, and none that is carried, are enough to
/// know that none will be.
const ENOUGH: usize = 64;

/// So many different prefixes are believed to be so many sources; with more, something in them
/// counts lines.
const MOST_SOURCES: usize = 8;

impl Carrier {
    fn of(text: &Text) -> Option<Carrier> {
        let mut seen = Seen::default();
        for line in text.lines() {
            seen.line(line.text);
            if seen.plain >= ENOUGH && seen.carried() == 0 {
                break;
            }
        }
        seen.carrier()
    }

    fn unwrap<'a>(&self, text: &Text<'a>) -> Text<'a> {
        let mut unwrapped = Unwrapped::default();
        match self {
            Carrier::Prefixes(prefixes) => prefix::unwrap(prefixes, text, &mut unwrapped),
            Carrier::Envelope(envelope) => envelope.unwrap(text, &mut unwrapped),
            Carrier::Markup => markup::unwrap(text, &mut unwrapped),
        }
        text.unwrapped(unwrapped.text, unwrapped.numbers)
    }
}

/// How the lines stand that only dumps have.
#[derive(Default)]
struct Seen {
    plain: usize,
    escaped: usize,
    /// Some line names an object without an escape.
    names_object: bool,
    prefixes: Vec<(Prefix, usize)>,
    /// The same prefixes with every number in them taken for a counter.
    loose: Vec<(Prefix, usize)>,
    envelopes: Vec<(Envelope, usize)>,
}

impl Seen {
    fn line(&mut self, line: &str) {
        self.names_object |= markup::names_object(line);
        if !anchor::may_hold(line) && !line.contains("&lt;") {
            return;
        }
        if let Some(envelope) = Envelope::of(line) {
            count(&mut self.envelopes, envelope);
        } else if markup::is_escaped(line) {
            self.escaped += 1;
        } else if let Some(at) = anchor(line) {
            self.stands_at(&line[..at]);
        }
    }

    fn stands_at(&mut self, before: &str) {
        if before.is_empty() {
            self.plain += 1;
            return;
        }
        count(&mut self.loose, Prefix::loose(before));
        if self.prefixes.len() <= MOST_SOURCES {
            count(&mut self.prefixes, Prefix::new(before));
        }
    }

    fn carried(&self) -> usize {
        self.escaped + total(&self.loose) + total(&self.envelopes)
    }

    fn carrier(mut self) -> Option<Carrier> {
        let prefixes = total(&self.loose);
        let most = self.escaped.max(prefixes).max(total(&self.envelopes));
        if most <= self.plain {
            // Some escape angle brackets and leave quotes: then the headers look plain.
            (self.escaped > 0 && !self.names_object).then_some(Carrier::Markup)
        } else if self.escaped == most {
            Some(Carrier::Markup)
        } else if total(&self.envelopes) == most {
            self.envelopes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            self.envelopes.into_iter().next().map(|(envelope, _)| Carrier::Envelope(envelope))
        } else {
            let few = self.prefixes.len() <= MOST_SOURCES;
            let sources = if few { self.prefixes } else { self.loose };
            Some(Carrier::Prefixes(sources.into_iter().map(|(prefix, _)| prefix).collect()))
        }
    }
}

fn total<T>(counted: &[(T, usize)]) -> usize {
    counted.iter().map(|(_, count)| count).sum()
}

fn count<T: PartialEq>(counted: &mut Vec<(T, usize)>, item: T) {
    match counted.iter().position(|(known, _)| *known == item) {
        Some(place) => counted[place].1 += 1,
        None if counted.len() < MOST_KINDS => counted.push((item, 1)),
        None => {}
    }
}

/// More kinds of prefixes or envelopes than this are not told apart: each costs a pass.
const MOST_KINDS: usize = 32;

/// The lines inside, each with the number of the line that carried it.
#[derive(Default)]
struct Unwrapped {
    text: String,
    numbers: Vec<u64>,
}

impl Unwrapped {
    /// Adds what one line carried: a line, several, or the beginning of one.
    fn push(&mut self, number: u64, content: &str) {
        for piece in content.split_inclusive('\n') {
            if self.text.is_empty() || self.text.ends_with('\n') {
                self.numbers.push(number);
            }
            self.text.push_str(piece);
        }
    }

    fn push_line(&mut self, number: u64, line: &str) {
        self.push(number, line);
        self.push(number, "\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(text: &str) -> Vec<(u64, String)> {
        let text = Text::from_bytes(text.as_bytes());
        text.lines().map(|line| (line.number, line.text.to_owned())).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        unwrapped(text).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn prefixes_with_times() {
        let log = "2026-11-22T20:59:30.0004Z stderr F goroutine 19 [running]:
2026-11-22T20:59:31Z stderr F main.main()
2026-11-22T20:59:30.5Z stderr F \t/srv/main.go:3 +0x1
2026-11-22T20:59:30.5Z stderr F
2026-11-22T20:59:30.5Z stdout F up
";
        assert_eq!(
            texts(log),
            [
                "goroutine 19 [running]:",
                "main.main()",
                "\t/srv/main.go:3 +0x1",
                "",
                "2026-11-22T20:59:30.5Z stdout F up"
            ]
        );
    }

    #[test]
    fn two_sources_are_told_apart() {
        let log = "web-0  | goroutine 1 [running]:
web-1  | goroutine 1 [running]:
web-1  | main.a()
db     | up
web-0  | main.b()
";
        let expected = [
            (1, "goroutine 1 [running]:"),
            (5, "main.b()"),
            (2, "goroutine 1 [running]:"),
            (3, "main.a()"),
        ];
        assert_eq!(unwrapped(log), expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn counters_in_a_prefix() {
        let line = |n: u32| {
            format!("seq={n} 12:00:01 goroutine {n} [running]:\nseq={n}1 12:00:02 main.main()\n")
        };
        let log: String = (1..20).map(line).collect();
        let expected: Vec<String> = (1..20)
            .flat_map(|n| [format!("goroutine {n} [running]:"), "main.main()".to_owned()])
            .collect();
        assert_eq!(texts(&log), expected);
    }

    #[test]
    fn envelopes() {
        let docker = r#"{"log": "up\n", "stream": "stdout"}
{"log":"goroutine 1 [running]:\n","stream":"stderr"}
{"log":"main.ma","stream":"stderr"}
{"log":"in()\n","stream":"stderr"}
not json
"#;
        assert_eq!(texts(docker), ["up", "goroutine 1 [running]:", "main.main()", "not json"]);
        let one_line = r#"{"level":"INFO","msg":"up"}
{"msg":"dump","error":{"stack":"goroutine 1 [running]:\nmain.main()\n"}}"#;
        let expected = [
            (1, r#"{"level":"INFO","msg":"up"}"#),
            (2, "goroutine 1 [running]:"),
            (2, "main.main()"),
        ];
        assert_eq!(unwrapped(one_line), expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn a_field_of_json_over_several_lines() {
        let json = r#"{
  "events": [{
    "type": "jdk.ThreadDump",
    "result": "Full thread dump OpenJDK 64-Bit Server VM (17):\n\n\"a\" #1\n",
    "more": "b"
  }]
}"#;
        let expected = [
            "{",
            "  \"events\": [{",
            "    \"type\": \"jdk.ThreadDump\",",
            "Full thread dump OpenJDK 64-Bit Server VM (17):",
            "",
            "\"a\" #1",
            "    \"more\": \"b\"",
            "  }]",
            "}",
        ];
        assert_eq!(texts(json), expected);
    }

    #[test]
    fn layers() {
        let log = r#"{"log":"12:00:01 INFO [stdout] goroutine 1 [running]:\n"}
{"log":"12:00:01 INFO [stdout] main.main()\n"}"#;
        assert_eq!(texts(log), ["goroutine 1 [running]:", "main.main()"]);
    }

    #[test]
    fn quoted_and_escaped() {
        assert_eq!(
            texts("> goroutine 1 [running]:\n> main.main()\n>\n"),
            ["goroutine 1 [running]:", "main.main()", ""]
        );
        let html = "&quot;a&quot; #1 prio=5 os_prio=0 tid=0x0007 nid=0x5 runnable\n\
            \t- locked &lt;0x7&gt; (a B&amp;C)";
        assert_eq!(
            texts(html),
            ["\"a\" #1 prio=5 os_prio=0 tid=0x0007 nid=0x5 runnable", "\t- locked <0x7> (a B&C)"]
        );
    }

    #[test]
    fn escaped_but_for_the_quotes() {
        let html = "\"a\" #1 prio=5 os_prio=0 tid=0x0007 nid=0x5 runnable\n\
            \"b\" #2 prio=5 os_prio=0 tid=0x0008 nid=0x6 runnable\n\
            \t- waiting to lock &lt;0x7&gt; (a B)";
        assert_eq!(texts(html)[2], "\t- waiting to lock <0x7> (a B)");
    }

    #[test]
    fn a_dump_that_stands_for_itself_is_left_alone() {
        for text in [
            "\"a\" #1 prio=5 os_prio=0 tid=0x0007 nid=0x5 runnable\n\t- locked <0x7> (a B)\n\
             \"b\" #1 prio=5 os_prio=0 tid=0x0008 nid=0x6 runnable\nINFO - saw &lt;0x7&gt;\n",
            "INFO handling goroutine 5 [running]:\ngoroutine 1 [running]:\nmain.main()\n",
            "panic: a\n\tgoroutine 7 [running]:\n\ngoroutine 1 [running]:\n",
            "INFO Full thread dump was asked for\n",
            "> quoted\n",
            "{\"sigquit\":{\"version\":1}}\n",
        ] {
            assert_eq!(texts(text), text.lines().collect::<Vec<_>>());
        }
    }
}
