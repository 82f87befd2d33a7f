//! Takes a request from a connection: the command into memory, everything else to disk.
//!
//! Memory is bounded whatever clients announce:
//! - strings by the limits of [`LIMITS`], and long commands by shares of clients in memory of their own;
//! - files by shares of clients in the disk's free space;
//! - a body on the wire stays in memory up to [`SMALL`] bytes and is spooled to disk beyond it;
//! - its content is unpacked only when all of it is here, with a share of the memory pool, whose
//!   size is known before. So nobody holds memory while waiting for a client or for more memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::lzo::{LzoError, decompress, decompressed_len};
use protocol::request::{Head, Limits, RequestDecoder, Step};
use protocol::{Header, Version, stream};
use rustix::fs::{FallocateFlags, fallocate};

use crate::event::Event;
use crate::fault::Fault;
use crate::pool::{NoShare, Pool, Share};
use crate::scratch::{NAME_BYTES, Scratch};
use crate::server::Server;
use crate::settings::Patience;
use crate::shares::{Client, Growing, Part, Shares};
use crate::tree::Tree;
use crate::wire::{Stopped, TooSlow, Wire, Woken};

/// What a request may hold. A string cannot be longer than what Linux passes to a program.
const LIMITS: Limits = Limits {
    args: 100_000,
    text_bytes: 128 << 10,
    all_text_bytes: 64 << 20,
    files: 1_000_000,
    body_bytes: 1 << 30,
};
/// A command's strings and their overhead. Linux would not run a longer one.
const COMMAND_BYTES: u64 = 8 << 20;
/// What a string costs besides its bytes.
const STRING_BYTES: u64 = 64;
/// Commands up to this size take nothing from the pool.
const FREE_COMMAND_BYTES: u64 = 64 << 10;
/// Bodies up to this size are not spooled.
const SMALL: u32 = 256 << 10;
/// What one job's files may take on disk, unpacked.
pub(crate) const JOB_BYTES: u64 = 4 << 30;

/// Memory for what clients send, shared by all connections.
#[derive(Debug)]
pub(crate) struct Memory {
    commands: Arc<Shares>,
    /// For bodies while they are unpacked, and answers while they are packed.
    pub(crate) bodies: Pool,
    bodies_total: u64,
}

impl Memory {
    /// A quarter of the machine's memory, but no more than 2 GiB, for bodies.
    pub(crate) fn new(machine_bytes: u64) -> Self {
        let bodies_total = (machine_bytes / 4).min(2 << 30);
        Self {
            commands: Shares::new(256 << 20),
            bodies: Pool::new(bodies_total),
            bodies_total,
        }
    }

    /// Waits for memory while watching the client.
    pub(crate) fn take(
        &self,
        what: &'static str,
        bytes: u64,
        wire: &mut Wire,
        stop: &Event,
    ) -> Result<Share<'_>, Fault> {
        let turn = |turn: std::os::fd::BorrowedFd<'_>| wait_for_turn(wire, turn, stop);
        let no_event = Fault::server("making an event");
        let started = Instant::now();
        let share = self.bodies.take(bytes, turn, no_event);
        wire.excuse(started.elapsed());
        share.map_err(|error| match error {
            NoShare::GaveUp(fault) => fault,
            NoShare::NeverFits => Fault::TooLarge {
                what,
                bytes,
                max: self.bodies_total,
            },
        })
    }
}

/// Waits for `turn` to be readable, unless the client hangs up or the server stops.
pub(crate) fn wait_for_turn(
    wire: &mut Wire,
    turn: std::os::fd::BorrowedFd<'_>,
    stop: &Event,
) -> Result<(), Fault> {
    match wire.watch(turn, stop, None) {
        Ok(Woken::Ready | Woken::TimeUp) => Ok(()), // Without a deadline there is no time-up.
        Ok(Woken::ClientGone) => Err(Fault::ClientGone),
        Ok(Woken::Stopped) => Err(Fault::Stopping),
        Err(error) => Err(Fault::Connection(error)),
    }
}

/// What a job has of what is finite, for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Held {
    /// Memory for a long command.
    command: Option<Part>,
    /// Room on disk for the client's files.
    disk: Growing,
}

/// A request that is arriving.
pub(crate) struct Incoming<'w, 'a> {
    pub(crate) wire: &'w mut Wire,
    memory: &'a Memory,
    stop: &'a Event,
    client: Client,
    patience: Patience,
    decoder: RequestDecoder,
    version: Version,
    command_bytes: u64,
    held: Held,
    nothing_came: bool,
    /// Whether somebody here speaks HTTP/2.
    http2: bool,
    /// When the first byte behind the command came, and how much was received until then.
    body_from: Option<(Instant, u64)>,
}

impl<'w, 'a> Incoming<'w, 'a> {
    pub(crate) fn new(
        wire: &'w mut Wire,
        server: &'a Server,
        client: Client,
        patience: Patience,
    ) -> Self {
        Self {
            wire,
            memory: &server.memory,
            stop: &server.stop,
            client,
            patience,
            decoder: RequestDecoder::new(LIMITS),
            version: Version::Plain,
            command_bytes: 0,
            held: Held {
                command: None,
                disk: Growing::new(&server.disk, client),
            },
            nothing_came: true,
            http2: server.actions.are_offered(),
            body_from: None,
        }
    }

    /// Reads the command.
    pub(crate) fn head(&mut self) -> Result<Head, Fault> {
        self.wire.patience = self.patience.idle;
        self.wire.deadline = Some(Instant::now() + self.patience.head);
        loop {
            match self.decoder.step() {
                Step::Header => self.header()?,
                Step::Text { bytes } => {
                    self.account_for_string(bytes)?;
                    self.string(bytes)?;
                }
                Step::Head(head) => {
                    self.wire.deadline = None;
                    self.version = head.version;
                    return Ok(head);
                }
                Step::Why { port } => return Err(Fault::AsksWhy(port)),
                step => unreachable!("{step:?} before the head"),
            }
        }
    }

    /// Reads the preprocessed source into a new file `name` of the working folder (protocols 1 and 2).
    pub(crate) fn source(&mut self, scratch: &mut Scratch, name: &OsStr) -> Result<(), Fault> {
        self.after_pause()?;
        loop {
            match self.decoder.step() {
                Step::Header => self.header()?,
                Step::Source { wire_bytes } => {
                    let content = self.content("source".as_ref(), wire_bytes, scratch)?;
                    if !scratch.take(content.len()) {
                        scratch.move_to_disk().map_err(Fault::server(MOVING))?;
                    }
                    let mut file = match create_source(scratch, name, content.len()) {
                        Err(error) if is_full(&error) && scratch.is_in_memory() => {
                            scratch.move_to_disk().map_err(Fault::server(MOVING))?;
                            create_source(scratch, name, content.len())
                        }
                        other => other,
                    }
                    .map_err(Fault::server("creating the source file"))?;
                    self.store(&content, &mut file)?;
                }
                Step::End => return Ok(()),
                step => unreachable!("{step:?} in protocols 1 and 2"),
            }
        }
    }

    /// Reads the client's files and links into a tree (protocol 3).
    pub(crate) fn tree(&mut self, scratch: &mut Scratch, tree: &mut Tree) -> Result<(), Fault> {
        self.after_pause()?;
        loop {
            match self.decoder.step() {
                Step::Header => self.header()?,
                Step::Text { bytes } => self.string(bytes)?,
                Step::File { name, wire_bytes } => {
                    let content = self.content(&name, wire_bytes, scratch)?;
                    tree.take(&name, content.len()).map_err(Fault::Tree)?;
                    if !scratch.take(content.len()) {
                        move_to_disk(scratch, tree)?;
                    }
                    self.on_disk_if_full(scratch, tree, |incoming, tree| {
                        // None is a placeholder for a folder, which has no content.
                        match tree.file(&name).map_err(Fault::Tree)? {
                            Some(mut file) => incoming.store(&content, &mut file),
                            None => Ok(()),
                        }
                    })?;
                }
                Step::Link { name, text } => {
                    self.take_disk(0)?;
                    if !scratch.take(0) {
                        move_to_disk(scratch, tree)?;
                    }
                    self.on_disk_if_full(scratch, tree, |_, tree| {
                        tree.link(&name, &text).map_err(Fault::Tree)
                    })?;
                }
                Step::End => return Ok(()),
                step => unreachable!("{step:?} in protocol 3"),
            }
        }
    }

    /// Does `what`; once more on disk, if memory turns out to be full. That is only sound for what takes
    /// nothing from the connection: contents of packed files and links.
    fn on_disk_if_full(
        &mut self,
        scratch: &mut Scratch,
        tree: &mut Tree,
        what: impl Fn(&mut Self, &mut Tree) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match what(self, tree) {
            Err(fault) if scratch.is_in_memory() && fault.io_error().is_some_and(is_full) => {
                move_to_disk(scratch, tree)?;
                what(self, tree)
            }
            other => other,
        }
    }

    /// How many bytes came behind the command, and in which time.
    pub(crate) fn received(&self) -> (u64, Duration) {
        match self.body_from {
            Some((from, before)) => (self.wire.received - before, from.elapsed()),
            None => (0, Duration::ZERO),
        }
    }

    /// Gives the connection back, and what is to be kept as long as the job.
    pub(crate) fn end(self) -> Held {
        self.held
    }

    /// The client may preprocess for long before it sends the first byte after its command.
    fn after_pause(&mut self) -> Result<(), Fault> {
        self.wire.patience = self.patience.pause;
        let ended = match self.wire.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => return Err(self.broken(error, Fault::OnlyHead)),
        };
        self.wire.patience = self.patience.idle;
        self.wire.keep_pace();
        self.body_from = Some((Instant::now(), self.wire.received));
        if ended { Err(Fault::OnlyHead) } else { Ok(()) }
    }

    fn header(&mut self) -> Result<(), Fault> {
        if self.nothing_came {
            match self.wire.fill_buf() {
                Ok([]) => return Err(Fault::NoRequest),
                // No request of distcc's begins with it.
                Ok([b'P', ..]) if self.http2 => return Err(Fault::SpeaksHttp2),
                Ok(_) => self.nothing_came = false,
                Err(error) => return Err(self.broken(error, Fault::NoRequest)),
            }
        }
        let header: [u8; Header::LEN] =
            stream::read_header(self.wire).map_err(|error| self.broken(error, Fault::Truncated))?;
        self.decoder.on_header(&header).map_err(Fault::Malformed)
    }

    fn string(&mut self, bytes: u32) -> Result<(), Fault> {
        let text = stream::read_body(self.wire, bytes)
            .map_err(|error| self.broken(error, Fault::Truncated))?;
        self.decoder.on_text(text).map_err(Fault::Malformed)
    }

    fn account_for_string(&mut self, bytes: u32) -> Result<(), Fault> {
        self.command_bytes += u64::from(bytes) + STRING_BYTES;
        let bytes = self.command_bytes;
        let too_large = |max| Fault::TooLarge {
            what: "command",
            bytes,
            max,
        };
        if bytes > COMMAND_BYTES {
            return Err(too_large(COMMAND_BYTES));
        }
        if bytes > FREE_COMMAND_BYTES && self.held.command.is_none() {
            // Once for all that it may become; nobody waits here, see the module's docs.
            let part = self.memory.commands.take(self.client, COMMAND_BYTES);
            self.held.command = Some(part.ok_or(Fault::NoRoom("commands"))?);
        }
        Ok(())
    }

    /// Takes a body as far as it has to be looked at before it can be stored.
    fn content(
        &mut self,
        name: &OsStr,
        wire_bytes: u32,
        scratch: &Scratch,
    ) -> Result<Content<'a>, Fault> {
        if wire_bytes == 0 || !self.version.is_compressed() {
            self.take_disk(wire_bytes.into())?;
            return Ok(Content::OnTheWire(wire_bytes));
        }
        let unsound = |error: LzoError| Fault::Unsound {
            name: name.to_string_lossy().into_owned(),
            error,
        };
        let (block, bytes, share) = if wire_bytes <= SMALL {
            let block = stream::read_body(self.wire, wire_bytes)
                .map_err(|error| self.broken(error, Fault::BodyTruncated))?;
            let bytes = decompressed_len(&block).map_err(unsound)?;
            let share = self.memory.take("file", bytes, self.wire, self.stop)?;
            (block, bytes, share)
        } else {
            self.take_disk(wire_bytes.into())?;
            let mut spool = scratch.spool().map_err(Fault::server(SPOOLING))?;
            self.copy(wire_bytes, &mut spool)?;
            // Read twice, since waiting for the content's memory while holding the block's
            // would be a deadlock waiting for its day.
            let wire_len = u64::from(wire_bytes);
            let share = self.memory.take("file", wire_len, self.wire, self.stop)?;
            let bytes = decompressed_len(&read_back(&mut spool, wire_bytes)?).map_err(unsound)?;
            drop(share);
            let both = bytes.saturating_add(wire_len);
            let share = self.memory.take("file", both, self.wire, self.stop)?;
            (read_back(&mut spool, wire_bytes)?, bytes, share)
        };
        self.take_disk(bytes)?;
        let max = usize::try_from(bytes).expect("it fits into the memory pool");
        let bytes = decompress(&block, max).map_err(unsound)?;
        Ok(Content::Unpacked(bytes, share))
    }

    /// Takes room on disk for so many bytes.
    fn take_disk(&mut self, bytes: u64) -> Result<(), Fault> {
        // A name takes some, too.
        match self.held.disk.grow(bytes.saturating_add(NAME_BYTES)) {
            true => Ok(()),
            false => Err(Fault::NoRoom("files")),
        }
    }

    /// Writes a body's content.
    fn store(&mut self, content: &Content<'_>, file: &mut File) -> Result<(), Fault> {
        match content {
            Content::OnTheWire(bytes) => self.copy(*bytes, file),
            Content::Unpacked(bytes, _) => file.write_all(bytes).map_err(Fault::server(WRITING)),
        }
    }

    /// Copies bytes from the connection as they are.
    fn copy(&mut self, mut bytes: u32, file: &mut File) -> Result<(), Fault> {
        while bytes > 0 {
            let chunk = match self.wire.fill_buf() {
                Ok([]) => return Err(Fault::BodyTruncated),
                Ok(chunk) => &chunk[..chunk.len().min(bytes as usize)],
                Err(error) => return Err(self.broken(error, Fault::BodyTruncated)),
            };
            file.write_all(chunk).map_err(Fault::server(WRITING))?;
            let count = chunk.len();
            bytes -= count as u32; // No more than `bytes`.
            self.wire.consume(count);
        }
        Ok(())
    }

    /// What a failed read means, where the end of the connection means `ended`.
    fn broken(&self, error: io::Error, ended: Fault) -> Fault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => ended,
            io::ErrorKind::TimedOut
                if self.wire.deadline.is_some_and(|at| at <= Instant::now()) =>
            {
                Fault::SlowHead(self.patience.head)
            }
            io::ErrorKind::TimedOut if is_slow(&error) => Fault::Slow,
            io::ErrorKind::TimedOut => Fault::Silent(self.wire.patience),
            _ if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) => Fault::Stopping,
            _ => Fault::Connection(error),
        }
    }
}

/// Whether a transfer was ended because it keeps no pace.
pub(crate) fn is_slow(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooSlow>())
}

/// A body.
enum Content<'a> {
    /// So many bytes, still to be read.
    OnTheWire(u32),
    /// With the memory it takes.
    Unpacked(
        Vec<u8>,
        #[expect(dead_code, reason = "held until dropped")] Share<'a>,
    ),
}

impl Content<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::OnTheWire(bytes) => u64::from(*bytes),
            Self::Unpacked(bytes, _) => bytes.len() as u64,
        }
    }
}

fn move_to_disk(scratch: &mut Scratch, tree: &mut Tree) -> Result<(), Fault> {
    scratch
        .move_to_disk()
        .and_then(|()| tree.continue_in(scratch.root()))
        .map_err(Fault::server(MOVING))
}

/// Makes a file, in memory with all the room that it needs: what comes from the connection is written as it comes.
fn create_source(scratch: &Scratch, name: &OsStr, bytes: u64) -> io::Result<File> {
    let path = scratch.work().join(name);
    let file = File::create_new(&path)?;
    if scratch.is_in_memory()
        && bytes > 0
        && let Err(errno) = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes)
    {
        std::fs::remove_file(path)?;
        return Err(errno.into());
    }
    Ok(file)
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StorageFull
}

const MOVING: &str = "moving a job's files to disk";
const SPOOLING: &str = "spooling a packed file";
const WRITING: &str = "writing a client's file";

fn read_back(spool: &mut File, bytes: u32) -> Result<Vec<u8>, Fault> {
    let mut block = Vec::with_capacity(bytes as usize);
    spool
        .rewind()
        .and_then(|()| spool.read_to_end(&mut block))
        .map_err(Fault::server(SPOOLING))?;
    Ok(block)
}
