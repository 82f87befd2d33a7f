//! Asks the kernel for the owner of one TCP socket, by its two ends.
//!
//! The table in `/proc` says the same, but has to be read as a whole: 12 ms with the 5,000
//! connections that a fast build leaves behind in TIME_WAIT, against 5 us for this question. Not
//! every kernel and sandbox answers it, so [`crate::same_user`] knows the table, too.
//!
//! Source: `sock_diag(7)`; all numbers are in the machine's order, but for ports and addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const IPPROTO_TCP: u8 = 6;
const TCP_ESTABLISHED: u8 = 1;

const HEADER: usize = 16;
const ENDS: usize = 36;

/// The owner of the established connection between these ends; `None` if there is none.
///
/// # Errors
/// The question could not be asked, or was not answered.
pub(crate) fn owner(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    rustix::net::send(&socket, &question(local, remote), SendFlags::empty())?;
    let mut answer = [0; 1024];
    // The answer is there when sending returns.
    let (_, len) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
    read(answer.get(..len).unwrap_or(&answer), local, remote)
}

fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = match local {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let mut body = vec![family.as_raw() as u8, IPPROTO_TCP, 0, 0]; // Both families are below 256.
    body.extend(u32::MAX.to_ne_bytes()); // In any state.
    body.extend(ends(local, remote));
    body.extend([0; 4]); // Of any interface.
    body.extend([0xff; 8]); // Whatever its cookie.

    let len = u32::try_from(HEADER + body.len()).expect("it is 72 bytes long");
    let mut message = Vec::new();
    message.extend(len.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]); // Sequence and port: this is the only conversation of its socket.
    message.extend(body);
    message
}

/// Ports, then addresses of 16 bytes each.
fn ends(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut bytes = [local.port().to_be_bytes(), remote.port().to_be_bytes()].concat();
    for address in [local.ip(), remote.ip()] {
        match address {
            IpAddr::V4(address) => {
                bytes.extend(address.octets());
                bytes.extend([0; 12]);
            }
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes
}

/// Reads an answer: the header, then family, state, timer, retransmissions, the ends, interface,
/// cookie, expiry, two queue lengths, owner.
fn read(answer: &[u8], local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let kind = u16::from_ne_bytes(field(answer, 4)?);
    if kind == NLMSG_ERROR {
        let errno = i32::from_ne_bytes(field(answer, HEADER)?).wrapping_neg();
        return match errno {
            libc::ENOENT => Ok(None),
            errno => Err(io::Error::from_raw_os_error(errno)),
        };
    }
    if kind != SOCK_DIAG_BY_FAMILY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let [state] = field(answer, HEADER + 1)?;
    let its_ends: [u8; ENDS] = field(answer, HEADER + 4)?;
    let owner = u32::from_ne_bytes(field(answer, HEADER + 4 + ENDS + 12 + 12)?);
    // Without such a connection the kernel may answer with a socket that listens there.
    let is_it = state == TCP_ESTABLISHED && its_ends[..] == ends(local, remote);
    Ok(is_it.then_some(owner))
}

fn field<const LEN: usize>(message: &[u8], at: usize) -> io::Result<[u8; LEN]> {
    let bytes = message
        .get(at..at + LEN)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn knows_the_owner_of_a_connection() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let uid = rustix::process::getuid().as_raw();
            assert_eq!(owner(local, remote).unwrap(), Some(uid));
            assert_eq!(owner(remote, remote).unwrap(), None, "only a listener");
            drop(client);
        }
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(owner(nobody, nobody).unwrap(), None);
    }

    #[test]
    fn fuzzed_answers() {
        let nobody = "127.0.0.1:1".parse().unwrap();
        fuzz::Target::new("kernel's answer about a socket")
            .seeds([question(nobody, nobody)])
            .run(|answer| {
                let _ = read(answer, nobody, nobody);
            });
    }

    #[test]
    fn short_answers_are_errors() {
        let nobody = "127.0.0.1:1".parse().unwrap();
        for len in 0..80 {
            let mut answer = question(nobody, nobody);
            answer.resize(len, 0);
            assert!(read(&answer, nobody, nobody).is_err(), "{len}");
        }
    }
}
