//! The socket: connections, and the end of the server.
//!
//! One thread per connection and one connection per question. A question that cannot be read
//! costs its client the answer and nobody else anything.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use command::{Compile, Plan};
use protocol::include::{Query, encode_answer};
use protocol::request::Limits;
use protocol::stream::read_query;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::refusal::Refusal;
use super::report::Report;
use super::service::Service;

/// Connections at once. Clients ask one question per compile and hold a slot meanwhile, so
/// there are few; more wait in the socket's queue.
const MOST_CONNECTIONS: usize = 64;

/// For a client to send its question, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the server looks whether its socket is still there.
const SOCKET_CHECK: Duration = Duration::from_secs(1);

/// Longer command lines than the kernel allows make no sense.
const LIMITS: Limits = Limits {
    args: 100_000,
    text_bytes: 1 << 20,
    all_text_bytes: 8 << 20,
    files: 0,
    body_bytes: 0,
};

/// What the threads share.
struct Shared {
    service: Service,
    report: Report,
    write_closure: bool,
    /// Read-locked while an answer is in the making; true once there must be no more.
    ending: RwLock<bool>,
}

/// A server, ready for clients.
pub(crate) struct QueryServer {
    listener: UnixListener,
    socket: PathBuf,
    socket_identity: (u64, u64),
    shared: Arc<Shared>,
    /// Something to read once a signal asks for the end.
    signals: UnixStream,
    /// Reports a hang-up when whoever started the server has gone.
    starter: Option<OwnedFd>,
}

impl QueryServer {
    /// Opens the socket; one that a dead server left there is replaced.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn open(
        socket: &Path,
        signals: UnixStream,
        starter: Option<OwnedFd>,
        service: Service,
        report: Report,
        write_closure: bool,
    ) -> io::Result<Self> {
        let is_socket =
            fs::symlink_metadata(socket).is_ok_and(|metadata| metadata.file_type().is_socket());
        if is_socket {
            fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let metadata = fs::symlink_metadata(socket)?;
        Ok(Self {
            listener,
            socket: socket.to_owned(),
            socket_identity: (metadata.dev(), metadata.ino()),
            shared: Arc::new(Shared {
                service,
                report,
                write_closure,
                ending: RwLock::new(false),
            }),
            signals,
            starter,
        })
    }

    /// Answers questions until a signal comes, the starter has gone or the socket is gone.
    pub(crate) fn serve(&self) {
        while self.has_socket() {
            // Every connection's thread holds one reference.
            let is_full = Arc::strong_count(&self.shared) > MOST_CONNECTIONS;
            match self.wait(is_full) {
                Ok(Event::End) => break,
                Ok(Event::Client) => self.accept(),
                Ok(Event::Nothing) => {}
                Err(error) => {
                    self.shared.report.warn(&format!("cannot wait: {error}"));
                    break;
                }
            }
        }
        self.end();
    }

    fn wait(&self, is_full: bool) -> io::Result<Event> {
        let time = if is_full {
            Duration::from_millis(20)
        } else {
            SOCKET_CHECK
        };
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        let mut fds = vec![PollFd::from_borrowed_fd(
            self.signals.as_fd(),
            PollFlags::IN,
        )];
        fds.extend(
            self.starter
                .as_ref()
                .map(|starter| PollFd::from_borrowed_fd(starter.as_fd(), PollFlags::IN)),
        );
        let enders = fds.len();
        if !is_full {
            fds.push(PollFd::from_borrowed_fd(
                self.listener.as_fd(),
                PollFlags::IN,
            ));
        }
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Event::Nothing),
            Ok(_) if fds[..enders].iter().any(|fd| !fd.revents().is_empty()) => Ok(Event::End),
            Ok(_) => Ok(Event::Client),
            Err(error) => Err(error.into()),
        }
    }

    fn accept(&self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                self.shared.report.warn(&format!("cannot accept: {error}"));
                // Likely out of descriptors: until some thread ends.
                std::thread::sleep(Duration::from_millis(20));
                return;
            }
        };
        let shared = Arc::clone(&self.shared);
        let started = std::thread::Builder::new().spawn(move || shared.converse(&stream));
        if let Err(error) = started {
            self.shared
                .report
                .warn(&format!("cannot start a thread: {error}"));
        }
    }

    /// Whether whoever started the server has gone.
    pub(crate) fn has_lost_starter(&self) -> bool {
        let Some(starter) = &self.starter else {
            return false;
        };
        let mut fds = [PollFd::from_borrowed_fd(starter.as_fd(), PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    fn has_socket(&self) -> bool {
        fs::symlink_metadata(&self.socket)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.socket_identity)
    }

    /// Leaves nothing behind.
    pub(crate) fn end(&self) {
        if self.has_socket() {
            let _ = fs::remove_file(&self.socket); // Gone is as good.
        }
        self.shared.service.interrupt();
        // With no compiler running any more, answers in the making end at once.
        let mut ending = self
            .shared
            .ending
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *ending = true;
        self.shared.service.remove_copies();
    }
}

enum Event {
    Client,
    End,
    Nothing,
}

impl Shared {
    fn converse(&self, stream: &UnixStream) {
        match self.try_converse(stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seconds = PATIENCE.as_secs();
                self.report
                    .warn(&format!("bad request: nothing came for {seconds} s"));
            }
            Err(error) => self.report.warn(&format!("bad request: {error}")),
            Ok(()) => {}
        }
    }

    fn try_converse(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut from = BufReader::new(stream);
        if from.fill_buf()?.is_empty() {
            return Ok(()); // Somebody looked whether there is a server.
        }
        let query = read_query(&mut from, LIMITS)?;
        let paths = self.answer(&query).unwrap_or_default();
        let mut to = stream;
        // A client that has gone while waiting misses nothing.
        let _ = to.write_all(&encode_answer(&paths));
        Ok(())
    }

    /// The paths to send; `None` if there is no answer.
    fn answer(&self, query: &Query) -> Option<Vec<OsString>> {
        let ending = self.ending.read().unwrap_or_else(PoisonError::into_inner);
        if *ending {
            return None;
        }
        let started = Instant::now();
        let cwd = Path::new(&query.cwd);
        let (unit, answer) = match plan(&query.argv) {
            Ok(compile) => {
                let answer = self.service.answer(cwd, &compile);
                if let (true, Ok(answer)) = (self.write_closure, &answer) {
                    self.report.write_closure(cwd, &compile, &answer.files);
                }
                (Some(compile.input().to_owned()), answer)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        self.report
            .answered(unit.as_deref(), &answer, started.elapsed());
        answer.ok().map(|answer| answer.paths)
    }
}

fn plan(argv: &[OsString]) -> Result<Compile, Refusal> {
    match argv.first() {
        Some(name) if !name.as_bytes().starts_with(b"-") => match command::plan(argv) {
            Plan::Distribute(compile) => Ok(compile),
            Plan::Local(why) => Err(Refusal::NotDistributable(why)),
        },
        name => Err(Refusal::NoCompiler(name.cloned().unwrap_or_default())),
    }
}
