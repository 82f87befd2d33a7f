//! Requests: what a client says to a server.
//!
//! ```text
//! 1, 2:  DIST version, ARGC n, n x ARGV, DOTI bulk
//! 3:     DIST version, CDIR, ARGC n, n x ARGV, NFIL k, k x (NAME, then FILE bulk or LINK)
//! ```
//!
//! A client sends the head (everything up to the last `ARGV`) as soon as it is connected, and
//! the rest when the preprocessor or the include server has answered: any pause in between is
//! normal. It must not send a byte after the request nor close its sending side, since distccd
//! 3.4 takes either for a client that has gone.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::strings::{Budget, List, string};
use crate::token::{put_number, put_packet};
use crate::{Header, HeaderError, Token, Version, lzo};

/// What a request opens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The protocol of the whole conversation.
    pub version: Version,
    /// The client's working folder; protocol 3 only.
    pub cwd: Option<OsString>,
    /// The compiler command, argv\[0\] included; never empty.
    pub argv: Vec<OsString>,
}

impl Head {
    /// The bytes on the wire, `DIST` up to the last `ARGV`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        put_number(&mut out, Token::DIST, self.version.number());
        if let Some(cwd) = &self.cwd {
            put_packet(&mut out, Token::CDIR, cwd.as_bytes());
        }
        put_list(&mut out, &self.argv);
        out
    }
}

/// Appends the question why a server closed a connection without a byte. `port` is that of the client's own end of it.
/// Servers of ours answer with [`Token::NOPE`]; others close this connection, too.
pub fn put_why(out: &mut Vec<u8>, port: u16) {
    put_number(out, Token::WHYN, u32::from(port));
}

/// Appends `ARGC` and an `ARGV` for each string.
pub(crate) fn put_list(out: &mut Vec<u8>, strings: &[OsString]) {
    let count = u32::try_from(strings.len()).expect("no argument list is that long");
    put_number(out, Token::ARGC, count);
    for string in strings {
        put_packet(out, Token::ARGV, string.as_bytes());
    }
}

/// Appends bulk data as `version` packs it: raw in 1, an LZO1X block in 2 and 3, length 0 and
/// no body where `content` is empty. Serves `DOTI` and all bodies of a response.
pub fn put_bulk(out: &mut Vec<u8>, version: Version, token: Token, content: &[u8]) {
    if content.is_empty() || !version.is_compressed() {
        return put_packet(out, token, content);
    }
    // The block's length is known only behind it.
    let header = out.len();
    put_number(out, token, 0);
    let body = out.len();
    lzo::compress_into(content, out);
    let block = u32::try_from(out.len() - body).expect("callers keep bodies below 4 GiB");
    out[header..body].copy_from_slice(&Header::new(token, block).encode());
}

/// Appends `NFIL`, which opens the list of files of protocol 3.
pub fn put_file_count(out: &mut Vec<u8>, count: u32) {
    put_number(out, Token::NFIL, count);
}

/// Appends one file of protocol 3; `block` is its content as it travels, an LZO1X block or empty.
pub fn put_file(out: &mut Vec<u8>, name: &OsStr, block: &[u8]) {
    put_packet(out, Token::NAME, name.as_bytes());
    put_packet(out, Token::FILE, block);
}

/// Appends one symbolic link of protocol 3. Text that starts with `/` is meant relative to the
/// server's job root, other text is used verbatim.
pub fn put_link(out: &mut Vec<u8>, name: &OsStr, text: &OsStr) {
    put_packet(out, Token::NAME, name.as_bytes());
    put_packet(out, Token::LINK, text.as_bytes());
}

/// What a server accepts before it has looked at a request's sense.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arguments in a command.
    pub args: u32,
    /// Bytes in one string: an argument, a path, a link's text.
    pub text_bytes: u32,
    /// Bytes in all strings of a request together.
    pub all_text_bytes: u64,
    /// Files and links of a protocol 3 request.
    pub files: u32,
    /// Bytes of one body on the wire.
    pub body_bytes: u32,
}

impl Default for Limits {
    /// Far above any real compile, far below what hurts: 100,000 arguments, 1 MiB per string,
    /// 64 MiB of strings, 1,000,000 files, 1 GiB per body.
    fn default() -> Self {
        Self {
            args: 100_000,
            text_bytes: 1 << 20,
            all_text_bytes: 64 << 20,
            files: 1_000_000,
            body_bytes: 1 << 30,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// A header that is not the one due.
    Header(HeaderError),
    /// A protocol number that nobody speaks.
    Version(u32),
    /// `ARGC` 0: a command without a compiler.
    NoArguments,
    /// A string holds a zero byte, which no argument or path can.
    ZeroByte(Token),
    /// A count or length above its limit.
    TooLarge {
        /// The packet that announced it.
        token: Token,
        /// What it announced; for strings that only together are too long, their sum.
        got: u64,
        /// The limit.
        max: u64,
    },
}

/// What a request's reader has to do next; see [`RequestDecoder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read [`Header::LEN`] bytes and give them to [`RequestDecoder::on_header`].
    Header,
    /// Read this many bytes, within the limits, and give them to [`RequestDecoder::on_text`].
    Text {
        /// Length in bytes, possibly 0.
        bytes: u32,
    },
    /// The head is complete. Comes once.
    Head(Head),
    /// No request, but the question why the connection from this port was closed ([`put_why`]).
    Why {
        /// As it was sent: not checked.
        port: u32,
    },
    /// The preprocessed source follows: take this many bytes from the stream.
    Source {
        /// Length in bytes on the wire, within the limits.
        wire_bytes: u32,
    },
    /// A file follows: take this many bytes from the stream.
    File {
        /// Its path on the client, as it was sent: not checked.
        name: OsString,
        /// Length in bytes on the wire, within the limits.
        wire_bytes: u32,
    },
    /// A symbolic link, complete.
    Link {
        /// Its path on the client, as it was sent: not checked.
        name: OsString,
        /// Its text, as it was sent: not checked.
        text: OsString,
    },
    /// The request is complete.
    End,
}

/// Follows a request as it arrives: a state machine that is told what came and says what to do.
///
/// ```text
/// loop {
///     match decoder.step() {
///         Step::Header => decoder.on_header(&read_array()?)?,
///         Step::Text { bytes } => decoder.on_text(read_vec(bytes)?)?,
///         Step::Head(head) => ...,
///         Step::Source { wire_bytes } | Step::File { .. } => read or copy that many bytes,
///         Step::Link { .. } => ...,
///         Step::End => break,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RequestDecoder {
    budget: Budget,
    due: Due,
    list: List,
    version: Version,
    cwd: Option<OsString>,
    files_left: u32,
    name: OsString,
}

/// What has to come next.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Dist,
    Cdir,
    CdirText(u32),
    Argument,
    ArgumentText(u32),
    /// Everything has come for this step, which is handed out once.
    Give(Box<Step>),
    /// What comes after the head.
    Rest,
    Name,
    NameText(u32),
    FileOrLink,
    LinkText(u32),
    End,
}

impl RequestDecoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Budget::new(limits),
            due: Due::Dist,
            list: List::default(),
            version: Version::Plain,
            cwd: None,
            files_left: 0,
            name: OsString::new(),
        }
    }

    /// What to do next. Steps that carry something are given once.
    pub fn step(&mut self) -> Step {
        match &mut self.due {
            Due::Dist | Due::Cdir | Due::Argument | Due::Rest | Due::Name | Due::FileOrLink => {
                Step::Header
            }
            Due::CdirText(bytes)
            | Due::ArgumentText(bytes)
            | Due::NameText(bytes)
            | Due::LinkText(bytes) => Step::Text { bytes: *bytes },
            Due::Give(step) => {
                let step = std::mem::replace(&mut **step, Step::End);
                self.due = match step {
                    Step::Head(_) => Due::Rest,
                    Step::File { .. } | Step::Link { .. } if self.files_left > 0 => Due::Name,
                    _ => Due::End,
                };
                step
            }
            Due::End => Step::End,
        }
    }

    /// Takes the header that [`Step::Header`] asked for.
    ///
    /// # Errors
    /// [`RequestError`]: the connection cannot go on.
    pub fn on_header(&mut self, bytes: &[u8; Header::LEN]) -> Result<(), RequestError> {
        let header = Header::decode(bytes).map_err(|error| match self.due {
            Due::Dist => error.where_due(Token::DIST),
            _ => error,
        })?;
        self.due = match self.due {
            Due::Dist if header.token == Token::WHYN => {
                let port = header.value;
                Due::Give(Box::new(Step::Why { port }))
            }
            Due::Dist => {
                let number = header.expect(Token::DIST)?;
                self.version = Version::from_number(number).ok_or(RequestError::Version(number))?;
                match self.version {
                    Version::Pump => Due::Cdir,
                    _ => Due::Argument,
                }
            }
            Due::Cdir => {
                let bytes = header.expect(Token::CDIR)?;
                Due::CdirText(self.budget.text(Token::CDIR, bytes)?)
            }
            Due::Argument => match self.list.on_header(header, &mut self.budget)? {
                Some(bytes) => Due::ArgumentText(bytes),
                None if header.value == 0 => return Err(RequestError::NoArguments),
                None => Due::Argument,
            },
            Due::Rest if self.version == Version::Pump => {
                let count = header.expect(Token::NFIL)?;
                let max = self.budget.limits().files;
                self.files_left = Budget::bounded(Token::NFIL, count, max)?;
                match count {
                    0 => Due::End,
                    _ => Due::Name,
                }
            }
            Due::Rest => {
                let wire_bytes = self.body(Token::DOTI, header)?;
                Due::Give(Box::new(Step::Source { wire_bytes }))
            }
            Due::Name => {
                let bytes = header.expect(Token::NAME)?;
                Due::NameText(self.budget.text(Token::NAME, bytes)?)
            }
            Due::FileOrLink if header.token == Token::LINK => {
                Due::LinkText(self.budget.text(Token::LINK, header.value)?)
            }
            Due::FileOrLink => {
                let wire_bytes = self.body(Token::FILE, header)?;
                self.files_left -= 1;
                let name = std::mem::take(&mut self.name);
                Due::Give(Box::new(Step::File { name, wire_bytes }))
            }
            _ => unreachable!("a header was given where step() asked for something else"),
        };
        Ok(())
    }

    fn body(&self, token: Token, header: Header) -> Result<u32, RequestError> {
        let bytes = header.expect(token)?;
        Budget::bounded(token, bytes, self.budget.limits().body_bytes)
    }

    /// Takes the string that [`Step::Text`] asked for.
    ///
    /// # Errors
    /// [`RequestError::ZeroByte`].
    pub fn on_text(&mut self, text: Vec<u8>) -> Result<(), RequestError> {
        self.due = match self.due {
            Due::CdirText(_) => {
                self.cwd = Some(string(Token::CDIR, text)?);
                Due::Argument
            }
            Due::ArgumentText(_) => {
                self.list.on_text(text)?;
                match self.list.complete() {
                    None => Due::Argument,
                    Some(argv) => Due::Give(Box::new(Step::Head(Head {
                        version: self.version,
                        cwd: self.cwd.take(),
                        argv,
                    }))),
                }
            }
            Due::NameText(_) => {
                self.name = string(Token::NAME, text)?;
                Due::FileOrLink
            }
            Due::LinkText(_) => {
                self.files_left -= 1;
                Due::Give(Box::new(Step::Link {
                    name: std::mem::take(&mut self.name),
                    text: string(Token::LINK, text)?,
                }))
            }
            _ => unreachable!("a string was given where step() asked for something else"),
        };
        Ok(())
    }
}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Version(number) => {
                write!(f, "can't handle requested protocol version is {number}")
            }
            Self::NoArguments => f.write_str("request names no compiler: ARGC is 0"),
            Self::ZeroByte(token) => write!(f, "string of token \"{token}\" holds a zero byte"),
            Self::TooLarge { token, got, max } => write!(
                f,
                "token \"{token}\" announces {got}, more than the limit of {max}"
            ),
        }
    }
}

impl std::error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream;
    use proptest::prelude::*;

    /// Everything but headers and strings that a request holds, bodies as they travel.
    fn steps(mut bytes: &[u8], limits: Limits) -> Result<Vec<(Step, Vec<u8>)>, String> {
        let mut decoder = RequestDecoder::new(limits);
        let mut seen = Vec::new();
        let from = &mut bytes;
        let io = |e: std::io::Error| e.to_string();
        loop {
            match decoder.step() {
                Step::Header => decoder
                    .on_header(&stream::read_header(from).map_err(io)?)
                    .map_err(|e| e.to_string())?,
                Step::Text { bytes } => decoder
                    .on_text(stream::read_body(from, bytes).map_err(io)?)
                    .map_err(|e| e.to_string())?,
                Step::End => break,
                step => {
                    let body = match step {
                        Step::Source { wire_bytes } | Step::File { wire_bytes, .. } => {
                            stream::read_body(from, wire_bytes).map_err(io)?
                        }
                        _ => Vec::new(),
                    };
                    seen.push((step, body));
                }
            }
        }
        assert!(from.is_empty(), "{} bytes left", from.len());
        Ok(seen)
    }

    fn head(version: Version, cwd: Option<&str>, argv: &[&str]) -> Head {
        Head {
            version,
            cwd: cwd.map(Into::into),
            argv: argv.iter().map(Into::into).collect(),
        }
    }

    #[test]
    fn a_client_may_ask_why() {
        let mut bytes = Vec::new();
        put_why(&mut bytes, 50_000);
        assert_eq!(bytes, b"WHYN0000c350");
        let mut decoder = RequestDecoder::new(Limits::default());
        assert_eq!(decoder.step(), Step::Header);
        let header = bytes.try_into().unwrap();
        decoder.on_header(&header).unwrap();
        assert_eq!(decoder.step(), Step::Why { port: 50_000 });
        assert_eq!(decoder.step(), Step::End);
    }

    #[test]
    fn plain_request() {
        let head = head(Version::Plain, None, &["cc", "-c", ""]);
        let mut bytes = head.encode();
        assert_eq!(
            bytes,
            b"DIST00000001ARGC00000003ARGV00000002ccARGV00000002-cARGV00000000"
        );
        put_bulk(&mut bytes, Version::Plain, Token::DOTI, b"int x;");
        assert_eq!(
            steps(&bytes, Limits::default()).unwrap(),
            [
                (Step::Head(head), vec![]),
                (Step::Source { wire_bytes: 6 }, b"int x;".to_vec())
            ]
        );
    }

    #[test]
    fn empty_source_has_no_body_in_any_version() {
        for version in [Version::Plain, Version::Lzo] {
            let mut bytes = Vec::new();
            put_bulk(&mut bytes, version, Token::DOTI, b"");
            assert_eq!(bytes, b"DOTI00000000");
        }
    }

    #[test]
    fn pump_request_with_files_and_links() {
        let head = head(Version::Pump, Some("/w"), &["cc", "-c", "a.c"]);
        let mut bytes = head.encode();
        put_file_count(&mut bytes, 3);
        put_file(&mut bytes, "/w/a.c".as_ref(), b"\x12x\x11\0\0");
        put_link(&mut bytes, "/w/l".as_ref(), "/w/r".as_ref());
        put_file(&mut bytes, "/w/e".as_ref(), b"");
        let file = |name: &str, wire_bytes| Step::File {
            name: name.into(),
            wire_bytes,
        };
        assert_eq!(
            steps(&bytes, Limits::default()).unwrap(),
            [
                (Step::Head(head), vec![]),
                (file("/w/a.c", 5), b"\x12x\x11\0\0".to_vec()),
                (
                    Step::Link {
                        name: "/w/l".into(),
                        text: "/w/r".into()
                    },
                    vec![]
                ),
                (file("/w/e", 0), vec![]),
            ]
        );
    }

    #[test]
    fn every_truncation_is_noticed() {
        let mut bytes = head(Version::Pump, Some("/w"), &["cc", "-c"]).encode();
        put_file_count(&mut bytes, 1);
        put_file(&mut bytes, "/w/a.c".as_ref(), b"xyz");
        for len in 0..bytes.len() {
            assert!(steps(&bytes[..len], Limits::default()).is_err(), "{len}");
        }
    }

    #[test]
    fn refuses_what_no_client_sends() {
        let limits = Limits {
            args: 2,
            text_bytes: 10,
            all_text_bytes: 15,
            files: 3,
            body_bytes: 100,
        };
        for (bytes, error) in [
            (
                "GET / HTTP/1",
                "protocol derailment: expected token \"DIST\", got \"GET \"",
            ),
            (
                "ARGC00000001",
                "protocol derailment: expected token \"DIST\", got \"ARGC\"",
            ),
            (
                "DIST00000000",
                "can't handle requested protocol version is 0",
            ),
            (
                "DIST00000004",
                "can't handle requested protocol version is 4",
            ),
            (
                "DIST00000001ARGC00000000",
                "request names no compiler: ARGC is 0",
            ),
            (
                "DIST00000001ARGCffffffff",
                "token \"ARGC\" announces 4294967295, more than the limit of 2",
            ),
            (
                "DIST00000001ARGC00000001ARGV0000000b",
                "token \"ARGV\" announces 11, more than the limit of 10",
            ),
            (
                "DIST00000001ARGC00000002ARGV000000080000000\0ARGV00000008",
                "string of token \"ARGV\" holds a zero byte",
            ),
            (
                "DIST00000001ARGC00000002ARGV0000000800000000ARGV00000008",
                "token \"ARGV\" announces 16, more than the limit of 15",
            ),
            (
                "DIST00000001ARGC00000001ARGV00000001xDOTI00000065",
                "token \"DOTI\" announces 101, more than the limit of 100",
            ),
            (
                "DIST00000003ARGC00000001",
                "protocol derailment: expected token \"CDIR\", got \"ARGC\"",
            ),
            (
                "DIST00000003CDIR00000001/ARGC00000001ARGV00000001xNFIL00000004",
                "token \"NFIL\" announces 4, more than the limit of 3",
            ),
            (
                "DIST00000003CDIR00000001/ARGC00000001ARGV00000001xNFIL00000001NAME00000001/DOTI00000001",
                "protocol derailment: expected token \"FILE\", got \"DOTI\"",
            ),
        ] {
            assert_eq!(steps(bytes.as_bytes(), limits).unwrap_err(), error);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(
            tokens in prop::collection::vec((0usize..8, 0u32..4), 0..20),
            tail in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let names = [Token::DIST, Token::CDIR, Token::ARGC, Token::ARGV, Token::DOTI, Token::NFIL, Token::NAME, Token::FILE];
            let mut bytes = Vec::new();
            for (token, value) in tokens {
                put_number(&mut bytes, names[token], value);
                if matches!(token, 1 | 3 | 6 | 7) {
                    bytes.resize(bytes.len() + value as usize, b'x');
                }
            }
            bytes.extend(tail);
            bytes.resize(bytes.len() + 1, 0xff);
            let mut decoder = RequestDecoder::new(Limits::default());
            let from = &mut bytes.as_slice();
            loop {
                let done = match decoder.step() {
                    Step::Header => match stream::read_header(from) {
                        Ok(header) => decoder.on_header(&header).is_err(),
                        Err(_) => true,
                    },
                    Step::Text { bytes } => match stream::read_body(from, bytes) {
                        Ok(text) => decoder.on_text(text).is_err(),
                        Err(_) => true,
                    },
                    Step::End => true,
                    _ => false,
                };
                if done {
                    break;
                }
            }
        }
    }
}
