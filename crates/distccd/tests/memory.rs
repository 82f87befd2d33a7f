//! Where the files of jobs are: in memory as far as there is room for them, else on disk.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use protocol::Version;
use rustix::process::Signal;
use support::{
    Daemon, Entry, Reply, SCRIPTED_COMPILER, Setup, source_request, tree_request, wait_until,
};

const VERSIONS: [Version; 3] = [Version::Plain, Version::Lzo, Version::Pump];

/// A server that keeps up to so many MiB of jobs in a `/dev/shm` of so many MiB.
fn server(kept: u32, there: u32) -> Daemon {
    Setup::insecure()
        .script("mycc", SCRIPTED_COMPILER)
        .arg("--sandbox=required")
        .arg(format!("--scratch-memory={kept}"))
        .with_shared_memory(there)
        .start()
}

/// The folders of its jobs in memory.
fn in_memory(server: &Daemon) -> usize {
    let folder = format!("/proc/{}/root/dev/shm", server.child.id());
    fs::read_dir(folder).unwrap().count()
}

/// A job that waits for the file `gate` in its server's `bin`, and comes with so many bytes.
fn send(server: &Daemon, version: Version, name: &str, bytes: usize) -> TcpStream {
    let gate = server.file("bin/gate");
    let mut script = format!(
        "until [ -e {} ]; do sleep 0.01; done; echo object > $out; ",
        gate.display()
    );
    script += "case $deps in ?*) : > $deps ;; esac; ls -l . >&2; exit 0; ";
    let more = "#".repeat(bytes);
    let argv = ["mycc", "-c", name, "-o", "a.o"];
    let request = match version {
        Version::Pump => {
            let source = format!("/c/{name}");
            let entries = [
                Entry::File("/c/deep/other/more.h", &more),
                Entry::Link("/c/link.h", "deep/other/more.h"),
                Entry::File(&source, &script),
                Entry::File("/c/last.h", "last"),
            ];
            tree_request("/c", &argv, &entries)
        }
        _ => source_request(version, &argv, (script + &more).as_bytes()),
    };
    let mut client = server.connect();
    client.write_all(&request).unwrap();
    client
}

/// Sends a job, and checks where its files are while it runs, and that it is answered.
fn check(server: &Daemon, version: Version, bytes: usize, expected: [usize; 2]) {
    let gate = server.file("bin/gate");
    let _ = fs::remove_file(&gate); // Of the job before.
    let mut client = send(server, version, "a.c", bytes);
    wait_until("it runs", || server.log().contains("bytes received"));
    wait_until("files are where they belong", || {
        [in_memory(server), server.leftovers().len()] == expected
    });
    fs::write(&gate, "").unwrap();
    let reply = Reply::read(&mut client, version).unwrap();
    assert_eq!(
        (reply.status, &reply.object[..]),
        (0, &b"object\n"[..]),
        "{reply:?}"
    );
    if version == Version::Pump {
        let list = &reply.stderr;
        assert!(list.contains("link.h -> deep/other/more.h"), "{list}");
        assert!(list.contains("last.h") && list.contains("a.c"), "{list}");
    }
    wait_until("nothing stays in memory", || in_memory(server) == 0);
    server.check_clean();
}

#[test]
fn small_jobs_are_in_memory() {
    let server = server(64, 128);
    for version in VERSIONS {
        check(&server, version, 1000, [1, 0]);
    }
}

#[test]
fn large_jobs_are_on_disk() {
    // One client may have half of it.
    let server = server(4, 128);
    for version in VERSIONS {
        check(&server, version, 3 << 20, [0, 1]);
        check(&server, version, 1000, [1, 0]);
    }
}

#[test]
fn what_memory_has_no_room_for_is_on_disk() {
    // Somebody else has filled it, or it is smaller than was promised.
    let server = server(64, 1);
    for version in VERSIONS {
        check(&server, version, 3 << 20, [0, 1]);
        check(&server, version, 1000, [1, 0]);
    }
}

#[test]
fn many_jobs_are_partly_on_disk() {
    let server = server(4, 128);
    let gate = server.file("bin/gate");
    let clients: Vec<TcpStream> = (0..6)
        .map(|_| send(&server, Version::Pump, "a.c", 700 << 10))
        .collect();
    // Room is taken by the MiB.
    wait_until("all are received", || {
        [in_memory(&server), server.leftovers().len()] == [2, 4]
    });
    fs::write(&gate, "").unwrap();
    for mut client in clients {
        let reply = Reply::read(&mut client, Version::Pump).unwrap();
        assert_eq!(reply.status, 0, "{reply:?}");
    }
    wait_until("nothing stays in memory", || in_memory(&server) == 0);
}

#[test]
fn a_killed_servers_files_in_memory_are_removed_by_the_next() {
    let setup = || {
        Setup::insecure()
            .script("mycc", SCRIPTED_COMPILER)
            .arg("--sandbox=required")
            .arg("--scratch-memory=64")
    };
    let mut first = setup().start();
    let name = format!("killed{}.c", std::process::id());
    let _client = send(&first, Version::Pump, &name, 0);
    // Those of other servers are there, too.
    let find = || -> Option<PathBuf> {
        let folders = fs::read_dir("/dev/shm").unwrap().flatten();
        let mut folders = folders.map(|entry| entry.path());
        folders.find(|folder| folder.join("root/c").join(&name).exists())
    };
    wait_until("its files are there", || find().is_some());
    first.signal(Signal::KILL);
    first.wait();
    let _second = setup().start();
    wait_until("they are gone", || find().is_none());
}

/// What a server says of its folders.
fn check_said(setup: Setup, shared_memory: u32, expected: &str) {
    let folder = setup.file("tmp").canonicalize().unwrap();
    let server = setup.with_shared_memory(shared_memory).start();
    let lines = server.wait_for_log("files of jobs are in ");
    let expected = expected.replace("TMPDIR", folder.to_str().unwrap());
    assert!(
        lines.iter().any(|line| line.ends_with(&expected)),
        "{lines:#?}"
    );
}

#[test]
fn the_log_says_where_files_are() {
    let on_disk = "files of jobs are in TMPDIR";
    // Who says where files go means all of them.
    check_said(Setup::insecure(), 256, on_disk);
    let asked = Setup::insecure().arg("--scratch-memory=3");
    let text = "files of jobs are in /dev/shm up to 3 MiB, others in TMPDIR";
    check_said(asked, 256, text);
    // Compilers write there what nobody has counted.
    let open = Setup::insecure()
        .arg("--scratch-memory=3")
        .arg("--sandbox=off");
    check_said(open, 256, on_disk);
    let kept = Setup::insecure()
        .arg("--scratch-memory=3")
        .env("DISTCC_SAVE_TEMPS", "1");
    check_said(kept, 256, on_disk);

    let by_default = || Setup::insecure().env("TMPDIR", "");
    // Of some systems it is one already.
    if !is_tmpfs(Path::new("/tmp")) {
        let text = "files of jobs are in /dev/shm up to 128 MiB, others in /tmp";
        check_said(by_default(), 256, text);
    }
    check_said(
        by_default().arg("--scratch-memory=0"),
        256,
        "files of jobs are in /tmp",
    );
    // A container's.
    check_said(by_default(), 64, "files of jobs are in /tmp");
}

fn is_tmpfs(folder: &Path) -> bool {
    rustix::fs::statfs(folder).unwrap().f_type == 0x0102_1994
}
