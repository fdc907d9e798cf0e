//! A profile -> the protocol buffer that `go tool pprof` reads, uncompressed.
//!
//! The messages and their numbers are those of `profile.proto` of github.com/google/pprof:
//!
//! ```text
//! Profile   sample_type=1 sample=2 mapping=3 location=4 function=5 string_table=6
//!           time_nanos=9 duration_nanos=10 period_type=11 period=12 comment=13
//! Sample    location_id=1 value=2 label=3        Label     key=1 str=2 num=3
//! Mapping   id=1 start=2 limit=3 filename=5 build_id=6 has_functions=7
//! Location  id=1 mapping_id=2 address=3 line=4   Line      function_id=1 line=2
//! Function  id=1 name=2 filename=4               ValueType type=1 unit=2
//! ```
//!
//! Functions have no `system_name`: pprof takes a name that is equal to it for one of C++ that is to be
//! shortened, and of `<Range as Iterator>::fold` would leave `::fold`.

use std::collections::HashMap;
use std::io::{self, Write};

use sigquit_dump::{Clock, Dump, Frame, Profile, Sample, Unit};

/// Writes a profile.
///
/// # Errors
/// Those of the writer.
pub fn pprof(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut building = Building::default();
    building.string("");
    let (count, time) = (counted(profile.unit), timed(profile.clock));
    let period = profile.period();
    let mut kinds = Vec::new();
    kinds.extend((profile.unit != Unit::Nanos).then_some((count, "count")));
    kinds.extend(period.map(|_| (time, "nanoseconds")));
    for (kind, unit) in kinds {
        let value = building.value_type(kind, unit);
        building.message.message(1, &value);
    }
    for sample in &profile.samples {
        let sample = building.sample(profile, sample, period);
        building.message.message(2, &sample);
    }
    building.mappings(&profile.dump);
    for (id, frame) in (1..).zip(&profile.dump.frames) {
        let location = building.location(profile, id, frame);
        building.message.message(4, &location);
    }
    building.finish(profile, time);
    out.write_all(&building.message.0)
}

/// What a pprof file calls what weights count.
fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::Samples | Unit::Nanos => "samples",
        Unit::Threads => "threads",
    }
}

/// What it calls the times of a clock.
fn timed(clock: Clock) -> &'static str {
    match clock {
        Clock::Unknown => "time",
        Clock::Cpu => "cpu",
        Clock::Wall => "wall",
        Clock::Waiting => "delay",
    }
}

/// A message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    fn numbers(&mut self, field: u64, values: impl Iterator<Item = u64>) {
        let mut packed = Message::default();
        values.for_each(|value| packed.varint(value));
        self.message(field, &packed);
    }
}

/// A file in the making.
#[derive(Default)]
struct Building {
    message: Message,
    strings: HashMap<String, u64>,
    functions: HashMap<(u64, u64), u64>,
}

impl Building {
    /// The number of a string; it is written when it is new.
    fn string(&mut self, text: &str) -> u64 {
        if let Some(&known) = self.strings.get(text) {
            return known;
        }
        let number = self.strings.len() as u64;
        self.message.bytes(6, text.as_bytes());
        self.strings.insert(text.to_owned(), number);
        number
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> Message {
        let mut value = Message::default();
        value.number(1, self.string(kind));
        value.number(2, self.string(unit));
        value
    }

    fn sample(&mut self, profile: &Profile, sample: &Sample, period: Option<u64>) -> Message {
        let mut message = Message::default();
        let frames = &profile.stack(sample).frames;
        message.numbers(1, frames.iter().map(|frame| u64::from(frame.0) + 1));
        let count = (profile.unit != Unit::Nanos).then_some(sample.weight);
        let time = period.map(|period| sample.weight.saturating_mul(period));
        message.numbers(2, count.into_iter().chain(time));
        let thread = &profile.threads[sample.thread as usize];
        if !thread.name.is_empty() {
            message.message(3, &self.text_label("thread", &thread.name));
        }
        if let Some(id) = thread.os_id {
            message.message(3, &self.number_label("tid", id));
        }
        if let Some(task) = sample.task {
            message.message(3, &self.number_label("task", task));
        }
        message
    }

    fn text_label(&mut self, key: &str, text: &str) -> Message {
        let mut label = Message::default();
        label.number(1, self.string(key));
        label.number(2, self.string(text));
        label
    }

    fn number_label(&mut self, key: &str, number: u64) -> Message {
        let mut label = Message::default();
        label.number(1, self.string(key));
        label.number(3, number);
        label
    }

    fn mappings(&mut self, dump: &Dump) {
        for (id, module) in (1..).zip(&dump.modules) {
            let mut mapping = Message::default();
            mapping.number(1, id);
            mapping.number(2, module.start);
            mapping.number(3, module.end);
            mapping.number(5, self.string(&module.path));
            let build_id = module.build_id.as_ref().map_or("", |id| &id.0);
            mapping.number(6, self.string(build_id));
            mapping.number(7, 1);
            self.message.message(3, &mapping);
        }
    }

    fn location(&mut self, profile: &Profile, id: u64, frame: &Frame) -> Message {
        let mut location = Message::default();
        location.number(1, id);
        if let Some(module) = frame.module {
            location.number(2, u64::from(module.0) + 1);
        }
        location.number(3, frame.address.unwrap_or(0));
        for symbol in &frame.symbols {
            let place = symbol.location.as_ref();
            let file = place.map_or("", |place| &place.file);
            let line = place.and_then(|place| place.line).unwrap_or(0);
            location.message(4, &self.line(&symbol.function, file, line.into()));
        }
        if frame.symbols.is_empty() {
            location.message(4, &self.line(&profile.place(frame), "", 0));
        }
        location
    }

    fn line(&mut self, function: &str, file: &str, line: u64) -> Message {
        let mut message = Message::default();
        message.number(1, self.function(function, file));
        message.number(2, line);
        message
    }

    /// The number of a function; it is written when it is new.
    fn function(&mut self, name: &str, file: &str) -> u64 {
        let key = (self.string(name), self.string(file));
        if let Some(&known) = self.functions.get(&key) {
            return known;
        }
        let id = self.functions.len() as u64 + 1;
        self.functions.insert(key, id);
        let mut function = Message::default();
        function.number(1, id);
        function.number(2, key.0);
        function.number(4, key.1);
        self.message.message(5, &function);
        id
    }

    fn finish(&mut self, profile: &Profile, time: &str) {
        let comment = self.string(&profile.summary());
        let kind = self.value_type(time, "nanoseconds");
        let rate = profile.delivery.rate.filter(|&rate| rate > 0);
        let message = &mut self.message;
        message.number(9, profile.dump.time.unwrap_or_default().0);
        message.number(10, profile.duration.0);
        if let Some(rate) = rate {
            message.message(11, &kind);
            message.number(12, 1_000_000_000 / u64::from(rate));
        }
        message.number(13, comment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_seven_bits_at_a_time() {
        let mut message = Message::default();
        message.number(1, 300);
        message.bytes(6, b"ab");
        message.numbers(2, [1, 128].into_iter());
        assert_eq!(
            message.0,
            [0x08, 0xac, 0x02, 0x32, 2, b'a', b'b', 0x12, 3, 1, 0x80, 1],
            "the examples of the encoding's own documentation"
        );
    }

    fn profile() -> Profile {
        let text = "w 5/7 1.25:  1 cycles:P: \n\t  10 f+0xa1 (/bin/a)\n\t 20 main+0x1 (/bin/a)\n\n";
        let mut input = crate::read::read("p", text.as_bytes(), None).unwrap();
        let mut profile = input.profiles.remove(0);
        profile.delivery.rate = Some(100);
        profile.samples[0].task = Some(9);
        profile
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut bytes = Vec::new();
        pprof(&profile(), &mut bytes).unwrap();
        let input = crate::read::read("p", &bytes, None).unwrap();
        let read = &input.profiles[0];
        assert_eq!((input.format, read.clock, read.unit), ("pprof", Clock::Cpu, Unit::Nanos));
        assert_eq!(
            (read.folded(), read.delivery.rate),
            (vec!["w;main;f 10000000".into()], Some(100))
        );
        let thread = &read.threads[0];
        assert_eq!((thread.name.as_str(), thread.os_id), ("w", Some(7)));
        assert_eq!(read.samples[0].task, Some(9));
    }
}
