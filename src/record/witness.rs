//! A witness: it cosigns checkpoints of logs it was told of, each only if it continues the last.
//!
//! ```text
//! <dir>/                        0700, files 0600
//!   key                         the private key that cosigns
//!   vkey                        its public half, to be named in policies
//!   logs                        verifier lines of logs, one a line; `#` begins a comment
//!   <sha256 of origin>/checkpoint   what was cosigned last
//!   lock                        held by the process that serves
//! ```
//!
//! What was cosigned is durable before the answer leaves, whatever happens then: a crash may lose an
//! answer, never what the next one must be consistent with. Who restores an old copy of the folder
//! takes that back, and no program can see it.
//!
//! Source: C2SP tlog-witness v1.0.0, <https://c2sp.org/tlog-witness>. Checkpoints with extension lines
//! are refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use faster_hex::hex_string;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::checkpoint::CheckpointError;
use super::disk::{self, Disk};
use super::proof::{Hash, empty_root, verify_consistency};
use super::storage::{Lock, Storage as _};
use super::{Checkpoint, RecordError};
use crate::wire::cosignature::{Cosigner, CosignerKey};
use crate::wire::note::{MAX_NOTE, Note, NoteError, NoteKey, NoteSignature};
use crate::wire::witness::{AddCheckpoint, WitnessError};

const MAX_KEY: u64 = 4096;
const MAX_LOGS: u64 = 1 << 20;

/// A witness, opened; the only process that has it open.
#[derive(Debug)]
pub struct Witness {
    dir: PathBuf,
    disk: Disk,
    key: Cosigner,
    // Closing the file lets another process in.
    _lock: Box<dyn Lock>,
}

/// What a witness says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: it continues what was cosigned before, and is on disk.
    Cosigned {
        /// The log, and how many entries of it.
        checkpoint: Checkpoint,
        /// The cosignature.
        line: NoteSignature,
    },
    /// 409: asked from another size than the one cosigned last, or another root at that size.
    Conflict(u64),
    /// 400, 403, 404 or 422.
    Refused(Refusal),
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: not a request.
    #[error(transparent)]
    Form(#[from] WitnessError),
    /// 400: not a checkpoint.
    #[error("the checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// 400: from a larger tree to a smaller one.
    #[error("the old size {old} is above the checkpoint's, {size}")]
    Backwards {
        /// What the request says was before.
        old: u64,
        /// What the checkpoint says.
        size: u64,
    },
    /// 404: of a log that this witness was not told of.
    #[error("no log of this name is known here: {0}")]
    Unknown(String),
    /// 403: signed by none of the keys known for that log.
    #[error("not signed by a key that is known here for {0}")]
    Untrusted(String),
    /// 422: the proof does not hold.
    #[error("the proof does not lead from the {old} entries cosigned before to these {size}")]
    Inconsistent {
        /// What was cosigned.
        old: u64,
        /// What the checkpoint says.
        size: u64,
    },
}

impl Witness {
    /// Returns whether there is a witness in the folder.
    pub fn exists(dir: &Path) -> bool {
        dir.join("key").exists()
    }

    /// Opens a witness, or makes one where there is none, which takes a name.
    pub fn open(dir: &Path, name: Option<&str>) -> Result<Self, RecordError> {
        Self::open_on(Disk::default(), dir, name)
    }

    pub(crate) fn open_on(disk: Disk, dir: &Path, name: Option<&str>) -> Result<Self, RecordError> {
        disk.create_dir(dir)?;
        let lock = disk.lock(&dir.join("lock"), Duration::ZERO)?;
        let key = key(&disk, dir, name)?;
        let vkey = format!("{}\n", key.public());
        let path = dir.join("vkey");
        if disk.read(&path, MAX_KEY)?.as_deref() != Some(vkey.as_bytes()) {
            disk.replace(&path, vkey.as_bytes())?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            disk,
            key,
            _lock: lock,
        })
    }

    /// Returns the key that it cosigns with.
    pub fn key(&self) -> &CosignerKey {
        self.key.public()
    }

    /// Reads the logs it was told of: every request does, so that a new one needs no restart.
    pub fn logs(&self) -> Result<Vec<NoteKey>, RecordError> {
        let path = self.dir.join("logs");
        let bytes = self.disk.read(&path, MAX_LOGS)?.unwrap_or_default();
        let text = String::from_utf8(bytes)
            .map_err(|_| RecordError::damaged(path.display(), "not UTF-8"))?;
        let mut logs = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = NoteKey::parse(line).map_err(|error: NoteError| {
                RecordError::damaged(path.display(), format_args!("line {number}: {error}"))
            })?;
            logs.push(key);
        }
        Ok(logs)
    }

    /// Answers a request; of two at once the caller must let one wait.
    ///
    /// Where an error is returned nothing was cosigned.
    pub fn add_checkpoint(&self, body: &[u8], now: Timestamp) -> Result<Answer, RecordError> {
        let logs = self.logs()?;
        let (request, checkpoint, lines) = match signed(&logs, body) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        };
        let (old, size) = (request.old, checkpoint.size);
        if old > size {
            return Ok(Answer::Refused(Refusal::Backwards { old, size }));
        }
        let (stored, stored_root) = self.stored(&checkpoint.origin)?;
        if old != stored || (old == size && checkpoint.root != stored_root) {
            return Ok(Answer::Conflict(stored));
        }
        let new = (size, &checkpoint.root);
        if !verify_consistency((old, &stored_root), new, &request.proof) {
            return Ok(Answer::Refused(Refusal::Inconsistent { old, size }));
        }
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let line = self.key.cosign(&request.checkpoint.text, seconds);
        let mut note = Note {
            text: request.checkpoint.text,
            signatures: lines,
        };
        note.signatures.push(line.clone());
        let folder = self.folder(&checkpoint.origin);
        self.disk.create_dir(&folder)?;
        // Also where the size is the same: what is there may be of a write that was never synced.
        let path = folder.join("checkpoint");
        self.disk.replace(&path, note.to_string().as_bytes())?;
        Ok(Answer::Cosigned { checkpoint, line })
    }

    /// Returns what was cosigned last of the log whose origin has this hash, in hexadecimal.
    pub fn checkpoint(&self, hash: &str) -> Result<Option<Vec<u8>>, RecordError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hash.len() != 64 || !hash.bytes().all(digit) {
            return Ok(None);
        }
        self.disk
            .read(&self.dir.join(hash).join("checkpoint"), limit())
    }

    fn folder(&self, origin: &str) -> PathBuf {
        self.dir.join(hex_string(&Sha256::digest(origin)))
    }

    /// Returns size and root of what was cosigned last; those of the empty log where nothing was.
    fn stored(&self, origin: &str) -> Result<(u64, Hash), RecordError> {
        let path = self.folder(origin).join("checkpoint");
        let Some(bytes) = self.disk.read(&path, limit())? else {
            return Ok((0, empty_root()));
        };
        // Only what this very witness wrote counts; anything else is damage, and is not "nothing".
        let read = || -> Result<Checkpoint, CheckpointError> {
            let note = Note::parse(&bytes)?;
            if self.key().verify(&note)?.is_none() {
                return Err(NoteError::Unsigned(self.key().name().to_owned()).into());
            }
            Checkpoint::parse(&note.text)
        };
        match read() {
            Ok(found) if found.origin == origin => Ok((found.size, found.root)),
            Ok(found) => Err(RecordError::damaged(path.display(), found.origin)),
            Err(source) => Err(RecordError::Checkpoint { path, source }),
        }
    }
}

/// Reads a request and finds the lines of known keys under it.
fn signed(
    logs: &[NoteKey],
    body: &[u8],
) -> Result<(AddCheckpoint, Checkpoint, Vec<NoteSignature>), Refusal> {
    let request = AddCheckpoint::parse(body)?;
    let note = &request.checkpoint;
    let checkpoint = Checkpoint::parse(&note.text).map_err(Refusal::Checkpoint)?;
    let origin = &checkpoint.origin;
    let mut known = logs.iter().filter(|key| key.name() == origin).peekable();
    if known.peek().is_none() {
        return Err(Refusal::Unknown(origin.clone()));
    }
    let mut lines = Vec::new();
    for key in known {
        let by = |line: &&NoteSignature| {
            let one = Note {
                text: note.text.clone(),
                signatures: vec![(*line).clone()],
            };
            one.verify(key).is_ok()
        };
        lines.extend(note.signatures.iter().find(by).cloned());
    }
    match lines.is_empty() {
        true => Err(Refusal::Untrusted(origin.clone())),
        false => Ok((request, checkpoint, lines)),
    }
}

/// Reads the private key, or makes one.
fn key(disk: &Disk, dir: &Path, name: Option<&str>) -> Result<Cosigner, RecordError> {
    let path = dir.join("key");
    let at = |source| RecordError::Key {
        path: path.clone(),
        source,
    };
    if let Some(bytes) = disk.read(&path, MAX_KEY)? {
        let key = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.strip_suffix('\n'))
            .ok_or(NoteError::Key("not one line"))
            .and_then(Cosigner::parse)
            .map_err(at)?;
        return match disk::is_private(&path)? {
            true => Ok(key),
            false => Err(RecordError::KeyExposed(path)),
        };
    }
    let name = name.ok_or_else(|| RecordError::Missing(dir.to_owned()))?;
    let mut seed: Hash = [0; 32];
    getrandom::fill(&mut seed).map_err(RecordError::Random)?;
    let key = Cosigner::from_seed(name, &seed).map_err(at)?;
    disk.replace(&path, format!("{}\n", key.to_secret_line()).as_bytes())?;
    Ok(key)
}

/// A note with one line more than a request may have.
fn limit() -> u64 {
    u64::try_from(MAX_NOTE)
        .unwrap_or(u64::MAX)
        .saturating_add(1024)
}
