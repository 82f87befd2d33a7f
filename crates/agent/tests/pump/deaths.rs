//! Include servers that end while a build runs.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};

use crate::installed::{HOSTS, Installed, lines};
use crate::support::{self, run, wait_until};
use protocol::include::{Query, client_name};
use protocol::request::Limits;

/// A build that goes on until there is a file `done`.
struct Build {
    installed: Installed,
    pump: Child,
}

impl Build {
    fn start(installed: Installed) -> Self {
        installed.tree.write("a.c", "#include \"a.h\"\n");
        installed.tree.write("a.h", "int a;\n");
        let script = "echo $INCLUDE_SERVER_PORT >port; while ! [ -e done ]; do sleep 0.01; done";
        let pump = installed.spawn(&["sh", "-c", script], &[("DISTCC_HOSTS", HOSTS)]);
        wait_until("the build runs", || {
            installed.tree.text("port").ends_with('\n')
        });
        Self { installed, pump }
    }

    fn port(&self) -> PathBuf {
        PathBuf::from(self.installed.tree.text("port").trim_end())
    }

    /// The process after which the roots of the copies are named.
    fn include_server(&self) -> String {
        let root = self.installed.roots.names("").remove(0);
        root.split('-').nth(1).unwrap().to_owned()
    }

    /// Ends the include server, and waits until that was noticed so many times.
    fn kill(&self, signal: &str, noticed: usize) {
        run(Command::new("kill").args([signal, &self.include_server()]));
        wait_until("it is noticed", || {
            lines(&self.stderr()).len() >= noticed && self.stderr().ends_with('\n')
        });
    }

    fn stderr(&self) -> String {
        self.installed.tree.text("stderr")
    }

    /// A question on its way.
    fn asked(&self) -> UnixStream {
        let mut stream = UnixStream::connect(self.port()).unwrap();
        let query = Query {
            cwd: self.installed.tree.path("").into(),
            argv: support::words("gcc -c a.c", &[]),
        };
        stream.write_all(&query.encode()).unwrap();
        stream
    }

    fn expect_answer(&self, mut stream: UnixStream) {
        let paths = protocol::stream::read_answer(&mut stream, Limits::default()).unwrap();
        let names: Vec<PathBuf> = paths
            .iter()
            .map(|path| client_name(path).unwrap().into())
            .collect();
        assert!(
            names.contains(&self.installed.tree.path("a.h")),
            "{names:?}"
        );
    }

    /// The lines between the first two and the last one on standard output, and all on standard error.
    fn finish(mut self) -> (Vec<String>, Vec<String>) {
        self.installed.tree.write("done", "");
        assert!(self.pump.wait().unwrap().success(), "{}", self.stderr());
        let owned = |text: &str| lines(text).into_iter().map(str::to_owned).collect();
        let mut stdout: Vec<String> = owned(&self.installed.tree.text("stdout"));
        let last = stdout.pop();
        assert_eq!(
            last.as_deref(),
            Some("__________Shutting down distcc-pump include server")
        );
        self.installed.check_clean();
        (stdout.split_off(2), owned(&self.stderr()))
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        self.installed.tree.write("done", "");
        let _ = self.pump.wait(); // It was waited for where all went well.
    }
}

/// Puts a script in the place of the include server, which may run `$REAL`.
fn with_script(script: &str) -> Installed {
    let installed = Installed::new();
    let place = |name: &str| installed.tree.path(&format!("bin/{name}"));
    // The program itself is a link to the one that was built.
    fs::rename(place("include_server"), place("real")).unwrap();
    let script = format!("REAL='{}'\n{script}", place("real").display());
    installed.script("include_server", &script);
    installed
}

#[test]
fn an_include_server_that_ends_has_a_successor() {
    let build = Build::start(Installed::new());
    build.expect_answer(build.asked());
    for (nth, signal) in ["-KILL", "-TERM", "-KILL"].into_iter().enumerate() {
        build.kill(signal, nth + 1);
        build.expect_answer(build.asked());
    }
    let (stdout, stderr) = build.finish();
    assert_eq!(
        stdout,
        [
            "__________The include server ended 3 times and was started again; what it had sent \
             for unfinished commands is not counted"
        ]
    );
    let again =
        |how: &str| format!("__________The include server has ended ({how}); starting another one");
    let (killed, told) = (again("signal: 9 (SIGKILL)"), again("exit status: 0"));
    assert_eq!(stderr, [&*killed, &*told, &*killed]);
}

#[test]
fn who_asks_while_there_is_no_include_server_waits_for_the_next_one() {
    let build = Build::start(with_script(
        "if [ -e first ]; then touch waiting; while ! [ -e go ]; do sleep 0.01; done; fi\n\
         touch first; exec \"$REAL\" \"$@\"\n",
    ));
    build.kill("-KILL", 1);
    wait_until("the next one starts", || {
        build.installed.tree.path("waiting").exists()
    });
    let mut stream = build.asked();
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    build.installed.tree.write("go", "");
    build.expect_answer(stream);
    build.finish();
}

#[test]
fn what_each_include_server_refused_is_told() {
    let build = Build::start(Installed::new());
    let refusals = build.port().with_file_name("refusals");
    fs::write(&refusals, "1 of the first\n").unwrap();
    build.kill("-KILL", 1);
    build.expect_answer(build.asked());
    fs::write(&refusals, "1 of the second\n").unwrap();
    let (_, stderr) = build.finish();
    assert_eq!(
        stderr[1..],
        ["__________1 of the first", "__________1 of the second"]
    );
}

#[test]
fn an_include_server_that_ends_again_and_again_is_given_up() {
    for after in [
        // Once it is ready, and before.
        "printf 1 >/proc/self/fd/$fd",
        "[ $runs = x ] && printf 1 >/proc/self/fd/$fd",
    ] {
        let build = Build::start(with_script(&format!(
            "echo run >>runs; runs=; while read run; do runs=x$runs; done <runs\n\
             while [ $# -gt 0 ]; do [ \"$1\" = --ready-fd ] && fd=$2; shift; done\n\
             {after}\nexit 3\n"
        )));
        wait_until("it is given up", || build.stderr().contains("from now on"));
        // Nobody is kept waiting.
        let refused = UnixStream::connect(build.port()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let (stdout, stderr) = build.finish();
        let text = "__________The include server has ended (exit status: 3)";
        let mut expected = vec![format!("{text}; starting another one"); 5];
        expected.push(format!(
            "{text} for the 6th time: it is not started again; what needs it runs on this \
             machine from now on"
        ));
        assert_eq!(stderr, expected);
        assert!(
            stdout[0].starts_with("__________The include server ended 6 times and was given up"),
            "{stdout:?}"
        );
    }
}
