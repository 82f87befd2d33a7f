//! What is compiled, and what the local compiler makes of it.

use std::ffi::OsString;
use std::path::PathBuf;

use end_to_end::programs::command;
use end_to_end::run::run;
use end_to_end::tree::Tree;

/// A compile and its only right result.
#[derive(Debug)]
pub(crate) struct Compile {
    /// Without `-o`.
    pub(crate) argv: Vec<OsString>,
    /// Only servers that have the client's files at the client's paths make the same of it.
    pub(crate) names_paths: bool,
    /// The object; none if it cannot be compiled.
    pub(crate) object: Option<Vec<u8>>,
}

/// Sources with headers in folders, small and large ones.
pub(crate) fn write() -> Tree {
    let tree = Tree::for_everybody();
    tree.write(
        "inc/common.h",
        "#pragma once\n#include <stdio.h>\n#include \"deep/types.h\"\n",
    );
    tree.write(
        "inc/deep/types.h",
        "#pragma once\ntypedef struct { int a, b; } pair;\n#define TWICE(x) ((x) * 2)\n",
    );
    tree.link("inc/deep", "linked");
    for number in 0..6 {
        let mut text = String::from("#include \"common.h\"\n#include \"../linked/types.h\"\n");
        for function in 0..(1 << (2 * number)).min(400) {
            text += &format!(
                "int f{number}_{function}(pair *p) {{ printf(\"%d\\n\", TWICE(p->a + {function})); \
                 return p->b * {number}; }}\n"
            );
        }
        tree.write(format!("src/f{number}.c"), text);
    }
    tree.write(
        "src/map.cc",
        "#include <map>\n#include <string>\n#include \"deep/types.h\"\n\
         std::map<std::string, pair> all; int size() { return all.size() + all[\"x\"].a; }\n",
    );
    tree.write(
        "src/wrong.c",
        "#include \"common.h\"\nint broken( { return undeclared; }\n",
    );
    tree
}

/// All compiles, with what comes of them here.
pub(crate) fn compiles(tree: &Tree) -> Vec<Compile> {
    let mut compiles = Vec::new();
    let mut add = |words: &str, names_paths| {
        let argv: Vec<OsString> = words.split(' ').map(Into::into).collect();
        let out = tree.join("reference.o");
        let done = run(command(&argv[0])
            .args(&argv[1..])
            .arg("-o")
            .arg(&out)
            .current_dir(tree.path()));
        let object = done
            .status
            .success()
            .then(|| std::fs::read(&out).expect("it is written"));
        assert_eq!(
            object.is_none(),
            words.contains("wrong.c"),
            "{}",
            done.explain()
        );
        compiles.push(Compile {
            argv,
            names_paths,
            object,
        });
    };
    for number in 0..6 {
        add(&format!("gcc -Iinc -O1 -c src/f{number}.c"), false);
        add(&format!("gcc -Iinc -O0 -g -c src/f{number}.c"), true);
        add(&format!("clang -Iinc -O0 -c src/f{number}.c"), false);
    }
    add("g++ -Iinc -O0 -c src/map.cc", false);
    add("g++ -Iinc -O0 -g -c src/map.cc", true);
    add("gcc -Iinc -c src/wrong.c", false);
    compiles
}

/// A folder for a client's results.
pub(crate) fn results(tree: &Tree, client: u64) -> PathBuf {
    tree.folder(format!("out/{client}"))
}
