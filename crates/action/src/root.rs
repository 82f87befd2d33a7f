//! The file tree that a compile needs: files, links and folders at their absolute paths on the client.
//!
//! Some hundred paths for each compile, most of them in folders that are there already: each is looked up as a whole, and
//! not part by part.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::Digest;

/// How many links one path may lead through; as many as Linux follows.
const MOST_LINKS: usize = 40;

/// The place of the top among the entries.
pub(crate) const TOP: usize = 0;

/// An input root under construction.
///
/// Paths given to it are absolute bytes. Those of files and links are real: without links, `.` and `..` in front of the
/// last part.
#[derive(Clone)]
pub struct Root {
    /// Places among the entries.
    by_path: HashMap<Arc<str>, usize>,
    entries: Vec<Entry>,
    /// The folder of what was added last: most often that of the next one, too.
    last: usize,
}

/// What stands at a path.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Without a slash at its end, so the top has an empty one.
    path: Arc<str>,
    pub(crate) node: Node,
}

#[derive(Clone)]
pub(crate) enum Node {
    File {
        digest: Digest,
        executable: bool,
    },
    Link {
        target: Box<str>,
    },
    /// What is in it, in no order: places among the entries.
    Folder(Vec<usize>),
}

impl Entry {
    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        &self.path[self.path.rfind('/').map_or(0, |slash| slash + 1)..]
    }
}

impl Node {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::File { digest, executable },
                Self::File {
                    digest: other,
                    executable: by_other,
                },
            ) => (digest, executable) == (other, by_other),
            (Self::Link { target }, Self::Link { target: other }) => target == other,
            // What is in it is compared by itself.
            (Self::Folder(_), Self::Folder(_)) => true,
            _ => false,
        }
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::with_room(0)
    }
}

/// The order of additions does not matter.
impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        let has = |entry: &Entry| {
            let place = other.by_path.get(&entry.path);
            place.is_some_and(|&place| entry.node.is_same(&other.entries[place].node))
        };
        self.entries.len() == other.entries.len() && self.entries.iter().all(has)
    }
}

impl Eq for Root {}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut paths: Vec<&str> = self.entries.iter().map(|entry| &*entry.path).collect();
        paths.sort_unstable();
        f.debug_set().entries(paths).finish()
    }
}

/// A path that an input root cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// The API's paths are UTF-8.
    NotUtf8(Vec<u8>),
    /// It does not begin with a slash, or holds `.`, `..` or a zero byte where a real path is wanted.
    NotReal(Vec<u8>),
    /// Something of another kind stands there, or on the way to it, or other content.
    Taken(Vec<u8>),
    /// Its links lead in a circle, or through a file, or above a folder that is not there.
    LeadsNowhere(Vec<u8>),
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, what) = match self {
            BadPath::NotUtf8(path) => (path, "is no UTF-8, which remote execution wants of paths"),
            BadPath::NotReal(path) => (path, "is no absolute path without dots"),
            BadPath::Taken(path) => (path, "is two things at once: it changed meanwhile"),
            BadPath::LeadsNowhere(path) => (path, "leads nowhere"),
        };
        write!(f, "{:?} {what}", String::from_utf8_lossy(path))
    }
}

impl std::error::Error for BadPath {}

impl Root {
    /// An empty one, in which so many paths find room without moving the others.
    #[must_use]
    pub fn with_room(paths: usize) -> Self {
        let mut by_path = HashMap::with_capacity(paths + 1);
        let mut entries = Vec::with_capacity(paths + 1);
        let path: Arc<str> = "".into();
        by_path.insert(Arc::clone(&path), TOP);
        entries.push(Entry {
            path,
            node: Node::Folder(Vec::new()),
        });
        Self {
            by_path,
            entries,
            last: TOP,
        }
    }

    /// A file with this content. The same file may be added twice.
    ///
    /// # Errors
    ///
    /// [`BadPath`], but not `LeadsNowhere`.
    pub fn add_file(
        &mut self,
        path: &[u8],
        digest: Digest,
        executable: bool,
    ) -> Result<(), BadPath> {
        self.add(path, Node::File { digest, executable })
    }

    /// A symbolic link. The same link may be added twice.
    ///
    /// # Errors
    ///
    /// [`BadPath`], but not `LeadsNowhere`.
    pub fn add_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), BadPath> {
        let target = utf8(target)?.into();
        self.add(path, Node::Link { target })
    }

    fn add(&mut self, path: &[u8], node: Node) -> Result<(), BadPath> {
        let taken = || BadPath::Taken(path.to_vec());
        let real = real(path)?;
        if let Some(&place) = self.by_path.get(&*real) {
            let is_there = place != TOP && self.entries[place].node.is_same(&node);
            return if is_there { Ok(()) } else { Err(taken()) };
        }
        let folder = self.enter(folder_of(&real)).ok_or_else(taken)?;
        self.last = folder;
        self.put(folder, &real, node);
        Ok(())
    }

    /// The folder with this real path, made if nothing is there.
    fn enter(&mut self, path: &str) -> Option<usize> {
        if *self.entries[self.last].path == *path {
            return Some(self.last);
        }
        if let Some(&place) = self.by_path.get(path) {
            return match self.entries[place].node {
                Node::Folder(_) => Some(place),
                _ => None,
            };
        }
        let folder = self.enter(folder_of(path))?;
        Some(self.put(folder, path, Node::Folder(Vec::new())))
    }

    /// Adds what is not there yet.
    fn put(&mut self, folder: usize, path: &str, node: Node) -> usize {
        let place = self.entries.len();
        let path: Arc<str> = path.into();
        self.by_path.insert(Arc::clone(&path), place);
        self.entries.push(Entry { path, node });
        if let Node::Folder(within) = &mut self.entries[folder].node {
            within.push(place);
        }
        place
    }

    /// A folder that has to exist, as the compile spells it: `.`, `..` and links on the way are followed as the
    /// kernel would do in this tree, and all that is missing is made. So links come first.
    ///
    /// # Errors
    ///
    /// [`BadPath`].
    pub fn add_folder(&mut self, spelled: &[u8]) -> Result<(), BadPath> {
        if spelled.first() != Some(&b'/') || spelled.contains(&0) {
            return Err(BadPath::NotReal(spelled.to_vec()));
        }
        let spelled_text = utf8(spelled)?;
        // Most are there, under the very name: no path with a dot or a link on its way is.
        if let Some(&place) = self.by_path.get(spelled_text)
            && matches!(self.entries[place].node, Node::Folder(_))
        {
            return Ok(());
        }
        let nowhere = || BadPath::LeadsNowhere(spelled.to_vec());
        // What is left to walk, the next part last.
        let mut left: Vec<Box<str>> = backwards(spelled_text).collect();
        let mut at = String::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match &*part {
                "." => continue,
                ".." => {
                    at.truncate(folder_of(&at).len());
                    continue;
                }
                _ => {}
            }
            let folder = at.len();
            at.push('/');
            at.push_str(&part);
            let Some(&place) = self.by_path.get(&*at) else {
                let folder = self.enter(&at[..folder]).ok_or_else(nowhere)?;
                self.put(folder, &at, Node::Folder(Vec::new()));
                continue;
            };
            match &self.entries[place].node {
                Node::Folder(_) => {}
                Node::File { .. } => return Err(nowhere()),
                Node::Link { target } => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(nowhere());
                    }
                    at.truncate(if target.starts_with('/') { 0 } else { folder });
                    left.extend(backwards(target));
                }
            }
        }
        Ok(())
    }

    /// What stands at a real path: `Some(None)` for anything but a file.
    pub fn file(&self, path: &[u8]) -> Option<Option<Digest>> {
        let place = *self.by_path.get(&*real(path).ok()?)?;
        if place == TOP {
            return None;
        }
        Some(match self.entries[place].node {
            Node::File { digest, .. } => Some(digest),
            _ => None,
        })
    }

    pub(crate) fn entry(&self, place: usize) -> &Entry {
        &self.entries[place]
    }
}

fn utf8(path: &[u8]) -> Result<&str, BadPath> {
    std::str::from_utf8(path).map_err(|_| BadPath::NotUtf8(path.to_vec()))
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn backwards(path: &str) -> impl Iterator<Item = Box<str>> {
    parts(path).rev().map(Box::from)
}

/// The path without its last part.
fn folder_of(path: &str) -> &str {
    &path[..path.rfind('/').unwrap_or(0)]
}

/// A real path, with one slash in front of each part.
fn real(path: &[u8]) -> Result<Cow<'_, str>, BadPath> {
    let text = utf8(path)?;
    let not_real = || BadPath::NotReal(path.to_vec());
    if !text.starts_with('/') {
        return Err(not_real());
    }
    let mut is_plain = true;
    // Where the part begins that is looked at.
    let mut start = 1;
    for at in 1..=path.len() {
        match path.get(at) {
            Some(b'/') | None => {
                match &path[start..at] {
                    b"." | b".." => return Err(not_real()),
                    b"" => is_plain = false,
                    _ => {}
                }
                start = at + 1;
            }
            Some(0) => return Err(not_real()),
            Some(_) => {}
        }
    }
    if is_plain {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(path.len());
    for part in parts(text) {
        plain.push('/');
        plain.push_str(part);
    }
    Ok(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> Digest {
        Digest::of(content.as_bytes())
    }

    /// All paths, sorted; links with their targets, folders with a slash.
    fn listed(root: &Root) -> Vec<String> {
        let entries = root.entries[1..].iter().map(|entry| match &entry.node {
            Node::File { .. } => entry.path.to_string(),
            Node::Link { target } => format!("{} -> {target}", entry.path),
            Node::Folder(_) => format!("{}/", entry.path),
        });
        let mut entries: Vec<String> = entries.collect();
        entries.sort();
        entries
    }

    #[test]
    fn one_path_is_one_thing() {
        let mut root = Root::default();
        root.add_file(b"/src/a.c", file("a"), false).unwrap();
        root.add_file(b"/src/a.c", file("a"), false).unwrap();
        let taken = |path: &[u8]| Err(BadPath::Taken(path.to_vec()));
        assert_eq!(
            root.add_file(b"/src/a.c", file("b"), false),
            taken(b"/src/a.c")
        );
        assert_eq!(
            root.add_file(b"/src/a.c", file("a"), true),
            taken(b"/src/a.c")
        );
        assert_eq!(root.add_link(b"/src/a.c", b"b.c"), taken(b"/src/a.c"));
        assert_eq!(
            root.add_file(b"/src/a.c/b", file("b"), false),
            taken(b"/src/a.c/b")
        );
        assert_eq!(root.add_file(b"/src", file("b"), false), taken(b"/src"));
        assert_eq!(root.add_file(b"/", file("b"), false), taken(b"/"));
        assert_eq!(listed(&root), ["/src/", "/src/a.c"]);
    }

    #[test]
    fn a_real_path_has_no_dots_and_is_utf8() {
        let mut root = Root::default();
        for path in ["a", "/a/../b", "/./a", "/a/.", "", "/a\0"] {
            let bad = root.add_file(path.as_bytes(), file(""), false);
            assert_eq!(bad, Err(BadPath::NotReal(path.into())));
        }
        let bad = root.add_file(b"/a/\xff", file(""), false);
        assert_eq!(bad, Err(BadPath::NotUtf8(b"/a/\xff".to_vec())));
        root.add_file("//src//ä/..b".as_bytes(), file(""), false)
            .unwrap();
        assert_eq!(listed(&root), ["/src/", "/src/ä/", "/src/ä/..b"]);
    }

    #[test]
    fn folders_are_walked_as_the_kernel_does() {
        let mut root = Root::default();
        root.add_link(b"/lib", b"usr/lib").unwrap();
        root.add_link(b"/p/away", b"/q/deep").unwrap();
        root.add_folder(b"/lib/gcc/12/../../include/").unwrap();
        root.add_folder(b"/p/away/../beside/.").unwrap();
        let expected = [
            "/lib -> usr/lib",
            "/p/",
            "/p/away -> /q/deep",
            "/q/",
            "/q/beside/",
            "/q/deep/",
            "/usr/",
            "/usr/lib/",
            "/usr/lib/gcc/",
            "/usr/lib/gcc/12/",
            "/usr/lib/include/",
        ];
        assert_eq!(listed(&root), expected);
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let mut root = Root::default();
        root.add_link(b"/a", b"b").unwrap();
        root.add_link(b"/b", b"a").unwrap();
        root.add_file(b"/c", file(""), false).unwrap();
        for path in ["/a", "/b/x", "/c/", "/c/x"] {
            let bad = root.add_folder(path.as_bytes());
            assert_eq!(bad, Err(BadPath::LeadsNowhere(path.into())), "{path}");
        }
        assert!(root.add_folder(b"relative").is_err());
    }
}
