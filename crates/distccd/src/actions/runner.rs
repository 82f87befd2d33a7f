//! Runs an action: its input root becomes a tree, its command a job of the sandbox, and what it declared is taken.
//!
//! Job slots are those of the old protocols, so that a client has no more of the machine by speaking both.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use action::{Digest, PLATFORM_ROOT};
use engine::{Executed, Executor, Failure, Job, Output, Refusal, Slot, Stop};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use sandbox::{Ended, Running, Sandbox};
use store::{Hold, Store};

use super::outputs::{self, Places};
use super::surroundings::Surroundings;
use super::trees::{Key, Trees};
use super::watched::watched_event;
use crate::counts::Longest;
use crate::event::Event;
use crate::fault::reason;
use crate::peer::Peer;
use crate::server::Server;
use crate::shares::{Client, Shares};
use crate::summary::{Summary, Verdict};
use crate::wire::timespec;

/// What runs actions.
pub(crate) struct Runner {
    server: Arc<Server>,
    trees: Trees,
    /// For actions that bring all that they need.
    hermetic: Sandbox,
    /// For all others, with this machine's system folders.
    any: Option<(Sandbox, Surroundings)>,
    /// Takes the place of each action's compiler, for measurements.
    stand_in: Option<StandIn>,
    memory: Arc<Shares>,
    /// See [`Places::of`].
    salt: [u8; 32],
    /// Jobs that run.
    running: AtomicU64,
}

/// A program in the store.
pub(crate) struct StandIn {
    digest: Digest,
    _hold: Hold,
}

impl StandIn {
    /// Puts it there.
    ///
    /// # Errors
    /// It cannot be read, or there is no room.
    pub(crate) fn new(store: &Store, path: &Path) -> Result<Self, String> {
        let words = |text: String| format!("--bench-compiler={}: {text}", path.display());
        let file = File::open(path).map_err(|error| words(reason(&error)))?;
        let digest = store.put_file(&file);
        let digest = digest.map_err(|error| words(error.to_string()))?;
        let hold = store.hold([digest]);
        let hold = hold.map_err(|_| words("there is no room for it".into()))?;
        Ok(Self {
            digest,
            _hold: hold,
        })
    }
}

/// How often is looked whether anybody still waits for a job.
const LOOK: Duration = Duration::from_millis(100);
/// What an entry of an input root takes in memory, about.
const ENTRY_BYTES: u64 = 256;
/// A compiler that says more than this says it to nobody.
const MESSAGE_BYTES: u64 = 32 << 20;

impl Runner {
    pub(crate) fn new(
        server: Arc<Server>,
        trees: Trees,
        hermetic: Sandbox,
        any: Option<(Sandbox, Surroundings)>,
        stand_in: Option<StandIn>,
        memory: Arc<Shares>,
    ) -> io::Result<Self> {
        let mut salt = [0; 32];
        let mut filled = 0;
        while filled < salt.len() {
            let flags = rustix::rand::GetRandomFlags::empty();
            filled += rustix::rand::getrandom(&mut salt[filled..], flags)?;
        }
        Ok(Self {
            server,
            trees,
            hermetic,
            any,
            stand_in,
            memory,
            salt,
            running: AtomicU64::new(0),
        })
    }

    /// Comes when no job has run for some seconds: its client has its answer, or does not want it.
    pub(crate) async fn idle(&self) {
        const QUIET: u32 = 50;
        let mut quiet = 0;
        while quiet < QUIET {
            tokio::time::sleep(LOOK).await;
            quiet = match self.running.load(Ordering::Relaxed) {
                0 => quiet + 1,
                _ => 0,
            };
        }
    }

    /// Where it may run.
    fn sandbox(&self, job: &Job) -> Result<&Sandbox, String> {
        let (name, whole) = PLATFORM_ROOT;
        match (job.property(name), &self.any) {
            (Some(root), _) if root == whole => Ok(&self.hermetic),
            (Some(other), _) => Err(format!("{name}={other:?}: only {whole:?} is offered")),
            (None, Some((any, _))) => Ok(any),
            (None, None) => Err(format!(
                "this server runs actions that bring all of their root folder, compiler included, and say so by the \
                 platform property {name}={whole}; with distccd --remote-exec=any it would run others, too"
            )),
        }
    }

    fn run(&self, key: &Key, job: &Job, stop: &Stop) -> Result<Ran, Failure> {
        let sandbox = self.sandbox(job).map_err(Failure::Invalid)?;
        let mut places = Places::of(job, &self.salt).map_err(Failure::Invalid)?;
        let broken = |doing: &'static str| {
            move |error: io::Error| Failure::Broken(format!("{doing}: {}", reason(&error)))
        };
        let words = &job.command.arguments;
        let Some(program) = words.first() else {
            return Err(Failure::Invalid("a command without a program".into()));
        };
        if let Some(stand_in) = &self.stand_in {
            let root = outputs::with_program(
                &places.root,
                &places.cwd,
                program,
                stand_in.digest,
                &self.salt,
            );
            places.root = root.map_err(Failure::Invalid)?;
        }
        let tree = self.trees.take(key, &places.root);
        let tree = tree.map_err(broken("making the input root"))?;
        let [stdout, stderr] = [message_file()?, message_file()?];
        let environment = job.command.environment_variables.iter();
        let environment = environment.map(|one| ((&one.name).into(), (&one.value).into()));
        let ordered = sandbox::Job {
            programs: vec![program.into()],
            argv: words.iter().map(OsString::from).collect(),
            environment: environment.collect(),
            cwd: places.cwd.clone(),
            trees: vec![sandbox::Tree {
                scratch: 0,
                folder: tree.name().into(),
                at: "/".into(),
            }],
            writable: places.folders.clone(),
        };
        let running = sandbox.run(&ordered, stdout.as_fd(), stderr.as_fd());
        let running = running.map_err(broken("starting a job"))?;
        let limits = [job.timeout, self.server.settings.job_lifetime];
        let limit = limits.into_iter().flatten().min();
        self.watch(&running, limit, stop)?;
        let (status, folders) = match running.ended().map_err(broken("running a job"))? {
            Ended::Normally {
                status, folders, ..
            } => (status, folders),
            Ended::Exceeded(what) => return Err(Failure::Exceeded(what)),
            Ended::NotStarted(errno) => {
                let reason = reason(&io::Error::from_raw_os_error(errno));
                return Err(Failure::Invalid(format!(
                    "{program:?} cannot be started: {reason}"
                )));
            }
            Ended::Misplaced(text) => return Err(Failure::Invalid(text)),
            Ended::Failed(text) => {
                let text = format!("making a sandbox: {text}");
                return Err(Failure::Broken(text));
            }
        };
        Ok(Ran {
            status,
            stdout: said(&stdout)?,
            stderr: said(&stderr)?,
            outputs: places.take(&folders)?,
        })
    }

    /// Waits for a job's end. What is dropped before is ended.
    fn watch(
        &self,
        running: &Running,
        limit: Option<Duration>,
        stop: &Stop,
    ) -> Result<(), Failure> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let mut fds = [
                PollFd::new(running, PollFlags::IN),
                PollFd::new(&self.server.kill, PollFlags::IN),
            ];
            let timeout = timespec(left.map_or(LOOK, |left| left.min(LOOK)));
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => {
                    let reason = reason(&errno.into());
                    return Err(Failure::Broken(format!("watching a job: {reason}")));
                }
            }
            let [over, killed] = fds.map(|fd| !fd.revents().is_empty());
            match () {
                () if over => return Ok(()),
                () if killed => return Err(Failure::Ending),
                () if stop.is_stopped() => return Err(Failure::Stopped),
                () if left.is_some_and(|left| left.is_zero()) => return Err(Failure::TimedOut),
                () => {}
            }
        }
    }

    /// The line in the log, and the statistics.
    fn account(&self, asks: engine::Client, job: &Job, ran: &Result<Ran, Failure>, time: Duration) {
        let (verdict, status) = match ran {
            Ok(Ran { status: 0, .. }) => (Verdict::CompileOk, 0),
            Ok(Ran { status, .. }) => (Verdict::CompileError, *status),
            Err(Failure::TimedOut) => (Verdict::CompileTimeout, 0),
            Err(Failure::Stopped) => (Verdict::CliDisconn, 0),
            Err(Failure::Invalid(_)) => (Verdict::RejBadReq, 0),
            Err(Failure::Exceeded(_) | Failure::Ending | Failure::Broken(_)) => (Verdict::Other, 0),
        };
        let log = &self.server.log;
        let peer = asks.0.map_or(Peer::NotSocket, Peer::Tcp);
        if let Err(failure) = ran {
            let text = match failure {
                Failure::Invalid(text) | Failure::Exceeded(text) | Failure::Broken(text) => text,
                Failure::TimedOut => "the action takes too long",
                Failure::Stopped => "nobody waits for the action any more",
                Failure::Ending => "server stops: action not done",
            };
            log.warning("dcc_actions", format_args!("{peer}: {text}"));
        }
        let first = |words: &[String]| words.first().map(OsString::from).unwrap_or_default();
        let summary = Summary {
            peer: &peer,
            verdict,
            status,
            code: i32::from(ran.is_err()),
            time,
            names: Some((first(&job.command.arguments), first(&job.outputs))),
        };
        log.notice("dcc_job_summary", &summary);
        let counts = &self.server.counts;
        counts.job(verdict, Instant::now());
        if let (Verdict::CompileOk, Some((compiler, output))) = (verdict, summary.names) {
            let longest = || Longest {
                time,
                compiler: compiler.to_string_lossy().into_owned(),
                source: output.to_string_lossy().into_owned(),
            };
            counts.success(time, longest, Instant::now());
        }
    }
}

/// Waits for a slot. When the server stops nobody gets one any more, and whoever waits comes without: it is told so.
async fn take_slot(server: &Server, client: Client) -> io::Result<Slot> {
    let turn = server.slots.stand_in_line(client)?;
    if let Some(granted) = turn.event() {
        let granted = watched_event(granted)?;
        let stop = watched_event(server.stop.as_fd())?;
        tokio::select! {
            ready = granted.readable() => drop(ready?),
            ready = stop.readable() => {
                drop(ready?);
                return Ok(Box::new(()));
            }
        }
    }
    Ok(Box::new(turn.into_slot()))
}

fn is_raised(event: &Event) -> bool {
    let now = timespec(Duration::ZERO);
    let raised = poll(&mut [PollFd::new(event, PollFlags::IN)], Some(&now));
    raised.is_ok_and(|count| count > 0)
}

/// A job that runs, until dropped.
struct Counted<'r>(&'r AtomicU64);

impl<'r> Counted<'r> {
    fn new(running: &'r AtomicU64) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came of a command.
struct Ran {
    /// As `wait` gives it.
    status: u32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    outputs: Vec<(String, Output)>,
}

/// A file in memory for what a command says, within the sandbox's limit of messages. It has no name, so nothing is left
/// of it, however the server ends.
fn message_file() -> Result<File, Failure> {
    let made = memfd_create("messages", MemfdFlags::CLOEXEC);
    made.map(File::from).map_err(|errno| {
        let reason = reason(&errno.into());
        Failure::Broken(format!("making a file for messages: {reason}"))
    })
}

/// What is in such a file.
fn said(file: &File) -> Result<Vec<u8>, Failure> {
    let broken =
        |error: io::Error| Failure::Broken(format!("reading messages: {}", reason(&error)));
    let bytes = file.metadata().map_err(broken)?.len();
    if bytes > MESSAGE_BYTES {
        let most = MESSAGE_BYTES >> 20;
        return Err(Failure::Exceeded(format!(
            "more than {most} MiB of messages"
        )));
    }
    let mut text = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut text, 0).map_err(broken)?;
    Ok(text)
}

/// As a shell tells it.
fn exit_code(status: u32) -> i32 {
    let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
    let code = if signal == 0 { code } else { 128 + signal };
    i32::try_from(code).unwrap_or(255)
}

impl Executor for Runner {
    fn accept(&self, asks: engine::Client, job: &Job) -> Result<Slot, Refusal> {
        self.sandbox(job).map_err(Refusal::Never)?;
        let bytes = job.entries as u64 * ENTRY_BYTES;
        match self.memory.take(Client::of_address(asks.0), bytes) {
            Some(held) => Ok(Box::new(held)),
            None => Err(Refusal::Busy(
                "no memory for more actions of this client now".into(),
            )),
        }
    }

    fn surroundings(&self) -> Option<Digest> {
        self.any.as_ref().map(|(_, around)| around.state())
    }

    fn slot(&self, asks: engine::Client) -> Pin<Box<dyn Future<Output = Slot> + Send>> {
        let server = Arc::clone(&self.server);
        Box::pin(async move {
            loop {
                if let Ok(slot) = take_slot(&server, Client::of_address(asks.0)).await {
                    return slot;
                }
                // There are no descriptors; jobs that end give some back.
                tokio::time::sleep(LOOK).await;
            }
        })
    }

    fn execute(&self, asks: engine::Client, job: &Job, stop: &Stop) -> Result<Executed, Failure> {
        let started = Instant::now();
        let _counted = Counted::new(&self.running);
        let key = Key {
            client: asks
                .0
                .map_or_else(String::new, |address| address.ip().to_string()),
            project: job.command.working_directory.clone(),
        };
        let ran = match is_raised(&self.server.stop) {
            true => Err(Failure::Ending),
            false => self.run(&key, job, stop),
        };
        self.account(asks, job, &ran, started.elapsed());
        let ran = ran?;
        Ok(Executed {
            exit_code: exit_code(ran.status),
            stdout: ran.stdout,
            stderr: ran.stderr,
            outputs: ran.outputs,
        })
    }
}
