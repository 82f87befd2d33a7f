//! A job's root: a tmpfs of its own with what it sees of this machine, and an empty `/tmp`.
//!
//! Per job a mount for the tmpfs, a move for each top folder of the base (`usr`, `etc`, `dev`), a mount
//! for each top folder of the client's trees, a move of `/proc`, and the change of root.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};
use rustix::process::{chdir, chroot};

use crate::job::{Config, Job, OUT};
use crate::place::{self, NotPlaced};
use crate::writable;

/// What a root is made of that is the same for all jobs.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The base's folders and links at the top and in `/tmp`.
    base: Vec<Entry>,
    tmpfs_options: CString,
}

#[derive(Debug)]
enum Entry {
    Folder(PathBuf),
    Link(PathBuf, PathBuf),
}

/// Why there is no root.
#[derive(Debug)]
pub(crate) enum NoRoot {
    /// The client's trees do not fit.
    Misplaced(String),
    /// The machine's refusal.
    Failed(String),
}

/// Where a job's root is until it is the root.
pub(crate) const JOB: &str = "/job";
/// What a job writes to its trees lies here, where it sees nothing of it but through them.
pub(crate) const ROOM: &str = "/room";
/// Where the helper has what jobs see of the machine.
pub(crate) const BASE: &str = "/base";
/// Where it has the machine's processes, and a first process its own.
const PROCESSES: &str = "/proc";
/// Where it has the scratch folders, by their numbers.
pub(crate) const SCRATCH: &str = "/scratch";
/// Folders of a job's own, where mount points can be made.
const OWN: [&str; 2] = ["", "tmp"];

impl Plan {
    /// Looks at the base.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let mut base = Vec::new();
        for own in OWN {
            let folder = Path::new(BASE).join(own);
            // There may be nothing in /tmp.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let inside = path.strip_prefix(BASE).unwrap_or(&path).to_owned();
                match path.read_link() {
                    Ok(text) => base.push(Entry::Link(inside, text)),
                    Err(_) if OWN.iter().any(|own| inside == Path::new(own)) => {}
                    Err(_) => base.push(Entry::Folder(inside)),
                }
            }
        }
        let bytes = config.limits.written_bytes;
        let options = format!("mode=0755,size={bytes},nr_inodes={}", bytes / 4096 + 1024);
        Ok(Self {
            base,
            tmpfs_options: CString::new(options).map_err(|error| error.to_string())?,
        })
    }
}

/// The part of a path that stands in a folder of a job's own. Relative to the root.
pub(crate) fn top_of(inside: &Path) -> PathBuf {
    let own = OWN.iter().filter(|own| !own.is_empty());
    let own = own.filter(|own| inside.starts_with(own)).count();
    inside.components().take(own + 1).collect()
}

/// Where the helper has a scratch folder.
pub(crate) fn scratch_place(number: usize) -> PathBuf {
    Path::new(SCRATCH).join(number.to_string())
}

/// Shows the processes of a new namespace, in which this process is, for it and its jobs. False if the machine does not
/// allow it: in containers its own may be partly covered, and then there is no new one. Compilers do without. Jobs do not see
/// this process, which tells of the jobs before.
pub(crate) fn show_processes() -> Result<bool, Errno> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    match mount("proc", PROCESSES, "proc", flags, c"subset=pid,hidepid=2") {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Folders that a job writes to, to be read when it is over.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// [`OUT`], where nothing else can be written to.
    pub(crate) out: Option<OwnedFd>,
    /// As [`Job::writable`] names them.
    pub(crate) folders: Vec<OwnedFd>,
}

/// Makes a root for `job` and enters it.
pub(crate) fn make(
    plan: &Plan,
    config: &Config,
    job: &Job,
    has_processes: bool,
) -> Result<Results, NoRoot> {
    let failed = |doing: &'static str| {
        move |errno: Errno| NoRoot::Failed(format!("{doing}: {}", std::io::Error::from(errno)))
    };
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let own_flags = match config.programs {
        true => flags - MountFlags::NOEXEC,
        false => flags,
    };
    let own = |place| mount("tmpfs", place, "tmpfs", own_flags, &*plan.tmpfs_options);
    if job.writable.is_empty() {
        own(JOB).map_err(failed("mounting a root"))?;
    } else {
        // One limit for all that the job writes, and its root is only a part of it.
        let root = Path::new(ROOM).join("root");
        own(ROOM)
            .and_then(|()| mkdir(&root, Mode::from_raw_mode(0o755)))
            .and_then(|()| mount_bind(&root, JOB))
            .map_err(failed("mounting a root"))?;
    }
    chdir(JOB).map_err(failed("entering a root"))?;
    mkdir("tmp", Mode::from_raw_mode(0o1777)).map_err(failed("making /tmp"))?;
    for entry in &plan.base {
        match entry {
            Entry::Folder(name) => mkdir(name, Mode::from_raw_mode(0o755))
                // It is this job's: its namespace is a copy of the helper's. Another copy would cost more.
                .and_then(|()| mount_move(Path::new(BASE).join(name), name))
                .map_err(failed("mounting the machine's folders"))?,
            Entry::Link(name, text) => {
                symlink(text, name).map_err(|error| NoRoot::Failed(error.to_string()))?;
            }
        }
    }
    for tree in &job.trees {
        let from = scratch_place(tree.scratch).join(&tree.folder);
        place::place(&config.view, &from, &tree.at)?;
    }
    let mut results = Results::default();
    if job.writable.is_empty() {
        let out = Path::new(OUT).strip_prefix("/").unwrap_or(Path::new(OUT));
        let out = mkdir(out, Mode::from_raw_mode(0o700))
            .and_then(|()| rustix::fs::open(out, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))
            .map_err(failed("making a folder for results"))?;
        results.out = Some(out);
    } else {
        results.folders = writable::make(&config.view, &job.writable, own_flags)?;
    }
    mkdir("proc", Mode::from_raw_mode(0o555)).map_err(failed("making /proc"))?;
    if has_processes {
        // The first process has it; this is its copy.
        mount_move(PROCESSES, "proc").map_err(failed("mounting /proc"))?;
    }
    // Over the helper's root, which nobody can get at any more: as little as without `pivot_root`, which looks
    // at all threads of the machine for those that have the old root, a fifth of what a job cost.
    mount_move(".", "/").map_err(failed("changing the root"))?;
    chroot(".").map_err(failed("entering the new root"))?;
    Ok(results)
}

impl From<NotPlaced> for NoRoot {
    fn from(error: NotPlaced) -> Self {
        match error {
            NotPlaced::Misfit(text) => Self::Misplaced(text),
            NotPlaced::System(text) => Self::Failed(text),
        }
    }
}
