//! Toolchains: the files that a compiler is made of, so that it can run where nothing else is.
//!
//! A compile in an empty root folder needs its driver, the programs that the driver starts, what those are linked to,
//! the loader, and a few files that they look for. All of it is asked of the compiler and of the loader themselves,
//! and each file stands where it stands here, with the links that lead to it.
//!
//! Reading order: `discover` (what belongs to a compiler), `driver` (which program stands behind a name), `programs`
//! (an executable file and what the loader loads for it), `specs` (settings that options name), `places` (paths, the links on them, and the list).
#![forbid(unsafe_code)]

mod discover;
mod driver;
mod places;
mod programs;
mod specs;

pub use discover::{Language, Toolchain, Wanted, discover};
pub use driver::{Family, Surroundings};
pub use places::{Place, Places};

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a compiler cannot be taken along.
#[derive(Debug)]
pub enum Unsuitable {
    /// No program of that name in `PATH`, or none that may be executed.
    NotFound(PathBuf),
    /// A launcher that stands for a compiler of the same name, which is not in `PATH` behind it.
    NothingBehind(PathBuf),
    /// Not an ELF program: a script decides at each call what to do.
    Script(PathBuf),
    /// It answers no question that gcc and clang answer; with what it said.
    NoCompiler(PathBuf, String),
    /// A program that the compiler needs is not there.
    Lacks(PathBuf, String),
    /// A library that a program needs is not found by its loader.
    LacksLibrary(PathBuf, String),
    /// Specs that an option names do something that is not modelled; what.
    Specs(PathBuf, String),
    /// A file that belongs to it could not be read.
    Unreadable(PathBuf, io::Error),
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsuitable::NotFound(path) => write!(f, "there is no program {path:?}"),
            Unsuitable::NothingBehind(path) => {
                write!(
                    f,
                    "{path:?} is a launcher, and PATH has no compiler of its name behind it"
                )
            }
            Unsuitable::Script(path) => {
                write!(
                    f,
                    "{path:?} is a script: what it starts is known to itself alone"
                )
            }
            Unsuitable::NoCompiler(path, said) => {
                write!(f, "{path:?} does not answer as gcc and clang do: {said}")
            }
            Unsuitable::Lacks(path, program) => write!(f, "{path:?} has no program {program:?}"),
            Unsuitable::LacksLibrary(path, library) => {
                write!(
                    f,
                    "{path:?} needs the library {library:?}, which its loader does not find"
                )
            }
            Unsuitable::Specs(path, what) => {
                write!(f, "the specs {path:?} ask for {what}")
            }
            Unsuitable::Unreadable(path, error) => write!(f, "{path:?}: {error}"),
        }
    }
}

impl std::error::Error for Unsuitable {}
