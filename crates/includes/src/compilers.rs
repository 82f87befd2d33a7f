//! What only the compiler knows: what is asked of it, how its answers are read, kept and trusted.

pub(crate) mod ask;
pub(crate) mod asked_once;
pub(crate) mod bases;
mod fact_store;
pub(crate) mod facts;
pub(crate) mod real_compiler;
mod stock_questions;
pub(crate) mod within;
