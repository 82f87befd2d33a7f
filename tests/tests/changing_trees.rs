//! Pumped builds whose files change while they run. After each change the same source is compiled
//! on a server and here, and both objects must be the same.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::fs;

use end_to_end::client::Client;
use end_to_end::programs::{Side, ours};
use end_to_end::run::run;
use end_to_end::server::Setup;
use end_to_end::tree::Tree;

/// Makes files and links (targets first), and compiles `a.c` with `options` first as the files are, and then after each of `changes`, which
/// are commands of the shell, all within one build. Each object differs from the one before.
/// Returns what `pump` and the clients complained of.
fn build(
    files: &[(&str, &str)],
    links: &[(&str, &str)],
    options: &str,
    changes: &[&str],
) -> String {
    let server = Setup::of(Side::Ours).start();
    let client = Client::of(Side::Ours, &server.host(3));
    let tree = Tree::new();
    for (name, text) in files {
        tree.write(name, text);
    }
    for (target, name) in links {
        tree.link(target, name);
    }
    let compile = |number: usize| {
        format!(
            "distcc gcc {options} -c a.c -o there{number}.o\n\
             gcc {options} -c a.c -o here{number}.o\n"
        )
    };
    let mut script = compile(0);
    for (number, change) in changes.iter().enumerate() {
        script += &format!("{change}\n{}", compile(number + 1));
    }
    let mut pump = client.command(ours("pump"), &tree.path());
    let (_, stderr) = run(pump.args(["sh", "-ec", &script]))
        .expect_success()
        .text();
    server.expect_jobs("COMPILE_OK", changes.len() + 1);
    let object = |place: &str, number| fs::read(tree.join(format!("{place}{number}.o"))).unwrap();
    for number in 0..=changes.len() {
        let here = object("here", number);
        assert!(object("there", number) == here, "object {number} differs");
        if number > 0 {
            assert!(
                here != object("here", number - 1),
                "change {number} is none"
            );
        }
    }
    stderr
}

/// A build in which nothing is complained of: all is compiled in pump mode.
#[track_caller]
fn check(files: &[(&str, &str)], options: &str, changes: &[&str]) {
    assert_eq!(build(files, &[], options, changes), "");
}

#[test]
fn a_header_is_edited() {
    let files = [
        ("a.c", "#include \"x.h\"\nint a = X;\n"),
        ("x.h", "#include \"y.h\"\n"),
        ("y.h", "#define X 1\n"),
    ];
    let changes = [
        // Of the same length, and possibly within one tick of the clock.
        "echo '#define X 2' >y.h",
        "echo '#define X 3' >y.h",
        "echo '#define X 4' >new && mv new y.h",
        "echo '#define X 5' >x.h",
        "mkdir d && echo '#define X 6' >d/z.h && echo '#include \"d/z.h\"' >x.h",
    ];
    check(&files, "", &changes);
}

#[test]
fn a_header_is_made_late() {
    let files = [(
        "a.c",
        "#if __has_include(\"gen/gen.h\")\n#include \"gen/gen.h\"\n#else\n#define X 1\n#endif\n\
         int a = X;\n",
    )];
    let changes = [
        "mkdir gen && echo '#include <more.h>' >gen/gen.h && mkdir -p i && \
         echo '#define X 2' >i/more.h",
        "rm -r gen",
    ];
    check(&files, "-Ii", &changes);
}

#[test]
fn a_header_appears_earlier_on_the_search_path() {
    let files = [
        ("a.c", "#include <x.h>\nint a = X;\n"),
        ("i/other.h", ""),
        ("j/x.h", "#define X 1\n"),
    ];
    let changes = [
        "echo '#define X 2' >i/x.h",
        "mkdir h && echo '#define X 3' >h/x.h",
        "rm i/x.h h/x.h && echo '#define X 4' >j/x.h",
        "echo '#include_next <x.h>\n#undef X\n#define X 5' >h/x.h",
    ];
    check(&files, "-Ih -Ii -Ij", &changes);
}

#[test]
fn a_computed_include_leads_elsewhere() {
    let files = [
        (
            "a.c",
            "#include \"which.h\"\n#include INCLUDED\nint a = X;\n",
        ),
        (
            "which.h",
            "#define TEXT(x) #x\n#define IN(d, f) TEXT(d/f.h)\n#define INCLUDED IN(d, one)\n",
        ),
        ("d/one.h", "#define X 1\n"),
        ("d/two.h", "#define X 2\n"),
    ];
    check(&files, "", &["sed -i s/one/two/ which.h"]);
}

#[test]
fn a_file_is_only_asked_for() {
    let files = [
        (
            "a.c",
            "#if __has_include(<opt/opt.h>)\nint a = 1;\n#else\nint a = 2;\n#endif\n",
        ),
        ("i/opt/opt.h", "#error never opened\n"),
    ];
    let changes = ["rm i/opt/opt.h", "touch i/opt/opt.h", "rm -r i/opt"];
    check(&files, "-Ii", &changes);
}

#[test]
fn a_link_leads_elsewhere() {
    let files = [
        ("a.c", "#include \"l.h\"\n#include <x.h>\nint a = L + X;\n"),
        ("v1/l.h", "#include \"beside.h\"\n#define L BESIDE + 10\n"),
        ("v2/l.h", "#define L 20\n"),
        ("beside.h", "#define BESIDE 3\n"),
        ("w1/x.h", "#define X 100\n"),
        ("w2/x.h", "#define X 200\n"),
    ];
    let links = [("v1/l.h", "l.h"), ("w1", "w")];
    let changes = [
        "ln -sfn v2/l.h l.h",
        "ln -sfn w2 w",
        "rm l.h && echo '#define L 30' >l.h",
    ];
    assert_eq!(build(&files, &links, "-Iw", &changes), "");
}

/// A precompiled header is not what servers have, so its source is sent, and the user is told.
#[test]
fn a_compile_that_the_engine_refuses_is_sent_and_told() {
    let files = [
        ("a.c", "#include \"x.h\"\nint a = X;\n"),
        ("x.h", "#include \"y.h\"\n"),
        ("y.h", "#define X 1\n"),
    ];
    let changes = [
        "echo '#define X 2' >y.h && gcc x.h -o x.h.gch",
        "echo '#define X 3' >y.h && gcc x.h -o x.h.gch",
        "rm x.h.gch && echo '#define X 4' >y.h",
    ];
    let stderr = build(&files, &[], "", &changes);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.starts_with("__________2 compiles needed their compiler's own list of files: 2 x "),
        "{stderr}"
    );
    assert!(stderr.contains("precompiled header"), "{stderr}");
}
