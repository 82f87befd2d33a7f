//! Folders and paths: what exists where, with each question asked of the file system once.
//!
//! A folder is listed when it is first searched, so that the many probes for headers that are not there are
//! look-ups in memory. Folders are known by the path as spelled; links on the way are kept for the result and
//! for invalidation.

use std::sync::Arc;

use crate::memory::names::FastMap;
use crate::tree::{EntryKind, Found, Stamp, Tree, join, split};

/// A link met: where it stands, and its target.
pub type Link = (Arc<[u8]>, Arc<[u8]>);

/// Index of a folder.
pub(crate) type FolderId = u32;

/// Entries beyond which a folder is probed and not listed.
const LIST_LIMIT: usize = 20_000;
const MAX_LINKS: usize = 40;

/// How the names of gcc's precompiled headers end.
pub(crate) const PRECOMPILED: &[u8] = b".gch";

/// One folder as spelled.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Absolute, as spelled.
    pub(crate) path: Arc<[u8]>,
    /// Without links and dots; `None`: there is no folder.
    pub(crate) real: Option<Arc<[u8]>>,
    /// `None`: not listed, ask for each.
    entries: Option<FastMap<Box<[u8]>, EntryKind>>,
    /// Names whose change can change an answer.
    asked: FastMap<Box<[u8]>, ()>,
    /// It was asked for precompiled headers, whatever their names.
    asked_precompiled: bool,
    /// Links on the way: where each stands and what it holds.
    pub(crate) links: Vec<Link>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Absent,
    Folder,
    /// A file, with the real path and the links at the end of the way.
    File {
        real: Vec<u8>,
        links: Vec<Link>,
    },
}

/// All folders met.
pub(crate) struct Folders {
    tree: Arc<dyn Tree>,
    /// Nobody wants to know of precompiled headers.
    past_precompiled: bool,
    by_path: FastMap<Box<[u8]>, FolderId>,
    list: Vec<Folder>,
    by_real: FastMap<Arc<[u8]>, Vec<FolderId>>,
    /// Real folders met, and whether changes in them are told.
    told: FastMap<Vec<u8>, bool>,
    /// Real folders that cannot be watched and whose entries matter, and programs, with their stamps.
    pub(crate) unwatched: Vec<(Vec<u8>, Option<Stamp>)>,
    /// The folders among them.
    compared: FastMap<Vec<u8>, ()>,
    /// Entries on the way in folders that cannot be watched. What else comes and goes beside them does not matter: in `/tmp`
    /// something always does.
    pub(crate) passed: FastMap<Vec<u8>, Found>,
    /// Every entry, without links before it, whose change can change an answer.
    interest: FastMap<Box<[u8]>, ()>,
    /// Real folders all of whose entries matter.
    interest_below: FastMap<Box<[u8]>, ()>,
    /// Real files whose content matters, though no compile includes them: compilers and their settings.
    programs: FastMap<Box<[u8]>, ()>,
    pub(crate) looks: u64,
    /// Words of memory, about.
    pub(crate) weight: usize,
}

/// A walk from the root, link by link.
struct Walk {
    real: Vec<u8>,
    links: Vec<Link>,
    last: Found,
}

impl Folders {
    pub(crate) fn new(tree: Arc<dyn Tree>, past_precompiled: bool) -> Self {
        Folders {
            tree,
            past_precompiled,
            by_path: FastMap::default(),
            list: Vec::new(),
            by_real: FastMap::default(),
            told: FastMap::default(),
            unwatched: Vec::new(),
            compared: FastMap::default(),
            passed: FastMap::default(),
            interest: FastMap::default(),
            interest_below: FastMap::default(),
            programs: FastMap::default(),
            looks: 0,
            weight: 0,
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Folders {
            looks: self.looks,
            ..Folders::new(Arc::clone(&self.tree), self.past_precompiled)
        };
    }

    /// Takes note of a changed entry. True: an answer given before may be wrong now.
    pub(crate) fn note_change(&mut self, entry: &[u8]) -> bool {
        if self.interest.contains_key(entry) {
            return true;
        }
        let (folder, name) = split(entry);
        if self.interest_below.contains_key(folder) {
            return true;
        }
        let ids = self.by_real.get(folder).map_or(&[][..], Vec::as_slice);
        let matters = |folder: &Folder| {
            folder.asked.contains_key(name)
                || (folder.asked_precompiled && name.ends_with(PRECOMPILED))
        };
        if ids.iter().any(|&id| matters(&self.list[id as usize])) {
            return true;
        }
        let mut found = None;
        for &id in ids {
            let Some(entries) = &mut self.list[id as usize].entries else {
                continue;
            };
            let kind = match found.get_or_insert_with(|| self.tree.look(entry)) {
                Found::Absent => {
                    entries.remove(name);
                    continue;
                }
                Found::File => EntryKind::File,
                Found::Folder => EntryKind::Folder,
                Found::Link(_) => EntryKind::Other,
            };
            entries.insert(name.into(), kind);
        }
        false
    }

    /// Whether a change of this file's content is more than that of a header.
    pub(crate) fn is_program(&self, real: &[u8]) -> bool {
        self.programs.contains_key(real)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, id: FolderId) -> &Folder {
        &self.list[id as usize]
    }

    /// The folder at this absolute path.
    pub(crate) fn at(&mut self, path: &[u8]) -> FolderId {
        if let Some(&id) = self.by_path.get(path) {
            return id;
        }
        let id = FolderId::try_from(self.list.len()).unwrap_or(FolderId::MAX);
        let folder = self.resolve(path);
        self.weight += 32 + 8 * folder.entries.as_ref().map_or(0, FastMap::len);
        if let Some(real) = &folder.real {
            self.by_real.entry(Arc::clone(real)).or_default().push(id);
        }
        self.list.push(folder);
        self.by_path.insert(path.into(), id);
        id
    }

    /// Has changes of entries of this folder told. False: they cannot be.
    fn watch(&mut self, folder: &[u8]) -> bool {
        if let Some(&is_told) = self.told.get(folder) {
            return is_told;
        }
        let is_told = self.tree.watch(folder);
        self.told.insert(folder.to_vec(), is_told);
        is_told
    }

    /// Has changes of all entries of this folder noticed.
    fn watch_all(&mut self, folder: &[u8]) {
        if !self.watch(folder) && self.compared.insert(folder.to_vec(), ()).is_none() {
            self.unwatched
                .push((folder.to_vec(), self.tree.stamp(folder)));
        }
    }

    /// Whether an entry met on the way is another now, in a folder that is not watched.
    pub(crate) fn has_other_ways(&self) -> bool {
        let mut passed = self.passed.iter();
        passed.any(|(entry, before)| self.tree.look(entry) != *before)
    }

    /// The stamp of what stands at this path, if anything does; a change there is one that matters from now on, also
    /// of the entries if it is a folder.
    pub(crate) fn rest_on(&mut self, path: &[u8]) -> Option<Stamp> {
        let walk = self.walk(path);
        match walk.last {
            Found::Folder => {
                self.watch_all(&walk.real);
                self.interest_below.insert(walk.real.as_slice().into(), ());
            }
            Found::File => {
                if !self.watch_file(&walk.real) {
                    let stamp = self.tree.stamp(&walk.real);
                    self.unwatched.push((walk.real.clone(), stamp));
                }
                self.programs.insert(walk.real.as_slice().into(), ());
            }
            _ => {}
        }
        self.tree.stamp(path)
    }

    /// Has changes of this file (a path without links, met before) reported. False: compare its stamp.
    pub(crate) fn watch_file(&mut self, real: &[u8]) -> bool {
        self.interest.insert(real.into(), ());
        self.tree.watch_file(real)
    }

    fn walk(&mut self, path: &[u8]) -> Walk {
        let mut todo: Vec<Vec<u8>> = path
            .split(|&b| b == b'/')
            .rev()
            .map(<[u8]>::to_vec)
            .collect();
        let mut walk = Walk {
            real: b"/".to_vec(),
            links: Vec::new(),
            last: Found::Folder,
        };
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    walk.real = split(&walk.real).0.to_vec();
                    if walk.real.is_empty() {
                        walk.real = b"/".to_vec();
                    }
                    continue;
                }
                _ => {}
            }
            let real = walk.real.clone();
            let is_told = self.watch(&real);
            let next = join(&real, &part);
            self.looks += 1;
            self.weight += 8;
            walk.last = self.tree.look(&next);
            if !is_told && !self.passed.contains_key(next.as_slice()) {
                self.passed.insert(next.clone(), walk.last.clone());
            }
            self.interest.insert(next.as_slice().into(), ());
            match &walk.last {
                Found::Absent => return walk,
                Found::Link(target) => {
                    walk.links.push((next.into(), target.as_slice().into()));
                    if walk.links.len() > MAX_LINKS {
                        walk.last = Found::Absent;
                        return walk;
                    }
                    if target.starts_with(b"/") {
                        walk.real = b"/".to_vec();
                    }
                    todo.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
                    walk.last = Found::Folder;
                }
                Found::File => {
                    walk.real = next;
                    if !todo.is_empty() {
                        walk.last = Found::Absent;
                    }
                    return walk;
                }
                Found::Folder => walk.real = next,
            }
        }
        walk
    }

    fn resolve(&mut self, path: &[u8]) -> Folder {
        // Most folders are below one that is known: walk from there only if no link or dots are in the way.
        let walk = self.walk(path);
        let exists = walk.last == Found::Folder;
        let entries = if exists {
            self.watch_all(&walk.real);
            self.tree.list(&walk.real, LIST_LIMIT).map(|list| {
                list.into_iter()
                    .map(|(name, kind)| (name.into_boxed_slice(), kind))
                    .collect()
            })
        } else {
            Some(FastMap::default())
        };
        Folder {
            path: path.into(),
            real: exists.then(|| walk.real.into()),
            entries,
            asked: FastMap::default(),
            asked_precompiled: false,
            links: walk.links,
        }
    }

    /// Notes that this entry of a folder matters from now on.
    fn ask(&mut self, id: FolderId, name: &[u8]) {
        let asked = &mut self.list[id as usize].asked;
        if !asked.contains_key(name) {
            asked.insert(name.into(), ());
            self.weight += 4;
        }
    }

    /// Whether `name` (no slash) may be in the folder: false is sure.
    pub(crate) fn may_hold(&mut self, id: FolderId, name: &[u8]) -> bool {
        let folder = &self.list[id as usize];
        if folder.real.is_none() {
            return false;
        }
        let entries = folder.entries.as_ref();
        if entries.is_none_or(|entries| entries.contains_key(name)) {
            return true;
        }
        self.ask(id, name);
        false
    }

    /// Whether the folder may hold any precompiled header: false is sure.
    pub(crate) fn may_hold_precompiled(&mut self, id: FolderId) -> bool {
        let folder = &mut self.list[id as usize];
        if self.past_precompiled || folder.asked_precompiled {
            // A change would have made us forget it.
            return false;
        }
        let Some(entries) = &folder.entries else {
            return folder.real.is_some();
        };
        folder.asked_precompiled = !entries.keys().any(|name| name.ends_with(PRECOMPILED));
        !folder.asked_precompiled
    }

    /// What `name` (no slash) in this folder is, links followed.
    pub(crate) fn target(&mut self, id: FolderId, name: &[u8]) -> Target {
        let folder = self.get(id);
        let Some(real) = folder.real.clone() else {
            return Target::Absent;
        };
        if name == b"." || name == b".." || name.is_empty() {
            return Target::Folder;
        }
        self.ask(id, name);
        let folder = &self.list[id as usize];
        match folder.entries.as_ref().map(|entries| entries.get(name)) {
            Some(None) => return Target::Absent,
            Some(Some(EntryKind::Folder)) => return Target::Folder,
            Some(Some(EntryKind::File)) => {
                return Target::File {
                    real: join(&real, name),
                    links: Vec::new(),
                };
            }
            Some(Some(EntryKind::Other)) | None => {}
        }
        let walk = self.walk(&join(&real, name));
        match walk.last {
            Found::File => {
                // The links before this folder's own are already noted there: keep those from here on.
                Target::File {
                    real: walk.real,
                    links: walk.links,
                }
            }
            Found::Folder => Target::Folder,
            _ => Target::Absent,
        }
    }
}
