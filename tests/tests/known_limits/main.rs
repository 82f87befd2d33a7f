//! What distcc 3.4 is known to get wrong, by the entries of `docs/known-limits.md`: here it goes as if the compiler had
//! been called directly.
//!
//! - `results`: the same files, messages and exit code as without distcc, in plain mode and in pump mode;
//! - `conduct`: what else the entries complain of;
//! - `list`: each test that the document names exists, and each entry has its line.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod conduct;
mod list;
mod results;
