//! Replaying a whole log: what is recorded, held against git objects and against itself.
//!
//! The log's own bytes (hashes, signature, encoding) are for [`Record::verify`]. What is held here:
//!
//! - a baseline names only refs that the policy it carries protects, and that nothing protected before;
//! - a review's signature, its person, head and target, as of its receipt, and that it is no replay;
//! - a landing starts at the recorded tip, closes an intent of its own, was judged by a log in which
//!   nothing that matters was missing, and comes out the same to the byte;
//! - what was adopted left the recorded tip, and a policy that can be read;
//! - in the end the refs are where the record has them.
//!
//! An entry that cannot be checked is a problem of that entry; the others are checked all the same.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::gather::candidates::key_state;
use crate::gather::incoming::same_words;
use crate::gather::rulebook::{Rulebook, RulebookError, Rulebooks};
use crate::git::{RefValue, Repo};
use crate::policy::Mode;
use crate::record::entry::{Adopted, Entry, Genesis, IncidentState, Landed, Review};
use crate::record::{Logged, Record, TipKind, View};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tag::Tag;

use super::replay::{self, is_reviewed};
use super::{AdmitError, RefState, shares};

/// What replaying a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Entries read.
    pub entries: u64,
    /// Reviews whose signatures were verified again.
    pub reviews: u64,
    /// Landings that hold and are reviewed: enforced, and every rule satisfied.
    pub reviewed: u64,
    /// Landings that hold and are in dry run.
    pub dry_run: u64,
    /// Landings that hold and for which nobody was asked: a ref made at a recorded commit, or removed.
    pub unasked: u64,
    /// Landings that hold and would have been refused when they were recorded.
    pub late: u64,
    /// Landings accepted and not recorded yet, which hold too.
    pub pending: u64,
    /// Tips that were taken as found.
    pub adopted: u64,
    /// What audits found; it decides nothing.
    pub incidents: u64,
    /// What does not hold, with the entry's index where there is one.
    pub problems: Vec<(Option<u64>, String)>,
}

/// Replays entries, and compares the end of the log with the refs as they are.
///
/// Entries outside the `shares`, which follow one another, are taken as they stand, as the past that
/// the others are held against; several shares are replayed at once. `progress` is called with the
/// number of entries done. An error is returned only where nothing could be replayed at all.
pub fn history(
    repo: &Repo,
    record: &Record,
    shares: &[Range<u64>],
    progress: &mut dyn FnMut(u64),
) -> Result<History, AdmitError> {
    let Some(genesis) = record.view()?.genesis()? else {
        let why = "the log does not begin with a baseline".to_owned();
        return Ok(History {
            problems: vec![(None, why)],
            ..History::default()
        });
    };
    let replayed = match shares {
        [] => History::default(),
        [all] => Replay::new(repo, record, &genesis).over(all.clone(), progress)?,
        several => shares::side_by_side(repo, record, &genesis, several, progress)?,
    };
    let mut replay = Replay::new(repo, record, &genesis);
    replay.history = replayed;
    if let Err(error) = replay.refs() {
        replay.problem(None, failed(error));
    }
    Ok(replay.history)
}

fn failed(error: AdmitError) -> Option<String> {
    Some(format!("it cannot be checked: {error}"))
}

/// A replay under way.
pub(super) struct Replay<'a> {
    repo: &'a Repo,
    record: &'a Record,
    policy_ref: RefName,
    books: Rulebooks,
    /// The baseline of enrolment.
    genesis: Genesis,
    /// Whether all entries so far are parts of it.
    is_founding: bool,
    history: History,
}

type Found = Result<Option<String>, AdmitError>;

impl<'a> Replay<'a> {
    pub(super) fn new(repo: &'a Repo, record: &'a Record, genesis: &Genesis) -> Self {
        Self {
            repo,
            record,
            policy_ref: genesis.policy_ref.clone(),
            books: Rulebooks::default(),
            genesis: genesis.clone(),
            is_founding: true,
            history: History::default(),
        }
    }

    /// Replays the entries of a range.
    pub(super) fn over(
        mut self,
        range: Range<u64>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<History, AdmitError> {
        for entry in self.record.entries(0..range.start) {
            if !self.is_founding_part(&entry?.1) {
                break;
            }
        }
        for entry in self.record.entries(range) {
            let (index, found) = match &entry {
                Ok((index, entry)) => (
                    Some(*index),
                    self.entry(*index, entry).unwrap_or_else(failed),
                ),
                Err(error) => (None, Some(error.to_string())),
            };
            self.history.entries += 1;
            self.problem(index, found);
            progress(self.history.entries);
        }
        Ok(self.history)
    }

    fn problem(&mut self, index: Option<u64>, why: Option<String>) {
        self.history.problems.extend(why.map(|why| (index, why)));
    }

    fn entry(&mut self, index: u64, entry: &Entry) -> Found {
        let view = self.record.view_at(index)?;
        self.is_founding_part(entry);
        match entry {
            Entry::Genesis(genesis) => self.baseline(&view, genesis),
            Entry::Review(review) => {
                self.history.reviews += 1;
                let review = self.record.keep_review(index, review);
                self.review(&view, &review)
            }
            Entry::Landed(landed) => self.landed(index, landed),
            Entry::Adopted(adopted) => {
                self.history.adopted += 1;
                self.adopted(&view, adopted)
            }
            Entry::Incident(incident) => {
                self.history.incidents += u64::from(incident.state == IncidentState::Found);
                Ok(None)
            }
            Entry::Admin(_) => Ok(None),
        }
    }

    /// Returns whether this and all entries before it are parts of the first baseline.
    fn is_founding_part(&mut self, entry: &Entry) -> bool {
        let is_part = |genesis: &Genesis| {
            genesis.at == self.genesis.at && genesis.policy == self.genesis.policy
        };
        self.is_founding &= matches!(entry, Entry::Genesis(genesis) if is_part(genesis));
        self.is_founding
    }

    fn baseline(&self, view: &View, genesis: &Genesis) -> Found {
        if genesis.policy_ref != self.policy_ref || genesis.format != self.repo.format() {
            let why = "a baseline of another policy ref or object format";
            return Ok(Some(why.to_owned()));
        }
        let rules = match Rulebook::at(self.repo, &genesis.policy.commit) {
            Ok(rules) => rules,
            Err(error) => return Ok(Some(error.to_string())),
        };
        if rules.id != genesis.policy || rules.policy.repository != genesis.repository {
            return Ok(Some(format!(
                "policy digest {} is recorded, {} is what {} gives",
                genesis.policy.digest, rules.id.digest, genesis.policy.commit
            )));
        }
        let known = |(name, recorded): (_, &Vec<String>)| {
            rules.people.persons.get(name).is_some_and(|person| {
                let keys = person.keys.iter().map(|key| &key.fingerprint);
                keys.eq(recorded)
            })
        };
        if !genesis.keys.iter().all(known) {
            return Ok(Some(
                "keys are recorded that people.toml has not".to_owned(),
            ));
        }
        for name in genesis.tips.keys() {
            if let Some(why) = self.baseline_tip(view, &rules, genesis, name)? {
                return Ok(Some(why));
            }
        }
        match self.is_founding {
            true => {
                let tip = self.genesis.tips.get(&self.policy_ref);
                Ok((tip != Some(&genesis.policy.commit))
                    .then(|| "the policy is not that of the policy ref's tip".to_owned()))
            }
            false => self.begins(view, genesis),
        }
    }

    fn baseline_tip(
        &self,
        view: &View,
        rules: &Rulebook,
        genesis: &Genesis,
        name: &RefName,
    ) -> Found {
        let Some(protection) = rules.policy.protection(name, &self.policy_ref) else {
            return Ok(Some(format!(
                "{name} is a baseline, and nothing protects it"
            )));
        };
        if view.tip(name)?.is_some() {
            return Ok(Some(format!("{name} was recorded before this baseline")));
        }
        let is_silent = protection.mode == Mode::DryRun && !genesis.dry_run.contains(name);
        Ok(is_silent.then(|| format!("{name} is in dry run, and recorded as enforced")))
    }

    /// A baseline after the first stands behind the change of policy that makes it begin.
    fn begins(&self, view: &View, genesis: &Genesis) -> Found {
        let stray = || Ok(Some("a baseline that no change of policy began".to_owned()));
        let Some(tip) = view.tip(&self.policy_ref)? else {
            return stray();
        };
        if tip.oid != Some(genesis.policy.commit) || tip.how == TipKind::Genesis {
            return stray();
        }
        let cause = view.entry(tip.index)?;
        for index in view.indices(tip.index.saturating_add(1)..view.size())? {
            let together = match (view.entry(index)?, &cause) {
                (Entry::Genesis(_), _) => true,
                (Entry::Landed(other), Entry::Landed(cause)) => other.intent == cause.intent,
                _ => false,
            };
            if !together {
                return stray();
            }
        }
        let before = match self.rules(&self.record.view_at(tip.index)?)? {
            Ok(rules) => rules,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let old = genesis
            .tips
            .keys()
            .find(|name| before.policy.protection(name, &self.policy_ref).is_some());
        Ok(old.map(|name| format!("{name} was protected before: its tip is no baseline")))
    }

    /// Verifies a logged review again, as of its receipt.
    fn review(&self, view: &View, review: &Logged) -> Found {
        let rules = match self.rules(view)? {
            Ok(rules) => rules,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let said = |why: &str| Ok(Some(why.to_owned()));
        let format = self.repo.format();
        let Some(target) = review.target(format) else {
            return said("the review's tag cannot be read");
        };
        let raw = STANDARD.decode(&review.raw).unwrap_or_default();
        if self.repo.hash(ObjectKind::Tag, &raw)? != review.tag {
            return Ok(Some(format!(
                "the review's bytes are not tag {}",
                review.tag
            )));
        }
        let Some(question) = review.question() else {
            return said("the review is not signed");
        };
        let signer = match rules.people.answer(question) {
            Ok(signer) => signer,
            Err(fault) => return Ok(Some(format!("the review's signature: {fault}"))),
        };
        let Some(message) = review.message(format) else {
            return said("the review's message cannot be read");
        };
        let protection = rules.policy.protection(&review.target, &self.policy_ref);
        if protection.is_none() {
            return Ok(Some(format!("nothing protects {}", review.target)));
        }
        let mut tip = view.tip(&review.target)?.and_then(|tip| tip.oid);
        if tip.is_none() {
            tip = view.tip(&self.policy_ref)?.and_then(|tip| tip.oid);
        }
        let agrees = signer.person == review.person
            && signer.fingerprint == review.key
            && target == review.head
            && message.target == review.target
            && message.repository == rules.policy.repository
            && tip == Some(review.tip);
        if !agrees {
            return said("the entry says otherwise than the signed review");
        }
        self.replayed(view, &rules, review)
    }

    /// A review that is logged twice, or behind a later one of the same, would undo that one.
    fn replayed(&self, view: &View, rules: &Rulebook, review: &Review) -> Found {
        if let Some(first) = view.has_tag(&review.tag)? {
            return Ok(Some(format!("the review stands in entry {first} already")));
        }
        let before = view.reviews_of_head(&review.target, &review.head)?;
        if before.is_empty() {
            return Ok(None);
        }
        let Some(tag) = self.tag(review) else {
            return Ok(None);
        };
        let date = tag.tagger.as_ref().map(|tagger| tagger.seconds);
        for (index, other) in before {
            let Some(earlier) = self.tag(&other) else {
                continue;
            };
            if other.person == review.person && same_words(&earlier, &tag) {
                return Ok(Some(format!("the review is that of entry {index} again")));
            }
            let theirs = earlier.tagger.map(|tagger| tagger.seconds);
            let believed = || key_state(&rules.people, &other).is_none();
            if other.person == review.person && date < theirs && believed() {
                return Ok(Some(format!(
                    "the review is older than that of entry {index}"
                )));
            }
        }
        Ok(None)
    }

    fn tag(&self, review: &Review) -> Option<Tag> {
        let raw = STANDARD.decode(&review.raw).ok()?;
        Tag::parse(&raw, self.repo.format()).ok()
    }

    fn landed(&mut self, index: u64, landed: &Landed) -> Found {
        let Self { books, repo, .. } = self;
        let policy_ref = &self.policy_ref;
        let found = replay::check_by(books, repo, self.record, policy_ref, index, landed)?;
        if found.is_none() {
            let count = match (is_reviewed(landed), landed.mode) {
                (true, _) => &mut self.history.reviewed,
                (false, _) if replay::passed(landed) => &mut self.history.unasked,
                (false, Mode::DryRun) => &mut self.history.dry_run,
                (false, Mode::Enforce) => &mut self.history.late,
            };
            *count += 1;
        }
        Ok(found)
    }

    fn adopted(&self, view: &View, adopted: &Adopted) -> Found {
        let name = &adopted.name;
        let tip = view.tip(name)?.and_then(|tip| tip.oid);
        if tip != adopted.old || adopted.new == adopted.old {
            return Ok(Some(format!(
                "{name} was adopted from a tip that was not its own"
            )));
        }
        if *name != self.policy_ref {
            return Ok(None);
        }
        Ok(match adopted.new.map(|new| Rulebook::at(self.repo, &new)) {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("the policy ref was adopted as deleted".to_owned()),
        })
    }

    fn rules(&self, view: &View) -> Result<Result<Rulebook, RulebookError>, AdmitError> {
        Ok(super::rules_by(
            &self.books,
            self.repo,
            view,
            &self.policy_ref,
        )?)
    }

    /// Compares the end of the record with the refs; what is accepted and not recorded yet must hold
    /// as if it were.
    fn refs(&mut self) -> Result<(), AdmitError> {
        let (unknown, pending) = unexplained(
            self.repo,
            self.record,
            &self.record.view()?,
            &self.policy_ref,
        )?;
        self.history.pending += pending;
        for drift in unknown {
            self.problem(None, Some(drift.to_string()));
        }
        Ok(())
    }
}

/// Returns the refs that neither the record nor an open intent that holds explains, and how many the
/// latter do.
///
/// `view` is the whole record. Under the record's lock no push can come between.
pub fn unexplained(
    repo: &Repo,
    record: &Record,
    view: &View,
    policy_ref: &RefName,
) -> Result<(Vec<Drift>, u64), AdmitError> {
    let mut coming = BTreeMap::new();
    for intent in record.open_intents()? {
        for landed in intent.landed {
            coming.insert((landed.name.clone(), landed.new), landed);
        }
    }
    let (mut unknown, mut pending) = (Vec::new(), 0u64);
    for drift in refs_against(repo, view, policy_ref)? {
        let intended = match &drift.actual {
            RefState::At(oid) => coming.get(&(drift.name.clone(), Some(*oid))),
            RefState::Absent => coming.get(&(drift.name.clone(), None)),
            RefState::Symbolic(_) => None,
        };
        let holds = match intended {
            Some(landed) => replay::check(repo, record, policy_ref, view.size(), landed)?.is_none(),
            None => false,
        };
        match holds {
            true => pending = pending.saturating_add(1),
            false => unknown.push(drift),
        }
    }
    Ok((unknown, pending))
}

/// A ref that is not where the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The ref.
    pub name: RefName,
    /// Its recorded tip; none where it was deleted, or never recorded.
    pub recorded: Option<Oid>,
    /// What it is.
    pub actual: RefState,
    /// Whether the recorded tip is not in the repository: it cannot be set back as it is.
    pub lost: bool,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match &self.actual {
            RefState::Absent => write!(f, "{name} is absent")?,
            RefState::At(oid) => write!(f, "{name} is {oid}")?,
            RefState::Symbolic(to) => write!(f, "{name} is a symbolic ref to {to}")?,
        }
        match &self.recorded {
            Some(oid) if self.lost => write!(f, ", its recorded tip is {oid}, which is not here"),
            Some(oid) => write!(f, ", its recorded tip is {oid}"),
            None => write!(f, ", the record has no such ref"),
        }
    }
}

/// Compares recorded tips with the refs as they are, protected refs without one included.
pub fn refs_against(
    repo: &Repo,
    view: &View,
    policy_ref: &RefName,
) -> Result<Vec<Drift>, AdmitError> {
    let mut actual: BTreeMap<RefName, RefValue> = repo.references()?.into_iter().collect();
    let mut drifts = Vec::new();
    for (name, tip) in view.tips()? {
        let actual = RefState::from(actual.remove(&name));
        if actual != RefState::from(tip.oid) {
            drifts.push(Drift {
                name,
                recorded: tip.oid,
                actual,
                lost: tip.oid.is_some_and(|oid| !repo.exists(&oid)),
            });
        }
    }
    // Without a policy nobody can say what it protects; that is a finding of its own.
    if let Ok(rules) = super::rules(repo, view, policy_ref)? {
        for (name, value) in actual {
            if rules.policy.protection(&name, policy_ref).is_some() {
                drifts.push(Drift {
                    name,
                    recorded: None,
                    actual: RefState::from(Some(value)),
                    lost: false,
                });
            }
        }
    }
    Ok(drifts)
}
