//! The exact include engine: which files a compile reads, as the compiler itself would find them.
//!
//! [`Engine::closure`] takes a command line and gives the closure: files in the order of first visits, paths
//! that were probed and absent, links met, and what else a hermetic build must know. It follows gcc and clang to
//! the letter; what it does not model is a [`Refusal`], never a guess. A file is parsed once per content
//! (`directives`), and including it is evaluated once per state it can tell apart (`summary`), so the usual
//! answer takes some microseconds.
//!
//! The engine does no input or output of its own: files come through [`Tree`], and what only the compiler knows
//! (predefined macros, default folders, `__has_builtin(x)`) through [`Compiler`].

#![forbid(unsafe_code)]

mod answers;
mod bases;
mod calls;
mod changes;
mod closure;
mod condition;
mod dialect;
mod directives;
mod engine;
mod environment;
mod evaluate;
mod expand;
mod fact_store;
mod facts;
mod folders;
mod gathering;
mod invocation;
mod known_makers;
mod language;
mod linked_doubles;
mod loaded;
mod macros;
mod makers;
mod names;
mod option_pragmas;
mod option_tables;
mod options;
mod parsed_files;
mod real_compiler;
mod real_tree;
mod refusal;
mod scanner;
mod search;
mod steps;
mod stock_questions;
mod summary;
mod text;
mod tokens;
mod tree;
mod trigraphs;
mod watcher;
mod words;
mod worker;

pub use closure::{AssemblerInclude, Closure, ClosureFile, DefaultFolder};
pub use engine::{Engine, Settings, Statistics};
pub use facts::{Ask, Compiler, Said};
pub use folders::Link;
pub use options::Command;
pub use real_compiler::{RealCompiler, Run};
pub use real_tree::RealTree;
pub use refusal::Refusal;
pub use tree::{Changes, EntryKind, Found, MemoryTree, Stamp, Tree};
