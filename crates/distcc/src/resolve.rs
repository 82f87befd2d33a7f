//! Names of hosts, and their addresses.
//!
//! Our C library is linked in, so that it knows `/etc/hosts` and DNS but none of the machine's
//! further sources (mDNS, the machine's own name, LDAP: `nsswitch.conf`). For a name that it does
//! not find the machine's own program `getent` is asked, which costs a process, but no
//! compile that would have worked without.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::process::{Command, Stdio};

use crate::settings::ChildEnvironment;

/// The addresses of a host, at least one, in the order in which to try them.
///
/// # Errors
/// The C library's reason.
pub(crate) fn addresses(
    host: &OsStr,
    port: u16,
    environment: &ChildEnvironment,
) -> io::Result<Vec<SocketAddr>> {
    let name = host
        .to_str()
        .ok_or_else(|| io::Error::other("not a host name"))?;
    match (name, port).to_socket_addrs() {
        Ok(found) => {
            let found: Vec<SocketAddr> = found.collect();
            match found.is_empty() {
                true => Err(io::Error::other("no address")),
                false => Ok(found),
            }
        }
        Err(error) => match by_getent(name, port, environment) {
            found if found.is_empty() => Err(error),
            found => Ok(found),
        },
    }
}

/// What `getent` knows, which may be nothing.
#[cold]
fn by_getent(name: &str, port: u16, environment: &ChildEnvironment) -> Vec<SocketAddr> {
    if name.starts_with('-') || name.contains(char::is_whitespace) {
        return Vec::new();
    }
    let output = Command::new("getent")
        .args(["ahosts", name])
        .env("PATH", &environment.path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    listed(&String::from_utf8_lossy(&text), port)
}

/// Lines are `ADDRESS KIND [NAME]`, each address once for each kind of socket.
pub(crate) fn listed(text: &str, port: u16) -> Vec<SocketAddr> {
    let streams = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        (words.next()? == "STREAM").then_some((address, port).into())
    });
    streams.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(path: &OsStr) -> ChildEnvironment {
        ChildEnvironment {
            depth: 0,
            path: path.to_owned(),
            path_changed: false,
        }
    }

    #[test]
    fn streams_are_listed() {
        let text =
            "::1             STREAM box\n::1             DGRAM  \n127.0.0.2 STREAM\nx STREAM\n";
        let found: Vec<String> = listed(text, 80).iter().map(SocketAddr::to_string).collect();
        assert_eq!(found, ["[::1]:80", "127.0.0.2:80"]);
    }

    #[test]
    fn a_name_that_nobody_knows_has_the_librarys_reason() {
        let none = environment("/nowhere".as_ref());
        assert!(addresses("no such host".as_ref(), 1, &none).is_err());
        let found = addresses("127.0.0.1".as_ref(), 7, &none).unwrap();
        assert_eq!(found, ["127.0.0.1:7".parse::<SocketAddr>().unwrap()]);
    }
}
