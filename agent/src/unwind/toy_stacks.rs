//! Stacks and unwind tables small enough to be checked by hand, of both machines.

use sigquit_dump::{Truncation, Trust};

use super::cfi::UnwindTable;
use super::machine::{Machine, RegisterFile};
use super::modules::Modules;
use super::{StackCopy, Unwinder, Unwound, aarch64, x86_64};

/// Where the toy program's code lies.
const CODE: u64 = 0x40_0000;
/// Where its functions begin: each has this much room.
const ROOM: u64 = 0x100;
/// Where its unwind table lies.
const FRAMES: u64 = 0x40_8000;
const INDEX: u64 = 0x40_9000;
/// Where its stack was copied from.
const STACK: u64 = 0x7000_0000;

const UNDEFINED_PC: &[u8] = &[0x07, 16];
const ADVANCE_1: u8 = 0x41;
const DEF_CFA_OFFSET: u8 = 0x0e;
const DEF_CFA_EXPRESSION: u8 = 0x0f;
const EXPRESSION: u8 = 0x10;
const NEGATE_RA_STATE: u8 = 0x2d;

/// DW_CFA_offset: a register is saved at CFA - 8 * n.
fn saved(register: u8, n: u8) -> [u8; 2] {
    [0x80 | register, n]
}

/// A function's instructions, and whether it is the frame of a signal.
struct Function<'a> {
    instructions: &'a [u8],
    is_signal_frame: bool,
}

fn function(instructions: &[u8]) -> Function<'_> {
    Function { instructions, is_signal_frame: false }
}

/// The unwind table of functions that lie one [`ROOM`] after the other, from [`CODE`] on.
fn table(return_address: u8, initial: &[u8], functions: &[Function<'_>]) -> UnwindTable {
    let mut frames = Vec::new();
    let mut index = vec![1, 0x04, 0x03, 0x04];
    index.extend(FRAMES.to_le_bytes());
    index.extend((functions.len() as u32).to_le_bytes());
    for (start, function) in (CODE..).step_by(ROOM as usize).zip(functions) {
        let augmentation: &[u8] = if function.is_signal_frame { b"zRS\0" } else { b"zR\0" };
        // Version, augmentation, code factor 1, data factor -8, return address, absolute pointers.
        let mut common = vec![0, 0, 0, 0, 1];
        common.extend(augmentation);
        common.extend([1, 0x78, return_address, 1, 0]);
        common.extend(initial);
        let common_at = record(&mut frames, &common);

        let mut entry = (frames.len() as u32 + 4 - common_at as u32).to_le_bytes().to_vec();
        entry.extend(start.to_le_bytes());
        entry.extend(ROOM.to_le_bytes());
        entry.push(0);
        entry.extend(function.instructions);
        let entry_at = record(&mut frames, &entry);
        index.extend(start.to_le_bytes());
        index.extend((FRAMES + entry_at as u64).to_le_bytes());
    }
    frames.extend([0; 4]);
    UnwindTable {
        index: index.into(),
        index_address: INDEX,
        frames: frames.into(),
        frames_address: FRAMES,
    }
}

/// Appends a record with its length, padded; where it begins.
fn record(frames: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let at = frames.len();
    let length = bytes.len().next_multiple_of(8) + 4;
    frames.extend((length as u32).to_le_bytes());
    frames.extend(bytes);
    frames.resize(at + 4 + length, 0);
    at
}

fn unwind<const N: usize>(table: UnwindTable, registers: &[(u16, u64)], words: &[u64]) -> Unwound<N>
where
    RegisterFile<N>: Machine,
{
    let mut unwinder =
        Unwinder { modules: Modules::of(CODE..CODE + 0x1_0000, table), ..Unwinder::default() };
    // The toy program is not in our own memory.
    unwinder.rereads = u32::MAX;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut file = RegisterFile::default();
    registers.iter().for_each(|&(number, value)| file.set(number, value));
    unwinder.unwind(file, StackCopy { start: STACK, bytes: &bytes })
}

mod on_x86_64 {
    use super::*;
    use x86_64::Registers;

    const SP: u16 = Registers::SP;
    const PC: u16 = Registers::PC;
    const RBX: u16 = 3;

    /// CFA = rsp + 8, return address at CFA - 8; three functions:
    ///
    /// ```text
    /// 0x40_0000 root:   nobody calls it
    /// 0x40_0100 middle: push rbx; call leaf; pop rbx; ret     (+1 the push, +6 the pop)
    /// 0x40_0200 leaf:   touches no stack
    /// ```
    fn program() -> UnwindTable {
        let [rbx, at] = saved(3, 2);
        let middle = [ADVANCE_1, DEF_CFA_OFFSET, 16, rbx, at, 0x46, DEF_CFA_OFFSET, 8];
        table(
            16,
            &[0x0c, 7, 8, 0x90, 1],
            &[function(UNDEFINED_PC), function(&middle), function(&[])],
        )
    }

    fn unwind_x86(table: UnwindTable, registers: &[(u16, u64)], words: &[u64]) -> Unwound<17> {
        super::unwind(table, registers, words)
    }

    #[test]
    fn a_leaf_its_caller_and_the_root() {
        let unwound = unwind_x86(
            program(),
            &[(PC, CODE + 0x205), (SP, STACK), (RBX, 42), (0, 1)],
            &[CODE + 0x106, 7, CODE + 0x10, 0],
        );
        assert_eq!(unwound.truncated, None);
        let [leaf, middle, root] = &unwound.frames[..] else { panic!("{unwound:#x?}") };
        assert_eq!((leaf.lookup_address, leaf.cfa), (CODE + 0x205, STACK + 8));
        assert_eq!((middle.pc, middle.lookup_address), (CODE + 0x106, CODE + 0x105));
        assert_eq!((middle.cfa, middle.trust), (STACK + 24, Trust::Cfi));
        assert_eq!(root.pc, CODE + 0x10);
        assert_eq!(middle.registers.get(RBX), Some(42), "the leaf has left it alone");
        assert_eq!(middle.registers.get(0), None, "rax is the leaf's");
        assert_eq!(root.registers.get(RBX), Some(7), "the middle function has saved it");
    }

    #[test]
    fn a_register_that_the_epilogue_has_popped_is_not_read_again() {
        let unwound =
            unwind_x86(program(), &[(PC, CODE + 0x107), (SP, STACK), (RBX, 42)], &[CODE + 0x10, 0]);
        assert_eq!(unwound.frames.len(), 2);
        assert_eq!(unwound.frames[1].registers.get(RBX), Some(42));
    }

    #[test]
    fn a_stack_that_was_cut_or_not_read_at_all_says_so() {
        let registers = [(PC, CODE + 0x103), (SP, STACK), (RBX, 42)];
        let unwound = unwind_x86(program(), &registers, &[7]);
        assert_eq!(unwound.truncated, Some(Truncation::StackCopyEnded));
        assert_eq!((unwound.frames.len(), unwound.frames[0].cfa), (1, STACK + 16));
        let unwound = unwind_x86(program(), &registers, &[]);
        assert_eq!(unwound.truncated, Some(Truncation::ForeignStack));
    }

    #[test]
    fn a_return_to_nowhere_is_shown_and_ends_the_stack() {
        let registers = [(PC, CODE + 0x205), (SP, STACK)];
        let unwound = unwind_x86(program(), &registers, &[0x1234_5678, 0]);
        assert_eq!(unwound.truncated, Some(Truncation::UnknownModule));
        assert_eq!(unwound.frames.last().map(|frame| frame.pc), Some(0x1234_5678));
        let unwound = unwind_x86(program(), &registers, &[0]);
        assert_eq!((unwound.truncated, unwound.frames.len()), (None, 1), "zero is the root's");
    }

    #[test]
    fn code_without_a_rule_is_left_by_the_frame_pointer_or_not_at_all() {
        let registers = [(PC, CODE + 0x905), (SP, STACK), (Registers::FP, STACK + 8)];
        let words = [0, STACK + 0x20, CODE + 0x10, 0];
        let unwound = unwind_x86(program(), &registers, &words);
        assert_eq!(unwound.truncated, None);
        assert_eq!(unwound.frames[1].trust, Trust::FramePointer);
        assert_eq!((unwound.frames[0].cfa, unwound.frames[1].pc), (STACK + 24, CODE + 0x10));
        let unwound = unwind_x86(program(), &registers, &[0, STACK + 0x20, 99, 0]);
        assert_eq!(unwound.truncated, Some(Truncation::NoUnwindTable));
        assert_eq!(unwound.frames.len(), 1, "99 is in no module: not a return address");
    }

    #[test]
    fn a_caller_that_does_not_lie_above_ends_the_stack() {
        // DW_CFA_def_cfa_expression: rsp - 8. The return address at CFA - 8 lies below the
        // stack pointer, where only what has been restored lies: the pc itself.
        let circle = [DEF_CFA_EXPRESSION, 2, 0x77, 0x78];
        let unwound = unwind_x86(
            table(16, &[0x0c, 7, 8, 0x90, 1], &[function(&circle)]),
            &[(PC, CODE + 5), (SP, STACK + 16)],
            &[CODE + 5; 8],
        );
        assert_eq!(unwound.truncated, Some(Truncation::DidNotAdvance));
        assert_eq!(unwound.frames.len(), 1);
    }

    #[test]
    fn a_recursion_without_end_is_cut() {
        let unwound = unwind_x86(
            program(),
            &[(PC, CODE + 0x205), (SP, STACK)],
            &[CODE + 0x210; super::super::DEPTH + 10],
        );
        assert_eq!(unwound.truncated, Some(Truncation::TooDeep));
    }

    #[test]
    fn a_signal_frame_gives_every_register_and_no_return_address() {
        // As the C library does it: each register at an address that an expression computes,
        // from the context that the kernel left on the stack.
        let word = |register: u8, n: u8| [EXPRESSION, register, 2, 0x77, 8 * n];
        let instructions: Vec<u8> = [word(7, 1), word(16, 2), word(3, 3), word(0, 4)]
            .into_iter()
            .flatten()
            .chain([DEF_CFA_EXPRESSION, 3, 0x77, 8, 0x06])
            .collect();
        let mut functions = vec![function(UNDEFINED_PC), function(&[])];
        functions.push(Function { instructions: &instructions, is_signal_frame: true });
        let unwound = unwind_x86(
            table(16, &[0x0c, 7, 8, 0x90, 1], &functions),
            &[(PC, CODE + 0x200), (SP, STACK)],
            &[0, STACK + 0x28, CODE + 0x100, 77, 88, CODE + 1],
        );
        assert_eq!(unwound.truncated, None);
        let [_, interrupted, root] = &unwound.frames[..] else { panic!("{unwound:#x?}") };
        assert_eq!(interrupted.lookup_address, CODE + 0x100, "its first instruction, not before");
        assert_eq!(interrupted.registers.get(RBX), Some(77));
        assert_eq!(interrupted.registers.get(0), Some(88), "the kernel has saved them all");
        assert_eq!((interrupted.cfa, root.pc), (STACK + 0x30, CODE + 1));
    }

    #[test]
    fn damage_in_the_table_is_said() {
        let mut damaged = program();
        let frames = damaged.frames.to_mut();
        let end = frames.len();
        frames.truncate(end / 2);
        let registers = [(PC, CODE + 0x205), (SP, STACK)];
        let unwound = unwind_x86(damaged, &registers, &[CODE + 1]);
        assert_eq!(unwound.truncated, Some(Truncation::BadUnwindTable));
        for cut in 0..40 {
            let mut cut_index = program();
            cut_index.index.to_mut().truncate(cut);
            assert!(unwind_x86(cut_index, &registers, &[CODE + 1]).truncated.is_some());
        }
    }
}

mod on_aarch64 {
    use super::*;
    use aarch64::Registers;

    const SP: u16 = Registers::SP;
    const PC: u16 = Registers::PC;
    const LR: u16 = 30;

    /// CFA = sp, return address in x30; three functions:
    ///
    /// ```text
    /// root:   nobody calls it
    /// middle: paciasp; stp x29, x30, [sp, #-32]!; str x19, [sp, #16]; bl leaf
    /// leaf:   touches no stack
    /// ```
    fn program() -> UnwindTable {
        let [[x29, a], [x30, b], [x19, c]] = [saved(29, 4), saved(30, 3), saved(19, 2)];
        let middle =
            [ADVANCE_1, NEGATE_RA_STATE, 0x44, DEF_CFA_OFFSET, 32, x29, a, x30, b, 0x44, x19, c];
        let root = [0x07, 30];
        table(30, &[0x0c, 31, 0], &[function(&root), function(&middle), function(&[])])
    }

    #[test]
    fn a_leaf_its_caller_with_a_signed_return_address_and_the_root() {
        let signed = 0x0031_0000_0000_0000;
        let unwound: Unwound<33> = unwind(
            program(),
            &[(PC, CODE + 0x208), (SP, STACK), (LR, CODE + 0x110), (29, STACK), (19, 5), (0, 1)],
            &[STACK + 0x40, signed | (CODE + 0x14), 6, 0],
        );
        assert_eq!(unwound.truncated, None);
        let [leaf, middle, root] = &unwound.frames[..] else { panic!("{unwound:#x?}") };
        assert_eq!((leaf.pc, leaf.cfa), (CODE + 0x208, STACK));
        assert_eq!((middle.pc, middle.cfa), (CODE + 0x110, STACK + 32));
        assert_eq!(middle.registers.get(19), Some(5));
        assert_eq!(middle.registers.get(0), None);
        assert_eq!((root.pc, root.registers.get(19)), (CODE + 0x14, Some(6)));
        assert_eq!(root.registers.get(29), Some(STACK + 0x40));
    }

    #[test]
    fn a_function_that_has_called_cannot_return_by_the_link_register_again() {
        // The middle function is interrupted before it has saved anything, and says that it was
        // called by a function without a frame: that one has no return address any more.
        let unwound: Unwound<33> =
            unwind(program(), &[(PC, CODE + 0x100), (SP, STACK), (LR, CODE + 0x210)], &[0; 4]);
        assert_eq!(unwound.frames.len(), 2);
        assert_eq!(unwound.truncated, Some(Truncation::BadUnwindTable));
    }

    #[test]
    fn code_without_a_rule_is_left_by_the_frame_record() {
        let unwound: Unwound<33> = unwind(
            program(),
            &[(PC, CODE + 0x904), (SP, STACK), (Registers::FP, STACK + 16)],
            &[0, 0, STACK + 0x40, CODE + 0x14],
        );
        assert_eq!(unwound.truncated, None);
        assert_eq!(
            (unwound.frames[1].pc, unwound.frames[1].trust),
            (CODE + 0x14, Trust::FramePointer)
        );
    }
}
