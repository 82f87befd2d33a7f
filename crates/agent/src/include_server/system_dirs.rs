//! The compiler's default header folders, whose files are never sent: client and servers must
//! have the same ones. A link in the client's tree leads the server to its own.
//!
//! The compiler is asked once per language and per options that move the folders, and again
//! when the program has changed.
//!
//! Source: distcc 3.4, but for three things. Paths are compared by whole components (3.4 takes
//! `/usr/include-extra` for a part of `/usr/include`), folders with blanks in their names are
//! understood, and the folders are those of the compile at hand, not of all before.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::compiler::{Compiler, Identity};
use super::run::{Ended, Stop, run};

const TIME_LIMIT: Duration = Duration::from_secs(60);
const LONGEST_ANSWER: u64 = 1 << 20;

/// What a compiler said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SystemDirs {
    /// The folders as real paths, in the order in which they are searched.
    pub(crate) searched: Vec<PathBuf>,
    /// It is gcc, whose lists of files differ from those of other compilers.
    pub(crate) is_gcc: bool,
}

impl SystemDirs {
    /// Whether the real path `path` is one of the folders or lies below one.
    pub(crate) fn contain(&self, path: &Path) -> bool {
        // Real paths: bytes say the same as components, and are compared faster.
        let path = path.as_os_str().as_bytes();
        self.searched.iter().any(|dir| {
            let dir = dir.as_os_str().as_bytes();
            path.strip_prefix(dir)
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || dir == b"/")
        })
    }

    /// The folders that lie in none of the others.
    pub(crate) fn topmost(&self) -> impl Iterator<Item = &PathBuf> {
        self.searched.iter().enumerate().filter_map(|(at, dir)| {
            let is_inside =
                self.searched.iter().enumerate().any(|(other_at, other)| {
                    dir.starts_with(other) && (dir != other || other_at < at)
                });
            (!is_inside).then_some(dir)
        })
    }

    /// Reads what `-v` prints.
    fn parse(said: &[u8]) -> Option<Self> {
        let mut lines = said.split(|&byte| byte == b'\n');
        let mut is_gcc = false;
        for line in lines.by_ref() {
            is_gcc |= line.starts_with(b"gcc version ");
            if line == b"#include <...> search starts here:" {
                break;
            }
        }
        let mut searched = Vec::new();
        for line in lines {
            is_gcc |= line.starts_with(b"gcc version ");
            if line == b"End of search list." {
                return Some(Self { searched, is_gcc });
            }
            let line = line.strip_prefix(b" ").unwrap_or(line);
            if !line.ends_with(b" (framework directory)") {
                searched.push(PathBuf::from(OsString::from_vec(line.to_vec())));
            }
        }
        None
    }
}

/// The text of the link that stands for the default folder `dir`: so many steps up that it
/// leaves the folder of any server's job, and down again from the root.
pub(crate) fn link_text(dir: &Path) -> OsString {
    /// Deeper than the scratch folder of any server.
    const DEPTH: usize = 20;
    let path = dir.as_os_str().as_bytes();
    let slashes = path.iter().filter(|&&byte| byte == b'/').count();
    let mut text = b"../".repeat(DEPTH + slashes);
    text.extend_from_slice(path.strip_prefix(b"/").unwrap_or(path));
    OsString::from_vec(text)
}

type Question = (Identity, OsString, Vec<OsString>);

/// The answers so far.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Answers do not change; failures are not kept.
    known: Mutex<HashMap<Question, Arc<SystemDirs>>>,
}

impl Answers {
    /// The default folders of `compiler` for `language`; `options` are those that move them.
    /// `scratch` is a file name for what the compiler prints.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub(crate) fn system_dirs(
        &self,
        compiler: &Compiler,
        language: &OsStr,
        options: &[OsString],
        cwd: &Path,
        scratch: &Path,
        stop: &Stop,
    ) -> Result<Arc<SystemDirs>, String> {
        let question = (
            compiler.identity.clone(),
            language.to_owned(),
            options.to_owned(),
        );
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known().get(&question) {
            return Ok(Arc::clone(answer));
        }
        // Not under the lock: two threads may ask the same in the first moment.
        let answer = Arc::new(ask(compiler, language, options, cwd, scratch, stop)?);
        known().insert(question, Arc::clone(&answer));
        Ok(answer)
    }
}

fn ask(
    compiler: &Compiler,
    language: &OsStr,
    options: &[OsString],
    cwd: &Path,
    scratch: &Path,
    stop: &Stop,
) -> Result<SystemDirs, String> {
    let said = {
        let words = |error: std::io::Error| error.to_string();
        let print = File::create(scratch).map_err(words)?;
        let mut command = compiler.command(cwd);
        command
            .args(options)
            .args(["-x".as_ref(), language])
            .args(["-E", "-v", "/dev/null", "-o", "/dev/null"])
            // The lines looked for are translated otherwise.
            .env("LC_ALL", "C")
            .stdout(print.try_clone().map_err(words)?)
            .stderr(print);
        let ended = run(&mut command, TIME_LIMIT, stop);
        let mut said = Vec::new();
        let read =
            File::open(scratch).and_then(|file| file.take(LONGEST_ANSWER).read_to_end(&mut said));
        let _ = fs::remove_file(scratch); // Its folder is removed with the server.
        read.map_err(words)?;
        match ended.map_err(words)? {
            Ended::Exited(status) if status.success() => said,
            Ended::Exited(status) => return Err(status.to_string()),
            Ended::TimedOut => return Err("it takes too long".to_owned()),
            Ended::Stopped => return Err("the include server is ending".to_owned()),
        }
    };
    let mut dirs = SystemDirs::parse(&said).ok_or("it does not print them")?;
    // A folder that is not there is none; compilers leave it out themselves.
    dirs.searched = dirs
        .searched
        .iter()
        .filter_map(|dir| fs::canonicalize(cwd.join(dir)).ok())
        .collect();
    Ok(dirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(searched: &[&str]) -> SystemDirs {
        SystemDirs {
            searched: searched.iter().map(PathBuf::from).collect(),
            is_gcc: false,
        }
    }

    #[test]
    fn fuzzed_search_lists() {
        fuzz::Target::new("compiler's search list")
            .seeds(["gcc version 12\n#include <...> search starts here:\n /usr/include\n /x\nEnd of search list.\n"])
            .words(["\n", " /usr", "End of search list.\n", "#include <...> search starts here:\n", " (framework directory)"])
            .run(|said| {
                if let Some(dirs) = SystemDirs::parse(said) {
                    assert!(dirs.topmost().count() <= dirs.searched.len());
                    for dir in &dirs.searched {
                        link_text(dir);
                    }
                }
            });
    }

    #[test]
    fn the_search_list_is_read() {
        let said = b"Using built-in specs.\n#include \"...\" search starts here:\n\
            #include <...> search starts here:\n /usr/lib/gcc/x/12/include\n /a b/c\n\
             /F (framework directory)\n /usr/include\nEnd of search list.\n\
            gcc version 12.2.0 (Debian)\n";
        assert_eq!(
            SystemDirs::parse(said),
            Some(dirs(&[
                "/usr/lib/gcc/x/12/include",
                "/a b/c",
                "/usr/include"
            ]))
        );
        let gcc = [b"gcc version 12.2.0\n", &said[..]].concat();
        assert!(SystemDirs::parse(&gcc).unwrap().is_gcc);
        assert_eq!(SystemDirs::parse(b"hello\n"), None);
    }

    #[test]
    fn whole_components_are_compared() {
        let dirs = dirs(&["/usr/local/include", "/usr/include"]);
        assert!(dirs.contain(Path::new("/usr/include/stdio.h")));
        assert!(dirs.contain(Path::new("/usr/include")));
        assert!(!dirs.contain(Path::new("/usr/local/include-extra/x.h")));
    }

    #[test]
    fn folders_in_others_need_no_link() {
        let dirs = dirs(&["/l/gcc", "/u/i/x86", "/u/i", "/l/gcc", "/u/i-fixed"]);
        assert_eq!(
            dirs.topmost().collect::<Vec<_>>(),
            ["/l/gcc", "/u/i", "/u/i-fixed"].map(Path::new)
        );
    }

    #[test]
    fn links_climb_out_of_any_job() {
        let text = link_text(Path::new("/usr/include"));
        assert_eq!(text.len(), 0x4d);
        assert_eq!(text, OsString::from("../".repeat(22) + "usr/include"));
        assert_eq!(link_text(Path::new("/usr/local/include")).len(), 0x56);
    }

    #[test]
    fn real_compilers_tell_their_folders() {
        let scratch = tempfile::tempdir().unwrap();
        let stop = Stop::new().unwrap();
        let path = OsString::from("/usr/local/bin:/usr/bin:/bin");
        for (name, language, is_gcc) in [("gcc", "c", true), ("g++", "c++", true)] {
            let compiler = super::super::compiler::find(name.as_ref(), "/".as_ref(), &path)
                .expect("a compiler is installed");
            let answers = Answers::default();
            let ask = || {
                answers.system_dirs(
                    &compiler,
                    language.as_ref(),
                    &[],
                    Path::new("/"),
                    &scratch.path().join("said"),
                    &stop,
                )
            };
            let first = ask().unwrap();
            assert!(first.contain(Path::new("/usr/include/stdio.h")));
            assert_eq!(first.is_gcc, is_gcc);
            assert!(Arc::ptr_eq(&first, &ask().unwrap()));
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        }
    }
}
