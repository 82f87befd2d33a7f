//! What attackers need: servers to attack, something to steal, and compilers that obey.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use protocol::Version;

use super::{Daemon, Entry, Reply, SCRIPTED_COMPILER, Setup, source_request, tree_request};

/// A server whose compiler `cc` does what its source says.
pub(crate) fn scripted(sandbox: &str) -> Setup {
    Setup::insecure()
        .arg(sandbox)
        .script("cc", SCRIPTED_COMPILER)
}

/// Started as whoever runs the tests (root becomes somebody else), and as nobody.
pub(crate) fn as_both(setup: impl Fn() -> Setup) -> Vec<Daemon> {
    let mut servers = vec![setup().start()];
    if rustix::process::getuid().is_root() {
        servers.push(setup().run_by_nobody().start());
    }
    servers
}

/// Servers with the strongest sandbox: namespaces.
pub(crate) fn sandboxed() -> Vec<Daemon> {
    as_both(|| scripted("--sandbox=required"))
}

/// Servers with either kind of sandbox.
pub(crate) fn sandboxed_in_both_ways() -> Vec<Daemon> {
    let mut servers = sandboxed();
    let scripted = || scripted("--sandbox=required");
    servers.push(scripted().without_namespaces().start());
    if rustix::process::getuid().is_root() {
        servers.push(scripted().run_by_nobody().without_namespaces().start());
    }
    servers
}

/// A file of this machine that everybody may read, and its content.
pub(crate) fn secret(server: &Daemon) -> (String, &'static str) {
    let path = server.file("secret");
    fs::write(&path, "hunter2").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    (path.to_str().unwrap().to_owned(), "hunter2")
}

pub(crate) fn compile(
    server: &Daemon,
    compiler: &str,
    words: &[&str],
    source: &str,
) -> Option<Reply> {
    let argv = [&[compiler, "-c", "a.c", "-o", "a.o"], words].concat();
    server.ask(
        Version::Pump,
        &tree_request("/home/u", &argv, &[Entry::File("/home/u/a.c", source)]),
    )
}

/// Nothing of the answer, if there is one, holds `text`.
#[track_caller]
pub(crate) fn check_without(reply: Option<Reply>, text: &str, attack: &str) {
    let Some(reply) = reply else { return };
    let object = String::from_utf8_lossy(&reply.object);
    for part in [&*reply.stdout, &*reply.stderr, &*object] {
        assert!(!part.contains(text), "{attack} got {text:?}: {part}");
    }
}

/// A compiler that does whatever its source says.
pub(crate) fn run(server: &Daemon, script: &str) -> Option<Reply> {
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    server.ask(
        Version::Plain,
        &source_request(Version::Plain, &argv, script.as_bytes()),
    )
}
