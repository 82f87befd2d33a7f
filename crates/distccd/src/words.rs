//! The compiler's messages in the client's words: as if it had run there, on the client's files.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use command::Compile;

use crate::scratch::Scratch;

/// Paths of the server, and what the client knows them as.
#[derive(Debug)]
pub(crate) struct Words(Vec<(Vec<u8>, Vec<u8>)>);

impl Words {
    /// For preprocessed source in `input`, a path in the scratch folder.
    pub(crate) fn for_source(scratch: &Scratch, input: &Path, job: &Compile) -> Self {
        let input = (bytes(input), job.input().as_bytes().to_vec());
        Self::new(scratch, input, job)
    }

    /// For the client's tree: absolute paths lose its root.
    pub(crate) fn for_tree(scratch: &Scratch, job: &Compile) -> Self {
        Self::new(scratch, (bytes(&scratch.root()), Vec::new()), job)
    }

    /// For a compiler that has the client's own paths, but for its `output`, and for its `input`
    /// if that was sent preprocessed.
    pub(crate) fn in_place(input: Option<&Path>, output: &Path, job: &Compile) -> Self {
        let input = input.map(|input| (bytes(input), job.input().as_bytes().to_vec()));
        let output = (bytes(output), job.output().as_bytes().to_vec());
        Self(input.into_iter().chain([output]).collect())
    }

    fn new(scratch: &Scratch, input: (Vec<u8>, Vec<u8>), job: &Compile) -> Self {
        let output = (bytes(&scratch.object()), job.output().as_bytes().to_vec());
        // Where the compiler's own temporary files would be at home.
        let rest = (bytes(scratch.path()), b"/tmp".to_vec());
        Self(vec![input, output, rest])
    }

    /// How many times longer a text may become.
    pub(crate) fn growth(&self) -> u64 {
        let factors = self
            .0
            .iter()
            .map(|(from, to)| to.len().div_ceil(from.len()));
        factors.max().unwrap_or(1).max(1) as u64
    }

    /// A text with all paths replaced, in one go: what a client's own name looks like is not
    /// replaced again, or its length would be multiplied with that of another one.
    pub(crate) fn translate(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(&byte) = rest.first() {
            let found = self.0.iter().find(|(from, _)| rest.starts_with(from));
            match found {
                Some((from, to)) => {
                    out.extend_from_slice(to);
                    rest = &rest[from.len()..];
                }
                None => {
                    out.push(byte);
                    rest = &rest[1..];
                }
            }
        }
        out
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz::Target;

    #[test]
    fn a_name_is_not_replaced_again() {
        let words = Words(vec![
            (b"/in".to_vec(), b"/out".repeat(100)),
            (b"/out".to_vec(), vec![b'x'; 100]),
        ]);
        assert_eq!(words.translate(b"/in"), b"/out".repeat(100));
        assert_eq!(words.growth(), 134);
    }

    #[test]
    fn fuzzed_messages() {
        let words = Words(vec![
            (b"/t/a.i".to_vec(), b"/t/out.o/t/a.i".to_vec()),
            (b"/t/out.o".to_vec(), b"/home/u/a.o".to_vec()),
            (b"/t".to_vec(), b"/tmp".to_vec()),
        ]);
        Target::new("compiler's messages")
            .seeds(["/t/a.i:1:1: error: /t/out.o\n"])
            .words(["/t", "/t/a.i", "/t/out.o", "/"])
            .run(|text| {
                let most = text.len() as u64 * words.growth();
                assert!(words.translate(text).len() as u64 <= most);
            });
    }

    #[test]
    fn replaces_all() {
        let words = Words(vec![
            (b"/t/root".to_vec(), b"".to_vec()),
            (b"/t".to_vec(), b"/tmp".to_vec()),
        ]);
        for (text, expected) in [
            ("/t/root/a.c:1: /t/root/b.h", "/a.c:1: /b.h"),
            ("/t/cc1.s: /t/cc1.s", "/tmp/cc1.s: /tmp/cc1.s"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            let got = words.translate(text.as_bytes());
            assert_eq!(String::from_utf8(got).unwrap(), expected);
        }
        assert_eq!(words.growth(), 2);
    }
}
