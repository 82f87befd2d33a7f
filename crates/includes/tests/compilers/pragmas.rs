//! Pragmas that macros make in text.

use includes::Refusal;

use crate::reference::{Outcome, Tree};

/// A program in which `header` is read twice and includes `deep.h` the second time. Whether it was: a header that
/// marks itself "once" is not read again.
fn is_read_again(compiler: &str, header: &str, main: &str, options: &str) -> Result<bool, Refusal> {
    let tree = Tree::new(&[
        (
            "h.h",
            &format!("#ifdef SEEN\n#include \"deep.h\"\n#endif\n#define SEEN\n{header}\n"),
        ),
        ("deep.h", "int deep;\n"),
        (
            "main.c",
            &format!("{main}\n#include \"h.h\"\n#include \"h.h\"\n"),
        ),
    ]);
    match tree.compare(&format!("{compiler}{options} -c main.c")) {
        Outcome::Same(files) => Ok(files.iter().any(|file| file.ends_with("deep.h"))),
        Outcome::Refused(refusal) => Err(refusal),
    }
}

#[test]
fn a_header_is_marked_once_by_whatever_macros_make() {
    let marks = [
        ("_Pragma(\"once\")", ""),
        ("P(once)", "#define P(x) _Pragma(#x)"),
        ("P", "#define P _Pragma(\"once\")"),
        ("#define P _Pragma(\"once\")\nP", ""),
        ("P(\"once\")", "#define P _Pragma"),
        ("_Pragma(W)", "#define W \"once\""),
        (
            "C(P, once)",
            "#define P(x) _Pragma(#x)\n#define C(f, x) f(x)",
        ),
        (
            "P(C(on, ce))",
            "#define P(x) Q(x)\n#define Q(x) _Pragma(#x)\n#define C(a, b) a##b",
        ),
        ("C(_Pra, gma)(\"once\")", "#define C(a, b) a##b"),
        (
            "C(MARK, ER)",
            "#define MARKER _Pragma(\"once\")\n#define C(a, b) a##b",
        ),
        ("P(on\\\nce)", "#define P(x) _Pragma(#x)"),
        ("MAR\\\nKER", "#define MARKER _Pragma(\"once\")"),
        ("int i = f(1, (P(once) 2));", "#define P(x) _Pragma(#x)"),
        ("F(P(once))", "#define F(x) x\n#define P(x) _Pragma(#x)"),
        (
            "OBJECT(P(once))",
            "#define OBJECT F\n#define F(x) x\n#define P(x) _Pragma(#x)",
        ),
        (
            "g(\n#ifndef NONE\nP(once)\n#endif\n)\n",
            "#define P(x) _Pragma(#x)",
        ),
        (
            "P()",
            "#define P(...) _Pragma(\"on\" \"ce\")\n#undef P\n#define P(x) _Pragma(\"once\")",
        ),
        (
            "E(P(once))",
            "#define E(...) __VA_ARGS__\n#define P(...) _Pragma(#__VA_ARGS__)",
        ),
    ];
    for compiler in [
        "gcc",
        "clang",
        "gcc -std=c89",
        "clang -std=c89",
        "g++ -x c++",
        "clang++ -x c++",
    ] {
        for (header, main) in marks {
            let again = is_read_again(compiler, header, main, "");
            assert_eq!(again, Ok(false), "{compiler}: {main}\n{header}");
        }
        let again = is_read_again(compiler, "P(once)", "", " -DP(x)=_Pragma(#x)");
        assert_eq!(again, Ok(false), "{compiler}");
    }
}

#[test]
fn what_only_looks_like_a_mark_does_nothing() {
    let marks = [
        ("const char *s = S(once);", "#define S(x) #x"),
        ("P(GCC diagnostic push)", "#define P(x) _Pragma(#x)"),
        ("F(P(once))", "#define F(x)\n#define P(x) _Pragma(#x)"),
        ("F(P(once))", "#define F(x) #x\n#define P(x) _Pragma(#x)"),
        ("F(_Pragma(\"once\"))", "#define F(x)"),
        (
            "P(once)",
            "#define P(x) _Pragma(#x)\n#undef P\n#define P(x)",
        ),
        ("P", "#define P(x) _Pragma(#x)"),
        ("once", "#define P(x) _Pragma(#x)"),
        ("// P(once)", "#define P(x) _Pragma(#x)"),
        ("const char *s = \"P(once)\";", "#define P(x) _Pragma(#x)"),
        ("#if 0\nP(once)\n#endif", "#define P(x) _Pragma(#x)"),
        (
            "W(P(once))",
            "#define W(x) __glibc_macro_warning1(GCC warning #x)\n#define P(x) x\n#define __glibc_macro_warning1(x) _Pragma(#x)",
        ),
    ];
    for compiler in ["gcc", "clang"] {
        for (header, main) in marks {
            let again = is_read_again(compiler, header, main, "");
            assert_eq!(again, Ok(true), "{compiler}: {main}\n{header}");
        }
    }
}

#[test]
fn arguments_that_hold_directives_are_refused_only_within_a_macro() {
    let header = "F(\n#ifndef NONE\nP(once)\n#endif\n)\n";
    let again = |main: &str| is_read_again("gcc", header, main, "");
    assert!(matches!(
        again("#define F(x) x\n#define P(x) _Pragma(#x)"),
        Err(Refusal::Unmodelled { .. })
    ));
    assert_eq!(again("#define P(x) _Pragma(#x)"), Ok(false));
}

/// Macros are pushed, changed and popped by macros; the value that is left names the header.
#[test]
fn macros_are_pushed_and_popped_in_the_order_of_the_text() {
    let cases = [
        ("PUSH SET2 POP", "1"),
        ("TWICE(PUSH) SET2 POP SET3 POP SET4 POP", "4"),
        ("DROP(PUSH) SET2 POP", "2"),
        ("PUSH SET2 ID(POP)", "1"),
        ("PUSH SET2 ID(ID(POP)) SET3 POP", "3"),
        (
            "P(push_macro(\"N\")) SET2 P(push_macro(\"N\")) SET3 P(pop_macro(\"N\"))",
            "2",
        ),
        ("PUSH SET2 NAMES(POP)", "1"),
    ];
    for compiler in ["gcc", "clang"] {
        for (text, expected) in cases {
            let set = |text: &str, n| {
                text.replace(&format!("SET{n}"), &format!("\n#undef N\n#define N {n}\n"))
            };
            let text = (2..5).fold(text.to_owned(), |text, n| set(&text, n));
            let main = format!(
                "#include \"makers.h\"\n#define N 1\n{text}\n#define S(x) #x\n#define H(n) S(h##n.h)\n\
                 #define HH(n) H(n)\n#include HH(N)\n"
            );
            let mut files = vec![
                (
                    "makers.h",
                    "#define PUSH _Pragma(\"push_macro(\\\"N\\\")\")\n\
                     #define POP P(pop_macro(\"N\"))\n#define P(x) _Pragma(#x)\n\
                     #define TWICE(x) x x\n#define DROP(x)\n#define ID(x) x\n#define NAMES(x) N x N\n",
                ),
                ("main.c", main.as_str()),
            ];
            files.extend(["h1.h", "h2.h", "h3.h", "h4.h"].map(|name| (name, "")));
            let tree = Tree::new(&files);
            tree.expect(
                &format!("{compiler} -c main.c"),
                &format!("main.c makers.h h{expected}.h"),
            );
        }
    }
}

/// One engine for many units: what is a maker only later was text before.
#[test]
fn a_file_that_was_read_before_a_maker_was_known_is_read_again() {
    let tree = Tree::new(&[
        ("makers.h", "#define P _Pragma(\"once\")\n"),
        (
            "h.h",
            "#ifdef SEEN\n#include \"deep.h\"\n#endif\n#define SEEN\nP\n",
        ),
        ("deep.h", ""),
        ("none.c", "#define P\n#include \"h.h\"\n#include \"h.h\"\n"),
        (
            "some.c",
            "#include \"makers.h\"\n#include \"h.h\"\n#include \"h.h\"\n",
        ),
    ]);
    let engine = includes::Engine::new(
        std::sync::Arc::new(includes::RealTree::frozen()),
        std::sync::Arc::new(includes::RealCompiler::new(None)),
        includes::Settings::default(),
    );
    let count = |main: &str| {
        let closure = engine.closure(&tree.command(&format!("clang -nostdinc -c {main}")));
        closure.expect("nothing is odd").files.len()
    };
    assert_eq!(
        [count("none.c"), count("some.c"), count("none.c")],
        [3, 3, 3]
    );
    tree.expect("clang -nostdinc -c none.c", "none.c h.h deep.h");
    tree.expect("clang -nostdinc -c some.c", "some.c h.h makers.h");
}

/// The reference here is not `-E`, which does not obey, but a real compile.
#[test]
fn macros_that_a_pragma_for_options_changes_are_not_asked_in_vain() {
    let closure = |pragmas: &str, command: &str| {
        let main = format!("{pragmas}\n#ifdef __AVX2__\n#include \"a.h\"\n#endif\n");
        let tree = Tree::new(&[("main.c", &main), ("a.h", "")]);
        tree.closure(&format!("{command} -c main.c"))
            .map(|closure| {
                closure
                    .files
                    .iter()
                    .any(|file| file.spelled.ends_with(b"a.h"))
            })
    };
    let target = "#pragma GCC target(\"avx2\")";
    let made = "#define P(x) _Pragma(#x)\nP(GCC target(\"avx2\"))";
    for pragmas in [target, made] {
        let refused = closure(pragmas, "gcc");
        assert!(
            matches!(refused, Err(Refusal::Unmodelled { .. })),
            "{refused:?}"
        );
        for command in ["clang", "gcc -x c++", "gcc -x assembler-with-cpp"] {
            assert_eq!(closure(pragmas, command), Ok(false), "{command}");
        }
    }
    let sealed = format!("#pragma GCC push_options\n{target}\n#pragma GCC pop_options");
    let reset = format!("{target}\n#pragma GCC reset_options");
    for pragmas in [
        &sealed,
        &reset,
        "#pragma GCC optimize(\"O2\")",
        "#pragma GCC push_options",
    ] {
        assert_eq!(closure(pragmas, "gcc"), Ok(false), "{pragmas}");
    }
    assert_eq!(closure("#pragma GCC pop_options", "gcc -mavx2"), Ok(true));
}

/// These headers seal each part in such pragmas.
#[test]
fn intrinsics_are_no_reason_to_refuse() {
    let tree = Tree::new(&[("main.c", "#include <immintrin.h>\n#include <x86intrin.h>\n")]);
    for options in ["", " -O2", " -mavx2"] {
        tree.expect(&format!("gcc{options} -c main.c"), "main.c");
    }
}
