//! Actions of the Remote Execution API: what they may, how they end, and that the old protocols are served beside them.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use protocol::Version;
use remote::{Outcome, Trouble};
use rustix::process::Signal;
use support::actions::{Api, Script};
use support::attacker::as_both;
use support::{
    Daemon, SANDBOXES, SCRIPTED_COMPILER, SOON, Setup, processes_with, source_request, unique_time,
    wait_until,
};

fn setup() -> Setup {
    Setup::insecure()
        .arg("--jobs=2")
        .script("cc", SCRIPTED_COMPILER)
}

/// Runs a script; its outcome and outputs as text.
#[track_caller]
fn run(api: &Api, script: &Script) -> (Outcome, Vec<(String, String)>) {
    let outcome = api.run(script).unwrap();
    let text = |content: &[u8]| String::from_utf8_lossy(content).into_owned();
    let files = outcome.files.iter();
    let files = files.map(|file| (file.path.clone(), text(&file.content)));
    let files = files.collect();
    (outcome, files)
}

#[track_caller]
fn check_the_old_protocols(server: &Daemon) {
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    let request = source_request(Version::Plain, &argv, b"echo still > $out");
    let reply = server.ask(Version::Plain, &request).unwrap();
    assert_eq!((reply.status, &*reply.object), (0, &b"still\n"[..]));
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let files = files.iter();
    let files = files.map(|(path, content)| ((*path).to_owned(), (*content).to_owned()));
    files.collect()
}

#[test]
fn what_an_action_makes_comes_back() {
    for server in as_both(setup) {
        let api = Api::connect(server.address).unwrap();
        let script = "cat in; echo said >&2; echo one > one; echo two > new/deep/two; \
                      echo three > ../above/three; echo > undeclared; chmod 755 one; exit 3";
        let outputs = ["one", "new/deep/two", "../above/three", "missing"];
        let script = Script::new(script, &outputs).file("/w/in", "input\n");
        for _ in 0..2 {
            let (outcome, files) = run(&api, &script);
            assert_eq!(outcome.exit_code, 3);
            assert_eq!(
                (&*outcome.stdout, &*outcome.stderr),
                (&b"input\n"[..], &b"said\n"[..])
            );
            let expected = [
                ("one", "one\n"),
                ("new/deep/two", "two\n"),
                ("../above/three", "three\n"),
            ];
            assert_eq!(files, owned(&expected));
            assert!(outcome.files[0].executable);
        }
        check_the_old_protocols(&server);
    }
}

/// A folder for the caches of several servers, one after the other.
fn cache() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    let option = format!("--cache-dir={}", folder.path().join("cache").display());
    (folder, option)
}

/// By this server, or by one that was killed.
#[test]
fn a_known_result_is_not_made_again() {
    let (_folder, cache) = cache();
    let mut server = setup().arg(&cache).start();
    let api = Api::connect(server.address).unwrap();
    let mut script = Script::new("cat /proc/self/stat > stat", &["stat"]);
    let (first, files) = run(&api, &script);
    script.cached = true;
    let (second, same) = run(&api, &script);
    assert!(!first.cached && second.cached);
    assert_eq!(files, same);
    server.signal(Signal::KILL);
    server.wait();
    let server = setup().arg(&cache).start();
    let api = Api::connect(server.address).unwrap();
    let (third, same) = run(&api, &script);
    assert!(third.cached);
    assert_eq!(files, same);
    assert!(!server.log().contains("COMPILE_OK"), "it ran again");
}

/// All of it, or a part, by somebody who wants the room.
#[test]
fn a_cache_that_is_removed_is_made_again() {
    let (folder, option) = cache();
    let server = setup().arg(&option).start();
    let mut script = Script::new("echo made > out", &["out"]);
    script.cached = true;
    let parts = ["", "blobs", "results", "trees"];
    for (round, part) in parts.into_iter().enumerate() {
        let api = Api::connect(server.address).unwrap();
        let (outcome, files) = run(&api, &script);
        assert!(!outcome.cached, "{part:?}");
        assert_eq!(files, owned(&[("out", "made\n")]), "{part:?}");
        std::fs::remove_dir_all(folder.path().join("cache").join(part)).unwrap();
        let told = || server.log().matches("was removed: the next").count() == round + 1;
        wait_until("it is noticed", told);
        check_the_old_protocols(&server);
    }
    // Where it cannot be made each connection says so, until it can.
    let cache = folder.path().join("cache");
    wait_until("all of it is gone", || {
        let _ = std::fs::remove_dir_all(&cache); // The server is at it, too.
        !cache.exists()
    });
    std::fs::write(&cache, "").unwrap();
    assert!(Api::connect(server.address).is_err());
    // The connection may be closed a moment earlier.
    server.wait_for_log("refused: the cache in ");
    std::fs::remove_file(&cache).unwrap();
    let api = Api::connect(server.address).unwrap();
    assert_eq!(run(&api, &script).0.exit_code, 0);
}

#[test]
fn a_disk_that_is_full_is_told_once_and_room_is_made() {
    let server = setup()
        .with_shared_memory(48)
        .arg("--scratch-memory=0")
        .arg("--cache-dir=/dev/shm/cache")
        .start();
    let api = Api::connect(server.address).unwrap();
    for round in 0..8 {
        let content = format!("{round}").repeat(12 << 20);
        let script = Script::new("cat in > out", &["out"]).file("/w/in", &content);
        let (outcome, files) = run(&api, &script);
        assert_eq!(outcome.exit_code, 0, "{round}");
        assert!(files[0].1 == content, "{round}");
    }
    let log = server.log();
    let told = log.matches("the disk of the cache in /dev/shm/cache is full");
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn an_action_sees_nothing_but_its_root() {
    for server in as_both(setup) {
        let secret = server.file("secret");
        std::fs::write(&secret, "hunter2").unwrap();
        let api = Api::connect(server.address).unwrap();
        let secret = secret.display();
        let script = format!(
            "for x in /* /dev/*; do echo $x; done; set; cat {secret} /etc/shadow /etc/passwd /proc/1/environ \
             /proc/1/root/etc/passwd /proc/self/cwd/../../../../etc/passwd 2>/dev/null; \
             echo > /bin/new; echo > /w/in; true"
        );
        let (outcome, _) = run(&api, &Script::new(&script, &[]).file("/w/in", "input\n"));
        let said = String::from_utf8(outcome.stdout).unwrap();
        for part in ["hunter2", "root:", "HOME=", "USER=", "DISTCC", "CACHE_"] {
            assert!(!said.contains(part), "{part}: {said}");
        }
        let top: Vec<&str> = said.lines().filter(|line| line.starts_with('/')).collect();
        for name in [
            "/etc", "/home", "/root", "/var", "/scratch", "/base", "/room",
        ] {
            assert!(!top.contains(&name), "{said}");
        }
        assert!(
            top.contains(&"/dev/null") && top.contains(&"/proc"),
            "{said}"
        );
        let stderr = String::from_utf8(outcome.stderr).unwrap();
        assert_eq!(stderr.matches("Read-only").count(), 2, "{stderr}");
    }
}

/// Wherever outputs are said to be, or put: nothing of the server's comes back, and nothing is written.
#[test]
fn outputs_lead_nowhere() {
    for server in as_both(setup) {
        let api = Api::connect(server.address).unwrap();
        for output in ["/etc/passwd", "", "..", "a/..", "in/x"] {
            let script = Script::new("true", &[output]).file("/w/in", "");
            let answer = api.run(&script);
            assert!(
                matches!(answer, Err(Trouble::Refused(_))),
                "{output}: {answer:?}"
            );
        }
        // Above all: there it ends at the action's own root.
        let above = Script::new("echo mine > /passwd", &["../../../../passwd"]);
        assert_eq!(
            run(&api, &above).1,
            owned(&[("../../../../passwd", "mine\n")])
        );
        // Through links of its own root, which lead to folders of its own root.
        let through =
            Script::new("echo mine > /etc/passwd", &["out/passwd"]).link("/w/out", "/etc");
        assert_eq!(run(&api, &through).1, owned(&[("out/passwd", "mine\n")]));
        // What the command puts in the place of files and folders.
        for (script, output) in [
            ("ln -s /etc/passwd out", "out"),
            ("ln -s ../../../../../../etc/passwd out", "out"),
            ("mkfifo out", "out"),
            ("mkdir out", "out"),
            ("ln -s /dev/zero out", "out"),
        ] {
            let answer = api.run(&Script::new(script, &[output]));
            assert!(
                matches!(answer, Err(Trouble::Liar(_) | Trouble::Refused(_))),
                "{script}: {answer:?}"
            );
        }
        let moved = "mv d e && ln -s /etc d; echo > e/passwd; rm -r e";
        let moved = Script::new(moved, &["d/passwd"]);
        if let Ok(outcome) = api.run(&moved) {
            for file in outcome.files {
                assert!(!String::from_utf8_lossy(&file.content).contains("root:"));
            }
        }
        let hidden = Script::new("echo x > out; chmod 0 out", &["out"]);
        assert!(matches!(api.run(&hidden), Err(Trouble::Refused(_))));
        check_the_old_protocols(&server);
    }
}

#[test]
fn nobody_gets_more_than_the_limits() {
    for server in as_both(|| setup().arg("--cache-size=256")) {
        let api = Api::connect(server.address).unwrap();
        let time = unique_time();
        // Endless files and messages, processes without end.
        let file = api.run(&Script::new("cat /dev/zero > out", &["out"]));
        assert!(!matches!(file, Ok(Outcome { exit_code: 0, .. })));
        let messages = api.run(&Script::new("cat /dev/zero", &[]));
        assert!(
            !matches!(messages, Ok(Outcome { exit_code: 0, .. })),
            "said gigabytes"
        );
        let bomb = format!("bomb() {{ bomb | bomb & sleep {time}; }}; bomb; sleep {time}");
        let mut bomb = Script::new(&bomb, &[]);
        bomb.timeout = Some(Duration::from_secs(2));
        let ended = api.run(&bomb);
        assert!(
            !matches!(ended, Ok(Outcome { exit_code: 0, .. })),
            "{ended:?}"
        );
        wait_until("all of it is gone", || processes_with(&time) == 0);
        let mut slow = Script::new(&format!("sleep {time}"), &[]);
        slow.timeout = Some(Duration::from_millis(100));
        assert_eq!(api.run(&slow), Err(Trouble::TimedOut));
        wait_until("the slow one is gone", || processes_with(&time) == 0);
        assert!(server.peak_memory() < 400 << 20, "{}", server.peak_memory());
        check_the_old_protocols(&server);
    }
}

#[test]
fn an_action_that_nobody_waits_for_ends() {
    let server = setup().start();
    let api = Api::connect(server.address).unwrap();
    let time = unique_time();
    let script = Script::new(&format!("sleep {time}"), &[]);
    api.leave(&script, || processes_with(&time) > 0);
    wait_until("it ends", || processes_with(&time) == 0);
    // Its slot is free again.
    assert_eq!(run(&api, &Script::new("true", &[])).0.exit_code, 0);
}

#[test]
fn actions_and_compiles_share_the_slots() {
    let server = setup().arg("--jobs=1").start();
    let api = Api::connect(server.address).unwrap();
    let time = unique_time();
    let script = Script::new(&format!("sleep {time}"), &[]);
    std::thread::scope(|scope| {
        let (api, script) = (&api, &script);
        scope.spawn(move || {
            // Ended by the server's end below.
            assert!(api.run(script).is_err());
        });
        wait_until("it runs", || processes_with(&time) > 0);
        let argv = ["cc", "-c", "a.c", "-o", "a.o"];
        let mut waiting = server.connect();
        let request = source_request(Version::Plain, &argv, b"echo x > $out");
        waiting.write_all(&request).unwrap();
        waiting
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        assert!(waiting.read(&mut [0; 1]).is_err(), "it did not wait");
        drop(waiting);
        server.signal(Signal::TERM);
        server.wait_for_log("connections are finished first");
        server.signal(Signal::TERM);
    });
    wait_until("it ends", || processes_with(&time) == 0);
}

#[test]
fn what_runs_is_finished_when_the_server_ends() {
    let mut server = setup().start();
    let api = Api::connect(server.address).unwrap();
    let time = unique_time();
    std::thread::scope(|scope| {
        let text = format!("echo > begun; sleep 1; echo {time} > out");
        let script = Script::new(&text, &["out"]);
        let api = &api;
        let job = scope.spawn(move || run(api, &script).1.len());
        wait_until("it runs", || {
            processes_with(&format!("echo > begun; sleep 1; echo {time} > out")) > 0
        });
        server.signal(Signal::TERM);
        assert_eq!(job.join().unwrap(), 1);
    });
    assert_eq!(server.wait().signal(), Some(15));
    assert!(server.file("cache/blobs/in-order").exists());
}

#[test]
fn other_actions_run_only_where_that_is_said() {
    let mut script = Script::new(
        "cat /etc/ld.so.cache > out; test -d /usr/include && cat in",
        &["out"],
    );
    script = script.file("/w/in", "input");
    script.properties.clear();
    let server = setup().start();
    let refused = Api::connect(server.address).unwrap().run(&script);
    let Err(Trouble::Refused(text)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        text.contains("InputRootAbsolutePath=/") && text.contains("--remote-exec=any"),
        "{text}"
    );
    for server in as_both(|| setup().arg("--remote-exec=any")) {
        let api = Api::connect(server.address).unwrap();
        let (outcome, files) = run(&api, &script);
        assert_eq!((outcome.exit_code, &*outcome.stdout), (0, &b"input"[..]));
        assert_eq!(files.len(), 1);
        // Nor does such a one see more than compilers do.
        let mut nosy = Script::new("cat /etc/shadow /etc/passwd /root/* /home/*", &[]);
        nosy.properties.clear();
        assert_eq!(run(&api, &nosy).0.stdout, b"");
    }
}

#[test]
fn a_stand_in_takes_the_compilers_place_and_nobody_is_given_its_results() {
    let (_folder, cache) = cache();
    let mut script = Script::new("exit 3", &[]);
    script.cached = true;
    let check = |setup: Setup, code: i32, said: &str| {
        let server = setup.arg(&cache).start();
        let api = Api::connect(server.address).unwrap();
        let (outcome, _) = run(&api, &script);
        assert_eq!(outcome.exit_code, code);
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), said);
    };
    let stand_in = || setup().arg("--bench-compiler=/bin/echo");
    check(stand_in(), 0, "-c exit 3\n");
    check(setup(), 3, "");
}

#[test]
fn a_server_that_runs_none_says_so() {
    for (setup, said) in [
        (setup().arg("--remote-exec=off"), ""),
        (
            setup().arg(SANDBOXES[1]),
            "need namespaces: none are run here",
        ),
        (
            setup().without_namespaces(),
            "need namespaces: none are run here",
        ),
        (
            setup().env("CACHE_DIRECTORY", "/dev/null/x"),
            "the cache in /dev/null/x: ",
        ),
        (
            setup()
                .with_shared_memory_of("16k")
                .env("CACHE_DIRECTORY", "/dev/shm/x"),
            "the cache in /dev/shm/x: No space left on device: no actions",
        ),
    ] {
        let server = setup.start();
        // Nobody has to come for it first.
        server.wait_for_log(said);
        assert!(Api::connect(server.address).is_err());
        check_the_old_protocols(&server);
    }
}

#[test]
fn servers_of_one_cache_folder_have_nothing_in_common() {
    let (_folder, cache) = cache();
    let mut script = Script::new("echo made > out", &["out"]);
    script.cached = true;
    for was_left in [false, true] {
        // Both live at the same time.
        let servers = [setup().arg(&cache).start(), setup().arg(&cache).start()];
        for server in &servers {
            let api = Api::connect(server.address).unwrap();
            let known = [(); 2].map(|()| run(&api, &script).0.cached);
            assert_eq!(known, [was_left, true]);
        }
    }
}

/// Whoever begins as if to speak HTTP/2.
#[test]
fn half_a_preface_harms_nobody() {
    let server = setup().env("DISTCC_IO_TIMEOUT", "2").start();
    for bytes in [
        &b"P"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"POST / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let mut stream = server.connect();
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        // Closed by the server in the end, whatever it says before.
        let _ = stream.read_to_end(&mut rest);
    }
    let one_by_one = TcpStream::connect(server.address).unwrap();
    one_by_one.set_nodelay(true).unwrap();
    one_by_one.set_read_timeout(Some(SOON)).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        (&one_by_one).write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; 9];
    (&one_by_one).read_exact(&mut answer).unwrap();
    // Its settings.
    assert_eq!(answer[3], 4);
    drop(one_by_one);
    check_the_old_protocols(&server);
    let api = Api::connect(server.address).unwrap();
    assert_eq!(run(&api, &Script::new("true", &[])).0.exit_code, 0);
}

/// As `ssh host distccd --inetd` speaks: over pipes.
#[test]
fn one_client_on_standard_input_may_speak_it_too() {
    let setup = setup();
    let mut command = setup.command();
    command
        .arg("--inetd")
        .arg("--log-file")
        .arg(setup.file("log"));
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    to.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut settings = [0; 9];
    from.read_exact(&mut settings).unwrap();
    assert_eq!(settings[3], 4);
    drop(to);
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(setup.file("cache/blobs/in-order").exists());
}
