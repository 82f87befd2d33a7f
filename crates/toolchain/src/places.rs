//! Paths, the links that lie on them, and the list of all that a toolchain is made of.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// How many links one path may lead through; as many as Linux follows.
const MOST_LINKS: usize = 40;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, and whether it may be executed.
    File {
        /// Has any permission to be executed.
        executable: bool,
        /// Bytes.
        size: u64,
    },
    /// A link, and where it leads, as it says.
    Link(PathBuf),
    /// A folder that has to exist; what is in it does not matter.
    Folder,
}

/// Files, links and folders by their real paths: absolute, without links before the last part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Sorted by path.
    pub by_path: BTreeMap<PathBuf, Place>,
}

impl Places {
    /// Adds what stands at `path`, and each link on the way; the real path comes back.
    ///
    /// # Errors
    ///
    /// Those of the file system; `NotADirectory` for a relative path, `FilesystemLoop` for a circle.
    pub fn add(&mut self, path: &Path) -> io::Result<PathBuf> {
        if !path.is_absolute() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut left: Vec<OsString> = backwards(path).collect();
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            let here = at.join(&part);
            let found = std::fs::symlink_metadata(&here)?;
            if !found.is_symlink() {
                at = here;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(io::ErrorKind::TooManyLinks.into());
            }
            let target = std::fs::read_link(&here)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(backwards(&target));
            self.by_path.insert(here, Place::Link(target));
        }
        let found = std::fs::symlink_metadata(&at)?;
        let place = if found.is_dir() {
            Place::Folder
        } else {
            Place::File {
                executable: found.permissions().mode() & 0o111 != 0,
                size: found.len(),
            }
        };
        self.by_path.insert(at.clone(), place);
        Ok(at)
    }

    /// Adds what stands at `path`, if anything does.
    ///
    /// # Errors
    ///
    /// As `add`, but for a path where nothing stands.
    pub fn add_if_there(&mut self, path: &Path) -> io::Result<Option<PathBuf>> {
        match self.add(path) {
            Ok(real) => Ok(Some(real)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a folder with all that is in it, below links too.
    ///
    /// # Errors
    ///
    /// As `add`.
    pub fn add_all_within(&mut self, folder: &Path) -> io::Result<()> {
        let folder = self.add(folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let real = self.add(&path)?;
            if self.by_path.get(&real) == Some(&Place::Folder) && real.starts_with(&folder) {
                self.add_all_within(&real)?;
            }
        }
        Ok(())
    }
}

/// The parts of a path that lead on, the last one first.
fn backwards(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_link_on_the_way_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("usr/lib/deep")).unwrap();
        std::fs::write(top.join("usr/lib/real.so"), "so").unwrap();
        symlink("usr/lib", top.join("lib")).unwrap();
        symlink(top.join("lib/real.so"), top.join("usr/lib/deep/name.so")).unwrap();
        let mut places = Places::default();
        let real = places.add(&top.join("lib/deep/../deep/./name.so")).unwrap();
        assert_eq!(real, top.join("usr/lib/real.so"));
        let file = Place::File {
            executable: false,
            size: 2,
        };
        let expected = [
            (top.join("lib"), Place::Link("usr/lib".into())),
            (
                top.join("usr/lib/deep/name.so"),
                Place::Link(top.join("lib/real.so")),
            ),
            (top.join("usr/lib/real.so"), file),
        ];
        // What lies above the temporary folder may have links of its own.
        let mut found = places.by_path;
        found.retain(|path, _| path.starts_with(&top));
        assert_eq!(found, expected.into());
    }

    #[test]
    fn circles_and_missing_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        let mut places = Places::default();
        assert!(places.add(&folder.path().join("a")).is_err());
        assert!(places.add(Path::new("relative")).is_err());
        assert_eq!(
            places.add_if_there(&folder.path().join("none/x")).unwrap(),
            None
        );
    }
}
