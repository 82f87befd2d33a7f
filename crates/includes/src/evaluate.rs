//! Evaluation: walks a translation unit from its main file, as the preprocessor would, and notes what it meets.

mod ahead;
mod condition;
mod enter;
mod find;
mod pragmas;
mod start;
mod surroundings;

use std::sync::Arc;

use crate::macros::expand::{Surroundings, Trouble, expand, expand_condition, header_name};
use crate::memory::names::{Id, known};
use crate::memory::summary::Item;
use crate::parsing::dialect::Dialect;
use crate::parsing::loaded::Loaded;
use crate::parsing::steps::{Bad, Form, Note, Step};
use crate::refusal::Refusal;
use crate::search::Place;
use crate::worker::{Noted, Worker};

use ahead::Ahead;
pub(crate) use start::run;

/// Why evaluation stopped before its end.
pub(crate) enum Stop {
    Refused(Refusal),
    /// Something was met that depends on what was not noted so far: start again, and note it.
    Notes(Noted),
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
    /// The contexts for files that gcc takes for none and for ones of the system.
    contexts: [u32; 2],
    dialect: Dialect,
    noted: Noted,
    /// The file being read.
    file: u32,
    place: Place,
    /// Index of the folder in which it looks first for what it includes in quotes.
    beside: u32,
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
    main_loaded: Arc<Loaded>,
    main_beside: u32,
    ahead: Option<Box<Ahead>>,
    refusal: Option<Refusal>,
    /// What must be noted before an expansion can be made.
    wanted: Option<Noted>,
    /// What `__has_include` found in the condition at hand, and whether gcc takes it for a file apart.
    found: Vec<(u32, bool)>,
    /// In a file of `-imacros`, where gcc obeys no `_Pragma`. What files do here is no summary for elsewhere.
    ignores_pragmas: bool,
    /// A condition has asked for a macro that a pragma may have changed.
    is_unsure: bool,
    /// What expansions may still cost.
    steps_left: u64,
}

impl Unit<'_> {
    fn refuse(&self, trouble: Trouble) -> Refusal {
        self.refusal_of(&match trouble {
            Trouble::Malformed(what) => Bad::Error(what.into()),
            Trouble::Unmodelled(what) => Bad::Unmodelled(what.into()),
        })
    }

    fn stop(&mut self, trouble: Trouble) -> Stop {
        if let Some(noted) = self.wanted.take() {
            return self.wants(noted);
        }
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
                    let tokens = match expand(self, &line.tokens) {
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
                Step::System { on, marker } => {
                    if marker || self.depth > 0 {
                        self.turn_system(on)?;
                    }
                }
                Step::Marker => self.refuse_marker()?,
                Step::Note { note } => {
                    let in_system = self.is_system();
                    self.worker
                        .items
                        .push(Item::Note(self.file, note, in_system));
                }
                Step::Bad { why } => return Err(self.bad(&parsed.bads[why as usize])),
            }
        }
        Ok(())
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
        if !self.found.is_empty() {
            let mut tokens = expanded.iter().flatten();
            let may_skip = tokens.any(|token| {
                [
                    known::AND_AND,
                    known::OR_OR,
                    known::QUESTION,
                    known::W_AND,
                    known::W_OR,
                ]
                .contains(&token.text)
            });
            self.mark_found(!may_skip);
        }
        self.sure()?;
        let result = expanded.and_then(|tokens| {
            let holds = condition::holds(&tokens, self.dialect, &mut self.worker.names);
            self.worker.spare.give(tokens);
            holds
        });
        result.map_err(|trouble| self.stop(trouble))
    }

    fn include(&mut self, header: Id, form: Form) -> Result<(), Stop> {
        let lookup = self.search(header, form, self.beside)?;
        self.enter_found(lookup, header, form == Form::Import)
    }
}

/// The note behind an item.
pub(crate) fn note(
    worker: &mut Worker,
    (file, note, in_system): (u32, u32, bool),
    dialect: Dialect,
) -> Option<Note> {
    worker
        .load(file, dialect.of_files(in_system))
        .and_then(|loaded| loaded.parsed.notes.get(note as usize).cloned())
}
