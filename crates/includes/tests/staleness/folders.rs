//! Folders that move, vanish, come back, or are read-only for us.

use std::os::unix::fs::PermissionsExt;

use crate::project::{Project, headers};

fn project() -> Project {
    let project = Project::new(&[
        ("main.c", "#include <in/deep/x.h>\n"),
        ("first/in/deep/x.h", "#include \"y.h\"\n"),
        ("first/in/deep/y.h", ""),
        ("second/in/deep/x.h", ""),
    ]);
    project.check(
        "at first",
        &headers(&["first/in/deep/x.h", "first/in/deep/y.h"]),
    );
    project
}

#[test]
fn a_folder_is_renamed_and_renamed_back() {
    for folder in ["first/in/deep", "first/in", "first"] {
        let project = project();
        for _ in 0..2 {
            project.rename(folder, "away");
            project.check(folder, &headers(&["second/in/deep/x.h"]));
            project.rename("away", folder);
            project.check(
                "back",
                &headers(&["first/in/deep/x.h", "first/in/deep/y.h"]),
            );
            // The watches must be those of the folder that came back.
            project.write("first/in/deep/x.h", "");
            project.check("edited", &headers(&["first/in/deep/x.h"]));
            project.write("first/in/deep/x.h", "#include \"y.h\"\n");
            project.check(
                "again",
                &headers(&["first/in/deep/x.h", "first/in/deep/y.h"]),
            );
        }
    }
}

#[test]
fn an_ancestor_is_exchanged_for_another_between_two_answers() {
    let project = project();
    project.write("other/deep/x.h", "#include \"z.h\"\n");
    project.write("other/deep/z.h", "");
    project.rename("first/in", "away");
    project.rename("other", "first/in");
    project.check(
        "exchanged",
        &headers(&["first/in/deep/x.h", "first/in/deep/z.h"]),
    );
    project.write("away/deep/x.h", "#error it is not there\n");
    project.write("first/in/deep/z.h", "#include <in/deep/w.h>\n");
    project.write("second/in/deep/w.h", "");
    project.check(
        "edited",
        &headers(&[
            "first/in/deep/x.h",
            "first/in/deep/z.h",
            "second/in/deep/w.h",
        ]),
    );
}

#[test]
fn a_folder_is_removed_and_made_again() {
    let project = project();
    for _ in 0..3 {
        project.remove("first");
        project.check("removed", &headers(&["second/in/deep/x.h"]));
        project.write("first/in/other.h", "");
        project.check("half made", &headers(&["second/in/deep/x.h"]));
        project.write("first/in/deep/x.h", "");
        project.check("made", &headers(&["first/in/deep/x.h"]));
        project.remove("first");
        project.write("first/in/deep/x.h", "#include \"y.h\"\n");
        project.write("first/in/deep/y.h", "");
        project.check(
            "exchanged",
            &headers(&["first/in/deep/x.h", "first/in/deep/y.h"]),
        );
    }
}

#[test]
fn the_ancestor_of_an_absent_path_comes_into_being() {
    let project = Project::new(&[
        ("main.c", "#include <a/b/c/x.h>\n"),
        ("second/a/b/c/x.h", ""),
    ]);
    project.check("no such folder", &headers(&["second/a/b/c/x.h"]));
    for folder in ["first", "first/a", "first/a/b", "first/a/b/c"] {
        std::fs::create_dir(project.path(folder)).expect("temporary folder");
        project.check(folder, &headers(&["second/a/b/c/x.h"]));
    }
    project.write("first/a/b/c/x.h", "");
    project.check("the header", &headers(&["first/a/b/c/x.h"]));
}

#[test]
fn a_whole_search_folder_moves_into_place() {
    let project = Project::new(&[
        ("main.c", "#include <a/x.h>\n"),
        ("made/elsewhere/a/x.h", ""),
        ("second/a/x.h", ""),
    ]);
    project.check("without it", &headers(&["second/a/x.h"]));
    project.rename("made/elsewhere", "first");
    project.check("with it", &headers(&["first/a/x.h"]));
}

#[test]
fn headers_found_through_dots_depend_on_what_they_pass() {
    let project = Project::new(&[
        ("main.c", "#include \"gen/../first/x.h\"\n"),
        ("gen/any", ""),
        ("first/x.h", ""),
    ]);
    project.check("through it", &headers(&["first/x.h"]));
    project.remove("gen");
    project.check("without it", &None);
    project.link("gen", "second/deep");
    project.write("second/deep/any", "");
    project.write("second/first/x.h", "");
    project.check("through a link", &headers(&["second/first/x.h"]));
}

#[test]
fn rights_are_taken_away_and_given_back() {
    as_nobody(|| {
        let project = project();
        let set = |path: &str, mode| {
            std::fs::set_permissions(project.path(path), PermissionsExt::from_mode(mode))
                .expect("it is ours");
        };
        let all = headers(&["first/in/deep/x.h", "first/in/deep/y.h"]);
        for _ in 0..2 {
            set("first/in/deep/y.h", 0o000);
            project.check("a file that cannot be read", &None);
            set("first/in/deep/y.h", 0o644);
            project.check("it can", &all);
            // Such a folder can be searched but neither listed nor watched.
            set("first/in/deep", 0o311);
            project.check("a folder that cannot be listed", &all);
            project.write("first/in/deep/x.h", "");
            project.check("edited in it", &headers(&["first/in/deep/x.h"]));
            project.replace("first/in/deep/x.h", "#include \"y.h\"\n");
            project.check("replaced in it", &all);
            set("first/in/deep", 0o755);
            project.check("it can again", &all);
        }
    });
}

/// Runs this on a thread that has the rights of nobody if we are root, whom no mode stops.
fn as_nobody(run: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("we are root");
            }
            run();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}
