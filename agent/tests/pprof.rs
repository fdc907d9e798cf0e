//! A profile by the crate `pprof`, in a process of its own: the engine `ProcessTimer` keeps SIGPROF.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod burning;

use burning::finds_who_burns;
use sigquit::Engine;

#[test]
fn finds_who_burns_and_where() {
    // No more samples come than the kernel ticks.
    finds_who_burns(Engine::Pprof, "pprof", 99);
}
