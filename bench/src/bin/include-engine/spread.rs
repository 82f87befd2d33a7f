//! Several measurements of one figure: the median, and how far they lie apart, so that noise can be told from change.

use std::fmt;
use std::time::Duration;

use crate::rounded;

/// Milliseconds per compile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) lowest: f64,
    pub(crate) median: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// Of the times of passes over so many compiles; there is at least one.
    pub(crate) fn of(mut times: Vec<Duration>, compiles: usize) -> Spread {
        times.sort_unstable();
        let each = |at: usize| times[at].as_secs_f64() * 1e3 / compiles.max(1) as f64;
        Spread {
            lowest: each(0),
            median: each(times.len() / 2),
            highest: each(times.len() - 1),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", rounded(self.lowest), rounded(self.highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_per_compile_and_holds_the_ends() {
        let times = [30, 10, 20].map(Duration::from_millis).to_vec();
        let spread = Spread::of(times, 10);
        assert_eq!(
            (spread.lowest, spread.median, spread.highest),
            (1.0, 2.0, 3.0)
        );
        assert_eq!(spread.to_string(), "1.00..3.00");
    }
}
