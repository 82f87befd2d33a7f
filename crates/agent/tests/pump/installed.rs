//! `pump`, installed beside stand-ins for the other programs.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Tree, run};

/// A folder with our programs, stand-ins for the others, and nothing else in `PATH` but what
/// the scripts of these tests need.
pub(crate) struct Installed {
    pub(crate) tree: Tree,
    pub(crate) roots: Tree,
}

/// What a finished `pump` said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) const HOSTS: &str = "127.0.0.1:1/4,lzo,cpp";

/// Notes its arguments and process, and serves nothing until it is told to end.
pub(crate) const DISTCCD: &str = "[ -S /dev/stdin ] || exit 1\necho \"$$ $@\" >$TMPDIR/../distccd\n\
                       trap 'exit 0' TERM\nfor word; do :; done\necho $$ >$word\n\
                       while :; do sleep 0.02; done\n";

impl Installed {
    pub(crate) fn new() -> Self {
        let installed = Self {
            tree: Tree::new(&[
                ("tmp/x", ""),
                ("bin/x", ""),
                ("tools/x", ""),
                ("home/x", ""),
            ]),
            roots: Tree::new(&[]),
        };
        for folder in ["tmp", "bin", "tools", "home"] {
            installed.tree.remove(&format!("{folder}/x"));
        }
        for program in [
            env!("CARGO_BIN_EXE_pump"),
            env!("CARGO_BIN_EXE_include_server"),
        ] {
            let name = Path::new(program).file_name().unwrap().to_str().unwrap();
            let place = installed.tree.path(&format!("bin/{name}"));
            if fs::hard_link(program, &place).is_err() {
                fs::copy(program, &place).unwrap();
            }
        }
        for tool in ["sh", "sleep", "cat", "gcc", "ls", "touch"] {
            let path = ["/usr/bin", "/bin"]
                .iter()
                .map(|folder| Path::new(folder).join(tool))
                .find(|path| path.exists())
                .unwrap();
            symlink(path, installed.tree.path(&format!("tools/{tool}"))).unwrap();
        }
        installed.script("distcc", "for host in $DISTCC_HOSTS; do echo $host; done\n");
        installed
    }

    pub(crate) fn script(&self, name: &str, text: &str) {
        self.tree.script(&format!("bin/{name}"), text);
    }

    pub(crate) fn pump(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        // Tests that run in the background of a script inherit ignored signals.
        let mut command = Command::new("/usr/bin/env");
        command
            .arg("--default-signal=HUP,INT,QUIT,TERM")
            .arg(self.tree.path("bin/pump"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.tree.path("tools"))
            .env("HOME", self.tree.path("home"))
            .env("TMPDIR", self.tree.path("tmp"))
            .env("DISTCC_CLIENT_TMP", self.roots.path(""))
            .envs(environment.iter().copied())
            .current_dir(self.tree.path(""))
            .stdin(Stdio::null());
        command
    }

    /// Runs `pump` to its end.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let output = run(&mut self.pump(arguments, environment));
        Said {
            code: output.status.code(),
            stdout: self.known(&output.stdout),
            stderr: self.known(&output.stderr),
        }
    }

    /// Starts `pump`, with outputs in files.
    pub(crate) fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        self.pump(arguments, environment)
            .stdout(File::create(self.tree.path("stdout")).unwrap())
            .stderr(File::create(self.tree.path("stderr")).unwrap())
            .spawn()
            .unwrap()
    }

    /// With names in place of what differs between runs.
    pub(crate) fn known(&self, text: &[u8]) -> String {
        String::from_utf8(text.to_vec())
            .unwrap()
            .replace(self.tree.path("").to_str().unwrap(), "TREE")
    }

    /// Nothing may be left, in no folder.
    pub(crate) fn check_clean(&self) {
        assert_eq!(self.tree.names("tmp"), Vec::<String>::new());
        assert_eq!(self.roots.names(""), Vec::<String>::new());
    }
}

pub(crate) fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}
