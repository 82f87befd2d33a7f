//! Whether a compiler that failed found an error in the source. Then it fails everywhere; else its machine may be to blame: a
//! full disk, too little memory, a file that it could not open, the compiler itself.

/// Whether messages name a line of a file and an error there: `a.c:1:2: error: ...`, and assemblers' `a.s:1: Error: ...`.
///
/// Not a fatal one, which ends it before it knows: of a file that cannot be opened, say. Other languages' words are
/// not known; who takes these for no error compiles once more.
pub(crate) fn blames_source(stderr: &[u8]) -> bool {
    stderr.split(|&byte| byte == b'\n').any(|line| {
        let line = without_colours(line);
        [&b": error: "[..], b": Error: "].iter().any(|word| {
            let found = line.windows(word.len()).position(|part| part == *word);
            found.is_some_and(|at| ends_in_number(&line[..at]))
        })
    })
}

/// `NAME:1`
fn ends_in_number(place: &[u8]) -> bool {
    let digits = place.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let before = place.len() - digits.count();
    before < place.len() && before > 1 && place[before - 1] == b':'
}

/// Without the sequences that terminals take for colours: `ESC [`, numbers, a letter.
fn without_colours(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(line.len());
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0x1b => while bytes.next().is_some_and(|byte| !byte.is_ascii_alphabetic()) {},
            _ => text.push(byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_source_are_told_from_others() {
        for (stderr, expected) in [
            (
                "a.c: In function 'f':\na.c:3:5: error: 'y' undeclared\n",
                true,
            ),
            (
                "/w/a b.c:1:2: error: #warning x [-Werror=cpp]\ncc1: all warnings being treated as errors\n",
                true,
            ),
            (
                "\x1b[01m\x1b[Ka.c:1:9:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kno",
                true,
            ),
            (
                "\x1b[1ma.c:1:9: \x1b[0m\x1b[0;1;31merror: \x1b[0m\x1b[1muse of",
                true,
            ),
            (
                "/tmp/cc1.s: Assembler messages:\n/tmp/cc1.s:12: Error: no such instruction: `x'\n",
                true,
            ),
            ("{standard input}:7: Error: junk", true),
            ("", false),
            (
                "a.c:1:10: fatal error: x.h: No such file or directory\n",
                false,
            ),
            (
                "a.c:1:2: warning: told\ncc1: out of memory allocating 64 bytes\n",
                false,
            ),
            (
                "a.c:9:1: fatal error: error writing to /tmp/cc1.s: No space left on device\n",
                false,
            ),
            (
                "/tmp/cc1.s: Fatal error: can't write 9 bytes to section .text of a.o: 'No space left on device'\n",
                false,
            ),
            (
                "a.c:5:1: internal compiler error: Segmentation fault\n",
                false,
            ),
            (
                "cc1: error: unrecognized command-line option '-fx'\n",
                false,
            ),
            ("clang: error: unable to execute command: Killed\n", false),
            ("LLVM ERROR: out of memory\n", false),
            ("12: error: x", false),
            (": error: x", false),
        ] {
            assert_eq!(blames_source(stderr.as_bytes()), expected, "{stderr:?}");
        }
    }

    /// As they are, with colours and without.
    #[test]
    fn compilers_here_speak_so() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a.c");
        for (text, expected) in [("int x = y;\n", true), ("#include \"none.h\"\n", false)] {
            std::fs::write(&source, text).unwrap();
            for compiler in ["gcc", "clang"] {
                for colours in ["always", "never"] {
                    let done = std::process::Command::new(compiler)
                        .arg(format!("-fdiagnostics-color={colours}"))
                        .args(["-c", "-o", "/dev/null"])
                        .arg(&source)
                        .env("LC_ALL", "C")
                        .output()
                        .unwrap();
                    let said = String::from_utf8_lossy(&done.stderr);
                    assert_eq!(
                        blames_source(&done.stderr),
                        expected,
                        "{compiler}: {said:?}"
                    );
                }
            }
        }
    }
}
