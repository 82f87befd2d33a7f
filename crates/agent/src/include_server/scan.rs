//! What a source file's text says that the compiler's own list of files leaves out.
//!
//! gcc lists the files it entered. It leaves out files that `__has_include` only asked for,
//! second names of a file marked `#pragma once`, files that the assembler reads, and others.
//! This looks for the words that can have such an effect, without evaluating anything: comments
//! and skipped groups count as if they were obeyed. A word found needlessly costs a look-up or
//! a refusal; a word missed would make a remote compile differ from the local one.
//!
//! Pure: bytes in, [`Facts`] out.
//!
//! Source: experiments with gcc 12 and clang 14; each case is a test below.

use std::borrow::Cow;
use std::fmt;

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Operands of `__has_include` and `__has_include_next`.
    pub(crate) asked: Vec<Name>,
    /// Operands of `#include`, `#include_next` and `#import`, where they are literal.
    pub(crate) included: Vec<Name>,
    /// The first thing whose effect cannot be told from the text.
    pub(crate) blocker: Option<Blocker>,
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
    /// `__TIMESTAMP__`: the time of change of a file, which does not travel.
    Timestamp,
    /// `#pragma GCC dependency`: compares times of change.
    Dependency,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ComputedHasInclude => "__has_include without a literal name",
            Self::Embed => "#embed",
            Self::Assembler => ".incbin or .include",
            Self::Timestamp => "__TIMESTAMP__",
            Self::Dependency => "#pragma GCC dependency",
        })
    }
}

/// Looks through a file's text.
pub(crate) fn scan(content: &[u8]) -> Facts {
    let text = &*splice(content);
    let mut facts = Facts::default();
    let mut block = |found: bool, blocker| {
        if found && facts.blocker.is_none() {
            facts.blocker = Some(blocker);
        }
    };
    block(asks_for_embed(text), Blocker::Embed);
    block(assembler_reads(text), Blocker::Assembler);
    block(find(text, b"__TIMESTAMP__").is_some(), Blocker::Timestamp);
    block(
        words(text, b"dependency")
            .any(|at| find(at.before, b"GCC").is_some() && says_pragma(at.before)),
        Blocker::Dependency,
    );
    match asked(text) {
        Some(names) => facts.asked = names,
        None => block(true, Blocker::ComputedHasInclude),
    }
    facts.included = included(text);
    facts.once = words(text, b"once").any(|at| says_pragma(at.before))
        || words(text, b"import").any(|at| ends_as_directive(at.before));
    facts.system_header = find(text, b"system_header").is_some();
    facts
}

/// The text with continued lines joined, as the compiler sees it. A backslash may be written
/// as a trigraph, and blanks may stand behind it.
fn splice(content: &[u8]) -> Cow<'_, [u8]> {
    let continued = |at: usize| -> Option<usize> {
        let rest = &content[at..];
        let rest = rest
            .strip_prefix(b"\\")
            .or_else(|| rest.strip_prefix(b"??/"))?;
        let blanks = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c))?;
        (rest[blanks] == b'\n').then(|| content.len() - rest.len() + blanks + 1)
    };
    let mut joined: Option<Vec<u8>> = None;
    let mut kept = 0;
    let mut at = 0;
    while let Some(step) = content[at..]
        .iter()
        .position(|byte| matches!(byte, b'\\' | b'?'))
    {
        at += step;
        if let Some(next) = continued(at) {
            joined
                .get_or_insert_default()
                .extend_from_slice(&content[kept..at]);
            kept = next;
            at = next;
        } else {
            at += 1;
        }
    }
    match joined {
        None => Cow::Borrowed(content),
        Some(mut text) => {
            text.extend_from_slice(&content[kept..]);
            Cow::Owned(text)
        }
    }
}

/// A place where a word stands: the rest of its line on both sides.
struct Mention<'a> {
    before: &'a [u8],
    after: &'a [u8],
}

/// Every place where `word` stands as a whole word.
fn words<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = Mention<'a>> {
    mentions(text, word).filter(|at| {
        !at.before.last().copied().is_some_and(is_name_byte)
            && !at.after.first().copied().is_some_and(is_name_byte)
    })
}

/// Every place where `needle` stands, also inside of words.
fn mentions<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = Mention<'a>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + find(&text[from..], needle)?;
        from = at + needle.len();
        let start = text[..at]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let end = text[from..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(text.len(), |newline| from + newline);
        Some(Mention {
            before: &text[start..at],
            after: &text[from..end],
        })
    })
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let (&first, rest) = needle.split_first()?;
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|&byte| byte == first)?;
        if text[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// Without blanks and whole comments at its end.
fn trim_end(mut line: &[u8]) -> &[u8] {
    loop {
        line = line.trim_ascii_end();
        let Some(start) = line
            .strip_suffix(b"*/")
            .and_then(|body| body.windows(2).rposition(|pair| pair == b"/*"))
        else {
            return line;
        };
        line = &line[..start];
    }
}

/// Without blanks and whole comments at its start.
fn trim_start(mut line: &[u8]) -> &[u8] {
    loop {
        line = line.trim_ascii_start();
        let Some(end) = line
            .strip_prefix(b"/*")
            .and_then(|body| Some(find(body, b"*/")? + 4))
        else {
            return line;
        };
        line = &line[end..];
    }
}

/// Whether a directive's name may follow. The end of a comment counts: the `#` may stand lines
/// before it.
fn ends_as_directive(before: &[u8]) -> bool {
    let before = trim_end(before);
    [&b"#"[..], b"%:", b"??=", b"*/"]
        .iter()
        .any(|end| before.ends_with(end))
}

/// Whether what follows may be part of a directive.
fn may_be_directive(before: &[u8]) -> bool {
    [&b"#"[..], b"%:", b"??=", b"*/"]
        .iter()
        .any(|mark| find(before, mark).is_some())
}

fn says_pragma(before: &[u8]) -> bool {
    find(before, b"pragma").is_some() || find(before, b"_Pragma").is_some()
}

/// Whether a word is only tested for being defined, or defined itself, at this place.
fn is_only_named(before: &[u8]) -> bool {
    let before = trim_end(before);
    let before = before.strip_suffix(b"(").map_or(before, trim_end);
    [
        &b"defined"[..],
        b"define",
        b"undef",
        b"ifdef",
        b"ifndef",
        b"elifdef",
        b"elifndef",
    ]
    .iter()
    .any(|word| {
        before
            .strip_suffix(*word)
            .is_some_and(|rest| !rest.last().copied().is_some_and(is_name_byte))
    })
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

/// The names that `__has_include` and `__has_include_next` ask for; `None` if one of them is
/// not literal.
fn asked(text: &[u8]) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    for at in mentions(text, b"__has_include") {
        let (next, after) = match at.after.strip_prefix(b"_next") {
            Some(after) => (true, after),
            None => (false, at.after),
        };
        // Old gccs have the operator under this name, too.
        let after = after.strip_prefix(b"__").unwrap_or(after);
        let is_other_word = at.before.last().copied().is_some_and(is_name_byte)
            || after.first().copied().is_some_and(is_name_byte);
        if is_other_word || !may_be_directive(at.before) || is_only_named(at.before) {
            continue;
        }
        let operand = trim_start(trim_start(after).strip_prefix(b"(")?);
        names.push(literal(operand, next)?);
    }
    Some(names)
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

fn assembler_reads(text: &[u8]) -> bool {
    let is_directive = |at: &Mention<'_>| {
        !is_member(at.before) && !at.after.first().copied().is_some_and(is_name_byte)
    };
    mentions(text, b".incbin").any(|at| is_directive(&at))
        || mentions(text, b".include").any(|at| {
            // A string must follow, in a string: other things are initialisers and the like.
            is_directive(&at)
                && at
                    .after
                    .trim_ascii_start()
                    .first()
                    .is_none_or(|byte| matches!(byte, b'"' | b'\\' | b'%' | b'{'))
        })
}

/// Whether a dot behind `before` selects a member. The letter of an escape (`"\n.incbin"`) is
/// not the end of a name.
fn is_member(before: &[u8]) -> bool {
    match before {
        [.., b'\\', _] => false,
        [.., last] => is_name_byte(*last) || matches!(last, b')' | b']'),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_for(text: &str) -> Vec<String> {
        let facts = scan(text.as_bytes());
        assert_eq!(facts.blocker, None, "{text}");
        spell(&facts.asked)
    }

    fn spell(names: &[Name]) -> Vec<String> {
        names
            .iter()
            .map(|name| {
                let text = String::from_utf8(name.text.clone()).unwrap();
                let next = if name.next { "next " } else { "" };
                if name.quoted {
                    format!("{next}\"{text}\"")
                } else {
                    format!("{next}<{text}>")
                }
            })
            .collect()
    }

    fn blocker(text: &str) -> Option<Blocker> {
        scan(text.as_bytes()).blocker
    }

    #[test]
    fn literal_operands_of_has_include_are_found() {
        assert_eq!(asked_for("#if __has_include(\"a b.h\")\n"), ["\"a b.h\""]);
        assert_eq!(
            asked_for("#if defined X && __has_include ( <a/b.h> ) && __has_include(\"c\")"),
            ["<a/b.h>", "\"c\""]
        );
        assert_eq!(asked_for("# elif __has_include_next(<x>)\n"), ["next <x>"]);
        assert_eq!(asked_for("%: if __has_include__(<x>)\n"), ["<x>"]);
        assert_eq!(asked_for("??=if __has_include(<x>)\n"), ["<x>"]);
        assert_eq!(asked_for("#if __has_include/**/(/* */<x>)"), ["<x>"]);
    }

    #[test]
    fn continued_lines_are_joined_first() {
        assert_eq!(
            asked_for("#if 0 || \\\n __has_\\ \t\r\ninclude(<x>)"),
            ["<x>"]
        );
        assert_eq!(asked_for("#if 1 && ??/\n__has_include(<x>)"), ["<x>"]);
        // The `#` may be lines away, behind a comment.
        assert_eq!(
            asked_for("#if A /* b\n c */ || __has_include(<x>)"),
            ["<x>"]
        );
    }

    #[test]
    fn a_mere_mention_of_has_include_asks_for_nothing() {
        for text in [
            "#ifdef __has_include\n",
            "#if defined(__has_include)\n",
            "#if defined __has_include\n",
            "#if !defined ( __has_include )\n",
            "#ifndef __has_include\n#define __has_include(x) 0\n#endif\n",
            "# undef __has_include",
            "// uses __has_include where there is one\n",
            " * __has_include is new\n",
            "#define MY__has_include(x) 1\n",
            "#define __has_include_foo(x) 1\n",
        ] {
            assert_eq!(asked_for(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn computed_operands_block() {
        for text in [
            "#if __has_include(NAME)\n",
            "#define HAS(x) __has_include(x)\n",
            "#define HAS __has_include\n",
            "#if __has_include /* \n */ (<x>)\n",
        ] {
            assert_eq!(blocker(text), Some(Blocker::ComputedHasInclude), "{text}");
        }
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
        assert_eq!(
            blocker("char *t = __TIMESTAMP__;"),
            Some(Blocker::Timestamp)
        );
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

    #[test]
    fn any_bytes_are_text() {
        let facts = scan(b"\xff\x00#include \"\xe9.h\"\r\n??/\\?\\");
        assert_eq!(facts.included[0].text, b"\xe9.h");
        assert_eq!(scan(b""), Facts::default());
    }
}
