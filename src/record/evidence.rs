//! What is too large for an entry: beside the log, by SHA-256; and entries made to fit.

use faster_hex::hex_string;
use sha2::{Digest as _, Sha256};

use super::entry::{Decided, DecisionId, Entry, EntryError, Genesis, Landed};
use super::{Record, RecordError, shared};

/// The most bytes a piece of evidence may have.
const MAX_EVIDENCE: usize = 256 * 1024 * 1024;

impl Record {
    /// Keeps the bytes durably and returns their SHA-256, hexadecimal.
    pub fn put_evidence(&self, bytes: &[u8]) -> Result<String, RecordError> {
        let sha256 = hex_string(&Sha256::digest(bytes));
        if bytes.len() > MAX_EVIDENCE {
            return Err(RecordError::damaged(
                format_args!("evidence/{sha256}"),
                format_args!("{} bytes are too many", bytes.len()),
            ));
        }
        let path = self.dir.join("evidence").join(&sha256);
        self.storage.replace(&path, bytes)?;
        Ok(sha256)
    }

    /// Returns kept bytes, checked against their name.
    pub fn evidence(&self, sha256: &str) -> Result<Vec<u8>, RecordError> {
        let damaged = |why: &str| RecordError::damaged(format_args!("evidence/{sha256}"), why);
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(damaged("not a SHA-256"));
        }
        let path = self.dir.join("evidence").join(sha256);
        let limit = u64::try_from(MAX_EVIDENCE).unwrap_or(u64::MAX);
        let bytes = self
            .storage
            .read(&path, limit)?
            .ok_or_else(|| damaged("missing"))?;
        if hex_string(&Sha256::digest(&bytes)) != sha256 {
            return Err(damaged("not the bytes its name is of"));
        }
        Ok(bytes)
    }

    /// Returns what a landing was decided on, from the entry or from beside it.
    pub fn decided(&self, landed: &Landed) -> Result<Decided, RecordError> {
        match &landed.decision {
            DecisionId::Inline(decided) => Ok((**decided).clone()),
            DecisionId::Beside { sha256, decision } => {
                let bytes = self.evidence(sha256)?;
                let decided: Decided = serde_json::from_slice(&bytes)?;
                let is_canonical = serde_jcs::to_vec(&decided)? == bytes;
                if !is_canonical || decided.verdict.decision != *decision {
                    return Err(RecordError::damaged(
                        format_args!("evidence/{sha256}"),
                        "not the decision its entry names",
                    ));
                }
                Ok(decided)
            }
        }
    }

    /// Returns entries that fit into the log in place of one.
    ///
    /// A landing's decision goes beside the log; a baseline becomes several with the same head;
    /// anything else too large is an error.
    pub(crate) fn fit(&self, entry: &Entry) -> Result<Vec<Entry>, RecordError> {
        match (shared::encode(self.of.as_ref(), entry), entry) {
            (Err(EntryError::TooLarge { .. }), Entry::Landed(landed)) => {
                let DecisionId::Inline(decided) = &landed.decision else {
                    return Ok(vec![entry.clone()]);
                };
                let sha256 = self.put_evidence(&serde_jcs::to_vec(decided)?)?;
                let decision = decided.verdict.decision;
                Ok(vec![Entry::Landed(Landed {
                    decision: DecisionId::Beside { sha256, decision },
                    ..landed.clone()
                })])
            }
            (Err(EntryError::TooLarge { .. }), Entry::Genesis(genesis)) => match halves(genesis) {
                Some((first, second)) => {
                    let mut fitting = self.fit(&Entry::Genesis(first))?;
                    fitting.extend(self.fit(&Entry::Genesis(second))?);
                    Ok(fitting)
                }
                None => Ok(vec![entry.clone()]),
            },
            _ => Ok(vec![entry.clone()]),
        }
    }
}

/// Two baselines with half of the tips and half of the keys each; none where there is one of each.
fn halves(genesis: &Genesis) -> Option<(Genesis, Genesis)> {
    if genesis.tips.len() <= 1 && genesis.keys.len() <= 1 {
        return None;
    }
    let (mut first, mut second) = (genesis.clone(), genesis.clone());
    if let Some(middle) = genesis.tips.keys().nth(genesis.tips.len() / 2) {
        second.tips = first.tips.split_off(middle);
    }
    if let Some(middle) = genesis.keys.keys().nth(genesis.keys.len() / 2) {
        second.keys = first.keys.split_off(middle);
    }
    second.host = None;
    first.dry_run.retain(|name| first.tips.contains_key(name));
    second.dry_run.retain(|name| second.tips.contains_key(name));
    Some((first, second))
}
