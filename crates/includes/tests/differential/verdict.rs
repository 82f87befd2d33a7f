//! One program through the compiler and through the engine, and what comes of the comparison.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use includes::{Command, Engine, RealCompiler, RealTree, Refusal, Settings};

use crate::program::{Program, Reference};
use crate::reference;

/// What came of one program.
pub(crate) enum Verdict {
    /// Engine and compiler name the same files.
    Same,
    /// The compiler fails, and says this.
    Invalid(String),
    /// The engine does not answer, for a reason that is known and counted.
    Refused(String),
    /// A defect.
    Trouble(String),
}

/// A folder for a program's tree, in memory if the system has a place for that.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("temporary folder")
}

pub(crate) fn new_engine(compilers: &Arc<RealCompiler>, memo: bool) -> Engine {
    let settings = Settings {
        memo,
        ..Settings::default()
    };
    Engine::new(
        Arc::new(RealTree::frozen()),
        Arc::clone(compilers) as _,
        settings,
    )
}

/// The files the engine says that the compiler lists.
pub(crate) fn listed(engine: &Engine, command: &Command) -> Result<BTreeSet<PathBuf>, Refusal> {
    let closure = engine.closure(command)?;
    Ok(closure
        .files
        .iter()
        .filter(|f| f.listed)
        .map(|f| PathBuf::from(OsString::from_vec(f.real.to_vec())))
        .collect())
}

thread_local! {
    /// An engine without memory, and for how many programs it shall live on. Most of what a new one costs is to look
    /// into the folders of the system.
    static LIVED: RefCell<Option<(Engine, u32)>> = const { RefCell::new(None) };
}

fn listed_without_memory(
    compilers: &Arc<RealCompiler>,
    command: &Command,
) -> Result<BTreeSet<PathBuf>, Refusal> {
    LIVED.with_borrow_mut(|lived| {
        let (engine, left) = lived
            .take()
            .unwrap_or_else(|| (new_engine(compilers, false), 100));
        let result = listed(&engine, command);
        *lived = (left > 0).then(|| (engine, left - 1));
        result
    })
}

/// Compares one program.
pub(crate) fn judge(program: &Program, compilers: &Arc<RealCompiler>) -> Verdict {
    let folder = scratch();
    let root = folder.path().canonicalize().expect("it exists");
    program.write(&root);
    let command = program.command(&root);
    let theirs = match reference::listed(program.reference, &command, &root) {
        Ok(theirs) => theirs,
        Err(error) => return Verdict::Invalid(error),
    };
    let engine = new_engine(compilers, true);
    let mine = listed(&engine, &command);
    let again = listed(&engine, &command);
    let unremembered = listed_without_memory(compilers, &command);
    if mine != again || mine != unremembered {
        let fresh = listed(&new_engine(compilers, false), &command);
        return Verdict::Trouble(format!(
            "answers differ: {mine:?}, the second time {again:?}, without memory {fresh:?}, \
            by an engine that answered for other programs before {unremembered:?}"
        ));
    }
    match mine {
        Ok(mine) if mine == theirs => Verdict::Same,
        Ok(mine) => Verdict::Trouble(format!(
            "only {}: {:?}, only we: {:?}",
            program.reference.name(),
            below(&root, theirs.difference(&mine)),
            below(&root, mine.difference(&theirs))
        )),
        Err(refusal) => match known(&refusal, program.reference) {
            Some(reason) => Verdict::Refused(reason),
            None => Verdict::Trouble(format!("refused: {refusal}")),
        },
    }
}

/// Paths as they stand in the program.
fn below<'a>(root: &Path, paths: impl Iterator<Item = &'a PathBuf>) -> Vec<&'a Path> {
    paths.map(|p| p.strip_prefix(root).unwrap_or(p)).collect()
}

/// The name of a refusal that valid programs may meet.
fn known(refusal: &Refusal, reference: Reference) -> Option<String> {
    match refusal {
        Refusal::Unmodelled { what, .. } => {
            // Some name a file.
            Some(what.split(" in /").next().unwrap_or_default().to_owned())
        }
        // gcc says nothing about a header that is not found if `__has_include` looked for it before.
        Refusal::NotFound { .. } if reference == Reference::Gcc => {
            Some("a header is not found, and gcc does not mind".into())
        }
        _ => None,
    }
}

/// What came of many programs.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) same: u64,
    pub(crate) invalid: BTreeMap<String, u64>,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) troubles: u64,
}

impl Tally {
    /// Counts a verdict. How many are in trouble comes back, and the trouble of this one.
    pub(crate) fn count(&mut self, verdict: Verdict) -> (u64, Option<String>) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Invalid(why) => *self.invalid.entry(why).or_default() += 1,
            Verdict::Refused(why) => *self.refused.entry(why).or_default() += 1,
            Verdict::Trouble(trouble) => {
                self.troubles += 1;
                return (self.troubles, Some(trouble));
            }
        }
        (self.troubles, None)
    }

    pub(crate) fn invalid_count(&self) -> u64 {
        self.invalid.values().sum()
    }

    pub(crate) fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Totals, and the most common reasons.
    pub(crate) fn summary(&self, name: &str) -> String {
        let mut out = format!(
            "{name}: {} same, {} different, {} refused, {} that the compiler fails on",
            self.same,
            self.troubles,
            self.refused_count(),
            self.invalid_count()
        );
        for (kind, reasons) in [("refused", &self.refused), ("invalid", &self.invalid)] {
            let mut reasons: Vec<_> = reasons.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (reason, count) in reasons.iter().take(8) {
                let _ = write!(out, "\n    {kind} {count}: {reason}");
            }
        }
        out
    }
}
