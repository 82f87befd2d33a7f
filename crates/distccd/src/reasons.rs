//! Why connections were closed without an answer, for clients that ask ([`protocol::Token::WHYN`]).
//!
//! Closing is the protocol's only "no". A client of ours that meets it connects once more and asks, naming its end of
//! the first connection; nobody else's reasons are told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use crate::peer::Peer;

/// So many are kept: clients ask at once.
const MOST: usize = 256;
/// Bytes of one of them.
const LONGEST: usize = 1000;

/// The last reasons.
#[derive(Debug, Default)]
pub(crate) struct Reasons(Mutex<VecDeque<(SocketAddr, String)>>);

impl Reasons {
    /// The connection of `peer` is closed because of this.
    pub(crate) fn note(&self, peer: &Peer, reason: &str) {
        let Peer::Tcp(address) = peer else {
            return; // It has no name that a client could ask by.
        };
        let end = (0..=LONGEST.min(reason.len())).rfind(|&end| reason.is_char_boundary(end));
        let reason = &reason[..end.unwrap_or(0)];
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.len() == MOST {
            reasons.pop_front();
        }
        reasons.push_back((*address, reason.to_owned()));
    }

    /// Why the connection was closed that this client had from `port`.
    pub(crate) fn of(&self, peer: &Peer, port: u32) -> Option<String> {
        let Peer::Tcp(address) = peer else {
            return None;
        };
        let address = SocketAddr::new(address.ip(), u16::try_from(port).ok()?);
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Ports come again: the last one counts.
        let found = reasons.iter().rev().find(|(other, _)| *other == address);
        found.map(|(_, reason)| reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Tcp(address.parse().unwrap())
    }

    #[test]
    fn each_client_is_told_its_own_last_reason() {
        let reasons = Reasons::default();
        reasons.note(&peer("10.0.0.1:5"), "first");
        reasons.note(&peer("10.0.0.1:5"), "last");
        reasons.note(&peer("10.0.0.2:5"), "another's");
        reasons.note(&Peer::NotSocket, "nobody's");
        let told = |from: &str, port| reasons.of(&peer(from), port);
        assert_eq!(told("10.0.0.1:77", 5).as_deref(), Some("last"));
        assert_eq!(told("10.0.0.1:77", 6), None);
        assert_eq!(told("10.0.0.3:77", 5), None);
        assert_eq!(told("10.0.0.1:77", 65_541), None);
    }

    #[test]
    fn few_and_short_ones_are_kept() {
        let reasons = Reasons::default();
        reasons.note(&peer("10.0.0.1:1"), &"ä".repeat(1000));
        assert_eq!(reasons.of(&peer("10.0.0.1:2"), 1).unwrap().len(), LONGEST);
        for _ in 0..MOST {
            reasons.note(&peer("10.0.0.1:3"), "more");
        }
        assert_eq!(reasons.of(&peer("10.0.0.1:2"), 1), None);
    }
}
