//! The copies of the client's files that clients send from: compressed files, links and
//! folders, at the places where the client has them, below a client root.
//!
//! Names are fixed by the protocol. What cannot stand beside what an earlier answer named (a
//! folder where there was a link, the same file under another `#line`) goes below a further
//! root; a file whose source changed is replaced by renaming, so that whoever reads the old
//! copy reads it whole.
//!
//! Nothing here is written through a link: a path is used only when every folder above it was
//! made here as a folder.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::include::MUST_EXIST;

use super::client_root::{ClientRoot, RootFolder};
use super::copies::{Copies, Packed, packed};
use super::refusal::Refusal;
use super::source::{Identity, Text};

/// More versions of one path than any build has.
const MOST_ROOTS: usize = 64;

/// What stands at a place below a root.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    Folder,
    /// A symbolic link with this text.
    Link(OsString),
    /// A compressed file, with this name in a `#line` in front, if any.
    File(Option<OsString>),
    /// An empty file: the folder around it must exist.
    MustExist,
}

struct Root {
    root: ClientRoot,
    /// Everything below the root, under its absolute path on the client.
    objects: HashMap<PathBuf, Object>,
}

/// A copy of a file.
#[derive(Clone)]
struct Copied {
    place: PathBuf,
    /// The identity under which it was written; locked while it is being written.
    written: Arc<Mutex<Option<Identity>>>,
}

/// Copies of one file, by the name in their `#line`, if any. There are few.
type OfFile = Vec<(Option<OsString>, Copied)>;

/// All roots of this server.
pub(crate) struct Mirror {
    folder: RootFolder,
    roots: Mutex<Vec<Root>>,
    /// By real path as text, which costs a fraction of a path's own comparison.
    copies: Mutex<HashMap<OsString, OfFile>>,
    /// For files before they get their names.
    scratch: ClientRoot,
    scratch_names: AtomicUsize,
}

impl Mirror {
    /// Makes the first root.
    pub(crate) fn new(folder: RootFolder) -> io::Result<Self> {
        let first = folder.make_root(1)?;
        let scratch = folder.make_root(0)?;
        Ok(Self {
            folder,
            roots: Mutex::new(vec![Root::new(first)]),
            copies: Mutex::default(),
            scratch,
            scratch_names: AtomicUsize::new(0),
        })
    }

    /// A new file name in a folder of this server's own.
    pub(crate) fn scratch_name(&self) -> PathBuf {
        let number = self.scratch_names.fetch_add(1, Ordering::Relaxed);
        self.scratch.path().join(number.to_string())
    }

    /// The copy of a file, or where one goes.
    fn copied(&self, real: &Path, line: Option<&OsStr>) -> Result<Copied, Refusal> {
        let copies = || self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |copies: &OfFile| {
            let found = copies.iter().find(|(name, _)| name.as_deref() == line);
            found.map(|(_, copied)| copied.clone())
        };
        if let Some(copied) = copies().get(real.as_os_str()).and_then(find) {
            return Ok(copied);
        }
        let suffix = if line.is_some() { ".lzo.abs" } else { ".lzo" };
        let object = Object::File(line.map(OsStr::to_owned));
        let place = self.place(&with_suffix(real, suffix), &object)?;
        let mut copies = copies();
        let of_file = copies.entry(real.into()).or_default();
        // Another thread may have been here meanwhile; the place is the same.
        if let Some(copied) = find(of_file) {
            return Ok(copied);
        }
        let copied = Copied {
            place,
            written: Arc::default(),
        };
        of_file.push((line.map(OsStr::to_owned), copied.clone()));
        Ok(copied)
    }

    /// Removes everything.
    pub(crate) fn remove(&self) {
        // What is left here is removed by the next server.
        for root in self.roots().drain(..) {
            let _ = root.root.remove();
        }
        let _ = self.scratch.remove();
    }

    /// Puts `object` at `at`, below the first root where nothing is in its way.
    fn place(&self, at: &Path, object: &Object) -> Result<PathBuf, Refusal> {
        let mut roots = self.roots();
        for root in roots.iter_mut() {
            if root.has_room(at, object) {
                return root.put(at, object).map_err(Refusal::mirror(at));
            }
        }
        if roots.len() >= MOST_ROOTS {
            let error = io::Error::other("too many versions of one path");
            return Err(Refusal::Mirror(at.to_owned(), error));
        }
        let new = self
            .folder
            .make_root(roots.len() + 1)
            .map_err(Refusal::mirror(at))?;
        roots.push(Root::new(new));
        match roots.last_mut() {
            Some(root) => root.put(at, object).map_err(Refusal::mirror(at)),
            None => Err(Refusal::Stopping),
        }
    }

    fn roots(&self) -> MutexGuard<'_, Vec<Root>> {
        // A root is changed on disk first, and noted then: a panic between leaves the worst
        // case of "already there".
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The paths of copies.
impl Copies for Mirror {
    type Copy = OsString;

    fn file(
        &self,
        real: &Path,
        identity: Option<Identity>,
        line: Option<&OsStr>,
        text: Option<Text>,
    ) -> Result<OsString, Refusal> {
        let Copied { place, written } = self.copied(real, line)?;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some() && *written == identity {
            return Ok(place.into());
        }
        let Packed { block, is_settled } = packed(real, identity, line, text)?;
        let scratch = self.scratch_name();
        fs::write(&scratch, block)
            .and_then(|()| fs::rename(&scratch, &place))
            .map_err(Refusal::mirror(&place))?;
        *written = if is_settled { identity } else { None };
        Ok(place.into())
    }

    fn link(&self, at: &Path, text: &OsStr) -> Result<OsString, Refusal> {
        // Clients remove these endings, which are the link's own here.
        let at = match at.extension().map(OsStr::as_bytes) {
            Some(b"lzo" | b"abs") => with_suffix(at, ".lzo"),
            _ => at.to_owned(),
        };
        self.place(&at, &Object::Link(text.to_owned()))
            .map(Into::into)
    }

    fn folder(&self, at: &Path) -> Result<OsString, Refusal> {
        self.place(&at.join(MUST_EXIST), &Object::MustExist)
            .map(Into::into)
    }
}

impl Root {
    fn new(root: ClientRoot) -> Self {
        Self {
            root,
            objects: HashMap::new(),
        }
    }

    fn has_room(&self, at: &Path, object: &Object) -> bool {
        match self.objects.get(at) {
            Some(there) => there == object,
            None => at
                .ancestors()
                .skip(1)
                .filter_map(|above| self.objects.get(above))
                .all(|above| *above == Object::Folder),
        }
    }

    fn put(&mut self, at: &Path, object: &Object) -> io::Result<PathBuf> {
        let path = self.root.path().join(at.strip_prefix("/").unwrap_or(at));
        if self.objects.contains_key(at) {
            return Ok(path);
        }
        if let Some(above) = at.parent()
            && above.parent().is_some()
        {
            self.put(above, &Object::Folder)?;
        }
        match object {
            Object::Folder => fs::create_dir(&path)?,
            Object::Link(text) => symlink(text, &path)?,
            Object::MustExist => fs::write(&path, "")?,
            Object::File(_) => {} // Written by the caller, not under the lock.
        }
        self.objects.insert(at.to_owned(), object.clone());
        Ok(path)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;
    use protocol::lzo;

    /// A mirror whose roots stand in a folder of the test's own, and that folder.
    fn mirror() -> (Mirror, tempfile::TempDir) {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let folder = RootFolder::choose(Some(dir.path().as_os_str())).unwrap();
        (Mirror::new(folder).unwrap(), dir)
    }

    fn client_name(path: &Path) -> PathBuf {
        protocol::include::client_name(path.as_os_str())
            .unwrap()
            .into()
    }

    fn folder(mirror: &Mirror, at: &Path) -> Result<PathBuf, Refusal> {
        mirror.folder(at).map(Into::into)
    }

    fn link(mirror: &Mirror, at: &Path, text: &OsStr) -> Result<PathBuf, Refusal> {
        mirror.link(at, text).map(Into::into)
    }

    fn content(copy: &Path) -> Vec<u8> {
        lzo::decompress(&fs::read(copy).unwrap(), 1 << 20).unwrap()
    }

    fn copy(mirror: &Mirror, real: &Path, line: Option<&str>) -> PathBuf {
        let identity = source::identify(real).unwrap();
        mirror
            .file(real, identity, line.map(OsStr::new), None)
            .unwrap()
            .into()
    }

    #[test]
    fn objects_stand_where_the_client_has_them() {
        let (mirror, _dir) = mirror();
        let made = folder(&mirror, Path::new("/a/b")).unwrap();
        assert_eq!(client_name(&made), Path::new("/a/b").join(MUST_EXIST));
        assert_eq!(fs::read(&made).unwrap(), b"");
        let linked = link(&mirror, Path::new("/a/l"), "/a/b".as_ref()).unwrap();
        assert_eq!(client_name(&linked), Path::new("/a/l"));
        assert_eq!(fs::read_link(&linked).unwrap(), Path::new("/a/b"));
        let null = copy(&mirror, Path::new("/dev/null"), None);
        assert_eq!(client_name(&null), Path::new("/dev/null"));
        assert_eq!(fs::read(&null).unwrap(), b"\x11\0\0");
    }

    #[test]
    fn a_link_keeps_an_ending_that_clients_remove() {
        let (mirror, _dir) = mirror();
        for name in ["/x.lzo", "/x.abs", "/x.lzo.abs", "/x.h"] {
            let linked = link(&mirror, Path::new(name), "/t".as_ref()).unwrap();
            assert_eq!(client_name(&linked), Path::new(name));
        }
    }

    #[test]
    fn content_is_kept_byte_for_byte() {
        let (mirror, dir) = mirror();
        let real = dir.path().join("x.h");
        fs::write(&real, b"\xc3\xa9\r\n\0\xff").unwrap();
        let place = copy(&mirror, &real, None);
        assert_eq!(client_name(&place), real);
        assert_eq!(content(&place), b"\xc3\xa9\r\n\0\xff");
    }

    #[test]
    fn a_changed_file_is_copied_again_without_touching_the_old_copy() {
        let (mirror, dir) = mirror();
        let real = dir.path().join("x.h");
        fs::write(&real, "old").unwrap();
        let place = copy(&mirror, &real, None);
        let mut reader = fs::File::open(&place).unwrap();
        fs::write(&real, "new").unwrap();
        assert_eq!(copy(&mirror, &real, None), place);
        assert_eq!(content(&place), b"new");
        let mut old = Vec::new();
        io::Read::read_to_end(&mut reader, &mut old).unwrap();
        assert_eq!(lzo::decompress(&old, 100).unwrap(), b"old");
    }

    #[test]
    fn a_copy_is_of_the_file_that_was_asked_for() {
        let (mirror, dir) = mirror();
        let real = dir.path().join("x.h");
        fs::write(&real, "old").unwrap();
        let identity = source::identify(&real).unwrap();
        fs::write(&real, "newer").unwrap();
        let refusal = mirror.file(&real, identity, None, None).unwrap_err();
        assert!(matches!(refusal, Refusal::Unsettled), "{refusal}");
    }

    #[test]
    fn absolute_names_are_kept_in_a_first_line() {
        let (mirror, dir) = mirror();
        let real = dir.path().join("x.h");
        fs::write(&real, "int x;\n").unwrap();
        let place = copy(&mirror, &real, Some("/spelled/x.h"));
        assert_eq!(client_name(&place), real);
        assert_eq!(content(&place), b"#line 1 \"/spelled/x.h\"\nint x;\n");
        // Both variants, and another spelling, can be read at the same time.
        let plain = copy(&mirror, &real, None);
        let other = copy(&mirror, &real, Some("/other/x.h"));
        assert_eq!(client_name(&plain), client_name(&other));
        assert_eq!(content(&plain), b"int x;\n");
        assert_eq!(content(&other), b"#line 1 \"/other/x.h\"\nint x;\n");
        assert_eq!(content(&place), b"#line 1 \"/spelled/x.h\"\nint x;\n");
    }

    #[test]
    fn what_cannot_stand_side_by_side_goes_below_another_root() {
        let (mirror, dir) = mirror();
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        let linked = link(&mirror, Path::new("/a/l"), target.as_os_str()).unwrap();
        let made = folder(&mirror, Path::new("/a/l")).unwrap();
        let other = link(&mirror, Path::new("/a/l"), "/b".as_ref()).unwrap();
        assert_eq!(client_name(&linked), client_name(&other));
        assert_eq!(fs::read_link(&linked).unwrap(), target);
        assert_eq!(fs::read_link(&other).unwrap(), Path::new("/b"));
        assert!(made.is_file());
        // In particular nothing was written through the link into the client's own files.
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
        // And what is there already is used again.
        assert_eq!(
            link(&mirror, Path::new("/a/l"), "/b".as_ref()).unwrap(),
            other
        );
    }

    #[test]
    fn the_number_of_versions_is_bounded() {
        let (mirror, dir) = mirror();
        for version in 0..MOST_ROOTS {
            let text = OsString::from(format!("/{version}"));
            link(&mirror, Path::new("/l"), &text).unwrap();
        }
        assert!(link(&mirror, Path::new("/l"), "/x".as_ref()).is_err());
        mirror.remove();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
