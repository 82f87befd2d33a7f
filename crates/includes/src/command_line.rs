//! What a command line says about includes: options, the variables beside them, the language.

mod invocation;
mod language;
mod option_tables;
pub(crate) mod options;
pub(crate) mod words;
