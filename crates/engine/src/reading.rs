//! From the digest of an action to a job: all that it names has to be here, and to make sense.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use action::messages::{Action, Command, Directory, Platform};
use action::{Digest, PLATFORM_ROOT};
use prost::Message;
use store::{Hold, Store};
use tonic::Status;

use crate::engine::Output;
use crate::fault;

/// Bytes of one message of an action at most.
const MOST_BYTES: u64 = 16 << 20;
/// Entries of an input root at most, counted in each folder that holds them.
const MOST_ENTRIES: usize = 1 << 18;
/// Folders within folders at most: several times what projects have, and little enough to be walked through by calls within
/// calls.
pub const MOST_LEVELS: usize = 256;
/// Bytes of a name, as file systems have it.
const LONGEST_NAME: usize = 255;
/// Bytes of what a link holds.
const LONGEST_TARGET: usize = 4095;

/// An action that can be run: all its blobs are here, and stay while it lives.
#[derive(Debug)]
pub struct Job {
    /// The action's.
    pub digest: Digest,
    /// What to run.
    pub command: Command,
    /// What it may make: paths from its working folder, each once.
    pub outputs: Vec<String>,
    /// What the platform has to be, by name; a name may occur twice.
    pub platform: Vec<(String, String)>,
    /// The input root.
    pub root: Entry,
    /// The entries of the input root, in memory.
    pub entries: usize,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Nobody may be given its result later.
    pub do_not_cache: bool,
    _hold: Hold,
}

/// An entry of an input root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File {
        /// Its content.
        digest: Digest,
        /// May be executed.
        executable: bool,
    },
    /// A symbolic link, and where it leads.
    Link(String),
    /// A folder. Equal digests mean equal folders, all the way down.
    Folder {
        /// That of the `Directory` message.
        digest: Digest,
        /// By name.
        entries: Arc<BTreeMap<String, Entry>>,
    },
}

impl Job {
    /// Reads an action.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION with all that is missing, as far as it can be told: below a folder that is not
    /// here, nobody knows. INVALID_ARGUMENT with what makes no sense.
    pub(crate) fn read(store: &Store, digest: Digest) -> Result<Job, Status> {
        // What is read is held first, so nothing goes away in between.
        let mut reading = Reading::new(store);
        let action: Action = reading
            .message(digest, "the action")?
            .ok_or_else(|| fault::missing(&[digest]))?;
        let command_digest = fault::digest(action.command_digest.as_ref())?;
        let root_digest = fault::digest(action.input_root_digest.as_ref())?;
        let command: Option<Command> = reading.message(command_digest, "the command")?;
        let root = reading.folder(root_digest, 0)?;
        reading.missing.sort_unstable();
        reading.missing.dedup();
        let Some(command) = command.filter(|_| reading.missing.is_empty()) else {
            return Err(fault::missing(&reading.missing));
        };
        let entries = reading.entries;
        let all = reading.needed;
        let hold = store
            .hold(all)
            .map_err(|missing| fault::missing(&missing))?;
        let timeout = action.timeout.map(|timeout| {
            let seconds = u64::try_from(timeout.seconds).unwrap_or(0);
            Duration::new(seconds, u32::try_from(timeout.nanos).unwrap_or(0))
        });
        Ok(Job {
            digest,
            platform: platform(action.platform.as_ref(), &command),
            outputs: outputs(&command),
            command,
            root,
            entries,
            timeout,
            do_not_cache: action.do_not_cache,
            _hold: hold,
        })
    }

    /// Whether it says that it needs nothing of the machine that runs it.
    pub fn brings_its_root(&self) -> bool {
        let (name, whole) = PLATFORM_ROOT;
        self.property(name) == Some(whole)
    }

    /// Whether an output is what its declaration says, where that says anything.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT: a folder that was declared as a file, or the reverse.
    #[expect(
        deprecated,
        reason = "clients of the API before 2.1 name outputs there"
    )]
    pub(crate) fn check_kind(&self, path: &String, output: &Output) -> Result<(), Status> {
        let command = &self.command;
        let (declared, is, was) = match output {
            Output::Folder(_) => (&command.output_directories, "folder", "file"),
            Output::File { .. } => (&command.output_files, "file", "folder"),
            Output::Link(_) => return Ok(()),
        };
        if command.output_paths.is_empty() && !declared.contains(path) {
            return Err(Status::invalid_argument(format!(
                "the output {path:?} is a {is}, and was declared as a {was}"
            )));
        }
        Ok(())
    }

    /// The value of a platform property.
    pub fn property(&self, name: &str) -> Option<&str> {
        let mut found = self.platform.iter().filter(|(there, _)| there == name);
        found.next().map(|(_, value)| &**value)
    }
}

#[expect(
    deprecated,
    reason = "clients of the API before 2.2 say the platform there"
)]
fn platform(of_action: Option<&Platform>, command: &Command) -> Vec<(String, String)> {
    let platform = of_action.or(command.platform.as_ref());
    let properties = platform
        .map(|platform| &*platform.properties)
        .unwrap_or_default();
    properties
        .iter()
        .map(|property| (property.name.clone(), property.value.clone()))
        .collect()
}

#[expect(
    deprecated,
    reason = "clients of the API before 2.1 name outputs there"
)]
fn outputs(command: &Command) -> Vec<String> {
    let all = match command.output_paths.is_empty() {
        true => [&command.output_files[..], &command.output_directories].concat(),
        false => command.output_paths.clone(),
    };
    let mut seen = HashSet::new();
    let first = |path: &String| seen.insert(path.clone());
    all.into_iter().filter(first).collect()
}

struct Reading<'s> {
    store: &'s Store,
    /// All blobs that the action names.
    needed: Vec<Digest>,
    missing: Vec<Digest>,
    /// Folders that were read: one may stand in many places.
    known: HashMap<Digest, (Entry, usize)>,
    entries: usize,
}

impl<'s> Reading<'s> {
    fn new(store: &'s Store) -> Reading<'s> {
        Reading {
            store,
            needed: Vec::new(),
            missing: Vec::new(),
            known: HashMap::new(),
            entries: 0,
        }
    }

    /// A message, or nothing if it is not here, which is noted.
    fn message<M: Message + Default>(
        &mut self,
        digest: Digest,
        what: &str,
    ) -> Result<Option<M>, Status> {
        if digest.size > MOST_BYTES {
            let text = format!("{what} has {} bytes; {MOST_BYTES} is the most", digest.size);
            return Err(Status::invalid_argument(text));
        }
        self.needed.push(digest);
        let bytes = match self.store.read(digest) {
            Ok(bytes) => bytes,
            Err(store::Error::Missing(digest)) => {
                self.missing.push(digest);
                return Ok(None);
            }
            Err(error) => return Err(fault::store(error)),
        };
        let message = M::decode(&*bytes);
        message
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("{what} makes no sense: {error}")))
    }

    fn folder(&mut self, digest: Digest, level: usize) -> Result<Entry, Status> {
        let too_large = || Status::invalid_argument("the input root is too large or too deep");
        if level > MOST_LEVELS {
            return Err(too_large());
        }
        if let Some((known, within)) = self.known.get(&digest) {
            self.entries += within;
            if self.entries > MOST_ENTRIES {
                return Err(too_large());
            }
            return Ok(known.clone());
        }
        let before = self.entries;
        let directory: Directory = self
            .message(digest, "a folder of the input root")?
            .unwrap_or_default();
        self.entries +=
            directory.files.len() + directory.directories.len() + directory.symlinks.len();
        if self.entries > MOST_ENTRIES {
            return Err(too_large());
        }
        let mut entries = BTreeMap::new();
        let mut add = |name: String, entry: Entry| {
            let bad = matches!(&*name, "" | "." | "..") || name.contains(['/', '\0']);
            if bad || entries.contains_key(&name) {
                let text = format!("a folder of the input root holds {name:?}, twice or at all");
                return Err(Status::invalid_argument(text));
            }
            if name.len() > LONGEST_NAME {
                let text = format!("the name {name:?} is longer than {LONGEST_NAME} bytes");
                return Err(Status::invalid_argument(text));
            }
            entries.insert(name, entry);
            Ok(())
        };
        for file in directory.files {
            let digest = fault::digest(file.digest.as_ref())?;
            self.needed.push(digest);
            let executable = file.is_executable;
            add(file.name, Entry::File { digest, executable })?;
        }
        for link in directory.symlinks {
            if link.target.is_empty() || link.target.contains('\0') {
                return Err(Status::invalid_argument(format!(
                    "the link {:?} leads nowhere",
                    link.name
                )));
            }
            if link.target.len() > LONGEST_TARGET {
                let text = format!("the link {:?} is too long", link.name);
                return Err(Status::invalid_argument(text));
            }
            add(link.name, Entry::Link(link.target))?;
        }
        for inner in directory.directories {
            let digest = fault::digest(inner.digest.as_ref())?;
            let folder = self.folder(digest, level + 1)?;
            add(inner.name, folder)?;
        }
        let folder = Entry::Folder {
            digest,
            entries: Arc::new(entries),
        };
        self.known
            .insert(digest, (folder.clone(), self.entries - before));
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(deprecated, reason = "as clients of the API before 2.1 name outputs")]
    fn outputs_are_named_in_either_way() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut command = Command {
            output_files: list(&["a", "b", "a"]),
            output_directories: list(&["d"]),
            ..Command::default()
        };
        assert_eq!(outputs(&command), ["a", "b", "d"]);
        // Who knows the newer way names all in it.
        command.output_paths = list(&["a"]);
        assert_eq!(outputs(&command), ["a"]);
    }
}
