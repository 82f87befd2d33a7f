//! The list of files that a compile opens.

use std::ffi::{OsStr, OsString};

use command::makefile;

use super::{COMPILERS, Project, planned, words};

fn project() -> Project {
    Project::new(&[
        (
            "a.c",
            "#include \"once.h\"\n#include \"twice.h\"\n#include <sys.h>\n#include <stddef.h>\n\
             #if __has_include(\"h.h\")\n#include \"h.h\"\n#endif\n#warning noise\nint x;\n",
        ),
        (
            "once.h",
            "_Pragma(\"once\")\n#ifdef SEEN\n#include \"wrong.h\"\n#endif\n#define SEEN\n",
        ),
        ("twice.h", "#include \"once.h\"\n"),
        ("wrong.h", ""),
        ("h.h", "#ifdef __cplusplus\n#include \"cxx.h\"\n#endif\n"),
        ("cxx.h", ""),
        ("first.h", "#ifdef X\n#include \"x.h\"\n#endif\n"),
        ("x.h", ""),
        ("inc/sys.h", "#include_next <sys.h>\n"),
        ("inc2/sys.h", ""),
    ])
}

/// The prerequisites of the rule that the compile itself writes beside the object.
fn opened(project: &Project, argv: &[OsString]) -> Vec<OsString> {
    let mut argv = argv.to_vec();
    argv.extend(["-MD", "-MF", "opened", "-MT", "opened"].map(OsString::from));
    let text = project.run(&argv).text("opened");
    makefile::prerequisites(text.as_bytes(), OsStr::new("a.c")).expect("a rule")
}

/// Compares the list with what the compile opens; nothing else may be written.
fn check(compiler: &str, options: &str) {
    let argv = words(&format!("{compiler} {options} -c a.c -Iinc -isystem inc2"));
    let compile = planned(&argv);
    let listed = project().run(&compile.closure_command(OsStr::new("deps")));
    assert_eq!(listed.stdout, b"", "{argv:?}");
    assert_eq!(listed.files.len(), 1, "{argv:?}");
    let text = listed.text("deps");
    let files = makefile::prerequisites(text.as_bytes(), compile.input()).expect("a rule");
    assert_eq!(files, opened(&project(), &argv), "{argv:?}");
    assert!(files.contains(&"inc2/sys.h".into()), "{argv:?}");
    assert!(!files.contains(&"wrong.h".into()), "{argv:?}");
}

#[test]
fn is_what_the_compile_opens() {
    for compiler in COMPILERS {
        for options in [
            "-O2",
            "-g -Wall -Wextra -pipe",
            "-x c++",
            "-include first.h -DX",
            "-imacros first.h -UX",
            "-save-temps",
            "-fsyntax-only",
            "-gsplit-dwarf",
            "-P -dD",
            "-dM",
            "-H -v",
            "-o sub.o",
            "-osub.o -std=gnu99",
            "-Xpreprocessor -DX -include first.h",
            "-ffreestanding -nostdlib",
        ] {
            check(compiler, options);
        }
    }
    check("gcc", "-fdirectives-only");
    check("clang", "-Xclang -disable-O0-optnone");
    check("clang", "-fsanitize=address");
}

#[test]
fn is_listed_though_warnings_are_errors() {
    for options in [
        "-Werror",
        "-Werror -lm -L. -Wa,--noexecstack",
        "-Werror -Wno-unheard-of",
    ] {
        for compiler in COMPILERS {
            let argv = words(&format!("{compiler} {options} -c a.c -Iinc -isystem inc2"));
            let listed = project().run(&planned(&argv).closure_command(OsStr::new("deps")));
            assert!(listed.text("deps").contains("inc2/sys.h"), "{argv:?}");
        }
    }
}

#[test]
fn lists_missing_headers() {
    for compiler in COMPILERS {
        let argv = words(&format!("{compiler} -MD -MP -c a.c -o x.o"));
        let project = Project::new(&[
            ("a.c", "#include \"gone.h\"\n#include \"h.h\"\n"),
            ("h.h", ""),
        ]);
        let compile = planned(&argv);
        let listed = project.run(&compile.closure_command_with_missing(OsStr::new("deps")));
        assert_eq!(listed.stdout, b"");
        let text = listed.text("deps");
        let files = makefile::prerequisites(text.as_bytes(), compile.input()).expect("a rule");
        assert_eq!(files[0], "a.c");
        assert!(
            files.ends_with(&["gone.h".into(), "h.h".into()]),
            "{files:?}"
        );
    }
}
