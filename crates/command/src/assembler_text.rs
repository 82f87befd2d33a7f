//! Does a text have the assembler read files?
//!
//! `.incbin` and `.include` name files that no preprocessor lists, and that do not travel with preprocessed text: a server's
//! assembler would read the file of that name on its own machine, and say nothing.
//!
//! The words alone are looked for, in any case as the assembler has it, without telling strings from comments: one that is
//! found needlessly costs a compile elsewhere, one that is missed makes an object of something else. What is put
//! together from parts (`".inc" "bin"`, a macro of the assembler) is not seen.

/// Whether `text`, a source of C, C++ or the assembler, preprocessed or not, may have the assembler read files.
#[must_use]
pub fn reads_files(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = next_candidate(text, from) {
        if is_directive(&text[..at], &text[at..]) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Bytes that are looked at in one go.
const BLOCK: usize = 64;

/// Where a `.i` stands next. The loop over a block becomes vector instructions, and hardly a block has such a pair: 0.14 ms
/// for 2 MB of C++, which take 60 ms to be preprocessed.
fn next_candidate(text: &[u8], from: usize) -> Option<usize> {
    let is_pair = |first: u8, second: u8| (first == b'.') & (second | 0x20 == b'i');
    let firsts = &text[from..];
    let seconds = firsts.get(1..)?;
    let blocks = firsts.chunks(BLOCK).zip(seconds.chunks(BLOCK));
    for (nth, (firsts, seconds)) in blocks.enumerate() {
        let pairs = || firsts.iter().zip(seconds);
        let found = pairs().fold(0, |found, (&first, &second)| {
            found | u8::from(is_pair(first, second))
        });
        if found != 0 {
            let at = pairs().position(|(&first, &second)| is_pair(first, second))?;
            return Some(from + nth * BLOCK + at);
        }
    }
    None
}

/// Whether `here` begins with a directive that reads a file.
fn is_directive(before: &[u8], here: &[u8]) -> bool {
    let behind = |word: &[u8]| {
        let (start, rest) = here.split_at_checked(word.len())?;
        let is_whole = !rest.first().copied().is_some_and(is_name_byte);
        (is_whole && start.eq_ignore_ascii_case(word)).then_some(rest)
    };
    let names_file = behind(b".incbin").is_some()
        || behind(b".include").is_some_and(|rest| {
            // A string must follow, in a string: other things are initialisers and the like.
            let mut rest = rest.iter().skip_while(|byte| matches!(byte, b' ' | b'\t'));
            rest.next()
                .is_none_or(|byte| matches!(byte, b'"' | b'\\' | b'%' | b'{' | b'\r' | b'\n'))
        });
    names_file && !is_member(before)
}

/// Whether a dot behind `before` selects a member, or is within a name. The end of an escape (`"\n.incbin"`, `"\012.incbin"`)
/// is not the end of a name.
fn is_member(before: &[u8]) -> bool {
    match before.last() {
        Some(b')' | b']') => return true,
        Some(&last) if is_name_byte(last) => {}
        _ => return false,
    }
    /// More than an escape has.
    const LONGEST: usize = 16;
    let end = &before[before.len().saturating_sub(LONGEST)..];
    let name = end.iter().rev().take_while(|&&byte| is_name_byte(byte));
    let (rest, name) = end.split_at(end.len() - name.count());
    let is_escape = match name {
        [_] => true,
        [b'x', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.len() <= 3 && digits.iter().all(|digit| matches!(digit, b'0'..=b'7')),
    };
    !(is_escape && rest.ends_with(b"\\"))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_wherever_they_stand() {
        for text in [
            r#"asm(".incbin \"x\"");"#,
            r#"asm("\n.incbin" NAME);"#,
            r#"asm("\012.incbin \"x\"");"#,
            r#"asm("\x0a.incbin \"x\"");"#,
            r#"asm(".include \"x\"");"#,
            r#"asm("foo:\t.include " NAME);"#,
            r#"asm(R"(.include "x")");"#,
            r#"__asm__(STR(.incbin) "x");"#,
            r#"__asm__(".incbin" " \"" "x" "\"\n");"#,
            r#"asm(".INCBIN\t\"x\"");"#,
            "1:.Include \"x\"",
            ".include\n",
            ".incbin",
        ] {
            assert!(reads_files(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn members_and_names_are_not() {
        for text in [
            "options.include = 1;",
            "options.include(\"x\");",
            "f().include \"\"",
            "a[1].incbin",
            "struct s s = { .include = 5 };",
            "a.incbin",
            r#""\nfoo.incbin""#,
            r#""\01234.incbin""#,
            ".include_path \"x\"",
            ".incbinary",
            "incbin \"x\"",
            "# 1 \"a.inc\"",
            ".inc",
            ".i",
            ".",
            "",
        ] {
            assert!(!reads_files(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn no_place_in_a_block_hides_one() {
        for before in 0..3 * BLOCK {
            for behind in [0, 1, BLOCK] {
                let text = |word: &str| {
                    let text = [&" ".repeat(before), word, &" .i".repeat(behind)];
                    text.concat().into_bytes()
                };
                assert!(reads_files(&text(".incbin \"x\"")), "{before} {behind}");
                assert!(!reads_files(&text(".incbi \"x\"")), "{before} {behind}");
            }
        }
    }
}
