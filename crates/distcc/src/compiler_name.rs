//! The compiler's name as servers should hear it: one that means the same compiler everywhere.
//!
//! distcc 3.4 turns `cc` into the compiler that it stands for, `gcc` into `x86_64-linux-gnu-gcc`,
//! and tells `clang` its target, so that a server of another architecture picks its cross
//! compiler. Unlike 3.4 we take the longer name only if it is the same program here, or if the short one would
//! only lead back to us, and leave a target alone that the command gives itself.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use command::Compile;

use crate::settings::Settings;

/// This machine as GNU tools name it: what `--version` shows and clang is told.
pub(crate) const GNU_HOST: &str = if cfg!(target_arch = "x86_64") {
    "x86_64-pc-linux-gnu"
} else if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else if cfg!(target_arch = "riscv64") {
    "riscv64-unknown-linux-gnu"
} else {
    "unknown-linux-gnu"
};

/// The same without its vendor, as it stands in names of programs; empty where we do not know.
const PROGRAM_PREFIX: &str = if cfg!(target_arch = "x86_64") {
    "x86_64-linux-gnu-"
} else if cfg!(target_arch = "aarch64") {
    "aarch64-linux-gnu-"
} else if cfg!(target_arch = "riscv64") {
    "riscv64-linux-gnu-"
} else {
    ""
};

/// The compile with its compiler named for servers. Looks programs up in `PATH`.
pub(crate) fn rewrite(mut compile: Compile, settings: &Settings) -> Compile {
    if !settings.rewrite_compiler || PROGRAM_PREFIX.is_empty() {
        return compile;
    }
    let path = &settings.children.path;
    let log = &settings.log;
    if let Some(name) = generic(compiler(&compile), path) {
        log.debug(
            "dcc_rewrite_generic_compiler",
            format_args!("Rewriting '{}' to '{name}'", compiler(&compile).display()),
        );
        compile = compile.by(name.into());
    }
    match family(compiler(&compile)) {
        Some(Family::Gcc) => match with_prefix(compiler(&compile), path) {
            Some(name) => {
                log.debug(
                    "dcc_gcc_rewrite_fqn",
                    format_args!(
                        "Re-writing call to '{}' to '{}' to support cross-compilation.",
                        compiler(&compile).display(),
                        name.display()
                    ),
                );
                compile.by(name)
            }
            None => compile,
        },
        Some(Family::Clang) if !names_target(compile.argv()) => {
            log.debug(
                "dcc_add_clang_target",
                format_args!("Adding '-target {GNU_HOST}' to support clang cross-compilation."),
            );
            compile.with_options(["-target".into(), GNU_HOST.into()])
        }
        Some(Family::Clang) | None => compile,
    }
}

fn compiler(compile: &Compile) -> &OsStr {
    &compile.argv()[0]
}

#[derive(Debug, PartialEq, Eq)]
enum Family {
    Gcc,
    Clang,
}

/// The compilers that have a longer name: `gcc`, `g++`, `clang`, `clang++`, each also with a
/// version behind a dash. Names with a folder mean exactly one program and stay.
fn family(name: &OsStr) -> Option<Family> {
    let is = |stem: &str| {
        let rest = name.as_bytes().strip_prefix(stem.as_bytes());
        rest.is_some_and(|rest| (rest.is_empty() || rest[0] == b'-') && !rest.contains(&b'/'))
    };
    if is("gcc") || is("g++") {
        Some(Family::Gcc)
    } else if is("clang") || is("clang++") {
        Some(Family::Clang)
    } else {
        None
    }
}

fn names_target(argv: &[OsString]) -> bool {
    argv.iter()
        .any(|word| word == "-target" || word.as_bytes().starts_with(b"--target"))
}

/// What `cc` or `c++` stands for here, if its links lead to a name that we know.
fn generic(name: &OsStr, path: &OsStr) -> Option<&'static str> {
    let known = match name.as_bytes() {
        b"cc" => ["gcc", "clang"],
        b"c++" => ["g++", "clang++"],
        _ => return None,
    };
    let (program, _) = find(name, path)?;
    let mut target = std::fs::read_link(program).ok()?;
    if target.parent() == Some(Path::new("/etc/alternatives")) {
        target = std::fs::read_link(target).ok()?;
    }
    known
        .into_iter()
        .find(|known| target.file_name() == Some(OsStr::new(known)))
}

/// The name with this machine's prefix, if a program of that name is the one that the name means, or if the name means a
/// script that would call us again: who has such a script in front of `PATH` means the compiler behind it.
fn with_prefix(name: &OsStr, path: &OsStr) -> Option<OsString> {
    let mut long = OsString::from(PROGRAM_PREFIX);
    long.push(name);
    let (_, long_file) = find(&long, path)?;
    let (program, file) = find(name, path)?;
    let same = (file.dev(), file.ino()) == (long_file.dev(), long_file.ino());
    (same || is_script_for_us(&program, &file)).then_some(long)
}

fn is_script_for_us(program: &Path, file: &Metadata) -> bool {
    /// Longer ones do more than to call us.
    const LONGEST: u64 = 64 << 10;
    let has_name = |text: &[u8]| text.windows(6).any(|part| part == b"distcc");
    file.len() <= LONGEST
        && std::fs::read(program).is_ok_and(|text| text.starts_with(b"#!") && has_name(&text))
}

/// The first program of this name in `path`. Folders with "distcc" in their name hold us, under
/// the names of compilers.
pub(crate) fn find(name: &OsStr, path: &OsStr) -> Option<(PathBuf, Metadata)> {
    path.as_bytes()
        .split(|&byte| byte == b':')
        .filter(|folder| !folder.windows(6).any(|part| part == b"distcc"))
        .find_map(|folder| {
            let program = Path::new(OsStr::from_bytes(folder)).join(name);
            let found = std::fs::metadata(&program).ok()?;
            is_program(&found).then_some((program, found))
        })
}

/// Whether a file can be executed by somebody.
pub(crate) fn is_program(file: &Metadata) -> bool {
    file.is_file() && file.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn families() {
        let check = |name: &str, expected| assert_eq!(family(name.as_ref()), expected, "{name}");
        check("gcc", Some(Family::Gcc));
        check("g++-12", Some(Family::Gcc));
        check("clang", Some(Family::Clang));
        check("clang++-14", Some(Family::Clang));
        check("gccgo", None);
        check("cc", None);
        check("/usr/bin/gcc", None);
        check("gcc-x/y", None);
        check("x86_64-linux-gnu-gcc", None);
    }

    #[test]
    fn a_target_that_was_chosen_is_kept() {
        let names = |words: &str| {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            names_target(&words)
        };
        assert!(names("clang -target arm-linux-gnueabi -c a.c"));
        assert!(names("clang --target=aarch64-linux-gnu -c a.c"));
        assert!(!names("clang -c a.c"));
    }

    /// A folder with programs (empty files) and links.
    fn folder(programs: &[&str], links: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in programs {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_permissions(PermissionsExt::from_mode(0o755))
                .unwrap();
        }
        for (name, target) in links {
            symlink(target, dir.path().join(name)).unwrap();
        }
        dir
    }

    #[test]
    fn the_long_name_is_taken_only_for_the_same_program() {
        let long = format!("{PROGRAM_PREFIX}gcc");
        let same = folder(&["gcc-12"], &[("gcc", "gcc-12"), (&long, "gcc-12")]);
        assert_eq!(
            with_prefix("gcc".as_ref(), same.path().as_os_str()).unwrap(),
            *long
        );
        let other = folder(&["gcc", &long], &[]);
        let taken = || with_prefix("gcc".as_ref(), other.path().as_os_str());
        assert_eq!(taken(), None);
        // Scripts: their own business, or the way back to us.
        let script = |text: &str| std::fs::write(other.path().join("gcc"), text).unwrap();
        script("#!/bin/sh\nexec ccache gcc \"$@\"\n");
        assert_eq!(taken(), None);
        script("#!/bin/sh\nexec distcc gcc \"$@\"\n");
        assert_eq!(taken().unwrap(), *long);
    }

    #[test]
    fn cc_is_what_its_link_leads_to() {
        let check = |links: &[(&str, &str)], expected| {
            let dir = folder(&["gcc", "tcc"], links);
            assert_eq!(generic("cc".as_ref(), dir.path().as_os_str()), expected);
        };
        check(&[("cc", "gcc")], Some("gcc"));
        check(&[("cc", "tcc")], None);
        check(&[], None);
    }

    #[test]
    fn masquerade_folders_are_no_place_for_compilers() {
        let dir = folder(&[], &[]);
        let masquerade = dir.path().join("lib-distcc");
        std::fs::create_dir(&masquerade).unwrap();
        symlink("../gcc", masquerade.join("cc")).unwrap();
        assert!(find("cc".as_ref(), masquerade.as_os_str()).is_none());
    }
}
