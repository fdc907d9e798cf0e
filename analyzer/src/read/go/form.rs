//! How the two lines of a frame were printed before.
//!
//! Most lines of a large dump differ from lines that were read before in digits alone: those of
//! arguments and of addresses. Such lines are known by one comparison, sixteen bytes at a time:
//! no end of a line is looked for, and only those digits are read that may be an object's address.
//! What came one after the other lies one after the other in memory, where the processor gets it
//! before it is asked for.

use sigquit_dump::FrameId;

use super::frame::Call;
use super::number::{Number, numbers};

/// Every form that was met, and which came after which.
#[derive(Debug, Default)]
pub(super) struct Forms {
    all: Vec<Form>,
    /// The lines of all of them, with their ends, and with [`DIGIT`] where any digit may stand.
    lines: Vec<u8>,
    /// The numbers of all of them that may be addresses.
    told: Vec<Number>,
    /// The form of the last frame of the stack that is being read.
    last: Option<FormId>,
}

/// The number of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FormId(u32);

/// Two lines, but for some digits.
///
/// ```text
/// main.(*PriceBook).load(0xc0000644c0, {0x6ea7d1, 0x2})
///     /srv/app/main.go:39 +0xf1 fp=0xc00004da00 sp=0xc00004d9a8 pc=0x67bd71
/// ```
#[derive(Debug)]
struct Form {
    frame: FrameId,
    /// The function is the library's.
    of_library: bool,
    /// Where its lines begin among those of all, and how long they are.
    begin: u32,
    length: u16,
    /// How long the function's name is, which is followed by the arguments.
    function: u16,
    arguments: u16,
    /// Where the numbers begin that may be addresses, and how many these are.
    told: u32,
    told_count: u16,
    /// What came after it when it was met last: most likely it comes again.
    next: Option<FormId>,
    /// Another form of the same frame, and at last itself again.
    other: FormId,
}

/// Lines that have a known form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Formed<'f, 't> {
    pub frame: FrameId,
    pub of_library: bool,
    /// The lines with their ends.
    pub lines: &'t str,
    function: usize,
    arguments: usize,
    /// The numbers in the lines that may be addresses.
    pub told: &'f [Number],
}

impl<'t> Formed<'_, 't> {
    /// The call that the lines tell of.
    pub fn call(&self) -> Call<'t> {
        let (function, rest) = self.lines.split_at(self.function);
        Call { function, arguments: &rest[1..=self.arguments] }
    }
}

/// A frame that was met before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met<'t> {
    pub frame: FrameId,
    pub of_library: bool,
    pub call: Call<'t>,
    pub place: &'t str,
    /// How long its two lines are, with their ends.
    pub length: usize,
}

/// Any hexadecimal digit. No text has such a byte.
const DIGIT: u8 = 0xFF;
/// So many bytes are compared at once.
const BLOCK: usize = 16;

/// So many forms of one frame are kept.
const MOST: usize = 4;

impl Forms {
    /// Another stack begins.
    pub fn begin(&mut self) {
        self.last = None;
    }

    /// The frame with which a text begins, if it is the one that came next before.
    pub fn guess<'t>(&mut self, text: &'t str) -> Option<Formed<'_, 't>> {
        let next = self.all[self.last?.0 as usize].next;
        let id = self.find(next, text)?;
        self.last = Some(id);
        Some(self.formed(id, text))
    }

    /// The frame with which a text begins. `first` is the form of that frame that was met first, if
    /// one was; then there is one, unless there would be too many.
    pub fn learn<'t>(
        &mut self,
        first: &mut Option<FormId>,
        met: &Met,
        text: &'t str,
    ) -> Option<Formed<'_, 't>> {
        let id = self.find(*first, text).or_else(|| self.add(first, met, &text[..met.length]));
        // What comes next is the same after any form.
        if let Some(this) = id.or(*first)
            && let Some(last) = self.last.replace(this)
        {
            self.all[last.0 as usize].next = Some(this);
        }
        Some(self.formed(id?, text))
    }

    /// One of a frame's forms with which a text begins.
    fn find(&self, first: Option<FormId>, text: &str) -> Option<FormId> {
        self.of_frame(first).find(|id| {
            let form = &self.all[id.0 as usize];
            let lines = &self.lines[form.begin as usize..][..form.length as usize];
            text.as_bytes().get(..lines.len()).is_some_and(|text| are_alike(text, lines))
        })
    }

    /// The forms of a frame, from one of them on.
    fn of_frame(&self, first: Option<FormId>) -> impl Iterator<Item = FormId> {
        let other = move |id: &FormId| {
            Some(self.all[id.0 as usize].other).filter(|other| Some(*other) != first)
        };
        std::iter::successors(first, other)
    }

    fn formed<'t>(&self, id: FormId, text: &'t str) -> Formed<'_, 't> {
        let form = &self.all[id.0 as usize];
        Formed {
            frame: form.frame,
            of_library: form.of_library,
            lines: &text[..form.length as usize],
            function: form.function.into(),
            arguments: form.arguments.into(),
            told: &self.told[form.told as usize..][..form.told_count as usize],
        }
    }

    /// None where lines are longer than a form can say, where a frame has too many forms, or the
    /// lines have no end: what they begin may go on.
    fn add(&mut self, first: &mut Option<FormId>, met: &Met, lines: &str) -> Option<FormId> {
        let length = u16::try_from(lines.len()).ok().filter(|_| lines.ends_with('\n'))?;
        let (begin, told) = (self.lines.len(), self.told.len());
        let id = FormId(u32::try_from(self.all.len()).ok()?);
        let begins = u32::try_from(begin).ok()?;
        if self.of_frame(*first).count() == MOST {
            return None;
        }
        self.lines.extend_from_slice(lines.as_bytes());
        let form = &mut self.lines[begin..];
        let Met { frame, of_library, call, place, .. } = *met;
        let arguments = call.function.len() + 1;
        numbers(call.arguments, |number| {
            let number = Number { at: number.at + arguments as u16, ..number };
            form[number.range()].fill(DIGIT);
            self.told.extend(Some(number).filter(|number| number.may_be_address()));
        });
        let after = lines.rfind(place).map_or(lines.len(), |at| at + place.len());
        numbers(&lines[after..], |number| form[after..][number.range()].fill(DIGIT));
        let before = first.get_or_insert(id).0 as usize;
        let before = self.all.get_mut(before);
        let other = before.map_or(id, |form| std::mem::replace(&mut form.other, id));
        self.all.push(Form {
            other,
            frame,
            of_library,
            begin: begins,
            length,
            function: call.function.len() as u16,
            arguments: call.arguments.len() as u16,
            told: told as u32,
            told_count: (self.told.len() - told) as u16,
            next: None,
        });
        Some(id)
    }
}

/// Whether a text is what a form of the same length wants.
fn are_alike(text: &[u8], form: &[u8]) -> bool {
    let (Some(last), Some(last_of_form)) = (text.last_chunk(), form.last_chunk()) else {
        return false;
    };
    let (blocks, blocks_of_form) = (text.as_chunks().0, form.as_chunks().0);
    let mut alike = [u8::MAX; BLOCK];
    compare(last, last_of_form, &mut alike);
    for (text, form) in blocks.iter().zip(blocks_of_form) {
        compare(text, form, &mut alike);
    }
    alike == [u8::MAX; BLOCK]
}

/// Clears in `alike` what is another byte than the form wants. There is no branch, so that the
/// compiler makes one instruction of sixteen; and no call, which would cost as much again.
#[inline(always)]
fn compare(text: &[u8; BLOCK], form: &[u8; BLOCK], alike: &mut [u8; BLOCK]) {
    for at in 0..BLOCK {
        let (byte, wanted) = (text[at], form[at]);
        let is_digit = (byte.wrapping_sub(b'0') < 10) | (byte.wrapping_sub(b'a') < 6);
        let is_alike = (byte == wanted) | (is_digit & (wanted == DIGIT));
        alike[at] &= u8::from(is_alike).wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;

    /// Meets two lines once more, as one frame; whether they have a form now.
    fn meet(forms: &mut Forms, first: &mut Option<FormId>, call: &str, second: &str) -> bool {
        let text = format!("{call}\n{second}\n");
        let met = Met {
            frame: FrameId(7),
            of_library: false,
            call: frame::split(call).expect("a call"),
            place: frame::place_of_known(second).expect("a place"),
            length: text.len(),
        };
        forms.learn(first, &met, &text).is_some()
    }

    /// Forms that have met each of the lines once.
    fn forms(all: &[(&str, &str)]) -> (Forms, Option<FormId>) {
        let (mut forms, mut first) = (Forms::default(), None);
        for (call, second) in all {
            assert!(meet(&mut forms, &mut first, call, second), "{call}");
        }
        (forms, first)
    }

    #[test]
    fn only_digits_may_differ() {
        let (forms, first) =
            forms(&[("main.a0(0xc000123456, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x1c")]);
        let is = |call: &str, second: &str| {
            let text = format!("{call}\n{second}\nmain.b()");
            forms.find(first, &text).map(|id| {
                let formed = forms.formed(id, &text);
                assert_eq!(&text[formed.lines.len()..], "main.b()");
                assert_eq!((formed.call().function, formed.frame), ("main.a0", FrameId(7)));
                formed.call().arguments.to_owned()
            })
        };
        let other = is("main.a0(0xc000abcdef, {0x9?, 0xff})", "\t/0x1/m.go:1 +0x1d");
        assert_eq!(other.as_deref(), Some("0xc000abcdef, {0x9?, 0xff}"));
        for (call, second) in [
            ("main.a1(0xc000123456, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x1c"),
            ("main.a0(0xc000123456, {0x7, 0x1b})", "\t/0x1/m.go:1 +0x1c"),
            ("main.a0(0xc00012345g, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x1c"),
            ("main.a0(0xc00012345A, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x1c"),
            ("main.a0(0xc0001234567, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x1c"),
            ("main.a0(0xc000123456, {0x7?, 0x1b})", "\t/0x1/m.go:2 +0x1c"),
            ("main.a0(0xc000123456, {0x7?, 0x1b})", "\t/0x2/m.go:1 +0x1c"),
            ("main.a0(0xc000123456, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x1c3"),
            ("main.a0(0xc000123456, {0x7?, 0x1b})", "\t/0x1/m.go:1 +0x"),
        ] {
            assert_eq!(is(call, second), None, "{call}{second}");
        }
        assert_eq!(forms.find(first, "main.a0(0xc000123456, {0x7?, 0x1b})\n\t/0x1/m.go:1"), None);
    }

    #[test]
    fn a_frame_has_several_forms_but_not_any_number() {
        let place = "\t/m.go:1 +0x1c";
        let calls = ["main.a(0x1)", "main.a(0x12)", "main.a(0x123)", "main.a(0x1234)"];
        let (mut forms, mut first) = forms(&calls.map(|call| (call, place)));
        for call in calls {
            assert!(forms.find(first, &format!("{call}\n{place}\n")).is_some(), "{call}");
        }
        assert!(!meet(&mut forms, &mut first, "main.a(0x12345)", place));
    }

    #[test]
    fn lines_without_an_end_have_no_form() {
        let (mut forms, first) = forms(&[("main.a()", "\t/m.go:1 +0x1c")]);
        let text = "main.a()\n\t/m.go:1";
        let call = frame::split("main.a()").expect("a call");
        let met = Met {
            frame: FrameId(7),
            of_library: false,
            call,
            place: "/m.go:1",
            length: text.len(),
        };
        assert!(forms.learn(&mut first.clone(), &met, text).is_none());
    }

    #[test]
    fn what_came_next_is_guessed() {
        let (a, b) = (("main.a(0x1)", "\t/m.go:1 +0x1c"), ("main.bcd()", "\t/m.go:2 +0x1c"));
        let mut forms = Forms::default();
        for (call, place) in [a, b] {
            assert!(meet(&mut forms, &mut None, call, place));
        }
        let text = |(call, place)| format!("{call}\n{place}\n");
        forms.begin();
        assert!(forms.guess(&text(b)).is_none());
        forms.last = Some(FormId(0));
        assert!(forms.guess(&text(a)).is_none());
        assert!(forms.guess(&text(b)).is_some());
        assert_eq!(forms.last, Some(FormId(1)));
    }

    #[test]
    fn of_the_arguments_those_are_told_that_may_be_addresses() {
        let call = "main.a({0x7, 0x12345}, 0x1234, 0x123456?, 0xc000123456)";
        let (forms, _) = forms(&[(call, "\t/m.go:1 +0x123456")]);
        let told = forms.told.iter().map(|number| (number.value(call), number.is_first));
        let told: Vec<_> = told.collect();
        assert_eq!(told, [(7, true), (0x12345, false), (0xc000123456, false)]);
    }
}
