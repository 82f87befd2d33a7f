//! The folders under which the copies for clients stand: *client roots*.
//!
//! A client drops exactly three components from every path in an answer, so a root has exactly
//! three. Which three is free from answer to answer, and even within one: there are as many
//! roots as there are versions of one path that must exist side by side.
//!
//! A root is named after its server's process and locked by it, so that the next server can
//! tell the roots of dead servers and remove them.
//!
//! Source: what distcc 3.4 does with `DISTCC_CLIENT_TMP`; it takes no locks.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, FlockOperation, access, flock};
use rustix::process::{Pid, geteuid, test_kill_process};

/// The components that a client drops.
const DEPTH: usize = 3;

/// Where roots are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootFolder {
    path: PathBuf,
    levels: usize,
}

/// Why there can be no roots at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RootFolderError {
    /// It is empty or relative.
    NotAbsolute,
    /// It leaves no component for the root itself.
    TooDeep,
}

impl fmt::Display for RootFolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "DISTCC_CLIENT_TMP must start with '/'.",
            Self::TooDeep => "DISTCC_CLIENT_TMP must have at most two directory levels.",
        })
    }
}

impl RootFolder {
    /// The folder that `DISTCC_CLIENT_TMP` (`from_environment`) names; without it `/dev/shm`
    /// where that can be used, or else `/tmp`.
    pub(crate) fn choose(from_environment: Option<&OsStr>) -> Result<Self, RootFolderError> {
        if let Some(path) = from_environment {
            return Self::new(Path::new(path));
        }
        let shm = Path::new("/dev/shm");
        let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        if shm.is_dir() && access(shm, all).is_ok() {
            Self::new(shm)
        } else {
            Self::new(Path::new("/tmp"))
        }
    }

    fn new(path: &Path) -> Result<Self, RootFolderError> {
        if !path.is_absolute() {
            return Err(RootFolderError::NotAbsolute);
        }
        // Clients count slashes, so none may be superfluous.
        let path: PathBuf = path.components().collect();
        let levels = path
            .components()
            .filter(|component| *component != Component::RootDir)
            .count();
        if levels >= DEPTH {
            return Err(RootFolderError::TooDeep);
        }
        Ok(Self { path, levels })
    }

    /// Makes a root for this process, the `generation`th from 1.
    pub(crate) fn make_root(&self, generation: usize) -> io::Result<ClientRoot> {
        let mut base = tempfile::Builder::new();
        base.prefix("tmp")
            .rand_bytes(8)
            .permissions(Permissions::from_mode(0o700));
        let suffix = format!(".include_server-{}-{generation}", std::process::id());
        let base = base.suffix(&suffix).tempdir_in(&self.path)?;
        let lock = File::open(base.path())?;
        flock(&lock, FlockOperation::NonBlockingLockShared)?;
        let padding = DEPTH - 1 - self.levels;
        let path = std::iter::repeat_n("padding", padding)
            .fold(base.path().to_owned(), |path, name| path.join(name));
        fs::create_dir_all(&path)?;
        Ok(ClientRoot {
            path,
            base,
            _lock: lock,
        })
    }

    /// Removes the roots of servers that do not run any more.
    pub(crate) fn remove_stale_roots(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if server_of(name.as_bytes()).is_some_and(|pid| !is_server(pid)) {
                // Somebody else's, or just being removed by another new server.
                let _ = remove_if_unlocked(&entry.path());
            }
        }
        Ok(())
    }
}

/// The process that a root is named after: the number in `*.include_server-NUMBER-*`.
fn server_of(name: &[u8]) -> Option<Pid> {
    const MARK: &[u8] = b".include_server-";
    let mark = name.windows(MARK.len()).rposition(|part| part == MARK)?;
    let rest = &name[mark + MARK.len()..];
    let dash = rest.iter().position(|&byte| byte == b'-')?;
    let pid: i32 = std::str::from_utf8(&rest[..dash]).ok()?.parse().ok()?;
    Pid::from_raw(pid.max(0))
}

/// Whether that process may be an include server, 3.4's (a Python program) or ours. One that has ended and was not waited
/// for is none, nor is another program that got its number since.
fn is_server(pid: Pid) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())) else {
        // Where there is no /proc.
        return test_kill_process(pid).is_ok();
    };
    // PID (NAME) STATE ...: a name may hold anything.
    let begins = stat.iter().position(|&byte| byte == b'(');
    let ends = stat.iter().rposition(|&byte| byte == b')');
    let (Some(begins), Some(ends)) = (begins, ends) else {
        return true;
    };
    let name = stat.get(begins + 1..ends).unwrap_or_default();
    let is_zombie = stat[ends..].starts_with(b") Z");
    let is_one = |start: &[u8]| name.starts_with(start);
    !is_zombie && (is_one(b"include_server") || is_one(b"python"))
}

fn remove_if_unlocked(root: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(root)?;
    if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() {
        return Ok(());
    }
    // The number may be that of a process in another container which shares the folder.
    let lock = File::open(root)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    fs::remove_dir_all(root)
}

/// One root; removed when dropped.
#[derive(Debug)]
pub(crate) struct ClientRoot {
    /// Three components deep.
    path: PathBuf,
    base: tempfile::TempDir,
    _lock: File,
}

impl ClientRoot {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with all it holds.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(self.base.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> String {
        RootFolder::choose(Some(OsStr::new(path)))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_root_is_three_components_deep() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let two_levels = format!("/{}//.", dir.path().display());
        for (folder, shape) in [("/tmp", "/padding"), (&two_levels, "")] {
            let folder = RootFolder::choose(Some(OsStr::new(folder))).unwrap();
            let root = folder.make_root(7).unwrap();
            let path = root.path().to_str().unwrap().to_owned();
            assert_eq!(path.matches('/').count(), 3, "{path}");
            let end = format!(".include_server-{}-7{shape}", std::process::id());
            assert!(path.ends_with(&end), "{path}");
            let mode = fs::metadata(root.base.path()).unwrap().mode();
            assert_eq!(mode & 0o777, 0o700);
            root.remove().unwrap();
            assert!(!Path::new(&path).exists());
        }
    }

    #[test]
    fn the_folder_must_be_absolute_and_shallow() {
        assert!(refused("").contains("must start with '/'"));
        assert!(refused("a/b").contains("must start with '/'"));
        assert!(refused("/a/b/c").contains("at most two directory levels"));
        let root = RootFolder::choose(Some(OsStr::new("/"))).unwrap();
        assert_eq!(root.levels, 0);
    }

    #[test]
    fn roots_of_dead_servers_are_removed() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let folder = RootFolder::choose(Some(dir.path().as_os_str())).unwrap();
        let mine = folder.make_root(1).unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let make = |name: String| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.join("usr/include")).unwrap();
            path
        };
        let stale = make(format!("tmpx.include_server-{}-1", dead.id()));
        let locked = make(format!("tmpy.include_server-{}-2", dead.id()));
        let other = make("tmpz.include_server--1".to_owned());
        // Somebody else has its number by now.
        let mut stranger = std::process::Command::new("sleep")
            .arg("1000.25")
            .spawn()
            .unwrap();
        let taken_over = make(format!("tmpw.include_server-{}-1", stranger.id()));
        let mut server = std::process::Command::new("sh")
            .args(["-c", "cp /bin/sleep $0/python3; exec $0/python3 1000.25"])
            .arg(dir.path())
            .spawn()
            .unwrap();
        let stock = make(format!("tmpv.include_server-{}-1", server.id()));
        let name = format!("/proc/{}/comm", server.id());
        while fs::read_to_string(&name).unwrap() != "python3\n" {
            std::thread::yield_now();
        }
        let lock = File::open(&locked).unwrap();
        flock(&lock, FlockOperation::LockShared).unwrap();
        folder.remove_stale_roots().unwrap();
        for process in [&mut server, &mut stranger] {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        assert!(!stale.exists() && !taken_over.exists());
        assert!(stock.exists());
        assert!(locked.exists() && other.exists() && mine.path().exists());
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = RootFolder::choose(Some(OsStr::new("/nonexistent/x"))).unwrap();
        assert!(folder.make_root(1).is_err());
        assert!(folder.remove_stale_roots().is_err());
    }
}
