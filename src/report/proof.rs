//! A proof in words: what the proven entry says, for those who have no repository.

use std::collections::BTreeSet;

use faster_hex::hex_string;
use serde_json::{Value, json};

use crate::admit::replay::is_reviewed;
use crate::record::Proven;
use crate::record::entry::{AdminAct, DecisionId, Entry, Landed, PusherId};
use crate::record::shared::RepositoryName;
use crate::wire::log_policy::Cosigned;
use crate::wire::oid::Oid;

use super::log::{blank, lines, state};
use super::plain::plain;
use super::sealed::{by, by_value};

/// The reviewers of a landing by its own entry; nothing where they stand in evidence beside it.
fn reviewers(landed: &Landed) -> Option<Vec<String>> {
    let DecisionId::Inline(decided) = &landed.decision else {
        return None;
    };
    let counted: BTreeSet<_> = decided.counted.iter().map(|head| head.head).collect();
    let approvals = decided.verdict.approvals.iter();
    let people: BTreeSet<_> = approvals
        .filter(|approval| approval.counted && counted.contains(&approval.commit))
        .map(|approval| approval.person.to_string())
        .collect();
    Some(people.into_iter().collect())
}

/// Returns a table of what was proven; with what witnesses said, where that was looked at.
pub fn table(proven: &Proven, cosigned: Option<&Cosigned>) -> String {
    let checkpoint = &proven.checkpoint;
    let mut rows = vec![
        ("log", checkpoint.origin.clone()),
        ("entry", format!("{} of {}", proven.index, checkpoint.size)),
        ("time", proven.entry.at().to_string()),
        ("kind", proven.entry.kind().to_owned()),
    ];
    let of = proven.of.iter();
    rows.extend(of.map(|of| ("called in the log", of.as_str().to_owned())));
    rows.extend(facts(&proven.entry));
    rows.push(("state", state(&proven.entry).to_owned()));
    let unasked = "not looked at without --log-policy: this is the log's own word";
    let witnesses = cosigned.map_or_else(|| unasked.to_owned(), by);
    rows.push(("witnesses", witnesses));
    let mut table = blank(&["", ""]);
    for (what, is) in rows {
        table.add_row([what.to_owned(), plain(&is)]);
    }
    // The header is empty: there is nothing to head.
    let text = lines(&table);
    text.trim_start_matches('\n').to_owned()
}

fn facts(entry: &Entry) -> Vec<(&'static str, String)> {
    let id = |oid: &Option<Oid>| oid.map_or_else(|| "-".to_owned(), |oid| oid.to_string());
    match entry {
        Entry::Genesis(genesis) => {
            let tips = genesis.tips.iter();
            let tip = tips.map(|(name, oid)| ("tip", format!("{oid} {name}")));
            std::iter::once(("repository", genesis.repository.clone()))
                .chain(tip)
                .collect()
        }
        Entry::Review(review) => vec![
            ("ref", review.target.to_string()),
            ("commit", review.head.to_string()),
            ("reviewer", review.person.to_string()),
            ("key", review.key.clone()),
            ("tag", review.tag.to_string()),
        ],
        Entry::Landed(landed) => {
            let people = match reviewers(landed) {
                Some(people) if people.is_empty() => "-".to_owned(),
                Some(people) => people.join(", "),
                None => "(in the evidence beside the log)".to_owned(),
            };
            vec![
                ("repository", landed.repository.clone()),
                ("ref", landed.name.to_string()),
                ("old", id(&landed.old)),
                ("new", id(&landed.new)),
                ("pushed by", pusher(landed)),
                ("reviewed by", people),
                ("decision", word(&landed.decision.decision())),
                ("mode", word(&landed.mode)),
            ]
        }
        Entry::Adopted(adopted) => vec![
            ("repository", adopted.repository.clone()),
            ("ref", adopted.name.to_string()),
            ("old", id(&adopted.old)),
            ("new", id(&adopted.new)),
            ("by", adopted.by.clone()),
            ("reason", adopted.reason.clone()),
        ],
        Entry::Incident(incident) => vec![
            ("finding", incident.finding.clone()),
            ("about", incident.about.clone()),
            ("found", incident.found.clone()),
        ],
        Entry::Admin(admin) => match &admin.act {
            // How the host was left: the entry itself has it, for programs.
            AdminAct::Enrolled(_) => Vec::new(),
            AdminAct::Rotated(rotated) => vec![
                ("old key", rotated.old.clone()),
                ("new key", rotated.new.clone()),
                ("by", rotated.by.clone()),
                ("reason", rotated.reason.clone()),
            ],
        },
    }
}

fn pusher(landed: &Landed) -> String {
    match &landed.pusher {
        PusherId::Person(person) => person.to_string(),
        PusherId::Unknown(name) => format!("({name})"),
    }
}

/// The word of a value in the entry's own JSON.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the same for a program, with the whole entry.
pub fn json(proven: &Proven, cosigned: Option<&Cosigned>) -> Result<Value, serde_json::Error> {
    let (reviewed, people) = match &proven.entry {
        Entry::Landed(landed) => (is_reviewed(landed), reviewers(landed)),
        Entry::Genesis(_)
        | Entry::Review(_)
        | Entry::Adopted(_)
        | Entry::Incident(_)
        | Entry::Admin(_) => (false, None),
    };
    let root = hex_string(&proven.checkpoint.root);
    Ok(json!({
        "schema": "countersign.verify-proof/v1",
        "ok": true,
        "origin": proven.checkpoint.origin,
        "size": proven.checkpoint.size,
        "root": root,
        "index": proven.index,
        "of": proven.of,
        "state": state(&proven.entry),
        "reviewed": reviewed,
        "reviewers": people,
        "is_final": cosigned.map(|cosigned| cosigned.enough),
        "cosigned": cosigned.map(by_value),
        "entry": serde_json::to_value(&proven.entry)?,
    }))
}

/// Returns why the checkpoint is not final by the policy that was given.
pub fn too_few(cosigned: &Cosigned) -> Option<String> {
    let by = by(cosigned);
    (!cosigned.enough).then(|| format!("the checkpoint is not final: {by}, which is no quorum"))
}

/// What a proof must show besides being one.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// The repository, as its policy calls it.
    pub repository: Option<&'a str>,
    /// The repository, as a log of many calls it.
    pub of: Option<&'a str>,
    /// A commit that is reviewed by the entry.
    pub commit: Option<&'a str>,
    /// The ref that a reviewed commit landed on.
    pub onto: Option<&'a str>,
}

/// Returns why the proven entry is not what was asked for.
pub fn unlike(proven: &Proven, wanted: &Wanted<'_>) -> Option<String> {
    let entry = |words: String| Some(format!("entry {} {words}", proven.index));
    let of = proven.of.as_ref().map(RepositoryName::as_str);
    let landing = wanted.commit.is_some() || wanted.onto.is_some();
    match (wanted.of, of) {
        (None, Some(of)) if landing || wanted.repository.is_some() => {
            return entry(format!(
                "is of {of}, one repository of many in this log, {OF}"
            ));
        }
        (Some(wanted), None) => {
            return entry(format!("is of a log of one, not of {wanted} of many"));
        }
        (Some(wanted), Some(of)) if wanted != of => {
            return entry(format!("is of {of}, not {wanted}"));
        }
        _ => {}
    }
    if let Some(wanted) = wanted.repository {
        match repository(&proven.entry) {
            None => return entry("does not say of which repository it is".to_owned()),
            Some(name) if name != wanted => return entry(format!("is of {name}, not {wanted}")),
            Some(_) => {}
        }
    }
    if !landing {
        return None;
    }
    let Entry::Landed(landed) = &proven.entry else {
        return entry("is no landing".to_owned());
    };
    let new = landed.new.map(|oid| oid.to_string());
    if let Some(commit) = wanted
        .commit
        .filter(|commit| new.as_deref() != Some(commit))
    {
        return entry(format!("is about another commit than {commit}"));
    }
    if let Some(onto) = wanted.onto.filter(|onto| landed.name.to_string() != *onto) {
        return entry(format!("is about another ref than {onto}"));
    }
    match is_reviewed(landed) {
        true => None,
        false => entry("is not reviewed".to_owned()),
    }
}

/// Whoever may write a policy may give their repository another's name there.
const OF: &str = "whose people may have reviewed the same commit: say which one with --of";

/// The repository by the name in the entry; a review has it in its signed words alone.
fn repository(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Genesis(it) => Some(&it.repository),
        Entry::Landed(it) => Some(&it.repository),
        Entry::Adopted(it) => Some(&it.repository),
        Entry::Incident(it) => Some(&it.repository),
        Entry::Admin(it) => Some(&it.repository),
        Entry::Review(_) => None,
    }
}
