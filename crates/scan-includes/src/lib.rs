//! What `scan-includes` shares with the benchmarks: reading compile databases.

pub mod database;
