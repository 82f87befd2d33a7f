//! What a developer does between two builds: edits a header, adds a source file. Taken back when dropped.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use includes::Command;

use crate::Failure;

/// A header with one more line.
pub(crate) struct EditedHeader {
    path: PathBuf,
    text: Vec<u8>,
}

impl EditedHeader {
    /// Adds the line at the header's end, within its include guard.
    pub(crate) fn new(path: &Path, line: &str) -> Result<Self, Failure> {
        let text = fs::read(path)?;
        let edited = with_line(&text, line);
        let header = EditedHeader {
            path: path.to_owned(),
            text,
        };
        fs::write(path, edited)?;
        Ok(header)
    }
}

impl Drop for EditedHeader {
    fn drop(&mut self) {
        // The figures after a failure would be of another project.
        fs::write(&self.path, &self.text).expect("the header was written before");
    }
}

/// The text with one more line, in front of a last line `#endif`.
fn with_line(text: &[u8], line: &str) -> Vec<u8> {
    let body = text.trim_ascii_end();
    let last = memrchr_newline(body).map_or(0, |at| at + 1);
    let place = if body[last..].starts_with(b"#endif") {
        last
    } else {
        text.len()
    };
    let mut out = text[..place].to_vec();
    if !out.is_empty() && out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&text[place..]);
    out
}

fn memrchr_newline(text: &[u8]) -> Option<usize> {
    text.iter().rposition(|&b| b == b'\n')
}

/// A source file that nobody has seen before, and its compile.
pub(crate) struct NewSource {
    pub(crate) command: Command,
    path: PathBuf,
}

impl NewSource {
    /// A copy of a compile's source file in the same folder, with one more function.
    pub(crate) fn beside(command: &Command, input: &[u8], number: usize) -> Result<Self, Failure> {
        let input = Path::new(OsStr::from_bytes(input));
        let mut name = OsString::from(format!("pumpcc_new_{number}_"));
        name.push(input.file_name().ok_or("a source file has a name")?);
        let new = input.with_file_name(name);
        let mut argv = command.argv.clone();
        let word = argv
            .iter_mut()
            .rev()
            .find(|word| *word == input.as_os_str());
        *word.ok_or("the command does not name its source file")? = new.clone().into_os_string();
        let folder = PathBuf::from(OsString::from_vec(command.cwd.clone()));
        let mut text = fs::read(folder.join(input))?;
        if input
            .extension()
            .is_none_or(|extension| extension.as_bytes() != b"S")
        {
            text.extend_from_slice(
                format!("\nint pumpcc_new_{number}(void) {{ return {number}; }}\n").as_bytes(),
            );
        }
        let path = folder.join(new);
        fs::write(&path, text)?;
        Ok(NewSource {
            command: Command {
                argv,
                ..command.clone()
            },
            path,
        })
    }
}

impl Drop for NewSource {
    fn drop(&mut self) {
        fs::remove_file(&self.path).expect("the source file was written before");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_within_the_guard() {
        let check = |text: &str, expected: &str| {
            let got = with_line(text.as_bytes(), "int x;");
            assert_eq!(String::from_utf8_lossy(&got), expected);
        };
        check(
            "#ifndef A\n#endif // A\n\n",
            "#ifndef A\nint x;\n#endif // A\n\n",
        );
        check("#pragma once\nint a;", "#pragma once\nint a;\nint x;\n");
        check("#endif", "int x;\n#endif");
        check("", "int x;\n");
    }

    #[test]
    fn edits_are_taken_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (header, source) = (folder.path().join("a.h"), folder.path().join("a.c"));
        fs::write(&header, "int a;\n").expect("temporary folder");
        fs::write(&source, "#include \"a.h\"\n").expect("temporary folder");
        let command = Command {
            cwd: folder.path().as_os_str().as_bytes().to_vec(),
            argv: ["gcc", "-c", "a.c"].map(OsString::from).to_vec(),
            env: Vec::new(),
        };
        let names = || {
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .expect("temporary folder")
                .map(|entry| entry.expect("temporary folder").file_name())
                .collect();
            names.sort();
            names
        };
        {
            let _edit = EditedHeader::new(&header, "int b;").expect("it can be written");
            assert_eq!(fs::read(&header).expect("it is there"), b"int a;\nint b;\n");
            let new = NewSource::beside(&command, b"a.c", 7).expect("it can be written");
            assert_eq!(new.command.argv[2], "pumpcc_new_7_a.c");
            assert_eq!(names(), ["a.c", "a.h", "pumpcc_new_7_a.c"]);
        }
        assert_eq!(fs::read(&header).expect("it is there"), b"int a;\n");
        assert_eq!(names(), ["a.c", "a.h"]);
    }
}
