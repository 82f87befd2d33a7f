//! Which code an input reaches: counters that the compiler puts into each piece of code if it is
//! asked to (`make fuzz` does, by `-Cpasses=sancov-module`; see there).
//!
//! Source: clang's "SanitizerCoverage", "Inline 8bit-counters".

use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

/// A program has one region for all its code; more is for libraries loaded later.
const REGIONS: usize = 8;
static STARTS: [AtomicPtr<u8>; REGIONS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; REGIONS];
static LENGTHS: [AtomicUsize; REGIONS] = [const { AtomicUsize::new(0) }; REGIONS];

/// Called before `main`, once for each piece of code, mostly with the same region.
// SAFETY: the name is that of the compiler's interface, and nobody else has it.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let length = stop.addr().saturating_sub(start.addr());
    for (place, its_length) in STARTS.iter().zip(&LENGTHS) {
        let there = place.load(Ordering::SeqCst);
        if there == start {
            return;
        }
        if there.is_null() {
            place.store(start, Ordering::SeqCst);
            its_length.store(length, Ordering::SeqCst);
            return;
        }
    }
}

fn regions() -> impl Iterator<Item = (*mut u8, usize)> {
    let starts = STARTS.iter().map(|start| start.load(Ordering::SeqCst));
    let lengths = LENGTHS.iter().map(|length| length.load(Ordering::SeqCst));
    starts.zip(lengths).filter(|(start, _)| !start.is_null())
}

/// Whether the code counts.
pub(crate) fn is_counted() -> bool {
    regions().next().is_some()
}

/// Sets all counters to zero.
pub(crate) fn clear() {
    for (start, length) in regions() {
        // SAFETY: the compiler's counters live as long as the program. Others count at the same
        // time without locks, which can lose a count and nothing else.
        unsafe { start.write_bytes(0, length) };
    }
}

/// What was reached so far, and how often at a time.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<u8>);

impl Seen {
    /// Whether the counters show anything that was never there; it is noted.
    pub(crate) fn is_new(&mut self) -> bool {
        let mut new = false;
        let mut base = 0;
        for (start, length) in regions() {
            if self.0.len() < base + length {
                self.0.resize(base + length, 0);
            }
            // SAFETY: as above. The code that reads them counts, too, so they are atomics here.
            let counters = unsafe { std::slice::from_raw_parts(start.cast::<AtomicU8>(), length) };
            let seen = &mut self.0[base..base + length];
            for (count, seen) in counters.iter().zip(seen) {
                let class = class(count.load(Ordering::Relaxed));
                new |= *seen & class != class;
                *seen |= class;
            }
            base += length;
        }
        new
    }

    /// How many places of code were reached.
    pub(crate) fn places(&self) -> usize {
        self.0.iter().filter(|&&seen| seen != 0).count()
    }
}

/// How often, roughly, as a bit.
fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        128.. => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_have_classes() {
        let classes: Vec<u8> = [0, 1, 2, 3, 4, 7, 8, 31, 32, 255].map(class).to_vec();
        assert_eq!(classes, [0, 1, 2, 4, 8, 8, 16, 32, 64, 128]);
    }
}
