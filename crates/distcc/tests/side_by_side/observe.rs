//! One command through one client, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use protocol::lzo;
use tempfile::TempDir;

use crate::support::{FakeServer, Request, read_request, success};

const OBJECT: &[u8] = b"OBJECT";

/// What a client made of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Why it did not go to a server, as far as the client says so: 3.4 does not.
    pub(crate) local: Option<Local>,
    pub(crate) sent: Option<Sent>,
    pub(crate) exit_code: i32,
}

/// A reason, equal to any other: only whether there is one is compared.
#[derive(Clone, Debug)]
pub(crate) struct Local(pub(crate) String);

impl PartialEq for Local {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Local {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) argv: Vec<String>,
    pub(crate) input: String,
    pub(crate) output: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.sent, &self.local) {
            (Some(sent), _) => {
                let Sent {
                    argv,
                    input,
                    output,
                } = sent;
                write!(f, "{} | {input} -> {output}", argv.join(" "))?;
            }
            (None, Some(Local(why))) => write!(f, "local: {why}")?,
            (None, None) => write!(f, "nothing")?,
        }
        match self.exit_code {
            0 => Ok(()),
            code => write!(f, " (exit code {code})"),
        }
    }
}

/// How sources go to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Preprocessed here (protocol 1).
    Plain,
    /// As files that an include server has named (protocol 3).
    Pump,
}

/// Stand-ins for compilers, and a server.
pub(crate) struct Bench {
    programs: TempDir,
    server: FakeServer,
    requests: Receiver<Request>,
}

/// The names of one compiler, and those of others that could be taken for it.
const COMPILERS: &[&str] = &[
    "gcc",
    "g++",
    "clang",
    "clang++",
    "gcc-12",
    "g++-12",
    "clang-14",
    "clang++-14",
    "tcc",
    "icc",
    "nvcc",
    "ccache",
    "sccache",
    "arm-none-eabi-gcc",
    "aarch64-linux-gnu-g++",
    "musl-gcc",
    "x86_64-w64-mingw32-gcc",
    "x86_64-linux-gnu-gcc",
    "x86_64-linux-gnu-g++",
    "x86_64-linux-gnu-gcc-12",
    "x86_64-linux-gnu-g++-12",
    "emcc",
    "gccgo",
    "moc",
];
const OTHERS: &[&str] = &["gcc-7", "x86_64-linux-gnu-gcc-7"];

/// Preprocesses to a word, compiles to nothing.
const STAND_IN: &str =
    "#!/bin/sh\nfor word; do\n[ \"$word\" = -E ] && echo text && exit\ndone\nexit 0\n";

impl Bench {
    pub(crate) fn new() -> Self {
        let programs = tempfile::tempdir().unwrap();
        let stand_in = |name: &str| {
            let install = Command::new("install")
                .args(["-m755", "/dev/stdin", name])
                .current_dir(programs.path())
                .stdin(Stdio::piped())
                .spawn();
            let mut install = install.unwrap();
            let mut stdin = install.stdin.take().unwrap();
            stdin.write_all(STAND_IN.as_bytes()).unwrap();
            drop(stdin);
            assert!(install.wait().unwrap().success());
        };
        stand_in("compiler");
        for name in COMPILERS {
            symlink("compiler", programs.path().join(name)).unwrap();
        }
        for name in OTHERS {
            stand_in(name);
        }
        symlink("gcc", programs.path().join("cc")).unwrap();
        symlink("g++", programs.path().join("c++")).unwrap();

        let (to_test, requests) = channel();
        let server = FakeServer::start(move |mut connection| {
            let request = read_request(&mut connection).unwrap();
            let answer = success(request.head.version, OBJECT);
            to_test.send(request).unwrap();
            // A client that hangs up shows it by its exit code.
            let _ = connection.write_all(&answer);
        });
        Self {
            programs,
            server,
            requests,
        }
    }

    /// Runs `argv` through a client in a folder of its own. `@BIN@` is the compilers' folder,
    /// and `@HERE@` its own.
    pub(crate) fn run(&self, client: &str, argv: &[String], mode: Mode) -> Seen {
        let place = tempfile::tempdir().unwrap();
        let here = place.path().join("here");
        fs::create_dir(&here).unwrap();
        let programs = self.programs.path().to_str().unwrap();
        let folder = here.to_str().unwrap();
        let placed = |word: &String| word.replace("@BIN@", programs).replace("@HERE@", folder);
        let argv: Vec<String> = argv.iter().map(placed).collect();
        lay_out(&here, &argv);
        // The folder of this file is where an include server would mirror files.
        let mirrored = place.path().join("mirror/a.h.lzo");
        fs::create_dir(place.path().join("mirror")).unwrap();
        fs::write(&mirrored, lzo::compress(b"int i;\n")).unwrap();
        let mut command = Command::new(client);
        let output = command
            .args(&argv)
            .current_dir(&here)
            .env_clear()
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("HOME", place.path())
            .env("TMPDIR", place.path())
            .env("DISTCC_DIR", place.path())
            .env(
                "DISTCC_HOSTS",
                match mode {
                    Mode::Plain => self.server.host(),
                    Mode::Pump => format!("{},lzo,cpp", self.server.host()),
                },
            )
            .env("INCLUDE_SERVER_STUB", mirrored)
            .env("DISTCC_VERBOSE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        let request = self.requests.try_recv().ok();
        let sent = request.map(|request| Sent {
            argv: request
                .head
                .argv
                .into_iter()
                .map(|word| {
                    let word = String::from_utf8(word.into_vec()).unwrap();
                    word.replace(programs, "@BIN@").replace(folder, "@HERE@")
                })
                .collect(),
            input: after(&log, "compile ", " on 127.0.0.1")
                .unwrap_or_default()
                .replace(folder, "@HERE@"),
            output: objects(&here).join(" "),
        });
        Seen {
            local: match sent {
                Some(_) => None,
                None => Some(Local(
                    after(&log, "running locally: ", "\n").unwrap_or_default(),
                )),
            },
            sent,
            exit_code: output
                .status
                .code()
                .unwrap_or_else(|| 128 + output.status.signal().unwrap()),
        }
    }
}

/// What stands between `start` and `end`.
fn after(log: &str, start: &str, end: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let line = format!("{line}\n");
        let rest = &line[line.find(start)? + start.len()..];
        Some(rest[..rest.find(end)?].to_owned())
    })
}

/// Folders for all that is named, preprocessed sources, and a file of words.
fn lay_out(here: &Path, argv: &[String]) {
    fs::write(here.join("words"), "-DFROM_FILE 'two words.c'\n-c").unwrap();
    for word in argv {
        let name = match word.strip_prefix("-Wp,") {
            Some(list) => list.rsplit(',').next().unwrap(),
            None => word.strip_prefix("-o").unwrap_or(word),
        };
        let is_elsewhere = name.starts_with('/') && !name.starts_with(here.to_str().unwrap());
        if is_elsewhere || name.starts_with('-') || name.contains('@') {
            continue;
        }
        let path = here.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if [".i", ".ii", ".mi", ".mii"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            fs::write(path, "text\n").unwrap();
        }
    }
}

/// The files that hold an object.
fn objects(here: &Path) -> Vec<String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![here.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).is_ok_and(|content| content == OBJECT) {
                let name = path
                    .strip_prefix(here)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, ());
            }
        }
    }
    found.into_keys().collect()
}
