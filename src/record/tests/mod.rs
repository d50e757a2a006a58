//! Tests of the record as a whole, and the samples they are made of.

mod cosign;
mod entries;
mod faults;
mod incidents;
mod index;
mod log;
mod monitor;
mod notes;
mod oracles;
mod rotations;
mod shared;
mod storage;
mod views;
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::Record;
use super::entry::*;
use crate::judge::verdict::{Decision, UpdateVerdict};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::wire::name::RefName;
use crate::wire::oid::{ObjectFormat, Oid};

const ORIGIN: &str = "git.example.com/payments";
const MAIN: &str = "refs/heads/main";

/// A folder, in memory where that is to be had: these tests fsync thousands of times.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A new record in a folder of its own.
fn new_record() -> (tempfile::TempDir, Record) {
    let dir = scratch();
    let record = Record::create(&dir.path().join("countersign"), ORIGIN).unwrap();
    (dir, record)
}

fn append(record: &Record, entries: &[Entry]) -> std::ops::Range<u64> {
    let lock = record.lock().unwrap();
    record.append(&lock, entries).unwrap()
}

/// Asserts that nothing is wrong with the log.
fn assert_sound(dir: &Path) {
    let report = Record::open(dir).unwrap().verify().unwrap();
    assert!(report.ok(), "{:?}", report.problems);
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn oid(number: u64) -> Oid {
    format!("{number:040x}").parse().unwrap()
}

fn person(name: &str) -> PersonName {
    PersonName::new(name).unwrap()
}

fn policy() -> PolicyId {
    PolicyId {
        commit: oid(1),
        digest: "0".repeat(64),
    }
}

fn genesis(second: i64, tips: &[(&str, u64)]) -> Genesis {
    Genesis {
        at: time(second),
        repository: ORIGIN.to_owned(),
        format: ObjectFormat::Sha1,
        policy_ref: RefName::from(MAIN),
        tips: tips
            .iter()
            .map(|(name, number)| (RefName::from(*name), oid(*number)))
            .collect(),
        dry_run: Vec::new(),
        policy: policy(),
        keys: BTreeMap::from([(person("alice"), vec!["SHA256:a".to_owned()])]),
        host: None,
    }
}

fn review(second: i64, verb: &str, by: &str, head: u64) -> Review {
    let raw = format!(
        "object {}\ntype commit\ntag countersign/ok\ntagger {by} <{by}@example.com> 1 +0000\n\n\
         countersign: {verb} {MAIN} of {ORIGIN}\n",
        oid(head)
    );
    Review {
        at: time(second),
        name: RefName::from(format!("refs/countersign/reviews/{}/{by}", oid(head)).as_str()),
        pusher: Some(person(by)),
        // Unique for each sample; the record does not compute ids.
        tag: oid(head * 1_000_000 + u64::try_from(second).unwrap() * 10 + by.len() as u64),
        raw: BASE64.encode(raw),
        person: person(by),
        key: "SHA256:b".to_owned(),
        target: RefName::from(MAIN),
        head: oid(head),
        tip: oid(1),
    }
}

fn verdict(name: &str, old: u64, new: u64) -> UpdateVerdict {
    UpdateVerdict {
        name: RefName::from(name),
        old: oid(old),
        new: oid(new),
        decision: Decision::Accept,
        mode: Mode::Enforce,
        commits: 1,
        classes: Vec::new(),
        contributors: Vec::new(),
        approvals: Vec::new(),
        findings: Vec::new(),
    }
}

/// A landing on main whose head is the new tip.
fn landed(second: i64, size: u64, old: u64, new: u64) -> Landed {
    Landed {
        at: time(second),
        judged: time(second),
        size,
        judge: "0.1.0".to_owned(),
        limits: BTreeMap::from([("objects".to_owned(), 1000)]),
        repository: ORIGIN.to_owned(),
        name: RefName::from(MAIN),
        old: Some(oid(old)),
        new: Some(oid(new)),
        pusher: PusherId::Person(person("alice")),
        mode: Mode::Enforce,
        policy: policy(),
        intent: format!("{new:032x}"),
        sha256: BTreeMap::new(),
        rejudged: false,
        certificate: None,
        decision: DecisionId::Inline(Box::new(Decided {
            contents: BTreeMap::new(),
            verdict: verdict(MAIN, old, new),
            counted: vec![CountedHead {
                head: oid(new),
                base: oid(old),
                reviews: vec![1],
                spent: vec![oid(new + 500_000)],
            }],
            received: Vec::new(),
        })),
    }
}

fn adopted(second: i64, old: u64, new: Option<u64>) -> Adopted {
    Adopted {
        at: time(second),
        repository: ORIGIN.to_owned(),
        name: RefName::from(MAIN),
        old: Some(oid(old)),
        new: new.map(oid),
        by: "git".to_owned(),
        reason: "restored a backup".to_owned(),
        policy: false,
    }
}

/// One of each kind, in an order that may be in a log.
fn sample() -> Vec<Entry> {
    let mut dry = landed(14, 6, 20, 30);
    dry.mode = Mode::DryRun;
    vec![
        Entry::Genesis(genesis(10, &[(MAIN, 10), ("refs/heads/release/1", 11)])),
        Entry::Review(review(11, "approve", "bob", 20)),
        Entry::Review(review(11, "reject", "carol", 20)),
        Entry::Review(review(12, "withdraw", "carol", 20)),
        Entry::Landed(landed(12, 4, 10, 20)),
        Entry::Review(review(13, "approve", "bob", 30)),
        Entry::Landed(dry),
        Entry::Adopted(adopted(15, 30, Some(10))),
        Entry::Landed(landed(16, 8, 10, 40)),
        Entry::Adopted(adopted(17, 40, None)),
    ]
}

/// All files below a folder with their bytes, `index.db` and locks aside.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.to_string_lossy().contains("index.db") {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}
