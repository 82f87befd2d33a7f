//! What an answer says of the file system beyond what compilers list: files that only `__has_include` found, paths that
//! are no file, links, folders. Compared with the file system itself.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use includes::Closure;

/// Each thing that `closure`, of a compile in the folder `cwd`, says and that is not so, as a sentence.
pub(crate) fn untrue(closure: &Closure, cwd: &[u8]) -> Vec<String> {
    let path = |bytes| Path::new(OsStr::from_bytes(bytes));
    let mut wrong = Vec::new();
    for file in &closure.files {
        let (spelled, real) = (path(cwd).join(path(&file.spelled)), path(&file.real));
        if !spelled.canonicalize().is_ok_and(|other| other == real) {
            wrong.push(format!("{} is not {}", spelled.display(), real.display()));
        }
    }
    wrong.extend(
        closure
            .absent
            .paths()
            .into_iter()
            .filter_map(|path| there(path)),
    );
    for folder in closure.folders.iter().map(|bytes| path(bytes)) {
        if !folder.is_dir() {
            wrong.push(format!("{} is no folder", folder.display()));
        }
    }
    for (at, target) in &closure.links {
        let (at, target) = (path(at), path(target));
        if !fs::read_link(at).is_ok_and(|other| other == target) {
            wrong.push(format!(
                "{} is no link to {}",
                at.display(),
                target.display()
            ));
        }
    }
    wrong
}

/// What to say of a path that shall be no file.
fn there(absent: &[u8]) -> Option<String> {
    let path = Path::new(OsStr::from_bytes(absent));
    path.is_file()
        .then(|| format!("{} is there", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use includes::ClosureFile;

    use super::*;

    #[test]
    fn what_is_not_so_is_told() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let folder = folder.path().canonicalize().expect("it exists");
        fs::write(folder.join("a.h"), "").expect("ours");
        std::os::unix::fs::symlink("a.h", folder.join("l.h")).expect("ours");
        let bytes = |name: &str| -> Arc<[u8]> { folder.join(name).as_os_str().as_bytes().into() };
        let file = |spelled: &str, real: &str| ClosureFile {
            spelled: spelled.as_bytes().into(),
            real: bytes(real),
            probed_only: true,
            listed: false,
            stamp: None,
        };
        let cwd = folder.as_os_str().as_bytes();
        let so = Closure {
            files: vec![file("a.h", "a.h"), file("l.h", "a.h")],
            folders: vec![bytes("")],
            links: vec![(bytes("l.h"), b"a.h"[..].into())],
            ..Closure::default()
        };
        assert_eq!(untrue(&so, cwd), [""; 0]);
        let not_so = Closure {
            files: vec![file("b.h", "b.h"), file("l.h", "l.h")],
            folders: vec![bytes("a.h")],
            links: vec![(bytes("l.h"), b"b.h"[..].into())],
            ..Closure::default()
        };
        assert_eq!(untrue(&not_so, cwd).len(), 4);
        assert_eq!(there(&bytes("b.h")), None);
        assert!(there(&bytes("l.h")).is_some_and(|why| why.ends_with("l.h is there")));
    }
}
