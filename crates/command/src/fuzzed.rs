//! Any words as a compiler command, on both sides, and any text where compilers write rules.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use fuzz::Target;

use crate::server::client_dependencies;
use crate::{Plan, client, makefile, plan, server};

const COMMANDS: [&str; 8] = [
    "gcc -c a.c -o a.o",
    "g++ -std=c++20 -O2 -g -Iinc -I/usr/x -isystem y -MD -MF d.d -MT t -c src/a.cc -o out/a.o",
    "clang --target=x -Xclang -load -Xclang p -Wp,-MD,f -c a.cpp",
    "cc -x c++ -include pre.h -imacros m.h -DA=1 -UB -Wa,--noexecstack -c -- a.c",
    "gcc -march=native -mtune=native -fplugin=x -specs=y @z -save-temps -c a.i",
    "gcc -E a.c",
    "gcc -gsplit-dwarf --coverage -fdump-tree-all=x -ffile-prefix-map=/a=/b -c a.m -oa.o",
    "gcc a.c b.c -lm -Wl,-rpath,x -o prog",
];

/// The words of all commands, and each with its sign or value cut off.
fn words() -> Vec<String> {
    let words = COMMANDS.iter().flat_map(|command| command.split(' '));
    let words = words.flat_map(|word| {
        let cut = word.split_inclusive(['=', ',']).next().unwrap_or(word);
        [word, cut].map(|word| format!(" {word}"))
    });
    words.collect()
}

fn argv(input: &[u8]) -> Vec<OsString> {
    let words = input.split(|&byte| byte == b' ');
    words
        .map(|word| OsString::from_vec(word.iter().copied().filter(|&byte| byte != 0).collect()))
        .collect()
}

#[test]
fn commands() {
    Target::new("compiler command")
        .seeds(COMMANDS)
        .words(words())
        .memory(2 << 20, 2000)
        .run(|input| {
            let argv = argv(input);
            if argv[0].is_empty() || argv[0].as_bytes().starts_with(b"-") {
                return;
            }
            let _ = server::unsafe_option(&argv);
            let _ = client::lost_output(&argv);
            let argv = client::expand_wp(&argv).unwrap_or(argv);
            let argv = client::separate_language(argv);
            let Plan::Distribute(compile) = plan(&argv) else {
                return;
            };
            let [root, object, deps] =
                ["/scratch/root", "/scratch/out.o", "/scratch/d"].map(OsStr::new);
            for command in [
                compile.source_command("/scratch/a.i".as_ref(), object),
                compile.tree_command(root, object, deps),
                compile.in_place_command(object, deps),
                compile.preprocess_command(),
                compile.stripped_command(),
                compile.closure_command(deps),
            ] {
                assert_eq!(command[0], argv[0]);
                // What no server obeys is not made of what it would.
                if server::unsafe_option(&argv).is_none() {
                    assert_eq!(server::unsafe_option(&command), None, "{command:?}");
                }
            }
            // One object, where the server wants it.
            let remote = compile.in_place_command(object, deps);
            let is_object = |word: &&OsString| word.as_bytes().ends_with(object.as_bytes());
            assert_eq!(remote.iter().filter(is_object).count(), 1, "{remote:?}");
            let _ = (compile.named_paths(), compile.local_option());
            let _ = compile.dependencies(None);
        });
}

#[test]
fn rules_of_compilers() {
    Target::new("dependency file")
        .seeds([
            "a.o: a.c inc/a.h \\\n /usr/include/stdio.h\n",
            "out/a\\ b.o d$$: a\\ b.c \\\n  /scratch/root/home/u/a.h\n\na.h:\n",
        ])
        .words([
            " \\\n",
            ":",
            "\\#",
            "$$",
            "\\ ",
            "/scratch/root",
            "/scratch/root/",
            "\n",
        ])
        .run(|text| {
            let root = OsStr::new("/scratch/root");
            let translated = client_dependencies(text, root);
            assert!(translated.len() <= text.len());
            let names = makefile::prerequisites(text, "a.c".as_ref());
            assert!(names.is_none_or(|names| names[0] == "a.c"));
        });
}
