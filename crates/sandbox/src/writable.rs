//! Folders of a job's trees that it may write to.
//!
//! The trees themselves are read-only: they are links to files that other jobs have, too. So what is written goes to the
//! job's own room. An empty folder is covered by one of its own; one that holds something by an overlay, of that
//! folder alone, because the first look through an overlay costs the command time. All below such a folder
//! can be written to as well.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstatvfs, open, openat2};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::job::MOST_WRITABLE;
use crate::place::{NotPlaced, in_root, quoted};
use crate::root::{JOB, ROOM};
use crate::view::View;

/// Makes these folders of a job's root writable, and opens them. `flags` are those of the room.
pub(crate) fn make(
    view: &View,
    folders: &[PathBuf],
    flags: MountFlags,
) -> Result<Vec<OwnedFd>, NotPlaced> {
    if folders.len() > MOST_WRITABLE {
        let text = format!("more than {MOST_WRITABLE} folders to write to");
        return Err(NotPlaced::Misfit(text));
    }
    let mut order: Vec<usize> = (0..folders.len()).collect();
    // What is below a writable folder is writable already; the other way round it would be covered.
    order.sort_by_key(|&number| folders[number].components().count());
    for number in order {
        make_one(view, &folders[number], number, flags)?;
    }
    // Now that nothing is put over them any more.
    folders.iter().map(|folder| enter(folder)).collect()
}

fn make_one(view: &View, folder: &Path, number: usize, flags: MountFlags) -> Result<(), NotPlaced> {
    let there = enter(folder)?;
    let is_writable = fstatvfs(&there)
        .map(|found| !found.f_flag.contains(StatVfsMountFlags::RDONLY))
        .map_err(errno(folder))?;
    // Devices are not files to be made, and do not work through an overlay.
    if is_writable || folder == Path::new("/dev") {
        return Ok(());
    }
    if view.shows(folder) || view.shows_below(folder) {
        let folder = folder.display();
        return Err(NotPlaced::Misfit(format!(
            "this machine needs its own {folder}, where something is to be written"
        )));
    }
    let room = Path::new(ROOM).join(number.to_string());
    let make = |name: &str| {
        let path = room.join(name);
        fs::create_dir_all(&path).map(|()| path)
    };
    let system = |error: std::io::Error| system(folder, &error);
    let target = in_root(folder);
    let is_empty = fs::read_dir(&target).map_err(system)?.next().is_none();
    let upper = make("new").map_err(system)?;
    if is_empty {
        return mount_bind(&upper, &target).map_err(errno(folder));
    }
    let work = make("work").map_err(system)?;
    let options = [
        b"lowerdir=",
        &quoted(&target)[..],
        b",upperdir=",
        upper.as_os_str().as_bytes(),
        b",workdir=",
        work.as_os_str().as_bytes(),
        b",userxattr",
    ]
    .concat();
    let options = CString::new(options).map_err(|error| system(error.into()))?;
    mount("overlay", &target, "overlay", flags, &*options).map_err(errno(folder))
}

/// Opens a folder of the job's root without following links.
fn enter(folder: &Path) -> Result<OwnedFd, NotPlaced> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(JOB, flags, Mode::empty()).map_err(errno(folder))?;
    let inside = folder.strip_prefix("/").unwrap_or(folder);
    let inside = match inside.as_os_str().is_empty() {
        true => Path::new("."),
        false => inside,
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root.as_fd(), inside, flags, Mode::empty(), resolve) {
        Ok(opened) => Ok(opened),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {
            let folder = folder.display();
            let text = format!("there is no folder {folder}, where something is to be written");
            Err(NotPlaced::Misfit(text))
        }
        Err(error) => Err(errno(folder)(error)),
    }
}

fn system(folder: &Path, error: &std::io::Error) -> NotPlaced {
    NotPlaced::System(format!("making {} writable: {error}", folder.display()))
}

fn errno(folder: &Path) -> impl Fn(Errno) -> NotPlaced {
    move |errno| system(folder, &errno.into())
}
