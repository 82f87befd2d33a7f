//! What an action makes: where it belongs in the input root, and how it is taken from there.
//!
//! All names are the client's, and are followed in its own root as it described it, before there is anything on disk. The
//! folders are opened before the command runs, and afterwards only names within them are: so nothing that the
//! command did to folders and links leads anywhere.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use action::Digest;
use engine::{Entry, Failure, Folder, Found, Job, Output};
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// More outputs than any compile has, and fewer than there are descriptors.
const MOST_OUTPUTS: usize = 1024;
/// Bytes of a path and of a name, as Linux has it.
const LONGEST_PATH: usize = 4095;
const LONGEST_NAME: usize = 255;
/// Links on one way; as the kernel has it.
const MOST_LINKS: usize = 40;

/// The same root with another program in place of the one that a command names.
///
/// # Errors
/// There is none in the root under that name.
pub(crate) fn with_program(
    root: &Entry,
    cwd: &Path,
    named: &str,
    program: Digest,
    salt: &[u8; 32],
) -> Result<Entry, String> {
    let from = cwd.iter().skip(1).map(|part| part.to_string_lossy().into());
    let mut at: Vec<String> = from.collect();
    let mut path = named.to_owned();
    for _ in 0..MOST_LINKS {
        if path.starts_with('/') {
            at.clear();
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        at = walk(root, at, folder)?;
        at.push(name.to_owned());
        match find(root, &at) {
            Some(Entry::Link(target)) => path.clone_from(target),
            Some(Entry::File { .. }) => {
                let file = Entry::File {
                    digest: program,
                    executable: true,
                };
                return Ok(with(root, &at, Some(&file), salt));
            }
            Some(Entry::Folder { .. }) | None => break,
        }
        at.pop();
    }
    Err(format!("there is no program {named:?} in the input root"))
}

/// Where an action works and writes.
#[derive(Debug)]
pub(crate) struct Places {
    /// The input root with all folders that are needed.
    pub(crate) root: Entry,
    /// The working folder, as the command sees it.
    pub(crate) cwd: PathBuf,
    /// The folders of outputs, each once, without links.
    pub(crate) folders: Vec<PathBuf>,
    outputs: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    declared: String,
    folder: usize,
    name: String,
}

impl Places {
    /// Finds the places of an action's outputs. `salt` is this server's secret: no client shall know the digest of a
    /// folder that is made here.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub(crate) fn of(job: &Job, salt: &[u8; 32]) -> Result<Self, String> {
        Self::find(
            &job.root,
            &job.command.working_directory,
            &job.outputs,
            salt,
        )
    }

    fn find(root: &Entry, cwd: &str, declared: &[String], salt: &[u8; 32]) -> Result<Self, String> {
        if declared.len() > MOST_OUTPUTS {
            let count = declared.len();
            return Err(format!("{count} outputs; {MOST_OUTPUTS} are the most"));
        }
        if cwd.starts_with('/') {
            return Err(format!("the working directory {cwd:?} is absolute"));
        }
        let mut root = root.clone();
        let cwd = walk(&root, Vec::new(), cwd)?;
        root = with_folder(&root, &cwd, salt);
        let mut folders: Vec<Vec<String>> = Vec::new();
        let mut outputs = Vec::new();
        for path in declared {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let is_bad = matches!(name, "" | "." | "..") || name.contains('\0');
            if path.starts_with('/') || is_bad || name.len() > LONGEST_NAME {
                return Err(format!("{path:?} is no path of an output"));
            }
            let folder = walk(&root, cwd.clone(), folder)?;
            let is_file = matches!(find(&root, &[name.to_owned()]), Some(Entry::File { .. }));
            if folder.is_empty() && is_file {
                // It would be seen as it is around the job, which is empty.
                return Err(format!(
                    "the output {path:?} is a file at the top of the input root"
                ));
            }
            let known = folders.iter().position(|known| *known == folder);
            let number = known.unwrap_or_else(|| {
                root = with_folder(&root, &folder, salt);
                folders.push(folder);
                folders.len() - 1
            });
            outputs.push(Place {
                declared: path.clone(),
                folder: number,
                name: name.to_owned(),
            });
        }
        let absolute = |parts: &Vec<String>| PathBuf::from(format!("/{}", parts.join("/")));
        Ok(Self {
            root,
            cwd: absolute(&cwd),
            folders: folders.iter().map(absolute).collect(),
            outputs,
        })
    }

    /// The outputs that are there, from the folders as they were opened before the command ran.
    ///
    /// # Errors
    /// [`Failure::Invalid`] for one that cannot be brought back, [`Failure::Broken`].
    pub(crate) fn take(&self, folders: &[OwnedFd]) -> Result<Vec<(String, Output)>, Failure> {
        let mut all = Vec::new();
        for place in &self.outputs {
            let path = self.folders.get(place.folder);
            if path.is_some_and(|path| path == Path::new("/dev")) {
                continue; // What stands there are devices, and nothing comes of them.
            }
            let folder = folders.get(place.folder).ok_or_else(|| {
                Failure::Broken("the sandbox has not opened all folders".to_owned())
            })?;
            let Some(output) = open(folder, &place.name, &place.declared)? else {
                continue;
            };
            if let Output::Folder(_) = output {
                self.check_folder(place)?;
            }
            all.push((place.declared.clone(), output));
        }
        Ok(all)
    }
}

impl Places {
    /// Whether all that is in an output that is a folder can be seen from the folder around it.
    fn check_folder(&self, place: &Place) -> Result<(), Failure> {
        let path = self.folders[place.folder].join(&place.name);
        let invalid = |what: &str| {
            let declared = &place.declared;
            Err(Failure::Invalid(format!("the output {declared:?} {what}")))
        };
        // These have mounts of their own, which went with the job.
        if self.folders.iter().any(|inner| inner.starts_with(&path)) {
            return invalid("is a folder that holds other outputs");
        }
        let top = path.strip_prefix("/").ok().and_then(Path::to_str);
        if top.is_some_and(|top| MOUNTED.contains(&top)) {
            return invalid("is a folder of the system");
        }
        Ok(())
    }
}

/// Where a job's root may have something else than the tree, at the top.
const MOUNTED: [&str; 12] = [
    "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin", "tmp", "usr",
];
/// Entries of a folder at most.
const MOST_ENTRIES: usize = 100_000;
/// Folders within folders at most; each is open while those within it are visited.
const MOST_LEVELS: usize = 100;

/// An output that is a folder.
#[derive(Debug)]
struct Tree {
    folder: OwnedFd,
    declared: String,
}

impl Folder for Tree {
    fn visit(
        &self,
        take: &mut dyn FnMut(&str, Found) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut entries = 0;
        self.visit_folder(&self.folder, "", 1, &mut entries, take)
    }
}

impl Tree {
    fn visit_folder(
        &self,
        folder: &OwnedFd,
        at: &str,
        level: usize,
        entries: &mut usize,
        take: &mut dyn FnMut(&str, Found) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let declared = &self.declared;
        for name in self.names(folder)? {
            *entries += 1;
            if *entries > MOST_ENTRIES || level > MOST_LEVELS {
                let text = format!("the output {declared:?} has too many entries or levels");
                return Err(Failure::Exceeded(text));
            }
            let path = match at {
                "" => name.clone(),
                _ => format!("{at}/{name}"),
            };
            match open_any(folder, &name, &format!("{declared}/{path}"))? {
                Some(Opened::File {
                    content,
                    executable,
                }) => take(
                    &path,
                    Found::File {
                        content,
                        executable,
                    },
                )?,
                Some(Opened::Link(target)) => take(&path, Found::Link(target))?,
                Some(Opened::Folder(inner)) => {
                    take(&path, Found::Folder)?;
                    self.visit_folder(&inner, &path, level + 1, entries, take)?;
                }
                // Nothing of the job runs any more, so it is there, and is a device.
                None => {
                    let text = format!("the output {declared:?} holds {path:?}, which is no file");
                    return Err(Failure::Invalid(text));
                }
            }
        }
        Ok(())
    }

    /// Sorted, so that what is refused does not depend on the file system.
    fn names(&self, folder: &OwnedFd) -> Result<Vec<String>, Failure> {
        let declared = &self.declared;
        let broken = |errno: Errno| {
            let reason = crate::fault::reason(&errno.into());
            Failure::Broken(format!("reading the output {declared:?}: {reason}"))
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() > MOST_ENTRIES {
                break; // One too many, which is found out soon.
            }
            let name = String::from_utf8(name.to_vec()).map_err(|_| {
                let text = format!("the output {declared:?} holds a name that is no UTF-8");
                Failure::Invalid(text)
            })?;
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Something that a command made, opened.
enum Opened {
    File { content: File, executable: bool },
    Link(String),
    Folder(OwnedFd),
}

fn open(folder: &OwnedFd, name: &str, declared: &str) -> Result<Option<Output>, Failure> {
    let opened = open_any(folder, name, declared)?;
    Ok(opened.map(|opened| match opened {
        Opened::File {
            content,
            executable,
        } => Output::File {
            content,
            executable,
        },
        Opened::Link(target) => Output::Link(target),
        Opened::Folder(folder) => Output::Folder(Box::new(Tree {
            folder,
            declared: declared.to_owned(),
        })),
    }))
}

fn open_any(folder: &OwnedFd, name: &str, declared: &str) -> Result<Option<Opened>, Failure> {
    let invalid = |what: &str| Failure::Invalid(format!("the output {declared:?} {what}"));
    let broken = |errno: Errno| {
        let reason = crate::fault::reason(&errno.into());
        Failure::Broken(format!("taking the output {declared:?}: {reason}"))
    };
    // Whatever it is, opening it neither waits nor does anything.
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match openat(folder, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            let target = readlinkat(folder, name, Vec::new()).map_err(broken)?;
            let target = target.into_string();
            let target = target.map_err(|_| invalid("is a link to a name that is no UTF-8"))?;
            return Ok(Some(Opened::Link(target)));
        }
        Err(Errno::ACCESS) => return Err(invalid("cannot be read")),
        Err(Errno::NXIO | Errno::NODEV) => return Err(invalid("is no file")),
        Err(errno) => return Err(broken(errno)),
    };
    let found = fstat(&opened).map_err(broken)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(Some(Opened::File {
            content: File::from(opened),
            executable: found.st_mode & 0o111 != 0,
        })),
        // `/dev/null`: as little is made of it here as anywhere.
        FileType::CharacterDevice => Ok(None),
        FileType::Directory => Ok(Some(Opened::Folder(opened))),
        _ => Err(invalid("is no file")),
    }
}

/// Where a path leads in a root, without links. What is not there is taken for folders.
fn walk(root: &Entry, from: Vec<String>, path: &str) -> Result<Vec<String>, String> {
    let mut at = from;
    let mut links = 0;
    let mut left: VecDeque<String> = path.split('/').map(String::from).collect();
    if path.len() > LONGEST_PATH || path.split('/').any(|part| part.len() > LONGEST_NAME) {
        return Err(format!("{path:?} is longer than paths may be"));
    }
    while let Some(part) = left.pop_front() {
        match &*part {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            name if name.contains('\0') => return Err(format!("{path:?} is no path")),
            _ => {}
        }
        at.push(part);
        if at.len() > engine::MOST_LEVELS {
            let most = engine::MOST_LEVELS;
            return Err(format!("{path:?} leads through more than {most} folders"));
        }
        match find(root, &at) {
            Some(Entry::File { .. }) => {
                return Err(format!("{path:?} leads through a file: /{}", at.join("/")));
            }
            Some(Entry::Link(target)) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(format!("{path:?} leads through too many links"));
                }
                at.pop();
                if target.starts_with('/') {
                    at.clear();
                }
                for part in target.rsplit('/') {
                    left.push_front(part.to_owned());
                }
            }
            Some(Entry::Folder { .. }) | None => {}
        }
    }
    Ok(at)
}

fn find<'e>(root: &'e Entry, path: &[String]) -> Option<&'e Entry> {
    path.iter().try_fold(root, |entry, name| match entry {
        Entry::Folder { entries, .. } => entries.get(name),
        Entry::File { .. } | Entry::Link(_) => None,
    })
}

/// The same root with a folder that may not have been there.
fn with_folder(entry: &Entry, path: &[String], salt: &[u8; 32]) -> Entry {
    with(entry, path, None, salt)
}

/// The same root with something at this path, or else a folder.
fn with(entry: &Entry, path: &[String], what: Option<&Entry>, salt: &[u8; 32]) -> Entry {
    let Some((name, rest)) = path.split_first() else {
        return what.unwrap_or(entry).clone();
    };
    let Entry::Folder { digest, entries } = entry else {
        return entry.clone(); // `walk` has seen that there is none on the way.
    };
    let empty = || Entry::Folder {
        digest: Digest::of(salt),
        entries: Arc::new(BTreeMap::new()),
    };
    let inner = entries.get(name);
    let made = with(&inner.cloned().unwrap_or_else(empty), rest, what, salt);
    if inner == Some(&made) {
        return entry.clone();
    }
    let mut named = salt.to_vec();
    named.extend(digest.hash);
    if let Entry::Folder { digest, .. } | Entry::File { digest, .. } = &made {
        named.extend(digest.hash);
    }
    named.extend(name.as_bytes());
    let mut entries = BTreeMap::clone(entries);
    entries.insert(name.clone(), made);
    Entry::Folder {
        digest: Digest::of(&named),
        entries: Arc::new(entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const SALT: [u8; 32] = [7; 32];

    fn folder(entries: &[(&str, Entry)]) -> Entry {
        let entries = entries.iter();
        let entries = entries.map(|(name, entry)| ((*name).to_owned(), entry.clone()));
        let entries: BTreeMap<String, Entry> = entries.collect();
        Entry::Folder {
            digest: Digest::of(format!("{entries:?}").as_bytes()),
            entries: Arc::new(entries),
        }
    }

    fn root() -> Entry {
        let file = Entry::File {
            digest: Digest::of(b""),
            executable: false,
        };
        let link = |target: &str| Entry::Link(target.to_owned());
        folder(&[
            ("home", folder(&[("src", folder(&[("a.c", file)]))])),
            ("abs", link("/home/src")),
            ("rel", link("home/./src/")),
            ("loop", link("loop")),
            ("up", link("../../..")),
            ("etc", link("/etc-of-the-client")),
        ])
    }

    fn places(cwd: &str, outputs: &[&str]) -> Result<Places, String> {
        let outputs: Vec<String> = outputs.iter().map(|&output| output.to_owned()).collect();
        Places::find(&root(), cwd, &outputs, &SALT)
    }

    fn check(cwd: &str, output: &str, folder: &str) {
        let places = places(cwd, &[output]).unwrap();
        assert_eq!(places.folders, [PathBuf::from(folder)], "{cwd} {output}");
        let parts: Vec<String> = folder.split('/').skip(1).map(String::from).collect();
        let parts = if folder == "/" { Vec::new() } else { parts };
        let there = find(&places.root, &parts);
        assert!(matches!(there, Some(Entry::Folder { .. })), "{folder}");
    }

    #[test]
    fn outputs_stay_in_the_clients_root() {
        check("home/src", "a.o", "/home/src");
        check("home/src", "../out/x/a.o", "/home/out/x");
        check(
            "home/src",
            "../../../../../../etc/shadow",
            "/etc-of-the-client",
        );
        check("", "a.o", "/");
        check("", "abs/a.o", "/home/src");
        check("", "rel/./b/../a.o", "/home/src");
        check("", "up/a.o", "/");
        check("not/there", "a.o", "/not/there");
        check("abs", "a.o", "/home/src");
    }

    #[test]
    fn what_is_no_output_is_refused() {
        for output in [
            "/etc/passwd",
            "",
            ".",
            "..",
            "a/..",
            "a/",
            "/",
            "x\0y",
            "x\0/y",
        ] {
            assert!(places("", &[output]).is_err(), "{output:?}");
        }
        assert!(places("", &["home/src/a.c/x"]).is_err());
        assert!(places("", &["loop/x"]).is_err());
        assert!(places("/etc", &["x"]).is_err());
        assert!(places("home/src/a.c", &["x"]).is_err());
        assert!(places("", &["x"; 1025]).is_err());
        // As many calls within calls as a stack holds would end the server.
        let deep = |levels: usize| "a/".repeat(levels);
        assert!(places(&deep(200), &["x"]).is_ok());
        assert!(places(&deep(200), &[&(deep(100) + "x")]).is_err());
        for levels in [300, 3_000, 300_000] {
            assert!(places(&deep(levels), &["x"]).is_err());
            assert!(places("", &[&(deep(levels) + "x")]).is_err());
        }
        let long = "n".repeat(256);
        assert!(places(&long, &["x"]).is_err() && places("", &[&long]).is_err());
    }

    /// Such a file is mounted alone, over an empty one.
    #[test]
    fn inputs_at_the_top_are_no_outputs() {
        let file = Entry::File {
            digest: Digest::of(b"in"),
            executable: false,
        };
        let root = folder(&[("in", file.clone()), ("d", folder(&[("in", file)]))]);
        let declared = |cwd: &str, path: &str| Places::find(&root, cwd, &[path.to_owned()], &SALT);
        for (cwd, path) in [("", "in"), ("d", "../in"), ("", "d/.././in")] {
            let why = declared(cwd, path).unwrap_err();
            assert!(
                why.ends_with("is a file at the top of the input root"),
                "{why}"
            );
        }
        assert!(declared("", "d/in").is_ok() && declared("", "d").is_ok());
        assert!(declared("", "out").is_ok());
    }

    #[test]
    fn folders_that_are_made_change_digests_on_their_way_and_nothing_else() {
        let before = root();
        let same = places("home/src", &["a.o", "../../b.o"]).unwrap();
        assert_eq!((&same.root, same.folders.len()), (&before, 2));
        let Entry::Folder { digest, entries } = &before else {
            panic!()
        };
        let made = places("home/new", &["a.o"]).unwrap().root;
        let Entry::Folder {
            digest: other,
            entries: others,
        } = &made
        else {
            panic!()
        };
        assert!(digest != other && entries["home"] != others["home"]);
        assert_eq!(entries["abs"], others["abs"]);
        assert_eq!(made, places("home/new", &["b.o"]).unwrap().root);
    }

    #[test]
    fn another_program_takes_the_place_of_the_one_that_is_named() {
        let stand_in = Digest::of(b"stand-in");
        let with = |cwd: &str, named| with_program(&root(), Path::new(cwd), named, stand_in, &SALT);
        for (cwd, named) in [
            ("/", "/home/src/a.c"),
            ("/home/src", "a.c"),
            ("/home", "../abs/./a.c"),
        ] {
            let made = with(cwd, named).unwrap();
            let path = ["home", "src", "a.c"].map(String::from);
            let there = find(&made, &path);
            assert!(
                matches!(there, Some(Entry::File { digest, executable: true }) if *digest == stand_in)
            );
            assert_ne!(made, root());
        }
        assert!(with("/", "/home/src").is_err());
        assert!(with("/", "a.c").is_err());
        assert!(with("/", "loop").is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "content").unwrap();
        symlink("/etc/shadow", at("link")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        let fd: OwnedFd = File::open(dir.path()).unwrap().into();
        let take = |name: &str| places("", &[name]).unwrap().take(std::slice::from_ref(&fd));
        assert!(take("missing").unwrap().is_empty());
        let [(name, Output::File { executable, .. })] = &take("file").unwrap()[..] else {
            panic!("no file");
        };
        assert_eq!((&**name, *executable), ("file", false));
        let [(_, Output::Link(target))] = &take("link").unwrap()[..] else {
            panic!("no link");
        };
        assert_eq!(target, "/etc/shadow");
        assert!(matches!(take("pipe"), Err(Failure::Invalid(_))));
    }

    /// All entries of a folder, as text.
    fn visited(folder: &Path) -> Result<Vec<String>, Failure> {
        let around: OwnedFd = File::open(folder.parent().unwrap()).unwrap().into();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let mut taken = places("", &[name]).unwrap().take(&[around])?;
        let Some((_, Output::Folder(folder))) = taken.pop() else {
            panic!("no folder");
        };
        let mut all = Vec::new();
        folder.visit(&mut |path, found| {
            let shown = match found {
                Found::File {
                    content,
                    executable,
                } => {
                    let text = std::io::read_to_string(content).unwrap();
                    format!("{path}: {text}{}", if executable { "*" } else { "" })
                }
                Found::Link(target) => format!("{path} -> {target}"),
                Found::Folder => format!("{path}/"),
            };
            all.push(shown);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn folders_are_taken_with_all_that_is_in_them_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std::fs::create_dir_all(out.join("inner/empty")).unwrap();
        std::fs::write(out.join("inner/file"), "content").unwrap();
        std::fs::write(out.join("program"), "runs").unwrap();
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(out.join("program"), runs).unwrap();
        symlink("/etc", out.join("etc")).unwrap();
        symlink("inner/file", out.join("inner.link")).unwrap();
        let expected = [
            "etc -> /etc",
            "inner/",
            "inner/empty/",
            "inner/file: content",
            "inner.link -> inner/file",
            "program: runs*",
        ];
        assert_eq!(visited(&out).unwrap(), expected);
        // Nothing is left out in silence.
        let made = |name: &str| out.join(name);
        rustix::fs::mknodat(rustix::fs::CWD, made("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(visited(&out), Err(Failure::Invalid(_))));
        std::fs::remove_file(made("pipe")).unwrap();
        let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
        let odd: &std::ffi::OsStr = odd;
        std::fs::write(out.join(odd), "").unwrap();
        assert!(matches!(visited(&out), Err(Failure::Invalid(_))));
        std::fs::remove_file(out.join(odd)).unwrap();
        std::fs::create_dir_all(made(&"d/".repeat(MOST_LEVELS + 1))).unwrap();
        assert!(matches!(visited(&out), Err(Failure::Exceeded(_))));
    }

    #[test]
    fn folders_with_mounts_of_their_own_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("out/in")).unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        for outputs in [&["out", "out/in/file"][..], &["tmp"]] {
            let places = places("", outputs).unwrap();
            let open = || OwnedFd::from(File::open(dir.path()).unwrap());
            let fds: Vec<OwnedFd> = places.folders.iter().map(|_| open()).collect();
            let taken = places.take(&fds);
            assert!(matches!(taken, Err(Failure::Invalid(_))), "{outputs:?}");
        }
    }
}
