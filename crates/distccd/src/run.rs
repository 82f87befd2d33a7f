//! Runs a compiler for a client, and watches both.
//!
//! One `poll` waits for the compiler's end, the client's hanging up, the job's time limit and the
//! server's end, so that none is noticed late (3.4 looks for each of them once a second). Whatever
//! is left of the compiler's process group is killed before its slot is free.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
};

use sandbox::Used;

use crate::confinement::Confinement;
use crate::event::Event;
use crate::fault::{Fault, Refusal, reason};
use crate::log::Level;
use crate::messages::Messages;
use crate::scratch::Scratch;
use crate::wire::{Wire, Woken};

/// How long a compiler may take to follow SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// What to run, and in which surroundings.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The program; how the compiler is told to be called is in `argv[0]`.
    pub(crate) program: &'a OsStr,
    pub(crate) argv: &'a [OsString],
    /// As the compiler sees it.
    pub(crate) cwd: &'a Path,
    /// The whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) scratch: &'a Scratch,
    pub(crate) messages: &'a Messages,
    /// What a sandbox has to show.
    pub(crate) trees: &'a [sandbox::Tree],
    pub(crate) time_limit: Option<Duration>,
    /// How likely the kernel ends it if memory gets short; a sandbox has it already.
    pub(crate) oom_score: Option<i16>,
}

/// How a compiler ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this `wait` status, and this folder for its results.
    Normally {
        status: u32,
        results: OwnedFd,
        used: Used,
    },
    /// By its time limit.
    TimedOut,
    /// By another limit; what it used too much of.
    Exceeded(String),
    /// It could not be started; the system's words.
    NotStarted(String),
}

/// Runs it to its end.
///
/// # Errors
/// [`Fault::ClientGone`] and [`Fault::Stopping`] after the compiler was killed,
/// [`Fault::Refused`] if its tree does not fit this machine, [`Fault::Server`] if it could not be
/// run at all.
pub(crate) fn run(
    job: &Job<'_>,
    confinement: &Confinement,
    wire: &mut Wire,
    kill: &Event,
) -> Result<Ended, Fault> {
    let started = Instant::now();
    let deadline = job.time_limit.map(|limit| started + limit);
    match confinement {
        Confinement::Namespaces(sandbox) | Confinement::Landlock(sandbox) => {
            let [stdout, stderr] = &job.messages.for_compiler;
            let running = sandbox
                .run(&confined(job), stdout.as_fd(), stderr.as_fd())
                .map_err(server())?;
            match wire
                .watch(running.as_fd(), kill, deadline)
                .map_err(server())?
            {
                Woken::Ready => ended(job, running.ended().map_err(server())?),
                woken => stopped(woken),
            }
        }
        Confinement::Options | Confinement::Trust => {
            let child = match spawn(job).map_err(server())? {
                Ok(child) => child,
                Err(error) => return Ok(Ended::NotStarted(reason(&error))),
            };
            let mut group = Group::new(&child).map_err(server())?;
            match wire
                .watch(group.ended.as_fd(), kill, deadline)
                .map_err(server())?
            {
                Woken::Ready => {
                    let (status, used) = group.reap().map_err(server())?;
                    let results = results(job).map_err(server())?;
                    Ok(Ended::Normally {
                        status,
                        results,
                        used,
                    })
                }
                woken => {
                    group.terminate();
                    stopped(woken)
                }
            }
        }
    }
}

fn server() -> impl FnOnce(io::Error) -> Fault {
    Fault::server("running a compiler")
}

/// What it means that something else was ready before the compiler.
fn stopped(woken: Woken) -> Result<Ended, Fault> {
    match woken {
        Woken::ClientGone => Err(Fault::ClientGone),
        Woken::Stopped => Err(Fault::Stopping),
        Woken::TimeUp | Woken::Ready => Ok(Ended::TimedOut),
    }
}

/// As 3.4: a client's absolute path may be elsewhere on this machine.
fn programs<'a>(job: &Job<'a>) -> impl Iterator<Item = &'a OsStr> {
    let name = Path::new(job.program).file_name();
    let program = job.program;
    [program]
        .into_iter()
        .chain(name.filter(move |name| *name != program))
}

fn confined(job: &Job<'_>) -> sandbox::Job {
    sandbox::Job {
        programs: programs(job).map(OsStr::to_owned).collect(),
        argv: job.argv.to_vec(),
        environment: job.environment.clone(),
        cwd: job.cwd.to_owned(),
        trees: job.trees.to_vec(),
        writable: Vec::new(),
    }
}

/// Translates the sandbox's answer.
fn ended(job: &Job<'_>, ended: sandbox::Ended) -> Result<Ended, Fault> {
    Ok(match ended {
        sandbox::Ended::Normally {
            status, out, used, ..
        } => Ended::Normally {
            status,
            used,
            results: out.map_or_else(|| results(job), Ok).map_err(server())?,
        },
        sandbox::Ended::Exceeded(what) => Ended::Exceeded(what),
        sandbox::Ended::NotStarted(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            if is_shortage(&error) {
                return Err(server()(error));
            }
            Ended::NotStarted(reason(&error))
        }
        sandbox::Ended::Misplaced(text) => {
            return Err(Fault::Refused(Refusal {
                level: Level::Warning,
                function: "dcc_sandbox",
                text,
                code: 100,
            }));
        }
        sandbox::Ended::Failed(text) => {
            return Err(Fault::server("making a sandbox")(io::Error::other(text)));
        }
    })
}

/// Where a compiler without a root of its own has written its results.
fn results(job: &Job<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::open(job.scratch.path(), flags, Mode::empty())?)
}

/// Starts the compiler without a sandbox. The inner error is the program's, the outer one the
/// server's.
fn spawn(job: &Job<'_>) -> io::Result<Result<Child, io::Error>> {
    let [stdout, stderr] = &job.messages.for_compiler;
    let mut first_error = None;
    for program in programs(job) {
        let mut command = Command::new(program);
        command
            .arg0(&job.argv[0])
            .args(&job.argv[1..])
            .current_dir(job.cwd)
            .env_clear()
            .envs(job.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .process_group(0);
        match command.spawn() {
            Ok(child) => {
                limit_files(&child);
                if let Some(score) = job.oom_score {
                    let file = format!("/proc/{}/oom_score_adj", child.id());
                    // Nothing else depends on it; and it may be over.
                    let _ = std::fs::write(file, score.to_string());
                }
                return Ok(Ok(child));
            }
            Err(error) if is_shortage(&error) => return Err(error),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Ok(Err(first_error.expect("at least one program was tried")))
}

/// A source of one line can make an object that fills a disk. No larger one could be sent.
fn limit_files(child: &Child) {
    const LARGEST: u64 = 1 << 30;
    let pid = Some(Pid::from_child(child));
    let limit = Rlimit {
        current: Some(LARGEST),
        maximum: Some(LARGEST),
    };
    // It may be over already.
    let _ = prlimit(pid, Resource::Fsize, limit);
}

/// Whether the server is short of something, so that another program would not start either.
fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE)
    )
}

/// A running compiler and its children. None of them outlives it.
struct Group {
    pid: Pid,
    /// Readable when the compiler has ended.
    ended: std::os::fd::OwnedFd,
    reaped: bool,
}

impl Group {
    fn new(child: &Child) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(ended) => Ok(Self {
                pid,
                ended,
                reaped: false,
            }),
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL); // The error below says it all.
                sandbox::wait_for(pid)?;
                Err(error.into())
            }
        }
    }

    /// Takes the compiler's status and what it took, once it has ended, and kills what it left running.
    fn reap(&mut self) -> io::Result<(u32, Used)> {
        // Before the compiler is reaped: until then nobody else can have its number.
        let _ = kill_process_group(self.pid, Signal::KILL); // Mostly nobody is left.
        let ended = sandbox::wait_for(self.pid)?;
        self.reaped = true;
        Ok(ended)
    }

    /// Ends the compiler.
    fn terminate(&mut self) {
        let _ = kill_process_group(self.pid, Signal::TERM); // It may be over by itself.
        let mut fds = [rustix::event::PollFd::new(
            &self.ended,
            rustix::event::PollFlags::IN,
        )];
        // Interrupted or not, what remains is killed now.
        let _ = rustix::event::poll(&mut fds, Some(&crate::wire::timespec(GRACE)));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.reap(); // There is nobody left to tell.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Status(u32),
        TimedOut,
        NotStarted(String),
    }

    struct Surroundings {
        dir: tempfile::TempDir,
        scratch: Scratch,
        client: Option<UnixStream>,
        wire: Wire,
        kill: Arc<Event>,
    }

    impl Surroundings {
        fn new() -> Self {
            let (client, server) = UnixStream::pair().unwrap();
            let kill = Arc::new(Event::new().unwrap());
            let dir = tempfile::tempdir().unwrap();
            Self {
                scratch: Scratch::create(dir.path(), false).unwrap(),
                dir,
                client: Some(client),
                wire: Wire::socket(server.into(), Arc::clone(&kill), Duration::from_secs(10)),
                kill,
            }
        }

        fn run(&mut self, argv: &[&str], limit: Option<Duration>) -> Result<Seen, String> {
            let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
            // Some tests run several.
            for file in [self.scratch.stdout(), self.scratch.stderr()] {
                let _ = std::fs::remove_file(file);
            }
            let messages = Messages::create(&self.scratch).unwrap();
            let job = Job {
                messages: &messages,
                program: &argv[0],
                argv: &argv,
                cwd: self.dir.path(),
                environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
                scratch: &self.scratch,
                trees: &[],
                time_limit: limit,
                oom_score: None,
            };
            match run(&job, &Confinement::Trust, &mut self.wire, &self.kill) {
                Ok(Ended::Normally { status, .. }) => Ok(Seen::Status(status)),
                Ok(Ended::TimedOut) => Ok(Seen::TimedOut),
                Ok(Ended::NotStarted(reason)) => Ok(Seen::NotStarted(reason)),
                Ok(Ended::Exceeded(what)) => Err(what),
                Err(fault) => Err(fault.to_string()),
            }
        }

        fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.scratch.path().join(name)).unwrap()
        }
    }

    #[test]
    fn status_and_output_are_the_programs() {
        let mut here = Surroundings::new();
        let script = "echo out; echo err >&2; pwd; env; exit 42";
        assert_eq!(
            here.run(&["sh", "-c", script], None),
            Ok(Seen::Status(0x2a00))
        );
        let out = here.text("stdout");
        assert!(
            out.starts_with(&format!("out\n{}\n", here.dir.path().display())),
            "{out}"
        );
        assert!(!out.contains("HOME="), "{out}");
        assert_eq!(here.text("stderr"), "err\n");
        assert_eq!(
            here.run(&["sh", "-c", "kill -SEGV $$"], None),
            Ok(Seen::Status(11))
        );
    }

    #[test]
    fn a_path_of_the_client_falls_back_to_its_name() {
        let mut here = Surroundings::new();
        let argv = ["/nowhere/sh", "-c", "echo $0"];
        assert_eq!(here.run(&argv, None), Ok(Seen::Status(0)));
        assert_eq!(here.text("stdout"), "/nowhere/sh\n");
    }

    #[test]
    fn a_missing_program_is_named_by_the_system() {
        let mut here = Surroundings::new();
        for program in ["nosuchcc", "/nowhere/nosuchcc"] {
            assert_eq!(
                here.run(&[program], None),
                Ok(Seen::NotStarted("No such file or directory".into()))
            );
        }
    }

    #[test]
    fn the_time_limit_ends_even_what_ignores_it() {
        let mut here = Surroundings::new();
        let started = Instant::now();
        let mut run = |script, limit_ms| {
            let limit = Some(Duration::from_millis(limit_ms));
            assert_eq!(here.run(&["sh", "-c", script], limit), Ok(Seen::TimedOut));
            here.text("stdout")
        };
        // It is asked to end first, and may take a moment for that, once it listens at all.
        let polite = "trap 'echo asked; exit' TERM; sleep 1000 & wait";
        let mut limits = [20, 200, 2000, 20_000].into_iter();
        assert!(limits.any(|limit| run(polite, limit) == "asked\n"));
        run("trap '' TERM; sleep 1000 & wait; wait; sleep 1000", 20);
        assert!(started.elapsed() < Duration::from_secs(900));
    }

    #[test]
    fn a_client_that_hangs_up_ends_the_compiler() {
        let mut here = Surroundings::new();
        here.client = None;
        let error = here.run(&["sh", "-c", "sleep 100 & echo $! > pid; wait"], None);
        assert_eq!(error.unwrap_err(), Fault::ClientGone.to_string());
    }

    #[test]
    fn what_a_compiler_leaves_running_is_killed() {
        let mut here = Surroundings::new();
        let script = "sleep 100 & echo $!";
        assert_eq!(here.run(&["sh", "-c", script], None), Ok(Seen::Status(0)));
        let pid = here.text("stdout").trim().to_owned();
        let is_alive = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => false,
        };
        let started = Instant::now();
        while is_alive() {
            assert!(started.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn files_have_a_largest_size() {
        let mut here = Surroundings::new();
        // It is limited a moment after its start.
        let script = "until grep -q '^Max file size  *1073741824 ' /proc/self/limits; do :; done; \
                      truncate -s 1G file && rm file && truncate -s 2G file";
        let ended = here.run(&["sh", "-c", script], None).unwrap();
        assert_ne!(ended, Seen::Status(0));
        let data = std::fs::metadata(here.dir.path().join("file")).unwrap();
        assert_eq!(data.len(), 0);
    }

    #[test]
    fn stopping_ends_the_compiler() {
        let mut here = Surroundings::new();
        here.kill.raise();
        let error = here.run(&["sleep", "100"], None).unwrap_err();
        assert_eq!(error, Fault::Stopping.to_string());
    }
}
