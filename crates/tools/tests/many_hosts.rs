//! lsdistcc among hundreds of hosts, and beside the lsdistcc of distcc 3.4.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

const OURS: &str = env!("CARGO_BIN_EXE_lsdistcc");

/// Standard output, sorted, and the exit code.
fn lsdistcc(program: &str, args: &[String]) -> (Vec<String>, Option<i32>) {
    let mut command = Command::new(program);
    command.env("HOST", "me.0.1").env_remove("HOSTNAME");
    let output = command.args(args).stdin(Stdio::null()).output();
    let output = output.expect("the package distcc is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    lines.sort();
    (lines, output.status.code())
}

/// What a host does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Compiles.
    Up,
    /// Takes a connection and says nothing.
    Silent,
    /// Does not even take connections: its queue is full.
    Stalled,
    /// Nobody listens.
    Refusing,
    /// Takes a connection and closes it.
    Closing,
}
use Kind::{Closing, Refusing, Silent, Stalled, Up};

const KINDS: [Kind; 5] = [Up, Silent, Stalled, Refusing, Closing];

const ANSWER: &[u8] = b"DONE00000001STAT00000000SERR00000000SOUT00000000DOTO00000001x";

/// Listens for as long as the test's process lives, unless the port is taken.
fn start(kind: Kind, address: SocketAddrV4) -> io::Result<Vec<OwnedFd>> {
    Ok(match kind {
        Refusing => Vec::new(),
        Silent => vec![TcpListener::bind(address)?.into()],
        Stalled => {
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
            bind(&socket, &address)?;
            listen(&socket, 0).unwrap();
            let mut held = vec![socket];
            for _ in 0..3 {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let client = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
                let client = client.unwrap();
                let _ = connect(&client, &address); // It goes on in the background, or stalls.
                held.push(client);
            }
            held
        }
        Up | Closing => {
            let listener = TcpListener::bind(address)?;
            std::thread::spawn(move || {
                for mut client in listener.incoming().flatten() {
                    if let Closing = kind {
                        continue;
                    }
                    let mut request = Vec::new();
                    let mut buffer = [0; 512];
                    while !request.ends_with(b"return 0;}") {
                        match client.read(&mut buffer) {
                            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                            _ => break,
                        }
                    }
                    let _ = client.write_all(ANSWER); // One that has gone needs none.
                }
            });
            Vec::new()
        }
    })
}

/// Starts these hosts on a port that is free on all addresses. It is not one of those that the
/// kernel gives away by itself, so nobody takes it for a moment.
fn start_all(hosts: impl Iterator<Item = (Kind, Ipv4Addr)> + Clone) -> (u16, Vec<OwnedFd>) {
    let first = std::process::id() % 10_000;
    let ports = (0..10_000).map(|nth| 20_000 + (first + nth * 37) % 10_000);
    for port in ports.map(|port| u16::try_from(port).unwrap()) {
        // Closed again at once: only whether it is free matters.
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err() {
            continue;
        }
        let mut held = Vec::new();
        let taken = hosts.clone().find_map(|(kind, address)| {
            match start(kind, SocketAddrV4::new(address, port)) {
                Ok(more) => {
                    held.extend(more);
                    None
                }
                Err(error) => Some(error),
            }
        });
        match taken {
            None => return (port, held),
            Some(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}"),
        }
    }
    panic!("no port is free");
}

#[test]
fn hundreds_of_hosts_are_told_apart_within_the_time() {
    const HOSTS: u32 = 400;
    let first = Ipv4Addr::new(127, 77, 3, 1).to_bits();
    let hosts = || (0..HOSTS).map(|at| (KINDS[at as usize % 5], Ipv4Addr::from_bits(first + at)));
    let (port, _held) = start_all(hosts());
    // One after the other, the hosts that are down would take 80 x 6 + 80 x 8 seconds and more.
    let mut args: Vec<String> = ["-t60", "-c6000", "-k8000", "-pcc", "-x"]
        .map(String::from)
        .into();
    args.push(format!("-r{port}"));
    args.extend(hosts().map(|(_, address)| address.to_string()));
    let mut expected: Vec<String> = hosts()
        .map(|(kind, address)| match kind {
            Up => format!("{address}:{port}"),
            _ => format!("{address}:{port},down"),
        })
        .collect();
    expected.sort();
    assert_eq!(lsdistcc(OURS, &args), (expected.clone(), Some(0)));
    // Without -x, only those that are up; the packaged program agrees.
    args.retain(|word| word != "-x");
    expected.retain(|line| !line.ends_with(",down"));
    assert_eq!(lsdistcc(OURS, &args), (expected.clone(), Some(0)));
    assert_eq!(lsdistcc("lsdistcc", &args), (expected, Some(0)));
}

#[test]
fn the_packaged_program_says_the_same() {
    let up = Ipv4Addr::new(127, 77, 9, 1);
    let (port, _held) = start_all([(Up, up)].into_iter());
    let times = ["-t60", "-c20000", "-k20000", "-h20000"];
    for line in [
        "127.77.9.1",
        "127.77.9.1 127.77.9.2",
        "-x 127.77.9.1 127.77.9.2",
        "-x -P2 127.77.9.1 127.77.9.2",
        "-x -P3 127.77.9.1 127.77.9.2",
        "-n localhost 127.77.9.1",
        "-n -x localhost",
        "-pcc -x 127.77.9.1 127.77.9.2",
        "-pcc -k0 127.77.9.1",
        "-pcc -k300 -P2 -x 127.77.9.1",
        "-c0 127.77.9.9",
        "-c0 -x 127.77.9.9",
        "-c0 -m30 127.77.9.%d",
        "-c0 -m31 127.77.9.%d",
        "-c0 127.77.%d.1 ignored",
        "-c0 -d 127.77",
        "-g1 -c0 127.77.9.1 a..b c..d 127.77.9.2",
        "-g5 -c0 a..b c..d 127.77.9.2",
        "-o4 -c0 127.77.9.1 127.77.9.2 127.77.9.3 127.77.9.4",
        "-vq 127.77.9.1",
        "-o 127.77.9.1",
        "-t0 127.77.9.1",
        "a..b",
        "-x a..b",
        "127.77.9.2",
    ] {
        // Later words win.
        let mut args: Vec<String> = times.map(String::from).into();
        args.push(format!("-r{port}"));
        args.extend(line.split(' ').map(String::from));
        // Which look-up ends first is left to the kernel, with either program: `-m` compares the
        // others with the first one, `-g` stops if enough have failed before the next one begins.
        let runs = if line.contains("%d") || line.contains("-g") {
            40
        } else {
            1
        };
        let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
        let says_the_same = (0..runs).any(|_| {
            ours.push(lsdistcc(OURS, &args));
            theirs.push(lsdistcc("lsdistcc", &args));
            ours.iter().any(|said| theirs.contains(said))
        });
        assert!(says_the_same, "{line}: {ours:?}, but packaged: {theirs:?}");
    }
    // The usage has words of its own.
    for line in [
        "--help", "-z", "-", "--", "-rx", "-r0", "-P0", "-P4", "-m32", "-m-1", "-c-5", "-k-1",
        "-g-1", "-o-1", "-h-1", "-t-1", "-r 3632", "-p",
    ] {
        let args: Vec<String> = line.split(' ').map(String::from).collect();
        let [(ours, code), (theirs, their_code)] =
            [OURS, "lsdistcc"].map(|program| lsdistcc(program, &args));
        assert_eq!(code, their_code, "{line}");
        let is_usage = |lines: &[String]| lines.iter().any(|line| line.starts_with("Usage:"));
        assert_eq!(is_usage(&ours), is_usage(&theirs), "{line}");
    }
}
