//! One question answered: which files does this compile need, and where do their copies stand?
//!
//! The steps are those of [`Service::answer`]. Their cost is nearly that of the one run of the
//! compiler; besides, per file of the closure one `lstat`, per folder one `realpath`, per header
//! one question for a precompiled one, and reading, looking through and packing what is new.
//!
//! Nothing about the closure is remembered between two questions, so it cannot be stale. What
//! is remembered, the text of files, is checked against the file's identity each time.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use command::Compile;

use super::client_tree::ClientTree;
use super::closure::{self, Naming};
use super::compiler::{self, Compiler};
use super::limit::Limit;
use super::lookup::{Listed, Lookup};
use super::mirror::Mirror;
use super::refusal::Refusal;
use super::run::Stop;
use super::scan::{Asked, Blocker};
use super::search::{self, Search};
use super::source::{self, Identity, Source, Sources, Text};
use super::system_dirs::{Answers, SystemDirs, link_text};

/// How often a closure is asked for while its files keep changing.
const MOST_TRIES: usize = 4;

/// Everything that lives as long as the server.
pub(crate) struct Service {
    /// The value of `PATH`.
    path: OsString,
    /// Whether folders that must exist are part of answers.
    force_folders: bool,
    /// Compilers that run at once.
    compilers: Limit,
    stop: Stop,
    system_dirs: Answers,
    sources: Sources,
    mirror: Mirror,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The paths of copies, in the order of the protocol: files, links, folders.
    pub(crate) paths: Vec<OsString>,
    /// The files among them by their real paths on the client.
    pub(crate) files: Vec<PathBuf>,
}

/// A file of the closure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// As the compiler names it.
    spelled: PathBuf,
    real: PathBuf,
    /// `None` for `/dev/null`.
    identity: Option<Identity>,
}

/// One compile, understood.
struct Job<'a> {
    compile: &'a Compile,
    cwd: &'a Path,
    compiler: Compiler,
    search: Search,
    system: Arc<SystemDirs>,
}

impl Service {
    pub(crate) fn new(
        path: OsString,
        force_folders: bool,
        compilers: usize,
        stop: Stop,
        mirror: Mirror,
    ) -> Self {
        Self {
            path,
            force_folders,
            compilers: Limit::new(compilers),
            stop,
            system_dirs: Answers::default(),
            sources: Sources::default(),
            mirror,
        }
    }

    /// Ends all compilers that run: answers in the making become refusals.
    pub(crate) fn interrupt(&self) {
        self.stop.stop();
    }

    /// Removes all copies. No answer may be in the making.
    pub(crate) fn remove_copies(&self) {
        self.mirror.remove();
    }

    /// Answers one question: what does `compile` need in the working folder `cwd`?
    ///
    /// # Errors
    /// [`Refusal`]: the client has to preprocess by itself.
    pub(crate) fn answer(&self, cwd: &Path, compile: &Compile) -> Result<Answer, Refusal> {
        if !cwd.is_absolute() || !cwd.is_dir() {
            return Err(Refusal::WorkingFolder(cwd.to_owned()));
        }
        let job = self.understand(compile, cwd)?;
        let mut before = None;
        let mut refusal = Refusal::Unsettled;
        for _ in 0..MOST_TRIES {
            match self.try_answer(&job, &mut before) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                // Something changed between the steps.
                Err(again @ (Refusal::Unsettled | Refusal::Missing(_))) => refusal = again,
                Err(refusal) => return Err(refusal),
            }
        }
        Err(refusal)
    }

    /// An answer, if nothing changed since the compiler was asked for its list. Where the
    /// clocks do not show that, the same list with the same files must come twice in a row;
    /// `before` is the one that came last.
    fn try_answer(
        &self,
        job: &Job<'_>,
        before: &mut Option<Vec<Found>>,
    ) -> Result<Option<Answer>, Refusal> {
        let last = before.take();
        let asked = SystemTime::now();
        let (found, tree) = self.find(job)?;
        let is_settled = found
            .iter()
            .filter_map(|file| file.identity)
            .all(|identity| identity.is_settled(asked));
        if !is_settled && last.as_ref() != Some(&found) {
            *before = Some(found);
            return Ok(None);
        }
        self.copy(job, found, tree).map(Some)
    }

    /// What the command's words and its compiler mean.
    fn understand<'a>(&self, compile: &'a Compile, cwd: &'a Path) -> Result<Job<'a>, Refusal> {
        let search = search::parse(compile.argv(), compile.input())?;
        let name = compile.argv().first().map_or(OsStr::new(""), |name| name);
        let compiler = compiler::find(name, cwd, &self.path)
            .ok_or_else(|| Refusal::NoCompiler(name.to_owned()))?;
        let language = language(compile, &search);
        let place = self.compilers.take();
        let system = self
            .system_dirs
            .system_dirs(
                &compiler,
                &language,
                &search.defaults,
                cwd,
                &self.mirror.scratch_name(),
                &self.stop,
            )
            .map_err(|why| Refusal::DefaultFolders {
                compiler: name.to_owned(),
                language,
                why,
            })?;
        drop(place);
        Ok(Job {
            compile,
            cwd,
            compiler,
            search,
            system,
        })
    }

    /// The closure as the compiler lists it, walked.
    fn find<'a>(&self, job: &'a Job<'_>) -> Result<(Vec<Found>, ClientTree<'a>), Refusal> {
        let mut tree = ClientTree::new(&job.system);
        for folder in job.search.folders() {
            tree.folder(&job.cwd.join(folder));
        }
        if !job.system.is_gcc {
            let found = self.walk(job, Naming::AsCompiled, &mut tree)?;
            return Ok((found, tree));
        }
        let as_spelled = self.walk(job, Naming::AsSpelled, &mut tree)?;
        if !self.is_renamed(job, &as_spelled)? {
            return Ok((as_spelled, tree));
        }
        // Links on the way are known from the first list; the names are those of the second.
        let mut found = self.walk(job, Naming::AsCompiled, &mut tree)?;
        let real: HashSet<PathBuf> = found.iter().map(|file| file.real.clone()).collect();
        found.extend(
            as_spelled
                .into_iter()
                .filter(|file| !real.contains(&file.real)),
        );
        Ok((found, tree))
    }

    fn walk(
        &self,
        job: &Job<'_>,
        naming: Naming,
        tree: &mut ClientTree<'_>,
    ) -> Result<Vec<Found>, Refusal> {
        let place = self.compilers.take();
        let names = closure::list(
            job.compile,
            &job.compiler,
            job.cwd,
            naming,
            &self.mirror.scratch_name(),
            &self.stop,
        )?;
        drop(place);
        names
            .into_iter()
            .map(|name| locate(job, name.into(), tree))
            .collect()
    }

    /// Whether gcc may name one of these files otherwise when it compiles. It does so for
    /// headers from system folders, and for what is included by a header that says it is one.
    fn is_renamed(&self, job: &Job<'_>, found: &[Found]) -> Result<bool, Refusal> {
        let bytes = |path: &Path| path.as_os_str().len();
        let is_shorter = |file: &Found| bytes(&file.real) < bytes(&file.spelled);
        let mut sent = found.iter().filter(|file| is_sent(job, file));
        if !sent.clone().any(is_shorter) {
            return Ok(false);
        }
        if !job.search.system.is_empty() || !job.search.after.is_empty() {
            return Ok(true);
        }
        sent.try_fold(false, |any, file| {
            let (source, _) = self.sources.look(&file.real, file.identity)?;
            Ok(any || source.facts.system_header)
        })
    }

    /// Adds what the list leaves out, and copies everything.
    fn copy(
        &self,
        job: &Job<'_>,
        mut found: Vec<Found>,
        mut tree: ClientTree<'_>,
    ) -> Result<Answer, Refusal> {
        match found.first() {
            Some(source) if is_sent(job, source) => {}
            Some(source) => return Err(Refusal::SourceInDefaultFolder(source.real.clone())),
            None => return Err(Refusal::NoList),
        }
        let mut texts = HashMap::new();
        let sources = self.look_through(job, &found, &mut texts)?;
        let asked = self.asked_through_macros(job, &found)?;
        for name in beside(job, &found, &sources, &asked)? {
            found.push(locate(job, name.into(), &mut tree)?);
        }

        let mut paths = Vec::new();
        let mut files = Vec::new();
        let mut done = HashSet::new();
        for file in &found {
            // Reached by several names, a file is named by the first.
            if !is_sent(job, file) || !done.insert(&file.real) {
                continue;
            }
            let spelled = file.spelled.as_os_str();
            let line = file.spelled.is_absolute().then_some(spelled);
            let text = texts.remove(&file.real);
            let copy = self.mirror.file(&file.real, file.identity, line, text)?;
            paths.push(copy.into_os_string());
            files.push(file.real.clone());
        }
        for folder in job.system.topmost() {
            paths.push(self.mirror.link(folder, &link_text(folder))?.into());
        }
        for (link, target) in &tree.links {
            paths.push(self.mirror.link(link, target.as_os_str())?.into());
        }
        if self.force_folders {
            for folder in &tree.folders {
                paths.push(self.mirror.folder(folder)?.into());
            }
        }
        Ok(Answer { paths, files })
    }

    /// The texts of all files that will be sent, by their real paths; none of them may hold
    /// anything whose effect is unknown. Those just read are put into `texts`.
    fn look_through(
        &self,
        job: &Job<'_>,
        found: &[Found],
        texts: &mut HashMap<PathBuf, Text>,
    ) -> Result<HashMap<PathBuf, Arc<Source>>, Refusal> {
        let mut sources = HashMap::new();
        for file in found.iter().filter(|file| is_sent(job, file)) {
            if sources.contains_key(&file.real) {
                continue;
            }
            let (source, text) = self.sources.look(&file.real, file.identity)?;
            if source.identity != file.identity {
                return Err(Refusal::Unsettled);
            }
            if let Some(blocker) = source.facts.blocker {
                return Err(Refusal::Text(file.real.clone(), blocker));
            }
            if let Some(text) = text {
                texts.insert(file.real.clone(), text);
            }
            sources.insert(file.real.clone(), source);
        }
        Ok(sources)
    }

    /// What files that will be sent ask through macros made of `__has_include`, by their real
    /// paths. The macros may also come from files that are not sent.
    fn asked_through_macros(
        &self,
        job: &Job<'_>,
        found: &[Found],
    ) -> Result<HashMap<PathBuf, Vec<Arc<Asked>>>, Refusal> {
        let mut macros = Vec::new();
        for file in found {
            let (source, _) = self.sources.look(&file.real, file.identity)?;
            macros.extend_from_slice(&source.facts.asked.macros);
        }
        let mut through = HashMap::<PathBuf, Vec<Arc<Asked>>>::new();
        let mut done = HashSet::new();
        while let Some(name) = macros.pop() {
            if !done.insert(name.clone()) {
                continue;
            }
            for file in found {
                let asked = self
                    .sources
                    .asked_through(&name, &file.real, file.identity)?;
                macros.extend_from_slice(&asked.macros);
                if !is_sent(job, file) {
                    continue; // What it asks for are files of the server.
                }
                if asked.is_computed {
                    let blocker = Blocker::ComputedHasInclude;
                    return Err(Refusal::Text(file.real.clone(), blocker));
                }
                through.entry(file.real.clone()).or_default().push(asked);
            }
        }
        Ok(through)
    }
}

fn is_sent(job: &Job<'_>, file: &Found) -> bool {
    !job.system.contain(&file.real)
}

fn locate(job: &Job<'_>, spelled: PathBuf, tree: &mut ClientTree<'_>) -> Result<Found, Refusal> {
    let path = job.cwd.join(&spelled);
    let Some((real, metadata)) = tree.file(&path) else {
        return Err(Refusal::Missing(spelled));
    };
    let identity = source::identity(&real, &metadata)?;
    Ok(Found {
        spelled,
        real,
        identity,
    })
}

/// Files that the list leaves out.
fn beside(
    job: &Job<'_>,
    found: &[Found],
    sources: &HashMap<PathBuf, Arc<Source>>,
    asked: &HashMap<PathBuf, Vec<Arc<Asked>>>,
) -> Result<Vec<OsString>, Refusal> {
    let listed: Vec<Listed<'_>> = found
        .iter()
        .filter_map(|file| {
            Some(Listed {
                spelled: &file.spelled,
                real: &file.real,
                facts: &sources.get(&file.real)?.facts,
                through_macros: asked.get(&file.real).map_or(&[], Vec::as_slice),
            })
        })
        .collect();
    let mut lookup = Lookup::new(job.cwd, &job.search, &job.system);
    if let Some(precompiled) = lookup.precompiled(&listed) {
        return Err(Refusal::Precompiled(precompiled));
    }
    let mut names = lookup.asked_for(&listed);
    if job.system.is_gcc {
        let real = found.iter().map(|file| file.real.clone()).collect();
        let spelled = found
            .iter()
            .map(|file| job.cwd.join(&file.spelled))
            .collect();
        names.extend(lookup.second_names(&listed, &real, &spelled)?);
    }
    Ok(names)
}

/// The language in the words of `-x`.
fn language(compile: &Compile, search: &Search) -> OsString {
    if let Some(language) = &search.language {
        return language.clone();
    }
    let preprocessed = command::extension::source(compile.input())
        .map_or("", |source| source.preprocessed_extension);
    OsString::from(match preprocessed {
        ".ii" => "c++",
        ".mi" => "objective-c",
        ".mii" => "objective-c++",
        _ => "c",
    })
}
