//! The wait-for graph as trees of lines: who is waited for stands first, who waits is beneath.

use std::collections::HashMap;

use sigquit_dump::OwnerSource;

use super::fold::{called, fold};
use super::plain::{plain, short};
use crate::explain::{MemberReport, Picture, WantedLock};

/// How many groups of names a line lists.
const NAMES: usize = 8;
/// The longest name of a thread, in columns.
const NAME: usize = 80;
/// The deepest line; what waits beneath is counted.
const DEEPEST: usize = 8;
/// The most lines of a process's trees.
const MOST_LINES: usize = 400;

/// A root blocker, or a circle, and everyone behind it.
pub(super) struct Tree {
    /// From the root to those who wait for it.
    pub lines: Vec<Line>,
}

/// A thread, a lock, or threads that nobody waits for.
pub(super) struct Line {
    /// How far it is from the root.
    pub depth: usize,
    /// `owner`, `lock` or `waiter`; `lock inferred` where the owner is not certain.
    pub kind: &'static str,
    /// What it says.
    pub text: String,
}

/// The trees of a process: those of root blockers first, then circles and locks of unknown owners.
pub(super) fn trees(picture: &Picture) -> Vec<Tree> {
    let mut planter = Planter::of(picture);
    let mut trees = Vec::new();
    for at in 0..picture.locks.len() {
        if !planter.told[at] && planter.lines < MOST_LINES {
            trees.push(planter.tree(at));
        }
    }
    let left = planter.told.iter().filter(|&&told| !told).count();
    if left > 0 {
        let text = format!("{left} more locks are waited for");
        trees.push(Tree { lines: vec![Line { depth: 0, kind: "waiter", text }] });
    }
    trees
}

struct Planter<'a> {
    picture: &'a Picture,
    /// The locks of everyone who owns any.
    owned: HashMap<u32, Vec<usize>>,
    /// For each lock whether a line tells of it.
    told: Vec<bool>,
    lines: usize,
}

impl Planter<'_> {
    fn of(picture: &Picture) -> Planter<'_> {
        let mut owned: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, lock) in picture.locks.iter().enumerate() {
            lock.owners.iter().for_each(|&(owner, _)| owned.entry(owner).or_default().push(at));
        }
        Planter { picture, owned, told: vec![false; picture.locks.len()], lines: 0 }
    }

    fn tree(&mut self, lock: usize) -> Tree {
        let mut lines = Vec::new();
        match self.picture.locks[lock].owners.as_slice() {
            [(owner, _)] => self.owner(*owner, 0, "owner", &mut lines),
            several => {
                let owners = several.iter().map(|&(owner, _)| self.member(owner).clone());
                let text = match several {
                    [] => "owner unknown".to_owned(),
                    _ => fold(&owners.collect::<Vec<_>>(), NAMES),
                };
                lines.push(Line { depth: 0, kind: "owner", text });
                self.lock(lock, 1, &mut lines);
            }
        }
        self.lines += lines.len();
        Tree { lines }
    }

    /// Someone who owns locks that others wait for.
    fn owner(&mut self, owner: u32, depth: usize, kind: &'static str, lines: &mut Vec<Line>) {
        let owned = self.owned.get(&owner).cloned().unwrap_or_default();
        let again = owned.iter().all(|&lock| self.told[lock]);
        let again = if again { ": a circle closes here" } else { "" };
        let name = short(&called(self.member(owner)), NAME);
        lines.push(Line { depth, kind, text: format!("{name}{again}") });
        for lock in owned {
            if !self.told[lock] {
                self.lock(lock, depth + 1, lines);
            }
        }
    }

    fn lock(&mut self, at: usize, depth: usize, lines: &mut Vec<Line>) {
        self.told[at] = true;
        let lock = &self.picture.locks[at];
        lines.push(lock_line(lock, depth));
        let blocks = |waiter: &&u32| self.owned.contains_key(*waiter);
        let (owners, leaves): (Vec<&u32>, Vec<&u32>) = lock.waiters.iter().partition(blocks);
        for &&owner in &owners {
            match depth < DEEPEST && self.lines + lines.len() < MOST_LINES {
                true => self.owner(owner, depth + 1, "waiter", lines),
                false => self.leaves(&[owner], depth + 1, lines),
            }
        }
        let leaves: Vec<u32> = leaves.into_iter().copied().collect();
        self.leaves(&leaves, depth + 1, lines);
    }

    /// Those for whom nobody waits, on one line.
    fn leaves(&self, leaves: &[u32], depth: usize, lines: &mut Vec<Line>) {
        let members: Vec<MemberReport> =
            leaves.iter().map(|&leaf| self.member(leaf).clone()).collect();
        if !members.is_empty() {
            lines.push(Line { depth, kind: "waiter", text: fold(&members, NAMES) });
        }
    }

    fn member(&self, number: u32) -> &MemberReport {
        &self.picture.members[number as usize].member
    }
}

/// A lock beneath its owners: an edge that is drawn dashed where these are not certain.
fn lock_line(lock: &WantedLock, depth: usize) -> Line {
    let least = lock.owners.iter().map(|&(_, source)| source).max();
    let known = least.map(|source| match source {
        OwnerSource::Runtime => ", owner told by the runtime",
        OwnerSource::Tracked => ", owner told by the lock itself",
        OwnerSource::Inferred => ", owner inferred",
    });
    let kind = match least {
        Some(OwnerSource::Runtime | OwnerSource::Tracked) => "lock",
        Some(OwnerSource::Inferred) | None => "lock inferred",
    };
    Line { depth, kind, text: format!("{}{}", plain(&lock.name), known.unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Kind;

    use super::*;
    use crate::explain::PictureMember;

    /// Locks as owners and waiters.
    fn picture(members: u32, locks: &[(&[u32], &[u32])]) -> Picture {
        let member = |number: u32| PictureMember {
            member: MemberReport {
                kind: Kind::Thread,
                id: String::new(),
                name: format!("t{number}"),
            },
            pool: String::new(),
            seen: Vec::new(),
        };
        let lock = |&(owners, waiters): &(&[u32], &[u32])| WantedLock {
            name: "mutex".into(),
            owners: owners.iter().map(|&owner| (owner, OwnerSource::Runtime)).collect(),
            waiters: waiters.to_vec(),
        };
        Picture {
            members: (0..members).map(member).collect(),
            locks: locks.iter().map(lock).collect(),
            ..Picture::default()
        }
    }

    fn lines(picture: &Picture) -> Vec<String> {
        let trees = trees(picture);
        let lines = trees.iter().flat_map(|tree| &tree.lines);
        lines.map(|line| format!("{}{}", " ".repeat(line.depth), line.text)).collect()
    }

    #[test]
    fn who_is_waited_for_stands_first() {
        let picture = picture(5, &[(&[0], &[1, 4]), (&[1], &[2, 3])]);
        assert_eq!(
            lines(&picture),
            [
                "t0",
                " mutex, owner told by the runtime",
                "  t1",
                "   mutex, owner told by the runtime",
                "    t2, t3",
                "  t4"
            ]
        );
    }

    #[test]
    fn a_circle_is_told_once() {
        let picture = picture(2, &[(&[0], &[1]), (&[1], &[0])]);
        assert_eq!(
            lines(&picture),
            [
                "t0",
                " mutex, owner told by the runtime",
                "  t1",
                "   mutex, owner told by the runtime",
                "    t0: a circle closes here"
            ]
        );
    }

    #[test]
    fn an_unknown_owner_is_said_to_be_unknown() {
        let trees = trees(&picture(2, &[(&[], &[0, 1])]));
        assert_eq!(trees[0].lines[1].kind, "lock inferred");
        assert_eq!(lines(&picture(2, &[(&[], &[0, 1])])), ["owner unknown", " mutex", "  t0, t1"]);
    }

    #[test]
    fn a_long_chain_ends() {
        let numbers: Vec<u32> = (0..100_000).collect();
        let locks: Vec<(&[u32], &[u32])> = (0..numbers.len() - 1)
            .map(|at| (&numbers[at..=at], &numbers[at + 1..at + 2]))
            .collect();
        let lines = lines(&picture(numbers.len() as u32, &locks[..2_000]));
        assert!(lines.len() < 500 && lines.last().unwrap().contains("more locks"), "{lines:?}");
    }
}
