//! What each client may have of what is finite: connections, memory for commands, room on disk.
//!
//! Nobody waits for a share, and nobody can take all: a client may have as much as stays free for
//! all others. So one alone gets half, two get a third each, and there is always something left for
//! the next one, without anybody's share being fixed beforehand.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::peer::Peer;

/// Who counts as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// A machine with this IPv4 address.
    V4([u8; 4]),
    /// All of an IPv6 network that one machine may choose its addresses from.
    V6([u8; 8]),
    /// Whoever comes without an internet address.
    Local,
}

impl Client {
    pub(crate) fn of(peer: &Peer) -> Self {
        Self::of_address(peer.address())
    }

    pub(crate) fn of_address(address: Option<SocketAddr>) -> Self {
        match address.map(|address| address.ip()) {
            Some(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
            None => Self::Local,
        }
    }
}

/// A finite quantity.
#[derive(Debug)]
pub(crate) struct Shares {
    total: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Only of clients that have some.
    by_client: HashMap<Client, u64>,
}

/// A part of it, until dropped.
#[derive(Debug)]
pub(crate) struct Part {
    shares: Arc<Shares>,
    client: Client,
    amount: u64,
}

impl Shares {
    pub(crate) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            total,
            state: Mutex::default(),
        })
    }

    /// Takes a part of `amount`, if the client may have that much.
    pub(crate) fn take(self: &Arc<Self>, client: Client, amount: u64) -> Option<Part> {
        let mut state = self.lock();
        let own = state.by_client.get(&client).copied().unwrap_or(0);
        let own = own.checked_add(amount)?;
        let used = state.used.checked_add(amount)?;
        if own > self.total.checked_sub(used)? {
            return None;
        }
        state.used = used;
        state.by_client.insert(client, own);
        drop(state);
        Some(Part {
            shares: Arc::clone(self),
            client,
            amount,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut state = self.shares.lock();
        state.used -= self.amount;
        if let Some(own) = state.by_client.get_mut(&self.client) {
            *own -= self.amount;
            if *own == 0 {
                state.by_client.remove(&self.client);
            }
        }
    }
}

/// What one job takes of a quantity, a little at a time.
#[derive(Debug)]
pub(crate) struct Growing {
    shares: Arc<Shares>,
    client: Client,
    parts: Vec<Part>,
    /// Taken, and not needed yet.
    left: u64,
}

impl Growing {
    /// No less is taken at once.
    const STEP: u64 = 1 << 20;

    pub(crate) fn new(shares: &Arc<Shares>, client: Client) -> Self {
        Self {
            shares: Arc::clone(shares),
            client,
            parts: Vec::new(),
            left: 0,
        }
    }

    /// Makes it larger; false if the client may not have that much.
    pub(crate) fn grow(&mut self, amount: u64) -> bool {
        if self.left < amount {
            let more = (amount - self.left).max(Self::STEP);
            let Some(part) = self.shares.take(self.client, more) else {
                return false;
            };
            self.parts.push(part);
            self.left += more;
        }
        self.left -= amount;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Client = Client::V4([10, 0, 0, 1]);
    const B: Client = Client::V4([10, 0, 0, 2]);
    const C: Client = Client::Local;

    /// As many parts of one as a client may have.
    fn fill(shares: &Arc<Shares>, client: Client) -> Vec<Part> {
        std::iter::from_fn(|| shares.take(client, 1)).collect()
    }

    #[test]
    fn the_greedy_leave_room_for_others() {
        let shares = Shares::new(12);
        let a = fill(&shares, A);
        assert_eq!(a.len(), 6);
        let b = fill(&shares, B);
        assert_eq!(b.len(), 3);
        let c = fill(&shares, C);
        assert_eq!(c.len(), 1);
        drop(a);
        assert_eq!(fill(&shares, C).len(), 3);
        drop((b, c));
        assert_eq!(shares.lock().used, 0);
        assert!(shares.lock().by_client.is_empty());
    }

    #[test]
    fn too_much_is_refused_at_once() {
        let shares = Shares::new(10);
        assert!(shares.take(A, 6).is_none());
        assert!(shares.take(A, u64::MAX).is_none());
        let part = shares.take(A, 5).unwrap();
        assert!(shares.take(A, u64::MAX).is_none());
        drop(part);
        assert!(shares.take(B, 5).is_some());
    }

    #[test]
    fn what_grows_takes_steps() {
        let shares = Shares::new(4 * Growing::STEP);
        let mut one = Growing::new(&shares, A);
        assert!(one.grow(1) && one.grow(Growing::STEP - 1));
        assert_eq!(shares.lock().used, Growing::STEP);
        assert!(one.grow(Growing::STEP));
        assert!(!one.grow(1));
        drop(one);
        assert_eq!(shares.lock().used, 0);
    }

    #[test]
    fn a_network_of_one_machine_is_one_client() {
        let client = |address: &str| Client::of(&Peer::Tcp(address.parse().unwrap()));
        assert_eq!(client("[2001:db8::1]:1"), client("[2001:db8::2:3]:4"));
        assert_ne!(client("[2001:db8::1]:1"), client("[2001:db8:0:1::1]:1"));
        assert_eq!(client("10.0.0.1:1"), client("10.0.0.1:2"));
        assert_ne!(client("10.0.0.1:1"), client("10.0.0.2:1"));
        assert_eq!(Client::of(&Peer::NotSocket), Client::Local);
    }
}
