//! Notices an input that does not come to an end.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Far more than any input takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct State {
    input: Vec<u8>,
    inputs: u64,
    over: bool,
}

impl Watch {
    pub(crate) fn start(name: &'static str) -> Self {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || watched.watch(name));
        Self(shared)
    }

    /// Another input begins.
    pub(crate) fn begin(&self, input: &[u8]) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.input.clear();
        state.input.extend_from_slice(input);
        state.inputs += 1;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        self.0.over.notify_all();
    }
}

impl Shared {
    fn watch(&self, name: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let before = state.inputs;
            let waited = self
                .over
                .wait_timeout_while(state, PATIENCE, |state| !state.over);
            let (now, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if !waited.timed_out() {
                return;
            }
            if state.inputs == before {
                end(name, &state.input);
            }
        }
    }
}

/// The thread that hangs cannot be ended alone.
#[expect(clippy::print_stderr, reason = "there is no other way left to say it")]
fn end(name: &str, input: &[u8]) -> ! {
    eprintln!(
        "{name}: no end with the input b\"{}\"",
        input.escape_ascii()
    );
    std::process::abort();
}
