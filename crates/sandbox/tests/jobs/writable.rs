//! Folders of its trees that a job may write to, and jobs that bring all that they see.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Mode as Bits, OFlags, openat};
use sandbox::{Ended, Mode};

use crate::bench::Bench;

/// Runs a script that has to succeed; what it said, and the folders.
#[track_caller]
fn written(bench: &Bench, script: &str, folders: &[&str]) -> (String, Vec<OwnedFd>) {
    let ended = bench.start_writing(script, "/", "/", folders).ended();
    let said = fs::read_to_string(bench.scratch.path().join("output")).unwrap();
    match ended.unwrap() {
        Ended::Normally {
            status: 0, folders, ..
        } => (said, folders),
        other => panic!("{other:?}: {said}"),
    }
}

fn read(folder: &OwnedFd, name: &str) -> Option<String> {
    let flags = OFlags::NOFOLLOW | OFlags::RDONLY;
    let mut text = String::new();
    let file = openat(folder, name, flags, Bits::empty()).ok()?;
    File::from(file).read_to_string(&mut text).ok()?;
    Some(text)
}

pub(crate) fn what_is_written_comes_back_and_inputs_stay() {
    let bench = Bench::new(Mode::Namespaces);
    bench.write("p/src/a.h", "input");
    bench.write("p/src/sub/b.h", "below");
    bench.write("tmp/q/empty/x", "");
    fs::remove_file(bench.scratch.path().join("job/tmp/q/empty/x")).unwrap();
    bench.write("dev/shm/m/a.h", "memory");
    let script = "cd /p/src; cat a.h sub/b.h; echo out > out.o; echo new > a.h; rm sub/b.h; echo deep > sub/c; \
                  echo top > /top.o; echo tmp > /tmp/t.o; echo first > /tmp/q/empty/e.o; \
                  (echo > /p/x) 2>/dev/null || echo ' read-only'; \
                  ls /room /tmp/.distccd 2>/dev/null; echo device > /dev/null; \
                  cat /dev/shm/m/a.h > /dev/shm/m/m.o; ln -s /etc/shadow l; mkdir d";
    let folders = [
        "/p/src/sub",
        "/p/src",
        "/",
        "/tmp",
        "/tmp/q/empty",
        "/dev",
        "/dev/shm/m",
    ];
    for _ in 0..2 {
        // Another job finds what the first one did.
        let (said, folders) = written(&bench, script, &folders);
        assert_eq!(said, "inputbelow read-only\n");
        let [sub, src, top, tmp, empty, _, memory] = <[OwnedFd; 7]>::try_from(folders).unwrap();
        for (folder, name, content) in [
            (&src, "out.o", "out\n"),
            (&src, "a.h", "new\n"),
            (&sub, "c", "deep\n"),
            (&top, "top.o", "top\n"),
            (&tmp, "t.o", "tmp\n"),
            (&empty, "e.o", "first\n"),
            (&memory, "m.o", "memory"),
        ] {
            assert_eq!(read(folder, name).as_deref(), Some(content), "{name}");
        }
        assert_eq!(read(&sub, "b.h"), None);
        assert_eq!(read(&src, "l"), None, "a link");
        assert_eq!(read(&src, "d"), None, "a folder");
    }
    let job = bench.scratch.path().join("job");
    assert_eq!(fs::read_to_string(job.join("p/src/a.h")).unwrap(), "input");
    assert!(job.join("p/src/sub/b.h").exists() && !job.join("p/src/out.o").exists());
}

pub(crate) fn folders_that_are_none_are_refused() {
    let bench = Bench::new(Mode::Namespaces);
    bench.write("p/file", "");
    bench.link("p/link", "/p");
    bench.link("p/shadow", "/etc");
    let many: Vec<String> = (0..65).map(|_| "/p".to_owned()).collect();
    let many: Vec<&str> = many.iter().map(|folder| &**folder).collect();
    for folders in [
        &["/p/none"][..],
        &["/p/file"],
        &["/p/link"],
        &["/p/shadow"],
        &["/p/../../scratch"],
        &["/usr/lib"],
        &["/usr"],
        &many,
    ] {
        let ended = bench.start_writing("true", "/", "/", folders).ended();
        let ended = ended.unwrap();
        assert!(
            matches!(ended, Ended::Misplaced(_)),
            "{folders:?}: {ended:?}"
        );
    }
}

pub(crate) fn nothing_writes_any_more_when_the_job_is_over() {
    let bench = Bench::new(Mode::Namespaces);
    bench.write("p/x", "");
    // The shell is over long before what it has left running.
    let script =
        "echo begun > /p/out; (sleep 1; echo more >> /p/out; sleep 1003.75) > /dev/null 2>&1 &";
    let (_, folders) = written(&bench, script, &["/p"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(read(&folders[0], "out").as_deref(), Some("begun\n"));
}

pub(crate) fn a_job_may_bring_all_that_there_is() {
    let bench = Bench::hermetic();
    // A program with all that it needs.
    let shell = fs::read("/bin/sh").unwrap();
    let path = bench.scratch.path().join("job/bin/sh");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, shell).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    for library in libraries("/bin/sh") {
        let name = library.trim_start_matches('/').to_owned();
        let to = bench.scratch.path().join("job").join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&library, to).unwrap();
    }
    let script = "PATH=/bin; for x in /*; do echo $x; done; test -e /etc || test -e /usr/bin || echo nothing; \
                  echo x > /dev/null; (: > /bin/new) 2>/dev/null || echo read-only";
    let ended = bench.start_writing(script, "/", "/", &[]).ended().unwrap();
    let said = fs::read_to_string(bench.scratch.path().join("output")).unwrap();
    assert!(matches!(ended, Ended::Normally { .. }), "{ended:?}: {said}");
    let seen: Vec<&str> = said.lines().collect();
    for expected in ["/bin", "/dev", "/proc", "/tmp", "nothing", "read-only"] {
        assert!(seen.contains(&expected), "{said}");
    }
    for secret in [
        "/etc", "/root", "/home", "/var", "/scratch", "/base", "/room",
    ] {
        assert!(!seen.contains(&secret), "{said}");
    }
}

/// What a program needs to be started.
fn libraries(program: &str) -> Vec<String> {
    let output = std::process::Command::new("ldd")
        .arg(program)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(str::to_owned).collect()
}
