//! A port of the loopback address that is kept for one program.
//!
//! One that was found free and given back may be somebody else's when it is used. This one stays
//! bound without listening: the kernel gives it to nobody who takes any port, whoever connects is
//! refused, and a server that sets `SO_REUSEADDR`, as all servers do, can listen there.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// Kept until dropped.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    _bound: OwnedFd,
}

impl Port {
    /// Any port on which nobody listens.
    pub fn keep() -> Self {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
        let socket = socket.expect("there are descriptors left");
        sockopt::set_socket_reuseaddr(&socket, true).expect("any socket can");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        bind(&socket, &any).expect("a port is free");
        let bound = getsockname(&socket).map(SocketAddr::try_from);
        let bound = bound.expect("it is a socket").expect("of the internet");
        Self {
            number: bound.port(),
            _bound: socket,
        }
    }
}
