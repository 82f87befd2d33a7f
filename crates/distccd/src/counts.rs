//! What the server has done so far, as its statistics page tells it.
//!
//! Told by each job at its end. No clock is read here: times come as arguments.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::summary::Verdict;

/// The server's account of its jobs.
#[derive(Debug)]
pub(crate) struct Counts {
    started: Instant,
    state: Mutex<State>,
}

/// A look at the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Connections, also those of clients that are not served.
    pub(crate) connections: u64,
    /// Jobs by how they ended.
    verdicts: [u64; Verdict::ALL.len()],
    /// The compile that took longest.
    pub(crate) longest: Option<Longest>,
    /// The mean number of compilers in the last 1, 5 and 15 minutes.
    pub(crate) running: [u64; 3],
    /// Compiles that ended in the same time.
    pub(crate) compiles: [u64; 3],
}

/// A compile that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Longest {
    pub(crate) time: Duration,
    pub(crate) compiler: String,
    pub(crate) source: String,
}

#[derive(Debug)]
struct State {
    connections: u64,
    verdicts: [u64; Verdict::ALL.len()],
    longest: Option<Longest>,
    /// The last 15 minutes in steps, each at its number modulo their count.
    recent: [Slice; SLICES],
    /// The number of the newest one.
    newest: u64,
}

/// What happened in a few seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    compiles: u64,
    /// The time that successful compilers took within it, all together.
    busy: Duration,
}

const SLICE: Duration = Duration::from_secs(3);
/// 1, 5 and 15 minutes.
const WINDOWS: [usize; 3] = [20, 100, SLICES];
const SLICES: usize = 300;

impl Counts {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            started: now,
            state: Mutex::new(State {
                connections: 0,
                verdicts: Default::default(),
                longest: None,
                recent: [Slice::default(); SLICES],
                newest: 0,
            }),
        }
    }

    /// A client has connected.
    pub(crate) fn connection(&self) {
        self.lock().connections += 1;
    }

    /// A job has ended.
    pub(crate) fn job(&self, verdict: Verdict, now: Instant) {
        let at = self.slice(now);
        let mut state = self.lock();
        state.verdicts[verdict as usize] += 1;
        state.advance(at);
        let counted = !matches!(verdict, Verdict::RejBadReq | Verdict::Other);
        state.recent[at as usize % SLICES].compiles += u64::from(counted);
    }

    /// A compile has succeeded, whose compiler ran for the last `ran`.
    pub(crate) fn success(&self, ran: Duration, longest: impl FnOnce() -> Longest, now: Instant) {
        let at = self.slice(now);
        let since_start = now.saturating_duration_since(self.started);
        let mut state = self.lock();
        state.advance(at);
        let mut left = ran;
        let mut of_this = since_start.saturating_sub(SLICE * u32::try_from(at).unwrap_or(u32::MAX));
        for number in (at.saturating_sub(SLICES as u64 - 1)..=at).rev() {
            let part = left.min(of_this);
            state.recent[number as usize % SLICES].busy += part;
            left -= part;
            of_this = SLICE;
            if left.is_zero() {
                break;
            }
        }
        let longest = longest();
        if state
            .longest
            .as_ref()
            .is_none_or(|old| old.time < longest.time)
        {
            state.longest = Some(longest);
        }
    }

    pub(crate) fn totals(&self, now: Instant) -> Totals {
        let at = self.slice(now);
        let mut state = self.lock();
        state.advance(at);
        let window = |slices: usize| {
            let first = at.saturating_sub(slices as u64 - 1);
            let numbers = first..=at;
            numbers.map(|number| state.recent[number as usize % SLICES])
        };
        let running = |slices: usize| {
            let busy: Duration = window(slices).map(|slice| slice.busy).sum();
            let all = SLICE.as_millis() * slices as u128;
            u64::try_from((busy.as_millis() + all / 2) / all).unwrap_or(u64::MAX)
        };
        Totals {
            connections: state.connections,
            verdicts: state.verdicts,
            longest: state.longest.clone(),
            running: WINDOWS.map(running),
            compiles: WINDOWS.map(|slices| window(slices).map(|slice| slice.compiles).sum()),
        }
    }

    fn slice(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / SLICE.as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers that are wrong after a panic are no reason for another one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    pub(crate) fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }
}

impl State {
    /// Empties the slices that begin with `at`.
    fn advance(&mut self, at: u64) {
        let first = (self.newest + 1).max(at.saturating_sub(SLICES as u64 - 1));
        for number in first..=at {
            self.recent[number as usize % SLICES] = Slice::default();
        }
        self.newest = self.newest.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn longest(ms: u64) -> impl Fn() -> Longest {
        move || Longest {
            time: Duration::from_millis(ms),
            compiler: "gcc".into(),
            source: format!("{ms}.c"),
        }
    }

    #[test]
    fn jobs_are_counted_by_how_they_ended() {
        let start = Instant::now();
        let counts = Counts::new(start);
        counts.connection();
        counts.job(Verdict::CompileOk, start);
        counts.job(Verdict::CliDisconn, start);
        counts.job(Verdict::Other, start);
        let totals = counts.totals(start);
        assert_eq!(totals.connections, 1);
        assert_eq!(totals.of(Verdict::CompileOk), 1);
        assert_eq!(totals.of(Verdict::CompileError), 0);
        assert_eq!(totals.of(Verdict::Other), 1);
        // What never was a compile is no compile.
        assert_eq!(totals.compiles, [2, 2, 2]);
    }

    #[test]
    fn windows_forget() {
        let start = Instant::now();
        let counts = Counts::new(start);
        counts.job(Verdict::CompileOk, start);
        for (after, expected) in [
            (59, [1, 1, 1]),
            (60, [0, 1, 1]),
            (300, [0, 0, 1]),
            (899, [0, 0, 1]),
            (900, [0, 0, 0]),
            (100_000, [0, 0, 0]),
        ] {
            assert_eq!(counts.totals(start + secs(after)).compiles, expected);
        }
    }

    #[test]
    fn compilers_count_for_the_time_they_ran() {
        let start = Instant::now();
        let counts = Counts::new(start);
        let now = start + secs(1000);
        // Two ran for ten minutes, two for the last half a minute.
        for seconds in [600, 600, 30, 30] {
            counts.success(secs(seconds), longest(1), now);
        }
        assert_eq!(counts.totals(now).running, [3, 2, 1]);
        assert_eq!(counts.totals(now + secs(900)).running, [0, 0, 0]);
        // Longer than anybody remembers.
        counts.success(secs(5000), longest(1), now + secs(1800));
        assert_eq!(counts.totals(now + secs(1800)).running, [1, 1, 1]);
    }

    #[test]
    fn the_longest_compile_is_kept() {
        let start = Instant::now();
        let counts = Counts::new(start);
        assert_eq!(counts.totals(start).longest, None);
        for ms in [20, 30, 10] {
            counts.success(Duration::from_millis(ms), longest(ms), start);
        }
        assert_eq!(counts.totals(start).longest, Some(longest(30)()));
    }
}
