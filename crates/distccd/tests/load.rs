//! Many connections at once: all are served or turned away, clients take turns, and nothing stays.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use protocol::{Token, Version, token};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Daemon, Reply, Setup, head, source_request, wait_until};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];
/// As many clients as one machine may have at least.
const MANY: usize = 1000;
/// Long enough for that many compiles on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A compiler that starts no other program, unless its source names a `gate`: for that it waits,
/// if there is one, and makes an object of the time.
const COMPILER: &str = r#"
for word; do
    case $last in -o) out=$word ;; esac
    case $word in *.i) source=$word ;; esac
    last=$word
done
read -r line < "$source"
case $line in
    "gate "*) until [ -e "${line#gate }" ]; do sleep 0.01; done; date +%s%N > $out ;;
    *) echo object > $out ;;
esac
"#;

fn server(jobs: u32) -> Daemon {
    // A test needs as many descriptors as its server.
    let limit = getrlimit(Resource::Nofile);
    let more = Rlimit {
        current: limit.maximum.map(|most| most.min(8192)).or(Some(8192)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, more).unwrap();
    Setup::insecure()
        .script("cc", COMPILER)
        .arg("--allow=127.0.0.0/8")
        .arg(format!("--jobs={jobs}"))
        .start()
}

fn request(source: &str) -> Vec<u8> {
    source_request(Version::Plain, &ARGV, format!("{source}\n").as_bytes())
}

/// Connects as another machine: every address in 127.0.0.0/8 is this one.
fn connect_from(server: &Daemon, last: u8) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    rustix::net::bind(&socket, &own).unwrap();
    rustix::net::connect(&socket, &server.address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What a server has of what may leak: descriptors, threads, and children of its helper.
fn belongings(server: &Daemon) -> [usize; 3] {
    let pid = server.child.id();
    let entries = |folder: &str| {
        fs::read_dir(format!("/proc/{pid}/{folder}"))
            .unwrap()
            .count()
    };
    let children = |pid: &str| {
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let list = list.unwrap_or_default();
        list.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let helpers = children(&pid.to_string());
    let jobs = helpers.iter().map(|helper| children(helper).len()).sum();
    [entries("fd"), entries("task"), jobs]
}

fn check_nothing_stays(server: &Daemon, before: [usize; 3]) {
    // What was counted first may have had the end of a connection in it.
    wait_until("descriptors, threads and processes are as before", || {
        belongings(server)
            .iter()
            .zip(before)
            .all(|(now, before)| *now <= before)
    });
    server.check_clean();
}

/// Serves as many at a time as it can, so that what is made once, or once for each slot, is there.
fn warm_up(server: &Daemon, slots: usize) -> [usize; 3] {
    let gate = server.file("bin/warm");
    let source = format!("gate {}", gate.display());
    let mut clients: Vec<TcpStream> = (0..slots).map(|_| connect_from(server, 1)).collect();
    for client in &mut clients {
        client.write_all(&request(&source)).unwrap();
    }
    wait_until("all slots are taken", || belongings(server)[2] == slots);
    fs::write(gate, "").unwrap();
    for mut client in clients {
        assert!(Reply::read(&mut client, Version::Plain).is_some());
    }
    server.check_clean();
    belongings(server)
}

#[test]
fn a_thousand_connections_at_once_are_served_by_two_slots() {
    let server = server(2);
    let before = warm_up(&server, 2);
    let clients: Vec<TcpStream> = (0..MANY)
        .map(|_| {
            let mut client = server.connect();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.write_all(&request("x")).unwrap();
            client
        })
        .collect();
    for mut client in clients {
        let reply = Reply::read(&mut client, Version::Plain).unwrap();
        assert_eq!((reply.status, &reply.object[..]), (0, &b"object\n"[..]));
    }
    // A thread's stack, a buffer of the connection, and the kernel's rounding: 100 KiB each.
    assert!(server.peak_memory() < 128 << 20, "{}", server.peak_memory());
    check_nothing_stays(&server, before);
}

#[test]
fn who_comes_late_with_one_job_waits_for_one_compile() {
    let server = server(1);
    let gate = server.file("bin/gate");
    let mut greedy: Vec<TcpStream> = (0..50).map(|_| connect_from(&server, 1)).collect();
    let source = format!("gate {}", gate.display());
    for client in &mut greedy {
        client.write_all(&request(&source)).unwrap();
    }
    wait_until("all are received", || server.leftovers().len() == 50);
    let mut late = connect_from(&server, 2);
    late.write_all(&request(&source)).unwrap();
    wait_until("this one, too", || server.leftovers().len() == 51);
    // Received is not yet in line.
    wait_until("all wait", || {
        let first = waiting_threads(&server);
        first.is_some() && first == waiting_threads(&server)
    });
    fs::write(gate, "").unwrap();
    let time = |client: &mut TcpStream| -> u64 {
        let reply = Reply::read(client, Version::Plain).unwrap();
        let text = String::from_utf8(reply.object).unwrap();
        text.trim().parse().unwrap()
    };
    let late = time(&mut late);
    let before = greedy.iter_mut().map(time).filter(|time| *time < late);
    let place = before.count();
    // The one that ran, and at most one in line before.
    assert!(place <= 2, "{place} before it");
}

/// The threads of a server, if all of them wait, and how often each has waited so far.
fn waiting_threads(server: &Daemon) -> Option<Vec<String>> {
    let threads = fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
    let threads = threads.flatten().map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        status.contains("\nState:\tS").then_some(status)
    });
    threads.collect()
}

/// What somebody sends who wants to keep a server busy: less than a job each time.
fn attacks() -> Vec<Vec<u8>> {
    let mut half_source = head(Version::Plain, None, &ARGV);
    token::put_number(&mut half_source, Token::DOTI, 100 << 20);
    half_source.extend([b'x'; 1000]);
    vec![
        Vec::new(),
        b"DIST".to_vec(),
        b"DIST00000001ARGC000186a0ARGV00000001x".to_vec(),
        head(Version::Plain, None, &ARGV),
        head(Version::Pump, Some("/c"), &ARGV),
        half_source,
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
    ]
}

#[test]
fn an_attacker_with_all_it_can_get_leaves_room_for_others() {
    let server = server(2);
    let before = warm_up(&server, 2);
    let attacks = attacks();
    let mut held = Vec::new();
    for number in 0..MANY * 3 / 2 {
        let mut client = connect_from(&server, 1);
        // Some are closed at once.
        let _ = client.write_all(&attacks[number % attacks.len()]);
        held.push(client);
    }
    server.wait_for_log("refused: too many connections of this client");
    // Some are honest jobs, so that slots are in demand, too.
    let mut jobs = Vec::new();
    for last in 2..=3 {
        for _ in 0..20 {
            let mut client = connect_from(&server, last);
            client.write_all(&request("x")).unwrap();
            jobs.push(client);
        }
    }
    for mut client in jobs {
        assert_eq!(Reply::read(&mut client, Version::Plain).unwrap().status, 0);
    }
    // Who is turned away sees an end, or a reset where it had sent something.
    let refused = held.last_mut().unwrap();
    assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)));
    assert!(server.peak_memory() < 160 << 20, "{}", server.peak_memory());
    drop(held);
    check_nothing_stays(&server, before);
    assert!(server.ask(Version::Plain, &request("x")).is_some());
}
