//! How much memory a thread holds: an allocator that counts, in every program that links this
//! crate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Negative where another thread's memory was given back here.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(change: isize) {
    // A thread that ends has none left.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + change);
        let _ = MOST.try_with(|most| most.set(most.get().max(now.get())));
    });
}

fn signed(size: usize) -> isize {
    size.cast_signed()
}

// SAFETY: everything is left to the system's allocator; counting touches no memory but a
// thread's own cells, which need no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promised us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: as the caller promised us.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Begins to look for the most; returns what this thread holds.
pub(crate) fn begin() -> usize {
    let now = NOW.with(Cell::get);
    MOST.with(|most| most.set(now));
    now.max(0).cast_unsigned()
}

/// The most since then.
pub(crate) fn most() -> usize {
    MOST.with(Cell::get).max(0).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_counts() {
        let before = begin();
        let mut bytes = vec![1u8; 100_000];
        bytes.reserve_exact(100_000);
        drop(bytes);
        let most = most() - before;
        assert!((190_000..210_000).contains(&most), "{most}");
    }
}
