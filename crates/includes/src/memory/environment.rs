//! The environment: the value of every name now, and a record of what each open frame read and wrote.
//!
//! A name's cell holds the stamp of its last write; older than the start of the translation unit means
//! "look into the base": the compiler's own macros, and what the first big headers made of them (`layers`). A frame is the evaluation of one included file. It records
//! a read when the name was neither written nor read since the frame began: these are the conditions under
//! which doing it again gives the same result. When a frame closes, what its parent must know is passed on
//! without a look-up, because each record holds the stamps it found.

use std::sync::Arc;

use crate::memory::layers::{Layers, MANY_EFFECTS};
use crate::memory::names::Id;

/// A value that a frame found outside of itself.
#[derive(Debug, Clone, Copy)]
struct Read {
    name: Id,
    value: Id,
    written: u32,
    read: u32,
}

/// A name that a frame wrote, and the stamp of the write before.
#[derive(Debug, Clone, Copy)]
struct Write {
    name: Id,
    written: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    value: Id,
    written: u32,
    read: u32,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    start: u32,
    reads: usize,
    writes: usize,
}

/// What a closed frame read and did.
#[derive(Debug)]
pub(crate) struct Record {
    /// Names and the values found, in the order of evaluation.
    pub(crate) reads: Vec<(Id, Id)>,
    /// Names and the values left.
    pub(crate) effects: Box<[(Id, Id)]>,
}

/// The values of all names during one translation unit after another.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    cells: Vec<Cell>,
    /// The compiler's own macros, and on top of them what the first includes left.
    base: Arc<Vec<Id>>,
    /// The compiler's own macros.
    ground: Arc<Vec<Id>>,
    pub(crate) layers: Layers,
    /// Names written in this unit, as far as they are noted: these do not have the base's values.
    written: Vec<Id>,
    clock: u32,
    unit: u32,
    frames: Vec<Frame>,
    /// Start of the innermost frame; 0 outside of all.
    recording: u32,
    reads: Vec<Read>,
    writes: Vec<Write>,
}

/// Names noted as written. Beyond that, no more layers are put on the unit's base.
const WRITTEN: usize = 256;

/// Stamps are forgotten before they can wrap.
const LAST_STAMP: u32 = u32::MAX - (1 << 24);

impl Environment {
    /// Starts a translation unit on the macros in `base`.
    pub(crate) fn begin(&mut self, base: Arc<Vec<Id>>) {
        if self.clock > LAST_STAMP {
            self.cells.fill(Cell::default());
            self.clock = 0;
        }
        self.clock += 1;
        self.unit = self.clock;
        self.base = Arc::clone(&base);
        self.ground = base;
        self.written.clear();
        self.frames.clear();
        self.reads.clear();
        self.writes.clear();
        self.recording = 0;
    }

    /// Exchanges the base for one that knows more answers.
    pub(crate) fn extend_base(&mut self, base: Arc<Vec<Id>>) {
        let mut values = Arc::clone(&base);
        if !Arc::ptr_eq(&self.base, &self.ground) {
            let values = Arc::make_mut(&mut values);
            values.resize(values.len().max(self.base.len()), 0);
            for (at, &value) in self.base.iter().enumerate() {
                // Answers are no macros: what differs was left by an include.
                if value != self.ground.get(at).copied().unwrap_or(0) {
                    values[at] = value;
                }
            }
        }
        self.base = values;
        self.ground = base;
    }

    /// The value of `name`, 0 if it has none.
    pub(crate) fn read(&mut self, name: Id) -> Id {
        let Some(cell) = self.cells.get_mut(name as usize) else {
            return self.read_new(name);
        };
        let value = if cell.written >= self.unit {
            cell.value
        } else {
            self.base.get(name as usize).copied().unwrap_or(0)
        };
        if cell.written < self.recording && cell.read < self.recording {
            self.reads.push(Read {
                name,
                value,
                written: cell.written,
                read: cell.read,
            });
            cell.read = self.clock;
        }
        value
    }

    /// The value of `name`, without a record of having asked.
    pub(crate) fn peek(&self, name: Id) -> Id {
        match self.cells.get(name as usize) {
            Some(cell) if cell.written >= self.unit => cell.value,
            _ => self.base.get(name as usize).copied().unwrap_or(0),
        }
    }

    #[cold]
    fn read_new(&mut self, name: Id) -> Id {
        self.grow(name);
        self.read(name)
    }

    #[cold]
    fn grow(&mut self, name: Id) {
        let len = (name as usize + 1).max(self.cells.len() * 2);
        self.cells.resize(len, Cell::default());
    }

    /// Gives `name` a value; 0 takes it away.
    pub(crate) fn write(&mut self, name: Id, value: Id) {
        if self.cells.len() <= name as usize {
            self.grow(name);
        }
        let cell = &mut self.cells[name as usize];
        if cell.written < self.recording {
            self.writes.push(Write {
                name,
                written: cell.written,
            });
        }
        if cell.written < self.unit && self.written.len() < WRITTEN {
            self.written.push(name);
        }
        cell.written = self.clock;
        cell.value = value;
    }

    /// Writes all effects of a summary. Below the main file nothing is recorded, and there are up to 17,000 of them.
    pub(crate) fn apply(&mut self, effects: &Arc<[(Id, Id)]>) {
        if self.recording == 0 && effects.len() >= MANY_EFFECTS && self.put_on(effects) {
            return;
        }
        let mut rest = effects.iter();
        while self.recording != 0 || self.written.len() < WRITTEN {
            let Some(&(name, value)) = rest.next() else {
                return;
            };
            self.write(name, value);
        }
        // Nothing is recorded and nothing noted.
        let clock = self.clock;
        for &(name, value) in rest {
            match self.cells.get_mut(name as usize) {
                Some(cell) => {
                    cell.written = clock;
                    cell.value = value;
                }
                None => self.write(name, value),
            }
        }
    }

    /// Takes the values after these effects for the base. False: they must be written one by one.
    fn put_on(&mut self, effects: &Arc<[(Id, Id)]>) -> bool {
        if self.written.len() == WRITTEN {
            return false;
        }
        let Some(above) = self.layers.above(&self.base, effects) else {
            return false;
        };
        for &name in &self.written {
            if let Some(value) = above.given(name) {
                self.cells[name as usize].value = value;
            }
        }
        self.base = Arc::clone(&above.values);
        true
    }

    /// Opens a frame.
    pub(crate) fn open(&mut self) {
        self.clock += 1;
        self.frames.push(Frame {
            start: self.clock,
            reads: self.reads.len(),
            writes: self.writes.len(),
        });
        self.recording = self.clock;
    }

    /// Closes the innermost frame. With `keep`, returns its record.
    pub(crate) fn close(&mut self, keep: bool) -> Option<Record> {
        let frame = self.frames.pop()?;
        let record = keep.then(|| Record {
            reads: self.reads[frame.reads..]
                .iter()
                .map(|r| (r.name, r.value))
                .collect(),
            effects: self.writes[frame.writes..]
                .iter()
                .map(|w| (w.name, self.cells[w.name as usize].value))
                .collect(),
        });
        let parent = self.frames.last().map_or(0, |f| f.start);
        self.recording = parent;
        let mut kept = frame.reads;
        for at in frame.reads..self.reads.len() {
            let read = self.reads[at];
            if read.written < parent && read.read < parent {
                self.reads[kept] = read;
                kept += 1;
            }
        }
        self.reads.truncate(kept);
        let mut kept = frame.writes;
        for at in frame.writes..self.writes.len() {
            let write = self.writes[at];
            if write.written < parent {
                self.writes[kept] = write;
                kept += 1;
            }
        }
        self.writes.truncate(kept);
        // What happens next in the parent must be newer than all that the child did.
        self.clock += 1;
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_records_what_it_found_and_what_it_left() {
        let mut env = Environment::default();
        env.begin(Arc::new(vec![0, 10, 20]));
        env.write(3, 30);
        env.open();
        assert_eq!((env.read(1), env.read(3), env.read(1)), (10, 30, 10));
        env.write(2, 21);
        assert_eq!(env.read(2), 21);
        env.open();
        assert_eq!((env.read(1), env.read(2)), (10, 21));
        env.write(1, 0);
        let inner = env.close(true).expect("open above");
        assert_eq!(
            (inner.reads, &*inner.effects),
            (vec![(1, 10), (2, 21)], &[(1, 0)][..])
        );
        assert_eq!(env.read(1), 0);
        let outer = env.close(true).expect("open above");
        assert_eq!(
            (outer.reads, &*outer.effects),
            (vec![(1, 10), (3, 30)], &[(2, 21), (1, 0)][..])
        );
    }

    /// Effects on the names 1 to 1,000, without 100.
    fn many(value: Id) -> Arc<[(Id, Id)]> {
        let names = (1..=1000).filter(|name| *name != 100);
        names.map(|name| (name, value)).collect()
    }

    #[test]
    fn layers_leave_what_writes_leave() {
        let mut env = Environment::default();
        let base = Arc::new(vec![7; 2000]);
        let (one, two) = (many(1), many(2));
        for _ in 0..4 {
            env.begin(Arc::clone(&base));
            env.write(5, 50);
            env.write(100, 50);
            env.apply(&one);
            assert_eq!([5, 6, 100, 1001].map(|n| env.read(n)), [1, 1, 50, 7]);
            env.write(6, 60);
            env.apply(&two);
            env.open();
            assert_eq!([5, 6, 100, 1001].map(|n| env.read(n)), [2, 2, 50, 7]);
            env.apply(&one);
            assert_eq!(env.read(5), 1);
            let record = env.close(true).expect("open above");
            assert_eq!(record.reads, [(5, 2), (6, 2), (100, 50), (1001, 7)]);
            assert_eq!(record.effects.len(), one.len());
            env.write(5, 51);
            let mut longer = base.to_vec();
            longer.push(9);
            env.extend_base(Arc::new(longer));
            assert_eq!([5, 6, 100, 1001].map(|n| env.read(n)), [51, 1, 50, 7]);
            assert_eq!(env.read(2000), 9);
        }
        assert!(env.layers.weight() > 0);
    }

    #[test]
    fn units_do_not_see_each_other() {
        let mut env = Environment::default();
        env.begin(Arc::new(vec![0, 10]));
        env.write(1, 11);
        env.begin(Arc::new(vec![0, 10]));
        assert_eq!(env.read(1), 10);
    }
}
