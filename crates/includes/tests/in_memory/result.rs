//! What else an answer holds: absent paths, folders, links, the time, assembler text.

use crate::world::World;

#[test]
fn absent_paths_come_in_the_order_of_probing() {
    World::new(&[
        ("main.c", "#include \"x.h\"\n#include <sub/y.h>\n"),
        ("one/", ""),
        ("two/sub/z.h", ""),
        ("three/x.h", ""),
        ("three/sub/y.h", ""),
    ])
    .ask("-iquote two -Ione -Inone -Itwo -Ithree main.c")
    .files(&["main.c", "three/x.h", "three/sub/y.h"])
    .absent(&["x.h", "two/x.h", "one/x.h", "one/sub/y.h", "two/sub/y.h"]);
}

#[test]
fn a_folder_and_a_dangling_link_are_no_headers() {
    World::new(&[
        ("main.c", "#include <x.h>\n"),
        ("one/x.h/", ""),
        ("two/x.h", "-> nowhere"),
        ("three/x.h", ""),
    ])
    .ask("-Ione -Itwo -Ithree main.c")
    .files(&["main.c", "three/x.h"])
    .absent(&["one/x.h", "two/x.h"]);
}

#[test]
fn folders_that_are_searched_or_passed_must_exist() {
    World::new(&[
        ("main.c", "#include \"sub/../a.h\"\n#include <b.h>\n"),
        ("sub/", ""),
        ("a.h", ""),
        ("one/", ""),
        ("two/in/b.h", ""),
        ("two/out/", ""),
    ])
    .ask("-Ione -Inone -Itwo/out/../in main.c")
    .files(&["main.c", "sub/../a.h", "two/out/../in/b.h"])
    .real(&["main.c", "a.h", "two/in/b.h"])
    .folders(&["/p", "one", "sub/..", "two/out/../in"]);
}

#[test]
fn links_on_the_way_are_told_with_their_targets() {
    World::new(&[
        ("main.c", "#include <x/y.h>\n#include <z.h>\n"),
        ("inc", "-> real/inc"),
        ("real/inc/x", "-> ../other"),
        ("real/other/y.h", "-> z.h"),
        ("real/other/z.h", ""),
        ("real/inc/z.h", "-> /p/absolute.h"),
        ("absolute.h", ""),
        ("unused", "-> nowhere"),
    ])
    .ask("-Iinc main.c")
    .files(&["main.c", "inc/x/y.h", "inc/z.h"])
    .real(&["main.c", "real/other/z.h", "absolute.h"])
    .links(&[
        ("inc", "real/inc"),
        ("real/inc/x", "../other"),
        ("real/inc/z.h", "absolute.h"),
        ("real/other/y.h", "z.h"),
    ]);
}

#[test]
fn the_time_counts_where_it_is_used() {
    let check = |main: &str, header: &str, expected: bool| {
        let world = World::new(&[("main.c", main), ("a.h", header)]);
        for _ in 0..2 {
            let answer = world.ask("main.c");
            assert_eq!(answer.closure().time_macros, expected, "{main}{header}");
            // From a summary it is the same.
            let other = world.ask("-DX main.c");
            assert_eq!(other.closure().time_macros, expected, "{main}{header}");
        }
    };
    for (option, expected) in [
        ("-DW=__TIMESTAMP__", true),
        ("-DW=1", false),
        ("-U__TIME__", false),
    ] {
        let world = World::new(&[("main.c", "char *s = W;\n")]);
        let answer = world.ask(&format!("{option} main.c"));
        assert_eq!(answer.closure().time_macros, expected, "{option}");
    }
    for name in ["__DATE__", "__TIME__", "__TIMESTAMP__"] {
        check(&format!("char *s = {name};\n"), "", true);
        check(
            "#include \"a.h\"\n",
            &format!("#define WHEN {name}\n"),
            true,
        );
        check(
            "#include \"a.h\"\n",
            &format!("#if 0\n{name}\n#endif\n"),
            false,
        );
        check("\n", &format!("{name}\n"), false);
        check(&format!("// {name}\nchar *s = \"{name}\";\n"), "", false);
    }
}

#[test]
fn assembler_text_tells_what_it_takes_in() {
    let check = |name: &str, text: &str, expected: &[Option<&str>]| {
        let world = World::new(&[(name, text)]);
        let answer = world.ask(name);
        let names: Vec<_> = answer
            .closure()
            .assembler
            .iter()
            .map(|taken| {
                assert_eq!(&*taken.within, name.as_bytes());
                taken.name.clone()
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|name| name.map(|name| name.as_bytes().to_vec()))
            .collect();
        assert_eq!(names, expected, "{text}");
    };
    check("a.S", ".incbin \"blob.bin\"\n", &[Some("blob.bin")]);
    check("a.S", ".include \"more.s\"\n", &[Some("more.s")]);
    check("a.S", "#define F \"blob.bin\"\n.incbin F\n", &[None]);
    check(
        "a.c",
        "asm(\".incbin \\\"blob.bin\\\"\");\n",
        &[Some("blob.bin")],
    );
    check("a.c", "int incbin; // .incbin \"x\"\n", &[]);
}
