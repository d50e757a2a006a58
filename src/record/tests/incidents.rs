//! Incidents and the host's state: what stands, and that neither decides anything.

use super::*;
use crate::record::entry::{Admin, AdminAct, HostState, Incident, IncidentState};

fn incident(second: i64, state: IncidentState, about: &str) -> Incident {
    Incident {
        at: time(second),
        repository: ORIGIN.to_owned(),
        state,
        finding: "unknown-tip".to_owned(),
        about: about.to_owned(),
        found: "x".to_owned(),
        expected: None,
        by: "git".to_owned(),
    }
}

fn host(by: &str) -> HostState {
    HostState {
        by: by.to_owned(),
        binary: "/usr/local/bin/countersign".to_owned(),
        hooks: BTreeMap::new(),
        settings: BTreeMap::new(),
        config: BTreeMap::from([("gc.auto".to_owned(), vec!["1".to_owned()])]),
        files: BTreeMap::new(),
    }
}

/// An incident stands from its entry to the one that ends it, and again from the next.
#[test]
fn stand_until_they_are_over() {
    let (dir, record) = new_record();
    let found = |second, about| Entry::Incident(incident(second, IncidentState::Found, about));
    let over = |second, about| Entry::Incident(incident(second, IncidentState::Over, about));
    let entries = [
        Entry::Genesis(genesis(0, &[(MAIN, 1)])),
        found(1, "a"),
        found(2, "b"),
        over(3, "a"),
        over(4, "never found"),
        found(5, "a"),
    ];
    append(&record, &entries);
    for (size, want) in [(1, ""), (2, "a"), (3, "ab"), (4, "b"), (5, "b"), (6, "ab")] {
        let view = record.view_at(size).unwrap();
        let standing = view.incidents().unwrap();
        let about: String = standing
            .keys()
            .map(|(_, about, _)| about.as_str())
            .collect();
        assert_eq!(about, want, "{size}");
        assert_eq!(view.tip(&RefName::from(MAIN)).unwrap().unwrap().index, 0);
        assert_eq!(view.tips().unwrap().len(), 1);
    }
    let last = record.view().unwrap().incidents().unwrap();
    let indices: Vec<_> = last.values().map(|one| (one.index, one.at)).collect();
    assert_eq!(indices, [(5, time(5)), (2, time(2))]);
    drop(record);
    assert_sound(&dir.path().join("countersign"));
}

/// The host is as the last entry says that says anything; a log of before says nothing.
#[test]
fn host_by_its_last_word() {
    let (_dir, record) = new_record();
    append(&record, &[Entry::Genesis(genesis(0, &[(MAIN, 1)]))]);
    assert_eq!(record.view().unwrap().host().unwrap(), None);
    let mut first = genesis(1, &[("refs/heads/b", 2)]);
    first.host = Some(host("one"));
    let admin = Admin {
        at: time(2),
        repository: ORIGIN.to_owned(),
        act: AdminAct::Enrolled(host("two")),
    };
    let later = genesis(3, &[("refs/heads/c", 2)]);
    let entries = [
        Entry::Genesis(first),
        Entry::Admin(admin),
        Entry::Genesis(later),
    ];
    append(&record, &entries);
    for (size, by, index) in [(2, "one", 1), (3, "two", 2), (4, "two", 2)] {
        let known = record.view_at(size).unwrap().host().unwrap().unwrap();
        assert_eq!((known.what.by.as_str(), known.index), (by, index));
    }
}

/// Both kinds read back to the same bytes, and other spellings of them are refused.
#[test]
fn canonical() {
    let admin = Entry::Admin(Admin {
        at: time(2),
        repository: ORIGIN.to_owned(),
        act: AdminAct::Enrolled(host("two")),
    });
    let over = Entry::Incident(incident(1, IncidentState::Over, "a"));
    let with = |(entry, from, to): (&Entry, &str, &str)| {
        let bytes = entry.encode().unwrap();
        assert_eq!(&Entry::decode(&bytes).unwrap(), entry);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "{text}");
        Entry::decode(text.replacen(from, to, 1).as_bytes())
    };
    for bad in [
        (&over, "\"state\":\"over\"", "\"state\":\"gone\""),
        (&over, "\"found\":\"x\"", "\"found\":\"x\",\"more\":1"),
        (&over, "\"expected\":null,", ""),
        (&admin, "\"enrolled\"", "\"removed\""),
        (
            &admin,
            "\"files\":{}",
            "\"files\":{\"a\":\"b\",\"a\":\"b\"}",
        ),
        (&admin, "\"files\":{},", ""),
    ] {
        assert!(with(bad).is_err(), "{bad:?}");
    }
}
