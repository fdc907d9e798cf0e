//! How a process says that it has the agent, to whoever wants to ask it for dumps.

use serde::{Deserialize, Serialize};

/// What a process with the agent keeps in a file in memory named [`Presence::NAME`], open for as
/// long as it lives. On Linux its descriptor is found under `/proc/PID/fd`, by the process's own
/// user; a process without one would be ended by SIGQUIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The process, as it knows itself. A child that was only forked off has the descriptor and
    /// not the agent.
    pub pid: u32,
    /// The number of the signal that asks for dumps.
    pub signal: i32,
    /// Where the folders of its incidents go; the first that can be written to.
    pub directories: Vec<String>,
    /// How the names of these folders begin, before `-PID-`.
    pub prefix: String,
}

impl Presence {
    /// The file's name.
    pub const NAME: &str = "sigquit-agent";

    /// What the file holds.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers and strings alone are always JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what a file holds; nothing when that is something else.
    pub fn read(bytes: &[u8]) -> Option<Presence> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let presence = Presence {
            pid: 7,
            signal: 3,
            directories: vec!["/tmp/orders".into(), "/tmp/\u{1f980} \"\n".into()],
            prefix: "orders".into(),
        };
        assert_eq!(Presence::read(&presence.to_bytes()), Some(presence));
        assert_eq!(Presence::read(b"{}"), None);
        assert_eq!(Presence::read(b"\xff"), None);
    }
}
