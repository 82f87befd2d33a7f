//! What jobs see of this machine: programs, their libraries, and the compilers' own headers.
//!
//! Not seen: `/etc` but for what the dynamic loader, `/etc/alternatives` and the local time zone
//! need, `/home`, `/root`, `/var`, `/srv`, `/opt` and all else that nobody asked for.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::message::{Malformed, Reader, Writer};

/// Folders and files of this machine that jobs see, read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Absolute, none of them below another.
    shown: Vec<PathBuf>,
    /// Folders that keep what they hold also where a client has a folder of the same name.
    kept: Vec<PathBuf>,
    /// The same, and so does all below.
    kept_whole: Vec<PathBuf>,
}

/// The system's own.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// What programs look up in `/etc`.
const SETTINGS: &[&str] = &[
    "/etc/alternatives",
    "/etc/clang",
    "/etc/ld.so.cache",
    "/etc/localtime",
];

/// Folders with files of compilers, or of the programs that they are made of.
const COMPILERS: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/usr/libexec",
    "/usr/include",
    "/usr/lib/gcc",
    "/usr/lib/gcc-cross",
    "/usr/lib/clang",
    "/usr/lib/locale",
    "/usr/lib/bfd-plugins",
    "/usr/lib/compat-ld",
    "/usr/lib/gold-ld",
    "/usr/lib64/gcc",
    "/usr/lib64/clang",
    "/usr/local/bin",
    "/usr/local/include",
    "/usr/share/i18n",
    "/usr/share/locale",
    "/usr/share/locale-langpack",
    "/usr/share/perl",
    "/usr/share/perl5",
    "/usr/share/zoneinfo",
];

/// The same, by the beginning of the name: folders of LLVM, of cross compilers
/// (`/usr/arm-linux-gnueabi`), of the languages of wrappers.
const BEGINNINGS: &[(&str, &[&str])] = &[
    ("/usr/lib", &["llvm", "python", "perl"]),
    (
        "/usr",
        &[
            "aarch64-", "arm-", "i686-", "mips", "powerpc", "riscv", "s390x-", "x86_64-",
        ],
    ),
];

/// Where the dynamic loader looks besides the folders in its settings.
const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/local/lib",
];

impl View {
    /// What is there of the system's folders, and `programs`: folders (or files) that programs
    /// are taken from. One that belongs to a tool chain brings all of it.
    #[must_use]
    pub fn of_this_machine(programs: &[PathBuf]) -> Self {
        let mut view = Self::default();
        for path in SYSTEM.iter().chain(SETTINGS) {
            view.show(Path::new(path));
        }
        // What is in there is not of the view, but every job's.
        view.kept.push("/dev".into());
        view.kept.extend(LIBRARIES.iter().map(PathBuf::from));
        view.kept.extend(library_settings());
        view.kept_whole.extend(COMPILERS.iter().map(PathBuf::from));
        for (folder, beginnings) in BEGINNINGS {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let fits = |start: &&str| name.as_bytes().starts_with(start.as_bytes());
                if beginnings.iter().any(fits) {
                    view.kept_whole.push(entry.path());
                }
            }
        }
        // Others name nothing, such as an empty LD_LIBRARY_PATH; and everything is below an empty path.
        for program in programs.iter().filter(|path| path.is_absolute()) {
            for folder in tool_chain(program) {
                view.show(&folder);
                view.kept_whole.push(folder.clone());
                if let Ok(real) = folder.canonicalize() {
                    view.show(&real);
                    view.kept_whole.push(real);
                }
            }
        }
        view.settle();
        view
    }

    /// The folders and files that make it up, some of them below others.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        let all = self.shown.iter().chain(&self.kept).chain(&self.kept_whole);
        all.map(PathBuf::as_path)
    }

    /// Nothing of this machine: jobs bring all that they need.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            // What is in there is every job's.
            kept: vec!["/dev".into()],
            ..Self::default()
        }
    }

    /// Adds a path that exists.
    fn show(&mut self, path: &Path) {
        let is_plain = path.is_absolute()
            && path.parent().is_some()
            && !path.components().any(|part| part == Component::ParentDir);
        if is_plain && path.symlink_metadata().is_ok() {
            self.shown.push(path.to_owned());
        }
    }

    fn settle(&mut self) {
        for list in [&mut self.shown, &mut self.kept, &mut self.kept_whole] {
            list.sort();
            list.dedup();
        }
        // Sorted by components, so a folder comes before what is below it.
        let mut shown: Vec<PathBuf> = Vec::new();
        for path in self.shown.drain(..) {
            let covered = shown.iter().any(|folder| {
                // A link is not the folder that it leads to.
                path.starts_with(folder) && !folder.is_symlink()
            });
            if !covered {
                shown.push(path);
            }
        }
        self.shown = shown;
    }

    /// Whether jobs see a path of this machine.
    #[must_use]
    pub fn shows(&self, path: &Path) -> bool {
        self.shown.iter().any(|shown| path.starts_with(shown))
    }

    /// Whether jobs see something below a folder that is not seen as a whole.
    pub(crate) fn shows_below(&self, folder: &Path) -> bool {
        let mut shown = self.shown.iter();
        shown.any(|shown| shown != folder && shown.starts_with(folder))
    }

    /// Absolute paths, none of them below another.
    pub(crate) fn shown(&self) -> &[PathBuf] {
        &self.shown
    }

    /// Whether a folder goes on holding what this machine has there, beside a client's files.
    /// All others are the client's alone where it has them, so that a header of this machine is
    /// not found where the client has none.
    #[must_use]
    pub fn keeps(&self, folder: &Path) -> bool {
        let holds = |path: &PathBuf| path.starts_with(folder);
        self.shown.iter().any(|path| path != folder && holds(path))
            || self.kept.iter().any(holds)
            || self.kept_whole.iter().any(holds)
            || self
                .kept_whole
                .iter()
                .any(|whole| folder.starts_with(whole))
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        for list in [&self.shown, &self.kept, &self.kept_whole] {
            out.list(list, |out, path| out.path(path));
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            shown: from.list(Reader::path)?,
            kept: from.list(Reader::path)?,
            kept_whole: from.list(Reader::path)?,
        })
    }
}

/// The folders that `/etc/ld.so.conf.d` names.
fn library_settings() -> Vec<PathBuf> {
    let files = fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten();
    let texts = files
        .flatten()
        .filter_map(|file| fs::read(file.path()).ok());
    let lines = |text: Vec<u8>| -> Vec<PathBuf> {
        let lines = text.split(|&byte| byte == b'\n');
        let folders = lines.filter(|line| line.starts_with(b"/"));
        folders
            .map(|line| PathBuf::from(OsStr::from_bytes(line.trim_ascii_end())))
            .collect()
    };
    texts.flat_map(lines).collect()
}

/// The folders that a program in `path` (the file or its folder) needs to be seen: all of a tool
/// chain that was installed below a folder of its own, else the program's.
fn tool_chain(path: &Path) -> Vec<PathBuf> {
    let folder = match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(path),
    };
    let mut found = vec![folder.to_owned()];
    let real = folder.canonicalize();
    for folder in real.iter().map(PathBuf::as_path).chain([folder]) {
        let in_bin = folder.file_name().is_some_and(|name| name == "bin");
        let prefix = folder
            .parent()
            .filter(|prefix| in_bin && prefix.parent().is_some());
        let is_tool_chain = |prefix: &&Path| {
            [
                "lib/gcc",
                "lib64/gcc",
                "libexec/gcc",
                "lib/clang",
                "lib64/clang",
            ]
            .iter()
            .any(|part| prefix.join(part).is_dir())
        };
        found.extend(prefix.filter(is_tool_chain).map(Path::to_owned));
    }
    // `/usr/bin` and its like are seen already, and `/usr` must not be kept as a whole.
    found.retain(|folder| !SYSTEM.iter().any(|system| folder.starts_with(system)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_there_and_secrets_are_not() {
        let view = View::of_this_machine(&[]);
        assert!(view.shown().contains(&"/usr".into()));
        let sees = |path: &str| {
            view.shown()
                .iter()
                .any(|shown| Path::new(path).starts_with(shown))
        };
        for path in [
            "/etc/passwd",
            "/etc/shadow",
            "/root",
            "/home",
            "/var",
            "/proc",
            "/",
        ] {
            assert!(!sees(path), "{path}");
        }
    }

    #[test]
    fn a_clients_folder_takes_the_place_of_one_that_no_compiler_needs() {
        let view = View::of_this_machine(&["/usr/bin".into()]);
        for folder in [
            "/",
            "/usr",
            "/usr/lib",
            "/usr/lib/gcc/x/12",
            "/usr/include/sys",
            "/usr/share",
        ] {
            assert!(view.keeps(Path::new(folder)), "{folder}");
        }
        for folder in [
            "/usr/src",
            "/usr/lib/foo/include",
            "/usr/share/foo",
            "/home",
            "/usr/local/src",
        ] {
            assert!(!view.keeps(Path::new(folder)), "{folder}");
        }
    }

    #[test]
    fn paths_that_are_not_absolute_keep_nothing() {
        let view = View::of_this_machine(&["".into(), "usr".into(), ".".into()]);
        assert!(!view.keeps(Path::new("/usr/src")) && !view.keeps(Path::new("/home")));
    }

    #[test]
    fn a_tool_chain_is_seen_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for folder in ["gcc/bin", "gcc/lib/gcc/x", "home/bin", "home/secret"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(dir.join("gcc/bin"), dir.join("link")).unwrap();
        let view = View::of_this_machine(&[dir.join("home/bin"), dir.join("link")]);
        let has = |name: &str| view.shown().contains(&dir.join(name));
        assert!(has("gcc") && has("home/bin") && has("link"), "{view:?}");
        assert!(!has("gcc/bin") && !has("home"));
        assert!(view.keeps(&dir.join("gcc/lib")) && view.keeps(&dir));
        assert!(!view.keeps(&dir.join("home/secret")));
    }
}
