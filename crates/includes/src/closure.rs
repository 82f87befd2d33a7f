//! A closure: what one compile reads and depends on.

use std::collections::HashSet;
use std::sync::Arc;

use crate::search::folders::Link;
use crate::tree::Stamp;

/// What a compile reads and depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// Files in the order of their first visit; the main file is the first.
    pub files: Vec<ClosureFile>,
    /// Where files were found that gcc names by their real paths. Sorted.
    pub renamed: Vec<Renamed>,
    /// Paths that were probed and are no file.
    pub absent: Absent,
    /// Absolute folders, as spelled, that exist and were searched or named by the command, or hold a file. In no order.
    pub folders: Vec<Arc<[u8]>>,
    /// Folders that the compiler searches by itself, in its order, as far as they exist.
    pub default_folders: Vec<DefaultFolder>,
    /// The compiler is clang, or goes by its rules.
    pub is_clang: bool,
    /// Symbolic links met: where each stands (without links before it) and its target. Sorted.
    pub links: Vec<Link>,
    /// `__DATE__`, `__TIME__` or `__TIMESTAMP__` occurs.
    pub time_macros: bool,
    /// `.incbin` and `.include` in assembler text.
    pub assembler: Vec<AssemblerInclude>,
}

/// A file that the compile reads. Two are equal whatever their stamps.
#[derive(Debug, Clone)]
pub struct ClosureFile {
    /// As the compiler spells it.
    pub spelled: Arc<[u8]>,
    /// Absolute, without links and dots.
    pub real: Arc<[u8]>,
    /// Only `__has_include` asked for it, or it is one more copy of a file marked "once": its existence matters,
    /// and the compiler may read it, but its text is not used.
    pub probed_only: bool,
    /// The compiler names it in its dependencies (clang also lists what `__has_include` found).
    pub listed: bool,
    /// Its state when its text was read, if it was read for this answer's worker. No other has followed when the answer is
    /// given, so nobody has to ask the file system for it.
    pub stamp: Option<Stamp>,
}

impl PartialEq for ClosureFile {
    fn eq(&self, other: &Self) -> bool {
        let of = |file: &Self| (file.probed_only, file.listed);
        (&self.spelled, &self.real) == (&other.spelled, &other.real) && of(self) == of(other)
    }
}

impl Eq for ClosureFile {}

/// Paths that were probed and are no file. A compile has several times as many of them as files, and few ask for them:
/// they are kept as the searches left them.
#[derive(Debug, Clone, Default)]
pub struct Absent {
    searches: Vec<Arc<[Arc<[u8]>]>>,
}

impl Absent {
    /// Adds what a search met.
    pub(crate) fn add(&mut self, search: &Arc<[Arc<[u8]>]>) {
        if !search.is_empty() {
            self.searches.push(Arc::clone(search));
        }
    }

    /// Searches that met any.
    pub(crate) fn searches(&self) -> usize {
        self.searches.len()
    }

    /// Absolute paths, as spelled, each once, in the order of first probes.
    pub fn paths(&self) -> Vec<&Arc<[u8]>> {
        let mut seen = HashSet::new();
        let all = self.searches.iter().flat_map(|search| search.iter());
        all.filter(|path| seen.insert(&***path)).collect()
    }
}

/// Equal where the same paths were probed first in the same order.
impl PartialEq for Absent {
    fn eq(&self, other: &Self) -> bool {
        self.paths() == other.paths()
    }
}

impl Eq for Absent {}

/// A way to a header that gcc names by its real path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Renamed {
    /// Where it was found: absolute, as spelled.
    pub path: Arc<[u8]>,
    /// Without links and dots.
    pub real: Arc<[u8]>,
}

/// A file named by assembler text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssemblerInclude {
    /// The file whose text holds the `.incbin` or `.include`, as spelled.
    pub within: Arc<[u8]>,
    /// The name, if it is written out.
    pub name: Option<Vec<u8>>,
}

/// A folder that the compiler searches by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultFolder {
    /// Absolute, as the compiler spells it.
    pub spelled: Arc<[u8]>,
    /// Without links and dots.
    pub real: Arc<[u8]>,
}
