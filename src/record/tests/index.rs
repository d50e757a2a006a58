//! The index is believed at its checkpoint and nowhere else.

use std::fs;

use rusqlite::Connection;

use super::*;
use crate::record::RecordError;

fn index(dir: &Path) -> Connection {
    Connection::open(dir.join("index.db")).unwrap()
}

/// Returns the whole of the index as one file.
fn saved(dir: &Path) -> Vec<u8> {
    // SQLite's own connections fold the WAL in when the last of them closes.
    index(dir)
        .query_row("PRAGMA user_version", [], |_| Ok(()))
        .unwrap();
    assert!(!dir.join("index.db-wal").exists());
    fs::read(dir.join("index.db")).unwrap()
}

/// Puts a saved index in place of the one there is.
fn put_back(dir: &Path, saved: &[u8]) {
    for end in ["index.db-wal", "index.db-shm"] {
        fs::remove_file(dir.join(end)).ok();
    }
    fs::write(dir.join("index.db"), saved).unwrap();
}

/// Asserts that a freshly opened record answers from the whole log.
fn assert_answers(dir: &Path, size: u64) {
    let record = Record::open(dir).unwrap();
    let view = record.view().unwrap();
    assert_eq!(view.size(), size);
    let tip = view.tip(&RefName::from(MAIN)).unwrap().unwrap();
    assert_eq!(tip.index, size - 1);
    for index in 0..size {
        assert_eq!(view.entry(index).unwrap(), record.entry(index).unwrap());
    }
}

/// However many processes write the index, each the last to close it, its WAL stays short.
#[test]
fn the_wal_stays_short() {
    let (dir, record) = new_record();
    append(&record, &sample());
    let size = record.size();
    drop(record);
    let dir = dir.path().join("countersign");
    let mut longest = 0;
    for _ in 0..50 {
        let record = Record::open(&dir).unwrap();
        let db = record.index().unwrap();
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS main.x (b BLOB); INSERT INTO x VALUES (zeroblob(20000))",
        )
        .unwrap();
        drop((db, record));
        let wal = fs::metadata(dir.join("index.db-wal")).unwrap().len();
        longest = longest.max(wal);
    }
    assert!((256 << 10..384 << 10).contains(&longest), "{longest}");
    assert_answers(&dir, size);
}

/// Missing, garbage, emptied, of another version or without its tables: built again.
#[test]
fn is_rebuilt_when_unusable() {
    let (dir, record) = new_record();
    append(&record, &sample());
    drop(record);
    let dir = dir.path().join("countersign");
    let path = dir.join("index.db");
    let spoil: [&dyn Fn(); 6] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::write(&path, "garbage".repeat(1000)).unwrap(),
        &|| fs::write(&path, "").unwrap(),
        &|| index(&dir).pragma_update(None, "user_version", 0).unwrap(),
        &|| {
            index(&dir)
                .execute_batch("DROP TABLE meta; DROP TABLE tip")
                .unwrap()
        },
        &|| index(&dir).execute_batch("DELETE FROM meta").unwrap(),
    ];
    for spoil in spoil {
        spoil();
        assert_answers(&dir, 10);
    }
}

/// One that is behind, as after a crash between checkpoint and index, is brought up.
#[test]
fn is_brought_up() {
    let (dir, record) = new_record();
    let dir = dir.path().join("countersign");
    append(&record, &sample()[..5]);
    drop(record);
    let old = saved(&dir);
    append(&Record::open(&dir).unwrap(), &sample()[5..]);
    put_back(&dir, &old);
    assert_answers(&dir, 10);
}

/// One that is ahead, as after a backup of the log was put back, or of another log, is not
/// believed.
#[test]
fn is_not_believed_beyond_the_log() {
    let (dir, record) = new_record();
    append(&record, &sample());
    drop(record);
    let dir = dir.path().join("countersign");
    let ahead = saved(&dir);

    let (other_dir, other) = new_record();
    append(&other, &sample()[..5]);
    drop(other);
    let other = other_dir.path().join("countersign");
    put_back(&other, &ahead);
    assert_answers(&other, 5);

    // As large as the log, but of other entries.
    let (third_dir, third) = new_record();
    let mut entries = sample();
    entries[9] = Entry::Adopted(adopted(17, 40, Some(41)));
    append(&third, &entries);
    drop(third);
    let third = third_dir.path().join("countersign");
    put_back(&third, &ahead);
    assert_answers(&third, 10);
    let view = Record::open(&third).unwrap().view().unwrap();
    let tip = view.tip(&RefName::from(MAIN)).unwrap().unwrap();
    assert_eq!(tip.oid, Some(oid(41)));
    drop(view);

    // Smaller than the log, and no prefix of it.
    append(&Record::open(&third).unwrap(), &entries[9..]);
    put_back(&third, &ahead);
    assert_answers(&third, 11);
}

/// Rows that point at other bytes are an error, not another entry.
#[test]
fn cannot_pass_off_another_entry() {
    let (dir, record) = new_record();
    append(&record, &sample());
    let dir = dir.path().join("countersign");
    index(&dir)
        .execute_batch(
            "UPDATE entry SET start = (SELECT start FROM entry WHERE idx = 1),
             len = (SELECT len FROM entry WHERE idx = 1) WHERE idx = 2",
        )
        .unwrap();
    let view = record.view().unwrap();
    assert!(matches!(view.entry(2), Err(RecordError::Damaged { .. })));
    index(&dir)
        .execute_batch("UPDATE entry SET len = 9223372036854775807 WHERE idx = 2")
        .unwrap();
    assert!(view.entry(2).is_err());
}

/// A log whose bytes were changed is not indexed.
#[test]
fn is_not_built_from_a_damaged_log() {
    let (dir, record) = new_record();
    append(&record, &sample());
    drop(record);
    let dir = dir.path().join("countersign");
    fs::remove_file(dir.join("index.db")).unwrap();
    let bundle = dir.join("log/tile/entries/000.p/10");
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[300] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    assert!(Record::open(&dir).unwrap().view().is_err());
}

/// The index is its owner's alone.
#[test]
fn is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, record) = new_record();
    append(&record, &sample());
    for file in fs::read_dir(dir.path().join("countersign")).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", file.path());
    }
}

/// Many who find no index at once each get their answers.
#[test]
fn is_built_once_by_many() {
    let (dir, record) = new_record();
    append(&record, &sample());
    drop(record);
    let dir = dir.path().join("countersign");
    for _ in 0..10 {
        for end in ["index.db", "index.db-wal", "index.db-shm"] {
            fs::remove_file(dir.join(end)).ok();
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_answers(&dir, 10));
            }
        });
    }
}
