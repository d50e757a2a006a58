//! Painting commits with marks that flow to their parents: what all walks are made of.
//!
//! Commit dates are the pusher's to choose, so they may only decide in which order commits are
//! looked at. Every fourth step takes the commit that has waited longest instead, so that a lying
//! date cannot starve one part of the history while another is walked to its roots.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use super::read::Links;
use super::{GitError, Repo};
use crate::wire::oid::Oid;

/// Most marks (counted in words of 64) that one painting keeps: 64 MiB.
const WORDS_LIMIT: usize = 8 << 20;
/// Most times that one painting adds marks to a commit.
const PAINT_LIMIT: usize = 20_000_000;

/// Commits read by one operation, each once, and never more than the budget.
pub(super) struct Graph<'r> {
    repo: &'r Repo,
    links: HashMap<Oid, Arc<Links>>,
    limit: usize,
}

impl<'r> Graph<'r> {
    /// Allows so many commits to be read.
    pub(super) fn new(repo: &'r Repo, limit: usize) -> Self {
        Self {
            repo,
            links: HashMap::new(),
            limit,
        }
    }

    /// Returns where a commit leads.
    pub(super) fn links(&mut self, oid: &Oid) -> Result<Arc<Links>, GitError> {
        if let Some(links) = self.links.get(oid) {
            return Ok(Arc::clone(links));
        }
        if self.links.len() >= self.limit {
            return Err(GitError::Budget {
                what: "commits walked",
                limit: self.limit as u64,
            });
        }
        let links = self.repo.links(oid)?;
        self.links.insert(*oid, Arc::clone(&links));
        Ok(links)
    }
}

/// A set of marks, as wide as its painting.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    fn none(width: usize) -> Self {
        Self(vec![0; width.div_ceil(64).max(1)])
    }

    fn set(&mut self, mark: usize) {
        if let Some(word) = self.0.get_mut(mark / 64) {
            *word |= 1 << (mark % 64);
        }
    }

    /// Returns whether this mark is set.
    pub(super) fn has(&self, mark: usize) -> bool {
        self.0
            .get(mark / 64)
            .is_some_and(|word| word & (1 << (mark % 64)) != 0)
    }

    /// Returns whether every mark below `width` is set.
    pub(super) fn full(&self, width: usize) -> bool {
        let set: usize = self.0.iter().map(|word| word.count_ones() as usize).sum();
        set == width
    }

    /// Adds the other's marks; returns whether that changed anything.
    fn add(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            changed |= *more & !*word != 0;
            *word |= *more;
        }
        changed
    }
}

struct Node {
    marks: Marks,
    links: Arc<Links>,
    /// Whether the marks have been passed on to the parents.
    expanded: bool,
}

/// One painting: what is marked so far, and the frontier of commits whose parents are not looked at.
///
/// At any time every expanded commit's marks are a subset of each of its parents' marks. So a path
/// from a marked start either lies in what is expanded and carries the mark to its end, or leaves
/// it through a commit of the frontier that has the mark.
pub(super) struct Painting<'g, 'r> {
    graph: &'g mut Graph<'r>,
    width: usize,
    /// Which commits of the frontier still matter to the question.
    matters: fn(&Marks, usize) -> bool,
    nodes: HashMap<Oid, Node>,
    newest: BinaryHeap<(u64, Reverse<Oid>)>,
    oldest_wait: VecDeque<Oid>,
    /// How many commits of the frontier matter.
    open: usize,
    steps: usize,
    painted: usize,
}

impl<'g, 'r> Painting<'g, 'r> {
    /// Starts without marks; `width` is how many there are.
    pub(super) fn new(
        graph: &'g mut Graph<'r>,
        width: usize,
        matters: fn(&Marks, usize) -> bool,
    ) -> Self {
        Self {
            graph,
            width,
            matters,
            nodes: HashMap::new(),
            newest: BinaryHeap::new(),
            oldest_wait: VecDeque::new(),
            open: 0,
            steps: 0,
            painted: 0,
        }
    }

    /// Sets one mark on a commit.
    pub(super) fn mark(&mut self, oid: &Oid, mark: usize) -> Result<(), GitError> {
        let mut marks = Marks::none(self.width);
        marks.set(mark);
        self.paint(*oid, marks)
    }

    /// Looks at parents until no commit of the frontier matters any more.
    pub(super) fn run(&mut self) -> Result<(), GitError> {
        while self.open > 0 {
            if !self.step()? {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the parents of one commit; returns whether there was one left that is worth it.
    pub(super) fn step(&mut self) -> Result<bool, GitError> {
        let Some(oid) = self.pick() else {
            return Ok(false);
        };
        let Some(node) = self.nodes.get_mut(&oid) else {
            return Ok(true);
        };
        if (self.matters)(&node.marks, self.width) {
            self.open = self.open.saturating_sub(1);
        }
        node.expanded = true;
        let (marks, links) = (node.marks.clone(), Arc::clone(&node.links));
        for parent in &links.parents {
            self.paint(*parent, marks.clone())?;
        }
        Ok(true)
    }

    /// Returns a commit's marks so far.
    pub(super) fn marks(&self, oid: &Oid) -> Option<&Marks> {
        self.nodes.get(oid).map(|node| &node.marks)
    }

    /// Returns whether a commit has a mark.
    pub(super) fn has(&self, oid: &Oid, mark: usize) -> bool {
        self.marks(oid).is_some_and(|marks| marks.has(mark))
    }

    /// Returns every commit looked at, with its marks and where it leads, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Oid, &Marks, &Links)> {
        self.nodes
            .iter()
            .map(|(oid, node)| (oid, &node.marks, node.links.as_ref()))
    }

    /// Returns whether some commit of the frontier still matters.
    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// Takes the newest commit of the frontier, or every fourth time the one that waits longest.
    ///
    /// Also one that does not matter itself: its marks may settle what lies below it.
    fn pick(&mut self) -> Option<Oid> {
        self.steps = self.steps.wrapping_add(1);
        loop {
            let oid = if self.steps.is_multiple_of(4) {
                self.oldest_wait.pop_front()?
            } else {
                self.newest.pop()?.1.0
            };
            let node = self.nodes.get(&oid)?;
            if !node.expanded {
                return Some(oid);
            }
        }
    }

    /// Adds marks to a commit and to everything expanded below it.
    fn paint(&mut self, oid: Oid, marks: Marks) -> Result<(), GitError> {
        let mut todo = vec![(oid, marks)];
        while let Some((oid, marks)) = todo.pop() {
            self.painted = self.painted.saturating_add(1);
            if self.painted > PAINT_LIMIT
                || self.nodes.len().saturating_mul(marks.0.len()) > WORDS_LIMIT
            {
                return Err(GitError::Budget {
                    what: "marks on commits",
                    limit: PAINT_LIMIT as u64,
                });
            }
            if let Some(node) = self.nodes.get_mut(&oid) {
                let before = (self.matters)(&node.marks, self.width);
                if !node.marks.add(&marks) {
                    continue;
                }
                if node.expanded {
                    let marks = node.marks.clone();
                    todo.extend(node.links.parents.iter().map(|p| (*p, marks.clone())));
                } else {
                    let after = (self.matters)(&node.marks, self.width);
                    self.open = self.open.saturating_add(usize::from(after));
                    self.open = self.open.saturating_sub(usize::from(before));
                }
                continue;
            }
            let links = self.graph.links(&oid)?;
            self.newest.push((links.seconds, Reverse(oid)));
            self.oldest_wait.push_back(oid);
            self.open = self
                .open
                .saturating_add(usize::from((self.matters)(&marks, self.width)));
            let node = Node {
                marks,
                links,
                expanded: false,
            };
            self.nodes.insert(oid, node);
        }
        Ok(())
    }
}
