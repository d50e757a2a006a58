//! What of a landing a reviewer did not see: the other side of coverage (design §6).
//!
//! The landing of the reviewed head is computed as coverage does it: from the base that the reviewer
//! fixed, onto the commit at which the step starts. What the landed tree has otherwise is the
//! residual. One head is looked at alone: what other reviewed heads landed in the same step is
//! residual to this one.

use crate::gather::ancestry::Ancestry;
use crate::gather::coverage::{Reviewed, bases_of, cannot_tell, leftover};
use crate::gather::{GatherError, candidates};
use crate::git::changes::{Change, changes};
use crate::git::merge::{Merged, merge_beside_conflicts, merge_trees};
use crate::git::walk;
use crate::judge::verdict::Coverage;
use crate::record::entry::Review;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;

use super::{AdmitError, Asked};

/// The most commits that are named.
const COMMITS: usize = 1_000;

/// A landing of the past: what its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The entry.
    pub index: u64,
    /// P; none where the ref was made.
    pub old: Option<Oid>,
    /// The heads that were counted.
    pub counted: Vec<Oid>,
}

/// Where a step starts, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the recorded tip; in a clone, at the fetched one.
    Tip(Oid),
    /// As the entry of the landing says.
    Entry(u64, Oid),
    /// At the first parent: the commit is part of the ref, and no entry says how it came there.
    FirstParent(Oid),
    /// Where the commit and the ref's tip part: it is not built on that.
    Parting {
        /// The one best common ancestor.
        at: Oid,
        /// The tip.
        tip: Oid,
    },
    /// Where the commit and the policy ref part: the ref itself is not there.
    Policy(Oid),
    /// Where somebody wants it to start.
    Given(Oid),
}

impl Start {
    /// Returns the commit.
    pub const fn commit(&self) -> Oid {
        match self {
            Self::Tip(oid)
            | Self::Entry(_, oid)
            | Self::FirstParent(oid)
            | Self::Parting { at: oid, .. }
            | Self::Policy(oid)
            | Self::Given(oid) => *oid,
        }
    }
}

/// The step that is held against a review.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Where it ends.
    pub landed: &'a Oid,
    /// The entry about it, if it is past.
    pub past: Option<&'a Past>,
    /// Overrules where it starts.
    pub from: Option<Oid>,
    /// Whether the record knows what tip the ref had when the review came.
    pub dated: bool,
}

/// Why what a review covers cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The reviewed head and the tip its reviewer saw have nothing in common.
    NoBase {
        /// That tip.
        seen: Oid,
    },
    /// Several commits could be the base.
    SeveralBases(Vec<Oid>),
    /// There is no one commit at which the step starts.
    NoStart,
    /// Something is missing, malformed or too large; the words of the error.
    Unreadable(String),
}

/// What landing a reviewed head alone gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The base of the merge.
    pub base: Oid,
    /// The tree; where there are conflicts, with these paths as the step's start has them.
    pub tree: Oid,
    /// The paths that conflict.
    pub conflicts: Vec<RepoPath>,
}

/// A landing held against one review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Where the step starts.
    pub start: Option<Start>,
    /// Whether it is only taken for granted that the reviewer saw just that.
    pub assumed: bool,
    /// What landing the reviewed head there gives.
    pub expected: Option<Landing>,
    /// The tree of the landed commit.
    pub landed: Option<Oid>,
    /// How the review covers the step.
    pub coverage: Coverage,
    /// What the landed tree has otherwise than expected.
    pub changes: Vec<Change>,
    /// Commits that neither the reviewed head nor another counted one reaches; at most a thousand.
    pub commits: Vec<Oid>,
    /// Why nothing can be told; then, and only then, the coverage is unverifiable.
    pub why: Option<Why>,
}

/// Holds a step against a review of one head; `asked.view` is the record before the step.
pub fn compare(
    asked: &Asked<'_>,
    name: &RefName,
    review: &Review,
    step: &Step<'_>,
) -> Result<Compared, AdmitError> {
    let (reviewed, names_base) = reviewed(asked, review)?;
    telling(|told| {
        told.assumed = !names_base && !step.dated;
        try_compare(asked, name, reviewed, step, told)
    })
}

/// Lands a reviewed head alone on the tip that the ref has now, and holds nothing against it: it
/// covers its own landing unless that conflicts.
pub fn land_now(
    asked: &Asked<'_>,
    name: &RefName,
    review: &Review,
) -> Result<Compared, AdmitError> {
    let (reviewed, _) = reviewed(asked, review)?;
    let tip = asked.view.tip(name)?.and_then(|tip| tip.oid);
    telling(|told| {
        let Some(tip) = tip else {
            return Ok(Err(Why::NoStart));
        };
        told.start = Some(Start::Tip(tip));
        let landing = match land(asked, name, &reviewed, &tip)? {
            Ok(landing) => landing,
            Err(why) => return Ok(Err(why)),
        };
        told.coverage = coverage(landing.conflicts.is_empty(), tip == reviewed.seen);
        told.expected = Some(landing);
        Ok(Ok(()))
    })
}

/// Turns what keeps anything from being told into the reason.
fn telling(
    tell: impl FnOnce(&mut Compared) -> Result<Result<(), Why>, GatherError>,
) -> Result<Compared, AdmitError> {
    let mut told = Compared {
        start: None,
        assumed: false,
        expected: None,
        landed: None,
        coverage: Coverage::Unverifiable,
        changes: Vec::new(),
        commits: Vec::new(),
        why: None,
    };
    match tell(&mut told) {
        Ok(Ok(())) => {}
        Ok(Err(why)) => told.why = Some(why),
        Err(GatherError::Git(error)) if cannot_tell(&error) => {
            told.why = Some(Why::Unreadable(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    if told.why.is_some() {
        told.coverage = Coverage::Unverifiable;
    }
    Ok(told)
}

const fn coverage(covered: bool, as_seen: bool) -> Coverage {
    match (covered, as_seen) {
        (true, true) => Coverage::Identity,
        (true, false) => Coverage::Replay,
        (false, _) => Coverage::Residual,
    }
}

/// Reads what a review was given for, and whether it names its base itself.
///
/// One that came later than `asked.view` has no earlier head as the base of its landing.
fn reviewed(asked: &Asked<'_>, review: &Review) -> Result<(Reviewed, bool), AdmitError> {
    let index = asked.view.has_tag(&review.tag)?;
    let message = candidates::message_of(review, asked.repo.format());
    let base = message.and_then(|message| message.base);
    let reviewed = Reviewed {
        head: review.head,
        seen: base.unwrap_or(review.tip),
        since: index.unwrap_or(asked.view.size()),
    };
    Ok((reviewed, base.is_some()))
}

fn try_compare(
    asked: &Asked<'_>,
    name: &RefName,
    mut reviewed: Reviewed,
    step: &Step<'_>,
    told: &mut Compared,
) -> Result<Result<(), Why>, GatherError> {
    let (repo, limit) = (asked.repo, asked.limits.objects());
    let landed = step.landed;
    let tree = repo.commit(landed)?.tree;
    told.landed = Some(tree);
    let start = match step.from {
        Some(from) => Some(Start::Given(from)),
        None => start(asked, name, landed, step.past)?,
    };
    let Some(start) = start else {
        return Ok(Err(Why::NoStart));
    };
    let from = start.commit();
    told.start = Some(start);
    if told.assumed {
        reviewed.seen = from;
    }
    let expected = match land(asked, name, &reviewed, &from)? {
        Ok(expected) => expected,
        Err(why) => return Ok(Err(why)),
    };
    told.changes = changes(repo, Some(&expected.tree), &tree, asked.limits.paths())?;
    let new = walk::new_commits(repo, landed, &[from], limit)?;
    let new = new.into_iter().collect();
    let chain = walk::first_parents(repo, landed, &from, &new)?;
    let on_chain = chain.is_some();
    let chain = chain.unwrap_or_else(|| vec![from, *landed]);
    let counted = step.past.map_or(&[][..], |past| &past.counted);
    let heads = [std::slice::from_ref(&reviewed.head), counted].concat();
    let hidden = [std::slice::from_ref(&from), &heads].concat();
    let unreached = walk::new_commits(repo, landed, &hidden, limit)?;
    let (_, mut commits) = leftover(repo, &chain, on_chain, &heads, &unreached)?;
    let covered = expected.conflicts.is_empty() && told.changes.is_empty();
    // A landing that changes nothing is none: an empty commit is reviewed as such.
    if covered && expected.tree == repo.commit(&from)?.tree && !heads.contains(landed) {
        commits.push(*landed);
    }
    commits.sort_unstable();
    commits.dedup();
    commits.truncate(COMMITS);
    told.commits = commits;
    told.coverage = coverage(covered && told.commits.is_empty(), from == reviewed.seen);
    told.expected = Some(expected);
    Ok(Ok(()))
}

/// Finds where the step that ends at `landed` starts, as judging its push does.
fn start(
    asked: &Asked<'_>,
    name: &RefName,
    landed: &Oid,
    past: Option<&Past>,
) -> Result<Option<Start>, GatherError> {
    let (repo, limit) = (asked.repo, asked.limits.objects());
    let tip_of = |name: &RefName| -> Result<Option<Oid>, GatherError> {
        Ok(asked.view.tip(name)?.and_then(|tip| tip.oid))
    };
    let parting = |tip: &Oid| -> Result<Option<Oid>, GatherError> {
        let bases = walk::merge_bases(repo, tip, landed, limit)?;
        Ok(match bases.as_slice() {
            [one] => Some(*one),
            _ => None,
        })
    };
    if let Some(Past {
        index,
        old: Some(old),
        ..
    }) = past
    {
        let built = walk::is_ancestor(repo, old, landed, limit)?;
        return match built {
            true => Ok(Some(Start::Entry(*index, *old))),
            // Where rewinding is allowed.
            false => Ok(parting(old)?.map(|at| Start::Parting { at, tip: *old })),
        };
    }
    let Some(tip) = tip_of(name)? else {
        let policy = tip_of(asked.policy_ref)?;
        let at = policy.map(|tip| parting(&tip)).transpose()?;
        return Ok(at.flatten().map(Start::Policy));
    };
    if walk::is_ancestor(repo, landed, &tip, limit)? {
        let parents = repo.parents(landed)?;
        return Ok(parents.first().map(|first| Start::FirstParent(*first)));
    }
    if walk::is_ancestor(repo, &tip, landed, limit)? {
        return Ok(Some(Start::Tip(tip)));
    }
    Ok(parting(&tip)?.map(|at| Start::Parting { at, tip }))
}

/// Lands one head on a commit.
fn land(
    asked: &Asked<'_>,
    name: &RefName,
    reviewed: &Reviewed,
    onto: &Oid,
) -> Result<Result<Landing, Why>, GatherError> {
    let (repo, limit) = (asked.repo, asked.limits.objects());
    let ancestry = Ancestry::default();
    let bases = bases_of(repo, &asked.view, name, reviewed, &[], limit, &ancestry)?;
    let base = match bases.as_slice() {
        [one] => *one,
        [] => {
            return Ok(Err(Why::NoBase {
                seen: reviewed.seen,
            }));
        }
        _ => return Ok(Err(Why::SeveralBases(bases))),
    };
    let tree = |oid: &Oid| repo.commit(oid).map(|commit| commit.tree);
    let (before, ours, theirs) = (tree(&base)?, tree(onto)?, tree(&reviewed.head)?);
    let (tree, conflicts) = match merge_trees(repo, &before, &ours, &theirs)? {
        Merged::Clean(tree) => (tree, Vec::new()),
        Merged::Conflict(_) => merge_beside_conflicts(repo, &before, &ours, &theirs)?,
    };
    Ok(Ok(Landing {
        base,
        tree,
        conflicts,
    }))
}
