//! Names that rules have to quote, or cannot express.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use command::makefile;

use super::{COMPILERS, Project, planned};

/// What stands between two letters of a name.
const MIDDLES: &[&[u8]] = &[
    b" ", b"\t", b",", b":", b"#", b"$", b"%", b"\\", b"\n", b";", b"*", b"\xff", b"'", b"&", b"=",
    b"~", b"?", b"@", b"$$", b"\\ ", b"\\\\ ", b"\\#", b"\\$", b"\\:", b": ", b"  ", b" \\", b"\r",
    b"\\\n", b" \\\n ", b"\\\t", b"\x0b",
];

fn name(middle: &[u8], extension: &str) -> OsString {
    OsString::from_vec([b"x", middle, b"y", extension.as_bytes()].concat())
}

/// The files of a compile of `source`, with `options`, that are not the system's.
fn listed(
    project: &Project,
    compiler: &str,
    options: &[&OsStr],
    source: &OsStr,
) -> Option<Vec<OsString>> {
    let mut argv = vec![OsString::from(compiler)];
    argv.extend(options.iter().map(|&option| option.to_owned()));
    argv.extend(["-c", "-ffreestanding"].map(OsString::from));
    argv.push(source.to_owned());
    let compile = planned(&argv);
    let output = super::run(&project.path, &compile.closure_command(OsStr::new("deps")));
    if !output.status.success() {
        return None;
    }
    let text = std::fs::read(project.path.join("deps")).unwrap();
    makefile::prerequisites(&text, source)
}

#[test]
fn sources_may_be_named_anything() {
    for compiler in COMPILERS {
        for middle in MIDDLES {
            let source = name(middle, ".c");
            let project = Project::new(&[
                (source.as_os_str(), "#include \"h.h\"\n"),
                (OsStr::new("h.h"), ""),
            ]);
            let files = listed(&project, compiler, &[], &source);
            assert_eq!(files, Some(vec![source, "h.h".into()]), "{compiler}");
        }
    }
}

#[test]
fn headers_are_listed_under_their_names_or_not_usable() {
    for compiler in COMPILERS {
        let mut readable = 0;
        for middle in MIDDLES {
            let header = name(middle, ".h");
            let project = Project::new(&[
                (OsStr::new("a.c"), "#include \"z.h\"\n"),
                (&header, ""),
                (OsStr::new("z.h"), ""),
            ]);
            let options = [OsStr::new("-include"), &header];
            let Some(files) = listed(&project, compiler, &options, OsStr::new("a.c")) else {
                continue;
            };
            if files == ["a.c".into(), header, "z.h".into()] {
                readable += 1;
            } else {
                let missing = |file: &OsString| !project.path.join(file).exists();
                assert!(files.iter().any(missing), "{compiler}: {files:?}");
            }
        }
        // gcc's rules lose a newline that stands alone, clang's any backslash, and clang does
        // not include a name with a newline.
        let expected = if compiler == "gcc" {
            MIDDLES.len() - 1
        } else {
            20
        };
        assert_eq!(readable, expected, "{compiler}");
    }
}

#[test]
fn long_rules_and_odd_targets_are_read() {
    let headers: Vec<OsString> = (0..40)
        .map(|index| format!("h{index} {}.h", "x".repeat(index)).into())
        .collect();
    for compiler in COMPILERS {
        let project = Project::new(&[("a.c", "")]);
        let mut argv: Vec<OsString> = vec![compiler.into(), "-ffreestanding".into()];
        for header in &headers {
            project.write(header, "");
            argv.extend(["-include".into(), header.clone()]);
        }
        argv.extend(["-MD", "-MF", "deps", "-MQ", "a: b\\ c", "-MT"].map(OsString::from));
        argv.extend(["t".repeat(90).into(), "-c".into(), "./a.c".into()]);
        let text = project.run(&argv).text("deps");
        let files = makefile::prerequisites(text.as_bytes(), OsStr::new("./a.c")).expect("a rule");
        assert_eq!(files[0], "./a.c");
        assert_eq!(files[1..], headers);
        assert!(text.contains(r"a:\ b\\\ c"), "{text}");
    }
}
