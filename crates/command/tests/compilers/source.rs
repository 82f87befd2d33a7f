//! Protocols 1 and 2 from end to end: preprocess here, compile the text there.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{COMPILERS, Project, planned, words};

fn project() -> Project {
    Project::new(&[
        (
            "a.c",
            "#include \"h.h\"\nconst char *file = __FILE__;\nint linux_too = LINUX + sizeof(X);\n",
        ),
        (
            "h.h",
            "#define STRING(x) #x\n#define NAME(x) STRING(x)\n#define LINUX 0\nint unix_(void);\n",
        ),
        ("only-here.h", ""),
        ("newlib-nano/nano.h", "int nano = 1;\n"),
        ("mold/ld", ""),
        // As newlib has it.
        (
            "nano.specs",
            "%rename cpp_unique_options nano_cpp_unique_options\n\n\
             *cpp_unique_options:\n-isystem newlib-nano %(nano_cpp_unique_options)\n\n\
             *lib:\n-lc_nano\n\n",
        ),
    ])
}

/// The object (or assembler text) that the client gets has to be the local one. Not so with
/// debug information: clang writes its own folder into it, which preprocessed text does not
/// say, and gcc, which has it from the text, orders its strings otherwise.
fn check(compiler: &str, options: &str) {
    let mut argv = words(&format!("{compiler} {options}"));
    argv.push("-DX=int".into());
    argv.extend(["-o", "out"].map(OsString::from));
    let local = project().run(&argv);

    let compile = planned(&argv);
    let text = project().run(&compile.preprocess_command()).stdout;

    let sent = planned(&compile.stripped_command());
    let server = Project::new::<&str>(&[]);
    let extension = command::extension::source(sent.input()).expect("a source");
    let input = OsString::from(format!("in{}", extension.preprocessed_extension));
    server.write(&input, text);
    let remote = server.run(&sent.source_command(&input, OsStr::new("object")));
    let same = remote.files.get(Path::new("object")) == local.files.get(Path::new("out"));
    assert!(same, "{argv:?} gives another object");
    assert_eq!(remote.files.len(), 1, "{argv:?}");
}

#[test]
fn gives_the_local_object() {
    for compiler in COMPILERS {
        for options in [
            "-c a.c",
            "-S -O2 a.c",
            "-c -x c++ a.c",
            "-x c -c a.c",
            "-c a.c -I. -iquote . -include only-here.h -includeonly-here.h -idirafter. -D Y -UZ -L. -lm",
            "-c a.c -Xpreprocessor -DZ -MD -MP -Wl,-x -Xlinker --gc-sections -undef -nostdinc -dM -P",
        ] {
            check(compiler, options);
        }
    }
}

#[test]
fn a_choice_of_tools_means_nothing_to_text() {
    for compiler in COMPILERS {
        check(compiler, "-c a.c -Bmold -O2");
        check(compiler, "--prefix=mold/ -c a.c");
    }
    check("clang", "--gcc-toolchain=/usr -c a.c");
    check("gcc", "--specs=nano.specs -include nano.h -O2 -c a.c");
    check("gcc", "-specs=nano.specs -S a.c");
}

#[test]
fn says_nothing_that_a_local_compile_would_not_say() {
    let options =
        "-c a.c -I. -iquote . -includeonly-here.h -idirafter. -D Y -UZ -fmacro-prefix-map=a=b -F.";
    for compiler in COMPILERS {
        let argv = words(&format!("{compiler} {options} -Wall -Werror -DX=int"));
        let compile = planned(&argv);
        let text = project().run(&compile.preprocess_command()).stdout;
        let server = Project::new::<&str>(&[]);
        server.write("in.i", text);
        let sent = planned(&compile.stripped_command());
        let output = super::run(
            &server.path,
            &sent.source_command(OsStr::new("in.i"), OsStr::new("o")),
        );
        assert_eq!(output.stderr, b"", "{argv:?}");
    }
}

/// Expanding preprocessed text again would make `linux` a number. clang 14 does that even to a
/// plain `.i` file, so its users meet it with any distributor of preprocessed text.
#[test]
fn gcc_does_not_preprocess_twice() {
    let project = Project::new(&[("a.c", "#undef linux\nint linux;\n")]);
    let compile = planned(&words("gcc -x c -c a.c -std=gnu11"));
    let text = project.run(&compile.preprocess_command()).stdout;
    project.write("in.i", text);
    let sent = planned(&compile.stripped_command());
    project.run(&sent.source_command(OsStr::new("in.i"), OsStr::new("o")));
}
