//! The process's environment: read once, here, and the part of it that compilers see.

use std::env::var_os;
use std::ffi::OsString;
use std::path::PathBuf;

/// The variables that mean something to the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Where compilers are searched: `DISTCCD_PATH`, which is taken as it is, or `PATH`.
    pub(crate) path: SearchPath,
    /// `DISTCC_CMDLIST`
    pub(crate) command_list: Option<PathBuf>,
    /// `DISTCC_CMDLIST_NUMWORDS`
    pub(crate) command_list_words: Option<OsString>,
    /// `DISTCC_SAVE_TEMPS`
    pub(crate) save_temps: Option<OsString>,
    /// `DISTCC_IO_TIMEOUT`
    pub(crate) io_timeout: Option<OsString>,
    /// `TMPDIR`
    pub(crate) temp_folder: Option<PathBuf>,
    /// `CACHE_DIRECTORY`, by which systemd names what it has made for a service; the first if there are several.
    pub(crate) cache_folder: Option<PathBuf>,
    /// `XDG_CACHE_HOME`, or `.cache` in `HOME`; absolute.
    pub(crate) users_caches: Option<PathBuf>,
    /// What compilers get besides `PATH` and `TMPDIR`.
    pub(crate) for_compilers: Vec<(OsString, OsString)>,
}

/// Where compilers are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SearchPath {
    /// Said for this purpose.
    Given(OsString),
    /// The server's own, which may begin with a masquerade folder.
    Inherited(OsString),
}

impl Default for SearchPath {
    fn default() -> Self {
        Self::Inherited("/usr/local/bin:/usr/bin:/bin".into())
    }
}

/// What a compiler sees of the server's environment, besides the `LC_` family: how to word its
/// messages, and how to find its libraries. Nothing that names further programs to run
/// (`COMPILER_PATH`, `LD_PRELOAD`, ...), further files to write, or that may be secret. 3.4 passes
/// everything.
const FOR_COMPILERS: [&str; 4] = ["LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH"];

impl Environment {
    pub(crate) fn read() -> Self {
        let filled = |name: &str| var_os(name).filter(|value| !value.is_empty());
        let for_compilers = std::env::vars_os()
            .filter(|(name, _)| {
                name.to_str()
                    .is_some_and(|name| name.starts_with("LC_") || FOR_COMPILERS.contains(&name))
            })
            .chain([("_DISTCC_SAFEGUARD".into(), "1".into())])
            .collect();
        Self {
            path: filled("DISTCCD_PATH")
                .map(SearchPath::Given)
                .or_else(|| filled("PATH").map(SearchPath::Inherited))
                .unwrap_or_default(),
            command_list: filled("DISTCC_CMDLIST").map(Into::into),
            command_list_words: filled("DISTCC_CMDLIST_NUMWORDS"),
            save_temps: filled("DISTCC_SAVE_TEMPS"),
            io_timeout: filled("DISTCC_IO_TIMEOUT"),
            temp_folder: filled("TMPDIR").map(Into::into),
            cache_folder: filled("CACHE_DIRECTORY")
                .and_then(|folders| std::env::split_paths(&folders).next()),
            users_caches: filled("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(filled("HOME")?).join(".cache")))
                .filter(|folder| folder.is_absolute()),
            for_compilers,
        }
    }
}
