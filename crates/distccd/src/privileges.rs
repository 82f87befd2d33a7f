//! Giving up root: the server never compiles as root unless it is a private one.
//!
//! Has to happen before the first thread starts, since the kernel keeps users per thread.

use std::ffi::{CString, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::{io, ptr};

use rustix::process::{geteuid, getuid};

use crate::fault::reason;
use crate::log::Log;

/// A user to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: libc::uid_t,
    pub(crate) gid: libc::gid_t,
}

/// Tried in this order when `--user` names none: Debian's, distcc's own, and the last resort.
const USUAL: [&str; 3] = ["distccd", "distcc", "nobody"];
const OVERFLOW: User = User {
    uid: 65534,
    gid: 65534,
};

/// Becomes `name`, or a user of its own, if we are root, and returns whom. Never returns `Ok` as
/// root. `before` does what only root can do for that user.
///
/// # Errors
/// What failed, for the user.
pub(crate) fn give_up_root(
    name: Option<&OsStr>,
    log: &Log,
    before: impl FnOnce(User),
) -> Result<Option<User>, String> {
    if !getuid().is_root() && !geteuid().is_root() {
        return Ok(None);
    }
    let user = choose(name, log)?;
    if user.uid == 0 {
        return Err("refusing to serve as root: name another user with --user".into());
    }
    before(user);
    let failed = |what: &str| {
        let reason = reason(&io::Error::last_os_error());
        format!("failed to give up root privileges ({what}): {reason}")
    };
    // SAFETY: setgroups reads one number from a valid pointer; the others take plain numbers.
    unsafe {
        if libc::setgroups(1, &raw const user.gid) != 0 {
            return Err(failed("setgroups"));
        }
        if libc::setgid(user.gid) != 0 {
            return Err(failed("setgid"));
        }
        if libc::setuid(user.uid) != 0 {
            return Err(failed("setuid"));
        }
        // They can fail without saying so, where a sandbox pretends.
        if libc::setuid(0) == 0 || libc::getuid() != user.uid || libc::geteuid() != user.uid {
            return Err("failed to give up root privileges: still root".into());
        }
    }
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| format!("failed to set no_new_privs: {}", reason(&errno.into())))?;
    Ok(Some(user))
}

fn choose(name: Option<&OsStr>, log: &Log) -> Result<User, String> {
    if let Some(name) = name {
        if let Some(user) = look_up(name)? {
            return Ok(user);
        }
        let text = format_args!("no such user as \"{}\"", name.display());
        log.warning("dcc_preferred_user", text);
        return Ok(look_up("nobody".as_ref())?.unwrap_or(OVERFLOW));
    }
    for name in USUAL {
        if let Some(user) = look_up(name.as_ref())? {
            return Ok(user);
        }
    }
    Ok(OVERFLOW)
}

/// Asks the system's user database, which may be more than a file.
fn look_up(name: &OsStr) -> Result<Option<User>, String> {
    let failed = |error: io::Error| {
        let (name, reason) = (name.display(), reason(&error));
        format!("failed to look up user \"{name}\": {reason}")
    };
    let Ok(c_name) = CString::new(name.as_bytes()) else {
        return Ok(None);
    };
    let mut buffer = vec![0; 16 << 10];
    let mut record = MaybeUninit::<libc::passwd>::uninit();
    let mut found = ptr::null_mut();
    loop {
        // SAFETY: all pointers are valid for the call, and the buffer is as long as it says.
        let code = unsafe {
            libc::getpwnam_r(
                c_name.as_ptr(),
                record.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut found,
            )
        };
        match code {
            0 if found.is_null() => return Ok(None),
            0 => break,
            libc::ERANGE if buffer.len() < 1 << 24 => buffer.resize(buffer.len() * 4, 0),
            // What some databases say instead of "no such user".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            code => return Err(failed(io::Error::from_raw_os_error(code))),
        }
    }
    // SAFETY: getpwnam_r succeeded and found a user, so it has filled the record.
    let record = unsafe { record.assume_init() };
    Ok(Some(User {
        uid: record.pw_uid,
        gid: record.pw_gid,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    #[test]
    fn users_are_found_by_name() {
        let root = look_up("root".as_ref()).unwrap();
        assert_eq!(root, Some(User { uid: 0, gid: 0 }));
        assert_eq!(look_up("no such user".as_ref()), Ok(None));
        assert_eq!(look_up("a\0b".as_ref()), Ok(None));
    }

    #[test]
    fn an_unknown_user_is_replaced_by_one_without_rights() {
        let log = Log::to_stderr(Level::Emergency);
        let user = choose(Some("no such user".as_ref()), &log).unwrap();
        assert_ne!(user.uid, 0);
        assert_ne!(choose(None, &log).unwrap().uid, 0);
    }
}
