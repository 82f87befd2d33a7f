//! What goes between server, helper and jobs: bytes with lengths in front, and descriptors.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::job::MOST_WRITABLE;

/// Not what the other side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Malformed> for io::Error {
    fn from(_: Malformed) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, "a malformed message")
    }
}

/// Builds a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: impl AsRef<OsStr>) {
        let bytes = text.as_ref().as_bytes();
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    pub(crate) fn path(&mut self, path: &Path) {
        self.text(path.as_os_str());
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            put(self, item);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a message apart.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    pub(crate) fn text(&mut self) -> Result<OsString, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(OsString::from_vec(text.to_vec()))
    }

    pub(crate) fn path(&mut self) -> Result<PathBuf, Malformed> {
        Ok(self.text()?.into())
    }

    pub(crate) fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.number()?;
        (0..count).map(|_| take(self)).collect()
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// A message with its length in front, as streams carry it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&message.len().to_le_bytes(), message].concat()
}

/// Reads a message with its length in front. The other side is trusted, but for its size.
pub(crate) fn read_framed(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    const LONGEST: usize = 64 << 20;
    let mut length = [0; size_of::<usize>()];
    stream.read_exact(&mut length)?;
    let length = usize::from_le_bytes(length);
    if length > LONGEST {
        return Err(Malformed.into());
    }
    // Memory grows with what has come.
    let mut message = Vec::new();
    stream.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

/// The most descriptors that come with a message: those of a job's results.
const DESCRIPTORS: usize = MOST_WRITABLE;

/// Sends bytes with descriptors, in one piece.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL.into());
    }
    let data = [IoSlice::new(bytes)];
    let sent =
        rustix::io::retry_on_intr(|| sendmsg(&socket, &data, &mut control, SendFlags::NOSIGNAL))?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Receives bytes with descriptors; no bytes mean that the other side is gone.
pub(crate) fn receive(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut data = [IoSliceMut::new(bytes)];
        recvmsg(&socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

/// How much of a framed message goes in one piece with its descriptors.
const PIECE: usize = 16 << 10;

/// Sends a framed message with descriptors.
pub(crate) fn send_framed(
    mut stream: &UnixStream,
    message: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = framed(message);
    let (first, rest) = bytes.split_at(bytes.len().min(PIECE));
    send(stream, first, fds)?;
    stream.write_all(rest)
}

/// Receives a framed message with descriptors, if the other side is still there. It sends the next one only when this
/// one is answered.
pub(crate) fn receive_framed(stream: &UnixStream) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut piece = [0; PIECE];
    let (length, fds) = receive(stream, &mut piece)?;
    if length == 0 {
        return Ok(None);
    }
    let message = read_framed(&mut (&piece[..length]).chain(stream))?;
    Ok(Some((message, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel_with_bytes() {
        let (one, other) = UnixStream::pair().unwrap();
        let (far, near) = UnixStream::pair().unwrap();
        let long = vec![7; PIECE + 100];
        for message in [&b"hello"[..], &long] {
            send_framed(&one, message, &[near.as_fd()]).unwrap();
            let (received, fds) = receive_framed(&other).unwrap().unwrap();
            assert_eq!((&received[..], fds.len()), (message, 1));
            let near = UnixStream::from(fds.into_iter().next().unwrap());
            (&near).write_all(b"x").unwrap();
        }
        drop((one, near));
        let mut bytes = [0; 16];
        assert_eq!(receive(&far, &mut bytes).unwrap().0, 2);
        assert!(receive_framed(&other).unwrap().is_none());
    }

    #[test]
    fn a_message_that_breaks_off_is_none() {
        let (one, other) = UnixStream::pair().unwrap();
        send(&one, &framed(b"message")[..10], &[]).unwrap();
        drop(one);
        assert!(receive_framed(&other).is_err());
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        let bytes = [&u64::MAX.to_le_bytes()[..], b"x"].concat();
        assert!(read_framed(&mut &bytes[..]).is_err());
        assert_eq!(Reader::new(&bytes).text(), Err(Malformed));
        assert_eq!(Reader::new(&bytes).list(Reader::number), Err(Malformed));
    }
}
