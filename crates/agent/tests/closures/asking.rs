//! What the tests here share: a question, and the check that its answer is enough for a compile elsewhere.

use std::ffi::OsString;
use std::path::Path;

use crate::support::{
    Answer, Sent, Server, Tree, names_below, preprocess, preprocess_remotely, words,
};

/// Asks about `command` in the folder `cwd` of `tree`, and checks that the answer is enough:
/// the copy gives the text that the client's own files give.
pub(crate) fn ask_and_compare(
    server: &Server,
    tree: &Tree,
    cwd: &str,
    argv: &[OsString],
) -> Answer {
    let cwd = tree.path(cwd);
    let answer = server
        .ask(&cwd, argv.to_vec())
        .unwrap_or_else(|| panic!("refused: {}", server.stderr()));
    assert_eq!(
        preprocess_remotely(&answer, &cwd, argv),
        preprocess(argv.to_vec(), &cwd)
    );
    answer
}

/// What is sent for `command` in the folder `src` of a new tree, with gcc and with clang; the
/// names are those below the tree.
pub(crate) fn check(files: &[(&str, &str)], command: &str, expected: &[&str]) {
    for compiler in ["gcc", "clang"] {
        let server = Server::start();
        let tree = Tree::new(files);
        let argv = words(&format!("{compiler} -c {command}"), &[&tree.path("")]);
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        let names = names_below(&answer, &tree.path(""));
        assert_eq!(names, expected, "{compiler}");
        assert_eq!(server.stderr(), "");
    }
}

/// The warning about a command that is refused, for the file behind it.
pub(crate) fn refusal(files: &[(&str, &str)], command: &str) -> String {
    let server = Server::start();
    let tree = Tree::new(files);
    let argv = words(command, &[&tree.path("")]);
    assert_eq!(server.ask(&tree.path("src"), argv), None);
    let stderr = server.stderr();
    let line = stderr
        .strip_prefix(
            "WARNING include server: Preprocessing locally. Include server not covering: ",
        )
        .unwrap_or_else(|| panic!("{stderr}"));
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    line.trim_end().to_owned()
}

/// The client's name and content of every file sent.
pub(crate) fn files(answer: &Answer) -> Vec<(&Path, &[u8])> {
    answer
        .iter()
        .filter_map(|(name, sent)| match sent {
            Sent::File(content) => Some((name.as_path(), content.as_slice())),
            Sent::Link(_) => None,
        })
        .collect()
}

/// The folder of a file that a server keeps of refusals, and the server.
pub(crate) fn counting_server() -> (Tree, Server) {
    let folder = Tree::new(&[]);
    let file = folder.path("refusals").display().to_string();
    (folder, Server::start_with(&["--refusals_file", &file]))
}
