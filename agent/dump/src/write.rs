//! Dump -> the sigquit format.

use std::io::{self, Write};

use crate::format::{End, Header, Named, Names, RecordRef, VERSION};
use crate::{Dump, FrameId, LockId, ModuleId, SpawnId, StackId, Thread};

/// Writes a dump, whole. What [`read`](crate::read) makes of it is equal to it.
///
/// # Errors
/// Those of the writer.
pub fn write(dump: &Dump, out: impl Write) -> io::Result<()> {
    write_with(dump, std::iter::empty(), out)
}

/// The same, with further threads after the dump's own: as many as there are, one at a time. What
/// they refer to stands in the dump.
///
/// # Errors
/// Those of the writer.
pub fn write_with(
    dump: &Dump,
    further: impl Iterator<Item = Thread>,
    mut out: impl Write,
) -> io::Result<()> {
    let out = &mut out;
    let header = Header {
        version: VERSION,
        time: dump.time,
        monotonic: dump.monotonic,
        series: dump.series.clone(),
        capture: dump.capture.clone(),
        task_capture: dump.task_capture.clone(),
        truncated: dump.truncated,
    };
    record(out, &RecordRef::Sigquit(&header))?;
    record(out, &RecordRef::Process(&dump.process))?;
    for (id, module) in (0..).map(ModuleId).zip(&dump.modules) {
        record(out, &RecordRef::Module((id, module)))?;
    }
    for (id, frame) in (0..).map(FrameId).zip(&dump.frames) {
        record(out, &RecordRef::Frame((id, frame)))?;
    }
    for (id, stack) in (0..).map(StackId).zip(&dump.stacks) {
        record(out, &RecordRef::Stack((id, stack)))?;
    }
    for (id, lock) in (0..).map(LockId).zip(&dump.locks) {
        record(out, &RecordRef::Lock((id, lock)))?;
    }
    for (id, spawn) in (0..).map(SpawnId).zip(&dump.spawns) {
        record(out, &RecordRef::Spawn((id, spawn)))?;
    }
    for runtime in &dump.async_runtimes {
        record(out, &RecordRef::AsyncRuntime(runtime))?;
    }
    let mut threads = 0;
    for thread in &dump.threads {
        record(out, &RecordRef::Thread((threads, thread)))?;
        threads += 1;
    }
    for thread in further {
        record(out, &RecordRef::Thread((threads, &thread)))?;
        threads += 1;
    }
    for notice in &dump.notices {
        record(out, &RecordRef::Notice(notice))?;
    }
    record(out, &RecordRef::End(End { threads: threads.into() }))
}

/// Writes the names that symbolizing found for a dump's frames, to be appended to what
/// [`write()`] left.
///
/// # Errors
/// Those of the writer.
pub fn write_names(names: &[Names], mut out: impl Write) -> io::Result<()> {
    let out = &mut out;
    for names in names {
        record(out, &RecordRef::Names(names))?;
    }
    record(out, &RecordRef::Named(Named { frames: names.len() as u64 }))
}

fn record(out: &mut impl Write, record: &RecordRef) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}
