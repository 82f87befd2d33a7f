//! Where the two clients differ on purpose.

use crate::observe::{Mode, Seen, Sent};

/// A difference: its line in `docs/differences.md` begins with `row`, and `mend` makes of what
/// 3.4 did what is due of ours. It is given what ours did, for the reason that is in it, and
/// changes nothing where the difference is not meant.
pub(crate) struct Difference {
    pub(crate) row: &'static str,
    /// Where it is one.
    pub(crate) modes: &'static [Mode],
    pub(crate) mend: fn(&Seen, &Seen) -> Seen,
}

const BOTH: &[Mode] = &[Mode::Plain, Mode::Pump];

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        row: "`-gsplit-dwarf`, `-save-temps`, `-fdump-...`, `-fstack-usage` and other options with \
              further output files, or with none",
        modes: BOTH,
        mend: |theirs, ours| {
            stays(
                theirs,
                ours,
                &["writes a file that servers", "asks for no object"],
            )
        },
    },
    Difference {
        row: "`-fprofile-instr-use=`, `-fsanitize-ignorelist=`, `-include-pch` alone, `-fmodule-file=` \
              and other options that read a further file",
        modes: BOTH,
        mend: |theirs, ours| stays(theirs, ours, &["reads what is not sent"]),
    },
    Difference {
        row: "`gcc -c a.c -o a.c`",
        modes: BOTH,
        mend: |theirs, ours| stays(theirs, ours, &["output has the name of the source"]),
    },
    Difference {
        row: "`-fplugin=`, `-specs=my.specs`, `-wrapper`, `--config` and other options that run code",
        modes: BOTH,
        mend: |theirs, ours| stays(theirs, ours, &["runs code"]),
    },
    Difference {
        row: "`-B`, `--prefix=`, `--gcc-toolchain=`, newlib's `nano.specs`, `nosys.specs`, `rdimon.specs`",
        modes: BOTH,
        mend: |theirs, ours| {
            let chooses_tools = |word: &String| {
                [
                    "-B",
                    "--prefix=",
                    "--gcc-toolchain=",
                    "-gcc-toolchain",
                    "--specs=",
                ]
                .iter()
                .any(|start| word.starts_with(start))
            };
            match (&theirs.sent, &ours.sent) {
                // Ours goes in plain mode then.
                (Some(sent), Some(_)) if sent.argv.iter().any(chooses_tools) => ours.clone(),
                _ => theirs.clone(),
            }
        },
    },
    Difference {
        row: "clang's precompiled header as CMake has it",
        modes: BOTH,
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let found = argv.windows(4).position(|words| {
                    let text = words[3].strip_suffix(".pch");
                    words[1] == "-include-pch"
                        && text.is_some_and(|text| argv.iter().any(|word| word == text))
                });
                found.map_or(argv.to_vec(), |at| [&argv[..at], &argv[at + 4..]].concat())
            })
        },
    },
    Difference {
        row: "`-Xclang -include`, pump mode",
        modes: &[Mode::Pump],
        mend: |theirs, ours| {
            let is_said = |words: &[String]| words[0] == "-Xclang" && words[1] == "-include";
            match (&theirs.sent, &ours.sent) {
                // Ours goes in plain mode then.
                (Some(sent), Some(_)) if sent.argv.windows(2).any(is_said) => ours.clone(),
                _ => theirs.clone(),
            }
        },
    },
    Difference {
        row: "gcc with `-Wp,-MD,FILE`, pump mode",
        modes: &[Mode::Pump],
        mend: |theirs, ours| match (&theirs.sent, ours.sent.as_ref().map(|sent| &*sent.argv)) {
            (Some(sent), Some([.., option, target])) if option == "-MQ" => {
                let source = sent.input.rsplit('/').next().unwrap();
                let object = source.replace(".c", ".o");
                reworded(theirs, |argv| match argv {
                    [said @ .., option, _] if option == "-MT" && object == *target => {
                        [said, &["-MQ".into(), object]].concat()
                    }
                    _ => argv.to_vec(),
                })
            }
            _ => theirs.clone(),
        },
    },
    Difference {
        row: "`-fcoverage-mapping`, `-gembed-source`, `-gmodules`, `-ObjC`, `-arch`, \
              `-frecord-command-line`, offloading",
        modes: BOTH,
        mend: |theirs, ours| stays(theirs, ours, &["means something else on servers"]),
    },
    Difference {
        row: "options that neither gcc 12 nor clang 14 has, but for those that begin with `-f`, \
              `-m`, `-W`, `-O`, `-g`",
        modes: BOTH,
        mend: |theirs, ours| stays(theirs, ours, &["is not known"]),
    },
    Difference {
        row: "`-c a.c foo.o`, `-include a.c` as only source, values that look like options, \
              options without their value, `-mcpu=native`",
        modes: BOTH,
        mend: |theirs, ours| {
            let reasons = [
                "without -o",
                "no visible input file",
                "looks like an option",
                "without a value",
                "-mcpu=native belongs to this machine",
            ];
            stays(theirs, ours, &reasons)
        },
    },
    Difference {
        row: "`-Wp,-MD` without a file name",
        modes: BOTH,
        mend: |theirs, ours| stays(theirs, ours, &["-Wp names no dependency file"]),
    },
    Difference {
        row: "`-xc++` in one word",
        modes: BOTH,
        mend: |theirs, ours| match (&theirs.sent, &ours.sent) {
            (None, Some(sent)) if sent.argv.iter().any(|word| word == "-x") => ours.clone(),
            _ => reworded(theirs, |argv| {
                let words = argv.iter().flat_map(|word| match word.strip_prefix("-x") {
                    Some(language) if !language.is_empty() => vec!["-x".into(), language.into()],
                    _ => vec![word.clone()],
                });
                words.collect()
            }),
        },
    },
    Difference {
        row: "`-x` behind the source, plain mode",
        modes: &[Mode::Plain],
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let said = |words: &[String]| words[0] == "-x" && words[1].starts_with('c');
                let source = argv.iter().position(|word| word.contains(".c"));
                let late = argv
                    .windows(2)
                    .position(said)
                    .filter(|&at| Some(at) > source);
                late.map_or(argv.to_vec(), |at| [&argv[..at], &argv[at + 2..]].concat())
            })
        },
    },
    Difference {
        row: "`clang++ -c a.c`, plain mode",
        modes: &[Mode::Plain],
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let source = argv.iter().position(|word| word == "a.c");
                match source.filter(|_| argv[0].starts_with("clang++")) {
                    Some(at) => {
                        let language = ["-x".into(), "c++-cpp-output".into()];
                        [&argv[..at], &language, &argv[at..]].concat()
                    }
                    None => argv.to_vec(),
                }
            })
        },
    },
    Difference {
        row: "`-x c` with preprocessed text",
        modes: &[Mode::Plain],
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let mut argv = argv.to_vec();
                for at in 1..argv.len() {
                    if argv[at - 1] == "-x" {
                        argv[at] = match argv[at].as_str() {
                            "c" => "cpp-output".into(),
                            language @ ("c++" | "objective-c" | "objective-c++") => {
                                format!("{language}-cpp-output")
                            }
                            other => other.into(),
                        };
                    }
                }
                argv
            })
        },
    },
    Difference {
        row: "`gcc` sent as `x86_64-linux-gnu-gcc`",
        modes: BOTH,
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let mut argv = argv.to_vec();
                // The stand-ins of this name are two programs.
                if argv[0] == "x86_64-linux-gnu-gcc-7" {
                    argv[0] = "gcc-7".into();
                }
                argv
            })
        },
    },
    Difference {
        row: "`clang --target=X`",
        modes: BOTH,
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let added = argv.iter().position(|word| word == "-target");
                let is_said = argv.iter().any(|word| word.starts_with("--target="));
                match added.filter(|_| is_said) {
                    Some(at) => [&argv[..at], &argv[at + 2..]].concat(),
                    None => argv.to_vec(),
                }
            })
        },
    },
    Difference {
        row: "`gcc -c -- a.c` without `-o`",
        modes: BOTH,
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let end = argv.iter().position(|word| word == "--");
                end.map_or(argv.to_vec(), |end| {
                    let (name, added) = (&argv[end..end + 2], &argv[end + 2..]);
                    [&argv[..end], added, name].concat()
                })
            })
        },
    },
    Difference {
        row: "`-finput-charset=`, plain mode",
        modes: &[Mode::Plain],
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let words = argv
                    .iter()
                    .filter(|word| !word.starts_with("-finput-charset="));
                words.cloned().collect()
            })
        },
    },
    Difference {
        row: "`clang -g`, plain mode",
        modes: &[Mode::Plain],
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let is_said = |start: &str| argv.iter().any(|word| word.starts_with(start));
                let added = ["-Xclang", "-fdebug-compilation-dir", "-Xclang", "@HERE@"];
                let needs_it = argv[0].contains("clang")
                    && argv
                        .iter()
                        .any(|word| word.starts_with("-g") && word != "-g0")
                    && !is_said("-fdebug-compilation-dir");
                let added = added.map(String::from);
                [argv, if needs_it { &added } else { &[] }].concat()
            })
        },
    },
    Difference {
        row: "words for the preprocessor and the linker that 3.4 leaves in the command it sends \
              (`-iquote`, `-A`, `-C`, `-F`, `-nostdlibinc`, `-z`, `-u`, `-T`, for clang \
              `-fmacro-prefix-map=`, and others), plain mode",
        modes: &[Mode::Plain],
        mend: |theirs, _| reworded(theirs, without_what_servers_do_not_need),
    },
    Difference {
        row: "`-Xpreprocessor`, `-Xlinker`, `-Xclang` with a word that 3.4 leaves out, and \
              `-isystem-after X`, `-stdlib++-isystem X`, plain mode",
        modes: &[Mode::Plain],
        mend: |theirs, ours| {
            let Some(sent) = &ours.sent else {
                return theirs.clone();
            };
            let is_left_over = |word: &String| {
                let carriers = ["-Xpreprocessor", "-Xlinker", "-Xclang"];
                let is_value = !word.starts_with('-') || carriers.contains(&word.as_str());
                is_value && !sent.argv.contains(word)
            };
            reworded(theirs, |argv| {
                let words = argv[1..].iter().filter(|word| !is_left_over(word));
                std::iter::once(&argv[0]).chain(words).cloned().collect()
            })
        },
    },
    Difference {
        row: "`-MT` or `-MQ` with its value in the same word, and `-MF`, `-MG`, `-MP` without \
              `-MD`, pump mode",
        modes: &[Mode::Pump],
        mend: |theirs, _| {
            reworded(theirs, |argv| {
                let is_said = |start: &str| argv.iter().any(|word| word.starts_with(start));
                let has_target = argv
                    .iter()
                    .any(|word| word.starts_with("-MT") && word != "-MT");
                let needs_target = !has_target && (is_said("-MD") || is_said("-MMD"));
                match argv {
                    [said @ .., option, _] if option == "-MT" && !needs_target => said.to_vec(),
                    _ => argv.to_vec(),
                }
            })
        },
    },
];

/// The signal of a program that has lost its way.
const SEGV: i32 = 11;

/// Ours is not sent, for one of these reasons.
fn stays(theirs: &Seen, ours: &Seen, reasons: &[&str]) -> Seen {
    // What 3.4 does not know it sends, or it dies of it.
    let is_misread = theirs.sent.is_some() || theirs.exit_code == 128 + SEGV;
    let is_meant = ours
        .local
        .as_ref()
        .is_some_and(|local| is_misread && reasons.iter().any(|reason| local.0.contains(reason)));
    match is_meant {
        true => ours.clone(),
        false => theirs.clone(),
    }
}

/// The same sent with other words.
fn reworded(theirs: &Seen, reword: impl FnOnce(&[String]) -> Vec<String>) -> Seen {
    let mut mended = theirs.clone();
    if let Some(Sent { argv, .. }) = &mut mended.sent {
        *argv = reword(argv);
    }
    mended
}

fn without_what_servers_do_not_need(argv: &[String]) -> Vec<String> {
    const WITH_NEXT: &[&str] = &[
        "-iquote",
        "-F",
        "-iframework",
        "-A",
        "-u",
        "-e",
        "-z",
        "-T",
        "-framework",
        "-cxx-isystem",
        "-iwithsysroot",
    ];
    const ALONE: &[&str] = &["-C", "-CC", "-nobuiltininc", "-nostdlibinc"];
    const STARTS: &[&str] = &["-iquote", "-idirafter", "-include", "-imacros", "-A"];
    let is_clang = argv[0].contains("clang");
    let mut words = argv[1..].iter();
    let mut kept = vec![argv[0].clone()];
    while let Some(word) = words.next() {
        if WITH_NEXT.contains(&word.as_str()) {
            words.next();
        } else if ALONE.contains(&word.as_str())
            || STARTS.iter().any(|start| word.starts_with(start)) && word != "-include-pch"
            || is_clang && word.starts_with("-fmacro-prefix-map=")
        {
        } else {
            kept.push(word.clone());
        }
    }
    kept
}
