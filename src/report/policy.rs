//! The policy in words: what refs are held to, what rules ask for, which witnesses there are.

use serde_json::{Value, json};

use crate::policy::roster::Remark;
use crate::policy::{BaseWanted, EvidenceWanted, Mode, Policy, Protection, Rule};
use crate::record::entry::PolicyId;

use super::log::{blank, lines};
use super::people;
use super::plain::plain;

/// Returns tables of refs and of rules in 80 columns, and a line about witnesses.
pub fn tables(policy: &Policy) -> String {
    let mut refs = wrapped(&["ref", "is held to"]);
    refs.add_row(["the policy ref", "every rule, listed or not"]);
    for rule in &policy.refs {
        refs.add_row([
            plain(&joined(&rule.matches, ", ")),
            held_to(&rule.protection),
        ]);
    }
    let mut rules = wrapped(&["rule", "asks for", "where"]);
    let default = Rule::default_rule();
    for rule in &policy.rules {
        rules.add_row([plain(&rule.name), asks(rule), plain(&place(rule))]);
    }
    rules.add_row([
        &default.name,
        &asks(&default),
        "whatever no rule above is about",
    ]);
    let witnesses = match &policy.witnesses {
        Some(witnesses) => {
            let names: Vec<_> = witnesses.keys.iter().map(|key| key.name()).collect();
            let (quorum, all) = (witnesses.quorum, names.len());
            format!("witnesses: {quorum} of {all}, {}", names.join(", "))
        }
        None => "witnesses: none, so the record proves nothing against its own operator".to_owned(),
    };
    let expiry = match policy.approvals_expire {
        Some(age) => match (age.as_hours() / 24, age.as_secs() % 86_400) {
            (days, 0) => format!("approvals count for {days}d"),
            _ => format!("approvals count for {age:#}"),
        },
        None => "approvals do not run out".to_owned(),
    };
    let (refs, rules) = (lines(&refs), lines(&rules));
    format!("{refs}\n{rules}\n{expiry}\n{}\n", plain(&witnesses))
}

/// Returns policy and remarks for a program.
pub fn json(policy: &Policy, id: Option<&PolicyId>, remarks: &[Remark]) -> Value {
    let witnesses = policy.witnesses.as_ref().map(|witnesses| {
        json!({
            "quorum": witnesses.quorum,
            "witnesses": witnesses.keys.iter().map(|key| key.name()).collect::<Vec<_>>(),
        })
    });
    json!({
        "schema": "countersign.policy-check/v1",
        "commit": id.map(|id| id.commit),
        "digest": id.map(|id| &id.digest),
        "repository": policy.repository,
        "rules": policy.rules.iter().map(|rule| &rule.name).collect::<Vec<_>>(),
        "witnesses": witnesses,
        "warnings": remarks.iter().map(people::words).collect::<Vec<_>>(),
    })
}

fn wrapped(header: &[&str]) -> comfy_table::Table {
    let mut table = blank(header);
    table
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_width(80);
    table
}

pub(super) fn held_to(protection: &Protection) -> String {
    let mode = match protection.mode {
        Mode::Enforce => "enforce",
        Mode::DryRun => "dry run: says what it would refuse",
    };
    let terms = [
        (protection.signed_commits, "signed commits"),
        (protection.every_commit, "every commit by itself"),
        (protection.create_once, "made once, never moved"),
        (protection.allow_rewind, "may be rewound"),
        (protection.allow_delete, "may be deleted"),
    ];
    let terms = terms.into_iter().filter(|(holds, _)| *holds);
    let mut all: Vec<_> = [mode]
        .into_iter()
        .chain(terms.map(|(_, term)| term))
        .collect();
    let trusts = format!("trusts {}", joined(&protection.trusts, ", "));
    if !protection.trusts.is_empty() {
        all.push(&trusts);
    }
    plain(&all.join(", "))
}

fn asks(rule: &Rule) -> String {
    let mut asks = joined(&rule.require, " and ");
    if rule.evidence == EvidenceWanted::Forge {
        asks.push_str(", the forge's word too");
    }
    if rule.base == BaseWanted::Exact {
        asks.push_str(", exact base");
    }
    plain(&asks)
}

/// Says where a rule has a say: paths, classes and refs, all of them together.
fn place(rule: &Rule) -> String {
    let mut all = Vec::new();
    if !rule.paths.is_empty() {
        all.push(joined(&rule.paths, ", "));
    }
    if !rule.classes.is_empty() {
        all.push(format!("class {}", joined(&rule.classes, " or ")));
    }
    if !rule.refs.is_empty() {
        all.push(format!("on {}", joined(&rule.refs, ", ")));
    }
    match all.is_empty() {
        true => "every change".to_owned(),
        false => all.join("; "),
    }
}

pub(super) fn joined(all: &[impl ToString], between: &str) -> String {
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    all.join(between)
}
