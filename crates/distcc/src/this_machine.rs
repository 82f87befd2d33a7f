//! What the compiler means by this machine: `-march=native` and `-mtune=native` spelled out, so
//! that a server makes what would be made here.
//!
//! [`native`] knows how a compiler is asked and how it answers; here it is run, twice, which takes
//! a few milliseconds with gcc and ten times that with clang. So what it said is kept in
//! `$XDG_CACHE_HOME/pumpcc` (`~/.cache/pumpcc`), under the question, the compiler's identity and
//! the processor: the folder may be in a home that several machines share. Scripts and launchers,
//! whose own identity says nothing, are asked each time.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use command::client::native::{Machine, Question};

use crate::child;
use crate::compiler_name;
use crate::settings::Settings;

/// Why a command that asks for this machine has to run on it.
#[derive(Debug)]
pub(crate) enum UnknownMachine {
    /// It was tried with x86 alone.
    OtherProcessor,
    /// The compiler does not say what it means, or not so that it means the same by it.
    NoAnswer(OsString),
    /// This option puts the words for it into the object, where they would stand in another order.
    Noted(OsString),
}

impl fmt::Display for UnknownMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProcessor => f.write_str("native means this machine's processor"),
            Self::NoAnswer(compiler) => write!(
                f,
                "{} does not say which processor it means by native",
                compiler.display()
            ),
            Self::Noted(option) => {
                write!(f, "{} notes how native was spelled out", option.display())
            }
        }
    }
}

/// The command with other words for this machine, which mean the same everywhere.
pub(crate) fn spelled_out(
    argv: &[OsString],
    settings: &Settings,
) -> Result<Vec<OsString>, UnknownMachine> {
    if !cfg!(target_arch = "x86_64") {
        return Err(UnknownMachine::OtherProcessor);
    }
    let machine = machine(&Question::new(argv), settings)
        .ok_or_else(|| UnknownMachine::NoAnswer(argv[0].clone()))?;
    match machine.noted_by(argv) {
        Some(option) => Err(UnknownMachine::Noted(option.to_owned())),
        None => Ok(machine.said_in(argv)),
    }
}

fn machine(question: &Question, settings: &Settings) -> Option<Machine> {
    let kept = Kept::of(question, settings);
    if let Some(machine) = kept.as_ref().and_then(Kept::read) {
        return Some(machine);
    }
    let machine = ask(question, settings)?;
    if let Some(kept) = kept {
        kept.write(&machine, settings);
    }
    Some(machine)
}

fn ask(question: &Question, settings: &Settings) -> Option<Machine> {
    let answer = run(question, settings)?;
    let machine = question.answered(&answer)?;
    let second_answer = run(&question.again(&machine), settings)?;
    Question::confirms(&machine, &answer, &second_answer).then_some(machine)
}

fn run(question: &Question, settings: &Settings) -> Option<Vec<u8>> {
    let mut command = child::command(&question.argv, &settings.children);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().ok()?;
    output.status.success().then_some(output.stderr)
}

/// The place of an answer on disk.
struct Kept {
    file: PathBuf,
    /// What the answer depends on; it stands in the file in front of the answer.
    basis: Vec<u8>,
}

impl Kept {
    fn of(question: &Question, settings: &Settings) -> Option<Self> {
        let [compiler, option, ..] = question.argv.as_slice() else {
            return None;
        };
        if !option.as_bytes().starts_with(b"-") {
            return None;
        }
        let folder = settings.cache.clone()?;
        let mut basis = b"this machine, version 1\n".to_vec();
        basis.extend(identity(compiler, &settings.children.path)?);
        basis.extend(processor()?);
        for word in &question.argv {
            basis.extend(word.as_bytes());
            basis.push(0);
        }
        let name = format!("machine-{:016x}", fnv(&basis));
        Some(Self {
            file: folder.join(name),
            basis,
        })
    }

    fn read(&self) -> Option<Machine> {
        let content = fs::read(&self.file).ok()?;
        Machine::from_text(content.strip_prefix(self.basis.as_slice())?)
    }

    /// Whole or not at all. Where it cannot be written, the compiler is asked again next time.
    fn write(self, machine: &Machine, settings: &Settings) {
        let text = [self.basis, machine.to_text()].concat();
        let new = self.file.with_extension(std::process::id().to_string());
        let written = (settings.cache.iter())
            .try_for_each(fs::create_dir_all)
            .and_then(|()| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &self.file));
        if let Err(error) = written {
            let _ = fs::remove_file(&new); // It may not even be there.
            settings.log.debug(
                "",
                format_args!("cannot keep {}: {error}", self.file.display()),
            );
        }
    }
}

/// Which file a compiler is, and in which state. `None` for what may run another one.
fn identity(compiler: &OsStr, path: &OsStr) -> Option<Vec<u8>> {
    let program = match compiler.as_bytes().contains(&b'/') {
        true => PathBuf::from(compiler),
        false => compiler_name::find(compiler, path)?.0,
    };
    let program = program.canonicalize().ok()?;
    let name = program.file_name()?.as_bytes();
    let is_named = |part: &[u8]| name.windows(part.len()).any(|found| found == part);
    if !(is_named(b"gcc") || is_named(b"g++") || is_named(b"clang")) {
        return None;
    }
    let mut magic = [0; 4];
    let mut file = File::open(&program).ok()?;
    file.read_exact(&mut magic).ok()?;
    let state = file.metadata().ok()?;
    let is_binary = magic == *b"\x7fELF";
    is_binary.then(|| {
        let numbers = format!(
            "\0{} {} {} {}.{}\n",
            state.dev(),
            state.ino(),
            state.size(),
            state.mtime(),
            state.mtime_nsec()
        );
        [program.as_os_str().as_bytes(), numbers.as_bytes()].concat()
    })
}

/// What the kernel says of the first processor, without what changes from moment to moment.
fn processor() -> Option<Vec<u8>> {
    // One read gives the first ones; those behind cost time for each processor there is.
    let mut text = vec![0; 8192];
    let length = File::open(Path::new("/proc/cpuinfo"))
        .ok()?
        .read(&mut text)
        .ok()?;
    let is_fixed = |line: &&[u8]| {
        [
            "vendor_id",
            "cpu family",
            "model",
            "stepping",
            "cache size",
            "flags",
        ]
        .iter()
        .any(|name| line.starts_with(name.as_bytes()))
    };
    let lines = text[..length].split(|&byte| byte == b'\n');
    let first = lines.take_while(|line| !line.is_empty());
    let fixed: Vec<&[u8]> = first.filter(is_fixed).collect();
    let has_flags = fixed.iter().any(|line| line.starts_with(b"flags"));
    has_flags.then(|| fixed.join(&b'\n'))
}

/// The hash of Fowler, Noll and Vo, for a name: the content says what it is of.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
