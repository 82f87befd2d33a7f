//! An engine that lives while files change: each next answer must be that of a new engine and of the compiler.
//!
//! Every situation runs twice: with inotify, and with a tree that cannot watch anything, where stamps are compared.

mod compilers;
mod contents;
mod folders;
mod limits;
mod links;
mod mappings;
mod meanwhile;
mod mounts;
mod project;
