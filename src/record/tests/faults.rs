//! The power goes at every single write, and the disk is full at every single write.

use super::*;
use crate::record::disk::{Disk, Fault, Faults};
use crate::record::{Intent, Process, RecordError};

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

/// SHA-256 of `certificate`.
const CERTIFICATE: &str = "03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72";

/// A push, write by write: an accept rests on a durable intent, what is acknowledged stays, and the
/// next run can tell how the push ended.
#[test]
fn a_push_is_accounted_for() {
    let id = "0".repeat(32);
    let mut proposed = landed(2, 2, 1, 2);
    proposed.intent.clone_from(&id);
    proposed.certificate = Some(CERTIFICATE.to_owned());
    let intent = Intent {
        size: 2,
        landed: vec![proposed.clone()],
        ..intent(&id)
    };
    let start = scratch();
    let start = start.path().join("countersign");
    let record = Record::create(&start, ORIGIN).unwrap();
    let main = [(MAIN, 1)];
    append(&record, &[Entry::Genesis(genesis(0, &main))]);
    let before = record.checkpoint();
    drop(record);
    // What was acknowledged when the power went.
    let reached = std::cell::Cell::new("");
    let push = |disk: Disk, dir: &Path| -> Result<(), RecordError> {
        reached.set("");
        let record = Record::open_on(disk, dir)?;
        let lock = record.lock()?;
        record.note_received(
            &lock,
            &Received {
                at: time(1),
                pusher: Some(person("alice")),
                commits: vec![oid(2)],
            },
        )?;
        reached.set("noted");
        record.append(&lock, &[Entry::Review(review(1, "approve", "bob", 2))])?;
        reached.set("reviewed");
        assert_eq!(record.put_evidence(b"certificate")?, CERTIFICATE);
        record.write_intent(&intent)?;
        reached.set("accepted");
        record.append(&lock, &[Entry::Landed(proposed.clone())])?;
        reached.set("recorded");
        record.remove_intent(&id)
    };
    let order = ["", "noted", "reviewed", "accepted", "recorded"];
    let check = |dir: &Path, failed: bool| {
        let reached = order
            .iter()
            .position(|step| *step == reached.get())
            .unwrap();
        let record = Record::open(dir).unwrap();
        let report = record.verify_from(&before).unwrap();
        assert!(report.ok(), "{:?}", report.problems);
        let view = record.view().unwrap();
        assert!(reached < 1 || record.bringer(&oid(2)).unwrap().is_some());
        assert!(reached < 2 || view.reviews_of_head(&MAIN.into(), &oid(2)).unwrap().len() == 1);
        let open = record.open_intents().unwrap();
        let recorded = view.intent_spent(&id, &MAIN.into()).unwrap();
        assert!(reached < 3 || recorded || open == [intent.clone()]);
        assert!(reached < 4 || recorded);
        assert!(reached < 3 || record.evidence(CERTIFICATE).is_ok());
        // Nothing is recorded that was not accepted, and nothing twice: the next run does the rest.
        assert!(!recorded || reached >= 3);
        assert!(failed || recorded && open.is_empty());
        if !recorded && !open.is_empty() {
            append(&record, &[Entry::Landed(proposed.clone())]);
            record.remove_intent(&id).unwrap();
        }
        assert!(record.open_intents().unwrap().is_empty() || recorded);
        drop(record);
        assert_sound(dir);
    };
    at_every_step(&start, &ALL, |disk, dir| push(disk, dir).is_err(), check);
}

/// Whoever deletes the lock lets two in: the one whose lock is gone writes nothing.
#[test]
fn a_deleted_lock_writes_nothing() {
    let (_dir, record) = new_record();
    append(&record, &[small(0)]);
    let lock = record.lock().unwrap();
    std::fs::remove_file(record.dir().join("lock")).unwrap();
    let other = Record::open(record.dir()).unwrap();
    let others = other.lock().unwrap();
    let refused = record.append(&lock, &[small(1)]);
    assert!(
        matches!(refused, Err(RecordError::LockGone(_))),
        "{refused:?}"
    );
    assert_eq!(other.append(&others, &[small(1)]).unwrap(), 1..2);
    assert_sound(record.dir());
}
