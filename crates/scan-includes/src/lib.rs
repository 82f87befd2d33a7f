//! What `scan-includes` shares with the benchmarks: reading compile databases, and seeing through launchers.

pub mod database;
pub mod launchers;
