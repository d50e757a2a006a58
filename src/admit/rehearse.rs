//! What landing a reviewed head now would be answered.
//!
//! A head that does not descend from the recorded tip cannot be pushed as it is: somebody merges,
//! squashes or rebases it. All of these are judged by their tree, so the merge is made in memory
//! and judged in their place. It is nobody's: it needs no signature, and nobody contributes it.

use jiff::Timestamp;

use crate::gather::ancestry::Ancestry;
use crate::gather::coverage::{Reviewed, base_of};
use crate::gather::rulebook::Rulebook;
use crate::gather::{Desk, GatherError, Proposed, candidates};
use crate::git::merge::{Merged, merge_trees};
use crate::git::{GitError, Repo, walk};
use crate::judge::facts::ReviewState;
use crate::record::View;
use crate::record::entry::Review;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;
use crate::wire::review::{ReviewMessage, ReviewVerb};

use super::{Admission, AdmitError, Asked, admit};

/// How a head would come onto its ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// Pushed as it is.
    Itself,
    /// Merged, squashed or rebased: this commit exists in memory only.
    Merge(Oid),
    /// Not without solving conflicts at these paths, which would be another change to review.
    Conflict(Vec<RepoPath>),
    /// It is part of the ref already.
    Landed,
    /// That cannot be told: several best common ancestors with what was seen, or none, or
    /// something is missing or too large.
    Unverifiable,
}

/// The answer, where there is something to push.
#[derive(Debug)]
pub struct Rehearsed {
    /// How the head would come onto the ref.
    pub how: Rehearsal,
    /// What pushing that would be answered.
    pub admission: Option<Admission>,
}

/// A review of the head as it stands.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Index in the log.
    pub index: u64,
    /// The entry.
    pub review: Review,
    /// What it says.
    pub message: ReviewMessage,
    /// What has ended it, if anything.
    pub state: ReviewState,
}

/// Decides what landing `head` on `name` now would be answered; `asked.updates` are not looked at.
pub fn landing(asked: Asked<'_>, name: &RefName, head: &Oid) -> Result<Rehearsed, AdmitError> {
    let how = rehearse(&asked, name, head)?;
    let pushed = match &how {
        Rehearsal::Itself => *head,
        Rehearsal::Merge(commit) => *commit,
        Rehearsal::Conflict(_) | Rehearsal::Landed | Rehearsal::Unverifiable => {
            let admission = None;
            return Ok(Rehearsed { how, admission });
        }
    };
    let update = Proposed {
        name: name.clone(),
        old: None,
        new: Some(pushed),
        current: None,
    };
    let admission = admit(Asked {
        updates: &[update],
        ..asked
    })?;
    Ok(Rehearsed {
        how,
        admission: Some(admission),
    })
}

/// Lists what is signed about `head` for `name`, in log order, with what has ended it.
pub fn signed(
    asked: &Asked<'_>,
    rules: &Rulebook,
    name: &RefName,
    head: &Oid,
) -> Result<Vec<Signed>, AdmitError> {
    let pusher = (asked.pusher)(&rules.people);
    let desk = Desk::new(
        asked.repo,
        &asked.view,
        rules,
        asked.policy_ref,
        asked.limits,
        asked.now,
        &pusher,
        asked.bringers,
        asked.expired,
    );
    let found = candidates::of_head(&desk, name, head)?;
    Ok(found
        .into_iter()
        .map(|candidate| Signed {
            index: candidate.index,
            review: candidate.review,
            message: candidate.message,
            state: candidate.state,
        })
        .collect())
}

/// Finds how a head would come onto a ref.
fn rehearse(asked: &Asked<'_>, name: &RefName, head: &Oid) -> Result<Rehearsal, AdmitError> {
    match try_rehearse(asked, name, head) {
        Err(GatherError::Git(
            GitError::Missing(_)
            | GitError::Budget { .. }
            | GitError::TooLarge { .. }
            | GitError::Malformed { .. },
        )) => Ok(Rehearsal::Unverifiable),
        Err(error) => Err(error.into()),
        Ok(how) => Ok(how),
    }
}

fn try_rehearse(asked: &Asked<'_>, name: &RefName, head: &Oid) -> Result<Rehearsal, GatherError> {
    let (repo, limit) = (asked.repo, asked.limits.objects());
    let tip = asked.view.tip(name)?.and_then(|tip| tip.oid);
    let Some(tip) = tip.filter(|_| !name.as_bstr().starts_with(b"refs/tags/")) else {
        return Ok(Rehearsal::Itself);
    };
    if walk::is_ancestor(repo, head, &tip, limit)? {
        return Ok(Rehearsal::Landed);
    }
    if walk::is_ancestor(repo, &tip, head, limit)? {
        return Ok(Rehearsal::Itself);
    }
    let reviewed = as_reviewed(repo, &asked.view, name, head)?.unwrap_or(Reviewed {
        head: *head,
        seen: tip,
        since: asked.view.size(),
    });
    let Some(base) = base_of(
        repo,
        &asked.view,
        name,
        &reviewed,
        &[],
        limit,
        &Ancestry::default(),
    )?
    else {
        return Ok(Rehearsal::Unverifiable);
    };
    let tree = |oid: &Oid| repo.commit(oid).map(|commit| commit.tree);
    Ok(
        match merge_trees(repo, &tree(&base)?, &tree(&tip)?, &tree(head)?)? {
            Merged::Conflict(paths) => Rehearsal::Conflict(paths),
            Merged::Clean(tree) => {
                let commit = merge_commit(&tree, &tip, head, asked.now);
                Rehearsal::Merge(repo.rehearse(commit)?)
            }
        },
    )
}

/// Returns what the latest approval of the head was given for; nothing where there is none yet.
fn as_reviewed(
    repo: &Repo,
    view: &View,
    name: &RefName,
    head: &Oid,
) -> Result<Option<Reviewed>, GatherError> {
    let reviews = view.reviews_of_head(name, head)?;
    let approvals = reviews.into_iter().rev().filter_map(|(index, review)| {
        let message = candidates::message_of(&review, repo.format())?;
        (message.verb == ReviewVerb::Approve).then(|| Reviewed {
            head: *head,
            seen: message.base.unwrap_or(review.tip),
            since: index,
        })
    });
    Ok(approvals.into_iter().next())
}

fn merge_commit(tree: &Oid, tip: &Oid, head: &Oid, now: Timestamp) -> Vec<u8> {
    let nobody = format!(
        "rehearsal <rehearsal@countersign.invalid> {} +0000",
        now.as_second().max(0)
    );
    format!(
        "tree {tree}\nparent {tip}\nparent {head}\nauthor {nobody}\ncommitter {nobody}\n\n\
         What landing {head} would give\n"
    )
    .into_bytes()
}
