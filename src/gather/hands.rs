//! Who had a hand in a range of commits, and what proves it (design §6).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bstr::{BString, ByteSlice};
use jiff::{SignedDuration, Timestamp};

use crate::git::GitError;
use crate::git::merge::Merged;
use crate::judge::facts::{Contributor, Notice, Pusher};
use crate::judge::verdict::{Code, Role};
use crate::people::verify::{SignatureFault, Signer};
use crate::people::{PersonKind, PersonName};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::commits::{Said, Who};
use super::coverage::cannot_tell;
use super::{Bringer, Desk, GatherError, notice};

/// How far ahead of the server's clock a commit may claim to be made.
const SKEW: SignedDuration = SignedDuration::from_hours(24);
/// The most bytes of what a commit says of people that are kept.
const SMALL: usize = 1 << 10;
/// The most bytes of names that one change may have had a hand in: tens of thousands of people.
const NAMED: usize = 1 << 20;
/// The most strangers that are each told of.
const STRANGERS: usize = 100;
/// The most ranges whose landed parts are kept.
const WITHIN: usize = 1_024;
/// The most heads that landed before which a range is told apart from.
const LANDED_BEFORE: usize = 64;

/// One commit as far as people are concerned.
#[derive(Debug)]
pub(crate) struct CommitHands {
    said: Said,
    /// First bringer, looked up only where no known human signed.
    bringer: Option<Bringer>,
}

impl CommitHands {
    /// Reads a commit, its signature and, where that proves no human, who first brought it.
    fn read(desk: &Desk<'_>, oid: &Oid) -> Result<Self, GatherError> {
        let known = desk.said.borrow_mut().remove(oid);
        let mut said = match known {
            Some(said) => said,
            None => Said::read(desk.repo, &desk.rules.people, desk.now, oid)?,
        };
        if said.who.human() {
            let bringer = None;
            return Ok(Self { said, bringer });
        }
        // A key is to be believed as of the commit's receipt, which may lie before today.
        let known = desk.bringers.bringer(oid)?;
        let bringer = known.or_else(|| arriving(desk, oid));
        if let (Some(Err(SignatureFault::Expired(_) | SignatureFault::Revoked(_))), Some(first)) =
            (&said.who.signature, &bringer)
        {
            said = Said::read(desk.repo, &desk.rules.people, first.at, oid)?;
        }
        if let Some(bringer) = &bringer {
            desk.rested_on.borrow_mut().insert(*oid, bringer.clone());
        }
        Ok(Self { said, bringer })
    }

    /// Returns whether a known human's signature or push stands behind the commit.
    fn proven(&self, desk: &Desk<'_>) -> bool {
        self.said.who.human()
            || self
                .bringer
                .as_ref()
                .and_then(|bringer| bringer.person.as_ref())
                .is_some_and(|person| is_human(desk, person))
    }
}

/// Returns whoever is at the door, where the commit comes with them.
fn arriving(desk: &Desk<'_>, oid: &Oid) -> Option<Bringer> {
    desk.bringers.arrives(oid).then(|| Bringer {
        person: match desk.pusher {
            Pusher::Person(person) => Some(person.clone()),
            Pusher::Unknown(_) | Pusher::Nobody => None,
        },
        at: desk.now,
    })
}

impl Who {
    /// Returns whose key made the signature. One that ran out or is revoked proves nobody, but
    /// excludes.
    fn maker(&self) -> Option<&Signer> {
        match self.signature.as_ref()? {
            Ok(signer) | Err(SignatureFault::Expired(signer) | SignatureFault::Revoked(signer)) => {
                Some(signer)
            }
            Err(_) => None,
        }
    }

    fn human(&self) -> bool {
        matches!(&self.signature, Some(Ok(signer)) if signer.kind == PersonKind::Human)
    }
}

fn is_human(desk: &Desk<'_>, person: &PersonName) -> bool {
    desk.rules
        .people
        .persons
        .get(person)
        .is_some_and(|person| person.kind == PersonKind::Human)
}

/// Returns what is known of a commit, read once per question.
pub(crate) fn of(desk: &Desk<'_>, oid: &Oid) -> Result<Rc<CommitHands>, GatherError> {
    if let Some(known) = desk.hands.borrow().get(oid) {
        if let Some(bringer) = &known.bringer {
            desk.rested_on.borrow_mut().insert(*oid, bringer.clone());
        }
        return Ok(Rc::clone(known));
    }
    let read = Rc::new(CommitHands::read(desk, oid)?);
    let mut hands = desk.hands.borrow_mut();
    // Bounded: a range longer than this is read again rather than kept.
    if hands.len() < 100_000 && read.said.who.bytes() <= SMALL {
        hands.insert(*oid, Rc::clone(&read));
    }
    Ok(read)
}

/// Who had which part, and what is unproven.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hands {
    by: BTreeMap<(Option<PersonName>, Option<String>), BTreeSet<Role>>,
    /// Of the names of those nobody knows.
    bytes: usize,
    /// Commits of ranges that nothing proves.
    pub(crate) unproven: Vec<Oid>,
}

impl Hands {
    /// Adds a commit of a reviewed range.
    pub(crate) fn contribute(&mut self, desk: &Desk<'_>, oid: &Oid) -> Result<(), GatherError> {
        if desk.repo.is_rehearsed(oid) {
            return Ok(());
        }
        let hands = of(desk, oid)?;
        let said = &hands.said.who;
        self.email(desk, &said.author, Role::Author);
        self.email(desk, &said.committer, Role::Committer);
        for email in &said.co_authors {
            self.email(desk, email, Role::CoAuthor);
        }
        if let Some(signer) = said.maker() {
            self.person(&signer.person, Role::Signer);
        }
        if !said.human()
            && let Some(person) = hands
                .bringer
                .as_ref()
                .and_then(|first| first.person.as_ref())
        {
            self.person(person, Role::Pusher);
        }
        if !hands.proven(desk) && !desk.bringers.vouches(oid) {
            self.unproven.push(*oid);
        }
        within(self.bytes)
    }

    /// Adds a landing commit: who made it is recorded, not excluded.
    pub(crate) fn land(&mut self, desk: &Desk<'_>, oid: &Oid) -> Result<(), GatherError> {
        if desk.repo.is_rehearsed(oid) {
            return Ok(());
        }
        let hands = of(desk, oid)?;
        self.email(desk, &hands.said.who.author, Role::Lander);
        self.email(desk, &hands.said.who.committer, Role::Lander);
        if let Some(Ok(signer)) = &hands.said.who.signature {
            self.person(&signer.person, Role::Lander);
        }
        self.pusher(desk, Role::Lander);
        within(self.bytes)
    }

    /// Adds whoever is at the door.
    pub(crate) fn pusher(&mut self, desk: &Desk<'_>, role: Role) {
        if let Pusher::Person(person) = desk.pusher {
            self.person(person, role);
        }
    }

    fn person(&mut self, person: &PersonName, role: Role) {
        let key = (Some(person.clone()), None);
        self.by.entry(key).or_default().insert(role);
    }

    fn email(&mut self, desk: &Desk<'_>, email: &BString, role: Role) {
        match desk.rules.people.person_by_email(email) {
            Some(person) => self.person(&person.name.clone(), role),
            None => {
                let email = email.to_str_lossy().into_owned();
                let bytes = email.len().saturating_add(size_of::<Contributor>());
                let roles = self.by.entry((None, Some(email))).or_default();
                if roles.is_empty() {
                    self.bytes = self.bytes.saturating_add(bytes);
                }
                roles.insert(role);
            }
        }
    }

    /// Returns everyone, sorted.
    pub(crate) fn contributors(&self) -> Vec<Contributor> {
        self.by
            .iter()
            .map(|((person, email), roles)| Contributor {
                person: person.clone(),
                email: email.clone(),
                roles: roles.iter().copied().collect(),
            })
            .collect()
    }
}

/// Fails for more names than anybody means: each of them stands in what is decided.
fn within(bytes: usize) -> Result<(), GatherError> {
    if bytes > NAMED {
        let (what, limit) = ("bytes of people named in one change", NAMED as u64);
        return Err(GitError::Budget { what, limit }.into());
    }
    Ok(())
}

/// Returns the commits of a head's range: reachable from it and from nothing `hidden` (the tip the
/// reviewer saw, tips of `trusts` refs), nor from a head that landed before.
///
/// What landed before is left out only where `landing`, the trees before and after, is the landing of
/// nothing but what came since: who made what a revert took out, or another head left out, must not
/// be forgotten when this head brings it back.
pub(crate) fn range(
    desk: &Desk<'_>,
    name: &RefName,
    head: &Oid,
    hidden: &[Oid],
    earlier: &[Oid],
    landing: (&Oid, &Oid),
) -> Result<Rc<Vec<Oid>>, GatherError> {
    let limit = desk.limits.objects();
    let before = landed_within(desk, name, head, hidden)?;
    let mut landed: BTreeSet<Oid> = earlier.iter().filter(|oid| *oid != head).copied().collect();
    landed.extend(&before.landed);
    let mut hidden = hidden.to_vec();
    let known = hidden.len();
    for oid in landed.difference(&before.below).take(LANDED_BEFORE) {
        desk.check_time()?;
        if brings_the_rest(desk, head, oid, landing)? {
            hidden.push(*oid);
        }
    }
    if hidden.len() == known {
        return Ok(before.commits.clone());
    }
    let (repo, ancestry) = (desk.repo, &desk.ancestry);
    Ok(ancestry.new_commits(repo, head, &hidden, limit)?)
}

/// A range on its way to a ref: its head, and what hides.
pub(crate) type Range = (RefName, Oid, Vec<Oid>);

/// What a range would be had nothing of it landed, and what of it has.
#[derive(Debug)]
pub(crate) struct Within {
    commits: Rc<Vec<Oid>>,
    /// Counted heads, and what is spent with them.
    landed: BTreeSet<Oid>,
    /// Their parents.
    below: BTreeSet<Oid>,
}

/// Finds what of a head's range landed before, once for each question.
fn landed_within(
    desk: &Desk<'_>,
    name: &RefName,
    head: &Oid,
    hidden: &[Oid],
) -> Result<Rc<Within>, GatherError> {
    let key = (name.clone(), *head, hidden.to_vec());
    if let Some(known) = desk.within.borrow().get(&key) {
        return Ok(Rc::clone(known));
    }
    let (repo, limit) = (desk.repo, desk.limits.objects());
    let commits = desk.ancestry.new_commits(repo, head, hidden, limit)?;
    let (mut landed, mut below) = (BTreeSet::new(), BTreeSet::new());
    for (seen, commit) in commits.iter().enumerate() {
        if seen.is_multiple_of(256) {
            desk.check_time()?;
        }
        if commit != head && desk.view.spent(name, commit)?.is_some() {
            landed.insert(*commit);
            below.extend(repo.parents(commit)?);
        }
    }
    let found = Rc::new(Within {
        commits,
        landed,
        below,
    });
    let mut within = desk.within.borrow_mut();
    if within.len() < WITHIN {
        within.insert(key, Rc::clone(&found));
    }
    Ok(found)
}

/// Returns whether a landing is that of what `head` has over `landed`, and of nothing below it.
fn brings_the_rest(
    desk: &Desk<'_>,
    head: &Oid,
    landed: &Oid,
    (before, after): (&Oid, &Oid),
) -> Result<bool, GatherError> {
    let repo = desk.repo;
    let merged = || -> Result<bool, GitError> {
        let limit = desk.limits.objects();
        let bases = desk.ancestry.merge_bases(repo, head, landed, limit)?;
        let [base] = bases.as_slice() else {
            return Ok(false);
        };
        let (base, theirs) = (repo.commit(base)?.tree, repo.commit(head)?.tree);
        Ok(desk.merge([base, *before, theirs])? == Merged::Clean(*after))
    };
    match merged() {
        Ok(brings) => Ok(brings),
        Err(error) if cannot_tell(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns notices about the signatures and dates of new commits.
///
/// A signature that is there must be good; whether one must be there is `signed_commits`.
pub(crate) fn inspect(
    desk: &Desk<'_>,
    commits: &[Oid],
    must_be_signed: bool,
) -> Result<Vec<Notice>, GatherError> {
    let mut notices = Vec::new();
    let mut disagreements: BTreeMap<Disagreement, Vec<String>> = BTreeMap::new();
    let mut named = 0usize;
    for (seen, oid) in commits.iter().enumerate() {
        if seen.is_multiple_of(256) {
            desk.check_time()?;
        }
        // Whoever lands the head in earnest makes, dates and signs a commit of their own.
        if desk.repo.is_rehearsed(oid) {
            continue;
        }
        let hands = of(desk, oid)?;
        match &hands.said.who.signature {
            Some(Ok(_)) => {}
            None if must_be_signed => {
                notices.push(notice(Code::UnsignedCommit, [oid.to_string()]));
            }
            None => {}
            Some(Err(fault)) => notices.push(fault_notice(fault, oid)),
        }
        if let Some(disagreement) = disagreement(desk, &hands) {
            if !disagreements.contains_key(&disagreement) {
                named = named.saturating_add(disagreement.1.len());
                within(named)?;
            }
            let commits = disagreements.entry(disagreement).or_default();
            commits.push(oid.to_string());
        }
        if let Some(when) = from_the_future(desk.now, &hands.said) {
            let about = [oid.to_string(), format!("committed in the future: {when}")];
            notices.push(notice(Code::MalformedObject, about));
        }
    }
    // About signer, committer's e-mail, whose that is, and the commits.
    notices.extend(disagreements.into_iter().map(|(disagreement, commits)| {
        let (signer, email, owner) = disagreement;
        let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
        let about = [signer.to_string(), email, owner];
        notice(Code::UnknownContributor, about.into_iter().chain(commits))
    }));
    Ok(notices)
}

/// Who signed, whose e-mail stands as the committer's, and who that is.
type Disagreement = (PersonName, String, Option<PersonName>);

/// Returns what there is to say where a known person signed what another is said to have committed.
///
/// Common and harmless where somebody rebases or applies another's work and signs with an own key,
/// but a header that lies: it is seen. A forge signs what people commit there, and says so.
fn disagreement(desk: &Desk<'_>, hands: &CommitHands) -> Option<Disagreement> {
    let signer = hands.said.who.maker()?;
    let email = &hands.said.who.committer;
    let owner = desk.rules.people.person_by_email(email);
    let owner = owner.map(|person| person.name.clone());
    if signer.kind == PersonKind::Forge || owner.as_ref() == Some(&signer.person) {
        return None;
    }
    let email = email.to_str_lossy().into_owned();
    Some((signer.person.clone(), email, owner))
}

fn from_the_future(now: Timestamp, said: &Said) -> Option<String> {
    // Both dates: tools sort and filter by either.
    let mut seconds = said.seconds.into_iter();
    seconds.find_map(|seconds| ahead(now, seconds))
}

fn ahead(now: Timestamp, seconds: u64) -> Option<String> {
    let when = i64::try_from(seconds).ok();
    match when.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        None => Some(seconds.to_string()),
        Some(when) if when.duration_since(now) > SKEW => Some(when.to_string()),
        Some(_) => None,
    }
}

/// Says as a notice what is wrong with a signature on `oid`.
pub(crate) fn fault_notice(fault: &SignatureFault, oid: &Oid) -> Notice {
    let (code, about) = match fault {
        SignatureFault::Bad(why) | SignatureFault::Unsupported(why) => {
            (Code::BadSignature, why.clone())
        }
        SignatureFault::UnknownSigner(key) => (Code::UnknownSigner, key.clone()),
        SignatureFault::Expired(signer) => (Code::ExpiredKey, signer.person.to_string()),
        SignatureFault::Revoked(signer) => (Code::RevokedKey, signer.person.to_string()),
    };
    notice(code, [oid.to_string(), about])
}

/// Returns one notice for each author or co-author nobody knows; of many, how many more there are.
pub(crate) fn strangers(contributors: &[Contributor]) -> Vec<Notice> {
    let made = |role: &Role| matches!(role, Role::Author | Role::CoAuthor);
    let unknown: Vec<String> = contributors
        .iter()
        .filter(|someone| someone.person.is_none() && someone.roles.iter().any(made))
        .filter_map(|someone| someone.email.clone())
        .collect();
    let more = unknown.len().saturating_sub(STRANGERS);
    let more = (more > 0).then(|| format!("and {more} more"));
    let told = unknown.into_iter().take(STRANGERS).chain(more);
    told.map(|email| notice(Code::UnknownContributor, [email]))
        .collect()
}
