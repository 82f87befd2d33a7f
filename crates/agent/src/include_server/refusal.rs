//! Why a compile's files are not known well enough to send them.
//!
//! The answer to the client is empty then, and it preprocesses by itself. `Display` gives the
//! words of the one line that the include server prints about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::{ffi::OsString, path::Path};

use command::WhyLocal;

use super::scan::Blocker;

/// The reasons.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The client's working folder is not absolute, or not there.
    WorkingFolder(PathBuf),
    /// The command is none that a client would send.
    NotDistributable(WhyLocal),
    /// An option whose files the compiler's list leaves out, or which servers do not understand.
    Option(OsString),
    /// `@FILE`: options in a file.
    ArgumentFile(OsString),
    /// The compiler is not in `PATH`.
    NoCompiler(OsString),
    /// The compiler does not tell its default folders.
    DefaultFolders {
        /// The compiler, as the command names it.
        compiler: OsString,
        /// The language asked about.
        language: OsString,
        /// What went wrong.
        why: String,
    },
    /// The compiler could not be started.
    CompilerNotRun(PathBuf, io::Error),
    /// Preprocessing fails: the list of files is not known.
    CompilerFailed(ExitStatus),
    /// The compiler takes too long.
    TimeLimit,
    /// The compiler's list of files does not make sense.
    NoList,
    /// A listed file cannot be found.
    Missing(PathBuf),
    /// A listed file is a folder, a device or the like.
    NotRegular(PathBuf),
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Longer than distcc 3.4 could unpack.
    TooLong(PathBuf),
    /// The source lies in a folder whose files are never sent.
    SourceInDefaultFolder(PathBuf),
    /// A file's text has an effect that the compiler's list does not show.
    Text(PathBuf, Blocker),
    /// A precompiled header would be used in place of the files listed.
    Precompiled(PathBuf),
    /// Files keep changing while they are looked at.
    Unsettled,
    /// The copy for the client cannot be written.
    Mirror(PathBuf, io::Error),
    /// The server is about to end.
    Stopping,
}

impl Refusal {
    /// For `map_err`: a file could not be read.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Unreadable(path, error)
    }

    /// For `map_err`: something could not be written.
    pub(crate) fn mirror(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Mirror(path, error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkingFolder(path) => {
                write!(f, "no working folder '{}'", path.display())
            }
            Self::NotDistributable(why) => write!(f, "not a compile to distribute: {why}"),
            Self::Option(word) => write!(f, "option '{}'", word.display()),
            Self::ArgumentFile(word) => write!(f, "options in a file: '{}'", word.display()),
            Self::NoCompiler(name) => write!(f, "no compiler '{}' in PATH", name.display()),
            Self::DefaultFolders {
                compiler,
                language,
                why,
            } => write!(
                f,
                "Couldn't determine default system include directories for compiler '{}', \
                 language '{}': {why}",
                compiler.display(),
                language.display()
            ),
            Self::CompilerNotRun(path, error) => {
                write!(f, "cannot run '{}': {error}", path.display())
            }
            Self::CompilerFailed(status) => write!(f, "preprocessing fails ({status})"),
            Self::TimeLimit => f.write_str("the compiler takes too long to list its files"),
            Self::NoList => f.write_str("the compiler's list of files is not understood"),
            Self::Missing(path) => write!(f, "Could not find include file '{}'", path.display()),
            Self::NotRegular(path) => write!(f, "'{}' is not a regular file", path.display()),
            Self::Unreadable(path, error) => {
                write!(f, "cannot read '{}': {error}", path.display())
            }
            Self::TooLong(path) => write!(f, "'{}' is too long", path.display()),
            Self::SourceInDefaultFolder(path) => write!(
                f,
                "'{}' lies in a default system include directory",
                path.display()
            ),
            Self::Text(path, blocker) => write!(f, "{blocker} in '{}'", path.display()),
            Self::Precompiled(path) => write!(f, "precompiled header '{}'", path.display()),
            Self::Unsettled => f.write_str("files change while they are read"),
            Self::Mirror(path, error) => write!(f, "cannot write '{}': {error}", path.display()),
            Self::Stopping => f.write_str("the include server is ending"),
        }
    }
}
