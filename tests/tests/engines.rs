//! Compiles as actions on an engine that is not ours: `buildbox-casd`, which has no compiler and no headers but what
//! they bring along; and on our own server.
//!
//! More projects are in `corpus.rs`.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::fs;

use end_to_end::alike::expect_same_objects;
use end_to_end::both_ways::{LIMIT, Work, on_each_engine};
use end_to_end::compile_database::of_corpus;
use end_to_end::engine::Engine;
use end_to_end::programs::ours;
use end_to_end::run::run_within;
use end_to_end::tree::{Tree, snapshot};

#[test]
fn lua_is_the_same_from_an_engine_by_gcc_and_clang() {
    let (engine, tree) = (Engine::start(2), Tree::new());
    let entries = of_corpus("lua5.4", &tree);
    assert!(entries.len() >= 30, "{} compiles", entries.len());
    for compiler in ["gcc", "clang"] {
        expect_same_objects(&engine.host(), &entries, compiler);
    }
}

#[test]
fn outputs_of_many_kinds_come_back() {
    on_each_engine(|work| {
        work.write(
            "a.c",
            "#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n",
        );
        work.write(
            "b.cc",
            "#include <vector>\nint f() { return std::vector<int>(3).size(); }\n",
        );
        // Coverage has a random number in it.
        let script = "mkdir -p out
        cc -g -gsplit-dwarf -fstack-usage --coverage -frandom-seed=7 -MMD -c a.c -o out/a.o
        cc -save-temps=obj -O1 -c a.c -o out/b.o
        cc -S -masm=intel a.c
        $by g++ -std=c++17 -O2 -c b.cc -o \"$PWD/out/absolute.o\"
        $by clang -g -gsplit-dwarf -MD -MF out/c.dep -c a.c -o out/c.o";
        let (here, there) = work.expect_same(script, 5);
        assert_eq!(there.text().1, here.text().1);
    });
}

#[test]
fn what_changes_in_the_middle_of_a_build_is_seen() {
    on_each_engine(|work| {
        work.write("a.c", "#include \"a.h\"\nint a = A;\n");
        work.write("a.h", "#define A 1\n");
        // With text of the same length: neither size nor, perhaps, time tells.
        let script = "cc -c a.c -o 1.o
        echo '#define A 2' > a.h
        cc -c a.c -o 2.o
        echo 'int a = 333;' > a.c
        cc -c a.c -o 3.o";
        work.expect_same(script, 3);
    });
}

#[test]
fn headers_that_appear_late_and_those_of_one_folder_only() {
    on_each_engine(|work| {
        work.write(
        "a.c",
        "#if __has_include(\"made.h\")\n#include \"made.h\"\n#endif\n#include <which.h>\nint a = A + W;\n",
    );
        work.write(
            "x/which.h",
            "#ifndef A\n#define A 1\n#endif\n#define W 10\n",
        );
        work.write(
            "y/which.h",
            "#ifndef A\n#define A 2\n#endif\n#define W 20\n",
        );
        work.write("y/only.h", "");
        let script = "cc -Ix -Iy -c a.c -o 1.o
        cc -Iy -Ix -c a.c -o 2.o
        echo '#define A 3' > made.h
        cc -Ix -Iy -c a.c -o 3.o
        rm x/which.h
        cc -Ix -Iy -c a.c -o 4.o
        cc -Ix -Iy -include only.h -c a.c -o 5.o
        cc -Ix -include only.h -c a.c -o 6.o";
        // The last one fails here, as it has to.
        let (here, there) = work.expect_same(script, 5);
        assert_eq!(there.text().1, here.text().1);
    });
}

#[test]
fn errors_are_the_compilers_own() {
    on_each_engine(|work| {
        work.write("a.c", "#warning here\nint f(void) { return undeclared; }\n");
        work.write("b.o", "an old one, which clang removes");
        let script = "code=0
        cc -Wall -c a.c || code=$?
        $by clang -Wall -c a.c -o b.o || code=$code$?
        exit $code";
        let (here, there) = work.expect_same(script, 2);
        assert_eq!((here.code(), there.code()), (11, 11));
        assert_eq!(there.text().1, here.text().1);
    });
}

#[test]
fn commands_that_are_no_actions_run_here() {
    on_each_engine(|work| {
        work.write("a.c", "int main(void) { return 0; }\n");
        let script = "cc -c a.c
        cc a.o -o a
        cc -E a.c -o a.i
        cc a.c -o b";
        let (here, there) = work.expect_same(script, 1);
        assert_eq!(there.text().1, here.text().1);
    });
}

#[test]
fn an_engine_that_goes_away_costs_no_more_than_time() {
    let engine = Engine::start(2);
    let mut work = Work::on(&engine.host());
    work.client = work.client.with_fallback();
    work.write("a.c", "int a;\n");
    work.write("b.c", "int b;\n");
    let pid = engine.pid().as_raw_nonzero();
    let done = work.pump(&format!(
        "cc -c a.c\nkill -9 {pid}\ncc -c b.c\ncc -c a.c -o c.o"
    ));
    let log = work.log();
    let done = done.expect_success();
    assert_eq!(work.actions(), 1, "{}\n{log}", done.explain());
    assert!(log.contains("not reachable"), "{log}");
    let made = snapshot(&work.tree.join("w"));
    work.here("rm *.o; cc -c a.c; cc -c b.c; cc -c a.c -o c.o")
        .expect_success();
    assert!(snapshot(&work.tree.join("w")) == made, "other files");
}

#[test]
fn engines_of_a_hosts_file_in_a_session_of_its_own() {
    let engine = Engine::start(2);
    let work = Work::on(&engine.host());
    work.write("a.c", "int a;\n");
    fs::write(work.client.distcc_dir().join("hosts"), engine.host()).unwrap();
    let script = "eval \"$(\"$0\" --startup)\"
        code=0
        distcc gcc -c a.c || code=$?
        DISTCC_HOSTS=localhost distcc gcc -c a.c -o b.o || code=$?
        \"$0\" --shutdown
        exit $code";
    let mut shell = work.client.command("sh", &work.tree.join("w"));
    shell.env_remove("DISTCC_HOSTS");
    let done = run_within(shell.args(["-c", script]).arg(ours("pump")), LIMIT);
    let done = done.expect_success();
    assert_eq!(work.actions(), 1, "{}\n{}", done.explain(), work.log());
    assert!(work.tree.join("w/b.o").exists());
    let left = snapshot(&work.client.temp());
    assert!(left.is_empty(), "left in the client's folder: {left:?}");
}
