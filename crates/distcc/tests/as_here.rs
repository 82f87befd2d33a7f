//! What a compile reads and leaves behind, beside its object's text, is as with the compiler alone.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use protocol::Version;
use support::{FakeServer, Place, run, success};

/// A command with a source that no server can compile: it runs here, for this reason, and all is as without distcc.
#[track_caller]
fn stays(fill: impl Fn(&Place), words: &str, why: &str, object: &str) {
    let server = FakeServer::answering(success(Version::Plain, b"of the server"));
    let (place, reference) = (Place::new(), Place::new());
    fill(&place);
    fill(&reference);
    let local = reference.local(words);
    for fallback in ["0", "1"] {
        let mut distcc = place.distcc(&server.host(), words);
        distcc.env("DISTCC_FALLBACK", fallback);
        let outcome = run(distcc.env("DISTCC_VERBOSE", "1"));
        outcome.assert_says(local.code, &format!("running locally: {why}"));
        assert_eq!(place.names(), reference.names(), "{words}");
        if local.code == 0 {
            assert!(place.read(object) == reference.read(object), "{words}");
        }
    }
}

#[test]
fn files_that_the_assembler_reads_are_those_here() {
    let fill = |place: &Place| {
        place.write("blob", "these bytes\n");
        place.write("b.s", ".globl b\nb:\n");
        place.write("a.c", "__asm__(\".incbin \\\"blob\\\"\");\n");
        place.write(
            "b.c",
            "#define STR(x) #x\n__asm__(STR(.Include) \" \\\"b.s\\\"\");\nint f(void) { return 1; }\n",
        );
        place.write("c.i", "__asm__(\"\\n.incbin\\t\\\"/etc/passwd\\\"\");\n");
    };
    let why = ".incbin or .include in the source reads files here";
    for words in [
        "gcc -c a.c -o x.o",
        "gcc -O2 -c b.c -o x.o",
        "clang -c a.c -o x.o",
        "gcc -c c.i -o x.o",
    ] {
        stays(fill, words, why, "x.o");
    }
}
