//! The option table of gcc and clang: the form of each option, and what it is about.
//!
//! gcc and clang share most of their options, and where one of them lacks an option the other's
//! reading does no harm. So there is one table for both: every option that gcc 12 and clang 14
//! document, some of later versions, and families (`-f...`, `-W...`, `-m...`) of which only the
//! members stand alone that are something else than their family. All that is asked of an option
//! anywhere in this crate is answered from here; `tests/compilers/options.rs` asks both
//! compilers whether the table is right.
//!
//! The table is in three files: `long.rs` (two dashes), `family.rs` (`-f`, `-g`, `-m`, `-W`, `-O`)
//! and `short.rs` (all others).

mod family;
mod long;
mod short;

/// An option, or a family of options that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The option, or how its family begins.
    pub name: &'static str,
    /// Where its value is.
    pub form: Form,
    /// What it is about.
    pub class: Class,
}

/// Where the value of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// There is none.
    Alone,
    /// All words that begin so; what follows belongs to the option.
    Glued,
    /// The next word.
    Next,
    /// Behind the option in the same word, or else the next word.
    Either,
    /// Behind `=`, or the next word.
    Long,
    /// One value in the same word and another in the next.
    Both,
}

/// What an option is about: what becomes of it when a compile goes to a server, or why the
/// compile does not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What is made of what: `-c`, `-o`, `-x`.
    Job,
    /// Dependency files.
    Dependencies,
    /// For the preprocessor alone.
    Preprocessor,
    /// For the preprocessor alone; the value is a path that it reads.
    SearchPath,
    /// For the preprocessor's own output: a compile says nothing of it, `-E` would obey.
    Printing,
    /// For the linker alone.
    Linker,
    /// The compile itself: it goes along.
    Compile,
    /// The same, and the value is a path.
    CompilePath,
    /// It holds options for a part of the compiler.
    Carrier,
    /// A further file is read, which no protocol sends.
    Reads,
    /// The same, and the value is the path.
    ReadsPath,
    /// A further file is written, which no protocol brings back, or one of another name.
    Writes,
    /// Nothing is compiled, something is printed.
    Answers,
    /// A program of the user's choosing runs, a library is loaded, options are read from a file.
    Executes,
    /// Something else that does not come out right elsewhere: another meaning of the source or
    /// of the command, or what only this machine knows.
    Unmodelled,
}

const fn option(name: &'static str, form: Form, class: Class) -> Entry {
    Entry { name, form, class }
}

/// The entry for an option; `None` for one that is in no table, and for what is no option.
#[must_use]
pub fn find(word: &[u8]) -> Option<&'static Entry> {
    match word {
        [b'-', b'-', ..] => LONG.longest(word).or_else(|| in_other_words(word)),
        [b'-', b'f' | b'g' | b'm' | b'W' | b'O', ..] => {
            FAMILY.longest(word).or_else(|| SHORT.longest(word))
        }
        _ => SHORT.longest(word),
    }
}

/// A word with two dashes that is not in the table. gcc takes a beginning of a long option for that option (`--coverag`), and
/// any other word for the `-f` option of that name (`--plugin=x`). Hardly anybody writes so: what would go along in its
/// usual words stays here, because all who look for an option look for those.
fn in_other_words(word: &[u8]) -> Option<&'static Entry> {
    static STAYS: Entry = option("--", Form::Glued, Class::Unmodelled);
    if !word.get(2)?.is_ascii_alphanumeric() {
        return None;
    }
    let mut begun = long::TABLE
        .iter()
        .filter(|entry| entry.name.as_bytes().starts_with(word))
        .peekable();
    let mut found = match begun.peek() {
        Some(_) => begun.collect(),
        None => Vec::from_iter(FAMILY.longest(&as_flag(word))),
    };
    // Servers have to see these in any words.
    let severity = |entry: &&Entry| match entry.class {
        Class::Executes => 0,
        Class::Writes | Class::Answers => 1,
        _ => 2,
    };
    found.sort_by_key(severity);
    Some(
        found
            .into_iter()
            .find(|entry| severity(entry) < 2)
            .unwrap_or(&STAYS),
    )
}

/// `--exceptions` as `-fexceptions`.
fn as_flag(word: &[u8]) -> Vec<u8> {
    [b"-f", word.get(2..).unwrap_or_default()].concat()
}

/// The usual spelling of an option, if this is another one: `-fexceptions` for `--exceptions`.
pub(crate) fn usual(word: &[u8]) -> Option<Vec<u8>> {
    let mut table = long::TABLE.iter();
    let is_flag = word.starts_with(b"--")
        && word.get(2).is_some_and(u8::is_ascii_alphanumeric)
        && LONG.longest(word).is_none()
        && !table.any(|entry| entry.name.as_bytes().starts_with(word));
    is_flag.then(|| as_flag(word))
}

/// All entries, for those who check them.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [long::TABLE, family::TABLE, short::TABLE]
        .into_iter()
        .flatten()
}

static LONG: Indexed = Indexed::new(long::TABLE, 2);
static FAMILY: Indexed = Indexed::new(family::TABLE, 1);
static SHORT: Indexed = Indexed::new(short::TABLE, 1);

/// A table in which only those entries are looked at that have the same letter behind the dashes: each word of each
/// command is looked up, and most are `-D`, `-I`, `-W` or names of files.
struct Indexed {
    table: &'static [Entry],
    /// How many dashes there are.
    dashes: usize,
    /// Where the entries of each letter begin, and behind the last one the end.
    starts: [u16; 129],
}

impl Indexed {
    const fn new(table: &'static [Entry], dashes: usize) -> Self {
        let mut starts = [0; 129];
        let (mut letter, mut at) = (0, 0);
        while letter < starts.len() {
            while at < table.len() && letter_of(table[at].name.as_bytes(), dashes) < letter {
                at += 1;
            }
            starts[letter] = at as u16;
            letter += 1;
        }
        Self {
            table,
            dashes,
            starts,
        }
    }

    /// The entry with the longest name that fits. Each name that fits is a beginning of the word, so
    /// after a look at the nearest name only what both have in common can.
    fn longest(&self, word: &[u8]) -> Option<&'static Entry> {
        let letter = letter_of(word, self.dashes);
        let start = *self.starts.get(letter)?;
        let end = *self.starts.get(letter + 1)?;
        let table = &self.table[start.into()..end.into()];
        let mut key = word;
        loop {
            let after = table.partition_point(|entry| entry.name.as_bytes() <= key);
            let entry = &table[after.checked_sub(1)?];
            let name = entry.name.as_bytes();
            if entry.fits(word) {
                return Some(entry);
            }
            let common = name.iter().zip(key).take_while(|(a, b)| a == b).count();
            key = &key[..common.min(key.len().checked_sub(1)?)];
        }
    }
}

/// The byte behind the dashes; 0 if there is none.
const fn letter_of(word: &[u8], dashes: usize) -> usize {
    if dashes < word.len() {
        word[dashes] as usize
    } else {
        0
    }
}

impl Entry {
    fn fits(&self, word: &[u8]) -> bool {
        let Some(rest) = word.strip_prefix(self.name.as_bytes()) else {
            return false;
        };
        match self.form {
            Form::Alone | Form::Next => rest.is_empty(),
            Form::Long => rest.is_empty() || rest[0] == b'=',
            Form::Glued | Form::Either | Form::Both => true,
        }
    }

    /// Whether the word after `word`, which is this option, is its value.
    fn takes_next(&self, word: &[u8]) -> bool {
        match self.form {
            Form::Alone | Form::Glued => false,
            Form::Next | Form::Both => true,
            Form::Either | Form::Long => word.len() == self.name.len(),
        }
    }

    /// The value of `word`, which is this option, in the same word.
    pub(crate) fn glued_value<'a>(&self, word: &'a [u8]) -> Option<&'a [u8]> {
        let rest = word.get(self.name.len()..)?;
        match self.form {
            Form::Long => rest.strip_prefix(b"="),
            Form::Glued | Form::Either => (!rest.is_empty()).then_some(rest),
            Form::Alone | Form::Next | Form::Both => None,
        }
    }
}

impl Class {
    /// Whether a value of it is a path.
    pub(crate) fn is_path(self) -> bool {
        matches!(self, Self::SearchPath | Self::CompilePath | Self::ReadsPath)
    }
}

/// What `word` is about; `None` as with [`find`].
pub(crate) fn class(word: &[u8]) -> Option<Class> {
    find(word).map(|entry| entry.class)
}

/// Whether the word after `word` is its value.
pub(crate) fn takes_next(word: &[u8]) -> bool {
    word.starts_with(b"-") && find(word).is_some_and(|entry| entry.takes_next(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_hold_each_name_once() {
        for table in [long::TABLE, family::TABLE, short::TABLE] {
            assert!(table.is_sorted_by(|a, b| a.name < b.name));
        }
    }

    fn check(word: &str, name: Option<&str>) {
        let found = find(word.as_bytes()).map(|entry| entry.name);
        assert_eq!(found, name, "{word}");
    }

    #[test]
    fn the_longest_name_counts() {
        check("-I", Some("-I"));
        check("-Iinc", Some("-I"));
        check("-I-", Some("-I-"));
        check("-I-x", Some("-I"));
        check("-include", Some("-include"));
        check("-include-pch", Some("-include-pch"));
        check("-include-pchx", Some("-include"));
        check("-isystem-after", Some("-isystem-after"));
        check("-fno-strict-aliasing", Some("-f"));
        check("-fstack-usage", Some("-fstack-usage"));
        check("-fstack-usage-x", Some("-f"));
        check("-fdump-tree-all", Some("-fdump"));
        check("-gsplit-dwarf=single", Some("-gsplit-dwarf"));
        check("-gsplit-dwarf=split", Some("-gsplit-dwarf"));
        check("-Wa,-x", Some("-Wa,"));
        check("-Wall", Some("-W"));
        check("-objc", Some("-o"));
        check("-nostdinc++", Some("-nostdinc++"));
    }

    #[test]
    fn long_options_have_their_value_behind_an_equals_sign() {
        check("--sysroot", Some("--sysroot"));
        check("--sysroot=/x", Some("--sysroot"));
        check("--sysroots", Some("--"));
        check(
            "--include-directory-after=x",
            Some("--include-directory-after"),
        );
    }

    #[test]
    fn long_options_have_other_words() {
        check("--plugin=x", Some("-fplugin"));
        check("--stack-usage", Some("-fstack-usage"));
        check("--exceptions", Some("--"));
        check("--prefi", Some("--prefix"));
        check("--spec", Some("--specs"));
        check("--coverag", Some("--coverage"));
        check("--lang", Some("--"));
        check("--", Some("--"));
        check("---", None);
        assert_eq!(usual(b"--opt-info=x"), Some(b"-fopt-info=x".to_vec()));
        for word in [&b"--debug"[..], b"--coverag", b"--", b"-fpic", b"a"] {
            assert_eq!(usual(word), None);
        }
    }

    #[test]
    fn what_is_no_option_is_in_no_table() {
        for word in ["", "-", "a.c", "-nowhere", "-yes", "+x", "@x"] {
            check(word, None);
        }
    }

    #[test]
    fn knows_what_takes_the_next_word() {
        for word in [
            "-o",
            "-I",
            "-MF",
            "--param",
            "-Xarch_host",
            "-Xopenmp-target=x",
            "-aux-info",
        ] {
            assert!(takes_next(word.as_bytes()), "{word}");
        }
        for word in [
            "-ox",
            "-Ix",
            "-MFx",
            "--param=x",
            "-aux-info=x",
            "-c",
            "-W",
            "I",
            "",
        ] {
            assert!(!takes_next(word.as_bytes()), "{word}");
        }
    }
}
