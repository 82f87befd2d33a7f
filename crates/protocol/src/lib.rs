//! The wire formats of distcc: protocols 1, 2 and 3 between client and server, and the
//! exchange between client and include server.
//!
//! Pure: nothing here opens a socket, reads a clock or looks at the environment. Callers bring
//! bytes and are told what has to come next. [`stream`] is the one place that touches
//! [`std::io::Read`], so that every program reads untrusted lengths in the same bounded way.
//!
//! Reading order: [`token`] (the twelve bytes in front of everything), [`lzo`] (how bulk data
//! is packed), [`request`] and [`response`] (what client and server say), [`include`] (what
//! client and include server say), [`session`] (what clients tell the `pump` above them),
//! [`stream`].
//!
//! Facts about distcc 3.4 come from recorded conversations of the real programs (the tests in
//! `tests/golden.rs` replay them) and from experiments with them.
#![forbid(unsafe_code)]

pub mod include;
pub mod jobs;
pub mod lzo;
pub mod pieces;
pub mod request;
pub mod response;
pub mod session;
pub mod stream;
mod strings;
pub mod token;
mod version;

#[cfg(test)]
mod fuzzed;

pub use token::{Header, HeaderError, Token};
pub use version::Version;

/// The TCP port that every distcc program uses unless told otherwise.
pub const DEFAULT_PORT: u16 = 3632;
