//! The Remote Execution API, version 2, as a server speaks it: over a blob store, results, and something that runs
//! actions.
//!
//! Reading order: `engine` (what all services share), then the services: `capabilities`, `content` (blobs in
//! batches), `byte_stream` (blobs in pieces), `results` (the action cache), `execution` over `operations` (what
//! is waited for) and `folders` (outputs that are some). `reading` turns blobs into a job or says what is missing; `names`,
//! `packing` and `fault` are resource names, zstd and errors.
//!
//! Source: `remote_execution.proto` of API 2.3 and `bytestream.proto`, whose comments are the specification.
#![forbid(unsafe_code)]

mod byte_stream;
mod capabilities;
mod content;
mod engine;
mod execution;
mod fault;
mod folders;
#[cfg(test)]
mod fuzzed;
mod names;
mod operations;
mod packing;
mod reading;
mod results;

pub use engine::{
    Client, Engine, Executed, Executor, Failure, Folder, Found, Output, Refusal, Slot, Stop,
};
pub use fault::later;
pub use reading::{Entry, Job, MOST_LEVELS};
