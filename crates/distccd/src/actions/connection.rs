//! A connection for the async runtime, whose first bytes were read already: a socket, or the two descriptors that
//! inetd and ssh give.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::Shutdown;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tonic::transport::server::Connected;

use super::service::Guard;
use super::watched::watched;
use crate::wire::Taken;

/// A connection. Dropping it gives its share back.
#[derive(Debug)]
pub(crate) struct Connection {
    input: AsyncFd<OwnedFd>,
    output: AsyncFd<OwnedFd>,
    output_is_socket: bool,
    /// What was read before, and not yet handed on.
    first: Vec<u8>,
    client: engine::Client,
    patience: Duration,
    /// Who says nothing until then has gone: HTTP/2 makes it say something.
    silent: Pin<Box<Sleep>>,
    _guard: Guard,
}

impl Connection {
    /// Within a runtime. A client that says nothing for `patience` has gone.
    pub(crate) fn open(
        taken: Taken,
        client: engine::Client,
        patience: Duration,
        guard: Guard,
    ) -> io::Result<Self> {
        // Each is registered by itself, also where both are one socket.
        let input = taken.input.try_clone()?;
        let output = taken.output.try_clone()?;
        for fd in [&input, &output] {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Self {
            input: watched(input, Interest::READABLE)?,
            output: watched(output, Interest::WRITABLE)?,
            output_is_socket: taken.output_is_socket,
            first: taken.first,
            client,
            patience,
            silent: Box::pin(sleep(patience)),
            _guard: guard,
        })
    }

    fn poll_output(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.output.poll_write_ready(context))?;
            if let Ok(written) = ready.try_io(|fd| Ok(write(fd.get_ref())?)) {
                return Poll::Ready(written);
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = engine::Client;

    fn connect_info(&self) -> engine::Client {
        self.client
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let count = self.first.len().min(into.remaining());
            into.put_slice(&self.first[..count]);
            self.first.drain(..count);
            return Poll::Ready(Ok(()));
        }
        loop {
            let this = &mut *self;
            let Poll::Ready(ready) = this.input.poll_read_ready(context) else {
                ready!(this.silent.as_mut().poll(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            };
            let free = into.initialize_unfilled();
            if let Ok(read) = ready?.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *free)?)) {
                into.advance(read?);
                let until = Instant::now() + this.patience;
                this.silent.as_mut().reset(until);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_output(context, |fd| rustix::io::write(fd, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_output(context, |fd| rustix::io::writev(fd, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A pipe ends when it is dropped.
        if self.output_is_socket {
            let _ = rustix::net::shutdown(self.output.get_ref().as_fd(), Shutdown::Write); // The client has gone.
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work)
    }

    fn taken(input: OwnedFd, output: OwnedFd, is_socket: bool) -> Taken {
        Taken {
            input: Arc::new(input),
            output: Arc::new(output),
            output_is_socket: is_socket,
            first: b"PRI".to_vec(),
        }
    }

    fn open(taken: Taken, patience: Duration) -> Connection {
        let guard: Guard = Box::new(());
        Connection::open(taken, engine::Client::default(), patience, guard).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_read_before_comes_first_and_answers_go_out() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let output = server.try_clone().unwrap();
        client.write_all(b" rest").unwrap();
        run(async {
            let mut connection = open(taken(server.into(), output.into(), true), LONG);
            let mut said = [0; 8];
            connection.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"PRI rest");
            connection.write_all(b"answer").await.unwrap();
            connection.shutdown().await.unwrap();
        });
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    }

    #[test]
    fn pipes_do_as_well() {
        let (input, mut to) = io::pipe().unwrap();
        let (mut from, output) = io::pipe().unwrap();
        to.write_all(b"!").unwrap();
        drop(to);
        run(async {
            let mut connection = open(taken(input.into(), output.into(), false), LONG);
            let mut said = String::new();
            connection.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "PRI!");
            connection.write_all(b"answer").await.unwrap();
        });
        let mut answer = String::new();
        from.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    }

    #[test]
    fn silence_has_an_end() {
        let (_client, server) = UnixStream::pair().unwrap();
        let output = server.try_clone().unwrap();
        let error = run(async {
            let patience = Duration::from_millis(20);
            let mut connection = open(taken(server.into(), output.into(), true), patience);
            let mut all = Vec::new();
            connection.read_to_end(&mut all).await.unwrap_err()
        });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
