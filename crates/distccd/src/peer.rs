//! Who is at the other end of a connection.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::net::SocketAddrAny;

/// The other end, as far as it has an address. `Display` gives the words of 3.4's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// With IPv4 addresses inside IPv6 ones taken out.
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// A pipe or file, in inetd mode.
    NotSocket,
}

impl Peer {
    pub(crate) fn of(address: SocketAddrAny) -> Self {
        if let Ok(address) = SocketAddr::try_from(address.clone()) {
            return Self::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()));
        }
        match rustix::net::SocketAddrUnix::try_from(address) {
            Ok(address) => Self::Unix(match address.path_bytes() {
                Some(path) => String::from_utf8_lossy(path).into_owned().into(),
                None => PathBuf::new(),
            }),
            Err(_) => Self::NotSocket,
        }
    }

    /// The internet address, if it has one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::NotSocket => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "UNIX-DOMAIN {}", path.display()),
            Self::NotSocket => f.write_str("NOTSOCKET"),
        }
    }
}
