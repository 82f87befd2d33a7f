//! Which servers a session uses.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::messages::PumpError;
use super::settings::Settings;
use crate::actions::placement::{Said, Surroundings, ssh_words, who_runs_actions};
use crate::console;

/// Where the servers come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `lsdistcc` has to find those that answer.
    Potential,
    /// From `DISTCC_HOSTS` or a hosts file, as the client reads them.
    Configured {
        /// How many of which kind.
        listed: Listed,
        /// Those that may run actions: a value for `INCLUDE_SERVER_ENGINES`.
        engines: OsString,
    },
    /// This machine alone.
    Private(Why),
}

/// Why no other machine is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// No hosts are configured anywhere.
    NoHosts,
    /// `PUMP_PRIVATE_SERVER` says so.
    Asked,
}

/// The client's hosts, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// All of them.
    pub(super) all: usize,
    /// Those with the option `,cpp`, and engines.
    pub(super) pump: usize,
}

/// Looks where servers are configured; `distcc` is the client.
///
/// # Errors
/// [`PumpError::NoPumpHosts`] if there are hosts, but none for pump mode, and all say that they run no actions;
/// [`PumpError::BadHosts`].
pub(super) fn source(settings: &Settings, distcc: &Path) -> Result<Source, PumpError> {
    if settings.wants_private_server {
        return Ok(Source::Private(Why::Asked));
    }
    if !settings.potential_hosts.is_empty() {
        return Ok(Source::Potential);
    }
    if settings.hosts.is_empty() && !settings.hosts_files.iter().any(|file| file.exists()) {
        return Ok(Source::Private(Why::NoHosts));
    }
    let output = Command::new(distcc)
        .arg("--show-hosts")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(PumpError::ShowHosts)?;
    // As in 3.4 its exit code says nothing.
    if output.stdout.is_empty() {
        return Err(PumpError::BadHosts);
    }
    let listed = count(&output.stdout);
    let engines = match settings.asks_for_actions {
        true => all(&output.stdout),
        false => engines(&output.stdout),
    };
    let around = Surroundings {
        // Nothing is run, so nothing is counted.
        state: None,
        ssh: ssh_words(settings.ssh.as_deref()),
        may_fall_back: true,
    };
    // Without any for pump mode, somebody else has to do more than preprocessed text.
    if listed.pump == 0 {
        match who_runs_actions(&engines, &around) {
            Said::Runs => {}
            Said::NoneRuns => return Err(PumpError::NoPumpHosts),
            // As with any host that is down: the build goes on, and it is used when it comes.
            Said::NoAnswer(hosts) => console::complain(&format!(
                "{}: Warning: no answer from {}",
                settings.name.display(),
                hosts.join(", ")
            )),
        }
    }
    Ok(Source::Configured { listed, engines })
}

fn count(shown: &[u8]) -> Listed {
    let hosts = lines(shown);
    let has_cpp = |host: &&[u8]| is_engine(host) || host.windows(4).any(|option| option == b",cpp");
    Listed {
        all: hosts.clone().count(),
        pump: hosts.filter(has_cpp).count(),
    }
}

fn all(shown: &[u8]) -> OsString {
    let hosts: Vec<&[u8]> = lines(shown).collect();
    OsString::from_vec(hosts.join(&b' '))
}

fn engines(shown: &[u8]) -> OsString {
    let engines: Vec<&[u8]> = lines(shown).filter(is_engine).collect();
    OsString::from_vec(engines.join(&b' '))
}

fn is_engine(host: &&[u8]) -> bool {
    host.starts_with(b"grpc://")
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// A running `lsdistcc`.
#[derive(Debug)]
pub(super) struct Search(Option<Child>);

impl Search {
    /// Starts looking for the servers among `DISTCC_POTENTIAL_HOSTS`.
    pub(super) fn start(settings: &Settings) -> Self {
        let program = settings.program("lsdistcc").unwrap_or("lsdistcc".into());
        let child = Command::new(&program)
            .arg("-c150")
            .args(&settings.lsdistcc_args)
            .args(&settings.potential_hosts)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        if let Err(error) = &child {
            console::complain(&format!(
                "{}: {}: {error}",
                settings.name.display(),
                program.display()
            ));
        }
        Self(child.ok())
    }

    /// Waits for the result: a value for `DISTCC_HOSTS`, and how many hosts it lists. None is
    /// no error, as in 3.4.
    pub(super) fn finish(mut self) -> (OsString, usize) {
        let output = self.0.take().map(Child::wait_with_output);
        match output {
            Some(Ok(output)) => host_list(&output.stdout),
            Some(Err(_)) | None => host_list(b""),
        }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill(); // Ended is as good.
            let _ = child.wait();
        }
    }
}

fn host_list(found: &[u8]) -> (OsString, usize) {
    let mut list = b"--randomize".to_vec();
    let mut count = 0;
    for host in lines(found) {
        list.push(b' ');
        list.extend_from_slice(host);
        list.extend_from_slice(b",cpp,lzo");
        count += 1;
    }
    if count == 0 {
        list.push(b' ');
    }
    (OsString::from_vec(list), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_hosts_anywhere_there_is_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts");
        let distcc = Path::new("/nonexistent/distcc");
        let mut settings = Settings::without_environment();
        settings.hosts_files = vec![file.clone()];
        let found = source(&settings, distcc).unwrap();
        assert_eq!(found, Source::Private(Why::NoHosts));
        std::fs::write(&file, "").unwrap();
        let error = source(&settings, distcc).unwrap_err();
        assert!(matches!(error, PumpError::ShowHosts(_)));
        settings.wants_private_server = true;
        let found = source(&settings, distcc).unwrap();
        assert_eq!(found, Source::Private(Why::Asked));
        settings.wants_private_server = false;
        settings.potential_hosts = vec!["a".into()];
        assert_eq!(source(&settings, distcc).unwrap(), Source::Potential);
    }

    #[test]
    fn shown_hosts_are_counted() {
        assert_eq!(
            count(b"a:1/4,lzo,cpp\nb,cpp,lzo\nc,lzo\nlocalhost\n"),
            Listed { all: 4, pump: 2 }
        );
        assert_eq!(count(b""), Listed { all: 0, pump: 0 });
    }

    #[test]
    fn engines_are_for_pump_mode_and_named_to_the_agent() {
        let shown = b"a\ngrpc://b:1\nlocalhost\ngrpc://c:2/x,slots=3\n";
        assert_eq!(count(shown), Listed { all: 4, pump: 2 });
        assert_eq!(engines(shown), "grpc://b:1 grpc://c:2/x,slots=3");
        assert_eq!(engines(b"a,cpp\n"), "");
        assert_eq!(all(shown), "a grpc://b:1 localhost grpc://c:2/x,slots=3");
    }

    #[test]
    fn found_hosts_become_a_list() {
        assert_eq!(
            host_list(b"a\nb:3633\n"),
            ("--randomize a,cpp,lzo b:3633,cpp,lzo".into(), 2)
        );
        assert_eq!(host_list(b""), ("--randomize ".into(), 0));
    }
}
