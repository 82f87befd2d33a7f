//! The command for a client's tree below a scratch folder. (In a sandbox with the tree at the
//! client's own paths only the last of these is left, see [`Compile::in_place_command`].)
//!
//! Three things have to come out as in a local compile, though the files are elsewhere:
//!
//! **Which files are found.** Absolute paths in arguments are moved below the folder; relative
//! ones fit already, since the command runs in the client's own folder below it. Paths behind
//! `=` or `$SYSROOT` follow the system root, which is moved itself.
//!
//! **What the object says of them.** `-ffile-prefix-map=ROOT=` maps them back in debug
//! information and `__FILE__`. The client's own maps must go on working, on the same path as
//! before. What compilers do with several maps (tried with `-gdwarf-4`, `-gdwarf-5` and
//! `__FILE__`): each path is mapped once. gcc takes the map given last of those that fit, but a
//! `-ffile-prefix-map` always before a `-fmacro-prefix-map`. clang takes the longest prefix. So
//! the client's maps stay (for paths that are not below the folder), ours follows them, and at
//! the end come the client's maps once more, with the folder in front of what they look for. Ours
//! is split into its two parts where the client has a `-fmacro-prefix-map`, which it would hide
//! from gcc. gcc has known `-ffile-prefix-map` and `-fmacro-prefix-map` since version 8; an older
//! one refuses them, and its jobs fail.
//!
//! One trace is left: with `-gdwarf-4` and an absolute source, gcc 12 gives the source two
//! numbers in the line table, both right. So it does under any prefix map.
//!
//! **What the dependency file says.** Targets stay in the command, so that the compiler writes
//! them; only the default, which it would make from the server's output, is said. A stock client
//! says it too, as a last `-MT` without quoting it for make. Paths are left to
//! [`super::client_dependencies`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::{Compile, makefile, option, options};

/// Their value is a path too, as long as no `-iprefix` comes before: then it is put behind that
/// one's value.
const AFTER_PREFIX: &[&str] = &[
    "-iwithprefix",
    "-iwithprefixbefore",
    "--include-with-prefix",
    "--include-with-prefix-after",
    "--include-with-prefix-before",
];

const PREFIX_MAPS: &[&str] = &[
    "-ffile-prefix-map=",
    "-fdebug-prefix-map=",
    "-fmacro-prefix-map=",
    "-fprofile-prefix-map=",
    "-fcoverage-prefix-map=",
];

impl Compile {
    /// The command for a client's tree rebuilt below `root` (protocol 3), to be run in
    /// `root` + the client's folder. Absolute paths are moved below `root`, dependencies go to
    /// `deps`, and no path of the server gets into the object (`-ffile-prefix-map`).
    ///
    /// `root` is absolute, without a slash at its end, without `=`, and without symbolic links
    /// in it (compilers ask the system for the working folder).
    #[must_use]
    pub fn tree_command(&self, root: &OsStr, output: &OsStr, deps: &OsStr) -> Vec<OsString> {
        let mut argv = self.argv_with_output(output);
        if let Some(input) = moved(self.input().as_bytes(), root) {
            argv[self.input] = input;
        }
        for options in layers(&argv) {
            move_paths(&mut argv, &options, root);
        }
        let maps = prefix_maps(&argv, root);
        self.with_dependencies(argv, maps, deps)
    }

    /// The command for a client's tree that stands at the client's own paths (protocol 3), to be
    /// run in the client's own folder. Only the object and the dependencies go elsewhere.
    #[must_use]
    pub fn in_place_command(&self, output: &OsStr, deps: &OsStr) -> Vec<OsString> {
        self.with_dependencies(self.argv_with_output(output), Vec::new(), deps)
    }

    /// The absolute paths among the options: folders to search, files to include and the like.
    #[must_use]
    pub fn named_paths(&self) -> Vec<&OsStr> {
        let places = layers(&self.argv).map(|options| path_places(&self.argv, &options));
        let path = |&(index, start): &(usize, usize)| &self.argv[index].as_bytes()[start..];
        places
            .iter()
            .flatten()
            .map(path)
            .map(OsStr::from_bytes)
            .collect()
    }

    /// Dependencies are always written, and to `deps`; `added` are further words.
    fn with_dependencies(
        &self,
        mut argv: Vec<OsString>,
        mut added: Vec<OsString>,
        deps: &OsStr,
    ) -> Vec<OsString> {
        quote_default_target(&mut argv, self.output());
        let mut argv = without_dependency_file(&argv);
        let dependencies = self.dependency_options();
        if !dependencies.wanted {
            added.push("-MMD".into());
        }
        if !dependencies.target {
            let output = self.output();
            // A word of its own that begins so would be a response file.
            if output.as_bytes().starts_with(b"@") {
                added.push(OsString::from_vec([b"-MQ", output.as_bytes()].concat()));
            } else {
                added.extend(["-MQ".into(), output.to_owned()]);
            }
        }
        added.extend(["-MF".into(), deps.to_owned()]);
        option::append(&mut argv, added);
        argv
    }
}

/// `path` below `root`, if it is absolute.
fn moved(path: &[u8], root: &OsStr) -> Option<OsString> {
    let below = || OsString::from_vec([root.as_bytes(), path].concat());
    path.starts_with(b"/").then(below)
}

/// The positions of the options proper, of those behind `-Xpreprocessor`, and of those behind
/// `-Xclang`: an option and its value are neighbours within one of them.
fn layers(argv: &[OsString]) -> [Vec<usize>; 3] {
    let mut layers = [vec![], vec![], vec![]];
    let is_value = option::values(argv);
    for index in 1..argv.len() {
        let carrier = is_value[index].then(|| argv[index - 1].as_bytes());
        match carrier {
            Some(b"-Xpreprocessor") => layers[1].push(index),
            Some(b"-Xclang") => layers[2].push(index),
            _ => layers[0].push(index),
        }
    }
    layers
}

/// Moves the paths among the `options`, which are positions in `argv`.
fn move_paths(argv: &mut [OsString], options: &[usize], root: &OsStr) {
    for (index, start) in path_places(argv, options) {
        let (option, path) = argv[index].as_bytes().split_at(start);
        argv[index] = OsString::from_vec([option, root.as_bytes(), path].concat());
    }
}

/// Where absolute paths are among the `options`: words, and how far in them the path begins.
fn path_places(argv: &[OsString], options: &[usize]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut prefix_seen = false;
    let mut after_path_option = false;
    let mut after_option = false;
    for &index in options {
        let word = argv[index].as_bytes();
        let is_value = std::mem::take(&mut after_option);
        if std::mem::take(&mut after_path_option) {
            places.push((index, 0));
            continue;
        }
        let Some(entry) = options::find(word).filter(|_| !is_value) else {
            continue;
        };
        let is_path = entry.class.is_path() || !prefix_seen && AFTER_PREFIX.contains(&entry.name);
        prefix_seen |= matches!(entry.name, "-iprefix" | "--include-prefix");
        after_option = options::takes_next(word);
        after_path_option = is_path && after_option;
        let glued = entry.glued_value(word).filter(|_| is_path);
        places.extend(glued.map(|value| (index, word.len() - value.len())));
    }
    places.retain(|&(index, start)| argv[index].as_bytes()[start..].starts_with(b"/"));
    places
}

/// Our map, and the client's own ones for paths below `root`.
fn prefix_maps(argv: &[OsString], root: &OsStr) -> Vec<OsString> {
    let is_value = option::values(argv);
    let options = argv.iter().zip(is_value).filter(|(_, is_value)| !is_value);
    let maps: Vec<(&str, &[u8])> = options
        .filter_map(|(word, _)| {
            PREFIX_MAPS.iter().find_map(|option| {
                let map = word.as_bytes().strip_prefix(option.as_bytes())?;
                Some((*option, map))
            })
        })
        .collect();
    let ours: &[&str] = if maps
        .iter()
        .any(|(option, _)| *option == "-fmacro-prefix-map=")
    {
        &["-fdebug-prefix-map=", "-fmacro-prefix-map="]
    } else {
        &["-ffile-prefix-map="]
    };
    let ours = ours.iter().map(|&option| (option, &b"="[..]));
    let theirs = maps.into_iter().filter(|(_, map)| map.starts_with(b"/"));
    ours.chain(theirs)
        .map(|(option, map)| OsString::from_vec([option.as_bytes(), root.as_bytes(), map].concat()))
        .collect()
}

/// Makes a stock client's `-MT OUTPUT` at the end `-MQ OUTPUT`: it says the default target
/// without the quoting that compilers give it. A client like ours that has quoted it already is
/// recognised by just that.
fn quote_default_target(argv: &mut [OsString], output: &OsStr) {
    let [before @ .., option, target] = argv else {
        return;
    };
    let other_target = |word: &OsString| {
        let word = word.as_bytes();
        word.starts_with(b"-MT") || word.starts_with(b"-MQ")
    };
    if option == "-MT"
        && target == output
        && *target != makefile::quote(output)
        && !before.iter().any(other_target)
    {
        *option = "-MQ".into();
    }
}

/// Without `-MF`: the last one would win, but one is enough.
fn without_dependency_file(argv: &[OsString]) -> Vec<OsString> {
    let is_value = option::values(argv);
    let is_file = |index: usize| !is_value[index] && argv[index].as_bytes().starts_with(b"-MF");
    let kept = (0..argv.len()).filter(|&index| {
        let value_of_file = is_value[index] && argv[index - 1] == "-MF";
        index == 0 || !(is_file(index) || value_of_file)
    });
    kept.map(|index| argv[index].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{argv, compile};

    const MAP: &str = "-ffile-prefix-map=/r=";

    fn tree_command(command: &Compile) -> Vec<OsString> {
        let [root, output, deps] = ["/r", "/t/o", "/t/d"].map(OsStr::new);
        command.tree_command(root, output, deps)
    }

    fn check(command: &str, expected: &str) {
        assert_eq!(tree_command(&compile(command)), argv(expected), "{command}");
    }

    /// `words` in a command whose dependency options need nothing.
    fn check_words(words: &str, expected: &str, maps: &str) {
        check(
            &format!("cc {words} -MD -MT t -o x -c a.c"),
            &format!("cc {expected} -MD -MT t -o /t/o -c a.c {maps} -MF /t/d"),
        );
    }

    fn check_paths(words: &str, expected: &str) {
        check_words(words, expected, MAP);
    }

    #[test]
    fn absolute_paths_move_below_the_root() {
        check_paths("-I inc -I/c/inc -I /d", "-I inc -I/r/c/inc -I /r/d");
        check_paths(
            "-include /x.h -includex.h -imacros/y",
            "-include /r/x.h -includex.h -imacros/r/y",
        );
        check_paths(
            "-idirafter/x -isystem /y -iquote/z",
            "-idirafter/r/x -isystem /r/y -iquote/r/z",
        );
        check_paths("--sysroot=/s -isysroot/s", "--sysroot=/r/s -isysroot/r/s");
        check_paths(
            "--sysroot /s -isysroot /s -F/f",
            "--sysroot /r/s -isysroot /r/s -F/r/f",
        );
        check_paths(
            "-iwithprefixbefore/x -iwithprefix /y",
            "-iwithprefixbefore/r/x -iwithprefix /r/y",
        );
        check_paths(
            "-iprefix /p -iwithprefix /y",
            "-iprefix /r/p -iwithprefix /y",
        );
        check_paths(
            "-iprefix/p/ -iwithprefixbefore/y",
            "-iprefix/r/p/ -iwithprefixbefore/y",
        );
        check_paths(
            "--include=/x --include-directory /y",
            "--include=/r/x --include-directory /r/y",
        );
        check_paths(
            "-Xpreprocessor -I -Xpreprocessor /x",
            "-Xpreprocessor -I -Xpreprocessor /r/x",
        );
        check_paths(
            "-Xclang -I/x -Xpreprocessor -I/y",
            "-Xclang -I/r/x -Xpreprocessor -I/r/y",
        );
    }

    #[test]
    fn paths_are_found() {
        let command = compile("cc -I/a -I b -isystem /c -DX=/d -Xclang -I/e -c /f.c -o /g.o");
        assert_eq!(command.named_paths(), ["/a", "/c", "/e"]);
    }

    #[test]
    fn other_words_stay() {
        for words in [
            "-I=/inc -I$SYSROOT/inc -isystem =/x",
            "-L/x -Wa,-I/x -DX=/x -D /x",
            "-iwithsysroot /x",
            "-I relative -include x.h",
            "-I -I /x",
        ] {
            check_paths(words, words);
        }
    }

    #[test]
    fn sources_move_below_the_root() {
        check(
            "cc -MMD -MQ t -c /c/a.c -o a.o",
            &format!("cc -MMD -MQ t -c /r/c/a.c -o /t/o {MAP} -MF /t/d"),
        );
        check(
            "cc -MMD -MQ t -c -- /c/a.c",
            &format!("cc -MMD -MQ t -c -o /t/o {MAP} -MF /t/d -- /r/c/a.c"),
        );
    }

    #[test]
    fn dependencies_are_always_written() {
        check(
            "gcc -c a.c -o x/a.o",
            &format!("gcc -c a.c -o /t/o {MAP} -MMD -MQ x/a.o -MF /t/d"),
        );
        check(
            "gcc -MD -c a.c -oa",
            &format!("gcc -MD -c a.c -o/t/o {MAP} -MQ a -MF /t/d"),
        );
        check(
            "ccache gcc -MD -MF /c/d -MFe -c a.c -o a",
            &format!("ccache gcc -MD -c a.c -o /t/o {MAP} -MQ a -MF /t/d"),
        );
    }

    fn check_target(command: &[&str], target: [&str; 2]) {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let crate::Plan::Distribute(compile) = crate::plan(&command) else {
            panic!("{command:?} is not distributed");
        };
        let found = tree_command(&compile);
        let at = found.iter().position(|word| word == target[0]).unwrap();
        assert_eq!(found[at + 1], target[1], "{command:?}");
    }

    #[test]
    fn a_tree_in_its_place_needs_no_other_paths() {
        let command = "gcc -g -I/c/inc -ffile-prefix-map=/c=x -MD -MF /c/d -c /c/a.c -o /c/a.o";
        let [output, deps] = ["/t/o", "/t/d"].map(OsStr::new);
        assert_eq!(
            compile(command).in_place_command(output, deps),
            argv(
                "gcc -g -I/c/inc -ffile-prefix-map=/c=x -MD -c /c/a.c -o /t/o -MQ /c/a.o -MF /t/d"
            )
        );
    }

    #[test]
    fn an_output_that_reads_like_a_response_file_is_none() {
        let command =
            compile("gcc -MD -c a.c -o@a.o").in_place_command("/t/o".as_ref(), "/t/d".as_ref());
        assert!(!command.contains(&"@a.o".into()), "{command:?}");
        assert!(command.contains(&"-MQ@a.o".into()), "{command:?}");
    }

    #[test]
    fn targets_are_quoted_once() {
        // A stock client, a client that quotes, users.
        check_target(
            &["cc", "-MD", "-c", "a.c", "-o", "x y.o", "-MT", "x y.o"],
            ["-MQ", "x y.o"],
        );
        check_target(
            &["cc", "-MD", "-c", "a.c", "-o", "x y.o", "-MT", r"x\ y.o"],
            ["-MT", r"x\ y.o"],
        );
        check_target(
            &["cc", "-MD", "-MT", "x$y", "-c", "a.c", "-o", "x$y"],
            ["-MT", "x$y"],
        );
        check_target(
            &["cc", "-MD", "-c", "a.c", "-o", "x y", "-MQz", "-MT", "x y"],
            ["-MT", "x y"],
        );
        check_target(
            &["cc", "-MD", "-c", "a.c", "-o", "xy.o", "-MT", "xy.o"],
            ["-MT", "xy.o"],
        );
    }

    #[test]
    fn the_clients_maps_go_on_working() {
        check_words(
            "-ffile-prefix-map=/c=/x -fdebug-prefix-map=src=y",
            "-ffile-prefix-map=/c=/x -fdebug-prefix-map=src=y",
            "-ffile-prefix-map=/r= -ffile-prefix-map=/r/c=/x",
        );
        check_words(
            "-fdebug-prefix-map=/c=. -fdebug-prefix-map=/c/d=e",
            "-fdebug-prefix-map=/c=. -fdebug-prefix-map=/c/d=e",
            "-ffile-prefix-map=/r= -fdebug-prefix-map=/r/c=. -fdebug-prefix-map=/r/c/d=e",
        );
        check_words(
            "-fmacro-prefix-map=/c=",
            "-fmacro-prefix-map=/c=",
            "-fdebug-prefix-map=/r= -fmacro-prefix-map=/r= -fmacro-prefix-map=/r/c=",
        );
    }
}
