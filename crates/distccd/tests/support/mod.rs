//! A server under test, in a temporary folder of its own, and a client that speaks raw bytes.
//!
//! The server gets its listening socket as standard input, so no test has to guess a free port.
//! Every server is stopped at the end of its test, and must then have left nothing behind.
#![allow(clippy::print_stderr, reason = "a failed test shows its server's log")]
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod actions;
pub(crate) mod attacker;
mod conversation;
#[allow(unreachable_pub, reason = "the end-to-end tests use it, too")]
#[path = "../../../../tests/src/port.rs"]
pub(crate) mod port;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "each test program uses a part of it")]
pub(crate) use conversation::{Entry, Reply, head, source_request, tree_request};
use port::Port;
use protocol::Version;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Long enough for any step on a machine that is so busy that it stands still for a while.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A running server.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    pub(crate) expect_clean: bool,
    /// The packaged server's workers do not end with it.
    side: Side,
    /// If it has bound its port by itself.
    _port: Option<Port>,
}

/// Compilers in namespaces of their own, behind Landlock, and without a sandbox.
pub(crate) const SANDBOXES: [&str; 2] = ["--sandbox=required", "--sandbox=off"];

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    /// The packaged distcc 3.4.
    Packaged,
}

pub(crate) const SIDES: [Side; 2] = [Side::Ours, Side::Packaged];

/// A server to be started.
pub(crate) struct Setup {
    folder: tempfile::TempDir,
    side: Side,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    user: Option<u32>,
}

impl Setup {
    /// Any program may run, IPv4 loopback clients are allowed, and programs are found in `bin`
    /// first.
    pub(crate) fn insecure() -> Self {
        Self::strict().arg("--enable-tcp-insecure")
    }

    /// Without `--enable-tcp-insecure`.
    pub(crate) fn strict() -> Self {
        let setup = Self::bare();
        let path = format!("{}:/usr/bin:/bin", setup.file("bin").display());
        setup.arg("--allow=127.0.0.1").env("DISTCCD_PATH", path)
    }

    /// Without any option that is not about the test's own folder.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As root, the server becomes somebody else.
        open_to_all(folder.path());
        for name in ["tmp", "bin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            open_to_all(&folder.path().join(name));
        }
        Self {
            folder,
            side: Side::Ours,
            program: env!("CARGO_BIN_EXE_distccd").into(),
            args: Vec::new(),
            env: Vec::new(),
            user: None,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A shell script in `bin`.
    pub(crate) fn script(self, name: &str, text: &str) -> Self {
        // By another process: if this one opened the file for writing, a test that forks at
        // that moment would make it busy for longer.
        let mut install = Command::new("install")
            .args(["-m755", "/dev/stdin"])
            .arg(self.file("bin").join(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = install.stdin.take().unwrap();
        write!(stdin, "#!/bin/sh\n{text}\n").unwrap();
        drop(stdin);
        assert!(install.wait().unwrap().success());
        self
    }

    /// A copy of the server in a prefix with its own masquerade folder, which allows `names`.
    pub(crate) fn with_masquerade(mut self, names: &[&str]) -> Self {
        let prefix = self.file("prefix");
        let links = prefix.join("lib/distcc");
        fs::create_dir_all(&links).unwrap();
        fs::create_dir(prefix.join("bin")).unwrap();
        for name in names {
            std::os::unix::fs::symlink("/bin/true", links.join(name)).unwrap();
        }
        let program = prefix.join("bin/distccd");
        let mut copy = Command::new("cp");
        assert!(
            copy.arg(&self.program)
                .arg(&program)
                .status()
                .unwrap()
                .success()
        );
        self.program = program;
        self
    }

    /// Starts it where nobody may make namespaces: in one that allows no more. As root it is a
    /// private server, because there is no other user in there.
    pub(crate) fn without_namespaces(mut self) -> Self {
        let program = std::mem::replace(&mut self.program, "unshare".into());
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
                      exec setpriv --ambient-caps=-all --inh-caps=-all \"$0\" \"$@\"";
        let words = ["--map-current-user", "--keep-caps", "sh", "-c", script];
        let is_root = self.user.is_none() && rustix::process::getuid().is_root();
        let private = is_root.then(|| "--same-user".into());
        let words = words.map(OsString::from).into_iter();
        let words = words.chain([program.into()]).chain(private);
        self.args = words.chain(self.args).collect();
        self
    }

    /// Starts it where `/dev/shm` is a tmpfs of its own, of so many MiB.
    pub(crate) fn with_shared_memory(self, mib: u32) -> Self {
        self.with_shared_memory_of(&format!("{mib}m"))
    }

    /// The same, in the words of mount(8).
    pub(crate) fn with_shared_memory_of(mut self, size: &str) -> Self {
        let program = std::mem::replace(&mut self.program, "unshare".into());
        let script = format!(
            "mount -t tmpfs -o size={size},mode=1777 own /dev/shm && \
             exec setpriv --ambient-caps=-all --inh-caps=-all \"$0\" \"$@\""
        );
        let user = ["--user", "--map-current-user", "--keep-caps"];
        let user = match rustix::process::getuid().is_root() {
            true => &user[..0],
            false => &user[..],
        };
        let words = user.iter().chain(&["--mount", "sh", "-c"]);
        let words = words.map(OsString::from).chain([script.into()]);
        self.args = words.chain([program.into()]).chain(self.args).collect();
        self
    }

    /// Starts it as a user without rights, from where that user may.
    pub(crate) fn run_by_nobody(mut self) -> Self {
        let program = self.file("distccd");
        let mut copy = Command::new("cp");
        assert!(
            copy.arg(&self.program)
                .arg(&program)
                .status()
                .unwrap()
                .success()
        );
        self.program = program;
        self.user = Some(65534);
        self
    }

    pub(crate) fn log_to(self, log: &Path) -> Self {
        self.arg("--log-file").arg(log)
    }

    /// Another server's program with the same words.
    pub(crate) fn of(mut self, side: Side) -> Self {
        self.side = side;
        if side == Side::Packaged {
            self.program = "/usr/bin/distccd".into();
        }
        self
    }

    /// Starts it on a port that it binds by itself, as it is started by people; its log is in
    /// `log`, unless its words say otherwise.
    pub(crate) fn start_by_port(self) -> Daemon {
        let port = Port::keep();
        let address = SocketAddr::from(([127, 0, 0, 1], port.number));
        let mut command = Command::new(&self.program);
        let listen = ["--daemon", "--no-detach", "--listen=127.0.0.1"];
        command.args(listen).arg(format!("--port={}", port.number));
        command.arg("--log-file").arg(self.file("log"));
        let command = self.surroundings(command.args(&self.args));
        let stderr = fs::File::create(self.file("stderr")).unwrap();
        let mut child = command.stdin(Stdio::null()).stderr(stderr).spawn().unwrap();
        wait_until("it listens or ends", || {
            is_listening(address) || child.try_wait().unwrap().is_some()
        });
        // By a signal it ends when it has served for as long as it was told to.
        let code = child.try_wait().unwrap().and_then(|status| status.code());
        assert_eq!(code, None, "distccd does not serve");
        Daemon {
            child,
            address,
            folder: self.folder,
            expect_clean: true,
            side: self.side,
            _port: Some(port),
        }
    }

    /// The command, with everything but standard input.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.surroundings(command.args(&self.args));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Gives a command the environment of this test.
    fn surroundings<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_remove("DISTCC_CMDLIST")
            .env_remove("DISTCC_IO_TIMEOUT")
            .env_remove("DISTCC_SAVE_TEMPS")
            .env("TMPDIR", self.file("tmp"))
            .env("CACHE_DIRECTORY", self.file("cache"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
    }

    pub(crate) fn start(self) -> Daemon {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.start_on(listener)
    }

    pub(crate) fn start_on(self, listener: TcpListener) -> Daemon {
        let address = listener.local_addr().unwrap();
        let child = self
            .command()
            .args(["--daemon", "--no-detach", "--log-level=info"])
            .arg("--log-file")
            .arg(self.file("log"))
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Daemon {
            child,
            address,
            folder: self.folder,
            expect_clean: true,
            side: self.side,
            _port: None,
        }
    }
}

/// Whether somebody listens there, without connecting: the server counts connections.
fn is_listening(address: SocketAddr) -> bool {
    let local = format!("0100007F:{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().skip(1));
    rows.any(|mut row| row.next() == Some(&local) && row.nth(1) == Some("0A"))
}

fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
}

impl Daemon {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Sends bytes, and reads the answer; `None` if the connection was closed without one.
    pub(crate) fn ask(&self, version: Version, request: &[u8]) -> Option<Reply> {
        let mut stream = self.connect();
        // The server may close before it has read all.
        let _ = stream.write_all(request);
        Reply::read(&mut stream, version)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// The log's lines, once one of them has `text` in it.
    pub(crate) fn wait_for_log(&self, text: &str) -> Vec<String> {
        wait_until(text, || self.log().contains(text));
        self.log().lines().map(str::to_owned).collect()
    }

    /// The lines that say why a job had no answer, from the only connection that there was.
    pub(crate) fn faults(&self) -> Vec<String> {
        let lines = self.wait_for_log("(dcc_job_summary)");
        lines
            .into_iter()
            // What it says at its start is about no job.
            .filter(|line| !line.contains("(dcc_sandbox) Warning: no sandbox"))
            .filter(|line| {
                ["ERROR: ", "Warning: ", "CRITICAL! "]
                    .iter()
                    .any(|severity| line.contains(severity))
            })
            .collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// No scratch folder is left, or will not be in a moment.
    pub(crate) fn check_clean(&self) {
        wait_until("the temporary folder is empty", || {
            self.leftovers().is_empty()
        });
    }

    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.file("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The most memory that the server ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib << 10
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the server:\n{}", self.log());
            if self.side == Side::Packaged && self.child.try_wait().unwrap().is_none() {
                // It leads the group of its workers.
                let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        }
        if self.child.try_wait().unwrap().is_none() {
            self.check_clean();
            self.signal(Signal::TERM);
            assert_eq!(self.wait().signal(), Some(15));
        }
        if self.expect_clean {
            assert_eq!(self.leftovers(), Vec::<PathBuf>::new());
        }
        assert!(!self.log().contains("panicked"));
    }
}

/// A time that no other process sleeps for, so that one that does can be found.
pub(crate) fn unique_time() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("1000.{:010}{number}", std::process::id())
}

/// The processes of this machine with `word` as an argument.
pub(crate) fn processes_with(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let has = |line: &Vec<u8>| {
        line.split(|&byte| byte == 0)
            .any(|part| part == word.as_bytes())
    };
    lines.filter(has).count()
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < SOON, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A compiler of a few lines of shell: runs its source as a script, with `$out` and `$deps`.
pub(crate) const SCRIPTED_COMPILER: &str = r#"
for word; do
    case $last in -o) out=$word ;; -MF) deps=$word ;; esac
    case $word in *.c | *.i) source=$word ;; esac
    last=$word
done
. "$(realpath "$source")"
"#;
