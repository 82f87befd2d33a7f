//! What is refused, what is left to the compiler's own list and counted, and what a compile gets that fails.

use crate::asking::{ask_and_compare, counting_server, refusal};
use crate::support::{Server, Tree, names_below, words};

#[test]
fn what_the_list_does_not_show_is_refused() {
    for (text, reason) in [
        (
            "#if __has_include(X)\n#endif\n",
            "__has_include without a literal name in '",
        ),
        ("asm(\".incbin \\\"x\\\"\");\n", ".incbin or .include in '"),
        (
            "const char *t = __TIMESTAMP__;\n",
            "__DATE__, __TIME__ or __TIMESTAMP__ in '",
        ),
    ] {
        let files = [("src/a.c", "#include \"x.h\"\n"), ("src/x.h", text)];
        let line = refusal(&files, "gcc -c a.c");
        assert!(line.starts_with(reason), "{line}");
        assert!(
            line.ends_with("/src/x.h' for translation unit 'a.c'"),
            "{line}"
        );
    }
    let files = [
        ("src/a.c", "#include \"x.h\"\n"),
        ("src/x.h", ""),
        ("src/x.h.pch", ""),
    ];
    let line = refusal(&files, "clang -c a.c -include x.h");
    assert!(line.starts_with("precompiled header '"), "{line}");
    assert_eq!(
        refusal(&files[..2], "gcc -c a.c -fplugin=x.so"),
        "option '-fplugin=x.so' for translation unit 'a.c'"
    );
    assert!(refusal(&files[..2], "gcc -c a.c -I{}/i @args").contains("options in a file: '@args'"));
}

#[test]
fn what_the_engine_refuses_is_told_by_the_compiler_and_counted() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[
        ("src/a.c", "#include \"x.h\"\n"),
        ("src/x.h", "#include \"y.h\"\n"),
        ("src/y.h", "int y;\n"),
    ]);
    let argv = words("gcc -c a.c", &[]);
    let expected = ["a.c", "/", "x.h", "y.h"];
    let names = || {
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        names_below(&answer, &tree.path("src"))
    };
    assert_eq!(names(), expected);
    assert_eq!(folder.text("refusals"), "");
    tree.write("src/x.h.gch", "");
    for count in ["1 compile needed its ", "2 compiles needed their "] {
        assert_eq!(names(), expected);
        let told = folder.text("refusals");
        assert!(told.starts_with(count), "{told}");
        assert!(told.contains("precompiled header"), "{told}");
    }
    tree.remove("src/x.h.gch");
    assert_eq!(names(), expected);
    assert!(folder.text("refusals").starts_with("2 compiles "));
    assert_eq!(server.stderr(), "");
}

#[test]
fn a_header_that_must_be_used_precompiled_is_not_sent() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[
        ("src/a.c", "#include \"x.h\"\n"),
        ("src/x.h", "#error not precompiled\n"),
        ("src/x.h.gch", ""),
    ]);
    assert_eq!(
        server.ask(&tree.path("src"), words("gcc -c a.c", &[])),
        None
    );
    assert!(
        server.stderr().contains("precompiled header '"),
        "{}",
        server.stderr()
    );
    assert!(folder.text("refusals").starts_with("1 compile "));
}

#[test]
fn a_compile_that_fails_is_no_refusal_of_the_engine() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[("src/a.c", "#include \"none.h\"\n#error\n")]);
    let answer = server.ask(&tree.path("src"), words("gcc -c a.c", &[]));
    assert!(answer.is_some());
    assert_eq!(folder.text("refusals"), "");
}

#[test]
fn what_is_no_compile_is_refused() {
    let files = [("src/a.c", "int a;\n")];
    assert!(
        refusal(&files, "nosuchcc -c a.c")
            .starts_with("no compiler 'nosuchcc' in PATH for translation unit 'a.c'")
    );
    assert!(refusal(&files, "-c a.c").ends_with("for translation unit 'unknown translation unit'"));
    assert!(refusal(&files, "gcc a.c").starts_with("not a compile to distribute: "));
    assert!(refusal(&files, "gcc -c none.c").contains("preprocessing fails"));
    assert!(
        refusal(&files, "true -c a.c").starts_with(
            "Couldn't determine default system include directories for compiler 'true'"
        )
    );
}

#[test]
fn a_failing_compile_gets_what_exists() {
    let server = Server::start();
    let tree = Tree::new(&[
        (
            "src/missing.c",
            "#include \"a.h\"\n#include \"none.h\"\n#include \"b.h\"\n",
        ),
        ("src/error.c", "#include \"a.h\"\n#error no\n"),
        ("src/a.h", ""),
        ("src/b.h", ""),
    ]);
    let names = |file: &str| {
        let argv = words(&format!("gcc -c {file}"), &[]);
        let answer = server.ask(&tree.path("src"), argv).unwrap();
        names_below(&answer, &tree.path("src"))
    };
    assert_eq!(names("missing.c"), ["a.h", "b.h", "/", "missing.c"]);
    assert_eq!(names("error.c"), ["a.h", "error.c", "/"]);
}
