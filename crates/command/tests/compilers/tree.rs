//! Protocol 3 from end to end: the client's tree below a scratch folder.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use command::server::client_dependencies;

use super::{COMPILERS, Project, planned, replaced, words};

fn project() -> Project {
    let header = |name: &str| {
        format!(
            "static const char *{name} __attribute__((used)) = __FILE__;\nstatic inline int {name}_(void) {{ return 1; }}\n"
        )
    };
    let project = Project::new(&[
        (
            "src/a.c",
            "#include \"h.h\"\n#include <inc.h>\n#include <sub.h>\n#include <stddef.h>\n\
             const char *file = __FILE__;\nint main(void) { return h_() + inc_() + sub_(); }\n",
        ),
        (
            "src/first.h",
            "#define FIRST __FILE__\nstatic const char *first __attribute__((used)) = FIRST;\n",
        ),
    ]);
    project.write("src/h.h", header("h"));
    project.write("inc/inc.h", header("inc"));
    project.write("pre/fix/sub.h", header("sub"));
    project.write("root/usr/include/sub.h", header("sub"));
    project
}

/// Compiles `command` locally and below a scratch folder. `C` in it is the client's folder; it
/// runs in `C/src`, and has to find `sub.h`.
fn check(compiler: &str, command: &str) {
    check_words(compiler, &words(command));
}

fn check_words(compiler: &str, command: &[OsString]) {
    let client = project();
    let mut argv = vec![OsString::from(compiler)];
    argv.extend(
        command
            .iter()
            .map(|word| replaced(word, "C", client.path.as_os_str())),
    );
    let compile = planned(&argv);
    let folder = client.path.join("src");
    let local = super::run(&folder, compile.argv());
    assert!(local.status.success(), "{argv:?}: {local:?}");
    let written = client.files();
    let object = &written[&fs::canonicalize(folder.join(compile.output()))
        .unwrap()
        .strip_prefix(&client.path)
        .unwrap()
        .to_owned()];

    let server = Project::new::<&str>(&[]);
    let root = server.path.join("root dir");
    let copy = root.join(client.path.strip_prefix("/").unwrap());
    for (name, content) in project().files() {
        let path = copy.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let (output, deps) = (server.path.join("object"), server.path.join("deps"));
    let remote = compile.tree_command(root.as_os_str(), output.as_os_str(), deps.as_os_str());
    // Nothing may come from the client's own tree.
    fs::remove_dir_all(&client.path).unwrap();
    let done = super::run(&copy.join("src"), &remote);
    assert!(done.status.success(), "{remote:?}: {done:?}");
    assert_eq!(done.stderr, local.stderr);

    let remote_object = fs::read(output).unwrap();
    let leaks = remote_object
        .windows(root.as_os_str().len())
        .any(|part| part == root.as_os_str().as_bytes());
    assert!(!leaks, "{remote:?}");
    assert!(remote_object == *object, "{remote:?} gives another object");

    let deps = client_dependencies(&fs::read(deps).unwrap(), root.as_os_str());
    if let Some(expected) = compile.dependencies(None) {
        let name = folder.join(expected.file);
        let local_deps = &written[name.strip_prefix(&client.path).unwrap()];
        assert_eq!(
            String::from_utf8_lossy(&deps),
            String::from_utf8_lossy(local_deps),
            "{remote:?}"
        );
    } else {
        let target = [command::makefile::quote(compile.output()).as_bytes(), b": "].concat();
        assert!(deps.starts_with(&target), "{remote:?}");
    }
}

const FIND: &str = "-I ../inc -IC/pre/fix";

#[test]
fn debug_information_is_that_of_a_local_compile() {
    for compiler in COMPILERS {
        for options in [
            "",
            "-g",
            "-gdwarf-4",
            "-gdwarf-5",
            "-g -gz",
            "-g3 -O2",
            "-S -g",
        ] {
            check(
                compiler,
                &format!("-c a.c {FIND} {options}")
                    .trim_end()
                    .replace("  ", " "),
            );
        }
        check(compiler, &format!("-g -c C/src/a.c -o C/src/x.o {FIND}"));
    }
    check("clang", &format!("-gdwarf-4 -c C/src/a.c -o x.o {FIND}"));
}

#[test]
fn absolute_paths_are_found_in_the_tree() {
    for compiler in COMPILERS {
        for find in [
            "-iquote C/inc -I../inc -iquoteC/inc -isystem C/pre/fix",
            "-I../inc -isystemC/pre/fix -include C/src/first.h",
            "-IC/inc -idirafter C/pre/fix -includeC/src/first.h",
            "-IC/inc -idirafterC/pre/fix -imacros C/src/first.h",
            "-IC/inc -iprefix C/pre/ -iwithprefix fix",
            "-IC/inc -iprefixC/pre -iwithprefixbefore /fix",
            "-IC/inc --sysroot=C/root -I=/usr/include",
            "-IC/inc --include-directory=C/pre/fix --include C/src/first.h",
            "-Xpreprocessor -I -Xpreprocessor C/inc -Xpreprocessor -IC/pre/fix",
        ] {
            // The system's own headers are not below this root.
            check(compiler, &format!("-g -O1 -MD -c a.c {find}"));
        }
    }
}

#[test]
fn the_clients_prefix_maps_go_on_working() {
    for compiler in COMPILERS {
        for maps in [
            "-ffile-prefix-map=C=/X",
            "-fdebug-prefix-map=C=/X",
            "-fmacro-prefix-map=C=/X",
            "-fdebug-prefix-map=C/src=.",
            "-ffile-prefix-map=C/src/=",
            "-ffile-prefix-map=C=/X -ffile-prefix-map=C/src=/Y",
            "-ffile-prefix-map=C/src=/Y -ffile-prefix-map=C=/X",
            "-fdebug-prefix-map=C=/X -fmacro-prefix-map=C/inc=/Y",
            "-ffile-prefix-map=C=/X -fdebug-prefix-map=C=/Y -fmacro-prefix-map=C=/Z",
            // They fit the scratch folder's own path too.
            "-ffile-prefix-map=/=Q",
            "-ffile-prefix-map=/tmp=Q",
            "-fmacro-prefix-map=/tmp=Q",
        ] {
            check(compiler, &format!("-g -c a.c {FIND} {maps}"));
        }
    }
}

#[test]
fn dependency_files_are_those_of_a_local_compile() {
    for compiler in COMPILERS {
        for options in [
            "-MD",
            "-MMD -MP",
            "-MD -MF x.d -o ./x.o",
            "-MD -MT t$u -MQ u$v -MTw",
            "-MMD -MF x.d -oC/inc/x.o",
            "-MD -MP -IC/a-long-name-that-makes-the-rule-break-somewhere-else -isystem C/inc",
        ] {
            check(compiler, &format!("-c a.c {FIND} {options}"));
        }
    }
}

#[test]
fn default_targets_are_quoted_for_stock_clients_and_our_own() {
    let quoted = r"x\ \#$$y.o";
    for compiler in COMPILERS {
        for target in [None, Some("x #$y.o"), Some(quoted)] {
            let mut argv = words(&format!("-MMD -c a.c {FIND} -o"));
            argv.push("x #$y.o".into());
            if let Some(target) = target {
                argv.extend(["-MT".into(), OsString::from(target)]);
            }
            let client = project();
            let mut local = vec![OsString::from(compiler)];
            local.extend(
                argv.iter()
                    .map(|word| replaced(word, "C", client.path.as_os_str())),
            );
            let compile = planned(&local);
            let copy = client.copy();
            let deps = copy.path.join("deps");
            // A root that no path of this command is below.
            let command = compile.tree_command(OsStr::new(""), OsStr::new("o"), deps.as_os_str());
            assert!(
                super::run(&copy.path.join("src"), &command)
                    .status
                    .success()
            );
            let text = fs::read_to_string(deps).unwrap();
            assert!(text.starts_with(&format!("{quoted}: a.c ")), "{text}");
        }
    }
}
