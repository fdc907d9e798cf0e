//! Stacks of an incident, folded: functions as the model calls them, so that builds and runs can
//! be compared, and without what every thread begins with.

use std::collections::{BTreeMap, HashMap};

use sigquit_dump::StackId;

use super::call::{CallId, Origin};
use super::crew::stem;
use super::incident::Incident;

impl Incident {
    /// The samples as `pool;root;leaf`, each with what they weigh.
    pub fn stacked_samples(&self) -> Vec<(Vec<String>, u64)> {
        let mut stacked = BTreeMap::new();
        let Some(profile) = self.profile() else { return Vec::new() };
        let groups = self.sampled_groups();
        let mut weights: HashMap<(u32, StackId), u64> = HashMap::new();
        for sample in &profile.samples {
            let weight = weights.entry((sample.thread, sample.stack)).or_default();
            *weight = weight.saturating_add(sample.weight);
        }
        for ((thread, stack), weight) in weights {
            let group = groups[thread as usize].clone();
            let mut path: Vec<String> = group.into_iter().collect();
            if profile.dump.stacks[stack.0 as usize].truncated.is_some() {
                path.push("[truncated]".to_owned());
            }
            path.extend(self.path(self.sampled_calls(stack)));
            add(&mut stacked, path, weight);
        }
        stacked.into_iter().collect()
    }

    /// Those who are not idle in the dumps as `root;leaf`, each as often as a dump shows one.
    pub fn stacked_members(&self) -> Vec<(Vec<String>, u64)> {
        let mut stacked = BTreeMap::new();
        for dump in 0..self.dumps.len() {
            for id in self.ids().filter(|&id| self.thread(id, dump).is_some()) {
                let calls = self.call_ids(id, dump);
                if !calls.is_empty() && self.idle(id, dump).is_none() {
                    add(&mut stacked, self.path(calls).collect(), 1);
                }
            }
        }
        stacked.into_iter().collect()
    }

    /// For each sampled thread: its pool, or else its name or number. The samples' paths begin with it.
    pub fn sampled_groups(&self) -> Vec<Option<String>> {
        let Some(profile) = self.profile() else { return Vec::new() };
        let stems = || profile.threads.iter().map(|thread| stem(&thread.name));
        let mut sizes: HashMap<&str, usize> = HashMap::new();
        stems().for_each(|stem| *sizes.entry(stem).or_default() += 1);
        let group = |(thread, stem): (u32, &str)| match sizes[stem] > 1 && !stem.is_empty() {
            true => Some(format!("{stem} (all of them)")),
            false => profile.thread_name(thread),
        };
        (0..).zip(stems()).map(group).collect()
    }

    /// The functions of a stack, from the first that is not the runtime's; all, where there is none.
    fn path(&self, calls: &[(CallId, u32)]) -> impl Iterator<Item = String> {
        let is_own = |&(call, _): &(CallId, u32)| self.call(call).origin != Origin::Runtime;
        let outermost = calls.iter().rposition(is_own).map_or(calls.len(), |at| at + 1);
        calls[..outermost].iter().rev().map(|&(call, _)| self.call(call).function.clone())
    }
}

fn add(stacked: &mut BTreeMap<Vec<String>, u64>, path: Vec<String>, weight: u64) {
    let known = stacked.entry(path).or_default();
    *known = known.saturating_add(weight);
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Frame, Nanos, ProfileBuilder, Runtime, Sample, Symbol};

    use crate::model::incidents;
    use crate::read::Input;

    #[test]
    fn workers_of_a_pool_are_one_and_what_the_runtime_begins_with_is_left_out() {
        let mut building = ProfileBuilder::default();
        building.profile.dump.process.runtime = Runtime::Rust;
        let stacks: [(u64, &str, &[&str], u64); 4] = [
            (1, "w-1", &["shop::sum", "shop::main", "std::rt::lang_start"], 3),
            (2, "w-2", &["shop::sum", "shop::main", "std::rt::lang_start"], 1),
            (3, "w", &["shop::sum"], 1),
            (4, "lone-1", &["std::thread::sleep", "std::rt::lang_start"], 2),
        ];
        for (id, name, functions, weight) in stacks {
            let frames = functions.iter();
            let frames = frames.map(|name| building.frame(Frame::named(Symbol::function(*name))));
            let frames: Vec<_> = frames.collect();
            let (stack, thread) = (building.stack(frames.into()), building.thread(Some(id), name));
            building.sample(Sample { thread, task: None, stack, weight, time: Nanos(0) });
        }
        let input = Input { profiles: vec![building.profile], ..Input::default() };
        let stacked = incidents(vec![input])[0].stacked_samples().into_iter();
        let stacked: Vec<String> =
            stacked.map(|(path, weight)| format!("{} {weight}", path.join(";"))).collect();
        assert_eq!(
            stacked,
            [
                "lone-1;std::rt::lang_start;std::thread::sleep 2",
                "w;shop::sum 1",
                "w (all of them);shop::main;shop::sum 4"
            ]
        );
    }
}
