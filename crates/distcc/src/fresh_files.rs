//! Did a file change during the build that a compile depends on? Then a compile that failed on a
//! server and not here is explained. Source: 3.4.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use command::Compile;
use command::makefile;

use crate::settings::Settings;

/// Names the first file that changed since the build began, among those that the dependency file
/// of a compile lists. `None` also where there is no such file, or no build under `pump`.
pub(crate) fn changed(job: &Compile, settings: &Settings) -> Option<String> {
    // `pump` makes the socket when the build begins.
    let began = changed_at(settings.pump.port.as_deref()?)?;
    let wanted = job.dependencies(settings.dependencies_output.as_deref())?;
    if changed_at(&wanted.file)? < began {
        return None;
    }
    let text = std::fs::read(&wanted.file).ok()?;
    let files = makefile::prerequisites(first_rule(&text), job.input())?;
    files
        .iter()
        .filter(|file| !is_excluded(file, settings.fresh_files_excluded.as_deref()))
        .map_while(|file| Some((file, changed_at(file)?)))
        .find(|(_, changed)| *changed >= began)
        .map(|(file, _)| file.display().to_string())
}

/// When content or properties of a file changed last.
fn changed_at(file: &OsStr) -> Option<(i64, i64)> {
    let file = std::fs::metadata(file).ok()?;
    Some((file.ctime(), file.ctime_nsec()))
}

/// The text up to the end of its first rule: `-MP` adds further ones.
fn first_rule(text: &[u8]) -> &[u8] {
    let mut is_continued = false;
    let end = text.iter().position(|&byte| {
        let ends = byte == b'\n' && !is_continued;
        is_continued = byte == b'\\';
        ends
    });
    &text[..end.map_or(text.len(), |end| end + 1)]
}

/// Whether a name matches the glob `DISTCC_EXCLUDE_FRESH_FILES`.
fn is_excluded(file: &OsStr, glob: Option<&OsStr>) -> bool {
    let text = |text: &OsStr| CString::new(text.as_bytes()).ok();
    let (Some(glob), Some(file)) = (glob.and_then(text), text(file)) else {
        return false;
    };
    // SAFETY: both are C strings that live longer than the call.
    unsafe { libc::fnmatch(glob.as_ptr(), file.as_ptr(), 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_the_shells() {
        let check = |glob: &str, file: &str| is_excluded(file.as_ref(), Some(glob.as_ref()));
        assert!(check("*.inc", "dir/a.inc"));
        assert!(check("gen/[ab]?.h", "gen/ax.h"));
        assert!(!check("gen", "gen/ax.h"));
        assert!(!is_excluded("a".as_ref(), None));
    }

    #[test]
    fn further_rules_are_left_out() {
        let check = |text: &str, expected: &str| {
            assert_eq!(first_rule(text.as_bytes()), expected.as_bytes());
        };
        check("a.o: a.c \\\n b.h\n\nb.h:\n", "a.o: a.c \\\n b.h\n");
        check("a.o: a.c", "a.o: a.c");
    }
}
