//! Talking to a server: sending, reading the answer, and what can be wrong with it.
//!
//! An answer is kept in memory until it is complete, so that a server that dies in its middle
//! costs no more than another attempt. It takes about one read per 16 KiB.

use std::fmt;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use protocol::lzo::{self, LzoError};
use protocol::response::{Body, ResponseDecoder, ResponseError, Step};
use protocol::{Header, Token, Version, stream};

use crate::log::Reason;
use crate::transport::ConnectError;

/// Longest body that we take from a server, in bytes on the wire.
const MAX_WIRE_BYTES: u32 = 1 << 30;
/// Longest body after unpacking.
const MAX_BYTES: usize = 2 << 30;

/// What a server answered, bodies unpacked.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The protocol that was spoken.
    pub(crate) version: Version,
    /// How the compiler ended.
    pub(crate) status: ExitStatus,
    pub(crate) stderr: Vec<u8>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) object: Vec<u8>,
    pub(crate) dependencies: Vec<u8>,
    /// Bytes of the request, as they were sent.
    pub(crate) sent: u64,
    /// Bytes of the answer, as they came.
    pub(crate) received: u64,
}

/// What is wrong with a host.
#[derive(Debug)]
pub(crate) enum Fault {
    Connect(ConnectError),
    /// It closed the connection without a word: its way to refuse.
    NoAnswer,
    /// It does not do this, and says why.
    Refused(String),
    /// It closed the connection before this was complete.
    Closed(&'static str),
    /// It was silent for too long.
    TimedOut,
    Io(io::Error),
    /// It says what no server says.
    Response(ResponseError),
    /// It announces more than we take.
    TooLong {
        token: Token,
        bytes: u32,
    },
    /// A body cannot be unpacked.
    Lzo {
        token: Token,
        error: LzoError,
    },
}

impl Fault {
    /// Whether this machine has run out of something, so that the host is not to blame.
    pub(crate) fn is_this_machines(&self) -> bool {
        let error = match self {
            Self::Connect(
                ConnectError::Connect { error, .. } | ConnectError::Spawn { error, .. },
            )
            | Self::Io(error) => error,
            _ => return false,
        };
        matches!(
            error.raw_os_error(),
            Some(
                libc::EAGAIN
                    | libc::ENOMEM
                    | libc::ENFILE
                    | libc::EMFILE
                    | libc::ENOBUFS
                    | libc::EADDRNOTAVAIL
            )
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::NoAnswer => f.write_str(
                "server provided no answer. Is the server configured to allow access from your \
                 IP address? Is the server performing authentication and your client isn't? Does \
                 the server have the compiler installed? Is the server configured to access the \
                 compiler?",
            ),
            Self::Refused(reason) => write!(f, "server refused: {reason}"),
            Self::Closed(what) => write!(f, "unexpected eof while reading {what}"),
            Self::TimedOut => f.write_str("IO timeout"),
            Self::Io(error) => Reason(error).fmt(f),
            Self::Response(error) => error.fmt(f),
            Self::TooLong { token, bytes } => {
                write!(f, "{token} of {bytes} bytes is more than we take")
            }
            Self::Lzo { token, error } => write!(f, "{token}: {error}"),
        }
    }
}

impl Fault {
    /// What an error while sending says of the host.
    pub(crate) fn of_sending(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Self::NoAnswer,
            ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

/// Sends a part of a request. A server that refuses may have closed the connection before it read all, or anything.
pub(crate) fn send(to: &mut impl Write, bytes: &[u8]) -> Result<(), Fault> {
    to.write_all(bytes).map_err(Fault::of_sending)
}

/// Reads a whole answer to a request of `sent` bytes. `answering` is called when it begins.
pub(crate) fn receive(
    from: &mut impl Read,
    version: Version,
    sent: usize,
    answering: &mut dyn FnMut(),
) -> Result<Answer, Fault> {
    let mut from = BufReader::with_capacity(16 << 10, from);
    let mut decoder = ResponseDecoder::new(version);
    let mut answer = Answer {
        version,
        status: ExitStatus::default(),
        stderr: Vec::new(),
        stdout: Vec::new(),
        object: Vec::new(),
        dependencies: Vec::new(),
        sent: sent as u64,
        received: 0,
    };
    let mut due = None;
    loop {
        match decoder.step() {
            Step::Header => {
                let header = stream::read_header(&mut from).map_err(|error| broken(error, due))?;
                decoder.on_header(&header).map_err(Fault::Response)?;
                answer.received += Header::LEN as u64;
                if due.is_none() {
                    answering();
                }
                due = Some("the answer");
            }
            Step::Status(status) => answer.status = ExitStatus::from_raw(status.cast_signed()),
            Step::Body(body, bytes) => {
                let (place, what) = match body {
                    Body::Stderr => (&mut answer.stderr, "standard error"),
                    Body::Stdout => (&mut answer.stdout, "standard output"),
                    Body::Object => (&mut answer.object, "the object file"),
                    Body::Dependencies => (&mut answer.dependencies, "the dependency file"),
                };
                *place = read_body(&mut from, version, body.token(), bytes, what)?;
                answer.received += u64::from(bytes);
            }
            Step::End => return Ok(answer),
        }
    }
}

fn read_body(
    from: &mut impl Read,
    version: Version,
    token: Token,
    bytes: u32,
    what: &'static str,
) -> Result<Vec<u8>, Fault> {
    if bytes > MAX_WIRE_BYTES {
        return Err(Fault::TooLong { token, bytes });
    }
    let body = stream::read_body(from, bytes).map_err(|error| broken(error, Some(what)))?;
    if body.is_empty() || !version.is_compressed() {
        return Ok(body);
    }
    lzo::decompress(&body, MAX_BYTES).map_err(|error| Fault::Lzo { token, error })
}

/// What a failing read means; `due` is what was being read, none before the first byte.
fn broken(error: io::Error, due: Option<&'static str>) -> Fault {
    match (error.kind(), due) {
        (ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset, Some(what)) => Fault::Closed(what),
        (ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset, None) => Fault::NoAnswer,
        (ErrorKind::TimedOut, _) => Fault::TimedOut,
        _ => Fault::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::response::Response;

    fn received(version: Version, mut bytes: &[u8]) -> Result<Answer, String> {
        let mut answering = 0;
        let answer = receive(&mut bytes, version, 7, &mut || answering += 1);
        let began = answer.is_ok() || answering == 1;
        assert!(began || bytes.is_empty() || answering == 0);
        answer.map_err(|fault| fault.to_string())
    }

    fn sent(version: Version, status: u32) -> Vec<u8> {
        Response {
            version,
            status,
            stderr: b"warning\n",
            stdout: b"out",
            object: b"OBJECT",
            dependencies: b"a.o: a.c\n",
        }
        .encode()
    }

    #[test]
    fn a_part_of_a_request_is_one_write() {
        /// Counts what would be segments.
        struct Counting(Vec<usize>);
        impl Write for Counting {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(bytes.len());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let head = protocol::request::Head {
            version: Version::Lzo,
            cwd: None,
            argv: ["cc", "-c", "a.c", "-o", "a.o"].map(Into::into).into(),
        };
        let mut to = Counting(Vec::new());
        send(&mut to, &head.encode()).unwrap();
        assert_eq!(to.0, [head.encode().len()]);
    }

    #[test]
    fn answers_in_all_protocols() {
        for version in [Version::Plain, Version::Lzo, Version::Pump] {
            let answer = received(version, &sent(version, 0)).unwrap();
            assert!(answer.status.success());
            assert_eq!(answer.stderr, b"warning\n");
            assert_eq!(answer.stdout, b"out");
            assert_eq!(answer.object, b"OBJECT");
            let dependencies: &[u8] = match version {
                Version::Pump => b"a.o: a.c\n",
                _ => b"",
            };
            assert_eq!(answer.dependencies, dependencies);
        }
    }

    #[test]
    fn failures_carry_their_status() {
        let answer = received(Version::Lzo, &sent(Version::Lzo, 0x100)).unwrap();
        assert_eq!(answer.status.code(), Some(1));
        let answer = received(Version::Lzo, &sent(Version::Lzo, 11)).unwrap();
        assert_eq!(answer.status.signal(), Some(11));
    }

    #[test]
    fn what_this_machine_lacks_is_not_the_hosts_fault() {
        let io = |number| io::Error::from_raw_os_error(number);
        let address = "127.0.0.1:1".parse().unwrap();
        let connect = |number| {
            let error = io(number);
            Fault::Connect(ConnectError::Connect { address, error })
        };
        assert!(connect(libc::EADDRNOTAVAIL).is_this_machines());
        assert!(Fault::Io(io(libc::ENOBUFS)).is_this_machines());
        assert!(!connect(libc::ECONNREFUSED).is_this_machines());
        assert!(!Fault::NoAnswer.is_this_machines());
    }

    #[test]
    fn every_truncation_is_a_fault_of_the_host() {
        let whole = sent(Version::Pump, 0);
        for length in 0..whole.len() {
            let error = received(Version::Pump, &whole[..length]).unwrap_err();
            let expected = if length < 12 {
                "server provided no answer"
            } else {
                "unexpected eof while reading"
            };
            assert!(error.starts_with(expected), "{length}: {error}");
        }
    }

    #[test]
    fn bodies_are_bounded_and_checked() {
        let check = |bytes: &[u8], expected: &str| {
            let error = received(Version::Lzo, bytes).unwrap_err();
            assert_eq!(error, expected);
        };
        check(
            b"DONE00000002STAT00000000SERR50000000",
            "SERR of 1342177280 bytes is more than we take",
        );
        check(
            b"DONE00000002STAT00000000SERR00000002zz",
            "SERR: LZO1X block ends too early",
        );
    }
}
