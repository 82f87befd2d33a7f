//! Symbolic links, and files with several names.

use std::os::unix::fs::MetadataExt;

use crate::project::{Project, headers};

#[test]
fn a_link_of_a_file_leads_elsewhere() {
    let project = Project::new(&[
        ("main.c", "#include <x.h>\n"),
        ("first/x.h", "->../far/one.h"),
        ("far/one.h", ""),
        ("far/two.h", ""),
    ]);
    project.check("one", &headers(&["far/one.h"]));
    project.link("first/x.h", "../far/two.h");
    project.check("two", &headers(&["far/two.h"]));
    project.link("new", "../far/one.h");
    project.rename("new", "first/x.h");
    project.check("renamed over", &headers(&["far/one.h"]));
    project.link("first/x.h", "nowhere");
    project.check("nowhere", &None);
    project.write("first/nowhere", "");
    project.check("its target comes", &headers(&["first/nowhere"]));
    project.link("first/x.h", "x.h");
    project.check("a loop", &None);
}

#[test]
fn what_a_link_leads_to_changes() {
    let project = Project::new(&[
        ("main.c", "#include <x.h>\n"),
        ("first/x.h", "->../far/one.h"),
        ("far/one.h", ""),
        ("far/y.h", ""),
        ("first/y.h", ""),
    ]);
    project.check("at first", &headers(&["far/one.h"]));
    project.write("far/one.h", "#include \"y.h\"\n");
    project.check("edited", &headers(&["far/one.h", "first/y.h"]));
    project.replace("far/one.h", "");
    project.check("replaced", &headers(&["far/one.h"]));
    project.remove("far/one.h");
    project.check("gone", &None);
    project.rename("far", "farther");
    project.write("far/one.h", "");
    project.check("another folder", &headers(&["far/one.h"]));
}

#[test]
fn a_link_of_a_search_folder_leads_elsewhere() {
    let project = Project::new(&[
        ("main.c", "#include <in/x.h>\n"),
        ("first", "->versions/1"),
        ("versions/1/in/x.h", ""),
        ("versions/2/in/x.h", "#include <in/y.h>\n"),
        ("versions/2/in/y.h", ""),
        ("second/in/x.h", ""),
    ]);
    project.check("1", &headers(&["versions/1/in/x.h"]));
    let two = headers(&["versions/2/in/x.h", "versions/2/in/y.h"]);
    project.link("first", "versions/2");
    project.check("2", &two);
    project.link("first", "versions/3");
    project.check("3, absent", &headers(&["second/in/x.h"]));
    project.link("versions/3", "2");
    project.check("3 comes", &two);
    project.write("versions/2/in/y.h", "#include <in/z.h>\n");
    project.check("edited behind both", &None);
}

#[test]
fn a_link_in_the_middle_of_a_path_leads_elsewhere() {
    let project = Project::new(&[
        ("main.c", "#include <a/b/c/x.h>\n"),
        ("first/a/b", "->../../real/one"),
        ("real/one/c/x.h", ""),
        ("real/two/c/x.h", "#include \"../d.h\"\n"),
        ("real/two/d.h", ""),
        ("second/a/b/c/x.h", ""),
    ]);
    project.check("one", &headers(&["real/one/c/x.h"]));
    project.link("first/a/b", "../../real/two");
    project.check("two", &headers(&["real/two/c/x.h", "real/two/d.h"]));
    project.rename("real", "unreal");
    project.check("dangling", &headers(&["second/a/b/c/x.h"]));
    project.link("real", "unreal");
    project.check(
        "a link again",
        &headers(&["unreal/two/c/x.h", "unreal/two/d.h"]),
    );
    project.write("unreal/two/d.h", "#include <a/b/c/x.h>\n");
    project.check("endless", &None);
}

#[test]
fn a_folder_becomes_a_link_and_a_folder_again() {
    let project = Project::new(&[
        ("main.c", "#include <in/x.h>\n"),
        ("first/in/x.h", ""),
        ("other/x.h", ""),
    ]);
    project.check("a folder", &headers(&["first/in/x.h"]));
    project.rename("first/in", "kept");
    project.link("first/in", "../other");
    project.check("a link", &headers(&["other/x.h"]));
    project.remove("first/in");
    project.rename("kept", "first/in");
    project.check("a folder again", &headers(&["first/in/x.h"]));
}

#[test]
fn an_edit_through_another_name_in_another_folder() {
    let project = Project::new(&[
        ("main.c", "#include <x.h>\n"),
        ("first/x.h", ""),
        ("first/y.h", ""),
    ]);
    std::fs::create_dir(project.path("elsewhere")).expect("temporary folder");
    let hard = |from: &str, to: &str| {
        std::fs::hard_link(project.path(from), project.path(to)).expect("same file system");
    };
    hard("first/x.h", "elsewhere/old.h");
    project.check("with two names", &headers(&["first/x.h"]));
    project.write("elsewhere/old.h", "#include \"y.h\"\n");
    project.check("edited", &headers(&["first/x.h", "first/y.h"]));
    // A name that is made only after the file was read.
    hard("first/y.h", "elsewhere/late.h");
    project.write("elsewhere/late.h", "#include \"x.h\"\n#include <z.h>\n");
    project.check("an error through the new name", &None);
    project.write("elsewhere/late.h", "");
    project.check("mended", &headers(&["first/x.h", "first/y.h"]));
    // The old file lives on under its other name, and must not be taken for ours.
    project.replace("first/x.h", "");
    project.check("replaced", &headers(&["first/x.h"]));
    project.write("first/x.h", "#include \"y.h\"\n");
    project.check("the new file edited", &headers(&["first/x.h", "first/y.h"]));
}

#[test]
fn two_names_of_one_file_are_both_known() {
    let project = Project::new(&[
        ("main.c", "#include <a/x.h>\n#include <b/x.h>\n"),
        ("first/a/x.h", "#include \"y.h\"\n"),
        ("first/a/y.h", ""),
        ("first/b/y.h", ""),
    ]);
    std::fs::hard_link(project.path("first/a/x.h"), project.path("first/b/x.h"))
        .expect("same file system");
    let all = &["first/a/x.h", "first/a/y.h", "first/b/x.h", "first/b/y.h"];
    project.check("at first", &headers(all));
    project.write("first/b/x.h", "");
    project.check("one edited", &headers(&["first/a/x.h", "first/b/x.h"]));
    project.replace("first/a/x.h", "#include \"y.h\"\n");
    project.check(
        "one replaced",
        &headers(&["first/a/x.h", "first/a/y.h", "first/b/x.h"]),
    );
    project.write("first/b/x.h", "#include \"y.h\"\n");
    project.check("the other edited", &headers(all));
}

#[test]
fn identity_of_files_marked_once_follows_the_inode_and_the_time() {
    let project = Project::new(&[
        ("main.c", "#include <a/x.h>\n#include <b/x.h>\n"),
        ("first/a/x.h", "#pragma once\n#include \"y.h\"\n"),
        ("first/b/x.h", "#pragma once\n#include \"y.h\"\n"),
        ("first/a/y.h", ""),
        ("first/b/y.h", ""),
    ]);
    let set_time = |path: &str, seconds| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let file = std::fs::File::options()
            .write(true)
            .open(project.path(path));
        file.and_then(|f| f.set_modified(time)).expect("its time");
    };
    set_time("first/a/x.h", 1_000_000_000);
    set_time("first/b/x.h", 1_000_000_000);
    let one = &["first/a/x.h", "first/a/y.h"];
    let two = &["first/a/x.h", "first/a/y.h", "first/b/x.h", "first/b/y.h"];
    project.check("copies of one second", &headers(one));
    set_time("first/b/x.h", 1_000_000_001);
    assert_eq!(
        project
            .path("first/b/x.h")
            .metadata()
            .expect("it exists")
            .mtime(),
        1_000_000_001
    );
    project.check("of two seconds", &headers(two));
    set_time("first/b/x.h", 1_000_000_000);
    project.check("of one again", &headers(one));
}
