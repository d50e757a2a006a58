//! The tree itself: modules import one way, each thing stands where the map says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use countersign::judge::verdict::Code;

/// One line of code that breaks the house, with where it stands.
type Breach = String;

/// Modules import only those above them in `lib.rs`.
#[test]
fn imports_point_up() {
    let order = module_order();
    let mut breaches: Vec<Breach> = Vec::new();
    for (place, module) in order.iter().enumerate() {
        let allowed: BTreeSet<&str> = order[..=place].iter().map(String::as_str).collect();
        for file in rust_files(&root().join("src").join(module)) {
            let code = code_of(&file);
            for (line, named) in crate_names(&code, depth(&file), &order) {
                if !allowed.contains(named.as_str()) {
                    breaches.push(format!("{}:{line}: names {named}", shown(&file)));
                }
            }
        }
    }
    assert!(
        breaches.is_empty(),
        "imports that point down:\n{}",
        breaches.join("\n")
    );
}

/// The reader of imports sees every way there is to name a module, so the test above can fail.
#[test]
fn sees_every_way_to_name_a_module() {
    let order = ["wire", "people", "git"].map(str::to_owned);
    let code = "use crate::git::Repo;\nuse crate::{people::{Person, key}, wire};\nfn f() -> crate::git::X {}\n\
                use super::super::git;\nuse super::oid;\n";
    let found: Vec<(usize, String)> = crate_names(code, 2, &order);
    let expected = [
        (1, "git"),
        (2, "people"),
        (2, "wire"),
        (3, "git"),
        (4, "git"),
    ]
    .map(|(line, name)| (line, name.to_owned()));
    assert_eq!(found, expected);
}

/// Only `git/` names gix.
#[test]
fn gix_stays_in_git() {
    assert_words_stay_out(&["gix"], &|path| !path.starts_with("src/git/"));
}

/// Only `record/http.rs` sends requests.
#[test]
fn requests_leave_by_one_door() {
    assert_words_stay_out(&["ureq"], &|path| path != "src/record/http.rs");
}

/// Only the storage touches the files of the record; the index, the key's mode and `/proc` aside.
#[test]
fn storage_stays_in_disk() {
    let others = ["disk", "index", "claim", "process"];
    let others = others.map(|name| format!("src/record/{name}.rs"));
    assert_words_stay_out(&["std::fs", "fs::read", "File::open", "flock"], &|path| {
        path.starts_with("src/record/")
            && !path.starts_with("src/record/tests/")
            && !others.iter().any(|other| other == path)
            // Its unit tests write tiles.
            && path != "src/record/tiles.rs"
    });
}

/// Only the server has an async runtime, so that a build without it has none.
#[test]
fn the_runtime_stays_in_the_server() {
    let words = ["tokio", "hyper", "hyper_util", "http_body_util", "async"];
    assert_words_stay_out(&words, &|path| !path.starts_with("src/server/"));
}

/// What decides and what parses has no files, environment, processes or clock.
#[test]
fn the_judge_is_pure() {
    assert_words_stay_out(
        &[
            "std::fs",
            "std::env",
            "std::process",
            "std::net",
            "SystemTime",
            "Timestamp::now",
            "Zoned::now",
            "Instant",
        ],
        &|path| path.starts_with("src/judge/") || path.starts_with("src/wire/"),
    );
}

/// A file past 800 lines is split.
#[test]
fn files_are_short() {
    let long: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .filter_map(|file| {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            (lines > 800).then(|| format!("{}: {lines} lines", shown(&file)))
        })
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

/// No file of source or tests is left out by its parent, where it would never be compiled.
#[test]
fn no_orphan_files() {
    let mut orphans = Vec::new();
    for folder in ["src", "tests/it"] {
        let folder = root().join(folder);
        for file in rust_files(&folder) {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let parent = file.parent().unwrap();
            if parent == folder && ["lib", "main"].contains(&name.as_str()) {
                continue;
            }
            let (name, parent) = if name == "mod" {
                let folder_name = parent.file_name().unwrap().to_str().unwrap().to_owned();
                (folder_name, parent.parent().unwrap())
            } else {
                (name, parent)
            };
            let declares = ["mod.rs", "lib.rs", "main.rs"]
                .iter()
                .filter_map(|at| fs::read_to_string(parent.join(at)).ok())
                .chain(fs::read_to_string(parent.with_extension("rs")).ok())
                .any(|text| {
                    text.lines()
                        .any(|line| line.trim_end().ends_with(&format!("mod {name};")))
                });
            if !declares {
                orphans.push(shown(&file));
            }
        }
    }
    assert!(
        orphans.is_empty(),
        "not declared by their parents: {orphans:?}"
    );
}

/// Every test says in a sentence what it holds.
#[test]
fn tests_are_documented() {
    let mut bare = Vec::new();
    for file in rust_files(&root().join("tests")) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            if *line == "#[test]" && (at == 0 || !lines[at - 1].starts_with("///")) {
                bare.push(format!("{}:{}", shown(&file), at + 1));
            }
        }
    }
    assert!(bare.is_empty(), "tests without a sentence: {bare:?}");
}

/// The pictures of landings are what their script draws, and each is on the page.
#[test]
fn pictures_are_drawn_and_shown() {
    let script = root().join("docs/images/landings.py");
    let output = std::process::Command::new("python3")
        .arg("-B")
        .args([script.as_os_str(), "--check".as_ref()])
        .output()
        .expect("python3 (3.9 or newer) is needed: apt-get install python3");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let page = fs::read_to_string(root().join("docs/landings.md")).unwrap();
    let pictures = fs::read_dir(root().join("docs/images/landings")).unwrap();
    let names = pictures.map(|file| file.unwrap().file_name().into_string().unwrap());
    let missing: Vec<String> = names
        .filter(|name| !page.contains(&format!("(images/landings/{name})")))
        .collect();
    let shown = page.matches("(images/landings/").count();
    assert!(missing.is_empty() && shown > 18, "{missing:?}, {shown}");
}

/// Each finding code has a page and a line in the index, or is said there to be reserved.
#[test]
fn codes_have_pages() {
    let folder = root().join("docs/findings");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let (found, reserved) = index.split_once("## Reserved").unwrap();
    let mut pages = 1;
    for code in Code::ALL.iter().map(|code| code.as_str()) {
        if reserved.contains(&format!("`{code}`")) {
            continue;
        }
        let page = fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}\n\nWeight: ")), "{code}");
        assert!(page.contains("\n## Why\n\n") && page.contains("\n## What to do\n\n"));
        assert!(
            found.contains(&format!("| [{code}]({code}.md) | ")),
            "{code}"
        );
        pages += 1;
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), pages);
}

fn assert_words_stay_out(words: &[&str], where_not: &dyn Fn(&str) -> bool) {
    let mut breaches: Vec<Breach> = Vec::new();
    for file in rust_files(&root().join("src")) {
        let path = shown(&file);
        if !where_not(&path) {
            continue;
        }
        for (at, line) in code_of(&file).lines().enumerate() {
            for word in words {
                if mentions(line, word) {
                    breaches.push(format!("{path}:{}: {word}", at + 1));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// The modules of `lib.rs`, in its order (blank lines between them keep rustfmt from sorting).
fn module_order() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let order: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")))
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect();
    assert_eq!(order.first().map(String::as_str), Some("wire"), "{order:?}");
    order
}

/// Which top modules a file names, with the line: by `crate::x`, in a group, or by climbing with
/// `super` as far as the root from a module `depth` levels below it.
fn crate_names(code: &str, depth: usize, order: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut add = |offset: usize, name: &str| {
        if order.iter().any(|module| module == name) {
            let line = code[..offset].matches('\n').count() + 1;
            found.push((line, name.to_owned()));
        }
    };
    for (offset, climb) in code.match_indices("crate::") {
        if preceded_by_word(code, offset) {
            continue;
        }
        let rest = &code[offset + climb.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                for name in group_heads(group) {
                    add(offset, name);
                }
            }
            None => add(offset, head_word(rest)),
        }
    }
    let climb = "super::".repeat(depth);
    for (offset, _) in code.match_indices(&climb) {
        let rest = code[offset..].trim_start_matches("super::");
        if !preceded_by_word(code, offset) && !code[..offset].ends_with("super::") {
            add(offset, head_word(rest));
        }
    }
    found
}

/// The first words of the members of a `{…}` group, given what follows the brace.
fn group_heads(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0usize, 0usize);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(head_word(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(head_word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn head_word(text: &str) -> &str {
    let end = text
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    &text[..end]
}

fn preceded_by_word(code: &str, offset: usize) -> bool {
    code[..offset]
        .chars()
        .next_back()
        .is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':')
}

/// Whether the line has the path or word, not as part of a longer word.
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let end = line[at + word.len()..].chars().next();
        let start = line[..at].chars().next_back();
        let inside = |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
        !inside(start) && !inside(end)
    })
}

/// A file without its comments, line for line.
fn code_of(file: &Path) -> String {
    fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line.split(" // ").next().unwrap_or(line)
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many `super` lead from a file's module to the root.
fn depth(file: &Path) -> usize {
    let below_src = file.strip_prefix(root().join("src")).unwrap();
    let parts = below_src.components().count();
    if file.ends_with("mod.rs") {
        parts - 1
    } else {
        parts
    }
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().display().to_string()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
