//! What a step brings that went past the gate: shown before it is set back or adopted.
//!
//! The same gathering and the same judge as for a push say who would have had to review it. Nothing
//! here decides: where something cannot be told it is left out, and the ref stays unknown.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::gather::{Bringers, Limits, Proposed};
use crate::git::changes::changes;
use crate::git::{Repo, walk};
use crate::judge::facts::Pusher;
use crate::judge::verdict::UpdateVerdict;
use crate::people::PersonName;
use crate::policy::{Class, Mode};
use crate::record::View;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;

use super::{AdmitError, Asked, admit};

/// The most commits that are counted.
const COUNTED: usize = 100_000;
/// The most commits that are named.
const NAMED: usize = 100;
/// The most paths that are named.
const PATHS: usize = 10_000;

/// What is needed to tell.
pub struct Telling<'a> {
    /// The objects.
    pub repo: &'a Repo,
    /// The whole record.
    pub view: &'a View,
    /// The policy ref.
    pub policy_ref: &'a RefName,
    /// Bounds of one judgement.
    pub limits: &'a Limits,
    /// Server time.
    pub now: Timestamp,
    /// Who first brought what.
    pub bringers: &'a dyn Bringers,
}

/// A step of a protected ref that the record does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStep {
    /// The ref.
    pub name: RefName,
    /// Its recorded tip.
    pub from: Option<Oid>,
    /// What it holds.
    pub to: Option<Oid>,
    /// First-parent commits that the recorded tip does not reach, newest first, at most 100.
    pub steps: Vec<Brought>,
    /// How many more there are.
    pub more: usize,
    /// How many commits came in that no recorded tip reaches; none where there are too many.
    pub commits: Option<usize>,
    /// How many commits of the recorded tip the ref has lost; none where that cannot be told.
    pub left: Option<usize>,
    /// Changed paths by class; a path may have several. None where they cannot be told.
    pub paths: Option<BTreeMap<Class, BTreeSet<RepoPath>>>,
    /// What the policy in force says of the step; none where it cannot be judged.
    pub verdict: Option<UpdateVerdict>,
}

/// A commit, and who first brought it to the server, where that is noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The commit.
    pub commit: Oid,
    /// The known person, if one, and when.
    pub by: Option<(Option<PersonName>, Timestamp)>,
}

impl Telling<'_> {
    /// Tells what the step from the recorded tip to what the ref holds is.
    pub fn tell(
        &self,
        name: &RefName,
        from: Option<Oid>,
        to: Option<Oid>,
    ) -> Result<UnknownStep, AdmitError> {
        let commit = |oid: Option<Oid>| oid.map(|oid| self.repo.commit_of(&oid)).transpose();
        let (old, new) = (commit(from)?.flatten(), commit(to)?.flatten());
        let base = match old {
            Some(old) => Some(old),
            // A branch that is new is held against what the policy ref has.
            None => self.view.tip(self.policy_ref)?.and_then(|tip| tip.oid),
        };
        let (steps, more) = self.steps(base, new)?;
        Ok(UnknownStep {
            name: name.clone(),
            from,
            to,
            steps,
            more,
            commits: match new {
                Some(new) => self.unreviewed(&new)?,
                None => Some(0),
            },
            left: match (old, new) {
                (None, _) => Some(0),
                (Some(old), new) => {
                    let hidden: Vec<Oid> = new.into_iter().collect();
                    let lost = walk::new_commits(self.repo, &old, &hidden, COUNTED);
                    lost.ok().map(|lost| lost.len())
                }
            },
            paths: self.paths(base, new),
            verdict: self.verdict(name, from, to),
        })
    }

    /// Counts the commits that no recorded tip reaches.
    fn unreviewed(&self, new: &Oid) -> Result<Option<usize>, AdmitError> {
        let mut known = Vec::new();
        for tip in self.view.tips()?.into_values().filter_map(|tip| tip.oid) {
            known.extend(self.repo.commit_of(&tip)?);
        }
        let commits = walk::new_commits(self.repo, new, &known, COUNTED);
        Ok(commits.ok().map(|commits| commits.len()))
    }

    /// Lists the first-parent commits down to what the base reaches.
    fn steps(
        &self,
        base: Option<Oid>,
        new: Option<Oid>,
    ) -> Result<(Vec<Brought>, usize), AdmitError> {
        let Some(new) = new else {
            return Ok((Vec::new(), 0));
        };
        let hidden: Vec<Oid> = base.into_iter().collect();
        let Ok(fresh) = walk::new_commits(self.repo, &new, &hidden, COUNTED) else {
            return Ok((Vec::new(), 0));
        };
        let fresh: BTreeSet<Oid> = fresh.into_iter().collect();
        let (mut steps, mut more, mut at) = (Vec::new(), 0usize, Some(new));
        while let Some(commit) = at.filter(|at| fresh.contains(at)) {
            if steps.len() < NAMED {
                let by = self.bringers.bringer(&commit)?;
                let by = by.map(|bringer| (bringer.person, bringer.at));
                steps.push(Brought { commit, by });
            } else {
                more = more.saturating_add(1);
            }
            at = self.repo.parents(&commit)?.first().copied();
        }
        Ok((steps, more))
    }

    fn paths(
        &self,
        base: Option<Oid>,
        new: Option<Oid>,
    ) -> Option<BTreeMap<Class, BTreeSet<RepoPath>>> {
        let Some(new) = new else {
            return Some(BTreeMap::new());
        };
        let rules = super::rules(self.repo, self.view, self.policy_ref)
            .ok()?
            .ok()?;
        let tree = |oid: &Oid| self.repo.commit(oid).map(|commit| commit.tree);
        let old = base.map(|base| tree(&base)).transpose().ok()?;
        let changed = changes(self.repo, old.as_ref(), &tree(&new).ok()?, PATHS).ok()?;
        let mut by_class: BTreeMap<Class, BTreeSet<RepoPath>> = BTreeMap::new();
        for change in changed {
            for class in rules.policy.classes(&change.path) {
                by_class
                    .entry(class)
                    .or_default()
                    .insert(change.path.clone());
            }
        }
        Some(by_class)
    }

    fn verdict(&self, name: &RefName, old: Option<Oid>, new: Option<Oid>) -> Option<UpdateVerdict> {
        let asked = Asked {
            repo: self.repo,
            view: self.view.clone(),
            policy_ref: self.policy_ref,
            limits: self.limits,
            mode: Mode::Enforce,
            now: self.now,
            pusher: &|_| Pusher::Nobody,
            bringers: self.bringers,
            expired: &|| false,
            updates: &[Proposed {
                name: name.clone(),
                old,
                new,
                current: None,
            }],
        };
        let admission = admit(asked).ok()?;
        admission.verdict.updates.into_iter().next()
    }
}
