//! The entries of the log, as canonical JSON (RFC 8785) of less than 64 KiB each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::judge::verdict::{Decision, UpdateVerdict};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::wire::name::RefName;
use crate::wire::oid::{ObjectFormat, Oid};

/// The version of the format that is written, and the highest that is read.
///
/// Each entry is of the lowest version whose readers understand it; those of the first do not say
/// so. What makes another version, and what stays the same in all: `docs/spec/record.md`.
pub const VERSION: u64 = 1;

/// The most bytes an entry has in the log.
pub const MAX_ENTRY: usize = super::tiles::MAX_ENTRY;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// Tips that were there before anybody looked.
    Genesis(Genesis),
    /// A review as received.
    Review(Review),
    /// A protected ref moved through a gate.
    Landed(Landed),
    /// A protected ref moved otherwise, and the host's admin took it as it is: an incident.
    Adopted(Adopted),
    /// What an audit found, or that it is gone; decides nothing.
    Incident(Incident),
    /// What the host's admin did to the host; decides nothing.
    Admin(Admin),
}

/// Baseline tips; the first entry of every log, and again where a `[[ref]]` begins to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Server time.
    pub at: Timestamp,
    /// `repository` of the policy.
    pub repository: String,
    /// The repository's hash.
    pub format: ObjectFormat,
    /// The policy ref.
    pub policy_ref: RefName,
    /// Protected refs and their tips.
    pub tips: BTreeMap<RefName, Oid>,
    /// Those of `tips` that are in dry run.
    pub dry_run: Vec<RefName>,
    /// The policy in force.
    pub policy: PolicyId,
    /// Person → fingerprints of their keys.
    pub keys: BTreeMap<PersonName, Vec<String>>,
    /// How the host was left; only where enrolment writes the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostState>,
}

/// Which policy decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyId {
    /// The commit it was read from.
    pub commit: Oid,
    /// SHA-256, hexadecimal, over `<mode> <sha256> <path>\n` of its files (design: policy digest).
    pub digest: String,
}

/// A signed review tag, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Server time of receipt.
    pub at: Timestamp,
    /// The ref it came in by.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// Who carried it; the signer is who counts.
    pub pusher: Option<PersonName>,
    /// Id of the tag object.
    pub tag: Oid,
    /// The tag object's bytes, base64.
    pub raw: String,
    /// Whose key signed it.
    pub person: PersonName,
    /// That key's fingerprint.
    pub key: String,
    /// The ref it is for.
    pub target: RefName,
    /// The reviewed head.
    pub head: Oid,
    /// The target's recorded tip at receipt; the policy ref's where the target does not exist.
    pub tip: Oid,
}

/// A decision that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landed {
    /// Server time at which it was found to have taken effect.
    pub at: Timestamp,
    /// Server time at which it was judged.
    pub judged: Timestamp,
    /// The record's size it was judged by.
    pub size: u64,
    /// The version of the judge.
    pub judge: String,
    /// The limits in force, by name.
    pub limits: BTreeMap<String, u64>,
    /// `repository` of the policy.
    pub repository: String,
    /// The ref.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// P; none when created.
    pub old: Option<Oid>,
    /// N; none when deleted.
    pub new: Option<Oid>,
    /// Who pushed, by the host's word.
    pub pusher: PusherId,
    /// Enforced, or dry run.
    pub mode: Mode,
    /// The policy in force.
    pub policy: PolicyId,
    /// The intent this closes, 32 hexadecimal digits: no intent is spent twice.
    pub intent: String,
    /// SHA-256 of the raw bytes of decisive objects (N, counted heads), hexadecimal, by id.
    pub sha256: BTreeMap<Oid, String>,
    /// Whether it was judged again at closing because the log had moved.
    pub rejudged: bool,
    /// SHA-256 of the push certificate that says who pushed, in `evidence/`; none where the host's
    /// word does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The decision and what it rests on.
    pub decision: DecisionId,
}

/// A decision in an entry, or beside it where it is too large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionId {
    /// In the entry.
    Inline(Box<Decided>),
    /// `evidence/<sha256>` holds the canonical JSON of a [`Decided`].
    Beside {
        /// Hexadecimal.
        sha256: String,
        /// Its answer, so that a reader need not open it.
        decision: Decision,
    },
}

/// What was decided: facts, rules, codes; and what it rests on beyond git objects and the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// What a verifier recomputes to the same bytes.
    pub verdict: UpdateVerdict,
    /// Heads whose approvals were counted, in sequence.
    pub counted: Vec<CountedHead>,
    /// Who first brought those commits of the ranges that no known human signed.
    pub received: Vec<Received>,
    /// SHA-256 of the contents that the step brings, hexadecimal, by id: what an id says in a weaker
    /// hash. Files above `limits.bytes` are not read and not here.
    pub contents: BTreeMap<Oid, String>,
}

/// Who pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PusherId {
    /// A person.
    Person(PersonName),
    /// Somebody nobody knows (dry run only).
    Unknown(String),
}

/// A head that landed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedHead {
    /// H.
    pub head: Oid,
    /// The tip of the ref that its first reviewer saw.
    pub base: Oid,
    /// Log indices of the approvals that counted.
    pub reviews: Vec<u64>,
    /// Commits of its range that N does not reach (squashed, rebased): spent with it.
    pub spent: Vec<Oid>,
}

/// A note of who first brought commits to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// Server time.
    pub at: Timestamp,
    /// The known person, if one.
    pub pusher: Option<PersonName>,
    /// The commits.
    pub commits: Vec<Oid>,
}

/// A tip taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// Server time.
    pub at: Timestamp,
    /// `repository` of the policy, where it could be read.
    pub repository: String,
    /// The ref.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// The recorded tip that was left.
    pub old: Option<Oid>,
    /// The tip found; none when the ref was gone.
    pub new: Option<Oid>,
    /// The operating-system user who did it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// Whether it was the recorded way out of a policy that cannot be used (`--policy`).
    pub policy: bool,
}

/// How enrolment left the host: what an audit holds it against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostState {
    /// The operating-system user who enrolled.
    pub by: String,
    /// The binary that the hooks run.
    pub binary: String,
    /// Hook, or `<hook>.d/<file>` that runs beside it → SHA-256 of its bytes, hexadecimal.
    pub hooks: BTreeMap<String, String>,
    /// The host's settings by key, both files merged.
    pub settings: BTreeMap<String, String>,
    /// git's configuration as far as it matters: key → values in order, of any level.
    pub config: BTreeMap<String, Vec<String>>,
    /// Files that change what git makes of the repository → SHA-256, hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// Something that an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Server time of the audit.
    pub at: Timestamp,
    /// `repository` of the policy.
    pub repository: String,
    /// Whether it is there, or gone again.
    pub state: IncidentState,
    /// The stable name of the finding.
    pub finding: String,
    /// The ref, file or key of the configuration it is about.
    pub about: String,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: Option<String>,
    /// The operating-system user who ran the audit.
    pub by: String,
}

/// Whether an incident begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// Found, and not on record as standing.
    Found,
    /// On record as standing, and not found any more.
    Over,
}

/// Something the host's admin did through Countersign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Server time.
    pub at: Timestamp,
    /// `repository` of the policy.
    pub repository: String,
    /// What it was.
    pub act: AdminAct,
}

/// What an admin did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAct {
    /// Enrolled again, which left the host otherwise than was on record.
    Enrolled(HostState),
    /// Let the log go over to another key.
    Rotated(Rotated),
}

/// The log goes over to another key: the last entry under the old one, signed for by both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotated {
    /// Verifier line of the key until then.
    pub old: String,
    /// Verifier line of the key from then on; its name is the same.
    pub new: String,
    /// The operating-system user who did it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// What is wrong with something that should be an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// No JSON, or a kind or field that is not known.
    #[error("not an entry: {0}")]
    Json(#[from] serde_json::Error),
    /// An entry that says it is of a version above [`VERSION`].
    #[error(
        "of version {version} of the record, made by a newer Countersign; this one reads version \
         {VERSION}: install one at least as new as the one that wrote it"
    )]
    Newer {
        /// Its version.
        version: u64,
    },
    /// JSON of an entry, but not the one way to write it.
    #[error("not canonical JSON (RFC 8785)")]
    NotCanonical,
    /// Larger than [`MAX_ENTRY`].
    #[error("a {kind} entry of {size} bytes, at most {MAX_ENTRY} fit")]
    TooLarge {
        /// Which kind.
        kind: &'static str,
        /// Its size.
        size: usize,
    },
    /// A ref whose name is not UTF-8, or steers what shows it: the JSON would name another.
    #[error("the name of {0} is no plain text, and cannot be recorded")]
    RefName(RefName),
}

impl Entry {
    /// Returns the canonical JSON, which reads back to the same bytes.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        // Written as something else, it would be another ref.
        let lost = |name: &&RefName| name.to_string().as_bytes() != name.as_bstr();
        if let Some(name) = self.refs().find(lost) {
            return Err(EntryError::RefName(name.clone()));
        }
        let bytes = serde_jcs::to_vec(self)?;
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge {
                kind: self.kind(),
                size: bytes.len(),
            });
        }
        // JSON numbers are not Rust's: what would read back otherwise must not be signed.
        Self::decode(&bytes)?;
        Ok(bytes)
    }

    /// Reads an entry; anything but the bytes [`Entry::encode`] makes is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge {
                kind: "larger",
                size: bytes.len(),
            });
        }
        let entry = Self::decode_again(bytes).map_err(|error| match later(bytes) {
            Some(version) => EntryError::Newer { version },
            None => error,
        })?;
        if serde_jcs::to_vec(&entry)? != bytes {
            return Err(EntryError::NotCanonical);
        }
        Ok(entry)
    }

    /// Reads the very bytes that [`Entry::decode`] took before.
    pub(crate) fn decode_again(bytes: &[u8]) -> Result<Self, EntryError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Returns what a landing was decided on, where that is in the entry itself.
    pub(crate) fn inline(&self) -> Option<&Decided> {
        match self {
            Self::Landed(landed) => match &landed.decision {
                DecisionId::Inline(decided) => Some(decided),
                DecisionId::Beside { .. } => None,
            },
            _ => None,
        }
    }

    /// Returns the server's time.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Genesis(genesis) => genesis.at,
            Self::Review(review) => review.at,
            Self::Landed(landed) => landed.at,
            Self::Adopted(adopted) => adopted.at,
            Self::Incident(incident) => incident.at,
            Self::Admin(admin) => admin.at,
        }
    }

    /// Returns the name of the kind, as in the JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Genesis(_) => "genesis",
            Self::Review(_) => "review",
            Self::Landed(_) => "landed",
            Self::Adopted(_) => "adopted",
            Self::Incident(_) => "incident",
            Self::Admin(_) => "admin",
        }
    }

    fn refs(&self) -> Box<dyn Iterator<Item = &RefName> + '_> {
        match self {
            Self::Genesis(genesis) => Box::new(
                std::iter::once(&genesis.policy_ref)
                    .chain(genesis.tips.keys())
                    .chain(&genesis.dry_run),
            ),
            Self::Review(review) => Box::new([&review.name, &review.target].into_iter()),
            Self::Landed(landed) => Box::new(std::iter::once(&landed.name)),
            Self::Adopted(adopted) => Box::new(std::iter::once(&adopted.name)),
            Self::Incident(_) | Self::Admin(_) => Box::new(std::iter::empty()),
        }
    }
}

/// Returns the version of what says to be an entry of a later one: no more can be told of it.
pub(super) fn later(bytes: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    // In a log of many repositories it stands in a frame.
    let entry = value.get("entry").unwrap_or(&value);
    let version = entry.get("version")?.as_u64()?;
    let is_canonical = serde_jcs::to_vec(&value).is_ok_and(|again| again == bytes);
    (is_canonical && version > VERSION).then_some(version)
}

impl DecisionId {
    /// Returns the answer.
    pub fn decision(&self) -> Decision {
        match self {
            Self::Inline(decided) => decided.verdict.decision,
            Self::Beside { decision, .. } => *decision,
        }
    }
}
