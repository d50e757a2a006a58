//! Which reviews could count for a ref, and what has ended the others (design §5).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::git::walk::Outside;
use crate::judge::facts::{PathFacts, ReviewFacts, ReviewState, Verb};
use crate::judge::verdict::{Coverage, Evidence};
use crate::people::verify::SignatureFault;
use crate::people::{People, PersonKind, PersonName};
use crate::record::Logged;
use crate::record::entry::Review;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::{ObjectFormat, Oid};
use crate::wire::review::{ReviewMessage, ReviewVerb};
use crate::wire::tag::Tag;

use super::described::ENDED;
use super::rulebook::Rulebook;
use super::{Desk, GatherError};

/// The newest approvals of one person that are looked at.
const PER_PERSON: usize = 64;
/// The newest reviews of one person that are.
pub(crate) const REVIEWS: usize = PER_PERSON * 2;

/// A review of the record, read.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Index in the log.
    pub(crate) index: u64,
    /// The entry.
    pub(crate) review: Rc<Logged>,
    /// What it says.
    pub(crate) message: Rc<ReviewMessage>,
    /// What its person is today.
    pub(crate) kind: PersonKind,
    /// Whether it may count.
    pub(crate) state: ReviewState,
    /// The heads that replace it, where it is replaced.
    pub(crate) replaced_by: Vec<Oid>,
    /// Whether an entry has counted or spent its head.
    spent: bool,
    /// Whether it is a reject in force against this step.
    pub(crate) blocks: bool,
}

impl Candidate {
    /// Returns the tip of the target that the reviewer saw.
    pub(crate) fn seen(&self) -> Oid {
        self.message.base.unwrap_or(self.review.tip)
    }

    /// Returns the facts for the judge.
    pub(crate) fn facts(&self, coverage: Coverage, residual: Vec<RepoPath>) -> ReviewFacts {
        ReviewFacts {
            index: self.index,
            tag: self.review.tag,
            person: self.review.person.clone(),
            kind: self.kind,
            verb: match self.message.verb {
                ReviewVerb::Reject => Verb::Reject,
                _ => Verb::Approve,
            },
            head: self.review.head,
            names_base: self.message.base.is_some(),
            evidence: Evidence::Signed,
            received: self.review.at,
            state: self.state,
            coverage,
            residual,
            overrides: self.message.overrides.clone(),
            blocks: self.blocks,
        }
    }
}

/// Approvals and rejections, in log order.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// All of them.
    pub(crate) all: Vec<Candidate>,
}

impl Candidates {
    /// Returns the approvals that may count, or could if a replacing head landed with them.
    pub(crate) fn usable(&self) -> impl Iterator<Item = (usize, &Candidate)> {
        self.all.iter().enumerate().filter(|(_, candidate)| {
            candidate.message.verb == ReviewVerb::Approve
                && matches!(candidate.state, ReviewState::Live | ReviewState::Replaced)
        })
    }
}

/// Collects the reviews of everyone a matching rule names, and of bots and forges, whose approvals
/// deserve a word even where they cannot count.
///
/// `new` are the commits the step brings. `next` is the policy it would bring: a rejection does not
/// hold against a step that removes its person or revokes its key.
pub(crate) fn gather(
    desk: &Desk<'_>,
    name: &RefName,
    paths: &[PathFacts],
    new: &BTreeSet<Oid>,
    next: Option<&Rulebook>,
) -> Result<Candidates, GatherError> {
    let people = &desk.rules.people;
    let mut named = crate::judge::named(&desk.rules.policy, people, name, paths);
    named.extend(
        people
            .persons
            .values()
            .filter(|person| person.kind != PersonKind::Human)
            .map(|person| person.name.clone()),
    );
    let mut read = Vec::new();
    for person in &named {
        desk.check_time()?;
        read.push(reviews_of(desk, name, person, new)?);
    }
    let history = History::of(desk, name, &read)?;
    let mut all = Vec::new();
    for reviews in &read {
        desk.check_time()?;
        all.extend(approvals(desk, &history, reviews)?);
    }
    let rejected = desk.view.rejected_heads(name)?;
    let approved = all.iter().map(|it: &Candidate| it.review.head);
    let approved: BTreeSet<Oid> = approved.filter(|head| rejected.contains(head)).collect();
    for head in rejected {
        // No other head can be brought or counted, however many were ever rejected.
        if new.contains(&head) || approved.contains(&head) {
            desk.check_time()?;
            all.extend(rejects(desk, name, &head, new, next)?);
        }
    }
    all.sort_by_key(|candidate| candidate.index);
    Ok(Candidates { all })
}

/// Returns a person's newest reviews, newest first, but for old ones that have nothing to say: of what
/// has landed the newest is described, and what the step brings once more.
fn reviews_of(
    desk: &Desk<'_>,
    name: &RefName,
    person: &PersonName,
    new: &BTreeSet<Oid>,
) -> Result<Vec<Candidate>, GatherError> {
    let reviews = desk
        .view
        .reviews_open(name, person, (REVIEWS, ENDED), new)?;
    open_all(desk, person, reviews)
}

/// Where the reviewed heads stand beside the ref's history.
struct History<'d> {
    /// What they add to the recorded tip; none where the ref has no tip.
    outside: Option<RefCell<Outside<'d>>>,
    /// Ancestors outside of some heads.
    ancestors: RefCell<HashMap<Oid, Rc<HashSet<Oid>>>>,
}

impl<'d> History<'d> {
    /// Walks once for everybody's reviews: from every head whose state depends on what it adds.
    ///
    /// Those are the heads that no entry has spent, and of later reviews by the same person, which
    /// may take an earlier one's place.
    fn of(
        desk: &Desk<'d>,
        name: &RefName,
        everybody: &[Vec<Candidate>],
    ) -> Result<Self, GatherError> {
        let mut tips = BTreeSet::new();
        for reviews in everybody {
            let mut oldest = None;
            for (position, candidate) in reviews.iter().enumerate() {
                if !candidate.spent && candidate.message.verb == ReviewVerb::Approve {
                    oldest = Some(position);
                }
            }
            let open = oldest.map_or(0, |oldest| oldest.saturating_add(1));
            let heads = reviews.iter().take(open);
            tips.extend(heads.map(|candidate| candidate.review.head));
        }
        tips.retain(|head| desk.repo.exists(head));
        let tips: Vec<Oid> = tips.into_iter().collect();
        let outside = match desk.view.tip(name)?.and_then(|tip| tip.oid) {
            Some(tip) if !tips.is_empty() => {
                let walked = Outside::new(desk.repo, &tips, &[tip], desk.limits.objects())?;
                Some(RefCell::new(walked))
            }
            _ => None,
        };
        Ok(Self {
            outside,
            ancestors: RefCell::default(),
        })
    }

    /// Returns whether a head has landed on this ref: by an entry, or by being part of its history.
    fn spent(&self, desk: &Desk<'_>, candidate: &Candidate) -> bool {
        let head = &candidate.review.head;
        let landed = |outside: &RefCell<Outside<'_>>| !outside.borrow().contains(head);
        candidate.spent || (self.outside.as_ref().is_some_and(landed) && desk.repo.exists(head))
    }

    /// Returns whether a head that is not spent is an ancestor of another.
    fn descends(&self, desk: &Desk<'_>, head: &Oid, other: &Oid) -> Result<bool, GatherError> {
        let Some(outside) = &self.outside else {
            let (repo, limit) = (desk.repo, desk.limits.objects());
            return Ok(repo.exists(head)
                && repo.exists(other)
                && desk.ancestry.is_ancestor(repo, head, other, limit)?);
        };
        if let Some(known) = self.ancestors.borrow().get(other) {
            return Ok(known.contains(head));
        }
        let found = Rc::new(outside.borrow_mut().ancestors(other)?);
        let mut ancestors = self.ancestors.borrow_mut();
        Ok(ancestors.entry(*other).or_insert(found).contains(head))
    }
}

/// Returns a person's newest approvals with their states, from their reviews, newest first.
fn approvals(
    desk: &Desk<'_>,
    history: &History<'_>,
    read: &[Candidate],
) -> Result<Vec<Candidate>, GatherError> {
    let mut approvals = Vec::new();
    for (position, candidate) in read.iter().enumerate() {
        if candidate.message.verb != ReviewVerb::Approve || approvals.len() >= PER_PERSON {
            continue;
        }
        let later = read.get(..position).unwrap_or_default();
        let mut candidate = candidate.clone();
        settle(desk, history, &mut candidate, later)?;
        approvals.push(candidate);
    }
    Ok(approvals)
}

/// Returns every review of a head for the target with its state, whoever signed it, in log order.
///
/// What a rejection or a withdrawal ended, or a later review of the same head, is `Replaced` or
/// `Withdrawn`; a standing withdrawal is `Live`. With each comes the later review that ended it.
pub(crate) fn of_head(
    desk: &Desk<'_>,
    name: &RefName,
    head: &Oid,
) -> Result<Vec<(Candidate, Option<Candidate>)>, GatherError> {
    let mut found = Vec::new();
    for (index, review) in desk.view.reviews_of_head(name, head)? {
        let person = review.person.clone();
        let Some(mut candidate) = open(desk, index, review)? else {
            continue;
        };
        let newest_first = desk.view.reviews_by(name, &person, REVIEWS)?;
        let later = newest_first.into_iter().filter(|(other, _)| *other > index);
        let later = open_all(desk, &person, later)?;
        let mut successor = None;
        if candidate.message.verb == ReviewVerb::Approve {
            let reviews = [later.as_slice(), std::slice::from_ref(&candidate)].concat();
            let history = History::of(desk, name, &[reviews])?;
            settle(desk, &history, &mut candidate, &later)?;
            if matches!(
                candidate.state,
                ReviewState::Replaced | ReviewState::Withdrawn
            ) {
                successor = succeeding(desk, &history, head, &later)?.cloned();
            }
        } else if let Some(state) = key_state(&desk.rules.people, &candidate.review) {
            candidate.state = state;
        } else if let Some(last) = later.iter().find(|other| {
            other.review.head == *head && key_state(&desk.rules.people, &other.review).is_none()
        }) {
            candidate.state = match last.message.verb {
                ReviewVerb::Withdraw => ReviewState::Withdrawn,
                ReviewVerb::Approve | ReviewVerb::Reject => ReviewState::Replaced,
            };
            successor = Some(last.clone());
        }
        found.push((candidate, successor));
    }
    Ok(found)
}

/// Returns the newest later review that takes the place of one of `head`.
fn succeeding<'r>(
    desk: &Desk<'_>,
    history: &History<'_>,
    head: &Oid,
    later: &'r [Candidate],
) -> Result<Option<&'r Candidate>, GatherError> {
    if let Some(same) = later.iter().find(|other| other.review.head == *head) {
        return Ok(Some(same));
    }
    for other in later {
        if replacing(desk, history, head, std::slice::from_ref(other))?.is_some() {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Reads the tags of a person's entries again; what once was sound still is, so a fault means a
/// foreign entry.
fn open_all(
    desk: &Desk<'_>,
    person: &PersonName,
    reviews: impl IntoIterator<Item = (u64, Rc<Logged>)>,
) -> Result<Vec<Candidate>, GatherError> {
    let person = desk.rules.people.person(person);
    let kind = person.map_or(PersonKind::Human, |person| person.kind);
    let reviews = reviews.into_iter();
    let mut open = Vec::with_capacity(reviews.size_hint().0);
    for (index, review) in reviews {
        let Some(message) = review.message(desk.repo.format()) else {
            continue;
        };
        open.push(Candidate {
            index,
            spent: desk.view.is_spent(&review)?,
            review,
            message,
            kind,
            state: ReviewState::Live,
            replaced_by: Vec::new(),
            blocks: false,
        });
    }
    Ok(open)
}

fn open(desk: &Desk<'_>, index: u64, review: Rc<Logged>) -> Result<Option<Candidate>, GatherError> {
    let person = review.person.clone();
    Ok(open_all(desk, &person, [(index, review)])?.pop())
}

/// Reads the message of a logged review.
pub fn message_of(review: &Review, format: ObjectFormat) -> Option<ReviewMessage> {
    let raw = STANDARD.decode(&review.raw).ok()?;
    let tag = Tag::parse(&raw, format).ok()?;
    ReviewMessage::parse(&tag.message, format).ok()
}

/// Finds what has ended an approval; `later` are that person's later reviews for the target.
fn settle(
    desk: &Desk<'_>,
    history: &History<'_>,
    candidate: &mut Candidate,
    later: &[Candidate],
) -> Result<(), GatherError> {
    let head = candidate.review.head;
    // Most have landed: their signatures need not be verified once more to say so.
    candidate.state = if history.spent(desk, candidate) {
        ReviewState::Spent
    } else if let Some(state) = key_state(&desk.rules.people, &candidate.review) {
        state
    } else if let Some(last) = later.iter().find(|other| other.review.head == head) {
        // The newest comes first. The same approval once more takes the older one's place.
        match last.message.verb {
            ReviewVerb::Withdraw => ReviewState::Withdrawn,
            _ => ReviewState::Replaced,
        }
    } else {
        let replaced = replacing(desk, history, &head, later)?;
        let state = match (&replaced, expired(desk, &candidate.review)) {
            (_, true) => ReviewState::Expired,
            (Some(_), false) => ReviewState::Replaced,
            (None, false) => ReviewState::Live,
        };
        candidate.replaced_by = replaced.unwrap_or_default();
        state
    };
    Ok(())
}

/// Finds whether later reviews take the place of one of `head`; gives the heads of those that land
/// all that `head` would.
///
/// One that names `head` without descending from it is an alternative: it ends `head` for good. So
/// does one whose head is gone, for nobody can tell what it descended from.
fn replacing(
    desk: &Desk<'_>,
    history: &History<'_>,
    head: &Oid,
    later: &[Candidate],
) -> Result<Option<Vec<Oid>>, GatherError> {
    let (mut descend, mut ended) = (Vec::new(), false);
    for other in later {
        let message = &other.message;
        let (named, newer) = (message.replaces.contains(head), &other.review.head);
        if !named && message.keeps.contains(head) {
            continue;
        }
        if !desk.repo.exists(newer) || !desk.repo.exists(head) {
            ended = true;
        } else if history.descends(desk, head, newer)? {
            descend.push(*newer);
        } else {
            ended |= named;
        }
    }
    Ok(match (ended, descend.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, false) => Some(descend),
        (false, true) => None,
    })
}

fn expired(desk: &Desk<'_>, review: &Review) -> bool {
    desk.rules.policy.approvals_expire.is_some_and(|limit| {
        review
            .at
            .checked_add(limit)
            .is_ok_and(|end: Timestamp| desk.now >= end)
    })
}

/// Returns what is wrong with the key or person by the policy in force, if anything.
///
/// Asks the signature itself again, as of its receipt: a certificate may carry a revocation of its
/// own by now.
pub(crate) fn key_state(people: &People, review: &Logged) -> Option<ReviewState> {
    let Some(question) = review.question() else {
        return Some(ReviewState::Unknown);
    };
    people.answered(question, |answer| match answer {
        Ok(signer) if signer.person == review.person => None,
        Err(SignatureFault::Revoked(_)) => Some(ReviewState::KeyRevoked),
        _ => Some(ReviewState::Unknown),
    })
}

/// Returns the standing rejections of a head: where a person's last review of it is one.
///
/// A review that is not to be believed any more takes no rejection back.
fn rejects(
    desk: &Desk<'_>,
    name: &RefName,
    head: &Oid,
    new: &BTreeSet<Oid>,
    next: Option<&Rulebook>,
) -> Result<Vec<Candidate>, GatherError> {
    let mut last = BTreeMap::new();
    for (index, review) in desk.view.reviews_of_head(name, head)? {
        if key_state(&desk.rules.people, &review).is_none() {
            last.insert(review.person.clone(), (index, review));
        }
    }
    let mut standing = Vec::new();
    for (index, review) in last.into_values() {
        let read = open(desk, index, review)?;
        standing.extend(read.filter(|candidate| candidate.message.verb == ReviewVerb::Reject));
    }
    let standing = standing.into_iter();
    Ok(standing
        .map(|candidate| reject(desk, candidate, new, next))
        .collect())
}

/// Finds whether a standing rejection is in force.
fn reject(
    desk: &Desk<'_>,
    mut candidate: Candidate,
    new: &BTreeSet<Oid>,
    next: Option<&Rulebook>,
) -> Candidate {
    let removed = next.is_some_and(|next| is_removed(desk, &candidate.review, &next.people));
    candidate.blocks = new.contains(&candidate.review.head) && !removed;
    // Heads that are counted without being reachable (a squash) are added by the coverage.
    candidate.state = match removed {
        true => ReviewState::Unknown,
        false => ReviewState::Live,
    };
    candidate
}

/// Returns whether a step takes a reviewer away: `next` lists the key no more, for somebody else, or
/// as revoked by now. A certified key is listed nowhere; its CA is asked for.
fn is_removed(desk: &Desk<'_>, review: &Logged, next: &People) -> bool {
    if let Some((person, key)) = next.key(&review.key) {
        let revoked = key.term.revoked.is_some_and(|since| since <= desk.now);
        return person.name != review.person || revoked;
    }
    let question = review.question();
    match question.map(|question| next.verify(&question.signed, desk.now)) {
        Some(Ok(signer) | Err(SignatureFault::Expired(signer))) => signer.person != review.person,
        _ => true,
    }
}
