//! Deciding again what an entry says was decided (I8).
//!
//! Everything comes from the entry, the log before it and git objects: the same function, the same
//! facts, and so, unless somebody lied, the same bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::gather::rulebook::{Rulebook, RulebookError};
use crate::gather::{Bringer, Bringers, Limits, Proposed};
use crate::git::{RefValue, Repo};
use crate::judge::facts::Pusher;
use crate::judge::verdict::{Decision, UpdateVerdict};
use crate::policy::Mode;
use crate::record::entry::{Adopted, Decided, Entry, Genesis, Landed, PusherId, Received, Review};
use crate::record::{Record, RecordError, View};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tag::Tag;

use super::{Admission, AdmitError, Asked, admit};

/// Answers from what an entry carries; knows nobody else.
pub struct Carried(BTreeMap<Oid, Bringer>);

impl Carried {
    /// Reads what an entry carries.
    pub fn new(received: &[Received]) -> Self {
        let mut known = BTreeMap::new();
        for group in received {
            for commit in &group.commits {
                let bringer = Bringer {
                    person: group.pusher.clone(),
                    at: group.at,
                };
                known.insert(*commit, bringer);
            }
        }
        Self(known)
    }
}

impl Bringers for Carried {
    fn bringer(&self, commit: &Oid) -> Result<Option<Bringer>, RecordError> {
        Ok(self.0.get(commit).cloned())
    }
}

/// Decides a landing again, by the record as `view` shows it.
///
/// `received` are the answers about first bringers to go by. The state of the ref itself is past and
/// not asked about. There is no clock here: time limits cannot make a difference.
pub fn decide(
    repo: &Repo,
    view: View,
    policy_ref: &RefName,
    landed: &Landed,
    received: &[Received],
) -> Result<Admission, AdmitError> {
    let pusher = match &landed.pusher {
        PusherId::Person(person) => Pusher::Person(person.clone()),
        PusherId::Unknown(name) => Pusher::Unknown(name.clone()),
    };
    let limits = Limits::from_names(&landed.limits).unwrap_or_default();
    admit(Asked {
        repo,
        view,
        policy_ref,
        limits: &limits,
        mode: landed.mode,
        now: landed.judged,
        pusher: &|_| pusher.clone(),
        bringers: &Carried::new(received),
        expired: &|| false,
        updates: &[Proposed {
            name: landed.name.clone(),
            old: landed.old,
            new: landed.new,
            current: None,
        }],
    })
}

/// What replaying a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Entries read.
    pub entries: u64,
    /// Reviews whose signatures were verified again.
    pub reviews: u64,
    /// Landings whose decision came out the same, to the byte.
    pub recomputed: u64,
    /// Of those, reviewed: enforced and every rule satisfied.
    pub reviewed: u64,
    /// Of those, let through without (dry run, or decided too late).
    pub unreviewed: u64,
    /// Tips that were taken as found.
    pub adopted: u64,
    /// What does not hold, with the entry's index where there is one.
    pub problems: Vec<(Option<u64>, String)>,
}

/// Replays the whole log, and compares its end with the refs as they are.
///
/// The log itself (hashes, signature, encoding) is for [`Record::verify`]. `progress` is called with
/// the number of entries done.
pub fn history(
    repo: &Repo,
    record: &Record,
    progress: &mut dyn FnMut(u64),
) -> Result<History, AdmitError> {
    let mut history = History::default();
    let Some(genesis) = record.view()?.genesis()? else {
        history
            .problems
            .push((None, "the log has no genesis".to_owned()));
        return Ok(history);
    };
    let policy_ref = genesis.policy_ref;
    for index in 0..record.size() {
        let entry = record.entry(index)?;
        let view = record.view_at(index)?;
        let found = match &entry {
            Entry::Genesis(genesis) => baseline(repo, genesis, &policy_ref),
            Entry::Review(review) => reviewed(repo, &view, &policy_ref, review)?,
            Entry::Landed(landed) => {
                recompute(repo, record, view, &policy_ref, landed, &mut history)?
            }
            Entry::Adopted(adopted) => taken(&view, adopted)?,
        };
        match entry {
            Entry::Review(_) => history.reviews += 1,
            Entry::Adopted(_) => history.adopted += 1,
            Entry::Genesis(_) | Entry::Landed(_) => {}
        }
        history.entries += 1;
        history
            .problems
            .extend(found.into_iter().map(|why| (Some(index), why)));
        progress(history.entries);
    }
    for why in refs_against(repo, &record.view()?)? {
        history.problems.push((None, why));
    }
    Ok(history)
}

fn baseline(repo: &Repo, genesis: &Genesis, policy_ref: &RefName) -> Option<String> {
    if genesis.policy_ref != *policy_ref || genesis.format != repo.format() {
        return Some("a genesis of another policy ref or object format".to_owned());
    }
    match Rulebook::at(repo, &genesis.policy.commit) {
        Ok(rules) if rules.id == genesis.policy => None,
        Ok(rules) => Some(format!(
            "policy digest {} is recorded, {} is what {} gives",
            genesis.policy.digest, rules.id.digest, genesis.policy.commit
        )),
        Err(error) => Some(error.to_string()),
    }
}

/// Verifies a logged review again, as of its receipt.
fn reviewed(
    repo: &Repo,
    view: &View,
    policy_ref: &RefName,
    review: &Review,
) -> Result<Option<String>, AdmitError> {
    let rules = match rules_at(repo, view, policy_ref)? {
        Ok(rules) => rules,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let raw = STANDARD.decode(&review.raw).unwrap_or_default();
    let Ok(tag) = Tag::parse(&raw, repo.format()) else {
        return Ok(Some("the review's tag cannot be read".to_owned()));
    };
    if repo.hash(ObjectKind::Tag, &raw)? != review.tag {
        return Ok(Some(format!(
            "the review's bytes are not tag {}",
            review.tag
        )));
    }
    let Some(signed) = &tag.signed else {
        return Ok(Some("the review is not signed".to_owned()));
    };
    let signer = match rules.people.verify(signed, review.at) {
        Ok(signer) => signer,
        Err(fault) => return Ok(Some(format!("the review's signature: {fault}"))),
    };
    let message = crate::wire::review::ReviewMessage::parse(&tag.message, repo.format());
    let Ok(message) = message else {
        return Ok(Some("the review's message cannot be read".to_owned()));
    };
    let mut tip = view.tip(&review.target)?.and_then(|tip| tip.oid);
    if tip.is_none() {
        tip = view.tip(policy_ref)?.and_then(|tip| tip.oid);
    }
    let agrees = signer.person == review.person
        && signer.fingerprint == review.key
        && tag.target == review.head
        && message.target == review.target
        && message.repository == rules.policy.repository
        && tip == Some(review.tip);
    Ok((!agrees).then(|| "the entry says otherwise than the signed review".to_owned()))
}

fn rules_at(
    repo: &Repo,
    view: &View,
    policy_ref: &RefName,
) -> Result<Result<Rulebook, RulebookError>, AdmitError> {
    let tip = view.tip(policy_ref)?.and_then(|tip| tip.oid);
    Ok(match tip {
        Some(commit) => Rulebook::at(repo, &commit),
        None => Err(RulebookError::Missing {
            file: crate::policy::parse::FILE,
            commit: Oid::zero(repo.format()),
        }),
    })
}

fn recompute(
    repo: &Repo,
    record: &Record,
    before: View,
    policy_ref: &RefName,
    landed: &Landed,
    history: &mut History,
) -> Result<Option<String>, AdmitError> {
    let tip = before.tip(&landed.name)?.and_then(|tip| tip.oid);
    if tip != landed.old && landed.old.is_some() && tip.is_some() {
        return Ok(Some(format!(
            "{} did not start at its recorded tip",
            landed.name
        )));
    }
    if landed.size > before.size() {
        return Ok(Some(
            "judged by a log longer than the one it stands in".to_owned(),
        ));
    }
    let decided = record.decided(landed)?;
    let view = record.view_at(landed.size)?;
    let again = decide(repo, view, policy_ref, landed, &decided.received)?;
    let (Some(landing), Some(verdict)) = (again.landings.first(), again.verdict.updates.first())
    else {
        return Ok(Some(format!(
            "{} is not protected by that policy",
            landed.name
        )));
    };
    let same = *verdict == decided.verdict
        && landing.decided.counted == decided.counted
        && landing.sha256 == landed.sha256
        && again.policy.as_ref() == Some(&landed.policy);
    if !same {
        return Ok(Some(format!(
            "deciding {} again does not give what is recorded: {}",
            landed.name,
            difference(&decided, &landing.decided)
        )));
    }
    history.recomputed += 1;
    match is_reviewed(landed, verdict) {
        true => history.reviewed += 1,
        false => history.unreviewed += 1,
    }
    Ok(None)
}

/// Returns whether a landing is *reviewed*: enforced, and every rule satisfied for the whole step.
pub fn is_reviewed(landed: &Landed, verdict: &UpdateVerdict) -> bool {
    landed.mode == Mode::Enforce && verdict.decision == Decision::Accept
}

fn difference(recorded: &Decided, again: &Decided) -> String {
    let (old, new) = (&recorded.verdict, &again.verdict);
    if old.decision != new.decision {
        return format!(
            "{:?} is recorded, {:?} comes out",
            old.decision, new.decision
        );
    }
    let codes = |verdict: &UpdateVerdict| -> Vec<&str> {
        verdict
            .findings
            .iter()
            .map(|finding| finding.code.as_str())
            .collect()
    };
    match old.findings == new.findings {
        true => "facts differ".to_owned(),
        false => format!("{:?} is recorded, {:?} comes out", codes(old), codes(new)),
    }
}

fn taken(view: &View, adopted: &Adopted) -> Result<Option<String>, AdmitError> {
    let tip = view.tip(&adopted.name)?.and_then(|tip| tip.oid);
    Ok((tip != adopted.old).then(|| {
        format!(
            "{} was adopted from a tip that was not its own",
            adopted.name
        )
    }))
}

/// Compares recorded tips with the refs as they are.
pub fn refs_against(repo: &Repo, view: &View) -> Result<Vec<String>, AdmitError> {
    let mut problems = Vec::new();
    for (name, tip) in view.tips()? {
        let actual = match repo.reference(&name)? {
            Some(RefValue::Oid(oid)) => Some(oid),
            Some(RefValue::Symbolic(other)) => {
                problems.push(format!("{name} is a symbolic ref to {other}"));
                continue;
            }
            None => None,
        };
        if actual != tip.oid {
            let words =
                |oid: Option<Oid>| oid.map_or_else(|| "absent".into(), |oid| oid.to_string());
            problems.push(format!(
                "{name} is {}, its recorded tip is {}",
                words(actual),
                words(tip.oid)
            ));
        }
    }
    Ok(problems)
}
