//! Words in a source text, with just enough of the compiler's view of lines and comments.

use std::borrow::Cow;

/// The text with continued lines joined, as the compiler sees it. A backslash may be written
/// as a trigraph, and blanks may stand behind it.
pub(super) fn splice(content: &[u8]) -> Cow<'_, [u8]> {
    let continued = |at: usize| -> Option<usize> {
        let rest = &content[at..];
        let rest = rest
            .strip_prefix(b"\\")
            .or_else(|| rest.strip_prefix(b"??/"))?;
        let blanks = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c))?;
        (rest[blanks] == b'\n').then(|| content.len() - rest.len() + blanks + 1)
    };
    let mut joined: Option<Vec<u8>> = None;
    let mut kept = 0;
    let mut at = 0;
    while let Some(step) = memchr::memchr2(b'\\', b'?', &content[at..]) {
        at += step;
        if let Some(next) = continued(at) {
            joined
                .get_or_insert_with(|| Vec::with_capacity(content.len()))
                .extend_from_slice(&content[kept..at]);
            kept = next;
            at = next;
        } else {
            at += 1;
        }
    }
    match joined {
        None => Cow::Borrowed(content),
        Some(mut text) => {
            text.extend_from_slice(&content[kept..]);
            Cow::Owned(text)
        }
    }
}

/// A place where a word stands: the rest of its line on both sides.
pub(super) struct Mention<'a> {
    pub(super) before: &'a [u8],
    pub(super) after: &'a [u8],
}

/// Every place where `word` stands as a whole word.
pub(super) fn words<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = Mention<'a>> {
    mentions(text, word).filter(|at| {
        !at.before.last().copied().is_some_and(is_name_byte)
            && !at.after.first().copied().is_some_and(is_name_byte)
    })
}

/// Every place where `needle` stands, also inside of words.
pub(super) fn mentions<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = Mention<'a>> {
    // Of the line last looked at. Lines can be megabytes long, so none is measured twice.
    let (mut start, mut end) = (0, 0);
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + find(&text[from..], needle)?;
        if let Some(newline) = memchr::memrchr(b'\n', &text[from..at]) {
            start = from + newline + 1;
        }
        from = at + needle.len();
        if end < from {
            end = memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |newline| from + newline);
        }
        Some(Mention {
            before: &text[start..at],
            after: &text[from..end],
        })
    })
}

/// Where `needle` stands first.
pub(super) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// Without blanks and whole comments at its end.
pub(super) fn trim_end(mut line: &[u8]) -> &[u8] {
    loop {
        line = line.trim_ascii_end();
        let Some(start) = line
            .strip_suffix(b"*/")
            .and_then(|body| body.windows(2).rposition(|pair| pair == b"/*"))
        else {
            return line;
        };
        line = &line[..start];
    }
}

/// Without blanks and whole comments at its start.
pub(super) fn trim_start(mut line: &[u8]) -> &[u8] {
    loop {
        line = line.trim_ascii_start();
        let Some(end) = line
            .strip_prefix(b"/*")
            .and_then(|body| Some(find(body, b"*/")? + 4))
        else {
            return line;
        };
        line = &line[end..];
    }
}

/// Whether a directive's name may follow. The end of a comment counts: the `#` may stand lines
/// before it.
pub(super) fn ends_as_directive(before: &[u8]) -> bool {
    let before = trim_end(before);
    [&b"#"[..], b"%:", b"??=", b"*/"]
        .iter()
        .any(|end| before.ends_with(end))
}

/// Whether what follows may be part of a directive.
pub(super) fn may_be_directive(before: &[u8]) -> bool {
    [&b"#"[..], b"%:", b"??=", b"*/"]
        .iter()
        .any(|mark| find(before, mark).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_are_joined() {
        for (text, joined) in [
            ("a\\\nb", "ab"),
            ("a\\ \t\r\nb\\\n\\\nc", "abc"),
            ("a??/\nb", "ab"),
            ("a\\b??/c\\", "a\\b??/c\\"),
            ("", ""),
        ] {
            assert_eq!(&*splice(text.as_bytes()), joined.as_bytes(), "{text}");
        }
        assert!(matches!(splice(b"a\\b"), Cow::Borrowed(_)));
    }

    #[test]
    fn words_are_whole_and_know_their_lines() {
        let found: Vec<_> = words(b"x\na ab b\n_a a$ a", b"a")
            .map(|at| (at.before, at.after))
            .collect();
        assert_eq!(found, [(&b""[..], &b" ab b"[..]), (b"_a a$ ", b"")]);
        let found: Vec<_> = mentions(b"aa\n\nba\na", b"a")
            .map(|at| (at.before, at.after))
            .collect();
        let none = &b""[..];
        assert_eq!(
            found,
            [(none, &b"a"[..]), (b"a", none), (b"b", none), (none, none)]
        );
    }

    #[test]
    fn whole_comments_are_trimmed() {
        assert_eq!(trim_end(b" a /* b */ /**/ "), b" a");
        assert_eq!(trim_end(b"a */ "), b"a */");
        assert_eq!(trim_start(b" /* b */ /**/ a "), b"a ");
        assert_eq!(trim_start(b"/* a"), b"/* a");
    }

    #[test]
    fn directives_may_be_behind_comments() {
        for before in ["  # ", "%:", "??= ", "#/* a */", "a */"] {
            assert!(ends_as_directive(before.as_bytes()), "{before}");
        }
        assert!(!ends_as_directive(b"a"));
        assert!(may_be_directive(b"# if a "));
        assert!(!may_be_directive(b"// a "));
    }
}
