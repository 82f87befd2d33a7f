//! Results of a compile that was done elsewhere: files, and what the compiler said.
//!
//! A result is there as a whole or not at all: it is written beside its target and renamed, with
//! deadly signals held back for this short time, so that neither half a file nor a temporary one
//! is left by us or by a signal.
//!
//! Targets that are no regular files are treated as the compiler would (gcc with GNU as): a link
//! to a file with content is replaced, one to an empty or missing file is followed, and devices
//! are written to. An empty file, which may be one of `mktemp`, gives its rights to the result.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::signals::Blocked;

/// How many temporary names are tried; each is free unless a process of our pid was killed.
const MAX_NAMES: u32 = 100;

/// Writes a result. Its folder has to exist.
pub(crate) fn write(target: &OsStr, content: &[u8]) -> io::Result<()> {
    let target = Path::new(target);
    match kind(target)? {
        Target::Absent => put(target, content, None),
        Target::Replaced(found) => put(target, content, Some(&found)),
        Target::WrittenTo => File::create(target)?.write_all(content),
    }
}

/// Adds to the end of a file that others add to as well (`DEPENDENCIES_OUTPUT`), in one write.
pub(crate) fn append(target: &OsStr, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(target)?;
    file.write_all(content)
}

/// What is at the place of a result.
enum Target {
    Absent,
    /// Something that makes room for a new file.
    Replaced(Metadata),
    /// Something that stays.
    WrittenTo,
}

fn kind(target: &Path) -> io::Result<Target> {
    let found = match fs::symlink_metadata(target) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Target::Absent),
        Err(error) => return Err(error),
    };
    let is_replaced = if found.is_symlink() {
        fs::metadata(target).is_ok_and(|end| end.is_file() && end.len() > 0)
    } else {
        found.is_file()
    };
    Ok(match is_replaced {
        true => Target::Replaced(found),
        false => Target::WrittenTo,
    })
}

/// Makes a new file in the place of what was `found` there.
fn put(target: &Path, content: &[u8], found: Option<&Metadata>) -> io::Result<()> {
    let _blocked = Blocked::new();
    let (temporary, mut file) = create_beside(target)?;
    let empty = found.filter(|found| found.is_file() && found.len() == 0);
    let written = empty
        .map_or(Ok(()), |empty| file.set_permissions(empty.permissions()))
        .and_then(|()| file.write_all(content))
        // ext4 writes a file to the disk at once when it is renamed over another, which took as
        // long as all else in here. Removed first, as compilers do.
        .and_then(|()| {
            if found.is_some() {
                fs::remove_file(target)
            } else {
                Ok(())
            }
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
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

    impl Case {
        /// Writes to `name`; what `t` holds then.
        fn write(&self, name: &str) -> String {
            write(self.dir.path().join(name).as_os_str(), b"new").unwrap();
            fs::read_to_string(&self.target).unwrap()
        }

        fn files(&self) -> usize {
            fs::read_dir(self.dir.path()).unwrap().count()
        }
    }

    #[test]
    fn absent_and_regular_targets_become_new_files() {
        let absent = case(None);
        assert_eq!(absent.write("t"), "new");
        let before = absent.target.metadata().unwrap().ino();
        assert_eq!(absent.write("t"), "new");
        assert_ne!(absent.target.metadata().unwrap().ino(), before);
        assert_eq!(absent.files(), 1);
    }

    #[test]
    fn an_empty_file_gives_its_rights_to_the_result() {
        for (content, kept) in [("", true), ("old", false)] {
            let case = case(Some(content));
            let private = fs::Permissions::from_mode(0o601);
            fs::set_permissions(&case.target, private).unwrap();
            assert_eq!(case.write("t"), "new");
            let mode = case.target.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777 == 0o601, kept, "{mode:o}");
        }
    }

    #[test]
    fn a_link_to_content_is_replaced() {
        let case = case(Some("old"));
        let link = case.dir.path().join("l");
        symlink("t", &link).unwrap();
        assert_eq!(case.write("l"), "old");
        assert!(link.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(&link).unwrap(), b"new");
    }

    #[test]
    fn a_link_to_nothing_is_followed() {
        for content in [Some(""), None] {
            let case = case(content);
            let link = case.dir.path().join("l");
            symlink("t", &link).unwrap();
            assert_eq!(case.write("l"), "new");
            assert!(link.symlink_metadata().unwrap().is_symlink());
        }
    }

    #[test]
    fn devices_are_written_to() {
        write("/dev/null".as_ref(), b"new").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn failures_leave_nothing() {
        let case = case(None);
        let below = case.dir.path().join("none/t");
        assert_eq!(
            write(below.as_os_str(), b"new").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fs::create_dir(&case.target).unwrap();
        assert!(write(case.target.as_os_str(), b"new").is_err());
        assert_eq!(case.files(), 1);
    }

    #[test]
    fn leftovers_of_a_killed_namesake_are_passed_by() {
        let case = case(None);
        let leftover = format!(".distcc-{}-0.tmp", std::process::id());
        fs::write(case.dir.path().join(&leftover), "half").unwrap();
        assert_eq!(case.write("t"), "new");
        assert_eq!(case.files(), 2);
    }
}
