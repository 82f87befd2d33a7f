//! ccache in front of distcc: `CCACHE_PREFIX=distcc`, in words and in a compiler's place.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::fs;

use end_to_end::client::Client;
use end_to_end::include_server::IncludeServer;
use end_to_end::port::Port;
use end_to_end::programs::{Side, command};
use end_to_end::run::{PATH, run};
use end_to_end::server::Setup;
use end_to_end::tree::Tree;

const SIDES: [Side; 2] = [Side::Ours, Side::Packaged];

/// A source, a cache, and the object that the compiler makes here.
struct Fixture {
    tree: Tree,
    object: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let tree = Tree::new();
        tree.write("b.h", "#define B 7\n");
        let text = "#include \"b.h\"\nstatic int unused;\nint f(void) { return B; }\n";
        tree.write("a.c", text);
        let mut gcc = command("gcc");
        run(gcc.args(["-O1", "-c", "a.c"]).current_dir(tree.path())).expect_success();
        let object = fs::read(tree.join("a.o")).unwrap();
        Self { tree, object }
    }

    /// Lets a client compile through ccache; returns what was said.
    fn compile(&self, client: &Client, program: &str, words: &[&str]) -> String {
        let _ = fs::remove_file(self.tree.join("a.o")); // It may be the first time.
        let mut ccache = client.command(program, &self.tree.path());
        ccache
            .args(words)
            .env("CCACHE_DIR", self.tree.join("cache"));
        let done = run(&mut ccache).expect_success();
        assert_eq!(
            fs::read(self.tree.join("a.o")).unwrap(),
            self.object,
            "{}",
            done.explain()
        );
        done.text().1
    }

    /// What ccache counted under this name.
    fn count(&self, name: &str) -> u32 {
        let mut stats = command("ccache");
        stats
            .env("CCACHE_DIR", self.tree.join("cache"))
            .arg("--print-stats");
        let (text, _) = run(&mut stats).expect_success().text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        line.unwrap_or_else(|| panic!("no {name}: {text}"))
            .trim()
            .parse()
            .unwrap()
    }
}

/// A client whose distcc is the first in `PATH`, behind these folders.
fn client(side: Side, hosts: &str, folders: &str) -> Client {
    let folder = side.distcc().parent().unwrap().display().to_string();
    Client::of(side, hosts)
        .with("PATH", format!("{folders}{folder}:{PATH}"))
        .with("CCACHE_PREFIX", "distcc")
}

const WORDS: [&str; 4] = ["gcc", "-O1", "-c", "a.c"];

#[test]
fn what_ccache_does_not_have_is_compiled_on_the_server() {
    for side in SIDES {
        for protocol in [1, 2] {
            let server = Setup::of(Side::Ours).start();
            let fixture = Fixture::new();
            let client = client(side, &server.host(protocol), "");
            assert_eq!(fixture.compile(&client, "ccache", &WORDS), "");
            server.expect_jobs("COMPILE_OK", 1);
            assert_eq!(fixture.compile(&client, "ccache", &WORDS), "");
            server.expect_jobs("COMPILE_OK", 1);
            assert_eq!(fixture.count("direct_cache_hit"), 1);
            assert_eq!(fixture.count("cache_miss"), 1);
        }
    }
}

#[test]
fn in_a_compilers_place() {
    for side in SIDES {
        let server = Setup::of(Side::Ours).start();
        let fixture = Fixture::new();
        let client = client(side, &server.host(2), "/usr/lib/ccache:");
        for _ in 0..2 {
            assert_eq!(fixture.compile(&client, "gcc", &WORDS[1..]), "");
            server.expect_jobs("COMPILE_OK", 1);
        }
    }
}

#[test]
fn complaints_are_shown_and_not_kept() {
    for side in SIDES {
        let dead = Port::keep();
        let hosts = format!("127.0.0.1:{}", dead.number);
        let fixture = Fixture::new();
        let client = client(side, &hosts, "").with_fallback();
        let words = ["gcc", "-O1", "-Wunused-variable", "-c", "a.c"];
        let said = fixture.compile(&client, "ccache", &words);
        assert!(
            said.contains("] Warning: failed to distribute a.c to "),
            "{side:?}: {said}"
        );
        assert!(said.contains("defined but not used"), "{side:?}: {said}");
        let said = fixture.compile(&client, "ccache", &words);
        assert_eq!(fixture.count("direct_cache_hit"), 1);
        assert!(!said.contains("distcc["), "{side:?}: {said}");
        assert!(said.contains("defined but not used"), "{side:?}: {said}");
    }
}

#[test]
fn pump_mode_behind_ccache() {
    let server = Setup::of(Side::Ours).start();
    let include_server = IncludeServer::start(std::path::Path::new("/usr/bin"));
    let fixture = Fixture::new();
    let client = client(Side::Ours, &server.host(3), "")
        .with("INCLUDE_SERVER_PORT", include_server.socket());
    assert_eq!(fixture.compile(&client, "ccache", &WORDS), "");
    server.expect_jobs("COMPILE_OK", 1);
    // With this, ccache hands on what it has preprocessed: that travels as it is, with a warning.
    let fixture = Fixture::new();
    let client = client
        .with("CCACHE_NOCPP2", "1")
        .with("CCACHE_NODIRECT", "1");
    let said = fixture.compile(&client, "ccache", &WORDS);
    assert!(
        said.contains("cannot use distcc_pump on already preprocessed file"),
        "{said}"
    );
    server.expect_jobs("COMPILE_OK", 2);
}

#[test]
fn a_compile_error_behind_ccache() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    tree.write("e.c", "int f(void) { return x; }\n");
    let client = client(Side::Ours, &server.host(2), "");
    let mut ccache = client.command("ccache", &tree.path());
    ccache
        .args(["gcc", "-c", "e.c"])
        .env("CCACHE_DIR", tree.join("cache"));
    let done = run(&mut ccache);
    assert_eq!(done.code(), 1, "{}", done.explain());
    assert!(done.text().1.contains("undeclared"), "{}", done.explain());
    assert!(!tree.join("e.o").exists());
}
