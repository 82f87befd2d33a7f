//! What a command includes, precompiled or not.
//!
//! Where gcc would take a precompiled header, the include engine looks past it: the precompiled file goes along, and so
//! does the header with all that it includes, of which gcc takes what it likes. That is right as long as the precompiled
//! file is made of what stands there now, so it must not be older. clang compares the times of the headers with those
//! that it noted, which no server knows: such commands stay here.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::SystemTime;

use command::hermetic::{Hermetic, Language};
use includes::{Closure, Command, Engine, Refusal, Settings};
use toolchain::Places;

use super::maker::NoAction;
use crate::include_server::limit::Limit;

/// Makes an engine of these settings.
pub(super) type Make = dyn Fn(Settings) -> Engine + Send + Sync;

/// The engine, and the one that looks past precompiled headers, which few builds need.
pub(super) struct Headers {
    /// As for pump mode: threads that evaluate at the same time do much of it twice, and one is enough for some processors.
    places: Limit,
    plain: Engine,
    past_precompiled: OnceLock<Engine>,
    make: Box<Make>,
}

/// What a command includes.
pub(super) struct Found {
    pub(super) closure: Arc<Closure>,
    /// The precompiled headers that gcc may take.
    pub(super) precompiled: Places,
}

impl Headers {
    pub(super) fn new(make: Box<Make>) -> Self {
        Self {
            places: Limit::new(
                available_parallelism()
                    .map_or(1, NonZeroUsize::get)
                    .div_ceil(4),
            ),
            plain: make(Settings::default()),
            past_precompiled: OnceLock::new(),
            make,
        }
    }

    /// # Errors
    /// Why it cannot be told, in words.
    pub(super) fn find(&self, command: &Command, hermetic: &Hermetic) -> Result<Found, NoAction> {
        let plain = {
            let _place = self.places.take();
            self.plain.closure(command)
        };
        let precompiled = match plain {
            Ok(closure) => {
                return Ok(Found {
                    closure,
                    precompiled: Places::default(),
                });
            }
            Err(refusal @ Refusal::Precompiled(_)) => refusal.to_string(),
            // The compiler here says so best, and at once.
            Err(refusal) if refusal.is_compile_error() => {
                return Err(NoAction::stays(refusal.to_string()));
            }
            Err(refusal) => return Err(refusal.to_string().into()),
        };
        let make = || {
            let settings = Settings {
                past_precompiled: true,
                ..Settings::default()
            };
            (self.make)(settings)
        };
        let engine = self.past_precompiled.get_or_init(make);
        let look = |command: &Command| {
            let _place = self.places.take();
            engine.closure(command).map_err(|why| why.to_string())
        };
        let closure = look(command)?;
        if closure.is_clang {
            return Err(precompiled.into());
        }
        let mut places = Places::default();
        for file in candidates(&closure, Path::new(OsStr::from_bytes(&command.cwd))) {
            let header = file.header;
            let text = look(&of_header(command, hermetic, &header))?;
            for variant in &file.variants {
                is_of_now(variant, &text)?;
                let added = places.add_if_there(variant);
                added.map_err(|error| format!("{}: {error}", variant.display()))?;
            }
        }
        Ok(Found {
            closure,
            precompiled: places,
        })
    }
}

/// A header of which there are precompiled files.
struct Candidate {
    header: PathBuf,
    variants: Vec<PathBuf>,
}

/// Wherever gcc looked for a header, found or not.
fn candidates(closure: &Closure, cwd: &Path) -> Vec<Candidate> {
    let path = |bytes: &[u8]| cwd.join(OsStr::from_bytes(bytes));
    let found = closure.files.iter().map(|file| path(&file.spelled));
    let absent = closure.absent.paths();
    let absent = absent.into_iter().map(|name| path(name));
    let mut candidates: Vec<Candidate> = Vec::new();
    for header in found.chain(absent) {
        let mut name = header.clone().into_os_string();
        name.push(".gch");
        let file = PathBuf::from(name);
        let variants = match fs::read_dir(&file) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) if file.is_file() => vec![file],
            Err(_) => continue,
        };
        if !candidates.iter().any(|known| known.header == header) {
            candidates.push(Candidate { header, variants });
        }
    }
    candidates
}

/// The same command for the header alone.
fn of_header(command: &Command, hermetic: &Hermetic, header: &Path) -> Command {
    let language = match hermetic.language {
        Language::C => "c",
        Language::Cxx => "c++",
        Language::ObjectiveC => "objective-c",
        Language::ObjectiveCxx => "objective-c++",
        Language::PreprocessedAssembler => "assembler-with-cpp",
    };
    let mut argv = command.argv.clone();
    // A value that is called like the source stands in front of it.
    if let Some(at) = argv.iter().rposition(|word| *word == hermetic.input) {
        argv[at] = header.into();
    }
    argv.splice(1..1, ["-x", language].map(OsString::from));
    Command {
        argv,
        ..command.clone()
    }
}

fn is_of_now(precompiled: &Path, header: &Closure) -> Result<(), String> {
    let changed = |path: &Path| -> Result<SystemTime, String> {
        let time = fs::metadata(path).and_then(|found| found.modified());
        time.map_err(|error| format!("{}: {error}", path.display()))
    };
    let made = changed(precompiled)?;
    for file in &header.files {
        let file = Path::new(OsStr::from_bytes(&file.real));
        if changed(file)? > made {
            return Err(format!(
                "{} is older than {}",
                precompiled.display(),
                file.display()
            ));
        }
    }
    Ok(())
}
