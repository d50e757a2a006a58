//! The files of the log: tiles of 256 hashes and bundles of 256 entries.
//!
//! ```text
//! tile/<L>/<N>[.p/<W>]        32-byte hashes; tile N of level L has nodes of tree level 8·L
//! tile/entries/<N>[.p/<W>]    entries, each behind its length as a big-endian uint16
//! ```
//!
//! `W` is the width of a tile that is not full yet. When one grows, the new width is written
//! beside the old, which stays until the growth after the next, for readers of the checkpoint
//! before. A reader that finds its width gone takes a wider one: tiles only ever grow.
//!
//! Source: C2SP tlog-tiles v0.1.0, <https://c2sp.org/tlog-tiles>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::RecordError;
use super::proof::{Hash, HashReader, leaf_hash, node_hash};
use super::storage::Storage;

/// Entries in a full bundle, hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;
/// The most bytes an entry may have.
pub const MAX_ENTRY: usize = u16::MAX as usize;

const HASH_LEN: u64 = 32;
pub(crate) const MAX_BUNDLE: u64 = TILE_WIDTH * (2 + MAX_ENTRY as u64);

/// Which row of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Hash tiles of a level, 0 to 7 in practice.
    Level(u32),
    /// Entry bundles.
    Entries,
}

/// Returns the path of a tile below the log's folder; `width` is 256 for a full one.
pub fn tile_path(row: Row, number: u64, width: u64) -> String {
    let mut groups = vec![format!("{:03}", number % 1000)];
    let mut rest = number / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let row = match row {
        Row::Level(level) => level.to_string(),
        Row::Entries => "entries".to_owned(),
    };
    let name = groups.join("/");
    if width == TILE_WIDTH {
        format!("tile/{row}/{name}")
    } else {
        format!("tile/{row}/{name}.p/{width}")
    }
}

/// Returns how many hashes a level of tiles has in a log of `size` entries.
pub fn row_len(level: u32, size: u64) -> u64 {
    size.checked_shr(level.saturating_mul(8)).unwrap_or(0)
}

/// The tiles of a log as of one size.
#[derive(Clone, Debug)]
pub(crate) struct Tiles<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) dir: &'a Path,
    pub(crate) size: u64,
}

/// An entry with where it stands in its bundle.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) index: u64,
    /// Of its first byte, behind the length.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Tiles<'_> {
    /// Returns the entries of a bundle, each checked against its leaf hash.
    pub(crate) fn bundle(&self, number: u64) -> Result<Vec<Stored>, RecordError> {
        let first = number.saturating_mul(TILE_WIDTH);
        let width = width_at(number, self.size);
        let bytes = self.read(Row::Entries, number, MAX_BUNDLE)?;
        let hashes = self.hashes(0, number)?;
        let mut stored = Vec::new();
        let mut rest = bytes.as_slice();
        for (index, hash) in (first..first.saturating_add(width)).zip(&hashes) {
            let (entry, tail) = split_entry(rest).ok_or_else(|| {
                RecordError::damaged(tile_path(Row::Entries, number, width), "cut off")
            })?;
            rest = tail;
            if leaf_hash(entry) != *hash {
                return Err(wrong_leaf(index));
            }
            let behind = tail.len().saturating_add(entry.len());
            stored.push(Stored {
                index,
                offset: to_u64(bytes.len().saturating_sub(behind)),
                bytes: entry.to_vec(),
            });
        }
        Ok(stored)
    }

    /// Returns one entry by where the index says it stands, checked against its leaf hash.
    pub(crate) fn entry_at(
        &self,
        index: u64,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, RecordError> {
        let bytes = self.unchecked_at(index, offset, len)?;
        if leaf_hash(&bytes) != self.hash(0, index)? {
            return Err(wrong_leaf(index));
        }
        Ok(bytes)
    }

    /// Returns the bytes that stand where an entry should.
    pub(crate) fn unchecked_at(
        &self,
        index: u64,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, RecordError> {
        self.read_part(Row::Entries, index / TILE_WIDTH, offset, len)
    }

    /// Returns all hashes of a tile.
    pub(crate) fn hashes(&self, level: u32, number: u64) -> Result<Vec<Hash>, RecordError> {
        let width = width_at(number, row_len(level, self.size));
        let bytes = self.read(Row::Level(level), number, TILE_WIDTH * HASH_LEN)?;
        let (hashes, _) = bytes.as_chunks::<32>();
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        hashes.get(..width).map(<[Hash]>::to_vec).ok_or_else(|| {
            RecordError::damaged(tile_path(Row::Level(level), number, TILE_WIDTH), "cut off")
        })
    }

    /// Returns the bytes of a bundle up to this size, for appending to it.
    pub(crate) fn bundle_prefix(&self, number: u64) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::new();
        if width_at(number, self.size) > 0 {
            for stored in self.bundle(number)? {
                push_entry(&mut bytes, &stored.bytes);
            }
        }
        Ok(bytes)
    }

    /// Reads the whole file of a tile that holds at least what this size has of it.
    fn read(&self, row: Row, number: u64, limit: u64) -> Result<Vec<u8>, RecordError> {
        self.with_file(row, number, |path| self.storage.read(path, limit))
    }

    fn read_part(
        &self,
        row: Row,
        number: u64,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, RecordError> {
        self.with_file(row, number, |path| self.storage.read_at(path, offset, len))
    }

    /// Tries the exact width, the full tile and then wider partial ones.
    fn with_file<T>(
        &self,
        row: Row,
        number: u64,
        read: impl Fn(&Path) -> Result<Option<T>, RecordError>,
    ) -> Result<T, RecordError> {
        let len = match row {
            Row::Level(level) => row_len(level, self.size),
            Row::Entries => self.size,
        };
        let width = width_at(number, len);
        let exact = self.dir.join(tile_path(row, number, width));
        let full = self.dir.join(tile_path(row, number, TILE_WIDTH));
        // The tile may grow, and its old widths go, while we look.
        for _ in 0..8 {
            if let Some(found) = read(&exact)? {
                return Ok(found);
            }
            if let Some(found) = read(&full)? {
                return Ok(found);
            }
            for wider in self.widths(row, number).into_iter().rev() {
                if wider > width
                    && let Some(found) = read(&self.dir.join(tile_path(row, number, wider)))?
                {
                    return Ok(found);
                }
            }
        }
        Err(RecordError::damaged(
            tile_path(row, number, width),
            "missing",
        ))
    }

    /// The widths there are partial tiles of.
    fn widths(&self, row: Row, number: u64) -> Vec<u64> {
        partial_files(self.storage, &self.partial_dir(row, number))
            .into_iter()
            .filter_map(|(name, _)| name.parse().ok())
            .filter(|width| *width < TILE_WIDTH)
            .collect()
    }

    fn partial_dir(&self, row: Row, number: u64) -> PathBuf {
        self.dir
            .join(format!("{}.p", tile_path(row, number, TILE_WIDTH)))
    }

    /// Discards partial tiles of other widths than `keep`; all, where the tile is full.
    pub(crate) fn sweep(&self, row: Row, number: u64, keep: &[u64]) {
        let is_full = keep.contains(&TILE_WIDTH);
        for (name, path) in partial_files(self.storage, &self.partial_dir(row, number)) {
            let width = name.parse::<u64>().ok();
            if is_full || width.is_none_or(|width| !keep.contains(&width)) {
                self.storage.discard(&path);
            }
        }
        if is_full {
            self.storage.discard_dir(&self.partial_dir(row, number));
        }
    }
}

impl HashReader for Tiles<'_> {
    type Error = RecordError;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, RecordError> {
        let (row, below) = (level / 8, level % 8);
        // A node of a level between two rows is computed from the row below it.
        let first = index.checked_shl(below).unwrap_or(u64::MAX);
        let end = (first % TILE_WIDTH).saturating_add(1 << below);
        let number = first / TILE_WIDTH;
        if first.saturating_add(1 << below) > row_len(row, self.size) {
            return Err(RecordError::damaged("log", "a hash beyond its size"));
        }
        let part = self.read_part(
            Row::Level(row),
            number,
            (first % TILE_WIDTH).saturating_mul(HASH_LEN),
            usize::try_from((end.saturating_sub(first % TILE_WIDTH)).saturating_mul(HASH_LEN))
                .unwrap_or(0),
        )?;
        let (hashes, _) = part.as_chunks::<32>();
        complete(hashes).ok_or_else(|| RecordError::damaged("log", "a tile cut off"))
    }
}

/// The tiles that change when the leaves are added, as paths and contents, entries not included.
///
/// `tiles` are those of the size before.
pub(crate) fn grow(tiles: &Tiles<'_>, leaves: &[Hash]) -> Result<Vec<Grown>, RecordError> {
    let mut grown = Vec::new();
    let mut new = leaves.to_vec();
    for level in 0.. {
        let old_len = row_len(level, tiles.size);
        let mut number = old_len / TILE_WIDTH;
        let mut tile = if old_len.is_multiple_of(TILE_WIDTH) {
            Vec::new()
        } else {
            tiles.hashes(level, number)?
        };
        let mut above = Vec::new();
        let mut touched = false;
        for hash in new {
            tile.push(hash);
            touched = true;
            if to_u64(tile.len()) == TILE_WIDTH {
                above.extend(complete(&tile));
                grown.push(Grown::hashes(level, number, &tile));
                tile.clear();
                number = number.saturating_add(1);
            }
        }
        if touched && !tile.is_empty() {
            grown.push(Grown::hashes(level, number, &tile));
        }
        if above.is_empty() {
            break;
        }
        new = above;
    }
    Ok(grown)
}

/// A tile to write.
#[derive(Debug)]
pub(crate) struct Grown {
    pub(crate) row: Row,
    pub(crate) number: u64,
    pub(crate) width: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Grown {
    pub(crate) fn hashes(level: u32, number: u64, hashes: &[Hash]) -> Self {
        Self {
            row: Row::Level(level),
            number,
            width: to_u64(hashes.len()),
            bytes: hashes.concat(),
        }
    }

    /// The bundles that change when the entries are added.
    pub(crate) fn bundles(
        tiles: &Tiles<'_>,
        entries: &[Vec<u8>],
    ) -> Result<Vec<Self>, RecordError> {
        let mut bundles = BTreeMap::new();
        for (index, entry) in (tiles.size..).zip(entries) {
            let number = index / TILE_WIDTH;
            let bundle = match bundles.entry(number) {
                std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => slot.insert(Self {
                    row: Row::Entries,
                    number,
                    width: 0,
                    bytes: tiles.bundle_prefix(number)?,
                }),
            };
            push_entry(&mut bundle.bytes, entry);
            bundle.width = (index % TILE_WIDTH).saturating_add(1);
        }
        Ok(bundles.into_values().collect())
    }

    pub(crate) fn path(&self) -> String {
        tile_path(self.row, self.number, self.width)
    }
}

/// Returns how wide a tile is in a row of `len`.
pub(crate) fn width_at(number: u64, len: u64) -> u64 {
    len.saturating_sub(number.saturating_mul(TILE_WIDTH))
        .min(TILE_WIDTH)
}

/// The root over a power of two of hashes.
pub(crate) fn complete(hashes: &[Hash]) -> Option<Hash> {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                _ => None,
            })
            .collect::<Option<_>>()?;
    }
    row.pop()
}

/// Splits off the first entry of a bundle.
pub(crate) fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    // Longer ones do not get here: encoding refuses them.
    let len = u16::try_from(entry.len()).unwrap_or(u16::MAX);
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
}

fn partial_files(storage: &dyn Storage, dir: &Path) -> Vec<(String, PathBuf)> {
    let names = storage.list(dir).unwrap_or_default();
    let with_path = |name: String| {
        let path = dir.join(&name);
        (name, path)
    };
    names.into_iter().map(with_path).collect()
}

pub(crate) fn wrong_leaf(index: u64) -> RecordError {
    RecordError::damaged(
        format_args!("entry {index}"),
        "not the bytes its hash is of",
    )
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::disk::Disk;
    use crate::record::proof::{self, Frontier};

    /// Names of tiles are those of the specification.
    #[test]
    fn names_tiles() {
        for (row, number, width, path) in [
            (Row::Level(0), 1_234_067, 256, "tile/0/x001/x234/067"),
            (Row::Level(0), 0, 256, "tile/0/000"),
            (Row::Level(1), 999, 7, "tile/1/999.p/7"),
            (Row::Entries, 1000, 255, "tile/entries/x001/000.p/255"),
        ] {
            assert_eq!(tile_path(row, number, width), path);
        }
    }

    fn write(dir: &Path, grown: &[Grown]) {
        for tile in grown {
            let path = dir.join(tile.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &tile.bytes).unwrap();
        }
    }

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    /// Around every tile border, up to a third row, tiles give the root of the same leaves
    /// counted by hand, and proofs at the border verify.
    #[test]
    fn grows_over_borders() {
        let dir = tempfile::tempdir().unwrap();
        let mut frontier = Frontier::default();
        let mut size = 0;
        for next in [
            1, 2, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 65792, 65793,
        ] {
            let tiles = Tiles {
                storage: &Disk::default(),
                dir: dir.path(),
                size,
            };
            let leaves: Vec<_> = (size..next).map(leaf).collect();
            write(dir.path(), &grow(&tiles, &leaves).unwrap());
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            let tiles = Tiles {
                storage: &Disk::default(),
                dir: dir.path(),
                size: next,
            };
            let root = proof::root(&tiles, next).unwrap();
            assert_eq!(root, frontier.root(), "size {next}");
            let index = next - 1;
            let path = proof::inclusion(&tiles, index, next).unwrap();
            assert!(proof::verify_inclusion(
                &leaf(index),
                index,
                next,
                &path,
                &root
            ));
            let old = Tiles {
                storage: &Disk::default(),
                dir: dir.path(),
                size,
            };
            let before = proof::root(&old, size).unwrap();
            let steps = proof::consistency(&tiles, size, next).unwrap();
            assert!(proof::verify_consistency(
                (size, &before),
                (next, &root),
                &steps
            ));
            size = next;
        }
        assert!(dir.path().join("tile/2/000.p/1").exists());
        assert!(dir.path().join("tile/1/001.p/1").exists());
    }

    /// A reader of an older size is served from wider tiles once its own are swept.
    #[test]
    fn serves_older_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let mut roots = Vec::new();
        let disk = Disk::default();
        for size in 0..=256 {
            let tiles = Tiles {
                storage: &disk,
                dir: dir.path(),
                size,
            };
            roots.push(proof::root(&tiles, size).unwrap());
            write(dir.path(), &grow(&tiles, &[leaf(size)]).unwrap());
            tiles.sweep(Row::Level(0), 0, &[size + 1]);
        }
        assert!(!dir.path().join("tile/0/000.p").exists());
        for (size, root) in (0..).zip(roots) {
            let tiles = Tiles {
                storage: &Disk::default(),
                dir: dir.path(),
                size,
            };
            assert_eq!(proof::root(&tiles, size).unwrap(), root);
        }
    }

    /// A tile shorter than the size says, or missing, is damage and never a shorter answer.
    #[test]
    fn notices_missing_hashes() {
        let dir = tempfile::tempdir().unwrap();
        let empty = Tiles {
            storage: &Disk::default(),
            dir: dir.path(),
            size: 0,
        };
        write(dir.path(), &grow(&empty, &[leaf(0), leaf(1)]).unwrap());
        let tiles = Tiles {
            storage: &Disk::default(),
            dir: dir.path(),
            size: 2,
        };
        assert!(tiles.hash(0, 2).is_err());
        fs::write(dir.path().join("tile/0/000.p/2"), [0; 40]).unwrap();
        assert!(tiles.hash(0, 1).is_err());
        assert!(tiles.hashes(0, 0).is_err());
        fs::remove_file(dir.path().join("tile/0/000.p/2")).unwrap();
        assert!(tiles.hash(0, 1).is_err());
    }
}
