//! An input root as messages: one `Directory` for each folder, each naming those within by their digests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::root::{Node, TOP};
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
        let digest = self.pack_folder(TOP, &mut blobs, &mut folders);
        Packed {
            digest,
            blobs,
            folders,
        }
    }

    fn pack_folder(
        &self,
        folder: usize,
        blobs: &mut Vec<(Digest, Vec<u8>)>,
        folders: &mut HashMap<Digest, Vec<Digest>>,
    ) -> Digest {
        let Node::Folder(within) = &self.entry(folder).node else {
            unreachable!("only folders are asked for");
        };
        let mut entries: Vec<_> = within
            .iter()
            .map(|&place| (self.entry(place).name(), place))
            .collect();
        // By bytes, as canonical messages want each list.
        entries.sort_unstable();
        let mut message = Directory::default();
        let mut named = Vec::with_capacity(entries.len());
        for (name, place) in entries {
            match &self.entry(place).node {
                Node::File { digest, executable } => {
                    named.push(*digest);
                    message.add_file(name, digest, *executable);
                }
                Node::Link { target } => message.add_link(name, target),
                Node::Folder(_) => {
                    let digest = self.pack_folder(place, blobs, folders);
                    named.push(digest);
                    message.add_folder(name, &digest);
                }
            }
        }
        let encoded = message.encode();
        let digest = Digest::of(&encoded);
        if let Entry::Vacant(new) = folders.entry(digest) {
            new.insert(named);
            blobs.push((digest, encoded));
        }
        digest
    }
}

/// A `Directory` in the making, its fields as they are on the wire. There are a hundred names and digests for each compile:
/// messages of `prost` would be three allocations for each of them.
#[derive(Default)]
struct Directory {
    files: Vec<u8>,
    folders: Vec<u8>,
    links: Vec<u8>,
}

/// Fields of `Directory`, `FileNode`, `DirectoryNode`, `SymlinkNode` and `Digest`, with their wire types.
mod field {
    pub(super) const FILES: u8 = 1 << 3 | 2;
    pub(super) const DIRECTORIES: u8 = 2 << 3 | 2;
    pub(super) const SYMLINKS: u8 = 3 << 3 | 2;
    pub(super) const NAME: u8 = 1 << 3 | 2;
    pub(super) const DIGEST: u8 = 2 << 3 | 2;
    pub(super) const TARGET: u8 = 2 << 3 | 2;
    pub(super) const IS_EXECUTABLE: u8 = 4 << 3;
    pub(super) const HASH: u8 = 1 << 3 | 2;
    pub(super) const SIZE_BYTES: u8 = 2 << 3;
}

impl Directory {
    fn add_file(&mut self, name: &str, digest: &Digest, executable: bool) {
        let flag: &[u8] = match executable {
            true => &[field::IS_EXECUTABLE, 1],
            false => &[],
        };
        put_node(&mut self.files, field::FILES, name, digest, flag);
    }

    fn add_folder(&mut self, name: &str, digest: &Digest) {
        put_node(&mut self.folders, field::DIRECTORIES, name, digest, &[]);
    }

    fn add_link(&mut self, name: &str, target: &str) {
        let bytes = text_bytes(name) + text_bytes(target);
        self.links.push(field::SYMLINKS);
        put_number(&mut self.links, bytes as u64);
        put_text(&mut self.links, field::NAME, name.as_bytes());
        put_text(&mut self.links, field::TARGET, target.as_bytes());
    }

    fn encode(self) -> Vec<u8> {
        let mut encoded = self.files;
        encoded.extend_from_slice(&self.folders);
        encoded.extend_from_slice(&self.links);
        encoded
    }
}

/// A node with a digest. `rest` are its fields after that.
fn put_node(out: &mut Vec<u8>, field: u8, name: &str, digest: &Digest, rest: &[u8]) {
    let mut size = [0; 10];
    let size = number(digest.size, &mut size);
    // What is 0 is left out.
    let size_bytes = if digest.size == 0 { 0 } else { 1 + size.len() };
    let hash = digest.hex_digits();
    let digest_bytes = 2 + hash.len() + size_bytes;
    let bytes = text_bytes(name) + 2 + digest_bytes + rest.len();
    out.push(field);
    put_number(out, bytes as u64);
    put_text(out, field::NAME, name.as_bytes());
    // Its length and that of the hash are below 128.
    out.extend_from_slice(&[field::DIGEST, digest_bytes as u8]);
    put_text(out, field::HASH, &hash);
    if size_bytes > 0 {
        out.push(field::SIZE_BYTES);
        out.extend_from_slice(size);
    }
    out.extend_from_slice(rest);
}

fn put_text(out: &mut Vec<u8>, field: u8, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    out.push(field);
    put_number(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Of a field with a text.
fn text_bytes(text: &str) -> usize {
    match text.len() {
        0 => 0,
        bytes => 1 + number(bytes as u64, &mut [0; 10]).len() + bytes,
    }
}

fn put_number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(number(value, &mut [0; 10]));
}

/// As a varint: seven bits in each byte, the lowest first.
fn number(mut value: u64, place: &mut [u8; 10]) -> &[u8] {
    let mut bytes = 0;
    while value >= 0x80 {
        place[bytes] = value as u8 | 0x80;
        value >>= 7;
        bytes += 1;
    }
    place[bytes] = value as u8;
    &place[..=bytes]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages;
    use proptest::prelude::*;
    use prost::Message as _;

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
        let top = messages::Directory::decode(&**top).unwrap();
        let names: Vec<&str> = top.files.iter().map(|file| &*file.name).collect();
        assert_eq!(names, ["Z", "a", "a-b", "a.b", "b", "ä"]);
        let names: Vec<&str> = top.directories.iter().map(|folder| &*folder.name).collect();
        assert_eq!(names, ["dZ", "da", "da-b", "da.b", "db", "dä"]);
        assert!(top.symlinks.is_sorted_by_key(|link| link.name.clone()));
        let executable: Vec<bool> = top.files.iter().map(|file| file.is_executable).collect();
        assert_eq!(executable, [false, false, false, false, true, false]);
    }

    proptest! {
        /// Byte for byte what the generated code makes of it, whatever it is.
        #[test]
        fn messages_are_those_of_the_generated_code(
            entries in proptest::collection::btree_map(
                "[a-z]{1,150}",
                (0u8..4, proptest::option::of(any::<u64>()), "[a-z/.]{0,200}"),
                0..12,
            ),
        ) {
            let mut ours = Directory::default();
            let mut theirs = messages::Directory::default();
            for (name, (kind, size, target)) in entries {
                let digest = Digest {
                    size: size.unwrap_or(0) >> 1,
                    ..Digest::of(name.as_bytes())
                };
                match kind {
                    0 | 1 => {
                        ours.add_file(&name, &digest, kind == 1);
                        theirs.files.push(messages::FileNode {
                            name,
                            digest: Some(digest.message()),
                            is_executable: kind == 1,
                            node_properties: None,
                        });
                    }
                    2 => {
                        ours.add_folder(&name, &digest);
                        theirs.directories.push(messages::DirectoryNode {
                            name,
                            digest: Some(digest.message()),
                        });
                    }
                    _ => {
                        ours.add_link(&name, &target);
                        theirs.symlinks.push(messages::SymlinkNode {
                            name,
                            target,
                            node_properties: None,
                        });
                    }
                }
            }
            prop_assert_eq!(ours.encode(), theirs.encode_to_vec());
        }

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
