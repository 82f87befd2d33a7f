//! Connections to servers: TCP, or a server that ssh starts for us.
//!
//! Both read and write like any stream, with a limit on each silence; what is said over them
//! knows nothing of their kind.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use hosts::Transport;
use protocol::pieces::Piece;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::net::sockopt::set_tcp_cork;

use crate::child::{self, Child};
use crate::log::Reason;
use crate::resolve;
use crate::settings::{ChildEnvironment, Settings};

/// How long one address gets to answer. 3.4 has the same constant.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long an ssh over which all was said gets to end.
const SSH_PATIENCE: Duration = Duration::from_secs(5);

/// What goes to an ssh at a time: as much as a pipe holds.
const SSH_BUFFER_BYTES: usize = 64 << 10;

/// Why there is no connection. `Display` gives 3.4's words.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The name means no address.
    Resolve {
        host: OsString,
        port: u16,
        error: io::Error,
    },
    /// The last of its addresses does not answer.
    Connect {
        address: SocketAddr,
        error: io::Error,
    },
    /// ssh cannot be started.
    Spawn { program: OsString, error: io::Error },
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, port, error } => write!(
                f,
                "failed to resolve host {} port {port}: {}",
                host.display(),
                Reason(error)
            ),
            Self::Connect { address, error } => {
                write!(
                    f,
                    "nonblocking connect to {address} failed: {}",
                    Reason(error)
                )
            }
            Self::Spawn { program, error } if child::is_shortage(error) => {
                let program = program.display();
                write!(
                    f,
                    "failed to fork for {program}, several times: {}",
                    Reason(error)
                )
            }
            Self::Spawn { program, error } => {
                write!(f, "failed to exec {}: {}", program.display(), Reason(error))
            }
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) enum Connection {
    Tcp(TcpStream),
    Ssh(SshConnection),
}

impl Connection {
    /// Connects to a host that is not this machine.
    pub(crate) fn open(
        transport: &Transport,
        settings: &Settings,
        io_timeout: Duration,
    ) -> Result<Self, ConnectError> {
        match transport {
            Transport::Tcp { host, port } => {
                connect_tcp(host, *port, &settings.children, io_timeout).map(Self::Tcp)
            }
            Transport::Ssh {
                user,
                host,
                command,
            } => {
                let (user, command) = (user.as_deref(), command.as_deref());
                let words = hosts::ssh_command(&settings.ssh, user, host, command);
                SshConnection::open(&words, &settings.children, io_timeout).map(Self::Ssh)
            }
            Transport::Local => unreachable!("local jobs need no connection"),
            Transport::Engine { .. } => unreachable!("engines are the agent's"),
        }
    }

    /// The port of our end; ssh has none.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(stream) => Some(stream.local_addr().ok()?.port()),
            Self::Ssh(_) => None,
        }
    }

    /// Shows the server that nothing follows. Not for requests: servers take it for our end.
    pub(crate) fn say_no_more(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Ssh(_) => Ok(()),
        }
    }

    /// Writes some bytes, and then the start of a file without reading it.
    pub(crate) fn write_with_file(
        &mut self,
        first: &[u8],
        file: &File,
        bytes: usize,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => send_with_file(stream, first, file, bytes).map_err(timed_out),
            Self::Ssh(ssh) => {
                ssh.write_all(first)?;
                let mut start = file;
                start.seek(SeekFrom::Start(0))?;
                let copied = io::copy(&mut start.take(bytes as u64), ssh)?;
                expect_all(copied as usize, bytes)
            }
        }
    }

    /// Writes some bytes, and then parts of a file without reading them.
    pub(crate) fn write_with_pieces(
        &mut self,
        first: &[u8],
        file: &File,
        pieces: &[Piece],
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => send_with_pieces(stream, first, file, pieces).map_err(timed_out),
            Self::Ssh(ssh) => {
                ssh.write_all(first)?;
                let mut buffer = vec![0; SSH_BUFFER_BYTES];
                for piece in pieces {
                    let mut at = u64::from(piece.start);
                    while at < piece.end() {
                        let left = usize::try_from(piece.end() - at).unwrap_or(usize::MAX);
                        let part = &mut buffer[..left.min(SSH_BUFFER_BYTES)];
                        // Where others stand in the file is theirs.
                        file.read_exact_at(part, at)?;
                        ssh.write_all(part)?;
                        at += part.len() as u64;
                    }
                }
                Ok(())
            }
        }
    }

    /// Closes a connection over which all was said. For ssh this waits for its end, so that the
    /// server can finish, but not for one that hangs; how it ended says nothing that the server did
    /// not say better.
    pub(crate) fn close(self) {
        if let Self::Ssh(ssh) = self {
            drop((ssh.input, ssh.output));
            ssh.child.wait_or_end(SSH_PATIENCE);
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer).map_err(timed_out),
            Self::Ssh(ssh) => ssh.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes).map_err(timed_out),
            Self::Ssh(ssh) => ssh.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket with a time limit says "would block" where the time is up.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// One segment may hold the end of `first` and the start of the file.
fn send_with_file(
    mut stream: &TcpStream,
    first: &[u8],
    file: &File,
    bytes: usize,
) -> io::Result<()> {
    let sent = rustix::net::send(stream, first, SendFlags::MORE | SendFlags::NOSIGNAL)?;
    stream.write_all(&first[sent..])?;
    send_piece(stream, file, 0, bytes)
}

/// Full segments only, however short the pieces are, until all is said.
fn send_with_pieces(
    mut stream: &TcpStream,
    first: &[u8],
    file: &File,
    pieces: &[Piece],
) -> io::Result<()> {
    set_tcp_cork(stream, true)?;
    stream.write_all(first)?;
    for piece in pieces {
        send_piece(stream, file, u64::from(piece.start), piece.bytes as usize)?;
    }
    set_tcp_cork(stream, false)?;
    Ok(())
}

fn send_piece(stream: &TcpStream, file: &File, start: u64, bytes: usize) -> io::Result<()> {
    let end = start + bytes as u64;
    let mut at = start;
    while at < end {
        let left = (end - at) as usize;
        match rustix::fs::sendfile(stream, file, Some(&mut at), left) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    expect_all((at - start) as usize, bytes)
}

/// A file that is shorter than it was cannot be sent.
fn expect_all(sent: usize, bytes: usize) -> io::Result<()> {
    match sent == bytes {
        true => Ok(()),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Tries each address of the host in turn.
fn connect_tcp(
    host: &OsStr,
    port: u16,
    environment: &ChildEnvironment,
    io_timeout: Duration,
) -> Result<TcpStream, ConnectError> {
    let unresolved = |error| ConnectError::Resolve {
        host: host.to_owned(),
        port,
        error,
    };
    let addresses = resolve::addresses(host, port, environment).map_err(unresolved)?;
    let mut last = unresolved(io::Error::other("no address"));
    for address in addresses {
        let connected = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
            .and_then(|stream| prepare(&stream, io_timeout).map(|()| stream));
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = ConnectError::Connect { address, error },
        }
    }
    Err(last)
}

/// Each half of a request is one write, which should not wait for the answer to the one before.
fn prepare(stream: &TcpStream, io_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(io_timeout))?;
    stream.set_write_timeout(Some(io_timeout))
}

/// A server behind the pipes of an ssh of ours. Dropping it ends ssh at once.
#[derive(Debug)]
pub(crate) struct SshConnection {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    io_timeout: Duration,
}

impl SshConnection {
    fn open(
        words: &[OsString],
        environment: &ChildEnvironment,
        io_timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let failed = |error| ConnectError::Spawn {
            program: words[0].clone(),
            error,
        };
        let mut command = child::command(words, environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Child::spawn(&mut command).map_err(failed)?;
        let input = child.process.stdin.take().expect("it was piped above");
        let output = child.process.stdout.take().expect("it was piped above");
        // Only our ends: a pipe's two ends do not share this.
        rustix::io::ioctl_fionbio(&input, true).map_err(|error| failed(error.into()))?;
        rustix::io::ioctl_fionbio(&output, true).map_err(|error| failed(error.into()))?;
        Ok(Self {
            child,
            input,
            output,
            io_timeout,
        })
    }
}

impl Read for SshConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.output.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(&self.output, PollFlags::IN, self.io_timeout)?;
                }
                done => return done,
            }
        }
    }
}

impl Write for SshConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.input.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(&self.input, PollFlags::OUT, self.io_timeout)?;
                }
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait(fd: &impl AsFd, event: PollFlags, limit: Duration) -> io::Result<()> {
    let limit = Timespec::try_from(limit).unwrap_or(Timespec {
        tv_sec: i64::MAX,
        tv_nsec: 0,
    });
    match rustix::event::poll(&mut [PollFd::new(fd, event)], Some(&limit)) {
        Ok(0) => Err(ErrorKind::TimedOut.into()),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_ssh_times_out_and_is_ended() {
        let words = ["sleep", "1000"].map(OsString::from);
        let environment = ChildEnvironment {
            depth: 0,
            path: OsString::new(),
            path_changed: false,
        };
        let limit = Duration::from_millis(20);
        let mut ssh = SshConnection::open(&words, &environment, limit).unwrap();
        let error = ssh.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_name_without_address_is_told_from_a_refusal() {
        let limit = Duration::from_secs(100);
        let environment = ChildEnvironment {
            depth: 0,
            path: OsString::new(),
            path_changed: false,
        };
        let connect = |host: &str, port| connect_tcp(host.as_ref(), port, &environment, limit);
        let error = connect("no such host", 1).unwrap_err();
        assert!(matches!(error, ConnectError::Resolve { .. }));
        // Bound, so that it is nobody else's; but nobody listens there.
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&bound, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&bound).unwrap()).unwrap();
        let port = address.port();
        let error = connect("127.0.0.1", port).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("nonblocking connect to 127.0.0.1:{port} failed: Connection refused")
        );
    }
}
