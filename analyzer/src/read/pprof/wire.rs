//! The fields of a protobuf message, as they stand in the bytes.
//!
//! Method: the wire format of Protocol Buffers, version 3: a field is a varint of number and
//! kind, and a value.

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'b> {
    pub number: u64,
    pub value: Value<'b>,
}

/// Its value, as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Value<'b> {
    pub fn number(self) -> u64 {
        match self {
            Value::Number(number) => number,
            Value::Bytes(_) => 0,
        }
    }

    pub fn bytes(self) -> &'b [u8] {
        match self {
            Value::Number(_) => &[],
            Value::Bytes(bytes) => bytes,
        }
    }

    /// A repeated number, packed or not.
    pub fn numbers(self) -> impl Iterator<Item = u64> {
        let (single, mut packed) = match self {
            Value::Number(number) => (Some(number), &[][..]),
            Value::Bytes(bytes) => (None, bytes),
        };
        single.into_iter().chain(std::iter::from_fn(move || varint(&mut packed)))
    }
}

/// The fields of a message, up to its end or to where it is damaged.
pub(super) struct Fields<'b> {
    rest: &'b [u8],
    /// The message ends within a field, or holds something that is none.
    pub damaged: bool,
}

pub(super) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes, damaged: false }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Field<'b>;

    fn next(&mut self) -> Option<Field<'b>> {
        if self.rest.is_empty() || self.damaged {
            return None;
        }
        let field = field(&mut self.rest);
        self.damaged = field.is_none();
        field
    }
}

fn field<'b>(rest: &mut &'b [u8]) -> Option<Field<'b>> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Bytes(take(rest, 8)?),
        2 => {
            let length = varint(rest)?;
            Value::Bytes(take(rest, usize::try_from(length).ok()?)?)
        }
        5 => Value::Bytes(take(rest, 4)?),
        _ => return None,
    };
    (key >> 3 != 0).then_some(Field { number: key >> 3, value })
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(byte & 0x7F).checked_shl(7 * place).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, 0x05, 0x06];
        let read: Vec<Field> = fields(&message).collect();
        assert_eq!(read[0], Field { number: 1, value: Value::Number(150) });
        assert_eq!(read[1].value.numbers().collect::<Vec<_>>(), [5, 6]);
    }

    #[test]
    fn lies_about_lengths_end_the_message() {
        for damaged in [&[0x12, 0xFF, 0xFF, 0x03, 1][..], &[0x08], &[0xFF; 12], &[0x07, 1], &[0]] {
            let mut fields = fields(damaged);
            assert_eq!(fields.by_ref().count(), 0, "{damaged:?}");
            assert!(fields.damaged);
        }
    }
}
