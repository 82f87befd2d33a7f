//! The small programs beside client and server, each in a module of its own; `src/bin` only
//! hands over arguments and environment.
//!
//! - [`lsdistcc`]: which hosts have a distccd.
//! - [`monitor`]: what the clients of this machine are doing (`distccmon-text`).
//! - [`symlinks`]: keeps the masquerade folder (`update-distcc-symlinks`).
#![forbid(unsafe_code)]

pub mod lsdistcc;
pub mod monitor;
pub mod symlinks;
