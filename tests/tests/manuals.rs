//! The manual pages: each renders without a complaint, and has all options and variables of its
//! program and no others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::programs::{command, repository, stage};
use end_to_end::run::run;

/// A page, its section, and where its program is in an installed tree.
const PAGES: [(&str, u8, &str); 8] = [
    ("distcc", 1, "bin"),
    ("distccd", 1, "bin"),
    ("pump", 1, "bin"),
    ("include_server", 1, "bin"),
    ("lsdistcc", 1, "bin"),
    ("distccmon-text", 1, "bin"),
    ("scan-includes", 1, "bin"),
    ("update-distcc-symlinks", 8, "sbin"),
];

/// The sources that read a program's environment.
const ENVIRONMENTS: [(&str, &str); 5] = [
    ("distcc", "crates/distcc/src/settings.rs"),
    ("distccd", "crates/distccd/src/environment.rs"),
    ("pump", "crates/agent/src/pump/settings.rs"),
    (
        "include_server",
        "crates/agent/src/include_server/startup.rs",
    ),
    ("lsdistcc", "crates/tools/src/bin/lsdistcc.rs"),
];

fn page(name: &str, section: u8) -> PathBuf {
    stage().join(format!("share/man/man{section}/{name}.{section}"))
}

/// The page as a reader sees it.
fn rendered(page: &Path) -> String {
    let done = run(command("mandoc").args(["-Tascii", "-Owidth=100"]).arg(page)).expect_success();
    let mut text = String::new();
    for c in done.text().0.chars() {
        // Bold and underlined letters are written over others.
        match c {
            '\x08' => drop(text.pop()),
            c => text.push(c),
        }
    }
    text
}

fn help(program: &str, folder: &str) -> String {
    let done = run(command(stage().join(folder).join(program)).arg("--help"));
    let (stdout, stderr) = done.text();
    let help = if stdout.is_empty() { stderr } else { stdout };
    assert!(help.contains("Usage"), "{help}");
    help
}

/// The options in a text: `--long`, and `-s` even where a value is glued to it.
fn options(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let option = |word: &str| {
        let name = word.trim_start_matches('-');
        let dashes = word.len() - name.len();
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            .then(|| match dashes {
                1 => Some(word[..2].to_owned()),
                2 => Some(word.to_owned()),
                _ => None,
            })?
    };
    text.split(|c| !is_part(c)).filter_map(option).collect()
}

/// The options that a `--help` explains: those in its left column, and all long ones.
fn explained(help: &str) -> BTreeSet<String> {
    let mut found = options(help);
    found.retain(|option| option.starts_with("--"));
    for line in help.lines().map(str::trim_start) {
        if line.starts_with('-') && !line.starts_with("- ") {
            found.extend(options(line.split("  ").next().unwrap()));
        }
    }
    found
}

/// The options that a page explains.
fn entries(source: &str) -> BTreeSet<String> {
    let lines = source
        .lines()
        .filter_map(|line| line.strip_prefix(".It ").filter(|it| it.starts_with("Fl ")));
    let joined: String = lines
        .map(|line| line.replace("Fl Fl ", "--").replace("Fl ", "-") + "\n")
        .collect();
    // Values glued to a letter are arguments in the source.
    options(&joined)
}

#[test]
fn each_page_renders_without_a_complaint() {
    for (name, section, _) in PAGES {
        let lint = run(command("mandoc")
            .args(["-Tlint", "-Wwarning"])
            .arg(page(name, section)));
        assert_eq!(lint.text(), (String::new(), String::new()), "{name}");
        let text = rendered(&page(name, section));
        assert!(text.contains("\nNAME\n"), "{text}");
        assert!(text.contains(&format!("     {name} - ")), "{text}");
    }
    let alias = fs::read_link(page("distcc-pump", 1)).unwrap();
    assert_eq!(alias, Path::new("pump.1"));
}

#[test]
fn each_option_stands_in_its_page_and_no_other() {
    let mut count = 0;
    for (name, section, folder) in PAGES {
        let page = page(name, section);
        let help = explained(&help(name, folder));
        count += help.len();
        let text = options(&rendered(&page));
        let missing: Vec<_> = help.difference(&text).collect();
        assert!(missing.is_empty(), "{name}({section}) lacks {missing:?}");

        let mut entries = entries(&fs::read_to_string(&page).unwrap());
        // It is what prints the help.
        entries.retain(|option| option != "--help" && option != "-h");
        let unknown: Vec<_> = entries.difference(&help).collect();
        assert!(
            unknown.is_empty(),
            "{name}({section}) invents {unknown:?}: {help:?}"
        );
    }
    assert!(count > 100, "{count} options");
}

/// Names of variables in a text, between two of `around`.
fn variables(text: &str, around: char) -> BTreeSet<String> {
    let is_name = |word: &&str| {
        word.len() > 3
            && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            && word.contains(|c: char| c.is_ascii_uppercase())
    };
    let words = text.split(around).filter(is_name);
    words.map(str::to_owned).collect()
}

#[test]
fn each_variable_that_a_program_reads_stands_in_its_page_and_no_other() {
    let mut everywhere = String::new();
    for (_, source) in ENVIRONMENTS {
        everywhere += &fs::read_to_string(Path::new(repository()).join(source)).unwrap();
    }
    let read_by_any = variables(&everywhere, '"');
    for (name, source) in ENVIRONMENTS {
        let source = fs::read_to_string(Path::new(repository()).join(source)).unwrap();
        // What stands behind this is no longer the program.
        let program = source.split("#[cfg(test)]").next().unwrap();
        let read = variables(program, '"');
        assert!(!read.is_empty(), "{name}");
        let page = fs::read_to_string(page(name, 1)).unwrap();
        let named: BTreeSet<String> = page
            .lines()
            .filter(|line| line.contains("Ev "))
            .flat_map(|line| variables(line, ' '))
            .collect();
        let missing: Vec<_> = read.difference(&named).collect();
        assert!(missing.is_empty(), "{name}(1) lacks {missing:?}");
        let is_said_to_do_nothing = |variable: &&String| {
            let entry = page.split_once(&format!(".It Ev {variable}\n"));
            entry.is_some_and(|(_, text)| text.starts_with("Without effect"))
        };
        let invented: Vec<_> = named
            .difference(&read_by_any)
            .filter(|variable| !is_said_to_do_nothing(variable))
            .collect();
        assert!(invented.is_empty(), "{name}(1) invents {invented:?}");
    }
}
