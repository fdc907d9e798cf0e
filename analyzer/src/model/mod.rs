//! Dumps -> incidents: what is true of one process over its successive dumps.
//!
//! Nothing here judges; it only makes facts comparable. A detector asks the [`Incident`].

mod activation;
mod call;
mod incident;
#[cfg(test)]
pub(crate) mod scene;

pub use activation::Activation;
pub use call::{Call, CallId};
pub use incident::{Incident, Member, MemberId, incidents};
