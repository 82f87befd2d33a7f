//! The state of this machine as actions see it that do not bring their root folder (`--remote-exec=any`).
//!
//! Their results are kept for the state that they ran in, so that after an upgrade of a compiler, or with
//! `--remote-exec=hermetic`, nobody is given what the old one made. Looked at are the system folders themselves, as programs and
//! libraries come to be there by new names in them, and what package managers write at each change. Not seen:
//! a file below a folder of a folder that somebody changed by hand.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use action::Digest;
use sandbox::View;

/// Written whenever a package is installed, removed or upgraded.
const PACKAGES: [&str; 6] = [
    "/var/lib/dpkg/status",
    "/var/lib/rpm",
    "/usr/lib/sysimage/rpm",
    "/lib/apk/db/installed",
    "/var/lib/pacman/local",
    "/nix/var/nix/db",
];

/// What is looked at.
#[derive(Debug)]
pub(crate) struct Surroundings {
    paths: Vec<PathBuf>,
}

impl Surroundings {
    pub(crate) fn of(view: &View) -> Self {
        let packages = PACKAGES.iter().map(Path::new);
        let paths = view.folders().chain(packages);
        Self {
            paths: paths.map(Path::to_owned).collect(),
        }
    }

    /// Equal as long as nothing has changed. Some fifty calls of `stat`.
    pub(crate) fn state(&self) -> Digest {
        let mut seen = Vec::new();
        for path in &self.paths {
            let Ok(found) = path.metadata() else {
                seen.push(0);
                continue;
            };
            let stamps = [found.dev(), found.ino(), found.size()].map(u64::cast_signed);
            let times = [found.ctime(), found.ctime_nsec()];
            seen.extend(stamps.into_iter().chain(times));
        }
        let bytes: Vec<u8> = seen.into_iter().flat_map(i64::to_le_bytes).collect();
        Digest::of(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_program_is_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::of_this_machine(&[folder.path().to_owned()]);
        let surroundings = Surroundings::of(&view);
        let before = surroundings.state();
        assert_eq!(surroundings.state(), before);
        std::fs::write(folder.path().join("gcc"), "").unwrap();
        assert_ne!(surroundings.state(), before);
    }
}
