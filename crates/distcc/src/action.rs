//! A whole compile handed to the agent below `pump`: it knows what the compile needs and who has time for it. The
//! client only writes what comes back.
//!
//! Where there is no agent of ours, or it has nobody to do this one, the client goes on by itself. Without hosts that may
//! do it (`INCLUDE_SERVER_ENGINES`) it does not even ask, so this costs other jobs nothing; and once the agent knows that
//! none of them does, its socket is gone. An agent that ends meanwhile has a successor ([`crate::session`]), which is asked again.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use command::client::{Manner, native};
use protocol::include::Query;
use protocol::jobs::{Answer, Done, Question, socket_beside};
use protocol::request::Limits;

use crate::account::Account;
use crate::colours;
use crate::diagnosis::blames_source;
use crate::exit::Exit;
use crate::log::Reason;
use crate::output;
use crate::race::{self, Winner};
use crate::response_file;
use crate::session;
use crate::settings::Settings;
use crate::this_machine;

/// What became of a command.
pub(crate) enum Attempt {
    /// It ran.
    Done(Exit),
    /// The agent says that it is no compile for any other machine; why.
    Stays(OsString),
    /// It failed on this host, which may be to blame: the compiler here knows better.
    Doubtful(OsString),
    NotDone(NotDone),
}

/// Why a command did not run as an action.
pub(crate) enum NotDone {
    /// The agent says that it is no compile for engines; why.
    Refused(OsString),
    /// There are no engines, or none does it.
    Nobody,
    /// The engines that the list names are away, or failed at it; which, in words.
    Away(OsString),
    /// Just now the client's own ways are better; why, in words.
    Passed(OsString),
    /// The session goes on, and its agent has ended, or does so at this question.
    Gone,
}

/// Runs a command by the agent, if it can.
pub(crate) fn attempt(words: &[OsString], settings: &Settings) -> Attempt {
    asked(words, settings).unwrap_or(Attempt::NotDone(NotDone::Nobody))
}

fn asked(words: &[OsString], settings: &Settings) -> Option<Attempt> {
    let port = settings.pump.port.as_ref()?;
    let engines = settings.pump.engines.as_ref()?;
    // Whoever names other hosts inside a session wants those.
    let names_all = |hosts: &OsString| has_words(hosts.as_bytes(), engines.as_bytes());
    if settings.pump.stub.is_some() || !settings.hosts.as_ref().is_none_or(names_all) {
        return None;
    }
    let socket = socket_beside(port);
    let agent = match UnixStream::connect(Path::new(&socket)) {
        Ok(agent) => agent,
        Err(error) => return without_agent(&error, settings),
    };
    let mut argv = response_file::expand(words.to_vec(), |file| fs::read(file).ok());
    if native::asks_for_this_machine(&argv) {
        argv = this_machine::spelled_out(&argv, settings).ok()?;
    }
    let in_colour = settings.colours && !colours::are_noted(&argv);
    let question = Question {
        query: Query {
            cwd: std::env::current_dir().ok()?.into_os_string(),
            argv,
        },
        environment: environment(settings),
        in_colour,
        may_race: settings.fallback && settings.pump.race,
    };
    let log = &settings.log;
    let mut answered = ask(&agent, &question, words, settings);
    for _ in 1..session::MOST_TRIES {
        let ended = answered.as_ref().err().is_some_and(session::has_ended);
        if !ended || !session::goes_on(port) {
            break;
        }
        log.info("", format_args!("{}", session::AGAIN));
        answered = UnixStream::connect(Path::new(&socket))
            .and_then(|agent| ask(&agent, &question, words, settings));
    }
    let (answer, raced) = match answered {
        Ok(Asked::Answered { answer, raced }) => (Ok(answer), raced),
        Ok(Asked::EndedHere(exit)) => return Some(Attempt::Done(exit)),
        Err(error) => (Err(error), false),
    };
    match answer {
        Ok(Answer::Done(done)) if is_doubtful(&done, settings) => {
            Some(Attempt::Doubtful(done.host))
        }
        Ok(Answer::Done(done)) => Some(
            match conclude(&done, &question.query.argv, raced, settings) {
                Ok(exit) => Attempt::Done(exit),
                Err(why) => {
                    log.warning("", format_args!("{why}; going on without it"));
                    Attempt::NotDone(NotDone::Away(why.into()))
                }
            },
        ),
        Ok(Answer::Here(why)) => {
            log.info("", format_args!("no action: {}", why.display()));
            Some(Attempt::NotDone(NotDone::Refused(why)))
        }
        Ok(Answer::Stay(why)) => Some(Attempt::Stays(why)),
        Ok(Answer::Pass(why)) => {
            log.info("", format_args!("not as an action: {}", why.display()));
            Some(Attempt::NotDone(NotDone::Passed(why)))
        }
        Ok(Answer::Away(why)) => {
            log.warning("", format_args!("{}", why.display()));
            Some(Attempt::NotDone(NotDone::Away(why)))
        }
        Ok(Answer::Race) => {
            log.warning("", format_args!("the agent says the same twice"));
            None
        }
        Err(error) => {
            log.warning("", format_args!("the agent has gone: {}", Reason(&error)));
            gone(&error, port)
        }
    }
}

fn gone(error: &io::Error, port: &OsStr) -> Option<Attempt> {
    let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
    let is_gone = (is_refused || session::has_ended(error)) && session::goes_on(port);
    is_gone.then_some(Attempt::NotDone(NotDone::Gone))
}

/// No socket means that there are no engines, and one that nobody serves that there will be none.
#[cold]
fn without_agent(error: &io::Error, settings: &Settings) -> Option<Attempt> {
    let gone = gone(error, settings.pump.port.as_ref()?)?;
    let text = format_args!("the agent has gone: {}", Reason(error));
    settings.log.warning("", text);
    Some(gone)
}

/// What came of a question.
enum Asked {
    Answered {
        answer: Answer,
        /// It was run here, too.
        raced: bool,
    },
    /// It was run here, too, and has ended here first.
    EndedHere(Exit),
}

fn ask(
    mut agent: &UnixStream,
    question: &Question,
    words: &[OsString],
    settings: &Settings,
) -> io::Result<Asked> {
    agent.write_all(&question.encode())?;
    let mut agent = BufReader::new(agent);
    Ok(match Answer::read(&mut agent, LIMITS)? {
        Answer::Race => match race::run(&mut agent, words, settings)? {
            Winner::There { answer, begun_here } => Asked::Answered {
                answer,
                raced: begun_here,
            },
            Winner::Here(exit) => Asked::EndedHere(exit),
        },
        answer => Asked::Answered {
            answer,
            raced: false,
        },
    })
}

/// All variables, with the `PATH` that children get: in the user's, compilers may be links to us.
fn environment(settings: &Settings) -> Vec<(OsString, OsString)> {
    let path = |(name, value): (OsString, OsString)| match name == "PATH" {
        true => (name, settings.children.path.clone()),
        false => (name, value),
    };
    std::env::vars_os().map(path).collect()
}

/// An agent may say as much as a compiler.
pub(crate) const LIMITS: Limits = Limits {
    args: 0,
    text_bytes: 1 << 20,
    all_text_bytes: 1 << 20,
    files: 1000,
    body_bytes: u32::MAX,
};

/// Whether a host list has all entries of another.
fn has_words(list: &[u8], words: &[u8]) -> bool {
    let split = |text| <[u8]>::split(text, u8::is_ascii_whitespace);
    let filled = |word: &&[u8]| !word.is_empty();
    let mut words = split(words).filter(filled);
    words.all(|word| split(list).any(|entry| entry == word))
}

fn find(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|part| part == what)
}

/// Whether this is what becomes of the compile, or else the compiler here knows better.
pub(crate) fn is_result(done: &Done, settings: &Settings) -> bool {
    !was_killed(done)
        && !is_doubtful(done, settings)
        && (!lacks_output(done) || is_special(&done.output))
}

/// Whether it failed there, and would not for all that is known of it here: of another machine's disk and memory nothing is.
fn is_doubtful(done: &Done, settings: &Settings) -> bool {
    let may_ask_here = settings.fallback && !settings.skip_local_retry;
    may_ask_here && done.exit_code != 0 && !was_killed(done) && !blames_source(&done.stderr)
}

/// Whether the compiler was ended by a signal: by too little memory there, say, of which there may be enough elsewhere.
/// gcc says so and ends with 1; of clang, what runs jobs says so by the code, as shells do.
fn was_killed(done: &Done) -> bool {
    was_ended_by_signal(done.exit_code.try_into().unwrap_or(u8::MAX), &done.stderr)
}

/// The same of a compiler with this exit code, that said this.
pub(crate) fn was_ended_by_signal(exit_code: u8, stderr: &[u8]) -> bool {
    exit_code >= 128 || (exit_code != 0 && find(stderr, b" signal terminated program "))
}

/// Whether a compile succeeded and did not make what it was to make.
fn lacks_output(done: &Done) -> bool {
    done.exit_code == 0 && !has(done, &done.output)
}

fn has(done: &Done, file: &OsStr) -> bool {
    done.files.iter().any(|(name, _)| name == file)
}

/// Whether something like `/dev/null` stands there, of which nothing comes back.
fn is_special(file: &OsStr) -> bool {
    fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Writes what was made by `argv`, and says what the compiler said.
///
/// # Errors
/// There is no result, or it cannot be written; in words. Then the compiler here knows better.
fn conclude(
    done: &Done,
    argv: &[OsString],
    raced: bool,
    settings: &Settings,
) -> Result<Exit, String> {
    let host = done.host.display();
    if was_killed(done) {
        return Err(format!("the compiler was ended by a signal on {host}"));
    }
    if lacks_output(done) && !is_special(&done.output) {
        // It is called something else than we think: the compiler here knows.
        let name = done.output.display();
        return Err(format!("{host} made no {name}"));
    }
    if done.exit_code != 0 {
        // As compilers do when they fail.
        let output = &done.output;
        let is_old = fs::symlink_metadata(output).is_ok_and(|found| found.is_file());
        if is_old && !has(done, output) {
            let _ = fs::remove_file(output); // It may be gone already.
        }
    }
    for (name, content) in &done.files {
        let manner = match *name == done.output {
            true => Manner::of(argv),
            false => Manner::InPlace,
        };
        if let Err(error) = output::write(name, content, manner) {
            let name = name.display();
            return Err(format!(
                "failed to write {name} from {host}: {}",
                Reason(&error)
            ));
        }
    }
    output::print(&done.stdout, &[&done.stderr]);
    let account = match raced {
        true => Account::of_race(settings),
        false => Account::new(settings),
    };
    account.by_agent(&done.host, done.sent, done.received);
    Ok(Exit::with(done.exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_fewer_hosts_than_the_session_wants_those() {
        for (hosts, engines, expected) in [
            ("red/4,lzo,cpp blue", "red/4,lzo,cpp blue", true),
            (
                "--randomize blue\n red/4,lzo,cpp",
                "red/4,lzo,cpp blue",
                true,
            ),
            ("blue", "red blue", false),
            ("blue:1", "blue", false),
            ("", "blue", false),
        ] {
            let has = has_words(hosts.as_bytes(), engines.as_bytes());
            assert_eq!(has, expected, "{hosts:?} {engines:?}");
        }
    }

    #[test]
    fn success_without_an_object_is_none() {
        let done = |exit_code, files: &[&str]| Done {
            exit_code,
            output: "a.o".into(),
            files: files
                .iter()
                .map(|&name| (name.into(), Vec::new()))
                .collect(),
            ..Done::default()
        };
        assert!(lacks_output(&done(0, &["a.d"])));
        assert!(!lacks_output(&done(0, &["a.d", "a.o"])));
        assert!(!lacks_output(&done(1, &["a.d"])));
        assert!(is_special("/dev/null".as_ref()) && !is_special("/nowhere".as_ref()));
        assert!(!is_special("/".as_ref()));
    }

    #[test]
    fn a_compiler_that_was_killed_has_not_answered() {
        let done = |exit_code, stderr: &str| Done {
            exit_code,
            stderr: stderr.into(),
            ..Done::default()
        };
        // Of gcc 12, whose cc1plus got KILL. clang itself is what dies, and whoever ran it makes a code of that.
        let gcc =
            "g++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n";
        assert!(was_killed(&done(1, gcc)));
        assert!(was_killed(&done(137, "")));
        assert!(!was_killed(&done(
            1,
            "a.c:1:1: error: unknown type name 'signal'\n"
        )));
        assert!(!was_killed(&done(0, "")));
    }
}
