//! Whole compiles: a socket of their own, where clients of ours hand their commands over and wait.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::jobs::{Answer, Done, Question};
use protocol::request::Limits;
use remote::Endpoint;
use tokio::runtime::Runtime;

use crate::actions::maker::{Called, Made, Maker};
use crate::actions::placement::Placement;

/// For a client to send its question, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longer command lines than the kernel allows make no sense.
const LIMITS: Limits = Limits {
    args: 100_000,
    text_bytes: 1 << 20,
    all_text_bytes: 16 << 20,
    files: 0,
    body_bytes: 0,
};

/// What it takes to have compiles run elsewhere.
pub(crate) struct Jobs {
    maker: Maker,
    placement: Placement,
    runtime: Runtime,
}

impl Jobs {
    /// # Errors
    /// The machine has no threads left.
    pub(crate) fn new(maker: Maker, placement: Placement) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self {
            maker,
            placement,
            runtime,
        })
    }

    /// Serves clients from now on, in threads that end with the process.
    pub(crate) fn serve(self, listener: UnixListener) -> io::Result<()> {
        let jobs = Arc::new(self);
        let serve = move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let jobs = Arc::clone(&jobs);
                        // Without a thread the client sees the end of the connection, and goes on by itself.
                        let _ = std::thread::Builder::new().spawn(move || jobs.converse(&stream));
                    }
                    // Likely out of descriptors: until some thread ends.
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        };
        std::thread::Builder::new().spawn(serve).map(drop)
    }

    /// One compile. What goes wrong with the connection, the client sees as its end.
    fn converse(&self, stream: &UnixStream) {
        let answered = self.answer(stream);
        if let Ok(Some(answer)) = answered {
            let _ = (&mut &*stream).write_all(&answer.encode()); // It may be gone.
        }
    }

    fn answer(&self, stream: &UnixStream) -> io::Result<Option<Answer>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let question = Question::read(&mut BufReader::new(stream), LIMITS)?;
        let called = Called {
            argv: question.query.argv,
            environment: question.environment,
            cwd: PathBuf::from(question.query.cwd),
            in_colour: question.in_colour,
        };
        let here = |why: String| Ok(Some(Answer::Here(OsString::from(why))));
        let made = match self.maker.make(&called) {
            Ok(made) => made,
            Err(why) => return here(why),
        };
        let gone = stream.try_clone()?;
        gone.set_nonblocking(true)?;
        let ran = self.runtime.block_on(async {
            let gone = tokio::net::UnixStream::from_std(gone)?;
            tokio::select! {
                ran = self.placement.run(&made.order) => Ok(Some(ran)),
                // It says nothing more, so this is its end.
                _ = gone.readable() => io::Result::Ok(None),
            }
        });
        stream.set_nonblocking(false)?;
        match ran? {
            None => Ok(None),
            Some(Err(why)) => Ok(Some(Answer::Away(OsString::from(why)))),
            Some(Ok((host, outcome))) => Ok(Some(Answer::Done(done(host, outcome, &made)))),
        }
    }
}

fn done(host: String, outcome: remote::Outcome, made: &Made) -> Done {
    let files = outcome.files.into_iter().filter_map(|file| {
        let name = made.outputs.get(&file.path)?;
        Some((OsString::from_vec(name.clone()), file.content))
    });
    Done {
        host: host.into(),
        exit_code: u32::try_from(outcome.exit_code).unwrap_or(255),
        output: made.object.clone(),
        stderr: outcome.stderr,
        stdout: outcome.stdout,
        files: files.collect(),
    }
}

/// The engines in a host list, and how many jobs each gets at once.
///
/// # Errors
/// What is wrong with one, in words.
pub(crate) fn engines(hosts: &OsStr) -> Result<Vec<(Endpoint, u32)>, String> {
    let list = hosts::parse(hosts.as_bytes()).map_err(|error| error.to_string())?;
    let mut engines = Vec::new();
    for host in list.hosts {
        let hosts::Transport::Engine { name } = host.transport else {
            return Err(format!("{} is no engine", host.spec.display()));
        };
        let endpoint = Endpoint::parse(&name.to_string_lossy());
        engines.push((endpoint.map_err(|error| error.to_string())?, host.slots));
    }
    Ok(engines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_servers_with_so_many_places() {
        let endpoint = |name| Endpoint::parse(name).unwrap();
        assert_eq!(
            engines(OsStr::new("grpc://a:1 grpc://b:2/x,slots=5")),
            Ok(vec![
                (endpoint("grpc://a:1"), 32),
                (endpoint("grpc://b:2/x"), 5)
            ])
        );
        assert_eq!(engines(OsStr::new(" ")), Ok(Vec::new()));
        assert!(engines(OsStr::new("a")).is_err());
        assert!(engines(OsStr::from_bytes(b"grpc://u@\xff:1")).is_err());
    }
}
