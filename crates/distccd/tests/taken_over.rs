//! Compilers that are the attacker's altogether: what such a one may do to the machine, to the
//! server, and to jobs of others. In namespaces and behind Landlock, as whoever runs the tests and
//! as nobody.
//!
//! The compiler is a script that does what its source says, so each attack is one.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use protocol::Version;
use support::attacker::{check_without, run, sandboxed, sandboxed_in_both_ways, secret};
use support::{Daemon, Entry, SOON, processes_with, tree_request, unique_time, wait_until};

#[track_caller]
fn check_it_still_serves(server: &Daemon) {
    let reply = run(server, "echo still > $out").unwrap();
    assert_eq!((reply.status, &*reply.object), (0, &b"still\n"[..]));
}

/// The files that a job writes are read by the server, who may read more than the job.
#[test]
fn the_server_reads_no_other_file_for_a_job() {
    for server in sandboxed_in_both_ways() {
        let (secret, text) = secret(&server);
        for file in ["stdout", "stderr", "out.o", "deps.d"] {
            // What is beside the object; in namespaces there is nothing.
            let script = format!(
                "folder=$(dirname $out); cd $folder; echo > $out; rm -f {file}; ln -s {secret} {file}"
            );
            check_without(run(&server, &script), text, file);
            check_it_still_serves(&server);
        }
    }
}

/// Nor does it wait for what never comes, or read what has no end.
#[test]
fn the_server_reads_only_files() {
    for server in sandboxed_in_both_ways() {
        for file in ["stdout", "stderr", "out.o"] {
            for make in ["mkfifo", "mkdir", "ln -s /dev/zero"] {
                let script = format!(
                    "cd $(dirname $out); echo > $out; rm -f {file}; {make} {file}; chmod 0 .; true"
                );
                run(&server, &script);
                check_it_still_serves(&server);
            }
        }
        assert!(server.peak_memory() < 300 << 20);
    }
}

/// What the server's user owns is not the job's, even where it can be named.
#[test]
fn files_outside_keep_their_marks() {
    for server in sandboxed_in_both_ways() {
        let tmp = server.file("tmp");
        let mine = tmp.join("mine");
        // By a job of a server without a sandbox it would be so; here by the owner himself.
        fs::write(&mine, "content").unwrap();
        let owner = fs::metadata(format!("/proc/{}", server.child.id()))
            .unwrap()
            .uid();
        std::os::unix::fs::chown(&mine, Some(owner), Some(owner)).unwrap();
        let before = fs::metadata(&mine).unwrap();
        let script = format!(
            "exec 2>&1; cd {tmp}; chmod 777 mine; touch -d 2001-01-01 mine; truncate -s 0 mine; \
             chgrp 1 mine; ln mine hard; mv mine away; rm -f mine; setfattr -n user.x -v y mine; \
             python3 -c 'import os
for attempt in [lambda: os.chmod(\"mine\", 0o777), lambda: os.utime(\"mine\", (1, 1)),
                lambda: os.truncate(\"mine\", 0), lambda: os.setxattr(\"mine\", \"user.x\", b\"y\")]:
    try:
        attempt()
    except OSError as error:
        print(error)
'; echo > $out",
            tmp = tmp.display()
        );
        assert_eq!(run(&server, &script).unwrap().status, 0);
        let after = fs::metadata(&mine).unwrap();
        let marks = |data: &fs::Metadata| (data.mode(), data.mtime(), data.len(), data.gid());
        assert_eq!(marks(&after), marks(&before));
        fs::remove_file(mine).unwrap();
    }
}

/// Nor does what a job leaves end the server, or stay: folders in each other beyond all limits of paths and descriptors.
#[test]
fn folders_in_each_other_without_end_go_with_their_job() {
    for server in sandboxed_in_both_ways() {
        let script = "cd $(dirname $out); echo > $out; python3 -c 'import os
for level in range(1500):
    os.mkdir(\"d\" * 200)
    os.chdir(\"d\" * 200)
'";
        let reply = run(&server, script).unwrap();
        assert_eq!(reply.status, 0, "{}", reply.stderr);
        check_it_still_serves(&server);
        let tmp = server.file("tmp");
        let left = || fs::read_dir(&tmp).unwrap().flatten();
        wait_until("nothing is left", || {
            let names = left().map(|entry| entry.file_name());
            !names
                .into_iter()
                .any(|name| name.to_string_lossy().starts_with("distccd_"))
        });
    }
}

/// Nothing of a job goes on when its first process is shot, or its limits would end with that.
#[test]
fn a_job_cannot_shake_off_who_watches_it() {
    for server in sandboxed_in_both_ways() {
        let time = unique_time();
        for signal in ["KILL", "STOP"] {
            let script = format!(
                "kill -{signal} $PPID; setsid sh -c 'trap \"\" TERM HUP INT; sleep {time}' & \
                 sleep 0.2; echo > $out"
            );
            let started = Instant::now();
            run(&server, &script);
            assert!(started.elapsed() < SOON);
            wait_until("the rest ends", || processes_with(&time) == 0);
            check_it_still_serves(&server);
        }
    }
}

/// The server's own process is another one of the same user.
#[test]
fn the_server_keeps_its_limits_and_its_place() {
    for server in sandboxed_in_both_ways() {
        let pid = server.child.id();
        let marks = || {
            let read = |name| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
            let status = read("status");
            let lines = status
                .lines()
                .filter(|line| line.starts_with("Cpus_allowed_list"));
            let niceness = read("stat")
                .rsplit(") ")
                .next()
                .map(|rest| rest.split(' ').nth(16).map(str::to_owned));
            (
                read("limits"),
                lines.map(str::to_owned).collect::<Vec<_>>(),
                niceness,
            )
        };
        check_it_still_serves(&server);
        let before = marks();
        let script = format!(
            "exec 2>&1; prlimit --pid {pid} --nofile=3:3; prlimit --pid {pid} --as=1:1; \
             renice -n 19 -p {pid}; ionice -c 3 -p {pid}; taskset -p 1 {pid}; kill -STOP {pid}; \
             kill -9 {pid}; ulimit -n 100 && echo limited; echo > $out"
        );
        let reply = run(&server, &script).unwrap();
        assert_eq!(reply.status, 0);
        // Its own limits are its own business.
        assert!(reply.stdout.ends_with("limited\n"), "{}", reply.stdout);
        assert_eq!(marks(), before);
        check_it_still_serves(&server);
    }
}

/// Memory that belongs to no process stays when all of a job's processes are gone.
#[test]
fn no_memory_outlives_a_job() {
    for server in sandboxed_in_both_ways() {
        for what in ["-M 1000000", "-Q", "-S 2"] {
            let reply = run(&server, &format!("ipcmk {what}; echo > $out")).unwrap();
            assert_eq!((reply.status, &*reply.stdout), (0, ""), "{what}");
        }
    }
}

/// A client that brings parts of a tool chain or of the system gets what it brings, for its own
/// job, and none of it is run.
#[test]
fn parts_of_the_system_in_a_tree_are_the_jobs_own() {
    let script = "#!/bin/sh\necho stolen >&2\n";
    for server in sandboxed() {
        for (name, content) in [
            ("/etc/ld.so.preload", "/c/evil.so\n"),
            ("/etc/ld.so.cache", "junk"),
            ("/usr/bin/as", script),
            ("/usr/bin/gcc", script),
            ("/lib64/ld-linux-x86-64.so.2", "junk"),
            ("/c/@evil.h", "int x;\n"),
        ] {
            let argv = ["gcc", "-c", "a.c", "-o", "a.o"];
            let entries = [
                Entry::File("/c/a.c", "int x;\n"),
                Entry::File("/c/evil.so", script),
                Entry::File(name, content),
            ];
            // It may fail, as the client wishes.
            let reply = server.ask(Version::Pump, &tree_request("/c", &argv, &entries));
            check_without(reply, "stolen", name);
            check_it_still_serves(&server);
        }
    }
}

/// The names that a client chooses for folders do not decide what else is mounted or seen.
#[test]
fn names_mean_nothing_to_mounts() {
    for server in sandboxed() {
        for name in [
            "/usr/include/a,upperdir=%2ftmp,b/x.h",
            "/usr/include/a:b/x.h",
            "/usr/include/\\,lowerdir=/x.h",
            "/usr/include/a\n b/x.h",
            "/usr/include/\u{fffd}\u{1b}[31m/x.h",
        ] {
            let script = format!(
                "cat '{name}'; head -c 0 /usr/include/stdio.h && echo; echo > $out; echo a.o: > $deps"
            );
            let argv = ["cc", "-c", "a.c", "-o", "a.o"];
            let entries = [Entry::File("/c/a.c", &script), Entry::File(name, "mine")];
            let reply = server
                .ask(Version::Pump, &tree_request("/c", &argv, &entries))
                .unwrap();
            assert_eq!(
                (reply.status, &*reply.stdout),
                (0, "mine\n"),
                "{name:?}: {}",
                reply.stderr
            );
        }
    }
}
