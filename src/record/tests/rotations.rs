//! A log that goes over to another key: followed, cut off at every write, and attacked.

use super::faults::{ALL, at_every_step};
use super::*;
use crate::record::disk::Disk;
use crate::record::key::{KeyStore, KeyStores};
use crate::record::proof::leaf_hash;
use crate::record::{Checkpoint, RecordError, Rotating, Rotation, RotationError, verify_rotation};
use crate::wire::log_proof::LogProof;
use crate::wire::note::{Note, NoteKey, NoteSigner};

fn small(second: i64) -> Entry {
    Entry::Adopted(adopted(second, 1, Some(2)))
}

pub(super) fn rotate(record: &Record, second: i64) -> Result<Option<Rotation>, RecordError> {
    let lock = record.lock()?;
    let rotating = Rotating {
        at: time(second),
        by: "git",
        reason: "an old one",
    };
    record.rotate(&lock, &rotating)
}

fn key(line: &str) -> NoteKey {
    NoteKey::parse(line).unwrap()
}

/// The private key of a record, as a thief would have it.
fn stolen(dir: &Path) -> NoteSigner {
    let line = std::fs::read_to_string(dir.join("key")).unwrap();
    NoteSigner::parse(line.trim_end()).unwrap()
}

fn problems(dir: &Path) -> String {
    let report = Record::open(dir).unwrap().verify().unwrap();
    let what = report.problems.iter().map(|problem| problem.what.clone());
    what.collect::<Vec<_>>().join("\n")
}

/// From whatever key of it is known the way leads to the one of now; the old private keys are gone,
/// and an earlier checkpoint is trusted as what it was.
#[test]
fn every_earlier_key_leads_to_the_last() {
    let (folder, record) = new_record();
    let dir = folder.path().join("countersign");
    let (mut vkeys, mut kept) = (vec![record.vkey()], Vec::new());
    for turn in 0..3 {
        let second = 10 * turn;
        append(&record, &[small(second)]);
        kept.push(record.checkpoint_text().unwrap());
        let size = record.size() + 1;
        let rotation = rotate(&record, second).unwrap().unwrap();
        assert_eq!(rotation.size, size);
        assert_eq!(rotation.old.to_string(), *vkeys.last().unwrap());
        assert_eq!(rotation.new.to_string(), record.vkey());
        assert_eq!(stolen(&dir).public(), &rotation.new);
        assert!(!dir.join("key.next").exists());
        vkeys.push(record.vkey());
        let text = record.checkpoint_text().unwrap();
        assert_eq!(Note::parse(text.as_bytes()).unwrap().signatures.len(), 2);
        kept.push(text);
        assert_sound(&dir);
    }
    append(&record, &[small(40)]);
    assert_sound(&dir);
    let record = Record::open(&dir).unwrap();
    for text in &kept {
        let trusted = record.checkpoint_of(text.as_bytes()).unwrap();
        assert!(record.verify_from(&trusted).unwrap().ok());
    }
    let mut known = key(&vkeys[0]);
    for size in [2, 4, 6] {
        let link = std::fs::read(dir.join(format!("log/rotations/{size}"))).unwrap();
        assert!(record.has_key(&known).unwrap());
        known = verify_rotation(&link, &known).unwrap().new;
    }
    assert_eq!(known.to_string(), record.vkey());
    assert!(record.has_key(&known).unwrap());
    let other = NoteSigner::from_seed(ORIGIN, &[9; 32]).unwrap();
    assert!(!record.has_key(other.public()).unwrap());
}

/// Wherever it dies, the log is sound, can be opened, read under the key that was known and appended
/// to; the same command again finishes it, and leaves one private key.
#[test]
fn a_rotation_is_all_or_nothing() {
    let start = scratch();
    let start = start.path().join("countersign");
    let record = Record::create(&start, ORIGIN).unwrap();
    append(&record, &[small(0)]);
    let old = key(&record.vkey());
    drop(record);
    for appends_first in [false, true] {
        let act = |disk: Disk, dir: &Path| {
            let record = Record::open_on(disk, dir).unwrap();
            rotate(&record, 1).is_err()
        };
        let check = |dir: &Path, failed: bool| {
            assert_sound(dir);
            let record = Record::open(dir).unwrap();
            assert!(record.has_key(&old).unwrap());
            let gone_over = record.size() == 2;
            assert!(failed || gone_over);
            if appends_first {
                append(&record, &[small(2)]);
                assert_eq!(record.vkey() != old.to_string(), gone_over);
                assert_sound(dir);
            }
            if !gone_over || failed && !appends_first {
                rotate(&record, 3).unwrap().unwrap();
            }
            assert_sound(dir);
            let record = Record::open(dir).unwrap();
            append(&record, &[small(4)]);
            assert_ne!(record.vkey(), old.to_string());
            assert_eq!(stolen(dir).public().to_string(), record.vkey());
            assert!(record.has_key(&old).unwrap());
            assert!(!dir.join("key.next").exists());
            assert_sound(dir);
        };
        at_every_step(&start, &ALL, act, check);
    }
}

/// Where the last steps failed for want of space, the same process goes on under the new key.
#[test]
fn a_full_disk_stops_no_rotation() {
    use crate::record::disk::{Fault, Faults};
    for step in 0..30 {
        let work = scratch();
        let dir = work.path().join("countersign");
        let old = Record::create(&dir, ORIGIN).unwrap().vkey();
        let disk = Disk::faulty(&Faults::new(step, Fault::Full));
        let record = Record::open_on(disk, &dir).unwrap();
        let lock = record.lock().unwrap();
        let rotating = Rotating {
            at: time(1),
            by: "git",
            reason: "",
        };
        let failed = record.rotate(&lock, &rotating).is_err();
        let gone_over = record.size() == 1;
        assert!(failed || gone_over);
        record.append(&lock, &[small(2)]).unwrap();
        drop(lock);
        assert_eq!(record.vkey() != old, gone_over);
        assert_sound(&dir);
    }
}

/// Who has the log open does not notice: it goes on under the new key.
#[test]
fn open_records_go_over_with_it() {
    let (folder, record) = new_record();
    let dir = folder.path().join("countersign");
    append(&record, &[small(0)]);
    let (reader, writer) = (Record::open(&dir).unwrap(), Record::open(&dir).unwrap());
    rotate(&record, 1).unwrap().unwrap();
    append(&record, &[small(2)]);
    assert_eq!(reader.entry(0).unwrap(), small(0));
    assert!(reader.verify().unwrap().ok());
    append(&writer, &[small(3)]);
    assert_eq!(writer.vkey(), record.vkey());
    assert_sound(&dir);
}

/// Two keys in files need no word of where; one that is kept elsewhere needs it.
#[test]
fn asks_where_the_next_key_is() {
    let (_folder, record) = new_record();
    let command = KeyStore::Command(crate::record::key::CommandKey(vec![
        "/bin/false".to_owned(),
    ]));
    let elsewhere = |key: &KeyStore, next: Option<&KeyStore>| KeyStores {
        key: key.clone(),
        next: next.cloned(),
    };
    let record = record.signed_by(elsewhere(&command, None));
    assert!(matches!(rotate(&record, 1), Err(RecordError::NoNext)));
    // The key is a file already, and that is where it was to go.
    let record = record.signed_by(elsewhere(&command, Some(&KeyStore::File)));
    assert!(rotate(&record, 1).unwrap().is_none());
    let record = record.signed_by(elsewhere(&KeyStore::File, Some(&command)));
    let failed = rotate(&record, 1);
    assert!(matches!(failed, Err(RecordError::KeyStore { .. })));
    assert_eq!(record.size(), 0);
}

/// A key does not come back: what it signed in between could not be told from before.
#[test]
fn a_spent_key_does_not_come_back() {
    let (folder, record) = new_record();
    let dir = folder.path().join("countersign");
    let first = stolen(&dir);
    rotate(&record, 1).unwrap().unwrap();
    let line = format!("{}\n", first.to_secret_line());
    std::fs::write(dir.join("key.next"), line).unwrap();
    assert!(matches!(rotate(&record, 2), Err(RecordError::KeySpent(_))));
    assert_eq!(record.size(), 1);
    append(&record, &[small(1)]);
    assert_sound(&dir);
    // As an operator with both keys could have it all the same.
    let back = entry(&record.vkey(), first.public().to_string().as_str());
    let now = stolen(&dir);
    let lock = record.lock().unwrap();
    let both = |text: &str| Ok([&now, &first].map(|key| key.sign(text).signatures).concat());
    let found = record.current().unwrap();
    record.append_signed(&lock, &found, &[back], &both).unwrap();
    assert!(problems(&dir).contains("does not become it again"));
}

/// A key of another log is none to go over to.
#[test]
fn a_key_of_another_name_is_refused() {
    let (folder, record) = new_record();
    let other = NoteSigner::from_seed("git.example.com/other", &[9; 32]).unwrap();
    let next = folder.path().join("countersign/key.next");
    std::fs::write(next, format!("{}\n", other.to_secret_line())).unwrap();
    assert!(matches!(
        rotate(&record, 1),
        Err(RecordError::KeyMismatch(_))
    ));
    assert_eq!(record.size(), 0);
}

/// The thief of the old key, with the disk: what it signs after the rotation is refused by whoever
/// appends and whoever verifies, with `log/vkey` put back, and with the rotation taken away too.
#[test]
fn the_old_key_is_refused_after_its_rotation() {
    let (folder, record) = new_record();
    let dir = folder.path().join("countersign");
    append(&record, &[small(0)]);
    let old = stolen(&dir);
    let rotation = rotate(&record, 1).unwrap().unwrap();
    append(&record, &[small(2)]);
    let forged = record.checkpoint().sign(&old).to_string();
    let spent = record.checkpoint_of(forged.as_bytes());
    assert!(matches!(
        spent,
        Err(RecordError::KeyRetired { size: 3, .. })
    ));
    std::fs::write(dir.join("log/checkpoint"), &forged).unwrap();
    let opened = Record::open(&dir);
    assert!(matches!(opened, Err(RecordError::Checkpoint { .. })));

    std::fs::write(dir.join("log/vkey"), format!("{}\n", old.public())).unwrap();
    std::fs::write(dir.join("key"), format!("{}\n", old.to_secret_line())).unwrap();
    let opened = Record::open(&dir).unwrap();
    let locked = opened.lock();
    assert!(matches!(locked, Err(RecordError::KeyRetired { .. })));
    assert!(problems(&dir).contains("not this log's key then"));

    // Put back to the moment of the rotation, of which the old key has signed its part alone.
    let at_rotation = rotation.checkpoint.sign(&old).to_string();
    std::fs::write(dir.join("log/checkpoint"), at_rotation).unwrap();
    let locked = Record::open(&dir).unwrap().lock().map(drop);
    assert!(matches!(locked, Err(RecordError::KeyRetired { .. })));

    std::fs::write(dir.join("log/checkpoint"), &forged).unwrap();
    std::fs::remove_dir_all(dir.join("log/rotations")).unwrap();
    assert!(problems(&dir).contains("nothing shows that both keys signed that"));
    assert!(!Record::open(&dir).unwrap().has_key(&rotation.new).unwrap());
}

/// The thief of the new key alone: a log that leaves the rotation out, or forges it, does not come
/// from the key that is known, and the new key signed nothing before its time.
#[test]
fn the_new_key_alone_leads_from_nowhere() {
    let (folder, record) = new_record();
    let dir = folder.path().join("countersign");
    append(&record, &[small(0)]);
    let old = key(&record.vkey());
    let before = record.checkpoint();
    rotate(&record, 1).unwrap().unwrap();
    let new = stolen(&dir);
    let early = before.sign(&new).to_string();
    let early = record.checkpoint_of(early.as_bytes());
    assert!(matches!(
        early,
        Err(RecordError::KeyRetired { size: 1, .. })
    ));

    let again = folder.path().join("again");
    std::fs::create_dir(&again).unwrap();
    std::fs::copy(dir.join("key"), again.join("key")).unwrap();
    let rewritten = Record::create(&again, ORIGIN).unwrap();
    append(&rewritten, &[small(0)]);
    assert!(!rewritten.has_key(&old).unwrap());
    // With the real rotation beside it, which is not of this log.
    std::fs::create_dir(again.join("log/rotations")).unwrap();
    append(&rewritten, &[small(5)]);
    let link = "log/rotations/2";
    std::fs::copy(dir.join(link), again.join(link)).unwrap();
    assert!(matches!(
        Record::open(&again).unwrap().has_key(&old),
        Err(RecordError::Rotation { .. })
    ));
    assert!(problems(&again).contains("have another root"));
}

fn signer(seed: u8) -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

fn entry(old: &str, new: &str) -> Entry {
    Entry::Admin(Admin {
        at: time(1),
        repository: ORIGIN.to_owned(),
        act: AdminAct::Rotated(Rotated {
            old: old.to_owned(),
            new: new.to_owned(),
            by: String::new(),
            reason: String::new(),
        }),
    })
}

/// The proof of an entry in a log of it and nothing before, and of what comes after.
fn link(entry: &Entry, after: Option<[u8; 32]>, signers: &[&NoteSigner]) -> Vec<u8> {
    let extra = entry.encode().unwrap();
    let mut edge = crate::record::proof::Frontier::default();
    edge.push(leaf_hash(&extra));
    after.iter().for_each(|leaf| edge.push(*leaf));
    let text = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: edge.size(),
        root: edge.root(),
    }
    .text();
    let lines = signers.iter().flat_map(|key| key.sign(&text).signatures);
    let checkpoint = Note {
        signatures: lines.collect(),
        text,
    };
    let proof = LogProof {
        extra: Some(extra),
        index: 0,
        path: after.into_iter().collect(),
        checkpoint,
    };
    proof.to_string().into_bytes()
}

/// Only the last entry of a checkpoint that both keys signed, from the known key to another of its
/// name, is a rotation.
#[test]
fn half_a_rotation_is_none() {
    let (one, two, three) = (signer(1), signer(2), signer(3));
    let elsewhere = NoteSigner::from_seed("git.example.com/other", &[2; 32]).unwrap();
    let line = |key: &NoteSigner| key.public().to_string();
    let good = entry(&line(&one), &line(&two));
    let found = verify_rotation(&link(&good, None, &[&one, &two]), one.public()).unwrap();
    assert_eq!((found.size, &found.new), (1, two.public()));
    verify_rotation(&link(&good, None, &[&three, &two, &one]), one.public()).unwrap();

    let other_old = entry(&line(&three), &line(&two));
    let other_name = entry(&line(&one), &line(&elsewhere));
    let itself = entry(&line(&one), &line(&one));
    let no_key = entry(&line(&one), "nothing");
    type Check = fn(&RotationError) -> bool;
    let cases: [(&str, Vec<u8>, Check); 9] = [
        ("the old key alone", link(&good, None, &[&one]), |error| {
            matches!(error, RotationError::New(_))
        }),
        ("the new key alone", link(&good, None, &[&two]), |error| {
            matches!(error, RotationError::Proof(_))
        }),
        ("a third key", link(&good, None, &[&one, &three]), |error| {
            matches!(error, RotationError::New(_))
        }),
        (
            "entries after it",
            link(&good, Some([7; 32]), &[&one, &two]),
            |error| matches!(error, RotationError::NotLast { index: 0, size: 2 }),
        ),
        (
            "from another key",
            link(&other_old, None, &[&one, &two]),
            |error| matches!(error, RotationError::OtherKey { .. }),
        ),
        (
            "to another log",
            link(&other_name, None, &[&one, &elsewhere]),
            |error| matches!(error, RotationError::OtherKey { .. }),
        ),
        ("to itself", link(&itself, None, &[&one]), |error| {
            matches!(error, RotationError::OtherKey { .. })
        }),
        ("to no key", link(&no_key, None, &[&one]), |error| {
            matches!(error, RotationError::Key(_))
        }),
        (
            "another entry",
            link(&small(1), None, &[&one, &two]),
            |error| matches!(error, RotationError::OtherEntry(0)),
        ),
    ];
    for (what, bytes, is_expected) in cases {
        let error = verify_rotation(&bytes, one.public()).unwrap_err();
        assert!(is_expected(&error), "{what}: {error}");
    }
}

/// An entry that says so under the old key's signature alone is a fault of the log.
#[test]
fn an_entry_alone_is_no_rotation() {
    let (folder, record) = new_record();
    let dir = folder.path().join("countersign");
    let vkey = record.vkey();
    append(&record, &[entry(&vkey, &signer(2).public().to_string())]);
    assert!(problems(&dir).contains("nothing shows that both keys signed that"));
}
