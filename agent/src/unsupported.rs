//! The agent where it cannot run: the same doors, and each says so.

use std::path::PathBuf;

use crate::error::{Error, Kind};
use crate::options::Options;

pub(crate) fn install(_: Options) -> Result<(), Error> {
    Err(Error::new(Kind::Unsupported))
}

pub(crate) fn dump_now() -> Result<PathBuf, Error> {
    Err(Error::new(Kind::Unsupported))
}
