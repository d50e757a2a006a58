//! Reviews and proposals in the push itself.
//!
//! A review that could never count refuses its push: whoever signed it should hear of that now, not
//! when the landing is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bstr::ByteSlice as _;

use crate::git::merge::{Merged, merged_id};
use crate::git::walk;
use crate::judge::facts::{Notice, Pusher, UpdateFacts};
use crate::judge::verdict::Code;
use crate::people::PersonKind;
use crate::people::verify::Signer;
use crate::record::entry::Review;
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::{ObjectFormat, Oid};
use crate::wire::refname;
use crate::wire::review::{ReviewMessage, ReviewVerb};
use crate::wire::tag::Tag;

use super::candidates::{key_state, message_of};
use super::commits::trees_of;
use super::hands::fault_notice;
use super::{Desk, GatherError, Gathered, Proposed, notice};

/// The most bytes of a review tag; an entry of the log must hold it.
pub const REVIEW_LIMIT: u64 = 32 << 10;

/// Gathers a review: either a sound one to log, or notices.
pub(crate) fn review(
    desk: &Desk<'_>,
    proposed: &Proposed,
    mut facts: UpdateFacts,
) -> Result<Gathered, GatherError> {
    match read(desk, proposed)? {
        Ok(Read::New(review)) => Ok(Gathered {
            facts,
            review: Some(*review),
            known_review: false,
        }),
        Ok(Read::Known) => Ok(Gathered {
            facts,
            review: None,
            known_review: true,
        }),
        Err(refused) => {
            facts.notices.push(refused);
            Ok(Gathered::plain(facts))
        }
    }
}

enum Read {
    New(Box<Review>),
    Known,
}

type Outcome<T> = Result<Result<T, Notice>, GatherError>;

fn malformed(oid: &Oid, why: impl Into<String>) -> Notice {
    notice(Code::MalformedReview, [oid.to_string(), why.into()])
}

fn read(desk: &Desk<'_>, proposed: &Proposed) -> Outcome<Read> {
    let name = &proposed.name;
    let Some(new) = proposed.new else {
        return Ok(Err(notice(Code::DeletedRef, [name.to_string()])));
    };
    let was = match &proposed.current {
        Some(Some(_)) => true,
        Some(None) => false,
        None => proposed.old.is_some(),
    };
    if was {
        return Ok(Err(notice(Code::MovedTag, [name.to_string()])));
    }
    let (tag, raw) = match read_tag(desk, &new)? {
        Ok(read) => read,
        Err(refused) => return Ok(Err(refused)),
    };
    let message = match message(desk, name, &new, &tag) {
        Ok(message) => message,
        Err(refused) => return Ok(Err(refused)),
    };
    let signer = match signer(desk, &new, &tag) {
        Ok(signer) => signer,
        Err(refused) => return Ok(Err(refused)),
    };
    if desk.view.has_tag(&new)?.is_some() {
        return Ok(Ok(Read::Known));
    }
    let tip = match tip_of(desk, &message.target)? {
        Some(tip) => tip,
        None => return Ok(Err(malformed(&new, "the target has no recorded tip yet"))),
    };
    if let Some(untrue) = untrue(desk, &new, &tag, &message, &signer, &tip)? {
        return Ok(Err(untrue));
    }
    if let Some(replayed) = replayed(desk, &new, &tag, &message, &signer)? {
        return Ok(Err(replayed));
    }
    Ok(Ok(Read::New(Box::new(Review {
        at: desk.now,
        name: name.clone(),
        pusher: match desk.pusher {
            Pusher::Person(person) => Some(person.clone()),
            _ => None,
        },
        tag: new,
        raw: STANDARD.encode(raw),
        person: signer.person,
        key: signer.fingerprint,
        target: message.target,
        head: tag.target,
        tip,
    }))))
}

fn read_tag(desk: &Desk<'_>, oid: &Oid) -> Outcome<(Tag, Vec<u8>)> {
    let (kind, size) = desk.repo.kind_and_size(oid)?;
    if kind != ObjectKind::Tag {
        return Ok(Err(malformed(oid, "not a tag object")));
    }
    if size > REVIEW_LIMIT {
        let why = format!("{size} bytes, a review has at most {REVIEW_LIMIT}");
        return Ok(Err(malformed(oid, why)));
    }
    let raw = desk.repo.raw(oid, ObjectKind::Tag, REVIEW_LIMIT)?.to_vec();
    Ok(match Tag::parse(&raw, desk.repo.format()) {
        Ok(tag) => Ok((tag, raw)),
        Err(error) => Err(malformed(oid, error.to_string())),
    })
}

/// Checks what the tag says of itself against the ref it came by and against the policy.
fn message(desk: &Desk<'_>, name: &RefName, oid: &Oid, tag: &Tag) -> Result<ReviewMessage, Notice> {
    if !tag.name.starts_with_str("countersign/") {
        return Err(malformed(
            oid,
            "the tag's name does not begin with countersign/",
        ));
    }
    if tag.kind != ObjectKind::Commit {
        return Err(malformed(oid, "not a tag of a commit"));
    }
    if refname::review_ref(name).is_none_or(|(head, _)| head != tag.target) {
        let why = format!("the ref names another commit than {}", tag.target);
        return Err(malformed(oid, why));
    }
    if tag.tagger.is_none() {
        return Err(malformed(oid, "no tagger line"));
    }
    let message = ReviewMessage::parse(&tag.message, desk.repo.format())
        .map_err(|error| malformed(oid, error.to_string()))?;
    if message.repository != desk.rules.policy.repository {
        let about = [message.repository, desk.rules.policy.repository.clone()];
        return Err(notice(Code::WrongRepository, about));
    }
    let protection = desk
        .rules
        .policy
        .protection(&message.target, desk.policy_ref);
    if protection.is_none() {
        return Err(notice(Code::WrongTarget, [message.target.to_string()]));
    }
    Ok(message)
}

fn signer(desk: &Desk<'_>, oid: &Oid, tag: &Tag) -> Result<Signer, Notice> {
    let Some(signed) = &tag.signed else {
        return Err(malformed(oid, "not signed"));
    };
    let signer = desk
        .rules
        .people
        .verify(signed, desk.now)
        .map_err(|fault| fault_notice(&fault, oid))?;
    if signer.kind == PersonKind::Forge {
        let about = [signer.person.to_string(), oid.to_string()];
        return Err(notice(Code::BotApproval, about));
    }
    Ok(signer)
}

/// Returns the tip a reviewer of `target` saw: its recorded tip, the policy ref's where it has none.
fn tip_of(desk: &Desk<'_>, target: &RefName) -> Result<Option<Oid>, GatherError> {
    for name in [target, desk.policy_ref] {
        if let Some(tip) = desk.view.tip(name)?.and_then(|tip| tip.oid) {
            return Ok(Some(tip));
        }
    }
    Ok(None)
}

/// Finds the first statement of the block that does not hold.
fn untrue(
    desk: &Desk<'_>,
    oid: &Oid,
    tag: &Tag,
    message: &ReviewMessage,
    signer: &Signer,
    tip: &Oid,
) -> Result<Option<Notice>, GatherError> {
    let target = &message.target;
    // The head must be a commit that can be read, whatever the tag's header calls it.
    desk.repo.commit(&tag.target)?;
    if let Some(base) = &message.base {
        let was = desk.view.was_tip(target, base)?
            || (desk.view.tip(target)?.is_none() && desk.view.was_tip(desk.policy_ref, base)?);
        if !was {
            let why = format!("Base {base} was never the recorded tip of {target}");
            return Ok(Some(malformed(oid, why)));
        }
    }
    if let Some(tree) = &message.tree
        && landing(desk, &tag.target, &message.base.unwrap_or(*tip))? != Some(*tree)
    {
        let why = format!("Tree {tree} is not what landing {} gives", tag.target);
        return Ok(Some(malformed(oid, why)));
    }
    for head in message.keeps.iter().chain(&message.replaces) {
        let theirs = desk.view.reviews_of_head(target, head)?;
        if !theirs
            .iter()
            .any(|(_, other)| other.person == signer.person)
        {
            let why = format!("{} has no review of {head} for {target}", signer.person);
            return Ok(Some(malformed(oid, why)));
        }
    }
    for reject in &message.overrides {
        let logged = desk.view.review_tag(reject)?.is_some_and(|(_, other)| {
            other.target == *target
                && message_of(&other, desk.repo.format())
                    .is_some_and(|other| other.verb == ReviewVerb::Reject)
        });
        if !logged {
            let why = format!("Override {reject} is no logged rejection for {target}");
            return Ok(Some(malformed(oid, why)));
        }
    }
    Ok(None)
}

/// Returns the tree that landing `head` on `base` gives, if it is clean.
fn landing(desk: &Desk<'_>, head: &Oid, base: &Oid) -> Result<Option<Oid>, GatherError> {
    let common = walk::merge_bases(desk.repo, head, base, desk.limits.objects())?;
    let [common] = common.as_slice() else {
        return Ok(None);
    };
    let tree = |oid: &Oid| desk.repo.commit(oid).map(|commit| commit.tree);
    match merged_id(desk.repo, &tree(common)?, &tree(base)?, &tree(head)?)? {
        Merged::Clean(tree) => Ok(Some(tree)),
        Merged::Conflict(_) => Ok(None),
    }
}

/// Finds whether an older statement of the same person is pushed after a newer one, or the same
/// once more.
fn replayed(
    desk: &Desk<'_>,
    oid: &Oid,
    tag: &Tag,
    message: &ReviewMessage,
    signer: &Signer,
) -> Result<Option<Notice>, GatherError> {
    let date = tag.tagger.as_ref().map_or(0, |tagger| tagger.seconds);
    for (_, other) in desk.view.reviews_of_head(&message.target, &tag.target)? {
        if other.person != signer.person {
            continue;
        }
        let raw = STANDARD.decode(&other.raw).unwrap_or_default();
        let logged = Tag::parse(&raw, desk.repo.format()).ok();
        let same = logged
            .as_ref()
            .is_some_and(|logged| same_words(logged, tag));
        let logged = logged
            .and_then(|tag| tag.tagger)
            .map_or(0, |tagger| tagger.seconds);
        // A stolen key, dated ahead, does not keep its person from speaking once it is revoked.
        let earlier = date < logged && key_state(&desk.rules.people, &other).is_none();
        if earlier || same {
            let about = [oid.to_string(), other.tag.to_string()];
            return Ok(Some(notice(Code::ReplayedReview, about)));
        }
    }
    Ok(None)
}

/// Returns whether two tags are the same signed words. Armour and signature can be spelled otherwise
/// by anybody; that is no second statement of the person's.
pub(crate) fn same_words(one: &Tag, other: &Tag) -> bool {
    match (&one.signed, &other.signed) {
        (Some(one), Some(other)) => one.payload == other.payload,
        _ => false,
    }
}

/// What an earlier review of the same push makes of one.
pub(crate) enum InPush {
    /// Nothing.
    New,
    /// It is there twice.
    Known,
    /// The order in which they would be logged is the pusher's choice, not the reviewer's.
    Replayed(Notice),
}

/// Compares a review with those that the same push would log before it.
pub(crate) fn in_push(before: &[Review], review: &Review, format: ObjectFormat) -> InPush {
    let date = |review: &Review| {
        let raw = STANDARD.decode(&review.raw).unwrap_or_default();
        let tagger = Tag::parse(&raw, format).ok().and_then(|tag| tag.tagger);
        tagger.map_or(0, |tagger| tagger.seconds)
    };
    let of = |review: &Review| (review.person.clone(), review.target.clone(), review.head);
    for other in before.iter().filter(|other| of(other) == of(review)) {
        if other.tag == review.tag {
            return InPush::Known;
        }
        if date(review) <= date(other) {
            let about = [review.tag.to_string(), other.tag.to_string()];
            return InPush::Replayed(notice(Code::ReplayedReview, about));
        }
    }
    InPush::New
}

/// Gathers a proposal: one's own, and safe to keep.
pub(crate) fn proposal(
    desk: &Desk<'_>,
    proposed: &Proposed,
    mut facts: UpdateFacts,
) -> Result<UpdateFacts, GatherError> {
    let owner = refname::proposal_ref(&proposed.name).map(|(owner, _)| owner);
    let own = match (desk.pusher, owner) {
        (Pusher::Person(person), Some(owner)) => person.as_str() == owner,
        // Said as `unknown-pusher` by the judge.
        _ => true,
    };
    if !own {
        let why = "a proposal's ref carries the name of whoever pushes it".to_owned();
        facts.notices.push(notice(Code::ForbiddenRef, [why]));
        return Ok(facts);
    }
    let Some(new) = proposed.new else {
        return Ok(facts);
    };
    let mut tips = Vec::new();
    for tip in desk.view.tips()?.into_values().filter_map(|tip| tip.oid) {
        tips.extend(desk.repo.commit_of(&tip)?);
    }
    let commits = walk::new_commits(desk.repo, &new, &tips, desk.limits.objects())?;
    facts.commits = commits.len();
    facts.notices.extend(trees_of(desk, &commits)?);
    Ok(facts)
}
