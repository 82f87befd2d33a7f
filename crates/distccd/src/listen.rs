//! Sockets to listen on: our own, or one that we were started with.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::fault::reason;

const BACKLOG: i32 = 1024;

/// What standard input is, which tells how we were started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// A socket with a client at its other end: inetd's "nowait".
    Connection,
    /// A socket to accept clients from: inetd's "wait", or a program that wants a private server.
    Listener,
    Other,
}

impl Stdin {
    pub(crate) fn look() -> Self {
        match sockopt::socket_acceptconn(rustix::stdio::stdin()) {
            Ok(true) => Self::Listener,
            Ok(false) => Self::Connection,
            Err(_) => Self::Other,
        }
    }
}

/// Takes standard input away as a socket, and leaves `/dev/null` in its place, so that closing
/// the socket closes it.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(socket)
}

/// Listens on `host`, or else on all addresses, IPv4 and IPv6, as far as the machine has them.
///
/// # Errors
/// 3.4's message.
pub(crate) fn listen(host: Option<&str>, port: u16) -> Result<OwnedFd, String> {
    let failed = |address: SocketAddr, errno: Errno| {
        let reason = reason(&errno.into());
        format!("bind of {address} failed: {reason}")
    };
    if let Some(host) = host {
        let address = resolve(host, port)?;
        return bind(address).map_err(|errno| failed(address, errno));
    }
    let any = |ip: IpAddr| SocketAddr::new(ip, port);
    match bind(any(Ipv6Addr::UNSPECIFIED.into())) {
        Ok(listener) => Ok(listener),
        Err(errno @ Errno::ADDRINUSE) => Err(failed(any(Ipv4Addr::UNSPECIFIED.into()), errno)),
        Err(_) => {
            let address = any(Ipv4Addr::UNSPECIFIED.into());
            bind(address).map_err(|errno| failed(address, errno))
        }
    }
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let failed =
        |reason: String| format!("getaddrinfo failed for host {host} service {port}: {reason}");
    (host, port)
        .to_socket_addrs()
        .map_err(|error| failed(reason(&error)))?
        .next()
        .ok_or_else(|| failed("no address".into()))
}

fn bind(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A server that is restarted must not wait for the connections of its predecessor.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Where a listener can be reached, for the log.
pub(crate) fn shown(listener: impl AsFd) -> String {
    match rustix::net::getsockname(listener).map(SocketAddr::try_from) {
        Ok(Ok(address)) => address.to_string(),
        _ => "a socket without internet address".into(),
    }
}

/// The port of a listener; 0 if it has none.
pub(crate) fn port(listener: impl AsFd) -> u16 {
    match rustix::net::getsockname(listener).map(SocketAddr::try_from) {
        Ok(Ok(address)) => address.port(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn all_addresses_include_the_loopback() {
        let listener = listen(None, 0).unwrap();
        TcpStream::connect(("127.0.0.1", port(&listener))).unwrap();
    }

    #[test]
    fn one_address() {
        let listener = listen(Some("127.0.0.1"), 0).unwrap();
        assert!(shown(&listener).starts_with("127.0.0.1:"));
        listen(Some("localhost"), 0).unwrap();
    }

    #[test]
    fn failures_are_named() {
        let taken = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(
            listen(None, port).unwrap_err(),
            format!("bind of 0.0.0.0:{port} failed: Address already in use")
        );
        assert_eq!(
            listen(Some("192.0.2.1"), port).unwrap_err(),
            format!("bind of 192.0.2.1:{port} failed: Cannot assign requested address")
        );
        let error = listen(Some("no such.invalid"), 1).unwrap_err();
        assert!(
            error.starts_with("getaddrinfo failed for host no such.invalid service 1: "),
            "{error}"
        );
    }
}
