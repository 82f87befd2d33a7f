//! A client of the API against a running engine. Each service has a file; `running` is the client, and `plain` runs actions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod byte_stream;
mod capabilities;
mod content;
mod execution;
mod folders;
mod plain;
mod results;
mod running;
