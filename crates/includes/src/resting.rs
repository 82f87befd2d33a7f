//! Workers at rest, between answers. Each thread has its own place here, so that threads that ask at once do not wait
//! for each other: an answer that is known takes less time than to wait once.

#![allow(
    clippy::vec_box,
    reason = "a worker has more than a kilobyte, and each answer would move it twice"
)]

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::command_line::options::Command;
use crate::locks::lock;
use crate::worker::Worker;

/// Places. More threads than these share them.
const PLACES: usize = 16;

/// The number of a thread, never given twice.
pub(crate) fn number_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// One place, on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Place(Mutex<Vec<Box<Worker>>>);

/// Workers that do not answer now.
#[derive(Default)]
pub(crate) struct Resting([Place; PLACES]);

impl Resting {
    fn place(&self, thread: usize) -> MutexGuard<'_, Vec<Box<Worker>>> {
        lock(&self.0[thread % PLACES].0)
    }

    /// The worker that this thread had before: what it knows is in the processor's cache. Otherwise one that knows the
    /// answer to `command`, or any.
    pub(crate) fn take(&self, thread: usize, command: Option<&Command>) -> Option<Box<Worker>> {
        self.take_where(thread, |worker| worker.thread == thread)
            .or_else(|| {
                let command = command?;
                // Another thread may have taken ours, and one that knows the answer need not be asked twice.
                let knows = |worker: &Worker| worker.answers.find(command).is_some();
                (0..PLACES).find_map(|place| self.take_where(place, knows))
            })
            .or_else(|| (0..PLACES).find_map(|place| self.place(place).pop()))
    }

    fn take_where(&self, place: usize, wanted: impl Fn(&Worker) -> bool) -> Option<Box<Worker>> {
        let mut workers = self.place(place);
        let at = workers.iter().position(|worker| wanted(worker))?;
        Some(workers.swap_remove(at))
    }

    /// Puts a worker to rest at the place of its thread.
    pub(crate) fn put(&self, worker: Box<Worker>) {
        self.place(worker.thread).push(worker);
    }

    /// All of them, which rest here no longer.
    pub(crate) fn take_all(&self) -> Vec<Box<Worker>> {
        let places = 0..PLACES;
        places
            .flat_map(|place| std::mem::take(&mut *self.place(place)))
            .collect()
    }

    /// Looks at each of them.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&Worker)) {
        for place in 0..PLACES {
            self.place(place).iter().for_each(|worker| look(worker));
        }
    }
}
