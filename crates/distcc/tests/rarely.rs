//! What rarely happens: no room for a process, names that only the machine knows, compiles that
//! fail on a server and not here.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use protocol::Version;
use support::{FakeServer, HELLO, Outcome, Place, answer, run, success};

/// A command that may not start another process. Root may always: so it becomes somebody else.
fn alone(place: &Place, program: &str) -> Command {
    let limited = ["prlimit", "--nproc=1:1"];
    let mut words = vec![
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    words.truncate(if rustix::process::geteuid().is_root() {
        4
    } else {
        0
    });
    words.extend(limited);
    words.push(program);
    let mut command = place.command(words[0]);
    command.args(&words[1..]);
    command
}

#[test]
fn without_room_for_a_process_that_is_what_is_said() {
    let place = Place::new();
    let folder = place.path("");
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    // Where it was built not everybody may look.
    let mut copy = place.command("cp");
    let copied = run(copy.args([env!("CARGO_BIN_EXE_distcc"), "distcc"]));
    assert_eq!(copied.code, 0, "{copied:?}");
    let program = place.path("distcc");
    let mut distcc = alone(&place, program.to_str().unwrap());
    distcc
        .env("DISTCC_HOSTS", "localhost")
        .args(["gcc", "-c", "a.c"]);
    run(&mut distcc).assert(
        105,
        &[
            "distcc[*] (dcc_spawn_child) ERROR: failed to fork for gcc, several times: Resource \
             temporarily unavailable",
            "distcc[*] ERROR: compile a.c on localhost failed with exit code 105",
        ],
    );
}

#[test]
fn a_name_that_only_the_machine_knows_is_asked_for() {
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let host = format!("build-machine.invalid:{}", server.port);
    let compile = |place: &Place| {
        let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
        run(place.distcc(&host, "gcc -c a.c").env("PATH", path))
    };
    let place = Place::new();
    place.script(
        "bin/getent",
        "echo \"$*\" >asked; echo 127.0.0.1 STREAM x; echo 127.0.0.1 DGRAM",
    );
    compile(&place).assert(0, &[]);
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert_eq!(place.text("asked"), "ahosts build-machine.invalid\n");
    // Nobody knows it.
    let place = Place::new();
    place.script("bin/getent", "exit 2");
    compile(&place).assert_says(0, "failed to resolve host build-machine.invalid port ");
    assert!(place.exists("a.o"));
}

/// A place below a `pump` that began a moment ago, where `h.h` is new, and a server on which each
/// compile fails.
struct Differing {
    place: Place,
    server: FakeServer,
}

impl Differing {
    fn new() -> Self {
        let place = Place::new();
        place.write("i.c", format!("#include \"h.h\"\n{HELLO}"));
        place.write("h.h", "");
        place.script("bin/mail", "(echo \"$@\"; cat) >mailed");
        // The clock of the file system is a coarse one.
        thread::sleep(Duration::from_millis(50));
        place.write("session/socket", "");
        Self {
            place,
            server: FakeServer::answering(answer(Version::Plain, 0x100, "no\n", b"")),
        }
    }

    fn compile(&self, environment: &[(&str, &str)]) -> Outcome {
        let mut distcc = self.place.distcc(&self.server.host(), "gcc -MD -MP -c i.c");
        let path = format!("{}:/usr/bin:/bin", self.place.path("bin").display());
        let outcome = run(distcc
            .env("PATH", path)
            .env("INCLUDE_SERVER_PORT", self.place.path("session/socket"))
            .env("DISTCC_BACKOFF_PERIOD", "0")
            .envs(environment.iter().copied()));
        outcome.assert_says(0, "retried locally and got a different result.");
        outcome
    }
}

const FRESH: &str = "Warning: file 'h.h', a dependency of i.c, changed during the build\n";
const MAIL: (&str, &str) = ("DISTCC_ENABLE_DISCREPANCY_EMAIL", "1");

#[test]
fn a_file_that_changed_during_the_build_is_named() {
    let differing = Differing::new();
    assert!(
        !differing
            .compile(&[])
            .stderr
            .contains("changed during the build")
    );
    differing.place.write("h.h", "/* new */\n");
    differing.compile(&[MAIL]).assert_says(0, FRESH);
    assert!(!differing.place.exists("mailed"));
    let excluded = differing.compile(&[("DISTCC_EXCLUDE_FRESH_FILES", "*.h")]);
    assert!(!excluded.stderr.contains("changed during the build"));
}

#[test]
fn the_log_of_a_compile_that_differs_is_mailed_on_request() {
    let differing = Differing::new();
    differing.compile(&[("DISTCC_ENABLE_DISCREPANCY_EMAIL", "0")]);
    assert!(!differing.place.exists("mailed"));
    let outcome = differing.compile(&[MAIL]);
    let mailed = differing.place.text("mailed");
    let (words, log) = mailed.split_once('\n').unwrap();
    assert_eq!(words, "-s distcc-pump email distcc-pump-errors");
    assert!(log.contains("] exec on "), "{log}");
    assert!(log.contains("got a different result."), "{log}");
    // Not all of this is shown.
    assert!(!outcome.stderr.contains("] exec on "), "{outcome:?}");
    differing.compile(&[MAIL, ("DISTCC_EMAILLOG_WHOM_TO_BLAME", "me")]);
    assert!(
        differing
            .place
            .text("mailed")
            .starts_with("-s distcc-pump email me\n")
    );
    fs::remove_file(differing.place.path("bin/mail")).unwrap();
    differing
        .compile(&[MAIL])
        .assert_says(0, "cannot send an e-mail: mail: No such file or directory");
}
