//! File systems that are mounted over files already seen.

use std::path::Path;
use std::process::Command as Process;

use crate::limits::{is_confined, run_confined};
use crate::project::{Project, headers};

fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let status = Process::new(program).args(arguments).status();
    assert!(
        status.expect("it is installed").success(),
        "{program} {arguments:?}"
    );
}

fn bind(from: &Path, to: &Path) {
    run("mount", &["--bind".as_ref(), from.as_ref(), to.as_ref()]);
}

fn unmount(at: &Path) {
    run("umount", &[at.as_ref()]);
}

#[test]
fn a_mount_over_a_known_folder_or_file_is_noticed() {
    if !is_confined() {
        return run_confined(
            "mounts::a_mount_over_a_known_folder_or_file_is_noticed",
            "-Urm",
            "",
        );
    }
    let project = Project::new(&[
        ("main.c", "#include <in/x.h>\n"),
        ("first/in/x.h", ""),
        ("other/x.h", "#include \"y.h\"\n"),
        ("other/y.h", ""),
        ("file.h", "#include <in/z.h>\n"),
        ("second/in/z.h", ""),
    ]);
    let at_first = headers(&["first/in/x.h"]);
    project.check("at first", &at_first);
    bind(&project.path("other"), &project.path("first/in"));
    let mounted = headers(&["first/in/x.h", "first/in/y.h"]);
    project.check("over the folder", &mounted);
    // Through the folder's other path.
    project.write("other/x.h", "");
    project.check("edited through its own path", &at_first);
    project.write("other/x.h", "#include \"y.h\"\n");
    project.check("and again", &mounted);
    unmount(&project.path("first/in"));
    project.check("taken away", &at_first);
    bind(&project.path("file.h"), &project.path("first/in/x.h"));
    project.check(
        "over the file",
        &headers(&["first/in/x.h", "second/in/z.h"]),
    );
    unmount(&project.path("first/in/x.h"));
    project.check("taken away", &at_first);
    bind(&project.path("other"), &project.path("first"));
    project.check("over the folder above", &None);
    unmount(&project.path("first"));
    project.check("taken away", &at_first);
}

#[test]
fn one_folder_at_two_paths_is_watched_at_both() {
    if !is_confined() {
        return run_confined(
            "mounts::one_folder_at_two_paths_is_watched_at_both",
            "-Urm",
            "",
        );
    }
    let project = Project::new(&[
        ("main.c", "#include <a/x.h>\n#include <b/x.h>\n"),
        ("first/a/x.h", "#include \"y.h\"\n"),
        ("first/a/y.h", ""),
        ("first/b/any", ""),
    ]);
    bind(&project.path("first/a"), &project.path("first/b"));
    for _ in 0..3 {
        project.check(
            "at first",
            &headers(&["first/a/x.h", "first/a/y.h", "first/b/x.h", "first/b/y.h"]),
        );
        project.write("first/b/x.h", "");
        project.check("edited", &headers(&["first/a/x.h", "first/b/x.h"]));
        project.replace("first/a/x.h", "#include \"y.h\"\n");
    }
    // Nothing changed: no watch may push another out, or each answer would start anew.
    project.check(
        "settled",
        &headers(&["first/a/x.h", "first/a/y.h", "first/b/x.h", "first/b/y.h"]),
    );
    let engine = project.engines().next().expect("the one with inotify");
    let before = engine.statistics().evaluations;
    for _ in 0..5 {
        engine.closure(&project.command()).expect("it compiles");
    }
    assert_eq!(engine.statistics().evaluations, before);
    unmount(&project.path("first/b"));
}

#[test]
fn an_overlay_copies_a_lower_file_up() {
    if !is_confined() {
        return run_confined("mounts::an_overlay_copies_a_lower_file_up", "-Urm", "");
    }
    let project = Project::new(&[
        ("main.c", "#include <x.h>\n"),
        ("first/any", ""),
        ("overlay/lower/x.h", ""),
        ("overlay/lower/y.h", ""),
        ("overlay/lower/z.h", ""),
    ]);
    // An overlay cannot lie on every file system: this one can carry it.
    let base = project.path("overlay");
    for folder in ["upper", "work"] {
        std::fs::create_dir(base.join(folder)).expect("temporary folder");
    }
    let layers = format!(
        "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,userxattr",
        base.to_str().expect("plain name")
    );
    let first = project.path("first");
    run(
        "mount",
        &[
            "-t".as_ref(),
            "overlay".as_ref(),
            "overlay".as_ref(),
            "-o".as_ref(),
            layers.as_ref(),
            first.as_ref(),
        ],
    );
    project.check("lower", &headers(&["first/x.h"]));
    project.write("first/x.h", "#include \"y.h\"\n");
    project.check("copied up", &headers(&["first/x.h", "first/y.h"]));
    project.write("first/x.h", "#include \"z.h\"\n");
    project.check("edited", &headers(&["first/x.h", "first/z.h"]));
    project.remove("first/z.h");
    project.check("whiteout", &None);
    project.write("first/z.h", "");
    project.check("back", &headers(&["first/x.h", "first/z.h"]));
    unmount(&first);
}
