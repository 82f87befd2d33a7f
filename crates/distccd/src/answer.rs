//! The answer: packs what the compiler made, and sends it.
//!
//! One write where the connection takes it. Memory is taken from the pool for as long as the
//! answer is packed, and not while a slow client fetches it: then the rest goes to disk.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use protocol::Version;
use protocol::response::Response;
use rustix::fs::{Mode, OFlags, openat};

use crate::fault::{ANSWER, Fault};
use crate::messages::Messages;
use crate::receive::is_slow;
use crate::scratch::{DEPENDENCIES, OBJECT, Scratch};
use crate::server::Server;
use crate::wire::{Stopped, Wire};
use crate::words::Words;

/// What a compiler made of a job.
pub(crate) struct Made<'a> {
    /// Its `wait` status.
    pub(crate) status: u32,
    /// What the server itself has to say, in front of the compiler's messages.
    pub(crate) note: &'a str,
    /// For what has to wait on disk.
    pub(crate) scratch: &'a Scratch,
    pub(crate) messages: &'a Messages,
    /// The folder that it wrote its results to, if it succeeded.
    pub(crate) results: Option<&'a OwnedFd>,
    /// How to translate its messages.
    pub(crate) words: &'a Words,
    /// Where the client's tree was for it (protocol 3), if that is not the client's own place.
    pub(crate) root: Option<&'a Path>,
    /// Whether the compiler leaves out the dependency file, having nothing to preprocess.
    pub(crate) without_dependencies: bool,
}

/// What is left of an answer after the connection took what it could at once stays in memory up
/// to this size. More goes to disk: a client that takes it slowly shall not hold memory.
const SMALL_REST: usize = 256 << 10;

/// Packs and sends what the compiler made.
pub(crate) fn send(
    server: &Server,
    wire: &mut Wire,
    version: Version,
    made: &Made<'_>,
) -> Result<(), Fault> {
    let Made {
        status,
        scratch,
        messages,
        words,
        ..
    } = *made;
    let succeeded = status == 0;
    let open = |name| {
        made.results
            .map_or(Ok(None), |folder| open_result(folder, name))
    };
    let object = open(OBJECT)?;
    let dependencies = open(DEPENDENCIES)?;
    let [stdout, stderr] = [&messages.stdout, &messages.stderr].map(Output::of);
    let [stdout, stderr] = [stdout?, stderr?];
    if messages.may_be_cut() {
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        return Err(Fault::server("keeping messages")(full));
    }
    let content = [&object, &dependencies].into_iter().flatten();
    let content: u64 = content.map(|output| output.bytes).sum();
    let with_dependencies = succeeded && version == Version::Pump;
    let text = (stdout.bytes + stderr.bytes).saturating_mul(words.growth());
    let content = text.saturating_add(content);
    // As it is, and packed.
    let needed = content
        .saturating_mul(2)
        .saturating_add(content / 64 + 4096);
    // A job that has run is answered even while the server stops.
    let share = server.memory.take(ANSWER, needed, wire, &server.kill)?;

    let mut said = made.note.as_bytes().to_vec();
    said.extend(words.translate(&stderr.read()?));
    let stderr = said;
    let stdout = words.translate(&stdout.read()?);
    if succeeded && object.is_none() {
        return Err(Fault::NoOutput("output file"));
    }
    if with_dependencies && dependencies.is_none() && !made.without_dependencies {
        return Err(Fault::NoOutput("dependency file"));
    }
    let read = |output: Option<Output<File>>| output.map_or(Ok(Vec::new()), Output::read);
    let object = read(object.filter(|_| succeeded))?;
    let dependencies = read(dependencies.filter(|_| with_dependencies))?;
    let dependencies = match made.root {
        Some(root) => command::server::client_dependencies(&dependencies, root.as_os_str()),
        None => dependencies,
    };
    let response = Response {
        version,
        status,
        stderr: &stderr,
        stdout: &stdout,
        object: &object,
        dependencies: &dependencies,
    };
    let bytes = response.encode();
    drop((stderr, stdout, object, dependencies));
    let patience = wire.patience;
    let sent = wire.send_at_once(&bytes).map_err(sending(patience))?;
    let rest = &bytes[sent..];
    if rest.len() <= SMALL_REST {
        let rest = rest.to_vec();
        drop((bytes, share));
        wire.send(&rest, &server.kill).map_err(sending(patience))?;
    } else {
        let mut spool = spool(scratch, rest).map_err(Fault::server("spooling an answer"))?;
        drop((bytes, share));
        send_file(server, wire, &mut spool)?;
    }
    if wire.has_trailing_bytes() {
        // Closing with bytes unread would throw away what the client has not taken yet.
        wire.finish(LINGER);
    }
    Ok(())
}

/// How long a client that sent bytes after its request may take to fetch its answer.
const LINGER: Duration = Duration::from_secs(10);

fn spool(scratch: &Scratch, bytes: &[u8]) -> io::Result<File> {
    let mut spool = scratch.spool()?;
    spool.write_all(bytes)?;
    spool.rewind()?;
    Ok(spool)
}

fn send_file(server: &Server, wire: &mut Wire, file: &mut File) -> Result<(), Fault> {
    let patience = wire.patience;
    let mut chunk = vec![0; SMALL_REST];
    loop {
        let count = file
            .read(&mut chunk)
            .map_err(Fault::server("reading an answer"))?;
        if count == 0 {
            return Ok(());
        }
        wire.send(&chunk[..count], &server.kill)
            .map_err(sending(patience))?;
    }
}

/// What a failed write to the client means.
fn sending(patience: Duration) -> impl Fn(io::Error) -> Fault {
    move |error| match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Fault::ClientGone,
        io::ErrorKind::TimedOut if is_slow(&error) => Fault::Slow,
        io::ErrorKind::TimedOut => Fault::Silent(patience),
        _ if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) => Fault::Stopping,
        _ => Fault::Connection(error),
    }
}

/// A file that the compiler wrote, and its length when the compiler had ended: a process that it
/// left may still be writing, and shall not make it longer than we have taken memory for.
struct Output<F> {
    file: F,
    bytes: u64,
}

impl<F: std::borrow::Borrow<File>> Output<F> {
    fn of(file: F) -> Result<Self, Fault> {
        let data = file.borrow().metadata().map_err(Fault::server(READING))?;
        let bytes = data.len();
        Ok(Self { file, bytes })
    }

    fn read(self) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.file
            .borrow()
            .take(self.bytes)
            .read_to_end(&mut bytes)
            .map_err(Fault::server(READING))?;
        Ok(bytes)
    }
}

/// A file that the compiler wrote; `None` if it did not, or made something else of it.
fn open_result(folder: &OwnedFd, name: &str) -> Result<Option<Output<File>>, Fault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(folder, name, flags, Mode::empty()) else {
        return Ok(None);
    };
    let file = File::from(file);
    let data = file.metadata().map_err(Fault::server(READING))?;
    data.is_file().then(|| Output::of(file)).transpose()
}

const READING: &str = "reading the compiler's output";
