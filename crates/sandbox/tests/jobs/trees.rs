//! Where a client's files are, and what of the machine is beside them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sandbox::{Ended, Mode};

use crate::bench::{Bench, check};

pub(crate) fn trees_stand_where_they_belong() {
    let bench = Bench::new(Mode::Namespaces);
    bench.write("home/u/a b/x:,\\.h", "x");
    bench.write("top", "top");
    bench.write("tmp/project/y.h", "y");
    bench.write("dev/shm/z.h", "z");
    bench.link("home/u/link", "/home/u/a b");
    bench.link("rel", "home/u");
    let script = "cat '/home/u/link/x:,\\.h' '/rel/a b/x:,\\.h' /top /tmp/project/y.h /dev/shm/z.h; \
                  (echo > /home/u/new) 2>/dev/null || echo ' read-only'; echo > /tmp/new";
    check(&bench, script, "xxtopyz read-only\n");
    let (ended, output) = bench.run("pwd", "/home/u/a b", "/");
    assert!(matches!(ended, Ended::Normally { .. }));
    assert_eq!(output, "/home/u/a b\n");
    // Another place.
    bench.write("file.i", "i");
    assert_eq!(bench.run("cat /tmp/file.i", "/tmp", "/tmp").1, "i");
    assert!(bench.scratch.path().join("job/home/u/link").is_symlink());
    assert!(!bench.scratch.path().join("job/home/u/new").exists());
}

pub(crate) fn trees_meet_the_machine() {
    let bench = Bench::new(Mode::Namespaces);
    // Folders that the machine has not, in one that it needs: both are seen.
    bench.write("usr/lib/strange:,\\/include/s.h", "s");
    bench.write("usr/include/strange.h", "h");
    // A folder that no compiler needs is the client's alone.
    bench.write("usr/share/doc/d.h", "d");
    // A link of the machine's leads to where the client's files go.
    if Path::new("/lib").is_symlink() {
        bench.write("lib/by-link/l.h", "l");
    } else {
        bench.write("usr/lib/by-link/l.h", "l");
    }
    let script = "cat '/usr/lib/strange:,\\/include/s.h' /usr/include/strange.h /usr/share/doc/* \
                  /usr/lib/by-link/l.h; head -c 0 /usr/include/stdio.h && ls > /dev/null && echo ' both'";
    check(&bench, script, "shdl both\n");
}

pub(crate) fn a_clients_folder_hides_no_programs_below_it() {
    let machine = tempfile::tempdir().unwrap();
    let top = machine.path().canonicalize().unwrap();
    let tools = top.join("tools/bin");
    fs::create_dir_all(&tools).unwrap();
    for folder in [&top, &tools] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(tools.join("tool"), "a tool").unwrap();
    std::os::unix::fs::symlink("tools", top.join("link")).unwrap();
    let bench = Bench::with_programs(Mode::Namespaces, &[tools.clone(), top.join("link/bin")]);
    let inside = |path: &str| format!("{}/{path}", top.display()).split_off(1);
    // Beside the tools, and in a folder on the way to them.
    bench.write(&inside("project/a.h"), "a");
    bench.write(&inside("tools/project/b.h"), "b");
    let top = top.display();
    let script = format!(
        "cd {top}; cat tools/bin/tool link/bin/tool project/a.h tools/project/b.h; \
         (echo > tools/bin/new) 2>/dev/null || echo ' read-only'"
    );
    check(&bench, &script, "a toola toolab read-only\n");
}

pub(crate) fn what_does_not_fit_is_refused() {
    for (make, expected) in [
        ((|bench| bench.write("proc/x", "")) as fn(&Bench), "/proc"),
        (|bench| bench.write("dev/sda", ""), "/dev"),
        (|bench| bench.write("usr", ""), "/usr"),
        (|bench| bench.link("usr/lib", "/home"), "/usr/lib"),
        (|bench| bench.write("bin/sh/x", ""), "/usr/bin/"),
    ] {
        let bench = Bench::new(Mode::Namespaces);
        make(&bench);
        let (ended, _) = bench.script("true");
        assert!(
            matches!(&ended, Ended::Misplaced(text) if text.contains(expected)),
            "{ended:?}"
        );
    }
    let bench = Bench::new(Mode::Namespaces);
    let (ended, _) = bench.run("true", "/nowhere", "/");
    assert!(matches!(ended, Ended::Misplaced(_)), "{ended:?}");
}
