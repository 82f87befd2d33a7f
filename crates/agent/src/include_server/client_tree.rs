//! What must stand where in a copy of the client's files so that every path which a compiler
//! walks there leads to the same file as on the client: symbolic links met on the way, and
//! folders that are only passed through (`a/../b.h` needs an `a`).
//!
//! Paths are walked as spelled, never shortened as text: with links, `a/../b` need not be `b`.
//! A link gets the real path of its target for its text.
//!
//! Cost: each folder is resolved once per compile. Where the include engine has told the links,
//! that takes no system call; otherwise ([`Disk`]) it is one `realpath` per folder and one
//! `lstat` per path component.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::system_dirs::SystemDirs;

/// What is known of folders and links.
pub(crate) trait Ground {
    /// The real path of a folder; `None` where there is none.
    fn real_folder(&self, folder: &Path) -> Option<PathBuf>;

    /// Where the link at `at` leads in the end; `None` if it is no link, or leads nowhere. There
    /// are no links in `at` before the last component.
    fn target(&self, at: &Path) -> Option<Target>;
}

/// The end of a link, as a real path.
pub(crate) struct Target {
    path: PathBuf,
    is_folder: bool,
}

/// The file system as it is now.
#[derive(Debug)]
pub(crate) struct Disk;

impl Ground for Disk {
    fn real_folder(&self, folder: &Path) -> Option<PathBuf> {
        fs::canonicalize(folder).ok().filter(|real| real.is_dir())
    }

    fn target(&self, at: &Path) -> Option<Target> {
        let is_link = fs::symlink_metadata(at).is_ok_and(|metadata| metadata.is_symlink());
        if !is_link {
            return None;
        }
        let path = fs::canonicalize(at).ok()?;
        let is_folder = path.is_dir();
        Some(Target { path, is_folder })
    }
}

/// All links on the ways to some files and folders, which exist. No other path may be asked for.
#[derive(Debug, Default)]
pub(crate) struct KnownLinks<'a> {
    /// By their places: the texts.
    links: HashMap<&'a [u8], &'a [u8]>,
    /// Real paths of those of the files to which links lead.
    linked_files: HashSet<PathBuf>,
}

impl<'a> KnownLinks<'a> {
    /// More than any path leads through.
    const MOST_LINKS: usize = 100;

    /// `links` are places and texts; `files` the real paths of all files in question.
    pub(crate) fn new(
        links: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        files: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let links: HashMap<_, _> = links.collect();
        let linked_files = if links.is_empty() {
            HashSet::new()
        } else {
            files.map(|file| OsStr::from_bytes(file).into()).collect()
        };
        Self {
            links,
            linked_files,
        }
    }

    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut open: Vec<&[u8]> = path.as_os_str().as_bytes().split(is_slash).rev().collect();
        let mut real: Vec<u8> = Vec::new();
        let mut followed = 0;
        while let Some(name) = open.pop() {
            match name {
                b"" | b"." => {}
                b".." => real.truncate(last_slash(&real)),
                name => {
                    let folder_bytes = real.len();
                    real.push(b'/');
                    real.extend_from_slice(name);
                    let Some(text) = self.links.get(real.as_slice()) else {
                        continue;
                    };
                    followed += 1;
                    if followed > Self::MOST_LINKS {
                        return None;
                    }
                    real.truncate(if text.starts_with(b"/") {
                        0
                    } else {
                        folder_bytes
                    });
                    open.extend(text.split(is_slash).rev());
                }
            }
        }
        if real.is_empty() {
            real.push(b'/');
        }
        Some(OsString::from_vec(real).into())
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that `split` asks for"
)]
fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

fn last_slash(path: &[u8]) -> usize {
    path.iter().rposition(is_slash).unwrap_or(0)
}

impl Ground for KnownLinks<'_> {
    fn real_folder(&self, folder: &Path) -> Option<PathBuf> {
        self.resolve(folder)
    }

    fn target(&self, at: &Path) -> Option<Target> {
        self.links.get(at.as_os_str().as_bytes())?;
        let path = self.resolve(at)?;
        let is_folder = !self.linked_files.contains(&path);
        Some(Target { path, is_folder })
    }
}

/// The needs of one compile.
#[derive(Debug)]
pub(crate) struct ClientTree<'a, G> {
    system: &'a SystemDirs,
    ground: G,
    real_folders: HashMap<PathBuf, Option<PathBuf>>,
    walked: HashSet<PathBuf>,
    needs: Needs,
    /// Folders that will exist on the server, and everything above them.
    made: HashSet<PathBuf>,
}

/// What must exist beside the files.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Folders as real paths, in the order in which they were met.
    pub(crate) folders: Vec<PathBuf>,
    /// Links with their targets, both real but for the link itself.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

impl<'a, G: Ground> ClientTree<'a, G> {
    pub(crate) fn new(system: &'a SystemDirs, ground: G) -> Self {
        Self {
            system,
            ground,
            real_folders: HashMap::new(),
            walked: HashSet::new(),
            needs: Needs::default(),
            made: HashSet::from([PathBuf::from("/")]),
        }
    }

    /// All that was met.
    pub(crate) fn needs(self) -> Needs {
        self.needs
    }

    /// Walks the absolute path of a file as spelled; `real` is its real path.
    pub(crate) fn known_file(&mut self, spelled: &Path, real: &Path) {
        let Some((folder, name)) = spelled.parent().zip(spelled.file_name()) else {
            return;
        };
        let is_itself = self
            .real_folder(folder)
            .is_some_and(|folder| folder.join(name) == real);
        if !is_itself {
            self.walk(spelled);
        } else if self.pass(folder).is_some() {
            // Most files: nothing has to be asked again.
            self.walk(folder);
        }
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
        let Some(target) = self.ground.target(&at) else {
            return;
        };
        // Two spellings may meet at one link.
        if self.needs.links.iter().any(|(link, _)| *link == at) {
            return;
        }
        if target.is_folder {
            self.need(target.path.clone());
        } else if let Some(folder) = target.path.parent() {
            self.need(folder.to_owned());
        }
        self.needs.links.push((at, target.path));
    }

    /// Notes that the real folder `folder` must exist.
    fn need(&mut self, folder: PathBuf) {
        if self.made.contains(&folder) || self.system.contain(&folder) {
            return;
        }
        self.made.extend(folder.ancestors().map(Path::to_owned));
        self.needs.folders.push(folder);
    }

    fn real_folder(&mut self, folder: &Path) -> Option<PathBuf> {
        if let Some(real) = self.real_folders.get(folder) {
            return real.clone();
        }
        let real = self.ground.real_folder(folder);
        self.real_folders.insert(folder.to_owned(), real.clone());
        real
    }
}

impl ClientTree<'_, Disk> {
    /// Walks the absolute path of a file as spelled. Returns its real path and what `stat`
    /// says of it, or `None` where there is nothing.
    pub(crate) fn file(&mut self, spelled: &Path) -> Option<(PathBuf, Metadata)> {
        let (folder, name) = (spelled.parent()?, spelled.file_name()?);
        let at = self.real_folder(folder)?.join(name);
        let mut metadata = fs::symlink_metadata(&at).ok()?;
        let mut real = at;
        if metadata.is_symlink() {
            real = fs::canonicalize(&real).ok()?;
            metadata = fs::metadata(&real).ok()?;
        }
        self.known_file(spelled, &real);
        Some((real, metadata))
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

        /// The same whether the disk is asked or the links are known.
        fn walk(&self, system: &[&str], paths: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
            let root = self.root();
            let mut links = Vec::new();
            let mut open = vec![root.clone()];
            while let Some(folder) = open.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if let Ok(text) = fs::read_link(&path) {
                        links.push((path, text));
                    } else if path.is_dir() {
                        open.push(path);
                    }
                }
            }
            let bytes = |path: &'_ PathBuf| path.as_os_str().as_bytes().to_vec();
            let links: Vec<_> = links
                .iter()
                .map(|(at, to)| (bytes(at), bytes(to)))
                .collect();
            let files: Vec<_> = paths
                .iter()
                .filter(|path| !path.ends_with('/'))
                .filter_map(|path| fs::canonicalize(root.join(path)).ok())
                .map(|path| bytes(&path))
                .collect();
            let known = KnownLinks::new(
                links.iter().map(|(at, to)| (at.as_slice(), to.as_slice())),
                files.iter().map(Vec::as_slice),
            );
            let by_disk = self.walk_on(Disk, system, paths);
            assert_eq!(self.walk_on(known, system, paths), by_disk);
            by_disk
        }

        fn walk_on(
            &self,
            ground: impl Ground,
            system: &[&str],
            paths: &[&str],
        ) -> (Vec<String>, Vec<(String, String)>) {
            let root = self.root();
            let system = SystemDirs {
                searched: system.iter().map(|dir| root.join(dir)).collect(),
                is_gcc: true,
            };
            let mut tree = ClientTree::new(&system, ground);
            for path in paths {
                // Not `Path::join`, to keep the path as spelled.
                let spelled = PathBuf::from(format!("{}/{path}", root.display()));
                match (path.ends_with('/'), fs::canonicalize(&spelled)) {
                    (true, Ok(real)) if real.is_dir() => tree.folder(&spelled),
                    (false, Ok(real)) => tree.known_file(&spelled, &real),
                    _ => {}
                }
            }
            let below = |path: &PathBuf| {
                let path = path.strip_prefix(&root).unwrap();
                path.to_str().unwrap().to_owned()
            };
            let needs = tree.needs();
            (
                needs.folders.iter().map(below).collect(),
                needs
                    .links
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
    fn the_disk_tells_real_paths_of_files() {
        let tree = Tree::new(&["a/x.h"], &[("a/dangling.h", "nowhere"), ("l.h", "a/x.h")]);
        let system = SystemDirs::default();
        let mut walk = ClientTree::new(&system, Disk);
        for name in ["a/x.h", "l.h", "a/none.h", "none/x.h", "a/dangling.h"] {
            let path = tree.root().join(name);
            let real = walk.file(&path).map(|(real, _)| real);
            assert_eq!(real, fs::canonicalize(path).ok(), "{name}");
        }
    }
}
