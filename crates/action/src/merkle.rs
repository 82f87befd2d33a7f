//! An input root as messages: one `Directory` for each folder, each naming those within by their digests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prost::Message as _;

use crate::messages::{Directory, DirectoryNode, FileNode, SymlinkNode};
use crate::root::{Folder, Node};
use crate::{Digest, Root};

/// A message and what it rests on, as blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The one that names the others.
    pub digest: Digest,
    /// Messages, each once, what is named before what names it.
    pub blobs: Vec<(Digest, Vec<u8>)>,
    /// What each folder among them names: its files and folders.
    pub folders: HashMap<Digest, Vec<Digest>>,
}

impl Root {
    /// The tree as `Directory` messages. Equal trees give equal digests, in whatever order they were made.
    pub fn pack(&self) -> Packed {
        let mut blobs = Vec::new();
        let mut folders = HashMap::new();
        let digest = pack(&self.top, &mut blobs, &mut folders);
        Packed {
            digest,
            blobs,
            folders,
        }
    }
}

fn pack(
    folder: &Folder,
    blobs: &mut Vec<(Digest, Vec<u8>)>,
    folders: &mut HashMap<Digest, Vec<Digest>>,
) -> Digest {
    let mut message = Directory::default();
    let mut named = Vec::new();
    // The map is sorted by bytes, so each list is.
    for (name, node) in folder {
        let name = String::from(&**name);
        match node {
            Node::File { digest, executable } => {
                named.push(*digest);
                message.files.push(FileNode {
                    name,
                    digest: Some(digest.message()),
                    is_executable: *executable,
                    node_properties: None,
                });
            }
            Node::Link { target } => message.symlinks.push(SymlinkNode {
                name,
                target: String::from(&**target),
                node_properties: None,
            }),
            Node::Folder(inner) => {
                let digest = pack(inner, blobs, folders);
                named.push(digest);
                message.directories.push(DirectoryNode {
                    name,
                    digest: Some(digest.message()),
                });
            }
        }
    }
    let encoded = message.encode_to_vec();
    let digest = Digest::of(&encoded);
    if let Entry::Vacant(new) = folders.entry(digest) {
        new.insert(named);
        blobs.push((digest, encoded));
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_empty_tree_is_the_empty_message() {
        let packed = Root::default().pack();
        assert_eq!(packed.digest, Digest::of(b""));
        assert_eq!(packed.blobs, [(Digest::of(b""), Vec::new())]);
    }

    #[test]
    fn equal_folders_are_sent_once() {
        let mut root = Root::default();
        for path in ["/a/same/x.h", "/b/same/x.h"] {
            root.add_file(path.as_bytes(), Digest::of(b"x"), false)
                .unwrap();
        }
        // same, a (= b), and the top.
        let packed = root.pack();
        let [same, a, top] = [0, 1, 2].map(|at| packed.blobs[at].0);
        assert_eq!(packed.blobs.len(), 3);
        let folders = [
            (same, vec![Digest::of(b"x")]),
            (a, vec![same]),
            (top, vec![a, a]),
        ];
        assert_eq!(packed.folders, HashMap::from(folders));
    }

    #[test]
    fn entries_are_sorted_by_bytes_and_kept_apart_by_kind() {
        let mut root = Root::default();
        for name in ["b", "Z", "ä", "a-b", "a.b", "a"] {
            root.add_file(format!("/{name}").as_bytes(), Digest::of(b""), name == "b")
                .unwrap();
            root.add_folder(format!("/d{name}").as_bytes()).unwrap();
            root.add_link(format!("/l{name}").as_bytes(), b"a").unwrap();
        }
        let packed = root.pack();
        let (_, top) = packed.blobs.last().unwrap();
        let top = Directory::decode(&**top).unwrap();
        let names: Vec<&str> = top.files.iter().map(|file| &*file.name).collect();
        assert_eq!(names, ["Z", "a", "a-b", "a.b", "b", "ä"]);
        let names: Vec<&str> = top.directories.iter().map(|folder| &*folder.name).collect();
        assert_eq!(names, ["dZ", "da", "da-b", "da.b", "db", "dä"]);
        assert!(top.symlinks.is_sorted_by_key(|link| link.name.clone()));
        let executable: Vec<bool> = top.files.iter().map(|file| file.is_executable).collect();
        assert_eq!(executable, [false, false, false, false, true, false]);
    }

    proptest! {
        #[test]
        fn the_order_of_additions_does_not_matter(
            mut paths in proptest::collection::vec("(/[ab]){1,4}", 1..12),
            seed: u64,
        ) {
            let make = |paths: &[String]| {
                let mut root = Root::default();
                for path in paths {
                    let _ = root.add_folder(path.as_bytes());
                    root.add_file(format!("{path}/file").as_bytes(), Digest::of(b"x"), false).unwrap();
                }
                root.pack()
            };
            let first = make(&paths);
            let len = paths.len();
            for at in 0..len {
                paths.swap(at, (seed as usize).wrapping_mul(at + 7) % len);
            }
            prop_assert_eq!(make(&paths), first);
        }
    }
}
