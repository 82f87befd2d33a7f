//! Any names and links as a client's tree.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fuzz::Target;

use crate::tree::{Place, Tree};

/// Everything in a folder, links themselves and not what they lead to.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        visit(&entry.path());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), visit);
        }
    }
}

/// Whatever a client sends, all of it is in the root, and no link leads out of it but to a system
/// folder of its own name.
#[test]
fn trees() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path().canonicalize().unwrap();
    fs::write(scratch.join("outside"), "untouched").unwrap();
    let words = [
        "F/a/b.c\n",
        "F/a/b\n",
        "L/a/l=/",
        "L/l=../",
        "L/usr/include=../../../usr/include\n",
        "L",
        "F",
        "D",
        "/",
        "//",
        "..",
        "/../",
        "./",
        "=",
        "l",
        "/l",
        "/a",
        "/a/l/x",
        "\n",
        "outside",
        "forcing_technique_271828",
        "/usr/include",
        "/etc",
        "../../../../etc",
    ];
    Target::new("client's tree")
        .seeds([
            "F/a/b.c\nL/a/l=/a/b.c\nL/r=a/b.c\nD/c/d\nF/c/forcing_technique_271828",
            "L/usr/include=../../../../../usr/include\nF/usr/include/x.h\nF/1/2/3/x",
            "L/1/2/b=/\nL/1/2/l=b/../../../outside\nL/1/l=2/l\nF/1/l/x",
        ])
        .words(words)
        .longest(400)
        .few(200)
        .run(|input| {
            let root = scratch.join("root");
            let mut tree = Tree::create(root.clone(), Place::BelowRoot, 1 << 20).unwrap();
            for line in input
                .split(|&byte| byte == b'\n')
                .filter(|line| !line.contains(&0))
            {
                let Some((kind, rest)) = line.split_first() else {
                    continue;
                };
                let mut parts = rest.splitn(2, |&byte| byte == b'=').map(OsStr::from_bytes);
                let name = parts.next().unwrap();
                // Refusals are for the client.
                match kind {
                    b'F' => {
                        if let Ok(Some(mut file)) = tree.file(name) {
                            file.write_all(b"written").unwrap();
                        }
                    }
                    b'L' => drop(tree.link(name, parts.next().unwrap_or_default())),
                    _ => drop(tree.folder(name)),
                }
            }
            assert_eq!(fs::read(scratch.join("outside")).unwrap(), b"untouched");
            assert_eq!(fs::read_dir(&scratch).unwrap().count(), 2);
            walk(&root, &mut |path| {
                // It may lead to nothing yet.
                let Ok(real) = path.canonicalize() else {
                    return;
                };
                if real.starts_with(&root) {
                    return;
                }
                let below = path.strip_prefix(&root).unwrap();
                // Through a system folder there is no knowing where to; directly there is.
                let is_system = path
                    .read_link()
                    .is_ok_and(|text| text == Path::new("/").join(below));
                let leads_to_one = path.read_link().is_ok_and(|text| {
                    let text = path.parent().unwrap().join(text);
                    goes_through_a_system_folder(&root, &text)
                });
                assert!(is_system || leads_to_one, "{path:?} is {real:?}");
            });
            fs::remove_dir_all(root).unwrap();
        });
}

/// Whether a part of a path is a link that is a system folder's.
fn goes_through_a_system_folder(root: &Path, path: &Path) -> bool {
    let parts: Vec<_> = path.ancestors().collect();
    parts.into_iter().rev().any(|part| {
        let real = part.parent().and_then(|parent| parent.canonicalize().ok());
        let Some((real, name)) = real.zip(part.file_name()) else {
            return false;
        };
        let place = real.join(name);
        let Ok(below) = place.strip_prefix(root) else {
            return false;
        };
        match place.read_link() {
            Ok(text) if text == Path::new("/").join(below) => true,
            Ok(text) if place != path => goes_through_a_system_folder(root, &real.join(text)),
            _ => false,
        }
    })
}
