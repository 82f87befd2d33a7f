//! Pragmas that macros make: whether a compile could hold one that acts on includes or macros.
//!
//! Text is not expanded, so only `_Pragma("...")` written out in it is acted on. A pragma that macros make is
//! looked for from both of its ends: a `_Pragma` whose operand is not plain ([`Step::PragmaMaker`]), and words by
//! which a pragma acts on includes or macros, wherever they stand ([`Step::PragmaWords`]). A compile that meets both is
//! refused, whether or not they ever come together; only for `once`, a common word, and for pieces of words is it
//! asked whether the call they stand in leads to a `_Pragma` ([`Step::PragmaOnce`]). Not seen: words that `##`
//! puts together from pieces other than `push_`, `pop_` and `_macro`, `once` where its call is opened by another macro
//! or holds directives, and words broken by a splice.

use memchr::memmem;

use crate::dialect::Dialect;
use crate::directives::Step;
use crate::names::{Id, Names, known};
use crate::text::{destringed, pragma};
use crate::tokens::{Kind, Token, tokenize};

/// What a definition can make of pragmas; `text` follows the macro's name.
pub(crate) fn look_into_definition(text: &[u8], dialect: Dialect, names: &mut Names) -> Vec<Step> {
    let mut tokens = Vec::new();
    tokenize(text, dialect, names, &mut tokens);
    let (mut maker, mut words) = (false, false);
    for at in 0..tokens.len() {
        if !is_pragma_operator(&tokens, at) {
            words |= is_pragma_word(&tokens, at, dialect, names);
        } else if let Some(operand) = plain_operand(&tokens, at) {
            // Harmless ones are common; the operand of one that acts is taken for words in its turn.
            maker |= destringed(operand, dialect, names) != Ok(None);
        } else {
            maker = true;
        }
    }
    let mut steps = Vec::new();
    steps.extend(maker.then_some(Step::PragmaMaker));
    steps.extend(words.then_some(Step::PragmaWords));
    steps
}

/// Whether the token at `at` is `_Pragma`.
pub(crate) fn is_pragma_operator(tokens: &[Token], at: usize) -> bool {
    tokens[at].kind == Kind::Identifier && tokens[at].text == known::PRAGMA_OPERATOR
}

/// The operand of the `_Pragma` at `at`, if it is written out.
pub(crate) fn plain_operand(tokens: &[Token], at: usize) -> Option<Id> {
    let text = tokens.get(at + 2).filter(|t| t.kind == Kind::Text)?;
    let closed = tokens.get(at + 3).is_some_and(|t| t.is(known::RPAREN));
    (tokens[at + 1].is(known::LPAREN) && closed).then_some(text.text)
}

/// Whether `##` is likely to make a word that acts of this one.
pub(crate) fn is_piece(word: &[u8]) -> bool {
    matches!(word, b"push_" | b"pop_" | b"_macro")
}

/// Whether a pragma whose text begins with the token at `at` would act, or one whose text the token is.
pub(crate) fn is_pragma_word(
    tokens: &[Token],
    at: usize,
    dialect: Dialect,
    names: &mut Names,
) -> bool {
    let bytes = names.entry(tokens[at].text).bytes.clone();
    match tokens[at].kind {
        Kind::Identifier => {
            let is_pasted = tokens.get(at + 1).is_some_and(|t| t.is(known::PASTE))
                || (at > 0 && tokens[at - 1].is(known::PASTE));
            (is_pasted && is_piece(&bytes)) || pragma(&tokens[at..], names) != Ok(None)
        }
        Kind::Text => match memchr::memchr(b'"', &bytes) {
            Some(quote) if bytes[..quote].ends_with(b"R") => [&b"once"[..], b"_macro", b"alias"]
                .iter()
                .any(|word| memmem::find(&bytes, word).is_some()),
            Some(_) => destringed(tokens[at].text, dialect, names) != Ok(None),
            None => false,
        },
        _ => false,
    }
}

/// The identifiers of the call whose name is the first token: that name, and those up to its closing parenthesis
/// (`F(x)(y)` is one call: what `F(x)` leaves may be called with `(y)`).
pub(crate) fn names_of_call(tokens: &[Token]) -> Vec<Token> {
    let mut depth = 0_usize;
    let mut names: Vec<Token> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is(known::LPAREN) {
            depth += 1;
        } else if token.is(known::RPAREN) {
            depth = depth.saturating_sub(1);
            if depth == 0 && !tokens.get(at + 1).is_some_and(|t| t.is(known::LPAREN)) {
                break;
            }
        } else if token.kind == Kind::Identifier && !names.iter().any(|n| n.text == token.text) {
            names.push(*token);
        }
    }
    names
}

/// Whether the body of a macro holds a `_Pragma` whose operand is not written out, or acts.
pub(crate) fn makes_pragmas(body: &[Token], dialect: Dialect, names: &mut Names) -> bool {
    (0..body.len()).any(|at| {
        is_pragma_operator(body, at)
            && !plain_operand(body, at)
                .is_some_and(|operand| destringed(operand, dialect, names) == Ok(None))
    })
}

#[cfg(test)]
mod tests {
    use crate::{Ask, Command, Compiler, Engine, MemoryTree, Refusal, Said, Settings};
    use std::sync::Arc;

    /// A compiler without macros, folders and answers.
    struct Bare;

    impl Compiler for Bare {
        fn ask(&self, _: &Ask) -> Result<Said, String> {
            let output = b"pumpcc_builtin 9\npumpcc_is line_comments\npumpcc_end\n".to_vec();
            let errors = Vec::new();
            Ok(Said { output, errors })
        }
    }

    fn is_refused(header: &str, main: &str, option: &str) -> bool {
        let tree = Arc::new(MemoryTree::new());
        tree.write("/p/h.h", header);
        tree.write("/p/main.c", &format!("#include \"h.h\"\n{main}"));
        let engine = Engine::new(tree, Arc::new(Bare), Settings::default());
        let command = Command {
            cwd: b"/p".to_vec(),
            argv: ["gcc", option, "-c", "main.c"].map(Into::into).into(),
            env: Vec::new(),
        };
        let first = engine.closure(&command);
        assert_eq!(first, engine.closure(&command), "{header}{main}");
        match first {
            Ok(_) => false,
            Err(Refusal::Unmodelled { .. }) => true,
            Err(other) => panic!("{header}{main}: {other}"),
        }
    }

    #[test]
    fn pragmas_that_macros_make_are_refused_if_they_could_act() {
        for (header, main, option) in [
            ("#define P(x) _Pragma(#x)\n", "P(once)\n", "-w"),
            ("#define P(x) _Pragma(#x)\n", "P(push_macro(\"A\"))\n", "-w"),
            ("#define P(x) _Pragma(x)\n", "int i; P(\"once\")\n", "-w"),
            ("#define P _Pragma(\"pop_macro(\\\"A\\\")\")\n", "P\n", "-w"),
            ("#define P _Pragma\n", "P(\"once\")\n", "-w"),
            ("#define W \"once\"\n", "_Pragma(W)\n", "-w"),
            (
                "#define Q(x) P(x)\n#define P(x) _Pragma(#x)\n",
                "Q(once)\n",
                "-w",
            ),
            (
                "#define C(f,x) f(x)\n#define P(x) _Pragma(#x)\n",
                "C(P, once)\n",
                "-w",
            ),
            (
                "#define P(x) _Pragma(#x)\n",
                "#define Q(o) P(o##_macro(\"A\"))\nQ(pop)\n",
                "-w",
            ),
            (
                "#define C(a,b) a##b\n#define P(x) _Pragma(#x)\n#define Q(x) P(x)\n",
                "Q(C(push_, macro)(\"A\"))\n",
                "-w",
            ),
            ("int i;\n", "P(once)\n", "-DP(x)=_Pragma(#x)"),
            ("#define D(x)\n", "D(_Pragma(\"once\"))\n", "-w"),
            // Not even a header that is missing is sure then.
            (
                "#define P(x) _Pragma(#x)\nP(push_macro(\"A\"))\n",
                "#include \"none.h\"\n",
                "-w",
            ),
        ] {
            assert!(is_refused(header, main, option), "{header}{main}");
        }
    }

    #[test]
    fn harmless_pragmas_and_words_that_cannot_meet_pass() {
        for (header, main) in [
            (
                "#define P _Pragma(\"GCC diagnostic push\")\n",
                "P int once; f(once, \"once\");\n",
            ),
            (
                "#define P(x) _Pragma(#x)\n",
                "P(GCC diagnostic pop) f(once); int once = \"once\";\n",
            ),
            ("#define F(x) x\n", "F(once) F(push_macro(\"A\"))\n"),
            (
                "#define P(x) _Pragma(#x)\n#define ALL(x) x.push_(1)\n",
                "int pop_; f(a.push_(pop_)); ALL(_macro)\n",
            ),
            ("#if 0\n#define P(x) _Pragma(#x)\n#endif\n", "P(once)\n"),
            (
                "#define P(x) _Pragma(#x)\n",
                "#pragma push_macro(\"P\")\n_Pragma(\"once\")\n",
            ),
        ] {
            assert!(!is_refused(header, main, "-w"), "{header}{main}");
        }
    }
}
