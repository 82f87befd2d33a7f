//! The socket: connections, and the end of the server.
//!
//! One connection per question. A question that cannot be read costs its client the answer and nobody else anything.
//! On the socket that the protocol knows there is a thread per connection; beside it there is one for clients of ours,
//! whose threads wait there themselves and stay ([`super::workers`]).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use command::{Compile, Plan};
use protocol::include::{Query, encode_answer};
use protocol::jobs;
use protocol::pieces::{Pieces, socket_beside};
use protocol::request::Limits;
use protocol::session::{PRIVATE_SERVER, beside_socket};
use protocol::stream::read_query;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::copies::Copies;
use super::jobs::Jobs;
use super::refusal::Refusal;
use super::report::Report;
use super::service::{Answer, Service};
use super::store;
use super::workers::Workers;
use crate::actions::placement::Placement;

/// Connections at once. Clients ask one question per compile and hold a slot meanwhile, so
/// there are few; more wait in the socket's queue.
pub(super) const MOST_CONNECTIONS: usize = 64;

/// To what is shared: the server's, and two for each kind of workers at most.
const OWN_REFERENCES: usize = 4;

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

/// How often an answer in pieces is made that lies in two files.
const MOST_TRIES: usize = 3;

/// What the threads share.
pub(super) struct Shared {
    service: Service,
    pub(super) report: Report,
    write_closure: bool,
    /// Read-locked while an answer is in the making, and while it is refused; true once there must
    /// be no more.
    ending: RwLock<bool>,
}

/// A server, ready for clients.
pub(crate) struct QueryServer {
    listener: UnixListener,
    socket: Socket,
    /// That for clients of ours; None where its path would be too long.
    pieces: Option<Socket>,
    /// That for whole compiles, if there is somebody to do them.
    jobs: Option<(Socket, Arc<Jobs>)>,
    shared: Arc<Shared>,
    /// Something to read once a signal asks for the end.
    signals: UnixStream,
    /// Reports a hang-up when whoever started the server has gone.
    starter: Option<OwnedFd>,
}

impl QueryServer {
    /// Opens the socket, and that for clients of ours; one that a dead server left there is replaced, and one that is
    /// `given` stays.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn open(
        socket: &Path,
        given: (Option<UnixListener>, Option<UnixListener>),
        signals: UnixStream,
        starter: Option<OwnedFd>,
        service: Service,
        report: Report,
        write_closure: bool,
    ) -> io::Result<Self> {
        let (given, given_pieces) = given;
        let (listener, socket) = Socket::open(socket, given)?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            service,
            report,
            write_closure,
            ending: RwLock::new(false),
        });
        let beside = socket_beside(socket.path.as_os_str());
        let pieces = Socket::open(Path::new(&beside), given_pieces).ok();
        let pieces = pieces.and_then(|(listener, socket)| {
            let (all, told) = (Arc::clone(&shared), Arc::clone(&shared));
            let started = Workers::start(
                listener,
                MOST_CONNECTIONS,
                move |stream| all.converse_in_pieces(stream),
                move |words| told.report.warn(words),
            );
            started.map(|()| socket).ok()
        });
        Ok(Self {
            listener,
            socket,
            pieces,
            jobs: None,
            shared,
            signals,
            starter,
        })
    }

    /// From now on takes whole compiles, too, for servers that may run actions. Compilers' facts are in `facts`.
    /// Not where the `given` socket was removed: a server before this one knew that none of them does.
    ///
    /// # Errors
    /// The socket or the threads cannot be made.
    pub(crate) fn take_jobs(
        &mut self,
        given: Option<UnixListener>,
        facts: Option<PathBuf>,
        placement: Placement,
    ) -> io::Result<()> {
        let beside = jobs::socket_beside(self.socket.path.as_os_str());
        let is_given = given.is_some();
        let (listener, socket) = match Socket::open(Path::new(&beside), given) {
            Err(error) if is_given && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let path = socket.path.clone();
        let private = beside_socket(self.socket.path.as_os_str(), PRIVATE_SERVER);
        let jobs = Arc::new(Jobs::new(facts, placement, private)?);
        let shared = Arc::clone(&self.shared);
        let warn = move |words: &str| shared.report.warn(words);
        self.jobs = Some((socket, Arc::clone(&jobs)));
        jobs.serve(listener, path, warn)
    }

    /// Answers questions until a signal comes, the starter has gone or the socket is gone.
    pub(crate) fn serve(&self) {
        while self.socket.is_there() {
            // Every connection's thread holds one reference, and the server and its workers hold others.
            let is_full = Arc::strong_count(&self.shared) >= MOST_CONNECTIONS + OWN_REFERENCES;
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

    /// Leaves nothing behind.
    pub(crate) fn end(&self) {
        self.socket.remove();
        self.pieces.iter().for_each(Socket::remove);
        if let Some((socket, jobs)) = &self.jobs {
            socket.remove();
            jobs.end();
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

/// A socket's name in the file system.
struct Socket {
    path: PathBuf,
    identity: (u64, u64),
    /// Somebody else's, who has it served by another one afterwards.
    is_given: bool,
}

impl Socket {
    /// Opens it, or takes the one that is `given`; one that a dead server left there is replaced.
    fn open(path: &Path, given: Option<UnixListener>) -> io::Result<(UnixListener, Self)> {
        let is_given = given.is_some();
        let listener = match given {
            Some(listener) => listener,
            None => {
                let is_socket = fs::symlink_metadata(path)
                    .is_ok_and(|metadata| metadata.file_type().is_socket());
                if is_socket {
                    fs::remove_file(path)?;
                }
                UnixListener::bind(path)?
            }
        };
        let metadata = fs::symlink_metadata(path)?;
        let socket = Self {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            is_given,
        };
        Ok((listener, socket))
    }

    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    fn remove(&self) {
        if !self.is_given && self.is_there() {
            let _ = fs::remove_file(&self.path); // Gone is as good.
        }
    }
}

enum Event {
    Client,
    End,
    Nothing,
}

impl Shared {
    fn converse(&self, stream: &UnixStream) {
        self.tell(self.answer_in_paths(stream));
    }

    /// One question of a client of ours.
    pub(super) fn converse_in_pieces(&self, stream: &UnixStream) {
        self.tell(self.answer_in_pieces(stream));
    }

    fn tell(&self, conversed: io::Result<()>) {
        match conversed {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seconds = PATIENCE.as_secs();
                self.report
                    .warn(&format!("bad request: nothing came for {seconds} s"));
            }
            Err(error) => self.report.warn(&format!("bad request: {error}")),
            Ok(()) => {}
        }
    }

    fn answer_in_paths(&self, mut stream: &UnixStream) -> io::Result<()> {
        let Some(query) = question(stream)? else {
            return Ok(());
        };
        let ending = self.ending();
        let answer = self.answer(&ending, &*self.service.mirror, &query);
        // A client that has gone while waiting misses nothing.
        let _ = match answer {
            Some(answer) => {
                drop(ending);
                stream.write_all(&encode_answer(&answer.copies))
            }
            // It is so short that nobody has to be waited for, and the end does not come before it.
            None => stream.write_all(&encode_answer(&[])),
        };
        Ok(())
    }

    fn answer_in_pieces(&self, mut stream: &UnixStream) -> io::Result<()> {
        let Some(query) = question(stream)? else {
            return Ok(());
        };
        let ending = self.ending();
        let pieces = (0..MOST_TRIES).find_map(|_| {
            match self.answer(&ending, &self.service.store, &query) {
                Some(answer) => store::pieces(&answer.copies, answer.files.len()).map(Some),
                // Nothing to try again.
                None => Some(None),
            }
        });
        let _ = match pieces.flatten() {
            Some((pieces, file)) => {
                drop(ending);
                send_with_file(stream, &pieces.encode(), &file)
            }
            // It is no answer that this server ends: a client of ours asks the next one.
            None if self.service.is_interrupted() => Ok(()),
            None => stream.write_all(&Pieces::default().encode()),
        };
        Ok(())
    }

    /// Whether there must be no more answers, which does not change while this is held.
    fn ending(&self) -> RwLockReadGuard<'_, bool> {
        self.ending.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer; `None` if there is none.
    fn answer<C: Copies>(
        &self,
        ending: &RwLockReadGuard<'_, bool>,
        copies: &C,
        query: &Query,
    ) -> Option<Answer<C::Copy>> {
        if **ending {
            return None;
        }
        let started = Instant::now();
        let cwd = Path::new(&query.cwd);
        let (unit, answer) = match plan(&query.argv) {
            Ok(compile) => {
                let answer = self.service.answer(copies, cwd, &compile);
                if let (true, Ok(answer)) = (self.write_closure, &answer) {
                    self.report.write_closure(cwd, &compile, &answer.files);
                }
                (Some(compile.input().to_owned()), answer)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        self.report
            .answered(unit.as_deref(), &answer, started.elapsed());
        answer.ok()
    }
}

/// What a client asks; nothing if it only looked whether there is a server.
fn question(stream: &UnixStream) -> io::Result<Option<Query>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut from = BufReader::new(stream);
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    read_query(&mut from, LIMITS).map(Some)
}

/// Sends some bytes, and with the first of them a descriptor of the file.
fn send_with_file(mut to: &UnixStream, bytes: &[u8], file: &File) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    let sent = sendmsg(
        to,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    to.write_all(&bytes[sent..])
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
