//! Proofs of entries for those who have nothing but the log's key.

use super::entry::{Entry, EntryError};
use super::proof::{self, leaf_hash};
use super::shared::{self, RepositoryName};
use super::tiles::TILE_WIDTH;
use super::{Checkpoint, CheckpointError, Record, RecordError};
use crate::wire::log_proof::{LogProof, LogProofError};
use crate::wire::note::{Note, NoteKey};

/// What a proof proves: that the log's key signed a tree with this entry in it.
///
/// Not that the entry tells the truth: deciding it again takes the repository and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Its place in the log.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// Whose it is, in a log of many repositories.
    pub of: Option<RepositoryName>,
    /// The tree it is in.
    pub checkpoint: Checkpoint,
    /// The same as signed, with what witnesses said of it, unverified.
    pub note: Note,
}

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The file.
    #[error(transparent)]
    Form(#[from] LogProofError),
    /// The checkpoint in it.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Nobody says what entry it is about.
    #[error("the entry is neither in the proof nor given")]
    NoEntry,
    /// The entry that was given is not the one the proof carries.
    #[error("the proof carries another entry than the one given")]
    OtherEntry,
    /// The hashes do not lead from the entry to the root.
    #[error("not the entry {index} of the {size} that the checkpoint signs")]
    NotIncluded {
        /// The place that the proof names.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The log holds it, and it is no entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl Proven {
    /// Returns the bytes that stand in the log.
    pub fn bytes(&self) -> Result<Vec<u8>, EntryError> {
        shared::encode(self.of.as_ref(), &self.entry)
    }
}

impl Record {
    /// Returns the proof of entry `index`, with the entry in it, under the final checkpoint if that
    /// covers it and is by the key of `log/vkey`, else under the newest.
    ///
    /// From an earlier key the way leads to that one, and never back.
    pub fn prove(&self, index: u64) -> Result<LogProof, RecordError> {
        let key = self.key();
        match self.final_note()? {
            Some((note, last)) if index < last.size && Checkpoint::of_note(&note, &key).is_ok() => {
                self.prove_under(note, &last, index)
            }
            _ => self.prove_newest(index),
        }
    }

    /// The same under the newest checkpoint alone, which is what a rotation is proven by.
    pub(super) fn prove_newest(&self, index: u64) -> Result<LogProof, RecordError> {
        let (note, newest) = self.newest_note()?;
        self.prove_under(note, &newest, index)
    }

    fn prove_under(
        &self,
        note: Note,
        &Checkpoint { size, root, .. }: &Checkpoint,
        index: u64,
    ) -> Result<LogProof, RecordError> {
        if index >= size {
            return Err(RecordError::Beyond { size, index });
        }
        let log = self.log_dir();
        let tiles = self.tiles(&log, size);
        let stored = tiles.bundle(index / TILE_WIDTH)?;
        let entry = stored
            .into_iter()
            .find(|stored| stored.index == index)
            .ok_or(RecordError::Beyond { size, index })?
            .bytes;
        let path = proof::inclusion(&tiles, index, size)?;
        // What is handed out must hold wherever it is taken.
        if !proof::verify_inclusion(&leaf_hash(&entry), index, size, &path, &root) {
            return Err(RecordError::damaged("log", "its tiles are not of its root"));
        }
        Ok(LogProof {
            extra: Some(entry),
            index,
            path,
            checkpoint: note,
        })
    }
}

/// Verifies a proof with nothing but the log's key; `entry` where the proof does not carry it.
pub fn verify_proof(
    bytes: &[u8],
    key: &NoteKey,
    entry: Option<&[u8]>,
) -> Result<Proven, ProofError> {
    let proof = LogProof::parse(bytes)?;
    let signed = proof.checkpoint.to_string();
    let checkpoint = Checkpoint::open(signed.as_bytes(), key)?;
    let bytes = match (entry, proof.extra.as_deref()) {
        (Some(given), Some(carried)) if given != carried => return Err(ProofError::OtherEntry),
        (Some(entry), _) | (None, Some(entry)) => entry,
        (None, None) => return Err(ProofError::NoEntry),
    };
    let (index, size) = (proof.index, checkpoint.size);
    let leaf = leaf_hash(bytes);
    if !proof::verify_inclusion(&leaf, index, size, &proof.path, &checkpoint.root) {
        return Err(ProofError::NotIncluded { index, size });
    }
    let (of, entry) = shared::decode_either(bytes)?;
    Ok(Proven {
        index,
        entry,
        of,
        checkpoint,
        note: proof.checkpoint,
    })
}
