//! Dependency files: names, targets, and the preprocessor run that writes them.

use std::ffi::OsString;
use std::path::Path;

use super::{COMPILERS, Project, planned, words};

fn project() -> Project {
    Project::new(&[
        ("a.c", "#include \"h.h\"\nint x = H;\n"),
        ("h.h", "#define H 1\n"),
        ("src/b.x.c", "#include \"../h.h\"\nint x = H;\n"),
        ("sub.d/keep", ""),
    ])
}

/// Compiles, and expects the file, the target, and the same from the preprocessor run.
fn check(command: &[OsString]) {
    for compiler in COMPILERS {
        let mut argv = vec![OsString::from(compiler)];
        argv.extend_from_slice(command);
        let compile = planned(&argv);
        let predicted = compile.dependencies(None).expect("the command asks for it");

        let local = project().run(&argv).text(&predicted.file);
        let target = predicted
            .missing_target
            .map(|target| target.into_string().unwrap());
        if let Some(target) = target {
            // gcc leaves the `./` out of whatever target it is given.
            let target = target
                .strip_prefix("./")
                .filter(|_| compiler == "gcc")
                .unwrap_or(&target);
            assert!(
                local.starts_with(&format!("{target}: ")),
                "{argv:?}: {target}: {local}"
            );
        }

        let preprocessed = project().run(&compile.preprocess_command());
        assert_eq!(preprocessed.text(&predicted.file), local, "{argv:?}");
        assert_eq!(preprocessed.files.len(), 1, "{argv:?}");
        let text = String::from_utf8(preprocessed.stdout).unwrap();
        assert!(text.contains("int x = 1;"), "{argv:?}: {text}");
    }
}

#[test]
fn compilers_choose_the_names_that_we_predict() {
    for command in [
        "-MD -c a.c",
        "-MMD -c src/b.x.c",
        "-MD -S a.c",
        "-MD -S a.c -o sub.d/q.s",
        "-MD -c a.c -o sub.d/x.o",
        "-MD -c a.c -osub.d/x.o",
        "-MD -c a.c -o x",
        "-MD -c a.c -o x.",
        "-MD -c a.c -o x..",
        "-MD -c a.c -o x.y.o",
        "-MD -c a.c -o sub.d/x",
        "-MD -c a.c -o .hidden",
        "-MD -c a.c -o ./x.o",
        "-MD -c a.c -o sub.d//x.o",
        "-MD -MF f -c a.c",
        "-MD -MF f -MFsub.d/g -c a.c -o x.o",
        "-MD -MT t -c a.c -o sub.d/x.o",
        "-MMD -MTt -MQ u$v -MQw -MP -c a.c -o sub.d/x.o",
        "-MD -MFf -MT a$b -c a.c -dM -P",
    ] {
        check(&words(command));
    }
}

#[test]
fn compilers_quote_targets_as_we_do() {
    for output in ["x y.o", "x\ty.o", "x$y#z:%.o", "x\\ y\\#.o", "x,y;*'\".o"] {
        check(&["-MD", "-c", "a.c", "-o", output].map(OsString::from));
    }
}

#[test]
fn targets_are_the_preprocessors_where_it_is_asked() {
    for compiler in COMPILERS {
        for command in [
            "-Wp,-MD,f -c src/b.x.c -o sub.d/y.o",
            "-Wp,-MMD,f -S src/b.x.c -o sub.d/y.s",
            "-Wp,-MD,f -MT t -c a.c -o y.o",
        ] {
            let typed = words(&format!("{compiler} {command}"));
            let expanded = command::client::expand_wp(&typed).unwrap();
            let compile = planned(&expanded).with_target_of_wp(&typed);
            let local = project().run(&typed).text("f");
            let preprocessed = project().run(&compile.preprocess_command());
            assert_eq!(preprocessed.text("f"), local, "{typed:?}");
        }
    }
}

#[test]
fn gcc_obeys_the_environment_without_an_option() {
    for (command, environment, option_given) in [
        ("gcc -c a.c -o sub.d/x.o", "e.d", false),
        ("gcc -c a.c -o sub.d/x.o", "e.d t$u v", false),
        ("gcc -MD -c a.c -o sub.d/x.o", "e.d t", true),
    ] {
        let argv = words(command);
        let found = planned(&argv)
            .dependencies(Some(environment.as_ref()))
            .unwrap();
        assert_eq!(found.append, !option_given);

        let project = project();
        project.write(Path::new(&found.file), "before\n");
        let mut compiler = std::process::Command::new(&argv[0]);
        compiler
            .args(&argv[1..])
            .env("DEPENDENCIES_OUTPUT", environment);
        assert!(
            compiler
                .current_dir(&project.path)
                .status()
                .unwrap()
                .success()
        );

        let target = found.missing_target.unwrap().into_string().unwrap();
        let kept = if found.append { "before\n" } else { "" };
        let expected = format!("{kept}{target}: a.c ");
        let text = std::fs::read_to_string(project.path.join(found.file)).unwrap();
        assert!(text.starts_with(&expected), "{text}");
    }
}
