//! What is configured in the repository itself, so by whoever may push.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bstr::ByteSlice;
use countersign::people::{ConfigError, People};
use countersign::policy::roster::Remark;
use countersign::policy::{Pattern, Place, Policy};
use countersign::wire::fold::fold_path;
use countersign::wire::name::{RefName, RepoPath};
use jiff::{SignedDuration, Timestamp};

const KEY_FILE: &[u8] = include_bytes!("../../data/corpus/openpgp_key/ed25519");

/// The people of the corpus, who have all its keys.
pub(super) static PEOPLE: LazyLock<People> = LazyLock::new(|| {
    let text = include_bytes!("../../data/corpus/people/known");
    People::parse(text, &key_files).expect("the people of the corpus are people")
});

fn key_files(path: &str) -> Option<Vec<u8>> {
    let file: &[u8] = match path {
        ".countersign/keys/ed25519.asc" => KEY_FILE,
        ".countersign/keys/rsa.asc" => include_bytes!("../../data/corpus/openpgp_key/rsa"),
        ".countersign/keys/nistp256.asc" => {
            include_bytes!("../../data/corpus/openpgp_key/nistp256")
        }
        _ => return None,
    };
    Some(file.to_vec())
}

/// What is read names nothing of two people, and reads the same again; an error says where.
pub(crate) fn people(raw: &[u8]) -> bool {
    let people = match People::parse(raw, &key_files) {
        Ok(people) => people,
        Err(error) => {
            assert_error(&error);
            return false;
        }
    };
    let mut keys = BTreeMap::new();
    let mut emails = BTreeMap::new();
    for (name, person) in &people.persons {
        assert_eq!(name, &person.name);
        for key in &person.keys {
            assert_eq!(*keys.entry(&key.fingerprint).or_insert(name), name);
        }
        for email in &person.emails {
            assert_eq!(*emails.entry(email.to_lowercase()).or_insert(name), name);
        }
    }
    for members in people.teams.values() {
        assert!(members.iter().all(|name| people.person(name).is_some()));
    }
    for authority in &people.authorities {
        assert!(!keys.contains_key(&authority.fingerprint));
        let mut owners = authority.principals.values();
        assert!(owners.all(|name| people.person(name).is_some()));
    }
    assert!(people.humans().next().is_some());
    let again = People::parse(raw, &key_files).unwrap();
    assert_eq!(format!("{people:?}"), format!("{again:?}"));
    true
}

/// What is read answers every question about refs and paths; an error says where.
pub(crate) fn policy(raw: &[u8]) -> bool {
    let policy = match Policy::parse(raw, &PEOPLE) {
        Ok(policy) => policy,
        Err(error) => {
            assert_error(&error);
            return false;
        }
    };
    let main = RefName::from("refs/heads/main");
    for name in [
        "refs/heads/main",
        "refs/heads/release/1",
        "refs/tags/v1",
        "refs/x",
    ] {
        let name = RefName::from(name);
        let protection = policy.protection(&name, &main);
        assert!(protection.is_some() || name != main, "the policy's own ref");
        for path in [
            ".github/workflows/ci.yml",
            ".countersign/policy.toml",
            "src/Lib.rs",
        ] {
            let path = RepoPath::new(path);
            let classes = policy.classes(&path);
            for rule in &policy.rules {
                rule.matches_path(&path, &classes);
                rule.matches_ref(&name);
            }
        }
    }
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut remarks = policy
        .roster(&PEOPLE, now, SignedDuration::ZERO)
        .into_iter();
    assert!(!remarks.any(|remark| matches!(remark, Remark::Unsatisfiable(..))));
    true
}

/// Of a pattern and, on the next line, a path: the one name of a literal is all that it matches,
/// and folding keeps that.
pub(crate) fn pattern(raw: &[u8]) -> bool {
    let (first, path) = raw.split_once_str("\n").unwrap_or((raw, b""));
    let Some(pattern) = first
        .to_str()
        .ok()
        .and_then(|text| Pattern::parse(text).ok())
    else {
        return false;
    };
    assert_eq!(pattern.to_string(), pattern.as_str());
    assert_eq!(Pattern::parse(pattern.as_str()).as_ref(), Ok(&pattern));
    let matched = pattern.is_match(path);
    pattern.is_match_folded(&fold_path(path));
    if let Some(name) = pattern.literal() {
        assert!(pattern.is_match(&name));
        // No tree that is accepted has a backslash, which folds to a slash, in a name.
        let folded = pattern.is_match_folded(&fold_path(&name));
        assert!(folded || name.contains(&b'\\'));
        assert_eq!(matched, path == name);
    }
    true
}

/// A place that is read is written as the same text.
pub(crate) fn place(raw: &[u8]) -> bool {
    let Some(place) = raw.to_str().ok().and_then(|text| Place::parse(text).ok()) else {
        return false;
    };
    assert_eq!(place.to_string().as_bytes(), raw);
    PEOPLE.humans().for_each(|person| {
        place.admits(person, &PEOPLE);
    });
    true
}

fn assert_error(error: &ConfigError) {
    assert!(error.line > 0 && error.column > 0);
    assert!(!error.message.is_empty());
    assert!(
        !error.message.contains(char::is_control),
        "{}",
        error.message
    );
    let drawn = error.rendered.replace('\n', "");
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    assert!(!drawn.contains(steers), "{drawn:?}");
    assert!(error.rendered.len() < 16 * 1024);
}
