//! Which working folder does debug information name?
//!
//! The one that the client's user sees: `PWD`, where that is the folder that the compiler is in, as
//! gcc and clang have it. Servers do not know it. In plain mode gcc's text says it, clang's does
//! not. In pump mode servers are told the folder's real path, which is another one where the user
//! came there through a link.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::local_option::{calls_clang, debugs};
use crate::{Compile, extension, option};

/// In words that every version of clang understands. It applies the command's own maps to the folder.
const CLANGS_WORDS: [&str; 3] = ["-Xclang", "-fdebug-compilation-dir", "-Xclang"];

impl Compile {
    /// Whether debug information would name the server's folder in plain mode.
    #[must_use]
    pub fn needs_folder(&self) -> bool {
        calls_clang(&self.argv) && self.says_folder()
    }

    /// [`Self::stripped_command`] with the folder that debug information has to name.
    #[must_use]
    pub fn stripped_command_in(&self, folder: &OsStr) -> Vec<OsString> {
        let mut argv = self.stripped_command();
        // 3.4 would take a word of such a name for a file of the compile. Older versions of clang do not know this one.
        if folder.as_bytes().ends_with(b".o") || extension::source(folder).is_some() {
            let word = [b"-fdebug-compilation-dir=", folder.as_bytes()].concat();
            option::append(&mut argv, [OsString::from_vec(word)]);
            return argv;
        }
        let words = CLANGS_WORDS.map(OsStr::new);
        option::append(&mut argv, words.into_iter().chain([folder]));
        argv
    }

    /// The same compile, to be made in the folder `real`, whose debug information names `folder`.
    #[must_use]
    pub fn naming_folder(self, real: &OsStr, folder: &OsStr) -> Self {
        if real == folder || !self.says_folder() {
            return self;
        }
        if calls_clang(&self.argv) {
            let [first, second, third] = CLANGS_WORDS.map(OsString::from);
            return self.with_options([first, second, third, folder.to_owned()]);
        }
        // gcc maps a path once, by the last option that fits.
        let folder = self.mapped(folder);
        match real.as_bytes().contains(&b'=') {
            true => self,
            false => {
                let words = [b"-fdebug-prefix-map=", real.as_bytes(), b"=", &folder];
                self.with_options([OsString::from_vec(words.concat())])
            }
        }
    }

    /// Whether there is debug information that names the working folder, and no option says which.
    #[must_use]
    pub fn says_folder(&self) -> bool {
        let says = |start: &str| {
            let mut words = self.argv.iter();
            words.any(|word| word.as_bytes().starts_with(start.as_bytes()))
        };
        let mut words = self.argv.iter();
        words.any(|word| debugs(word.as_bytes()))
            && !says("-fdebug-compilation-dir")
            && !says("-ffile-compilation-dir")
    }

    /// A path as gcc writes it into debug information.
    fn mapped(&self, path: &OsStr) -> Vec<u8> {
        let path = path.as_bytes();
        let by = |word: &OsString| {
            let word = word.as_bytes();
            let map = word
                .strip_prefix(b"-fdebug-prefix-map=")
                .or_else(|| word.strip_prefix(b"-ffile-prefix-map="))?;
            let equals = map.iter().position(|&byte| byte == b'=')?;
            let rest = path.strip_prefix(&map[..equals])?;
            Some([&map[equals + 1..], rest].concat())
        };
        let mut words = self.argv[..option::end(&self.argv)].iter().rev();
        words.find_map(by).unwrap_or_else(|| path.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{argv, compile};

    #[test]
    fn a_folder_is_needed_where_clang_would_name_it() {
        let check = |words: &str, expected| {
            assert_eq!(compile(words).needs_folder(), expected, "{words}");
        };
        check("clang -g -c a.c", true);
        check("clang --debug -c a.c", true);
        check("clang -gcc-toolchain /x -c a.c", false);
        check("gcc -g -c a.c", false);
    }

    #[test]
    fn servers_are_told_the_folder() {
        let check = |folder: &str, added: &str| {
            let told = compile("clang -g -c a.c -o a.o").stripped_command_in(folder.as_ref());
            assert_eq!(told, argv(&format!("clang -g -c a.c -o a.o {added}")));
        };
        check("/p", "-Xclang -fdebug-compilation-dir -Xclang /p");
        for folder in ["/p/proj.c", "/p/x.o"] {
            check(folder, &format!("-fdebug-compilation-dir={folder}"));
        }
    }

    #[test]
    fn the_users_folder_is_named_in_pump_mode() {
        let check = |words: &str, added: &str| {
            let named = compile(words).naming_folder("/real".as_ref(), "/link".as_ref());
            let expected = match added {
                "" => argv(words),
                added => argv(&format!("{words} {added}")),
            };
            assert_eq!(named.argv(), expected, "{words}");
        };
        check("gcc -g -c a.c -o a.o", "-fdebug-prefix-map=/real=/link");
        check(
            "gcc -g -ffile-prefix-map=/link=. -c a.c -o a.o",
            "-fdebug-prefix-map=/real=.",
        );
        check(
            "gcc -g -fdebug-prefix-map=/l=x -ffile-prefix-map=/li=y -c a.c -o a.o",
            "-fdebug-prefix-map=/real=ynk",
        );
        check(
            "clang -g -fdebug-prefix-map=/link=. -c a.c -o a.o",
            "-Xclang -fdebug-compilation-dir -Xclang /link",
        );
        check("gcc -g0 -c a.c -o a.o", "");
        check("gcc -O2 -c a.c -o a.o", "");
        check("clang -g -ffile-compilation-dir=. -c a.c -o a.o", "");
        let same = compile("gcc -g -c a.c -o a.o");
        assert_eq!(
            same.clone().naming_folder("/x".as_ref(), "/x".as_ref()),
            same
        );
    }
}
