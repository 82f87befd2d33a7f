//! A clang that stays loaded, which saves most of what it costs to ask it about a small program.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, ExitStatus, Stdio};

use crate::verdict::scratch;

/// What is preloaded into clang; its head describes the messages.
const PRELOADED: &str = include_str!("resident.c");

/// How a run of the compiler ended, or nothing if it did not in time, and what it wrote to standard error.
pub(crate) type Ended = (Option<ExitStatus>, Vec<u8>);

struct Resident {
    /// It ends when there are no more requests.
    _process: Child,
    requests: ChildStdin,
    answers: ChildStdout,
}

thread_local! {
    static RESIDENT: RefCell<Option<Resident>> = const { RefCell::new(None) };
}

/// Enters `program`'s main function with this command line, environment and working folder, in a process of its own.
pub(crate) fn run(
    program: &Path,
    argv: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
) -> Ended {
    RESIDENT.with_borrow_mut(|resident| {
        resident
            .get_or_insert_with(|| Resident::start(program))
            .run(argv, env, cwd)
            .expect("clang stays")
    })
}

impl Resident {
    fn start(program: &Path) -> Resident {
        let folder = scratch();
        let library = folder.path().join("resident.so");
        compile(&library);
        let mut process = Process::new(program)
            .env("LD_PRELOAD", &library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("clang is installed");
        let mut resident = Resident {
            requests: process.stdin.take().expect("it is a pipe"),
            answers: process.stdout.take().expect("it is a pipe"),
            _process: process,
        };
        resident.answer().expect("clang stays"); // So the library is loaded, and may go.
        resident
    }

    fn run(
        &mut self,
        argv: &[OsString],
        env: &[(OsString, OsString)],
        cwd: &Path,
    ) -> io::Result<Ended> {
        let mut text = [cwd.as_os_str().as_bytes(), b"\0"].concat();
        for argument in argv {
            text.extend([argument.as_bytes(), b"\0"].concat());
        }
        for (name, value) in env {
            text.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
        let counts = [argv.len(), env.len(), text.len()].map(|n| u32::try_from(n).expect("few"));
        let head = counts.map(u32::to_ne_bytes).concat();
        self.requests.write_all(&[head, text].concat())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Ended> {
        let mut number = || {
            let mut bytes = [0; 4];
            self.answers.read_exact(&mut bytes)?;
            io::Result::Ok(i32::from_ne_bytes(bytes))
        };
        let (state, len) = (number()?, number()?);
        let mut said = vec![0; usize::try_from(len).expect("a length")];
        self.answers.read_exact(&mut said)?;
        Ok(((state >= 0).then(|| ExitStatus::from_raw(state)), said))
    }
}

fn compile(library: &Path) {
    let mut compile = Process::new("gcc")
        .args(["-O1", "-shared", "-fPIC", "-x", "c", "-", "-o"])
        .arg(library)
        .stdin(Stdio::piped())
        .spawn()
        .expect("gcc is installed");
    let mut text = compile.stdin.take().expect("it is a pipe");
    text.write_all(PRELOADED.as_bytes()).expect("gcc reads it");
    drop(text);
    assert!(compile.wait().expect("it is our child").success());
}
