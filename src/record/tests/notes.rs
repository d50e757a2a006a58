//! Intents, received notes and the audit trail.

use std::fs;

use super::*;
use crate::record::{Intent, Process, RecordError};

fn intent(second: i64) -> Intent {
    Intent {
        id: Intent::new_id().unwrap(),
        at: time(second),
        size: 3,
        process: Process::parent().unwrap(),
        landed: vec![landed(second, 3, 1, 2)],
    }
}

/// Intents come back oldest first until they are removed; ids are never the same.
#[test]
fn keeps_intents() {
    let (_dir, record) = new_record();
    let (late, early) = (intent(2), intent(1));
    assert_ne!(late.id, early.id);
    record.write_intent(&late).unwrap();
    record.write_intent(&early).unwrap();
    let open = record.open_intents().unwrap();
    assert_eq!(open, [early.clone(), late.clone()]);
    assert!(open[0].process.alive());
    record.remove_intent(&early.id).unwrap();
    record.remove_intent(&early.id).unwrap();
    assert_eq!(record.open_intents().unwrap(), [late]);
}

/// An intent that cannot be read is an error, and an id is no path.
#[test]
fn refuses_odd_intents() {
    let (dir, record) = new_record();
    let folder = dir.path().join("countersign/intents");
    for id in ["", "../key", &"A".repeat(32), &"0".repeat(31)] {
        assert!(matches!(
            record.remove_intent(id),
            Err(RecordError::IntentId(_))
        ));
    }
    let good = intent(1);
    record.write_intent(&good).unwrap();
    let from = folder.join(format!("{}.json", good.id));
    let other = folder.join(format!("{}.json", "0".repeat(32)));
    fs::copy(&from, &other).unwrap();
    assert!(record.open_intents().is_err());
    fs::write(&other, "{").unwrap();
    assert!(record.open_intents().is_err());
    fs::remove_file(&other).unwrap();
    fs::write(folder.join(".left.tmp"), "{").unwrap();
    assert_eq!(record.open_intents().unwrap(), [good]);
}

fn note(second: i64, pusher: Option<&str>, commits: &[u64]) -> Received {
    Received {
        at: time(second),
        pusher: pusher.map(person),
        commits: commits.iter().copied().map(oid).collect(),
    }
}

/// Whoever brought a commit first keeps it, also over a rebuilt index.
#[test]
fn the_first_bringer_stays() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    assert_eq!(record.bringer(&oid(1)).unwrap(), None);
    let lock = record.lock().unwrap();
    for note in [
        note(1, Some("alice"), &[1, 2]),
        note(2, None, &[3]),
        note(3, Some("mallory"), &[1, 2, 3, 4]),
        note(4, Some("bob"), &[]),
    ] {
        record.note_received(&lock, &note).unwrap();
    }
    drop(lock);
    let assert_bringers = |record: &Record| {
        let bringer = |number| record.bringer(&oid(number)).unwrap();
        assert_eq!(bringer(1), Some((Some(person("alice")), time(1))));
        assert_eq!(bringer(2), Some((Some(person("alice")), time(1))));
        assert_eq!(bringer(3), Some((None, time(2))));
        assert_eq!(bringer(4), Some((Some(person("mallory")), time(3))));
        assert_eq!(bringer(5), None);
        let asked = [5, 3, 6, 1].map(oid).to_vec();
        assert_eq!(record.unnoted(asked).unwrap(), [oid(5), oid(6)]);
    };
    assert_bringers(&record);
    append(&record, &sample());
    assert_bringers(&record);
    drop(record);
    fs::remove_file(dir.join("index.db")).unwrap();
    assert_bringers(&Record::open(&dir).unwrap());
}

/// A torn last line is no note; a shorter file was put back and is read anew; a broken line in
/// the middle is an error.
#[test]
fn reads_what_is_there() {
    let (dir, record) = new_record();
    let path = dir.path().join("countersign/received");
    let lock = record.lock().unwrap();
    record.note_received(&lock, &note(1, None, &[1])).unwrap();
    let one = fs::read(&path).unwrap();
    record.note_received(&lock, &note(2, None, &[2])).unwrap();
    let two = fs::read(&path).unwrap();
    fs::write(&path, &two[..two.len() - 1]).unwrap();
    assert_eq!(record.bringer(&oid(2)).unwrap(), None);
    fs::write(&path, &two).unwrap();
    assert!(record.bringer(&oid(2)).unwrap().is_some());
    fs::write(&path, &one).unwrap();
    assert_eq!(record.bringer(&oid(2)).unwrap(), None);
    assert!(record.bringer(&oid(1)).unwrap().is_some());
    record.note_received(&lock, &note(3, None, &[3])).unwrap();
    assert!(record.bringer(&oid(3)).unwrap().is_some());
    fs::remove_file(&path).unwrap();
    assert_eq!(record.bringer(&oid(1)).unwrap(), None);
    fs::write(&path, "{}\n").unwrap();
    assert!(matches!(
        record.bringer(&oid(1)),
        Err(RecordError::Damaged { .. })
    ));
}

/// The audit trail is one line an event.
#[test]
fn keeps_an_audit_trail() {
    let (dir, record) = new_record();
    record
        .audit(&serde_json::json!({"b": 1, "a": "x\ny"}))
        .unwrap();
    record.audit(&serde_json::json!({"c": 2})).unwrap();
    let text = fs::read_to_string(dir.path().join("countersign/audit.jsonl")).unwrap();
    assert_eq!(text, "{\"a\":\"x\\ny\",\"b\":1}\n{\"c\":2}\n");
}
