//! Compilers that do something else than compile.

use crate::tree::Tree;

/// Writes a compiler that answers questions and preprocesses as gcc does, but for each compile
/// runs `commands`, in the shell's language, with the compile's arguments.
pub fn write_compiler(folder: &Tree, name: &str, commands: &str) {
    folder.script(
        name,
        &format!(
            "for word; do\n\
                 case $word in -E | -M | -v | -print-* | -dump*) exec gcc \"$@\" ;; esac\n\
             done\n\
             {commands}\n"
        ),
    );
}
