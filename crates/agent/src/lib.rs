//! What runs beside a build on the client's machine.
//!
//! Reading order: [`include_server`] tells clients which files a compile needs, so that these
//! can be sent without preprocessing; [`pump`] runs a build with such a server beside it.
//! Both are whole programs; their `main` functions only hand over the command line.

pub mod actions;
mod console;
pub mod include_server;
pub mod pump;
