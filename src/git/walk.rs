//! Walks over raw parents: what is new, best common ancestors, first parents.
//!
//! Each answer is exact whatever the commits' dates say, and depends on the commits alone: no
//! grafts, replace refs, shallow file or commit-graph. How that is proven without generation
//! numbers: a commit x is *not* an ancestor of a commit y once every commit that is left at the
//! frontier of the walk from y is known to be an ancestor of x (histories have no cycles).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::paint::{Graph, Marks, Painting};
use super::{GitError, Repo};
use crate::wire::oid::Oid;

/// Commits that a walk may read besides the ones it returns, to prove that they are the ones.
pub const PROOF_LIMIT: usize = 500_000;

/// Returns the commits reachable from `tip` and from none of `hidden`.
///
/// Newest first by committer date, then by id: an order for people, a parent may stand before its
/// child. Costs as much as there are new commits, and the way from the oldest fork point to the
/// hidden tips.
///
/// # Errors
///
/// [`GitError::Budget`] for more than `limit` new commits, or where the proof needs more than
/// [`PROOF_LIMIT`].
pub fn new_commits(
    repo: &Repo,
    tip: &Oid,
    hidden: &[Oid],
    limit: usize,
) -> Result<Vec<Oid>, GitError> {
    if hidden.contains(tip) {
        return Ok(Vec::new());
    }
    let mut graph = Graph::new(repo, limit.saturating_add(PROOF_LIMIT));
    let mut fresh = seemingly_new(&mut graph, tip, hidden)?;
    loop {
        let reached = reached_from(&mut graph, hidden, &fresh)?;
        if reached.is_empty() {
            break;
        }
        fresh.retain(|oid| !reached.contains(oid));
    }
    if fresh.len() > limit {
        return Err(GitError::Budget {
            what: "new commits",
            limit: limit as u64,
        });
    }
    let mut dated = Vec::with_capacity(fresh.len());
    for oid in fresh {
        dated.push((Reverse(graph.links(&oid)?.seconds), oid));
    }
    dated.sort_unstable();
    Ok(dated.into_iter().map(|(_, oid)| oid).collect())
}

/// Returns every best common ancestor: those that are no ancestor of another common one.
///
/// Sorted by id; empty where there is none.
pub fn merge_bases(repo: &Repo, a: &Oid, b: &Oid, limit: usize) -> Result<Vec<Oid>, GitError> {
    if a == b {
        return Ok(vec![*a]);
    }
    let mut graph = Graph::new(repo, limit);
    let mut painting = Painting::new(&mut graph, 2, unsettled);
    painting.mark(a, 0)?;
    painting.mark(b, 1)?;
    painting.run()?;
    // Every common ancestor is now marked with both, or an ancestor of one that is.
    let mut common = BTreeSet::new();
    let mut below = HashSet::new();
    for (oid, marks, links) in painting.all() {
        if marks.full(2) {
            common.insert(*oid);
            below.extend(links.parents.iter().copied());
        }
    }
    let mut best: Vec<Oid> = common
        .difference(&below.into_iter().collect())
        .copied()
        .collect();
    while best.len() > 1 {
        let reached = reached_from(&mut graph, &best, &best.iter().copied().collect())?;
        if reached.is_empty() {
            break;
        }
        best.retain(|oid| !reached.contains(oid));
    }
    Ok(best)
}

/// Returns whether `older` is `newer` or one of its ancestors.
pub fn is_ancestor(repo: &Repo, older: &Oid, newer: &Oid, limit: usize) -> Result<bool, GitError> {
    if older == newer {
        return Ok(true);
    }
    let mut graph = Graph::new(repo, limit);
    let below = graph.links(older)?;
    let mut painting = Painting::new(&mut graph, 2, may_reach);
    painting.mark(newer, 0)?;
    for parent in &below.parents {
        painting.mark(parent, 1)?;
    }
    while painting.is_open() && !painting.has(older, 0) {
        if !painting.step()? {
            break;
        }
    }
    Ok(painting.has(older, 0))
}

/// Returns the first-parent chain from `until` to `from`, both included, oldest first.
///
/// `None` where the chain ends at a root without having met `until`.
pub fn first_parents(
    repo: &Repo,
    from: &Oid,
    until: &Oid,
    limit: usize,
) -> Result<Option<Vec<Oid>>, GitError> {
    let mut chain = vec![*from];
    let mut at = *from;
    while at != *until {
        let Some(parent) = repo.links(&at)?.parents.first().copied() else {
            return Ok(None);
        };
        if chain.len() > limit {
            return Err(GitError::Budget {
                what: "first parents",
                limit: limit as u64,
            });
        }
        chain.push(parent);
        at = parent;
    }
    chain.reverse();
    Ok(Some(chain))
}

fn unsettled(marks: &Marks, width: usize) -> bool {
    !marks.full(width)
}

/// In the frontier of the walk that starts with mark 0, not known to be below everything asked for.
fn may_reach(marks: &Marks, width: usize) -> bool {
    marks.has(0) && !marks.full(width)
}

fn only_first(marks: &Marks, _: usize) -> bool {
    marks.has(0) && !marks.has(1)
}

/// Returns a superset of what is new: what the walk from `hidden` has not met on the way.
fn seemingly_new(
    graph: &mut Graph<'_>,
    tip: &Oid,
    hidden: &[Oid],
) -> Result<HashSet<Oid>, GitError> {
    let mut painting = Painting::new(graph, 2, only_first);
    painting.mark(tip, 0)?;
    for oid in hidden {
        painting.mark(oid, 1)?;
    }
    painting.run()?;
    Ok(painting
        .all()
        .filter(|(_, marks, _)| !marks.has(1) && marks.has(0))
        .map(|(oid, _, _)| *oid)
        .collect())
}

/// Returns which of `asked` are proper ancestors of one of `tips`, or tips' equals when not tips.
///
/// Only the bottoms of `asked` (those without a parent in it) are asked for: what lies above one
/// that is not reached is not reached either. So the answer may be incomplete, but is empty only
/// where nothing is reached. `tips` themselves are not reached by being tips.
fn reached_from(
    graph: &mut Graph<'_>,
    tips: &[Oid],
    asked: &HashSet<Oid>,
) -> Result<HashSet<Oid>, GitError> {
    let mut bottoms = HashMap::new();
    let mut sorted: Vec<&Oid> = asked.iter().collect();
    sorted.sort_unstable();
    for oid in sorted {
        let links = graph.links(oid)?;
        if !links.parents.iter().any(|parent| asked.contains(parent)) {
            bottoms.insert(*oid, links);
        }
    }
    if bottoms.is_empty() || tips.is_empty() {
        return Ok(HashSet::new());
    }
    let width = bottoms.len().saturating_add(1);
    let mut starts = Vec::new();
    for tip in tips {
        if asked.contains(tip) {
            starts.extend(graph.links(tip)?.parents.iter().copied());
        } else {
            starts.push(*tip);
        }
    }
    let mut painting = Painting::new(graph, width, may_reach);
    for start in starts {
        painting.mark(&start, 0)?;
    }
    for (at, links) in bottoms.values().enumerate() {
        for parent in &links.parents {
            painting.mark(parent, at.saturating_add(1))?;
        }
    }
    painting.run()?;
    Ok(painting
        .all()
        .filter(|(oid, marks, _)| marks.has(0) && asked.contains(*oid))
        .map(|(oid, _, _)| *oid)
        .collect())
}
