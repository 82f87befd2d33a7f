//! Files whose text changes, in all the ways in which it can.

use std::io::Write;
use std::time::{Duration, SystemTime};

use crate::project::{Project, headers};

/// `a.h` includes what its text says.
fn project() -> Project {
    let project = Project::new(&[
        ("main.c", "#include \"a.h\"\n"),
        ("first/a.h", "#include \"x.h\"\n"),
        ("first/x.h", ""),
        ("first/y.h", ""),
    ]);
    project.check("at first", &headers(&["first/a.h", "first/x.h"]));
    project
}

const TO_Y: &str = "#include \"y.h\"\n";

#[test]
fn an_edit_in_place_of_the_same_size() {
    let project = project();
    for round in 0..20 {
        let to = ["y", "x"][round % 2];
        project.write("first/a.h", &format!("#include \"{to}.h\"\n"));
        project.check(
            &format!("round {round}"),
            &headers(&["first/a.h", &format!("first/{to}.h")]),
        );
    }
}

#[test]
fn an_edit_that_puts_back_the_time_of_modification() {
    let project = project();
    let path = project.path("first/a.h");
    let before = path.metadata().and_then(|m| m.modified()).expect("a time");
    project.write("first/a.h", TO_Y);
    let file = std::fs::File::options().write(true).open(&path);
    file.and_then(|f| f.set_modified(before)).expect("its time");
    project.check("edited", &headers(&["first/a.h", "first/y.h"]));
}

#[test]
fn files_of_the_future_and_of_the_distant_past() {
    let project = project();
    let path = project.path("first/a.h");
    for time in [
        SystemTime::now() + Duration::from_secs(1_000_000),
        SystemTime::UNIX_EPOCH,
    ] {
        for to in ["y", "x"] {
            project.write("first/a.h", &format!("#include \"{to}.h\"\n"));
            let file = std::fs::File::options().write(true).open(&path);
            file.and_then(|f| f.set_modified(time)).expect("its time");
            project.check(to, &headers(&["first/a.h", &format!("first/{to}.h")]));
        }
    }
}

#[test]
fn an_edit_by_renaming_over() {
    let project = project();
    for round in 0..4 {
        let to = ["y", "x"][round % 2];
        project.replace("first/a.h", &format!("#include \"{to}.h\"\n"));
        project.check(to, &headers(&["first/a.h", &format!("first/{to}.h")]));
        // The file that now has the name must be seen as well as the one before.
        project.write("first/a.h", "");
        project.check("in place after it", &headers(&["first/a.h"]));
    }
}

#[test]
fn a_writer_that_keeps_the_file_open() {
    let project = project();
    let mut file = std::fs::File::options()
        .append(true)
        .open(project.path("first/a.h"))
        .expect("it exists");
    file.write_all(TO_Y.as_bytes()).expect("temporary folder");
    let both = headers(&["first/a.h", "first/x.h", "first/y.h"]);
    project.check("half written", &both);
    file.write_all(b"#define MORE\n").expect("temporary folder");
    project.check("written", &both);
    file.set_len(0).expect("temporary folder");
    project.check("cut", &headers(&["first/a.h"]));
}

#[test]
fn a_header_that_vanishes_and_comes_back() {
    let project = project();
    project.remove("first/x.h");
    project.check("gone", &None);
    project.write("second/x.h", "");
    project.check("elsewhere", &headers(&["first/a.h", "second/x.h"]));
    project.rename("first/y.h", "first/x.h");
    project.check("renamed to it", &headers(&["first/a.h", "first/x.h"]));
    project.rename("first/x.h", "first/y.h");
    project.check("renamed away", &headers(&["first/a.h", "second/x.h"]));
}

#[test]
fn a_new_file_that_shadows_another() {
    let project = Project::new(&[
        ("main.c", "#include <x.h>\n#include <deep/y.h>\n"),
        ("first/other.h", ""),
        ("second/x.h", ""),
        ("second/deep/y.h", ""),
    ]);
    project.check("at first", &headers(&["second/deep/y.h", "second/x.h"]));
    project.write("first/x.h", "");
    project.check("shadowed", &headers(&["first/x.h", "second/deep/y.h"]));
    project.write("first/deep/z.h", "");
    project.check("a folder", &headers(&["first/x.h", "second/deep/y.h"]));
    project.write("first/deep/y.h", "");
    project.check("in it", &headers(&["first/deep/y.h", "first/x.h"]));
    project.remove("first/deep");
    project.check("without it", &headers(&["first/x.h", "second/deep/y.h"]));
}

#[test]
fn the_main_file_itself() {
    let project = project();
    project.write("main.c", "#include \"y.h\"\n");
    project.check("in place", &headers(&["first/y.h"]));
    project.replace("main.c", "#include \"x.h\"\n");
    project.check("renamed over", &headers(&["first/x.h"]));
    project.remove("main.c");
    project.check("gone", &None);
    project.write("main.c", "");
    project.check("back", &headers(&[]));
}

#[test]
fn a_file_that_becomes_a_folder_and_a_file_again() {
    let project = Project::new(&[
        ("main.c", "#include <x.h>\n"),
        ("first/x.h", ""),
        ("second/x.h", ""),
    ]);
    project.check("a file", &headers(&["first/x.h"]));
    project.remove("first/x.h");
    std::fs::create_dir(project.path("first/x.h")).expect("temporary folder");
    project.check("a folder", &headers(&["second/x.h"]));
    project.remove("first/x.h");
    project.write("first/x.h", "#include <y.h>\n");
    project.write("second/y.h", "");
    project.check("a file again", &headers(&["first/x.h", "second/y.h"]));
}
