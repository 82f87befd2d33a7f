//! One question answered: which files does this compile need, and where do their copies stand?
//!
//! The steps are those of [`Service::answer`]. The include engine is asked twice, before the
//! copies are made and after, and tells the state of each file, so the file system is not asked; nothing is
//! read, looked through or packed that was so before and has not changed since. Compiles that the
//! engine refuses cost a run of the compiler instead ([`super::by_list`]).
//!
//! An answer is a state that the files were in together: what changes meanwhile makes the second
//! round differ from the first, and everything begins anew.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use command::Compile;

use super::by_list::Lists;
use super::compiler;
use super::copies::Copies;
use super::engine::Engine;
use super::engine_refusals::EngineRefusals;
use super::job::{Job, Needed};
use super::mirror::Mirror;
use super::refusal::Refusal;
use super::run::Stop;
use super::search;
use super::seen::Seen;
use super::source::{Sources, Text};
use super::store::Store;
use super::system_dirs::link_text;

/// How often a closure is looked at while its files keep changing.
const MOST_TRIES: usize = 6;

/// Everything that lives as long as the server.
pub(crate) struct Service {
    /// The value of `PATH`.
    path: OsString,
    engine: Engine,
    refusals: EngineRefusals,
    lists: Lists,
    stop: Arc<Stop>,
    sources: Arc<Sources>,
    /// For clients that ask for paths.
    pub(crate) mirror: Arc<Mirror>,
    /// For clients that ask for pieces.
    pub(crate) store: Store,
}

/// What a client gets, in copies of a kind.
#[derive(Debug)]
pub(crate) struct Answer<C> {
    /// The copies, in the order of the protocol: files, links, folders.
    pub(crate) copies: Vec<C>,
    /// The files among them by their real paths on the client.
    pub(crate) files: Vec<PathBuf>,
    /// Why the compiler itself was asked, if it was.
    pub(crate) by_list: Option<includes::Refusal>,
}

impl Service {
    /// `processors` is how many there are.
    pub(crate) fn new(
        path: OsString,
        processors: usize,
        engine: Engine,
        refusals: EngineRefusals,
        stop: Arc<Stop>,
        mirror: Mirror,
    ) -> Self {
        let (sources, mirror) = (Arc::<Sources>::default(), Arc::new(mirror));
        // Some of them wait for the disk.
        let compilers = processors + 2;
        let lists = Lists::new(
            compilers,
            Arc::clone(&stop),
            Arc::clone(&sources),
            Arc::clone(&mirror),
        );
        Self {
            path,
            engine,
            refusals,
            lists,
            stop,
            sources,
            mirror,
            store: Store::new(),
        }
    }

    /// Ends all compilers that run: answers in the making become refusals.
    pub(crate) fn interrupt(&self) {
        self.stop.stop();
    }

    /// Whether refusals may come from that alone.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.stop.is_stopped()
    }

    /// Removes all copies. No answer may be in the making.
    pub(crate) fn remove_copies(&self) {
        self.mirror.remove();
    }

    /// Answers one question: what does `compile` need in the working folder `cwd`?
    /// The answer is in terms of `copies`, one of those above.
    ///
    /// # Errors
    /// [`Refusal`]: the client has to preprocess by itself.
    pub(crate) fn answer<C: Copies>(
        &self,
        copies: &C,
        cwd: &Path,
        compile: &Compile,
    ) -> Result<Answer<C::Copy>, Refusal> {
        if !cwd.is_absolute() || !cwd.is_dir() {
            return Err(Refusal::WorkingFolder(cwd.to_owned()));
        }
        let job = self.understand(compile, cwd)?;
        match self.by_engine(copies, &job)? {
            Ok(answer) => Ok(answer),
            Err(includes::Refusal::NoInput(name)) if is_pipe(&job, &name) => {
                let name = Path::new(OsStr::from_bytes(&name));
                Err(Refusal::NotRegular(cwd.join(name)))
            }
            Err(refusal) => {
                self.refusals.count(&refusal);
                self.by_list(copies, &job, refusal)
            }
        }
    }

    /// What the command's words mean.
    fn understand<'a>(&self, compile: &'a Compile, cwd: &'a Path) -> Result<Job<'a>, Refusal> {
        let search = search::parse(compile.argv(), compile.input())?;
        let name = compile.argv().first().map_or(OsStr::new(""), |name| name);
        let compiler = compiler::find(name, cwd, &self.path)
            .ok_or_else(|| Refusal::NoCompiler(name.to_owned()))?;
        Ok(Job {
            compile,
            cwd,
            compiler,
            search,
        })
    }

    /// The usual way.
    ///
    /// # Errors
    /// [`Refusal`], if it cannot be answered in any way; the inner one is that of the engine.
    fn by_engine<C: Copies>(
        &self,
        copies: &C,
        job: &Job<'_>,
    ) -> Result<Result<Answer<C::Copy>, includes::Refusal>, Refusal> {
        let mut last: Option<(Seen, Answer<C::Copy>)> = None;
        let mut refusal = Refusal::Unsettled;
        for _ in 0..MOST_TRIES {
            let closure = match self.engine.closure(job) {
                Ok(closure) => closure,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let before = match last.take() {
                // The very same answer: since it was made, nothing has changed that it rests on,
                // which the text of each of its files is part of.
                Some((before, answer)) if before.is_of(&closure) => return Ok(Ok(answer)),
                before => before,
            };
            let seen = Seen::new(closure);
            let again = match (seen, before) {
                (Ok(seen), Some((before, answer))) if seen.is_same_as(&before) => {
                    return Ok(Ok(answer));
                }
                (Ok(seen), _) => match self.copy_seen(copies, job, &seen) {
                    Ok(answer) => {
                        last = Some((seen, answer));
                        continue;
                    }
                    Err(refusal) => refusal,
                },
                (Err(refusal), _) => refusal,
            };
            refusal = once_more(again)?;
        }
        Err(refusal)
    }

    fn copy_seen<C: Copies>(
        &self,
        copies: &C,
        job: &Job<'_>,
        seen: &Seen,
    ) -> Result<Answer<C::Copy>, Refusal> {
        let mut texts = HashMap::new();
        for file in &seen.found {
            let (source, text) = self.sources.look(&file.real, file.identity)?;
            if source.identity != file.identity {
                return Err(Refusal::Unsettled);
            }
            if let Some(blocker) = seen.blocker(&source) {
                return Err(Refusal::Text(file.real.clone(), blocker));
            }
            texts.extend(text.map(|text| (file.real.clone(), text)));
        }
        let needed = Needed {
            system: &seen.system,
            found: &seen.found,
            beside: seen.beside(job),
            texts,
        };
        copy(copies, needed)
    }

    /// The long way, for what the engine has refused.
    fn by_list<C: Copies>(
        &self,
        copies: &C,
        job: &Job<'_>,
        why: includes::Refusal,
    ) -> Result<Answer<C::Copy>, Refusal> {
        let precompiled = match &why {
            includes::Refusal::Precompiled(path) => {
                Some(PathBuf::from(OsString::from_vec(path.clone())))
            }
            _ => None,
        };
        let mut before = None;
        let mut refusal = Refusal::Unsettled;
        for _ in 0..MOST_TRIES {
            let walked = self
                .lists
                .walk_settled(job, precompiled.as_deref(), &mut before);
            let copied = walked.and_then(|walked| {
                let Some(walked) = walked else {
                    return Ok(None);
                };
                let needed = Needed {
                    system: &walked.system,
                    found: &walked.found,
                    beside: walked.beside,
                    texts: walked.texts,
                };
                copy(copies, needed).map(Some)
            });
            match copied {
                Ok(Some(answer)) => {
                    return Ok(Answer {
                        by_list: Some(why),
                        ..answer
                    });
                }
                Ok(None) => {}
                Err(again) => refusal = once_more(again)?,
            }
        }
        Err(refusal)
    }
}

/// Copies what is needed.
fn copy<C: Copies>(to: &C, needed: Needed<'_>) -> Result<Answer<C::Copy>, Refusal> {
    let Needed {
        system,
        found,
        beside,
        mut texts,
    } = needed;
    let mut copies = Vec::with_capacity(found.len() + 64);
    let mut files = Vec::with_capacity(found.len());
    let mut done = HashSet::with_capacity(found.len());
    for file in found {
        // Reached by several names, a file is named by the first.
        if !system.let_send(file) || !done.insert(file.real.as_os_str()) {
            continue;
        }
        let spelled = file.spelled.as_os_str();
        let line = file.spelled.is_absolute().then_some(spelled);
        let text: Option<Text> = texts.remove(&file.real);
        copies.push(to.file(&file.real, file.identity, line, text)?);
        files.push(file.real.clone());
    }
    for folder in system.topmost() {
        copies.push(to.link(folder, &link_text(folder))?);
    }
    for (link, target) in &beside.links {
        copies.push(to.link(link, target.as_os_str())?);
    }
    for folder in &beside.folders {
        copies.push(to.folder(folder)?);
    }
    Ok(Answer {
        copies,
        files,
        by_list: None,
    })
}

/// Passes on what another look may mend: something changed between the steps.
///
/// # Errors
/// Everything else.
fn once_more(refusal: Refusal) -> Result<Refusal, Refusal> {
    match refusal {
        again @ (Refusal::Unsettled | Refusal::Missing(_)) => Ok(again),
        refusal => Err(refusal),
    }
}

/// Whether a file of the compile is a pipe, of which a compiler that is asked for a list would leave nothing to the one that
/// compiles.
fn is_pipe(job: &Job<'_>, name: &[u8]) -> bool {
    let found = fs::metadata(job.cwd.join(OsStr::from_bytes(name)));
    found.is_ok_and(|found| found.file_type().is_fifo())
}
