//! Hermetic actions: a compile in the terms of the Remote Execution API, version 2.
//!
//! Pure: file contents come as digests, and what is made are messages. Who reads the files, and who sends the
//! messages, is the callers' business.
//!
//! Reading order: `digest` (what content is called), `root` (the file tree that a compile needs, at the client's own
//! absolute paths), `merkle` (that tree as `Directory` messages), `hermetic` (the whole action), `packing` (how blobs are
//! packed on their way).
//!
//! Source: `build/bazel/remote/execution/v2/remote_execution.proto`, whose rules for canonical messages are
//! followed to the letter: equal compiles must have equal digests, whoever encodes them.
#![forbid(unsafe_code)]

mod digest;
mod hermetic;
mod merkle;
pub mod packing;
mod root;

pub use bazel_remote_apis::build::bazel::remote::execution::v2 as messages;

pub use digest::{BadDigest, Digest};
pub use hermetic::{Hermetic, Job, PLATFORM_ROOT};
pub use merkle::Packed;
pub use root::{BadPath, Root};
