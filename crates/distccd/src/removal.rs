//! Removing a folder whatever a job has left in it: folders in folders beyond any limit of path lengths and descriptors,
//! folders without permissions, names of any bytes.
//!
//! Nothing here recurses. A folder within a folder within the top is first moved up into the top, so there are two open
//! at a time, and each is moved once at most.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Removes all that is in the folder `path`, then what is called `last` in it, then the folder. Links are not followed.
///
/// # Errors
/// Something cannot be removed: another user's, say; or somebody fills the folder anew for longer than [`PATIENCE`].
/// `last` is there still.
pub(crate) fn remove(path: &Path, last: &CStr) -> io::Result<()> {
    remove_within(path, last, PATIENCE)
}

/// Without a sandbox a process that left its job may write there for ever, while the client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn remove_within(path: &Path, last: &CStr, patience: Duration) -> io::Result<()> {
    let started = Instant::now();
    let top = rustix::fs::open(path, FOLDER, Mode::empty())?;
    make_room(&top)?;
    let mut number = 0;
    loop {
        let names = Names::of(top.as_fd(), last)?;
        if names.0.is_empty() {
            break;
        }
        if started.elapsed() > patience {
            return Err(Errno::BUSY.into());
        }
        for name in names.0 {
            remove_entry(top.as_fd(), &name, &mut number)?;
        }
    }
    match rustix::fs::unlinkat(&top, last, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(rustix::fs::rmdir(path)?)
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// All rights in it for its owner, who may have taken them away.
fn make_room(folder: &OwnedFd) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(folder)?.st_mode);
    match mode.contains(Mode::RWXU) {
        true => Ok(()),
        false => rustix::fs::fchmod(folder, Mode::RWXU),
    }
}

/// Names in a folder, read before anything there is changed.
struct Names(Vec<CString>);

impl Names {
    fn of(folder: BorrowedFd<'_>, without: &CStr) -> rustix::io::Result<Self> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if ![c".", c"..", without].contains(&name) {
                names.push(name.to_owned());
            }
        }
        Ok(Self(names))
    }
}

/// Removes an entry of `top`. Folders in it come to `top` under numbers from `number` on.
fn remove_entry(top: BorrowedFd<'_>, name: &CStr, number: &mut u64) -> rustix::io::Result<()> {
    let is_gone = |result| match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    };
    if !is_folder(top, name)? {
        return is_gone(rustix::fs::unlinkat(top, name, AtFlags::empty()));
    }
    let Some(folder) = open(top, name)? else {
        return Ok(());
    };
    for within in Names::of(folder.as_fd(), c"")?.0 {
        if is_folder(folder.as_fd(), &within)? {
            // To move a folder elsewhere is to write to it.
            drop(open(folder.as_fd(), &within)?);
            move_up(folder.as_fd(), &within, top, number)?;
        } else {
            is_gone(rustix::fs::unlinkat(&folder, &*within, AtFlags::empty()))?;
        }
    }
    match rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR) {
        // Somebody still writes there: the next look at the top finds it.
        Err(Errno::NOTEMPTY) => Ok(()),
        other => is_gone(other),
    }
}

fn is_folder(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<bool> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The folder, with all rights; None if it is gone.
fn open(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Option<OwnedFd>> {
    let open = || rustix::fs::openat(parent, name, FOLDER, Mode::empty());
    let opened = open().or_else(|errno| {
        if errno != Errno::ACCESS {
            return Err(errno);
        }
        rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
        open()
    });
    match opened {
        Ok(folder) => make_room(&folder).map(|()| Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn move_up(
    from: BorrowedFd<'_>,
    name: &CStr,
    top: BorrowedFd<'_>,
    number: &mut u64,
) -> rustix::io::Result<()> {
    loop {
        *number += 1;
        let new = number.to_string();
        match rustix::fs::renameat(from, name, top, new.as_str()) {
            // The job has something of this name.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            Err(Errno::NOENT) => return Ok(()),
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{mkdirat, openat};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A folder in `parent` with `depth` folders in each other, all of one long name and with a file each.
    fn deep(parent: &Path, depth: usize) {
        let name = "d".repeat(200);
        let mut at = rustix::fs::open(parent, FOLDER, Mode::empty()).unwrap();
        for _ in 0..depth {
            mkdirat(&at, name.as_str(), Mode::RWXU).unwrap();
            at = openat(&at, name.as_str(), FOLDER, Mode::empty()).unwrap();
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            drop(openat(&at, "file", flags, Mode::RUSR).unwrap());
        }
    }

    #[test]
    fn depth_does_not_matter() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("job");
        fs::create_dir(&folder).unwrap();
        // More levels than a thread has room for calls within calls, and than it has descriptors.
        deep(&folder, 2000);
        fs::create_dir(folder.join("1")).unwrap();
        deep(&folder.join("1"), 300);
        fs::write(folder.join("2"), "in the way").unwrap();
        fs::write(folder.join("mark"), "").unwrap();
        let removed = std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || remove(&folder, c"mark"));
        removed.unwrap().join().unwrap().unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn permissions_and_links_do_not_matter() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        let folder = temp.path().join("job");
        let locked = folder.join("a/b/locked");
        fs::create_dir_all(locked.join("c")).unwrap();
        fs::write(locked.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, locked.join("link")).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("link")).unwrap();
        for closed in [&locked, &folder.join("a/b"), &folder.join("a"), &folder] {
            fs::set_permissions(closed, fs::Permissions::from_mode(0o500)).unwrap();
        }
        remove(&folder, c"mark").unwrap();
        assert!(!folder.exists() && outside.join("kept").exists());
        let mode = fs::metadata(&outside).unwrap().permissions().mode();
        assert_ne!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_fills_again_and_again_is_given_up_with_its_mark() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("job");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("mark"), "").unwrap();
        deep(&folder, 3);
        // As if it had been filled anew for too long already.
        let error = remove_within(&folder, c"mark", Duration::ZERO).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
        assert!(folder.join("mark").exists());
        remove(&folder, c"mark").unwrap();
        assert!(!folder.exists());
    }
}
