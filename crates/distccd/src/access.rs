//! Which clients may connect: the networks of `--allow` and `--allow-private`.
//!
//! IPv4 addresses that arrive inside IPv6 ones (`::ffff:10.0.0.1`, as a socket for both shows
//! them) are compared as the IPv4 addresses they are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use crate::fault::reason;

/// Networks; an address is allowed if one of them holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessList(Vec<Net>);

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    address: IpAddr,
    bits: u8,
}

/// Why a value of `--allow` is not a network.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NetError {
    Mask(String),
    Address { word: String, reason: String },
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mask(mask) => write!(f, "invalid mask \"{mask}\""),
            Self::Address { word, reason } => {
                write!(f, "can't parse internet address \"{word}\": {reason}")
            }
        }
    }
}

/// The networks that no client on the Internet can have an address in. 3.4 means to include
/// `::1`, and forgets it.
const PRIVATE: [(IpAddr, u8); 7] = [
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];

impl AccessList {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, net: Net) {
        self.0.push(net);
    }

    pub(crate) fn add_private(&mut self) {
        self.0
            .extend(PRIVATE.map(|(address, bits)| Net { address, bits }));
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.holds(address))
    }
}

impl Net {
    /// Reads `ADDRESS` or `ADDRESS/BITS`. A host name stands for its first address.
    pub(crate) fn parse(word: &str) -> Result<Self, NetError> {
        let (host, mask) = match word.split_once('/') {
            Some((host, mask)) => (host, Some(mask)),
            None => (word, None),
        };
        let address = resolve(host)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match mask {
            None => width,
            Some(mask) => mask
                .parse()
                .ok()
                .filter(|&bits| bits <= width)
                .ok_or_else(|| NetError::Mask(mask.to_owned()))?,
        };
        Ok(match (address, address.to_canonical()) {
            (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if bits >= 96 => Self {
                address: v4,
                bits: bits - 96,
            },
            _ => Self { address, bits },
        })
    }

    fn holds(self, address: IpAddr) -> bool {
        let (net, address, width) = match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                (u32::from(net).into(), u32::from(address).into(), 32)
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => (u128::from(net), u128::from(address), 128),
            _ => return false,
        };
        // A shift by all bits is the network of everything, and no valid shift.
        let differing = net ^ address;
        differing
            .checked_shr(width - u32::from(self.bits))
            .unwrap_or(0)
            == 0
    }
}

fn resolve(host: &str) -> Result<IpAddr, NetError> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let failed = |reason: String| NetError::Address {
        word: host.to_owned(),
        reason,
    };
    // Resolvers take `1.2.3` for 1.2.0.3; whoever wrote it has forgotten a number.
    if host
        .bytes()
        .all(|byte| byte == b'.' || byte.is_ascii_digit())
    {
        return Err(failed("not four numbers".into()));
    }
    let mut addresses = (host, 0)
        .to_socket_addrs()
        .map_err(|error| failed(reason(&error)))?;
    let first = addresses
        .next()
        .ok_or_else(|| failed("no address".into()))?;
    Ok(first.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nets: &[&str], address: &str, expected: bool) {
        let mut list = AccessList::default();
        for net in nets {
            list.add(Net::parse(net).unwrap());
        }
        let address = address.parse().unwrap();
        assert_eq!(list.allows(address), expected, "{nets:?} {address}");
    }

    #[test]
    fn masks() {
        check(&["10.1.2.3"], "10.1.2.3", true);
        check(&["10.1.2.3"], "10.1.2.4", false);
        check(&["10.1.2.3/8"], "10.9.9.9", true);
        check(&["10.1.2.3/8"], "11.1.2.3", false);
        check(&["0.0.0.0/0"], "255.1.2.3", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["2001:db8::/33"], "2001:db8:7fff::1", true);
        check(&["2001:db8::/33"], "2001:db8:8000::1", false);
        check(&["::/0"], "2001:db8::1", true);
        check(&["192.168.1.0/24", "10.0.0.0/8"], "10.0.0.1", true);
        check(&[], "127.0.0.1", false);
    }

    #[test]
    fn mapped_addresses_are_ipv4_addresses() {
        check(&["10.0.0.0/8"], "::ffff:10.1.2.3", true);
        check(&["::ffff:10.0.0.0/104"], "10.1.2.3", true);
        check(&["::ffff:10.0.0.0/104"], "11.1.2.3", false);
    }

    #[test]
    fn private_networks() {
        let mut list = AccessList::default();
        list.add_private();
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::2", false),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("fe80::1", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("::ffff:8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(list.allows(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn host_names_are_resolved() {
        let net = Net::parse("localhost").unwrap();
        assert!(net.address.is_loopback());
    }

    #[test]
    fn bad_values_are_named() {
        for (word, expected) in [
            ("1.2.3.4/33", "invalid mask \"33\""),
            ("1.2.3.4/", "invalid mask \"\""),
            ("::1/129", "invalid mask \"129\""),
            ("1.2.3.4/-1", "invalid mask \"-1\""),
        ] {
            assert_eq!(Net::parse(word).unwrap_err().to_string(), expected);
        }
        for word in ["1.2.3", "10", "1.2.3.4.5", "1.2.3.256"] {
            let expected = format!("can't parse internet address \"{word}\": not four numbers");
            assert_eq!(Net::parse(word).unwrap_err().to_string(), expected);
        }
        let error = Net::parse("no such.invalid").unwrap_err().to_string();
        assert!(error.starts_with("can't parse internet address \"no such.invalid\": "));
    }
}
