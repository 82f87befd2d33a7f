//! Which thread takes which compile: its own stretch of the list first, since neighbours are compiled alike.
//!
//! Compiles of one target stand together in a database: same options, mostly the same headers. A thread that has them
//! all evaluates each header once and asks the compiler once, while the others ask for other options. Who
//! is done takes from the far end of the longest stretch that is left.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// What is left of each thread's stretch.
pub struct Stretches(Mutex<Vec<Range<usize>>>);

impl Stretches {
    /// The numbers below `len` for so many threads.
    pub fn new(len: usize, threads: usize) -> Self {
        let start = |thread: usize| len * thread / threads;
        let all = (0..threads).map(|thread| start(thread)..start(thread + 1));
        Stretches(Mutex::new(all.collect()))
    }

    /// The number that comes next for this thread; each is given once.
    pub fn next(&self, thread: usize) -> Option<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get_mut(thread).and_then(Iterator::next);
        own.or_else(|| all.iter_mut().max_by_key(|left| left.len())?.next_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_its_own_stretch_and_then_from_the_longest() {
        let stretches = Stretches::new(7, 2);
        let order = [0, 0, 0, 0, 1, 1, 0].map(|thread| stretches.next(thread));
        assert_eq!(order, [0, 1, 2, 6, 3, 4, 5].map(Some));
        assert_eq!(stretches.next(0), None);
        assert_eq!(stretches.next(1), None);
    }

    #[test]
    fn more_threads_than_compiles_are_no_trouble() {
        let stretches = Stretches::new(2, 5);
        let mut given: Vec<_> = (0..5).filter_map(|thread| stretches.next(thread)).collect();
        given.sort_unstable();
        assert_eq!(given, [0, 1]);
    }
}
