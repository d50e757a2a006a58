//! Files of the record that are lost, cut off, exchanged or put back from a backup.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use countersign::record::Record;
use countersign::record::entry::{Entry, Incident, IncidentState};

use super::landing;
use super::scene::{Scene, copy};
use crate::support::{NewCommit, Server, two_people};

const INDEX: [&str; 3] = ["index.db", "index.db-wal", "index.db-shm"];

/// What somebody does to the record, in words and in deed.
type Damage<'a> = (&'a str, &'a dyn Fn(&Server));

fn append(path: &Path, bytes: &[u8]) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

fn remove(server: &Server, files: &[&str]) {
    for file in files {
        fs::remove_file(server.record(file)).ok();
    }
}

fn overwrite(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len().min(at + 4096);
    bytes[at..end].fill(b'x');
    fs::write(path, bytes).unwrap();
}

/// What can be made again is, and what a crash cut off is cut off: the push goes on.
#[test]
fn what_is_mended() {
    let scene = landing();
    let (other, ..) = two_people();
    let old = scene.server.folder().join("old");
    fs::create_dir(&old).unwrap();
    for file in INDEX {
        copy(&scene.server.record(file), &old.join(file));
    }
    let put = |from: &dyn Fn(&str) -> std::path::PathBuf, server: &Server| {
        remove(server, &INDEX);
        for file in INDEX {
            copy(&from(file), &server.record(file));
        }
    };
    // The old index is older than this.
    scene.push().accepted();
    let head = scene.alice.change("b.txt", "x\n");
    let scene = Scene::new(scene.server, scene.alice, &[("refs/heads/more", &head)]);
    let damages: [Damage<'_>; 11] = [
        ("half a note", &|server| {
            append(&server.record("received"), b"{\"at\":\"2026");
        }),
        ("no index", &|server| remove(server, &INDEX)),
        ("no index.db", &|server| remove(server, &["index.db"])),
        ("no write-ahead log", &|server| {
            remove(server, &["index.db-wal", "index.db-shm"]);
        }),
        ("an empty index", &|server| {
            fs::write(server.record("index.db"), "").unwrap();
        }),
        ("an index that is none", &|server| {
            overwrite(&server.record("index.db"), 0);
        }),
        ("half a write-ahead log", &|server| {
            let path = server.record("index.db-wal");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("another's index", &|server| {
            put(&|file| other.record(file), server);
        }),
        ("an older index", &|server| {
            put(&|file| old.join(file), server);
        }),
        ("no lock", &|server| remove(server, &["lock"])),
        ("half an intent under its first name", &|server| {
            let id = "0".repeat(32);
            append(&server.record(&format!("intents/.{id}.json.7.0.tmp")), b"{");
        }),
    ];
    for (what, damage) in damages {
        damage(&scene.server);
        let pushed = scene.push();
        assert!(pushed.ok(), "{what}: {pushed}");
        scene.check_after(&pushed, what);
        let closed = scene.server.cli(&["log", "reconcile"]);
        assert!(closed.ok(), "{what}: {closed}");
        scene.check_settled(what);
        scene.reset();
    }
}

/// What cannot be made again refuses, and says what is wrong, where, and what to do.
#[test]
fn what_refuses() {
    let scene = landing();
    let older = scene.server.folder().join("older");
    copy(&scene.server.record("log/checkpoint"), &older);
    scene.push().accepted();
    scene.alice.onto("origin/main");
    // Unsigned, so that it matters who brought it.
    let head = scene.alice.commit(NewCommit {
        unsigned: true,
        ..NewCommit::default()
    });
    let moves = [("refs/heads/main", head.as_str())];
    let scene = Scene::new(scene.server, scene.alice, &moves);
    let size = scene.server.log_size();
    let bundle = format!("log/tile/entries/000.p/{size}");
    let hashes = format!("log/tile/0/000.p/{size}");
    let damages: [(Damage<'_>, &[&str]); 8] = [
        (
            ("an older checkpoint", &|server| {
                fs::copy(&older, server.record("log/checkpoint")).unwrap();
            }),
            &["[unknown-tip]", "log adopt"],
        ),
        (
            ("no entries", &|server| {
                // The index knows where they stand, and is not believed.
                remove(server, &INDEX);
                remove(server, &[&bundle]);
            }),
            &["tile/entries/000.p", "missing", "backup"],
        ),
        (
            ("no hashes", &|server| remove(server, &[&hashes])),
            &["tile/0/000.p", "missing", "admin"],
        ),
        (
            ("half a checkpoint", &|server| {
                let path = server.record("log/checkpoint");
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }),
            &["log/checkpoint", "backup"],
        ),
        (
            ("half an intent", &|server| {
                let id = "0".repeat(32);
                append(&server.record(&format!("intents/{id}.json")), b"{");
            }),
            &["intents/00000000", "backup"],
        ),
        (
            ("a note that is none", &|server| {
                append(&server.record("received"), b"\0\0\0\0\n");
            }),
            &["received,", "admin"],
        ),
        (
            ("an entry from tomorrow: the clock went back", &tomorrow),
            &["set the clock right"],
        ),
        (
            ("no log", &|server| {
                fs::remove_dir_all(server.record("log")).unwrap();
            }),
            &["no record here"],
        ),
    ];
    for ((what, damage), words) in damages {
        damage(&scene.server);
        let pushed = scene.push();
        assert!(!pushed.ok(), "{what}: {pushed}");
        for word in words {
            assert!(pushed.stderr.contains(word), "{what}, {word:?}: {pushed}");
        }
        assert_ne!(scene.server.main(), head, "{what}");
        scene.reset();
    }
}

fn tomorrow(server: &Server) {
    let record = Record::open(&server.record("")).unwrap();
    let lock = record.lock().unwrap();
    let last = record.view().unwrap().last_time().unwrap().unwrap();
    let incident = Incident {
        at: last + jiff::SignedDuration::from_hours(24),
        repository: crate::support::REPOSITORY.to_owned(),
        state: IncidentState::Found,
        finding: "test".to_owned(),
        about: "ref".to_owned(),
        found: String::new(),
        expected: None,
        by: "root".to_owned(),
    };
    record.append(&lock, &[Entry::Incident(incident)]).unwrap();
}

/// A refusal after a torn one is whole in the audit trail.
#[test]
fn a_torn_refusal() {
    let (server, alice, _) = two_people();
    let head = alice.change("a.txt", "x\n");
    append(&server.record("audit.jsonl"), b"{\"at\":\"2026-0");
    alice.land(&head).refused(&["missing-approvals"]);
    let trail = fs::read_to_string(server.record("audit.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(trail.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "refused");
}
