//! Asking the include server which files a compile opens.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use protocol::include::Query;
use protocol::request::Limits;
use protocol::stream;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::log::{Log, Reason};
use crate::response_file::blank_separated;
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
        }
    }
}

/// Asks which files the compile `argv`, called in `cwd`, opens. Never gives an empty list.
pub(crate) fn ask(
    cwd: &Path,
    argv: &[OsString],
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
            let query = Query {
                cwd: cwd.as_os_str().to_owned(),
                argv: argv.to_vec(),
            };
            let port = pump.port.as_deref().ok_or(IncludeError::NoPort)?;
            talk(port, &query, io_timeout)?
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
    converse(&mut socket, query).map_err(|error| IncludeError::Talk {
        port: port.to_owned(),
        error: timed_out(error),
    })
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
    use std::os::unix::net::UnixListener;

    fn settings(port: Option<&Path>, stub: Option<&str>) -> PumpSettings {
        PumpSettings {
            port: port.map(|path| path.as_os_str().to_owned()),
            stub: stub.map(OsString::from),
            testing: false,
            header_paths: false,
        }
    }

    fn ask_with(pump: &PumpSettings) -> Result<Vec<OsString>, IncludeError> {
        let argv = ["cc".into(), "-c".into(), "a.c".into()];
        let log = Log::open(&crate::log::Wishes::default());
        ask(Path::new("/w"), &argv, pump, Duration::from_secs(9), &log)
    }

    /// What `ask` makes of an include server that answers with `bytes`.
    fn answered_with(bytes: &'static [u8]) -> Result<Vec<OsString>, IncludeError> {
        let dir = tempfile::tempdir().unwrap();
        let port = dir.path().join("socket");
        let listener = UnixListener::bind(&port).unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let query = stream::read_query(&mut socket, Limits::default()).unwrap();
            socket.write_all(bytes).unwrap();
            query
        });
        let answer = ask_with(&settings(Some(&port), None));
        let query = server.join().unwrap();
        assert_eq!(query.cwd, "/w");
        assert_eq!(query.argv, ["cc", "-c", "a.c"]);
        answer
    }

    #[test]
    fn a_list_is_an_answer() {
        let files = answered_with(b"ARGC00000001ARGV0000000a/r/s/t/x.c").unwrap();
        assert_eq!(files, ["/r/s/t/x.c"]);
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
        assert_eq!(files, ["/a/b/c/x", "/a/b/c/y"]);
    }
}
