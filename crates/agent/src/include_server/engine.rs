//! The include engine as this server keeps it: one for all threads, which watches the files it
//! has read, and finds what compilers say of themselves in a folder that outlives the build.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use includes::{Ask, Closure, RealCompiler, RealTree, Refusal, Said, Settings};

use crate::console;

use super::compiler::{REMOVED, SAFEGUARD};
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
    /// Each question that is answered at the same time has a memory of its own to fill, and a thread that asks again
    /// may find the one that knows busy. One answer takes a fraction of the client's time for its compile, so
    /// one of them serves some processors.
    places: Limit,
    /// Made for the first question.
    engine: OnceLock<includes::Engine>,
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
            engine: OnceLock::new(),
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
        let engine = self.engine.get_or_init(|| self.make());
        let _place = self.places.take();
        guarded(job.compile.input(), || engine.closure(&command))
    }

    fn make(&self) -> includes::Engine {
        let stop = Arc::clone(&self.stop);
        let compilers = RealCompiler::new(self.facts.clone())
            .run_by(Box::new(move |ask, program| run(ask, program, &stop)));
        includes::Engine::new(Arc::new(tree()), Arc::new(compilers), Settings::default())
    }
}

/// The files of this machine. Without a queue of inotify changes are looked for.
pub(crate) fn tree() -> RealTree {
    RealTree::watched().unwrap_or_else(|error| {
        console::complain(&format!(
            "WARNING include server: inotify: {error}: each compile looks at all of its files for changes"
        ));
        RealTree::compared()
    })
}

/// The engine's answer, where a panic is one more reason to ask the compiler: the engine takes a
/// worker that panicked out of use. The panic itself has been told on standard error.
fn guarded(
    input: &OsStr,
    closure: impl FnOnce() -> Result<Arc<Closure>, Refusal>,
) -> Result<Arc<Closure>, Refusal> {
    catch_unwind(AssertUnwindSafe(closure)).unwrap_or_else(|_| {
        Err(Refusal::Unmodelled {
            file: input.as_bytes().to_vec(),
            what: "the engine failed, which is a defect to report".into(),
        })
    })
}

fn run(ask: &Ask, program: &Path, stop: &Stop) -> io::Result<Said> {
    let mut command = Command::new(program);
    command
        .args(&ask.arguments)
        .env_clear()
        .envs(ask.env.iter().map(|(name, value)| (name, value)))
        // What is looked for in the answer is translated otherwise.
        .env("LC_ALL", "C")
        .current_dir(Path::new(OsStr::from_bytes(&ask.cwd)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_engine_is_a_refusal() {
        let refusal = guarded(OsStr::new("a.c"), || panic!("for a test")).unwrap_err();
        assert!(refusal.to_string().starts_with("a.c: "), "{refusal}");
        let closure = guarded(OsStr::new("a.c"), || Ok(Arc::default()));
        assert_eq!(closure, Ok(Arc::default()));
    }
}
