//! From a file's bytes to steps: line ends, trigraphs, logical lines, tokens, directives, and text where it matters.
//!
//! Done once per content and dialect; what is known of a file does not depend on any macro's value.

pub(crate) mod dialect;
mod directives;
pub(crate) mod line_ends;
pub(crate) mod loaded;
pub(crate) mod parsed_files;
pub(crate) mod scanner;
pub(crate) mod steps;
pub(crate) mod text;
pub(crate) mod tokens;
pub(crate) mod trigraphs;
