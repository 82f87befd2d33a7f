//! Our figures for one compile database, and what each of them means. Files are in the page cache in all of them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use includes::Command;

use crate::Failure;
use crate::edits::{EditedHeader, NewSource};
use crate::projects::Database;
use crate::subject::{Facts, Subject};

/// A column.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
}

const fn figure(name: &'static str, meaning: &'static str) -> Figure {
    Figure { name, meaning }
}

/// The columns in their order.
pub(crate) const FIGURES: [Figure; 8] = [
    figure(
        "cold",
        "nothing known and nothing on disk; the questions to the compiler are in it, one at a time",
    ),
    figure(
        "cold, told ahead",
        "the same, with the compiler asked on the other processors meanwhile, as `scan-includes` does with a database",
    ),
    figure(
        "new source",
        "a source file that was never seen, its headers known",
    ),
    figure(
        "one in ten new",
        "compiles that were held out, each tenth in turn; headers that only they read are new too",
    ),
    figure(
        "code edited",
        "the pass after the most included header got one more declaration",
    ),
    figure("macro edited", "the pass after it got one more `#define`"),
    figure(
        "evaluated",
        "nothing changed, but no answer is kept whole: each is put together from what is known of its headers",
    ),
    figure("warm", "nothing changed"),
];

/// Passes over all compiles of a database, or of several.
#[derive(Default, Clone)]
pub(crate) struct Figures {
    /// In the order of [`FIGURES`].
    pub(crate) times: [Duration; FIGURES.len()],
    /// Runs of compilers in the cold pass.
    pub(crate) questions: usize,
    /// What they took.
    pub(crate) questions_took: Duration,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Figures) {
        for (sum, time) in self.times.iter_mut().zip(other.times) {
            *sum += time;
        }
        self.questions += other.questions;
        self.questions_took += other.questions_took;
    }
}

/// Measures each figure once. Compilers' facts are kept in `facts`.
pub(crate) fn measure(database: &Database, facts: &Path) -> Result<Figures, Failure> {
    let commands = &database.commands;
    let facts = Facts::Kept(facts);

    let subject = Subject::new(Facts::Unknown, true)?;
    let cold = subject.pass(commands)?;
    let (questions, questions_took) = subject.questions();

    let told_ahead = told_ahead(&Subject::new(Facts::Unknown, true)?, commands)?;

    let subject = Subject::new(facts, true)?;
    subject.pass(commands)?;
    let warm = subject.pass(commands)?;
    let header = most_included_header(&subject, database)?;
    let code = {
        let _edit = EditedHeader::new(&header, "extern int pumpcc_declared;")?;
        subject.pass(commands)?
    };
    // Once more as it was.
    subject.pass(commands)?;
    let directive = {
        let _edit = EditedHeader::new(&header, "#define PUMPCC_DEFINED 1")?;
        subject.pass(commands)?
    };
    subject.pass(commands)?;
    let new_source = new_sources(&subject, commands)?;

    let subject = Subject::new(facts, false)?;
    subject.pass(commands)?;
    let evaluated = subject.pass(commands)?;
    Ok(Figures {
        times: [
            cold,
            told_ahead,
            new_source,
            one_in_ten_new(commands, facts)?,
            code,
            directive,
            evaluated,
            warm,
        ],
        questions,
        questions_took,
    })
}

/// The time of a pass that is announced.
fn told_ahead(subject: &Subject, commands: &[Command]) -> Result<Duration, Failure> {
    let others = std::thread::available_parallelism().map_or(0, |all| all.get() - 1);
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let expected: Vec<&Command> = commands.iter().collect();
            subject.engine().expect(&expected, others);
        });
        subject.pass(commands)
    })?;
    Ok(started.elapsed())
}

/// Asks for a new source file in place of that of each compile.
fn new_sources(subject: &Subject, commands: &[Command]) -> Result<Duration, Failure> {
    let mut sum = Duration::ZERO;
    let mut written = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        let input = Arc::clone(&subject.closure(command)?.files[0].spelled);
        let source = NewSource::beside(command, &input, at)?;
        sum += subject.pass([&source.command])?;
        // Removing it now would be one more change to be noticed within the next time.
        written.push(source);
    }
    Ok(sum)
}

/// Asks for one tenth after all others; the sum over all tenths.
fn one_in_ten_new(commands: &[Command], facts: Facts<'_>) -> Result<Duration, Failure> {
    let mut sum = Duration::ZERO;
    for tenth in 0..10 {
        let subject = Subject::new(facts, true)?;
        let of_tenth = |at: usize| at % 10 == tenth;
        let every = || commands.iter().enumerate();
        subject.pass(every().filter(|(at, _)| !of_tenth(*at)).map(|(_, c)| c))?;
        sum += subject.pass(every().filter(|(at, _)| of_tenth(*at)).map(|(_, c)| c))?;
    }
    Ok(sum)
}

/// The header that most compiles read: of those below the database's folder of interest, or else outside of the
/// system's folders.
fn most_included_header(subject: &Subject, database: &Database) -> Result<PathBuf, Failure> {
    let mut counts: HashMap<Arc<[u8]>, usize> = HashMap::new();
    for command in &database.commands {
        for file in &subject.closure(command)?.files[1..] {
            let path = Path::new(OsStr::from_bytes(&file.real));
            let counts_here = match &database.headers {
                Some(folder) => path.starts_with(folder),
                None => !path.starts_with("/usr"),
            };
            if counts_here && !file.probed_only {
                *counts.entry(Arc::clone(&file.real)).or_default() += 1;
            }
        }
    }
    let most = counts
        .into_iter()
        .max_by(|a, b| (a.1, &b.0).cmp(&(b.1, &a.0)));
    let (path, _) = most.ok_or("no compile reads a header that could be edited")?;
    Ok(PathBuf::from(OsStr::from_bytes(&path)))
}
