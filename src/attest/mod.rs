//! What others can hold against a signature: who reviewed a commit, and which levels that gives.
//!
//! ```text
//!  standing ─ Reviewed ─┬─ review   our source-review statement: who, of what, by which rules
//!  (decided again)      ├─ vsa      SLSA's summary: the level that the log proves, and since when
//!  log ── continuity ───┘─ svr      the same as in-toto's simple verification result
//! ```
//!
//! Everything is taken from the record: that the commit is *reviewed* is decided again as
//! `verify commit` does, what came before is read from the log's entries. Nothing is claimed of a
//! commit that is not reviewed.
//!
//! [`check`] is the other side: what a consumer must hold against an envelope.

pub mod check;
pub mod continuity;
mod review;
mod reviewed;
mod svr;
mod trailers;
mod vsa;

pub use continuity::{Control, Held, Start};
pub use reviewed::{Head, Reviewed};

use faster_hex::hex_string;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::admit::AdmitError;
use crate::admit::standing::{Standing, State, standing};
use crate::gather::RulebookError;
use crate::git::{GitError, Repo};
use crate::record::entry::PolicyId;
use crate::record::{Record, RecordError};
use crate::wire::dsse::{Envelope, IN_TOTO};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::pem::SecretKey;
use crate::wire::statement::{ResourceDescriptor, STATEMENT, Statement};

pub use review::PREDICATE as SOURCE_REVIEW;
pub use svr::PREDICATE as SVR;
pub use trailers::trailers;
pub use vsa::PREDICATE as VSA;

/// What an attestation is asked of.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The objects.
    pub repo: &'a Repo,
    /// The record.
    pub record: &'a Record,
    /// The policy ref.
    pub policy_ref: &'a RefName,
    /// The commit.
    pub commit: &'a Oid,
    /// On this ref, else on any recorded one.
    pub onto: Option<&'a RefName>,
    /// The revision from which on controls must have held, a recorded tip of the ref.
    pub since: Option<&'a Oid>,
    /// Server time.
    pub now: Timestamp,
    /// Under which names; by default those that follow from the policy and the log.
    pub names: &'a Names,
}

/// Under which names statements speak; what is not given follows from policy and log.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Where consumers fetch the repository from.
    pub resource: Option<String>,
    /// Who verified.
    pub verifier: Option<String>,
}

/// What is attested of a commit.
#[derive(Debug)]
pub struct Attested {
    /// What the record says of it.
    pub standing: Standing,
    /// The landing; none where the commit is not reviewed.
    pub reviewed: Option<Box<Reviewed>>,
    /// Which controls held, each since when.
    pub held: Vec<Held>,
    /// The statements, the VSA last but for an SVR; of what is not reviewed a failed VSA alone.
    pub signed: Vec<Signed>,
}

/// A statement in its envelope.
#[derive(Debug)]
pub struct Signed {
    /// What it says.
    pub statement: Statement,
    /// The same, signed.
    pub envelope: Envelope,
}

/// Why nothing can be attested.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The record, or what it rests on.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// A policy in force then.
    #[error(transparent)]
    Rulebook(#[from] RulebookError),
    /// The revision to start from was no recorded tip of the ref before the commit landed.
    #[error("{since} was no recorded tip of {name} before that")]
    NoStart {
        /// What was asked for.
        since: Oid,
        /// The ref.
        name: RefName,
    },
    /// A statement that cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<RecordError> for AttestError {
    fn from(error: RecordError) -> Self {
        Self::Admit(error.into())
    }
}

impl From<GitError> for AttestError {
    fn from(error: GitError) -> Self {
        Self::Admit(error.into())
    }
}

/// Attests what the record says of a commit; `svr` adds that statement too.
pub fn attest(asked: &Asked<'_>, keys: &[SecretKey], svr: bool) -> Result<Attested, AttestError> {
    // The newest checkpoint, and the very bytes of the one that is gone by.
    let checkpoint = {
        let _lock = asked.record.lock()?;
        asked.record.checkpoint_text()?
    };
    let standing = standing(
        asked.repo,
        asked.record,
        asked.policy_ref,
        asked.commit,
        asked.onto,
    )?;
    let reviewed = match standing.state {
        State::Reviewed => Reviewed::of(asked, &standing)?,
        State::Reachable
        | State::Baseline
        | State::Adopted
        | State::Unreviewed
        | State::Unknown => None,
    };
    let Some(reviewed) = reviewed else {
        let failed = vsa::failed(asked, &standing)?;
        return Ok(Attested {
            standing,
            reviewed: None,
            held: Vec::new(),
            signed: vec![signed(failed, keys)?],
        });
    };
    let held = continuity::held(asked, &reviewed)?;
    let names = Spoken::of(asked, &reviewed.landed.repository);
    let review = signed(review::statement_for(asked, &names, &reviewed)?, keys)?;
    let summary = vsa::passed(
        asked,
        &names,
        &reviewed,
        &held,
        [&review.envelope.to_string(), &checkpoint],
    );
    let mut all = vec![review, signed(summary, keys)?];
    if svr {
        all.push(signed(svr::result(asked, &names, &reviewed, &held), keys)?);
    }
    Ok(Attested {
        standing,
        reviewed: Some(Box::new(reviewed)),
        held,
        signed: all,
    })
}

fn signed(statement: Statement, keys: &[SecretKey]) -> Result<Signed, AttestError> {
    let payload = serde_jcs::to_vec(&statement)?;
    let envelope = Envelope::sign(IN_TOTO, payload, keys);
    Ok(Signed {
        statement,
        envelope,
    })
}

/// The names that statements speak under.
struct Spoken {
    resource: String,
    verifier: String,
}

impl Spoken {
    fn of(asked: &Asked<'_>, repository: &str) -> Self {
        let names = asked.names;
        let origin = asked.record.checkpoint().origin;
        Self {
            resource: names
                .resource
                .clone()
                .unwrap_or_else(|| resource(repository)),
            verifier: names.verifier.clone().unwrap_or_else(|| verifier(&origin)),
        }
    }

    fn policy(&self, policy: &PolicyId) -> Value {
        let uri = format!("{}@{}#.countersign", self.resource, policy.commit);
        serde_json::json!({"uri": uri, "digest": {"sha256": policy.digest}})
    }
}

/// Returns the address that stands for a repository by the name that its policy gives it.
pub fn resource(repository: &str) -> String {
    format!("git+https://{}", uri_path(repository))
}

/// Returns the id of the verifier that a log stands for, by the log's origin.
pub fn verifier(origin: &str) -> String {
    format!("https://countersign.dev/verifier/{}", uri_path(origin))
}

/// What may stand in the path of a URI as it is; anything else is percent-encoded.
fn uri_path(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                path.push(char::from(byte));
            }
            other => path += &format!("%{other:02X}"),
        }
    }
    path
}

/// Returns what a statement about a commit on a ref is about.
///
/// The tree stands beside the commit, as SLSA asks: whoever accepts it takes any commit of this tree
/// for reviewed. [`check`] does not.
fn subject(names: &Spoken, commit: &Oid, tree: &Oid, name: Option<&RefName>) -> ResourceDescriptor {
    let mut annotations = Map::new();
    // Under both names that consumers read.
    for key in ["sourceRefs", "source_refs"] {
        let refs: Vec<String> = name.iter().map(ToString::to_string).collect();
        annotations.insert(key.to_owned(), refs.into());
    }
    ResourceDescriptor {
        name: name.map(ToString::to_string),
        uri: Some(format!("{}@{commit}", names.resource)),
        digest: [("gitCommit", commit), ("gitTree", tree)]
            .map(|(algorithm, oid)| (algorithm.to_owned(), oid.to_string()))
            .into(),
        annotations,
    }
}

fn statement(subject: ResourceDescriptor, kind: &str, predicate: Value) -> Statement {
    Statement {
        kind: STATEMENT.to_owned(),
        subject: vec![subject],
        predicate_type: kind.to_owned(),
        predicate: match predicate {
            Value::Object(members) => members,
            _ => Map::new(),
        },
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex_string(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository's name becomes an address that says the same and no more.
    #[test]
    fn names_are_addresses() {
        assert_eq!(
            resource("git.example.com/payments"),
            "git+https://git.example.com/payments"
        );
        assert_eq!(
            resource("a b?c#d@e%\u{e9}"),
            "git+https://a%20b%3Fc%23d%40e%25%C3%A9"
        );
        assert_eq!(verifier("a"), "https://countersign.dev/verifier/a");
    }
}
