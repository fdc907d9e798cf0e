//! Dumps -> incidents: what is true of one process over its successive dumps.
//!
//! Nothing here judges; it only makes facts comparable. A detector asks the [`Incident`].
//!
//! ```text
//! rule         what is known of each runtime, and what users add to it
//! normalize    function names without what differs between builds and runs
//! origin       whose code a function is
//! name         what a name says: type, method, words
//! native_wait  futex waits read as the locks that they are
//! maker        who makes what is made once, inferred
//! hand_run     who runs a task for all who ask for it, inferred
//! superclass   who initialises a class whose initialiser is on no stack, inferred
//! owner        other owners that no source names, inferred
//! doubt        inferences that the other dumps do not bear out
//! task         what async tasks wait for, and on which threads they run
//! wait_for     who waits for whom: cycles, root blockers
//! contention   the locks that are waited for, over the dumps
//! idle         who is idle, and why
//! activation   whether a thread stayed in the same call from dump to dump
//! activity     what a thread is doing
//! collector    what the garbage collector used
//! cpu          what CPU it used, beside what was to be had
//! peer         who waits for an answer from outside of the process
//! connection   which process has the other end of what is waited on
//! pool         what functions are to pools and queues of work
//! pool_use     who waits to borrow from a pool, and who has borrowed
//! statement    what a runtime's own words mean
//! samples      where the samples of a profile fell
//! stacked      stacks folded, for pictures of them
//! usage        tables of threads' CPU time, joined with the dumps beside them
//! merge        one profile made of several, and of dumps
//! kin          which dumps are of one process
//! known        who is who from dump to dump
//! asker        who took the dumps
//! moving       whether a queue moves
//! standstill   whether nothing moves, and who waits for others meanwhile
//! crew         workers of one pool, and queues that are full
//! incident     the dumps of one process, and the questions that they answer
//! ```
//!
//! What is particular to a runtime stands in lists of rules (`rule`), as `pattern`s of names.

mod activation;
mod activity;
mod asker;
mod call;
mod collector;
mod connection;
mod contention;
mod cpu;
mod crew;
mod doubt;
mod hand_run;
mod idle;
mod incident;
mod kin;
mod known;
mod maker;
mod merge;
mod moving;
mod name;
mod native_wait;
mod normalize;
mod origin;
mod owner;
pub(crate) mod pattern;
mod peer;
mod pool;
mod pool_use;
mod rule;
mod said;
mod samples;
#[cfg(test)]
pub(crate) mod scene;
mod sorts;
mod stacked;
mod standstill;
mod statement;
mod superclass;
mod task;
mod usage;
mod wait_for;

pub use activation::Activation;
pub use activity::Activity;
pub use call::{Call, CallId, Origin};
pub use connection::Connection;
pub(crate) use contention::A_BREATH;
pub use contention::{Contention, Sight};
pub use cpu::{Cpu, CpuUse};
pub use crew::QueueUse;
pub(crate) use crew::is_made_once;
pub use idle::Idle;
pub use incident::{Incident, Member, MemberId, Sort, incidents, incidents_by};
pub use merge::{merge, profile_of_dump};
pub(crate) use name::type_of;
pub use name::{FunctionName, is_within, words};
pub(crate) use peer::{asks_by_name, serves_by_name};
pub(crate) use pool::{gives, takes};
pub use pool_use::PoolUse;
pub(crate) use rule::is_helper_name;
pub use rule::{
    BUILT_IN as BUILT_IN_RULES, DOCUMENTATION as DOCUMENTATION_OF_RULES, RuleError, Ruled, Rules,
    Shown,
};
pub use samples::{Inside, Place, Samples};
pub use sorts::Sorts;
pub use statement::Statement;
pub use task::TaskWait;
pub(crate) use usage::without_dump;
pub use wait_for::{Cycle, Edge, WaitForGraph};
