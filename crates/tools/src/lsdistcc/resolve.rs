//! Names to IPv4 addresses, several at once, without ever waiting for one.
//!
//! The system's resolver blocks, for many seconds if name servers are silent, and cannot be
//! interrupted: so it is asked by threads that are left behind when the program ends.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, mpsc};

/// As many lookups run at once; the rest wait.
const WORKERS: usize = 6;

/// What came of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The number that the question bore.
    pub(super) id: usize,
    /// The first IPv4 address, if the name has one.
    pub(super) address: Option<Ipv4Addr>,
}

/// Threads that look names up.
pub(super) struct Resolver {
    questions: mpsc::Sender<(usize, OsString)>,
    answers: mpsc::Receiver<Answer>,
    /// Gets a byte for each answer.
    bell: PipeReader,
    /// What one more thread needs.
    worker: Worker,
}

/// What a thread that looks names up works with.
struct Worker {
    /// The lock is held by the thread that waits for a question.
    asked: Arc<Mutex<mpsc::Receiver<(usize, OsString)>>>,
    answers: mpsc::Sender<Answer>,
    button: PipeWriter,
}

impl Resolver {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no threads or descriptors left.
    pub(super) fn start() -> io::Result<Self> {
        let (questions, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let (bell, button) = io::pipe()?;
        let resolver = Self {
            questions,
            answers,
            bell,
            worker: Worker {
                asked: Arc::new(Mutex::new(asked)),
                answers: answer,
                button,
            },
        };
        for _ in 0..WORKERS {
            resolver.worker.spawn()?;
        }
        Ok(resolver)
    }

    /// Asks for a name's address; there will be one answer.
    pub(super) fn ask(&self, id: usize, name: &OsStr) {
        // The workers listen as long as this lives.
        let _ = self.questions.send((id, name.to_owned()));
    }

    /// Asks once more, for an answer of its own. The thread that got the first question may hang
    /// for long, so another one takes its place.
    ///
    /// # Errors
    /// As [`Resolver::start`].
    pub(super) fn ask_again(&self, id: usize, name: &OsStr) -> io::Result<()> {
        self.worker.spawn()?;
        self.ask(id, name);
        Ok(())
    }

    /// What becomes readable when there is an answer.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The answers that have come; call it when the bell is readable.
    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        // Silenced first, so that an answer that comes meanwhile rings again.
        let _ = self.bell.read(&mut [0; 512]);
        self.answers.try_iter().collect()
    }
}

impl Worker {
    fn spawn(&self) -> io::Result<()> {
        let (asked, answers) = (Arc::clone(&self.asked), self.answers.clone());
        let mut button = self.button.try_clone()?;
        let work = move || {
            // Ends when the search has ended: then there are no questions any more.
            while let Ok(Ok((id, name))) = asked.lock().map(|asked| asked.recv()) {
                let address = look_up(&name);
                if answers.send(Answer { id, address }).is_err() || button.write(&[0]).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().spawn(work)?;
        Ok(())
    }
}

/// Asks the system's resolver.
fn look_up(name: &OsStr) -> Option<Ipv4Addr> {
    let name = name.to_str().filter(|name| !name.is_empty())?;
    let mut addresses = (name, 0).to_socket_addrs().ok()?;
    addresses.find_map(|address| match address {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    #[test]
    fn each_question_gets_its_answer_and_rings_the_bell() {
        let mut resolver = Resolver::start().unwrap();
        let names = ["127.0.0.1", "::1", "", "127.0.0.2", "\u{0}", "127.0.0.3"];
        for (id, name) in names.into_iter().enumerate() {
            resolver.ask(id, OsStr::new(name));
        }
        resolver.ask_again(0, OsStr::new("127.0.0.1")).unwrap();
        let mut answers = Vec::new();
        while answers.len() < names.len() + 1 {
            let mut fds = [PollFd::from_borrowed_fd(resolver.bell(), PollFlags::IN)];
            poll(&mut fds, None).unwrap();
            answers.extend(resolver.take_answers());
        }
        answers.sort_by_key(|answer| answer.id);
        let address = |last| Some(Ipv4Addr::new(127, 0, 0, last));
        let expected = [
            (0, address(1)),
            (0, address(1)),
            (1, None),
            (2, None),
            (3, address(2)),
            (4, None),
            (5, address(3)),
        ];
        let expected = expected.map(|(id, address)| Answer { id, address });
        assert_eq!(answers, expected);
    }
}
