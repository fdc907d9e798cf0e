//! A profile as folded stacks, and in one sentence: the same for everybody who draws it.

use std::collections::BTreeMap;

use crate::{Frame, Profile, Sample};

impl Profile {
    /// `thread;root;leaf 42`, one line for each stack that was seen, sorted.
    pub fn folded(&self) -> Vec<String> {
        self.folded_where(|_| true, false)
    }

    /// The same of those samples that are wanted; with the leaf first, where `reverse`.
    pub fn folded_where(&self, wanted: impl Fn(&Sample) -> bool, reverse: bool) -> Vec<String> {
        let mut weights: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| wanted(sample)) {
            *weights.entry((sample.thread, sample.stack.0)).or_default() += sample.weight;
        }
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for ((thread, stack), weight) in weights {
            *lines.entry(self.line(thread, stack, reverse)).or_default() += weight;
        }
        lines.into_iter().map(|(line, weight)| format!("{line} {weight}")).collect()
    }

    fn line(&self, thread: u32, stack: u32, reverse: bool) -> String {
        let stack = &self.stacks[stack as usize];
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
        let thread = &self.threads[thread as usize];
        let unnamed = thread.name.is_empty();
        let id = thread.os_id.unwrap_or_default();
        let name = if unnamed { format!("thread {id}") } else { plain(&thread.name) };
        [vec![name], names].concat().join(";")
    }

    /// `libfoo.so+0x1234` for a frame without a name.
    pub fn place(&self, frame: &Frame) -> String {
        let module = frame.module.and_then(|id| self.modules.get(id.0 as usize));
        match (module, frame.offset, frame.address) {
            (Some(module), Some(offset), _) => {
                let file = module.path.rsplit('/').next().unwrap_or_default();
                plain(&format!("{file}+{offset:#x}"))
            }
            (_, _, Some(address)) => format!("{address:#x}"),
            _ => "[unknown]".to_owned(),
        }
    }

    /// What was asked, and what was delivered: `99 Hz of CPU time by perf, 493 of 497 samples
    /// expected (99 %), 0 lost, 2 truncated`.
    pub fn summary(&self) -> String {
        let delivery = &self.delivery;
        let expected = match (delivery.expected, delivery.share()) {
            (Some(expected), Some(share)) => {
                format!(" of {expected:.0} expected ({:.0} %)", share * 100.0)
            }
            _ => String::new(),
        };
        let mut summary = format!(
            "{} Hz of {} by {}, {} samples{expected}, {} lost, {} truncated",
            delivery.rate,
            self.clock.noun(),
            self.engine,
            delivery.weight,
            delivery.lost,
            delivery.truncated,
        );
        if !delivery.without_timer.is_empty() {
            let threads = delivery.without_timer.len();
            summary += &format!(", {threads} threads not sampled");
        }
        summary
    }
}

/// A name as part of a folded line: what separates frames is none of it.
fn plain(name: &str) -> String {
    name.replace(';', ":").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use crate::{
        Delivery, Frame, Module, ModuleId, Nanos, Profile, ProfileBuilder, Sample, SampledThread,
        Stack, Symbol, Truncation,
    };

    fn profile() -> Profile {
        let delivery = Delivery { rate: 99, expected: Some(8.0), lost: 1, ..Delivery::default() };
        let engine = "perf".to_owned();
        let mut building = ProfileBuilder::new(Profile { delivery, engine, ..Profile::default() });
        let module = Module { path: "/usr/lib/libz.so".into(), ..Module::default() };
        building.profile.modules.push(module);
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
            let os_id = if thread.is_empty() { 7 } else { 8 };
            let thread = building.thread(os_id, || SampledThread {
                os_id: Some(os_id),
                name: thread.into(),
                ..SampledThread::default()
            });
            building.sample(Sample { thread, task: None, stack, weight, time: Nanos(0) });
        }
        building.profile
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
