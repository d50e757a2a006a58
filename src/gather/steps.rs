//! The steps of an update: one, or one for each first-parent commit (`every_commit`).

use std::collections::BTreeSet;

use crate::git::walk;
use crate::judge::facts::{HeadFacts, PathFacts, StepFacts, UpdateFacts};
use crate::judge::verdict::Code;
use crate::policy::Protection;
use crate::wire::name::RepoPath;
use crate::wire::oid::Oid;

use super::coverage::{self, Context, Step};
use super::hands::{self, Hands};
use super::protected::{changed_paths, classed, raw_changes};
use super::{Desk, GatherError, notice, replaced};

/// The most first-parent commits of one step whose own changes are asked for.
const WAYSIDE: usize = 512;

/// Adds to the paths of a step what commits on its way change, and later ones take back: at the head
/// that brings it a rule asks about it, and whom that rule names must be heard.
pub(super) fn on_the_way(
    desk: &Desk<'_>,
    protection: &Protection,
    chain: Option<&[Oid]>,
    mut paths: Vec<PathFacts>,
) -> Result<Vec<PathFacts>, GatherError> {
    let chain = chain.unwrap_or_default();
    let looked_at = protection.every_commit || chain.len() <= WAYSIDE;
    if !looked_at || chain.len() <= 2 {
        return Ok(paths);
    }
    let mut seen: BTreeSet<RepoPath> = paths.iter().map(|facts| facts.path.clone()).collect();
    for pair in chain.windows(2) {
        let [from, to] = pair else { continue };
        desk.check_time()?;
        let mut changed = raw_changes(desk, from, to)?;
        changed.retain(|change| seen.insert(change.path.clone()));
        paths.extend(classed(desk, changed)?);
    }
    Ok(paths)
}

/// Finds the ways to cover each step, one after the other.
pub(super) fn gather(
    desk: &Desk<'_>,
    context: &Context<'_>,
    pieces: &[Vec<Oid>],
    facts: &mut UpdateFacts,
) -> Result<(), GatherError> {
    let (mut earlier, mut tried) = (Vec::new(), Vec::new());
    let usable = context.candidates.usable();
    let heads: Vec<Oid> = usable.map(|(_, it)| it.review.head).collect();
    let mut residue = Vec::new();
    for (place, chain) in pieces.iter().enumerate() {
        let (Some(from), Some(to)) = (chain.first(), chain.last()) else {
            continue;
        };
        let new = walk::new_commits(desk.repo, to, &[*from], desk.limits.objects())?;
        let step = Step {
            chain,
            new: &new,
            earlier: &earlier,
            tried: &tried,
            later: match place.saturating_add(1) == pieces.len() {
                true => &[],
                false => &heads,
            },
        };
        let found = coverage::search(desk, context, &step)?;
        residue.extend(found.residue);
        let whole = whole(desk, context, &step, from, to)?;
        facts.notices.extend(hands::strangers(&whole.contributors));
        // Which sequence decides is the judge's to find: what lands for sure is in all of them.
        earlier.extend(replaced::in_all(&found.sequences));
        tried.extend(found.sequences.iter().flatten().map(|head| head.head));
        facts.steps.push(StepFacts {
            from: Some(*from),
            to: *to,
            whole,
            sequences: found.sequences,
        });
    }
    replaced::settle(context.candidates, &mut facts.steps);
    if pieces.len() > 1 {
        // Approving the tip would not help: each of these wants a review of its own.
        let steps = facts.steps.iter();
        let bare = steps.filter(|step| step.sequences.is_empty());
        residue.extend(bare.map(|step| step.to));
    }
    if !residue.is_empty() {
        residue.sort_unstable();
        residue.dedup();
        let named = residue.iter().take(20).map(Oid::to_string);
        facts.notices.push(notice(Code::UnreviewedResidual, named));
    }
    facts.notices.sort_unstable();
    facts.notices.dedup();
    Ok(())
}

/// The facts if the step's end itself were the reviewed head.
fn whole(
    desk: &Desk<'_>,
    context: &Context<'_>,
    step: &Step<'_>,
    from: &Oid,
    to: &Oid,
) -> Result<HeadFacts, GatherError> {
    let mut people = Hands::default();
    let hidden = [std::slice::from_ref(from), context.trusted].concat();
    let trees = (desk.repo.commit(from)?.tree, desk.repo.commit(to)?.tree);
    let landing = (&trees.0, &trees.1);
    let range = hands::range(desk, context.name, to, &hidden, step.earlier, landing)?;
    for commit in range.iter() {
        people.contribute(desk, commit)?;
    }
    Ok(HeadFacts {
        head: *to,
        only_naming: false,
        paths: changed_paths(desk, from, to)?,
        contributors: people.contributors(),
        unproven: people.unproven,
        approvals: Vec::new(),
    })
}
