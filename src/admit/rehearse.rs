//! What landing a reviewed head now would be answered.
//!
//! A head that does not descend from the recorded tip cannot be pushed as it is: somebody merges,
//! squashes or rebases it. All of these are judged by their tree, so the merge is made in memory
//! and judged in their place. It is nobody's: it needs no signature, and nobody contributes it.

use jiff::Timestamp;

use crate::gather::ancestry::Ancestry;
use crate::gather::candidates::Candidate;
use crate::gather::coverage::{Reviewed, base_of};
use crate::gather::rulebook::Rulebook;
use crate::gather::{Desk, GatherError, Proposed, candidates};
use crate::git::merge::{Merged, merge_trees};
use crate::git::{GitError, Repo, walk};
use crate::judge::facts::ReviewState;
use crate::judge::verdict::Coverage;
use crate::record::View;
use crate::record::entry::{DecisionId, Entry, Landed, Review};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;
use crate::wire::review::{ReviewMessage, ReviewVerb};

use super::residual::{self, Why};
use super::{Admission, AdmitError, Asked, admit};

/// The most approvals that are landed one by one.
const LANDINGS: usize = 64;
/// The most paths that are told of one approval.
const PATHS: usize = 100;

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
    /// The later review that took its place or took it back, where one did.
    pub successor: Option<Successor>,
    /// When it became, or becomes, too old; nothing where reviews do not.
    pub ends: Option<Timestamp>,
    /// The landing that used it up, where an entry tells.
    pub spent: Option<Spent>,
    /// What it covers alone, where the verdict does not tell.
    pub alone: Option<Alone>,
}

/// What one approval alone covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    /// The word for it.
    pub coverage: Coverage,
    /// Where landing its head conflicts, or gives something else; at most a hundred paths.
    pub paths: Vec<RepoPath>,
    /// Why that cannot be told.
    pub why: Option<Why>,
}

/// A later review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// What it is of.
    pub head: Oid,
    /// What it says.
    pub verb: ReviewVerb,
    /// Its tag.
    pub tag: Oid,
}

/// A landing that used an approval up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The entry.
    pub index: u64,
    /// What landed; none where the ref was removed.
    pub commit: Option<Oid>,
    /// How the approval covered it, and whether it counted, where the entry tells.
    pub weighed: Option<(Coverage, bool)>,
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
    let landed = match asked.view.spent(name, head)? {
        Some(index) => match asked.view.entry(index)? {
            Entry::Landed(landed) => Some((index, landed)),
            _ => None,
        },
        None => None,
    };
    let found = candidates::of_head(&desk, name, head)?.into_iter();
    let limit = rules.policy.approvals_expire;
    let signed = found.map(|(candidate, successor)| Signed {
        index: candidate.index,
        ends: limit.and_then(|limit| candidate.review.at.checked_add(limit).ok()),
        spent: landed
            .as_ref()
            .filter(|_| candidate.state == ReviewState::Spent)
            .map(|(index, landed)| spent(*index, landed, &candidate)),
        review: Review::clone(&candidate.review),
        message: ReviewMessage::clone(&candidate.message),
        state: candidate.state,
        successor: successor.map(|later| Successor {
            head: later.review.head,
            verb: later.message.verb,
            tag: later.review.tag,
        }),
        alone: None,
    });
    Ok(signed.collect())
}

/// Returns what became of an approval in the landing that used it up.
fn spent(index: u64, landed: &Landed, candidate: &Candidate) -> Spent {
    let approvals = match &landed.decision {
        DecisionId::Inline(decided) => decided.verdict.approvals.as_slice(),
        DecisionId::Beside { .. } => &[],
    };
    let mine = approvals.iter().find(|approval| {
        approval.person == candidate.review.person && approval.commit == candidate.review.head
    });
    Spent {
        index,
        commit: landed.new,
        // Who approved again afterwards was not weighed.
        weighed: mine
            .filter(|_| candidate.index < index)
            .map(|approval| (approval.coverage, approval.counted)),
    }
}

/// Finds what each live approval alone covers, where the verdict does not tell: there is none, or it
/// could not tell either.
pub fn cover_alone(
    asked: &Asked<'_>,
    name: &RefName,
    rehearsed: &Rehearsed,
    signed: &mut [Signed],
) -> Result<(), AdmitError> {
    let pushed = match &rehearsed.how {
        Rehearsal::Landed => return Ok(()),
        Rehearsal::Itself => signed.first().map(|one| one.review.head),
        Rehearsal::Merge(commit) => Some(*commit),
        Rehearsal::Conflict(_) | Rehearsal::Unverifiable => None,
    };
    if asked.view.tip(name)?.is_none_or(|tip| tip.oid.is_none()) {
        return Ok(());
    }
    let updates = rehearsed.admission.as_ref().map(|it| &it.verdict.updates);
    let approvals: Vec<_> = updates
        .into_iter()
        .flatten()
        .flat_map(|update| &update.approvals)
        .collect();
    let live = signed
        .iter_mut()
        .filter(|it| it.state == ReviewState::Live && it.message.verb == ReviewVerb::Approve);
    for one in live.take(LANDINGS) {
        let told = approvals.iter().any(|approval| {
            approval.person == one.review.person
                && approval.commit == one.review.head
                && approval.coverage != Coverage::Unverifiable
        });
        if told {
            continue;
        }
        let compared = match &pushed {
            Some(landed) => {
                let step = residual::Step {
                    landed,
                    past: None,
                    from: None,
                    dated: true,
                };
                residual::compare(asked, name, &one.review, &step)?
            }
            None => residual::land_now(asked, name, &one.review)?,
        };
        let conflicts = compared.expected.into_iter().flat_map(|it| it.conflicts);
        let paths = compared.changes.into_iter().map(|change| change.path);
        one.alone = Some(Alone {
            coverage: compared.coverage,
            paths: conflicts.chain(paths).take(PATHS).collect(),
            why: compared.why,
        });
    }
    Ok(())
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
