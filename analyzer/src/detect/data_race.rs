//! A race detector's report: two used one piece of memory at once, one of them writing.

use sigquit_dump::Notice;

use super::{Detector, Evidence, Finding, Grade, Severity};
use crate::model::{Call, Incident, Origin, Statement};

pub(super) const DETECTOR: Detector =
    Detector { name: "data-race", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# data-race

A race detector saw two accesses to one piece of memory, at least one of them a write, that nothing
put in order.

## Evidence

The detector's own report, with the stacks of both accesses: proof that the accesses are unordered.
Reports of the same two places are told once, with their number.

## Limits

- The detector reports what was executed; silence about other code means nothing.
- Whether the race has done harm is not in the report. A map or a slice header that is written to
  while it is read can end the process or loop for ever.
- Stacks of the other access can be lost when it lies too far back.

## What to do

Put both accesses under one mutex, or make the value atomic, or hand it over through a channel. It
is not enough to guard the write alone.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let mut races: Vec<(Race, usize)> = Vec::new();
    for (dump, shown) in incident.dumps.iter().enumerate() {
        let reports =
            shown.notices.iter().filter(|notice| Statement::of(notice) == Statement::DataRace);
        for notice in reports {
            let race = Race::of(incident, dump, notice);
            match races.iter_mut().find(|(known, _)| known.is_same(&race)) {
                Some((_, count)) => *count += 1,
                None => races.push((race, 1)),
            }
        }
    }
    races.into_iter().map(|(race, count)| race.finding(count)).collect()
}

/// What one report says.
struct Race {
    dump: usize,
    accesses: Vec<Access>,
}

/// One of the two accesses.
struct Access {
    /// `Previous write at 0x00c000092100 by goroutine 7`
    words: String,
    /// The innermost function of the program's own, or the innermost of all.
    place: Option<String>,
    frames: Vec<String>,
}

impl Race {
    fn of(incident: &Incident, dump: usize, notice: &Notice) -> Race {
        let words: Vec<&str> = notice.message.lines().collect();
        // A stack that was not kept is not there: then nobody knows whose the other one is.
        let told = words.len() == notice.stacks.len();
        let access = |(place, words): (usize, &&str)| {
            let stack = notice.stacks.get(place).filter(|_| told);
            let calls = stack.map_or(Vec::new(), |&stack| incident.raised_in_stack(dump, stack));
            Access {
                words: (*words).to_owned(),
                place: calls
                    .iter()
                    .find(|call| call.origin == Origin::Application)
                    .or(calls.first())
                    .map(|call| named(call)),
                frames: calls.iter().map(|call| call.function.clone()).collect(),
            }
        };
        Race { dump, accesses: words.iter().enumerate().map(access).collect() }
    }

    /// The same two places, in whichever order they were met.
    fn is_same(&self, other: &Race) -> bool {
        let places = |race: &Race| {
            let mut places: Vec<Option<String>> =
                race.accesses.iter().map(|access| access.place.clone()).collect();
            places.sort();
            places
        };
        let known = self.accesses.iter().any(|access| access.place.is_some());
        known && places(self) == places(other)
    }

    fn finding(self, count: usize) -> Finding {
        let evidence = |access: &Access| Evidence {
            text: match access.frames.is_empty() {
                true => format!("{}; its stack was not kept", access.words),
                false => format!("{}: {}", access.words, access.frames.join(" < ")),
            },
            dump: Some(self.dump),
            member: None,
            value: None,
        };
        Finding {
            detector: DETECTOR.name,
            severity: Severity::High,
            grade: Grade::Proof,
            confidence: Grade::Proof.cap(),
            headline: self.headline(count),
            detail: "The race detector saw two accesses to one address that nothing puts in order."
                .into(),
            next_step: "Guard both places with one mutex, or make the value atomic; guarding the \
                        write alone is not enough. Until then expect lost updates, and where a map \
                        or a slice is shared, crashes."
                .into(),
            frames: self
                .accesses
                .iter()
                .filter_map(|access| access.frames.first())
                .cloned()
                .collect(),
            evidence: self.accesses.iter().map(evidence).collect(),
            ..Finding::default()
        }
    }

    fn headline(&self, count: usize) -> String {
        let place = |access: &Access| {
            let verb = if access.words.to_ascii_lowercase().contains("write") {
                "writes"
            } else {
                "reads"
            };
            access.place.as_ref().map(|place| format!("{place} {verb}"))
        };
        let places: Vec<String> = self.accesses.iter().filter_map(place).collect();
        let times = if count > 1 { format!(" ({count} reports)") } else { String::new() };
        match &places[..] {
            [] => format!("a data race of which no place is known{times}"),
            [one] => {
                format!("a data race: {one} what another goroutine uses at the same time{times}")
            }
            [one, other, ..] => {
                format!("a data race: {one} what {other}, and nothing puts them in order{times}")
            }
        }
    }
}

fn named(call: &Call) -> String {
    match call.line() {
        Some(line) => format!("{} (line {line})", call.function),
        None => call.function.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;

    fn findings(report: &str) -> Vec<Finding> {
        let input = read("race", report.as_bytes(), None).expect("a report");
        detect(&crate::model::incidents(vec![input])[0])
    }

    const REPORT: &str = "==================
WARNING: DATA RACE
Read at 0x00c000092100 by goroutine 8:
  main.main.func2()
      /srv/app/main.go:25 +0x9d

Previous write at 0x00c000092100 by goroutine 7:
  main.(*Stats).Touch()
      /srv/app/main.go:16 +0xa4

Goroutine 8 (running) created at:
  main.main()
      /srv/app/main.go:25 +0x244
==================
";

    #[test]
    fn both_places_are_named_once() {
        let found = findings(&REPORT.repeat(3));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].headline,
            "a data race: main.main.func2 (line 25) reads what main.(*Stats).Touch (line 16) \
             writes, and nothing puts them in order (3 reports)"
        );
        assert_eq!((found[0].grade, found[0].evidence.len()), (Grade::Proof, 2));
    }

    #[test]
    fn a_stack_that_was_lost_accuses_nobody() {
        let lost = REPORT.replace(
            "  main.(*Stats).Touch()\n      /srv/app/main.go:16 +0xa4\n",
            "  [failed to restore the stack]\n",
        );
        let found = findings(&lost);
        assert_eq!(found.len(), 1);
        assert!(!found[0].headline.contains("Touch"), "{}", found[0].headline);
    }
}
