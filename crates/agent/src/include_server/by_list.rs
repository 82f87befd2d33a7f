//! The long way: the compiler runs and lists what it opens, for compiles that the include engine
//! refuses.
//!
//! Its list leaves files out, which are looked for in the text of the others. Nothing about the
//! closure is remembered between two questions, so it cannot be stale. What is remembered, the
//! text of files, is checked against the file's identity each time.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use command::Compile;

use super::client_tree::{ClientTree, Disk, Needs};
use super::closure::{self, Naming};
use super::job::{Found, Job};
use super::limit::Limit;
use super::lookup::{Listed, Lookup};
use super::mirror::Mirror;
use super::refusal::Refusal;
use super::run::Stop;
use super::scan::{Asked, Blocker};
use super::search::Search;
use super::source::{self, Source, Sources, Text};
use super::system_dirs::{Answers, SystemDirs};

/// What this way keeps between two questions.
pub(crate) struct Lists {
    /// Compilers that run at once.
    compilers: Limit,
    stop: Arc<Stop>,
    system_dirs: Answers,
    sources: Arc<Sources>,
    /// Has names for files of the moment.
    mirror: Arc<Mirror>,
}

/// A closure as the compiler lists it, and what belongs to it.
pub(crate) struct Walked {
    pub(crate) system: Arc<SystemDirs>,
    pub(crate) found: Vec<Found>,
    pub(crate) beside: Needs,
    pub(crate) texts: HashMap<PathBuf, Text>,
}

impl Lists {
    pub(crate) fn new(
        compilers: usize,
        stop: Arc<Stop>,
        sources: Arc<Sources>,
        mirror: Arc<Mirror>,
    ) -> Self {
        Self {
            compilers: Limit::new(compilers),
            stop,
            system_dirs: Answers::default(),
            sources,
            mirror,
        }
    }

    /// The files, if none changed since the compiler was asked for its list. Where the clocks do
    /// not show that, the same list with the same files must come twice in a row; `before` is the
    /// one that came last. `precompiled` is a header that stands precompiled beside itself.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn walk_settled(
        &self,
        job: &Job<'_>,
        precompiled: Option<&Path>,
        before: &mut Option<Vec<Found>>,
    ) -> Result<Option<Walked>, Refusal> {
        let system = self.system_dirs(job)?;
        let last = before.take();
        let asked = SystemTime::now();
        let (found, tree) = self.find(job, &system, precompiled)?;
        let is_settled = found
            .iter()
            .filter_map(|file| file.identity)
            .all(|identity| identity.is_settled(asked));
        if !is_settled && last.as_ref() != Some(&found) {
            *before = Some(found);
            return Ok(None);
        }
        self.complete(job, &system, found, tree).map(Some)
    }

    fn system_dirs(&self, job: &Job<'_>) -> Result<Arc<SystemDirs>, Refusal> {
        let language = language(job.compile, &job.search);
        let _place = self.compilers.take();
        self.system_dirs
            .system_dirs(
                &job.compiler,
                &language,
                &job.search.defaults,
                job.cwd,
                &self.mirror.scratch_name(),
                &self.stop,
            )
            .map_err(|why| Refusal::DefaultFolders {
                compiler: job.compile.argv().first().cloned().unwrap_or_default(),
                language,
                why,
            })
    }

    /// The closure as the compiler lists it, walked.
    fn find<'a>(
        &self,
        job: &Job<'_>,
        system: &'a SystemDirs,
        precompiled: Option<&Path>,
    ) -> Result<(Vec<Found>, ClientTree<'a, Disk>), Refusal> {
        let mut tree = ClientTree::new(system, Disk);
        for folder in job.search.folders() {
            tree.folder(&job.cwd.join(folder));
        }
        if !system.is_gcc {
            let found = self.list(job, Naming::AsCompiled, precompiled, &mut tree)?;
            return Ok((found, tree));
        }
        let as_spelled = self.list(job, Naming::AsSpelled, precompiled, &mut tree)?;
        let sent: Vec<&Found> = as_spelled
            .iter()
            .filter(|file| system.let_send(file))
            .collect();
        let mut is_renamed = sent.iter().any(|file| job.search.renames(file));
        if !is_renamed && sent.iter().any(|file| file.has_shorter_name()) {
            for file in sent {
                let (source, _) = self.sources.look(&file.real, file.identity)?;
                is_renamed |= source.facts.system_header;
            }
        }
        if !is_renamed {
            return Ok((as_spelled, tree));
        }
        // Links on the way are known from the first list; the names are those of the second.
        let mut found = self.list(job, Naming::AsCompiled, precompiled, &mut tree)?;
        let real: HashSet<PathBuf> = found.iter().map(|file| file.real.clone()).collect();
        found.extend(
            as_spelled
                .into_iter()
                .filter(|file| !real.contains(&file.real)),
        );
        Ok((found, tree))
    }

    fn list(
        &self,
        job: &Job<'_>,
        naming: Naming,
        precompiled: Option<&Path>,
        tree: &mut ClientTree<'_, Disk>,
    ) -> Result<Vec<Found>, Refusal> {
        let place = self.compilers.take();
        let list = closure::list(
            job.compile,
            &job.compiler,
            job.cwd,
            naming,
            &self.mirror.scratch_name(),
            &self.stop,
        )?;
        drop(place);
        // Such a header may be made to fail where it is not used precompiled.
        if let Some(header) = precompiled.filter(|_| !list.is_whole) {
            return Err(Refusal::Precompiled(header.to_owned()));
        }
        list.names
            .into_iter()
            .map(|name| locate(job, name.into(), tree))
            .collect()
    }

    /// Adds what the list leaves out.
    fn complete(
        &self,
        job: &Job<'_>,
        system: &Arc<SystemDirs>,
        mut found: Vec<Found>,
        mut tree: ClientTree<'_, Disk>,
    ) -> Result<Walked, Refusal> {
        match found.first() {
            Some(source) if system.let_send(source) => {}
            Some(source) => return Err(Refusal::SourceInDefaultFolder(source.real.clone())),
            None => return Err(Refusal::NoList),
        }
        let mut texts = HashMap::new();
        let sources = self.look_through(system, &found, &mut texts)?;
        let asked = self.asked_through_macros(system, &found)?;
        for name in beside(job, system, &found, &sources, &asked)? {
            found.push(locate(job, name.into(), &mut tree)?);
        }
        Ok(Walked {
            system: Arc::clone(system),
            found,
            beside: tree.needs(),
            texts,
        })
    }

    /// The texts of all files that will be sent, by their real paths; none of them may hold
    /// anything whose effect is unknown. Those just read are put into `texts`.
    fn look_through(
        &self,
        system: &SystemDirs,
        found: &[Found],
        texts: &mut HashMap<PathBuf, Text>,
    ) -> Result<HashMap<PathBuf, Arc<Source>>, Refusal> {
        let mut sources = HashMap::new();
        for file in found.iter().filter(|file| system.let_send(file)) {
            if sources.contains_key(&file.real) {
                continue;
            }
            let (source, text) = self.sources.look(&file.real, file.identity)?;
            if source.identity != file.identity {
                return Err(Refusal::Unsettled);
            }
            if let Some(blocker) = source.facts.blockers.first() {
                return Err(Refusal::Text(file.real.clone(), *blocker));
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
        system: &SystemDirs,
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
                if !system.let_send(file) {
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

fn locate(
    job: &Job<'_>,
    spelled: PathBuf,
    tree: &mut ClientTree<'_, Disk>,
) -> Result<Found, Refusal> {
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
    system: &SystemDirs,
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
    let mut lookup = Lookup::new(job.cwd, &job.search, system);
    if !system.is_gcc
        && let Some(precompiled) = lookup.precompiled()
    {
        return Err(Refusal::Precompiled(precompiled));
    }
    let mut names = lookup.asked_for(&listed);
    if system.is_gcc {
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
