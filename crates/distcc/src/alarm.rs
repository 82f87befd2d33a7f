//! A clock that interrupts system calls, so that waiting for a lock can end without it.

use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

/// While this lives, a waiting system call is interrupted again and again: one that began a
/// moment after the first time is, too, the next time.
#[derive(Debug)]
pub(crate) struct Alarm(());

impl Alarm {
    /// Interrupts after `period`, and then in the same period. Children inherit none of it.
    pub(crate) fn every(period: Duration) -> Self {
        // SAFETY: all-zero bytes are a valid `sigaction`, whose handler is then set to an
        // `extern "C"` function of the type that goes without SA_SIGINFO; without SA_RESTART it
        // makes system calls end early.
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as libc::sighandler_t;
            libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut());
        }
        // Whoever started us may have had it blocked.
        let mut alone = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set; the old mask is not asked for.
        unsafe {
            libc::sigemptyset(alone.as_mut_ptr());
            libc::sigaddset(alone.as_mut_ptr(), libc::SIGALRM);
            libc::sigprocmask(libc::SIG_UNBLOCK, alone.as_ptr(), ptr::null_mut());
        }
        set(period);
        Self(())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        set(Duration::ZERO);
    }
}

extern "C" fn ignore(_: libc::c_int) {}

/// Sets the clock, or stops it if `period` is zero.
fn set(period: Duration) {
    let period = libc::timeval {
        tv_sec: period.as_secs().try_into().unwrap_or(i32::MAX.into()),
        tv_usec: period.subsec_micros().into(),
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the pointer is to a live value; the old one is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}
