//! One question to a compiler: what is run, under which variables, and which programs and files the answer rests on.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::search::absolute;
use crate::tree::{join, split};

/// One run of a compiler as a preprocessor: `argv... -E -dD -v -x language -` with `script` as its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The compiler as the command names it.
    pub compiler: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The folder to run in.
    pub cwd: Vec<u8>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// The input.
    pub script: Vec<u8>,
}

/// What the run wrote. Its exit code does not matter: a script may hold errors on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub errors: Vec<u8>,
}

/// Asks compilers.
pub trait Compiler: Send + Sync {
    /// Runs the compiler.
    ///
    /// # Errors
    /// A sentence that says why it could not run.
    fn ask(&self, ask: &Ask) -> Result<Said, String>;
}

/// Environment variables with folders to search.
pub(crate) const FOLDER_VARIABLES: [&str; 5] = [
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "OBJCPLUS_INCLUDE_PATH",
];

/// Environment variables that change what a compiler says of itself: those that gcc 12 and clang 14 read (seen with a
/// `getenv` that tells), and those that choose which program and libraries run. The time, the language of messages
/// (fixed when we ask) and `SOURCE_DATE_EPOCH` do not.
pub(crate) const VARIABLES: [&str; 13] = [
    "PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "GCC_ROOT",
    "G++_ROOT",
    "BINUTILS_ROOT",
    "GCC_COMPARE_DEBUG",
    "SDKROOT",
    "SYSROOT",
    "MACOSX_DEPLOYMENT_TARGET",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "HOME",
];

/// Environment variables that make a compiler write files: our questions must not.
pub(crate) const SIDE_EFFECTS: [&str; 6] = [
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
    "CC_PRINT_HEADERS",
    "CC_PRINT_OPTIONS",
    "CC_PRINT_PROC_STAT",
    "CC_LOG_DIAGNOSTICS",
];

/// Where the compiler may stand, in the order in which it is looked for: absolute paths.
pub(crate) fn candidates(ask: &Ask) -> Vec<Vec<u8>> {
    let name = ask.compiler.as_bytes();
    if memchr::memchr(b'/', name).is_some() {
        return vec![absolute(&ask.cwd, name)];
    }
    let path = ask.env.iter().rev().find(|(name, _)| name == "PATH");
    path.map_or(&[][..], |(_, value)| value.as_bytes())
        .split(|&b| b == b':')
        .map(|folder| join(&absolute(&ask.cwd, folder), name))
        .collect()
}

/// Whether the compiler came to the end of its input.
pub(crate) fn is_complete(said: &Said) -> bool {
    let mut lines = said.output.split(|&b| b == b'\n');
    lines.any(|line| line.starts_with(b"pumpcc_end"))
}

/// The programs that took part in an answer, and the files that set them up, present or not: absolute paths, from what
/// `-v` says. Of gcc's installations, among which clang chooses, the folder that holds them.
pub(crate) fn programs(said: &Said) -> Vec<Vec<u8>> {
    let mut list: Vec<Vec<u8>> = Vec::new();
    for line in said.errors.split(|&b| b == b'\n') {
        let after = |start: &[u8]| line.strip_prefix(start);
        if let Some(program) = after(b" \"/") {
            // clang quotes all it runs.
            let end = memchr::memchr(b'"', program).unwrap_or(program.len());
            list.push([b"/", &program[..end]].concat());
        } else if let Some(end) = memchr::memmem::find(line, b" -E ")
            && line.starts_with(b" /")
        {
            let program = &line[1..end];
            list.push(program.to_vec());
            list.push(join(split(program).0, b"specs"));
        } else if let Some(file) = after(b"Reading specs from ").or(after(b"Configuration file: "))
            && file.starts_with(b"/")
        {
            list.push(file.to_vec());
        } else if let Some(folder) = after(b"Found candidate GCC installation: ") {
            list.push(split(folder).0.to_vec());
        }
    }
    list.sort_unstable();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_an_answer_are_known() {
        let check = |errors: &str, expected: &[&str]| {
            let said = Said {
                errors: errors.as_bytes().to_vec(),
                ..Said::default()
            };
            let list = programs(&said);
            let list: Vec<_> = list.iter().map(|p| String::from_utf8_lossy(p)).collect();
            assert_eq!(list, expected);
        };
        check(
            "Reading specs from /a b/specs\nCOLLECT_GCC=gcc\n /usr/lib/gcc 12/cc1plus -E -quiet -v -\n \
             /usr/include\n",
            &[
                "/a b/specs",
                "/usr/lib/gcc 12/cc1plus",
                "/usr/lib/gcc 12/specs",
            ],
        );
        check(
            "Found candidate GCC installation: /usr/bin/../lib/gcc/x/12\n \"/usr/lib/llvm-14/bin/clang\" -cc1 -E\n",
            &["/usr/bin/../lib/gcc/x", "/usr/lib/llvm-14/bin/clang"],
        );
    }
}
