//! The people in words: a table, and what there is to say of them.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::people::{People, Person, PersonKind};
use crate::policy::roster::{Remark, signs};

use super::plain::plain;

/// Returns one row a person.
pub fn table(people: &People, now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "person",
        "kind",
        "keys valid now",
        "until",
        "CAs",
        "e-mails",
        "teams",
    ]);
    for person in people.persons.values() {
        let emails = person.emails.iter().cloned().collect::<Vec<_>>();
        let teams = people.teams.iter();
        let teams = teams.filter(|(_, members)| members.contains(&person.name));
        let teams: Vec<_> = teams.map(|(team, _)| team.clone()).collect();
        let or_none = |list: Vec<String>| match list.is_empty() {
            true => "-".to_owned(),
            false => list.join(", "),
        };
        let (valid, all) = (valid(person, now), person.keys.len());
        let cells = [
            person.name.to_string(),
            kind(person.kind).to_owned(),
            format!("{valid} of {all}"),
            last(person, now),
            people.vouching(&person.name, now).count().to_string(),
            or_none(emails),
            or_none(teams),
        ];
        table.add_row(cells.map(|cell| plain(&cell)));
    }
    let text = table.to_string();
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// Returns people and remarks for a program.
pub fn json(people: &People, remarks: &[Remark], now: Timestamp) -> Value {
    let persons = people.persons.values().map(|person| {
        json!({
            "person": person.name,
            "kind": person.kind,
            "emails": person.emails,
            "keys": person.keys.iter().map(|key| &key.fingerprint).collect::<Vec<_>>(),
            "valid_keys": valid(person, now),
            "authorities": people
                .vouching(&person.name, now)
                .map(|authority| &authority.fingerprint)
                .collect::<Vec<_>>(),
        })
    });
    let remarks = remarks.iter().map(|remark| {
        let mut found = BTreeMap::from([
            ("what", json!(name(remark))),
            ("action", json!(remark.needs_action())),
            ("detail", json!(words(remark))),
        ]);
        match remark {
            Remark::Unsatisfiable(rule, at) | Remark::BotsAlone(rule, at) => {
                found.extend([("rule", json!(rule)), ("at", json!(at))]);
            }
            Remark::HangsOn(rule, at, people) => {
                found.extend([
                    ("rule", json!(rule)),
                    ("at", json!(at)),
                    ("people", json!(people)),
                ]);
            }
            Remark::Ends(person, key, time) | Remark::Begins(person, key, time) => {
                found.extend([
                    ("person", json!(person)),
                    ("key", json!(key)),
                    ("time", json!(time)),
                ]);
            }
            Remark::AuthorityEnds(key, time) => {
                found.extend([("key", json!(key)), ("time", json!(time))]);
            }
            Remark::AuthorityMute(key) => {
                found.insert("key", json!(key));
            }
            Remark::Ended(person, key) | Remark::Revoked(person, key) => {
                found.extend([("person", json!(person)), ("key", json!(key))]);
            }
            Remark::NoValidKey(person)
            | Remark::Mute(person)
            | Remark::NoEmail(person)
            | Remark::NoPlace(person) => {
                found.insert("person", json!(person));
            }
            Remark::Stranger(email, _) => {
                found.insert("email", json!(email));
            }
        }
        found
    });
    json!({
        "schema": "countersign.people-check/v1",
        "people": persons.collect::<Vec<_>>(),
        "findings": remarks.collect::<Vec<_>>(),
    })
}

/// Says a remark in one line; safe for a terminal.
pub fn words(remark: &Remark) -> String {
    let text = match remark {
        Remark::Unsatisfiable(rule, at) => {
            format!("rule {rule} ({at}) asks for more people than have a valid key now")
        }
        Remark::HangsOn(rule, at, people) => {
            let people: Vec<_> = people.iter().map(ToString::to_string).collect();
            let each = if people.len() > 1 { "each of " } else { "" };
            format!(
                "rule {rule} ({at}) hangs on {each}{}: nobody could stand in, and no such change of \
                 theirs could land",
                people.join(", ")
            )
        }
        Remark::BotsAlone(rule, at) => {
            format!("rule {rule} ({at}) is satisfied by bots alone: one human lands what they made")
        }
        Remark::NoValidKey(person) => format!("{person} has no key that is valid now"),
        Remark::Ends(person, key, at) => format!("the key {key} of {person} ends at {at}"),
        Remark::AuthorityEnds(key, at) => format!("the CA {key} ends at {at}"),
        Remark::AuthorityMute(key) => format!("the CA {key} does not count now"),
        Remark::Mute(person) => format!("{person} has no key that is valid now, and signs nothing"),
        Remark::Ended(person, key) => format!("the key {key} of {person} has run out"),
        Remark::Revoked(person, key) => format!("the key {key} of {person} is revoked"),
        Remark::Begins(person, key, at) => {
            format!("the key {key} of {person} does not count before {at}")
        }
        Remark::NoEmail(person) => format!("{person} has no e-mail: no commit is known as theirs"),
        Remark::NoPlace(person) => format!("no rule asks {person}: their approvals fill no place"),
        Remark::Stranger(email, commits) => {
            format!("{email} is nobody's, and made {commits} of the latest commits")
        }
    };
    plain(&text)
}

fn name(remark: &Remark) -> &'static str {
    match remark {
        Remark::Unsatisfiable(..) => "unsatisfiable-rule",
        Remark::HangsOn(..) => "hangs-on",
        Remark::BotsAlone(..) => "bots-alone",
        Remark::NoValidKey(_) => "no-valid-key",
        Remark::Ends(..) => "key-ends",
        Remark::AuthorityEnds(..) => "authority-ends",
        Remark::AuthorityMute(_) => "authority-mute",
        Remark::Mute(_) => "mute",
        Remark::Ended(..) => "key-ended",
        Remark::Revoked(..) => "key-revoked",
        Remark::Begins(..) => "key-begins",
        Remark::NoEmail(_) => "no-email",
        Remark::NoPlace(_) => "no-place",
        Remark::Stranger(..) => "unknown-email",
    }
}

fn kind(kind: PersonKind) -> &'static str {
    match kind {
        PersonKind::Human => "human",
        PersonKind::Bot => "bot",
        PersonKind::Forge => "forge",
    }
}

fn valid(person: &Person, now: Timestamp) -> usize {
    person.keys.iter().filter(|key| signs(key, now)).count()
}

/// Returns until when the list lets one of the valid keys count.
fn last(person: &Person, now: Timestamp) -> String {
    let valid = person.keys.iter().filter(|key| signs(key, now));
    let ends = valid.map(|key| key.term.end());
    let ends: Vec<Option<Timestamp>> = ends.collect();
    match ends.iter().copied().collect::<Option<Vec<_>>>() {
        Some(ends) => ends
            .into_iter()
            .max()
            .map_or("-".to_owned(), |end| end.to_string()),
        None => "no end".to_owned(),
    }
}
