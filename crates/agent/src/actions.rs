//! Compiles as hermetic actions: what a command needs, all of it, as blobs and one tree.
//!
//! Reading order: [`maker`] (one command), `environment` (which variables it sees), `toolchains` (its compiler),
//! `inputs` (everything in one root), `digests` (what files are called, and their contents).

mod digests;
mod environment;
mod inputs;
pub mod maker;
mod toolchains;
