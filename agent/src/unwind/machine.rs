//! What the unwinder must know of a machine, and the registers of any machine.

/// A set of registers by their DWARF numbers, those of which the value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RegisterFile<const COUNT: usize> {
    values: [u64; COUNT],
    known: u64,
}

impl<const COUNT: usize> Default for RegisterFile<COUNT> {
    fn default() -> Self {
        RegisterFile { values: [0; COUNT], known: 0 }
    }
}

impl<const COUNT: usize> RegisterFile<COUNT> {
    /// The value of the register with that DWARF number, when it is known.
    pub fn get(&self, number: u16) -> Option<u64> {
        let value = self.values.get(usize::from(number))?;
        (self.known >> number & 1 == 1).then_some(*value)
    }

    /// Sets a register; a number that is none of ours changes nothing.
    pub fn set(&mut self, number: u16, value: u64) {
        if let Some(place) = self.values.get_mut(usize::from(number)) {
            *place = value;
            self.known |= 1 << number;
        }
    }

    /// Declares a register's value unknown.
    pub fn forget(&mut self, number: u16) {
        if usize::from(number) < COUNT {
            self.known &= !(1 << number);
        }
    }

    /// The same registers, without those outside a set of numbers (bit n is number n).
    pub fn only(mut self, numbers: u64) -> Self {
        self.known &= numbers;
        self
    }
}

/// A machine: what is implemented for its [`RegisterFile`].
pub(crate) trait Machine {
    /// The stack pointer's number.
    const SP: u16;
    /// The frame pointer's number.
    const FP: u16;
    /// The number under which the pc is kept.
    const PC: u16;
    /// The register in which a call leaves its return address, where it does.
    const LINK: Option<u16>;
    /// The registers that a function gives back as it found them: bit n is number n.
    const CALLEE_SAVED: u64;

    /// A code address without what the machine hides in its unused bits.
    fn code_address(value: u64) -> u64;
    /// For a pc in a linker's stub, by the code at that pc: how many bytes above the stack
    /// pointer the frame of the stub ends.
    fn stub(code: &[u8]) -> Option<u64>;
}
