//! Small loops in machine code.

use super::Process;

/// This process's own code, in which data below 0x8000_0000 may change.
pub(super) struct Toy;

impl Process for Toy {
    fn read(&self, address: u64, into: &mut [u8]) -> usize {
        crate::capture::read(address, into)
    }

    fn is_writable(&self, address: u64) -> bool {
        address < 0x8000_0000
    }
}

/// A loop, and the place in it at which it is looked at.
pub(super) struct Loop {
    pub place: u64,
}

macro_rules! toy {
    ($name:ident, $symbol:literal, $($line:literal)*) => {
        std::arch::global_asm!(concat!(".globl ", $symbol), $($line),*);
        pub(super) fn $name() -> Loop {
            unsafe extern "C" {
                #[link_name = $symbol]
                safe static PLACE: u8;
            }
            Loop { place: (&raw const PLACE) as u64 }
        }
    };
}

// while at < end { at = next[at]; length += 1 }, with a way through the frame
toy!(walk, "sigquit_toy_walk",
    "2: mov rax, [rdi + rax * 8]"
    "mov [rsp - 8], rax"
    "mov rax, [rsp - 8]"
    "sigquit_toy_walk:"
    "inc rcx"
    "cmp rax, rsi"
    "jb 2b"
    "ret");

// while rcx < end { sum += table[rcx]; rcx += 1 }
toy!(count, "sigquit_toy_count",
    "2: add rax, [rdi + rcx * 8]"
    "sigquit_toy_count:"
    "inc rcx"
    "cmp rcx, rsi"
    "jb 2b"
    "ret");

// while !flag { turns += 1 }
toy!(wait, "sigquit_toy_wait",
    "2: inc rcx"
    "sigquit_toy_wait:"
    "movzx eax, byte ptr [rdi + 8]"
    "test al, al"
    "je 2b"
    "ret");

// while !flag && turns < 1000 { turns += 1 }
toy!(wait_for_a_while, "sigquit_toy_wait_for_a_while",
    "2: inc rcx"
    "sigquit_toy_wait_for_a_while:"
    "cmp rcx, 1000"
    "jae 3f"
    "movzx eax, byte ptr [rdi + 8]"
    "test al, al"
    "je 2b"
    "3: ret");

// while wide > narrow { wide = (wide + narrow) / 2 }
toy!(halve, "sigquit_toy_halve",
    "2: addsd xmm0, xmm1"
    "mulsd xmm0, xmm2"
    "sigquit_toy_halve:"
    "ucomisd xmm0, xmm1"
    "ja 2b"
    "ret");

// loop { if peek(rdi) { break } }
toy!(calling, "sigquit_toy_calling",
    "2: call 3f"
    "sigquit_toy_calling:"
    "test eax, eax"
    "je 2b"
    "ret"
    "3: mov eax, [rdi]"
    "ret");

// while let Some(next) = at.next { *visits += 1; at = next }
toy!(writing, "sigquit_toy_writing",
    "2: inc qword ptr [rdx]"
    "mov rax, [rax]"
    "sigquit_toy_writing:"
    "test rax, rax"
    "jne 2b"
    "ret");
