//! Answers in pieces: between our client and our include server only, over a socket of their own beside the include
//! server's, so that those of distcc 3.4 never meet them.
//!
//! ```text
//! client:          CDIR, ARGC n, n x ARGV      as ever
//! include server:  NFIL k, PIEC                and with the first byte the descriptor of a file
//! ```
//!
//! `NFIL` is that of the request to a compile server, 0 for "cannot do it"; then no descriptor comes, and no piece.
//! The pieces of the file, one behind the other, are what follows it there, `NAME`, `FILE` and `LINK` packets ready to
//! be sent: a client need not open, read and pack some 70 files. The file only grows, so that an answer stays what it
//! was, whatever happens to the files that it was made of.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

use crate::request::{Limits, RequestError};
use crate::stream::{read_body, read_header};
use crate::strings::Budget;
use crate::token::{put_number, put_packet};
use crate::{Header, Token};

/// Pieces, each as its place and its length, 4 bytes each, the highest first.
const PIECES: Token = Token(*b"PIEC");

const PIECE_BYTES: usize = 8;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Its place in bytes.
    pub start: u32,
    /// Its length.
    pub bytes: u32,
}

impl Piece {
    /// The place behind it.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.bytes)
    }
}

/// What a client has to send for a compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Files, links and folders; none means that the client has to preprocess by itself.
    pub files: u32,
    /// Where their packets are, in the order in which they are sent.
    pub pieces: Vec<Piece>,
}

impl Pieces {
    /// All bytes of all pieces.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.bytes)).sum()
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * Header::LEN + self.pieces.len() * PIECE_BYTES);
        put_number(&mut out, Token::NFIL, self.files);
        if self.files > 0 {
            let mut body = Vec::with_capacity(self.pieces.len() * PIECE_BYTES);
            for piece in &self.pieces {
                body.extend_from_slice(&piece.start.to_be_bytes());
                body.extend_from_slice(&piece.bytes.to_be_bytes());
            }
            put_packet(&mut out, PIECES, &body);
        }
        out
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::InvalidData`] where the bytes are no such answer.
    pub fn read(from: &mut impl Read, limits: Limits) -> io::Result<Self> {
        let invalid = |error: RequestError| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut header = |due: Token| -> io::Result<u32> {
            let header = Header::decode(&read_header(from)?).map_err(RequestError::Header);
            header
                .and_then(|header| header.expect(due).map_err(RequestError::Header))
                .map_err(invalid)
        };
        let files = header(Token::NFIL)?;
        Budget::bounded(Token::NFIL, files, limits.files).map_err(invalid)?;
        if files == 0 {
            return Ok(Self::default());
        }
        let bytes = header(PIECES)?;
        Budget::bounded(PIECES, bytes, limits.text_bytes).map_err(invalid)?;
        let body = read_body(from, bytes)?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        };
        let pieces = body
            .chunks_exact(PIECE_BYTES)
            .map(|piece| Piece {
                start: number(&piece[..4]),
                bytes: number(&piece[4..]),
            })
            .collect();
        Ok(Self { files, pieces })
    }
}

/// The socket for such answers beside an include server's own.
#[must_use]
pub fn socket_beside(port: &OsStr) -> OsString {
    let mut path = port.to_owned();
    path.push(".pieces");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_way() {
        let piece = |start, bytes| Piece { start, bytes };
        for pieces in [
            Pieces::default(),
            Pieces {
                files: 3,
                pieces: vec![piece(0, 7), piece(u32::MAX, u32::MAX)],
            },
        ] {
            let bytes = pieces.encode();
            let read = |mut bytes: &[u8]| Pieces::read(&mut bytes, Limits::default());
            assert_eq!(read(&bytes).unwrap(), pieces);
            for length in 0..bytes.len() {
                assert!(read(&bytes[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let check = |bytes: &[u8]| {
            let error = Pieces::read(&mut &*bytes, Limits::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        };
        check(b"NFILffffffff");
        check(b"NFIL00000001PIECffffffff");
        check(b"ARGC00000000");
        check(b"NFIL00000001ARGC00000000");
    }
}
