//! One host with an address: connecting to it, and the test compile.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::options::Options;
use super::probe;

/// A connection that may not be made yet.
pub(super) struct Connection {
    pub(super) address: Ipv4Addr,
    pub(super) started: Instant,
    socket: TcpStream,
    /// None while connecting.
    compile: Option<Compile>,
}

/// A test compile that is under way.
struct Compile {
    since: Instant,
    /// How much of the request is sent.
    sent: usize,
    answer: probe::Answer,
}

/// What came of a step.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing new.
    Waiting,
    /// It is connected, and the test compile begins.
    Compiling,
    /// The host is up.
    Up,
    /// The host is down.
    Down(WhyDown),
}

/// Why a host is down.
#[derive(Debug)]
pub(super) enum WhyDown {
    CannotConnect(io::Error),
    /// It said that it cannot compile, or something that makes no sense.
    CannotCompile,
    ConnectTimeOut,
    CompileTimeOut,
}

impl Connection {
    /// Begins to connect.
    ///
    /// # Errors
    /// The connection is refused at once.
    pub(super) fn open(address: Ipv4Addr, port: u16, now: Instant) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &SocketAddrV4::new(address, port)) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self {
                address,
                started: now,
                socket: socket.into(),
                compile: None,
            }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// What has to become ready for the next step.
    pub(super) fn interest(&self, request: &[u8]) -> (BorrowedFd<'_>, PollFlags) {
        let flags = match &self.compile {
            None => PollFlags::OUT,
            Some(compile) if compile.sent < request.len() => PollFlags::IN | PollFlags::OUT,
            Some(_) => PollFlags::IN,
        };
        (self.socket.as_fd(), flags)
    }

    /// When our patience ends.
    pub(super) fn deadline(&self, options: &Options) -> Option<Instant> {
        match &self.compile {
            None => self.started.checked_add(options.connect?),
            Some(compile) => compile.since.checked_add(options.probe.as_ref()?.timeout),
        }
    }

    /// Goes on as far as it can without waiting. An empty `request` means that a host that can
    /// be connected to is up.
    pub(super) fn advance(
        &mut self,
        options: &Options,
        request: &[u8],
        now: Instant,
        is_ready: bool,
    ) -> Progress {
        let is_late = self
            .deadline(options)
            .is_some_and(|deadline| now >= deadline);
        let Some(compile) = &mut self.compile else {
            if is_ready {
                return match self.socket.take_error() {
                    Ok(Some(error)) | Err(error) => Progress::Down(WhyDown::CannotConnect(error)),
                    Ok(None) if request.is_empty() => Progress::Up,
                    Ok(None) => {
                        self.compile = Some(Compile {
                            since: now,
                            sent: 0,
                            answer: probe::Answer::new(options.version),
                        });
                        Progress::Compiling
                    }
                };
            }
            return match is_late {
                true => Progress::Down(WhyDown::ConnectTimeOut),
                false => Progress::Waiting,
            };
        };
        let said = match is_ready {
            true => compile.talk(&self.socket, request),
            false => Ok(None),
        };
        match said {
            Ok(Some(true)) => Progress::Up,
            Ok(Some(false)) | Err(_) => Progress::Down(WhyDown::CannotCompile),
            Ok(None) if is_late => Progress::Down(WhyDown::CompileTimeOut),
            Ok(None) => Progress::Waiting,
        }
    }
}

impl Compile {
    /// Sends and receives once each, so that a host with much to say does not keep the others
    /// waiting. Some: whether the host is up.
    fn talk(&mut self, mut socket: &TcpStream, request: &[u8]) -> io::Result<Option<bool>> {
        if self.sent < request.len() {
            self.sent += later(socket.write(&request[self.sent..]))?.unwrap_or(0);
        }
        let mut buffer = [0; 1 << 14];
        let got = later(socket.read(&mut buffer))?;
        Ok(match got {
            None => None,
            Some(0) => Some(self.answer.on_end()),
            Some(got) if self.answer.on_bytes(&buffer[..got]) => None,
            Some(_) => Some(false),
        })
    }
}

/// None for what can only be done later.
fn later(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

impl WhyDown {
    /// The message about `host`.
    pub(super) fn about(&self, host: impl fmt::Display) -> String {
        match self {
            Self::CannotConnect(error) => {
                let text = error.to_string();
                // The standard library's text says the number too.
                let number = error.raw_os_error().unwrap_or(0);
                let suffix = format!(" (os error {number})");
                let text = text.strip_suffix(&suffix).unwrap_or(&text);
                format!("Connecting to {host} failed with errno {number} = {text}")
            }
            Self::CannotCompile => format!("{host} cannot compile"),
            Self::ConnectTimeOut => format!("{host} timed out while connecting"),
            Self::CompileTimeOut => format!("{host} timed out while compiling"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::net::TcpListener;
    use std::time::Duration;

    fn options(args: &[&str]) -> Options {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Options::parse(&args).unwrap()
    }

    #[test]
    fn patience_ends_in_each_stage() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = options(&["-c100", "-k200", "-pcc"]);
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let open = || Connection::open(Ipv4Addr::LOCALHOST, port, start).unwrap();

        let mut slow = open();
        assert_eq!(slow.deadline(&options), Some(after(100)));
        let progress = slow.advance(&options, b"request", after(99), false);
        assert!(matches!(progress, Progress::Waiting), "{progress:?}");
        let progress = slow.advance(&options, b"request", after(100), false);
        assert!(
            matches!(progress, Progress::Down(WhyDown::ConnectTimeOut)),
            "{progress:?}"
        );

        // A connection that is ready at the last moment counts.
        let mut silent = open();
        let _accepted = (listener.accept().unwrap(), listener.accept().unwrap());
        let progress = silent.advance(&options, b"request", after(100), true);
        assert!(matches!(progress, Progress::Compiling), "{progress:?}");
        assert_eq!(silent.deadline(&options), Some(after(300)));
        let progress = silent.advance(&options, b"request", after(300), true);
        assert!(
            matches!(progress, Progress::Down(WhyDown::CompileTimeOut)),
            "{progress:?}"
        );
    }

    #[test]
    fn messages_are_those_of_3_4() {
        let refused = WhyDown::CannotConnect(Errno::CONNREFUSED.into());
        assert_eq!(
            refused.about("h"),
            "Connecting to h failed with errno 111 = Connection refused"
        );
        assert_eq!(
            WhyDown::CompileTimeOut.about("h"),
            "h timed out while compiling"
        );
    }
}
