//! A client of the Remote Execution API, version 2: sends what an action needs, once, has it run, and takes what it
//! declared to make.
//!
//! No server is trusted: contents have to have the digest that was said, only declared outputs are taken, links are not
//! followed, and sizes are bounded.
//!
//! Reading order: `endpoint` (what a host list names), `server` (a connection and what the server can do), `program` (a
//! server behind ssh), `run` (the life of one action there), `lookups` (is asking for its result worth it), `held` with `upload` (each blob
//! once, in messages that are `packed`), `fetch` (what comes
//! back), `trouble` (what may go wrong, and what can be done about it), `traffic` (bytes on the wire).
#![forbid(unsafe_code)]

mod endpoint;
mod fetch;
mod held;
mod lookups;
mod packed;
mod program;
mod run;
mod server;
mod traffic;
mod trouble;
mod upload;

pub use endpoint::{BadEndpoint, Endpoint};
pub use run::{Made, Order, Outcome};
pub use server::Server;
pub use trouble::Trouble;
pub use upload::{Content, Contents};
