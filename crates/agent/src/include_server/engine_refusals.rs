//! Which compiles the include engine refused, and why: counted by reason, and told to whoever
//! ends the build.
//!
//! The count stands in a file that is written anew with each refusal, before the client has its
//! answer: so it is complete when the build is, however this server ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use includes::Refusal;

/// Reasons that are named; more are only counted.
const MOST_REASONS: usize = 5;

/// All refusals of this server.
#[derive(Debug, Default)]
pub(crate) struct EngineRefusals {
    /// Where the count is written, if anybody wants it.
    file: Option<PathBuf>,
    /// Also guards the file.
    reasons: Mutex<BTreeMap<String, Reason>>,
}

#[derive(Debug)]
struct Reason {
    count: u64,
    /// A file for which it was the reason.
    example: Option<String>,
}

impl EngineRefusals {
    /// None so far.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            reasons: Mutex::default(),
        }
    }

    /// Counts a refusal. Where the compiler itself fails, none was made.
    pub(crate) fn count(&self, refusal: &Refusal) {
        if refusal.is_compile_error() {
            return;
        }
        let (what, example) = reason(refusal);
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons
            .entry(what)
            .or_insert(Reason { count: 0, example })
            .count += 1;
        if let Some(file) = &self.file {
            let mut beside = OsString::from(file);
            beside.push(".new");
            // Nobody's compile depends on it.
            let _ = fs::write(&beside, told(&reasons)).and_then(|()| fs::rename(&beside, file));
        }
    }
}

/// The reason in words that are the same for all files, and the file.
fn reason(refusal: &Refusal) -> (String, Option<String>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(char::is_control, "?");
    match refusal {
        Refusal::Unmodelled { file, what } => {
            (what.replace(char::is_control, "?"), Some(text(file)))
        }
        Refusal::Precompiled(path) => ("precompiled header".to_owned(), Some(text(path))),
        Refusal::Command(_)
        | Refusal::Option(..)
        | Refusal::Variable(_)
        | Refusal::Compiler(_)
        | Refusal::Restless => (text(refusal.to_string().as_bytes()), None),
        // The compiler fails, too.
        Refusal::NoInput(_)
        | Refusal::NotFound { .. }
        | Refusal::Error { .. }
        | Refusal::TooDeep(_) => (text(refusal.to_string().as_bytes()), None),
    }
}

/// One sentence, the most frequent reasons first.
fn told(reasons: &BTreeMap<String, Reason>) -> String {
    let mut list: Vec<_> = reasons.iter().collect();
    list.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.count));
    let count =
        |list: &[(&String, &Reason)]| -> u64 { list.iter().map(|(_, reason)| reason.count).sum() };
    let all = count(&list);
    let mut words: Vec<String> = list
        .iter()
        .take(MOST_REASONS)
        .map(|(what, reason)| {
            let example = match &reason.example {
                Some(file) if reason.count > 1 => format!(" (such as {file})"),
                Some(file) => format!(" ({file})"),
                None => String::new(),
            };
            format!("{} x {what}{example}", reason.count)
        })
        .collect();
    if let Some(others) = list.get(MOST_REASONS..)
        && !others.is_empty()
    {
        words.push(format!("{} x other reasons", count(others)));
    }
    let (compiles, their) = match all {
        1 => ("1 compile".to_owned(), "its"),
        _ => (format!("{all} compiles"), "their"),
    };
    format!(
        "{compiles} needed {their} compiler's own list of files: {}\n",
        words.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmodelled(file: &str, what: &str) -> Refusal {
        Refusal::Unmodelled {
            file: file.into(),
            what: what.into(),
        }
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("refusals");
        let refusals = EngineRefusals::new(Some(file.clone()));
        let told = |refusal: Refusal| {
            refusals.count(&refusal);
            fs::read_to_string(&file).unwrap_or_default()
        };
        assert_eq!(told(Refusal::NoInput(b"a.c".into())), "");
        assert_eq!(
            told(unmodelled("/a\n.h", "#embed")),
            "1 compile needed its compiler's own list of files: 1 x #embed (/a?.h)\n"
        );
        told(Refusal::Precompiled(b"/p/x.h.gch".into()));
        assert_eq!(
            told(Refusal::Precompiled(b"/p/y.h.gch".into())),
            "3 compiles needed their compiler's own list of files: \
             2 x precompiled header (such as /p/x.h.gch), 1 x #embed (/a?.h)\n"
        );
        for number in 0..4 {
            told(Refusal::Compiler(format!("no answer {number}")));
        }
        let text = told(unmodelled("/b.h", "#embed"));
        assert!(text.starts_with("8 compiles "), "{text}");
        assert!(
            text.contains(": 2 x #embed (such as /a?.h), 2 x precomp"),
            "{text}"
        );
        assert!(
            text.ends_with(", 1 x asking the compiler: no answer 2, 1 x other reasons\n"),
            "{text}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
