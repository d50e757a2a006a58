//! From tips to facts.
//!
//! Nothing is decided here: what is seen becomes data ([`crate::judge::facts`]), oddities become
//! notices, and the judge weighs them. Everything is read from raw objects and from the record as
//! of one size, so that the same question asked later gives the same facts.
//!
//! 1. [`scope`]: what kind of ref is this, and may such a ref be written at all?
//! 2. [`protected`]: P from the record, shape of the move; [`commits`]: strict objects; [`steps`]: what
//!    there is to cover.
//! 3. [`candidates`]: which reviews could count, and what has ended the others.
//! 4. [`coverage`]: which sequences of reviewed heads land exactly as pushed; [`replaced`] holds them
//!    against each other, and [`described`] says what the other reviews come to.
//! 5. [`hands`]: who made what is in a range, and what proves it.
//! 6. [`hidden`]: what a reviewer would not see of the content.
//! 7. [`incoming`]: reviews and proposals in the push itself.

pub(crate) mod ancestry;
pub mod candidates;
mod commits;
pub mod coverage;
mod described;
pub mod hands;
mod hidden;
pub mod incoming;
mod limits;
pub mod protected;
mod replaced;
pub mod rulebook;
pub mod scope;
mod steps;

pub use limits::Limits;
pub use rulebook::{Rulebook, RulebookError};

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use jiff::Timestamp;

use crate::git::merge::{Merged, merged_id};
use crate::git::{GitError, RefValue, Repo};
use crate::judge::facts::{Notice, Pusher, Scope, UpdateFacts};
use crate::judge::verdict::Code;
use crate::people::PersonName;
use crate::record::entry::Review;
use crate::record::{RecordError, View};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::object::ObjectFault;
use crate::wire::oid::Oid;

use self::ancestry::Ancestry;
use self::hands::CommitHands;

/// The most bytes of paths in all heads of a push together; what rules cost grows with them.
const CLASSED_BYTES: u64 = 256 << 20;

/// The most merges that are kept.
const MERGES: usize = 8_192;
/// The most conflicting paths that are kept of one.
const CONFLICTS: usize = 64;

/// Who first brought a commit to this server, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bringer {
    /// The known person, if the pusher was one.
    pub person: Option<PersonName>,
    /// Server time.
    pub at: Timestamp,
}

/// Answers who first brought a commit; nothing where nobody knows.
pub trait Bringers {
    /// Returns the first bringer of `commit`.
    fn bringer(&self, commit: &Oid) -> Result<Option<Bringer>, RecordError>;

    /// Returns whether whoever is at the door brings `commit` right now.
    fn arrives(&self, _commit: &Oid) -> bool {
        false
    }

    /// Returns whether `commit` is taken for proven although nothing here proves it.
    fn vouches(&self, _commit: &Oid) -> bool {
        false
    }
}

/// What could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// Reading git objects or refs.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Reading the record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The time allowed is over.
    #[error("more than {0} seconds")]
    Time(u64),
}

/// One proposed movement, as the door saw it.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The ref.
    pub name: RefName,
    /// What the client believes the ref to be; only used where nothing protects the ref.
    pub old: Option<Oid>,
    /// Where it shall point; none to delete it.
    pub new: Option<Oid>,
    /// What the ref is right now; none when that is past (replay) or not here (a clone).
    pub current: Option<Option<RefValue>>,
}

/// Everything a question is asked against.
pub struct Desk<'a> {
    /// The objects.
    pub repo: &'a Repo,
    /// The record as of one size.
    pub view: &'a View,
    /// The policy in force.
    pub rules: &'a Rulebook,
    /// The ref it was read from.
    pub policy_ref: &'a RefName,
    /// The limits in force.
    pub limits: &'a Limits,
    /// Server time.
    pub now: Timestamp,
    /// Who is at the door.
    pub pusher: &'a Pusher,
    /// Who first brought what.
    pub bringers: &'a dyn Bringers,
    /// Whether the time allowed is over.
    pub expired: &'a dyn Fn() -> bool,
    /// Commits read so far.
    pub(crate) hands: RefCell<HashMap<Oid, Rc<CommitHands>>>,
    /// What commits say that were read on all cores, until somebody asks.
    pub(crate) said: RefCell<HashMap<Oid, commits::Said>>,
    /// Answers of `bringers` that facts rest on.
    pub(crate) rested_on: RefCell<BTreeMap<Oid, Bringer>>,
    /// What is known of who descends from whom.
    pub(crate) ancestry: Ancestry,
    /// Merges that were computed, by base, ours and theirs.
    merges: RefCell<HashMap<[Oid; 3], Merged>>,
    /// What of a range landed before, by ref, head and what hides.
    pub(crate) within: RefCell<HashMap<hands::Range, Rc<hands::Within>>>,
    /// Refs that no other may imitate, once somebody asked.
    pub(crate) real: OnceCell<scope::Real>,
    /// Bytes of paths that were given classes.
    classed: Cell<u64>,
}

impl<'a> Desk<'a> {
    /// Sets a desk up.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a thing a decision rests on; naming them all is the point"
    )]
    pub fn new(
        repo: &'a Repo,
        view: &'a View,
        rules: &'a Rulebook,
        policy_ref: &'a RefName,
        limits: &'a Limits,
        now: Timestamp,
        pusher: &'a Pusher,
        bringers: &'a dyn Bringers,
        expired: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            repo,
            view,
            rules,
            policy_ref,
            limits,
            now,
            pusher,
            bringers,
            expired,
            hands: RefCell::default(),
            said: RefCell::default(),
            rested_on: RefCell::default(),
            ancestry: Ancestry::default(),
            merges: RefCell::default(),
            within: RefCell::default(),
            real: OnceCell::new(),
            classed: Cell::new(0),
        }
    }

    /// Merges trees, each three once: base, ours and theirs. Only the id of the result is there.
    pub(crate) fn merge(&self, trees: [Oid; 3]) -> Result<Merged, GitError> {
        if let Some(known) = self.merges.borrow().get(&trees) {
            return Ok(known.clone());
        }
        let [base, ours, theirs] = &trees;
        let merged = merged_id(self.repo, base, ours, theirs)?;
        let is_small = match &merged {
            Merged::Clean(_) => true,
            Merged::Conflict(paths) => paths.len() <= CONFLICTS,
        };
        let mut merges = self.merges.borrow_mut();
        if is_small && merges.len() < MERGES {
            merges.insert(trees, merged.clone());
        }
        Ok(merged)
    }

    /// Counts a path that every pattern of the policy will be held against, here and in the judge.
    pub(crate) fn weigh(&self, path: &RepoPath) -> Result<(), GatherError> {
        let bytes = path.as_bstr().len() as u64;
        let total = self.classed.get().saturating_add(bytes);
        self.classed.set(total);
        match total > CLASSED_BYTES {
            true => Err(GatherError::Git(GitError::Budget {
                what: "bytes of paths to be judged",
                limit: CLASSED_BYTES,
            })),
            false => Ok(()),
        }
    }

    /// Fails once the time allowed is over.
    pub(crate) fn check_time(&self) -> Result<(), GatherError> {
        if (self.expired)() {
            return Err(GatherError::Time(self.limits.seconds));
        }
        Ok(())
    }

    /// Returns and forgets which answers about first bringers were used since the last call.
    pub(crate) fn take_rested_on(&self) -> BTreeMap<Oid, Bringer> {
        self.rested_on.take()
    }
}

/// The facts of one update, with the review it would log.
#[derive(Debug)]
pub struct Gathered {
    /// For the judge.
    pub facts: UpdateFacts,
    /// For the log, if the push is accepted: a new, sound review.
    pub review: Option<Review>,
    /// Whether the review is known already, bytes and all.
    pub known_review: bool,
}

impl Gathered {
    pub(crate) fn plain(facts: UpdateFacts) -> Self {
        Self {
            facts,
            review: None,
            known_review: false,
        }
    }
}

/// Gathers the facts of one update.
///
/// Never fails: what could not be read becomes a notice that refuses or leaves undecided.
pub fn update(desk: &Desk<'_>, proposed: &Proposed) -> Gathered {
    match desk.repo.forgetting(|| try_update(desk, proposed)) {
        Ok(gathered) => gathered,
        Err(error) => {
            let scope = match desk
                .rules
                .policy
                .protection(&proposed.name, desk.policy_ref)
            {
                Some(protection) => Scope::Protected(protection),
                None => Scope::Free,
            };
            let mut facts = bare(desk, proposed, scope);
            facts.notices.push(notice_of(&error));
            Gathered::plain(facts)
        }
    }
}

fn try_update(desk: &Desk<'_>, proposed: &Proposed) -> Result<Gathered, GatherError> {
    desk.check_time()?;
    let (scope, notices) = scope::of(desk, proposed)?;
    let mut facts = bare(desk, proposed, scope);
    facts.notices = notices;
    match facts.scope.clone() {
        Scope::Refused | Scope::Free => Ok(Gathered::plain(facts)),
        Scope::Review => incoming::review(desk, proposed, facts),
        Scope::Proposal => incoming::proposal(desk, proposed, facts).map(Gathered::plain),
        Scope::Protected(protection) => {
            protected::gather(desk, proposed, &protection, facts).map(Gathered::plain)
        }
    }
}

fn bare(desk: &Desk<'_>, proposed: &Proposed, scope: Scope) -> UpdateFacts {
    let recorded = match scope {
        Scope::Protected(_) => desk.view.tip(&proposed.name).ok().flatten(),
        _ => None,
    };
    UpdateFacts {
        // Until it is found that it does not.
        changes_policy: matches!(scope, Scope::Protected(_)) && proposed.name == *desk.policy_ref,
        name: proposed.name.clone(),
        from: match (&scope, recorded) {
            (Scope::Protected(_), tip) => tip.and_then(|tip| tip.oid),
            _ => proposed.old,
        },
        to: proposed.new,
        scope,
        commits: 0,
        steps: Vec::new(),
        reviews: Vec::new(),
        notices: Vec::new(),
    }
}

/// Makes a notice about ids, names or limits.
pub(crate) fn notice(code: Code, about: impl IntoIterator<Item = String>) -> Notice {
    Notice {
        code,
        about: about.into_iter().collect(),
        paths: Vec::new(),
        at: None,
    }
}

/// Returns the family of findings that a malformed object belongs to.
pub(crate) fn fault_code(fault: ObjectFault) -> Code {
    match fault {
        ObjectFault::Malformed => Code::MalformedObject,
        ObjectFault::UnsafePath => Code::UnsafePath,
        ObjectFault::UnsafeMode => Code::UnsafeMode,
        ObjectFault::Collision => Code::PathCollision,
    }
}

/// Says as a notice what kept facts from being gathered.
pub(crate) fn notice_of(error: &GatherError) -> Notice {
    match error {
        GatherError::Time(_) | GatherError::Record(RecordError::TooMany { .. }) => {
            notice(Code::OverBudget, [error.to_string()])
        }
        GatherError::Record(_) => notice(Code::Undecidable, [error.to_string()]),
        GatherError::Git(git) => git_notice(git),
    }
}

/// Says as a notice what git could not give.
pub(crate) fn git_notice(git: &GitError) -> Notice {
    match git {
        GitError::Malformed { oid, fault, .. } => {
            notice(fault_code(*fault), [oid.to_string(), git.to_string()])
        }
        GitError::Budget { .. } | GitError::TooLarge { .. } => {
            notice(Code::OverBudget, [git.to_string()])
        }
        _ => notice(Code::Undecidable, [git.to_string()]),
    }
}
