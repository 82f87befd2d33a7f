//! System calls that no library wraps, or whose wrapper is unsafe. The only unsafe code here.
//!
//! The helper has one thread from its start to its end ([`crate::helper_main`] says so to its
//! caller), which is what makes a plain `clone` and `unshare` harmless.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use crate::job::Used;

/// Which process goes on after [`clone_process`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloned {
    Parent(Pid),
    Child,
}

/// `fork`, into new namespaces. The flags are `CLONE_NEW...`.
pub(crate) fn clone_process(namespaces: UnshareFlags) -> io::Result<Cloned> {
    let flags = libc::c_long::from(namespaces.bits() | libc::SIGCHLD.cast_unsigned());
    // SAFETY: without CLONE_VM and a stack this is fork: the child has copies of all memory. No
    // other thread exists whose locks it could inherit. The zeros are pointers for flags that
    // are not given.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(0) => Ok(Cloned::Child),
        Ok(pid @ 1..) => Pid::from_raw(pid)
            .map(Cloned::Parent)
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Moves this process into new namespaces.
pub(crate) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    // SAFETY: unsafe only for CLONE_FILES, for other threads' sake; there are none.
    Ok(unsafe { rustix::thread::unshare_unsafe(namespaces) }?)
}

/// What to add to a mount.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Restriction {
    /// Programs may be run from it.
    Programs,
    /// Devices may be used.
    Devices,
    /// Neither.
    Data,
}

/// Makes a mount read-only and more, with all mounts below it. Unlike a remount, this keeps
/// what is set already, as the kernel demands in user namespaces.
pub(crate) fn restrict(mount: impl AsFd, restriction: Restriction) -> io::Result<()> {
    const RDONLY: u64 = 0x1;
    const NOSUID: u64 = 0x2;
    const NODEV: u64 = 0x4;
    const NOEXEC: u64 = 0x8;
    #[repr(C)]
    struct MountAttributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let more = match restriction {
        Restriction::Programs => NODEV,
        Restriction::Devices => NOEXEC,
        Restriction::Data => NODEV | NOEXEC,
    };
    let attributes = MountAttributes {
        set: RDONLY | NOSUID | more,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: both pointers are valid for the call, and the size is that of the structure.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Closes all descriptors but the standard ones: whoever started the server may have left some.
pub(crate) fn close_all() {
    let (first, last, flags) = (3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint);
    // SAFETY: to be called before this process has opened any, so nobody owns one.
    // The oldest kernels that sandboxes work on know this call.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}

/// Keeps signals away that are meant to end the server: the helper ends with the server, which
/// finishes its jobs first.
pub(crate) fn block_ending_signals() -> io::Result<()> {
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
    set_signal_mask(&signals)
}

/// For programs, which do not expect it otherwise.
pub(crate) fn unblock_signals() -> io::Result<()> {
    set_signal_mask(&[])
}

fn set_signal_mask(blocked: &[libc::c_int]) -> io::Result<()> {
    let mut signals = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by sigemptyset before it is read, and valid for all calls.
    let done = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        for &signal in blocked {
            libc::sigaddset(signals.as_mut_ptr(), signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, signals.as_ptr(), std::ptr::null_mut())
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Waits for a child, and returns its `wait` status and what it took.
///
/// # Errors
/// It is no child of this process, or was waited for.
pub fn wait_for(child: Pid) -> io::Result<(u32, Used)> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    loop {
        let pid = child.as_raw_nonzero().get();
        // SAFETY: both pointers are valid for the call.
        let done = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if done == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: it was written; and all of it zero is a valid value, too.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| {
        let micros = u32::try_from(time.tv_usec).unwrap_or(0);
        Duration::new(time.tv_sec.unsigned_abs(), micros.saturating_mul(1000))
    };
    let used = Used {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        minor_faults: usage.ru_minflt.unsigned_abs(),
        major_faults: usage.ru_majflt.unsigned_abs(),
    };
    Ok((status.cast_unsigned(), used))
}

/// Ends all processes that this one may send signals to. To be called by the first process of a
/// pid namespace: there it is all the others, and nobody else.
pub(crate) fn end_all_others() {
    // SAFETY: it takes two numbers. Failing, there is nobody.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Ends this process without the ceremonies of a whole program: it is a copy of the helper.
pub(crate) fn exit_now() -> ! {
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(0) }
}
