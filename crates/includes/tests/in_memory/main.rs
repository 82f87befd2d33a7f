//! What the engine reads and says, file by file, in trees in memory: each test shows a tree and what must come out.

mod asking;
mod chains;
mod fuzzed;
mod limits;
mod memory;
mod reads;
mod renamed;
mod repeats;
mod result;
mod sharing;
mod world;
