//! Names for the frames of this process, from the files that it has mapped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use sigquit_dump::{Dump, Module, Names, Profile};
use sigquit_symbolize::Symbolizer;

use crate::capture;
use crate::write::say;

/// What the kernel maps into every process, without a file.
const VDSO: &str = "[vdso]";
/// An image larger than this is none.
const LARGEST_IMAGE: u64 = 1 << 20;

/// Libraries that read debug information nest deeply.
const STACK: usize = 1 << 20;

/// For how long the names of one incident are waited for: a file may lie on a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Finds names for the frames of dumps, and tells those of each dump, by its place in the list.
///
/// They are found and told on a thread that ends with the work. So nothing remains of the tens of
/// megabytes that the work needs: an allocator seldom returns memory to the system while what
/// was allocated later is in use.
pub(crate) fn name(dumps: Vec<Dump>, tell: impl Fn(usize, &[Names]) + Send + Sync + 'static) {
    let (done, awaited) = sync_channel::<()>(1);
    let work = Arc::new(move || {
        name_here(&dumps, &tell);
        // Whoever waited may have lost patience.
        let _ = done.try_send(());
    });
    let builder = thread::Builder::new().name("sigquit-names".into()).stack_size(STACK);
    let theirs = Arc::clone(&work);
    let Ok(thread) = builder.spawn(move || theirs()) else { return work() };
    drop(work);
    if awaited.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        return say(format_args!("the names of an incident take long; it is complete without"));
    }
    // A panic has been told by the program's hook. Only the end of the thread frees its memory.
    drop(thread.join());
}

/// Finds names for the frames of a profile, and gives them to it.
pub(crate) fn name_profile(profile: &mut Profile) -> Vec<Names> {
    let (modules, frames) = (profile.dump.modules.clone(), profile.dump.frames.clone());
    let (tell, told) = channel();
    name(vec![Dump { modules, frames, ..Dump::default() }], move |_, names| {
        // Whoever waited may have lost patience.
        let _ = tell.send(names.to_vec());
    });
    let found: Vec<Names> = told.try_iter().flatten().collect();
    for names in &found {
        if let Some(frame) = profile.dump.frames.get_mut(names.frame.0 as usize) {
            (frame.symbols, frame.reason) = (names.symbols.clone(), names.reason);
        }
    }
    found
}

fn name_here(dumps: &[Dump], tell: &impl Fn(usize, &[Names])) {
    let mut symbolizer = symbolizer();
    for (place, dump) in dumps.iter().enumerate() {
        add_images(&mut symbolizer, dump);
        tell(place, &symbolizer.names(dump));
    }
}

/// A symbolizer for dumps of this process.
fn symbolizer() -> Symbolizer {
    let executable = std::fs::read_link("/proc/self/exe").ok();
    Symbolizer::new(move |module| {
        let debug_file = module.build_id.as_ref().and_then(|id| debug_file(&id.0));
        let is_executable = executable.as_ref().is_some_and(|exe| exe.as_os_str() == &*module.path);
        // This finds the file that was started even when another has taken its place.
        let started = is_executable.then(|| PathBuf::from("/proc/self/exe"));
        let path = PathBuf::from(&module.path);
        debug_file.into_iter().chain(started).chain([path]).collect()
    })
}

/// Where distributions put debug information that they have split from a binary.
fn debug_file(build_id: &str) -> Option<PathBuf> {
    let (folder, rest) = build_id.split_at_checked(2)?;
    Some(format!("/usr/lib/debug/.build-id/{folder}/{rest}.debug").into())
}

/// Takes what has no file from memory.
fn add_images(symbolizer: &mut Symbolizer, dump: &Dump) {
    if let Some(vdso) = dump.modules.iter().find(|module| module.path == VDSO) {
        symbolizer.add_image(vdso, &image(vdso));
    }
}

fn image(module: &Module) -> Vec<u8> {
    let length = module.end.saturating_sub(module.start).min(LARGEST_IMAGE);
    let mut bytes = vec![0; length as usize];
    let read = capture::read(module.start, &mut bytes);
    bytes.truncate(read);
    bytes
}
