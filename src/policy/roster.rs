//! What is wrong with the people, or soon will be: keys that end, rules that hang on one person.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{EvidenceWanted, Policy, Rule, places};
use crate::people::{KeyMaterial, People, Person, PersonKey, PersonKind, PersonName, Standing};

/// One thing to know of the people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// A rule that nobody could satisfy now; where it stands.
    Unsatisfiable(String, String),
    /// A rule that could not be satisfied without one of these people; where it stands.
    HangsOn(String, String, Vec<PersonName>),
    /// A rule that bots alone satisfy, where no other asks for a human; where it stands.
    BotsAlone(String, String),
    /// A human without a key that counts now.
    NoValidKey(PersonName),
    /// A key that counts now and will not for long; from when on.
    Ends(PersonName, String, Timestamp),
    /// A CA that counts now and will not for long; from when on.
    AuthorityEnds(String, Timestamp),
    /// A CA that does not count now.
    AuthorityMute(String),
    /// Somebody who is no human, without a key that counts now.
    Mute(PersonName),
    /// A key that counts no more.
    Ended(PersonName, String),
    /// A key that is revoked.
    Revoked(PersonName, String),
    /// A key that does not count yet.
    Begins(PersonName, String, Timestamp),
    /// A human whose commits nobody knows for theirs.
    NoEmail(PersonName),
    /// A human whom no rule asks.
    NoPlace(PersonName),
    /// An address in that many commits of late, which is nobody's.
    Stranger(String, usize),
}

impl Remark {
    /// Returns whether it is about a rule, whatever becomes of single people and keys.
    pub fn is_of_rule(&self) -> bool {
        matches!(
            self,
            Self::Unsatisfiable(..) | Self::HangsOn(..) | Self::BotsAlone(..)
        )
    }

    /// Returns whether somebody should do something; the others are for information.
    pub fn needs_action(&self) -> bool {
        matches!(
            self,
            Self::Unsatisfiable(..)
                | Self::HangsOn(..)
                | Self::BotsAlone(..)
                | Self::NoValidKey(_)
                | Self::Ends(..)
                | Self::AuthorityEnds(..)
        )
    }
}

impl Policy {
    /// Returns what there is to say of the people at `now`, and of the time up to `within` later.
    pub fn roster(&self, people: &People, now: Timestamp, within: SignedDuration) -> Vec<Remark> {
        let default = Rule::default_rule();
        let catches_all =
            |rule: &Rule| rule.paths.is_empty() && rule.classes.is_empty() && rule.refs.is_empty();
        let builtin = (!self.rules.iter().any(catches_all)).then_some(&default);
        let rules: Vec<&Rule> = self.rules.iter().chain(builtin).collect();
        let mut remarks: Vec<_> = rules
            .iter()
            .filter_map(|rule| of_rule(rule, people, now))
            .collect();
        let by_bots = |rule: &Rule| {
            let is_bot = |person: &Person| person.kind == PersonKind::Bot;
            places::satisfiable(&rule.require, people, &is_bot)
        };
        // A rule for every change that wants a human holds beside any other.
        let asks_all = |rule: &Rule| catches_all(rule) && !by_bots(rule);
        if !self.rules.iter().any(asks_all) {
            let alone = self.rules.iter().filter(|rule| by_bots(rule));
            remarks.extend(alone.map(|rule| Remark::BotsAlone(rule.name.clone(), rule.at())));
        }
        for person in people.persons.values() {
            of_person(&mut remarks, people, person, now, within);
            let asked = |rule: &&Rule| {
                let mut places = rule.require.iter();
                places.any(|place| place.admits(person, people))
            };
            if person.kind == PersonKind::Human && !rules.iter().any(asked) {
                remarks.push(Remark::NoPlace(person.name.clone()));
            }
        }
        let horizon = now.checked_add(within).unwrap_or(Timestamp::MAX);
        remarks.extend(people.authorities.iter().filter_map(|authority| {
            let lives = |at| authority.term.standing(at) == Standing::Live;
            let fingerprint = authority.fingerprint.clone();
            match (lives(now), lives(horizon)) {
                (true, true) => None,
                (true, false) => {
                    let end = authority.term.end().unwrap_or(horizon);
                    Some(Remark::AuthorityEnds(fingerprint, end))
                }
                (false, _) => Some(Remark::AuthorityMute(fingerprint)),
            }
        }));
        remarks.sort_by_key(|remark| !remark.needs_action());
        remarks
    }
}

/// Asks of a rule whether it can be satisfied, and still can where one person is missing.
fn of_rule(rule: &Rule, people: &People, now: Timestamp) -> Option<Remark> {
    let ready = |person: &Person| may_approve(people, person, rule, now);
    let without = |missing: Option<&PersonName>| {
        let there = |person: &Person| Some(&person.name) != missing && ready(person);
        places::satisfiable(&rule.require, people, &there)
    };
    if !without(None) {
        return Some(Remark::Unsatisfiable(rule.name.clone(), rule.at()));
    }
    let who = rule.require.iter().flat_map(|place| &place.who);
    let named: BTreeSet<&PersonName> = who
        .flat_map(|who| who.everyone(people))
        .map(|person| &person.name)
        .collect();
    let needed: Vec<PersonName> = named
        .into_iter()
        .filter(|person| !without(Some(person)))
        .cloned()
        .collect();
    (!needed.is_empty()).then(|| Remark::HangsOn(rule.name.clone(), rule.at(), needed))
}

fn of_person(
    remarks: &mut Vec<Remark>,
    people: &People,
    person: &Person,
    now: Timestamp,
    within: SignedDuration,
) {
    let name = || person.name.clone();
    let horizon = now.checked_add(within).unwrap_or(Timestamp::MAX);
    for key in &person.keys {
        let fingerprint = key.fingerprint.clone();
        let standing = key.term.standing(now).and(certificate(key, now));
        let taken_back = standing == Standing::Revoked;
        let begins = key.term.from.filter(|from| now < *from);
        remarks.extend(match (signs(key, now), begins) {
            (true, _) if signs(key, horizon) => None,
            (true, _) => Some(Remark::Ends(name(), fingerprint, end(key, now, horizon))),
            (false, _) if taken_back => Some(Remark::Revoked(name(), fingerprint)),
            (false, Some(from)) => Some(Remark::Begins(name(), fingerprint, from)),
            (false, None) => Some(Remark::Ended(name(), fingerprint)),
        });
    }
    if !may_sign(people, person, now) {
        remarks.push(match person.kind {
            PersonKind::Human => Remark::NoValidKey(name()),
            PersonKind::Bot | PersonKind::Forge => Remark::Mute(name()),
        });
    }
    if person.kind == PersonKind::Human && person.emails.is_empty() {
        remarks.push(Remark::NoEmail(name()));
    }
}

/// Returns whether an approval by a person could count for a rule at `at`: by a key of theirs, or by a
/// forge's word where the rule takes it and they have an account.
pub fn may_approve(people: &People, person: &Person, rule: &Rule, at: Timestamp) -> bool {
    let by_forge = rule.evidence == EvidenceWanted::Forge && !person.accounts.is_empty();
    by_forge || may_sign(people, person, at)
}

/// Returns whether a person has a key that counts at `at`, or a CA that may certify one.
pub fn may_sign(people: &People, person: &Person, at: Timestamp) -> bool {
    let listed = person.keys.iter().any(|key| signs(key, at));
    listed || people.vouching(&person.name, at).next().is_some()
}

/// Returns whether a signature received at `at` would be believed, by the list and the certificate.
pub fn signs(key: &PersonKey, at: Timestamp) -> bool {
    key.counts_at(at) && certificate(key, at) == Standing::Live
}

fn certificate(key: &PersonKey, at: Timestamp) -> Standing {
    match &key.material {
        KeyMaterial::Ssh(_) => Standing::Live,
        KeyMaterial::OpenPgp(openpgp) => openpgp.best_standing(at.as_second()),
    }
}

/// Returns the first second at which a key that signs at `live` does not, no later than `over`.
fn end(key: &PersonKey, live: Timestamp, over: Timestamp) -> Timestamp {
    let (mut live, mut end) = (live.as_second(), over.as_second());
    let at = |second| Timestamp::from_second(second).unwrap_or(over);
    while end.saturating_sub(live) > 1 {
        let middle = live.midpoint(end);
        match signs(key, at(middle)) {
            true => live = middle,
            false => end = middle,
        }
    }
    at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 2] = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILdNWEHLgHVeHBsNU0W4AEdy+S1fgKdDfyJmR6HoZ5ho",
    ];

    /// Of a CA.
    const THIRD: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFNggD5Fj1QVq27UNvTL8cCICax2xnGT2XCi1i7rARX3";

    fn remarks(people: &str, rules: &str) -> Vec<Remark> {
        let mut text = people.to_owned();
        for (at, key) in KEYS.iter().enumerate() {
            text = text.replace(&format!("KEY{at}"), key);
        }
        let people = People::parse(text.as_bytes(), &|_| None).unwrap();
        let policy = format!("version = 1\nrepository = \"x\"\n{rules}");
        let policy = Policy::parse(policy.as_bytes(), &people).unwrap();
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        policy.roster(&people, now, SignedDuration::from_hours(30 * 24))
    }

    fn name(text: &str) -> PersonName {
        PersonName::new(text).unwrap()
    }

    fn fingerprint(key: usize) -> String {
        crate::people::key::parse_ssh(KEYS[key]).unwrap().0
    }

    const TWO: &str = "[people.alice]\nemails = [\"a@x\"]\nkeys = [{ ssh = \"KEY0\" }]\n\
                       [people.bob]\nemails = [\"b@x\"]\nkeys = [{ ssh = \"KEY1\" }]\n\
                       [teams]\nboth = [\"alice\", \"bob\"]\nadmins = [\"alice\"]\n";

    /// Where anybody can stand in for anybody there is nothing to say.
    #[test]
    fn silent() {
        let rule = "[[rule]]\nname = \"r\"\nrequire = [\"1 of @both\"]\n";
        assert_eq!(remarks(TWO, rule), []);
        assert_eq!(remarks(TWO, ""), []);
    }

    /// A rule that one missing person makes impossible names them; whoever none asks is named too.
    #[test]
    fn hangs_on_one() {
        let at = ".countersign/policy.toml:3";
        for (require, people, place) in [
            (r#"["1 of @admins"]"#, &["alice"][..], Some("bob")),
            (r#"["2 of @both"]"#, &["alice", "bob"], None),
            (r#"["1 of @admins", "1 of @both"]"#, &["alice", "bob"], None),
            (r#"["1 of @admins|bob"]"#, &[], None),
        ] {
            let rule = format!("[[rule]]\nname = \"r\"\nrequire = {require}\n");
            let mut expected = Vec::new();
            if !people.is_empty() {
                let people = people.iter().map(|person| name(person)).collect();
                expected.push(Remark::HangsOn("r".to_owned(), at.to_owned(), people));
            }
            expected.extend(place.map(|person| Remark::NoPlace(name(person))));
            assert_eq!(remarks(TWO, &rule), expected, "{require}");
        }
        // Where a rule leaves paths over, the built-in one asks everybody.
        let some = "[[rule]]\nname = \"r\"\npaths = [\"a\"]\nrequire = [\"1 of @both\"]\n";
        assert_eq!(remarks(TWO, some), []);
    }

    /// A rule whose people have no key that counts is named; not one that takes the forge's word.
    #[test]
    fn unsatisfiable() {
        let rule = "[[rule]]\nname = \"pair\"\nrequire = [\"2 of @both\"]\n";
        let forge = rule.replace("pair", "forge") + "evidence = \"forge\"\n";
        let ended = TWO.replace("\"KEY0\"", "\"KEY0\", until = 2026-06-01T00:00:00Z");
        let keyless = TWO
            .replace("keys", "logins")
            .replace("{ ssh = \"KEY0\" }", "\"a\"");
        let keyless = keyless.replace("{ ssh = \"KEY1\" }", "\"b\"");
        // A forge's word is of an account.
        let accounts = |people: &str| {
            let alice = people.replace(
                "[people.alice]",
                "[people.alice]\naccounts = { github = 1 }",
            );
            alice.replace("[people.bob]", "[people.bob]\naccounts = { github = 2 }")
        };
        let [two, ended, keyless] = [TWO, &ended, &keyless].map(accounts);
        let at = ".countersign/policy.toml:3".to_owned();
        let pair = Remark::Unsatisfiable("pair".to_owned(), at);
        for (people, expected) in [(&two, false), (&ended, true), (&keyless, true)] {
            let found = remarks(people, &format!("{rule}{forge}"));
            let of_rules = found
                .iter()
                .filter(|remark| matches!(remark, Remark::Unsatisfiable(..)));
            let expected: Vec<_> = expected.then_some(&pair).into_iter().collect();
            assert_eq!(of_rules.collect::<Vec<_>>(), expected, "{people}");
        }
    }

    /// A rule that bots satisfy leaves one human with what they made, unless another asks for a second.
    #[test]
    fn bots_alone() {
        let people = TWO.replace("[teams]", "[people.robot]\nkind = \"bot\"\n[teams]");
        let alone = |rules: &str| {
            let found = remarks(&people, rules);
            let is = |remark: &Remark| matches!(remark, Remark::BotsAlone(..));
            found.iter().filter(|remark| is(remark)).count()
        };
        let bots = "[[rule]]\nname = \"r\"\nrequire = [\"1 of robot|bob\"]\n";
        let both = "[[rule]]\nname = \"s\"\nrequire = [\"1 of @both\"]\n";
        let some = "[[rule]]\nname = \"t\"\npaths = [\"a\"]\nrequire = [\"1 of robot\"]\n";
        assert_eq!(alone(bots), 1);
        assert_eq!(alone(&format!("{bots}{both}")), 0);
        assert_eq!(alone(&format!("{some}{both}")), 0);
        // The built-in rule does not reach what another one matches.
        assert_eq!(alone(some), 1);
    }

    /// Keys at every point of their time, and people without one.
    #[test]
    fn keys_and_time() {
        let text = "[people.alice]\nemails = [\"a@x\"]\nkeys = [{ ssh = \"KEY0\", until = 2026-06-20T00:00:00Z }]\n\
                    [people.bob]\nkeys = [{ ssh = \"KEY1\", TERMS }]\n\
                    [people.robot]\nkind = \"bot\"\n";
        let first = Remark::Ends(
            name("alice"),
            fingerprint(0),
            "2026-06-20T00:00:00Z".parse().unwrap(),
        );
        let hang = Remark::HangsOn(
            "default".to_owned(),
            "built-in".to_owned(),
            vec![name("alice")],
        );
        let from = "2026-07-01T00:00:00Z".parse().unwrap();
        for (terms, remark) in [
            (
                "until = 2026-06-01T00:00:00Z",
                Remark::Ended(name("bob"), fingerprint(1)),
            ),
            (
                "revoked = 2026-06-01T00:00:00Z",
                Remark::Revoked(name("bob"), fingerprint(1)),
            ),
            (
                "from = 2026-07-01T00:00:00Z",
                Remark::Begins(name("bob"), fingerprint(1), from),
            ),
        ] {
            let found = remarks(&text.replace("TERMS", terms), "");
            let expected = [
                hang.clone(),
                first.clone(),
                Remark::NoValidKey(name("bob")),
                remark,
                Remark::NoEmail(name("bob")),
                Remark::Mute(name("robot")),
            ];
            assert_eq!(found, expected, "{terms}");
        }
        let soon = remarks(&text.replace("TERMS", "revoked = 2026-06-30T23:59:59Z"), "");
        assert!(soon.contains(&Remark::Ends(
            name("bob"),
            fingerprint(1),
            "2026-06-30T23:59:59Z".parse().unwrap()
        )));
        let later = remarks(&text.replace("TERMS", "until = 2026-07-01T00:00:01Z"), "");
        assert!(
            !later
                .iter()
                .any(|remark| matches!(remark, Remark::Ends(who, ..) if *who == name("bob")))
        );
        let ca = format!(
            "{TWO}[people.carol]\nemails = [\"c@x\"]\n[[ca]]\nssh = \"{THIRD}\"\nprincipals = {{ \"c@x\" = \"carol\" }}\n"
        );
        assert_eq!(remarks(&ca, ""), []);
        let third = crate::people::key::parse_ssh(THIRD).unwrap().0;
        let ends = "2026-06-11T00:00:00Z".parse().unwrap();
        let found = remarks(&format!("{ca}until = 2026-06-11T00:00:00Z\n"), "");
        assert_eq!(found, [Remark::AuthorityEnds(third.clone(), ends)]);
        let found = remarks(&format!("{ca}revoked = 2026-05-11T00:00:00Z\n"), "");
        let mute = Remark::AuthorityMute(third);
        assert_eq!(found, [Remark::NoValidKey(name("carol")), mute]);
        let none = remarks("[people.alice]\n[people.bob]\n", "");
        assert_eq!(
            none[0],
            Remark::Unsatisfiable("default".to_owned(), "built-in".to_owned())
        );
        assert!(none.iter().filter(|remark| remark.needs_action()).count() == 3);
    }
}
