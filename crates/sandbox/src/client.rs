//! The server's side: starts the helper, and jobs through it.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::helper::{HELPER, READY};
use crate::job::{Config, Ended, Job, Mode};
use crate::message::{receive, send, send_framed};

/// Runs jobs apart from the rest of the machine.
#[derive(Debug)]
pub struct Sandbox {
    config: Config,
    /// First processes that wait for their next job. Behind Landlock each has one only.
    idle: Idle,
    /// Started anew if it has died. Locked only to take a copy or to replace it.
    helper: Mutex<Arc<Helper>>,
}

/// Why there is no sandbox on this machine, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Connections to first processes that wait.
type Idle = Arc<Mutex<Vec<Arc<UnixStream>>>>;

/// A job that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    connection: Arc<UnixStream>,
    /// Where the first process goes when it is over, if it can have another.
    idle: Option<Idle>,
    over: bool,
}

#[derive(Debug)]
struct Helper {
    control: OwnedFd,
    process: Mutex<Child>,
}

impl Sandbox {
    /// Starts a helper, and tries it out.
    ///
    /// # Errors
    /// What this machine does not allow.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let sandbox = Self {
            helper: Mutex::new(Arc::new(Helper::start(&config)?)),
            idle: Idle::default(),
            config,
        };
        sandbox.rehearse()?;
        Ok(sandbox)
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Makes a job without a program.
    fn rehearse(&self) -> Result<(), StartError> {
        let words = |error: io::Error| StartError(format!("a first job: {error}"));
        let nothing = Job {
            programs: Vec::new(),
            argv: Vec::new(),
            environment: Vec::new(),
            cwd: "/".into(),
            trees: Vec::new(),
            writable: Vec::new(),
        };
        let null = File::create("/dev/null").map_err(words)?;
        let running = self
            .run(&nothing, null.as_fd(), null.as_fd())
            .map_err(words)?;
        match running.ended().map_err(words)? {
            Ended::Normally { .. } => Ok(()),
            Ended::Failed(text) => Err(StartError(text)),
            other => Err(StartError(format!("a first job ended as {other:?}"))),
        }
    }

    /// Starts a job, whose standard output and error go to these files.
    ///
    /// # Errors
    /// The machine's refusal to start anything at all.
    pub fn run(
        &self,
        job: &Job,
        stdout: BorrowedFd<'_>,
        stderr: BorrowedFd<'_>,
    ) -> io::Result<Running> {
        let message = job.encode();
        let fds = [stdout, stderr];
        let asked = std::iter::from_fn(|| self.waiting())
            // One that has been killed since is left, and so are the others of its helper.
            .find(|first_process| send_framed(first_process, &message, &fds).is_ok());
        let connection = match asked {
            Some(first_process) => first_process,
            None => {
                let first_process = self.another()?;
                send_framed(&first_process, &message, &fds)?;
                first_process.into()
            }
        };
        let is_for_one = self.config.mode == Mode::Landlock;
        Ok(Running {
            connection,
            idle: (!is_for_one).then(|| Arc::clone(&self.idle)),
            over: false,
        })
    }

    fn waiting(&self) -> Option<Arc<UnixStream>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    /// Has one more first process started.
    fn another(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        // The filter lets nobody there make sockets.
        let (reports, report) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        let fds = [theirs.as_fd(), reports.as_fd(), report.as_fd()];
        let helper = self.helper();
        if send(&helper.control, b"j", &fds).is_err() {
            send(&self.replace(&helper)?.control, b"j", &fds)?;
        }
        Ok(ours)
    }

    fn helper(&self) -> Arc<Helper> {
        Arc::clone(&self.helper.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts another helper, unless somebody else has done so already.
    fn replace(&self, dead: &Arc<Helper>) -> io::Result<Arc<Helper>> {
        let mut helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&helper, dead) {
            let started = Helper::start(&self.config);
            *helper = Arc::new(started.map_err(|error| io::Error::other(error.to_string()))?);
        }
        Ok(Arc::clone(&helper))
    }
}

impl Helper {
    fn start(config: &Config) -> Result<Self, StartError> {
        let words = |error: io::Error| StartError(format!("starting a helper: {error}"));
        let errno = |errno: rustix::io::Errno| words(errno.into());
        // Each message is one job, whichever thread sends it.
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(errno)?;
        // The program that runs, even if another one has taken its name.
        let process = Command::new("/proc/self/exe")
            .arg(HELPER)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(words)?;
        let helper = Self {
            control: ours,
            process: Mutex::new(process),
        };
        send(&helper.control, &config.encode(), &[]).map_err(words)?;
        let mut said = vec![0; 4096];
        let (length, _) = receive(&helper.control, &mut said).map_err(words)?;
        match &said[..length] {
            READY => Ok(helper),
            [] => Err(StartError("the helper ended without a word".into())),
            text => Err(StartError(String::from_utf8_lossy(text).into_owned())),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends when it reads the end of this; jobs end with it.
        let _ = rustix::net::shutdown(&self.control, rustix::net::Shutdown::Both);
        let process = self.process.get_mut();
        // Not ours to wait for, if the server has gone into the background since.
        let _ = process.unwrap_or_else(PoisonError::into_inner).wait();
    }
}

impl Running {
    /// Waits for the job's end. The descriptor of this ([`AsFd`]) is readable then.
    ///
    /// # Errors
    /// The sandbox died.
    pub fn ended(mut self) -> io::Result<Ended> {
        let mut bytes = vec![0; 8192];
        let (length, fds) = receive(&self.connection, &mut bytes)?;
        self.over = true;
        if length == 0 {
            return Err(io::Error::other("a job's first process died"));
        }
        let ended = Ended::decode(&bytes[..length], fds)?;
        if let Some(idle) = self.idle.take()
            && ended.leaves_all_well()
        {
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Arc::clone(&self.connection));
        }
        Ok(ended)
    }
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl Drop for Running {
    /// Ends the job, and waits until none of it is left.
    fn drop(&mut self) {
        const SOON: Duration = Duration::from_secs(30);
        if self.over {
            return;
        }
        // The first process takes it for our end.
        let _ = self.connection.shutdown(Shutdown::Write);
        let mut fds = [PollFd::new(&self.connection, PollFlags::IN)];
        // It answers at once, and its end is that of all the others.
        let _ = poll(&mut fds, Some(&SOON.try_into().unwrap_or_default()));
        let _ = self.connection.set_read_timeout(Some(SOON));
        let mut rest = [0; 256];
        while let Ok(1..) = io::Read::read(&mut &*self.connection, &mut rest) {}
    }
}
