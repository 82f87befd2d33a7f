//! One host: whether it runs actions, when it is asked again, and its connection.
//!
//! A host has to say once that it runs actions before it gets any. It is asked in the background, when the build begins,
//! and again after it was away: after a second first, then twice as long each time, a minute at most. One that speaks
//! something else (distcc 3.4 closes the connection) is not asked again in this build.
//!
//! One that takes the connection and says nothing is stopped, or is a server of 3.4 with all of its workers busy. Clients
//! that went there would say all that they have and then wait as long as they have patience, which is five minutes; so
//! they are told to leave it alone until it answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remote::{Order, Outcome, Trouble};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::listed::{Listed, Place};
use super::pace::Pace;
use super::slots::Slots;

/// How long a host that was away is left alone, the first time and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long one that has too much to do is left alone if it says nothing.
const BUSY: Duration = Duration::from_secs(1);
/// Nobody waits longer for one that says when to come again.
const LONGEST: Duration = Duration::from_secs(30);

/// A host that has been asked for this long may be stopped.
const SILENT: Duration = Duration::from_millis(500);
/// How often clients are told again to leave one alone: well within their usual back-off period of 60 s.
const RENEWED: Duration = Duration::from_secs(20);

/// How a host is reached.
pub trait Reach: Send + Sync + 'static {
    /// What is there.
    type Server: Runs;

    /// Connects, and asks what the server can do.
    fn connect(&self) -> impl Future<Output = Result<Self::Server, Trouble>> + Send;
}

/// A connection to a server.
pub trait Runs: Send + Sync + 'static {
    /// Runs an action, or finds its result.
    fn run(&self, order: &Order) -> impl Future<Output = Result<Outcome, Trouble>> + Send;

    /// Whether anybody answers.
    fn is_there(&self) -> impl Future<Output = bool> + Send;

    /// Whether it runs actions, or else knows results only.
    fn executes(&self) -> bool;
}

pub(super) struct Host<W: Reach> {
    /// As in the host list.
    pub(super) name: String,
    pub(super) slots: Slots,
    /// None if only clients use it.
    way: Option<W>,
    /// By its name: then users want to know if it is away.
    pub(super) is_engine: bool,
    state: Mutex<State>,
    connection: AsyncMutex<Option<Arc<W::Server>>>,
}

#[derive(Debug, Default)]
struct State {
    runs: Running,
    /// It is left alone until then.
    not_before: Option<Instant>,
    /// Why.
    trouble: Option<Trouble>,
    /// How often it was away, one time after the other.
    failures: u32,
    pace: Pace,
    /// When it was asked last whether it runs actions.
    asked: Option<Instant>,
    /// When clients were told last to leave it alone. None once it answers.
    spared: Option<Instant>,
}

/// Whether it runs actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Running {
    #[default]
    Unknown,
    /// Somebody asks.
    Asked,
    Yes,
    No,
}

/// A host for the next action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes actions.
    Ready,
    /// It has too much to do until then.
    Busy(Instant),
    /// Nobody knows yet.
    Unasked,
    /// It is away, or runs no actions.
    Not,
}

impl<W: Reach> Host<W> {
    pub(super) fn new(listed: Listed<W>) -> Self {
        let is_engine = matches!(listed.place, Place::Engine(_));
        Self {
            name: listed.name,
            slots: listed.slots,
            way: match listed.place {
                Place::Engine(way) | Place::Server(way) => Some(way),
                Place::Clients => None,
            },
            is_engine,
            state: Mutex::default(),
            connection: AsyncMutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let state = self.lock();
        match (state.runs, state.not_before.filter(|time| *time > now)) {
            _ if self.way.is_none() => Standing::Not,
            (Running::Yes, None) => Standing::Ready,
            (Running::Yes, Some(time)) => Standing::Busy(time),
            (Running::Unknown | Running::Asked, None) => Standing::Unasked,
            (Running::Unknown | Running::Asked, Some(_)) | (Running::No, _) => Standing::Not,
        }
    }

    /// Whether nobody will ever run an action there in this build.
    pub(super) fn is_for_clients(&self) -> bool {
        self.way.is_none() || self.lock().runs == Running::No
    }

    /// What was wrong the last time.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.lock();
        state.trouble.as_ref().map(Trouble::to_string)
    }

    pub(super) fn typical(&self) -> Option<Duration> {
        self.lock().pace.typical()
    }

    /// Whether the caller is the one to ask it now.
    pub(super) fn is_to_be_asked(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let is_due = state.not_before.is_none_or(|time| time <= now);
        let is_to_be = self.way.is_some() && state.runs == Running::Unknown && is_due;
        if is_to_be {
            state.runs = Running::Asked;
            state.asked = Some(now);
        }
        is_to_be
    }

    /// Asks it.
    pub(super) async fn ask(&self) {
        let Some(way) = &self.way else { return };
        let mut connection = self.connection.lock().await;
        match way.connect().await {
            // What only knows results would be asked for nothing by most compiles; an engine is the user's choice.
            Ok(server) if server.executes() || self.is_engine => {
                *connection = Some(Arc::new(server));
                drop(connection);
                let mut state = self.lock();
                state.runs = Running::Yes;
                state.spared = None;
                // Clients may have been told to leave it alone, or have found out what it was like.
                self.slots.clear_backoff();
            }
            Ok(_) => self.does_not_run(Trouble::CacheOnly),
            // An engine's name says what it is, so that is no more than trouble.
            Err(trouble) if self.is_engine || matches!(trouble, Trouble::Away(_)) => {
                self.lock().is_away(trouble, Instant::now());
            }
            Err(trouble) => self.does_not_run(trouble),
        }
    }

    fn does_not_run(&self, why: Trouble) {
        let mut state = self.lock();
        state.runs = Running::No;
        state.trouble = Some(why);
        // It answers, so clients may go there, unless they know better.
        if state.spared.take().is_some() {
            self.slots.clear_backoff();
        }
    }

    /// Has clients leave it alone if it was asked what it is, and has said nothing for a while or since it fell silent.
    pub(super) fn spare_if_silent(&self, now: Instant) {
        let mut state = self.lock();
        let since = |time: Option<Instant>| time.map(|time| now.saturating_duration_since(time));
        let is_silent = match state.spared {
            Some(_) => since(state.spared) >= Some(RENEWED),
            None => state.runs == Running::Asked && since(state.asked) >= Some(SILENT),
        };
        if is_silent {
            state.spared = Some(now);
            // Under the lock: it may answer at this moment, and then the mark has to go after it has come.
            self.slots.back_off();
        }
    }

    /// Runs an action there.
    pub(super) async fn run(&self, order: &Order) -> Result<Outcome, Trouble> {
        let server = self.connection.lock().await.clone();
        let gone = || Trouble::Away("the connection was closed".to_owned());
        let server = server.ok_or_else(gone)?;
        let started = Instant::now();
        let outcome = server.run(order).await?;
        let mut state = self.lock();
        state.failures = 0;
        if !outcome.cached {
            state.pace.note(started.elapsed());
        }
        Ok(outcome)
    }

    /// Whether anybody answers there within this time.
    pub(super) async fn is_there(&self, patience: Duration) -> bool {
        let asked = async {
            let server = self.connection.lock().await.clone();
            match server {
                Some(server) => server.is_there().await,
                None => false,
            }
        };
        tokio::time::timeout(patience, asked).await.unwrap_or(false)
    }

    /// Leaves it alone for a while, if that is what an action's trouble asks for.
    pub(super) fn failed(&self, trouble: Trouble, now: Instant) {
        let mut state = self.lock();
        match &trouble {
            Trouble::Away(_) | Trouble::Foreign(_) | Trouble::Forgetful(_) => {
                state.is_away(trouble, now);
            }
            Trouble::Busy { again, .. } => {
                state.not_before = Some(now + again.unwrap_or(BUSY).min(LONGEST));
                state.trouble = Some(trouble);
            }
            _ => {} // The action's.
        }
    }

    /// Leaves it alone, and has clients do so, too: somebody holds its connections open, and says nothing.
    pub(super) fn is_silent(&self, now: Instant) {
        let trouble = Trouble::Away("it says nothing any more".to_owned());
        let mut state = self.lock();
        state.is_away(trouble, now);
        state.spared = Some(now);
        self.slots.back_off();
    }
}

impl State {
    fn is_away(&mut self, trouble: Trouble, now: Instant) {
        if self.runs == Running::Unknown && self.not_before.is_some_and(|time| time > now) {
            return; // Several actions were there.
        }
        let pause = PAUSE.0.saturating_mul(1 << self.failures.min(16));
        self.runs = Running::Unknown;
        self.not_before = Some(now + pause.min(PAUSE.1));
        self.failures += 1;
        self.trouble = Some(trouble);
    }
}
