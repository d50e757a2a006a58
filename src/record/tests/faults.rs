//! The power goes at every single write, and the disk is full at every single write.

use super::*;
use crate::record::disk::{Disk, Fault, Faults};
use crate::record::{Intent, Process};

pub(super) const ALL: [Fault; 4] = [Fault::Before, Fault::After, Fault::Torn, Fault::Full];

fn small(second: i64) -> Entry {
    Entry::Adopted(adopted(second, 1, Some(2)))
}

/// Large enough for `evidence/`, so that every kind of file is written.
fn large(second: i64) -> Entry {
    let mut entry = landed(second, 0, 1, 2);
    if let DecisionId::Inline(decided) = &mut entry.decision {
        decided.counted[0].spent = (0..2000).map(oid).collect();
    }
    Entry::Landed(entry)
}

/// Runs `act` on a copy of `start` with a fault at each step in turn, until it meets none.
///
/// `check` sees the folder afterwards and whether `act` returned an error.
pub(super) fn at_every_step(
    start: &Path,
    faults: &[Fault],
    act: impl Fn(Disk, &Path) -> bool,
    check: impl Fn(&Path, bool),
) {
    for how in faults {
        let mut step = 0;
        loop {
            let work = scratch();
            let dir = work.path().join("countersign");
            copy(start, &dir);
            let faults = Faults::new(step, *how);
            let failed = act(Disk::faulty(&faults), &dir);
            check(&dir, failed);
            if faults.steps() <= step {
                assert!(!failed);
                break;
            }
            step += 1;
        }
        assert!(step >= 4, "{how:?} was tried at {step} steps only");
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// An append that dies anywhere leaves the old log or the new one, sound, and appendable, over
/// tile borders too.
#[test]
fn append_is_all_or_nothing() {
    // At a border there is more to write and everything takes longer: one way is enough.
    let cases: [(i64, u64, &[Fault]); 4] = [
        (0, 1, &ALL),
        (3, 2, &ALL),
        (255, 2, &[Fault::Torn]),
        (256, 1, &[Fault::After]),
    ];
    for (before, added, faults) in cases {
        let start = scratch();
        let start = start.path().join("countersign");
        let record = Record::create(&start, ORIGIN).unwrap();
        let old: Vec<_> = (0..before).map(small).collect();
        append(&record, &old);
        drop(record);
        let old = u64::try_from(before).unwrap();
        let new = old + added;
        let act = |disk: Disk, dir: &Path| {
            let record = Record::open_on(disk, dir).unwrap();
            let lock = record.lock().unwrap();
            let mut entries = vec![large(before)];
            entries.extend((1..added).map(|_| small(before)));
            let appended = record.append(&lock, &entries);
            if appended.is_err() {
                assert_eq!(record.size(), old);
            }
            appended.is_err()
        };
        let check = |dir: &Path, failed: bool| {
            assert_sound(dir);
            let record = Record::open(dir).unwrap();
            let size = record.size();
            assert!(size == new || failed && size == old, "{size}");
            assert_eq!(record.view().unwrap().size(), size);
            // Other bytes than those that were being written.
            let next = [small(before + 1), small(before + 1)];
            assert_eq!(append(&record, &next), size..size + 2);
            assert_eq!(record.entry(size).unwrap(), next[0]);
            drop(record);
            assert_sound(dir);
        };
        at_every_step(&start, faults, act, check);
    }
}

/// On a full disk the same process goes on once there is room, and nothing was accepted before.
#[test]
fn a_full_disk_accepts_nothing() {
    let start = scratch();
    let start = start.path().join("countersign");
    append(&Record::create(&start, ORIGIN).unwrap(), &[small(0)]);
    for step in 0..30 {
        let work = scratch();
        let dir = work.path().join("countersign");
        copy(&start, &dir);
        let disk = Disk::faulty(&Faults::new(step, Fault::Full));
        let record = Record::open_on(disk, &dir).unwrap();
        let lock = record.lock().unwrap();
        if record.append(&lock, &[large(1)]).is_err() {
            assert_eq!(Record::open(&dir).unwrap().size(), 1);
            assert_eq!(record.append(&lock, &[large(1)]).unwrap(), 1..2);
        }
        drop(lock);
        assert_sound(&dir);
        let strays = files(&dir.join("log"))
            .into_keys()
            .filter(|path| path.to_string_lossy().ends_with(".tmp"))
            .count();
        assert_eq!(strays, 0);
    }
}

/// Making a record may be tried again after it died anywhere.
#[test]
fn create_can_be_repeated() {
    let nowhere = scratch().path().join("countersign");
    let act =
        |disk: Disk, dir: &Path| Record::create_on(disk, dir, ORIGIN, Default::default()).is_err();
    let check = |dir: &Path, failed: bool| {
        if !Record::exists(dir) {
            assert!(failed);
            Record::create(dir, ORIGIN).unwrap();
        }
        append(&Record::open(dir).unwrap(), &[small(0)]);
        assert_sound(dir);
    };
    at_every_step(&nowhere, &ALL, act, check);
}

fn intent(id: &str) -> Intent {
    Intent {
        id: id.to_owned(),
        at: time(1),
        size: 0,
        process: Process { pid: 1, start: 1 },
        landed: vec![landed(1, 0, 1, 2)],
    }
}

/// An intent is there whole or not at all, and is there if writing it succeeded.
#[test]
fn an_intent_is_whole() {
    let start = scratch();
    let start = start.path().join("countersign");
    Record::create(&start, ORIGIN).unwrap();
    let id = "0".repeat(32);
    let act = |disk: Disk, dir: &Path| {
        let record = Record::open_on(disk, dir).unwrap();
        record.write_intent(&intent(&id)).is_err() || record.remove_intent(&id).is_err()
    };
    let check = |dir: &Path, failed: bool| {
        let record = Record::open(dir).unwrap();
        let open = record.open_intents().unwrap();
        assert!(open.is_empty() || failed && open == [intent(&id)]);
        record.write_intent(&intent(&id)).unwrap();
        assert_eq!(record.open_intents().unwrap(), [intent(&id)]);
    };
    at_every_step(&start, &ALL, act, check);
}

/// A note is there whole or not at all, and a torn one does not spoil the next.
#[test]
fn a_note_is_whole() {
    let start = scratch();
    let start = start.path().join("countersign");
    Record::create(&start, ORIGIN).unwrap();
    let note = |second, number| Received {
        at: time(second),
        pusher: Some(person("alice")),
        commits: vec![oid(number), oid(7)],
    };
    let act = |disk: Disk, dir: &Path| {
        let record = Record::open_on(disk, dir).unwrap();
        let lock = record.lock().unwrap();
        [note(1, 1), note(2, 2)]
            .iter()
            .any(|note| record.note_received(&lock, note).is_err())
    };
    let check = |dir: &Path, failed: bool| {
        let record = Record::open(dir).unwrap();
        let second = record.bringer(&oid(2)).unwrap();
        assert!(failed || second == Some((Some(person("alice")), time(2))));
        let lock = record.lock().unwrap();
        record.note_received(&lock, &note(3, 3)).unwrap();
        let third = record.bringer(&oid(3)).unwrap().unwrap();
        assert_eq!(third, (Some(person("alice")), time(3)));
        let first = record.bringer(&oid(7)).unwrap().unwrap().1;
        assert!(failed || first == time(1));
    };
    at_every_step(&start, &ALL, act, check);
}
