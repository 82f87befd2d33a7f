//! Which compiles are scanned: one from the command line, or those of a compile database.

use includes::Command;
use scan_includes::database::{Compile, exchange_compiler, from_database, source_in};

use crate::Flags;

/// The compiles that the flags speak of.
pub(crate) fn read(flags: &Flags) -> Result<Vec<Compile>, String> {
    let env: Vec<_> = std::env::vars_os().collect();
    let cwd = std::env::current_dir().map_err(|error| format!("current directory: {error}"))?;
    let cwd = cwd.into_os_string().into_encoded_bytes();
    let mut list = match &flags.compilation_database {
        Some(file) => std::fs::read(file)
            .map_err(|error| error.to_string())
            .and_then(|text| from_database(&text, &cwd, &env))
            .map_err(|why| format!("{}: {why}", file.display()))?,
        None if flags.command.is_empty() => {
            return Err("no command: give one after `--`, or --compilation-database".into());
        }
        None => {
            let command = Command {
                cwd,
                argv: flags.command.clone(),
                env,
            };
            vec![Compile::new(source_in(&flags.command), command)]
        }
    };
    if let Some(compiler) = &flags.compiler {
        for compile in list.iter_mut().filter(|compile| compile.unclear.is_none()) {
            exchange_compiler(&mut compile.command, compiler);
        }
    }
    Ok(list)
}
