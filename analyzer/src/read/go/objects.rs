//! Who holds a lock, by the objects that goroutines have in hand.
//!
//! A lock lies in an object, and whoever locks it has the object in hand: as the receiver of its
//! method, or as an argument.
//!
//! ```text
//! waits   sync.(*Mutex).Lock(0xc000094930) < main.(*Vault).Audit(0xc000094930)
//! holds   net.(*conn).Read(...) < main.(*Vault).Slow(0xc000094930, {0x58ff98, 0xc00009a050})
//! ```
//!
//! To have it in hand is not to have locked it. So a name is given in two cases only: of all
//! goroutines in methods of the type that do not wait for the lock, a single one can be with that
//! object; or single ones that have each other's objects in hand wait for each other in a circle.

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;
use sigquit_dump::{Dump, FrameId, LockId, LockKind, Stack, StackId};

use super::number::{self, Number};
use super::sieve::Sieve;

/// What the goroutines of a dump have in hand: the arguments of their calls that are certain. Most
/// of what is kept of a large dump is this, so each takes one word.
#[derive(Debug, Default)]
pub(super) struct Hands {
    arguments: Vec<Argument>,
    goroutines: Vec<Goroutine>,
}

/// What is looked at of every goroutine: to look at the goroutines themselves would take longer.
#[derive(Clone, Copy, Debug)]
struct Goroutine {
    /// Where its arguments end.
    end: usize,
    stack: Option<StackId>,
}

/// An argument, which of its call's it is, and whose: the address in 48 bits, the call's number
/// counted from the leaf in eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Argument(u64);

const ADDRESS: u64 = (1 << 48) - 1;
const FIRST: u64 = 1 << 63;
const OF_LIBRARY: u64 = 1 << 62;

/// How much is kept of a goroutine.
const MOST: usize = 96;

/// Smaller figures are no addresses.
const LOWEST: u64 = 1 << 16;

impl Argument {
    fn address(self) -> u64 {
        self.0 & ADDRESS
    }

    /// It is the first of its call: of a method the receiver.
    fn is_first(self) -> bool {
        self.0 & FIRST != 0
    }

    /// Its call is not of the library.
    fn is_own(self) -> bool {
        self.0 & OF_LIBRARY == 0
    }

    /// Which call it is, counted from 0 at the leaf.
    fn depth(self) -> usize {
        (self.0 >> 48) as usize & 0xFF
    }
}

impl Hands {
    /// Notes some numbers that a text has among the arguments of a call of the goroutine that is
    /// being read.
    pub fn note(&mut self, text: &str, numbers: &[Number], depth: usize, of_library: bool) {
        let begin = self.begin();
        if depth > 0xFF || self.arguments.len() - begin > MOST {
            return;
        }
        let place = (depth as u64) << 48 | if of_library { OF_LIBRARY } else { 0 };
        for number in numbers.iter().filter(|number| number.is_first || !of_library) {
            let value = number.value(text);
            if (number.is_first || value >= LOWEST) && value <= ADDRESS {
                let first = if number.is_first { FIRST } else { 0 };
                self.arguments.push(Argument(value | place | first));
            }
        }
    }

    /// Notes all the arguments of a call that may be addresses.
    pub fn note_all(&mut self, arguments: &str, depth: usize, of_library: bool) {
        self.note(arguments, &number::addresses(arguments), depth, of_library);
    }

    /// The goroutine that was being read is the dump's next.
    pub fn close(&mut self, stack: Option<StackId>) {
        self.goroutines.push(Goroutine { end: self.arguments.len(), stack });
    }

    /// The stack of a goroutine of the dump became known.
    pub fn complete(&mut self, goroutine: u32, stack: Option<StackId>) {
        if let Some(goroutine) = self.goroutines.get_mut(goroutine as usize) {
            goroutine.stack = stack;
        }
    }

    /// The goroutine that was being read is not added to the dump.
    pub fn forget(&mut self) {
        self.arguments.truncate(self.begin());
    }

    /// Where the arguments of the goroutine begin that is being read.
    fn begin(&self) -> usize {
        self.goroutines.last().map_or(0, |last| last.end)
    }

    /// For each goroutine its stack and its arguments.
    fn all(&self) -> impl Iterator<Item = (Option<StackId>, &[Argument])> {
        let mut begin = 0;
        self.goroutines.iter().map(move |&Goroutine { end, stack }| {
            let arguments = &self.arguments[begin..end];
            begin = end;
            (stack, arguments)
        })
    }

    /// For each goroutine the first arguments of its calls.
    pub fn shown(&self) -> impl Iterator<Item = impl Iterator<Item = u64>> {
        let first = |argument: &&Argument| argument.is_first();
        self.all().map(move |(_, all)| all.iter().filter(first).map(|one| one.address()))
    }
}

/// What a stack says of those who are on it.
struct Calls<'d> {
    /// `main.(*Vault)` and the number of the call, counted from 0 at the leaf.
    methods: Vec<(&'d str, usize)>,
    count: usize,
    accepts: bool,
}

impl<'d> Calls<'d> {
    fn of(dump: &'d Dump, stack: &Stack) -> Calls<'d> {
        let names = stack.frames.iter().map(|&frame| function(dump, frame));
        let own = names.clone().enumerate().filter(|(_, name)| !is_of_library(name));
        let methods = own.filter_map(|(depth, name)| Some((type_of(name)?, depth)));
        Calls {
            methods: methods.take(MOST).collect(),
            count: stack.frames.len(),
            accepts: names.clone().any(|name| name.ends_with(").Accept")),
        }
    }

    /// Waits for something to do, at the beginning of its own loop.
    fn is_quiet(&self, state: &str) -> bool {
        let awaits = ["chan receive", "select", "sleep", "sync.Cond.Wait"].contains(&state);
        let near_root = |&(_, depth): &(&str, usize)| depth + 2 >= self.count;
        self.accepts || awaits && self.methods.iter().all(near_root)
    }
}

fn function(dump: &Dump, frame: FrameId) -> &str {
    dump.frame(frame).symbols.first().map_or("", |symbol| &symbol.function)
}

/// The library's own objects are not where programs put their locks.
pub(super) fn is_of_library(function: &str) -> bool {
    const LIBRARY: &[&str] = &[
        "runtime.",
        "runtime/",
        "internal/",
        "sync.",
        "sync/",
        "syscall.",
        "net.",
        "io.",
        "os.",
        "bufio.",
        "time.",
    ];
    LIBRARY.iter().any(|package| function.starts_with(package))
}

/// `main.(*Vault).Audit` and `main.(*Vault).Audit.func1` -> `main.(*Vault)`
fn type_of(function: &str) -> Option<&str> {
    function.find(").").map(|end| &function[..=end]).filter(|name| name.contains(".("))
}

/// A lock without a known owner, and those who wait for it.
struct Sought<'t> {
    address: u64,
    waiters: Vec<u32>,
    /// The types whose methods lock it.
    types: HashSet<&'t str>,
    /// How far inside of such an object it lies, as far as the waiters show.
    offsets: HashSet<u64>,
}

/// A goroutine that waits for a lock; the call that locks, and its certain first argument.
pub(super) type Seeker = (u32, Option<(FrameId, Option<u64>)>);

/// Locks in larger objects are not looked for.
const LARGEST: u64 = 1 << 16;

/// The likely owners of locks.
pub(super) fn owners(
    dump: &Dump,
    hands: &Hands,
    seekers: impl Iterator<Item = Seeker>,
) -> BTreeMap<LockId, u32> {
    let sought = sought(dump, seekers);
    if sought.is_empty() {
        return BTreeMap::new();
    }
    let in_hand = InHand::new(dump, hands, &sought);
    let mut owners = circles(dump, &sought, &in_hand);
    for (&lock, sought) in &sought {
        if let Some(owner) = in_hand.in_method(sought) {
            owners.entry(lock).or_insert(owner);
        }
    }
    owners
}

fn sought(dump: &Dump, seekers: impl Iterator<Item = Seeker>) -> BTreeMap<LockId, Sought<'_>> {
    let mut sought: BTreeMap<LockId, Sought> = BTreeMap::new();
    for (thread, caller) in seekers {
        let Some(wait) = &dump.threads[thread as usize].wait else { continue };
        let lock = dump.lock(wait.lock);
        let is_hidden =
            lock.owners.is_empty() && matches!(lock.kind, LockKind::Mutex | LockKind::RwLock);
        let Some(address) = lock.address.filter(|_| is_hidden) else { continue };
        let entry = sought.entry(wait.lock).or_insert_with(|| Sought {
            address,
            waiters: Vec::new(),
            types: HashSet::new(),
            offsets: HashSet::from([0]),
        });
        entry.waiters.push(thread);
        let of_method = |(caller, first)| Some((first, type_of(function(dump, caller))?));
        let Some((first, of)) = caller.and_then(of_method) else { continue };
        entry.types.insert(of);
        let offset = first.and_then(|receiver| address.checked_sub(receiver));
        entry.offsets.extend(offset.filter(|&offset| offset < LARGEST));
    }
    sought
}

/// Who has what in hand, of those who could hold a lock.
#[derive(Default)]
struct InHand<'t> {
    /// Who is in a method of that type, with that receiver.
    by_receiver: HashMap<(&'t str, u64), Vec<u32>, RandomState>,
    /// Who is in a method of that type, with nobody knows what.
    unknown: HashMap<&'t str, Vec<u32>, RandomState>,
    by_argument: HashMap<u64, Vec<u32>, RandomState>,
}

impl<'t> InHand<'t> {
    fn new(dump: &'t Dump, hands: &Hands, sought: &BTreeMap<LockId, Sought<'t>>) -> InHand<'t> {
        let types: HashSet<&str> =
            sought.values().flat_map(|one| one.types.iter().copied()).collect();
        let objects: HashSet<u64, RandomState> =
            sought.values().flat_map(Sought::objects).collect();
        let of_stack = |stack| {
            let calls = Calls::of(dump, stack);
            let sought = calls.methods.iter().copied().filter(|(of, _)| types.contains(of));
            (sought.collect(), calls)
        };
        let stacks: Vec<(Vec<(&str, usize)>, Calls)> = dump.stacks.iter().map(of_stack).collect();
        let sieve = Sieve::of(objects.iter().copied());
        let mut in_hand = InHand::default();
        for (index, (stack, arguments)) in (0..).zip(hands.all()) {
            let stack = stack.and_then(|id| stacks.get(id.0 as usize));
            let Some((methods, calls)) = stack else { continue };
            let own = arguments.iter().filter(|argument| argument.is_own());
            let own = own.map(|argument| argument.address());
            let mut own = own.filter(|&at| sieve.passes(at) && objects.contains(&at)).peekable();
            let has_any = !methods.is_empty() || own.peek().is_some();
            let state = || &dump.threads[index as usize].state_text;
            if !has_any || calls.is_quiet(state()) {
                continue;
            }
            for &(of, depth) in methods {
                let mut firsts = arguments.iter().filter(|argument| argument.is_first());
                let known = match firsts.find(|argument| argument.depth() == depth) {
                    Some(receiver) => {
                        in_hand.by_receiver.entry((of, receiver.address())).or_default()
                    }
                    None => in_hand.unknown.entry(of).or_default(),
                };
                add(known, index);
            }
            own.for_each(|address| add(in_hand.by_argument.entry(address).or_default(), index));
        }
        in_hand
    }

    /// The single goroutine that can be in a method of the object.
    fn in_method(&self, sought: &Sought<'t>) -> Option<u32> {
        let of_object = |object| {
            let types = sought.types.iter();
            types.filter_map(move |&of| self.by_receiver.get(&(of, object))).flatten()
        };
        let one = sought.single(sought.objects().flat_map(of_object))?;
        sought.single(self.unknown(sought).chain([&one]))
    }

    /// The single goroutine that has the object in hand, unless one that waits for nothing may be
    /// in a method of it.
    fn in_argument(&self, dump: &Dump, sought: &Sought<'t>) -> Option<u32> {
        let of_object = |object| self.by_argument.get(&object).into_iter().flatten();
        let one = sought.single(sought.objects().flat_map(of_object))?;
        let waits = |thread: u32| {
            let wait = dump.threads[thread as usize].wait.as_ref();
            wait.is_some_and(|wait| wait.wait_for.needs_owner_to_leave())
        };
        let rivals = self.unknown(sought).filter(|&&thread| !waits(thread));
        sought.single(rivals.chain([&one]))
    }

    /// Who is in a method of the lock's types, nobody knows with which object.
    fn unknown(&self, sought: &Sought<'t>) -> impl Iterator<Item = &u32> {
        sought.types.iter().filter_map(|of| self.unknown.get(of)).flatten()
    }
}

impl Sought<'_> {
    /// Where the object can be in which the lock lies.
    fn objects(&self) -> impl Iterator<Item = u64> {
        self.offsets.iter().map(|&offset| self.address.wrapping_sub(offset))
    }

    /// The one among some goroutines that does not wait for the lock, if there is only one.
    fn single<'a>(&self, threads: impl Iterator<Item = &'a u32>) -> Option<u32> {
        let mut others = threads.filter(|thread| self.waiters.binary_search(thread).is_err());
        let one = *others.next()?;
        others.all(|&other| other == one).then_some(one)
    }
}

fn add(threads: &mut Vec<u32>, thread: u32) {
    if threads.last() != Some(&thread) {
        threads.push(thread);
    }
}

/// Those who have in hand what others wait for, where that leads round in a circle.
fn circles<'t>(
    dump: &Dump,
    sought: &BTreeMap<LockId, Sought<'t>>,
    in_hand: &InHand<'t>,
) -> BTreeMap<LockId, u32> {
    let holder = |lock: LockId| Some((lock, in_hand.in_argument(dump, sought.get(&lock)?)?));
    let holders: BTreeMap<LockId, u32> = sought.keys().filter_map(|&lock| holder(lock)).collect();
    let next = |lock: LockId| {
        let holder = *holders.get(&lock)?;
        Some(dump.threads[holder as usize].wait.as_ref()?.lock)
    };
    let leads_round = |&(&lock, _): &(&LockId, &u32)| {
        let way = std::iter::successors(next(lock), |&lock| next(lock));
        way.take(holders.len()).any(|reached| reached == lock)
    };
    holders.iter().filter(leads_round).map(|(&lock, &holder)| (lock, holder)).collect()
}

#[cfg(test)]
mod tests {
    use crate::model::WaitForGraph;
    use crate::read::Text;
    use crate::read::go::tests::read;

    fn goroutine(number: u32, state: &str, calls: &[&str]) -> String {
        let calls: String =
            calls.iter().map(|call| format!("{call}\n\t/a/main.go:9 +0x1\n")).collect();
        format!("goroutine {number} [{state}]:\n{calls}\n")
    }

    fn waiting(number: u32, lock: u64, calls: &[&str]) -> String {
        let lock = format!("internal/sync.(*Mutex).lockSlow({lock:#x})");
        let mut all = vec!["internal/sync.runtime_SemacquireMutex(0x0?, 0x0?, 0x0?)", &lock];
        all.extend(["internal/sync.(*Mutex).Lock(...)", "sync.(*Mutex).Lock(...)"]);
        all.extend(calls);
        goroutine(number, "sync.Mutex.Lock", &all)
    }

    /// The number of the goroutine that owns what the first one waits for.
    fn owner(goroutines: &[String]) -> Option<u64> {
        let text = goroutines.concat();
        let dump = read(&Text::from_bytes(text.as_bytes())).0.pop()?;
        let graph = WaitForGraph::new(&dump);
        let owners = graph.owners(graph.wants(0)?);
        assert!(owners.len() < 2);
        dump.threads[owners.first()?.thread as usize].number
    }

    fn audits(receiver: &str) -> Vec<String> {
        let call = format!("main.(*Vault).Audit({receiver})");
        (10..14).map(|number| waiting(number, 0xc000090018, &[&call])).collect()
    }

    const READS: &str = "net.(*conn).Read(0xc00009a050, {0xc0000a00b4?, 0x0?, 0x0?})";

    #[test]
    fn the_only_one_in_a_method_of_the_object_holds_its_lock() {
        let slow =
            |of: &str| goroutine(21, "IO wait", &[READS, &format!("main.(*Vault).Slow({of})")]);
        let with = |last: String| {
            let mut all = audits("0xc000090000");
            all.push(last);
            owner(&all)
        };
        assert_eq!(with(slow("0xc000090000, {0x58ff98, 0xc00009a050}")), Some(21));
        assert_eq!(with(slow("0xc000090040")), None, "another vault");
        assert_eq!(with(slow("0xc000090000?")), None, "maybe another vault");
        let loops = goroutine(21, "select", &["main.(*Vault).run(0xc000090000)"]);
        assert_eq!(with(loops), None, "its own loop");
    }

    #[test]
    fn of_a_read_write_lock_it_is_the_same() {
        let mut all: Vec<String> = (10..13)
            .map(|number| {
                let receiver = "main.(*Hooks).has(0xc000090000)";
                let lock = "sync.(*RWMutex).RLock(0xc000090000)";
                let calls = ["sync.runtime_SemacquireRWMutexR(0x0?, 0x0?, 0x0?)", lock, receiver];
                goroutine(number, "sync.RWMutex.RLock", &calls)
            })
            .collect();
        all.push(goroutine(21, "IO wait", &[READS, "main.(*Hooks).notify(0xc000090000)"]));
        assert_eq!(owner(&all), Some(21));
    }

    #[test]
    fn where_two_can_hold_it_neither_is_named() {
        let mut all = audits("0xc000090000");
        for (number, of) in [(21, "0xc000090000"), (22, "0x0?")] {
            all.push(goroutine(number, "IO wait", &[READS, &format!("main.(*Vault).Slow({of})")]));
        }
        assert_eq!(owner(&all), None);
    }

    #[test]
    fn two_that_have_each_others_objects_in_hand_wait_for_each_other() {
        let (a, b) = (0xc0000a2ea0, 0xc0000a2ed0);
        let pair = |second: &str| {
            let mut all = vec![
                waiting(23, b, &["main.transfer(0xc0000a2ea0, 0xc0000a2ed0)"]),
                waiting(24, a, &["main.transfer(0xc0000a2ed0, 0xc0000a2ea0)"]),
            ];
            all.push(goroutine(25, "IO wait", &[READS, second]));
            owner(&all)
        };
        assert_eq!(pair("main.other(0xc0000a2f00)"), Some(24));
        assert_eq!(pair("main.other(0xc0000a2ed0)"), None, "it has one of them in hand too");
    }

    #[test]
    fn who_has_an_object_in_hand_has_not_locked_it_for_that() {
        let all = [
            waiting(23, 0xc0000a2ed0, &["main.take(0xc0000a2ed0)"]),
            goroutine(24, "IO wait", &[READS, "main.serve(0xc0000a2ed0)"]),
        ];
        assert_eq!(owner(&all), None);
    }
}
