//! What the include server prints about its answers.
//!
//! Source: lines and places are those of distcc 3.4; of its statistics only what means
//! something here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use command::Compile;

use super::refusal::Refusal;
use super::service::Answer;
use crate::console;

/// Says what was asked for.
#[derive(Debug)]
pub(crate) struct Report {
    warnings: bool,
    answers: bool,
    /// Present if figures are printed; holds those of all answers so far.
    figures: Option<Mutex<Figures>>,
}

#[derive(Debug, Default)]
struct Figures {
    count: u32,
    refused: u32,
    total: Duration,
    shortest: Option<Duration>,
    longest: Duration,
}

impl Report {
    /// `bits`: 1 warnings, 2 answers.
    pub(crate) fn new(bits: u32, figures: bool) -> Self {
        Self {
            warnings: bits & 1 != 0,
            answers: bits & 2 != 0,
            figures: figures.then(Mutex::default),
        }
    }

    /// A question was answered; `unit` is its source file, if it has one.
    pub(crate) fn answered<C>(
        &self,
        unit: Option<&OsStr>,
        answer: &Result<Answer<C>, Refusal>,
        took: Duration,
    ) {
        let unit = unit.map_or("unknown translation unit".into(), OsStr::to_string_lossy);
        match answer {
            Err(reason) => self.warn(&format!(
                "Preprocessing locally. Include server not covering: {reason} \
                 for translation unit '{unit}'"
            )),
            Ok(answer) if self.answers => {
                let by_list = answer.by_list.as_ref().map_or(String::new(), |why| {
                    format!(", told by the compiler, since: {why}")
                });
                console::complain(&one_line(&format!(
                    "TRACE include server: {} files and {} links and folders for '{unit}' in \
                     {took:.3?}{by_list}",
                    answer.files.len(),
                    answer.copies.len() - answer.files.len()
                )));
            }
            Ok(_) => {}
        }
        if let Some(figures) = &self.figures {
            let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
            console::print(&figures.count(&unit, answer, took));
        }
    }

    /// Writes the files of an answer beside the object file, one per line.
    ///
    /// Source: `include_server(1)`, `--write_include_closure`.
    pub(crate) fn write_closure(&self, cwd: &Path, compile: &Compile, files: &[PathBuf]) {
        let output = compile.output().as_bytes();
        let stem = output.strip_suffix(b".o").unwrap_or(output);
        let name = [stem, b".d_approx"].concat();
        let path = cwd.join(OsStr::from_bytes(&name));
        let mut text = Vec::new();
        for file in files {
            text.extend_from_slice(file.as_os_str().as_bytes());
            text.push(b'\n');
        }
        if let Err(error) = std::fs::write(&path, text) {
            self.warn(&format!("cannot write '{}': {error}", path.display()));
        }
    }

    /// Something went wrong that a user may want to know.
    pub(crate) fn warn(&self, what: &str) {
        if self.warnings {
            console::complain(&one_line(&format!("WARNING include server: {what}")));
        }
    }
}

impl Figures {
    fn count<C>(
        &mut self,
        unit: &str,
        answer: &Result<Answer<C>, Refusal>,
        took: Duration,
    ) -> String {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
        let shortest = self.shortest.map_or(took, |shortest| shortest.min(took));
        self.shortest = Some(shortest);
        let (files, others) = match answer {
            Ok(answer) => (answer.files.len(), answer.copies.len() - answer.files.len()),
            Err(_) => {
                self.refused += 1;
                (0, 0)
            }
        };
        let seconds = |time: Duration| time.as_secs_f64();
        [
            format!("TRANSLATION_UNIT: {}", one_line(unit)),
            format!(
                "TIME:    last {:.3}s, min {:.3}s, max {:.3}s, average {:.3}s, #: {:5}, \
                 total: {:5.1}s",
                seconds(took),
                seconds(shortest),
                seconds(self.longest),
                seconds(self.total / self.count),
                self.count,
                seconds(self.total),
            ),
            format!("COUNTER: refused: {:25}", self.refused),
            format!("SIZE:    files: {files:27}"),
            format!("SIZE:    links and folders: {others:15}"),
            String::new(),
        ]
        .join("\n")
    }
}

/// File names may hold anything; a message is one line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// What `--time` prints at the end: for how long the server ran, and what this process and the
/// compilers it ran have used.
pub(crate) fn times(elapsed: Duration) -> String {
    let ticks = rustix::param::clock_ticks_per_second();
    let (user, system) = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| used_ticks(&stat))
        .map_or((0.0, 0.0), |(user, system)| {
            (user as f64 / ticks as f64, system as f64 / ticks as f64)
        });
    format!(
        "Elapsed: {:3.1}s User: {user:3.1}s System: {system:3.1}s User + System: {:3.1}s",
        elapsed.as_secs_f64(),
        user + system
    )
}

/// User and system ticks, those of ended children included. Source: `proc(5)`.
fn used_ticks(stat: &str) -> Option<(u64, u64)> {
    // The program's name, in parentheses, may hold blanks and parentheses.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut ticks = behind_name
        .split_ascii_whitespace()
        .skip(11)
        .map_while(|word| word.parse::<u64>().ok());
    let (user, system) = (ticks.next()?, ticks.next()?);
    Some((user + ticks.next()?, system + ticks.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up() {
        let mut figures = Figures::default();
        let second = Duration::from_secs(1);
        let answer = Ok(Answer {
            copies: vec!["a", "b", "c"],
            files: vec!["/a".into()],
            by_list: None,
        });
        figures.count("a.c", &answer, second);
        let text = figures.count::<()>("a\nb.c", &Err(Refusal::TimeLimit), 3 * second);
        assert_eq!(
            text,
            "TRANSLATION_UNIT: a?b.c\n\
             TIME:    last 3.000s, min 1.000s, max 3.000s, average 2.000s, #:     2, total:   4.0s\n\
             COUNTER: refused:                         1\n\
             SIZE:    files:                           0\n\
             SIZE:    links and folders:               0\n"
        );
    }

    #[test]
    fn ticks_of_children_are_counted() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 20 3 400 5 0 0 1 0 100";
        assert_eq!(used_ticks(stat), Some((420, 8)));
        assert!(times(Duration::from_millis(1240)).starts_with("Elapsed: 1.2s User: "));
    }
}
