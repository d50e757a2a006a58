//! What an approval covers (design §6): the step P → N, whole or not at all.
//!
//! A step is a chain of first-parent commits P = c₀ … cₖ = N with trees t₀ … tₖ. Landing a head H on
//! cᵢ is `merge/v1` of H with tᵢ from a base that the reviewer fixed, never the pusher. A sequence of
//! heads covers the step when their landings lead from t₀ over chain trees to tₖ, and every new
//! commit is on the chain or behind a counted head. Search is breadth first: fewest heads, then log
//! order.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use crate::git::merge::{Merged, merge_trees};
use crate::git::{GitError, Repo, changes};
use crate::judge::facts::HeadFacts;
use crate::judge::verdict::Coverage;
use crate::record::View;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;

use super::ancestry::Ancestry;
use super::candidates::{Candidate, Candidates};
use super::hands::{self, Hands};
use super::protected::classed;
use super::replaced;
use super::{Desk, GatherError};

/// The most heads in one sequence.
const DEPTH: usize = 64;
/// The most ways that are offered to the judge.
const WAYS: usize = 32;
/// The most partial sequences that are followed at once.
const FRONTIER: usize = 256;
/// The most landings that are computed for one step.
const LANDINGS: usize = 8_192;

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
    /// Heads that land in earlier steps of the same update, whatever sequence decides those.
    pub(crate) earlier: &'a [Oid],
    /// Heads that land there if one of those sequences decides: spent, to be safe.
    pub(crate) tried: &'a [Oid],
    /// Heads that may land in later steps: approvals that they replace are followed, and left out by
    /// [`replaced::settle`] where they do not.
    pub(crate) later: &'a [Oid],
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
    /// Its place among [`Landings::heads`].
    place: usize,
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
                let ends = edge.to.saturating_add(1) == step.chain.len();
                if !ends && next.len() >= FRONTIER {
                    continue;
                }
                let mut longer = partial.clone();
                longer.push(edge);
                if ends {
                    complete(&landings, &longer, &mut found)?;
                    if found.sequences.len() >= WAYS {
                        return Ok(found.without_residue());
                    }
                } else {
                    next.push(longer);
                }
            }
        }
        if next.is_empty() {
            break;
        }
        frontier = next;
    }
    Ok(found.without_residue())
}

impl Found {
    /// Forgets what nobody reviewed in some way where another way covers the step.
    fn without_residue(mut self) -> Self {
        if !self.sequences.is_empty() {
            self.residue.clear();
        }
        self
    }
}

/// Checks the rest of a sequence whose trees match, and gathers its facts.
fn complete(landings: &Landings<'_>, edges: &[Edge], found: &mut Found) -> Result<(), GatherError> {
    let (desk, context, step) = (landings.desk, landings.context, landings.step);
    desk.check_time()?;
    let heads: Vec<Oid> = edges.iter().map(|edge| edge.head).collect();
    let landed: Vec<Oid> = [step.earlier, &heads].concat();
    let mut edges = edges.to_vec();
    for edge in &mut edges {
        edge.approvals.retain(|(position, _)| {
            replaced::stands(context.candidates, *position, &[&landed, step.later])
        });
        if edge.approvals.is_empty() {
            return Ok(());
        }
    }
    let unreached = landings.unreached(&landed)?;
    let (repo, on_chain) = (desk.repo, context.on_chain);
    let (landing, residue) = leftover(repo, step.chain, on_chain, &landed, &unreached)?;
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

/// Splits the new commits that no counted head reaches into landing commits and what nobody
/// reviewed. A landing commit's further parents must be counted heads: nothing else has a reason
/// to be there.
pub(crate) fn leftover(
    repo: &Repo,
    chain: &[Oid],
    on_chain: bool,
    heads: &[Oid],
    unreached: &[Oid],
) -> Result<(BTreeSet<Oid>, Vec<Oid>), GatherError> {
    let chain: HashSet<&Oid> = chain.iter().collect();
    let mut landing = BTreeSet::new();
    let mut residue = Vec::new();
    for commit in unreached {
        if !on_chain || !chain.contains(commit) {
            residue.push(*commit);
            continue;
        }
        let parents = &repo.commit(commit)?.parents;
        residue.extend(parents.iter().skip(1).filter(|oid| !heads.contains(oid)));
        landing.insert(*commit);
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
    let tree = |position: usize| -> Result<Oid, GitError> {
        match step.chain.get(position) {
            Some(commit) => Ok(desk.repo.commit(commit)?.tree),
            None => Ok(desk.repo.empty_tree()),
        }
    };
    let (old, new) = (tree(edge.from)?, tree(edge.to)?);
    let mut range = BTreeSet::new();
    for tip in seen {
        let hidden = [std::slice::from_ref(&tip), context.trusted].concat();
        let (name, head) = (context.name, &edge.head);
        let landing = (&old, &new);
        let own = hands::range(desk, name, head, &hidden, earlier, landing)?;
        range.extend(own.iter().copied());
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
pub(crate) enum Landing {
    Tree(Oid),
    Conflict(Vec<RepoPath>),
    /// No base, several, or something is missing.
    Unverifiable,
}

/// Landings of the candidates' heads, computed once each.
pub(crate) struct Landings<'a> {
    pub(crate) desk: &'a Desk<'a>,
    context: &'a Context<'a>,
    pub(crate) step: &'a Step<'a>,
    /// Whether somebody looks into the trees that come out; else their ids are enough, and they need
    /// no room.
    pub(crate) shown: bool,
    /// Trees of the chain.
    pub(crate) trees: Vec<Oid>,
    /// Heads in log order of their first approval, each with the positions of its approvals.
    heads: Vec<(Oid, Vec<usize>)>,
    known: RefCell<HashMap<(Oid, Oid, Oid), Landing>>,
    /// For each head, which heads are behind it; asked once.
    behind: Vec<OnceCell<Vec<Behind>>>,
    /// For each head, whether it lands in an earlier step, as that or behind another.
    spent: Vec<bool>,
    /// Bases by index of the review and what it is landed on.
    bases: RefCell<HashMap<Before, Option<Oid>>>,
}

/// The index of a review, and the heads that land before it.
type Before = (u64, Vec<Oid>);

/// Whether one head is another, or an ancestor of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Yes,
    No,
    /// Something is missing, or too much.
    CannotTell,
}

/// Returns whether git answered that a question about objects has no answer.
pub(crate) fn cannot_tell(error: &GitError) -> bool {
    matches!(
        error,
        GitError::Missing(_)
            | GitError::Budget { .. }
            | GitError::TooLarge { .. }
            | GitError::Malformed { .. }
    )
}

impl<'a> Landings<'a> {
    pub(crate) fn new(
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
        let behind = vec![OnceCell::new(); heads.len()];
        let mut landings = Self {
            desk,
            context,
            step,
            shown: false,
            trees,
            heads,
            known: RefCell::default(),
            behind,
            spent: Vec::new(),
            bases: RefCell::default(),
        };
        for (head, _) in &landings.heads {
            let mut spent = false;
            for other in step.earlier.iter().chain(step.tried) {
                spent = spent || landings.is_behind(head, other)? != Behind::No;
            }
            landings.spent.push(spent);
        }
        Ok(landings)
    }

    /// Returns the new commits that none of the heads reaches.
    fn unreached(&self, heads: &[Oid]) -> Result<Rc<Vec<Oid>>, GatherError> {
        let (Some(from), Some(to)) = (self.step.chain.first(), self.step.chain.last()) else {
            return Ok(Rc::default());
        };
        let mut hidden = vec![*from];
        for head in heads {
            let mut reached = false;
            for other in heads.iter().filter(|other| *other != head) {
                reached = reached || self.is_behind(head, other)? != Behind::No;
            }
            if !reached {
                hidden.push(*head);
            }
        }
        let (desk, limit) = (self.desk, self.desk.limits.objects());
        Ok(desk.ancestry.new_commits(desk.repo, to, &hidden, limit)?)
    }

    /// Returns the landings that can follow a partial sequence.
    fn from(&self, partial: &[Edge]) -> Result<Vec<Edge>, GatherError> {
        let from = partial.last().map_or(0, |edge| edge.to);
        let mut edges = Vec::new();
        for (place, (head, positions)) in self.heads.iter().enumerate() {
            self.desk.check_time()?;
            if self.lands_already(place, partial)? {
                continue;
            }
            let prior = self.prior(place, partial)?;
            let mut reached: BTreeMap<usize, Vec<(usize, Coverage)>> = BTreeMap::new();
            for position in positions {
                for (to, coverage) in self.reaches(*position, from, &prior)? {
                    reached.entry(to).or_default().push((*position, coverage));
                }
            }
            edges.extend(reached.into_iter().map(|(to, approvals)| Edge {
                head: *head,
                place,
                from,
                to,
                approvals,
            }));
        }
        Ok(edges)
    }

    /// Returns whether a head is spent by what lands before it: as one of those heads, or as an
    /// ancestor of one. Landing it after its descendant would bring back what that took out.
    fn lands_already(&self, place: usize, partial: &[Edge]) -> Result<bool, GatherError> {
        for edge in partial {
            if self.behind(edge.place, place)? != Behind::No {
                return Ok(true);
            }
        }
        Ok(*self.spent.get(place).unwrap_or(&true))
    }

    /// Returns what of the heads that land before one can be its base: its ancestors among them,
    /// less what others of these have behind them.
    fn prior(&self, place: usize, partial: &[Edge]) -> Result<Vec<Oid>, GatherError> {
        let mut below: Vec<&Edge> = Vec::new();
        for edge in partial {
            if self.behind(place, edge.place)? == Behind::No {
                continue;
            }
            let mut kept = Vec::with_capacity(below.len());
            for other in below {
                if self.behind(edge.place, other.place)? != Behind::Yes {
                    kept.push(other);
                }
            }
            below = kept;
            below.push(edge);
        }
        let heads = below.into_iter().map(|edge| edge.head);
        Ok(self.step.earlier.iter().copied().chain(heads).collect())
    }

    /// Returns whether the head at one place has the one at another behind it.
    fn behind(&self, place: usize, other: usize) -> Result<Behind, GatherError> {
        let Some(known) = self.behind.get(place) else {
            return Ok(Behind::CannotTell);
        };
        if known.get().is_none()
            && let Some((newer, _)) = self.heads.get(place)
        {
            let mut all = Vec::with_capacity(self.heads.len());
            for (older, _) in &self.heads {
                all.push(self.is_behind(older, newer)?);
            }
            // Nobody else can have set it meanwhile.
            drop(known.set(all));
        }
        let known = known.get().and_then(|all| all.get(other));
        Ok(*known.unwrap_or(&Behind::CannotTell))
    }

    /// Returns whether `head` is `other` or its ancestor.
    fn is_behind(&self, head: &Oid, other: &Oid) -> Result<Behind, GatherError> {
        let (repo, limit) = (self.desk.repo, self.desk.limits.objects());
        match self.desk.ancestry.is_ancestor(repo, head, other, limit) {
            Ok(true) => Ok(Behind::Yes),
            Ok(false) => Ok(Behind::No),
            Err(error) if cannot_tell(&error) => Ok(Behind::CannotTell),
            Err(error) => Err(error.into()),
        }
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
    pub(crate) fn land(
        &self,
        candidate: &Candidate,
        ours: &Oid,
        prior: &[Oid],
    ) -> Result<Landing, GatherError> {
        match self.try_land(candidate, ours, prior) {
            Err(GatherError::Git(error)) if cannot_tell(&error) => Ok(Landing::Unverifiable),
            other => other,
        }
    }

    /// Finds the base of an approval's landing, once for the same heads before it.
    fn base(&self, candidate: &Candidate, prior: &[Oid]) -> Result<Option<Oid>, GatherError> {
        let key = (candidate.index, prior.to_vec());
        if let Some(known) = self.bases.borrow().get(&key) {
            return Ok(*known);
        }
        let desk = self.desk;
        let reviewed = Reviewed {
            head: candidate.review.head,
            seen: candidate.seen(),
            since: candidate.index,
        };
        let (repo, view, name) = (desk.repo, desk.view, self.context.name);
        let limit = desk.limits.objects();
        let base = base_of(repo, view, name, &reviewed, prior, limit, &desk.ancestry)?;
        let mut bases = self.bases.borrow_mut();
        if bases.len() < LANDINGS {
            bases.insert(key, base);
        }
        Ok(base)
    }

    fn try_land(
        &self,
        candidate: &Candidate,
        ours: &Oid,
        prior: &[Oid],
    ) -> Result<Landing, GatherError> {
        let Some(base) = self.base(candidate, prior)? else {
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
        let merged = match self.shown {
            true => merge_trees(repo, &base, ours, &theirs)?,
            false => self.desk.merge([base, *ours, theirs])?,
        };
        let landing = match merged {
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
    ancestry: &Ancestry,
) -> Result<Option<Oid>, GatherError> {
    let bases = bases_of(repo, view, name, reviewed, prior, limit, ancestry)?;
    Ok(match bases.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

/// Finds what could be that base: a landing has one only where there is exactly one.
pub(crate) fn bases_of(
    repo: &Repo,
    view: &View,
    name: &RefName,
    reviewed: &Reviewed,
    prior: &[Oid],
    limit: usize,
    ancestry: &Ancestry,
) -> Result<Vec<Oid>, GatherError> {
    let head = reviewed.head;
    let is_ancestor = |older: &Oid, newer: &Oid| ancestry.is_ancestor(repo, older, newer, limit);
    let since = || {
        let counted = view.counted_since(name, reviewed.since)?;
        Ok(counted.into_iter().map(|(_, oid)| oid).collect())
    };
    let counted = ancestry.counted(repo, (reviewed.since, &head), since, limit)?;
    let mut below = counted.to_vec();
    for other in prior {
        if *other != head && is_ancestor(other, &head)? {
            below.push(*other);
        }
    }
    let mut nearest: Vec<Oid> = Vec::new();
    for other in below {
        let mut behind = false;
        for known in &nearest {
            behind = behind || is_ancestor(&other, known)?;
        }
        if behind {
            continue;
        }
        let mut kept = Vec::new();
        for known in nearest {
            if !is_ancestor(&known, &other)? {
                kept.push(known);
            }
        }
        kept.push(other);
        nearest = kept;
    }
    if nearest.is_empty() {
        let bases = ancestry.merge_bases(repo, &head, &reviewed.seen, limit)?;
        nearest.clone_from(&bases);
    }
    Ok(nearest)
}
