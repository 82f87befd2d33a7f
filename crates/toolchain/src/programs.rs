//! An executable file, and what its loader loads for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::elf;
use object::read::ReadCache;
use object::read::elf::{ElfFile32, ElfFile64, FileHeader, ProgramHeader};

use crate::Unsuitable;
use crate::driver::Surroundings;
use crate::places::Places;

/// The table of libraries that lie outside of the loader's own folders.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

impl Places {
    /// Adds a program with all libraries that are loaded with it. Its real path comes back.
    pub(crate) fn add_program(
        &mut self,
        path: &Path,
        around: &Surroundings,
    ) -> Result<PathBuf, Unsuitable> {
        let unreadable = |error| Unsuitable::Unreadable(path.to_owned(), error);
        let real = self.add(path).map_err(unreadable)?;
        match interpreter(&real) {
            Ok(Elf::Loaded(loader)) => self.add_libraries(&real, &loader, around)?,
            Ok(Elf::Static) => {}
            Ok(Elf::Not) => return Err(Unsuitable::Script(path.to_owned())),
            Err(error) => return Err(unreadable(error)),
        }
        Ok(real)
    }

    /// Adds a library that `program` loads while it runs, with all that is loaded with it.
    pub(crate) fn add_plugin(
        &mut self,
        path: &Path,
        program: &Path,
        around: &Surroundings,
    ) -> Result<PathBuf, Unsuitable> {
        let unreadable = |error| Unsuitable::Unreadable(path.to_owned(), error);
        let real = self.add(path).map_err(unreadable)?;
        let loader = match (interpreter(&real), interpreter(program)) {
            (Ok(Elf::Not), _) => return Err(Unsuitable::Script(path.to_owned())),
            (Err(error), _) | (_, Err(error)) => return Err(unreadable(error)),
            (Ok(_), Ok(Elf::Loaded(loader))) => loader,
            // What loads nothing.
            (Ok(_), Ok(Elf::Static | Elf::Not)) => return Ok(real),
        };
        self.add_libraries(&real, &loader, around)?;
        Ok(real)
    }

    fn add_libraries(
        &mut self,
        real: &Path,
        loader: &Path,
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        self.add(loader)
            .map_err(|error| Unsuitable::Unreadable(loader.to_owned(), error))?;
        let libraries = listed(loader, real, false, around)?;
        for library in &libraries {
            self.add(library)
                .map_err(|error| Unsuitable::Unreadable(library.clone(), error))?;
        }
        // Where the loader finds the same without its table, nobody needs that: it names all libraries of this machine,
        // and changes with each.
        if listed(loader, real, true, around).ok().as_ref() != Some(&libraries) {
            self.add_if_there(Path::new(LOADER_CACHE))
                .map_err(|error| Unsuitable::Unreadable(LOADER_CACHE.into(), error))?;
        }
        Ok(())
    }
}

enum Elf {
    /// Started by this loader.
    Loaded(PathBuf),
    /// Needs no loader.
    Static,
    /// Not ELF at all.
    Not,
}

fn interpreter(path: &Path) -> std::io::Result<Elf> {
    let cache = ReadCache::new(File::open(path)?);
    let found = match object::FileKind::parse(&cache) {
        Ok(object::FileKind::Elf64) => ElfFile64::<object::Endianness, _>::parse(&cache)
            .and_then(|elf| loader_of(elf.elf_header(), elf.endian(), &cache)),
        Ok(object::FileKind::Elf32) => ElfFile32::<object::Endianness, _>::parse(&cache)
            .and_then(|elf| loader_of(elf.elf_header(), elf.endian(), &cache)),
        _ => return Ok(Elf::Not),
    };
    found.map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

fn loader_of<'d, H: FileHeader, R: object::ReadRef<'d>>(
    header: &H,
    endian: H::Endian,
    data: R,
) -> object::Result<Elf> {
    for segment in header.program_headers(endian, data)? {
        if segment.p_type(endian) != elf::PT_INTERP {
            continue;
        }
        if let Some(name) = segment.interpreter(endian, data)? {
            return Ok(Elf::Loaded(PathBuf::from(OsStr::from_bytes(name))));
        }
    }
    Ok(Elf::Static)
}

/// What the loader would load, in its order: it is asked itself (`ld.so --list`, which glibc's and musl's know), and
/// so sees `RUNPATH`, `LD_LIBRARY_PATH` and what this processor can do as at a start.
fn listed(
    loader: &Path,
    program: &Path,
    without_table: bool,
    around: &Surroundings,
) -> Result<Vec<PathBuf>, Unsuitable> {
    let mut command = Command::new(loader);
    if without_table {
        command.arg("--inhibit-cache");
    }
    let output = command
        .arg("--list")
        .arg(program)
        .env_clear()
        .envs(around.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&around.folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Unsuitable::Unreadable(loader.to_owned(), error))?;
    let mut libraries = Vec::new();
    for line in output.stdout.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        // "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f6c2d4a0000)"
        let (name, path) = match find(line, b" => ") {
            Some(at) => (&line[..at], &line[at + 4..]),
            None => (line, line),
        };
        if path == b"not found" {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(Unsuitable::LacksLibrary(program.to_owned(), name));
        }
        // The kernel's own library has no path.
        let Some(end) = find(path, b" (0x") else {
            continue;
        };
        // Variables may name folders from here.
        if path.contains(&b'/') {
            let path = OsString::from_vec(path[..end].to_vec());
            libraries.push(around.folder.join(path));
        }
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Unsuitable::LacksLibrary(program.to_owned(), said));
    }
    Ok(libraries)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
