//! Signatures as ssh-keygen, gpg and git make them, and every way of bending them.

mod mutation;
mod openpgp;
mod security_key;
mod ssh;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::people::Term;
use crate::people::key::{parse_openpgp, parse_ssh};

const PAYLOAD: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nreviewed\n";

/// Runs a program in a world of its own and returns what it prints.
fn run(dir: &Path, program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", dir)
        .env("GNUPGHOME", dir)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Alice")
        .env("GIT_AUTHOR_EMAIL", "alice@example.com")
        .env("GIT_COMMITTER_NAME", "Alice")
        .env("GIT_COMMITTER_EMAIL", "alice@example.com")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {words}");
    output.stdout
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("cs-").tempdir().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn person(name: &str, keys: Vec<PersonKey>) -> Person {
    Person {
        name: PersonName::new(name).unwrap(),
        kind: PersonKind::Human,
        emails: Default::default(),
        accounts: Default::default(),
        logins: Default::default(),
        keys,
    }
}

fn listed((fingerprint, material): (String, KeyMaterial)) -> PersonKey {
    PersonKey {
        fingerprint,
        material,
        term: Term::default(),
        verify_required: false,
    }
}

fn people(persons: Vec<Person>) -> People {
    let named = persons
        .into_iter()
        .map(|person| (person.name.clone(), person));
    People {
        persons: named.collect(),
        ..People::default()
    }
}

fn alice(key: PersonKey) -> People {
    people(vec![person("alice", vec![key])])
}

fn signed(payload: &[u8], armor: impl Into<Vec<u8>>) -> Signed {
    Signed {
        payload: payload.to_vec(),
        armor: armor.into(),
    }
}

/// Takes the signature out of a commit as git defines it.
fn split_commit(raw: &[u8]) -> Signed {
    let text = String::from_utf8(raw.to_vec()).unwrap();
    let (before, rest) = text.split_once("gpgsig ").unwrap();
    let lines: Vec<&str> = rest.split_inclusive('\n').collect();
    let folded = lines
        .iter()
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .count();
    let mut armor = lines[0].to_owned();
    armor.extend(lines[1..=folded].iter().map(|line| &line[1..]));
    let payload = before.to_owned() + &lines[folded + 1..].concat();
    signed(payload.as_bytes(), armor)
}

fn split_tag(raw: &[u8]) -> Signed {
    let text = String::from_utf8(raw.to_vec()).unwrap();
    let start = text.find("-----BEGIN").unwrap();
    signed(&text.as_bytes()[..start], &text.as_bytes()[start..])
}

/// A key is found by its fingerprint alone.
#[test]
fn finds_keys() {
    let key = listed(parse_ssh(&security_key::ed25519_line()).unwrap());
    let fingerprint = key.fingerprint.clone();
    let people = alice(key);
    assert_eq!(people.key(&fingerprint).unwrap().0.name.as_str(), "alice");
    assert!(people.key("SHA256:none").is_none());
}
