//! Threads that wait for clients of ours.
//!
//! They are as many as ever were needed at once: starting one for each question, and having another one wait for
//! connections, cost more than many an answer.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub(super) struct Workers {
    listener: UnixListener,
    most: usize,
    converse: Box<dyn Fn(&UnixStream) + Send + Sync>,
    warn: Box<dyn Fn(&str) + Send + Sync>,
    /// Those that wait for a client.
    idle: AtomicUsize,
    all: AtomicUsize,
}

impl Workers {
    /// Starts the first of `most` that `converse` with one client each. They end with the process.
    pub(super) fn start(
        listener: UnixListener,
        most: usize,
        converse: impl Fn(&UnixStream) + Send + Sync + 'static,
        warn: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let workers = Arc::new(Self {
            listener,
            most,
            converse: Box::new(converse),
            warn: Box::new(warn),
            idle: AtomicUsize::new(1),
            all: AtomicUsize::new(1),
        });
        thread::Builder::new()
            .spawn(move || workers.work())
            .map(drop)
    }

    /// The life of one of them, which counts as idle.
    fn work(self: Arc<Self>) {
        loop {
            let accepted = self.listener.accept();
            if self.idle.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.add_one();
            }
            match accepted {
                // A panic has been told on standard error; it costs its client the answer.
                Ok((stream, _)) => drop(catch_unwind(AssertUnwindSafe(|| {
                    (self.converse)(&stream);
                }))),
                Err(error) => {
                    (self.warn)(&format!("cannot accept: {error}"));
                    // Likely out of descriptors: until some thread ends.
                    thread::sleep(Duration::from_millis(20));
                }
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Without another one, clients wait until one of these has answered.
    fn add_one(self: &Arc<Self>) {
        let is_last = self.all.fetch_add(1, Ordering::Relaxed) >= self.most;
        self.idle.fetch_add(1, Ordering::Relaxed);
        let workers = Arc::clone(self);
        if is_last
            || thread::Builder::new()
                .spawn(move || workers.work())
                .is_err()
        {
            self.all.fetch_sub(1, Ordering::Relaxed);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
