//! The vectors of `merge/v1`, and a second implementation (`tests/merge_v1.py`) that must agree.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::against_git::{Random, random_texts};
use super::fixture::{BOTH, Scratch};
use super::{GitError, Merged, Repo, merge_trees};
use crate::wire::object::ObjectKind;
use crate::wire::oid::{ObjectFormat, Oid};
use crate::wire::tree::{FileMode, TreeEntry, git_order};

const VECTORS: &str = "tests/data/merge-v1/vectors.json";

/// Stores a tree of the vectors, in memory; the document of the format is `docs/spec/merge-v1.md`.
fn build(repo: &Repo, tree: &Value) -> Oid {
    if let Some(list) = tree.as_array() {
        let entries = list
            .iter()
            .map(|pair| entry(repo, text(&pair[0]), &pair[1]));
        return store(repo, &entries.collect::<Vec<_>>());
    }
    let mut names: Map<String, Value> = Map::new();
    let mut both = Vec::new();
    for (path, file) in tree.as_object().unwrap() {
        match path.split_once('/') {
            Some((name, rest)) => {
                let below = names.entry(name).or_insert_with(|| json!({"tree": {}}));
                below["tree"][rest] = file.clone();
            }
            None => both.push(entry(repo, path, file)),
        }
    }
    both.extend(names.iter().map(|(name, tree)| entry(repo, name, tree)));
    both.sort_by(|(mode, one), (other_mode, other)| {
        let slash = |mode: &str, entry: &TreeEntry| TreeEntry {
            mode: if mode == "40000" {
                FileMode::Tree
            } else {
                FileMode::File
            },
            ..entry.clone()
        };
        git_order(&slash(mode, one), &slash(other_mode, other))
    });
    store(repo, &both)
}

/// Returns an entry with its mode as it is spelled, which may be none that there is.
fn entry(repo: &Repo, name: &str, file: &Value) -> (String, TreeEntry) {
    let blob = |bytes: Vec<u8>| repo.overlay(ObjectKind::Blob, bytes).unwrap();
    let mut mode = file["mode"].as_str().unwrap_or("100644");
    let oid = if let Some(text) = file.as_str().or(file["text"].as_str()) {
        blob(text.into())
    } else if let Some(text) = file["base64"].as_str() {
        blob(STANDARD.decode(text).unwrap())
    } else if let Some(byte) = file["id"].as_str() {
        byte.repeat(repo.format().byte_len()).parse().unwrap()
    } else if let Some(parts) = file["repeat"].as_array() {
        let times = |part: &Value| usize::try_from(part[1].as_u64().unwrap()).unwrap();
        let part = |part: &Value| text(&part[0]).repeat(times(part));
        blob(parts.iter().map(part).collect::<String>().into())
    } else {
        mode = "40000";
        build(repo, &file["tree"])
    };
    let entry = TreeEntry {
        mode: FileMode::File,
        name: name.into(),
        oid,
    };
    (mode.to_owned(), entry)
}

fn store(repo: &Repo, entries: &[(String, TreeEntry)]) -> Oid {
    let mut raw = Vec::new();
    for (mode, entry) in entries {
        raw.extend(
            [
                mode.as_bytes(),
                b" ",
                &entry.name,
                b"\0",
                entry.oid.as_bytes(),
            ]
            .concat(),
        );
    }
    repo.overlay(ObjectKind::Tree, raw).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn name_of(format: ObjectFormat) -> &'static str {
    match format {
        ObjectFormat::Sha1 => "sha1",
        ObjectFormat::Sha256 => "sha256",
    }
}

/// Returns what merging a case comes to, as its `expect` says it, of one format.
fn outcome(repo: &Repo, case: &Value) -> Value {
    let [base, ours, theirs] = ["base", "ours", "theirs"].map(|side| build(repo, &case[side]));
    let merged = merge_trees(repo, &base, &ours, &theirs);
    let exchanged = merge_trees(repo, &base, &theirs, &ours);
    match (merged, exchanged) {
        (Ok(Merged::Clean(oid)), Ok(Merged::Clean(other))) => {
            assert_eq!(oid, other, "{case}");
            json!({"tree": {name_of(repo.format()): oid.to_string()}})
        }
        (Ok(Merged::Conflict(paths)), Ok(Merged::Conflict(others))) => {
            assert_eq!(paths, others, "{case}");
            let paths = paths.iter().map(|path| path.to_string());
            json!({"conflicts": paths.collect::<Vec<_>>()})
        }
        (Err(error), Err(_)) => match error {
            GitError::Missing(_)
            | GitError::WrongKind { .. }
            | GitError::TooLarge { .. }
            | GitError::Malformed { .. }
            | GitError::Budget { .. } => json!("unverifiable"),
            other => panic!("{other}: {case}"),
        },
        (merged, exchanged) => panic!("{merged:?} and {exchanged:?}: {case}"),
    }
}

/// Runs a Python script of this package; what it says and whether it was content.
fn python(arguments: &[&str], input: &[u8]) -> (bool, String) {
    let child = Command::new("python3")
        .arg("-B")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("python3 (3.9 or newer) is needed: apt-get install python3");
    // A script that ends early says why.
    let written = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let content = output.status.success() && written.is_ok();
    (content, String::from_utf8_lossy(&said).into_owned())
}

/// Every vector comes to what it expects, in both object formats, and to the tree thought of by hand.
#[test]
fn vectors_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS);
    let vectors: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(vectors["spec"], "merge/v1");
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 700, "{}", cases.len());
    for format in BOTH {
        let scratch = Scratch::new(format);
        for case in cases {
            let mut expect = case["expect"].clone();
            if let Some(tree) = expect.get_mut("tree") {
                let oid = tree[name_of(format)].take();
                if let Some(gives) = case.get("gives") {
                    assert_eq!(
                        text(&oid),
                        build(&scratch.repo, gives).to_string(),
                        "{case}"
                    );
                }
                *tree = json!({name_of(format): oid});
            }
            assert_eq!(outcome(&scratch.repo, case), expect, "{case}");
        }
    }
}

/// The second implementation comes to what the vectors expect, too.
#[test]
fn vectors_hold_elsewhere() {
    let (content, said) = python(&["tests/merge_v1.py", VECTORS], b"");
    assert!(content, "{said}");
}

/// The vectors are what their script writes.
#[test]
fn vectors_are_made() {
    let (content, said) = python(&["tests/data/merge-v1/make.py", "--check"], b"");
    assert!(content, "{said}");
}

/// The second implementation can disagree.
#[test]
fn a_wrong_answer_is_seen() {
    let case = |text: &str| {
        let expect = json!({"conflicts": ["f"]});
        let (base, ours, theirs) = (json!({"f": "1\n"}), json!({"f": "2\n"}), json!({"f": text}));
        let case =
            json!({"name": "x", "base": base, "ours": ours, "theirs": theirs, "expect": expect});
        python(&["tests/merge_v1.py", "-"], case.to_string().as_bytes())
    };
    let (content, said) = case("3\n");
    assert!(content, "{said}");
    let (content, said) = case("2\n");
    assert!(!content && said.starts_with("1 cases, 1 come"), "{said}");
    assert!(!python(&["tests/merge_v1.py", "-"], b"").0);
}

/// Both implementations come to the same for thousands of merges made up here.
#[test]
fn fresh_merges_agree() {
    let seed = std::env::var("COUNTERSIGN_FUZZ_SEED");
    let mut random = Random(seed.map_or(1, |text| text.parse().unwrap()));
    let scratches = BOTH.map(Scratch::new);
    let mut lines = Vec::new();
    let mut seen = [0; 3];
    for number in 0..2_000 {
        let [base, ours, theirs] = match number % 3 {
            0 => text_trees(&mut random, "abcdefgh", 24),
            1 => tree_of_all(&mut random),
            _ if number % 10 == 0 => text_trees(&mut random, "ab", 180),
            _ => text_trees(&mut random, "abc{}", 60),
        };
        let mut case =
            json!({"name": number.to_string(), "base": base, "ours": ours, "theirs": theirs});
        case["expect"] = outcome(&scratches[number / 3 % 2].repo, &case);
        let kinds = [case["expect"].get("tree"), case["expect"].get("conflicts")];
        let kind = kinds.iter().position(Option::is_some);
        seen[kind.unwrap_or(2)] += 1;
        writeln!(lines, "{case}").unwrap();
    }
    assert!(seen[0] > 400 && seen[1] > 400 && seen[2] > 15, "{seen:?}");
    let (content, said) = python(&["tests/merge_v1.py", "-"], &lines);
    assert!(content && said.starts_with("2000 cases, 0"), "{said}");
}

/// One file that all three sides have.
fn text_trees(random: &mut Random, letters: &str, length: usize) -> [Value; 3] {
    let kinds = 1 + random.below(letters.len());
    let few: Vec<&str> = (0..kinds).map(|at| &letters[at..=at]).collect();
    random_texts(random, &few, length, 4).map(|text| json!({"f": String::from_utf8(text).unwrap()}))
}

/// Trees of all kinds of entries, sometimes not strict.
fn tree_of_all(random: &mut Random) -> [Value; 3] {
    const NAMES: [&str; 12] = [
        "a",
        "b",
        "a-b",
        "a.b",
        "d/a",
        "d/b",
        "d/e/f",
        "d/e/g",
        "x/y/z",
        "x/y",
        "B",
        "caf\u{e9}",
    ];
    let mut trees = [(); 3].map(|()| Map::new());
    for name in NAMES {
        // Two of them stand in the way of others.
        let often = if ["x/y", "B"].contains(&name) { 1 } else { 8 };
        if random.below(12) >= often {
            continue;
        }
        let texts = text_trees(random, "abcd", 8);
        let whole = random.below(5);
        for (side, tree) in trees.iter_mut().enumerate() {
            let text = &texts[if whole == 0 { 0 } else { side }]["f"];
            let file = match random.below(14) {
                0 => json!({"mode": "100755", "text": text}),
                1 => json!({"mode": "120000", "text": text}),
                2 => json!({"mode": "160000", "id": (17 + random.below(3)).to_string()}),
                3 => continue,
                4..7 => texts[0]["f"].clone(),
                _ => text.clone(),
            };
            tree.insert(name.to_owned(), file);
        }
    }
    trees.map(Value::Object)
}
