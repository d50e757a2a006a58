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

use crate::gather::candidates::REVIEWS;
use crate::git::{RefValue, Repo, walk};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::record::entry::{Decided, DecisionId, Entry, Landed};
use crate::record::{Intent, Lock, Process, Record};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::{AdmitError, baseline, replay};

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
    /// Whether the host has everything in dry run.
    pub mode: Mode,
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
        let policy = landed.iter().find(|entry| entry.name == *self.policy_ref);
        let begun = match policy.map(|entry| entry.new) {
            Some(new) => baseline::begun(
                self.repo,
                &self.record.view()?,
                self.policy_ref,
                new.as_ref(),
                self.mode,
                self.now,
            )?,
            None => None,
        };
        for entry in &mut landed {
            // A clock that was set back meanwhile does not undo what was judged.
            entry.at = self.now.max(entry.judged);
            if overtaken(self.record, self.policy_ref, intent, entry)? {
                self.judge_again(entry)?;
            }
            decisions.push(self.record.decided(entry)?);
        }
        let mut batch: Vec<Entry> = landed.iter().cloned().map(Entry::Landed).collect();
        batch.extend(begun.map(Entry::Genesis));
        let indices = self.record.append(self.lock, &batch)?;
        for ((entry, decided), index) in landed.iter().zip(&decisions).zip(indices) {
            let outcome = Outcome::Landed(index);
            settled.closed.push((entry.name.clone(), outcome));
            self.keep(decided, entry)?;
        }
        Ok(())
    }

    /// Decides again by the log as it is now. The ref has moved already, so whatever comes out is
    /// what is recorded: a landing that would now be refused is on record as not reviewed.
    fn judge_again(&self, landed: &mut Landed) -> Result<(), AdmitError> {
        let received = self.record.decided(landed)?.received;
        let view = self.record.view()?;
        let mut later = landed.clone();
        later.size = view.size();
        later.judged = landed.at;
        later.rejudged = true;
        let again = replay::decide(self.repo, view, self.policy_ref, &later, &received)?;
        let (Some(landing), Some(policy)) = (again.landings.into_iter().next(), again.policy)
        else {
            // Nothing protects the ref any more: what was decided while it was stands.
            return Ok(());
        };
        *landed = later;
        landed.mode = landing.mode;
        landed.policy = policy;
        landed.sha256 = landing.sha256;
        landed.decision = DecisionId::Inline(Box::new(landing.decided));
        Ok(())
    }

    /// Keeps reachable what a recorded decision rests on, so that it can be decided again.
    fn keep(&self, decided: &Decided, landed: &Landed) -> Result<(), AdmitError> {
        let heads = decided
            .counted
            .iter()
            .flat_map(|head| [head.head, head.base]);
        let candidates = decided
            .verdict
            .approvals
            .iter()
            .map(|approval| approval.commit);
        let mut all: BTreeSet<Oid> = heads.chain(candidates).chain(landed.old).collect();
        all.extend(self.reviewed_since(decided, landed)?);
        keep(self.repo, &all, landed.new.as_ref())
    }

    /// Returns the heads that whoever approved here reviewed after that: whether an approval was
    /// replaced is told from them.
    fn reviewed_since(&self, decided: &Decided, landed: &Landed) -> Result<Vec<Oid>, AdmitError> {
        let view = self.record.view_at(landed.size)?;
        let mut approved: BTreeMap<&PersonName, BTreeSet<Oid>> = BTreeMap::new();
        for approval in &decided.verdict.approvals {
            let heads = approved.entry(&approval.person).or_default();
            heads.insert(approval.commit);
        }
        let mut since = Vec::new();
        for (person, heads) in approved {
            let reviewed = view.reviewed_heads(&landed.name, person, REVIEWS)?;
            let oldest = reviewed.iter().rposition(|head| heads.contains(head));
            since.extend(reviewed.into_iter().take(oldest.unwrap_or_default()));
        }
        Ok(since)
    }
}

/// Gives objects a keep ref, except what `tip` reaches by itself.
pub(super) fn keep(repo: &Repo, oids: &BTreeSet<Oid>, tip: Option<&Oid>) -> Result<(), AdmitError> {
    for oid in oids {
        let name = RefName::new(format!("{KEEP}{oid}"));
        // Where it cannot be told (a tag object has no history), a ref too many does no harm.
        let is_reached = |tip: &Oid| {
            tip == oid || walk::is_ancestor(repo, oid, tip, WALK_LIMIT).unwrap_or(false)
        };
        if repo.exists_outside_quarantine(oid) && !tip.is_some_and(is_reached) {
            repo.pin_reference(&name, oid)?;
        }
    }
    Ok(())
}

/// Returns whether anything that could change the decision entered the log since it was made.
pub(crate) fn overtaken(
    record: &Record,
    policy_ref: &RefName,
    intent: &Intent,
    landed: &Landed,
) -> Result<bool, AdmitError> {
    for entry in record.entries(intent.size..record.size()) {
        if replay::matters(&entry?.1, landed, policy_ref) {
            return Ok(true);
        }
    }
    Ok(false)
}
