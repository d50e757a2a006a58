//! What the judge is told.
//!
//! Facts are gathered, never decided: severities, thresholds and eligibility are the judge's.

use jiff::Timestamp;

use crate::people::{PersonKind, PersonName};
use crate::policy::{Class, Protection};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;

use super::verdict::{Code, Coverage, Evidence, Role};

/// Everything one decision rests on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The server's time at receipt.
    pub now: Timestamp,
    /// `repository` of the policy.
    pub repository: String,
    /// Who pushes.
    pub pusher: Pusher,
    /// One for each ref update, in the order of the push.
    pub updates: Vec<UpdateFacts>,
}

/// Who is at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pusher {
    /// A person of `people.toml`.
    Person(PersonName),
    /// The host names someone whom `people.toml` does not know; empty when it names nobody.
    Unknown(String),
    /// There is no push (`check` without `--as`).
    Nobody,
}

/// One ref update as gathered.
#[derive(Clone, Debug)]
pub struct UpdateFacts {
    /// The ref.
    pub name: RefName,
    /// For a protected ref the recorded tip P, else what the client said; none when there is none.
    pub from: Option<Oid>,
    /// The pushed tip N; none for a deletion.
    pub to: Option<Oid>,
    /// What kind of ref this is to Countersign.
    pub scope: Scope,
    /// How many commits are new (reachable from N, not from P).
    pub commits: usize,
    /// Whether this touches the policy ref with a change of class `policy`: always enforced.
    pub changes_policy: bool,
    /// What must be approved: one step, or one for each first-parent commit (`every_commit`).
    /// Empty when nothing needs approval (a free ref, a refused shape, a creation at a recorded
    /// commit that no rule names).
    pub steps: Vec<StepFacts>,
    /// Candidate reviews; `HeadFacts::approvals` and rejections refer to them by position.
    pub reviews: Vec<ReviewFacts>,
    /// What was seen on the way.
    pub notices: Vec<Notice>,
}

/// What a ref is to Countersign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing protects it.
    Free,
    /// The policy protects it; all matching `[[ref]]` merged, the strictest of each key.
    Protected(Protection),
    /// `refs/countersign/reviews/<H>/<leaf>`.
    Review,
    /// `refs/countersign/proposals/<person>/<name>`.
    Proposal,
    /// A name that must not be written by a push; the notice says why.
    Refused,
}

/// One movement that approvals must cover whole.
#[derive(Clone, Debug)]
pub struct StepFacts {
    /// Where it starts: the commit whose tree is compared (P, or the base of a creation).
    pub from: Option<Oid>,
    /// Where it ends.
    pub to: Oid,
    /// The facts if `to` itself were the reviewed head: what a reviewer would be asked for.
    pub whole: HeadFacts,
    /// Every way found to cover the step, fewest heads first, then log order.
    pub sequences: Vec<Vec<HeadFacts>>,
}

/// One reviewed head inside a step, or the whole step seen as one.
#[derive(Clone, Debug)]
pub struct HeadFacts {
    /// The head.
    pub head: Oid,
    /// Whether only rules that name the ref in `refs` have a say (a creation at a recorded commit).
    pub only_naming: bool,
    /// The paths its landing changes, sorted by bytes; both sides of every change.
    pub paths: Vec<PathFacts>,
    /// Who made what is in its range, and landers, sorted.
    pub contributors: Vec<Contributor>,
    /// Commits of the range that neither a known human's signature nor a known human's push proves.
    pub unproven: Vec<Oid>,
    /// Approvals that cover this landing: positions in `UpdateFacts::reviews`, with how.
    pub approvals: Vec<(usize, Coverage)>,
}

/// A changed path with its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathFacts {
    /// The path.
    pub path: RepoPath,
    /// At least one, sorted.
    pub classes: Vec<Class>,
}

/// Somebody who had a hand in a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contributor {
    /// The person, where known.
    pub person: Option<PersonName>,
    /// Else the e-mail the header gives.
    pub email: Option<String>,
    /// What they did, sorted.
    pub roles: Vec<Role>,
}

/// One review from the record, as it stands at this decision.
#[derive(Clone, Debug)]
pub struct ReviewFacts {
    /// Its index in the log.
    pub index: u64,
    /// The tag object.
    pub tag: Oid,
    /// Whose key signed it.
    pub person: PersonName,
    /// What that person is by the policy in force.
    pub kind: PersonKind,
    /// Approve or reject; a withdrawal only ever shows as the state of another review.
    pub verb: Verb,
    /// The reviewed head H.
    pub head: Oid,
    /// Whether the review names the `Base` it saw.
    pub names_base: bool,
    /// Whether the reviewer's own key or a forge's word stands behind it.
    pub evidence: Evidence,
    /// The server's time at receipt.
    pub received: Timestamp,
    /// Whether it may still count.
    pub state: ReviewState,
    /// How it covers the (first) step on its own.
    pub coverage: Coverage,
    /// Paths at which the step differs from the head's landing, for `residual`.
    pub residual: Vec<RepoPath>,
    /// Reject tags this approval overrides.
    pub overrides: Vec<Oid>,
    /// For a reject: whether the update brings H, and does not remove its person or revoke its key.
    /// Otherwise it is in force where H is counted.
    pub blocks: bool,
}

/// What a standing review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Vouches for H.
    Approve,
    /// Blocks H.
    Reject,
}

/// Whether a review may count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// Nothing ended it.
    Live,
    /// Older than `approvals_expire`.
    Expired,
    /// A later review of the same person took its place (`Replaces`, a descendant head), and the
    /// head that did so does not land with it.
    Replaced,
    /// Its person withdrew it.
    Withdrawn,
    /// Its head, or one it is an ancestor of in its range, already landed on this ref.
    Spent,
    /// Its key is revoked as of a time at or before its receipt.
    KeyRevoked,
    /// Its person, or its key, is no longer in `people.toml`.
    Unknown,
}

/// Something seen while gathering; the judge decides what it means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// What it is.
    pub code: Code,
    /// The things it is about, most important first: ids, names, limits, a rendered error.
    pub about: Vec<String>,
    /// The paths it is about.
    pub paths: Vec<RepoPath>,
    /// Where in a file, `path:line`.
    pub at: Option<String>,
}
