//! A carriage return alone ends a line, for gcc and for clang, as it did on machines of long ago. Such files get line
//! feeds before anything else looks at them; nobody else pays more than a search for the byte.

use crate::parsing::dialect::Dialect;

/// The text with a line feed for each carriage return that stands alone; `None` if there is none.
pub(crate) fn with_line_feeds(text: &[u8], dialect: Dialect) -> Option<Vec<u8>> {
    let is_alone = |at: usize| text.get(at + 1) != Some(&b'\n');
    let mut returns = memchr::memchr_iter(b'\r', text).filter(|&at| is_alone(at));
    let first = returns.next()?;
    let mut settled = text[..first].to_vec();
    let mut from = first;
    for at in std::iter::once(first).chain(returns) {
        settled.extend_from_slice(&text[from..at]);
        // For clang the two halves of "\n\r" are one end of a line, which a backslash takes away as a whole.
        if !(dialect.clang && ends_in_splice(&settled)) {
            settled.push(b'\n');
        }
        from = at + 1;
    }
    settled.extend_from_slice(&text[from..]);
    Some(settled)
}

fn ends_in_splice(text: &[u8]) -> bool {
    let line = text.strip_suffix(b"\n");
    line.is_some_and(|line| line.trim_ascii_end().ends_with(b"\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_that_stand_alone_end_lines() {
        let check = |text: &str, gcc: Option<&str>, clang: Option<&str>| {
            for (is_clang, expected) in [(false, gcc), (true, clang)] {
                let dialect = Dialect {
                    clang: is_clang,
                    ..Dialect::default()
                };
                let settled = with_line_feeds(text.as_bytes(), dialect);
                let settled = settled.map(|bytes| String::from_utf8(bytes).unwrap());
                assert_eq!(settled.as_deref(), expected, "{text:?}");
            }
        };
        check("a\nb\r\n", None, None);
        let both = |text, expected| check(text, Some(expected), Some(expected));
        both("a\rb\r\r\nc\r", "a\nb\n\r\nc\n");
        both("\\\rb", "\\\nb");
        both("a\n\rb", "a\n\nb");
        check("\\ \n\rb", Some("\\ \n\nb"), Some("\\ \nb"));
    }
}
