//! Actions of the Remote Execution API, on the port of the old protocols.
//!
//! The crate `engine` speaks the API, and `store` keeps blobs; here are what runs actions, and the way to it. In the
//! order of an action's life: [`connection`] (a socket that turned out to be HTTP/2), [`service`] (the async
//! runtime that serves all of them, started by the first one), [`limits`] (what a client may have of it), [`runner`] (an
//! action becomes a job of the sandbox), [`trees`] (its input root on disk), [`outputs`] (what it makes), [`surroundings`]
//! (what those see that do not bring their root), and [`gone`] (the cache was removed under all of them).
//!
//! Nothing of this is there before the first such connection, so that servers without any pay nothing.

mod connection;
mod gone;
mod limits;
mod outputs;
mod runner;
mod service;
mod surroundings;
mod trees;
mod watched;

pub(crate) use service::{Guard, Service};
