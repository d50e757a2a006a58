//! Following a log from afar: what is told, what moves on, and what a server may do.

use std::fs;

use super::*;
use crate::record::Checkpoint;
use crate::record::monitor::{Patience, Published, Round, Seen, Unfollowed, follow};
use crate::record::proof::{Frontier, leaf_hash};
use crate::wire::note::NoteSigner;

fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[7; 32]).unwrap()
}

/// Publishes a log of these entries, as whoever has the key can.
fn publish(folder: &Path, entries: &[Vec<u8>]) {
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder.join("tile/entries/000.p")).unwrap();
    fs::create_dir_all(folder.join("tile/entries/001.p")).unwrap();
    let mut edge = Frontier::default();
    for (number, bundle) in entries.chunks(256).enumerate() {
        let mut bytes = Vec::new();
        for entry in bundle {
            edge.push(leaf_hash(entry));
            bytes.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
            bytes.extend(entry);
        }
        let part = match bundle.len() {
            256 => String::new(),
            width => format!(".p/{width}"),
        };
        fs::write(
            folder.join(format!("tile/entries/{number:03}{part}")),
            bytes,
        )
        .unwrap();
    }
    sign(folder, edge.size(), edge.root());
}

fn sign(folder: &Path, size: u64, root: [u8; 32]) {
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size,
        root,
    };
    let note = checkpoint.sign(&signer()).to_string();
    fs::write(folder.join("checkpoint"), note).unwrap();
}

fn encoded(entries: &[Entry]) -> Vec<Vec<u8>> {
    entries
        .iter()
        .map(|entry| entry.encode().unwrap())
        .collect()
}

fn look(folder: &Path, seen: &mut Seen) -> Result<Round, Unfollowed> {
    let patience = Patience {
        seconds: 1,
        over: &|| false,
    };
    let published = Published::at(".", folder);
    follow(&published, signer().public(), seen, time(100), &patience)
}

fn codes(round: &Round) -> Vec<(&'static str, Option<u64>)> {
    let alarms = round.alarms.iter();
    alarms.map(|alarm| (alarm.code, alarm.index)).collect()
}

/// What a person should know of is told once, with its entry, in whatever pieces the log is read.
#[test]
fn tells_what_is_remarkable() {
    let dir = scratch();
    let all = encoded(&sample());
    let expected = [
        ("dry-run", Some(6)),
        ("adopted", Some(7)),
        ("adopted", Some(9)),
    ];
    for step in [1, 3, 10] {
        let (mut seen, mut found) = (Seen::default(), Vec::new());
        for size in (step..=10).step_by(step).chain([10]) {
            publish(dir.path(), &all[..size]);
            let round = look(dir.path(), &mut seen).unwrap();
            found.extend(codes(&round));
            let file = dir.path().join("state");
            seen.save(&file).unwrap();
            seen = Seen::load(&file, signer().public()).unwrap();
            assert_eq!(seen.size(), size as u64);
        }
        assert_eq!(found, expected);
    }
}

/// Bundles that are full, and those that became so, are followed across.
#[test]
fn follows_across_bundles() {
    let dir = scratch();
    let review = |number: i64| Entry::Review(review(20 + number, "approve", "bob", 20));
    let mut entries = vec![Entry::Genesis(genesis(10, &[(MAIN, 10)]))];
    entries.extend((0..400).map(review));
    let all = encoded(&entries);
    let mut seen = Seen::default();
    for size in [255, 256, 257, 401] {
        publish(dir.path(), &all[..size]);
        let before = seen.size();
        let round = look(dir.path(), &mut seen).unwrap();
        assert_eq!(codes(&round), []);
        assert_eq!(round.entries, size as u64 - before);
    }
}

/// Enrolment may take several entries; a baseline after it, and a time that goes back, are told of.
#[test]
fn tells_of_another_beginning() {
    let dir = scratch();
    let founding = |tip| Entry::Genesis(genesis(10, &[(MAIN, tip)]));
    let late = Entry::Genesis(genesis(30, &[("refs/heads/new", 3)]));
    let back = Entry::Review(review(29, "approve", "bob", 20));
    let again = founding(9);
    publish(
        dir.path(),
        &encoded(&[founding(1), founding(2), late, back, again]),
    );
    let mut seen = Seen::default();
    let round = look(dir.path(), &mut seen).unwrap();
    let expected = [
        ("baseline", Some(2)),
        ("time-went-back", Some(3)),
        ("time-went-back", Some(4)),
        ("baseline", Some(4)),
    ];
    assert_eq!(codes(&round), expected);
}

/// What is no entry is told of, and does not keep the rest from being followed.
#[test]
fn tells_of_what_it_cannot_read() {
    let dir = scratch();
    let mut entries = encoded(&sample()[..3]);
    let mut spaced = entries[1].clone();
    spaced.insert(1, b' ');
    entries[1] = spaced;
    entries.insert(2, b"{\"kind\":\"bribe\"}".to_vec());
    publish(dir.path(), &entries);
    let round = look(dir.path(), &mut Seen::default()).unwrap();
    assert_eq!(
        codes(&round),
        [("unreadable", Some(1)), ("unreadable", Some(2))]
    );
    assert_eq!(round.entries, 4);
}

/// A shorter log, another of the same size and a longer one that does not continue: each is told of
/// with both notes, again and again, and what was seen stays.
#[test]
fn keeps_the_proof_of_a_rewrite() {
    let dir = scratch();
    let all = encoded(&sample());
    let mut other = all.clone();
    other[1] = encoded(&[Entry::Review(review(11, "approve", "carol", 20))])[0].clone();
    let mut seen = Seen::default();
    publish(dir.path(), &all[..5]);
    look(dir.path(), &mut seen).unwrap();
    let note = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    for (entries, code) in [
        (&all[..4], "rolled-back"),
        (&other[..5], "forked"),
        (&other[..8], "inconsistent"),
    ] {
        publish(dir.path(), entries);
        for _ in 0..2 {
            let round = look(dir.path(), &mut seen).unwrap();
            assert_eq!(codes(&round), [(code, None)]);
            let theirs = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
            assert_eq!(round.proof, Some([note.clone(), theirs]));
        }
    }
    publish(dir.path(), &all);
    let round = look(dir.path(), &mut seen).unwrap();
    assert_eq!((round.entries, round.proof), (5, None));
}

/// Nothing is believed of a log whose key did not sign it, or of entries that are not under its root.
#[test]
fn believes_the_key_alone() {
    let dir = scratch();
    let all = encoded(&sample());
    publish(dir.path(), &all);
    let (checkpoint, bundle) = ("checkpoint", "tile/entries/000.p/10");
    let good = [checkpoint, bundle].map(|file| fs::read(dir.path().join(file)).unwrap());
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let (note, entries) = (&good[0], &good[1]);
    for (file, bytes, code) in [
        (
            checkpoint,
            flipped(note, ORIGIN.len() + 1),
            "bad-checkpoint",
        ),
        (checkpoint, b"garbage".to_vec(), "bad-checkpoint"),
        (bundle, flipped(entries, entries.len() - 9), "inconsistent"),
        (
            bundle,
            entries[..entries.len() - 1].to_vec(),
            "inconsistent",
        ),
        (bundle, Vec::new(), "inconsistent"),
    ] {
        fs::write(dir.path().join(file), bytes).unwrap();
        let mut seen = Seen::default();
        assert_eq!(codes(&look(dir.path(), &mut seen).unwrap()), [(code, None)]);
        assert_eq!(seen.size(), 0);
        fs::write(dir.path().join(checkpoint), note).unwrap();
        fs::write(dir.path().join(bundle), entries).unwrap();
    }
    fs::remove_file(dir.path().join(bundle)).unwrap();
    let found = look(dir.path(), &mut Seen::default());
    assert!(matches!(found, Err(Unfollowed::Missing(_))), "{found:?}");
}

/// A log said to be endless is not read, nor is one for longer than allowed.
#[test]
fn is_not_kept_busy() {
    let dir = scratch();
    publish(dir.path(), &encoded(&sample()));
    sign(dir.path(), u64::MAX, [1; 32]);
    let round = look(dir.path(), &mut Seen::default()).unwrap();
    assert_eq!(codes(&round), [("too-many", None)]);
    publish(dir.path(), &encoded(&sample()));
    let published = Published::at(".", dir.path());
    let patience = Patience {
        seconds: 1,
        over: &|| true,
    };
    let found = follow(
        &published,
        signer().public(),
        &mut Seen::default(),
        time(1),
        &patience,
    );
    assert!(matches!(found, Err(Unfollowed::Slow(1))), "{found:?}");
}

/// What was seen is believed only as it was written, and of this log: starting anew would hide a
/// rewrite.
#[test]
fn does_not_forget() {
    let dir = scratch();
    publish(dir.path(), &encoded(&sample()));
    let mut seen = Seen::default();
    look(dir.path(), &mut seen).unwrap();
    let file = dir.path().join("state");
    seen.save(&file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let key = signer();
    let other = NoteSigner::from_seed(ORIGIN, &[8; 32]).unwrap();
    assert!(Seen::load(&file, other.public()).is_err());
    let edge: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = edge["edge"][0].as_str().unwrap();
    for bad in [
        String::new(),
        text.replace(first, &first.replace(&first[..1], "x")),
        text.replace(first, &"0".repeat(64)),
        text.replace("\"edge\"", "\"hedge\""),
        text.replace("\"note\": \"", "\"note\": \"x"),
    ] {
        assert_ne!(bad, text);
        fs::write(&file, &bad).unwrap();
        assert!(Seen::load(&file, key.public()).is_err(), "{bad}");
    }
}

/// Of a log without entries nobody knows whether it will be that of one repository or of many, and a
/// clone beside it does not say so.
#[test]
fn a_clone_says_nothing_of_the_log() {
    let mut seen = Seen::default();
    let found = BTreeMap::from([(RefName::from(MAIN), oid(1))]);
    let overdue = seen.unrecorded(None, &found, time(1), jiff::SignedDuration::ZERO);
    assert_eq!((overdue, seen.is_shared()), (Vec::new(), None));
}
