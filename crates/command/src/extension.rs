//! What the extension of a file name says about a source file.
//!
//! The extension runs from the last dot to the end and is case-sensitive.
//! Source: the table that distcc 3.4 works by.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What kind of file a source extension stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whether the text is preprocessed already (`.i`, `.ii`, `.mi`, `.mii`).
    pub preprocessed: bool,
    /// The extension, with its dot, of the text after preprocessing.
    pub preprocessed_extension: &'static str,
}

/// The source file that `name` names by its extension; `None` where it is not one that 3.4
/// would distribute (`.s` and `.S` included: assembler runs locally).
#[must_use]
pub fn source(name: &OsStr) -> Option<Source> {
    let name = name.as_bytes();
    let extension = &name[stem_length(name)?..];
    let (preprocessed, preprocessed_extension) = match extension {
        b".c" => (false, ".i"),
        b".i" => (true, ".i"),
        b".cc" | b".cpp" | b".cxx" | b".cp" | b".c++" | b".C" => (false, ".ii"),
        b".ii" => (true, ".ii"),
        b".m" => (false, ".mi"),
        b".mi" => (true, ".mi"),
        b".mm" | b".M" => (false, ".mii"),
        b".mii" => (true, ".mii"),
        _ => return None,
    };
    Some(Source {
        preprocessed,
        preprocessed_extension,
    })
}

/// Whether `-x` knows a language of this name that is distributed.
pub(crate) fn is_language(name: &[u8]) -> bool {
    matches!(
        name,
        b"c" | b"c++"
            | b"objective-c"
            | b"objective-c++"
            | b"cpp-output"
            | b"c++-cpp-output"
            | b"objective-c-cpp-output"
            | b"objective-c++-cpp-output"
            | b"c-header"
            | b"c++-header"
            | b"objective-c-header"
            | b"objective-c++-header"
    )
}

/// `name` with everything from the last dot of its last component replaced by `extension`
/// (with its dot), or followed by it if there is no such dot.
pub(crate) fn replaced(name: &[u8], extension: &[u8]) -> Vec<u8> {
    let stem = &name[..stem_length(name).unwrap_or(name.len())];
    [stem, extension].concat()
}

/// What follows the last slash.
pub(crate) fn basename(name: &[u8]) -> &[u8] {
    let start = name.iter().rposition(|&byte| byte == b'/');
    &name[start.map_or(0, |slash| slash + 1)..]
}

/// Where the last dot of the last component stands.
fn stem_length(name: &[u8]) -> Option<usize> {
    let in_basename = basename(name).iter().rposition(|&byte| byte == b'.')?;
    Some(name.len() - basename(name).len() + in_basename)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<(bool, &'static str)>) {
        let expected = expected.map(|(preprocessed, preprocessed_extension)| Source {
            preprocessed,
            preprocessed_extension,
        });
        assert_eq!(source(OsStr::new(name)), expected, "{name}");
    }

    #[test]
    fn knows_what_is_distributed() {
        check("a.c", Some((false, ".i")));
        check("dir.x/a.c", Some((false, ".i")));
        check("a.b.i", Some((true, ".i")));
        for cxx in ["a.cc", "a.cpp", "a.cxx", "a.cp", "a.c++", "a.C"] {
            check(cxx, Some((false, ".ii")));
        }
        check("a.ii", Some((true, ".ii")));
        check("a.m", Some((false, ".mi")));
        check("a.mi", Some((true, ".mi")));
        check("a.mm", Some((false, ".mii")));
        check("a.M", Some((false, ".mii")));
        check("a.mii", Some((true, ".mii")));
        check(".c", Some((false, ".i")));
    }

    #[test]
    fn leaves_the_rest() {
        for name in [
            "", ".", "a", "a.", "c", "a.s", "a.S", "a.CXX", "a.cu", "a.f", "a.d", "a.h", "a.o",
            "a.c/b", "a.c/", "a.c ", "a.Cc",
        ] {
            check(name, None);
        }
    }

    #[test]
    fn replaces_the_extension_of_the_last_component() {
        for (name, expected) in [
            ("x.o", "x.d"),
            ("sub/x.o", "sub/x.d"),
            ("sub.d/x", "sub.d/x.d"),
            ("x", "x.d"),
            ("x.y.o", "x.y.d"),
            ("x.", "x.d"),
            ("x..", "x..d"),
            (".hidden", ".d"),
            ("", ".d"),
        ] {
            assert_eq!(
                replaced(name.as_bytes(), b".d"),
                expected.as_bytes(),
                "{name}"
            );
        }
    }
}
