//! Random lines: definitions, conditionals, includes in every form, pragmas, and text that a preprocessor may trip over.

use crate::command_lines::{CommandLine, Language, header_name};
use crate::conditions::{MACROS, Style, expression};
use crate::program::{FOLDERS, LAST, ROOT, Reference};
use crate::random::Random;
use crate::trees::{HEADERS, style};

/// A file in the making.
pub(crate) struct Text<'a> {
    pub(crate) r: &'a mut Random,
    pub(crate) style: Style<'a>,
    pub(crate) out: String,
}

/// Values of `M0`..: integer expressions, wherever they stand.
const VALUES: [&str; 22] = [
    "0",
    "1",
    "2",
    "3",
    "(M1)",
    "M2 + 1",
    "M3",
    "F1(2)",
    "F2(M1)",
    "7u",
    "0x1F",
    "(-1)",
    "(M4)",
    "1 \\\n + 1",
    "(M5 ? 2 : 1u)",
    "GLUE(1,2)",
    "COUNT(a,b)",
    "FIRST(3,4)",
    "/* a */ 4 // b",
    "M0 * M1",
    "O0(1)",
    "!M6",
];
/// Bodies of `F0`.. The last ones use macros with lower numbers: one that meets itself would be a plain name.
const BODIES: [&str; 11] = [
    "x",
    "(x) + 1",
    "0 ## 1 + x",
    "M7 + (x)",
    "CAT(M, 7) + (x)",
    "((x) ? (x) : 2u)",
    "SAME(x)",
    "FIRST(x, #x)",
    "F0(x)",
    "F0 (x) - (x)",
    "F1(x) * F0(x)",
];
/// Values of `E0`..
const ANYTHING: [&str; 8] = [
    "",
    "(1, 2)",
    "x y",
    "\"text\"",
    "'",
    "<h1.h>",
    "E1 E2",
    "/* only */",
];

/// Text of all sorts; none of it matters but where it hides or makes directives.
const TEXT: [&str; 37] = [
    "int x = 1; /* # */ int y;\n",
    "const char *s = \"/*\";\n",
    "char q = '\"';\n",
    "// it's \\\n#define M1 5\n",
    "int n = 1'000; int o = 2'0;\n",
    "/* \n#define M3 9\n*/\n",
    "#\n",
    "%:define M4 4\n",
    "??=define M5 5\n",
    "int a; \\\n#define M6\n",
    "don't /* x\n",
    "#ident \"x\"\n",
    "#pragma GCC diagnostic push\n",
    "#pragma message(\"x\")\n",
    "# /* x */ define M7 /* y\n z */ 2\n",
    "F1(1) F2(M1)\n",
    "int counted = __COUNTER__;\n",
    "\"open \\\n#undef M0\n",
    "/\\\n* x\n#undef M1\n*\\\n/\n",
    "#def\\\nine M2 2\n",
    "#define M3 \\  \n 3\n",
    "F1(\n#define M4 3\n2)\n",
    "F1(1 /* ( */\n)\n",
    "/**/ # /**/ undef /**/ M5 /**/\n",
    "\t #\tdefine\tM6\t2\n",
    "int x; /* */ # define M0 1\n",
    "// comment ??/\n#define M1 1\n",
    "#define E2 'x\n",
    "'a' '\\'' \"\\\"/*\" /* ' */\n",
    "#warning some words, isn't it\n",
    "//\\\n\\\n\n",
    "<:%:%> ??( ??/\n\n",
    "#define E3(x,\\\ny) x##y\n",
    "\x0c#define M2 1\n\x0b\n",
    "__FILE__ __LINE__ __VA_ARGS__\n",
    "/* /* */ int z; // */ /*\n",
    "x = y / *p; /* / */\n",
];
const RAW: [&str; 6] = [
    "const char *t = R\"(\n#define M2 9\n)\";\n",
    "u8R\"x(\")\\\n#undef M1\n)x\" /* \n */\n",
    "LR\"()\" R\"a(/*)a\"\n",
    "fooR\"(x)\" \"/*\"\n",
    "R\"(one line /* ' )\"\n",
    "#define E1 R\"(x)\"\n",
];
/// Lines that only a skipped group may hold.
const JUNK: [&str; 14] = [
    "don't look \" /* \n",
    "#foo bar\n",
    "#error no\n",
    "#include\n",
    "#include <none.h>\n",
    "#define\n",
    "#if (\n#elif )\n#else junk\n#endif junk\n",
    "#ifdef\n#endif\n",
    "#define F1 2\n#undef M1 extra\n",
    "# 1 x\n",
    "#pragma once\n#pragma push_macro(\"M1\")\n",
    "/* #endif\n#else\n*/\n",
    "// \\\n#endif\n",
    "'\n\"\n#ifdef X\n#elifdef\n#endif\n",
];

impl<'a> Text<'a> {
    pub(crate) fn new(r: &'a mut Random, line: &'a CommandLine) -> Self {
        let style = style(r, line);
        Text {
            r,
            style,
            out: String::new(),
        }
    }

    /// Up to `lines` lines; headers with numbers below `lowest` are not included.
    pub(crate) fn body(&mut self, depth: usize, lines: usize, lowest: usize) {
        for _ in 0..self.r.below(lines + 1) {
            self.line(depth, lowest);
        }
    }

    fn push(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn line(&mut self, depth: usize, lowest: usize) {
        let m = self.r.below(MACROS);
        match self.r.below(26) {
            0..=3 => {
                // Bodies use this one.
                let value = self.r.pick(if m == 7 { &VALUES[..4] } else { &VALUES });
                self.push(&format!("#define M{m} {value}"));
            }
            4 => {
                let f = self.r.below(3);
                let body = self.r.pick(&BODIES[..[8, 10, 11][f]]);
                self.push(&format!("#define F{f}(x) {body}"));
            }
            5 => {
                let value = self.r.pick(&ANYTHING);
                self.push(&format!("#define E{} {value}", m % 4));
            }
            6 => self.push(&format!(
                "#undef {}{}",
                if m < 5 { "M" } else { "E" },
                m % 4
            )),
            7..=13 if depth < 3 => self.conditional(depth, lowest),
            14..=18 if lowest < HEADERS => {
                let n = lowest + self.r.below(HEADERS - lowest);
                self.include(n);
            }
            19 => self.pragma(m),
            20 | 21 => {
                let text = self.r.pick(&TEXT);
                self.text(text);
            }
            22 if self.style.raw_strings => {
                let text = self.r.pick(&RAW);
                self.text(text);
            }
            23 => {
                let mut text = self.r.pick(&JUNK);
                let line = self.style.line;
                if (text.contains("//") && !line.line_comments)
                    || (text.starts_with("# 1") && self.style.asks_for_lines)
                    || (line.language == Language::Assembler && text.contains('\''))
                {
                    text = "";
                }
                let skipped = self.r.pick(&[
                    "#if 0",
                    "#ifdef NEVER",
                    "#if 1\n#else",
                    "#if 1\n#elif (junk",
                ]);
                self.out.push_str(skipped);
                self.out.push('\n');
                self.out.push_str(text);
                self.push("#endif");
            }
            24 if !self.style.asks_for_lines => {
                let line = self.r.pick(&[
                    "#line 7 \"other.h\"",
                    "# 12 \"x.h\"",
                    "# 3 \"x.h\" 3",
                    "# 1 \"\" /* x */ 3 4",
                    "# 8",
                    "#line 99",
                    "#line M1 + 1",
                ]);
                let line = if line.contains('M') {
                    "#define N 3\n#line N"
                } else {
                    line
                };
                self.push(line);
            }
            _ => self.push(""),
        }
    }

    fn text(&mut self, text: &str) {
        let line = self.style.line;
        let quoted = text.contains('"') || text.contains('\'');
        if line.language == Language::Assembler && quoted {
            self.out.push_str("\tnop # don't care\n");
        } else if text.contains("R\"") && !line.unicode
            || text.contains("// */") && !line.line_comments
            || text.contains("??") && self.style.raw_strings
        {
            self.out.push_str("\"/*\" x\n");
        } else {
            self.out.push_str(text);
        }
    }

    fn pragma(&mut self, m: usize) {
        let name = if self.r.one_in(5) {
            format!("F{}", m % 3)
        } else {
            format!("M{m}")
        };
        let what = self.r.pick(&["push_macro", "push_macro", "pop_macro"]);
        let asm = self.style.line.language == Language::Assembler;
        match self.r.below(7) {
            6 if !asm => self.push(&format!("PRAGMA({what}(\"{name}\"))")),
            0..=2 => self.push(&format!("#pragma {what}(\"{name}\")")),
            3 if !asm => self.push(&format!("_Pragma(\"{what}(\\\"{name}\\\")\") int p;")),
            4 if !asm => self.push("_Pragma(\"GCC diagnostic pop\")"),
            _ => self.push("#pragma once"),
        }
    }

    fn conditional(&mut self, depth: usize, lowest: usize) {
        let m = self.r.below(MACROS);
        match self.r.below(6) {
            0 => self.push(&format!("#ifdef M{m}")),
            1 => self.push(&format!("# ifndef E{} // x", m % 4)),
            _ => {
                let condition = expression(self.r, self.style, 0);
                self.push(&format!("#if {condition}"));
            }
        }
        self.body(depth + 1, 3, lowest);
        for _ in 0..self.r.below(3) {
            let n = self.r.below(MACROS);
            match self.r.below(6) {
                0 if self.style.line.elifdef => self.push(&format!("#elifdef M{n}")),
                1 if self.style.line.elifdef => self.push(&format!("#elifndef M{n}")),
                _ => {
                    let condition = expression(self.r, self.style, 0);
                    self.push(&format!("#elif {condition}"));
                }
            }
            self.body(depth + 1, 2, lowest);
        }
        if self.r.one_in(2) {
            self.push("#else // x");
            self.body(depth + 1, 2, lowest);
        }
        self.push("#endif");
    }

    /// An include of header number `n`, or one that may follow it.
    pub(crate) fn include(&mut self, n: usize) {
        let n = n.min(HEADERS - 1);
        let name = header_name(n);
        let r = &mut *self.r;
        // Computed includes put the name together, which only works with names that are plain.
        let plain = if n < 6 { n } else { 5 };
        let gcc = self.style.line.reference == Reference::Gcc;
        let plain_is_lower = plain < n;
        let line = match r.below(24) {
            0..=4 => format!("#include \"{name}\""),
            5..=8 => format!("#include <{name}>"),
            9 => format!("#if __has_include(\"{name}\")\n# include \"{name}\"\n#endif"),
            // clang begins anew behind a file found beside its includer, and so may never end.
            10 if gcc || r.one_in(4) => {
                format!("#if __has_include_next(\"{name}\")\n#include_next \"{name}\"\n#endif")
            }
            23 => format!("#if __has_include_next(<{name}>)\n#include_next <{name}>\n#endif"),
            11 => format!("#define WHERE \"{name}\"\n#include WHERE\n#undef WHERE"),
            12 => {
                let folder = r.pick(&[
                    "../last",
                    "../inc 0/../last",
                    "../src/../last",
                    ".",
                    "../last//.",
                ]);
                format!("#include /* c */ \"{folder}/{name}\" // d")
            }
            13 => format!("#import \"{name}\""),
            14 => format!("#import <{name}>"),
            15 => format!("#include \"{ROOT}/{LAST}/{name}\""),
            16 => {
                let path = format!("{ROOT}/{}/{name}", r.pick(&FOLDERS));
                format!("#if __has_include(\"{path}\")\n#include <{path}>\n#endif")
            }
            17 => r
                .pick(&[
                    "#include <leaf.h>",
                    "#include <o\"d.h>",
                    "# include \"leaf.h\" extra",
                ])
                .to_owned(),
            _ if plain_is_lower => format!("#include \\\n<{name}>"),
            18 => format!("#include HEADER({plain})"),
            19 => format!("#include ANGLE({plain})"),
            20 => format!("#if __has_include(HEADER({plain}))\n#include HEADER({plain})\n#endif"),
            21 => format!("#define ANGLED <h{plain}.h>\n#include SAME(ANGLED)"),
            22 if gcc => format!("#include SAME(<)h{plain}.h>"),
            _ => format!("#include EMPTY() STR(h{plain}.h) // x"),
        };
        self.push(&line);
    }
}
