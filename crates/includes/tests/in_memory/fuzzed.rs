//! Any text as sources: an answer or a refusal, in bounded memory, and the same once more.

use fuzz::Target;

use crate::world::World;

const SOURCES: [&str; 6] = [
    "#include \"a.h\"\n#if defined(A) && A(1) > 2\n#include B\n#endif\n\u{1}#define A(x) ((x) * 3)\n#define B \"b.h\"\n\u{1}int b;\n",
    "#define CAT(a, b) a ## b\n#define STR(x) #x\n#if CAT(1, 2) == 12 && 'a' < 0x7full\n#include STR(a.h)\n#elif 0\n#else\n#error no\n#endif\n",
    "#ifndef G\n#define G\n#pragma once\n#include_next <a.h>\n#if __has_include(\"b.h\") || __has_include(<c.h>)\n#endif\n#endif\n_Pragma(\"push_macro(\\\"G\\\")\")\n",
    "#define V(...) __VA_OPT__(,) __VA_ARGS__\n#define E() V\nV(E()(1), \"s\\\n\")\n/* c */ // d \\\n e\nR\"x(#include \"n.h\")x\"\n",
    "#line 7 \"f\"\n#if __LINE__ == 7 ? 1 : -1 << 3 % 2\n%:include <a.h>\n??=include \"b.h\"\n#undef X\n#import \"a.h\"\nimport <a.h>;\n",
    "asm(\".incbin \\\"b.h\\\"\");\n#embed \"b.h\"\n#include __FILE__\n#if 1 / 0\n#endif\n#ident \"x\"\n#warning w\n__has_include",
];

const WORDS: [&str; 60] = [
    "#include ",
    "#include_next ",
    "#define ",
    "#undef ",
    "#if ",
    "#ifdef ",
    "#ifndef ",
    "#elif ",
    "#elifdef ",
    "#else\n",
    "#endif\n",
    "#pragma once\n",
    "#line ",
    "#error ",
    "#import ",
    "\n",
    "\\\n",
    "\"a.h\"",
    "<b.h>",
    "main.c",
    "(",
    ")",
    ",",
    "...",
    "##",
    "#",
    "__VA_ARGS__",
    "__VA_OPT__(",
    "defined ",
    "defined(",
    "__has_include(",
    "__has_include_next(",
    "_Pragma(",
    "__LINE__",
    "__FILE__",
    "__INCLUDE_LEVEL__",
    "__COUNTER__",
    "/*",
    "*/",
    "//",
    "R\"(",
    ")\"",
    "'",
    "\"",
    "A",
    "B",
    "A(",
    "B(A)",
    "&&",
    "||",
    "?",
    ":",
    "<<",
    "==",
    "1",
    "0x",
    "1e+",
    "u8\"",
    "\u{1}",
    "??=",
];

#[test]
fn fuzzed_sources() {
    Target::new("sources")
        .seeds(SOURCES)
        .words(WORDS)
        .longest(2000)
        .memory(64 << 20, 4096)
        .few(150)
        .run(|text| {
            let text = String::from_utf8_lossy(text);
            let mut parts = text.split('\u{1}');
            let names = ["main.c", "a.h", "b.h", "c.h"];
            let files: Vec<_> = names.iter().map(|&name| (name, parts.next())).collect();
            let files = files.iter().filter_map(|&(name, text)| Some((name, text?)));
            let files: Vec<(&str, &str)> = files.collect();
            let lines = [
                "-I. main.c",
                "clang: -x c++ -I. main.c",
                "-x assembler-with-cpp main.c",
            ];
            let line = lines[text.len() % lines.len()];
            let world = World::new(&files);
            let first = world.ask(line).outcome();
            // From what it has kept, and from nothing.
            assert_eq!(world.ask(line).outcome(), first, "{line}");
            assert_eq!(World::new(&files).ask(line).outcome(), first, "{line}");
        });
}

const LINES: [&str; 5] = [
    "-I. -Iinc -isystem sys -iquote q -idirafter d main.c",
    "-DA=1 -DB(x)=x -UA -include a.h -imacros b.h -x c main.c",
    "-nostdinc -std=c++20 --sysroot=/s -Wp,-DX,-MD,f -Xpreprocessor -DY -c main.c -o main.o",
    "clang: --target=x -Xclang -include -Xclang a.h -fmodules main.c",
    "-I- -undef -trigraphs -ansi -iprefix p -iwithprefix w -MD -MF f -MT t @file main.c",
];

#[test]
fn fuzzed_commands() {
    let words = LINES
        .iter()
        .flat_map(|line| line.split(' '))
        .map(|word| format!(" {word}"));
    Target::new("command for the include engine")
        .seeds(LINES)
        .words(words)
        .words(["=", ",", "-I", "-D", "--", "-", "\"", "(", "/"])
        .longest(500)
        .memory(16 << 20, 4096)
        .few(300)
        .run(|line| {
            let line = String::from_utf8_lossy(line).replace('\0', "");
            let world = World::new(&[("main.c", "#include <a.h>\nA B(1)\n"), ("inc/a.h", "")]);
            let first = world.ask(&line).outcome();
            assert_eq!(world.ask(&line).outcome(), first, "{line}");
        });
}
