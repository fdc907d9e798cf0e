//! What the kernel says of the process and of each thread, beside the stacks.
//!
//! One file a source; each takes the text and gives what it holds. Every source may be absent (an
//! old kernel, a container, a sandbox): its facts are then absent from the dump, and nothing else.

mod cgroup;
mod clock;
mod cpus;
mod futex;
#[path = "x86_64.rs"]
mod machine;
mod pressure;
mod process;
mod schedstat;
mod socket;
mod stat;
mod status;
mod syscall;
mod task;

pub(crate) use clock::{monotonic, now, thread_cpu};
pub(crate) use futex::{awaited_futex, futex};
pub(crate) use process::process;
pub(crate) use socket::sockets;
pub(crate) use task::Tasks;
