//! When a compile through client and server equals one without.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use end_to_end::object::Object;
use end_to_end::run::Done;
use end_to_end::tree::{Entry, Snapshot};

use crate::Pair;
use crate::cases::{Alone, Case};

/// What a command did, seen from outside.
pub(crate) struct Observed {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// What it made, relative to the working folder.
    pub(crate) files: Snapshot,
}

impl Observed {
    pub(crate) fn new(done: Done, files: Snapshot) -> Self {
        Self {
            code: done.code(),
            stdout: done.stdout,
            stderr: done.stderr,
            files,
        }
    }

    pub(crate) fn file(&self, name: &str) -> Option<&[u8]> {
        match self.files.get(Path::new(name)) {
            Some(Entry::File(_, content)) => Some(content),
            _ => None,
        }
    }

    pub(crate) fn has_only(&self, names: &[&str]) -> bool {
        self.names() == names.iter().map(PathBuf::from).collect()
    }

    fn names(&self) -> BTreeSet<PathBuf> {
        self.files.keys().cloned().collect()
    }

    pub(crate) fn mentions(&self, text: &[u8]) -> bool {
        let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        has(&self.stdout)
            || has(&self.stderr)
            || self.files.values().any(|entry| match entry {
                Entry::File(_, content) => has(content),
                _ => false,
            })
    }

    /// Standard error without what distcc itself says.
    pub(crate) fn compiler_messages(&self) -> String {
        let text = without_platform(&self.stderr);
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| !is_from_distcc(line.as_bytes()))
            .collect()
    }

    pub(crate) fn show(&self) -> String {
        format!(
            "code {}, files {:?}\n{}{}",
            self.code,
            self.names(),
            String::from_utf8_lossy(&self.stdout),
            String::from_utf8_lossy(&self.stderr)
        )
    }
}

fn is_from_distcc(line: &[u8]) -> bool {
    line.starts_with(b"distcc[")
}

/// For a compiler's messages about itself: distcc calls `gcc` by its full name,
/// `x86_64-linux-gnu-gcc`, so that a server on another kind of machine takes the right one.
fn without_platform(text: &[u8]) -> String {
    let platform = format!("{}-linux-gnu-", std::env::consts::ARCH);
    String::from_utf8_lossy(text).replace(&platform, "")
}

/// Messages without the lines of source below them: a server that gets preprocessed text does not
/// have the source.
fn without_excerpts(messages: &str) -> String {
    let lines = messages.split_inclusive('\n');
    lines.filter(|line| !line.starts_with(' ')).collect()
}

/// What is not as it has to be, if anything.
pub(crate) fn differences(
    pair: Pair,
    case: &Case,
    fallback: bool,
    local: &Observed,
    through: &Observed,
) -> Vec<String> {
    if let Some(known) = case.known(pair) {
        return match (known.check)(local, through) {
            true => Vec::new(),
            false => vec![format!("3.4 no longer does this: {}", known.what)],
        };
    }
    if let (Alone::NoCompiler, false) = (&case.alone, fallback) {
        return no_compiler(through);
    }
    let mut wrong = Vec::new();
    let mut must = |same: bool, what: &str| {
        if !same {
            wrong.push(format!("differs: {what}"));
        }
    };
    must(local.code == through.code, "exit code");
    let [here, there] = [local, through].map(|seen| without_platform(&seen.stdout));
    must(here == there, "standard output");
    // This would also tell of a client that gives up pump mode, and succeeds.
    let may_speak = local.code != 0 || fallback || case.is_preprocessed_here && !pair.is_plain();
    let is_quiet = !through
        .stderr
        .split(|&byte| byte == b'\n')
        .any(is_from_distcc);
    must(
        may_speak || is_quiet,
        "a success, with messages from distcc",
    );
    must(
        same_messages(pair, case, fallback, local, through),
        "messages",
    );
    must(local.names() == through.names(), "names of files");
    for (name, here) in &local.files {
        if let Some(there) = through.files.get(name) {
            must(
                same_file(pair, name, here, there),
                &name.display().to_string(),
            );
        }
    }
    wrong
}

/// The client that may not compile by itself says what the server said.
fn no_compiler(through: &Observed) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&through.stderr);
    match through.code == 110 && stderr.contains("failed to exec") && through.has_only(&[]) {
        true => Vec::new(),
        false => vec!["a missing compiler gives 110 and `failed to exec`".into()],
    }
}

fn same_messages(
    pair: Pair,
    case: &Case,
    fallback: bool,
    local: &Observed,
    through: &Observed,
) -> bool {
    let (here, there) = (local.compiler_messages(), through.compiler_messages());
    // After a fallback they come from this machine's compiler.
    if pair.is_plain() && case.is_sent(pair) && !(fallback && case.fails()) {
        without_excerpts(&here) == without_excerpts(&there)
    } else {
        here == there
    }
}

fn same_file(pair: Pair, name: &Path, here: &Entry, there: &Entry) -> bool {
    let (Entry::File(mode, here), Entry::File(other_mode, there)) = (here, there) else {
        return here == there;
    };
    let same = match name.extension().and_then(OsStr::to_str) {
        Some("d") => same_dependencies(pair, here, there),
        Some("o") => here == there || same_but_for_debug_info(pair, here, there),
        _ => here == there,
    };
    same && mode == other_mode
}

/// 3.4's server cuts its own paths out of a finished file, so that lines break elsewhere.
fn same_dependencies(pair: Pair, here: &[u8], there: &[u8]) -> bool {
    let words = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).replace("\\\n", " ");
        let lines = text.lines().map(|line| {
            let words = line.split_whitespace().map(str::to_owned);
            words.collect::<Vec<_>>()
        });
        lines.collect::<Vec<_>>()
    };
    if pair.has_packaged_server() && !pair.is_plain() {
        words(here) == words(there)
    } else {
        here == there
    }
}

/// 3.4's servers write wrong places into debug information in pump mode (A13).
fn same_but_for_debug_info(pair: Pair, here: &[u8], there: &[u8]) -> bool {
    let (here, there) = (Object::new(here), Object::new(there));
    if pair.has_packaged_server() && !pair.is_plain() {
        here.has_debug_info() && here.without_debug_info() == there.without_debug_info()
    } else {
        here.is_same(&there)
    }
}
