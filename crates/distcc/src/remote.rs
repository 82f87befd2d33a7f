//! One attempt: a job on a host, from the connection to the whole answer.
//!
//! Nothing is written or printed here but log lines. What an answer may look like, and what can be
//! wrong with a host, is in [`crate::exchange`].
//!
//! Cost of a request: two writes, three for text that is not packed; in pump mode one, or where the include server is
//! one of ours, one and one for each piece of what it keeps ready.

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::{Duration, Instant};

use command::Compile;
use hosts::Host;
use protocol::request::{self, Head};
use protocol::{Header, Token, Version};

use crate::exchange::{Answer, Fault, receive, send};
use crate::host_list::short_name;
use crate::log::Words;
use crate::monitor::{Monitor, Phase};
use crate::preprocess::{self, PreprocessError, Source};
use crate::pump;
use crate::schedule::{LocalWork, Scheduler};
use crate::settings::{Limits, Settings};
use crate::text::Text;
use crate::transport::Connection;
use crate::why;

/// A job to be done elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) compile: &'a Compile,
    pub(crate) settings: &'a Settings,
    pub(crate) limits: Limits,
}

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The host's: another one may do better.
    Host(Fault),
    /// There is nothing that could be sent to any host.
    Source(PreprocessError),
    /// The include server failed, and a test wants to see that.
    IncludeServer,
    /// There is no include server any more, and text that is preprocessed here would not do. Only where commands may run here.
    NoIncludeServer,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Host(fault)
    }
}

/// Does the job on a host, in one of its slots. `source` is kept from one attempt to the next.
pub(crate) fn attempt(
    job: Job<'_>,
    host: &Host,
    slot: u32,
    source: &mut Source,
    scheduler: &Scheduler<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<Answer, Failure> {
    let mut port = None;
    let done = attempt_from(&mut port, job, host, slot, source, scheduler, monitor);
    match (done, port) {
        (Err(Failure::Host(Fault::NoAnswer)), Some(port)) => {
            let reason = why::ask(host, port, job.settings);
            Err(Failure::Host(
                reason.map_or(Fault::NoAnswer, Fault::Refused),
            ))
        }
        (done, _) => done,
    }
}

/// The same; notes the `port` of our end of the connection, if it has one.
fn attempt_from(
    port: &mut Option<u16>,
    job: Job<'_>,
    host: &Host,
    slot: u32,
    source: &mut Source,
    scheduler: &Scheduler<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<Answer, Failure> {
    let mut version = pump::version(host, job.compile, job.settings, job.limits);
    if version == Version::Pump {
        match pump_request(job, scheduler, monitor) {
            Ok(request) => return attempt_pump(port, job, host, slot, &request, monitor),
            Err(error) => {
                error.report(job.settings);
                // Who wants nothing to run here gets text, as with 3.4.
                if error.is_gone() && job.settings.fallback && !job.settings.pump.testing {
                    return Err(Failure::NoIncludeServer);
                }
            }
        }
        job.settings.log.warning(
            "dcc_build_somewhere",
            format_args!("failed to get includes from include server, preprocessing locally"),
        );
        if job.settings.pump.testing {
            return Err(Failure::IncludeServer);
        }
        version = Version::Lzo;
    }
    source
        .start(job.compile, job.settings, scheduler)
        .map_err(Failure::Source)?;
    attempt_plain(port, job, version, host, slot, source, monitor)
}

/// Makes the request for pump mode, in a slot of this machine.
fn pump_request(
    job: Job<'_>,
    scheduler: &Scheduler<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<pump::Request, pump::PumpError> {
    let slot = scheduler.wait_for_local_slot(LocalWork::Preprocess);
    monitor.note(Phase::Preprocess, "localhost".as_ref(), slot.number);
    pump::request(job.compile, job.settings, job.limits)
}

/// Protocol 3: all is known before the connection is made.
fn attempt_pump(
    port: &mut Option<u16>,
    job: Job<'_>,
    host: &Host,
    slot: u32,
    request: &pump::Request,
    monitor: &mut Monitor<'_>,
) -> Result<Answer, Failure> {
    announce(job, host, Version::Pump, job.compile.argv());
    let name = short_name(host);
    let started = Instant::now();
    monitor.note(Phase::Connect, name, slot);
    let mut connection = connect(job, host)?;
    *port = connection.port();
    monitor.note(Phase::Send, name, slot);
    match &request.rest {
        None => send(&mut connection, &request.bytes)?,
        Some((pieces, file)) => connection
            .write_with_pieces(&request.bytes, file, &pieces.pieces)
            .map_err(Fault::of_sending)?,
    }
    monitor.note(Phase::Compile, name, slot);
    let mut receiving = || monitor.note(Phase::Receive, name, slot);
    let answer = receive(
        &mut connection,
        Version::Pump,
        request.len(),
        &mut receiving,
    )?;
    connection.close();
    log_rate(job, name, request.len(), started.elapsed());
    Ok(answer)
}

/// Protocols 1 and 2: the head goes out while the preprocessor runs.
fn attempt_plain(
    port: &mut Option<u16>,
    job: Job<'_>,
    version: Version,
    host: &Host,
    slot: u32,
    source: &mut Source,
    monitor: &mut Monitor<'_>,
) -> Result<Answer, Failure> {
    let head = Head {
        version,
        cwd: None,
        argv: preprocess::command_to_send(job.compile, job.settings),
    };
    announce(job, host, version, &head.argv);
    let name = short_name(host);
    let started = Instant::now();
    monitor.note(Phase::Connect, name, slot);
    let mut connection = connect(job, host)?;
    *port = connection.port();
    let head = head.encode();
    send(&mut connection, &head)?;
    monitor.note(Phase::Preprocess, name, slot);
    let preprocessed = source.finish().map_err(Failure::Source)?;
    let body = match version {
        Version::Plain => None,
        _ => Some(
            packed(&preprocessed.text)
                .map_err(PreprocessError::Io)
                .map_err(Failure::Source)?,
        ),
    };
    monitor.note(Phase::Send, name, slot);
    let body_bytes = match body {
        Some(body) => {
            send(&mut connection, &body)?;
            body.len()
        }
        None => send_text(&mut connection, &preprocessed.text)?,
    };
    monitor.note(Phase::Compile, name, slot);
    let mut receiving = || monitor.note(Phase::Receive, name, slot);
    let sent = head.len() + body_bytes;
    let answer = receive(&mut connection, version, sent, &mut receiving)?;
    connection.close();
    log_rate(job, name, preprocessed.text.len(), started.elapsed());
    Ok(answer)
}

/// The text as protocol 2 sends it.
fn packed(text: &Text) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    request::put_bulk(&mut body, Version::Lzo, Token::DOTI, &text.read()?);
    Ok(body)
}

/// Sends the text as it is; gives the bytes sent.
fn send_text(to: &mut Connection, text: &Text) -> Result<usize, Fault> {
    let length = u32::try_from(text.len()).expect("longer texts were refused");
    let header = Header::new(Token::DOTI, length).encode();
    match text {
        Text::Bytes(bytes) => send(to, &[&header, bytes.as_slice()].concat())?,
        Text::Sealed(text) => to
            .write_with_file(&header, &text.file, text.bytes)
            .map_err(Fault::of_sending)?,
    }
    Ok(header.len() + text.len())
}

fn announce(job: Job<'_>, host: &Host, version: Version, argv: &[OsString]) {
    let log = &job.settings.log;
    let spec = host.spec.display();
    log.info("", format_args!("exec on {spec}: {}", Words(argv)));
    let number = version.number();
    log.debug("dcc_x_token_int", format_args!("send DIST{number:08x}"));
}

fn log_rate(job: Job<'_>, host: &OsStr, bytes: usize, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    job.settings.log.info(
        "",
        format_args!(
            "{bytes} bytes from {} compiled on {} in {seconds:.4}s, rate {:.0}kB/s",
            job.compile.input().display(),
            host.display(),
            bytes as f64 / 1024.0 / seconds
        ),
    );
}

fn connect(job: Job<'_>, host: &Host) -> Result<Connection, Fault> {
    Connection::open(&host.transport, job.settings, job.limits.io_timeout).map_err(Fault::Connect)
}
