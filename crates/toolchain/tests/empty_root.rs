//! Compilers run in a root folder that holds what belongs to them, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use toolchain::{Family, Language, Place, Surroundings, Toolchain, Wanted, discover};

const SOURCE: &str = "#include <stddef.h>\nint add(int a, size_t b) { return a + (int)b; }\n";

fn here() -> Surroundings {
    Surroundings {
        variables: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        folder: "/".into(),
    }
}

fn wanted(name: &OsStr, language: Language) -> Wanted {
    Wanted {
        name: name.to_owned(),
        language,
        options: Vec::new(),
        plugins: Vec::new(),
    }
}

fn below(root: &Path, path: &Path) -> std::path::PathBuf {
    root.join(path.strip_prefix("/").unwrap())
}

fn copy(root: &Path, file: &Path) {
    let to = below(root, file);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(file, to).unwrap();
}

fn make(root: &Path, toolchain: &Toolchain) {
    for (path, place) in &toolchain.places.by_path {
        let to = below(root, path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        match place {
            Place::File { .. } => copy(root, path),
            Place::Link(target) => symlink(target, to).unwrap(),
            Place::Folder => std::fs::create_dir_all(to).unwrap(),
        }
    }
}

/// Compiles in an empty root and here, at the same paths: the objects are the same.
fn compiles(name: &str, language: Language, source: &str, options: &[&str]) {
    let toolchain = discover(&wanted(OsStr::new(name), language), &here()).unwrap();
    let root = tempfile::tempdir().unwrap();
    make(root.path(), &toolchain);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join(source);
    std::fs::write(&source, SOURCE).unwrap();
    // Headers are the include engine's business; here the compiler lists them.
    let listed = Command::new(name).arg("-M").arg(&source).output().unwrap();
    for file in String::from_utf8(listed.stdout).unwrap().split_whitespace() {
        if file.starts_with('/') {
            copy(root.path(), Path::new(file));
        }
    }
    std::fs::create_dir_all(root.path().join("tmp")).unwrap();
    let object = folder.path().join("object.o");
    let compile = |mut command: Command| {
        let command = command
            .args(options)
            .args(["-O2", "-c"])
            .arg(&source)
            .arg("-o")
            .arg(&object);
        let output = command.current_dir("/").output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    };
    compile(Command::new(&toolchain.driver));
    let mut there = Command::new("unshare");
    there
        .args(["--map-root-user", "chroot"])
        .arg(root.path())
        .arg(&toolchain.driver);
    there
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    compile(there);
    let here = std::fs::read(&object).unwrap();
    let there = std::fs::read(below(root.path(), &object)).unwrap();
    assert!(here == there, "{name} {options:?}: another object");
}

#[test]
fn gcc_compiles_in_an_empty_root() {
    compiles("gcc", Language::C, "a.c", &["-g"]);
    compiles(
        "gcc",
        Language::PreprocessedAssembler,
        "a.c",
        &["-save-temps=obj"],
    );
    compiles("cc", Language::C, "a.c", &["-flto", "-frandom-seed=1"]);
    compiles("c++", Language::Cxx, "a.cc", &["-std=c++20"]);
}

#[test]
fn clang_compiles_in_an_empty_root() {
    compiles("clang", Language::C, "a.c", &["-g"]);
    compiles("clang++", Language::Cxx, "a.cc", &["-flto=thin"]);
}

#[test]
fn what_belongs_to_gcc_is_little() {
    let toolchain = discover(&wanted(OsStr::new("gcc"), Language::C), &here()).unwrap();
    assert_eq!(toolchain.family, Family::Gcc);
    let places = toolchain.places.by_path;
    let sizes = places.values().filter_map(|place| match place {
        Place::File { size, .. } => Some(size),
        _ => None,
    });
    let size: u64 = sizes.sum();
    assert!((10_000_000..200_000_000).contains(&size), "{size} bytes");
    assert!(places.len() < 80, "{places:#?}");
    assert!(places.keys().any(|path| path.ends_with("cc1")));
    assert!(places.keys().all(|path| !path.ends_with("cc1plus")));
}

#[test]
fn a_script_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("gcc");
    std::fs::write(&script, "#!/bin/sh\nexec /usr/bin/gcc \"$@\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let refused = discover(&wanted(script.as_os_str(), Language::C), &here()).unwrap_err();
    assert!(refused.to_string().contains("is a script"), "{refused}");
}
