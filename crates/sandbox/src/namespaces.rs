//! The helper's own namespaces: a root with nothing in it but what jobs are made of.
//!
//! ```text
//! /base     what jobs see of this machine, each at its own path, read-only, and /base/dev; what
//!           jobs have at the top is a mount each, so that they can move it into their roots
//! /scratch  the server's scratch folders, read-only: /scratch/0 and so on
//! /proc     the machine's, since a user namespace only gives a new one to who has one
//! /job      where each job mounts its root
//! /room     where a job that may write to its trees has the room for that, out of its own reach
//! ```
//!
//! A mount namespace this small is cheap to copy, which happens for each job; the machine's own
//! may hold hundreds of mounts.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, fstat, mkdir};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, mount_remount, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, getegid, geteuid, pivot_root};
use rustix::thread::UnshareFlags;

use crate::job::Config;
use crate::root::{scratch_place, top_of};
use crate::sys::{Restriction, restrict, unshare};

/// Devices that a compiler may use.
const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];

/// Moves this process into namespaces of its own.
///
/// # Errors
/// What could not be done, in words.
pub(crate) fn enter(config: &Config) -> Result<(), String> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let own = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    unshare(own).map_err(failed("making namespaces"))?;
    let map = |id: u32| format!("{id} {id} 1");
    fs::write("/proc/self/setgroups", "deny").map_err(failed("giving up groups"))?;
    fs::write("/proc/self/uid_map", map(user)).map_err(failed("mapping the user"))?;
    fs::write("/proc/self/gid_map", map(group)).map_err(failed("mapping the group"))?;
    // Failing only gives away the machine's name.
    let _ = rustix::system::sethostname(b"localhost");
    mount_change(
        "/",
        MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
    )
    .map_err(errno("keeping mounts to ourselves"))?;
    make_root(config)
}

/// Something of this machine that jobs see.
enum Shown {
    Tree(OwnedFd),
    Link(PathBuf),
}

fn make_root(config: &Config) -> Result<(), String> {
    // Taken before anything is covered.
    let mut shown = Vec::new();
    for path in config.view.shown() {
        let what = match path.read_link() {
            Ok(text) => Shown::Link(text),
            Err(_) => match take(path) {
                Ok(tree) => Shown::Tree(tree),
                Err(_) => continue, // It is gone since the view was made.
            },
        };
        shown.push((path, what));
    }
    let mut scratch = Vec::new();
    for folder in &config.scratch {
        scratch.push(take(folder).map_err(failed("taking a scratch folder"))?);
    }
    let proc = take(Path::new("/proc")).map_err(failed("taking /proc"))?;
    let mut devices = Vec::new();
    for name in DEVICES {
        let device = take(&Path::new("/dev").join(name)).map_err(failed("taking devices"))?;
        devices.push((name, device));
    }
    // On any folder; this one exists.
    let any = config.scratch.first().ok_or("no scratch folder")?;
    new_tmpfs(any).map_err(errno("mounting a root"))?;
    chdir(any).map_err(errno("entering the root"))?;
    for folder in ["base", "scratch", "proc", "job", "room"] {
        make_folder(Path::new(folder)).map_err(failed("making folders"))?;
    }
    for (number, folder) in scratch.iter().enumerate() {
        let place = scratch_place(number);
        let place = place.strip_prefix("/").unwrap_or(&place);
        make_folder(place).map_err(failed("making folders"))?;
        let restriction = match config.programs {
            true => Restriction::Programs,
            false => Restriction::Data,
        };
        restrict(folder, restriction).map_err(failed("protecting a scratch folder"))?;
        put(folder, place).map_err(failed("mounting a scratch folder"))?;
    }
    put(&proc, Path::new("proc")).map_err(failed("mounting /proc"))?;

    let base = Path::new("base");
    new_tmpfs(base).map_err(errno("mounting a tmpfs"))?;
    for top in tops(config) {
        let place = base.join(top);
        fs::create_dir_all(&place).map_err(failed("making folders"))?;
        new_tmpfs(&place).map_err(errno("mounting a tmpfs"))?;
    }
    for (name, device) in devices {
        let place = base.join("dev").join(name);
        restrict(&device, Restriction::Devices)
            .and_then(|()| fs::write(&place, ""))
            .and_then(|()| put(&device, &place))
            .map_err(failed("mounting devices"))?;
    }
    // Projects may live there.
    make_folder(&base.join("dev/shm")).map_err(failed("making folders"))?;
    for (path, what) in &shown {
        show(base, path, what).map_err(|error| format!("showing {}: {error}", path.display()))?;
    }
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
    for top in tops(config) {
        mount_remount(base.join(top), flags, c"").map_err(errno("protecting the base"))?;
    }
    mount_remount(base, flags, c"").map_err(errno("protecting the base"))?;

    pivot_root(".", ".").map_err(errno("changing the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(errno("leaving the old root"))?;
    chdir("/").map_err(errno("entering the root"))
}

/// The folders that jobs have in folders of their own (`/` and `/tmp`), and that only lead to what is shown.
fn tops(config: &Config) -> BTreeSet<PathBuf> {
    let leading = config.view.shown().iter().filter_map(|path| {
        let inside = path.strip_prefix("/").ok()?;
        let top = top_of(inside);
        // A link leads elsewhere, and is shown as one.
        (top != inside && !Path::new("/").join(&top).is_symlink()).then_some(top)
    });
    leading.chain([PathBuf::from("dev")]).collect()
}

/// Puts a path of this machine below `base`.
fn show(base: &Path, path: &Path, what: &Shown) -> io::Result<()> {
    let mut place = base.to_owned();
    let mut parts = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    let last = parts.next_back().ok_or(io::ErrorKind::InvalidInput)?;
    for part in parts {
        place.push(part);
        if place.is_symlink() {
            return Ok(()); // What it leads to is shown under its own name.
        }
        make_folder(&place)?;
    }
    place.push(last);
    match what {
        Shown::Link(text) => symlink(text, &place),
        Shown::Tree(tree) => {
            if FileType::from_raw_mode(fstat(tree)?.st_mode).is_dir() {
                make_folder(&place)?;
            } else {
                fs::write(&place, "")?;
            }
            restrict(tree, Restriction::Programs)?;
            put(tree, &place)
        }
    }
}

/// Takes a folder or file, with all that is mounted below it.
fn take(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

fn put(tree: &OwnedFd, place: &Path) -> io::Result<()> {
    Ok(move_mount(
        tree,
        "",
        CWD,
        place,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

fn new_tmpfs(place: &Path) -> rustix::io::Result<()> {
    mount(
        "tmpfs",
        place,
        "tmpfs",
        MountFlags::NOSUID,
        c"mode=0755,size=1m",
    )
}

fn make_folder(path: &Path) -> io::Result<()> {
    match mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{doing}: {error}")
}

fn errno(doing: &'static str) -> impl FnOnce(Errno) -> String {
    move |errno| failed(doing)(errno.into())
}
