//! Files that compiles read and write beside sources, headers and objects: as actions on our server and on another
//! engine they have to be the same as here.
//!
//! `by` is the client, or nothing; `cc` is gcc behind it. The numbers say how many compiles ran there: the others are no
//! actions, and have to come out right here.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use end_to_end::both_ways::{Work, on_each_engine};
use end_to_end::client::Client;
use end_to_end::programs::Side;
use end_to_end::run::run;
use end_to_end::server::Setup;

const TEXT: &str = "#include <stddef.h>
int g(int);
static int twice(int x) { return 2 * x; }
int f(int *x, size_t n) { int s = 0; for (size_t i = 0; i < n; i++) s += g(x[i]) + twice(i); return s; }
";

/// Where nothing depends on whose engine it is.
fn on_ours(test: impl Fn(&Work)) {
    let server = Setup::of(Side::Ours).jobs(2).start();
    test(&Work::on(&server.engine()));
}

#[track_caller]
fn same(work: &Work, script: &str, actions: usize) {
    let (here, there) = work.expect_same(script, actions);
    assert_eq!(here.code(), 0, "{}", here.explain());
    assert_eq!(there.text().1, here.text().1, "{}", work.log());
}

#[test]
fn what_gcc_writes_by_options() {
    on_each_engine(|work| {
        work.write("a.c", TEXT);
        work.write("d/b.x.cc", TEXT);
        let script = "mkdir out
        cc -c a.c -o out/1.o -g -gsplit-dwarf -MD -fstack-usage -fcallgraph-info=su,da
        cc -c a.c -o out/2.o --coverage -frandom-seed=1 -fprofile-note=out/note.gcno
        cc -c a.c -o out/3 -ftest-coverage -fprofile-arcs -frandom-seed=1
        cc -c d/b.x.cc -save-temps -g
        cc -c d/b.x.cc -save-temps=obj -o out/4.x.o
        cc -c a.c -o out/5.o -O2 -fdump-tree-optimized=out/tree -fdump-rtl-all=out/rtl -fdump-noaddr
        cc -c a.c -o out/6.o -O2 -fdump-tree-gimple=stderr -fopt-info-all=out/opt
        cc -c a.c -o out/7.o -aux-info out/protos -Wa,-adhln=out/list,-MD,out/as.d
        cc -c a.c -o out/8.o -Wa,-al
        cc -S a.c -o out/9.s -fverbose-asm -MMD -MF out/9.dep
        cc -c a.c -o out/10.o -flto -frandom-seed=2 -O2 -fsave-optimization-record
        cc -c a.c -o out/11.o -Wp,-MMD,out/wp.d
        # The names of temporary files, and addresses, are in them.
        test -s out/as.d; rm out/as.d; test -s out/10.c.opt-record.json.gz; rm out/*.gz";
        same(work, script, 12);
    });
}

#[test]
fn what_clang_writes_by_options() {
    on_each_engine(|work| {
        work.write("a.c", TEXT);
        let script = "mkdir out
        $by clang -c a.c -o out/1.o -g -gsplit-dwarf -MD -fstack-usage
        $by clang -c a.c -o out/2.o --coverage -MJ out/2.json
        $by clang -c a.c -save-temps -O2
        $by clang -c a.c -save-temps=obj -o out/3.o -serialize-diagnostics out/3.dia
        $by clang -c a.c -o out/4.o -O2 -fsave-optimization-record
        $by clang -c a.c -o out/5.o -O2 -fsave-optimization-record -foptimization-record-file=out/record
        $by clang -c a.c -emit-llvm
        $by clang -S a.c -emit-llvm -MMD
        $by clang -c a.c -o out/6.o -flto=thin -fthin-link-bitcode=out/thin
        $by clang -c a.c -o out/7.o -ftime-trace
        test -s out/7.json && rm out/7.json";
        same(work, script, 10);
    });
}

/// Their names have numbers in them that only the compiler knows, or programs write there that nobody asked.
#[test]
fn what_cannot_be_declared_is_written_here() {
    on_ours(|work| {
        work.write("a.c", TEXT);
        let script = "cc -c a.c -O2 -fdump-tree-optimized
        cc -c a.c -O2 -dr
        cc -c a.c -dumpdir x. -fstack-usage";
        same(work, script, 0);
        assert!(work.log().contains("-fdump-tree-optimized writes a file"));
    });
}

/// Each by itself: so many actions, and what the log says of the others. Whichever it is, all files are those of a compile here.
#[test]
fn what_compilers_read_and_write_unasked() {
    const HEADER: &str = "clang -x c-header all.h -o all.h.pch; clang -x c-header all.h -o other";
    let rows: &[(&str, usize, &str)] = &[
        // Precompiled headers of clang, named and found beside the header.
        ("$by clang -c b.c -include-pch other -o 1.o", 0, "-include-pch"),
        ("$by clang -c b.c -include all.h -o 1.o -MD", 0, "all.h.pch"),
        ("$by clang -c b.c -Xclang -include-pch -Xclang other -o 1.o", 0, "-include-pch"),
        ("$by clang -x c-header all.h -o new.pch; rm new.pch", 0, "c-header"),
        ("$by clang -x c-header -c all.h; rm all.h.gch all.h.pch", 0, "c-header"),
        ("cc -x c-header all.h -o new.gch; rm new.gch", 0, "c-header"),
        // Modules.
        ("$by clang -fmodules -fmodules-cache-path=cache -c m.c -o 1.o; test -d cache; rm -r cache", 0, "-fmodules"),
        ("$by clang -fmodules -fimplicit-module-maps -fmodules-cache-path=cache -c m.c -o 1.o; rm -r cache", 0, "-fmodules"),
        ("clang -fmodules -x c -Xclang -emit-module -fmodule-name=mod -c module.modulemap -o mod.pcm
          $by clang -fmodules -fno-implicit-modules -fmodule-file=mod.pcm -c m.c -o 1.o; rm mod.pcm", 0, "-fmodule"),
        ("clang++ -std=c++20 --precompile -x c++-module mod.cppm -o mod.pcm
          $by clang++ -std=c++20 -fmodule-file=mod.pcm -c use.cc -o 1.o; rm mod.pcm", 0, "-fmodule-file"),
        ("clang++ -std=c++20 --precompile -x c++-module mod.cppm -o mod.pcm
          $by clang++ -std=c++20 -fprebuilt-module-path=. -c use.cc -o 1.o; rm mod.pcm", 0, "-fprebuilt-module-path"),
        ("$by g++ -std=c++20 -fmodules-ts -x c++ -c mod.cppm -o 1.o; test -d gcm.cache; rm -r gcm.cache", 0, "-fmodules-ts"),
        (
            "g++ -std=c++20 -fmodules-ts -x c++ -c mod.cppm -o mod.o
          $by g++ -std=c++20 -fmodules-ts -c use.cc -o 1.o; rm -r gcm.cache",
            0,
            "-fmodules-ts",
        ),
        // Temporary files.
        ("cc -c b.c -include all.h -save-temps -MD", 1, ""),
        ("mkdir out; cc -c d/x.cc -save-temps -o out/y.o", 1, ""),
        ("mkdir out; cc -c d/x.cc -save-temps=cwd -o out/y.o", 1, ""),
        ("mkdir out; cc -c d/x.cc -save-temps=obj -o out/y.o -g -gsplit-dwarf", 1, ""),
        ("mkdir out; cc -c d/x.cc --save-temps -o out/y", 1, ""),
        ("cc -S d/x.cc -save-temps", 1, ""),
        ("cc -c a.c -save-temps -flto -frandom-seed=1 -ffat-lto-objects", 1, ""),
        ("cc -c d/t.S -save-temps -o t.o", 1, ""),
        ("cc -c a.c -save-temps -dumpbase x.c -o y.o", 0, "-dumpbase"),
        ("mkdir out; $by clang -c d/x.cc -save-temps=cwd -o out/y.o", 1, ""),
        ("mkdir out; $by clang -c d/x.cc --save-temps -o out/y.o -emit-llvm", 1, ""),
        ("$by clang -c d/t.S -save-temps -o t.o", 1, ""),
        ("$by clang -c d/t.S -save-temps -emit-llvm", 1, ""),
        ("cc -c a.c -o /dev/null", 1, ""),
        ("$by clang -S d/x.cc -save-temps -flto", 1, ""),
        ("mkdir out; $by clang -c d/x.cc -save-temps=obj -o out/y.bc -emit-llvm", 1, ""),
        ("$by clang -S a.c -save-temps -emit-llvm", 1, ""),
        // Dumps that the compiler names by itself.
        ("cc -c a.c -O2 -fdump-tree-all -fdump-noaddr", 0, "-fdump-tree-all"),
        ("cc -c a.c -O2 -fdump-ipa-all -fdump-noaddr; rm *.cgraph *.wpa-* 2>&- || :", 0, "-fdump-ipa-all"),
        ("cc -c a.c -O2 -fdump-rtl-expand -fdump-noaddr", 0, "-fdump-rtl-expand"),
        ("cc -c d/x.cc -fdump-lang-class; test -s x.cc.*.class; rm x.cc.*.class", 0, "-fdump-lang-class"),
        ("cc -c a.c -fdump-statistics", 0, "-fdump-statistics"),
        ("cc -c a.c -da -fdump-noaddr", 0, "-da"),
        ("cc -c a.c -fdump-go-spec=spec", 0, "-fdump-go-spec"),
        ("cc -c a.c -fdump-ada-spec", 0, "-fdump-ada-spec"),
        ("cc -c a.c -fdump-final-insns=insns", 0, "-fdump-final-insns"),
        ("cc -c a.c -fdump-earlydebug -g -fdump-noaddr", 0, "-fdump-earlydebug"),
        ("cc -c a.c -fcompare-debug", 1, ""),
        ("cc -c a.c -O2 -fopt-info-all-optall=out", 1, ""),
        // Where they go.
        ("cc -c a.c -dumpdir x. -fstack-usage", 0, "-dumpdir"),
        ("mkdir x; cc -c a.c -dumpdir x/ -o a.o -gsplit-dwarf -g", 0, "-dumpdir"),
        ("cc -c a.c -dumpbase y.c -dumpbase-ext .c -fstack-usage", 0, "-dumpbase"),
        // Statistics.
        ("$by clang -c a.c -save-stats; rm -f *.stats", 0, "-save-stats"),
        ("$by clang -c a.c -save-stats=obj -o 1.o; rm -f *.stats", 0, "-save-stats"),
        ("$by clang -c a.c -Xclang -stats-file=s -o 1.o; rm -f s", 0, "-stats-file"),
        ("$by clang -c a.c -fproc-stat-report=s -o 1.o; test -s s; rm s", 0, "-fproc-stat-report"),
    ];
    let server = Setup::of(Side::Ours).jobs(2).start();
    let wrong = rows.iter().filter(|(script, actions, why)| {
        let work = Work::on(&server.engine());
        work.write("a.c", TEXT);
        work.write("all.h", "#include <stdio.h>\n#define A 1\n");
        work.write("b.c", "int a = A;\n");
        work.write(
            "d/x.cc",
            "struct A { virtual int f(); }; int A::f() { return 1; }\n",
        );
        work.write("d/t.S", "#define N t\n.globl N\nN: .byte 1\n");
        work.write("mod.h", "int mod(void);\n");
        work.write("module.modulemap", "module mod { header \"mod.h\" }\n");
        work.write("m.c", "#include \"mod.h\"\nint m(void) { return mod(); }\n");
        work.write(
            "mod.cppm",
            "export module mod;\nexport int mod() { return 1; }\n",
        );
        work.write("use.cc", "import mod;\nint use() { return mod(); }\n");
        let script = format!("{HEADER}\n{script}\nrm -f all.h.pch other");
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            same(&work, &script, *actions);
            assert!(work.log().contains(why), "{why}: {}", work.log());
        }));
        tried.is_err()
    });
    let wrong: Vec<&str> = wrong.map(|(script, ..)| *script).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn plugins_come_along_with_what_they_are_told() {
    on_ours(|work| {
        work.write("a.c", TEXT);
        work.write("rules", "the rules\n");
        let plugin = "#include <stdio.h>
int plugin_is_GPL_compatible;
struct argument { const char *key, *value; };
struct info { const char *name, *path; int count; struct argument *arguments; };
int plugin_init(struct info *info, void *version) {
    char line[99] = \"nothing\\n\";
    FILE *file = fopen(info->arguments[0].value, \"r\");
    if (file) fgets(line, 99, file);
    fprintf(stderr, \"%s: %s\", info->name, line);
    return 0;
}
";
        work.write("p.c", plugin);
        let loaded = "#include <stdio.h>
__attribute__((constructor)) static void hello(void) { fprintf(stderr, \"loaded\\n\"); }
";
        work.write("l.c", loaded);
        let script = "gcc -shared -fPIC p.c -o p.so; gcc -shared -fPIC l.c -o l.so
        cc -c a.c -o 1.o -fplugin=./p.so -fplugin-arg-p-file=rules
        cc -c a.c -o 2.o -fplugin=\"$PWD/p.so\" -fplugin-arg-p-file=\"$PWD/rules\"
        $by clang -c a.c -o 3.o -fplugin=./l.so
        $by clang -c a.c -o 4.o -Xclang -load -Xclang ./l.so
        cc -c a.c -o 5.o -fplugin=./p.so -fplugin-arg-p-file=./new/file";
        same(work, script, 4);
        assert!(work.log().contains("what a plugin does with"));
    });
}

#[test]
fn settings_and_programs_that_options_choose() {
    on_each_engine(|work| {
        work.write("a.c", TEXT);
        work.write("b.c", "#include <mine.h>\nint a = MINE;\n");
        work.write("root/usr/include/mine.h", "#define MINE 7\n");
        work.write("no-pie.specs", "*self_spec:\n+ %{!fpie:-fno-PIE}\n");
        let script = "mkdir bin; cp /usr/bin/as bin/as
        cc -c a.c -o 1.o -specs=no-pie.specs -O2
        cc -c a.c -o 2.o --specs=\"$PWD/no-pie.specs\" -fpie
        cc -c a.c -o 3.o -Bbin -g
        cc -c a.c -o 4.o -B \"$PWD/bin/\"
        cc -c b.c -o 5.o --sysroot=root
        cc -c b.c -o 6.o -isysroot \"$PWD/root\"
        $by clang -c b.c -o 7.o --sysroot root
        $by clang -c a.c -o 8.o -fno-integrated-as -B bin
        cc -c a.c -o 9.o -g -fdebug-prefix-map=\"$PWD\"=/x -fmacro-prefix-map=a=b -ffile-prefix-map=/usr=/y
        cc -c a.c -o 10.o -imultilib 32 -m32
        $by clang -c a.c -o 11.o --gcc-toolchain=/usr";
        same(work, script, 11);
    });
}

/// What specs ask for is seen, and not guessed.
#[test]
fn specs_that_do_more_are_obeyed_here() {
    on_ours(|work| {
        work.write("a.c", TEXT);
        work.write("su.specs", "*cc1:\n+ -fstack-usage\n");
        same(work, "cc -c a.c -specs=su.specs; test -s a.su", 0);
        assert!(work.log().contains("the specs"), "{}", work.log());
    });
}

#[test]
fn profiles_of_earlier_runs() {
    on_each_engine(|work| {
        work.write("a.c", TEXT);
        let main = "#include <stddef.h>
int f(int *, size_t); int g(int x) { return x & 3; }
int main(void) { int x[9] = {1, 2}; for (int i = 0; i < 99; i++) if (f(x, 9) < 0) return 1; return 0; }
";
        work.write("m.c", main);
        work.write("ignored", "fun:f\n");
        // The runs are made here both times, at the same paths.
        let script = "mkdir out prof
        gcc -O2 --coverage -c a.c -o out/a.o; gcc m.c out/a.o --coverage -o m1; ./m1
        cc -O2 -fprofile-use -c a.c -o out/a.o
        cc -O2 -fbranch-probabilities -Wno-missing-profile -c a.c -o out/a.o
        GCOV_PREFIX=prof GCOV_PREFIX_STRIP=9 ./m1; cp out/a.gcda \"prof/$(echo $PWD/out/b | tr / '#').gcda\"
        cc -O2 -fprofile-use=prof -c a.c -o out/b.o
        cc -O2 -fprofile-use=prof -c a.c -o out/none.o
        clang -O2 -fprofile-instr-generate a.c m.c -o m2
        LLVM_PROFILE_FILE=raw ./m2; llvm-profdata-14 merge -o p.profdata raw
        $by clang -O2 -fprofile-instr-use=p.profdata -c a.c -o 3.o
        $by clang -O2 -fprofile-use=p.profdata -c a.c -o 4.o
        cp p.profdata default.profdata
        $by clang -O2 -fprofile-use -c a.c -o 5.o
        $by clang -O2 -fprofile-use=$PWD -c a.c -o 6.o
        $by clang -fsanitize=address -fsanitize-ignorelist=ignored -c a.c -o 7.o
        rm -f *.gcda *.gcno out/*.gcda out/*.gcno prof/* raw m1 m2";
        same(work, script, 9);
    });
}

#[test]
fn what_assembler_text_reads() {
    on_each_engine(|work| {
        work.write("data.bin", "some data");
        work.write("deep/more.bin", "more data");
        work.write("deep/x.inc", ".incbin \"more.bin\"\n.include \"y.inc\"\n");
        work.write("own/y.inc", ".byte 7\n");
        work.write(
            "a.c",
            "asm(\".globl d\\nd: .incbin \\\"data.bin\\\"\\n.include \\\"x.inc\\\"\");\n",
        );
        work.write(
            "b.S",
            ".globl d\nd: .incbin \"data.bin\", 2, 3\n.include \"x.inc\"\n",
        );
        work.write(
            "c.c",
            "#define F \"data.bin\"\nasm(\".incbin \\\"\" F \"\\\"\");\n",
        );
        let script = "cc -c a.c -o 1.o -Ideep -Wa,-Iown
        cc -c b.S -o 2.o -Ideep -Wa,-I,own
        $by clang -c a.c -o 3.o -Ideep -Iown
        $by clang -c b.S -o 4.o -Ideep -Iown
        cc -c c.c -o 5.o
        echo 'other data' > data.bin
        cc -c a.c -o 6.o -Ideep -Iown";
        same(work, script, 5);
        assert!(
            work.log().contains("names are not written out"),
            "{}",
            work.log()
        );
    });
}

#[test]
fn precompiled_headers_of_gcc_come_along() {
    on_each_engine(|work| {
        work.write(
            "all.h",
            "#pragma once\n#include <stdio.h>\n#include \"part.h\"\n#define A 1\n",
        );
        work.write("part.h", "static inline int part(void) { return 5; }\n");
        work.write(
            "a.c",
            "#include \"all.h\"\n#include \"part2.h\"\nint a = A; int b(void) { return part(); }\n",
        );
        work.write("part2.h", "int part2;\n");
        work.write("b.c", "int a = A;\n");
        let script = "sleep 0.02; gcc -g -O2 -c all.h -o all.h.gch
        cc -g -O2 -Winvalid-pch -H -c a.c -o 1.o
        cc -g -O2 -include all.h -c b.c -o 2.o -MD
        cc -g -O0 -c a.c -o 3.o
        touch part2.h
        cc -g -O2 -c a.c -o 4.o
        sleep 0.02; echo 'static inline int part(void) { return 6; }' > part.h
        cc -g -O2 -c a.c -o 5.o
        rm all.h.gch; mkdir all.h.gch
        gcc -g -O2 -c all.h -o all.h.gch/O2; gcc -g -c all.h -o all.h.gch/O0
        cc -g -O2 -c a.c -o 6.o
        $by clang -g -x c-header all.h -o all.h.pch
        $by clang -g -include-pch all.h.pch -c b.c -o 7.o
        rm -r all.h.gch all.h.pch";
        same(work, script, 5);
        assert!(work.log().contains("is older than"), "{}", work.log());
    });
}

#[test]
fn arguments_from_files() {
    on_each_engine(|work| {
        work.write("a.c", "int a = A + B;\n");
        work.write("args", "-DA=1 @more -O2\n");
        work.write("more", "'-DB=\"x\"[0]' -g\n");
        let script = "cc @args -c a.c -o 1.o
        $by clang @args -c a.c -o 2.o
        echo '-c a.c -o 3.o -frecord-gcc-switches' > rest
        cc @args @rest";
        same(work, script, 3);
    });
}

#[test]
fn names_that_are_no_utf8_are_compiled_here() {
    on_ours(|work| {
        work.write("a.c", TEXT);
        work.write("ä/ö.c", "#include \"ü.h\"\nconst char *f = __FILE__;\n");
        work.write("ä/ü.h", "int u;\n");
        let script = "n=$(printf 'x\\377'); mkdir \"$n\"; cp a.c \"$n/$n.c\"; cp ä/ü.h \"$n.h\"
        cc -g -c ä/ö.c -o ä/ö.o -MD
        cc -g -c \"$n/$n.c\" -o 1.o
        cc -g -c a.c -o \"$n.o\" -MD
        cc -g -c a.c -I\"$n\" -o 2.o
        cc -g -c a.c -include \"$n.h\" -o 3.o
        cc -g -c a.c -DX=\"$n\" -o 4.o
        cd \"$n\"; cc -g -c ../a.c -o 5.o
        cd ..; for f in *; do case $f in x?*) rm -r \"$f\";; esac; done";
        same(work, script, 1);
        assert!(work.log().contains("is no UTF-8"), "{}", work.log());
    });
}

#[test]
fn compilers_of_all_kinds_come_along() {
    on_each_engine(|work| {
        work.write("a.c", "int add(int a, int b) { return a + b; }\n");
        // A library that is found by a variable only; names that lead through links.
        let script = "mkdir lib links; cp $(ldd /usr/bin/as | sed -n 's/.*=> \\(.*libz[^ ]*\\).*/\\1/p') lib/
        export LD_LIBRARY_PATH=$PWD/lib
        cc -g -c a.c -o 1.o
        export LD_LIBRARY_PATH=lib
        cc -g -c a.c -o 2.o
        unset LD_LIBRARY_PATH
        $by cc -g -c a.c -o 3.o
        ln -s \"$(command -v gcc)\" links/first; ln -s first links/second
        $by links/second -g -c a.c -o 4.o
        $by aarch64-linux-gnu-gcc-12 -g -O2 -c a.c -o 5.o
        $by clang --target=aarch64-linux-gnu -g -O2 -c a.c -o 6.o
        $by clang -target riscv64-linux-gnu -O2 -c a.c -o 7.o
        export CCACHE_DISABLE=1
        PATH=/usr/lib/ccache:$PATH $by gcc -g -c a.c -o 8.o";
        same(work, script, 8);
    });
}

#[test]
fn the_files_of_a_compiler_are_shown() {
    let client = Client::of(Side::Ours, "localhost");
    let shown = |words: &[&str]| {
        let mut distcc = client.command(Side::Ours.distcc(), "/".as_ref());
        run(distcc.arg("--show-toolchain").args(words))
    };
    let done = shown(&["gcc", "-x", "c++"]).expect_success();
    let text = done.text().0;
    for part in [
        "version  gcc version ",
        "cc1plus  (the driver starts it as cc1plus)",
        " bytes\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let done = shown(&["no-such-compiler"]);
    assert_eq!(done.code(), 1, "{}", done.explain());
    assert!(done.text().1.contains("there is no program"));
}
