//! The one path from proposed updates to a decision.
//!
//! A push, `check` in a clone and the replay of an entry all ask here, with the same facts and the
//! same judge:
//!
//! 1. read the policy at the recorded tip of the policy ref;
//! 2. gather the reviews in the push, and let them count as if logged first;
//! 3. gather every other update;
//! 4. judge the whole.

pub mod adopt;
pub mod baseline;
pub mod history;
pub mod rehearse;
pub mod replay;
pub mod residual;
pub mod sealed;
pub mod settle;
pub mod shares;
pub mod standing;
pub mod unknown;

use std::collections::BTreeMap;

use faster_hex::hex_string;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::gather::incoming::{self, InPush};
use crate::gather::rulebook::{Rulebook, RulebookError, Rulebooks};
use crate::gather::{self, Bringer, Bringers, Desk, Gathered, Limits, Proposed};
use crate::git::changes::changes;
use crate::git::{GitError, RefValue, Repo};
use crate::judge::facts::{Facts, HeadFacts, Pusher, Scope, UpdateFacts};
use crate::judge::verdict::{Code, Decision, SCHEMA, UpdateVerdict, Verdict};
use crate::judge::{self, Judgement};
use crate::people::{People, PersonName};
use crate::policy::Mode;
use crate::record::entry::{CountedHead, Decided, Entry, PolicyId, Received, Review};
use crate::record::{RecordError, View};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::{ObjectFormat, Oid};
use crate::wire::tree::FileMode;

/// How many times `limits.bytes` of contents are hashed for one update.
const CONTENTS: u64 = 32;

/// What is asked, against which state of things.
#[derive(Clone)]
pub struct Asked<'a> {
    /// The objects.
    pub repo: &'a Repo,
    /// The record as of one size.
    pub view: View,
    /// The policy ref.
    pub policy_ref: &'a RefName,
    /// The limits in force.
    pub limits: &'a Limits,
    /// Whether the host has everything in dry run.
    pub mode: Mode,
    /// Server time.
    pub now: Timestamp,
    /// Finds the pusher among the people in force.
    pub pusher: &'a dyn Fn(&People) -> Pusher,
    /// Who first brought what.
    pub bringers: &'a dyn Bringers,
    /// Whether the time allowed is over.
    pub expired: &'a dyn Fn() -> bool,
    /// The updates of the push.
    pub updates: &'a [Proposed],
}

/// The answer, with what would have to be recorded.
#[derive(Debug)]
pub struct Admission {
    /// For whoever asked.
    pub verdict: Verdict,
    /// Who that is.
    pub pusher: Pusher,
    /// The policy that decided; none if there is none to be had.
    pub policy: Option<PolicyId>,
    /// Reviews to log if the push is accepted.
    pub reviews: Vec<Review>,
    /// Review refs whose bytes are known already.
    pub known_reviews: Vec<RefName>,
    /// Movements of protected refs, to intend if the push is accepted.
    pub landings: Vec<Landing>,
}

/// A protected ref that would move.
#[derive(Debug)]
pub struct Landing {
    /// `repository` of the policy.
    pub repository: String,
    /// The ref.
    pub name: RefName,
    /// P.
    pub old: Option<Oid>,
    /// N.
    pub new: Option<Oid>,
    /// The commit that N is or, where a tag object is pushed, that it is of.
    pub commit: Option<Oid>,
    /// The mode it was judged in.
    pub mode: Mode,
    /// What was decided, and what that rests on.
    pub decided: Decided,
    /// SHA-256 of the decisive commits.
    pub sha256: BTreeMap<Oid, String>,
    /// The steps that were decided, each for itself; no part of the record, which gives them again.
    pub steps: Vec<Step>,
}

/// A step of a landing that approvals covered.
#[derive(Debug)]
pub struct Step {
    /// The commit that it ends in.
    pub to: Oid,
    /// The heads that landed in it.
    pub counted: Vec<CountedHead>,
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Objects that were just judged cannot be read again.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Facts beyond a verdict cannot be gathered.
    #[error(transparent)]
    Gather(#[from] gather::GatherError),
}

/// What a ref is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefState {
    /// Not there.
    Absent,
    /// Holds an object.
    At(Oid),
    /// Is another name of a ref.
    Symbolic(RefName),
}

impl From<Option<RefValue>> for RefState {
    fn from(value: Option<RefValue>) -> Self {
        match value {
            None => Self::Absent,
            Some(RefValue::Oid(oid)) => Self::At(oid),
            Some(RefValue::Symbolic(to)) => Self::Symbolic(to),
        }
    }
}

impl From<Option<Oid>> for RefState {
    fn from(tip: Option<Oid>) -> Self {
        tip.map_or(Self::Absent, Self::At)
    }
}

/// Decides.
///
/// Everything that could not be established about the updates is in the verdict, as a refusal or as
/// undecided; an error means that there is no verdict, and is never an accept.
pub fn admit(asked: Asked<'_>) -> Result<Admission, AdmitError> {
    admit_from(asked, &Rulebooks::default())
}

/// Decides, by rulebooks of which the last is kept.
fn admit_from(asked: Asked<'_>, books: &Rulebooks) -> Result<Admission, AdmitError> {
    match rules_by(books, asked.repo, &asked.view, asked.policy_ref)? {
        Ok(rules) => admit_by(asked, &rules),
        Err(error) => Ok(without_rules(&asked, &error)),
    }
}

/// Reads the policy at the recorded tip of the policy ref.
pub(crate) fn rules(
    repo: &Repo,
    view: &View,
    policy_ref: &RefName,
) -> Result<Result<Rulebook, RulebookError>, RecordError> {
    rules_by(&Rulebooks::default(), repo, view, policy_ref)
}

fn rules_by(
    books: &Rulebooks,
    repo: &Repo,
    view: &View,
    policy_ref: &RefName,
) -> Result<Result<Rulebook, RulebookError>, RecordError> {
    let tip = view.tip(policy_ref)?.and_then(|tip| tip.oid);
    Ok(match tip {
        Some(commit) => books.at(repo, &commit),
        None => Err(RulebookError::Missing {
            file: crate::policy::parse::FILE,
            commit: Oid::zero(repo.format()),
        }),
    })
}

/// Decides by rules that were read already, which must be those in force.
pub(crate) fn admit_by(asked: Asked<'_>, rules: &Rulebook) -> Result<Admission, AdmitError> {
    let pusher = (asked.pusher)(&rules.people);
    let is_review = |update: &Proposed| {
        update
            .name
            .as_bstr()
            .starts_with(b"refs/countersign/reviews/")
    };
    let mut gathered: Vec<Option<Work>> = asked.updates.iter().map(|_| None).collect();
    let desk_on = |view: &View, reviews: bool, gathered: &mut Vec<Option<Work>>| {
        let desk = Desk::new(
            asked.repo,
            view,
            rules,
            asked.policy_ref,
            asked.limits,
            asked.now,
            &pusher,
            asked.bringers,
            asked.expired,
        );
        for (slot, update) in gathered.iter_mut().zip(asked.updates) {
            if is_review(update) == reviews {
                *slot = Some(Work::gather(&desk, update));
            }
        }
    };
    desk_on(&asked.view, true, &mut gathered);
    let mut reviews: Vec<Review> = Vec::new();
    for work in gathered.iter_mut().flatten() {
        work.follow(&mut reviews, asked.repo.format());
    }
    let pending = reviews.iter().cloned().map(Entry::Review).collect();
    let view = asked.view.with_pending(pending)?;
    desk_on(&view, false, &mut gathered);
    let works: Vec<Work> = gathered.into_iter().flatten().collect();
    let facts = Facts {
        now: asked.now,
        repository: rules.policy.repository.clone(),
        pusher: pusher.clone(),
        updates: works
            .iter()
            .map(|work| in_mode(work.gathered.facts.clone(), asked.mode))
            .collect(),
    };
    let judgement = judge::judge(&rules.policy, &rules.people, &facts);
    let landings = landings(asked.repo, asked.limits, &view, &facts, &works, &judgement)?;
    Ok(Admission {
        verdict: judgement.verdict,
        pusher,
        policy: Some(rules.id.clone()),
        reviews,
        known_reviews: works
            .iter()
            .filter(|work| work.gathered.known_review)
            .map(|work| work.gathered.facts.name.clone())
            .collect(),
        landings,
    })
}

/// One update's facts, and the answers about first bringers that they rest on.
struct Work {
    gathered: Gathered,
    rested_on: BTreeMap<Oid, Bringer>,
}

impl Work {
    fn gather(desk: &Desk<'_>, update: &Proposed) -> Self {
        let gathered = gather::update(desk, update);
        Self {
            gathered,
            rested_on: desk.take_rested_on(),
        }
    }

    /// Puts a new review behind those that the same push would log before it.
    fn follow(&mut self, before: &mut Vec<Review>, format: ObjectFormat) {
        let Some(review) = self.gathered.review.take() else {
            return;
        };
        match incoming::in_push(before, &review, format) {
            InPush::New => before.push(review),
            InPush::Known => self.gathered.known_review = true,
            InPush::Replayed(notice) => self.gathered.facts.notices.push(notice),
        }
    }
}

/// Lets the host's dry run weaken a ref's own mode.
fn in_mode(mut facts: UpdateFacts, mode: Mode) -> UpdateFacts {
    if let Scope::Protected(protection) = &mut facts.scope {
        protection.mode = protection.mode.min(mode);
    }
    facts
}

/// Returns whether a decision rests on what cannot be asked again: the ref as it was, the time it
/// took. Such a push passes in dry run only, and leaves the ref unknown to the record.
fn of_the_moment(verdict: &UpdateVerdict) -> bool {
    let codes = [Code::UnknownTip, Code::OverBudget, Code::Undecidable];
    verdict.findings.iter().any(|f| codes.contains(&f.code))
}

fn landings(
    repo: &Repo,
    limits: &Limits,
    view: &View,
    facts: &Facts,
    works: &[Work],
    judgement: &Judgement,
) -> Result<Vec<Landing>, AdmitError> {
    let mut landings = Vec::new();
    let rows = judgement.verdict.updates.iter().zip(&judgement.chosen);
    for ((update, work), (verdict, chosen)) in facts.updates.iter().zip(works).zip(rows) {
        if !matches!(update.scope, Scope::Protected(_)) || of_the_moment(verdict) {
            continue;
        }
        let steps = decided_steps(repo, view, update, verdict, chosen)?;
        let heads = steps.iter().flat_map(|step| &step.counted);
        let counted: Vec<CountedHead> = heads.cloned().collect();
        let decisive = update
            .to
            .iter()
            .chain(counted.iter().map(|head| &head.head));
        let mut sha256 = BTreeMap::new();
        for oid in decisive {
            sha256.insert(*oid, digest(repo, oid)?);
        }
        landings.push(Landing {
            repository: facts.repository.clone(),
            name: update.name.clone(),
            old: update.from,
            new: update.to,
            commit: update.steps.last().map_or(update.to, |step| Some(step.to)),
            mode: verdict.mode,
            decided: Decided {
                verdict: verdict.clone(),
                counted,
                received: grouped(&work.rested_on),
                contents: match verdict.decision {
                    Decision::Accept => contents(repo, limits, update)?,
                    Decision::Undecided | Decision::Refuse => BTreeMap::new(),
                },
            },
            sha256,
            steps,
        });
    }
    Ok(landings)
}

/// Returns SHA-256 of the contents that an update brings, as far as they may be read.
fn contents(
    repo: &Repo,
    limits: &Limits,
    update: &UpdateFacts,
) -> Result<BTreeMap<Oid, String>, AdmitError> {
    let mut hashes = BTreeMap::new();
    let mut left = limits.bytes.saturating_mul(CONTENTS);
    for step in &update.steps {
        let Some(from) = step.from else {
            continue;
        };
        let (old, new) = (repo.commit(&from)?.tree, repo.commit(&step.to)?.tree);
        for change in changes(repo, Some(&old), &new, limits.paths())? {
            let Some((mode, oid)) = change.new.filter(|(_, oid)| !hashes.contains_key(oid)) else {
                continue;
            };
            if mode == FileMode::Submodule {
                continue;
            }
            let (_, size) = repo.kind_and_size(&oid)?;
            if size <= limits.bytes && size <= left {
                left = left.saturating_sub(size);
                let raw = repo.raw(&oid, ObjectKind::Blob, limits.bytes)?;
                hashes.insert(oid, hex_string(&Sha256::digest(&*raw)));
            }
        }
    }
    Ok(hashes)
}

/// Returns SHA-256 of a decisive object's raw bytes: what its id says in a weaker hash.
fn digest(repo: &Repo, oid: &Oid) -> Result<String, AdmitError> {
    const LIMIT: u64 = 1 << 20;
    let (kind, _) = repo.kind_and_size(oid)?;
    let kind = match kind {
        ObjectKind::Tag => ObjectKind::Tag,
        _ => ObjectKind::Commit,
    };
    Ok(hex_string(&Sha256::digest(&*repo.raw(oid, kind, LIMIT)?)))
}

/// Lists the steps that were decided, with the heads that were counted and what is spent with them.
fn decided_steps(
    repo: &Repo,
    view: &View,
    update: &UpdateFacts,
    verdict: &UpdateVerdict,
    chosen: &[Option<usize>],
) -> Result<Vec<Step>, AdmitError> {
    let mut steps = Vec::new();
    for (step, choice) in update.steps.iter().zip(chosen) {
        let Some(sequence) = choice.and_then(|choice| step.sequences.get(choice)) else {
            continue;
        };
        let mut counted = Vec::new();
        for head in sequence {
            let head = counted_head(repo, view, update, verdict, head)?;
            // Where no rule asked (a ref made at a recorded commit), nothing was counted.
            if !head.reviews.is_empty() {
                counted.push(head);
            }
        }
        steps.push(Step {
            to: step.to,
            counted,
        });
    }
    Ok(steps)
}

fn counted_head(
    repo: &Repo,
    view: &View,
    update: &UpdateFacts,
    verdict: &UpdateVerdict,
    head: &HeadFacts,
) -> Result<CountedHead, AdmitError> {
    const SPENT_LIMIT: usize = 100_000;
    let counts = |person: &PersonName| {
        let mut approvals = verdict.approvals.iter();
        approvals.any(|it| it.counted && it.person == *person && it.commit == head.head)
    };
    let mut reviews = Vec::new();
    let mut base = None;
    for (position, _) in &head.approvals {
        let Some(review) = update.reviews.get(*position) else {
            continue;
        };
        if !counts(&review.person) {
            continue;
        }
        reviews.push(review.index);
        if base.is_none() {
            base = view.review_tag(&review.tag)?.map(|(_, review)| {
                review
                    .message(repo.format())
                    .and_then(|message| message.base)
                    .unwrap_or(review.tip)
            });
        }
    }
    // A head that N reaches is spent by being history; a squashed one must be remembered.
    let base = base.unwrap_or(head.head);
    let mut hidden = vec![base];
    for tip in update.to.iter().chain(&update.from) {
        // A tag object has no history of its own.
        hidden.extend(repo.commit_of(tip)?);
    }
    let spent = crate::git::walk::new_commits(repo, &head.head, &hidden, SPENT_LIMIT)?;
    Ok(CountedHead {
        head: head.head,
        base,
        reviews,
        spent,
    })
}

/// Groups answers about first bringers by who and when, in a fixed order.
fn grouped(rested_on: &BTreeMap<Oid, Bringer>) -> Vec<Received> {
    let mut groups: BTreeMap<_, Vec<Oid>> = BTreeMap::new();
    for (commit, bringer) in rested_on {
        let key = (bringer.at, bringer.person.clone());
        groups.entry(key).or_default().push(*commit);
    }
    groups
        .into_iter()
        .map(|((at, pusher), commits)| Received {
            at,
            pusher,
            commits,
        })
        .collect()
}

fn strongest(updates: &[UpdateVerdict]) -> Decision {
    let decisions = updates.iter().map(|update| update.decision);
    decisions.max().unwrap_or(Decision::Undecided)
}

/// The answer where there is no policy to judge by: every update is refused, with the reason.
fn without_rules(asked: &Asked<'_>, error: &RulebookError) -> Admission {
    let notice = gather::protected::rulebook_notice(error);
    let pusher = (asked.pusher)(&People::default());
    let repository = String::new();
    let updates: Vec<UpdateVerdict> = asked
        .updates
        .iter()
        .map(|update| judge::refused_for(&update.name, update.old, update.new, &notice))
        .collect();
    Admission {
        verdict: Verdict {
            schema: SCHEMA.to_owned(),
            decision: strongest(&updates),
            mode: Mode::Enforce,
            repository,
            updates,
        },
        pusher,
        policy: None,
        reviews: Vec::new(),
        known_reviews: Vec::new(),
        landings: Vec::new(),
    }
}
