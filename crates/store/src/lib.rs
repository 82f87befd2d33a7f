//! The blob store of a server: content by its digest, on disk, bounded.
//!
//! - A blob is whole or absent, also after a crash: it is written under another name, its digest is checked, and then
//!   it is renamed. What was written before a power failure is checked again at its first use, since file systems may
//!   have kept the name and lost the content.
//! - What somebody holds is never evicted ([`Hold`]). Beyond the limit, what was used least recently goes first if that
//!   was long ago; or else whoever has most pays ([`Owner`]), so that nobody can take from another more than an equal part.
//! - One server has the folder at a time.
//!
//! Reading order: `store` (the operations), `index` (what is there, how much, and who holds it), `writing` (how a
//! blob comes in), `results` (what actions gave), `folder` (names and files on disk).
#![forbid(unsafe_code)]

mod folder;
mod index;
mod results;
mod store;
mod writing;

pub use results::Results;
pub use store::{Error, Hold, Owner, Store};
pub use writing::Writing;
