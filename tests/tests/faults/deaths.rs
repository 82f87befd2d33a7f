//! Programs that end while a compile runs.
//!
//! The compile is one of a compiler that waits for a file, so that each step happens when a test
//! wants it to.

use std::ffi::OsString;
use std::fs;
use std::process::{Child, Stdio};

use end_to_end::client::Client;
use end_to_end::compilers::write_compiler;
use end_to_end::include_server::IncludeServer;
use end_to_end::programs::{Side, command, ours, repository};
use end_to_end::run::{LIMIT, is_alive, mortal, run, run_within, wait, wait_until};
use end_to_end::server::{Server, Setup};
use end_to_end::tree::{Tree, snapshot};
use rustix::process::{Pid, Signal, kill_process};

/// A compiler that waits, and where it is told to go on.
struct SlowCompiler {
    programs: Tree,
    signs: Tree,
}

impl SlowCompiler {
    fn new() -> Self {
        let (programs, signs) = (Tree::new(), Tree::for_everybody());
        let commands = format!(
            "echo $$ > '{signs}'/part.$$\n\
             mv '{signs}'/part.$$ '{signs}'/started.$$\n\
             while ! [ -e '{signs}'/go ]; do [ -d '{signs}' ] || exit; sleep 0.02; done\n\
             exec gcc \"$@\"",
            signs = signs.path().display()
        );
        write_compiler(&programs, "slow-gcc", &commands);
        Self { programs, signs }
    }

    fn server(&self) -> Server {
        Setup::of(Side::Ours)
            .with_programs(self.programs.path())
            .without_sandbox()
            .start()
    }

    /// Waits until so many compiles run or have run; returns their processes.
    #[track_caller]
    fn wait_for_starts(&self, count: usize) -> Vec<Pid> {
        wait_until(
            || {
                let started = snapshot(&self.signs.path());
                let names = started.keys().filter_map(|name| name.to_str());
                let pids = names.filter_map(|name| name.strip_prefix("started.")?.parse().ok());
                let pids: Vec<Pid> = pids.filter_map(Pid::from_raw).collect();
                (pids.len() >= count).then_some(pids)
            },
            || format!("{count} compiles are due"),
        )
    }

    fn go_on(&self) {
        self.signs.write("go", "");
    }
}

/// A compile in the background.
struct Job {
    tree: Tree,
    client: Client,
    child: Child,
}

impl Job {
    fn start(compiler: &SlowCompiler, client: Client) -> Self {
        let tree = Tree::new();
        tree.write("a.c", "int f(void) { return 3; }\n");
        let client = client.with_programs(&compiler.programs.path());
        let argv = ["slow-gcc", "-c", "a.c", "-o", "a.o"].map(OsString::from);
        let mut distcc = mortal(&client.distcc(&argv, &tree.path()));
        distcc.stdin(Stdio::null()).stdout(Stdio::null());
        distcc.stderr(fs::File::create(client.distcc_dir().join("stderr")).unwrap());
        let child = distcc.spawn().unwrap();
        Self {
            tree,
            client,
            child,
        }
    }

    #[track_caller]
    fn expect_object(mut self) {
        let status = wait(&mut self.child, LIMIT).expect("the client does not end");
        let said = fs::read_to_string(self.client.distcc_dir().join("stderr")).unwrap();
        assert!(status.success(), "{status}: {said}");
        assert!(self.tree.join("a.o").is_file());
        assert!(snapshot(&self.client.temp()).is_empty());
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It has ended where all went well.
        let _ = self.child.wait();
    }
}

#[test]
fn a_compile_goes_on_locally_when_its_server_is_killed() {
    for protocol in [1, 2] {
        // The compile of a dead server goes on, too, and ends by what this one is told.
        let compiler = SlowCompiler::new();
        let mut server = compiler.server();
        let client = Client::of(Side::Ours, &server.host(protocol)).with_fallback();
        let job = Job::start(&compiler, client);
        compiler.wait_for_starts(1);
        server.kill();
        compiler.wait_for_starts(2);
        compiler.go_on();
        job.expect_object();
    }
}

#[test]
fn another_server_takes_over_when_one_is_killed() {
    let compiler = SlowCompiler::new();
    let (mut first, second) = (compiler.server(), compiler.server());
    let hosts = format!("{} {}", first.host(2), second.host(2));
    // Without fallback: only the other server can help.
    let job = Job::start(&compiler, Client::of(Side::Ours, &hosts));
    compiler.wait_for_starts(1);
    first.kill();
    compiler.wait_for_starts(2);
    compiler.go_on();
    job.expect_object();
    second.expect_jobs("COMPILE_OK", 1);
}

#[test]
fn a_server_told_to_end_finishes_what_it_has_begun() {
    let compiler = SlowCompiler::new();
    let server = compiler.server();
    let job = Job::start(&compiler, Client::of(Side::Ours, &server.host(1)));
    compiler.wait_for_starts(1);
    kill_process(server.pid(), Signal::TERM).unwrap();
    compiler.go_on();
    job.expect_object();
    wait_until(
        || (!is_alive(server.pid())).then_some(()),
        || "the server does not end".into(),
    );
    server.wait_for_clean_scratch();
}

#[test]
fn a_client_that_is_gone_takes_its_compile_along() {
    let compiler = SlowCompiler::new();
    let server = compiler.server();
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let mut job = Job::start(&compiler, Client::of(Side::Ours, &server.host(2)));
        let pids = compiler.wait_for_starts(1);
        kill_process(Pid::from_child(&job.child), signal).unwrap();
        wait(&mut job.child, LIMIT).expect("the client does not end");
        for &pid in &pids {
            wait_until(
                || (!is_alive(pid)).then_some(()),
                || "the compiler goes on".into(),
            );
            fs::remove_file(
                compiler
                    .signs
                    .join(format!("started.{}", pid.as_raw_nonzero())),
            )
            .unwrap();
        }
        server.wait_for_clean_scratch();
        assert!(!job.tree.join("a.o").exists());
        if signal != Signal::KILL {
            assert!(snapshot(&job.client.temp()).is_empty(), "{signal:?}");
        }
    }
    server.expect_jobs("CLI_DISCONN", 3);
}

#[test]
fn a_build_succeeds_when_one_of_its_servers_is_killed() {
    let (mut first, second) = (
        Setup::of(Side::Ours).jobs(2).start(),
        Setup::of(Side::Ours).jobs(2).start(),
    );
    let tree = Tree::new();
    // Both have jobs from the start.
    let hosts = [&first, &second].map(|server| server.host(3).replacen(',', "/2,", 1));
    let client = Client::of(Side::Ours, &hosts.join(" ")).with_fallback();
    let example = repository().join("examples/raytracer");
    let build = tree.folder("build");
    let words = [OsString::from("BUILD="), build.clone().into()].join(&OsString::new());
    let mut pump = client.command(ours("pump"), &example);
    pump.args(["make", "-j4", "CXX=distcc g++"]).arg(&words);

    std::thread::scope(|scope| {
        let pumped = scope.spawn(move || run_within(&mut pump, 5 * LIMIT));
        wait_until(
            || (!first.jobs().is_empty()).then_some(()),
            || "the first server gets no job".into(),
        );
        first.kill();
        pumped.join().unwrap().expect_success();
    });
    wait_until(
        || (second.count("COMPILE_OK") > 0).then_some(()),
        || "the second server had no job".into(),
    );
    let mut check = command("make");
    check.arg("check").arg(&words).current_dir(&example);
    run(&mut check).expect_success();
}

#[test]
fn clients_preprocess_themselves_when_the_include_server_is_killed() {
    let server = Setup::of(Side::Ours).start();
    let include_server = IncludeServer::start(std::path::Path::new("/usr/bin"));
    let client = Client::of(Side::Ours, &server.host(3))
        .with("INCLUDE_SERVER_PORT", include_server.socket());
    kill_process(include_server.pid(), Signal::KILL).unwrap();
    let tree = Tree::new();
    tree.write("a.c", "int f(void) { return 3; }\n");
    let argv = ["gcc", "-c", "a.c", "-o", "a.o"].map(OsString::from);
    let done = run(&mut client.distcc(&argv, &tree.path())).expect_success();
    let (_, said) = done.text();
    assert!(
        said.contains("failed to get includes from include server, preprocessing locally"),
        "{said}"
    );
    server.expect_jobs("COMPILE_OK", 1);
}
