use proptest::prelude::*;

use super::*;
use crate::people::export::{LeftOut, allowed_signers, authorized_keys};
use crate::wire::allowed_signers::{parse, parse_keys};

const KEYS: [&str; 3] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILdNWEHLgHVeHBsNU0W4AEdy+S1fgKdDfyJmR6HoZ5ho",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFNggD5Fj1QVq27UNvTL8cCICax2xnGT2XCi1i7rARX3",
];

const ALICE_AND_BOB: &str = "\
# our people
[people.alice]
emails = [\"alice@x\"] # work
keys = [{ ssh = \"KEY0\", from = 2026-01-02T00:00:00Z }]

[people.bob]
emails = [\"bob@x\"]
";

fn with_keys(text: &str) -> String {
    let mut text = text.to_owned();
    for (at, key) in KEYS.iter().enumerate() {
        text = text.replace(&format!("KEY{at}"), key);
    }
    text
}

fn people(text: &str) -> People {
    People::parse(text.as_bytes(), &|_| None).unwrap()
}

/// Imports a list of allowed signers into a people file.
fn imported(
    before: &str,
    list: &str,
    person: Option<&str>,
) -> Result<(String, Vec<Change>), ImportError> {
    let before = with_keys(before);
    let known = match before.is_empty() {
        true => People::default(),
        false => people(&before),
    };
    let files = BTreeMap::new();
    let person = person.map(|name| PersonName::new(name).unwrap());
    let mut import = Import::new(&before, &known, &files, person).unwrap();
    for line in &parse(with_keys(list).as_bytes())? {
        import.signer(line)?;
    }
    Ok((import.text(), import.changes.clone()))
}

fn name(text: &str) -> PersonName {
    PersonName::new(text).unwrap()
}

/// Keys go to whom the e-mails name, whatever the case; new people are called like their address.
#[test]
fn takes_signers() {
    let list = "bob@X,bob@home namespaces=\"git\",valid-after=\"20260101Z\",valid-before=\"20261231235959Z\" KEY1 bob's\n\
                Carol.Smith@x KEY2\n";
    let (text, changes) = imported(ALICE_AND_BOB, list, None).unwrap();
    let now = people(&text);
    let bob = &now.persons[&name("bob")];
    assert_eq!(bob.keys.len(), 1);
    assert_eq!(
        bob.keys[0].term.from,
        Some("2026-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(
        bob.keys[0].term.until,
        Some("2027-01-01T00:00:00Z".parse().unwrap())
    );
    assert!(bob.emails.contains("bob@home"));
    let carol = &now.persons[&name("carol-smith")];
    assert!(carol.emails.contains("carol.smith@x"));
    assert!(text.starts_with("# our people\n"), "{text}");
    assert!(text.contains("emails = [\"alice@x\"] # work\n"), "{text}");
    assert!(text.contains(&format!("{} bob's", KEYS[1])), "{text}");
    assert!(changes.contains(&Change::Person(name("carol-smith"))));
    let (again, changes) = imported(&text, list, None).unwrap();
    assert_eq!(again, text);
    assert!(
        changes
            .iter()
            .all(|change| matches!(change, Change::Known(..)))
    );
}

/// What contradicts the people there are is an error that names the line.
#[test]
fn refuses_conflicts() {
    let fault = |list: &str, person: Option<&str>| {
        let error = imported(ALICE_AND_BOB, list, person).unwrap_err();
        assert_eq!(error.line, Some(list.lines().count()), "{list}: {error}");
        error.fault
    };
    let key0 = key::parse_ssh(KEYS[0]).unwrap().0;
    for (list, person, expected) in [
        (
            "bob@x KEY0\n",
            None,
            ImportFault::KeyTaken(key0.clone(), name("alice")),
        ),
        (
            "# who\nalice@x,bob@x KEY1\n",
            None,
            ImportFault::TwoPeople(name("alice"), name("bob")),
        ),
        (
            "alice@x KEY0\n",
            None,
            ImportFault::OtherTimes(key0.clone(), name("alice")),
        ),
        ("*@x KEY1\n", None, ImportFault::Pattern("*@x".to_owned())),
        (
            "alice@elsewhere KEY1\n",
            None,
            ImportFault::NameTaken(name("alice"), "alice@elsewhere".to_owned()),
        ),
        ("@x KEY1\n", None, ImportFault::NoName("@x".to_owned())),
        (
            "any@y KEY1\n",
            None,
            ImportFault::NoName("any@y".to_owned()),
        ),
        (
            "bob@x KEY1\n",
            Some("alice"),
            ImportFault::EmailTaken("bob@x".to_owned(), name("bob")),
        ),
        (
            "carol@x KEY1\ndana@x KEY1\n",
            None,
            ImportFault::KeyTaken(key::parse_ssh(KEYS[1]).unwrap().0, name("carol")),
        ),
        (
            "a@x ssh-dss AAAAB3NzaC1kc3MAAAAA\n",
            None,
            ImportFault::Key(KeyError::Kind("ssh-dss".to_owned())),
        ),
    ] {
        assert_eq!(fault(list, person), expected, "{list}");
    }
    let error = imported(ALICE_AND_BOB, "a@x\n", None).unwrap_err();
    assert_eq!(error.line, Some(1));
    assert!(matches!(error.fault, ImportFault::Line(_)));
}

/// Authorities and keys of other namespaces are left out, and it is said of which line.
#[test]
fn leaves_out_what_is_not_for_git() {
    let list = "*@x cert-authority KEY1\nbob@x namespaces=\"file\" KEY1\nbob@x namespaces=\"g*,file\" KEY1\n";
    let (text, changes) = imported(ALICE_AND_BOB, list, None).unwrap();
    let lines = changes.iter().filter_map(|change| match change {
        Change::LeftOut(line, _) => *line,
        _ => None,
    });
    assert_eq!(lines.collect::<Vec<_>>(), [1, 2]);
    assert_eq!(people(&text).persons[&name("bob")].keys.len(), 1);
}

/// Whose a pattern is, or an address of nobody, can be said.
#[test]
fn takes_the_word_for_it() {
    let (text, _) = imported(ALICE_AND_BOB, "*@x KEY1\nb@y KEY2\n", Some("bob")).unwrap();
    let bob = &people(&text).persons[&name("bob")];
    assert_eq!(bob.keys.len(), 2);
    assert_eq!(bob.emails.iter().collect::<Vec<_>>(), ["b@y", "bob@x"]);
}

/// A list of keys is one person's, who may be new.
#[test]
fn takes_keys() {
    let files = BTreeMap::new();
    let mut import = Import::new("", &People::default(), &files, Some(name("dana"))).unwrap();
    for line in
        &parse_keys(with_keys("KEY0\nKEY1 home (gitlab.example.com)\nKEY0\n").as_bytes()).unwrap()
    {
        import.key(line).unwrap();
    }
    let now = people(&import.text());
    assert_eq!(now.persons[&name("dana")].keys.len(), 2);
    assert_eq!(import.changes.len(), 4);
    // A list without times does not contradict one that has some.
    let before = with_keys(ALICE_AND_BOB);
    let known = people(&before);
    let mut again = Import::new(&before, &known, &files, Some(name("alice"))).unwrap();
    let lines = parse_keys(with_keys("KEY0\n").as_bytes()).unwrap();
    again.key(&lines[0]).unwrap();
    assert_eq!(again.text(), before);
}

/// Nothing of a name, an e-mail or a comment can add a word, a pattern or a line to what others read.
#[test]
fn exports_of_hostile_people() {
    let text = with_keys(
        "[people.alice]\nemails = [\"*\", \"!bob@x\", \"a,b@x\", \"#a@x\", \"a\\\"b@x\", \"\\u00e9@x\"]\n\
         keys = [{ ssh = \"KEY0 \\\" command=\\\"evil\\\" # x\" }]\n\
         [people.bob]\nemails = [\"bob@x\", \"?ob@x\"]\nkeys = [\n{ ssh = \"KEY1\", revoked = 1969-01-01T00:00:00Z },\n\
         { ssh = \"KEY2\", until = 2026-01-01T00:00:00.5Z },\n]\n",
    );
    let people = people(&text);
    let (lines, left_out) = allowed_signers(&people);
    let shown: Vec<_> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            format!("alice namespaces=\"git\" {} alice", KEYS[0]),
            format!(
                "bob@x namespaces=\"git\",valid-before=\"20260101000000Z\" {} bob",
                KEYS[2]
            ),
        ]
    );
    let emails = left_out
        .iter()
        .filter(|what| matches!(what, LeftOut::Name(_)));
    assert_eq!(emails.count(), 7);
    assert!(
        left_out
            .iter()
            .any(|what| matches!(what, LeftOut::Never(_)))
    );
    let now = "2025-01-01T00:00:00Z".parse().unwrap();
    let keys = authorized_keys(&people, "COUNTERSIGN_PUSHER", now);
    assert_eq!(
        keys[0],
        format!(
            "restrict,command=\"COUNTERSIGN_PUSHER=alice exec git-shell -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" {} alice",
            KEYS[0]
        )
    );
    assert_eq!(keys.len(), 2);
}

fn instants() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(-1_000_000..4_000_000_000i64)
}

proptest! {
    /// What is exported and imported again are the same keys, of the same people, for the same time.
    #[test]
    fn there_and_back(
        owners in prop::collection::vec((0..3usize, instants(), instants(), instants(), 0..1000u32), 3),
    ) {
        let mut text = String::new();
        let mut bare = String::new();
        for (at, who) in ["alice", "bob", "carol"].iter().enumerate() {
            // Carol has no e-mail, and is found by her name.
            let emails = match at {
                2 => "emails = []".to_owned(),
                _ => format!("emails = [\"{who}@x\", \"{who}@y\"]"),
            };
            let keys = owners.iter().zip(KEYS).filter(|(owner, _)| owner.0 == at);
            let keys = keys.map(|((_, from, until, revoked, fraction), key)| {
                let until = until.filter(|until| from.is_none_or(|from| from < *until));
                let times = [("from", *from), ("until", until), ("revoked", *revoked)];
                let times = times.iter().filter_map(|(name, at)| {
                    let nanos = i32::try_from(*fraction).unwrap() * i32::from(*name == "from");
                    let at = Timestamp::new((*at)?, nanos).unwrap();
                    Some(format!(", {name} = {at}"))
                });
                format!("{{ ssh = \"{key}\"{} }}", times.collect::<String>())
            });
            let keys: Vec<_> = keys.collect();
            text += &format!("[people.{who}]\n{emails}\nkeys = [{}]\n", keys.join(", "));
            bare += &format!("[people.{who}]\n{emails}\nkeys = []\n");
        }
        let before = people(&text);
        let (lines, left_out) = allowed_signers(&before);
        let list: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let read = parse(list.as_bytes()).unwrap();
        let files = BTreeMap::new();

        let mut same = Import::new(&text, &before, &files, None).unwrap();
        for line in &read {
            // A time before 1970 has no place in the list, and the key another one there.
            if let Err(error) = same.signer(line) {
                prop_assert!(matches!(error.fault, ImportFault::OtherTimes(..)), "{}", error);
            }
        }
        prop_assert_eq!(same.text(), text);

        let nobody = people(&bare);
        let mut fresh = Import::new(&bare, &nobody, &files, None).unwrap();
        for line in &read {
            fresh.signer(line).unwrap();
        }
        let after = people(&fresh.text());
        let keys = |people: &People| -> BTreeMap<String, (PersonName, Window)> {
            let persons = people.persons.values();
            let keys = persons.flat_map(|person| {
                let late = |at: Option<Timestamp>| at.filter(|at| at.as_second() > 0);
                person.keys.iter().map(move |key| {
                    let (from, until) = window(&key.term);
                    (key.fingerprint.clone(), (person.name.clone(), (late(from), until)))
                })
            });
            keys.collect()
        };
        let mut expected = keys(&before);
        for what in &left_out {
            if let LeftOut::Never(key) = what {
                let (_, (from, until)) = expected.remove(key).unwrap();
                // Less than a second and a moment, or nothing, is left of it.
                prop_assert!(until.unwrap() <= later(from.unwrap_or(Timestamp::UNIX_EPOCH), 1));
            }
        }
        prop_assert_eq!(keys(&after), expected);
    }
}
