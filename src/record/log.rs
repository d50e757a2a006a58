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
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::Disk;
use super::entry::Entry;
use super::key::KeyStores;
use super::proof::{self, Hash, leaf_hash};
use super::rotation::Rotation;
use super::shared::{self, RepositoryName};
use super::storage::{self, Storage};
use super::tiles::{self, Grown, TILE_WIDTH, Tiles, width_at};
use super::view::View;
use super::{Checkpoint, CheckpointError, Record, RecordError, key};
use crate::wire::note::{Note, NoteKey, NoteSignature};

/// How long a lock is waited for: longer than any append, shorter than a client's patience.
const PATIENCE: Duration = Duration::from_secs(30);
const CHECKPOINT: &str = "log/checkpoint";
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// The exclusive right to write to the record, until dropped.
#[derive(Debug)]
pub struct Lock {
    held: Box<dyn storage::Lock>,
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
        Self::create_in(Arc::new(disk.clone()), disk, dir, origin, keys)
    }

    /// Makes an empty log in a storage; a key in a file stays on the host.
    pub(crate) fn create_in(
        storage: Arc<dyn Storage>,
        host: Disk,
        dir: &Path,
        origin: &str,
        keys: KeyStores,
    ) -> Result<Self, RecordError> {
        for folder in ["log/tile", "evidence", "intents"] {
            storage.create_dir(&dir.join(folder))?;
        }
        let _lock = storage.lock(&dir.join("lock"), PATIENCE)?;
        if storage
            .read(&dir.join(CHECKPOINT), MAX_CHECKPOINT)?
            .is_some()
        {
            return Err(RecordError::Exists(dir.to_owned()));
        }
        let public = keys.key.enrol(&host, dir, origin)?;
        let text = Checkpoint::empty(origin).text();
        let signatures = vec![keys.key.sign(dir, &public, &text)?];
        key::publish(&*storage, dir, &public)?;
        let note = Note { text, signatures }.to_string();
        storage.replace(&dir.join(CHECKPOINT), note.as_bytes())?;
        Ok(Self::open_in(storage, host, dir)?.signed_by(keys))
    }

    /// Opens the record of a folder; the checkpoint's signature is verified, not the whole log.
    pub fn open(dir: &Path) -> Result<Self, RecordError> {
        Self::open_on(Disk::default(), dir)
    }

    /// Opens what a log of many repositories says of one; without a name, the log of one.
    pub fn open_as(dir: &Path, of: Option<&RepositoryName>) -> Result<Self, RecordError> {
        Ok(Self {
            of: of.cloned(),
            ..Self::open(dir)?
        })
    }

    pub(crate) fn open_on(disk: Disk, dir: &Path) -> Result<Self, RecordError> {
        Self::open_in(Arc::new(disk.clone()), disk, dir)
    }

    /// Opens the record that a storage has under this folder's name.
    pub(crate) fn open_in(
        storage: Arc<dyn Storage>,
        host: Disk,
        dir: &Path,
    ) -> Result<Self, RecordError> {
        let now = current(&*storage, dir, key::public(&*storage, dir)?, None)?;
        Ok(Self {
            dir: dir.to_owned(),
            of: None,
            storage,
            host,
            key: now.key.clone().into(),
            keys: KeyStores::default(),
            checkpoint: now.checkpoint.clone().into(),
            verified: now.into(),
            index: Default::default(),
            passing: OnceCell::new(),
            recent: Default::default(),
        })
    }

    /// Takes the lock and loads what others appended meanwhile.
    pub fn lock(&self) -> Result<Lock, RecordError> {
        let held = self.storage.lock(&self.dir.join("lock"), PATIENCE)?;
        let Current {
            checkpoint: found,
            note,
            ..
        } = self.current()?;
        let loaded = self.size();
        if found.size < loaded {
            return Err(RecordError::Moved {
                expected: loaded,
                found: found.size,
            });
        }
        self.checkpoint.replace(found);
        let finished = self.finish_rotation(&note)?;
        self.check_rotations()?;
        Ok(Lock { held, finished })
    }

    /// Appends entries durably and returns their indices.
    ///
    /// A decision too large for its entry goes beside the log; a baseline too large becomes
    /// several entries, so there may be more indices than entries were given. Where an error is
    /// returned, either nothing was appended or, if only the last fsync failed, everything was:
    /// reading again tells.
    pub fn append(&self, lock: &Lock, entries: &[Entry]) -> Result<Range<u64>, RecordError> {
        let now = self.current()?;
        // A rotation whose last steps failed in this very process.
        self.finish_rotation(&now.note)?;
        self.append_signed(lock, &now, entries, &|text| {
            Ok(vec![self.keys.sign(&self.dir, &self.key(), text)?])
        })
    }

    /// Appends entries to the log as it is on disk `now`, under a checkpoint with these signature lines.
    pub(super) fn append_signed(
        &self,
        lock: &Lock,
        now: &Current,
        entries: &[Entry],
        sign: &dyn Fn(&str) -> Result<Vec<NoteSignature>, RecordError>,
    ) -> Result<Range<u64>, RecordError> {
        let old = self.checkpoint();
        let moved = |found: u64| RecordError::Moved {
            expected: old.size,
            found,
        };
        if now.checkpoint != old {
            return Err(moved(now.checkpoint.size));
        }
        let log = self.log_dir();
        let tiles = self.tiles(&log, old.size);
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
        let note = Note { text, signatures }.to_string();
        let path = self.checkpoint_file();
        let storage = &self.storage;
        if !storage.swap(&*lock.held, &path, &now.bytes, note.as_bytes())? {
            return Err(moved(self.disk_checkpoint()?.size));
        }
        let indices = old.size..new.size;
        self.checkpoint.replace(new);
        for tile in &grown {
            let before = width_at(tile.number, row_len(tile, indices.start));
            tiles.sweep(tile.row, tile.number, &[before, tile.width]);
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
                let bytes = shared::encode(self.of.as_ref(), &entry)
                    .map_err(|source| RecordError::Entry { index, source })?;
                super::ingest::check(index, &entry)?;
                encoded.push(bytes);
            }
        }
        Ok(encoded)
    }

    /// Returns the tiles of the log, which are in that folder, as of a size.
    pub(super) fn tiles<'a>(&'a self, dir: &'a Path, size: u64) -> Tiles<'a> {
        let storage = &*self.storage;
        Tiles { storage, dir, size }
    }

    fn write_tiles(&self, grown: &[Grown]) -> Result<(), RecordError> {
        let log = self.log_dir();
        for tile in grown {
            if let Some(dir) = log.join(tile.path()).parent() {
                self.storage.create_dir(dir)?;
            }
        }
        let files = grown.iter();
        let files = files.map(|tile| (log.join(tile.path()), tile.bytes.as_slice()));
        self.storage.replace_all(&files.collect::<Vec<_>>())
    }

    /// Reads the checkpoint on disk, whatever was loaded.
    pub(crate) fn disk_checkpoint(&self) -> Result<Checkpoint, RecordError> {
        self.current().map(|now| now.checkpoint)
    }

    /// Reads the checkpoint on disk, and goes over to the key that the log has gone over to.
    pub(super) fn current(&self) -> Result<Current, RecordError> {
        let last = self.verified.borrow().clone();
        let now = current(&*self.storage, &self.dir, self.key(), Some(&last))?;
        self.key.replace(now.key.clone());
        self.verified.replace(now.clone());
        Ok(now)
    }

    /// Returns where the checkpoint is.
    pub fn checkpoint_file(&self) -> PathBuf {
        self.dir.join(CHECKPOINT)
    }

    /// Returns the signed checkpoint that a view is of, byte for byte; nothing where the one on disk is
    /// another by now.
    pub fn note_of(&self, view: &View) -> Option<Vec<u8>> {
        let now = self.current().ok()?;
        let is_of = now.checkpoint.size == view.size() && now.checkpoint == self.checkpoint();
        is_of.then_some(now.bytes)
    }

    /// Returns the checkpoint as signed.
    pub fn checkpoint_text(&self) -> Result<String, RecordError> {
        String::from_utf8(read_note(&*self.storage, &self.dir)?)
            .map_err(|_| RecordError::damaged("log/checkpoint", "not UTF-8"))
    }

    /// Returns the proof that entry `index` is in the log of `size` entries (RFC 6962 2.1.1).
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, RecordError> {
        self.within(index.saturating_add(1).max(size))?;
        proof::inclusion(&self.tiles(&self.log_dir(), self.size()), index, size)
    }

    /// Returns the proof that the log of `old` entries is a prefix of that of `size` entries
    /// (RFC 6962 2.1.2).
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>, RecordError> {
        self.within(old.max(size))?;
        proof::consistency(&self.tiles(&self.log_dir(), self.size()), old, size)
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

    /// Returns one entry, checked against its leaf hash.
    pub fn entry(&self, index: u64) -> Result<Entry, RecordError> {
        if index >= self.size() {
            return Err(RecordError::Beyond {
                size: self.size(),
                index,
            });
        }
        self.entries(index..index.saturating_add(1))
            .next()
            .map_or(Err(RecordError::Elsewhere { index }), |found| {
                found.map(|(_, entry)| entry)
            })
    }

    /// Returns one entry, also one of another repository, checked against its leaf hash.
    pub(super) fn any_entry(&self, index: u64) -> Result<Entry, RecordError> {
        let log = self.log_dir();
        let bundle = self.tiles(&log, self.size()).bundle(index / TILE_WIDTH)?;
        let mut stored = bundle.iter().filter(|stored| stored.index == index);
        let stored = stored.next().ok_or(RecordError::Elsewhere { index })?;
        decode(self.of.as_ref(), index, &stored.bytes).map(|(_, entry)| entry)
    }

    /// Shows the repository's entries in order; what was seen holds where all entries give the root of
    /// the checkpoint, else this fails.
    pub fn checked<E: From<RecordError>>(
        &self,
        mut see: impl FnMut(u64, &Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let (checkpoint, log) = (self.checkpoint(), self.log_dir());
        let tiles = self.tiles(&log, self.size());
        let mut frontier = proof::Frontier::default();
        for number in 0..checkpoint.size.div_ceil(TILE_WIDTH) {
            for stored in tiles.bundle(number)? {
                frontier.push(leaf_hash(&stored.bytes));
                let (of, entry) = decode(self.of.as_ref(), stored.index, &stored.bytes)?;
                if of == self.of {
                    see(stored.index, &entry)?;
                }
            }
        }
        match frontier.root() == checkpoint.root {
            true => Ok(()),
            false => Err(RecordError::damaged("log", "its entries are not of its root").into()),
        }
    }

    /// Returns the repository's entries in order with their indices, each checked against its leaf
    /// hash; none beyond the size.
    pub fn entries(
        &self,
        range: Range<u64>,
    ) -> impl Iterator<Item = Result<(u64, Entry), RecordError>> + '_ {
        let size = self.size();
        let range = range.start..range.end.min(size);
        let bundles = if range.is_empty() {
            0..0
        } else {
            range.start / TILE_WIDTH..range.end.div_ceil(TILE_WIDTH)
        };
        bundles.flat_map(move |number| {
            let log = self.log_dir();
            let tiles = self.tiles(&log, size);
            let entries: Vec<_> = match tiles.bundle(number) {
                Err(error) => vec![Err(error)],
                Ok(stored) => stored
                    .into_iter()
                    .filter(|stored| range.contains(&stored.index))
                    .filter_map(|stored| {
                        let index = stored.index;
                        match self.decode(index, &stored.bytes) {
                            Ok((of, entry)) => (of == self.of).then_some(Ok((index, entry))),
                            Err(error) => Some(Err(error)),
                        }
                    })
                    .collect(),
            };
            entries
        })
    }
}

impl Record {
    fn decode(
        &self,
        index: u64,
        bytes: &[u8],
    ) -> Result<(Option<RepositoryName>, Entry), RecordError> {
        match self.recent.borrow().leaf(index) {
            Some(leaf) => decode_again(self.of.as_ref(), index, bytes, &leaf),
            None => decode(self.of.as_ref(), index, bytes),
        }
    }
}

/// Reads an entry that this process decoded before, for an index of its own: these must be the bytes
/// that were under the root then, so they are canonical.
pub(crate) fn decode_again(
    of: Option<&RepositoryName>,
    index: u64,
    bytes: &[u8],
    leaf: &Hash,
) -> Result<(Option<RepositoryName>, Entry), RecordError> {
    if proof::leaf_hash(bytes) != *leaf {
        return Err(tiles::wrong_leaf(index));
    }
    shared::decode_again(of, bytes).map_err(|source| RecordError::Entry { index, source })
}

/// Reads an entry, and whose it is in a log of many.
pub(crate) fn decode(
    of: Option<&RepositoryName>,
    index: u64,
    bytes: &[u8],
) -> Result<(Option<RepositoryName>, Entry), RecordError> {
    let read = shared::decode(of.is_some(), bytes);
    read.map_err(|source| RecordError::Entry { index, source })
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

fn read_note(storage: &dyn Storage, dir: &Path) -> Result<Vec<u8>, RecordError> {
    storage
        .read(&dir.join(CHECKPOINT), MAX_CHECKPOINT)?
        .ok_or_else(|| RecordError::Missing(dir.to_owned()))
}

/// The checkpoint on disk, its signature verified.
#[derive(Clone, Debug)]
pub(super) struct Current {
    key: NoteKey,
    pub(super) checkpoint: Checkpoint,
    note: Note,
    /// Its very bytes.
    bytes: Vec<u8>,
}

/// Reads the checkpoint with the key that signs it: the known one, or the one the log has gone over
/// to since that was read. What is the `last` one byte for byte is not verified again.
fn current(
    storage: &dyn Storage,
    dir: &Path,
    known: NoteKey,
    last: Option<&Current>,
) -> Result<Current, RecordError> {
    let open = |key: NoteKey| {
        let bytes = read_note(storage, dir)?;
        if let Some(last) = last.filter(|last| last.bytes == bytes && last.key == key) {
            return Ok(last.clone());
        }
        let open = |bytes: &[u8]| {
            let note = Note::parse(bytes)?;
            Ok((Checkpoint::of_note(&note, &key)?, note))
        };
        let (checkpoint, note) =
            open(&bytes).map_err(|source: CheckpointError| RecordError::Checkpoint {
                path: dir.join(CHECKPOINT),
                source,
            })?;
        Ok(Current {
            key,
            checkpoint,
            note,
            bytes,
        })
    };
    open(known.clone()).or_else(|error| match key::public(storage, dir)? {
        key if key == known => Err(error),
        key => open(key),
    })
}
