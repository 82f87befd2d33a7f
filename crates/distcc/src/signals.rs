//! TERM, INT, QUIT, HUP and XFSZ (a file larger than is allowed): die of them, but leave nothing behind.
//!
//! Children are told, the monitor's record is removed, and then the signal does what it would
//! have done. (distcc 3.4 leaves its record, and a local compiler running.) Temporary files need
//! nothing: they exist only while signals are blocked, see [`Blocked`].
//!
//! The handler uses atomics and async-signal-safe calls only. There is one thread, so that the
//! handler and the code it interrupts never run at the same time.

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering::SeqCst};

const DEADLY: [c_int; 5] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGXFSZ,
];

/// What to signal: a child's pid, or its negative for a child with a process group of its own; 0
/// is a free place. There are never more than two: a preprocessor and ssh.
static CHILDREN: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];
/// The monitor's record, to be removed.
static RECORD: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
/// A child is being made, whose pid is not known yet: put the signal off.
static SPAWNING: AtomicBool = AtomicBool::new(false);
/// The signal that was put off.
static PUT_OFF: AtomicI32 = AtomicI32::new(0);

/// Sets the handlers. A signal that our caller has us ignore (`nohup`) stays ignored; but an
/// ignored SIGCHLD would have the kernel swallow the ends of our children.
pub(crate) fn install() {
    // SAFETY: no memory is involved.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    for signal in DEADLY {
        let mut old = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: all-zero bytes are a valid `sigaction`; both pointers are to live values of
        // that type, and the handler is an `extern "C"` function of the type that a `sigaction`
        // without SA_SIGINFO holds.
        unsafe {
            let mut new = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            new.sa_sigaction = on_signal as extern "C" fn(c_int) as libc::sighandler_t;
            new.sa_flags = libc::SA_RESTART;
            new.sa_mask = deadly_set();
            libc::sigaction(signal, &raw const new, old.as_mut_ptr());
            if old.assume_init_ref().sa_sigaction == libc::SIG_IGN {
                libc::sigaction(signal, old.as_ptr(), ptr::null_mut());
            }
        }
    }
}

extern "C" fn on_signal(signal: c_int) {
    if SPAWNING.load(SeqCst) {
        PUT_OFF.store(signal, SeqCst);
    } else {
        die_of(signal);
    }
}

/// Cleans up and raises `signal` with its default effect. Inside the handler the signal is
/// blocked, and takes effect at its end.
fn die_of(signal: c_int) {
    for child in &CHILDREN {
        let pid = child.load(SeqCst);
        if pid != 0 {
            // SAFETY: no memory is involved; async-signal-safe.
            unsafe { libc::kill(pid, signal) };
        }
    }
    let record = RECORD.load(SeqCst);
    if !record.is_null() {
        // SAFETY: RECORD is null or a C string that lives until after RECORD was reset;
        // async-signal-safe.
        unsafe { libc::unlink(record) };
    }
    // SAFETY: no memory is involved; async-signal-safe.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

fn deadly_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, and the signal numbers are valid.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in DEADLY {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// While this lives, deadly signals wait.
pub(crate) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    pub(crate) fn new() -> Self {
        let mut before = MaybeUninit::uninit();
        let deadly = deadly_set();
        // SAFETY: both pointers are to live sets; the call fails only for a bad first argument,
        // so that `before` is initialised.
        let before = unsafe {
            libc::sigprocmask(libc::SIG_BLOCK, &raw const deadly, before.as_mut_ptr());
            before.assume_init()
        };
        Self { before }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a live set that `sigprocmask` itself wrote.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// A child that gets our deadly signals, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    place: &'static AtomicI32,
    /// What stands there; 0 if none was made.
    child: c_int,
}

/// Makes a child by `spawn`, and lets it have our deadly signals from its first moment.
/// `own_group` says that it leads a process group, which gets them as a whole.
pub(crate) fn watch(
    spawn: impl FnOnce() -> io::Result<process::Child>,
    own_group: bool,
) -> io::Result<(process::Child, Watched)> {
    let place = CHILDREN
        .iter()
        .find(|place| place.load(SeqCst) == 0)
        .expect("there are never more than two children");
    SPAWNING.store(true, SeqCst);
    let spawned = spawn();
    let pid = spawned.as_ref().map_or(0, |child| child.id().cast_signed());
    let child = if own_group { -pid } else { pid };
    place.store(child, SeqCst);
    SPAWNING.store(false, SeqCst);
    match PUT_OFF.load(SeqCst) {
        0 => {}
        signal => die_of(signal),
    }
    Ok((spawned?, Watched { place, child }))
}

impl Watched {
    /// The child was waited for: its number may be another's soon.
    pub(crate) fn forget(&self) {
        // Another may have the place by now.
        let _ = self.place.compare_exchange(self.child, 0, SeqCst, SeqCst);
    }

    /// Whether it leads a process group, which gets signals as a whole.
    pub(crate) fn is_group(&self) -> bool {
        self.child < 0
    }

    /// Asks the child, or its group, to end.
    pub(crate) fn terminate(&self) {
        // SAFETY: no memory is involved. The child was not waited for, so the pid is its own.
        unsafe { libc::kill(self.child, libc::SIGTERM) };
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A file that is removed when a signal ends us, until this is dropped.
#[derive(Debug)]
pub(crate) struct RemovedOnDeath {
    _path: CString,
}

impl RemovedOnDeath {
    /// There is one such file at a time; `None` for a path that no file can have.
    pub(crate) fn new(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        RECORD.store(path.as_ptr().cast_mut(), SeqCst);
        Some(Self { _path: path })
    }
}

impl Drop for RemovedOnDeath {
    fn drop(&mut self) {
        RECORD.store(ptr::null_mut(), SeqCst);
    }
}
