//! How far the record is final, by the policy that is in force.

use crate::gather::Rulebook;
use crate::git::Repo;
use crate::policy::Witnesses;
use crate::record::{Finality, Record, RecordError};
use crate::wire::name::RefName;

/// How far the record is final.
#[derive(Clone, Debug)]
pub enum Sealed {
    /// The policy asks for no cosignatures.
    Unasked,
    /// So far.
    Known {
        /// How far.
        finality: Finality,
        /// Who is asked, and how many of them it takes.
        witnesses: Witnesses,
    },
    /// The policy cannot be read, so nobody can say.
    Unknown(String),
}

impl Sealed {
    /// Returns whether an entry is under a final checkpoint.
    pub fn covers(&self, index: u64) -> bool {
        match self {
            Self::Known { finality, .. } => finality.covers(index),
            Self::Unasked | Self::Unknown(_) => false,
        }
    }
}

/// Reads the witnesses of the policy at the recorded tip of the policy ref.
pub fn witnesses(
    repo: &Repo,
    record: &Record,
    policy_ref: &RefName,
) -> Result<Result<Option<Witnesses>, String>, RecordError> {
    let tip = record.view()?.tip(policy_ref)?.and_then(|tip| tip.oid);
    Ok(match tip.map(|tip| Rulebook::at(repo, &tip)) {
        Some(Ok(rules)) => Ok(rules.policy.witnesses.clone()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(format!("{policy_ref} has no recorded tip")),
    })
}

/// Returns how far the record is final; an error where the log does not continue what is.
pub fn sealed(repo: &Repo, record: &Record, policy_ref: &RefName) -> Result<Sealed, RecordError> {
    Ok(match witnesses(repo, record, policy_ref)? {
        Ok(Some(witnesses)) => Sealed::Known {
            finality: record.finality(&witnesses.trust(None))?,
            witnesses,
        },
        Ok(None) => Sealed::Unasked,
        Err(why) => Sealed::Unknown(why),
    })
}
