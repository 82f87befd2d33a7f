//! Which compilers may run: the list of a file, the links in the masquerade folders, or any.
//!
//! The rules are those of 3.4 but for one: a list that cannot be read allows nothing, where 3.4
//! then runs any program. They look at the compiler's name only; what its options may do is for
//! [`command::server::unsafe_option`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::fault::{Refusal, reason};
use crate::log::{Level, Log};
use crate::settings::Programs;

/// The rule, with the files it needs.
#[derive(Debug)]
pub(crate) enum Compilers {
    Any,
    /// Names with a link in one of these folders.
    Linked(Vec<PathBuf>),
    /// This one for all.
    StandIn(PathBuf),
    /// The commands of a file, compared by their last `words` components.
    Listed {
        commands: Vec<OsString>,
        words: usize,
    },
}

/// Where `update-distcc-symlinks` puts a link for each compiler.
const MASQUERADE: &str = "/usr/lib/distcc";

/// The masquerade folders: beside the running program, and the usual one.
pub(crate) fn masquerade_folders(program: Option<&Path>) -> Vec<PathBuf> {
    let beside = program
        .and_then(Path::parent)
        .and_then(Path::parent)
        .map(|prefix| prefix.join("lib/distcc"));
    let mut folders: Vec<PathBuf> = beside.into_iter().collect();
    if !folders.iter().any(|folder| folder == MASQUERADE) {
        folders.push(MASQUERADE.into());
    }
    folders
}

/// Why no compile could ever run.
pub(crate) fn no_links(folders: &[PathBuf]) -> Option<String> {
    let hint = "You must set up masquerade (see distcc(1)) to list whitelisted compilers or pass \
                --enable-tcp-insecure. To set up masquerade automatically run \
                update-distcc-symlinks.";
    let entries = |folder: &PathBuf| std::fs::read_dir(folder).map(Iterator::count);
    match folders
        .iter()
        .filter_map(|folder| entries(folder).ok())
        .max()
    {
        None => Some(format!("{MASQUERADE} not found. {hint}")),
        Some(0) => Some(format!("{MASQUERADE} empty. {hint}")),
        Some(_) => None,
    }
}

impl Compilers {
    /// Reads what the rule needs.
    pub(crate) fn load(programs: &Programs, folders: &[PathBuf], log: &Log) -> Self {
        match programs {
            Programs::Any => Self::Any,
            Programs::StandIn(program) => Self::StandIn(program.clone()),
            Programs::Linked => Self::Linked(folders.to_vec()),
            Programs::InFile { file, words } => {
                let text = std::fs::read(file).unwrap_or_else(|error| {
                    let (file, reason) = (file.display(), reason(&error));
                    log.error(
                        "dcc_remap_compiler",
                        format_args!("stringmap_load({file}, {words}) failed: {reason}"),
                    );
                    Vec::new()
                });
                Self::listed(&text, *words)
            }
        }
    }

    fn listed(text: &[u8], words: usize) -> Self {
        let commands = text
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| OsStr::from_bytes(line).to_owned())
            .collect();
        Self::Listed { commands, words }
    }

    /// The compilers that are known beforehand, by name or path.
    pub(crate) fn names(&self) -> Vec<OsString> {
        const USUAL: [&str; 6] = ["cc", "c++", "gcc", "g++", "clang", "clang++"];
        let entries = |folder: &PathBuf| std::fs::read_dir(folder).into_iter().flatten();
        match self {
            Self::Any => USUAL.map(OsString::from).to_vec(),
            Self::Linked(folders) => {
                let entries = folders.iter().flat_map(entries).flatten();
                entries.map(|entry| entry.file_name()).collect()
            }
            Self::Listed { commands, .. } => commands.clone(),
            Self::StandIn(program) => vec![program.into()],
        }
    }

    /// The program to run for a command that names `name`.
    pub(crate) fn program(&self, name: &OsStr) -> Result<OsString, Refusal> {
        match self {
            Self::Any => Ok(name.to_owned()),
            Self::StandIn(program) => Ok(program.into()),
            Self::Linked(folders) => linked(name, folders).map(|()| name.to_owned()),
            Self::Listed { commands, words } => commands
                .iter()
                .find(|command| last_words(command, *words) == last_words(name, *words))
                .cloned()
                .ok_or_else(|| Refusal {
                    level: Level::Warning,
                    function: "dcc_remap_compiler",
                    text: format!("lookup of {} in DISTCC_CMDLIST failed", name.display()),
                    code: 0,
                }),
        }
    }
}

/// The last `count` components of a path, or all of it.
fn last_words(path: &OsStr, count: usize) -> &[u8] {
    let path = path.as_bytes();
    let slashes = path
        .iter()
        .enumerate()
        .rev()
        .filter(|&(_, &byte)| byte == b'/');
    match slashes.map(|(at, _)| at).nth(count - 1) {
        Some(slash) => &path[slash + 1..],
        None => path,
    }
}

fn linked(name: &OsStr, folders: &[PathBuf]) -> Result<(), Refusal> {
    let refused = |text| Refusal {
        level: Level::Critical,
        function: "dcc_check_compiler_whitelist",
        text,
        code: 0,
    };
    let shown = name.display();
    let bare = without_system_folder(name.as_bytes());
    if bare.contains(&b'/') {
        return Err(refused(format!(
            "compiler name <{shown}> cannot be an absolute path (or must set DISTCC_CMDLIST or \
             pass --enable-tcp-insecure)"
        )));
    }
    let bare = OsString::from_vec(bare.to_vec());
    let found = folders.iter().any(|folder| {
        let link = folder.join(&bare);
        link.is_file() && access(&link, Access::EXEC_OK).is_ok()
    });
    if found {
        return Ok(());
    }
    let folders: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    Err(refused(format!(
        "{shown} not in {} whitelist.",
        folders.join(" or ")
    )))
}

/// `/usr/bin/gcc` is the system's compiler as well as `gcc` is. Upper case is 3.4's rule.
fn without_system_folder(name: &[u8]) -> &[u8] {
    for folder in ["/bin/", "/usr/bin/"] {
        if let Some((head, rest)) = name.split_at_checked(folder.len())
            && head.eq_ignore_ascii_case(folder.as_bytes())
        {
            return rest;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder() -> (tempfile::TempDir, Compilers) {
        let dir = tempfile::tempdir().unwrap();
        symlink("/bin/sh", dir.path().join("gcc")).unwrap();
        symlink("/nowhere", dir.path().join("dangling")).unwrap();
        std::fs::write(dir.path().join("text"), "").unwrap();
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join("text"), mode).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let folders = vec!["/nowhere".into(), dir.path().to_owned()];
        (dir, Compilers::Linked(folders))
    }

    #[test]
    fn linked_names_run() {
        let (_dir, compilers) = folder();
        for name in ["gcc", "/usr/bin/gcc", "/bin/gcc", "/USR/bin/gcc"] {
            assert_eq!(compilers.program(name.as_ref()).unwrap(), name);
        }
    }

    #[test]
    fn names_are_known_beforehand() {
        let (_dir, compilers) = folder();
        assert!(compilers.names().contains(&"gcc".into()));
        let listed = Compilers::listed(b"/opt/gcc\n", 1);
        assert_eq!(listed.names(), ["/opt/gcc"]);
    }

    #[test]
    fn all_others_do_not() {
        let (dir, compilers) = folder();
        let dir = dir.path().display();
        for name in [
            "cc",
            "dangling",
            "text",
            "folder",
            "..",
            ".",
            "",
            "/usr/bin/",
        ] {
            let refusal = compilers.program(name.as_ref()).unwrap_err();
            assert_eq!(
                refusal.text,
                format!("{name} not in /nowhere or {dir} whitelist.")
            );
        }
        for name in ["/opt/gcc", "./gcc", "/usr/bin/../gcc", "/usr/bin//gcc"] {
            let refusal = compilers.program(name.as_ref()).unwrap_err();
            assert_eq!(
                refusal.text,
                format!(
                    "compiler name <{name}> cannot be an absolute path (or must set \
                     DISTCC_CMDLIST or pass --enable-tcp-insecure)"
                )
            );
        }
    }

    #[test]
    fn a_list_maps_names_to_commands() {
        let list = |words| Compilers::listed(b"/opt/a/gcc\n/opt/b/gcc\n/bin/clang", words);
        for (words, name, expected) in [
            (1, "gcc", Some("/opt/a/gcc")),
            (1, "/anywhere/clang", Some("/bin/clang")),
            (1, "cc", None),
            (2, "b/gcc", Some("/opt/b/gcc")),
            (2, "/x/b/gcc", Some("/opt/b/gcc")),
            (2, "gcc", None),
            (1, "", None),
        ] {
            let found = list(words).program(name.as_ref()).ok();
            assert_eq!(found, expected.map(Into::into), "{words} {name}");
        }
    }

    #[test]
    fn an_unreadable_list_allows_nothing() {
        let programs = Programs::InFile {
            file: "/nowhere/list".into(),
            words: 1,
        };
        let log = Log::to_stderr(Level::Emergency);
        let compilers = Compilers::load(&programs, &[], &log);
        assert!(compilers.program("gcc".as_ref()).is_err());
    }

    #[test]
    fn the_folders_must_hold_something() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().to_owned();
        let text = no_links(std::slice::from_ref(&empty)).unwrap();
        assert!(
            text.starts_with("/usr/lib/distcc empty. You must"),
            "{text}"
        );
        let text = no_links(&["/nowhere".into()]).unwrap();
        assert!(
            text.starts_with("/usr/lib/distcc not found. You must"),
            "{text}"
        );
        std::fs::write(dir.path().join("gcc"), "").unwrap();
        assert_eq!(no_links(&["/nowhere".into(), empty]), None);
    }

    #[test]
    fn folders_of_an_installation() {
        let folders = |program: &str| masquerade_folders(Some(Path::new(program)));
        assert_eq!(
            folders("/opt/pumpcc/bin/distccd"),
            [
                Path::new("/opt/pumpcc/lib/distcc"),
                Path::new("/usr/lib/distcc")
            ]
        );
        assert_eq!(folders("/usr/bin/distccd"), [Path::new("/usr/lib/distcc")]);
    }
}
