//! A profile as folded stacks, and in one sentence: the same for everybody who draws it.

use std::collections::BTreeMap;

use crate::{Frame, Profile, Sample, Unit};

impl Profile {
    /// `thread;root;leaf 42`, one line for each stack that was seen, sorted. Threads are told apart
    /// where samples were taken of them; in what dumps show, equal stacks are one.
    pub fn folded(&self) -> Vec<String> {
        self.folded_where(|_| true, false)
    }

    /// The same of those samples that are wanted; with the leaf first, where `reverse`.
    pub fn folded_where(&self, wanted: impl Fn(&Sample) -> bool, reverse: bool) -> Vec<String> {
        let mut weights: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| wanted(sample)) {
            let weight = weights.entry((sample.thread, sample.stack.0)).or_default();
            *weight = weight.saturating_add(sample.weight);
        }
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for ((thread, stack), weight) in weights {
            let line = lines.entry(self.line(thread, stack, reverse)).or_default();
            *line = line.saturating_add(weight);
        }
        lines.into_iter().map(|(line, weight)| format!("{line} {weight}")).collect()
    }

    fn line(&self, thread: u32, stack: u32, reverse: bool) -> String {
        let stack = &self.dump.stacks[stack as usize];
        let names = self.calls(stack).map(|(frame, symbol)| match symbol {
            Some(symbol) => plain(&symbol.function),
            None => self.place(frame),
        });
        let mut names: Vec<String> = names.collect();
        if stack.truncated.is_some() {
            names.push("[truncated]".to_owned());
        }
        if !reverse {
            names.reverse();
        }
        let thread = self.thread_name(thread).filter(|_| self.unit != Unit::Threads);
        thread.into_iter().chain(names).collect::<Vec<String>>().join(";")
    }

    /// What to call a thread: its name, or else its number; nothing when it has neither.
    pub fn thread_name(&self, thread: u32) -> Option<String> {
        let thread = &self.threads[thread as usize];
        match thread.name.as_str() {
            "" => thread.os_id.map(|id| format!("thread {id}")),
            name => Some(plain(name)),
        }
    }

    /// `libfoo.so+0x1234` for a frame without a name.
    pub fn place(&self, frame: &Frame) -> String {
        let module = frame.module.and_then(|id| self.dump.modules.get(id.0 as usize));
        match (module, frame.offset, frame.address) {
            (Some(module), Some(offset), _) => {
                let file = module.path.rsplit('/').next().unwrap_or_default();
                plain(&format!("{file}+{offset:#x}"))
            }
            (_, _, Some(address)) => format!("{address:#x}"),
            _ => "[unknown]".to_owned(),
        }
    }

    /// What was asked, and what was delivered: `99 Hz of CPU time by perf, 493 samples of 497
    /// expected (99 %), 0 lost, 2 truncated`.
    pub fn summary(&self) -> String {
        let delivery = &self.delivery;
        let rate = delivery.rate.map_or(String::new(), |rate| format!("{rate} Hz of "));
        let amount = match self.unit {
            Unit::Nanos => format!("{:.3} s", delivery.weight as f64 / 1e9),
            unit => format!("{} {}", delivery.weight, unit.noun()),
        };
        let mut parts = vec![match self.unit {
            Unit::Threads => amount,
            _ => format!("{rate}{} by {}, {amount}", self.clock.noun(), self.engine),
        }];
        if let (Some(expected), Some(share)) = (delivery.expected, delivery.share()) {
            parts[0] += &format!(" of {expected:.0} expected ({:.0} %)", share * 100.0);
        }
        if self.before {
            let length = self.duration.as_secs_f64();
            parts.push(format!("the {length:.0} s before the incident"));
        }
        let counted = delivery.expected.is_some();
        let count =
            |count: u64, what: &str| (counted || count > 0).then(|| format!("{count} {what}"));
        parts.extend(count(delivery.lost, "lost"));
        parts.extend(count(delivery.truncated, "truncated"));
        if !delivery.without_timer.is_empty() {
            parts.push(format!("{} threads not sampled", delivery.without_timer.len()));
        }
        parts.join(", ")
    }
}

/// A name as part of a folded line: what separates frames is none of it.
fn plain(name: &str) -> String {
    name.replace(';', ":").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use crate::{
        Clock, Delivery, Frame, Module, ModuleId, Nanos, Profile, ProfileBuilder, Sample, Stack,
        Symbol, Truncation, Unit,
    };

    fn profile() -> Profile {
        let delivery =
            Delivery { rate: Some(99), expected: Some(8.0), lost: 1, ..Delivery::default() };
        let (clock, engine) = (Clock::Cpu, "perf".to_owned());
        let mut building =
            ProfileBuilder::new(Profile { delivery, clock, engine, ..Profile::default() });
        let module = Module { path: "/usr/lib/libz.so".into(), ..Module::default() };
        building.profile.dump.modules.push(module);
        let main = building.frame(Frame::named(Symbol::function("main")));
        let deep = building.frame(Frame::named(Symbol::function("<[u8; 4]>::sum")));
        let (module, offset) = (Some(ModuleId(0)), Some(0x10));
        let nameless = building.frame(Frame { module, offset, ..Frame::default() });
        for (frames, truncated, thread, weight) in [
            (vec![deep, main], None, "w", 3),
            (vec![nameless], Some(Truncation::TooDeep), "", 2),
            (vec![deep, main], None, "w", 1),
        ] {
            let stack = building.stack(Stack { truncated, ..frames.into() });
            let thread = building.thread(Some(if thread.is_empty() { 7 } else { 8 }), thread);
            building.sample(Sample { thread, task: None, stack, weight, time: Nanos(0) });
        }
        building.profile
    }

    #[test]
    fn who_has_no_name_is_told_apart_only_by_a_number() {
        let mut profile = profile();
        profile.threads[1].os_id = None;
        assert_eq!(profile.folded()[0], "[truncated];libz.so+0x10 2");
        profile.unit = Unit::Threads;
        assert_eq!(profile.folded()[1], "main;<[u8: 4]>::sum 4");
        assert_eq!(
            profile.summary(),
            "6 threads and tasks of 8 expected (75 %), 1 lost, 1 truncated"
        );
    }

    #[test]
    fn equal_stacks_are_one_line_and_nothing_is_left_out() {
        let expected = ["thread 7;[truncated];libz.so+0x10 2", "w;main;<[u8: 4]>::sum 4"];
        assert_eq!(profile().folded(), expected);
        let reversed = profile().folded_where(|sample| sample.weight != 2, true);
        assert_eq!(reversed, ["w;<[u8: 4]>::sum;main 4"]);
    }

    #[test]
    fn a_summary_says_what_was_delivered() {
        let summary = profile().summary();
        let expected =
            "99 Hz of CPU time by perf, 6 samples of 8 expected (75 %), 1 lost, 1 truncated";
        assert_eq!(summary, expected);
    }
}
