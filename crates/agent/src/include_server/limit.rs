//! At most so many at once: connections, compilers.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A number of places; threads wait until one is free.
#[derive(Debug)]
pub(crate) struct Limit {
    places: usize,
    /// Places in use. Nothing else is done under this lock, so it cannot be left broken.
    taken: Mutex<usize>,
    freed: Condvar,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Limit);

impl Limit {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places,
            taken: Mutex::new(0),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place.
    pub(crate) fn take(&self) -> Place<'_> {
        let mut taken = self.taken();
        while *taken >= self.places {
            taken = self
                .freed
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Place(self)
    }

    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.taken() -= 1;
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_place_is_waited_for() {
        let limit = Limit::new(1);
        let (tell, told) = mpsc::channel();
        let first = limit.take();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _second = limit.take();
                tell.send(()).unwrap();
            });
            assert!(told.recv_timeout(Duration::from_millis(10)).is_err());
            drop(first);
            told.recv().unwrap();
        });
        drop(limit.take());
    }
}
