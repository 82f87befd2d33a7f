//! A line that counts up on a terminal, while many compiles are worked on by several threads.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(100);

/// Shows how many are done, if standard error is a terminal; the line is wiped at the end.
pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    shown: bool,
    done: AtomicUsize,
    /// When the line was written last; held while it is written.
    written: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        Progress {
            what,
            total,
            shown: std::io::stderr().is_terminal(),
            done: AtomicUsize::new(0),
            written: Mutex::new(Instant::now()),
        }
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        if !self.shown {
            return;
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() >= EVERY {
            *written = Instant::now();
            write(&format!("\r{} {done}/{}", self.what, self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    // Nobody misses a progress line.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
