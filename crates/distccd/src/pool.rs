//! Bytes of memory, for as long as something is unpacked or packed.
//!
//! First come, first served, so that a large share is not starved by small ones. Who waits does
//! so on a descriptor, because a connection has more to watch meanwhile: its client may hang up,
//! the server may stop.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::Event;

/// A quantity that is handed out in shares.
#[derive(Debug)]
pub(crate) struct Pool {
    total: u64,
    state: Mutex<State>,
}

/// What is left, and who waits for it. Nobody waits while the first in line could be served.
#[derive(Debug)]
struct State {
    free: u64,
    waiting: VecDeque<(u64, Arc<Event>)>,
}

/// Part of a [`Pool`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    pool: &'a Pool,
    amount: u64,
}

/// Why there is no share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoShare<E> {
    /// More than the whole pool.
    NeverFits,
    /// Waiting ended early.
    GaveUp(E),
}

impl Pool {
    pub(crate) fn new(total: u64) -> Self {
        Self {
            total,
            state: Mutex::new(State {
                free: total,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Takes a share now or not at all.
    pub(crate) fn try_take(&self, amount: u64) -> Option<Share<'_>> {
        let mut state = self.lock();
        if !state.waiting.is_empty() || state.free < amount {
            return None;
        }
        state.free -= amount;
        Some(Share { pool: self, amount })
    }

    /// Takes a share, after everybody who asked before. `wait` is called if there is a need to
    /// wait, and returns `Ok` once its descriptor is readable.
    pub(crate) fn take<E>(
        &self,
        amount: u64,
        wait: impl FnOnce(BorrowedFd<'_>) -> Result<(), E>,
        no_event: impl FnOnce(std::io::Error) -> E,
    ) -> Result<Share<'_>, NoShare<E>> {
        if amount > self.total {
            return Err(NoShare::NeverFits);
        }
        if let Some(share) = self.try_take(amount) {
            return Ok(share);
        }
        let turn = Arc::new(Event::new().map_err(|error| NoShare::GaveUp(no_event(error)))?);
        let mut state = self.lock();
        state.waiting.push_back((amount, Arc::clone(&turn)));
        // A share may have come back since the attempt above.
        state.serve();
        drop(state);
        let share = || Share { pool: self, amount };
        match wait(turn.as_fd()) {
            Ok(()) => Ok(share()),
            Err(error) => {
                if !self.leave(&turn) {
                    // Granted in the very moment of giving up: goes back at once.
                    drop(share());
                }
                Err(NoShare::GaveUp(error))
            }
        }
    }

    /// Leaves the line; false if the share was granted already.
    fn leave(&self, turn: &Arc<Event>) -> bool {
        let mut state = self.lock();
        let place = state
            .waiting
            .iter()
            .position(|(_, other)| Arc::ptr_eq(other, turn));
        if let Some(place) = place {
            state.waiting.remove(place);
            // The ones behind may fit where this one did not.
            state.serve();
        }
        place.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn serve(&mut self) {
        while let Some((amount, turn)) = self.waiting.front()
            && *amount <= self.free
        {
            self.free -= amount;
            turn.raise();
            self.waiting.pop_front();
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.free += self.amount;
        state.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes without ever having to wait.
    fn now(pool: &Pool, amount: u64) -> Result<Share<'_>, NoShare<&'static str>> {
        pool.take(amount, |_| Err("had to wait"), |_| "no event")
    }

    #[test]
    fn shares_come_back() {
        let pool = Pool::new(2);
        let one = now(&pool, 1).unwrap();
        let two = now(&pool, 1).unwrap();
        assert_eq!(now(&pool, 1).unwrap_err(), NoShare::GaveUp("had to wait"));
        drop(one);
        let three = now(&pool, 1).unwrap();
        drop((two, three));
        assert!(now(&pool, 2).is_ok());
        assert_eq!(now(&pool, 3).unwrap_err(), NoShare::NeverFits);
    }

    #[test]
    fn first_come_first_served() {
        let pool = Pool::new(4);
        let all = now(&pool, 4).unwrap();
        let (order, seen) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for amount in [4, 1, 1] {
                let waiting = pool.lock().waiting.len();
                let (pool, order) = (&pool, order.clone());
                scope.spawn(move || {
                    let share = pool.take(amount, wait, |_| ()).unwrap();
                    order.send(amount).unwrap();
                    drop(share);
                });
                while pool.lock().waiting.len() == waiting {
                    std::thread::yield_now();
                }
            }
            drop(all);
        });
        // The large one was first in line, and the small ones did not overtake it.
        assert_eq!(seen.try_iter().collect::<Vec<_>>()[0], 4);
        assert_eq!(pool.lock().free, 4);
    }

    #[test]
    fn leaving_the_line_lets_the_next_one_pass() {
        let pool = Pool::new(4);
        let half = now(&pool, 2).unwrap();
        let small = pool.take(
            4,
            |_| {
                // In line behind a share that cannot be had; now that one is given up.
                pool.lock()
                    .waiting
                    .push_back((1, Arc::new(Event::new().unwrap())));
                Err("gone")
            },
            |_| "no event",
        );
        assert_eq!(small.unwrap_err(), NoShare::GaveUp("gone"));
        assert!(pool.lock().waiting.is_empty());
        assert_eq!(pool.lock().free, 1);
        drop(half);
    }

    #[test]
    fn giving_up_in_the_moment_of_being_served_loses_nothing() {
        let pool = Pool::new(1);
        let mut one = Some(now(&pool, 1).unwrap());
        let late = pool.take(
            1,
            |_| {
                drop(one.take());
                Err("gone")
            },
            |_| "no event",
        );
        assert!(late.is_err());
        assert_eq!(pool.lock().free, 1);
    }

    fn wait(turn: BorrowedFd<'_>) -> Result<(), ()> {
        use rustix::event::{PollFd, PollFlags, poll};
        poll(&mut [PollFd::new(&turn, PollFlags::IN)], None).unwrap();
        Ok(())
    }
}
