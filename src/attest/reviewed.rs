//! A reviewed commit with all that its entry says of it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::{Asked, AttestError, sha256};
use crate::admit::replay;
use crate::admit::standing::Standing;
use crate::gather::Rulebook;
use crate::git::changes;
use crate::judge::facts::PathFacts;
use crate::judge::law::Law;
use crate::judge::verdict::{Coverage, Evidence};
use crate::people::PersonName;
use crate::policy::Place;
use crate::record::entry::{CountedHead, Decided, Entry, Landed};
use crate::wire::name::RepoPath;
use crate::wire::oid::Oid;

/// The most changed paths that are held against the rules.
const PATHS: usize = 100_000;

/// A reviewed commit.
#[derive(Clone, Debug)]
pub struct Reviewed {
    /// Its tree.
    pub tree: Oid,
    /// Its parents, in order.
    pub parents: Vec<Oid>,
    /// The entry that makes it so.
    pub index: u64,
    /// SHA-256 of that entry's bytes, hexadecimal.
    pub entry_sha256: String,
    /// The entry.
    pub landed: Landed,
    /// What was decided in it.
    pub decided: Decided,
    /// What the step that ended here started from; none where the ref was created.
    pub base: Option<Oid>,
    /// The heads that landed in that step, in sequence.
    pub heads: Vec<Head>,
    /// The rules that asked, by what the step changes; none where the ref was created.
    pub requirements: Vec<Requirement>,
}

/// A reviewed head that landed.
#[derive(Clone, Debug)]
pub struct Head {
    /// The head.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The tip that its first reviewer saw.
    pub base: Oid,
    /// The approvals that counted.
    pub approvals: Vec<Approval>,
}

/// An approval that counted.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Who.
    pub person: PersonName,
    /// By which key.
    pub key: String,
    /// When it was received.
    pub at: Timestamp,
    /// Its entry.
    pub index: u64,
    /// The signed tag.
    pub tag: Oid,
    /// SHA-256 of the tag's bytes, hexadecimal.
    pub sha256: String,
    /// How it covers the landing.
    pub coverage: Coverage,
    /// Whose word it is.
    pub evidence: Evidence,
}

/// A rule that the step had to satisfy.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// Its name.
    pub rule: String,
    /// Where it stands.
    pub at: String,
    /// What it asks for.
    pub places: Vec<Place>,
    /// The changed paths that are why; none where it is every change.
    pub paths: Vec<RepoPath>,
    /// Those who approved and may fill a place of it.
    pub by: Vec<PersonName>,
}

impl Reviewed {
    /// Reads what the entry that a standing names says; nothing where it is no landing.
    pub(super) fn of(asked: &Asked<'_>, standing: &Standing) -> Result<Option<Self>, AttestError> {
        let Some(index) = standing.index else {
            return Ok(None);
        };
        let entry = asked.record.entry(index)?;
        let bytes = asked.record.bytes(index, &entry)?;
        let Entry::Landed(landed) = entry else {
            return Ok(None);
        };
        let decided = asked.record.decided(&landed)?;
        let Some(Ending { base, counted }) = step(asked, &landed, &decided)? else {
            return Ok(None);
        };
        let mut heads = Vec::new();
        for head in &counted {
            heads.push(Head::of(asked, head, &decided)?);
        }
        let commit = asked.repo.commit(asked.commit)?;
        let mut reviewed = Self {
            tree: commit.tree,
            parents: commit.parents.clone(),
            index,
            entry_sha256: sha256(&bytes),
            landed,
            decided,
            base,
            heads,
            requirements: Vec::new(),
        };
        reviewed.requirements = reviewed.asked_for(asked)?;
        Ok(Some(reviewed))
    }

    /// Returns everyone whose approval counted.
    pub fn reviewers(&self) -> BTreeSet<&PersonName> {
        let approvals = self.heads.iter().flat_map(|head| &head.approvals);
        approvals.map(|approval| &approval.person).collect()
    }

    /// The rules that match what the step changes, of the policy that judged it.
    fn asked_for(&self, asked: &Asked<'_>) -> Result<Vec<Requirement>, AttestError> {
        let Some(base) = &self.base else {
            return Ok(Vec::new());
        };
        let rules = Rulebook::at(asked.repo, &self.landed.policy.commit)?;
        let old = asked.repo.commit(base)?.tree;
        let changed = changes(asked.repo, Some(&old), &self.tree, PATHS)?;
        let paths: Vec<PathFacts> = changed
            .into_iter()
            .map(|change| PathFacts {
                classes: rules.policy.classes(&change.path),
                path: change.path,
            })
            .collect();
        let law = Law::new(&rules.policy, &rules.people);
        let fills = |places: &[Place], name: &PersonName| {
            let person = rules.people.person(name);
            person.is_some_and(|person| law.names(places, person))
        };
        let requirement = |matched: crate::judge::law::Matched<'_>| Requirement {
            rule: matched.rule.name.clone(),
            at: matched.rule.at(),
            places: matched.rule.require.clone(),
            paths: matched.paths,
            by: self
                .reviewers()
                .into_iter()
                .filter(|name| fills(&matched.rule.require, name))
                .cloned()
                .collect(),
        };
        let matching = law.matching(&self.landed.name, &paths, false);
        Ok(matching.into_iter().map(requirement).collect())
    }
}

/// The step of a push that ended in a commit.
struct Ending {
    base: Option<Oid>,
    counted: Vec<CountedHead>,
}

/// Returns the step that ended in the commit; nothing where none did.
fn step(
    asked: &Asked<'_>,
    landed: &Landed,
    decided: &Decided,
) -> Result<Option<Ending>, AttestError> {
    let mut base = landed.old;
    if landed.new == Some(*asked.commit) && decided.counted.len() == 1 {
        let counted = decided.counted.clone();
        return Ok(Some(Ending { base, counted }));
    }
    for step in replay::steps(asked.repo, asked.record, asked.policy_ref, landed)? {
        if step.to == *asked.commit {
            let counted = step.counted;
            return Ok(Some(Ending { base, counted }));
        }
        base = Some(step.to);
    }
    Ok(None)
}

impl Head {
    fn of(asked: &Asked<'_>, head: &CountedHead, decided: &Decided) -> Result<Self, AttestError> {
        let mut approvals = Vec::new();
        for index in &head.reviews {
            let Entry::Review(review) = asked.record.entry(*index)? else {
                continue;
            };
            let mut weighed = decided.verdict.approvals.iter();
            let weighed = weighed
                .find(|it| it.counted && it.person == review.person && it.commit == head.head);
            let Some(weighed) = weighed else {
                continue;
            };
            approvals.push(Approval {
                sha256: sha256(&BASE64.decode(&review.raw).unwrap_or_default()),
                person: review.person,
                key: review.key,
                at: review.at,
                index: *index,
                tag: review.tag,
                coverage: weighed.coverage,
                evidence: weighed.evidence,
            });
        }
        Ok(Self {
            commit: head.head,
            tree: asked.repo.commit(&head.head)?.tree,
            base: head.base,
            approvals,
        })
    }
}
