//! Options, variables and kinds of input: each against what gcc and clang make of it.

use includes::Refusal;

use crate::reference::{Outcome, Tree};

/// `<h.h>` and `"h.h"` from several folders; `a`, `b` and so on hold an `h.h` and a `next.h` each.
pub(crate) fn folders(main: &str) -> Tree {
    let mut files: Vec<(String, String)> = ["a", "b", "c", "d e", "sys/usr/include", "up/down"]
        .iter()
        .flat_map(|folder| {
            [
                (format!("{folder}/h.h"), String::new()),
                (
                    format!("{folder}/next.h"),
                    "#include_next <next.h>\n".into(),
                ),
            ]
        })
        .collect();
    files.push(("last/next.h".into(), String::new()));
    files.push(("main.c".into(), main.into()));
    files.push(("up/args".into(), "-Ia @more".into()));
    files.push(("more".into(), "\"-Id e\" -D'X=1'".into()));
    files.push(("link -> a".into(), String::new()));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    Tree::new(&files)
}

const QUOTED: &str = "#include \"h.h\"\n";
const BRACKET: &str = "#include <h.h>\n";

const IF_X: &str = "#if X\n#include \"a/h.h\"\n#endif";
const PLAIN: &str = "#include \"a/h.h\"\n";

/// The tree with this main file, in which `%` stands for the folder.
fn with_main(main: &str) -> Tree {
    let tree = folders("");
    let folder = tree.folder.to_str().expect("a plain path");
    let text = main.replace('%', folder);
    std::fs::write(tree.folder.join("main.c"), text).expect("temporary folder");
    tree
}

/// Each compiler that accepts the command must list what we do. True: one of them did.
pub(crate) fn check(main: &str, options: &str) -> bool {
    let tree = with_main(main);
    let mut accepted = 0;
    for compiler in ["gcc", "clang"] {
        let options = if options.is_empty() { "-w" } else { options };
        let line = format!("{compiler} {options} -c main.c");
        match tree.compare(&line) {
            Outcome::Same(_) => accepted += 1,
            Outcome::Refused(refusal) => {
                let theirs = tree.theirs(&line);
                assert_eq!(theirs, None, "{main:?} {line}: {refusal}");
            }
        }
    }
    accepted > 0
}

#[test]
fn options_mean_what_they_mean_to_the_compilers() {
    let cases: &[(&str, &[&str])] = &[
        (
            BRACKET,
            &[
                "-Ia -Ib",
                "-I a -I b",
                "-I- -Ia",
                "-Ib -I- -Ia",
                "-iquote a -Ib",
                "--sysroot=%/sys",
                "--sysroot %/sys",
                "-isysroot %/sys",
                "-isysroot%/sys",
                "--sysroot=sys",
                "-iprefix %/ -iwithprefix a",
                "-iprefix %/ -iwithprefix a -Ib",
                "-iprefix %/ -iwithprefixbefore a -isystem b",
                "-iprefix%/ -iwithprefixa",
                "-iprefix % -iwithprefixbefore/a",
                "-imultilib x -Ia",
                "-include h.h -Ia",
                "-nostdinc -Ia",
            ],
        ),
        (
            QUOTED,
            &[
                "-Ib -I- -Ia",
                "-iquote a -Ib -I-",
                "-iquote a -Ib",
                "-iquotea -Ib",
                "-isystem a -Ib",
                "-isystema -idirafterb",
                "-idirafter a -isystem b",
                "-Ia -isystem a -Ib",
                "-Ilink -isystem a -Ib",
                "-Ib/../a",
                "-Inone/../a",
                "-Inone/../a -Ib",
                "-Iup/down/../../a",
                "-Ilink/../b",
                "-Id\u{1}e",
                "-I d\u{1}e",
                "-I%/a",
                "-I%/d\u{1}e",
                "-Ia/",
                "-Ia//",
                "-I./a/.",
                "-I=/a --sysroot=%",
                "-I=/a --sysroot %",
                "-I=a -isysroot %/",
                "-I$SYSROOT/a --sysroot=%",
                "-isystem =/a --sysroot=%",
                "-isystem=/a --sysroot=%",
                "-iquote =/a --sysroot=%",
                "-idirafter =/a --sysroot=%",
                "-I=/a -isysroot % --sysroot=%/none",
                "-I=/a --sysroot=%/none -isysroot %",
                "-I=/a",
                "--include-directory=a",
                "--include-directory a",
                "--include-barrier -Ia",
                "--include-directory-after=a",
                "--include-directory-after a -isystem b",
                "--include-prefix=%/ --include-with-prefix=a",
                "--include-prefix %/ --include-with-prefix-after a -Ib",
                "--include-prefix %/ --include-with-prefix-before a -isystem b",
                "-Wp,-DX -Xpreprocessor -UX",
                "-Ib -Wp,-Ia",
                "-Wp,-Ia -Ib",
                "-Xpreprocessor -Ia -Ib",
                "-Ib -Xpreprocessor -I -Xpreprocessor a",
                "-Wp,-MD,x.d -Ia",
                "-Wp,-isystem,a",
                "-MF x.d2 -MD -Ia",
                "-MT x -MQ y -Ia",
                "@up/args",
                "-Wno-missing-include-dirs -Imissing -Ia",
                "-Imain.c -Ia",
            ],
        ),
        (
            "",
            &[
                "-include h.h -Ia",
                "-includeh.h -Ia",
                "--include h.h -Ia",
                "--include=h.h -Ia",
                "-include=h.h -Ia",
                "-include a/h.h",
                "-include %/a/h.h",
                "-imacros a/h.h",
                "-imacrosa/h.h",
                "--imacros a/h.h",
                "--imacros=a/h.h",
                "-include b/h.h -imacros a/h.h",
                "-include d\u{1}e/h.h",
            ],
        ),
        (
            IF_X,
            &[
                "-DX",
                "-D X",
                "-D X=1",
                "-DX=1 -UX",
                "-UX -DX=1",
                "-DX=1 -U X",
                "--define-macro=X",
                "--define-macro X",
                "-DX --undefine-macro=X",
                "-DX --undefine-macro X",
                "-Xpreprocessor -DX",
                "-Xpreprocessor -D -Xpreprocessor X",
                "-Xpreprocessor -DX -UX",
                "-UX -Xpreprocessor -DX",
                "-Wp,-DX",
                "-Wp,-D,X",
                "-Wp,-DX,-Ia",
                "-Wp,-DX -UX",
                "-UX -Wp,-DX",
                "-Wp,-DX -Xpreprocessor -UX",
                "-Xpreprocessor -UX -Wp,-DX",
                "-Wp,-UX -Xpreprocessor -DX",
                "-Xpreprocessor -DX -Wp,-UX",
            ],
        ),
        ("#if X\n#include \"h.h\"\n#endif", &["@up/args"]),
        ("#include <stddef.h>\n", &["-nostdinc -Ia", "", "-undef"]),
        ("#include <stdio.h>\n", &["-ffreestanding"]),
        (
            "#include <stdint.h>\n",
            &["-ffreestanding -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include"],
        ),
        (
            "#include <next.h>\n",
            &["-Ia -Ib -isystem c -idirafter last"],
        ),
        ("#include \"a/next.h\"\n", &["-Ia -Ib -idirafter last"]),
        (
            "#ifdef __linux__\n#include \"a/h.h\"\n#endif\n#ifdef linux\n#include \"b/h.h\"\n#endif",
            &["-undef", "-ansi"],
        ),
        (
            "#ifdef __OPTIMIZE__\n#include \"a/h.h\"\n#endif\n#ifdef __AVX2__\n#include \"b/h.h\"\n#endif",
            &["-O2 -mavx2"],
        ),
        (
            "#ifdef _OPENMP\n#include \"a/h.h\"\n#endif\n#ifdef _REENTRANT\n#include \"b/h.h\"\n#endif",
            &["-fopenmp -pthread"],
        ),
        (
            "#ifdef __PIC__\n#include \"a/h.h\"\n#endif\n#ifdef __SANITIZE_ADDRESS__\n#include \"b/h.h\"\n#endif",
            &["-fpic -fsanitize=address"],
        ),
        (
            "#ifdef __PIC__\n#include \"a/h.h\"\n#endif\n#ifdef __SSP_STRONG__\n#include \"b/h.h\"\n#endif",
            &["-fno-pie -fstack-protector-strong"],
        ),
        (
            "#ifdef NDEBUG\n#include \"a/h.h\"\n#endif\n",
            &["-std=c99 -g3 -Wall -DNDEBUG"],
        ),
        (
            PLAIN,
            &[
                "-A x=y",
                "-Ax=y",
                "-x c",
                "-xc++",
                "--language=c++",
                "--language c",
                "-x objective-c",
                "-x objective-c++",
                "-x assembler-with-cpp",
                "-x c-header",
                "-x c++-header",
                "-x none",
                "-x c++ -x none",
                "-DX -DX=2 -Wno-error -fno-exceptions",
                "--param max-inline-insns-single=10",
                "--param=max-inline-insns-single=10",
                "-specs=/dev/null",
            ],
        ),
        ("#import \"a/h.h\"\n#import \"a/h.h\"", &["-x objective-c"]),
        ("#include <../b/h.h>\n", &["-Ia", "-Inone -Ia"]),
    ];
    let rows = cases
        .iter()
        .flat_map(|(main, options)| options.iter().map(move |options| (main, options)));
    let lost: Vec<_> = rows
        .filter(|(main, options)| !check(main, options))
        .collect();
    // In the others the header is in no folder that is searched.
    assert!(lost.len() <= 6, "both compilers fail: {lost:?}");
}

#[test]
fn paths_in_directives_are_walked_as_they_are_spelled() {
    let mains = [
        "#include \"%/a/h.h\"\n",
        "#include \"a/../b/h.h\"\n",
        "#include \"none/../b/h.h\"\n",
        "#include \"link/../b/h.h\"\n",
        "#include \"up/down/../../b/h.h\"\n",
        "#include \"main.c/../b/h.h\"\n",
        "#include \"d e/h.h\"\n",
        "#include \"link/h.h\"\n",
        "#include \"a//h.h\"\n",
        "#include \"./a/./h.h\"\n",
    ];
    let lost: Vec<_> = mains.iter().filter(|main| !check(main, "")).collect();
    // A folder that does not exist, and a file in the place of one.
    assert_eq!(lost.len(), 2, "both compilers fail: {lost:?}");
}

/// Right, or refused with a reason: here refused by each compiler that accepts it.
#[test]
fn what_is_not_modelled_is_refused_by_name() {
    let cases: &[(&str, &str)] = &[
        (BRACKET, "-iwithprefix a -Ib"),
        (BRACKET, "-iwithprefixbefore a -Ib"),
        (PLAIN, "-traditional-cpp"),
        (PLAIN, "-fdirectives-only"),
        (PLAIN, "-remap"),
        (PLAIN, "-fpreprocessed"),
        (PLAIN, "-fmodules"),
        (PLAIN, "-F a"),
        (PLAIN, "-Fa"),
        (PLAIN, "-iframework a"),
        (QUOTED, "-Xclang -Ia"),
        (QUOTED, "-Xclang -isystem -Xclang a"),
        (QUOTED, "-Xclang -internal-isystem -Xclang a"),
        (QUOTED, "-iwithsysroot/a -isysroot %"),
        (QUOTED, "-cxx-isystem a -x c++"),
        (QUOTED, "-stdlib++-isystem a -x c++"),
        (PLAIN, "-fmodule-map-file=x"),
        (PLAIN, "-ivfsoverlay x"),
        (PLAIN, "-include-pch x"),
        (PLAIN, "-Xclang -include-pch -Xclang x"),
        (PLAIN, "-working-directory a"),
        (PLAIN, "-working-directory=a"),
        (QUOTED, "-isystem-after a"),
    ];
    for (main, options) in cases {
        let tree = with_main(main);
        for compiler in ["gcc", "clang"] {
            let line = format!("{compiler} {options} -c main.c");
            let refused = tree.closure(&line);
            assert!(
                matches!(refused, Err(Refusal::Option(..))),
                "{line}: {refused:?}"
            );
        }
    }
}
