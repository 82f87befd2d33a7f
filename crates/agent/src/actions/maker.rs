//! One command: an action, or a reason why it has to run where it was called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use action::{Digest, Hermetic, Job};
use includes::Closure;
use remote::{Content, Contents, Order};
use toolchain::{Places, Surroundings};

use super::digests::Digests;
use super::environment;
use super::headers::{self, Headers};
use super::inputs::{Besides, Inputs, NoInputs, elsewhere, gather, is_in_memory, is_of_machine};
use super::locale::Locales;
use super::named;
use super::toolchains::{Found, Toolchains};

/// How often a compile is looked at while its files keep changing.
const MOST_TRIES: usize = 6;

/// Where the loader looks first.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Makes actions; for all threads.
pub struct Maker {
    headers: Headers,
    files: Arc<Digests>,
    toolchains: Toolchains,
    locales: Locales,
}

/// A command as it was called.
#[derive(Clone, Debug)]
pub struct Called {
    /// The words, without `@file` among them.
    pub argv: Vec<OsString>,
    /// All variables.
    pub environment: Vec<(OsString, OsString)>,
    /// The working folder: absolute.
    pub cwd: PathBuf,
    /// Whether messages go to a terminal that shows colours.
    pub in_colour: bool,
}

/// An action, ready to be run.
pub struct Made {
    /// For a server.
    pub order: Order,
    /// Where each output of the action goes: a path as the command has it.
    pub outputs: BTreeMap<String, Vec<u8>>,
    /// That of the object among them.
    pub object: OsString,
    /// The source, as written.
    pub source: OsString,
    /// It works in `/dev/shm`, of which engines may have their own.
    pub in_memory: bool,
}

/// Why a command is no action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAction {
    /// In words.
    pub why: String,
    /// It is nothing for other machines at all: elsewhere it would be another compile, or fail with more words.
    pub stays: bool,
}

impl From<String> for NoAction {
    fn from(why: String) -> Self {
        Self { why, stays: false }
    }
}

impl NoAction {
    pub(super) fn stays(why: String) -> Self {
        Self { why, stays: true }
    }
}

impl Maker {
    /// `make` makes engines, which find what is included. Digests of files are kept in the file `digests`, if anywhere.
    pub fn new(make: Box<headers::Make>, digests: Option<PathBuf>) -> Self {
        Self {
            headers: Headers::new(make),
            files: Arc::new(Digests::kept_in(digests)),
            toolchains: Toolchains::default(),
            locales: Locales::default(),
        }
    }

    /// Keeps on disk what was found out about files.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self) -> io::Result<()> {
        self.files.keep()
    }

    /// Makes an action of a command.
    ///
    /// # Errors
    /// Why no engine can run it.
    pub fn make(&self, called: &Called) -> Result<Made, NoAction> {
        let hermetic = command::hermetic::hermetic(&called.argv).map_err(|why| why.to_string())?;
        let variables = environment::of_action(&called.environment, &called.cwd)
            .map_err(|name| format!("the variable {} is set", name.display()))?;
        let mut in_memory = is_in_memory(&called.cwd);
        let own = |path: &Path| is_of_machine(path) && path != Path::new("/dev/null");
        if own(&called.cwd) {
            return Err(elsewhere(&called.cwd).into());
        }
        for output in &hermetic.writes {
            // Whoever writes into a folder that is not there has to be told so.
            let path = called.cwd.join(output);
            if output == &hermetic.output && !path.parent().is_some_and(Path::is_dir) {
                return Err(format!("there is no folder for {}", output.display()).into());
            }
            if own(&path) {
                return Err(elsewhere(&path).into());
            }
            in_memory |= is_in_memory(&path);
        }
        let around = Surroundings {
            variables: called.environment.clone(),
            folder: called.cwd.clone(),
        };
        let compiler = self.toolchains.find(&called.argv, &hermetic, &around)?;
        let mut variables = variables;
        if let Some(path) = around.variable(LIBRARY_PATH)
            && compiler.toolchain.needs_library_path
        {
            variables.insert(LIBRARY_PATH.into(), path.as_bytes().to_vec());
        }
        let locale = self.locales.find(&variables);
        let locale = locale.map_err(|error| format!("the language's files: {error}"))?;
        let spelled = spelled_folder(&variables, &called.cwd)?;
        let besides = [&*locale, &spelled];
        let (inputs, closure) = self.settled(called, &hermetic, &compiler, besides)?;
        if closure.time_macros {
            // A server has another clock, another time zone, and files of its own times.
            let why = "__DATE__, __TIME__ or __TIMESTAMP__ may be in it";
            return Err(why.to_owned().into());
        }

        let mut arguments = vec![compiler.toolchain.driver.as_os_str().as_bytes().to_vec()];
        if called.in_colour {
            // In front, so that the command's own word counts.
            arguments.push(b"-fdiagnostics-color=always".to_vec());
        }
        arguments.extend(
            called
                .argv
                .iter()
                .skip(1)
                .map(|word| word.as_bytes().to_vec()),
        );
        let mut folders: HashMap<PathBuf, bool> = HashMap::new();
        let there = |output: &&OsString| {
            let path = called.cwd.join(output);
            let folder = path.parent();
            folder.is_some_and(|folder| match folders.get(folder) {
                Some(is_there) => *is_there,
                None => {
                    let is_there = folder.is_dir();
                    folders.insert(folder.to_owned(), is_there);
                    is_there
                }
            })
        };
        let outputs: BTreeSet<Vec<u8>> = hermetic
            .writes
            .iter()
            .filter(there)
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let job = Job {
            arguments: &arguments,
            environment: &variables,
            working_folder: called.cwd.as_os_str().as_bytes(),
            outputs: &outputs,
            do_not_cache: false,
        };
        let Inputs { root, mut digests } = inputs;
        let Hermetic {
            packed,
            root: top,
            outputs,
        } = Hermetic::new(&job, root).map_err(|bad| bad.to_string())?;
        // The action itself, and the folder at the top; the command and other folders may well be as before.
        let new = [packed.digest, top];
        let messages: HashMap<Digest, Vec<u8>> = packed.blobs.into_iter().collect();
        digests.extend(messages.keys());
        let contents = AllContents {
            messages,
            folders: packed.folders,
            new,
            files: Arc::clone(&self.files),
        };
        Ok(Made {
            order: Order {
                action: packed.digest,
                blobs: digests.into(),
                outputs: Arc::new(outputs.keys().cloned().collect()),
                cached: true,
                contents: Arc::new(contents),
            },
            outputs,
            object: hermetic.output,
            source: hermetic.input,
            in_memory,
        })
    }

    /// What the compile needs, in one state of the file system.
    fn settled(
        &self,
        called: &Called,
        hermetic: &command::hermetic::Hermetic,
        compiler: &Found,
        [locale, spelled]: [&Places; 2],
    ) -> Result<(Inputs, Arc<Closure>), NoAction> {
        let command = includes::Command {
            cwd: called.cwd.as_os_str().as_bytes().to_vec(),
            argv: called.argv.clone(),
            env: called.environment.clone(),
        };
        let mut last: Option<(Inputs, Arc<Closure>)> = None;
        for _ in 0..MOST_TRIES {
            let found = self.headers.find(&command, hermetic)?;
            let closure = found.closure;
            match last {
                // The very same answer: nothing has changed that it rests on, the text of each file included.
                Some((inputs, known)) if Arc::ptr_eq(&known, &closure) => {
                    return Ok((inputs, closure));
                }
                other => last = other,
            }
            let named = named::find(hermetic, &called.argv, &closure, &called.cwd)?;
            let besides = Besides {
                compiler: (&compiler.toolchain.places, &compiler.stamps),
                others: [&found.precompiled, &named, locale, spelled],
            };
            let inputs = match gather(&closure, &besides, &self.files) {
                Ok(inputs) => inputs,
                Err(NoInputs::Local(why)) => return Err(why.into()),
                Err(NoInputs::Unsettled) => {
                    last = None;
                    continue;
                }
            };
            // An equal one, by another of the engine's workers: two equal looks are one state.
            if last.is_some_and(|(seen, known)| {
                seen.root == inputs.root && known.time_macros == closure.time_macros
            }) {
                return Ok((inputs, closure));
            }
            last = Some((inputs, closure));
        }
        Err("its files keep changing".to_owned().into())
    }
}

/// The working folder as `PWD` spells it, with the links on the way: compilers look whether it is the same folder, and
/// write it into debug information if so.
fn spelled_folder(variables: &BTreeMap<Vec<u8>, Vec<u8>>, cwd: &Path) -> Result<Places, String> {
    let mut places = Places::default();
    if let Some(spelled) = variables.get(&b"PWD"[..])
        && spelled != cwd.as_os_str().as_bytes()
    {
        let path = Path::new(OsStr::from_bytes(spelled));
        let real = places.add(path);
        real.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(places)
}

/// All that an action needs.
struct AllContents {
    messages: HashMap<Digest, Vec<u8>>,
    /// What folders among them name.
    folders: HashMap<Digest, Vec<Digest>>,
    /// Those among them that no server has which does not know the result.
    new: [Digest; 2],
    files: Arc<Digests>,
}

impl Contents for AllContents {
    fn content(&self, digest: &Digest) -> io::Result<Content> {
        match self.messages.get(digest) {
            Some(message) => Ok(Content::Bytes(message.clone())),
            None => self.files.content(digest),
        }
    }

    fn is_of_action(&self, digest: &Digest) -> bool {
        self.new.contains(digest)
    }

    fn named_by(&self, digest: &Digest) -> &[Digest] {
        self.folders.get(digest).map_or(&[], Vec::as_slice)
    }
}
