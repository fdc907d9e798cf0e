//! The TCP sockets of a process: with whom it talks, and where it listens.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A TCP socket, as the kernel knew it. Two processes that hold the two ends of one connection hold two
/// of these, with the addresses the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The number by which system calls name it.
    pub fd: u64,
    /// The address of this end.
    pub local: SocketAddr,
    /// The address of the other end, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// It waits for others to connect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listens: bool,
}
