//! How far the log is final: the largest checkpoint that enough witnesses cosigned.
//!
//! Appending never waits for witnesses. So there are two checkpoints: `log/checkpoint` is the newest,
//! with the cosignatures that came in while it is that; `log/checkpoint.final` the newest that had a
//! quorum, with all of them. In a log of many repositories that is `repositories/<name>/checkpoint.final`.

use super::proof::Frontier;
use super::{Checkpoint, CheckpointError, REPOSITORIES, Record, RecordError};
use crate::wire::log_policy::{Cosigned, LogPolicy};
use crate::wire::note::{Note, NoteError, NoteSignature};

/// Where the newest checkpoint stands.
const NEWEST: &str = "log/checkpoint";
/// Where the newest one with a quorum stands.
const FINAL: &str = "log/checkpoint.final";
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// How far the log is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finality {
    /// How many entries the log has.
    pub size: u64,
    /// The largest checkpoint with a quorum.
    pub last: Option<(Checkpoint, Cosigned)>,
}

impl Finality {
    /// Returns how many entries are final.
    pub fn sealed(&self) -> u64 {
        self.last.as_ref().map_or(0, |(last, _)| last.size)
    }

    /// Returns whether an entry is under a final checkpoint.
    pub fn covers(&self, index: u64) -> bool {
        index < self.sealed()
    }
}

impl Record {
    /// Returns how far the log is final by this policy, whose logs do not matter here.
    ///
    /// A final checkpoint that the log does not continue is an error: the log was put back, or is
    /// another one.
    pub fn finality(&self, trust: &LogPolicy) -> Result<Finality, RecordError> {
        // In this order: what is final was the newest first, so a log that grows meanwhile covers it.
        let sealed = self.final_note()?;
        let (note, newest) = self.newest_note()?;
        let mut last: Option<(Checkpoint, Cosigned)> = None;
        let both = [Some((note, newest.clone())), sealed];
        let names = [NEWEST, &*self.final_name()];
        for (name, (note, checkpoint)) in names.iter().zip(both.into_iter().flatten()) {
            self.continues(&newest, &checkpoint)?;
            let cosigned = trust.cosigned(&note);
            let cosigned = cosigned.map_err(|error| self.bad(name, error))?;
            let known = last.as_ref().map(|(last, _)| last.size);
            if cosigned.enough && known.is_none_or(|known| known < checkpoint.size) {
                last = Some((checkpoint, cosigned));
            }
        }
        Ok(Finality {
            size: newest.size,
            last,
        })
    }

    /// Returns the note of the newest checkpoint that had a quorum, if there ever was one.
    ///
    /// One that no key of the log signed is none: somebody else put it there, and nothing is final by it.
    pub(super) fn final_note(&self) -> Result<Option<(Note, Checkpoint)>, RecordError> {
        match self.signed(&self.final_name()) {
            Err(RecordError::OtherCheckpoint(CheckpointError::Note(
                NoteError::Unsigned(_) | NoteError::OtherKey { .. },
            ))) => Ok(None),
            found => found,
        }
    }

    /// Returns the note of the newest checkpoint.
    pub(super) fn newest_note(&self) -> Result<(Note, Checkpoint), RecordError> {
        let path = self.dir.join(NEWEST);
        let missing = || RecordError::Missing(self.dir.clone());
        let bytes = self
            .storage
            .read(&path, MAX_CHECKPOINT)?
            .ok_or_else(missing)?;
        let read = || -> Result<(Note, Checkpoint), CheckpointError> {
            let note = Note::parse(&bytes)?;
            let checkpoint = Checkpoint::of_note(&note, &self.key())?;
            Ok((note, checkpoint))
        };
        read().map_err(|source| self.unreadable(NEWEST, source))
    }

    /// Puts verified cosignatures of a checkpoint where they belong, durably: under the newest one as
    /// long as it is that, and where there are enough, in the place of the last final one.
    pub fn publish(
        &self,
        note: &Note,
        lines: &[NoteSignature],
        trust: &LogPolicy,
    ) -> Result<Finality, RecordError> {
        let _lock = self.lock()?;
        let checkpoint = self.checkpoint_of(note.to_string().as_bytes())?;
        self.continues(&self.checkpoint(), &checkpoint)?;
        let (newest, _) = self.newest_note()?;
        let mut all = note.clone();
        let sealed = self.final_note()?.map(|(note, _)| note);
        for known in [Some(&newest), sealed.as_ref()].into_iter().flatten() {
            if known.text == note.text {
                add(&mut all, &known.signatures);
            }
        }
        add(&mut all, lines);
        let cosigned = trust
            .cosigned(&all)
            .map_err(|error| self.bad(NEWEST, error))?;
        // Before anything is replaced: a log that was put back must not hide what is final.
        let before = self.finality(trust)?.sealed();
        let bytes = all.to_string();
        if newest.text == all.text && newest != all {
            self.storage
                .replace(&self.dir.join(NEWEST), bytes.as_bytes())?;
        }
        if cosigned.enough && checkpoint.size >= before {
            let path = self.dir.join(self.final_name());
            self.storage.replace(&path, bytes.as_bytes())?;
        }
        self.finality(trust)
    }

    /// Fails where a log of this checkpoint does not continue that of the other.
    fn continues(&self, newest: &Checkpoint, old: &Checkpoint) -> Result<(), RecordError> {
        let put_back = "it was put back or rewritten";
        if old.size > newest.size {
            let why = format!(
                "{} entries, and {} are final: {put_back}",
                newest.size, old.size
            );
            return Err(RecordError::damaged("log", why));
        }
        let log = self.log_dir();
        let tiles = self.tiles(&log, newest.size);
        if Frontier::at(&tiles, old.size)?.root() != old.root {
            let why = format!(
                "it does not continue the {} entries that are final: {put_back}",
                old.size
            );
            return Err(RecordError::damaged("log", why));
        }
        Ok(())
    }

    /// Each repository of a shared log has one of its own, by the witnesses of its own policy: what is
    /// enough for another must not take its place.
    fn final_name(&self) -> String {
        match &self.of {
            None => FINAL.to_owned(),
            Some(of) => format!("{REPOSITORIES}/{}/checkpoint.final", of.as_str()),
        }
    }

    fn signed(&self, name: &str) -> Result<Option<(Note, Checkpoint)>, RecordError> {
        let Some(bytes) = self.storage.read(&self.dir.join(name), MAX_CHECKPOINT)? else {
            return Ok(None);
        };
        let checkpoint = self.checkpoint_of(&bytes)?;
        let note = Note::parse(&bytes).map_err(|error| self.bad(name, error))?;
        Ok(Some((note, checkpoint)))
    }

    fn bad(&self, name: &str, error: NoteError) -> RecordError {
        self.unreadable(name, CheckpointError::Note(error))
    }

    fn unreadable(&self, name: &str, source: CheckpointError) -> RecordError {
        let path = self.dir.join(name);
        RecordError::Checkpoint { path, source }
    }
}

/// Adds lines to a note, each in the place of that by the same key.
fn add(note: &mut Note, lines: &[NoteSignature]) {
    for line in lines {
        let same_key = |have: &NoteSignature| have.name == line.name && have.id == line.id;
        note.signatures.retain(|have| !same_key(have));
        note.signatures.push(line.clone());
    }
}
