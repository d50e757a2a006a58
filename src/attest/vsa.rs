//! SLSA's verification summary (VSA) for a source revision.
//!
//! Source: SLSA v1.2, `verification_summary` and `source-requirements`. It passes for nothing but a
//! reviewed commit; which level it gives is for the log to say ([`super::continuity`]).

use serde_json::{Map, Value, json};

use super::continuity::{Held, levels};
use super::{Asked, AttestError, Reviewed, Spoken, sha256, statement, subject};
use crate::admit::standing::Standing;
use crate::gather::Rulebook;
use crate::record::entry::{Entry, PolicyId};
use crate::wire::statement::Statement;

/// Its type.
pub const PREDICATE: &str = "https://slsa.dev/verification_summary/v1";

/// Returns the summary of a reviewed commit, and what it rests on: the envelope of its source review,
/// the log's checkpoint.
pub(super) fn passed(
    asked: &Asked<'_>,
    names: &Spoken,
    reviewed: &Reviewed,
    held: &[Held],
    [review, checkpoint]: [&str; 2],
) -> Statement {
    let landed = &reviewed.landed;
    let mut about = subject(names, asked.commit, &reviewed.tree, Some(&landed.name));
    let levels = levels(held);
    let since = levels.iter().filter_map(|(level, start)| {
        let start = start.as_ref()?;
        Some(json!({
            "level": level,
            "startRevision": start.revision,
            "startIndex": start.index,
            "since": start.at,
        }))
    });
    let since: Vec<Value> = since.collect();
    about
        .annotations
        .insert("continuity".to_owned(), since.into());
    let origin = asked.record.checkpoint().origin;
    let inputs = json!([
        {
            "uri": format!("{}@{}#source-review", names.resource, asked.commit),
            "digest": {"sha256": sha256(review.as_bytes())},
        },
        {
            "uri": format!("https://{}/checkpoint", super::uri_path(&origin)),
            "digest": {"sha256": sha256(checkpoint.as_bytes())},
        },
    ]);
    let mut predicate = summary(asked, names, &landed.policy);
    predicate.extend([
        ("verificationResult".to_owned(), json!("PASSED")),
        (
            "verifiedLevels".to_owned(),
            levels.iter().map(|(level, _)| level.as_str()).collect(),
        ),
        ("inputAttestations".to_owned(), inputs),
    ]);
    statement(about, PREDICATE, predicate.into())
}

/// Returns the summary of a commit that is not reviewed.
pub(super) fn failed(asked: &Asked<'_>, standing: &Standing) -> Result<Statement, AttestError> {
    let (policy, repository) = in_force(asked, standing)?;
    let names = Spoken::of(asked, &repository);
    let tree = asked.repo.commit(asked.commit)?.tree;
    let mut about = subject(&names, asked.commit, &tree, standing.name.as_ref());
    about
        .annotations
        .insert("state".to_owned(), json!(standing.state.as_str()));
    let mut predicate = summary(asked, &names, &policy);
    predicate.extend([
        ("verificationResult".to_owned(), json!("FAILED")),
        ("verifiedLevels".to_owned(), json!(["FAILED"])),
    ]);
    Ok(statement(about, PREDICATE, predicate.into()))
}

/// The policy that judged the entry that a commit's state rests on, else the one in force now.
fn in_force(asked: &Asked<'_>, standing: &Standing) -> Result<(PolicyId, String), AttestError> {
    let entry = standing.index.map(|index| asked.record.entry(index));
    if let Some(Entry::Landed(landed)) = entry.transpose()? {
        return Ok((landed.policy, landed.repository));
    }
    let view = asked.record.view()?;
    let rules: Rulebook = crate::admit::rules(asked.repo, &view, asked.policy_ref)??;
    Ok((rules.id.clone(), rules.policy.repository.clone()))
}

fn summary(asked: &Asked<'_>, names: &Spoken, policy: &PolicyId) -> Map<String, Value> {
    let members = [
        (
            "verifier",
            json!({
                "id": names.verifier,
                "version": {"countersign": env!("CARGO_PKG_VERSION")},
            }),
        ),
        ("timeVerified", json!(asked.now)),
        ("resourceUri", json!(names.resource)),
        ("policy", names.policy(policy)),
        ("slsaVersion", json!("1.2")),
    ];
    members
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}
