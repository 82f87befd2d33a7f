//! The file tree that a compile needs: files, links and folders at their absolute paths on the client.

use std::collections::BTreeMap;
use std::fmt;

use crate::Digest;

/// How many links one path may lead through; as many as Linux follows.
const MOST_LINKS: usize = 40;

/// A folder's entries. Sorted by bytes, as canonical messages want it.
pub(crate) type Folder = BTreeMap<Box<str>, Node>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    File { digest: Digest, executable: bool },
    Link { target: Box<str> },
    Folder(Folder),
}

/// An input root under construction.
///
/// Paths given to it are absolute bytes. Those of files and links are real: without links, `.` and `..` in front of the
/// last part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    pub(crate) top: Folder,
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
    /// A file with this content. The same file may be added twice.
    ///
    /// # Errors
    ///
    /// [`BadPath`], but not `LeadsNowhere`. What was added before stays.
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
        let mut parts = real_parts(path)?;
        let name = parts.pop().ok_or_else(taken)?;
        let mut folder = &mut self.top;
        for part in parts {
            folder = enter(folder, part).ok_or_else(taken)?;
        }
        match folder.get(name) {
            Some(there) if *there == node => Ok(()),
            Some(_) => Err(taken()),
            None => {
                folder.insert(name.into(), node);
                Ok(())
            }
        }
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
        let nowhere = || BadPath::LeadsNowhere(spelled.to_vec());
        // What is left to walk, the next part last.
        let mut left: Vec<Box<str>> = backwards(utf8(spelled)?).collect();
        let mut at: Vec<Box<str>> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match &*part {
                "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            let mut folder = &mut self.top;
            for name in &at {
                folder = enter(folder, name).ok_or_else(nowhere)?;
            }
            let node = folder.entry(part.clone());
            match node.or_insert_with(|| Node::Folder(Folder::new())) {
                Node::Folder(_) => at.push(part),
                Node::File { .. } => return Err(nowhere()),
                Node::Link { target } => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(nowhere());
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    left.extend(backwards(target));
                }
            }
        }
        Ok(())
    }

    /// What stands at a real path: `Some(None)` for anything but a file.
    pub fn file(&self, path: &[u8]) -> Option<Option<Digest>> {
        let mut parts = real_parts(path).ok()?;
        let name = parts.pop()?;
        let mut folder = &self.top;
        for part in parts {
            match folder.get(part)? {
                Node::Folder(inner) => folder = inner,
                _ => return None,
            }
        }
        Some(match folder.get(name)? {
            Node::File { digest, .. } => Some(*digest),
            _ => None,
        })
    }
}

/// The folder of that name, made if nothing is there.
fn enter<'f>(folder: &'f mut Folder, name: &str) -> Option<&'f mut Folder> {
    // Looked up first: mostly it is there, and then no name has to be copied.
    if !folder.contains_key(name) {
        folder.insert(name.into(), Node::Folder(Folder::new()));
    }
    match folder.get_mut(name) {
        Some(Node::Folder(inner)) => Some(inner),
        _ => None,
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

fn real_parts(path: &[u8]) -> Result<Vec<&str>, BadPath> {
    let parts: Vec<&str> = parts(utf8(path)?).collect();
    let dots = parts.iter().any(|part| matches!(*part, "." | ".."));
    if dots || path.first() != Some(&b'/') || path.contains(&0) {
        return Err(BadPath::NotReal(path.to_vec()));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> Digest {
        Digest::of(content.as_bytes())
    }

    /// All paths below a folder; links with their targets, folders with a slash.
    fn listed(folder: &Folder, under: &str) -> Vec<String> {
        let entries = folder.iter().flat_map(|(name, node)| match node {
            Node::File { .. } => vec![format!("{under}/{name}")],
            Node::Link { target } => vec![format!("{under}/{name} -> {target}")],
            Node::Folder(inner) => {
                let mut all = vec![format!("{under}/{name}/")];
                all.extend(listed(inner, &format!("{under}/{name}")));
                all
            }
        });
        entries.collect()
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
        assert_eq!(listed(&root.top, ""), ["/src/", "/src/a.c"]);
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
        assert_eq!(listed(&root.top, ""), ["/src/", "/src/ä/", "/src/ä/..b"]);
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
        assert_eq!(listed(&root.top, ""), expected);
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
