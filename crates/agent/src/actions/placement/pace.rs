//! How long actions take on a host, and what follows for how many it gets.
//!
//! What counts is the time from an action's sending to its result: a slow machine, a slow line and a server that has
//! much to do for others are all the same to who waits. Compiles differ by a factor of a hundred, so times are averaged
//! as their logarithms, over the last eight or so, and differences below a factor of two are taken for chance.

use std::time::Duration;

/// What the newest time weighs.
const WEIGHT: f64 = 1.0 / 8.0;
/// Nothing is concluded from fewer.
const ENOUGH: u32 = 8;
/// Slower by less than this is not slower.
const CHANCE: f64 = 2.0;

/// The times of a host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    count: u32,
    /// Of seconds.
    logarithm: f64,
}

impl Pace {
    /// An action took so long.
    pub(super) fn note(&mut self, time: Duration) {
        let logarithm = time.as_secs_f64().max(1e-4).ln();
        self.count = self.count.saturating_add(1);
        // The first ones count alike.
        let weight = WEIGHT.max(1.0 / f64::from(self.count));
        self.logarithm += weight * (logarithm - self.logarithm);
    }

    /// What an action takes, once that is known.
    pub(super) fn typical(&self) -> Option<Duration> {
        let seconds = self.logarithm.exp();
        (self.count >= ENOUGH).then(|| Duration::from_secs_f64(seconds))
    }
}

/// How many of its `slots` a host gets that takes `own`, where the fastest takes `best`: fewer, as it is slower, but
/// never none, since it may be faster by now.
pub(super) fn allowed(slots: u32, own: Option<Duration>, best: Option<Duration>) -> u32 {
    let (Some(own), Some(best)) = (own, best) else {
        return slots;
    };
    let slower = own.as_secs_f64() / best.as_secs_f64().max(1e-4);
    if slower < CHANCE {
        return slots;
    }
    // It is at least 0 and no more than there were.
    ((f64::from(slots) / slower) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(milliseconds: &[u64]) -> Pace {
        let mut pace = Pace::default();
        milliseconds
            .iter()
            .for_each(|&time| pace.note(Duration::from_millis(time)));
        pace
    }

    #[test]
    fn a_few_times_say_nothing() {
        assert_eq!(pace(&[100; 7]).typical(), None);
        let typical = pace(&[100; 8]).typical().unwrap();
        assert_eq!(typical.as_millis(), 100);
    }

    #[test]
    fn one_long_compile_makes_no_slow_host_and_many_do() {
        let usual = [100; 20];
        let after = |more: &[u64]| pace(&[&usual[..], more].concat()).typical().unwrap();
        assert!(after(&[3000]) < Duration::from_millis(200));
        assert!(after(&[3000; 16]) > Duration::from_millis(1500));
    }

    #[test]
    fn slower_hosts_get_less_but_something() {
        let time = |milliseconds| Some(Duration::from_millis(milliseconds));
        for (own, best, expected) in [
            (None, time(1), 8),
            (time(100), None, 8),
            (time(100), time(100), 8),
            (time(190), time(100), 8),
            (time(200), time(100), 4),
            (time(400), time(100), 2),
            (time(10_000), time(100), 1),
        ] {
            assert_eq!(allowed(8, own, best), expected, "{own:?} {best:?}");
        }
    }
}
