//! Which files the include server names, asked through its socket, and whether the same text
//! comes out where only these files are.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod asking;
mod changes;
mod contents;
mod pieces;
mod refused;
mod sent;
#[path = "../support/mod.rs"]
mod support;
mod system_folders;
mod unlisted;
