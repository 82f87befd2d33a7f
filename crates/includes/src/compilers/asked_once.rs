//! Answers that several threads want: the first to come asks, the others wait for what it learns.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex};

use crate::locks::lock;

/// Answers by their questions. A failure is told to those who waited for it, and not kept.
pub(crate) struct AskedOnce<K, V, E> {
    entries: Mutex<HashMap<K, Arc<Entry<V, E>>>>,
}

struct Entry<V, E> {
    state: Mutex<State<V, E>>,
    settled: Condvar,
}

enum State<V, E> {
    /// Somebody asks.
    Open,
    Answered(Result<V, E>),
    /// Whoever asked panicked.
    Abandoned,
}

/// What a thread has to do.
enum Turn<V, E> {
    Ask(Arc<Entry<V, E>>),
    Wait(Arc<Entry<V, E>>),
}

impl<K, V, E> Default for AskedOnce<K, V, E> {
    fn default() -> Self {
        AskedOnce {
            entries: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone, E: Clone> AskedOnce<K, V, E> {
    /// The answer: the one that is known, if it is current; otherwise what `ask` learns, here or in another thread.
    /// Both get `state`.
    pub(crate) fn answer<S>(
        &self,
        key: &K,
        state: &mut S,
        is_current: impl Fn(&mut S, &V) -> bool,
        ask: impl FnOnce(&mut S) -> Result<V, E>,
    ) -> Result<V, E> {
        let mut outdated = None;
        loop {
            match self.turn(key, outdated.as_ref()) {
                Turn::Ask(entry) => {
                    let duty = Duty {
                        all: self,
                        key,
                        entry,
                    };
                    return duty.fulfil(ask(state));
                }
                Turn::Wait(entry) => match entry.wait() {
                    Some(Ok(value)) if is_current(state, &value) => return Ok(value),
                    Some(Err(error)) => return Err(error),
                    _ => outdated = Some(entry),
                },
            }
        }
    }

    /// Whether somebody has asked, or asks now.
    pub(crate) fn is_asked(&self, key: &K) -> bool {
        lock(&self.entries).contains_key(key)
    }

    /// The answers that are there.
    pub(crate) fn answers(&self) -> Vec<V> {
        let entries: Vec<_> = lock(&self.entries).values().cloned().collect();
        let known = entries
            .iter()
            .filter_map(|entry| match &*lock(&entry.state) {
                State::Answered(Ok(value)) => Some(value.clone()),
                _ => None,
            });
        known.collect()
    }

    fn turn(&self, key: &K, outdated: Option<&Arc<Entry<V, E>>>) -> Turn<V, E> {
        let mut entries = lock(&self.entries);
        match entries.get(key) {
            Some(entry) if outdated.is_none_or(|old| !Arc::ptr_eq(old, entry)) => {
                Turn::Wait(Arc::clone(entry))
            }
            _ => {
                let entry = Arc::new(Entry {
                    state: Mutex::new(State::Open),
                    settled: Condvar::new(),
                });
                entries.insert(key.clone(), Arc::clone(&entry));
                Turn::Ask(entry)
            }
        }
    }

    fn settle(&self, key: &K, entry: &Arc<Entry<V, E>>, state: State<V, E>) {
        if !matches!(state, State::Answered(Ok(_))) {
            let mut entries = lock(&self.entries);
            if entries
                .get(key)
                .is_some_and(|known| Arc::ptr_eq(known, entry))
            {
                entries.remove(key);
            }
        }
        *lock(&entry.state) = state;
        entry.settled.notify_all();
    }
}

impl<V: Clone, E: Clone> Entry<V, E> {
    /// Waits for the answer; `None`: there will be none.
    fn wait(&self) -> Option<Result<V, E>> {
        let mut state = lock(&self.state);
        loop {
            match &*state {
                State::Open => {
                    let woken = self.settled.wait(state);
                    state = woken.unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                State::Answered(result) => return Some(result.clone()),
                State::Abandoned => return None,
            }
        }
    }
}

/// That of the thread that asks: others wait for it, so it must settle the matter even if it panics.
struct Duty<'a, K: Eq + Hash + Clone, V: Clone, E: Clone> {
    all: &'a AskedOnce<K, V, E>,
    key: &'a K,
    entry: Arc<Entry<V, E>>,
}

impl<K: Eq + Hash + Clone, V: Clone, E: Clone> Duty<'_, K, V, E> {
    fn fulfil(self, result: Result<V, E>) -> Result<V, E> {
        let state = State::Answered(result.clone());
        self.all.settle(self.key, &self.entry, state);
        result
    }
}

impl<K: Eq + Hash + Clone, V: Clone, E: Clone> Drop for Duty<'_, K, V, E> {
    fn drop(&mut self) {
        let is_open = matches!(*lock(&self.entry.state), State::Open);
        if is_open {
            self.all.settle(self.key, &self.entry, State::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    type Answers = AskedOnce<&'static str, usize, &'static str>;

    #[test]
    fn threads_that_want_the_same_answer_ask_once() {
        let (answers, asked, start) = (Answers::default(), AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let got = answers.answer(
                        &"key",
                        &mut (),
                        |(), _| true,
                        |()| Ok(asked.fetch_add(1, Ordering::SeqCst)),
                    );
                    assert_eq!(got, Ok(0));
                });
            }
        });
        assert_eq!(asked.into_inner(), 1);
        assert_eq!(answers.answers(), [0]);
    }

    #[test]
    fn an_outdated_answer_is_asked_again_once() {
        let answers = Answers::default();
        let want = |current: usize| {
            answers.answer(
                &"key",
                &mut current.clone(),
                |current, known| known == current,
                |current| Ok(*current),
            )
        };
        assert_eq!(want(1), Ok(1));
        assert_eq!(want(2), Ok(2));
        assert_eq!(answers.answers(), [2]);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let answers = Answers::default();
        let want = |result| answers.answer(&"key", &mut (), |(), _| true, |()| result);
        assert_eq!(want(Err("no")), Err("no"));
        assert!(!answers.is_asked(&"key"));
        assert_eq!(want(Ok(1)), Ok(1));
        assert!(answers.is_asked(&"key"));
    }

    #[test]
    fn a_panic_leaves_the_question_to_those_who_wait() {
        let (answers, both) = (Answers::default(), Barrier::new(2));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                answers.answer(
                    &"key",
                    &mut (),
                    |(), _| true,
                    |()| {
                        both.wait();
                        panic!("on purpose")
                    },
                )
            });
            both.wait();
            let second = answers.answer(&"key", &mut (), |(), _| true, |()| Ok(2));
            assert_eq!(second, Ok(2));
            assert!(first.join().is_err());
        });
    }
}
