//! Entries: canonical, strict, and small enough.

use super::*;
use crate::record::RecordError;

/// Every kind comes out as it went in, and its bytes are canonical: sorted keys, no space.
#[test]
fn round_trips() {
    for entry in sample() {
        let bytes = entry.encode().unwrap();
        assert_eq!(Entry::decode(&bytes).unwrap(), entry);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_jcs::to_vec(&value).unwrap(), bytes);
        assert_eq!(value["kind"], entry.kind());
    }
}

/// Unknown kinds and fields, other spellings of the same JSON and garbage are refused.
#[test]
fn refuses_other_spellings() {
    let good = String::from_utf8(sample()[9].encode().unwrap()).unwrap();
    for (from, to) in [
        ("\"kind\":\"adopted\"", "\"kind\":\"admin\""),
        ("\"kind\":\"adopted\"", "\"kind\":\"adopted\",\"more\":1"),
        (
            "\"kind\":\"adopted\"",
            "\"kind\":\"adopted\",\"kind\":\"adopted\"",
        ),
        ("\"policy\":false", "\"policy\":false,\"policy\":false"),
        ("\"policy\":false", "\"policy\": false"),
        ("\"policy\":false,", ""),
        ("\"new\":null,", ""),
        ("\"by\":\"git\"", "\"by\":\"\\u0067it\""),
        ("37Z", "37.0Z"),
        ("37Z", "37+00:00"),
        ("{", "\n{"),
        ("}", "} "),
        ("}", "}{}"),
        ("{", ""),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        let bad = good.replacen(from, to, 1);
        assert!(Entry::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// What would read back as something else is not written: large numbers, names that are no plain text.
#[test]
fn refuses_what_json_loses() {
    let mut entry = landed(0, 0, 1, 2);
    entry.limits.insert("bytes".to_owned(), u64::MAX);
    assert!(Entry::Landed(entry).encode().is_err());
    for name in [&b"refs/heads/\xff"[..], "refs/heads/\u{202e}a".as_bytes()] {
        let mut entry = landed(0, 0, 1, 2);
        entry.name = RefName::new(name);
        assert!(matches!(
            Entry::Landed(entry).encode(),
            Err(EntryError::RefName(_))
        ));
    }
}

/// An entry of exactly the limit fits, one byte more does not, and nothing of it is appended.
#[test]
fn bounds_entries() {
    let (dir, record) = new_record();
    let mut entry = adopted(1, 1, Some(2));
    let used = Entry::Adopted(entry.clone()).encode().unwrap().len();
    let room = MAX_ENTRY - used + entry.reason.len();
    entry.reason = "x".repeat(room);
    append(&record, &[Entry::Adopted(entry.clone())]);
    assert_eq!(record.entry(0).unwrap(), Entry::Adopted(entry.clone()));
    entry.reason.push('x');
    let lock = record.lock().unwrap();
    let small = Entry::Adopted(adopted(1, 2, Some(1)));
    assert!(matches!(
        record.append(&lock, &[small, Entry::Adopted(entry)]),
        Err(RecordError::Entry {
            index: 2,
            source: EntryError::TooLarge { size: 65536, .. }
        })
    ));
    assert_eq!(record.size(), 1);
    drop(lock);
    assert_sound(&dir.path().join("countersign"));
}

/// A decision too large for its entry goes beside it, is found again by every reader, and is
/// missed when it is changed or gone.
#[test]
fn puts_large_decisions_beside() {
    let (dir, record) = new_record();
    let mut large = landed(1, 0, 1, 2);
    let DecisionId::Inline(decided) = &mut large.decision else {
        unreachable!()
    };
    decided.counted[0].spent = (0..2000).map(oid).collect();
    let expected = (**decided).clone();
    append(&record, &[Entry::Landed(large)]);
    let Entry::Landed(stored) = record.entry(0).unwrap() else {
        panic!("not a landing")
    };
    let DecisionId::Beside { sha256, decision } = &stored.decision else {
        panic!("not beside")
    };
    assert_eq!(*decision, Decision::Accept);
    assert_eq!(record.decided(&stored).unwrap(), expected);
    let view = record.view().unwrap();
    let main = RefName::from(MAIN);
    assert_eq!(view.spent(&main, &oid(1999)).unwrap(), Some(0));
    assert_eq!(record.verify().unwrap().evidence, 1);

    let root = dir.path().join("countersign");
    let path = root.join("evidence").join(sha256);
    let bytes = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, bytes.replace("accept", "refuse")).unwrap();
    assert!(record.decided(&stored).is_err());
    assert!(!record.verify().unwrap().ok());
    std::fs::remove_file(&path).unwrap();
    assert!(record.decided(&stored).is_err());
    assert!(!record.verify().unwrap().ok());
}

/// The entry's word for the decision must be the evidence's.
#[test]
fn checks_the_decision_beside() {
    let (_dir, record) = new_record();
    let DecisionId::Inline(decided) = landed(1, 0, 1, 2).decision else {
        unreachable!()
    };
    let bytes = serde_jcs::to_vec(&decided).unwrap();
    let mut entry = landed(1, 0, 1, 2);
    entry.decision = DecisionId::Beside {
        sha256: record.put_evidence(&bytes).unwrap(),
        decision: Decision::Refuse,
    };
    assert!(record.decided(&entry).is_err());
    entry.decision = DecisionId::Beside {
        sha256: "../../key".to_owned(),
        decision: Decision::Accept,
    };
    assert!(record.decided(&entry).is_err());
}

/// A baseline of thousands of refs and people becomes several entries and reads back as one.
#[test]
fn splits_a_large_baseline() {
    let (dir, record) = new_record();
    let mut large = genesis(1, &[]);
    for number in 0..3000 {
        let name = RefName::from(format!("refs/heads/release/{number:04}").as_str());
        if number % 3 == 0 {
            large.dry_run.push(name.clone());
        }
        large.tips.insert(name, oid(number));
        let key = format!("SHA256:{number:043}");
        large.keys.insert(person(&format!("p{number}")), vec![key]);
    }
    let range = append(&record, &[Entry::Genesis(large.clone())]);
    assert!(range.end > 2, "{range:?}");
    append(&record, &[Entry::Genesis(genesis(2, &[(MAIN, 9)]))]);
    let view = record.view().unwrap();
    assert_eq!(view.genesis().unwrap(), Some(large));
    assert_eq!(view.tips().unwrap().len(), 3001);
    assert_sound(&dir.path().join("countersign"));
}

/// A review whose entry says otherwise than its tag, or whose tag is none, is never appended.
#[test]
fn refuses_reviews_that_contradict_their_tag() {
    let (_dir, record) = new_record();
    let good = review(1, "approve", "bob", 20);
    let wrong_head = Review {
        head: oid(21),
        ..good.clone()
    };
    let wrong_target = Review {
        target: RefName::from("refs/heads/other"),
        ..good.clone()
    };
    let no_tag = Review {
        raw: BASE64.encode("object"),
        ..good.clone()
    };
    let no_base64 = Review {
        raw: "?".to_owned(),
        ..good
    };
    for bad in [wrong_head, wrong_target, no_tag, no_base64] {
        let lock = record.lock().unwrap();
        assert!(record.append(&lock, &[Entry::Review(bad)]).is_err());
        assert_eq!(record.size(), 0);
    }
}
