//! Refusals: why the engine gives no answer, so that the caller asks the compiler itself.

use std::fmt;

/// Why a compile's closure was not computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The command line is no single compile of one file: what is wrong with it.
    Command(String),
    /// This option changes includes in a way that is not modelled.
    Option(String, &'static str),
    /// An environment variable changes includes in a way that is not modelled.
    Variable(&'static str),
    /// The compiler could not be asked for its own macros and folders.
    Compiler(String),
    /// The main file cannot be read.
    NoInput(Vec<u8>),
    /// A header was not found: the compiler stops here.
    NotFound {
        /// The header with its quotes or brackets.
        header: Vec<u8>,
        /// The file that includes it, as spelled.
        includer: Vec<u8>,
    },
    /// The compiler reports an error in this file.
    Error {
        /// The file, as spelled.
        file: Vec<u8>,
        /// The error.
        what: String,
    },
    /// Valid code, but not modelled.
    Unmodelled {
        /// The file, as spelled.
        file: Vec<u8>,
        /// The construct.
        what: String,
    },
    /// A precompiled header stands where gcc would take it.
    Precompiled(Vec<u8>),
    /// Includes are nested as deep as the compiler allows.
    TooDeep(Vec<u8>),
    /// Files changed again and again while the answer was made.
    Restless,
}

impl Refusal {
    /// Whether the compiler itself fails on this compile, as far as the engine can tell.
    pub fn is_compile_error(&self) -> bool {
        matches!(
            self,
            Refusal::NoInput(_)
                | Refusal::NotFound { .. }
                | Refusal::Error { .. }
                | Refusal::TooDeep(_)
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            Refusal::Command(what) => write!(f, "{what}"),
            Refusal::Option(option, why) => write!(f, "option {option} is not modelled: {why}"),
            Refusal::Variable(name) => write!(f, "environment variable {name} is not modelled"),
            Refusal::Compiler(what) => write!(f, "asking the compiler: {what}"),
            Refusal::NoInput(path) => write!(f, "cannot read {}", text(path)),
            Refusal::NotFound { header, includer } => {
                write!(f, "{}: {} not found", text(includer), text(header))
            }
            Refusal::Error { file, what } => write!(f, "{}: {what}", text(file)),
            Refusal::Unmodelled { file, what } => write!(f, "{}: not modelled: {what}", text(file)),
            Refusal::Precompiled(path) => write!(f, "precompiled header {}", text(path)),
            Refusal::TooDeep(path) => write!(f, "{}: includes are nested too deeply", text(path)),
            Refusal::Restless => write!(f, "files change faster than they can be read"),
        }
    }
}

impl std::error::Error for Refusal {}
