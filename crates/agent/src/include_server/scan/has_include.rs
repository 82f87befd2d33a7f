//! `__has_include`: which files a text asks for, without opening them.
//!
//! Projects like to give the operator a name of their own (`#define HAS(x) __has_include(x)`).
//! The text of one file then tells the new name, and all have to be looked through for it.

use super::text::{
    Mention, is_name_byte, may_be_directive, mentions, splice, trim_end, trim_start, words,
};
use super::{Name, literal};

/// Questions for files, by `__has_include` or a macro made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The operands.
    pub(crate) names: Vec<Name>,
    /// Macros through which more is asked.
    pub(crate) macros: Vec<Vec<u8>>,
    /// Something is asked that is neither.
    pub(crate) is_computed: bool,
}

/// What a file's text asks through the macro `name`.
pub(crate) fn asked_through(name: &[u8], content: &[u8]) -> Asked {
    let text = &*splice(content);
    asked(words(text, name))
}

/// What a spliced text asks by the operator itself.
pub(super) fn asked_by_operator(text: &[u8]) -> Asked {
    asked(mentions_of_operator(text))
}

/// Every place where the operator itself stands; the rest of the line begins behind it.
fn mentions_of_operator(text: &[u8]) -> impl Iterator<Item = Mention<'_>> {
    mentions(text, b"__has_include").filter_map(|at| {
        let after = at.after.strip_prefix(b"_next").unwrap_or(at.after);
        // Old gccs have the operator under this name, too.
        let after = after.strip_prefix(b"__").unwrap_or(after);
        let is_other_word = at.before.last().copied().is_some_and(is_name_byte)
            || after.first().copied().is_some_and(is_name_byte);
        (!is_other_word).then_some(Mention { after, ..at })
    })
}

/// What is asked at these places.
fn asked<'a>(places: impl Iterator<Item = Mention<'a>>) -> Asked {
    let mut asked = Asked::default();
    for at in places {
        if !may_be_directive(at.before) || is_only_named(at.before) {
            continue;
        }
        let definition = Definition::around(at.before);
        let name = trim_start(at.after)
            .strip_prefix(b"(")
            .and_then(|operand| literal(trim_start(operand), false));
        match (name, definition) {
            (Some(name), None) => asked.names.push(name),
            (Some(name), Some(definition)) if !definition.changes(&name.text) => {
                asked.names.push(name);
            }
            (_, Some(definition)) => asked.macros.push(definition.name.to_vec()),
            (None, None) => asked.is_computed = true,
        }
    }
    asked
}

/// The macro in whose definition a place stands.
struct Definition<'a> {
    name: &'a [u8],
    parameters: &'a [u8],
}

impl<'a> Definition<'a> {
    fn around(before: &'a [u8]) -> Option<Self> {
        let line = trim_start(before);
        let line = [&b"#"[..], b"%:", b"??="]
            .iter()
            .find_map(|start| line.strip_prefix(*start))?;
        let rest = trim_start(trim_start(line).strip_prefix(b"define")?);
        let end = rest
            .iter()
            .position(|&byte| !is_name_byte(byte))
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let parameters = rest.strip_prefix(b"(").unwrap_or_default();
        let end = parameters.iter().position(|&byte| byte == b')');
        Some(Self {
            name,
            parameters: &parameters[..end.unwrap_or(0)],
        })
    }

    /// Whether an argument of the macro can be a part of `text`.
    fn changes(&self, text: &[u8]) -> bool {
        self.parameters
            .split(|&byte| !is_name_byte(byte))
            .filter(|parameter| !parameter.is_empty())
            .chain(
                self.parameters
                    .ends_with(b"...")
                    .then_some(&b"__VA_ARGS__"[..]),
            )
            .any(|parameter| words(text, parameter).next().is_some())
    }
}

/// Whether a word is only tested for being defined, or defined itself, at this place.
pub(super) fn is_only_named(before: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::include_server::scan::spell;

    fn asked_by(text: &str) -> Asked {
        asked_by_operator(&splice(text.as_bytes()))
    }

    /// The names asked for by a text that asks for nothing else.
    fn asked_for(text: &str) -> Vec<String> {
        let asked = asked_by(text);
        assert!(!asked.is_computed, "{text}");
        assert_eq!(asked.macros, Vec::<Vec<u8>>::new(), "{text}");
        spell(&asked.names)
    }

    #[test]
    fn literal_operands_of_has_include_are_found() {
        assert_eq!(asked_for("#if __has_include(\"a b.h\")\n"), ["\"a b.h\""]);
        assert_eq!(
            asked_for("#if defined X && __has_include ( <a/b.h> ) && __has_include(\"c\")"),
            ["<a/b.h>", "\"c\""]
        );
        assert_eq!(asked_for("# elif __has_include_next(<x>)\n"), ["<x>"]);
        assert_eq!(asked_for("%: if __has_include__(<x>)\n"), ["<x>"]);
        assert_eq!(asked_for("??=if __has_include(<x>)\n"), ["<x>"]);
        assert_eq!(asked_for("#if __has_include/**/(/* */<x>)"), ["<x>"]);
    }

    #[test]
    fn operands_behind_continued_lines_are_found() {
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
    fn computed_operands_are_told() {
        for text in [
            "#if __has_include(NAME)\n",
            "#if X && __has_include NAME\n",
            "#if __has_include /* \n */ (<x>)\n",
            "/*\n*/ #define HAS(x) __has_include(x)\n",
        ] {
            assert!(asked_by(text).is_computed, "{text}");
        }
    }

    #[test]
    fn macros_made_of_has_include_are_told() {
        for (text, name) in [
            ("#define HAS(x) __has_include(x)\n", "HAS"),
            (
                "# define HAS_2(x,y) (defined(X) && __has_include(y))\n",
                "HAS_2",
            ),
            ("%:define HAS __has_include\n", "HAS"),
            ("#define HAS(...) __has_include(__VA_ARGS__)\n", "HAS"),
            ("#define HAS(dir) __has_include(<dir/x.h>)\n", "HAS"),
            ("#define X __has_include(NAME)\n", "X"),
        ] {
            let asked = asked_by(text);
            assert!(!asked.is_computed, "{text}");
            assert_eq!(asked.macros, [name.as_bytes()], "{text}");
            assert_eq!(asked.names, []);
        }
        assert_eq!(
            asked_for("#define HAVE_X(y) __has_include(<x.h>)\n"),
            ["<x.h>"]
        );
    }

    #[test]
    fn what_macros_ask_for_is_found() {
        let through = |text: &str| asked_through(b"HAS", text.as_bytes());
        let asked = through(
            "#ifndef HAS\n#define HAS(x) 0\n#endif\n#if HAS(<a>) || HAS ( \"b\" )\n\
             #define TOO(x) HAS(x)\n#define XHAS 1\n// HAS no effect\n",
        );
        assert!(!asked.is_computed);
        assert_eq!(spell(&asked.names), ["<a>", "\"b\""]);
        assert_eq!(asked.macros, [b"TOO"]);
        assert!(through("#if HAS(NAME)\n").is_computed);
        assert!(through("#if HAS\n").is_computed);
    }
}
