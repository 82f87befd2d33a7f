//! A worker: everything one thread knows while it answers, and how it comes to know it.
//!
//! Workers share names, parsed files and the compiler's facts; environment, searches and summaries are a
//! worker's own, so evaluation takes no lock. Two workers may both read a file for the first time: the
//! second parse is thrown away.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dialect::Dialect;
use crate::directives::{Form, Parsed, parse};
use crate::environment::Environment;
use crate::facts::{self, Ask, Compiler, FOLDER_VARIABLES, Facts};
use crate::folders::{Folders, Link};
use crate::macros;
use crate::names::{FastMap, Id, Names, SharedNames, known};
use crate::options::{Command, Invocation, Language};
use crate::refusal::Refusal;
use crate::search::{Chain, ChainRequest, Place, Query, Searches, absolute, search};
use crate::summary::{Item, Root, Summaries};
use crate::tree::{Changes, Stamp, Tree, split};

/// Parsed files by real path and dialect.
type ParsedFiles = HashMap<(Vec<u8>, [u8; 2]), Arc<Loaded>>;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) tree: Arc<dyn Tree>,
    pub(crate) compiler: Arc<dyn Compiler>,
    names: Arc<SharedNames>,
    parsed: Mutex<ParsedFiles>,
    bases: Mutex<HashMap<BaseKey, Arc<Base>>>,
    /// Questions to compilers met in any file so far.
    questions: Mutex<Vec<Id>>,
}

/// A file's bytes, parsed.
pub(crate) struct Loaded {
    pub(crate) stamp: Stamp,
    pub(crate) parsed: Parsed,
    /// Of the content, for gcc's idea of "the same file".
    hash: u64,
}

/// All that the compiler's own facts depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BaseKey {
    compiler: OsString,
    options: Vec<OsString>,
    language: Language,
    cwd: Option<Vec<u8>>,
    variables: Vec<Option<Vec<u8>>>,
    /// Default folders that exist now and did not when the compiler was first asked.
    appeared: Vec<Vec<u8>>,
}

/// A compiler's facts, and the values of all names before any line is read.
pub(crate) struct Base {
    pub(crate) facts: Facts,
    ask: Ask,
    values: Mutex<Arc<Vec<Id>>>,
}

/// Under which rules headers are searched and read.
pub(crate) struct Context {
    pub(crate) cwd: Vec<u8>,
    pub(crate) chain: Chain,
    pub(crate) dialect: Dialect,
    searches: Searches,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ContextKey {
    cwd: Vec<u8>,
    request: ChainRequest,
    dialect: Dialect,
    imports: bool,
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
    loaded: Vec<([u8; 2], Arc<Loaded>)>,
}

/// A search made, and the visit its hit leads to.
pub(crate) struct Lookup {
    /// Indices of absent paths.
    pub(crate) absent: Box<[u32]>,
    pub(crate) precompiled: Option<Vec<u8>>,
    pub(crate) visit: Option<u32>,
    pub(crate) file: u32,
}

/// A file in a context, found at a place: what a summary belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) file: u32,
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
    context_ids: HashMap<ContextKey, u32>,
    bases: HashMap<BaseKey, Arc<Base>>,
    pub(crate) files: Vec<File>,
    file_ids: FastMap<Vec<u8>, u32>,
    beside: Vec<Vec<u8>>,
    beside_ids: FastMap<Vec<u8>, u32>,
    pub(crate) lookups: Vec<Lookup>,
    /// Paths that were probed and are no file.
    pub(crate) absent: Vec<Arc<[u8]>>,
    absent_ids: FastMap<Arc<[u8]>, u32>,
    pub(crate) marks: crate::engine::Marks,
    pub(crate) visits: Vec<Visit>,
    visit_ids: FastMap<(u32, u32, Place), u32>,
    pub(crate) summaries: Summaries,
    pub(crate) items: Vec<Item>,
    pub(crate) stats: crate::engine::Statistics,
    pub(crate) position: u64,
    /// Files whose changes may go unseen, and their stamps when they were read.
    compared: Vec<(Vec<u8>, Option<Stamp>)>,
    pub(crate) memo: bool,
    /// The base of the running translation unit.
    pub(crate) base: Option<Arc<Base>>,
    /// `push_macro` stacks: (value on top, rest).
    pub(crate) stacks: FastMap<(Id, Id), Id>,
    pub(crate) stack_cells: Vec<(Id, Id)>,
}

impl Shared {
    pub(crate) fn new(tree: Arc<dyn Tree>, compiler: Arc<dyn Compiler>) -> Self {
        Shared {
            tree,
            compiler,
            names: Arc::new(SharedNames::new()),
            parsed: Mutex::default(),
            bases: Mutex::default(),
            questions: Mutex::default(),
        }
    }
}

/// Everything behind these locks is complete at any moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, memo: bool) -> Self {
        Worker {
            names: Names::new(Arc::clone(&shared.names)),
            env: Environment::default(),
            folders: Folders::new(Arc::clone(&shared.tree)),
            contexts: Vec::new(),
            context_ids: HashMap::new(),
            bases: HashMap::new(),
            files: Vec::new(),
            file_ids: FastMap::default(),
            beside: Vec::new(),
            beside_ids: FastMap::default(),
            lookups: Vec::new(),
            absent: Vec::new(),
            absent_ids: FastMap::default(),
            marks: crate::engine::Marks::default(),
            visits: Vec::new(),
            visit_ids: FastMap::default(),
            summaries: Summaries::default(),
            items: Vec::new(),
            stats: crate::engine::Statistics::default(),
            position: 0,
            compared: Vec::new(),
            memo,
            base: None,
            stacks: FastMap::default(),
            stack_cells: vec![(0, 0)],
            shared,
        }
    }

    /// Forgets all that depends on the file system. Parsed files stay: they are compared by stamp.
    pub(crate) fn forget(&mut self) {
        self.folders.clear();
        self.contexts.clear();
        self.context_ids.clear();
        self.files.clear();
        self.file_ids.clear();
        self.beside.clear();
        self.beside_ids.clear();
        self.lookups.clear();
        self.absent.clear();
        self.absent_ids.clear();
        self.visits.clear();
        self.visit_ids.clear();
        self.summaries.clear();
        self.compared.clear();
    }

    /// The compiler's facts under the options of this invocation.
    pub(crate) fn base_for(
        &mut self,
        command: &Command,
        invocation: &Invocation,
        language: Language,
        appeared: &[Vec<u8>],
    ) -> Result<Arc<Base>, Refusal> {
        let Some(compiler) = command.argv.first() else {
            return Err(Refusal::Command("no compiler".into()));
        };
        let key = BaseKey {
            compiler: compiler.clone(),
            options: invocation.base.clone(),
            language,
            cwd: (invocation.base_is_local
                || (compiler.as_bytes().contains(&b'/') && !compiler.as_bytes().starts_with(b"/")))
            .then(|| command.cwd.clone()),
            variables: ["PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "SDKROOT"]
                .map(|name| command.variable(name).map(<[u8]>::to_vec))
                .into(),
            appeared: appeared.to_vec(),
        };
        if let Some(base) = self.bases.get(&key) {
            return Ok(Arc::clone(base));
        }
        let known = lock(&self.shared.bases).get(&key).map(Arc::clone);
        let base = match known {
            Some(base) => base,
            None => {
                let base = Arc::new(self.ask_base(command, invocation, language, appeared)?);
                lock(&self.shared.bases).insert(key.clone(), Arc::clone(&base));
                base
            }
        };
        self.bases.insert(key, Arc::clone(&base));
        Ok(base)
    }

    fn ask_base(
        &mut self,
        command: &Command,
        invocation: &Invocation,
        language: Language,
        appeared: &[Vec<u8>],
    ) -> Result<Base, Refusal> {
        let mut arguments = invocation.base.clone();
        arguments.extend(["-w", "-E", "-dD", "-v", "-x", language.name(), "-"].map(OsString::from));
        let env = command
            .env
            .iter()
            .filter(|(name, _)| !FOLDER_VARIABLES.iter().any(|v| name == v))
            .cloned()
            .collect();
        let ask = Ask {
            compiler: command.argv[0].clone(),
            arguments,
            cwd: command.cwd.clone(),
            env,
            script: facts::script(appeared),
        };
        self.stats.questions_asked += 1;
        let said = self.shared.compiler.ask(&ask).map_err(Refusal::Compiler)?;
        let answers = facts::read_answers(&said, facts::STOCK.len()).map_err(Refusal::Compiler)?;
        let facts = facts::read(&said, language).map_err(Refusal::Compiler)?;
        let mut values = vec![0; known::RESERVED.len()];
        let mut scratch = Vec::new();
        let mut set = |name: Id, value: Id| {
            let at = name as usize;
            if values.len() <= at {
                values.resize(at + 1, 0);
            }
            values[at] = value;
        };
        for (name, text) in &facts.macros {
            let name = self.names.id(name);
            set(
                name,
                macros::intern(text, facts.dialect, &mut self.names, &mut scratch),
            );
        }
        for (question, answer) in facts::STOCK.iter().zip(answers) {
            if let Some(answer) = answer {
                set(self.names.id(question.as_bytes()), self.names.id(&answer));
            }
        }
        for &builtin in &facts.builtins {
            let name = self.names.id(builtin.as_bytes());
            set(name, builtin_definition(builtin));
        }
        Ok(Base {
            facts,
            ask,
            values: Mutex::new(Arc::new(values)),
        })
    }

    pub(crate) fn base_values(base: &Base) -> Arc<Vec<Id>> {
        Arc::clone(&lock(&base.values))
    }

    /// Asks the compiler this question, and with it all others that were met and it did not answer yet.
    pub(crate) fn ask_questions(
        &mut self,
        base: &Base,
        question: Id,
    ) -> Result<Arc<Vec<Id>>, String> {
        let values = Self::base_values(base);
        let mut ids: Vec<Id> = lock(&self.shared.questions).clone();
        ids.push(question);
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|&id| values.get(id as usize).copied().unwrap_or(0) == 0);
        if ids.is_empty() {
            return Ok(values);
        }
        let questions: Vec<Vec<u8>> = ids
            .iter()
            .map(|&id| self.names.entry(id).bytes.to_vec())
            .collect();
        let ask = Ask {
            script: facts::question_script(&questions),
            ..base.ask.clone()
        };
        self.stats.questions_asked += 1;
        let said = self.shared.compiler.ask(&ask)?;
        let answers = facts::read_answers(&said, questions.len())?;
        let mut all = values.to_vec();
        for (&id, answer) in ids.iter().zip(answers) {
            let at = id as usize;
            if all.len() <= at {
                all.resize(at + 1, 0);
            }
            // An error is an answer too: `DEF_UNKNOWN`.
            all[at] = answer.map_or(known::DEF_UNKNOWN, |answer| self.names.id(&answer));
        }
        let mut slot = lock(&base.values);
        // Another worker may have learned more meanwhile; keep both.
        for (at, &value) in slot.iter().enumerate() {
            if all.len() <= at {
                all.resize(at + 1, 0);
            }
            if all[at] == 0 {
                all[at] = value;
            }
        }
        *slot = Arc::new(all);
        Ok(Arc::clone(&slot))
    }

    /// The context for this search request.
    pub(crate) fn context_for(
        &mut self,
        cwd: &[u8],
        request: ChainRequest,
        dialect: Dialect,
        imports: bool,
    ) -> u32 {
        let key = ContextKey {
            cwd: cwd.to_vec(),
            request,
            dialect,
            imports,
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
        let id = index(self.contexts.len());
        self.contexts.push(Context {
            cwd: cwd.to_vec(),
            chain,
            dialect,
            searches: Searches::default(),
        });
        self.context_ids.insert(key, id);
        id
    }

    fn beside_id(&mut self, folder: &[u8]) -> u32 {
        if let Some(&id) = self.beside_ids.get(folder) {
            return id;
        }
        let id = index(self.beside.len());
        self.beside.push(folder.to_vec());
        self.beside_ids.insert(folder.to_vec(), id);
        id
    }

    fn absent_id(&mut self, path: Vec<u8>) -> u32 {
        if let Some(&id) = self.absent_ids.get(path.as_slice()) {
            return id;
        }
        let id = index(self.absent.len());
        let path: Arc<[u8]> = path.into();
        self.absent.push(Arc::clone(&path));
        self.absent_ids.insert(path, id);
        id
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
        });
        self.file_ids.insert(key, id);
        id
    }

    /// The visit of a file at a place.
    pub(crate) fn visit(&mut self, file: u32, context: u32, place: Place) -> u32 {
        let next = index(self.visits.len());
        let id = *self.visit_ids.entry((file, context, place)).or_insert(next);
        if id == next {
            self.visits.push(Visit {
                file,
                place,
                root: None,
            });
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
        place: Place,
    ) -> u32 {
        let quoted = self.names.entry(header).bytes.first() == Some(&b'"');
        // What does not matter to the search is left out of the key, so that more searches are equal.
        let clang = self.contexts[context as usize].dialect.clang;
        let form = if form == Form::Next && place != Place::Main {
            Form::Next
        } else {
            Form::Include
        };
        let query = Query {
            header,
            form,
            beside: if quoted { beside } else { u32::MAX },
            place: if form == Form::Next || (clang && quoted) {
                place
            } else {
                Place::Main
            },
        };
        if let Some(&id) = self.contexts[context as usize].searches.known.get(&query) {
            return id;
        }
        let header = self.names.entry(header);
        let here = &self.contexts[context as usize];
        let outcome = search(
            &header.bytes,
            form,
            &self.beside[beside as usize],
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
            .map(|path| self.absent_id(path))
            .collect();
        let mut lookup = Lookup {
            absent,
            precompiled: outcome.precompiled,
            visit: None,
            file: u32::MAX,
        };
        if let Some(hit) = outcome.hit {
            lookup.file = self.file(&cwd, &hit.spelled, hit.real, hit.links, hit.folder);
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

    /// The parsed file; `None` if it cannot be read.
    pub(crate) fn load(&mut self, file: u32, dialect: Dialect) -> Option<Arc<Loaded>> {
        let code = dialect.code();
        if let Some((_, loaded)) = self.files[file as usize]
            .loaded
            .iter()
            .find(|(c, _)| *c == code)
        {
            return Some(Arc::clone(loaded));
        }
        let key = (self.files[file as usize].real.to_vec(), code);
        let known = lock(&self.shared.parsed).get(&key).map(Arc::clone);
        let known = match known {
            Some(known) => self
                .shared
                .tree
                .stamp(&key.0)
                .filter(|now| now.is_same_as(&known.stamp))
                .map(|_| known),
            None => None,
        };
        let loaded = match known {
            Some(known) => known,
            None => {
                let (bytes, stamp) = self.shared.tree.read(&key.0)?;
                let parsed = parse(&bytes, dialect, &mut self.names);
                self.stats.files_parsed += 1;
                self.stats.bytes_parsed += bytes.len() as u64;
                if !parsed.questions.is_empty() {
                    lock(&self.shared.questions).extend_from_slice(&parsed.questions);
                }
                let mut hasher = DefaultHasher::new();
                hasher.write(&bytes);
                let loaded = Arc::new(Loaded {
                    stamp,
                    parsed,
                    hash: hasher.finish(),
                });
                lock(&self.shared.parsed).insert(key, Arc::clone(&loaded));
                loaded
            }
        };
        self.files[file as usize]
            .loaded
            .push((code, Arc::clone(&loaded)));
        Some(loaded)
    }

    /// The pseudo-name of a file's once-mark. gcc takes files of equal content, size and second for one; clang goes by inode.
    pub(crate) fn once_mark(&mut self, loaded: &Loaded, clang: bool) -> Id {
        let stamp = loaded.stamp;
        let text = if clang {
            format!("\u{4}once {:?}", stamp.inode)
        } else {
            format!(
                "\u{4}once {} {} {:x}",
                stamp.size,
                stamp.mtime_ns.div_euclid(1_000_000_000),
                loaded.hash
            )
        };
        self.names.id(text.as_bytes())
    }

    /// The pseudo-name that says a file was entered. For gcc a file is a spelling found in one way.
    pub(crate) fn entered_mark(&mut self, visit: Visit, loaded: &Loaded, clang: bool) -> Id {
        let mut text = b"\x04entered ".to_vec();
        if clang {
            text.extend_from_slice(format!("{:?}", loaded.stamp.inode).as_bytes());
        } else {
            text.push(u8::from(visit.place == Place::Beside));
            text.extend_from_slice(&self.files[visit.file as usize].path);
        }
        self.names.id(&text)
    }

    /// The pseudo-name that says which files with this content are known.
    pub(crate) fn known_mark(&mut self, loaded: &Loaded) -> Id {
        let once = self.once_mark(loaded, false);
        let mut text = b"\x04known ".to_vec();
        text.extend_from_slice(&self.names.entry(once).bytes);
        self.names.id(&text)
    }
}

fn builtin_definition(name: &str) -> Id {
    match name {
        "__FILE__" => known::DEF_FILE,
        "__LINE__" => known::DEF_LINE,
        "__COUNTER__" => known::DEF_COUNTER,
        "__DATE__" | "__TIME__" | "__TIMESTAMP__" => known::DEF_DATE,
        "__BASE_FILE__" => known::DEF_BASE_FILE,
        "__INCLUDE_LEVEL__" => known::DEF_LEVEL,
        "__has_include" => known::DEF_HAS_INCLUDE,
        "__has_include_next" => known::DEF_HAS_INCLUDE_NEXT,
        "__has_embed" => known::DEF_HAS_EMBED,
        "_Pragma" => known::DEF_PRAGMA,
        "__FILE_NAME__" => known::DEF_UNKNOWN,
        _ => known::DEF_QUESTION,
    }
}

impl Worker {
    /// Takes notice of all changes up to now. A change that can matter makes the worker forget what depends on
    /// the file system, all at once. Parsed files and names stay, so the next answers cost one `stat` for each file
    /// they visit and one evaluation for each state: simple and never half stale, but a project with many files
    /// pays for all of them after each change.
    pub(crate) fn notice_changes(&mut self) {
        let tree = Arc::clone(&self.shared.tree);
        let now = tree.drain();
        let mut stale = false;
        if now != self.position {
            match tree.changes_since(self.position) {
                Changes::Unknown => stale = true,
                Changes::Entries(entries) => {
                    for entry in entries {
                        stale |= self.folders.note_change(&entry);
                    }
                }
            }
            self.position = now;
        }
        let same = |path: &[u8], before: &Option<Stamp>| match (tree.stamp(path), before) {
            (Some(now), Some(before)) => now.is_same_as(before),
            (None, None) => true,
            _ => false,
        };
        stale = stale
            || !self
                .folders
                .unwatched
                .iter()
                .all(|(path, before)| same(path, before));
        stale = stale
            || !self
                .compared
                .iter()
                .all(|(path, before)| same(path, before));
        if stale {
            self.forget();
        }
    }
}
