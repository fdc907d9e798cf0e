//! The samples of a profile thread by thread, as viewers show them.

use sigquit_dump::{Profile, Sample, Unit};

/// The samples of one thread.
pub(super) struct Lane<'p> {
    /// What to call it.
    pub name: String,
    /// Its number, when there is one.
    pub tid: Option<u64>,
    /// What was sampled of it, in the order in which it came.
    pub samples: Vec<&'p Sample>,
}

/// The threads that have samples. What dumps show is one lane: each thread is one sample there.
pub(super) fn lanes(profile: &Profile) -> Vec<Lane<'_>> {
    if profile.unit == Unit::Threads {
        let name = profile.unit.noun().to_owned();
        return vec![Lane { name, tid: None, samples: profile.samples.iter().collect() }];
    }
    let mut lanes: Vec<Lane> = (0..profile.threads.len() as u32)
        .map(|thread| Lane {
            name: profile.thread_name(thread).unwrap_or_else(|| "all threads".to_owned()),
            tid: profile.threads[thread as usize].os_id,
            samples: Vec::new(),
        })
        .collect();
    for sample in &profile.samples {
        lanes[sample.thread as usize].samples.push(sample);
    }
    lanes.retain(|lane| !lane.samples.is_empty());
    lanes
}
