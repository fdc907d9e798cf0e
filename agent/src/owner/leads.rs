//! Frames -> the locks that they may reach.

use std::hash::Hasher;
use std::rc::Rc;

use super::address_map::{AddressHasher, AddressMap};
use super::memory::{LARGEST_ADDRESS, Memory, Pages, SMALLEST_ADDRESS};
use super::wanted::Wanted;
use super::x86_64::KEPT;
use crate::unwind::{Registers, StackCopy, UnwoundFrame};

/// How far above an address that a frame holds a lock may lie to be reached from it: locks are
/// fields, and code keeps the address of the whole.
const FIELD_REACH: u64 = 4096;

/// Within how many bytes of a lock's address its word lies.
const LOCK: u64 = 8;

/// How many bytes of what a frame points to are searched for the address of a lock.
const POINTEE_REACH: u64 = 128;

/// How a frame leads to a lock, the likeliest to hold it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// It has the lock's own address, which is what a guard is.
    Direct,
    /// It has the address of something that has.
    Behind,
    /// It, or what it points to, has the address of something in which the lock may lie.
    Field,
}

/// A lock that may be reached from what a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    /// The address of its word.
    pub lock: u64,
    pub way: Way,
}

/// What a frame may reach.
pub(super) struct Reach {
    /// Each lock once, sorted.
    pub leads: Vec<Lead>,
    /// In which of its registers and words the address of a lock lies, or of such an address: a number that
    /// is the same for threads that came to the same place in the same way.
    pub shape: u64,
}

/// What leads where, as far as it was asked.
#[derive(Default)]
pub(super) struct Leads {
    /// From words outside the stacks.
    known: AddressMap<Rc<[Lead]>>,
    /// By the addresses by which unwind rules are looked up.
    aside: AddressMap<Option<Rc<Aside>>>,
}

impl Leads {
    /// The locks whose addresses can be computed from what a frame holds: its registers and its piece
    /// of the stack, and what these point to.
    pub fn of<M: Memory>(
        &mut self,
        frame: &UnwoundFrame,
        stack: StackCopy,
        wanted: &Wanted,
        memory: &mut Pages<M>,
    ) -> Reach {
        let aside = self.aside(frame, memory);
        let is_own = |number: &u16| aside.as_ref().is_none_or(|aside| aside.uses(*number));
        let registers = (0..Registers::PC).filter(is_own);
        let registers =
            registers.filter_map(|number| Some((number.into(), frame.registers.get(number)?)));
        let bottom = frame.registers.get(Registers::SP).unwrap_or(frame.cfa);
        let is_own = |at: &u64| aside.as_ref().is_none_or(|aside| !aside.lies_at(*at, frame.cfa));
        let slots = (bottom & !7..frame.cfa).step_by(8).filter(is_own);
        let words = slots.filter_map(|at| Some((frame.cfa - at, stack.word(at)?)));
        let mut reach = Reach { leads: Vec::new(), shape: 0 };
        let mut shape = AddressHasher::default();
        for (place, word) in registers.chain(words) {
            if self.add(word, stack, wanted, memory, &mut reach.leads) {
                shape.write_u64(place);
            }
        }
        reach.shape = shape.finish();
        reach
    }

    /// The addresses at which a frame has put its caller's registers aside.
    pub fn put_aside<M: Memory>(
        &mut self,
        frame: &UnwoundFrame,
        memory: &mut Pages<M>,
    ) -> Vec<u64> {
        let aside = self.aside(frame, memory);
        aside.iter().flat_map(|aside| aside.slots(frame.cfa)).collect()
    }

    fn aside<M: Memory>(
        &mut self,
        frame: &UnwoundFrame,
        memory: &mut Pages<M>,
    ) -> Option<Rc<Aside>> {
        let aside = self.aside.entry(frame.lookup_address);
        let put_aside = || memory.put_aside(frame.lookup_address).map(|all| Rc::new(Aside(all)));
        aside.or_insert_with(put_aside).clone()
    }

    /// Adds the locks to which a word leads, and says whether it is the address of one itself, or of such an
    /// address.
    fn add<M: Memory>(
        &mut self,
        word: u64,
        stack: StackCopy,
        wanted: &Wanted,
        memory: &mut Pages<M>,
        leads: &mut Vec<Lead>,
    ) -> bool {
        if !(SMALLEST_ADDRESS..LARGEST_ADDRESS).contains(&word) {
            return false;
        }
        let mut is_lock = false;
        let mut note_all = |found: &mut dyn Iterator<Item = Lead>| {
            for lead in found {
                is_lock |= lead.way != Way::Field;
                note(leads, lead);
            }
        };
        note_all(&mut above(word, wanted));
        if stack.word(word).is_some() {
            let words = (0..POINTEE_REACH).step_by(8).filter_map(|at| stack.word(word + at));
            note_all(&mut words.flat_map(|word| behind(word, wanted)));
        } else {
            let known = self.known.entry(word).or_insert_with(|| pointee(word, wanted, memory));
            note_all(&mut known.iter().copied());
        }
        is_lock
    }
}

/// The locks to which the words lead that begin at an address outside the stacks.
fn pointee<M: Memory>(address: u64, wanted: &Wanted, memory: &mut Pages<M>) -> Rc<[Lead]> {
    let mut bytes = [0; POINTEE_REACH as usize];
    let length = memory.copy(address, &mut bytes);
    let words = bytes[..length].as_chunks().0;
    let mut leads = Vec::new();
    for &word in words {
        behind(u64::from_le_bytes(word), wanted).for_each(|lead| note(&mut leads, lead));
    }
    leads.into()
}

/// Adds a lead, or makes the one to the same lock a likelier one.
fn note(leads: &mut Vec<Lead>, lead: Lead) {
    match leads.binary_search_by_key(&lead.lock, |known| known.lock) {
        Ok(at) => leads[at].way = leads[at].way.min(lead.way),
        Err(at) => leads.insert(at, lead),
    }
}

/// The locks that lie at an address and above it.
fn above(address: u64, wanted: &Wanted) -> impl Iterator<Item = Lead> {
    let way = move |lock| if lock - address < LOCK { Way::Direct } else { Way::Field };
    wanted.from(address, FIELD_REACH).map(move |lock| Lead { lock, way: way(lock) })
}

/// The same for an address that lies where one points to.
fn behind(address: u64, wanted: &Wanted) -> impl Iterator<Item = Lead> {
    above(address, wanted).map(|lead| Lead { way: lead.way.max(Way::Behind), ..lead })
}

/// The registers of its caller that a function has put aside at one place, and where, counted from the
/// canonical frame address. What lies there is the caller's concern; and so are the registers that a
/// function has to give back as it found them and has not put aside.
struct Aside(Vec<(u16, Option<i64>)>);

impl Aside {
    /// Whether what is in a register may be of use to the function.
    fn uses(&self, number: u16) -> bool {
        !KEPT.contains(&number)
            || number == Registers::SP
            || self.0.iter().any(|&(aside, _)| aside == number)
    }

    /// Whether it has put a register aside at this address.
    fn lies_at(&self, address: u64, cfa: u64) -> bool {
        self.slots(cfa).any(|slot| slot == address)
    }

    fn slots(&self, cfa: u64) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(move |&(_, by)| Some(cfa.wrapping_add_signed(by?)))
    }
}
