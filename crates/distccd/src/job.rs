//! One connection: one request, one compile, one answer.
//!
//! This is the path of every job. Besides what the compiler does it costs about fifteen system
//! calls for the scratch folder, and one `open` and `write` per file received; the answer is one
//! `write`. A job slot is held while the compiler runs and at no other time, so that a client
//! that sends or takes its data slowly keeps nobody else waiting.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use command::{Compile, Plan};
use protocol::Token;
use protocol::request::Head;
use protocol::token::put_packet;

use crate::answer::{self, Made};
use crate::confinement::Confinement;
use crate::counts::Longest;
use crate::fault::{Fault, Refusal};
use crate::known_options::unknown_option;
use crate::log::{Level, NO_FUNCTION};
use crate::messages::Messages;
use crate::peer::Peer;
use crate::ready::{self, Ready};
use crate::receive::{Incoming, wait_for_turn};
use crate::run::{self, Ended};
use crate::scratch::Scratch;
use crate::server::Server;
use crate::shares::Client;
use crate::summary::{Summary, Verdict};
use crate::wire::Wire;

/// What became of a connection.
pub(crate) enum Served {
    /// It is over; the job's internal code.
    Over(i32),
    /// Its client speaks HTTP/2; nothing was said yet.
    Http2(Wire),
}

/// Serves a connection to its end, unless it is not of these protocols.
pub(crate) fn serve(server: &Server, mut wire: Wire, peer: &Peer) -> Served {
    let started = Instant::now();
    let log = &server.log;
    log.info("dcc_check_client", format_args!("connection from {peer}"));
    let mut linger = None;
    // Not the job's: 3.4's servers let a connection wait before they accept it.
    let mut waited = Duration::ZERO;
    let (verdict, status, code, names) = match attempt(server, &mut wire, peer, &mut waited) {
        Ok(done) => {
            if done.verdict == Verdict::CompileOk {
                let longest = || Longest {
                    time: started.elapsed().saturating_sub(waited),
                    compiler: done.names.0.to_string_lossy().into_owned(),
                    source: done.names.1.to_string_lossy().into_owned(),
                };
                server.counts.success(done.ran, longest, Instant::now());
            }
            (done.verdict, done.status, 0, Some(done.names))
        }
        // No job.
        Err(Fault::AsksWhy(port)) => {
            if let Some(reason) = server.reasons.of(peer, port) {
                let mut told = Vec::new();
                put_packet(&mut told, Token::NOPE, reason.as_bytes());
                // It would have to compile without it.
                let _ = wire.send_at_once(&told);
            }
            wire.finish(LINGER);
            return Served::Over(0);
        }
        Err(Fault::SpeaksHttp2) => return Served::Http2(wire),
        Err(fault) => {
            log.line(
                fault.level(),
                fault.function(),
                format_args!("{peer}: {fault}"),
            );
            let (verdict, code) = fault.verdict();
            let status = match fault {
                Fault::ClientGone => CLIENT_GONE,
                _ => 0,
            };
            linger = match fault {
                // Its client may be preprocessing still. It learns of this when it looks for an
                // answer, as from 3.4.
                Fault::Refused(refusal) => {
                    server.reasons.note(peer, &refusal.text);
                    Some(server.settings.patience.pause)
                }
                // Closing at once would throw away what the client has not read yet.
                Fault::NoRoom(_) => Some(LINGER),
                Fault::Tree(_) | Fault::TooLarge { .. } => {
                    server.reasons.note(peer, &fault.to_string());
                    None
                }
                _ => None,
            };
            (verdict, status, code, None)
        }
    };
    let summary = Summary {
        peer,
        verdict,
        status,
        code,
        time: started.elapsed().saturating_sub(waited),
        names,
    };
    log.notice("dcc_job_summary", summary);
    server.counts.job(verdict, Instant::now());
    if let Some(at_most) = linger {
        wire.finish(at_most);
    }
    Served::Over(code)
}

/// How long a client that is turned away may take to notice.
const LINGER: Duration = Duration::from_secs(10);

/// Exit codes of distcc as `wait` statuses.
const CLIENT_GONE: u32 = 107 << 8;
const NOT_STARTED: u32 = 110 << 8;
const TIMED_OUT: u32 = 118 << 8;
/// Death by SIGKILL.
const KILLED: u32 = 9;

/// A job that was answered.
struct Done {
    verdict: Verdict,
    status: u32,
    /// For how long its compiler ran.
    ran: Duration,
    names: (OsString, OsString),
}

/// `waited` becomes the time in which all slots were taken.
fn attempt(
    server: &Server,
    wire: &mut Wire,
    peer: &Peer,
    waited: &mut Duration,
) -> Result<Done, Fault> {
    let patience = server.settings.patience;
    let client = Client::of(peer);
    let mut incoming = Incoming::new(wire, server, client, patience);
    let head = incoming.head()?;
    let words = Words(&head.argv);
    server
        .log
        .debug("dcc_r_argv", format_args!("got arguments:{words}"));
    let order = Order::new(server, &head).map_err(Fault::Refused)?;
    let (compiler, compile) = (&head.argv[0], &order.compile);
    let (input, output) = (compile.input().display(), compile.output().display());
    let text = format_args!("compile from {input} to {output}");
    server.log.info(NO_FUNCTION, text);

    let mut scratch = server
        .folders
        .create(client)
        .map_err(Fault::server("making a scratch folder"))?;
    let confinement = &server.confinement;
    let ready = match &head.cwd {
        None => ready::receive_source(&mut incoming, &mut scratch, compile, confinement)?,
        Some(cwd) => ready::receive_tree(&mut incoming, &mut scratch, compile, cwd, confinement)?,
    };
    log_received(server, incoming.received());
    let _held = incoming.end();
    let messages =
        Messages::create(&scratch).map_err(Fault::server("making files for messages"))?;
    let turn = |turn: std::os::fd::BorrowedFd<'_>| wait_for_turn(wire, turn, &server.stop);
    let asked = Instant::now();
    let slot = server
        .slots
        .take(client, turn, Fault::server("making an event"));
    *waited = asked.elapsed();
    let slot = slot?;
    let (ended, ran) = run_compiler(server, wire, &order, &ready, &scratch, &messages)?;
    drop(slot);
    if wire.has_trailing_bytes() {
        let text = format_args!("{peer}: ignored bytes after the request");
        server.log.warning("dcc_run_job", text);
    }

    let (verdict, status, note) = match &ended {
        Ended::Normally { status: 0, .. } => (Verdict::CompileOk, 0, String::new()),
        &Ended::Normally { status, .. } => (Verdict::CompileError, status, String::new()),
        Ended::Exceeded(what) => {
            let note = format!("Compilation was ended: {what}.\n");
            server
                .log
                .warning("dcc_sandbox", format_args!("{peer}: {what}"));
            (Verdict::CompileError, KILLED, note)
        }
        Ended::TimedOut => {
            let note = "Compilation takes too long, timeout.\n".to_owned();
            (Verdict::CompileTimeout, TIMED_OUT, note)
        }
        Ended::NotStarted(reason) => {
            let text = format!("failed to exec {}: {reason}", order.program.display());
            server.log.error("dcc_execvp", &text);
            let note = format!(
                "distccd[{}] (dcc_execvp) ERROR: {text}\n",
                std::process::id()
            );
            (Verdict::CompileError, NOT_STARTED, note)
        }
    };
    if let Ended::Normally { used, .. } = &ended {
        let text = format_args!(
            "cc times: user {:.6}s, system {:.6}s, {} minflt, {} majflt",
            used.user.as_secs_f64(),
            used.system.as_secs_f64(),
            used.minor_faults,
            used.major_faults,
        );
        server.log.info("dcc_collect_child", text);
    }
    log_end(server, compiler, compile, status);
    let results = match &ended {
        Ended::Normally { results, .. } => Some(results),
        _ => None,
    };
    let made = Made {
        status,
        note: &note,
        scratch: &scratch,
        messages: &messages,
        results,
        words: &ready.words,
        root: ready.root.as_deref(),
        without_dependencies: compile.input_is_preprocessed(),
    };
    answer::send(server, wire, head.version, &made)?;
    server.log.info(NO_FUNCTION, "job complete");
    Ok(Done {
        verdict,
        status,
        ran,
        names: (compiler.clone(), compile.input().to_owned()),
    })
}

/// A command that may be run here.
struct Order {
    compile: Compile,
    program: OsString,
}

impl Order {
    /// Checks a command in 3.4's order.
    fn new(server: &Server, head: &Head) -> Result<Self, Refusal> {
        let refused = |function, text| Refusal {
            level: Level::Warning,
            function,
            text,
            code: 100,
        };
        let compiler = &head.argv[0];
        if compiler.is_empty() || compiler.as_bytes().starts_with(b"-") {
            let text = format!("unrecognized distcc option: {}", compiler.display());
            return Err(refused("dcc_r_argv", text));
        }
        let compile = match command::plan(&head.argv) {
            Plan::Distribute(compile) => compile,
            Plan::Local(why) => return Err(refused("dcc_scan_args", format!("not a job: {why}"))),
        };
        if compile.output().is_empty() {
            let text = "not a job: the object's name is empty".to_owned();
            return Err(refused("dcc_scan_args", text));
        }
        let program = server.compilers.program(compiler)?;
        if let Some(option) = command::server::unsafe_option(&head.argv) {
            let text = format!("{} is insecure and not supported", option.display());
            return Err(refused("dcc_run_job", text));
        }
        if matches!(server.confinement, Confinement::Options)
            && let Some(option) = unknown_option(&head.argv)
        {
            let option = option.display();
            let text = format!("{option} is not known to be harmless, and there is no sandbox");
            return Err(refused("dcc_run_job", text));
        }
        // 3.4's client sends these, and loses the files.
        if let Some(option) = command::client::lost_output(&head.argv) {
            let option = option.display();
            let text = format!("{option} writes a file that the protocol cannot bring back");
            return Err(refused("dcc_run_job", text));
        }
        Ok(Self { compile, program })
    }
}

/// Runs the compiler; also returns for how long it ran.
fn run_compiler(
    server: &Server,
    wire: &mut Wire,
    order: &Order,
    ready: &Ready,
    scratch: &Scratch,
    messages: &Messages,
) -> Result<(Ended, Duration), Fault> {
    let job = run::Job {
        program: &order.program,
        argv: &ready.argv,
        cwd: &ready.cwd,
        environment: server.compiler_environment(&ready.temp_folder),
        scratch,
        messages,
        trees: &ready.trees,
        time_limit: server.settings.job_lifetime,
        oom_score: server.settings.oom_score,
    };
    let words = Words(&ready.argv);
    server.log.debug(
        "dcc_spawn_child",
        format_args!("forking to execute:{words}"),
    );
    let started = Instant::now();
    let ended = run::run(&job, &server.confinement, wire, &server.kill)?;
    Ok((ended, started.elapsed()))
}

/// A command in the log, each word with a blank in front.
struct Words<'a>(&'a [OsString]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|word| write!(f, " {}", word.display()))
    }
}

/// As 3.4 says it for each file; here for all that followed the command.
fn log_received(server: &Server, (bytes, time): (u64, Duration)) {
    let seconds = time.as_secs_f64();
    let rate = bytes as f64 / 1024.0 / seconds.max(1e-6);
    let text = format_args!("{bytes} bytes received in {seconds:.6}s, rate {rate:.0}kB/s");
    server.log.info("dcc_r_file_timed", text);
}

fn log_end(server: &Server, compiler: &OsStr, compile: &Compile, status: u32) {
    let end = match (status & 0x7f, status >> 8 & 0xff) {
        (0, 0) => "completed ok".to_owned(),
        (0, code) => format!("failed with exit code {code}"),
        (signal, _) => format!("died with signal {signal}"),
    };
    let (compiler, input) = (compiler.display(), compile.input().display());
    let text = format_args!("{compiler} {input} on localhost {end}");
    server.log.info(NO_FUNCTION, text);
}
