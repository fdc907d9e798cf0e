//! Activations: whether a thread of control stayed in the same call from dump to dump.
//!
//! Two dumps show the same activation of a function when everything from the root to it is the
//! same: the functions, where their frames lie in memory, and where each will return to. Then
//! the call lasted at least from the first of these dumps to the last: a bound, not an estimate.
//!
//! A source that prints no frame addresses gives less: the same calls from the same lines. A
//! loop that calls the same function again and again looks alike, so [`Activation::by_address`]
//! says which of the two it is. Even with addresses, a caller that loops can make the innermost
//! call anew at the same place; only what lies outside of that loop is certain.

use sigquit_dump::{Nanos, Runtime};

use super::call::{Call, CallId, Origin};
use super::incident::{Incident, MemberId};

/// The deepest calls that a member was in throughout the dumps that show its stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Who.
    pub member: MemberId,
    /// The calls that all the dumps share, innermost first, at least one. All but the first are
    /// at the same line in every dump; the first is as the last dump shows it.
    pub calls: Vec<CallId>,
    /// For each dump that shows the stack, in time order: the dump, and how many calls lie above
    /// the innermost common one. 0 says that this one is the leaf.
    pub above: Vec<(usize, usize)>,
    /// The whole stack was the same in every dump, the leaf's line included.
    pub whole: bool,
    /// The frames were compared by where they lie in memory, not by name and line alone.
    pub by_address: bool,
    /// From the first of these dumps to the last: the least time that the common calls but the
    /// innermost took. Absent when the dumps have no clock in common.
    pub duration: Option<Nanos>,
}

/// As many calls as a report can show of one stack.
const FRAMES_TOLD: usize = 8;

impl Activation {
    /// The first dump that shows it.
    pub fn first(&self) -> usize {
        self.above.first().map_or(0, |&(dump, _)| dump)
    }

    /// The last dump that shows it.
    pub fn last(&self) -> usize {
        self.above.last().map_or(0, |&(dump, _)| dump)
    }

    /// The most calls that any dump shows above the innermost common one.
    pub fn most_above(&self) -> usize {
        self.above.iter().map(|&(_, above)| above).max().unwrap_or(0)
    }

    /// The innermost common call.
    pub fn innermost<'a>(&self, incident: &'a Incident) -> Option<&'a Call> {
        self.calls.first().map(|&call| incident.call(call))
    }

    /// The functions that matter for a report: the innermost common one and its callers, without
    /// the runtime's frames that every thread begins with.
    pub fn frames(&self, incident: &Incident) -> Vec<String> {
        told(self.calls.iter().map(|&call| incident.call(call)).collect())
    }
}

/// The calls that matter for a report, of all.
fn told(calls: Vec<&Call>) -> Vec<String> {
    let root = calls.iter().rposition(|call| call.origin != Origin::Runtime);
    let told = &calls[..root.map_or(calls.len(), |root| root + 1).min(FRAMES_TOLD)];
    let named = told.iter().filter(|call| !call.is_nameless());
    let named: Vec<String> = named.map(|call| call.function.clone()).collect();
    match named.is_empty() {
        true => told.iter().map(|call| call.function.clone()).collect(),
        false => named,
    }
}

impl Incident {
    /// The functions of a member that matter for a report, where there is but one dump.
    pub fn frames_in(&self, member: MemberId, dump: usize) -> Vec<String> {
        told(self.calls(member, dump).collect())
    }

    /// The deepest calls in which a member was throughout all dumps that show its stack; none
    /// when fewer than two do, or when they have nothing in common.
    pub fn same_activation(&self, member: MemberId) -> Option<Activation> {
        let dumps: Vec<usize> = (0..self.dumps.len()).collect();
        self.same_activation_in(member, &dumps)
    }

    /// The same over some of the dumps, given in time order.
    pub fn same_activation_in(&self, member: MemberId, dumps: &[usize]) -> Option<Activation> {
        let mut stacks: Vec<(usize, Vec<Place>)> = dumps
            .iter()
            .map(|&dump| (dump, self.places(member, dump)))
            .filter(|(_, places)| !places.is_empty())
            .collect();
        if stacks.len() < 2 {
            return None;
        }
        begin_at_the_same_frame(&mut stacks);
        let ((first, reference), (last, newest)) = (stacks.first()?, stacks.last()?);
        let common = stacks.iter().map(|(_, places)| common(reference, places)).min()?;
        let calls: Vec<CallId> = newest[..common].iter().rev().map(|place| place.call).collect();
        let by_address = newest[..common].iter().all(|place| place.frame_address.is_some());
        let same_as_reference = |places: &[Place]| {
            places.len() == common
                && reference.last().zip(places.last()).is_some_and(|(a, b)| a.is_line_of(b))
        };
        (!calls.is_empty()).then(|| Activation {
            member,
            calls,
            above: stacks.iter().map(|(dump, places)| (*dump, places.len() - common)).collect(),
            whole: stacks.iter().all(|(_, places)| same_as_reference(places)),
            by_address,
            duration: self.between(*first, *last, member),
        })
    }

    /// A member's calls in one dump, outermost first, without what the runtime puts around them.
    fn places(&self, member: MemberId, dump: usize) -> Vec<Place<'_>> {
        let Some(thread) = self.thread(member, dump) else { return Vec::new() };
        let Some(stack) = self.dumps[dump].stack(thread) else { return Vec::new() };
        let calls = self.call_ids(member, dump);
        let mut inner_frame = None;
        let mut places: Vec<Place> = Vec::with_capacity(calls.len());
        for &(id, depth) in calls {
            let call = self.call(id);
            let frame = stack.frames.get(depth as usize).map(|&id| self.dumps[dump].frame(id));
            let offset = stack.frame_offsets.get(depth as usize);
            places.push(Place {
                call: id,
                function: &call.function,
                line: call.line(),
                frame_address: thread
                    .stack_pointer
                    .zip(offset)
                    .map(|(sp, &offset)| sp.wrapping_add(offset.into())),
                code_address: frame.and_then(|frame| frame.address),
                calls_inlined: inner_frame == Some(depth),
            });
            inner_frame = Some(depth);
        }
        places.reverse();
        if self.process.runtime == Runtime::Go {
            self.strip_go_frames(member, dump, &mut places);
            places.iter_mut().for_each(Place::forget_addresses);
        }
        places
    }

    /// What Go prints in some dumps of a goroutine and hides in others: the frames that begin it,
    /// the function that a `go` statement is compiled to, and the frames that preempted it.
    fn strip_go_frames(&self, member: MemberId, dump: usize, places: &mut Vec<Place>) {
        while places.last().is_some_and(|leaf| leaf.function.starts_with("runtime.asyncPreempt")) {
            places.pop();
        }
        let creator = self.creator(member, dump);
        let is_begin = |place: &Place| {
            matches!(place.function, "runtime.goexit" | "runtime.main")
                || creator.is_some_and(|creator| is_go_statement(self.call(place.call), creator))
        };
        let mut begin = places.iter().take_while(|place| is_begin(place)).count();
        // What a `go` statement is compiled to calls the program's function. What calls nothing,
        // or the library, is that function itself, written on the line of the statement.
        let calls_on = |place: &Place| self.call(place.call).origin != Origin::Runtime;
        if begin > 0 && !places.get(begin).is_some_and(calls_on) && calls_on(&places[begin - 1]) {
            begin -= 1;
        }
        places.drain(..begin);
    }

    /// The function that created a member, where the source says.
    pub fn creator(&self, member: MemberId, dump: usize) -> Option<&Call> {
        let stack = self.thread(member, dump)?.created_by?;
        self.calls_of_stack(dump, stack).first().map(|&(call, _)| self.call(call))
    }
}

/// `main.main.func3`, at the very line at which `main.main` says `go`.
fn is_go_statement(call: &Call, creator: &Call) -> bool {
    let numbered = call.function.strip_prefix(&creator.function);
    numbered.is_some_and(|rest| rest.starts_with(".func") || rest.starts_with(".gowrap"))
        && call.location.is_some()
        && call.location.as_ref().map(|at| (&at.file, at.line))
            == creator.location.as_ref().map(|at| (&at.file, at.line))
}

/// One call on one stack, with all that tells it from another.
struct Place<'a> {
    call: CallId,
    function: &'a str,
    line: Option<u32>,
    /// The canonical frame address.
    frame_address: Option<u64>,
    /// Where in the code it is: for all but the leaf, where it will return to.
    code_address: Option<u64>,
    /// The next inner call is merged into the same frame.
    calls_inlined: bool,
}

impl Place<'_> {
    /// Go moves a goroutine's stack, and gives addresses in some dumps only.
    fn forget_addresses(&mut self) {
        (self.frame_address, self.code_address) = (None, None);
    }

    /// The same function, in the same frame as far as that is known.
    fn is_frame_of(&self, other: &Place) -> bool {
        self.function == other.function && agree(self.frame_address, other.frame_address)
    }

    /// At the same place in that function, so that the next inner call can be the same one.
    fn is_place_of(&self, other: &Place) -> bool {
        if self.calls_inlined || other.calls_inlined {
            return self.calls_inlined == other.calls_inlined && self.line == other.line;
        }
        match (self.code_address, other.code_address) {
            (Some(here), Some(there)) => here == there,
            _ => self.line == other.line,
        }
    }

    /// At the same line: what a source without addresses can tell of a leaf.
    fn is_line_of(&self, other: &Place) -> bool {
        match (self.line, other.line) {
            (None, None) => self.code_address == other.code_address,
            (here, there) => here == there,
        }
    }
}

/// Two facts do not contradict each other.
fn agree(here: Option<u64>, there: Option<u64>) -> bool {
    here.zip(there).is_none_or(|(here, there)| here == there)
}

/// How many calls from the root are the same on both stacks.
fn common(here: &[Place], there: &[Place]) -> usize {
    let mut common = 0;
    for (here, there) in here.iter().zip(there) {
        if !here.is_frame_of(there) {
            break;
        }
        common += 1;
        if !here.is_place_of(there) {
            break;
        }
    }
    common
}

/// Some stacks are cut before their root. Where frame addresses are known, the stacks can still
/// be laid side by side: from the outermost frame that all of them reach.
fn begin_at_the_same_frame(stacks: &mut [(usize, Vec<Place>)]) {
    let outermost = stacks.iter().map(|(_, places)| places.first()?.frame_address);
    let Some(lowest) = outermost.min_by_key(|address| address.unwrap_or(0)).flatten() else {
        return;
    };
    for (_, places) in stacks {
        let outside = places.iter().take_while(|place| place.frame_address > Some(lowest)).count();
        places.drain(..outside);
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Scene;
    use super::*;

    /// One thread, seen with these stacks, one second apart.
    fn seen(runtime: Runtime, stacks: &[&[&str]]) -> Incident {
        let mut scene = Scene::of(runtime);
        for (second, stack) in (0..).zip(stacks) {
            scene = scene.dump(second, |dump| _ = dump.thread("w", stack));
        }
        scene.incident()
    }

    fn activation(incident: &Incident) -> Option<Activation> {
        incident.same_activation(incident.named("w"))
    }

    #[test]
    fn the_same_stack_is_one_activation_down_to_the_leaf() {
        let stack: &[&str] = &["shop.Map.get:8", "shop.Book.query:7", "shop.Main.run:19"];
        let incident = seen(Runtime::Jvm, &[stack, stack, stack]);
        let activation = activation(&incident).expect("nothing changed");
        assert!(activation.whole && !activation.by_address);
        assert_eq!(
            activation.frames(&incident),
            ["shop.Map.get", "shop.Book.query", "shop.Main.run"]
        );
        assert_eq!(activation.duration, Some(Nanos::from_millis(2000)));
    }

    #[test]
    fn tops_may_vary_above_the_innermost_common_call() {
        let incident = seen(
            Runtime::Jvm,
            &[
                &[
                    "regex.Loop.match:5",
                    "regex.Group.match:2",
                    "regex.Pattern.find:70",
                    "shop.Main.run:1",
                ],
                &["regex.Pattern.find:71", "shop.Main.run:1"],
                &["regex.Char.match:9", "regex.Pattern.find:70", "shop.Main.run:1"],
            ],
        );
        let activation = activation(&incident).expect("find is in all of them");
        assert_eq!(activation.frames(&incident), ["regex.Pattern.find", "shop.Main.run"]);
        assert_eq!(activation.above, [(0, 2), (1, 0), (2, 1)]);
        assert!(!activation.whole);
    }

    #[test]
    fn a_caller_at_another_line_is_the_end_of_what_is_common() {
        let incident =
            seen(Runtime::Jvm, &[&["a.A.get:1", "a.A.run:2"], &["a.A.get:1", "a.A.run:3"]]);
        let activation = activation(&incident).expect("run is common");
        assert_eq!(activation.frames(&incident), ["a.A.run"]);
    }

    #[test]
    fn another_frame_address_is_another_activation() {
        let at = |cfa| -> Vec<String> {
            vec![format!("order::walk:3 pc=10 cfa={cfa}"), "order::serve:9 pc=20 cfa=200".into()]
        };
        let (here, there) = (at(100), at(180));
        let stacks: Vec<Vec<&str>> =
            [&here, &there].map(|stack| stack.iter().map(String::as_str).collect()).into();
        let incident = seen(Runtime::Rust, &[&stacks[0], &stacks[1]]);
        let activation = activation(&incident).expect("serve is common");
        assert_eq!(activation.frames(&incident), ["order::serve"]);
        assert!(activation.by_address);
    }

    #[test]
    fn another_return_address_is_the_end_even_at_the_same_line() {
        let incident = seen(
            Runtime::Rust,
            &[
                &["order::step:3 pc=10 cfa=100", "order::serve:9 pc=20 cfa=200"],
                &["order::step:3 pc=10 cfa=100", "order::serve:9 pc=24 cfa=200"],
            ],
        );
        assert_eq!(
            activation(&incident).map(|a| a.frames(&incident)),
            Some(vec!["order::serve".into()])
        );
    }

    #[test]
    fn a_loop_inlined_into_its_caller_keeps_its_name() {
        let incident = seen(
            Runtime::Rust,
            &[
                &[
                    "order::Map::get:8 < order::price:30 pc=10 cfa=100",
                    "order::serve:9 pc=20 cfa=200",
                ],
                &[
                    "order::Map::get:9 < order::price:30 pc=14 cfa=100",
                    "order::serve:9 pc=20 cfa=200",
                ],
            ],
        );
        let activation = activation(&incident).expect("they share the frame");
        assert_eq!(
            activation.frames(&incident),
            ["order::Map::get", "order::price", "order::serve"]
        );
        assert_eq!(activation.most_above(), 0);
    }

    #[test]
    fn stacks_cut_before_their_root_are_laid_side_by_side_by_frame_address() {
        let incident = seen(
            Runtime::Rust,
            &[
                &[
                    "order::get pc=10 cfa=100",
                    "order::serve pc=20 cfa=200",
                    "order::run pc=30 cfa=300",
                ],
                &["order::get pc=11 cfa=100", "order::serve pc=20 cfa=200"],
            ],
        );
        let activation = activation(&incident).expect("serve and get are common");
        assert_eq!(activation.frames(&incident), ["order::get", "order::serve"]);
    }

    #[test]
    fn go_hides_its_own_frames_in_some_dumps_and_not_in_others() {
        let creator = |dump: &mut super::super::scene::Moment| {
            dump.thread("creator", &["main.main:61"]).stack
        };
        let incident = Scene::of(Runtime::Go)
            .dump(0, |dump| {
                let created = creator(dump);
                dump.thread("w", &["main.Update:35"]).created_by = created;
            })
            .dump(1, |dump| {
                let created = creator(dump);
                let frames = [
                    "runtime.asyncPreempt",
                    "main.Update:35",
                    "main.main.func3:61",
                    "runtime.goexit",
                ];
                dump.thread("w", &frames).created_by = created;
            })
            .incident();
        let activation = activation(&incident).expect("Update is common");
        assert_eq!(activation.frames(&incident), ["main.Update"]);
        assert!(activation.whole);
    }

    #[test]
    fn one_dump_shows_no_activation() {
        let incident = seen(Runtime::Jvm, &[&["a.A.run:1"]]);
        assert_eq!(activation(&incident), None);
        let incident = seen(Runtime::Jvm, &[&["a.A.run:1"], &[]]);
        assert_eq!(activation(&incident), None);
    }

    #[test]
    fn nothing_in_common_is_no_activation() {
        let incident = seen(Runtime::Jvm, &[&["a.A.run:1"], &["b.B.run:1"]]);
        assert_eq!(activation(&incident), None);
    }
}
