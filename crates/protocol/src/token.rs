//! Packet headers: the twelve bytes in front of everything that distcc programs say.
//!
//! Four upper-case letters name the packet, eight hexadecimal digits are its parameter: the
//! length in bytes of a body that follows at once, or a number. We write lower-case digits as
//! distcc 3.4 does, and read digits of either case. What only its `strtoul` would accept
//! (`0x1b`, blanks, signs) no program ever sends, so it is an error here.

use std::fmt;

/// The name of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 4]);

impl Token {
    /// First packet of a request; the parameter is the protocol version.
    pub const DIST: Self = Self(*b"DIST");
    /// The client's working folder, a string.
    pub const CDIR: Self = Self(*b"CDIR");
    /// The number of `ARGV` packets that follow.
    pub const ARGC: Self = Self(*b"ARGC");
    /// One argument, a string.
    pub const ARGV: Self = Self(*b"ARGV");
    /// Preprocessed source, bulk data.
    pub const DOTI: Self = Self(*b"DOTI");
    /// The number of files and links that follow.
    pub const NFIL: Self = Self(*b"NFIL");
    /// Absolute path on the client of the `FILE` or `LINK` that follows.
    pub const NAME: Self = Self(*b"NAME");
    /// Content of a file, bulk data.
    pub const FILE: Self = Self(*b"FILE");
    /// Text of a symbolic link, a string.
    pub const LINK: Self = Self(*b"LINK");
    /// First packet of a response; the parameter is the protocol version.
    pub const DONE: Self = Self(*b"DONE");
    /// Asks why another connection was closed without an answer; the parameter is the client's port there. Between
    /// programs of ours only.
    pub const WHYN: Self = Self(*b"WHYN");
    /// The answer to that, a string.
    pub const NOPE: Self = Self(*b"NOPE");
    /// The compiler's `wait` status.
    pub const STAT: Self = Self(*b"STAT");
    /// The compiler's standard error, bulk data.
    pub const SERR: Self = Self(*b"SERR");
    /// The compiler's standard output, bulk data.
    pub const SOUT: Self = Self(*b"SOUT");
    /// The object file, bulk data.
    pub const DOTO: Self = Self(*b"DOTO");
    /// The dependency file, bulk data.
    pub const DOTD: Self = Self(*b"DOTD");
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A packet's name and parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is.
    pub token: Token,
    /// Body length in bytes, or a number, as the token says.
    pub value: u32,
}

/// Why twelve bytes are not the header that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Another token was due here: the peers have lost step, or this is not distcc at all.
    UnexpectedToken {
        /// What the protocol has here; of several possibilities the first.
        due: Token,
        /// What came.
        got: Token,
    },
    /// The parameter is not eight hexadecimal digits.
    BadParameter {
        /// The packet's name.
        token: Token,
        /// The eight bytes.
        got: [u8; 8],
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedToken { due, got } => {
                write!(
                    f,
                    "protocol derailment: expected token \"{due}\", got \"{got}\""
                )
            }
            Self::BadParameter { token, got } => write!(
                f,
                "failed to parse parameter of token \"{token}\": \"{}\" is not eight hexadecimal digits",
                got.escape_ascii()
            ),
        }
    }
}

impl std::error::Error for HeaderError {}

impl HeaderError {
    /// The same error where only `due` could come: that something else came says more than that
    /// its parameter is none (`GET / HTTP/1`).
    pub(crate) fn where_due(self, due: Token) -> Self {
        match self {
            Self::BadParameter { token, .. } if token != due => {
                Self::UnexpectedToken { due, got: token }
            }
            error => error,
        }
    }
}

impl Header {
    /// Length of every header in bytes.
    pub const LEN: usize = 12;

    /// A header from its parts.
    #[must_use]
    pub const fn new(token: Token, value: u32) -> Self {
        Self { token, value }
    }

    /// The twelve bytes.
    #[must_use]
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.token.0);
        for (digit, byte) in bytes[4..].iter_mut().enumerate() {
            let nibble = (self.value >> (28 - 4 * digit)) & 0xf;
            *byte = b"0123456789abcdef"[nibble as usize];
        }
        bytes
    }

    /// Reads twelve bytes.
    ///
    /// # Errors
    /// [`HeaderError::BadParameter`]. Whether the token is the one due is the caller's to ask,
    /// by [`Header::expect`].
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, HeaderError> {
        let [a, b, c, d, digits @ ..] = *bytes;
        let token = Token([a, b, c, d]);
        let mut value = 0;
        for digit in digits {
            let nibble = (digit as char)
                .to_digit(16)
                .ok_or(HeaderError::BadParameter { token, got: digits })?;
            value = value << 4 | nibble;
        }
        Ok(Self { token, value })
    }

    /// The parameter, if this is the packet that is due.
    ///
    /// # Errors
    /// [`HeaderError::UnexpectedToken`].
    pub fn expect(self, due: Token) -> Result<u32, HeaderError> {
        if self.token == due {
            Ok(self.value)
        } else {
            Err(HeaderError::UnexpectedToken {
                due,
                got: self.token,
            })
        }
    }
}

/// Appends a header and a body that travels as it is (strings, uncompressed bulk data).
///
/// # Panics
/// If `body` is longer than the 32-bit length on the wire can say; callers bound what they send.
pub fn put_packet(out: &mut Vec<u8>, token: Token, body: &[u8]) {
    let len = u32::try_from(body.len()).expect("callers keep bodies below 4 GiB");
    out.extend_from_slice(&Header::new(token, len).encode());
    out.extend_from_slice(body);
}

/// Appends a header whose parameter is a number.
pub fn put_number(out: &mut Vec<u8>, token: Token, value: u32) {
    out.extend_from_slice(&Header::new(token, value).encode());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_distcc_does() {
        assert_eq!(&Header::new(Token::DOTI, 0x91).encode(), b"DOTI00000091");
        assert_eq!(
            &Header::new(Token::STAT, u32::MAX).encode(),
            b"STATffffffff"
        );
    }

    #[test]
    fn decodes_digits_of_either_case() {
        let header = Header::decode(b"ARGV0000001B").unwrap();
        assert_eq!(header, Header::new(Token::ARGV, 0x1b));
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn refuses_parameters_that_are_not_eight_digits() {
        for bad in [
            b"ARGV    001b",
            b"ARGV0x00001b",
            b"ARGV-0000001",
            b"ARGV0000000g",
        ] {
            assert!(
                matches!(Header::decode(bad), Err(HeaderError::BadParameter { .. })),
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn tokens_are_case_sensitive() {
        let header = Header::decode(b"argc00000005").unwrap();
        assert_eq!(
            header.expect(Token::ARGC),
            Err(HeaderError::UnexpectedToken {
                due: Token::ARGC,
                got: Token(*b"argc")
            })
        );
    }
}
