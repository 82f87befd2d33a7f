//! Which user is at the other end of a connection on this machine?
//!
//! For a private server: anybody on the machine can connect to a loopback port, but only the
//! user who started the server shall be served. TCP does not carry the user, but the kernel lists
//! it with each socket; the client's end is one of them.

use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use crate::peer::Peer;
use crate::sock_diag;

/// Whether the other end of `socket` belongs to the user with this number. False if the client
/// is on another machine.
pub(crate) fn is_user(socket: BorrowedFd<'_>, peer: &Peer, uid: u32) -> io::Result<bool> {
    match peer {
        Peer::Tcp(client) if client.ip().is_loopback() => {
            let server = SocketAddr::try_from(rustix::net::getsockname(socket.as_fd())?)
                .map_err(|_| io::ErrorKind::Unsupported)?;
            Ok(owner(*client, server)? == Some(uid))
        }
        Peer::Unix(_) => {
            let credentials = rustix::net::sockopt::socket_peercred(socket)?;
            Ok(credentials.uid.as_raw() == uid)
        }
        Peer::Tcp(_) | Peer::NotSocket => Ok(false),
    }
}

/// The owner of the established socket with these ends.
fn owner(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let (local, remote) = (canonical(local), canonical(remote));
    sock_diag::owner(local, remote).or_else(|_| owner_in_table(local, remote))
}

fn owner_in_table(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let ends = (local, remote);
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let file = match std::fs::File::open(table) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in BufReader::with_capacity(64 << 10, file).lines() {
            if let Some((local, remote, uid)) = row(&line?)
                && (local, remote) == ends
            {
                return Ok(Some(uid));
            }
        }
    }
    Ok(None)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Reads a line of the tables: both ends and the owner of an established connection.
///
/// ```text
///   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ...
///    1: 0100007F:ABBF 0100007F:CE3A 01 00000000:00000000 00:00000000 00000000     0 ...
/// ```
fn row(line: &str) -> Option<(SocketAddr, SocketAddr, u32)> {
    const ESTABLISHED: &str = "01";
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    if state != ESTABLISHED {
        return None;
    }
    let uid = words.nth(3)?.parse().ok()?;
    Some((end(local)?, end(remote)?, uid))
}

/// Reads an address: words of four bytes in the machine's order, and a port.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(canonical(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn check(listen: &str, connect_to: &str) {
        let Ok(listener) = TcpListener::bind(listen) else {
            assert!(listen.contains("::"), "no IPv4 on this machine?");
            return;
        };
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((connect_to, port)).unwrap();
        let (socket, address) = listener.accept().unwrap();
        let peer = Peer::Tcp(canonical(address));
        let uid = rustix::process::getuid().as_raw();
        assert!(is_user(socket.as_fd(), &peer, uid).unwrap(), "{listen}");
        assert!(!is_user(socket.as_fd(), &peer, uid + 1).unwrap());
        let ends = [client.local_addr().unwrap(), client.peer_addr().unwrap()].map(canonical);
        assert_eq!(owner_in_table(ends[0], ends[1]).unwrap(), Some(uid));
        assert_eq!(owner_in_table(ends[0], ends[0]).unwrap(), None);
    }

    #[test]
    fn finds_the_owner_of_a_connection() {
        check("127.0.0.1:0", "127.0.0.1");
        check("[::1]:0", "::1");
        check("[::]:0", "127.0.0.1");
    }

    #[test]
    fn an_address_of_another_machine_is_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer::Tcp("192.0.2.1:1".parse().unwrap());
        assert!(!is_user(listener.as_fd(), &peer, 0).unwrap());
        let peer = Peer::Tcp("127.0.0.1:1".parse().unwrap());
        assert!(!is_user(listener.as_fd(), &peer, 0).unwrap());
    }

    #[test]
    fn unix_sockets_say_it_themselves() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let uid = rustix::process::getuid().as_raw();
        let peer = Peer::Unix("".into());
        assert!(is_user(one.as_fd(), &peer, uid).unwrap());
        assert!(!is_user(one.as_fd(), &peer, uid + 1).unwrap());
    }

    #[test]
    fn fuzzed_rows() {
        let line = "   1: 0100007F:ABBF 0200007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 1";
        let wide = "   1: 0000000000000000FFFF00000100007F:0001 0000000000000000FFFF00000100007F:0001 01 0 0 0 0";
        fuzz::Target::new("row of a table of sockets")
            .seeds([line, wide])
            .words([" ", ":", "01", "0100007F:ABBF", "\u{e4}"])
            .run(|line| {
                row(&String::from_utf8_lossy(line));
            });
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_the_table() {
        let line = "   1: 0100007F:ABBF 0200007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 1";
        let expected = ("127.0.0.1:43967", "127.0.0.2:80");
        let expected = (
            expected.0.parse().unwrap(),
            expected.1.parse().unwrap(),
            1000,
        );
        assert_eq!(row(line), Some(expected));
        assert_eq!(row(&line.replace(" 01 ", " 06 ")), None);
        assert_eq!(
            end("0000000000000000FFFF00000100007F:0001"),
            Some("127.0.0.1:1".parse().unwrap())
        );
        assert_eq!(row("  sl  local_address rem_address   st"), None);
    }
}
