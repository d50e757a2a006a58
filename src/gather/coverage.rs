//! What an approval covers (design §6): the step P → N, whole or not at all.
//!
//! A step is a chain of first-parent commits P = c₀ … cₖ = N with trees t₀ … tₖ. Landing a head H on
//! cᵢ is `merge/v1` of H with tᵢ from a base that the reviewer fixed, never the pusher. A sequence of
//! heads covers the step when their landings lead from t₀ over chain trees to tₖ, and every new
//! commit is on the chain or behind a counted head. Search is breadth first: fewest heads, then log
//! order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::git::merge::{Merged, merge_trees};
use crate::git::{GitError, Repo, changes, walk};
use crate::judge::facts::{HeadFacts, ReviewFacts, ReviewState, StepFacts};
use crate::judge::verdict::Coverage;
use crate::record::View;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

use super::candidates::{Candidate, Candidates};
use super::hands::{self, Hands};
use super::protected::classed;
use super::{Desk, GatherError};

/// The most heads in one sequence.
const DEPTH: usize = 64;
/// The most ways that are offered to the judge.
const WAYS: usize = 32;
/// The most partial sequences that are followed at once.
const FRONTIER: usize = 256;
/// The most landings that are computed for one step.
const LANDINGS: usize = 8_192;
/// The most paths of a residual that are shown.
const RESIDUAL_PATHS: usize = 100;

/// What coverage is asked about.
pub(crate) struct Context<'a> {
    /// The target.
    pub(crate) name: &'a RefName,
    /// The reviews that could count.
    pub(crate) candidates: &'a Candidates,
    /// Tips of the target's `trusts` refs.
    pub(crate) trusted: &'a [Oid],
    /// Whether N's first-parent chain reaches P.
    pub(crate) on_chain: bool,
}

/// One step.
pub(crate) struct Step<'a> {
    /// First-parent commits, oldest first: P … N.
    pub(crate) chain: &'a [Oid],
    /// Commits reachable from N and not from P.
    pub(crate) new: &'a [Oid],
    /// Heads counted for earlier steps of the same update.
    pub(crate) earlier: &'a [Oid],
}

/// What the search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Ways to cover the step.
    pub(crate) sequences: Vec<Vec<HeadFacts>>,
    /// Where trees would match, the commits that nevertheless nobody reviewed; empty when some
    /// sequence covers the step.
    pub(crate) residue: Vec<Oid>,
}

/// One landing inside a sequence: `head` takes the chain from one commit to another.
#[derive(Clone, Debug)]
struct Edge {
    head: Oid,
    from: usize,
    to: usize,
    approvals: Vec<(usize, Coverage)>,
}

/// Finds the sequences of heads that cover a step.
pub(crate) fn search(
    desk: &Desk<'_>,
    context: &Context<'_>,
    step: &Step<'_>,
) -> Result<Found, GatherError> {
    let landings = Landings::new(desk, context, step)?;
    let mut found = Found::default();
    let mut frontier: Vec<Vec<Edge>> = vec![Vec::new()];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for partial in &frontier {
            desk.check_time()?;
            for edge in landings.from(partial)? {
                let mut longer = partial.clone();
                let ends = edge.to.saturating_add(1) == step.chain.len();
                longer.push(edge);
                if ends {
                    complete(desk, context, step, &longer, &mut found)?;
                } else {
                    next.push(longer);
                }
            }
        }
        if next.is_empty() || found.sequences.len() >= WAYS {
            break;
        }
        next.truncate(FRONTIER);
        frontier = next;
    }
    if !found.sequences.is_empty() {
        found.residue.clear();
    }
    Ok(found)
}

/// Checks the rest of a sequence whose trees match, and gathers its facts.
fn complete(
    desk: &Desk<'_>,
    context: &Context<'_>,
    step: &Step<'_>,
    edges: &[Edge],
    found: &mut Found,
) -> Result<(), GatherError> {
    let heads: Vec<Oid> = edges.iter().map(|edge| edge.head).collect();
    let landed: Vec<Oid> = [step.earlier, &heads].concat();
    let mut edges = edges.to_vec();
    for edge in &mut edges {
        edge.approvals
            .retain(|(position, _)| stands(context, *position, &landed));
        if edge.approvals.is_empty() {
            return Ok(());
        }
    }
    let (landing, residue) = leftover(desk, context, step, &landed)?;
    if !residue.is_empty() {
        if found.residue.is_empty() {
            found.residue = residue;
        }
        return Ok(());
    }
    let mut sequence = Vec::with_capacity(edges.len());
    let mut earlier = step.earlier.to_vec();
    for edge in &edges {
        sequence.push(head_facts(desk, context, step, edge, &earlier, &landing)?);
        earlier.push(edge.head);
    }
    found.sequences.push(sequence);
    Ok(())
}

/// A replaced approval counts only where a head that replaces it lands too.
fn stands(context: &Context<'_>, position: usize, landed: &[Oid]) -> bool {
    context
        .candidates
        .all
        .get(position)
        .is_some_and(|candidate| {
            candidate.state == ReviewState::Live
                || candidate
                    .replaced_by
                    .iter()
                    .any(|head| landed.contains(head))
        })
}

/// Splits the new commits that no counted head reaches into landing commits and what nobody
/// reviewed. A landing commit's further parents must be counted heads: nothing else has a reason
/// to be there.
fn leftover(
    desk: &Desk<'_>,
    context: &Context<'_>,
    step: &Step<'_>,
    heads: &[Oid],
) -> Result<(BTreeSet<Oid>, Vec<Oid>), GatherError> {
    let (Some(from), Some(to)) = (step.chain.first(), step.chain.last()) else {
        return Ok(Default::default());
    };
    let hidden: Vec<Oid> = [std::slice::from_ref(from), heads].concat();
    let outside = walk::new_commits(desk.repo, to, &hidden, desk.limits.objects())?;
    let mut landing = BTreeSet::new();
    let mut residue = Vec::new();
    for commit in outside {
        if !context.on_chain || !step.chain.contains(&commit) {
            residue.push(commit);
            continue;
        }
        let parents = &desk.repo.commit(&commit)?.parents;
        residue.extend(parents.iter().skip(1).filter(|oid| !heads.contains(oid)));
        landing.insert(commit);
    }
    Ok((landing, residue))
}

fn head_facts(
    desk: &Desk<'_>,
    context: &Context<'_>,
    step: &Step<'_>,
    edge: &Edge,
    earlier: &[Oid],
    landing: &BTreeSet<Oid>,
) -> Result<HeadFacts, GatherError> {
    let mut people = Hands::default();
    let seen: BTreeSet<Oid> = edge
        .approvals
        .iter()
        .filter_map(|(position, _)| context.candidates.all.get(*position))
        .map(Candidate::seen)
        .collect();
    let mut range = BTreeSet::new();
    for tip in seen {
        let (name, trusted) = (context.name, context.trusted);
        range.extend(hands::range(
            desk,
            name,
            &edge.head,
            &[tip],
            earlier,
            trusted,
        )?);
    }
    for commit in &range {
        people.contribute(desk, commit)?;
    }
    let landed = step.chain.iter().take(edge.to.saturating_add(1));
    for commit in landed.skip(edge.from.saturating_add(1)) {
        if landing.contains(commit) {
            people.land(desk, commit)?;
        }
    }
    let tree = |position: usize| -> Result<Oid, GitError> {
        match step.chain.get(position) {
            Some(commit) => Ok(desk.repo.commit(commit)?.tree),
            None => Ok(desk.repo.empty_tree()),
        }
    };
    let (old, new) = (tree(edge.from)?, tree(edge.to)?);
    let changed = changes::changes(desk.repo, Some(&old), &new, desk.limits.paths())
        .map_err(GatherError::from)?;
    Ok(HeadFacts {
        head: edge.head,
        only_naming: false,
        paths: classed(desk, changed)?,
        contributors: people.contributors(),
        unproven: people.unproven,
        approvals: edge.approvals.clone(),
    })
}

/// What landing one head on one commit gives.
#[derive(Clone, Debug)]
enum Landing {
    Tree(Oid),
    Conflict(Vec<RepoPath>),
    /// No base, several, or something is missing.
    Unverifiable,
}

/// Landings of the candidates' heads, computed once each.
struct Landings<'a> {
    desk: &'a Desk<'a>,
    context: &'a Context<'a>,
    step: &'a Step<'a>,
    /// Trees of the chain.
    trees: Vec<Oid>,
    /// Heads in log order of their first approval, each with the positions of its approvals.
    heads: Vec<(Oid, Vec<usize>)>,
    known: RefCell<HashMap<(Oid, Oid, Oid), Landing>>,
}

impl<'a> Landings<'a> {
    fn new(
        desk: &'a Desk<'a>,
        context: &'a Context<'a>,
        step: &'a Step<'a>,
    ) -> Result<Self, GatherError> {
        let mut trees = Vec::with_capacity(step.chain.len());
        for commit in step.chain {
            trees.push(desk.repo.commit(commit)?.tree);
        }
        let mut heads: Vec<(Oid, Vec<usize>)> = Vec::new();
        for (position, candidate) in context.candidates.usable() {
            let head = candidate.review.head;
            match heads.iter_mut().find(|(known, _)| *known == head) {
                Some((_, positions)) => positions.push(position),
                None => heads.push((head, vec![position])),
            }
        }
        Ok(Self {
            desk,
            context,
            step,
            trees,
            heads,
            known: RefCell::default(),
        })
    }

    /// Returns the landings that can follow a partial sequence.
    fn from(&self, partial: &[Edge]) -> Result<Vec<Edge>, GatherError> {
        let from = partial.last().map_or(0, |edge| edge.to);
        let mut prior = self.step.earlier.to_vec();
        prior.extend(partial.iter().map(|edge| edge.head));
        let mut edges = Vec::new();
        for (head, positions) in &self.heads {
            if prior.contains(head) {
                continue;
            }
            let mut reached: BTreeMap<usize, Vec<(usize, Coverage)>> = BTreeMap::new();
            for position in positions {
                for (to, coverage) in self.reaches(*position, from, &prior)? {
                    reached.entry(to).or_default().push((*position, coverage));
                }
            }
            edges.extend(reached.into_iter().map(|(to, approvals)| Edge {
                head: *head,
                from,
                to,
                approvals,
            }));
        }
        Ok(edges)
    }

    /// Returns the chain commits whose tree is the landing of one approval's head on `from`.
    ///
    /// A landing that changes nothing is none, unless the head itself is the commit reached: an
    /// empty commit must be reviewed as such.
    fn reaches(
        &self,
        position: usize,
        from: usize,
        prior: &[Oid],
    ) -> Result<Vec<(usize, Coverage)>, GatherError> {
        let (Some(candidate), Some(start), Some(ours)) = (
            self.context.candidates.all.get(position),
            self.step.chain.get(from),
            self.trees.get(from),
        ) else {
            return Ok(Vec::new());
        };
        let Landing::Tree(tree) = self.land(candidate, ours, prior)? else {
            return Ok(Vec::new());
        };
        let coverage = match *start == candidate.seen() {
            true => Coverage::Identity,
            false => Coverage::Replay,
        };
        let later = self.step.chain.iter().zip(&self.trees).enumerate();
        Ok(later
            .skip(from.saturating_add(1))
            .filter(|(_, (commit, reached))| {
                **reached == tree && (tree != *ours || **commit == candidate.review.head)
            })
            .map(|(to, _)| (to, coverage))
            .collect())
    }

    /// Lands an approval's head on a tree.
    fn land(
        &self,
        candidate: &Candidate,
        ours: &Oid,
        prior: &[Oid],
    ) -> Result<Landing, GatherError> {
        match self.try_land(candidate, ours, prior) {
            Err(GatherError::Git(
                GitError::Missing(_)
                | GitError::Budget { .. }
                | GitError::TooLarge { .. }
                | GitError::Malformed { .. },
            )) => Ok(Landing::Unverifiable),
            other => other,
        }
    }

    fn try_land(
        &self,
        candidate: &Candidate,
        ours: &Oid,
        prior: &[Oid],
    ) -> Result<Landing, GatherError> {
        let Some(base) = base(self.desk, self.context.name, candidate, prior)? else {
            return Ok(Landing::Unverifiable);
        };
        let key = (candidate.review.head, base, *ours);
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        if self.known.borrow().len() >= LANDINGS {
            return Err(GatherError::Git(GitError::Budget {
                what: "landings computed for one step",
                limit: LANDINGS as u64,
            }));
        }
        let repo = self.desk.repo;
        let (base, theirs) = (
            repo.commit(&base)?.tree,
            repo.commit(&candidate.review.head)?.tree,
        );
        let landing = match merge_trees(repo, &base, ours, &theirs)? {
            Merged::Clean(tree) => Landing::Tree(tree),
            Merged::Conflict(paths) => Landing::Conflict(paths),
        };
        self.known.borrow_mut().insert(key, landing.clone());
        Ok(landing)
    }
}

/// A head whose landing is asked for, and what its reviewer saw.
pub(crate) struct Reviewed {
    /// H.
    pub(crate) head: Oid,
    /// The tip of the target that the reviewer saw.
    pub(crate) seen: Oid,
    /// The index of the review: only what was counted later can be a base.
    pub(crate) since: u64,
}

fn base(
    desk: &Desk<'_>,
    name: &RefName,
    candidate: &Candidate,
    prior: &[Oid],
) -> Result<Option<Oid>, GatherError> {
    let reviewed = Reviewed {
        head: candidate.review.head,
        seen: candidate.seen(),
        since: candidate.index,
    };
    base_of(
        desk.repo,
        desk.view,
        name,
        &reviewed,
        prior,
        desk.limits.objects(),
    )
}

/// Finds the base of a landing: the head's nearest ancestor among the counted heads that landed
/// since the review or stand earlier in the sequence (`prior`), else the one best common ancestor
/// with the tip the reviewer saw.
pub(crate) fn base_of(
    repo: &Repo,
    view: &View,
    name: &RefName,
    reviewed: &Reviewed,
    prior: &[Oid],
    limit: usize,
) -> Result<Option<Oid>, GatherError> {
    let head = reviewed.head;
    let counted = view.counted_since(name, reviewed.since)?;
    let mut nearest: Vec<Oid> = Vec::new();
    for other in prior
        .iter()
        .copied()
        .chain(counted.into_iter().map(|(_, oid)| oid))
    {
        if other == head
            || nearest.contains(&other)
            || !repo.exists(&other)
            || !walk::is_ancestor(repo, &other, &head, limit)?
        {
            continue;
        }
        let mut behind = false;
        for known in &nearest {
            behind = behind || walk::is_ancestor(repo, &other, known, limit)?;
        }
        if behind {
            continue;
        }
        let mut kept = Vec::new();
        for known in nearest {
            if !walk::is_ancestor(repo, &known, &other, limit)? {
                kept.push(known);
            }
        }
        kept.push(other);
        nearest = kept;
    }
    if nearest.is_empty() {
        nearest = walk::merge_bases(repo, &head, &reviewed.seen, limit)?;
    }
    Ok(match nearest.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

/// Describes every candidate that deserves a word, and points the sequences at them.
///
/// Approvals that something ended are left out unless they concern this step: their head is new in
/// it, or they would have covered it.
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
    };
    let landings = Landings::new(desk, context, &step)?;
    let covered = steps.iter().all(|step| !step.sequences.is_empty());
    let used = used(steps);
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
            (_, None) => unused(&landings, candidate, covered)?,
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
    facts.blocks = facts.state == ReviewState::Live && (candidate.blocks || counted);
    facts.blocks.then_some(facts)
}

/// Says why an approval covers nothing here; nothing if it is not about this step at all.
fn unused(
    landings: &Landings<'_>,
    candidate: &Candidate,
    covered: bool,
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
    if ended && !brought && covered {
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
