//! One compile, understood, and the files that were found for it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
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

impl Found {
    /// Whether the real path is the shorter one. gcc takes it for the name of headers from system
    /// folders then, and of what is included by a header that says it is one.
    pub(crate) fn has_shorter_name(&self) -> bool {
        self.real.as_os_str().len() < self.spelled.as_os_str().len()
    }
}

impl Search {
    /// Whether gcc, which has found this file through a folder of `-isystem` or `-idirafter`, or
    /// beside one found so, names it by its real path.
    pub(crate) fn renames(&self, file: &Found) -> bool {
        let spelled = file.spelled.as_os_str().as_bytes();
        let is_within = |folder: &OsString| {
            let folder = folder.as_bytes();
            let folder = folder.strip_suffix(b"/").unwrap_or(folder);
            spelled
                .strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with(b"/"))
        };
        file.has_shorter_name() && self.system.iter().chain(&self.after).any(is_within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_real_paths_count_in_system_folders() {
        let search = Search {
            system: vec!["/long/../s/".into(), "rel".into()],
            after: vec!["/longer/../a".into()],
            ..Search::default()
        };
        let renames = |spelled: &str, real: &str| {
            search.renames(&Found {
                spelled: spelled.into(),
                real: real.into(),
                identity: None,
            })
        };
        assert!(renames("/long/../s/x.h", "/s/x.h"));
        assert!(renames("/longer/../a/d/x.h", "/a/d/x.h"));
        assert!(renames("rel/../../x.h", "/x.h"));
        assert!(!renames("/long/../s/x.h", "/elsewhere/and/longer/x.h"));
        assert!(!renames("/other/../s/x.h", "/s/x.h"));
        assert!(!renames("rela/../../x.h", "/x.h"));
    }
}
