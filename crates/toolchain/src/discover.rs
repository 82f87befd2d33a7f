//! What belongs to a compiler.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::Unsuitable;
use crate::driver::{Family, Surroundings};
use crate::places::{Place, Places};
use crate::specs;

/// Where the loader looks first.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

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
    /// As `-x` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::C => "c",
            Language::Cxx => "c++",
            Language::ObjectiveC => "objective-c",
            Language::ObjectiveCxx => "objective-c++",
            Language::PreprocessedAssembler => "assembler-with-cpp",
            Language::Assembler => "assembler",
        }
    }

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

/// What a command says about its compiler.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// As called.
    pub name: OsString,
    /// Of its source.
    pub language: Language,
    /// Options that say where programs and settings are (`-B`, `--target=`, `--gcc-toolchain=`, `-m32`...). With `-specs=`
    /// among them, all that the specs may ask for.
    pub options: Vec<OsString>,
    /// Libraries that it loads while it runs: paths, or for gcc names in its folder of plugins.
    pub plugins: Vec<OsString>,
}

/// A compiler with all that it is made of.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Whose rules it goes by.
    pub family: Family,
    /// What it says of its version, one line.
    pub version: String,
    /// What it compiles for.
    pub target: String,
    /// The driver, as found in `PATH`, seen through launchers: absolute.
    pub driver: PathBuf,
    /// All files, links and folders.
    pub places: Places,
    /// Where in `PATH` its programs were looked for in vain: with programs there it would be made of those.
    pub passed: Vec<PathBuf>,
    /// Why each of them belongs to it.
    pub reasons: BTreeMap<PathBuf, String>,
    /// Its libraries are found by `LD_LIBRARY_PATH`, which has to be set where it runs.
    pub needs_library_path: bool,
}

/// Finds what belongs to a compiler. Some ten programs are run, in 20 to 100 ms.
///
/// # Errors
///
/// [`Unsuitable`].
pub fn discover(wanted: &Wanted, around: &Surroundings) -> Result<Toolchain, Unsuitable> {
    let found = look(wanted, around);
    if around.variable(LIBRARY_PATH).is_none_or(OsStr::is_empty) {
        return found;
    }
    let mut without = around.clone();
    without.variables.retain(|(name, _)| name != LIBRARY_PATH);
    let mut found = found?;
    let same = look(wanted, &without).is_ok_and(|other| other.places == found.places);
    found.needs_library_path = !same;
    Ok(found)
}

fn look(wanted: &Wanted, around: &Surroundings) -> Result<Toolchain, Unsuitable> {
    let driver = around.compiler(&wanted.name)?;
    let mut places = Places::default();
    // Before it is asked anything: a script could do as it likes.
    let real = places.add_program(&driver, around)?;
    let said = around.run(&driver, &with(&wanted.options, "-v"))?;
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
    let target = said.lines().find_map(|line| line.strip_prefix("Target: "));
    let mut toolchain = Toolchain {
        family,
        version: version.to_owned(),
        target: target.unwrap_or_default().to_owned(),
        passed: around.passed(&wanted.name, &driver).collect(),
        driver,
        places,
        reasons: BTreeMap::new(),
        needs_library_path: false,
    };
    toolchain.note(&real, "the driver");
    if family == Family::Gcc {
        toolchain.add_driver_behind(&said, &real, around)?;
    }
    match family {
        Family::Gcc => toolchain.add_gcc(wanted, around)?,
        Family::Clang => toolchain.add_clang(&said, wanted, around)?,
    }
    for plugin in &wanted.plugins {
        toolchain.add_plugin(plugin, &real, wanted, around)?;
    }
    Ok(toolchain)
}

impl Toolchain {
    /// The driver that the program called as one starts with more options: cross compilers come like that. gcc says by
    /// which name it was started.
    fn add_driver_behind(
        &mut self,
        said: &str,
        called: &Path,
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        let mut lines = said.lines();
        let Some(name) = lines.find_map(|line| line.strip_prefix("COLLECT_GCC=")) else {
            return Ok(());
        };
        let Ok(behind) = around.program(OsStr::new(name)) else {
            return Ok(());
        };
        if behind.canonicalize().is_ok_and(|real| real == called) {
            return Ok(());
        }
        let real = self.places.add_program(&behind, around)?;
        self.note(&real, &format!("{} starts it", called.display()));
        let passed = around.passed(OsStr::new(name), &behind);
        self.passed.extend(passed);
        Ok(())
    }

    fn add_gcc(&mut self, wanted: &Wanted, around: &Surroundings) -> Result<(), Unsuitable> {
        let options = &wanted.options;
        for program in wanted.language.program().into_iter().chain(["as"]) {
            self.add_part(program, options, around)?;
        }
        // It takes debug information out of objects (`-gsplit-dwarf`); few need it, and it may not be there.
        let _ = self.add_part("objcopy", options, around);
        self.add_file("specs", options, around)?;
        for file in specs::check(&self.driver, options, wanted.language, around)? {
            self.add_if_there(&file, "specs that an option names")?;
        }
        Ok(())
    }

    fn add_clang(
        &mut self,
        said: &str,
        wanted: &Wanted,
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        let options = &wanted.options;
        // It takes headers of the gcc that it finds by these files.
        for line in said.lines() {
            if let Some(folder) = line.strip_prefix("Found candidate GCC installation: ") {
                let file = around.folder.join(folder).join("crtbegin.o");
                self.add_if_there(&file, "clang finds the libraries of gcc by it")?;
            } else if let Some(file) = line.strip_prefix("Configuration file: ") {
                self.add_if_there(Path::new(file), "clang's settings")?;
            }
        }
        let folder = self.ask(&with(options, "-print-resource-dir"), around)?;
        let folder = around.folder.join(folder);
        self.add_if_there(&folder.join("include"), "clang's own headers")?;
        let lists = folder.join("share");
        if lists.is_dir() {
            let added = self.places.add_all_within(&lists);
            added.map_err(|error| Unsuitable::Unreadable(lists.clone(), error))?;
            self.note(&lists, "what sanitizers leave out");
        }
        if wanted.language == Language::Assembler
            || options
                .iter()
                .any(|option| option == "-fno-integrated-as" || option == "-no-integrated-as")
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
        let name_in_path = path;
        let path = around.program(&name_in_path).map_err(|_| lacks())?;
        self.passed.extend(around.passed(&name_in_path, &path));
        let real = self.places.add_program(&path, around)?;
        self.note(&real, &format!("the driver starts it as {name}"));
        Ok(())
    }

    /// A library that the compiler loads while it runs.
    fn add_plugin(
        &mut self,
        name: &OsStr,
        driver: &Path,
        wanted: &Wanted,
        around: &Surroundings,
    ) -> Result<(), Unsuitable> {
        let is_path = name.as_bytes().contains(&b'/');
        let path = match self.family {
            _ if is_path => around.folder.join(name),
            Family::Gcc if !name.as_bytes().contains(&b'.') => {
                let folder = self.ask(&with(&wanted.options, "-print-file-name=plugin"), around)?;
                let mut file = name.to_owned();
                file.push(".so");
                Path::new(&folder).join(file)
            }
            // The loader would look for it, who knows where.
            _ => return Err(Unsuitable::NotFound(name.into())),
        };
        let real = self.places.add_plugin(&path, driver, around)?;
        self.note(&real, "a plugin that an option names");
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
            path if path.is_absolute() => self.add_if_there(path, "the driver's settings"),
            _ => Ok(()), // The name itself comes back: it has none.
        }
    }

    fn add_if_there(&mut self, path: &Path, why: &str) -> Result<(), Unsuitable> {
        let added = self.places.add_if_there(path);
        let added = added.map_err(|error| Unsuitable::Unreadable(path.to_owned(), error))?;
        if let Some(real) = added {
            self.note(&real, why);
        }
        Ok(())
    }

    /// Gives `why` as the reason of `main`, and what follows from it as that of all else that is new.
    fn note(&mut self, main: &Path, why: &str) {
        for (path, place) in &self.places.by_path {
            let reason = || match place {
                _ if path == main || path.starts_with(main) => why.to_owned(),
                Place::Link(_) => "a link on the way".to_owned(),
                _ => format!("needed by {}", main.display()),
            };
            self.reasons.entry(path.clone()).or_insert_with(reason);
        }
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
