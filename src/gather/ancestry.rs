//! Questions about history that one judgement asks again and again, each answered once.
//!
//! An approval that never landed keeps its distance from the tip growing, so a walk for each pair
//! of heads would cost history times approvals squared.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::git::{GitError, Repo, walk};
use crate::wire::oid::Oid;

/// The most commits of walks that are kept to be given again.
const KEPT: usize = 500_000;

/// A walk from a tip: what is reachable from it and from nothing hidden.
type Walk = (Oid, Vec<Oid>);
/// Two commits.
type Pair = (Oid, Oid);

/// What was found out so far; facts about commits, which nothing can change.
#[derive(Debug, Default)]
pub(crate) struct Ancestry {
    pairs: RefCell<HashMap<Pair, bool>>,
    bases: RefCell<HashMap<Pair, Rc<Vec<Oid>>>>,
    counted: RefCell<HashMap<u64, Rc<Vec<Oid>>>>,
    outside: RefCell<HashMap<Walk, Rc<Vec<Oid>>>>,
    kept: Cell<usize>,
}

impl Ancestry {
    /// As [`walk::is_ancestor`].
    pub(crate) fn is_ancestor(
        &self,
        repo: &Repo,
        older: &Oid,
        newer: &Oid,
        limit: usize,
    ) -> Result<bool, GitError> {
        if let Some(known) = self.pairs.borrow().get(&(*older, *newer)) {
            return Ok(*known);
        }
        let found = walk::is_ancestor(repo, older, newer, limit)?;
        self.pairs.borrow_mut().insert((*older, *newer), found);
        Ok(found)
    }

    /// As [`walk::merge_bases`].
    pub(crate) fn merge_bases(
        &self,
        repo: &Repo,
        a: &Oid,
        b: &Oid,
        limit: usize,
    ) -> Result<Rc<Vec<Oid>>, GitError> {
        if let Some(known) = self.bases.borrow().get(&(*a, *b)) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(walk::merge_bases(repo, a, b, limit)?);
        let mut bases = self.bases.borrow_mut();
        bases.insert((*a, *b), Rc::clone(&found));
        Ok(found)
    }

    /// As [`walk::new_commits`].
    pub(crate) fn new_commits(
        &self,
        repo: &Repo,
        tip: &Oid,
        hidden: &[Oid],
        limit: usize,
    ) -> Result<Rc<Vec<Oid>>, GitError> {
        let mut key = (*tip, hidden.to_vec());
        key.1.sort_unstable();
        key.1.dedup();
        if let Some(known) = self.outside.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(walk::new_commits(repo, tip, hidden, limit)?);
        let kept = self.kept.get().saturating_add(found.len());
        if kept <= KEPT {
            self.kept.set(kept);
            self.outside.borrow_mut().insert(key, Rc::clone(&found));
        }
        Ok(found)
    }

    /// Returns which of the heads that were counted since a review are ancestors of its own head.
    ///
    /// `review` is the review's index in the log, `counted` are those heads.
    pub(crate) fn counted(
        &self,
        repo: &Repo,
        (review, head): (u64, &Oid),
        counted: impl FnOnce() -> Result<Vec<Oid>, super::GatherError>,
        limit: usize,
    ) -> Result<Rc<Vec<Oid>>, super::GatherError> {
        if let Some(known) = self.counted.borrow().get(&review) {
            return Ok(Rc::clone(known));
        }
        let mut asked = Vec::new();
        let mut seen = HashSet::new();
        for oid in counted()? {
            if oid != *head && seen.insert(oid) && repo.exists(&oid) {
                asked.push(oid);
            }
        }
        let found = walk::ancestors_among(repo, &asked, head, limit)?;
        asked.retain(|oid| found.contains(oid));
        let found = Rc::new(asked);
        self.counted.borrow_mut().insert(review, Rc::clone(&found));
        Ok(found)
    }
}
