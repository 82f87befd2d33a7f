//! Finding a header from where the evaluation stands, by the names that the compiler gives to files and folders.
//!
//! gcc names a file beside another by its real path if it takes their folder for one of the system; clang goes by the
//! name under which it met a file first. Both depend on what was met before, so pseudo-names in the environment hold
//! it. They are written only once a file is met for which it matters: then evaluation starts again.

use super::{Stop, Unit};
use crate::memory::names::{Id, known};
use crate::parsing::loaded::Loaded;
use crate::parsing::steps::{Bad, Form, Likeness};
use crate::worker::{File, Noted, Visit};
use std::sync::Arc;

/// How the pseudo-name of a folder begins that is searched because a file of it includes something.
const BESIDE: &[u8] = b"\x04beside ";

impl Unit<'_> {
    /// Searches for a header that shall be included.
    pub(super) fn search(&mut self, header: Id, form: Form, beside: u32) -> Result<u32, Stop> {
        let lookup = self.look_up(header, form, beside);
        if self.worker.lookups[lookup as usize].depends_on_system && !self.noted.system {
            return Err(self.wants(Noted {
                system: true,
                ..self.noted
            }));
        }
        Ok(lookup)
    }

    pub(super) fn look_up(&mut self, header: Id, form: Form, beside: u32) -> u32 {
        let beside_system = self.noted.system && self.is_beside_system(header, form, beside);
        let lookup = self.worker.lookup(
            self.context,
            header,
            form,
            beside,
            beside_system,
            self.place,
        );
        if self.worker.lookups[lookup as usize].visit.is_some() {
            let file = self.worker.lookups[lookup as usize].file;
            self.note_name(file);
            self.note_folder(file);
        }
        lookup
    }

    /// Whether gcc takes the file at hand for one of a system folder; not known while that is not noted.
    pub(super) fn is_system(&self) -> bool {
        self.context != self.contexts[0]
    }

    /// Whether a file is one of the system for where it was found; not known while that is not noted.
    pub(super) fn is_found_in_system(&self, visit: Visit) -> bool {
        let chain = &self.worker.contexts[self.context as usize].chain;
        self.noted.system && chain.is_system(visit.place)
    }

    /// In C90, gcc takes `//` for the beginning of a comment in files of the system alone.
    pub(super) fn wants_system(&mut self, loaded: &Loaded) -> Result<(), Stop> {
        if loaded.is_other_in_system && !self.noted.system {
            return Err(self.wants(Noted {
                system: true,
                ..self.noted
            }));
        }
        Ok(())
    }

    /// From here on gcc takes the file at hand for one of the system, or for none.
    pub(super) fn turn_system(&mut self, on: bool) -> Result<(), Stop> {
        let loaded = Arc::clone(&self.loaded);
        self.wants_system(&loaded)?;
        self.context = self.contexts[usize::from(on)];
        let dialect = self.dialect.of_files(self.is_system());
        if dialect.masked(loaded.matters) != loaded.dialect {
            let otherwise = self.worker.load(self.file, dialect);
            let is_same = |otherwise: Arc<Loaded>| {
                otherwise.parsed.likeness(&loaded.parsed) == Likeness::Same
            };
            if !otherwise.is_some_and(is_same) {
                return Err(self.bad(&Bad::Unmodelled(
                    "a file that is one of the system in part, and // in a directive".into(),
                )));
            }
        }
        Ok(())
    }

    pub(super) fn refuse_marker(&mut self) -> Result<(), Stop> {
        let loaded = Arc::clone(&self.loaded);
        self.wants_system(&loaded)?;
        if self.noted.system {
            return Err(self.bad(&Bad::Unmodelled(
                "an odd line marker, where files of system folders are others to gcc".into(),
            )));
        }
        Ok(())
    }

    pub(super) fn wants(&mut self, noted: Noted) -> Stop {
        self.worker.contexts[self.context as usize].wants = noted;
        Stop::Notes(noted)
    }

    /// clang looks for what a file includes beside the name by which it met the file first, even by `__has_include`.
    /// That is noted from when a file is met that has two names.
    pub(super) fn wants_names(&mut self, file: u32, loaded: &Loaded) -> Result<(), Stop> {
        let has_two = loaded.stamp.names > 1 || !self.worker.files[file as usize].links.is_empty();
        if has_two && self.dialect.clang && !self.noted.names {
            return Err(self.wants(Noted {
                names: true,
                ..self.noted
            }));
        }
        Ok(())
    }

    pub(super) fn note_name(&mut self, file: u32) {
        if !self.noted.names {
            return;
        }
        let worker = &mut *self.worker;
        let mark = worker.first_name_mark(file);
        if worker.env.read(mark) == 0 {
            let File { folder, beside, .. } = worker.files[file as usize];
            let beside = worker.name_of_folder(self.context, folder, beside);
            let name = [BESIDE, worker.beside[beside as usize].as_slice()].concat();
            let name = worker.names.id(&name);
            worker.env.write(mark, name);
        }
    }

    /// clang goes on with the name by which it met a folder first when it names files beside others there. That is noted
    /// from when a directive asks for such a name.
    pub(super) fn note_folder(&mut self, file: u32) {
        if !self.noted.folders {
            return;
        }
        let mark = self.folder_mark(file);
        let worker = &mut *self.worker;
        let File { folder, beside, .. } = worker.files[file as usize];
        let beside = worker.name_of_folder(self.context, folder, beside);
        let mut spelled = worker.beside[beside as usize].as_slice();
        while let Some(rest) = spelled.strip_prefix(b"./") {
            spelled = rest;
        }
        let spelled = spelled.strip_prefix(b".").unwrap_or(spelled);
        let name = [BESIDE, spelled].concat();
        let name = worker.names.id(&name);
        match worker.env.read(mark) {
            0 => worker.env.write(mark, name),
            before if before == name => {}
            _ => worker.env.write(mark, known::IS_ON),
        }
    }

    fn folder_mark(&mut self, file: u32) -> Id {
        let worker = &mut *self.worker;
        let folder = worker.files[file as usize].folder;
        let real = worker.folders.get(folder).real.clone().unwrap_or_default();
        worker.names.id(&[b"\x04folder ", &real[..]].concat())
    }

    /// Whether the folder of the file at hand was met by several names.
    pub(super) fn has_folder_of_many_names(&mut self) -> bool {
        let mark = self.folder_mark(self.file);
        self.worker.env.read(mark) == known::IS_ON
    }

    /// The folder, as an index, in which this file looks first for what it includes in quotes.
    pub(super) fn beside_of(&mut self, file: u32) -> u32 {
        let worker = &mut *self.worker;
        if self.noted.names {
            let mark = worker.first_name_mark(file);
            let name = worker.env.read(mark);
            let name = worker.names.entry(name);
            if let Some(folder) = name.bytes.strip_prefix(BESIDE) {
                return worker.beside_id(folder);
            }
        }
        let File { folder, beside, .. } = worker.files[file as usize];
        worker.name_of_folder(self.context, folder, beside)
    }

    /// Whether gcc takes the includer's folder for one of the system: it goes by the first of its files that looks
    /// for anything beside itself. True: it is, and looked into now.
    fn is_beside_system(&mut self, header: Id, form: Form, beside: u32) -> bool {
        let worker = &mut *self.worker;
        let chain = &worker.contexts[self.context as usize].chain;
        let header = worker.names.entry(header);
        if !chain.looks_beside(&header.bytes, form, self.place, self.dialect.clang) {
            return false;
        }
        let mark = [BESIDE, worker.beside[beside as usize].as_slice()].concat();
        let mark = worker.names.id(&mark);
        let is_system = self.context != self.contexts[0];
        match worker.env.read(mark) {
            0 => {
                let value = if is_system {
                    known::IS_ON
                } else {
                    known::IS_OFF
                };
                worker.env.write(mark, value);
                is_system
            }
            value => value == known::IS_ON,
        }
    }
}
