//! Evaluation: walks a translation unit from its main file, as the preprocessor would, and notes what it meets.

use std::sync::Arc;

use crate::calls::Call;
use crate::condition;
use crate::dialect::Dialect;
use crate::directives::{Bad, Form, Note, Step};
use crate::expand::{Surroundings, Trouble, expand, expand_condition, expand_text, header_name};
use crate::facts;
use crate::loaded::Loaded;
use crate::macros;
use crate::names::{Id, Names, known};
use crate::option_pragmas::{self, OptionPragma};
use crate::options::{Command, Invocation, Language, Prelude};
use crate::refusal::Refusal;
use crate::search::{ChainRequest, Place, absolute};
use crate::summary::{Item, Summary};
use crate::text::destringed;
use crate::tokens::{Kind, Token};
use crate::worker::{Visit, Worker};

/// Includes nested deeper than this are an error in gcc and clang.
const MAX_DEPTH: usize = 199;

/// Why evaluation stopped before its end.
pub(crate) enum Stop {
    Refused(Refusal),
    /// An `#import` was met where none was expected: start again, and note every entry into a file.
    NotesEntries,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

/// The evaluation of one translation unit.
pub(crate) struct Unit<'w> {
    worker: &'w mut Worker,
    context: u32,
    dialect: Dialect,
    imports: bool,
    /// The file being read.
    file: u32,
    place: Place,
    loaded: Arc<Loaded>,
    /// The number of the line at hand, 0 if it is several.
    line: u32,
    depth: usize,
    /// Greatest depth reached since a frame was opened.
    deepest: usize,
    /// Frames outside of this many cannot be kept as summaries.
    poisoned: usize,
    frames: usize,
    main: u32,
    refusal: Option<Refusal>,
    /// A condition has asked for a macro that a pragma may have changed.
    is_unsure: bool,
}

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
    match attempt(worker, command, invocation, false) {
        Err(Stop::NotesEntries) => match attempt(worker, command, invocation, true) {
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::NotesEntries) => Err(Refusal::Command("import marks were not kept".into())),
            Ok(context) => Ok(context),
        },
        Err(Stop::Refused(refusal)) => Err(refusal),
        Ok(context) => Ok(context),
    }
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

fn attempt(
    worker: &mut Worker,
    command: &Command,
    invocation: &Invocation,
    imports: bool,
) -> Result<u32, Stop> {
    let language = invocation.language.unwrap_or(Language::C);
    worker.items.clear();
    if command.variable("CCC_OVERRIDE_OPTIONS").is_some() {
        return Err(Refusal::Variable("CCC_OVERRIDE_OPTIONS").into());
    }
    let mut base = worker.base_for(command, invocation, language, &[])?;
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
    let request = ChainRequest {
        quote: invocation.quote.clone(),
        bracket,
        system,
        after,
        not_beside: invocation.not_beside,
    };
    let context = worker.context_for(&command.cwd, request, dialect, imports);
    let main_path = absolute(&command.cwd, &invocation.input);
    let (folder_path, name) = crate::tree::split(&main_path);
    let folder = worker.folders.at(folder_path);
    let crate::folders::Target::File { real, links } = worker.folders.target(folder, name) else {
        return Err(Refusal::NoInput(invocation.input.clone()).into());
    };
    let main = worker.file(&command.cwd, &invocation.input, real, links, folder);
    let Some(loaded) = worker.load(main, dialect) else {
        return Err(Refusal::NoInput(invocation.input.clone()).into());
    };
    worker.env.begin(Worker::base_values(&base));
    worker.base = Some(Arc::clone(&base));
    let mut unit = Unit {
        worker,
        context,
        dialect,
        imports,
        file: main,
        place: Place::Main,
        loaded: Arc::clone(&loaded),
        line: 0,
        depth: 0,
        deepest: 0,
        poisoned: 0,
        frames: 0,
        main,
        refusal: None,
        is_unsure: false,
    };
    unit.list_files_of_the_compiler(command, &base.facts);
    if language != Language::Finished {
        unit.prelude(command, invocation, &base.facts)?;
        let main = Visit {
            file: main,
            place: Place::Main,
            root: None,
        };
        unit.mark_known(main, &loaded);
        unit.mark_entered(main, &loaded);
        unit.walk()?;
    }
    Ok(context)
}

impl Unit<'_> {
    /// What the compiler reads for itself and lists.
    fn list_files_of_the_compiler(&mut self, command: &Command, facts: &facts::Facts) {
        for path in &facts.lists {
            let path = absolute(&command.cwd, path);
            let header = [b"\"", path.as_slice(), b"\""].concat();
            let header = self.worker.names.id(&header);
            let lookup = self
                .worker
                .lookup(self.context, header, Form::Include, 0, Place::Main);
            self.worker.items.push(Item::Visit(lookup));
        }
    }

    /// What the command line does before the main file: definitions, then gcc's own header, `-imacros`, `-include`.
    fn prelude(
        &mut self,
        command: &Command,
        invocation: &Invocation,
        facts: &facts::Facts,
    ) -> Result<(), Stop> {
        let mut scratch = Vec::new();
        for prelude in &invocation.preludes {
            match prelude {
                Prelude::Define(text) => {
                    let (name, text) = macros::split_argument(text);
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
                    let name = self.worker.names.id(name);
                    self.worker.env.write(name, 0);
                }
            }
        }
        if facts.predef.is_some() {
            let header = self.worker.names.id(b"<stdc-predef.h>");
            let lookup = self
                .worker
                .lookup(self.context, header, Form::Include, 0, Place::Main);
            if self.worker.lookups[lookup as usize].visit.is_some() {
                self.enter(lookup, false)?;
            }
        }
        for file in invocation
            .macro_files
            .iter()
            .chain(&invocation.include_files)
        {
            if self.dialect.clang {
                for suffix in [&b".pch"[..], b".gch"] {
                    let precompiled = [file.as_slice(), suffix].concat();
                    let path = absolute(&command.cwd, &precompiled);
                    let (folder, name) = crate::tree::split(&path);
                    let folder = self.worker.folders.at(folder);
                    if self.worker.folders.target(folder, name) != crate::folders::Target::Absent {
                        return Err(Refusal::Precompiled(precompiled).into());
                    }
                }
            }
            let header = [b"\"", file.as_slice(), b"\""].concat();
            let header = self.worker.names.id(&header);
            // The compiler's working folder comes first here, not the main file's.
            let here = self
                .worker
                .file(&command.cwd, b"<command-line>", Vec::new(), Vec::new(), 0);
            let beside = self.worker.files[here as usize].beside;
            let lookup =
                self.worker
                    .lookup(self.context, header, Form::Include, beside, Place::Main);
            self.enter_found(lookup, header, false)?;
        }
        Ok(())
    }

    fn mark_entered(&mut self, visit: Visit, loaded: &Loaded) {
        if self.imports {
            let mark = self.worker.entered_mark(visit, loaded, self.dialect.clang);
            self.worker.env.write(mark, known::IS_ON);
        }
    }

    /// gcc takes an imported file for done if it knows *any other* file of equal content, even one that only
    /// `__has_include` found. The mark holds the one file known, or `IS_ON` for several. True: there is another.
    fn mark_known(&mut self, visit: Visit, loaded: &Loaded) -> bool {
        if !self.imports || self.dialect.clang {
            return false;
        }
        let file = self.worker.entered_mark(visit, loaded, false);
        let mark = self.worker.known_mark(loaded);
        let before = self.worker.env.read(mark);
        if before != file && before != known::IS_ON {
            self.worker
                .env
                .write(mark, if before == 0 { file } else { known::IS_ON });
        }
        before != 0 && before != file
    }

    fn refuse(&self, trouble: Trouble) -> Refusal {
        let file = self.worker.files[self.file as usize].spelled.to_vec();
        match trouble {
            Trouble::Malformed(what) => Refusal::Error {
                file,
                what: what.into(),
            },
            Trouble::Unmodelled(what) => Refusal::Unmodelled {
                file,
                what: what.into(),
            },
        }
    }

    fn stop(&mut self, trouble: Trouble) -> Stop {
        Stop::Refused(self.refusal.take().unwrap_or_else(|| self.refuse(trouble)))
    }

    fn bad(&self, bad: &Bad) -> Stop {
        Stop::Refused(self.refusal_of(bad))
    }

    fn refusal_of(&self, bad: &Bad) -> Refusal {
        let file = self.worker.files[self.file as usize].spelled.to_vec();
        match bad {
            Bad::Error(what) => Refusal::Error {
                file,
                what: what.clone(),
            },
            Bad::Unmodelled(what) => Refusal::Unmodelled {
                file,
                what: what.clone(),
            },
        }
    }

    fn enter_found(&mut self, lookup: u32, header: Id, import: bool) -> Result<(), Stop> {
        let found = &self.worker.lookups[lookup as usize];
        if let Some(path) = &found.precompiled {
            return Err(Refusal::Precompiled(path.clone()).into());
        }
        if found.visit.is_none() {
            let header = self.worker.names.entry(header).bytes.to_vec();
            return Err(Refusal::NotFound {
                header,
                includer: self.worker.files[self.file as usize].spelled.to_vec(),
            }
            .into());
        }
        self.enter(lookup, import)
    }

    /// Includes the file that a search found.
    fn enter(&mut self, lookup: u32, import: bool) -> Result<(), Stop> {
        let Some(visit_id) = self.worker.lookups[lookup as usize].visit else {
            return Ok(());
        };
        let visit = self.worker.visits[visit_id as usize];
        let Some(loaded) = self.worker.load(visit.file, self.dialect) else {
            return Err(
                Refusal::NoInput(self.worker.files[visit.file as usize].spelled.to_vec()).into(),
            );
        };
        if import && !self.imports {
            return Err(Stop::NotesEntries);
        }
        if loaded.parsed.may_be_once || self.imports {
            let mark = self.worker.once_mark(&loaded, self.dialect.clang);
            let mut skip = self.worker.env.read(mark) != 0;
            let copy = self.mark_known(visit, &loaded);
            let mut listed = self.dialect.clang;
            if import {
                self.worker.env.write(mark, known::IS_ON);
                let entered = self.worker.entered_mark(visit, &loaded, self.dialect.clang);
                let entered = self.worker.env.read(entered) != 0;
                skip |= entered || copy;
                listed |= entered;
            }
            if skip {
                // gcc does not list one more copy of a file; clang does.
                self.worker.items.push(if listed {
                    Item::Visit(lookup)
                } else {
                    Item::Double(lookup)
                });
                return Ok(());
            }
        }
        self.worker.items.push(Item::Visit(lookup));
        if let Some(guard) = loaded.parsed.guard
            && self.worker.env.read(guard) != 0
        {
            self.worker.stats.guard_skips += 1;
            return Ok(());
        }
        if let Some(broken) = &loaded.parsed.broken {
            return Err(self.bad(broken));
        }
        if self.depth >= MAX_DEPTH {
            return Err(
                Refusal::TooDeep(self.worker.files[visit.file as usize].spelled.to_vec()).into(),
            );
        }
        if self.worker.memo
            && let Some(id) = self.worker.summaries.find(visit.root, &mut self.worker.env)
        {
            let summary = self.worker.summaries.get(id);
            if self.depth + usize::from(summary.height) < MAX_DEPTH {
                self.worker.stats.summary_hits += 1;
                self.deepest = self.deepest.max(self.depth + usize::from(summary.height));
                self.worker.env.apply(&summary.effects);
                self.worker.items.push(Item::Child(id));
                return Ok(());
            }
        }
        self.worker.stats.evaluations += 1;
        self.walk_frame(visit_id, loaded)
    }

    fn walk_frame(&mut self, visit_id: u32, loaded: Arc<Loaded>) -> Result<(), Stop> {
        let visit = self.worker.visits[visit_id as usize];
        let first_item = self.worker.items.len();
        self.worker.env.open();
        let frame = self.frames;
        self.frames += 1;
        self.depth += 1;
        let outer_deepest = std::mem::replace(&mut self.deepest, self.depth);
        let outer = (
            self.file,
            self.place,
            std::mem::replace(&mut self.loaded, loaded),
        );
        (self.file, self.place) = (visit.file, visit.place);
        let entered = Arc::clone(&self.loaded);
        self.mark_entered(visit, &entered);
        self.walk()?;
        (self.file, self.place, self.loaded) = outer;
        self.depth -= 1;
        self.frames -= 1;
        let keep = self.worker.memo && frame >= self.poisoned;
        self.poisoned = self.poisoned.min(self.frames);
        let height = self.deepest - self.depth;
        self.deepest = self.deepest.max(outer_deepest);
        if let Some(record) = self.worker.env.close(keep) {
            let items = self.worker.items[first_item..].into();
            let summary = Summary {
                effects: record.effects,
                items,
                height: u16::try_from(height).unwrap_or(u16::MAX),
            };
            let worker = &mut *self.worker;
            let id = worker.summaries.insert(
                &mut worker.visits[visit_id as usize].root,
                &record.reads,
                summary,
            );
            worker.items.truncate(first_item);
            worker.items.push(Item::Child(id));
        }
        Ok(())
    }

    /// Walks the current file from its first step to its last.
    fn walk(&mut self) -> Result<(), Stop> {
        let loaded = Arc::clone(&self.loaded);
        let parsed = &loaded.parsed;
        if let Some(broken) = &parsed.broken {
            return Err(self.bad(broken));
        }
        let mut pc = 0;
        while let Some(&step) = parsed.steps.get(pc) {
            pc += 1;
            match step {
                Step::Define { name, definition } => self.worker.env.write(name, definition),
                Step::Undefine { name } => self.worker.env.write(name, 0),
                Step::If { .. } | Step::Ifdef { .. } => pc = self.choose(pc - 1)?,
                // Reached from inside a group that was taken: on to the end.
                Step::Elif { end, .. } | Step::Elifdef { end, .. } | Step::Else { end } => {
                    self.skipped(pc - 1, end as usize)?;
                    pc = end as usize + 1;
                }
                Step::Endif => {}
                Step::Include { header, form } => self.include(header, form)?,
                Step::Computed { line, form } => {
                    let line = &parsed.lines[line as usize];
                    self.line = line.number;
                    let tokens = match expand(self, line.tokens.clone()) {
                        Ok(tokens) => tokens,
                        Err(trouble) => return Err(self.stop(trouble)),
                    };
                    self.sure()?;
                    let header = header_name(&tokens, &mut self.worker.names)
                        .map_err(|trouble| self.refuse(trouble))?;
                    let header = self.worker.names.id(&header);
                    self.include(header, form)?;
                }
                Step::Once => self.mark_once(),
                Step::Push { name } => self.push_macro(name),
                Step::Pop { name } => self.pop_macro(name),
                Step::Options(pragma) => self.options(pragma),
                Step::Call { call } => self.call(&parsed.calls[call as usize])?,
                Step::Note { note } => self.worker.items.push(Item::Note(self.file, note)),
                Step::Bad { why } => return Err(self.bad(&parsed.bads[why as usize])),
            }
        }
        Ok(())
    }

    fn mark_once(&mut self) {
        let loaded = Arc::clone(&self.loaded);
        let mark = self.worker.once_mark(&loaded, self.dialect.clang);
        self.worker.env.write(mark, known::IS_ON);
    }

    fn push_macro(&mut self, name: Id) {
        let stack = self.stack_of(name);
        let (top, value) = (self.worker.env.read(stack), self.worker.env.read(name));
        let next = u32::try_from(self.worker.stack_cells.len()).unwrap_or(u32::MAX);
        let cell = *self.worker.stacks.entry((value, top)).or_insert(next);
        if cell == next {
            self.worker.stack_cells.push((value, top));
        }
        self.worker.env.write(stack, cell);
    }

    fn pop_macro(&mut self, name: Id) {
        let stack = self.stack_of(name);
        let top = self.worker.env.read(stack);
        if top != 0 {
            let (value, rest) = self.worker.stack_cells[top as usize];
            self.worker.env.write(name, value);
            self.worker.env.write(stack, rest);
        }
    }

    /// Expands a call in text, and obeys the pragmas that it makes.
    fn call(&mut self, call: &Call) -> Result<(), Stop> {
        for &name in &call.within {
            if self.worker.env.read(name) != 0 {
                return Err(self.bad(&Bad::Unmodelled(
                    "a pragma in a macro's arguments that hold directives".into(),
                )));
            }
        }
        let expanded = expand_text(self, call.tokens.clone());
        // In text such a macro decides nothing that matters here.
        self.is_unsure = false;
        expanded.map_err(|trouble| {
            // Of what the compiler finds wrong in text, we see but a part.
            let (Trouble::Malformed(what) | Trouble::Unmodelled(what)) = trouble;
            self.stop(Trouble::Unmodelled(what))
        })
    }

    /// gcc obeys in C alone, where it reads and compiles at once.
    fn options(&mut self, pragma: OptionPragma) {
        if self.dialect.clang || self.dialect.cplusplus || self.dialect.asm {
            return;
        }
        let [target, optimize] = option_pragmas::STATES.map(|state| self.worker.names.id(state));
        match pragma {
            OptionPragma::Target => self.worker.env.write(target, known::IS_ON),
            OptionPragma::Optimize => self.worker.env.write(optimize, known::IS_ON),
            OptionPragma::Push => [target, optimize]
                .into_iter()
                .for_each(|state| self.push_macro(state)),
            OptionPragma::Pop => [target, optimize]
                .into_iter()
                .for_each(|state| self.pop_macro(state)),
            OptionPragma::Reset => [target, optimize]
                .into_iter()
                .for_each(|state| self.worker.env.write(state, 0)),
        }
    }

    /// Refuses what was decided by a macro that a pragma may have changed.
    fn sure(&self) -> Result<(), Stop> {
        if !self.is_unsure {
            return Ok(());
        }
        Err(self.bad(&Bad::Unmodelled(
            "a condition on a macro that `#pragma GCC target` or `optimize` may change".into(),
        )))
    }

    fn stack_of(&mut self, name: Id) -> Id {
        let mut text = b"\x04stack ".to_vec();
        text.extend_from_slice(&self.worker.names.entry(name).bytes);
        self.worker.names.id(&text)
    }

    /// Where to go on: into the first group of the conditional at `pc` that holds, or past its end.
    fn choose(&mut self, mut pc: usize) -> Result<usize, Stop> {
        let loaded = Arc::clone(&self.loaded);
        loop {
            let (taken, next) = match loaded.parsed.steps[pc] {
                Step::If { line, next } | Step::Elif { line, next, .. } => {
                    (self.condition(line)?, next)
                }
                Step::Ifdef {
                    name,
                    next,
                    negated,
                }
                | Step::Elifdef {
                    name,
                    next,
                    negated,
                    ..
                } => {
                    let defined = self.value(name) != 0;
                    self.sure()?;
                    (defined != negated, next)
                }
                _ => return Ok(pc + 1),
            };
            if taken {
                return Ok(pc + 1);
            }
            self.skipped(pc, next as usize)?;
            pc = next as usize;
        }
    }

    /// clang does not know raw strings in skipped groups: what they hide there is not modelled.
    fn skipped(&self, from: usize, to: usize) -> Result<(), Stop> {
        let hidden = &self.loaded.parsed.hidden;
        if self.dialect.clang
            && hidden
                .iter()
                .any(|&at| at as usize > from && at as usize <= to)
        {
            return Err(self.bad(&Bad::Unmodelled(
                "a raw string with directives in a skipped group".into(),
            )));
        }
        Ok(())
    }

    fn condition(&mut self, line: u32) -> Result<bool, Stop> {
        let loaded = Arc::clone(&self.loaded);
        let line = &loaded.parsed.lines[line as usize];
        self.line = line.number;
        let expanded = expand_condition(self, &line.tokens);
        self.sure()?;
        let result = expanded
            .and_then(|tokens| condition::holds(&tokens, self.dialect, &mut self.worker.names));
        result.map_err(|trouble| self.stop(trouble))
    }

    fn include(&mut self, header: Id, form: Form) -> Result<(), Stop> {
        let beside = self.worker.files[self.file as usize].beside;
        let lookup = self
            .worker
            .lookup(self.context, header, form, beside, self.place);
        self.enter_found(lookup, header, form == Form::Import)
    }
}

impl Surroundings for Unit<'_> {
    fn value(&mut self, name: Id) -> Id {
        let worker = &mut *self.worker;
        if let Some(state) = worker.option_macros.state_of(name, &mut worker.names) {
            let state = worker.names.id(option_pragmas::STATES[usize::from(state)]);
            let file = &worker.files[self.file as usize].real;
            self.is_unsure |= !option_pragmas::is_indifferent(file) && worker.env.read(state) != 0;
        }
        worker.env.read(name)
    }

    fn names(&mut self) -> &mut Names {
        &mut self.worker.names
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn builtin(&mut self, definition: Id) -> Result<Token, Trouble> {
        let text = match definition {
            known::DEF_FILE | known::DEF_BASE_FILE => {
                // For clang a `#line` also renames the base file.
                let of = if definition == known::DEF_FILE {
                    Some(Arc::clone(&self.loaded))
                } else if self.dialect.clang {
                    self.worker.load(self.main, self.dialect)
                } else {
                    None
                };
                if of.is_some_and(|loaded| loaded.parsed.renumbered) {
                    return Err(Trouble::Unmodelled(
                        "a file's name in a directive beside #line",
                    ));
                }
                let file = if definition == known::DEF_FILE {
                    self.file
                } else {
                    self.poisoned = self.frames;
                    self.main
                };
                let mut text = b"\"".to_vec();
                for &byte in &*self.worker.files[file as usize].spelled {
                    if matches!(byte, b'"' | b'\\') {
                        text.push(b'\\');
                    }
                    text.push(byte);
                }
                text.push(b'"');
                return Ok(Token::new(Kind::Text, self.worker.names.id(&text), false));
            }
            known::DEF_LEVEL => {
                self.poisoned = self.frames;
                self.depth.to_string()
            }
            known::DEF_LINE if self.loaded.parsed.renumbered => {
                return Err(Trouble::Unmodelled("__LINE__ in a directive beside #line"));
            }
            known::DEF_LINE if self.line == 0 => {
                return Err(Trouble::Unmodelled(
                    "__LINE__ in a directive of several lines",
                ));
            }
            known::DEF_LINE => self.line.to_string(),
            known::DEF_COUNTER => return Err(Trouble::Unmodelled("__COUNTER__ in a directive")),
            known::DEF_DATE => return Err(Trouble::Unmodelled("the time in a directive")),
            known::DEF_HAS_EMBED => return Err(Trouble::Unmodelled("__has_embed")),
            _ => return Err(Trouble::Unmodelled("a built-in macro of this compiler")),
        };
        Ok(Token::new(
            Kind::Number,
            self.worker.names.id(text.as_bytes()),
            false,
        ))
    }

    fn has_include(&mut self, header: &[u8], next: bool) -> Result<bool, Trouble> {
        let header = self.worker.names.id(header);
        let beside = self.worker.files[self.file as usize].beside;
        let form = if next { Form::Next } else { Form::Include };
        let lookup = self
            .worker
            .lookup(self.context, header, form, beside, self.place);
        self.worker.items.push(Item::Probe(lookup));
        let found = &self.worker.lookups[lookup as usize];
        if let Some(path) = &found.precompiled {
            self.refusal = Some(Refusal::Precompiled(path.clone()));
            return Err(Trouble::Unmodelled("a precompiled header"));
        }
        let visit = found.visit;
        if let Some(visit) = visit.filter(|_| self.imports && !self.dialect.clang) {
            let visit = self.worker.visits[visit as usize];
            if let Some(loaded) = self.worker.load(visit.file, self.dialect) {
                self.mark_known(visit, &loaded);
            }
        }
        Ok(visit.is_some())
    }

    fn pragma(&mut self, text: Id) -> Result<(), Trouble> {
        match destringed(text, self.dialect, &mut self.worker.names) {
            Ok(None) => {}
            Ok(Some(Step::Push { name })) => self.push_macro(name),
            Ok(Some(Step::Pop { name })) => self.pop_macro(name),
            Ok(Some(Step::Options(pragma))) => self.options(pragma),
            Ok(Some(_)) => self.mark_once(),
            Err(bad) => {
                self.refusal = self.refusal_of(&bad).into();
                return Err(Trouble::Unmodelled("a pragma"));
            }
        }
        Ok(())
    }

    fn question(&mut self, question: &[u8]) -> Result<Id, Trouble> {
        let id = self.worker.names.id(question);
        if self.worker.env.read(id) == 0 {
            let Some(base) = self.worker.base.clone() else {
                return Err(Trouble::Unmodelled("a question without a compiler"));
            };
            match self.worker.ask_questions(&base, id) {
                Ok(values) => self.worker.env.extend_base(values),
                Err(why) => {
                    self.refusal = Some(Refusal::Compiler(why));
                    return Err(Trouble::Unmodelled("a question without an answer"));
                }
            }
            // The record of this read holds "no answer yet"; the frames that hold it must not be kept.
            self.poisoned = self.frames;
        }
        match self.worker.env.read(id) {
            0 => Err(Trouble::Unmodelled("a question without an answer")),
            known::DEF_UNKNOWN => Err(Trouble::Malformed("a feature question is not valid")),
            answer => Ok(answer),
        }
    }
}

/// The note behind an item.
pub(crate) fn note(worker: &mut Worker, file: u32, note: u32, dialect: Dialect) -> Option<Note> {
    worker
        .load(file, dialect)
        .and_then(|loaded| loaded.parsed.notes.get(note as usize).cloned())
}
