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

use sigquit_dump::{Dump, LockId, LockKind};

use super::frame::Call;

/// What one goroutine has in hand.
#[derive(Debug, Default)]
pub(super) struct Objects<'t> {
    methods: Vec<Method<'t>>,
    /// Every argument that is certain.
    arguments: Vec<u64>,
    calls: usize,
    accepts: bool,
}

#[derive(Debug)]
struct Method<'t> {
    /// `main.(*Vault)`
    of: &'t str,
    receiver: Option<u64>,
    /// Which call it is, counted from the leaf.
    depth: usize,
}

/// How much is kept of a goroutine.
const MOST: usize = 64;

/// Smaller figures are no addresses.
const LOWEST: u64 = 1 << 16;

impl<'t> Objects<'t> {
    /// Notes a call, leaf first.
    pub fn note(&mut self, call: &Call<'t>) {
        self.calls += 1;
        self.accepts |= call.function.ends_with(").Accept");
        if self.methods.len() + self.arguments.len() > MOST || is_of_library(call.function) {
            return;
        }
        if let Some(of) = type_of(call.function) {
            self.methods.push(Method { of, receiver: call.first(), depth: self.calls });
        }
        for argument in call.certain().filter(|&argument| argument >= LOWEST) {
            if !self.arguments.contains(&argument) {
                self.arguments.push(argument);
            }
        }
    }

    /// Waits for something to do, at the beginning of its own loop.
    fn is_quiet(&self, state: &str) -> bool {
        let awaits = ["chan receive", "select", "sleep", "sync.Cond.Wait"].contains(&state);
        let near_root = |method: &Method| method.depth + 1 >= self.calls;
        self.accepts || awaits && self.methods.iter().all(near_root)
    }
}

/// The library's own objects are not where programs put their locks.
fn is_of_library(function: &str) -> bool {
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

/// A goroutine that waits for a lock, and the call that locks.
pub(super) type Seeker<'t> = (u32, Option<Call<'t>>);

/// Locks in larger objects are not looked for.
const LARGEST: u64 = 1 << 16;

/// The likely owners of locks.
pub(super) fn owners<'t>(
    dump: &Dump,
    objects: &[Objects<'t>],
    seekers: impl Iterator<Item = Seeker<'t>>,
) -> BTreeMap<LockId, u32> {
    let sought = sought(dump, seekers);
    if sought.is_empty() {
        return BTreeMap::new();
    }
    let in_hand = InHand::new(dump, objects, &sought);
    let mut owners = circles(dump, &sought, &in_hand);
    for (&lock, sought) in &sought {
        if let Some(owner) = in_hand.in_method(sought) {
            owners.entry(lock).or_insert(owner);
        }
    }
    owners
}

fn sought<'t>(
    dump: &Dump,
    seekers: impl Iterator<Item = Seeker<'t>>,
) -> BTreeMap<LockId, Sought<'t>> {
    let mut sought: BTreeMap<LockId, Sought> = BTreeMap::new();
    for (thread, caller) in seekers {
        let Some(wait) = &dump.threads[thread as usize].wait else { continue };
        let lock = dump.lock(wait.lock);
        let is_hidden = lock.owners.is_empty() && lock.kind == LockKind::Mutex;
        let Some(address) = lock.address.filter(|_| is_hidden) else { continue };
        let entry = sought.entry(wait.lock).or_insert_with(|| Sought {
            address,
            waiters: Vec::new(),
            types: HashSet::new(),
            offsets: HashSet::from([0]),
        });
        entry.waiters.push(thread);
        let Some((caller, of)) = caller.and_then(|call| Some((call, type_of(call.function)?)))
        else {
            continue;
        };
        entry.types.insert(of);
        let offset = caller.first().and_then(|receiver| address.checked_sub(receiver));
        entry.offsets.extend(offset.filter(|&offset| offset < LARGEST));
    }
    sought
}

/// Who has what in hand, of those who could hold a lock.
struct InHand<'t> {
    /// Who is in a method of that type, with that receiver.
    by_receiver: HashMap<(&'t str, u64), Vec<u32>>,
    /// Who is in a method of that type, with nobody knows what.
    unknown: HashMap<&'t str, Vec<u32>>,
    by_argument: HashMap<u64, Vec<u32>>,
}

impl<'t> InHand<'t> {
    fn new(
        dump: &Dump,
        objects: &[Objects<'t>],
        sought: &BTreeMap<LockId, Sought<'t>>,
    ) -> InHand<'t> {
        let types: HashSet<&str> =
            sought.values().flat_map(|one| one.types.iter().copied()).collect();
        let mut in_hand = InHand {
            by_receiver: HashMap::new(),
            unknown: HashMap::new(),
            by_argument: HashMap::new(),
        };
        for (thread, objects) in (0..).zip(objects) {
            if objects.is_quiet(&dump.threads[thread as usize].state_text) {
                continue;
            }
            for method in objects.methods.iter().filter(|method| types.contains(method.of)) {
                let known = match method.receiver {
                    Some(receiver) => in_hand.by_receiver.entry((method.of, receiver)).or_default(),
                    None => in_hand.unknown.entry(method.of).or_default(),
                };
                add(known, thread);
            }
            for &argument in &objects.arguments {
                add(in_hand.by_argument.entry(argument).or_default(), thread);
            }
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
    use crate::read::go::read;

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
