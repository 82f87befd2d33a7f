//! Pump compiles give the very bytes of a local compile: object, dependencies and messages, with
//! debug information and names of files in it, whatever paths the command uses. Compiled here, in
//! a folder of this machine, and by a server in a sandbox, where this folder is not.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::Version;
use support::{Daemon, Entry, Setup, tree_request};

/// A client's project; `C` in contents and commands is its folder.
const FILES: &[(&str, &str)] = &[
    (
        "src/a.c",
        "#include \"h.h\"\n#include <inc.h>\n#include \"../up.h\"\n#include \"C/inc/absolute.h\"\n\
         #include <linked.h>\n#include <stddef.h>\nconst char *file = __FILE__;\n\
         int main(void) { return h() + inc() + up() + absolute() + linked(); }\n",
    ),
    (
        "src/b.cc",
        "#include <string>\n#include \"h.h\"\nstd::string s = __FILE__; int g() { return h(); }\n",
    ),
    (
        "src/h.h",
        "static const char *h_file __attribute__((used)) = __FILE__;\nstatic inline int h(void) { return 1; }\n",
    ),
    ("inc/inc.h", "static inline int inc(void) { return 2; }\n"),
    (
        "inc/absolute.h",
        "static inline int absolute(void) { return __LINE__; }\n",
    ),
    (
        "inc/pre.h",
        "static const char *pre __attribute__((used)) = __FILE__;\n",
    ),
    (
        "up.h",
        "static inline int up(void) { int unused; return 3; }\n",
    ),
    (
        "real/linked.h",
        "static const char *l_file __attribute__((used)) = __FILE__;\nstatic inline int linked(void) { return 4; }\n",
    ),
];
const LINKS: &[(&str, &str)] = &[("links", "real"), ("far", "C/real")];

struct Project {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Project {
    /// In a folder that the server's compilers do not see.
    fn new(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let path = folder.path().canonicalize().unwrap();
        let project = Self { folder, path };
        for (name, content) in FILES {
            let file = project.path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, project.say(content)).unwrap();
        }
        for (name, text) in LINKS {
            symlink(project.say(text), project.path.join(name)).unwrap();
        }
        project
    }

    fn say(&self, text: &str) -> String {
        text.replace('C', self.path.to_str().unwrap())
    }

    /// Compiles in `src`; the words make `a.o` and `a.d` there.
    #[track_caller]
    fn check(&self, server: &Daemon, words: &str) {
        let words = self.say(words);
        let argv: Vec<&str> = words.split(' ').collect();
        let cwd = self.path.join("src");
        let local = Command::new(argv[0])
            .args(&argv[1..])
            .current_dir(&cwd)
            .output()
            .unwrap();
        assert!(local.status.success(), "{words}: {local:?}");
        let object = fs::read(cwd.join("a.o")).unwrap();
        let dependencies = fs::read_to_string(cwd.join("a.d")).unwrap();

        let names: Vec<[String; 2]> = FILES
            .iter()
            .chain(LINKS)
            .map(|(name, content)| [self.say(&format!("C/{name}")), self.say(content)])
            .collect();
        let (files, links) = names.split_at(FILES.len());
        let system = "../".repeat(22) + "usr/include";
        let files = files
            .iter()
            .map(|[name, content]| Entry::File(name, content));
        let links = links.iter().map(|[name, text]| Entry::Link(name, text));
        let entries: Vec<Entry<'_>> = files
            .chain(links)
            .chain([Entry::Link("/usr/include", &system)])
            .collect();
        let request = tree_request(cwd.to_str().unwrap(), &argv, &entries);
        let reply = server.ask(Version::Pump, &request).unwrap();
        assert_eq!(reply.status, 0, "{words}: {}", reply.stderr);
        assert_eq!(
            reply.stderr,
            String::from_utf8(local.stderr).unwrap(),
            "{words}"
        );
        assert_eq!(reply.dependencies.unwrap(), dependencies, "{words}");
        assert!(reply.object == object, "{words}: another object");
    }
}

fn check_all(server: &Daemon, project: &Project) {
    for compiler in ["gcc", "clang"] {
        for (source, options) in [
            ("a.c", "-g -MD -I../inc -I../links"),
            ("a.c", "-g -O2 -MMD -IC/inc -IC/far"),
            ("C/src/a.c", "-gdwarf-4 -MD -MP -I../inc -I../far"),
            ("C/src/a.c", "-g3 -MD -IC/src/../inc -IC/links"),
            (
                "../src/a.c",
                "-g -MD -MT target -I. -I../src/../inc -isystem C/links",
            ),
            ("a.c", "-g -MD -ffile-prefix-map=C=. -I../inc -IC/real"),
            (
                "a.c",
                "-g -MD -fdebug-prefix-map=C/src=/x -iquote C/inc -I../inc -I../links",
            ),
            (
                "a.c",
                "-g -Wall -MD -include C/inc/pre.h -I../inc -I../links",
            ),
        ] {
            let words = format!("{compiler} {options} -MF a.d -c {source} -o a.o");
            project.check(server, &words);
        }
    }
    for compiler in ["g++", "clang++"] {
        project.check(
            server,
            &format!("{compiler} -g -O1 -MD -MF a.d -c b.cc -o a.o"),
        );
    }
}

#[test]
fn in_a_folder_that_the_server_has_not() {
    let server = Setup::insecure().arg("--sandbox=required").start();
    let project = Project::new(&std::env::temp_dir());
    check_all(&server, &project);
    assert!(project.folder.path().exists());
}
