//! One connection: one request, one compile, one answer.
//!
//! This is the path of every job. Besides what the compiler does it costs about fifteen system
//! calls for the scratch folder, and one `open` and `write` per file received; the answer is one
//! `write`. A job slot is held while the compiler runs and at no other time, so that a client
//! that sends or takes its data slowly keeps nobody else waiting.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use command::{Compile, Plan};
use protocol::request::Head;

use crate::answer::{self, Made};
use crate::confinement::Confinement;
use crate::fault::{Fault, Refusal};
use crate::known_options::unknown_option;
use crate::log::Level;
use crate::peer::Peer;
use crate::pool::NoShare;
use crate::ready::{self, Ready};
use crate::receive::{Incoming, wait_for_turn};
use crate::run::{self, Ended, Messages};
use crate::scratch::Scratch;
use crate::server::Server;
use crate::summary::{Outcome, Summary};
use crate::wire::Wire;

/// Serves a connection to its end, and returns the job's internal code.
pub(crate) fn serve(server: &Server, mut wire: Wire, peer: &Peer) -> i32 {
    let started = Instant::now();
    let log = &server.log;
    log.info("dcc_check_client", format_args!("connection from {peer}"));
    let mut refused = false;
    let (result, status, code, names) = match attempt(server, &mut wire, peer) {
        Ok(done) => (done.outcome.result(), done.status, 0, Some(done.names)),
        Err(fault) => {
            log.line(
                fault.level(),
                fault.function(),
                format_args!("{peer}: {fault}"),
            );
            let (result, code) = fault.result();
            let status = match fault {
                Fault::ClientGone => CLIENT_GONE,
                _ => 0,
            };
            refused = matches!(fault, Fault::Refused(_));
            (result, status, code, None)
        }
    };
    let summary = Summary {
        peer,
        result,
        status,
        code,
        time: started.elapsed(),
        names,
    };
    log.notice("dcc_job_summary", summary);
    if refused {
        // Its client may be preprocessing still. It learns of this when it looks for an answer,
        // as from 3.4.
        wire.finish(server.settings.patience.pause);
    }
    code
}

/// Exit codes of distcc as `wait` statuses.
const CLIENT_GONE: u32 = 107 << 8;
const NOT_STARTED: u32 = 110 << 8;
const TIMED_OUT: u32 = 118 << 8;
/// Death by SIGKILL.
const KILLED: u32 = 9;

/// A job that was answered.
struct Done {
    outcome: Outcome,
    status: u32,
    names: (OsString, OsString),
}

fn attempt(server: &Server, wire: &mut Wire, peer: &Peer) -> Result<Done, Fault> {
    let patience = server.settings.patience;
    let mut incoming = Incoming::new(wire, &server.memory, &server.stop, patience);
    let head = incoming.head()?;
    let order = Order::new(server, &head).map_err(Fault::Refused)?;
    let (compiler, compile) = (&head.argv[0], &order.compile);
    let (input, output) = (compile.input().display(), compile.output().display());
    server.log.info(
        "dcc_run_job",
        format_args!("compile from {input} to {output}"),
    );

    let scratch = Scratch::create(&server.settings.temp_folder, server.settings.keep_scratch)
        .map_err(Fault::server("making a scratch folder"))?;
    let confinement = &server.confinement;
    let ready = match &head.cwd {
        None => ready::receive_source(&mut incoming, &scratch, compile, confinement)?,
        Some(cwd) => ready::receive_tree(&mut incoming, &scratch, compile, cwd, confinement)?,
    };
    let _command_memory = incoming.end();
    let messages =
        Messages::create(&scratch).map_err(Fault::server("making files for messages"))?;
    let ended = run_compiler(server, wire, &order, &ready, &scratch, &messages)?;
    if wire.has_trailing_bytes() {
        let text = format_args!("{peer}: ignored bytes after the request");
        server.log.warning("dcc_run_job", text);
    }

    let (outcome, status, note) = match &ended {
        Ended::Normally { status: 0, .. } => (Outcome::Ok, 0, String::new()),
        &Ended::Normally { status, .. } => (Outcome::Error, status, String::new()),
        Ended::Exceeded(what) => {
            let note = format!("Compilation was ended: {what}.\n");
            server
                .log
                .warning("dcc_sandbox", format_args!("{peer}: {what}"));
            (Outcome::Error, KILLED, note)
        }
        Ended::TimedOut => {
            let note = "Compilation takes too long, timeout.\n".to_owned();
            (Outcome::TimedOut, TIMED_OUT, note)
        }
        Ended::NotStarted(reason) => {
            let text = format!("failed to exec {}: {reason}", order.program.display());
            server.log.error("dcc_execvp", &text);
            let note = format!(
                "distccd[{}] (dcc_execvp) ERROR: {text}\n",
                std::process::id()
            );
            (Outcome::Error, NOT_STARTED, note)
        }
    };
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
    server.log.info("dcc_service_job", "job complete");
    Ok(Done {
        outcome,
        status,
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

/// Waits for a slot and runs the compiler in it.
fn run_compiler(
    server: &Server,
    wire: &mut Wire,
    order: &Order,
    ready: &Ready,
    scratch: &Scratch,
    messages: &Messages,
) -> Result<Ended, Fault> {
    let turn = |turn: std::os::fd::BorrowedFd<'_>| wait_for_turn(wire, turn, &server.stop);
    let _slot = server
        .slots
        .take(1, turn, Fault::server("making an event"))
        .map_err(|error| match error {
            NoShare::GaveUp(fault) => fault,
            NoShare::NeverFits => unreachable!("there is at least one slot"),
        })?;
    let job = run::Job {
        program: &order.program,
        argv: &ready.argv,
        cwd: &ready.cwd,
        environment: server.compiler_environment(&ready.temp_folder),
        scratch,
        messages,
        trees: &ready.trees,
        time_limit: server.settings.job_lifetime,
    };
    run::run(&job, &server.confinement, wire, &server.kill)
}

fn log_end(server: &Server, compiler: &OsStr, compile: &Compile, status: u32) {
    let end = match (status & 0x7f, status >> 8 & 0xff) {
        (0, 0) => "completed ok".to_owned(),
        (0, code) => format!("failed with exit code {code}"),
        (signal, _) => format!("died with signal {signal}"),
    };
    let (compiler, input) = (compiler.display(), compile.input().display());
    let text = format_args!("{compiler} {input} on localhost {end}");
    server.log.info("dcc_collect_child", text);
}
