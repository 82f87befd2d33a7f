//! Pump mode (protocol 3): when it is possible, and what is sent.
//!
//! The include server names the files that a compile opens; they go to the server as they stand
//! in its mirror, or at once as one of ours keeps them ready. Whatever fails here is a reason to preprocess on this
//! machine.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;

use command::Compile;
use hosts::Host;
use protocol::Version;
use protocol::include::Query;
use protocol::pieces::Pieces;
use protocol::request::{Head, put_file_count};

use crate::discrepancy;
use crate::include_server::{self, Files, IncludeError};
use crate::log::Reason;
use crate::preprocess;
use crate::settings::{Limits, Settings};
use crate::tree::{self, TreeError};

/// The protocol for this job on this host.
pub(crate) fn version(host: &Host, job: &Compile, settings: &Settings, limits: Limits) -> Version {
    match (host.cpp, host.lzo) {
        (true, _) if is_possible(job, settings, limits) => Version::Pump,
        (true, _) | (false, true) => Version::Lzo,
        (false, false) => Version::Plain,
    }
}

/// Whether this job can be preprocessed by a server. Says why not, but for a build that was
/// switched over to plain mode, which was told once already.
fn is_possible(job: &Compile, settings: &Settings, limits: Limits) -> bool {
    let refuse = |why: fmt::Arguments<'_>| {
        settings
            .log
            .warning("dcc_perhaps_adjust_cpp_where_and_protover", why);
        false
    };
    let port = settings.pump.port.as_deref();
    if discrepancy::limit_is_reached(port, limits.max_discrepancy) {
        false
    } else if job.input_is_named_preprocessed() {
        refuse(format_args!(
            "cannot use distcc_pump on already preprocessed file (such as emitted by ccache)"
        ))
    } else if settings.pump.header_paths {
        refuse(format_args!(
            "cannot use distcc_pump with any of environment variables CPATH, C_INCLUDE_PATH or \
             CPLUS_INCLUDE_PATH set, preprocessing locally"
        ))
    } else if let Some(option) = job.preprocessed_here_for() {
        // Said quietly: such an option stands in all commands of a build.
        settings.log.info(
            "dcc_perhaps_adjust_cpp_where_and_protover",
            format_args!(
                "cannot use distcc_pump with {}, preprocessing locally",
                option.display()
            ),
        );
        false
    } else {
        true
    }
}

/// Why a job cannot be sent in pump mode after all.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// We do not know where we are.
    NoFolder(io::Error),
    /// The include server does not help.
    Include(IncludeError),
    /// What it named cannot be sent.
    Tree(TreeError),
}

impl PumpError {
    /// Whether there will be no include server any more, though there should be one.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Include(IncludeError::Gone(_)))
    }

    /// Complains.
    pub(crate) fn report(&self, settings: &Settings) {
        let warn = |text: fmt::Arguments<'_>| settings.log.warning("dcc_build_somewhere", text);
        match self {
            Self::NoFolder(error) => {
                warn(format_args!("no working directory: {}", Reason(error)));
            }
            Self::Include(error) => error.report(&settings.log),
            Self::Tree(error) => warn(format_args!("{error}")),
        }
    }
}

/// A whole request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// What it begins with.
    pub(crate) bytes: Vec<u8>,
    /// What follows, in a file.
    pub(crate) rest: Option<(Pieces, File)>,
}

impl Request {
    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        let rest = self.rest.as_ref().map(|(pieces, _)| pieces.total_bytes());
        self.bytes.len() + usize::try_from(rest.unwrap_or(0)).unwrap_or(usize::MAX)
    }
}

/// Makes the request for a job.
pub(crate) fn request(
    job: &Compile,
    settings: &Settings,
    limits: Limits,
) -> Result<Request, PumpError> {
    let query = query(job)?;
    let io_timeout = limits.io_timeout;
    let files = include_server::ask(&query, &settings.pump, io_timeout, &settings.log)
        .map_err(PumpError::Include)?;
    let mut job = job.clone();
    if job.says_folder()
        && let Some(folder) = preprocess::folder(settings)
    {
        job = job.naming_folder(&query.cwd, &folder);
    }
    let mut bytes = head(&job, query.cwd, settings.dependencies_output.as_deref()).encode();
    let rest = match files {
        Files::Named(files) => {
            tree::append(&mut bytes, &files).map_err(PumpError::Tree)?;
            None
        }
        Files::Ready(pieces, file) => {
            put_file_count(&mut bytes, pieces.files);
            Some((pieces, file))
        }
    };
    Ok(Request { bytes, rest })
}

/// What the include server is asked.
pub(crate) fn query(job: &Compile) -> Result<Query, PumpError> {
    // As the kernel knows it.
    let cwd = std::env::current_dir().map_err(PumpError::NoFolder)?;
    Ok(Query {
        cwd: cwd.into_os_string(),
        argv: job.argv().to_vec(),
    })
}

/// The server names the output as it likes, so that a dependency file needs its target said.
fn head(job: &Compile, cwd: OsString, dependencies_output: Option<&OsStr>) -> Head {
    let dependencies = job.dependencies(dependencies_output);
    let argv = match dependencies.and_then(|wanted| wanted.missing_target) {
        None => job.argv().to_vec(),
        Some(target) => {
            let job = job.clone().with_options(["-MT".into(), target]);
            job.argv().to_vec()
        }
    };
    Head {
        version: Version::Pump,
        cwd: Some(cwd),
        argv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_stands_in_front_of_the_end_of_options() {
        let check = |words: &str, expected: &str| {
            let words: Vec<_> = words.split(' ').map(Into::into).collect();
            let command::Plan::Distribute(job) = command::plan(&words) else {
                panic!("{words:?}");
            };
            let expected: Vec<&OsStr> = expected.split(' ').map(OsStr::new).collect();
            assert_eq!(head(&job, "/".into(), None).argv, expected);
        };
        check("gcc -c a.c -o b.o", "gcc -c a.c -o b.o");
        check("gcc -MD -c a.c -o b.o", "gcc -MD -c a.c -o b.o -MT b.o");
        check(
            "clang -MD -c -o b.o -- a.c",
            "clang -MD -c -o b.o -MT b.o -- a.c",
        );
    }
}
