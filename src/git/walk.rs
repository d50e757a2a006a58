//! Walks over raw parents: what is new, best common ancestors, first parents.
//!
//! Each answer is exact whatever the commits' dates say, and depends on the commits alone: no
//! grafts, replace refs, shallow file or commit-graph. How that is proven without generation
//! numbers: a commit x is *not* an ancestor of a commit y once every commit that is left at the
//! frontier of the walk from y is known to be an ancestor of x (histories have no cycles).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use super::paint::{Graph, Marks, Painting};
use super::{GitError, Repo};
use crate::wire::oid::Oid;

/// Commits that a walk may read besides the ones it returns, to prove that they are the ones.
pub const PROOF_LIMIT: usize = 300_000;
/// How many commits one walk proves not to be reached: sixteen words of marks, less its own.
const BOTTOMS_AT_ONCE: usize = 1023;

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
    // With nothing hidden there is nothing to prove.
    let proof = if hidden.is_empty() { 1 } else { PROOF_LIMIT };
    let mut graph = Graph::new(repo, limit.saturating_add(proof));
    let fresh = fresh(&mut graph, &[*tip], hidden)?;
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

/// The commits reachable from some tips and from none of what is hidden.
pub struct Outside<'r> {
    graph: Graph<'r>,
    commits: HashSet<Oid>,
}

impl<'r> Outside<'r> {
    /// Finds them in one walk, whatever the number of tips.
    ///
    /// # Errors
    ///
    /// [`GitError::Budget`] where more than `limit` commits must be read.
    pub fn new(
        repo: &'r Repo,
        tips: &[Oid],
        hidden: &[Oid],
        limit: usize,
    ) -> Result<Self, GitError> {
        let mut graph = Graph::new(repo, limit);
        let commits = fresh(&mut graph, tips, hidden)?;
        Ok(Self { graph, commits })
    }

    /// Returns whether the commit is one of them.
    pub fn contains(&self, oid: &Oid) -> bool {
        self.commits.contains(oid)
    }

    /// Returns those of them that are `tip` or its ancestors.
    ///
    /// A way from one commit outside to another never leads through what is hidden, so nothing
    /// else needs looking at.
    pub fn ancestors(&mut self, tip: &Oid) -> Result<HashSet<Oid>, GitError> {
        let mut seen = HashSet::new();
        let mut todo = vec![*tip];
        while let Some(oid) = todo.pop() {
            if self.commits.contains(&oid) && seen.insert(oid) {
                todo.extend(self.graph.links(&oid)?.parents.iter().copied());
            }
        }
        Ok(seen)
    }
}

/// Returns those of `asked` that are `newer` or its ancestors.
pub fn ancestors_among(
    repo: &Repo,
    asked: &[Oid],
    newer: &Oid,
    limit: usize,
) -> Result<HashSet<Oid>, GitError> {
    let mut graph = Graph::new(repo, limit);
    let mut left: HashSet<Oid> = asked.iter().copied().collect();
    let mut found = HashSet::new();
    found.extend(left.take(newer));
    loop {
        let reached = reached_from(&mut graph, &[*newer], &left)?;
        if reached.is_empty() {
            return Ok(found);
        }
        left.retain(|oid| !reached.contains(oid));
        found.extend(reached);
    }
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
/// `new` are the commits reachable from `from` and not from `until`. `None` where the chain does
/// not meet `until`: the first commit of it that is not new is either `until` or below it, and
/// from there nothing leads back up.
pub fn first_parents(
    repo: &Repo,
    from: &Oid,
    until: &Oid,
    new: &BTreeSet<Oid>,
) -> Result<Option<Vec<Oid>>, GitError> {
    let mut chain = vec![*from];
    let mut at = *from;
    while at != *until {
        if !new.contains(&at) {
            return Ok(None);
        }
        let Some(parent) = repo.links(&at)?.parents.first().copied() else {
            return Ok(None);
        };
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

/// Returns what is reachable from `tips` and from none of `hidden`.
fn fresh(graph: &mut Graph<'_>, tips: &[Oid], hidden: &[Oid]) -> Result<HashSet<Oid>, GitError> {
    let mut fresh = seemingly_new(graph, tips, hidden)?;
    loop {
        let reached = reached_from(graph, hidden, &fresh)?;
        if reached.is_empty() {
            return Ok(fresh);
        }
        fresh.retain(|oid| !reached.contains(oid));
    }
}

/// Returns a superset of what is new: what the walk from `hidden` has not met on the way.
fn seemingly_new(
    graph: &mut Graph<'_>,
    tips: &[Oid],
    hidden: &[Oid],
) -> Result<HashSet<Oid>, GitError> {
    let mut painting = Painting::new(graph, 2, only_first);
    for tip in tips {
        painting.mark(tip, 0)?;
    }
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

/// Returns some of `asked` that are proper ancestors of one of `tips`; none only if none is.
///
/// Only the bottoms of `asked` (those without a parent in it) need asking for: what lies above one
/// that is not reached is not reached either.
fn reached_from(
    graph: &mut Graph<'_>,
    tips: &[Oid],
    asked: &HashSet<Oid>,
) -> Result<HashSet<Oid>, GitError> {
    let mut bottoms = Vec::new();
    let mut sorted: Vec<&Oid> = asked.iter().collect();
    sorted.sort_unstable();
    for oid in sorted {
        let links = graph.links(oid)?;
        if !links.parents.iter().any(|parent| asked.contains(parent)) {
            bottoms.push(links);
        }
    }
    if bottoms.is_empty() || tips.is_empty() {
        return Ok(HashSet::new());
    }
    let mut starts = Vec::new();
    for tip in tips {
        if asked.contains(tip) {
            starts.extend(graph.links(tip)?.parents.iter().copied());
        } else {
            starts.push(*tip);
        }
    }
    for some in bottoms.chunks(BOTTOMS_AT_ONCE) {
        let width = some.len().saturating_add(1);
        let mut painting = Painting::new(graph, width, may_reach);
        for start in &starts {
            painting.mark(start, 0)?;
        }
        for (at, links) in some.iter().enumerate() {
            for parent in &links.parents {
                painting.mark(parent, at.saturating_add(1))?;
            }
        }
        painting.run()?;
        let reached: HashSet<Oid> = painting
            .all()
            .filter(|(oid, marks, _)| marks.has(0) && asked.contains(*oid))
            .map(|(oid, _, _)| *oid)
            .collect();
        if !reached.is_empty() {
            return Ok(reached);
        }
    }
    Ok(HashSet::new())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::git::fixture::Scratch;
    use crate::wire::oid::ObjectFormat;

    const LIMIT: usize = 10_000;

    /// A history: for each commit its parents (earlier ones) and its date.
    type Shape = Vec<(Vec<usize>, u64)>;

    fn shapes(lying: bool) -> impl Strategy<Value = Shape> {
        let commit = (
            prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            0u64..40,
        );
        prop::collection::vec(commit, 2..24).prop_map(move |commits| {
            let shape = |(at, (parents, date)): (usize, (Vec<prop::sample::Index>, u64))| {
                let mut parents: Vec<usize> = match at {
                    0 => Vec::new(),
                    _ => parents.iter().map(|index| index.index(at)).collect(),
                };
                let mut seen = HashSet::new();
                parents.retain(|parent| seen.insert(*parent));
                (parents, if lying { date } else { at as u64 })
            };
            commits.into_iter().enumerate().map(shape).collect()
        })
    }

    fn build(scratch: &Scratch, shape: &Shape) -> Vec<Oid> {
        let empty = scratch.repo.empty_tree();
        let mut oids: Vec<Oid> = Vec::new();
        for (at, (parents, date)) in shape.iter().enumerate() {
            let parents: Vec<Oid> = parents.iter().map(|parent| oids[*parent]).collect();
            // The tree tells apart commits that would else be the same.
            let name = format!("f{at}");
            let tree = scratch.raw_tree(&[("160000", &name, *parents.first().unwrap_or(&empty))]);
            oids.push(scratch.commit(tree, &parents, *date));
        }
        oids
    }

    /// Returns every commit's ancestors, itself included.
    fn closures(shape: &Shape) -> Vec<BTreeSet<usize>> {
        let mut all: Vec<BTreeSet<usize>> = Vec::new();
        for (at, (parents, _)) in shape.iter().enumerate() {
            let mut mine = BTreeSet::from([at]);
            for parent in parents {
                mine.extend(all[*parent].iter().copied());
            }
            all.push(mine);
        }
        all
    }

    fn check(scratch: &Scratch, shape: &Shape) -> Result<(), TestCaseError> {
        let oids = build(scratch, shape);
        let above = closures(shape);
        let repo = &scratch.repo;
        let last = shape.len() - 1;
        for tip in [last, last / 2] {
            for (a, b) in [
                (0, 0),
                (last / 3, last),
                (last / 2, last / 4),
                (last - 1, last - 1),
            ] {
                let expected: BTreeSet<Oid> = above[tip]
                    .iter()
                    .filter(|at| !above[a].contains(at) && !above[b].contains(at))
                    .map(|at| oids[*at])
                    .collect();
                let found = new_commits(repo, &oids[tip], &[oids[a], oids[b]], LIMIT).unwrap();
                prop_assert_eq!(found.len(), expected.len());
                prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
            }
            let tips = [oids[tip], oids[last / 3], oids[last - 1]];
            let hidden = oids[last / 2];
            let mut outside = Outside::new(repo, &tips, &[hidden], LIMIT).unwrap();
            let among = ancestors_among(repo, &oids, &oids[tip], LIMIT).unwrap();
            for at in 0..=last {
                let above_tips = [tip, last / 3, last - 1].map(|tip| above[tip].contains(&at));
                let is_outside = above_tips.contains(&true) && !above[last / 2].contains(&at);
                prop_assert_eq!(outside.contains(&oids[at]), is_outside);
                let below = outside.ancestors(&oids[at]).unwrap();
                for (other, oid) in oids.iter().enumerate().filter(|_| is_outside) {
                    let expected = above[at].contains(&other) && !above[last / 2].contains(&other);
                    prop_assert_eq!(below.contains(oid), expected);
                }
                prop_assert_eq!(among.contains(&oids[at]), above[tip].contains(&at));
                let new = above[tip].difference(&above[at]);
                let new = new.map(|commit| oids[*commit]).collect();
                let chain = first_parents(repo, &oids[tip], &oids[at], &new).unwrap();
                let mut expected = vec![tip];
                while expected.last() != Some(&at)
                    && let Some(parent) = shape[expected[expected.len() - 1]].0.first()
                {
                    expected.push(*parent);
                }
                let expected = (expected.last() == Some(&at)).then(|| {
                    expected
                        .iter()
                        .rev()
                        .map(|at| oids[*at])
                        .collect::<Vec<_>>()
                });
                prop_assert_eq!(chain, expected);
            }
            for other in 0..last {
                let common: BTreeSet<usize> =
                    above[tip].intersection(&above[other]).copied().collect();
                let best: BTreeSet<Oid> = common
                    .iter()
                    .filter(|at| !common.iter().any(|x| x != *at && above[*x].contains(at)))
                    .map(|at| oids[*at])
                    .collect();
                let found = merge_bases(repo, &oids[tip], &oids[other], LIMIT).unwrap();
                prop_assert_eq!(found, best.into_iter().collect::<Vec<_>>());
                let older = is_ancestor(repo, &oids[other], &oids[tip], LIMIT).unwrap();
                prop_assert_eq!(older, above[tip].contains(&other));
            }
        }
        Ok(())
    }

    /// Whatever the dates, the answers are those of plain reachability.
    #[test]
    fn lying_dates_change_nothing() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
        runner
            .run(&shapes(true), |shape| check(&scratch, &shape))
            .unwrap();
    }

    /// With honest dates git's own walks say the same.
    #[test]
    fn git_agrees() {
        let scratch = Scratch::new(ObjectFormat::Sha256);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
        let sorted = |text: String| {
            let mut oids: Vec<Oid> = text.lines().map(|line| line.parse().unwrap()).collect();
            oids.sort_unstable();
            oids
        };
        runner
            .run(&shapes(false), |shape| {
                let oids = build(&scratch, &shape);
                let (tip, hidden) = (oids[oids.len() - 1], oids[oids.len() / 2]);
                let (a, b) = (tip.to_string(), hidden.to_string());
                let mut found = new_commits(&scratch.repo, &tip, &[hidden], LIMIT).unwrap();
                found.sort_unstable();
                prop_assert_eq!(found, sorted(scratch.git(&["rev-list", &a, "--not", &b])));
                let found = merge_bases(&scratch.repo, &tip, &hidden, LIMIT).unwrap();
                let (_, text) = scratch.try_git(&["merge-base", "--all", &a, &b]);
                prop_assert_eq!(found, sorted(String::from_utf8(text).unwrap()));
                Ok(())
            })
            .unwrap();
    }

    fn line(scratch: &Scratch, from: Option<Oid>, dates: impl Iterator<Item = u64>) -> Vec<Oid> {
        let mut line: Vec<Oid> = from.into_iter().collect();
        for date in dates {
            let parents: Vec<Oid> = line.last().copied().into_iter().collect();
            line.push(scratch.commit(scratch.repo.empty_tree(), &parents, date));
        }
        line
    }

    /// A push costs what it brings: history is not walked, even past a commit dated 1970.
    #[test]
    fn costs_what_is_new() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let old = line(&scratch, None, 1000..1400);
        let fork = old[380];
        let lie = line(&scratch, old.last().copied(), 0..1);
        let recorded = *line(&scratch, lie.last().copied(), 2000..2010)
            .last()
            .unwrap();
        let topic = line(&scratch, Some(fork), 2020..2030);
        let tree = scratch.repo.empty_tree();
        let merge = scratch.commit(tree, &[recorded, *topic.last().unwrap()], 3000);
        for (tip, hidden, count, reads) in [
            (recorded, old[399], 11, 20),
            (merge, recorded, 11, 140),
            (topic[10], recorded, 10, 140),
        ] {
            let mut graph = Graph::new(&scratch.repo, reads);
            let fresh = seemingly_new(&mut graph, &[tip], &[hidden]).unwrap();
            assert_eq!(fresh.len(), count);
            let reached = reached_from(&mut graph, &[hidden], &fresh).unwrap();
            assert!(reached.is_empty());
        }
    }

    /// Many heads that were left behind cost one walk back to the oldest, not one each; a chain is
    /// not followed below what is new.
    #[test]
    fn costs_one_walk_for_all() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let old = line(&scratch, None, 1000..1100);
        let left = |at: usize| line(&scratch, Some(old[at]), 3000..3001)[1];
        let heads: Vec<Oid> = (20..90).step_by(5).map(left).collect();
        let tip = [*old.last().unwrap()];
        let mut outside = Outside::new(&scratch.repo, &heads, &tip, 110).unwrap();
        for head in &heads {
            assert_eq!(outside.ancestors(head).unwrap(), [*head].into());
        }
        let gone = Oid::from_bytes(&[9; 20]).unwrap();
        let root = scratch.commit(scratch.repo.empty_tree(), &[gone], 1);
        let chain = first_parents(&scratch.repo, &root, &old[0], &[root].into()).unwrap();
        assert_eq!(chain, None);
    }

    /// More than allowed is an error, never a shorter list.
    #[test]
    fn keeps_to_the_budget() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let all = line(&scratch, None, 1..30);
        let (root, tip) = (all[0], all[28]);
        let budget = |result: Result<Vec<Oid>, GitError>| {
            assert!(matches!(result, Err(GitError::Budget { .. })), "{result:?}");
        };
        let repo = &scratch.repo;
        assert_eq!(new_commits(repo, &tip, &[root], 28).unwrap().len(), 28);
        budget(new_commits(repo, &tip, &[root], 27));
        assert_eq!(new_commits(repo, &tip, &[], 29).unwrap().len(), 29);
        budget(new_commits(repo, &tip, &[], 28));
        budget(merge_bases(repo, &tip, &root, 10));
        budget(is_ancestor(repo, &root, &tip, 10).map(|_| Vec::new()));
        budget(Outside::new(repo, &[tip], &[root], 10).map(|_| Vec::new()));
        budget(ancestors_among(repo, &[root], &tip, 10).map(|_| Vec::new()));
    }

    /// A missing parent, as in a shallow or partial clone, is an error and no root.
    #[test]
    fn missing_parents_are_errors() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let gone = Oid::from_bytes(&[9; 20]).unwrap();
        let tree = scratch.repo.empty_tree();
        let other = scratch.commit(tree, &[], 5);
        let tip = scratch.commit(tree, &[gone], 1);
        for found in [
            new_commits(&scratch.repo, &tip, &[other], LIMIT).map(|_| ()),
            merge_bases(&scratch.repo, &tip, &other, LIMIT).map(|_| ()),
            is_ancestor(&scratch.repo, &other, &tip, LIMIT).map(|_| ()),
            first_parents(&scratch.repo, &tip, &other, &[tip, gone].into()).map(|_| ()),
            Outside::new(&scratch.repo, &[tip], &[other], LIMIT).map(|_| ()),
            ancestors_among(&scratch.repo, &[other], &tip, LIMIT).map(|_| ()),
        ] {
            assert!(
                matches!(found, Err(GitError::Missing(oid)) if oid == gone),
                "{found:?}"
            );
        }
    }
}
