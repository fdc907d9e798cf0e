//! Which connection a member waits on, and which process has the other end.
//!
//! A system call names a socket by its number, and the agent's dumps say what is at both ends of each.
//! Two processes that hold the two ends of one connection are tied by a fact; that one listens
//! where the other has connected to, on one machine, ties them too: the connection may not be accepted yet.

use std::net::SocketAddr;

use sigquit_dump::{Kind, Nanos, Socket};

use super::incident::{Incident, MemberId};

/// Dumps further apart are not of one incident.
const NEAR: Nanos = Nanos(60_000_000_000);

/// The connection on which a member waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

impl Connection {
    /// The same, as the other end sees it.
    fn reversed(self) -> Connection {
        Connection { local: self.peer, peer: self.local }
    }
}

impl Incident {
    /// The connections on one of which a member waits in the newest dump: the one that its system call
    /// names. A task waits in none; it waits on one of those that its process made.
    pub fn waits_on(&self, id: MemberId) -> Vec<Connection> {
        let Some(newest) = self.dumps.len().checked_sub(1) else { return Vec::new() };
        let Some(thread) = self.thread(id, newest) else { return Vec::new() };
        if thread.kind == Kind::Task {
            let asks = self.asks_peer(id, newest).is_some();
            return if asks { self.made() } else { Vec::new() };
        }
        let fd = thread.syscall.as_ref().and_then(|call| call.arguments.first());
        let sockets = &self.dumps[newest].process.sockets;
        let socket = fd.and_then(|fd| sockets.iter().find(|socket| socket.fd == *fd));
        socket.and_then(connection).into_iter().collect()
    }

    /// The connections of the newest dump that the process made itself: not to where it listens.
    fn made(&self) -> Vec<Connection> {
        let sockets = || self.dumps.last().into_iter().flat_map(|dump| &dump.process.sockets);
        let listens = |port| sockets().any(|one| one.listens && one.local.port() == port);
        let made = sockets().filter_map(connection);
        made.filter(|connection| !listens(connection.local.port())).collect()
    }

    /// Whether the other end of a connection of another process is in this one, and waits for nothing to
    /// come from there.
    pub fn owes_answer(&self, other: &Incident, connection: Connection) -> bool {
        let reversed = connection.reversed();
        let sockets = || self.dumps.last().into_iter().flat_map(|dump| &dump.process.sockets);
        let is_near = self.is_near(other);
        if is_near && sockets().filter_map(self::connection).any(|one| one == reversed) {
            return !self.ids().any(|id| self.is_at(id, reversed));
        }
        let listens =
            sockets().any(|one| one.listens && takes(one.local, connection.peer, connection.local));
        is_near && listens && self.is_on_machine_of(other)
    }

    /// Whether a thread waits on that connection.
    fn is_at(&self, id: MemberId, connection: Connection) -> bool {
        let newest = self.dumps.len().saturating_sub(1);
        let is_thread = self.thread(id, newest).is_some_and(|thread| thread.kind == Kind::Thread);
        is_thread && self.waits_on(id).contains(&connection)
    }

    fn is_on_machine_of(&self, other: &Incident) -> bool {
        self.process.host.is_some() && self.process.host == other.process.host
    }

    /// Whether the dumps of two processes were taken at about the same time.
    fn is_near(&self, other: &Incident) -> bool {
        let range = |incident: &Incident| {
            let times = || incident.dumps.iter().filter_map(|dump| dump.time);
            Some((times().min()?, times().max()?))
        };
        let Some(((from, until), (other_from, other_until))) = range(self).zip(range(other)) else {
            return false;
        };
        from.since(other_until) <= NEAR && other_from.since(until) <= NEAR
    }
}

fn connection(socket: &Socket) -> Option<Connection> {
    socket.peer.map(|peer| Connection { local: socket.local, peer })
}

/// Whether a socket that listens there takes a connection from one address of its machine to another.
fn takes(listens: SocketAddr, to: SocketAddr, from: SocketAddr) -> bool {
    let of_machine = to.ip().is_loopback() || to.ip() == from.ip();
    let is_there = listens.ip() == to.ip() || listens.ip().is_unspecified();
    listens.port() == to.port() && is_there && of_machine
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, Syscall};

    use super::*;
    use crate::model::scene::Scene;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A process with sockets, whose thread `t` is in a system call on one of them.
    fn process(second: u64, sockets: &[(u64, &str, &str)], waits: u64) -> Incident {
        let scene = Scene::of(Runtime::Rust).dump(second, |moment| {
            moment.thread("t", &["recv"]).syscall =
                Some(Syscall { number: 0, arguments: vec![waits] });
            moment.dump.time = Some(Nanos::from_millis(1000 * second));
            moment.dump.process.host = Some("shop".into());
            let socket = |&(fd, local, peer): &(u64, &str, &str)| Socket {
                fd,
                local: at(local),
                peer: peer.parse().ok(),
                listens: peer == "listens",
            };
            moment.dump.process.sockets = sockets.iter().map(socket).collect();
        });
        scene.incident()
    }

    const ASKS: &[(u64, &str, &str)] = &[(5, "10.0.0.1:40000", "10.0.0.2:900")];

    fn is_tied(asks: &Incident, owes: &Incident) -> bool {
        let id = asks.named("t");
        let connections = asks.waits_on(id);
        !connections.is_empty() && connections.iter().all(|&one| owes.owes_answer(asks, one))
    }

    #[test]
    fn the_two_ends_of_one_connection_tie_two_processes() {
        let asks = process(0, ASKS, 5);
        let owes = process(3, &[(9, "10.0.0.2:900", "10.0.0.1:40000")], 1);
        assert!(is_tied(&asks, &owes));
        let other = process(3, &[(9, "10.0.0.2:900", "10.0.0.1:40001")], 1);
        assert!(!is_tied(&asks, &other), "another connection");
        let waits = process(3, &[(9, "10.0.0.2:900", "10.0.0.1:40000")], 9);
        assert!(!is_tied(&asks, &waits), "it waits for the one that asks");
        let long_ago = process(300, &[(9, "10.0.0.2:900", "10.0.0.1:40000")], 1);
        assert!(!is_tied(&asks, &long_ago));
        assert!(!is_tied(&process(0, ASKS, 6), &owes), "no socket is waited on");
    }

    #[test]
    fn who_listens_on_the_same_machine_has_not_accepted_yet() {
        let asks = process(0, &[(5, "127.0.0.1:40000", "127.0.0.1:900")], 5);
        assert!(is_tied(&asks, &process(0, &[(3, "0.0.0.0:900", "listens")], 1)));
        assert!(!is_tied(&asks, &process(0, &[(3, "0.0.0.0:901", "listens")], 1)));
        let far = process(0, ASKS, 5);
        assert!(!is_tied(&far, &process(0, &[(3, "0.0.0.0:900", "listens")], 1)), "elsewhere");
        let mut other_machine = process(0, &[(3, "0.0.0.0:900", "listens")], 1);
        other_machine.process.host = Some("depot".into());
        assert!(!is_tied(&asks, &other_machine));
    }
}
