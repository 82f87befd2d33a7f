//! How actions of the Remote Execution API are run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::size::size;
use crate::environment::Environment;
use crate::flags::Flags;

/// Which actions of the Remote Execution API are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteExecution {
    /// Those that bring all of their root folder.
    Hermetic,
    /// Others, too, beside this machine's system folders.
    Any,
    /// The API is not spoken.
    Off,
}

/// How actions are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actions {
    pub(crate) execution: RemoteExecution,
    /// That was said in so many words, and so the server need not have compilers.
    pub(crate) is_asked_for: bool,
    /// Bytes that blobs may take on disk.
    pub(crate) cache_bytes: u64,
    /// Where, if that was said; absolute.
    pub(crate) cache_folder: Option<PathBuf>,
    /// That was said by an option, and not only by what started the server.
    pub(crate) is_folder_asked_for: bool,
    /// A static program that takes the place of each action's compiler, if it was said; absolute.
    pub(crate) stand_in: Option<PathBuf>,
    /// Where this user keeps what can be had again; absolute.
    pub(crate) users_caches: Option<PathBuf>,
}

impl Actions {
    pub(super) fn new(
        flags: &Flags,
        environment: &Environment,
        cwd: &Path,
    ) -> Result<Self, String> {
        let given = flags.cache_dir.as_ref().map(PathBuf::from);
        let given = given.or_else(|| environment.cache_folder.clone());
        Ok(Self {
            execution: remote_execution(flags.remote_exec.as_deref())?,
            is_asked_for: flags.remote_exec.is_some(),
            cache_bytes: cache_bytes(flags.cache_size.as_deref())?,
            is_folder_asked_for: flags.cache_dir.is_some(),
            cache_folder: given.map(|folder| cwd.join(folder)),
            stand_in: flags.bench_compiler.as_ref().map(|path| cwd.join(path)),
            users_caches: environment.users_caches.clone(),
        })
    }
}

fn remote_execution(word: Option<&OsStr>) -> Result<RemoteExecution, String> {
    match word.map(OsStr::as_encoded_bytes) {
        None | Some(b"hermetic") => Ok(RemoteExecution::Hermetic),
        Some(b"any") => Ok(RemoteExecution::Any),
        Some(b"off") => Ok(RemoteExecution::Off),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(format!("--remote-exec={other}: hermetic, any or off"))
        }
    }
}

/// The toolchain of one compiler takes some 80 MiB.
fn cache_bytes(word: Option<&OsStr>) -> Result<u64, String> {
    const USUAL: u64 = 10 << 30;
    const LEAST: u64 = 256 << 20;
    Ok(size("--cache-size", word, LEAST)?.unwrap_or(USUAL))
}
