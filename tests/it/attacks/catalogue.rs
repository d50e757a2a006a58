//! The catalogue of attacks against the tests and the page that answer it.
//!
//! `tests/data/attacks.jsonl` is the catalogue as the project was given it; what becomes of each row
//! stands in `docs/attacks.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use countersign::judge::verdict::Code;

/// Kinds of attacks that a push can carry.
const PUSHED: [&str; 10] = [
    "OBJ", "PATH", "DIFF", "HIST", "REF", "HOOK", "SIG", "APPR", "POL", "DOS",
];

struct Row {
    id: String,
    title: String,
    owed: bool,
}

impl Row {
    /// How the names of its tests begin.
    fn prefix(&self) -> String {
        format!("{}_", self.id.to_lowercase().replace('-', "_"))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn catalogue() -> Vec<Row> {
    let text = fs::read_to_string(root().join("tests/data/attacks.jsonl")).unwrap();
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| row[name].as_str().unwrap().to_owned();
        let owed = field("kind") == "real-git" || PUSHED.contains(&field("category").as_str());
        Row {
            id: field("id"),
            title: field("title"),
            owed,
        }
    };
    text.lines().map(row).collect()
}

/// The names of all test functions below a folder.
fn tests_below(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in crate::bad_input::files_below(folder) {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
                names.insert(rest.split('(').next().unwrap().to_owned());
            }
            // Attributes and comments may stand between.
            is_test = line == "#[test]"
                || (is_test && (line.starts_with("#[") || line.starts_with("//")));
        }
    }
    names
}

/// Every attack that is owed is performed by a test that begins with its name.
#[test]
fn every_owed_attack_has_a_test() {
    let rows = catalogue();
    assert_eq!(rows.len(), 158);
    let tests = tests_below(&root().join("tests/it/attacks"));
    let missing: Vec<&String> = rows
        .iter()
        .filter(|row| row.owed)
        .filter(|row| !tests.iter().any(|test| test.starts_with(&row.prefix())))
        .map(|row| &row.id)
        .collect();
    assert!(missing.is_empty(), "no test of {missing:?}");
}

/// The page has a row for every attack, in order, and names only codes and tests that there are.
#[test]
fn every_attack_has_its_row() {
    let page = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    let said: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let rows = catalogue();
    let ids: Vec<&str> = said.iter().map(|cells| cells[0]).collect();
    let wanted: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, wanted);

    let mut tests = tests_below(&root().join("tests/it"));
    tests.extend(tests_below(&root().join("src")));
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    for (row, cells) in rows.iter().zip(&said) {
        let [_, title, state, code, test, why] = cells[..] else {
            panic!("{}: not six cells: {cells:?}", row.id);
        };
        assert_eq!(title, row.title, "{}", row.id);
        let states = ["stopped", "detected", "later", "out of scope"];
        assert!(states.contains(&state), "{}: {state}", row.id);
        assert!(why.ends_with('.'), "{}: says why", row.id);
        for code in quoted(code) {
            assert!(codes.contains(code), "{}: no code {code}", row.id);
        }
        let named = quoted(test);
        for test in &named {
            let there = match test.strip_suffix('*') {
                Some(prefix) => tests.iter().any(|name| name.starts_with(prefix)),
                None => tests.contains(*test),
            };
            assert!(there, "{}: no test {test}", row.id);
        }
        if row.owed {
            assert_eq!(named, [format!("{}*", row.prefix())], "{}", row.id);
        }
        let settled = state == "stopped" || state == "detected";
        assert!(
            !settled || !named.is_empty(),
            "{}: {state}, by which test?",
            row.id
        );
    }
}

/// The page counts its rows right.
#[test]
fn the_page_counts_right() {
    let page = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    for state in ["stopped", "detected", "later", "out of scope"] {
        let cell = format!("| {state} |");
        let count = page.lines().filter(|line| line.contains(&cell)).count();
        let claim = format!("**{state}** ({count})");
        assert!(page.contains(&claim), "{claim}");
    }
}

/// The words in back quotes of a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}
