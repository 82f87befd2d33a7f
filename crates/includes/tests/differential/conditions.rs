//! Random conditions that are valid in the dialect at hand.
//!
//! Macros come in classes, so that most programs are valid: `M0`.. stand for integer expressions or are not
//! defined, `E0`.. for anything and are only asked whether they are defined, `F0`.. always are macros with one
//! parameter that make an integer expression of one, and `O0` stands for the name of one of those.

use crate::command_lines::{CommandLine, Language, header_name};
use crate::program::Reference;
use crate::random::Random;
use crate::trees::HEADERS;

pub(crate) const MACROS: usize = 8;

/// What the text at hand may hold.
#[derive(Clone, Copy)]
pub(crate) struct Style<'a> {
    pub(crate) line: &'a CommandLine,
    /// `__LINE__` in conditions; else `#line` and conditions of several lines may occur.
    pub(crate) asks_for_lines: bool,
    /// Raw strings; else trigraphs may occur.
    pub(crate) raw_strings: bool,
}

const PLAIN: [&str; 30] = [
    "0",
    "1",
    "2",
    "3",
    "10",
    "7u",
    "0x1F",
    "017",
    "0b101",
    "100LL",
    "1ul",
    "2ULL",
    "'a'",
    "'\\n'",
    "'\\0'",
    "'\\x41'",
    "'\\377'",
    "'ab'",
    "'\\''",
    "'\"'",
    "L'a'",
    "0xFFFFFFFFFFFFFFFF",
    "9223372036854775807",
    "18446744073709551615u",
    "4294967296",
    "unknown",
    "if",
    "(1)",
    "(-1)",
    "0X7fL",
];

/// An operand without operators around it.
pub(crate) fn literal(r: &mut Random, style: Style) -> String {
    let line = style.line;
    match r.below(14) {
        0 if line.digit_separators => r.pick(&["1'000", "0x1'F", "0b1'01", "1'2'3u"]).to_owned(),
        1 if line.unicode => r.pick(&["u'a'", "U'b'", "u'\\0'", "U'\\x41'"]).to_owned(),
        2 if line.language == Language::Cxx => r.pick(&["true", "false"]).to_owned(),
        3 => format!("M{}", r.below(MACROS)),
        _ if line.language == Language::Assembler => format!("{}", r.below(20)),
        _ => r.pick(&PLAIN).to_owned(),
    }
}

/// An expression for `#if`.
pub(crate) fn expression(r: &mut Random, style: Style, depth: usize) -> String {
    if depth > 2 {
        return literal(r, style);
    }
    let m = r.below(MACROS);
    let sub = |r: &mut Random| expression(r, style, depth + 1);
    let a = sub(r);
    match r.below(30) {
        0 | 1 => format!("defined M{m}"),
        2 => format!("defined ( {}{} )", r.pick(&["M", "E", "F"]), r.below(4)),
        3 => format!("!defined M{m} && {a}"),
        4 => format!("M{m} == {}", r.below(4)),
        5..=8 => {
            const OPERATORS: [&str; 18] = [
                "<", ">", "<=", ">=", "==", "!=", "+", "-", "*", "&", "|", "^", "<<", ">>", "&&",
                "||", " + -", "&& !",
            ];
            let operator = r.pick(&OPERATORS);
            format!("{a} {operator} {}", sub(r))
        }
        9 => format!(
            "({a}) {} ({})",
            r.pick(&["<", ">", "+", "-", "<<", ">>"]),
            sub(r)
        ),
        10 => {
            let (yes, no) = (sub(r), sub(r));
            format!("({a}) ? {yes} : {no}")
        }
        11 => format!(
            "({}({a})) {} ({})",
            r.pick(&["~", "-", "!", "+"]),
            r.pick(&["<", ">", "=="]),
            sub(r)
        ),
        12 => format!("({a}) {} (({}) | 1)", r.pick(&["/", "%"]), sub(r)),
        13 => format!("(0 && 1 / 0 || {a})"),
        14 | 15 => {
            // No `defined` here: arguments are expanded before it could protect its name.
            let (first, second) = (literal(r, style), literal(r, style));
            let argument = format!(
                "{first} {} {second}",
                r.pick(&["+", "<", "*", "||", "? 2 :"])
            );
            made_by_macros(r, m, &argument)
        }
        27 => "DEFINES + 1 > 1".to_owned(),
        16 | 17 => has_include(r, style),
        18 => format!(
            "__INCLUDE_LEVEL__ {} {}",
            r.pick(&[">", "==", "%"]),
            1 + r.below(3)
        ),
        19 if style.asks_for_lines => format!("__LINE__ % {}", 2 + r.below(3)),
        20 if style.line.language != Language::Assembler => question(r, style),
        21 if style.line.language == Language::Cxx => {
            format!(
                "{} {a}",
                r.pick(&["not", "compl", "true and", "false or", "1 bitand", "0 xor"])
            )
        }
        22 if !style.asks_for_lines => format!("{a} /* > */ || \\\n 0"),
        23 => "__STDC_VERSION__ + 0 > 199901L".to_owned(),
        24 => "__cplusplus >= 201103L".to_owned(),
        25 => format!("({a}, {})", literal(r, style)),
        26 => "O0(1) == O0(2) - 1".to_owned(),
        _ => a,
    }
}

fn made_by_macros(r: &mut Random, m: usize, a: &str) -> String {
    match r.below(12) {
        0 => format!("F{}({a})", r.below(3)),
        1 => format!("F{} (F{}({a}))", r.below(3), r.below(3)),
        2 => format!("CAT(M,{m}) == 1"),
        3 => format!("CAT(1, {m}) > CAT(CAT(0,x), F)"),
        4 => "(COUNT() + COUNT(a) + COUNT(a,b)) == 3".to_owned(),
        5 => format!("HAS({m}) || HAS_M1"),
        6 => "VA(1) + VA(1,2) > 2".to_owned(),
        7 => format!("NAMED(M{m}, 2, 3) == 3"),
        8 => format!("FIRST({m}) + FIRST({m}, , ) > 4"),
        9 => "EMPTY() + 1".to_owned(),
        10 => format!("GLUE(, SAME)(O0 EMPTY ( ) ( {m} )) + 0 > 2"),
        _ => format!("CAT(F,1)({a})"),
    }
}

fn has_include(r: &mut Random, style: Style) -> String {
    let header = header_name(r.below(HEADERS));
    let next = if r.one_in(4) { "_next" } else { "" };
    match r.below(9) {
        0 | 1 => format!("__has_include{next}(\"{header}\")"),
        2 | 3 => format!("__has_include{next}(<{header}>)"),
        4 => format!("__has_include( <h{}.h> )", 7 + r.below(9)),
        5 => format!("__has_include{next}(HEADER({}))", r.below(6)),
        6 if style.line.reference == Reference::Gcc => {
            format!("__has_include(ANGLE({}))", r.below(6))
        }
        7 => "__has_include(\"../inc0/h2.h\") && !__has_include(\"d\")".to_owned(),
        _ => format!(
            "__has_include {}",
            r.pick(&["(<o\"d.h>)", "(<leaf.h>)", "(\"no.h\")"])
        ),
    }
}

fn question(r: &mut Random, style: Style) -> String {
    let builtin = r.pick(&[
        "__builtin_expect",
        "__builtin_unreachable",
        "nothing",
        "__sync_synchronize",
    ]);
    match r.below(4) {
        0 => format!(
            "__has_attribute({})",
            r.pick(&["noreturn", "__unused__", "nothing"])
        ),
        1 if style.line.reference == Reference::Clang => {
            format!(
                "__has_feature({})",
                r.pick(&["cxx_rtti", "c_alignas", "nothing"])
            )
        }
        2 if style.line.reference == Reference::Clang => {
            format!(
                "__has_extension({})",
                r.pick(&["c_static_assert", "nothing"])
            )
        }
        _ => format!("__has_builtin({builtin})"),
    }
}
