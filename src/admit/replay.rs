//! Deciding again what an entry says was decided (I8).
//!
//! Everything comes from the entry, the log before it and git objects: the same function, the same
//! facts, and so, unless somebody lied, the same bytes.

use std::collections::BTreeMap;

use crate::gather::rulebook::Rulebooks;
use crate::gather::{Bringer, Bringers, Limits, Proposed};
use crate::git::Repo;
use crate::judge::facts::Pusher;
use crate::judge::verdict::{Decision, UpdateVerdict};
use crate::people::verify::SignatureFault;
use crate::policy::Mode;
use crate::record::entry::{Decided, DecisionId, Entry, Landed, PusherId, Received};
use crate::record::{Record, RecordError, View};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::push::RefUpdate;
use crate::wire::push_cert::PushCert;

use super::{Admission, AdmitError, Asked, Step, admit_from};

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
    decide_by(
        &Rulebooks::default(),
        repo,
        view,
        policy_ref,
        landed,
        received,
    )
}

fn decide_by(
    books: &Rulebooks,
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
    let asked = Asked {
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
    };
    admit_from(asked, books)
}

/// Returns whether an entry can change what is decided about a ref: an intent that it overtakes is
/// judged again.
pub fn matters(entry: &Entry, landed: &Landed, policy_ref: &RefName) -> bool {
    match entry {
        Entry::Review(review) => review.target == landed.name,
        // Not the policy of the very push: one policy judges all of it.
        Entry::Landed(other) => other.name == *policy_ref && other.intent != landed.intent,
        Entry::Adopted(_) | Entry::Genesis(_) => true,
        Entry::Incident(_) | Entry::Admin(_) => false,
    }
}

/// Returns whether a landing is *reviewed*: enforced, and every rule satisfied for the whole step.
///
/// Where no approval was counted, none was asked for: a ref was made at a recorded commit, or removed.
pub fn is_reviewed(landed: &Landed) -> bool {
    let asked = match &landed.decision {
        DecisionId::Inline(decided) => !decided.counted.is_empty(),
        // Only a decision about many paths is that large.
        DecisionId::Beside { .. } => true,
    };
    passed(landed) && asked
}

/// Returns whether a landing was accepted where that was enforced.
pub fn passed(landed: &Landed) -> bool {
    landed.mode == Mode::Enforce && landed.decision.decision() == Decision::Accept
}

/// Holds a landing, as entry `index`, against the log before it and against git objects; returns
/// what does not hold.
///
/// `index` may be the size of the log: what an open intent would record.
pub fn check(
    repo: &Repo,
    record: &Record,
    policy_ref: &RefName,
    index: u64,
    landed: &Landed,
) -> Result<Option<String>, AdmitError> {
    check_by(
        &Rulebooks::default(),
        repo,
        record,
        policy_ref,
        index,
        landed,
    )
}

/// The same, by rulebooks of which the last is kept.
pub(super) fn check_by(
    books: &Rulebooks,
    repo: &Repo,
    record: &Record,
    policy_ref: &RefName,
    index: u64,
    landed: &Landed,
) -> Result<Option<String>, AdmitError> {
    let before = record.view_at(index)?;
    if let Some(why) = out_of_place(&before, landed)? {
        return Ok(Some(why));
    }
    let decided = record.decided(landed)?;
    if let Some(later) = overtaken(&before, policy_ref, landed)? {
        let view = record.view_at(later.end)?;
        let now = decide_by(books, repo, view, policy_ref, landed, &decided.received)?;
        // Where nothing protects the ref any more there is nothing to decide by.
        if !now.landings.is_empty() {
            return Ok(Some(format!(
                "judged by the log of size {}, though entry {} mattered",
                landed.size, later.start
            )));
        }
    }
    let view = record.view_at(landed.size)?;
    let again = decide_by(books, repo, view, policy_ref, landed, &decided.received)?;
    if let Some(why) = unlike(landed, &decided, &again) {
        return Ok(Some(why));
    }
    uncertified(books, repo, record, landed)
}

/// Holds a push certificate against the landing it stands beside: the pusher's own word for it.
fn uncertified(
    books: &Rulebooks,
    repo: &Repo,
    record: &Record,
    landed: &Landed,
) -> Result<Option<String>, AdmitError> {
    let Some(sha256) = &landed.certificate else {
        return Ok(None);
    };
    let refs = landed.limits.get("refs").copied();
    let refs = refs.and_then(|refs| usize::try_from(refs).ok());
    let bytes = record.evidence(sha256)?;
    let cert = match PushCert::parse(&bytes, repo.format(), refs.unwrap_or(usize::MAX)) {
        Ok(cert) => cert,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let zero = Oid::zero(repo.format());
    let (old, new) = (landed.old.unwrap_or(zero), landed.new.unwrap_or(zero));
    let moves =
        |update: &RefUpdate| update.name == landed.name && update.old == old && update.new == new;
    if !cert.push.updates.iter().any(moves) {
        let why = format!("the push certificate does not move {}", landed.name);
        return Ok(Some(why));
    }
    let people = match books.at(repo, &landed.policy.commit) {
        Ok(rules) => rules.people,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let signer = match people.verify(&cert.signed, landed.judged) {
        Ok(signer) => Some(signer.person),
        // A later policy may know the key no more, or have it revoked.
        Err(SignatureFault::Expired(signer) | SignatureFault::Revoked(signer))
            if landed.rejudged =>
        {
            Some(signer.person)
        }
        Err(SignatureFault::UnknownSigner(_)) if landed.rejudged => return Ok(None),
        Err(_) => None,
    };
    let pusher = match &landed.pusher {
        PusherId::Person(person) => Some(person.clone()),
        PusherId::Unknown(_) => None,
    };
    Ok((signer.is_none() || signer != pusher).then(|| {
        format!(
            "the push certificate is not by whom {} was pushed",
            landed.name
        )
    }))
}

/// Decides a landing again and returns its steps: more than one where each first-parent commit wanted
/// a review of its own. Whether the entry is to be believed is [`check`]'s to say.
pub fn steps(
    repo: &Repo,
    record: &Record,
    policy_ref: &RefName,
    landed: &Landed,
) -> Result<Vec<Step>, AdmitError> {
    let received = record.decided(landed)?.received;
    let view = record.view_at(landed.size)?;
    let again = decide(repo, view, policy_ref, landed, &received)?;
    let landing = again.landings.into_iter().next();
    Ok(landing.map_or_else(Vec::new, |landing| landing.steps))
}

/// Finds what is wrong with an entry without deciding anything.
fn out_of_place(before: &View, landed: &Landed) -> Result<Option<String>, AdmitError> {
    let name = &landed.name;
    let tip = before.tip(name)?.and_then(|tip| tip.oid);
    if tip != landed.old {
        return Ok(Some(format!("{name} did not start at its recorded tip")));
    }
    if landed.size > before.size() {
        let why = "judged by a log longer than the one it stands in";
        return Ok(Some(why.to_owned()));
    }
    if before.intent_spent(&landed.intent, name)? {
        return Ok(Some(format!(
            "intent {} landed {name} before",
            landed.intent
        )));
    }
    let seen = before.time_at(landed.size)?;
    let seconds = landed.judged.as_second();
    if seen.is_some_and(|seen| seconds < seen.as_second()) || landed.at.as_second() < seconds {
        return Ok(Some(format!(
            "judged at {}, before what it was judged by or after it landed",
            landed.judged
        )));
    }
    if Limits::from_names(&landed.limits).is_none() {
        return Ok(Some("its limits are not the known ones".to_owned()));
    }
    let refused = landed.mode == Mode::Enforce && landed.decision.decision() != Decision::Accept;
    Ok((refused && !landed.rejudged).then(|| format!("{name} moved though it was refused")))
}

/// Returns the first entry that mattered between the judgement and the push's own entries, and
/// where those begin.
fn overtaken(
    before: &View,
    policy_ref: &RefName,
    landed: &Landed,
) -> Result<Option<std::ops::Range<u64>>, AdmitError> {
    // One push is judged by one size of the log, whatever it does to the policy itself.
    let mut between = before.indices(landed.size..before.size())?;
    let mut end = before.size();
    while let Some(earlier) = between.last() {
        match before.entry(*earlier)? {
            Entry::Landed(other) if other.intent == landed.intent => end = *earlier,
            _ => break,
        }
        between.pop();
    }
    for start in between {
        if matters(&before.entry(start)?, landed, policy_ref) {
            return Ok(Some(start..end));
        }
    }
    Ok(None)
}

/// Compares what is recorded with what came out.
fn unlike(landed: &Landed, decided: &Decided, again: &Admission) -> Option<String> {
    let name = &landed.name;
    let Some(landing) = again.landings.first() else {
        return Some(format!("{name} is not protected by the policy of then"));
    };
    let facts = landing.name == landed.name
        && landing.old == landed.old
        && landing.new == landed.new
        && landing.mode == landed.mode
        && landing.repository == landed.repository
        && landing.sha256 == landed.sha256
        && again.policy.as_ref() == Some(&landed.policy);
    if landing.decided == *decided && facts {
        return None;
    }
    Some(format!(
        "deciding {name} again does not give what is recorded: {}",
        difference(decided, &landing.decided)
    ))
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
