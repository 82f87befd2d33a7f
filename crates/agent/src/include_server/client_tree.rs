//! What must stand where in a copy of the client's files so that every path which a compiler
//! walks there leads to the same file as on the client: symbolic links met on the way, and
//! folders that are only passed through (`a/../b.h` needs an `a`).
//!
//! Paths are walked as spelled, never shortened as text: with links, `a/../b` need not be `b`.
//! A link gets the real path of its target for its text.
//!
//! Cost: one `realpath` per folder and one `lstat` per path component, each once per compile.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};

use super::system_dirs::SystemDirs;

/// The needs of one compile.
#[derive(Debug)]
pub(crate) struct ClientTree<'a> {
    system: &'a SystemDirs,
    real_folders: HashMap<PathBuf, Option<PathBuf>>,
    walked: HashSet<PathBuf>,
    /// Folders that will exist on the server, and everything above them.
    made: HashSet<PathBuf>,
    /// Folders that must exist, as real paths, in the order in which they were met.
    pub(crate) folders: Vec<PathBuf>,
    /// Links with their targets, both real but for the link itself.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

impl<'a> ClientTree<'a> {
    pub(crate) fn new(system: &'a SystemDirs) -> Self {
        Self {
            system,
            real_folders: HashMap::new(),
            walked: HashSet::new(),
            made: HashSet::from([PathBuf::from("/")]),
            folders: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Walks the absolute path of a file as spelled. Returns its real path and what `stat`
    /// says of it, or `None` where there is nothing.
    pub(crate) fn file(&mut self, spelled: &Path) -> Option<(PathBuf, Metadata)> {
        let (folder, name) = (spelled.parent()?, spelled.file_name()?);
        let at = self.real_folder(folder)?.join(name);
        let metadata = fs::symlink_metadata(&at).ok()?;
        if !metadata.is_symlink() {
            // Most files: nothing has to be asked again.
            if self.pass(folder).is_some() {
                self.walk(folder);
            }
            return Some((at, metadata));
        }
        let real = fs::canonicalize(&at).ok()?;
        let metadata = fs::metadata(&real).ok()?;
        self.walk(spelled);
        Some((real, metadata))
    }

    /// Walks the absolute path of a folder as spelled, if there is such a folder.
    pub(crate) fn folder(&mut self, spelled: &Path) {
        if let Some(real) = self.real_folder(spelled) {
            self.need(real);
            self.walk(spelled);
        }
    }

    /// Notes what is needed for every component of a path.
    fn walk(&mut self, spelled: &Path) {
        let mut path = spelled;
        while let Some(folder) = path.parent() {
            if !self.walked.insert(path.to_owned()) {
                return;
            }
            let Some(at) = self.pass(folder) else {
                return; // Nothing spelled above this is a link.
            };
            let is_sent = !self.system.contain(&at);
            if is_sent && let Some(Component::Normal(name)) = path.components().next_back() {
                self.link(at.join(name));
            }
            path = folder;
        }
    }

    /// Notes that the folder `spelled` is passed through, and returns its real path; `None` if
    /// it is a default folder under its own name, or is none at all.
    fn pass(&mut self, spelled: &Path) -> Option<PathBuf> {
        let real = self.real_folder(spelled)?;
        if real == spelled && self.system.contain(&real) {
            return None;
        }
        self.need(real.clone());
        Some(real)
    }

    fn link(&mut self, at: PathBuf) {
        let is_link = fs::symlink_metadata(&at).is_ok_and(|metadata| metadata.is_symlink());
        if !is_link {
            return;
        }
        // Two spellings may meet at one link.
        let is_known = self.links.iter().any(|(link, _)| *link == at);
        if !is_known && let Ok(target) = fs::canonicalize(&at) {
            if target.is_dir() {
                self.need(target.clone());
            } else if let Some(folder) = target.parent() {
                self.need(folder.to_owned());
            }
            self.links.push((at, target));
        }
    }

    /// Notes that the real folder `folder` must exist.
    fn need(&mut self, folder: PathBuf) {
        if self.made.contains(&folder) || self.system.contain(&folder) {
            return;
        }
        self.made.extend(folder.ancestors().map(Path::to_owned));
        self.folders.push(folder);
    }

    /// The real path of a folder; `None` where there is none.
    fn real_folder(&mut self, folder: &Path) -> Option<PathBuf> {
        if let Some(real) = self.real_folders.get(folder) {
            return real.clone();
        }
        let real = fs::canonicalize(folder).ok().filter(|real| real.is_dir());
        self.real_folders.insert(folder.to_owned(), real.clone());
        real
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree in a temporary folder; `walk` walks and tells folders and links below it.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[&str], links: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            for (link, target) in links {
                symlink(target, dir.path().join(link)).unwrap();
            }
            Self(dir)
        }

        fn root(&self) -> PathBuf {
            fs::canonicalize(self.0.path()).unwrap()
        }

        fn walk(&self, system: &[&str], paths: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
            let root = self.root();
            let system = SystemDirs {
                searched: system.iter().map(|dir| root.join(dir)).collect(),
                is_gcc: true,
            };
            let mut tree = ClientTree::new(&system);
            for path in paths {
                // Not `Path::join`, to keep the path as spelled.
                let spelled = PathBuf::from(format!("{}/{path}", root.display()));
                match path.strip_suffix('/') {
                    Some(_) => tree.folder(&spelled),
                    None => {
                        let real = tree.file(&spelled).map(|(real, _)| real);
                        assert_eq!(real, fs::canonicalize(&spelled).ok());
                    }
                }
            }
            let below = |path: &PathBuf| {
                let path = path.strip_prefix(&root).unwrap();
                path.to_str().unwrap().to_owned()
            };
            (
                tree.folders.iter().map(below).collect(),
                tree.links
                    .iter()
                    .map(|(link, target)| (below(link), below(target)))
                    .collect(),
            )
        }
    }

    fn link(at: &str, target: &str) -> (String, String) {
        (at.to_owned(), target.to_owned())
    }

    #[test]
    fn folders_passed_through_must_exist() {
        let tree = Tree::new(&["a/x.h", "b/c/y.h"], &[]);
        let (folders, links) = tree.walk(&[], &["a/x.h", "b/c/../../a/x.h"]);
        assert_eq!(folders, ["a", "b", "b/c"]);
        assert_eq!(links, []);
    }

    #[test]
    fn links_on_the_way_are_noted_with_their_real_targets() {
        let tree = Tree::new(
            &["real/sub/x.h"],
            &[("l1", "l2"), ("l2", "real"), ("real/y.h", "sub/x.h")],
        );
        let (folders, links) = tree.walk(&[], &["l1/y.h", "l1/sub/x.h"]);
        assert_eq!(folders, ["real", "real/sub"]);
        assert_eq!(
            links,
            [link("real/y.h", "real/sub/x.h"), link("l1", "real")]
        );
    }

    #[test]
    fn parents_of_links_are_those_of_their_targets() {
        let tree = Tree::new(&["real/sub/x", "real/z.h", "z.h"], &[("l", "real/sub")]);
        let (folders, links) = tree.walk(&[], &["l/../z.h"]);
        assert_eq!(folders, ["real", "real/sub"]);
        assert_eq!(links, [link("l", "real/sub")]);
    }

    #[test]
    fn default_folders_are_left_to_the_server() {
        let tree = Tree::new(
            &["sys/inc/a.h", "sys/inc/v1/b.h", "p/x.c"],
            &[("sys/inc/v", "v1"), ("p/inc", "../sys/inc")],
        );
        let (folders, links) = tree.walk(&["sys/inc"], &["sys/inc/a.h", "sys/inc/v/b.h"]);
        assert_eq!((folders, links), (vec![], vec![]));
        // A link of the client's own into one has to be there.
        let (folders, links) = tree.walk(&["sys/inc"], &["p/inc/v/b.h"]);
        assert_eq!(folders, ["p"]);
        assert_eq!(links, [link("p/inc", "sys/inc")]);
    }

    #[test]
    fn search_folders_must_exist_if_they_do() {
        let tree = Tree::new(&["a/x.h"], &[("l", "a"), ("dangling", "nowhere")]);
        let (folders, links) = tree.walk(&[], &["a/", "l/", "none/", "dangling/", "a/x.h/"]);
        assert_eq!(folders, ["a"]);
        assert_eq!(links, [link("l", "a")]);
    }

    #[test]
    fn what_is_not_there_has_no_real_path() {
        let tree = Tree::new(&["a/x.h"], &[("a/dangling.h", "nowhere")]);
        tree.walk(&[], &["a/none.h", "none/x.h", "a/dangling.h"]);
    }
}
