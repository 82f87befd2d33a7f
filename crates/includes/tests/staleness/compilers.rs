//! Compilers that are replaced, or found elsewhere, in the middle of a build; and what is kept of them on disk.

use crate::limits::{is_confined, run_confined};
use crate::project::{Headers, Project, headers};

/// Which header is included is the compiler's choice.
const FILES: [(&str, &str); 3] = [
    (
        "main.c",
        "#if CHOICE == 1\n#include <x.h>\n#elif CHOICE == 2\n#include <y.h>\n#endif\n",
    ),
    ("first/x.h", ""),
    ("first/y.h", ""),
];

fn choice(number: u32) -> String {
    format!("exec gcc -DCHOICE={number} \"$@\"")
}

fn x() -> Headers {
    headers(&["first/x.h"])
}

fn y() -> Headers {
    headers(&["first/y.h"])
}

#[test]
fn a_compiler_is_replaced() {
    for compiler in ["cc-test", "bin/cc-test"] {
        let project = Project::new(&FILES).compiled_by(compiler, &["bin"]);
        for _ in 0..3 {
            project.script("bin/cc-test", &choice(1));
            project.check("1", &x());
            project.script("bin/cc-test", &choice(2));
            project.check("2", &y());
        }
    }
}

#[test]
fn a_compiler_is_replaced_after_it_was_asked_ahead() {
    let project = Project::new(&FILES).compiled_by("cc-test", &["bin"]);
    project.script("bin/cc-test", &choice(1));
    for engine in project.engines() {
        engine.expect(&[&project.command()], 2);
    }
    project.script("bin/cc-test", &choice(2));
    project.check("replaced", &y());
}

#[test]
fn another_compiler_comes_earlier_in_the_path() {
    let project = Project::new(&FILES).compiled_by("cc-test", &["early", "late"]);
    project.script("late/cc-test", &choice(1));
    project.check("late", &x());
    project.script("early/other", "");
    project.check("not yet", &x());
    project.script("early/cc-test", &choice(2));
    project.check("early", &y());
    project.rename("early", "away");
    project.check("late again", &x());
}

#[test]
fn an_alternative_is_chosen_by_a_link() {
    let project = Project::new(&FILES).compiled_by("cc-test", &["bin"]);
    project.script("versions/cc-1", &choice(1));
    project.script("versions/cc-2", &choice(2));
    project.link("alternatives/cc", "../versions/cc-1");
    project.link("bin/cc-test", "../alternatives/cc");
    project.check("1", &x());
    project.link("alternatives/cc", "../versions/cc-2");
    project.check("2", &y());
    project.script("versions/cc-2", &choice(1));
    project.check("2 replaced", &x());
}

#[test]
fn the_program_behind_the_driver_is_replaced() {
    let project = Project::new(&FILES).compiled_by("cc-test", &["bin"]);
    let tools = project.path("tools");
    project.script(
        "bin/cc-test",
        &format!("exec gcc -B{}/ \"$@\"", tools.display()),
    );
    let real = "exec \"$(gcc -print-prog-name=cc1)\"";
    project.script("tools/cc1", &format!("{real} -DCHOICE=1 \"$@\""));
    project.check("1", &x());
    project.script("tools/cc1", &format!("{real} -DCHOICE=2 \"$@\""));
    project.check("2", &y());
    // Settings that come into being beside it.
    project.script("tools/cc1", &format!("{real} \"$@\""));
    project.check("no choice", &headers(&[]));
    project.write("tools/specs", "*cpp:\n-DCHOICE=1\n\n");
    project.check("settings", &x());
    project.write("tools/specs", "*cpp:\n-DCHOICE=2\n\n");
    project.check("others", &y());
    project.remove("tools/specs");
    project.check("none", &headers(&[]));
}

#[test]
fn spoilt_answers_on_disk_are_asked_again() {
    let store = tempfile::tempdir().expect("temporary folder");
    let made = || {
        let project = Project::new(&FILES)
            .with_store(store.path())
            .with_new_engines();
        project.check("no choice", &headers(&[]));
    };
    made();
    let kept = std::fs::read_dir(store.path()).expect("it exists").count();
    assert!(kept > 0);
    // Spoilt files are asked again and written anew, whatever they hold.
    for spoil in [&b""[..], b"includes-facts 2", &[0xff; 5000]] {
        for entry in std::fs::read_dir(store.path()).expect("it exists") {
            std::fs::write(entry.expect("a file").path(), spoil).expect("temporary folder");
        }
        made();
        for entry in std::fs::read_dir(store.path()).expect("it exists") {
            let text = std::fs::read(entry.expect("a file").path()).expect("it is whole");
            assert_ne!(text, spoil);
        }
    }
}

#[test]
fn a_full_disk_keeps_nothing_and_spoils_nothing() {
    if !is_confined() {
        return run_confined(
            "compilers::a_full_disk_keeps_nothing_and_spoils_nothing",
            "-Urm",
            "mount -t tmpfs -o size=8k tmpfs /mnt",
        );
    }
    let store = std::path::Path::new("/mnt/store");
    for _ in 0..2 {
        let project = Project::new(&FILES).with_store(store).with_new_engines();
        project.check("no choice", &headers(&[]));
        let left = std::fs::read_dir(store).expect("made").count();
        assert_eq!(left, 0, "no half-written file stays");
    }
}
