//! Layers: all values after including something that left very many, made once and then put in place as a whole.
//!
//! Most files of a project begin by including the same big header. What that one leaves is up to 17,000 values, and
//! writing them one by one is the greater part of answering for a new file. So the values before and after are kept as
//! a base and the next: equal base and equal effects make an equal next one.

use std::sync::Arc;

use crate::memory::names::Id;

/// Effects from which on a layer is worth looking for. Tests have small headers, and shall meet layers nevertheless: with
/// debug assertions any number will do.
pub(crate) const MANY_EFFECTS: usize = if cfg!(debug_assertions) { 1 } else { 500 };

/// Layers kept. Those that were not used for longest go first.
const LAYERS: usize = 64;

/// Values kept in all of them together: 16 MB.
const VALUES: usize = 4_000_000;

/// What a base becomes by some effects.
#[derive(Debug)]
struct Layer {
    below: Arc<Vec<Id>>,
    effects: Arc<[(Id, Id)]>,
    uses: usize,
    last_use: u64,
    above: Option<Arc<Above>>,
}

/// The values after the effects.
#[derive(Debug)]
pub(crate) struct Above {
    pub(crate) values: Arc<Vec<Id>>,
    /// A bit for each name that the effects have.
    touched: Box<[u64]>,
}

/// The layers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    list: Vec<Layer>,
    now: u64,
    values: usize,
}

impl Above {
    fn new(below: &[Id], effects: &[(Id, Id)]) -> Self {
        let names = effects.iter().map(|&(name, _)| name as usize + 1);
        let len = names.max().unwrap_or(0).max(below.len());
        let mut values = below.to_vec();
        values.resize(len, 0);
        let mut touched = vec![0; len.div_ceil(64)];
        for &(name, value) in effects {
            let at = name as usize;
            values[at] = value;
            touched[at / 64] |= 1 << (at % 64);
        }
        Above {
            values: Arc::new(values),
            touched: touched.into(),
        }
    }

    /// The value that the effects gave to this name.
    pub(crate) fn given(&self, name: Id) -> Option<Id> {
        let at = name as usize;
        let word = self.touched.get(at / 64)?;
        (word >> (at % 64) & 1 == 1).then(|| self.values[at])
    }
}

impl Layers {
    /// Words of memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.values / 2
    }

    /// The values that these effects leave. `None` until they were wanted so often that writing them one by one has taken
    /// as many steps as a copy of the base.
    pub(crate) fn above(
        &mut self,
        below: &Arc<Vec<Id>>,
        effects: &Arc<[(Id, Id)]>,
    ) -> Option<Arc<Above>> {
        self.now += 1;
        let known = self
            .list
            .iter_mut()
            .find(|layer| Arc::ptr_eq(&layer.effects, effects) && Arc::ptr_eq(&layer.below, below));
        let Some(layer) = known else {
            self.add(below, effects);
            return None;
        };
        layer.uses += 1;
        layer.last_use = self.now;
        let pays = cfg!(debug_assertions) || layer.uses * effects.len() > below.len();
        if layer.above.is_none() && pays {
            let above = Above::new(below, effects);
            self.values += above.values.len();
            layer.above = Some(Arc::new(above));
        }
        let above = layer.above.clone();
        if self.values > VALUES {
            *self = Layers::default();
        }
        above
    }

    fn add(&mut self, below: &Arc<Vec<Id>>, effects: &Arc<[(Id, Id)]>) {
        let new = Layer {
            below: Arc::clone(below),
            effects: Arc::clone(effects),
            uses: 1,
            last_use: self.now,
            above: None,
        };
        let is_full = self.list.len() >= LAYERS;
        let oldest = self.list.iter_mut().min_by_key(|layer| layer.last_use);
        match oldest {
            Some(oldest) if is_full => {
                let old = std::mem::replace(oldest, new);
                self.values -= old.above.map_or(0, |above| above.values.len());
            }
            _ => self.list.push(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::index;

    #[test]
    fn a_layer_is_made_when_it_pays_and_belongs_to_its_base() {
        let mut layers = Layers::default();
        let (base, other) = (Arc::new(vec![0, 10, 20]), Arc::new(vec![0, 11]));
        let effects: Arc<[(Id, Id)]> = [(1, 0), (70, 7)].into();
        assert!(layers.above(&base, &effects).is_none());
        assert!(layers.above(&other, &effects).is_none());
        let above = layers.above(&base, &effects).expect("the second time");
        assert_eq!(above.values[..3], [0, 0, 20]);
        let given = [0, 1, 2, 69, 70, 700].map(|name| above.given(name));
        assert_eq!(given, [None, Some(0), None, None, Some(7), None]);
        let above = layers.above(&other, &effects).expect("the second time");
        assert_eq!(above.values[..3], [0, 0, 0]);
    }

    #[test]
    fn layers_are_bounded() {
        let mut layers = Layers::default();
        let base = Arc::new(vec![0; VALUES / 20]);
        for _ in 0..100 {
            let effects: Arc<[(Id, Id)]> = vec![(1, 1); base.len()].into();
            for _ in 0..2 {
                layers.above(&base, &effects);
            }
            let values = layers.list.iter().flat_map(|layer| &layer.above);
            let kept: usize = values.map(|above| above.values.len()).sum();
            assert_eq!(kept, layers.values);
            assert!(kept <= VALUES);
        }
    }

    #[test]
    fn a_layer_in_use_stays() {
        let mut layers = Layers::default();
        let base = Arc::new(Vec::new());
        let often: Arc<[(Id, Id)]> = [(1, 1)].into();
        layers.above(&base, &often);
        for name in 0..3 * LAYERS {
            let effects: Arc<[(Id, Id)]> = [(index(name), 1)].into();
            assert!(layers.above(&base, &effects).is_none());
            assert!(layers.above(&base, &often).is_some());
        }
        assert_eq!(layers.list.len(), LAYERS);
    }
}
