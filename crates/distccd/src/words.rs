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

    /// A text with all paths replaced.
    pub(crate) fn translate(&self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for (from, to) in &self.0 {
            if let Some(replaced) = replace(&text, from, to) {
                text = replaced;
            }
        }
        text
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// `text` with each `from` replaced; `None` if there is none.
fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut out = None;
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        let out = out.get_or_insert_with(Vec::new);
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
