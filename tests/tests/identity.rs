//! Each file that compiles of real projects make is the same from our server in an empty root, and from another engine, as
//! from the compiler here: objects, dependency files, debug information and notes for coverage in files of their own.
//!
//! `make identity` compiles five projects as a whole, by gcc and clang; `make corpus-test` two, by turns.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use end_to_end::alike::{Further, Here};
use end_to_end::bare_server::BareServer;
use end_to_end::compile_database::{Entry, of_corpus};
use end_to_end::engine::Engine;
use end_to_end::tree::Tree;

/// The compiles of a project, of which there are at least so many. The folder goes with them.
fn compiles(name: &str, at_least: usize) -> (Vec<Entry>, Tree) {
    let tree = Tree::new();
    let entries = of_corpus(name, &tree);
    assert!(entries.len() >= at_least, "{} compiles", entries.len());
    (entries, tree)
}

/// Both engines, for a project.
struct Engines {
    ours: BareServer,
    theirs: Engine,
}

impl Engines {
    fn start() -> Self {
        Self {
            ours: BareServer::start(),
            theirs: Engine::start(2),
        }
    }

    #[track_caller]
    fn check(&self, entries: &[Entry], compiler: &str, further: Further) {
        let here = Here::compile(entries, compiler, further);
        for engine in [self.ours.engine(), self.theirs.host()] {
            here.expect_same_on(&engine);
        }
    }
}

mod all_of {
    use super::*;

    fn check_all(name: &str, at_least: usize) {
        let (entries, _tree) = compiles(name, at_least);
        let engines = Engines::start();
        for compiler in ["gcc", "clang"] {
            for further in [Further::Nothing, Further::DwoAndGcno] {
                engines.check(&entries, compiler, further);
            }
        }
    }

    #[test]
    fn lua() {
        check_all("lua5.4", 30);
    }

    #[test]
    fn redis() {
        check_all("redis", 80);
    }

    #[test]
    fn fmtlib() {
        check_all("fmtlib", 20);
    }

    #[test]
    fn googletest() {
        check_all("googletest", 20);
    }

    #[test]
    fn git() {
        check_all("git", 450);
    }
}

mod some_of {
    use super::*;

    /// Each so-many-th compile once: by one of the compilers, with or without further files.
    fn check_by_turns(name: &str, at_least: usize, each: usize) {
        let (mut entries, _tree) = compiles(name, at_least);
        entries = entries.into_iter().step_by(each).collect();
        let engines = Engines::start();
        let ways = [
            ("gcc", Further::Nothing),
            ("clang", Further::DwoAndGcno),
            ("gcc", Further::DwoAndGcno),
            ("clang", Further::Nothing),
        ];
        for (first, (compiler, further)) in ways.into_iter().enumerate() {
            let some: Vec<_> = entries.iter().skip(first).step_by(4).cloned().collect();
            engines.check(&some, compiler, further);
        }
    }

    #[test]
    fn lua() {
        check_by_turns("lua5.4", 30, 1);
    }

    #[test]
    fn redis() {
        check_by_turns("redis", 80, 3);
    }
}
