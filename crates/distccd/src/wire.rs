//! A connection: reading with time limits, watching for a client that hangs up, writing.
//!
//! Every wait is a `poll` on all that may end it, so nothing here ever blocks on a client alone,
//! and nothing has to look again every second. distccd 3.4 reads without a time limit.

use std::io::{self, BufRead, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use crate::event::Event;

/// A connection with one client.
pub(crate) struct Wire {
    input: Arc<OwnedFd>,
    /// None once we have nothing more to say.
    output: Option<Arc<OwnedFd>>,
    input_is_socket: bool,
    output_is_socket: bool,
    buffer: Box<[u8]>,
    /// What of the buffer is not consumed yet.
    unread: std::ops::Range<usize>,
    /// All bytes consumed so far.
    pub(crate) received: u64,
    /// How long a read may wait in all, and for one byte.
    pub(crate) deadline: Option<Instant>,
    pub(crate) patience: Duration,
    /// Since when, and since how many bytes, reads have to keep up a pace.
    pace: Option<(Instant, u64)>,
    /// Ends reads.
    stop: Arc<Event>,
    /// Bytes after the request, which no client has a reason to send, were seen.
    trailing: bool,
}

/// A connection that speaks something else, for whoever does so, too.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) input: Arc<OwnedFd>,
    pub(crate) output: Arc<OwnedFd>,
    pub(crate) output_is_socket: bool,
    /// What was read already.
    pub(crate) first: Vec<u8>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// What was waited for.
    Ready,
    ClientGone,
    Stopped,
    TimeUp,
}

/// The error inside an [`io::Error`] of a read that was ended because the server stops.
#[derive(Debug)]
pub(crate) struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("server stops")
    }
}

impl std::error::Error for Stopped {}

/// The error inside an [`io::Error`] of a transfer that moves, but not fast enough.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too slow")
    }
}

impl std::error::Error for TooSlow {}

/// Bytes each second that a client has to send or take at least, beyond the time that may
/// pass without any. A modem would be faster; a client that is slower wants to keep us busy.
pub(crate) const SLOWEST: u64 = 1024;

const BUFFER: usize = 64 << 10;
/// What a pipe takes without waiting, once it is writable at all.
const PIPE_BUF: usize = 4096;

impl Wire {
    /// A connection over one socket.
    pub(crate) fn socket(fd: OwnedFd, stop: Arc<Event>, patience: Duration) -> Self {
        let fd = Arc::new(fd);
        Self::new(Arc::clone(&fd), fd, stop, patience)
    }

    /// A connection over two descriptors, as inetd and ssh give them.
    pub(crate) fn new(
        input: Arc<OwnedFd>,
        output: Arc<OwnedFd>,
        stop: Arc<Event>,
        patience: Duration,
    ) -> Self {
        Self {
            input_is_socket: is_socket(input.as_fd()),
            output_is_socket: is_socket(output.as_fd()),
            input,
            output: Some(output),
            buffer: vec![0; BUFFER].into(),
            unread: 0..0,
            received: 0,
            deadline: None,
            patience,
            pace: None,
            stop,
            trailing: false,
        }
    }

    /// The connection, with what was read of it and not consumed.
    pub(crate) fn into_taken(self) -> Taken {
        Taken {
            output: self.output.unwrap_or_else(|| Arc::clone(&self.input)),
            input: self.input,
            output_is_socket: self.output_is_socket,
            first: self.buffer[self.unread].to_vec(),
        }
    }

    /// From now on reads have to keep up a pace.
    pub(crate) fn keep_pace(&mut self) {
        self.pace = Some((Instant::now(), self.received));
    }

    /// The client was not waited for during the last `time`.
    pub(crate) fn excuse(&mut self, time: Duration) {
        if let Some((since, _)) = &mut self.pace {
            *since += time;
        }
    }

    /// Waits for `ready` to be readable; the client hanging up, `stop` and `deadline` end it.
    ///
    /// To be called when no more bytes are expected, or after those that came were consumed.
    pub(crate) fn watch(
        &mut self,
        ready: BorrowedFd<'_>,
        stop: &Event,
        deadline: Option<Instant>,
    ) -> io::Result<Woken> {
        loop {
            // Hanging up comes as RDHUP from sockets, as HUP from pipes.
            let mut fds = [
                PollFd::new(&ready, PollFlags::IN),
                PollFd::new(&*self.input, PollFlags::RDHUP),
                PollFd::new(stop, PollFlags::IN),
            ];
            let timeout = deadline.map(|at| timespec(at.saturating_duration_since(Instant::now())));
            match poll(&mut fds, timeout.as_ref()) {
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(Woken::TimeUp),
                Ok(_) => {}
            }
            let [ready, client, stop] = fds.map(|fd| !fd.revents().is_empty());
            return Ok(match () {
                () if ready => Woken::Ready,
                () if client => Woken::ClientGone,
                () if stop => Woken::Stopped,
                () => continue,
            });
        }
    }

    /// Whether the client has sent bytes after its request.
    pub(crate) fn has_trailing_bytes(&mut self) -> bool {
        if !self.trailing {
            let in_socket = || {
                let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                let peeked = rustix::net::recv(&*self.input, &mut [0; 1], flags);
                matches!(peeked, Ok((1.., _)))
            };
            self.trailing = !self.unread.is_empty() || (self.input_is_socket && in_socket());
        }
        self.trailing
    }

    /// Writes what the connection takes without waiting, and returns how much that was.
    pub(crate) fn send_at_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(output) = self.output.as_ref().filter(|_| self.output_is_socket) else {
            return Ok(0); // A pipe cannot be written to without waiting.
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut sent = 0;
        while sent < bytes.len() {
            match rustix::net::send(&**output, &bytes[sent..], flags) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Writes all of it. `kill` ends it, as does a client that takes nothing for as long as our
    /// patience lasts.
    pub(crate) fn send(&mut self, mut bytes: &[u8], kill: &Event) -> io::Result<()> {
        let Some(output) = &self.output else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (since, all) = (Instant::now(), bytes.len());
        let wait = |rest: usize| {
            let sent = (all - rest) as u64;
            let left = time_left(since, sent, self.patience)?;
            let mut fds = [
                PollFd::new(&**output, PollFlags::OUT),
                PollFd::new(kill, PollFlags::IN),
            ];
            poll_at_pace(&mut fds, self.patience, left)
        };
        while !bytes.is_empty() {
            let sent = if self.output_is_socket {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                rustix::net::send(&**output, bytes, flags)
            } else {
                wait(bytes.len())?;
                rustix::io::write(&**output, &bytes[..bytes.len().min(PIPE_BUF)])
            };
            match sent {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait(bytes.len())?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Says that nothing more will come, and lets the client finish what it is sending: closing
    /// at once would make its system throw away our answer, or show a reset where the client
    /// expects an end.
    pub(crate) fn finish(&mut self, at_most: Duration) {
        if let Some(output) = self.output.take()
            && self.output_is_socket
        {
            let _ = rustix::net::shutdown(&*output, Shutdown::Write); // The client is gone then.
        }
        self.deadline = Some(Instant::now() + at_most);
        self.unread = 0..0;
        // Until the end of stream, time, or error: there is nothing to be done about any.
        while let Ok(1..) = self.fill_buf().map(<[u8]>::len) {
            self.unread = 0..0;
        }
    }

    fn wait_for_input(&self) -> io::Result<()> {
        let patience = match self.deadline {
            None => self.patience,
            Some(at) => self
                .patience
                .min(at.saturating_duration_since(Instant::now())),
        };
        let left = match self.pace {
            Some((since, before)) => time_left(since, self.received - before, self.patience)?,
            None => patience,
        };
        let mut fds = [
            PollFd::new(&*self.input, PollFlags::IN),
            PollFd::new(&*self.stop, PollFlags::IN),
        ];
        poll_at_pace(&mut fds, patience, left)
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = {
            let mut available = self.fill_buf()?;
            available.read(into)?
        };
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Wire {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.unread.is_empty() {
            self.wait_for_input()?;
            let got = if self.input_is_socket {
                rustix::net::recv(&*self.input, &mut self.buffer[..], RecvFlags::DONTWAIT)
                    .map(|(count, _)| count)
            } else {
                rustix::io::read(&*self.input, &mut self.buffer[..])
            };
            match got {
                Ok(0) => return Ok(&[]),
                Ok(count) => self.unread = 0..count,
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.unread.start += count;
        self.received += count as u64;
    }
}

/// How long a transfer that began at `since` may still take to move on from `moved` bytes.
fn time_left(since: Instant, moved: u64, patience: Duration) -> io::Result<Duration> {
    let due = since + patience + Duration::from_secs(moved / SLOWEST);
    match due.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, TooSlow)),
        left => Ok(left),
    }
}

/// Waits for the first of two descriptors, `left` being all the time that the pace allows.
fn poll_at_pace(fds: &mut [PollFd<'_>; 2], patience: Duration, left: Duration) -> io::Result<()> {
    poll_for(fds, patience.min(left)).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut if left < patience => {
            io::Error::new(io::ErrorKind::TimedOut, TooSlow)
        }
        _ => error,
    })
}

/// Waits for the first of two descriptors; the second one means to stop.
fn poll_for(fds: &mut [PollFd<'_>; 2], patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        let left = timespec(until.saturating_duration_since(Instant::now()));
        match poll(fds, Some(&left)) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) if !fds[1].revents().is_empty() => return Err(io::Error::other(Stopped)),
            Ok(_) => return Ok(()),
        }
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    // A time that does not fit is as good as for ever.
    Timespec::try_from(duration).unwrap_or(Timespec {
        tv_sec: i64::MAX,
        tv_nsec: 0,
    })
}

fn is_socket(fd: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_type(fd).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn pair(patience_ms: u64) -> (UnixStream, Wire, Arc<Event>) {
        let (client, server) = UnixStream::pair().unwrap();
        let stop = Arc::new(Event::new().unwrap());
        let patience = Duration::from_millis(patience_ms);
        (
            client,
            Wire::socket(server.into(), Arc::clone(&stop), patience),
            stop,
        )
    }

    #[test]
    fn reads_what_comes_and_gives_up_on_silence() {
        let (mut client, mut wire, _stop) = pair(20);
        client.write_all(b"abc").unwrap();
        let mut bytes = [0; 2];
        wire.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ab");
        let error = wire.read_exact(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_deadline_ends_a_trickle() {
        let (mut client, mut wire, _stop) = pair(100_000);
        wire.deadline = Some(Instant::now());
        client.write_all(b"a").unwrap();
        wire.read_exact(&mut [0]).unwrap();
        let error = wire.read_exact(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_trickle_has_to_keep_pace() {
        let (mut client, mut wire, _stop) = pair(50);
        wire.keep_pace();
        let trickle = std::thread::spawn(move || {
            while client.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let error = loop {
            if let Err(error) = wire.read_exact(&mut [0]) {
                break error;
            }
        };
        assert!(error.get_ref().unwrap().is::<TooSlow>(), "{error:?}");
        drop(wire);
        trickle.join().unwrap();
        // What moves fast enough has time.
        let long_ago = Instant::now() - Duration::from_secs(10);
        assert!(time_left(long_ago, 20 * SLOWEST, Duration::ZERO).is_ok());
        assert!(time_left(long_ago, 9 * SLOWEST, Duration::ZERO).is_err());
    }

    #[test]
    fn stopping_ends_a_read() {
        let (_client, mut wire, stop) = pair(100_000);
        stop.raise();
        let error = wire.read_exact(&mut [0]).unwrap_err();
        assert!(error.get_ref().unwrap().is::<Stopped>());
    }

    #[test]
    fn watching() {
        let (mut client, mut wire, stop) = pair(100_000);
        let ready = Event::new().unwrap();
        let watch = |wire: &mut Wire| {
            let soon = Some(Instant::now() + Duration::from_millis(20));
            wire.watch(ready.as_fd(), &stop, soon).unwrap()
        };
        assert_eq!(watch(&mut wire), Woken::TimeUp);
        // Bytes that nobody asked for are not the end of the client.
        assert!(!wire.has_trailing_bytes());
        client.write_all(b"x").unwrap();
        assert_eq!(watch(&mut wire), Woken::TimeUp);
        assert!(wire.has_trailing_bytes());
        drop(client);
        assert_eq!(watch(&mut wire), Woken::ClientGone);
        stop.raise();
        ready.raise();
        assert_eq!(watch(&mut wire), Woken::Ready);
    }

    #[test]
    fn a_hang_up_is_seen_on_a_pipe() {
        let (input, client) = rustix::pipe::pipe().unwrap();
        let (_, output) = rustix::pipe::pipe().unwrap();
        let stop = Arc::new(Event::new().unwrap());
        let patience = Duration::from_secs(100);
        let mut wire = Wire::new(input.into(), output.into(), Arc::clone(&stop), patience);
        let never = Event::new().unwrap();
        rustix::io::write(&client, b"x").unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert_eq!(
            wire.watch(never.as_fd(), &stop, soon).unwrap(),
            Woken::TimeUp
        );
        drop(client);
        assert_eq!(
            wire.watch(never.as_fd(), &stop, None).unwrap(),
            Woken::ClientGone
        );
    }

    #[test]
    fn sends_more_than_a_buffer_takes_on_sockets_and_pipes() {
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let never = Event::new().unwrap();
        let (client, mut wire, stop) = pair(100_000);
        let reader = std::thread::spawn(move || read_all(client));
        wire.send(&sent, &never).unwrap();
        drop(wire);
        assert_eq!(reader.join().unwrap(), sent);

        let (client, output) = rustix::pipe::pipe().unwrap();
        let (input, _) = rustix::pipe::pipe().unwrap();
        let patience = Duration::from_secs(100);
        let mut wire = Wire::new(input.into(), output.into(), stop, patience);
        let reader = std::thread::spawn(move || read_all(std::fs::File::from(client)));
        wire.send(&sent, &never).unwrap();
        drop(wire);
        assert_eq!(reader.join().unwrap(), sent);
    }

    #[test]
    fn a_client_that_takes_nothing_is_given_up() {
        let (_client, mut wire, _stop) = pair(20);
        let error = wire.send(&vec![0; 3_000_000], &Event::new().unwrap());
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn finishing_shows_the_client_an_end_and_takes_what_it_still_sends() {
        let (mut client, mut wire, _stop) = pair(100_000);
        let server = std::thread::spawn(move || wire.finish(Duration::from_secs(100)));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        client.write_all(&[0; 300_000]).unwrap();
        drop(client);
        server.join().unwrap();
    }

    fn read_all(mut from: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    }
}
