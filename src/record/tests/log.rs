//! Appending and reading back; tampering; time; many writers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::record::disk::Disk;
use crate::record::proof::{self, leaf_hash};
use crate::record::tiles::Tiles;
use crate::record::{Checkpoint, RecordError, View};

fn small(second: i64) -> Entry {
    Entry::Adopted(adopted(second, 1, Some(2)))
}

/// Every kind is read back as appended, by this process and the next, and the log is sound.
#[test]
fn reads_back() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    assert_sound(&dir);
    assert_eq!(append(&record, &sample()[..4]), 0..4);
    assert_eq!(append(&record, &[]), 4..4);
    assert_eq!(append(&record, &sample()[4..]), 4..10);
    for record in [record, Record::open(&dir).unwrap()] {
        assert_eq!(record.size(), 10);
        let read: Vec<_> = record
            .entries(0..99)
            .map(|entry| entry.unwrap().1)
            .collect();
        assert_eq!(read, sample());
        assert_eq!(record.entries(2..3).count(), 1);
        assert_eq!(record.entries(10..12).count(), 0);
        assert_eq!(record.entry(9).unwrap(), sample()[9]);
        assert!(matches!(
            record.entry(10),
            Err(RecordError::Beyond {
                size: 10,
                index: 10
            })
        ));
        let report = record.verify().unwrap();
        assert!(report.ok(), "{:?}", report.problems);
        assert_eq!(report.kinds.values().sum::<u64>(), 10);
        assert_eq!(report.kinds["review"], 4);
    }
}

/// Around tile borders the log stays sound, one partial tile too old or too new is swept, and
/// an old size still proves to be a prefix.
#[test]
fn grows_over_a_border() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    let mut seen = vec![record.checkpoint()];
    for count in [254, 1, 1, 1, 255, 3] {
        append(&record, &vec![small(0); count]);
        seen.push(record.checkpoint());
        assert_sound(&dir);
    }
    let log = dir.join("log");
    let last = record.checkpoint();
    for old in &seen {
        let steps = record.consistency(old.size, last.size).unwrap();
        assert!(proof::verify_consistency(
            (old.size, &old.root),
            (last.size, &last.root),
            &steps
        ));
    }
    assert!(record.consistency(1, last.size + 1).is_err());
    assert!(record.inclusion(last.size, last.size).is_err());
    let bytes = small(0).encode().unwrap();
    let path = record.inclusion(300, last.size).unwrap();
    assert!(proof::verify_inclusion(
        &leaf_hash(&bytes),
        300,
        last.size,
        &path,
        &last.root
    ));
    let names: Vec<_> = files(&log)
        .into_keys()
        .map(|path| path.strip_prefix(&log).unwrap().display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "checkpoint",
            "tile/0/000",
            "tile/0/001",
            "tile/0/002.p/3",
            "tile/1/000.p/1",
            "tile/1/000.p/2",
            "tile/entries/000",
            "tile/entries/001",
            "tile/entries/002.p/3",
            "vkey"
        ]
    );
}

/// A reader that loaded an older checkpoint goes on reading it while others append.
#[test]
fn old_readers_go_on() {
    let (dir, record) = new_record();
    append(&record, &sample()[..5]);
    let reader = Record::open(&dir.path().join("countersign")).unwrap();
    for _ in 0..300 {
        append(&record, &[small(20)]);
    }
    assert_eq!(reader.size(), 5);
    let read: Vec<_> = reader
        .entries(0..99)
        .map(|entry| entry.unwrap().1)
        .collect();
    assert_eq!(read, sample()[..5]);
    let view = reader.view().unwrap();
    assert_eq!(view.size(), 5);
    assert_eq!(
        view.tip(&RefName::from(MAIN)).unwrap().unwrap().index,
        4,
        "later landings do not show"
    );
    drop(reader.lock().unwrap());
    assert_eq!(reader.size(), 305);
}

/// A verifier that has checked the log takes no other bytes for an entry than it checked, though the
/// tiles beside them were changed to agree.
#[test]
fn stands_by_what_it_checked() {
    let (dir, record) = new_record();
    append(&record, &sample());
    drop(record);
    let folder = dir.path().join("countersign");
    let record = Record::open(&folder).unwrap();
    let nothing = Checkpoint::empty(ORIGIN);
    assert!(record.verify_anew(&nothing).unwrap().ok());
    assert_eq!(record.entry(1).unwrap(), sample()[1]);
    let bundle = folder.join("log/tile/entries/000.p/10");
    let text = fs::read(&bundle).unwrap();
    let at = text.windows(3).rposition(|part| part == b"bob").unwrap();
    let other = [&text[..at], b"bab", &text[at + 3..]].concat();
    fs::write(&bundle, &other).unwrap();
    let (mut hashes, mut rest) = (Vec::new(), other.as_slice());
    while let [high, low, tail @ ..] = rest {
        let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        hashes.extend(leaf_hash(entry));
        rest = tail;
    }
    fs::write(folder.join("log/tile/0/000.p/10"), hashes).unwrap();
    let other = Record::open(&folder).unwrap();
    let differs = |record: &Record| {
        let entries: Vec<_> = record.entries(0..10).collect();
        let agree = entries.into_iter().zip(sample());
        agree
            .map(|(found, expected)| found.map(|(_, found)| found != expected))
            .collect::<Result<Vec<bool>, RecordError>>()
    };
    assert!(
        differs(&other).unwrap().contains(&true),
        "one that has not checked is deceived"
    );
    let error = differs(&record).unwrap_err();
    assert!(error.to_string().contains("not the bytes"), "{error}");
}

/// Any flipped byte in any file of the log is noticed by a full check, or is a mere stray.
#[test]
fn notices_any_changed_byte() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    append(&record, &sample());
    for (path, bytes) in files(&dir.join("log")) {
        for place in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            fs::write(&path, changed).unwrap();
            let sound = Record::open(&dir)
                .and_then(|record| record.verify())
                .is_ok_and(|report| report.ok());
            assert!(!sound, "{} byte {place}", path.display());
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_sound(&dir);
}

/// A changed entry is an error where it is read, not a wrong answer; and nothing is appended to
/// a tree that is not the checkpoint's.
#[test]
fn refuses_damage_where_it_is_met() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    append(&record, &sample());
    let bundle = dir.join("log/tile/entries/000.p/10");
    let good = fs::read(&bundle).unwrap();
    let bad = String::from_utf8_lossy(&good).replace("bob@example", "bob@exampla");
    let bad = if bad.len() == good.len() {
        bad.into_bytes()
    } else {
        let mut bad = good.clone();
        bad[1200] ^= 1;
        bad
    };
    fs::write(&bundle, bad).unwrap();
    let opened = Record::open(&dir).unwrap();
    assert!(opened.entries(0..10).any(|entry| entry.is_err()));
    fs::write(&bundle, &good).unwrap();

    let tile = dir.join("log/tile/0/000.p/10");
    let hashes = fs::read(&tile).unwrap();
    let mut bad = hashes.clone();
    bad[40] ^= 1;
    fs::write(&tile, bad).unwrap();
    let lock = record.lock().unwrap();
    assert!(matches!(
        record.append(&lock, &[small(20)]),
        Err(RecordError::Damaged { .. })
    ));
    fs::write(&tile, hashes).unwrap();
    record.append(&lock, &[small(20)]).unwrap();
}

/// A checkpoint by another key, of another log or put back to an older one is not appended to.
#[test]
fn refuses_other_checkpoints() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    let path = dir.join("log/checkpoint");
    append(&record, &[small(1)]);
    let old = fs::read(&path).unwrap();
    append(&record, &[small(2)]);
    let new = fs::read(&path).unwrap();

    let lock = record.lock().unwrap();
    fs::write(&path, &old).unwrap();
    assert!(matches!(
        record.append(&lock, &[small(3)]),
        Err(RecordError::Moved {
            expected: 2,
            found: 1
        })
    ));
    drop(lock);
    assert!(matches!(record.lock(), Err(RecordError::Moved { .. })));
    fs::write(&path, &new).unwrap();

    let (other_dir, other) = new_record();
    append(&other, &[small(1), small(1)]);
    let other = other_dir.path().join("countersign/log/checkpoint");
    fs::copy(other, &path).unwrap();
    assert!(matches!(
        Record::open(&dir),
        Err(RecordError::Checkpoint { .. })
    ));
    let lock = record.lock();
    assert!(matches!(lock, Err(RecordError::Checkpoint { .. })));
}

/// The private key must be its owner's alone, and the one that is published.
#[test]
fn guards_the_key() {
    let (dir, record) = new_record();
    let key = dir.path().join("countersign/key");
    let lock = record.lock().unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        record.append(&lock, &[small(1)]),
        Err(RecordError::KeyExposed(_))
    ));
    let (other, _) = new_record();
    fs::copy(other.path().join("countersign/key"), &key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        record.append(&lock, &[small(1)]),
        Err(RecordError::KeyMismatch(_))
    ));
    fs::remove_file(&key).unwrap();
    assert!(record.append(&lock, &[small(1)]).is_err());
    assert_eq!(record.size(), 0);
}

/// A record is made once, under a name that can name a key, and opened where there is one.
#[test]
fn makes_and_opens() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    assert!(Record::exists(&dir));
    assert!(record.vkey().starts_with(&format!("{ORIGIN}+")));
    let text = record.checkpoint_text().unwrap();
    assert!(text.starts_with(&format!("{ORIGIN}\n0\n")));
    assert!(matches!(
        Record::create(&dir, ORIGIN),
        Err(RecordError::Exists(_))
    ));
    let empty = scratch();
    assert!(!Record::exists(empty.path()));
    assert!(matches!(
        Record::open(empty.path()),
        Err(RecordError::Missing(_))
    ));
    assert!(matches!(
        Record::create(empty.path(), "a b"),
        Err(RecordError::Key { .. })
    ));
}

/// Time does not run backwards in the log: not between appends, not within one; a second is the
/// grain. A landing may be older than what came after it was judged, but not than what it saw.
#[test]
fn refuses_time_running_backwards() {
    let (dir, record) = new_record();
    append(&record, &[small(10)]);
    let lock = record.lock().unwrap();
    let back = |entries: &[Entry]| {
        matches!(
            record.append(&lock, entries),
            Err(RecordError::ClockWentBack { .. })
        )
    };
    assert!(back(&[small(9)]));
    assert!(back(&[small(12), small(11)]));
    assert!(back(&[Entry::Landed(landed(9, 1, 1, 2))]));
    assert_eq!(record.size(), 1);
    let finer = |second, nanosecond| {
        let mut entry = adopted(second, 1, Some(2));
        entry.at = Timestamp::new(entry.at.as_second(), nanosecond).unwrap();
        Entry::Adopted(entry)
    };
    record
        .append(&lock, &[finer(10, 900), finer(10, 100)])
        .unwrap();
    record.append(&lock, &[small(30)]).unwrap();
    // Judged at 20 by the first three entries, closed after the one at 30.
    record
        .append(&lock, &[Entry::Landed(landed(20, 3, 1, 2))])
        .unwrap();
    assert!(back(&[Entry::Landed(landed(20, 4, 2, 3))]));
    assert!(
        back(&[small(29)]),
        "the latest time is not the last entry's"
    );
    assert!(matches!(
        record.append(&lock, &[Entry::Landed(landed(40, 9, 2, 3))]),
        Err(RecordError::Beyond { .. })
    ));
    assert_eq!(record.view().unwrap().last_time().unwrap(), Some(time(30)));
    drop(lock);
    assert_sound(&dir.path().join("countersign"));
}

/// A full check finds time running backwards even where an append let it through.
#[test]
fn verify_finds_time_running_backwards() {
    let entries = [small(10), Entry::Landed(landed(5, 1, 1, 2))];
    let view = View::in_memory(entries.to_vec()).unwrap();
    assert_eq!(view.last_time().unwrap(), Some(time(10)));
    let (dir, record) = new_record();
    forge(&record, &entries);
    let report = Record::open(&dir.path().join("countersign"))
        .unwrap()
        .verify()
        .unwrap();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].index, Some(1));
}

/// Writes a signed log of one bundle that no append would make.
fn forge(record: &Record, entries: &[Entry]) {
    use crate::record::tiles::{Grown, grow};
    let log = record.dir().join("log");
    let tiles = Tiles {
        storage: &Disk::default(),
        dir: &log,
        size: 0,
    };
    let encoded: Vec<_> = entries.iter().map(|e| e.encode().unwrap()).collect();
    let leaves: Vec<_> = encoded.iter().map(|entry| leaf_hash(entry)).collect();
    let mut grown = Grown::bundles(&tiles, &encoded).unwrap();
    grown.extend(grow(&tiles, &leaves).unwrap());
    for tile in grown {
        let path = log.join(tile.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tile.bytes).unwrap();
    }
    let tiles = Tiles {
        storage: &Disk::default(),
        dir: &log,
        size: leaves.len() as u64,
    };
    let checkpoint = crate::record::Checkpoint {
        origin: ORIGIN.to_owned(),
        size: tiles.size,
        root: proof::root(&tiles, tiles.size).unwrap(),
    };
    let key = crate::record::key::file::private(record.dir(), &record.key()).unwrap();
    fs::write(log.join("checkpoint"), checkpoint.sign(&key).to_string()).unwrap();
}

/// Eight writers at once lose nothing and leave a sound log.
#[test]
fn takes_many_writers() {
    let (dir, _) = new_record();
    let dir = dir.path().join("countersign");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let dir = &dir;
            scope.spawn(move || {
                let record = Record::open(dir).unwrap();
                for number in 0..50 {
                    let entry = Entry::Adopted(adopted(0, writer, Some(number)));
                    let lock = record.lock().unwrap();
                    let range = record.append(&lock, std::slice::from_ref(&entry)).unwrap();
                    assert_eq!(record.entry(range.start).unwrap(), entry);
                }
            });
        }
    });
    let record = Record::open(&dir).unwrap();
    assert_eq!(record.size(), 400);
    assert_sound(&dir);
    let mut seen = std::collections::BTreeSet::new();
    for entry in record.entries(0..400) {
        let Entry::Adopted(entry) = entry.unwrap().1 else {
            panic!("not adopted")
        };
        assert!(seen.insert((entry.old, entry.new)));
    }
}
