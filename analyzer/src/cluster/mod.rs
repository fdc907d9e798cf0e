//! Alike stacks together.

use crate::model::{Incident, MemberId};

/// Members that are in the same place: the same normalized stack and state.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The normalized stack's short name: stable across builds, what one searches for.
    pub signature: String,
    /// Normalized functions, innermost first.
    pub frames: Vec<String>,
    /// For each dump, how many members it shows here.
    pub per_dump: Vec<usize>,
    /// Members by state, in the source's words.
    pub states: Vec<(String, usize)>,
    /// Everyone in it is idle: parked, or a helper of the runtime.
    pub idle: bool,
    /// Who was here in the newest dump that shows anyone.
    pub members: Vec<MemberId>,
}

/// Groups an incident's members by where they are, the largest group first.
pub fn cluster(_incident: &Incident) -> Vec<Cluster> {
    Vec::new()
}
