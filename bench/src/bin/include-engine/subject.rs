//! One engine to be measured: it watches for changes, and its questions to compilers are counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use includes::{Ask, Closure, Command, Compiler, Engine, RealCompiler, RealTree, Said, Settings};

use crate::Failure;

/// Where compilers' facts come from.
#[derive(Clone, Copy)]
pub(crate) enum Facts<'p> {
    /// Nothing is on disk: each must be asked for.
    Unknown,
    /// Kept in this folder.
    Kept(&'p Path),
}

/// An engine.
pub(crate) struct Subject {
    engine: Arc<Engine>,
    compiler: Arc<Counted>,
    _folder: Option<tempfile::TempDir>,
}

/// The compilers of this machine, and what asking them took.
struct Counted {
    inner: RealCompiler,
    questions: AtomicUsize,
    nanoseconds: AtomicU64,
}

impl Compiler for Counted {
    fn ask(&self, ask: &Ask) -> Result<Said, String> {
        let started = Instant::now();
        let said = self.inner.ask(ask);
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
        said
    }
}

impl Subject {
    /// A new engine. Without `answers` it keeps summaries, but no whole closures.
    pub(crate) fn new(facts: Facts<'_>, answers: bool) -> Result<Self, Failure> {
        let own = match facts {
            Facts::Unknown => Some(tempfile::tempdir()?),
            Facts::Kept(_) => None,
        };
        let folder = match (&own, facts) {
            (Some(own), _) => own.path(),
            (None, Facts::Kept(path)) => path,
            (None, Facts::Unknown) => unreachable!("it has a folder of its own"),
        };
        let compiler = Arc::new(Counted {
            inner: RealCompiler::new(Some(folder.to_owned())),
            questions: AtomicUsize::new(0),
            nanoseconds: AtomicU64::new(0),
        });
        let settings = Settings {
            answers,
            ..Settings::default()
        };
        let asked: Arc<dyn Compiler> = Arc::clone(&compiler) as _;
        let engine = Engine::new(Arc::new(RealTree::watched()?), asked, settings);
        Ok(Subject {
            engine: Arc::new(engine),
            compiler,
            _folder: own,
        })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The closure of one compile. A refusal would be no answer, so it fails the whole comparison.
    pub(crate) fn closure(&self, command: &Command) -> Result<Arc<Closure>, Failure> {
        let closure = self.engine.closure(command);
        Ok(closure.map_err(|refusal| format!("{:?}: {refusal}", command.argv.last()))?)
    }

    /// The time of one pass.
    pub(crate) fn pass<'c>(
        &self,
        commands: impl IntoIterator<Item = &'c Command>,
    ) -> Result<Duration, Failure> {
        let started = Instant::now();
        for command in commands {
            self.closure(command)?;
        }
        Ok(started.elapsed())
    }

    /// Questions asked so far, and the time they took: added up, also where they ran side by side.
    pub(crate) fn questions(&self) -> (usize, Duration) {
        (
            self.compiler.questions.load(Ordering::Relaxed),
            Duration::from_nanos(self.compiler.nanoseconds.load(Ordering::Relaxed)),
        )
    }
}
