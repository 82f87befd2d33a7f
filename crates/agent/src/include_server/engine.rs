//! The include engine as this server keeps it: one for all threads, which watches the files it
//! has read, and finds what compilers say of themselves in a folder that outlives the build.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use includes::{Ask, Closure, RealCompiler, RealTree, Refusal, Said, Settings};

use super::compiler::{Compiler, Identity, REMOVED, SAFEGUARD};
use super::job::Job;
use super::limit::Limit;
use super::run::{Ended, Stop, run_with_input};

const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The engine, and what it takes to make one.
pub(crate) struct Engine {
    environment: Vec<(OsString, OsString)>,
    /// Where compilers' facts are kept, if anywhere.
    facts: Option<PathBuf>,
    stop: Arc<Stop>,
    /// Each question that is answered at the same time has a memory of its own to fill, so more
    /// of them than processors would only cost.
    places: Limit,
    current: Mutex<Current>,
}

/// Complete whenever the lock is free.
#[derive(Default)]
struct Current {
    /// Made for the first question.
    engine: Option<Arc<includes::Engine>>,
    /// Those that the engine has asked. It takes compilers for unchanging.
    compilers: HashMap<PathBuf, Identity>,
}

impl Engine {
    /// `environment` is that of compilers, but for what is taken from it for every compile.
    pub(crate) fn new(
        environment: Vec<(OsString, OsString)>,
        facts: Option<PathBuf>,
        places: usize,
        stop: Arc<Stop>,
    ) -> Self {
        let mut environment = environment;
        environment.retain(|(name, _)| !REMOVED.iter().any(|removed| name == removed));
        environment.push((SAFEGUARD.0.into(), SAFEGUARD.1.into()));
        Self {
            environment,
            facts,
            stop,
            places: Limit::new(places),
            current: Mutex::default(),
        }
    }

    /// What the compile reads.
    ///
    /// # Errors
    /// [`Refusal`] of the engine; there may be none at all where the kernel reports no changes.
    pub(crate) fn closure(&self, job: &Job<'_>) -> Result<Arc<Closure>, Refusal> {
        let mut argv = job.compile.argv().to_vec();
        if let Some(name) = argv.first_mut() {
            *name = job.compiler.program.clone().into();
        }
        let command = includes::Command {
            cwd: job.cwd.as_os_str().as_bytes().to_vec(),
            argv,
            env: self.environment.clone(),
        };
        let engine = self
            .engine_for(&job.compiler)
            .map_err(|error| Refusal::Compiler(format!("no changes can be watched: {error}")))?;
        let _place = self.places.take();
        engine.closure(&command)
    }

    /// The engine; a new one if this compiler is not the program any more that it was.
    fn engine_for(&self, compiler: &Compiler) -> io::Result<Arc<includes::Engine>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match current.compilers.get(&compiler.program) {
            Some(known) if *known == compiler.identity => {}
            Some(_) => *current = Current::default(),
            None => {}
        }
        current
            .compilers
            .entry(compiler.program.clone())
            .or_insert_with(|| compiler.identity.clone());
        if let Some(engine) = &current.engine {
            return Ok(Arc::clone(engine));
        }
        let stop = Arc::clone(&self.stop);
        let compilers = RealCompiler::new(self.facts.clone())
            .run_by(Box::new(move |ask, program| run(ask, program, &stop)));
        let engine = Arc::new(includes::Engine::new(
            Arc::new(RealTree::watched()?),
            Arc::new(compilers),
            Settings::default(),
        ));
        current.engine = Some(Arc::clone(&engine));
        Ok(engine)
    }
}

fn run(ask: &Ask, program: &Path, stop: &Stop) -> io::Result<Said> {
    let mut command = Command::new(program);
    command
        .args(&ask.arguments)
        .env_clear()
        .envs(ask.env.iter().map(|(name, value)| (name, value)))
        // What is looked for in the answer is translated otherwise.
        .env("LC_ALL", "C")
        .current_dir(Path::new(std::ffi::OsStr::from_bytes(&ask.cwd)));
    let (ended, output) = run_with_input(&mut command, &ask.script, TIME_LIMIT, stop)?;
    match ended {
        // The script holds errors on purpose.
        Ended::Exited(_) => Ok(Said {
            output: output.stdout,
            errors: output.stderr,
        }),
        Ended::TimedOut => Err(io::Error::other("it takes too long")),
        Ended::Stopped => Err(io::Error::other("the include server is ending")),
    }
}
