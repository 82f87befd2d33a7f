//! Compiles that 3.4 gets wrong: the result must be that of the compiler alone.

use end_to_end::client::Client;
use end_to_end::include_server::IncludeServer;
use end_to_end::programs::{Side, command};
use end_to_end::run::{Done, PATH, run};
use end_to_end::server::Setup;
use end_to_end::tree::{Snapshot, Tree};

/// A header, sources of several kinds, and things to include.
const FILES: &[(&str, &[u8])] = &[
    (
        "a.c",
        b"#include \"inc/a.h\"\nint a(void) { return A + X; }\n",
    ),
    ("inc/a.h", b"#ifndef X\n#define X 1\n#endif\n#define A 1\n"),
    ("b.c", b"int b(void) { return 2; }\n"),
    ("c.cc", b"int c() { return 3; }\n"),
    ("upper.CXX", b"int c() { return 4; }\n"),
    ("s.S", b"#ifndef S\n.globl s\ns: ret\n#endif\n"),
    ("t.s", b".globl t\nt: ret\n"),
    ("noext", b"int n;\n"),
    ("main.c", b"int main(void) { return 0; }\n"),
    ("conftest.c", b"int conf;\n"),
    ("plain.i", b"int i(void) { return 5; }\n"),
    (
        "bytes.c",
        b"const char *s = \"\xc3\xa9\xff\";\r\nint x; // \xe9\r\n",
    ),
    ("blob", b"BLOB"),
    (
        "blob.c",
        b"__asm__(\".globl blob\\nblob: .incbin \\\"blob\\\"\\n\");\n",
    ),
    ("inner.s", b".globl inner\ninner: ret\n"),
    (
        "asm.c",
        b"__asm__(\".include \\\"inner.s\\\"\\n\");\nint z;\n",
    ),
    (
        "loud.c",
        b"#warning loud\nint l(void) { int unused; return 1; }\n",
    ),
    ("wrong.c", b"int w(void) { return nothing; }\n"),
    ("absent.c", b"#include \"absent.h\"\n"),
    (
        "abs.c",
        b"#if 0\n#include \"/nowhere/x.h\"\n#endif\n#include <stddef.h>\nsize_t s;\n",
    ),
    ("odd names/a b=~@.h", b"#define ODD 1\n"),
    (
        "odd.c",
        b"#include \"odd names/a b=~@.h\" // text\nint odd = ODD;\n",
    ),
    ("split.c", b"#\\\ninclude \"inc/a.h\"\nint sp = A;\n"),
    (
        "next/a.h",
        b"#define NEXT\n#define NAME <a.h>\n#include_next NAME\n",
    ),
    (
        "next.c",
        b"#include <a.h>\n#ifndef NEXT\n#error\n#endif\nint ne = A;\n",
    ),
    ("source.cp", b"int cp;\n"),
    ("source.c++", b"int cpp;\n"),
    ("opts", b"-DX=7"),
    ("out/keep", b""),
];

/// Where a compile may run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Sent in both modes.
    There,
    /// Wherever it is right.
    Anywhere,
}
use Where::{Anywhere, There};

/// Compiles each line by the compiler alone, through plain mode and through pump mode.
#[track_caller]
fn check(place: Where, commands: &[&str]) {
    let server = Setup::of(Side::Ours).start();
    let nowhere = Tree::new();
    let includes = IncludeServer::start(&nowhere.path());
    let tree = Tree::new();
    for (name, content) in FILES {
        tree.write(name, content);
    }
    let before = tree.snapshot();
    for line in commands {
        let words: Vec<_> = line.split(' ').map(std::ffi::OsString::from).collect();
        let mut alone = command(&words[0]);
        let alone = run(alone
            .args(&words[1..])
            .current_dir(tree.path())
            .env("PATH", PATH));
        let expected = Result::of(&alone, tree.take_changes(&before));
        for protocol in [2, 3] {
            let jobs = server.count("COMPILE_OK") + server.count("COMPILE_ERROR");
            let client = Client::of(Side::Ours, &server.host(protocol))
                .with_fallback()
                .with("INCLUDE_SERVER_PORT", includes.socket());
            let through = run(&mut client.distcc(&words, &tree.path()));
            let result = Result::of(&through, tree.take_changes(&before));
            let said = || format!("{line} in protocol {protocol}: {}", through.explain());
            assert_eq!(result.code, expected.code, "{}", said());
            assert_eq!(result.messages, expected.messages, "{}", said());
            assert!(result.stdout == expected.stdout, "{}", said());
            let names = |result: &Result| result.files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&result), names(&expected), "{}", said());
            for (name, file) in &result.files {
                let is_same = *file == expected.files[name];
                assert!(is_same, "{} differs: {}", name.display(), said());
            }
            if place == There {
                let due = jobs + 1;
                end_to_end::run::wait_until(
                    || {
                        (server.count("COMPILE_OK") + server.count("COMPILE_ERROR") >= due)
                            .then_some(())
                    },
                    || {
                        format!(
                            "{line} in protocol {protocol} was not sent:\n{}",
                            server.log()
                        )
                    },
                );
            }
        }
    }
}

/// What a compile did.
#[derive(Debug, PartialEq)]
struct Result {
    code: i32,
    files: Snapshot,
    stdout: Vec<u8>,
    /// The compiler's messages: lines of distcc's own, and the source lines that a preprocessed text lacks, are left out.
    messages: Vec<String>,
}

impl Result {
    fn of(done: &Done, files: Snapshot) -> Self {
        let stderr = String::from_utf8_lossy(&done.stderr);
        let is_message = |line: &&str| {
            !line.starts_with("distcc[")
                && !line.trim_start().starts_with('|')
                && !line.contains(" | ")
        };
        Self {
            code: done.code(),
            files,
            stdout: done.stdout.clone(),
            messages: stderr
                .lines()
                .filter(is_message)
                .map(String::from)
                .collect(),
        }
    }
}

#[test]
fn a01_xpreprocessor_keeps_its_argument() {
    check(
        There,
        &[
            "gcc -c a.c -Xpreprocessor -DX=3 -o xp.o",
            "gcc -c -Xpreprocessor -DX=3 a.c",
        ],
    );
}

#[test]
fn a02_bytes_and_line_ends_arrive_as_they_are() {
    check(There, &["gcc -c bytes.c"]);
}

#[test]
fn a03_dependency_files_are_where_the_compiler_puts_them() {
    check(
        There,
        &[
            "gcc -MD -c a.c -o out/x.o",
            "gcc -MMD -c a.c -o out/x.y.o",
            "gcc -MD -c a.c",
        ],
    );
}

#[test]
fn a04_further_outputs_are_not_lost() {
    check(
        Anywhere,
        &[
            "gcc -gsplit-dwarf -g -c a.c",
            "gcc -save-temps -c a.c",
            "gcc -save-temps=obj -c a.c -o out/a.o",
            "gcc -fdump-tree-original -c a.c",
            "gcc -fstack-usage -c a.c",
            "gcc -fcallgraph-info -c a.c",
            "gcc -aux-info proto -c a.c",
            "gcc -O2 -fopt-info-all=opt -c a.c",
            "gcc -fdump-tree-gimple -c a.c -dumpdir out/",
            "gcc -fstack-usage -Wa,-adhln=list -c a.c",
        ],
    );
}

#[test]
fn a05_native_means_this_machine() {
    check(
        Anywhere,
        &[
            "gcc -O2 -march=native -c a.c",
            "gcc -mtune=native -c a.c",
            "gcc -march=native @opts -c a.c",
        ],
    );
}

#[test]
fn a07_languages_in_all_spellings() {
    check(
        Anywhere,
        &[
            "gcc -xc -c noext -o n.o",
            "gcc -xc++ -c a.c",
            "gcc -c -x c++ a.c -x none",
            "gcc -c -x c noext",
            "g++ -c -xc b.c",
        ],
    );
}

#[test]
fn a12_objects_of_preprocessed_text_name_the_clients_file() {
    check(
        There,
        &["gcc -c plain.i", "gcc -O2 -Wall -c plain.i -o out/p.o"],
    );
}

#[test]
fn a14_files_of_inline_assembler() {
    check(Anywhere, &["gcc -c blob.c", "gcc -c asm.c"]);
}

#[test]
fn a15_odd_targets() {
    check(
        Anywhere,
        &[
            "gcc -c b.c -o no/such/folder.o",
            "gcc -c b.c -o /dev/null",
            "gcc -c b.c -o out",
        ],
    );
}

#[test]
fn a16_messages_come_once() {
    check(
        Anywhere,
        &[
            "gcc -Wall -c loud.c",
            "gcc -c wrong.c",
            "gcc -c absent.c",
            "gcc -Werror -Wall -c loud.c",
        ],
    );
}

#[test]
fn f_what_3_4_does_not_distribute_is_right() {
    check(
        Anywhere,
        &[
            "gcc -flto -frandom-seed=1 -c a.c",
            "gcc -c t.s",
            "gcc -c s.S",
            "gcc -c -x assembler t.s",
            "gcc -c -x assembler-with-cpp s.S",
            "g++ -c upper.CXX",
            "gcc -c a.c b.c",
            "gcc main.c -o main",
            "gcc main.c a.c b.c -o main",
            "gcc -fprofile-use -c a.c",
            "gcc -c a.c -o -",
            "gcc -E a.c",
            "gcc -S a.c",
            "gcc -c conftest.c",
            "gcc -c -",
            "gcc -x c -c -",
        ],
    );
}

#[test]
fn f_what_3_4_pump_does_not_understand_is_sent() {
    check(
        There,
        &[
            "gcc -c abs.c",
            "g++ -c source.cp",
            "g++ -c source.c++",
            "gcc -c odd.c",
            "gcc -c split.c",
            "gcc -Inext -Iinc -c next.c",
            "gcc -Xpreprocessor -DX=2 -c a.c",
            "gcc -c --sysroot / b.c",
        ],
    );
}
