//! The exact include engine: which files a compile reads, as the compiler itself would find them.
//!
//! [`Engine::closure`] takes a command line and gives the closure: files in the order of first visits, paths
//! that were probed and absent, links met, and what else a hermetic build must know. It follows gcc and clang to
//! the letter; what it does not model is a [`Refusal`], never a guess. A file is parsed once per content
//! (`parsing`), and including it is evaluated once per state it can tell apart (`memory::summary`), so the usual
//! answer takes some microseconds.
//!
//! The engine does no input or output of its own: files come through [`Tree`], and what only the compiler knows
//! (predefined macros, default folders, `__has_builtin(x)`) through [`Compiler`].

#![forbid(unsafe_code)]

mod closure;
mod command_line;
mod compilers;
mod engine;
mod evaluate;
mod gathering;
mod locks;
mod macros;
mod memory;
mod parsing;
mod refusal;
mod resting;
mod search;
mod tree;
mod worker;

pub use closure::{Absent, AssemblerInclude, Closure, ClosureFile, DefaultFolder, Renamed};
pub use command_line::options::Command;
pub use compilers::ask::{Ask, Compiler, Said};
pub use compilers::real_compiler::{RealCompiler, Run};
pub use compilers::within::output_within;
pub use engine::{Engine, Settings, Statistics};
pub use parsing::text::assembler_includes;
pub use refusal::Refusal;
pub use search::folders::Link;
pub use tree::real_tree::RealTree;
pub use tree::{Changes, EntryKind, Found, MemoryTree, Stamp, Tree};
