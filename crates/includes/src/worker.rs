//! A worker: everything one thread knows while it answers, and how it comes to know it.
//!
//! Workers share names, parsed files and the compiler's facts; environment, searches and summaries are a
//! worker's own, so evaluation takes no lock. Summaries are offered to others, which make them their own, and whole
//! answers are taken from each other. Two workers may both read or evaluate a file for the first time; what the second
//! finds is thrown away. As long as they find something to read that they need later, they do that instead (`evaluate::ahead`).

use std::sync::{Arc, Mutex};

use crate::compilers::ask::Compiler;
use crate::compilers::asked_once::AskedOnce;
use crate::compilers::bases::{Base, BaseKey};
use crate::engine::Settings;
use crate::locks::lock;
use crate::macros::expand::Spare;
use crate::macros::known_makers::{KnownMakers, SharedMakers};
use crate::macros::option_pragmas::OptionMacros;
use crate::memory::adoption::Adopted;
use crate::memory::answers::{AllAnswers, Answers};
use crate::memory::environment::Environment;
use crate::memory::flat::Flats;
use crate::memory::names::{FastMap, Id, Names, SharedNames};
use crate::memory::offers::Offers;
use crate::memory::summary::{Item, Root, Summaries};
use crate::memory::transfer::Transfers;
use crate::parsing::dialect::Dialect;
use crate::parsing::loaded::Loaded;
use crate::parsing::parsed_files::ParsedFiles;
use crate::parsing::steps::{Form, Likeness};
use crate::refusal::Refusal;
use crate::search::folders::{Folders, Link};
use crate::search::{Chain, ChainRequest, Place, Query, Searches, Through, absolute, search};
use crate::tree::{Stamp, Tree, split};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) tree: Arc<dyn Tree>,
    pub(crate) compiler: Arc<dyn Compiler>,
    names: Arc<SharedNames>,
    pub(crate) parsed: Mutex<ParsedFiles>,
    pub(crate) bases: AskedOnce<BaseKey, Arc<Base>, Refusal>,
    /// Macros that may make pragmas, met in any file so far.
    makers: Arc<SharedMakers>,
    pub(crate) offers: Offers,
    pub(crate) answers: AllAnswers,
    /// Questions to compilers met in any file so far.
    pub(crate) questions: Mutex<Vec<Id>>,
}

/// Under which rules headers are searched and read.
pub(crate) struct Context {
    pub(crate) cwd: Vec<u8>,
    pub(crate) chain: Chain,
    pub(crate) dialect: Dialect,
    pub(crate) noted: Noted,
    searches: Searches,
    /// What has turned out to matter here.
    pub(crate) wants: Noted,
    /// What clang calls folders of the chain, also where it finds files beside others: by real path.
    pub(crate) names: FastMap<Arc<[u8]>, u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContextKey {
    cwd: Vec<u8>,
    request: ChainRequest,
    dialect: Dialect,
    noted: Noted,
    in_system: bool,
}

/// What is noted on the way only where it can matter, because it costs time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Noted {
    /// Every entry into a file, for `#import`.
    pub(crate) entries: bool,
    /// Which folders gcc takes for the system's, for the names of files beside others.
    pub(crate) system: bool,
    /// By which name each file was met first, for clang and files that have several.
    pub(crate) names: bool,
    /// By which names each folder was met, for `__FILE__` of clang in a directive.
    pub(crate) folders: bool,
}

impl Noted {
    pub(crate) fn and(self, other: Noted) -> Noted {
        Noted {
            entries: self.entries || other.entries,
            system: self.system || other.system,
            names: self.names || other.names,
            folders: self.folders || other.folders,
        }
    }
}

/// A file under one spelling.
pub(crate) struct File {
    pub(crate) spelled: Arc<[u8]>,
    pub(crate) path: Vec<u8>,
    pub(crate) real: Arc<[u8]>,
    pub(crate) links: Vec<Link>,
    pub(crate) folder: u32,
    /// Index of its folder as spelled.
    pub(crate) beside: u32,
    pub(crate) loaded: Vec<(Dialect, Arc<Loaded>)>,
    /// What it is to the summaries that rest on it.
    pub(crate) renewed: Likeness,
    /// Device and inode, once asked for.
    pub(crate) inode: Option<(u64, u64)>,
}

/// A search made, and the visit its hit leads to.
pub(crate) struct Lookup {
    /// Paths probed before.
    pub(crate) absent: Arc<[Arc<[u8]>]>,
    pub(crate) precompiled: Option<Vec<u8>>,
    pub(crate) visit: Option<u32>,
    pub(crate) file: u32,
    /// What was searched, to be searched under another chain.
    pub(crate) header: Id,
    pub(crate) form: Form,
    /// How it was found, if its name does not say so.
    pub(crate) through: Option<Through>,
    pub(crate) depends_on_system: bool,
}

/// A file in a context, found at a place: what a summary belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) file: u32,
    pub(crate) context: u32,
    pub(crate) place: Place,
    pub(crate) root: Root,
}

/// One thread's knowledge.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) names: Names,
    pub(crate) env: Environment,
    pub(crate) folders: Folders,
    pub(crate) contexts: Vec<Context>,
    pub(crate) context_ids: FastMap<ContextKey, u32>,
    pub(crate) bases: FastMap<BaseKey, Arc<Base>>,
    pub(crate) files: Vec<File>,
    pub(crate) file_ids: FastMap<Vec<u8>, u32>,
    pub(crate) beside: Vec<Vec<u8>>,
    pub(crate) beside_ids: FastMap<Vec<u8>, u32>,
    pub(crate) lookups: Vec<Lookup>,
    /// Paths that were probed and are no file.
    pub(crate) absent: FastMap<Arc<[u8]>, ()>,
    pub(crate) marks: crate::gathering::Marks,
    pub(crate) visits: Vec<Visit>,
    pub(crate) visit_ids: FastMap<(u32, u32, Place), u32>,
    pub(crate) summaries: Summaries,
    pub(crate) transfers: Transfers,
    pub(crate) adopted: Adopted,
    pub(crate) flats: Flats,
    pub(crate) answers: Answers,
    pub(crate) items: Vec<Item>,
    pub(crate) stats: crate::engine::Statistics,
    pub(crate) position: u64,
    /// Files whose changes may go unseen, and their stamps when they were read.
    pub(crate) compared: FastMap<Arc<[u8]>, Option<Stamp>>,
    pub(crate) memo: bool,
    pub(crate) expansion_limit: u64,
    /// The number of the thread that used it last.
    pub(crate) thread: usize,
    /// With which beginning of what is shared it began.
    pub(crate) beginning: u64,
    /// The base of the running translation unit.
    pub(crate) base: Option<Arc<Base>>,
    /// The macros that may make pragmas: files are parsed against them.
    pub(crate) makers: KnownMakers,
    /// Their generation when the oldest summary was made.
    pub(crate) summarised_makers: u32,
    pub(crate) option_macros: OptionMacros,
    /// For expansions.
    pub(crate) spare: Spare,
    /// For the text of a file while it is parsed.
    pub(crate) text: Vec<u8>,
}

impl Shared {
    pub(crate) fn new(tree: Arc<dyn Tree>, compiler: Arc<dyn Compiler>) -> Self {
        let names = Arc::new(SharedNames::new());
        Shared {
            tree,
            compiler,
            makers: Arc::new(SharedMakers::new(&names)),
            names,
            parsed: Mutex::default(),
            bases: AskedOnce::default(),
            offers: Offers::default(),
            answers: AllAnswers::default(),
            questions: Mutex::default(),
        }
    }

    /// Words of memory of what workers share, about.
    pub(crate) fn weight(&self) -> usize {
        let bases = self.bases.answers();
        let values = bases.iter().map(|base| Worker::base_values(base).len());
        self.names.weight()
            + lock(&self.parsed).weight
            + self.offers.weight()
            + values.sum::<usize>() / 2
    }
}

impl Drop for Worker {
    /// Others do not wait for what a worker was at when it panicked.
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.shared.parsed).end_all_reading(self.thread);
            self.shared.offers.end_all(self.thread);
        }
    }
}

pub(crate) fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, settings: &Settings) -> Self {
        Worker {
            names: Names::new(Arc::clone(&shared.names)),
            env: Environment::default(),
            folders: Folders::new(Arc::clone(&shared.tree), settings.past_precompiled),
            contexts: Vec::new(),
            context_ids: FastMap::default(),
            bases: FastMap::default(),
            files: Vec::new(),
            file_ids: FastMap::default(),
            beside: Vec::new(),
            beside_ids: FastMap::default(),
            lookups: Vec::new(),
            absent: FastMap::default(),
            marks: crate::gathering::Marks::default(),
            visits: Vec::new(),
            visit_ids: FastMap::default(),
            summaries: Summaries::default(),
            transfers: Transfers::default(),
            adopted: Adopted::default(),
            flats: Flats::default(),
            answers: shared.answers.join(),
            items: Vec::new(),
            stats: crate::engine::Statistics::default(),
            position: 0,
            compared: FastMap::default(),
            memo: settings.memo,
            expansion_limit: settings.expansion_limit,
            thread: 0,
            beginning: 0,
            base: None,
            makers: KnownMakers::new(Arc::clone(&shared.makers)),
            summarised_makers: 0,
            option_macros: OptionMacros::default(),
            spare: Spare::default(),
            text: Vec::new(),
            shared,
        }
    }

    /// Words of memory of what this worker may forget, about.
    pub(crate) fn weight(&self) -> usize {
        self.summaries.weight
            + self.env.layers.weight()
            + self.flats.weight
            + self.answers.weight
            + self.folders.weight
            + 64 * self.contexts.len()
            + 32 * self.files.len()
            + 16 * self.lookups.len()
            + 16 * self.absent.len()
            + 8 * self.visits.len()
            + 6 * self.adopted.len()
            + 4 * self.compared.len()
    }

    /// The context for this search request.
    pub(crate) fn context_for(
        &mut self,
        cwd: &[u8],
        request: ChainRequest,
        dialect: Dialect,
        noted: Noted,
        in_system: bool,
    ) -> u32 {
        let key = ContextKey {
            cwd: cwd.to_vec(),
            request,
            dialect,
            noted,
            in_system,
        };
        if let Some(&id) = self.context_ids.get(&key) {
            return id;
        }
        let chain = Chain::build(
            &key.request,
            cwd,
            dialect.clang,
            &mut self.folders,
            &*self.shared.tree,
        );
        let mut names = FastMap::default();
        for folder in &chain.names {
            // The compiler writes the current folder, but in dependencies not.
            if let Some(real) = self.folders.get(folder.id).real.clone()
                && folder.spelled != b"."
            {
                names.insert(real, self.beside_id(&folder.spelled));
            }
        }
        let id = index(self.contexts.len());
        self.contexts.push(Context {
            cwd: cwd.to_vec(),
            chain,
            dialect,
            noted,
            searches: Searches::default(),
            wants: Noted::default(),
            names,
        });
        self.context_ids.insert(key, id);
        id
    }

    pub(crate) fn beside_id(&mut self, folder: &[u8]) -> u32 {
        if let Some(&id) = self.beside_ids.get(folder) {
            return id;
        }
        let id = index(self.beside.len());
        self.beside.push(folder.to_vec());
        self.beside_ids.insert(folder.to_vec(), id);
        id
    }

    fn absent_path(&mut self, path: Vec<u8>) -> Arc<[u8]> {
        if let Some((known, ())) = self.absent.get_key_value(path.as_slice()) {
            return Arc::clone(known);
        }
        let path: Arc<[u8]> = path.into();
        self.absent.insert(Arc::clone(&path), ());
        path
    }

    /// The file with this spelling.
    pub(crate) fn file(
        &mut self,
        cwd: &[u8],
        spelled: &[u8],
        real: Vec<u8>,
        links: Vec<Link>,
        folder: u32,
    ) -> u32 {
        let mut key = spelled.to_vec();
        if !spelled.starts_with(b"/") {
            key.push(0);
            key.extend_from_slice(cwd);
        }
        if let Some(&id) = self.file_ids.get(&key) {
            return id;
        }
        let id = index(self.files.len());
        let beside = self.beside_id(split(spelled).0);
        let path = absolute(cwd, spelled);
        self.files.push(File {
            spelled: spelled.into(),
            path,
            real: real.into(),
            links,
            folder,
            beside,
            loaded: Vec::new(),
            renewed: Likeness::Same,
            inode: None,
        });
        self.file_ids.insert(key, id);
        id
    }

    /// What the compiler calls this folder, as an index, if it looks into it because of a file there; `spelled` is the
    /// folder in that file's name.
    pub(crate) fn name_of_folder(&self, context: u32, folder: u32, spelled: u32) -> u32 {
        let names = &self.contexts[context as usize].names;
        if names.is_empty() {
            return spelled;
        }
        let real = self.folders.get(folder).real.as_ref();
        real.and_then(|real| names.get(real))
            .map_or(spelled, |&name| name)
    }

    /// The pseudo-name that says by which name a file was met first.
    pub(crate) fn first_name_mark(&mut self, file: u32) -> Id {
        let file = &mut self.files[file as usize];
        let tree = &self.shared.tree;
        let inode = *file
            .inode
            .get_or_insert_with(|| tree.stamp(&file.real).unwrap_or_default().inode);
        self.names.id(format!("\u{4}first {inode:?}").as_bytes())
    }

    /// The visit of a file at a place.
    pub(crate) fn visit(&mut self, file: u32, context: u32, place: Place) -> u32 {
        let next = index(self.visits.len());
        let id = *self.visit_ids.entry((file, context, place)).or_insert(next);
        if id == next {
            self.visits.push(Visit {
                file,
                context,
                place,
                root: None,
            });
            self.note_sibling(id);
        }
        id
    }

    /// Searches for a header, or remembers.
    pub(crate) fn lookup(
        &mut self,
        context: u32,
        header: Id,
        form: Form,
        beside: u32,
        beside_system: bool,
        place: Place,
    ) -> u32 {
        let quoted = self.names.spelling(header).first() == Some(&b'"');
        // What does not matter to the search is left out of the key, so that more searches are equal.
        let clang = self.contexts[context as usize].dialect.clang;
        let searched = if form == Form::Next && place != Place::Main {
            Form::Next
        } else {
            Form::Include
        };
        let query = Query {
            header,
            form: searched,
            beside: if quoted { beside } else { u32::MAX },
            place: if searched == Form::Next || (clang && quoted) || place == Place::CommandLine {
                place
            } else {
                Place::Main
            },
            beside_system: quoted && beside_system,
        };
        if let Some(&id) = self.contexts[context as usize].searches.known.get(&query) {
            return id;
        }
        let name = self.names.entry(header);
        let here = &self.contexts[context as usize];
        let outcome = search(
            &name.bytes,
            query.form,
            &self.beside[beside as usize],
            beside_system,
            place,
            &here.chain,
            &here.cwd,
            here.dialect.clang,
            &mut self.folders,
        );
        self.stats.searches += 1;
        let cwd = here.cwd.clone();
        let absent = outcome
            .absent
            .into_iter()
            .map(|path| self.absent_path(path))
            .collect();
        let mut lookup = Lookup {
            absent,
            precompiled: outcome.precompiled,
            visit: None,
            file: u32::MAX,
            header,
            // Who makes the same search elsewhere makes it as it was made here, and not as its first includer asked
            // for it: for `#include_next` in a main file, from the start.
            form: searched,
            through: None,
            depends_on_system: outcome.depends_on_system,
        };
        if let Some(hit) = outcome.hit {
            lookup.file = self.file(&cwd, &hit.spelled, hit.real, hit.links, hit.folder);
            lookup.through = hit.through;
            lookup.visit = Some(self.visit(lookup.file, context, hit.place));
        }
        let id = index(self.lookups.len());
        self.lookups.push(lookup);
        self.contexts[context as usize]
            .searches
            .known
            .insert(query, id);
        id
    }
}
