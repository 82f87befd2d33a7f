//! What the end-to-end tests are written in: programs, servers, clients, and trees to compile in.
//!
//! Tests run the installed programs as a user would, in temporary folders and on loopback ports,
//! and end what they start. What is expected comes from a local compile in the same folder, or
//! from Debian's distcc 3.4, but never from our own code: no crate of the workspace is used here.
//!
//! A helper that finds the machine unfit (no compiler, no packaged distcc) panics: in a test that
//! is a failure, and never a skip.

pub mod object;
pub mod programs;
pub mod run;
pub mod tree;

pub mod alike;
pub mod bare_server;
pub mod both_ways;
pub mod chance;
pub mod client;
pub mod compile_database;
pub mod compilers;
pub mod engine;
pub mod include_server;
pub mod port;
pub mod proxy;
pub mod server;
pub mod sshd;

pub mod project;
pub mod scanned;
