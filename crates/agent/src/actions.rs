//! Compiles as hermetic actions: what a command needs, all of it, as blobs and one tree.
//!
//! Reading order: [`maker`] (one command), `environment` (which variables it sees), `toolchains` (its compiler), `locale`
//! (its language), `named` (files that options and assembler text name), `headers` (what is included, precompiled or not),
//! `inputs` (everything in one root), [`placement`] (who runs it), `digests` (what files are called, and their
//! contents), `digest_file` (the same on disk).

mod digest_file;
mod digests;
mod environment;
mod headers;
mod inputs;
mod locale;
pub mod maker;
mod named;
pub mod placement;
pub(crate) mod toolchains;
