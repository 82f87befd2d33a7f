//! `-march=native` and `-mtune=native`: the machine that a compiler means by them, in words that
//! mean the same on every machine.
//!
//! Only the compiler knows. Asked with `-###` it says which inner command it would run, and there
//! the words are spelled out:
//!
//! - **gcc** puts all that it knows of the machine (`-march=znver3 -mmmx ... --param
//!   l1-cache-size=32 ... -mtune=znver3`) in front of the command's own options, wherever `native`
//!   stood. So that is what we do.
//! - **clang** names the processor (`-target-cpu`, `-tune-cpu`), and each feature that it has or
//!   lacks (`-target-feature`), the command's own ones behind them. Not for every feature there is
//!   a `-m` option, so they are handed to the inner compiler once more as they are, the command's
//!   own ones included; the processor takes the place of `native`.
//!
//! Whether that is right is not left to what these versions do: the compiler is asked a second
//! time, with the new words, and has to give the same answer ([`Question::confirms`]).
//! `-mcpu=native` stays here: on x86, where this was tried, gcc warns of it and clang ignores it.

mod inner;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::{option, options};
use inner::{Inner, without_params};

/// Whether words of `argv` ask for this machine.
#[must_use]
pub fn asks_for_this_machine(argv: &[OsString]) -> bool {
    argv.iter().any(is_native)
}

/// `argv` without them: what else there is to say of the command does not depend on the machine.
#[must_use]
pub fn without_this_machine(argv: &[OsString]) -> Vec<OsString> {
    let kept = argv.iter().filter(|word| !is_native(word));
    kept.cloned().collect()
}

fn is_native(word: &OsString) -> bool {
    word == "-march=native" || word == "-mtune=native"
}

/// A question to the compiler of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is to be run; the answer is on standard error.
    pub argv: Vec<OsString>,
}

/// The words that say `native`, spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// In front of the first option (gcc), or behind the last (clang).
    words: Vec<OsString>,
    /// For clang: the words in the place of `-march=native` and `-mtune=native`.
    replacements: Option<[OsString; 2]>,
}

impl Question {
    /// What a compiler has to be asked for a command.
    #[must_use]
    pub fn new(argv: &[OsString]) -> Self {
        let mut asked = argv[..first_option(argv)].to_vec();
        let is_value = option::values(argv);
        for index in asked.len()..argv.len() {
            let option = match is_value[index] {
                true => &argv[index - 1],
                false => &argv[index],
            };
            if names_machine(option.as_bytes()) {
                asked.push(argv[index].clone());
            }
        }
        let job = ["-###", "-x", "c", "-c", "/dev/null", "-o", "/dev/null"];
        asked.extend(job.map(OsString::from));
        Self { argv: asked }
    }

    /// What the answer says of the machine; `None` if it cannot be read.
    #[must_use]
    pub fn answered(&self, answer: &[u8]) -> Option<Machine> {
        let inner = Inner::read(answer)?;
        if !inner.is_clang {
            return Some(Machine {
                words: inner.gcc_machine()?.to_vec(),
                replacements: None,
            });
        }
        let march = inner.last_value("-target-cpu")?;
        let tune = inner.last_value("-tune-cpu");
        let asks = |word: &str| self.argv.iter().any(|asked| asked == word);
        let features = match asks("-march=native") {
            true => inner.features(),
            false => Vec::new(),
        };
        // 3.4 would take `-xop` for a language. For these few there is a `-m` option.
        let (misread, features): (Vec<_>, Vec<_>) = features
            .into_iter()
            .partition(|feature| feature.as_bytes().starts_with(b"-x"));
        let misread = misread
            .iter()
            .map(|feature| OsString::from_vec([b"-mno-", &feature.as_bytes()[1..]].concat()));
        let words = features.into_iter().flat_map(|feature| {
            [
                "-Xclang".into(),
                "-target-feature".into(),
                "-Xclang".into(),
                feature,
            ]
        });
        let option = |name: &str, value: &OsString| {
            let mut word = OsString::from(name);
            word.push(value);
            word
        };
        Some(Machine {
            words: misread.chain(words).collect(),
            replacements: Some([
                option("-march=", &march),
                option("-mtune=", tune.as_ref().unwrap_or(&march)),
            ]),
        })
    }

    /// The question whose answer [`Self::confirms`] what was made of this one's.
    #[must_use]
    pub fn again(&self, machine: &Machine) -> Self {
        Self {
            argv: machine.said_in(&self.argv),
        }
    }

    /// Whether the compiler understands the new words as it understood `native`.
    #[must_use]
    pub fn confirms(machine: &Machine, answer: &[u8], second_answer: &[u8]) -> bool {
        let (Some(first), Some(second)) = (Inner::read(answer), Inner::read(second_answer)) else {
            return false;
        };
        if machine.replacements.is_some() {
            let same = |name: &str| first.last_value(name) == second.last_value(name);
            return same("-target-cpu")
                && same("-tune-cpu")
                && first.feature_states() == second.feature_states()
                && first.others() == second.others();
        }
        let without = |inner: &Inner, machine: &[OsString]| {
            let (words, mut params) = without_params(&inner.words);
            let mut places = words.windows(machine.len());
            let at = places.position(|part| part == machine)?;
            params.sort();
            let rest = [&words[..at], &words[at + machine.len()..]].concat();
            Some((params, rest))
        };
        let (machine, _) = without_params(&machine.words);
        let first = without(&first, &machine);
        let Some((_, rest)) = &first else {
            return false;
        };
        // gcc forgets an option that is said again later.
        let pruned: Vec<OsString> = machine
            .into_iter()
            .filter(|word| !is_said_again(word, rest))
            .collect();
        first == without(&second, &pruned)
    }
}

impl Machine {
    /// The option by which an object would tell in which words this machine was described: gcc
    /// puts `--param` behind all `-m` options of a command, and in the middle of its own, and it
    /// forgets of a command's options the ones that are said again later, and of its own ones
    /// none. Such an object would not be the same as one made here.
    #[must_use]
    pub fn noted_by<'a>(&self, argv: &'a [OsString]) -> Option<&'a OsStr> {
        let is_moved = |word: &OsString| word == "--param" || is_said_again(word, argv);
        if self.replacements.is_some() || !self.words.iter().any(is_moved) {
            return None;
        }
        let is_said = |word: &str| argv.iter().any(|said| said == word);
        let notes = |word: &&OsString| match word.as_bytes() {
            b"-g0" | b"-gno-record-gcc-switches" => false,
            [b'-', b'g', ..] => !is_said("-gno-record-gcc-switches"),
            word => [&b"-flto"[..], b"-frecord-gcc-switches", b"-fverbose-asm"]
                .iter()
                .any(|option| word.starts_with(option)),
        };
        argv.iter().find(notes).map(OsString::as_os_str)
    }

    /// `argv` with its words for this machine spelled out.
    #[must_use]
    pub fn said_in(&self, argv: &[OsString]) -> Vec<OsString> {
        let Some([march, mtune]) = &self.replacements else {
            let mut said = without_this_machine(argv);
            let first = first_option(&said);
            said.splice(first..first, self.words.iter().cloned());
            return said;
        };
        let said = |word: &OsString| match word.as_bytes() {
            b"-march=native" => march.clone(),
            b"-mtune=native" => mtune.clone(),
            _ => word.clone(),
        };
        let mut argv: Vec<OsString> = argv.iter().map(said).collect();
        option::append(&mut argv, self.words.iter().cloned());
        argv
    }

    /// All its words as one text, for [`Self::from_text`].
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let replacements = self.replacements.iter().flatten();
        let mut text = format!("{}\n", replacements.clone().count()).into_bytes();
        for word in replacements.chain(&self.words) {
            text.extend(word.as_bytes());
            text.push(b'\n');
        }
        text
    }

    /// What [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let lines = text.strip_suffix(b"\n")?.split(|&byte| byte == b'\n');
        let mut lines = lines.map(|line| OsString::from_vec(line.to_vec()));
        let replacements = match lines.next()?.as_bytes() {
            b"2" => Some([lines.next()?, lines.next()?]),
            b"0" => None,
            _ => return None,
        };
        Some(Self {
            words: lines.collect(),
            replacements,
        })
    }
}

/// Where the names of compiler and launchers end.
fn first_option(argv: &[OsString]) -> usize {
    let mut words = argv.iter();
    words
        .position(|word| word.as_bytes().starts_with(b"-"))
        .unwrap_or(argv.len())
        .max(1)
}

/// Whether an option says something of the machine, or is one that has to be told before others
/// of them are understood.
fn names_machine(option: &[u8]) -> bool {
    option == b"-target"
        || option.starts_with(b"--target")
        || option.starts_with(b"-m")
            && options::find(option).is_some_and(|entry| entry.name != "-mllvm")
}

/// Whether one of `later` says the same as a `-m` option, or the opposite.
fn is_said_again(word: &OsString, later: &[OsString]) -> bool {
    let bytes = word.as_bytes();
    let opposite = match (bytes.strip_prefix(b"-mno-"), bytes.strip_prefix(b"-m")) {
        (Some(name), _) => [b"-m", name].concat(),
        (None, Some(name)) => [b"-mno-", name].concat(),
        (None, None) => return false,
    };
    later
        .iter()
        .any(|said| said == word || said.as_bytes() == opposite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    const GCC: &str = "Using built-in specs.\n /usr/lib/gcc/x/12/cc1 -quiet -imultiarch x /dev/null \
        \"-march=znver3\" -mmmx -mno-fma4 --param \"l1-cache-size=32\" \"-mtune=znver3\" -quiet \
        -dumpbase null -mno-avx2 -o /tmp/ccA.s\n as -o x\n";

    #[test]
    fn gcc_says_its_machine_first() {
        let command = argv("ccache gcc -O2 -mno-avx2 -march=native -c a.c");
        let question = Question::new(&command);
        assert_eq!(
            question.argv,
            argv("ccache gcc -mno-avx2 -march=native -### -x c -c /dev/null -o /dev/null")
        );
        let machine = question.answered(GCC.as_bytes()).unwrap();
        let words = "-march=znver3 -mmmx -mno-fma4 --param l1-cache-size=32 -mtune=znver3";
        assert_eq!(
            machine.said_in(&command),
            argv(&format!("ccache gcc {words} -O2 -mno-avx2 -c a.c"))
        );
        let second = " /usr/lib/gcc/x/12/cc1 -quiet -imultiarch x /dev/null -quiet -dumpbase null \
            -march=znver3 -mmmx -mno-fma4 -mtune=znver3 -mno-avx2 --param=l1-cache-size=32 \
            -o /tmp/ccB.s\n";
        let confirms =
            |second: &str| Question::confirms(&machine, GCC.as_bytes(), second.as_bytes());
        assert!(confirms(second));
        assert!(!confirms(&second.replace("-mmmx", "-mno-mmx")));
        assert!(!confirms(&second.replace("-mno-avx2", "-mavx2")));
        assert!(!confirms(&second.replace("-mno-fma4", "")));
        assert!(!confirms(&second.replace("=32", "=64")));
        assert!(!confirms("gcc: error: unrecognized command-line option\n"));
    }

    #[test]
    fn gcc_forgets_what_is_said_again() {
        let question = Question::new(&argv("gcc -march=native -mno-mmx"));
        let first = GCC.replace("-mno-avx2", "-mno-mmx");
        let machine = question.answered(first.as_bytes()).unwrap();
        let second = " /usr/lib/gcc/x/12/cc1 -quiet -imultiarch x /dev/null -quiet -dumpbase null \
            -march=znver3 -mno-fma4 -mtune=znver3 -mno-mmx --param=l1-cache-size=32 -o /tmp/ccB.s\n";
        assert!(Question::confirms(
            &machine,
            first.as_bytes(),
            second.as_bytes()
        ));
    }

    #[test]
    fn an_object_may_tell_the_order_of_words() {
        let question = Question::new(&argv("gcc -march=native"));
        let noted = |answer: &str, command: &str| {
            let machine = question.answered(answer.as_bytes()).unwrap();
            let command = argv(command);
            machine.noted_by(&command).map(OsStr::to_owned)
        };
        assert_eq!(noted(GCC, "gcc -O2 -c a.c"), None);
        assert_eq!(noted(GCC, "gcc -O2 -g0"), None);
        assert_eq!(noted(GCC, "gcc -g -gno-record-gcc-switches"), None);
        assert_eq!(noted(GCC, "gcc -O2 -ggdb3"), Some("-ggdb3".into()));
        assert_eq!(noted(GCC, "gcc -flto=auto"), Some("-flto=auto".into()));
        assert_eq!(noted(CLANG, "clang -g"), None);
        assert_eq!(
            noted(&GCC.replace("--param \"l1-cache-size=32\"", ""), "gcc -g"),
            None
        );
    }

    const CLANG: &str = " \"/x/clang\" \"-cc1\" \"-triple\" \"x\" \"-target-cpu\" \"znver3\" \
        \"-target-feature\" \"+64bit\" \"-target-feature\" \"-xop\" \"-target-feature\" \"-avx2\" \
        \"-mllvm\" \"-x\" \"-o\" \"/dev/null\"\n";

    #[test]
    fn clang_gets_its_features_once_more() {
        let command = argv("clang -march=native -mno-avx2 -c -- a.c");
        let question = Question::new(&command);
        let machine = question.answered(CLANG.as_bytes()).unwrap();
        let feature = |name| format!("-Xclang -target-feature -Xclang {name}");
        let features = ["+64bit", "-avx2"].map(feature).join(" ");
        assert_eq!(
            machine.said_in(&command),
            argv(&format!(
                "clang -march=znver3 -mno-avx2 -c -mno-xop {features} -- a.c"
            ))
        );
        let second = " \"/x/clang\" \"-cc1\" \"-triple\" \"x\" \"-target-cpu\" \"znver3\" \
            \"-target-feature\" \"-avx2\" \"-target-feature\" \"-xop\" \"-mllvm\" \"-x\" \
            \"-target-feature\" \"+64bit\" \"-target-feature\" \"-avx2\" \"-o\" \"/dev/null\"\n";
        let confirms =
            |second: &str| Question::confirms(&machine, CLANG.as_bytes(), second.as_bytes());
        assert!(confirms(second));
        assert!(!confirms(&second.replace("\"-xop\"", "\"+xop\"")));
        assert!(!confirms(&second.replace("znver3", "znver2")));
        assert!(!confirms(&second.replace("\"-mllvm\"", "\"-mllvm2\"")));
    }

    #[test]
    fn an_answer_that_is_none_says_nothing() {
        let question = Question::new(&argv("gcc -march=native -c a.c"));
        for answer in [
            "",
            "gcc: fatal error\n",
            " x/cc1 -quiet /dev/null -quiet\n",
            " x/cc1 a.c\n",
        ] {
            assert_eq!(question.answered(answer.as_bytes()), None, "{answer}");
        }
    }

    #[test]
    fn a_machine_is_what_was_written_of_it() {
        for (command, answer) in [("gcc -march=native", GCC), ("clang -march=native", CLANG)] {
            let question = Question::new(&argv(command));
            let machine = question.answered(answer.as_bytes()).unwrap();
            assert_eq!(Machine::from_text(&machine.to_text()), Some(machine));
        }
        assert_eq!(Machine::from_text(b""), None);
        assert_eq!(Machine::from_text(b"7\n"), None);
    }

    #[test]
    fn words_that_ask_for_this_machine_are_found() {
        assert!(asks_for_this_machine(&argv("gcc -mtune=native")));
        assert!(!asks_for_this_machine(&argv(
            "gcc -march=x86-64 -mcpu=native"
        )));
        assert_eq!(
            without_this_machine(&argv("gcc -march=native -c")),
            argv("gcc -c")
        );
    }
}
