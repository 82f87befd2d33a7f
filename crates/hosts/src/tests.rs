//! What distcc 3.4 makes of host lists; every vector was tried on it (`distcc --show-hosts`,
//! `-j`, and the names of its lock files) unless it says otherwise.

use super::*;
use proptest::prelude::*;
use std::os::unix::ffi::OsStrExt;

/// A short form of a host: `SPEC -> TRANSPORT SLOTS OPTIONS`.
fn show(host: &Host) -> String {
    let transport = match &host.transport {
        Transport::Local => "local".to_owned(),
        Transport::Tcp { host, port } => format!("tcp {} {port}", host.display()),
        Transport::Ssh {
            user,
            host,
            command,
        } => format!(
            "ssh {:?} {} {:?}",
            user.as_deref().unwrap_or_default(),
            host.display(),
            command.as_deref().unwrap_or_default()
        ),
        Transport::Engine { name } => format!("engine {}", name.display()),
    };
    let mut options = String::new();
    for (set, name) in [(host.lzo, " lzo"), (host.cpp, " cpp"), (host.down, " down")] {
        options += if set { name } else { "" };
    }
    match &host.auth {
        None => {}
        Some(None) => options += " auth",
        Some(Some(name)) => options += &format!(" auth={}", name.display()),
    }
    let spec = host.spec.display();
    format!("{spec} -> {transport} {}{options}", host.slots)
}

fn check(text: &str, expected: &[&str]) {
    match parse(text.as_bytes()) {
        Ok(list) => {
            let hosts: Vec<String> = list.hosts.iter().map(show).collect();
            assert_eq!(hosts, expected, "{text:?}");
        }
        Err(error) => panic!("{text:?}: {error}"),
    }
}

fn check_error(text: &str, offset: usize, message: &str) {
    let error = parse(text.as_bytes()).expect_err(text);
    assert_eq!(
        (error.offset, error.to_string().as_str()),
        (offset, message),
        "{text:?}"
    );
}

#[test]
fn vectors_of_the_reference_suite() {
    for (text, expected) in [
        ("localhost", "localhost -> local 2"),
        ("127.0.0.1", "127.0.0.1 -> tcp 127.0.0.1 3632 4"),
        ("@angry", r#"@angry -> ssh "" angry "" 4"#),
        ("joe@angry", r#"joe@angry -> ssh "joe" angry "" 4"#),
        (
            "@angry:/home/u/bin/distccd",
            r#"@angry:/home/u/bin/distccd -> ssh "" angry "/home/u/bin/distccd" 4"#,
        ),
        ("angry:4204", "angry:4204 -> tcp angry 4204 4"),
        ("angry/44", "angry/44 -> tcp angry 3632 44"),
        ("angry:300/44", "angry:300/44 -> tcp angry 300 44"),
        ("angry/44:300", "angry/44:300 -> tcp angry 300 44"),
        ("angry,lzo", "angry,lzo -> tcp angry 3632 4 lzo"),
        (
            "angry:3000,lzo    # comment",
            "angry:3000,lzo -> tcp angry 3000 4 lzo",
        ),
        (
            "@angry,lzo#asdasd",
            r#"@angry,lzo -> ssh "" angry "" 4 lzo"#,
        ),
        (
            "localhostbutnotreally",
            "localhostbutnotreally -> tcp localhostbutnotreally 3632 4",
        ),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn bad_vectors_of_the_reference_suite() {
    check_error(
        "@",
        0,
        "hostname is required in SSH host specification \"@\"",
    );
    check_error(
        ":",
        0,
        "hostname is required in tcp host specification \":\"",
    );
    check_error(
        "user@",
        0,
        "hostname is required in SSH host specification \"user@\"",
    );
    check_error("angry::", 0, "invalid tcp port specification in \":\"");
    check_error(
        ":4200",
        0,
        "hostname is required in tcp host specification \":4200\"",
    );
}

#[test]
fn list_without_hosts_is_empty() {
    for text in [
        "",
        "   ",
        "#",
        "# a b",
        "#a\n#b",
        "--randomize#x",
        "--localslots#x",
    ] {
        check(text, &[]);
    }
}

#[test]
fn entries_end_at_blanks_and_comments() {
    for text in [
        "a b",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\x0cb",
        " \x0ba\n\n b ",
        "a #c\nb",
        "#c\na b#c",
    ] {
        check(text, &["a -> tcp a 3632 4", "b -> tcp b 3632 4"]);
    }
    check("a\x0bb", &["a\x0bb -> tcp a\x0bb 3632 4"]);
}

#[test]
fn comment_may_follow_any_part_of_an_entry() {
    // 3.4 takes the comment of the first two and of `@h#c` into the name, and refuses the third.
    check("a#c", &["a -> tcp a 3632 4"]);
    check("@h:cmd#c", &[r#"@h:cmd -> ssh "" h "cmd" 4"#]);
    check("a:80#c", &["a:80 -> tcp a 80 4"]);
    check("@h#c", &[r#"@h -> ssh "" h "" 4"#]);
    check("[::1]#c", &["[::1] -> tcp ::1 3632 4"]);
    check("a/3#c", &["a/3 -> tcp a 3632 3"]);
    check("localhost#c", &["localhost -> local 2"]);
    check("a:80,auth=n#c", &["a:80,auth=n -> tcp a 80 4 auth=n"]);
}

#[test]
fn local_entries() {
    check("localhost/3", &["localhost/3 -> local 3"]);
    check("localhost/3:80,foo", &["localhost/3:80,foo -> local 3"]);
    check("localhost/-2", &["localhost/-2 -> local 0"]);
    check("localhost:80", &["localhost:80 -> tcp localhost 80 4"]);
    check(
        "localhost,lzo",
        &["localhost,lzo -> tcp localhost 3632 4 lzo"],
    );
    check("localhost=3", &["localhost=3 -> tcp localhost=3 3632 4"]);
    check("LOCALHOST", &["LOCALHOST -> tcp LOCALHOST 3632 4"]);
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    check("[::1]", &["[::1] -> tcp ::1 3632 4"]);
    check("[::1]/3", &["[::1]/3 -> tcp ::1 3632 3"]);
    check("[::1]=7", &["[::1]=7 -> tcp ::1 3632 7"]);
    check(
        "[fe80::1%eth0]:80/3,lzo",
        &["[fe80::1%eth0]:80/3,lzo -> tcp fe80::1%eth0 80 3 lzo"],
    );
    check("[::1]x,foo", &["[::1]x,foo -> tcp ::1 3632 4"]);
    for text in ["[", "[::1", "[a b]", "[::1/3]:80", "[:,lzo]", "[/]"] {
        check_error(text, 0, "IPv6 Hostname requires closing ']'");
    }
    check_error(
        "[]:80 b",
        0,
        "hostname is required in tcp host specification \"[]:80 b\"",
    );
}

#[test]
fn ssh_entries() {
    for (text, expected) in [
        ("@h/5:cmd", r#"ssh "" h "cmd" 5"#),
        ("@h:cmd/5", r#"ssh "" h "cmd/5" 4"#),
        ("@h=5:cmd", r#"ssh "" h=5 "cmd" 4"#),
        ("u@h:c=4,lzo,cpp", r#"ssh "u" h "c=4" 4 lzo cpp"#),
        ("@h:a:b", r#"ssh "" h "a:b" 4"#),
        ("@h:", r#"ssh "" h "" 4"#),
        ("@h/5x:cmd,foo", r#"ssh "" h "" 5"#),
        ("a@b@c", r#"ssh "a" b@c "" 4"#),
        ("u/x@b/3", r#"ssh "u/x" b "" 3"#),
        ("a,b@c", r#"ssh "a,b" c "" 4"#),
        ("[::1]@b", r#"ssh "[::1]" b "" 4"#),
    ] {
        check(text, &[&format!("{text} -> {expected}")]);
    }
    for text in ["@:cmd", "@/5", "@,lzo", "u@ b"] {
        let message = format!("hostname is required in SSH host specification \"{text}\"");
        check_error(text, 0, &message);
    }
}

#[test]
fn slots() {
    for (text, slots) in [
        ("a/5x", 5),
        ("a/5x,cpp", 5),
        ("a/+5,foo", 5),
        ("a/010", 10),
        ("a/3/4", 4),
        ("a/3=4", 4),
        ("a/5:80/6", 6),
        ("a:80/6:90", 6),
        ("a:80/3/4", 3),
        ("a:80/3=4,foo", 3),
        ("a=7", 4),
        ("=5", 4),
        ("a/-3", 0),
        ("a/99999999999999999999", 0x7fff_ffff),
    ] {
        let list = parse(text.as_bytes()).expect(text);
        assert_eq!(list.hosts[0].slots, slots, "{text}");
    }
    for (text, quote) in [
        ("localhost/x", "/x"),
        ("localhost/", "/"),
        ("localhost/0", "/0"),
        ("a/", "/"),
        ("a/0", "/0"),
        ("a/x#c\nd", "/x#c\nd"),
        ("a:80/x,lzo", "/x,lzo"),
        ("@h/0", "/0"),
    ] {
        let message = format!("bad multiplier \"{quote}\" in host specification");
        check_error(text, 0, &message);
    }
}

#[test]
fn ports() {
    for (text, port) in [
        ("a:80,lzo", 80),
        ("a:010", 10),
        ("a:+5", 5),
        ("a:", 0),
        ("a:65535", 65535),
        ("a: 80", 80),
    ] {
        let list = parse(text.as_bytes()).expect(text);
        let transport = Transport::Tcp {
            host: "a".into(),
            port,
        };
        assert_eq!(list.hosts[0].transport, transport, "{text}");
    }
    // 3.4 does not look at the range of the last two.
    for (text, quote) in [
        ("a:x b", "x b"),
        ("a:80x", "80x"),
        ("a:80=4", "80=4"),
        ("a:0x10", "0x10"),
        ("a:65536", "65536"),
        ("a:-5", "-5"),
    ] {
        let message = format!("invalid tcp port specification in \"{quote}\"");
        check_error(text, 0, &message);
    }
}

#[test]
fn options() {
    for (text, expected) in [
        ("a,lzo,cpp", " lzo cpp"),
        ("a,cpp,lzo", " lzo cpp"),
        ("a,lzo,lzo", " lzo"),
        ("a,down", " down"),
        ("a,auth", " auth"),
        ("a,auth=", " auth"),
        ("a,auth=foo,lzo", " lzo auth=foo"),
        ("a,auth=x:1,foo", " auth=x"),
        ("a,authx,foo", " auth"),
        ("a,lzo/8", " lzo"),
        ("a,lzox,foo", " lzo"),
        ("a,lzo:80", " lzo"),
    ] {
        check(text, &[&format!("{text} -> tcp a 3632 4{expected}")]);
    }
    for (text, quote) in [
        ("a,foo#x b", ",foo#x b"),
        ("a,", ","),
        ("a,,lzo", ",,lzo"),
        ("a,lzo,foo bar", ",lzo,foo bar"),
        ("a,auth=,foo", ",auth=,foo"),
        ("a,DOWN", ",DOWN"),
        ("a:80,", ","),
    ] {
        let message = format!("unrecognized option in host specification: {quote}");
        check_error(text, 0, &message);
    }
    for (text, quote) in [("a,cpp b", ",cpp b"), ("@h,cpp,down", ",cpp,down")] {
        let message = format!(
            "pump mode (',cpp') requires compression (',lzo'): invalid host options: {quote}"
        );
        check_error(text, 0, &message);
    }
}

#[test]
fn list_options() {
    let list = |text: &str| {
        let list = parse(text.as_bytes()).expect(text);
        let hosts: Vec<String> = list.hosts.iter().map(show).collect();
        let complaints: Vec<String> = list.complaints.iter().map(|c| c.to_string()).collect();
        (
            (
                list.randomize,
                list.local_slots,
                list.local_cpp_slots,
                list.zeroconf,
            ),
            hosts.join("; "),
            complaints.join("; "),
        )
    };
    let b = "b -> tcp b 3632 4";
    for (text, options, hosts, complaints) in [
        ("b", (false, 4, 8, false), b, ""),
        ("--randomize b", (true, 4, 8, false), b, ""),
        ("b --randomizefoo", (true, 4, 8, false), b, ""),
        ("--localslots=3 b", (false, 3, 8, false), b, ""),
        ("--localslots/9zz b", (false, 9, 8, false), b, ""),
        ("--localslots=3=5 b", (false, 3, 8, false), b, ""),
        ("--localslots b", (false, 4, 8, false), b, ""),
        ("--localslotsfoo b", (false, 4, 8, false), b, ""),
        ("--localslots=-3 b", (false, 1, 8, false), b, ""), // 3.4: none
        ("--localslots_cpp=2b b", (false, 4, 2, false), b, ""),
        ("b +zeroconf#x", (false, 4, 8, true), b, ""),
        (
            "+zeroconf,lzo",
            (false, 4, 8, false),
            "+zeroconf,lzo -> tcp +zeroconf 3632 4 lzo",
            "",
        ),
        (
            "--bogus",
            (false, 4, 8, false),
            "--bogus -> tcp --bogus 3632 4",
            "",
        ),
        (
            "--localslots_cpp=0 b",
            (false, 4, 8, false),
            b,
            "bad multiplier \"=0 b\" in host specification",
        ),
        (
            "--localslots=0",
            (false, 4, 8, false),
            "--localslots=0 -> tcp --localslots=0 3632 4",
            "bad multiplier \"=0\" in host specification",
        ),
    ] {
        let expected = (options, hosts.to_owned(), complaints.to_owned());
        assert_eq!(list(text), expected, "{text}");
    }
}

#[test]
fn engines_are_ours_alone() {
    check("grpc://a:1", &["grpc://a:1 -> engine grpc://a:1 32"]);
    check(
        "b,cpp,lzo grpc://[::1]:80/x/y,slots=7 c",
        &[
            "b,cpp,lzo -> tcp b 3632 4 lzo cpp",
            "grpc://[::1]:80/x/y,slots=7 -> engine grpc://[::1]:80/x/y 7",
            "c -> tcp c 3632 4",
        ],
    );
    for option in [",lzo", ",cpp", ",slots", ",slots=0x,", ","] {
        let text = format!("grpc://a:1{option}");
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
    for name in [
        "grpc://",
        "grpc://a",
        "grpc://:1",
        "grpc://a:0",
        "grpc://a:65536/x",
    ] {
        let message = format!("grpc:// wants HOST:PORT in \"{name} b\"");
        check_error(&format!("{name} b"), 0, &message);
    }
}

#[test]
fn error_tells_where_the_entry_begins() {
    let error = parse(b"good, # no\n good,lzo  a:x").expect_err("first entry");
    assert_eq!(error.offset, 0);
    let error = parse(b"# note\n good,lzo  a:x b").expect_err("second entry");
    assert_eq!(error.offset, 18);
    assert_eq!(error.message, "invalid tcp port specification in \"x b\"");
}

#[test]
fn names_need_not_be_utf8() {
    let list = parse(b"\xff\xfe:1 u\xff@h\xfe").expect("bytes");
    assert_eq!(list.hosts[0].spec.as_bytes(), b"\xff\xfe:1");
    let Transport::Ssh { user, host, .. } = &list.hosts[1].transport else {
        panic!("{:?}", list.hosts[1]);
    };
    assert_eq!(user.as_deref().map(OsStrExt::as_bytes), Some(&b"u\xff"[..]));
    assert_eq!(host.as_bytes(), b"h\xfe");
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text);
    }

    #[test]
    fn every_host_is_an_entry_of_the_list(text in "([ab@:/=,#\\[\\]0-9 \n-]|lzo|cpp|auth|localhost){0,40}") {
        if let Ok(list) = parse(text.as_bytes()) {
            let mut from = 0;
            for host in &list.hosts {
                let spec = host.spec.to_str().expect("text is ASCII");
                prop_assert!(!spec.is_empty());
                prop_assert!(!spec.contains([' ', '\n', '#']));
                let at = text[from..].find(spec);
                prop_assert!(at.is_some(), "{spec} not in {}", &text[from..]);
                from += at.unwrap_or(0) + spec.len();
                prop_assert!(!host.cpp || host.lzo);
            }
        }
    }
}

#[test]
fn servers_behind_ssh_are_started_by_a_command() {
    let command = |ssh: &[&str], user: Option<&str>, program: Option<&str>| {
        let ssh: Vec<OsString> = ssh.iter().map(OsString::from).collect();
        let (user, program) = (user.map(OsStr::new), program.map(OsStr::new));
        ssh_command(&ssh, user, "h".as_ref(), program).join(OsStr::new(" "))
    };
    assert_eq!(
        command(&["ssh"], None, None),
        "ssh h distccd --inetd --enable-tcp-insecure"
    );
    assert_eq!(
        command(&["ssh", "-p", "22"], Some("u"), Some("/opt/distccd")),
        "ssh -p 22 -l u h /opt/distccd --inetd --enable-tcp-insecure"
    );
}
