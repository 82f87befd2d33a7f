//! The compiles of a project: as commands, as a file for ninja, and what they need at least.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use end_to_end::compile_database::{self, Entry};
use includes::{Command, Engine, RealCompiler, RealTree, Settings};
use scan_includes::database;

use crate::Failure;

/// Compiles in the order of the project.
pub struct Project {
    commands: Vec<Command>,
}

impl Project {
    /// Of these compiles.
    pub fn new(entries: &[Entry]) -> Result<Self, Failure> {
        let text = compile_database::json(entries);
        let env: Vec<_> = std::env::vars_os().collect();
        let compiles = database::from_database(text.as_bytes(), b"/", &env)?;
        Ok(Self {
            commands: compiles
                .into_iter()
                .map(|compile| compile.command)
                .collect(),
        })
    }

    /// How many compiles.
    #[must_use]
    pub fn count(&self) -> usize {
        self.commands.len()
    }

    /// Leaves only the first ones.
    pub fn truncate(&mut self, count: usize) {
        self.commands.truncate(count);
    }

    /// Each `step`th compile: its folder, and its words with outputs beside `object`.
    pub fn compiles(
        &self,
        step: usize,
        object: &Path,
    ) -> impl Iterator<Item = (&Path, Vec<OsString>)> {
        self.commands.iter().step_by(step).map(|command| {
            let words = with_output(&command.argv, object);
            (Path::new(OsStr::from_bytes(&command.cwd)), words)
        })
    }

    /// Writes a file that has ninja run each compile behind `launcher`. Outputs go to `objects`.
    pub fn write_ninja(&self, file: &Path, launcher: &str, objects: &Path) -> Result<(), Failure> {
        fs::create_dir_all(objects)?;
        let mut text = String::from("rule compile\n  command = $what\n\n");
        for (at, command) in self.commands.iter().enumerate() {
            let object = objects.join(format!("{at}.o"));
            let mut line = format!(
                "cd {} && exec {launcher}",
                quoted(OsStr::from_bytes(&command.cwd))
            );
            for word in with_output(&command.argv, &object) {
                write!(line, " {}", quoted(&word))?;
            }
            let object = object.display();
            writeln!(
                text,
                "build {object}: compile\n  what = {}\n",
                line.replace('$', "$$")
            )?;
        }
        fs::write(file, text)?;
        Ok(())
    }

    /// The sum, over all compiles, of the files that each reads outside of the compiler's own folders, packed.
    pub fn packed_inputs(&self) -> Result<u64, Failure> {
        let engine = Engine::new(
            Arc::new(RealTree::watched()?),
            Arc::new(RealCompiler::new(None)),
            Settings::default(),
        );
        let mut packed: HashMap<Arc<[u8]>, u64> = HashMap::new();
        let mut sum = 0;
        for command in &self.commands {
            let closure = engine.closure(command)?;
            let is_default = |path: &[u8]| {
                closure.default_folders.iter().any(|folder| {
                    let rest = path.strip_prefix(&*folder.real);
                    rest.is_some_and(|rest| rest.starts_with(b"/"))
                })
            };
            for file in closure.files.iter().filter(|file| !is_default(&file.real)) {
                if !packed.contains_key(&file.real) {
                    let text = fs::read(OsStr::from_bytes(&file.real))?;
                    let size = protocol::lzo::compress(&text).len() as u64;
                    packed.insert(Arc::clone(&file.real), size);
                }
                sum += packed[&file.real];
            }
        }
        Ok(sum)
    }
}

/// A command's words with its outputs at another place.
fn with_output(argv: &[OsString], object: &Path) -> Vec<OsString> {
    let mut words = argv.to_vec();
    for option in ["-o", "-MF"] {
        let output = match option {
            "-o" => object.to_owned(),
            _ => object.with_extension("d"),
        };
        match words.iter().position(|word| word == option) {
            Some(at) if at + 1 < words.len() => words[at + 1] = output.into(),
            _ if option == "-o" => words.extend([option.into(), output.into()]),
            _ => {}
        }
    }
    words
}

/// A word for a shell. The projects measured here have only words in UTF-8.
fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.display().to_string().replace('\'', r"'\''"))
}
