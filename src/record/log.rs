//! Making, opening, locking and appending.
//!
//! Appending, step by step, each durable before the next:
//!
//! 1. under the lock, the checkpoint on disk is still the loaded one, and the tiles give its root;
//! 2. entries are fitted (large decisions go to `evidence/`), encoded, and their times checked;
//! 3. bundles of entries, then tiles of hashes, are written under new names or replaced whole;
//! 4. the key signs the new checkpoint, wherever it is kept;
//! 5. the checkpoint is replaced: now, and not before, the entries are in the log;
//! 6. outgrown partial tiles go, and the index follows; neither can fail the append.
//!
//! A crash before 5 leaves tiles beyond the checkpoint. Nobody reads them: a tile is read up to
//! the width its checkpoint gives it, and that part never changes. The next append writes over
//! them.

use std::cell::OnceCell;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::disk::{self, Disk};
use super::entry::Entry;
use super::key::KeyStores;
use super::proof::{self, Hash, leaf_hash};
use super::rotation::Rotation;
use super::tiles::{self, Grown, TILE_WIDTH, Tiles, width_at};
use super::{Checkpoint, CheckpointError, Record, RecordError, key};
use crate::wire::note::{Note, NoteKey, NoteSignature};

/// How long a lock is waited for: longer than any append, shorter than a client's patience.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// The exclusive right to write to the record, until dropped.
#[derive(Debug)]
pub struct Lock {
    // Closing the file gives the lock back.
    _file: File,
    /// What was cut off and has been finished now.
    pub(super) finished: Option<Rotation>,
}

impl Record {
    /// Fails where the key could not sign the next checkpoint: what is accepted now must be
    /// recorded later.
    pub fn check_key(&self) -> Result<(), RecordError> {
        // What is signed already is signed again: nothing that anybody could use.
        let text = self.disk_checkpoint()?.text();
        self.keys.sign(&self.dir, &self.key(), &text).map(drop)
    }

    /// Makes an empty log with a new key in its folder; `origin` names the log and its key.
    ///
    /// One that was interrupted goes on where it stopped; a finished one is an error.
    pub fn create(dir: &Path, origin: &str) -> Result<Self, RecordError> {
        Self::create_on(Disk::default(), dir, origin, KeyStores::default())
    }

    /// Makes an empty log whose key is kept in a store.
    pub fn create_with(dir: &Path, origin: &str, keys: KeyStores) -> Result<Self, RecordError> {
        Self::create_on(Disk::default(), dir, origin, keys)
    }

    pub(crate) fn create_on(
        disk: Disk,
        dir: &Path,
        origin: &str,
        keys: KeyStores,
    ) -> Result<Self, RecordError> {
        for folder in ["log/tile", "evidence", "intents"] {
            disk.create_dir(&dir.join(folder))?;
        }
        let _lock = take_lock(dir, PATIENCE)?;
        if Self::exists(dir) {
            return Err(RecordError::Exists(dir.to_owned()));
        }
        let public = keys.key.enrol(&disk, dir, origin)?;
        let text = Checkpoint::empty(origin).text();
        let signatures = vec![keys.key.sign(dir, &public, &text)?];
        key::publish(&disk, dir, &public)?;
        write_checkpoint(&disk, dir, &Note { text, signatures })?;
        Ok(Self::open_on(disk, dir)?.signed_by(keys))
    }

    /// Opens the record of a folder; the checkpoint's signature is verified, not the whole log.
    pub fn open(dir: &Path) -> Result<Self, RecordError> {
        Self::open_on(Disk::default(), dir)
    }

    pub(crate) fn open_on(disk: Disk, dir: &Path) -> Result<Self, RecordError> {
        if !Self::exists(dir) {
            return Err(RecordError::Missing(dir.to_owned()));
        }
        let (key, checkpoint, _) = current(dir, key::public(dir)?)?;
        Ok(Self {
            dir: dir.to_owned(),
            disk,
            key: key.into(),
            keys: KeyStores::default(),
            checkpoint: checkpoint.into(),
            index: Default::default(),
            passing: OnceCell::new(),
            recent: Default::default(),
        })
    }

    /// Takes the lock and loads what others appended meanwhile.
    pub fn lock(&self) -> Result<Lock, RecordError> {
        let mut lock = take_lock(&self.dir, PATIENCE)?;
        let (found, note) = self.disk_note()?;
        let loaded = self.size();
        if found.size < loaded {
            return Err(RecordError::Moved {
                expected: loaded,
                found: found.size,
            });
        }
        self.checkpoint.replace(found);
        lock.finished = self.finish_rotation(&note)?;
        self.check_rotations()?;
        Ok(lock)
    }

    /// Appends entries durably and returns their indices.
    ///
    /// A decision too large for its entry goes beside the log; a baseline too large becomes
    /// several entries, so there may be more indices than entries were given. Where an error is
    /// returned, either nothing was appended or, if only the last fsync failed, everything was:
    /// reading again tells.
    pub fn append(&self, lock: &Lock, entries: &[Entry]) -> Result<Range<u64>, RecordError> {
        let (found, note) = self.disk_note()?;
        // A rotation whose last steps failed in this very process.
        self.finish_rotation(&note)?;
        self.append_signed(lock, &found, entries, &|text| {
            Ok(vec![self.keys.sign(&self.dir, &self.key(), text)?])
        })
    }

    /// Appends entries to the log `found` on disk, under a checkpoint with these signature lines.
    pub(super) fn append_signed(
        &self,
        _lock: &Lock,
        found: &Checkpoint,
        entries: &[Entry],
        sign: &dyn Fn(&str) -> Result<Vec<NoteSignature>, RecordError>,
    ) -> Result<Range<u64>, RecordError> {
        let old = self.checkpoint();
        if *found != old {
            return Err(RecordError::Moved {
                expected: old.size,
                found: found.size,
            });
        }
        let log = self.log_dir();
        let tiles = Tiles {
            dir: &log,
            size: old.size,
        };
        if proof::root(&tiles, old.size)? != old.root {
            return Err(RecordError::damaged("log", "its tiles are not of its root"));
        }
        let encoded = self.prepare(old.size, entries)?;
        if encoded.is_empty() {
            return Ok(old.size..old.size);
        }
        let leaves: Vec<Hash> = encoded.iter().map(|entry| leaf_hash(entry)).collect();
        let mut grown = Grown::bundles(&tiles, &encoded)?;
        grown.extend(tiles::grow(&tiles, &leaves)?);
        self.write_tiles(&grown)?;
        let added = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let new = Checkpoint {
            origin: old.origin.clone(),
            size: old.size.saturating_add(added),
            root: grown_root(&tiles, &leaves)?,
        };
        // As late as can be: what is signed and never published is a tree the log may contradict.
        let text = new.text();
        let signatures = sign(&text)?;
        write_checkpoint(&self.disk, &self.dir, &Note { text, signatures })?;
        let indices = old.size..new.size;
        self.checkpoint.replace(new);
        for tile in &grown {
            let before = width_at(tile.number, row_len(tile, indices.start));
            tiles.sweep(&self.disk, tile.row, tile.number, &[before, tile.width]);
        }
        // The index is rebuildable: whoever looks next finds it behind and brings it up.
        self.view().ok();
        Ok(indices)
    }

    /// Fits and encodes the entries and checks their times.
    fn prepare(&self, size: u64, entries: &[Entry]) -> Result<Vec<Vec<u8>>, RecordError> {
        let mut encoded = Vec::new();
        let view = self.view()?;
        let mut latest = view.last_time()?;
        for entry in entries {
            for entry in self.fit(entry)? {
                let added = u64::try_from(encoded.len()).unwrap_or(u64::MAX);
                let index = size.saturating_add(added);
                let known = match &entry {
                    // Judged before what was appended since: it must not be before what it saw.
                    Entry::Landed(landed) if landed.size > index => {
                        return Err(RecordError::Beyond {
                            size: index,
                            index: landed.size,
                        });
                    }
                    Entry::Landed(landed) if landed.size <= size => view.time_at(landed.size)?,
                    _ => latest,
                };
                check_time(known, entry.at())?;
                latest = latest.max(Some(entry.at()));
                let bytes = entry
                    .encode()
                    .map_err(|source| RecordError::Entry { index, source })?;
                super::index::check(index, &entry)?;
                encoded.push(bytes);
            }
        }
        Ok(encoded)
    }

    fn write_tiles(&self, grown: &[Grown]) -> Result<(), RecordError> {
        let log = self.log_dir();
        for tile in grown {
            if let Some(dir) = log.join(tile.path()).parent() {
                self.disk.create_dir(dir)?;
            }
        }
        let files = grown
            .iter()
            .map(|tile| (log.join(tile.path()), tile.bytes.as_slice()));
        self.disk.replace_all(files)
    }

    /// Reads the checkpoint on disk, whatever was loaded.
    pub(crate) fn disk_checkpoint(&self) -> Result<Checkpoint, RecordError> {
        self.disk_note().map(|(checkpoint, _)| checkpoint)
    }

    fn disk_note(&self) -> Result<(Checkpoint, Note), RecordError> {
        let (key, checkpoint, note) = current(&self.dir, self.key())?;
        self.key.replace(key);
        Ok((checkpoint, note))
    }

    /// Returns the checkpoint as signed.
    pub fn checkpoint_text(&self) -> Result<String, RecordError> {
        let path = self.dir.join("log/checkpoint");
        let bytes = disk::read(&path, MAX_CHECKPOINT)?
            .ok_or_else(|| RecordError::Missing(self.dir.clone()))?;
        String::from_utf8(bytes).map_err(|_| RecordError::damaged("log/checkpoint", "not UTF-8"))
    }

    /// Returns the proof that entry `index` is in the log of `size` entries (RFC 6962 2.1.1).
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, RecordError> {
        self.within(index.saturating_add(1).max(size))?;
        proof::inclusion(&self.tiles(&self.log_dir()), index, size)
    }

    /// Returns the proof that the log of `old` entries is a prefix of that of `size` entries
    /// (RFC 6962 2.1.2).
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>, RecordError> {
        self.within(old.max(size))?;
        proof::consistency(&self.tiles(&self.log_dir()), old, size)
    }

    fn within(&self, size: u64) -> Result<(), RecordError> {
        if size > self.size() {
            return Err(RecordError::Beyond {
                size: self.size(),
                index: size.saturating_sub(1),
            });
        }
        Ok(())
    }

    fn tiles<'a>(&self, log: &'a Path) -> Tiles<'a> {
        Tiles {
            dir: log,
            size: self.size(),
        }
    }

    /// Returns one entry, checked against its leaf hash.
    pub fn entry(&self, index: u64) -> Result<Entry, RecordError> {
        self.entries(index..index.saturating_add(1))
            .next()
            .unwrap_or_else(|| {
                Err(RecordError::Beyond {
                    size: self.size(),
                    index,
                })
            })
    }

    /// Returns entries in order, each checked against its leaf hash; none beyond the size.
    pub fn entries(
        &self,
        range: Range<u64>,
    ) -> impl Iterator<Item = Result<Entry, RecordError>> + '_ {
        let size = self.size();
        let range = range.start..range.end.min(size);
        let bundles = if range.is_empty() {
            0..0
        } else {
            range.start / TILE_WIDTH..range.end.div_ceil(TILE_WIDTH)
        };
        bundles.flat_map(move |number| {
            let log = self.log_dir();
            let tiles = Tiles { dir: &log, size };
            let entries: Vec<_> = match tiles.bundle(number) {
                Err(error) => vec![Err(error)],
                Ok(stored) => stored
                    .into_iter()
                    .filter(|stored| range.contains(&stored.index))
                    .map(|stored| decode(stored.index, &stored.bytes))
                    .collect(),
            };
            entries
        })
    }
}

pub(crate) fn decode(index: u64, bytes: &[u8]) -> Result<Entry, RecordError> {
    Entry::decode(bytes).map_err(|source| RecordError::Entry { index, source })
}

/// Refuses a time before the known one; both are cut to seconds.
pub(crate) fn check_time(known: Option<Timestamp>, now: Timestamp) -> Result<(), RecordError> {
    match known {
        Some(last) if now.as_second() < last.as_second() => {
            Err(RecordError::ClockWentBack { last, now })
        }
        _ => Ok(()),
    }
}

fn row_len(tile: &Grown, size: u64) -> u64 {
    match tile.row {
        tiles::Row::Entries => size,
        tiles::Row::Level(level) => tiles::row_len(level, size),
    }
}

fn grown_root(tiles: &Tiles<'_>, leaves: &[Hash]) -> Result<Hash, RecordError> {
    let mut frontier = proof::Frontier::at(tiles, tiles.size)?;
    for leaf in leaves {
        frontier.push(*leaf);
    }
    Ok(frontier.root())
}

/// Reads the checkpoint with the key that signs it: the known one, or the one the log has gone over
/// to since that was read.
fn current(dir: &Path, known: NoteKey) -> Result<(NoteKey, Checkpoint, Note), RecordError> {
    let path = dir.join("log/checkpoint");
    let open = |key: &NoteKey| {
        let bytes = disk::read(&path, MAX_CHECKPOINT)?
            .ok_or_else(|| RecordError::Missing(dir.to_owned()))?;
        let open = |bytes: &[u8]| {
            let note = Note::parse(bytes)?;
            Ok((Checkpoint::of_note(&note, key)?, note))
        };
        open(&bytes).map_err(|source: CheckpointError| RecordError::Checkpoint {
            path: path.clone(),
            source,
        })
    };
    match open(&known) {
        Ok((checkpoint, note)) => Ok((known, checkpoint, note)),
        Err(error) => {
            let key = key::public(dir)?;
            if key == known {
                return Err(error);
            }
            let (checkpoint, note) = open(&key)?;
            Ok((key, checkpoint, note))
        }
    }
}

fn write_checkpoint(disk: &Disk, dir: &Path, note: &Note) -> Result<(), RecordError> {
    disk.replace(&dir.join("log/checkpoint"), note.to_string().as_bytes())
}

fn take_lock(dir: &Path, patience: Duration) -> Result<Lock, RecordError> {
    let path = dir.join("lock");
    let file = disk::open_own(&path)?;
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                return Ok(Lock {
                    _file: file,
                    finished: None,
                });
            }
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(disk::at(&path, error.into())),
        }
        if start.elapsed() >= patience {
            return Err(RecordError::Busy {
                path,
                seconds: patience.as_secs(),
            });
        }
        thread::sleep(pause);
        pause = pause.saturating_mul(2).min(Duration::from_millis(10));
    }
}
