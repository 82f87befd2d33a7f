//! How an evaluation starts: the search chain its command line makes, what it does before the main file
//! (definitions, `-imacros`, `-include`), and when all of it is done once more.

use std::sync::Arc;

use super::{Stop, Unit};
use crate::command_line::options::{Command, Invocation, Language, Prelude};
use crate::compilers::facts;
use crate::macros;
use crate::memory::names::known;
use crate::memory::summary::Item;
use crate::parsing::steps::Form;
use crate::refusal::Refusal;
use crate::search::{ChainRequest, Place, absolute};
use crate::worker::{Noted, Visit, Worker};

/// In front of each prefix in the list of those that are mapped.
pub(super) const MAP_MARK: u8 = 4;

/// Evaluates a compile; the worker's items then say what happened.
pub(crate) fn run(
    worker: &mut Worker,
    command: &Command,
    invocation: &Invocation,
) -> Result<u32, Refusal> {
    loop {
        let makers = worker.catch_up_with_makers();
        let result = run_with_makers(worker, command, invocation);
        // What was read before a maker became known may mention it.
        if worker.catch_up_with_makers() == makers {
            return result;
        }
    }
}

/// The same, with the makers of pragmas known by now.
fn run_with_makers(
    worker: &mut Worker,
    command: &Command,
    invocation: &Invocation,
) -> Result<u32, Refusal> {
    let mut noted = Noted::default();
    loop {
        match evaluate(worker, command, invocation, noted) {
            Err(Stop::Notes(more)) if more != noted => noted = more,
            Err(Stop::Notes(_)) => return Err(Refusal::Command("notes were not kept".into())),
            Err(Stop::Refused(refusal)) => return Err(refusal),
            Ok(context) => return Ok(context),
        }
    }
}

fn evaluate(
    worker: &mut Worker,
    command: &Command,
    invocation: &Invocation,
    noted: Noted,
) -> Result<u32, Stop> {
    let mut language = invocation.language.unwrap_or(Language::C);
    worker.items.clear();
    if command.variable("CCC_OVERRIDE_OPTIONS").is_some() {
        return Err(Refusal::Variable("CCC_OVERRIDE_OPTIONS").into());
    }
    let mut base = worker.base_for(command, invocation, language, &[])?;
    // Its name did not say so.
    if base.facts.takes_c_for_cxx && invocation.may_be_cxx {
        language = Language::Cxx;
        base = worker.base_for(command, invocation, language, &[])?;
    }
    // A default folder that comes into being changes the chain.
    let appeared = appeared_folders(worker, command, &base.facts);
    if !appeared.is_empty() {
        base = worker.base_for(command, invocation, language, &appeared)?;
    }
    let dialect = base.facts.dialect;
    if invocation.gcc_only && dialect.clang {
        return Err(Refusal::Option("-I-, or = before a folder".into(), "clang").into());
    }
    let mut system = invocation.system.clone();
    let mut after = Vec::new();
    // `-iwithprefix` is one of the system's folders for gcc, and searched last by clang.
    for (place, folder) in invocation.with_prefix.iter().rev() {
        if dialect.clang {
            after.insert(0, folder.clone());
        } else {
            system.insert(*place, folder.clone());
        }
    }
    after.extend(invocation.after.iter().cloned());
    system.extend(folder_variable(
        command,
        match language {
            Language::Cxx => "CPLUS_INCLUDE_PATH",
            Language::ObjectiveC => "OBJC_INCLUDE_PATH",
            Language::ObjectiveCxx => "OBJCPLUS_INCLUDE_PATH",
            _ => "C_INCLUDE_PATH",
        },
    ));
    system.extend(base.facts.folders.iter().cloned());
    let mut bracket = invocation.bracket.clone();
    bracket.extend(folder_variable(command, "CPATH"));
    let all = bracket.len();
    for (place, folder) in invocation.with_prefix_before.iter().rev() {
        bracket.insert(if dialect.clang { all } else { *place }, folder.clone());
    }
    let request = ChainRequest {
        quote: invocation.quote.clone(),
        bracket,
        system,
        after,
        not_beside: invocation.not_beside,
        canonical: !dialect.clang && !invocation.not_canonical,
    };
    let context = worker.context_for(&command.cwd, request.clone(), dialect, noted, false);
    let mut contexts = [context; 2];
    if noted.system {
        contexts[1] = worker.context_for(&command.cwd, request, dialect, noted, true);
    }
    if worker.contexts[context as usize].chain.has_header_map {
        return Err(Refusal::Option("-I".into(), "a header map").into());
    }
    let wants = noted.and(worker.contexts[context as usize].wants);
    if wants != noted {
        return Err(Stop::Notes(wants));
    }
    let main_path = absolute(&command.cwd, &invocation.input);
    let (folder_path, name) = crate::tree::split(&main_path);
    let folder = worker.folders.at(folder_path);
    let crate::search::folders::Target::File { real, links } = worker.folders.target(folder, name)
    else {
        return Err(Refusal::NoInput(invocation.input.clone()).into());
    };
    let main = worker.file(&command.cwd, &invocation.input, real, links, folder);
    let Some(loaded) = worker.load(main, dialect) else {
        return Err(Refusal::NoInput(invocation.input.clone()).into());
    };
    let beside = worker.files[main as usize].beside;
    let beside = worker.name_of_folder(context, folder, beside);
    worker.env.begin(Worker::base_values(&base));
    worker.base = Some(Arc::clone(&base));
    let steps_left = worker.expansion_limit;
    let mut unit = Unit {
        worker,
        context,
        contexts,
        dialect,
        noted,
        file: main,
        place: Place::Main,
        beside,
        loaded: Arc::clone(&loaded),
        line: 0,
        depth: 0,
        deepest: 0,
        poisoned: 0,
        frames: 0,
        main,
        main_loaded: Arc::clone(&loaded),
        main_beside: beside,
        ahead: None,
        refusal: None,
        wanted: None,
        found: Vec::new(),
        ignores_pragmas: false,
        is_unsure: false,
        steps_left,
    };
    unit.list_files_of_the_compiler(command, &base.facts);
    if language != Language::Finished {
        unit.wants_names(main, &loaded)?;
        unit.note_name(main);
        unit.note_folder(main);
        unit.prelude(command, invocation, &base.facts)?;
        let main = Visit {
            file: main,
            context,
            place: Place::Main,
            root: None,
        };
        unit.mark_known(main, None, &loaded);
        unit.mark_entered(main, None, &loaded);
        unit.walk()?;
    }
    Ok(context)
}

fn folder_variable(command: &Command, name: &str) -> Vec<Vec<u8>> {
    let list = command.variable(name).unwrap_or_default();
    if list.is_empty() {
        return Vec::new();
    }
    list.split(|&b| b == b':')
        .map(|folder| {
            if folder.is_empty() {
                b".".to_vec()
            } else {
                folder.to_vec()
            }
        })
        .collect()
}

fn appeared_folders(worker: &mut Worker, command: &Command, facts: &facts::Facts) -> Vec<Vec<u8>> {
    let mut appeared = Vec::new();
    for folder in &facts.absent_folders {
        let id = worker.folders.at(&absolute(&command.cwd, folder));
        if worker.folders.get(id).real.is_some() {
            appeared.push(folder.clone());
        }
    }
    appeared
}

impl Unit<'_> {
    /// What the compiler reads for itself and lists.
    fn list_files_of_the_compiler(&mut self, command: &Command, facts: &facts::Facts) {
        for path in &facts.lists {
            let path = absolute(&command.cwd, path);
            let header = [b"\"", path.as_slice(), b"\""].concat();
            let header = self.worker.names.id(&header);
            let lookup =
                self.worker
                    .lookup(self.context, header, Form::Include, 0, false, Place::Main);
            self.worker.items.push(Item::Visit(lookup));
        }
    }

    /// What the command line does before the main file: definitions, then `-imacros`, gcc's own header, `-include`.
    fn prelude(
        &mut self,
        command: &Command,
        invocation: &Invocation,
        facts: &facts::Facts,
    ) -> Result<(), Stop> {
        let mut scratch = Vec::new();
        if !invocation.mapped.is_empty() {
            let list = [&[MAP_MARK], &invocation.mapped.join(&MAP_MARK)[..]].concat();
            let list = self.worker.names.id(&list);
            self.worker.env.write(known::MAPPED, list);
        }
        for prelude in &invocation.preludes {
            match prelude {
                Prelude::Define(text) => {
                    let (name, text) = macros::split_argument(text, self.dialect)
                        .map_err(|trouble| self.refuse(trouble))?;
                    let name = self.worker.names.id(&name);
                    let definition =
                        macros::intern(&text, self.dialect, &mut self.worker.names, &mut scratch);
                    self.worker.env.write(name, definition);
                    let worker = &mut *self.worker;
                    worker.makers.learn_of_definition(
                        name,
                        definition,
                        self.dialect,
                        &mut worker.names,
                    );
                }
                Prelude::Undefine(name) => {
                    let name = macros::name_in_argument(name, self.dialect)
                        .map_err(|trouble| self.refuse(trouble))?;
                    let name = self.worker.names.id(&name);
                    self.worker.env.write(name, 0);
                }
            }
        }
        self.place = Place::CommandLine;
        for file in &invocation.macro_files {
            self.ignores_pragmas = !self.dialect.clang;
            self.include_first(command, file)?;
        }
        self.ignores_pragmas = false;
        // gcc's own header comes behind `-imacros`.
        self.place = Place::Main;
        if facts.predef.is_some() {
            let header = self.worker.names.id(b"<stdc-predef.h>");
            let lookup =
                self.worker
                    .lookup(self.context, header, Form::Include, 0, false, Place::Main);
            if self.worker.lookups[lookup as usize].visit.is_some() {
                self.enter(lookup, false)?;
            }
        }
        self.place = Place::CommandLine;
        for file in &invocation.include_files {
            self.include_first(command, file)?;
        }
        self.place = Place::Main;
        Ok(())
    }

    /// Includes a file of `-imacros` or `-include`.
    fn include_first(&mut self, command: &Command, file: &[u8]) -> Result<(), Stop> {
        if self.dialect.clang {
            for suffix in [&b".pch"[..], b".gch"] {
                let precompiled = [file, suffix].concat();
                let path = absolute(&command.cwd, &precompiled);
                let (folder, name) = crate::tree::split(&path);
                let folder = self.worker.folders.at(folder);
                if self.worker.folders.target(folder, name)
                    != crate::search::folders::Target::Absent
                {
                    return Err(Refusal::Precompiled(precompiled).into());
                }
            }
        }
        let header = [b"\"", file, b"\""].concat();
        let header = self.worker.names.id(&header);
        // The compiler's working folder comes first here, not the main file's.
        let here = self
            .worker
            .file(&command.cwd, b"<command-line>", Vec::new(), Vec::new(), 0);
        let beside = self.worker.files[here as usize].beside;
        let folder = self.worker.folders.at(&command.cwd);
        let beside = self.worker.name_of_folder(self.context, folder, beside);
        let lookup = self.search(header, Form::Include, beside)?;
        self.enter_found(lookup, header, false)?;
        Ok(())
    }
}
