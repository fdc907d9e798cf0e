//! The one door to memory that may not be there.
//!
//! `process_vm_readv` on ourselves: the kernel copies, and a hole ends the copy instead of the
//! process. Good in a signal handler too.

use super::machine;

/// What the kernel checks as one piece: a hole costs the piece, not what was copied before it.
const PAGE: u64 = 4096;
/// Pieces in one call: as many as a copied stack can touch. They lie on the handler's stack.
const PIECES: usize = 17;

#[repr(C)]
#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    length: usize,
}

/// Reads from an address of our own process until the buffer is full or memory ends; how much.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    // SAFETY: the buffer is writable and as long as it says.
    unsafe { read_raw(address, buffer.as_mut_ptr(), buffer.len()) }
}

/// The same, into a place that no Rust reference may cover yet.
///
/// # Safety
/// `length` bytes are writable at `to`.
pub(crate) unsafe fn read_raw(address: u64, to: *mut u8, length: usize) -> usize {
    let mut done = 0;
    while done < length {
        let at = address.wrapping_add(done as u64);
        // SAFETY: what remains of the caller's place.
        let (asked, got) =
            unsafe { read_some(at, to.wrapping_add(done), length.wrapping_sub(done)) };
        done = done.wrapping_add(got);
        if got < asked {
            break;
        }
    }
    done
}

/// One call: how many bytes were asked for, and how many came.
///
/// # Safety
/// `length` bytes are writable at `to`.
unsafe fn read_some(address: u64, to: *mut u8, length: usize) -> (usize, usize) {
    let mut pieces = [Piece { start: 0, length: 0 }; PIECES];
    let (mut count, mut asked) = (0_usize, 0_usize);
    for piece in &mut pieces {
        let start = address.wrapping_add(asked as u64);
        let to_page_end = PAGE.wrapping_sub(start & (PAGE - 1)) as usize;
        let rest = length.wrapping_sub(asked);
        let take = if rest < to_page_end { rest } else { to_page_end };
        if take == 0 {
            break;
        }
        *piece = Piece { start: start as usize, length: take };
        count = count.wrapping_add(1);
        asked = asked.wrapping_add(take);
    }
    let local = Piece { start: to as usize, length: asked };
    let (local, remote) = (&raw const local as usize, &raw const pieces as usize);
    // SAFETY: both lists are alive, the local one names a place that the caller vouches for, and
    // the kernel checks the remote one. The process id is read each time: a child of fork differs.
    let got = unsafe {
        let pid = machine::syscall(libc::SYS_getpid, [0; 6]) as usize;
        machine::syscall(libc::SYS_process_vm_readv, [pid, local, 1, remote, count, 0])
    };
    (asked, if got < 0 { 0 } else { got as usize })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn reads_what_is_there_up_to_the_hole() {
        // SAFETY: a fresh mapping of two pages, of which the second is taken away again.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let base = libc::mmap(
                std::ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            );
            assert_ne!(base, libc::MAP_FAILED);
            base.cast::<u8>().write_bytes(7, 4096);
            assert_eq!(libc::mprotect(base.byte_add(4096), 4096, libc::PROT_NONE), 0);
            base as u64
        };
        let mut buffer = [0; 5000];
        assert_eq!(read(base + 96, &mut buffer), 4000);
        assert!(buffer[..4000].iter().all(|&byte| byte == 7));
        assert_eq!(read(0, &mut buffer), 0);
    }

    #[test]
    fn reads_more_than_one_call_can() {
        let source: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let mut copy = vec![0; source.len()];
        assert_eq!(read(source.as_ptr() as u64, &mut copy), source.len());
        assert_eq!(copy, source);
    }
}
