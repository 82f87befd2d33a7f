//! One compile, understood, and the files that were found for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use command::Compile;

use super::client_tree::Needs;
use super::compiler::Compiler;
use super::search::Search;
use super::source::{Identity, Text};
use super::system_dirs::SystemDirs;

/// What a command's words mean.
pub(crate) struct Job<'a> {
    pub(crate) compile: &'a Compile,
    pub(crate) cwd: &'a Path,
    pub(crate) compiler: Compiler,
    pub(crate) search: Search,
}

/// A file of the closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// As the compiler names it.
    pub(crate) spelled: PathBuf,
    pub(crate) real: PathBuf,
    /// `None` for `/dev/null`.
    pub(crate) identity: Option<Identity>,
}

/// All that a server needs for one compile.
pub(crate) struct Needed<'a> {
    pub(crate) system: &'a SystemDirs,
    /// Files, the source first. Those of default folders may be among them.
    pub(crate) found: &'a [Found],
    pub(crate) beside: Needs,
    /// Texts of files that were just read, by real paths.
    pub(crate) texts: HashMap<PathBuf, Text>,
}

impl SystemDirs {
    /// Whether the file is sent: all but those of default folders are.
    pub(crate) fn let_send(&self, file: &Found) -> bool {
        !self.contain(&file.real)
    }
}

/// Whether gcc may name one of these files otherwise when it compiles, and so find other files
/// beside it. It does so for headers from system folders, and for what is included by a header
/// that says it is one; `says_so` tells that of a file.
pub(crate) fn may_be_renamed<Error>(
    search: &Search,
    sent: &[&Found],
    mut says_so: impl FnMut(&Found) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let bytes = |path: &Path| path.as_os_str().len();
    if !sent
        .iter()
        .any(|file| bytes(&file.real) < bytes(&file.spelled))
    {
        return Ok(false);
    }
    if !search.system.is_empty() || !search.after.is_empty() {
        return Ok(true);
    }
    for file in sent {
        if says_so(file)? {
            return Ok(true);
        }
    }
    Ok(false)
}
