//! What `scan-includes` shares with the benchmarks: reading compile databases, seeing through launchers,
//! and which thread takes which compile.

pub mod database;
pub mod launchers;
pub mod stretches;
