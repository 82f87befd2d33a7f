//! What belongs to a compiler.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::Unsuitable;
use crate::driver::{Family, Surroundings};
use crate::places::Places;

/// What is compiled; gcc has a program for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// C.
    C,
    /// C++.
    Cxx,
    /// Objective-C.
    ObjectiveC,
    /// Objective-C++.
    ObjectiveCxx,
    /// Assembler with directives of the preprocessor.
    PreprocessedAssembler,
    /// Plain assembler.
    Assembler,
}

impl Language {
    /// The program of gcc behind its driver.
    fn program(self) -> Option<&'static str> {
        match self {
            Language::C | Language::PreprocessedAssembler => Some("cc1"),
            Language::Cxx => Some("cc1plus"),
            Language::ObjectiveC => Some("cc1obj"),
            Language::ObjectiveCxx => Some("cc1objplus"),
            Language::Assembler => None,
        }
    }
}

/// A compiler with all that it is made of.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Whose rules it goes by.
    pub family: Family,
    /// What it says of its version, one line.
    pub version: String,
    /// The driver, as found in `PATH`, seen through launchers: absolute.
    pub driver: PathBuf,
    /// All files, links and folders.
    pub places: Places,
}

/// Finds what belongs to the compiler `name`, for sources of this language.
///
/// `options` are those of the command that say where programs and settings are (`-B`, `--target=`, `-specs=`,
/// `--gcc-toolchain=`, `-m32`...). Some ten programs are run, in 20 to 100 ms.
///
/// # Errors
///
/// [`Unsuitable`].
pub fn discover(
    name: &OsStr,
    language: Language,
    options: &[OsString],
    around: &Surroundings,
) -> Result<Toolchain, Unsuitable> {
    let driver = around.compiler(name)?;
    let mut places = Places::default();
    // Before it is asked anything: a script could do as it likes.
    places.add_program(&driver, around)?;
    let said = around.run(&driver, &with(options, "-v"))?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let version = |words: &str| said.lines().find(|line| line.contains(words));
    let (family, version) = match (version("clang version "), version("gcc version ")) {
        (Some(line), _) => (Family::Clang, line),
        (None, Some(line)) => (Family::Gcc, line),
        (None, None) => {
            let first = said.lines().next().unwrap_or("nothing").to_owned();
            return Err(Unsuitable::NoCompiler(driver, first));
        }
    };
    let mut toolchain = Toolchain {
        family,
        version: version.to_owned(),
        driver,
        places,
    };
    match family {
        Family::Gcc => toolchain.add_gcc(language, options, around)?,
        Family::Clang => toolchain.add_clang(&said, language, options, around)?,
    }
    Ok(toolchain)
}

impl Toolchain {
    fn add_gcc(
        &mut self,
        language: Language,
        options: &[OsString],
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        for program in language.program().into_iter().chain(["as"]) {
            self.add_part(program, options, around)?;
        }
        // It takes debug information out of objects (`-gsplit-dwarf`); few need it, and it may not be there.
        let _ = self.add_part("objcopy", options, around);
        self.add_file("specs", options, around)
    }

    fn add_clang(
        &mut self,
        said: &str,
        language: Language,
        options: &[OsString],
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        // It takes headers of the gcc that it finds by these files.
        for line in said.lines() {
            if let Some(folder) = line.strip_prefix("Found candidate GCC installation: ") {
                self.add_if_there(&Path::new(folder).join("crtbegin.o"))?;
            } else if let Some(file) = line.strip_prefix("Configuration file: ") {
                self.add_if_there(Path::new(file))?;
            }
        }
        let folder = self.ask(&with(options, "-print-resource-dir"), around)?;
        self.add_if_there(&Path::new(&folder).join("include"))?;
        if language == Language::Assembler
            || options.iter().any(|option| option == "-fno-integrated-as")
        {
            self.add_part("as", options, around)?;
        }
        Ok(())
    }

    /// A program that the driver starts.
    fn add_part(
        &mut self,
        name: &str,
        options: &[OsString],
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        let path = self.ask(&with(options, &format!("-print-prog-name={name}")), around)?;
        let lacks = || Unsuitable::Lacks(self.driver.clone(), name.to_owned());
        // A bare name is left to PATH.
        let path = around.program(&path).map_err(|_| lacks())?;
        self.places.add_program(&path, around)?;
        Ok(())
    }

    /// A file that the driver reads, if it has one.
    fn add_file(
        &mut self,
        name: &str,
        options: &[OsString],
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        let path = self.ask(&with(options, &format!("-print-file-name={name}")), around)?;
        match Path::new(&path) {
            path if path.is_absolute() => self.add_if_there(path),
            _ => Ok(()), // The name itself comes back: it has none.
        }
    }

    fn add_if_there(&mut self, path: &Path) -> Result<(), Unsuitable> {
        let added = self.places.add_if_there(path);
        added
            .map(|_| ())
            .map_err(|error| Unsuitable::Unreadable(path.to_owned(), error))
    }

    /// The driver's answer, one line.
    fn ask(&self, arguments: &[OsString], around: &Surroundings) -> Result<OsString, Unsuitable> {
        let output = around.run(&self.driver, arguments)?;
        let line = output
            .stdout
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default();
        if !output.status.success() || line.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Unsuitable::NoCompiler(self.driver.clone(), said));
        }
        Ok(OsString::from_vec(line.to_vec()))
    }
}

fn with(options: &[OsString], question: &str) -> Vec<OsString> {
    let question = OsString::from(question);
    options.iter().cloned().chain([question]).collect()
}
