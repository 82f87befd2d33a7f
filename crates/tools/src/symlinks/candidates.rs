//! Which programs of a machine are compilers that distcc can stand in for. Pure.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What is installed on a machine.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Names of the programs in its folders of programs.
    pub(super) programs: BTreeSet<OsString>,
    /// The gcc installations.
    pub(super) gccs: BTreeSet<Gcc>,
}

/// One gcc installation, such as `/usr/lib/gcc/x86_64-linux-gnu/12`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gcc {
    /// The machine it compiles for.
    pub(super) target: OsString,
    pub(super) version: OsString,
}

/// Names that need no version or machine.
const PLAIN: [&str; 9] = [
    "cc", "c++", "gcc", "g++", "c89-gcc", "c89-g++", "c99-gcc", "c99-g++", "nvcc",
];

/// The programs that are compilers.
pub(super) fn candidates(listing: &Listing) -> BTreeSet<OsString> {
    let mut names: BTreeSet<OsString> = PLAIN.iter().map(OsString::from).collect();
    for Gcc { target, version } in &listing.gccs {
        for compiler in ["gcc", "g++"].map(OsStr::new) {
            names.insert(join(&[target, compiler]));
            names.insert(join(&[compiler, version]));
            names.insert(join(&[target, compiler, version]));
        }
    }
    let is_compiler = |name: &&OsString| names.contains(*name) || is_clang(name.as_bytes());
    listing
        .programs
        .iter()
        .filter(is_compiler)
        .cloned()
        .collect()
}

/// The parts with a `-` in between.
fn join(parts: &[&OsStr]) -> OsString {
    parts.join(OsStr::new("-"))
}

/// `clang` or `clang++`, `llvm-` in front or not, a version behind or not; but not `clang-cpp`,
/// `clang-format` and so on.
fn is_clang(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"llvm-").unwrap_or(name);
    let Some(rest) = name.strip_prefix(b"clang") else {
        return false;
    };
    let version = rest.strip_prefix(b"++").unwrap_or(rest);
    let is_version = |v: &[u8]| !v.is_empty() && v.iter().all(|b| matches!(b, b'0'..=b'9' | b'.'));
    version.is_empty() || version.strip_prefix(b"-").is_some_and(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(gccs: &[(&str, &str)], programs: &str, expected: &str) {
        let listing = Listing {
            programs: programs.split_whitespace().map(OsString::from).collect(),
            gccs: gccs
                .iter()
                .map(|(target, version)| Gcc {
                    target: target.into(),
                    version: version.into(),
                })
                .collect(),
        };
        let found: Vec<OsString> = candidates(&listing).into_iter().collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn debian_12_with_gcc_and_clang() {
        check(
            &[("x86_64-linux-gnu", "12")],
            "c++ c89 c89-gcc c99 c99-gcc cc clang clang++ clang++-14 clang-14 clang-cpp-14 \
             distcc g++ g++-12 gcc gcc-12 gcc-ar gcc-ar-12 gcc-nm-12 x86_64-linux-gnu-g++ \
             x86_64-linux-gnu-g++-12 x86_64-linux-gnu-gcc x86_64-linux-gnu-gcc-12 \
             x86_64-linux-gnu-gcc-ranlib-12",
            "c++ c89-gcc c99-gcc cc clang clang++ clang++-14 clang-14 \
             g++ g++-12 gcc gcc-12 x86_64-linux-gnu-g++ \
             x86_64-linux-gnu-g++-12 x86_64-linux-gnu-gcc x86_64-linux-gnu-gcc-12",
        );
    }

    #[test]
    fn cross_compilers_and_several_versions() {
        check(
            &[("aarch64-linux-gnu", "12"), ("x86_64-linux-gnu", "4.9.2")],
            "aarch64-linux-gnu-g++-12 aarch64-linux-gnu-gcc aarch64-linux-gnu-gcc-11 \
             gcc-11 gcc-4.9.2 riscv64-linux-gnu-gcc",
            "aarch64-linux-gnu-g++-12 aarch64-linux-gnu-gcc gcc-4.9.2",
        );
    }

    #[test]
    fn clang_in_all_its_names() {
        check(
            &[],
            "clang clang++ clang++-14 clang++-3.8 clang- clang-14 clang-cl clang-format \
             clang-format-14 llvm-clang llvm-clang++-9 llvm-config nvcc xclang",
            "clang clang++ clang++-14 clang++-3.8 clang-14 llvm-clang llvm-clang++-9 nvcc",
        );
    }
}
