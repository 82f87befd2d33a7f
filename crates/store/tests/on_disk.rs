//! A store over its life: limits, holds, damage, and the next server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use action::Digest;
use store::{Error, Owner, Store};

fn blob(letter: u8, size: usize) -> (Digest, Vec<u8>) {
    let content = vec![letter; size];
    (Digest::of(&content), content)
}

fn put(store: &Store, letter: u8, size: usize) -> Digest {
    let (digest, content) = blob(letter, size);
    store.put(digest, &content).unwrap();
    digest
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path))
        } else {
            all.push(path)
        }
    }
    all
}

#[test]
fn content_comes_back_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1 << 20).unwrap();
    let (digest, content) = blob(b'a', 5000);
    assert!(matches!(store.read(digest), Err(Error::Missing(_))));
    assert_eq!(store.missing([digest]), [digest]);
    let mut writing = store.write(digest).unwrap();
    writing.write(&content[..1000]).unwrap();
    assert_eq!(writing.written(), 1000);
    assert_eq!(store.missing([digest]), [digest], "not before it is whole");
    writing.write(&content[1000..]).unwrap();
    writing.finish().unwrap();
    assert_eq!(store.read(digest).unwrap(), content);
    assert_eq!(store.missing([digest]), []);
    let empty = put(&store, b'x', 0);
    assert_eq!(store.read(empty).unwrap(), b"");
    assert_eq!(store.size(), (5000, 2));
}

#[test]
fn other_content_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1 << 20).unwrap();
    let (digest, content) = blob(b'a', 10);
    for wrong in [&content[..9], b"bbbbbbbbbb", b""] {
        assert!(matches!(
            store.put(digest, wrong),
            Err(Error::OtherContent(_))
        ));
    }
    let mut writing = store.write(digest).unwrap();
    assert!(matches!(
        writing.write(b"aaaaaaaaaaa"),
        Err(Error::OtherContent(_))
    ));
    drop(writing);
    assert_eq!(store.missing([digest]), [digest]);
    assert!(files(&folder.path().join("arriving")).is_empty());
    assert!(files(&folder.path().join("blobs")).is_empty());
    // Wrong content for what is there changes nothing.
    store.put(digest, &content).unwrap();
    assert!(store.put(digest, b"bbbbbbbbbb").is_err());
    assert_eq!(store.read(digest).unwrap(), content);
}

#[test]
fn the_limit_holds_and_what_is_held_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 100).unwrap();
    let [a, b] = [b'a', b'b'].map(|letter| put(&store, letter, 40));
    let hold = store.hold([a, a]).unwrap();
    let c = put(&store, b'c', 60);
    assert_eq!(store.missing([a, b, c]), [b]);
    assert!(matches!(
        store.write(blob(b'd', 61).0),
        Err(Error::Full {
            wanted: 61,
            limit: 100
        })
    ));
    // What is being written takes its room from the start.
    let writing = store.write(blob(b'd', 60).0).unwrap();
    assert_eq!(store.missing([a, c]), [c]);
    assert!(matches!(
        store.write(blob(b'e', 1).0),
        Err(Error::Full { .. })
    ));
    drop(writing);
    drop(hold);
    let f = put(&store, b'f', 100);
    assert_eq!(store.missing([a, f]), [a]);
    assert_eq!(store.hold([a, f, a]).unwrap_err(), [a]);
    assert_eq!(store.size(), (100, 1));
    assert_eq!(files(&folder.path().join("blobs")).len(), 1);
}

/// Whatever one sends or says that it will send.
#[test]
fn nobody_evicts_another_from_an_equal_part() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 100).unwrap();
    let [one, other] = [1, 2].map(|number| store.of(Owner([number; 8])));
    let old: Vec<Digest> = (b'a'..b'k').map(|letter| put(&one, letter, 10)).collect();
    assert_eq!(store.size(), (100, 10));
    let first = put(&other, b'0', 7);
    for letter in b'1'..=b'9' {
        put(&other, letter, 7);
    }
    // Five of ten are left, those that were used last; the flood has evicted its own beginning.
    assert_eq!(store.missing(old.clone()), old[..5]);
    assert_eq!(store.missing([first]), [first]);
    let declared = store.of(Owner([3; 8]));
    assert!(matches!(
        declared.write(blob(b'd', 60).0),
        Err(Error::Full { .. })
    ));
    let _writing = declared.write(blob(b'd', 30).0).unwrap();
    assert!(declared.write(blob(b'e', 30).0).is_err());
    let left = old.len() - store.missing(old).len();
    assert!(left >= 3, "{left}");
}

#[test]
fn files_are_placed_as_links_with_the_mode_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), 1 << 20).unwrap();
    let digest = put(&store, b'a', 10);
    let at = |name: &str| folder.path().join(name);
    store.place(digest, false, &at("header")).unwrap();
    store.place(digest, true, &at("program")).unwrap();
    store.place(digest, true, &at("again")).unwrap();
    let mode = |name: &str| at(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("header"), mode("program")], [0o444, 0o555]);
    assert_eq!(
        at("program").metadata().unwrap().ino(),
        at("again").metadata().unwrap().ino()
    );
    assert_eq!(std::fs::read(at("program")).unwrap(), [b'a'; 10]);
    assert!(matches!(
        store.place(digest, false, &at("header")),
        Err(Error::Disk(_))
    ));
}

#[test]
fn the_next_server_finds_what_the_last_one_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1000).unwrap();
    let digests = [b'a', b'b', b'c'].map(|letter| put(&store, letter, 100));
    let _unfinished = store.write(blob(b'd', 100).0).unwrap();
    assert!(
        Store::open(folder.path(), 1000).is_err(),
        "one server at a time"
    );
    // It dies without a word.
    drop(_unfinished);
    drop(store);
    let hex = digests[1].hex();
    let damaged = folder.path().join(format!("blobs/{}/{hex}-100", &hex[..2]));
    std::fs::set_permissions(&damaged, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&damaged, [0; 100]).unwrap();
    std::fs::write(folder.path().join("blobs/00/stray"), "x").unwrap();
    std::fs::write(folder.path().join("arriving/7"), "x").unwrap();

    let store = Store::open(folder.path(), 1000).unwrap();
    assert_eq!(store.size(), (300, 3));
    assert_eq!(store.read(digests[0]).unwrap(), [b'a'; 100]);
    // Its content is gone: it is missing, not wrong.
    assert!(matches!(store.read(digests[1]), Err(Error::Missing(_))));
    assert_eq!(store.missing(digests), [digests[1]]);
    assert!(files(&folder.path().join("arriving")).is_empty());
    assert!(!folder.path().join("blobs/00/stray").exists());
    store.close().unwrap();

    // A smaller limit evicts at once.
    let store = Store::open(folder.path(), 150).unwrap();
    assert_eq!(store.size(), (100, 1));
}

#[test]
fn many_threads_write_and_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 20_000).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..200_u8 {
                    // Some are the same in all threads.
                    let letter = if round % 2 == 0 {
                        round
                    } else {
                        round ^ thread
                    };
                    let (digest, content) = blob(letter, 1000);
                    match store.put(digest, &content) {
                        Ok(()) | Err(Error::Full { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    match store.hold([digest]) {
                        Ok(_hold) => assert_eq!(store.read(digest).unwrap(), content),
                        Err(missing) => assert_eq!(missing, [digest]),
                    }
                }
            });
        }
    });
    let (size, count) = store.size();
    assert!(size <= 20_000);
    assert_eq!(files(&folder.path().join("blobs")).len(), count);
}

#[test]
fn files_become_blobs_wherever_they_stand() {
    use std::io::{Seek, Write};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1 << 20).unwrap();
    let (digest, content) = blob(b'f', 200_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    for _ in 0..2 {
        assert_eq!(store.put_file(&file).unwrap(), digest);
        assert_eq!(store.read(digest).unwrap(), content);
    }
    assert_eq!(file.stream_position().unwrap(), 200_000);
    file.set_len(2 << 20).unwrap();
    assert!(matches!(store.put_file(&file), Err(Error::Full { .. })));
}

/// ext4 gives a file no more than 65,000 names.
#[test]
fn a_blob_stands_in_any_number_of_places() {
    const PLACES: usize = 65_100;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), 1 << 20).unwrap();
    let digest = put(&store, b'm', 100);
    let places = folder.path().join("places");
    std::fs::create_dir(&places).unwrap();
    for place in 0..PLACES {
        let to = places.join(place.to_string());
        store.place(digest, false, &to).unwrap();
    }
    let (_, content) = blob(b'm', 100);
    let mut inodes = std::collections::HashSet::new();
    for place in [0, 1, PLACES / 2, PLACES - 2, PLACES - 1] {
        let path = places.join(place.to_string());
        assert_eq!(std::fs::read(&path).unwrap(), content);
        inodes.insert(path.metadata().unwrap().ino());
    }
    assert!(inodes.len() <= 2, "a copy for each");
    assert_eq!(store.read(digest).unwrap(), content);
}

/// Two clients may send the same blob: the second file takes the first one's place, perhaps while that gets a name.
#[test]
fn a_blob_is_placed_while_it_arrives_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), 1 << 20).unwrap();
    let (digest, content) = blob(b'm', 100);
    store.put(digest, &content).unwrap();
    std::thread::scope(|scope| {
        let placing = scope.spawn(|| {
            for place in 0..2_000 {
                let to = folder.path().join(place.to_string());
                store.place(digest, false, &to).unwrap();
            }
        });
        while !placing.is_finished() {
            let mut writing = store.write(digest).unwrap();
            writing.write(&content).unwrap();
            writing.finish().unwrap();
        }
    });
}
