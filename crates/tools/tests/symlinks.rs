//! update-distcc-symlinks on the image of a machine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

/// The image of a machine.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }

    fn program(&self, path: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn link(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(text, path).unwrap();
    }

    fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    fn update(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_update-distcc-symlinks"));
        command.arg("--root").arg(self.root.path()).args(args);
        command.output().unwrap()
    }

    /// Runs the program and gives what is in the masquerade folder then, sorted.
    fn masquerade(&self, args: &[&str], folder: &str) -> String {
        let output = self.update(args);
        assert!(output.status.success(), "{output:?}");
        assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.join(" ")
    }
}

/// A Debian machine with gcc 12, a cross compiler and clang.
fn debian() -> Machine {
    let machine = Machine::new();
    for program in [
        "distcc",
        "x86_64-linux-gnu-gcc-12",
        "clang-14",
        "clang-cpp-14",
        "ls",
    ] {
        machine.program(&format!("usr/bin/{program}"));
    }
    machine.program("usr/bin/aarch64-linux-gnu-g++-11");
    machine.link("usr/bin/gcc-12", "x86_64-linux-gnu-gcc-12");
    machine.link("usr/bin/gcc", "gcc-12");
    // Absolute links hold inside the machine, not where this test runs.
    machine.link("usr/bin/cc", "/etc/alternatives/cc");
    machine.link("etc/alternatives/cc", "/usr/bin/gcc");
    machine.link("usr/bin/c++", "/etc/alternatives/c++");
    machine.folder("usr/lib/gcc/x86_64-linux-gnu/12");
    machine.folder("usr/lib/gcc-cross/aarch64-linux-gnu/11");
    machine
}

const DEBIAN: &str = "aarch64-linux-gnu-g++-11 cc clang-14 gcc gcc-12 x86_64-linux-gnu-gcc-12";

#[test]
fn folder_is_made_and_kept() {
    let machine = debian();
    let folder = "usr/lib/distcc";
    assert_eq!(machine.masquerade(&[], folder), DEBIAN);
    let link = machine.path("usr/lib/distcc/gcc");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../../bin/distcc"));

    let made = fs::symlink_metadata(&link).unwrap().modified().unwrap();
    assert_eq!(machine.masquerade(&[], folder), DEBIAN);
    let kept = fs::symlink_metadata(&link).unwrap().modified().unwrap();
    assert_eq!(made, kept);
}

#[test]
fn folder_follows_the_compilers() {
    let machine = debian();
    machine.masquerade(&[], "usr/lib/distcc");
    fs::remove_file(machine.path("usr/bin/clang-14")).unwrap();
    machine.program("usr/bin/clang-15");
    machine.program("usr/bin/my-gcc");
    machine.link("usr/lib/distcc/my-gcc", "../../bin/distcc");
    machine.link("usr/lib/distcc/ls", "../../bin/nothing");
    machine.program("usr/lib/distcc/nvcc");
    fs::remove_file(machine.path("usr/lib/distcc/gcc")).unwrap();
    machine.link("usr/lib/distcc/gcc", "../../bin/nothing");
    assert_eq!(
        machine.masquerade(&[], "usr/lib/distcc"),
        "aarch64-linux-gnu-g++-11 cc clang-15 gcc gcc-12 my-gcc nvcc x86_64-linux-gnu-gcc-12"
    );
    let gcc = fs::read_link(machine.path("usr/lib/distcc/gcc")).unwrap();
    assert_eq!(gcc, Path::new("../../bin/distcc"));
}

#[test]
fn other_prefix_has_its_own_folder() {
    let machine = debian();
    machine.program("opt/pumpcc/bin/distcc");
    // Not a compiler, but distcc by another name: it would call itself.
    machine.link("opt/pumpcc/bin/c++", "distcc");
    machine.program("opt/pumpcc/bin/clang++");
    assert_eq!(
        machine.masquerade(&["--prefix", "/opt/pumpcc"], "opt/pumpcc/lib/distcc"),
        DEBIAN.replace("clang-14", "clang++ clang-14")
    );
    assert!(!machine.path("usr/lib/distcc").exists());
}

#[test]
fn without_distcc_dead_links_go_and_none_is_made() {
    let machine = debian();
    machine.masquerade(&[], "usr/lib/distcc");
    fs::remove_file(machine.path("usr/bin/distcc")).unwrap();
    let output = machine.update(&[]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "update-distcc-symlinks: no links made: {} is no program\n",
        machine.path("usr/bin/distcc").display()
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    let mut left = fs::read_dir(machine.path("usr/lib/distcc")).unwrap();
    assert!(left.next().is_none());
}

#[test]
fn this_machine_gets_the_links_of_the_packaged_program() {
    // In a namespace of its own, with an empty folder in the place of the real one.
    let script = "mount -t tmpfs none /usr/lib/distcc && \"$@\" && ls -l /usr/lib/distcc | sed 1d | \
        sed 's/.* \\([^ ]* -> \\)/\\1/'";
    let links = |program: &str, args: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["-r", "-m", "sh", "-ec", script, "sh", program])
            .args(args);
        let output = unshare.env("LC_ALL", "C").output().unwrap();
        assert!(
            output.status.success(),
            "user namespaces are needed: {output:?}"
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let theirs = links("/usr/sbin/update-distcc-symlinks", &[]);
    assert!(theirs.contains("gcc -> ../../bin/distcc"), "{theirs}");
    let ours = links(
        env!("CARGO_BIN_EXE_update-distcc-symlinks"),
        &["--prefix", "/usr"],
    );
    assert_eq!(ours, theirs);
}
