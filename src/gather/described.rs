//! What there is to say of each candidate review: what it covers, or why it covers nothing.

use std::collections::{BTreeMap, HashMap};

use crate::git::changes::{self, Change};
use crate::git::walk;
use crate::judge::facts::{ReviewFacts, ReviewState, StepFacts};
use crate::judge::verdict::Coverage;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

use super::candidates::Candidate;
use super::coverage::{Context, Landing, Landings, Step};
use super::{Desk, GatherError};

/// The most paths of a residual that are shown.
const RESIDUAL_PATHS: usize = 100;

/// Of how many approvals that something ended, the newest, is asked whether they would have covered a
/// step: the answer costs a walk over what landed since.
pub(super) const ENDED: usize = 32;

/// Describes every candidate that deserves a word, and points the sequences at them.
///
/// Approvals that something ended are left out unless they concern this step: their head is new in
/// it, or they are among the newest and would have covered it.
pub(crate) fn describe(
    desk: &Desk<'_>,
    context: &Context<'_>,
    from: &Oid,
    to: &Oid,
    steps: &mut [StepFacts],
) -> Result<Vec<ReviewFacts>, GatherError> {
    let chain = [*from, *to];
    let new = walk::new_commits(desk.repo, to, &[*from], desk.limits.objects())?;
    let step = Step {
        chain: &chain,
        new: &new,
        earlier: &[],
        tried: &[],
        later: &[],
    };
    let mut landings = Landings::new(desk, context, &step)?;
    landings.shown = true;
    let covered = steps.iter().all(|step| !step.sequences.is_empty());
    let changed = match (covered, landings.trees.first(), landings.trees.last()) {
        (false, Some(ours), Some(end)) => {
            changes::changes(desk.repo, Some(ours), end, desk.limits.paths())?
        }
        _ => Vec::new(),
    };
    let used = used(steps);
    // In log order.
    let ended = context.candidates.all.iter().enumerate().rev();
    let mut ended = ended.filter(|(_, candidate)| candidate.state != ReviewState::Live);
    let oldest = ended.nth(ENDED.saturating_sub(1));
    let oldest = oldest.map_or(0, |(position, _)| position);
    let mut reviews = Vec::new();
    let mut moved = HashMap::new();
    for (position, candidate) in context.candidates.all.iter().enumerate() {
        desk.check_time()?;
        let described = match (candidate.message.verb, used.get(&position)) {
            (ReviewVerb::Reject, _) => reject(candidate, steps),
            // It stands in a sequence, so it is live or lands together with what replaces it.
            (_, Some(coverage)) => Some(ReviewFacts {
                state: ReviewState::Live,
                ..candidate.facts(*coverage, Vec::new())
            }),
            (_, None) => {
                let is_done = covered || position < oldest;
                unused(&landings, candidate, is_done, &changed)?
            }
        };
        if let Some(described) = described {
            moved.insert(position, reviews.len());
            reviews.push(described);
        }
    }
    for head in steps
        .iter_mut()
        .flat_map(|step| step.sequences.iter_mut().flatten())
    {
        for (position, _) in &mut head.approvals {
            if let Some(now) = moved.get(position) {
                *position = *now;
            }
        }
    }
    Ok(reviews)
}

/// Returns the approvals that stand in some sequence, with how they first cover.
fn used(steps: &[StepFacts]) -> BTreeMap<usize, Coverage> {
    let mut used = BTreeMap::new();
    let heads = steps
        .iter()
        .flat_map(|step| step.sequences.iter().flatten());
    for (position, coverage) in heads.flat_map(|head| &head.approvals) {
        used.entry(*position).or_insert(*coverage);
    }
    used
}

fn reject(candidate: &Candidate, steps: &[StepFacts]) -> Option<ReviewFacts> {
    let mut heads = steps
        .iter()
        .flat_map(|step| step.sequences.iter().flatten());
    let counted = heads.any(|head| head.head == candidate.review.head);
    let mut facts = candidate.facts(Coverage::Residual, Vec::new());
    facts.blocks = facts.state == ReviewState::Live && candidate.blocks;
    (facts.state == ReviewState::Live && (facts.blocks || counted)).then_some(facts)
}

/// Returns false where a head cannot land as pushed, whatever its base: at a path that the step
/// changes, the head has what stands there already.
///
/// Every approval that ever landed is asked about when a push is refused; this spares most of them
/// a walk and a merge.
fn could_fit(landings: &Landings<'_>, candidate: &Candidate, changed: &[Change]) -> bool {
    let repo = landings.desk.repo;
    let Ok(head) = repo.commit(&candidate.review.head) else {
        return true;
    };
    let as_before = |change: &Change| {
        let theirs = repo.file_at(&head.tree, change.path.as_bstr());
        theirs.is_ok_and(|theirs| theirs == change.old)
    };
    !changed.iter().any(as_before)
}

/// Says why an approval covers nothing here; nothing if it is not about this step at all.
///
/// `changed` is what the step changes; where `is_done`, one that something ended is not asked.
fn unused(
    landings: &Landings<'_>,
    candidate: &Candidate,
    is_done: bool,
    changed: &[Change],
) -> Result<Option<ReviewFacts>, GatherError> {
    let step = landings.step;
    let (Some(start), Some(ours), Some(end)) = (
        step.chain.first(),
        landings.trees.first(),
        landings.trees.last(),
    ) else {
        return Ok(None);
    };
    let ended = candidate.state != ReviewState::Live;
    let brought = step.new.contains(&candidate.review.head);
    if ended && !brought && (is_done || !could_fit(landings, candidate, changed)) {
        return Ok(None);
    }
    let coverage = match landings.land(candidate, ours, &[])? {
        Landing::Tree(tree) if tree == *end && *start == candidate.seen() => Coverage::Identity,
        Landing::Tree(tree) if tree == *end => Coverage::Replay,
        Landing::Tree(tree) => {
            let desk = landings.desk;
            let limit = desk.limits.paths();
            let differs = changes::changes(desk.repo, Some(&tree), end, limit)?;
            let paths = differs.into_iter().map(|change| change.path);
            let residual = paths.take(RESIDUAL_PATHS).collect();
            return Ok((!ended || brought).then(|| candidate.facts(Coverage::Residual, residual)));
        }
        Landing::Conflict(paths) => {
            let residual = paths.into_iter().take(RESIDUAL_PATHS).collect();
            return Ok((!ended || brought).then(|| candidate.facts(Coverage::Residual, residual)));
        }
        Landing::Unverifiable => Coverage::Unverifiable,
    };
    let fits = coverage != Coverage::Unverifiable;
    Ok((!ended || brought || fits).then(|| {
        // Its tree fits, but not its history: the step's own notice names the commits.
        let coverage = match (ended, fits) {
            (false, true) => Coverage::Residual,
            _ => coverage,
        };
        candidate.facts(coverage, Vec::new())
    }))
}
