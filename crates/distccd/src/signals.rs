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

/// The signals that ask the server to end, held back: those that come are kept until
/// [`Signals::take_over`].
#[derive(Debug)]
pub(crate) struct HeldBack(());

/// Holds back the signals that end the server while there is something to remove after us (the
/// pid file) and nothing yet that would do so. Has to happen before the first thread starts,
/// which would inherit it.
pub(crate) fn hold_back() -> HeldBack {
    change_mask(libc::SIG_BLOCK);
    HeldBack(())
}

fn change_mask(how: libc::c_int) {
    let mut ending = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is written by `sigemptyset` before it is read, and a null pointer asks for
    // no old mask. None of these calls can fail with signals that exist.
    unsafe {
        libc::sigemptyset(ending.as_mut_ptr());
        for signal in ENDING {
            libc::sigaddset(ending.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(how, ending.as_ptr(), std::ptr::null_mut());
    }
}

const ENDING: [Signal; 3] = [SIGTERM, SIGINT, SIGHUP];

/// Signals that ask the server to end.
#[derive(Debug)]
pub(crate) struct Signals {
    /// A byte for each signal that came.
    bell: UnixStream,
    /// The last one that came, or 0.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes over the signals, but for those that whoever started us made us ignore. What was
    /// held back comes now.
    pub(crate) fn take_over(held_back: HeldBack) -> io::Result<Self> {
        let HeldBack(()) = held_back;
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        let last = Arc::new(AtomicUsize::new(0));
        for signal in ENDING {
            if is_ignored(signal) {
                continue;
            }
            let number = usize::try_from(signal).expect("signals are positive");
            // In this order: the number is known when the bell rings.
            signal_hook::flag::register_usize(signal, Arc::clone(&last), number)?;
            signal_hook::low_level::pipe::register(signal, ringer.try_clone()?)?;
        }
        change_mask(libc::SIG_UNBLOCK);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_too_early_is_kept() {
        // Whoever runs the tests may have made us ignore it (`nohup`).
        // SAFETY: installs no code.
        unsafe { libc::signal(SIGHUP, libc::SIG_DFL) };
        let held_back = hold_back();
        // SAFETY: a signal for this thread alone, which holds it back.
        unsafe { libc::raise(SIGHUP) };
        let signals = Signals::take_over(held_back).unwrap();
        assert_eq!(signals.came(), Some(SIGHUP));
        assert_eq!(signals.came(), None);
    }
}
