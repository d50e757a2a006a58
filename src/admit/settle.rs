//! Closing intents: what was accepted becomes an entry once the ref has moved.
//!
//! Run under the record's lock, at the start of every hook and in `log reconcile`. An intent closes
//!
//! - `landed` when the ref is at N: one entry, and keep refs for what it rests on;
//! - `lost` when the ref is neither at N nor at P, or the record has moved on from P;
//! - `lapsed` when the ref is still at P and the process that was to move it is gone.
//!
//! A crash after any step leaves the intent open, and the next run does the rest: an entry that
//! carries an intent's id is the proof that it is spent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::gather::rulebook::Rulebook;
use crate::git::{RefValue, Repo, walk};
use crate::policy::Mode;
use crate::record::entry::{Decided, DecisionId, Entry, Genesis, Landed};
use crate::record::{Intent, Lock, Process, Record};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::{AdmitError, commit_of, replay};

/// Where counted heads and bases are kept reachable.
const KEEP: &str = "refs/countersign/keep/";
/// How far to look whether N reaches something by itself.
const WALK_LIMIT: usize = 2_000_000;

/// How one ref of an intent came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Recorded, as the entry of this index.
    Landed(u64),
    /// Somebody else moved the ref.
    Lost,
    /// Nobody is left to move it.
    Lapsed,
}

/// What settling did.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// Closed refs, in order.
    pub closed: Vec<(RefName, Outcome)>,
    /// Intents that stay open: their process lives and the ref has not moved yet.
    pub open: usize,
}

/// Everything settling needs.
pub struct Settling<'a> {
    /// The refs and objects.
    pub repo: &'a Repo,
    /// The record.
    pub record: &'a Record,
    /// Its lock.
    pub lock: &'a Lock,
    /// The policy ref.
    pub policy_ref: &'a RefName,
    /// Server time.
    pub now: Timestamp,
    /// The receive-pack process of a `post-receive`: it has finished moving refs, so what it left at
    /// P stays there.
    pub mine: Option<&'a Process>,
}

impl Settling<'_> {
    /// Closes what can be closed.
    pub fn settle(&self) -> Result<Settled, AdmitError> {
        let mut settled = Settled::default();
        for intent in self.record.open_intents()? {
            if self.close(&intent, &mut settled)? {
                self.record.remove_intent(&intent.id)?;
            } else {
                settled.open += 1;
            }
        }
        Ok(settled)
    }

    /// Closes one intent as far as it goes; returns whether nothing of it stays open.
    fn close(&self, intent: &Intent, settled: &mut Settled) -> Result<bool, AdmitError> {
        let over = self.mine == Some(&intent.process) || !intent.process.alive();
        let view = self.record.view()?;
        let mut landed = Vec::new();
        let mut all = true;
        for proposed in &intent.landed {
            let name = &proposed.name;
            if view.intent_spent(&intent.id, name)? {
                self.keep(&self.record.decided(proposed)?, proposed)?;
                continue;
            }
            let recorded = view.tip(name)?.and_then(|tip| tip.oid);
            let actual = match self.repo.reference(name)? {
                Some(RefValue::Oid(oid)) => Some(oid),
                _ => None,
            };
            let started = recorded == proposed.old;
            if started && actual == proposed.new {
                landed.push(proposed.clone());
            } else if started && actual == recorded {
                match over {
                    true => settled.closed.push((name.clone(), Outcome::Lapsed)),
                    false => all = false,
                }
            } else {
                settled.closed.push((name.clone(), Outcome::Lost));
            }
        }
        if !landed.is_empty() {
            self.append(intent, landed, settled)?;
        }
        Ok(all)
    }

    /// Appends the entries of one push, with a genesis for refs that its policy begins to protect.
    fn append(
        &self,
        intent: &Intent,
        mut landed: Vec<Landed>,
        settled: &mut Settled,
    ) -> Result<(), AdmitError> {
        let mut decisions = Vec::new();
        for entry in &mut landed {
            entry.at = self.now;
            if moved_meanwhile(self.record, self.policy_ref, intent, entry)? {
                self.judge_again(entry)?;
            }
            decisions.push(self.record.decided(entry)?);
        }
        let mut batch: Vec<Entry> = landed.iter().cloned().map(Entry::Landed).collect();
        batch.extend(self.begun(&landed)?.map(Entry::Genesis));
        let indices = self.record.append(self.lock, &batch)?;
        for ((entry, decided), index) in landed.iter().zip(&decisions).zip(indices) {
            let outcome = Outcome::Landed(index);
            settled.closed.push((entry.name.clone(), outcome));
            self.keep(decided, entry)?;
        }
        Ok(())
    }

    /// Decides again by the log as it is now. The ref has moved already, so whatever comes out is
    /// what is recorded: a landing that would now be refused is on record as not reviewed. Where
    /// nothing protects the ref any more, what was decided when it was protected stands.
    fn judge_again(&self, landed: &mut Landed) -> Result<(), AdmitError> {
        let received = self.record.decided(landed)?.received;
        let view = self.record.view()?;
        let size = view.size();
        let asked = Landed {
            size,
            judged: self.now,
            ..landed.clone()
        };
        let again = replay::decide(self.repo, view, self.policy_ref, &asked, &received)?;
        let (Some(landing), Some(policy)) = (again.landings.into_iter().next(), again.policy)
        else {
            return Ok(());
        };
        landed.size = size;
        landed.judged = self.now;
        landed.rejudged = true;
        landed.mode = landing.mode;
        landed.policy = policy;
        landed.sha256 = landing.sha256;
        landed.decision = DecisionId::Inline(Box::new(landing.decided));
        Ok(())
    }

    /// Finds refs that exist and are protected by the policy that just landed, but have no recorded
    /// tip.
    fn begun(&self, landed: &[Landed]) -> Result<Option<Genesis>, AdmitError> {
        let Some(at) = landed.iter().find(|landed| landed.name == *self.policy_ref) else {
            return Ok(None);
        };
        let Some(Ok(rules)) = at.new.map(|commit| Rulebook::at(self.repo, &commit)) else {
            return Ok(None);
        };
        let view = self.record.view()?;
        let mut genesis = baseline(self.repo, &rules, self.policy_ref, self.now)?;
        let mine: BTreeSet<&RefName> = landed.iter().map(|landed| &landed.name).collect();
        for name in genesis.tips.keys().cloned().collect::<Vec<_>>() {
            if mine.contains(&name) || view.tip(&name)?.is_some() {
                genesis.tips.remove(&name);
            }
        }
        genesis
            .dry_run
            .retain(|name| genesis.tips.contains_key(name));
        Ok((!genesis.tips.is_empty()).then_some(genesis))
    }

    /// Keeps reachable what a recorded decision rests on, so that it can be decided again; what N
    /// reaches needs no help.
    ///
    /// P is kept where N leaves it behind: by a deletion, or by a rewind that is allowed.
    fn keep(&self, decided: &Decided, landed: &Landed) -> Result<(), AdmitError> {
        let tip = match &landed.new {
            Some(new) => commit_of(self.repo, new)?,
            None => None,
        };
        let heads = decided
            .counted
            .iter()
            .flat_map(|head| [head.head, head.base]);
        let candidates = decided
            .verdict
            .approvals
            .iter()
            .map(|approval| approval.commit);
        let all: BTreeSet<Oid> = heads.chain(candidates).chain(landed.old).collect();
        for oid in all {
            let name = RefName::new(format!("{KEEP}{oid}"));
            if self.repo.exists(&oid)
                && self.repo.reference(&name)?.is_none()
                && !self.reached(&oid, tip.as_ref())?
            {
                self.repo.set_reference(&name, &oid, None)?;
            }
        }
        Ok(())
    }

    /// Returns whether `tip` keeps an object by itself; of a tag object it does not.
    fn reached(&self, oid: &Oid, tip: Option<&Oid>) -> Result<bool, AdmitError> {
        Ok(match (commit_of(self.repo, oid)?, tip) {
            (Some(commit), Some(tip)) if commit == *oid => {
                walk::is_ancestor(self.repo, &commit, tip, WALK_LIMIT)?
            }
            _ => false,
        })
    }
}

/// Returns the genesis of every ref that exists and is protected.
///
/// A protected name that is a symbolic ref has no tip of its own and is left out.
pub fn baseline(
    repo: &Repo,
    rules: &Rulebook,
    policy_ref: &RefName,
    now: Timestamp,
) -> Result<Genesis, AdmitError> {
    let mut genesis = Genesis {
        at: now,
        repository: rules.policy.repository.clone(),
        format: repo.format(),
        policy_ref: policy_ref.clone(),
        tips: BTreeMap::new(),
        dry_run: Vec::new(),
        policy: rules.id.clone(),
        keys: BTreeMap::new(),
    };
    for person in rules.people.persons.values() {
        let keys = person.keys.iter().map(|key| key.fingerprint.clone());
        genesis.keys.insert(person.name.clone(), keys.collect());
    }
    for (name, value) in repo.references()? {
        let (Some(protection), RefValue::Oid(oid)) =
            (rules.policy.protection(&name, policy_ref), value)
        else {
            continue;
        };
        if protection.mode == Mode::DryRun {
            genesis.dry_run.push(name.clone());
        }
        genesis.tips.insert(name, oid);
    }
    Ok(genesis)
}

/// Returns whether anything that could change the decision entered the log since it was made.
fn moved_meanwhile(
    record: &Record,
    policy_ref: &RefName,
    intent: &Intent,
    landed: &Landed,
) -> Result<bool, AdmitError> {
    for index in intent.size..record.size() {
        let matters = match record.entry(index)? {
            Entry::Review(review) => review.target == landed.name,
            // Not the policy of the very push: one policy judges all of it.
            Entry::Landed(other) => other.name == *policy_ref && other.intent != intent.id,
            Entry::Adopted(_) | Entry::Genesis(_) => true,
        };
        if matters {
            return Ok(true);
        }
    }
    Ok(false)
}
