//! The process's own TCP sockets, asked of the kernel by number: whom it talks to, and where it
//! listens. With these, the dumps of two processes that talk to each other can be tied together.

use std::fs;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sigquit_dump::Socket;

/// A process can have a million sockets. Those with the lowest numbers were made first, among them
/// those that listen.
const LOOKED_AT: usize = 4096;
const TOLD: usize = 512;

/// The TCP sockets, those that listen first.
pub(crate) fn sockets() -> Vec<Socket> {
    let mut sockets: Vec<Socket> = numbers().into_iter().filter_map(socket).collect();
    sockets.sort_by_key(|socket| !socket.listens);
    sockets.truncate(TOLD);
    sockets
}

/// The lowest numbers of what is open.
fn numbers() -> Vec<i32> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut numbers: Vec<i32> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers.truncate(LOOKED_AT);
    numbers
}

/// What the kernel says of one; nothing when it is no TCP socket, or closed by now.
fn socket(fd: i32) -> Option<Socket> {
    if option(fd, libc::SO_TYPE)? != libc::SOCK_STREAM {
        return None;
    }
    let local = address(fd, libc::getsockname)?;
    let peer = address(fd, libc::getpeername);
    let listens = option(fd, libc::SO_ACCEPTCONN).is_some_and(|listens| listens != 0);
    Some(Socket { fd: u64::try_from(fd).ok()?, local, peer, listens })
}

/// An option of the socket that is a number.
fn option(fd: i32, name: i32) -> Option<i32> {
    let mut value: i32 = 0;
    let mut size = mem::size_of::<i32>() as libc::socklen_t;
    // SAFETY: the pointers are to live variables, and `size` says how large the value may be.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut size)
    };
    (result == 0).then_some(value)
}

type Ask = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32;

/// An address of the socket, when it is one of IP.
fn address(fd: i32, ask: Ask) -> Option<SocketAddr> {
    // SAFETY: all zeros are a valid value of this structure of numbers.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut size = mem::size_of_val(&storage) as libc::socklen_t;
    // SAFETY: the pointers are to live variables, and `size` says how large the address may be.
    let result = unsafe { ask(fd, (&raw mut storage).cast(), &raw mut size) };
    if result != 0 {
        return None;
    }
    let (ip, port) = match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the storage is large enough for, and aligned as, the address of any family; this
            // one holds the kernel's IPv4 address.
            let v4 = unsafe { &*(&raw const storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr));
            (IpAddr::V4(ip), u16::from_be(v4.sin_port))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, an IPv6 address.
            let v6 = unsafe { &*(&raw const storage).cast::<libc::sockaddr_in6>() };
            // An IPv4 peer of an IPv6 socket has one address at both ends.
            (Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical(), u16::from_be(v6.sin6_port))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_known_and_who_listens() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let known = sockets();
        let of = |fd: i32| *known.iter().find(|one| one.fd == fd as u64).unwrap();
        let (ask, answer) = (of(client.as_raw_fd()), of(server.as_raw_fd()));
        assert_eq!(ask.peer, Some(listener.local_addr().unwrap()));
        assert_eq!((Some(ask.local), ask.peer), (answer.peer, Some(answer.local)));
        assert!(of(listener.as_raw_fd()).listens && !ask.listens);
    }

    #[test]
    fn what_is_no_tcp_socket_is_none() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(socket(one.as_raw_fd()), None);
        assert_eq!(socket(-1), None);
    }
}
