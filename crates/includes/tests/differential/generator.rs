//! Makes random header trees: conditions, macros, computed includes, include_next, once-only marks, links.

use std::fmt::Write as _;

/// A small random source: the same seed makes the same program everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % n
    }
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// A file tree and a command line.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Relative path and text.
    pub(crate) files: Vec<(String, String)>,
    /// Relative path and target.
    pub(crate) links: Vec<(String, String)>,
    /// Arguments after the compiler; the last is the main file.
    pub(crate) arguments: Vec<String>,
    /// `CPATH`, if set.
    pub(crate) cpath: Option<String>,
}

const FOLDERS: [&str; 6] = ["src", "inc0", "inc1", "sys", "after", "inc 0/sub"];
const HEADERS: usize = 9;
const MACROS: usize = 8;

/// Makes a program.
pub(crate) fn program(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let r = &mut random;
    let mut files: Vec<(String, String)> = Vec::new();
    for header in 0..HEADERS {
        // One of each stands where every search ends, so that most programs are valid.
        let text = self::header(r, header);
        files.push((format!("last/h{header}.h"), text));
        for _ in 0..r.below(3) {
            let path = format!("{}/h{header}.h", r.pick(&FOLDERS));
            if !files.iter().any(|(p, _)| *p == path) {
                let text = self::header(r, header);
                files.push((path, text));
            }
        }
    }
    let mut links = Vec::new();
    for _ in 0..r.below(3) {
        let (folder, header) = (r.pick(&FOLDERS), r.below(HEADERS));
        let path = format!("{folder}/h{header}.h");
        if !files.iter().any(|(p, _)| *p == path) {
            let up = if folder.contains('/') { "../.." } else { ".." };
            links.push((
                path,
                format!("{up}/{}/h{}.h", r.pick(&FOLDERS), r.below(HEADERS)),
            ));
            break;
        }
    }
    if r.one_in(6) {
        links.push(("linked".into(), r.pick(&FOLDERS).to_owned()));
    }
    let (extension, standards): (_, &[&str]) = match r.below(8) {
        0..=3 => (
            "c",
            &[
                "",
                "",
                "-std=c11",
                "-std=gnu99",
                "-std=c2x",
                "-std=c89",
                "-trigraphs",
            ],
        ),
        4..=6 => (
            "cc",
            &[
                "",
                "",
                "-std=c++98",
                "-std=c++11",
                "-std=c++14",
                "-std=gnu++20",
            ],
        ),
        _ => ("S", &[""]),
    };
    let mut arguments = Vec::new();
    let standard = r.pick(standards);
    if !standard.is_empty() {
        arguments.push(standard.to_owned());
    }
    for _ in 0..1 + r.below(5) {
        let folder = if links.iter().any(|(p, _)| p == "linked") && r.one_in(3) {
            "linked"
        } else {
            r.pick(&FOLDERS)
        };
        let folder = match r.below(6) {
            0 => format!("{folder}/"),
            1 => format!("./{folder}"),
            2 => format!("src/../{folder}"),
            _ => folder.to_owned(),
        };
        let option = r.pick(&["-I", "-I", "-I", "-isystem", "-iquote", "-idirafter"]);
        if r.one_in(2) {
            arguments.push(format!("{option}{folder}"));
        } else {
            arguments.extend([option.to_owned(), folder]);
        }
    }
    for _ in 0..r.below(3) {
        let name = r.below(MACROS);
        arguments.push(match r.below(4) {
            0 => format!("-UM{name}"),
            1 => format!("-DM{name}"),
            2 => format!("-DF{}(x)=x+{}", r.below(3), r.below(3)),
            _ => format!("-DM{name}={}", r.below(4)),
        });
    }
    if r.one_in(5) {
        arguments.extend([
            r.pick(&["-include", "-imacros"]).to_owned(),
            format!("h{}.h", r.below(HEADERS)),
        ]);
    }
    if r.one_in(12) {
        arguments.push(
            r.pick(&["-nostdinc", "-undef", "-O2", "-ffreestanding"])
                .to_owned(),
        );
    }
    arguments.push("-idirafterlast".to_owned());
    let folder = r.pick(&["", "src/"]);
    let main = format!("{folder}main.{extension}");
    let mut text = String::new();
    text.push_str(PRELUDE);
    if r.one_in(4) {
        text = text.replace("#define HAS(x) defined x\n", "");
    }
    body(r, &mut text, 0, 3, HEADERS);
    for header in 0..2 + r.below(4) {
        let _ = writeln!(text, "{}", include(r, header));
        body(r, &mut text, 0, 2, HEADERS);
    }
    files.push((main.clone(), text));
    arguments.push(main);
    let cpath = r
        .one_in(10)
        .then(|| format!("{}:{}", r.pick(&FOLDERS), r.pick(&FOLDERS)));
    Program {
        files,
        links,
        arguments,
        cpath,
    }
}

const PRELUDE: &str = "#define STR_(x) #x\n#define STR(x) STR_(x)\n#define CAT_(a,b) a##b\n#define CAT(a,b) CAT_(a,b)\n\
#define HEADER(n) STR(CAT(h,n).h)\n#define ANGLE(n) <CAT(h,n).h>\n#define VA(a,...) a __VA_OPT__(+ 1) - 0\n#define FIRST(a,...) a\n\
#define COUNT(...) COUNT_(0,##__VA_ARGS__,3,2,1,0)\n#define COUNT_(z,a,b,c,n,...) n\n#define HAS(x) defined x\n#define F0(x) x\n#define F1(x) (x)+1\n#define F2(x) F1(x)*2\n";

/// The text of header number `n`. It may include itself and lower ones only where something ends the recursion.
fn header(r: &mut Random, n: usize) -> String {
    let mut text = String::new();
    if r.one_in(5) {
        text.push_str(r.pick(&["// a comment\n", "/* two\nlines */\n", "int before;\n"]));
    }
    match r.below(6) {
        0 | 1 => {
            let _ = writeln!(
                text,
                "{}",
                r.pick(&[
                    "#ifndef G{}",
                    "#if !defined G{}",
                    "# if ! defined ( G{} ) /* g */"
                ])
                .replace("{}", &n.to_string())
            );
            let _ = writeln!(text, "#define G{n}");
            body(r, &mut text, 0, 4, 0);
            text.push_str("#endif\n");
            if r.one_in(5) {
                text.push_str("int after;\n");
            }
        }
        2 => {
            text.push_str(r.pick(&[
                "#pragma once\n",
                "_Pragma(\"once\")\n",
                "# pragma /* x */ once\n",
            ]));
            body(r, &mut text, 0, 4, 0);
        }
        3 => {
            // Each inclusion does something else, like Boost.Preprocessor's iteration.
            let _ = writeln!(text, "#ifndef C{n}\n#define C{n} 1");
            body(r, &mut text, 0, 2, 0);
            let _ = writeln!(text, "#elif C{n} == 1\n#undef C{n}\n#define C{n} 2");
            body(r, &mut text, 0, 2, 0);
            let _ = writeln!(text, "#elif C{n} == 2\n#undef C{n}\n#define C{n} 3");
            body(r, &mut text, 0, 2, n + 1);
            text.push_str("#endif\n");
        }
        _ => body(r, &mut text, 0, 4, n + 1),
    }
    if r.one_in(8) {
        text.pop();
    }
    text
}

fn include(r: &mut Random, n: usize) -> String {
    let n = n.min(HEADERS - 1);
    match r.below(14) {
        0..=3 => format!("#include \"h{n}.h\""),
        4..=6 => format!("#include <h{n}.h>"),
        7 => format!("#if __has_include(\"h{n}.h\")\n# include \"h{n}.h\"\n#endif"),
        8 => format!("#if __has_include_next(<h{n}.h>)\n#include_next <h{n}.h>\n#endif"),
        9 => format!(
            "#if defined HEADER && __has_include(HEADER({n}))\n#include HEADER({n})\n#endif"
        ),
        10 => format!("#define WHERE \"h{n}.h\"\n#include WHERE\n#undef WHERE"),
        11 => format!("#ifdef ANGLE\n#include ANGLE({n})\n#endif"),
        12 => format!(
            "#include /* c */ \"{}/h{n}.h\" // d",
            r.pick(&["../last", "../inc 0/../last", "../src/../last", "."])
        ),
        _ => format!("#import \"h{n}.h\""),
    }
}

/// Lines; headers with numbers below `lowest` are not included outside of conditions that end.
fn body(r: &mut Random, text: &mut String, depth: usize, lines: usize, lowest: usize) {
    for _ in 0..r.below(lines + 1) {
        line(r, text, depth, lowest);
    }
}

fn line(r: &mut Random, text: &mut String, depth: usize, lowest: usize) {
    let m = r.below(MACROS);
    let n = r.below(MACROS);
    let _ = match r.below(22) {
        0..=2 => writeln!(
            text,
            "#define M{m} {}",
            if r.one_in(25) {
                r.pick(&["", "(1, 2)", "x y"])
            } else {
                r.pick(&[
                    "0",
                    "1",
                    "2",
                    "3",
                    "M1",
                    "M2 + 1",
                    "(M3)",
                    "F1(2)",
                    "F2(M1)",
                    "7u",
                    "0x1F",
                    "'a'",
                    "defined M4",
                    "1 \\\n + 1",
                ])
            }
        ),
        3 => writeln!(
            text,
            "#define F{}(x) {}",
            r.below(3),
            if r.one_in(25) {
                r.pick(&["(x, 1)", "#x"])
            } else {
                r.pick(&[
                    "x",
                    "(x) + 1",
                    "0 ## 1 + x",
                    "M1 + x",
                    "F1(x)",
                    "F2 (x) - x",
                    "CAT(M, 1) + x",
                ])
            }
        ),
        4 => writeln!(text, "#undef M{m}"),
        5 if r.one_in(8) => writeln!(text, "#undef F{}", r.below(3)),
        6..=11 if depth < 3 => {
            let _ = match r.below(4) {
                0 => writeln!(text, "#ifdef M{m}"),
                1 => writeln!(text, "#ifndef M{m}"),
                _ => writeln!(text, "#if {}", condition(r, 0)),
            };
            body(r, text, depth + 1, 3, lowest);
            for _ in 0..r.below(3) {
                let _ = match r.below(6) {
                    0 => writeln!(text, "#elifdef M{n}"),
                    1 => writeln!(text, "#elifndef M{n}"),
                    _ => writeln!(text, "#elif {}", condition(r, 0)),
                };
                body(r, text, depth + 1, 2, lowest);
            }
            if r.one_in(2) {
                text.push_str("#else // x\n");
                body(r, text, depth + 1, 2, lowest);
            }
            writeln!(text, "#endif")
        }
        12..=15 if lowest < HEADERS => {
            let header = lowest + r.below(HEADERS - lowest);
            writeln!(text, "{}", include(r, header))
        }
        16 => match r.below(3) {
            0 => writeln!(text, "#pragma push_macro(\"M{m}\")"),
            1 => writeln!(text, "#pragma pop_macro(\"M{m}\")"),
            _ => writeln!(text, "_Pragma(\"push_macro(\\\"M{m}\\\")\") int p;"),
        },
        17..=19 => {
            text.push_str(r.pick(&[
                "int x = 1; /* # */ int y;\n",
                "const char *s = \"/*\";\n",
                "char q = '\"';\n",
                "// it's \\\n#define M1 5\n",
                "int n = 1'000; int o = 2'0;\n",
                "const char *t = R\"(\n#define M2 9\n)\";\n",
                "/* \n#define M3 9\n*/\n",
                "#\n",
                "%:define M4 4\n",
                "??=define M5 5\n",
                "int a; \\\n#define M6\n",
                "don't /* x\n",
                "#ident \"x\"\n",
                "#pragma GCC diagnostic push\n",
                "_Pragma(\"GCC diagnostic pop\")\n",
                "# /* x */ define M7 /* y\n z */ 2\n",
                "F1(1) F2(M1)\n",
                "#line 7 \"other.h\"\n",
                "u8R\"x(\")\\\n#undef M1\n)x\"\n",
                "\"open \\\n#undef M0\n",
                "/\\\n* x\n#undef M1\n*\\\n/\n",
            ]));
            Ok(())
        }
        20 => writeln!(text, "#pragma once"),
        _ => writeln!(text),
    };
}

fn condition(r: &mut Random, depth: usize) -> String {
    let m = r.below(MACROS);
    if depth > 2 {
        return r.pick(&["0", "1", "M1", "M2", "2"]).to_owned();
    }
    let a = condition(r, depth + 1);
    match r.below(20) {
        0 | 1 => format!("defined M{m}"),
        2 => format!("defined(M{m})"),
        3 => format!("!defined M{m} && {a}"),
        4 => format!("M{m} == {}", r.below(4)),
        5 => format!(
            "M{m} {} {a}",
            r.pick(&[
                "<", ">", "<=", "!=", "+", "-", "*", "&", "|", "^", "<<", "&&", "||"
            ])
        ),
        6 => format!("({a}) ? M{m} : {}", condition(r, depth + 1)),
        7 => format!("defined F1 && defined F2 && ({a})"),
        8 => format!("~({a}) {} 0", r.pick(&["<", ">"])),
        9 => format!("-({a}) {} 1u", r.pick(&["<", ">"])),
        10 => format!("__has_include(\"h{}.h\")", r.below(HEADERS)),
        11 => format!("__has_include(<h{}.h>) || {a}", r.below(HEADERS + 2)),
        12 => "__INCLUDE_LEVEL__ > 1".to_owned(),
        13 => format!("__LINE__ % 2 || {a}"),
        14 => format!("({a}) / (({}) | 1)", r.below(3)),
        15 => "defined CAT && CAT(M,1) == 1".to_owned(),
        16 => "defined COUNT && (COUNT() + COUNT(a) + COUNT(a,b)) == 3".to_owned(),
        17 => format!("defined HAS && HAS(M{m})"),
        18 => "defined VA && VA(1) + VA(1,2) > 2".to_owned(),
        _ => format!("__has_attribute(noreturn) && {a}"),
    }
}
