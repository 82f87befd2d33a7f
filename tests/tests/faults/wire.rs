//! Connections that break at each packet of each protocol, by a proxy between client and server.
//!
//! Whatever happens to a packet, the compile succeeds with the object that the compiler makes
//! here, within the time that the client is told to wait, and says what was wrong. What cannot be
//! noticed is left out: distcc's protocols have no checksums, so noise of the right length in an
//! uncompressed answer of protocol 1 is an answer.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use end_to_end::client::Client;
use end_to_end::compilers::write_compiler;
use end_to_end::include_server::IncludeServer;
use end_to_end::port::Port;
use end_to_end::programs::Side;
use end_to_end::proxy::{Fault, Proxy};
use end_to_end::run::{Done, run, run_within};
use end_to_end::server::{Server, Setup};
use end_to_end::tree::{Tree, snapshot};

/// What all compiles of a protocol share.
struct Bench {
    protocol: u32,
    programs: Tree,
    server: Server,
    include_server: IncludeServer,
    object: Vec<u8>,
}

/// Far less than the 300 s that a client waits unless it is told to wait for five.
const PATIENCE: Duration = Duration::from_secs(100);

const COMMAND: [&str; 8] = [
    "said-gcc", "-Wall", "-O1", "-MD", "-c", "dir/a.c", "-o", "a.o",
];

impl Bench {
    fn new(side: Side, protocol: u32) -> Self {
        let programs = Tree::new();
        // No packet of its answers is empty.
        write_compiler(&programs, "said-gcc", "echo said; exec gcc \"$@\"");
        let tree = source();
        let mut here = Client::of(Side::Ours, "")
            .with_programs(&programs.path())
            .command("said-gcc", &tree.path());
        run(here.args(&COMMAND[1..])).expect_success();
        Self {
            protocol,
            server: Setup::of(side).with_programs(programs.path()).start(),
            include_server: IncludeServer::start(&programs.path()),
            object: fs::read(tree.join("a.o")).unwrap(),
            programs,
        }
    }

    fn options(&self) -> &'static str {
        ["", "", ",lzo", ",lzo,cpp"][self.protocol as usize]
    }

    /// Compiles by a host; returns what was said, and what is wrong with the result.
    fn compile(&self, port: u16, is_patient: bool) -> (Done, String) {
        let tree = source();
        let host = format!("127.0.0.1:{port}{}", self.options());
        let client = Client::of(Side::Ours, &host)
            .with_fallback()
            .with_programs(&self.programs.path())
            .with("INCLUDE_SERVER_PORT", self.include_server.socket())
            .with("DISTCC_IO_TIMEOUT", if is_patient { "90" } else { "5" });
        let done = run_within(
            &mut client.distcc(&COMMAND.map(Into::into), &tree.path()),
            PATIENCE,
        );
        let mut wrong = String::new();
        if done.code() != 0 {
            wrong += "the compile failed; ";
        }
        if fs::read(tree.join("a.o")).ok().as_ref() != Some(&self.object) {
            wrong += "the object differs; ";
        }
        let made: Vec<PathBuf> = snapshot(&tree.path()).into_keys().collect();
        let expected = ["a.d", "a.o", "dir", "dir/a.c", "dir/b.h", "dir/l.h"];
        if made != expected.map(PathBuf::from) {
            wrong += &format!("there are {made:?}; ");
        }
        if !snapshot(&client.temp()).is_empty() {
            wrong += "temporary files are left; ";
        }
        if !client.records().is_empty() {
            wrong += "a record is left; ";
        }
        (done, wrong)
    }
}

/// A warning, a header, and a link to it.
fn source() -> Tree {
    let tree = Tree::new();
    let text =
        "#include <stddef.h>\n#include \"l.h\"\nstatic int unused;\nsize_t f(void) { return B; }\n";
    tree.write("dir/a.c", text);
    tree.write("dir/b.h", "#define B 7\n");
    tree.link("b.h", "dir/l.h");
    tree
}

/// What the client has to say of a fault, one of these.
fn reasons(token: &str, fault: Fault) -> &'static [&'static str] {
    const NO_ANSWER: &str = ": server provided no answer";
    const FAILED: &str = "failed, retrying locally";
    const EOF: &str = ": unexpected eof while reading ";
    let is_answer = ["DONE", "STAT", "SERR", "SOUT", "DOTO", "DOTD"].contains(&token);
    match (fault, is_answer) {
        (Fault::Stall, _) => &[": IO timeout\n"],
        (Fault::Reset | Fault::Close, false) => &[NO_ANSWER],
        (Fault::Reset | Fault::Close, true) if token == "DONE" => &[NO_ANSWER],
        (Fault::Reset | Fault::Close, true) => &[EOF],
        // Another command or source, which may even be one that a compiler looks at.
        (_, false) => &[NO_ANSWER, ": server refused: ", FAILED, EOF],
        (Fault::Name, true) => &[": protocol derailment: expected token "],
        (Fault::Number, true) => &[": failed to parse parameter of token "],
        (Fault::Huge, true) if token == "DONE" => &[": got version "],
        (Fault::Huge, true) if token == "STAT" => {
            &[": remote compiler failed but also returned output"]
        }
        (Fault::Huge, true) => &["is more than we take"],
        (Fault::Body, true) => &[": LZO1X block "],
    }
}

/// Whether there is such a fault, and whether it can be noticed.
fn is_fault(protocol: u32, token: &str, fault: Fault) -> bool {
    let has_body = !["DIST", "ARGC", "NFIL", "DONE", "STAT"].contains(&token);
    let is_packed =
        protocol > 1 && ["DOTI", "FILE", "SERR", "SOUT", "DOTO", "DOTD"].contains(&token);
    match fault {
        Fault::Body if ["DOTI", "ARGV"].contains(&token) => true,
        Fault::Body => has_body && is_packed,
        _ => true,
    }
}

fn check_protocol(side: Side, protocol: u32, faults: &[Fault]) {
    let bench = Bench::new(side, protocol);

    // Without a fault, to learn the packets.
    let proxy = Proxy::start(bench.server.address(), None);
    let (done, wrong) = bench.compile(proxy.port(), true);
    assert_eq!(wrong, "", "{}", done.explain());
    let said = done.text().1;
    assert!(!said.contains("distcc["), "{said}");
    bench.server.expect_jobs("COMPILE_OK", 1);
    let packets: BTreeSet<String> = end_to_end::run::wait_until(
        || {
            let seen = proxy.seen();
            (!seen.is_empty()).then(|| seen.into_iter().collect())
        },
        || "the conversation does not end".into(),
    );
    let all = [
        "DIST", "CDIR", "ARGC", "ARGV", "DOTI", "NFIL", "NAME", "FILE", "LINK", "DONE", "STAT",
        "SERR", "SOUT", "DOTO", "DOTD",
    ];
    let tokens: Vec<&'static str> = all
        .into_iter()
        .filter(|&name| packets.contains(name))
        .collect();
    assert_eq!(
        tokens.len(),
        if protocol == 3 { 14 } else { 9 },
        "{tokens:?}"
    );

    let cases = Mutex::new(Vec::new());
    for &fault in faults {
        let spoiled = tokens
            .iter()
            .filter(|token| is_fault(protocol, token, fault));
        cases
            .lock()
            .unwrap()
            .extend(spoiled.map(|&token| (token, fault)));
    }
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((token, fault)) = { cases.lock().unwrap().pop() } {
                    if let Some(report) = check(&bench, token, fault) {
                        wrong.lock().unwrap().push(report);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bench.server.wait_for_clean_scratch();
}

/// What is wrong with a compile during which this happens.
fn check(bench: &Bench, token: &'static str, fault: Fault) -> Option<String> {
    let proxy = Proxy::start(bench.server.address(), Some((token, fault)));
    let (done, mut wrong) = bench.compile(proxy.port(), fault != Fault::Stall);
    let (_, said) = done.text();
    // A server that is too slow for five seconds' patience is silent by itself.
    if !proxy_has_spoiled(&proxy) && fault != Fault::Stall {
        wrong += "nothing was spoiled; ";
    }
    let reasons = reasons(token, fault);
    if !reasons.iter().any(|reason| said.contains(reason)) {
        wrong += &format!("none of {reasons:?} is said; ");
    }
    if said.matches("running locally instead").count() != 1 {
        wrong += "that it runs here is not said; ";
    }
    (!wrong.is_empty()).then(|| {
        format!(
            "protocol {}, {fault:?} at {token}: {wrong}\n{}",
            bench.protocol,
            done.explain()
        )
    })
}

/// It learns of the end of a conversation after the client.
fn proxy_has_spoiled(proxy: &Proxy) -> bool {
    end_to_end::run::wait_until(
        || (!proxy.seen().is_empty()).then(|| proxy.has_spoiled()),
        || "the conversation does not end".into(),
    )
}

#[test]
fn connections_that_break_in_protocol_1() {
    check_protocol(Side::Packaged, 1, &Fault::ALL);
}

#[test]
fn connections_that_break_in_protocol_2() {
    check_protocol(Side::Packaged, 2, &Fault::ALL);
}

#[test]
fn connections_that_break_in_protocol_3() {
    check_protocol(Side::Packaged, 3, &Fault::ALL);
}

#[test]
fn what_our_server_makes_of_spoiled_packets() {
    let spoiled = [Fault::Name, Fault::Number, Fault::Huge, Fault::Body];
    for protocol in [1, 3] {
        check_protocol(Side::Ours, protocol, &spoiled);
    }
}

#[test]
fn hosts_that_refuse_are_told_and_done_without() {
    let refusing = Port::keep();
    let port = refusing.number;
    for protocol in [1, 2, 3] {
        let bench = Bench::new(Side::Ours, protocol);
        let (done, wrong) = bench.compile(port, true);
        let (_, said) = done.text();
        assert_eq!(wrong, "", "{said}");
        let refused = format!("nonblocking connect to 127.0.0.1:{port} failed: Connection refused");
        assert!(said.contains(&refused), "{said}");
        bench.server.expect_jobs("COMPILE_OK", 0);
    }
}
