//! The document against the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use end_to_end::programs::repository;

/// Entries by letter.
const ENTRIES: &[(char, &[u32])] = &[
    (
        'A',
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
        ],
    ),
    (
        'B',
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        ],
    ),
    ('C', &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ('D', &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ('E', &[1, 2, 3, 4, 5, 6, 7, 8]),
];

/// The cells of each line of a table in the document.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(repository()).join("docs/known-limits.md")).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| entry"))
        .map(cells)
        .collect()
}

/// All of Rust's text below a folder.
pub(crate) fn sources_below(folder: &Path) -> String {
    let mut text = String::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

#[test]
fn each_entry_has_its_line() {
    let named: BTreeSet<String> = rows().into_iter().map(|row| row[0].clone()).collect();
    let due = ENTRIES.iter().flat_map(|(letter, numbers)| {
        numbers
            .iter()
            .map(move |number| format!("{letter}{number}"))
    });
    let missing: Vec<String> = due.filter(|entry| !named.contains(entry)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named.iter().filter(|name| name.starts_with('F')).count() >= 2);
}

#[test]
fn each_test_that_is_named_exists() {
    for row in rows() {
        let [entry, _, shown] = row.as_slice() else {
            panic!("three cells are due: {row:?}");
        };
        if shown == "stays" {
            continue;
        }
        // `FOLDER`: `TEST`, `TEST`; and so on.
        let quoted: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let mut sources = None;
        let mut tests = 0;
        for name in quoted {
            let folder = Path::new(repository()).join(name);
            if folder.is_dir() {
                sources = Some(sources_below(&folder));
                continue;
            }
            let text = sources
                .as_deref()
                .unwrap_or_else(|| panic!("{entry}: {name} stands in no folder"));
            let declared = format!("fn {name}()");
            let mut tests_of_folder = text.split("#[test]").skip(1);
            let found = tests_of_folder.any(|rest| rest.trim_start().starts_with(&declared));
            assert!(found, "{entry}: there is no test {name}");
            tests += 1;
        }
        assert!(
            tests > 0,
            "{entry} names neither a test nor a reason to stay"
        );
    }
}

#[test]
fn what_stays_has_its_reason_in_the_differences() {
    let text = fs::read_to_string(Path::new(repository()).join("docs/differences.md")).unwrap();
    let start = text
        .find("\n## As in 3.4 for now\n")
        .expect("the section is there");
    for row in rows().iter().filter(|row| row[2] == "stays") {
        let entry = format!("| {} |", row[0]);
        assert!(
            text[start..].contains(&entry),
            "{} has no reason to stay",
            row[0]
        );
    }
}
