//! `pump`, run as a program: its sessions, messages and exit codes, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod account;
mod builds;
mod deaths;
mod hosts;
mod installed;
mod signals;
mod started;
#[path = "../support/mod.rs"]
mod support;
