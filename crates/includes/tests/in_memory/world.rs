//! A tree in memory, a compiler that knows nothing, and an engine over both.

use std::sync::Arc;

use includes::{
    Ask, Closure, Command, Compiler, Engine, MemoryTree, Refusal, Said, Settings, Statistics,
};

/// A compiler without macros, folders and features. Its name tells whether it is clang.
pub(crate) struct Bare;

const BUILTINS: [&str; 8] = [
    "__LINE__",
    "_Pragma",
    "__DATE__",
    "__TIME__",
    "__TIMESTAMP__",
    "__has_include",
    "__has_include_next",
    "__has_builtin",
];

impl Compiler for Bare {
    fn ask(&self, ask: &Ask) -> Result<Said, String> {
        let script = String::from_utf8(ask.script.clone()).map_err(|e| e.to_string())?;
        let mut output = String::from("pumpcc_is line_comments\npumpcc_is va_opt\n");
        let mut asked = "";
        for line in script.lines() {
            if let Some(name) = line.strip_prefix("#ifdef ") {
                asked = name;
            } else if line.starts_with("pumpcc_builtin ") && BUILTINS.contains(&asked) {
                output += &format!("{line}\n");
            } else if let Some(question) = line.strip_prefix("pumpcc_answer ") {
                let number = question.split(' ').next().unwrap_or_default();
                output += &format!("pumpcc_answer {number} 0\n");
            }
        }
        output += "pumpcc_end\n";
        let mut errors = String::new();
        if ask.compiler == "clang" {
            errors += "clang version 0\n";
        }
        errors += "#include <...> search starts here:\n";
        for folder in ask.arguments.windows(2) {
            if folder[0] == "-I" || folder[0] == "-isystem" {
                errors += &format!(" {}\n", folder[1].display());
            }
        }
        errors += "End of search list.\n";
        Ok(Said {
            output: output.into_bytes(),
            errors: errors.into_bytes(),
        })
    }
}

/// All of it. Paths are relative to `/p`, the folder of the compile.
pub(crate) struct World {
    tree: Arc<MemoryTree>,
    engine: Engine,
}

/// An answer, and the files opened for it.
pub(crate) struct Answer {
    reads: Vec<String>,
    closure: Result<Arc<Closure>, Refusal>,
}

fn full(path: &str) -> String {
    format!("/p/{path}")
}

fn short(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.strip_prefix("/p/").unwrap_or(&path).to_owned()
}

impl World {
    /// These files. A text `-> target` makes a link, a path that ends with a slash a folder.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::with_settings(files, Settings::default())
    }

    pub(crate) fn with_settings(files: &[(&str, &str)], settings: Settings) -> Self {
        let tree = Arc::new(MemoryTree::new());
        let engine = Engine::new(Arc::clone(&tree) as _, Arc::new(Bare), settings);
        let world = World { tree, engine };
        for (path, text) in files {
            world.put(path, text);
        }
        world
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        match (path.strip_suffix('/'), text.strip_prefix("-> ")) {
            (Some(folder), _) => self.tree.folder(&full(folder)),
            (None, Some(target)) => self.tree.link(&full(path), target),
            (None, None) => self.tree.write(&full(path), text),
        }
    }

    pub(crate) fn remove(&self, path: &str) {
        self.tree.remove(&full(path));
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.engine.statistics()
    }

    /// Asks for `gcc arguments`, or another compiler if the line begins with its name and a colon.
    pub(crate) fn ask(&self, line: &str) -> Answer {
        let (compiler, arguments) = line.split_once(": ").unwrap_or(("gcc", line));
        self.tree.take_reads();
        let command = Command {
            cwd: b"/p".to_vec(),
            argv: std::iter::once(compiler)
                .chain(arguments.split(' '))
                .map(Into::into)
                .collect(),
            env: Vec::new(),
        };
        let closure = self.engine.closure(&command);
        let reads = self.tree.take_reads();
        Answer {
            reads: reads.iter().map(|path| short(path.as_bytes())).collect(),
            closure,
        }
    }
}

impl Answer {
    pub(crate) fn closure(&self) -> &Closure {
        self.closure.as_ref().expect("it is answered")
    }

    pub(crate) fn refusal(&self) -> &Refusal {
        self.closure.as_ref().expect_err("it is refused")
    }

    /// All of it, to be compared.
    pub(crate) fn outcome(&self) -> String {
        format!("{:?}", self.closure)
    }

    /// The files opened, in order.
    pub(crate) fn reads(&self, expected: &[&str]) -> &Self {
        assert_eq!(self.reads, expected, "read");
        self
    }

    /// The files of the closure as spelled, in order; in brackets those that were only probed.
    pub(crate) fn files(&self, expected: &[&str]) -> &Self {
        let files = self.closure().files.iter();
        let files: Vec<_> = files
            .map(|file| {
                let name = short(&file.spelled);
                if file.probed_only {
                    format!("({name})")
                } else {
                    name
                }
            })
            .collect();
        assert_eq!(files, expected, "files");
        self
    }

    /// Their real paths.
    pub(crate) fn real(&self, expected: &[&str]) -> &Self {
        let files: Vec<_> = self
            .closure()
            .files
            .iter()
            .map(|f| short(&f.real))
            .collect();
        assert_eq!(files, expected, "real paths");
        self
    }

    /// Paths probed and absent, in order.
    pub(crate) fn absent(&self, expected: &[&str]) -> &Self {
        let absent: Vec<_> = self
            .closure()
            .absent
            .paths()
            .iter()
            .map(|path| short(path))
            .collect();
        assert_eq!(absent, expected, "absent");
        self
    }

    /// Folders that must exist, sorted.
    pub(crate) fn folders(&self, expected: &[&str]) -> &Self {
        let mut folders: Vec<_> = self
            .closure()
            .folders
            .iter()
            .map(|path| short(path))
            .collect();
        folders.sort_unstable();
        assert_eq!(folders, expected, "folders");
        self
    }

    /// Links met, sorted, each with its target.
    pub(crate) fn links(&self, expected: &[(&str, &str)]) -> &Self {
        let links: Vec<_> = self
            .closure()
            .links
            .iter()
            .map(|(at, target)| (short(at), short(target)))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(at, target)| (at.to_string(), target.to_string()))
            .collect();
        assert_eq!(links, expected, "links");
        self
    }
}
