//! What is compiled, and where 3.4 is known to do otherwise than the compiler alone.

use std::ffi::OsString;

use crate::Pair;
use crate::compare::Observed;

/// A compile.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    /// Target and name.
    pub(crate) links: Vec<(&'static str, &'static str)>,
    pub(crate) argv: Vec<OsString>,
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    pub(crate) goes: Goes,
    pub(crate) alone: Alone,
    /// Pump mode is not for it: the client says so, and sends preprocessed text.
    pub(crate) is_preprocessed_here: bool,
    pub(crate) known: Vec<Known>,
}

/// Where it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    ToServer,
    /// The preprocessor fails: plain clients send nothing.
    ToServerIfPump,
    /// Our client knows that the server cannot do it.
    ToServerFromPackaged,
    /// Our client says it in words that mean the same there.
    ToServerFromOurs,
    Nowhere,
}

/// How it ends without distcc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    Succeeds,
    Fails,
    /// It succeeds here, and the server has no such compiler.
    NoCompiler,
}

/// Something that 3.4 does wrong.
pub(crate) struct Known {
    pub(crate) what: &'static str,
    pub(crate) applies: fn(Pair) -> bool,
    /// Whether it does what it is known to do; with the local compile and that through distcc.
    pub(crate) check: fn(&Observed, &Observed) -> bool,
}

impl Case {
    pub(crate) fn fails(&self) -> bool {
        self.alone != Alone::Succeeds
    }

    pub(crate) fn known(&self, pair: Pair) -> Option<&Known> {
        self.known.iter().find(|known| (known.applies)(pair))
    }

    pub(crate) fn is_sent(&self, pair: Pair) -> bool {
        match self.goes {
            Goes::ToServer => true,
            Goes::ToServerIfPump => !pair.is_plain(),
            Goes::ToServerFromPackaged => pair.has_packaged_client(),
            Goes::ToServerFromOurs => !pair.has_packaged_client(),
            Goes::Nowhere => false,
        }
    }

    /// `command` is split at blanks.
    fn new(name: &'static str, command: &str) -> Self {
        Self {
            name,
            files: Vec::new(),
            links: Vec::new(),
            argv: command.split(' ').map(OsString::from).collect(),
            variables: Vec::new(),
            goes: Goes::ToServer,
            alone: Alone::Succeeds,
            is_preprocessed_here: false,
            known: Vec::new(),
        }
    }

    fn words(mut self, words: &[&str]) -> Self {
        self.argv.extend(words.iter().map(OsString::from));
        self
    }

    fn file(mut self, name: &'static str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name, content.as_ref().to_vec()));
        self
    }

    fn link(mut self, target: &'static str, name: &'static str) -> Self {
        self.links.push((target, name));
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn fails_with(mut self, alone: Alone) -> Self {
        self.alone = alone;
        self
    }

    fn goes(mut self, goes: Goes) -> Self {
        self.goes = goes;
        self
    }

    fn preprocessed_here(mut self) -> Self {
        self.is_preprocessed_here = true;
        self
    }

    fn but(
        mut self,
        what: &'static str,
        applies: fn(Pair) -> bool,
        check: fn(&Observed, &Observed) -> bool,
    ) -> Self {
        self.known.push(Known {
            what,
            applies,
            check,
        });
        self
    }
}

fn plain_packaged_client(pair: Pair) -> bool {
    pair.has_packaged_client() && pair.is_plain()
}

/// The usual one: a source with a header.
const MAIN: &str = "#include \"inc/greet.h\"\n\
    #include <stdio.h>\n\
    static const char *const where = __FILE__;\n\
    int main(void) { printf(\"%s %d %s\\n\", GREETING, greet(3), where); return 0; }\n";
const GREET: &str = "#pragma once\n\
    #include \"deep.h\"\n\
    #define GREETING \"hello\"\n\
    static inline int greet(int n) { return n + DEEP; }\n";
const DEEP: &str = "#define DEEP 7\n";

fn usual(name: &'static str, command: &str) -> Case {
    Case::new(name, command)
        .file("main.c", MAIN)
        .file("inc/greet.h", GREET)
        .file("inc/deep.h", DEEP)
}

pub(crate) fn all() -> Vec<Case> {
    [
        ordinary(),
        messages(),
        failures(),
        names(),
        dependency_files(),
        paths(),
        contents(),
        outputs(),
        side_files(),
        local(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn ordinary() -> Vec<Case> {
    vec![
        usual("success", "gcc -c main.c -o main.o"),
        usual("no -o", "gcc -O2 -c main.c"),
        usual("debug information", "gcc -O2 -g -c main.c -o main.o"),
        usual(
            "debug information of DWARF 4",
            "gcc -gdwarf-4 -c main.c -o main.o",
        ),
        usual("macro debug information", "gcc -g3 -c main.c -o main.o"),
        usual(
            "all at once",
            "gcc -std=gnu11 -O2 -Wall -Wextra -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2 -DX -UX -Iinc -c -o main.o main.c",
        ),
        Case::new("C++", "g++ -std=c++17 -O2 -c v.cc -o v.o").file(
            "v.cc",
            "#include <vector>\n#include <string>\n\
             std::string join(const std::vector<std::string>& words) {\n\
             std::string all; for (const auto& word : words) all += word; return all; }\n",
        ),
        Case::new("C++ with debug information", "g++ -g -c v.cc -o v.o").file(
            "v.cc",
            "#include <map>\nstd::map<int, int> m; int f() { return m[3]; }\n",
        ),
        usual("clang", "clang -O2 -c main.c -o main.o"),
        Case::new("clang++", "clang++ -O2 -c v.cpp -o v.o").file(
            "v.cpp",
            "#include <memory>\nint f() { return *std::make_unique<int>(3); }\n",
        ),
        usual("generic name of the compiler", "cc -c main.c -o main.o"),
        usual("compiler by its path", "/usr/bin/gcc -c main.c -o main.o"),
    ]
}

fn messages() -> Vec<Case> {
    let warning = "int f(int used) { int unused = 3; return used; }\n";
    vec![
        Case::new("warning", "gcc -Wall -c w.c -o w.o").file("w.c", warning),
        Case::new("warning in a header", "gcc -Wall -Iinc -c w.c -o w.o")
            .file("inc/w.h", "static int lonely(void) { return 3; }\n")
            .file("w.c", "#include <w.h>\nint f(void) { return 3; }\n"),
        Case::new(
            "warning in colour",
            "gcc -Wall -fdiagnostics-color=always -c w.c -o w.o",
        )
        .file("w.c", warning)
        .but(
            // The excerpt's lines begin with an escape sequence here, so `compare` does not
            // recognise them: only that colours arrive is compared.
            "plain mode has no excerpt of the source",
            Pair::is_plain,
            |local, through| {
                through.code == 0
                    && local.mentions(b"\x1b[01;35m")
                    && through.mentions(b"\x1b[01;35m")
                    && local.files == through.files
            },
        ),
        Case::new("warning of the preprocessor", "gcc -c w.c -o w.o")
            .file("w.c", "#warning \"beware\"\nint f(void) { return 3; }\n"),
    ]
}

fn failures() -> Vec<Case> {
    // The message of a plain client's preprocessor is shown, and so is that of the local compile
    // that follows.
    let twice: fn(&Observed, &Observed) -> bool = |local, through| {
        let (once, now) = (local.compiler_messages(), through.compiler_messages());
        through.code == local.code
            && (now == once.repeat(2) || now == once)
            && through.has_only(&[])
    };
    vec![
        Case::new("syntax error", "gcc -c bad.c -o bad.o")
            .file("bad.c", "int f(void) { return 3 }\n")
            .fails_with(Alone::Fails),
        Case::new("syntax error in C++", "g++ -c bad.cc -o bad.o")
            .file(
                "bad.cc",
                "struct S { int n; };\nint f(S s) { return s.m; }\n",
            )
            .fails_with(Alone::Fails),
        Case::new("warning as error", "gcc -Wall -Werror -c w.c -o w.o")
            .file("w.c", "int f(void) { int unused; return 3; }\n")
            .fails_with(Alone::Fails),
        Case::new("#error", "gcc -c e.c -o e.o")
            .file("e.c", "#error \"no\"\n")
            .goes(Goes::ToServerIfPump)
            .fails_with(Alone::Fails)
            .but(
                "C3: a preprocessor's error is shown twice",
                plain_packaged_client,
                twice,
            ),
        Case::new("missing header", "gcc -c m.c -o m.o")
            .file(
                "m.c",
                "#include <stdio.h>\n#include \"absent.h\"\nint f(void) { return 3; }\n",
            )
            .goes(Goes::ToServerIfPump)
            .fails_with(Alone::Fails)
            .but(
                "C3: a preprocessor's error is shown twice",
                plain_packaged_client,
                twice,
            ),
        usual("unknown option", "gcc --bogus-option -c main.c -o main.o")
            .goes(Goes::Nowhere)
            .fails_with(Alone::Fails)
            .but(
                "C3: a preprocessor's error is shown twice",
                Pair::has_packaged_client,
                twice,
            ),
        Case::new("old object of a failed compile", "gcc -c bad.c -o bad.o")
            .file("bad.c", "int f(void) { return 3 }\n")
            .file("bad.o", "old")
            .fails_with(Alone::Fails),
        usual(
            "compiler killed by a signal",
            "dying-gcc -c main.c -o main.o",
        )
        .fails_with(Alone::Fails),
        usual(
            "compiler that the server lacks",
            "my-gcc -c main.c -o main.o",
        )
        .fails_with(Alone::NoCompiler),
    ]
}

fn names() -> Vec<Case> {
    let source = "int f(void) { return 3; }\n";
    let odd = |name, file: &'static str, object| {
        Case::new(name, "gcc -c")
            .words(&[file, "-o", object])
            .file(file, source)
    };
    vec![
        odd("blank in a name", "two words.c", "two words.o"),
        odd("comma in a name", "one,two.c", "one,two.o"),
        odd("newline in a name", "one\ntwo.c", "one\ntwo.o"),
        odd("quotes in a name", "it's \"so\".c", "it's \"so\".o"),
        odd("several dots", "a.b.c", "a.b.o"),
        odd("bytes beyond ASCII", "\u{e4}\u{f6}.c", "\u{fc}.o"),
        Case::new("odd names of headers", "gcc -c h.c -o h.o")
            .file("h.c", "#include \"my header.h\"\n#include \"a,b.h\"\n#include \"a@b=c~d.h\"\nint f(void) { return A + B + C; }\n")
            .file("my header.h", "#define A 1\n")
            .file("a,b.h", "#define B 1\n")
            .file("a@b=c~d.h", "#define C 1\n"),
        Case::new("blank in an option", "gcc -c d.c -o d.o")
            .words(&["-DWORDS=\"two words\"", "-D", "N=1 + 2"])
            .file("d.c", "const char *words = WORDS; int n = N;\n"),
        Case::new("blank in a folder", "gcc -c d.c -o d.o")
            .words(&["-Imy headers"])
            .file("my headers/d.h", "#define N 3\n")
            .file("d.c", "#include <d.h>\nint n = N;\n"),
    ]
}

fn dependency_files() -> Vec<Case> {
    let sub = |name, command: &str| usual(name, command).file("sub/keep", "");
    vec![
        sub("-MD", "gcc -MD -c main.c -o sub/main.o").but(
            "A3: the file is named after the source, its target after that name",
            plain_packaged_client,
            |local, through| {
                let text = |seen: &Observed, name| {
                    seen.file(name)
                        .map(|text| String::from_utf8_lossy(text).into_owned())
                };
                local.has_only(&["sub/main.o", "sub/main.d"])
                    && through.has_only(&["sub/main.o", "main.d"])
                    && text(through, "main.d").is_some_and(|text| text.starts_with("main.o:"))
            },
        ),
        sub("-MMD -MF", "gcc -MMD -MF sub/deps.d -c main.c -o main.o"),
        sub(
            "-MMD -MF glued",
            "gcc -MMD -MFsub/deps.d -c main.c -o main.o",
        ),
        sub(
            "-MT",
            "gcc -MD -MF sub/deps.d -MT here/there.o -c main.c -o main.o",
        ),
        sub(
            "-MP",
            "gcc -MMD -MP -MF sub/deps.d -MT main.o -c main.c -o main.o",
        ),
        sub(
            "-MQ",
            "gcc -MMD -MF sub/deps.d -MQ $(objdir)/main.o -c main.c -o main.o",
        )
        .but(
            // The client adds -MT, and then both targets are written.
            "3.4 knows no -MQ in a pump's dependency file",
            |pair| pair.has_packaged_server() && !pair.is_plain(),
            |local, through| {
                local.file("main.o") == through.file("main.o")
                    && through.file("sub/deps.d").is_some()
            },
        ),
        sub(
            "-Wp,-MD",
            "gcc -Wp,-MD,sub/deps.d -MT main.o -c main.c -o main.o",
        ),
        sub(
            "two targets",
            "gcc -MMD -MF sub/deps.d -MT one -MT two -c main.c -o main.o",
        )
        .but(
            "3.4's server takes one -MT out of the command",
            |pair| pair.has_packaged_server() && !pair.is_plain(),
            |local, through| {
                local.file("main.o") == through.file("main.o")
                    && through.file("sub/deps.d").is_some()
            },
        ),
        Case::new(
            "odd names in a dependency file",
            "gcc -MMD -MF d.d -c d.c -o d.o",
        )
        .file(
            "d.c",
            "#include \"my header.h\"\n#include \"do$lar.h\"\nint n = A + B;\n",
        )
        .file("my header.h", "#define A 1\n")
        .file("do$lar.h", "#define B 1\n"),
        usual(
            "dependency file of many lines",
            "gcc -MD -MF main.d -MT main.o -c main.c -o main.o",
        ),
        usual(
            "absolute folders in a dependency file",
            "gcc -MMD -MF main.d -MT main.o -I@HERE@/inc -I @HERE@ -c @HERE@/main.c -o main.o",
        ),
    ]
}

fn paths() -> Vec<Case> {
    vec![
        usual("absolute source", "gcc -c @HERE@/main.c -o main.o"),
        usual("absolute source with debug information", "gcc -g -c @HERE@/main.c -o main.o"),
        usual("absolute object", "gcc -c main.c -o @HERE@/main.o"),
        Case::new("absolute folder", "gcc -I@HERE@/inc -isystem @HERE@/sys -c a.c -o a.o")
            .file("inc/a.h", "static const char *a = __FILE__;\n")
            .file("sys/s.h", "static const char *s = __FILE__;\n")
            .file("a.c", "#include <a.h>\n#include <s.h>\nconst char *f(int n) { return n ? a : s; }\n"),
        Case::new("absolute include", "gcc -c a.c -o a.o")
            .file("inc/a.h", "static const char *a = __FILE__;\n")
            .file("a.c", "#include \"@HERE@/inc/a.h\"\nconst char *f(void) { return a; }\n"),
        Case::new("source above the working folder's files", "gcc -c deep/down/../../a.c -o a.o")
            .file("deep/down/b.h", "#define B 3\n")
            .file("a.c", "#include \"deep/../deep/down/../down/b.h\"\nint b = B;\n"),
        Case::new("symbolic link to a header", "gcc -Iinc -c a.c -o a.o")
            .file("real/header.h", "#include \"beside.h\"\n")
            .file("inc/beside.h", "#define BESIDE 3\n")
            .file("a.c", "#include <link.h>\nint a = BESIDE;\nconst char *b = __FILE__;\n")
            .link("../real/header.h", "inc/link.h"),
        Case::new("symbolic link to a folder", "gcc -Iinc -c a.c -o a.o")
            .file("real/header.h", "#define A 3\n")
            .file("a.c", "#include <header.h>\nint a = A;\n")
            .link("real", "inc"),
        Case::new("symbolic link to the source", "gcc -c link.c -o link.o")
            .file("real/a.c", "#include \"h.h\"\nint a = A;\n")
            .file("h.h", "#define A 3\n")
            .link("real/a.c", "link.c"),
        Case::new("dots through a linked folder", "gcc -c a.c -o a.o")
            .file("one/two/keep", "")
            .file("one/h.h", "#define A 3\n")
            .file("a.c", "#include \"two/../h.h\"\nint a = A;\n")
            .link("one/two", "two"),
        Case::new("words in a file", "gcc @words -o a.o")
            .file("words", "-c -DNAME=\\\"n\\\" 'a.c'\n")
            .file("a.c", "const char *name = NAME;\n"),
        Case::new("-include and -imacros", "gcc -include first.h -imacros macros.h -c a.c -o a.o")
            .file("first.h", "static int first;\n")
            .file("macros.h", "#define M 3\n")
            .file("a.c", "int *f(void) { first = M; return &first; }\n"),
        Case::new("-iquote and -idirafter", "gcc -iquote q -idirafter after -c a.c -o a.o")
            .file("q/a.h", "#define Q 3\n")
            .file("after/b.h", "#define B 3\n")
            .file("a.c", "#include \"a.h\"\n#include <b.h>\nint q = Q + B;\n"),
        Case::new("#include_next", "gcc -Ione -Itwo -c a.c -o a.o")
            .file("one/a.h", "#include_next <a.h>\n#define ONE 1\n")
            .file("two/a.h", "#define TWO 2\n")
            .file("a.c", "#include <a.h>\nint a = ONE + TWO;\n"),
        Case::new("__has_include", "gcc -c a.c -o a.o")
            .file("there.h", "")
            .file("a.c", "#if __has_include(\"there.h\")\nint there = 1;\n#endif\n#if __has_include(\"gone.h\")\nint gone = 1;\n#endif\n"),
        Case::new("computed include", "gcc -DNAME=config.h -c a.c -o a.o")
            .file("config.h", "#define N 3\n")
            .file("a.c", "#define TEXT(x) #x\n#define QUOTED(x) TEXT(x)\n#include QUOTED(NAME)\nint n = N;\n"),
        Case::new("folders in the environment", "gcc -c a.c -o a.o")
            .file("inc/a.h", "#define A 3\n")
            .file("a.c", "#include <a.h>\nint a = A;\n")
            .variable("CPATH", "inc")
            .preprocessed_here(),
    ]
}

fn contents() -> Vec<Case> {
    vec![
        Case::new("empty source", "gcc -c empty.c -o empty.o").file("empty.c", ""),
        Case::new("empty header", "gcc -c a.c -o a.o")
            .file("empty.h", "")
            .file("a.c", "#include \"empty.h\"\nint a;\n"),
        Case::new("bytes beyond ASCII in a source", "gcc -c a.c -o a.o")
            .file("a.c", b"const char *a = \"\xc3\xa9 \xe9\";\n"),
        Case::new("lines ended by CR LF", "gcc -c a.c -o a.o")
            .file("a.c", "#define A \\\r\n 3\r\nint a = A;\r\n"),
        Case::new("no newline at the end", "gcc -c a.c -o a.o").file("a.c", "int a = 3;"),
        Case::new("large source", "gcc -c a.c -o a.o").file(
            "a.c",
            (0..50_000).fold(String::new(), |text, n| {
                text + &format!("int a{n} = {n};\n")
            }),
        ),
        Case::new("preprocessed source", "gcc -c a.i -o a.o")
            .file(
                "a.i",
                "# 0 \"a.c\"\n# 1 \"a.c\"\nint a(void) { return 3; }\n",
            )
            .preprocessed_here(),
        Case::new("preprocessed C++ source", "g++ -c a.ii -o a.o")
            .file("a.ii", "# 1 \"a.cc\"\nint a() { return 3; }\n")
            .preprocessed_here(),
        Case::new("Objective-C extension for C++", "g++ -c a.C -o a.o").file(
            "a.C",
            "template <class T> T f(T t) { return t; }\nint a = f(3);\n",
        ),
        Case::new("inline assembly", "gcc -c a.c -o a.o").file(
            "a.c",
            "int a(void) { int n; __asm__(\"mov $3, %0\" : \"=r\"(n)); return n; }\n",
        ),
    ]
}

fn outputs() -> Vec<Case> {
    vec![
        usual("-o glued", "gcc -c main.c -omain.o"),
        usual("assembly as output", "gcc -S main.c -o main.s"),
        usual("assembly without -o", "gcc -O2 -S main.c"),
        usual("/dev/null as output", "gcc -c main.c -o /dev/null"),
        usual("object that is there already", "gcc -c main.c -o main.o").file("main.o", "old"),
        usual("object with another extension", "gcc -c main.c -o main.obj"),
        usual("language by option", "gcc -x c++ -c main.c -o main.o").but(
            "A7: what is preprocessed already is sent as a source: the object names another file",
            plain_packaged_client,
            |local, through| {
                through.code == 0
                    && through.has_only(&["main.o"])
                    && local.file("main.o") != through.file("main.o")
            },
        ),
        usual("-Xpreprocessor", "gcc -c main.c -Xpreprocessor -DX -o main.o")
        .preprocessed_here()
        .but(
            "A1: the option's argument is lost; the server's compiler eats -o: empty object, success",
            |pair| pair.has_packaged_client() && pair.has_packaged_server(),
            |_, through| through.code == 0 && through.file("main.o") == Some(b""),
        )
        .but(
            "A1: our server refuses it, so that the client compiles by itself",
            Pair::has_packaged_client,
            |_, through| through.code == 116 && through.has_only(&[]),
        ),
    ]
}

/// Options that make the compiler write more files than object and dependencies. Neither protocol
/// carries these.
fn side_files() -> Vec<Case> {
    let case = |name, command: &str| {
        usual(name, command)
            .goes(Goes::ToServerFromPackaged)
            .but(
                "A4: the other files stay on the server",
                |pair| pair.has_packaged_client() && pair.has_packaged_server(),
                |local, through| through.code == 0 && through.files.len() < local.files.len(),
            )
            .but(
                "our server refuses, and this client may not compile here",
                |pair| pair.has_packaged_client() && !pair.has_packaged_server(),
                |_, through| through.code != 0 && through.files.is_empty(),
            )
    };
    vec![
        case(
            "split debug information",
            "gcc -g -gsplit-dwarf -c main.c -o main.o",
        ),
        case("intermediate files", "gcc -save-temps -c main.c -o main.o"),
        case("stack usage", "gcc -fstack-usage -c main.c -o main.o"),
        case(
            "dump of a pass",
            "gcc -fdump-tree-optimized -c main.c -o main.o",
        ),
        case("declarations", "gcc -aux-info main.X -c main.c -o main.o"),
    ]
}

/// What must not be sent.
fn local() -> Vec<Case> {
    let stays = |name, command: &str| usual(name, command).goes(Goes::Nowhere);
    vec![
        stays("compile and link", "gcc main.c -o main"),
        stays("preprocess", "gcc -E main.c"),
        stays("list headers", "gcc -M main.c"),
        stays("two sources", "gcc -c main.c more.c").file("more.c", "int more;\n"),
        stays("assembler source", "gcc -c a.s -o a.o").file("a.s", ".globl a\na:\n"),
        usual(
            "this machine's processor",
            "gcc -march=native -c main.c -o main.o",
        )
        .goes(Goes::ToServerFromOurs),
        // Without a seed the compiler numbers each compile differently.
        stays(
            "coverage",
            "gcc --coverage -frandom-seed=1 -c main.c -o main.o",
        ),
        // Without a pipe the listing names a temporary file.
        stays(
            "listing of the assembler",
            "gcc -pipe -Wa,-al=main.lst -c main.c -o main.o",
        ),
        stays("output to stdout", "gcc -S main.c -o -"),
        stays("version", "gcc --version"),
    ]
}
