//! Options by which compilers run code, read and write files: in all spellings, sandboxed and not.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::attacker::{as_both, check_without, compile, sandboxed, secret};
use support::{Daemon, SANDBOXES, Setup};

#[test]
fn options_read_no_files_of_the_server() {
    for server in sandboxed() {
        let (path, text) = secret(&server);
        let forms = [
            "-include PATH",
            "-imacros PATH",
            "-Wp,-include,PATH",
            "-Xpreprocessor -include -Xpreprocessor PATH",
            "-Wa,@PATH",
            "-Xassembler @PATH",
            "@PATH",
            "-specs=PATH",
            "--specs PATH",
            "-Wa,-I,PATH",
            "-fprofile-use=PATH",
            "-x c PATH",
            "-iquote PATH",
            "--config PATH",
            "-ivfsoverlay PATH",
            "-fsanitize=address -fsanitize-blacklist=PATH",
            "-frewrite-map-file=PATH",
            "--include=PATH",
            "--imacros=PATH",
            "--for-assembler=@PATH",
            "--language=c PATH",
            "-Wp,-imacros,PATH",
            "-Wp,@PATH",
            "-fauto-profile=PATH",
            "-fprofile-sample-use=PATH",
            "-fprofile-instr-use=PATH",
            "-fprofile-remapping-file=PATH",
            "-fsanitize=address -fsanitize-ignorelist=PATH",
            "-fsanitize=address -fsanitize-system-ignorelist=PATH",
            "-fsanitize-coverage=func -fsanitize-coverage-allowlist=PATH",
            "-fxray-instrument -fxray-attr-list=PATH",
            "-fmodule-map-file=PATH -fmodules",
            "-fmodule-file=PATH",
            "-include-pch PATH",
            "-Xclang -fembed-bitcode=all -Xclang -include -Xclang PATH",
            "-Xclang -ast-merge -Xclang PATH",
            "-Xclang -code-completion-at=PATH:1:1",
            "-Xclang -verify -Xclang -include -Xclang PATH",
            "-Wa,-I/ -Wa,--defsym,x=1 -Wa,PATH",
            "-Xassembler PATH",
            "-fdebug-prefix-map=PATH=x",
            "-dumpspecs -include PATH",
            "-T PATH",
        ];
        for form in forms {
            let words = form.replace("PATH", &path);
            let words: Vec<&str> = words.split(' ').collect();
            for compiler in ["gcc", "clang"] {
                let reply = compile(&server, compiler, &words, "int x;\n");
                check_without(reply, text, form);
            }
        }
    }
}

/// Attacks that would leave a mark if they worked: words with `MARK` for a file that may be
/// written, and others for things in the trap that make the mark.
const RUNNING_CODE: &[&str] = &[
    "-wrapper PROGRAM",
    "-wrapper sh,-c,PROGRAM",
    "-wrapper=PROGRAM",
    "--wrapper PROGRAM",
    "--wrapper=PROGRAM",
    "-BFOLDER",
    "-B FOLDER",
    "-BFOLDER/",
    "--prefix=FOLDER/",
    "--prefix FOLDER/",
    "-no-integrated-as -BFOLDER",
    "-fno-integrated-as -BFOLDER",
    "-fplugin=LIBRARY",
    "--plugin=LIBRARY",
    "--plugin LIBRARY",
    "-fplugin LIBRARY",
    "-iplugindir=FOLDER -fplugin=library",
    "-fpass-plugin=LIBRARY",
    "-Xclang -load -Xclang LIBRARY",
    "-Xclang=-load -Xclang=LIBRARY",
    "-Xclang -fplugin=LIBRARY",
    "-Xclang -fpass-plugin=LIBRARY",
    "-Xclang -plugin -Xclang x -Xclang -load -Xclang LIBRARY",
    "-mllvm -load=LIBRARY",
    "-mllvm -load -mllvm LIBRARY",
    "-mllvm --load=LIBRARY",
    "-mllvm -load-pass-plugin=LIBRARY",
    "-Xclang -mllvm -Xclang -load=LIBRARY",
    "-Xpreprocessor -fplugin=LIBRARY",
    "-Wp,-fplugin=LIBRARY",
    "-Xarch_host -fplugin=LIBRARY",
    "-Xarch_x86_64 -fplugin=LIBRARY",
    "-Xarch_device -fplugin=LIBRARY",
    "-specs=SPECS",
    "--specs=SPECS",
    "-specs SPECS",
    "--specs SPECS",
    "--config CONFIGURATION",
    "--config=CONFIGURATION",
    "--config-user-dir=FOLDER --config configuration",
    "--config-system-dir=FOLDER --config configuration",
    "@CONFIGURATION",
    "-fmodules-ts -fmodule-mapper=|PROGRAM -x c++",
    "-fmodules-ts -fmodule-mapper=|PROGRAM@x -x c++",
    "-fmodules-ts --module-mapper=|PROGRAM -x c++",
    "-fuse-ld=PROGRAM",
    "--ld-path=PROGRAM",
    "-ccc-gcc-name PROGRAM",
    "-ccc-install-dir FOLDER -no-integrated-as",
    "--gcc-toolchain=FOLDER -no-integrated-as",
    "-gcc-toolchain FOLDER -no-integrated-as",
    "--gcc-install-dir=FOLDER -no-integrated-as",
    "--sysroot=FOLDER -no-integrated-as",
    "-resource-dir FOLDER -no-integrated-as",
    "-fthinlto-index=PROGRAM",
    "-flto -fuse-ld=PROGRAM",
    "-foffload=PROGRAM",
    "--ptxas-path=PROGRAM",
    "--driver-mode=cl",
];

const WRITING_FILES: &[&str] = &[
    "-fdump-tree-original=MARK",
    "-fdump-go-spec=MARK",
    "-fopt-info-all=MARK -O2",
    "-aux-info MARK",
    "-Wa,-a=MARK",
    "-Wa,--MD,MARK",
    "-Wa,-o,MARK",
    "-MJ MARK",
    "-Wp,-MD,MARK",
    "-MD -MF MARK",
    "-save-temps=obj -dumpdir FOLDER/",
    "-fstack-usage -dumpdir FOLDER/",
    "-ftime-trace=MARK",
    "--serialize-diagnostics MARK",
    "-fsave-optimization-record -foptimization-record-file=MARK -O2",
    "-gsplit-dwarf -dumpdir FOLDER/",
    "--output=MARK",
    "--output MARK",
    "-Wa,--MD=MARK",
    "-Wa,-al=MARK",
    "-Wa,-ahlms=MARK",
    "-Wa,-oMARK",
    "-Xassembler -o -Xassembler MARK",
    "-Xassembler --MD -Xassembler MARK",
    "--for-assembler=-o,MARK",
    "--for-assembler=-al=MARK",
    "-Wp,-MMD,MARK",
    "-Wp,-MF,MARK,-MD",
    "-Wp,-o,MARK",
    "-Xpreprocessor -MD -Xpreprocessor MARK",
    "-Xpreprocessor -MF -Xpreprocessor MARK -Xpreprocessor -M",
    "--write-dependencies -MF MARK",
    "--write-user-dependencies -MFMARK",
    "-MD -MFMARK",
    "-MMD -MF MARK",
    "-fdump-tree-all=MARK",
    "-fdump-rtl-all=MARK",
    "-fdump-ipa-all=MARK",
    "-fdump-lang-all=MARK",
    "-fdump-final-insns=MARK",
    "-fdump-ada-spec -fdump-ada-spec-slim -dumpbase MARK",
    "--dump-tree-original=MARK",
    "-da -dumpdir FOLDER/",
    "-dA -dumpbase MARK -da",
    "-fopt-info=MARK -O2",
    "-fopt-info-vec-optimized=MARK -O3",
    "-fcallgraph-info -dumpdir FOLDER/",
    "-fcallgraph-info=su,da -dumpbase MARK",
    "-ftest-coverage -dumpdir FOLDER/",
    "--coverage -dumpdir FOLDER/",
    "-ftest-coverage -fprofile-note=MARK",
    "-fprofile-arcs -ftest-coverage -Xclang -coverage-notes-file=MARK",
    "-fprofile-generate=FOLDER",
    "-fdiagnostics-format=sarif-file -dumpdir FOLDER/",
    "-fdiagnostics-format=json-file -dumpdir FOLDER/",
    "-freport-bug",
    "-save-temps=cwd",
    "--save-temps=obj -dumpdir FOLDER/",
    "-fmodule-output=MARK",
    "-fmodules -fmodules-cache-path=FOLDER -fimplicit-modules",
    "-Xclang -emit-pch -Xclang -o -Xclang MARK",
    "-Xclang -o -Xclang MARK",
    "-Xclang -dependency-dot -Xclang MARK",
    "-Xclang -dependency-file -Xclang MARK -Xclang -MT -Xclang x",
    "-Xclang -header-include-file -Xclang MARK -H",
    "-Xclang -serialize-diagnostic-file -Xclang MARK",
    "-Xclang -diagnostic-log-file -Xclang MARK",
    "-Xclang -stats-file=MARK",
    "-Xclang -split-dwarf-output -Xclang MARK -gsplit-dwarf",
    "-Xclang -opt-record-file -Xclang MARK -O2",
    "-Xclang -fmodules-cache-path=FOLDER",
    "-Xclang -diagnostic-serialized-file -Xclang MARK",
    "-Xclang -module-dependency-dir -Xclang FOLDER",
    "-mllvm -info-output-file=MARK -mllvm -stats",
    "-mllvm -pass-remarks-output=MARK",
    "-mllvm -dot-cfg-mssa=MARK",
    "-mllvm -time-passes -mllvm -info-output-file=MARK",
    "-mllvm -print-module-scope",
    "-mllvm -view-dag-combine1-dags",
    "-mllvm -debug-counter-output=MARK",
    "-mllvm -memop-max-annotations=1 -mllvm -pgo-dump=MARK",
    "-Xclang -mllvm -Xclang -info-output-file=MARK -Xclang -mllvm -Xclang -stats",
    "-mllvm=-info-output-file=MARK -mllvm=-stats",
    "-fproc-stat-report=MARK",
    "-fcrash-diagnostics-dir=FOLDER -gen-reproducer",
    "-index-store-path FOLDER",
    "-fembed-bitcode -save-stats=obj",
    "-save-stats=obj -dumpdir FOLDER/",
    "-ftime-report -ftime-trace",
    "-frandomize-layout-seed-file=MARK",
    "-frecord-gcc-switches -aux-info=MARK",
    "-aux-infoMARK",
    "--output-pch=MARK",
    "-dumpdir FOLDER/ -dumpbase x -dumpbase-ext .c -da",
    "-o MARK",
    "-oMARK",
    "-DX -o MARK -DY",
];

/// A folder that everybody may write to, with programs and a library in it that leave a mark,
/// and settings that name them.
fn trap(server: &Daemon) -> String {
    let folder = server.file("trap");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    fs::create_dir(format!("{folder}/bin")).unwrap();
    for name in ["program", "as", "cc1", "cc1plus", "ld", "bin/as", "bin/ld"] {
        let text = format!("#!/bin/sh\ntouch {folder}/mark\n");
        let path = format!("{folder}/{name}");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let source = format!(
        "#include <fcntl.h>\nint plugin_is_GPL_compatible;\n__attribute__((constructor)) \
         static void leave() {{ creat(\"{folder}/mark\", 0666); }}\n"
    );
    let write = |name: &str, text: String| fs::write(format!("{folder}/{name}"), text).unwrap();
    write("library.c", source);
    write("specs", format!(".c:\n{folder}/program\n\n"));
    write("configuration", format!("-wrapper {folder}/program\n"));
    write(
        "configuration.cfg",
        format!("-fplugin={folder}/library.so\n"),
    );
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o", "library.so", "library.c"])
        .current_dir(&folder)
        .status();
    assert!(built.unwrap().success());
    folder
}

/// The words of an attack, which names things in `folder`.
fn words(attack: &str, folder: &str) -> Vec<String> {
    let attack = attack
        .replace("PROGRAM", &format!("{folder}/program"))
        .replace("LIBRARY", &format!("{folder}/library.so"))
        .replace("SPECS", &format!("{folder}/specs"))
        .replace("CONFIGURATION", &format!("{folder}/configuration"))
        .replace("MARK", &format!("{folder}/mark"))
        .replace("FOLDER", folder);
    attack.split(' ').map(str::to_owned).collect()
}

fn content(folder: &str) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

fn check_no_mark(server: &Daemon, attacks: &[&str]) {
    let folder = trap(server);
    let before = content(&folder);
    for attack in attacks {
        let words = words(attack, &folder);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for compiler in ["gcc", "clang"] {
            compile(server, compiler, &words, "int f(int x) { return x; }\n");
        }
        assert_eq!(content(&folder), before, "{attack}");
    }
}

/// That the other tests test something: attacks succeed where nobody stands in the way (71 with
/// gcc 12 and clang 14; other versions know other options).
#[test]
fn the_attacks_are_real_ones() {
    let server = Setup::insecure().start();
    let folder = trap(&server);
    let elsewhere = server.file("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("a.c"), "int f(int x) { return x; }\n").unwrap();
    let before = content(&folder);
    let mut real = 0;
    let attacks = [RUNNING_CODE, WRITING_FILES].concat();
    for attack in &attacks {
        let succeeds = ["gcc", "clang"].into_iter().any(|compiler| {
            let output = Command::new(compiler)
                .args(["-c", "a.c", "-o", "a.o"])
                .args(words(attack, &folder))
                .current_dir(&elsewhere)
                .output();
            output.unwrap();
            let left = content(&folder);
            for new in left.iter().filter(|name| !before.contains(name)) {
                let path = std::path::Path::new(&folder).join(new);
                fs::remove_file(&path)
                    .or_else(|_| fs::remove_dir_all(&path))
                    .unwrap();
            }
            left != before
        });
        real += usize::from(succeeds);
    }
    assert!(real > 50, "{real} of {}", attacks.len());
}

#[test]
fn options_run_no_code_and_write_no_files_of_the_server() {
    for server in sandboxed() {
        check_no_mark(&server, &[RUNNING_CODE, WRITING_FILES].concat());
    }
}

#[test]
fn without_a_sandbox_options_run_no_code_and_write_no_files_either() {
    for server in as_both(|| Setup::insecure().arg("--sandbox=off")) {
        check_no_mark(&server, &[RUNNING_CODE, WRITING_FILES].concat());
    }
}

/// What the server was started with is not for compilers.
#[test]
fn variables_run_no_code_and_write_no_files() {
    for sandbox in SANDBOXES {
        let setup = Setup::insecure().arg(sandbox);
        let folder = setup.file("trap").to_str().unwrap().to_owned();
        let server = [
            ("COMPILER_PATH", "FOLDER"),
            ("GCC_EXEC_PREFIX", "FOLDER/"),
            ("CCC_OVERRIDE_OPTIONS", "+-fplugin=FOLDER/library.so"),
            ("CXX_MODULE_MAPPER", "|FOLDER/program"),
            ("CLANG_CONFIG_PATH", "FOLDER"),
            ("DEPENDENCIES_OUTPUT", "FOLDER/mark"),
            ("SUNPRO_DEPENDENCIES", "FOLDER/mark"),
            ("CC_PRINT_OPTIONS_FILE", "FOLDER/mark"),
            ("CC_PRINT_OPTIONS", "1"),
            ("CC_LOG_DIAGNOSTICS_FILE", "FOLDER/mark"),
            ("CC_LOG_DIAGNOSTICS", "1"),
            ("CPATH", "FOLDER"),
            ("GCC_COMPARE_DEBUG", "-fdump-final-insns=FOLDER/mark"),
        ]
        .into_iter()
        .fold(setup, |setup, (name, value)| {
            setup.env(name, value.replace("FOLDER", &folder))
        })
        .start();
        // The server itself has to start first.
        let reply = compile(&server, "gcc", &[], "int x;\n").unwrap();
        assert_eq!(reply.status, 0, "{}", reply.stderr);
        check_no_mark(
            &server,
            &["-O1", "-no-integrated-as", "-fmodules-ts -x c++"],
        );
    }
}
