//! The commands that a server runs, made from a [`Compile`] that a client sent.
//!
//! Protocols 1 and 2 bring preprocessed source, and only two file names change. Protocol 3
//! brings a client's tree, rebuilt below a scratch folder: how its command finds the files
//! there and leaves no trace of the folder is in `tree.rs`, what becomes of its dependency file
//! in `dependencies.rs`. Which words no server should obey is in `unsafe_option.rs`.

mod dependencies;
mod tree;
mod unsafe_option;

use std::ffi::{OsStr, OsString};

use crate::Compile;

pub use dependencies::client_dependencies;
pub(crate) use unsafe_option::is_unsafe;
pub use unsafe_option::unsafe_option;

impl Compile {
    /// The command for preprocessed source (protocols 1 and 2): input and output replaced by
    /// the server's own paths.
    #[must_use]
    pub fn source_command(&self, input: &OsStr, output: &OsStr) -> Vec<OsString> {
        let mut argv = self.argv_with_output(output);
        argv[self.input] = input.to_owned();
        argv
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use crate::testing::{argv, compile};

    fn check(command: &str, expected: &str) {
        let found = compile(command).source_command(OsStr::new("/t/i.i"), OsStr::new("/t/o.o"));
        assert_eq!(found, argv(expected), "{command}");
    }

    #[test]
    fn source_gets_names_of_the_server() {
        check("gcc -c a.c -o x/a.o -O2", "gcc -c /t/i.i -o /t/o.o -O2");
        check("gcc -c a.c -ox/a.o", "gcc -c /t/i.i -o/t/o.o");
        check("gcc -S a.c", "gcc -S /t/i.i -o /t/o.o");
        check("ccache gcc -c a.ii", "ccache gcc -c /t/i.i -o /t/o.o");
    }
}
