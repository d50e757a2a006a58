//! One log, several repositories: what is said of one is said of no other.

use super::*;
use crate::record::shared::{RepositoryName, SharedEntry};
use crate::record::{Intent, Process, RecordError};
use crate::wire::cosignature::Cosigner;
use crate::wire::log_policy::LogPolicy;

fn name(text: &str) -> RepositoryName {
    RepositoryName::new(text).unwrap()
}

/// A shared log in a folder of its own, opened for repositories of these names.
fn shared<const N: usize>(names: [&str; N]) -> (tempfile::TempDir, [Record; N]) {
    let (folder, record) = new_record();
    let records = names.map(|one| {
        let opened = Record::open_as(record.dir(), Some(&name(one))).unwrap();
        let git_dir = folder.path().join(format!("{one}.git"));
        std::fs::create_dir(&git_dir).unwrap();
        let lock = opened.lock().unwrap();
        opened.claim(&lock, &git_dir).unwrap();
        drop(lock);
        opened
    });
    (folder, records)
}

/// Tips, reviews, landings, spent heads, intents, notes and incidents are one repository's alone,
/// though refs, commits and people have the same names; sizes and indices are the log's.
#[test]
fn nothing_is_mixed() {
    let (_folder, [a, b]) = shared(["a", "b"]);
    append(&a, &[Entry::Genesis(genesis(0, &[(MAIN, 1)]))]);
    append(&a, &[Entry::Review(review(1, "approve", "bob", 2))]);
    append(&a, &[Entry::Landed(landed(2, 2, 1, 2))]);
    append(&b, &[Entry::Genesis(genesis(3, &[(MAIN, 7)]))]);
    append(&b, &[Entry::Adopted(adopted(4, 7, Some(8)))]);
    let main = RefName::from(MAIN);
    for (record, tip, reviews, indices) in [(&a, 2, 1, vec![0, 1, 2]), (&b, 8, 0, vec![3, 4])] {
        let lock = record.lock().unwrap();
        drop(lock);
        assert_eq!(record.size(), 5);
        let view = record.view().unwrap();
        assert_eq!(view.tip(&main).unwrap().unwrap().oid, Some(oid(tip)));
        assert_eq!(view.tips().unwrap().len(), 1);
        assert_eq!(view.reviews_of_head(&main, &oid(2)).unwrap().len(), reviews);
        assert_eq!(
            view.reviews_by(&main, &person("bob"), 9).unwrap().len(),
            reviews
        );
        assert_eq!(view.landed_at(&oid(2)).unwrap().len(), reviews);
        assert_eq!(view.tips_at(&oid(2)).unwrap().len(), reviews);
        assert_eq!(view.was_tip(&main, &oid(1)).unwrap(), reviews == 1);
        assert_eq!(view.spent(&main, &oid(2)).unwrap().is_some(), reviews == 1);
        assert_eq!(view.counted_since(&main, 0).unwrap().len(), reviews);
        let tag = review(1, "approve", "bob", 2).tag;
        assert_eq!(view.has_tag(&tag).unwrap().is_some(), reviews == 1);
        let id = landed(2, 2, 1, 2).intent;
        assert_eq!(view.intent_spent(&id, &main).unwrap(), reviews == 1);
        assert_eq!(view.indices(0..9).unwrap(), indices);
        let read: Vec<u64> = record.entries(0..9).map(|entry| entry.unwrap().0).collect();
        assert_eq!(read, indices);
        views::assert_verified_alike(record);
        let first = view.genesis().unwrap().unwrap();
        assert_eq!(first.tips[&main], oid(if reviews == 1 { 1 } else { 7 }));
        for index in 0..5 {
            let is_own = indices.contains(&index);
            for found in [record.entry(index), view.entry(index)] {
                match found {
                    Ok(_) => assert!(is_own),
                    Err(RecordError::Elsewhere { index: at }) => assert!(!is_own && at == index),
                    Err(other) => panic!("{other}"),
                }
            }
        }
        // Time is the log's.
        assert_eq!(view.last_time().unwrap(), Some(time(4)));
        assert!(record.verify().unwrap().ok());
    }
}

/// Intents and notes of one are not another's to close or to believe.
#[test]
fn intents_and_notes_are_ones_own() {
    let (_folder, [a, b]) = shared(["a", "b"]);
    let id = "0".repeat(32);
    let intent = Intent {
        id: id.clone(),
        at: time(1),
        size: 0,
        process: Process { pid: 1, start: 1 },
        landed: vec![landed(1, 0, 1, 2)],
    };
    a.write_intent(&intent).unwrap();
    assert_eq!(a.open_intents().unwrap(), [intent]);
    assert!(b.open_intents().unwrap().is_empty());
    b.remove_intent(&id).unwrap();
    assert_eq!(a.open_intents().unwrap().len(), 1);
    let note = |pusher: &str, number| Received {
        at: time(1),
        pusher: Some(person(pusher)),
        commits: vec![oid(number)],
    };
    let lock = a.lock().unwrap();
    a.note_received(&lock, &note("alice", 1)).unwrap();
    b.note_received(&lock, &note("bob", 1)).unwrap();
    b.note_received(&lock, &note("bob", 2)).unwrap();
    let who = |record: &Record, number| record.bringer(&oid(number)).unwrap().map(|one| one.0);
    assert_eq!(who(&a, 1), Some(Some(person("alice"))));
    assert_eq!(who(&b, 1), Some(Some(person("bob"))));
    assert_eq!(who(&a, 2), None);
    assert_eq!(b.unnoted(vec![oid(1), oid(2), oid(3)]).unwrap(), [oid(3)]);
    assert_eq!(a.unnoted(vec![oid(1), oid(2)]).unwrap(), [oid(2)]);
}

/// A log of many is never read as that of one, nor the other way round, and its entries are
/// written in one way.
#[test]
fn frames_are_kept_apart() {
    let (folder, [a]) = shared(["a"]);
    append(&a, &[Entry::Genesis(genesis(0, &[(MAIN, 1)]))]);
    let single = Record::open(a.dir()).unwrap();
    assert!(single.entries(0..1).any(|entry| entry.is_err()));
    // The index has nothing for whoever has no name.
    let main = RefName::from(MAIN);
    assert_eq!(single.view().unwrap().tip(&main).unwrap(), None);
    assert!(!single.verify().unwrap().ok());
    let git_dir = folder.path().join("a.git");
    let foreign = |found: Result<Record, RecordError>| {
        assert!(matches!(found, Err(RecordError::Foreign { .. })));
    };
    foreign(Record::open_of(&git_dir, a.dir(), None));
    foreign(Record::open_of(&git_dir, a.dir(), Some(&name("b"))));
    foreign(Record::open_of(folder.path(), a.dir(), Some(&name("a"))));
    assert!(Record::open_of(&git_dir, a.dir(), Some(&name("a"))).is_ok());
    let (_other, one) = new_record();
    append(&one, &[Entry::Genesis(genesis(0, &[(MAIN, 1)]))]);
    let as_many = Record::open_as(one.dir(), Some(&name("a"))).unwrap();
    assert!(as_many.entries(0..1).any(|entry| entry.is_err()));
    assert!(!as_many.verify().unwrap().ok());

    let good = SharedEntry {
        entry: Entry::Adopted(adopted(0, 1, None)),
        of: name("a"),
    };
    let bytes = good.encode().unwrap();
    assert_eq!(SharedEntry::decode(&bytes).unwrap(), good);
    assert!(Entry::decode(&bytes).is_err());
    assert!(SharedEntry::decode(&good.entry.encode().unwrap()).is_err());
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("\"of\":\"a\"", "\"of\":\"A\""),
        ("\"of\":\"a\"", "\"of\":\"\""),
        ("\"of\":\"a\"", "\"of\":\"../a\""),
        ("\"of\":\"a\"", "\"of\":\"a\",\"of\":\"b\""),
        ("\"of\":\"a\"", "\"of\":\"a\",\"to\":\"b\""),
        (",\"of\":\"a\"", ""),
        ("{\"entry\"", "{ \"entry\""),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text);
        assert!(SharedEntry::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// A name cannot leave its folder, hide, quote its way into a statement, or differ by case alone.
#[test]
fn names() {
    for good in ["a", "0", "payments", "a.b-c_d", &"x".repeat(100)] {
        assert!(RepositoryName::new(good).is_some(), "{good}");
    }
    let long = "x".repeat(101);
    for bad in [
        "", ".", "..", ".a", "-a", "_a", "A", "a/b", "a b", "a'b", "a\n", "ä", &long,
    ] {
        assert!(RepositoryName::new(bad).is_none(), "{bad}");
    }
}

/// What is final for one, by the witnesses of its policy, stays so when another, whose policy names
/// others, has the log cosigned later.
#[test]
fn final_is_ones_own() {
    let (_folder, [a, b]) = shared(["a", "b"]);
    let witness = |seed| Cosigner::from_seed(&format!("w{seed}"), &[seed; 32]).unwrap();
    let (one, two) = (witness(1), witness(2));
    let seal = |record: &Record, by: &Cosigner| {
        let trust = LogPolicy::of(None, &[by.public().clone()], 1);
        drop(record.lock().unwrap());
        let note = record.submission().unwrap().note().clone();
        let line = by.cosign(&note.text, 100);
        record.publish(&note, &[line], &trust).unwrap();
    };
    let sealed = |record: &Record, by: &Cosigner| {
        let trust = LogPolicy::of(None, &[by.public().clone()], 1);
        record.finality(&trust).unwrap().sealed()
    };
    append(&a, &[Entry::Genesis(genesis(0, &[(MAIN, 1)]))]);
    seal(&b, &two);
    append(&a, &[Entry::Review(review(1, "approve", "bob", 2))]);
    seal(&a, &one);
    drop(b.lock().unwrap());
    assert_eq!((sealed(&a, &one), sealed(&b, &two)), (2, 1));
    assert_eq!(sealed(&b, &one), 2, "the newest is everybody's");
    append(&a, &[Entry::Review(review(2, "approve", "bob", 3))]);
    drop(b.lock().unwrap());
    assert_eq!((sealed(&a, &one), sealed(&b, &two)), (2, 1));
}

/// A second repository cannot take a name that is another's, and the first keeps it.
#[test]
fn a_name_is_taken_once() {
    let (folder, [a]) = shared(["a"]);
    let other = folder.path().join("other.git");
    std::fs::create_dir(&other).unwrap();
    let again = Record::open_as(a.dir(), Some(&name("a"))).unwrap();
    let lock = again.lock().unwrap();
    let taken = again.claim(&lock, &other);
    assert!(
        matches!(taken, Err(RecordError::Foreign { .. })),
        "{taken:?}"
    );
    again.claim(&lock, &folder.path().join("a.git")).unwrap();
}

/// What barely fits into a log of one is put beside a log of many, or cut up, as ever.
#[test]
fn large_entries_fit_with_their_frame() {
    let (_folder, [a]) = shared([&"x".repeat(100)]);
    let mut large = landed(1, 0, 1, 2);
    if let DecisionId::Inline(decided) = &mut large.decision {
        // Just below the limit without the frame, above it with it.
        decided.counted[0].spent = (0..1500).map(oid).collect();
        let used = Entry::Landed(large.clone()).encode().unwrap().len();
        let room = MAX_ENTRY - used - 40;
        large.limits.insert("x".repeat(room), 1);
    }
    let entry = Entry::Landed(large);
    assert!(entry.encode().is_ok());
    append(&a, &[entry]);
    let Entry::Landed(stored) = a.entry(0).unwrap() else {
        panic!("a landing");
    };
    assert!(matches!(stored.decision, DecisionId::Beside { .. }));
    assert!(a.verify().unwrap().ok());
}
