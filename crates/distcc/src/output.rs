//! Results of a compile that was done elsewhere: files, and what the compiler said.
//!
//! A result is there as a whole or not at all: it is written beside its target and renamed, with
//! deadly signals held back for this short time, so that neither half a file nor a temporary one
//! is left by us or by a signal.
//!
//! What stands at the place of a result is treated as the compiler would ([`Manner`]), and devices are written to. What the
//! compiler would fail at is an error here.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use command::client::Manner;
use rustix::fs::{Access, access};
use rustix::process::geteuid;

use crate::signals::Blocked;

/// How many temporary names are tried; each is free unless a process of our pid was killed.
const MAX_NAMES: u32 = 100;

/// Writes a result. Its folder has to exist.
///
/// # Errors
/// Whatever the system says; also where it says nothing, but to a compiler of this manner.
pub(crate) fn write(target: &OsStr, content: &[u8], manner: Manner) -> io::Result<()> {
    let target = Path::new(target);
    match place(target, manner)? {
        Place::Free => put(target, content, None),
        Place::Taken(rights) => put(target, content, Some(rights)),
        Place::Kept => File::create(target)?.write_all(content),
    }
}

/// Adds to the end of a file that others add to as well (`DEPENDENCIES_OUTPUT`), in one write.
pub(crate) fn append(target: &OsStr, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(target)?;
    file.write_all(content)
}

/// What is at the place of a result.
enum Place {
    /// Nothing.
    Free,
    /// Something that makes room for a new file, to which it may leave its rights.
    Taken(Option<Permissions>),
    /// Something that is written to.
    Kept,
}

fn place(target: &Path, manner: Manner) -> io::Result<Place> {
    let found = match fs::symlink_metadata(target) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::Free),
        Err(error) => return Err(error),
    };
    // Nothing, at the end of a link that leads nowhere.
    let end = match found.is_symlink() {
        true => fs::metadata(target).ok(),
        false => Some(found.clone()),
    };
    let is_file = end.as_ref().is_none_or(Metadata::is_file);
    let is_full = end.as_ref().is_some_and(|end| end.len() > 0);
    Ok(match manner {
        Manner::Assembler if is_full && (is_file || found.is_symlink()) => Place::Taken(None),
        Manner::Renamed if is_file => {
            if end.is_some() {
                access(target, Access::WRITE_OK)?;
            }
            Place::Taken(None)
        }
        // Where nobody can tell, a whole file takes the place of one that would be written to.
        Manner::Assembler | Manner::InPlace if found.is_file() && is_ours_alone(&found) => {
            access(target, Access::WRITE_OK)?;
            Place::Taken(Some(found.permissions()))
        }
        _ => Place::Kept,
    })
}

/// Whether a file has this name only, and the owner that we would give it.
fn is_ours_alone(found: &Metadata) -> bool {
    found.nlink() == 1 && found.uid() == geteuid().as_raw()
}

/// Makes a new file, in the place of what was `taken`, with the rights that it left.
fn put(target: &Path, content: &[u8], taken: Option<Option<Permissions>>) -> io::Result<()> {
    let _blocked = Blocked::new();
    let (temporary, mut file) = create_beside(target)?;
    let is_taken = taken.is_some();
    let written = taken
        .flatten()
        .map_or(Ok(()), |rights| file.set_permissions(rights))
        .and_then(|()| file.write_all(content))
        // ext4 writes a file to the disk at once when it is renamed over another, which took as
        // long as all else in here. Removed first, as compilers do.
        .and_then(|()| match is_taken {
            true => fs::remove_file(target),
            false => Ok(()),
        })
        .and_then(|()| fs::rename(&temporary, target));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A new file in the target's folder, with the rights that a compiler's output has.
fn create_beside(target: &Path) -> io::Result<(OsString, File)> {
    let pid = std::process::id();
    let mut last = ErrorKind::AlreadyExists.into();
    for nth in 0..MAX_NAMES {
        let name = format!(".distcc-{pid}-{nth}.tmp");
        let path = target.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path.into_os_string(), file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Says what the compiler said: standard output, then the parts of standard error.
pub(crate) fn print(stdout: &[u8], stderr: &[&[u8]]) {
    // A reader that has gone is no reason to throw the compile away.
    let _ = io::stdout()
        .write_all(stdout)
        .and_then(|()| io::stdout().flush());
    for part in stderr {
        if !part.is_empty() {
            let _ = io::stderr().write_all(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    struct Case {
        dir: tempfile::TempDir,
        target: PathBuf,
    }

    /// A folder with `t`, a file with this content, if any.
    fn case(content: Option<&str>) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        if let Some(content) = content {
            fs::write(&target, content).unwrap();
        }
        Case { dir, target }
    }

    const ALL: [Manner; 3] = [Manner::Assembler, Manner::InPlace, Manner::Renamed];

    impl Case {
        /// Writes to `name`; what `t` holds then.
        fn write(&self, name: &str, manner: Manner) -> String {
            write(self.dir.path().join(name).as_os_str(), b"new", manner).unwrap();
            fs::read_to_string(&self.target).unwrap_or_default()
        }

        fn files(&self) -> usize {
            fs::read_dir(self.dir.path()).unwrap().count()
        }

        fn link(&self, target: &str) -> PathBuf {
            let link = self.dir.path().join("l");
            symlink(target, &link).unwrap();
            link
        }
    }

    #[test]
    fn absent_and_regular_targets_become_new_files() {
        for manner in ALL {
            let absent = case(None);
            assert_eq!(absent.write("t", manner), "new");
            let before = absent.target.metadata().unwrap().ino();
            assert_eq!(absent.write("t", manner), "new");
            assert_ne!(absent.target.metadata().unwrap().ino(), before);
            assert_eq!(absent.files(), 1);
        }
    }

    #[test]
    fn what_would_be_written_to_gives_its_rights_to_the_result() {
        for (manner, content, kept) in [
            (Manner::Assembler, "", true),
            (Manner::Assembler, "old", false),
            (Manner::InPlace, "", true),
            (Manner::InPlace, "old", true),
            (Manner::Renamed, "", false),
            (Manner::Renamed, "old", false),
        ] {
            let case = case(Some(content));
            let private = fs::Permissions::from_mode(0o601);
            fs::set_permissions(&case.target, private).unwrap();
            assert_eq!(case.write("t", manner), "new");
            let mode = case.target.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777 == 0o601, kept, "{manner:?} {content} {mode:o}");
        }
    }

    #[test]
    fn links_are_followed_or_replaced() {
        for (manner, content, followed) in [
            (Manner::Assembler, Some("old"), false),
            (Manner::Assembler, Some(""), true),
            (Manner::Assembler, None, true),
            (Manner::InPlace, Some("old"), true),
            (Manner::InPlace, Some(""), true),
            (Manner::InPlace, None, true),
            (Manner::Renamed, Some("old"), false),
            (Manner::Renamed, Some(""), false),
            (Manner::Renamed, None, false),
        ] {
            let case = case(content);
            let link = case.link("t");
            let expected = if followed {
                "new"
            } else {
                content.unwrap_or("")
            };
            assert_eq!(case.write("l", manner), expected, "{manner:?} {content:?}");
            assert_eq!(link.symlink_metadata().unwrap().is_symlink(), followed);
            assert_eq!(fs::read(&link).unwrap(), b"new");
        }
    }

    #[test]
    fn other_names_of_a_file_that_is_written_to_stay_so() {
        for (manner, content, expected) in [
            (Manner::Assembler, "", "new"),
            (Manner::Assembler, "old", "old"),
            (Manner::InPlace, "old", "new"),
            (Manner::Renamed, "old", "old"),
        ] {
            let case = case(Some(content));
            fs::hard_link(&case.target, case.dir.path().join("l")).unwrap();
            assert_eq!(case.write("l", manner), expected, "{manner:?} {content}");
        }
    }

    #[test]
    fn devices_are_written_to() {
        for manner in ALL {
            let case = case(None);
            let link = case.link("/dev/null");
            case.write("l", manner);
            assert!(link.symlink_metadata().unwrap().is_symlink());
            assert!(!Path::new("/dev/null").is_file());
        }
    }

    #[test]
    fn failures_leave_nothing() {
        for manner in ALL {
            let case = case(None);
            let below = case.dir.path().join("none/t");
            let error = write(below.as_os_str(), b"new", manner).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            fs::create_dir(&case.target).unwrap();
            assert!(write(case.target.as_os_str(), b"new", manner).is_err());
            assert_eq!(case.files(), 1);
        }
    }

    #[test]
    fn leftovers_of_a_killed_namesake_are_passed_by() {
        let case = case(None);
        let leftover = format!(".distcc-{}-0.tmp", std::process::id());
        fs::write(case.dir.path().join(&leftover), "half").unwrap();
        assert_eq!(case.write("t", Manner::Assembler), "new");
        assert_eq!(case.files(), 2);
    }
}
