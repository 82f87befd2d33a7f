//! All that a compile writes is declared.

use std::collections::BTreeSet;
use std::path::{Component, PathBuf};

use command::hermetic::hermetic;

use super::{Project, words};

/// `name` without `.`, as the folder lists it.
fn tidy(name: &std::ffi::OsStr) -> PathBuf {
    let parts = PathBuf::from(name);
    parts
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

fn project() -> Project {
    let text = "inline int f(int x) { return x ? x : 1; }\nint g(int x) { return f(x) + 1; }\n";
    Project::new(&[
        ("a.c", text),
        ("src/b.x.cc", text),
        ("src/c.S", "#define NAME f\n.globl NAME\nNAME:\n"),
        ("out/keep", ""),
        ("dir.d/keep", ""),
        ("ignored", "fun:main\n"),
    ])
}

#[test]
fn files_that_are_made() {
    let sets = [
        "",
        "-MD",
        "-MMD -MF dir.d/deps",
        "-g -gsplit-dwarf",
        "--coverage",
        "-ftest-coverage -fprofile-arcs",
        "-fstack-usage",
        "-save-temps",
        "-save-temps=obj -g",
        "-save-temps=cwd -MD --coverage -fstack-usage -gsplit-dwarf",
        "-S",
        "-S -fstack-usage -MD",
    ];
    let of_gcc = [
        "-fcallgraph-info",
        "-aux-info protos",
        "-fsave-optimization-record -O2",
        "-flto",
    ];
    let of_clang = [
        "-ftime-trace",
        "-MJ db.json",
        "-serialize-diagnostics dir.d/x.dia",
        "-fsave-optimization-record -O2",
        "-fsanitize=address -fsanitize-ignorelist=ignored",
        "-flto",
        "-save-temps -flto",
        "-save-temps -emit-llvm",
    ];
    let outputs = [
        "",
        "-o b.o",
        "-o out/x.o",
        "-o out/x",
        "-oout/x.y.obj",
        "-o ./dir.d/x",
        "-o src/b.x.o",
    ];
    let mut made_by_options = 0;
    let mut undeclared = Vec::new();
    for (compiler, own) in [("gcc", &of_gcc[..]), ("clang", &of_clang[..])] {
        for options in sets.iter().chain(own) {
            for source in ["a.c", "src/b.x.cc", "src/c.S"] {
                if source.ends_with(".S")
                    && (options.contains("-S")
                        || options.contains("lto")
                        || options.contains("aux")
                        || options.contains("call"))
                {
                    continue; // No compile.
                }
                // The one with most dots is tried with all.
                let count = if source == "src/b.x.cc" {
                    outputs.len()
                } else {
                    3
                };
                for output in &outputs[..count] {
                    let command = format!("{compiler} -c {options} {source} {output}");
                    let argv: Vec<_> = words(&command)
                        .into_iter()
                        .filter(|word| !word.is_empty())
                        .collect();
                    let declared = hermetic(&argv).unwrap_or_else(|why| panic!("{command}: {why}"));
                    let declared: BTreeSet<PathBuf> =
                        declared.writes.iter().map(|name| tidy(name)).collect();
                    let made = project().run(&argv).files;
                    let missed = made.keys().filter(|name| !declared.contains(*name));
                    undeclared.extend(missed.map(|name| format!("{command}: {}", name.display())));
                    assert!(!made.is_empty(), "{command}");
                    made_by_options += made.len() - 1;
                }
            }
        }
    }
    assert!(undeclared.is_empty(), "{undeclared:#?}");
    assert!(made_by_options > 300, "{made_by_options}");
}
