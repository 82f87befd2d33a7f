//! The inner command line that a driver shows when it is asked with `-###`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::extension;

/// An inner command line that a driver shows.
pub(super) struct Inner {
    pub(super) words: Vec<OsString>,
    pub(super) is_clang: bool,
}

impl Inner {
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let mut lines = answer.split(|&byte| byte == b'\n').map(shown_words);
        lines.find_map(|words| {
            let program = extension::basename(words.first()?.as_bytes());
            let is_clang = words.get(1).is_some_and(|word| word == "-cc1");
            (is_clang || program == b"cc1").then_some(Self { words, is_clang }.without_output())
        })
    }

    /// gcc writes to a file with a new name each time.
    fn without_output(mut self) -> Self {
        if let Some(at) = self.words.iter().position(|word| word == "-o") {
            self.words.drain(at..self.words.len().min(at + 2));
        }
        self
    }

    /// What gcc says of the machine: the words between the input and its own next option.
    pub(super) fn gcc_machine(&self) -> Option<&[OsString]> {
        let start = 1 + self.words.iter().position(|word| word == "/dev/null")?;
        let length = self.words[start..]
            .iter()
            .position(|word| word == "-quiet")?;
        let words = &self.words[start..start + length];
        let mut after_param = false;
        let are_plain = words.iter().all(|word| {
            let is_value = std::mem::replace(&mut after_param, word == "--param");
            is_value || word == "--param" || word.as_bytes().starts_with(b"-m")
        });
        (are_plain && !words.is_empty() && !after_param).then_some(words)
    }

    pub(super) fn last_value(&self, name: &str) -> Option<OsString> {
        let at = self.words.iter().rposition(|word| word == name)?;
        self.words.get(at + 1).cloned()
    }

    pub(super) fn features(&self) -> Vec<OsString> {
        let pairs = self.words.windows(2);
        let features = pairs.filter(|pair| pair[0] == "-target-feature");
        features.map(|pair| pair[1].clone()).collect()
    }

    /// Each feature, and whether the machine has it: of one that is named twice, the last word
    /// counts.
    pub(super) fn feature_states(&self) -> BTreeMap<Vec<u8>, u8> {
        let features = self.features().into_iter().map(OsString::into_vec);
        let states = features.filter_map(|feature| {
            let (&state, name) = feature.split_first()?;
            Some((name.to_vec(), state))
        });
        states.collect()
    }

    /// All but processor and features.
    pub(super) fn others(&self) -> Vec<&OsString> {
        let names = ["-target-cpu", "-tune-cpu", "-target-feature"];
        let mut after_name = false;
        let mut others = Vec::new();
        for word in &self.words {
            let is_value =
                std::mem::replace(&mut after_name, names.iter().any(|name| word == name));
            if !is_value && !after_name {
                others.push(word);
            }
        }
        others
    }
}

/// The words, and the values of `--param` among them, which gcc puts behind all `-m` options.
pub(super) fn without_params(words: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut others, mut params) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--param" {
            params.extend(words.next().cloned());
        } else if let Some(param) = word.as_bytes().strip_prefix(b"--param=") {
            params.push(OsString::from_vec(param.to_vec()));
        } else {
            others.push(word.clone());
        }
    }
    (others, params)
}

/// The words of a line of `-###`: in double quotes, or bare; a backslash takes the next byte.
fn shown_words(line: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            b' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_or_bare() {
        let check = |line: &str, expected: &[&str]| {
            assert_eq!(shown_words(line.as_bytes()), expected, "{line}");
        };
        check(
            r#" /x/cc1 -D "a b" "-march=z""#,
            &["/x/cc1", "-D", "a b", "-march=z"],
        );
        check(r#""c\\d" "\"" "" e\ f"#, &[r"c\d", "\"", "", "e f"]);
        check("", &[]);
    }
}
