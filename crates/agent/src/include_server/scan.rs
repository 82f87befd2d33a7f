//! What a source file's text says that the compiler's own list of files leaves out.
//!
//! gcc lists the files it entered. It leaves out files that `__has_include` only asked for,
//! second names of a file marked `#pragma once`, files that the assembler reads, and others.
//! This looks for the words that can have such an effect, without evaluating anything: comments
//! and skipped groups count as if they were obeyed. A word found needlessly costs a look-up or
//! a refusal; a word missed would make a remote compile differ from the local one.
//!
//! Pure: bytes in, [`Facts`] out. [`has_include`] has the questions for files, [`text`] finds
//! words.
//!
//! Source: experiments with gcc 12 and clang 14; each case is a test.

mod has_include;
mod text;

use std::fmt;

use command::assembler_text::reads_files;

pub(crate) use has_include::{Asked, asked_through};
use has_include::{asked_by_operator, is_only_named};
use text::{ends_as_directive, find, may_be_directive, splice, trim_start, words};

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// What `__has_include` and `__has_include_next` ask for.
    pub(crate) asked: Asked,
    /// Operands of `#include`, `#include_next` and `#import`, where they are literal.
    pub(crate) included: Vec<Name>,
    /// Things whose effect cannot be told from the text.
    pub(crate) blockers: Vec<Blocker>,
    /// `#pragma once` or `#import`: gcc may pass over other names of the same file.
    pub(crate) once: bool,
    /// `#pragma GCC system_header`: gcc may list what is included from here by shorter names.
    pub(crate) system_header: bool,
}

/// A header's name as directives spell it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    /// `"name"`, not `<name>`: the folder of the file that says it is searched first.
    pub(crate) quoted: bool,
    /// The search starts behind the folder where the current file was found.
    pub(crate) next: bool,
    /// The bytes between the quotes.
    pub(crate) text: Vec<u8>,
}

/// Something that keeps a file's compile from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocker {
    /// `__has_include` of something that is no literal.
    ComputedHasInclude,
    /// `#embed` or `__has_embed`: the compiler reads files that it may not list.
    Embed,
    /// `.incbin` or `.include`: the assembler reads files, which nobody lists.
    Assembler,
    /// `__TIMESTAMP__`, the time of change of a file, which does not travel; `__DATE__` and `__TIME__`, which follow the
    /// clock, `TZ` and `SOURCE_DATE_EPOCH` of where it is preprocessed.
    Time,
    /// `#pragma GCC dependency`: compares times of change.
    Dependency,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ComputedHasInclude => "__has_include without a literal name",
            Self::Embed => "#embed",
            Self::Assembler => ".incbin or .include",
            Self::Time => "__DATE__, __TIME__ or __TIMESTAMP__",
            Self::Dependency => "#pragma GCC dependency",
        })
    }
}

/// Looks through a file's text.
pub(crate) fn scan(content: &[u8]) -> Facts {
    let text = &*splice(content);
    let mut facts = Facts::default();
    let mut block = |found: bool, blocker| {
        if found {
            facts.blockers.push(blocker);
        }
    };
    block(asks_for_embed(text), Blocker::Embed);
    block(reads_files(text), Blocker::Assembler);
    let times = [&b"__TIMESTAMP__"[..], b"__DATE__", b"__TIME__"];
    let asks_for_time = times.iter().any(|name| find(text, name).is_some());
    block(asks_for_time, Blocker::Time);
    block(
        words(text, b"dependency")
            .any(|at| find(at.before, b"GCC").is_some() && says_pragma(at.before)),
        Blocker::Dependency,
    );
    facts.asked = asked_by_operator(text);
    block(facts.asked.is_computed, Blocker::ComputedHasInclude);
    facts.included = included(text);
    facts.once = words(text, b"once").any(|at| says_pragma(at.before))
        || words(text, b"import").any(|at| ends_as_directive(at.before));
    facts.system_header = find(text, b"system_header").is_some();
    facts
}

/// `"name"` or `<name>` at the start of `operand`.
fn literal(operand: &[u8], next: bool) -> Option<Name> {
    let (&open, rest) = operand.split_first()?;
    let close = match open {
        b'"' => b'"',
        b'<' => b'>',
        _ => return None,
    };
    let len = rest.iter().position(|&byte| byte == close)?;
    Some(Name {
        quoted: open == b'"',
        next,
        text: rest[..len].to_vec(),
    })
}

fn says_pragma(before: &[u8]) -> bool {
    find(before, b"pragma").is_some() || find(before, b"_Pragma").is_some()
}

fn included(text: &[u8]) -> Vec<Name> {
    let mut names = Vec::new();
    for (word, next) in [
        (&b"include"[..], false),
        (b"import", false),
        (b"include_next", true),
    ] {
        for at in words(text, word) {
            if ends_as_directive(at.before) {
                names.extend(literal(trim_start(at.after), next));
            }
        }
    }
    names
}

fn asks_for_embed(text: &[u8]) -> bool {
    words(text, b"embed").any(|at| ends_as_directive(at.before))
        || words(text, b"__has_embed")
            .any(|at| may_be_directive(at.before) && !is_only_named(at.before))
}

/// Names as they stand in directives.
#[cfg(test)]
fn spell(names: &[Name]) -> Vec<String> {
    names
        .iter()
        .map(|name| {
            let text = String::from_utf8_lossy(&name.text);
            match (name.next, name.quoted) {
                (false, true) => format!("\"{text}\""),
                (false, false) => format!("<{text}>"),
                (true, true) => format!("next \"{text}\""),
                (true, false) => format!("next <{text}>"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocker(text: &str) -> Option<Blocker> {
        let blockers = scan(text.as_bytes()).blockers;
        assert!(blockers.len() < 2, "{blockers:?}");
        blockers.first().copied()
    }

    #[test]
    fn computed_questions_for_files_block() {
        assert_eq!(
            blocker("#if __has_include(NAME)\n"),
            Some(Blocker::ComputedHasInclude)
        );
        let facts = scan(b"#if __has_include(<a>)\n#define HAS(x) __has_include(x)\n");
        assert_eq!(spell(&facts.asked.names), ["<a>"]);
        assert_eq!(facts.asked.macros, [b"HAS"]);
        assert_eq!(facts.blockers, []);
    }

    #[test]
    fn embedding_blocks() {
        for text in [
            "#embed <x>\n",
            " # /* */ embed \"x\"\n",
            "%:embed X\n",
            "#if __has_embed(\"x\")\n",
        ] {
            assert_eq!(blocker(text), Some(Blocker::Embed), "{text}");
        }
        assert_eq!(blocker("#ifdef __has_embed\n"), None);
        assert_eq!(blocker("void embed(int);\n"), None);
    }

    #[test]
    fn files_of_the_assembler_block() {
        for text in [
            "asm(\".incbin \\\"x\\\"\");",
            "asm(\"\\n.incbin\" NAME);",
            "asm(\".include \\\"x\\\"\");",
            "asm(\"foo:\\t.include \" NAME);",
            "asm(R\"(.include \"x\")\");",
            "__asm__(STR(.incbin) \"x\");",
        ] {
            assert_eq!(blocker(text), Some(Blocker::Assembler), "{text}");
        }
        for text in [
            "options.include = 1;",
            "options.include(\"x\");",
            "f().include \"\"",
            "struct s s = { .include = 5 };",
            "a.incbin",
            ".include_path",
        ] {
            assert_eq!(blocker(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_change_block() {
        for name in ["__TIMESTAMP__", "__DATE__", "__TIME__"] {
            let text = format!("char *t = {name};");
            assert_eq!(blocker(&text), Some(Blocker::Time), "{text}");
        }
        for text in [
            "#pragma GCC dependency \"x.y\"\n",
            "_Pragma(\"GCC dependency \\\"x.y\\\"\")\n",
        ] {
            assert_eq!(blocker(text), Some(Blocker::Dependency), "{text}");
        }
        assert_eq!(blocker("// a dependency of GCC\n"), None);
    }

    #[test]
    fn literal_includes_are_found() {
        let facts = scan(
            b"#include \"a.h\"\n # include<b>\n#import <c>\n#include_next <d>\n\
              #include MACRO\n#in\\\nclude/**/ \"e\" // f\n%:include <g>\nint include;\n/* \n*/ # include <h>\n",
        );
        assert_eq!(
            spell(&facts.included),
            ["\"a.h\"", "<b>", "\"e\"", "<g>", "<h>", "<c>", "next <d>"]
        );
    }

    #[test]
    fn once_marks_are_found() {
        for text in [
            "#pragma once\n",
            "# pragma\tonce",
            "_Pragma(\"once\")",
            "#import <x>\n",
        ] {
            assert!(scan(text.as_bytes()).once, "{text}");
        }
        assert!(!scan(b"int once; // at once\n").once);
        assert!(scan(b"#pragma GCC system_header\n").system_header);
    }

    proptest::proptest! {
        #[test]
        fn no_mixture_of_words_hides_a_question(
            parts in proptest::collection::vec(proptest::sample::select(&[
                "#", "%:", "??=", "define ", "if ", "defined ", "include", "_next", "__has_include",
                "__has_include(", "HAS", "(", ")", "\"", "<", ">", "x", " ", "\n", "\\\n", "??/\n",
                "\\", "?", "/*", "*/", "//", "embed", ".incbin", ".include", "pragma", "once", "...",
                "\u{e9}", "\r",
            ][..]), 0..40)
        ) {
            // No text hides a question in a line behind it.
            let text = parts.concat() + "\n#if __has_include(<probe>)\n";
            let names = spell(&scan(text.as_bytes()).asked.names);
            proptest::prop_assert!(names.contains(&"<probe>".to_owned()));
            asked_through(b"HAS", text.as_bytes());
        }
    }

    #[test]
    fn any_bytes_are_text() {
        let facts = scan(b"\xff\x00#include \"\xe9.h\"\r\n??/\\?\\");
        assert_eq!(facts.included[0].text, b"\xe9.h");
        assert_eq!(scan(b""), Facts::default());
    }
}
