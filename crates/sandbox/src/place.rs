//! Puts a client's tree into a job's root, at the client's own paths.
//!
//! Mostly its top folder (`/home`) is not in the machine's view, and one bind mount does it. Where
//! both have a folder of the same name (`/usr`), three things can be meant:
//!
//! - the machine needs its own there ([`View::keeps`]): both are seen, the client's files in
//!   front. Folders that both have are gone through; only where the client has names that the
//!   machine has not is there an overlay, of that folder alone, because the first look through
//!   an overlay costs the compiler time. A folder that only leads to others of the machine's is
//!   made anew as one of the job's own: an overlay would hide what is mounted in it;
//! - the machine does not need its own: only the client's is seen, so that no header is found
//!   where the client has none;
//! - it is one of the job's own (`/`, `/tmp`): mount points are made in it.
//!
//! Where that is impossible (a file of the client's where the machine has a folder), the job is
//! refused.

use std::ffi::{CString, OsStr};
use std::fs::{self, FileType};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind_recursive};

use crate::root::{BASE, JOB, top_of};
use crate::view::View;

/// Why a tree is not where it belongs.
#[derive(Debug)]
pub(crate) enum NotPlaced {
    /// It cannot be.
    Misfit(String),
    /// The system's refusal.
    System(String),
}

/// Puts the content of `from` into the folder `at` of a job's root.
pub(crate) fn place(view: &View, from: &Path, at: &Path) -> Result<(), NotPlaced> {
    let own = at == Path::new("/") || at == Path::new("/tmp");
    let mut entries = Vec::new();
    for entry in fs::read_dir(from).map_err(system(at))? {
        let entry = entry.map_err(system(at))?;
        entries.push((entry.file_name(), entry.file_type().map_err(system(at))?));
    }
    let is_new = |name: &OsStr| in_root(&at.join(name)).symlink_metadata().is_err();
    let mut overlaid = !own && entries.iter().any(|(name, _)| is_new(name));
    if overlaid {
        // Devices do not work through an overlay.
        if at == Path::new("/dev") {
            return Err(misfit(at, "a name"));
        }
        if view.shows_below(at) {
            // An overlay would not show what is mounted there.
            make_own(at)?;
            overlaid = false;
        } else {
            overlay(from, at)?;
        }
    }
    for (name, kind) in entries {
        let (source, place) = (from.join(&name), at.join(&name));
        match in_root(&place).symlink_metadata() {
            Err(_) => make(&source, kind, &place)?,
            Ok(there) => {
                let there = there.file_type();
                meet(view, &source, kind, &place, there, overlaid)?;
            }
        }
    }
    Ok(())
}

/// Puts something where nothing is; in a folder of the job's own.
fn make(source: &Path, kind: FileType, place: &Path) -> Result<(), NotPlaced> {
    if matches!(place.components().nth(1), Some(Component::Normal(name)) if name == "proc" || name == "sys")
    {
        return Err(misfit(place, "an entry"));
    }
    let target = in_root(place);
    if kind.is_symlink() {
        let text = fs::read_link(source).map_err(system(place))?;
        return symlink(text, target).map_err(system(place));
    }
    if kind.is_dir() {
        mkdir(&target, Mode::from_raw_mode(0o755)).map_err(errno(place))?;
    } else {
        fs::write(&target, "").map_err(system(place))?;
    }
    bind(source, place)
}

/// Puts something where the machine has something, too.
fn meet(
    view: &View,
    source: &Path,
    kind: FileType,
    place: &Path,
    there: FileType,
    overlaid: bool,
) -> Result<(), NotPlaced> {
    if kind.is_symlink() {
        let text = fs::read_link(source).map_err(system(place))?;
        let same = fs::read_link(in_root(place)).is_ok_and(|other| other == text);
        return if same {
            Ok(())
        } else {
            Err(misfit(place, "a link"))
        };
    }
    let (place, there) = if there.is_symlink() {
        let place = follow(place)?;
        let there = in_root(&place).symlink_metadata().map_err(system(&place))?;
        (place, there.file_type())
    } else {
        (place.to_owned(), there)
    };
    match (kind.is_dir(), there.is_dir()) {
        (true, true) if place == Path::new("/tmp") || view.keeps(&place) => {
            self::place(view, source, &place)
        }
        (true, true) => bind(source, &place),
        // The overlay shows the client's already.
        (false, false) if overlaid => Ok(()),
        (false, false) => bind(source, &place),
        (true, false) => Err(misfit(&place, "a folder")),
        (false, true) => Err(misfit(&place, "a file")),
    }
}

/// Makes a folder that only leads to what the machine shows below it the job's own, so that names
/// can be made in it.
fn make_own(at: &Path) -> Result<(), NotPlaced> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let target = in_root(at);
    // What is there has been moved from the base, and is covered now.
    let top = top_of(at.strip_prefix("/").unwrap_or(at));
    let kept = Path::new(BASE).join(&top);
    if fs::read_dir(&kept).map_err(system(at))?.next().is_none() {
        let top = Path::new(JOB).join(top);
        mount_bind_recursive(top, &kept).map_err(errno(at))?;
    }
    mount("tmpfs", &target, "tmpfs", flags, c"mode=0755,size=1m").map_err(errno(at))?;
    let base = Path::new(BASE).join(at.strip_prefix("/").unwrap_or(at));
    for entry in fs::read_dir(base).map_err(system(at))? {
        let entry = entry.map_err(system(at))?;
        let kind = entry.file_type().map_err(system(at))?;
        make(&entry.path(), kind, &at.join(entry.file_name()))?;
    }
    Ok(())
}

/// Shows the content of `from` in front of what `at` has.
fn overlay(from: &Path, at: &Path) -> Result<(), NotPlaced> {
    let folders = [from.to_owned(), in_root(at)].map(|folder| quoted(&folder));
    let options = [
        b"lowerdir=",
        &folders[0][..],
        b":",
        &folders[1],
        b",userxattr",
    ]
    .concat();
    let options = CString::new(options).map_err(|_| misfit(at, "a name"))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount("overlay", in_root(at), "overlay", flags, &*options).map_err(errno(at))
}

/// A path as an option of overlays.
pub(crate) fn quoted(path: &Path) -> Vec<u8> {
    let mut quoted = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if b":,\\".contains(&byte) {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted
}

/// Where a link of the machine's leads to, within the root.
fn follow(link: &Path) -> Result<PathBuf, NotPlaced> {
    const MOST: usize = 20;
    let mut way = PathBuf::from("/");
    let mut rest: Vec<PathBuf> = vec![link.to_owned()];
    for _ in 0..MOST {
        let Some(path) = rest.pop() else {
            return Ok(way);
        };
        let mut parts = path.components();
        while let Some(part) = parts.next() {
            match part {
                Component::RootDir => way = "/".into(),
                Component::ParentDir => {
                    way.pop();
                }
                Component::Normal(name) => {
                    if let Ok(text) = fs::read_link(in_root(&way.join(name))) {
                        rest.push(parts.as_path().to_owned());
                        rest.push(text);
                        break;
                    }
                    way.push(name);
                }
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }
    Err(misfit(link, "a loop"))
}

fn bind(source: &Path, place: &Path) -> Result<(), NotPlaced> {
    mount_bind_recursive(source, in_root(place)).map_err(errno(place))
}

pub(crate) fn in_root(path: &Path) -> PathBuf {
    Path::new(JOB).join(path.strip_prefix("/").unwrap_or(path))
}

fn misfit(place: &Path, what: &str) -> NotPlaced {
    let place = place.display();
    NotPlaced::Misfit(format!(
        "{what} of the client's is where this machine needs its own {place}"
    ))
}

fn system(place: &Path) -> impl Fn(std::io::Error) -> NotPlaced {
    move |error| NotPlaced::System(format!("placing {}: {error}", place.display()))
}

fn errno(place: &Path) -> impl Fn(Errno) -> NotPlaced {
    move |errno| system(place)(errno.into())
}
