//! Responses: what a server says to a client.
//!
//! ```text
//! DONE version, STAT status, SERR bulk, SOUT bulk, DOTO bulk
//! and, in protocol 3 after a status of 0, DOTD bulk
//! ```
//!
//! A server that will not do a job closes the connection without a byte: there is no packet for
//! an error.

use std::fmt;

use crate::request::put_bulk;
use crate::token::put_number;
use crate::{Header, HeaderError, Token, Version};

/// A whole response, bodies unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The protocol of the request.
    pub version: Version,
    /// The compiler's `wait` status: exit code in bits 8-15, signal in bits 0-6.
    pub status: u32,
    /// The compiler's standard error, the server's own warnings in front.
    pub stderr: &'a [u8],
    /// The compiler's standard output.
    pub stdout: &'a [u8],
    /// The object file; not sent after a failure.
    pub object: &'a [u8],
    /// The dependency file; sent in protocol 3 after a success only, and then always.
    pub dependencies: &'a [u8],
}

impl Response<'_> {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.object.len() / 2 + 256);
        put_number(&mut out, Token::DONE, self.version.number());
        put_number(&mut out, Token::STAT, self.status);
        put_bulk(&mut out, self.version, Token::SERR, self.stderr);
        put_bulk(&mut out, self.version, Token::SOUT, self.stdout);
        let succeeded = self.status == 0;
        let object = if succeeded { self.object } else { b"" };
        put_bulk(&mut out, self.version, Token::DOTO, object);
        if succeeded && self.version == Version::Pump {
            put_bulk(&mut out, self.version, Token::DOTD, self.dependencies);
        }
        out
    }
}

/// The bodies of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `SERR`
    Stderr,
    /// `SOUT`
    Stdout,
    /// `DOTO`
    Object,
    /// `DOTD`
    Dependencies,
}

/// Why a response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// A header that is not the one due.
    Header(HeaderError),
    /// The server answered in another protocol than it was asked in.
    Version {
        /// The request's.
        asked: Version,
        /// The number in `DONE`.
        got: u32,
    },
    /// The compiler failed, and yet an object is announced.
    ObjectAfterFailure,
}

/// What a response's reader has to do next; see [`ResponseDecoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read [`Header::LEN`] bytes and give them to [`ResponseDecoder::on_header`].
    Header,
    /// The compiler's `wait` status. Comes once, before the bodies.
    Status(u32),
    /// A body follows: take this many bytes from the stream (packed as the version says).
    Body(Body, u32),
    /// The response is complete.
    End,
}

/// Follows a response as it arrives, like [`crate::request::RequestDecoder`].
#[derive(Debug)]
pub struct ResponseDecoder {
    version: Version,
    status: u32,
    due: Due,
}

/// What has to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Done,
    Status,
    GiveStatus,
    Header(Body),
    Give(Body, u32),
    End,
}

impl ResponseDecoder {
    /// A decoder for the answer to a request made in `version`.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self {
            version,
            status: 0,
            due: Due::Done,
        }
    }

    /// What to do next. Steps that carry something are given once.
    pub fn step(&mut self) -> Step {
        let (step, due) = match self.due {
            Due::Done | Due::Status | Due::Header(_) => (Step::Header, self.due),
            Due::GiveStatus => (Step::Status(self.status), Due::Header(Body::Stderr)),
            Due::Give(body, bytes) => {
                let next = match body {
                    Body::Stderr => Due::Header(Body::Stdout),
                    Body::Stdout => Due::Header(Body::Object),
                    Body::Object if self.version == Version::Pump && self.status == 0 => {
                        Due::Header(Body::Dependencies)
                    }
                    Body::Object | Body::Dependencies => Due::End,
                };
                (Step::Body(body, bytes), next)
            }
            Due::End => (Step::End, Due::End),
        };
        self.due = due;
        step
    }

    /// Takes the header that [`Step::Header`] asked for.
    ///
    /// # Errors
    /// [`ResponseError`]: the connection cannot go on.
    pub fn on_header(&mut self, bytes: &[u8; Header::LEN]) -> Result<(), ResponseError> {
        let header = Header::decode(bytes)?;
        self.due = match self.due {
            Due::Done => {
                let got = header.expect(Token::DONE)?;
                if got != self.version.number() {
                    return Err(ResponseError::Version {
                        asked: self.version,
                        got,
                    });
                }
                Due::Status
            }
            Due::Status => {
                self.status = header.expect(Token::STAT)?;
                Due::GiveStatus
            }
            Due::Header(body) => {
                let bytes = header.expect(body.token())?;
                if body == Body::Object && self.status != 0 && bytes != 0 {
                    return Err(ResponseError::ObjectAfterFailure);
                }
                Due::Give(body, bytes)
            }
            _ => unreachable!("a header was given where step() asked for something else"),
        };
        Ok(())
    }
}

impl Body {
    /// The packet that carries it.
    #[must_use]
    pub fn token(self) -> Token {
        match self {
            Self::Stderr => Token::SERR,
            Self::Stdout => Token::SOUT,
            Self::Object => Token::DOTO,
            Self::Dependencies => Token::DOTD,
        }
    }
}

impl From<HeaderError> for ResponseError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Version { asked, got } => {
                let asked = asked.number();
                write!(f, "got version {got} not {asked} in response from server")
            }
            Self::ObjectAfterFailure => {
                f.write_str("remote compiler failed but also returned output")
            }
        }
    }
}

impl std::error::Error for ResponseError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream;

    fn steps(version: Version, mut bytes: &[u8]) -> Result<Vec<(Step, Vec<u8>)>, String> {
        let mut decoder = ResponseDecoder::new(version);
        let mut seen = Vec::new();
        let from = &mut bytes;
        loop {
            match decoder.step() {
                Step::Header => decoder
                    .on_header(&stream::read_header(from).map_err(|e| e.to_string())?)
                    .map_err(|e| e.to_string())?,
                Step::End => break,
                step => {
                    let body = match step {
                        Step::Body(_, len) => {
                            stream::read_body(from, len).map_err(|e| e.to_string())?
                        }
                        _ => Vec::new(),
                    };
                    seen.push((step, body));
                }
            }
        }
        assert!(from.is_empty());
        Ok(seen)
    }

    fn response(version: Version, status: u32) -> Response<'static> {
        Response {
            version,
            status,
            stderr: b"w",
            stdout: b"",
            object: b"ELF",
            dependencies: b"a.o: a.c\n",
        }
    }

    #[test]
    fn success_in_protocol_1() {
        let bytes = response(Version::Plain, 0).encode();
        assert_eq!(
            bytes,
            b"DONE00000001STAT00000000SERR00000001wSOUT00000000DOTO00000003ELF"
        );
        assert_eq!(
            steps(Version::Plain, &bytes).unwrap(),
            [
                (Step::Status(0), vec![]),
                (Step::Body(Body::Stderr, 1), b"w".to_vec()),
                (Step::Body(Body::Stdout, 0), vec![]),
                (Step::Body(Body::Object, 3), b"ELF".to_vec()),
            ]
        );
    }

    #[test]
    fn success_in_protocol_3_always_ends_in_dependencies() {
        let bytes = response(Version::Pump, 0).encode();
        let seen = steps(Version::Pump, &bytes).unwrap();
        assert!(matches!(seen[4].0, Step::Body(Body::Dependencies, _)));
        assert_eq!(
            crate::lzo::decompress(&seen[4].1, 99).unwrap(),
            b"a.o: a.c\n"
        );
    }

    #[test]
    fn failure_carries_neither_object_nor_dependencies() {
        let bytes = response(Version::Pump, 0x100).encode();
        assert!(bytes.ends_with(b"DOTO00000000"));
        assert_eq!(steps(Version::Pump, &bytes).unwrap().len(), 4);
    }

    #[test]
    fn every_truncation_is_noticed() {
        let bytes = response(Version::Pump, 0).encode();
        for len in 0..bytes.len() {
            assert!(steps(Version::Pump, &bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn refuses_what_no_server_says() {
        for (bytes, error) in [
            (
                "DONE00000002",
                "got version 2 not 1 in response from server",
            ),
            (
                "STAT00000000",
                "protocol derailment: expected token \"DONE\", got \"STAT\"",
            ),
            (
                "DONE00000001STAT00000100SERR00000000SOUT00000000DOTO00000001x",
                "remote compiler failed but also returned output",
            ),
        ] {
            assert_eq!(steps(Version::Plain, bytes.as_bytes()).unwrap_err(), error);
        }
    }
}
