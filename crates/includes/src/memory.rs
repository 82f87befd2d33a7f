//! What is remembered between files and between compiles, and when it is forgotten.

pub(crate) mod adoption;
pub(crate) mod answers;
mod changes;
pub(crate) mod environment;
pub(crate) mod flat;
pub(crate) mod layers;
pub(crate) mod names;
pub(crate) mod offers;
mod renewal;
pub(crate) mod summary;
pub(crate) mod transfer;
