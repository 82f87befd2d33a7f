//! Whole compiles: a socket of their own, where clients of ours hand their commands over and wait.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use protocol::jobs::{Answer, Done, ENDED, FAILED, Question};
use protocol::request::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::engine::tree;
use super::workers::Workers;
use crate::actions::maker::{Called, Made, Maker, NoAction};
use crate::actions::placement::{Client, End, NotRun, Placement, Shown};

/// For a client to send its question, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Compiles in hand at once: each holds a thread, mostly asleep.
const MOST_JOBS: usize = 2000;

/// Longer command lines than the kernel allows make no sense.
const LIMITS: Limits = Limits {
    args: 100_000,
    text_bytes: 1 << 20,
    all_text_bytes: 16 << 20,
    files: 0,
    body_bytes: 0,
};

/// What it takes to have compiles run elsewhere.
pub(crate) struct Jobs {
    /// Where compilers' facts are kept. Digests are kept beside them.
    facts: Option<PathBuf>,
    /// Made for the first action: a build whose hosts run none does not pay for it.
    maker: OnceLock<Maker>,
    placement: Arc<Placement>,
    /// A file that is there where all servers are on this machine: then nothing ends sooner because it is begun twice.
    private: Option<PathBuf>,
    runtime: Runtime,
}

impl Jobs {
    /// # Errors
    /// The machine has no threads left.
    pub(crate) fn new(
        facts: Option<PathBuf>,
        placement: Placement,
        private: Option<PathBuf>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self {
            facts,
            maker: OnceLock::new(),
            placement: Arc::new(placement),
            private,
            runtime,
        })
    }

    /// Serves clients at `socket` from now on, in threads that end with the process.
    pub(crate) fn serve(
        self: &Arc<Self>,
        listener: UnixListener,
        socket: PathBuf,
        warn: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let jobs = Arc::clone(self);
        let placement = Arc::clone(&jobs.placement);
        jobs.runtime.spawn(async move {
            placement.ask();
            placement.until_for_clients().await;
            // Whoever comes from now on has only to find nothing there.
            let _ = fs::remove_file(socket);
        });
        // Without a thread a client waits until one of the others has answered.
        Workers::start(
            listener,
            MOST_JOBS,
            move |stream| jobs.converse(stream),
            warn,
        )
    }

    /// The end: keeps on disk what was found out about files.
    pub(crate) fn end(&self) {
        if let Some(maker) = self.maker.get() {
            let _ = maker.keep(); // It is found out again.
        }
    }

    fn maker(&self) -> &Maker {
        self.maker.get_or_init(|| {
            let facts = self.facts.clone();
            let engine = move |settings| {
                let compilers = includes::RealCompiler::new(facts.clone());
                includes::Engine::new(Arc::new(tree()), Arc::new(compilers), settings)
            };
            let digests = self.facts.as_deref();
            let digests = digests.map(|folder| folder.with_file_name("digests"));
            Maker::new(Box::new(engine), digests)
        })
    }

    /// One compile. What goes wrong with the connection, the client sees as its end.
    fn converse(&self, stream: &UnixStream) {
        let answered = self.answer(stream);
        if let Ok(Some(answer)) = answered {
            let _ = (&mut &*stream).write_all(&answer.encode()); // It may be gone.
        }
    }

    fn answer(&self, stream: &UnixStream) -> io::Result<Option<Answer>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let question = Question::read(&mut BufReader::new(stream), LIMITS)?;
        let may_race = question.may_race && may_be_raced(&question.query.argv);
        let called = Called {
            argv: question.query.argv,
            environment: question.environment,
            cwd: PathBuf::from(question.query.cwd),
            in_colour: question.in_colour,
        };
        if let Err(not_run) = self.runtime.block_on(self.placement.prospect()) {
            return Ok(Some(told(not_run)));
        }
        let made = match self.maker().make(&called) {
            Ok(made) => made,
            Err(NoAction { why, stays: true }) => return Ok(Some(Answer::Stay(why.into()))),
            Err(NoAction { why, .. }) => return Ok(Some(Answer::Here(why.into()))),
        };
        if made.in_memory && self.placement.has_engines() {
            let why = "engines may have their own /dev/shm, where it works";
            return Ok(Some(Answer::Here(why.into())));
        }
        let gone = stream.try_clone()?;
        gone.set_nonblocking(true)?;
        let ran = self.runtime.block_on(async {
            let mut waiting = Waiting {
                client: tokio::net::UnixStream::from_std(gone)?,
                made: &made,
                called: &called,
            };
            let is_private = || self.private.as_ref().is_some_and(|file| file.exists());
            let may_run_here = may_race && !is_private();
            let ran = self
                .placement
                .compile(&made.order, &mut waiting, may_run_here);
            io::Result::Ok(ran.await)
        });
        stream.set_nonblocking(false)?;
        match ran? {
            None => Ok(None),
            Some(Err(not_run)) => Ok(Some(told(not_run))),
            Some(Ok((host, outcome))) => Ok(Some(Answer::Done(done(host, outcome, &made)))),
        }
    }
}

/// A client that waits for a compile.
struct Waiting<'c> {
    client: tokio::net::UnixStream,
    made: &'c Made,
    called: &'c Called,
}

impl Client for Waiting<'_> {
    fn shown(&self) -> Option<Shown> {
        let pid = self.client.peer_cred().ok()?.pid()?;
        let source = Path::new(&self.made.source);
        Some(Shown {
            pid: pid.try_into().ok()?,
            file: source.file_name()?.to_owned(),
        })
    }

    async fn begin(&mut self) -> bool {
        if !has_plain_outputs(self.made, &self.called.cwd) || is_behind_launcher(self.called) {
            return false;
        }
        // One that has gone is noticed elsewhere.
        self.client.write_all(&Answer::Race.encode()).await.is_ok()
    }

    async fn end(&mut self) -> End {
        let mut said = [0];
        match self.client.read(&mut said).await {
            Ok(1) if said == [ENDED] => End::Done,
            Ok(1) if said == [FAILED] => End::Failed,
            _ => End::Gone,
        }
    }
}

/// Whether a command may run here and elsewhere at the same time, as far as its words say.
fn may_be_raced(argv: &[OsString]) -> bool {
    // What one of its steps writes the next one reads.
    let keeps_steps = |word: &OsString| {
        let word = word.as_bytes();
        word.starts_with(b"-save-temps") || word.starts_with(b"--save-temps")
    };
    !argv.iter().any(keeps_steps)
}

/// Whether somebody else may do what the client runs, and go on when that is ended.
fn is_behind_launcher(called: &Called) -> bool {
    let around = toolchain::Surroundings {
        variables: called.environment.clone(),
        folder: called.cwd.clone(),
    };
    let name = called.argv.first();
    !name.is_some_and(|name| around.is_compiler(name))
}

/// Whether all that a compile writes are files that nobody reads before it has ended, and that can be written again.
fn has_plain_outputs(made: &Made, cwd: &Path) -> bool {
    made.object != "-"
        && made.outputs.values().all(|name| {
            let found = fs::symlink_metadata(cwd.join(OsStr::from_bytes(name)));
            found.map_or_else(
                |error| error.kind() == io::ErrorKind::NotFound,
                // A compiler may write what is there, or another file in its place: that must make no difference.
                |it| it.is_file() && it.nlink() == 1 && it.len() > 0,
            )
        })
}

fn told(not_run: NotRun) -> Answer {
    match not_run {
        NotRun::Away(why) => Answer::Away(why.into()),
        NotRun::Pass(why) => Answer::Pass(why.into()),
    }
}

fn done(host: String, outcome: remote::Outcome, made: &Made) -> Done {
    let files = outcome.files.into_iter().filter_map(|file| {
        let name = made.outputs.get(&file.path)?;
        Some((OsString::from_vec(name.clone()), file.content))
    });
    let bytes = |count| u32::try_from(count).unwrap_or(u32::MAX);
    Done {
        host: host.into(),
        sent: bytes(outcome.sent),
        received: bytes(outcome.received),
        exit_code: u32::try_from(outcome.exit_code).unwrap_or(255),
        output: made.object.clone(),
        stderr: outcome.stderr,
        stdout: outcome.stdout,
        files: files.collect(),
    }
}
