//! Random trees: which headers stand in which folder, their shapes (guards, once-only marks, iteration), links.

use std::fmt::Write as _;

use crate::command_lines::{CommandLine, Language, RESPONSE_FILE, header_name};
use crate::conditions::Style;
use crate::lines::Text;
use crate::program::{Entry, FOLDERS, LAST, Reference};
use crate::random::Random;

/// Headers are numbered. One that nothing stops from being read twice includes only higher numbers.
pub(crate) const HEADERS: usize = 9;

/// Makes the tree of a program with this command line.
pub(crate) fn random(r: &mut Random, line: &CommandLine) -> Vec<Entry> {
    let mut tree = Tree {
        entries: Vec::new(),
    };
    let entry = prelude(line, line.forced);
    tree.file(r, &format!("{LAST}/prelude.h"), entry);
    tree.file(r, &format!("{LAST}/leaf.h"), "int leaf;\n".into());
    tree.file(r, &format!("{LAST}/o\"d.h"), "#define M2 5\n".into());
    for n in 0..HEADERS {
        // One of each stands where every search ends, so that most programs are valid.
        let text = header(r, line, n);
        tree.file(r, &format!("{LAST}/{}", header_name(n)), text);
        for _ in 0..r.below(3) {
            let path = format!("{}/{}", r.pick(&FOLDERS), header_name(n));
            tree.one_more(r, line, n, path);
        }
    }
    if r.one_in(4) {
        tree.link(
            r.pick(&["linked", "inc1/d", "sys/d"]),
            r.pick(&["inc0", "../inc0", "src"]),
        );
    }
    if r.one_in(20) {
        tree.link("loop", "loop");
    }
    tree.link("inc0/usr/include/h1.h", "../../../last/leaf.h");
    if r.one_in(2) {
        let text = "#define M3 1\n";
        tree.file(r, "inc0/usr/include/stdc-predef.h", text.into());
    }
    tree.entries
        .extend(FOLDERS.map(|path| Entry::Folder { path: path.into() }));
    tree.add(Entry::Folder {
        path: "empty".into(),
    });
    let main = main_text(r, line);
    tree.file(r, &line.main, main);
    if let Some(arguments) = &line.response_file {
        tree.file(r, RESPONSE_FILE, arguments.clone());
    }
    tree.entries
}

struct Tree {
    entries: Vec<Entry>,
}

impl Tree {
    fn add(&mut self, entry: Entry) {
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let path = entry.path();
        let taken = self.entries.iter().any(|other| {
            let (other, folder) = (other.path(), matches!(other, Entry::Folder { .. }));
            other == path || below(other, path) || (!folder && below(path, other))
        });
        if !taken {
            self.entries.push(entry);
        }
    }

    fn file(&mut self, r: &mut Random, path: &str, mut text: String) {
        if r.one_in(15) {
            text = text.replace('\n', "\r\n");
        }
        self.add(Entry::File {
            path: path.into(),
            text,
            modified: u64::from(r.one_in(4)),
        });
    }

    fn link(&mut self, path: &str, target: &str) {
        self.add(Entry::Link {
            path: path.into(),
            target: target.into(),
        });
    }

    /// Another header of the same name: new text, a copy, a link, or something that is no file.
    fn one_more(&mut self, r: &mut Random, line: &CommandLine, n: usize, path: String) {
        let up = "../".repeat(path.matches('/').count());
        // What a link leads to must not include what the link's name may not.
        let lowest = format!("{LAST}/{}", header_name(n));
        let shared = self.entries.iter().find_map(|entry| match entry {
            Entry::File {
                path,
                text,
                modified,
            } if *path == lowest => Some((text.clone(), *modified)),
            _ => None,
        });
        match (r.below(14), shared) {
            (0, _) => self.link(&path, &format!("{up}{lowest}")),
            (1, _) => self.add(Entry::HardLink { path, to: lowest }),
            (2, Some((text, modified))) => self.add(Entry::File {
                path,
                text,
                modified,
            }),
            (3, _) if r.one_in(3) => self.link(&path, "nowhere"),
            (4, _) if r.one_in(3) => self.add(Entry::Folder { path }),
            _ => {
                let text = header(r, line, n);
                self.file(r, &path, text);
            }
        }
    }
}

/// Macros that conditions and computed includes use.
fn prelude(line: &CommandLine, guarded: bool) -> String {
    let mut text = String::from(
        "#define STR_(x) #x\n#define STR(x) STR_(x)\n#define CAT_(a,b) a##b\n#define CAT(a,b) CAT_(a,b)\n\
        #define HEADER(n) STR(CAT(h,n).h)\n#define ANGLE(n) <CAT(h,n).h>\n#define SAME(x) x\n#define GLUE(a,b) a##b\n\
        #define VA(a,...) a __VA_OPT__(+ 1) - 0\n#define FIRST(a,...) a\n\
        #define COUNT(...) COUNT_(0,##__VA_ARGS__,3,2,1,0)\n#define COUNT_(z,a,b,c,n,...) n\n\
        #define HAS(x) defined(M##x)\n#define HAS_M1 defined M1\n#define DEFINES (defined M2 || defined(E2))\n#define EMPTY()\n#define NAMED(a, rest...) a + COUNT(rest)\n\
        #define PRAGMA(x) _Pragma(#x)\n#define F0(x) x\n#define F1(x) (x)+1\n#define F2(x) F1(x)*2\n#define O0 F1\n",
    );
    if line.language != Language::Assembler && line.reference == Reference::Gcc {
        text.push_str("#define QUOTED(x) #x\n");
    }
    if guarded {
        text = format!("#ifndef PRELUDE\n#define PRELUDE\n{text}#endif\n");
    }
    text
}

fn main_text(r: &mut Random, line: &CommandLine) -> String {
    let mut text = Text::new(r, line);
    text.out = if line.forced {
        format!("#include \"{}/{LAST}/prelude.h\"\n", crate::program::ROOT)
    } else if text.r.one_in(3) {
        "#include <prelude.h>\n".to_owned()
    } else {
        prelude(line, false)
    };
    text.body(0, 3, 0);
    for n in 0..2 + text.r.below(4) {
        text.include(n);
        text.body(0, 2, 0);
    }
    ended(text)
}

fn ended(text: Text) -> String {
    let Text { mut out, r, .. } = text;
    if r.one_in(8) {
        out.pop();
    }
    out
}

const GUARDS: [&str; 7] = [
    "#ifndef G{}",
    "#if !defined G{}",
    "#if !defined(G{})",
    "# if ! defined ( G{} ) /* g */",
    "%:ifndef G{}",
    "#if !(defined G{})",
    "#if !defined G{} && 1",
];

/// The text of header number `n`.
fn header(r: &mut Random, line: &CommandLine, n: usize) -> String {
    let mut text = Text::new(r, line);
    if text.r.one_in(5) {
        let before = text.r.pick(&[
            "// a comment\n",
            "/* two\nlines */\n",
            "int before;\n",
            "\n\n",
            "#pragma GCC system_header\n",
            "\\\n",
            "#\n",
        ]);
        text.out.push_str(before);
    }
    match text.r.below(13) {
        0..=3 => {
            let guard = text.r.pick(&GUARDS).replace("{}", &n.to_string());
            // Not all dialects have digraphs.
            let digraphs = line.line_comments && line.language != Language::Assembler;
            let guard = if digraphs {
                guard
            } else {
                guard.replace("%:", "#")
            };
            let _ = writeln!(text.out, "{guard}\n#define G{n}");
            text.body(0, 4, 0);
            if text.r.one_in(5) {
                text.out.push_str("#else\n");
                text.body(0, 2, n + 1);
            }
            text.out.push_str("#endif\n");
            if text.r.one_in(5) {
                let after = text.r.pick(&[
                    "int after;\n",
                    "// after\n",
                    "/*\n*/\n",
                    "#define E1 after\n",
                ]);
                text.out.push_str(after);
            }
        }
        4 | 5 => {
            let once = text.r.pick(&[
                "#pragma once\n",
                "_Pragma(\"once\")\n",
                "# pragma /* x */ once\n",
                "#pragma once extra\n",
                "_Pragma(  \"once\" ) int a;\n",
                "PRAGMA(once)\n",
            ]);
            // In assembler text `_Pragma` is no operator that acts.
            let once = if line.language == Language::Assembler {
                "#pragma once\n"
            } else {
                once
            };
            text.out.push_str(once);
            text.body(0, 4, 0);
        }
        6 => {
            // Each inclusion does something else, like Boost.Preprocessor's iteration.
            let _ = writeln!(text.out, "#ifndef C{n}\n#define C{n} 1");
            text.body(0, 2, 0);
            let _ = writeln!(text.out, "#elif C{n} == 1\n#undef C{n}\n#define C{n} 2");
            text.body(0, 2, 0);
            let _ = writeln!(text.out, "#elif C{n} == 2\n#undef C{n}\n#define C{n} 3");
            text.body(0, 2, n + 1);
            text.out.push_str("#endif\n");
        }
        7 => {
            // It reads itself again, in another mode.
            let _ = writeln!(text.out, "#ifndef SELF{n}\n#define SELF{n}");
            // clang may know the file's folder by another name. The engine refuses `__FILE__` beside `#line`.
            let plain = line.reference == Reference::Gcc && text.style.asks_for_lines;
            let itself = text
                .r
                .pick(&["STR(CAT(h,{}).h)", "HEADER({})", "__FILE__"][..2 + usize::from(plain)]);
            let number = if n < 6 { n } else { 5 };
            let itself = itself.replace("{}", &number.to_string());
            let _ = writeln!(
                text.out,
                "#if __has_include({itself})\n#include {itself}\n#endif"
            );
            text.body(0, 2, n + 1);
            let _ = writeln!(text.out, "#undef SELF{n}\n#else");
            text.body(0, 3, n + 1);
            text.out.push_str("#endif\n");
        }
        8 => {
            // A wrapper around the next header of its name.
            let name = header_name(n);
            let gcc = line.reference == Reference::Gcc;
            let quotes = gcc || text.r.one_in(4);
            let name = if quotes {
                format!("\"{name}\"")
            } else {
                format!("<{name}>")
            };
            text.body(0, 2, n + 1);
            let _ = writeln!(
                text.out,
                "#if __has_include_next({name})\n#include_next {name}\n#endif"
            );
            text.body(0, 2, n + 1);
        }
        _ => text.body(0, 4, n + 1),
    }
    ended(text)
}

/// The style of one file.
pub(crate) fn style<'a>(r: &mut Random, line: &'a CommandLine) -> Style<'a> {
    Style {
        line,
        asks_for_lines: r.one_in(2),
        raw_strings: r.one_in(2),
    }
}

#[test]
fn a_seed_makes_the_same_program_each_time() {
    let made = || format!("{:?}", crate::program::program(7, Reference::Gcc));
    assert_eq!(made(), made());
}
