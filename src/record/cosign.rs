//! Asking witnesses to cosign the newest checkpoint.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::http::{Http, HttpError};
use super::proof::{self, Frontier, Hash};
use super::storage::Storage;
use super::tiles::Tiles;
use super::{Checkpoint, Record, RecordError};
use crate::wire::cosignature::CosignerKey;
use crate::wire::note::{Note, NoteError, NoteSignature};
use crate::wire::witness::{self, AddCheckpoint, MAX_ANSWER, WitnessError};

/// How far a witness's clock may be from ours, in seconds; an old cosignature is not taken for a new.
pub const SKEW: i64 = 3600;
/// How often one witness is asked in a run: once with what is known, then with what it says it has.
const TRIES: usize = 3;

/// The newest checkpoint, ready to be sent; independent of the record, so that threads can send it.
#[derive(Clone, Debug)]
pub struct Submission {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// As its log signed it, with what witnesses said of it, which others ignore.
    note: Note,
    checkpoint: Checkpoint,
    /// Notes on file, in which witnesses said how far they know the log.
    known: Vec<(Note, Checkpoint)>,
}

/// Why there is no cosignature of a witness.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The log here cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It has seen more of this log than there is.
    #[error("it has cosigned {theirs} entries of this log, and here are {ours}: {PUT_BACK}")]
    Ahead {
        /// What it knows.
        theirs: u64,
        /// What is here.
        ours: u64,
    },
    /// It knows another log of this name and key.
    #[error("what it has cosigned is not how the {size} entries here begin: {PUT_BACK}")]
    Split {
        /// How many entries it knows.
        size: u64,
    },
    /// More was appended and cosigned meanwhile.
    #[error("the log grew meanwhile: ask again")]
    Grew,
    /// It does not know the log (404).
    #[error("it does not know this log: its admin must add the log's key")]
    Unknown,
    /// It knows the log under another key (403).
    #[error("it knows this log under another key: its admin must add the one of now")]
    OtherKey,
    /// Another status.
    #[error("it answers with status {status}: {words:?}")]
    Status {
        /// The status.
        status: u16,
        /// The first line of what it says.
        words: String,
    },
    /// Not what the protocol has.
    #[error("its answer is none: {0}")]
    Garbled(#[from] WitnessError),
    /// It answered with other keys' lines alone.
    #[error("its answer is not by the key that the policy names")]
    NotIts,
    /// Its line is not for this checkpoint.
    #[error("its answer is not for this checkpoint: {0}")]
    Bad(NoteError),
    /// Its line is of another time.
    #[error("its cosignature is of {0}, more than an hour from now: an old one, or a wrong clock")]
    Time(Timestamp),
    /// It names one size after the other.
    #[error("it names another size each time it is asked")]
    Restless,
}

const PUT_BACK: &str = "the log was put back (an old backup?) or split in two; nobody should trust it before that is clear";

impl AskError {
    /// Returns whether it says that there are two logs: worse than any outage.
    pub fn is_split(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::Split { .. })
    }

    /// Returns whether the witness was there and does not want to, or not as it should.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Http(_) | Self::Record(_) | Self::Grew)
    }
}

impl Record {
    /// Returns the newest checkpoint, to be cosigned.
    pub fn submission(&self) -> Result<Submission, RecordError> {
        let (note, checkpoint) = self.newest_note()?;
        let mut known = vec![(note.clone(), checkpoint.clone())];
        known.extend(self.final_note()?);
        Ok(Submission {
            storage: Arc::clone(&self.storage),
            dir: self.dir.clone(),
            note,
            checkpoint,
            known,
        })
    }
}

impl Submission {
    /// Returns what is cosigned.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the note that is sent.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Asks one witness, and returns its verified line and when it was made.
    pub fn ask(
        &self,
        http: &Http,
        url: &str,
        key: &CosignerKey,
        now: Timestamp,
    ) -> Result<(NoteSignature, Timestamp), AskError> {
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let mut old = self.known_to(key);
        let ours = self.checkpoint.size;
        for _ in 0..TRIES {
            let request = AddCheckpoint {
                old,
                proof: self.consistency(old)?,
                checkpoint: self.note.clone(),
            };
            let limit = u64::try_from(MAX_ANSWER).unwrap_or(u64::MAX);
            let answer = http.post(&url, request.to_string().as_bytes(), limit)?;
            match answer.status {
                200 => return self.checked(&answer.body, key, now),
                404 => return Err(AskError::Unknown),
                403 => return Err(AskError::OtherKey),
                422 => return Err(AskError::Split { size: old }),
                409 => match witness::size(&answer.body) {
                    // It was asked from the very size it has: so it has another root there.
                    Ok(size) if size == old && old == ours => return Err(AskError::Split { size }),
                    Ok(theirs) if theirs > ours => return Err(self.ahead(theirs)?),
                    Ok(size) => old = size,
                    Err(_) if old == ours => return Err(AskError::Split { size: old }),
                    Err(error) => return Err(error.into()),
                },
                status => {
                    let words = String::from_utf8_lossy(&answer.body);
                    let words = words.lines().next().unwrap_or_default();
                    let words = words.chars().take(200).collect();
                    return Err(AskError::Status { status, words });
                }
            }
        }
        Err(AskError::Restless)
    }

    /// Returns how much of the log a witness is known to have cosigned.
    fn known_to(&self, key: &CosignerKey) -> u64 {
        let cosigned = |(note, _): &&(Note, Checkpoint)| matches!(key.verify(note), Ok(Some(_)));
        let sizes = self.known.iter().filter(cosigned).map(|(_, it)| it.size);
        sizes.max().unwrap_or(0)
    }

    /// Returns the proof from a size on, which must hold here before anybody else is asked.
    fn consistency(&self, old: u64) -> Result<Vec<Hash>, RecordError> {
        let log = self.dir.join("log");
        let Checkpoint { size, root, .. } = self.checkpoint;
        let tiles = Tiles {
            storage: &*self.storage,
            dir: &log,
            size,
        };
        let before = Frontier::at(&tiles, old)?.root();
        let proof = proof::consistency(&tiles, old, size)?;
        match proof::verify_consistency((old, &before), (size, &root), &proof) {
            true => Ok(proof),
            false => Err(RecordError::damaged("log", "its tiles are not of its root")),
        }
    }

    /// Tells a log that was put back from one that went on while this was under way.
    fn ahead(&self, theirs: u64) -> Result<AskError, RecordError> {
        let ours = Record::open(&self.dir)?.size();
        Ok(match ours >= theirs {
            true => AskError::Grew,
            false => AskError::Ahead { theirs, ours },
        })
    }

    fn checked(
        &self,
        body: &[u8],
        key: &CosignerKey,
        now: Timestamp,
    ) -> Result<(NoteSignature, Timestamp), AskError> {
        let mut lines = witness::cosignatures(body)?;
        lines.retain(|line| key.made(line));
        let note = Note {
            text: self.note.text.clone(),
            signatures: lines.clone(),
        };
        let time = key.verify(&note).map_err(AskError::Bad)?;
        let (Some(time), Some(line)) = (time, lines.pop()) else {
            return Err(AskError::NotIts);
        };
        let at = i64::try_from(time).unwrap_or(i64::MAX);
        let is_old = at.abs_diff(now.as_second()) > SKEW.unsigned_abs();
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::MAX);
        match is_old {
            true => Err(AskError::Time(at)),
            false => Ok((line, at)),
        }
    }
}
