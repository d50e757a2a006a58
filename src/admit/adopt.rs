//! `log adopt`: the host's admin takes a ref as it is.
//!
//! An incident, on record for ever: what is adopted, and what came in below it, is never *reviewed*.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::gather::rulebook::{Rulebook, RulebookError};
use crate::gather::{Bringers, Limits};
use crate::git::{GitError, Repo};
use crate::policy::Mode;
use crate::record::entry::{Adopted, Entry};
use crate::record::{Lock, Record, RecordError, View};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;

use super::settle::{self, Settled, Settling};
use super::unknown::{Telling, UnknownStep};
use super::{AdmitError, RefState, baseline};

/// Everything adopting needs.
pub struct Adopting<'a> {
    /// The refs and objects.
    pub repo: &'a Repo,
    /// The record.
    pub record: &'a Record,
    /// Its lock.
    pub lock: &'a Lock,
    /// The policy ref.
    pub policy_ref: &'a RefName,
    /// Whether the host has everything in dry run.
    pub mode: Mode,
    /// Server time.
    pub now: Timestamp,
    /// The operating-system user.
    pub by: &'a str,
    /// Why, in their words.
    pub reason: &'a str,
    /// Whether the policy may be another than the recorded one.
    pub policy: bool,
    /// Bounds of what is looked at to show it.
    pub limits: &'a Limits,
    /// Who first brought what.
    pub bringers: &'a dyn Bringers,
    /// Is shown what would be adopted, before it is; says whether to go on.
    pub shown: &'a dyn Fn(&UnknownStep) -> bool,
}

/// What was adopted.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The entry.
    pub index: u64,
    /// The recorded tip that was left.
    pub old: Option<Oid>,
    /// What the ref is.
    pub new: Option<Oid>,
    /// What it brought, who would have had to review it.
    pub step: UnknownStep,
    /// Refs whose protection begins with the adopted policy.
    pub begun: BTreeMap<RefName, Oid>,
    /// What was closed before.
    pub settled: Settled,
}

/// Why a ref is not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is no business of the record.
    #[error("nothing protects {0}, and the record does not know it")]
    Unprotected(RefName),
    /// There is nothing to adopt.
    #[error("{0} is where the record has it; there is nothing to adopt")]
    AsRecorded(RefName),
    /// It has no tip of its own.
    #[error("{name} is a symbolic ref to {target}")]
    Symbolic {
        /// The ref.
        name: RefName,
        /// What it points to.
        target: RefName,
    },
    /// A branch that holds something else, or something that is not here.
    #[error("{name} holds {oid}, which is no commit that can be read")]
    NoCommit {
        /// The ref.
        name: RefName,
        /// What it holds.
        oid: Oid,
    },
    /// The policy ref was deleted.
    #[error("{0} is the policy ref, and it does not exist")]
    NoPolicyRef(RefName),
    /// The policy it would bring cannot be used.
    #[error("the policy at {tip} cannot be used: {source}")]
    Unusable {
        /// The tip found.
        tip: Oid,
        /// What is wrong with it.
        source: Box<RulebookError>,
    },
    /// It would bring another policy, and nobody said that this is wanted.
    #[error("{0} is the policy ref, and its policy is not the recorded one")]
    OtherPolicy(RefName),
    /// It was only to be shown.
    #[error("{0} was not adopted")]
    NotWanted(RefName),
    /// `--policy` where there is no policy.
    #[error("{0} is not the policy ref")]
    NotPolicyRef(RefName),
    /// The record or git.
    #[error(transparent)]
    Admit(#[from] AdmitError),
}

impl From<RecordError> for AdoptError {
    fn from(error: RecordError) -> Self {
        Self::Admit(error.into())
    }
}

impl From<GitError> for AdoptError {
    fn from(error: GitError) -> Self {
        Self::Admit(error.into())
    }
}

impl Adopting<'_> {
    /// Settles what is open, then takes the ref as it is.
    pub fn adopt(&self, name: &RefName) -> Result<Taken, AdoptError> {
        let settled = Settling {
            repo: self.repo,
            record: self.record,
            lock: self.lock,
            policy_ref: self.policy_ref,
            mode: self.mode,
            now: self.now,
            mine: None,
        }
        .settle()?;
        let view = self.record.view()?;
        let (old, new) = self.ends(&view, name)?;
        let in_force = super::rules(self.repo, &view, self.policy_ref)?;
        let in_force = in_force.ok();
        let mut repository = in_force
            .as_ref()
            .map(|rules| rules.policy.repository.clone());
        if name == self.policy_ref {
            let rules = self.new_policy(name, new.as_ref(), in_force.as_ref())?;
            repository = repository.or_else(|| Some(rules.policy.repository.clone()));
        } else if self.policy {
            return Err(AdoptError::NotPolicyRef(name.clone()));
        } else if view.tip(name)?.is_none()
            && in_force.is_none_or(|rules| rules.policy.protection(name, self.policy_ref).is_none())
        {
            return Err(AdoptError::Unprotected(name.clone()));
        }
        let step = Telling {
            repo: self.repo,
            view: &view,
            policy_ref: self.policy_ref,
            limits: self.limits,
            now: self.now,
            bringers: self.bringers,
        }
        .tell(name, old, new)?;
        // Shown before it is done, and before it could fail.
        if !(self.shown)(&step) {
            return Err(AdoptError::NotWanted(name.clone()));
        }
        let mut batch = vec![Entry::Adopted(Adopted {
            at: self.now,
            repository: repository.unwrap_or_default(),
            name: name.clone(),
            old,
            new,
            by: self.by.to_owned(),
            reason: self.reason.to_owned(),
            policy: self.policy,
        })];
        let mut begun = BTreeMap::new();
        if name == self.policy_ref
            && let Some(genesis) = baseline::begun(
                self.repo,
                &view,
                self.policy_ref,
                new.as_ref(),
                self.mode,
                self.now,
            )?
        {
            begun.clone_from(&genesis.tips);
            batch.push(Entry::Genesis(genesis));
        }
        let indices = self.record.append(self.lock, &batch)?;
        // What landed there can be decided again only while it is there.
        settle::keep(self.repo, &old.into_iter().collect(), new.as_ref())?;
        Ok(Taken {
            index: indices.start,
            old,
            new,
            step,
            begun,
            settled,
        })
    }

    /// Returns the recorded tip and the one found, which must differ.
    fn ends(&self, view: &View, name: &RefName) -> Result<(Option<Oid>, Option<Oid>), AdoptError> {
        let old = view.tip(name)?.and_then(|tip| tip.oid);
        let new = match RefState::from(self.repo.reference(name)?) {
            RefState::Absent => None,
            RefState::At(oid) => Some(oid),
            RefState::Symbolic(target) => {
                let name = name.clone();
                return Err(AdoptError::Symbolic { name, target });
            }
        };
        if old == new {
            return Err(AdoptError::AsRecorded(name.clone()));
        }
        if let Some(oid) = new {
            let is_branch = !name.as_bstr().starts_with(b"refs/tags/");
            let is_good = self.repo.exists(&oid)
                && (!is_branch || self.repo.kind_and_size(&oid)?.0 == ObjectKind::Commit);
            if !is_good {
                let name = name.clone();
                return Err(AdoptError::NoCommit { name, oid });
            }
        }
        Ok((old, new))
    }

    /// Reads the policy that the policy ref brings; it is the recorded one unless `--policy` is given.
    fn new_policy(
        &self,
        name: &RefName,
        new: Option<&Oid>,
        in_force: Option<&Rulebook>,
    ) -> Result<Rulebook, AdoptError> {
        let tip = *new.ok_or_else(|| AdoptError::NoPolicyRef(name.clone()))?;
        let rules = Rulebook::at(self.repo, &tip).map_err(|source| AdoptError::Unusable {
            tip,
            source: Box::new(source),
        })?;
        let is_same = in_force.is_some_and(|old| old.id.digest == rules.id.digest);
        match is_same || self.policy {
            true => Ok(rules),
            false => Err(AdoptError::OtherPolicy(name.clone())),
        }
    }
}
