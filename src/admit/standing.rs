//! What the record says of one commit.

use std::collections::{BTreeSet, HashSet};

use crate::git::{GitError, Repo};
use crate::people::PersonName;
use crate::record::entry::{CountedHead, Decided, Entry, Landed};
use crate::record::{Record, View};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::AdmitError;
use super::replay::{self, is_reviewed};

/// The most commits that are looked through for one.
const WALK_LIMIT: usize = 5_000_000;

/// The word for it; only the first is a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Landed, enforced, every rule satisfied for the whole step that ended here: the push's, or, under
    /// `every_commit`, the commit's own.
    Reviewed,
    /// Came in below a reviewed tip, and was neither a tip itself nor a step of its own.
    Reachable,
    /// Was there before anybody looked.
    Baseline,
    /// Taken as it was found, or came in below what was.
    Adopted,
    /// Landed without being reviewed (dry run, or refused too late), or came in below what did.
    Unreviewed,
    /// Never was part of a recorded ref, as far as the record can be believed.
    Unknown,
}

impl State {
    /// Returns the stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reviewed => "reviewed",
            Self::Reachable => "reachable",
            Self::Baseline => "baseline",
            Self::Adopted => "adopted",
            Self::Unreviewed => "unreviewed",
            Self::Unknown => "unknown",
        }
    }
}

/// The state of a commit, with the entry that gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The word.
    pub state: State,
    /// The entry.
    pub index: Option<u64>,
    /// Its ref.
    pub name: Option<RefName>,
    /// Whose approvals counted; only where reviewed.
    pub reviewers: Vec<PersonName>,
    /// Why an entry that says otherwise is not believed.
    pub why: Option<String>,
}

/// Returns the state of a commit on `onto`, else on any recorded ref.
///
/// *Reviewed* is not taken from the entry alone: its inclusion under the checkpoint is proven, and
/// its decision made again. Otherwise the first tip in log order from which the commit is reached
/// gives the word: what came in by a way that was not reviewed does not get better by what is built
/// on it.
pub fn standing(
    repo: &Repo,
    record: &Record,
    policy_ref: &RefName,
    oid: &Oid,
    onto: Option<&RefName>,
) -> Result<Standing, AdmitError> {
    let asked = Question {
        repo,
        record,
        view: record.view()?,
        policy_ref,
        oid,
        onto,
    };
    match asked.as_tip()? {
        Some(standing) => Ok(standing),
        None => Ok(asked.below_a_tip()?.unwrap_or(Standing {
            state: State::Unknown,
            index: None,
            name: None,
            reviewers: Vec::new(),
            why: None,
        })),
    }
}

/// Returns the people whose approvals a decision counted, sorted.
pub fn reviewers(view: &View, decided: &Decided) -> Result<Vec<PersonName>, AdmitError> {
    people_of(view, &decided.counted)
}

fn people_of(view: &View, counted: &[CountedHead]) -> Result<Vec<PersonName>, AdmitError> {
    let mut people = BTreeSet::new();
    for index in counted.iter().flat_map(|head| &head.reviews) {
        if let Entry::Review(review) = view.entry(*index)? {
            people.insert(review.person);
        }
    }
    Ok(people.into_iter().collect())
}

struct Question<'a> {
    repo: &'a Repo,
    record: &'a Record,
    view: View,
    policy_ref: &'a RefName,
    oid: &'a Oid,
    onto: Option<&'a RefName>,
}

impl Question<'_> {
    fn concerns(&self, name: &RefName) -> bool {
        self.onto.is_none_or(|onto| onto == name)
    }

    /// The state where the commit itself was a recorded tip: the best that is proven.
    fn as_tip(&self) -> Result<Option<Standing>, AdmitError> {
        let mut found: Vec<Standing> = Vec::new();
        for (name, tip) in self.view.tips_at(self.oid)? {
            if !self.concerns(&name) {
                continue;
            }
            let entry = self.record.entry(tip.index)?;
            match is_unasked(&entry) {
                true => found.extend(self.elsewhere(tip.index)?),
                false => found.push(self.by_entry(tip.index, name, &entry)?),
            }
        }
        Ok(best(found))
    }

    /// The state of a tip at which a ref was made without anybody being asked: what its commit was
    /// recorded as before that, on whatever ref.
    fn elsewhere(&self, before: u64) -> Result<Option<Standing>, AdmitError> {
        let Some(commit) = self.repo.commit_of(self.oid)? else {
            return Ok(None);
        };
        let there = Question {
            view: self.view.clone(),
            oid: &commit,
            ..*self
        };
        let mut found = Vec::new();
        for (name, tip) in self.view.tips_at(&commit)? {
            let entry = self.record.entry(tip.index)?;
            if tip.index < before && !is_unasked(&entry) {
                found.push(there.by_entry(tip.index, name, &entry)?);
            }
        }
        Ok(best(found))
    }

    /// The state that one entry about the commit gives.
    fn by_entry(&self, index: u64, name: RefName, entry: &Entry) -> Result<Standing, AdmitError> {
        let mut standing = Standing {
            state: word(entry),
            index: Some(index),
            name: Some(name),
            reviewers: Vec::new(),
            why: None,
        };
        if let (State::Reviewed, Entry::Landed(landed)) = (standing.state, entry) {
            standing.why = self.doubt(index, entry, landed)?;
            match standing.why {
                Some(_) => standing.state = State::Unknown,
                None => {
                    let decided = self.record.decided(landed)?;
                    standing.reviewers = reviewers(&self.view, &decided)?;
                }
            }
        }
        Ok(standing)
    }

    /// Returns why an entry that says *reviewed* is not to be believed.
    fn doubt(
        &self,
        index: u64,
        entry: &Entry,
        landed: &Landed,
    ) -> Result<Option<String>, AdmitError> {
        if landed.new != Some(*self.oid) {
            return Ok(Some(format!("entry {index} is about another commit")));
        }
        self.unproven(index, entry, landed)
    }

    /// Returns why an entry is not to be believed, whatever commit it is about.
    fn unproven(
        &self,
        index: u64,
        entry: &Entry,
        landed: &Landed,
    ) -> Result<Option<String>, AdmitError> {
        if !self.record.is_included(index, entry)? {
            return Ok(Some(format!("entry {index} is not under the checkpoint")));
        }
        let checked = replay::check(self.repo, self.record, self.policy_ref, index, landed);
        Ok(checked.unwrap_or_else(|error| Some(error.to_string())))
    }

    /// The state by the first recorded tip from which the commit is reached.
    fn below_a_tip(&self) -> Result<Option<Standing>, AdmitError> {
        if self.repo.commit_of(self.oid)? != Some(*self.oid) {
            return Ok(None);
        }
        let mut seen = HashSet::new();
        for entry in self.record.entries(0..self.record.size()) {
            let (index, entry) = entry?;
            for (name, tip) in tips(&entry) {
                if !self.concerns(name) || !self.reaches(&tip, &mut seen)? {
                    continue;
                }
                let state = match (word(&entry), &entry) {
                    (State::Reviewed, Entry::Landed(landed)) => {
                        if let Some(standing) = self.as_step(index, &entry, landed)? {
                            return Ok(Some(standing));
                        }
                        State::Reachable
                    }
                    (other, _) => other,
                };
                return Ok(Some(Standing {
                    state,
                    index: Some(index),
                    name: Some(name.clone()),
                    reviewers: Vec::new(),
                    why: None,
                }));
            }
        }
        Ok(None)
    }

    /// The state where the commit ended a step that was decided for itself (`every_commit`), by an
    /// entry that is to be believed.
    fn as_step(
        &self,
        index: u64,
        entry: &Entry,
        landed: &Landed,
    ) -> Result<Option<Standing>, AdmitError> {
        // A head for each step, at least.
        let several = self.record.decided(landed)?.counted.len() > 1;
        if !several || self.unproven(index, entry, landed)?.is_some() {
            return Ok(None);
        }
        let steps = replay::steps(self.repo, self.record, self.policy_ref, landed)?;
        let Some(step) = steps.into_iter().find(|step| step.to == *self.oid) else {
            return Ok(None);
        };
        Ok(Some(Standing {
            state: State::Reviewed,
            index: Some(index),
            name: Some(landed.name.clone()),
            reviewers: people_of(&self.view, &step.counted)?,
            why: None,
        }))
    }

    /// Walks what was not seen before; what is no longer there reaches nothing.
    fn reaches(&self, tip: &Oid, seen: &mut HashSet<Oid>) -> Result<bool, AdmitError> {
        let mut stack: Vec<Oid> = self.repo.commit_of(tip)?.into_iter().collect();
        while let Some(oid) = stack.pop() {
            if oid == *self.oid {
                return Ok(true);
            }
            if !seen.insert(oid) || !self.repo.exists(&oid) {
                continue;
            }
            if seen.len() > WALK_LIMIT {
                return Err(GitError::Budget {
                    what: "commits below recorded tips",
                    limit: WALK_LIMIT as u64,
                }
                .into());
            }
            stack.extend(self.repo.parents(&oid)?);
        }
        Ok(false)
    }
}

/// Returns whether an entry let a ref be made or removed without anybody being asked.
fn is_unasked(entry: &Entry) -> bool {
    matches!(entry, Entry::Landed(landed) if replay::passed(landed) && !is_reviewed(landed))
}

/// Returns the standing that proves most.
fn best(mut found: Vec<Standing>) -> Option<Standing> {
    found.sort_by_key(|standing| match standing.state {
        State::Reviewed => 0,
        State::Unreviewed => 1,
        State::Adopted => 2,
        State::Unknown => 3,
        State::Baseline | State::Reachable => 4,
    });
    found.into_iter().next()
}

fn word(entry: &Entry) -> State {
    match entry {
        Entry::Landed(landed) if is_reviewed(landed) => State::Reviewed,
        Entry::Landed(_) => State::Unreviewed,
        Entry::Genesis(_) => State::Baseline,
        Entry::Adopted(_) => State::Adopted,
        Entry::Review(_) | Entry::Incident(_) | Entry::Admin(_) => State::Unknown,
    }
}

/// Lists the tips that an entry records.
fn tips(entry: &Entry) -> Vec<(&RefName, Oid)> {
    match entry {
        Entry::Genesis(genesis) => genesis
            .tips
            .iter()
            .map(|(name, oid)| (name, *oid))
            .collect(),
        Entry::Landed(landed) => landed
            .new
            .map(|oid| (&landed.name, oid))
            .into_iter()
            .collect(),
        Entry::Adopted(adopted) => {
            let tip = adopted.new.map(|oid| (&adopted.name, oid));
            tip.into_iter().collect()
        }
        Entry::Review(_) | Entry::Incident(_) | Entry::Admin(_) => Vec::new(),
    }
}
