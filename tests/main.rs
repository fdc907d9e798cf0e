//! Whole-system tests, in one binary: one module a topic.

/// `sigquit dump PID` asks a process that runs.
mod dump_command;
/// A victim hangs, the agent dumps, the analyzer names the culprit.
mod end_to_end;
/// Dumps made up by dice, for the properties below.
mod generate;
/// Every dump under `fixtures/`, and the report that we owe it.
mod golden;
/// A victim that hangs and is dumped, for the other modules.
mod incident;
/// Keeps the dumps of a victim as a fixture.
mod record;
/// What `sigquit analyze` says, as the other modules ask it.
mod report;
/// Properties of the file format: what was written is read, and nothing that is read harms.
mod roundtrip;
#[path = "../fixtures/programs/running.rs"]
mod running;
/// Programs that are set aside, as fixtures.
mod set_aside;
/// Dumps of several processes of one incident: which one is to be looked at first.
mod several;
/// Async tasks: what dumps show of each, against what the victim knows, and who is named.
mod tasks;
/// Locks that record their owners: who is named, and the places, against what the victim knows.
mod tracked;
