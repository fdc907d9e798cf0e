//! The threads' answers, kept until all have answered: only then is it known which locks are
//! waited for.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use sigquit_dump::Nanos;

use super::patience;
use super::rounds::ROUNDS;
use super::{Awaited, Found, Held, Memory, Search};
use crate::capture::{self, Answer};
use crate::facts;
use crate::unwind::{Registers, StackCopy, Unwinder};

/// Bytes of stack that are kept, at most: some five thousand threads'.
const KEPT: usize = 32 << 20;

/// The answers of one dump's threads.
#[derive(Default)]
pub(crate) struct Answers {
    kept: Vec<Kept>,
    bytes: usize,
    /// Answers for which there was no room.
    dropped: usize,
}

struct Kept {
    tid: i32,
    registers: Registers,
    stack_start: u64,
    stack: Box<[u8]>,
}

/// Who holds what others wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inferred {
    /// Threads, and the futexes on which others wait for them.
    pub owners: Vec<(i32, Vec<u64>)>,
    /// How many threads were not, or not wholly, looked at.
    pub cut: usize,
    /// The CPU time that the search took; nothing when there was nothing to be found.
    pub cpu: Option<Nanos>,
}

impl Answers {
    /// Keeps a copy of an answer, while there is room.
    pub fn keep(&mut self, answer: &Answer<'_>) {
        if self.bytes + answer.stack.bytes.len() > KEPT {
            self.dropped += 1;
            return;
        }
        self.bytes += answer.stack.bytes.len();
        self.kept.push(Kept {
            tid: answer.tid,
            registers: answer.registers,
            stack_start: answer.stack.start,
            stack: answer.stack.bytes.into(),
        });
    }

    /// Searches the threads for the owners of what is awaited. `waits` says on which futex a
    /// thread waits itself. Threads that wait on none come first: they are what the others
    /// wait for in the end. What is not found in one of the [`ROUNDS`] is looked for in the next.
    /// `work` is the CPU time that this may use; when it is not said, it goes by the number of threads.
    pub fn owners(
        mut self,
        awaited: &[Awaited],
        waits: &HashMap<i32, u64>,
        unwinder: &mut Unwinder,
        work: Option<Duration>,
    ) -> Inferred {
        let begun = facts::thread_cpu();
        let work = work.unwrap_or_else(|| patience::for_threads(self.kept.len()));
        let mut search = Search::new(awaited, Process { unwinder }, work);
        let mut inferred = Inferred::default();
        if search.is_over() {
            return inferred;
        }
        inferred.cut = self.dropped;
        self.kept.sort_by_key(|kept| waits.contains_key(&kept.tid));
        let mut ahead: Vec<&Kept> = Vec::new();
        let mut found: HashMap<i32, Found> = HashMap::new();
        for round in &ROUNDS {
            if !round.continues {
                ahead = self.kept.iter().collect();
            }
            search.begin_round(round);
            ahead.retain(|kept| {
                let found = found.entry(kept.tid).or_default();
                if search.is_late() {
                    found.add(Found::late());
                    return true;
                }
                let stack = StackCopy { start: kept.stack_start, bytes: &kept.stack };
                let unwound = search.memory().unwinder.unwind(kept.registers, stack);
                let awaits = waits.get(&kept.tid).copied();
                let held = Held { frames: &unwound.frames, stack, awaits };
                found.add(search.will_release(&held, round));
                found.unfinished
            });
            if search.is_over() {
                break;
            }
        }
        inferred.cut += found.values().filter(|found| found.cut).count();
        let owners = found.into_iter().filter(|(_, found)| !found.futexes.is_empty());
        inferred.owners = owners.map(|(tid, found)| (tid, found.futexes)).collect();
        inferred.owners.sort_unstable();
        inferred.cpu = Some(Nanos(facts::thread_cpu().0.saturating_sub(begun.0)));
        inferred
    }
}

/// The memory of this process, and where its functions lie.
struct Process<'a> {
    unwinder: &'a mut Unwinder,
}

impl Memory for Process<'_> {
    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        capture::read(address, into)
    }

    fn put_aside(&mut self, address: u64) -> Option<Vec<(u16, Option<i64>)>> {
        self.unwinder.put_aside(address)
    }

    fn function(&mut self, address: u64) -> Option<Range<u64>> {
        self.unwinder.function(address)
    }
}
