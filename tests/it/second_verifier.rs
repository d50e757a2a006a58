//! Two verifiers of one record: ours, and one in Python that was written from `docs/spec/record.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign::record::entry::{Adopted, Entry};
use countersign::record::proof::{Frontier, Hash, leaf_hash};
use countersign::record::{Checkpoint, Record};
use countersign::wire::name::RefName;
use countersign::wire::note::NoteSigner;

use crate::bad_input::files_below;
use crate::support::server::scrubbed;
use crate::support::{Checkout, MAIN, Outcome, Server, approved_topic, two_people};

/// Runs the verifier in Python.
#[must_use]
pub(crate) fn python(args: &[&Path]) -> Outcome {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_log.py");
    let mut command = scrubbed("python3", &std::env::temp_dir());
    Outcome::of(command.arg("-B").arg(script).args(args), b"")
}

/// Asserts that both verifiers give this answer, and for the record's sake rather than their own.
#[track_caller]
fn both(server: &Server, good: bool, what: &str) {
    let ours = server.cli(&["log", "verify"]);
    let theirs = python(&[&server.record("")]);
    let expected = Some(i32::from(!good));
    assert_eq!(theirs.status, expected, "{what}: {theirs}\n{ours}");
    assert_eq!(ours.status, expected, "{what}: {ours}\n{theirs}");
}

/// A record of every kind of entry, with evidence beside it, made by real pushes.
fn record_of_all_kinds() -> (Server, Checkout, Checkout) {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let names: Vec<String> = (0..700).map(|n| format!("many/file-{n:04}.txt")).collect();
    let texts: Vec<String> = (0..700).map(|n| format!("{n}\n")).collect();
    let rows = names.iter().zip(&texts);
    let files: Vec<_> = rows.map(|(n, t)| (n.as_str(), Some(t.as_str()))).collect();
    alice.write(&files);
    let large = alice.change("b.txt", "with many beside it\n");
    alice.share(&large);
    bob.approve(&large).accepted();
    alice.land(&large).accepted();
    assert_eq!(files_below(&server.record("evidence")).len(), 1);
    server.git(&["update-ref", MAIN, &head]);
    server
        .cli(&["log", "adopt", MAIN, "--reason", "set back: \u{e9} \"\t\""])
        .accepted();
    (server, alice, bob)
}

/// What log and evidence consist of.
fn snapshot(server: &Server) -> BTreeMap<PathBuf, Vec<u8>> {
    ["log", "evidence"]
        .iter()
        .flat_map(|folder| files_below(&server.record(folder)))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect()
}

fn restore(server: &Server, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for folder in ["log", "evidence"] {
        fs::remove_dir_all(server.record(folder)).unwrap();
    }
    for (path, bytes) in files {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The entries of a log of one bundle, as they stand in it.
pub(crate) fn entries(server: &Server) -> Vec<Vec<u8>> {
    let size = server.log_size();
    let bundle = fs::read(server.record(&format!("log/tile/entries/000.p/{size}"))).unwrap();
    let (mut found, mut rest) = (Vec::new(), bundle.as_slice());
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes(*len)));
        found.push(entry.to_vec());
        rest = tail;
    }
    assert_eq!(found.len() as u64, size);
    found
}

fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        bundle.extend_from_slice(&u16::try_from(entry.len()).unwrap().to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    bundle
}

/// Writes a whole log of these entries and signs it with its own key, as its operator could.
pub(crate) fn forge(server: &Server, entries: &[Vec<u8>]) {
    let count = entries.len();
    assert!(count < 256);
    let secret = fs::read_to_string(server.record("key")).unwrap();
    let signer = NoteSigner::parse(secret.trim_end()).unwrap();
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let mut edge = Frontier::default();
    leaves.iter().for_each(|leaf| edge.push(*leaf));
    let checkpoint = Checkpoint {
        origin: signer.public().name().to_owned(),
        size: edge.size(),
        root: edge.root(),
    };
    fs::remove_dir_all(server.record("log/tile")).unwrap();
    for (path, bytes) in [
        (format!("log/tile/entries/000.p/{count}"), bundle(entries)),
        (format!("log/tile/0/000.p/{count}"), leaves.concat()),
        (
            "log/checkpoint".to_owned(),
            checkpoint.sign(&signer).to_string().into_bytes(),
        ),
    ] {
        let path = server.record(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Both say yes to what was made by pushes, and no to the same files with a byte flipped, cut off
/// or gone; the key of another log verifies nothing.
#[test]
fn agree_on_damaged_files() {
    let (server, ..) = record_of_all_kinds();
    both(&server, true, "as made");
    let good = snapshot(&server);
    let size = server.log_size().to_string();
    // Partial tiles of smaller sizes are no longer part of the log.
    let stale = |path: &Path| {
        path.parent().unwrap().to_string_lossy().ends_with(".p") && !path.ends_with(&size)
    };
    let files: Vec<_> = good.iter().filter(|(path, _)| !stale(path)).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for (path, bytes) in files {
        for at in [0, bytes.len() / 3, bytes.len() - 2] {
            let mut bad = bytes.clone();
            bad[at] ^= 0x04;
            fs::write(path, bad).unwrap();
            both(&server, false, &format!("byte {at} of {}", path.display()));
        }
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        both(&server, false, &format!("{} is cut off", path.display()));
        if path.ends_with("vkey") || path.ends_with("checkpoint") {
            // Without these there is no log to speak of: ours calls that usage.
            fs::remove_file(path).unwrap();
            server.cli(&["log", "verify"]).exits(2);
            python(&[&server.record("")]).exits(1);
        } else {
            fs::remove_file(path).unwrap();
            both(&server, false, &format!("{} is gone", path.display()));
        }
        fs::write(path, bytes).unwrap();
    }
    let mut swapped = entries(&server);
    swapped.swap(1, 2);
    let path = server.record(&format!("log/tile/entries/000.p/{size}"));
    fs::write(path, bundle(&swapped)).unwrap();
    both(&server, false, "two entries are exchanged");
    restore(&server, &good);
    let other = NoteSigner::from_seed("git.example.com/payments", &[9; 32]).unwrap();
    fs::write(server.record("log/vkey"), format!("{}\n", other.public())).unwrap();
    both(&server, false, "another key");
    restore(&server, &good);
    both(&server, true, "restored");
}

/// What the log's own key signed is held to the form of entries all the same, by both.
#[test]
fn agree_on_forged_entries() {
    let (server, ..) = record_of_all_kinds();
    let good = entries(&server);
    forge(&server, &good);
    both(&server, true, "the same entries");
    // Genesis, review, landed, review, landed beside, adopted.
    let kinds: Vec<_> = good.iter().map(|raw| kind(raw)).collect();
    let expected = "genesis review landed review landed adopted";
    assert_eq!(kinds.join(" "), expected);
    for (at, from, to) in [
        (0, "{", "{ "),
        (
            0,
            "\"kind\":\"genesis\"",
            "\"kind\":\"genesis\",\"kind\":\"genesis\"",
        ),
        (0, "\"kind\":\"genesis\"", "\"kind\":\"deploy\""),
        (0, "\"format\":\"sha1\"", "\"format\":\"sha3\""),
        (0, "\"dry_run\":[],", ""),
        (0, "\"alice\":", "\"Alice\":"),
        (0, "\"repository\"", "\"repositories\":1,\"repository\""),
        (1, "\"person\":\"bob\"", "\"person\":\"\\u0062ob\""),
        (1, "\"person\":\"bob\"", "\"person\":\"bob\",\"persona\":1"),
        (1, "\"person\":\"bob\"", "\"person\":null"),
        (
            1,
            "\"target\":\"refs/heads/main\"",
            "\"target\":\"refs/heads/next\"",
        ),
        (1, "\"raw\":\"", "\"raw\":\"A"),
        (2, "\"size\":2", "\"size\":2.0"),
        (2, "\"size\":2", "\"size\":-2"),
        (2, "\"size\":2", "\"size\":\"2\""),
        (2, "\"size\":2", "\"size\":3"),
        (2, "\"size\":2", "\"size\":2,\"sizes\":2"),
        (2, "\"mode\":\"enforce\"", "\"mode\":\"off\""),
        (2, "\"commits\":1,", "\"commits\":1,\"commitz\":1,"),
        (2, "\"coverage\":\"identity\"", "\"coverage\":\"total\""),
        (2, "\"rejudged\":false", "\"rejudged\":0"),
        (
            2,
            "\"pusher\":{\"person\":\"alice\"}",
            "\"pusher\":{\"person\":\"alice\",\"unknown\":\"x\"}",
        ),
        (2, "Z\",\"decision\"", "+00:00\",\"decision\""),
        (2, "\"decision\":{", "\"certificate\":null,\"decision\":{"),
        (2, "\"decision\":{", "\"certificate\":\"00\",\"decision\":{"),
        (4, "\"beside\":{", "\"beside\":{\"more\":1,"),
        (
            4,
            "\"beside\":{\"decision\":\"accept\"",
            "\"beside\":{\"decision\":\"refuse\"",
        ),
        (5, "\"at\":\"2", "\"at\":\"1"),
        (5, "\"policy\":false", "\"policy\":null"),
        (5, "\\t", "\t"),
        (5, "\u{e9}", "\\u00e9"),
        (
            5,
            "\"ref\":\"refs/heads/main\"",
            "\"ref\":\"refs/heads/\u{202e}main\"",
        ),
        (5, "}", "}\n"),
        (5, "{", "[{"),
    ] {
        let text = String::from_utf8(good[at].clone()).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        let mut bad = good.clone();
        bad[at] = text.replacen(from, to, 1).into_bytes();
        forge(&server, &bad);
        both(&server, false, &format!("entry {at}: {from} is {to}"));
    }
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    forge(&server, &swapped);
    both(&server, false, "a landing before its review");
    forge(&server, &good);
    both(&server, true, "the same entries again");
}

fn kind(raw: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(raw).unwrap();
    value["kind"].as_str().unwrap().to_owned()
}

/// Over the borders of tiles both give the same root, and an earlier checkpoint is continued; a log
/// that was rewritten with its own key is known by what was trusted before, and by nothing else.
#[test]
fn agree_over_tile_borders() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("record");
    let record = Record::create(&dir, "git.example.com/payments").unwrap();
    let entry = |number: u32| {
        Entry::Adopted(Adopted {
            at: "2026-01-02T00:00:00.5Z".parse().unwrap(),
            repository: String::new(),
            name: RefName::from(MAIN),
            old: None,
            new: None,
            by: number.to_string(),
            reason: String::new(),
            policy: false,
        })
    };
    let mut kept = Vec::new();
    for end in [1, 255, 256, 257, 600] {
        let new: Vec<Entry> = (u32::try_from(record.size()).unwrap()..end)
            .map(entry)
            .collect();
        let lock = record.lock().unwrap();
        record.append(&lock, &new).unwrap();
        drop(lock);
        python(&[&dir]).accepted();
        let path = folder.path().join(format!("checkpoint-{end}"));
        fs::copy(dir.join("log/checkpoint"), &path).unwrap();
        kept.push(path);
    }
    for path in &kept {
        let trusted = record.checkpoint_of(&fs::read(path).unwrap()).unwrap();
        let report = record.verify_from(&trusted).unwrap();
        assert!(report.ok(), "{:?}", report.problems);
        assert_eq!(report.kinds.values().sum::<u64>(), 600 - trusted.size);
        python(&[&dir, Path::new("--from"), path]).accepted();
    }
    // The same key, the same size, another entry 3.
    let again = folder.path().join("again");
    fs::create_dir(&again).unwrap();
    fs::copy(dir.join("key"), again.join("key")).unwrap();
    let rewritten = Record::create(&again, "git.example.com/payments").unwrap();
    let others: Vec<Entry> = (0..600)
        .map(|n| entry(if n == 3 { 9_999 } else { n }))
        .collect();
    let lock = rewritten.lock().unwrap();
    rewritten.append(&lock, &others).unwrap();
    assert!(rewritten.verify().unwrap().ok());
    python(&[&again]).accepted();
    for path in &kept {
        let trusted = record.checkpoint_of(&fs::read(path).unwrap()).unwrap();
        let holds = trusted.size <= 3;
        assert_eq!(rewritten.verify_from(&trusted).unwrap().ok(), holds);
        let told = python(&[&again, Path::new("--from"), path]);
        assert_eq!(told.ok(), holds, "{told}");
    }
}

/// A record that was put back to an older state is whole, and both know it only by a later
/// checkpoint that was kept elsewhere.
#[test]
fn agree_on_a_log_put_back() {
    let (server, alice, bob) = two_people();
    let before = snapshot(&server);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let kept = server.folder().join("kept");
    fs::copy(server.record("log/checkpoint"), &kept).unwrap();
    let from = kept.to_str().unwrap();
    server.cli(&["log", "verify", "--from", from]).accepted();
    python(&[&server.record(""), Path::new("--from"), &kept]).accepted();
    restore(&server, &before);
    both(&server, true, "an older log is a log");
    server.cli(&["log", "verify", "--from", from]).exits(1);
    python(&[&server.record(""), Path::new("--from"), &kept]).exits(1);
}
