//! Where inotify does not do: its queue runs over, its limits are reached.

use std::process::Command as Process;

use crate::project::{Project, headers};

#[test]
fn a_queue_that_ran_over_hides_nothing() {
    let project = Project::new(&[
        ("main.c", "#include <in/x.h>\n"),
        ("first/in/x.h", ""),
        ("second/in/x.h", ""),
    ]);
    project.check("at first", &headers(&["first/in/x.h"]));
    let limit: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .expect("a number");
    // Three events for each: created, closed, removed.
    for at in 0..limit / 3 + 100 {
        let path = project.path(&format!("first/in/{at}"));
        std::fs::write(&path, "").expect("temporary folder");
        std::fs::remove_file(&path).expect("it exists");
    }
    // All of these have no room in the queue.
    project.rename("first/in", "away");
    project.write("first/in/x.h", "#include \"y.h\"\n");
    project.write("first/in/y.h", "");
    project.check("run over", &headers(&["first/in/x.h", "first/in/y.h"]));
    // The folder that was there before had the watch.
    project.write("first/in/x.h", "");
    project.check("afterwards", &headers(&["first/in/x.h"]));
    project.remove("first/in/x.h");
    project.check("and later", &headers(&["second/in/x.h"]));
}

/// Runs one test of this program in a user namespace of its own after this shell command.
pub(crate) fn run_confined(test: &str, options: &str, first: &str) {
    let this = std::env::current_exe().expect("this program");
    let output = Process::new("unshare")
        .arg(options)
        .args(["sh", "-ec"])
        .arg(format!("{first}\nexec \"$0\" \"$@\""))
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env("INCLUDES_CONFINED", "1")
        .output()
        .expect("unshare is installed");
    assert!(
        output.status.success(),
        "{test}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether this process is the one that [`run_confined`] started.
pub(crate) fn is_confined() -> bool {
    std::env::var_os("INCLUDES_CONFINED").is_some()
}

fn edits() {
    let project = Project::new(&[
        ("main.c", "#include <in/x.h>\n#include <in/y.h>\n"),
        ("first/in/x.h", ""),
        ("second/in/y.h", ""),
        ("second/in/z.h", ""),
    ]);
    project.check("at first", &headers(&["first/in/x.h", "second/in/y.h"]));
    for round in 0..4 {
        project.write("second/in/y.h", "#include \"z.h\"\n");
        project.check(
            &format!("edited, {round}"),
            &headers(&["first/in/x.h", "second/in/y.h", "second/in/z.h"]),
        );
        project.write("second/in/y.h", "#include \"w.h\"\n");
        project.check("same size", &None);
        project.replace("second/in/y.h", "");
        project.write("first/in/y.h", "");
        project.check("shadowed", &headers(&["first/in/x.h", "first/in/y.h"]));
        project.rename("first", "away");
        project.check("renamed", &None);
        project.rename("away", "first");
        project.remove("first/in/y.h");
        project.check("back", &headers(&["first/in/x.h", "second/in/y.h"]));
    }
}

#[test]
fn without_enough_watches_stamps_are_compared() {
    if is_confined() {
        return edits();
    }
    // The root, some folders on the way, all folders, all but the last file.
    for watches in [0, 2, 4, 6, 8] {
        run_confined(
            "limits::without_enough_watches_stamps_are_compared",
            "-Ur",
            &format!("echo {watches} > /proc/sys/user/max_inotify_watches"),
        );
    }
}

#[test]
fn without_any_queue_there_is_no_watched_tree() {
    if is_confined() {
        let error = includes::RealTree::watched().expect_err("no instance is left");
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::MFILE.raw_os_error())
        );
        return;
    }
    run_confined(
        "limits::without_any_queue_there_is_no_watched_tree",
        "-Ur",
        "echo 0 > /proc/sys/user/max_inotify_instances",
    );
}
