//! What expansion asks of the unit being evaluated: definitions, built-in macros, searches, the compiler's answers.

use std::sync::Arc;

use super::Unit;
use super::enter::is_apart;
use super::start::MAP_MARK;
use crate::macros::expand::{Spare, Surroundings, Trouble};
use crate::macros::option_pragmas;
use crate::memory::names::{Id, Names, known};
use crate::memory::summary::Item;
use crate::parsing::dialect::Dialect;
use crate::parsing::steps::{Form, Step};
use crate::parsing::text::destringed;
use crate::parsing::tokens::{Kind, Token};
use crate::refusal::Refusal;
use crate::worker::Noted;

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

    fn steps_left(&mut self) -> &mut u64 {
        &mut self.steps_left
    }

    fn spare(&mut self) -> &mut Spare {
        &mut self.worker.spare
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn keeps_comma(&mut self) -> bool {
        self.worker.env.read(known::KEEPS_COMMA) != 0
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
                let is_named_by_folder = definition == known::DEF_FILE && file != self.main;
                if is_named_by_folder && self.dialect.clang {
                    if !self.noted.folders {
                        self.wanted = Some(Noted {
                            folders: true,
                            ..self.noted
                        });
                        return Err(Trouble::Unmodelled("a folder's name"));
                    }
                    if self.has_folder_of_many_names() {
                        return Err(Trouble::Unmodelled(
                            "a file's name in a directive, and its folder has several names",
                        ));
                    }
                }
                let mapped = self.worker.env.read(known::MAPPED);
                let mapped = self.worker.names.entry(mapped);
                let spelled = &self.worker.files[file as usize].spelled;
                let mut maps = mapped.bytes.split(|&b| b == MAP_MARK).skip(1);
                if maps.any(|map| spelled.starts_with(map)) {
                    return Err(Trouble::Unmodelled(
                        "a file's name in a directive, which a prefix map changes",
                    ));
                }
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
            known::DEF_LINE => {
                self.worker.items.push(Item::Line(self.file));
                self.line.to_string()
            }
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
        let form = if next { Form::Next } else { Form::Include };
        let lookup = self.look_up(header, form, self.beside);
        self.worker.items.push(Item::Probe(lookup));
        let found = &self.worker.lookups[lookup as usize];
        if let Some(path) = &found.precompiled {
            self.refusal = Some(Refusal::Precompiled(path.clone()));
            return Err(Trouble::Unmodelled("a precompiled header"));
        }
        let visit = found.visit;
        let has_link = |file: u32| !self.worker.files[file as usize].links.is_empty();
        if self.dialect.clang && !self.noted.names && visit.is_some() && has_link(found.file) {
            // It may be entered by its own name later.
            self.wanted = Some(Noted {
                names: true,
                ..self.noted
            });
            return Err(Trouble::Unmodelled("a file's first name"));
        }
        if visit.is_some() && self.noted.entries && !self.dialect.clang {
            let quote = self.worker.contexts[self.context as usize].chain.quote;
            let is_apart = visit.is_some_and(|visit| {
                let found = self.worker.visits[visit as usize].place;
                form == Form::Next && is_apart(self.place, found, quote)
            });
            self.found.push((lookup, is_apart));
        }
        Ok(visit.is_some())
    }

    fn pragma(&mut self, text: Id) -> Result<(), Trouble> {
        if self.ignores_pragmas {
            return Ok(());
        }
        match destringed(text, self.dialect, &mut self.worker.names) {
            // As `_Pragma`, gcc obeys it for nothing that matters here.
            Ok(None | Some(Step::System { .. })) => {}
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
