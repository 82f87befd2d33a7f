//! Stores through a mapping, of which inotify tells nothing until it ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use includes::RealTree;

use crate::project::{Project, headers};

/// Stores each line of its input over the start of a file, through one mapping.
const PROGRAM: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int file = open(argv[1], O_RDWR);
    char *text = mmap(0, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), line[64];
    close(file);
    if (text == MAP_FAILED) return 1;
    while (fgets(line, sizeof line, stdin)) {
        memcpy(text, line, strlen(line));
        puts("stored");
        fflush(stdout);
    }
    return 0;
}
"#;

#[test]
fn stores_through_a_mapping_are_seen_when_it_ends_though_no_time_changes() {
    let tools = tempfile::tempdir().expect("temporary folder");
    let (source, program) = (tools.path().join("map.c"), tools.path().join("map"));
    std::fs::write(&source, PROGRAM).expect("temporary folder");
    let made = Process::new("gcc")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status();
    assert!(made.expect("gcc is installed").success());
    // The time changes after all if the kernel writes the page to disk between the two stores, as it does at any moment
    // on a busy machine.
    assert!((0..20).any(|_| store_twice(&program)));
}

/// Stores twice, and checks what is seen of it; whether only the first store changed the file's time.
fn store_twice(program: &Path) -> bool {
    let tree = Arc::new(RealTree::watched().expect("inotify"));
    let project = Project::new(&[
        ("main.c", "#include \"a.h\"\n"),
        ("first/a.h", "#include \"x.h\"\n"),
        ("first/x.h", ""),
        ("first/y.h", ""),
        ("first/z.h", ""),
    ])
    .with_engines(vec![("inotify", tree)]);
    project.check("at first", &headers(&["first/a.h", "first/x.h"]));
    let mut child = Process::new(program)
        .arg(project.path("first/a.h"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was made");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut store = |text: &str| {
        writeln!(input, "{text}").expect("it listens");
        output.read_line(&mut String::new()).expect("it answers");
    };
    let modified = || {
        let data = project.path("first/a.h").metadata();
        data.and_then(|data| data.modified()).expect("a time")
    };
    store("#include \"z.h\"");
    let first = modified();
    // The engine reads what the first store left, when its time is old enough to be trusted.
    std::thread::sleep(Duration::from_millis(150));
    // A file that goes makes the engine look at all others again.
    project.remove("first/x.h");
    project.check("the first store", &headers(&["first/a.h", "first/z.h"]));
    store("#include \"y.h\"");
    let is_unchanged = modified() == first;
    drop(input);
    assert!(child.wait().expect("it ends").success());
    project.check("ended", &headers(&["first/a.h", "first/y.h"]));
    is_unchanged
}
