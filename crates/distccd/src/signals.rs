//! TERM, INT and HUP, as something to poll for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM};

/// A signal's number.
pub(crate) type Signal = i32;

/// What `--lifetime` ends with, as 3.4's alarm does.
pub(crate) const ALARM: Signal = SIGALRM;

/// Signals that ask the server to end.
#[derive(Debug)]
pub(crate) struct Signals {
    /// A byte for each signal that came.
    bell: UnixStream,
    /// The last one that came, or 0.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes over the signals, but for those that whoever started us made us ignore.
    pub(crate) fn take_over() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        let last = Arc::new(AtomicUsize::new(0));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            if is_ignored(signal) {
                continue;
            }
            let number = usize::try_from(signal).expect("signals are positive");
            // In this order: the number is known when the bell rings.
            signal_hook::flag::register_usize(signal, Arc::clone(&last), number)?;
            signal_hook::low_level::pipe::register(signal, ringer.try_clone()?)?;
        }
        Ok(Self { bell, last })
    }

    /// The signal that came since the last call.
    pub(crate) fn came(&self) -> Option<Signal> {
        // Bytes left over only wake us once more.
        let _ = rustix::io::read(&self.bell, &mut [0; 64]);
        match self.last.swap(0, Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

fn is_ignored(signal: Signal) -> bool {
    let mut old = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null pointer for the new action, it only writes the old one.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) };
    // SAFETY: it was written; and all of it zero is a valid value, too.
    asked == 0 && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Ends this process by a signal, as its parent expects it.
pub(crate) fn die_by(signal: Signal) {
    // Returns only for signals that do not end a process, which none of ours is.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

/// The signal's name in the log.
pub(crate) fn name(signal: Signal) -> &'static str {
    match signal {
        SIGTERM => "Terminated",
        SIGINT => "Interrupt",
        SIGHUP => "Hangup",
        SIGALRM => "Alarm clock",
        _ => "Signal",
    }
}
