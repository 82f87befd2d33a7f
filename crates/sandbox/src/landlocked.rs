//! Where namespaces are forbidden: the machine's own root, with nearly all of it closed by
//! Landlock.
//!
//! Weaker than a root of one's own: names outside can still be asked for (`stat`), the machine's
//! processes can be seen by number, and a job that runs as the server's user could send it
//! signals if the kernel does not know how to forbid that (Landlock ABI below 6).
//!
//! Only the command is closed in, and not the process that watches it: processes behind the same
//! walls may send each other signals.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use rustix::io::Errno;

use crate::job::{Config, Job};

/// The version whose rules are asked for; an older kernel keeps those it knows.
const NEWEST: ABI = ABI::V6;
/// Devices that a compiler may use.
const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];

/// What a job may see, ready to be set.
#[derive(Debug)]
pub(crate) struct Walls(RulesetCreated);

impl Walls {
    /// Builds them for `job`.
    ///
    /// # Errors
    /// Why that is impossible, in words.
    pub(crate) fn build(config: &Config, job: &Job) -> Result<Self, String> {
        rules(config, job)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Confines this process, and all that it will start.
    pub(crate) fn close(self) -> io::Result<()> {
        let status = self.0.restrict_self().map_err(io::Error::other)?;
        match status.ruleset {
            RulesetStatus::NotEnforced => Err(Errno::NOSYS.into()),
            RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
        }
    }
}

fn rules(config: &Config, job: &Job) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    let mut folders: Vec<(PathBuf, _)> = Vec::new();
    for path in config.view.shown() {
        // A link's target counts, and may be gone.
        folders.extend(fs::canonicalize(path).ok().map(|path| (path, read)));
    }
    for tree in &job.trees {
        let scratch = config.scratch.get(tree.scratch);
        folders.extend(scratch.map(|scratch| (scratch.join(&tree.folder), all)));
    }
    for name in DEVICES {
        let device = AccessFs::ReadFile | AccessFs::WriteFile;
        folders.push((Path::new("/dev").join(name), device));
    }
    for (path, access) in folders {
        let Ok(fd) = PathFd::new(&path) else { continue };
        let access = match path.is_dir() {
            true => access,
            false => access & AccessFs::from_file(NEWEST),
        };
        rules = rules.add_rule(PathBeneath::new(fd, access))?;
    }
    Ok(rules)
}
