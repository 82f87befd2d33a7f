//! Compiler command lines: what they compile, whether that can be done elsewhere, and the
//! commands that client, include server and server derive from them.
//!
//! Pure: no file is opened, no environment read. Arguments are bytes.
//!
//! Reading order: [`extension`] (what a file name says), [`options`] (what an option is about), [`mod@plan`] (can this command be
//! distributed?), [`client`] (the commands a client runs or sends), [`server`] (the commands a
//! server runs), [`mod@hermetic`] (what a compile needs in a root of its own), [`makefile`] (dependency files),
//! [`assembler_text`] (what assembler text in a source reads).
#![forbid(unsafe_code)]

pub mod assembler_text;
pub mod client;
mod compile;
pub mod extension;
#[cfg(test)]
mod fuzzed;
pub mod hermetic;
pub mod makefile;
mod option;
pub mod options;
pub mod plan;
pub mod server;
#[cfg(test)]
mod testing;

pub use compile::Compile;
pub use plan::{Plan, WhyLocal, plan};
