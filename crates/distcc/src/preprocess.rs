//! Preprocessed source, for protocols 1 and 2.
//!
//! The preprocessor runs once per job, whatever hosts are tried: it is started before the first
//! connection is made, and what it wrote is kept. It writes to files in memory and not to pipes, so
//! that it never waits for us, nor we for it while a connection is being made; its text is sent
//! from there.
//!
//! What it said on standard error is kept too, and printed by whoever accepts a result: if the
//! compile ends up here after all, the compiler says it again.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use command::Compile;
use command::assembler_text::reads_files;

use crate::child::{self, Child};
use crate::log::{Reason, Words};
use crate::saved;
use crate::schedule::{LocalWork, Scheduler, Slot};
use crate::settings::Settings;
use crate::text::{Text, memory_file, read_from_start};

/// More than any real source; lengths on the wire have 32 bits.
const MAX_SOURCE_BYTES: usize = 1 << 30;

/// What was made of a source file.
#[derive(Debug)]
pub(crate) struct Preprocessed {
    /// The text to send.
    pub(crate) text: Text,
    /// What the preprocessor said.
    pub(crate) stderr: Vec<u8>,
}

/// Why there is no preprocessed source.
#[derive(Debug)]
pub(crate) enum PreprocessError {
    /// The preprocessor does not like the source.
    Failed { status: ExitStatus, stderr: Vec<u8> },
    /// There is no such preprocessor.
    CannotRun(io::Error),
    /// Its input or output cannot be read.
    Io(io::Error),
    /// The text is longer than we send.
    TooLong(usize),
    /// The text has the assembler read files, which would be a server's.
    Assembler,
    /// The result shows the source itself.
    ShowsSource,
}

impl PreprocessError {
    /// Whether all is well, but not for any server.
    pub(crate) fn is_no_failure(&self) -> bool {
        matches!(self, Self::Assembler | Self::ShowsSource)
    }
}

impl fmt::Display for PreprocessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { .. } => f.write_str("the preprocessor failed"),
            Self::CannotRun(error) => {
                write!(f, "the preprocessor cannot be run: {}", Reason(error))
            }
            Self::Io(error) => write!(f, "cannot read the source: {}", Reason(error)),
            Self::TooLong(bytes) => write!(f, "{bytes} bytes of source are too many to send"),
            Self::Assembler => f.write_str(".incbin or .include in the source reads files here"),
            Self::ShowsSource => f.write_str("-fverbose-asm shows lines of the source"),
        }
    }
}

/// What is sent with the source.
pub(crate) fn command_to_send(job: &Compile, settings: &Settings) -> Vec<OsString> {
    match job.needs_folder().then(|| folder(settings)).flatten() {
        Some(folder) => job.stripped_command_in(&folder),
        None => job.stripped_command(),
    }
}

/// The working folder as compilers name it: by `PWD`, if that is the same.
pub(crate) fn folder(settings: &Settings) -> Option<OsString> {
    let here = std::fs::metadata(".").ok()?;
    let is_here = |folder: &OsString| {
        let found = Path::new(folder).metadata();
        found.is_ok_and(|found| (found.dev(), found.ino()) == (here.dev(), here.ino()))
    };
    let named = settings.pwd.clone();
    let named = named.filter(|folder| Path::new(folder).is_absolute() && is_here(folder));
    named.or_else(|| Some(std::env::current_dir().ok()?.into_os_string()))
}

/// A job's source on its way to being preprocessed.
#[derive(Debug)]
pub(crate) enum Source {
    NotStarted,
    Running(Running),
    Done(Preprocessed),
}

/// A running preprocessor, with the slot that it takes on this machine.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    _slot: Slot,
}

impl Source {
    /// Starts the preprocessor, unless that was done before. Waits for a slot on this machine.
    pub(crate) fn start(
        &mut self,
        job: &Compile,
        settings: &Settings,
        scheduler: &Scheduler<'_>,
    ) -> Result<(), PreprocessError> {
        if let Self::NotStarted = self {
            if job.shows_source() {
                return Err(PreprocessError::ShowsSource);
            }
            *self = if job.input_is_preprocessed() {
                Self::Done(read_preprocessed(job.input())?)
            } else {
                let slot = scheduler.wait_for_local_slot(LocalWork::Preprocess);
                Self::Running(Running::start(job, settings, slot)?)
            };
        }
        Ok(())
    }

    /// Waits for the preprocessor, if it runs, and gives its slot back.
    pub(crate) fn settle(&mut self) -> Result<(), PreprocessError> {
        *self = match std::mem::replace(self, Self::NotStarted) {
            Self::Running(running) => Self::Done(running.finish()?),
            other => other,
        };
        Ok(())
    }

    /// Waits for the preprocessor and gives what it made.
    pub(crate) fn finish(&mut self) -> Result<&Preprocessed, PreprocessError> {
        self.settle()?;
        match self {
            Self::Done(preprocessed) => Ok(preprocessed),
            _ => unreachable!("finish() is called behind start()"),
        }
    }

    /// Keeps the text for people, if there is one.
    pub(crate) fn save(&self, job: &Compile, settings: &Settings) {
        if let (Some(_), Self::Done(preprocessed)) = (&settings.saved_in, self)
            && let Ok(text) = preprocessed.text.read()
        {
            let kind = command::extension::source(job.input());
            let suffix = kind.map_or(".i", |kind| kind.preprocessed_extension);
            saved::save(settings, "distcc", suffix, &text);
        }
    }

    /// What the preprocessor said, if it has run.
    pub(crate) fn stderr(&self) -> &[u8] {
        match self {
            Self::Done(preprocessed) => &preprocessed.stderr,
            Self::NotStarted | Self::Running(_) => b"",
        }
    }
}

impl Running {
    fn start(job: &Compile, settings: &Settings, slot: Slot) -> Result<Self, PreprocessError> {
        let words = job.preprocess_command();
        settings.log.debug(
            "dcc_spawn_child",
            format_args!("forking to execute: {}", Words(&words)),
        );
        let stdout = memory_file("distcc source").map_err(PreprocessError::Io)?;
        let stderr = memory_file("distcc stderr").map_err(PreprocessError::Io)?;
        let mut command = child::command(&words, &settings.children);
        command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().map_err(PreprocessError::Io)?)
            .stderr(stderr.try_clone().map_err(PreprocessError::Io)?);
        Ok(Self {
            child: Child::spawn_group(&mut command).map_err(PreprocessError::CannotRun)?,
            stdout,
            stderr,
            _slot: slot,
        })
    }

    fn finish(mut self) -> Result<Preprocessed, PreprocessError> {
        let status = self.child.wait().map_err(PreprocessError::Io)?;
        let stderr = read_from_start(&mut self.stderr).map_err(PreprocessError::Io)?;
        if !status.success() {
            return Err(PreprocessError::Failed { status, stderr });
        }
        let text = Text::written_to(self.stdout).map_err(PreprocessError::Io)?;
        Ok(Preprocessed {
            text: fit_to_send(text)?,
            stderr,
        })
    }
}

/// A text that means the same on a server.
fn fit_to_send(text: Text) -> Result<Text, PreprocessError> {
    let bytes = text.len();
    if bytes > MAX_SOURCE_BYTES {
        return Err(PreprocessError::TooLong(bytes));
    }
    let reads_files = reads_files(&text.read().map_err(PreprocessError::Io)?);
    match reads_files {
        true => Err(PreprocessError::Assembler),
        false => Ok(text),
    }
}

/// The source of a command whose input is preprocessed already.
fn read_preprocessed(input: &OsStr) -> Result<Preprocessed, PreprocessError> {
    let text = std::fs::read(input).map_err(PreprocessError::Io)?;
    Ok(Preprocessed {
        text: fit_to_send(Text::Bytes(text))?,
        stderr: Vec::new(),
    })
}
