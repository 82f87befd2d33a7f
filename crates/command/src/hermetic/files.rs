//! Which files options name, and which ones compilers make because of options.
//!
//! Tried with gcc 12.2 and clang 14.0.6. What is read may be named too often: it stands there as it stands here.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::{Within, Words};
use crate::client::Why;
use crate::extension::{basename, replaced};
use crate::option;
use crate::options;

/// A command, and what it reads and writes as far as that is found.
pub(super) struct Files<'c> {
    argv: &'c [OsString],
    words: &'c Words,
    pub(super) named: Named,
}

/// What it reads and writes: as in [`super::Hermetic`].
#[derive(Default)]
pub(super) struct Named {
    pub(super) reads: Vec<OsString>,
    pub(super) reads_within: Vec<Within>,
    pub(super) plugins: Vec<OsString>,
    pub(super) plugin_arguments: Vec<OsString>,
    pub(super) writes: BTreeSet<OsString>,
}

impl<'c> Files<'c> {
    /// The object and the dependency file are among them.
    pub(super) fn new(argv: &'c [OsString], words: &'c Words) -> Self {
        let mut files = Self {
            argv,
            words,
            named: Named::default(),
        };
        files.write(&words.output);
        files.add_dependency_file();
        files
    }

    /// Adds the files of the option at `index`, which for this reason would keep a command of protocol 3 local.
    /// Says whether that is all that it does.
    pub(super) fn add(&mut self, index: usize, why: Why) -> bool {
        let word = self.argv[index].as_bytes();
        let Some(entry) = options::find(word) else {
            return false;
        };
        let value = match options::takes_next(word) {
            true => self.argv.get(index + 1).map(|next| next.as_bytes()),
            false => entry.glued_value(word),
        };
        let value = value.unwrap_or_default();
        match (entry.name, why) {
            ("-Xclang", _) => self.add_inner(index),
            ("-f" | "-g", Why::Writes) => self.add_named(word, b"-fopt-info"),
            // Arguments and folders are the client's own.
            ("-f" | "-g", Why::Unmodelled) => true,
            ("-fcoverage-mapping" | "-gembed-source" | "-frecord-command-line", _)
            | ("-grecord-command-line" | "-fprofile-instr-generate", _) => true,
            _ => self.add_output(entry.name, word, value) || self.add_input(entry.name, value),
        }
    }

    fn add_output(&mut self, name: &str, word: &[u8], value: &[u8]) -> bool {
        match name {
            "-gsplit-dwarf" => self.write_beside(&[b".dwo"]),
            "-fstack-usage" => self.write_beside(&[b".su"]),
            "-fcallgraph-info" => self.write_beside(&[b".ci"]),
            "--coverage" | "-coverage" | "-ftest-coverage" => self.write_beside(&[b".gcno"]),
            // What is written then, the program writes when it runs.
            "-fprofile-arcs" => {}
            "-save-temps" | "--save-temps"
                if matches!(value, b"" | b"=cwd" | b"=obj" | b"cwd" | b"obj") =>
            {
                self.write_beside(&[b".i", b".ii", b".mi", b".mii", b".s", b".bc", b".tmp.bc"]);
            }
            "-ftime-trace" if word == b"-ftime-trace" => self.write_beside(&[b".json"]),
            "-ftime-trace" => return value.starts_with(b"-granularity="),
            "-fsave-optimization-record" if matches!(value, b"" | b"=yaml" | b"=bitstream") => {
                let source = self.words.input.as_bytes();
                let stem = replaced(source, b"").len();
                // gcc keeps the source's extension in it.
                let record = [&source[stem..], b".opt-record.json.gz"].concat();
                self.write_beside(&[b".opt.yaml", b".opt.bitstream", &record]);
            }
            // Without a name, or with several, dumps have numbers in theirs that only the compiler knows.
            "-fdump" if self.is_setting_of_dumps(word) => {}
            "-fdump" => {
                let kinds = [
                    &b"-fdump-tree-"[..],
                    b"-fdump-rtl-",
                    b"-fdump-ipa-",
                    b"-fdump-lang-",
                ];
                return kinds.iter().any(|kind| self.add_named(word, kind));
            }
            "-foptimization-record-file" => {
                return self.add_named(word, b"-foptimization-record-file");
            }
            "-fprofile-note" => return self.add_named(word, b"-fprofile-note"),
            "-fthin-link-bitcode" => return self.add_named(word, b"-fthin-link-bitcode"),
            "-MF" => {} // Standard output comes back.
            "-Wp," => return self.add_dependencies_of_wp(value),
            "-Wa," => return self.add_assembler_outputs(value),
            "-MJ" | "-serialize-diagnostics" | "--serialize-diagnostics" | "-aux-info"
                if !value.is_empty() =>
            {
                self.write(value);
            }
            _ => return false,
        }
        true
    }

    fn add_input(&mut self, name: &str, value: &[u8]) -> bool {
        let file = value.strip_prefix(b"=").unwrap_or(value);
        match name {
            "-fplugin" | "-fpass-plugin" => match value.strip_prefix(b"-arg-") {
                Some(told) => self.named.plugin_arguments.push(owned(told)),
                None if value.len() > 1 && value[0] == b'=' => {
                    self.named.plugins.push(owned(file));
                }
                None => return false,
            },
            "-fprofile-use" | "-fbranch-probabilities" => self.add_profile(file),
            "-fprofile-instr-use" if file.is_empty() => self.read(b"default.profdata"),
            "-fprofile-instr-use" => self.add_profile(file),
            "-fauto-profile" if file.is_empty() => self.read(b"fbdata.afdo"),
            "-fsanitize-blacklist="
            | "-fsanitize-ignorelist="
            | "-fsanitize-system-blacklist"
            | "-fsanitize-system-ignorelist"
            | "-fprofile-sample-use"
            | "-fauto-profile"
            | "-fprofile-list"
            | "-fprofile-remapping-file"
            | "-fbasic-block-sections=list="
            | "-frandomize-layout-seed-file"
            | "-fxray-always-instrument"
            | "-fxray-attr-list"
            | "-fxray-never-instrument"
            | "-fsanitize-coverage-allowlist"
            | "-fsanitize-coverage-ignorelist"
            | "-fsanitize-coverage-whitelist"
            | "-fsanitize-coverage-blocklist"
            | "-fsanitize-coverage-blacklist"
                if !file.is_empty() =>
            {
                self.read(file);
            }
            _ => return false,
        }
        true
    }

    /// A word for clang's inner compiler: libraries that it loads, and what they are told.
    fn add_inner(&mut self, index: usize) -> bool {
        let word = |at: usize| self.argv.get(at).map(|word| word.as_bytes());
        let value = match word(index + 2) {
            Some(b"-Xclang") => word(index + 3),
            _ => None,
        };
        match (word(index + 1), value) {
            (Some(b"-load"), Some(library)) => self.named.plugins.push(owned(library)),
            (Some(b"-add-plugin"), Some(_)) => {}
            (Some(option), Some(told)) if option.starts_with(b"-plugin-arg-") => {
                self.named.plugin_arguments.push(owned(told));
            }
            _ => return false,
        }
        true
    }

    /// A profile of a run: a file, or a folder of files that are named after objects. gcc also looks beside the object.
    fn add_profile(&mut self, path: &[u8]) {
        let names = self.names_beside(&[b".gcda"]);
        let last = |name: &OsString| owned(basename(name.as_bytes()));
        let endings: BTreeSet<OsString> = names.iter().map(last).collect();
        self.named.reads.extend(names);
        let folder = option::last_value(self.argv, b"-fprofile-dir=");
        let folders = [Some(path), folder].into_iter().flatten();
        for folder in folders.filter(|folder| !folder.is_empty()) {
            self.named.reads_within.push(Within {
                folder: owned(folder),
                endings: endings.clone(),
            });
            self.read(folder);
        }
        self.read(
            &[
                path,
                if path.is_empty() { b"" } else { b"/" },
                b"default.profdata",
            ]
            .concat(),
        );
    }

    /// `-fdump-tree-original=FILE`: an option that begins so, and the only file it writes.
    fn add_named(&mut self, word: &[u8], start: &[u8]) -> bool {
        let Some(rest) = word.strip_prefix(start) else {
            return false;
        };
        let Some(equals) = rest.iter().position(|&byte| byte == b'=') else {
            return false;
        };
        match &rest[equals + 1..] {
            b"" => false,
            // Both come back.
            b"stdout" | b"stderr" | b"-" => true,
            file => {
                self.write(file);
                true
            }
        }
    }

    /// Whether the word only says what dumps look like, or what goes to standard error.
    fn is_setting_of_dumps(&self, word: &[u8]) -> bool {
        matches!(
            word,
            b"-fdump-noaddr" | b"-fdump-unnumbered" | b"-fdump-unnumbered-links" | b"-fdump-passes"
        )
    }

    /// Kernels' makefiles ask for `-Wp,-MMD,FILE`.
    fn add_dependencies_of_wp(&mut self, list: &[u8]) -> bool {
        let parts: Vec<&[u8]> = list.split(|&byte| byte == b',').collect();
        match parts[..] {
            [b"-MD" | b"-MMD", file] => {
                self.write(file);
                true
            }
            _ => false,
        }
    }

    /// Listings and dependencies of the assembler: `-Wa,-ahln=FILE`, `-Wa,-MD,FILE`. Without a name, a listing goes to standard
    /// output.
    fn add_assembler_outputs(&mut self, list: &[u8]) -> bool {
        let mut parts = list.split(|&byte| byte == b',');
        while let Some(part) = parts.next() {
            match part {
                b"-MD" | b"--MD" => match parts.next() {
                    Some(file) => self.write(file),
                    None => return false,
                },
                _ if part.starts_with(b"-a") => {
                    if let Some(equals) = part.iter().position(|&byte| byte == b'=') {
                        self.write(&part[equals + 1..]);
                    }
                }
                _ if part.starts_with(b"-o") || part.starts_with(b"-MD") => return false,
                _ if part.starts_with(b"--MD") => return false,
                _ => {}
            }
        }
        true
    }

    fn add_dependency_file(&mut self) {
        let is_value = option::values(self.argv);
        let words = self.argv.iter().zip(&is_value).skip(1);
        let mut words = words.filter_map(|(word, is_value)| (!is_value).then_some(word.as_bytes()));
        if !words.any(|word| {
            matches!(
                word,
                b"-MD" | b"-MMD" | b"--write-dependencies" | b"--write-user-dependencies"
            )
        }) {
            return;
        }
        let file = option::last_value(self.argv, b"-MF");
        match file {
            Some(b"-" | b"/dev/stdout") => {}
            Some(file) => self.write(file),
            None => self.write_beside(&[b".d"]),
        }
    }

    fn read(&mut self, name: &[u8]) {
        self.named.reads.push(owned(name));
    }

    /// A file that is named by itself.
    fn write(&mut self, name: &[u8]) {
        self.named.writes.insert(owned(name));
    }

    fn write_beside(&mut self, extensions: &[&[u8]]) {
        let names = self.names_beside(extensions);
        self.named.writes.extend(names);
    }

    /// Files that compilers name after the object or the source.
    fn names_beside(&self, extensions: &[&[u8]]) -> BTreeSet<OsString> {
        let (output, source) = (&self.words.output, basename(self.words.input.as_bytes()));
        let folder = &output[..output.len() - basename(output).len()];
        let beside = [folder, source].concat();
        let named = basename(output);
        let names = extensions.iter().flat_map(|extension| {
            [
                replaced(output, extension),
                [output, *extension].concat(),
                replaced(&beside, extension),
                replaced(source, extension),
                replaced(named, extension),
                // clang, without `-o`.
                replaced(&replaced(source, b""), extension),
                // gcc, where the object is called neither after the source nor `*.o`.
                replaced(&[output, &b"-"[..], source].concat(), extension),
                replaced(&[named, &b"-"[..], source].concat(), extension),
            ]
        });
        names.map(OsString::from_vec).collect()
    }
}

fn owned(name: &[u8]) -> OsString {
    OsStr::from_bytes(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::hermetic;
    use super::*;
    use crate::testing::argv;

    fn written(options: &str, expected: &str) {
        let read = hermetic(&argv(&format!("gcc -c a.c {options}")));
        let mut writes = read.unwrap_or_else(|why| panic!("{options}: {why}")).writes;
        writes.remove(OsStr::new("a.o"));
        let expected: BTreeSet<OsString> =
            expected.split_whitespace().map(OsString::from).collect();
        assert_eq!(writes, expected, "{options}");
    }

    #[test]
    fn files_that_options_name_are_written() {
        written("-fdump-tree-original-raw=x", "x");
        written("-fdump-rtl-expand=out/x -fdump-noaddr", "out/x");
        written("-fdump-ipa-all=stderr -fdump-passes", "");
        written("-fopt-info-vec=x -fopt-info", "x");
        written("--opt-info-vec=x", "x");
        written("-Wa,-adhln=l,-MD,d", "l d");
        written("-Wa,-al", "");
        written(
            "-foptimization-record-file=y --serialize-diagnostics s",
            "y s",
        );
        written("-ftime-trace-granularity=5", "");
    }

    #[test]
    fn what_has_numbers_in_its_name_stays() {
        for options in [
            "-fdump-tree-all",
            "-fdump-tree-original",
            "-fdump-go-spec=x",
            "-da",
        ] {
            assert!(
                hermetic(&argv(&format!("gcc -c a.c {options}"))).is_err(),
                "{options}"
            );
        }
    }

    #[test]
    fn libraries_of_compilers_come_along() {
        let words = "-fplugin=x.so -fplugin-arg-x-a=b -fpass-plugin=y -Xclang -load -Xclang z.so \
                     -Xclang -add-plugin -Xclang z -Xclang -plugin-arg-z -Xclang told";
        let read = hermetic(&argv(&format!("clang -c a.c {words}"))).unwrap();
        assert_eq!(read.plugins, ["x.so", "y", "z.so"]);
        assert_eq!(read.plugin_arguments, ["x-a=b", "told"]);
    }

    #[test]
    fn profiles_are_looked_for_by_the_objects_name() {
        let read = hermetic(&argv("gcc -c a.c -o d/b.o -fprofile-use=prof")).unwrap();
        for name in ["d/b.gcda", "prof", "prof/default.profdata"] {
            assert!(
                read.reads.contains(&name.into()),
                "{name}: {:?}",
                read.reads
            );
        }
        let [within] = &read.reads_within[..] else {
            panic!("{:?}", read.reads_within);
        };
        assert_eq!(within.folder, "prof");
        assert!(within.endings.contains(OsStr::new("b.gcda")));
    }
}
