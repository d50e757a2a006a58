//! The record: which commit was reviewed by whom, signed and append-only.
//!
//! ```text
//! <git-dir>/countersign/       0700, files 0600: publishing the log is copying `log/`
//!   log/checkpoint             signed note: origin, size, root
//!   log/checkpoint.final       the newest one that enough witnesses cosigned
//!   log/tile/…                 C2SP tlog-tiles
//!   log/vkey                   the key that signs checkpoints, its public half
//!   log/rotations/<size>       that the log went over to another key, signed by both
//!   key                        its private half, unless it is kept elsewhere
//!   key.next                   that of the key the log is going over to
//!   attest.key, attest.pem     the key that signs attestations, and its public half
//!   evidence/<sha256>          what is too large for an entry
//!   intents/<id>.json          accepted, not landed yet
//!   received                   who first brought which commits, JSON lines
//!   repository                 whose record it is, where it stands elsewhere
//!   audit.jsonl                refusals, JSON lines
//!   index.db, -wal, -shm       SQLite; rebuilt from `log/` and `received`: delete, never restore
//!   lock                       held while anything above is written
//! ```

mod attestation;
mod audit;
mod checkpoint;
mod claim;
mod cosign;
mod disk;
pub mod entry;
mod evidence;
mod finality;
pub mod http;
mod incidents;
mod index;
mod ingest;
mod intents;
pub mod key;
mod log;
mod logged;
pub mod monitor;
mod process;
pub mod proof;
mod prove;
mod received;
mod rotation;
mod rows;
pub mod shared;
mod storage;
mod tables;
pub mod tiles;
mod verify;
mod view;
mod witness;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosign::{AskError, SKEW, Submission};
pub use finality::Finality;
pub use incidents::{IncidentKey, OnRecord};
pub use index::Door;
pub use intents::Intent;
pub use log::Lock;
pub use logged::Logged;
pub use process::Process;
pub use prove::{ProofError, Proven, verify_proof};
pub use rotation::{Rotating, Rotation, RotationError, verify_rotation};
pub use verify::{Problem, Report};
pub use view::{Tip, TipKind, View};
pub use witness::{Answer, Refusal, Witness};

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::wire::note::{NoteError, NoteKey};
use disk::Disk;
use entry::EntryError;
use key::{KeyStores, StoreError};
use shared::RepositoryName;
use storage::Storage;

/// Where a shared log has the folders of its repositories.
const REPOSITORIES: &str = "repositories";

/// The record of one repository, opened.
///
/// Reading needs no lock. What is read is the log as of the checkpoint loaded by opening,
/// locking or appending, whichever came last.
#[derive(Debug)]
pub struct Record {
    dir: PathBuf,
    /// In a log of many repositories: which one is asked about.
    of: Option<RepositoryName>,
    storage: Arc<dyn Storage>,
    /// Where keys in files are.
    host: Disk,
    key: RefCell<NoteKey>,
    keys: KeyStores,
    checkpoint: RefCell<Checkpoint>,
    /// The checkpoint that was read from disk last.
    verified: RefCell<log::Current>,
    index: OnceCell<Rc<Connection>>,
    /// Where an index of one's own stands.
    passing: OnceCell<tempfile::TempDir>,
    recent: Rc<RefCell<view::Recent>>,
}

/// What went wrong with the record; none of these is ever a reason to accept.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No record in this folder.
    #[error("{0}: no record here")]
    Missing(PathBuf),
    /// There is a record in this folder.
    #[error("{0}: a record is here already")]
    Exists(PathBuf),
    /// Something on disk is not what was written.
    #[error("the record is damaged: {what}: {why}")]
    Damaged {
        /// Which part.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The checkpoint is not the one this process loaded.
    #[error("the log moved under its lock: size {expected} was loaded, {found} is on disk")]
    Moved {
        /// What was loaded.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// Time ran backwards.
    #[error("the clock went back: the record's last time is {last}, now it is {now}")]
    ClockWentBack {
        /// The latest time recorded.
        last: Timestamp,
        /// The time of the new entry.
        now: Timestamp,
    },
    /// An entry beyond the size of the log.
    #[error("the log has {size} entries, {index} is beyond them")]
    Beyond {
        /// The size.
        size: u64,
        /// What was asked for.
        index: u64,
    },
    /// An entry that cannot be written or read.
    #[error("entry {index}: {source}")]
    Entry {
        /// Its place in the log.
        index: u64,
        /// What is wrong with it.
        source: EntryError,
    },
    /// The checkpoint.
    #[error("{path}: {source}")]
    Checkpoint {
        /// Where it stands.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A key of the log.
    #[error("{path}: {source}")]
    Key {
        /// Where it stands.
        path: PathBuf,
        /// What is wrong with it.
        source: NoteError,
    },
    /// The private key can be read by others.
    #[error("{0}: others than its owner can read this private key")]
    KeyExposed(PathBuf),
    /// The private key is not the one of `log/vkey`.
    #[error("{0}: not the key whose public half is log/vkey")]
    KeyMismatch(PathBuf),
    /// A store of the private key outside the record.
    #[error("the log's key, kept in {store}: {source}")]
    KeyStore {
        /// As in `server.toml`.
        store: String,
        /// Why it did not sign.
        source: StoreError,
    },
    /// Neither of the two stores.
    #[error("{key}; and where the log goes over to: {next}")]
    Neither {
        /// What is wrong with `record.key`.
        key: Box<RecordError>,
        /// What is wrong with `record.next`.
        next: Box<RecordError>,
    },
    /// A log whose key is kept elsewhere, and no word of where the other one is.
    #[error("the log's key is kept outside the record, and nothing says where the next one is")]
    NoNext,
    /// A key that was the log's before.
    #[error("{0} was this log's key before, and does not become it again")]
    KeySpent(String),
    /// A checkpoint by a key that was not the log's at that size.
    #[error("a checkpoint of size {size} by {key}, which was not this log's key then")]
    KeyRetired {
        /// The verifier line.
        key: String,
        /// What it signed.
        size: u64,
    },
    /// A checkpoint that nobody of this log signed.
    #[error(transparent)]
    OtherCheckpoint(#[from] CheckpointError),
    /// What says that the log went over to another key.
    #[error("{path}: {source}")]
    Rotation {
        /// Where it stands.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<RotationError>,
    },
    /// The lock stayed taken.
    #[error("{path}: held by another process for more than {seconds} s")]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The lock file was deleted or replaced while it was locked.
    #[error("{0}: deleted or replaced while it was locked; nothing was written")]
    LockGone(PathBuf),
    /// The record of another repository.
    #[error("{dir}: the record of {owner}; two repositories cannot share one")]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// An entry of another repository in the same log.
    #[error("entry {index} is of another repository")]
    Elsewhere {
        /// Its place in the log.
        index: u64,
    },
    /// The index; deleting `index.db` has it rebuilt.
    #[error("index.db (delete it, and it is rebuilt): {0}")]
    Index(#[from] rusqlite::Error),
    /// More of something than is read.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// A process that cannot be looked at.
    #[error("{0}")]
    Process(String),
    /// Not 32 hexadecimal digits.
    #[error("not an intent id: {0:?}")]
    IntentId(String),
    /// JSON that cannot be made.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl RecordError {
    /// Returns whether it is an entry of a later version of the format, which is no damage.
    pub fn is_newer(&self) -> bool {
        let newer = |source: &EntryError| matches!(source, EntryError::Newer { .. });
        matches!(self, Self::Entry { source, .. } if newer(source))
    }

    fn damaged(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Damaged {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}

impl Record {
    /// Returns whether there is a record in the folder.
    pub fn exists(dir: &Path) -> bool {
        dir.join("log/checkpoint").exists()
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns how many entries the log has.
    pub fn size(&self) -> u64 {
        self.checkpoint.borrow().size
    }

    /// Returns the checkpoint this record is read at.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint.borrow().clone()
    }

    /// Returns the verifier line of the log's key.
    pub fn vkey(&self) -> String {
        self.key.borrow().to_string()
    }

    /// Signs with the key of these stores from now on; without this, with the file `key`.
    #[must_use]
    pub fn signed_by(self, keys: KeyStores) -> Self {
        Self { keys, ..self }
    }

    /// Returns the log's key.
    pub fn key(&self) -> NoteKey {
        self.key.borrow().clone()
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Returns the folder of what is one repository's alone.
    fn own_dir(&self) -> PathBuf {
        match &self.of {
            None => self.dir.clone(),
            Some(of) => self.dir.join(REPOSITORIES).join(of.as_str()),
        }
    }
}
