//! The registers of x86_64, by their DWARF numbers.

/// The general registers, those of which the value is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    values: [u64; Registers::COUNT],
    known: u32,
}

impl Registers {
    /// How many there are: sixteen general ones and the instruction pointer.
    pub const COUNT: usize = 17;
    /// The stack pointer's number.
    pub const SP: u16 = 7;
    /// The frame pointer's number.
    pub const FP: u16 = 6;
    /// The instruction pointer's (DWARF: the return address column's) number.
    pub const PC: u16 = 16;

    /// The value of the register with that DWARF number, when it is known.
    pub fn get(&self, number: u16) -> Option<u64> {
        let known = usize::from(number) < Self::COUNT && self.known & (1 << number) != 0;
        known.then(|| self.values[usize::from(number)])
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
        if usize::from(number) < Self::COUNT {
            self.known &= !(1 << number);
        }
    }
}
