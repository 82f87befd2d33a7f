//! How long a call took, for those who want to know.

use std::mem::MaybeUninit;
use std::time::Instant;

use crate::exit::Exit;
use crate::log::{Level, Log};

/// Runs `call`, and logs what it took in 3.4's words.
pub(crate) fn measure(log: &Log, call: impl FnOnce() -> Exit) -> Exit {
    if !log.shows(Level::Info) {
        return call();
    }
    let start = Instant::now();
    let exit = call();
    let elapsed = start.elapsed();
    log.info(
        "",
        format_args!(
            "elapsed compilation time {}.{:06}s",
            elapsed.as_secs(),
            elapsed.subsec_micros()
        ),
    );
    let (user, system) = used(libc::RUSAGE_SELF);
    let (child_user, child_system) = used(libc::RUSAGE_CHILDREN);
    log.info(
        "dcc_exit",
        format_args!(
            "exit: code {}; self: {user:.6} user {system:.6} sys; children: {child_user:.6} user \
             {child_system:.6} sys",
            exit.code()
        ),
    );
    exit
}

/// Seconds of processor time in user code and in the kernel.
fn used(by: libc::c_int) -> (f64, f64) {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a live value of the right type, for which zeros are valid too.
    let usage = unsafe {
        libc::getrusage(by, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}
