//! Bytes that compilers put together or take apart in ways of their own: signs on two lines, characters outside of ASCII,
//! options that change either. Each is right or refused.

use includes::Refusal;

use crate::reference::{Outcome, Tree};

/// Compiles these bytes with `a.h` and `b.h` beside them. The answer is that of the compilers that accept it, or
/// there is none; how many compared equal comes back.
fn compared(main: &[u8], name: &str, options: &[&str]) -> usize {
    let tree = Tree::new(&[("a.h", ""), ("b.h", ""), (name, "")]);
    std::fs::write(tree.folder.join(name), main).expect("temporary folder");
    let mut equal = 0;
    for compiler in ["gcc", "clang"] {
        for option in options {
            let line = format!("{compiler} -w {option} -c {name}");
            if tree.theirs(&line).is_none() {
                continue;
            }
            match tree.compare(&line) {
                Outcome::Same(_) => equal += 1,
                Outcome::Refused(
                    Refusal::Unmodelled { .. } | Refusal::Option(..) | Refusal::Compiler(_),
                ) => {}
                Outcome::Refused(other) => panic!("{line}: {other}"),
            }
        }
    }
    equal
}

#[test]
fn signs_may_stand_on_two_lines() {
    let standards = ["-std=c90", "-std=gnu17", "-std=c2x", "-std=c99"];
    for (main, least) in [
        ("int x; /\\\n/ /* x\n#include \"a.h\"\n/* */\n", 7),
        ("int x; /??/\n/ /* x\n#include \"a.h\"\n/* */\n", 4),
        (
            "#define Y\n#if 0\n#eli\\\nfdef Y\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n",
            8,
        ),
        (
            "#if 0\n#el\\\nifdef main\n#else\n#include \"a.h\"\n#endif\n",
            8,
        ),
        ("#if 0\n#elif\\\nndef main\n#include \"a.h\"\n#endif\n", 8),
        ("%\\\n:include \"a.h\"\n", 6),
        ("%??/\n:include \"a.h\"\n", 2),
        ("#if u\\\n'a' == 97\n#include \"a.h\"\n#endif\n", 4),
        ("#define X 1 /\\\n/ x\n#if X\n#include \"a.h\"\n#endif\n", 6),
    ] {
        let equal = compared(main.as_bytes(), "m.c", &standards);
        assert!(equal >= least, "{main:?}: {equal}");
    }
    for main in [
        "auto x = u\\\n8R\"(\n#include \"a.h\"\n)\";\n#include \"b.h\"\n",
        "auto x = u8\\\nR\"(\n#include \"a.h\"\n)\";\n#include \"b.h\"\n",
    ] {
        compared(main.as_bytes(), "m.cc", &["-std=c++17"]);
    }
}

#[test]
fn characters_outside_of_ascii_are_part_of_a_name_or_not() {
    const ENDINGS: [&[u8]; 6] = [
        "\u{a0}".as_bytes(),
        b"\xa0",
        b"\xa7",
        "\u{a7}".as_bytes(),
        "\u{201c}".as_bytes(),
        "\u{e9}".as_bytes(),
    ];
    let group = &b"#ifdef X\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n"[..];
    let mut equal = 0;
    for ending in ENDINGS {
        let parts: [&[&[u8]]; 5] = [
            &[b"#define X", ending, b" 1\n", group],
            &[b"#define X", ending, b"1\n", group],
            &[b"#define X 1\n#undef X", ending, b"\n", group],
            &[b"#define X 1\n#if 0\n#endif", ending, b"\n", group],
            &[
                b"#define X 1\n#ifdef X",
                ending,
                b"\n#include \"a.h\"\n#endif\n",
            ],
        ];
        for parts in parts {
            let main = parts.concat();
            equal += compared(&main, "m.c", &["-std=gnu17", "-std=gnu89"]);
            equal += compared(&main, "m.cc", &["-std=c++17"]);
            equal += compared(&main, "m.S", &["-Wall"]);
        }
    }
    // Letters are common ground.
    assert!(equal > 20, "{equal}");
    for harmless in [
        "/* \u{a7} \u{e9} */ // \u{201c}\n#include \"a.h\"\n",
        "#define T \"\u{e9}\u{a7}\" '\u{a7}'\n#if 1\n#include \"a.h\"\n#endif // \u{a7}\n",
        "#pragma mark \u{2014} \u{201c}x\u{201d}\n#include \"a.h\"\n",
        "char *x = \"\u{a7}\"; \u{e9}R\n#if 0\n#error \u{a7}\n#endif\n#include \"a.h\"\n",
    ] {
        assert_eq!(
            compared(harmless.as_bytes(), "m.c", &["-w"]),
            2,
            "{harmless}"
        );
    }
}

#[test]
fn makers_and_raw_strings_may_touch_other_characters() {
    for byte in [&b"\xa7"[..], "\u{e9}".as_bytes(), b"x"] {
        let tree = |text: &[&[u8]]| text.concat();
        let once = tree(&[
            b"#ifdef A\n#include \"a.h\"\n#endif\n",
            byte,
            b"_Pragma(\"once\")\n#ifndef A\n#define A\n#include \"m.c\"\n#endif\n",
        ]);
        compared(&once, "m.c", &["-w", "-std=gnu89"]);
        let raw = tree(&[
            b"#define _(x)\n_(",
            byte,
            b"R\"(\n#include \"b.h\"\n/*)\"\n)\n#include \"a.h\"\n//*/\n",
        ]);
        compared(&raw, "m.cc", &["-std=c++17"]);
    }
}

#[test]
fn options_change_names_and_characters() {
    for (main, options) in [
        (
            "#define x$ 1\n#ifdef x\n#include \"a.h\"\n#endif\n",
            &["-fno-dollars-in-identifiers"][..],
        ),
        (
            "#if 'A' == 65\n#include \"a.h\"\n#endif\n",
            &["-fexec-charset=IBM1047", "-fexec-charset=UTF-8"],
        ),
        (
            "#if L'A' == 65\n#include \"a.h\"\n#endif\n",
            &["-fwide-exec-charset=UTF-16BE"],
        ),
        (
            "#ifdef F\n#include \"a.h\"\n#endif\n",
            &["-DF -Xclang -UF", "-DF -Wp,-UF"],
        ),
        (" #include \"a.h\"\n", &["-Xclang -traditional-cpp"]),
        (
            "__pragma(push_macro(\"X\"))\n#include \"a.h\"\n",
            &[
                "--target=x86_64-pc-windows-msvc -nostdinc",
                "-Xclang -fms-compatibility",
            ],
        ),
    ] {
        compared(main.as_bytes(), "m.c", options);
    }
    let utf8 = "-finput-charset=utf-8 -fexec-charset=UTF-8";
    assert_eq!(compared(b"#include \"a.h\"\n", "m.c", &[utf8]), 2);
}

#[test]
fn a_driver_for_cxx_may_have_any_name() {
    let main = "#ifdef __cplusplus\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n";
    let tree = Tree::new(&[
        ("a.h", ""),
        ("b.h", ""),
        ("m.c", main),
        ("cxx -> /usr/bin/g++", ""),
        ("cc -> /usr/bin/gcc", ""),
    ]);
    tree.expect("%/cxx -c m.c", "m.c a.h");
    tree.expect("%/cxx -x c -c m.c", "m.c b.h");
    tree.expect("%/cc -c m.c", "m.c b.h");
    tree.expect("%/cc -shared-libgcc -c m.c", "m.c b.h");
}

/// clang's maps from names of headers to paths: `-I FILE`.
#[test]
fn a_map_of_headers_is_no_folder() {
    let tree = Tree::new(&[("m.c", "#include \"a.h\"\n"), ("i/a.h", ""), ("x", "hmap")]);
    let refusal = tree.closure("clang -Ix -Ii -c m.c");
    assert!(matches!(refusal, Err(Refusal::Option(..))), "{refusal:?}");
    tree.expect("gcc -Ix -Ii -c m.c", "m.c i/a.h");
    tree.expect("clang -Im.c -Ii -c m.c", "m.c i/a.h");
}
