//! Stacks that were met before, told by their return addresses.
//!
//! Tasks of one kind wait in one place, so most looks are equal but for the data between the
//! return addresses. When every frame of a stack has a size that its pc alone determines, equal
//! return addresses at equal places are an equal stack, and it need not be unwound again.

use std::collections::HashMap;

use super::log::Look;
use super::machine::for_unwinding;
use crate::unwind::{Registers, StackCopy, Unwinder, Unwound};

/// Shapes that are kept for one leaf, so that a search stays short.
const MOST: usize = 64;

/// Stacks that have been unwound in this dump, each with what stands for it there.
pub(super) struct Shapes<T> {
    by_leaf: HashMap<(u64, usize), Vec<Shape<T>>>,
}

struct Shape<T> {
    /// Where a return address lies, from the stack pointer upwards, and which.
    returns: Box<[(usize, u64)]>,
    stack: T,
}

impl<T: Copy> Shapes<T> {
    pub fn new() -> Shapes<T> {
        Shapes { by_leaf: HashMap::new() }
    }

    /// What stands for the stack of a look. `put` is asked for it when the stack is new.
    pub fn of(
        &mut self,
        look: &Look<'_>,
        unwinder: &mut Unwinder,
        put: &mut dyn FnMut(&Unwound, u64) -> T,
    ) -> T {
        let registers = for_unwinding(look.registers);
        let sp = registers.get(Registers::SP).unwrap_or_default();
        let pc = registers.get(Registers::PC).unwrap_or_default();
        let known = self.by_leaf.entry((pc, look.stack.len())).or_default();
        let copy = StackCopy { start: sp, bytes: look.stack };
        let is_it = |shape: &&Shape<T>| {
            shape.returns.iter().all(|&(at, address)| copy.word(sp + at as u64) == Some(address))
        };
        if let Some(shape) = known.iter().find(is_it) {
            return shape.stack;
        }
        let unwound = unwinder.unwind(registers, copy);
        let returns = returns(&unwound, sp, look.stack.len());
        let stack = put(&within_the_task(unwound, look.base), sp);
        if let Some(returns) = returns.filter(|_| known.len() < MOST) {
            known.push(Shape { returns, stack });
        }
        stack
    }
}

/// Where the return addresses lie, when they tell the stack from all others.
fn returns(unwound: &Unwound, sp: u64, length: usize) -> Option<Box<[(usize, u64)]>> {
    let pairs = unwound.frames.iter().zip(unwound.frames.iter().skip(1));
    let places = pairs.map(|(callee, caller)| {
        let at = usize::try_from(callee.cfa.checked_sub(sp + 8)?).ok()?;
        (at + 8 <= length).then_some((at, caller.pc))
    });
    if unwound.fixed { places.collect() } else { None }
}

/// The frames between the waker's function and the traced poll.
fn within_the_task(mut unwound: Unwound, base: u64) -> Unwound {
    let outside = |sp: Option<u64>| sp.is_some_and(|sp| sp >= base);
    if let Some(end) =
        unwound.frames.iter().position(|frame| outside(frame.registers.get(Registers::SP)))
    {
        unwound.frames.truncate(end);
        unwound.truncated = None;
    }
    if !unwound.frames.is_empty() {
        unwound.frames.remove(0);
    }
    unwound
}
