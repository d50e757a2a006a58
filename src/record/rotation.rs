//! A log goes over to another key, and everybody who knows an earlier one can follow.
//!
//! Step by step, each durable before the next:
//!
//! 1. where the new key is a file, it is made: `key.next`;
//! 2. an entry that names both keys is appended under a checkpoint that both have signed: now, and not
//!    before, the log has gone over;
//! 3. the proof of that entry under that checkpoint becomes `log/rotations/<size>`, and stays;
//! 4. `log/vkey` is the new key;
//! 5. `key.next` takes the place of `key`, and the old private key is gone.
//!
//! A crash before 2 leaves `key.next` for the next attempt. After it, the checkpoint on disk still has
//! both signatures; whoever takes the lock next sees that, and does what is left without any key.

use jiff::Timestamp;

use super::entry::{Admin, AdminAct, Entry, Rotated};
use super::key::{KeyStore, file};
use super::log::Lock;
use super::{
    Checkpoint, CheckpointError, ProofError, Record, RecordError, key, proof, shared, verify_proof,
};
use crate::wire::log_proof::{LogProof, MAX_PROOF};
use crate::wire::note::{Note, NoteError, NoteKey};

/// The most rotations that are read.
const MAX_ROTATIONS: usize = 1024;

/// Who lets the log go over, when and why.
#[derive(Clone, Debug)]
pub struct Rotating<'a> {
    /// Server time.
    pub at: Timestamp,
    /// The operating-system user.
    pub by: &'a str,
    /// Why, in their words.
    pub reason: &'a str,
}

/// One rotation, which both keys have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How many entries the old key signs, the one that says so included.
    pub size: u64,
    /// The key until then.
    pub old: NoteKey,
    /// The key from then on.
    pub new: NoteKey,
    /// What both have signed.
    pub checkpoint: Checkpoint,
}

/// Why something does not show that a log went over to another key.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// No proof under the old key.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Not signed by the new key.
    #[error("the new key: {0}")]
    New(#[from] CheckpointError),
    /// A verifier line in it.
    #[error(transparent)]
    Key(#[from] NoteError),
    /// An entry of another kind.
    #[error("entry {0} says nothing of another key")]
    OtherEntry(u64),
    /// Not the last entry of its checkpoint.
    #[error("entry {index} of {size}: not the last one")]
    NotLast {
        /// Its place.
        index: u64,
        /// The size of the checkpoint.
        size: u64,
    },
    /// From or to a key that has nothing to do with it.
    #[error("it is from {old} to {new}, expected from {expected} to another key of that name")]
    OtherKey {
        /// What the entry says.
        old: String,
        /// What the entry says.
        new: String,
        /// The key that was known.
        expected: String,
    },
    /// Not what this log holds.
    #[error("not of this log: its {size} entries have another root")]
    OtherLog {
        /// The size of the checkpoint.
        size: u64,
    },
    /// Named for another size.
    #[error("it is of size {0}")]
    Name(u64),
}

/// Verifies that a log went over from `old` to another key, with nothing but that key.
pub fn verify_rotation(bytes: &[u8], old: &NoteKey) -> Result<Rotation, RotationError> {
    let proven = verify_proof(bytes, old, None)?;
    let Some(rotated) = rotated(&proven.entry) else {
        return Err(RotationError::OtherEntry(proven.index));
    };
    let size = proven.checkpoint.size;
    if proven.index.saturating_add(1) != size {
        let index = proven.index;
        return Err(RotationError::NotLast { index, size });
    }
    let new = NoteKey::parse(&rotated.new)?;
    let is_next = rotated.old == old.to_string() && new != *old && new.name() == old.name();
    if !is_next {
        return Err(RotationError::OtherKey {
            old: rotated.old.clone(),
            new: rotated.new.clone(),
            expected: old.to_string(),
        });
    }
    let note = LogProof::parse(bytes).map_err(ProofError::from)?.checkpoint;
    Ok(Rotation {
        size,
        old: old.clone(),
        checkpoint: Checkpoint::of_note(&note, &new)?,
        new,
    })
}

/// Returns the two keys, where that is what the entry says.
pub(super) fn rotated(entry: &Entry) -> Option<&Rotated> {
    match entry {
        Entry::Admin(Admin {
            act: AdminAct::Rotated(rotated),
            ..
        }) => Some(rotated),
        _ => None,
    }
}

impl Record {
    /// Lets the log go over to the key of `record.next`; with both keys in files, to a new one.
    ///
    /// Returns the rotation that was cut off before, where this lock has finished it, and nothing
    /// where the key of `record.next` is the log's already.
    pub fn rotate(
        &self,
        lock: &Lock,
        rotating: &Rotating<'_>,
    ) -> Result<Option<Rotation>, RecordError> {
        if let Some(finished) = &lock.finished {
            return Ok(Some(finished.clone()));
        }
        let old = self.key();
        let next = match (&self.keys.next, &self.keys.key) {
            (Some(next), _) => next,
            (None, file @ KeyStore::File) => file,
            (None, _) => return Err(RecordError::NoNext),
        };
        let is_elsewhere = self.keys.key != KeyStore::File;
        if *next == KeyStore::File && is_elsewhere && file::private(&self.dir, &old).is_ok() {
            return Ok(None);
        }
        let new = next.succeed(&self.host, &self.dir, old.name())?;
        if new == old {
            return Ok(None);
        }
        if self
            .rotations(self.size())?
            .iter()
            .any(|earlier| earlier.old == new)
        {
            return Err(RecordError::KeySpent(new.to_string()));
        }
        let entry = Entry::Admin(Admin {
            at: rotating.at,
            repository: old.name().to_owned(),
            act: AdminAct::Rotated(Rotated {
                old: old.to_string(),
                new: new.to_string(),
                by: rotating.by.to_owned(),
                reason: rotating.reason.to_owned(),
            }),
        });
        let now = self.current()?;
        self.append_signed(lock, &now, &[entry], &|text| {
            Ok(vec![
                self.keys.key.sign(&self.dir, &old, text)?,
                next.sign(&self.dir, &new, text)?,
            ])
        })?;
        let text = self.checkpoint_text()?;
        let note = Note::parse(text.as_bytes()).map_err(CheckpointError::from)?;
        self.finish_rotation(&note)
    }

    /// Does what is left of a rotation, where the checkpoint has the signatures of two keys; returns
    /// it where anything was left.
    pub(super) fn finish_rotation(&self, note: &Note) -> Result<Option<Rotation>, RecordError> {
        let known = self.key();
        if note.other_keys(&known).next().is_none() {
            return Ok(None);
        }
        let Some(index) = self.size().checked_sub(1) else {
            return Ok(None);
        };
        let entry = self.any_entry(index)?;
        let Some(rotated) = rotated(&entry) else {
            return Ok(None);
        };
        let link = self.prove_newest(index)?.to_string();
        let path = self.rotation_path(self.size());
        let rotation = NoteKey::parse(&rotated.old)
            .map_err(RotationError::from)
            .and_then(|old| verify_rotation(link.as_bytes(), &old))
            .map_err(|source| self.not_a_rotation(self.size(), source))?;
        if known != rotation.old && known != rotation.new {
            return Err(RecordError::KeyRetired {
                key: known.to_string(),
                size: rotation.size,
            });
        }
        let mut left = false;
        let kept = self.storage.read(&path, MAX_PROOF as u64)?;
        let kept = kept.and_then(|kept| verify_rotation(&kept, &rotation.old).ok());
        if kept.as_ref() != Some(&rotation) {
            self.storage.create_dir(&self.log_dir().join("rotations"))?;
            self.storage.replace(&path, link.as_bytes())?;
            left = true;
        }
        if known != rotation.new {
            key::publish(&*self.storage, &self.dir, &rotation.new)?;
            self.key.replace(rotation.new.clone());
            left = true;
        }
        left |= file::settle(&self.host, &self.dir, &rotation.old, &rotation.new)?;
        Ok(left.then_some(rotation))
    }

    /// Fails where the log went over to another key than that of `log/vkey`.
    pub(super) fn check_rotations(&self) -> Result<(), RecordError> {
        self.rotations(self.size()).map(drop)
    }

    /// Returns the rotations of the first `size` entries, the first one first, each verified and found
    /// in this log; the last is to the key of `log/vkey`.
    ///
    /// One whose last steps are still to come counts, by the checkpoint that both keys signed.
    pub fn rotations(&self, size: u64) -> Result<Vec<Rotation>, RecordError> {
        let mut all: Vec<Rotation> = Vec::new();
        for size in self.rotation_sizes(size)? {
            let path = self.rotation_path(size);
            let bytes = self
                .storage
                .read(&path, MAX_PROOF as u64)?
                .ok_or_else(|| RecordError::damaged(path.display(), "missing"))?;
            let rotation = self
                .link(size, &bytes, all.last())
                .map_err(|source| self.not_a_rotation(size, source))?;
            let log = self.log_dir();
            let tiles = self.tiles(&log, size);
            if proof::root(&tiles, size)? != rotation.checkpoint.root {
                return Err(self.not_a_rotation(size, RotationError::OtherLog { size }));
            }
            all.push(rotation);
        }
        let is_of_both = self.is_of_both(size)?;
        if is_of_both {
            let pending = self.pending(size, all.last())?;
            all.extend(pending);
        }
        for (place, one) in all.iter().enumerate() {
            if all.iter().take(place).any(|earlier| earlier.old == one.new) {
                return Err(RecordError::KeySpent(one.new.to_string()));
            }
        }
        let known = self.key();
        // Both signed this very checkpoint, and `log/vkey` is still to follow.
        let is_left = |last: &Rotation| is_of_both && last.size == size && last.old == known;
        let is_last = |last: &Rotation| last.new == known || is_left(last);
        match all.last() {
            Some(last) if !is_last(last) => Err(RecordError::KeyRetired {
                key: known.to_string(),
                size,
            }),
            _ => Ok(all),
        }
    }

    /// Returns whether the checkpoint on disk is of this size, and has a line of another key of the log's
    /// name besides that of the log's.
    fn is_of_both(&self, size: u64) -> Result<bool, RecordError> {
        let known = self.key();
        let text = self.checkpoint_text()?;
        let note = Note::parse(text.as_bytes()).map_err(CheckpointError::from)?;
        Ok(note.other_keys(&known).next().is_some()
            && Checkpoint::of_note(&note, &known).is_ok_and(|found| found.size == size))
    }

    /// Returns the rotation that the log ends with, where only its checkpoint says so yet.
    fn pending(&self, size: u64, last: Option<&Rotation>) -> Result<Option<Rotation>, RecordError> {
        let Some(index) = size.checked_sub(1) else {
            return Ok(None);
        };
        let is_kept = last.is_some_and(|last| last.size == size);
        if is_kept || rotated(&self.any_entry(index)?).is_none() {
            return Ok(None);
        }
        let link = self.prove_newest(index)?.to_string();
        self.link(size, link.as_bytes(), last)
            .map(Some)
            .map_err(|source| self.not_a_rotation(size, source))
    }

    /// Verifies one link of the chain, which begins with the key that the first one names.
    fn link(
        &self,
        size: u64,
        bytes: &[u8],
        last: Option<&Rotation>,
    ) -> Result<Rotation, RotationError> {
        let old = match last {
            Some(last) => last.new.clone(),
            None => named(bytes)?,
        };
        let rotation = verify_rotation(bytes, &old)?;
        match rotation.size == size {
            true => Ok(rotation),
            false => Err(RotationError::Name(rotation.size)),
        }
    }

    /// Returns the sizes, up to `most`, that have a rotation.
    fn rotation_sizes(&self, most: u64) -> Result<Vec<u64>, RecordError> {
        let folder = self.log_dir().join("rotations");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut sizes = Vec::new();
        for name in self.storage.list(&folder)? {
            let size = name.parse::<u64>().ok();
            let size = size.filter(|size| size.to_string() == name);
            // What is no number is none of ours: what a crash left of a write, say.
            sizes.extend(size.filter(|size| *size <= most));
        }
        if sizes.len() > MAX_ROTATIONS {
            return Err(RecordError::TooMany {
                what: "rotations",
                limit: MAX_ROTATIONS,
            });
        }
        sizes.sort_unstable();
        Ok(sizes)
    }

    fn rotation_path(&self, size: u64) -> std::path::PathBuf {
        self.log_dir().join(format!("rotations/{size}"))
    }

    fn not_a_rotation(&self, size: u64, source: RotationError) -> RecordError {
        RecordError::Rotation {
            path: self.rotation_path(size),
            source: Box::new(source),
        }
    }

    /// Returns whether this is a key of this log: that of `log/vkey`, or one before it.
    pub fn has_key(&self, key: &NoteKey) -> Result<bool, RecordError> {
        let rotations = self.rotations(self.size())?;
        let was = rotations.iter().any(|rotation| rotation.old == *key);
        Ok(was || *key == self.key())
    }

    /// Reads a checkpoint from elsewhere, which the key that this log had at that size must have
    /// signed.
    pub fn checkpoint_of(&self, bytes: &[u8]) -> Result<Checkpoint, RecordError> {
        let rotations = self.rotations(self.size())?;
        let mut from = 0;
        for rotation in &rotations {
            if let Ok(checkpoint) = Checkpoint::open(bytes, &rotation.old) {
                return match (from..=rotation.size).contains(&checkpoint.size) {
                    true => Ok(checkpoint),
                    false => Err(RecordError::KeyRetired {
                        key: rotation.old.to_string(),
                        size: checkpoint.size,
                    }),
                };
            }
            from = rotation.size;
        }
        let last = rotations
            .last()
            .map_or_else(|| self.key(), |last| last.new.clone());
        let checkpoint = Checkpoint::open(bytes, &last)?;
        match checkpoint.size >= from {
            true => Ok(checkpoint),
            false => Err(RecordError::KeyRetired {
                key: last.to_string(),
                size: checkpoint.size,
            }),
        }
    }
}

/// Returns the old key that a link names, verified by nobody yet.
fn named(bytes: &[u8]) -> Result<NoteKey, RotationError> {
    let proof = LogProof::parse(bytes).map_err(ProofError::from)?;
    let entry = proof.extra.as_deref().ok_or(ProofError::NoEntry)?;
    let (_, entry) = shared::decode_either(entry).map_err(ProofError::from)?;
    match rotated(&entry) {
        Some(rotated) => Ok(NoteKey::parse(&rotated.old)?),
        None => Err(RotationError::OtherEntry(proof.index)),
    }
}
