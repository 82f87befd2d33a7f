//! A compile as it is asked for, and what its arguments mean for includes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

pub(crate) use crate::command_line::language::Language;
use crate::parsing::text::mentions_time;

/// A compile: where, what, and in which environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The absolute folder it runs in.
    pub cwd: Vec<u8>,
    /// The compiler and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment, complete.
    pub env: Vec<(OsString, OsString)>,
}

impl Command {
    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&[u8]> {
        self.env
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_bytes())
    }
}

/// Something that happens before the main file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prelude {
    Define(Vec<u8>),
    Undefine(Vec<u8>),
}

/// What the arguments mean for includes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Invocation {
    pub(crate) input: Vec<u8>,
    pub(crate) language: Option<Language>,
    /// It is C by the source's name alone.
    pub(crate) may_be_cxx: bool,
    pub(crate) preludes: Vec<Prelude>,
    pub(crate) macro_files: Vec<Vec<u8>>,
    pub(crate) include_files: Vec<Vec<u8>>,
    pub(crate) quote: Vec<Vec<u8>>,
    pub(crate) bracket: Vec<Vec<u8>>,
    pub(crate) system: Vec<Vec<u8>>,
    pub(crate) after: Vec<Vec<u8>>,
    /// Folders of `-iwithprefixbefore`, and how many of `bracket` gcc has before each; for clang they come behind
    /// those of `CPATH`.
    pub(crate) with_prefix_before: Vec<(usize, Vec<u8>)>,
    /// Folders of `-iwithprefix`, and how many of `system` stand before each.
    pub(crate) with_prefix: Vec<(usize, Vec<u8>)>,
    pub(crate) not_beside: bool,
    /// `-fno-canonical-system-headers`: gcc names files as they are found.
    pub(crate) not_canonical: bool,
    /// Options that may change what the compiler predefines or where it searches by default.
    pub(crate) base: Vec<OsString>,
    /// `-I-` or `=` in a folder: only gcc has them in this form.
    pub(crate) gcc_only: bool,
    /// What `-ffile-prefix-map` and `-fmacro-prefix-map` replace at the start of `__FILE__`.
    pub(crate) mapped: Vec<Vec<u8>>,
    /// No `stdc-predef.h`.
    pub(crate) no_predef: bool,
    /// Such an option holds a relative path, so the answer depends on the folder.
    pub(crate) base_is_local: bool,
}

impl Invocation {
    /// Whether a macro that the command defines mentions one that depends on time.
    pub(crate) fn defines_time(&self) -> bool {
        self.preludes.iter().any(|prelude| match prelude {
            Prelude::Define(text) => mentions_time(text),
            Prelude::Undefine(_) => false,
        })
    }
}
