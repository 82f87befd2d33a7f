//! Input roots on disk: trees of hard links to blobs, kept from job to job and patched.
//!
//! A tree belongs to a client and a project. The next job's root differs from the last one's by a dozen files, and
//! equal folders have equal digests: so a look at the digests finds what to link and unlink, which costs a tenth of
//! a millisecond where building a tree of some 350 files costs several. A tree is patched only while no job has it, and
//! one that could not be patched is built anew.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::Entry;
use store::Store;

/// Whose trees are alike: a client, and where its project lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) client: String,
    pub(crate) project: String,
}

/// The trees of a server.
#[derive(Debug)]
pub(crate) struct Trees {
    store: Store,
    folder: PathBuf,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Used last at the end.
    idle: Vec<Tree>,
    /// All, idle or not.
    count: usize,
    /// For names.
    made: u64,
}

#[derive(Debug)]
struct Tree {
    name: String,
    key: Key,
    /// What is there; nothing if nobody knows.
    root: Option<Entry>,
}

/// A tree that a job has, until dropped.
#[derive(Debug)]
pub(crate) struct InUse<'t> {
    trees: &'t Trees,
    tree: Option<Tree>,
}

impl Trees {
    /// No trees yet, in a folder of their own on the store's file system. What an earlier server left there is removed.
    /// About `most` are kept.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(store: Store, folder: &Path, most: usize) -> io::Result<Self> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(folder)?,
        }
        Ok(Self {
            store,
            folder: folder.to_owned(),
            most,
            state: Mutex::default(),
        })
    }

    /// A tree with this root, whose blobs have to be held.
    ///
    /// # Errors
    /// Those of the file system and the store.
    pub(crate) fn take(&self, key: &Key, root: &Entry) -> io::Result<InUse<'_>> {
        let tree = self.choose(key);
        let mut taken = InUse {
            trees: self,
            tree: None,
        };
        let path = self.folder.join(&tree.name);
        let tree = taken.tree.insert(tree);
        tree.key = key.clone();
        // Until it is done, nobody knows what is there.
        let before = tree.root.take();
        match &before {
            Some(before) => self.patch(before, root, &path)?,
            None => {
                remove(&path)?;
                self.make(root, &path)?;
            }
        }
        tree.root = Some(root.clone());
        Ok(taken)
    }

    /// An idle tree of the same key, or a new one, or where there are enough, the one that was not used for longest.
    fn choose(&self, key: &Key) -> Tree {
        let mut state = self.lock();
        if let Some(place) = state.idle.iter().rposition(|tree| tree.key == *key) {
            return state.idle.remove(place);
        }
        if state.count >= self.most && !state.idle.is_empty() {
            return state.idle.remove(0);
        }
        state.count += 1;
        state.made += 1;
        Tree {
            name: state.made.to_string(),
            key: key.clone(),
            root: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what was `old` into `new`.
    fn patch(&self, old: &Entry, new: &Entry, at: &Path) -> io::Result<()> {
        let (
            Entry::Folder {
                digest: a,
                entries: old_entries,
            },
            Entry::Folder {
                digest: b,
                entries: new_entries,
            },
        ) = (old, new)
        else {
            if old == new {
                return Ok(());
            }
            remove(at)?;
            return self.make(new, at);
        };
        if a == b {
            return Ok(());
        }
        for name in old_entries
            .keys()
            .filter(|name| !new_entries.contains_key(*name))
        {
            remove(&at.join(name))?;
        }
        for (name, new) in &**new_entries {
            match old_entries.get(name) {
                Some(old) => self.patch(old, new, &at.join(name))?,
                None => self.make(new, &at.join(name))?,
            }
        }
        Ok(())
    }

    /// Makes what is not there.
    fn make(&self, entry: &Entry, at: &Path) -> io::Result<()> {
        match entry {
            Entry::File { digest, executable } => {
                let placed = self.store.place(*digest, *executable, at);
                placed.map_err(|error| io::Error::other(error.to_string()))
            }
            Entry::Link(target) => symlink(target, at),
            Entry::Folder { entries, .. } => {
                fs::create_dir(at)?;
                for (name, entry) in &**entries {
                    self.make(entry, &at.join(name))?;
                }
                Ok(())
            }
        }
    }
}

/// Removes whatever is there, if anything is.
fn remove(at: &Path) -> io::Result<()> {
    match fs::symlink_metadata(at) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_dir() => fs::remove_dir_all(at),
        Ok(_) => fs::remove_file(at),
    }
}

impl InUse<'_> {
    /// The tree's name in the folder of all trees.
    pub(crate) fn name(&self) -> &str {
        self.tree.as_ref().map_or("", |tree| &tree.name)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let Some(tree) = self.tree.take() else { return };
        let mut state = self.trees.lock();
        if state.count <= self.trees.most {
            state.idle.push(tree);
            return;
        }
        // More jobs than that ran at once.
        state.count -= 1;
        drop(state);
        let _ = remove(&self.trees.folder.join(&tree.name)); // The next server removes what is left.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use action::Digest;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    struct Here {
        dir: tempfile::TempDir,
        trees: Trees,
    }

    fn here(most: usize) -> Here {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), 1 << 20).unwrap();
        let trees = Trees::open(store, &dir.path().join("trees"), most).unwrap();
        Here { dir, trees }
    }

    /// A root from lines: `PATH=CONTENT`, `PATH>TARGET`, `PATH/`, and `PATH*CONTENT` for a program.
    fn root(store: &Store, lines: &[&str]) -> Entry {
        #[derive(Default)]
        struct Folder(BTreeMap<String, Result<Entry, Folder>>);
        fn add(folder: &mut Folder, path: &str, entry: Option<Entry>) {
            match (path.split_once('/'), entry) {
                (Some((first, rest)), entry) => {
                    let inner = folder
                        .0
                        .entry(first.into())
                        .or_insert_with(|| Err(Folder::default()));
                    let Err(inner) = inner else { panic!("{path}") };
                    if !rest.is_empty() {
                        add(inner, rest, entry);
                    }
                }
                (None, Some(entry)) => {
                    folder.0.insert(path.into(), Ok(entry));
                }
                (None, None) => {}
            }
        }
        fn finish(folder: Folder) -> Entry {
            let entries: BTreeMap<String, Entry> = folder
                .0
                .into_iter()
                .map(|(name, entry)| (name, entry.unwrap_or_else(finish)))
                .collect();
            let digest = Digest::of(format!("{entries:?}").as_bytes());
            Entry::Folder {
                digest,
                entries: Arc::new(entries),
            }
        }
        let mut top = Folder::default();
        for line in lines {
            let put = |content: &str| {
                let digest = Digest::of(content.as_bytes());
                store.put(digest, content.as_bytes()).unwrap();
                digest
            };
            if let Some((path, content)) = line.split_once('=') {
                add(
                    &mut top,
                    path,
                    Some(Entry::File {
                        digest: put(content),
                        executable: false,
                    }),
                );
            } else if let Some((path, content)) = line.split_once('*') {
                add(
                    &mut top,
                    path,
                    Some(Entry::File {
                        digest: put(content),
                        executable: true,
                    }),
                );
            } else if let Some((path, target)) = line.split_once('>') {
                add(&mut top, path, Some(Entry::Link(target.into())));
            } else {
                add(&mut top, line, None);
            }
        }
        finish(top)
    }

    fn listed(folder: &Path, under: &str) -> Vec<String> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = format!("{under}{}", entry.file_name().to_str().unwrap());
            if path.is_symlink() {
                all.push(format!("{name}>{}", path.read_link().unwrap().display()));
            } else if path.is_dir() {
                let inner = listed(&path, &format!("{name}/"));
                match inner.is_empty() {
                    true => all.push(format!("{name}/")),
                    false => all.extend(inner),
                }
            } else {
                let mode = std::os::unix::fs::PermissionsExt::mode(
                    &path.metadata().unwrap().permissions(),
                );
                let sign = if mode & 0o111 != 0 { '*' } else { '=' };
                all.push(format!(
                    "{name}{sign}{}",
                    fs::read_to_string(&path).unwrap()
                ));
            }
        }
        all.sort();
        all
    }

    impl Here {
        /// Takes a tree with these lines, looks whether it has them, and gives it back; its name.
        fn check(&self, client: &str, lines: &[&str]) -> String {
            let root = root(&self.trees.store, lines);
            let key = Key {
                client: client.into(),
                project: "p".into(),
            };
            let taken = self.trees.take(&key, &root).unwrap();
            let name = taken.name().to_owned();
            assert_eq!(
                listed(&self.dir.path().join("trees").join(&name), ""),
                lines
            );
            name
        }
    }

    #[test]
    fn a_tree_becomes_the_next_root_whatever_was_there() {
        let here = here(5);
        let roots: [&[&str]; 6] = [
            &["a/b/x.h=1", "a/y.h=2", "bin/cc*prog", "lib>usr/lib"],
            &["a/b/x.h=1", "a/y.h=3", "bin/cc*prog", "lib>usr/lib"],
            &["a/b=now a file", "a/y.h>b", "bin/cc=prog", "lib/"],
            &["a/b/x.h=1", "a/y.h=2", "bin/cc*prog", "lib>usr/lib"],
            &["e/f/g/"],
            &[],
        ];
        for lines in roots.into_iter().chain(roots.into_iter().rev()) {
            assert_eq!(here.check("c", lines), "1");
        }
    }

    #[test]
    fn each_job_has_a_tree_of_its_own_and_each_client_too() {
        let here = here(2);
        let root = root(&here.trees.store, &["a=1"]);
        let key = |client: &str| Key {
            client: client.into(),
            project: "p".into(),
        };
        let first = here.trees.take(&key("c"), &root).unwrap();
        let second = here.trees.take(&key("c"), &root).unwrap();
        let third = here.trees.take(&key("c"), &root).unwrap();
        let names = [first.name(), second.name(), third.name()].map(String::from);
        assert_eq!(names, ["1", "2", "3"]);
        drop(third);
        assert!(
            !here.dir.path().join("trees/3").exists(),
            "more than are kept"
        );
        drop(first);
        drop(second);
        // The one that was not used for longest is a stranger's.
        assert_eq!(here.check("d", &["b=2"]), "1");
        assert_eq!(here.check("c", &["a=1"]), "2");
    }

    #[test]
    fn what_could_not_be_made_is_made_anew() {
        let here = here(2);
        here.check("c", &["a=1", "b/c=2"]);
        // A blob that is not there.
        let missing = Entry::File {
            digest: Digest::of(b"gone"),
            executable: false,
        };
        let bad = Entry::Folder {
            digest: Digest::of(b"bad"),
            entries: Arc::new(BTreeMap::from([("a".into(), missing)])),
        };
        let key = Key {
            client: "c".into(),
            project: "p".into(),
        };
        assert!(here.trees.take(&key, &bad).is_err());
        assert_eq!(here.check("c", &["a=1", "b/c=2"]), "1");
    }
}
