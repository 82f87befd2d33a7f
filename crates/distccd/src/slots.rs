//! Job slots: so many compilers run at a time, and clients take turns.
//!
//! A slot that gets free goes to the client with the fewest compilers running, and among equals to
//! the one that was served longest ago. So a client with a thousand jobs in line keeps another one
//! with a single job waiting for no longer than one compile. 3.4 serves whoever connected first.
//!
//! Who waits does so on a descriptor, because a connection has more to watch meanwhile.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::Event;
use crate::shares::Client;

/// The slots of a server.
#[derive(Debug)]
pub(crate) struct Slots(Mutex<State>);

/// Nobody waits while there is a free slot.
#[derive(Debug)]
struct State {
    free: u64,
    /// Only of clients with at least one.
    running: HashMap<Client, u64>,
    /// Clients with jobs in line, in the order in which they were served last, with their jobs.
    waiting: VecDeque<(Client, VecDeque<Arc<Event>>)>,
}

/// A slot, until dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    client: Client,
}

/// A slot that was granted, or a place in the line for one. Dropped, it is given back or left.
#[derive(Debug)]
pub(crate) struct Turn {
    slots: Arc<Slots>,
    client: Client,
    /// Readable once the slot is granted; none if it was so at once.
    event: Option<Arc<Event>>,
    /// Nothing is to be given back any more.
    is_over: bool,
}

impl Slots {
    pub(crate) fn new(count: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: count,
            running: HashMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    /// Takes a slot when it is the client's turn. `wait` is called if there is a need to wait, and
    /// returns `Ok` once its descriptor is readable.
    pub(crate) fn take<E>(
        self: &Arc<Self>,
        client: Client,
        wait: impl FnOnce(BorrowedFd<'_>) -> Result<(), E>,
        no_event: impl FnOnce(io::Error) -> E,
    ) -> Result<Slot, E> {
        let turn = self.stand_in_line(client).map_err(no_event)?;
        if let Some(event) = &turn.event {
            wait(event.as_fd())?;
        }
        Ok(turn.into_slot())
    }

    /// Takes a slot if one is free, and a place in the line if not.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(crate) fn stand_in_line(self: &Arc<Self>, client: Client) -> io::Result<Turn> {
        let turn = |event| Turn {
            slots: Arc::clone(self),
            client,
            event,
            is_over: false,
        };
        {
            let mut state = self.lock();
            if state.free > 0 {
                state.start(client);
                return Ok(turn(None));
            }
        }
        let event = Arc::new(Event::new()?);
        let mut state = self.lock();
        state.queue(client, Arc::clone(&event));
        // A slot may have come back since the attempt above.
        state.serve();
        drop(state);
        Ok(turn(Some(event)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before it could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn start(&mut self, client: Client) {
        self.free -= 1;
        *self.running.entry(client).or_default() += 1;
    }

    fn queue(&mut self, client: Client, turn: Arc<Event>) {
        match self.waiting.iter_mut().find(|(other, _)| *other == client) {
            Some((_, jobs)) => jobs.push_back(turn),
            None => self.waiting.push_back((client, [turn].into())),
        }
    }

    /// Gives free slots to those whose turn it is.
    fn serve(&mut self) {
        while self.free > 0 {
            let running = |client| self.running.get(client).copied().unwrap_or(0);
            let clients = self.waiting.iter().enumerate();
            let next = clients.min_by_key(|(_, (client, _))| running(client));
            let Some((client, mut jobs)) = next
                .map(|(place, _)| place)
                .and_then(|place| self.waiting.remove(place))
            else {
                return;
            };
            if let Some(turn) = jobs.pop_front() {
                self.start(client);
                turn.raise();
            }
            if !jobs.is_empty() {
                self.waiting.push_back((client, jobs));
            }
        }
    }

    /// Takes a slot back.
    fn end(&mut self, client: Client) {
        self.free += 1;
        if let Some(running) = self.running.get_mut(&client) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&client);
            }
        }
        self.serve();
    }

    /// Leaves the line; false if the slot was granted already.
    fn leave(&mut self, client: Client, turn: &Arc<Event>) -> bool {
        let Some(place) = self.waiting.iter().position(|(other, _)| *other == client) else {
            return false;
        };
        let jobs = &mut self.waiting[place].1;
        let Some(job) = jobs.iter().position(|job| Arc::ptr_eq(job, turn)) else {
            return false;
        };
        jobs.remove(job);
        if jobs.is_empty() {
            self.waiting.remove(place);
        }
        true
    }
}

impl Turn {
    /// What to wait for, if there is a need to.
    pub(crate) fn event(&self) -> Option<BorrowedFd<'_>> {
        self.event.as_ref().map(|event| event.as_fd())
    }

    /// The slot; to be called when there is nothing to wait for any more.
    pub(crate) fn into_slot(mut self) -> Slot {
        self.is_over = true;
        Slot {
            slots: Arc::clone(&self.slots),
            client: self.client,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.slots.lock();
        let left = self.event.as_ref();
        if !left.is_some_and(|event| state.leave(self.client, event)) {
            // Granted in the very moment of giving up: goes back at once.
            state.end(self.client);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().end(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const A: Client = Client::V4([10, 0, 0, 1]);
    const B: Client = Client::V4([10, 0, 0, 2]);
    const C: Client = Client::Local;

    fn now(slots: &Arc<Slots>, client: Client) -> Result<Slot, &'static str> {
        slots.take(client, |_| Err("had to wait"), |_| "no event")
    }

    fn in_line(slots: &Slots) -> usize {
        let state = slots.lock();
        state.waiting.iter().map(|(_, jobs)| jobs.len()).sum()
    }

    #[test]
    fn slots_come_back() {
        let slots = Slots::new(2);
        let one = now(&slots, A).unwrap();
        let two = now(&slots, B).unwrap();
        assert_eq!(now(&slots, A).unwrap_err(), "had to wait");
        assert_eq!(in_line(&slots), 0);
        drop(one);
        let three = now(&slots, C).unwrap();
        drop((two, three));
        assert_eq!(slots.lock().free, 2);
        assert!(slots.lock().running.is_empty());
    }

    /// Who gets the slots, if these clients come in this order while `held` are taken.
    fn check(count: u64, held: &[Client], come: &[Client], expected: &[Client]) {
        let slots = Slots::new(count);
        let mut held: Vec<_> = held.iter().map(|&client| now(&slots, client)).collect();
        let (served, order) = mpsc::channel();
        std::thread::scope(|scope| {
            for (number, &client) in come.iter().enumerate() {
                let (slots, served) = (&slots, served.clone());
                scope.spawn(move || {
                    let slot = slots.take(client, wait, |_| ()).unwrap();
                    served.send(client).unwrap();
                    drop(slot);
                });
                while in_line(slots) <= number {
                    std::thread::yield_now();
                }
            }
            drop(held.pop());
            drop(served);
        });
        assert_eq!(order.iter().collect::<Vec<_>>(), expected);
        drop(held);
        assert_eq!(slots.lock().free, count);
    }

    #[test]
    fn clients_take_turns() {
        check(1, &[A], &[A, A, A, B, C], &[A, B, C, A, A]);
    }

    #[test]
    fn who_has_more_slots_waits_longer() {
        check(2, &[A, B], &[A, A, B, C], &[B, C, A, A]);
    }

    #[test]
    fn giving_up_in_the_moment_of_being_served_loses_nothing() {
        let slots = Slots::new(1);
        let mut one = Some(now(&slots, A).unwrap());
        let late = slots.take(
            B,
            |_| {
                drop(one.take());
                Err("gone")
            },
            |_| "no event",
        );
        assert_eq!(late.unwrap_err(), "gone");
        assert_eq!(slots.lock().free, 1);
        assert!(slots.lock().running.is_empty());
    }

    fn wait(turn: BorrowedFd<'_>) -> Result<(), ()> {
        use rustix::event::{PollFd, PollFlags, poll};
        poll(&mut [PollFd::new(&turn, PollFlags::IN)], None).unwrap();
        Ok(())
    }
}
