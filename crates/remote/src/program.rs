//! A server behind the standard input and output of a program, as ssh gives it: one program for all actions.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

use crate::server::{Server, address, unconnected};
use crate::traffic::{Counted, Traffic};
use crate::trouble::Trouble;

impl Server {
    /// Starts a program, the first of `words`, and asks the server behind it what it can do. The program ends with the
    /// connection.
    ///
    /// # Errors
    ///
    /// As [`Server::connect`].
    pub async fn connect_by(words: &[OsString]) -> Result<Server, Trouble> {
        // A name without meaning: it is the program that knows where the server is.
        let address = address("server", "the program")?;
        let words = words.to_vec();
        let traffic = Arc::<Traffic>::default();
        let counting = Arc::clone(&traffic);
        let start = tower::service_fn(move |_| {
            let started = Pipes::open(&words);
            let counted = started.map(|pipes| Counted::new(pipes, Arc::clone(&counting)));
            async move { counted.map(TokioIo::new) }
        });
        let channel = address.connect_with_connector(start).await;
        let channel = channel.map_err(|error| unconnected(&error))?;
        Server::over(channel, "", traffic).await
    }
}

/// A running program and our ends of its pipes.
#[derive(Debug)]
struct Pipes {
    output: pipe::Receiver,
    /// None when all is said.
    input: Option<pipe::Sender>,
    _program: Program,
}

/// Ended when dropped.
#[derive(Debug)]
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill(); // It may have ended.
        let _ = self.0.wait();
    }
}

impl Pipes {
    /// Within a runtime.
    fn open(words: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let spawned = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        });
        let mut program = Program(spawned?);
        let input = program.0.stdin.take().expect("it was piped above");
        let output = program.0.stdout.take().expect("it was piped above");
        Ok(Self {
            output: pipe::Receiver::from_owned_fd(OwnedFd::from(output))?,
            input: Some(pipe::Sender::from_owned_fd(OwnedFd::from(input))?),
            _program: program,
        })
    }

    fn with_input<T>(
        mut self: Pin<&mut Self>,
        work: impl FnOnce(Pin<&mut pipe::Sender>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.input {
            Some(input) => work(Pin::new(input)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncRead for Pipes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, into)
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with_input(|input| input.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // A pipe keeps nothing back.
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[tokio::test]
    async fn what_is_said_to_a_program_is_answered() {
        let mut pipes = Pipes::open(&words("tr a-z A-Z")).unwrap();
        pipes.write_all(b"hello").await.unwrap();
        pipes.shutdown().await.unwrap();
        let mut answer = String::new();
        pipes.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "HELLO");
        assert!(pipes.write_all(b"more").await.is_err());
    }

    #[tokio::test]
    async fn a_program_ends_with_its_connection() {
        let mut pipes = Pipes::open(&words("sleep 1000")).unwrap();
        let pid = pipes._program.0.id();
        pipes.write_all(b"hello").await.unwrap();
        drop(pipes);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[tokio::test]
    async fn what_is_no_server_is_told() {
        let said = Server::connect_by(&words("/no/ssh h")).await.unwrap_err();
        assert!(
            matches!(&said, Trouble::Away(said) if said.contains("/no/ssh")),
            "{said:?}"
        );
        // One ends at once, the other says what was said to it.
        for line in ["true", "cat"] {
            let said = Server::connect_by(&words(line)).await.unwrap_err();
            assert!(matches!(said, Trouble::Foreign(_)), "{line}: {said:?}");
        }
    }
}
