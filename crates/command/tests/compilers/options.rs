//! The table of options, shown to both compilers.

use std::ffi::OsString;

use command::Plan;
use command::options::{self, Entry, Form};

use super::{COMPILERS, Project, run, words};

/// Runs `ask` for all of `items`, on a few threads: most of the time goes into starting compilers.
fn on_threads<T: Sync, R: Send>(items: &[T], ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(4).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|share| scope.spawn(|| share.iter().map(&ask).collect::<Vec<R>>()))
            .collect();
        let results = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        results.collect()
    })
}

/// What a compiler does with the word behind an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Eaten,
    Left,
    /// There is no such option, or it keeps the compiler from compiling.
    Unclear,
}

/// Asks a compiler to say what it would run for `OPTION b.c a.c`.
fn next_word(compiler: &str, option: &str) -> Next {
    let project = Project::new(&[("a.c", ""), ("b.c", "")]);
    let argv = [compiler, "-###", "-c", option, "b.c", "a.c"].map(OsString::from);
    let output = run(&project.path, &argv);
    let text = String::from_utf8_lossy(&output.stderr);
    let unknown = [
        "unrecognized command-line option",
        "unknown argument",
        "unsupported option",
        "no longer supported",
    ];
    if unknown.iter().any(|words| text.contains(words)) {
        return Next::Unclear;
    }
    let is_compiled = |source: &str| {
        let gcc = format!(" -dumpbase {source} ");
        let clang = format!("\"-main-file-name\" \"{source}\"");
        let mut lines = text.lines().filter(|line| line.contains("cc1"));
        lines.any(|line| line.contains(&gcc) || line.contains(&clang))
    };
    match (is_compiled("b.c"), is_compiled("a.c")) {
        (true, _) => Next::Left,
        (false, true) => Next::Eaten,
        (false, false) => Next::Unclear,
    }
}

/// Options with a value in the next word that neither compiler shows in this way.
const NOT_SHOWN: &[&str] = &[
    // A source's name makes no sense to them, or is taken for what is compiled.
    "--config",
    "--dumpbase",
    "-dumpbase",
    "--language",
    "-x",
    "--print-file-name",
    "--print-prog-name",
    "-gcc-toolchain",
    // Those of the inner compilers.
    "-imultiarch",
    "-c-isystem",
    "-objc-isystem",
    "-objcxx-isystem",
    // Apple's clang and later ones.
    "-index-store-path",
    "-index-unit-output-path",
];

/// Options that only one compiler has: to the other the same word means something else, `-e` with
/// a value for example.
const CONTRADICTED: &[&str] = &[
    "--dumpbase",
    "--entry",
    "--output",
    "-R",
    "-aux-info",
    "-dependency-dot",
    "-dependency-file",
    "-dsym-dir",
    "-dumpbase",
    "-dumpbase-ext",
    "-dumpdir",
    "-dylib_file",
    "-dylinker_install_name",
    "-exported_symbols_list",
    "-include-pch",
    "-isystem-after",
    "-o",
    "-objc-isystem",
    "-objcxx-isystem",
    "-umbrella",
    "-undefined",
    "-unexported_symbols_list",
];

#[test]
fn the_next_word_is_a_value_where_the_compilers_take_it_for_one() {
    let entries: Vec<&Entry> = options::all().collect();
    let found = on_threads(&entries, |entry| {
        let option = match entry.form {
            Form::Both => format!("{}x86_64", entry.name),
            _ => entry.name.to_owned(),
        };
        COMPILERS.map(|compiler| next_word(compiler, &option))
    });
    let mut wrong = Vec::new();
    for (entry, [gcc, clang]) in entries.iter().zip(found) {
        let right = match entry.form {
            Form::Alone | Form::Glued => gcc != Next::Eaten && clang != Next::Eaten,
            Form::Next | Form::Either | Form::Long | Form::Both => {
                let shown = gcc == Next::Eaten || clang == Next::Eaten;
                let contradicted = gcc == Next::Left || clang == Next::Left;
                shown != NOT_SHOWN.contains(&entry.name)
                    && contradicted == CONTRADICTED.contains(&entry.name)
            }
        };
        if !right {
            wrong.push(format!("{entry:?}: gcc {gcc:?}, clang {clang:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The options that a compiler lists, without the values behind them.
fn listed(argv: &str) -> Vec<String> {
    let project = Project::new::<&str>(&[]);
    let output = run(&project.path, &words(argv));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| {
        let (indent, word) = (line.len() - line.trim_start().len(), line.trim_start());
        let word = word.split([' ', '<', '[', ',']).next()?;
        (indent <= 2 && word.starts_with('-') && word.len() > 1).then(|| word.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// Of gcc for D and Fortran, of `lto-dump`, and of the inner compiler.
const FOREIGN: &[&str] = &[
    "-Hd",
    "-Hf",
    "-J",
    "-Xf",
    "-callgraph",
    "-k8",
    "-name-sort",
    "-nophoboslib",
    "-quiet",
    "-reverse-sort",
    "-shared-libphobos",
    "-size-sort",
    "-symbol=",
    "-tree-stats",
    "-type-stats",
];

/// Every option that gcc has, in all its spellings, and every option that clang's driver has.
fn all_listed() -> Vec<String> {
    // Spellings of `-m`, `-W` and `-O`, by the thousand.
    let is_other_spelling = |name: &String| {
        ["--machine", "--warn-", "--optimize", "--param="]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let is_foreign = |name: &String| FOREIGN.contains(&name.as_str());
    let mut names = listed("gcc --completion=-");
    assert!(names.len() > 5000, "{}", names.len());
    names.extend(listed("clang --help-hidden"));
    names.retain(|name| !is_other_spelling(name) && !is_foreign(name));
    names
}

#[test]
fn each_option_that_a_compiler_lists_is_in_the_table() {
    let missing: Vec<String> = all_listed()
        .into_iter()
        .filter(|name| options::find(name.as_bytes()).is_none())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What a compile with these options did beyond making `a.o`; `None` if there was no object.
fn surprises(compiler: &str, flags: &[String]) -> Option<Vec<String>> {
    let project = Project::new(&[("a.c", "int f(int n) { return n + 1; }\n")]);
    let mut argv = words(&format!("{compiler} -O1 -c a.c -o a.o"));
    argv.extend(flags.iter().map(OsString::from));
    let output = run(&project.path, &argv);
    let mut files: Vec<String> = project
        .files()
        .keys()
        .map(|name| name.display().to_string())
        .collect();
    files.retain(|name| name != "a.c" && name != "a.o");
    if !output.stdout.is_empty() {
        files.push("standard output".into());
    }
    (output.status.success() && project.path.join("a.o").exists()).then_some(files)
}

/// The options among `flags` that do more than make an object, with what they do.
fn surprising(compiler: &str, flags: &[String]) -> Vec<String> {
    match surprises(compiler, flags) {
        Some(files) if files.is_empty() => Vec::new(),
        // One of the options is for other sources, or does not go with another one.
        None if flags.len() == 1 => Vec::new(),
        Some(files) if flags.len() == 1 => vec![format!("{compiler} {}: {files:?}", flags[0])],
        _ => {
            let (first, second) = flags.split_at(flags.len() / 2);
            [surprising(compiler, first), surprising(compiler, second)].concat()
        }
    }
}

#[test]
fn options_that_are_distributed_make_an_object_and_nothing_else() {
    let groups = ["common", "optimizers", "c", "c++", "objc"];
    let of_gcc = groups.map(|group| listed(&format!("gcc --help={group}")));
    let mut batches: Vec<(&str, Vec<String>)> = Vec::new();
    for (compiler, mut flags) in [("gcc", of_gcc.concat()), ("clang", listed("clang --help"))] {
        flags.sort();
        flags.dedup();
        // Warnings and machines write no files, nor does what is switched off. Options that lack
        // their value are no options.
        flags.retain(|flag| {
            let is_flag = ["-f", "-g", "-d", "-s", "-t", "-p", "-e", "-n", "-r", "-Q"]
                .iter()
                .any(|start| flag.starts_with(start));
            let is_off = flag.starts_with("-fno-");
            let command = words(&format!("gcc -c a.c -o a.o {flag}"));
            let Plan::Distribute(command) = command::plan(&command) else {
                return false;
            };
            is_flag && !is_off && !flag.ends_with('=') && command.local_option().is_none()
        });
        assert!(flags.len() > 150, "{compiler}: {}", flags.len());
        batches.extend(flags.chunks(16).map(|flags| (compiler, flags.to_vec())));
    }
    let found = on_threads(&batches, |(compiler, flags)| surprising(compiler, flags));
    let found = found.concat();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
