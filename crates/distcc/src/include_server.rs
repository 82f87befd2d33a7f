//! Asking the include server which files a compile opens.
//!
//! One of ours has a second socket, where it answers with packets that are ready to be sent
//! (`protocol::pieces`); others are never shown that it could be so.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use protocol::include::Query;
use protocol::pieces::{Pieces, socket_beside};
use protocol::request::Limits;
use protocol::stream;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

use crate::log::{Log, Reason};
use crate::response_file::blank_separated;
use crate::session;
use crate::settings::PumpSettings;

/// Longest path of a Unix socket.
const MAX_PORT_BYTES: usize = 107;

/// Why the include server named no files.
#[derive(Debug)]
pub(crate) enum IncludeError {
    /// `INCLUDE_SERVER_PORT` is not set.
    NoPort,
    /// No socket can have such a long path.
    PortTooLong,
    /// Nobody listens.
    Connect { port: OsString, error: io::Error },
    /// The conversation broke off.
    Talk { port: OsString, error: io::Error },
    /// It cannot tell.
    GaveUp,
    /// It is the one of a session that goes on (`crate::session`), and is not there for this reason.
    Gone(Box<IncludeError>),
}

impl IncludeError {
    /// Complains in 3.4's words.
    pub(crate) fn report(&self, log: &Log) {
        let warn = |text: fmt::Arguments<'_>| log.warning("dcc_talk_to_include_server", text);
        match self {
            Self::NoPort => warn(format_args!(
                "INCLUDE_SERVER_PORT not set - did you forget to run under 'pump'?"
            )),
            Self::PortTooLong => warn(format_args!(
                "$INCLUDE_SERVER_PORT is longer than {MAX_PORT_BYTES} characters"
            )),
            Self::Connect { port, error } => log.error(
                "",
                format_args!(
                    "failed to connect to UNIX-DOMAIN {}: {}",
                    port.display(),
                    Reason(error)
                ),
            ),
            Self::Talk { port, error } => warn(format_args!(
                "failed to talk to include server '{}': {}",
                port.display(),
                Reason(error)
            )),
            Self::GaveUp => warn(format_args!("include server gave up analyzing")),
            Self::Gone(why) => why.report(log),
        }
    }

    /// Whether the conversation broke off because the include server ended.
    fn is_of_an_end(&self) -> bool {
        matches!(self, Self::Talk { error, .. } if session::has_ended(error))
    }
}

/// What a compile opens.
#[derive(Debug)]
pub(crate) enum Files {
    /// Paths of copies; never none.
    Named(Vec<OsString>),
    /// The packets of a request, in pieces of a file that holds them all; never none.
    Ready(Pieces, File),
}

/// Asks which files the compile of `query` opens, to send them. Where the include server of a session has ended in the
/// middle, the next one is asked.
pub(crate) fn ask(
    query: &Query,
    pump: &PumpSettings,
    io_timeout: Duration,
    log: &Log,
) -> Result<Files, IncludeError> {
    let session = pump.port.as_deref().filter(|_| pump.stub.is_none());
    let goes_on = || session.is_some_and(session::goes_on);
    let mut tries = 1;
    loop {
        match ask_once(query, pump, io_timeout, log) {
            Err(error) if error.is_of_an_end() && tries < session::MOST_TRIES && goes_on() => {
                log.info("", format_args!("{}", session::AGAIN));
                tries += 1;
            }
            Err(error) => {
                let is_gone = error.is_of_an_end() || matches!(error, IncludeError::Connect { .. });
                return Err(match is_gone && goes_on() {
                    true => IncludeError::Gone(Box::new(error)),
                    false => error,
                });
            }
            files => return files,
        }
    }
}

fn ask_once(
    query: &Query,
    pump: &PumpSettings,
    io_timeout: Duration,
    log: &Log,
) -> Result<Files, IncludeError> {
    if pump.stub.is_none()
        && let Some(port) = &pump.port
        && let Some(socket) = connect_beside(port, io_timeout)
    {
        return ask_for_pieces(&socket, query).map_err(talk_failed(port))?;
    }
    ask_for_names(query, pump, io_timeout, log).map(Files::Named)
}

/// Asks for names, which any include server gives. Never gives an empty list.
pub(crate) fn ask_for_names(
    query: &Query,
    pump: &PumpSettings,
    io_timeout: Duration,
    log: &Log,
) -> Result<Vec<OsString>, IncludeError> {
    let files = match &pump.stub {
        Some(stub) => {
            log.warning(
                "dcc_talk_to_include_server",
                format_args!(
                    "INCLUDE_SERVER_STUB is set to '{}'; ignoring include server",
                    stub.display()
                ),
            );
            blank_separated(stub)
        }
        None => {
            let port = pump.port.as_deref().ok_or(IncludeError::NoPort)?;
            talk(port, query, io_timeout)?
        }
    };
    match files.is_empty() {
        true => Err(IncludeError::GaveUp),
        false => Ok(files),
    }
}

fn talk(port: &OsStr, query: &Query, io_timeout: Duration) -> Result<Vec<OsString>, IncludeError> {
    if port.len() >= MAX_PORT_BYTES {
        return Err(IncludeError::PortTooLong);
    }
    let mut socket = connect(port, io_timeout).map_err(|error| IncludeError::Connect {
        port: port.to_owned(),
        error: timed_out(error),
    })?;
    converse(&mut socket, query).map_err(talk_failed(port))
}

/// For `map_err`: the conversation broke off.
fn talk_failed(port: &OsStr) -> impl FnOnce(io::Error) -> IncludeError {
    move |error| IncludeError::Talk {
        port: port.to_owned(),
        error: timed_out(error),
    }
}

/// Connects to the second socket, where an include server of ours has one.
fn connect_beside(port: &OsStr, io_timeout: Duration) -> Option<UnixStream> {
    let beside = socket_beside(port);
    let is_possible = beside.len() < MAX_PORT_BYTES;
    is_possible.then(|| connect(&beside, io_timeout).ok())?
}

fn ask_for_pieces(
    mut socket: &UnixStream,
    query: &Query,
) -> io::Result<Result<Files, IncludeError>> {
    socket.write_all(&query.encode())?;
    let mut from = BufReader::new(WithFile { socket, file: None });
    let pieces = Pieces::read(&mut from, Limits::default())?;
    if pieces.files == 0 {
        return Ok(Err(IncludeError::GaveUp));
    }
    let end = pieces.pieces.iter().map(|piece| piece.end()).max();
    match from.into_inner().file.map(File::from) {
        // Otherwise it could be noticed only in the middle of a request.
        Some(file) if end.unwrap_or(0) <= file.metadata()?.len() => {
            Ok(Ok(Files::Ready(pieces, file)))
        }
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// Reads what is said, and takes the descriptor that comes with it.
struct WithFile<'a> {
    socket: &'a UnixStream,
    file: Option<OwnedFd>,
}

impl Read for WithFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffers = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = rustix::net::recvmsg(self.socket, &mut buffers, &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                self.file = files.last().or(self.file.take());
            }
        }
        Ok(message.bytes)
    }
}

/// A socket with a time limit says "would block" where the time is up.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Connects with all time limits set: a server that hangs lets no more in at some time.
fn connect(port: &OsStr, io_timeout: Duration) -> io::Result<UnixStream> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let socket = UnixStream::from(socket);
    socket.set_read_timeout(Some(io_timeout))?;
    socket.set_write_timeout(Some(io_timeout))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(port)?)?;
    Ok(socket)
}

fn converse(socket: &mut UnixStream, query: &Query) -> io::Result<Vec<OsString>> {
    socket.write_all(&query.encode())?;
    stream::read_answer(&mut BufReader::new(socket), Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    fn settings(port: Option<&Path>, stub: Option<&str>) -> PumpSettings {
        PumpSettings {
            port: port.map(|path| path.as_os_str().to_owned()),
            engines: None,
            race: true,
            stub: stub.map(OsString::from),
            testing: false,
            header_paths: false,
        }
    }

    fn query() -> Query {
        Query {
            cwd: "/w".into(),
            argv: ["cc", "-c", "a.c"].map(Into::into).into(),
        }
    }

    fn ask_with(pump: &PumpSettings) -> Result<Files, IncludeError> {
        let log = Log::open(&crate::log::Wishes::default());
        ask(&query(), pump, Duration::from_secs(9), &log)
    }

    /// What `ask` makes of a server at a socket of this name, beside which there may be another
    /// one, that answers with `bytes`, and with the descriptor of a file.
    fn answered_at(
        name: &str,
        bytes: &'static [u8],
        file: Option<&File>,
    ) -> Result<Files, IncludeError> {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(name)).unwrap();
        std::thread::scope(|scope| {
            let server = scope.spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let query = stream::read_query(&mut socket, Limits::default()).unwrap();
                let files: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
                let mut space =
                    [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !files.is_empty() {
                    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
                }
                let bytes = [IoSlice::new(bytes)];
                sendmsg(&socket, &bytes, &mut control, SendFlags::empty()).unwrap();
                query
            });
            let answer = ask_with(&settings(Some(&dir.path().join("socket")), None));
            assert_eq!(server.join().unwrap(), query());
            answer
        })
    }

    fn answered_with(bytes: &'static [u8]) -> Result<Files, IncludeError> {
        answered_at("socket", bytes, None)
    }

    fn names(files: Files) -> Vec<OsString> {
        match files {
            Files::Named(names) => names,
            Files::Ready(..) => panic!("no names: {files:?}"),
        }
    }

    #[test]
    fn an_include_server_of_ours_answers_in_pieces() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let answer = b"NFIL00000002PIEC00000008\0\0\0\x04\0\0\0\x06";
        match answered_at("socket.pieces", answer, Some(&file)).unwrap() {
            Files::Ready(pieces, _) => assert_eq!((pieces.files, pieces.total_bytes()), (2, 6)),
            files => panic!("no pieces: {files:?}"),
        }
        assert!(matches!(
            answered_at("socket.pieces", b"NFIL00000000", None),
            Err(IncludeError::GaveUp)
        ));
        // Without a file, and with one that is too short.
        let too_far = b"NFIL00000002PIEC00000008\0\0\0\x04\0\0\0\x07";
        for (bytes, file) in [
            (&answer[..], None),
            (too_far, Some(&file)),
            (b"NFIL0000", None),
        ] {
            assert!(matches!(
                answered_at("socket.pieces", bytes, file),
                Err(IncludeError::Talk { .. })
            ));
        }
    }

    #[test]
    fn a_socket_of_a_dead_server_beside_another_one_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(dir.path().join("socket.pieces")).unwrap());
        assert!(matches!(
            ask_with(&settings(Some(&dir.path().join("socket")), None)),
            Err(IncludeError::Connect { .. })
        ));
    }

    #[test]
    fn a_list_is_an_answer() {
        let files = answered_with(b"ARGC00000001ARGV0000000a/r/s/t/x.c").unwrap();
        assert_eq!(names(files), ["/r/s/t/x.c"]);
    }

    #[test]
    fn an_empty_list_means_no() {
        assert!(matches!(
            answered_with(b"ARGC00000000"),
            Err(IncludeError::GaveUp)
        ));
    }

    #[test]
    fn garbage_and_silence_are_told_from_no() {
        for bytes in [&b"DONE00000001"[..], b"ARGC000", b""] {
            assert!(matches!(
                answered_with(bytes),
                Err(IncludeError::Talk { .. })
            ));
        }
    }

    #[test]
    fn sockets_that_cannot_be() {
        let check = |port: Option<&Path>| ask_with(&settings(port, None)).unwrap_err();
        assert!(matches!(check(None), IncludeError::NoPort));
        let long = "/x".repeat(54);
        assert!(matches!(
            check(Some(long.as_ref())),
            IncludeError::PortTooLong
        ));
        assert!(matches!(
            check(Some("/nowhere/socket".as_ref())),
            IncludeError::Connect { .. }
        ));
    }

    #[test]
    fn a_stub_answers_for_tests() {
        let files = ask_with(&settings(None, Some("/a/b/c/x /a/b/c/y"))).unwrap();
        assert_eq!(names(files), ["/a/b/c/x", "/a/b/c/y"]);
    }
}
