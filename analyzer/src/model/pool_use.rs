//! Pools, as they say themselves or as the stacks show them: who waits to borrow, and who has borrowed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sigquit_dump::{Lock, LockId, LockKind, StackId};

use super::call::{Call, CallId, Origin};
use super::idle::{self, Marks};
use super::incident::{Incident, MemberId};
use super::name::FunctionName;
use super::pattern::matches_any;
use super::pool;

/// What one dump shows of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Who waits until there is something to borrow.
    pub borrowers: Vec<MemberId>,
    /// Who seems to have borrowed: inside a borrowed resource's functions, or in the function
    /// that borrows, past the call that does.
    pub holders: Vec<MemberId>,
    /// Which of those who wait seem to have borrowed already, by the line at which they wait or from which they were
    /// called.
    pub again: Vec<MemberId>,
    /// It is a semaphore that lets a few at a time go on in a function, by the lines at which they stand.
    pub limit: bool,
    /// The pool, where it says itself who waits and who has borrowed: then nothing is inferred.
    pub pool: Option<LockId>,
}

impl PoolUse {
    /// The dump shows nobody who waits.
    pub fn is_empty(&self) -> bool {
        self.borrowers.is_empty()
    }
}

impl Incident {
    /// The pools for which somebody waits, by name, each with what every dump shows of it.
    pub fn pools(&self) -> Vec<(String, Vec<PoolUse>)> {
        let told = self.told_pools();
        let mut pools = self.shown_pools(&told);
        pools.extend(told);
        pools
    }

    /// Those that keep records of themselves: told apart by where they lie.
    fn told_pools(&self) -> Vec<(String, Vec<PoolUse>)> {
        let mut pools: BTreeMap<(String, Option<u64>), Vec<PoolUse>> = BTreeMap::new();
        for (dump, shown) in self.dumps.iter().enumerate() {
            let locks = (0..).map(LockId).zip(&shown.locks);
            for (id, lock) in locks.filter(|(_, lock)| lock.kind == LockKind::Pool) {
                let name = lock.name.clone().unwrap_or_else(|| "a pool".to_owned());
                let sights = pools.entry((name, lock.address));
                let sights = sights.or_insert_with(|| vec![PoolUse::default(); self.dumps.len()]);
                sights[dump] = self.told_use(dump, id, lock);
            }
        }
        let awaited = pools.into_iter().filter(|(_, sights)| !sights.iter().all(PoolUse::is_empty));
        awaited.map(|((name, _), sights)| (name, sights)).collect()
    }

    fn told_use(&self, dump: usize, id: LockId, lock: &Lock) -> PoolUse {
        let member = |thread: u32| self.member_of(dump, thread as usize);
        let sorted = |mut members: Vec<MemberId>| {
            members.sort_unstable();
            members.dedup();
            members
        };
        PoolUse {
            borrowers: sorted(lock.waiters.iter().filter_map(|&thread| member(thread)).collect()),
            holders: sorted(lock.owners.iter().filter_map(|owner| member(owner.thread)).collect()),
            again: Vec::new(),
            limit: false,
            pool: Some(id),
        }
    }

    /// Those that stacks show, but for the borrowers of `told`.
    fn shown_pools(&self, told: &[(String, Vec<PoolUse>)]) -> Vec<(String, Vec<PoolUse>)> {
        let calls = self.all_calls().iter().zip(self.all_marks());
        let roles: Vec<Role> = calls.map(|(call, marks)| Role::of(call, marks)).collect();
        let dumps = self.dumps.len();
        let mut pools: BTreeMap<&str, Vec<PoolUse>> = BTreeMap::new();
        let mut gates: HashMap<&str, Vec<Gate>> = HashMap::new();
        for dump in 0..dumps {
            let is_told = |member: &MemberId| {
                told.iter().any(|(_, sights)| sights[dump].borrowers.binary_search(member).is_ok())
            };
            let borrowers = self.found(dump, |member| self.borrows(member, dump, &roles));
            for (member, (pool, gate)) in borrowers.filter(|(member, _)| !is_told(member)) {
                let sights = pools.entry(pool).or_insert_with(|| vec![PoolUse::default(); dumps]);
                sights[dump].borrowers.push(member);
                let gates = gates.entry(pool).or_default();
                gates.extend(gate.into_iter().chain(self.gate_around(member, dump)));
            }
        }
        let only = pools.len() == 1;
        self.find_holders(&mut pools, &gates, only.then_some(&roles[..]));
        let pools = pools.into_iter().map(|(pool, sights)| (pool.to_owned(), sights));
        pools.chain(self.limits()).collect()
    }

    /// Finds who has borrowed from pools with these gates, by the lines at which others ask, and where there is one pool
    /// by what its resources do.
    fn find_holders(
        &self,
        pools: &mut BTreeMap<&str, Vec<PoolUse>>,
        gates: &HashMap<&str, Vec<Gate>>,
        uses: Option<&[Role]>,
    ) {
        for (pool, sights) in pools {
            let gates = self.gates(gates.get(pool).map_or(&[], Vec::as_slice));
            for (dump, sight) in sights.iter_mut().enumerate() {
                sight.holders = self.holders(dump, uses, &gates, &sight.borrowers);
                let again = |id: &MemberId| self.is_past(*id, dump, &gates);
                sight.again = sight.borrowers.iter().copied().filter(again).collect();
            }
        }
    }

    /// Semaphores that let a few at a time go on in a function: whoever is behind the line at which the others wait for
    /// a permit has one. Where nobody is, a permit may be the signal that there is work. So are queues of what is lent, by
    /// those who have taken something out and go on in the same function.
    pub fn limits(&self) -> Vec<(String, Vec<PoolUse>)> {
        let dumps = self.dumps.len();
        let mut limits: BTreeMap<&str, Vec<PoolUse>> = BTreeMap::new();
        let mut gates: HashMap<&str, Vec<Gate>> = HashMap::new();
        for dump in 0..dumps {
            let permit = |member| Some((self.wants_permit(member, dump)?, true));
            let waits =
                |member| permit(member).or_else(|| Some((self.wants_item(member, dump)?, false)));
            for (member, (gate, limit)) in self.found(dump, waits) {
                let name = FunctionName::of(&gate.caller.function).owner;
                let none = || vec![PoolUse { limit, ..PoolUse::default() }; dumps];
                let sights = limits.entry(name).or_insert_with(none);
                sights[dump].borrowers.push(member);
                gates.entry(name).or_default().push(gate);
            }
        }
        self.find_holders(&mut limits, &gates, None);
        let is_limit = |sight: &PoolUse| !sight.holders.is_empty() || !sight.again.is_empty();
        limits.retain(|_, sights| {
            let mut awaited = sights.iter().filter(|sight| !sight.is_empty());
            awaited.all(is_limit)
        });
        limits.into_iter().map(|(name, sights)| (name.to_owned(), sights)).collect()
    }

    /// Where a member asks for a permit that its function needs, and waits for it as long as it takes.
    fn wants_permit(&self, member: MemberId, dump: usize) -> Option<Gate<'_>> {
        let mut marks = self.marks(member, dump);
        let ids = self.call_ids(member, dump);
        let own =
            ids.iter().position(|&(call, _)| self.call(call).origin == Origin::Application)?;
        let at = marks.by_ref().take(own).position(|marks| marks.waits_for_permit)?;
        let waits = self.activity(member, dump).is_wait_for_event();
        (waits && self.borrow(member, dump).is_none()).then(|| Gate {
            caller: self.call(ids[own].0),
            through: &self.call(ids[at].0).function,
        })
    }

    /// Where a member takes something out of a queue that its function needs, on behalf of what another type does. A worker
    /// takes its work so in a loop of its own type.
    fn wants_item(&self, member: MemberId, dump: usize) -> Option<Gate<'_>> {
        let mut marks = self.marks(member, dump);
        let ids = self.call_ids(member, dump);
        let mut own =
            (0..ids.len()).filter(|&at| self.call(ids[at].0).origin == Origin::Application);
        let (inner, outer) = (own.next()?, own.next()?);
        let at = marks.by_ref().take(inner).position(|marks| marks.takes_item)?;
        let (caller, asks) = (self.call(ids[inner].0), self.call(ids[outer].0));
        let waits = self.activity(member, dump).is_wait_for_event()
            && self.idle(member, dump).is_none()
            && FunctionName::of(&asks.function).owner != FunctionName::of(&caller.function).owner;
        (waits && self.borrow(member, dump).is_none())
            .then(|| Gate { caller, through: &self.call(ids[at].0).function })
    }

    /// The program's own innermost function, if its name says that it takes something out of a pool.
    pub fn takes_out_of_pool(&self, member: MemberId, dump: usize) -> Option<&Call> {
        let calls = self.calls(member, dump).zip(self.marks(member, dump));
        let mut own = calls.filter(|(call, _)| call.origin == Origin::Application);
        own.next().filter(|(_, marks)| marks.borrows).map(|(call, _)| call)
    }

    /// Place of the call with which a member waits to borrow. Not where what it wants is being opened: then it waits for
    /// whoever is at the other end.
    pub(super) fn borrow(&self, member: MemberId, dump: usize) -> Option<usize> {
        let at = idle::borrows(self.marks(member, dump))?;
        let (call, _) = self.call_ids(member, dump)[at];
        match pool::opener(&self.call(call).function) {
            Some(opener) if self.is_called(opener, dump) => None,
            _ => Some(at),
        }
    }

    /// Where a member waits to borrow in a function that lends for as long as it runs: who is behind that line in it has
    /// borrowed.
    fn gate_around(&self, member: MemberId, dump: usize) -> Option<Gate<'_>> {
        // Whether it borrows is found out with some labour: of the few that lend so only.
        let at = idle::borrows(self.marks(member, dump))?;
        let lends = self.marks(member, dump).nth(at)?.lends_around;
        if !lends || self.borrow(member, dump) != Some(at) {
            return None;
        }
        let ids = self.call_ids(member, dump);
        let within = ids.get(at.checked_sub(1)?)?;
        Some(Gate { caller: self.call(ids[at].0), through: &self.call(within.0).function })
    }

    /// Whether any stack of a dump has such a function.
    fn is_called(&self, pattern: &str, dump: usize) -> bool {
        let stacks = self.dumps[dump].threads.iter().filter_map(|thread| thread.stack);
        let stacks: BTreeSet<StackId> = stacks.collect();
        let calls = stacks.into_iter().flat_map(|stack| self.calls_of_stack(dump, stack));
        calls.map(|&(call, _)| self.call(call)).any(|call| matches_any(&[pattern], &call.function))
    }

    /// The pool from which a member waits to borrow, and where it called for that.
    fn borrows<'a>(
        &'a self,
        member: MemberId,
        dump: usize,
        roles: &[Role],
    ) -> Option<(&'a str, Option<Gate<'a>>)> {
        let ids = self.call_ids(member, dump);
        let role = |&(call, _): &(CallId, u32)| roles[call.0 as usize];
        let innermost = self.borrow(member, dump)?;
        let pool_type = FunctionName::of(&self.call(ids[innermost].0).function).owner;
        let foreign = |id: &(CallId, u32)| {
            role(id).application && FunctionName::of(&self.call(id.0).function).owner != pool_type
        };
        // One whose waits are taken for those at a peer waits for one thing or the other.
        let opens = pool::opener(&self.call(ids[innermost].0).function).is_some();
        let waits = opens || self.activity(member, dump).is_wait_for_event();
        if ids[..innermost].iter().any(foreign) || !waits {
            return None;
        }
        let more = ids[innermost + 1..].iter().take_while(|id| role(id).borrows).count();
        let outermost = innermost + more;
        let borrow = &self.call(ids[outermost].0).function;
        let asks = (outermost + 1..ids.len()).find(|&at| role(&ids[at]).application);
        let gate = asks.map(|at| Gate {
            caller: self.call(ids[at].0),
            through: &self.call(ids[at - 1].0).function,
        });
        Some((FunctionName::of(borrow).owner, gate))
    }

    /// Each function that borrows, as printed (a closure is another function than the one that
    /// wrote it), with the first line at which it does.
    fn gates<'a>(&'a self, gates: &[Gate<'a>]) -> HashMap<CallId, Gate<'a>> {
        let mut first: HashMap<&str, Gate> = HashMap::new();
        for gate in gates {
            let known = first.entry(&gate.caller.printed).or_insert(*gate);
            if gate.caller.line() < known.caller.line() {
                *known = *gate;
            }
        }
        let calls = (0..).map(CallId).zip(self.all_calls());
        calls.filter_map(|(id, call)| Some((id, *first.get(call.printed.as_str())?))).collect()
    }

    /// Who has borrowed. A resource's own functions tell that, and not from which pool it is:
    /// they count when there is only one, of which the roles are given then.
    fn holders(
        &self,
        dump: usize,
        only_pool: Option<&[Role]>,
        gates: &HashMap<CallId, Gate>,
        borrowers: &[MemberId],
    ) -> Vec<MemberId> {
        let holds = |&member: &MemberId| {
            let mut ids = self.call_ids(member, dump).iter();
            let uses =
                only_pool.is_some_and(|roles| ids.any(|&(call, _)| roles[call.0 as usize].uses));
            (uses || self.is_past(member, dump, gates)) && borrowers.binary_search(&member).is_err()
        };
        self.shown(dump).filter(holds).collect()
    }

    /// Whether a member is behind a line at which somebody borrows.
    fn is_past(&self, member: MemberId, dump: usize, gates: &HashMap<CallId, Gate>) -> bool {
        let ids = self.call_ids(member, dump);
        ids.iter().enumerate().any(|(at, &(call, _))| {
            let within = at.checked_sub(1).and_then(|at| ids.get(at));
            let within = within.map(|id| self.call(id.0));
            gates.get(&call).is_some_and(|gate| gate.is_behind(self.call(call), within))
        })
    }
}

/// What a function is to pools.
#[derive(Clone, Copy)]
struct Role {
    borrows: bool,
    uses: bool,
    application: bool,
}

impl Role {
    fn of(call: &Call, marks: &Marks) -> Role {
        Role {
            borrows: marks.borrows,
            uses: pool::is_use(&call.function),
            application: call.origin == Origin::Application,
        }
    }
}

/// Where the program asks the pool.
#[derive(Clone, Copy)]
struct Gate<'a> {
    caller: &'a Call,
    /// What it called to ask.
    through: &'a str,
}

impl Gate<'_> {
    /// Whether a call of the same function is past the borrowing. On the same line, or where no
    /// lines are known, what it called meanwhile decides.
    fn is_behind(&self, here: &Call, within: Option<&Call>) -> bool {
        let called_on = || within.is_some_and(|call| call.function != self.through);
        match (self.caller.line(), here.line()) {
            (Some(gate), Some(line)) => line > gate || line == gate && called_on(),
            _ => called_on(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use crate::model::scene::{Draw, Scene};

    const ASKS: &[&str] =
        &["net/http.(*Transport).getConn", "net/http.(*Transport).roundTrip", "main.ask:8"];

    /// How many pools there are for which somebody waits, and whether a peer is asked.
    fn beside(other: &[&str]) -> (usize, bool) {
        let scene = Scene::of(Runtime::Go).dump(0, |dump| {
            dump.thread("asks", ASKS).is(ThreadState::Waiting);
            dump.thread("other", other).is(ThreadState::Waiting);
        });
        let incident = scene.incident();
        (incident.pools().len(), incident.asks_peer(incident.named("asks"), 0).is_some())
    }

    #[test]
    fn who_is_behind_the_wait_of_a_function_that_lends_has_borrowed() {
        const WAITS: &[&str] = &[
            "java.util.concurrent.LinkedBlockingDeque.pollFirst",
            "shop.Sessions.with:8",
            "shop.Rows.of:3",
        ];
        let holds =
            ["sun.nio.ch.SocketDispatcher.write0", "shop.Report.send:9", "shop.Sessions.with:11"];
        let scene = Scene::of(Runtime::Jvm).dump(0, |dump| {
            dump.thread("query", WAITS).is(ThreadState::TimedWaiting);
            dump.thread("download", &holds);
            dump.thread("other", &["shop.Sessions.close:30"]);
        });
        let incident = scene.incident();
        let pools = incident.pools();
        let [(name, sights)] = &pools[..] else { panic!("{pools:?}") };
        assert_eq!(name, "shop.Sessions");
        assert_eq!(incident.names(&sights[0].borrowers), ["query"]);
        assert_eq!(incident.names(&sights[0].holders), ["download"]);
    }

    #[test]
    fn who_goes_on_behind_the_line_that_takes_out_of_a_queue_has_what_others_wait_for() {
        let pools = |caller: &str, state| {
            let take = "java.util.concurrent.LinkedBlockingDeque.poll";
            let request = ["shop.Desk.answer:3", "shop.Desk.handle:2", "shop.Web.serve:1"];
            let waits: Vec<&str> =
                [take, "shop.Seats.within:8", caller].into_iter().chain(request).collect();
            let has =
                ["sun.nio.ch.SocketDispatcher.read0", "shop.Rows.ask:4", "shop.Seats.within:11"];
            let has: Vec<&str> = has.into_iter().chain([caller]).chain(request).collect();
            let scene = Scene::of(Runtime::Jvm).dump(0, |dump| {
                dump.thread("waits", &waits).is(state);
                dump.thread("has", &has);
            });
            let incident = scene.incident();
            let held = |sights: &[super::PoolUse]| incident.names(&sights[0].holders).len();
            incident
                .pools()
                .iter()
                .map(|(name, sights)| (name.clone(), held(sights)))
                .collect::<Vec<_>>()
        };
        let waiting = ThreadState::TimedWaiting;
        assert_eq!(pools("shop.Tickets.book:5", waiting), [("shop.Seats".to_owned(), 1)]);
        assert_eq!(pools("shop.Seats.run:5", waiting), [], "a loop that takes its work");
    }

    #[test]
    fn who_waits_for_work_in_a_like_function_borrows_nothing() {
        for around in ["shop.Jobs.with:8", "shop.Sessions.next:8", "shop.Request.use:8"] {
            let stack = ["java.util.concurrent.LinkedBlockingDeque.pollFirst", around];
            let scene = Scene::of(Runtime::Jvm).dump(0, |dump| {
                dump.thread("worker", &stack).is(ThreadState::TimedWaiting);
            });
            assert_eq!(scene.incident().pools(), [], "{around}");
        }
    }

    #[test]
    fn who_waits_for_a_connection_borrows_unless_one_is_opened() {
        let has_one = ["net/http.(*persistConn).roundTrip", ASKS[1], "main.ask:8"];
        assert_eq!(beside(&has_one), (1, false));
        assert_eq!(beside(&["main.idle:4"]), (1, false));
        let opens = ["net.(*Dialer).DialContext", "net/http.(*Transport).dialConn"];
        assert_eq!(beside(&opens), (0, true), "the peer does not take it");
    }
}
