//! What comparisons with other programs have in common.
//!
//! [`project`]: what is compiled; [`stand_in`]: the compiler that takes no time; [`meter`]: how processor time is
//! counted; [`counter`]: how bytes are.

#![allow(
    clippy::missing_errors_doc,
    reason = "what fails ends a comparison, and says what it was"
)]

pub mod counter;
pub mod meter;
pub mod project;
pub mod stand_in;

use std::error::Error;
use std::time::Duration;

/// Why there is no comparison.
pub type Failure = Box<dyn Error>;

/// The median of what was measured, which must be something.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
