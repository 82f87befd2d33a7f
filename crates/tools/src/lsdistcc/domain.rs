//! This machine's domain, for `-d`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The environment variables that may name this machine.
pub(super) struct Environment {
    pub(super) host: Option<OsString>,
    pub(super) hostname: Option<OsString>,
}

/// The domain: of the longer of `$HOST` and `$HOSTNAME` that has one, else of the machine's name,
/// else of what `hostname -f` finds for that name, which may ask the network.
pub(super) fn read_domain(
    environment: &Environment,
    deadline: Option<Instant>,
) -> Option<OsString> {
    if let Some(domain) = from_environment(environment) {
        return Some(domain);
    }
    let uname = rustix::system::uname();
    domain_of(OsStr::from_bytes(uname.nodename().to_bytes()))
        .map(OsStr::to_owned)
        .or_else(|| domain_of(&read_full_name(deadline)?).map(OsStr::to_owned))
}

fn from_environment(environment: &Environment) -> Option<OsString> {
    let names = [&environment.host, &environment.hostname];
    let with_domain = names
        .into_iter()
        .flatten()
        .filter(|name| domain_of(name).is_some());
    let longest = with_domain.max_by_key(|name| name.len())?;
    domain_of(longest).map(OsStr::to_owned)
}

/// What stands behind the first dot.
fn domain_of(name: &OsStr) -> Option<&OsStr> {
    let bytes = name.as_bytes();
    let dot = bytes.iter().position(|&b| b == b'.')?;
    let domain = &bytes[dot + 1..];
    (!domain.is_empty()).then(|| OsStr::from_bytes(domain))
}

/// The answer of `hostname -f`, which looks the machine's name up as the system is set up to:
/// the standard library cannot ask for canonical names.
fn read_full_name(deadline: Option<Instant>) -> Option<OsString> {
    let (give, take) = mpsc::channel();
    // In a thread of its own, because a name server that is silent must not hold us up.
    std::thread::spawn(move || {
        let mut hostname = Command::new("hostname");
        let output = hostname.arg("-f").stderr(Stdio::null()).output();
        let _ = give.send(output); // Nobody listens any more after the deadline.
    });
    let patience = match deadline {
        Some(deadline) => deadline.saturating_duration_since(Instant::now()),
        None => Duration::MAX,
    };
    let output = take.recv_timeout(patience).ok()?.ok()?;
    let name = output.stdout.trim_ascii().to_vec();
    output.status.success().then(|| OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_is_what_stands_behind_the_first_dot() {
        for (name, domain) in [
            ("a.b.c", Some("b.c")),
            ("a", None),
            ("a.", None),
            (".b", Some("b")),
            ("", None),
        ] {
            assert_eq!(
                domain_of(OsStr::new(name)),
                domain.map(OsStr::new),
                "{name}"
            );
        }
    }

    #[test]
    fn longer_variable_with_a_domain_wins() {
        for (host, hostname, domain) in [
            (Some("a.b"), None, Some("b")),
            (Some("a.b"), Some("a.b.c"), Some("b.c")),
            (Some("a.bb.c"), Some("a.d"), Some("bb.c")),
            (Some("a.b"), Some("longer-without"), Some("b")),
            (Some("x"), Some("y"), None),
            (None, None, None),
        ] {
            let environment = Environment {
                host: host.map(Into::into),
                hostname: hostname.map(Into::into),
            };
            assert_eq!(from_environment(&environment), domain.map(Into::into));
        }
    }
}
