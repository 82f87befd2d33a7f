//! Clients that are slow, silent, gone, or not welcome.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use protocol::Version;
use rustix::process::Signal;
use support::{
    Reply, SANDBOXES, SCRIPTED_COMPILER, SOON, Setup, head, processes_with, source_request,
    unique_time, wait_until,
};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];

fn setup() -> Setup {
    Setup::insecure().script("cc", SCRIPTED_COMPILER)
}

fn request(script: &str) -> Vec<u8> {
    source_request(Version::Plain, &ARGV, script.as_bytes())
}

#[test]
fn silent_clients_keep_nobody_waiting() {
    let server = setup().arg("--jobs=1").start();
    let silent: Vec<TcpStream> = [&b""[..], b"DIST", &head(Version::Plain, None, &ARGV)]
        .iter()
        .map(|bytes| {
            let mut stream = server.connect();
            stream.write_all(bytes).unwrap();
            stream
        })
        .collect();
    // One that does not take its answer either.
    let mut lazy = server.connect();
    lazy.write_all(&request("head -c 50000000 /dev/zero > $out"))
        .unwrap();
    server.wait_for_log(" on localhost completed ok");
    let reply = server.ask(Version::Plain, &request("echo > $out")).unwrap();
    assert_eq!(reply.status, 0);
    drop(silent);
    assert_eq!(
        Reply::read(&mut lazy, Version::Plain).unwrap().object.len(),
        50_000_000
    );
}

#[test]
fn silence_ends_a_connection() {
    let server = setup().env("DISTCC_IO_TIMEOUT", "1").start();
    let started = Instant::now();
    for (bytes, expected) in [
        (
            b"DIST".to_vec(),
            "IO timeout: no complete command within 1 s",
        ),
        (
            head(Version::Plain, None, &ARGV),
            "IO timeout: nothing moved for 1 s",
        ),
    ] {
        // All that comes is there when its time begins.
        server.signal(Signal::STOP);
        let mut client = server.connect();
        client.write_all(&bytes).unwrap();
        server.signal(Signal::CONT);
        assert_eq!(Reply::read(&mut client, Version::Plain), None);
        server.wait_for_log(expected);
    }
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[test]
fn jobs_wait_for_a_slot() {
    let server = setup().arg("--jobs=2").start();
    let script = "mkdir $(dirname $out)/../running.$$; ls -d $(dirname $out)/../running.* | wc -l; \
                  sleep 0.2; rmdir $(dirname $out)/../running.$$; echo > $out";
    let clients: Vec<TcpStream> = (0..6)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request(script)).unwrap();
            stream
        })
        .collect();
    for mut client in clients {
        let reply = Reply::read(&mut client, Version::Plain).unwrap();
        let running: u32 = reply.stdout.trim().parse().unwrap();
        assert!((1..=2).contains(&running), "{running}");
    }
}

#[test]
fn hanging_up_ends_the_compiler() {
    for sandbox in SANDBOXES {
        hanging_up_ends_the_compiler_with(sandbox);
    }
}

fn hanging_up_ends_the_compiler_with(sandbox: &str) {
    let server = setup().arg("--jobs=1").arg(sandbox).start();
    let time = unique_time();
    let script = format!("exec sleep {time}");
    for half in [false, true] {
        let mut client = server.connect();
        client.write_all(&request(&script)).unwrap();
        wait_until("the compiler runs", || processes_with(&time) == 1);
        if half {
            // What 3.4 takes for hanging up, too.
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(Reply::read(&mut client, Version::Plain), None);
        }
        drop(client);
        wait_until("the compiler ends", || processes_with(&time) == 0);
    }
    let summary = " CLI_DISCONN exit:107 sig:0 core:0 ret:107 time:";
    wait_until("two summaries", || {
        server.log().matches(summary).count() == 2
    });
    // The slot is free again.
    assert!(
        server
            .ask(Version::Plain, &request("echo > $out"))
            .is_some()
    );
}

#[test]
fn hanging_up_ends_the_wait_for_a_slot() {
    let server = setup().arg("--jobs=1").start();
    // Compilers see this folder, even in a sandbox.
    let gate = server.file("bin/gate");
    let mut first = server.connect();
    let time = unique_time();
    let script = format!(
        "sleep {time} & until [ -e {} ]; do sleep 0.01; done; kill $!; echo > $out",
        gate.display()
    );
    first.write_all(&request(&script)).unwrap();
    wait_until("the compiler runs", || processes_with(&time) == 1);
    let mut second = server.connect();
    second.write_all(&request("echo > $out")).unwrap();
    wait_until("both are received", || server.leftovers().len() == 2);
    drop(second);
    server.wait_for_log(" CLI_DISCONN ");
    assert_eq!(server.leftovers().len(), 1);
    std::fs::write(&gate, "").unwrap();
    assert!(Reply::read(&mut first, Version::Plain).is_some());
}

#[test]
fn bytes_after_the_request_do_no_harm() {
    let server = setup().start();
    let mut bytes = request("sleep 0.1; head -c 10000000 /dev/zero > $out");
    bytes.extend([b'x'; 1000]);
    let mut client = server.connect();
    client.write_all(&bytes).unwrap();
    client.write_all(&[b'x'; 100_000]).unwrap();
    let reply = Reply::read(&mut client, Version::Plain).unwrap();
    assert_eq!(reply.object.len(), 10_000_000);
    let lines = server.wait_for_log(" COMPILE_OK ");
    let remarks = lines
        .iter()
        .filter(|line| line.contains("ignored bytes after the request"));
    assert_eq!(remarks.count(), 1);
}

#[test]
fn a_refused_client_sees_an_end_even_if_it_is_still_sending() {
    let server = Setup::insecure().start();
    let mut client = server.connect();
    client
        .write_all(&head(Version::Plain, None, &["cc", "a.o", "-o", "a"]))
        .unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    // The source that its preprocessor makes in the meantime.
    client.write_all(&[b'x'; 1_000_000]).unwrap();
    client.write_all(b"x").unwrap();
}

#[test]
fn the_access_list_counts() {
    let server = Setup::bare()
        .arg("--enable-tcp-insecure")
        .arg("--allow=192.0.2.0/24")
        .start();
    let mut client = server.connect();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let address = client.local_addr().unwrap();
    let text = format!("ERROR: connection from client '{address}' denied by access list");
    let lines = server.wait_for_log(&text);
    assert!(!lines.join("").contains("dcc_job_summary"));
}

#[test]
fn without_a_list_private_addresses_are_served_on_both_internets() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Setup::bare()
        .arg("--enable-tcp-insecure")
        .script("cc", SCRIPTED_COMPILER)
        .start_on(listener);
    for address in ["127.0.0.1", "::1"] {
        let mut client = TcpStream::connect((address, port)).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        let argv = ["/bin/true", "-c", "a.c", "-o", "a.o"];
        let request = source_request(Version::Plain, &argv, b"");
        client.write_all(&request).unwrap();
        assert_eq!(Reply::read(&mut client, Version::Plain), None);
    }
    let log = server.log();
    assert!(
        log.contains("client: 127.0.0.1:") && log.contains("client: [::1]:"),
        "{log}"
    );
}

#[test]
fn same_user_serves_this_user() {
    let uid = rustix::process::getuid().as_raw();
    // In a sandbox all users are nobody.
    for (sandbox, expected) in [("--sandbox=off", uid), ("--sandbox=required", 65534)] {
        let setup = Setup::bare()
            .arg("--same-user")
            .arg(sandbox)
            .script("cc", SCRIPTED_COMPILER);
        let path = format!("{}:/usr/bin:/bin", setup.file("bin").display());
        let server = setup.env("DISTCCD_PATH", path).start();
        let request = source_request(Version::Plain, &ARGV, b"id -u; echo > $out");
        let reply = server.ask(Version::Plain, &request).unwrap();
        assert_eq!(reply.stdout, format!("{expected}\n"));
    }
}

#[test]
fn same_user_denies_others() {
    if !rustix::process::getuid().is_root() {
        // Only root can be two users at once; `same_user`'s own tests cover the decision.
        return;
    }
    let server = Setup::bare().arg("--same-user").start();
    let port = server.address.port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3");
    let mut other = std::process::Command::new("bash");
    std::os::unix::process::CommandExt::uid(&mut other, 65534);
    let output = other.args(["-c", &script]).output().unwrap();
    assert_eq!(output.stdout, b"");
    server.wait_for_log("denied by --same-user");
}
