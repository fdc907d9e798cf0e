//! `clusters`: alike stacks together, at the level that is wanted.

use std::io::{self, Write};

use super::arguments::{ClusterOutput, Clusters};
use super::progress::Progress;
use super::reading::{read_all, rules};
use super::surroundings::Surroundings;
use super::{DONE, WRONG, failed_output, output, say};
use crate::cluster::{Clustered, Level};
use crate::{model, render};

pub(super) fn run_clusters(
    asked: &Clusters,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let Some(rules) = rules(&asked.rules, err) else { return WRONG };
    let progress = Progress::start(surroundings.stderr_is_terminal, "reading");
    let read = read_all(&asked.reading, &progress);
    read.sentences().for_each(|sentence| say(err, &sentence));
    if !read.holds_a_dump() {
        return WRONG;
    }
    progress.say("clustering");
    let incidents = model::incidents_by(&rules, read.inputs);
    let level = Level::from(asked.level);
    let clustered: Vec<Clustered> =
        incidents.iter().map(|incident| Clustered::of(incident, level)).collect();
    drop(progress);
    let write = |out: &mut dyn Write| -> io::Result<()> {
        match asked.output {
            ClusterOutput::Text => render::clusters(&clustered, asked.least, out),
            ClusterOutput::Json => render::clusters_json(&clustered, level, asked.least, out),
        }
    };
    let written = match &asked.file {
        Some(path) => output::replace(path, write),
        None => write(out),
    };
    written.map_or_else(|error| failed_output(&error, DONE, err), |()| DONE)
}
