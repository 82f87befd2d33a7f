//! Commands of random words: nothing panics, and the derived commands fit together.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use command::client::{expand_wp, lost_output, response_file};
use command::server::{client_dependencies, unsafe_option};
use command::{Compile, Plan, plan};
use proptest::prelude::*;

/// Words that mean something to some rule, alone, as an option or as a value.
const WORDS: &[&str] = &[
    "-c",
    "-S",
    "-E",
    "-o",
    "-ox.o",
    "-oy",
    "x.o",
    "y",
    "-",
    "--",
    "a.c",
    "/b/a.cc",
    "c.i",
    "-x",
    "-xc",
    "-xc++",
    "c",
    "c++",
    "objective-c",
    "-MD",
    "-MMD",
    "-MP",
    "-MG",
    "-MF",
    "-MFf",
    "-MT",
    "-MTt",
    "-MQ",
    "-MQt",
    "-I",
    "-I/i",
    "-iquote",
    "-include",
    "-include/h",
    "-D",
    "-DX",
    "-U",
    "-Xclang",
    "-Xpreprocessor",
    "-Wp,-MD,f",
    "-Wp,-DX",
    "-Wa,-x",
    "-l",
    "-L/l",
    "-isysroot",
    "--sysroot=/s",
    "--sysroot",
    "-iprefix",
    "-iwithprefix",
    "-iwithprefixbefore/x",
    "-dM",
    "-P",
    "-ffile-prefix-map=/a=/b",
    "-fmacro-prefix-map=/a=",
    "-fdebug-prefix-map=c=d",
    "-save-temps",
    "-gsplit-dwarf",
    "-aux-info",
    "-wrapper",
    "-B",
    "@x",
    "-O2",
    "-g",
    "",
];

fn word() -> impl Strategy<Value = OsString> {
    prop_oneof![
        12 => prop::sample::select(WORDS).prop_map(OsString::from),
        1 => prop::collection::vec(any::<u8>(), 0..6).prop_map(OsString::from_vec),
    ]
}

/// Any words behind a compiler, most often with a compile among them.
fn argv() -> impl Strategy<Value = Vec<OsString>> {
    let words = prop::collection::vec(word(), 0..9);
    (words, 0..4_usize, any::<prop::sample::Index>()).prop_map(|(mut words, kind, index)| {
        if kind > 0 {
            let at = index.index(words.len() + 1);
            words.splice(at..at, ["-c", "a.c"].map(OsString::from));
        }
        words.insert(0, "gcc".into());
        words
    })
}

fn planned(argv: &[OsString]) -> Option<Compile> {
    match plan(argv) {
        Plan::Distribute(compile) => Some(compile),
        Plan::Local(why) => {
            assert!(!why.to_string().is_empty());
            None
        }
    }
}

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn count(argv: &[OsString], word: &str) -> usize {
    argv.iter().filter(|&other| other == word).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_can_be_looked_at(argv in prop::collection::vec(word(), 0..9)) {
        let _ = (expand_wp(&argv), lost_output(&argv), response_file(&argv), unsafe_option(&argv));
        let _ = plan(&argv);
    }

    #[test]
    fn derived_commands_keep_the_compiler(argv in argv()) {
        if let Some(compile) = planned(&argv) {
            let _ = (compile.dependencies(Some(os("e t"))), compile.input_is_preprocessed());
            for derived in [
                compile.argv().to_vec(),
                compile.preprocess_command(),
                compile.stripped_command(),
                compile.closure_command(os("d")),
                compile.closure_command_with_missing(os("d")),
                compile.source_command(os("i"), os("o")),
                compile.tree_command(os("/r"), os("o"), os("d")),
            ] {
                prop_assert_eq!(&derived[0], "gcc");
            }
        }
    }

    /// A server plans what a client sends by the same rules.
    #[test]
    fn servers_accept_what_clients_send(argv in argv()) {
        if let Some(compile) = planned(&argv) {
            for sent in [compile.argv().to_vec(), compile.stripped_command()] {
                let received = planned(&sent);
                let received = received.as_ref().map(|compile| (compile.input(), compile.output()));
                prop_assert_eq!(received, Some((compile.input(), compile.output())), "{:?}", sent);
            }
        }
    }

    #[test]
    fn commands_of_a_server_name_its_own_files(argv in argv()) {
        if let Some(compile) = planned(&argv) {
            let source = planned(&compile.source_command(os("copy.c"), os("out.o")));
            let source = source.as_ref().map(|compile| (compile.input(), compile.output()));
            prop_assert_eq!(source, Some((os("copy.c"), os("out.o"))));

            let command = compile.tree_command(os("/r"), os("out.o"), os("the deps"));
            prop_assert_eq!(count(&command, "the deps"), 1);
            let tree = planned(&command).expect("only file names changed");
            prop_assert_eq!(tree.output(), "out.o");
            let dependencies = tree.dependencies(None).expect("they are always written");
            prop_assert_eq!(dependencies.file, "the deps");
            prop_assert_eq!(dependencies.missing_target, None);
        }
    }

    #[test]
    fn preprocessor_runs_compile_nothing(argv in argv()) {
        if let Some(compile) = planned(&argv) {
            for command in [compile.preprocess_command(), compile.closure_command(os("d"))] {
                prop_assert_eq!(plan(&command), Plan::Local(command::WhyLocal::Preprocess));
            }
        }
    }

    #[test]
    fn any_dependency_file_can_be_rewritten(deps: Vec<u8>, root in "/[ -~]{0,4}") {
        let found = client_dependencies(&deps, os(&root));
        prop_assert!(found.len() <= deps.len() * 2 + 4);
    }
}
