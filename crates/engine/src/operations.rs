//! What is being run, and who waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use action::Digest;
use action::messages::{ExecuteResponse, execution_stage};
use tokio::sync::watch;

use crate::engine::Stop;

/// How long a job goes on, and its result is kept, when nobody waits any more: a client whose connection broke may
/// come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where an operation is.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// At this stage.
    At(execution_stage::Value),
    /// Over.
    Over(Arc<ExecuteResponse>),
}

/// A running action.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) action: Digest,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) stop: Stop,
    /// How many wait for it. Receivers tell less: of two that leave at the same moment each may see the other's.
    waiting: AtomicUsize,
}

/// All operations, by name, and those that others may join by their action.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    state: Arc<Mutex<State>>,
    names: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    by_name: HashMap<String, Arc<Operation>>,
    by_action: HashMap<Digest, Arc<Operation>>,
}

/// Somebody who waits. When the last one of an operation is gone, it is stopped, a little later.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) operation: Arc<Operation>,
    pub(crate) progress: watch::Receiver<Progress>,
    state: Arc<Mutex<State>>,
}

impl Operations {
    /// Joins the operation that runs this action already, or makes one; the flag tells that it is new.
    pub(crate) fn enter(&self, action: Digest, may_share: bool) -> (Waiting, bool) {
        let mut state = lock(&self.state);
        if let Some(operation) = state.by_action.get(&action).filter(|_| may_share) {
            return (self.wait(Arc::clone(operation)), false);
        }
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let operation = Arc::new(Operation {
            // As hard to guess as the action by who does not know it.
            name: format!("{}-{number}", &action.hex()[..16]),
            action,
            progress: watch::Sender::new(Progress::At(execution_stage::Value::Queued)),
            stop: Stop::default(),
            waiting: AtomicUsize::new(0),
        });
        state
            .by_name
            .insert(operation.name.clone(), Arc::clone(&operation));
        if may_share {
            state.by_action.insert(action, Arc::clone(&operation));
        }
        (self.wait(operation), true)
    }

    /// Waits for an operation that was begun earlier.
    pub(crate) fn join(&self, name: &str) -> Option<Waiting> {
        let state = lock(&self.state);
        state
            .by_name
            .get(name)
            .map(|operation| self.wait(Arc::clone(operation)))
    }

    /// Under the lock.
    fn wait(&self, operation: Arc<Operation>) -> Waiting {
        operation.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting {
            progress: operation.progress.subscribe(),
            operation,
            state: Arc::clone(&self.state),
        }
    }

    /// Nobody joins it from now on: it is over, or is being stopped.
    pub(crate) fn close(&self, operation: &Arc<Operation>) {
        close(&mut lock(&self.state), operation);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn close(state: &mut State, operation: &Arc<Operation>) {
    let same = |there: &Arc<Operation>| Arc::ptr_eq(there, operation);
    if state.by_action.get(&operation.action).is_some_and(same) {
        state.by_action.remove(&operation.action);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.operation.waiting.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        let (operation, state) = (Arc::clone(&self.operation), Arc::clone(&self.state));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return; // The server ends.
        };
        runtime.spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let mut state = lock(&state);
            // Joined again meanwhile? Under the lock nobody can come in between.
            if operation.waiting.load(Ordering::SeqCst) == 0 {
                close(&mut state, &operation);
                state.by_name.remove(&operation.name);
                operation.stop.stop();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_leaves_last_ends_it_a_little_later() {
        let operations = Operations::default();
        let name = {
            let (first, is_new) = operations.enter(Digest::of(b"a"), true);
            let (_second, is_new_too) = operations.enter(Digest::of(b"a"), true);
            assert!(is_new && !is_new_too);
            first.operation.name.clone()
        };
        tokio::time::sleep(PATIENCE / 2).await;
        // Who comes back in time keeps it.
        let kept = operations.join(&name);
        assert!(kept.is_some());
        tokio::time::sleep(2 * PATIENCE).await;
        assert!(operations.join(&name).is_some());
        drop(kept);
        tokio::time::sleep(2 * PATIENCE).await;
        assert!(operations.join(&name).is_none());
    }

    #[test]
    fn of_all_who_leave_at_once_one_is_the_last() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let operations = Operations::default();
        let handle = runtime.handle().clone();
        for number in 0..500u32 {
            let digest = Digest::of(&number.to_le_bytes());
            let both = [(); 2].map(|()| operations.enter(digest, true).0);
            let begin = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                for waiting in both {
                    scope.spawn(|| {
                        let _within = handle.enter();
                        begin.wait();
                        drop(waiting);
                    });
                }
            });
        }
        runtime.block_on(async { tokio::time::sleep(2 * PATIENCE).await });
        assert!(lock(&operations.state).by_name.is_empty());
    }
}
