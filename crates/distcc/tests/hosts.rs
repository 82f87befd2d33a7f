//! Host lists: what we make of them, beside what the packaged distcc 3.4 makes of them.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use protocol::Version;
use support::{FakeServer, Place, answer, run, success};

const PACKAGED: &str = "/usr/bin/distcc";
const OURS: &str = env!("CARGO_BIN_EXE_distcc");

/// A list, the hosts that are shown, and their slots; or the complaint about it.
type Row = (&'static str, Result<(&'static str, u32), &'static str>);

/// What both have to make of a list.
const SAME: &[Row] = &[
    ("localhost", Ok(("localhost", 2))),
    ("localhost/7", Ok(("localhost/7", 7))),
    ("127.0.0.1", Ok(("127.0.0.1", 4))),
    ("@angry", Ok(("@angry", 4))),
    ("joe@angry", Ok(("joe@angry", 4))),
    (
        "@angry:/home/u/bin/distccd",
        Ok(("@angry:/home/u/bin/distccd", 4)),
    ),
    ("u@h/5:cmd,lzo,cpp", Ok(("u@h/5:cmd,lzo,cpp", 5))),
    ("angry:4204", Ok(("angry:4204", 4))),
    ("angry/44", Ok(("angry/44", 44))),
    ("angry:300/44", Ok(("angry:300/44", 44))),
    ("angry/44:300", Ok(("angry/44:300", 44))),
    ("[::1]", Ok(("[::1]", 4))),
    (
        "[fe80::1%eth0]:80/3,lzo",
        Ok(("[fe80::1%eth0]:80/3,lzo", 3)),
    ),
    ("angry,lzo", Ok(("angry,lzo", 4))),
    ("a,cpp,lzo b,lzo,cpp", Ok(("a,cpp,lzo b,lzo,cpp", 8))),
    ("a/2,down b/3", Ok(("a/2,down b/3", 5))),
    ("angry:3000,lzo    # comment", Ok(("angry:3000,lzo", 4))),
    ("@angry,lzo#asdasd", Ok(("@angry,lzo", 4))),
    ("localhostbutnotreally", Ok(("localhostbutnotreally", 4))),
    (
        "localhost:80 localhost,lzo",
        Ok(("localhost:80 localhost,lzo", 8)),
    ),
    ("a b\tc\nd\re\x0cf", Ok(("a b c d e f", 24))),
    ("#no\na/1 #no\n b/2#no", Ok(("a/1 b/2", 3))),
    ("a a a/9", Ok(("a a a/9", 17))),
    ("a=7 [::1]=7", Ok(("a=7 [::1]=7", 11))),
    ("a,lzo/8 b,lzox", Ok(("a,lzo/8 b,lzox", 8))),
    ("--bogus", Ok(("--bogus", 4))),
    ("--localslots=3 a", Ok(("a", 4))),
    ("--localslots_cpp=3 a", Ok(("a", 4))),
    (
        "--localslots=3",
        Err("$DISTCC_HOSTS contained no hosts; can't distribute work"),
    ),
    (
        "",
        Err("$DISTCC_HOSTS contained no hosts; can't distribute work"),
    ),
    (
        "  # a\n",
        Err("$DISTCC_HOSTS contained no hosts; can't distribute work"),
    ),
    (
        "localhost/x",
        Err("bad multiplier \"/x\" in host specification"),
    ),
    (
        "a/0 b",
        Err("bad multiplier \"/0 b\" in host specification"),
    ),
    (
        "a:80/ b",
        Err("bad multiplier \"/ b\" in host specification"),
    ),
    ("good a:x", Err("invalid tcp port specification in \"x\"")),
    ("angry::", Err("invalid tcp port specification in \":\"")),
    (
        ":4200",
        Err("hostname is required in tcp host specification \":4200\""),
    ),
    (
        ":",
        Err("hostname is required in tcp host specification \":\""),
    ),
    (
        "@",
        Err("hostname is required in SSH host specification \"@\""),
    ),
    (
        "user@",
        Err("hostname is required in SSH host specification \"user@\""),
    ),
    ("[::1", Err("IPv6 Hostname requires closing ']'")),
    (
        "a,foo b",
        Err("unrecognized option in host specification: ,foo b"),
    ),
    (
        "a,cpp",
        Err("pump mode (',cpp') requires compression (',lzo')"),
    ),
];

/// Lists of which we make something else, on purpose: see `docs/differences.md`.
const OURS_ONLY: &[Row] = &[
    ("a#c", Ok(("a", 4))),
    ("a:80#c", Ok(("a:80", 4))),
    (
        "a:65536",
        Err("invalid tcp port specification in \"65536\""),
    ),
];

fn list_says(place: &Place, program: &str, list: &str, option: &str) -> support::Outcome {
    let mut distcc = place.command(program);
    run(distcc.env("DISTCC_HOSTS", list).arg(option))
}

fn check(place: &Place, program: &str, row: &Row) {
    let (list, expected) = row;
    let shown = list_says(place, program, list, "--show-hosts");
    let counted = list_says(place, program, list, "-j");
    assert_eq!((shown.code, counted.code), (0, 0), "{program} {list:?}");
    match expected {
        Ok((hosts, slots)) => {
            let lines: Vec<&str> = shown.stdout.lines().collect();
            assert_eq!(lines.join(" "), *hosts, "{program} {list:?}: {shown:?}");
            assert_eq!(counted.stdout, format!("{slots}\n"), "{program} {list:?}");
            assert_eq!(shown.stderr, "", "{program} {list:?}");
        }
        Err(complaint) => {
            for outcome in [shown, counted] {
                assert_eq!(outcome.stdout, "", "{program} {list:?}");
                for text in [complaint, "CRITICAL! Failed to get host list"] {
                    assert!(
                        outcome.stderr.contains(text),
                        "{program} {list:?}: {outcome:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn lists_are_understood_as_the_packaged_distcc_does() {
    let place = Place::new();
    fs::create_dir(place.path("state-dir")).unwrap();
    for row in SAME {
        check(&place, OURS, row);
        check(&place, PACKAGED, row);
    }
    for row in OURS_ONLY {
        check(&place, OURS, row);
    }
}

#[test]
fn bad_numbers_of_local_slots_are_told_and_got_over() {
    let place = Place::new();
    fs::create_dir(place.path("state-dir")).unwrap();
    for (list, shown) in [
        ("--localslots=0 b", "--localslots=0\nb\n"),
        ("--localslots_cpp=0 b", "b\n"),
    ] {
        for program in [OURS, PACKAGED] {
            let outcome = list_says(&place, program, list, "--show-hosts");
            assert_eq!(outcome.stdout, shown, "{program} {list}");
            outcome.assert_says(0, "ERROR: bad multiplier \"=0 b\" in host specification");
        }
    }
}

#[test]
fn what_is_not_available_is_named() {
    let place = Place::new();
    // 3.4 would look for such servers on the network.
    let outcome = run(&mut place.distcc("+zeroconf", "gcc -c a.c"));
    outcome.assert_says(0, "+zeroconf is not available");
    let outcome = run(&mut place.distcc("127.0.0.1:1,auth=me", "gcc -c a.c"));
    outcome.assert_says(
        0,
        "authentication is not available; going on without 127.0.0.1:1,auth=me",
    );
    assert!(place.exists("a.o"));
}

/// A place with a hosts file wherever there can be one of the user's.
fn with_files() -> Place {
    let place = Place::new();
    place.write("state-dir/hosts", "in-distcc-dir\n");
    place.write("home/.distcc/hosts", "in-home # comment\nsecond/3\n");
    place
}

/// One variable set or taken away, and the hosts that are found then.
type Source = (&'static str, fn(&mut Command), &'static str);

#[test]
fn the_first_source_counts_alone() {
    let sources: &[Source] = &[
        (
            "variable",
            |c| {
                c.env("DISTCC_HOSTS", "in-variable");
            },
            "in-variable",
        ),
        (
            "folder",
            |c| {
                c.env_remove("DISTCC_HOSTS");
            },
            "in-distcc-dir",
        ),
        (
            "home",
            |c| {
                c.env_remove("DISTCC_HOSTS").env_remove("DISTCC_DIR");
            },
            "in-home second/3",
        ),
        (
            "empty variable",
            |c| {
                c.env("DISTCC_HOSTS", "");
            },
            "",
        ),
    ];
    for program in [OURS, PACKAGED] {
        let place = with_files();
        for (name, change, expected) in sources {
            let mut distcc = place.command(program);
            change(distcc.arg("--show-hosts"));
            let outcome = run(&mut distcc);
            let hosts: Vec<&str> = outcome.stdout.lines().collect();
            assert_eq!(hosts.join(" "), *expected, "{program} {name}: {outcome:?}");
        }
    }
}

#[test]
fn without_a_file_of_the_users_the_machines_counts() {
    // What stands in it is the machine's affair; that both find the same shows that it is read.
    let place = Place::new();
    fs::create_dir(place.path("state-dir")).unwrap();
    let shown = |program: &str| {
        let outcome = run(place.command(program).arg("--show-hosts"));
        (outcome.stdout, outcome.code)
    };
    assert_eq!(shown(OURS), shown(PACKAGED));
}

/// The machine's file is not read in its place: its hosts are others.
#[test]
fn a_folder_is_no_hosts_file() {
    for program in [OURS, PACKAGED] {
        let place = Place::new();
        fs::create_dir_all(place.path("state-dir/hosts")).unwrap();
        let folder = place.path("state-dir/hosts");
        let complaint = format!("failed to read {}: Is a directory", folder.display());
        for option in ["-j", "--show-hosts"] {
            let outcome = run(place.command(program).arg(option));
            assert_eq!(
                outcome.stdout.lines().filter(|line| *line != "0").count(),
                0
            );
            outcome.assert_says(0, &complaint);
        }
    }
}

#[test]
fn a_hosts_file_without_hosts_is_named() {
    for program in [OURS, PACKAGED] {
        let place = Place::new();
        place.write("state-dir/hosts", "# nobody\n");
        let outcome = run(place.command(program).arg("-j"));
        let complaint = format!(
            "{} contained no hosts; can't distribute work",
            place.path("state-dir/hosts").display()
        );
        outcome.assert_says(0, &complaint);
    }
}

#[test]
fn a_random_order_is_another_one_each_time_and_loses_nothing() {
    let hosts: Vec<String> = (0..12).map(|number| format!("h{number}")).collect();
    let list = format!(
        "{} --randomize {}",
        hosts[..6].join(" "),
        hosts[6..].join(" ")
    );
    for program in [OURS, PACKAGED] {
        let place = Place::new();
        fs::create_dir(place.path("state-dir")).unwrap();
        let mut orders = BTreeSet::new();
        for _ in 0..4 {
            let shown = list_says(&place, program, &list, "--show-hosts").stdout;
            let mut sorted: Vec<&str> = shown.lines().collect();
            sorted.sort_unstable();
            let mut expected: Vec<&str> = hosts.iter().map(String::as_str).collect();
            expected.sort_unstable();
            assert_eq!(sorted, expected, "{program}");
            orders.insert(shown);
        }
        assert!(orders.len() > 1, "{program}: {orders:?}");
    }
}

/// The lock files that a compile for these hosts takes, which are named for what was understood.
fn locks(program: &str, hosts: &str) -> BTreeSet<String> {
    let place = Place::new();
    fs::create_dir(place.path("state-dir")).unwrap();
    let mut distcc = place.command(program);
    distcc
        .env("DISTCC_HOSTS", hosts)
        .env("DISTCC_SSH", "false")
        .args(["gcc", "-c", "a.c"]);
    run(&mut distcc);
    assert!(place.exists("a.o"));
    let names = fs::read_dir(place.path("state-dir/lock")).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn lock_and_back_off_files_have_the_names_of_the_packaged_distcc() {
    for (hosts, expected) in [
        ("localhost", &["cpu_localhost_0"][..]),
        (
            "127.0.0.1:1",
            &[
                "backoff_tcp_127.0.0.1_1_0",
                "cpu_localhost_0",
                "cpu_tcp_127.0.0.1_1_0",
            ],
        ),
        (
            "[::1]:1/2",
            &["backoff_tcp_::1_1_0", "cpu_localhost_0", "cpu_tcp_::1_1_0"],
        ),
        (
            "u@h:cmd",
            &["backoff_ssh_h_0", "cpu_localhost_0", "cpu_ssh_h_0"],
        ),
    ] {
        let expected = expected.iter().copied().map(str::to_owned).collect();
        assert_eq!(locks(OURS, hosts), expected, "{hosts}");
        assert_eq!(locks(PACKAGED, hosts), expected, "{hosts}");
    }
}

#[test]
fn a_server_at_an_ipv6_address() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
        // A machine without IPv6 has to say so in a way that people understand.
        let place = Place::new();
        let outcome = run(&mut place.distcc("[::1]:1", "gcc -c a.c"));
        return outcome.assert_says(0, "connect to [::1]:1 failed");
    };
    let port = listener.local_addr().unwrap().port();
    let server = FakeServer::serving(listener, success(Version::Plain, b"OBJECT"));
    let place = Place::new();
    run(&mut place.distcc(&format!("[::1]:{port}"), "gcc -c a.c")).assert(0, &[]);
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert_eq!(server.connections(), 1);
}

#[test]
fn counts_of_local_slots_are_obeyed() {
    // As many jobs as there are slots hold one each until all are there; one more would not fit.
    for (option, words) in [
        ("--localslots=2", "./cc x"),
        ("--localslots_cpp=2", "./cc -E a.c"),
    ] {
        let place = Place::new();
        place.script(
            "cc",
            "mkdir -p running seen; touch running/$$; ls running | wc -l >seen/$$; sleep 0.05; \
             rm running/$$",
        );
        let hosts = format!("{option} 127.0.0.1:1");
        let mut jobs: Vec<_> = (0..6)
            .map(|_| place.distcc(&hosts, words).spawn().unwrap())
            .collect();
        for job in &mut jobs {
            assert!(job.wait().unwrap().success());
        }
        let seen = fs::read_dir(place.path("seen")).unwrap();
        let most = seen.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let most = most.map(|count| count.trim().parse::<u32>().unwrap()).max();
        assert!(most <= Some(2), "{option}: {most:?}");
    }
}

#[test]
fn hosts_with_no_slots_are_passed_over() {
    let server = FakeServer::answering(answer(Version::Plain, 0, "", b"OBJECT"));
    let place = Place::new();
    let hosts = format!("127.0.0.1:1/-1 {}", server.host());
    run(&mut place.distcc(&hosts, "gcc -c a.c")).assert(0, &[]);
    assert_eq!(place.read("a.o"), b"OBJECT");
}
