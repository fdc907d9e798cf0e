//! Whether a queue moves: whether those who stand in it in every dump got what they wanted in between, and came back.
//!
//! A pool that lends all it has, and a queue that holds back those who fill it, look in each dump like one that is
//! stuck. Where the waits are shorter than the time from dump to dump, everyone has gone on meanwhile.

use sigquit_dump::Nanos;

use super::contention::ASKED;
use super::incident::{Incident, MemberId};

/// The most that may lie between two dumps: in more, even a long wait ends.
const SOON: Nanos = Nanos(6_000_000_000);
/// One in so many may have stayed: somebody is always served last.
const FEW: usize = 8;

impl Incident {
    /// Whether of those who wait in a dump hardly any has waited since the dump before, for every dump but the first.
    /// Who waits in a dump is told in ascending order.
    pub fn queue_moves(&self, waiters: &[&[MemberId]]) -> bool {
        let moved = |(dump, pair): (usize, &[&[MemberId]])| {
            let stayed = stayed(pair, |id| self.went_on(id, dump));
            stayed.is_some_and(|stayed| stayed * FEW <= pair[1].len())
        };
        waiters.len() > 1 && (1..).zip(waiters.windows(2)).all(moved)
    }

    /// Whether what some hold in a dump others hold in the next one, or the same have got it again, mostly, for every
    /// dump but the first. Who burns CPU holds what it holds. Holders are told in ascending order.
    pub fn changes_hands(&self, holders: &[&[MemberId]]) -> bool {
        let changed = |(dump, pair): (usize, &[&[MemberId]])| {
            let stayed = stayed(pair, |id| self.came_back(id, dump));
            stayed.is_some_and(|stayed| stayed * 2 <= pair[1].len())
        };
        holders.len() > 1 && (1..).zip(holders.windows(2)).all(changed)
    }

    /// Whether a member left what it waited for between each dump and the next, and came back.
    pub fn comes_back(&self, id: MemberId) -> bool {
        self.dumps.len() > 1 && (1..self.dumps.len()).all(|dump| self.came_back(id, dump))
    }

    /// Whether a goroutine stayed in its wait through all of the dumps: the values on its stack are the same in each, which
    /// those of one that goes round a loop seldom are.
    pub fn stays(&self, id: MemberId) -> bool {
        let values = |dump| self.thread(id, dump).map_or(0, |thread| thread.values);
        let first = values(0);
        first != 0 && (0..self.dumps.len()).all(|dump| values(dump) == first)
    }

    /// How often a member went to sleep between two dumps, where that is counted.
    pub(super) fn slept(&self, id: MemberId, from: usize, to: usize) -> Option<u64> {
        let sleeps = |dump: usize| self.thread(id, dump)?.voluntary_switches;
        Some(sleeps(to)?.saturating_sub(sleeps(from)?))
    }

    /// Whether a member did something between a dump and the one before it, soon after each other: it used CPU time, went
    /// to sleep anew, or has other values on its stack. False where nothing of that is told.
    fn went_on(&self, id: MemberId, dump: usize) -> bool {
        // Whoever answers a dump itself uses more time for that than a turn takes.
        let answers = || self.thread(id, dump).is_none_or(|thread| thread.stack_pointer.is_some());
        let cpu = |dump: usize| self.thread(id, dump)?.cpu;
        let used = || Some(cpu(dump)?.since(cpu(dump - 1)?) > self.breath(id, dump - 1, dump));
        self.came_back(id, dump) || !answers() && self.is_soon(id, dump) && used().unwrap_or(false)
    }

    /// The same without the CPU time.
    fn came_back(&self, id: MemberId, dump: usize) -> bool {
        let values = |dump| self.thread(id, dump).map_or(0, |thread| thread.values);
        let (before, after) = (values(dump - 1), values(dump));
        let differs = before != 0 && after != 0 && before != after;
        // What was moved to another stack differs too: not who has waited for a minute by the runtime's count.
        let stood = self.thread(id, dump).and_then(|thread| thread.waiting_since) > Some(Nanos(0));
        let slept = || self.slept(id, dump - 1, dump).is_some_and(|times| times > ASKED);
        self.is_soon(id, dump) && (differs && !stood || slept())
    }

    fn is_soon(&self, id: MemberId, dump: usize) -> bool {
        self.between(dump - 1, dump, id).is_none_or(|time| time <= SOON)
    }
}

/// How many are in both of two dumps and did not leave in between; none when a dump shows nobody.
fn stayed(pair: &[&[MemberId]], left: impl Fn(MemberId) -> bool) -> Option<usize> {
    let [before, after] = pair else { return None };
    let stayed = |&&id: &&MemberId| before.binary_search(&id).is_ok() && !left(id);
    (!before.is_empty() && !after.is_empty()).then(|| after.iter().filter(stayed).count())
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, Thread};

    use super::*;
    use crate::model::scene::{Moment, Scene};

    /// Two that wait in each of three dumps, as drawn.
    fn moves(apart: u64, draw: impl Fn(u64, &mut Thread)) -> bool {
        let waits = |dump: &mut Moment, second: u64| {
            for name in ["web-1", "web-2"] {
                draw(second, dump.thread(name, &["shop.Pool.acquire:4"]));
            }
        };
        let scene = (0..3).fold(Scene::of(Runtime::Jvm), |scene, at| {
            scene.dump(at * apart, |dump| waits(dump, at))
        });
        let incident = scene.incident();
        let all: Vec<MemberId> = incident.ids().collect();
        incident.queue_moves(&[&all, &all, &all])
    }

    #[test]
    fn a_queue_moves_when_those_in_it_went_on() {
        assert!(moves(2, |at, thread| thread.cpu = Some(Nanos(1_000_000 + at * 300_000))));
        assert!(moves(2, |at, thread| thread.values = 7 + at as u32));
        assert!(moves(2, |at, thread| {
            thread.stack_pointer = Some(0x7f00);
            thread.voluntary_switches = Some(5 + 40 * at);
        }));
    }

    #[test]
    fn a_queue_stands_when_nothing_tells_that_they_went_on() {
        assert!(!moves(2, |_, _| ()));
        assert!(!moves(2, |_, thread| thread.values = 7));
        assert!(!moves(2, |at, thread| thread.values = [7, 8, 8][at as usize]), "once only");
        assert!(!moves(2, |at, thread| thread.cpu = Some(Nanos(1_000_000 + at * 9_000))));
        assert!(!moves(2, |at, thread| {
            thread.stack_pointer = Some(0x7f00);
            thread.cpu = Some(Nanos(at * 900_000));
            thread.voluntary_switches = Some(5 + 2 * at);
        }));
    }

    #[test]
    fn in_a_long_time_even_a_long_wait_ends() {
        assert!(!moves(30, |at, thread| thread.values = 7 + at as u32));
    }

    #[test]
    fn who_has_slept_often_has_come_back() {
        let holds = |dump: &mut Moment, at: u64| {
            let thread = dump.thread("web-1", &["shop.Wire.read:4"]);
            (thread.stack_pointer, thread.voluntary_switches) = (Some(0x7f00), Some(9 + 60 * at));
        };
        let scene = Scene::of(Runtime::Rust).dump(0, |dump| holds(dump, 0));
        let incident = scene.dump(1, |dump| holds(dump, 1)).incident();
        let all: Vec<MemberId> = incident.ids().collect();
        assert!(incident.changes_hands(&[&all, &all]));
    }

    #[test]
    fn hands_change_when_most_holders_are_others() {
        let all = |dump: &mut Moment| {
            (0..8).for_each(|name| {
                dump.thread(&name.to_string(), &["shop.Wire.read:4"]);
            });
        };
        let scene = (0..3).fold(Scene::of(Runtime::Go), |scene, at| scene.dump(at, all));
        let incident = scene.incident();
        let ids = |numbers: &[u32]| numbers.iter().map(|&id| MemberId(id)).collect::<Vec<_>>();
        let (these, one_stays, others) = (ids(&[1, 2, 3]), ids(&[1, 4, 5]), ids(&[6, 7]));
        assert!(incident.changes_hands(&[&these, &one_stays, &others]));
        assert!(!incident.changes_hands(&[&these, &these]));
        assert!(!incident.changes_hands(&[&these, &[]]));
        assert!(!incident.changes_hands(&[&these]));
    }
}
