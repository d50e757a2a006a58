//! What the judge answers; `countersign.verdict/v1` is its JSON.

use serde::{Deserialize, Serialize};

use crate::people::PersonName;
use crate::policy::{Class, Mode};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;

/// The answer to one push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The strongest of the updates' decisions, whatever the mode.
    pub decision: Decision,
    /// `dry-run` when every refused update is in dry run, else `enforce`.
    pub mode: Mode,
    /// `repository` of the policy.
    pub repository: String,
    /// In the order of the push.
    pub updates: Vec<UpdateVerdict>,
}

impl Verdict {
    /// Returns whether the push may pass: every update that is enforced is accepted.
    ///
    /// An update in dry run never holds a push up, whatever its decision; a push of nothing, or one
    /// that could not be decided, does not pass.
    pub fn admits(&self) -> bool {
        let passes = |update: &UpdateVerdict| {
            update.mode == Mode::DryRun || update.decision == Decision::Accept
        };
        !self.updates.is_empty() && self.updates.iter().all(passes)
    }
}

/// The name of the JSON format.
pub const SCHEMA: &str = "countersign.verdict/v1";

/// The answer for one ref; also what a `landed` entry carries and a verifier recomputes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateVerdict {
    /// The ref.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// P; zeros when created.
    pub old: Oid,
    /// N; zeros when deleted.
    pub new: Oid,
    /// The strongest of the findings.
    pub decision: Decision,
    /// The mode this ref is judged in.
    pub mode: Mode,
    /// How many commits are new.
    pub commits: usize,
    /// All classes of all changed paths, sorted.
    pub classes: Vec<Class>,
    /// Everyone with a hand in it, sorted.
    pub contributors: Vec<ContributorVerdict>,
    /// Every candidate approval, in log order.
    pub approvals: Vec<ApprovalVerdict>,
    /// Strongest first.
    pub findings: Vec<Finding>,
}

/// A contributor as shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContributorVerdict {
    /// The person, where known.
    pub person: Option<PersonName>,
    /// Else the e-mail the header gives.
    pub email: Option<String>,
    /// What they did, sorted.
    pub roles: Vec<Role>,
}

/// A candidate approval and whether it counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalVerdict {
    /// Who approved.
    pub person: PersonName,
    /// The reviewed head H.
    pub commit: Oid,
    /// What stands behind it.
    pub evidence: Evidence,
    /// How it covers the step.
    pub coverage: Coverage,
    /// Whether it filled, or could fill, a place.
    pub counted: bool,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Stable name.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// The rule, for findings of a rule.
    pub rule: Option<String>,
    /// Where that rule, or the fault, stands: `path:line`.
    pub at: Option<String>,
    /// The paths it is about.
    pub paths: Vec<RepoPath>,
    /// What would satisfy it.
    pub want: Option<String>,
    /// What there was.
    pub got: Vec<String>,
    /// Ids, names, limits the words need; see [`super::facts::Notice::about`].
    pub about: Vec<String>,
}

/// Accept, refuse, or neither could be established (which never accepts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// May pass.
    Accept,
    /// Could not be decided.
    Undecided,
    /// May not pass.
    Refuse,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Note,
    /// Worth a look.
    Warn,
    /// Could not be decided.
    Undecided,
    /// Refuses.
    Refuse,
}

/// What somebody did for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Author header.
    Author,
    /// Committer header.
    Committer,
    /// `Co-authored-by` trailer.
    CoAuthor,
    /// Signed a commit of the range.
    Signer,
    /// First brought an otherwise unsigned commit of the range to the server.
    Pusher,
    /// Made, signed or pushed a landing commit; not excluded from approving.
    Lander,
}

/// Whose word an approval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The reviewer's own signature.
    Signed,
    /// The forge's word.
    Forge,
}

/// How an approval of H relates to the step P → N.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// P is the tip the reviewer saw and N's tree is the landing of H on P.
    Identity,
    /// P moved since; N's tree is exactly the clean landing of H on P.
    Replay,
    /// The trees differ.
    Residual,
    /// Could not be computed.
    Unverifiable,
}

macro_rules! codes {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// The stable names of findings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each is its own text, explained in docs/findings")]
        pub enum Code {
            $(#[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    MalformedObject = "malformed-object",
    UnsafePath = "unsafe-path",
    PathCollision = "path-collision",
    UnsafeMode = "unsafe-mode",
    SubmoduleChange = "submodule-change",
    HiddenContent = "hidden-content",
    RewoundBranch = "rewound-branch",
    DeletedRef = "deleted-ref",
    MovedTag = "moved-tag",
    UnrecordedTarget = "unrecorded-target",
    ForbiddenRef = "forbidden-ref",
    ShadowingRef = "shadowing-ref",
    SymrefAlias = "symref-alias",
    UnknownTip = "unknown-tip",
    UnsignedCommit = "unsigned-commit",
    BadSignature = "bad-signature",
    UnknownSigner = "unknown-signer",
    ExpiredKey = "expired-key",
    RevokedKey = "revoked-key",
    UnprovenCommit = "unproven-commit",
    UnknownContributor = "unknown-contributor",
    UnknownPusher = "unknown-pusher",
    MissingApprovals = "missing-approvals",
    SelfApproval = "self-approval",
    BotApproval = "bot-approval",
    StaleApproval = "stale-approval",
    SpentApproval = "spent-approval",
    WrongTarget = "wrong-target",
    WrongRepository = "wrong-repository",
    WeakEvidence = "weak-evidence",
    UnreviewedResidual = "unreviewed-residual",
    Unverifiable = "unverifiable",
    Rejected = "rejected",
    MalformedReview = "malformed-review",
    ReplayedReview = "replayed-review",
    PolicyMissing = "policy-missing",
    PolicyInvalid = "policy-invalid",
    UnsatisfiableRule = "unsatisfiable-rule",
    PolicyWeakened = "policy-weakened",
    ShadowingOwners = "shadowing-owners",
    FloatingReference = "floating-reference",
    DynamicPipeline = "dynamic-pipeline",
    PrivilegeWidened = "privilege-widened",
    BreakglassUsed = "breakglass-used",
    BreakglassInvalid = "breakglass-invalid",
    BreakglassOverdue = "breakglass-overdue",
    OverBudget = "over-budget",
    Undecidable = "undecidable",
}
