//! Which server runs an action.
//!
//! 1. **Who runs actions.** Engines (`grpc://`) by their names. Any other host is asked when the build begins, in the
//!    background, and is used once it has said so (`host`); the first actions wait for that, but not long, and clients
//!    leave those alone that have said nothing by then. What clients
//!    do by themselves (this machine, servers of 3.4) is theirs: an action is handed back when all servers are full and
//!    there is a free slot among those.
//! 2. **How many at once.** As many as the host list says, counted in the files in which clients count (`slots`). A host on
//!    which actions take more than twice as long as on the fastest one gets so many times fewer, but one at least
//!    (`pace`): that is measured from sending to result, so waiting for others' jobs there counts, too.
//! 3. **Which one.** That with the smallest part of what it may have taken; where they are equal, the first in the list,
//!    which `--randomize` has shuffled once for the build.
//! 4. **Trouble.** Who is away is asked again in the background, with growing pauses; its action goes to the next. Who
//!    has too much to do is left alone for as long as it asks for, but no action waits a minute for such. What a server
//!    refuses is the action's own affair, and runs where it was called.
//! 5. **Stragglers.** An action that takes ten times as long as is usual, and five seconds, is sent to another server as
//!    well if one has room; the first result counts. If none has, its server is asked whether it is still there, and one
//!    that says nothing is left alone: then the compile goes elsewhere, here in the end.
//! 6. **Races.** What takes long elsewhere is begun here, too, where this machine has nothing else to do, and where servers
//!    are no help, compiles begin here (`here`, `race`).
//!
//! Nothing is ever lost by all this: a client that gets no result goes on by itself.

mod here;
mod host;
mod listed;
mod pace;
mod race;
mod shown;
mod slots;

use std::ffi::OsStr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use remote::{Order, Outcome, Trouble};
use tokio::sync::Notify;
use tokio::time::Instant;

use here::{Here, Job, Racing};
use host::{Host, Reach, Standing};
use listed::{Listed, Way};
pub use listed::{Surroundings, ssh_words};
pub use race::{Client, End};
pub use shown::Shown;
use slots::Slots;
use statedir::StateDir;

/// For hosts to say whether they run actions, while the first compiles wait.
const FIRST: Duration = Duration::from_secs(1);
/// The same where there are engines only, and nothing else to do.
const FIRST_OF_ENGINES: Duration = Duration::from_secs(10);
/// How often slots that others may give back are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often a late compile looks whether this machine has time for it, and any other whether it is late by now.
const LOOK_HERE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Whose action was told to wait for this long by one server after the other goes on without them.
const ENOUGH: Duration = Duration::from_secs(60);
/// An action is late after this, and after so many times what is usual.
const LATE: (Duration, u32) = (Duration::from_secs(5), 10);
/// How late where nothing is usual yet.
const LATE_AT_FIRST: Duration = Duration::from_secs(10);
/// For a server with a late action to say that it is there.
const ANSWER: Duration = Duration::from_secs(5);

/// All hosts of a list.
pub struct Placement<W: Reach = Way> {
    hosts: Vec<Arc<Host<W>>>,
    /// So long the first actions wait to hear who runs any.
    first: Instant,
    /// Called when a place becomes free, or a host comes or goes.
    changed: Arc<Notify>,
    /// Called when something is known of a host. Not the same: a place that becomes free wakes one who waits for it.
    learned: Arc<Notify>,
    /// Clients may compile by themselves what nobody does for them.
    may_fall_back: bool,
    here: Here,
    /// For monitors.
    state: Option<StateDir>,
}

/// Why an action runs on no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// The engines that the user named are away, or refuse it.
    Away(String),
    /// Clients' own ways are better just now, or all there is.
    Pass(String),
}

/// A place on a server, until dropped.
struct Taken<W: Reach> {
    changed: Arc<Notify>,
    host: Arc<Host<W>>,
    slot: u32,
}

impl<W: Reach> Drop for Taken<W> {
    fn drop(&mut self) {
        self.host.slots.give_back(self.slot);
        self.changed.notify_one();
    }
}

/// Where the next action goes.
enum Choice<W: Reach> {
    Take(Taken<W>),
    /// All places are taken; until then another server is left alone, if any is.
    Full(Option<Instant>),
    /// All servers are left alone, the first until then.
    Until(Instant),
    /// Nobody has said yet whether it runs actions.
    Unknown,
    /// There is none.
    Nobody,
}

impl Placement {
    /// The hosts of a host list.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn of_list(list: &OsStr, around: &Surroundings) -> Result<Self, String> {
        let mut placement = Self::new(listed::read(list, around)?);
        placement.here = Here::new(listed::slots_here(list, around)?);
        placement.may_fall_back = around.may_fall_back;
        placement.state.clone_from(&around.state);
        Ok(placement)
    }
}

impl<W: Reach> Placement<W> {
    fn new(hosts: impl IntoIterator<Item = Listed<W>>) -> Self {
        let hosts = hosts.into_iter();
        let hosts: Vec<_> = hosts.map(|listed| Arc::new(Host::new(listed))).collect();
        let patience = match hosts.iter().all(|host| host.is_engine) {
            true => FIRST_OF_ENGINES,
            false => FIRST,
        };
        Self {
            hosts,
            first: Instant::now() + patience,
            changed: Arc::default(),
            learned: Arc::default(),
            may_fall_back: true,
            here: Here::with(Slots::new(1, None), 1),
            state: None,
        }
    }

    /// To be called for each compile, and kept until its end.
    fn job(&self, client: Option<Shown>) -> Job<'_> {
        Job::new(&self.here, client)
    }

    /// Waits until an action takes so long that its compile is to be begun here, too, and there is time for it here.
    async fn race(&self, job: &Job<'_>) -> Racing<'_> {
        let mut sent = job.sent();
        loop {
            let since = *sent.borrow_and_update();
            let Some(since) = since else {
                // The job has the sender, so this is no end.
                let _ = sent.changed().await;
                continue;
            };
            let typical = self.hosts.iter().filter_map(|host| host.typical());
            let due = since + self.here.late(typical.min(), self.late());
            let now = Instant::now();
            if now >= due
                && let Some(place) = self.here.place()
            {
                return place;
            }
            let look = match due.checked_duration_since(now) {
                Some(left) if !left.is_zero() => left.min(LOOK_HERE.1),
                _ => LOOK_HERE.0,
            };
            let _ = tokio::time::timeout(look, sent.changed()).await;
        }
    }

    /// Whether the list names engines, which need not be ours.
    pub fn has_engines(&self) -> bool {
        self.hosts.iter().any(|host| host.is_engine)
    }

    fn is_for_clients(&self) -> bool {
        self.hosts.iter().all(|host| host.is_for_clients())
    }

    /// Asks those hosts that are to be asked now, in the background. Within a runtime.
    pub fn ask(&self) {
        for host in &self.hosts {
            if host.is_to_be_asked(Instant::now()) {
                let host = Arc::clone(host);
                let to_tell = [&self.changed, &self.learned].map(Arc::clone);
                tokio::spawn(async move {
                    host.ask().await;
                    to_tell.iter().for_each(|all| all.notify_waiters());
                });
            }
        }
    }

    /// Waits until it is known whether any host runs actions, if that takes no longer than it is worth.
    ///
    /// # Errors
    /// None does; why.
    pub async fn prospect(&self) -> Result<(), NotRun> {
        self.ask();
        loop {
            let mut learned = pin!(self.learned.notified());
            // From now on, and not from when it is waited for.
            learned.as_mut().enable();
            let now = Instant::now();
            let standing = self.hosts.iter().map(|host| host.standing(now));
            let (mut ready, mut unasked) = (false, false);
            for standing in standing {
                ready |= matches!(standing, Standing::Ready | Standing::Busy(_));
                unasked |= standing == Standing::Unasked;
            }
            if ready {
                return Ok(());
            }
            if !unasked || now >= self.first {
                return Err(self.nobody());
            }
            let _ = tokio::time::timeout_at(self.first, learned).await;
        }
    }

    /// Waits until it is known that no action will ever run in this build.
    pub async fn until_for_clients(&self) {
        loop {
            let mut learned = pin!(self.learned.notified());
            learned.as_mut().enable();
            if self.is_for_clients() {
                return;
            }
            learned.await;
        }
    }

    /// Runs an action, and says where it ran. [`Self::prospect`] comes before.
    ///
    /// # Errors
    /// Why no server runs it.
    async fn run(&self, order: &Order, job: &Job<'_>) -> Result<(String, Outcome), NotRun> {
        let mut first_busy = None;
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            let wait = match self.choose(now, None) {
                Choice::Take(taken) => Ok(taken),
                Choice::Full(None) => Err(self.pause()),
                Choice::Full(Some(time)) | Choice::Until(time) => {
                    Err(self.pause().min(time.saturating_duration_since(now)))
                }
                Choice::Nobody | Choice::Unknown => return Err(self.nobody()),
            };
            let taken = match wait {
                Ok(taken) => taken,
                Err(wait) => {
                    if let Some(name) = self.free_for_clients() {
                        self.spare_silent_hosts();
                        return Err(NotRun::Pass(format!("{name} has time for it")));
                    }
                    let _ = tokio::time::timeout(wait, changed).await;
                    continue;
                }
            };
            job.is_sent(Some(now));
            let (host, slot) = (Arc::clone(&taken.host), taken.slot);
            let showing = shown::show(self.state.as_ref(), job.client(), &host.name, slot);
            let ran = tokio::select! {
                ran = self.attempt(taken, order) => ran,
                never = showing => match never {},
            };
            let (host, trouble) = match ran {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            job.is_sent(None);
            let said = format!("{}: {trouble}", host.name);
            let is_passing = match &trouble {
                Trouble::Away(_) | Trouble::Foreign(_) | Trouble::Forgetful(_) => true,
                Trouble::Busy { .. } => {
                    first_busy.get_or_insert_with(Instant::now).elapsed() < ENOUGH
                }
                _ => false,
            };
            host.failed(trouble, Instant::now());
            // None of those who wait for a place will get this one's.
            self.changed.notify_waiters();
            if !is_passing {
                return Err(NotRun::Away(said));
            }
        }
    }

    /// How long to wait for news at most.
    fn pause(&self) -> Duration {
        match self.hosts.iter().any(|host| host.slots.are_shared()) {
            true => LOOK,
            false => ENOUGH,
        }
    }

    /// Runs an action on a server, and on another one, too, if it takes long; the host that failed last comes with its
    /// trouble.
    async fn attempt(
        &self,
        first: Taken<W>,
        order: &Order,
    ) -> Result<(String, Outcome), (Arc<Host<W>>, Trouble)> {
        let one = Arc::clone(&first.host);
        let mut running = pin!(on(first, order));
        let mut second = loop {
            tokio::select! {
                done = &mut running => return done,
                () = tokio::time::sleep(self.late()) => {}
            }
            if let Choice::Take(taken) = self.choose(Instant::now(), Some(&one)) {
                break Box::pin(on(taken, order));
            }
            let is_there = tokio::select! {
                done = &mut running => return done,
                is_there = one.is_there(ANSWER) => is_there,
            };
            if !is_there {
                one.is_silent(Instant::now());
                let gone = Trouble::Away("it says nothing any more".to_owned());
                return Err((one, gone));
            }
        };
        // Both count: one that fails has failed, whatever becomes of the other.
        let note = |(host, trouble): (Arc<Host<W>>, Trouble)| host.failed(trouble, Instant::now());
        tokio::select! {
            done = &mut running => match done {
                Ok(done) => Ok(done),
                Err(failed) => {
                    note(failed);
                    second.await
                }
            },
            done = &mut second => match done {
                Ok(done) => Ok(done),
                Err(failed) => {
                    note(failed);
                    running.await
                }
            },
        }
    }

    /// When an action is late that begins now.
    fn late(&self) -> Duration {
        let typical = self.hosts.iter().filter_map(|host| host.typical()).max();
        typical.map_or(LATE_AT_FIRST, |typical| (typical * LATE.1).max(LATE.0))
    }

    /// The server for an action that is not to go to `other`.
    fn choose(&self, now: Instant, other: Option<&Arc<Host<W>>>) -> Choice<W> {
        let mut ready: Vec<(f64, &Arc<Host<W>>)> = Vec::new();
        let (mut full, mut unasked) = (false, false);
        let mut first: Option<Instant> = None;
        let best = self.hosts.iter().filter_map(|host| host.typical()).min();
        for host in &self.hosts {
            if other.is_some_and(|other| Arc::ptr_eq(other, host)) {
                continue;
            }
            match host.standing(now) {
                Standing::Ready => {
                    let allowed = pace::allowed(host.slots.count(), host.typical(), best);
                    let part = f64::from(host.slots.taken()) / f64::from(allowed);
                    match part < 1.0 {
                        true => ready.push((part, host)),
                        false => full = true,
                    }
                }
                Standing::Busy(time) => first = Some(first.map_or(time, |first| first.min(time))),
                Standing::Unasked => unasked = true,
                Standing::Not => {}
            }
        }
        // Stable: equal ones stay in the list's order.
        ready.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        for (_, host) in ready {
            if let Some(slot) = host.slots.take() {
                return Choice::Take(Taken {
                    changed: Arc::clone(&self.changed),
                    host: Arc::clone(host),
                    slot,
                });
            }
            full = true; // Others have them.
        }
        match (full, first, unasked) {
            (true, first, _) => Choice::Full(first),
            (_, Some(time), _) => Choice::Until(time),
            (.., true) => Choice::Unknown,
            _ => Choice::Nobody,
        }
    }

    /// A host that only clients use, and that has a free slot.
    fn free_for_clients(&self) -> Option<&str> {
        let mut theirs = self.hosts.iter().filter(|host| host.is_for_clients());
        let free = theirs.find(|host| host.slots.has_free());
        free.map(|host| &*host.name)
    }

    /// To be called before a client goes on by itself: it shall not meet a host that takes its connection and is silent.
    /// Where clients must not compile by themselves they rather wait for such, as with 3.4, than fail.
    fn spare_silent_hosts(&self) {
        if self.may_fall_back {
            let now = Instant::now();
            self.hosts.iter().for_each(|host| host.spare_if_silent(now));
        }
    }

    fn nobody(&self) -> NotRun {
        self.spare_silent_hosts();
        let whys = |engines: bool| {
            let hosts = self.hosts.iter().filter(|host| host.is_engine == engines);
            let whys = hosts.filter_map(|host| Some(format!("{}: {}", host.name, host.trouble()?)));
            whys.collect::<Vec<_>>().join("; ")
        };
        // A client says by itself what is wrong with any other.
        match (whys(true), whys(false)) {
            (engines, _) if !engines.is_empty() => NotRun::Away(engines),
            (_, others) if !others.is_empty() => NotRun::Pass(others),
            _ => NotRun::Pass("no server has said yet that it runs actions".to_owned()),
        }
    }
}

/// What the hosts of a list say of themselves.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// One runs actions.
    Runs,
    /// None does.
    NoneRuns,
    /// None has said that it does, and these have not answered.
    NoAnswer(Vec<String>),
}

/// Whether any host of a list runs actions; waits for them to say so, but not for ever.
#[must_use]
pub fn who_runs_actions(list: &OsStr, around: &Surroundings) -> Said {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (Ok(runtime), Ok(mut placement)) = (runtime, Placement::of_list(list, around)) else {
        return Said::NoneRuns;
    };
    placement.first = Instant::now() + FIRST_OF_ENGINES;
    let found = runtime.block_on(placement.prospect()).is_ok();
    // A name may still be looked up.
    runtime.shutdown_background();
    let hosts = placement.hosts.iter();
    let silent: Vec<String> = hosts
        .filter(|host| !host.is_for_clients())
        .map(|host| host.name.clone())
        .collect();
    match found {
        true => Said::Runs,
        false if silent.is_empty() => Said::NoneRuns,
        false => Said::NoAnswer(silent),
    }
}

/// Runs an action in its place.
async fn on<W: Reach>(
    taken: Taken<W>,
    order: &Order,
) -> Result<(String, Outcome), (Arc<Host<W>>, Trouble)> {
    match taken.host.run(order).await {
        Ok(outcome) => Ok((taken.host.name.clone(), outcome)),
        Err(trouble) => Err((Arc::clone(&taken.host), trouble)),
    }
}

#[cfg(test)]
mod tests;
