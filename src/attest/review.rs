//! The source-review statement: who reviewed what landed, of what, and by which rules.
//!
//! `reviewCoverage`, `mergeTransform` and `approvals` are named as in the proposal for in-toto's
//! source-review predicate; `docs/attestations.md` shows all of it.

use serde_json::{Value, json};

use super::reviewed::{Approval, Head, Requirement};
use super::{Asked, AttestError, Reviewed, Spoken, statement, subject};
use crate::judge::verdict::Coverage;
use crate::record::entry::PusherId;
use crate::wire::oid::Oid;
use crate::wire::statement::Statement;

/// Its type.
pub const PREDICATE: &str = "https://countersign.dev/source-review/v0.1";

/// The most paths that are named for one rule.
const PATHS: usize = 100;

pub(super) fn statement_for(
    asked: &Asked<'_>,
    names: &Spoken,
    reviewed: &Reviewed,
) -> Result<Statement, AttestError> {
    let landed = &reviewed.landed;
    let subject = subject(names, asked.commit, &reviewed.tree, Some(&landed.name));
    let mut target = json!({"name": landed.name, "uri": names.resource});
    if let (Some(base), Some(target)) = (&reviewed.base, target.as_object_mut()) {
        target.insert("digest".to_owned(), commit(base));
    }
    let predicate = json!({
        "target": target,
        "reviewCoverage": {"result": coverage(reviewed)},
        "mergeTransform": transform(asked, reviewed),
        "approvals": approvals(names, reviewed),
        "contributors": contributors(reviewed),
        "requirements": requirements(&reviewed.requirements),
        "admission": {
            "path": "gate",
            "mode": "enforce",
            "pusher": pusher(reviewed),
            "policy": names.policy(&landed.policy),
            "judge": landed.judge,
            "judgedAt": landed.judged,
            "landedAt": landed.at,
        },
        "log": {
            "origin": asked.record.checkpoint().origin,
            "index": reviewed.index,
            "entry": {"digest": {"sha256": reviewed.entry_sha256}},
        },
    });
    Ok(statement(subject, PREDICATE, predicate))
}

fn commit(oid: &Oid) -> Value {
    json!({"gitCommit": oid})
}

/// The weakest of the coverages that counted.
fn coverage(reviewed: &Reviewed) -> Value {
    let approvals = reviewed.heads.iter().flat_map(|head| &head.approvals);
    let all = approvals.map(|approval| approval.coverage);
    json!(all.max().unwrap_or(Coverage::Unverifiable))
}

/// How the reviewed heads became what landed.
fn transform(asked: &Asked<'_>, reviewed: &Reviewed) -> Value {
    let head = |head: &Head| {
        let mut annotations = json!({"reviewedBase": head.base});
        // What the id says in a weaker hash.
        let raw = reviewed.landed.sha256.get(&head.commit);
        if let (Some(raw), Some(annotations)) = (raw, annotations.as_object_mut()) {
            annotations.insert("rawSha256".to_owned(), json!(raw));
        }
        json!({
            "digest": {"gitCommit": head.commit, "gitTree": head.tree},
            "annotations": annotations,
        })
    };
    let heads: Vec<Value> = reviewed.heads.iter().map(head).collect();
    let kind = match reviewed.heads.as_slice() {
        [head] if head.commit == *asked.commit => "identity",
        [_, _, ..] => "sequence",
        _ if reviewed.parents.len() > 1 => "mergeCommit",
        _ => "squash",
    };
    let mut told = json!({
        "kind": kind,
        "strategy": "https://countersign.dev/merge/v1",
        "reviewedHeads": heads,
        "parents": reviewed.parents.iter().map(|oid| json!({"digest": commit(oid)})).collect::<Vec<_>>(),
        "expectedTree": {"digest": {"gitTree": reviewed.tree}},
        "replayClean": true,
    });
    if let Some(told) = told.as_object_mut() {
        if let Some(base) = &reviewed.base {
            told.insert("baseAtMerge".to_owned(), json!({"digest": commit(base)}));
        }
        if let [only] = heads.as_slice() {
            told.insert("reviewedHead".to_owned(), only.clone());
        }
        if let Some(raw) = reviewed.landed.sha256.get(asked.commit) {
            told.insert("rawSha256".to_owned(), json!(raw));
        }
    }
    told
}

fn approvals(names: &Spoken, reviewed: &Reviewed) -> Vec<Value> {
    let told = |head: &Head, approval: &Approval| {
        json!({
            "approver": {
                "name": approval.person,
                "uri": format!("{}#people/{}", names.resource, approval.person),
                "annotations": {"key": approval.key},
            },
            "overCommit": {"digest": commit(&head.commit)},
            "overTree": {"digest": {"gitTree": head.tree}},
            "coverage": approval.coverage,
            "reviewedAt": approval.at,
            "evidence": {
                "name": approval.evidence,
                "digest": {"gitTag": approval.tag, "sha256": approval.sha256},
            },
            "log": {"index": approval.index},
        })
    };
    let heads = reviewed.heads.iter();
    heads
        .flat_map(|head| head.approvals.iter().map(move |it| told(head, it)))
        .collect()
}

/// Everyone with a hand in the whole push.
fn contributors(reviewed: &Reviewed) -> Vec<Value> {
    let contributors = reviewed.decided.verdict.contributors.iter();
    contributors
        .map(|it| json!({"name": it.person, "email": it.email, "roles": it.roles}))
        .collect()
}

fn requirements(all: &[Requirement]) -> Vec<Value> {
    let told = |it: &Requirement| {
        json!({
            "rule": it.rule,
            "at": it.at,
            "quorum": it.places.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "paths": it.paths.iter().take(PATHS).collect::<Vec<_>>(),
            "pathCount": it.paths.len(),
            "satisfiedBy": it.by,
        })
    };
    all.iter().map(told).collect()
}

fn pusher(reviewed: &Reviewed) -> Value {
    match &reviewed.landed.pusher {
        PusherId::Person(person) => json!(person),
        PusherId::Unknown(_) => Value::Null,
    }
}
