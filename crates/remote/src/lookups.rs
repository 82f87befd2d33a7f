//! Whether a server is asked for a result before an action goes to it.
//!
//! An action that has to run is asked for in vain, which costs a round trip and a tenth of a millisecond here and there;
//! one whose result is known would be sent in vain. Either comes in rows: all of a build is new to a server, or after an
//! edit all that includes the header, or nothing is. `Execute` finds known results by itself, and says so, so nothing
//! is lost but what sending costs.

use std::sync::atomic::{AtomicU32, Ordering};

/// After so many actions in a row without a known result nobody asks.
const IN_VAIN: u32 = 16;
/// But one of so many: not all servers say that `Execute` found a result.
const STILL_ASKED: u32 = 32;

/// What came of looking for results.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// Actions in a row whose result was not known.
    in_vain: AtomicU32,
}

impl Lookups {
    /// Whether to ask for the result of the next action.
    pub(crate) fn are_worth_it(&self) -> bool {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        in_vain < IN_VAIN || in_vain.is_multiple_of(STILL_ASKED)
    }

    /// An action's result was known, or was not: each is told once.
    pub(crate) fn note(&self, was_known: bool) {
        match was_known {
            true => self.in_vain.store(0, Ordering::Relaxed),
            false => {
                self.in_vain.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of so many actions are asked for.
    fn asked(lookups: &Lookups, actions: u32, known: bool) -> Vec<u32> {
        let of_each = (0..actions).filter(|_| {
            let is_asked = lookups.are_worth_it();
            lookups.note(known);
            is_asked
        });
        of_each.collect()
    }

    #[test]
    fn what_is_in_vain_is_done_now_and_then() {
        let lookups = Lookups::default();
        let expected: Vec<u32> = (0..IN_VAIN).chain([32, 64, 96]).collect();
        assert_eq!(asked(&lookups, 100, false), expected);
    }

    #[test]
    fn one_that_is_known_is_enough_to_ask_again() {
        let lookups = Lookups::default();
        asked(&lookups, 20, false);
        lookups.note(true);
        assert_eq!(asked(&lookups, 50, true).len(), 50);
        assert_eq!(asked(&lookups, IN_VAIN, false).len(), IN_VAIN as usize);
    }
}
